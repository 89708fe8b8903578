// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_X86_USER_SPACE_MSR: accesses to MSRs that the VMM answers. */
#include "kselftest_harness.h"
#include "msr_guest.h"

#define MSR_PAT		0x277
#define MSR_NONE	0x12345678

FIXTURE(user_msr)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
	uint64_t value;
};

FIXTURE_SETUP(user_msr)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	self->run = self->vcpu->run;
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(0, msr_guest_load(&self->vm, self->vcpu));
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_USER_SPACE_MSR));
}

FIXTURE_TEARDOWN(user_msr)
{
	vm_close(&self->vm);
}

#define READ(index) msr_guest_read(self->vcpu, index, &self->value)
#define WRITE(index, val) msr_guest_write(self->vcpu, index, val)
#define GO_ON() msr_guest_go_on(self->vcpu, &self->value)

static int enable(struct vm *vm, uint64_t reasons)
{
	return enable_cap(vm->fd, KVM_CAP_X86_USER_SPACE_MSR, reasons);
}

TEST_F(user_msr, unknown_ones)
{
	EXPECT_EQ(GUEST_GP, READ(MSR_NONE));
	ASSERT_EQ(0, enable(&self->vm, KVM_MSR_EXIT_REASON_UNKNOWN));

	self->run->msr.error = 1;
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, READ(MSR_NONE));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_UNKNOWN, self->run->msr.reason);
	EXPECT_EQ(MSR_NONE, self->run->msr.index);
	EXPECT_EQ(0, self->run->msr.error);
	self->run->msr.data = 0x1122334455667788;
	EXPECT_EQ(GUEST_DONE, GO_ON());
	EXPECT_EQ(0x1122334455667788ULL, self->value);

	ASSERT_EQ(KVM_EXIT_X86_RDMSR, READ(MSR_NONE));
	self->run->msr.error = 1;
	EXPECT_EQ(GUEST_GP, GO_ON());

	ASSERT_EQ(KVM_EXIT_X86_WRMSR, WRITE(MSR_NONE, 0x8877665544332211));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_UNKNOWN, self->run->msr.reason);
	EXPECT_EQ(MSR_NONE, self->run->msr.index);
	EXPECT_EQ(0, self->run->msr.error);
	EXPECT_EQ(0x8877665544332211ULL, self->run->msr.data);
	EXPECT_EQ(GUEST_DONE, GO_ON());

	ASSERT_EQ(KVM_EXIT_X86_WRMSR, WRITE(MSR_NONE, 1));
	self->run->msr.error = 1;
	EXPECT_EQ(GUEST_GP, GO_ON());

	/* That is the guest's affair only. */
	EXPECT_EQ(0, vcpu_get_msr(self->vcpu, MSR_NONE, &self->value));
	/* And the other reasons are not asked for. */
	EXPECT_EQ(GUEST_GP, WRITE(MSR_PAT, 2));
}

TEST_F(user_msr, invalid_ones)
{
	ASSERT_EQ(0, enable(&self->vm, KVM_MSR_EXIT_REASON_INVAL));
	/* A memory type that does not exist. */
	ASSERT_EQ(KVM_EXIT_X86_WRMSR, WRITE(MSR_PAT, 2));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_INVAL, self->run->msr.reason);
	EXPECT_EQ(MSR_PAT, self->run->msr.index);
	EXPECT_EQ(2ULL, self->run->msr.data);
	EXPECT_EQ(GUEST_DONE, GO_ON());
	EXPECT_EQ(GUEST_GP, READ(MSR_NONE));
	EXPECT_EQ(GUEST_DONE, READ(MSR_PAT));
	EXPECT_NE(2ULL, self->value);
}

TEST_F(user_msr, filtered_ones)
{
	struct msr_range range = { KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, MSR_PAT, 1, 0 };

	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
	EXPECT_EQ(GUEST_GP, READ(MSR_PAT));
	ASSERT_EQ(0, enable(&self->vm, KVM_MSR_EXIT_REASON_FILTER));
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, READ(MSR_PAT));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_FILTER, self->run->msr.reason);
	self->run->msr.data = 77;
	EXPECT_EQ(GUEST_DONE, GO_ON());
	EXPECT_EQ(77ULL, self->value);
	ASSERT_EQ(KVM_EXIT_X86_WRMSR, WRITE(MSR_PAT, 0x0007040600070406));
	EXPECT_EQ(KVM_MSR_EXIT_REASON_FILTER, self->run->msr.reason);
	EXPECT_EQ(GUEST_DONE, GO_ON());
	EXPECT_EQ(GUEST_GP, READ(MSR_NONE));
	/* Off again. */
	ASSERT_EQ(0, enable(&self->vm, 0));
	EXPECT_EQ(GUEST_GP, READ(MSR_PAT));
}

/* The VMM may look at the vCPU, and leave KVM_RUN, before it answers. */
TEST_F(user_msr, the_instruction_is_not_over_before_the_answer)
{
	struct kvm_regs regs, later;

	ASSERT_EQ(0, enable(&self->vm, KVM_MSR_EXIT_REASON_UNKNOWN));
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, READ(MSR_NONE));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(MSR_NONE, regs.rcx);
	self->run->msr.data = 0x500000003;
	/* immediate_exit finishes it, and nothing more. */
	self->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, vcpu_run(self->vcpu));
	self->run->immediate_exit = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &later));
	EXPECT_EQ(regs.rip + 2, later.rip);
	EXPECT_EQ(3ULL, later.rax);
	EXPECT_EQ(5ULL, later.rdx);
	EXPECT_EQ(GUEST_DONE, GO_ON());
	EXPECT_EQ(0x500000003ULL, self->value);
}

TEST_F(user_msr, bad_arguments)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .flags = 1 };

	EXPECT_EQ(-1, enable(&self->vm, 8));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable(&self->vm, 1ULL << 32));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_ENABLE_CAP, &cap));
	EXPECT_EQ(EINVAL, errno);
	/* It is the VM's, not the vCPU's. */
	cap.flags = 0;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_ENABLE_CAP, &cap));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
