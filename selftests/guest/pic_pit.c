// SPDX-License-Identifier: GPL-2.0-only
/* The two PICs and the PIT, through LINT0 as ExtINT, as firmware leaves them. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define BASE	0x20

static volatile int taken[16];

static void handler(struct frame *frame)
{
	unsigned int irq = frame->vector - BASE;

	taken[irq & 15]++;
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static void pic_init(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, BASE);
	outb(0xa1, BASE + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	check_eq(0xff, inb(0x21), "mask of the master");
	check_eq(0xff, inb(0xa1), "mask of the slave");
}

static void line(int irq, int level)
{
	host_call(HOST_IRQ_LINE, irq, level, 0, 0, 0);
}

static void lines(void)
{
	outb(0x21, 0xff & ~(1 << 4 | 1 << 2));
	outb(0xa1, 0xff & ~(1 << 3));
	line(4, 1);
	sti_nop();
	cli();
	check_eq(1, taken[4], "line 4");
	sti_nop();
	cli();
	check_eq(1, taken[4], "an edge is once");
	line(4, 0);
	line(4, 1);
	sti_nop();
	cli();
	check_eq(2, taken[4], "line 4 again");
	line(4, 0);
	line(11, 1);
	sti_nop();
	cli();
	check_eq(1, taken[11], "line 11, by the slave");
	line(11, 0);
	/* Masked: kept in IRR, taken when unmasked. */
	outb(0x21, 0xff);
	line(4, 1);
	sti_nop();
	cli();
	check_eq(2, taken[4], "masked");
	outb(0x20, 0x0a);
	check_eq(1 << 4, inb(0x20) & 1 << 4, "IRR");
	outb(0x21, 0xff & ~(1 << 4));
	sti_nop();
	cli();
	check_eq(3, taken[4], "unmasked");
	line(4, 0);
	outb(0x20, 0x0b);
	check_eq(0, inb(0x20), "ISR after EOI");
}

static uint16_t pit_count(void)
{
	uint16_t low;

	outb(0x43, 0);
	low = inb(0x40);
	return low | inb(0x40) << 8;
}

static void pit(void)
{
	uint64_t start, took;
	int before;
	uint16_t a, b;

	outb(0x43, 0x34);
	outb(0x40, 11932 & 0xff);
	outb(0x40, 11932 >> 8);
	outb(0x21, 0xff & ~1);
	start = rdtsc();
	sti();
	check(wait_for(taken[0] >= 10, 5000), "10 ms periods: %d of 10", taken[0]);
	took = (rdtsc() - start) / boot_info()->tsc_khz;
	cli();
	check(took >= 85, "10 periods of 10 ms in %lu ms", took);
	/* One-shot: mode 0. */
	outb(0x43, 0x30);
	outb(0x40, 5966 & 0xff);
	outb(0x40, 5966 >> 8);
	sti_nop();
	before = taken[0];
	check(wait_for(taken[0] == before + 1, 1000), "mode 0 never came");
	delay_us(20000);
	check_eq(before + 1, taken[0], "mode 0 is once");
	cli();
	outb(0x21, 0xff);
	/* Counting down, latched. */
	outb(0x43, 0x34);
	outb(0x40, 0);
	outb(0x40, 0);
	a = pit_count();
	delay_us(5000);
	b = pit_count();
	check((uint16_t)(a - b) >= 5900 && (uint16_t)(a - b) < 60000, "%u ticks in 5 ms or more",
	      (uint16_t)(a - b));
	/* Channel 2 and its gate and output at port 0x61. */
	outb(0x61, 1);
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	check_eq(0, inb(0x61) & 0x20, "output of channel 2 at first");
	check(wait_for(inb(0x61) & 0x20, 500), "channel 2 never ends");
}

int main(void)
{
	for (int i = 0; i < 16; i++)
		set_handler(BASE + i, handler);
	lapic_write(APIC_LVT_LINT0, 0x700);
	pic_init();
	lines();
	pit();
	return 0;
}
