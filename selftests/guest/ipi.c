// SPDX-License-Identifier: GPL-2.0-only
/* IPIs in every destination mode, xAPIC (APM vol. 2, 16.5). */
#include "guest.h"

GUEST_NEEDS(.cpus = 4, .timeout_s = 40);

#define VECTOR	0x63
#define CPUS	4

static volatile int taken[CPUS];
static volatile bool ready[CPUS], stop;
static volatile uint32_t ldr[CPUS], dfr;
static volatile int generation, applied[CPUS];

/* The longest that one took, for the curious: on a busy host any time is possible. */
static uint64_t slowest_us;

static void note_time(uint64_t start)
{
	uint64_t us = (rdtsc() - start) * 1000 / boot_info()->tsc_khz;

	if (us > slowest_us)
		slowest_us = us;
}

static void handler(struct frame *frame)
{
	(void)frame;
	__atomic_add_fetch(&taken[cpu_id()], 1, __ATOMIC_SEQ_CST);
	lapic_eoi();
}

static void apply(unsigned int cpu)
{
	lapic_write(APIC_DFR, dfr);
	lapic_write(APIC_LDR, ldr[cpu]);
	applied[cpu] = generation;
}

static void other(void *arg)
{
	unsigned int cpu = (uintptr_t)arg;

	ready[cpu] = true;
	sti();
	while (!stop) {
		if (applied[cpu] != generation)
			apply(cpu);
		cpu_relax();
	}
	cli();
}

static void set_logical(uint32_t format, const uint32_t *ids)
{
	dfr = format;
	for (int i = 0; i < CPUS; i++)
		ldr[i] = ids[i] << 24;
	generation++;
	apply(0);
	for (int i = 1; i < CPUS; i++)
		wait_for(applied[i] == generation, 1000);
}

/* Sends and sees that exactly the CPUs of @mask got it. */
static void expect(uint32_t mask, uint32_t dest, uint32_t icr, const char *what)
{
	uint64_t start = rdtsc();
	uint32_t got = 0;

	for (int i = 0; i < CPUS; i++)
		taken[i] = 0;
	lapic_ipi(dest, icr | ICR_ASSERT | VECTOR);
	sti();
	wait_for((mask == 0 || ({
		uint32_t now = 0;

		for (int i = 0; i < CPUS; i++)
			now |= !!taken[i] << i;
		(now & mask) == mask; })), 3000);
	note_time(start);
	delay_us(500);
	cli();
	for (int i = 0; i < CPUS; i++) {
		got |= !!taken[i] << i;
		check(taken[i] < 2, "%s: CPU %d got it %d times", what, i, taken[i]);
	}
	check(got == mask, "%s: CPUs %x instead of %x", what, got, mask);
}

static void expect_one_of(uint32_t mask, uint32_t dest, uint32_t icr, const char *what)
{
	uint32_t got = 0;
	int total = 0;

	for (int i = 0; i < CPUS; i++)
		taken[i] = 0;
	lapic_ipi(dest, icr | ICR_ASSERT | VECTOR);
	sti();
	wait_for(taken[0] + taken[1] + taken[2] + taken[3], 3000);
	delay_us(500);
	cli();
	for (int i = 0; i < CPUS; i++) {
		got |= !!taken[i] << i;
		total += taken[i];
	}
	check(total == 1 && !(got & ~mask), "%s: CPUs %x, of %x", what, got, mask);
}

int main(void)
{
	static const uint32_t flat[CPUS] = { 0x01, 0x02, 0x04, 0x80 };
	static const uint32_t cluster[CPUS] = { 0x01, 0x02, 0x11, 0x12 };

	set_handler(VECTOR, handler);
	for (unsigned int i = 1; i < CPUS; i++) {
		smp_start(i, other, (void *)(uintptr_t)i);
		wait_for(ready[i], 1000);
	}
	expect(1 << 2, 2, ICR_FIXED, "physical 2");
	expect(1 << 0, 0, ICR_FIXED, "physical 0, oneself");
	expect(0, 9, ICR_FIXED, "physical, nobody");
	expect(0xf, 0xff, ICR_FIXED, "physical broadcast");
	expect(1 << 0, 0, ICR_FIXED | ICR_SELF, "shorthand self");
	expect(0xf, 0, ICR_FIXED | ICR_ALL, "shorthand all");
	expect(0xe, 0, ICR_FIXED | ICR_OTHERS, "shorthand all but self");

	set_logical(0xffffffff, flat);
	expect(1 << 1, 0x02, ICR_FIXED | ICR_LOGICAL, "flat, one");
	expect(1 << 3 | 1 << 1, 0x82, ICR_FIXED | ICR_LOGICAL, "flat, two");
	expect(0, 0x40, ICR_FIXED | ICR_LOGICAL, "flat, nobody");
	expect(0xf, 0xff, ICR_FIXED | ICR_LOGICAL, "flat, broadcast");
	expect_one_of(0x6, 0x06, ICR_LOWEST | ICR_LOGICAL, "flat, lowest priority");

	set_logical(0x0fffffff, cluster);
	expect(1 << 1, 0x02, ICR_FIXED | ICR_LOGICAL, "cluster 0, one");
	expect(0x3, 0x03, ICR_FIXED | ICR_LOGICAL, "cluster 0, two");
	expect(0xc, 0x13, ICR_FIXED | ICR_LOGICAL, "cluster 1, two");
	expect(0, 0x21, ICR_FIXED | ICR_LOGICAL, "cluster 2, nobody");
	expect_one_of(0xc, 0x13, ICR_LOWEST | ICR_LOGICAL, "cluster, lowest priority");

	/* Vectors below 16 are the sender's error (APM vol. 2, 16.4.6); stock KVM has no ESR. */
	lapic_write(APIC_ESR, 0);
	lapic_ipi(0, ICR_FIXED | ICR_ASSERT | 5);
	lapic_write(APIC_ESR, 0);
	if (!boot_info()->reference)
		check(lapic_read(APIC_ESR) & (1 << 5 | 1 << 6), "illegal vector: ESR %x",
		      lapic_read(APIC_ESR));
	print("slowest IPI: %lu us\n", slowest_us);
	stop = true;
	return 0;
}
