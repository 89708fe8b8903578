// SPDX-License-Identifier: GPL-2.0-only
/* Attributes (attr.h): one on the node, one on vCPUs. */
#include <linux/uaccess.h>
#include "attr.h"
#include "clock.h"
#include "fpu.h"
#include "vcpu.h"

int ost_system_has_attr(const struct kvm_device_attr *attr)
{
	if (attr->flags)
		return -EINVAL;
	return attr->group || attr->attr != KVM_X86_XCOMP_GUEST_SUPP ? -ENXIO : 0;
}

int ost_system_get_attr(const struct kvm_device_attr *attr)
{
	int r = ost_system_has_attr(attr);

	return r ?: put_user(ost_fpu_xcr0_mask, (u64 __user *)attr->addr);
}

int ost_vcpu_has_attr(struct ost_vcpu *vcpu, const struct kvm_device_attr *attr)
{
	if (attr->flags)
		return -EINVAL;
	return attr->group != KVM_VCPU_TSC_CTRL || attr->attr != KVM_VCPU_TSC_OFFSET ? -ENXIO : 0;
}

int ost_vcpu_get_attr(struct ost_vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int r = ost_vcpu_has_attr(vcpu, attr);

	return r ?: put_user(READ_ONCE(vcpu->clock.tsc_offset), (u64 __user *)attr->addr);
}

int ost_vcpu_set_attr(struct ost_vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int r = ost_vcpu_has_attr(vcpu, attr);
	u64 offset;

	if (r)
		return r;
	if (get_user(offset, (u64 __user *)attr->addr))
		return -EFAULT;
	ost_tsc_set_offset(vcpu, offset);
	return 0;
}
