// SPDX-License-Identifier: GPL-2.0-only
/*
 * The LAPIC's timer: one-shot, periodic and TSC-deadline (SDM 11.5.4). Pure: the clock and the
 * host's timer are reached through struct ost_lapic_ops.
 *
 * The count is not stored but computed from the time at which it reaches 0. The host's timer only
 * says that this time has come (ost_lapic_timer_fired, any context); the vCPU's own thread acts on
 * it. So whatever changes the timer first cancels the host's timer and deals with an expiry that is
 * pending: what expired before the change counts as such, and what is set up by the change can't be
 * hit by it.
 */
#include "lapic.h"

#define LONGEST_NS (1ull << 62)

static bool deadline_mode(const struct ost_lapic *apic)
{
	return ost_lapic_timer_in_deadline_mode(apic);
}

static bool periodic_mode(const struct ost_lapic *apic)
{
	return ost_lapic_timer_mode(apic) == APIC_LVT_TIMER_PERIODIC;
}

/* Divide configuration: bits 0, 1, 3 give 2, 4, 8 … 128, 1 (SDM figure 11-10). As a shift. */
static u32 divide_shift(const struct ost_lapic *apic)
{
	u32 tdcr = ost_lapic_reg(apic, APIC_TDCR);

	return (((tdcr & 3) | (tdcr & 8) >> 1) + 1) & 7;
}

static u64 count_to_ns(const struct ost_lapic *apic, u32 count)
{
	/* With slow clocks the longest times are beyond what the host's timers hold: that is never. */
	return min_t(u64, ((u64)count << divide_shift(apic)) * apic->tick_ns, LONGEST_NS);
}

/* The end of the period that goes on now; the ends before it are nobody's business. */
static void skip_periods(struct ost_lapic_timer *timer, u64 now_ns)
{
	if (now_ns >= timer->base_ns)
		timer->base_ns += (1 + (now_ns - timer->base_ns) / timer->period_ns) *
				  timer->period_ns;
}

/*
 * Brings state that the host's timer does not watch, because the entry is masked, up to now: what
 * passed meanwhile has ended without an interrupt.
 */
static void settle(struct ost_lapic *apic)
{
	struct ost_lapic_timer *timer = &apic->timer;
	u64 now_ns;

	if (timer->armed)
		return;
	if (deadline_mode(apic)) {
		if (timer->tsc_deadline && !apic->ops->tsc_left_ns(apic, timer->tsc_deadline))
			timer->tsc_deadline = 0;
	} else if (timer->running) {
		now_ns = apic->ops->now_ns(apic);
		if (periodic_mode(apic))
			skip_periods(timer, now_ns);
		else if (now_ns >= timer->base_ns)
			timer->running = false;
	}
}

/*
 * Before a change: settles the state, stops the host's timer and acts on what has expired.
 * Afterwards nothing is armed or pending, and base_ns is in the future but for the moments that
 * this takes.
 */
static void quiesce(struct ost_lapic *apic)
{
	struct ost_lapic_timer *timer = &apic->timer;
	u64 due_ns, now_ns;

	settle(apic);
	if (timer->armed) {
		due_ns = apic->ops->timer_cancel(apic);
		timer->armed = false;
		/* The time may have come, only the host was late; a deadline's comes by the TSC. */
		if (deadline_mode(apic)) {
			if (!apic->ops->tsc_left_ns(apic, timer->tsc_deadline))
				ost_lapic_timer_fired(apic);
		} else {
			now_ns = apic->ops->now_ns(apic);
			if (due_ns && now_ns >= due_ns)
				ost_lapic_timer_fired(apic);
			if (timer->running && periodic_mode(apic))
				skip_periods(timer, now_ns);
		}
	}
	ost_lapic_timer_expire(apic);
}

/* Programs the host's timer for what the state says. Nothing is armed or pending before. */
static void program(struct ost_lapic *apic)
{
	struct ost_lapic_timer *timer = &apic->timer;
	u64 left_ns;

	/*
	 * While the entry is masked an expiry has no effect that is not computed when somebody
	 * looks.
	 */
	if (ost_lapic_masked(apic, APIC_LVTT))
		return;
	if (deadline_mode(apic)) {
		if (!timer->tsc_deadline)
			return;
		left_ns = apic->ops->tsc_left_ns(apic, timer->tsc_deadline);
		if (!left_ns) {
			ost_lapic_timer_fired(apic);
			ost_lapic_timer_expire(apic);
			return;
		}
		timer->armed = true;
		apic->ops->deadline_arm(apic, timer->tsc_deadline, left_ns);
		return;
	}
	if (!timer->running)
		return;
	timer->armed = true;
	if (periodic_mode(apic))
		apic->ops->timer_arm(apic, timer->base_ns,
				     max_t(u64, timer->period_ns, OST_LAPIC_MIN_PERIOD_NS));
	else
		apic->ops->timer_arm(apic, timer->base_ns, 0);
}

void ost_lapic_timer_expire(struct ost_lapic *apic)
{
	struct ost_lapic_timer *timer = &apic->timer;

	if (!test_and_clear_bit(0, &timer->pending))
		return;
	if (deadline_mode(apic)) {
		/* SDM 11.5.4.1: the MSR reads 0 once the deadline has passed. */
		timer->tsc_deadline = 0;
		timer->armed = false;
	} else if (!periodic_mode(apic)) {
		timer->running = false;
		timer->armed = false;
	}
	ost_lapic_local(apic, APIC_LVTT);
}

void ost_lapic_timer_start(struct ost_lapic *apic, u32 count)
{
	struct ost_lapic_timer *timer = &apic->timer;

	/* SDM 11.5.4.1: in TSC-deadline mode the counter stands still. */
	if (deadline_mode(apic))
		return;
	quiesce(apic);
	timer->period_ns = count_to_ns(apic, ost_lapic_reg(apic, APIC_TMICT));
	timer->running = count && timer->period_ns;
	if (!timer->running)
		return;
	timer->base_ns = apic->ops->now_ns(apic) + count_to_ns(apic, count);
	program(apic);
}

void ost_lapic_timer_stop(struct ost_lapic *apic)
{
	struct ost_lapic_timer *timer = &apic->timer;

	if (timer->armed)
		apic->ops->timer_cancel(apic);
	timer->armed = false;
	timer->running = false;
	timer->tsc_deadline = 0;
	WRITE_ONCE(timer->pending, 0);
}

u32 ost_lapic_timer_count(struct ost_lapic *apic)
{
	const struct ost_lapic_timer *timer = &apic->timer;
	u64 now_ns, left_ns, count;

	if (!timer->running || deadline_mode(apic))
		return 0;
	now_ns = apic->ops->now_ns(apic);
	if (now_ns < timer->base_ns)
		left_ns = timer->base_ns - now_ns;
	else if (periodic_mode(apic))
		left_ns = timer->period_ns - (now_ns - timer->base_ns) % timer->period_ns;
	else
		return 0;
	/*
	 * Rounded up: the full count is seen for a whole tick, and 0 only when the time has come.
	 */
	count = (left_ns + count_to_ns(apic, 1) - 1) / count_to_ns(apic, 1);
	return min_t(u64, count, U32_MAX);
}

void ost_lapic_timer_set_lvtt(struct ost_lapic *apic, u32 val)
{
	bool was_deadline = deadline_mode(apic);

	quiesce(apic);
	ost_lapic_reg_set(apic, APIC_LVTT, val);
	if (was_deadline != deadline_mode(apic)) {
		/* SDM 11.5.4.1: a change between TSC-deadline and the other modes disarms. */
		apic->timer.running = false;
		apic->timer.tsc_deadline = 0;
		ost_lapic_reg_set(apic, APIC_TMICT, 0);
	}
	program(apic);
}

void ost_lapic_timer_set_divide(struct ost_lapic *apic, u32 val)
{
	struct ost_lapic_timer *timer = &apic->timer;
	u32 count;

	quiesce(apic);
	/* The counter keeps its value and goes on at the new rate. */
	count = ost_lapic_timer_count(apic);
	ost_lapic_reg_set(apic, APIC_TDCR, val);
	if (timer->running) {
		timer->period_ns = count_to_ns(apic, ost_lapic_reg(apic, APIC_TMICT));
		timer->base_ns = apic->ops->now_ns(apic) + count_to_ns(apic, count);
	}
	program(apic);
}

u64 ost_lapic_timer_deadline(struct ost_lapic *apic)
{
	settle(apic);
	return deadline_mode(apic) ? apic->timer.tsc_deadline : 0;
}

void ost_lapic_timer_set_deadline(struct ost_lapic *apic, u64 deadline)
{
	struct ost_lapic_timer *timer = &apic->timer;

	/* SDM 11.5.4.1: in the other modes writes are ignored. */
	if (!deadline_mode(apic))
		return;
	if (deadline && timer->armed && !READ_ONCE(timer->pending) &&
	    apic->ops->deadline_move(apic, deadline)) {
		timer->tsc_deadline = deadline;
		return;
	}
	quiesce(apic);
	timer->tsc_deadline = deadline;
	program(apic);
}

void ost_lapic_timer_rearm_model(struct ost_lapic *apic)
{
	quiesce(apic);
	program(apic);
}
