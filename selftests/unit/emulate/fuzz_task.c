// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: task switches with any TSSs, descriptors, pages and registers. The input changes
 * a good state bit by bit. What must hold, by SDM vol. 3A, 8.3:
 *
 *   - a fault in the old task leaves registers, segments and memory as they were;
 *   - once the new task is there its registers are those of its TSS, the old one's are in the old
 *     TSS and nowhere else, busy bits, link, NT and TS are as the source wants;
 *   - the segments of a task that was loaded fit each other and its privilege level;
 *   - a lost race changes nothing that trying again does not make good: the outcome is the same
 *     (unless the old task's image or its link is written over what the new one is read from).
 *
 *	make test-fuzz T=fuzz/emulate/fuzz_task
 */
#include <linux/bug.h>

#include "machine.h"

#define OLD_TSS	 MACHINE_TSS
#define NEW_TSS	 0xb000u
#define LDT	 0xc000u
#define OLD_SEL	 0x40
#define NEW_SEL	 0x48
#define LDT_SEL	 0x50
#define TSS_BYTES 0x68
#define LINK_AT	 0

/* Where the saved parts lie (SDM vol. 3A, figures 8-2 and 8-10). */
#define TSS32_START 0x20
#define TSS32_END   0x60
#define TSS16_START 0x0e
#define TSS16_END   0x2a

static struct machine m, before, raced;
static struct ost_emul_task task;

static void good_state(u8 options)
{
	bool new_wide = !(options & 1), old_wide = !(options & 2), vm86 = options & 4;
	unsigned int i;

	machine_init(&m, OST_EMUL_PROT32);
	machine_descriptor(&m, 0x08, 0, 0xfffff, 0x9a, 0xc);
	machine_descriptor(&m, 0x10, 0, 0xfffff, 0x92, 0xc);
	machine_descriptor(&m, 0x18, 0, 0xfffff, 0xfa, 0xc);
	machine_descriptor(&m, 0x20, 0, 0xfffff, 0xf2, 0xc);
	machine_descriptor(&m, OLD_SEL, OLD_TSS, 0x67, old_wide ? 0x8b : 0x83, 0);
	machine_descriptor(&m, NEW_SEL, NEW_TSS, 0x67, new_wide ? 0x89 : 0x81, 0);
	machine_descriptor(&m, LDT_SEL, LDT, 0x1f, 0x82, 0);
	/* The LDT's: a conforming and a plain code segment, and data that grow down. */
	machine_put(&m, LDT, 0x00cf9e000000ffffULL, 8);
	machine_put(&m, LDT + 8, 0x00cf9b000000ffffULL, 8);
	machine_put(&m, LDT + 16, 0x00cf96000000ffffULL, 8);
	m.seg[OST_TR] = (struct kvm_segment){.selector = OLD_SEL, .base = OLD_TSS, .limit = 0x67,
					     .type = old_wide ? 11 : 3, .present = 1};
	for (i = 0; i < OST_NR_GPRS; i++)
		m.e.gpr[i] = 0x10001 * (i + 1);
	if (new_wide) {
		machine_put(&m, NEW_TSS + 0x20, 0x1234, 4);
		machine_put(&m, NEW_TSS + 0x24, vm86 ? X86_EFLAGS_VM | 2 : 2, 4);
		for (i = 0; i < 8; i++)
			machine_put(&m, NEW_TSS + 0x28 + 4 * i, 0x5000 + 0x10 * i, 4);
		for (i = 0; i < 6; i++)
			machine_put(&m, NEW_TSS + 0x48 + 4 * i, i == OST_CS ? 0x08 : 0x10, 4);
	} else {
		machine_put(&m, NEW_TSS + 0x0e, 0x1234, 2);
		for (i = 0; i < 8; i++)
			machine_put(&m, NEW_TSS + 0x12 + 2 * i, 0x5000 + 0x10 * i, 2);
		for (i = 0; i < 4; i++)
			machine_put(&m, NEW_TSS + 0x22 + 2 * i, i == OST_CS ? 0x08 : 0x10, 2);
	}
	if (options & 8)
		m.e.cr0 |= X86_CR0_PG;
	m.cr[0] = m.e.cr0;
	if (options & 16)
		m.e.cpl = 3;
}

/* A record of six bytes changes one thing. */
static void change(const u8 *record)
{
	u32 value;
	u8 at = record[1];

	memcpy(&value, record + 2, sizeof(value));
	switch (record[0] % 10) {
	case 0 ... 1:	/* the new task's TSS */
		machine_put(&m, NEW_TSS + at % TSS_BYTES, value, 2);
		break;
	case 2 ... 3:	/* access bytes and limits of descriptors, in the GDT and the LDT */
		machine_put(&m, (at & 0x80 ? LDT : MACHINE_GDT) + 8 * (at % 11) + 5, value, 1);
		break;
	case 4:
		machine_put(&m, (at & 0x80 ? LDT : MACHINE_GDT) + 8 * (at % 11) + record[2] % 8,
			    record[3], 1);
		break;
	case 5:	/* pages: those of tables and stacks, all of them below 64K */
		m.page[at % 16] = record[2] % 4;
		break;
	case 6:
		if (at & 1)
			m.gdt.limit = value & 0xff;
		else
			m.seg[OST_TR].base = value & (MACHINE_RAM - 1);
		break;
	case 7:	/* a TSS elsewhere, across a page or not */
		machine_put(&m, MACHINE_GDT + NEW_SEL + 2, value & (MACHINE_RAM - 1), 3);
		memmove(m.ram + (value & (MACHINE_RAM - 1)) % (MACHINE_RAM - TSS_BYTES),
			m.ram + NEW_TSS, TSS_BYTES);
		break;
	case 8:
		m.e.rflags = (value & 0x3f7fd5) | 2;
		m.e.rflags &= ~(u64)X86_EFLAGS_VM;
		m.dr[7] = value >> 16 & 0x7ff;
		break;
	case 9:
		m.e.gpr[at % OST_NR_GPRS] = value;
		break;
	}
}

static int do_switch(void)
{
	task.debug_trap = false;
	ost_emul_begin(&m.e, NULL, 0);
	return ost_emul_task_switch(&m.e, &task);
}

static bool same_registers(const struct machine *a, const struct machine *b)
{
	return a->e.rip == b->e.rip && a->e.rflags == b->e.rflags && a->e.cpl == b->e.cpl &&
	       a->e.cr0 == b->e.cr0 && !memcmp(a->e.gpr, b->e.gpr, sizeof(a->e.gpr)) &&
	       !memcmp(a->seg, b->seg, sizeof(a->seg)) && !memcmp(a->cr, b->cr, sizeof(a->cr)) &&
	       !memcmp(a->dr, b->dr, sizeof(a->dr));
}

static bool is_wide(const struct kvm_segment *tr)
{
	return tr->type & 8;
}

static bool leaves(void)
{
	return task.source == OST_TASK_JMP || task.source == OST_TASK_IRET;
}

static bool nests(void)
{
	return task.source == OST_TASK_CALL || task.source == OST_TASK_GATE;
}

/* The TSSs, the GDT and the stack may not lie in each other, or bytes have two meanings. */
static bool apart(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a + a_len <= b || b + b_len <= a;
}

/* What the new TSS says of a general register; RSP also by what was pushed. */
static u64 new_gpr(u64 tss, bool wide, unsigned int i)
{
	return wide ? machine_get(&before, tss + 0x28 + 4 * i, 4) :
		      machine_get(&before, tss + 0x12 + 2 * i, 2);
}

static void check_registers(u64 tss, bool wide, bool pushed)
{
	u64 flags =
		wide ? machine_get(&before, tss + 0x24, 4) : machine_get(&before, tss + 0x10, 2);
	unsigned int i;

	BUG_ON(m.e.rip != (wide ? machine_get(&before, tss + 0x20, 4) :
				  machine_get(&before, tss + 0x0e, 2)));
	for (i = 0; i < 8; i++)
		BUG_ON(m.e.gpr[i] != new_gpr(tss, wide, i) && !(i == OST_RSP && pushed));
	/* What a switch does not load stays. */
	for (i = 8; i < OST_NR_GPRS; i++)
		BUG_ON(m.e.gpr[i] != before.e.gpr[i]);
	BUG_ON(nests() && !(m.e.rflags & X86_EFLAGS_NT));
	BUG_ON(!(m.e.rflags & 2) || (m.e.rflags ^ flags) & 0xcd5);
	BUG_ON(m.e.rflags & X86_EFLAGS_VM && (!wide || m.e.cpl != 3));
	BUG_ON(!(m.e.cr0 & X86_CR0_TS) || m.cr[0] != m.e.cr0);
	BUG_ON(m.dr[7] & 0x155);
	if (wide && before.e.cr0 & X86_CR0_PG)
		BUG_ON(m.cr[3] != machine_get(&before, tss + 0x1c, 4));
	else
		BUG_ON(m.cr[3] != before.cr[3]);
}

/* The old task in its TSS: an image that another switch would load again. */
static void check_saved(u64 tss, bool wide)
{
	u64 flags = before.e.rflags & ~(task.source == OST_TASK_IRET ? (u64)X86_EFLAGS_NT : 0);
	unsigned int i, step = wide ? 4 : 2;
	u64 mask = wide ? ~0u : 0xffff;

	BUG_ON(machine_get(&m, tss + (wide ? 0x20 : 0x0e), step) != (task.return_rip & mask));
	BUG_ON(machine_get(&m, tss + (wide ? 0x24 : 0x10), step) != (flags & mask));
	for (i = 0; i < 8; i++)
		BUG_ON(machine_get(&m, tss + (wide ? 0x28 : 0x12) + step * i, step) !=
		       (before.e.gpr[i] & mask));
	for (i = 0; i < (wide ? 6 : 4); i++)
		BUG_ON(machine_get(&m, tss + (wide ? 0x48 : 0x22) + step * i, 2) !=
		       before.seg[i].selector);
}

static void check_segments(void)
{
	static const u8 data[] = {OST_ES, OST_DS, OST_FS, OST_GS};
	const struct kvm_segment *cs = &m.seg[OST_CS], *ss = &m.seg[OST_SS];
	unsigned int i;

	if (m.e.rflags & X86_EFLAGS_VM) {
		for (i = 0; i <= OST_GS; i++)
			BUG_ON(m.seg[i].base != (u64)m.seg[i].selector << 4 ||
			       m.seg[i].limit != 0xffff || m.seg[i].dpl != 3);
		return;
	}
	BUG_ON(!cs->present || !cs->s || !(cs->type & 8) || cs->unusable);
	BUG_ON((cs->selector & 3) != m.e.cpl);
	BUG_ON(cs->type & 4 ? cs->dpl > m.e.cpl : cs->dpl != m.e.cpl);
	BUG_ON(!ss->present || !ss->s || (ss->type & 0xa) != 2 || ss->unusable);
	BUG_ON(ss->dpl != m.e.cpl || (ss->selector & 3) != m.e.cpl);
	for (i = 0; i < ARRAY_SIZE(data); i++) {
		const struct kvm_segment *s = &m.seg[data[i]];

		BUG_ON(!!s->unusable != !(s->selector & 0xfffc));
		if (s->unusable)
			continue;
		BUG_ON(!s->present || !s->s || (s->type & 0xa) == 8);
		BUG_ON((s->type & 0xc) != 0xc && (s->dpl < m.e.cpl || s->dpl < (s->selector & 3)));
	}
}

/* May the error code have been pushed over the GDT? */
static bool pushed_on_gdt(void)
{
	const struct kvm_segment *ss = &m.seg[OST_SS];
	u64 at = (u32)(ss->base + (ss->db ? (u32)m.e.gpr[OST_RSP] : (u16)m.e.gpr[OST_RSP]));

	return !apart(at, 4, MACHINE_GDT, 0x100);
}

/* Is nothing that is written a part of what is read when it is tried again? */
static bool writes_are_apart(void)
{
	const struct kvm_segment *old = &before.seg[OST_TR];
	struct kvm_segment new;

	ost_emul_unpack(machine_get(&before, MACHINE_GDT + (NEW_SEL & ~7u), 8), NEW_SEL, &new);
	if (nests() && !(apart(new.base, 2, MACHINE_GDT, 0x100) && apart(new.base, 2, LDT, 0x100)))
		return false;
	return apart(old->base, TSS_BYTES, new.base, TSS_BYTES) &&
	       apart(old->base, TSS_BYTES, MACHINE_GDT, 0x100) &&
	       apart(old->base, TSS_BYTES, LDT, 0x100) && task.selector == NEW_SEL;
}

static void check_arrived(int ret)
{
	const struct kvm_segment *new = &m.seg[OST_TR], *old = &before.seg[OST_TR];
	u64 old_desc = before.gdt.base + (old->selector & ~7u);
	u64 new_desc = before.gdt.base + (task.selector & ~7u);
	u64 area = old->base + (is_wide(old) ? TSS32_START : TSS16_START);
	u64 area_len = is_wide(old) ? TSS32_END - TSS32_START : TSS16_END - TSS16_START;
	bool pushed = ret == OST_EMUL_OK && task.has_error_code;

	BUG_ON(new->selector != task.selector || !(new->type & 2) || !new->present || new->s);
	BUG_ON(new->limit < (is_wide(new) ? 0x67 : 0x2b));
	/* By the descriptors in memory, unless the old task's image or the error code was written over them. */
	if (apart(area, area_len, MACHINE_GDT, 0x100) && apart(new->base, 2, MACHINE_GDT, 0x100) &&
	    !(pushed && pushed_on_gdt())) {
		/* An IRET to itself clears the bit and finds it set before. */
		bool itself = old_desc == new_desc;

		BUG_ON(!(machine_get(&m, new_desc + 5, 1) & 2) && !itself);
		BUG_ON(leaves() && machine_get(&m, old_desc + 5, 1) & 2 && !itself);
	}
	if (nests() && apart(area, area_len, new->base, 2) && !pushed)
		BUG_ON(machine_get(&m, new->base + LINK_AT, 2) != old->selector);
	if (!apart(area, area_len, new->base, TSS_BYTES))
		return;
	check_registers(new->base, is_wide(new), pushed);
	if (!pushed && apart(area, area_len, MACHINE_GDT, 0x100) &&
	    apart(area, area_len, LDT, 0x100))
		check_saved(old->base, is_wide(old));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	int ret;

	if (size < 4)
		return 0;
	good_state(data[0]);
	task = (struct ost_emul_task){
		.selector = data[1] & 0x80 ? data[2] | data[3] << 8 : NEW_SEL,
		.source = data[1] & 3,
		.external = data[1] & 4,
		.has_error_code = data[1] & 8 && (data[1] & 3) == OST_TASK_GATE,
		.error_code = data[2],
		.return_rip = MACHINE_CODE + data[3],
	};
	/* IRET goes to a task that is busy. */
	if (task.source == OST_TASK_IRET)
		m.ram[MACHINE_GDT + NEW_SEL + 5] |= 2;
	for (data += 4, size -= 4; size >= 6; data += 6, size -= 6)
		change(data);

	/* The first locked update is lost; what the second try makes of it is compared below. */
	before = m;
	m.race = true;
	ret = do_switch();
	BUG_ON(ret == OST_EMUL_RETRY && !same_registers(&m, &before));
	if (ret == OST_EMUL_RETRY)
		ret = do_switch();
	raced = m;

	m = before;
	if (writes_are_apart()) {
		BUG_ON(do_switch() != ret);
		BUG_ON(!same_registers(&m, &raced));
		BUG_ON(memcmp(m.ram, raced.ram, sizeof(m.ram)));
	} else {
		/* A descriptor that is written over never is what was read: tried for ever. */
		ret = do_switch();
		if (ret == OST_EMUL_RETRY)
			return 0;
	}
	BUG_ON(ret != OST_EMUL_OK && ret != OST_EMUL_FAULT && ret != OST_EMUL_UNHANDLEABLE);
	BUG_ON(m.broken);
	if (ret == OST_EMUL_UNHANDLEABLE)
		return 0;
	if (m.seg[OST_TR].selector == before.seg[OST_TR].selector &&
	    m.seg[OST_TR].base == before.seg[OST_TR].base) {
		/* In the old task, or in the new one if it is the same. */
		BUG_ON(ret == OST_EMUL_OK && task.selector != before.seg[OST_TR].selector);
		if (task.selector != before.seg[OST_TR].selector) {
			u8 v = m.e.exception.vector;

			BUG_ON(!same_registers(&m, &before) ||
			       memcmp(m.ram, before.ram, sizeof(m.ram)));
			BUG_ON(v != OST_VEC_GP && v != OST_VEC_NP && v != OST_VEC_TS && v != 14);
		}
		return 0;
	}
	check_arrived(ret);
	if (ret == OST_EMUL_OK)
		check_segments();
	return 0;
}
