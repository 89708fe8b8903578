// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts from one vCPU to another that runs on another CPU: all arrive, and where they are posted (VT-x,
 * vmx_posted_interrupts) they end no run of the receiver's.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include "kselftest_harness.h"
#include "vm.h"

#define ROUNDS		2000
#define RECEIVER_GPA	0x9000UL
#define HANDLER_GPA	0xa000UL
#define GDT_GPA		0xb000UL
#define IDT_GPA		0xc000UL
#define VECTOR		0x61
#define LAPIC_GPA	0xfee00000UL

/* RDI: the counter, RSI: the LAPIC, EBX: how many. Each ends with an OUT. */
GUEST_CODE(sender, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n"
	   "0: cmpl $0, 8(%rdi)\n je 0b\n"		/* the receiver is there */
	   "1: movl (%rdi), %eax\n"
	   "movl $0x01000000, 0x310(%rsi)\n"		/* to LAPIC 1 */
	   "movl $0x4061, 0x300(%rsi)\n"		/* fixed, VECTOR */
	   "2: cmpl %eax, (%rdi)\n je 2b\n"
	   "decl %ebx\n jnz 1b\n outb %al, $0x10\n");
GUEST_CODE(receiver, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n sti\n movl $1, 8(%rdi)\n"
	   "1: cmpl %ebx, (%rdi)\n jne 1b\n outb %al, $0x10\n");
GUEST_CODE(halting, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n movl $1, 8(%rdi)\n"
	   "1: sti\n hlt\n cli\n cmpl %ebx, (%rdi)\n jne 1b\n outb %al, $0x10\n");
GUEST_CODE(exiting, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n movl %ebx, %r8d\n sti\n movl $1, 8(%rdi)\n"
	   "1: cpuid\n cmpl %r8d, (%rdi)\n jne 1b\n outb %al, $0x10\n");
GUEST_CODE(handler, 64, "incl (%rdi)\n movl $0, 0xb0(%rsi)\n iretq\n");

FIXTURE(posted)
{
	struct vm vm;
	struct vcpu *sender, *receiver;
};

static int set_tables(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.gdt.base = GDT_GPA;
	sregs.gdt.limit = 23;
	sregs.idt.base = IDT_GPA;
	sregs.idt.limit = 4095;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

static int prepare(struct vm *vm, struct vcpu *vcpu, uint64_t code, uint64_t stack)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs;

	if (vcpu_cpuid_all(vm, vcpu) || vcpu_long_mode(vm, vcpu, code) || set_tables(vcpu) ||
	    ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable) || ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rsp = stack;
	regs.rdi = VM_DATA_GPA;
	regs.rsi = LAPIC_GPA;
	regs.rbx = ROUNDS;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

FIXTURE_SETUP(posted)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	static const uint64_t gate[] = { HANDLER_GPA | 8 << 16 | 0x8eUL << 40, 0 };

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU));
	self->sender = &self->vm.vcpu[0];
	self->receiver = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, self->receiver);
	vm_load(&self->vm, VM_CODE_GPA, sender);
	vm_load(&self->vm, RECEIVER_GPA, receiver);
	vm_load(&self->vm, HANDLER_GPA, handler);
	vm_copy_in(&self->vm, GDT_GPA, gdt, sizeof(gdt));
	vm_copy_in(&self->vm, IDT_GPA + 16 * VECTOR, gate, sizeof(gate));
	ASSERT_EQ(0, prepare(&self->vm, self->sender, VM_CODE_GPA, VM_STACK_GPA));
	ASSERT_EQ(0, prepare(&self->vm, self->receiver, RECEIVER_GPA, VM_STACK_GPA + 0x1000));
}

FIXTURE_TEARDOWN(posted)
{
	vm_close(&self->vm);
}

/* The @nth CPU that this thread may run on, for it alone; -1 where there are fewer. */
static int take_cpu(int nth)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set) || nth--)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		return sched_setaffinity(0, sizeof(set), &set);
	}
	return -1;
}

struct thread {
	struct vcpu *vcpu;
	int nth, reason;
};

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	t->reason = take_cpu(t->nth) ? -1 : vcpu_run(t->vcpu);
	return NULL;
}

/* Both to their ends. Exits by host interrupts that it took, of both; -1 for trouble. */
static long run_both(struct vcpu *first, struct vcpu *second)
{
	struct thread threads[] = { { first, 0, 0 }, { second, 1, 0 } };
	pthread_t ids[2];
	long before = vm_counter("exit:EXTERNAL_INTERRUPT");

	for (int i = 0; i < 2; i++)
		if (pthread_create(&ids[i], NULL, run_thread, &threads[i]))
			return -1;
	for (int i = 0; i < 2; i++)
		pthread_join(ids[i], NULL);
	if (threads[0].reason != KVM_EXIT_IO || threads[1].reason != KVM_EXIT_IO)
		return -1;
	return vm_counter("exit:EXTERNAL_INTERRUPT") - before;
}

static bool two_cpus(void)
{
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) > 1;
}

TEST_F(posted, to_a_running_vcpu)
{
	long exits;

	if (!two_cpus())
		SKIP(return, "one CPU");
	exits = run_both(self->sender, self->receiver);
	ASSERT_LE(0, exits);
	printf("# %d interrupts, %ld exits for host interrupts\n", ROUNDS, exits);
	if (vendor_param("vmx_posted_interrupts")) {
		EXPECT_GE(ROUNDS / 4, exits);
	} else if (vendor_param("vmx_interrupt_delivery")) {
		/* A kick each: so what is counted above is the right thing. */
		EXPECT_LE(ROUNDS / 2, exits);
	}
}

/* Notifications find the CPU outside of the guest as often as in it. */
TEST_F(posted, to_an_exiting_vcpu)
{
	if (!two_cpus())
		SKIP(return, "one CPU");
	vm_load(&self->vm, RECEIVER_GPA, exiting);
	EXPECT_LE(0, run_both(self->sender, self->receiver));
}

TEST_F(posted, to_a_halting_vcpu)
{
	if (!two_cpus())
		SKIP(return, "one CPU");
	vm_load(&self->vm, RECEIVER_GPA, halting);
	EXPECT_LE(0, run_both(self->sender, self->receiver));
}

TEST_HARNESS_MAIN
