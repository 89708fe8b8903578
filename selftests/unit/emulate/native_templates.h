/* SPDX-License-Identifier: GPL-2.0-only */
/* The instructions that native_test.c runs, and what is to be known of each to run it safely. */
#ifndef OST_UNIT_NATIVE_TEMPLATES_H
#define OST_UNIT_NATIVE_TEMPLATES_H

#include <linux/bits.h>
#include <linux/types.h>

/* Which flags an instruction leaves undefined. */
enum undefined {
	U_NONE,
	U_LOGIC,  /* AF */
	U_SHIFT,  /* AF; OF unless by one; CF when all is shifted out */
	U_DSHIFT, /* AF; OF unless by one */
	U_ROTATE, /* OF unless by one */
	U_BIT,	  /* all but CF and ZF */
	U_SCAN,	  /* all but ZF */
	U_COUNT,  /* all but CF and ZF */
	U_MUL,	  /* all but CF and OF */
	U_DIV,	  /* all */
	U_ANDN,	  /* AF, PF */
};

#define T_MEM	   BIT(0) /* memory operands only */
#define T_PLAIN	   BIT(1) /* no ModRM */
#define T_LOCK	   BIT(2) /* LOCK is allowed */
#define T_BITREG   BIT(3) /* ModRM.reg is a bit offset */
#define T_CMPXCHG  BIT(4) /* compares with RAX */
#define T_DIV	   BIT(5)
#define T_MOFFS	   BIT(6)
#define T_STRING   BIT(7)
#define T_POPF	   BIT(8)
#define T_FRAME	   BIT(9) /* RBP is an address */
#define T_XLAT	   BIT(10)
#define T_VEX	   BIT(11) /* also with VEX */
#define T_VEX_ONLY BIT(12)
#define T_NO66	   BIT(13)
#define T_TARGET   BIT(14) /* the operand is where to jump */
#define T_IB	   BIT(16)
#define T_IZ	   BIT(17)
#define T_IW	   BIT(18)
#define T_IV	   BIT(19)
#define T_ENTER	   BIT(20)
#define T_JB	   BIT(21)
#define T_STACK	   BIT(22) /* RSP is used, and has to be one */
#define T_ONLY64   BIT(23) /* not in 32-bit code */

struct template
{
	const char *name;
	u8 map; /* 1: none, 2: 0F, 3: 0F38 */
	u8 opcode;
	u8 pp;	/* 0, 0x66, 0xf3, 0xf2 */
	s8 reg; /* ModRM.reg, or -1 for any */
	enum undefined undefined;
	u32 flags;
	const char *cpu; /* feature that /proc/cpuinfo names, or NULL */
};

/* clang-format off */
#define ALU(name, base, fl)                                                                        \
	{ name " Eb,Gb", 1, (base) + 0, 0, -1, U_NONE, fl, NULL },                                 \
	{ name " Ev,Gv", 1, (base) + 1, 0, -1, U_NONE, fl, NULL },                                 \
	{ name " Gb,Eb", 1, (base) + 2, 0, -1, U_NONE, 0, NULL },                                  \
	{ name " Gv,Ev", 1, (base) + 3, 0, -1, U_NONE, 0, NULL },                                  \
	{ name " AL,Ib", 1, (base) + 4, 0, -1, U_NONE, T_PLAIN | T_IB, NULL },                     \
	{ name " rAX,Iz", 1, (base) + 5, 0, -1, U_NONE, T_PLAIN | T_IZ, NULL },                    \
	{ name " Eb,Ib", 1, 0x80, 0, (base) / 8, U_NONE, (fl) | T_IB, NULL },                      \
	{ name " Ev,Iz", 1, 0x81, 0, (base) / 8, U_NONE, (fl) | T_IZ, NULL },                      \
	{ name " Ev,Ibs", 1, 0x83, 0, (base) / 8, U_NONE, (fl) | T_IB, NULL }
#define LOGIC(name, base)                                                                          \
	{ name " Eb,Gb", 1, (base) + 0, 0, -1, U_LOGIC, T_LOCK, NULL },                            \
	{ name " Ev,Gv", 1, (base) + 1, 0, -1, U_LOGIC, T_LOCK, NULL },                            \
	{ name " Gb,Eb", 1, (base) + 2, 0, -1, U_LOGIC, 0, NULL },                                 \
	{ name " Gv,Ev", 1, (base) + 3, 0, -1, U_LOGIC, 0, NULL },                                 \
	{ name " Eb,Ib", 1, 0x80, 0, (base) / 8, U_LOGIC, T_LOCK | T_IB, NULL },                   \
	{ name " Ev,Iz", 1, 0x81, 0, (base) / 8, U_LOGIC, T_LOCK | T_IZ, NULL },                   \
	{ name " Ev,Ibs", 1, 0x83, 0, (base) / 8, U_LOGIC, T_LOCK | T_IB, NULL }
#define SHIFT(name, reg, undef)                                                                    \
	{ name " Eb,Ib", 1, 0xc0, 0, reg, undef, T_IB, NULL },                                     \
	{ name " Ev,Ib", 1, 0xc1, 0, reg, undef, T_IB, NULL },                                     \
	{ name " Eb,1", 1, 0xd0, 0, reg, undef, 0, NULL },                                         \
	{ name " Ev,1", 1, 0xd1, 0, reg, undef, 0, NULL },                                         \
	{ name " Eb,CL", 1, 0xd2, 0, reg, undef, 0, NULL },                                        \
	{ name " Ev,CL", 1, 0xd3, 0, reg, undef, 0, NULL }
#define BITS(name, opcode, reg, fl)                                                                \
	{ name " Ev,Gv", 2, opcode, 0, -1, U_BIT, (fl) | T_BITREG, NULL },                         \
	{ name " Ev,Ib", 2, 0xba, 0, reg, U_BIT, (fl) | T_IB, NULL }

static const struct template integer[] = {
	ALU("add", 0x00, T_LOCK),
	LOGIC("or", 0x08),
	ALU("adc", 0x10, T_LOCK),
	ALU("sbb", 0x18, T_LOCK),
	LOGIC("and", 0x20),
	ALU("sub", 0x28, T_LOCK),
	LOGIC("xor", 0x30),
	ALU("cmp", 0x38, 0),
	SHIFT("rol", 0, U_ROTATE),
	SHIFT("ror", 1, U_ROTATE),
	SHIFT("rcl", 2, U_ROTATE),
	SHIFT("rcr", 3, U_ROTATE),
	SHIFT("shl", 4, U_SHIFT),
	SHIFT("shr", 5, U_SHIFT),
	SHIFT("sal", 6, U_SHIFT),
	SHIFT("sar", 7, U_SHIFT),
	BITS("bt", 0xa3, 4, 0),
	BITS("bts", 0xab, 5, T_LOCK),
	BITS("btr", 0xb3, 6, T_LOCK),
	BITS("btc", 0xbb, 7, T_LOCK),
	{ "test Eb,Gb", 1, 0x84, 0, -1, U_LOGIC, 0, NULL },
	{ "test Ev,Gv", 1, 0x85, 0, -1, U_LOGIC, 0, NULL },
	{ "test AL,Ib", 1, 0xa8, 0, -1, U_LOGIC, T_PLAIN | T_IB, NULL },
	{ "test rAX,Iz", 1, 0xa9, 0, -1, U_LOGIC, T_PLAIN | T_IZ, NULL },
	{ "test Eb,Ib", 1, 0xf6, 0, 0, U_LOGIC, T_IB, NULL },
	{ "test Ev,Iz", 1, 0xf7, 0, 0, U_LOGIC, T_IZ, NULL },
	{ "not Eb", 1, 0xf6, 0, 2, U_NONE, T_LOCK, NULL },
	{ "not Ev", 1, 0xf7, 0, 2, U_NONE, T_LOCK, NULL },
	{ "neg Eb", 1, 0xf6, 0, 3, U_NONE, T_LOCK, NULL },
	{ "neg Ev", 1, 0xf7, 0, 3, U_NONE, T_LOCK, NULL },
	{ "mul Eb", 1, 0xf6, 0, 4, U_MUL, 0, NULL },
	{ "mul Ev", 1, 0xf7, 0, 4, U_MUL, 0, NULL },
	{ "imul Eb", 1, 0xf6, 0, 5, U_MUL, 0, NULL },
	{ "imul Ev", 1, 0xf7, 0, 5, U_MUL, 0, NULL },
	{ "div Eb", 1, 0xf6, 0, 6, U_DIV, T_DIV, NULL },
	{ "div Ev", 1, 0xf7, 0, 6, U_DIV, T_DIV, NULL },
	{ "idiv Eb", 1, 0xf6, 0, 7, U_DIV, T_DIV, NULL },
	{ "idiv Ev", 1, 0xf7, 0, 7, U_DIV, T_DIV, NULL },
	{ "imul Gv,Ev", 2, 0xaf, 0, -1, U_MUL, 0, NULL },
	{ "imul Gv,Ev,Iz", 1, 0x69, 0, -1, U_MUL, T_IZ, NULL },
	{ "imul Gv,Ev,Ibs", 1, 0x6b, 0, -1, U_MUL, T_IB, NULL },
	{ "inc Eb", 1, 0xfe, 0, 0, U_NONE, T_LOCK, NULL },
	{ "inc Ev", 1, 0xff, 0, 0, U_NONE, T_LOCK, NULL },
	{ "dec Eb", 1, 0xfe, 0, 1, U_NONE, T_LOCK, NULL },
	{ "dec Ev", 1, 0xff, 0, 1, U_NONE, T_LOCK, NULL },
	{ "shld Ev,Gv,Ib", 2, 0xa4, 0, -1, U_DSHIFT, T_IB, NULL },
	{ "shld Ev,Gv,CL", 2, 0xa5, 0, -1, U_DSHIFT, 0, NULL },
	{ "shrd Ev,Gv,Ib", 2, 0xac, 0, -1, U_DSHIFT, T_IB, NULL },
	{ "shrd Ev,Gv,CL", 2, 0xad, 0, -1, U_DSHIFT, 0, NULL },
	{ "xadd Eb,Gb", 2, 0xc0, 0, -1, U_NONE, T_LOCK, NULL },
	{ "xadd Ev,Gv", 2, 0xc1, 0, -1, U_NONE, T_LOCK, NULL },
	{ "cmpxchg Eb,Gb", 2, 0xb0, 0, -1, U_NONE, T_LOCK | T_CMPXCHG, NULL },
	{ "cmpxchg Ev,Gv", 2, 0xb1, 0, -1, U_NONE, T_LOCK | T_CMPXCHG, NULL },
	{ "cmpxchg8b/16b", 2, 0xc7, 0, 1, U_NONE, T_LOCK | T_CMPXCHG | T_MEM | T_NO66, NULL },
	{ "bsf", 2, 0xbc, 0, -1, U_SCAN, 0, NULL },
	{ "bsr", 2, 0xbd, 0, -1, U_SCAN, 0, NULL },
	{ "tzcnt", 2, 0xbc, 0xf3, -1, U_COUNT, 0, "bmi" },
	{ "lzcnt", 2, 0xbd, 0xf3, -1, U_COUNT, 0, "lzcnt" },
	{ "popcnt", 2, 0xb8, 0xf3, -1, U_NONE, 0, "popcnt" },
	{ "crc32 Gy,Eb", 3, 0xf0, 0xf2, -1, U_NONE, 0, "sse4.2" },
	{ "crc32 Gy,Ev", 3, 0xf1, 0xf2, -1, U_NONE, 0, "sse4.2" },
	{ "andn", 3, 0xf2, 0, -1, U_ANDN, T_VEX_ONLY, "bmi" },
};

static const struct template moves[] = {
	{ "mov Eb,Gb", 1, 0x88, 0, -1, U_NONE, 0, NULL },
	{ "mov Ev,Gv", 1, 0x89, 0, -1, U_NONE, 0, NULL },
	{ "mov Gb,Eb", 1, 0x8a, 0, -1, U_NONE, 0, NULL },
	{ "mov Gv,Ev", 1, 0x8b, 0, -1, U_NONE, 0, NULL },
	{ "mov Ev,ES", 1, 0x8c, 0, 0, U_NONE, 0, NULL },
	{ "mov Ev,CS", 1, 0x8c, 0, 1, U_NONE, 0, NULL },
	{ "mov Ev,SS", 1, 0x8c, 0, 2, U_NONE, 0, NULL },
	{ "mov Ev,6", 1, 0x8c, 0, 6, U_NONE, 0, NULL },
	{ "lea", 1, 0x8d, 0, -1, U_NONE, 0, NULL },
	{ "mov Eb,Ib", 1, 0xc6, 0, 0, U_NONE, T_IB, NULL },
	{ "mov Ev,Iz", 1, 0xc7, 0, 0, U_NONE, T_IZ, NULL },
	{ "mov AL,Ib", 1, 0xb0, 0, -1, U_NONE, T_PLAIN | T_IB, NULL },
	{ "mov BH,Ib", 1, 0xb7, 0, -1, U_NONE, T_PLAIN | T_IB, NULL },
	{ "mov Zv,Iv", 1, 0xba, 0, -1, U_NONE, T_PLAIN | T_IV, NULL },
	{ "mov AL,Ob", 1, 0xa0, 0, -1, U_NONE, T_PLAIN | T_MOFFS, NULL },
	{ "mov rAX,Ov", 1, 0xa1, 0, -1, U_NONE, T_PLAIN | T_MOFFS, NULL },
	{ "mov Ob,AL", 1, 0xa2, 0, -1, U_NONE, T_PLAIN | T_MOFFS, NULL },
	{ "mov Ov,rAX", 1, 0xa3, 0, -1, U_NONE, T_PLAIN | T_MOFFS, NULL },
	{ "movsxd", 1, 0x63, 0, -1, U_NONE, T_ONLY64, NULL },
	{ "movzx Gv,Eb", 2, 0xb6, 0, -1, U_NONE, 0, NULL },
	{ "movzx Gv,Ew", 2, 0xb7, 0, -1, U_NONE, 0, NULL },
	{ "movsx Gv,Eb", 2, 0xbe, 0, -1, U_NONE, 0, NULL },
	{ "movsx Gv,Ew", 2, 0xbf, 0, -1, U_NONE, 0, NULL },
	{ "movnti", 2, 0xc3, 0, -1, U_NONE, T_MEM | T_NO66, NULL },
	{ "movbe load", 3, 0xf0, 0, -1, U_NONE, T_MEM, "movbe" },
	{ "movbe store", 3, 0xf1, 0, -1, U_NONE, T_MEM, "movbe" },
	{ "xchg Eb,Gb", 1, 0x86, 0, -1, U_NONE, T_LOCK, NULL },
	{ "xchg Ev,Gv", 1, 0x87, 0, -1, U_NONE, T_LOCK, NULL },
	{ "nop/xchg", 1, 0x90, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "xchg Zv,rAX", 1, 0x93, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "bswap", 2, 0xca, 0, -1, U_NONE, T_PLAIN | T_NO66, NULL },
	{ "nop Ev", 2, 0x1f, 0, 0, U_NONE, 0, NULL },
	{ "xlat", 1, 0xd7, 0, -1, U_NONE, T_PLAIN | T_XLAT, NULL },
	{ "cbw", 1, 0x98, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "cwd", 1, 0x99, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "sahf", 1, 0x9e, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "lahf", 1, 0x9f, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "cmc", 1, 0xf5, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "clc", 1, 0xf8, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "stc", 1, 0xf9, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "cld", 1, 0xfc, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "std", 1, 0xfd, 0, -1, U_NONE, T_PLAIN, NULL },
};

/* 66 changes 64-bit branches in a way of each vendor's; no code uses it. */
static const struct template stack[] = {
	{ "push Ev", 1, 0xff, 0, 6, U_NONE, T_STACK, NULL },
	{ "push Zv", 1, 0x53, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "push rSP", 1, 0x54, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "push Iz", 1, 0x68, 0, -1, U_NONE, T_STACK | T_PLAIN | T_IZ, NULL },
	{ "push Ibs", 1, 0x6a, 0, -1, U_NONE, T_STACK | T_PLAIN | T_IB, NULL },
	{ "pop Ev", 1, 0x8f, 0, 0, U_NONE, T_STACK, NULL },
	{ "pop Zv", 1, 0x5b, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "pop rSP", 1, 0x5c, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "pushf", 1, 0x9c, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "popf", 1, 0x9d, 0, -1, U_NONE, T_STACK | T_PLAIN | T_POPF, NULL },
	{ "enter", 1, 0xc8, 0, -1, U_NONE, T_STACK | T_PLAIN | T_ENTER | T_NO66, NULL },
	{ "leave", 1, 0xc9, 0, -1, U_NONE, T_STACK | T_PLAIN | T_FRAME | T_NO66, NULL },
	{ "push FS", 2, 0xa0, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "call Ev", 1, 0xff, 0, 2, U_NONE, T_STACK | T_TARGET | T_NO66, NULL },
	{ "jmp Ev", 1, 0xff, 0, 4, U_NONE, T_STACK | T_TARGET | T_NO66, NULL },
	{ "call Jz", 1, 0xe8, 0, -1, U_NONE, T_STACK | T_PLAIN | T_NO66 | T_IZ | T_TARGET, NULL },
	{ "jmp Jz", 1, 0xe9, 0, -1, U_NONE, T_STACK | T_PLAIN | T_NO66 | T_IZ | T_TARGET, NULL },
	{ "loopne", 1, 0xe0, 0, -1, U_NONE, T_STACK | T_PLAIN | T_NO66 | T_JB, NULL },
	{ "loope", 1, 0xe1, 0, -1, U_NONE, T_STACK | T_PLAIN | T_NO66 | T_JB, NULL },
	{ "loop", 1, 0xe2, 0, -1, U_NONE, T_STACK | T_PLAIN | T_NO66 | T_JB, NULL },
	{ "jcxz", 1, 0xe3, 0, -1, U_NONE, T_STACK | T_PLAIN | T_NO66 | T_JB, NULL },
};

static const struct template strings[] = {
	{ "movsb", 1, 0xa4, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "movs", 1, 0xa5, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "cmpsb", 1, 0xa6, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "cmps", 1, 0xa7, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "stosb", 1, 0xaa, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "stos", 1, 0xab, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "lodsb", 1, 0xac, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "lods", 1, 0xad, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "scasb", 1, 0xae, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
	{ "scas", 1, 0xaf, 0, -1, U_NONE, T_PLAIN | T_STRING, NULL },
};

#define VEC(name, map, opcode, pp, fl) { name, map, opcode, pp, -1, U_NONE, (fl) | T_NO66, NULL }

static const struct template vectors[] = {
	VEC("movups load", 2, 0x10, 0, T_VEX),
	VEC("movupd load", 2, 0x10, 0x66, T_VEX),
	VEC("movss load", 2, 0x10, 0xf3, T_VEX | T_MEM),
	VEC("movsd load", 2, 0x10, 0xf2, T_VEX | T_MEM),
	VEC("movups store", 2, 0x11, 0, T_VEX),
	VEC("movupd store", 2, 0x11, 0x66, T_VEX),
	VEC("movss store", 2, 0x11, 0xf3, T_VEX | T_MEM),
	VEC("movsd store", 2, 0x11, 0xf2, T_VEX | T_MEM),
	VEC("movlps load", 2, 0x12, 0, T_MEM),
	VEC("movlpd load", 2, 0x12, 0x66, T_MEM),
	VEC("movlps store", 2, 0x13, 0, T_MEM),
	VEC("movhps load", 2, 0x16, 0, T_MEM),
	VEC("movhps store", 2, 0x17, 0, T_MEM),
	VEC("movhpd store", 2, 0x17, 0x66, T_MEM),
	VEC("movaps load", 2, 0x28, 0, T_VEX),
	VEC("movapd load", 2, 0x28, 0x66, T_VEX),
	VEC("movaps store", 2, 0x29, 0, T_VEX),
	VEC("movapd store", 2, 0x29, 0x66, T_VEX),
	VEC("movntps", 2, 0x2b, 0, T_VEX | T_MEM),
	VEC("movntpd", 2, 0x2b, 0x66, T_VEX | T_MEM),
	VEC("movd load", 2, 0x6e, 0x66, T_VEX),
	VEC("movd store", 2, 0x7e, 0x66, T_VEX),
	VEC("movq load", 2, 0x7e, 0xf3, T_VEX),
	VEC("movq store", 2, 0xd6, 0x66, T_VEX),
	VEC("movdqa load", 2, 0x6f, 0x66, T_VEX),
	VEC("movdqu load", 2, 0x6f, 0xf3, T_VEX),
	VEC("movdqa store", 2, 0x7f, 0x66, T_VEX),
	VEC("movdqu store", 2, 0x7f, 0xf3, T_VEX),
	VEC("movntdq", 2, 0xe7, 0x66, T_VEX | T_MEM),
	VEC("lddqu", 2, 0xf0, 0xf2, T_VEX | T_MEM),
	VEC("movntdqa", 3, 0x2a, 0x66, T_VEX | T_MEM),
};

/* What 64-bit mode does not have. */
static const struct template legacy[] = {
	{ "inc Zv", 1, 0x43, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "dec Zv", 1, 0x4e, 0, -1, U_NONE, T_PLAIN, NULL },
	{ "add Eb,Ib", 1, 0x82, 0, 0, U_NONE, T_IB | T_LOCK, NULL },
	{ "cmp Eb,Ib", 1, 0x82, 0, 7, U_NONE, T_IB, NULL },
	{ "bound", 1, 0x62, 0, -1, U_NONE, T_MEM, NULL },
	{ "push ES", 1, 0x06, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "push CS", 1, 0x0e, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "push SS", 1, 0x16, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "push DS", 1, 0x1e, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "pusha", 1, 0x60, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
	{ "popa", 1, 0x61, 0, -1, U_NONE, T_STACK | T_PLAIN, NULL },
};
/* clang-format on */

#endif
