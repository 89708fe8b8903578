// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bare guest for foreign VMMs, loaded as a multiboot kernel; the last word of its command line is what it does:
 *
 *   platformN    takes the PIT's interrupts by PIC and IOAPIC, and the LAPIC timer's; starts N - 1 other CPUs
 *   memoryN      writes N MiB again and again, and checks what it wrote before, until a key is typed
 *   screen       draws; draws more after a key; ends after another
 *   target       calls target() until a key is typed
 *   costs        counts what operations cost (costs.c)
 *
 * It talks on COM1 and ends by EXIT_PORT.
 */
#include "pc.h"

struct multiboot {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

#define TICKS 20
#define REGION ((volatile uint32_t *)0x1000000)
#define MSR_SYSENTER_ESP 0x175
#define MSR_PAT 0x277

extern volatile uint32_t counter;
void target(void);
void guest_main(const struct multiboot *info);

static bool interrupts(void)
{
	bool good = true;

	pit_start();
	pic_open(true);
	good &= wait_for(&pic_ticks, TICKS);
	pic_open(false);
	print(good ? "the PIC ticks\n" : "the PIC is silent\n");
	ioapic_open(true);
	good &= wait_for(&ioapic_ticks, TICKS);
	ioapic_open(false);
	print(good ? "the IOAPIC ticks\n" : "the IOAPIC is silent\n");
	lapic_timer_start(true);
	good &= wait_for(&lapic_ticks, TICKS);
	print(good ? "the LAPIC ticks\n" : "the LAPIC is silent\n");
	return good && !tsc_went_back;
}

static void platform(uint32_t wanted)
{
	bool good = interrupts();
	uint32_t found;

	found = smp_start(wanted);
	print_number("cpus", found);
	print_number("ipis", ipis);
	finish(good && found == wanted && ipis == wanted - 1);
}

/* What only the guest keeps: registers that a VMM has to carry over. */
static void mark_registers(void)
{
	uint32_t pattern = 0x600df00d;

	asm volatile("movl %%cr4, %%eax; orl $0x600, %%eax; movl %%eax, %%cr4\n"
		     "movd %0, %%xmm7; pshufd $0, %%xmm7, %%xmm7\n"
		     "fninit; fld1; fldpi" : : "r"(pattern) : "eax");
	wrmsr(MSR_SYSENTER_ESP, 0x12345678);
	wrmsr(MSR_PAT, 0x0007040600070404ull);
	asm volatile("movl %0, %%dr1" : : "r"(0x4321));
}

static bool registers_kept(void)
{
	uint32_t x, dr1;
	uint16_t fpu_status;

	asm volatile("pshufd $0xff, %%xmm7, %%xmm6; movd %%xmm6, %0" : "=r"(x));
	asm volatile("fnstsw %0" : "=a"(fpu_status));
	asm volatile("movl %%dr1, %0" : "=r"(dr1));
	return x == 0x600df00d && (fpu_status >> 11 & 7) == 6 && dr1 == 0x4321 &&
	       rdmsr(MSR_SYSENTER_ESP) == 0x12345678 && rdmsr(MSR_PAT) == 0x0007040600070404ull;
}

static uint32_t pattern(uint32_t generation, uint32_t i)
{
	return generation * 0x9e3779b1 ^ i * 4;
}

static void memory(uint32_t mib)
{
	uint32_t words = mib << 18, generation = 0, wrong = 0, before, i;
	uint64_t seen = rdtsc(), now;

	mark_registers();
	for (i = 0; i < words; i++)
		REGION[i] = pattern(0, i);
	lapic_timer_start(true);
	wait_for(&lapic_ticks, 2);
	print("ready\n");
	while (!typed()) {
		/* A step, so that each page is written often and a pass is short. */
		for (i = generation % 64; i < words; i += 64) {
			wrong += REGION[i] != (generation < 64 ? pattern(0, i) : pattern(generation - 64, i));
			REGION[i] = pattern(generation, i);
		}
		now = rdtsc();
		if (now < seen)
			tsc_went_back = true;
		seen = now;
		generation++;
	}
	print_number("passes", generation);
	print_number("wrong", wrong);
	print_number("ticks", lapic_ticks);
	before = lapic_ticks;
	print(wait_for(&lapic_ticks, before + TICKS) ? "it still ticks\n" : "it ticks no more\n");
	print(tsc_went_back ? "the TSC went back\n" : "the TSC went on\n");
	print(registers_kept() ? "registers are kept\n" : "registers are lost\n");
	finish(!wrong && lapic_ticks >= before + TICKS && !tsc_went_back && registers_kept());
}

static uint32_t pci_read(uint32_t device, uint32_t offset)
{
	outl(0xcf8, 0x80000000 | device << 11 | offset);
	return inl(0xcfc);
}

static void vbe(uint16_t index, uint16_t value)
{
	outw(0x1ce, index);
	outw(0x1cf, value);
}

#define WIDTH 320
#define HEIGHT 200

/* Each byte of colour is a letter, so that the script can make the same picture. */
static void draw(volatile uint32_t *frame, uint32_t x, uint32_t y, uint32_t width, uint32_t height, char letter)
{
	uint32_t i, j;

	for (j = y; j < y + height; j++)
		for (i = x; i < x + width; i++)
			frame[j * WIDTH + i] = 0x010101 * (letter + (i / 64) + 8 * (j / 100));
}

static void screen(void)
{
	volatile uint32_t *frame = 0;
	uint32_t device;

	for (device = 0; device < 32; device++)
		if (pci_read(device, 8) >> 16 == 0x0300)
			frame = (uint32_t *)(pci_read(device, 0x10) & ~15u);
	if (!frame) {
		print("there is no display\n");
		finish(false);
	}
	vbe(4, 0);
	vbe(1, WIDTH);
	vbe(2, HEIGHT);
	vbe(3, 32);
	vbe(4, 0x41);
	draw(frame, 0, 0, WIDTH, HEIGHT, 'A');
	print("drawn once\n");
	wait_key();
	draw(frame, 100, 50, 10, 10, 'a');
	print("drawn twice\n");
	wait_key();
	finish(true);
}

static bool starts(const char *word, const char *with)
{
	while (*with)
		if (*word++ != *with++)
			return false;
	return true;
}

static uint32_t number(const char *digits)
{
	uint32_t n = 0;

	while (*digits >= '0' && *digits <= '9')
		n = 10 * n + *digits++ - '0';
	return n;
}

void guest_main(const struct multiboot *info)
{
	const char *word = "", *c;

	if (info->flags & 4)
		for (word = c = (const char *)info->cmdline; *c; c++)
			if (*c == ' ' && c[1])
				word = c + 1;
	interrupts_init();
	print("hello\n");
	if (starts(word, "platform"))
		platform(number(word + 8));
	if (starts(word, "memory"))
		memory(number(word + 6));
	if (starts(word, "screen"))
		screen();
	if (starts(word, "costs"))
		costs();
	if (starts(word, "target"))
		while (!typed())
			target();
	finish(starts(word, "target"));
}
