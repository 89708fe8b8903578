// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_RUN: the loop of entries and exits, halting, and what ends it.
 *
 * One pass: requests, FPU, events, interrupts off, a last look, the entry (backend), interrupts on,
 * the exit's handler. Preemption stays off and the guest's FPU stays in the registers over as many
 * exits as need no sleep; whatever has to sleep calls ost_vcpu_preemptible() first.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include "backend.h"
#include "compat.h"
#include "hw.h"
#include "irqchip/irqchip.h"
#include "run.h"
#include "syncregs.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

static unsigned int halt_poll_max_ns = 200000;
module_param(halt_poll_max_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_max_ns, "longest time a halted vCPU polls before it sleeps (default: 200000, 0: never)");

/* Where adaptive polling starts from. */
#define HALT_POLL_START_NS 10000

static void leave_guest_mode(struct ost_vcpu *vcpu)
{
	/* The next kick need not interrupt us: what it asks for is seen before the next entry. */
	smp_store_release(&vcpu->mode, OST_MODE_OUTSIDE);
}

/*
 * The part with interrupts off. OST_EXIT_SLOW when the guest ran and its last exit is to be handled, else what
 * came of that. Returns with interrupts on.
 */
static enum ost_exit_fast enter_guest(struct ost_vcpu *vcpu)
{
	enum ost_exit_fast fast;

	local_irq_disable();
	/*
	 * Whoever makes a request, sets the bit and then looks at the mode; we set the mode and then look
	 * at the bits: one of the two sees the other.
	 */
	WRITE_ONCE(vcpu->mode, OST_MODE_IN_GUEST);
	smp_mb();
	if (unlikely(ost_request_pending(vcpu) || ost_kernel_wants_us() || !ost_hw_usable())) {
		leave_guest_mode(vcpu);
		ost_backend->cancel_injection(vcpu);
		ost_request(vcpu, OST_REQ_EVENT);
		local_irq_enable();
		return OST_EXIT_DONE;
	}

	ost_user_msrs_load(vcpu);
	trace_ost_entry(vcpu);
	guest_timing_enter_irqoff();
	fast = static_call(ost_run)(vcpu);
	leave_guest_mode(vcpu);
	static_call(ost_handle_exit_irqoff)(vcpu);

	/*
	 * A host interrupt that ended the run is taken here, if it was not above; its tick is to be accounted
	 * to the guest, so the accounting ends after it.
	 */
	local_irq_enable();
	nop();
	local_irq_disable();
	guest_timing_exit_irqoff();
	local_irq_enable();
	return fast;
}

/* One pass of the loop. OST_RUN, OST_USER or -errno. */
static int run_once(struct ost_vcpu *vcpu)
{
	enum ost_exit_fast fast;
	int r;

	if (ost_request_pending(vcpu)) {
		r = ost_handle_requests(vcpu);
		/* An INIT may have been among them. */
		if (r != OST_RUN || !ost_vcpu_runnable(vcpu))
			return r;
	}
	if (!vcpu->fpu.loaded)
		ost_fpu_load(vcpu);
	if (ost_request_take(vcpu, OST_REQ_EVENT)) {
		r = ost_events_inject(vcpu);
		if (r < 0)
			return r;
		if (unlikely(vcpu->debug.control)) {
			r = ost_debug_prepare(vcpu);
			if (r != OST_RUN)
				return r;
			if (!vcpu->fpu.loaded)
				ost_fpu_load(vcpu);
		}
	}
	fast = enter_guest(vcpu);
	if (fast == OST_EXIT_SLOW)
		return static_call(ost_handle_exit)(vcpu);
	return fast == OST_EXIT_USER ? OST_USER : OST_RUN;
}

/* --- halting --- */

static bool init_sipi_pending(struct ost_vcpu *vcpu)
{
	return READ_ONCE(vcpu->pending_init_sipi) && !vcpu->smm.active;
}

/* Is there an event for the guest? */
static bool event_waits(struct ost_vcpu *vcpu)
{
	if (test_bit(OST_REQ_TRIPLE_FAULT, &vcpu->requests) ||
	    test_bit(OST_REQ_VM_DEAD, &vcpu->requests))
		return true;
	if (vcpu->event.exception.pending || vcpu->event.exception.injected)
		return true;
	if (ost_smi_wakes(vcpu))
		return true;
	if (vcpu->apic && ost_lapic_timer_pending(vcpu))
		ost_lapic_timer_inject(vcpu);
	return ost_events_wake(vcpu);
}

/* A kick is for the guest's HLT, not for one of its SMM's handler. */
static bool kick_waits(struct ost_vcpu *vcpu)
{
	return READ_ONCE(vcpu->pv.unhalted) && !vcpu->smm.active;
}

/* Would something take the vCPU out of HLT? */
static bool wakes_from_halt(struct ost_vcpu *vcpu)
{
	return kick_waits(vcpu) || event_waits(vcpu);
}

bool ost_vcpu_runnable(struct ost_vcpu *vcpu)
{
	return READ_ONCE(vcpu->mp_state) == KVM_MP_STATE_RUNNABLE;
}

static bool may_stop_waiting(struct ost_vcpu *vcpu)
{
	if (init_sipi_pending(vcpu) || test_bit(OST_REQ_VM_DEAD, &vcpu->requests))
		return true;
	/* The interrupt that tells of a page is made by this thread. */
	if (test_bit(OST_REQ_APF, &vcpu->requests))
		return true;
	return READ_ONCE(vcpu->mp_state) == KVM_MP_STATE_HALTED && wakes_from_halt(vcpu);
}

/* Polls for a while before sleeping: a wake-up that comes soon is cheaper caught than slept for. */
static bool poll_halted(struct ost_vcpu *vcpu)
{
	u32 poll_ns = min(vcpu->halt_poll_ns, READ_ONCE(halt_poll_max_ns));
	ktime_t stop;

	if (!poll_ns || !(vcpu->pv.poll_control & 1))
		return false;
	stop = ktime_add_ns(ktime_get(), poll_ns);
	do {
		if (may_stop_waiting(vcpu)) {
			vcpu->stats.halt_polls_hit++;
			return true;
		}
		if (signal_pending(current) || need_resched() || !single_task_running())
			break;
		cpu_relax();
	} while (ktime_before(ktime_get(), stop));
	vcpu->stats.halt_polls_missed++;
	return false;
}

/* Longer polls where sleeps turned out short, none where they were long. */
static void adapt_polling(struct ost_vcpu *vcpu, u64 slept_ns)
{
	u32 max_ns = READ_ONCE(halt_poll_max_ns);

	if (slept_ns > max_ns)
		vcpu->halt_poll_ns = 0;
	else if (vcpu->halt_poll_ns < max_ns)
		vcpu->halt_poll_ns = min_t(u64, max_ns,
					   max_t(u64, vcpu->halt_poll_ns * 2, HALT_POLL_START_NS));
}

static void wait_halted(struct ost_vcpu *vcpu)
{
	ktime_t start;

	if (READ_ONCE(vcpu->mp_state) == KVM_MP_STATE_HALTED && poll_halted(vcpu))
		return;
	start = ktime_get();
	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (may_stop_waiting(vcpu) || signal_pending(current))
			break;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	adapt_polling(vcpu, ktime_to_ns(ktime_sub(ktime_get(), start)));
}

/* Sees to what would keep a vCPU asleep that something is to wake. */
static void prepare_to_sleep(struct ost_vcpu *vcpu)
{
	ost_lapic_timer_to_host(vcpu);
	/* What the guest has ended by its memory must not hold back what would wake it. */
	if (vcpu->pv.eoi_offered)
		ost_pv_eoi_slow(vcpu);
}

void ost_vcpu_wait_page(struct ost_vcpu *vcpu)
{
	prepare_to_sleep(vcpu);
	vcpu->pv.between = true;
	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (test_bit(OST_REQ_APF, &vcpu->requests) || init_sipi_pending(vcpu) ||
		    event_waits(vcpu) || signal_pending(current))
			break;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	vcpu->pv.between = false;
}

/* Not runnable: waits for what makes it so. OST_RUN, or -EINTR. */
static int wait_runnable(struct ost_vcpu *vcpu)
{
	ost_vcpu_preemptible(vcpu);
	if (READ_ONCE(vcpu->mp_state) == KVM_MP_STATE_HALTED)
		vcpu->stats.halts++;
	prepare_to_sleep(vcpu);
	vcpu->pv.between = true;
	wait_halted(vcpu);
	vcpu->pv.between = false;

	if (test_bit(OST_REQ_VM_DEAD, &vcpu->requests))
		return -EIO;
	if (init_sipi_pending(vcpu))
		ost_lapic_accept_init_sipi(vcpu);
	if (unlikely(ost_request_take(vcpu, OST_REQ_APF)))
		ost_apf_ready(vcpu);
	if (READ_ONCE(vcpu->mp_state) == KVM_MP_STATE_HALTED && wakes_from_halt(vcpu)) {
		bool kicked = kick_waits(vcpu) && xchg(&vcpu->pv.unhalted, false);

		/* Whom a kick has woken too does not go back behind the SMI. */
		vcpu->smm.from_halt = !kicked && ost_smi_wakes(vcpu);
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
		ost_request(vcpu, OST_REQ_EVENT);
	}
	return OST_RUN;
}

/* --- KVM_RUN --- */

/* Userspace has the PIC, and wants to know when it may send an interrupt. */
static bool wants_irq_window(struct ost_vcpu *vcpu)
{
	return vcpu->user_pic && READ_ONCE(vcpu->run->request_interrupt_window) &&
	       ost_ready_for_interrupt(vcpu);
}

static int run_loop(struct ost_vcpu *vcpu)
{
	int r;

	for (;;) {
		if (ost_vcpu_runnable(vcpu))
			r = run_once(vcpu);
		else
			r = wait_runnable(vcpu);
		if (r != OST_RUN)
			return r;
		if (unlikely(wants_irq_window(vcpu))) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			return OST_USER;
		}
		if (unlikely(ost_kernel_wants_us() || !ost_vcpu_runnable(vcpu))) {
			vcpu->pv.between = true;
			ost_vcpu_preemptible(vcpu);
			r = signal_pending(current) ? -EINTR : ost_xfer_work();
			vcpu->pv.between = false;
			if (r)
				return r;
		}
		if (unlikely(!raw_cpu_read(ost_hw_on))) {
			/* This CPU is going down: the scheduler moves us as soon as we let it. */
			ost_vcpu_preemptible(vcpu);
			if (READ_ONCE(ost_hw_dead))
				return -EIO;
			schedule_timeout_killable(1);
			if (signal_pending(current))
				return -EINTR;
		}
	}
}

/*
 * Out of the kernel a vCPU that has halted by itself is one like the others that are halted: KVM_GET_MP_STATE
 * tells of it, and the next KVM_RUN waits. Without a LAPIC of ours there is no such state, and it goes on.
 */
static void note_halt(struct ost_vcpu *vcpu)
{
	if (ost_backend->unhalt && ost_backend->unhalt(vcpu) && vcpu->apic && ost_vcpu_runnable(vcpu))
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_HALTED);
}

static void fill_run(struct ost_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(ost_rflags(vcpu) & X86_EFLAGS_IF);
	run->flags = vcpu->smm.active ? KVM_RUN_X86_SMM : 0;
	run->cr8 = ost_get_cr8(vcpu);
	run->apic_base = vcpu->apic_base;
	run->ready_for_interrupt_injection = !vcpu->user_pic || ost_ready_for_interrupt(vcpu);
}

bool ost_vcpu_run_over(struct ost_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (!ost_immediate_exit(run) || vcpu->io.complete || vcpu->sigmask_set ||
	    ost_sync_regs_wanted(run))
		return false;
	if ((!vcpu->apic && READ_ONCE(run->cr8) != vcpu->cr8) ||
	    !static_call(ost_in_memory)(vcpu, OST_READS_RUN))
		return false;
	fill_run(vcpu);
	return true;
}

int ost_vcpu_run(struct ost_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int (*complete)(struct ost_vcpu *vcpu);
	int r;

	/*
	 * What the thread itself has blocked stays known as such: it ends KVM_RUN and then waits, rather
	 * than being dropped as ignored or killing the process by its default action.
	 */
	if (vcpu->sigmask_set)
		sigprocmask(SIG_SETMASK, &vcpu->sigmask, &current->real_blocked);

	if (unlikely(ost_sync_regs_wanted(run))) {
		r = ost_sync_regs_in(vcpu);
		if (r)
			goto out;
	}
	/* Without a LAPIC of ours CR8 is the VMM's to carry. */
	if (!vcpu->apic && ost_set_cr8(vcpu, run->cr8)) {
		r = -EINVAL;
		goto out;
	}
	/* Nothing else tells the injection that there is a window to open. */
	if (vcpu->user_pic && READ_ONCE(run->request_interrupt_window))
		ost_request(vcpu, OST_REQ_EVENT);
	r = OST_RUN;
	complete = vcpu->io.complete;
	if (complete) {
		vcpu->io.complete = NULL;
		r = complete(vcpu);
	}
	if (unlikely(vcpu->debug.control) && r == OST_RUN)
		r = ost_debug_resume(vcpu);
	if (r == OST_RUN) {
		/* As the stock module does, this leaves exit_reason to tell of the exit before. */
		if (ost_immediate_exit(run)) {
			r = -EINTR;
			goto out;
		}
		r = signal_pending(current) ? -EINTR : run_loop(vcpu);
	}
	ost_vcpu_preemptible(vcpu);
	if (unlikely(vcpu->dirty_ring.entries))
		ost_dirty_ring_sync(vcpu);
	if (unlikely(vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT))
		note_halt(vcpu);
	if (r == -EINTR)
		run->exit_reason = KVM_EXIT_INTR;
	if (r == OST_USER)
		vcpu->stats.user_exits++;
out:
	if (unlikely(ost_sync_regs_wanted(run)))
		ost_sync_regs_out(vcpu);
	fill_run(vcpu);
	if (vcpu->sigmask_set) {
		sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
		sigemptyset(&current->real_blocked);
	}
	return r > 0 ? 0 : r;
}
