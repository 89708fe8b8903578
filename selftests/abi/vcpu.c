// SPDX-License-Identifier: GPL-2.0-only
/* Creating vCPUs, their numbers, and the memory shared with them. */
#include <fcntl.h>
#include "kselftest_harness.h"
#include "vm.h"

#include <signal.h>

FIXTURE(vcpu)
{
	struct vm vm;
};

FIXTURE_SETUP(vcpu)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
}

FIXTURE_TEARDOWN(vcpu)
{
	vm_close(&self->vm);
}

TEST_F(vcpu, same_id_twice_is_eexist)
{
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(vcpu, ids_need_not_follow_each_other)
{
	int fd7 = ioctl(self->vm.fd, KVM_CREATE_VCPU, 7);
	int fd3 = ioctl(self->vm.fd, KVM_CREATE_VCPU, 3);

	EXPECT_LE(0, fd7);
	EXPECT_LE(0, fd3);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd3, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 7));
	EXPECT_EQ(EEXIST, errno);
	close(fd7);
	close(fd3);
}

/* A closed vCPU stays part of its VM. */
TEST_F(vcpu, id_is_not_free_again_after_close)
{
	int fd = ioctl(self->vm.fd, KVM_CREATE_VCPU, 0);

	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(vcpu, id_at_the_limit_is_einval)
{
	int max_id = has_cap(&self->vm, KVM_CAP_MAX_VCPU_ID);
	int fd;

	ASSERT_LT(0, max_id);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, (unsigned long)max_id));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 0xffffffffUL));
	EXPECT_EQ(EINVAL, errno);
	fd = ioctl(self->vm.fd, KVM_CREATE_VCPU, (unsigned long)max_id - 1);
	EXPECT_LE(0, fd);
	close(fd);
}

/* The id is an unsigned int: what is above 32 bits must not be taken for a small one. */
TEST_F(vcpu, id_is_not_truncated)
{
	if (dev_is_reference())
		SKIP(return, "stock KVM takes the id as 32 bits and ignores the rest");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 1UL << 32));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(vcpu, unknown_ioctls_are_enotty)
{
	int expected = dev_is_reference() ? EINVAL : ENOTTY;
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(-1, ioctl(vcpu->fd, _IO(KVMIO, 0xfe), 0));
	EXPECT_EQ(expected, errno);
	EXPECT_EQ(-1, ioctl(vcpu->fd, KVM_CREATE_VCPU, 1));
	EXPECT_EQ(expected, errno);
	/* The stock module knows foreign types early, and says EINVAL for them. */
	EXPECT_EQ(-1, ioctl(vcpu->fd, _IO('z', 0), 0));
	EXPECT_EQ(expected, errno);
}

TEST_F(vcpu, shared_page_is_zeroed_and_shared)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	struct kvm_run *again;

	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0, vcpu->run->immediate_exit);
	EXPECT_EQ(0U, vcpu->run->exit_reason);
	again = mmap(NULL, self->vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	ASSERT_NE(MAP_FAILED, again);
	vcpu->run->immediate_exit = 1;
	EXPECT_EQ(1, again->immediate_exit);
	munmap(again, self->vm.run_size);
}

static sigjmp_buf fault_env;

static void fault_handler(int sig)
{
	siglongjmp(fault_env, sig);
}

TEST_F(vcpu, mapping_ends_where_the_size_says)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	size_t size = self->vm.run_size;
	volatile char *map;

	ASSERT_NE(NULL, vcpu);
	map = mmap(NULL, size + VM_PAGE_SIZE, PROT_READ, MAP_SHARED, vcpu->fd, 0);
	if (map == MAP_FAILED) {
		EXPECT_EQ(EINVAL, errno);
		return;
	}
	for (size_t i = 0; i < size; i += VM_PAGE_SIZE)
		(void)map[i];
	signal(SIGBUS, fault_handler);
	if (!sigsetjmp(fault_env, 1)) {
		(void)map[size];
		ASSERT_TRUE(false)
			TH_LOG("a page after the last could be read");
	}
}

TEST_F(vcpu, mapping_far_outside_faults)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	volatile char *map;

	ASSERT_NE(NULL, vcpu);
	map = mmap(NULL, VM_PAGE_SIZE, PROT_READ, MAP_SHARED, vcpu->fd, 1L << 40);
	if (map == MAP_FAILED) {
		EXPECT_EQ(EINVAL, errno);
		return;
	}
	signal(SIGBUS, fault_handler);
	if (!sigsetjmp(fault_env, 1)) {
		(void)map[0];
		ASSERT_TRUE(false);
	}
}

/* Code that has no memory to come from cannot be emulated: never a hang, never a crash. */
TEST_F(vcpu, run_without_memory_ends)
{
	struct vcpu *vcpu;
	int reason;

	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_VCPU));
	vcpu = &self->vm.vcpu[0];
	reason = vcpu_run(vcpu);
	/* The stock module sizes its page tables by the slots, and has none to give. */
	EXPECT_TRUE(reason == KVM_EXIT_INTERNAL_ERROR || reason == KVM_EXIT_MMIO ||
		    reason == KVM_EXIT_SHUTDOWN || (dev_is_reference() && reason == -ENOSPC))
		TH_LOG("exit reason %d", reason);
}

TEST_F(vcpu, reset_state_is_the_cpus)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	ASSERT_NE(NULL, vcpu);
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_REGS, &regs));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
	/* APM vol. 2, 14.1.3, table 14-1 */
	EXPECT_EQ(0xfff0ULL, regs.rip);
	EXPECT_EQ(2ULL, regs.rflags);
	EXPECT_EQ(0xf000, sregs.cs.selector);
	EXPECT_EQ(0xffff0000ULL, sregs.cs.base);
	EXPECT_EQ(0xffffU, sregs.cs.limit);
	EXPECT_EQ(0x60000010ULL, sregs.cr0);
	EXPECT_EQ(0ULL, sregs.cr3);
	EXPECT_EQ(0ULL, sregs.cr4);
	EXPECT_EQ(0ULL, sregs.efer);
	EXPECT_EQ(0xffff, sregs.idt.limit);
	EXPECT_EQ(0xffff, sregs.gdt.limit);
	/* The first vCPU is the boot CPU. */
	EXPECT_EQ(0xfee00900ULL, sregs.apic_base);
}

TEST_F(vcpu, create_and_close_repeatedly)
{
	for (int i = 0; i < 15; i++) {
		int vm = ioctl(self->vm.sys_fd, KVM_CREATE_VM, 0);
		int vcpu;

		ASSERT_LE(0, vm);
		vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
		ASSERT_LE(0, vcpu);
		close(i & 1 ? vm : vcpu);
		close(i & 1 ? vcpu : vm);
	}
}

TEST_HARNESS_MAIN
