// SPDX-License-Identifier: GPL-2.0-only
/*
 * Priorities: what the task priority and the vector in service hold back, which vector an EOI ends, and
 * how requests of one vector merge (APM vol. 2, 16.6.3-16.6.5; SDM vol. 3A, 10.8); in xAPIC and in
 * x2APIC mode.
 *
 *	make test-guest T=guest/tpr
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

static volatile uint8_t order[16];
static volatile int nr;

static void handler(struct frame *frame)
{
	order[nr++ & 15] = frame->vector;
	lapic_eoi();
}

static void nesting_handler(struct frame *frame)
{
	order[nr++ & 15] = frame->vector;
	check_eq(0x50, lapic_read(APIC_PPR), "processor priority in the handler");
	/* A higher class gets through, the same and lower ones wait for EOI. */
	lapic_write(APIC_ICR_LOW, ICR_SELF | ICR_ASSERT | 0x41);
	lapic_write(APIC_ICR_LOW, ICR_SELF | ICR_ASSERT | 0x5f);
	lapic_write(APIC_ICR_LOW, ICR_SELF | ICR_ASSERT | 0x61);
	sti_nop();
	check_eq(2, nr, "in the handler with interrupts on");
	check_eq(0x61, order[1], "what got through");
	cli();
	lapic_eoi();
	sti_nop();
	check_eq(4, nr, "after EOI");
	cli();
}

static void send(uint8_t vector)
{
	lapic_write(APIC_ICR_LOW, ICR_SELF | ICR_ASSERT | vector);
}

static void orders(void)
{
	static const uint8_t vectors[] = { 0x33, 0x41, 0x44, 0x5f, 0x61, 0xe1 };

	nr = 0;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		set_handler(vectors[i], handler);
	/* All at once: the highest first. */
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		send(vectors[i]);
	check_eq(0, nr, "with IF clear");
	sti_nop();
	cli();
	check_eq(ARRAY_SIZE(vectors), nr, "all of them");
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		check_eq(vectors[ARRAY_SIZE(vectors) - 1 - i], order[i], "order");

	/* By CR8, and by the register: a class is held back by its own number. */
	for (int way = 0; way < 2; way++) {
		nr = 0;
		if (way)
			lapic_write(APIC_TPR, 0x40);
		else
			write_cr8(4);
		send(0x44);
		sti_nop();
		check_eq(0, nr, "held back by its own class");
		send(0x5f);
		sti_nop();
		check_eq(1, nr, "the next class is not");
		if (way)
			lapic_write(APIC_TPR, 0x30);
		else
			write_cr8(3);
		asm volatile("nop");
		check_eq(2, nr, "let through as the priority falls");
		cli();
		write_cr8(0);
	}
	/* The very highest priority lets nothing through. */
	nr = 0;
	write_cr8(15);
	send(0xe1);
	sti_nop();
	check_eq(0, nr, "CR8 = 15");
	write_cr8(0);
	asm volatile("nop");
	check_eq(1, nr, "CR8 = 0");
	cli();

	nr = 0;
	set_handler(0x55, nesting_handler);
	send(0x55);
	sti_nop();
	cli();
	check_eq(4, nr, "nesting");
	check_eq(0x5f, order[2], "same class after EOI");
	check_eq(0x41, order[3], "lower class after EOI");
	check_eq(0, lapic_read(APIC_PPR), "processor priority at the end");
}

static bool requested(uint8_t vector)
{
	return lapic_read(APIC_IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static bool in_service(uint8_t vector)
{
	return lapic_read(APIC_ISR + vector / 32 * 16) >> vector % 32 & 1;
}

/* In the handler of each class the next higher one: an EOI ends the highest in service, no other. */
static void deep_handler(struct frame *frame)
{
	uint8_t vector = frame->vector;

	order[nr++ & 15] = vector;
	check_eq(vector & 0xf0, lapic_read(APIC_PPR), "processor priority");
	check(in_service(vector) && !requested(vector), "vector %x is not in service", vector);
	if (vector < 0x90) {
		send(vector + 0x10);
		sti_nop();
		cli();
		/* The higher one has come and gone. */
		check(in_service(vector), "%x left with the EOI of a higher one", vector);
		check(!in_service(vector + 0x10), "%x is still in service", vector + 0x10);
		check_eq(vector & 0xf0, lapic_read(APIC_PPR), "processor priority afterwards");
	}
	lapic_eoi();
}

static void nesting(void)
{
	for (uint8_t vector = 0x46; vector <= 0x96; vector += 0x10)
		set_handler(vector, deep_handler);
	nr = 0;
	send(0x46);
	sti_nop();
	cli();
	check_eq(6, nr, "handlers, one in the other");
	for (int i = 0; i < 6; i++)
		check_eq(0x46 + 0x10 * i, order[i], "order");
	check_eq(0, lapic_read(APIC_PPR), "processor priority at the end");
}

/* One in service and one requested are kept of a vector, not more. */
static void merging_handler(struct frame *frame)
{
	nr++;
	if (nr == 1) {
		send(frame->vector);
		send(frame->vector);
		send(frame->vector);
		check(in_service(frame->vector) && requested(frame->vector),
		      "in service and requested");
		sti_nop();
		cli();
		check_eq(1, nr, "its own class is held back");
	}
	lapic_eoi();
}

static void merging(void)
{
	set_handler(0x57, merging_handler);
	nr = 0;
	send(0x57);
	send(0x57);
	sti_nop();
	cli();
	check_eq(2, nr, "a vector that was sent five times");
	check(!in_service(0x57) && !requested(0x57), "nothing is left");
	/* An EOI without a vector in service does nothing. */
	lapic_eoi();
	check_eq(0, lapic_read(APIC_PPR), "processor priority after an EOI too many");
}

/* The task priority rises above the vector in service and falls again. */
static void subclass_handler(struct frame *frame)
{
	(void)frame;
	nr++;
	check_eq(0x50, lapic_read(APIC_PPR), "the vector's class");
	lapic_write(APIC_TPR, 0x70);
	check_eq(0x70, lapic_read(APIC_PPR), "the task's class");
	send(0x68);
	sti_nop();
	check(requested(0x68), "held back by the task priority");
	lapic_write(APIC_TPR, 0x60);
	asm volatile("nop");
	check(requested(0x68), "held back by its own class");
	cli();
	set_handler(0x68, handler);
	lapic_write(APIC_TPR, 0x40);
	sti_nop();
	cli();
	check(!requested(0x68), "let through");
	check_eq(2, nr, "taken");
	nr = 1;
	lapic_eoi();
}

/* The processor's priority is the higher of the two; the TPR's subclass shows when it is that. */
static void processor_priority(void)
{
	/* Stock KVM loses the lower bits, which CR8 has not got. */
	static const uint8_t priorities[] = { 0x30, 0x35, 0x4f, 0xf0 };

	for (size_t i = 0; i < ARRAY_SIZE(priorities) && !boot_info()->reference; i++) {
		lapic_write(APIC_TPR, priorities[i]);
		check_eq(priorities[i], lapic_read(APIC_PPR), "with nothing in service");
	}
	set_handler(0x58, subclass_handler);
	nr = 0;
	lapic_write(APIC_TPR, 0x40);
	send(0x58);
	sti_nop();
	cli();
	check_eq(1, nr, "in service");
	lapic_write(APIC_TPR, 0);
}

/* With lowest priority to both CPUs exactly one takes it. */
static volatile int taken[2];
static volatile bool other_ready, other_stop;

static void count_handler(struct frame *frame)
{
	(void)frame;
	__atomic_add_fetch(&taken[cpu_id()], 1, __ATOMIC_SEQ_CST);
	lapic_eoi();
}

static void other(void *arg)
{
	(void)arg;
	sti();
	other_ready = true;
	while (!other_stop)
		cpu_relax();
	cli();
}

static void lowest_priority(bool x2apic)
{
	taken[0] = 0;
	taken[1] = 0;
	other_ready = false;
	other_stop = false;
	set_handler(0x66, count_handler);
	smp_start(1, other, NULL);
	if (!wait_for(other_ready, 2000))
		check(false, "CPU 1 is not there");
	if (!x2apic) {
		lapic_write(APIC_DFR, 0xffffffff);
		lapic_write(APIC_LDR, 1 << 24);
	}
	sti();
	for (int i = 1; i <= 50; i++) {
		/* CPU 1's logical id is its number's bit where the mode gives it; without one it is none. */
		lapic_ipi(x2apic ? 3 : 1, ICR_LOWEST | ICR_LOGICAL | ICR_ASSERT | 0x66);
		check(wait_for(taken[0] + taken[1] == i, 1000), "%d and %d taken of %d", taken[0],
		      taken[1], i);
	}
	delay_us(200);
	check_eq(50, taken[0] + taken[1], "each taken once");
	cli();
	other_stop = true;
	smp_wait(1);
}

static void all(bool x2apic)
{
	orders();
	nesting();
	merging();
	processor_priority();
	lowest_priority(x2apic);
}

int main(void)
{
	all(false);
	if (cpuid(1, 0).ecx & 1 << 21) {
		lapic_enable_x2apic();
		all(true);
	}
	return 0;
}
