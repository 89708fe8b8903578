// SPDX-License-Identifier: GPL-2.0-only
/* Starting the other CPUs, and time. */
#include "guest.h"
#include "internal.h"

extern char trampoline_start[], trampoline_end[];

static struct {
	void (*fn)(void *);
	void *arg;
	volatile bool running, done;
} work[MAX_CPUS];

unsigned int cpu_id(void)
{
	return cpuid(1, 0).ebx >> 24;
}

void delay_us(uint64_t us)
{
	uint64_t end = rdtsc() + us * boot_info()->tsc_khz / 1000;

	while (rdtsc() < end)
		cpu_relax();
}

void smp_enter(unsigned int cpu)
{
	work[cpu].running = true;
	work[cpu].fn(work[cpu].arg);
	__atomic_store_n(&work[cpu].done, true, __ATOMIC_SEQ_CST);
	for (;;)
		asm volatile("cli\nhlt");
}

void smp_init(unsigned int cpu)
{
	lapic_ipi(cpu, ICR_INIT | ICR_ASSERT);
	delay_us(100);
}

void smp_start(unsigned int cpu, void (*fn)(void *), void *arg)
{
	memcpy((void *)TRAMPOLINE, trampoline_start, trampoline_end - trampoline_start);
	work[cpu].fn = fn;
	work[cpu].arg = arg;
	work[cpu].running = false;
	work[cpu].done = false;
	smp_init(cpu);
	lapic_ipi(cpu, ICR_STARTUP | TRAMPOLINE >> 12);
	if (!wait_for(work[cpu].running, 5000)) {
		check(false, "CPU %u did not start", cpu);
		verdict();
	}
}

void smp_wait(unsigned int cpu)
{
	if (!wait_for(work[cpu].done, 15000)) {
		check(false, "CPU %u did not finish", cpu);
		verdict();
	}
}
