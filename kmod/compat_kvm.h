/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers and structs of the ABI that <linux/kvm.h> of the oldest kernel, 6.1, lacks; each under its name there, from
 * the public API document. Include this instead of <linux/kvm.h> where one of them is wanted.
 */
#ifndef OST_COMPAT_KVM_H
#define OST_COMPAT_KVM_H

#include <linux/kvm.h>

#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

#endif
