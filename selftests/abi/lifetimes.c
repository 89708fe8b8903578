// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors that close in any order, processes that die in the middle, and those that inherit. */
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(spin, 16, "1: jmp 1b\n");
GUEST_CODE(halt, 16, "1: hlt\n jmp 1b\n");

FIXTURE(lifetimes)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(lifetimes)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, halt);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(lifetimes)
{
	vm_close(&self->vm);
}

static int close_fd(int *fd)
{
	int ret = close(*fd);

	*fd = -1;
	return ret;
}

TEST_F(lifetimes, vm_works_without_the_system_descriptor)
{
	EXPECT_EQ(0, close_fd(&self->vm.sys_fd));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	EXPECT_NE(NULL, vm_add_vcpu(&self->vm));
}

TEST_F(lifetimes, vcpu_works_without_the_vm_descriptor)
{
	EXPECT_EQ(0, close_fd(&self->vm.sys_fd));
	EXPECT_EQ(0, close_fd(&self->vm.fd));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
}

TEST_F(lifetimes, mapping_outlives_every_descriptor)
{
	close_fd(&self->vm.sys_fd);
	close_fd(&self->vm.fd);
	close_fd(&self->vcpu->fd);
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(1, self->vcpu->run->immediate_exit);
	memset(self->vcpu->run, 0x5a, self->vm.run_size);
}

TEST_F(lifetimes, memory_may_go_first)
{
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	ASSERT_EQ(0, munmap(self->vm.mem, VM_MEM_SIZE));
	self->vm.mem = NULL;
	close_fd(&self->vcpu->fd);
	close_fd(&self->vm.fd);
}

/* All orders of closing three descriptors and two mappings. */
TEST(close_in_every_order)
{
	int order[5] = { 0, 1, 2, 3, 4 };
	int nr = 0;

	for (int n = 0; n < 120; n++) {
		struct vm vm;
		int rest = n, left[5];

		/* The n-th permutation, in the factorial number system. */
		memcpy(left, order, sizeof(left));
		ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_VCPU | VM_IRQCHIP));
		for (int i = 5; i > 0; i--) {
			int pick = rest % i, what = left[pick];

			rest /= i;
			left[pick] = left[i - 1];
			switch (what) {
			case 0:
				EXPECT_EQ(0, close_fd(&vm.sys_fd));
				break;
			case 1:
				EXPECT_EQ(0, close_fd(&vm.fd));
				break;
			case 2:
				EXPECT_EQ(0, close_fd(&vm.vcpu[0].fd));
				break;
			case 3:
				EXPECT_EQ(0, munmap(vm.vcpu[0].run, vm.run_size));
				break;
			case 4:
				EXPECT_EQ(0, munmap(vm.mem, VM_MEM_SIZE));
				break;
			}
		}
		nr++;
	}
	EXPECT_EQ(120, nr);
}

/* A VM belongs to the address space that made it. */
TEST_F(lifetimes, another_process_gets_eio)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct kvm_regs regs;
		int bad = 0;

		bad |= ioctl(self->vcpu->fd, KVM_RUN, 0) != -1 || errno != EIO;
		bad |= (ioctl(self->vcpu->fd, KVM_GET_REGS, &regs) != -1 || errno != EIO) << 1;
		bad |= (ioctl(self->vm.fd, KVM_CREATE_VCPU, 1) != -1 || errno != EIO) << 2;
		bad |= (vm_set_slot(&self->vm, 0, 0, 0, 0, NULL) != -1 || errno != EIO) << 3;
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	/* The owner is not disturbed by any of that. */
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
}

/* Sends @fd to the process at the other end of @socket, or receives one (@fd < 0). The descriptor, or -1. */
static int pass_fd(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { .iov_base = (char[1]){ 0 }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (fd >= 0)
		return sendmsg(socket, &message, 0) == 1 ? fd : -1;
	if (recvmsg(socket, &message, 0) != 1)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* A process that was there before the VM gets its descriptors by a socket: they are worth nothing to it. */
TEST_F(lifetimes, passed_descriptors_get_eio)
{
	int status, pair[2];
	struct vm vm;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	pid = fork();
	if (!pid) {
		int vm_fd = pass_fd(pair[1], -1), vcpu_fd = pass_fd(pair[1], -1), bad;

		bad = vm_fd < 0 || vcpu_fd < 0;
		bad |= (ioctl(vcpu_fd, KVM_RUN, 0) != -1 || errno != EIO) << 1;
		bad |= (ioctl(vm_fd, KVM_CREATE_VCPU, 1) != -1 || errno != EIO) << 2;
		/* Its kvm_run can be mapped; it tells of the guest, and reaches no memory of it. */
		bad |= (mmap(NULL, VM_PAGE_SIZE, PROT_READ, MAP_SHARED, vcpu_fd, 0) == MAP_FAILED) << 3;
		/* Outlives the owner's. */
		bad |= (read(pair[1], &status, 1) != 1) << 4;
		bad |= (ioctl(vcpu_fd, KVM_RUN, 0) != -1 || errno != EIO) << 5;
		_exit(bad);
	}
	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_VCPU));
	vm_load(&vm, VM_CODE_GPA, halt);
	ASSERT_EQ(0, vcpu_real_mode(&vm.vcpu[0], VM_CODE_GPA));
	ASSERT_EQ(vm.fd, pass_fd(pair[0], vm.fd));
	ASSERT_EQ(vm.vcpu[0].fd, pass_fd(pair[0], vm.vcpu[0].fd));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(&vm.vcpu[0]));
	vm_close(&vm);
	EXPECT_EQ(1, write(pair[0], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(pair[0]);
	close(pair[1]);
}

struct ask {
	struct vcpu *vcpu;
	struct kvm_regs regs;
	int answer;
};

static void *ask_registers(void *arg)
{
	struct ask *ask = arg;

	ask->answer = ioctl(ask->vcpu->fd, KVM_GET_REGS, &ask->regs);
	return NULL;
}

static void *run_until_stopped(void *arg)
{
	while (vcpu_run(arg) != -EINTR)
		;
	return NULL;
}

static void on_signal(int signal)
{
	(void)signal;
}

/* A vCPU is any thread's of the owner: one that asks while another runs it, waits until it comes out. */
TEST_F(lifetimes, ioctls_of_another_thread)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct ask ask = { .vcpu = self->vcpu, .answer = 1 };
	pthread_t runner, asker;

	sigaction(SIGUSR1, &action, NULL);
	vm_load(&self->vm, VM_CODE_GPA, spin);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, pthread_create(&runner, NULL, run_until_stopped, self->vcpu));
	usleep(50000);
	ASSERT_EQ(0, pthread_create(&asker, NULL, ask_registers, &ask));
	usleep(50000);
	EXPECT_EQ(1, *(volatile int *)&ask.answer);
	self->vcpu->run->immediate_exit = 1;
	pthread_kill(runner, SIGUSR1);
	pthread_join(runner, NULL);
	pthread_join(asker, NULL);
	EXPECT_EQ(0, ask.answer);
	EXPECT_EQ(VM_CODE_GPA, ask.regs.rip);
	/* And this thread runs it on. */
	self->vcpu->run->immediate_exit = 0;
	vm_load(&self->vm, VM_CODE_GPA, halt);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
}

/* The child has the descriptors only: when the owner is gone they keep nothing but themselves. */
TEST_F(lifetimes, inherited_descriptors_outlive_the_owner)
{
	int status, done[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(done));
	pid = fork();
	if (!pid) {
		struct vm vm;
		pid_t child;

		/* An owner of its own, whose child outlives it. */
		if (vm_open(&vm, VM_MEMORY | VM_VCPU | VM_IRQCHIP))
			_exit(1);
		child = fork();
		if (!child) {
			close(done[0]);
			while (getppid() == pid)
				usleep(1000);
			usleep(100000);
			c = ioctl(vm.vcpu[0].fd, KVM_RUN, 0) == -1 && errno == EIO;
			if (write(done[1], &c, 1) != 1)
				_exit(1);
			_exit(0);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	close(done[1]);
	ASSERT_EQ(1, read(done[0], &c, 1));
	EXPECT_EQ(1, c);
}

static void *run_forever(void *arg)
{
	for (;;)
		vcpu_run(arg);
	return NULL;
}

/* SIGKILL on a VMM whose vCPUs are all in the guest. */
TEST(kill_while_running)
{
	for (int round = 0; round < 5; round++) {
		int status, ready[2];
		pid_t pid;
		char c = 0;

		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		if (!pid) {
			struct vm vm;
			pthread_t thread;

			if (vm_open(&vm, VM_MEMORY | VM_VCPU))
				_exit(1);
			vm_load(&vm, VM_CODE_GPA, spin);
			vm_add_vcpu(&vm);
			vm_add_vcpu(&vm);
			for (int i = 0; i < 3; i++) {
				vcpu_real_mode(&vm.vcpu[i], VM_CODE_GPA);
				pthread_create(&thread, NULL, run_forever, &vm.vcpu[i]);
			}
			if (write(ready[1], &c, 1) != 1)
				_exit(1);
			pause();
		}
		ASSERT_EQ(1, read(ready[0], &c, 1));
		usleep(20000 * round);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		close(ready[0]);
		close(ready[1]);
	}
}

/* SIGKILL while a halted vCPU sleeps in the kernel. */
TEST(kill_while_halted)
{
	int status, ready[2];
	pid_t pid;
	char c = 0;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid) {
		struct vm vm;

		if (vm_open(&vm, VM_MEMORY | VM_VCPU | VM_IRQCHIP))
			_exit(1);
		vm_load(&vm, VM_CODE_GPA, halt);
		vcpu_real_mode(&vm.vcpu[0], VM_CODE_GPA);
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		vcpu_run(&vm.vcpu[0]);
		_exit(2);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	usleep(100000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
}

/* close() of the descriptor while another thread is in KVM_RUN on it. */
TEST_F(lifetimes, close_under_a_running_vcpu)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	vm_load(&self->vm, VM_CODE_GPA, spin);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_forever, self->vcpu));
	usleep(50000);
	EXPECT_EQ(0, close(self->vcpu->fd));
	EXPECT_EQ(0, close_fd(&self->vm.fd));
	usleep(50000);
	/* The process ends here, with the guest still running. */
	if (_metadata->passed)
		_exit(0);
}

TEST_F(lifetimes, irqfd_and_ioeventfd_go_with_the_vm)
{
	int fd[64];

	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP));
	for (int i = 0; i < 64; i++) {
		struct kvm_irqfd irqfd = { .gsi = i % 24 };
		struct kvm_ioeventfd io = { .addr = 0xd0000000 + 8 * i, .len = 4 };

		fd[i] = eventfd(0, 0);
		ASSERT_LE(0, fd[i]);
		irqfd.fd = fd[i];
		io.fd = fd[i];
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_IRQFD, &irqfd));
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_IOEVENTFD, &io));
	}
	/* Half of them closed before, half after. */
	for (int i = 0; i < 32; i++) {
		close(fd[i]);
	}
	vm_close(&self->vm);
	for (int i = 32; i < 64; i++) {
		EXPECT_EQ(0, eventfd_write(fd[i], 1));
		close(fd[i]);
	}
	ASSERT_EQ(0, vm_open(&self->vm, 0));
}

struct storm {
	struct vm *vm;
	volatile bool stop;
};

static void *signal_msis(void *arg)
{
	struct storm *s = arg;
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x55 };

	while (!s->stop)
		ioctl(s->vm->fd, KVM_SIGNAL_MSI, &msi);
	return NULL;
}

/* Interrupts sent to vCPUs that are just being made. */
TEST(create_vcpus_under_fire)
{
	for (int round = 0; round < 3; round++) {
		struct storm storm = { .stop = false };
		pthread_t thread;
		struct vm vm;

		ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_IRQCHIP));
		storm.vm = &vm;
		ASSERT_EQ(0, pthread_create(&thread, NULL, signal_msis, &storm));
		for (int i = 0; i < VM_MAX_VCPUS; i++) {
			EXPECT_NE(NULL, vm_add_vcpu(&vm));
		}
		storm.stop = true;
		pthread_join(thread, NULL);
		vm_close(&vm);
	}
}

TEST_HARNESS_MAIN
