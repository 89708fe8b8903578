// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single stepping over what the hypervisor executes: one trap after each instruction, and after
 * each iteration of a repeated one, with RIP and DR6 as on the CPU itself (SDM vol. 3B, 17.3.1.4),
 * and none for an instruction that faulted.
 *
 *	make test-guest T=guest/single_step
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define MAX_STEPS	64
#define VECTOR		0x71
#define DR6_BS		(1 << 14)
#define DR6_START	0xffff0ff0

static volatile unsigned int steps;
static uint64_t at[MAX_STEPS], dr6[MAX_STEPS], rcx_at[MAX_STEPS];

static void write_dr6(uint64_t value)
{
	asm volatile("mov %0, %%dr6" : : "r"(value));
}

static void on_step(struct frame *frame)
{
	uint64_t value;

	asm volatile("mov %%dr6, %0" : "=r"(value));
	if (steps < MAX_STEPS) {
		at[steps] = frame->rip;
		dr6[steps] = value;
		rcx_at[steps] = frame->rcx;
	}
	steps++;
	write_dr6(DR6_START);
}

/* Runs text with TF set before its first instruction and cleared behind its last one. */
#define STEP(text, ...) ({							\
	uint64_t start_, end_;							\
	steps = 0;								\
	write_dr6(DR6_START);							\
	asm volatile("lea 1f(%%rip), %%rax\nmov %%rax, %[start]\n"		\
		     "lea 2f(%%rip), %%rax\nmov %%rax, %[end]\n"		\
		     "pushfq\norq $0x100, (%%rsp)\npopfq\n"			\
		     "1: " text "\n2: pushfq\nandq $~0x100, (%%rsp)\npopfq\n"	\
		     : [start] "=m"(start_), [end] "=m"(end_) : __VA_ARGS__	\
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "memory", "cc"); \
	start_at = start_;							\
	end_at = end_; })

static uint64_t start_at, end_at;

/*
 * The instruction behind @number steps of @text is the one that clears TF, of which PUSHF and AND
 * are stepped over too; POPF clears TF at its end and does trap.
 */
static void expect(const char *text, unsigned int number)
{
	unsigned int there = 0;

	while (there < steps && there < MAX_STEPS && at[there] != end_at)
		there++;
	check(there + 1 == number && steps == number + 3, "%s: %u steps to its end, %u in all",
	      text, there + 1, steps);
	for (unsigned int i = 0; i < number && i < MAX_STEPS; i++) {
		check(dr6[i] == (DR6_START | DR6_BS), "%s: DR6 is %lx at step %u", text, dr6[i], i);
		check(at[i] >= start_at && at[i] <= end_at, "%s: a step at %lx", text, at[i]);
	}
}

static uint8_t buffer[64];

static void ports(void)
{
	STEP("mov %[p], %%edx\nout %%al, (%%dx)", [p] "i"(PORT_LATCH));
	expect("OUT", 2);
	STEP("mov %[p], %%edx\nin (%%dx), %%eax", [p] "i"(PORT_LATCH));
	expect("IN", 2);
	STEP("in $0x60, %%al", "m"(buffer));
	expect("IN from an immediate port", 1);
	/* In the kernel: the PIT's counter. */
	STEP("in $0x40, %%al", "m"(buffer));
	expect("IN of the kernel's device", 1);
	/* Stock KVM forgets the trap of OUTS, and those between the iterations of what is repeated. */
	if (boot_info()->reference)
		return;
	STEP("mov %[p], %%edx\nlea %[b], %%rsi\noutsb", [p] "i"(PORT_FIFO), [b] "m"(buffer));
	expect("OUTS", 3);
	STEP("mov %[p], %%edx\nlea %[b], %%rdi\ninsb", [p] "i"(PORT_FIFO), [b] "m"(buffer));
	expect("INS", 3);
	STEP("mov $4, %%ecx\nmov %[p], %%edx\nlea %[b], %%rsi\nrep outsb", [p] "i"(PORT_FIFO),
	     [b] "m"(buffer));
	expect("REP OUTS", 7);
	check(rcx_at[3] == 3 && rcx_at[6] == 0, "REP OUTS: rcx %lu, %lu", rcx_at[3], rcx_at[6]);
	STEP("mov $4, %%ecx\nmov %[p], %%edx\nlea %[b], %%rdi\nrep insb", [p] "i"(PORT_FIFO),
	     [b] "m"(buffer));
	expect("REP INS", 7);
}

static void device_memory(void)
{
	STEP("mov %[d], %%edi\nmovl (%%rdi), %%ebx", [d] "i"(MMIO_GPA));
	expect("load", 2);
	/* What goes to userspace: stock KVM forgets the trap of a write. */
	if (!boot_info()->reference) {
		STEP("mov %[d], %%edi\nmovl %%eax, (%%rdi)", [d] "i"(MMIO_GPA));
		expect("store", 2);
		STEP("mov %[d], %%edi\naddl %%eax, (%%rdi)", [d] "i"(MMIO_GPA));
		expect("read-modify-write", 2);
		STEP("mov %[d], %%edi\nlock xaddl %%eax, (%%rdi)", [d] "i"(MMIO_GPA));
		expect("LOCK XADD", 2);
		STEP("mov %[d], %%edi\npushq (%%rdi)\npopq (%%rdi)", [d] "i"(MMIO_GPA));
		expect("PUSH and POP", 3);
		STEP("mov %[d], %%edi\nlea %[b], %%rsi\nmov $3, %%ecx\nrep movsb",
		     [d] "i"(MMIO_GPA), [b] "m"(buffer));
		expect("REP MOVS to it", 6);
		STEP("mov %[d], %%edi\nmovups %%xmm0, (%%rdi)", [d] "i"(MMIO_GPA));
		expect("a vector's store", 2);
		STEP("mov %[d], %%esi\nlea %[b], %%rdi\nmov $3, %%ecx\nrep movsb",
		     [d] "i"(MMIO_GPA), [b] "m"(buffer));
		expect("REP MOVS from it", 6);
		check(rcx_at[3] == 2 && rcx_at[5] == 0, "REP MOVS: rcx %lu, %lu", rcx_at[3],
		      rcx_at[5]);
	}
	STEP("mov %[d], %%edi\nxor %%eax, %%eax\ncmpb (%%rdi), %%al\nrepne scasb",
	     [d] "i"(MMIO_GPA));
	check(steps >= 4, "REPNE SCAS: %u steps", steps);
	/* The LAPIC's page, which some CPUs have by themselves. */
	STEP("mov $0xfee00080, %%edi\nmovl (%%rdi), %%ebx\nmovl %%ebx, (%%rdi)", "m"(buffer));
	expect("LAPIC", 3);
	STEP("mov $0xfee000b0, %%edi\nmovl $0, (%%rdi)", "m"(buffer));
	expect("EOI", 2);
}

static void system_instructions(void)
{
	STEP("xor %%eax, %%eax\ncpuid", "m"(buffer));
	expect("CPUID", 2);
	STEP("mov $0x10, %%ecx\nrdmsr", "m"(buffer));
	expect("RDMSR", 2);
	STEP("mov $0x1b, %%ecx\nrdmsr\nwrmsr", "m"(buffer));
	expect("WRMSR", 3);
	STEP("mov $0x277, %%ecx\nrdmsr\nwrmsr", "m"(buffer));
	expect("WRMSR of PAT", 3);
	STEP("rdtsc", "m"(buffer));
	expect("RDTSC", 1);
	STEP("mov %%cr0, %%rax\nmov %%rax, %%cr0\nmov %%cr3, %%rax\nmov %%rax, %%cr3\n"
	     "mov %%cr4, %%rax\nmov %%rax, %%cr4", "m"(buffer));
	expect("MOV CR", 6);
	STEP("mov %%cr8, %%rax\nmov %%rax, %%cr8", "m"(buffer));
	expect("MOV CR8", 2);
	STEP("clts\nsmsw %%eax\nlmsw %%ax", "m"(buffer));
	expect("CLTS, SMSW, LMSW", 3);
	STEP("wbinvd\ninvlpg %[b]", [b] "m"(buffer));
	expect("WBINVD, INVLPG", 2);
	STEP("mov %%dr0, %%rax\nmov %%rax, %%dr0\nmov %%dr7, %%rax\nmov %%rax, %%dr7", "m"(buffer));
	expect("MOV DR", 4);
	STEP("pause\nnop", "m"(buffer));
	expect("PAUSE", 2);
	if (cpuid(1, 0).ecx & 1 << 26) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		STEP("xor %%ecx, %%ecx\nxgetbv\nxsetbv", "m"(buffer));
		expect("XSETBV", 3);
		write_cr4(read_cr4() & ~(uint64_t)CR4_OSXSAVE);
	}
}

static volatile int interrupts;

static void on_interrupt(struct frame *frame)
{
	(void)frame;
	interrupts++;
	lapic_eoi();
}

/* The trap that HLT leaves ends it, whatever IF is. */
static void halt(void)
{
	host_call(HOST_NMI, 0, 3000, 0, 0, 0);	/* so that a hang is a failure soon */
	STEP("hlt", "m"(buffer));
	expect("HLT", 1);
	/* One that is pending comes behind the trap, between the same instructions. */
	set_handler(VECTOR, on_interrupt);
	lapic_ipi(0, ICR_SELF | ICR_ASSERT | VECTOR);
	STEP("sti\nhlt\ncli", "m"(buffer));
	check_eq(1, interrupts, "interrupt with HLT under TF");
}

/* A fault's frame has TF, and no trap belongs to the instruction. */
static void faulting(void)
{
	uint64_t gva = 0x60000000000;

	steps = 0;
	check_eq(PF,
		 TRY("mov %[d], %%edi\nmov %[a], %%rsi\npushfq\norq $0x100, (%%rsp)\npopfq\nmovsl",
		     [d] "i"(MMIO_GPA), [a] "r"(gva)),
		 "MOVS from nothing to a device");
	check_eq(RFLAGS_TF, fault.rflags & RFLAGS_TF, "TF in the fault's frame");
	check_eq(0, steps, "steps");
	check_eq(GP, TRY("mov $0x11111111, %%ecx\npushfq\norq $0x100, (%%rsp)\npopfq\nrdmsr"),
		 "RDMSR of nothing");
	check_eq(RFLAGS_TF, fault.rflags & RFLAGS_TF, "TF in the fault's frame");
	check_eq(0, steps, "steps");
}

int main(void)
{
	set_handler(DB, on_step);
	ports();
	device_memory();
	system_instructions();
	faulting();
	halt();
	return 0;
}
