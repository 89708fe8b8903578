// SPDX-License-Identifier: GPL-2.0-only
/* Priorities: what the task priority and the vector in service hold back (APM vol. 2, 16.6.4). */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

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

int main(void)
{
	static const uint8_t vectors[] = { 0x33, 0x41, 0x44, 0x5f, 0x61, 0xe1 };

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
	return 0;
}
