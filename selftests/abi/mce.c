// SPDX-License-Identifier: GPL-2.0-only
/* Machine checks: the ioctls that set banks up and report errors, and the MSRs that tell of them. */
#include <asm/processor-flags.h>

#include "kselftest_harness.h"
#include "msr_guest.h"
#include "vm.h"

/* SDM vol. 3B, 15.3 */
#define MCG_CAP		0x179
#define MCG_STATUS	0x17a
#define MCG_CTL		0x17b
#define MC_CTL(bank)	(0x400 + 4 * (bank))
#define MC_STATUS(bank)	(0x401 + 4 * (bank))
#define MC_ADDR(bank)	(0x402 + 4 * (bank))
#define MC_MISC(bank)	(0x403 + 4 * (bank))
#define CTL_P		(1ULL << 8)
#define SER_P		(1ULL << 24)
#define CMCI_P		(1ULL << 10)
#define RIPV		1ULL
#define MCIP		4ULL
#define VAL		(1ULL << 63)
#define OVER		(1ULL << 62)
#define UC		(1ULL << 61)
#define EN		(1ULL << 60)
#define S		(1ULL << 56)
#define AR		(1ULL << 55)
#define NR_BANKS	4

GUEST_CODE(spin, 16, "1: outb %al, $0x3f\njmp 1b\n");
GUEST_CODE(handler, 16, "outb %al, $0x40\niretw\n");

FIXTURE(mce)
{
	struct vm vm;
	struct vcpu *vcpu;
};

static int setup(struct vcpu *vcpu, uint64_t cap)
{
	return ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &cap);
}

FIXTURE_SETUP(mce)
{
	static const uint16_t entry[2] = { 0x9000, 0 };
	struct kvm_sregs sregs;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, spin);
	vm_load(&self->vm, 0x9000, handler);
	vm_copy_in(&self->vm, 4 * 18, entry, sizeof(entry));
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 |= X86_CR4_MCE;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, setup(self->vcpu, NR_BANKS | CTL_P | SER_P));
}

FIXTURE_TEARDOWN(mce)
{
	vm_close(&self->vm);
}

static uint64_t msr(struct vcpu *vcpu, uint32_t index)
{
	uint64_t value;

	return vcpu_get_msr(vcpu, index, &value) == 1 ? value : 0xdead;
}

static int report(struct vcpu *vcpu, uint8_t bank, uint64_t status, uint64_t mcg_status)
{
	struct kvm_x86_mce mce = {
		.bank = bank, .status = status, .mcg_status = mcg_status, .addr = 0x1000, .misc = 0x8c,
	};

	return ioctl(vcpu->fd, KVM_X86_SET_MCE, &mce);
}

static int next_port(struct vcpu *vcpu)
{
	int reason = vcpu_run(vcpu);

	return reason == KVM_EXIT_IO ? vcpu->run->io.port : -reason;
}

TEST_F(mce, supported)
{
	uint64_t cap = 0;

	EXPECT_EQ(32, has_cap(&self->vm, KVM_CAP_MCE));
	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap));
	EXPECT_EQ(CTL_P | SER_P, cap & (CTL_P | SER_P));
	EXPECT_EQ(0, cap & 0xff);
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_X86_GET_MCE_CAP_SUPPORTED, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(mce, set_up)
{
	static const uint64_t bad[] = { 0, CTL_P, 33, 255, 4 | 1ULL << 63, 4 | 1ULL << 28 };

	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(-1, setup(self->vcpu, bad[i])) TH_LOG("0x%lx", bad[i]);
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_X86_SETUP_MCE, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	/* Not shown where the CPU is AMD's, which has no such bit. */
	EXPECT_EQ(NR_BANKS | CTL_P, msr(self->vcpu, MCG_CAP) & ~SER_P);
	EXPECT_EQ(~0ULL, msr(self->vcpu, MCG_CTL));
	EXPECT_EQ(~0ULL, msr(self->vcpu, MC_CTL(NR_BANKS - 1)));
	EXPECT_EQ(0, msr(self->vcpu, MC_STATUS(0)));
	EXPECT_EQ(0xdead, msr(self->vcpu, MC_CTL(NR_BANKS)));
	ASSERT_EQ(0, setup(self->vcpu, 32));
	EXPECT_EQ(32, msr(self->vcpu, MCG_CAP));
	EXPECT_EQ(~0ULL, msr(self->vcpu, MC_CTL(31)));
}

TEST_F(mce, bad_reports)
{
	EXPECT_EQ(-1, report(self->vcpu, NR_BANKS, VAL, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, report(self->vcpu, 255, VAL, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, report(self->vcpu, 0, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_X86_SET_MCE, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, msr(self->vcpu, MC_STATUS(0)));
}

/* SRAR: an action is required, so it comes as #MC. */
TEST_F(mce, action_required)
{
	EXPECT_EQ(0x3f, next_port(self->vcpu));
	ASSERT_EQ(0, report(self->vcpu, 1, VAL | UC | EN | S | AR | 0x134, RIPV | MCIP));
	EXPECT_EQ(0x40, next_port(self->vcpu));
	EXPECT_EQ(VAL | UC | EN | S | AR | 0x134, msr(self->vcpu, MC_STATUS(1)));
	EXPECT_EQ(0x1000, msr(self->vcpu, MC_ADDR(1)));
	EXPECT_EQ(0x8c, msr(self->vcpu, MC_MISC(1)));
	EXPECT_EQ(RIPV | MCIP, msr(self->vcpu, MCG_STATUS));
	/* A second one while the first is handled: nobody could. */
	ASSERT_EQ(0, report(self->vcpu, 1, VAL | UC | S | AR, RIPV | MCIP));
	EXPECT_EQ(-KVM_EXIT_SHUTDOWN, next_port(self->vcpu));
}

/* SRAO likewise, as the stock module delivers it; the second one overflows. */
TEST_F(mce, action_optional)
{
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, report(self->vcpu, 0, VAL | UC | EN | S, RIPV | MCIP));
		EXPECT_EQ(0x40, next_port(self->vcpu));
		EXPECT_EQ(VAL | UC | EN | S | (i ? OVER : 0), msr(self->vcpu, MC_STATUS(0)));
		ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MCG_STATUS, 0));
		EXPECT_EQ(0x3f, next_port(self->vcpu));
	}
}

TEST_F(mce, without_cr4_mce_it_shuts_down)
{
	struct kvm_sregs sregs;

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 &= ~(uint64_t)X86_CR4_MCE;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, report(self->vcpu, 0, VAL | UC | EN | S | AR, RIPV | MCIP));
	EXPECT_EQ(-KVM_EXIT_SHUTDOWN, next_port(self->vcpu));
}

/* UCNA and corrected errors are only logged, as there is no CMCI here. */
TEST_F(mce, logged_only)
{
	uint64_t cap = 0;

	ASSERT_EQ(0, report(self->vcpu, 2, VAL | UC | EN, 0));
	EXPECT_EQ(0x3f, next_port(self->vcpu));
	EXPECT_EQ(VAL | UC | EN, msr(self->vcpu, MC_STATUS(2)) & ~OVER);
	ASSERT_EQ(0, report(self->vcpu, 3, VAL | 0x11, 0));
	EXPECT_EQ(0x3f, next_port(self->vcpu));
	EXPECT_EQ(VAL | 0x11, msr(self->vcpu, MC_STATUS(3)));
	ASSERT_EQ(0, report(self->vcpu, 3, VAL | 0x12, 0));
	EXPECT_EQ(VAL | OVER | 0x12, msr(self->vcpu, MC_STATUS(3)));
	/* One that was not corrected stays. */
	ASSERT_EQ(0, report(self->vcpu, 2, VAL | 0x13, 0));
	EXPECT_EQ(VAL | OVER | UC | EN, msr(self->vcpu, MC_STATUS(2)));
	if (dev_is_reference())
		return;
	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap));
	EXPECT_EQ(0, cap & CMCI_P);
}

/* Where reporting is off nothing is reported. */
TEST_F(mce, control_registers)
{
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MC_CTL(1), 0));
	ASSERT_EQ(0, report(self->vcpu, 1, VAL | UC | EN | S | AR, RIPV | MCIP));
	EXPECT_EQ(0x3f, next_port(self->vcpu));
	EXPECT_EQ(0, msr(self->vcpu, MC_STATUS(1)));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MCG_CTL, 0));
	ASSERT_EQ(0, report(self->vcpu, 0, VAL | UC | EN | S | AR, RIPV | MCIP));
	EXPECT_EQ(0x3f, next_port(self->vcpu));
	EXPECT_EQ(0, msr(self->vcpu, MC_STATUS(0)));
	/* All or none. */
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MCG_CTL, 5));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MCG_CTL, ~0ULL));
}

/* What the guest itself may write to a bank. */
TEST_F(mce, guests_writes)
{
	static const uint64_t any[] = { 0, ~0ULL, 0xaaaaaaaaaaaaaaaaULL };
	struct vcpu *vcpu = self->vcpu;
	uint64_t value;

	ASSERT_EQ(0, msr_guest_load(&self->vm, vcpu));
	for (int bank = 0; bank < NR_BANKS; bank++) {
		for (int i = 0; i < 3; i++) {
			EXPECT_EQ(GUEST_DONE, msr_guest_write(vcpu, MC_ADDR(bank), any[i]));
			EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MC_ADDR(bank), &value));
			EXPECT_EQ(any[i], value);
			EXPECT_EQ(GUEST_DONE, msr_guest_write(vcpu, MC_MISC(bank), any[i]));
			EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MC_MISC(bank), &value));
			EXPECT_EQ(any[i], value);
			EXPECT_EQ(i ? GUEST_GP : GUEST_DONE, msr_guest_write(vcpu, MC_STATUS(bank), any[i]));
			EXPECT_EQ(i == 2 ? GUEST_GP : GUEST_DONE, msr_guest_write(vcpu, MC_CTL(bank), any[i]));
		}
		/* Linux does without one error of some banks. */
		EXPECT_EQ(GUEST_DONE, msr_guest_write(vcpu, MC_CTL(bank), ~1ULL));
		EXPECT_EQ(GUEST_DONE, msr_guest_write(vcpu, MC_CTL(bank), ~(1ULL << 10)));
		EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MC_CTL(bank), &value));
		EXPECT_EQ(~(1ULL << 10), value);
		EXPECT_EQ(GUEST_GP, msr_guest_write(vcpu, MC_CTL(bank), ~2ULL));
		/* As the VMM restores what it has read. */
		EXPECT_EQ(1, vcpu_set_msr(vcpu, MC_STATUS(bank), VAL | UC));
		EXPECT_EQ(1, vcpu_set_msr(vcpu, MC_ADDR(bank), 0x1000));
	}
	EXPECT_EQ(GUEST_GP, msr_guest_read(vcpu, MC_CTL(NR_BANKS), &value));
	EXPECT_EQ(GUEST_GP, msr_guest_write(vcpu, MC_MISC(NR_BANKS), 0));
}

TEST_HARNESS_MAIN
