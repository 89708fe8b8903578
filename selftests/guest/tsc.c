// SPDX-License-Identifier: GPL-2.0-only
/* The TSC never runs backwards, on one CPU or from one to another, and keeps the frequency told. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define MSR_TSC		0x10
#define MSR_TSC_ADJUST	0x3b
#define MSR_TSC_AUX	0xc0000103

static volatile uint64_t ball __attribute__((aligned(64)));
static volatile int turn;
static volatile int64_t worst;

#define ROUNDS	500

static void play(int me)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t now;

		if (!wait_for(turn == me, 5000)) {
			check(false, "the other CPU stopped playing");
			return;
		}
		now = rdtsc();
		if ((int64_t)(now - ball) < worst)
			worst = now - ball;
		ball = now;
		turn = !me;
	}
}

static void other(void *arg)
{
	(void)arg;
	play(1);
}

int main(void)
{
	uint64_t last = rdtsc(), now;

	for (int i = 0; i < 2000; i++) {
		if (i % 500 == 0)
			host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
		if (i % 50 == 0)
			cpuid(0, 0);
		now = rdtsc();
		if (now < last && !check(false, "backwards by %lu", last - now))
			break;
		last = now;
	}
	check(true, "monotonic");

	ball = rdtsc();
	smp_start(1, other, NULL);
	play(0);
	smp_wait(1);
	check(worst >= 0, "between CPUs backwards by %ld", -worst);

	/* RDMSR and RDTSC are one clock. */
	last = rdtsc();
	now = rdmsr(MSR_TSC);
	check(now >= last && now - last < 1ULL << 32, "RDMSR %lx after RDTSC %lx", now, last);
	check(rdtsc() >= now, "RDTSC after RDMSR");

	/* Writing moves it, for this CPU. */
	wrmsr(MSR_TSC, 1ULL << 50);
	now = rdtsc();
	check(now >= 1ULL << 50 && now < (1ULL << 50) + (1ULL << 40), "after writing: %lx", now);
	if (cpuid(7, 0).ebx & 1 << 1) {
		uint64_t adjust = rdmsr(MSR_TSC_ADJUST);

		wrmsr(MSR_TSC_ADJUST, adjust + (1ULL << 45));
		now = rdtsc();
		check(now >= (1ULL << 50) + (1ULL << 45), "TSC_ADJUST did not move it: %lx", now);
	}
	if (cpuid(0x80000001, 0).edx & 1 << 27) {
		uint32_t aux = 0;

		wrmsr(MSR_TSC_AUX, 0x1234);
		outb(PORT_LATCH, 0);
		host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
		asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
		check_eq(0x1234, aux, "RDTSCP's ecx");
	}
	return 0;
}
