// SPDX-License-Identifier: GPL-2.0-only
/* KVM_X86_SET_MSR_FILTER: which MSRs a guest may read and write. */
#include <pthread.h>
#include "kselftest_harness.h"
#include "msr_guest.h"

#define BOTH (KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)

#define MSR_APICBASE		0x1b
#define MSR_SYSENTER_CS		0x174
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC_VERSION	0x803
#define MSR_KERNEL_GS_BASE	0xc0000102

FIXTURE(msr_filter)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint64_t value;
};

FIXTURE_SETUP(msr_filter)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(0, msr_guest_load(&self->vm, self->vcpu));
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_MSR_FILTER));
}

FIXTURE_TEARDOWN(msr_filter)
{
	vm_close(&self->vm);
}

#define READ(index) msr_guest_read(self->vcpu, index, &self->value)
#define WRITE(index, val) msr_guest_write(self->vcpu, index, val)

/* These are MSRs that guests get without an exit on one vendor's CPUs or both, and one that always exits. */
static const uint32_t some[] = { MSR_SYSENTER_CS, MSR_KERNEL_GS_BASE, MSR_PAT };

TEST_F(msr_filter, ranges_deny_and_allow)
{
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		struct msr_range range = { BOTH, some[i], 1, 0 };

		EXPECT_EQ(GUEST_DONE, READ(some[i]));
		EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
		EXPECT_EQ(GUEST_GP, READ(some[i]));
		EXPECT_EQ(GUEST_GP, WRITE(some[i], 0));
		EXPECT_EQ(GUEST_DONE, READ(some[(i + 1) % ARRAY_SIZE(some)]));
		range.bits = 1;
		EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, &range, 1));
		EXPECT_EQ(GUEST_DONE, READ(some[i]));
		EXPECT_EQ(GUEST_DONE, WRITE(some[i], 0));
		EXPECT_EQ(GUEST_GP, READ(some[(i + 1) % ARRAY_SIZE(some)]));
		/* None at all: as before the first. */
		EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, NULL, 0));
		EXPECT_EQ(GUEST_DONE, READ(some[i]));
		EXPECT_EQ(GUEST_DONE, READ(some[(i + 1) % ARRAY_SIZE(some)]));
	}
}

TEST_F(msr_filter, reads_and_writes_are_told_apart)
{
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		struct msr_range range = { KVM_MSR_FILTER_WRITE, some[i], 1, 0 };

		EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
		EXPECT_EQ(GUEST_DONE, READ(some[i]));
		EXPECT_EQ(GUEST_GP, WRITE(some[i], 0));
		range.flags = KVM_MSR_FILTER_READ;
		EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
		EXPECT_EQ(GUEST_GP, READ(some[i]));
		EXPECT_EQ(GUEST_DONE, WRITE(some[i], 0));
		/* What no range is about is the default's. */
		EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, &range, 1));
		EXPECT_EQ(GUEST_GP, WRITE(some[i], 0));
	}
}

TEST_F(msr_filter, each_msr_of_a_range_has_its_bit)
{
	const struct msr_range ranges[] = {
		{ BOTH, MSR_SYSENTER_CS - 1, 4, 0xa },
		{ BOTH, MSR_PAT - 63, 64, 1ull << 63 },
	};

	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, ranges, 2));
	EXPECT_EQ(GUEST_DONE, READ(MSR_SYSENTER_CS));
	EXPECT_EQ(GUEST_GP, READ(MSR_SYSENTER_CS + 1));
	EXPECT_EQ(GUEST_DONE, READ(MSR_SYSENTER_CS + 2));
	EXPECT_EQ(GUEST_GP, READ(MSR_SYSENTER_CS + 3));
	EXPECT_EQ(GUEST_DONE, READ(MSR_PAT));
	EXPECT_EQ(GUEST_GP, READ(MSR_PAT + 1));
}

/* The write that exits most. */
TEST_F(msr_filter, tsc_deadline)
{
	struct msr_range range = { BOTH, MSR_TSC_DEADLINE, 1, 0 };

	EXPECT_EQ(GUEST_DONE, WRITE(MSR_TSC_DEADLINE, 0));
	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
	EXPECT_EQ(GUEST_GP, WRITE(MSR_TSC_DEADLINE, 0));
}

TEST_F(msr_filter, a_later_vcpu_is_filtered_too)
{
	struct msr_range range = { BOTH, MSR_KERNEL_GS_BASE, 1, 0 };
	struct vcpu *second;

	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
	second = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, second));
	ASSERT_EQ(0, msr_guest_load(&self->vm, second));
	ASSERT_EQ(0, ioctl(second->fd, KVM_SET_MP_STATE,
			   &(struct kvm_mp_state){ KVM_MP_STATE_RUNNABLE }));
	EXPECT_EQ(GUEST_GP, msr_guest_read(second, MSR_KERNEL_GS_BASE, &self->value));
	EXPECT_EQ(GUEST_DONE, msr_guest_read(second, MSR_SYSENTER_CS, &self->value));
}

TEST_F(msr_filter, the_x2apic_is_exempt)
{
	struct msr_range range = { BOTH, MSR_PAT, 1, 1 };
	struct msr_range all = { BOTH, 0x800, 64, 0 };

	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_APICBASE, 0xfee00d00));
	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, &range, 1));
	EXPECT_EQ(GUEST_DONE, READ(MSR_X2APIC_VERSION));
	EXPECT_EQ(GUEST_DONE, WRITE(0x80b, 0));
	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &all, 1));
	EXPECT_EQ(GUEST_DONE, READ(MSR_X2APIC_VERSION));
}

TEST_F(msr_filter, the_vmm_is_not_filtered)
{
	struct msr_range range = { BOTH, MSR_KERNEL_GS_BASE, 1, 0 };

	ASSERT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, 0x1234));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_KERNEL_GS_BASE, &self->value));
	EXPECT_EQ(0x1234ULL, self->value);
}

GUEST_CODE(read_for_ever, 16,
	   "movl $0xc0000102, %ecx\n"
	   "outb %al, $0x30\n"
	   "1: rdmsr\n"
	   "jmp 1b\n");

static void *run_thread(void *arg)
{
	return (void *)(intptr_t)vcpu_run(arg);
}

/* A vCPU that reads it without an exit is made to ask. */
TEST_F(msr_filter, a_running_vcpu_gets_it)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR, .args[0] = KVM_MSR_EXIT_REASON_FILTER,
	};
	struct msr_range range = { KVM_MSR_FILTER_READ, MSR_KERNEL_GS_BASE, 1, 0 };
	pthread_t thread;
	void *reason;

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_ENABLE_CAP, &cap));
	vm_load(&self->vm, VM_CODE_GPA, read_for_ever);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_thread, self->vcpu));
	usleep(200000);
	EXPECT_EQ(0, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_ALLOW, &range, 1));
	pthread_join(thread, &reason);
	EXPECT_EQ(KVM_EXIT_X86_RDMSR, (intptr_t)reason);
	EXPECT_EQ(MSR_KERNEL_GS_BASE, self->vcpu->run->msr.index);
}

TEST_F(msr_filter, bad_arguments)
{
	struct msr_range range = { BOTH, MSR_PAT, 1, 0 };
	struct kvm_msr_filter filter = {
		.ranges[3] = { .flags = BOTH, .nmsrs = 8, .base = MSR_PAT, .bitmap = bad_pointer() },
	};

	EXPECT_EQ(-1, msr_filter(&self->vm, 2, &range, 1));
	EXPECT_EQ(EINVAL, errno);
	range.flags = 4;
	EXPECT_EQ(-1, msr_filter(&self->vm, 0, &range, 1));
	EXPECT_EQ(EINVAL, errno);
	range.flags = 0;
	EXPECT_EQ(-1, msr_filter(&self->vm, 0, &range, 1));
	EXPECT_EQ(EINVAL, errno);
	range = (struct msr_range){ BOTH, 0, 0x600 * 8 + 1, 0 };
	EXPECT_EQ(-1, msr_filter(&self->vm, 0, &range, 1));
	EXPECT_EQ(EINVAL, errno);
	range.nr = 0xffffffff;
	EXPECT_EQ(-1, msr_filter(&self->vm, 0, &range, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, msr_filter(&self->vm, KVM_MSR_FILTER_DEFAULT_DENY, NULL, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_X86_SET_MSR_FILTER, &filter));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_X86_SET_MSR_FILTER, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	/* Nothing of all that was taken. */
	EXPECT_EQ(GUEST_DONE, READ(MSR_PAT));
	/* A range without an MSR is none, whatever else it says. */
	filter = (struct kvm_msr_filter){ .ranges[0] = { .flags = 0x55, .bitmap = bad_pointer() } };
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_X86_SET_MSR_FILTER, &filter));
}

TEST_F(msr_filter, the_largest_there_is)
{
	struct kvm_msr_filter filter = {};
	uint8_t *bitmap = page_alloc(0x1000);

	memset(bitmap, 0xff, 0x600);
	for (int i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = BOTH, .base = i * 0x600 * 8, .nmsrs = 0x600 * 8, .bitmap = bitmap,
		};
	filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_X86_SET_MSR_FILTER, &filter));
	EXPECT_EQ(GUEST_DONE, READ(MSR_PAT));
	EXPECT_EQ(GUEST_GP, READ(MSR_KERNEL_GS_BASE));
	/* Many in a row: old ones are freed. */
	for (int i = 0; i < 200; i++)
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_X86_SET_MSR_FILTER, &filter));
}

TEST_HARNESS_MAIN
