// SPDX-License-Identifier: GPL-2.0-only
/* Moves, exchanges and single flags. */
#include "internal.h"

/* MOV, MOVZX, MOVNTI, MOVDIRI: sources are zero-extended as loaded. */
int ost_exec_mov(struct ost_emul *e)
{
	e->op[0].value = e->op[1].value;
	return OST_EMUL_OK;
}

int ost_exec_movsx(struct ost_emul *e)
{
	e->op[0].value = ost_sign_extend(e->op[1].value, e->op[1].bytes);
	return OST_EMUL_OK;
}

/* MOVSXD in 64-bit mode; elsewhere the opcode is ARPL, which is not executed here. */
int ost_exec_movsxd(struct ost_emul *e)
{
	return ost_emul_is64(e) ? ost_exec_movsx(e) : OST_EMUL_UNHANDLEABLE;
}

int ost_exec_xchg(struct ost_emul *e)
{
	struct ost_emul_operand src = e->op[1];

	/* 90 without REX.B names RAX twice: it is NOP, and does not clear the upper half. */
	if (e->map == OST_MAP_1B && e->opcode == 0x90 && e->op[0].reg == OST_RAX) {
		e->op[0].bytes = 8;
		e->op[0].value = e->gpr[OST_RAX];
		return OST_EMUL_OK;
	}
	src.value = e->op[0].value;
	e->op[0].value = e->op[1].value;
	/* With memory it is locked always (APM vol. 3, XCHG). */
	e->lock = e->op[0].kind == OST_OPND_MEM;
	return ost_emul_store(e, &src, false);
}

int ost_exec_lea(struct ost_emul *e)
{
	ost_set_gpr(e, e->op[0].reg, e->op[0].bytes, e->mem_offset);
	return OST_EMUL_OK;
}

/*
 * The source is read in both cases; a 32-bit destination is zero-extended in both (APM vol. 3,
 * CMOVcc).
 */
int ost_exec_cmov(struct ost_emul *e)
{
	if (ost_emul_condition(e, e->opcode))
		e->op[0].value = e->op[1].value;
	return OST_EMUL_OK;
}

int ost_exec_setcc(struct ost_emul *e)
{
	e->op[0].value = ost_emul_condition(e, e->opcode);
	return OST_EMUL_OK;
}

int ost_exec_xlat(struct ost_emul *e)
{
	u64 offset = (e->gpr[OST_RBX] + (e->gpr[OST_RAX] & 0xff)) & ost_mask(e->address_size);
	u8 value;
	int ret;

	ret = ost_emul_read(e, e->seg_override >= 0 ? e->seg_override : OST_DS, offset, &value, 1,
			    false);
	if (ret == OST_EMUL_OK)
		ost_set_gpr(e, OST_RAX, 1, value);
	return ret;
}

/* NOP, PAUSE and hints. */
int ost_exec_nop(struct ost_emul *e)
{
	return OST_EMUL_OK;
}

#define AH_FLAGS (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF)

int ost_exec_lahf(struct ost_emul *e)
{
	u64 ah = (e->rflags & AH_FLAGS) | X86_EFLAGS_FIXED;

	ost_set_gpr(e, OST_RAX, 2, (e->gpr[OST_RAX] & 0xff) | ah << 8);
	return OST_EMUL_OK;
}

int ost_exec_sahf(struct ost_emul *e)
{
	ost_emul_set_flags(e, AH_FLAGS, e->gpr[OST_RAX] >> 8);
	return OST_EMUL_OK;
}

/* CMC, CLC, STC, CLD, STD */
int ost_exec_flag(struct ost_emul *e)
{
	switch (e->opcode) {
	case 0xf5:
		e->rflags ^= X86_EFLAGS_CF;
		break;
	case 0xf8:
		e->rflags &= ~X86_EFLAGS_CF;
		break;
	case 0xf9:
		e->rflags |= X86_EFLAGS_CF;
		break;
	case 0xfc:
		e->rflags &= ~X86_EFLAGS_DF;
		break;
	case 0xfd:
		e->rflags |= X86_EFLAGS_DF;
		break;
	}
	return OST_EMUL_OK;
}

/* The operand is a pair: lower and upper bound, both signed and both allowed. */
int ost_exec_bound(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	u64 lower = 0, upper = 0;
	s64 index;
	u8 pair[8];
	int ret;

	ret = ost_emul_read(e, e->mem.seg, e->mem_offset, pair, 2 * bytes, false);
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(&lower, pair, bytes);
	memcpy(&upper, pair + bytes, bytes);
	index = ost_sign_extend(ost_gpr(e, e->op[0].reg), bytes);
	if (index < (s64)ost_sign_extend(lower, bytes) ||
	    index > (s64)ost_sign_extend(upper, bytes))
		return ost_emul_raise(e, OST_VEC_BR, false, 0);
	return OST_EMUL_OK;
}
