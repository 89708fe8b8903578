// SPDX-License-Identifier: GPL-2.0-only
/*
 * Written from the 8254's data sheet, mode by mode. The one liberty that the model takes is taken
 * here, too: a count is in the counting element with its write or trigger, not with the clock after
 * it.
 */
#include "pit_oracle.h"

void counter_control(struct counter *c, u32 mode, bool bcd)
{
	bool gate = c->gate;

	*c = (struct counter){ .mode = mode, .modulus = bcd ? 10000 : 65536, .gate = gate };
	c->out = mode != 0;
	c->reload = c->value = c->modulus;
}

/* The count register goes into the counting element. */
static void take(struct counter *c)
{
	c->current = c->reload;
	c->value = c->reload;
	c->fresh = false;
	c->strobed = false;
	c->low_half = false;
	/* An odd square wave counts from one less. */
	if (c->mode == 3)
		c->value &= ~1u;
}

void counter_write(struct counter *c, u32 count)
{
	bool first = !c->loaded;

	c->reload = count ? count : c->modulus;
	c->loaded = true;
	c->fresh = true;
	switch (c->mode) {
	case 0:
		c->out = false;
		take(c);
		break;
	case 4:
		c->out = true;
		take(c);
		break;
	case 2:
	case 3:
		if (first || !c->gate) {
			take(c);
			c->out = true;
		}
		break;
	default:
		/* It waits for the trigger, and is to be seen until then if nothing else counts. */
		if (!c->counting)
			c->value = c->reload;
		break;
	}
}

void counter_gate(struct counter *c, bool gate)
{
	bool rising = gate && !c->gate;

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (!c->loaded)
		return;
	switch (c->mode) {
	case 1:
	case 5:
		if (rising) {
			c->counting = true;
			take(c);
			c->out = c->mode == 5;
		}
		break;
	case 2:
	case 3:
		if (rising)
			take(c);
		c->out = true;
		break;
	}
}

static void down(struct counter *c, u32 by)
{
	c->value = (c->value + c->modulus - by) % c->modulus;
}

static void clock_square_wave(struct counter *c)
{
	u32 half = c->low_half ? c->current / 2 : (c->current + 1) / 2;
	/* Clocks of this half, with this one. */
	u32 position = ((c->current & ~1u) - c->value) / 2 + 1;

	if (position < half) {
		c->value -= 2;
		return;
	}
	if (!c->low_half) {
		take(c);
		c->low_half = true;
		c->out = false;
	} else {
		take(c);
		c->out = true;
	}
}

void counter_clock(struct counter *c)
{
	if (!c->loaded)
		return;
	switch (c->mode) {
	case 0:
		if (!c->gate)
			return;
		down(c, 1);
		if (!c->value)
			c->out = true;
		break;
	case 1:
		if (!c->counting)
			return;
		down(c, 1);
		if (!c->value)
			c->out = true;
		break;
	case 2:
		if (!c->gate)
			return;
		if (c->value == 1) {
			take(c);
			c->out = true;
			return;
		}
		c->value--;
		c->out = c->value != 1;
		break;
	case 3:
		if (c->gate)
			clock_square_wave(c);
		break;
	case 4:
	case 5:
		if (c->mode == 4 ? !c->gate : !c->counting)
			return;
		down(c, 1);
		/* One clock low when it reaches 0 for the first time. */
		c->out = c->value || c->strobed;
		if (!c->value)
			c->strobed = true;
		break;
	}
}

u32 counter_value(const struct counter *c)
{
	return c->value % c->modulus;
}
