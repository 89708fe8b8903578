// SPDX-License-Identifier: GPL-2.0-only
/* Debug registers and single stepping, also over what the hypervisor has to execute. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

static volatile int hits;
static volatile uint64_t at[16], dr6[16];

#define DEFINE_DR(nr)								\
static uint64_t read_dr##nr(void)						\
{										\
	uint64_t value;								\
										\
	asm volatile("mov %%dr" #nr ", %0" : "=r"(value) : : "memory");		\
	return value;								\
}										\
static void write_dr##nr(uint64_t value)					\
{										\
	asm volatile("mov %0, %%dr" #nr : : "r"(value) : "memory");		\
}
DEFINE_DR(0)
DEFINE_DR(3)
DEFINE_DR(6)
DEFINE_DR(7)

static void handler(struct frame *frame)
{
	if (hits < 16) {
		at[hits] = frame->rip;
		dr6[hits] = read_dr6();
	}
	hits++;
	write_dr6(0xffff0ff0);
	/* A fault on the instruction itself must not come again at once. */
	frame->rflags |= RFLAGS_RF;
}

extern char t0[], t1[], t2[], t3[], s0[], s1[], s2[], s3[], s4[], s5[], b0[], w0[];

static void single_step(void)
{
	hits = 0;
	asm volatile("pushfq\norq $0x100, (%%rsp)\npopfq\n.globl s0\ns0: nop\n"
		     ".globl s1\ns1: xor %%eax, %%eax\n.globl s2\ns2: nop\n"
		     "pushfq\nandq $~0x100, (%%rsp)\npopfq" : : : "eax", "memory");
	check(hits >= 3, "%d steps", hits);
	check_eq((uintptr_t)s1, at[0], "first step");
	check_eq((uintptr_t)s2, at[1], "second step");
	check_eq(1 << 14, dr6[0] & 0x400f, "DR6.BS");
}

/* The trap behind STI comes in its shadow. */
static void step_over_sti(void)
{
	hits = 0;
	asm volatile("pushfq\norq $0x100, (%%rsp)\npopfq\n"
		     "sti\n.globl t0\nt0: nop\n.globl t1\nt1: nop\n"
		     "pushfq\nandq $~0x100, (%%rsp)\npopfq\ncli" : : : "memory");
	check_eq((uintptr_t)t0, at[0], "step over STI");
	check_eq((uintptr_t)t1, at[1], "step behind STI");
}

/* MOV SS; CPUID with TF. */
static void step_over_mov_ss_cpuid(void)
{
	hits = 0;
	asm volatile("mov %%ss, %%esi\npushfq\norq $0x100, (%%rsp)\npopfq\n"
		     "mov %%esi, %%ss\ncpuid\n.globl t2\nt2: nop\n.globl t3\nt3: nop\n"
		     "pushfq\nandq $~0x100, (%%rsp)\npopfq" : : : "rax", "rbx", "rcx", "rdx", "rsi", "memory");
	check_eq((uintptr_t)t2, at[0], "step over MOV SS; CPUID");
	check_eq((uintptr_t)t3, at[1], "step behind it");
}

/* General detect on a MOV DR in the shadow of MOV SS, with and without TF. */
static void general_detect_in_shadow(void)
{
	hits = 0;
	write_dr7(0x2400);
	asm volatile("mov %%ss, %%esi\nmov %%esi, %%ss\nmov %%dr0, %%rax" : : : "rax", "rsi", "memory");
	check_eq(1, hits, "general detect in shadow");
	write_dr7(0x2400);
	hits = 0;
	asm volatile("mov %%ss, %%esi\npushfq\norq $0x100, (%%rsp)\npopfq\n"
		     "mov %%esi, %%ss\nmov %%dr0, %%rax\nnop\n"
		     "pushfq\nandq $~0x100, (%%rsp)\npopfq" : : : "rax", "rsi", "memory");
	check(hits >= 2, "%d hits with TF", hits);
	write_dr7(0x400);
}

/* CPUID, OUT and MMIO leave the guest: the trap comes after each of them all the same. */
static void step_over_exits(void)
{
	hits = 0;
	asm volatile("mov $1, %%eax\nmov %1, %%edx\nmov %0, %%rdi\n"
		     "pushfq\norq $0x100, (%%rsp)\npopfq\n"
		     "cpuid\n.globl s3\ns3: mov %1, %%edx\noutb %%al, %%dx\n"
		     ".globl s4\ns4: movl %%eax, (%%rdi)\n.globl s5\ns5:\n"
		     "pushfq\nandq $~0x100, (%%rsp)\npopfq"
		     : : "i"(MMIO_GPA), "i"(PORT_LATCH)
		     : "rax", "rbx", "rcx", "rdx", "rdi", "memory");
	check_eq((uintptr_t)s3, at[0], "step over CPUID");
	check_eq((uintptr_t)s4, at[2], "step over OUT");
	/* Stock KVM forgets the trap after a write to a device in userspace. */
	if (!boot_info()->reference) {
		check_eq((uintptr_t)s5, at[3], "step over MMIO");
		check_eq(7, hits, "steps: each instruction once");
	}
}

static void breakpoints(void)
{
	static volatile uint64_t variable;

	hits = 0;
	/* Execution: a fault, before the instruction. */
	write_dr0((uintptr_t)b0);
	write_dr7(0x402);
	asm volatile(".globl b0\nb0: nop");
	check_eq(1, hits, "execution breakpoint");
	check_eq((uintptr_t)b0, at[0], "where");
	check_eq(1, dr6[0] & 0xf, "DR6.B0");

	/* A write: a trap, after it. Reads do not count. */
	hits = 0;
	write_dr3((uintptr_t)&variable);
	write_dr7(0x480 | 0x9ULL << 28);
	(void)variable;
	check_eq(0, hits, "a read hit a write watchpoint");
	asm volatile("movq $1, %0\n.globl w0\nw0: nop" : "=m"(variable));
	check_eq(1, hits, "write watchpoint");
	check_eq((uintptr_t)w0, at[0], "where");
	check_eq(8, dr6[0] & 0xf, "DR6.B3");
	/* Exits in between must not lose the registers. */
	hits = 0;
	cpuid(0, 0);
	outb(PORT_LATCH, 1);
	host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
	asm volatile("movq $2, %0" : "=m"(variable));
	check_eq(1, hits, "write watchpoint after exits and migration");
	check_eq((uintptr_t)&variable, read_dr3(), "DR3 reads back");
	check_eq((uintptr_t)b0, read_dr0(), "DR0 reads back");
	write_dr7(0x400);
	hits = 0;
	asm volatile("movq $3, %0" : "=m"(variable));
	check_eq(0, hits, "disabled");
}

static void registers(void)
{
	write_dr6(0);
	check_eq(0xffff0ff0, read_dr6(), "DR6's fixed bits");
	write_dr6(0xffff0ff0);
	check_eq(0x400, read_dr7(), "DR7's fixed bit");
	check_eq(GP, TRY("mov %[v], %%dr7", [v] "r"(1ULL << 40)), "upper half of DR7");
	/* DR4 and DR5 are DR6 and DR7 until CR4.DE. */
	check_eq(NONE, TRY("mov %%db4, %%rax"), "DR4 without CR4.DE");
	write_cr4(read_cr4() | CR4_DE);
	check_eq(UD, TRY("mov %%db4, %%rax"), "DR4 with CR4.DE");
	write_cr4(read_cr4() & ~CR4_DE);
	/* General detect: any access to a debug register traps, and clears the bit. */
	write_dr7(0x2400);
	hits = 0;
	asm volatile("mov %%dr0, %%rax" : : : "rax");
	check_eq(1, hits, "general detect");
	check_eq(1 << 13, dr6[0] & 1 << 13, "DR6.BD");
	write_dr7(0x400);
}

int main(void)
{
	set_handler(DB, handler);
	single_step();
	step_over_exits();
	step_over_mov_ss_cpuid();
	general_detect_in_shadow();
	step_over_sti();
	breakpoints();
	registers();
	return 0;
}
