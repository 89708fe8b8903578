// SPDX-License-Identifier: GPL-2.0-only
/* x2APIC: the mode's MSRs, its logical ids, and the transitions between the modes. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define VECTOR		0x64
#define MSR_APIC_BASE	0x1b
#define EXTD		(1 << 10)
#define EN		(1 << 11)

static volatile int taken[2];
static volatile bool ready, stop;

static void handler(struct frame *frame)
{
	(void)frame;
	taken[cpu_id()]++;
	lapic_eoi();
}

static void other(void *arg)
{
	(void)arg;
	lapic_enable_x2apic();
	check_eq(1, lapic_read(APIC_ID), "id of CPU 1");
	check_eq(1 << 1, lapic_read(APIC_LDR), "logical id of CPU 1");
	ready = true;
	sti();
	while (!stop)
		cpu_relax();
}

static int try_rdmsr(uint32_t index)
{
	return TRY("mov %k[i], %%ecx\nrdmsr", [i] "r"((uint64_t)index));
}

static int try_wrmsr(uint32_t index, uint64_t value)
{
	return TRY("mov %k[i], %%ecx\nmov %k[v], %%eax\nmov %[v], %%rdx\nshr $32, %%rdx\nwrmsr",
		   [i] "r"((uint64_t)index), [v] "r"(value));
}

/* SDM vol. 3A, table "Local APIC Register Address Map Supported by x2APIC"; CMCI's LVT is not there. */
static bool readable(uint32_t msr)
{
	switch (msr - 0x800) {
	case 0x02: case 0x03: case 0x08: case 0x0a: case 0x0d: case 0x0f:
	case 0x10 ... 0x28:
	case 0x30: case 0x32 ... 0x39: case 0x3e:
		return true;
	default:
		return false;
	}
}

/* No register is there that no LAPIC has, however the CPU reads the others. */
static void all_reads(void)
{
	/* Stock 6.1 lets the CPU read what there is not, where that virtualizes the mode. */
	if (boot_info()->reference)
		return;
	for (uint32_t msr = 0x800; msr <= 0x8ff; msr++)
		check((try_rdmsr(msr) != GP) == readable(msr), "read of MSR 0x%x", msr);
}

/* Reserved bits of what can be written; stock 6.1 takes some of them. */
static void reserved_bits(void)
{
	if (boot_info()->reference)
		return;
	check_eq(GP, try_wrmsr(0x80f, 1 << 13), "reserved bits of SVR");
	check_eq(GP, try_wrmsr(0x828, 1), "ESR other than 0");
	check_eq(GP, try_wrmsr(0x830, 1 << 20), "reserved bits of ICR");
	check_eq(GP, try_wrmsr(0x832, 1 << 20), "reserved bits of the timer's LVT");
	check_eq(GP, try_wrmsr(0x838, 1ULL << 32), "upper half of the initial count");
	check_eq(GP, try_wrmsr(0x83e, 1 << 5), "reserved bits of the divider");
	check_eq(GP, try_wrmsr(0x83f, 0x100), "reserved bits of SELF IPI");
	check_eq(GP, try_rdmsr(0x83f), "read of SELF IPI");
	check_eq(GP, try_wrmsr(0x803, 0), "write of the version");
	check_eq(GP, try_wrmsr(0x80a, 0), "write of PPR");
	check_eq(GP, try_wrmsr(0x80d, 0), "write of the logical id");
	check_eq(GP, try_wrmsr(0x839, 0), "write of the current count");
}

/* ICR keeps what was written, in one piece; CR8 and TPR are one. */
static void one_register(void)
{
	uint64_t icr = (uint64_t)1 << 32 | ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | VECTOR;

	wrmsr(0x830, icr & ~(uint64_t)ICR_LOGICAL);
	check_eq(icr & ~(uint64_t)ICR_LOGICAL, rdmsr(0x830), "ICR reads back");
	check(wait_for(taken[1] == 4, 1000), "sent by one write of 64 bits");
	wrmsr(0x808, 0x50);
	check_eq(5, read_cr8(), "CR8 from TPR");
	write_cr8(0);
	check_eq(0, rdmsr(0x808), "TPR from CR8");
}

/* Through disabled back to xAPIC, where the page answers again and the MSRs do not. */
static void modes(uint64_t base)
{
	volatile uint32_t *version = (volatile uint32_t *)(0xfee00000UL + APIC_VERSION);
	uint32_t was = lapic_read(APIC_VERSION);

	check_eq(NONE, try_wrmsr(MSR_APIC_BASE, base & ~(uint64_t)(EN | EXTD)), "disabled");
	check_eq(GP, try_rdmsr(0x802), "x2APIC MSR while disabled");
	check_eq(0, cpuid(1, 0).edx & 1 << 9, "CPUID.APIC while disabled");
	check_eq(GP, try_wrmsr(MSR_APIC_BASE, base), "disabled to x2APIC");
	check_eq(NONE, try_wrmsr(MSR_APIC_BASE, base & ~(uint64_t)EXTD), "xAPIC again");
	check_eq(1 << 9, cpuid(1, 0).edx & 1 << 9, "CPUID.APIC");
	check_eq(was, *version, "the page's version register");
	check_eq(GP, try_rdmsr(0x802), "x2APIC MSR in xAPIC mode");
	check_eq(NONE, try_wrmsr(MSR_APIC_BASE, base), "and x2APIC once more");
	check_eq(was, lapic_read(APIC_VERSION), "the MSR's version register");
}

int main(void)
{
	uint64_t base;

	if (!(cpuid(1, 0).ecx & 1 << 21))
		skip("no x2APIC");
	set_handler(VECTOR, handler);
	check_eq(GP, try_rdmsr(0x802), "x2APIC MSR in xAPIC mode");
	smp_start(1, other, NULL);
	wait_for(ready, 2000);
	lapic_enable_x2apic();
	base = rdmsr(MSR_APIC_BASE);
	check_eq(EN | EXTD, base & (EN | EXTD), "mode bits");
	check_eq(0, lapic_read(APIC_ID), "id");
	check_eq(1, lapic_read(APIC_LDR), "logical id follows from the id");
	check_eq(GP, try_wrmsr(0x802, 5), "write of the id");
	all_reads();
	/* Stock 6.1 takes these. */
	if (!boot_info()->reference) {
		check_eq(GP, try_wrmsr(0x80b, 1), "EOI other than 0");
		check_eq(GP, try_wrmsr(0x808, 0x100), "reserved bits of TPR");
	}

	lapic_ipi(1, ICR_FIXED | ICR_ASSERT | VECTOR);
	check(wait_for(taken[1] == 1, 1000), "physical");
	lapic_ipi(1 << 1, ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | VECTOR);
	check(wait_for(taken[1] == 2, 1000), "logical");
	lapic_ipi(0xffffffff, ICR_FIXED | ICR_ASSERT | VECTOR);
	check(wait_for(taken[1] == 3, 1000), "broadcast");
	sti_nop();
	check_eq(1, taken[0], "broadcast reaches the sender");
	lapic_write(APIC_SELF_IPI, VECTOR);
	check(wait_for(taken[0] == 2, 1000), "SELF IPI");
	cli();
	reserved_bits();
	one_register();
	/* There is no way back to xAPIC but through disabled. */
	check_eq(GP, try_wrmsr(MSR_APIC_BASE, base & ~(uint64_t)EXTD), "x2APIC to xAPIC");
	check_eq(GP, try_wrmsr(MSR_APIC_BASE, base & ~(uint64_t)EN), "EXTD without EN");
	stop = true;
	smp_wait(1);
	modes(base);
	return 0;
}
