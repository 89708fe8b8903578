// SPDX-License-Identifier: GPL-2.0-only
/* The LAPIC timer: one-shot, periodic, TSC deadline; masked, stopped, read (APM vol. 2, 16.4.1). */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define VECTOR		0x65
#define PERIODIC	(1 << 17)
#define DEADLINE	(2 << 17)
#define MASKED		(1 << 16)
#define MSR_DEADLINE	0x6e0

static volatile int taken;

static void handler(struct frame *frame)
{
	(void)frame;
	taken++;
	lapic_eoi();
}

/* Timer ticks a millisecond at divisor 1. */
static uint32_t ticks_per_ms(void)
{
	uint32_t start;

	lapic_write(APIC_LVT_TIMER, VECTOR | MASKED);
	lapic_write(APIC_TIMER_DCR, 0xb);
	lapic_write(APIC_TIMER_ICR, 0xffffffff);
	start = lapic_read(APIC_TIMER_CCR);
	delay_us(10000);
	start -= lapic_read(APIC_TIMER_CCR);
	lapic_write(APIC_TIMER_ICR, 0);
	return start / 10;
}

static void one_shot(uint32_t ms)
{
	uint64_t start = rdtsc(), took;

	taken = 0;
	lapic_write(APIC_LVT_TIMER, VECTOR);
	lapic_write(APIC_TIMER_ICR, 20 * ms);
	check(lapic_read(APIC_TIMER_CCR) > 0, "the count starts");
	check(wait_for(taken == 1, 2000), "one-shot never came");
	took = (rdtsc() - start) / boot_info()->tsc_khz;
	check(took >= 19, "one-shot of 20 ms after %lu ms", took);
	check_eq(0, lapic_read(APIC_TIMER_CCR), "the count after it expired");
	delay_us(50000);
	check_eq(1, taken, "one-shot is once");
	/* Divided by 2 it takes twice as long. Stopped first: stock KVM fires a used one again. */
	lapic_write(APIC_TIMER_ICR, 0);
	lapic_write(APIC_TIMER_DCR, 0);
	start = rdtsc();
	lapic_write(APIC_TIMER_ICR, 10 * ms);
	check(wait_for(taken == 2, 2000), "divided one-shot never came");
	took = (rdtsc() - start) / boot_info()->tsc_khz;
	check(took >= 19, "divided by 2: after %lu ms", took);
	lapic_write(APIC_TIMER_DCR, 0xb);
}

static void stop_and_mask(uint32_t ms)
{
	taken = 0;
	lapic_write(APIC_LVT_TIMER, VECTOR);
	lapic_write(APIC_TIMER_ICR, 10 * ms);
	lapic_write(APIC_TIMER_ICR, 0);
	delay_us(30000);
	check_eq(0, taken, "a stopped timer");
	lapic_write(APIC_LVT_TIMER, VECTOR | MASKED);
	lapic_write(APIC_TIMER_ICR, 5 * ms);
	delay_us(20000);
	check_eq(0, taken, "a masked timer");
}

static void periodic(uint32_t ms)
{
	uint64_t start = rdtsc(), took;

	taken = 0;
	lapic_write(APIC_LVT_TIMER, VECTOR | PERIODIC);
	lapic_write(APIC_TIMER_ICR, 5 * ms);
	check(wait_for(taken >= 10, 5000), "periodic: %d of 10", taken);
	took = (rdtsc() - start) / boot_info()->tsc_khz;
	check(took >= 45, "10 periods of 5 ms in %lu ms", took);
	lapic_write(APIC_LVT_TIMER, VECTOR | PERIODIC | MASKED);
	lapic_write(APIC_TIMER_ICR, 0);
}

static void deadline(void)
{
	uint64_t khz = boot_info()->tsc_khz, start;

	taken = 0;
	lapic_write(APIC_LVT_TIMER, VECTOR | DEADLINE);
	/* So far away that no busy host lets it pass. */
	start = rdtsc();
	wrmsr(MSR_DEADLINE, start + 10000 * khz);
	check_eq(start + 10000 * khz, rdmsr(MSR_DEADLINE), "the deadline reads back");
	start = rdtsc();
	wrmsr(MSR_DEADLINE, start + 10 * khz);
	check(wait_for(taken == 1, 2000), "deadline never came");
	check(rdtsc() >= start + 10 * khz, "too early");
	check_eq(0, rdmsr(MSR_DEADLINE), "an expired deadline reads 0");
	/* One in the past comes at once; 0 disarms. */
	wrmsr(MSR_DEADLINE, 1);
	check(wait_for(taken == 2, 100), "deadline in the past");
	wrmsr(MSR_DEADLINE, rdtsc() + 20 * khz);
	wrmsr(MSR_DEADLINE, 0);
	delay_us(40000);
	check_eq(2, taken, "a disarmed deadline");
	lapic_write(APIC_TIMER_ICR, 1000);
	delay_us(5000);
	check_eq(2, taken, "the count means nothing in this mode");
	lapic_write(APIC_LVT_TIMER, MASKED);
}

int main(void)
{
	uint32_t ms;

	set_handler(VECTOR, handler);
	ms = ticks_per_ms();
	check(ms > 1000, "%u ticks a millisecond", ms);
	sti();
	one_shot(ms);
	stop_and_mask(ms);
	periodic(ms);
	if (cpuid(1, 0).ecx & 1 << 24)
		deadline();
	else
		print("no TSC deadline\n");
	cli();
	return 0;
}
