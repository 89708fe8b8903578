// SPDX-License-Identifier: GPL-2.0-only
/* The one-byte opcodes and their groups (APM vol. 3, appendix A; SDM vol. 2D, appendix A). */
#include "tables.h"

/* clang-format off */

const struct ost_opcode ost_opcode_bare = LEN(0);
const struct ost_opcode ost_opcode_modrm = LEN(F_MODRM);
const struct ost_opcode ost_opcode_modrm_imm8 = LEN(F_MODRM | F_IMM8);
const struct ost_opcode ost_opcode_modrm_imm32 = LEN(F_MODRM | F_IMMZ);

/* The six forms of the old arithmetic instructions. */
#define ALU6(base, fn, rw, lock)                                                                   \
	[(base) + 0] = RM(fn, (rw) | (lock), A_Eb, A_Gb, A_NONE),                                  \
	[(base) + 1] = RM(fn, (rw) | (lock), A_Ev, A_Gv, A_NONE),                                  \
	[(base) + 2] = RM(fn, (rw), A_Gb, A_Eb, A_NONE),                                           \
	[(base) + 3] = RM(fn, (rw), A_Gv, A_Ev, A_NONE),                                           \
	[(base) + 4] = OP(fn, (rw), A_AL, A_Ib, A_NONE),                                           \
	[(base) + 5] = OP(fn, (rw), A_rAX, A_Iz, A_NONE)

#define GROUP1(name, a, b)                                                                         \
	static const struct ost_opcode name[8] = {                                                 \
		RM(add, F_RMW | F_LOCK, a, b, A_NONE), RM(or, F_RMW | F_LOCK, a, b, A_NONE),       \
		RM(adc, F_RMW | F_LOCK, a, b, A_NONE), RM(sbb, F_RMW | F_LOCK, a, b, A_NONE),      \
		RM(and, F_RMW | F_LOCK, a, b, A_NONE), RM(sub, F_RMW | F_LOCK, a, b, A_NONE),      \
		RM(xor, F_RMW | F_LOCK, a, b, A_NONE), RM(cmp, F_RD, a, b, A_NONE),                \
	}

GROUP1(group1_80, A_Eb, A_Ib);
GROUP1(group1_81, A_Ev, A_Iz);
GROUP1(group1_83, A_Ev, A_Ibs);

#define GROUP1_NO64(fn, fl) RM(fn, (fl) | F_NO64, A_Eb, A_Ib, A_NONE)
static const struct ost_opcode group1_82[8] = {
	GROUP1_NO64(add, F_RMW | F_LOCK), GROUP1_NO64(or, F_RMW | F_LOCK),
	GROUP1_NO64(adc, F_RMW | F_LOCK), GROUP1_NO64(sbb, F_RMW | F_LOCK),
	GROUP1_NO64(and, F_RMW | F_LOCK), GROUP1_NO64(sub, F_RMW | F_LOCK),
	GROUP1_NO64(xor, F_RMW | F_LOCK), GROUP1_NO64(cmp, F_RD),
};

static const struct ost_opcode group1a[8] = {
	RM(pop, F_D64 | F_RAW, A_Ev, A_NONE, A_NONE),
};

/* The sixth form is an alias of SHL that the manuals leave out; CPUs execute it so. */
#define GROUP2(name, a, b)                                                                         \
	static const struct ost_opcode name[8] = {                                                 \
		RM(rol, F_RMW, a, b, A_NONE), RM(ror, F_RMW, a, b, A_NONE),                        \
		RM(rcl, F_RMW, a, b, A_NONE), RM(rcr, F_RMW, a, b, A_NONE),                        \
		RM(shl, F_RMW, a, b, A_NONE), RM(shr, F_RMW, a, b, A_NONE),                        \
		RM(shl, F_RMW, a, b, A_NONE), RM(sar, F_RMW, a, b, A_NONE),                        \
	}

GROUP2(group2_c0, A_Eb, A_Ib);
GROUP2(group2_c1, A_Ev, A_Ib);
GROUP2(group2_d0, A_Eb, A_1);
GROUP2(group2_d1, A_Ev, A_1);
GROUP2(group2_d2, A_Eb, A_CL);
GROUP2(group2_d3, A_Ev, A_CL);

#define GROUP3(name, a, b)                                                                         \
	static const struct ost_opcode name[8] = {                                                 \
		RM(test, F_RD, a, b, A_NONE),                                                      \
		RM(test, F_RD, a, b, A_NONE),                                                      \
		RM(not, F_RMW | F_LOCK, a, A_NONE, A_NONE),                                        \
		RM(neg, F_RMW | F_LOCK, a, A_NONE, A_NONE),                                        \
		RM(mul, F_RD, a, A_NONE, A_NONE),                                                  \
		RM(imul1, F_RD, a, A_NONE, A_NONE),                                                \
		RM(div, F_RD, a, A_NONE, A_NONE),                                                  \
		RM(idiv, F_RD, a, A_NONE, A_NONE),                                                 \
	}

GROUP3(group3_f6, A_Eb, A_Ib);
GROUP3(group3_f7, A_Ev, A_Iz);

static const struct ost_opcode group4[8] = {
	RM(inc, F_RMW | F_LOCK, A_Eb, A_NONE, A_NONE),
	RM(dec, F_RMW | F_LOCK, A_Eb, A_NONE, A_NONE),
};

static const struct ost_opcode group5[8] = {
	RM(inc, F_RMW | F_LOCK, A_Ev, A_NONE, A_NONE),
	RM(dec, F_RMW | F_LOCK, A_Ev, A_NONE, A_NONE),
	RM(call_ind, F_RD | F_NEAR, A_Ev, A_NONE, A_NONE),
	RM(call_far, F_RAW, A_Mp, A_NONE, A_NONE),
	RM(jmp_ind, F_RD | F_NEAR, A_Ev, A_NONE, A_NONE),
	RM(jmp_far, F_RAW, A_Mp, A_NONE, A_NONE),
	RM(push, F_RD | F_D64, A_Ev, A_NONE, A_NONE),
};

/* XABORT and XBEGIN hide in the MOV group (SDM vol. 2D, table A-6). */
static const struct ost_opcode xabort_rm[8] = { LEN(F_IMM8) };
static const struct ost_opcode xbegin_rm[8] = { LEN(F_IMMZ) };
static const struct ost_opcode xabort_mod[2] = { [1] = BY(RM, xabort_rm) };
static const struct ost_opcode xbegin_mod[2] = { [1] = BY(RM, xbegin_rm) };

static const struct ost_opcode group11_c6[8] = {
	[0] = RM(mov, F_WR, A_Eb, A_Ib, A_NONE),
	[7] = BY(MOD, xabort_mod),
};

static const struct ost_opcode group11_c7[8] = {
	[0] = RM(mov, F_WR, A_Ev, A_Iz, A_NONE),
	[7] = BY(MOD, xbegin_mod),
};

#define XCHG_ACC OP(xchg, F_RMW, A_Zv, A_rAX, A_NONE)

/* 90 is XCHG of the accumulator with itself, or with R8; with F3 it is PAUSE. */
static const struct ost_opcode nop_pp[4] = {
	XCHG_ACC, XCHG_ACC, ID0(PAUSE, nop, 0), XCHG_ACC,
};

#define ROW8(base, ...)                                                                            \
	[(base) + 0] = __VA_ARGS__, [(base) + 1] = __VA_ARGS__, [(base) + 2] = __VA_ARGS__,        \
	[(base) + 3] = __VA_ARGS__, [(base) + 4] = __VA_ARGS__, [(base) + 5] = __VA_ARGS__,        \
	[(base) + 6] = __VA_ARGS__, [(base) + 7] = __VA_ARGS__

const struct ost_opcode ost_opcodes_1b[256] = {
	ALU6(0x00, add, F_RMW, F_LOCK),
	[0x06] = OP(push_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	[0x07] = OP(pop_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	ALU6(0x08, or, F_RMW, F_LOCK),
	[0x0e] = OP(push_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	ALU6(0x10, adc, F_RMW, F_LOCK),
	[0x16] = OP(push_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	[0x17] = OP(pop_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	ALU6(0x18, sbb, F_RMW, F_LOCK),
	[0x1e] = OP(push_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	[0x1f] = OP(pop_seg, F_RAW | F_NO64, A_NONE, A_NONE, A_NONE),
	ALU6(0x20, and, F_RMW, F_LOCK),
	[0x27] = LEN(F_NO64), /* DAA */
	ALU6(0x28, sub, F_RMW, F_LOCK),
	[0x2f] = LEN(F_NO64), /* DAS */
	ALU6(0x30, xor, F_RMW, F_LOCK),
	[0x37] = LEN(F_NO64), /* AAA */
	ALU6(0x38, cmp, F_RD, 0),
	[0x3f] = LEN(F_NO64), /* AAS */
	ROW8(0x40, OP(inc, F_RMW, A_Zv, A_NONE, A_NONE)),
	ROW8(0x48, OP(dec, F_RMW, A_Zv, A_NONE, A_NONE)),
	ROW8(0x50, OP(push, F_RD | F_D64, A_Zv, A_NONE, A_NONE)),
	ROW8(0x58, OP(pop, F_RAW | F_D64, A_Zv, A_NONE, A_NONE)),
	[0x60] = OP0(pusha, F_NO64),
	[0x61] = OP0(popa, F_NO64),
	[0x62] = RM(bound, F_RAW | F_NO64, A_Gv, A_Mv, A_NONE),
	[0x63] = RM(movsxd, F_WR, A_Gv, A_Ez, A_NONE),
	[0x68] = OP(push, F_RD | F_D64, A_Iz, A_NONE, A_NONE),
	[0x69] = RM(imul3, F_WR, A_Gv, A_Ev, A_Iz),
	[0x6a] = OP(push, F_RD | F_D64, A_Ibs, A_NONE, A_NONE),
	[0x6b] = RM(imul3, F_WR, A_Gv, A_Ev, A_Ibs),
	[0x6c] = ID0(INS, ins, F_KEEP),
	[0x6d] = ID0(INS, ins, F_KEEP),
	[0x6e] = ID0(OUTS, outs, F_KEEP),
	[0x6f] = ID0(OUTS, outs, F_KEEP),
	ROW8(0x70, OP(jcc, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE)),
	ROW8(0x78, OP(jcc, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE)),
	[0x80] = BY(REG, group1_80),
	[0x81] = BY(REG, group1_81),
	[0x82] = BY(REG, group1_82),
	[0x83] = BY(REG, group1_83),
	[0x84] = RM(test, F_RD, A_Eb, A_Gb, A_NONE),
	[0x85] = RM(test, F_RD, A_Ev, A_Gv, A_NONE),
	[0x86] = RM(xchg, F_RMW | F_LOCK, A_Eb, A_Gb, A_NONE),
	[0x87] = RM(xchg, F_RMW | F_LOCK, A_Ev, A_Gv, A_NONE),
	[0x88] = RM(mov, F_WR, A_Eb, A_Gb, A_NONE),
	[0x89] = RM(mov, F_WR, A_Ev, A_Gv, A_NONE),
	[0x8a] = RM(mov, F_WR, A_Gb, A_Eb, A_NONE),
	[0x8b] = RM(mov, F_WR, A_Gv, A_Ev, A_NONE),
	[0x8c] = RM(mov_from_seg, F_WR, A_Ewv, A_Sw, A_NONE),
	[0x8d] = RM(lea, F_RAW, A_Gv, A_M, A_NONE),
	[0x8e] = RM(mov_to_seg, 0, A_Sw, A_Ew, A_NONE),
	[0x8f] = BY(REG, group1a),
	[0x90] = BY(PP, nop_pp),
	[0x91] = XCHG_ACC, [0x92] = XCHG_ACC, [0x93] = XCHG_ACC, [0x94] = XCHG_ACC,
	[0x95] = XCHG_ACC, [0x96] = XCHG_ACC, [0x97] = XCHG_ACC,
	[0x98] = OP0(cbw, 0),
	[0x99] = OP0(cwd, 0),
	[0x9a] = OP(call_far, F_RAW | F_NO64, A_Ap, A_NONE, A_NONE),
	[0x9b] = LEN(0),
	[0x9c] = ID0(PUSHF, pushf, F_D64),
	[0x9d] = ID0(POPF, popf, F_D64),
	[0x9e] = OP0(sahf, 0),
	[0x9f] = OP0(lahf, 0),
	[0xa0] = OP(mov, F_WR, A_AL, A_Ob, A_NONE),
	[0xa1] = OP(mov, F_WR, A_rAX, A_Ov, A_NONE),
	[0xa2] = OP(mov, F_WR, A_Ob, A_AL, A_NONE),
	[0xa3] = OP(mov, F_WR, A_Ov, A_rAX, A_NONE),
	[0xa4] = OP0(movs, F_KEEP),
	[0xa5] = OP0(movs, F_KEEP),
	[0xa6] = OP0(cmps, F_KEEP),
	[0xa7] = OP0(cmps, F_KEEP),
	[0xa8] = OP(test, F_RD, A_AL, A_Ib, A_NONE),
	[0xa9] = OP(test, F_RD, A_rAX, A_Iz, A_NONE),
	[0xaa] = OP0(stos, F_KEEP),
	[0xab] = OP0(stos, F_KEEP),
	[0xac] = OP0(lods, F_KEEP),
	[0xad] = OP0(lods, F_KEEP),
	[0xae] = OP0(scas, F_KEEP),
	[0xaf] = OP0(scas, F_KEEP),
	ROW8(0xb0, OP(mov, F_WR, A_Zb, A_Ib, A_NONE)),
	ROW8(0xb8, OP(mov, F_WR, A_Zv, A_Iv, A_NONE)),
	[0xc0] = BY(REG, group2_c0),
	[0xc1] = BY(REG, group2_c1),
	[0xc2] = OP(ret, F_RAW | F_NEAR, A_Iw, A_NONE, A_NONE),
	[0xc3] = OP0(ret, F_NEAR),
	[0xc4] = RM(load_far, F_RAW | F_NO64, A_Gv, A_Mp, A_NONE),
	[0xc5] = RM(load_far, F_RAW | F_NO64, A_Gv, A_Mp, A_NONE),
	[0xc6] = BY(REG, group11_c6),
	[0xc7] = BY(REG, group11_c7),
	[0xc8] = OP(enter, F_RAW | F_D64 | F_IMM8_2, A_Iw, A_NONE, A_NONE),
	[0xc9] = OP0(leave, F_D64),
	[0xca] = OP(ret_far, F_RAW, A_Iw, A_NONE, A_NONE),
	[0xcb] = OP0(ret_far, 0),
	[0xcc] = ID0(INT3, int, 0),
	[0xcd] = OPID(INT, int, F_RAW, A_Ib, A_NONE, A_NONE),
	[0xce] = ID0(INTO, int, F_NO64),
	[0xcf] = ID0(IRET, iret, 0),
	[0xd0] = BY(REG, group2_d0),
	[0xd1] = BY(REG, group2_d1),
	[0xd2] = BY(REG, group2_d2),
	[0xd3] = BY(REG, group2_d3),
	[0xd4] = LEN(F_NO64 | F_IMM8), /* AAM */
	[0xd5] = LEN(F_NO64 | F_IMM8), /* AAD */
	[0xd6] = LEN(F_NO64), /* SALC */
	[0xd7] = OP0(xlat, 0),
	ROW8(0xd8, LEN(F_MODRM)), /* x87 */
	[0xe0] = OP(loop, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE),
	[0xe1] = OP(loop, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE),
	[0xe2] = OP(loop, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE),
	[0xe3] = OP(jcxz, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE),
	[0xe4] = OPID(IN, in, F_WR, A_AL, A_Ib, A_NONE),
	[0xe5] = OPID(IN, in, F_WR, A_eAX, A_Ib, A_NONE),
	[0xe6] = OPID(OUT, out, F_RD, A_AL, A_Ib, A_NONE),
	[0xe7] = OPID(OUT, out, F_RD, A_eAX, A_Ib, A_NONE),
	[0xe8] = OP(call, F_RAW | F_NEAR, A_Jz, A_NONE, A_NONE),
	[0xe9] = OP(jmp, F_RAW | F_NEAR, A_Jz, A_NONE, A_NONE),
	[0xea] = OP(jmp_far, F_RAW | F_NO64, A_Ap, A_NONE, A_NONE),
	[0xeb] = OP(jmp, F_RAW | F_NEAR, A_Jb, A_NONE, A_NONE),
	[0xec] = OPID(IN, in, F_WR, A_AL, A_DX, A_NONE),
	[0xed] = OPID(IN, in, F_WR, A_eAX, A_DX, A_NONE),
	[0xee] = OPID(OUT, out, F_RD, A_AL, A_DX, A_NONE),
	[0xef] = OPID(OUT, out, F_RD, A_eAX, A_DX, A_NONE),
	[0xf1] = LENID(ICEBP, 0),
	[0xf4] = ID0(HLT, hlt, F_PRIV),
	[0xf5] = OP0(flag, 0),
	[0xf6] = BY(REG, group3_f6),
	[0xf7] = BY(REG, group3_f7),
	[0xf8] = OP0(flag, 0),
	[0xf9] = OP0(flag, 0),
	[0xfa] = ID0(CLI, cli, 0),
	[0xfb] = ID0(STI, sti, 0),
	[0xfc] = OP0(flag, 0),
	[0xfd] = OP0(flag, 0),
	[0xfe] = BY(REG, group4),
	[0xff] = BY(REG, group5),
};
