// SPDX-License-Identifier: GPL-2.0-only
/* The LAPIC's timer. One tick of its input clock is a nanosecond. */
#include <stdlib.h>
#include "lapic_fixture.h"
#include "tap.h"

static struct fixture f;

static void ack(void)
{
	while (ost_lapic_take(&f.apic) >= 0)
		ost_lapic_eoi(&f.apic);
}

static void one_shot(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50);
	fixture_write(&f, APIC_TMICT, 5000);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 5000);
	fixture_run(&f, 1);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 4999);
	fixture_run(&f, 4998);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 1);
	CHECK_EQ(f.ticks, 0);
	fixture_run(&f, 1);
	CHECK_EQ(f.ticks, 1);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 0);
	CHECK_EQ(fixture_read(&f, APIC_TMICT), 5000);
	fixture_run(&f, 1000000);
	ack();
	CHECK_EQ(f.ticks, 1);
	/* Started anew before its end, and stopped by 0. */
	fixture_write(&f, APIC_TMICT, 5000);
	fixture_run(&f, 4000);
	fixture_write(&f, APIC_TMICT, 5000);
	fixture_run(&f, 4000);
	CHECK_EQ(f.ticks, 1);
	fixture_write(&f, APIC_TMICT, 0);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 0);
	fixture_run(&f, 1000000);
	CHECK_EQ(f.ticks, 1);
	CHECK(!f.armed);
}

static void divide(void)
{
	static const struct {
		u32 tdcr, div;
	} rows[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 },
		     { 11, 1 }, { 0xf4, 2 } };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fixture_init(&f, 0, true, true);
		fixture_write(&f, APIC_TDCR, rows[i].tdcr);
		fixture_write(&f, APIC_LVTT, 0x50);
		fixture_write(&f, APIC_TMICT, 1000);
		fixture_run(&f, 400 * rows[i].div);
		CHECK_EQ(fixture_read(&f, APIC_TMCCT), 600);
		fixture_run(&f, 600 * rows[i].div - 1);
		CHECK_EQ(f.ticks, 0);
		fixture_run(&f, 1);
		CHECK_EQ(f.ticks, 1);
	}
	/* Changed while counting: the count goes on at the new rate. */
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50);
	fixture_write(&f, APIC_TMICT, 1000);
	fixture_run(&f, 500);
	fixture_write(&f, APIC_TDCR, 0);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 500);
	fixture_run(&f, 999);
	CHECK_EQ(f.ticks, 0);
	fixture_run(&f, 1);
	CHECK_EQ(f.ticks, 1);
	/* The longest count of all. */
	fixture_write(&f, APIC_TDCR, 10);
	fixture_write(&f, APIC_TMICT, 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 0xffffffff);
	CHECK_EQ(f.expires_ns - f.now_ns, 0xffffffffull * 128);
}

static void periodic(void)
{
	u32 i;

	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_PERIODIC);
	fixture_write(&f, APIC_TMICT, 1000000);
	for (i = 1; i <= 10; i++) {
		fixture_run(&f, 999999);
		CHECK_EQ(f.ticks, i - 1);
		CHECK_EQ(fixture_read(&f, APIC_TMCCT), 1);
		fixture_run(&f, 1);
		CHECK_EQ(f.ticks, i);
		CHECK_EQ(fixture_read(&f, APIC_TMCCT), 1000000);
		ack();
	}
	/* To one-shot in the middle: this period is the last. */
	fixture_run(&f, 400000);
	fixture_write(&f, APIC_LVTT, 0x50);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 600000);
	fixture_run(&f, 600000);
	CHECK_EQ(f.ticks, 11);
	ack();
	fixture_run(&f, 5000000);
	CHECK_EQ(f.ticks, 11);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 0);
}

/* The guest asks for a tick every 100 ns: the counter shows that, the host is spared. */
static void period_limit(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_PERIODIC);
	fixture_write(&f, APIC_TMICT, 100);
	CHECK_EQ(f.interval_ns, OST_LAPIC_MIN_PERIOD_NS);
	fixture_run(&f, 1030);
	CHECK_EQ(f.ticks, 1);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 70);
	ack();
	fixture_run(&f, OST_LAPIC_MIN_PERIOD_NS - 1030 + 100);
	CHECK_EQ(f.ticks, 2);
}

static void masked(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_MASKED);
	fixture_write(&f, APIC_TMICT, 1000);
	/* It counts, and needs no host timer for it. */
	CHECK(!f.armed);
	fixture_run(&f, 400);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 600);
	/* Unmasked in time. */
	fixture_write(&f, APIC_LVTT, 0x50);
	fixture_run(&f, 600);
	CHECK_EQ(f.ticks, 1);
	ack();
	/* Unmasked too late: it came to its end unheard. */
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_MASKED);
	fixture_write(&f, APIC_TMICT, 1000);
	fixture_run(&f, 1000);
	fixture_write(&f, APIC_LVTT, 0x50);
	fixture_run(&f, 10000);
	CHECK_EQ(f.ticks, 1);
	/* Periodic: the phase is kept. */
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_MASKED | APIC_LVT_TIMER_PERIODIC);
	fixture_write(&f, APIC_TMICT, 1000000);
	fixture_run(&f, 7300000);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 700000);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_PERIODIC);
	fixture_run(&f, 699999);
	CHECK_EQ(f.ticks, 1);
	fixture_run(&f, 1);
	CHECK_EQ(f.ticks, 2);
}

static void tsc_deadline(void)
{
	u64 deadline;

	fixture_init(&f, 0, true, true);
	/* Ignored in the other modes. */
	ost_lapic_timer_set_deadline(&f.apic, 12345678);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), 0);
	CHECK(!f.armed);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_TSCDEADLINE);
	deadline = (f.now_ns + 5000) * TSC_PER_NS;
	ost_lapic_timer_set_deadline(&f.apic, deadline);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), deadline);
	/* The counter stands still, its initial count can't be written. */
	fixture_write(&f, APIC_TMICT, 77);
	CHECK_EQ(fixture_read(&f, APIC_TMICT), 0);
	CHECK_EQ(fixture_read(&f, APIC_TMCCT), 0);
	fixture_run(&f, 4999);
	CHECK_EQ(f.ticks, 0);
	fixture_run(&f, 1);
	CHECK_EQ(f.ticks, 1);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), 0);
	ack();
	/* In the past: at once. */
	ost_lapic_timer_set_deadline(&f.apic, 1);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), 0);
	ack();
	/* 0 disarms; so does a change of mode. */
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 5000) * TSC_PER_NS);
	ost_lapic_timer_set_deadline(&f.apic, 0);
	CHECK(!f.armed);
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 5000) * TSC_PER_NS);
	fixture_write(&f, APIC_LVTT, 0x50);
	CHECK(!f.armed);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_TSCDEADLINE);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), 0);
	/* The furthest there is. */
	ost_lapic_timer_set_deadline(&f.apic, ~0ull);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), ~0ull);
	/* Masked: passes unheard and reads 0 then. */
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_TSCDEADLINE | APIC_LVT_MASKED);
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 5000) * TSC_PER_NS);
	fixture_run(&f, 5000);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), 0);
	CHECK(!fixture_bit(&f, APIC_IRR, 0x50));
}

/* Where one deadline can take another's place, it does as long as both are ahead. */
static void deadline_moves(void)
{
	fixture_init(&f, 0, true, true);
	f.moves_deadlines = true;
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_TSCDEADLINE);
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 5000) * TSC_PER_NS);
	f.arms = 0;
	f.cancels = 0;
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 9000) * TSC_PER_NS);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), (f.now_ns + 9000) * TSC_PER_NS);
	CHECK_EQ(f.arms + f.cancels, 0);
	fixture_run(&f, 8999);
	CHECK_EQ(f.ticks, 0);
	fixture_run(&f, 1);
	CHECK_EQ(f.ticks, 1);
	ack();
	/* The first has passed, and nobody has told the model yet: it counts. */
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 100) * TSC_PER_NS);
	fixture_run_late(&f, 200);
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 100) * TSC_PER_NS);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	CHECK(f.armed);
	/* 0 disarms. */
	ost_lapic_timer_set_deadline(&f.apic, 0);
	CHECK(!f.armed);
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), 0);
}

/*
 * The host's timer is late when something changes the timer: the expiry is not lost, nor comes
 * twice.
 */
static void late_host(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50);
	fixture_write(&f, APIC_TMICT, 1000);
	fixture_run_late(&f, 1500);
	fixture_write(&f, APIC_TMICT, 9000);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	ack();
	fixture_run(&f, 8999);
	CHECK(!fixture_bit(&f, APIC_IRR, 0x50));
	fixture_run(&f, 1);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	ack();
	/* It fired, and the vCPU's thread changes the timer before it acts on that. */
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_TSCDEADLINE);
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 100) * TSC_PER_NS);
	fixture_run_late(&f, 100);
	ost_lapic_timer_fired(&f.apic);
	f.armed = false;
	ost_lapic_timer_set_deadline(&f.apic, (f.now_ns + 100) * TSC_PER_NS);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	CHECK_EQ(ost_lapic_timer_deadline(&f.apic), (f.now_ns + 100) * TSC_PER_NS);
	ack();
	fixture_run(&f, 100);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	ack();
	/* Rearmed for another CPU or TSC, at any moment: one tick a period stays one. */
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_TIMER_PERIODIC);
	fixture_write(&f, APIC_TMICT, 1000000);
	fixture_run_late(&f, 1000000);
	ost_lapic_timer_rearm_model(&f.apic);
	CHECK(fixture_bit(&f, APIC_IRR, 0x50));
	ack();
	CHECK_EQ(f.expires_ns, f.now_ns + 1000000);
}

/* Random register traffic and time: the counter and the interrupts obey their definition. */
static void random_traffic(void)
{
	u64 start = 0, count = 0, div = 1;
	bool is_periodic = false, is_masked = true;
	u32 i;

	srandom(2);
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x50 | APIC_LVT_MASKED);
	for (i = 0; i < 200000; i++) {
		u64 since, expect;

		switch (random() % 8) {
		case 0:
			count = random() % 3 ? random() % 100000 : 0;
			start = f.now_ns;
			fixture_write(&f, APIC_TMICT, count);
			break;
		case 1:
			is_masked = random() & 1;
			fixture_write(&f, APIC_LVTT, 0x50 | (is_masked ? APIC_LVT_MASKED : 0) |
				      (is_periodic ? APIC_LVT_TIMER_PERIODIC : 0));
			break;
		case 2:
			if (random() % 16)
				break;
			/* A new mode and a new count, whose definition starts here. */
			is_periodic = !is_periodic;
			fixture_write(&f, APIC_LVTT, 0x50 | (is_masked ? APIC_LVT_MASKED : 0) |
				      (is_periodic ? APIC_LVT_TIMER_PERIODIC : 0));
			count = 0;
			fixture_write(&f, APIC_TMICT, 0);
			break;
		default:
			fixture_run(&f, random() % 30000);
			break;
		}
		since = f.now_ns - start;
		if (!count)
			expect = 0;
		else if (since < count * div)
			expect = count - since / div;
		else
			expect = is_periodic ? count - since % count : 0;
		CHECK_EQ(fixture_read(&f, APIC_TMCCT), expect);
		CHECK(!is_masked || !f.armed);
		/* If it is to interrupt, somebody watches for that. */
		if (!is_masked && count && (is_periodic || since < count))
			CHECK(f.armed);
		ack();
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("one-shot", one_shot);
	tap_run("divide configuration", divide);
	tap_run("periodic", periodic);
	tap_run("a period too short for the host", period_limit);
	tap_run("masked", masked);
	tap_run("TSC deadline", tsc_deadline);
	tap_run("a TSC deadline moved", deadline_moves);
	tap_run("a late host timer", late_host);
	tap_run("random traffic", random_traffic);
	return tap_done();
}
