// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOAPIC: registers, edge and level, Remote IRR, masks, storms, state; random traffic against
 * an oracle.
 */
#include <stdlib.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "irqchip/ioapic.h"
#include "tap.h"

static struct ost_ioapic_model io;
static u32 nr_sent, nr_pauses;
static struct ost_irq_message sent;
static int answer = 1;

static int deliver(struct ost_ioapic_model *ioapic, const struct ost_irq_message *msg)
{
	nr_sent++;
	sent = *msg;
	return answer;
}

static void pause_pins(struct ost_ioapic_model *ioapic)
{
	nr_pauses++;
}

static void init(void)
{
	io.deliver = deliver;
	io.pause = pause_pins;
	ost_ioapic_model_reset(&io);
	nr_sent = 0;
	nr_pauses = 0;
	answer = 1;
}

static u32 rd(u32 reg)
{
	ost_ioapic_model_write(&io, 0, reg);
	return ost_ioapic_model_read(&io, 0x10);
}

static void wr(u32 reg, u32 val)
{
	ost_ioapic_model_write(&io, 0, reg);
	ost_ioapic_model_write(&io, 0x10, val);
}

static void entry(u32 pin, u32 low, u8 dest)
{
	wr(0x11 + 2 * pin, (u32)dest << 24);
	wr(0x10 + 2 * pin, low);
}

static void registers(void)
{
	u32 pin;

	init();
	CHECK_EQ(rd(1), 0x00170011);
	for (pin = 0; pin < 24; pin++) {
		CHECK_EQ(rd(0x10 + 2 * pin), 0x10000);
		CHECK_EQ(rd(0x11 + 2 * pin), 0);
	}
	wr(0, 0xffffffff);
	CHECK_EQ(rd(0), 0x0f000000);
	CHECK_EQ(rd(2), 0x0f000000);
	wr(1, 0);
	CHECK_EQ(rd(1), 0x00170011);
	/* Read-only bits of an entry stay, reserved ones read 0. */
	wr(0x10, 0xffffffff);
	wr(0x11, 0xffffffff);
	CHECK_EQ(rd(0x10), 0x1afff);
	CHECK_EQ(rd(0x11), 0xff000000);
	/* Outside of everything. */
	CHECK_EQ(rd(0x40), 0);
	CHECK_EQ(rd(0x0f), 0);
	wr(0x40, 5);
	wr(0xff, 5);
	CHECK_EQ(ost_ioapic_model_read(&io, 0x20), 0);
	ost_ioapic_model_write(&io, 0x40, 7);
	CHECK_EQ(ost_ioapic_model_read(&io, 0), 0xff);
}

static void edge(void)
{
	init();
	/* Masked: an edge is lost, also when it is unmasked with the line high. */
	CHECK_EQ(ost_ioapic_model_set(&io, 4, 0, true), (u64)-1);
	entry(4, 0x0841, 0x0f);
	CHECK_EQ(nr_sent, 0);
	CHECK_EQ(ost_ioapic_model_set(&io, 4, 0, true), 0);
	ost_ioapic_model_set(&io, 4, 0, false);
	CHECK_EQ(ost_ioapic_model_set(&io, 4, 0, true), 1);
	CHECK(sent.vector == 0x41 && sent.dest == 0x0f && sent.logical && !sent.trig_level &&
	      sent.delivery == OST_DELIVER_FIXED);
	CHECK_EQ(rd(0x18) & BIT(14), 0);
	/* No end is needed for the next one. */
	ost_ioapic_model_set(&io, 4, 0, false);
	CHECK_EQ(ost_ioapic_model_set(&io, 4, 0, true), 1);
	CHECK_EQ(nr_sent, 2);
	/* What the LAPIC says comes back. */
	answer = 0;
	ost_ioapic_model_set(&io, 4, 0, false);
	CHECK_EQ(ost_ioapic_model_set(&io, 4, 0, true), 0);
	answer = -1;
	ost_ioapic_model_set(&io, 4, 0, false);
	CHECK_EQ(ost_ioapic_model_set(&io, 4, 0, true), (u64)-1);
}

static void level(void)
{
	init();
	entry(10, 0x8051, 1);
	CHECK_EQ(ost_ioapic_model_set(&io, 10, 0, true), 1);
	CHECK(sent.trig_level);
	CHECK(rd(0x24) & BIT(14));
	/* In flight: nothing more is sent. */
	CHECK_EQ(ost_ioapic_model_set(&io, 10, 1, true), 0);
	CHECK_EQ(nr_sent, 1);
	/* One source less is not low. */
	ost_ioapic_model_set(&io, 10, 0, false);
	ost_ioapic_model_eoi(&io, 0x51);
	CHECK_EQ(nr_sent, 2);
	CHECK(rd(0x24) & BIT(14));
	ost_ioapic_model_set(&io, 10, 1, false);
	ost_ioapic_model_eoi(&io, 0x51);
	CHECK_EQ(nr_sent, 2);
	CHECK_EQ(rd(0x24) & BIT(14), 0);
	/* An end of another vector is none of ours. */
	ost_ioapic_model_set(&io, 10, 1, true);
	ost_ioapic_model_eoi(&io, 0x52);
	CHECK(rd(0x24) & BIT(14));
	CHECK_EQ(ost_ioapic_model_pins(&io, 0x51), BIT(10));
	CHECK_EQ(ost_ioapic_model_pins(&io, 0x52), 0);
	CHECK(test_bit(0x51, io.eois.vectors) && !test_bit(0x52, io.eois.vectors));
}

static void level_masked(void)
{
	init();
	entry(10, 0x18051, 1);
	CHECK_EQ(ost_ioapic_model_set(&io, 10, 0, true), (u64)-1);
	/* Unlike an edge it waits. */
	entry(10, 0x8051, 1);
	CHECK_EQ(nr_sent, 1);
	/* Masked while in flight, ended, unmasked: sent again. */
	wr(0x24, 0x18051);
	ost_ioapic_model_eoi(&io, 0x51);
	CHECK_EQ(nr_sent, 1);
	wr(0x24, 0x8051);
	CHECK_EQ(nr_sent, 2);
	/* A write of the entry does not send what is in flight. */
	wr(0x24, 0x8051);
	CHECK_EQ(nr_sent, 2);
	/* By hand, as Linux does it without an EOI register: to edge and back. */
	wr(0x24, 0x10051);
	CHECK_EQ(rd(0x24) & BIT(14), 0);
	wr(0x24, 0x18051);
	wr(0x24, 0x8051);
	CHECK_EQ(nr_sent, 3);
}

/* When nobody takes it, nobody will end it: it must not count as in flight. */
static void nobody(void)
{
	init();
	entry(3, 0x8061, 7);
	answer = -1;
	CHECK_EQ(ost_ioapic_model_set(&io, 3, 0, true), (u64)-1);
	CHECK_EQ(rd(0x16) & BIT(14), 0);
	answer = 0;
	wr(0x16, 0x8061);
	CHECK(rd(0x16) & BIT(14));
}

/* Only fixed and lowest priority can be level-triggered. */
static void edge_by_nature(void)
{
	init();
	entry(5, 0x8400, 1);
	CHECK_EQ(ost_ioapic_model_set(&io, 5, 0, true), 1);
	CHECK(sent.delivery == OST_DELIVER_NMI && !sent.trig_level);
	CHECK_EQ(rd(0x1a) & BIT(14), 0);
	CHECK_EQ(ost_ioapic_model_set(&io, 5, 0, true), 0);
	entry(6, 0x8133, 1);
	CHECK_EQ(ost_ioapic_model_set(&io, 6, 0, true), 1);
	CHECK(sent.delivery == OST_DELIVER_LOWEST && sent.trig_level);
}

static void storm(void)
{
	u32 i;

	init();
	entry(9, 0x8051, 1);
	ost_ioapic_model_set(&io, 9, 0, true);
	for (i = 0; i < 10 * OST_IOAPIC_STORM && !nr_pauses; i++)
		ost_ioapic_model_eoi(&io, 0x51);
	CHECK_EQ(nr_pauses, 1);
	CHECK_EQ(nr_sent, OST_IOAPIC_STORM);
	/* Quiet until it is resumed, whatever comes. */
	ost_ioapic_model_eoi(&io, 0x51);
	CHECK_EQ(ost_ioapic_model_set(&io, 9, 2, true), 0);
	wr(0x22, 0x8051);
	CHECK_EQ(nr_sent, OST_IOAPIC_STORM);
	ost_ioapic_model_resume(&io);
	CHECK_EQ(nr_sent, OST_IOAPIC_STORM + 1);
	CHECK(rd(0x22) & BIT(14));
	/* A line that falls ends it at once. */
	for (i = 0; i < 10 * OST_IOAPIC_STORM && nr_pauses < 2; i++)
		ost_ioapic_model_eoi(&io, 0x51);
	ost_ioapic_model_set(&io, 9, 0, false);
	ost_ioapic_model_set(&io, 9, 2, false);
	nr_sent = 0;
	ost_ioapic_model_set(&io, 9, 0, true);
	CHECK_EQ(nr_sent, 1);
	ost_ioapic_model_resume(&io);
	CHECK_EQ(nr_sent, 1);
}

static void state(void)
{
	struct kvm_ioapic_state a, b;

	init();
	wr(0, 0x05000000);
	entry(1, 0x31, 2);
	entry(9, 0x8039, 3);
	entry(10, 0x803a, 3);
	entry(11, 0x1803b, 3);
	ost_ioapic_model_set(&io, 9, 0, true);
	ost_ioapic_model_set(&io, 11, 0, true);
	ost_ioapic_model_get(&io, &a);
	CHECK_EQ(a.irr, BIT(9) | BIT(11));
	CHECK_EQ(a.redirtbl[9].fields.remote_irr, 1);
	/* An interrupt that was raised but not sent yet is sent after the restore. */
	a.irr |= BIT(10);
	init();
	CHECK_EQ(ost_ioapic_model_restore(&io, &a), 0);
	CHECK_EQ(nr_sent, 1);
	CHECK_EQ(sent.vector, 0x3a);
	ost_ioapic_model_get(&io, &b);
	a.redirtbl[10].fields.remote_irr = 1;
	CHECK(!memcmp(&a, &b, sizeof(a)));
	/* The end of 9 sends it again, as its line is high; userspace lowers it. */
	ost_ioapic_model_eoi(&io, 0x39);
	CHECK_EQ(nr_sent, 2);
	ost_ioapic_model_set(&io, 9, 0, false);
	ost_ioapic_model_eoi(&io, 0x39);
	CHECK_EQ(nr_sent, 2);
	/* Garbage. */
	memset(&a, 0xff, sizeof(a));
	CHECK_EQ(ost_ioapic_model_restore(&io, &a), (u64)-EINVAL);
	a.base_address = OST_IOAPIC_BASE;
	CHECK_EQ(ost_ioapic_model_restore(&io, &a), 0);
	ost_ioapic_model_get(&io, &b);
	CHECK_EQ(b.irr, 0xffffff);
	CHECK_EQ(b.id, 0xf);
	CHECK_EQ(b.ioregsel, 0xff);
	CHECK_EQ(b.redirtbl[23].bits, 0xff0000000001afffull);
}

/* --- oracle: per pin what is known of it, and what may be sent follows --- */

struct pin {
	bool driven[8], masked, level, flight;
	u8 vector;
};

static bool high(const struct pin *p)
{
	int i;

	for (i = 0; i < 8; i++)
		if (p->driven[i])
			return true;
	return false;
}

/* How many messages a level pin owes now; they are in flight afterwards. */
static u32 owed(struct pin *p)
{
	if (!p->level || p->masked || p->flight || !high(p))
		return 0;
	p->flight = true;
	return 1;
}

static void random_traffic(void)
{
	static struct pin pins[24];
	u32 i, n, expect;

	srandom(5);
	init();
	for (n = 0; n < 24; n++)
		pins[n] = (struct pin){ .masked = true };
	for (i = 0; i < 500000 && !tap_failed(); i++) {
		struct pin *p = &pins[n = random() % 24];
		u32 source = random() % 8;
		bool was_high = high(p), up = random() & 1;

		expect = 0;
		nr_sent = 0;
		switch (random() % 4) {
		case 0 ... 1:
			p->driven[source] = up;
			if (!p->level && !p->masked && !was_high && high(p))
				expect = 1;
			expect += owed(p);
			ost_ioapic_model_set(&io, n, source, up);
			break;
		case 2:
			p->masked = random() & 1;
			p->level = random() & 1;
			p->vector = 0x20 + random() % 8;
			if (!p->level)
				p->flight = false;
			expect = owed(p);
			wr(0x10 + 2 * n, p->vector | (p->masked ? 0x10000 : 0) |
			   (p->level ? 0x8000 : 0));
			break;
		case 3:
			source = 0x20 + random() % 8;
			for (n = 0; n < 24; n++) {
				if (pins[n].vector != source || !pins[n].flight)
					continue;
				pins[n].flight = false;
				expect += owed(&pins[n]);
			}
			ost_ioapic_model_eoi(&io, source);
			break;
		}
		CHECK_MSG(nr_sent == expect, "step %u: %u sent, not %u", i, nr_sent, expect);
		for (n = 0; n < 24; n++) {
			CHECK_EQ(io.state.redirtbl[n].fields.remote_irr, pins[n].flight);
			CHECK_EQ(io.state.irr >> n & 1, high(&pins[n]));
		}
		ost_ioapic_model_resume(&io);
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("registers", registers);
	tap_run("edge", edge);
	tap_run("level and Remote IRR", level);
	tap_run("level and masks", level_masked);
	tap_run("nobody takes it", nobody);
	tap_run("delivery modes that are edge by nature", edge_by_nature);
	tap_run("an interrupt storm", storm);
	tap_run("state", state);
	tap_run("random traffic against an oracle", random_traffic);
	return tap_done();
}
