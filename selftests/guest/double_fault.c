// SPDX-License-Identifier: GPL-2.0-only
/* Faults while a fault is delivered: #DF with error code 0 (APM vol. 2, 8.2.9). */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, reserved;
};

static struct gate *idt(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer;

	asm volatile("sidt %0" : "=m"(pointer));
	return (struct gate *)pointer.base;
}

uint64_t saved_rsp;
extern char after_fault[];
static int double_faults;
static uint64_t fault_cr2;

static void handler(struct frame *frame)
{
	double_faults++;
	fault_cr2 = read_cr2();
	frame->rsp = saved_rsp;
	frame->rip = (uintptr_t)after_fault;
}

int main(void)
{
	struct gate *gates = idt(), saved;

	set_gate_ist(DF, 1);
	/*
	 * A contributory fault while a contributory one is delivered. Not #GP: stock KVM intercepts
	 * it for an erratum, and TCG does not say what was being delivered then.
	 */
	saved = gates[NP];
	gates[NP].type &= 0x7f;
	check_eq(DF, TRY("mov %[sel], %%eax\nmov %%eax, %%ds", [sel] "i"(SEL_ABSENT)),
		 "#NP on #NP");
	check_eq(0, fault.error, "its error code");
	gates[NP] = saved;
	/* A contributory fault while a page fault is delivered. */
	saved = gates[PF];
	gates[PF].type &= 0x7f;
	check_eq(DF, TRY("mov 0x6000000000, %%rax"), "#NP on #PF");
	check_eq(0x6000000000, fault.cr2, "CR2 is the first fault's");
	gates[PF] = saved;
	/* A benign exception first: the second is taken as it is. */
	saved = gates[UD];
	gates[UD].type &= 0x7f;
	check_eq(NP, TRY("ud2"), "#NP on #UD");
	check_eq(UD << 3 | 2, fault.error & ~1, "its error code names the gate");
	gates[UD] = saved;
	/* A page fault while one is delivered: the stack is not there. */
	set_handler(DF, handler);
	asm volatile("mov %%rsp, saved_rsp(%%rip)\nmov $0x7000000000, %%rsp\n"
		     "mov 0x6000000000, %%rax\n.globl after_fault\nafter_fault:"
		     : : : "rax", "memory");
	check_eq(1, double_faults, "#PF on #PF");
	check_eq(0x7000000000 - 8, fault_cr2, "CR2 is the second fault's");
	return 0;
}
