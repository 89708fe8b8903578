// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bug.h>
#include <linux/limits.h>
#include <linux/string.h>
#include "lapic_fixture.h"

static struct fixture *fixture_of(struct ost_lapic *apic)
{
	return container_of(apic, struct fixture, apic);
}

static void on_event(struct ost_lapic *apic)
{
	__atomic_fetch_add(&fixture_of(apic)->events, 1, __ATOMIC_SEQ_CST);
}

static bool may_post(struct ost_lapic *apic, u8 vector)
{
	return fixture_of(apic)->posts;
}

static void on_posted(struct ost_lapic *apic)
{
	if (ost_lapic_mark_posted(apic))
		on_event(apic);
}

static int on_special(struct ost_lapic *apic, enum ost_delivery delivery, u8 vector)
{
	struct fixture *f = fixture_of(apic);

	switch (delivery) {
	case OST_DELIVER_NMI:
		f->nmis++;
		break;
	case OST_DELIVER_SMI:
		f->smis++;
		break;
	case OST_DELIVER_INIT:
		f->inits++;
		break;
	case OST_DELIVER_SIPI:
		f->sipis++;
		f->sipi_vector = vector;
		break;
	default:
		BUG();
	}
	return 1;
}

static void on_send(struct ost_lapic *apic, const struct ost_irq_message *msg)
{
	fixture_of(apic)->nr_sent++;
	fixture_of(apic)->sent = *msg;
}

static void on_eoi(struct ost_lapic *apic, u8 vector, bool level)
{
	struct fixture *f = fixture_of(apic);

	f->nr_eois++;
	f->eoi_vector = vector;
	f->eoi_level = level;
}

static u64 now_ns(struct ost_lapic *apic)
{
	return fixture_of(apic)->now_ns;
}

static u64 tsc_left_ns(struct ost_lapic *apic, u64 deadline)
{
	u64 tsc = fixture_of(apic)->now_ns * TSC_PER_NS;

	if (deadline <= tsc)
		return 0;
	/* Rounded up. */
	return (deadline - tsc) / TSC_PER_NS + ((deadline - tsc) % TSC_PER_NS != 0);
}

static void timer_arm(struct ost_lapic *apic, u64 expires_ns, u64 interval_ns)
{
	struct fixture *f = fixture_of(apic);

	/*
	 * The model never arms twice, and never lets a period be so short that it hurts the host.
	 */
	BUG_ON(f->armed);
	BUG_ON(interval_ns && interval_ns < OST_LAPIC_MIN_PERIOD_NS);
	BUG_ON(expires_ns > S64_MAX);
	f->armed = true;
	f->expires_ns = expires_ns;
	f->interval_ns = interval_ns;
	f->arms++;
}

static void deadline_arm(struct ost_lapic *apic, u64 deadline, u64 left_ns)
{
	u64 now = fixture_of(apic)->now_ns;

	timer_arm(apic, now + min_t(u64, left_ns, S64_MAX - now), 0);
}

static bool deadline_move(struct ost_lapic *apic, u64 deadline)
{
	struct fixture *f = fixture_of(apic);
	u64 left_ns = tsc_left_ns(apic, deadline);

	/* A guest's TSC may come to 0 soon, by a guest that has set it so: no deadline even then. */
	WARN_ON(!deadline);
	if (!f->moves_deadlines || !f->armed || f->expires_ns <= f->now_ns || !left_ns)
		return false;
	f->expires_ns = f->now_ns + min_t(u64, left_ns, S64_MAX - f->now_ns);
	return true;
}

static u64 timer_cancel(struct ost_lapic *apic)
{
	struct fixture *f = fixture_of(apic);
	bool armed = f->armed;

	f->armed = false;
	f->cancels++;
	return armed ? f->expires_ns : 0;
}

static const struct ost_lapic_ops ops = {
	.event = on_event,
	.may_post = may_post,
	.posted = on_posted,
	.special = on_special,
	.send = on_send,
	.eoi = on_eoi,
	.now_ns = now_ns,
	.tsc_left_ns = tsc_left_ns,
	.timer_arm = timer_arm,
	.deadline_arm = deadline_arm,
	.deadline_move = deadline_move,
	.timer_cancel = timer_cancel,
};

void fixture_init(struct fixture *f, u32 id, bool bsp, bool on)
{
	memset(f, 0, sizeof(*f));
	f->now_ns = 1000000;
	f->apic.ops = &ops;
	f->apic.regs = f->page;
	f->apic.id = id;
	f->apic.tick_ns = 1;
	f->apic.bsp = bsp;
	f->apic.tsc_deadline_allowed = true;
	ost_lapic_model_reset(&f->apic, false);
	if (on)
		fixture_write(f, APIC_SPIV, 0x1ff);
}

void fixture_run(struct fixture *f, u64 ns)
{
	u64 end = f->now_ns + ns;

	while (f->armed && f->expires_ns <= end) {
		u8 vector = ost_lapic_reg(&f->apic, APIC_LVTT) & 0xff;
		bool had = fixture_bit(f, APIC_IRR, vector);

		f->now_ns = max(f->now_ns, f->expires_ns);
		ost_lapic_timer_fired(&f->apic);
		if (f->interval_ns)
			f->expires_ns += f->interval_ns;
		else
			f->armed = false;
		ost_lapic_timer_expire(&f->apic);
		f->ticks += !had && fixture_bit(f, APIC_IRR, vector);
	}
	f->now_ns = end;
}

void fixture_run_late(struct fixture *f, u64 ns)
{
	f->now_ns += ns;
}

u32 fixture_read(struct fixture *f, u32 offset)
{
	u32 val;

	ost_lapic_page_read(&f->apic, offset, sizeof(val), &val);
	return val;
}

void fixture_write(struct fixture *f, u32 offset, u32 val)
{
	ost_lapic_page_write(&f->apic, offset, sizeof(val), &val);
}

bool fixture_bit(struct fixture *f, u32 base, u8 vector)
{
	return ost_lapic_reg(&f->apic, base + 0x10 * (vector / 32)) >> (vector % 32) & 1;
}
