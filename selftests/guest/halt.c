// SPDX-License-Identifier: GPL-2.0-only
/* HLT sleeps until an interrupt that can be taken, by every source, and not a moment shorter. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define VECTOR	0x62

static volatile int taken;
static volatile int rounds;

static void handler(struct frame *frame)
{
	(void)frame;
	taken++;
	lapic_eoi();
}

static void halt_for(const char *what)
{
	int before = taken;

	sti_hlt();
	cli();
	check(taken == before + 1, "%s: %d interrupts", what, taken - before);
}

static void ping(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		int seen = rounds;

		lapic_ipi(0, ICR_FIXED | ICR_ASSERT | VECTOR);
		if (!wait_for(rounds != seen, 2000))
			return;
	}
}

int main(void)
{
	uint64_t start;

	set_handler(VECTOR, handler);
	host_call(HOST_MSI, 0xfee00000, VECTOR, 30, 0, 0);
	halt_for("MSI");

	lapic_write(APIC_LVT_TIMER, VECTOR);
	lapic_write(APIC_TIMER_DCR, 0xb);
	start = rdtsc();
	lapic_write(APIC_TIMER_ICR, 5000000);
	halt_for("timer");
	check(rdtsc() - start > boot_info()->tsc_khz, "the timer woke it at once");

	/* Pending before HLT: it does not sleep at all. */
	lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | VECTOR);
	halt_for("already pending");

	/* Another CPU's IPIs, each of which meets a CPU in or around HLT. */
	smp_start(1, ping, NULL);
	for (int i = 0; i < 50; i++) {
		sti_hlt();
		cli();
		rounds++;
	}
	check_eq(50 + 3, taken, "IPIs");
	smp_wait(1);
	return 0;
}
