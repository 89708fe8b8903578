// SPDX-License-Identifier: GPL-2.0-only
/* CR0, CR4 and EFER: what is refused with #GP, and what their bits change. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define MSR_STAR	0xc0000081

static int try_cr0(uint64_t value)
{
	return TRY("mov %[v], %%cr0", [v] "r"(value));
}

static int try_cr4(uint64_t value)
{
	return TRY("mov %[v], %%cr4", [v] "r"(value));
}

static int try_efer(uint64_t value)
{
	return TRY("mov %[msr], %%ecx\nmov %k[v], %%eax\nmov %[v], %%rdx\nshr $32, %%rdx\nwrmsr",
		   [msr] "i"(MSR_EFER), [v] "r"(value));
}

static long user_rdtsc(void)
{
	rdtsc();
	return 0;
}

static long user_sgdt(void)
{
	uint8_t where[10];

	asm volatile("sgdt %0" : "=m"(where));
	return 0;
}

static void cr0(void)
{
	uint64_t old = read_cr0(), whole;

	check_eq(GP, try_cr0(old & ~(uint64_t)CR0_PE), "PG without PE");
	check_eq(GP, try_cr0((old | CR0_NW) & ~(uint64_t)CR0_CD), "NW without CD");
	check_eq(old, read_cr0(), "unchanged after #GP");
	/* Leaving paging in 64-bit code is not possible. */
	check_eq(GP, try_cr0(old & 0x7fffffff), "PG cleared in 64-bit mode");
	check_eq(NONE, try_cr0(old | CR0_TS), "TS");
	check_eq(CR0_TS, read_cr0() & CR0_TS, "TS reads back");
	asm volatile("clts");
	check_eq(0, read_cr0() & CR0_TS, "CLTS");
	check_eq(NONE, try_cr0(old & ~(uint64_t)CR0_ET), "ET cleared");
	check_eq(CR0_ET, read_cr0() & CR0_ET, "ET is fixed");
	check_eq(NONE, try_cr0(old | CR0_CD), "CD");
	check_eq(CR0_CD, read_cr0() & CR0_CD, "CD reads back");
	asm volatile("smsw %0" : "=r"(whole));
	check_eq(read_cr0(), whole, "SMSW of 64 bits");
	write_cr0(old);
	/* LMSW sets the low four bits, and cannot clear PE. */
	asm volatile("lmsw %w0" : : "r"(CR0_TS | CR0_MP));
	check_eq(old | CR0_TS, read_cr0(), "LMSW");
	write_cr0(old);
	{
		uint64_t word = 0;

		asm volatile("smsw %w0" : "+r"(word));
		check_eq(old & 0xffff, word, "SMSW");
	}
}

static void cr4(void)
{
	static const int reserved[] = { 15, 19, 25, 31, 32, 63 };
	uint64_t old = read_cr4();

	/* Stock KVM's emulator forgets the upper half. */
	for (size_t i = 0; i < ARRAY_SIZE(reserved) - (boot_info()->reference ? 2 : 0); i++)
		check(try_cr4(old | 1ULL << reserved[i]) == GP, "bit %d was taken", reserved[i]);
	check_eq(GP, try_cr4(old & ~(uint64_t)CR4_PAE), "PAE cleared in long mode");
	check_eq(old, read_cr4(), "unchanged after #GP");
	check_eq(NONE, try_cr4(old | CR4_TSD), "TSD");
	check_eq(-GP - 1, run_user(user_rdtsc), "RDTSC at CPL 3 with TSD");
	check_eq(NONE, TRY("rdtsc"), "RDTSC at CPL 0 with TSD");
	write_cr4(old);
	check_eq(0, run_user(user_rdtsc), "RDTSC at CPL 3");
	if (cpuid(7, 0).ecx & 1 << 2) {
		write_cr4(old | 1 << 11);
		check_eq(-GP - 1, run_user(user_sgdt), "SGDT at CPL 3 with UMIP");
		write_cr4(old);
	}
	check_eq(0, run_user(user_sgdt), "SGDT at CPL 3");
	/* OSXSAVE is what CPUID reports. */
	if (cpuid(1, 0).ecx & 1 << 26) {
		check_eq(0, cpuid(1, 0).ecx & 1 << 27, "CPUID.OSXSAVE before");
		write_cr4(old | CR4_OSXSAVE);
		check_eq(1 << 27, cpuid(1, 0).ecx & 1 << 27, "CPUID.OSXSAVE after");
		write_cr4(old);
	}
	if (cpuid(7, 0).ebx & 1) {
		uint64_t base = 0;

		check_eq(UD, TRY("rdfsbase %%rax"), "RDFSBASE without FSGSBASE");
		write_cr4(old | CR4_FSGSBASE);
		asm volatile("wrfsbase %1\nrdfsbase %0" : "=r"(base) : "r"(0x123456789000));
		check_eq(0x123456789000, base, "WRFSBASE");
		check_eq(0x123456789000, rdmsr(0xc0000100), "FS_BASE");
		write_cr4(old);
	}
}

static uint64_t stack_of_syscall;

static void efer(void)
{
	uint64_t old = rdmsr(MSR_EFER);

	check_eq(EFER_LME | EFER_LMA | EFER_NXE, old & 0xffff, "as the start left it");
	check_eq(GP, try_efer(old | 1ULL << 63), "bit 63");
	check_eq(GP, try_efer(old | 1ULL << 9), "bit 9");
	check_eq(GP, try_efer(old & ~(uint64_t)EFER_LME), "LME cleared while paging");
	check_eq(old, rdmsr(MSR_EFER), "unchanged after #GP");
	/* LMA cannot be written. */
	try_efer(old & ~(uint64_t)EFER_LMA);
	check_eq(EFER_LMA, rdmsr(MSR_EFER) & EFER_LMA, "LMA");
	check_eq(UD, TRY("syscall"), "SYSCALL without SCE");
	wrmsr(MSR_EFER, old | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)SEL_CODE64 << 32);
	wrmsr(0xc0000082, 0);
	asm volatile("lea 1f(%%rip), %%rax\nmov %%rax, %%rdx\nshr $32, %%rdx\n"
		     "mov $0xc0000082, %%ecx\nwrmsr\n"
		     "mov %%rsp, %0\nsyscall\nud2\n1: mov %0, %%rsp"
		     : "+m"(stack_of_syscall) : : "rax", "rcx", "rdx", "r11", "memory");
	check(true, "SYSCALL arrived");
	wrmsr(MSR_EFER, old);
}

static void cr8(void)
{
	write_cr8(7);
	check_eq(7, read_cr8(), "CR8 reads back");
	check_eq(0x70, lapic_read(APIC_TPR), "CR8 is the task priority");
	lapic_write(APIC_TPR, 0x35);
	check_eq(3, read_cr8(), "the task priority is CR8");
	/* Only the stock module loses them. */
	if (!boot_info()->reference)
		check_eq(0x35, lapic_read(APIC_TPR), "with its lower bits");
	write_cr8(0);
	check_eq(0, lapic_read(APIC_TPR), "and 0 again");
}

int main(void)
{
	cr0();
	cr4();
	efer();
	cr8();
	return 0;
}
