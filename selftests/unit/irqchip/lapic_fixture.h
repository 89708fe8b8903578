/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A LAPIC model with a clock that tests set, a host timer that fires by it, and a log of what it
 * asks for.
 */
#ifndef OST_UNIT_LAPIC_FIXTURE_H
#define OST_UNIT_LAPIC_FIXTURE_H

#include "irqchip/lapic.h"

#define TSC_PER_NS 3

struct fixture {
	struct ost_lapic apic;
	u8 page[4096] __aligned(4096);
	u64 now_ns;
	bool posts;			/* what arrives may be posted, where it is deferred */
	bool armed;
	u64 expires_ns, interval_ns;
	bool moves_deadlines;		/* one that is armed can be given another time as it is */
	u32 arms, cancels;
	u32 events, nmis, smis, inits, sipis;
	u8 sipi_vector;
	u32 nr_sent;
	struct ost_irq_message sent;	/* the last one */
	u32 nr_eois;
	u8 eoi_vector;
	bool eoi_level;
	u32 ticks;			/* timer interrupts that reached IRR */
};

/* After RESET, with IA32_APIC_BASE enabled; software enabled if `on`. */
void fixture_init(struct fixture *f, u32 id, bool bsp, bool on);
/* Time passes; the host's timer fires when it is due, and the vCPU's thread acts on it at once. */
void fixture_run(struct fixture *f, u64 ns);
/* Time passes, and the host's timer is late: it does not fire. */
void fixture_run_late(struct fixture *f, u64 ns);

u32 fixture_read(struct fixture *f, u32 offset);
void fixture_write(struct fixture *f, u32 offset, u32 val);

/* Is vector's bit set in APIC_IRR, APIC_ISR or APIC_TMR? */
bool fixture_bit(struct fixture *f, u32 base, u8 vector);

#endif
