// SPDX-License-Identifier: GPL-2.0-only
/* The 8254: access sequences and latches, and all modes against an oracle that is clocked. */
#include <stdlib.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include "irqchip/pit.h"
#include "pit_oracle.h"
#include "tap.h"

static struct ost_pit_model pit;
static u64 now_ns;

/* The first nanosecond of a tick. */
static u64 tick_ns(u64 tick)
{
	return ((unsigned __int128)tick * 1000000000 + OST_PIT_HZ - 1) / OST_PIT_HZ;
}

static void out(u16 port, u8 val)
{
	ost_pit_model_write(&pit, port, val, now_ns);
}

static u8 in(u16 port)
{
	return ost_pit_model_read(&pit, port, now_ns);
}

static void init(void)
{
	ost_pit_model_reset(&pit);
	now_ns = tick_ns(1000000);
}

static void program(u32 channel, u32 mode, u16 count)
{
	out(0x43, channel << 6 | 0x30 | mode << 1);
	out(0x40 + channel, count);
	out(0x40 + channel, count >> 8);
}

static u32 read_word(u32 channel)
{
	u32 low = in(0x40 + channel);

	return low | in(0x40 + channel) << 8;
}

static void access_modes(void)
{
	init();
	program(0, 2, 0x1234);
	CHECK_EQ(read_word(0), 0x1234);
	now_ns = tick_ns(1000000 + 0x34);
	CHECK_EQ(read_word(0), 0x1200);
	/* Low byte only, high byte only. */
	out(0x43, 0x14);
	out(0x40, 0x55);
	CHECK_EQ(in(0x40), 0x55);
	CHECK_EQ(in(0x40), 0x55);
	out(0x43, 0x24);
	out(0x40, 0x55);
	CHECK_EQ(ost_pit_model_count(&pit, 0, now_ns), 0x5500);
	CHECK_EQ(in(0x40), 0x55);
	/* 0 is the longest; modes 6 and 7 are 2 and 3. */
	program(0, 6, 0);
	CHECK_EQ(pit.channel[0].state.mode, 2);
	CHECK_EQ(pit.channel[0].state.count, 0x10000);
	CHECK_EQ(read_word(0), 0);
	program(0, 7, 1);
	CHECK_EQ(pit.channel[0].state.mode, 3);
	CHECK_EQ(pit.channel[0].state.count, 2);
	/* Port 0x43 can't be read. */
	CHECK_EQ(in(0x43), 0);
}

static void latches(void)
{
	init();
	program(0, 2, 0x2000);
	now_ns = tick_ns(1000000 + 0x10);
	out(0x43, 0x00);
	now_ns = tick_ns(1000000 + 0x123);
	/* The first latch holds until it has been read, whole. */
	out(0x43, 0x00);
	CHECK_EQ(in(0x40), 0xf0);
	out(0x43, 0x00);
	CHECK_EQ(in(0x40), 0x1f);
	CHECK_EQ(read_word(0), 0x2000 - 0x123);
	/* Read-back: status comes before the count. */
	out(0x43, 0xc2);
	CHECK_EQ(in(0x40), 0xb4);
	now_ns = tick_ns(1000000 + 0x200);
	CHECK_EQ(read_word(0), 0x2000 - 0x123);
	CHECK_EQ(read_word(0), 0x1e00);
	/* Status alone, of two channels; the count not latched goes on. */
	out(0x43, 0xe0 | 0x02 | 0x08);
	CHECK_EQ(in(0x40), 0xb4);
	CHECK_EQ(in(0x42), 0x80 | 0x40 | 0x36);
	CHECK_EQ(read_word(0), 0x1e00);
	/* A control word ends a latch. */
	out(0x43, 0xc2);
	program(0, 2, 0x7777);
	CHECK_EQ(read_word(0), 0x7777);
}

static void null_count(void)
{
	init();
	out(0x43, 0x34);
	out(0x43, 0xe2);
	CHECK_EQ(in(0x40), 0x80 | 0x40 | 0x34);
	out(0x40, 0);
	out(0x40, 0x10);
	out(0x43, 0xe2);
	CHECK_EQ(in(0x40), 0x80 | 0x34);
	/* A count in the middle of a period is pending until its end. */
	out(0x40, 0);
	out(0x40, 0x20);
	out(0x43, 0xe2);
	CHECK_EQ(in(0x40), 0x80 | 0x40 | 0x34);
	now_ns = tick_ns(1000000 + 0xfff);
	CHECK_EQ(ost_pit_model_count(&pit, 0, now_ns), 1);
	now_ns = tick_ns(1000000 + 0x1000);
	out(0x43, 0xe2);
	CHECK_EQ(in(0x40), 0x80 | 0x34);
	CHECK_EQ(read_word(0), 0x2000);
}

static void bcd(void)
{
	init();
	out(0x43, 0x35);
	out(0x40, 0x00);
	out(0x40, 0x10);
	CHECK_EQ(pit.channel[0].state.count, 1000);
	now_ns = tick_ns(1000000 + 1);
	CHECK_EQ(read_word(0), 0x0999);
	out(0x43, 0x31);
	out(0x40, 0);
	out(0x40, 0);
	CHECK_EQ(pit.channel[0].state.count, 10000);
	now_ns = tick_ns(1000000 + 3);
	CHECK_EQ(read_word(0), 0x9998);
	/* Digits that are none. */
	out(0x40, 0xff);
	out(0x40, 0xff);
	read_word(0);
}

static void speaker(void)
{
	init();
	CHECK_EQ(ost_pit_model_read_speaker(&pit, now_ns) & ~0x10, 0x20);
	ost_pit_model_write_speaker(&pit, 0xff, now_ns);
	CHECK_EQ(ost_pit_model_read_speaker(&pit, now_ns) & 3, 3);
	/* How Linux measures the TSC: mode 0, gate up, wait for the output. */
	ost_pit_model_write_speaker(&pit, 0x01, now_ns);
	program(2, 0, 0x1000);
	CHECK_EQ(ost_pit_model_read_speaker(&pit, now_ns) & 0x20, 0);
	now_ns = tick_ns(1000000 + 0xfff);
	CHECK_EQ(ost_pit_model_read_speaker(&pit, now_ns) & 0x20, 0);
	now_ns = tick_ns(1000000 + 0x1000);
	CHECK_EQ(ost_pit_model_read_speaker(&pit, now_ns) & 0x20, 0x20);
	/* The refresh bit toggles. */
	CHECK((ost_pit_model_read_speaker(&pit, 0) ^ ost_pit_model_read_speaker(&pit, 15100)) &
	      0x10);
}

static void interrupts(void)
{
	u64 next;

	init();
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), 0);
	pit.irq_changed = false;
	program(0, 2, 11932);
	CHECK(pit.irq_changed);
	next = ost_pit_model_next_irq_ns(&pit, now_ns);
	CHECK_EQ(next, tick_ns(1000000 + 11932));
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, next - 1), next);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, next), tick_ns(1000000 + 2 * 11932));
	program(0, 0, 500);
	next = ost_pit_model_next_irq_ns(&pit, now_ns);
	CHECK_EQ(next, tick_ns(1000500));
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, next), 0);
	program(0, 4, 500);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), tick_ns(1000501));
	/* No gate, no trigger. */
	program(0, 1, 500);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), 0);
	program(0, 5, 500);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), 0);
	/* Half a count is none. */
	out(0x43, 0x30);
	out(0x40, 7);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), 0);
	/* Mode 0's first byte stops what counts. */
	program(0, 0, 500);
	out(0x40, 7);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), 0);
	CHECK(!ost_pit_model_out(&pit, 0, tick_ns(1000600)));
}

static void state(void)
{
	struct kvm_pit_state2 a, b;
	u32 i;

	init();
	program(0, 2, 11932);
	program(2, 3, 0x8000);
	ost_pit_model_write_speaker(&pit, 3, now_ns);
	out(0x40, 0x12);
	out(0x43, 0xc8);
	ost_pit_model_get(&pit, &a);
	CHECK_EQ(a.flags, KVM_PIT_FLAGS_SPEAKER_DATA_ON);
	CHECK(a.channels[0].count_load_time && !a.channels[1].count_load_time);
	ost_pit_model_reset(&pit);
	now_ns = 5000;
	ost_pit_model_restore(&pit, &a, now_ns);
	CHECK(pit.irq_changed);
	CHECK_EQ(ost_pit_model_next_irq_ns(&pit, now_ns), tick_ns(11932 + 5));
	ost_pit_model_get(&pit, &b);
	for (i = 0; i < 3; i++)
		a.channels[i].count_load_time = b.channels[i].count_load_time = 0;
	CHECK(!memcmp(&a, &b, sizeof(a)));
	CHECK_EQ(in(0x42), 0x80 | 0x36);
	CHECK_EQ(read_word(2), 0x8000);
	/* The second byte of the count that was being written. */
	out(0x40, 0x34);
	CHECK_EQ(pit.channel[0].next_count, 0x3412);
	/* Garbage. */
	memset(&a, 0xff, sizeof(a));
	ost_pit_model_restore(&pit, &a, now_ns);
	for (i = 0; i < 3; i++) {
		CHECK(pit.channel[i].state.count <= 10000);
		CHECK_EQ(pit.channel[i].state.mode, 3);
		now_ns += 1000000;
		in(0x40 + i);
		in(0x40 + i);
		in(0x40 + i);
	}
	memset(&a, 0, sizeof(a));
	ost_pit_model_restore(&pit, &a, now_ns);
	for (i = 0; i < 3; i++)
		read_word(i);
}

/* Any sequence of counts, gates and waits, in all modes: counter and output tick by tick. */
static void modes(void)
{
	struct counter c = { 0 };
	u32 round, step, i;
	u64 tick;

	srandom(6);
	for (round = 0; round < 3000 && !tap_failed(); round++) {
		u32 mode = random() % 6;
		bool is_bcd = random() % 4 == 0;

		ost_pit_model_reset(&pit);
		tick = 1 + random() % 100000;
		now_ns = tick_ns(tick);
		c.gate = false;
		if (random() & 1) {
			ost_pit_model_write_speaker(&pit, 1, now_ns);
			c.gate = true;
		}
		out(0x43, 0xb0 | mode << 1 | is_bcd);
		counter_control(&c, mode, is_bcd);
		for (step = 0; step < 30 && !tap_failed(); step++) {
			u32 count = random() % 4 ? 2 + random() % 12 : random() % 300;
			u32 wait = random() % 4 ? random() % 20 : random() % 700;

			switch (random() % 4) {
			case 0:
				/*
				 * Mode 2 and 3 have no 1, and a write of 0 would take too long to
				 * see.
				 */
				count = max(count, 2u);
				if (is_bcd)
					out(0x42, count % 10 | count / 10 % 10 << 4);
				else
					out(0x42, count);
				if (is_bcd) {
					out(0x42, count / 100);
				} else {
					out(0x42, count >> 8);
				}
				/*
				 * As the model, the oracle is stopped by the first byte in mode 0.
				 */
				counter_write(&c, count);
				break;
			case 1:
				ost_pit_model_write_speaker(&pit, !c.gate, now_ns);
				counter_gate(&c, !c.gate);
				break;
			}
			for (i = 0; i < wait && !tap_failed(); i++) {
				CHECK_MSG(ost_pit_model_out(&pit, 2, now_ns) == c.out,
					  "round %u step %u mode %u: output is not %d", round, step,
					  mode, c.out);
				CHECK_MSG(ost_pit_model_count(&pit, 2, now_ns) == counter_value(&c),
					  "round %u step %u mode %u: count is %u, not %u", round,
					  step, mode, ost_pit_model_count(&pit, 2, now_ns),
					  counter_value(&c));
				counter_clock(&c);
				now_ns = tick_ns(++tick);
			}
		}
	}
}

/* Channel 0 interrupts exactly where the oracle's output rises. */
static void interrupt_times(void)
{
	struct counter c = { .gate = true };
	u32 round, i;
	u64 tick;

	srandom(7);
	for (round = 0; round < 500 && !tap_failed(); round++) {
		u32 mode = random() % 6, count = 2 + random() % 200;
		u64 next;
		bool was;

		ost_pit_model_reset(&pit);
		tick = 1 + random() % 100000;
		now_ns = tick_ns(tick);
		program(0, mode, count);
		counter_control(&c, mode, false);
		counter_write(&c, count);
		next = ost_pit_model_next_irq_ns(&pit, now_ns);
		for (i = 0; i < 1000 && !tap_failed(); i++) {
			/* A new count now and then, whose effect may come later. */
			if (random() % 64 == 0) {
				count = 2 + random() % 200;
				out(0x40, count);
				out(0x40, count >> 8);
				counter_write(&c, count);
				next = ost_pit_model_next_irq_ns(&pit, now_ns);
			}
			was = c.out;
			counter_clock(&c);
			now_ns = tick_ns(++tick);
			if (c.out && !was) {
				CHECK_EQ(next, now_ns);
				next = ost_pit_model_next_irq_ns(&pit, now_ns);
			} else {
				CHECK(!next || next > now_ns);
			}
		}
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("access modes", access_modes);
	tap_run("latches and read-back", latches);
	tap_run("null count", null_count);
	tap_run("BCD", bcd);
	tap_run("port 0x61", speaker);
	tap_run("interrupts", interrupts);
	tap_run("state", state);
	tap_run("all modes against a clocked oracle", modes);
	tap_run("interrupt times against the oracle", interrupt_times);
	return tap_done();
}
