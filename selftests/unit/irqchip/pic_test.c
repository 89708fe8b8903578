// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 8259A pair: sequences a PC's software uses, and random traffic against an oracle written
 * another way.
 */
#include <stdlib.h>
#include <linux/errno.h>
#include <linux/string.h>
#include "irqchip/pic.h"
#include "tap.h"

static struct ost_pic_model pic;

static void out(u16 port, u8 val)
{
	ost_pic_model_write(&pic, port, val);
}

static u8 in(u16 port)
{
	return ost_pic_model_read(&pic, port);
}

/* As PC firmware and Linux do it: vectors 0x30 and 0x38, cascade on 2. */
static void init(u8 icw4)
{
	ost_pic_model_reset(&pic);
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x38);
	out(0xa1, 0x02);
	out(0xa1, icw4);
	out(0x21, 0);
	out(0xa1, 0);
	pic.ended = 0;
}

static int set(u32 pin, bool level)
{
	return ost_pic_model_set(&pic, pin, 0, level);
}

static void pulse(u32 pin)
{
	set(pin, true);
	set(pin, false);
}

static void initialisation(void)
{
	init(0x01);
	CHECK_EQ(in(0x21), 0);
	out(0x21, 0xfb);
	CHECK_EQ(in(0x21), 0xfb);
	CHECK(!pic.output);
	pulse(4);
	CHECK(!pic.output);
	/* ICW1 clears the mask and forgets edges. */
	out(0x20, 0x11);
	CHECK_EQ(pic.chip[0].imr, 0);
	CHECK_EQ(in(0x20), 0);
	CHECK(!pic.output);
	/* Without ICW4 there are only three words. */
	out(0x20, 0x10);
	out(0x21, 0x47);
	out(0x21, 0x04);
	out(0x21, 0xaa);
	CHECK_EQ(in(0x21), 0xaa);
	CHECK_EQ(pic.chip[0].irq_base, 0x40);
}

static void priorities(void)
{
	init(0x01);
	pulse(5);
	pulse(3);
	CHECK(pic.output);
	CHECK_EQ(ost_pic_model_peek(&pic), 0x33);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x33);
	/* 5 waits for 3, 1 does not. */
	CHECK(!pic.output);
	pulse(1);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x31);
	out(0x20, 0x0b);
	CHECK_EQ(in(0x20), 0x0a);
	out(0x20, 0x0a);
	CHECK_EQ(in(0x20), 0x20);
	out(0x20, 0x20);
	CHECK(!pic.output);
	out(0x20, 0x63);
	CHECK_EQ(pic.ended, BIT(1) | BIT(3));
	CHECK_EQ(ost_pic_model_ack(&pic), 0x35);
}

static void cascade(void)
{
	init(0x01);
	pulse(12);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x3c);
	out(0x20, 0x0b);
	CHECK_EQ(in(0x20), 0x04);
	/* Not even a higher one of the slave, since the master's 2 is in service. */
	pulse(9);
	CHECK(!pic.output);
	out(0xa0, 0x20);
	CHECK(!pic.output);
	out(0x20, 0x20);
	CHECK(pic.output);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x39);
	CHECK_EQ(pic.ended, BIT(2) | BIT(12));
	/* Pin 2 itself is the slave's. */
	CHECK_EQ(ost_pic_model_set(&pic, 2, 0, true), (u64)-1);
}

static void special_fully_nested(void)
{
	init(0x11);
	pulse(12);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x3c);
	pulse(9);
	CHECK(pic.output);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x39);
	pulse(14);
	CHECK(!pic.output);
}

static void auto_eoi(void)
{
	init(0x03);
	pulse(4);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x34);
	CHECK_EQ(pic.chip[0].isr, 0);
	CHECK_EQ(pic.ended, BIT(4));
	/* Rotation in AEOI mode: 4 becomes the lowest. */
	out(0x20, 0x80);
	pulse(4);
	ost_pic_model_ack(&pic);
	pulse(4);
	pulse(7);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x37);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x34);
	out(0x20, 0x00);
	pulse(3);
	ost_pic_model_ack(&pic);
	CHECK_EQ(pic.chip[0].priority_add, 5);
}

static void rotation(void)
{
	init(0x01);
	/* Set priority: 5 is the lowest, 6 the highest. */
	out(0x20, 0xc5);
	pulse(0);
	pulse(6);
	pulse(5);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x36);
	out(0x20, 0x20);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x30);
	/* Rotate on non-specific EOI: 0 is the lowest then. */
	out(0x20, 0xa0);
	pulse(0);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x35);
	out(0x20, 0xe5);
	CHECK_EQ(pic.chip[0].priority_add, 6);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x30);
}

static void special_mask(void)
{
	init(0x01);
	pulse(1);
	ost_pic_model_ack(&pic);
	pulse(5);
	CHECK(!pic.output);
	/* 1 is masked and in service: all others may come. */
	out(0x21, 0x02);
	CHECK(!pic.output);
	out(0x20, 0x68);
	CHECK(pic.output);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x35);
	/* A non-specific EOI passes over 1. */
	out(0x20, 0x20);
	CHECK_EQ(pic.chip[0].isr, BIT(1));
	out(0x20, 0x20);
	CHECK_EQ(pic.chip[0].isr, BIT(1));
	out(0x20, 0x61);
	CHECK_EQ(pic.chip[0].isr, 0);
	out(0x20, 0x48);
	CHECK_EQ(pic.chip[0].special_mask, 0);
}

static void poll_mode(void)
{
	init(0x01);
	out(0x20, 0x0c);
	CHECK_EQ(in(0x20), 0);
	pulse(6);
	out(0x20, 0x0c);
	CHECK_EQ(in(0x20), 0x86);
	CHECK_EQ(pic.chip[0].isr, BIT(6));
	CHECK(!pic.output);
	/* Only one read is the poll. */
	CHECK_EQ(in(0x20), 0);
	pulse(11);
	out(0xa0, 0x0c);
	CHECK_EQ(in(0xa1), 0x83);
	CHECK_EQ(pic.chip[0].isr, BIT(6));
}

static void spurious(void)
{
	init(0x01);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x37);
	CHECK_EQ(pic.chip[0].isr, 0);
	/* A level that goes before it is acknowledged. */
	out(0x4d0, 0x20);
	set(5, true);
	CHECK(pic.output);
	set(5, false);
	CHECK(!pic.output);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x37);
}

static void edge_and_level(void)
{
	init(0x01);
	CHECK_EQ(set(3, true), 1);
	CHECK_EQ(set(3, true), 0);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x33);
	out(0x20, 0x20);
	/* Still high, but no edge. */
	CHECK(!pic.output);
	CHECK_EQ(set(3, true), 0);
	CHECK(!pic.output);
	set(3, false);
	CHECK_EQ(set(3, true), 1);
	ost_pic_model_ack(&pic);
	out(0x20, 0x20);
	/* ELCR: pins 0, 1, 2, 8, 13 are edge for good. */
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	CHECK_EQ(in(0x4d0), 0xf8);
	CHECK_EQ(in(0x4d1), 0xde);
	/* 3 is high, so now it asks. */
	CHECK(pic.output);
	CHECK_EQ(ost_pic_model_ack(&pic), 0x33);
	out(0x20, 0x20);
	CHECK(pic.output);
	set(3, false);
	CHECK(!pic.output);
	/* Several sources hold one line. */
	ost_pic_model_set(&pic, 10, 0, true);
	ost_pic_model_set(&pic, 10, 3, true);
	ost_pic_model_set(&pic, 10, 0, false);
	CHECK(pic.output);
	ost_pic_model_set(&pic, 10, 3, false);
	CHECK(!pic.output);
	/* Masked. */
	out(0x21, 0x20);
	CHECK_EQ(set(5, true), (u64)-1);
	CHECK(!pic.output);
	out(0x21, 0);
	CHECK(pic.output);
}

static void state(void)
{
	static struct ost_pic_model copy;
	struct kvm_pic_state s;
	u32 i;

	init(0x01);
	out(0x4d1, 0x08);
	ost_pic_model_set(&pic, 11, 0, true);
	pulse(4);
	ost_pic_model_ack(&pic);
	ost_pic_model_reset(&copy);
	for (i = 0; i < 2; i++) {
		ost_pic_model_get(&pic, i, &s);
		ost_pic_model_restore(&copy, i, &s);
	}
	CHECK(!memcmp(copy.chip, pic.chip, sizeof(pic.chip)));
	CHECK_EQ(copy.output, pic.output);
	/* 11 is in service and still high, 4 waits. */
	CHECK(!copy.output);
	ost_pic_model_write(&copy, 0xa0, 0x20);
	ost_pic_model_write(&copy, 0x20, 0x20);
	CHECK_EQ(ost_pic_model_peek(&copy), 0x3b);
	ost_pic_model_set(&copy, 11, 0, false);
	CHECK_EQ(ost_pic_model_ack(&copy), 0x34);
	CHECK(!copy.output);
	/* These read back whatever they are. */
	s.irq_base = 0x0a;
	s.elcr_mask = 0;
	s.elcr = 0;
	ost_pic_model_restore(&copy, 0, &s);
	CHECK_EQ(copy.chip[0].irq_base, 0x0a);
	CHECK_EQ(copy.chip[0].elcr_mask, 0);
	ost_pic_model_write(&copy, 0x4d0, 0xff);
	CHECK_EQ(copy.chip[0].elcr, 0);
	/* Garbage becomes something that can be. */
	memset(&s, 0xff, sizeof(s));
	ost_pic_model_restore(&copy, 0, &s);
	ost_pic_model_restore(&copy, 1, &s);
	CHECK_EQ(copy.chip[0].elcr, 0xf8);
	CHECK_EQ(copy.chip[1].elcr, 0xde);
	CHECK_EQ(copy.chip[0].priority_add, 7);
	CHECK_EQ(copy.chip[0].init_state, 3);
}

/* --- the oracle: a list of pins in order of priority, a row of flags for each --- */

struct chip {
	int order[8];		/* pins, the highest first */
	bool line[8], wanted[8], serving[8], masked[8], level[8];
	bool special, nested, aeoi, rotate_aeoi;
};

static struct chip chips[2];
static u32 ends;

static void lowest(struct chip *c, int pin)
{
	int i;

	for (i = 0; i < 8; i++)
		c->order[i] = (pin + 1 + i) % 8;
}

static bool asks(int n, int pin);

/* The first in the order that asks before one that is served stands in its way. */
static int winner(int n)
{
	struct chip *c = &chips[n];
	int i, pin;

	for (i = 0; i < 8; i++) {
		pin = c->order[i];
		if (asks(n, pin) && !c->masked[pin]) {
			/* A pin that is being served holds off itself, too. */
			if (c->serving[pin] && !(n == 0 && pin == 2 && c->nested))
				return -1;
			return pin;
		}
		if (c->serving[pin] && !(c->special && c->masked[pin]) &&
		    !(n == 0 && pin == 2 && c->nested))
			return -1;
	}
	return -1;
}

static bool asks(int n, int pin)
{
	return n == 0 && pin == 2 ? winner(1) >= 0 : chips[n].wanted[pin];
}

static void serve(int n, int pin)
{
	struct chip *c = &chips[n];

	c->wanted[pin] = c->level[pin] && c->line[pin];
	c->serving[pin] = !c->aeoi;
	if (c->aeoi) {
		ends |= BIT(n * 8 + pin);
		if (c->rotate_aeoi)
			lowest(c, pin);
	}
}

static int oracle_ack(void)
{
	int pin = winner(0), sub;

	if (pin < 0)
		return 0x37;
	if (pin != 2) {
		serve(0, pin);
		return 0x30 + pin;
	}
	sub = winner(1);
	serve(0, 2);
	if (sub < 0)
		return 0x3f;
	serve(1, sub);
	return 0x38 + sub;
}

static void oracle_end(int n, int pin, bool rotate)
{
	if (chips[n].serving[pin])
		ends |= BIT(n * 8 + pin);
	chips[n].serving[pin] = false;
	if (rotate)
		lowest(&chips[n], pin);
}

static void oracle_eoi(int n, bool rotate)
{
	struct chip *c = &chips[n];
	int i, pin;

	for (i = 0; i < 8; i++) {
		pin = c->order[i];
		if (c->serving[pin] && !(c->special && c->masked[pin])) {
			oracle_end(n, pin, rotate);
			return;
		}
	}
}

static void oracle_line(int pin, bool level)
{
	struct chip *c = &chips[pin / 8];
	int p = pin % 8;

	if (c->level[p])
		c->wanted[p] = level;
	else if (level && !c->line[p])
		c->wanted[p] = true;
	c->line[p] = level;
}

static void oracle_write(int n, bool data, u8 val)
{
	struct chip *c = &chips[n];
	int i;

	if (data) {
		for (i = 0; i < 8; i++)
			c->masked[i] = val >> i & 1;
		return;
	}
	if (val & 8) {
		if (val & 0x40)
			c->special = val & 0x20;
		return;
	}
	switch (val >> 5) {
	case 0:
		c->rotate_aeoi = false;
		break;
	case 4:
		c->rotate_aeoi = true;
		break;
	case 1:
		oracle_eoi(n, false);
		break;
	case 5:
		oracle_eoi(n, true);
		break;
	case 3:
		oracle_end(n, val & 7, false);
		break;
	case 7:
		oracle_end(n, val & 7, true);
		break;
	case 6:
		lowest(c, val & 7);
		break;
	}
}

static void oracle_init(u8 icw4)
{
	int n, pin;

	memset(chips, 0, sizeof(chips));
	ends = 0;
	for (n = 0; n < 2; n++) {
		lowest(&chips[n], 7);
		chips[n].aeoi = icw4 & 2;
		chips[n].nested = icw4 & 0x10;
		for (pin = 0; pin < 8; pin++)
			chips[n].level[pin] = (n ? 0x48 : 0x28) >> pin & 1;
	}
	out(0x4d0, 0x28);
	out(0x4d1, 0x48);
}

static u8 row(const bool *flags)
{
	u8 bits = 0;
	int i;

	for (i = 0; i < 8; i++)
		bits |= flags[i] << i;
	return bits;
}

static void compare(u32 step)
{
	int n;

	CHECK_MSG(pic.output == (winner(0) >= 0), "step %u: output is %d", step, pic.output);
	for (n = 0; n < 2; n++) {
		u8 irr = pic.chip[n].irr;

		/*
		 * The master's request 2 is the slave's output, which the oracle computes when
		 * asked.
		 */
		if (n == 0)
			irr &= ~BIT(2);
		CHECK_EQ(irr, row(chips[n].wanted));
		CHECK_EQ(pic.chip[n].isr, row(chips[n].serving));
	}
	CHECK_EQ(pic.ended, ends);
}

static void random_traffic(void)
{
	u32 i;

	srandom(4);
	for (i = 0; i < 400000 && !tap_failed(); i++) {
		u8 icw4 = 0x01 | (random() % 4 ? 0 : 0x02) | (random() % 4 ? 0 : 0x10);
		u32 n = random() & 1, pin = random() % 16;
		u8 val = random();

		if (i % 500 == 0) {
			init(icw4);
			oracle_init(icw4);
		}
		switch (random() % 6) {
		case 0 ... 2:
			if (pin == 2)
				break;
			oracle_line(pin, val & 1);
			ost_pic_model_set(&pic, pin, 1, val & 1);
			break;
		case 3:
			/* The CPU acknowledges only when asked, or a moment too late. */
			if (pic.output || val % 32 == 0)
				CHECK_EQ(ost_pic_model_ack(&pic), oracle_ack());
			break;
		case 4:
			/* Masks with few bits, so that something happens. */
			val &= random();
			oracle_write(n, true, val);
			out(n ? 0xa1 : 0x21, val);
			break;
		case 5:
			val &= ~0x14;
			oracle_write(n, false, val);
			out(n ? 0xa0 : 0x20, val);
			break;
		}
		compare(i);
		CHECK_EQ(ost_pic_model_peek(&pic) >= 0, pic.output);
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("initialisation", initialisation);
	tap_run("priorities and EOI", priorities);
	tap_run("cascade", cascade);
	tap_run("special fully nested mode", special_fully_nested);
	tap_run("automatic EOI", auto_eoi);
	tap_run("rotation", rotation);
	tap_run("special mask mode", special_mask);
	tap_run("poll", poll_mode);
	tap_run("spurious", spurious);
	tap_run("edge and level", edge_and_level);
	tap_run("state", state);
	tap_run("random traffic against an oracle", random_traffic);
	return tap_done();
}
