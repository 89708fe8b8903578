// SPDX-License-Identifier: GPL-2.0-only
/*
 * Far jumps, calls and returns, and software interrupts, as real mode has them; far jumps, calls
 * and returns also in virtual-8086 mode, which has the same. Protected mode's, with gates and
 * privilege changes, run on the CPU and are not executed here.
 */
#include "internal.h"

static bool has_real_segments(const struct ost_emul *e)
{
	return e->mode == OST_EMUL_REAL || e->mode == OST_EMUL_VM86;
}

/* CS:RIP; nothing may fail after it. */
static int load_cs_ip(struct ost_emul *e, u16 selector, u64 offset)
{
	struct kvm_segment cs = *ost_emul_segment(e, OST_CS);
	int ret;

	if (offset > cs.limit)
		return ost_emul_gp(e, 0);
	cs.selector = selector;
	cs.base = (u32)selector << 4;
	ret = e->ops->set_segment ? e->ops->set_segment(e, OST_CS, &cs) : OST_EMUL_UNHANDLEABLE;
	if (ret != OST_EMUL_OK)
		return ret;
	e->rip = offset;
	e->jumped = true;
	return OST_EMUL_OK;
}

/* The far pointer of the operand, immediate or in memory. */
static int far_target(struct ost_emul *e, u16 *selector, u64 *offset)
{
	u64 pointer = 0;
	int ret;

	if (e->op[0].kind == OST_OPND_FAR) {
		*selector = e->op[0].reg;
		*offset = e->op[0].value;
		return OST_EMUL_OK;
	}
	ret = ost_emul_read(e, e->mem.seg, e->mem_offset, &pointer, 2 + e->operand_size, false);
	*offset = pointer & ost_mask(e->operand_size);
	*selector = pointer >> (8 * e->operand_size);
	return ret;
}

int ost_exec_jmp_far(struct ost_emul *e)
{
	u16 selector;
	u64 offset;
	int ret;

	if (!has_real_segments(e))
		return OST_EMUL_UNHANDLEABLE;
	ret = far_target(e, &selector, &offset);
	return ret == OST_EMUL_OK ? load_cs_ip(e, selector, offset) : ret;
}

int ost_exec_call_far(struct ost_emul *e)
{
	unsigned int bytes = e->operand_size;
	u64 next = ost_emul_next_rip(e), selector_slot;
	u8 frame[2 * 4];
	u16 selector;
	u64 offset;
	int ret;

	if (!has_real_segments(e))
		return OST_EMUL_UNHANDLEABLE;
	ret = far_target(e, &selector, &offset);
	if (ret != OST_EMUL_OK)
		return ret;
	if (offset > ost_emul_segment(e, OST_CS)->limit)
		return ost_emul_gp(e, 0);
	selector_slot = ost_emul_segment(e, OST_CS)->selector;
	memcpy(frame, &next, bytes);
	memcpy(frame + bytes, &selector_slot, bytes);
	ret = ost_emul_push_block(e, frame, 2 * bytes);
	return ret == OST_EMUL_OK ? load_cs_ip(e, selector, offset) : ret;
}

int ost_exec_ret_far(struct ost_emul *e)
{
	u64 offset, selector;
	int ret;

	if (!has_real_segments(e))
		return OST_EMUL_UNHANDLEABLE;
	ret = ost_emul_pop(e, &offset, e->operand_size);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_pop(e, &selector, e->operand_size);
	if (ret != OST_EMUL_OK)
		return ret;
	if (e->op[0].kind == OST_OPND_IMM)
		ost_emul_set_rsp(e, e->gpr[OST_RSP] + e->op[0].value);
	return load_cs_ip(e, selector, offset);
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
