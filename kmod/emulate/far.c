// SPDX-License-Identifier: GPL-2.0-only
/*
 * Far jumps, calls and returns, and software interrupts. Protected mode's are executed as far as they
 * stay at their privilege level, for the sake of a pointer or a stack in device memory; gates, task
 * switches, returns to an outer level and interrupts run on the CPU alone.
 */
#include "internal.h"

static bool has_real_segments(const struct ost_emul *e)
{
	return e->mode == OST_EMUL_REAL || e->mode == OST_EMUL_VM86;
}

/* Where a far transfer goes, found and checked before anything changes. */
struct target {
	struct kvm_segment cs;
	u64 offset;
	u64 linear, desc; /* of the descriptor, in protected mode */
};

/*
 * The code segment of a far transfer within CPL, by a return or not (SDM vol. 2A, JMP and CALL; vol. 2B, RET: their
 * pseudocode).
 */
static int find_code_segment(struct ost_emul *e, u16 selector, bool returns, struct target *t)
{
	unsigned int cpl = ost_emul_cpl(e), rpl = OST_SELECTOR_RPL(selector);
	bool conforming, allowed;
	int ret;

	if (!OST_SELECTOR_ERROR(selector))
		return ost_emul_gp(e, 0);
	ret = ost_emul_find_descriptor(e, selector, 8, &t->linear);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_read_linear(e, t->linear, &t->desc, 8, OST_EMUL_ACCESS_SYSTEM);
	if (ret != OST_EMUL_OK)
		return ret;
	ost_emul_unpack(t->desc, selector, &t->cs);
	if (returns && rpl > cpl)
		return OST_EMUL_UNHANDLEABLE;
	/* A gate or a TSS. */
	if (!returns && !t->cs.s)
		return OST_EMUL_UNHANDLEABLE;
	conforming = t->cs.type & 4;
	if (returns)
		allowed = rpl == cpl && (conforming ? t->cs.dpl <= rpl : t->cs.dpl == rpl);
	else
		allowed = conforming ? t->cs.dpl <= cpl : rpl <= cpl && t->cs.dpl == cpl;
	if (!allowed || !t->cs.s || !(t->cs.type & 8) ||
	    (e->efer & EFER_LMA && t->cs.l && t->cs.db))
		return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
	if (!t->cs.present)
		return ost_emul_raise(e, OST_VEC_NP, true, OST_SELECTOR_ERROR(selector));
	t->cs.selector = OST_SELECTOR_ERROR(selector) | cpl;
	return OST_EMUL_OK;
}

static int find_target(struct ost_emul *e, u16 selector, u64 offset, bool returns, struct target *t)
{
	bool long_mode = false;
	int ret;

	t->offset = offset;
	if (has_real_segments(e)) {
		t->cs = *ost_emul_segment(e, OST_CS);
		t->cs.selector = selector;
		t->cs.base = (u32)selector << 4;
	} else {
		ret = find_code_segment(e, selector, returns, t);
		if (ret != OST_EMUL_OK)
			return ret;
		long_mode = e->efer & EFER_LMA && t->cs.l;
	}
	if (long_mode ? !ost_emul_canonical(e, offset) : offset > t->cs.limit)
		return ost_emul_gp(e, 0);
	if (has_real_segments(e))
		return OST_EMUL_OK;
	/* Before a push, which would be done again if this failed behind it. */
	t->cs.type |= 1;
	return ost_emul_update_descriptor(e, t->linear, t->desc, t->desc | OST_DESC_ACCESSED);
}

/* Nothing may fail behind it. */
static int go_to(struct ost_emul *e, struct target *t)
{
	int ret = ost_emul_set_segment(e, OST_CS, &t->cs);

	if (ret != OST_EMUL_OK)
		return ret;
	e->rip = t->offset;
	e->jumped = true;
	return OST_EMUL_OK;
}

/*
 * The far pointer of the operand, immediate or in memory. With REX.W it has 64 bits of offset, as on Intel's CPUs; AMD's
 * ignore the prefix, but the stock module's emulator does not, and tests of the ABI ask for that on hosts of both.
 */
static int far_target(struct ost_emul *e, u16 *selector, u64 *offset)
{
	unsigned int bytes = e->operand_size;
	u8 pointer[8 + 2];
	int ret;

	if (e->op[0].kind == OST_OPND_FAR) {
		*selector = e->op[0].reg;
		*offset = e->op[0].value;
		return OST_EMUL_OK;
	}
	ret = ost_emul_read(e, e->mem.seg, e->mem_offset, pointer, bytes + 2, false);
	if (ret != OST_EMUL_OK)
		return ret;
	*offset = 0;
	memcpy(offset, pointer, bytes);
	memcpy(selector, pointer + bytes, 2);
	return OST_EMUL_OK;
}

int ost_exec_jmp_far(struct ost_emul *e)
{
	struct target t;
	u16 selector;
	u64 offset;
	int ret;

	ret = far_target(e, &selector, &offset);
	if (ret == OST_EMUL_OK)
		ret = find_target(e, selector, offset, false, &t);
	return ret == OST_EMUL_OK ? go_to(e, &t) : ret;
}

int ost_exec_call_far(struct ost_emul *e)
{
	unsigned int bytes = e->operand_size;
	u64 next = ost_emul_next_rip(e), selector_slot;
	u8 frame[2 * 8];
	struct target t;
	u16 selector;
	u64 offset;
	int ret;

	ret = far_target(e, &selector, &offset);
	if (ret == OST_EMUL_OK)
		ret = find_target(e, selector, offset, false, &t);
	if (ret != OST_EMUL_OK)
		return ret;
	selector_slot = ost_emul_segment(e, OST_CS)->selector;
	memcpy(frame, &next, bytes);
	memcpy(frame + bytes, &selector_slot, bytes);
	ret = ost_emul_push_block(e, frame, 2 * bytes);
	return ret == OST_EMUL_OK ? go_to(e, &t) : ret;
}

int ost_exec_ret_far(struct ost_emul *e)
{
	u64 offset, selector;
	struct target t;
	int ret;

	ret = ost_emul_pop(e, &offset, e->operand_size);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_pop(e, &selector, e->operand_size);
	if (ret == OST_EMUL_OK)
		ret = find_target(e, selector, offset, true, &t);
	if (ret != OST_EMUL_OK)
		return ret;
	if (e->op[0].kind == OST_OPND_IMM)
		ost_emul_set_rsp(e, e->gpr[OST_RSP] + e->op[0].value);
	return go_to(e, &t);
}

/* As far as real mode goes. */
static int load_cs_ip(struct ost_emul *e, u16 selector, u64 offset)
{
	struct target t;
	int ret = find_target(e, selector, offset, false, &t);

	return ret == OST_EMUL_OK ? go_to(e, &t) : ret;
}

/* INT3, INT n and INTO through the real-mode interrupt table (APM vol. 2, 8.6). */
int ost_exec_int(struct ost_emul *e)
{
	u16 frame[3];
	struct kvm_dtable idt;
	unsigned int vector;
	u16 entry[2];
	int ret;

	if (e->opcode == 0xce && !(e->rflags & X86_EFLAGS_OF))
		return OST_EMUL_OK;
	if (e->mode != OST_EMUL_REAL || !e->ops->get_dt)
		return OST_EMUL_UNHANDLEABLE;
	vector = e->opcode == 0xcc ? OST_VEC_BP : e->opcode == 0xce ? OST_VEC_OF : e->op[0].value;

	e->ops->get_dt(e, true, &idt);
	if (4 * vector + 3 > idt.limit)
		return ost_emul_gp(e, 0);
	ret = ost_emul_read_linear(e, idt.base + 4 * vector, entry, sizeof(entry),
				   OST_EMUL_ACCESS_SYSTEM);
	if (ret != OST_EMUL_OK)
		return ret;
	if (entry[0] > ost_emul_segment(e, OST_CS)->limit)
		return ost_emul_gp(e, 0);
	frame[0] = ost_emul_next_rip(e);
	frame[1] = ost_emul_segment(e, OST_CS)->selector;
	frame[2] = e->rflags;
	ret = ost_emul_push_block(e, frame, sizeof(frame));
	if (ret != OST_EMUL_OK)
		return ret;
	e->rflags &= ~(X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_AC | X86_EFLAGS_RF);
	return load_cs_ip(e, entry[1], entry[0]);
}

int ost_exec_iret(struct ost_emul *e)
{
	u64 loaded = OST_FLAGS_ARITH | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF |
		     X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_AC |
		     X86_EFLAGS_ID;
	u64 offset, selector, flags;
	int ret;

	if (e->mode != OST_EMUL_REAL)
		return OST_EMUL_UNHANDLEABLE;
	ret = ost_emul_pop(e, &offset, e->operand_size);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_pop(e, &selector, e->operand_size);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_pop(e, &flags, e->operand_size);
	if (ret != OST_EMUL_OK)
		return ret;
	if (e->operand_size == 2)
		loaded &= 0xffff;
	else
		e->sets_rf = true;
	ost_emul_set_flags(e, loaded, flags);
	return load_cs_ip(e, selector, offset);
}
