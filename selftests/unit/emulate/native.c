// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code around the instruction is generated once: an entry that loads all registers, and an exit
 * that saves them. Both reach the state by absolute addresses, since no register is theirs.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "native.h"

/* The state in memory that the generated code knows. */
struct frame {
	u64 host_rsp;
	u64 landed; /* address that was reached */
	u64 gpr[16];
	u64 rflags;
	u64 flags_stack[4]; /* for PUSHF and POPF of entry and exit */
	struct {
		u32 offset;
		u16 selector;
	} compat_entry;
	u8 vec[NATIVE_VECTORS][32];
};

#define FRAME_ADDRESS 0x30000000UL
#define ENTRY	      NATIVE_CODE
#define EXIT	      (NATIVE_CODE + 0x400)
#define ENTRY32	      (NATIVE_CODE + 0x200)
#define COMPAT_START  (NATIVE_CODE + 0x300)
#define EXIT32	      (NATIVE_CODE + 0x600)
#define EXIT_LAST     (NATIVE_CODE + 0x700)
#define PADS	      (NATIVE_CODE + 0xc00)
#define PAD_BYTES     32
/* Linux's selectors, the same on all x86-64 kernels (arch/x86/include/asm/segment.h). */
#define USER32_CS     0x23
#define USER_DS	      0x2b
#define USER_CS	      0x33
#define OFFSET(field) (FRAME_ADDRESS + offsetof(struct frame, field))

static struct frame *const frame = (struct frame *)FRAME_ADDRESS;
static sigjmp_buf fault_return;
static struct native_state *fault_state;
static bool has_avx;

/* Calls the generated entry, which returns like a function, but keeps no register except RSP. */
void native_call(void *entry);
__asm__(".text\n"
	"native_call:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n"
	"	push %r14\n	push %r15\n	sub $8, %rsp\n"
	"	call *%rdi\n"
	"	add $8, %rsp\n	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n");

static u8 *emit(u8 *p, const void *bytes, unsigned int len)
{
	memcpy(p, bytes, len);
	return p + len;
}

/* An instruction whose operand is the absolute address: ModRM 04, SIB 25, disp32. */
static u8 *emit_absolute(u8 *p, const char *opcode, unsigned int len, unsigned int reg, u64 address)
{
	u32 disp = address;

	p = emit(p, opcode, len);
	*p++ = 0x04 | (reg & 7) << 3;
	*p++ = 0x25;
	return emit(p, &disp, sizeof(disp));
}

static u8 *emit_gpr(u8 *p, bool load, unsigned int reg, u64 address)
{
	char opcode[2] = {reg >= 8 ? 0x4c : 0x48, load ? 0x8b : 0x89};

	return emit_absolute(p, opcode, 2, reg, address);
}

/* VMOVUPS ymm */
static u8 *emit_vec(u8 *p, bool load, unsigned int reg)
{
	char opcode[3] = {0xc5, reg >= 8 ? 0x7c : 0xfc, load ? 0x10 : 0x11};

	return emit_absolute(p, opcode, 3, reg, OFFSET(vec) + 32 * reg);
}

/* RSP is a general register too, so flags go over a small stack of the frame's. */
static u8 *emit_flags_stack(u8 *p)
{
	u32 top = OFFSET(flags_stack) + sizeof(frame->flags_stack);

	/* mov $top, %esp */
	*p++ = 0xbc;
	return emit(p, &top, sizeof(top));
}

static u8 *emit_jump(u8 *p, u64 target)
{
	s32 distance = target - ((u64)p + 5);

	*p++ = 0xe9;
	return emit(p, &distance, sizeof(distance));
}

/* Saves the host's RSP and loads vector registers. */
static u8 *emit_enter(u8 *p)
{
	unsigned int i;

	p = emit_gpr(p, false, 4, OFFSET(host_rsp));
	for (i = 0; has_avx && i < NATIVE_VECTORS; i++)
		p = emit_vec(p, true, i);
	return p;
}

static u8 *emit_load_flags(u8 *p)
{
	p = emit_flags_stack(p);
	p = emit_absolute(p, "\xff", 1, 6, OFFSET(rflags)); /* push */
	*p++ = 0x9d;
	return p;
}

static u8 *emit_save_flags(u8 *p)
{
	p = emit_flags_stack(p);
	*p++ = 0x9c;
	p = emit_absolute(p, "\x8f", 1, 0, OFFSET(rflags)); /* pop */
	*p++ = 0xfc;
	return p;
}

/* What both modes' ends come to, in 64-bit mode. */
static void generate_last(void)
{
	u8 *p = (u8 *)EXIT_LAST;
	unsigned int i;

	for (i = 0; has_avx && i < NATIVE_VECTORS; i++)
		p = emit_vec(p, false, i);
	if (has_avx)
		p = emit(p, "\xc5\xf8\x77", 3); /* vzeroupper */
	p = emit_gpr(p, true, 4, OFFSET(host_rsp));
	*p++ = 0xc3;
}

static void generate_long64(void)
{
	u8 *p = emit_load_flags(emit_enter((u8 *)ENTRY));
	unsigned int i;

	for (i = 0; i < 16; i++)
		p = emit_gpr(p, true, i, OFFSET(gpr[i]));
	emit_jump(p, NATIVE_INSN);

	p = (u8 *)EXIT;
	for (i = 0; i < 16; i++)
		p = emit_gpr(p, false, i, OFFSET(gpr[i]));
	emit_jump(emit_save_flags(p), EXIT_LAST);
}

/*
 * A far jump leads to 32-bit code and another one back. The data segments, null in 64-bit mode, are
 * loaded there; they may stay. Everything by absolute addresses is encoded alike in both modes.
 */
static void generate_compat(void)
{
	static const u8 load_segments[] = {0xb8, USER_DS, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0};
	u8 *p = emit_enter((u8 *)ENTRY32);
	u32 last = EXIT_LAST;
	unsigned int i;

	frame->compat_entry.offset = COMPAT_START;
	frame->compat_entry.selector = USER32_CS;
	emit_absolute(p, "\xff", 1, 5, OFFSET(compat_entry));

	p = emit((u8 *)COMPAT_START, load_segments, sizeof(load_segments));
	p = emit_load_flags(p);
	for (i = 0; i < 8; i++)
		p = emit_absolute(p, "\x8b", 1, i, OFFSET(gpr[i]));
	emit_jump(p, NATIVE_INSN);

	p = (u8 *)EXIT32;
	for (i = 0; i < 8; i++)
		p = emit_absolute(p, "\x89", 1, i, OFFSET(gpr[i]));
	p = emit_save_flags(p);
	*p++ = 0xea;
	p = emit(p, &last, 4);
	emit(p, &(u16){USER_CS}, 2);
}

/* movl $address, landed; jmp exit: at an end of the instruction. */
static void generate_end(u64 address, bool compat)
{
	u8 *p = emit_absolute((u8 *)address, "\xc7", 1, 0, OFFSET(landed));

	p = emit(p, &address, 4);
	emit_jump(p, compat ? EXIT32 : EXIT);
}

u64 native_landing(unsigned int n)
{
	return PADS + n * PAD_BYTES;
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	/* In the order of the encoding */
	static const int regs[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
				     REG_RSI, REG_RDI, REG_R8,	REG_R9,	 REG_R10, REG_R11,
				     REG_R12, REG_R13, REG_R14, REG_R15};
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned int i;

	(void)info;
	if (!fault_state) {
		signal(signo, SIG_DFL);
		return;
	}
	for (i = 0; i < 16; i++)
		fault_state->gpr[i] = g[regs[i]];
	fault_state->rip = g[REG_RIP];
	fault_state->rflags = g[REG_EFL];
	fault_state->vector = g[REG_TRAPNO];
	fault_state->error_code = g[REG_ERR];
	fault_state->cr2 = g[REG_CR2];
	siglongjmp(fault_return, 1);
}

static void map(u64 address, size_t size, int prot)
{
	void *p = mmap((void *)address, size, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)address) {
		perror("mmap");
		exit(1);
	}
}

void native_init(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	struct sigaction action = {.sa_sigaction = on_signal};
	static u8 signal_stack[65536];
	stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
	unsigned int i;

	/* The instruction's stack pointer is anything. */
	sigaltstack(&stack, NULL);
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);

	has_avx = __builtin_cpu_supports("avx");
	map(NATIVE_CODE, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(NATIVE_DATA - 0x1000, NATIVE_DATA_SIZE + 0x2000, PROT_NONE);
	mprotect((void *)NATIVE_DATA, NATIVE_DATA_SIZE, PROT_READ | PROT_WRITE);
	map(FRAME_ADDRESS, (sizeof(struct frame) + 0xfff) & ~0xfffUL, PROT_READ | PROT_WRITE);
	memset((void *)NATIVE_CODE, 0xcc, 0x1000);
	generate_last();
	generate_long64();
	generate_compat();
}

bool native_has_avx(void)
{
	return has_avx;
}

void native_selectors(u16 long64[6], u16 compat[6])
{
	__asm__("mov %%es, %0" : "=rm"(long64[0]));
	__asm__("mov %%cs, %0" : "=rm"(long64[1]));
	__asm__("mov %%ss, %0" : "=rm"(long64[2]));
	__asm__("mov %%ds, %0" : "=rm"(long64[3]));
	__asm__("mov %%fs, %0" : "=rm"(long64[4]));
	__asm__("mov %%gs, %0" : "=rm"(long64[5]));
	memcpy(compat, long64, 6 * sizeof(u16));
	compat[0] = USER_DS;
	compat[1] = USER32_CS;
	compat[3] = USER_DS;
}

void native_run(const u8 *insn, unsigned int len, bool compat, const struct native_state *in,
		struct native_state *out)
{
	unsigned int i;

	emit((u8 *)NATIVE_INSN, insn, len);
	/* What follows the instruction ends it, so do the places that it may jump to. */
	generate_end(NATIVE_INSN + len, compat);
	generate_end(NATIVE_INSN + len + NATIVE_NEAR_PAD, compat);
	for (i = 0; i < 8; i++)
		generate_end(native_landing(i), compat);

	memcpy(frame->gpr, in->gpr, sizeof(frame->gpr));
	memcpy(frame->vec, in->vec, sizeof(frame->vec));
	frame->rflags = in->rflags;
	*out = *in;
	out->vector = -1;
	out->error_code = 0;
	out->cr2 = 0;

	fault_state = out;
	if (!sigsetjmp(fault_return, 0)) {
		native_call((void *)(compat ? ENTRY32 : ENTRY));
		memcpy(out->gpr, frame->gpr, sizeof(out->gpr));
		memcpy(out->vec, frame->vec, sizeof(out->vec));
		out->rflags = frame->rflags;
		out->rip = frame->landed;
	}
	fault_state = NULL;
}
