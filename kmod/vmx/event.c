// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts, NMIs and exceptions into the guest (25.8.3, 27.6), and what blocks them (25.4.2). */
#include "../vm.h"
#include "vmx.h"

#define SHADOW (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Exceptions that push an error code in protected mode (vol. 3A, table 6-1). */
#define WITH_ERROR_CODE                                                                            \
	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) | BIT(X86_TRAP_SS) |               \
	 BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC))

u32 ost_vmx_get_interrupt_shadow(struct ost_vcpu *vcpu)
{
	u32 state = ost_vmcs_get(to_vmx(vcpu), GUEST_INTERRUPTIBILITY_INFO), mask = 0;

	if (state & GUEST_INTR_STATE_STI)
		mask |= KVM_X86_SHADOW_INT_STI;
	if (state & GUEST_INTR_STATE_MOV_SS)
		mask |= KVM_X86_SHADOW_INT_MOV_SS;
	return mask;
}

void ost_vmx_set_interrupt_shadow(struct ost_vcpu *vcpu, u32 mask)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = ost_vmcs_get(vmx, GUEST_INTERRUPTIBILITY_INFO);

	if (likely(!mask && !(state & SHADOW)))
		return;
	state &= ~SHADOW;
	/* Not both, and the one that blocks more (27.3.1.5). */
	if (mask & KVM_X86_SHADOW_INT_MOV_SS)
		state |= GUEST_INTR_STATE_MOV_SS;
	else if (mask & KVM_X86_SHADOW_INT_STI)
		state |= GUEST_INTR_STATE_STI;
	ost_vmcs_set(vmx, GUEST_INTERRUPTIBILITY_INFO, state);
}

bool ost_vmx_get_nmi_mask(struct ost_vcpu *vcpu)
{
	return ost_vmcs_get(to_vmx(vcpu), GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_NMI;
}

void ost_vmx_set_nmi_mask(struct ost_vcpu *vcpu, bool masked)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (masked)
		ost_vmcs_set_bits(vmx, GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
	else
		ost_vmcs_clear_bits(vmx, GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
}

bool ost_vmx_irq_allowed(struct ost_vcpu *vcpu)
{
	return (ost_rflags(vcpu) & X86_EFLAGS_IF) &&
	       !(ost_vmcs_get(to_vmx(vcpu), GUEST_INTERRUPTIBILITY_INFO) & SHADOW);
}

bool ost_vmx_nmi_allowed(struct ost_vcpu *vcpu)
{
	return !(ost_vmcs_get(to_vmx(vcpu), GUEST_INTERRUPTIBILITY_INFO) &
		 (SHADOW | GUEST_INTR_STATE_NMI));
}

void ost_vmx_open_irq_window(struct ost_vcpu *vcpu)
{
	ost_vmcs_set_bits(to_vmx(vcpu), CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_INTR_WINDOW_EXITING);
}

void ost_vmx_open_nmi_window(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = ost_vmcs_get(vmx, GUEST_INTERRUPTIBILITY_INFO);
	u32 control = CPU_BASED_NMI_WINDOW_EXITING;

	/*
	 * CPUs differ in whether STI holds this window back as it does an injection (25.4.2). It holds back that
	 * for interrupts on all of them, and there IF is set.
	 */
	if ((state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_NMI)) == GUEST_INTR_STATE_STI)
		control = CPU_BASED_INTR_WINDOW_EXITING;
	ost_vmcs_set_bits(vmx, CPU_BASED_VM_EXEC_CONTROL, control);
}

void ost_vmx_close_window(struct ost_vmx_vcpu *vmx, u32 control)
{
	ost_vmcs_clear_bits(vmx, CPU_BASED_VM_EXEC_CONTROL, control);
	ost_request(&vmx->vcpu, OST_REQ_EVENT);
}

bool ost_vmx_unhalt(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (ost_vmcs_get(vmx, GUEST_ACTIVITY_STATE) != GUEST_ACTIVITY_HLT)
		return false;
	ost_vmcs_set(vmx, GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	return true;
}

/* --- injection --- */

static void inject(struct ost_vmx_vcpu *vmx, u32 info)
{
	/* Not everything may be injected into a halted CPU (27.3.1.5); what is ends its HLT in any case. */
	if (unlikely(vmx->vcpu.vm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT))
		ost_vmx_unhalt(&vmx->vcpu);
	ost_vmcs_set(vmx, VM_ENTRY_INTR_INFO_FIELD, info | INTR_INFO_VALID_MASK);
}

/*
 * A software event pushes the RIP behind its instruction. False when that one's length is not known: RIP
 * is still at it, so executing it again raises the event anew.
 */
static bool prepare_soft(struct ost_vmx_vcpu *vmx, u8 len)
{
	if (!len)
		return false;
	ost_vmcs_set(vmx, VM_ENTRY_INSTRUCTION_LEN, len);
	return true;
}

/* Entries are refused where an exception does not come as the CPU itself would raise it (27.2.1.3). */
static bool pushes_error_code(struct ost_vcpu *vcpu)
{
	if (!ost_protected_mode(vcpu))
		return false;
	if (ost_vmx_config.error_code_any)
		return vcpu->event.exception.has_error_code;
	return WITH_ERROR_CODE & BIT(vcpu->event.exception.vector);
}

int ost_vmx_inject_exception(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 info = vcpu->event.exception.vector;

	/* The #DB that is injected is the step, but an exit for it leaves none pending. */
	if (info == X86_TRAP_DB)
		ost_vmx_fix_pending_step(vmx);
	if (vcpu->event.exception.soft) {
		if (!prepare_soft(vmx, vcpu->event.exception.soft_len)) {
			vcpu->event.exception.injected = false;
			return 0;
		}
		/* INT1, or INT3 and INTO. */
		info |= info == X86_TRAP_DB ? INTR_TYPE_PRIV_SW_EXCEPTION : INTR_TYPE_SOFT_EXCEPTION;
	} else {
		info |= INTR_TYPE_HARD_EXCEPTION;
		if (pushes_error_code(vcpu)) {
			info |= INTR_INFO_DELIVER_CODE_MASK;
			/* Bits 31:16 are reserved (27.2.1.3). */
			ost_vmcs_set(vmx, VM_ENTRY_EXCEPTION_ERROR_CODE,
				     (u16)vcpu->event.exception.error_code);
		}
	}
	inject(vmx, info);
	return 0;
}

void ost_vmx_inject_irq(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 info = vcpu->event.interrupt.vector;

	if (vcpu->event.interrupt.soft) {
		if (!prepare_soft(vmx, vcpu->event.interrupt.soft_len)) {
			vcpu->event.interrupt.injected = false;
			return;
		}
		info |= INTR_TYPE_SOFT_INTR;
	} else {
		info |= INTR_TYPE_EXT_INTR;
	}
	inject(vmx, info);
}

void ost_vmx_inject_nmi(struct ost_vcpu *vcpu)
{
	/* The entry sets the blocking, and is refused where it is set (27.3.1.5). */
	ost_vmx_set_nmi_mask(vcpu, false);
	inject(to_vmx(vcpu), X86_TRAP_NMI | INTR_TYPE_NMI_INTR);
}

void ost_vmx_cancel_injection(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	/* vcpu->event says it all again. */
	ost_vmcs_set(vmx, VM_ENTRY_INTR_INFO_FIELD, 0);
}

/* --- what became of it --- */

static void requeue(struct ost_vmx_vcpu *vmx, u32 info)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u8 vector = info & VECTORING_INFO_VECTOR_MASK;
	bool has_error = info & VECTORING_INFO_DELIVER_CODE_MASK;
	u32 error = has_error ? ost_vmcs_get(vmx, IDT_VECTORING_ERROR_CODE) : 0;
	u8 len = ost_vmcs_get(vmx, VM_EXIT_INSTRUCTION_LEN);

	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_EXT_INTR:
		ost_requeue_irq(vcpu, vector, false, 0);
		break;
	case INTR_TYPE_NMI_INTR:
		ost_requeue_nmi(vcpu);
		break;
	case INTR_TYPE_HARD_EXCEPTION:
		ost_requeue_exception(vcpu, vector, has_error, error, false, 0);
		break;
	case INTR_TYPE_SOFT_INTR:
		ost_requeue_irq(vcpu, vector, true, len);
		break;
	case INTR_TYPE_PRIV_SW_EXCEPTION:
	case INTR_TYPE_SOFT_EXCEPTION:
		ost_requeue_exception(vcpu, vector, false, 0, true, len);
		break;
	default:
		break;
	}
}

/*
 * An IRET that faulted has ended the blocking of NMIs that it was to end by its success: exits that a
 * fault has caused say so (28.2.3, table 28-7).
 */
static bool iret_unblocked(struct ost_vmx_vcpu *vmx)
{
	u32 info;

	switch (vmx->vcpu.exit_index) {
	case EXIT_REASON_EXCEPTION_NMI:
		info = ost_vmcs_get(vmx, VM_EXIT_INTR_INFO);
		return (info & INTR_INFO_UNBLOCK_NMI) &&
		       (info & INTR_INFO_VECTOR_MASK) != X86_TRAP_DF;
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_PML_FULL:
		return ost_vmcs_get(vmx, EXIT_QUALIFICATION) & INTR_INFO_UNBLOCK_NMI;
	default:
		return false;
	}
}

void ost_vmx_complete_events(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u32 info = ost_vmread(IDT_VECTORING_INFO_FIELD);

	if (vmx->event_given) {
		vmx->event_given = false;
		/* The CPU has cleared the valid bit. */
		vmx->cache.val[OST_V_VM_ENTRY_INTR_INFO_FIELD] = 0;
		ost_events_delivered(vcpu);
	}

	if (unlikely(info & VECTORING_INFO_VALID_MASK))
		requeue(vmx, info);
	else if (unlikely(iret_unblocked(vmx)))
		ost_vmx_set_nmi_mask(vcpu, true);
}
