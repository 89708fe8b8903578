/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One counter of an 8254 as the chip does it: a state machine that is clocked. It knows nothing of
 * time; the model computes from time what this one comes to by counting.
 */
#ifndef OST_UNIT_PIT_ORACLE_H
#define OST_UNIT_PIT_ORACLE_H

#include <linux/types.h>

struct counter {
	u32 mode, modulus;
	bool gate, out;
	bool loaded;		/* a count was written since the control word */
	bool counting;		/* modes 1, 5: triggered */
	u32 reload;		/* the count register */
	u32 current;		/* what it held when it was taken last */
	u32 value;		/* the counting element */
	bool fresh;		/* the count register has not been taken yet */
	bool strobed;		/* modes 4, 5: the strobe was given */
	bool low_half;		/* mode 3 */
};

void counter_control(struct counter *c, u32 mode, bool bcd);
void counter_write(struct counter *c, u32 count);
void counter_gate(struct counter *c, bool gate);
void counter_clock(struct counter *c);
/* What a read shows: 0 to 0xffff, or to 9999. */
u32 counter_value(const struct counter *c);

#endif
