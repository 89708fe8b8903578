// SPDX-License-Identifier: GPL-2.0-only
/* KVM_RUN: how it ends, and what it says when it does. */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "kselftest_harness.h"
#include "vm.h"

FIXTURE(run)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(run)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
}

FIXTURE_TEARDOWN(run)
{
	vm_close(&self->vm);
}

#define start_real(self, code) do {						\
	vm_load(&(self)->vm, VM_CODE_GPA, code);				\
	ASSERT_EQ(0, vcpu_real_mode((self)->vcpu, VM_CODE_GPA));		\
} while (0)
#define start_long(self, code) do {						\
	vm_load(&(self)->vm, VM_CODE_GPA, code);				\
	ASSERT_EQ(0, vcpu_long_mode(&(self)->vm, (self)->vcpu, VM_CODE_GPA));	\
} while (0)

static uint64_t rip(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

GUEST_CODE(io_out, 16,
	   "movl $0x12345678, %eax\n"
	   "movw $0x1234, %dx\n"
	   "outb %al, %dx\n"
	   "outw %ax, %dx\n"
	   "outl %eax, %dx\n"
	   "outb %al, $0x80\n"
	   "hlt\n");

TEST_F(run, io_out)
{
	static const struct {
		uint16_t port;
		uint8_t size;
		uint32_t value;
	} expected[] = {
		{ 0x1234, 1, 0x78 }, { 0x1234, 2, 0x5678 }, { 0x1234, 4, 0x12345678 },
		{ 0x80, 1, 0x78 },
	};

	start_real(self, io_out);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		uint32_t value = 0;

		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(KVM_EXIT_IO_OUT, self->vcpu->run->io.direction);
		EXPECT_EQ(expected[i].port, self->vcpu->run->io.port);
		EXPECT_EQ(expected[i].size, self->vcpu->run->io.size);
		EXPECT_EQ(1U, self->vcpu->run->io.count);
		memcpy(&value, io_data(self->vcpu), self->vcpu->run->io.size);
		EXPECT_EQ(expected[i].value, value);
	}
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
}

GUEST_CODE(io_in, 16,
	   "movl $0xffffffff, %eax\n"
	   "inb $0x10, %al\n"
	   "movl %eax, %ebx\n"
	   "inw $0x11, %ax\n"
	   "movl %eax, %ecx\n"
	   "inl $0x12, %eax\n"
	   "hlt\n");

TEST_F(run, io_in)
{
	struct kvm_regs regs;

	start_real(self, io_in);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(KVM_EXIT_IO_IN, self->vcpu->run->io.direction);
		EXPECT_EQ(0x10 + i, self->vcpu->run->io.port);
		EXPECT_EQ(1 << i, self->vcpu->run->io.size);
		*(uint32_t *)io_data(self->vcpu) = 0x11223344;
	}
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0xffffff44ULL, regs.rbx);
	EXPECT_EQ(0xffff3344ULL, regs.rcx);
	EXPECT_EQ(0x11223344ULL, regs.rax);
}

GUEST_CODE(mmio, 64,
	   "mov $0xd0000100, %ebx\n"
	   "mov $0x1122334455667788, %rax\n"
	   "movb %al, (%rbx)\n"
	   "movw %ax, 2(%rbx)\n"
	   "movl %eax, 4(%rbx)\n"
	   "movq %rax, 8(%rbx)\n"
	   "movzbl 1(%rbx), %ecx\n"
	   "movq 16(%rbx), %rdx\n"
	   "hlt\n");

TEST_F(run, mmio_write_then_read)
{
	static const struct {
		uint64_t gpa;
		uint32_t len;
	} writes[] = { { 0x100, 1 }, { 0x102, 2 }, { 0x104, 4 }, { 0x108, 8 } };
	uint64_t value = 0x1122334455667788;
	struct kvm_run *r = self->vcpu->run;
	struct kvm_regs regs;

	start_long(self, mmio);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
		EXPECT_EQ(VM_MMIO_GPA + writes[i].gpa, r->mmio.phys_addr);
		EXPECT_EQ(writes[i].len, r->mmio.len);
		EXPECT_EQ(1, r->mmio.is_write);
		EXPECT_EQ(0, memcmp(r->mmio.data, &value, r->mmio.len));
	}
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	EXPECT_EQ(VM_MMIO_GPA + 0x101, r->mmio.phys_addr);
	EXPECT_EQ(1U, r->mmio.len);
	EXPECT_EQ(0, r->mmio.is_write);
	memset(r->mmio.data, 0xa9, 8);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	EXPECT_EQ(8U, r->mmio.len);
	value = 0x8877665544332211;
	memcpy(r->mmio.data, &value, 8);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0xa9ULL, regs.rcx);
	EXPECT_EQ(0x8877665544332211ULL, regs.rdx);
}

GUEST_CODE(halt, 16, "hlt\nhlt\n");

TEST_F(run, hlt_without_irqchip_goes_to_userspace)
{
	start_real(self, halt);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	/* Behind the instruction, so that going on means going on. */
	EXPECT_EQ(VM_CODE_GPA + 1, rip(self->vcpu));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 2, rip(self->vcpu));
}

GUEST_CODE(triple_fault, 16,
	   "lidtw %cs:(1f - triple_fault_start + 0x8000)\n"
	   "ud2\n"
	   "1: .word 0, 0, 0\n");

TEST_F(run, triple_fault_is_shutdown)
{
	start_real(self, triple_fault);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
}

/* An instruction that nothing can emulate, fetched from a device: with the reason and no crash. */
TEST_F(run, code_in_device_memory_ends)
{
	struct kvm_regs regs = { .rip = VM_MMIO_GPA, .rflags = 2 };
	int reason;

	start_long(self, halt);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	reason = vcpu_run(self->vcpu);
	EXPECT_TRUE(reason == KVM_EXIT_INTERNAL_ERROR || reason == KVM_EXIT_MMIO)
		TH_LOG("exit reason %d", reason);
}

GUEST_CODE(spin, 16, "1: jmp 1b\n");
GUEST_CODE(chatter, 16, "1: incw %bx\n outb %al, $0x10\n jmp 1b\n");
GUEST_CODE(count_once, 16, "incw %bx\n 1: jmp 1b\n");

GUEST_CODE(undefined, 64, "ud2\n");

/* An IDT in device memory: what was to be delivered, the CPU's words about the exit, and where. */
TEST_F(run, delivery_into_device_memory_is_told)
{
	struct kvm_run *run = self->vcpu->run;
	struct kvm_sregs sregs;

	vm_load(&self->vm, VM_CODE_GPA, undefined);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.idt.base = VM_MMIO_GPA;
	sregs.idt.limit = 0xfff;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_run(self->vcpu));
	ASSERT_EQ((uint32_t)KVM_INTERNAL_ERROR_DELIVERY_EV, run->internal.suberror);
	if (dev_is_reference())
		SKIP(return, "what else is told depends on the kernel");
	ASSERT_EQ(5U, run->internal.ndata);
	EXPECT_EQ(0x80000306ULL, run->internal.data[0]);
	/* #NPF, EPT violation or misconfiguration */
	EXPECT_TRUE(run->internal.data[1] == 0x400 || run->internal.data[1] == 48 || run->internal.data[1] == 49)
		TH_LOG("%llu", run->internal.data[1]);
	EXPECT_EQ(VM_MMIO_GPA + 6 * 16, run->internal.data[3]);
}

TEST_F(run, immediate_exit_is_eintr)
{
	start_real(self, spin);
	self->vcpu->run->immediate_exit = 1;
	self->vcpu->run->exit_reason = 99;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(VM_CODE_GPA, rip(self->vcpu));
	/* It tells of the exit before, as there was none now. */
	EXPECT_EQ(99u, self->vcpu->run->exit_reason);
}

/* What an exit left unfinished is finished even so: that is what migration asks for. */
TEST_F(run, immediate_exit_completes_the_pending_io)
{
	start_real(self, chatter);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(VM_CODE_GPA + chatter_end - chatter_start - 2, rip(self->vcpu));
	EXPECT_EQ((uint32_t)KVM_EXIT_IO, self->vcpu->run->exit_reason);
	self->vcpu->run->immediate_exit = 0;
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

static void nothing(int sig)
{
	(void)sig;
}

static timer_t start_timer(int sig, long delay_ns, long period_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig };
	struct itimerspec when = {
		.it_value.tv_nsec = delay_ns, .it_interval.tv_nsec = period_ns,
	};
	timer_t timer = NULL;

	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &when, NULL);
	return timer;
}

/* One that is pending already ends it as one that comes later does. */
TEST_F(run, pending_signal_is_eintr)
{
	uint8_t buf[sizeof(struct kvm_signal_mask) + 8] = { 0 };
	struct kvm_signal_mask *mask = (struct kvm_signal_mask *)buf;
	struct sigaction action = { .sa_handler = nothing };
	sigset_t blocked;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	raise(SIGUSR1);
	mask->len = 8;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, mask));
	start_real(self, spin);
	self->vcpu->run->exit_reason = 99;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ((uint32_t)KVM_EXIT_INTR, self->vcpu->run->exit_reason);
	EXPECT_EQ(VM_CODE_GPA, rip(self->vcpu));
}

TEST_F(run, signal_is_eintr)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	start_real(self, spin);
	self->vcpu->run->exit_reason = 99;
	start_timer(SIGUSR1, 100000000, 0);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ((uint32_t)KVM_EXIT_INTR, self->vcpu->run->exit_reason);
}

/* A blocked signal does not end KVM_RUN unless KVM_SET_SIGNAL_MASK lets it in. */
TEST_F(run, signal_mask)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} mask = { .head.len = 8, .set = 0 };
	struct sigaction action = { .sa_handler = nothing };
	sigset_t blocked, pending;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	start_real(self, spin);
	start_timer(SIGUSR1, 100000000, 0);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	/* It is still pending: the mask of the thread itself was put back. */
	sigpending(&pending);
	EXPECT_EQ(1, sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	EXPECT_EQ(1, sigismember(&blocked, SIGUSR1));
}

/* One that the thread has blocked needs no handler: it is taken by sigwait() later. */
TEST_F(run, signal_mask_without_handler)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} mask = { .head.len = 8, .set = 0 };
	sigset_t blocked;
	int sig = 0;

	signal(SIGUSR1, SIG_DFL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	start_real(self, spin);
	start_timer(SIGUSR1, 100000000, 0);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(0, sigwait(&blocked, &sig));
	EXPECT_EQ(SIGUSR1, sig);
}

TEST_F(run, signal_mask_can_block)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} mask = { .head.len = 8, .set = 1UL << (SIGUSR1 - 1) };
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	start_real(self, spin);
	start_timer(SIGUSR1, 50000000, 0);
	start_timer(SIGUSR2, 200000000, 0);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	/* And a null pointer takes it away again. */
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, NULL));
	start_timer(SIGUSR1, 50000000, 0);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
}

TEST_F(run, signal_mask_of_another_size_is_einval)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set[16];
	} mask = { .head.len = 4 };

	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	EXPECT_EQ(EINVAL, errno);
	mask.head.len = 128;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(run, takes_no_argument)
{
	start_real(self, halt);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(VM_CODE_GPA, rip(self->vcpu));
}

/* An exit by signal in the middle of a loop of port writes loses none of them and doubles none. */
TEST_F(run, signals_lose_nothing)
{
	struct sigaction action = { .sa_handler = nothing };
	struct kvm_regs regs;
	uint16_t writes = 0;
	timer_t timer;

	sigaction(SIGUSR1, &action, NULL);
	start_real(self, chatter);
	timer = start_timer(SIGUSR1, 1000000, 1000000);
	for (int i = 0; i < 2000; i++) {
		if (!ioctl(self->vcpu->fd, KVM_RUN, 0)) {
			ASSERT_EQ((uint32_t)KVM_EXIT_IO, self->vcpu->run->exit_reason);
			writes++;
		} else {
			ASSERT_EQ(EINTR, errno);
		}
	}
	timer_delete(timer);
	do {
		self->vcpu->run->immediate_exit = 1;
	} while (ioctl(self->vcpu->fd, KVM_RUN, 0) != -1);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	/* The guest may be up to one increment ahead of its next write. */
	EXPECT_GE(1, (uint16_t)(regs.rbx - writes))
		TH_LOG("guest %llu, seen %u", regs.rbx & 0xffff, writes);
}

struct runner {
	struct vcpu *vcpu;
	int ret;
	int error;
};

static void *run_once(void *arg)
{
	struct runner *r = arg;

	r->ret = ioctl(r->vcpu->fd, KVM_RUN, 0);
	r->error = errno;
	return NULL;
}

static void *kick_later(void *arg)
{
	usleep(200000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

/* While a thread is in KVM_RUN another's vCPU ioctl waits for it to come out. */
TEST_F(run, vcpu_ioctls_exclude_each_other)
{
	struct sigaction action = { .sa_handler = nothing };
	struct runner r = { .vcpu = self->vcpu };
	pthread_t runner, kicker;
	struct kvm_regs regs;

	sigaction(SIGUSR1, &action, NULL);
	start_real(self, count_once);
	ASSERT_EQ(0, pthread_create(&runner, NULL, run_once, &r));
	usleep(100000);
	ASSERT_EQ(0, pthread_create(&kicker, NULL, kick_later, &runner));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	/* It saw what the guest left behind, not what was there before. */
	EXPECT_EQ(1ULL, regs.rbx & 0xffff);
	pthread_join(runner, NULL);
	pthread_join(kicker, NULL);
	EXPECT_EQ(-1, r.ret);
	EXPECT_EQ(EINTR, r.error);
}

TEST_F(run, kvm_run_fields_tell_the_state)
{
	start_real(self, chatter);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0, self->vcpu->run->if_flag);
	EXPECT_EQ(0ULL, self->vcpu->run->cr8);
	EXPECT_EQ(0xfee00900ULL, self->vcpu->run->apic_base);
	EXPECT_EQ(0, self->vcpu->run->ready_for_interrupt_injection);
}

GUEST_CODE(rep_ins, 64, "cld\nrep insb\noutb %al, $0x40\n");

/* REP INS goes on with the RCX that userspace has left, whatever was asked for. */
TEST_F(run, rcx_changed_during_rep_ins)
{
	static const struct { uint64_t asked, left; } cases[] = { { 2, 1 }, { 3, 8192 } };

	for (int i = 0; i < 2; i++) {
		struct kvm_regs regs;
		uint64_t done = 0;
		int exits = 0;

		start_long(self, rep_ins);
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
		regs.rcx = cases[i].asked;
		regs.rdx = 0x80;
		regs.rdi = VM_DATA_GPA;
		memset(self->vm.mem + VM_DATA_GPA, 0, 0x4000);
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
		while (vcpu_run(self->vcpu) == KVM_EXIT_IO && self->vcpu->run->io.port == 0x80) {
			ASSERT_LT(exits, 9000);
			memset(io_data(self->vcpu), 0xaa, self->vcpu->run->io.count);
			ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
			if (!exits++) {
				regs.rcx = cases[i].left;
				ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
			}
		}
		ASSERT_EQ((uint32_t)KVM_EXIT_IO, self->vcpu->run->exit_reason);
		EXPECT_EQ(0x40, self->vcpu->run->io.port);
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
		EXPECT_EQ(0ull, regs.rcx);
		EXPECT_EQ(VM_DATA_GPA + cases[i].left, regs.rdi);
		while (self->vm.mem[VM_DATA_GPA + done] == 0xaa)
			done++;
		/* The stock module goes on with what is behind the three bytes that it was given. */
		if (!dev_is_reference())
			EXPECT_EQ(cases[i].left, done);
	}
}

TEST_HARNESS_MAIN
