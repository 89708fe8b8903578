// SPDX-License-Identifier: GPL-2.0-only
/*
 * SYSCALL of an AMD guest, from 64-bit code and from 32-bit code, which on an Intel host is the hypervisor's: where it goes,
 * what it saves, and that a single step is due by TF as it is behind it (APM vol. 3, SYSCALL).
 *
 *	make test-guest T=guest/syscall
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1, .amd = 1);

#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_CSTAR	0xc0000083
#define MSR_FMASK	0xc0000084
#define FMASK		(RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | 1UL << 14)

volatile uint64_t seen_rcx, seen_r11, seen_rflags, seen_rsp, seen_cs, seen_ss, user_rsp, kernel_rsp;
volatile unsigned int calls, steps;
static uint64_t step_at[4], step_cs[4];

void from_user(uint64_t rip, uint64_t rflags, uint64_t rsp);
extern char target64[], target32[], user32[], user32_end[], user64[], user64_end[], step32[], step32_first[],
	step32_second[], step32_third[];

/* from_user() ends where a SYSCALL has come in. The stack is the user's until then. */
asm(".text\nfrom_user:\n"
    "pushq %rbx\npushq %rbp\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp, kernel_rsp(%rip)\nmovq %rdx, user_rsp(%rip)\n"
    "movq %rdi, %rcx\nmovq %rsi, %r11\nmovq %rdx, %rsp\n"
    "cmpl $0, to_64(%rip)\njne 1f\nsysretl\n1: sysretq\n"
    ".globl target64, target32\ntarget64: target32:\n"
    "movq %rcx, seen_rcx(%rip)\nmovq %r11, seen_r11(%rip)\nmovq %rsp, seen_rsp(%rip)\n"
    "movq kernel_rsp(%rip), %rsp\npushfq\npopq seen_rflags(%rip)\n"
    "movl %cs, %eax\nmovq %rax, seen_cs(%rip)\nmovl %ss, %eax\nmovq %rax, seen_ss(%rip)\n"
    "incl calls(%rip)\n"
    /* The first of two goes back, with the flags that RBX asks for. */
    "cmpl $1, calls(%rip)\nja 1f\ncmpl $0, returns(%rip)\nje 1f\n"
    "movq seen_rcx(%rip), %rcx\nmovq seen_r11(%rip), %r11\nmovq user_rsp(%rip), %rsp\nsysretl\n"
    "1: movl $" "0x10" ", %eax\nmovl %eax, %ss\nmovl %eax, %ds\nmovl %eax, %es\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbp\npopq %rbx\nret\n"

    ".globl user64, user64_end\nuser64: syscall\nuser64_end:\n"
    ".code32\n.globl user32, user32_end, step32, step32_first, step32_second, step32_third\n"
    "user32: syscall\nuser32_end:\n"
    "step32: pushfl\norl $0x100, (%esp)\npopfl\nstep32_first: syscall\nstep32_second: nop\nstep32_third: syscall\n"
    ".code64\n");

volatile uint32_t to_64, returns;

static void on_step(struct frame *frame)
{
	if (steps < 4) {
		step_at[steps] = frame->rip;
		step_cs[steps] = frame->cs;
	}
	steps++;
	frame->rflags &= ~RFLAGS_TF;
}

static void run(const char *what, const char *start, const char *end, uint64_t rflags)
{
	static uint8_t stack[1024] __attribute__((aligned(16)));

	calls = 0;
	from_user((uintptr_t)start, rflags, (uintptr_t)stack + sizeof(stack));
	check_eq((uintptr_t)end, seen_rcx, what);
	check_eq(rflags, seen_r11, "R11");
	/* TCG loses the arithmetic ones. */
	check_eq(rflags & ~FMASK & ~0x8d5, seen_rflags & ~0x8d5, "RFLAGS");
	check_eq((uintptr_t)stack + sizeof(stack), seen_rsp, "RSP");
	check_eq(SEL_CODE64, seen_cs, "CS");
	check_eq(SEL_DATA, seen_ss, "SS");
}

static void step_over(void)
{
	static uint8_t stack[1024] __attribute__((aligned(16)));

	calls = 0;
	steps = 0;
	returns = 1;
	from_user((uintptr_t)step32, 2, (uintptr_t)stack + sizeof(stack));
	returns = 0;
	check_eq(2, calls, "SYSCALLs");
	/* None behind SYSCALL, which has cleared TF; SYSRET sets it again. */
	check_eq(1, steps, "steps");
	check(step_cs[0] == (SEL_USER_CODE32 | 3) &&
	      (step_at[0] == (uintptr_t)step32_second || step_at[0] == (uintptr_t)step32_third),
	      "a step at %lx:%lx", step_cs[0], step_at[0]);
	check_eq(RFLAGS_TF, seen_r11 & RFLAGS_TF ? 0 : RFLAGS_TF, "TF, which the step's handler has cleared");
}

static long without_sce(void)
{
	asm volatile("syscall" : : : "rcx", "r11");
	return 0;
}

int main(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	check_eq(-1 - UD, run_user(without_sce), "without EFER.SCE");
	wrmsr(MSR_EFER, efer | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)SEL_USER_CODE32 << 48 | (uint64_t)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)target64);
	wrmsr(MSR_CSTAR, (uintptr_t)target32);
	wrmsr(MSR_FMASK, FMASK);
	set_handler(DB, on_step);
	to_64 = 1;
	run("64-bit code", user64, user64_end, 0x8d7 | RFLAGS_DF);
	to_64 = 0;
	run("32-bit code", user32, user32_end, 2);
	run("32-bit code with flags", user32, user32_end, 0x8d7 | RFLAGS_DF | RFLAGS_AC);
	step_over();
	wrmsr(MSR_EFER, efer);
	return 0;
}
