// SPDX-License-Identifier: GPL-2.0-only
/* ioctls that come too early, too late or twice. */
#include "kselftest_harness.h"
#include "vm.h"

FIXTURE(wrong_order)
{
	struct vm vm;
};

FIXTURE_SETUP(wrong_order)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
}

FIXTURE_TEARDOWN(wrong_order)
{
	vm_close(&self->vm);
}

TEST_F(wrong_order, irqchip_twice_is_eexist)
{
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(wrong_order, irqchip_after_a_vcpu_is_einval)
{
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(wrong_order, pit_twice_is_eexist)
{
	struct kvm_pit_config pit = { 0 };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(wrong_order, pit_without_irqchip_is_enoent)
{
	struct kvm_pit_config pit = { 0 };

	/* Refused since 6.14; older stock kernels make a timer that interrupts nobody. */
	if (dev_is_reference())
		SKIP(return, "stock 6.1 creates it");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
	EXPECT_EQ(ENOENT, errno);
}

TEST_F(wrong_order, chips_that_are_not_there_are_enxio)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	struct kvm_pit_state2 pit = { 0 };
	struct kvm_irq_level level = { .irq = 4, .level = 1 };

	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_IRQ_LINE, &level));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_PIT2, &pit));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_PIT2, &pit));
	EXPECT_EQ(ENXIO, errno);
	/* An irqchip without a PIT changes that for the chips only. */
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_PIT2, &pit));
	EXPECT_EQ(ENXIO, errno);
}

TEST_F(wrong_order, pit_flags_are_checked)
{
	struct kvm_pit_config pit = { .flags = 1U << 20 };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	/* Stock 6.1 ignores flags that it does not know. */
	if (dev_is_reference())
		SKIP(return, "stock 6.1 does not look");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(wrong_order, memory_after_vcpus_is_fine)
{
	struct vcpu *vcpu;
	struct vm vm;

	ASSERT_EQ(0, vm_open(&vm, VM_VCPU));
	vcpu = &vm.vcpu[0];
	vm.mem = page_alloc(VM_MEM_SIZE);
	ASSERT_NE(NULL, vm.mem);
	memset(vm.mem + VM_CODE_GPA, 0xf4, 16);
	ASSERT_EQ(0, vcpu_real_mode(vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, vm_set_slot(&vm, 0, 0, 0, VM_MEM_SIZE, vm.mem));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(vcpu));
	vm_close(&vm);
}

/* State may be set on a vCPU that already ran. */
TEST_F(wrong_order, registers_after_a_run)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, vcpu);
	memset(self->vm.mem + VM_CODE_GPA, 0xf4, 16);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, vcpu_real_mode(vcpu, VM_CODE_GPA));
		EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(vcpu));
		ASSERT_EQ(0, vcpu_long_mode(&self->vm, vcpu, VM_CODE_GPA));
		EXPECT_EQ(KVM_EXIT_HLT, vcpu_run(vcpu));
	}
}

/* State that is set between an exit and its completion: the exit's answer must not undo it. */
TEST_F(wrong_order, io_is_completed_by_the_next_run)
{
	static const uint8_t code[] = { 0xe4, 0x10, 0xf4 };	/* in $0x10, %al; hlt */
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	struct kvm_regs regs;

	ASSERT_NE(NULL, vcpu);
	vm_copy_in(&self->vm, VM_CODE_GPA, code, sizeof(code));
	ASSERT_EQ(0, vcpu_real_mode(vcpu, VM_CODE_GPA));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
	*(uint8_t *)io_data(vcpu) = 0x5c;
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_REGS, &regs));
	regs.rbx = 0x1234;
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(vcpu));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0x1234ULL, regs.rbx);
	EXPECT_EQ(0x5cULL, regs.rax & 0xff);
}

TEST_HARNESS_MAIN
