// SPDX-License-Identifier: GPL-2.0-only
/*
 * LAPIC: registers, priorities, errors, IPIs, x2APIC's rules, state; random traffic against a plain
 * oracle.
 */
#include <pthread.h>
#include <stdlib.h>
#include <linux/string.h>
#include "lapic_fixture.h"
#include "tap.h"

static struct fixture f;

static void reset_state(void)
{
	u32 lvt;

	fixture_init(&f, 3, false, false);
	CHECK_EQ(fixture_read(&f, APIC_ID), 3u << 24);
	CHECK_EQ(fixture_read(&f, APIC_LVR), 0x00050014);
	CHECK_EQ(fixture_read(&f, APIC_SPIV), 0xff);
	CHECK_EQ(fixture_read(&f, APIC_DFR), 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_LDR), 0);
	CHECK_EQ(fixture_read(&f, APIC_TASKPRI), 0);
	CHECK_EQ(fixture_read(&f, APIC_PROCPRI), 0);
	for (lvt = APIC_LVTT; lvt <= APIC_LVTERR; lvt += 0x10)
		CHECK_EQ(fixture_read(&f, lvt), APIC_LVT_MASKED);
	CHECK(!ost_lapic_takes_extint(&f.apic));

	fixture_init(&f, 0, true, false);
	CHECK_EQ(fixture_read(&f, APIC_LVT0), APIC_DM_EXTINT);
	CHECK(ost_lapic_takes_extint(&f.apic));
}

/* INIT resets all but the id and the mode. */
static void init_event(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_ID, 9u << 24);
	fixture_write(&f, APIC_LDR, 0x02000000);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x55, false);
	ost_lapic_model_reset(&f.apic, true);
	CHECK_EQ(fixture_read(&f, APIC_ID), 9u << 24);
	CHECK_EQ(fixture_read(&f, APIC_LDR), 0);
	CHECK_EQ(fixture_read(&f, APIC_SPIV), 0xff);
	CHECK_EQ(fixture_read(&f, APIC_LVT0), APIC_LVT_MASKED);
	CHECK_EQ(ost_lapic_find_irr(&f.apic), (u64)-1);
}

static void priorities(void)
{
	fixture_init(&f, 0, true, true);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 0);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x38, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x90, false), 1);
	CHECK_EQ(ost_lapic_take(&f.apic), 0x90);
	CHECK_EQ(fixture_read(&f, APIC_PROCPRI), 0x90);
	/* Lower and equal classes wait, a higher one does not. */
	CHECK_EQ(ost_lapic_take(&f.apic), (u64)-1);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x9f, false);
	CHECK_EQ(ost_lapic_deliverable(&f.apic), (u64)-1);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0xa0, false);
	CHECK_EQ(ost_lapic_take(&f.apic), 0xa0);
	fixture_write(&f, APIC_EOI, 0);
	CHECK_EQ(f.eoi_vector, 0xa0);
	CHECK_EQ(fixture_read(&f, APIC_PROCPRI), 0x90);
	fixture_write(&f, APIC_EOI, 0x12345678);
	CHECK_EQ(f.eoi_vector, 0x90);
	CHECK_EQ(ost_lapic_take(&f.apic), 0x9f);
	fixture_write(&f, APIC_EOI, 0);
	/* TPR: its own class is held off, too, and PPR shows it whole. */
	fixture_write(&f, APIC_TASKPRI, 0x3a);
	CHECK_EQ(fixture_read(&f, APIC_PROCPRI), 0x3a);
	CHECK_EQ(ost_lapic_deliverable(&f.apic), (u64)-1);
	f.events = 0;
	fixture_write(&f, APIC_TASKPRI, 0x2f);
	CHECK(f.events > 0);
	CHECK_EQ(ost_lapic_take(&f.apic), 0x38);
	fixture_write(&f, APIC_EOI, 0);
	CHECK_EQ(ost_lapic_take(&f.apic), 0x31);
	f.nr_eois = 0;
	fixture_write(&f, APIC_EOI, 0);
	fixture_write(&f, APIC_EOI, 0);
	/* The second had nothing to end. */
	CHECK_EQ(f.nr_eois, 1);
	/* The EOI leaves TPR alone to hold a request back: from now on its writes have to be watched. */
	fixture_write(&f, APIC_TASKPRI, 0x40);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x44, false);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x5f, false);
	CHECK_EQ(ost_lapic_take(&f.apic), 0x5f);
	f.events = 0;
	fixture_write(&f, APIC_EOI, 0);
	CHECK(f.events > 0);
	CHECK_EQ(ost_lapic_deliverable(&f.apic), (u64)-1);
}

static void trigger_mode(void)
{
	fixture_init(&f, 0, true, true);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x41, true);
	CHECK(fixture_bit(&f, APIC_TMR, 0x41));
	ost_lapic_take(&f.apic);
	fixture_write(&f, APIC_EOI, 0);
	CHECK(f.eoi_level);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x41, false);
	CHECK(!fixture_bit(&f, APIC_TMR, 0x41));
	ost_lapic_take(&f.apic);
	fixture_write(&f, APIC_EOI, 0);
	CHECK(!f.eoi_level);
}

static void software_disable(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_LVT1, APIC_DM_NMI);
	fixture_write(&f, APIC_LVTT, 0x40);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x77, false);
	fixture_write(&f, APIC_SPIV, 0xff);
	CHECK_EQ(fixture_read(&f, APIC_LVT1), APIC_DM_NMI | APIC_LVT_MASKED);
	CHECK_EQ(fixture_read(&f, APIC_LVTT), 0x40 | APIC_LVT_MASKED);
	/* Mask bits can't be cleared, fixed interrupts are not taken, what was pending stays. */
	fixture_write(&f, APIC_LVT1, APIC_DM_NMI);
	CHECK_EQ(fixture_read(&f, APIC_LVT1), APIC_DM_NMI | APIC_LVT_MASKED);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x80, false), (u64)-1);
	CHECK_EQ(ost_lapic_deliverable(&f.apic), (u64)-1);
	/* SMI, NMI, INIT and SIPI are. */
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_SMI, 0, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_NMI, 0, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_INIT, 0, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_SIPI, 0x9a, false), 1);
	CHECK(f.smis == 1 && f.nmis == 1 && f.inits == 1 && f.sipis == 1 && f.sipi_vector == 0x9a);
	f.events = 0;
	fixture_write(&f, APIC_SPIV, 0x1ff);
	CHECK(f.events > 0);
	CHECK_EQ(ost_lapic_take(&f.apic), 0x77);
}

static void local_vectors(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_LVTPC, APIC_DM_NMI);
	CHECK_EQ(ost_lapic_local(&f.apic, APIC_LVTPC), 1);
	CHECK_EQ(f.nmis, 1);
	fixture_write(&f, APIC_LVTPC, APIC_DM_SMI);
	CHECK_EQ(ost_lapic_local(&f.apic, APIC_LVTPC), 1);
	CHECK_EQ(f.smis, 1);
	fixture_write(&f, APIC_LVTTHMR, 0x66);
	CHECK_EQ(ost_lapic_local(&f.apic, APIC_LVTTHMR), 1);
	CHECK(fixture_bit(&f, APIC_IRR, 0x66));
	fixture_write(&f, APIC_LVT0, 0x67 | APIC_LVT_LEVEL_TRIGGER);
	CHECK_EQ(ost_lapic_local(&f.apic, APIC_LVT0), 1);
	CHECK(fixture_bit(&f, APIC_TMR, 0x67));
	fixture_write(&f, APIC_LVT0, 0x67 | APIC_LVT_MASKED);
	CHECK_EQ(ost_lapic_local(&f.apic, APIC_LVT0), (u64)-1);
	/* Reserved delivery modes of an LVT do nothing. */
	fixture_write(&f, APIC_LVT1, APIC_DM_STARTUP | 0x10);
	CHECK_EQ(ost_lapic_local(&f.apic, APIC_LVT1), (u64)-1);
	CHECK_EQ(f.sipis, 0);
	/* Read-only and reserved bits. */
	/* The PIC may wait for LINT0: a write that changes it is looked at, no other. */
	f.events = 0;
	fixture_write(&f, APIC_LVT0, 0x67 | APIC_LVT_MASKED);
	CHECK_EQ(f.events, 0);
	fixture_write(&f, APIC_LVT0, APIC_DM_EXTINT);
	CHECK_EQ(f.events, 1);
	fixture_write(&f, APIC_LVT0, 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_LVT0), 0x1a7ff);
	fixture_write(&f, APIC_LVTERR, 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_LVTERR), 0x100ff);
	fixture_write(&f, APIC_LVTT, 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_LVTT), 0x700ff);
	f.apic.tsc_deadline_allowed = false;
	fixture_write(&f, APIC_LVTT, 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_LVTT), 0x300ff);
}

static void extint_opens(void)
{
	fixture_init(&f, 1, false, true);
	f.events = 0;
	fixture_write(&f, APIC_LVT0, APIC_DM_EXTINT);
	CHECK(ost_lapic_takes_extint(&f.apic));
	CHECK(f.events > 0);
	fixture_write(&f, APIC_LVT0, APIC_DM_EXTINT | APIC_LVT_MASKED);
	CHECK(!ost_lapic_takes_extint(&f.apic));
	fixture_write(&f, APIC_LVT0, 0x30);
	CHECK(!ost_lapic_takes_extint(&f.apic));
}

static void errors(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_LVTERR, 0xfe);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 15, false), (u64)-1);
	CHECK(fixture_bit(&f, APIC_IRR, 0xfe));
	CHECK(!fixture_bit(&f, APIC_IRR, 15));
	/* ESR shows it only after a write, which rearms. */
	CHECK_EQ(fixture_read(&f, APIC_ESR), 0);
	CHECK_EQ(ost_lapic_take(&f.apic), 0xfe);
	fixture_write(&f, APIC_EOI, 0);
	fixture_write(&f, APIC_ICR, 0x0f);
	CHECK_EQ(f.nr_sent, 0);
	CHECK(!fixture_bit(&f, APIC_IRR, 0xfe));
	fixture_write(&f, APIC_ESR, 0);
	CHECK_EQ(fixture_read(&f, APIC_ESR), APIC_ESR_RECVILL | APIC_ESR_SENDILL);
	CHECK_EQ(fixture_read(&f, 0x40), 0);
	CHECK(fixture_bit(&f, APIC_IRR, 0xfe));
	CHECK_EQ(fixture_read(&f, APIC_ESR), APIC_ESR_RECVILL | APIC_ESR_SENDILL);
	fixture_write(&f, APIC_ESR, 0);
	CHECK_EQ(fixture_read(&f, APIC_ESR), APIC_ESR_ILLREGA);
	fixture_write(&f, APIC_ESR, 0);
	CHECK_EQ(fixture_read(&f, APIC_ESR), 0);
	/* Reserved space behind the registers, and CMCI, which this version has not. */
	fixture_write(&f, 0x500, 1);
	fixture_write(&f, APIC_LVTCMCI, 1);
	fixture_write(&f, APIC_ESR, 0);
	CHECK_EQ(fixture_read(&f, APIC_ESR), APIC_ESR_ILLREGA);
	/* An error vector that is itself illegal. */
	fixture_write(&f, APIC_LVTERR, 5);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 3, false);
	fixture_read(&f, 0x40);
	fixture_write(&f, APIC_ESR, 0);
	CHECK_EQ(fixture_read(&f, APIC_ESR), APIC_ESR_RECVILL | APIC_ESR_ILLREGA);
	CHECK(!fixture_bit(&f, APIC_IRR, 5));
	/* Read-only registers are no errors. */
	fixture_write(&f, APIC_LVR, 0);
	fixture_write(&f, APIC_PROCPRI, 0x33);
	fixture_write(&f, APIC_ESR, 0);
	CHECK_EQ(fixture_read(&f, APIC_ESR), 0);
	CHECK_EQ(fixture_read(&f, APIC_PROCPRI), 0);
}

static void odd_accesses(void)
{
	u64 val = ~0ull;
	u16 half = 0xbeef;

	fixture_init(&f, 5, false, true);
	ost_lapic_page_read(&f.apic, APIC_ID, 8, &val);
	CHECK_EQ(val, 5u << 24);
	ost_lapic_page_read(&f.apic, APIC_ID + 3, 1, &val);
	CHECK_EQ(val & 0xff, 5);
	val = ~0ull;
	ost_lapic_page_read(&f.apic, APIC_ID + 4, 4, &val);
	CHECK_EQ((u32)val, 0);
	ost_lapic_page_read(&f.apic, APIC_ID + 2, 4, &val);
	CHECK_EQ((u32)val, 5u << 8);
	ost_lapic_page_write(&f.apic, APIC_TASKPRI, 2, &half);
	ost_lapic_page_write(&f.apic, APIC_TASKPRI + 4, 2, &half);
	CHECK_EQ(fixture_read(&f, APIC_TASKPRI), 0);
	/* The last bytes of the page. */
	ost_lapic_page_read(&f.apic, 0xfff, 1, &val);
	ost_lapic_page_write(&f.apic, 0xff0, 4, &val);
}

static void icr_modes(void)
{
	fixture_init(&f, 0, true, true);
	fixture_write(&f, APIC_ICR2, 0xa5ffffff);
	CHECK_EQ(fixture_read(&f, APIC_ICR2), 0xa5000000);
	fixture_write(&f, APIC_ICR, 0xfff30000 | APIC_DEST_LOGICAL | APIC_DM_LOWEST | 0x61);
	CHECK_EQ(f.nr_sent, 1);
	CHECK(f.sent.dest == 0xa5 && f.sent.logical && f.sent.delivery == OST_DELIVER_LOWEST &&
	      f.sent.vector == 0x61 && f.sent.shorthand == OST_SHORTHAND_NONE);
	/* Reserved bits are kept, and the delivery status reads 0. */
	CHECK_EQ(fixture_read(&f, APIC_ICR), 0xfff30000 | APIC_DEST_LOGICAL | APIC_DM_LOWEST | 0x61);
	fixture_write(&f, APIC_ICR, ~0u & ~(u32)(APIC_DEST_ALLBUT | APIC_VECTOR_MASK));
	CHECK_EQ(fixture_read(&f, APIC_ICR) & APIC_ICR_BUSY, 0);
	/* The trigger mode of IPIs does not reach TMR. */
	fixture_write(&f, APIC_ICR, APIC_INT_LEVELTRIG | APIC_INT_ASSERT | 0x62);
	CHECK(!f.sent.trig_level);
	fixture_write(&f, APIC_ICR, APIC_DEST_ALLBUT | APIC_DM_NMI);
	CHECK(f.sent.delivery == OST_DELIVER_NMI && f.sent.shorthand == OST_SHORTHAND_OTHERS);
	/* INIT: asserted in both trigger modes; level de-assert does nothing. */
	f.nr_sent = 0;
	fixture_write(&f, APIC_ICR, APIC_DM_INIT | APIC_INT_ASSERT);
	fixture_write(&f, APIC_ICR, APIC_DM_INIT | APIC_INT_ASSERT | APIC_INT_LEVELTRIG);
	CHECK_EQ(f.nr_sent, 2);
	fixture_write(&f, APIC_ICR, APIC_DM_INIT | APIC_INT_LEVELTRIG);
	CHECK_EQ(f.nr_sent, 2);
	/* Nor may INIT and SIPI reach their sender by shorthand. */
	fixture_write(&f, APIC_ICR, APIC_DM_STARTUP | APIC_DEST_ALLINC | 0x10);
	fixture_write(&f, APIC_ICR, APIC_DM_INIT | APIC_INT_ASSERT | APIC_DEST_SELF);
	CHECK_EQ(f.nr_sent, 2);
	fixture_write(&f, APIC_ICR, APIC_DM_STARTUP | APIC_DEST_ALLBUT | 0x02);
	CHECK_EQ(f.nr_sent, 3);
	CHECK_EQ(f.sent.vector, 2);
}

#define RO(msr) { msr, true, false, 0, 0 }
#define NONE(msr) { msr, false, false, 0, 0 }

/* SDM table 11-6: what each MSR takes. */
static void x2apic_access(void)
{
	static const struct {
		u32 msr;
		bool read, write;
		u64 good, bad;		/* a value that is taken, and one with a reserved bit */
	} rows[] = {
		RO(0x802), RO(0x803), { 0x808, 1, 1, 0xff, 0x100 }, RO(0x80a),
		{ 0x80b, 0, 1, 0, 1 }, RO(0x80d), { 0x80f, 1, 1, 0x1ff, 0x400 },
		RO(0x810), RO(0x817), RO(0x818), RO(0x820), RO(0x827),
		{ 0x828, 1, 1, 0, 1 }, { 0x830, 1, 1, 0x500000040ull, 0x2040 },
		{ 0x832, 1, 1, 0x30030, 0x80000 }, { 0x833, 1, 1, 0x10030, 0x20000 },
		{ 0x834, 1, 1, 0x400, 0x800 }, { 0x835, 1, 1, 0x1a700, 0x20000 },
		{ 0x836, 1, 1, 0x10400, 0x800 }, { 0x837, 1, 1, 0x10030, 0x100 },
		{ 0x838, 1, 1, 0xffffffff, 1ull << 32 }, RO(0x839),
		{ 0x83e, 1, 1, 0xb, 4 }, { 0x83f, 0, 1, 0x40, 0x100 },
		/* absent: DFR, upper half of ICR, APR, RRD, CMCI, others */
		NONE(0x80e), NONE(0x831), NONE(0x809), NONE(0x80c), NONE(0x82f),
		NONE(0x800), NONE(0x801), NONE(0x83a), NONE(0x840), NONE(0x8ff),
	};
	u64 val;
	u32 i;

	fixture_init(&f, 0x25, false, true);
	CHECK(ost_lapic_msr_read(&f.apic, 0x802, &val));
	ost_lapic_set_mode(&f.apic, OST_APIC_X2APIC);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_MSG(!ost_lapic_msr_read(&f.apic, rows[i].msr, &val) == rows[i].read,
			  "reading %#x", rows[i].msr);
		CHECK_MSG(!ost_lapic_msr_write(&f.apic, rows[i].msr, rows[i].good) == rows[i].write,
			  "writing %#x", rows[i].msr);
		CHECK_MSG(!rows[i].write || ost_lapic_msr_write(&f.apic, rows[i].msr, rows[i].bad),
			  "writing reserved bits of %#x", rows[i].msr);
		if (rows[i].write && rows[i].msr != 0x830)
			CHECK(ost_lapic_msr_write(&f.apic, rows[i].msr,
						  rows[i].good | 1ull << 32));
	}
	CHECK(!ost_lapic_msr_read(&f.apic, 0x802, &val));
	CHECK_EQ(val, 0x25);
	CHECK(!ost_lapic_msr_read(&f.apic, 0x80d, &val));
	CHECK_EQ(val, 0x20020);
	CHECK(!ost_lapic_msr_write(&f.apic, 0x830, 0x12345678000c0041ull));
	CHECK(f.sent.dest == 0x12345678 && f.sent.shorthand == 3 && f.sent.vector == 0x41);
	CHECK(!ost_lapic_msr_read(&f.apic, 0x830, &val));
	CHECK_EQ(val, 0x12345678000c0041ull);
	/* SELF IPI */
	CHECK(!ost_lapic_msr_write(&f.apic, 0x83f, 0x99));
	CHECK(fixture_bit(&f, APIC_IRR, 0x99));
	CHECK(!ost_lapic_msr_write(&f.apic, 0x828, 0));
	CHECK(!ost_lapic_msr_write(&f.apic, 0x83f, 0x09));
	CHECK(!ost_lapic_msr_write(&f.apic, 0x828, 0));
	CHECK(!ost_lapic_msr_read(&f.apic, 0x828, &val));
	CHECK_EQ(val, APIC_ESR_RECVILL);
}

static void mode_changes(void)
{
	fixture_init(&f, 0x13, false, true);
	fixture_write(&f, APIC_ID, 0x77000000);
	fixture_write(&f, APIC_LDR, 0x10000000);
	fixture_write(&f, APIC_ICR2, 0x44000000);
	fixture_write(&f, APIC_TASKPRI, 0x20);
	f.apic.dest_changed = false;
	ost_lapic_set_mode(&f.apic, OST_APIC_X2APIC);
	CHECK(f.apic.dest_changed);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_ID), 0x13);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_LDR), 0x10008);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_ICR2), 0);
	/* The rest is kept; INIT keeps the mode. */
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_TASKPRI), 0x20);
	ost_lapic_model_reset(&f.apic, true);
	CHECK_EQ(f.apic.mode, OST_APIC_X2APIC);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_LDR), 0x10008);
	ost_lapic_set_mode(&f.apic, OST_APIC_DISABLED);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x55, false), (u64)-1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_INIT, 0, false), (u64)-1);
	ost_lapic_set_mode(&f.apic, OST_APIC_XAPIC);
	CHECK_EQ(fixture_read(&f, APIC_ID), 0x13000000);
	CHECK_EQ(fixture_read(&f, APIC_SPIV), 0xff);
	ost_lapic_model_reset(&f.apic, false);
	CHECK_EQ(f.apic.mode, OST_APIC_XAPIC);
}

static void state_round_trip(void)
{
	struct kvm_lapic_state a, b;
	static struct fixture g;
	u32 i;

	fixture_init(&f, 2, false, true);
	fixture_write(&f, APIC_LDR, 0x04000000);
	fixture_write(&f, APIC_TDCR, 0xb);
	fixture_write(&f, APIC_LVTT, 0x40 | APIC_LVT_TIMER_PERIODIC);
	fixture_write(&f, APIC_TMICT, 1000000);
	fixture_run(&f, 300000);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x91, true);
	ost_lapic_take(&f.apic);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0xd1, false);
	fixture_write(&f, APIC_TASKPRI, 0x55);
	ost_lapic_model_get(&f.apic, &a);

	fixture_init(&g, 2, false, false);
	g.now_ns = 77;
	ost_lapic_model_set(&g.apic, &a);
	CHECK(g.events > 0);
	ost_lapic_model_get(&g.apic, &b);
	for (i = 0; i < sizeof(a.regs); i += 4)
		CHECK_MSG(!memcmp(a.regs + i, b.regs + i, 4), "register %#x differs", i);
	CHECK_EQ(ost_lapic_deliverable(&g.apic), 0xd1);
	CHECK_EQ(fixture_read(&g, APIC_PROCPRI), 0x90);
	/* Its timer goes on from where it was. */
	fixture_run(&g, 699999);
	CHECK_EQ(g.ticks, 0);
	fixture_run(&g, 1);
	CHECK_EQ(g.ticks, 1);
	ost_lapic_take(&g.apic);
	fixture_write(&g, APIC_EOI, 0);
	fixture_write(&g, APIC_EOI, 0);
	CHECK_EQ(g.eoi_vector, 0x91);
	CHECK(g.eoi_level);
}

static void state_x2apic_id(void)
{
	struct kvm_lapic_state s;
	u32 id;

	fixture_init(&f, 0x21, false, true);
	ost_lapic_set_mode(&f.apic, OST_APIC_X2APIC);
	ost_lapic_msr_write(&f.apic, 0x830, 0xabcdef0100000041ull);
	ost_lapic_model_get(&f.apic, &s);
	memcpy(&id, s.regs + APIC_ID, 4);
	CHECK_EQ(id, 0x21000000);
	memset(s.regs + APIC_ID, 0xff, 4);
	memset(s.regs + APIC_LDR, 0xff, 4);
	ost_lapic_model_set(&f.apic, &s);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_ID), 0x21);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_LDR), 0x20002);
	CHECK_EQ(ost_lapic_reg(&f.apic, APIC_ICR2), 0xabcdef01);
}

/* Whatever the VMM passes, the registers hold only what can be in them. */
static void state_garbage(void)
{
	struct kvm_lapic_state s;

	fixture_init(&f, 2, false, true);
	memset(&s, 0xff, sizeof(s));
	ost_lapic_model_set(&f.apic, &s);
	CHECK_EQ(fixture_read(&f, APIC_LVR), 0x00050014);
	CHECK_EQ(fixture_read(&f, APIC_TASKPRI), 0xff);
	CHECK_EQ(fixture_read(&f, APIC_SPIV), 0x3ff);
	/* Vectors below 16 stay, and are never delivered. */
	CHECK_EQ(fixture_read(&f, APIC_IRR), 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_ISR), 0xffff0000);
	CHECK_EQ(fixture_read(&f, APIC_TDCR), 0xb);
	CHECK_EQ(fixture_read(&f, 0x40), 0);
	CHECK_EQ(ost_lapic_find_isr(&f.apic), 0xff);
	CHECK_EQ(ost_lapic_deliverable(&f.apic), (u64)-1);
	fixture_run(&f, 1ull << 40);
}

/* --- random traffic against plain arrays --- */

struct oracle {
	bool irr[256], isr[256], tmr[256], on;
	u8 tpr;
};

static int highest(const bool *set)
{
	int v;

	for (v = 255; v >= 0; v--)
		if (set[v])
			return v;
	return -1;
}

static int oracle_ppr(const struct oracle *o)
{
	int isrv = highest(o->isr);

	return isrv >= 0 && isrv / 16 > o->tpr / 16 ? isrv / 16 * 16 : o->tpr;
}

static int oracle_deliverable(const struct oracle *o)
{
	int v = highest(o->irr);

	return o->on && v >= 0 && v / 16 > oracle_ppr(o) / 16 ? v : -1;
}

static void oracle_step(struct oracle *o, u32 op, u8 v)
{
	int top;

	switch (op) {
	case 0 ... 3:
		if (o->on && v >= 16) {
			o->irr[v] = true;
			o->tmr[v] = op & 1;
		}
		break;
	case 4 ... 5:
		top = oracle_deliverable(o);
		if (top >= 0) {
			o->irr[top] = false;
			o->isr[top] = true;
		}
		break;
	case 6 ... 7:
		top = highest(o->isr);
		if (top >= 0)
			o->isr[top] = false;
		break;
	case 8:
		o->tpr = v;
		break;
	case 9:
		o->on = v > 20;
		break;
	}
}

static void model_step(u32 op, u8 v)
{
	switch (op) {
	case 0 ... 3:
		ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, v, op & 1);
		break;
	case 4 ... 5:
		ost_lapic_take(&f.apic);
		break;
	case 6 ... 7:
		fixture_write(&f, APIC_EOI, 0);
		break;
	case 8:
		fixture_write(&f, APIC_TASKPRI, v);
		break;
	case 9:
		fixture_write(&f, APIC_SPIV, 0xff | (v > 20 ? APIC_SPIV_APIC_ENABLED : 0));
		break;
	}
}

static void random_traffic(void)
{
	struct oracle o;
	u32 i, v, op;
	int before;

	srandom(1);
	fixture_init(&f, 0, true, true);
	memset(&o, 0, sizeof(o));
	o.on = true;
	for (i = 0; i < 300000; i++) {
		op = random() % 10;
		v = random() & 0xff;
		before = oracle_deliverable(&o);
		f.events = 0;
		oracle_step(&o, op, v);
		model_step(op, v);
		CHECK_MSG(ost_lapic_deliverable(&f.apic) == oracle_deliverable(&o),
			  "step %u: %d deliverable, not %d", i, ost_lapic_deliverable(&f.apic),
			  oracle_deliverable(&o));
		CHECK_EQ(fixture_read(&f, APIC_PROCPRI), oracle_ppr(&o));
		/* Whatever became deliverable has been announced. */
		if (oracle_deliverable(&o) > before && op != 4 && op != 5)
			CHECK(f.events > 0);
		if (i % 64)
			continue;
		for (v = 0; v < 256; v++) {
			CHECK_EQ(fixture_bit(&f, APIC_IRR, v), o.irr[v]);
			CHECK_EQ(fixture_bit(&f, APIC_ISR, v), o.isr[v]);
			CHECK_EQ(fixture_bit(&f, APIC_TMR, v), o.tmr[v]);
		}
	}
}

/* --- posting from other threads --- */

#define POSTS 400000
static u32 posted[2];
static u32 posters;

static void *post(void *arg)
{
	u32 *count = arg, i;

	for (i = 0; i < POSTS; i++)
		if (ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x20 + i * 7 % 200, false) == 1)
			(*count)++;
	__atomic_fetch_sub(&posters, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Every post that was the first is taken exactly once, and nothing is left over unseen. */
static void concurrent_posts(void)
{
	pthread_t threads[2];
	u32 taken = 0, i;

	fixture_init(&f, 0, true, true);
	posted[0] = posted[1] = 0;
	posters = 2;
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, post, &posted[i]);
	while (__atomic_load_n(&posters, __ATOMIC_SEQ_CST)) {
		if (ost_lapic_take(&f.apic) < 0)
			continue;
		taken++;
		ost_lapic_eoi(&f.apic);
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	while (ost_lapic_take(&f.apic) >= 0) {
		taken++;
		ost_lapic_eoi(&f.apic);
	}
	for (i = 0; i < 8; i++)
		CHECK_EQ(ost_lapic_reg(&f.apic, APIC_IRR + 0x10 * i), 0);
	CHECK_EQ(taken, posted[0] + posted[1]);
	CHECK(taken > 100);
}

/* The CPU works on IRR: what arrives waits, and is seen by whoever asks in the own thread. */
static void deferred(void)
{
	struct kvm_lapic_state state;

	fixture_init(&f, 0, true, true);
	f.apic.deferred = true;
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 0);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0xf1, true), 1);
	CHECK(!fixture_bit(&f, APIC_IRR, 0x31));
	CHECK(fixture_bit(&f, APIC_TMR, 0xf1));
	ost_lapic_collect(&f.apic);
	CHECK(fixture_bit(&f, APIC_IRR, 0x31));
	CHECK(fixture_bit(&f, APIC_IRR, 0xf1));
	/* Pending in IRR: coalesced, as far as can be told. */
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 0);
	ost_lapic_collect(&f.apic);
	CHECK_EQ(ost_lapic_take(&f.apic), 0xf1);
	ost_lapic_eoi(&f.apic);
	CHECK_EQ(f.eoi_vector, 0xf1);
	CHECK(f.eoi_level);
	/* A saved state has it all; one that is set, and a reset, leave nothing behind. */
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x77, false), 1);
	ost_lapic_model_get(&f.apic, &state);
	CHECK(fixture_bit(&f, APIC_IRR, 0x77));
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x99, false), 1);
	ost_lapic_model_set(&f.apic, &state);
	ost_lapic_collect(&f.apic);
	CHECK(fixture_bit(&f, APIC_IRR, 0x77));
	CHECK(!fixture_bit(&f, APIC_IRR, 0x99));
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x99, false), 1);
	ost_lapic_model_reset(&f.apic, true);
	ost_lapic_collect(&f.apic);
	CHECK_EQ(ost_lapic_find_irr(&f.apic), (u64)-1);
}

/* The same with a descriptor for the CPU, of whose first bit there is one telling. */
static void posted_arrivals(void)
{
	fixture_init(&f, 0, true, true);
	f.apic.deferred = true;
	f.posts = true;
	f.events = 0;
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 1);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x31, false), 0);
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0xf1, false), 1);
	CHECK_EQ(f.events, 1);
	CHECK_EQ(f.apic.posted.vectors[0], 1ull << 0x31);
	CHECK_EQ(f.apic.posted.vectors[3], 1ull << (0xf1 - 0xc0));
	CHECK_EQ(f.apic.posted.outstanding, 1);
	/* One that may not be is told of by itself, and collected with the rest. */
	f.posts = false;
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x77, false), 1);
	CHECK_EQ(f.events, 2);
	ost_lapic_collect(&f.apic);
	CHECK_EQ(f.apic.posted.outstanding, 0);
	CHECK(fixture_bit(&f, APIC_IRR, 0x31));
	CHECK(fixture_bit(&f, APIC_IRR, 0x77));
	CHECK(fixture_bit(&f, APIC_IRR, 0xf1));
	/* The next is told of again. A reset leaves nothing behind. */
	f.posts = true;
	CHECK_EQ(ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x99, false), 1);
	CHECK_EQ(f.events, 3);
	ost_lapic_model_reset(&f.apic, true);
	ost_lapic_collect(&f.apic);
	CHECK_EQ(ost_lapic_find_irr(&f.apic), (u64)-1);
}

/* The CPU moves vectors without keeping the model's summaries. */
static void cpu_delivers(void)
{
	fixture_init(&f, 0, true, true);
	f.apic.deferred = true;
	ost_lapic_set_cpu_delivers(&f.apic, true);
	CHECK(f.apic.vectors_changed);
	CHECK_EQ(ost_lapic_cpu_status(&f.apic), 0);
	CHECK(!f.apic.vectors_changed);
	ost_lapic_accept(&f.apic, OST_DELIVER_FIXED, 0x45, false);
	ost_lapic_collect(&f.apic);
	CHECK(f.apic.vectors_changed);
	CHECK_EQ(ost_lapic_cpu_status(&f.apic), 0x45);
	/* As the CPU does: into service, and a SELF IPI. */
	*ost_lapic_regp(&f.apic, APIC_IRR + 0x20) = 0;
	*ost_lapic_regp(&f.apic, APIC_ISR + 0x20) = 1 << 5;
	*ost_lapic_regp(&f.apic, APIC_IRR + 0x60) = 1 << 3;
	CHECK_EQ(ost_lapic_cpu_status(&f.apic), 0x45c3);
	/* Software disables it: nothing is requested, what is in service stays. */
	fixture_write(&f, APIC_SPIV, 0xff);
	CHECK(f.apic.vectors_changed);
	CHECK_EQ(ost_lapic_cpu_status(&f.apic), 0x4500);
	fixture_write(&f, APIC_SPIV, 0x1ff);
	ost_lapic_set_cpu_delivers(&f.apic, false);
	CHECK_EQ(ost_lapic_find_isr(&f.apic), 0x45);
	CHECK_EQ(ost_lapic_find_irr(&f.apic), 0xc3);
	ost_lapic_ended(&f.apic, 0x45);
	CHECK_EQ(f.eoi_vector, 0x45);
}

/* A register as the CPU lets the guest write it, any bits. */
static void raw_write(u32 offset, u32 val)
{
	*ost_lapic_regp(&f.apic, offset) = val;
	ost_lapic_page_written(&f.apic, offset);
}

static void written_by_cpu(void)
{
	fixture_init(&f, 0, true, true);
	raw_write(APIC_LVT0, 0xffffffff);
	CHECK_EQ(fixture_read(&f, APIC_LVT0), 0x1a7ff);
	raw_write(APIC_LDR, 0x12345678);
	CHECK_EQ(fixture_read(&f, APIC_LDR), 0x12000000);
	CHECK(f.apic.dest_changed);
	raw_write(APIC_DFR, 0);
	CHECK_EQ(fixture_read(&f, APIC_DFR), 0x0fffffff);
	raw_write(APIC_ICR2, 0x03ffffff);
	raw_write(APIC_ICR, APIC_DM_FIXED | 0x55);
	CHECK_EQ(f.nr_sent, 1);
	CHECK_EQ(f.sent.dest, 3);
	CHECK_EQ(f.sent.vector, 0x55);
	/* That it was enabled counts, though the page says otherwise by now. */
	raw_write(APIC_LVTERR, 0x66);
	CHECK_EQ(fixture_read(&f, APIC_LVTERR), 0x66);
	raw_write(APIC_SPIV, 0xff);
	CHECK_EQ(fixture_read(&f, APIC_LVTERR), 0x66 | APIC_LVT_MASKED);
	/* No meaning: a register that can't be written, TPR, beyond the registers. */
	raw_write(APIC_LVR, 7);
	raw_write(APIC_TASKPRI, 0x20);
	CHECK_EQ(fixture_read(&f, APIC_TASKPRI), 0x20);
	ost_lapic_page_written(&f.apic, 0xffc);
}

static void plain_msrs(void)
{
	CHECK(ost_lapic_msr_plain(0x802));
	CHECK(ost_lapic_msr_plain(0x827));
	CHECK(!ost_lapic_msr_plain(0x80b));	/* EOI */
	CHECK(!ost_lapic_msr_plain(0x80e));	/* DFR */
	CHECK(!ost_lapic_msr_plain(0x830));	/* ICR */
	CHECK(!ost_lapic_msr_plain(0x831));
	CHECK(!ost_lapic_msr_plain(0x839));	/* TMCCT */
	CHECK(!ost_lapic_msr_plain(0x83f));	/* SELF IPI */
	CHECK(!ost_lapic_msr_plain(0x840));
	CHECK(!ost_lapic_msr_plain(0x8ff));
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("state after RESET", reset_state);
	tap_run("INIT", init_event);
	tap_run("priorities, PPR, EOI", priorities);
	tap_run("trigger mode register", trigger_mode);
	tap_run("software disable", software_disable);
	tap_run("local vectors", local_vectors);
	tap_run("ExtINT through LINT0", extint_opens);
	tap_run("errors", errors);
	tap_run("accesses of odd sizes and places", odd_accesses);
	tap_run("ICR", icr_modes);
	tap_run("x2APIC: accesses and reserved bits", x2apic_access);
	tap_run("mode changes", mode_changes);
	tap_run("state: saved and restored", state_round_trip);
	tap_run("state: x2APIC id", state_x2apic_id);
	tap_run("state: garbage", state_garbage);
	tap_run("random traffic against an oracle", random_traffic);
	tap_run("posts from other threads", concurrent_posts);
	tap_run("arrivals wait while the CPU works on IRR", deferred);
	tap_run("arrivals are posted", posted_arrivals);
	tap_run("vectors that the CPU delivers", cpu_delivers);
	tap_run("registers written by the CPU", written_by_cpu);
	tap_run("x2APIC MSRs that the page answers", plain_msrs);
	return tap_done();
}
