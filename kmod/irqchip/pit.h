/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The PC's 8254 timer with port 0x61 beside it, as a model. pit.c is pure: it is told the time, and
 * computes counters and outputs from the time at which they were loaded. The caller serialises the
 * calls, in the kernel by a lock (pit_glue.c).
 */
#ifndef OST_IRQCHIP_PIT_H
#define OST_IRQCHIP_PIT_H

#include <linux/kvm.h>
#include <linux/types.h>

#define OST_PIT_HZ 1193182u

struct ost_pit_channel {
	/* ABI's form; count is 1 to 65536 (10000 in BCD), count_load_time is unused here. */
	struct kvm_pit_channel_state state;
	u64 load_tick;		/* when it was loaded, in ticks of the PIT since time 0 */
	u64 stop_tick;		/* when the gate stopped it, 0 while it counts */
	u32 next_count;		/* written, but not what counts yet; 0 none */
	u64 next_tick;		/* modes 2, 3: when it takes over */
	bool programmed;	/* since the control word a count was written */
	bool triggered;		/* modes 1, 5: a rising gate started it */
	bool null_count;	/* what was written last is not yet what counts */
};

struct ost_pit_model {
	struct ost_pit_channel channel[3];
	bool speaker_data;	/* bit 1 of port 0x61 */
	bool irq_changed;	/* channel 0 was programmed; the caller takes it */
};

void ost_pit_model_reset(struct ost_pit_model *pit);
/* Ports 0x40 to 0x43, at time now_ns. */
u8 ost_pit_model_read(struct ost_pit_model *pit, u16 port, u64 now_ns);
void ost_pit_model_write(struct ost_pit_model *pit, u16 port, u8 val, u64 now_ns);
/* Port 0x61: gate and output of channel 2, speaker, refresh toggle. */
u8 ost_pit_model_read_speaker(struct ost_pit_model *pit, u64 now_ns);
void ost_pit_model_write_speaker(struct ost_pit_model *pit, u8 val, u64 now_ns);

/* Counter and output of a channel (0..2). */
u32 ost_pit_model_count(struct ost_pit_model *pit, u32 channel, u64 now_ns);
bool ost_pit_model_out(struct ost_pit_model *pit, u32 channel, u64 now_ns);
/* When channel 0's output rises next, after now_ns; 0 for never. */
u64 ost_pit_model_next_irq_ns(struct ost_pit_model *pit, u64 now_ns);

/* KVM_GET/SET_PIT2; channels start anew with their counts when they are restored. */
void ost_pit_model_get(const struct ost_pit_model *pit, struct kvm_pit_state2 *out);
void ost_pit_model_restore(struct ost_pit_model *pit, const struct kvm_pit_state2 *in,
			   u64 now_ns);

#endif
