/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The notation of the opcode tables: operand names are those of the manuals' opcode maps (SDM vol.
 * 2D, A.2).
 */
#ifndef OST_EMULATE_TABLES_H
#define OST_EMULATE_TABLES_H

#include "internal.h"

/* clang-format off */

#define A_NONE 0
#define A_Eb   OST_ARG(OST_AT_RM, OST_SZ_B)
#define A_Ew   OST_ARG(OST_AT_RM, OST_SZ_W)
#define A_Ev   OST_ARG(OST_AT_RM, OST_SZ_V)
#define A_Ez   OST_ARG(OST_AT_RM, OST_SZ_Z)
#define A_Ey   OST_ARG(OST_AT_RM, OST_SZ_Y)
#define A_Ewv  OST_ARG(OST_AT_RM, OST_SZ_WV)
#define A_Gb   OST_ARG(OST_AT_REG, OST_SZ_B)
#define A_Gv   OST_ARG(OST_AT_REG, OST_SZ_V)
#define A_Gy   OST_ARG(OST_AT_REG, OST_SZ_Y)
#define A_Ib   OST_ARG(OST_AT_IMM, OST_SZ_B)
#define A_Ibs  OST_ARG(OST_AT_SIMM, OST_SZ_B)
#define A_Iw   OST_ARG(OST_AT_IMM, OST_SZ_W)
#define A_Iz   OST_ARG(OST_AT_IMM, OST_SZ_Z)
#define A_Iv   OST_ARG(OST_AT_IMM, OST_SZ_V)
#define A_Jb   OST_ARG(OST_AT_REL, OST_SZ_B)
#define A_Jz   OST_ARG(OST_AT_REL, OST_SZ_Z)
#define A_Ob   OST_ARG(OST_AT_MOFFS, OST_SZ_B)
#define A_Ov   OST_ARG(OST_AT_MOFFS, OST_SZ_V)
#define A_AL   OST_ARG(OST_AT_ACC, OST_SZ_B)
#define A_rAX  OST_ARG(OST_AT_ACC, OST_SZ_V)
#define A_eAX  OST_ARG(OST_AT_ACC, OST_SZ_Z)
#define A_CL   OST_ARG(OST_AT_CL, OST_SZ_B)
#define A_DX   OST_ARG(OST_AT_DX, OST_SZ_W)
#define A_1    OST_ARG(OST_AT_ONE, OST_SZ_B)
#define A_Zb   OST_ARG(OST_AT_OPREG, OST_SZ_B)
#define A_Zv   OST_ARG(OST_AT_OPREG, OST_SZ_V)
#define A_Sw   OST_ARG(OST_AT_SEG, OST_SZ_W)
#define A_Cn   OST_ARG(OST_AT_CR, OST_SZ_N)
#define A_Dn   OST_ARG(OST_AT_DR, OST_SZ_N)
#define A_Rn   OST_ARG(OST_AT_RMREG, OST_SZ_N)
#define A_M    OST_ARG(OST_AT_MEM, OST_SZ_0)
#define A_Mp   OST_ARG(OST_AT_MEM, OST_SZ_P)
#define A_My   OST_ARG(OST_AT_MEM, OST_SZ_Y)
#define A_Mv   OST_ARG(OST_AT_MEM, OST_SZ_V)
#define A_Mq   OST_ARG(OST_AT_MEM, OST_SZ_Q)
#define A_Mx   OST_ARG(OST_AT_MEM, OST_SZ_X)
#define A_Ap   OST_ARG(OST_AT_FAR, OST_SZ_P)
#define A_Vx   OST_ARG(OST_AT_VREG, OST_SZ_X)
#define A_Wx   OST_ARG(OST_AT_VRM, OST_SZ_X)
#define A_Wd   OST_ARG(OST_AT_VRM, OST_SZ_D)
#define A_Wq   OST_ARG(OST_AT_VRM, OST_SZ_Q)

/* An instruction that is executed, without and with ModRM, and with an identity. */
#define OP(fn, fl, a, b, c)                                                                        \
	{                                                                                          \
		.exec = ost_exec_##fn, .flags = F_KNOWN | (fl), .arg = { (a), (b), (c) }           \
	}
#define RM(fn, fl, a, b, c) OP(fn, F_MODRM | (fl), a, b, c)
#define OPID(name, fn, fl, a, b, c)                                                                \
	{                                                                                          \
		.exec = ost_exec_##fn, .flags = F_KNOWN | (fl), .arg = { (a), (b), (c) },          \
		.id = OST_INSN_##name                                                              \
	}
/* One without operands of its own. */
#define OP0(fn, fl) OP(fn, F_RAW | (fl), A_NONE, A_NONE, A_NONE)
#define ID0(name, fn, fl) OPID(name, fn, F_RAW | (fl), A_NONE, A_NONE, A_NONE)
/* One that is only measured, and one that is measured and told by name. */
#define LEN(fl) { .flags = F_KNOWN | (fl) }
#define LENID(name, fl) { .flags = F_KNOWN | (fl), .id = OST_INSN_##name }
/* Further tables, by part of the encoding. */
#define BY(how, table) { .flags = F_BY_##how, .sub = (table) }

#endif
