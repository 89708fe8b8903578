// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts from outside arrive whatever the guest does with IF, none lost and none doubled. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define VECTOR		0x61
#define ROUNDS		200

static volatile uint64_t taken;

static void handler(struct frame *frame)
{
	check(frame->rflags & RFLAGS_IF, "taken with IF clear at %lx", frame->rip);
	taken++;
	lapic_eoi();
}

static void send(void)
{
	host_call(HOST_MSI, 0xfee00000, VECTOR, 0, 0, 0);
}

static uint64_t irr(unsigned int vector)
{
	return lapic_read(APIC_IRR + vector / 32 * 16) >> (vector % 32) & 1;
}

/* By software: each way of opening. */
static void ways_to_open(void)
{
	uint64_t expected = 0;

	for (int i = 0; i < 4; i++) {
		cli();
		send();
		check_eq(expected, taken, "taken with IF clear");
		check_eq(1, irr(VECTOR), "pending in IRR");
		switch (i) {
		case 0:
			sti_nop();
			break;
		case 1:
			asm volatile("pushfq\norq $0x200, (%%rsp)\npopfq\nnop" : : : "memory");
			break;
		case 2:
			asm volatile("mov %%rsp, %%rax\npushq %0\npushq %%rax\npushfq\n"
				     "orq $0x200, (%%rsp)\npushq %1\nlea 1f(%%rip), %%rax\n"
				     "pushq %%rax\niretq\n1: nop"
				     : : "i"(SEL_DATA), "i"(SEL_CODE64) : "rax", "memory");
			break;
		case 3:
			sti_hlt();
			break;
		}
		expected++;
		check(taken == expected, "way %d of opening: %lu taken", i, taken);
		check_eq(0, irr(VECTOR), "IRR afterwards");
	}
	cli();
}

/* A CPU that toggles IF as fast as it can while they arrive from another thread. */
static void toggling(void)
{
	uint64_t before = taken;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t seen = taken;

		host_call(HOST_MSI, 0xfee00000, VECTOR, i & 1, 0, 0);
		wait_for(({ sti(); cpu_relax(); cli(); taken != seen; }), 1000);
	}
	check_eq(ROUNDS, taken - before, "while toggling");
}

/* The same with a signal storm that throws the vCPU out of the guest all the time. */
static void under_a_storm(void)
{
	uint64_t before = taken;

	host_call(HOST_STORM, 300, 0, 0, 0, 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t seen = taken;

		lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | VECTOR);
		wait_for(({ sti(); cpu_relax(); cli(); taken != seen; }), 1000);
	}
	host_call(HOST_STORM, 0, 0, 0, 0, 0);
	check_eq(ROUNDS, taken - before, "under a storm of signals");
}

/* The interrupt's frame lies in memory that is absent the first time: delivery is interrupted. */
static void absent_stack(void)
{
	uint64_t before = taken, gpa = ARENA_GPA;

	check_eq(0, host_call(HOST_SLOT, FIRST_FREE_SLOT, 0, gpa, 0x10000, 0), "slot");
	for (int i = 1; i <= 8; i++) {
		uint64_t stack = gpa + i * 0x1000 + 0x800;

		send();
		asm volatile("mov %%rsp, %%rbx\nmov %0, %%rsp\nsti\nnop\nnop\ncli\nmov %%rbx, %%rsp"
			     : : "r"(stack) : "rbx", "memory");
		host_call(HOST_DISCARD, 0, 0x10000, 0, 0, 0);
	}
	check_eq(8, taken - before, "onto a stack that has to be faulted in");
}

int main(void)
{
	set_handler(VECTOR, handler);
	ways_to_open();
	toggling();
	under_a_storm();
	absent_stack();
	return 0;
}
