// SPDX-License-Identifier: GPL-2.0-only
/* kvmclock: the page that the host keeps, and the time that comes out of it on every CPU. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define MSR_WALL_CLOCK	0x4b564d00
#define MSR_SYSTEM_TIME	0x4b564d01
#define FEATURES	0x40000001

/* struct pvclock_vcpu_time_info of Documentation/virt/kvm/x86/msr.rst */
struct time_info {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad[2];
} __attribute__((packed));

static struct time_info info[2] __attribute__((aligned(64)));
static volatile bool ready, stop;
static volatile uint64_t last;
static volatile int64_t worst;
static volatile int turn;

static uint64_t now_ns(unsigned int cpu)
{
	volatile struct time_info *t = &info[cpu];
	uint64_t delta, ns;
	uint32_t version;

	do {
		version = t->version;
		delta = rdtsc() - t->tsc_timestamp;
		if (t->tsc_shift >= 0)
			delta <<= t->tsc_shift;
		else
			delta >>= -t->tsc_shift;
		ns = t->system_time +
		     (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
	} while (version & 1 || version != t->version);
	return ns;
}

static void play(unsigned int me)
{
	for (int i = 0; i < 300; i++) {
		uint64_t now;

		if (!wait_for(turn == (int)me, 5000))
			return;
		now = now_ns(me);
		if ((int64_t)(now - last) < worst)
			worst = now - last;
		last = now;
		turn = !me;
	}
}

static void other(void *arg)
{
	(void)arg;
	wrmsr(MSR_SYSTEM_TIME, (uintptr_t)&info[1] | 1);
	play(1);
}

int main(void)
{
	static struct {
		uint32_t version, sec, nsec;
	} wall __attribute__((aligned(64)));
	uint64_t a, b, tsc;

	if (cpuid(0x40000000, 0).eax < FEATURES || !(cpuid(FEATURES, 0).eax & 1 << 3))
		skip("no kvmclock");
	wrmsr(MSR_SYSTEM_TIME, (uintptr_t)&info[0] | 1);
	check(info[0].version && !(info[0].version & 1), "version %u", info[0].version);
	check(info[0].tsc_to_system_mul, "no multiplier");
	check_eq((uintptr_t)&info[0] | 1, rdmsr(MSR_SYSTEM_TIME), "the MSR reads back");

	a = now_ns(0);
	tsc = rdtsc();
	delay_us(20000);
	b = now_ns(0);
	tsc = (rdtsc() - tsc) * 1000000 / boot_info()->tsc_khz;
	check(b - a >= 19900000, "20 ms took %lu ns", b - a);
	check(tsc + 20000000 > b - a, "%lu ns by the clock, %lu ns by the TSC", b - a, tsc);

	smp_start(1, other, NULL);
	last = now_ns(0);
	play(0);
	smp_wait(1);
	check(worst >= 0, "backwards by %ld ns between CPUs", -worst);

	wrmsr(MSR_WALL_CLOCK, (uintptr_t)&wall);
	check(wall.version && !(wall.version & 1), "wall clock version %u", wall.version);
	check(wall.sec > 1600000000, "wall clock at boot: %u s", wall.sec);
	check(wall.nsec < 1000000000, "wall clock nanoseconds: %u", wall.nsec);

	/* Switched off, the page is left alone. */
	wrmsr(MSR_SYSTEM_TIME, 0);
	memset(&info[0], 0, sizeof(info[0]));
	host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
	cpuid(0, 0);
	check_eq(0, info[0].version, "written to after being switched off");
	return 0;
}
