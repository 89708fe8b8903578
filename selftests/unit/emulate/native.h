/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs single instructions on the real CPU, in this process, with all registers and some memory
 * given.
 */
#ifndef OST_UNIT_NATIVE_H
#define OST_UNIT_NATIVE_H

#include <linux/types.h>

/*
 * Where instructions and data lie: below 2G, so that any addressing form reaches them. The pages
 * before and after the data are not mapped.
 */
#define NATIVE_CODE	 0x10000000UL
#define NATIVE_INSN	 (NATIVE_CODE + 0x800)
#define NATIVE_DATA	 0x20000000UL
#define NATIVE_DATA_SIZE 0x2000UL
#define NATIVE_VECTORS	 16
/* A short jump over this many bytes ends the instruction as well. */
#define NATIVE_NEAR_PAD 32

struct native_state {
	u64 gpr[16];
	u64 rflags;
	u8 vec[NATIVE_VECTORS][32];
	u64 rip; /* output: NATIVE_INSN + length, or where it faulted or jumped */
	/* The exception; vector is -1 when there was none. */
	int vector;
	u64 error_code;
	u64 cr2;
};

/* Maps the pages and installs signal handlers. To be called once; ends the program on failure. */
void native_init(void);

/* Whether vector registers (AVX) are loaded and saved. */
bool native_has_avx(void);

/*
 * Executes the 'len' bytes of one instruction on 'in' and on the data page, and fills 'out'. Jumps
 * may go to native_landing() only. The instruction must not be able to leave the process: the
 * caller chooses.
 */
void native_run(const u8 *insn, unsigned int len, bool compat, const struct native_state *in,
		struct native_state *out);

/* The selectors of ES, CS, SS, DS, FS, GS that instructions find in 64-bit and in 32-bit mode. */
void native_selectors(u16 long64[6], u16 compat[6]);

/*
 * The address of landing pad 'n' (0-7): a jump there ends the instruction, with out->rip telling
 * the pad.
 */
u64 native_landing(unsigned int n);

#endif
