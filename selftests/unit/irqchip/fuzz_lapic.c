// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the LAPIC under arbitrary traffic: page and MSR accesses by the guest, messages,
 * time, mode changes, restored states. After each step the priority and what is deliverable have to
 * follow from IRR, ISR and TPR by the manual, the timer's state from its registers, and a saved state
 * restores to itself. Where arrivals wait or are posted (the first byte says so), all that were taken
 * are requested once collected; a register that the CPU wrote is as if the model had been asked to.
 *
 *	make test-fuzz T=fuzz/irqchip/fuzz_lapic
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "lapic_fixture.h"

static struct fixture f;
static u32 waiting[8];	/* what was taken since the last look, by vector */

static int highest(u32 base)
{
	int v;

	for (v = 255; v >= 0; v--)
		if (fixture_bit(&f, base, v))
			return v;
	return -1;
}

static void invariants(void)
{
	int irr = highest(APIC_IRR), isr = highest(APIC_ISR);
	u32 tpr = ost_lapic_reg(&f.apic, APIC_TASKPRI);
	u32 isr_class = isr < 0 ? 0 : isr & 0xf0;
	u32 ppr = (tpr & 0xf0) >= isr_class ? tpr : isr_class;
	bool on = f.apic.mode != OST_APIC_DISABLED && ost_lapic_sw_enabled(&f.apic);

	BUG_ON(ost_lapic_find_irr(&f.apic) != irr);
	BUG_ON(ost_lapic_find_isr(&f.apic) != isr);
	BUG_ON(ost_lapic_reg(&f.apic, APIC_PROCPRI) != ppr);
	BUG_ON(ost_lapic_deliverable(&f.apic) !=
	       (on && irr >= 0 && (irr & 0xf0) > (ppr & 0xf0) ? irr : -1));
	BUG_ON(ost_lapic_reg(&f.apic, APIC_LVR) != OST_LAPIC_VERSION);
	/* In IRR they may have been restored, and stay. */
	BUG_ON(ost_lapic_reg(&f.apic, APIC_ISR) & 0xffff);
	/* A masked or stopped timer needs nothing of the host. */
	BUG_ON(f.armed && ost_lapic_masked(&f.apic, APIC_LVTT));
	BUG_ON(f.armed != f.apic.timer.armed);
	/* Nothing has touched the space between the registers. */
	BUG_ON(ost_lapic_reg(&f.apic, APIC_ID + 4) | ost_lapic_reg(&f.apic, APIC_IRR + 8));
}

static void access_page(const u8 *arg)
{
	u32 offset = (arg[0] | arg[1] << 8) & 0xfff, len = 1 << (arg[1] >> 4 & 3);
	u8 val[8];

	memcpy(val, arg + 2, sizeof(val));
	if (arg[1] & 0x80)
		ost_lapic_page_write(&f.apic, offset, len, val);
	else
		ost_lapic_page_read(&f.apic, offset, len, val);
}

static void access_msr(const u8 *arg)
{
	u64 val;

	memcpy(&val, arg + 2, sizeof(val));
	if (arg[1] & 1)
		ost_lapic_msr_write(&f.apic, 0x800 + arg[0], val);
	else
		ost_lapic_msr_read(&f.apic, 0x800 + arg[0], &val);
}

/* A saved state and the one after restoring it are one, but for what did not fit. */
static void restore(const u8 *arg)
{
	struct kvm_lapic_state s, again;
	u32 i;

	for (i = 0; i < sizeof(s.regs); i++)
		s.regs[i] = arg[i % 10] ^ (i * arg[0]);
	ost_lapic_model_set(&f.apic, &s);
	ost_lapic_model_get(&f.apic, &s);
	ost_lapic_model_set(&f.apic, &s);
	ost_lapic_model_get(&f.apic, &again);
	memset(s.regs + APIC_TMCCT, 0, 4);
	memset(again.regs + APIC_TMCCT, 0, 4);
	BUG_ON(memcmp(&s, &again, sizeof(s)));
}

static void accept(const u8 *arg)
{
	u8 vector = arg[1], delivery = arg[0] & 7;
	u32 before = f.events;
	int ret = ost_lapic_accept(&f.apic, delivery, vector, arg[2] & 1);

	if (!f.apic.deferred || delivery > OST_DELIVER_LOWEST || ret < 0)
		return;
	waiting[vector / 32] |= 1u << vector % 32;
	/* Whoever has to collect it was told. */
	BUG_ON(f.events == before && !f.apic.any_arrived && !f.apic.posted.outstanding);
}

static void collect(void)
{
	u32 i;

	ost_lapic_collect(&f.apic);
	for (i = 0; i < ARRAY_SIZE(waiting); i++)
		BUG_ON(waiting[i] & ~ost_lapic_reg(&f.apic, APIC_IRR + 0x10 * i));
	BUG_ON(f.apic.any_arrived || f.apic.posted.outstanding);
	memset(waiting, 0, sizeof(waiting));
}

/* The registers whose writes a CPU that virtualizes them reports (SDM vol. 3C, 30.4.3.2). */
static void written_by_cpu(const u8 *arg)
{
	static const u16 offsets[] = {
		APIC_ID, APIC_EOI, APIC_LDR, APIC_DFR, APIC_SPIV, APIC_ESR, APIC_ICR, APIC_ICR2,
		APIC_LVTT, APIC_LVTTHMR, APIC_LVTPC, APIC_LVT0, APIC_LVT1, APIC_LVTERR, APIC_TMICT,
		APIC_TDCR,
	};
	static struct fixture model;
	u32 offset = offsets[arg[0] % ARRAY_SIZE(offsets)], val;

	if (f.apic.mode != OST_APIC_XAPIC)
		return;
	memcpy(&val, arg + 1, sizeof(val));
	model = f;
	model.apic.regs = model.page;
	ost_lapic_page_write(&model.apic, offset, sizeof(val), &val);
	*ost_lapic_regp(&f.apic, offset) = val;
	ost_lapic_page_written(&f.apic, offset);
	BUG_ON(memcmp(f.page, model.page, sizeof(f.page)));
	BUG_ON(f.armed != model.armed || f.nr_sent != model.nr_sent || f.nr_eois != model.nr_eois);
	BUG_ON(f.apic.timer.armed != model.apic.timer.armed);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 arg[11];
	u64 val;

	fixture_init(&f, 5, true, true);
	memset(waiting, 0, sizeof(waiting));
	if (size) {
		f.apic.deferred = data[0] & 1;
		f.posts = data[0] & 2;
		data++;
		size--;
	}
	for (; size; data += min(size, sizeof(arg)), size -= min(size, sizeof(arg))) {
		memset(arg, 0, sizeof(arg));
		memcpy(arg, data, min(size, sizeof(arg)));
		memcpy(&val, arg + 1, sizeof(val));
		switch (arg[0] % 14) {
		case 0 ... 2:
			access_page(arg + 1);
			break;
		case 3 ... 4:
			access_msr(arg + 1);
			break;
		case 5:
			accept(arg + 1);
			break;
		case 6:
			ost_lapic_take(&f.apic);
			break;
		case 7:
			fixture_run(&f, val & 0xffffff);
			break;
		case 8:
			fixture_run_late(&f, val & 0xffffff);
			break;
		case 9:
			if (val & 3)
				val = f.now_ns * TSC_PER_NS + val / 4;
			ost_lapic_timer_set_deadline(&f.apic, val);
			break;
		case 10:
			ost_lapic_set_mode(&f.apic, arg[1] % 3);
			if (f.apic.mode == OST_APIC_DISABLED)
				memset(waiting, 0, sizeof(waiting));
			break;
		case 11:
			if (arg[1] & 1)
				restore(arg + 1);
			else if (arg[1] & 2)
				ost_lapic_timer_rearm_model(&f.apic);
			else
				ost_lapic_model_reset(&f.apic, arg[1] & 4);
			memset(waiting, 0, sizeof(waiting));
			break;
		case 12:
			collect();
			break;
		case 13:
			written_by_cpu(arg + 1);
			break;
		}
		invariants();
	}
	return 0;
}
