// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_X2APIC_API: 32-bit ids in messages and in the LAPIC's state; KVM_CAP_MAX_VCPU_ID; the timer's clock. */
#include <time.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

#define BIG_ID		300
#define VECTOR		0x66
#define BOTH		(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

/* A vCPU with this id, its LAPIC in x2APIC mode and software-enabled; its kvm_run is not mapped. */
static int add_x2apic(struct vm *vm, struct vcpu *vcpu, uint32_t id)
{
	struct kvm_lapic_state s;
	uint64_t base;

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0 || vcpu_cpuid_all(vm, vcpu) || vcpu_get_msr(vcpu, 0x1b, &base) != 1 ||
	    vcpu_set_msr(vcpu, 0x1b, base | 1 << 10) != 1 || ioctl(vcpu->fd, KVM_GET_LAPIC, &s))
		return -1;
	*(uint32_t *)(s.regs + 0xf0) = 0x1ff;
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &s);
}

/* Does VECTOR wait at its LAPIC? Takes it away. */
static bool took(struct vcpu *vcpu)
{
	struct kvm_lapic_state s;
	uint32_t *irr = (uint32_t *)(s.regs + 0x200 + 16 * (VECTOR / 32));
	bool there;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &s))
		return false;
	there = *irr & 1U << VECTOR % 32;
	*irr = 0;
	return !ioctl(vcpu->fd, KVM_SET_LAPIC, &s) && there;
}

static int msi(struct vm *vm, uint32_t dest, bool logical, uint32_t high_bits)
{
	struct kvm_msi m = {
		.address_lo = 0xfee00000 | (dest & 0xff) << 12 | (logical ? 4 : 0),
		.address_hi = (dest & ~0xffU) | high_bits,
		.data = VECTOR,
	};

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &m);
}

FIXTURE(x2apic)
{
	struct vm vm;
	struct vcpu few[3];	/* ids 0, 255, BIG_ID */
};

FIXTURE_SETUP(x2apic)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	if (has_cap(&self->vm, KVM_CAP_X2APIC_API) != BOTH)
		SKIP(return, "no KVM_CAP_X2APIC_API");
	if (has_cap(&self->vm, KVM_CAP_MAX_VCPU_ID) <= BIG_ID)
		SKIP(return, "no ids above %d", BIG_ID);
}

FIXTURE_TEARDOWN(x2apic)
{
	for (int i = 0; i < 3; i++)
		if (self->few[i].fd > 0)
			close(self->few[i].fd);
	vm_close(&self->vm);
}

static int add_few(struct vm *vm, struct vcpu *few)
{
	return add_x2apic(vm, &few[0], 0) || add_x2apic(vm, &few[1], 255) ||
	       add_x2apic(vm, &few[2], BIG_ID);
}

TEST_F(x2apic, unknown_flags_are_einval)
{
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, 4));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, 1ULL << 32));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, 0));
	EXPECT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, BOTH));
	EXPECT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, BOTH));
}

TEST_F(x2apic, id_in_the_state)
{
	struct kvm_lapic_state s;
	uint32_t *id = (uint32_t *)(s.regs + 0x20);

	struct vcpu other;
	struct vm vm;

	ASSERT_EQ(0, vm_open(&vm, VM_IRQCHIP));
	ASSERT_EQ(0, add_x2apic(&vm, &other, 255));
	ASSERT_EQ(0, ioctl(other.fd, KVM_GET_LAPIC, &s));
	EXPECT_EQ(255U << 24, *id);
	close(other.fd);
	vm_close(&vm);
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS));
	ASSERT_EQ(0, add_few(&self->vm, self->few));
	ASSERT_EQ(0, ioctl(self->few[2].fd, KVM_GET_LAPIC, &s));
	EXPECT_EQ((uint32_t)BIG_ID, *id);
	/* The logical id is made of it. */
	EXPECT_EQ(BIG_ID / 16 << 16 | 1U << BIG_ID % 16, *(uint32_t *)(s.regs + 0xd0));
	EXPECT_EQ(0, ioctl(self->few[2].fd, KVM_SET_LAPIC, &s));
	*id = BIG_ID + 1;
	EXPECT_EQ(-1, ioctl(self->few[2].fd, KVM_SET_LAPIC, &s));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(x2apic, upper_address_is_ignored_without)
{
	ASSERT_EQ(0, add_few(&self->vm, self->few));
	EXPECT_EQ(1, msi(&self->vm, 0x100, false, 0xff));
	EXPECT_TRUE(took(&self->few[0]));
	EXPECT_FALSE(took(&self->few[2]));
}

TEST_F(x2apic, messages_to_32_bit_ids)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} r = { .head.nr = 1 };
	struct kvm_irq_level l = { .irq = 30, .level = 1 };

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, BOTH));
	ASSERT_EQ(0, add_few(&self->vm, self->few));
	EXPECT_EQ(1, msi(&self->vm, BIG_ID, false, 0));
	EXPECT_TRUE(took(&self->few[2]));
	EXPECT_FALSE(took(&self->few[0]));
	EXPECT_EQ(1, msi(&self->vm, BIG_ID / 16 << 16 | 1U << BIG_ID % 16, true, 0));
	EXPECT_TRUE(took(&self->few[2]));
	EXPECT_EQ(0, msi(&self->vm, 0x12345600, false, 0));
	EXPECT_EQ(-1, msi(&self->vm, BIG_ID, false, 1));
	EXPECT_EQ(EINVAL, errno);

	r.entry[0].gsi = 30;
	r.entry[0].type = KVM_IRQ_ROUTING_MSI;
	r.entry[0].u.msi.address_lo = 0xfee00000 | (BIG_ID & 0xff) << 12;
	r.entry[0].u.msi.address_hi = BIG_ID & ~0xffU;
	r.entry[0].u.msi.data = VECTOR;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_IRQ_LINE, &l));
	EXPECT_TRUE(took(&self->few[2]));
	r.entry[0].u.msi.address_hi |= 0x80;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
}

/* 8 ones: everyone, or the one with this id. */
TEST_F(x2apic, broadcast_quirk)
{
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS));
	ASSERT_EQ(0, add_few(&self->vm, self->few));
	EXPECT_LT(0, msi(&self->vm, 0xff, false, 0));
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(took(&self->few[i]));
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK));
	EXPECT_LT(0, msi(&self->vm, 0xff, false, 0));
	EXPECT_FALSE(took(&self->few[0]));
	EXPECT_TRUE(took(&self->few[1]));
	EXPECT_FALSE(took(&self->few[2]));
	/* Logically, members of cluster 0. */
	EXPECT_LT(0, msi(&self->vm, 0xff, true, 0));
	EXPECT_TRUE(took(&self->few[0]));
	EXPECT_FALSE(took(&self->few[1]));
	EXPECT_LT(0, msi(&self->vm, 0xffffffff, false, 0));
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(took(&self->few[i]));
}

/* In xAPIC mode they still mean everyone. */
TEST_F(x2apic, broadcast_in_xapic_mode)
{
	struct kvm_lapic_state s;
	uint64_t base;

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X2APIC_API, BOTH));
	ASSERT_EQ(0, add_few(&self->vm, self->few));
	ASSERT_EQ(1, vcpu_get_msr(&self->few[0], 0x1b, &base));
	ASSERT_EQ(1, vcpu_set_msr(&self->few[0], 0x1b, base & ~(3ULL << 10)));
	ASSERT_EQ(1, vcpu_set_msr(&self->few[0], 0x1b, (base & ~(3ULL << 10)) | 1 << 11));
	ASSERT_EQ(0, ioctl(self->few[0].fd, KVM_GET_LAPIC, &s));
	*(uint32_t *)(s.regs + 0xf0) = 0x1ff;
	ASSERT_EQ(0, ioctl(self->few[0].fd, KVM_SET_LAPIC, &s));
	EXPECT_LT(0, msi(&self->vm, 0xff, false, 0));
	EXPECT_TRUE(took(&self->few[0]));
	EXPECT_TRUE(took(&self->few[1]));
	EXPECT_FALSE(took(&self->few[2]));
}

/* --- KVM_CAP_MAX_VCPU_ID --- */

TEST_F(x2apic, max_vcpu_id_can_be_lowered)
{
	int max = has_cap(&self->vm, KVM_CAP_MAX_VCPU_ID), fd;
	struct vm vm;

	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_MAX_VCPU_ID, max + 1));
	EXPECT_EQ(EINVAL, errno);
	if (enable_cap(self->vm.fd, KVM_CAP_MAX_VCPU_ID, 100))
		SKIP(return, "KVM_CAP_MAX_VCPU_ID can't be set");
	EXPECT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_MAX_VCPU_ID, 100));
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_MAX_VCPU_ID, 101));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 100));
	EXPECT_EQ(EINVAL, errno);
	fd = ioctl(self->vm.fd, KVM_CREATE_VCPU, 99);
	EXPECT_LE(0, fd);
	close(fd);

	ASSERT_EQ(0, vm_open(&vm, VM_VCPU));
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_MAX_VCPU_ID, 100));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(vm.fd, KVM_CREATE_VCPU, max));
	EXPECT_EQ(EINVAL, errno);
	vm_close(&vm);
}

/* --- KVM_CAP_X86_APIC_BUS_CYCLES_NS --- */

TEST_F(x2apic, bus_cycles)
{
	struct timespec start, now;
	struct kvm_lapic_state s;
	uint32_t left;
	int64_t ns;
	struct vm vm;

	if (!has_cap(&self->vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS))
		SKIP(return, "no KVM_CAP_X86_APIC_BUS_CYCLES_NS");
	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS));
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1ULL << 32));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 40));
	EXPECT_EQ(40, has_cap(&self->vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS));
	ASSERT_EQ(0, vm_open(&vm, 0));
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 40));
	EXPECT_EQ(ENXIO, errno);
	vm_close(&vm);

	/* One shot, divided by 2: 80 ns a count. */
	ASSERT_EQ(0, add_x2apic(&self->vm, &self->few[0], 0));
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_X86_APIC_BUS_CYCLES_NS, 1));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, ioctl(self->few[0].fd, KVM_GET_LAPIC, &s));
	*(uint32_t *)(s.regs + 0x3e0) = 0;
	*(uint32_t *)(s.regs + 0x380) = 1000000000;
	*(uint32_t *)(s.regs + 0x390) = 1000000000;
	clock_gettime(CLOCK_MONOTONIC, &start);
	ASSERT_EQ(0, ioctl(self->few[0].fd, KVM_SET_LAPIC, &s));
	usleep(300000);
	ASSERT_EQ(0, ioctl(self->few[0].fd, KVM_GET_LAPIC, &s));
	clock_gettime(CLOCK_MONOTONIC, &now);
	left = *(uint32_t *)(s.regs + 0x390);
	ns = (now.tv_sec - start.tv_sec) * 1000000000LL + now.tv_nsec - start.tv_nsec;
	EXPECT_LT(0U, left);
	EXPECT_LE(300000000LL, (1000000000LL - left) * 80);
	EXPECT_GE(ns + 80, (1000000000LL - left) * 80);
}

TEST_HARNESS_MAIN
