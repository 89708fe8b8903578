// SPDX-License-Identifier: GPL-2.0-only
/* KVM_ENABLE_CAP by table: a row a capability (enable_cap.h). */
#include <linux/kernel.h>
#include "compat_kvm.h"
#include "enable_cap.h"
#include "msr_filter.h"
#include "vcpu.h"
#include "vm.h"

struct vm_cap {
	u32 cap;
	/* Called without vm->lock. `args` are the four of the ABI. */
	int (*enable)(struct ost_vm *vm, const u64 *args);
};

struct vcpu_cap {
	u32 cap;
	int (*enable)(struct ost_vcpu *vcpu, const u64 *args);
};

static int user_space_msr(struct ost_vm *vm, const u64 *args)
{
	return ost_msr_user_exits_set(vm, args[0]);
}

static const struct vm_cap vm_caps[] = {
	{ KVM_CAP_X86_USER_SPACE_MSR, user_space_msr },
};

static const struct vcpu_cap vcpu_caps[] = {
};

int ost_vm_enable_cap(struct ost_vm *vm, const struct kvm_enable_cap *cap)
{
	u32 i;

	if (cap->flags)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(vm_caps); i++)
		if (vm_caps[i].cap == cap->cap)
			return vm_caps[i].enable(vm, cap->args);
	return -EINVAL;
}

int ost_vcpu_enable_cap(struct ost_vcpu *vcpu, const struct kvm_enable_cap *cap)
{
	u32 i;

	if (cap->flags)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(vcpu_caps); i++)
		if (vcpu_caps[i].cap == cap->cap)
			return vcpu_caps[i].enable(vcpu, cap->args);
	return -EINVAL;
}
