// SPDX-License-Identifier: GPL-2.0-only
/* The instruction after STI and after MOV SS runs before an interrupt is taken. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define VECTOR	0x60

static volatile uint64_t taken_at;
static volatile int taken;

static void handler(struct frame *frame)
{
	taken_at = frame->rip;
	taken++;
	lapic_eoi();
}

static void send(void)
{
	lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | VECTOR);
}

extern char after_sti[], after_shadow[], after_mov_ss[], after_both[];

int main(void)
{
	uint64_t ss = SEL_DATA;

	set_handler(VECTOR, handler);
	send();
	asm volatile("sti\n.globl after_sti\nafter_sti: nop\n"
		     ".globl after_shadow\nafter_shadow: nop\ncli" : : : "memory");
	check_eq(1, taken, "taken once");
	check_eq((uintptr_t)after_shadow, taken_at, "STI: where");

	/* STI in the shadow of nothing, with CLI right behind it: never open. */
	send();
	asm volatile("sti\ncli\nnop\nnop" : : : "memory");
	check_eq(1, taken, "STI; CLI opened the window");
	/* The first STI's shadow counts, the second has none. */
	asm volatile("sti\nsti\n.globl after_both\nafter_both: nop\ncli" : : : "memory");
	check_eq(2, taken, "taken between");
	check_eq((uintptr_t)after_both, taken_at, "STI; STI: where");

	/* MOV SS: interrupts wait for the next instruction, by which the stack is whole again. */
	send();
	asm volatile("pushfq\norq $0x200, (%%rsp)\nmov %0, %%ss\npopfq\n"
		     ".globl after_mov_ss\nafter_mov_ss: nop\ncli" : : "r"(ss) : "memory");
	check_eq(3, taken, "taken after POPF");
	check_eq((uintptr_t)after_mov_ss, taken_at, "POPF: where");

	/* HLT in the shadow of STI is woken by what was pending all along. */
	send();
	sti_hlt();
	check_eq(4, taken, "HLT right after STI");
	cli();

	/* An exit in the shadow must not lose it: CPUID is intercepted, and so is OUT. */
	send();
	asm volatile("mov $1, %%eax\nsti\ncpuid\n"
		     ".globl after_cpuid\nafter_cpuid: nop\ncli" : : : "eax", "ebx", "ecx", "edx",
		     "memory");
	check_eq(5, taken, "taken after CPUID");
	{
		extern char after_cpuid[];

		check_eq((uintptr_t)after_cpuid, taken_at, "CPUID in the shadow: where");
	}
	send();
	asm volatile("xor %%eax, %%eax\nmov $0x610, %%edx\nsti\noutb %%al, %%dx\n"
		     ".globl after_out\nafter_out: nop\ncli" : : : "eax", "edx", "memory");
	{
		extern char after_out[];

		check_eq((uintptr_t)after_out, taken_at, "OUT in the shadow: where");
	}
	check_eq(6, taken, "taken after OUT");

	/* Neither must a page that the hypervisor has to map first: the instruction is still to be executed. */
	send();
	asm volatile("mov $0x1c00000, %%rdx\nsti\nmovb $1, (%%rdx)\n"
		     ".globl after_page\nafter_page: nop\ncli" : : : "rdx", "memory");
	{
		extern char after_page[];

		check_eq((uintptr_t)after_page, taken_at, "a fresh page in the shadow: where");
	}
	check_eq(7, taken, "taken after the access");
	return 0;
}
