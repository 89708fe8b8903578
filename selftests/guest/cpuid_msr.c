// SPDX-License-Identifier: GPL-2.0-only
/* CPUID that makes sense, MSRs that keep what they are given, #GP for those that do not exist. */
#include "guest.h"

#define VENDOR_INTEL	0x756e6547	/* EBX of CPUID leaf 0: "Genu" */

GUEST_NEEDS(.cpus = 1);

static int try_rdmsr(uint32_t index)
{
	return TRY("mov %k[i], %%ecx\nrdmsr", [i] "r"((uint64_t)index));
}

static int try_wrmsr(uint32_t index, uint64_t value)
{
	return TRY("mov %k[i], %%ecx\nmov %k[v], %%eax\nmov %[v], %%rdx\nshr $32, %%rdx\nwrmsr",
		   [i] "r"((uint64_t)index), [v] "r"(value));
}

static void leaves(void)
{
	struct cpuid c = cpuid(0, 0), ext = cpuid(0x80000000, 0);
	uint64_t rax;

	check(c.eax >= 1 && c.eax < 0x100, "highest basic leaf %x", c.eax);
	check(ext.eax >= 0x80000008 && ext.eax < 0x80000100, "highest extended leaf %x", ext.eax);
	/* Intel's extended range names no vendor (SDM vol. 2A, CPUID). */
	check(ext.ebx == (c.ebx == VENDOR_INTEL ? 0 : c.ebx), "the vendors of both ranges differ");
	check(cpuid(0x80000001, 0).edx & 1 << 29, "no long mode, in which this runs");
	check((cpuid(0x80000008, 0).eax & 0xff) >= 36, "physical address width");
	/* APIC and OSXSAVE follow the registers. */
	check(cpuid(1, 0).edx & 1 << 9, "no APIC");
	/* 32-bit results clear the upper halves. */
	asm volatile("mov $0x1234567800000001, %%rax\nxor %%ecx, %%ecx\ncpuid\nmov %%rax, %0"
		     : "=r"(rax) : : "rax", "rbx", "rcx", "rdx");
	check_eq(cpuid(1, 0).eax, rax, "rax of CPUID");
	/* Beyond the highest: never a fault. */
	cpuid(0x4fffffff, 0);
	cpuid(0xffffffff, 0xffffffff);
	if (c.eax >= 0xd && cpuid(1, 0).ecx & 1 << 26) {
		struct cpuid x = cpuid(0xd, 0);

		check((x.eax & 3) == 3, "XCR0 without x87 and SSE");
		check(x.ecx >= 576, "XSAVE area of %u bytes", x.ecx);
		check(x.ebx <= x.ecx, "size in use beyond the largest");
	}
}

static void registers(void)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} kept[] = {
		{ 0x174, 0x10 }, { 0x175, 0x12345678 }, { 0x176, 0x87654321 },
		{ 0xc0000081, 0x0023001000000000 }, { 0xc0000082, 0xffffffff81000000 },
		{ 0xc0000083, 0xffffffff82000000 }, { 0xc0000084, 0x47700 },
		{ 0xc0000100, 0x7f1234567000 }, { 0xc0000101, 0xffff888012345000 },
		{ 0xc0000102, 0x7fff00001000 }, { 0x277, 0x0007040600070406 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		check(try_wrmsr(kept[i].index, kept[i].value) == NONE, "write of %x faults",
		      kept[i].index);
		check(rdmsr(kept[i].index) == kept[i].value, "%x reads %lx", kept[i].index,
		      rdmsr(kept[i].index));
	}
	wrmsr(0xc0000101, 0);
	/* SWAPGS exchanges the two bases. */
	asm volatile("swapgs");
	check_eq(0x7fff00001000, rdmsr(0xc0000101), "GS base after SWAPGS");
	check_eq(0, rdmsr(0xc0000102), "kernel GS base after SWAPGS");
	asm volatile("swapgs");
}

static void faults(void)
{
	static const uint32_t missing[] = {
		0x11111111, 0xc0001fff, 0xdeadbeef, 0x4b564dff, 0x40000fff, 0xffffffff,
	};

	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		check(try_rdmsr(missing[i]) == GP, "read of %x", missing[i]);
		check_eq(0, fault.error, "its error code");
		check(try_wrmsr(missing[i], 0) == GP, "write of %x", missing[i]);
	}
	check_eq(GP, try_wrmsr(0x277, 0x0202020202020202), "PAT of a type that does not exist");
	check_eq(0x0007040600070406, rdmsr(0x277), "PAT afterwards");
	check_eq(GP, try_wrmsr(0x1b, 0xfee00901), "reserved bits of APIC_BASE");
	check_eq(GP, try_wrmsr(0xfe, 0), "write of MTRRcap");
	check(try_rdmsr(0xfe) == NONE, "read of MTRRcap");
	check(try_wrmsr(0x250, 0x0606060606060606) == NONE, "fixed-range MTRR");
	check_eq(0x0606060606060606, rdmsr(0x250), "fixed-range MTRR reads back");
	check_eq(GP, try_wrmsr(0x2ff, 0x802), "MTRR type that does not exist");
}

static void xcr0(void)
{
	uint32_t lo, hi;

	if (!(cpuid(1, 0).ecx & 1 << 26))
		return;
	check_eq(UD, TRY("xor %%ecx, %%ecx\nxgetbv"), "XGETBV without OSXSAVE");
	/* TCG lets it exit, and stock KVM then does not look. */
	if (!boot_info()->reference)
		check_eq(UD, TRY("xor %%ecx, %%ecx\nxor %%edx, %%edx\nmov $3, %%eax\nxsetbv"),
			 "XSETBV without OSXSAVE");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	check_eq(1, lo, "XCR0 at reset");
	check_eq(GP, TRY("xor %%ecx, %%ecx\nxor %%edx, %%edx\nxor %%eax, %%eax\nxsetbv"),
		 "XCR0 without x87");
	check_eq(GP, TRY("xor %%ecx, %%ecx\nxor %%edx, %%edx\nmov $5, %%eax\nxsetbv"),
		 "XCR0 with AVX and no SSE");
	check_eq(GP, TRY("mov $1, %%ecx\nxor %%edx, %%edx\nmov $3, %%eax\nxsetbv"), "XCR1");
	check_eq(NONE, TRY("movabs $0x1234567800000000, %%rcx\nxor %%edx, %%edx\nmov $1, %%eax\nxsetbv"),
		 "the upper half of RCX");
	check_eq(NONE, TRY("xor %%ecx, %%ecx\nxor %%edx, %%edx\nmov $3, %%eax\nxsetbv"),
		 "XCR0 with x87 and SSE");
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	check_eq(3, lo, "XCR0 reads back");
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

int main(void)
{
	leaves();
	registers();
	faults();
	xcr0();
	return 0;
}
