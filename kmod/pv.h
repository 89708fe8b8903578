/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What guests that know of the hypervisor share with it, by MSRs and hypercalls of KVM's: time stolen, whether a
 * vCPU runs, ends of interrupts without an exit (pv.c), hypercalls (hypercall.c). kvmclock is in clock.c.
 */
#ifndef OST_PV_H
#define OST_PV_H

#include <linux/types.h>
#include <asm/kvm_para.h>

struct ost_vcpu;
struct task_struct;

/* per vCPU */
struct ost_pv {
	bool enforce;		/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID: nothing that its CPUID does not show */
	bool unhalted;		/* KVM_HC_KICK_CPU: it need not stay in HLT [any] */
	bool between;		/* between two instructions of the guest, where it may be called preempted */
	bool preempted;		/* the guest's page says so */
	bool eoi_offered;	/* the guest may end the interrupt in service by the bit in its memory */
	u64 steal_msr;		/* MSR_KVM_STEAL_TIME: gpa | enable */
	u64 eoi_msr;		/* MSR_KVM_PV_EOI_EN */
	u64 poll_control;	/* MSR_KVM_POLL_CONTROL */
	const struct task_struct *thread;	/* whose waiting was accounted last; only compared */
	u64 run_delay;		/* how long that had waited by then, in nanoseconds */
};

/* KVM_FEATURE_*: those of KVM_GET_SUPPORTED_CPUID that pv.c and hypercall.c are for. */
u32 ost_pv_features(void);
/* Is `feature` (a bit number) this guest's to use? */
bool ost_pv_has(struct ost_vcpu *vcpu, u32 feature);
void ost_pv_reset(struct ost_vcpu *vcpu);

/* The three MSRs: 0, or 1 for #GP. */
int ost_pv_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
int ost_pv_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);

/* OST_REQ_STEAL: tells the guest that it runs, and how long it did not. [vcpu] */
void ost_pv_account(struct ost_vcpu *vcpu);
/* The vCPU has come to a CPU / is taken off one by the scheduler, with MSR_KVM_STEAL_TIME on. [atomic] */
void ost_pv_loaded(struct ost_vcpu *vcpu);
void ost_pv_preempted(struct ost_vcpu *vcpu);

/*
 * `vector` of the LAPIC has gone into service and into the next entry: lets the guest end it by its memory, if
 * nobody needs to hear of that. [atomic]
 */
void ost_pv_eoi_offer(struct ost_vcpu *vcpu, u8 vector);
/*
 * With eoi_offered set: acts on what the guest has done about it, and ends the offer. False when its memory can't be
 * had without sleeping: OST_REQ_PV_EOI will. Any context of its thread's.
 */
bool ost_pv_eoi_sync(struct ost_vcpu *vcpu);
/* The interrupt was ended through the LAPIC. Likewise. */
void ost_pv_eoi_withdraw(struct ost_vcpu *vcpu);
/* OST_REQ_PV_EOI: the same for memory that had to be waited for. [vcpu] */
void ost_pv_eoi_slow(struct ost_vcpu *vcpu);

#endif
