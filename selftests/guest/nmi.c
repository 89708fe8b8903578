// SPDX-License-Identifier: GPL-2.0-only
/*
 * NMIs: delivered in spite of IF, blocked until IRET, one held while blocked (SDM vol. 3A, 6.7.1; APM
 * vol. 2, 8.2.3), also over exits of every kind.
 *
 *	make test-guest T=guest/nmi
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

static volatile int nmis, depth, deepest;
static volatile bool nest, open_inside;
static volatile bool ready, stop;

static void handler(struct frame *frame)
{
	(void)frame;
	nmis++;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (nest) {
		nest = false;
		/* Two more while blocked: one is kept, the other falls into it. */
		lapic_ipi(0, ICR_NMI | ICR_ASSERT);
		lapic_ipi(0, ICR_NMI | ICR_ASSERT);
		delay_us(1000);
		check_eq(1, nmis, "an NMI came through inside the handler");
		if (open_inside) {
			/* IRET opens, also when it only goes to the next line. */
			asm volatile("mov %%rsp, %%rax\npushq %0\npushq %%rax\npushfq\npushq %1\n"
				     "lea 1f(%%rip), %%rax\npushq %%rax\niretq\n1:"
				     : : "i"(SEL_DATA), "i"(SEL_CODE64) : "rax", "memory");
			check_eq(2, nmis, "IRET inside the handler did not open");
		}
	}
	depth--;
}

static volatile int exits_seen;

/* What leaves the guest inside the handler does not open the window, until IRET does. */
static void handler_with_exits(struct frame *frame)
{
	int before = ++nmis;

	(void)frame;
	if (before > 1)
		return;
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	cpuid(0, 0);
	outb(PORT_LATCH, 1);
	*(volatile uint32_t *)MMIO_GPA = 5;
	(void)*(volatile uint32_t *)MMIO_GPA;
	rdmsr(0x1b);
	write_cr3(read_cr3());
	host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
	delay_us(500);
	check_eq(before, nmis, "an exit let the held NMI through");
	exits_seen++;
}

/* The IRET of an exception inside the handler opens it: the CPU cannot tell the two apart. */
static void handler_with_fault(struct frame *frame)
{
	int before = ++nmis;

	(void)frame;
	if (before > 1)
		return;
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check_eq(before, nmis, "before the exception");
	check_eq(UD, TRY("ud2"), "UD2 in the handler");
	check(wait_for(nmis == before + 1, 100), "the exception's IRET did not open");
}

static void inside_the_handler(void)
{
	nmis = 0;
	set_handler(NMI, handler_with_exits);
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 2, 1000), "%d NMIs instead of 2", nmis);
	check_eq(1, exits_seen, "the handler's end");
	nmis = 0;
	set_handler(NMI, handler_with_fault);
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 2, 1000), "%d NMIs instead of 2", nmis);
}

static volatile uint64_t nested_at;
extern char iret_target[];

/*
 * An IRET whose stack the host has yet to find a page for: the NMI that is held comes behind it, not in its midst. The frame is
 * written by another address of the same page.
 */
static void handler_on_new_page(struct frame *frame)
{
	volatile uint64_t *stack = (volatile uint64_t *)(ARENA_GPA + 0x800);

	if (++nmis > 1) {
		nested_at = frame->rip;
		return;
	}
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	stack[0] = (uintptr_t)iret_target;
	stack[1] = SEL_CODE64;
	stack[2] = 2;
	stack[4] = SEL_DATA;
	asm volatile("mov %%rsp, %%rax\nmov %%rax, 24(%0)\nmov %1, %%rsp\niretq\n.globl iret_target\niret_target: nop"
		     : : "r"(stack), "r"(ARENA_GPA + 0x100800) : "rax", "memory");
	check_eq(2, nmis, "the held one behind IRET");
	check_eq((uintptr_t)iret_target, nested_at, "where");
}

static void iret_on_new_page(void)
{
	check_eq(0, host_call(HOST_SLOT, FIRST_FREE_SLOT, 0, ARENA_GPA, PAGE_SIZE, 0), "slot");
	check_eq(0, host_call(HOST_SLOT, FIRST_FREE_SLOT + 1, 0, ARENA_GPA + 0x100000, PAGE_SIZE, 0), "slot");
	nmis = 0;
	set_handler(NMI, handler_on_new_page);
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 2, 1000), "%d NMIs instead of 2", nmis);
}

static void other(void *arg)
{
	(void)arg;
	cli();
	ready = true;
	while (!stop)
		cpu_relax();
}

static volatile unsigned int nmi_cpu;

static void handler_on_other(struct frame *frame)
{
	(void)frame;
	nmi_cpu = cpu_id();
	nmis++;
}

int main(void)
{
	set_handler(NMI, handler);
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 1, 100), "no NMI with IF clear");

	nmis = 0;
	nest = true;
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 2, 100), "%d NMIs instead of 2 (one held)", nmis);
	delay_us(2000);
	check_eq(2, nmis, "the second held one should have been merged");
	check_eq(1, deepest, "nesting");

	nmis = 0;
	nest = true;
	open_inside = true;
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 2, 100), "%d NMIs", nmis);
	check_eq(2, deepest, "nesting after IRET");

	inside_the_handler();
	iret_on_new_page();
	nmis = 0;

	/* By the ioctl, into a spinning CPU and into a halted one. */
	set_handler(NMI, handler_on_other);
	nmis = 0;
	host_call(HOST_NMI, 0, 5, 0, 0, 0);
	check(wait_for(nmis == 1, 2000), "KVM_NMI while spinning");
	host_call(HOST_NMI, 0, 20, 0, 0, 0);
	asm volatile("cli\nhlt");
	check_eq(2, nmis, "KVM_NMI ends HLT");

	smp_start(1, other, NULL);
	wait_for(ready, 1000);
	lapic_ipi(1, ICR_NMI | ICR_ASSERT);
	check(wait_for(nmis == 3, 1000), "NMI by IPI to another CPU");
	check_eq(1, nmi_cpu, "on which CPU");
	stop = true;
	smp_wait(1);
	return 0;
}
