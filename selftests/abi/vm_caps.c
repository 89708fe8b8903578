// SPDX-License-Identifier: GPL-2.0-only
/* Small capabilities of a VM: MSR_PLATFORM_INFO, quirks, the TSC's frequency that its vCPUs begin with. */
#include "kselftest_harness.h"
#include "msr_guest.h"

#define MSR_PLATFORM_INFO	0xce
#define MSR_APIC_BASE		0x1b
#define APIC_ENABLED		(1ULL << 11)
#define APIC_X2APIC		(1ULL << 10)
#define APIC_LVT0		0x350
#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_MWAIT	(1u << 18)

FIXTURE(vm_caps)
{
	struct vm vm;
};

FIXTURE_SETUP(vm_caps)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
}

FIXTURE_TEARDOWN(vm_caps)
{
	vm_close(&self->vm);
}

TEST_F(vm_caps, msr_platform_info)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	uint64_t value;

	ASSERT_NE(NULL, vcpu);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, vcpu));
	ASSERT_EQ(0, msr_guest_load(&self->vm, vcpu));
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_MSR_PLATFORM_INFO));
	EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MSR_PLATFORM_INFO, &value));
	EXPECT_EQ(1ULL << 31, value);
	EXPECT_EQ(GUEST_GP, msr_guest_write(vcpu, MSR_PLATFORM_INFO, value));
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_MSR_PLATFORM_INFO, 0));
	EXPECT_EQ(GUEST_GP, msr_guest_read(vcpu, MSR_PLATFORM_INFO, &value));
	EXPECT_EQ(1, vcpu_get_msr(vcpu, MSR_PLATFORM_INFO, &value));
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_MSR_PLATFORM_INFO, 1));
	EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MSR_PLATFORM_INFO, &value));
}

static uint32_t lvt0(struct vcpu *vcpu)
{
	struct kvm_lapic_state apic;

	return ioctl(vcpu->fd, KVM_GET_LAPIC, &apic) ? 0 : *(uint32_t *)(apic.regs + APIC_LVT0);
}

TEST_F(vm_caps, quirk_lint0)
{
	int quirks = has_cap(&self->vm, KVM_CAP_DISABLE_QUIRKS2);
	struct vcpu *vcpu;

	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_DISABLE_QUIRKS));
	ASSERT_EQ(KVM_X86_QUIRK_LINT0_REENABLED, quirks & KVM_X86_QUIRK_LINT0_REENABLED);
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS2, (uint32_t)quirks | 1u << 30));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_LINT0_REENABLED));
	vcpu = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x10000, lvt0(vcpu));
}

TEST_F(vm_caps, quirk_lint0_by_the_older_way)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS, KVM_X86_QUIRK_LINT0_REENABLED));
	vcpu = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x10000, lvt0(vcpu));
}

TEST_F(vm_caps, quirks_are_on)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x700, lvt0(vcpu));
}

/* QEMU sets 1; Linux writes back what it read when it comes back from S3. */
TEST_F(vm_caps, misc_enable_can_be_written_back)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	uint64_t value;

	ASSERT_NE(NULL, vcpu);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, vcpu));
	ASSERT_EQ(0, msr_guest_load(&self->vm, vcpu));
	ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_MISC_ENABLE, 1));
	EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MSR_MISC_ENABLE, &value));
	EXPECT_EQ(1ULL, value);
	EXPECT_EQ(GUEST_DONE, msr_guest_write(vcpu, MSR_MISC_ENABLE, value));
	/* But that there were no counters, or some, is not the guest's to say. */
	EXPECT_EQ(GUEST_GP, msr_guest_write(vcpu, MSR_MISC_ENABLE, value | 1u << 12));
	EXPECT_EQ(GUEST_DONE, msr_guest_write(vcpu, MSR_MISC_ENABLE, value | 1u << 7));
	EXPECT_EQ(GUEST_DONE, msr_guest_read(vcpu, MSR_MISC_ENABLE, &value));
	EXPECT_EQ(1ULL, value);
}

GUEST_CODE(monitor_mwait, 64,
	   "1: xorl %ecx, %ecx\n xorl %edx, %edx\n movl $0x3000, %eax\n monitor\n xorl %eax, %eax\n mwait\n"
	   "outb %al, $0x10\n jmp 1b\n");

static uint32_t has_mwait(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));
	struct kvm_cpuid_entry2 *e;
	uint32_t has = ~0u;

	cpuid->nent = 256;
	if (!ioctl(vcpu->fd, KVM_GET_CPUID2, cpuid) && (e = cpuid_find(cpuid, 1, 0)))
		has = e->ecx >> 3 & 1;
	free(cpuid);
	return has;
}

/* Firmware that asks nobody: nothing happens unless the VMM wants them to be what CPUID says. */
TEST_F(vm_caps, quirk_mwait)
{
	uint64_t quirks = KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT;
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, vcpu);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, vcpu));
	vm_load(&self->vm, VM_CODE_GPA, monitor_mwait);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, vcpu, VM_CODE_GPA));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
	EXPECT_EQ(0u, has_mwait(vcpu));
	EXPECT_EQ(1, vcpu_set_msr(vcpu, MSR_MISC_ENABLE, MISC_ENABLE_MWAIT));
	EXPECT_EQ(0u, has_mwait(vcpu));

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS2, quirks));
	EXPECT_EQ(1, vcpu_set_msr(vcpu, MSR_MISC_ENABLE, 0));
	EXPECT_EQ(1, vcpu_set_msr(vcpu, MSR_MISC_ENABLE, MISC_ENABLE_MWAIT));
	EXPECT_EQ(1u, has_mwait(vcpu));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
	EXPECT_EQ(1, vcpu_set_msr(vcpu, MSR_MISC_ENABLE, 0));
	EXPECT_EQ(0u, has_mwait(vcpu));
	/* #UD without an IDT */
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(vcpu));
}

GUEST_CODE(touch_page, 64,
	   "movl $0xfee00030, %ebx\n"
	   "1: movl $0xffffffff, 0x50(%rbx)\n"
	   "movl (%rbx), %eax\n"
	   "outl %eax, $0x10\n"
	   "jmp 1b\n");

/* A LAPIC that is off or in x2APIC mode leaves a hole where its page was. */
TEST_F(vm_caps, quirk_lapic_hole)
{
	int quirks = has_cap(&self->vm, KVM_CAP_DISABLE_QUIRKS2);
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	uint64_t base;

	ASSERT_NE(NULL, vcpu);
	ASSERT_EQ(KVM_X86_QUIRK_LAPIC_MMIO_HOLE, quirks & KVM_X86_QUIRK_LAPIC_MMIO_HOLE);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, vcpu));
	vm_load(&self->vm, VM_CODE_GPA, touch_page);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, vcpu, VM_CODE_GPA));
	ASSERT_EQ(1, vcpu_get_msr(vcpu, MSR_APIC_BASE, &base));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
	EXPECT_EQ(0x14u, *(uint32_t *)io_data(vcpu) & 0xff);
	/* Off, and in x2APIC mode. */
	for (int mode = 0; mode < 2; mode++) {
		ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_APIC_BASE, mode ? base | APIC_X2APIC : base & ~APIC_ENABLED));
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
		EXPECT_EQ(~0u, *(uint32_t *)io_data(vcpu));
	}
	/* Without the quirk it is the VMM's. */
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_LAPIC_MMIO_HOLE));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(vcpu));
	EXPECT_EQ(0xfee00080ULL, vcpu->run->mmio.phys_addr);
	EXPECT_EQ(1, vcpu->run->mmio.is_write);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(vcpu));
	EXPECT_EQ(0xfee00030ULL, vcpu->run->mmio.phys_addr);
	EXPECT_EQ(0, vcpu->run->mmio.is_write);
	*(uint32_t *)vcpu->run->mmio.data = 0x12345678;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
	EXPECT_EQ(0x12345678u, *(uint32_t *)io_data(vcpu));
}

TEST_F(vm_caps, tsc_frequency)
{
	int khz = ioctl(self->vm.fd, KVM_GET_TSC_KHZ, 0);
	struct vcpu *vcpu;

	ASSERT_LT(0, khz);
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_SET_TSC_KHZ, khz));
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_SET_TSC_KHZ, 0));
	EXPECT_EQ(khz, ioctl(self->vm.fd, KVM_GET_TSC_KHZ, 0));
	if (!has_cap(&self->vm, KVM_CAP_VM_TSC_CONTROL)) {
		if (!dev_is_reference()) {
			EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_TSC_KHZ, khz / 2));
			EXPECT_EQ(EINVAL, errno);
		}
		SKIP(return, "the CPU does not scale");
	}
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_TSC_KHZ, khz / 2));
	EXPECT_EQ(khz / 2, ioctl(self->vm.fd, KVM_GET_TSC_KHZ, 0));
	vcpu = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(khz / 2, ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0));
	if (!dev_is_reference()) {
		EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_TSC_KHZ, khz));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_TSC_KHZ, 0x100000001UL));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_HARNESS_MAIN
