/* SPDX-License-Identifier: GPL-2.0-only */
/* MOV between a register and memory in 64-bit mode, as drivers use it for device memory (mov.c; pure). */
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
	s64 disp;
	u64 imm;
};

/*
 * Is the instruction that begins at bytes[0] one of MOV's simple forms in 64-bit mode (88 to 8B, C6, C7,
 * MOVZX; no segment override, no 32-bit addresses, none of AH to BH)? Fills *mov if it is.
 */
bool ost_mov_decode(const u8 *bytes, struct ost_mov *mov);

/* The linear address of its memory operand; the GPRs in the hardware's order. */
u64 ost_mov_address(const struct ost_mov *mov, const u64 *gpr, u64 rip);

#endif
