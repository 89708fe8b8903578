// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the 8254 under arbitrary traffic at arbitrary times; channel 2 in step with the
 * clocked oracle (pit_oracle.h) as long as what happens to it is in the oracle's vocabulary (whole
 * 16-bit binary counts).
 *
 *	make test-fuzz T=fuzz/irqchip/fuzz_pit
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "irqchip/pit.h"
#include "pit_oracle.h"

static struct ost_pit_model pit;
static struct counter oracle;
static u64 tick;

static u64 now_ns(void)
{
	return ((unsigned __int128)tick * 1000000000 + OST_PIT_HZ - 1) / OST_PIT_HZ;
}

static void invariants(void)
{
	u64 next = ost_pit_model_next_irq_ns(&pit, now_ns());
	u32 i;

	BUG_ON(next && next <= now_ns());
	for (i = 0; i < 3; i++)
		BUG_ON(ost_pit_model_count(&pit, i, now_ns()) > 0xffff);
	/* Somewhere before it there is an output that is low, or it could not rise. */
	BUG_ON(next && !ost_pit_model_out(&pit, 0, next));
	BUG_ON(ost_pit_model_out(&pit, 2, now_ns()) != oracle.out);
	BUG_ON(ost_pit_model_count(&pit, 2, now_ns()) != counter_value(&oracle));
}

static void channel_2(u8 what, u16 arg)
{
	u32 count = max_t(u32, arg & 0x3ff, 2);

	switch (what % 4) {
	case 0:
		ost_pit_model_write(&pit, 0x43, 0xb0 | (arg % 6) << 1, now_ns());
		counter_control(&oracle, arg % 6, false);
		break;
	case 1 ... 2:
		ost_pit_model_write(&pit, 0x42, count, now_ns());
		ost_pit_model_write(&pit, 0x42, count >> 8, now_ns());
		counter_write(&oracle, count);
		break;
	case 3:
		ost_pit_model_write_speaker(&pit, arg & 3, now_ns());
		counter_gate(&oracle, arg & 1);
		break;
	}
}

static void restore(u8 val)
{
	struct ost_pit_model copy = pit;
	struct kvm_pit_state2 s;
	u32 i, channel;

	for (i = 0; i < sizeof(s); i++)
		((u8 *)&s)[i] = val * (i + 1);
	ost_pit_model_restore(&copy, &s, now_ns());
	for (channel = 0; channel < 3; channel++) {
		ost_pit_model_read(&copy, 0x40 + channel, now_ns());
		ost_pit_model_out(&copy, channel, now_ns() + 12345);
	}
	ost_pit_model_next_irq_ns(&copy, now_ns());
	ost_pit_model_get(&copy, &s);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u32 wait;

	ost_pit_model_reset(&pit);
	oracle = (struct counter){ 0 };
	tick = 1;
	channel_2(0, 3);
	for (; size >= 4; data += 4, size -= 4) {
		switch (data[0] % 8) {
		case 0 ... 2:
			channel_2(data[1], data[2] | data[3] << 8);
			break;
		case 3 ... 4:
			for (wait = data[1] | (data[2] & 7) << 8; wait; wait--) {
				counter_clock(&oracle);
				tick++;
			}
			break;
		case 5:
			/* Everything but what writes channel 2. */
			if (data[1] % 4 == 2 || (data[1] % 4 == 3 && data[2] >> 6 == 2))
				break;
			ost_pit_model_write(&pit, 0x40 + data[1] % 4, data[2], now_ns());
			break;
		case 6:
			ost_pit_model_read(&pit, 0x40 + data[1] % 4, now_ns());
			ost_pit_model_read_speaker(&pit, now_ns());
			break;
		case 7:
			restore(data[1]);
			break;
		}
		invariants();
	}
	return 0;
}
