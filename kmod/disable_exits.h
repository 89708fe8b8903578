/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM_CAP_X86_DISABLE_EXITS: instructions by which a guest waits, and which it may have without an exit where
 * the VMM has given it CPUs of its own.
 */
#ifndef OST_DISABLE_EXITS_H
#define OST_DISABLE_EXITS_H

#include <linux/kvm.h>
#include <linux/types.h>

struct ost_vm;

/* KVM_X86_DISABLE_EXITS_* that this host's CPUs and the backend allow. */
u32 ost_disable_exits_supported(void);
/* By KVM_ENABLE_CAP: 0, or -EINVAL for others, and when there are vCPUs. */
int ost_vm_cap_disable_exits(struct ost_vm *vm, const u64 *args);

#endif
