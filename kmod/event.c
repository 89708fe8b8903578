// SPDX-License-Identifier: GPL-2.0-only
/* Exceptions, interrupts and NMIs: what is raised, what goes into the next entry (event.h). */
#include <linux/string.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>
#include "backend.h"
#include "event.h"
#include "io.h"
#include "irqchip/irqchip.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

/* APM vol. 2, table 8-3 (double-fault conditions); SDM vol. 3A, table 6-4 */
static enum exception_class class_of(u8 vector)
{
	switch (vector) {
	case X86_TRAP_PF:
	case X86_TRAP_VE:
		return PAGE_FAULT;
	case X86_TRAP_DE:
	case X86_TRAP_TS:
	case X86_TRAP_NP:
	case X86_TRAP_SS:
	case X86_TRAP_GP:
	case X86_TRAP_CP:
		return CONTRIBUTORY;
	default:
		return BENIGN;
	}
}

static void queue_exception(struct ost_vcpu *vcpu, u8 vector, bool has_error, u32 error_code,
			    bool has_payload, u64 payload)
{
	struct ost_events *e = &vcpu->event;
	enum exception_class before, now;

	ost_request(vcpu, OST_REQ_EVENT);
	if (e->exception.pending || e->exception.injected) {
		if (e->exception.vector == X86_TRAP_DF) {
			e->exception.pending = false;
			e->exception.injected = false;
			ost_request(vcpu, OST_REQ_TRIPLE_FAULT);
			return;
		}
		before = class_of(e->exception.vector);
		now = class_of(vector);
		if ((before == CONTRIBUTORY && now == CONTRIBUTORY) ||
		    (before == PAGE_FAULT && now != BENIGN)) {
			vector = X86_TRAP_DF;
			has_error = true;
			error_code = 0;
			has_payload = false;
		}
		/* Otherwise the second is delivered; the first comes again when its instruction does. */
	}
	e->exception.pending = true;
	e->exception.injected = false;
	e->exception.soft = false;
	e->exception.vector = vector;
	/* Real mode pushes no error code. */
	e->exception.has_error_code = has_error && ost_protected_mode(vcpu);
	e->exception.error_code = error_code;
	e->exception.has_payload = has_payload;
	e->exception.payload = payload;
}

void ost_exception(struct ost_vcpu *vcpu, u8 vector, int error_code)
{
	queue_exception(vcpu, vector, error_code != OST_NO_ERROR_CODE, error_code, false, 0);
}

void ost_exception_payload(struct ost_vcpu *vcpu, u8 vector, int error_code, u64 payload)
{
	queue_exception(vcpu, vector, error_code != OST_NO_ERROR_CODE, error_code, true, payload);
}

void ost_page_fault(struct ost_vcpu *vcpu, u64 address, u32 error_code)
{
	queue_exception(vcpu, X86_TRAP_PF, true, error_code, true, address);
}

int ost_debug_exception(struct ost_vcpu *vcpu, u64 dr6_bits)
{
	queue_exception(vcpu, X86_TRAP_DB, false, 0, true, dr6_bits);
	return OST_RUN;
}

/*
 * INT3 and INTO push the RIP behind them: what the VMM raises in their place has to know of the instruction,
 * if it is there.
 */
static void find_soft_length(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;

	e->exception.soft_len = 0;
	e->exception.soft = false;
	/* The emulator holds the instruction that userspace is about to finish. */
	if (vcpu->io.complete)
		return;
	if (e->exception.vector == X86_TRAP_BP)
		e->exception.soft_len = ost_insn_len(vcpu, OST_INSN_INT3);
	else if (e->exception.vector == X86_TRAP_OF)
		e->exception.soft_len = ost_insn_len(vcpu, OST_INSN_INTO);
	e->exception.soft = e->exception.soft_len;
}

void ost_breakpoint(struct ost_vcpu *vcpu)
{
	queue_exception(vcpu, X86_TRAP_BP, false, 0, false, 0);
	find_soft_length(vcpu);
}

/* CR2 and DR6 change when the exception is delivered, not when it is recognised. */
static void apply_payload(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;

	if (!e->exception.has_payload)
		return;
	e->exception.has_payload = false;
	switch (e->exception.vector) {
	case X86_TRAP_PF:
		vcpu->cr2 = e->exception.payload;
		break;
	case X86_TRAP_DB:
		/*
		 * B0-B3 are those of this exception; BD, BS and BT add up (SDM vol. 3B, 17.2.3). Delivery
		 * clears DR7.GD (APM vol. 2, 13.1.1.4).
		 */
		vcpu->dr6 &= ~(u64)DR_TRAP_BITS;
		vcpu->dr6 = ost_dr6_fixed(vcpu->dr6 | e->exception.payload);
		vcpu->dr7 &= ~(u64)OST_DR7_GD;
		ost_debug_update(vcpu);
		break;
	}
}

void ost_nmi(struct ost_vcpu *vcpu)
{
	atomic_inc(&vcpu->event.nmi_queued);
	ost_request(vcpu, OST_REQ_EVENT);
	ost_vcpu_kick(vcpu);
}

/* One NMI may be delivered while another waits behind its blocking; further ones merge. */
static void collect_nmis(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;
	u32 limit;

	if (likely(!atomic_read(&e->nmi_queued)))
		return;
	limit = (e->nmi.injected || ost_backend->get_nmi_mask(vcpu)) ? 1 : 2;
	e->nmi.pending = min_t(u32, limit, e->nmi.pending + atomic_xchg(&e->nmi_queued, 0));
}

int ost_interrupt_from_user(struct ost_vcpu *vcpu, u8 vector)
{
	if (vcpu->event.interrupt.user_pending)
		return -EEXIST;
	vcpu->event.interrupt.user_vector = vector;
	vcpu->event.interrupt.user_pending = true;
	ost_request(vcpu, OST_REQ_EVENT);
	return 0;
}

bool ost_ready_for_interrupt(struct ost_vcpu *vcpu)
{
	return !vcpu->event.interrupt.user_pending && !vcpu->event.interrupt.injected &&
	       (!vcpu->apic || ost_lapic_lint0_open(vcpu)) && static_call(ost_irq_allowed)(vcpu);
}

void ost_events_delivered(struct ost_vcpu *vcpu)
{
	vcpu->event.exception.injected = false;
	vcpu->event.interrupt.injected = false;
	vcpu->event.nmi.injected = false;
}

void ost_requeue_exception(struct ost_vcpu *vcpu, u8 vector, bool has_error, u32 error_code,
			   bool soft, u8 soft_len)
{
	struct ost_events *e = &vcpu->event;

	vcpu->stats.reinjections++;
	e->exception.injected = true;
	e->exception.pending = false;
	e->exception.has_payload = false;
	e->exception.vector = vector;
	e->exception.has_error_code = has_error;
	e->exception.error_code = error_code;
	e->exception.soft = soft;
	e->exception.soft_len = soft_len;
	ost_request(vcpu, OST_REQ_EVENT);
}

void ost_requeue_irq(struct ost_vcpu *vcpu, u8 vector, bool soft, u8 soft_len)
{
	struct ost_events *e = &vcpu->event;

	vcpu->stats.reinjections++;
	e->interrupt.injected = true;
	e->interrupt.vector = vector;
	e->interrupt.soft = soft;
	e->interrupt.soft_len = soft_len;
	ost_request(vcpu, OST_REQ_EVENT);
}

void ost_requeue_nmi(struct ost_vcpu *vcpu)
{
	vcpu->stats.reinjections++;
	vcpu->event.nmi.injected = true;
	ost_request(vcpu, OST_REQ_EVENT);
}

static bool irq_waiting(struct ost_vcpu *vcpu)
{
	if (!vcpu->apic)
		return vcpu->event.interrupt.user_pending;
	return ost_irq_peek(vcpu) >= 0;
}

static int take_irq(struct ost_vcpu *vcpu)
{
	if (vcpu->apic)
		return ost_irq_ack(vcpu);
	vcpu->event.interrupt.user_pending = false;
	return vcpu->event.interrupt.user_vector;
}

static int inject_exception(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;

	trace_ost_inj_exception(vcpu, e->exception.vector, e->exception.has_error_code,
				e->exception.error_code);
	vcpu->stats.exceptions++;
	return ost_backend->inject_exception(vcpu);
}

/* Something is in this entry already when this answers true. */
static bool reinject(struct ost_vcpu *vcpu, int *r)
{
	struct ost_events *e = &vcpu->event;

	if (e->exception.injected) {
		*r = inject_exception(vcpu);
		return true;
	}
	/*
	 * One that was raised in the middle of another event's delivery goes before it, or that would only
	 * raise it again; the event itself is then lost, as it is to a CPU.
	 */
	if (e->exception.pending)
		return false;
	if (e->nmi.injected) {
		ost_backend->inject_nmi(vcpu);
		return true;
	}
	if (e->interrupt.injected) {
		static_call(ost_inject_irq)(vcpu);
		return true;
	}
	return false;
}

int ost_events_inject(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;
	bool full;
	int r = 0;

	if (unlikely(vcpu->pv.eoi_offered) && !ost_pv_eoi_sync(vcpu)) {
		/* The entry is given up for the request that has been made, and this comes again behind it. */
		ost_request(vcpu, OST_REQ_EVENT);
		return 0;
	}
	full = reinject(vcpu, &r);
	if (r < 0)
		return r;
	if (e->exception.pending && !full) {
		apply_payload(vcpu);
		/*
		 * Faults are delivered with RF set in the saved RFLAGS, so that an instruction breakpoint
		 * does not come again (SDM vol. 3B, 17.3.1.1). #DB may be a trap, its RF is the guest's.
		 */
		if (e->exception.vector != X86_TRAP_DB && e->exception.vector != X86_TRAP_BP &&
		    e->exception.vector != X86_TRAP_OF)
			ost_reg_set(vcpu, OST_REG_RFLAGS, ost_rflags(vcpu) | X86_EFLAGS_RF);
		e->exception.pending = false;
		e->exception.injected = true;
		r = inject_exception(vcpu);
		if (r < 0)
			return r;
		full = true;
	}

	if (unlikely(vcpu->debug.control) && ost_debug_blocks_events(vcpu)) {
		/* Nor is a lower TPR worth an exit. */
		if (vcpu->apic)
			ost_backend->update_tpr(vcpu, ost_lapic_cr8(vcpu), -1);
		return 0;
	}

	collect_nmis(vcpu);
	if (e->nmi.pending) {
		if (!full && ost_backend->nmi_allowed(vcpu)) {
			e->nmi.pending--;
			e->nmi.injected = true;
			vcpu->stats.nmi_injections++;
			ost_backend->inject_nmi(vcpu);
			full = true;
		}
		if (e->nmi.pending)
			ost_backend->open_nmi_window(vcpu);
	}

	if (irq_waiting(vcpu)) {
		if (!full && static_call(ost_irq_allowed)(vcpu)) {
			int vector = take_irq(vcpu);

			if (vector >= 0) {
				e->interrupt.injected = true;
				e->interrupt.soft = false;
				e->interrupt.vector = vector;
				vcpu->stats.irq_injections++;
				trace_ost_inj_irq(vcpu, vector, false);
				static_call(ost_inject_irq)(vcpu);
			}
		}
		if (irq_waiting(vcpu))
			ost_backend->open_irq_window(vcpu);
	} else if (unlikely(vcpu->user_pic) && READ_ONCE(vcpu->run->request_interrupt_window) &&
		   (!vcpu->apic || ost_lapic_lint0_open(vcpu))) {
		ost_backend->open_irq_window(vcpu);
	}
	if (vcpu->apic && ost_lapic_enabled(vcpu))
		ost_backend->update_tpr(vcpu, ost_lapic_cr8(vcpu), ost_lapic_max_irr(vcpu));
	return 0;
}

bool ost_events_wake(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;

	if (e->exception.pending || e->exception.injected || e->nmi.injected ||
	    e->interrupt.injected)
		return true;
	if ((e->nmi.pending || atomic_read(&e->nmi_queued)) && ost_backend->nmi_allowed(vcpu))
		return true;
	if (vcpu->apic ? !ost_irq_pending(vcpu) : !irq_waiting(vcpu))
		return false;
	return static_call(ost_irq_allowed)(vcpu);
}

/* Would what KVM_INTERRUPT has brought be put into an entry now, before anything else? */
static bool user_irq_fits(struct ost_vcpu *vcpu)
{
	const struct ost_events *e = &vcpu->event;

	return !e->exception.pending && !e->exception.injected && !e->nmi.injected &&
	       !e->interrupt.injected && ost_lapic_lint0_open(vcpu) &&
	       static_call(ost_irq_allowed)(vcpu);
}

void ost_get_events(struct ost_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	bool payloads = READ_ONCE(vcpu->vm->exception_payload);
	struct ost_events *e = &vcpu->event;

	/*
	 * Without KVM_CAP_EXCEPTION_PAYLOAD a pending exception has taken its effect on CR2 and DR6,
	 * and pending and injected are one.
	 */
	if (e->exception.pending && !payloads)
		apply_payload(vcpu);
	collect_nmis(vcpu);

	memset(out, 0, sizeof(*out));
	/* A software exception is raised again by its instruction. */
	if (!e->exception.soft) {
		out->exception.injected = e->exception.injected || (e->exception.pending && !payloads);
		out->exception.pending = e->exception.pending && payloads;
	}
	if (out->exception.pending && e->exception.has_payload) {
		out->exception_has_payload = 1;
		out->exception_payload = e->exception.payload;
	}
	out->exception.nr = e->exception.vector;
	out->exception.has_error_code = e->exception.has_error_code;
	out->exception.error_code = e->exception.error_code;
	out->interrupt.injected = e->interrupt.injected && !e->interrupt.soft;
	out->interrupt.nr = e->interrupt.vector;
	if (e->interrupt.user_pending && (!vcpu->apic || user_irq_fits(vcpu))) {
		out->interrupt.injected = 1;
		out->interrupt.nr = e->interrupt.user_vector;
	}
	out->interrupt.shadow = ost_backend->get_interrupt_shadow(vcpu);
	out->nmi.injected = e->nmi.injected;
	out->nmi.pending = e->nmi.pending;
	out->nmi.masked = ost_backend->get_nmi_mask(vcpu);
	out->sipi_vector = 0;
	out->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	ost_smm_get_events(vcpu, out);
	if (payloads)
		out->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (READ_ONCE(vcpu->vm->triple_fault_event)) {
		out->triple_fault.pending = test_bit(OST_REQ_TRIPLE_FAULT, &vcpu->requests);
		out->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	}
}

/* Flags that the VMM has asked for by KVM_ENABLE_CAP, and values that can be. */
static bool events_valid(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	u32 known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		    KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	bool pending = (in->flags & KVM_VCPUEVENT_VALID_PAYLOAD) && in->exception.pending;

	if (READ_ONCE(vcpu->vm->exception_payload))
		known |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (READ_ONCE(vcpu->vm->triple_fault_event))
		known |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	if (in->flags & ~known)
		return false;
	if (!ost_smm_events_valid(vcpu, in))
		return false;
	if ((in->exception.injected || pending) &&
	    (in->exception.nr > 31 || in->exception.nr == X86_TRAP_NMI))
		return false;
	return !(in->flags & KVM_VCPUEVENT_VALID_SHADOW) ||
	       !(in->interrupt.shadow & ~(KVM_X86_SHADOW_INT_MOV_SS | KVM_X86_SHADOW_INT_STI));
}

static void set_triple_fault(struct ost_vcpu *vcpu, bool pending)
{
	if (pending)
		ost_request(vcpu, OST_REQ_TRIPLE_FAULT);
	else
		clear_bit(OST_REQ_TRIPLE_FAULT, &vcpu->requests);
}

int ost_set_events(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	struct ost_events *e = &vcpu->event;
	bool waits = vcpu->apic && e->interrupt.user_pending;
	u8 vector = e->interrupt.user_vector;
	int r;

	if (!events_valid(vcpu, in))
		return -EINVAL;
	r = ost_smm_set_events(vcpu, in);
	if (r)
		return r;

	memset(&e->exception, 0, sizeof(e->exception));
	e->exception.pending = (in->flags & KVM_VCPUEVENT_VALID_PAYLOAD) && in->exception.pending;
	e->exception.injected = in->exception.injected && !e->exception.pending;
	if (e->exception.pending && in->exception_has_payload) {
		e->exception.has_payload = true;
		e->exception.payload = in->exception_payload;
	}
	e->exception.vector = in->exception.nr;
	e->exception.has_error_code = in->exception.has_error_code;
	e->exception.error_code = in->exception.error_code;
	if (e->exception.injected || e->exception.pending)
		find_soft_length(vcpu);

	memset(&e->interrupt, 0, sizeof(e->interrupt));
	e->interrupt.injected = in->interrupt.injected;
	e->interrupt.vector = in->interrupt.nr;
	/* An ExtINT of userspace's PIC waits on, unless KVM_GET_VCPU_EVENTS has told of it as injected. */
	e->interrupt.user_pending = waits && !(in->interrupt.injected && in->interrupt.nr == vector);
	e->interrupt.user_vector = vector;
	/* KVM_INTERRUPT sets soft never; a restored software interrupt is injected as one. */
	e->interrupt.soft = in->interrupt.soft;
	if (in->flags & KVM_VCPUEVENT_VALID_SHADOW)
		ost_backend->set_interrupt_shadow(vcpu, in->interrupt.shadow);

	e->nmi.injected = in->nmi.injected;
	if (in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		atomic_set(&e->nmi_queued, 0);
		e->nmi.pending = min_t(u8, in->nmi.pending, 2);
	}
	ost_backend->set_nmi_mask(vcpu, in->nmi.masked);
	if ((in->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR) && vcpu->apic)
		WRITE_ONCE(vcpu->pending_ipi_vector, in->sipi_vector & 0xff);
	if (in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		set_triple_fault(vcpu, in->triple_fault.pending);
	ost_request(vcpu, OST_REQ_EVENT);
	return 0;
}
