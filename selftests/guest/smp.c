// SPDX-License-Identifier: GPL-2.0-only
/* INIT and SIPI: CPUs start, are taken down in whatever they do, and start again. */
#include "guest.h"

GUEST_NEEDS(.cpus = 4, .timeout_s = 40);

static volatile uint64_t counters[4];
static volatile uint64_t seen_cr8[4], seen_apic_base[4], seen_dr7[4];
static uint64_t shared;

static void record(void *arg)
{
	unsigned int cpu = (uintptr_t)arg;
	uint64_t dr7;

	asm volatile("mov %%dr7, %0" : "=r"(dr7));
	seen_cr8[cpu] = read_cr8();
	seen_dr7[cpu] = dr7;
	seen_apic_base[cpu] = rdmsr(0x1b);
	check_eq(cpu, cpu_id(), "the CPU's own number");
	check_eq(cpu, lapic_read(APIC_ID) >> 24, "its APIC id");
	/* What INIT has to clear again. */
	asm volatile("mov %0, %%dr7" : : "r"(0x402UL));
	write_cr8(9);
}

static void count(void *arg)
{
	for (;;)
		counters[(uintptr_t)arg]++;
}

static void halt(void *arg)
{
	(void)arg;
	asm volatile("cli\nhlt");
}

static void fault_in(void *arg)
{
	(void)arg;
	asm volatile("mov %0, %%cr0" : : "r"(read_cr0() | CR0_CD));
	for (;;)
		outb(PORT_LATCH, 1);
}

static void add(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		__atomic_add_fetch(&shared, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
	uint64_t a;

	check_eq(0x900, rdmsr(0x1b) & 0xfff, "the boot CPU's APIC base");
	for (uintptr_t i = 1; i < 4; i++) {
		smp_start(i, record, (void *)i);
		smp_wait(i);
		check_eq(0x800, seen_apic_base[i] & 0xfff, "a started CPU's APIC base");
	}
	/* Once more: INIT resets what the first run left. */
	for (uintptr_t i = 1; i < 4; i++) {
		smp_start(i, record, (void *)i);
		smp_wait(i);
		check_eq(0, seen_cr8[i], "CR8 after INIT");
		check_eq(0x400, seen_dr7[i], "DR7 after INIT");
	}
	/* INIT into a loop, into HLT, into a row of exits. */
	smp_start(1, count, (void *)1);
	check(wait_for(counters[1] > 1000, 1000), "CPU 1 does not run");
	smp_init(1);
	/* It has to stop, however late its host CPU learns of it. */
	check(wait_for(({ a = counters[1]; delay_us(20000); a == counters[1]; }), 5000),
	      "CPU 1 ran on after INIT");
	smp_start(2, halt, NULL);
	smp_start(3, fault_in, NULL);
	delay_us(2000);
	for (unsigned int i = 1; i < 4; i++) {
		smp_start(i, record, (void *)(uintptr_t)i);
		smp_wait(i);
	}
	/* A SIPI to a running CPU is ignored. */
	smp_start(1, count, (void *)1);
	lapic_ipi(1, ICR_STARTUP | 0x99);
	delay_us(1000);
	a = counters[1];
	check(wait_for(counters[1] != a, 1000), "a second SIPI was not ignored");
	/* All together, on one word. */
	for (unsigned int i = 1; i < 4; i++)
		smp_start(i, add, NULL);
	add(NULL);
	for (unsigned int i = 1; i < 4; i++)
		smp_wait(i);
	check_eq(80000, shared, "locked additions of four CPUs");
	return 0;
}
