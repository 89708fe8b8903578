/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers and structs of the ABI that <linux/kvm.h> of the oldest kernel, 6.1, lacks; each under its name there, from
 * the public API document. Include this instead of <linux/kvm.h> where one of them is wanted.
 */
#ifndef OST_COMPAT_KVM_H
#define OST_COMPAT_KVM_H

#include <linux/kvm.h>

/* KVM_EXIT_HYPERCALL: `longmode` until 6.5, flags since. */
static inline void ost_hypercall_set_mode64(struct kvm_run *run, bool mode64)
{
#ifdef KVM_EXIT_HYPERCALL_LONG_MODE
	run->hypercall.flags = mode64 ? KVM_EXIT_HYPERCALL_LONG_MODE : 0;
#else
	run->hypercall.longmode = mode64;
#endif
}

#endif
