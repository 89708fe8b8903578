// SPDX-License-Identifier: GPL-2.0-only
/* The local APIC, through its page or its MSRs. */
#include "guest.h"

#define MSR_APIC_BASE		0x1b
#define APIC_BASE_EXTD		(1 << 10)
#define MSR_X2APIC		0x800
#define LAPIC_GVA		0xfee00000UL

static bool x2apic;

uint32_t lapic_read(unsigned int reg)
{
	if (x2apic)
		return rdmsr(MSR_X2APIC + reg / 16);
	return *(volatile uint32_t *)(LAPIC_GVA + reg);
}

void lapic_write(unsigned int reg, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		*(volatile uint32_t *)(LAPIC_GVA + reg) = value;
}

void lapic_eoi(void)
{
	lapic_write(APIC_EOI, 0);
}

void lapic_enable(void)
{
	/* A CPU that is started after the switch comes up in xAPIC mode. */
	if (x2apic)
		lapic_enable_x2apic();
	lapic_write(APIC_SVR, 0x1ff);
}

void lapic_enable_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EXTD);
	x2apic = true;
}

void lapic_ipi(uint32_t dest, uint32_t icr)
{
	if (x2apic) {
		wrmsr(MSR_X2APIC + APIC_ICR_LOW / 16, icr | (uint64_t)dest << 32);
		return;
	}
	lapic_write(APIC_ICR_HIGH, dest << 24);
	lapic_write(APIC_ICR_LOW, icr);
}
