/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM_PRE_FAULT_MEMORY: the guest's later first accesses need no fault. */
#ifndef OST_PREFAULT_H
#define OST_PREFAULT_H

#include "compat_kvm.h"

struct ost_vcpu;

/*
 * 0 when a part was done, which arg then begins behind; else -EINVAL, -ENOENT where there is no slot, -EINTR,
 * -EFAULT, -ENOMEM. May sleep. [vcpu]
 */
int ost_pre_fault_memory(struct ost_vcpu *vcpu, struct kvm_pre_fault_memory *arg);

#endif
