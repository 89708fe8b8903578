/* SPDX-License-Identifier: GPL-2.0-only */
/* MOV between a register and memory in 64-bit and 32-bit code, as drivers use it for device memory (mov.c; pure). */
#ifndef OST_EMULATE_MOV_H
#define OST_EMULATE_MOV_H

#include "types.h"

#define OST_MOV_NONE 0xff

/* How many bytes ost_mov_decode() may look at. */
#define OST_MOV_BYTES 16

struct ost_mov {
	u8 len;			/* of the instruction */
	u8 size;		/* of the memory operand: 1, 2, 4 or 8 */
	u8 reg;			/* the other operand, unless `immediate` */
	bool store;		/* to memory */
	bool immediate;
	bool zero_extend;	/* MOVZX: all of the register is written */
	u8 base, index;		/* registers of the address, or OST_MOV_NONE */
	u8 scale;		/* shift of the index */
	bool rip_relative;
	bool mode64;		/* else addresses have 32 bits */
	s64 disp;
	u64 imm;
};

/*
 * Is the instruction that begins at bytes[0] one of MOV's simple forms in 64-bit code, or in 32-bit code: 88 to 8B, C6, C7,
 * MOVZX, and A0 to A3 in 32-bit code; no segment override, no other size of addresses, none of AH to BH? Fills *mov if it is.
 */
bool ost_mov_decode(const u8 *bytes, bool mode64, struct ost_mov *mov);

/* The address of its memory operand, within its segment; the GPRs in the hardware's order. */
u64 ost_mov_address(const struct ost_mov *mov, const u64 *gpr, u64 rip);

#endif
