/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMM's say in the guest's RDMSR and WRMSR: which MSRs a guest may use at all
 * (KVM_X86_SET_MSR_FILTER), and which accesses that would raise #GP are the VMM's to answer
 * (KVM_CAP_X86_USER_SPACE_MSR).
 */
#ifndef OST_MSR_FILTER_H
#define OST_MSR_FILTER_H

#include <linux/types.h>
#include <linux/kvm.h>

struct ost_vcpu;
struct ost_vm;

/* Why an access gets #GP. */
enum ost_msr_refusal {
	OST_MSR_FINE,		/* it doesn't */
	OST_MSR_INVALID,	/* there is the MSR, but not that access to it by this guest */
	OST_MSR_UNKNOWN,	/* there is no such MSR */
	OST_MSR_DENIED,		/* by the filter */
};

/* KVM_X86_SET_MSR_FILTER: 0, -EINVAL, -EFAULT, -ENOMEM. May sleep. */
int ost_msr_filter_set(struct ost_vm *vm, const struct kvm_msr_filter *arg);
/* The VM's end: nobody can use its filter any more. */
void ost_msr_filter_destroy(struct ost_vm *vm);
/* KVM_CAP_X86_USER_SPACE_MSR: 0 or -EINVAL. */
int ost_msr_user_exits_set(struct ost_vm *vm, u64 reasons);

/* OST_REQ_MSR_FILTER, and when a vCPU is created: what follows from the VM's filter. [vcpu or atomic] */
void ost_msr_filter_changed(struct ost_vcpu *vcpu);
/* Does the filter let the guest do that? Only asked where vcpu->msr_filtered. [vcpu, atomic or irqoff] */
bool ost_msr_filter_allows(struct ost_vcpu *vcpu, u32 index, bool write);

/* Is the VMM to answer an access that was refused so? */
bool ost_msr_goes_to_user(struct ost_vcpu *vcpu, enum ost_msr_refusal why);
/* The instruction that exited was refused: #GP, or an exit to the VMM. OST_RUN or OST_USER. [irqoff too] */
int ost_msr_refused(struct ost_vcpu *vcpu, bool write, u32 index, u64 data, enum ost_msr_refusal why);

#endif
