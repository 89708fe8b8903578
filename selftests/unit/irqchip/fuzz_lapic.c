// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the LAPIC under arbitrary traffic: page and MSR accesses by the guest, messages,
 * time, mode changes, restored states. After each step the priority and what is deliverable have to
 * follow from IRR, ISR and TPR by the manual, the timer's state from its registers, and a saved state
 * restores to itself.
 *
 *	make test-fuzz T=fuzz/irqchip/fuzz_lapic
 */
#include <linux/bug.h>
#include <linux/string.h>
#include "lapic_fixture.h"

static struct fixture f;

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
	BUG_ON((ost_lapic_reg(&f.apic, APIC_IRR) | ost_lapic_reg(&f.apic, APIC_ISR)) & 0xffff);
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

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 arg[11];
	u64 val;

	fixture_init(&f, 5, true, true);
	for (; size; data += min(size, sizeof(arg)), size -= min(size, sizeof(arg))) {
		memset(arg, 0, sizeof(arg));
		memcpy(arg, data, min(size, sizeof(arg)));
		memcpy(&val, arg + 1, sizeof(val));
		switch (arg[0] % 12) {
		case 0 ... 2:
			access_page(arg + 1);
			break;
		case 3 ... 4:
			access_msr(arg + 1);
			break;
		case 5:
			ost_lapic_accept(&f.apic, arg[1] & 7, arg[2], arg[3] & 1);
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
			break;
		case 11:
			if (arg[1] & 1)
				restore(arg + 1);
			else if (arg[1] & 2)
				ost_lapic_timer_rearm_model(&f.apic);
			else
				ost_lapic_model_reset(&f.apic, arg[1] & 4);
			break;
		}
		invariants();
	}
	return 0;
}
