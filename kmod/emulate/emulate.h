/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction emulator: decodes any x86 instruction (its length, identity and operands) and
 * executes those that reach device memory, ports or privileged state. It touches the guest through
 * struct ost_emul_ops only, allocates nothing, takes no lock and never sleeps by itself, so the
 * same sources build in userspace.
 *
 * One instruction, as the core drives it:
 *
 *	ost_emul_begin(e, bytes, count);	bytes: those a decode assist delivered, or none
 *	fill e->gpr, rip, rflags, cr0, cr4, efer, cpl
 *	ost_emul_decode(e);			e->len and e->id are known now
 *	ost_emul_execute(e);
 *	write e->gpr, rip and rflags back	after EVERY result: they are consistent at any time
 *
 * What the results ask of the core is told at enum ost_emul_result.
 */
#ifndef OST_EMULATE_H
#define OST_EMULATE_H

#include "types.h"

#define OST_EMUL_MAX_LEN 15

/* The longest access a read or write callback sees, but for string I/O (see probe). */
#define OST_EMUL_MAX_ACCESS 64

/* String I/O moves up to this much in one go between a port and a page of RAM. */
#define OST_EMUL_PIO_BATCH 1024

/* String iterations of one ost_emul_execute() call, so that interrupts are looked at in between. */
#define OST_EMUL_REP_BATCH 256

enum ost_emul_result {
	/*
	 * Done. e->completed tells whether the instruction ended (RIP has moved, or a jump was
	 * taken) or a repeated string instruction wants to go on (RIP stands still; entering the
	 * guest or executing again both continue it). Then look at e->shadow and e->single_step.
	 */
	OST_EMUL_OK,
	/* e->exception is to be injected. Registers are as that exception shall see them. */
	OST_EMUL_FAULT,
	/*
	 * A callback answered IO: userspace has to deliver data first. Nothing of the instruction
	 * (of this iteration, in a repeated one) was done. Once the data is there call
	 * ost_emul_execute() again with the same context (the core may reload the general
	 * registers, but nothing else): accesses that had been answered are replayed from a log, so
	 * the next callback called is the one that answered IO, with the same arguments, and now
	 * delivers the data.
	 */
	OST_EMUL_IO,
	/*
	 * The guest is to be entered again without a change: a LOCKed update lost a race, or RIP is
	 * not where the instruction was decoded (registers were set during the wait for userspace).
	 */
	OST_EMUL_RETRY,
	/*
	 * Not something this emulator can do, or not in this mode; e->bytes[0..e->fetched) to
	 * report.
	 */
	OST_EMUL_UNHANDLEABLE,
};

/*
 * As CR0.PE, RFLAGS.VM, EFER.LMA and CS.L/D make it; PROT16 and PROT32 include compatibility mode.
 */
enum ost_emul_mode {
	OST_EMUL_REAL,
	OST_EMUL_VM86,
	OST_EMUL_PROT16,
	OST_EMUL_PROT32,
	OST_EMUL_LONG64,
};

/* clang-format off */
/* Indices of e->gpr, in the encoding's order. */
enum ost_emul_gpr {
	OST_RAX, OST_RCX, OST_RDX, OST_RBX, OST_RSP, OST_RBP, OST_RSI, OST_RDI,
	OST_R8, OST_R9, OST_R10, OST_R11, OST_R12, OST_R13, OST_R14, OST_R15,
	OST_NR_GPRS,
};

/* Segment registers in the encoding's order, then the two system ones. */
enum ost_emul_seg {
	OST_ES, OST_CS, OST_SS, OST_DS, OST_FS, OST_GS,
	OST_TR, OST_LDTR,
	OST_NR_SEGS,
};

/*
 * Instructions that can be intercepted, for cores that learn only that one was met, not its length.
 */
enum ost_emul_id {
	OST_INSN_OTHER,
	OST_INSN_CLGI, OST_INSN_CLI, OST_INSN_CLTS, OST_INSN_CPUID, OST_INSN_HLT,
	OST_INSN_ICEBP, OST_INSN_IN, OST_INSN_INS, OST_INSN_INT, OST_INSN_INT3,
	OST_INSN_INTO, OST_INSN_INVD, OST_INSN_INVLPG, OST_INSN_INVLPGA, OST_INSN_INVLPGB,
	OST_INSN_INVPCID, OST_INSN_IRET, OST_INSN_LGDT, OST_INSN_LIDT, OST_INSN_LLDT,
	OST_INSN_LMSW, OST_INSN_LTR, OST_INSN_MCOMMIT, OST_INSN_MONITOR, OST_INSN_MONITORX,
	OST_INSN_MOV_FROM_CR, OST_INSN_MOV_FROM_DR, OST_INSN_MOV_TO_CR, OST_INSN_MOV_TO_DR,
	OST_INSN_MWAIT, OST_INSN_MWAITX, OST_INSN_OUT, OST_INSN_OUTS, OST_INSN_PAUSE,
	OST_INSN_POPF, OST_INSN_PUSHF, OST_INSN_RDMSR, OST_INSN_RDPMC, OST_INSN_RDPRU,
	OST_INSN_RDTSC, OST_INSN_RDTSCP, OST_INSN_RSM, OST_INSN_SGDT, OST_INSN_SIDT,
	OST_INSN_SKINIT, OST_INSN_SLDT, OST_INSN_SMSW, OST_INSN_STGI, OST_INSN_STI,
	OST_INSN_STR, OST_INSN_SYSCALL, OST_INSN_TLBSYNC, OST_INSN_VMCALL, OST_INSN_VMLOAD, OST_INSN_VMMCALL,
	OST_INSN_VMRUN, OST_INSN_VMSAVE, OST_INSN_WBINVD, OST_INSN_WBNOINVD, OST_INSN_WRMSR,
	OST_INSN_XGETBV, OST_INSN_XSETBV,
};
/* clang-format on */

/* How a callback is to make an access. */
#define OST_EMUL_ACCESS_SYSTEM BIT(0) /* descriptor tables, TSS: supervisor whatever the CPL */
#define OST_EMUL_ACCESS_RMW    BIT(1) /* a read whose write follows: a page fault says "write" */
#define OST_EMUL_ACCESS_WRITE  BIT(2) /* probe only: ask for writing */

/*
 * What blocks interrupts for the next instruction (APM vol. 2, 15.21.5; SDM vol. 3C, table 25-3).
 */
enum ost_emul_shadow {
	OST_EMUL_SHADOW_NONE,
	OST_EMUL_SHADOW_STI,
	OST_EMUL_SHADOW_MOV_SS,
};

struct ost_emul_exception {
	u8 vector;
	bool has_error_code;
	u32 error_code;
	u64 address; /* CR2 of a page fault */
};

struct ost_emul;

/*
 * What the emulator asks of the core. Addresses are linear: the segment's base is added and its
 * limit, type and the canonical form are checked. An access may cross a page. Unless told otherwise
 * a callback answers OST_EMUL_OK; FAULT after ost_emul_raise() or ost_emul_raise_pf(); IO, RETRY or
 * UNHANDLEABLE. Instructions that need a callback which is NULL are UNHANDLEABLE.
 */
struct ost_emul_ops {
	/*
	 * Instruction bytes; within a page. IO makes no sense here: code in device memory is
	 * UNHANDLEABLE.
	 */
	int (*fetch)(struct ost_emul *e, u64 linear, void *buf, unsigned int len);

	/*
	 * Data. A write is its instruction's (its iteration's) last act and cannot be undone: a
	 * callback that hands it to userspace keeps a copy and answers OK. Both halves of a write
	 * that crosses pages are translated before either is written. Setting e->yield asks a
	 * repeated instruction to stop after this iteration, so that what was posted can be sent.
	 */
	int (*read)(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 access);
	int (*write)(struct ost_emul *e, u64 linear, const void *buf, unsigned int len, u32 access);

	/*
	 * A LOCKed update of 1, 2, 4, 8 or 16 bytes after a read of 'old' with ACCESS_RMW: RETRY
	 * when memory no longer holds 'old'. On device memory it is a plain write.
	 */
	int (*cmpxchg)(struct ost_emul *e, u64 linear, const void *old, const void *new,
		       unsigned int len, u32 access);

	/*
	 * Checks an access within a page without making it: OK when it would reach RAM,
	 * UNHANDLEABLE when it would reach a device, else FAULT. After an OK, string I/O reads or
	 * writes up to OST_EMUL_PIO_BATCH bytes there at once. NULL means one element at a time,
	 * and that a fault of INS's write is met after its port was read.
	 */
	int (*probe)(struct ost_emul *e, u64 linear, unsigned int len, u32 access);

	/*
	 * 'count' elements of 'size' 1, 2 or 4 bytes, all from or to the one port; buf holds them
	 * packed.
	 */
	int (*pio)(struct ost_emul *e, u16 port, unsigned int size, bool in, void *buf,
		   unsigned int count);

	void (*get_segment)(struct ost_emul *e, enum ost_emul_seg seg, struct kvm_segment *var);
	int (*set_segment)(struct ost_emul *e, enum ost_emul_seg seg,
			   const struct kvm_segment *var);
	void (*get_dt)(struct ost_emul *e, bool idt, struct kvm_dtable *dt);
	int (*set_dt)(struct ost_emul *e, bool idt, const struct kvm_dtable *dt);

	/*
	 * nr is 0, 2, 3, 4 or 8 for CRs, 0-3, 6, 7 for DRs (4 and 5 are mapped, CR4.DE, DR7.GD and
	 * CPL are checked by the emulator). The core checks the value: FAULT with #GP.
	 */
	int (*get_cr)(struct ost_emul *e, unsigned int nr, u64 *val);
	int (*set_cr)(struct ost_emul *e, unsigned int nr, u64 val);
	int (*get_dr)(struct ost_emul *e, unsigned int nr, u64 *val);
	int (*set_dr)(struct ost_emul *e, unsigned int nr, u64 val);

	/* FAULT with #GP for an MSR or value that is not. CPL 0 was checked. */
	int (*get_msr)(struct ost_emul *e, u32 msr, u64 *val);
	int (*set_msr)(struct ost_emul *e, u32 msr, u64 val);
	int (*get_xcr)(struct ost_emul *e, u32 nr, u64 *val);
	int (*set_xcr)(struct ost_emul *e, u32 nr, u64 val);

	int (*cpuid)(struct ost_emul *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
	int (*rdtsc)(struct ost_emul *e, u64 *tsc, u32 *tsc_aux);
	int (*rdpmc)(struct ost_emul *e, u32 counter, u64 *val);
	int (*halt)(struct ost_emul *e);
	int (*wbinvd)(struct ost_emul *e);
	int (*invlpg)(struct ost_emul *e, u64 linear);
	/*
	 * RSM, which is #UD outside of SMM: loads what the save area holds, e->gpr, rip, rflags and shadow included.
	 * RETRY where that is a shutdown, which the core brings about.
	 */
	int (*leave_smm)(struct ost_emul *e);
	/* VMCALL or VMMCALL (e->id); arguments and result are in e->gpr. */
	int (*hypercall)(struct ost_emul *e);

	/*
	 * XMM (len 16) or YMM (len 32) register nr, 0-15. Setting 16 bytes keeps the upper half,
	 * setting 32 zeroes what lies above. CR0, CR4 and XCR0 were checked.
	 */
	int (*get_vec)(struct ost_emul *e, unsigned int nr, void *buf, unsigned int len);
	int (*set_vec)(struct ost_emul *e, unsigned int nr, const void *buf, unsigned int len);

	/*
	 * MMX register nr, 0-7, and whether an unmasked x87 exception waits, which #MF is to tell first. Setting leaves
	 * the x87 state as MMX instructions do; so it does with NULL, which sets no register.
	 */
	int (*get_mmx)(struct ost_emul *e, unsigned int nr, u64 *val, bool *exception);
	int (*set_mmx)(struct ost_emul *e, unsigned int nr, const u64 *val);
};

enum ost_emul_operand_kind {
	OST_OPND_NONE,
	OST_OPND_REG, /* general register 'reg'; 'high' for AH, CH, DH, BH */
	OST_OPND_MEM, /* seg:offset */
	OST_OPND_IMM, /* 'value', sign-extended where the instruction says so */
	OST_OPND_SEG, /* segment register 'reg' */
	OST_OPND_CR,
	OST_OPND_DR,
	OST_OPND_VEC, /* XMM or YMM 'reg' */
	OST_OPND_FAR, /* immediate far pointer: selector in 'reg', offset in 'value' */
};

struct ost_emul_operand {
	u8 kind;  /* enum ost_emul_operand_kind */
	u8 bytes; /* size; 0 for memory that is only addressed (LEA, INVLPG) */
	bool high;
	u16 reg;
	u64 value; /* what was read, or is to be written */
	u64 old;   /* what memory held, for LOCKed updates */
};

/* The memory operand of ModRM, SIB or moffs; an instruction has at most one. */
struct ost_emul_mem {
	bool valid;
	bool rip_relative;
	u8 seg;	  /* with the override applied */
	s8 base;  /* general register, or -1 */
	s8 index; /* general register, or -1 */
	u8 scale; /* 1, 2, 4, 8 */
	s64 disp;
};

struct ost_opcode;

/* Answers to reads of an instruction that has to wait for userspace. */
#define OST_EMUL_LOG_ENTRIES 16
#define OST_EMUL_LOG_BYTES   256

struct ost_emul_log {
	u8 entries;
	u8 next; /* the entry to be replayed next */
	u16 used;
	struct {
		u64 where;
		u16 len;
	} entry[OST_EMUL_LOG_ENTRIES];
	u8 data[OST_EMUL_LOG_BYTES];
};

struct ost_emul {
	/* Set once. */
	const struct ost_emul_ops *ops;
	void *vcpu;
	bool amd;	/* AMD's rules where the vendors differ */
	bool has_tzcnt; /* of the CPU: else F3 0F BC and BD execute as BSF and BSR */
	bool has_lzcnt;

	/* The core fills these for each instruction; gpr, rip and rflags are outputs too. */
	u64 gpr[OST_NR_GPRS];
	u64 rip;
	u64 rflags;
	u64 cr0;
	u64 cr4;
	u64 efer;
	u8 cpl;
	bool one_iteration; /* a repeated instruction stops after each, as with RFLAGS.TF */

	/* Outputs. */
	struct ost_emul_exception exception;
	u8 id;	    /* enum ost_emul_id */
	u8 len;	    /* of the decoded instruction */
	u8 fetched; /* bytes of 'bytes' that are valid */
	u8 bytes[OST_EMUL_MAX_LEN + 1];
	u8 shadow;	  /* enum ost_emul_shadow, set when this instruction completed */
	bool completed;	  /* the instruction ended; not set between iterations */
	bool single_step; /* RFLAGS.TF was set: a #DB (DR6.BS) is due */
	bool yield;	  /* set by callbacks, see ops->write */

	/* The decoded instruction, for tests and tracing. */
	u8 mode; /* enum ost_emul_mode */
	u8 pos;
	u8 operand_size; /* 2, 4, 8 */
	u8 address_size; /* 2, 4, 8 */
	u8 rex;
	u8 rep;		 /* 0, 0xf2 or 0xf3: the last of them */
	s8 seg_override; /* enum ost_emul_seg or -1 */
	bool lock;
	bool operand_prefix; /* 66 */
	bool address_prefix; /* 67 */
	u8 map; /* 1: one byte, 2: 0F, 3: 0F38, 4: 0F3A; VEX and EVEX: likewise; 8-10: XOP */
	u8 vex; /* 0, 0xc5, 0xc4, 0x62 (EVEX), 0x8f (XOP) */
	u8 vvvv;
	u8 vector_bytes; /* 16, 32, 64 */
	bool vex_w;
	u8 pp; /* mandatory prefix: 0 none, 1 66, 2 F3, 3 F2 */
	u8 opcode;
	bool has_modrm;
	u8 modrm;
	u8 modrm_reg; /* with REX.R */
	u8 modrm_rm;  /* with REX.B */
	struct ost_emul_mem mem;
	struct ost_emul_operand op[3]; /* destination, source, second source */
	u64 imm2;		       /* ENTER's level, EXTRQ's second immediate */
	const struct ost_opcode *opc;

	/* Working state. */
	u64 insn_rip;	/* where the instruction was decoded */
	u64 mem_offset; /* effective address, at execution */
	bool jumped;	/* RIP is set already */
	bool sets_rf;	/* RFLAGS.RF was loaded, and is not to be cleared */
	u8 segs_cached; /* bit per enum ost_emul_seg */
	struct kvm_segment segs[OST_NR_SEGS];
	struct ost_emul_log log;
	u16 pio_count; /* elements that string input waits for, over an IO */
	u8 pio_buf[OST_EMUL_PIO_BATCH];
};

/* Prepares a context for its vCPU; the core then sets amd, has_tzcnt and has_lzcnt. */
void ost_emul_init(struct ost_emul *e, const struct ost_emul_ops *ops, void *vcpu);

/*
 * Starts on a new instruction: forgets all of the one before. 'bytes' are the first 'count' (0-15)
 * bytes at CS:RIP if the CPU delivered them; the rest is fetched as needed.
 */
void ost_emul_begin(struct ost_emul *e, const u8 *bytes, unsigned int count);

/*
 * Decodes the instruction at CS:RIP. Fetches no byte of a page that the instruction does not reach.
 * Returns OK with e->len, e->id and the decoded fields set; FAULT when fetching faults, the
 * instruction is longer than 15 bytes or its encoding is one that is always #UD; UNHANDLEABLE for
 * an encoding that is not known. OK does not mean that it can be executed.
 */
int ost_emul_decode(struct ost_emul *e);

/* Executes the decoded instruction; see enum ost_emul_result. May be called again to go on. */
int ost_emul_execute(struct ost_emul *e);

/* How a task switch came about, numbered as VT-x does (SDM vol. 3C, table 28-2). */
enum ost_task_source {
	OST_TASK_CALL,
	OST_TASK_IRET,
	OST_TASK_JMP,
	OST_TASK_GATE, /* in the IDT */
};

struct ost_emul_task {
	u16 selector;  /* of the new TSS */
	u8 source;     /* enum ost_task_source */
	bool external; /* faults have EXT: not for INT n, INT3, INTO, CALL, JMP and IRET */
	bool has_error_code;
	u32 error_code; /* of the exception that the gate is for */
	u64 return_rip; /* what the old task goes on with */

	bool debug_trap; /* output: the new TSS's T flag, a #DB (DR6.BT) is due */
};

/*
 * Switches tasks, between ost_emul_begin() and the writing back of registers, without decoding.
 * Privilege checks were made, as the CPU makes them before the exit (SDM vol. 3C, 26.4.2). OK: the
 * new task is loaded; e->cr0 and e->cpl are its own. FAULT: in the old task, where nothing has
 * changed, or in the new one. RETRY: to be tried again from the start. UNHANDLEABLE: memory that is
 * none was met, perhaps halfway.
 */
int ost_emul_task_switch(struct ost_emul *e, struct ost_emul_task *t);

/* The length found by ost_emul_decode(). */
static inline unsigned int ost_emul_insn_len(const struct ost_emul *e)
{
	return e->len;
}

/* RIP behind the decoded instruction, wrapped as the mode wraps it. */
u64 ost_emul_next_rip(const struct ost_emul *e);

/*
 * Record an exception to be injected; both return OST_EMUL_FAULT, so that callers can return them.
 * Real mode pushes no error code (APM vol. 2, 8.6), so there has_error_code stays clear.
 */
static inline int ost_emul_raise(struct ost_emul *e, u8 vector, bool has_error_code, u32 error_code)
{
	e->exception.vector = vector;
	e->exception.has_error_code = has_error_code && (e->cr0 & X86_CR0_PE);
	e->exception.error_code = error_code;
	e->exception.address = 0;
	return OST_EMUL_FAULT;
}

static inline int ost_emul_raise_pf(struct ost_emul *e, u64 address, u32 error_code)
{
	ost_emul_raise(e, 14, true, error_code);
	e->exception.address = address;
	return OST_EMUL_FAULT;
}

#endif
