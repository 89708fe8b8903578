// SPDX-License-Identifier: GPL-2.0-only
/* KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR on the node and on vCPUs. */
#include <x86intrin.h>
#include "kselftest_harness.h"
#include "vm.h"

#define MSR_TSC 0x10

FIXTURE(attributes)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint64_t value;
	struct kvm_device_attr attr;
};

FIXTURE_SETUP(attributes)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	self->attr.addr = (uintptr_t)&self->value;
}

FIXTURE_TEARDOWN(attributes)
{
	vm_close(&self->vm);
}

TEST_F(attributes, system)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm.sys_fd);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0xd, 0);

	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_SYS_ATTRIBUTES));
	self->attr.attr = KVM_X86_XCOMP_GUEST_SUPP;
	EXPECT_EQ(0, ioctl(self->vm.sys_fd, KVM_HAS_DEVICE_ATTR, &self->attr));
	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_GET_DEVICE_ATTR, &self->attr));
	if (e) {
		EXPECT_EQ(e->eax | (uint64_t)e->edx << 32, self->value);
	}
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_SET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(dev_is_reference() ? errno : ENOTTY, errno);
	self->attr.addr = (uintptr_t)bad_pointer();
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(EFAULT, errno);
	self->attr.attr = 77;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_HAS_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	self->attr.attr = KVM_X86_XCOMP_GUEST_SUPP;
	self->attr.group = 77;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_HAS_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_DEVICE_ATTR, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	free(cpuid);
}

TEST_F(attributes, flags_are_none)
{
	if (dev_is_reference())
		SKIP(return, "stock KVM does not look at them");
	self->attr.flags = 1;
	self->attr.attr = KVM_X86_XCOMP_GUEST_SUPP;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_HAS_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(EINVAL, errno);
	self->attr.group = KVM_VCPU_TSC_CTRL;
	self->attr.attr = KVM_VCPU_TSC_OFFSET;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(attributes, tsc_offset)
{
	uint64_t before, after, guest, offset;

	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_VCPU_ATTRIBUTES));
	self->attr.group = KVM_VCPU_TSC_CTRL;
	self->attr.attr = KVM_VCPU_TSC_OFFSET;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_HAS_DEVICE_ATTR, &self->attr));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &self->attr));
	offset = self->value;
	before = __rdtsc();
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &guest));
	after = __rdtsc();
	EXPECT_LE(before + offset, guest);
	EXPECT_GE(after + offset, guest);

	/* Exactly what was asked for, however near it is. */
	self->value = offset + 12345;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &self->attr));
	self->value = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(offset + 12345, self->value);

	self->value = 1ULL << 50;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &self->attr));
	before = __rdtsc();
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &guest));
	after = __rdtsc();
	EXPECT_LE(before + (1ULL << 50), guest);
	EXPECT_GE(after + (1ULL << 50), guest);
}

TEST_F(attributes, tsc_offset_bad_arguments)
{
	self->attr.group = KVM_VCPU_TSC_CTRL;
	self->attr.attr = KVM_VCPU_TSC_OFFSET;
	self->attr.addr = (uintptr_t)bad_pointer();
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(EFAULT, errno);
	self->attr.attr = 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_HAS_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	self->attr.attr = KVM_VCPU_TSC_OFFSET;
	self->attr.group = 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_DEVICE_ATTR, &self->attr));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_DEVICE_ATTR, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

TEST_HARNESS_MAIN
