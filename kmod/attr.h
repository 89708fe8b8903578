/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR and KVM_SET_DEVICE_ATTR on the node and on vCPUs. */
#ifndef OST_ATTR_H
#define OST_ATTR_H

#include <linux/kvm.h>

struct ost_vcpu;

/* All answer 0, -ENXIO for an attribute that is not there, -EFAULT or -EINVAL. */
int ost_system_has_attr(const struct kvm_device_attr *attr);
int ost_system_get_attr(const struct kvm_device_attr *attr);
/* [vcpu] */
int ost_vcpu_has_attr(struct ost_vcpu *vcpu, const struct kvm_device_attr *attr);
int ost_vcpu_get_attr(struct ost_vcpu *vcpu, const struct kvm_device_attr *attr);
int ost_vcpu_set_attr(struct ost_vcpu *vcpu, const struct kvm_device_attr *attr);

#endif
