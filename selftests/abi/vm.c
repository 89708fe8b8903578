// SPDX-License-Identifier: GPL-2.0-only
/* What belongs to the VM as a whole and to no other subject. */
#include "kselftest_harness.h"
#include "vm.h"

FIXTURE(vm)
{
	struct vm vm;
};

FIXTURE_SETUP(vm)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
}

FIXTURE_TEARDOWN(vm)
{
	vm_close(&self->vm);
}

TEST_F(vm, unknown_ioctls_are_enotty)
{
	EXPECT_EQ(-1, ioctl(self->vm.fd, _IO(KVMIO, 0xfe), 0));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_RUN, 0));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_API_VERSION, 0));
	EXPECT_EQ(ENOTTY, errno);
}

TEST_F(vm, check_extension_works_on_the_vm)
{
	if (ioctl(self->vm.sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_CHECK_EXTENSION_VM) <= 0)
		SKIP(return, "no KVM_CAP_CHECK_EXTENSION_VM");
	EXPECT_LT(0, ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY));
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_CHECK_EXTENSION, 0x7ffffffeUL));
}

TEST_F(vm, set_tss_addr)
{
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000UL));
	/* Three pages have to fit below 4 GiB. */
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_TSS_ADDR, 0xffffe000UL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_TSS_ADDR, 0x100000000UL));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(vm, set_identity_map_addr)
{
	uint64_t addr = 0xfeffc000;

	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &addr));
	addr = 0;
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &addr));
}

TEST_F(vm, set_identity_map_addr_only_before_vcpus)
{
	uint64_t addr = 0xfeffc000;

	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &addr));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(vm, many_vms_at_once)
{
	int fd[16];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = ioctl(self->vm.sys_fd, KVM_CREATE_VM, 0);
		ASSERT_LE(0, fd[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		EXPECT_EQ(0, close(fd[i]));
	}
}

/* A VM that never gets a vCPU or memory has to go without a trace, many times over. */
TEST_F(vm, create_and_close_repeatedly)
{
	for (int i = 0; i < 40; i++) {
		int fd = ioctl(self->vm.sys_fd, KVM_CREATE_VM, 0);

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, close(fd));
	}
}

TEST_F(vm, descriptors_have_no_read_write_or_mmap)
{
	char c = 0;

	EXPECT_EQ(-1, read(self->vm.fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->vm.fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, VM_PAGE_SIZE, PROT_READ, MAP_SHARED, self->vm.fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_HARNESS_MAIN
