// SPDX-License-Identifier: GPL-2.0-only
/* The 8254 (Intel 231164-005, "8254" below): counters, modes, latches. Pure; see pit.h. */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include "pit.h"

#define NSEC 1000000000u

/* kvm_pit_channel_state.read_state and write_state: which byte comes next. */
enum { STATE_LSB = 1, STATE_MSB, STATE_WORD0, STATE_WORD1 };
/* rw_mode: bits 5:4 of the control word. */
enum { RW_LATCH, RW_LSB, RW_MSB, RW_WORD };

#define STATUS_OUT 0x80
#define STATUS_NULL 0x40

#define READBACK_NO_COUNT 0x20
#define READBACK_NO_STATUS 0x10

#define SPEAKER_GATE 0x01
#define SPEAKER_DATA 0x02
#define SPEAKER_REFRESH 0x10
#define SPEAKER_OUT 0x20
/* The DRAM refresh that bit 4 of port 0x61 shows came every 15 us. */
#define REFRESH_NS 15085

static u64 to_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, OST_PIT_HZ, NSEC);
}

/* The first nanosecond at which to_ticks() gives `tick`. */
static u64 to_ns(u64 tick)
{
	u64 ns = mul_u64_u32_div(tick, NSEC, OST_PIT_HZ);

	return to_ticks(ns) < tick ? ns + 1 : ns;
}

static u32 modulus(const struct ost_pit_channel *ch)
{
	return ch->state.bcd ? 10000 : 0x10000;
}

static bool periodic(const struct ost_pit_channel *ch)
{
	return ch->state.mode == 2 || ch->state.mode == 3;
}

/* Modes 1 and 5 are started by the gate, the others by the count. */
static bool gate_starts(const struct ost_pit_channel *ch)
{
	return ch->state.mode == 1 || ch->state.mode == 5;
}

static bool running(const struct ost_pit_channel *ch)
{
	return ch->programmed && (!gate_starts(ch) || ch->triggered);
}

/* Ticks that the output is high in a period of mode 3: the longer half of an odd count. */
static u32 high_half(u32 count)
{
	return (count + 1) / 2;
}

/*
 * A count is written in the middle of a period: it takes over at the end of the period in mode 2,
 * of the half in mode 3 (8254, "Mode 2", "Mode 3").
 */
static void plan_take_over(struct ost_pit_channel *ch, u64 tick)
{
	u32 count = ch->state.count;

	if ((s64)(tick - ch->load_tick) > 0)
		ch->load_tick += (tick - ch->load_tick) / count * count;
	ch->next_tick = ch->load_tick + count;
	if (ch->state.mode == 3 && (s64)(tick - ch->load_tick) < high_half(count))
		ch->next_tick = ch->load_tick + high_half(count);
}

static void take_over(struct ost_pit_channel *ch, u64 tick)
{
	bool half;

	if (!periodic(ch) || !ch->next_count || ch->stop_tick || (s64)(tick - ch->next_tick) < 0)
		return;
	half = ch->next_tick != ch->load_tick + ch->state.count;
	ch->load_tick = ch->next_tick;
	/* After the high half of the old count comes the low one of the new. */
	if (half)
		ch->load_tick -= high_half(ch->next_count);
	ch->state.count = ch->next_count;
	ch->next_count = 0;
	ch->null_count = false;
}

/* Ticks that it has counted since it was loaded. */
static u64 elapsed(struct ost_pit_channel *ch, u64 tick)
{
	take_over(ch, tick);
	if (ch->stop_tick)
		tick = ch->stop_tick;
	/* Somebody may have been later here with an earlier time. */
	return (s64)(tick - ch->load_tick) > 0 ? tick - ch->load_tick : 0;
}

/*
 * Mode 3 counts down by two, twice a period; an odd count is one less, the high half one longer
 * (8254, mode 3).
 */
static u32 square_wave_count(u32 count, u32 position)
{
	if (position >= high_half(count))
		position -= high_half(count);
	return (count & ~1u) - 2 * position;
}

static u32 counter(struct ost_pit_channel *ch, u64 tick)
{
	u32 count = ch->state.count, mod = modulus(ch);
	u64 done;

	if (!running(ch))
		return count % mod;
	done = elapsed(ch, tick);
	count = ch->state.count;
	switch (ch->state.mode) {
	case 2:
		return (count - done % count) % mod;
	case 3:
		return square_wave_count(count, done % count) % mod;
	default:
		/* It goes on below 0. */
		return (count + mod - done % mod) % mod;
	}
}

static bool output(struct ost_pit_channel *ch, u64 tick)
{
	u64 done;

	/* The control word alone sets it low in mode 0 and high in the others. */
	if (!running(ch))
		return ch->state.mode != 0;
	/* Modes 2, 3: a low gate forces it high. */
	if (periodic(ch) && ch->stop_tick)
		return true;
	done = elapsed(ch, tick);
	switch (ch->state.mode) {
	case 0:
	case 1:
		return done >= ch->state.count;
	case 2:
		return done % ch->state.count != ch->state.count - 1;
	case 3:
		return done % ch->state.count < high_half(ch->state.count);
	default:
		return done != ch->state.count;
	}
}

/* --- programming --- */

void ost_pit_model_reset(struct ost_pit_model *pit)
{
	u32 i;

	memset(pit, 0, sizeof(*pit));
	for (i = 0; i < 3; i++) {
		pit->channel[i].state.mode = 3;
		pit->channel[i].state.gate = i != 2;
		pit->channel[i].state.count = 0x10000;
		pit->channel[i].state.rw_mode = RW_WORD;
		pit->channel[i].state.read_state = STATE_WORD0;
		pit->channel[i].state.write_state = STATE_WORD0;
		pit->channel[i].null_count = true;
	}
	pit->irq_changed = true;
}

static u32 bcd_to_count(u32 bcd)
{
	return (bcd >> 12 & 0xf) * 1000 + (bcd >> 8 & 0xf) * 100 + (bcd >> 4 & 0xf) * 10 +
	       (bcd & 0xf);
}

static u32 count_to_bcd(u32 count)
{
	return count / 1000 % 10 << 12 | count / 100 % 10 << 8 | count / 10 % 10 << 4 | count % 10;
}

static void start(struct ost_pit_channel *ch, u64 tick)
{
	if (ch->next_count)
		ch->state.count = ch->next_count;
	ch->next_count = 0;
	ch->load_tick = tick;
	ch->stop_tick = 0;
	/* Modes 0, 2, 3 and 4 count only while the gate is high. */
	if (!ch->state.gate && !gate_starts(ch))
		ch->stop_tick = max_t(u64, tick, 1);
	ch->null_count = false;
}

static void load(struct ost_pit_channel *ch, u32 written, u64 tick)
{
	u32 count = ch->state.bcd ? bcd_to_count(written) : written;

	if (!count)
		count = modulus(ch);
	/* Modes 2 and 3 have no 1 (8254, table "Minimum and Maximum Initial Counts"). */
	if (periodic(ch) && count == 1)
		count = 2;
	take_over(ch, tick);
	ch->next_count = count;
	ch->null_count = true;
	if (!gate_starts(ch)) {
		if (!periodic(ch) || !ch->programmed || ch->stop_tick)
			start(ch, tick);
		else
			plan_take_over(ch, tick);
	} else if (!ch->triggered) {
		/* It waits for the trigger; until then it is what the counter shows. */
		ch->state.count = count;
	}
	ch->programmed = true;
}

static void write_count(struct ost_pit_channel *ch, u8 val, u64 tick)
{
	switch (ch->state.write_state) {
	case STATE_LSB:
		load(ch, val, tick);
		break;
	case STATE_MSB:
		load(ch, val << 8, tick);
		break;
	case STATE_WORD0:
		ch->state.write_latch = val;
		ch->state.write_state = STATE_WORD1;
		/* In mode 0 the first byte stops the counter (8254, mode 0). */
		if (ch->state.mode == 0)
			ch->programmed = false;
		break;
	case STATE_WORD1:
		load(ch, ch->state.write_latch | val << 8, tick);
		ch->state.write_state = STATE_WORD0;
		break;
	}
}

static void latch_count(struct ost_pit_channel *ch, u64 tick)
{
	u32 count;

	/* The first latch holds until it has been read. */
	if (ch->state.count_latched)
		return;
	count = counter(ch, tick);
	ch->state.latched_count = ch->state.bcd ? count_to_bcd(count) : count;
	ch->state.count_latched = ch->state.rw_mode;
}

static void latch_status(struct ost_pit_channel *ch, u64 tick)
{
	if (ch->state.status_latched)
		return;
	take_over(ch, tick);
	ch->state.status = (output(ch, tick) ? STATUS_OUT : 0) |
			   (ch->null_count ? STATUS_NULL : 0) | ch->state.rw_mode << 4 |
			   ch->state.mode << 1 | ch->state.bcd;
	ch->state.status_latched = 1;
}

static void write_control(struct ost_pit_model *pit, u8 val, u64 tick)
{
	struct ost_pit_channel *ch;
	u32 i, index = val >> 6, rw = val >> 4 & 3;

	if (index == 3) {
		for (i = 0; i < 3; i++) {
			if (!(val & (2 << i)))
				continue;
			if (!(val & READBACK_NO_COUNT))
				latch_count(&pit->channel[i], tick);
			if (!(val & READBACK_NO_STATUS))
				latch_status(&pit->channel[i], tick);
		}
		return;
	}
	ch = &pit->channel[index];
	if (rw == RW_LATCH) {
		latch_count(ch, tick);
		return;
	}
	ch->state.rw_mode = rw;
	ch->state.read_state = rw == RW_WORD ? STATE_WORD0 : rw;
	ch->state.write_state = ch->state.read_state;
	/* Bit 2 of the mode is ignored for modes 2 and 3. */
	ch->state.mode = (val >> 1 & 7) > 5 ? val >> 1 & 3 : val >> 1 & 7;
	ch->state.bcd = val & 1;
	/* Undefined until one is written. */
	ch->state.count = modulus(ch);
	ch->state.count_latched = 0;
	ch->state.status_latched = 0;
	ch->programmed = false;
	ch->triggered = false;
	ch->null_count = true;
	ch->next_count = 0;
	ch->stop_tick = 0;
	if (index == 0)
		pit->irq_changed = true;
}

void ost_pit_model_write(struct ost_pit_model *pit, u16 port, u8 val, u64 now_ns)
{
	u32 index = port & 3;

	if (index == 3) {
		write_control(pit, val, to_ticks(now_ns));
		return;
	}
	write_count(&pit->channel[index], val, to_ticks(now_ns));
	if (index == 0)
		pit->irq_changed = true;
}

/* --- reading --- */

static u8 read_latched(struct ost_pit_channel *ch)
{
	switch (ch->state.count_latched) {
	case RW_LSB:
		ch->state.count_latched = 0;
		return ch->state.latched_count;
	case RW_WORD:
		/* the second byte is next, by the flip-flop below */
		ch->state.count_latched = RW_MSB;
		return ch->state.latched_count;
	default:
		ch->state.count_latched = 0;
		return ch->state.latched_count >> 8;
	}
}

u8 ost_pit_model_read(struct ost_pit_model *pit, u16 port, u64 now_ns)
{
	struct ost_pit_channel *ch;
	u32 count;

	/* The control word can't be read. */
	if ((port & 3) == 3)
		return 0;
	ch = &pit->channel[port & 3];
	if (ch->state.status_latched) {
		ch->state.status_latched = 0;
		return ch->state.status;
	}
	if (ch->state.count_latched)
		return read_latched(ch);
	count = counter(ch, to_ticks(now_ns));
	if (ch->state.bcd)
		count = count_to_bcd(count);
	switch (ch->state.read_state) {
	case STATE_WORD0:
		ch->state.read_state = STATE_WORD1;
		return count;
	case STATE_WORD1:
		ch->state.read_state = STATE_WORD0;
		return count >> 8;
	case STATE_MSB:
		return count >> 8;
	default:
		return count;
	}
}

/* --- gate and speaker --- */

static void set_gate(struct ost_pit_channel *ch, bool gate, u64 tick)
{
	if (ch->state.gate == gate)
		return;
	take_over(ch, tick);
	ch->state.gate = gate;
	if (!ch->programmed)
		return;
	/* 8254, "Gate Pin Operations Summary" */
	switch (ch->state.mode) {
	case 0:
	case 4:
		/* Low stops, high goes on. */
		if (!gate) {
			ch->stop_tick = max_t(u64, tick, 1);
		} else if (ch->stop_tick) {
			ch->load_tick += tick - min_t(u64, tick, ch->stop_tick);
			ch->stop_tick = 0;
		}
		break;
	case 1:
	case 5:
		if (gate) {
			ch->triggered = true;
			start(ch, tick);
		}
		break;
	default:
		/* Low stops, high starts anew. */
		if (gate)
			start(ch, tick);
		else
			ch->stop_tick = max_t(u64, tick, 1);
		break;
	}
}

u8 ost_pit_model_read_speaker(struct ost_pit_model *pit, u64 now_ns)
{
	return (pit->channel[2].state.gate ? SPEAKER_GATE : 0) |
	       (pit->speaker_data ? SPEAKER_DATA : 0) |
	       (now_ns / REFRESH_NS & 1 ? SPEAKER_REFRESH : 0) |
	       (ost_pit_model_out(pit, 2, now_ns) ? SPEAKER_OUT : 0);
}

void ost_pit_model_write_speaker(struct ost_pit_model *pit, u8 val, u64 now_ns)
{
	pit->speaker_data = val & SPEAKER_DATA;
	set_gate(&pit->channel[2], val & SPEAKER_GATE, to_ticks(now_ns));
}

u32 ost_pit_model_count(struct ost_pit_model *pit, u32 channel, u64 now_ns)
{
	return counter(&pit->channel[channel], to_ticks(now_ns));
}

bool ost_pit_model_out(struct ost_pit_model *pit, u32 channel, u64 now_ns)
{
	return output(&pit->channel[channel], to_ticks(now_ns));
}

/* --- interrupts of channel 0, whose gate is always high --- */

u64 ost_pit_model_next_irq_ns(struct ost_pit_model *pit, u64 now_ns)
{
	struct ost_pit_channel *ch = &pit->channel[0];
	u64 tick = to_ticks(now_ns), done, rise;

	/* Without a gate there is no trigger for modes 1 and 5. */
	if (!running(ch) || ch->stop_tick)
		return 0;
	done = elapsed(ch, tick);
	switch (ch->state.mode) {
	case 0:
		rise = ch->state.count;
		break;
	case 4:
		rise = ch->state.count + 1;
		break;
	default:
		rise = (done / ch->state.count + 1) * ch->state.count;
		/* A new count whose low half comes before the output rises again. */
		if (ch->next_count && ch->load_tick + rise != ch->next_tick)
			rise = ch->next_tick - ch->load_tick + ch->next_count / 2;
		break;
	}
	return rise > done ? to_ns(ch->load_tick + rise) : 0;
}

/* --- state --- */

void ost_pit_model_get(const struct ost_pit_model *pit, struct kvm_pit_state2 *out)
{
	u32 i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < 3; i++) {
		const struct ost_pit_channel *ch = &pit->channel[i];

		out->channels[i] = ch->state;
		if (ch->next_count)
			out->channels[i].count = ch->next_count;
		/* 0 says that it is not counting at all. */
		out->channels[i].count_load_time = running(ch) ? to_ns(ch->load_tick) : 0;
	}
	if (pit->speaker_data)
		out->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}

void ost_pit_model_restore(struct ost_pit_model *pit, const struct kvm_pit_state2 *in, u64 now_ns)
{
	u32 i;

	ost_pit_model_reset(pit);
	for (i = 0; i < 3; i++) {
		struct ost_pit_channel *ch = &pit->channel[i];

		ch->state = in->channels[i];
		ch->state.mode = in->channels[i].mode > 5 ? 3 : in->channels[i].mode;
		ch->state.bcd = !!in->channels[i].bcd;
		ch->state.rw_mode = in->channels[i].rw_mode & 3 ?: RW_WORD;
		ch->state.count_latched &= 3;
		ch->state.status_latched = !!in->channels[i].status_latched;
		ch->state.read_state = clamp_t(u8, ch->state.read_state, STATE_LSB, STATE_WORD1);
		ch->state.write_state = clamp_t(u8, ch->state.write_state, STATE_LSB, STATE_WORD1);
		/* Only channel 2 has a gate that can be low. */
		ch->state.gate = i != 2 || in->channels[i].gate;
		ch->state.count_load_time = 0;
		if (!ch->state.count || ch->state.count > modulus(ch))
			ch->state.count = modulus(ch);
		if (periodic(ch) && ch->state.count == 1)
			ch->state.count = 2;
		if (!in->channels[i].count_load_time)
			continue;
		ch->programmed = true;
		ch->triggered = gate_starts(ch);
		start(ch, to_ticks(now_ns));
	}
	pit->speaker_data = in->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}
