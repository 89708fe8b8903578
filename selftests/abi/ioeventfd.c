// SPDX-License-Identifier: GPL-2.0-only
/* IOEVENTFD: guest writes that signal an eventfd instead of leaving KVM_RUN. */
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define MMIO	VM_MMIO_GPA
#define PORT	0x510

/* Writes of every size with a value from the port, to the port or the address given. */
GUEST_CODE(writer, 64,
	   "1: inl $0x10, %eax\n"	/* what to do */
	   "mov %eax, %edx\n"
	   "inl $0x11, %eax\n"		/* with what value */
	   "cmp $0, %edx\n"
	   "je 10f\n"
	   "cmp $1, %edx\n"
	   "je 11f\n"
	   "cmp $2, %edx\n"
	   "je 12f\n"
	   "cmp $3, %edx\n"
	   "je 13f\n"
	   "cmp $4, %edx\n"
	   "je 14f\n"
	   "cmp $5, %edx\n"
	   "je 15f\n"
	   "mov $0x510, %edx\n"
	   "outl %eax, %dx\n"
	   "jmp 1b\n"
	   "10: movb %al, (%rbx)\n"
	   "jmp 1b\n"
	   "11: movw %ax, (%rbx)\n"
	   "jmp 1b\n"
	   "12: movl %eax, (%rbx)\n"
	   "jmp 1b\n"
	   "13: movq %rax, (%rbx)\n"
	   "jmp 1b\n"
	   "14: mov $0x510, %edx\n"
	   "outb %al, %dx\n"
	   "jmp 1b\n"
	   "15: mov $0x510, %edx\n"
	   "outw %ax, %dx\n"
	   "jmp 1b\n");

enum { WRITE_1, WRITE_2, WRITE_4, WRITE_8, OUT_1, OUT_2, OUT_4 };

FIXTURE(ioeventfd)
{
	struct vm vm;
	struct vcpu *vcpu;
	int efd;
};

FIXTURE_SETUP(ioeventfd)
{
	struct kvm_regs regs;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, writer);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rbx = MMIO;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	self->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->efd);
}

FIXTURE_TEARDOWN(ioeventfd)
{
	vm_close(&self->vm);
	close(self->efd);
}

/* Has the guest do @what; returns how it came out: the exit, or 0 when it did not leave. */
static int guest_does(struct vcpu *vcpu, uint32_t what, uint32_t value)
{
	int reason;

	*(uint32_t *)io_data(vcpu) = what;
	if (vcpu_run(vcpu) != KVM_EXIT_IO || vcpu->run->io.port != 0x11)
		return -1;
	*(uint32_t *)io_data(vcpu) = value;
	reason = vcpu_run(vcpu);
	if (reason == KVM_EXIT_IO && vcpu->run->io.direction == KVM_EXIT_IO_IN)
		return 0;
	if (vcpu_run(vcpu) != KVM_EXIT_IO)
		return -1;
	return reason;
}

static int assign(struct vm *vm, int fd, uint64_t addr, uint32_t len, uint32_t flags,
		  uint64_t match)
{
	struct kvm_ioeventfd e = {
		.fd = fd, .addr = addr, .len = len, .flags = flags, .datamatch = match,
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &e);
}

static uint64_t count(int fd)
{
	eventfd_t value;

	return eventfd_read(fd, &value) ? 0 : value;
}

TEST_F(ioeventfd, mmio_write_signals)
{
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, WRITE_4, 1));
	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 4, 0, 0));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_4, 1));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_4, 2));
	EXPECT_EQ(2UL, count(self->efd));
	/* Another length is another thing. */
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, WRITE_2, 1));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, WRITE_8, 1));
	EXPECT_EQ(0UL, count(self->efd));
	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 4, KVM_IOEVENTFD_FLAG_DEASSIGN, 0));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, WRITE_4, 1));
	EXPECT_EQ(0UL, count(self->efd));
}

TEST_F(ioeventfd, port_write_signals)
{
	uint32_t pio = KVM_IOEVENTFD_FLAG_PIO;

	ASSERT_EQ(0, assign(&self->vm, self->efd, PORT, 2, pio, 0));
	EXPECT_EQ(KVM_EXIT_IO, guest_does(self->vcpu, OUT_1, 7));
	EXPECT_EQ(0, guest_does(self->vcpu, OUT_2, 7));
	EXPECT_EQ(KVM_EXIT_IO, guest_does(self->vcpu, OUT_4, 7));
	EXPECT_EQ(1UL, count(self->efd));
}

TEST_F(ioeventfd, only_the_value_asked_for)
{
	uint32_t flags = KVM_IOEVENTFD_FLAG_DATAMATCH;

	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 2, flags, 3));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, WRITE_2, 2));
	EXPECT_EQ(0UL, count(self->efd));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_2, 3));
	EXPECT_EQ(1UL, count(self->efd));
	/* Another value at the same place may go elsewhere; the same may not. */
	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 2, flags, 4));
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 2, flags, 3));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 2, 0, 0));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(ioeventfd, any_length)
{
	if (!has_cap(&self->vm, KVM_CAP_IOEVENTFD_ANY_LENGTH))
		SKIP(return, "no KVM_CAP_IOEVENTFD_ANY_LENGTH");
	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 0, 0, 0));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_1, 1));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_2, 1));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_4, 1));
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_8, 1));
	EXPECT_EQ(4UL, count(self->efd));
	/* There is no value to compare with a write of no known length. */
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO + 64, 0, KVM_IOEVENTFD_FLAG_DATAMATCH, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(ioeventfd, ports_and_memory_are_apart)
{
	ASSERT_EQ(0, assign(&self->vm, self->efd, PORT, 4, 0, 0));
	EXPECT_EQ(KVM_EXIT_IO, guest_does(self->vcpu, OUT_4, 7));
	EXPECT_EQ(0UL, count(self->efd));
}

TEST_F(ioeventfd, same_twice_is_eexist)
{
	int other = eventfd(0, 0);

	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 4, 0, 0));
	EXPECT_EQ(-1, assign(&self->vm, other, MMIO, 4, 0, 0));
	EXPECT_EQ(EEXIST, errno);
	close(other);
}

TEST_F(ioeventfd, bad_arguments)
{
	static const uint32_t lengths[] = { 3, 5, 6, 7, 9, 16, 0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, lengths[i], 0, 0))
			TH_LOG("length %u", lengths[i]);
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, assign(&self->vm, self->efd, ~0UL - 1, 4, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 4, 1 << 9, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, assign(&self->vm, -1, MMIO, 4, 0, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->vm.fd, MMIO, 4, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 4, KVM_IOEVENTFD_FLAG_DEASSIGN, 0));
	EXPECT_EQ(ENOENT, errno);
}

/* DEASSIGN has to name all of what ASSIGN named. */
TEST_F(ioeventfd, deassign_is_exact)
{
	uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH, off = KVM_IOEVENTFD_FLAG_DEASSIGN;
	int other = eventfd(0, 0);

	ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO, 4, match, 3));
	EXPECT_EQ(-1, assign(&self->vm, other, MMIO, 4, match | off, 3));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 4, match | off, 4));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 2, match | off, 3));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, assign(&self->vm, self->efd, MMIO, 4, off, 0));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(0, assign(&self->vm, self->efd, MMIO, 4, match | off, 3));
	close(other);
}

TEST_F(ioeventfd, many)
{
	for (int i = 0; i < 200; i++) {
		ASSERT_EQ(0, assign(&self->vm, self->efd, MMIO + 8 * i, 4, 0, 0));
	}
	EXPECT_EQ(0, guest_does(self->vcpu, WRITE_4, 1));
	EXPECT_EQ(1UL, count(self->efd));
}

TEST_HARNESS_MAIN
