/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exceptions, interrupts and NMIs on their way into the guest (event.c).
 *
 * "pending" means decided but not yet put into an entry; "injected" means put into an entry, and
 * not known to be delivered yet. An exit in the middle of a delivery leaves it injected, and it goes
 * into the next entry before anything new does.
 */
#ifndef OST_EVENT_H
#define OST_EVENT_H

#include <linux/types.h>
#include <linux/kvm.h>

struct ost_vcpu;

struct ost_events {
	struct {
		bool pending, injected, has_error_code, has_payload, soft;
		u8 vector;
		u32 error_code;
		u64 payload;	/* CR2 of a #PF, new DR6 bits of a #DB; applied when it is injected */
		u8 soft_len;	/* length of INT3/INTO/INT1 that raised it */
	} exception;
	struct {
		bool injected, soft;
		u8 vector;
		u8 soft_len;
		bool user_pending;	/* KVM_INTERRUPT's, not yet taken */
		u8 user_vector;
	} interrupt;
	struct {
		bool injected;
		u8 pending;	/* 0..2 [any: nmi_queued feeds it] */
	} nmi;
	atomic_t nmi_queued;	/* [any] NMIs from IPIs, LINT1, KVM_NMI not yet counted in */
};

#define OST_NO_ERROR_CODE (-1)

/*
 * Raises a hardware exception at the current instruction. Contributory ones combine into #DF, a
 * fault on #DF into OST_REQ_TRIPLE_FAULT (SDM 6.15 table 6-5, APM vol. 2 8.2.9). error_code is
 * OST_NO_ERROR_CODE for those without one. [vcpu or atomic]
 */
void ost_exception(struct ost_vcpu *vcpu, u8 vector, int error_code);
void ost_exception_payload(struct ost_vcpu *vcpu, u8 vector, int error_code, u64 payload);
static inline void ost_ud(struct ost_vcpu *vcpu)
{
	ost_exception(vcpu, 6, OST_NO_ERROR_CODE);
}
static inline void ost_gp(struct ost_vcpu *vcpu, u16 error_code)
{
	ost_exception(vcpu, 13, error_code);
}
/* #PF with CR2. */
void ost_page_fault(struct ost_vcpu *vcpu, u64 address, u32 error_code);
/* #DB: sets the bits of DR6 when it is delivered. OST_RUN. */
int ost_debug_exception(struct ost_vcpu *vcpu, u64 dr6_bits);

/* #BP as INT3 at RIP raises it. Where there is no INT3 it is one without an instruction. [vcpu] */
void ost_breakpoint(struct ost_vcpu *vcpu);

/* An NMI arrives. Any context. */
void ost_nmi(struct ost_vcpu *vcpu);

/*
 * An external interrupt from the VMM (KVM_INTERRUPT without an in-kernel irqchip).
 * 0, -EEXIST when one waits already.
 */
int ost_interrupt_from_user(struct ost_vcpu *vcpu, u8 vector);
/* Could KVM_INTERRUPT's interrupt be delivered at once? For kvm_run.ready_for_interrupt_injection. */
bool ost_ready_for_interrupt(struct ost_vcpu *vcpu);

/*
 * For backends, after an exit: the event that was being delivered when it came. They forget first
 * what had been injected, then say what the CPU reports as not delivered. [atomic]
 */
void ost_events_delivered(struct ost_vcpu *vcpu);
void ost_requeue_exception(struct ost_vcpu *vcpu, u8 vector, bool has_error, u32 error_code, bool soft,
			   u8 soft_len);
void ost_requeue_irq(struct ost_vcpu *vcpu, u8 vector, bool soft, u8 soft_len);
void ost_requeue_nmi(struct ost_vcpu *vcpu);

/* Before an entry: puts what is due into it and opens windows for the rest. 0 or -errno. [atomic] */
int ost_events_inject(struct ost_vcpu *vcpu);

/* Is there an NMI or interrupt that would end HLT? [vcpu] */
bool ost_events_wake(struct ost_vcpu *vcpu);

/* KVM_GET/SET_VCPU_EVENTS. [vcpu] */
void ost_get_events(struct ost_vcpu *vcpu, struct kvm_vcpu_events *out);
int ost_set_events(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in);

#endif
