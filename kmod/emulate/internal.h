/* SPDX-License-Identifier: GPL-2.0-only */
/* What the emulator's own files share. Nothing outside kmod/emulate/ includes this. */
#ifndef OST_EMULATE_INTERNAL_H
#define OST_EMULATE_INTERNAL_H

#include "emulate.h"

/* Exception vectors (APM vol. 2, table 8-1). */
enum {
	OST_VEC_DE = 0,
	OST_VEC_DB = 1,
	OST_VEC_BP = 3,
	OST_VEC_OF = 4,
	OST_VEC_BR = 5,
	OST_VEC_UD = 6,
	OST_VEC_NM = 7,
	OST_VEC_TS = 10,
	OST_VEC_NP = 11,
	OST_VEC_SS = 12,
	OST_VEC_GP = 13,
	OST_VEC_MF = 16,
	OST_VEC_AC = 17,
};

#define OST_FLAGS_ARITH                                                                  \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
	 X86_EFLAGS_OF)

/* The opcode maps by their number in ost_emul.map. */
enum {
	OST_MAP_1B = 1,
	OST_MAP_0F = 2,
	OST_MAP_0F38 = 3,
	OST_MAP_0F3A = 4,
};

/* How an operand is encoded: its place in the high byte, its size in the low one. */
enum {
	OST_AT_NONE,
	OST_AT_RM,    /* ModRM.rm: register or memory */
	OST_AT_MEM,   /* ModRM.rm: memory only, else #UD */
	OST_AT_REG,   /* ModRM.reg */
	OST_AT_RMREG, /* ModRM.rm: register whatever ModRM.mod says (MOV CR, DR) */
	OST_AT_OPREG, /* low three bits of the opcode */
	OST_AT_ACC,   /* AL, AX, EAX, RAX */
	OST_AT_CL,
	OST_AT_DX,
	OST_AT_ONE,
	OST_AT_IMM,
	OST_AT_SIMM, /* sign-extended 8-bit immediate */
	OST_AT_REL,
	OST_AT_MOFFS,
	OST_AT_FAR,
	OST_AT_SEG,  /* ModRM.reg */
	OST_AT_CR,   /* ModRM.reg */
	OST_AT_DR,   /* ModRM.reg */
	OST_AT_VREG, /* ModRM.reg, vector register */
	OST_AT_VRM,  /* ModRM.rm, vector register or memory */
};

enum {
	OST_SZ_0 = 0,
	OST_SZ_B = 1,
	OST_SZ_W = 2,
	OST_SZ_D = 4,
	OST_SZ_Q = 8,
	OST_SZ_V = 32, /* operand size */
	OST_SZ_Z,      /* operand size, but 4 for 8 */
	OST_SZ_Y,      /* 4, or 8 with REX.W or VEX.W */
	OST_SZ_N,      /* 8 in 64-bit mode, else 4 */
	OST_SZ_X,      /* the vector length */
	OST_SZ_P,      /* far pointer: 2 + operand size */
	OST_SZ_WV,     /* operand size in a register, 2 in memory */
};

#define OST_ARG(at, size) ((at) << 8 | (size))

struct ost_opcode {
	int (*exec)(struct ost_emul *e); /* NULL: decoded, but not executed */
	const struct ost_opcode *sub;	 /* the table that an F_BY_… flag indexes */
	u32 flags;
	u16 arg[3];
	u8 id; /* enum ost_emul_id */
};

#define F_MODRM	  BIT(0)
#define F_BY_REG  BIT(1) /* sub[ModRM.reg], 8 entries */
#define F_BY_RM	  BIT(2) /* sub[ModRM.rm], 8 entries */
#define F_BY_MOD  BIT(3) /* sub[0] for memory, sub[1] for registers */
#define F_BY_PP	  BIT(4) /* sub[none, 66, F3, F2] */
#define F_BY_ANY  (F_BY_REG | F_BY_RM | F_BY_MOD | F_BY_PP)
#define F_IMM8	  BIT(5) /* immediate bytes of instructions that are only measured */
#define F_IMMZ	  BIT(7)
#define F_IMM8_2  BIT(8)  /* a byte more, into imm2 */
#define F_LOCK	  BIT(9)  /* LOCK is allowed with a memory destination */
#define F_NO64	  BIT(10) /* #UD in 64-bit mode */
#define F_D64	  BIT(11) /* in 64-bit mode the operand size is 8, or 2 with 66 */
#define F_F64	  BIT(12) /* in 64-bit mode the operand size is 8 whatever the prefixes */
#define F_NEAR	  BIT(13) /* a near branch: as F_F64, but AMD honours 66 */
#define F_RD	  BIT(14) /* the destination is read */
#define F_WR	  BIT(15) /* the destination is written */
#define F_RMW	  (F_RD | F_WR)
#define F_RAW	  BIT(16) /* exec makes the accesses by itself */
#define F_KEEP	  BIT(17) /* exec leaves registers right on failure: none are restored */
#define F_PRIV	  BIT(18) /* #GP(0) unless CPL is 0 */
#define F_PROT	  BIT(19) /* #UD in real and virtual-8086 mode */
#define F_UD	  BIT(20) /* defined to raise #UD */
#define F_REGONLY BIT(21) /* ModRM.mod is ignored */
#define F_KNOWN	  BIT(22) /* the entry is not empty, though it has nothing else */

extern const struct ost_opcode ost_opcodes_1b[256];
extern const struct ost_opcode ost_opcodes_0f[256];
extern const struct ost_opcode ost_opcodes_0f38[256];
extern const struct ost_opcode ost_opcodes_vex_0f[256];
extern const struct ost_opcode ost_opcodes_vex_0f38[256];
extern const struct ost_opcode ost_opcode_modrm;
extern const struct ost_opcode ost_opcode_modrm_imm8;
extern const struct ost_opcode ost_opcode_modrm_imm32;
extern const struct ost_opcode ost_opcode_bare;

/* Checks of state that many instructions share. */
static inline bool ost_emul_is64(const struct ost_emul *e)
{
	return e->mode == OST_EMUL_LONG64;
}

/* Protected mode in the sense of segments having descriptors: not real, not virtual-8086. */
static inline bool ost_emul_is_prot(const struct ost_emul *e)
{
	return e->mode >= OST_EMUL_PROT16;
}

static inline unsigned int ost_emul_cpl(const struct ost_emul *e)
{
	if (e->mode == OST_EMUL_REAL)
		return 0;
	return e->mode == OST_EMUL_VM86 ? 3 : e->cpl;
}

static inline unsigned int ost_emul_iopl(const struct ost_emul *e)
{
	return (e->rflags & X86_EFLAGS_IOPL) >> X86_EFLAGS_IOPL_BIT;
}

static inline int ost_emul_ud(struct ost_emul *e)
{
	return ost_emul_raise(e, OST_VEC_UD, false, 0);
}

static inline int ost_emul_gp(struct ost_emul *e, u32 error_code)
{
	return ost_emul_raise(e, OST_VEC_GP, true, error_code);
}

/* The low 'bytes' (1-8) bytes set. */
static inline u64 ost_mask(unsigned int bytes)
{
	return ~0ULL >> (64 - 8 * bytes);
}

static inline u64 ost_sign_bit(unsigned int bytes)
{
	return 1ULL << (8 * bytes - 1);
}

static inline u64 ost_sign_extend(u64 value, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (u64)((s64)(value << shift) >> shift);
}

static inline u64 ost_gpr(const struct ost_emul *e, unsigned int reg)
{
	return e->gpr[array_index_nospec(reg & 15, OST_NR_GPRS)];
}

/* Writes a register as instructions do: 4 bytes clear the upper half, 1 and 2 keep the rest. */
static inline void ost_set_gpr(struct ost_emul *e, unsigned int reg, unsigned int bytes, u64 value)
{
	u64 *gpr = &e->gpr[array_index_nospec(reg & 15, OST_NR_GPRS)];

	if (bytes == 4)
		*gpr = (u32)value;
	else
		*gpr = (*gpr & ~ost_mask(bytes)) | (value & ost_mask(bytes));
}

/* operand.c: memory through segments. All return enum ost_emul_result. */

/* The segment, from the core, once an instruction. */
const struct kvm_segment *ost_emul_segment(struct ost_emul *e, enum ost_emul_seg seg);

/* Checks seg:offset for 'len' bytes of reading or writing; faults as the CPU does. */
int ost_emul_linear(struct ost_emul *e, enum ost_emul_seg seg, u64 offset, unsigned int len,
		    bool write, u64 *linear);
/* The operand in memory has to be aligned to its length, a power of two; #GP where it is not. */
int ost_emul_want_aligned(struct ost_emul *e, unsigned int len, bool write);
bool ost_emul_canonical(const struct ost_emul *e, u64 address);

/* Reads that are replayed after an IO; 'rmw' asks for writability too. */
int ost_emul_read(struct ost_emul *e, enum ost_emul_seg seg, u64 offset, void *buf,
		  unsigned int len, bool rmw);
int ost_emul_write(struct ost_emul *e, enum ost_emul_seg seg, u64 offset, const void *buf,
		   unsigned int len);
int ost_emul_read_linear(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 access);
void ost_emul_log_reset(struct ost_emul *e);
/*
 * ops->probe for what may cross a page: OK for RAM, FAULT, UNHANDLEABLE for devices or without
 * probe.
 */
int ost_emul_probe(struct ost_emul *e, u64 linear, unsigned int len, bool write);

/* The memory operand's offset, from the registers as they are now. */
u64 ost_emul_effective_address(struct ost_emul *e);

/* Operands of the decoded instruction. */
int ost_emul_load(struct ost_emul *e, struct ost_emul_operand *op, bool rmw);
int ost_emul_store(struct ost_emul *e, struct ost_emul_operand *op, bool rmw);

/* Stack (operand.c): address size by SS.B. Pop and push change RSP in e->gpr only on success. */
unsigned int ost_emul_stack_bytes(struct ost_emul *e);
void ost_emul_set_rsp(struct ost_emul *e, u64 rsp);
int ost_emul_push(struct ost_emul *e, u64 value, unsigned int bytes);
int ost_emul_pop(struct ost_emul *e, u64 *value, unsigned int bytes);
/* Pushes consecutive values, given in memory order (the last pushed first), in one write. */
int ost_emul_push_block(struct ost_emul *e, const void *block, unsigned int len);

/* Near branch: truncates to the operand size, checks limit or canonical form, sets e->rip. */
int ost_emul_jump(struct ost_emul *e, u64 target);

/* alu.c */
bool ost_emul_condition(const struct ost_emul *e, unsigned int cc);
/* Flags as CMP of a with b. */
void ost_emul_flags_sub(struct ost_emul *e, u64 a, u64 b, unsigned int bytes);
/* ZF, SF and PF of a result, not yet in RFLAGS. */
u64 ost_emul_result_flags(u64 result, unsigned int bytes);
/* Sets the flags of 'affected' to those in 'flags', keeping the rest. */
void ost_emul_set_flags(struct ost_emul *e, u64 affected, u64 flags);

/* segment.c: loads a segment register as MOV, POP and LDS do; system registers too. */
int ost_emul_load_segment(struct ost_emul *e, enum ost_emul_seg seg, u16 selector);

#define OST_SELECTOR_RPL(selector) ((selector)&3)
#define OST_SELECTOR_TI		   4
/* What of a selector an error code holds. */
#define OST_SELECTOR_ERROR(selector) ((selector)&0xfffc)

#define OST_DESC_ACCESSED (1ULL << 40)
#define OST_DESC_TSS_BUSY (1ULL << 41)

/* A descriptor's 8 bytes in the ABI's form. */
void ost_emul_unpack(u64 desc, u16 selector, struct kvm_segment *s);
/* Where a selector's descriptor lies; #GP(selector) beyond its table. */
int ost_emul_find_descriptor(struct ost_emul *e, u16 selector, unsigned int len, u64 *linear);
/* Changes bits of a descriptor atomically, as the CPU does. RETRY if that lost a race. */
int ost_emul_update_descriptor(struct ost_emul *e, u64 linear, u64 old, u64 new);
/* The core's copy and ours. */
int ost_emul_set_segment(struct ost_emul *e, enum ost_emul_seg seg, const struct kvm_segment *s);

/* clang-format off */
/* Execution functions; the tables (tables.c, tables_0f.c) name them. */
#define OST_EXEC(name) int ost_exec_##name(struct ost_emul *e)

/* alu.c */
OST_EXEC(add);
OST_EXEC(or);
OST_EXEC(adc);
OST_EXEC(sbb);
OST_EXEC(and);
OST_EXEC(sub);
OST_EXEC(xor);
OST_EXEC(cmp);
OST_EXEC(test);
OST_EXEC(inc);
OST_EXEC(dec);
OST_EXEC(not);
OST_EXEC(neg);
OST_EXEC(xadd);
OST_EXEC(cmpxchg);
OST_EXEC(cmpxchg16b);

/* shift.c */
OST_EXEC(rol);
OST_EXEC(ror);
OST_EXEC(rcl);
OST_EXEC(rcr);
OST_EXEC(shl);
OST_EXEC(shr);
OST_EXEC(sar);
OST_EXEC(shld);
OST_EXEC(shrd);

/* bits.c */
OST_EXEC(bt);
OST_EXEC(bts);
OST_EXEC(btr);
OST_EXEC(btc);
OST_EXEC(bsf);
OST_EXEC(bsr);
OST_EXEC(tzcnt);
OST_EXEC(lzcnt);
OST_EXEC(popcnt);
OST_EXEC(crc32);
OST_EXEC(andn);
OST_EXEC(bswap);

/* muldiv.c */
OST_EXEC(mul);
OST_EXEC(imul1);
OST_EXEC(imul2);
OST_EXEC(imul3);
OST_EXEC(div);
OST_EXEC(idiv);
OST_EXEC(cbw);
OST_EXEC(cwd);

/* move.c */
OST_EXEC(mov);
OST_EXEC(movsx);
OST_EXEC(movbe);
OST_EXEC(xchg);
OST_EXEC(lea);
OST_EXEC(cmov);
OST_EXEC(setcc);
OST_EXEC(xlat);
OST_EXEC(nop);
OST_EXEC(movsxd);
OST_EXEC(lahf);
OST_EXEC(sahf);
OST_EXEC(flag);
OST_EXEC(bound);

/* control.c */
OST_EXEC(jmp);
OST_EXEC(jmp_ind);
OST_EXEC(call);
OST_EXEC(call_ind);
OST_EXEC(ret);
OST_EXEC(jcc);
OST_EXEC(loop);
OST_EXEC(jcxz);
OST_EXEC(push);
OST_EXEC(pop);
OST_EXEC(pusha);
OST_EXEC(popa);
OST_EXEC(pushf);
OST_EXEC(popf);
OST_EXEC(enter);
OST_EXEC(leave);

/* far.c */
OST_EXEC(jmp_far);
OST_EXEC(call_far);
OST_EXEC(ret_far);
OST_EXEC(int);
OST_EXEC(iret);

/* segment.c */
OST_EXEC(mov_from_seg);
OST_EXEC(mov_to_seg);
OST_EXEC(push_seg);
OST_EXEC(pop_seg);
OST_EXEC(load_far);
OST_EXEC(lldt);
OST_EXEC(ltr);
OST_EXEC(sldt);
OST_EXEC(str);

/* string.c */
OST_EXEC(movs);
OST_EXEC(stos);
OST_EXEC(lods);
OST_EXEC(cmps);
OST_EXEC(scas);
OST_EXEC(ins);
OST_EXEC(outs);

/* system.c */
OST_EXEC(in);
OST_EXEC(out);
OST_EXEC(hlt);
OST_EXEC(cli);
OST_EXEC(sti);
OST_EXEC(clts);
OST_EXEC(cpuid);
OST_EXEC(rdmsr);
OST_EXEC(wrmsr);
OST_EXEC(rdtsc);
OST_EXEC(rdtscp);
OST_EXEC(rdpmc);
OST_EXEC(wbinvd);
OST_EXEC(invlpg);
OST_EXEC(mov_from_cr);
OST_EXEC(mov_to_cr);
OST_EXEC(mov_from_dr);
OST_EXEC(mov_to_dr);
OST_EXEC(smsw);
OST_EXEC(lmsw);
OST_EXEC(sgdt);
OST_EXEC(lgdt);
OST_EXEC(xgetbv);
OST_EXEC(xsetbv);
OST_EXEC(hypercall);
OST_EXEC(rsm);

/* IN's and OUT's right to a port (system.c): OK or #GP(0). */
int ost_emul_check_io(struct ost_emul *e, u16 port, unsigned int bytes);

/* sse.c */
OST_EXEC(vec_load);
OST_EXEC(vec_load_aligned);
OST_EXEC(vec_store);
OST_EXEC(vec_store_aligned);
OST_EXEC(vec_half_load);
OST_EXEC(vec_half_store);
OST_EXEC(movd_to_vec);
OST_EXEC(movd_from_vec);
OST_EXEC(mmx_load);
OST_EXEC(mmx_store);

#undef OST_EXEC
/* clang-format on */

#endif
