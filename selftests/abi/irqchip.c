// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of IRQCHIP and PIT2. */
#include "kselftest_harness.h"
#include "vm.h"

FIXTURE(irqchip)
{
	struct vm vm;
};

FIXTURE_SETUP(irqchip)
{
	struct kvm_pit_config pit = { 0 };

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
}

FIXTURE_TEARDOWN(irqchip)
{
	vm_close(&self->vm);
}

TEST_F(irqchip, pic_read_back)
{
	for (uint32_t id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_PIC_SLAVE; id++) {
		struct kvm_irqchip in = { .chip_id = id }, out = { .chip_id = id };

		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &in));
		in.chip.pic.imr = 0xa5;
		in.chip.pic.irq_base = id ? 0x28 : 0x20;
		in.chip.pic.elcr = id ? 0x0c : 0x20;
		in.chip.pic.isr = 0x02;
		in.chip.pic.init4 = 1;
		in.chip.pic.special_mask = 1;
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &in));
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &out));
		EXPECT_EQ(0xa5, out.chip.pic.imr);
		EXPECT_EQ(in.chip.pic.irq_base, out.chip.pic.irq_base);
		EXPECT_EQ(in.chip.pic.elcr, out.chip.pic.elcr);
		EXPECT_EQ(0x02, out.chip.pic.isr);
		EXPECT_EQ(1, out.chip.pic.init4);
		EXPECT_EQ(1, out.chip.pic.special_mask);
	}
}

/* The mask of the edge/level register, too, and a vector base that no guest could have written. */
TEST_F(irqchip, pic_reads_back_what_no_guest_sets)
{
	struct kvm_irqchip in = { .chip_id = KVM_IRQCHIP_PIC_MASTER }, out = in;

	in.chip.pic.irq_base = 0x0a;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &in));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &out));
	EXPECT_EQ(0, memcmp(&in.chip.pic, &out.chip.pic, sizeof(in.chip.pic)));
}

TEST_F(irqchip, the_two_pics_are_apart)
{
	struct kvm_irqchip master = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	struct kvm_irqchip slave = { .chip_id = KVM_IRQCHIP_PIC_SLAVE };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &master));
	master.chip.pic.imr = 0x81;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &master));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &slave));
	EXPECT_NE(0x81, slave.chip.pic.imr);
}

TEST_F(irqchip, ioapic_reset_and_read_back)
{
	struct kvm_irqchip in = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_irqchip out = { .chip_id = KVM_IRQCHIP_IOAPIC };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &in));
	EXPECT_EQ(0xfec00000ULL, in.chip.ioapic.base_address);
	for (int i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
		EXPECT_EQ(1ULL << 16, in.chip.ioapic.redirtbl[i].bits & 1ULL << 16)
			TH_LOG("pin %d", i);
	}
	in.chip.ioapic.id = 3;
	in.chip.ioapic.redirtbl[5].bits = 0x0100000000008931ULL;
	in.chip.ioapic.redirtbl[23].bits = 0xff00000000010039ULL;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &in));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &out));
	EXPECT_EQ(3U, out.chip.ioapic.id + 0U);
	EXPECT_EQ(in.chip.ioapic.redirtbl[5].bits, out.chip.ioapic.redirtbl[5].bits);
	EXPECT_EQ(in.chip.ioapic.redirtbl[23].bits, out.chip.ioapic.redirtbl[23].bits);
}

TEST_F(irqchip, unknown_chip_is_einval)
{
	struct kvm_irqchip chip = { .chip_id = 3 };

	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	EXPECT_EQ(EINVAL, errno);
	chip.chip_id = ~0U;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(irqchip, pit_read_back)
{
	struct kvm_pit_state2 in, out;

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_PIT2, &in));
	in.channels[2].count = 0x1234;
	in.channels[2].mode = 3;
	in.channels[2].rw_mode = 3;
	in.channels[2].bcd = 0;
	in.channels[1].count = 0x12;
	in.channels[1].mode = 2;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_PIT2, &in));
	memset(&out, 0xcc, sizeof(out));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_PIT2, &out));
	EXPECT_EQ(0x1234U, out.channels[2].count);
	EXPECT_EQ(3, out.channels[2].mode);
	EXPECT_EQ(3, out.channels[2].rw_mode);
	EXPECT_EQ(0x12U, out.channels[1].count);
	EXPECT_EQ(2, out.channels[1].mode);
	EXPECT_EQ(in.flags, out.flags);
	for (size_t i = 0; i < ARRAY_SIZE(out.reserved); i++) {
		EXPECT_EQ(0U, out.reserved[i]);
	}
}

/* State that no guest could bring about must not hurt the host. */
TEST_F(irqchip, nonsense_is_survived)
{
	struct kvm_irqchip chip;
	struct kvm_pit_state2 pit;
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, vcpu);
	for (uint32_t id = 0; id < KVM_NR_IRQCHIPS; id++) {
		memset(&chip, 0xff, sizeof(chip));
		chip.chip_id = id;
		ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip);
	}
	memset(&pit, 0xff, sizeof(pit));
	ioctl(self->vm.fd, KVM_SET_PIT2, &pit);
	/* A count of 1 would be a timer that never stops firing. */
	memset(&pit, 0, sizeof(pit));
	pit.channels[0].count = 1;
	pit.channels[0].mode = 2;
	ioctl(self->vm.fd, KVM_SET_PIT2, &pit);
	for (uint32_t irq = 0; irq < 24; irq++) {
		struct kvm_irq_level level = { .irq = irq, .level = 1 };

		ioctl(self->vm.fd, KVM_IRQ_LINE, &level);
		level.level = 0;
		ioctl(self->vm.fd, KVM_IRQ_LINE, &level);
	}
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_PIT2, &pit));
}

TEST_HARNESS_MAIN
