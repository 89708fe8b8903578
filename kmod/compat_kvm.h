/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers and structs of the ABI that <linux/kvm.h> of the oldest kernel, 6.1, lacks; each under its name there, from
 * the public API document. Include this instead of <linux/kvm.h> where one of them is wanted.
 */
#ifndef OST_COMPAT_KVM_H
#define OST_COMPAT_KVM_H

#include <linux/kvm.h>

#endif
#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#endif

