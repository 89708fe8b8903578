// SPDX-License-Identifier: GPL-2.0-only
/* Near jumps and calls, and the stack. */
#include "internal.h"

static int jump_relative(struct ost_emul *e)
{
	return ost_emul_jump(e, e->rip + e->len + e->op[0].value);
}

int ost_exec_jmp(struct ost_emul *e)
{
	return jump_relative(e);
}

int ost_exec_jmp_ind(struct ost_emul *e)
{
	return ost_emul_jump(e, e->op[0].value);
}

int ost_exec_jcc(struct ost_emul *e)
{
	return ost_emul_condition(e, e->opcode) ? jump_relative(e) : OST_EMUL_OK;
}

/* The target is checked before anything is pushed (APM vol. 3, CALL). */
static int call(struct ost_emul *e, u64 target)
{
	u64 next = ost_emul_next_rip(e);
	int ret = ost_emul_jump(e, target);

	return ret == OST_EMUL_OK ? ost_emul_push(e, next, e->operand_size) : ret;
}

int ost_exec_call(struct ost_emul *e)
{
	return call(e, e->rip + e->len + e->op[0].value);
}

int ost_exec_call_ind(struct ost_emul *e)
{
	return call(e, e->op[0].value);
}

int ost_exec_ret(struct ost_emul *e)
{
	u64 target;
	int ret = ost_emul_pop(e, &target, e->operand_size);

	if (ret != OST_EMUL_OK)
		return ret;
	if (e->op[0].kind == OST_OPND_IMM)
		ost_emul_set_rsp(e, e->gpr[OST_RSP] + e->op[0].value);
	return ost_emul_jump(e, target);
}

/* LOOP, LOOPE, LOOPNE: the counter is as wide as addresses are. */
int ost_exec_loop(struct ost_emul *e)
{
	u64 mask = ost_mask(e->address_size);
	u64 count = (e->gpr[OST_RCX] - 1) & mask;
	bool zero = e->rflags & X86_EFLAGS_ZF;

	ost_set_gpr(e, OST_RCX, e->address_size, count);
	if (!count || (e->opcode == 0xe0 && zero) || (e->opcode == 0xe1 && !zero))
		return OST_EMUL_OK;
	return jump_relative(e);
}

int ost_exec_jcxz(struct ost_emul *e)
{
	return e->gpr[OST_RCX] & ost_mask(e->address_size) ? OST_EMUL_OK : jump_relative(e);
}

int ost_exec_push(struct ost_emul *e)
{
	return ost_emul_push(e, e->op[0].value, e->operand_size);
}

/* A memory destination that is addressed by RSP uses the incremented one (APM vol. 3, POP). */
int ost_exec_pop(struct ost_emul *e)
{
	int ret = ost_emul_pop(e, &e->op[0].value, e->operand_size);

	if (ret != OST_EMUL_OK)
		return ret;
	if (e->op[0].kind == OST_OPND_MEM)
		e->mem_offset = ost_emul_effective_address(e);
	return ost_emul_store(e, &e->op[0], false);
}

int ost_exec_pusha(struct ost_emul *e)
{
	unsigned int bytes = e->operand_size, i;
	u8 block[8 * 4];

	/* AX is pushed first, so it comes last in memory; RSP is the one before the instruction. */
	for (i = 0; i < 8; i++)
		memcpy(block + i * bytes, &e->gpr[7 - i], bytes);
	return ost_emul_push_block(e, block, 8 * bytes);
}

int ost_exec_popa(struct ost_emul *e)
{
	unsigned int reg;
	u64 value;
	int ret;

	for (reg = 8; reg-- > 0;) {
		ret = ost_emul_pop(e, &value, e->operand_size);
		if (ret != OST_EMUL_OK)
			return ret;
		/* the image of RSP is passed over */
		if (reg != OST_RSP)
			ost_set_gpr(e, reg, e->operand_size, value);
	}
	return OST_EMUL_OK;
}

/*
 * PUSHF and POPF in virtual-8086 mode need IOPL 3, or CR4.VME with its virtual interrupt flag (not
 * done).
 */
static int check_vm86_flags(struct ost_emul *e)
{
	if (e->mode != OST_EMUL_VM86 || ost_emul_iopl(e) == 3)
		return OST_EMUL_OK;
	return e->cr4 & X86_CR4_VME ? OST_EMUL_UNHANDLEABLE : ost_emul_gp(e, 0);
}

int ost_exec_pushf(struct ost_emul *e)
{
	int ret = check_vm86_flags(e);

	if (ret != OST_EMUL_OK)
		return ret;
	return ost_emul_push(e, e->rflags & ~(X86_EFLAGS_VM | X86_EFLAGS_RF), e->operand_size);
}

int ost_exec_popf(struct ost_emul *e)
{
	u64 changeable = OST_FLAGS_ARITH | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT |
			 X86_EFLAGS_AC | X86_EFLAGS_ID;
	u64 flags;
	int ret = check_vm86_flags(e);

	if (ret == OST_EMUL_OK)
		ret = ost_emul_pop(e, &flags, e->operand_size);
	if (ret != OST_EMUL_OK)
		return ret;
	if (ost_emul_cpl(e) <= ost_emul_iopl(e))
		changeable |= X86_EFLAGS_IF;
	if (ost_emul_cpl(e) == 0)
		changeable |= X86_EFLAGS_IOPL;
	if (e->operand_size == 2)
		changeable &= 0xffff;
	ost_emul_set_flags(e, changeable, flags);
	return OST_EMUL_OK;
}

/* Nested levels copy frame pointers of other frames; no compiler emits them. */
int ost_exec_enter(struct ost_emul *e)
{
	u64 frame;
	int ret;

	if (e->imm2 & 31)
		return OST_EMUL_UNHANDLEABLE;
	ret = ost_emul_push(e, e->gpr[OST_RBP], e->operand_size);
	if (ret != OST_EMUL_OK)
		return ret;
	frame = e->gpr[OST_RSP];
	ost_emul_set_rsp(e, frame - e->op[0].value);
	ost_set_gpr(e, OST_RBP, e->operand_size, frame);
	return OST_EMUL_OK;
}

int ost_exec_leave(struct ost_emul *e)
{
	u64 frame;
	int ret;

	ost_emul_set_rsp(e, e->gpr[OST_RBP]);
	ret = ost_emul_pop(e, &frame, e->operand_size);
	if (ret == OST_EMUL_OK)
		ost_set_gpr(e, OST_RBP, e->operand_size, frame);
	return ret;
}
