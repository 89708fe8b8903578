// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every MSR that the ABI lists, and those around them: what is read is what the VMM reads, what was
 * read can be written back, values with reserved bits get #GP(0) and change nothing, and what is no
 * MSR always gets #GP(0) (SDM vol. 4; APM vol. 2, appendix A).
 *
 *	make test-guest T=guest/msr_faults
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 60);

#define MAX_LIST	1024
#define POISON		0x5a5a1234

static uint32_t list[MAX_LIST];
static bool intel;
static uint64_t above_physical;		/* address bits that the CPU has not got */

static int try_rdmsr(uint32_t index, uint64_t *value)
{
	static uint32_t lo, hi;
	int vector;

	vector = TRY("mov %[i], %%ecx\nmov %[p], %%eax\nmov %[p], %%edx\nrdmsr\n"
		     "mov %%eax, %[lo]\nmov %%edx, %[hi]", [i] "r"(index),
		     [p] "i"(POISON), [lo] "m"(lo), [hi] "m"(hi), "m"(*value));
	*value = lo | (uint64_t)hi << 32;
	return vector;
}

static int try_wrmsr(uint32_t index, uint64_t value)
{
	return TRY("mov %k[i], %%ecx\nmov %k[v], %%eax\nmov %[v], %%rdx\nshr $32, %%rdx\nwrmsr",
		   [i] "r"((uint64_t)index), [v] "r"(value));
}

static bool listed(uint32_t index, int nr)
{
	for (int i = 0; i < nr; i++) {
		if (list[i] == index)
			return true;
	}
	return false;
}

/* HWCR is listed for guests that have AMD's CPUID, on whatever host. */
static bool other_vendors(uint32_t index)
{
	return intel && index == 0xc0010015;
}

/* Those that count time, or are the VMM's to write. */
static bool moves(uint32_t index)
{
	return index == 0x10 || index == 0x6e0;
}

static bool read_only(uint32_t index)
{
	switch (index) {
	case 0x34:		/* MSR_SMI_COUNT */
	case 0x8b:		/* the microcode's revision: Intel's guests clear it */
	case 0xce:		/* MSR_PLATFORM_INFO */
	case 0x10a:		/* IA32_ARCH_CAPABILITIES */
	case 0xcf:		/* IA32_CORE_CAPABILITIES */
	case 0x345:		/* IA32_PERF_CAPABILITIES */
	case 0x480 ... 0x493:	/* of nested VMX */
		return true;
	default:
		return false;
	}
}

/* IA32_SMBASE is there for a VMM that saves it; on CPUs it is for software in SMM. */
static bool vmms_alone(uint32_t index)
{
	return index == 0x9e;
}

static void all_listed(int nr)
{
	for (int i = 0; i < nr; i++) {
		uint64_t value = 0, outside = 0;
		int vector = try_rdmsr(list[i], &value);

		check_eq(1, host_call(HOST_MSR_READ, list[i], (uintptr_t)&outside, 0, 0, 0),
			 "KVM_GET_MSRS of what is listed");
		/* Stock KVM lists what its guests do not always have, as Hyper-V's. */
		if (vector == GP &&
		    (boot_info()->reference || other_vendors(list[i]) || vmms_alone(list[i])))
			continue;
		if (!check(vector == NONE, "RDMSR of %x, which is listed", list[i]))
			continue;
		check(moves(list[i]) || value == outside,
		      "MSR %x: the guest reads %lx, the VMM %lx", list[i], value, outside);
		/* Stock KVM lists what is read-only as well. */
		if (read_only(list[i]) || boot_info()->reference)
			continue;
		check(try_wrmsr(list[i], value) == NONE, "WRMSR of %x of what was read, %lx",
		      list[i], value);
		vector = try_rdmsr(list[i], &outside);
		check(moves(list[i]) || (vector == NONE && value == outside),
		      "MSR %x: %lx after writing back %lx", list[i], outside, value);
	}
}

/* The value is refused, and the register keeps what it had. */
static void refuses(uint32_t index, uint64_t value)
{
	uint64_t before = 0, after = 0;
	int readable = try_rdmsr(index, &before);

	check(try_wrmsr(index, value) == GP && !fault.error,
	      "%lx written to MSR %x: vector %ld error %lx", value, index, fault.vector,
	      fault.error);
	if (readable == NONE && !moves(index)) {
		try_rdmsr(index, &after);
		check(before == after, "MSR %x is %lx after a refused write, and was %lx", index,
		      after, before);
	}
}

static void memory_types(void)
{
	static const uint8_t none[] = { 2, 3, 7, 8, 0x80, 0xff };
	uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x26b, 0x26f };

	for (unsigned int byte = 0; byte < 64; byte += 8) {
		for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
			/* UC- is a type of the PAT's alone. */
			if (none[i] != 7)
				refuses(0x277, 0x0606060606060606 ^ (0x06ULL ^ none[i]) << byte);
			for (size_t j = 0; j < ARRAY_SIZE(fixed); j++)
				refuses(fixed[j], (uint64_t)none[i] << byte);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		refuses(0x2ff, 0xc00 | none[i]);
		refuses(0x200, none[i]);
	}
	for (int bit = 8; bit < 64; bit++) {
		if (bit != 10 && bit != 11)
			refuses(0x2ff, 1ULL << bit);
		if (bit < 12 || above_physical & 1ULL << bit)
			refuses(0x200 + 2 * 3, 6 | 1ULL << bit);
		if (bit < 11 || above_physical & 1ULL << bit)
			refuses(0x201 + 2 * 3, 1ULL << bit);
	}
	refuses(0xfe, 0);	/* IA32_MTRRCAP is read-only */
}

static void system_registers(void)
{
	uint64_t efer = rdmsr(MSR_EFER), base = rdmsr(0x1b), value;
	uint64_t known = 0xd01 | (intel ? 0 : 0x7f << 12 | 3 << 20);

	for (int bit = 0; bit < 64; bit++) {
		if (!(known & 1ULL << bit))
			refuses(MSR_EFER, efer | 1ULL << bit);
		/* BSP, EXTD, EN and the address. */
		if (bit < 8 || bit == 9 || above_physical & 1ULL << bit)
			refuses(0x1b, base | 1ULL << bit);
	}
	refuses(MSR_EFER, efer & ~(uint64_t)EFER_LME);
	refuses(0x1b, (base & ~(1ULL << 11)) | 1 << 10);
	/* What SPEC_CTRL and PRED_CMD take follows from CPUID; their upper bits are nobody's. */
	if (try_rdmsr(0x48, &value) == NONE && !boot_info()->reference) {
		refuses(0x48, 1ULL << 63);
		refuses(0x48, 1ULL << 32);
	}
	check_eq(GP, try_rdmsr(0x49, &value), "RDMSR of PRED_CMD");
	if (!boot_info()->reference)
		refuses(0x49, 2);
	/* Machine checks: status is cleared, by 0 alone. */
	refuses(0x401, 1);
	refuses(0x400 + 4 * 31 + 1, 1);
	refuses(0x179, 1);
	if (try_rdmsr(0xda0, &value) == NONE)
		refuses(0xda0, 1ULL << 62);
	/* Of paravirtual clocks: what is no bit of theirs. */
	if (intel && try_rdmsr(0xc0000103, &value) == NONE && !boot_info()->reference)
		refuses(0xc0000103, 1ULL << 32);
	/* Performance counters that no bit of CPUID tells of. */
	for (uint32_t counter = 0xc0010000; !intel && counter <= 0xc0010007; counter++) {
		check_eq(NONE, try_wrmsr(counter, 0), "WRMSR of a counter");
		check(try_rdmsr(counter, &value) == NONE && !value, "RDMSR of counter %x: %lx", counter, value);
	}
	if (!intel) {
		refuses(0xc0010015, 1 << 1);
		if (!boot_info()->reference)
			refuses(0xc0010114, 0);
	}
	for (uint32_t x2apic = 0x802; x2apic <= 0x83f; x2apic++) {
		check(try_rdmsr(x2apic, &value) == GP, "RDMSR of %x in xAPIC mode", x2apic);
		refuses(x2apic, 0);
	}
}

/* Ranges around what there is: the same answer twice, and #GP leaves EAX and EDX alone. */
static void around(uint32_t first, uint32_t last, int nr)
{
	uint32_t there = 0;

	for (uint32_t index = first; index <= last; index++) {
		uint64_t value = 0;
		int vector = try_rdmsr(index, &value);

		there += vector == NONE;
		check(vector == NONE || (vector == GP && !fault.error), "RDMSR of %x: vector %d",
		      index, vector);
		check(vector == NONE || !listed(index, nr) || boot_info()->reference ||
		      other_vendors(index) || vmms_alone(index),
		      "%x is listed and cannot be read", index);
		if (vector == GP && index > 0x20 && index != 0x49 && index != 0x79)
			check(try_rdmsr(index, &value) == GP, "RDMSR of %x once more", index);
	}
	print("%u of %x to %x can be read\n", there, first, last);
}

/* A refused RDMSR and WRMSR change no register. */
static void registers_kept(void)
{
	uint64_t rax, rdx, rcx, rip;

	fault.vector = NONE;
	asm volatile("lea 99f(%%rip), %%rax\nmov %%rax, %c[resume](%[fault])\n"
		     "mov $0x1111222233334444, %%rax\nmov $0x5555666677778888, %%rdx\n"
		     "mov $0x99990000deadbeef, %%rcx\nlea 98f(%%rip), %[rip]\n98: rdmsr\n99:"
		     : "=&a"(rax), "=&d"(rdx), "=&c"(rcx), [rip] "=&r"(rip)
		     : [fault] "r"(&fault), [resume] "i"(offsetof(struct fault, resume))
		     : "memory");
	fault.resume = 0;
	check_eq(GP, fault.vector, "RDMSR of nothing");
	check_eq(rip, fault.rip, "where");
	check(rax == 0x1111222233334444 && rdx == 0x5555666677778888 && rcx == 0x99990000deadbeef,
	      "RDMSR that faults: rax %lx rdx %lx rcx %lx", rax, rdx, rcx);
	/* One that does not clears the upper halves. */
	asm volatile("mov $-1, %%rax\nmov $-1, %%rdx\nrdmsr" : "=&a"(rax), "=&d"(rdx) : "c"(0x1b));
	check(!(rax >> 32) && !(rdx >> 32), "RDMSR: rax %lx rdx %lx", rax, rdx);
	/* The upper half of RCX is not tried: TCG then does not look at the MSRs that are intercepted. */
}

int main(void)
{
	int nr = host_call(HOST_MSR_LIST, (uintptr_t)list, MAX_LIST, 0, 0, 0);

	intel = cpuid(0, 0).ebx == 0x756e6547;	/* "Genu" */
	above_physical = ~0ULL << (cpuid(0x80000008, 0).eax & 0xff);
	check(nr > 30, "%d MSRs are listed", nr);
	print("%d MSRs are listed\n", nr);
	all_listed(nr);
	memory_types();
	system_registers();
	registers_kept();
	around(0, 0x1fff, nr);
	around(0x4b564cf0, 0x4b564e10, nr);
	around(0x40000000, 0x40000200, nr);
	around(0xc0000000, 0xc0000fff, nr);
	around(0xc0010000, 0xc0011fff, nr);
	return 0;
}
