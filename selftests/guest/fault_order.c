// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which of several exceptions an instruction raises, and in which order events come that are due at
 * one boundary (SDM vol. 3A, table 6-2; APM vol. 2, table 8-9).
 *
 *	make test-guest T=guest/fault_order
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define VECTOR		0x74
#define DR7_L0		0x402
#define DR7_GD		(1 << 13)
#define DR6_START	0xffff0ff0
#define ABSENT		0x70000000000UL
#define NOT_CANONICAL	0x8000000000000000UL

static struct {
	uint8_t vector;
	uint64_t rip;
} order[16];
static volatile int nr;
uint64_t saved_rsp;

static void write_dr(int which, uint64_t value)
{
	if (which == 0)
		asm volatile("mov %0, %%dr0" : : "r"(value));
	else if (which == 6)
		asm volatile("mov %0, %%dr6" : : "r"(value));
	else
		asm volatile("mov %0, %%dr7" : : "r"(value));
}

static void note(const struct frame *frame)
{
	order[nr & 15].vector = frame->vector;
	order[nr++ & 15].rip = frame->rip;
}

static void on_debug(struct frame *frame)
{
	note(frame);
	write_dr(6, DR6_START);
	frame->rflags |= RFLAGS_RF;
	/* Only for the one trap that is wanted. */
	frame->rflags &= ~RFLAGS_TF;
}

static void on_interrupt(struct frame *frame)
{
	note(frame);
	lapic_eoi();
}

/* An execution breakpoint on text: #DB first; with RF the instruction is executed, or faults. */
#define BREAK_ON(setup, text, ...) ({							\
	void *at_;								\
	int vector_;								\
	asm volatile("lea 97f(%%rip), %0" : "=r"(at_));				\
	nr = 0;									\
	write_dr(0, (uintptr_t)at_);						\
	write_dr(7, DR7_L0);							\
	vector_ = TRY(setup "\n97: " text, ##__VA_ARGS__);				\
	write_dr(7, 0x400);							\
	check_eq(1, nr, "breakpoints on " text);				\
	check_eq((uintptr_t)at_, order[0].rip, "breakpoint on " text);		\
	vector_; })

static void breakpoint_first(void)
{
	static volatile uint32_t *device = (volatile uint32_t *)MMIO_GPA;

	check_eq(UD, BREAK_ON("", "ud2"), "UD2 behind it");
	check_eq(PF, BREAK_ON("", "mov (%[a]), %%eax", [a] "r"(ABSENT)), "load from nothing");
	check_eq(GP, BREAK_ON("", "mov (%[a]), %%eax", [a] "r"(NOT_CANONICAL)),
		 "load from nowhere");
	check_eq(GP, BREAK_ON("mov $0x11111111, %%ecx", "rdmsr"), "RDMSR of nothing");
	check_eq(NONE, BREAK_ON("mov $0x1b, %%ecx", "rdmsr"), "RDMSR");
	check_eq(NONE, BREAK_ON("mov $0x610, %%edx", "out %%al, (%%dx)"), "OUT");
	check_eq(NONE, BREAK_ON("", "push %%rbx\npop %%rbx"), "PUSH");
	*device = 5;
	check_eq(NONE, BREAK_ON("", "incl (%[d])", [d] "r"(device)), "INC of a device");
	check_eq(6, *device, "which was done once");
	check_eq(NONE, BREAK_ON("", "mov %%cr0, %%rcx"), "MOV from CR0");
	check_eq(NONE, BREAK_ON("", "mov %[c], %%cr3", [c] "r"(read_cr3())), "MOV to CR3");
}

static long user_lock_cli(void)
{
	asm volatile(".byte 0xf0, 0xfa");
	return 0;
}

static long user_cr5(void)
{
	asm volatile(".byte 0x0f, 0x20, 0xe8" : : : "rax");
	return 0;
}

static long user_dr(void)
{
	asm volatile("mov %%dr7, %%rax" : : : "rax");
	return 0;
}

static long user_rdmsr(void)
{
	asm volatile("rdmsr" : : "c"(0x11111111) : "rax", "rdx");
	return 0;
}

static long user_in(void)
{
	asm volatile("mov %0, %%rdi\nmov $0x610, %%edx\ninsb"
		     :
		     : "r"(ABSENT)
		     : "rdi", "rdx", "memory");
	return 0;
}

static long user_out(void)
{
	asm volatile("mov %0, %%rsi\nmov $0x610, %%edx\noutsb" : : "r"(ABSENT)
		     : "rsi", "rdx", "memory");
	return 0;
}

static void opcode_then_privilege(void)
{
	check_eq(-UD - 1, run_user(user_lock_cli), "LOCK CLI at CPL 3");
	check_eq(-UD - 1, run_user(user_cr5), "MOV from CR5 at CPL 3");
	check_eq(-GP - 1, run_user(user_rdmsr), "RDMSR at CPL 3");
	/* By the manual no #DB comes before; Bochs looks at DR7.GD first, which is not asked here. */
	write_dr(7, 0x400 | DR7_GD);
	check_eq(-GP - 1, run_user(user_dr), "MOV DR at CPL 3 with DR7.GD");
	write_dr(7, 0x400);
	/* The right to the port before the memory operand. */
	check_eq(-GP - 1, run_user(user_in), "INS to nothing without the right");
	check_eq(-GP - 1, run_user(user_out), "OUTS from nothing without the right");
	check_eq(PF, TRY("mov $0x610, %%edx\ninsb", "D"(ABSENT)), "INS to nothing");
	check_eq(2, fault.error, "its error code");
	check_eq(PF, TRY("mov $0x610, %%edx\noutsb", "S"(ABSENT)), "OUTS from nothing");
	check_eq(0, fault.error, "its error code");
}

static void coprocessor_before_memory(void)
{
	write_cr0(read_cr0() | CR0_TS);
	check_eq(NM, TRY("fldl (%[a])", [a] "r"(ABSENT)), "FLD from nothing with CR0.TS");
	check_eq(NM, TRY("movups (%[a]), %%xmm0", [a] "r"(ABSENT)), "MOVUPS likewise");
	check_eq(NM, TRY("movups (%[a]), %%xmm0", [a] "r"(MMIO_GPA)), "MOVUPS from a device");
	check_eq(NM, TRY("movups %%xmm0, (%[a])", [a] "r"(MMIO_GPA)), "MOVUPS to a device");
	write_cr0((read_cr0() & ~CR0_TS) | CR0_EM);
	check_eq(UD, TRY("movups (%[a]), %%xmm0", [a] "r"(MMIO_GPA)), "MOVUPS with CR0.EM");
	write_cr0(read_cr0() & ~CR0_EM);
	write_cr4(read_cr4() & ~CR4_OSFXSR);
	check_eq(UD, TRY("movups (%[a]), %%xmm0", [a] "r"(MMIO_GPA)), "MOVUPS without OSFXSR");
	write_cr4(read_cr4() | CR4_OSFXSR);
	/* Alignment is looked at before the page, and on devices as well. */
	check_eq(GP, TRY("movaps (%[a]), %%xmm0", [a] "r"(MMIO_GPA + 8)), "MOVAPS, not aligned");
	check_eq(0, fault.error, "its error code");
	check_eq(GP, TRY("movaps %%xmm0, (%[a])", [a] "r"(MMIO_GPA + 4)), "the store");
}

/* The other operand of an instruction that the hypervisor executes. */
static void addresses_of_the_emulated(void)
{
	check_eq(GP, TRY("movsl", "S"(MMIO_GPA), "D"(NOT_CANONICAL)), "MOVS to nowhere");
	check_eq(0, fault.error, "its error code");
	check_eq(GP, TRY("movsl", "S"(NOT_CANONICAL), "D"(MMIO_GPA)), "MOVS from nowhere");
	/* Stock KVM does not see that its end is none. */
	if (!boot_info()->reference)
		check_eq(GP, TRY("movsq", "S"(MMIO_GPA), "D"(0x7ffffffffffdUL)),
			 "MOVS across the end of the lower half");
	check_eq(PF, TRY("movsl", "S"(MMIO_GPA), "D"(ABSENT)), "MOVS to nothing");
	check_eq(2, fault.error, "its error code");
	check_eq(PF, TRY("movsl", "S"(ABSENT), "D"(MMIO_GPA)), "MOVS from nothing");
	check_eq(0, fault.error, "its error code");
	set_gate_ist(SS, 1);
	set_gate_ist(GP, 1);
	set_gate_ist(PF, 1);
	check_eq(
		SS,
		TRY("mov %%rsp, saved_rsp(%%rip)\nmov %[s], %%rsp\nlea 98f(%%rip), %%rax\n"
		    "mov %%rax, %c[resume](%[fault])\npushq (%[d])\n98: mov saved_rsp(%%rip), %%rsp",
		    [s] "r"(NOT_CANONICAL), [d] "r"(MMIO_GPA)),
		"PUSH of a device's contents to a stack that is nowhere");
	check_eq(0, fault.error, "its error code");
	check_eq(
		PF,
		TRY("mov %%rsp, saved_rsp(%%rip)\nmov %[s], %%rsp\nlea 98f(%%rip), %%rax\n"
		    "mov %%rax, %c[resume](%[fault])\npushq (%[d])\n98: mov saved_rsp(%%rip), %%rsp",
		    [s] "r"(ABSENT + 8), [d] "r"(MMIO_GPA)),
		"PUSH of a device's contents to a stack that is absent");
	check_eq(2, fault.error, "its error code");
	check_eq(ABSENT, fault.cr2, "its address");
	set_gate_ist(SS, 0);
	set_gate_ist(GP, 0);
	set_gate_ist(PF, 0);
}

/* A trap of the instruction that sent an interrupt to its own CPU is taken before that. */
static void trap_before_interrupt(void)
{
	uint64_t next;

	nr = 0;
	asm volatile("lea 97f(%%rip), %0\nsti\npushfq\norq $0x100, (%%rsp)\npopfq\n"
		     "movl %1, (%2)\n97: nop\ncli\npushfq\nandq $~0x100, (%%rsp)\npopfq"
		     : "=&r"(next)
		     : "i"(ICR_SELF | ICR_ASSERT | VECTOR), "r"(0xfee00000UL + APIC_ICR_LOW)
		     : "memory", "cc");
	check_eq(2, nr, "events");
	check_eq(DB, order[0].vector, "the first");
	check_eq(next, order[0].rip, "where");
	check_eq(VECTOR, order[1].vector, "the second");
	check_eq(next, order[1].rip, "where");
}

static volatile bool first_nmi;

static void on_nmi(struct frame *frame)
{
	note(frame);
	if (!first_nmi)
		return;
	first_nmi = false;
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	lapic_ipi(0, ICR_SELF | ICR_ASSERT | VECTOR);
	frame->rflags |= RFLAGS_IF;
}

/* In an NMI's handler one more of them and an interrupt become due: its IRET opens for both. */
static void nmi_before_interrupt(void)
{
	set_handler(NMI, on_nmi);
	nr = 0;
	first_nmi = true;
	lapic_ipi(0, ICR_NMI | ICR_ASSERT);
	check(wait_for(nr == 3, 1000), "%d events", nr);
	cli();
	check_eq(NMI, order[1].vector, "the first after IRET");
	check_eq(VECTOR, order[2].vector, "the second");
	check_eq(order[1].rip, order[2].rip, "both before the next instruction");
}

int main(void)
{
	set_handler(DB, on_debug);
	set_handler(VECTOR, on_interrupt);
	breakpoint_first();
	opcode_then_privilege();
	coprocessor_before_memory();
	addresses_of_the_emulated();
	trap_before_interrupt();
	nmi_before_interrupt();
	return 0;
}
