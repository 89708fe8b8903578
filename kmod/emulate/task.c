// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware task switches outside of long mode (SDM vol. 3A, 8.2-8.4), for CPUs that do not do them
 * in a guest. The steps are those of 8.3: until the old task is saved, faults come in it and leave
 * no trace; those of loading the new one come in the new one.
 */
#include "internal.h"

/* What a TSS holds that is saved or loaded; the other fields never change (figures 8-2 and 8-10).
 */
struct tss32 {
	u16 link, reserved0;
	u32 stacks[6];
	u32 cr3;
	/* What a switch saves, from here ... */
	u32 eip, eflags;
	u32 gpr[8];
	struct {
		u16 selector, reserved;
	} seg[6];
	/* ... to here. */
	u16 ldt, reserved1;
	u16 trap, io_map;
};

struct tss16 {
	u16 link;
	u16 stacks[6];
	u16 ip, flags;
	u16 gpr[8];
	u16 seg[4];
	u16 ldt;
};

/* The limits that they need at least. */
#define TSS32_LIMIT (sizeof(struct tss32) - 1)
#define TSS16_LIMIT (sizeof(struct tss16) - 1)
#define TSS_TRAP    1

/* Of a TSS descriptor's type. */
#define TYPE_BUSY 2
#define TYPE_32	  8
#define TYPE_LDT  2

/* RFLAGS bits that exist below 32. */
#define FLAGS_LOADED                                                                         \
	(OST_FLAGS_ARITH | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_IOPL | \
	 X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM | X86_EFLAGS_AC | X86_EFLAGS_VIF |    \
	 X86_EFLAGS_VIP | X86_EFLAGS_ID)

/* L0-L3 and LE of DR7 (SDM vol. 3B, 17.2.4). */
#define DR7_LOCAL 0x155

/* How often a descriptor that changes under our hands is read again. */
#define DESCRIPTOR_TRIES 16

struct task {
	struct kvm_segment tr;
	u64 desc_linear, desc;
	u32 cr3, eip, eflags;
	u32 gpr[8];
	u16 seg[6], ldt;
	bool trap;
};

static bool is_wide(const struct kvm_segment *tr)
{
	return tr->type & TYPE_32;
}

static int selector_fault(struct ost_emul *e, const struct ost_emul_task *t, u8 vector,
			  u16 selector)
{
	return ost_emul_raise(e, vector, true, OST_SELECTOR_ERROR(selector) | t->external);
}

/* --- memory: nothing here may be a device's --- */

static bool wraps(u64 linear, unsigned int len)
{
	return linear + len - 1 > 0xffffffffULL;
}

static int read_system(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 access)
{
	int ret;

	if (wraps(linear, len))
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->read(e, linear, buf, len, OST_EMUL_ACCESS_SYSTEM | access);
	return ret == OST_EMUL_IO ? OST_EMUL_UNHANDLEABLE : ret;
}

static int write_system(struct ost_emul *e, u64 linear, const void *buf, unsigned int len)
{
	return e->ops->write(e, linear, buf, len, OST_EMUL_ACCESS_SYSTEM);
}

static int probe_system(struct ost_emul *e, u64 linear, unsigned int len, u32 access)
{
	unsigned int first = min_t(unsigned int, len, 0x1000 - (linear & 0xfff));
	int ret;

	if (wraps(linear, len))
		return OST_EMUL_UNHANDLEABLE;
	access |= OST_EMUL_ACCESS_SYSTEM;
	ret = e->ops->probe(e, linear, first, access);
	if (ret == OST_EMUL_OK && first < len)
		ret = e->ops->probe(e, linear + first, len - first, access);
	return ret;
}

/* --- the TSSs --- */

/* Selector and descriptor of the new TSS (table 8-1). */
static int find_tss(struct ost_emul *e, const struct ost_emul_task *t, struct task *new)
{
	u8 vector = t->source == OST_TASK_IRET ? OST_VEC_TS : OST_VEC_GP;
	bool busy = t->source == OST_TASK_IRET;
	struct kvm_segment *tr = &new->tr;
	int ret;

	if (t->selector & OST_SELECTOR_TI || !OST_SELECTOR_ERROR(t->selector))
		return selector_fault(e, t, vector, t->selector);
	ret = ost_emul_find_descriptor(e, t->selector, 8, &new->desc_linear);
	if (ret == OST_EMUL_FAULT)
		return selector_fault(e, t, vector, t->selector);
	if (ret == OST_EMUL_OK)
		ret = read_system(e, new->desc_linear, &new->desc, 8,
				  busy ? 0 : OST_EMUL_ACCESS_RMW);
	if (ret != OST_EMUL_OK)
		return ret;

	ost_emul_unpack(new->desc, t->selector, tr);
	if (tr->s || (tr->type & 5) != 1 || !!(tr->type & TYPE_BUSY) != busy)
		return selector_fault(e, t, vector, t->selector);
	if (!tr->present)
		return selector_fault(e, t, OST_VEC_NP, t->selector);
	if (tr->limit < (is_wide(tr) ? TSS32_LIMIT : TSS16_LIMIT))
		return selector_fault(e, t, OST_VEC_TS, t->selector);
	tr->type |= TYPE_BUSY;
	return OST_EMUL_OK;
}

static int read_tss32(struct ost_emul *e, struct task *new)
{
	struct tss32 tss;
	int i, ret = read_system(e, new->tr.base, &tss, sizeof(tss), 0);

	if (ret != OST_EMUL_OK)
		return ret;
	new->cr3 = tss.cr3;
	new->eip = tss.eip;
	new->eflags = tss.eflags;
	memcpy(new->gpr, tss.gpr, sizeof(new->gpr));
	for (i = 0; i < 6; i++)
		new->seg[i] = tss.seg[i].selector;
	new->ldt = tss.ldt;
	new->trap = tss.trap &TSS_TRAP;
	return OST_EMUL_OK;
}

static int read_tss16(struct ost_emul *e, struct task *new)
{
	struct tss16 tss;
	int i, ret = read_system(e, new->tr.base, &tss, sizeof(tss), 0);

	if (ret != OST_EMUL_OK)
		return ret;
	new->eip = tss.ip;
	new->eflags = tss.flags;
	for (i = 0; i < 8; i++)
		new->gpr[i] = tss.gpr[i];
	/* No FS and GS: they become null. */
	memcpy(new->seg, tss.seg, sizeof(tss.seg));
	new->ldt = tss.ldt;
	return OST_EMUL_OK;
}

/* The part of the old TSS that is written. */
static u64 save_area(const struct kvm_segment *tr, unsigned int *len)
{
	unsigned int start = is_wide(tr) ? offsetof(struct tss32, eip) : offsetof(struct tss16, ip);
	unsigned int end = is_wide(tr) ? offsetof(struct tss32, ldt) : offsetof(struct tss16, ldt);

	*len = end - start;
	return (u32)(tr->base + start);
}

static int save_task(struct ost_emul *e, const struct ost_emul_task *t,
		     const struct kvm_segment *tr)
{
	u64 flags = t->source == OST_TASK_IRET ? e->rflags & ~(u64)X86_EFLAGS_NT : e->rflags;
	unsigned int len;
	u64 area = save_area(tr, &len);
	int i, ret;

	if (is_wide(tr)) {
		struct tss32 tss;

		/* Reserved halves keep what they hold. */
		ret = read_system(e, area, &tss.eip, len, OST_EMUL_ACCESS_RMW);
		if (ret != OST_EMUL_OK)
			return ret;
		tss.eip = t->return_rip;
		tss.eflags = flags;
		for (i = 0; i < 8; i++)
			tss.gpr[i] = e->gpr[i];
		for (i = 0; i < 6; i++)
			tss.seg[i].selector = ost_emul_segment(e, i)->selector;
		return write_system(e, area, &tss.eip, len);
	} else {
		struct tss16 tss;

		tss.ip = t->return_rip;
		tss.flags = flags;
		for (i = 0; i < 8; i++)
			tss.gpr[i] = e->gpr[i];
		for (i = 0; i < 4; i++)
			tss.seg[i] = ost_emul_segment(e, i)->selector;
		return write_system(e, area, &tss.ip, len);
	}
}

/* --- segments of the new task --- */

static int set_vm86_segments(struct ost_emul *e, const struct task *new)
{
	int i, ret = OST_EMUL_OK;

	for (i = 0; i < 6 && ret == OST_EMUL_OK; i++) {
		struct kvm_segment s = {
			.selector = new->seg[i],
			.base = (u32) new->seg[i] << 4,
			.limit = 0xffff,
			.type = 3,
			.s = 1,
			.dpl = 3,
			.present = 1,
		};

		ret = ost_emul_set_segment(e, i, &s);
	}
	return ret;
}

/*
 * Selectors without descriptors, for the time until these are loaded. A fault then finds no segment
 * that can be used; only CS is one that a CPU can be entered with, and it lasts until the fault's
 * delivery.
 */
static int set_bare_selectors(struct ost_emul *e, const struct task *new)
{
	struct kvm_segment s = {.unusable = 1, .dpl = e->cpl};
	struct kvm_segment cs = {
		.selector = new->seg[OST_CS],
		.limit = 0xffffffff,
		.type = 11,
		.s = 1,
		.dpl = e->cpl,
		.present = 1,
		.db = 1,
		.g = 1,
	};
	int i, ret = OST_EMUL_OK;

	for (i = 0; i < 6 && ret == OST_EMUL_OK; i++) {
		s.selector = new->seg[i];
		ret = ost_emul_set_segment(e, i, i == OST_CS ? &cs : &s);
	}
	return ret;
}

static int read_descriptor(struct ost_emul *e, const struct ost_emul_task *t, u16 selector,
			   struct kvm_segment *s, u64 *linear, u64 *desc)
{
	int ret = ost_emul_find_descriptor(e, selector, 8, linear);

	if (ret == OST_EMUL_FAULT)
		return selector_fault(e, t, OST_VEC_TS, selector);
	if (ret == OST_EMUL_OK)
		ret = read_system(e, *linear, desc, 8, 0);
	if (ret == OST_EMUL_OK)
		ost_emul_unpack(*desc, selector, s);
	return ret;
}

static int load_ldt(struct ost_emul *e, const struct ost_emul_task *t, u16 selector)
{
	struct kvm_segment s = {.selector = selector, .unusable = 1};
	u64 linear, desc;
	int ret = ost_emul_set_segment(e, OST_LDTR, &s);

	if (ret != OST_EMUL_OK)
		return ret;
	if (selector & OST_SELECTOR_TI)
		return selector_fault(e, t, OST_VEC_TS, selector);
	if (!OST_SELECTOR_ERROR(selector))
		return OST_EMUL_OK;
	ret = read_descriptor(e, t, selector, &s, &linear, &desc);
	if (ret != OST_EMUL_OK)
		return ret;
	if (s.s || s.type != TYPE_LDT || !s.present)
		return selector_fault(e, t, OST_VEC_TS, selector);
	return ost_emul_set_segment(e, OST_LDTR, &s);
}

/* Type and privilege of a code or data segment for this register (table 8-1). */
static bool segment_fits(const struct ost_emul *e, enum ost_emul_seg seg,
			 const struct kvm_segment *s)
{
	bool code = s->type & 8, conforming = code && s->type & 4;
	bool readable_or_writable = s->type & 2;
	unsigned int rpl = OST_SELECTOR_RPL(s->selector);

	if (!s->s)
		return false;
	switch (seg) {
	case OST_CS:
		return code && (conforming ? s->dpl <= rpl : s->dpl == rpl);
	case OST_SS:
		return !code && readable_or_writable && s->dpl == e->cpl && rpl == e->cpl;
	default:
		return (!code || readable_or_writable) &&
		       (conforming || (rpl <= s->dpl && e->cpl <= s->dpl));
	}
}

static int load_segment(struct ost_emul *e, const struct ost_emul_task *t, enum ost_emul_seg seg,
			u16 selector)
{
	int ret = OST_EMUL_RETRY, tries;
	struct kvm_segment s;
	u64 linear, desc;

	if (!OST_SELECTOR_ERROR(selector)) {
		if (seg == OST_CS || seg == OST_SS)
			return selector_fault(e, t, OST_VEC_TS, selector);
		return OST_EMUL_OK;
	}
	for (tries = 0; tries < DESCRIPTOR_TRIES && ret == OST_EMUL_RETRY; tries++) {
		ret = read_descriptor(e, t, selector, &s, &linear, &desc);
		if (ret != OST_EMUL_OK)
			return ret;
		if (!segment_fits(e, seg, &s))
			return selector_fault(e, t, OST_VEC_TS, selector);
		if (!s.present)
			return selector_fault(e, t, seg == OST_SS ? OST_VEC_SS : OST_VEC_NP,
					      selector);
		ret = ost_emul_update_descriptor(e, linear, desc, desc | OST_DESC_ACCESSED);
	}
	if (ret == OST_EMUL_RETRY)
		return OST_EMUL_UNHANDLEABLE;
	if (ret != OST_EMUL_OK)
		return ret;
	s.type |= 1;
	return ost_emul_set_segment(e, seg, &s);
}

static int load_segments(struct ost_emul *e, const struct ost_emul_task *t, const struct task *new)
{
	static const u8 order[] = {OST_CS, OST_SS, OST_ES, OST_DS, OST_FS, OST_GS};
	int ret = load_ldt(e, t, new->ldt);
	unsigned int i;

	/* Virtual-8086 mode's are set already. */
	if (e->rflags & X86_EFLAGS_VM)
		return ret;
	for (i = 0; i < ARRAY_SIZE(order) && ret == OST_EMUL_OK; i++)
		ret = load_segment(e, t, order[i], new->seg[order[i]]);
	return ret;
}

/* --- the switch --- */

/* What of the new task is there before anything can fault in it. */
static int load_registers(struct ost_emul *e, const struct task *new, bool nested)
{
	u64 dr7;
	int i, ret;

	e->rip = new->eip;
	e->rflags = (new->eflags &FLAGS_LOADED) | X86_EFLAGS_FIXED | (nested ? X86_EFLAGS_NT : 0);
	for (i = 0; i < 8; i++)
		e->gpr[i] = new->gpr[i];
	ret = ost_emul_set_segment(e, OST_TR, &new->tr);
	if (ret != OST_EMUL_OK)
		return ret;
	if (e->rflags & X86_EFLAGS_VM) {
		e->cpl = 3;
		e->mode = OST_EMUL_VM86;
		ret = set_vm86_segments(e, new);
	} else {
		e->cpl = OST_SELECTOR_RPL(new->seg[OST_CS]);
		e->mode = OST_EMUL_PROT32;
		ret = set_bare_selectors(e, new);
	}
	if (ret == OST_EMUL_OK)
		ret = e->ops->get_dr(e, 7, &dr7);
	if (ret == OST_EMUL_OK && dr7 & DR7_LOCAL)
		ret = e->ops->set_dr(e, 7, dr7 & ~(u64)DR7_LOCAL);
	if (ret == OST_EMUL_OK && !(e->cr0 & X86_CR0_TS)) {
		e->cr0 |= X86_CR0_TS;
		ret = e->ops->set_cr(e, 0, e->cr0);
	}
	return ret;
}

static int load_task(struct ost_emul *e, struct ost_emul_task *t, const struct task *new,
		     bool nested)
{
	int ret = load_registers(e, new, nested);

	if (ret != OST_EMUL_OK)
		return ret;
	/* A TSS of 16 bits knows no paging. */
	if (is_wide(&new->tr) && e->cr0 & X86_CR0_PG)
		ret = e->ops->set_cr(e, 3, new->cr3);
	if (ret == OST_EMUL_OK)
		ret = load_segments(e, t, new);
	if (ret == OST_EMUL_OK && t->has_error_code)
		ret = ost_emul_push(e, t->error_code, is_wide(&new->tr) ? 4 : 2);
	t->debug_trap = ret == OST_EMUL_OK && new->trap;
	return ret;
}

static bool has_callbacks(const struct ost_emul_ops *ops)
{
	return ops->read && ops->write && ops->cmpxchg && ops->probe && ops->set_segment &&
	       ops->get_dt && ops->set_cr && ops->get_dr && ops->set_dr;
}

int ost_emul_task_switch(struct ost_emul *e, struct ost_emul_task *t)
{
	bool leaves = t->source == OST_TASK_JMP || t->source == OST_TASK_IRET;
	bool nested = t->source == OST_TASK_CALL || t->source == OST_TASK_GATE;
	struct kvm_segment old = *ost_emul_segment(e, OST_TR);
	u64 area, old_linear, old_desc = 0;
	struct kvm_dtable gdt;
	struct task new = {};
	unsigned int len;
	int ret;

	t->debug_trap = false;
	if (!has_callbacks(e->ops) || e->efer & EFER_LMA || !(e->cr0 & X86_CR0_PE))
		return OST_EMUL_UNHANDLEABLE;
	ret = find_tss(e, t, &new);
	if (ret != OST_EMUL_OK)
		return ret;

	/* All that will be touched, before anything is written. */
	e->ops->get_dt(e, false, &gdt);
	old_linear = (u32)(gdt.base + (old.selector & ~7u));
	if (leaves)
		ret = read_system(e, old_linear, &old_desc, 8, OST_EMUL_ACCESS_RMW);
	area = save_area(&old, &len);
	if (ret == OST_EMUL_OK)
		ret = probe_system(e, area, len, OST_EMUL_ACCESS_WRITE);
	if (ret == OST_EMUL_OK && nested)
		ret = probe_system(e, new.tr.base, sizeof(u16), OST_EMUL_ACCESS_WRITE);
	if (ret == OST_EMUL_OK)
		ret = is_wide(&new.tr) ? read_tss32(e, &new) : read_tss16(e, &new);

	/* A RETRY may repeat all of these. */
	if (ret == OST_EMUL_OK && leaves)
		ret = ost_emul_update_descriptor(e, old_linear, old_desc,
						 old_desc & ~OST_DESC_TSS_BUSY);
	if (ret == OST_EMUL_OK)
		ret = save_task(e, t, &old);
	if (ret == OST_EMUL_OK && nested)
		ret = write_system(e, new.tr.base, &old.selector, sizeof(u16));
	if (ret == OST_EMUL_OK && t->source != OST_TASK_IRET)
		ret = ost_emul_update_descriptor(e, new.desc_linear, new.desc,
						 new.desc | OST_DESC_TSS_BUSY);
	return ret == OST_EMUL_OK ? load_task(e, t, &new, nested) : ret;
}
