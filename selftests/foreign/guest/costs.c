// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations cost under a foreign VMM: batches of two sizes between marker instructions, which the emulator that
 * counts sees in a guest, too. A line for each, as bench's (../../bench/bench.c): NAME OPERATIONS CYCLES.
 */
#include <cpuid.h>
#include "../../bench/marker.h"
#include "pc.h"

#define FEW 16
#define MORE 64
#define BATCHES 9

#define MSR_APICBASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_TIMER_CURRENT 0x390
#define LVT_MASKED 0x10000
#define LVT_TSC_DEADLINE 0x40000
#define ICR_SELF 0x40000
#define IOAPIC_WINDOW ((volatile uint32_t *)0xfec00010)
/* Where SeaBIOS puts the PM timer: of QEMU's own, so userspace's. */
#define PM_TIMER 0x608
/* A port that nobody reads. */
#define DELAY_PORT 0x80
#define FAR_AWAY 0x100000000000ull

static bool amd;

static void do_cpuid(void)
{
	uint32_t a, b, c, d;

	__cpuid(0, a, b, c, d);
}

static void do_rdmsr(void)
{
	rdmsr(MSR_APICBASE);
}

static void do_deadline(void)
{
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + FAR_AWAY);
}

/* One that no hypervisor has. */
static void do_hypercall(void)
{
	uint32_t r = -1;

	if (amd)
		asm volatile("vmmcall" : "+a"(r) : : "memory");
	else
		asm volatile("vmcall" : "+a"(r) : : "memory");
}

static void do_lapic_read(void)
{
	(void)*lapic(LAPIC_TIMER_CURRENT);
}

static void do_ioapic_read(void)
{
	(void)*IOAPIC_WINDOW;
}

/* By ICR, and taken. */
static void do_self_ipi(void)
{
	uint32_t before = ipis;

	*lapic(LAPIC_ICR_LOW) = ICR_SELF | VECTOR_IPI;
	while (ipis == before)
		;
}

static void do_pm_timer(void)
{
	inl(PM_TIMER);
}

static void do_out(void)
{
	outb(DELAY_PORT, 0);
}

static const struct {
	const char *name;
	void (*operation)(void);
} rows[] = {
	{ "qemu_cpuid", do_cpuid },
	{ "qemu_rdmsr", do_rdmsr },
	{ "qemu_deadline", do_deadline },
	{ "qemu_hypercall", do_hypercall },
	{ "qemu_lapic_read", do_lapic_read },
	{ "qemu_ioapic_read", do_ioapic_read },
	{ "qemu_self_ipi", do_self_ipi },
	{ "qemu_pm_timer", do_pm_timer },
	{ "qemu_out", do_out },
};

static void batch(unsigned int row, uint32_t n)
{
	void (*operation)(void) = rows[row].operation;
	uint32_t cycles, i;
	uint64_t begun;

	MARKER(MARKER_BEGIN);
	begun = rdtsc();
	for (i = 0; i < n; i++)
		operation();
	cycles = rdtsc() - begun;
	MARKER(MARKER_END);
	print(rows[row].name);
	print(" ");
	print_decimal(n);
	print(" ");
	print_decimal(cycles);
	print("\n");
}

void costs(void)
{
	uint32_t a, b, c, d;
	unsigned int row, i;

	__cpuid(0, a, b, c, d);
	amd = c == signature_AMD_ecx;
	*lapic(LAPIC_LVT_TIMER) = LVT_MASKED | LVT_TSC_DEADLINE | VECTOR_LAPIC;
	for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		for (i = 0; i < BATCHES; i++) {
			batch(row, FEW);
			batch(row, MORE);
		}
	finish(true);
}
