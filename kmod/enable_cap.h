/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM_ENABLE_CAP: capabilities that a VMM has to ask for. */
#ifndef OST_ENABLE_CAP_H
#define OST_ENABLE_CAP_H

#include <linux/kvm.h>

/* KVM_CAP_DISABLE_QUIRKS2: the ABI's quirks that there are here. */
#define OST_QUIRKS                                                                                    \
	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_LAPIC_MMIO_HOLE |                              \
	 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT |                                                         \
	 KVM_X86_QUIRK_FIX_HYPERCALL_INSN | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS)

struct ost_vcpu;
struct ost_vm;

/* 0, or -errno: EINVAL for a capability that is not one of these, or its arguments. May sleep. */
int ost_vm_enable_cap(struct ost_vm *vm, const struct kvm_enable_cap *cap);
/* [vcpu] */
int ost_vcpu_enable_cap(struct ost_vcpu *vcpu, const struct kvm_enable_cap *cap);

#endif
