// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arithmetic and logic. Operands come in e->op[].value, truncated to their size or sign-extended;
 * the result goes to e->op[0].value and is truncated when stored. Flags: APM vol. 3, at each
 * instruction.
 */
#include "internal.h"

void ost_emul_set_flags(struct ost_emul *e, u64 affected, u64 flags)
{
	e->rflags = (e->rflags & ~affected) | (flags & affected);
}

u64 ost_emul_result_flags(u64 result, unsigned int bytes)
{
	u64 flags = 0;

	if (!(result & ost_mask(bytes)))
		flags |= X86_EFLAGS_ZF;
	if (result & ost_sign_bit(bytes))
		flags |= X86_EFLAGS_SF;
	if (!(hweight32(result & 0xff) & 1))
		flags |= X86_EFLAGS_PF;
	return flags;
}

/*
 * Flags of a + b (+ carry in) = result. A bit carries out where both operands have it, or where one
 * has and the result has not; so the carry chain is read off without a wider type.
 */
static u64 add_flags(u64 a, u64 b, u64 result, unsigned int bytes)
{
	u64 carries = (a & b) | ((a | b) & ~result);
	u64 sign = ost_sign_bit(bytes);
	u64 flags = ost_emul_result_flags(result, bytes);

	if (carries & sign)
		flags |= X86_EFLAGS_CF;
	if (carries & 8)
		flags |= X86_EFLAGS_AF;
	if ((a ^ result) & (b ^ result) & sign)
		flags |= X86_EFLAGS_OF;
	return flags;
}

/* Flags of a - b (- borrow in) = result, likewise. */
static u64 sub_flags(u64 a, u64 b, u64 result, unsigned int bytes)
{
	u64 borrows = (~a & b) | ((~a | b) & result);
	u64 sign = ost_sign_bit(bytes);
	u64 flags = ost_emul_result_flags(result, bytes);

	if (borrows & sign)
		flags |= X86_EFLAGS_CF;
	if (borrows & 8)
		flags |= X86_EFLAGS_AF;
	if ((a ^ b) & (a ^ result) & sign)
		flags |= X86_EFLAGS_OF;
	return flags;
}

void ost_emul_flags_sub(struct ost_emul *e, u64 a, u64 b, unsigned int bytes)
{
	ost_emul_set_flags(e, OST_FLAGS_ARITH, sub_flags(a, b, a - b, bytes));
}

static int add_with(struct ost_emul *e, u64 carry)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 a = dst->value, b = e->op[1].value;

	dst->value = a + b + carry;
	ost_emul_set_flags(e, OST_FLAGS_ARITH, add_flags(a, b, dst->value, dst->bytes));
	return OST_EMUL_OK;
}

static int sub_with(struct ost_emul *e, u64 borrow)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 a = dst->value, b = e->op[1].value;

	dst->value = a - b - borrow;
	ost_emul_set_flags(e, OST_FLAGS_ARITH, sub_flags(a, b, dst->value, dst->bytes));
	return OST_EMUL_OK;
}

int ost_exec_add(struct ost_emul *e)
{
	return add_with(e, 0);
}

int ost_exec_adc(struct ost_emul *e)
{
	return add_with(e, e->rflags & X86_EFLAGS_CF);
}

int ost_exec_sub(struct ost_emul *e)
{
	return sub_with(e, 0);
}

int ost_exec_sbb(struct ost_emul *e)
{
	return sub_with(e, e->rflags & X86_EFLAGS_CF);
}

int ost_exec_cmp(struct ost_emul *e)
{
	ost_emul_flags_sub(e, e->op[0].value, e->op[1].value, e->op[0].bytes);
	return OST_EMUL_OK;
}

/* CF and OF are cleared; AF is undefined, and CPUs clear it. */
static int logic(struct ost_emul *e, u64 result)
{
	ost_emul_set_flags(e, OST_FLAGS_ARITH, ost_emul_result_flags(result, e->op[0].bytes));
	e->op[0].value = result;
	return OST_EMUL_OK;
}

int ost_exec_and(struct ost_emul *e)
{
	return logic(e, e->op[0].value & e->op[1].value);
}

int ost_exec_or(struct ost_emul *e)
{
	return logic(e, e->op[0].value | e->op[1].value);
}

int ost_exec_xor(struct ost_emul *e)
{
	return logic(e, e->op[0].value ^ e->op[1].value);
}

/* The table stores no result of this one. */
int ost_exec_test(struct ost_emul *e)
{
	return logic(e, e->op[0].value & e->op[1].value);
}

int ost_exec_inc(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 a = dst->value;

	dst->value = a + 1;
	ost_emul_set_flags(e, OST_FLAGS_ARITH & ~X86_EFLAGS_CF,
			   add_flags(a, 1, dst->value, dst->bytes));
	return OST_EMUL_OK;
}

int ost_exec_dec(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 a = dst->value;

	dst->value = a - 1;
	ost_emul_set_flags(e, OST_FLAGS_ARITH & ~X86_EFLAGS_CF,
			   sub_flags(a, 1, dst->value, dst->bytes));
	return OST_EMUL_OK;
}

int ost_exec_not(struct ost_emul *e)
{
	e->op[0].value = ~e->op[0].value;
	return OST_EMUL_OK;
}

int ost_exec_neg(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 a = dst->value;

	dst->value = -a;
	ost_emul_set_flags(e, OST_FLAGS_ARITH, sub_flags(0, a, dst->value, dst->bytes));
	return OST_EMUL_OK;
}

/*
 * The source register gets the old destination, and is stored first: with the same register twice
 * the sum stays. If memory can't be written the register goes back, as all do.
 */
int ost_exec_xadd(struct ost_emul *e)
{
	struct ost_emul_operand src = e->op[1];

	src.value = e->op[0].value;
	add_with(e, 0);
	return ost_emul_store(e, &src, false);
}

/*
 * If the comparison fails the accumulator gets the destination's value. Memory is written all the
 * same, with what it held (APM vol. 3, CMPXCHG); a register stays as it is, upper half and all.
 */
int ost_exec_cmpxchg(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 accumulator = e->gpr[OST_RAX] & ost_mask(dst->bytes);

	ost_emul_flags_sub(e, accumulator, dst->value, dst->bytes);
	if (accumulator == dst->value) {
		dst->value = e->op[1].value;
		return OST_EMUL_OK;
	}
	ost_set_gpr(e, OST_RAX, dst->bytes, dst->value);
	/* Storing AH, CH, … again changes nothing as it is. */
	if (dst->kind == OST_OPND_REG && !dst->high) {
		dst->bytes = 8;
		dst->value = ost_gpr(e, dst->reg);
	}
	return OST_EMUL_OK;
}

/* CMPXCHG8B, and with REX.W CMPXCHG16B, whose operand must be aligned (APM vol. 3). */
int ost_exec_cmpxchg16b(struct ost_emul *e)
{
	unsigned int half = e->rex & 8 ? 8 : 4;
	u64 mask = ost_mask(half), linear;
	u64 lo, hi;
	u8 old[16], new[16];
	int ret;

	ret = half == 8 ? ost_emul_want_aligned(e, 16, true) : OST_EMUL_OK;
	if (ret == OST_EMUL_OK)
		ret = ost_emul_linear(e, e->mem.seg, e->mem_offset, 2 * half, true, &linear);
	if (ret != OST_EMUL_OK)
		return ret;
	ret = ost_emul_read(e, e->mem.seg, e->mem_offset, old, 2 * half, true);
	if (ret != OST_EMUL_OK)
		return ret;

	lo = hi = 0;
	memcpy(&lo, old, half);
	memcpy(&hi, old + half, half);
	memcpy(new, old, sizeof(new));
	if (lo == (e->gpr[OST_RAX] & mask) && hi == (e->gpr[OST_RDX] & mask)) {
		e->rflags |= X86_EFLAGS_ZF;
		memcpy(new, &e->gpr[OST_RBX], half);
		memcpy(new + half, &e->gpr[OST_RCX], half);
	} else {
		e->rflags &= ~X86_EFLAGS_ZF;
		ost_set_gpr(e, OST_RAX, half, lo);
		ost_set_gpr(e, OST_RDX, half, hi);
	}
	if (!e->lock)
		return ost_emul_write(e, e->mem.seg, e->mem_offset, new, 2 * half);
	if (!e->ops->cmpxchg)
		return OST_EMUL_UNHANDLEABLE;
	return (e->ops->cmpxchg)(e, linear, old, new, 2 * half, 0);
}

bool ost_emul_condition(const struct ost_emul *e, unsigned int cc)
{
	u64 f = e->rflags;
	bool less = !(f & X86_EFLAGS_SF) != !(f & X86_EFLAGS_OF);
	bool met = false;

	switch (cc >> 1 & 7) {
	case 0:
		met = f & X86_EFLAGS_OF;
		break;
	case 1:
		met = f & X86_EFLAGS_CF;
		break;
	case 2:
		met = f & X86_EFLAGS_ZF;
		break;
	case 3:
		met = f & (X86_EFLAGS_CF | X86_EFLAGS_ZF);
		break;
	case 4:
		met = f & X86_EFLAGS_SF;
		break;
	case 5:
		met = f & X86_EFLAGS_PF;
		break;
	case 6:
		met = less;
		break;
	case 7:
		met = less || f & X86_EFLAGS_ZF;
		break;
	}
	return met != (cc & 1);
}
