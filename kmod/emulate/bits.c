// SPDX-License-Identifier: GPL-2.0-only
/* Bit tests, bit scans, bit counts, CRC32 and byte order. */
#include "internal.h"

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static void do_bit(struct ost_emul *e, enum bit_op what)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 bit = 1ULL << (e->op[1].value & (8 * dst->bytes - 1));

	/* CF gets the bit; the other flags are undefined, and CPUs keep them. */
	ost_emul_set_flags(e, X86_EFLAGS_CF, dst->value & bit ? X86_EFLAGS_CF : 0);
	if (what == BIT_SET)
		dst->value |= bit;
	else if (what == BIT_RESET)
		dst->value &= ~bit;
	else if (what == BIT_COMPLEMENT)
		dst->value ^= bit;
}

/*
 * With a register as bit offset and a memory operand the offset is signed and reaches beyond the
 * operand (APM vol. 3, BT); these forms come F_RAW, the forms with an immediate have their operands
 * loaded.
 */
static int bit_instruction(struct ost_emul *e, enum bit_op what)
{
	struct ost_emul_operand *dst = &e->op[0], *src = &e->op[1];
	bool rmw = what != BIT_TEST;
	int ret;

	if (!(e->opc->flags & F_RAW)) {
		do_bit(e, what);
		return OST_EMUL_OK;
	}

	ost_emul_load(e, src, false);
	if (dst->kind == OST_OPND_MEM) {
		s64 bit = ost_sign_extend(src->value, src->bytes);

		/* in operands, then in bytes */
		e->mem_offset += (bit >> (dst->bytes == 8   ? 6
					  : dst->bytes == 4 ? 5
							    : 4)) *
				 dst->bytes;
		e->mem_offset &= ost_mask(e->address_size);
	}
	ret = ost_emul_load(e, dst, rmw);
	if (ret != OST_EMUL_OK)
		return ret;
	do_bit(e, what);
	return rmw ? ost_emul_store(e, dst, true) : OST_EMUL_OK;
}

int ost_exec_bt(struct ost_emul *e)
{
	return bit_instruction(e, BIT_TEST);
}

int ost_exec_bts(struct ost_emul *e)
{
	return bit_instruction(e, BIT_SET);
}

int ost_exec_btr(struct ost_emul *e)
{
	return bit_instruction(e, BIT_RESET);
}

int ost_exec_btc(struct ost_emul *e)
{
	return bit_instruction(e, BIT_COMPLEMENT);
}

/*
 * Of zero the scans find nothing: ZF, and the whole destination register stays (APM vol. 3, BSF).
 */
static int bit_scan(struct ost_emul *e, bool forward)
{
	u64 src = e->op[1].value;

	if (!src) {
		e->rflags |= X86_EFLAGS_ZF;
		e->op[0].bytes = 8;
		e->op[0].value = ost_gpr(e, e->op[0].reg);
		return OST_EMUL_OK;
	}
	e->rflags &= ~X86_EFLAGS_ZF;
	e->op[0].value = forward ? __ffs(src) : __fls(src);
	return OST_EMUL_OK;
}

int ost_exec_bsf(struct ost_emul *e)
{
	return bit_scan(e, true);
}

int ost_exec_bsr(struct ost_emul *e)
{
	return bit_scan(e, false);
}

static int bit_count(struct ost_emul *e, unsigned int count)
{
	u64 flags = 0;

	if (!e->op[1].value)
		flags |= X86_EFLAGS_CF;
	if (!count)
		flags |= X86_EFLAGS_ZF;
	ost_emul_set_flags(e, X86_EFLAGS_CF | X86_EFLAGS_ZF, flags);
	e->op[0].value = count;
	return OST_EMUL_OK;
}

int ost_exec_tzcnt(struct ost_emul *e)
{
	u64 src = e->op[1].value;

	if (!e->has_tzcnt)
		return bit_scan(e, true);
	return bit_count(e, src ? __ffs(src) : 8 * e->op[1].bytes);
}

int ost_exec_lzcnt(struct ost_emul *e)
{
	u64 src = e->op[1].value;

	if (!e->has_lzcnt)
		return bit_scan(e, false);
	return bit_count(e, 8 * e->op[1].bytes - fls64(src));
}

int ost_exec_popcnt(struct ost_emul *e)
{
	u64 src = e->op[1].value;

	ost_emul_set_flags(e, OST_FLAGS_ARITH, src ? 0 : X86_EFLAGS_ZF);
	e->op[0].value = hweight64(src);
	return OST_EMUL_OK;
}

/* Castagnoli's polynomial 11EDC6F41, bit-reflected (SDM vol. 2A, CRC32). */
int ost_exec_crc32(struct ost_emul *e)
{
	u32 crc = e->op[0].value;
	unsigned int bit;

	for (bit = 0; bit < 8 * e->op[1].bytes; bit++) {
		bool out = (crc ^ e->op[1].value >> bit) & 1;

		crc = crc >> 1 ^ (out ? 0x82f63b78 : 0);
	}
	e->op[0].value = crc;
	return OST_EMUL_OK;
}

int ost_exec_andn(struct ost_emul *e)
{
	unsigned int bytes = e->op[0].bytes;

	if (e->vector_bytes != 16)
		return ost_emul_ud(e);
	e->op[0].value = ~ost_gpr(e, e->vvvv) & e->op[1].value;
	ost_emul_set_flags(e, X86_EFLAGS_CF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF,
			   ost_emul_result_flags(e->op[0].value, bytes) & ~X86_EFLAGS_PF);
	return OST_EMUL_OK;
}

static u64 swap_bytes(u64 value, unsigned int bytes)
{
	u64 result = 0;

	while (bytes--) {
		result = result << 8 | (value & 0xff);
		value >>= 8;
	}
	return result;
}

int ost_exec_movbe(struct ost_emul *e)
{
	e->op[0].value = swap_bytes(e->op[1].value, e->op[1].bytes);
	return OST_EMUL_OK;
}

int ost_exec_bswap(struct ost_emul *e)
{
	/* undefined for 16 bits */
	if (e->op[0].bytes == 2)
		return OST_EMUL_UNHANDLEABLE;
	e->op[0].value = swap_bytes(e->op[0].value, e->op[0].bytes);
	return OST_EMUL_OK;
}
