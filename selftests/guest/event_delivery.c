// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of every kind whose delivery is interrupted: the stack lies in a page that the host has to
 * make first (the event comes all the same, once, with its error code, CR2 and return address), or
 * in one that the guest has not got (a page fault, from which the instruction can be repeated; SDM
 * vol. 3A, table 6-5).
 *
 *	make test-guest T=guest/event_delivery
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define VECTOR		0x72
#define SOFT_VECTOR	0x73
#define STACKS		ARENA_GPA
#define STACKS_SIZE	0x10000UL
#define NOWHERE		0x70000000000UL	/* no page of the guest's */
#define PF_IST		2

static int nr_seen;
static struct frame seen;
static uint64_t seen_cr2;

static void handler(struct frame *frame)
{
	nr_seen++;
	seen = *frame;
	seen_cr2 = read_cr2();
	if (frame->vector == VECTOR)
		lapic_eoi();
	/* rbx and r12: where to go on, and with which stack. */
	frame->rip = frame->rbx;
	frame->rsp = frame->r12;
	frame->rflags = 2;
}

/* Runs text with rsp = stack until a handler ends it. Its first instruction's address. */
#define ON_STACK(stack, text) ({						\
	uint64_t at_;								\
	nr_seen = 0;								\
	asm volatile("lea 98f(%%rip), %%rbx\nlea 97f(%%rip), %[at]\nmov %%rsp, %%r12\n" \
		     "mov %[s], %%rsp\n97: " text "\nmov %%r12, %%rsp\n98:"	\
		     : [at] "=&r"(at_) : [s] "r"((uint64_t)(stack))		\
		     : "rax", "rbx", "rcx", "rdx", "r12", "memory", "cc");	\
	at_; })

static void expect(const char *what, int vector, uint64_t error, uint64_t rip, uint64_t rsp)
{
	check(nr_seen == 1 && (int)seen.vector == vector && seen.error == error &&
		      seen.rip == rip && seen.rsp == rsp,
	      "%s: %d events, vector %lu error %lx at %lx rsp %lx, not %d %lx %lx %lx", what,
	      nr_seen, seen.vector, seen.error, seen.rip, seen.rsp, vector, error, rip, rsp);
}

/* @stack's pages are the guest's, and the host has none behind them. */
static void all_kinds(uint64_t stack)
{
	uint64_t at;

#define FRESH	host_call(HOST_DISCARD, 0, STACKS_SIZE, 0, 0, 0)
	FRESH;
	at = ON_STACK(stack, "ud2");
	expect("#UD", UD, 0, at, stack);
	FRESH;
	at = ON_STACK(stack, "xor %%ecx, %%ecx\ndiv %%ecx");
	expect("#DE", DE, 0, at + 2, stack);
	FRESH;
	at = ON_STACK(stack, "mov $0x1003, %%eax\nmov %%eax, %%ds");
	expect("#GP", GP, 0x1000, at + 5, stack);
	FRESH;
	at = ON_STACK(stack, "mov $0x48, %%eax\nmov %%eax, %%ds");
	expect("#NP", NP, SEL_ABSENT, at + 5, stack);
	FRESH;
	at = ON_STACK(stack, "mov $0x48, %%eax\nmov %%eax, %%ss");
	expect("#SS", SS, SEL_ABSENT, at + 5, stack);
	FRESH;
	at = ON_STACK(stack, "movabs $0x70000000123, %%rax\nmovl %%eax, (%%rax)");
	expect("#PF", PF, 2, at + 10, stack);
	check_eq(0x70000000123, seen_cr2, "CR2");
	FRESH;
	at = ON_STACK(stack, "int3");
	expect("INT3", BP, 0, at + 1, stack);
	FRESH;
	at = ON_STACK(stack, ".byte 0xf1");
	expect("ICEBP", DB, 0, at + 1, stack);
	FRESH;
	at = ON_STACK(stack, "int $0x73");
	expect("INT n", SOFT_VECTOR, 0, at + 2, stack);
	/* RDMSR of nothing: the hypervisor's own #GP. */
	FRESH;
	at = ON_STACK(stack, "mov $0x11111111, %%ecx\nrdmsr");
	expect("#GP that is injected", GP, 0, at + 5, stack);
	FRESH;
	lapic_ipi(0, ICR_SELF | ICR_ASSERT | VECTOR);
	at = ON_STACK(stack, "sti\nnop\n1: jmp 1b");
	expect("interrupt", VECTOR, 0, at + 2, stack);
	FRESH;
	host_call(HOST_NMI, 0, 5, 0, 0, 0);
	at = ON_STACK(stack, "1: jmp 1b");
	expect("NMI", NMI, 0, at, stack);
}

/* Delivery meets a page fault: error code and CR2 are the push's, RIP is the instruction's. */
static void without_stack(void)
{
	uint64_t at, stack = NOWHERE + 0x1000;

	at = ON_STACK(stack, "ud2");
	expect("#PF on #UD", PF, 2, at, stack);
	check_eq(stack - 8, seen_cr2, "CR2");
	at = ON_STACK(stack, "mov $0x48, %%eax\nmov %%eax, %%ds");
	expect("#PF on #NP", PF, 2, at + 5, stack);
	at = ON_STACK(stack, "int3");
	expect("#PF on INT3", PF, 2, at, stack);
	at = ON_STACK(stack, "int $0x73");
	expect("#PF on INT n", PF, 2, at, stack);
	check_eq(stack - 8, seen_cr2, "CR2");
	at = ON_STACK(stack, "mov $0x11111111, %%ecx\nrdmsr");
	expect("#PF on an injected #GP", PF, 2, at + 5, stack);
	/* The interrupt was acknowledged: it is in service, and lost to the program. */
	lapic_ipi(0, ICR_SELF | ICR_ASSERT | VECTOR);
	at = ON_STACK(stack, "sti\nnop\n1: jmp 1b");
	expect("#PF on an interrupt", PF, 2, at + 2, stack);
	check_eq(1 << VECTOR % 32, lapic_read(APIC_ISR + VECTOR / 32 * 16), "in service");
	lapic_eoi();
	check_eq(0, lapic_read(APIC_ISR + VECTOR / 32 * 16), "after EOI");
}

int main(void)
{
	static const uint8_t vectors[] = {DE, DB, NMI, BP, UD, NP, SS, GP, PF, VECTOR, SOFT_VECTOR};

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		set_handler(vectors[i], handler);
	check_eq(0, host_call(HOST_SLOT, FIRST_FREE_SLOT, 0, STACKS, STACKS_SIZE, 0), "slot");
	for (uint64_t offset = 0; offset < 0x60; offset += 0x20)
		all_kinds(STACKS + 0x3000 - 0x400 * (offset == 0) + offset);
	set_gate_ist(PF, PF_IST);
	without_stack();
	return 0;
}
