// SPDX-License-Identifier: GPL-2.0-only
/* The IOAPIC: edge and level, masking, remote IRR and EOI, destinations. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define VECTOR		0x66
#define PIN		10
#define LEVEL		(1 << 15)
#define REMOTE_IRR	(1 << 14)
#define MASKED		(1 << 16)
#define LOGICAL		(1 << 11)

static volatile int taken[2];
static volatile bool eoi = true, lower_line, ready, stop;

static void line(int level)
{
	host_call(HOST_IRQ_LINE, PIN, level, 0, 0, 0);
}

static void handler(struct frame *frame)
{
	(void)frame;
	taken[cpu_id()]++;
	if (lower_line)
		line(0);
	if (eoi)
		lapic_eoi();
}

static uint32_t ioapic_read(int reg)
{
	*(volatile uint32_t *)0xfec00000 = reg;
	return *(volatile uint32_t *)0xfec00010;
}

static void ioapic_write(int reg, uint32_t value)
{
	*(volatile uint32_t *)0xfec00000 = reg;
	*(volatile uint32_t *)0xfec00010 = value;
}

static void entry(uint32_t low, uint32_t dest)
{
	ioapic_write(0x11 + 2 * PIN, dest << 24);
	ioapic_write(0x10 + 2 * PIN, low);
}

static uint32_t entry_low(void)
{
	return ioapic_read(0x10 + 2 * PIN);
}

static void window(void)
{
	sti_nop();
	cli();
}

static void edge(void)
{
	entry(VECTOR, 0);
	line(1);
	window();
	check_eq(1, taken[0], "edge");
	line(1);
	window();
	check_eq(1, taken[0], "no edge without going down");
	line(0);
	window();
	check_eq(1, taken[0], "a falling edge is none");
	/* An edge that meets a mask is lost. */
	entry(VECTOR | MASKED, 0);
	line(1);
	line(0);
	entry(VECTOR, 0);
	window();
	check_eq(1, taken[0], "edge while masked");
}

static void level(void)
{
	taken[0] = 0;
	lower_line = true;
	entry(VECTOR | LEVEL, 0);
	line(1);
	window();
	check_eq(1, taken[0], "level, lowered by the handler");
	check_eq(0, entry_low() & REMOTE_IRR, "remote IRR after EOI");

	/* Kept up: again after each EOI. */
	taken[0] = 0;
	lower_line = false;
	eoi = false;
	line(1);
	window();
	check_eq(1, taken[0], "level without EOI");
	check_eq(REMOTE_IRR, entry_low() & REMOTE_IRR, "remote IRR before EOI");
	check_eq(1, lapic_read(APIC_TMR + VECTOR / 32 * 16) >> (VECTOR % 32) & 1, "TMR");
	window();
	check_eq(1, taken[0], "still in service");
	lapic_eoi();
	window();
	check_eq(2, taken[0], "again after EOI, the line being up");
	line(0);
	lapic_eoi();
	window();
	check_eq(2, taken[0], "and not once it is down");
	check_eq(0, entry_low() & REMOTE_IRR, "remote IRR at the end");
	/* What comes and goes before the EOI is not delivered: remote IRR holds the pin. */
	taken[0] = 0;
	line(1);
	window();
	line(0);
	line(1);
	line(0);
	lapic_eoi();
	window();
	check_eq(1, taken[0], "raised and lowered before EOI");
	eoi = true;
	/* Up while masked: delivered when unmasked, as long as it is up. */
	taken[0] = 0;
	lower_line = true;
	entry(VECTOR | LEVEL | MASKED, 0);
	line(1);
	window();
	check_eq(0, taken[0], "level while masked");
	entry(VECTOR | LEVEL, 0);
	window();
	check_eq(1, taken[0], "level after unmasking");
	lower_line = false;
}

static void other(void *arg)
{
	(void)arg;
	lapic_write(APIC_LDR, 2 << 24);
	ready = true;
	sti();
	while (!stop)
		cpu_relax();
}

static void destinations(void)
{
	smp_start(1, other, NULL);
	wait_for(ready, 1000);
	lapic_write(APIC_LDR, 1 << 24);
	taken[0] = 0;
	taken[1] = 0;
	entry(VECTOR, 1);
	line(1);
	line(0);
	check(wait_for(taken[1] == 1, 1000), "physical destination");
	entry(VECTOR | LOGICAL, 2);
	line(1);
	line(0);
	check(wait_for(taken[1] == 2, 1000), "logical destination");
	entry(VECTOR | LOGICAL, 3);
	line(1);
	line(0);
	check(wait_for(taken[1] == 3, 1000), "both: the other");
	window();
	check_eq(1, taken[0], "both: oneself");
	stop = true;
	smp_wait(1);
}

int main(void)
{
	set_handler(VECTOR, handler);
	/* The PICs see the same lines. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	check_eq(0x17, ioapic_read(1) >> 16 & 0xff, "24 pins");
	check_eq(MASKED, entry_low() & MASKED, "masked at reset");
	ioapic_write(0, 5 << 24);
	check_eq(5, ioapic_read(0) >> 24 & 15, "id");
	entry(0xffffffff & ~0x5000, 0xab);
	check_eq(0xab, ioapic_read(0x11 + 2 * PIN) >> 24, "destination reads back");
	check_eq(0, entry_low() & (REMOTE_IRR | 1 << 12), "read-only bits");
	edge();
	level();
	destinations();
	return 0;
}
