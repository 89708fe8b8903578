// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_SET_GUEST_DEBUG (guestdebug.h): breakpoints and single steps of a debugger that the guest knows
 * nothing of.
 *
 * One step is one instruction, whoever executes it: the CPU, whose #DB exits; a handler of an exit, by
 * ost_advance_rip(); or the emulator. TF must not get into what the guest can read, as far as that goes
 * without executing all of its code here: PUSHF and POPF are emulated, and an event that is injected goes in
 * without TF, by an entry that ends right behind the delivery. Frames that the guest's own instructions
 * cause (INT n, faults) do hold it.
 */
#include <linux/kvm.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>
#include "backend.h"
#include "event.h"
#include "exit.h"
#include "guestdebug.h"
#include "io.h"
#include "vcpu.h"

static bool stepping(const struct ost_vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP;
}

/* --- TF --- */

u64 ost_debug_hide_tf(struct ost_vcpu *vcpu, u64 rflags)
{
	if (stepping(vcpu) && !vcpu->debug.own_tf)
		rflags &= ~(u64)X86_EFLAGS_TF;
	return rflags;
}

u64 ost_debug_take_tf(struct ost_vcpu *vcpu, u64 rflags)
{
	vcpu->debug.own_tf = rflags & X86_EFLAGS_TF;
	if (stepping(vcpu))
		rflags |= X86_EFLAGS_TF;
	return rflags;
}

static void set_tf(struct ost_vcpu *vcpu, bool on)
{
	u64 rflags = ost_rflags(vcpu);

	if (!(rflags & X86_EFLAGS_TF) == !on)
		return;
	ost_reg_set(vcpu, OST_REG_RFLAGS, rflags ^ X86_EFLAGS_TF);
}

/* --- debug registers --- */

void ost_debug_update(struct ost_vcpu *vcpu)
{
	bool theirs = vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP;

	vcpu->hw_dr7 = theirs ? vcpu->debug.dr7 : vcpu->dr7;
	vcpu->dr_load = vcpu->dr_live || vcpu->debug.kick ||
			(vcpu->hw_dr7 & (DR_LOCAL_ENABLE_MASK | DR_GLOBAL_ENABLE_MASK));
	ost_backend->update_debug(vcpu);
}

void ost_debug_dr7_changed(struct ost_vcpu *vcpu, u64 dr7)
{
	/* A debugger's stays as it was set. */
	if (vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP)
		return;
	vcpu->dr7 = dr7;
	ost_debug_update(vcpu);
}

/* --- exits to the debugger --- */

/* RIP as a linear address; segments other than those of 64-bit code have bases. */
static u64 linear_rip(struct ost_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (ost_mode64(vcpu))
		return ost_rip(vcpu);
	ost_backend->get_segment(vcpu, OST_SEG_CS, &cs);
	return (u32)(cs.base + ost_rip(vcpu));
}

static int tell(struct ost_vcpu *vcpu, u32 vector, u64 dr6)
{
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;

	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	arch->exception = vector;
	arch->pad = 0;
	arch->pc = linear_rip(vcpu);
	arch->dr6 = dr6;
	arch->dr7 = vcpu->hw_dr7;
	return OST_USER;
}

int ost_debug_tell_step(struct ost_vcpu *vcpu)
{
	vcpu->debug.step_due = false;
	return tell(vcpu, X86_TRAP_DB, OST_DR6_FIXED_1 | DR_STEP);
}

int ost_single_step(struct ost_vcpu *vcpu)
{
	if (!stepping(vcpu))
		return ost_debug_exception(vcpu, DR_STEP);
	if (vcpu->debug.own_tf)
		ost_debug_exception(vcpu, DR_STEP);
	return ost_debug_tell_step(vcpu);
}

void ost_debug_step_later(struct ost_vcpu *vcpu)
{
	vcpu->debug.step_due = true;
}

int ost_exit_db(struct ost_vcpu *vcpu, u64 dr6_bits)
{
	u64 theirs = 0, guests = dr6_bits;

	if (likely(!vcpu->debug.control))
		return ost_debug_exception(vcpu, dr6_bits);
	if (stepping(vcpu)) {
		theirs |= dr6_bits & DR_STEP;
		if (!(ost_rflags(vcpu) & X86_EFLAGS_TF))
			vcpu->debug.own_tf = false;
		if (!vcpu->debug.own_tf)
			guests &= ~(u64)DR_STEP;
	}
	if (vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP) {
		theirs |= dr6_bits & (DR_TRAP_BITS | OST_DR6_BD);
		guests &= ~(u64)(DR_TRAP_BITS | OST_DR6_BD);
	}
	if (guests || !theirs)
		ost_debug_exception(vcpu, guests);
	return theirs ? tell(vcpu, X86_TRAP_DB, OST_DR6_FIXED_1 | theirs) : OST_RUN;
}

int ost_exit_bp(struct ost_vcpu *vcpu)
{
	return tell(vcpu, X86_TRAP_BP, OST_DR6_FIXED_1);
}

int ost_debug_mov_dr(struct ost_vcpu *vcpu)
{
	/* CPUs differ in which comes first, the exit or the #DB of GD; with GD it was one to tell. */
	if ((vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP) && (vcpu->hw_dr7 & OST_DR7_GD) &&
	    !static_call(ost_get_cpl)(vcpu))
		return tell(vcpu, X86_TRAP_DB, OST_DR6_FIXED_1 | OST_DR6_BD);
	return ost_emulate_instruction(vcpu);
}

/* --- around entries --- */

int ost_debug_resume(struct ost_vcpu *vcpu)
{
	if (vcpu->debug.step_due)
		return ost_debug_tell_step(vcpu);
	/* Has ost_debug_prepare() called. */
	ost_request(vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

bool ost_debug_blocks_events(struct ost_vcpu *vcpu)
{
	if (vcpu->debug.control & KVM_GUESTDBG_BLOCKIRQ)
		return true;
	/* See below: the shadow does not last, so nothing may come in its place. */
	return stepping(vcpu) && ost_backend->get_interrupt_shadow(vcpu);
}

static bool event_in_entry(const struct ost_vcpu *vcpu)
{
	const struct ost_events *e = &vcpu->event;

	return e->exception.injected || e->interrupt.injected || e->nmi.injected;
}

static void set_kick(struct ost_vcpu *vcpu, bool on)
{
	if (vcpu->debug.kick == on)
		return;
	vcpu->debug.kick = on;
	ost_debug_update(vcpu);
}

int ost_debug_prepare(struct ost_vcpu *vcpu)
{
	int r;

	if (!stepping(vcpu)) {
		set_kick(vcpu, ost_smi_behind_event(vcpu));
		return OST_RUN;
	}
	/* What was executed since TF was set has cleared it: an IRET, or the delivery of an event. */
	if (!(ost_rflags(vcpu) & X86_EFLAGS_TF))
		vcpu->debug.own_tf = false;
	if (event_in_entry(vcpu)) {
		set_tf(vcpu, vcpu->debug.own_tf);
		set_kick(vcpu, true);
		return OST_RUN;
	}
	set_kick(vcpu, false);
	set_tf(vcpu, true);
	r = ost_emulate_flags_access(vcpu);
	if (r != -EOPNOTSUPP) {
		ost_request(vcpu, OST_REQ_EVENT);
		return r;
	}
	/*
	 * VT-x takes TF together with a shadow of STI or MOV SS for a step that is due before the next
	 * instruction (SDM vol. 3C, 27.3.1.5).
	 */
	ost_backend->set_interrupt_shadow(vcpu, 0);
	return OST_RUN;
}

/* --- the ioctl --- */

static int inject(struct ost_vcpu *vcpu, u32 control)
{
	struct ost_events *e = &vcpu->event;

	if (!(control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)))
		return 0;
	if (e->exception.pending || e->exception.injected)
		return -EBUSY;
	if (control & KVM_GUESTDBG_INJECT_DB)
		ost_exception(vcpu, X86_TRAP_DB, OST_NO_ERROR_CODE);
	else
		ost_breakpoint(vcpu);
	return 0;
}

int ost_set_guest_debug(struct ost_vcpu *vcpu, const struct kvm_guest_debug *in)
{
	const u32 inject_bits = KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP;
	struct ost_guest_debug *d = &vcpu->debug;
	u32 control = in->control, old = d->control;
	u64 rflags;
	int r;

	if (control & ~(u32)OST_GUESTDBG_FLAGS)
		return -EINVAL;
	if ((control & KVM_GUESTDBG_USE_HW_BP) && (in->arch.debugreg[7] >> 32))
		return -EINVAL;
	r = inject(vcpu, control);
	if (r)
		return r;

	rflags = ost_guest_rflags(vcpu);
	d->control = control & KVM_GUESTDBG_ENABLE ? control & ~inject_bits : 0;
	d->step_due = false;
	d->kick = false;
	memcpy(d->dr, in->arch.debugreg, sizeof(d->dr));
	d->dr7 = ost_dr7_fixed(in->arch.debugreg[7]);
	ost_reg_set(vcpu, OST_REG_RFLAGS, ost_debug_take_tf(vcpu, rflags));
	/* The MOV DR that the next entry was for exits again: the registers in the CPU may be the debugger's now. */
	vcpu->dr_live = false;
	ost_debug_update(vcpu);
	/* Its kick was taken back above. */
	if (ost_smi_behind_event(vcpu))
		ost_request(vcpu, OST_REQ_SMI);
	/* A CPU that delivers interrupts by itself asks nobody. */
	if (((old ^ d->control) & OST_GUESTDBG_NO_DELIVERY) && ost_backend->apic_changed)
		ost_backend->apic_changed(vcpu);
	ost_request(vcpu, OST_REQ_EVENT);
	return 0;
}
