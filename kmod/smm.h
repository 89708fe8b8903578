/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System-management mode (smm.c): SMIs, which take a vCPU into an address space of its own (mmu/mmu.h), and RSM, which
 * takes it out again.
 *
 * An SMI is a request, OST_REQ_SMI. Where it can't be taken at once it waits in `pending`, and is requested again when
 * what holds it back is over: by RSM, or behind the delivery of the event that is under way. One that the VMM has been
 * told of is OST_REQ_SMI_TOLD, so that KVM_SET_VCPU_EVENTS takes back that one, and none that has come since.
 */
#ifndef OST_SMM_H
#define OST_SMM_H

#include <linux/types.h>
#include <linux/kvm.h>

struct ost_emul;
struct ost_vcpu;

struct ost_smm {
	bool active;
	bool inside_nmi;	/* while active: NMIs were blocked before */
	bool pending;		/* an SMI waits, and is no request */
	bool from_halt;		/* the one that is requested has ended a HLT */
	bool init_told;		/* the last KVM_GET_VCPU_EVENTS has told of an INIT that waits */
	u32 smbase;
	u64 count;		/* MSR_SMI_COUNT */
};

/* An SMI arrives. Any context. */
void ost_smi(struct ost_vcpu *vcpu);
/* Acts on OST_REQ_SMI: OST_RUN or -ENOMEM. May sleep. [vcpu or atomic] */
int ost_smi_take(struct ost_vcpu *vcpu);
/* Is there one that would end HLT? [vcpu] */
bool ost_smi_wakes(struct ost_vcpu *vcpu);
/* Does one wait for the delivery of the event that the next entry begins with? [vcpu or irqoff] */
bool ost_smi_behind_event(const struct ost_vcpu *vcpu);
/* RESET or INIT. [vcpu] */
void ost_smm_reset(struct ost_vcpu *vcpu, bool init_event);

/* RSM, as the emulator's callback of that name. [vcpu] */
int ost_smm_leave(struct ost_vcpu *vcpu, struct ost_emul *e);
/* An exit that may be RSM's; #UD for other instructions, and outside of SMM. [atomic] */
int ost_exit_rsm(struct ost_vcpu *vcpu);

/* KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS: 0 or -ENOMEM. [vcpu] */
void ost_smm_get_events(struct ost_vcpu *vcpu, struct kvm_vcpu_events *out);
bool ost_smm_events_valid(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in);
int ost_smm_set_events(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in);

/* Rows of msr.c. */
int ost_smm_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
int ost_smm_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);

#endif
