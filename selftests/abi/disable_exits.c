// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_X86_DISABLE_EXITS: a guest that waits by itself still gets all that is sent to it. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define HANDLER_GPA	0x9000UL
#define GDT_GPA		0xb000UL
#define IDT_GPA		0xc000UL
#define VECTOR		0x61
#define TSC_DEADLINE	(1U << 24)	/* of CPUID leaf 1's ECX, which not every version tells of here */
#define LAPIC_GPA	0xfee00000UL
#define ROUNDS		200

/* RDI: a counter that the handler counts, RSI: the LAPIC, RBX: how many are wanted. */
GUEST_CODE(halting, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n movl $1, 8(%rdi)\n"
	   "1: sti\n hlt\n cli\n cmpl %ebx, (%rdi)\n jne 1b\n outb %al, $0x10\n");
/* The next interrupt by the LAPIC's timer, one shot, then HLT, which may end for nothing. */
GUEST_CODE(timer, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n"
	   "movl $0xb, 0x3e0(%rsi)\n"
	   "movl $0x61, 0x320(%rsi)\n"
	   "1: movl (%rdi), %r9d\n movl $2000000, 0x380(%rsi)\n"
	   "2: sti\n hlt\n cli\n cmpl %r9d, (%rdi)\n je 2b\n"
	   "cmpl %ebx, (%rdi)\n jne 1b\n outb %al, $0x10\n");
/* The same by the TSC deadline, a million cycles from now. */
GUEST_CODE(deadline, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n"
	   "movl $0x40061, 0x320(%rsi)\n"
	   "1: movl (%rdi), %r9d\n"
	   "rdtsc\n addl $1000000, %eax\n adcl $0, %edx\n movl $0x6e0, %ecx\n wrmsr\n"
	   "2: sti\n hlt\n cli\n cmpl %r9d, (%rdi)\n je 2b\n"
	   "cmpl %ebx, (%rdi)\n jne 1b\n outb %al, $0x10\n");
GUEST_CODE(pausing, 64,
	   "movl $200000, %ecx\n 1: pause\n loop 1b\n outb %al, $0x10\n");
GUEST_CODE(mwaiting, 64,
	   "movl $0x1ff, 0xf0(%rsi)\n movl $1, 8(%rdi)\n"
	   "1: leaq 64(%rdi), %rax\n xorl %ecx, %ecx\n xorl %edx, %edx\n monitor\n"
	   "xorl %eax, %eax\n sti\n mwait\n cli\n cmpl %ebx, (%rdi)\n jne 1b\n outb %al, $0x10\n");
GUEST_CODE(handler, 64, "incl (%rdi)\n movl $0, 0xb0(%rsi)\n iretq\n");

FIXTURE(disable_exits)
{
	struct vm vm;
	struct vcpu *vcpu;
	int all;
};

static void nothing(int sig)
{
	(void)sig;
}

FIXTURE_SETUP(disable_exits)
{
	struct sigaction action = { .sa_handler = nothing };

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->all = has_cap(&self->vm, KVM_CAP_X86_DISABLE_EXITS);
	if (!self->all)
		SKIP(return, "no KVM_CAP_X86_DISABLE_EXITS");
	sigaction(SIGUSR1, &action, NULL);
}

FIXTURE_TEARDOWN(disable_exits)
{
	vm_close(&self->vm);
}

static int start(struct vm *vm, struct vcpu *vcpu, uint32_t rounds)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	static const uint64_t gate[] = { HANDLER_GPA | 8 << 16 | 0x8eUL << 40, 0 };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_load(vm, HANDLER_GPA, handler);
	vm_copy_in(vm, GDT_GPA, gdt, sizeof(gdt));
	vm_copy_in(vm, IDT_GPA + 16 * VECTOR, gate, sizeof(gate));
	if (vcpu_cpuid_with(vm, vcpu, TSC_DEADLINE) || vcpu_long_mode(vm, vcpu, VM_CODE_GPA) ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) || ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	sregs.gdt.base = GDT_GPA;
	sregs.gdt.limit = 23;
	sregs.idt.base = IDT_GPA;
	sregs.idt.limit = 4095;
	regs.rsp = VM_STACK_GPA;
	regs.rdi = VM_DATA_GPA;
	regs.rsi = LAPIC_GPA;
	regs.rbx = rounds;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) || ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

static struct vcpu *new_vcpu(struct vm *vm, uint64_t exits, uint32_t rounds)
{
	struct vcpu *vcpu;

	if (enable_cap(vm->fd, KVM_CAP_X86_DISABLE_EXITS, exits))
		return NULL;
	vcpu = vm_add_vcpu(vm);
	return !vcpu || start(vm, vcpu, rounds) ? NULL : vcpu;
}

struct runner {
	struct vcpu *vcpu;
	int reason;
};

static void *run_thread(void *arg)
{
	struct runner *r = arg;

	r->reason = vcpu_run(r->vcpu);
	return NULL;
}

static int send(struct vm *vm)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

/* Interrupts from outside, each when the one before was taken, some right behind it and some when it halts. */
static int send_rounds(struct vm *vm, struct vcpu *vcpu)
{
	volatile uint32_t *count = (void *)(vm->mem + VM_DATA_GPA);
	struct runner r = { .vcpu = vcpu };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_thread, &r))
		return -1;
	while (!count[2])
		usleep(1000);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (i % 4 == 0)
			usleep(500);
		if (send(vm) != 1)
			return -1;
		while (*count == i)
			usleep(10);
	}
	pthread_join(thread, NULL);
	return r.reason;
}

static long hlt_exits(void)
{
	return vm_counter("exit:HLT");
}

TEST_F(disable_exits, bad_arguments)
{
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_DISABLE_EXITS, 1ULL << 20));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_DISABLE_EXITS, 1ULL << 32));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X86_DISABLE_EXITS, 0));
	EXPECT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X86_DISABLE_EXITS, self->all));
	if (dev_is_reference())
		return;		/* older versions take them at any time, and what the host has not */
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_DISABLE_EXITS, ~self->all & 0xf ?: 16));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_DISABLE_EXITS, self->all));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(disable_exits, interrupts_end_hlt)
{
	long before = hlt_exits();

	if (!(self->all & KVM_X86_DISABLE_EXITS_HLT))
		SKIP(return, "HLT always exits");
	vm_load(&self->vm, VM_CODE_GPA, halting);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_HLT, ROUNDS);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, send_rounds(&self->vm, self->vcpu));
	if (before >= 0)
		EXPECT_EQ(before, hlt_exits());
}

TEST_F(disable_exits, without_it_hlt_exits)
{
	long before = hlt_exits();

	if (before < 0)
		SKIP(return, "no counters");
	vm_load(&self->vm, VM_CODE_GPA, halting);
	self->vcpu = new_vcpu(&self->vm, 0, ROUNDS);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, send_rounds(&self->vm, self->vcpu));
	EXPECT_LE(before + ROUNDS / 4, hlt_exits());
}

TEST_F(disable_exits, timer_ends_hlt)
{
	if (!(self->all & KVM_X86_DISABLE_EXITS_HLT))
		SKIP(return, "HLT always exits");
	vm_load(&self->vm, VM_CODE_GPA, timer);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_HLT, 20);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(20U, *(uint32_t *)(self->vm.mem + VM_DATA_GPA));
}

/* On VT-x that is the preemption timer, which counts in HLT; with MWAIT, one of the host's. */
TEST_F(disable_exits, deadline_ends_hlt)
{
	if (!(self->all & KVM_X86_DISABLE_EXITS_HLT))
		SKIP(return, "HLT always exits");
	vm_load(&self->vm, VM_CODE_GPA, deadline);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_HLT, 20);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(20U, *(uint32_t *)(self->vm.mem + VM_DATA_GPA));
}

TEST_F(disable_exits, deadline_with_all)
{
	vm_load(&self->vm, VM_CODE_GPA, deadline);
	self->vcpu = new_vcpu(&self->vm, self->all, 20);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(20U, *(uint32_t *)(self->vm.mem + VM_DATA_GPA));
}

TEST_F(disable_exits, pause)
{
	long before = vm_counter("exit:PAUSE");

	vm_load(&self->vm, VM_CODE_GPA, pausing);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_PAUSE, 0);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	if (before >= 0)
		EXPECT_EQ(before, vm_counter("exit:PAUSE"));
}

TEST_F(disable_exits, interrupts_end_mwait)
{
	if (!(self->all & KVM_X86_DISABLE_EXITS_MWAIT))
		SKIP(return, "no MWAIT for guests");
	vm_load(&self->vm, VM_CODE_GPA, mwaiting);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_MWAIT, ROUNDS);
	ASSERT_NE(NULL, self->vcpu);
	EXPECT_EQ(KVM_EXIT_IO, send_rounds(&self->vm, self->vcpu));
}

/*
 * A signal gets a guest that halts by itself out of KVM_RUN, in whose next call it goes on waiting, though
 * CPUs may forget that it was halted.
 */
TEST_F(disable_exits, signal_leaves_hlt)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct runner r;
	pthread_t thread;

	if (!(self->all & KVM_X86_DISABLE_EXITS_HLT))
		SKIP(return, "HLT always exits");
	vm_load(&self->vm, VM_CODE_GPA, halting);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_HLT, 3);
	ASSERT_NE(NULL, self->vcpu);
	r.vcpu = self->vcpu;
	for (int i = 0; i < 2; i++) {
		self->vcpu->run->immediate_exit = 0;
		ASSERT_EQ(0, pthread_create(&thread, NULL, run_thread, &r));
		usleep(200000);
		self->vcpu->run->immediate_exit = 1;
		pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
		EXPECT_EQ(-EINTR, r.reason);
		/* All that a VMM would save, and put back. */
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
		EXPECT_EQ(1, send(&self->vm));
	}
	self->vcpu->run->immediate_exit = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_thread, &r));
	while (*(volatile uint32_t *)(self->vm.mem + VM_DATA_GPA) != 2)
		usleep(1000);
	usleep(100000);
	EXPECT_EQ(1, send(&self->vm));
	pthread_join(thread, NULL);
	EXPECT_EQ(KVM_EXIT_IO, r.reason);
}

TEST_F(disable_exits, nmi_ends_hlt)
{
	struct kvm_mp_state state;
	struct runner r;
	pthread_t thread;

	if (!(self->all & KVM_X86_DISABLE_EXITS_HLT))
		SKIP(return, "HLT always exits");
	vm_load(&self->vm, VM_CODE_GPA, halting);
	vm_copy_in(&self->vm, IDT_GPA + 16 * 2, (uint64_t[]){ HANDLER_GPA | 8 << 16 | 0x8eUL << 40, 0 }, 16);
	self->vcpu = new_vcpu(&self->vm, KVM_X86_DISABLE_EXITS_HLT, 1);
	ASSERT_NE(NULL, self->vcpu);
	r.vcpu = self->vcpu;
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_thread, &r));
	usleep(100000);
	/* As LINT1's or an IPI's, since KVM_NMI waits for the end of KVM_RUN. */
	{
		struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 4 << 8 };

		EXPECT_EQ(1, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &msi));
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(KVM_EXIT_IO, r.reason);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_MP_STATE, &state));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, (int)state.mp_state);
}

TEST_HARNESS_MAIN
