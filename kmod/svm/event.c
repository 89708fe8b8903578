// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts, NMIs and exceptions into the guest (15.20, 15.21), and what blocks them.
 *
 * A CPU without virtual NMIs does not tell when the guest's NMI handler has returned. So the first
 * IRET after an NMI exits; it is let through, and once RIP has left it NMIs are open again. A
 * pending one is looked for by single-stepping that IRET, or whatever else casts an interrupt shadow.
 */
#include "svm.h"

u32 ost_svm_get_interrupt_shadow(struct ost_vcpu *vcpu)
{
	/* The CPU does not tell a shadow of STI's from one of MOV SS's (15.21.5). */
	if (to_svm(vcpu)->vmcb->control.interrupt_shadow & OST_SVM_INTERRUPT_SHADOW)
		return KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS;
	return 0;
}

void ost_svm_set_interrupt_shadow(struct ost_vcpu *vcpu, u32 mask)
{
	struct ost_vmcb_control *control = &to_svm(vcpu)->vmcb->control;

	if (mask)
		control->interrupt_shadow |= OST_SVM_INTERRUPT_SHADOW;
	else
		control->interrupt_shadow &= ~OST_SVM_INTERRUPT_SHADOW;
}

bool ost_svm_get_nmi_mask(struct ost_vcpu *vcpu)
{
	return to_svm(vcpu)->nmi_masked;
}

void ost_svm_set_nmi_mask(struct ost_vcpu *vcpu, bool masked)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	svm->nmi_masked = masked;
	svm->nmi_iret = false;
	ost_vmcb_intercept(svm->vmcb, ICPT_IRET, masked);
}

bool ost_svm_irq_allowed(struct ost_vcpu *vcpu)
{
	return (ost_rflags(vcpu) & X86_EFLAGS_IF) && !ost_svm_get_interrupt_shadow(vcpu);
}

bool ost_svm_nmi_allowed(struct ost_vcpu *vcpu)
{
	return !to_svm(vcpu)->nmi_masked && !ost_svm_get_interrupt_shadow(vcpu);
}

void ost_svm_open_irq_window(struct ost_vcpu *vcpu)
{
	struct ost_vmcb *vmcb = to_svm(vcpu)->vmcb;

	/* A virtual interrupt that is never taken: its intercept comes first (15.21.4). */
	vmcb->control.v_intr |= OST_SVM_V_IRQ | OST_SVM_V_IGN_TPR | OST_SVM_V_INTR_PRIO_MASK;
	vmcb->control.v_intr_vector = 0;
	ost_vmcb_dirty(vmcb, CLEAN_TPR);
	ost_vmcb_intercept(vmcb, ICPT_VINTR, true);
}

void ost_svm_close_irq_window(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb *vmcb = svm->vmcb;

	if (!(vmcb->control.v_intr & OST_SVM_V_IRQ))
		return;
	vmcb->control.v_intr &= ~(OST_SVM_V_IRQ | OST_SVM_V_IGN_TPR | OST_SVM_V_INTR_PRIO_MASK);
	ost_vmcb_dirty(vmcb, CLEAN_TPR);
	ost_vmcb_intercept(vmcb, ICPT_VINTR, false);
}

void ost_svm_open_nmi_window(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	/* Before the IRET its intercept is the window. */
	if (svm->nmi_masked && !svm->nmi_iret)
		return;
	svm->nmi_step = true;
}

static void inject(struct ost_svm_vcpu *svm, u32 event, u32 error_code)
{
	svm->vmcb->control.eventinj = event | OST_SVM_EVENT_VALID;
	svm->vmcb->control.eventinj_error = error_code;
}

/*
 * A software event pushes the RIP behind its instruction. CPUs with NRIPS take that from nRIP, others
 * from RIP itself, which has to go back if the event is not delivered. False when the instruction's
 * length is not known: RIP is still at it, so executing it again raises the event anew.
 */
static bool prepare_soft(struct ost_svm_vcpu *svm, u8 len)
{
	struct ost_vcpu *vcpu = &svm->vcpu;
	u64 rip = ost_rip(vcpu) + len;

	if (!len)
		return false;
	if (!ost_mode64(vcpu))
		rip = (u32)rip;
	/* Even where svm_mask hides NRIPS the CPU looks at it. */
	svm->vmcb->control.nrip = rip;
	if (!ost_svm_has(OST_SVM_NRIPS)) {
		svm->soft_rip = ost_rip(vcpu);
		svm->soft_moved = true;
		ost_reg_set(vcpu, OST_REG_RIP, rip);
	}
	return true;
}

int ost_svm_inject_exception(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	u32 event = vcpu->event.exception.vector | OST_SVM_EVENT_EXCEPTION;

	if (vcpu->event.exception.soft && !prepare_soft(svm, vcpu->event.exception.soft_len)) {
		vcpu->event.exception.injected = false;
		return 0;
	}
	/* Real mode pushes none (APM vol. 2, 8.2). */
	if (vcpu->event.exception.has_error_code && ost_protected_mode(vcpu))
		event |= OST_SVM_EVENT_ERROR_VALID;
	inject(svm, event, vcpu->event.exception.error_code);
	return 0;
}

void ost_svm_inject_irq(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	u32 event = vcpu->event.interrupt.vector;

	if (vcpu->event.interrupt.soft) {
		if (!prepare_soft(svm, vcpu->event.interrupt.soft_len)) {
			vcpu->event.interrupt.injected = false;
			return;
		}
		event |= OST_SVM_EVENT_SOFT;
	} else {
		event |= OST_SVM_EVENT_INTR;
		ost_svm_close_irq_window(svm);
	}
	inject(svm, event, 0);
}

void ost_svm_inject_nmi(struct ost_vcpu *vcpu)
{
	inject(to_svm(vcpu), X86_TRAP_NMI | OST_SVM_EVENT_NMI, 0);
	ost_svm_set_nmi_mask(vcpu, true);
}

static void unmove_rip(struct ost_svm_vcpu *svm)
{
	if (!svm->soft_moved)
		return;
	svm->soft_moved = false;
	ost_reg_set(&svm->vcpu, OST_REG_RIP, svm->soft_rip);
}

void ost_svm_cancel_injection(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	/* vcpu->event says it all again; an NMI's mask stays, since it goes in before any other. */
	svm->vmcb->control.eventinj = 0;
	svm->nmi_step = false;
	unmove_rip(svm);
}

void ost_svm_redo_events(struct ost_svm_vcpu *svm)
{
	if (svm->nmi_step) {
		svm->nmi_step = false;
		svm->vmcb->save.rflags = svm->step_rflags;
	}
	unmove_rip(svm);
	ost_request(&svm->vcpu, OST_REQ_EVENT);
}

static void requeue(struct ost_svm_vcpu *svm, u32 info, u32 error_code, bool given)
{
	struct ost_vcpu *vcpu = &svm->vcpu;
	u8 vector = info & OST_SVM_EVENT_VECTOR;
	u8 soft_len = vcpu->event.exception.soft_len;

	switch (info & OST_SVM_EVENT_TYPE) {
	case OST_SVM_EVENT_INTR:
		ost_requeue_irq(vcpu, vector, false, 0);
		break;
	case OST_SVM_EVENT_NMI:
		ost_requeue_nmi(vcpu);
		break;
	case OST_SVM_EVENT_EXCEPTION:
		/* INT3 and INTO raise theirs again: RIP is still at them. */
		if (vector != X86_TRAP_BP && vector != X86_TRAP_OF)
			ost_requeue_exception(vcpu, vector, info & OST_SVM_EVENT_ERROR_VALID,
					      error_code, false, 0);
		/* But not where the VMM had this one raised. */
		else if (given && vcpu->event.exception.soft && vcpu->event.exception.vector == vector)
			ost_requeue_exception(vcpu, vector, false, 0, true, soft_len);
		break;
	default:
		/* So does INTn. */
		break;
	}
}

/* The single step is over, whatever ended it: TF and RF are the guest's own again. */
static void end_step(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_save *save = &svm->vmcb->save;

	svm->nmi_step = false;
	svm->stepped = true;
	if (!(svm->step_rflags & X86_EFLAGS_TF))
		save->rflags &= ~(u64)X86_EFLAGS_TF;
	if (save->rip != svm->step_rip || !(svm->step_rflags & X86_EFLAGS_RF))
		save->rflags &= ~(u64)X86_EFLAGS_RF;
	ost_request(&svm->vcpu, OST_REQ_EVENT);
}

void ost_svm_complete_events(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_control *control = &svm->vmcb->control;
	struct ost_vcpu *vcpu = &svm->vcpu;
	u32 info = control->exitintinfo;
	bool given = svm->event_given;

	svm->stepped = false;
	if (unlikely(svm->nmi_step))
		end_step(svm);
	if (unlikely(svm->nmi_iret) && svm->vmcb->save.rip != svm->nmi_iret_rip) {
		svm->nmi_iret = false;
		svm->nmi_masked = false;
		ost_request(vcpu, OST_REQ_EVENT);
	}
	if (given)
		ost_events_delivered(vcpu);
	svm->event_given = false;

	if (unlikely(info & OST_SVM_EVENT_VALID)) {
		unmove_rip(svm);
		requeue(svm, info, control->exitintinfo_error, given);
	}
	svm->soft_moved = false;
}
