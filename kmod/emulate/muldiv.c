// SPDX-License-Identifier: GPL-2.0-only
/* Multiplication and division, and the sign extensions that go before it. */
#include "internal.h"

/* The double-width operand of MUL and DIV: AH:AL, or DX:AX, EDX:EAX, RDX:RAX. */
static void get_wide(const struct ost_emul *e, unsigned int bytes, u64 *lo, u64 *hi)
{
	*lo = e->gpr[OST_RAX] & ost_mask(bytes);
	*hi = bytes == 1 ? e->gpr[OST_RAX] >> 8 & 0xff : e->gpr[OST_RDX] & ost_mask(bytes);
}

static void set_wide(struct ost_emul *e, unsigned int bytes, u64 lo, u64 hi)
{
	if (bytes == 1) {
		ost_set_gpr(e, OST_RAX, 2, (lo & 0xff) | (hi & 0xff) << 8);
		return;
	}
	ost_set_gpr(e, OST_RAX, bytes, lo);
	ost_set_gpr(e, OST_RDX, bytes, hi);
}

/* CF and OF tell that the upper half matters; the other flags are undefined. */
static void set_overflow(struct ost_emul *e, bool overflow)
{
	ost_emul_set_flags(e, X86_EFLAGS_CF | X86_EFLAGS_OF,
			   overflow ? X86_EFLAGS_CF | X86_EFLAGS_OF : 0);
}

int ost_exec_mul(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	unsigned __int128 product;
	u64 lo, hi;

	product = (unsigned __int128)(e->gpr[OST_RAX] & ost_mask(bytes)) * e->op[0].value;
	lo = (u64)product & ost_mask(bytes);
	hi = bytes == 8 ? (u64)(product >> 64) : (u64)product >> (8 * bytes);
	set_wide(e, bytes, lo, hi);
	set_overflow(e, hi != 0);
	return OST_EMUL_OK;
}

/* The signed product of two operands; whether it fits one tells the return value. */
static bool multiply_signed(u64 a, u64 b, unsigned int bytes, u64 *lo, u64 *hi)
{
	s64 sa = ost_sign_extend(a, bytes), sb = ost_sign_extend(b, bytes);
	__int128 product = (__int128)sa * sb;

	*lo = (u64)product & ost_mask(bytes);
	*hi = (u64)(product >> (8 * bytes)) & ost_mask(bytes);
	return product == (s64)ost_sign_extend(*lo, bytes);
}

int ost_exec_imul1(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	u64 lo, hi;

	set_overflow(e, !multiply_signed(e->gpr[OST_RAX], e->op[0].value, bytes, &lo, &hi));
	set_wide(e, bytes, lo, hi);
	return OST_EMUL_OK;
}

int ost_exec_imul2(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 hi;

	set_overflow(e, !multiply_signed(dst->value, e->op[1].value, dst->bytes, &dst->value, &hi));
	return OST_EMUL_OK;
}

int ost_exec_imul3(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 hi;

	set_overflow(
		e, !multiply_signed(e->op[1].value, e->op[2].value, dst->bytes, &dst->value, &hi));
	return OST_EMUL_OK;
}

/*
 * hi:lo by divisor, all of 'bytes' bytes; false when the quotient has more. The check comes before
 * the division, so that no guest makes the host's DIV fault.
 */
static bool divide(u64 lo, u64 hi, u64 divisor, unsigned int bytes, u64 *quotient, u64 *remainder)
{
	if (hi >= divisor)
		return false;
	if (bytes < 8) {
		u64 dividend = hi << (8 * bytes) | lo;

		*quotient = dividend / divisor;
		*remainder = dividend % divisor;
		return true;
	}
	/* C has no 128 by 64 bits division that the kernel's library would provide. */
	asm("divq %4" : "=a"(*quotient), "=d"(*remainder) : "0"(lo), "1"(hi), "rm"(divisor) : "cc");
	return true;
}

int ost_exec_div(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	u64 lo, hi, quotient, remainder;

	get_wide(e, bytes, &lo, &hi);
	if (!divide(lo, hi, e->op[0].value, bytes, &quotient, &remainder))
		return ost_emul_raise(e, OST_VEC_DE, false, 0);
	set_wide(e, bytes, quotient, remainder);
	return OST_EMUL_OK;
}

/* By magnitudes: the quotient rounds to zero, and the remainder has the dividend's sign. */
int ost_exec_idiv(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	u64 mask = ost_mask(bytes), sign = ost_sign_bit(bytes);
	u64 divisor = e->op[0].value, lo, hi, quotient, remainder;
	bool negative_dividend, negative_quotient;

	get_wide(e, bytes, &lo, &hi);
	negative_dividend = hi & sign;
	negative_quotient = negative_dividend != !!(divisor & sign);
	if (negative_dividend) {
		lo = -lo & mask;
		hi = (~hi + !lo) & mask;
	}
	if (divisor & sign)
		divisor = -divisor & mask;

	if (!divide(lo, hi, divisor, bytes, &quotient, &remainder) ||
	    quotient > (negative_quotient ? sign : sign - 1))
		return ost_emul_raise(e, OST_VEC_DE, false, 0);
	set_wide(e, bytes, negative_quotient ? -quotient : quotient,
		 negative_dividend ? -remainder : remainder);
	return OST_EMUL_OK;
}

/* CBW, CWDE, CDQE */
int ost_exec_cbw(struct ost_emul *e)
{
	unsigned int half = e->operand_size / 2;

	ost_set_gpr(e, OST_RAX, e->operand_size, ost_sign_extend(e->gpr[OST_RAX], half));
	return OST_EMUL_OK;
}

/* CWD, CDQ, CQO */
int ost_exec_cwd(struct ost_emul *e)
{
	bool negative = e->gpr[OST_RAX] & ost_sign_bit(e->operand_size);

	ost_set_gpr(e, OST_RDX, e->operand_size, negative ? ~0ULL : 0);
	return OST_EMUL_OK;
}
