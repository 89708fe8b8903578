// SPDX-License-Identifier: GPL-2.0-only
/* Message signalled interrupts: every part of address and data that means something. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define VECTOR	0x67
#define ADDRESS	0xfee00000UL

static volatile int taken[2], nmis;
static volatile bool ready, stop;

static void handler(struct frame *frame)
{
	(void)frame;
	taken[cpu_id()]++;
	lapic_eoi();
}

static void nmi_handler(struct frame *frame)
{
	(void)frame;
	nmis++;
}

static void other(void *arg)
{
	(void)arg;
	lapic_write(APIC_LDR, 2 << 24);
	ready = true;
	sti();
	while (!stop)
		cpu_relax();
}

static int msi(uint64_t address, uint32_t data)
{
	return host_call(HOST_MSI, address, data, 0, 0, 0);
}

int main(void)
{
	set_handler(VECTOR, handler);
	set_handler(NMI, nmi_handler);
	lapic_write(APIC_LDR, 1 << 24);
	check(msi(ADDRESS, VECTOR) > 0, "delivered");
	sti_nop();
	cli();
	check_eq(1, taken[0], "physical, CPU 0");
	smp_start(1, other, NULL);
	wait_for(ready, 1000);
	msi(ADDRESS | 1 << 12, VECTOR);
	check(wait_for(taken[1] == 1, 1000), "physical, CPU 1");
	msi(ADDRESS | 2 << 12 | 1 << 2, VECTOR);
	check(wait_for(taken[1] == 2, 1000), "logical, CPU 1");
	msi(ADDRESS | 0xff << 12, VECTOR);
	check(wait_for(taken[1] == 3, 1000), "broadcast, CPU 1");
	sti_nop();
	cli();
	check_eq(2, taken[0], "broadcast, CPU 0");
	/* Lowest priority with redirection hint: one of the two. */
	msi(ADDRESS | 3 << 12 | 3 << 2, VECTOR | 1 << 8);
	sti_nop();
	check(wait_for(taken[0] + taken[1] == 6, 1000), "lowest priority: %d and %d", taken[0],
	      taken[1]);
	cli();
	msi(ADDRESS, 4 << 8);
	check(wait_for(nmis == 1, 1000), "NMI by message");
	check(msi(ADDRESS | 9 << 12, VECTOR) <= 0, "to nobody");
	stop = true;
	smp_wait(1);
	return 0;
}
