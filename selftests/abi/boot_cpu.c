// SPDX-License-Identifier: GPL-2.0-only
/* KVM_SET_BOOT_CPU_ID: which vCPU is the one that a machine begins with. */
#include "kselftest_harness.h"
#include "vm.h"

#define APIC_BASE_BSP	(1 << 8)

FIXTURE(boot_cpu)
{
	struct vm vm;
};

FIXTURE_SETUP(boot_cpu)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	if (!has_cap(&self->vm, KVM_CAP_SET_BOOT_CPU_ID))
		SKIP(return, "no KVM_CAP_SET_BOOT_CPU_ID");
}

FIXTURE_TEARDOWN(boot_cpu)
{
	vm_close(&self->vm);
}

static bool is_bsp(struct vcpu *vcpu)
{
	uint64_t base;

	return vcpu_get_msr(vcpu, 0x1b, &base) == 1 && base & APIC_BASE_BSP;
}

static int mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state;

	return ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) ? -1 : (int)state.mp_state;
}

TEST_F(boot_cpu, another_than_0)
{
	struct kvm_lapic_state s;

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 1));
	for (int i = 0; i < 3; i++) {
		struct vcpu *vcpu = vm_add_vcpu(&self->vm);

		ASSERT_NE(NULL, vcpu);
		EXPECT_EQ(i == 1, is_bsp(vcpu));
		EXPECT_EQ(i == 1 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED, mp_state(vcpu));
		/* The PIC is connected to it. */
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_LAPIC, &s));
		EXPECT_EQ(i == 1 ? 0x700U : 0x10000U, *(uint32_t *)(s.regs + 0x350));
	}
}

TEST_F(boot_cpu, default_is_0)
{
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_TRUE(is_bsp(&self->vm.vcpu[0]));
	EXPECT_FALSE(is_bsp(&self->vm.vcpu[1]));
}

TEST_F(boot_cpu, before_the_first_vcpu)
{
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 3));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 0));
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_TRUE(is_bsp(&self->vm.vcpu[0]));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 1));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 0));
	EXPECT_EQ(EBUSY, errno);
}

TEST_F(boot_cpu, without_irqchip)
{
	struct vm vm;

	ASSERT_EQ(0, vm_open(&vm, 0));
	ASSERT_EQ(0, ioctl(vm.fd, KVM_SET_BOOT_CPU_ID, 1));
	ASSERT_NE(NULL, vm_add_vcpu(&vm));
	ASSERT_NE(NULL, vm_add_vcpu(&vm));
	EXPECT_FALSE(is_bsp(&vm.vcpu[0]));
	EXPECT_TRUE(is_bsp(&vm.vcpu[1]));
	vm_close(&vm);
}

TEST_F(boot_cpu, beyond_the_ids_is_einval)
{
	if (dev_is_reference())
		SKIP(return, "older versions take any");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, has_cap(&self->vm, KVM_CAP_MAX_VCPU_ID)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_BOOT_CPU_ID, 1UL << 32));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
