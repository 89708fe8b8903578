// SPDX-License-Identifier: GPL-2.0-only
/* COM1, the PIC, the IOAPIC, the LAPIC and the PIT of a PC. */
#include "pc.h"

#define COM1 0x3f8
#define PATIENCE_HALTS 2000000000u

volatile uint32_t pic_ticks, lapic_ticks, ioapic_ticks, ipis;
volatile bool tsc_went_back;

static struct { uint16_t low, selector, flags, high; } idt[256];
static uint64_t last_tsc;

/* --- COM1 --- */

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

void print(const char *text)
{
	while (*text)
		put(*text++);
}

void print_decimal(uint32_t value)
{
	char digits[11];
	int i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = '0' + value % 10;
		value /= 10;
	} while (value);
	print(digits + i);
}

void print_number(const char *text, uint32_t value)
{
	print(text);
	put(' ');
	print_decimal(value);
	put('\n');
}

bool typed(void)
{
	return inb(COM1 + 5) & 1;
}

char wait_key(void)
{
	while (!typed())
		;
	return inb(COM1);
}

void finish(bool good)
{
	print(good ? "ok\n" : "failed\n");
	while (!(inb(COM1 + 5) & 0x40))
		;
	outb(EXIT_PORT, good ? EXIT_OK : EXIT_FAILED);
	for (;;)
		asm volatile("cli; hlt");
}

/* --- interrupts --- */

struct frame;

#define HANDLER __attribute__((interrupt)) static void

HANDLER on_pic(struct frame *frame)
{
	(void)frame;
	pic_ticks++;
	outb(0x20, 0x20);
}

HANDLER on_lapic_timer(struct frame *frame)
{
	uint64_t now = rdtsc();

	(void)frame;
	if (now < last_tsc)
		tsc_went_back = true;
	last_tsc = now;
	lapic_ticks++;
	*lapic(LAPIC_EOI) = 0;
}

HANDLER on_ioapic(struct frame *frame)
{
	(void)frame;
	ioapic_ticks++;
	*lapic(LAPIC_EOI) = 0;
}

HANDLER on_ipi(struct frame *frame)
{
	(void)frame;
	ipis++;
	*lapic(LAPIC_EOI) = 0;
}

HANDLER on_spurious(struct frame *frame)
{
	(void)frame;
}

HANDLER on_other(struct frame *frame)
{
	(void)frame;
	print("an exception, or an interrupt that nobody asked for\n");
	finish(false);
}

static void set_gate(uint8_t vector, void (*handler)(struct frame *frame))
{
	uint32_t address = (uint32_t)handler;

	idt[vector].low = address;
	idt[vector].selector = 8;
	idt[vector].flags = 0x8e00;
	idt[vector].high = address >> 16;
}

static void ioapic_write(uint8_t index, uint32_t value)
{
	*(volatile uint32_t *)0xfec00000 = index;
	*(volatile uint32_t *)0xfec00010 = value;
}

void interrupts_init(void)
{
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint32_t)idt };
	int i;

	for (i = 0; i < 256; i++)
		set_gate(i, on_other);
	set_gate(VECTOR_PIC, on_pic);
	set_gate(VECTOR_PIC + 7, on_spurious);
	set_gate(VECTOR_LAPIC, on_lapic_timer);
	set_gate(VECTOR_IOAPIC, on_ioapic);
	set_gate(VECTOR_IPI, on_ipi);
	set_gate(VECTOR_SPURIOUS, on_spurious);
	asm volatile("lidt %0" : : "m"(pointer));

	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_PIC);
	outb(0xa1, VECTOR_PIC + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	*lapic(0x80) = 0;
	*lapic(0xf0) = 0x100 | VECTOR_SPURIOUS;
	*lapic(0x350) = 0x10000;
	*lapic(0x360) = 0x10000;
	asm volatile("sti");
}

void pit_start(void)
{
	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
}

void pic_open(bool open)
{
	*lapic(0x350) = open ? 0x700 : 0x10000;
	outb(0x21, open ? 0xfe : 0xff);
}

void ioapic_open(bool open)
{
	ioapic_write(0x10 + 2 * 2 + 1, *lapic(0x20));
	ioapic_write(0x10 + 2 * 2, open ? VECTOR_IOAPIC : 0x10000 | VECTOR_IOAPIC);
}

void lapic_timer_start(bool start)
{
	*lapic(0x3e0) = 3;
	*lapic(0x320) = start ? 0x20000 | VECTOR_LAPIC : 0x10000 | VECTOR_LAPIC;
	*lapic(0x380) = start ? 10000000 / 16 : 0;
}

bool wait_for(volatile uint32_t *counter, uint32_t wanted)
{
	uint64_t begun = rdtsc();

	/* A minute or more, on any CPU's clock. */
	while (*counter < wanted && rdtsc() - begun < 300000000000ull)
		asm volatile("pause");
	return *counter >= wanted;
}
