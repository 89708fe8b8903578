/* SPDX-License-Identifier: GPL-2.0-only */
/* An interrupt message, as it travels between LAPICs, IOAPIC and MSI sources. */
#ifndef OST_IRQCHIP_MESSAGE_H
#define OST_IRQCHIP_MESSAGE_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

/*
 * Delivery modes: bits 8-10 of ICR, LVT and redirection entries (SDM vol. 3A, 11.5.1 and 11.6.1).
 */
enum ost_delivery {
	OST_DELIVER_FIXED = 0,
	OST_DELIVER_LOWEST = 1,
	OST_DELIVER_SMI = 2,
	OST_DELIVER_RESERVED = 3,
	OST_DELIVER_NMI = 4,
	OST_DELIVER_INIT = 5,
	OST_DELIVER_SIPI = 6,
	OST_DELIVER_EXTINT = 7,
};

/* Destination shorthands: bits 18-19 of ICR. */
enum ost_shorthand {
	OST_SHORTHAND_NONE = 0,
	OST_SHORTHAND_SELF = 1,
	OST_SHORTHAND_ALL = 2,
	OST_SHORTHAND_OTHERS = 3,
};

/* An interrupt message as IPIs, MSIs and IOAPIC entries carry it. */
struct ost_irq_message {
	u32 dest;		/* destination field: 8 bits, or 32 from a LAPIC in x2APIC mode */
	u8 vector;
	u8 delivery;		/* enum ost_delivery */
	u8 shorthand;		/* enum ost_shorthand */
	bool logical;
	bool level;		/* asserted (ICR bit 14): only INIT looks at it */
	bool trig_level;	/* level-triggered: sets the vector's bit in TMR */
};

/* Vectors whose ends whoever sends them wants to hear of, with a number that is another for each set. */
struct ost_eoi_vectors {
	unsigned long vectors[4];	/* by vector, 64 each [any: read] */
	u32 version;			/* 0 before the first set [any: read] */
};

/*
 * A new set, before anything is sent that is in it alone. One that is in the old as well stays in all the
 * time. The caller serialises.
 */
static inline void ost_eoi_vectors_set(struct ost_eoi_vectors *eois, const unsigned long vectors[4])
{
	u32 i;

	for (i = 0; i < 4; i++)
		WRITE_ONCE(eois->vectors[i], vectors[i]);
	/* Who sees the number sees the vectors. */
	smp_wmb();
	WRITE_ONCE(eois->version, eois->version + 1);
}

#endif
