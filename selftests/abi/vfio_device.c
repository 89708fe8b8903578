// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CREATE_DEVICE and the device for VFIO, where no device of the host's is; foreign/passthrough has one. */
#include "kselftest_harness.h"
#include "vm.h"
#include <fcntl.h>

FIXTURE(vfio_device)
{
	struct vm vm;
};

FIXTURE_SETUP(vfio_device)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
}

FIXTURE_TEARDOWN(vfio_device)
{
	vm_close(&self->vm);
}

/* The fd, or -1. */
static int create(struct vm *vm, uint32_t type, uint32_t flags)
{
	struct kvm_create_device cd = { .type = type, .flags = flags, .fd = 77 };

	return ioctl(vm->fd, KVM_CREATE_DEVICE, &cd) ? -1 : (int)cd.fd;
}

static int attribute(int fd, unsigned long cmd, uint64_t nr, const int32_t *file)
{
	struct kvm_device_attr attr = { .group = KVM_DEV_VFIO_GROUP, .attr = nr, .addr = (uintptr_t)file };

	return ioctl(fd, cmd, &attr);
}

TEST_F(vfio_device, is_there)
{
	/* Of x86's stock modules only newer ones say so. */
	if (!dev_is_reference()) {
		EXPECT_EQ(1, ioctl(self->vm.sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_DEVICE_CTRL));
		EXPECT_EQ(1, ioctl(self->vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_DEVICE_CTRL));
	}
	/* A test creates nothing, and says no number. */
	EXPECT_EQ(77, create(&self->vm, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST));
	EXPECT_EQ(77, create(&self->vm, KVM_DEV_TYPE_VFIO, KVM_CREATE_DEVICE_TEST));
	errno = 0;
	EXPECT_EQ(-1, create(&self->vm, KVM_DEV_TYPE_ARM_VGIC_V3, KVM_CREATE_DEVICE_TEST));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, create(&self->vm, ~0U, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(vfio_device, one_for_a_vm)
{
	int fd = create(&self->vm, KVM_DEV_TYPE_VFIO, 0);

	ASSERT_LE(0, fd);
	EXPECT_NE(77, fd);
	EXPECT_NE(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(-1, create(&self->vm, KVM_DEV_TYPE_VFIO, 0));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, close(fd));
	/* Before Linux 6.5 the stock module keeps it as long as the VM is there. */
	fd = create(&self->vm, KVM_DEV_TYPE_VFIO, 0);
	EXPECT_TRUE(fd >= 0 || dev_is_reference());
	if (fd >= 0)
		close(fd);
}

TEST_F(vfio_device, attributes)
{
	int32_t none = -1, other = self->vm.fd;
	int fd = create(&self->vm, KVM_DEV_TYPE_VFIO, 0);
	struct kvm_device_attr attr = { .group = 99, .attr = KVM_DEV_VFIO_GROUP_ADD };

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, attribute(fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_ADD, NULL));
	EXPECT_EQ(0, attribute(fd, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_DEL, NULL));
	EXPECT_EQ(-1, attribute(fd, KVM_HAS_DEVICE_ATTR, 77, NULL));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(fd, KVM_HAS_DEVICE_ATTR, &attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(fd, KVM_SET_DEVICE_ATTR, &attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, attribute(fd, KVM_GET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_ADD, &none));
	EXPECT_EQ(EPERM, errno);

	EXPECT_EQ(-1, attribute(fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_ADD, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, attribute(fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_ADD, &none));
	EXPECT_EQ(EBADF, errno);
	/* A file, and none of VFIO's. */
	EXPECT_EQ(-1, attribute(fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_ADD, &other));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, attribute(fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_DEL, &other));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, ioctl(fd, KVM_RUN, 0));
	EXPECT_EQ(ENOTTY, errno);
	close(fd);
}

GUEST_CODE(reader, 64,
	   "movb 0x40000000, %al\n"
	   "outb %al, $0x10\n");

/* RAM of the kernel's that it has mapped into processes is no device's, and is not given to guests uncached. */
TEST_F(vfio_device, no_ram)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long start = 0, end;
	bool found = false;
	char line[256];

	ASSERT_NE(NULL, maps);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vvar]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			continue;
		if (start && !strncmp(line, "VmFlags:", 8)) {
			found = strstr(line, " pf");
			start = found ? start : 0;
		}
	}
	fclose(maps);
	if (!found)
		SKIP(return, "[vvar] has pages of its own, or is not there");
	if (dev_is_reference())
		SKIP(return, "the stock module maps it, cached");
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_READONLY, 0x40000000, VM_PAGE_SIZE, (void *)start));
	vm_load(&self->vm, VM_CODE_GPA, reader);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, &self->vm.vcpu[0], VM_CODE_GPA));
	EXPECT_EQ(-1, ioctl(self->vm.vcpu[0].fd, KVM_RUN, 0));
	EXPECT_EQ(EFAULT, errno);
}

/* The device is the last that holds the VM. */
TEST_F(vfio_device, outlives_the_vm)
{
	int32_t none = -1;
	int fd = create(&self->vm, KVM_DEV_TYPE_VFIO, 0);

	ASSERT_LE(0, fd);
	vm_close(&self->vm);
	EXPECT_EQ(-1, attribute(fd, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_GROUP_ADD, &none));
	EXPECT_EQ(EBADF, errno);
	close(fd);
	ASSERT_EQ(0, vm_open(&self->vm, 0));
}

TEST_HARNESS_MAIN
