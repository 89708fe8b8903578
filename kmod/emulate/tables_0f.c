// SPDX-License-Identifier: GPL-2.0-only
/* The 0F and 0F38 opcodes, their groups, and the VEX instructions that are executed. */
#include "tables.h"

/* clang-format off */

static const struct ost_opcode group6[8] = {
	{ .exec = ost_exec_sldt, .flags = F_MODRM | F_PROT | F_WR, .arg = { A_Ewv },
	  .id = OST_INSN_SLDT },
	{ .exec = ost_exec_str, .flags = F_MODRM | F_PROT | F_WR, .arg = { A_Ewv },
	  .id = OST_INSN_STR },
	{ .exec = ost_exec_lldt, .flags = F_MODRM | F_PROT | F_PRIV | F_RD, .arg = { A_Ew },
	  .id = OST_INSN_LLDT },
	{ .exec = ost_exec_ltr, .flags = F_MODRM | F_PROT | F_PRIV | F_RD, .arg = { A_Ew },
	  .id = OST_INSN_LTR },
	LEN(F_MODRM), /* VERR */
	LEN(F_MODRM), /* VERW */
};

/* 0F 01 with a register: instructions without operands, by ModRM.rm (and mandatory prefix). */
static const struct ost_opcode grp7_c0[8] = {
	[0] = LEN(0), /* ENCLV */
	[1] = ID0(VMCALL, hypercall, 0),
	[2] = LEN(0), /* VMLAUNCH */
	[3] = LEN(0), /* VMRESUME */
	[4] = LEN(0), /* VMXOFF */
	[5] = LEN(0), /* PCONFIG */
	[6] = LEN(0), /* WRMSRNS and the MSR lists */
};
static const struct ost_opcode grp7_c8[8] = {
	[0] = LENID(MONITOR, 0),
	[1] = LENID(MWAIT, 0),
	[2] = LEN(0), /* CLAC */
	[3] = LEN(0), /* STAC */
	[4] = LEN(0), /* TDCALL */
	[5] = LEN(0), /* SEAMRET */
	[6] = LEN(0), /* SEAMOPS */
	[7] = LEN(0), /* ENCLS */
};
static const struct ost_opcode grp7_d0[8] = {
	[0] = ID0(XGETBV, xgetbv, 0),
	[1] = ID0(XSETBV, xsetbv, 0),
	[4] = LEN(0), /* VMFUNC */
	[5] = LEN(0), /* XEND */
	[6] = LEN(0), /* XTEST */
	[7] = LEN(0), /* ENCLU */
};
static const struct ost_opcode grp7_d8[8] = {
	LENID(VMRUN, 0), ID0(VMMCALL, hypercall, 0), LENID(VMLOAD, 0), LENID(VMSAVE, 0),
	LENID(STGI, 0),	 LENID(CLGI, 0),	     LENID(SKINIT, 0), LENID(INVLPGA, 0),
};
static const struct ost_opcode grp7_e8[8] = {
	[0] = LEN(0), /* SERIALIZE, SETSSBSY, XSUSLDTRK */
	[1] = LEN(0), /* XRESLDTRK */
	[2] = LEN(0), /* SAVEPREVSSP */
	[4] = LEN(0), /* UIRET */
	[5] = LEN(0), /* TESTUI */
	[6] = LEN(0), /* RDPKRU, CLUI */
	[7] = LEN(0), /* WRPKRU, STUI */
};
static const struct ost_opcode monitorx_pp[4] = {
	LENID(MONITORX, 0), LENID(MONITORX, 0), LENID(MCOMMIT, 0), LENID(MONITORX, 0),
};
static const struct ost_opcode invlpgb_pp[4] = {
	LENID(INVLPGB, 0), LENID(INVLPGB, 0), LEN(0), LEN(0), /* RMPADJUST, PVALIDATE, … */
};
static const struct ost_opcode tlbsync_pp[4] = {
	LENID(TLBSYNC, 0), LENID(TLBSYNC, 0), LEN(0), LEN(0), /* PSMASH, RMPUPDATE */
};
static const struct ost_opcode grp7_f8[8] = {
	[0] = LEN(0), /* SWAPGS */
	[1] = ID0(RDTSCP, rdtscp, 0),
	[2] = BY(PP, monitorx_pp),
	[3] = LENID(MWAITX, 0),
	[4] = LEN(0), /* CLZERO */
	[5] = LENID(RDPRU, 0),
	[6] = BY(PP, invlpgb_pp),
	[7] = BY(PP, tlbsync_pp),
};

static const struct ost_opcode sgdt_mod[2] = {
	OPID(SGDT, sgdt, F_MODRM | F_RAW | F_F64, A_M, A_NONE, A_NONE), BY(RM, grp7_c0)
};
static const struct ost_opcode sidt_mod[2] = {
	OPID(SIDT, sgdt, F_MODRM | F_RAW | F_F64, A_M, A_NONE, A_NONE), BY(RM, grp7_c8)
};
static const struct ost_opcode lgdt_mod[2] = {
	OPID(LGDT, lgdt, F_MODRM | F_RAW | F_F64 | F_PRIV, A_M, A_NONE, A_NONE), BY(RM, grp7_d0)
};
static const struct ost_opcode lidt_mod[2] = {
	OPID(LIDT, lgdt, F_MODRM | F_RAW | F_F64 | F_PRIV, A_M, A_NONE, A_NONE), BY(RM, grp7_d8)
};
static const struct ost_opcode rstorssp_mod[2] = { LEN(F_MODRM), BY(RM, grp7_e8) };
static const struct ost_opcode invlpg_mod[2] = {
	OPID(INVLPG, invlpg, F_MODRM | F_RAW | F_PRIV, A_M, A_NONE, A_NONE), BY(RM, grp7_f8)
};

static const struct ost_opcode group7[8] = {
	BY(MOD, sgdt_mod),
	BY(MOD, sidt_mod),
	BY(MOD, lgdt_mod),
	BY(MOD, lidt_mod),
	OPID(SMSW, smsw, F_MODRM | F_WR, A_Ewv, A_NONE, A_NONE),
	BY(MOD, rstorssp_mod),
	OPID(LMSW, lmsw, F_MODRM | F_PRIV | F_RD, A_Ew, A_NONE, A_NONE),
	BY(MOD, invlpg_mod),
};

static const struct ost_opcode wbinvd_pp[4] = {
	ID0(WBINVD, wbinvd, F_PRIV), ID0(WBINVD, wbinvd, F_PRIV), ID0(WBNOINVD, wbinvd, F_PRIV),
	ID0(WBINVD, wbinvd, F_PRIV),
};

static const struct ost_opcode group8[8] = {
	[4] = RM(bt, F_RD, A_Ev, A_Ib, A_NONE),
	[5] = RM(bts, F_RMW | F_LOCK, A_Ev, A_Ib, A_NONE),
	[6] = RM(btr, F_RMW | F_LOCK, A_Ev, A_Ib, A_NONE),
	[7] = RM(btc, F_RMW | F_LOCK, A_Ev, A_Ib, A_NONE),
};

static const struct ost_opcode group9[8] = {
	[1] = RM(cmpxchg16b, F_RAW | F_LOCK, A_M, A_NONE, A_NONE),
	[3] = LEN(F_MODRM), /* XRSTORS */
	[4] = LEN(F_MODRM), /* XSAVEC */
	[5] = LEN(F_MODRM), /* XSAVES */
	[6] = LEN(F_MODRM), /* RDRAND, VMPTRLD, VMCLEAR, VMXON */
	[7] = LEN(F_MODRM), /* RDSEED, RDPID, VMPTRST */
};

static const struct ost_opcode group15[8] = {
	LEN(F_MODRM), LEN(F_MODRM), LEN(F_MODRM), LEN(F_MODRM),
	LEN(F_MODRM), LEN(F_MODRM), LEN(F_MODRM), LEN(F_MODRM),
};

/* SSE4a's, with two immediates (APM vol. 4). */
static const struct ost_opcode extrq_pp[4] = {
	LEN(F_MODRM),
	LEN(F_MODRM | F_IMM8 | F_IMM8_2),
	LEN(F_MODRM),
	LEN(F_MODRM | F_IMM8 | F_IMM8_2),
};

static const struct ost_opcode movnti_pp[4] = { RM(mov, F_WR, A_My, A_Gy, A_NONE) };
static const struct ost_opcode popcnt_pp[4] = { [2] = RM(popcnt, F_WR, A_Gv, A_Ev, A_NONE) };
static const struct ost_opcode bsf_pp[4] = {
	RM(bsf, F_RMW, A_Gv, A_Ev, A_NONE),
	RM(bsf, F_RMW, A_Gv, A_Ev, A_NONE),
	RM(tzcnt, F_RMW, A_Gv, A_Ev, A_NONE),
	RM(bsf, F_RMW, A_Gv, A_Ev, A_NONE),
};
static const struct ost_opcode bsr_pp[4] = {
	RM(bsr, F_RMW, A_Gv, A_Ev, A_NONE),
	RM(bsr, F_RMW, A_Gv, A_Ev, A_NONE),
	RM(lzcnt, F_RMW, A_Gv, A_Ev, A_NONE),
	RM(bsr, F_RMW, A_Gv, A_Ev, A_NONE),
};

/*
 * Moves of vector registers: one row for each prefix, memory and register forms apart where they
 * differ.
 */
#define VEC_LOAD(fn, w) RM(fn, F_RAW, A_Vx, w, A_NONE)
#define VEC_STORE(fn, w) RM(fn, F_RAW, w, A_Vx, A_NONE)

/* MOVSS and MOVSD between registers merge; only their memory forms are executed. */
static const struct ost_opcode movss_load_mod[2] = { VEC_LOAD(vec_load, A_Wd), LEN(F_MODRM) };
static const struct ost_opcode movsd_load_mod[2] = { VEC_LOAD(vec_load, A_Wq), LEN(F_MODRM) };
static const struct ost_opcode movss_store_mod[2] = { VEC_STORE(vec_store, A_Wd), LEN(F_MODRM) };
static const struct ost_opcode movsd_store_mod[2] = { VEC_STORE(vec_store, A_Wq), LEN(F_MODRM) };
static const struct ost_opcode movups_load_pp[4] = {
	VEC_LOAD(vec_load, A_Wx), VEC_LOAD(vec_load, A_Wx), BY(MOD, movss_load_mod),
	BY(MOD, movsd_load_mod),
};
static const struct ost_opcode movups_store_pp[4] = {
	VEC_STORE(vec_store, A_Wx), VEC_STORE(vec_store, A_Wx), BY(MOD, movss_store_mod),
	BY(MOD, movsd_store_mod),
};
static const struct ost_opcode movaps_load_pp[4] = {
	VEC_LOAD(vec_load_aligned, A_Wx), VEC_LOAD(vec_load_aligned, A_Wx),
};
static const struct ost_opcode movaps_store_pp[4] = {
	VEC_STORE(vec_store_aligned, A_Wx), VEC_STORE(vec_store_aligned, A_Wx),
};
static const struct ost_opcode movntps_pp[4] = {
	VEC_STORE(vec_store_aligned, A_Mx), VEC_STORE(vec_store_aligned, A_Mx),
	LEN(F_MODRM), LEN(F_MODRM), /* MOVNTSS, MOVNTSD */
};
/* MOVLPS, MOVHPS: half a register and memory; between registers they are other instructions. */
static const struct ost_opcode half_load_mod[2] = { VEC_LOAD(vec_half_load, A_Mq), LEN(F_MODRM) };
static const struct ost_opcode half_load_pp[4] = {
	BY(MOD, half_load_mod), BY(MOD, half_load_mod), LEN(F_MODRM), LEN(F_MODRM),
};
static const struct ost_opcode half_store_pp[4] = {
	VEC_STORE(vec_half_store, A_Mq), VEC_STORE(vec_half_store, A_Mq),
};
/* Without a prefix they move MMX registers. */
static const struct ost_opcode movd_load_pp[4] = {
	RM(mmx_load, F_RAW, A_Vx, A_Ey, A_NONE), RM(movd_to_vec, F_RAW, A_Vx, A_Ey, A_NONE),
};
static const struct ost_opcode movd_store_pp[4] = {
	RM(mmx_store, F_RAW, A_Ey, A_Vx, A_NONE), RM(movd_from_vec, F_RAW, A_Ey, A_Vx, A_NONE),
	VEC_LOAD(vec_load, A_Wq),
};
static const struct ost_opcode movdqa_load_pp[4] = {
	VEC_LOAD(mmx_load, A_Wq), VEC_LOAD(vec_load_aligned, A_Wx), VEC_LOAD(vec_load, A_Wx),
};
static const struct ost_opcode movdqa_store_pp[4] = {
	VEC_STORE(mmx_store, A_Wq), VEC_STORE(vec_store_aligned, A_Wx), VEC_STORE(vec_store, A_Wx),
};
static const struct ost_opcode movq_store_pp[4] = {
	[1] = VEC_STORE(vec_store, A_Wq), [2] = LEN(F_MODRM), [3] = LEN(F_MODRM),
};
static const struct ost_opcode movntdq_pp[4] = {
	VEC_STORE(mmx_store, A_Mq), VEC_STORE(vec_store_aligned, A_Mx),
};
static const struct ost_opcode lddqu_pp[4] = { [3] = VEC_LOAD(vec_load, A_Mx) };
static const struct ost_opcode movntdqa_pp[4] = { [1] = VEC_LOAD(vec_load_aligned, A_Mx) };

#define ROW8(base, ...)                                                                            \
	[(base) + 0] = __VA_ARGS__, [(base) + 1] = __VA_ARGS__, [(base) + 2] = __VA_ARGS__,        \
	[(base) + 3] = __VA_ARGS__, [(base) + 4] = __VA_ARGS__, [(base) + 5] = __VA_ARGS__,        \
	[(base) + 6] = __VA_ARGS__, [(base) + 7] = __VA_ARGS__
#define ROW16(base, ...) ROW8(base, __VA_ARGS__), ROW8((base) + 8, __VA_ARGS__)
#define MODRM4(base)                                                                               \
	[(base) + 0] = LEN(F_MODRM), [(base) + 1] = LEN(F_MODRM), [(base) + 2] = LEN(F_MODRM),     \
	[(base) + 3] = LEN(F_MODRM)
#define MODRM7(base)                                                                               \
	MODRM4(base), [(base) + 4] = LEN(F_MODRM), [(base) + 5] = LEN(F_MODRM),                    \
	[(base) + 6] = LEN(F_MODRM)

#define HINT RM(nop, F_RAW, A_NONE, A_NONE, A_NONE)

const struct ost_opcode ost_opcodes_0f[256] = {
	[0x00] = BY(REG, group6),
	[0x01] = BY(REG, group7),
	[0x02] = LEN(F_MODRM), /* LAR */
	[0x03] = LEN(F_MODRM), /* LSL */
	[0x05] = LENID(SYSCALL, 0),
	[0x06] = ID0(CLTS, clts, F_PRIV),
	[0x07] = LEN(0), /* SYSRET */
	[0x08] = ID0(INVD, wbinvd, F_PRIV),
	[0x09] = BY(PP, wbinvd_pp),
	[0x0b] = OP0(nop, F_UD),
	[0x0d] = HINT, /* PREFETCHW */
	[0x0e] = LEN(0), /* FEMMS */
	[0x0f] = LEN(F_MODRM | F_IMM8), /* 3DNow! */
	[0x10] = BY(PP, movups_load_pp),
	[0x11] = BY(PP, movups_store_pp),
	[0x12] = BY(PP, half_load_pp),
	[0x13] = BY(PP, half_store_pp),
	[0x14] = LEN(F_MODRM),
	[0x15] = LEN(F_MODRM),
	[0x16] = BY(PP, half_load_pp),
	[0x17] = BY(PP, half_store_pp),
	[0x18] = HINT, /* PREFETCH and other hints address memory without an access */
	[0x19] = HINT,
	[0x1a] = LEN(F_MODRM), /* MPX */
	[0x1b] = LEN(F_MODRM),
	[0x1c] = HINT,
	[0x1d] = HINT,
	[0x1e] = LEN(F_MODRM), /* CET */
	[0x1f] = HINT,
	[0x20] = OPID(MOV_FROM_CR, mov_from_cr,
		      F_MODRM | F_REGONLY | F_F64 | F_WR | F_LOCK, A_Rn, A_Cn, A_NONE),
	[0x21] = OPID(MOV_FROM_DR, mov_from_dr, F_MODRM | F_REGONLY | F_F64 | F_WR, A_Rn,
		      A_Dn, A_NONE),
	[0x22] = OPID(MOV_TO_CR, mov_to_cr, F_MODRM | F_REGONLY | F_F64 | F_LOCK, A_Cn,
		      A_Rn, A_NONE),
	[0x23] = OPID(MOV_TO_DR, mov_to_dr, F_MODRM | F_REGONLY | F_F64, A_Dn, A_Rn,
		      A_NONE),
	[0x28] = BY(PP, movaps_load_pp),
	[0x29] = BY(PP, movaps_store_pp),
	[0x2a] = LEN(F_MODRM),
	[0x2b] = BY(PP, movntps_pp),
	MODRM4(0x2c),
	[0x30] = ID0(WRMSR, wrmsr, F_PRIV),
	[0x31] = ID0(RDTSC, rdtsc, 0),
	[0x32] = ID0(RDMSR, rdmsr, F_PRIV),
	[0x33] = ID0(RDPMC, rdpmc, 0),
	[0x34] = LEN(0), /* SYSENTER */
	[0x35] = LEN(0), /* SYSEXIT */
	[0x37] = LEN(0), /* GETSEC */
	ROW16(0x40, RM(cmov, F_RMW, A_Gv, A_Ev, A_NONE)),
	ROW16(0x50, LEN(F_MODRM)),
	ROW8(0x60, LEN(F_MODRM)),
	MODRM4(0x68),
	[0x6c] = LEN(F_MODRM),
	[0x6d] = LEN(F_MODRM),
	[0x6e] = BY(PP, movd_load_pp),
	[0x6f] = BY(PP, movdqa_load_pp),
	[0x70] = LEN(F_MODRM | F_IMM8),
	[0x71] = LEN(F_MODRM | F_IMM8),
	[0x72] = LEN(F_MODRM | F_IMM8),
	[0x73] = LEN(F_MODRM | F_IMM8),
	[0x74] = LEN(F_MODRM),
	[0x75] = LEN(F_MODRM),
	[0x76] = LEN(F_MODRM),
	[0x77] = LEN(0), /* EMMS */
	[0x78] = BY(PP, extrq_pp),
	MODRM4(0x79),
	[0x7d] = LEN(F_MODRM),
	[0x7e] = BY(PP, movd_store_pp),
	[0x7f] = BY(PP, movdqa_store_pp),
	ROW16(0x80, OP(jcc, F_RAW | F_NEAR, A_Jz, A_NONE, A_NONE)),
	ROW16(0x90, RM(setcc, F_WR, A_Eb, A_NONE, A_NONE)),
	[0xa0] = OP0(push_seg, F_D64),
	[0xa1] = OP0(pop_seg, F_D64),
	[0xa2] = ID0(CPUID, cpuid, 0),
	[0xa3] = RM(bt, F_RAW, A_Ev, A_Gv, A_NONE),
	[0xa4] = RM(shld, F_RMW, A_Ev, A_Gv, A_Ib),
	[0xa5] = RM(shld, F_RMW, A_Ev, A_Gv, A_CL),
	[0xa6] = LEN(F_MODRM), /* PadLock */
	[0xa7] = LEN(F_MODRM),
	[0xa8] = OP0(push_seg, F_D64),
	[0xa9] = OP0(pop_seg, F_D64),
	[0xaa] = ID0(RSM, rsm, 0),
	[0xab] = RM(bts, F_RAW | F_LOCK, A_Ev, A_Gv, A_NONE),
	[0xac] = RM(shrd, F_RMW, A_Ev, A_Gv, A_Ib),
	[0xad] = RM(shrd, F_RMW, A_Ev, A_Gv, A_CL),
	[0xae] = BY(REG, group15),
	[0xaf] = RM(imul2, F_RMW, A_Gv, A_Ev, A_NONE),
	[0xb0] = RM(cmpxchg, F_RMW | F_LOCK, A_Eb, A_Gb, A_NONE),
	[0xb1] = RM(cmpxchg, F_RMW | F_LOCK, A_Ev, A_Gv, A_NONE),
	[0xb2] = RM(load_far, F_RAW, A_Gv, A_Mp, A_NONE),
	[0xb3] = RM(btr, F_RAW | F_LOCK, A_Ev, A_Gv, A_NONE),
	[0xb4] = RM(load_far, F_RAW, A_Gv, A_Mp, A_NONE),
	[0xb5] = RM(load_far, F_RAW, A_Gv, A_Mp, A_NONE),
	[0xb6] = RM(mov, F_WR, A_Gv, A_Eb, A_NONE),
	[0xb7] = RM(mov, F_WR, A_Gv, A_Ew, A_NONE),
	[0xb8] = BY(PP, popcnt_pp),
	[0xb9] = RM(nop, F_RAW | F_UD, A_NONE, A_NONE, A_NONE),
	[0xba] = BY(REG, group8),
	[0xbb] = RM(btc, F_RAW | F_LOCK, A_Ev, A_Gv, A_NONE),
	[0xbc] = BY(PP, bsf_pp),
	[0xbd] = BY(PP, bsr_pp),
	[0xbe] = RM(movsx, F_WR, A_Gv, A_Eb, A_NONE),
	[0xbf] = RM(movsx, F_WR, A_Gv, A_Ew, A_NONE),
	[0xc0] = RM(xadd, F_RMW | F_LOCK, A_Eb, A_Gb, A_NONE),
	[0xc1] = RM(xadd, F_RMW | F_LOCK, A_Ev, A_Gv, A_NONE),
	[0xc2] = LEN(F_MODRM | F_IMM8),
	[0xc3] = BY(PP, movnti_pp),
	[0xc4] = LEN(F_MODRM | F_IMM8),
	[0xc5] = LEN(F_MODRM | F_IMM8),
	[0xc6] = LEN(F_MODRM | F_IMM8),
	[0xc7] = BY(REG, group9),
	ROW8(0xc8, OP(bswap, F_RMW, A_Zv, A_NONE, A_NONE)),
	MODRM4(0xd0),
	[0xd4] = LEN(F_MODRM),
	[0xd5] = LEN(F_MODRM),
	[0xd6] = BY(PP, movq_store_pp),
	[0xd7] = LEN(F_MODRM),
	ROW8(0xd8, LEN(F_MODRM)),
	MODRM7(0xe0),
	[0xe7] = BY(PP, movntdq_pp),
	ROW8(0xe8, LEN(F_MODRM)),
	[0xf0] = BY(PP, lddqu_pp),
	MODRM7(0xf1),
	MODRM7(0xf8),
	[0xff] = RM(nop, F_RAW | F_UD, A_NONE, A_NONE, A_NONE),
};

static const struct ost_opcode invpcid_pp[4] = { [1] = LENID(INVPCID, F_MODRM) };
static const struct ost_opcode movbe_load_pp[4] = {
	RM(movbe, F_WR, A_Gv, A_Mv, A_NONE), RM(movbe, F_WR, A_Gv, A_Mv, A_NONE),
	[3] = RM(crc32, F_RMW, A_Gy, A_Eb, A_NONE),
};
static const struct ost_opcode movbe_store_pp[4] = {
	RM(movbe, F_WR, A_Mv, A_Gv, A_NONE), RM(movbe, F_WR, A_Mv, A_Gv, A_NONE),
	[3] = RM(crc32, F_RMW, A_Gy, A_Ev, A_NONE),
};
static const struct ost_opcode movdiri_pp[4] = { RM(mov, F_WR, A_My, A_Gy, A_NONE) };

/* All of this map have ModRM and no immediate: what is not here is measured so (decode.c). */
const struct ost_opcode ost_opcodes_0f38[256] = {
	[0x2a] = BY(PP, movntdqa_pp),
	[0x82] = BY(PP, invpcid_pp),
	[0xf0] = BY(PP, movbe_load_pp),
	[0xf1] = BY(PP, movbe_store_pp),
	[0xf9] = BY(PP, movdiri_pp),
};

/* VEX: what is executed; the rest is measured by the rules in decode.c. */
const struct ost_opcode ost_opcodes_vex_0f[256] = {
	[0x10] = BY(PP, movups_load_pp),
	[0x11] = BY(PP, movups_store_pp),
	[0x28] = BY(PP, movaps_load_pp),
	[0x29] = BY(PP, movaps_store_pp),
	[0x2b] = BY(PP, movntps_pp),
	[0x6e] = BY(PP, movd_load_pp),
	[0x6f] = BY(PP, movdqa_load_pp),
	[0x7e] = BY(PP, movd_store_pp),
	[0x7f] = BY(PP, movdqa_store_pp),
	[0xd6] = BY(PP, movq_store_pp),
	[0xe7] = BY(PP, movntdq_pp),
	[0xf0] = BY(PP, lddqu_pp),
};

static const struct ost_opcode andn_pp[4] = { RM(andn, F_WR, A_Gy, A_Ey, A_NONE) };

const struct ost_opcode ost_opcodes_vex_0f38[256] = {
	[0x2a] = BY(PP, movntdqa_pp),
	[0xf2] = BY(PP, andn_pp),
};
