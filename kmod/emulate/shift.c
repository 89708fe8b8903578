// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shifts and rotates. The count is taken modulo 32, or 64 for 64-bit operands; with a count of zero
 * no flag changes. OF is defined for single shifts only; for others it is what the same formula
 * gives, as CPUs do.
 */
#include "internal.h"

static unsigned int shift_count(const struct ost_emul *e, u64 count)
{
	return count & (e->op[0].bytes == 8 ? 63 : 31);
}

static bool top_bit(u64 value, unsigned int bytes)
{
	return value & ost_sign_bit(bytes);
}

static u64 flags_of(bool cf, bool of)
{
	return (cf ? X86_EFLAGS_CF : 0) | (of ? X86_EFLAGS_OF : 0);
}

/* Rotates touch CF and OF only. */
static int rotated(struct ost_emul *e, u64 result, bool cf, bool of)
{
	e->op[0].value = result;
	ost_emul_set_flags(e, X86_EFLAGS_CF | X86_EFLAGS_OF, flags_of(cf, of));
	return OST_EMUL_OK;
}

/* AF is undefined after shifts, and CPUs clear it. */
static int shifted(struct ost_emul *e, u64 result, bool cf, bool of)
{
	e->op[0].value = result;
	ost_emul_set_flags(e, OST_FLAGS_ARITH,
			   ost_emul_result_flags(result, e->op[0].bytes) | flags_of(cf, of));
	return OST_EMUL_OK;
}

static u64 rotate_left(u64 value, unsigned int bytes, unsigned int count)
{
	unsigned int bits = 8 * bytes;

	count %= bits;
	if (!count)
		return value;
	return (value << count | value >> (bits - count)) & ost_mask(bytes);
}

int ost_exec_rol(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes, count = shift_count(e, e->op[1].value);
	u64 result = rotate_left(e->op[0].value, bytes, count);
	bool cf = result & 1;

	if (!count)
		return OST_EMUL_OK;
	return rotated(e, result, cf, cf != top_bit(result, bytes));
}

int ost_exec_ror(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes, count = shift_count(e, e->op[1].value);
	u64 result = rotate_left(e->op[0].value, bytes, 8 * bytes - count % (8 * bytes));
	bool cf = top_bit(result, bytes);

	if (!count)
		return OST_EMUL_OK;
	return rotated(e, result, cf, cf != top_bit(result << 1, bytes));
}

/* Through carry there are 9, 17, 33 or 65 bits to rotate. */
int ost_exec_rcl(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	unsigned int count = shift_count(e, e->op[1].value) % (8 * bytes + 1);
	u64 value = e->op[0].value;
	bool cf = e->rflags & X86_EFLAGS_CF, out;

	if (!shift_count(e, e->op[1].value))
		return OST_EMUL_OK;
	for (; count; count--) {
		out = top_bit(value, bytes);
		value = (value << 1 | cf) & ost_mask(bytes);
		cf = out;
	}
	return rotated(e, value, cf, cf != top_bit(value, bytes));
}

int ost_exec_rcr(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;
	unsigned int count = shift_count(e, e->op[1].value) % (8 * bytes + 1);
	u64 value = e->op[0].value;
	bool cf = e->rflags & X86_EFLAGS_CF, out;

	if (!shift_count(e, e->op[1].value))
		return OST_EMUL_OK;
	for (; count; count--) {
		out = value & 1;
		value = value >> 1 | (cf ? ost_sign_bit(bytes) : 0);
		cf = out;
	}
	return rotated(e, value, cf, top_bit(value, bytes) != top_bit(value << 1, bytes));
}

int ost_exec_shl(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes, count = shift_count(e, e->op[1].value);
	u64 value = e->op[0].value, result;
	bool cf;

	if (!count)
		return OST_EMUL_OK;
	/*
	 * Bytes and words can be shifted out wholly: bits 8 and up of the wide result are what
	 * left.
	 */
	result = value << (count - 1);
	cf = top_bit(result, bytes);
	result <<= 1;
	return shifted(e, result & ost_mask(bytes), cf, cf != top_bit(result, bytes));
}

int ost_exec_shr(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes, count = shift_count(e, e->op[1].value);
	u64 value = e->op[0].value;

	if (!count)
		return OST_EMUL_OK;
	return shifted(e, value >> (count - 1) >> 1, value >> (count - 1) & 1,
		       top_bit(value >> (count - 1), bytes));
}

int ost_exec_sar(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes, count = shift_count(e, e->op[1].value);
	s64 value = ost_sign_extend(e->op[0].value, bytes);

	if (!count)
		return OST_EMUL_OK;
	return shifted(e, (value >> (count - 1) >> 1) & ost_mask(bytes), value >> (count - 1) & 1,
		       false);
}

/*
 * Double shifts by more than the operand's bits (only 16-bit operands have such counts) are
 * undefined, and CPUs differ; OF tells a change of sign.
 */
static int double_shift(struct ost_emul *e, bool left)
{
	unsigned int bytes = e->op[0].bytes, bits = 8 * bytes;
	unsigned int count = shift_count(e, e->op[2].value);
	u64 value = e->op[0].value, fill = e->op[1].value, result;
	bool cf;

	if (!count)
		return OST_EMUL_OK;
	if (count > bits)
		return OST_EMUL_UNHANDLEABLE;
	if (left) {
		cf = value >> (bits - count) & 1;
		result = value << (count - 1) << 1;
		result |= fill >> (bits - count);
	} else {
		cf = value >> (count - 1) & 1;
		result = value >> (count - 1) >> 1;
		result |= fill << (bits - count);
	}
	result &= ost_mask(bytes);
	return shifted(e, result, cf, top_bit(result ^ value, bytes));
}

int ost_exec_shld(struct ost_emul *e)
{
	return double_shift(e, true);
}

int ost_exec_shrd(struct ost_emul *e)
{
	return double_shift(e, false);
}
