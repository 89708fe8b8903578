/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU's state as the VMM reads and writes it (state.c). The structs have been copied from
 * userspace already and belong to the caller. All: context [vcpu]. The FPU is not loaded there.
 *
 * KVM_GET/SET_MSRS are in msr.h, FPU and XSAVE in fpu.h, CPUID in cpuid.h, the LAPIC in
 * irqchip/irqchip.h, VCPU_EVENTS in event.h, TSC frequency and kvmclock in clock.h.
 */
#ifndef OST_STATE_H
#define OST_STATE_H

#include <linux/kvm.h>
#include <linux/types.h>

struct ost_vcpu;

/* The getters fill all of *out and answer 0, but for ost_get_xcrs(): -EINVAL without XSAVE. */
int ost_get_regs(struct ost_vcpu *vcpu, struct kvm_regs *out);
int ost_get_sregs(struct ost_vcpu *vcpu, struct kvm_sregs *out);
int ost_get_sregs2(struct ost_vcpu *vcpu, struct kvm_sregs2 *out);
int ost_get_xcrs(struct ost_vcpu *vcpu, struct kvm_xcrs *out);
int ost_get_mp_state(struct ost_vcpu *vcpu, struct kvm_mp_state *out);
int ost_get_debugregs(struct ost_vcpu *vcpu, struct kvm_debugregs *out);

/* The setters answer 0, or -EINVAL with nothing changed. */

/* Also forgets an exception that was not delivered yet. Reserved bits of RFLAGS are ignored. */
int ost_set_regs(struct ost_vcpu *vcpu, const struct kvm_regs *in);
int ost_set_sregs(struct ost_vcpu *vcpu, const struct kvm_sregs *in);
/* The same with the PDPTEs that PAE paging has loaded. */
int ost_set_sregs2(struct ost_vcpu *vcpu, const struct kvm_sregs2 *in);
int ost_set_xcrs(struct ost_vcpu *vcpu, const struct kvm_xcrs *in);
/* States but RUNNABLE only with LAPICs in the kernel. */
int ost_set_mp_state(struct ost_vcpu *vcpu, const struct kvm_mp_state *in);
int ost_set_debugregs(struct ost_vcpu *vcpu, const struct kvm_debugregs *in);

/*
 * For SMM: could a CPU be in that state, as far as it is told by control registers, EFER and CS? And loads what of it
 * is not the LAPIC's, an event's or CR2.
 */
bool ost_sregs_valid(struct ost_vcpu *vcpu, const struct kvm_sregs *in);
void ost_sregs_load(struct ost_vcpu *vcpu, const struct kvm_sregs *in);
/* RFLAGS with the bits that there are. */
u64 ost_rflags_valid(u64 rflags);

/* KVM_TRANSLATE: linear_address by the vCPU's paging as it stands; sets no A or D bits. 0. */
int ost_translate(struct ost_vcpu *vcpu, struct kvm_translation *tr);

#endif
