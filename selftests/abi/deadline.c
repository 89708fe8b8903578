// SPDX-License-Identifier: GPL-2.0-only
/*
 * The LAPIC timer's TSC deadline (SDM vol. 3A, "TSC-Deadline Mode"): never early, never lost, whether the
 * guest spins, halts or is out of KVM_RUN; and what it costs the host.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define ROUNDS		500
#define VECTOR		0x65
#define X2APIC		(1U << 21)
#define TSC_DEADLINE	(1U << 24)	/* of CPUID leaf 1's ECX, which not every version tells of here */
#define GDT_GPA		VM_DATA_GPA
#define IDT_GPA		(VM_DATA_GPA + VM_PAGE_SIZE)
#define HANDLER_GPA	(VM_CODE_GPA + 0x400)
#define MSR_DEADLINE	0x6e0
#define MSR_TSC		0x10
#define APIC_IRR	0x200
#define DONE_PORT	0x10
#define EARLY_PORT	0x11
#define ONE_PORT	0x12

/* x2APIC mode, software enable, the timer's vector in TSC-deadline mode. */
#define ENABLE_APIC								\
	"movl $0x1b, %ecx\n rdmsr\n orl $0xc00, %eax\n wrmsr\n"			\
	"movl $0x80f, %ecx\n movl $0x1ff, %eax\n xorl %edx, %edx\n wrmsr\n"	\
	"movl $0x832, %ecx\n movl $0x40065, %eax\n wrmsr\n"

/* Sets a deadline RDI cycles from now, and leaves it in R8. */
#define SET_DEADLINE								\
	"rdtsc\n shlq $32, %rdx\n orq %rdx, %rax\n addq %rdi, %rax\n"		\
	"movq %rax, %r8\n movq %rax, %rdx\n shrq $32, %rdx\n"			\
	"movl $0x6e0, %ecx\n wrmsr\n"

/* EBP times: a deadline, and WAIT for the handler to count it in EBX. */
#define ROUND(wait)								\
	ENABLE_APIC								\
	"xorl %ebx, %ebx\n"							\
	"1: movl %ebx, %esi\n"							\
	SET_DEADLINE								\
	wait									\
	"rdtsc\n shlq $32, %rdx\n orq %rdx, %rax\n"				\
	"cmpq %r8, %rax\n jae 3f\n outb %al, $0x11\n"				\
	"3: cmpl %ebp, %ebx\n jb 1b\n"						\
	"4: outb %al, $0x10\n jmp 4b\n"

GUEST_CODE(spin, 64, ROUND("sti\n 2: cmpl %esi, %ebx\n je 2b\n cli\n"));
GUEST_CODE(halt, 64, ROUND("2: sti\n hlt\n cli\n cmpl %esi, %ebx\n je 2b\n"));
GUEST_CODE(leave, 64, ENABLE_APIC SET_DEADLINE "outb %al, $0x12\n sti\n 1: testl %ebx, %ebx\n je 1b\n"
	   "2: outb %al, $0x10\n jmp 2b\n");
GUEST_CODE(handler, 64,
	   "pushq %rax\n pushq %rcx\n pushq %rdx\n"
	   "movl $0x80b, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr\n"
	   "incl %ebx\n"
	   "popq %rdx\n popq %rcx\n popq %rax\n iretq\n");

FIXTURE(deadline)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint64_t khz;
};

static int set_tables(struct vm *vm, struct vcpu *vcpu)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	const uint64_t gate[] = { (HANDLER_GPA & 0xffff) | 8 << 16 | 0x8e00ULL << 32, 0 };
	struct kvm_sregs sregs;

	vm_copy_in(vm, GDT_GPA, gdt, sizeof(gdt));
	vm_copy_in(vm, IDT_GPA + 16 * VECTOR, gate, sizeof(gate));
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.gdt.base = GDT_GPA;
	sregs.gdt.limit = sizeof(gdt) - 1;
	sregs.idt.base = IDT_GPA;
	sregs.idt.limit = 0xfff;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

FIXTURE_SETUP(deadline)
{
	int khz;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_with(&self->vm, self->vcpu, X2APIC | TSC_DEADLINE));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, set_tables(&self->vm, self->vcpu));
	vm_load(&self->vm, HANDLER_GPA, handler);
	khz = ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ);
	ASSERT_LT(0, khz);
	self->khz = khz;
}

FIXTURE_TEARDOWN(deadline)
{
	vm_close(&self->vm);
}

static int run(struct vcpu *vcpu, uint64_t delta, uint32_t rounds)
{
	struct kvm_regs regs = { .rip = VM_CODE_GPA, .rsp = VM_STACK_GPA, .rflags = 2, .rdi = delta,
				 .rbp = rounds };

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return -1;
	if (vcpu_run(vcpu) != KVM_EXIT_IO)
		return -1;
	return vcpu->run->io.port;
}

TEST_F(deadline, while_it_spins)
{
	vm_load(&self->vm, VM_CODE_GPA, spin);
	ASSERT_EQ(DONE_PORT, run(self->vcpu, self->khz / 5, ROUNDS));
	if (dev_is_reference())
		return;
	TH_LOG("%ld exits, %ld for the timer, %ld timers of the host", vm_counter("exits"),
	       vm_counter("exit:PREEMPTION_TIMER"), vm_counter("host_timers"));
	if (vendor_param("vmx_preemption_timer")) {
		EXPECT_LE(ROUNDS, vm_counter("exit:PREEMPTION_TIMER"));
		EXPECT_EQ(0, vm_counter("host_timers"));
	} else {
		EXPECT_EQ(0, vm_counter("exit:PREEMPTION_TIMER"));
		EXPECT_LE(ROUNDS / 2, vm_counter("host_timers"));
	}
}

TEST_F(deadline, while_it_is_halted)
{
	vm_load(&self->vm, VM_CODE_GPA, halt);
	ASSERT_EQ(DONE_PORT, run(self->vcpu, self->khz, ROUNDS / 5));
	if (!dev_is_reference())
		EXPECT_LE(ROUNDS / 10, vm_counter("host_timers"));
}

/* So short that it is over before the guest runs again, or never set. */
TEST_F(deadline, that_is_over_at_once)
{
	vm_load(&self->vm, VM_CODE_GPA, spin);
	EXPECT_EQ(DONE_PORT, run(self->vcpu, 0, ROUNDS));
	EXPECT_EQ(DONE_PORT, run(self->vcpu, 200, ROUNDS));
}

TEST_F(deadline, while_the_thread_is_elsewhere)
{
	struct kvm_lapic_state state;
	uint64_t value;

	if (dev_is_reference())
		SKIP(return, "stock KVM shows it only when the guest runs");
	vm_load(&self->vm, VM_CODE_GPA, leave);
	ASSERT_EQ(ONE_PORT, run(self->vcpu, 5 * self->khz, 0));
	usleep(50000);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &state));
	EXPECT_EQ(1U << (VECTOR % 32), *(uint32_t *)&state.regs[APIC_IRR + VECTOR / 32 * 16]);
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_DEADLINE, &value));
	EXPECT_EQ(0UL, value);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(DONE_PORT, self->vcpu->run->io.port);
}

/* The deadline is one of the guest's TSC, wherever the VMM moves that. */
TEST_F(deadline, follows_the_tsc)
{
	uint64_t tsc;

	if (dev_is_reference())
		SKIP(return, "stock KVM's timer stays as it was set");
	vm_load(&self->vm, VM_CODE_GPA, leave);
	ASSERT_EQ(ONE_PORT, run(self->vcpu, 3600 * 1000 * self->khz, 0));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &tsc));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_TSC, tsc + 3601 * 1000 * self->khz));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(DONE_PORT, self->vcpu->run->io.port);
	/* And in small steps, by which a timer that was set by the old one would be late. */
	ASSERT_EQ(ONE_PORT, run(self->vcpu, 20 * 1000 * self->khz, 0));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &tsc));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_TSC, tsc + 21 * 1000 * self->khz));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(DONE_PORT, self->vcpu->run->io.port);
}

/* The host's clock goes at a rate of its own, here slower by a tenth: a deadline has passed when the TSC says so. */
TEST_F(deadline, that_has_passed_is_not_lost_by_the_next)
{
	struct timex slow = { .modes = ADJ_TICK, .tick = 9000 }, usual = { .modes = ADJ_TICK, .tick = 10000 };
	struct kvm_lapic_state state;
	struct kvm_regs regs;
	uint64_t tsc;

	if (dev_is_reference())
		SKIP(return, "stock KVM goes by the host's clock");
	vm_load(&self->vm, VM_CODE_GPA, leave);
	ASSERT_LE(0, adjtimex(&slow));
	EXPECT_EQ(ONE_PORT, run(self->vcpu, 200 * self->khz, 0));
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	do {
		ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &tsc));
	} while (tsc < regs.r8);
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_DEADLINE, tsc + 3600 * 1000 * self->khz));
	ASSERT_LE(0, adjtimex(&usual));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &state));
	EXPECT_EQ(1U << (VECTOR % 32), *(uint32_t *)&state.regs[APIC_IRR + VECTOR / 32 * 16]);
}

TEST_HARNESS_MAIN
