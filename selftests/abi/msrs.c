// SPDX-License-Identifier: GPL-2.0-only
/* GET_MSRS and SET_MSRS: they go as far as they can and say how far. */
#include <cpuid.h>
#include "kselftest_harness.h"
#include "msr_guest.h"
#include "vm.h"

#define MSR_TSC			0x10
#define MSR_APICBASE		0x1b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_ARCH_CAPABILITIES	0x10a
#define MSR_PAT			0x277
#define MSR_PERF_CAPABILITIES	0x345
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_NONE		0x12345678

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[300];
};

FIXTURE(msrs)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(msrs)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
}

FIXTURE_TEARDOWN(msrs)
{
	vm_close(&self->vm);
}

TEST_F(msrs, read_back)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	/* AMD's SYSENTER registers have 32 bits (APM vol. 2, 6.1.3). */
	} values[] = {
		{ MSR_SYSENTER_CS, 0x10 },
		{ MSR_SYSENTER_ESP, 0x81000000 },
		{ MSR_SYSENTER_EIP, 0x12345678 },
		{ MSR_PAT, 0x0007010600070106 },
		{ MSR_STAR, 0x0023001000000000 },
		{ MSR_LSTAR, 0xffffffff81002000 },
		{ MSR_CSTAR, 0xffffffff81003000 },
		{ MSR_SFMASK, 0x47700 },
		{ MSR_FS_BASE, 0x7f0000001000 },
		{ MSR_GS_BASE, 0xffff888000001000 },
		{ MSR_KERNEL_GS_BASE, 0x7f0000002000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		uint64_t seen;

		EXPECT_EQ(1, vcpu_set_msr(self->vcpu, values[i].index, values[i].value))
			TH_LOG("MSR %#x", values[i].index);
		EXPECT_EQ(1, vcpu_get_msr(self->vcpu, values[i].index, &seen));
		EXPECT_EQ(values[i].value, seen)
			TH_LOG("MSR %#x", values[i].index);
	}
}

TEST_F(msrs, every_listed_one_can_be_read_and_written_back)
{
	struct {
		struct kvm_msr_list head;
		uint32_t indices[512];
	} list = { .head.nmsrs = 512 };

	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_GET_MSR_INDEX_LIST, &list));
	for (uint32_t i = 0; i < list.head.nmsrs; i++) {
		uint64_t value;

		EXPECT_EQ(1, vcpu_get_msr(self->vcpu, list.indices[i], &value))
			TH_LOG("MSR %#x cannot be read", list.indices[i]);
		/* The stock module lists some that it only emulates for other vendors. */
		if (vcpu_set_msr(self->vcpu, list.indices[i], value) != 1) {
			EXPECT_TRUE(dev_is_reference())
				TH_LOG("MSR %#x cannot be written back", list.indices[i]);
		}
	}
}

TEST_F(msrs, count_says_how_far_it_went)
{
	struct msrs m = { .head.nmsrs = 3 };

	m.entry[0].index = MSR_LSTAR;
	m.entry[1].index = MSR_NONE;
	m.entry[2].index = MSR_CSTAR;
	EXPECT_EQ(1, ioctl(self->vcpu->fd, KVM_GET_MSRS, &m));

	m.entry[0].data = 0x1000;
	m.entry[2].data = 0x2000;
	EXPECT_EQ(1, ioctl(self->vcpu->fd, KVM_SET_MSRS, &m));
	/* The first was set, what came after the failure was not. */
	m.entry[1].index = MSR_CSTAR;
	m.head.nmsrs = 2;
	EXPECT_EQ(2, ioctl(self->vcpu->fd, KVM_GET_MSRS, &m));
	EXPECT_EQ(0x1000ULL, m.entry[0].data);
	EXPECT_EQ(0ULL, m.entry[1].data);
}

/* What QEMU and others ask the device for, whatever CPU it is. */
TEST_F(msrs, feature_msrs_of_every_host)
{
	struct msrs m = { .head.nmsrs = 2 };

	m.entry[0].index = MSR_ARCH_CAPABILITIES;
	m.entry[1].index = MSR_PERF_CAPABILITIES;
	EXPECT_EQ(2, ioctl(self->vm.sys_fd, KVM_GET_MSRS, &m));
}

TEST_F(msrs, none_is_zero)
{
	struct msrs m = { .head.nmsrs = 0 };

	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_MSRS, &m));
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MSRS, &m));
}

TEST_F(msrs, too_many_is_e2big)
{
	struct msrs m = { .head.nmsrs = 256 };

	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_MSRS, &m));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_MSRS, &m));
	EXPECT_EQ(E2BIG, errno);
	m.head.nmsrs = 0xffffffff;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_MSRS, &m));
	EXPECT_EQ(E2BIG, errno);
	m.head.nmsrs = 255;
	for (int i = 0; i < 255; i++)
		m.entry[i].index = MSR_STAR;
	EXPECT_EQ(255, ioctl(self->vcpu->fd, KVM_GET_MSRS, &m));
}

TEST_F(msrs, invalid_values_are_refused)
{
	uint64_t value;

	/* PAT types 2 and 3 do not exist (APM vol. 2, 7.8.1). */
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_PAT, 0x0007040600070402));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_PAT, 0x0307040600070406));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_PAT, &value));
	EXPECT_EQ(0x0007040600070406ULL, value);
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_EFER, 1ULL << 63));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_APICBASE, 0xfee00901));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_LSTAR, 0x8000000000000000));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_KERNEL_GS_BASE, 0x1000000000000000));
	/* MTRR type 2 does not exist either. */
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_MTRR_DEF_TYPE, 0x802));
}

GUEST_CODE(rdmsr_loop, 64,
	   "1: inl $0x10, %eax\n"
	   "mov %eax, %ecx\n"
	   "rdmsr\n"
	   "outl %eax, $0x11\n"
	   "mov %edx, %eax\n"
	   "outl %eax, $0x12\n"
	   "jmp 1b\n");

/* The ioctl and the guest's RDMSR mean the same register. */
TEST_F(msrs, guest_reads_what_was_set)
{
	static const uint32_t indices[] = {
		MSR_PAT, MSR_STAR, MSR_LSTAR, MSR_FS_BASE, MSR_KERNEL_GS_BASE,
	};

	vm_load(&self->vm, VM_CODE_GPA, rdmsr_loop);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		uint64_t value = indices[i] == MSR_PAT ? 0x0606060600040501 : 0x71122334455 + i;
		uint64_t seen;

		ASSERT_EQ(1, vcpu_set_msr(self->vcpu, indices[i], value));
		*(uint32_t *)io_data(self->vcpu) = indices[i];
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		seen = *(uint32_t *)io_data(self->vcpu);
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		seen |= (uint64_t)*(uint32_t *)io_data(self->vcpu) << 32;
		EXPECT_EQ(value, seen)
			TH_LOG("MSR %#x", indices[i]);
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	}
}

/*
 * A state that is restored right behind the start, and behind a VMM's writing back what it read then
 * (QEMU's reset): not taken for that. A second vCPU is then meant to be equal.
 */
TEST_F(msrs, tsc_goes_on_from_a_state_of_its_first_second)
{
	uint64_t half_a_second, first, second, between;
	struct vcpu *other = vm_add_vcpu(&self->vm);

	if (dev_is_reference())
		SKIP(return, "the stock module takes them for the start's");
	ASSERT_NE(NULL, other);
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &first));
	ASSERT_EQ(1, vcpu_get_msr(other, MSR_TSC, &second));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_TSC, first));
	ASSERT_EQ(1, vcpu_set_msr(other, MSR_TSC, second));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &second));
	EXPECT_LT(first, second);
	half_a_second = 500ULL * ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0);
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_TSC, half_a_second));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &first));
	EXPECT_LE(half_a_second, first);
	ASSERT_EQ(1, vcpu_set_msr(other, MSR_TSC, half_a_second / 2));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &first));
	ASSERT_EQ(1, vcpu_get_msr(other, MSR_TSC, &between));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &second));
	EXPECT_LE(first, between);
	EXPECT_LE(between, second);
}

static bool cpu_is_amd(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
}

/* What VMMs and guests write there is kept as it is. */
TEST_F(msrs, places_to_keep_values)
{
	static const struct {
		uint32_t index;
		uint64_t reset, other;
		bool amd;
	} kept[] = {
		{ 0x1fc, 0, 0x1234, false },		/* POWER_CTL */
		{ 0x1a0, 0x1800, 0x400c51809, false },	/* MISC_ENABLE */
		{ 0xc0010015, 0, 1u << 18, true },	/* HWCR */
		{ 0xc0010015, 1u << 18, 0, true },
		{ 0xc0011029, 0, 0, true },		/* DE_CFG: LFENCE serializes, or may not be said to */
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (kept[i].amd && !cpu_is_amd())
			continue;
		/* In 6.1 a 0 changes nothing there. */
		if (dev_is_reference() && !kept[i].other)
			continue;
		if (!dev_is_reference()) {
			ASSERT_EQ(1, vcpu_get_msr(self->vcpu, kept[i].index, &value));
			EXPECT_EQ(kept[i].reset, value) TH_LOG("0x%x", kept[i].index);
		}
		EXPECT_EQ(1, vcpu_set_msr(self->vcpu, kept[i].index, kept[i].other)) TH_LOG("0x%x", kept[i].index);
		ASSERT_EQ(1, vcpu_get_msr(self->vcpu, kept[i].index, &value));
		EXPECT_EQ(kept[i].other, value) TH_LOG("0x%x", kept[i].index);
	}
}

/* A guest that was told of Intel's CPU has registers of 64 bits also on AMD's, which needs an exit. */
TEST_F(msrs, sysenter_of_another_vendor)
{
	const uint64_t address = 0x123456789abc;
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm.sys_fd);
	struct kvm_cpuid_entry2 *leaf0;
	uint64_t value;
	long exits;

	ASSERT_NE(NULL, cpuid);
	leaf0 = cpuid_find(cpuid, 0, 0);
	ASSERT_NE(NULL, leaf0);
	leaf0->ebx = 0x756e6547;
	leaf0->edx = 0x49656e69;
	leaf0->ecx = 0x6c65746e;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, cpuid));
	free(cpuid);
	ASSERT_EQ(0, msr_guest_load(&self->vm, self->vcpu));
	for (uint32_t index = MSR_SYSENTER_ESP; index <= MSR_SYSENTER_EIP; index++) {
		exits = vm_counter("exit:MSR");
		EXPECT_EQ(GUEST_DONE, msr_guest_write(self->vcpu, index, address + index));
		EXPECT_EQ(GUEST_DONE, msr_guest_read(self->vcpu, index, &value));
		EXPECT_EQ(address + index, value);
		ASSERT_EQ(1, vcpu_get_msr(self->vcpu, index, &value));
		EXPECT_EQ(address + index, value);
		/* The emulated CPU keeps 64 bits anyway. */
		if (cpu_is_amd() && !dev_is_reference())
			EXPECT_EQ(exits + 2, vm_counter("exit:MSR"));
		/* The stock module takes it as AMD's CPUs do, and makes it canonical. */
		if (!dev_is_reference())
			EXPECT_EQ(GUEST_GP, msr_guest_write(self->vcpu, index, 1ULL << 63));
		ASSERT_EQ(1, vcpu_set_msr(self->vcpu, index, ~address));
		EXPECT_EQ(GUEST_DONE, msr_guest_read(self->vcpu, index, &value));
		EXPECT_EQ(~address, value);
	}
}

/* QEMU sets them to 0 where it was told of hv_time and hv_vapic, whether there is anything of Hyper-V or not. */
TEST_F(msrs, hyperv_is_off)
{
	static const uint32_t indices[] = { 0x40000021, 0x40000073 };
	uint64_t value;

	ASSERT_EQ(0, msr_guest_load(&self->vm, self->vcpu));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(1, vcpu_set_msr(self->vcpu, indices[i], 0));
		ASSERT_EQ(1, vcpu_get_msr(self->vcpu, indices[i], &value));
		EXPECT_EQ(0, value);
		if (has_cap(&self->vm, KVM_CAP_HYPERV))
			continue;
		EXPECT_EQ(0, vcpu_set_msr(self->vcpu, indices[i], 1));
		EXPECT_EQ(GUEST_GP, msr_guest_read(self->vcpu, indices[i], &value));
		EXPECT_EQ(GUEST_GP, msr_guest_write(self->vcpu, indices[i], 0));
	}
}

TEST_F(msrs, tsc_moves_on_from_what_was_set)
{
	uint64_t first, second;

	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_TSC, 1ULL << 50));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &first));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_TSC, &second));
	EXPECT_LE(1ULL << 50, first);
	EXPECT_GT((1ULL << 50) + (1ULL << 40), first);
	EXPECT_LT(first, second);
}

TEST_HARNESS_MAIN
