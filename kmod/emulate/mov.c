// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MOVs by which 64-bit and 32-bit code reaches its devices, decoded at once. They are a handful of opcodes in
 * their plain forms; for anything else ost_mov_decode() says no, and the whole decoder (decode.c) is for
 * that.
 */
#include "internal.h"
#include "mov.h"

#define REX_W BIT(3)
#define REX_R BIT(2)
#define REX_X BIT(1)
#define REX_B BIT(0)

static s64 get_signed(const u8 *p, u32 len)
{
	u32 val = 0;
	u32 i;

	for (i = 0; i < len; i++)
		val |= (u32)p[i] << (8 * i);
	return (s64)(s32)(val << (32 - 8 * len)) >> (32 - 8 * len);
}

/* The memory operand that begins with the ModRM byte at p; the byte behind it, or NULL for a register. */
static const u8 *decode_address(const u8 *p, u8 rex, struct ost_mov *mov)
{
	u8 mod = *p >> 6, rm = *p & 7, disp_len = 0;

	p++;
	if (mod == 3)
		return NULL;
	mov->index = OST_MOV_NONE;
	mov->rip_relative = false;
	mov->base = rm | (rex & REX_B ? 8 : 0);
	if (rm == 4) {
		u8 sib = *p++;

		mov->scale = sib >> 6;
		mov->index = (sib >> 3 & 7) | (rex & REX_X ? 8 : 0);
		if (mov->index == 4)
			mov->index = OST_MOV_NONE;
		rm = sib & 7;
		mov->base = rm | (rex & REX_B ? 8 : 0);
		if (rm == 5 && mod == 0) {
			mov->base = OST_MOV_NONE;
			disp_len = 4;
		}
	} else if (rm == 5 && mod == 0) {
		mov->base = OST_MOV_NONE;
		mov->rip_relative = mov->mode64;
		disp_len = 4;
	}
	if (mod == 1)
		disp_len = 1;
	else if (mod == 2)
		disp_len = 4;
	mov->disp = disp_len ? get_signed(p, disp_len) : 0;
	return p + disp_len;
}

/* The address that stands behind the opcodes A0 to A3, with RAX. */
static const u8 *decode_offset(const u8 *p, struct ost_mov *mov)
{
	mov->base = mov->index = OST_MOV_NONE;
	mov->rip_relative = false;
	mov->disp = get_signed(p, 4);
	mov->reg = OST_RAX;
	return p + 4;
}

bool ost_mov_decode(const u8 *bytes, bool mode64, struct ost_mov *mov)
{
	const u8 *p = bytes, *modrm;
	u8 rex = 0, opcode, imm_len;
	bool word, offset = false;

	word = *p == 0x66;
	p += word;
	if (mode64 && (*p & 0xf0) == 0x40)
		rex = *p++;
	opcode = *p++;
	mov->mode64 = mode64;
	mov->zero_extend = false;
	mov->immediate = false;
	switch (opcode) {
	case 0x88:
	case 0x89:
	case 0xc6:
	case 0xc7:
		mov->store = true;
		break;
	case 0x8a:
	case 0x8b:
		mov->store = false;
		break;
	case 0xa0 ... 0xa3:
		/* They have addresses of 64 bits in 64-bit code. */
		if (mode64)
			return false;
		mov->store = opcode & 2;
		offset = true;
		break;
	case 0x0f:
		/* MOVZX */
		opcode = *p++;
		if ((opcode != 0xb6 && opcode != 0xb7) || word)
			return false;
		mov->store = false;
		mov->zero_extend = true;
		break;
	default:
		return false;
	}
	if (!(opcode & 1))
		mov->size = 1;
	else if (mov->zero_extend)
		mov->size = 2;
	else
		mov->size = rex & REX_W ? 8 : word ? 2 : 4;

	if (offset) {
		mov->len = decode_offset(p, mov) - bytes;
		return true;
	}
	modrm = p;
	p = decode_address(modrm, rex, mov);
	if (!p)
		return false;
	mov->reg = (*modrm >> 3 & 7) | (rex & REX_R ? 8 : 0);
	if (opcode == 0xc6 || opcode == 0xc7) {
		/* Only /0 is MOV. */
		if (*modrm >> 3 & 7)
			return false;
		imm_len = min_t(u8, mov->size, 4);
		mov->immediate = true;
		mov->imm = get_signed(p, imm_len);
		p += imm_len;
	} else if (mov->size == 1 && !mov->zero_extend && !rex && mov->reg >= 4) {
		/* AH, CH, DH, BH */
		return false;
	}
	mov->len = p - bytes;
	return true;
}

u64 ost_mov_address(const struct ost_mov *mov, const u64 *gpr, u64 rip)
{
	u64 address = mov->disp;

	if (mov->base != OST_MOV_NONE)
		address += gpr[mov->base];
	if (mov->index != OST_MOV_NONE)
		address += gpr[mov->index] << mov->scale;
	if (mov->rip_relative)
		address += rip + mov->len;
	return mov->mode64 ? address : (u32)address;
}
