// SPDX-License-Identifier: GPL-2.0-only
/* How userspace raises an interrupt: IRQ_LINE, GSI routes, SIGNAL_MSI, INTERRUPT, NMI. */
#include "kselftest_harness.h"
#include "vm.h"

#define HANDLER_GPA	0xa000UL
#define PORT_VECTOR	0x40

GUEST_CODE(wait, 16,
	   "sti\n"
	   "1: outb %al, $0x3f\n"
	   "jmp 1b\n");
/* Handlers are 8 bytes apart, one a vector: each tells its own address. */
GUEST_CODE(handler, 16,
	   ".rept 256\n"
	   "pushw %ax\n"
	   "call 1f\n"
	   ".fill 4, 1, 0x90\n"
	   ".endr\n"
	   "1: popw %ax\n"
	   "outw %ax, $0x40\n"
	   "popw %ax\n"
	   "iretw\n");

FIXTURE(interrupts)
{
	struct vm vm;
	struct vcpu *vcpu;
};

static int start(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpu[0];

	vm_load(vm, VM_CODE_GPA, wait);
	vm_load(vm, HANDLER_GPA, handler);
	for (int i = 0; i < 256; i++) {
		uint16_t entry[2] = { HANDLER_GPA + 8 * i, 0 };

		vm_copy_in(vm, 4 * i, entry, sizeof(entry));
	}
	return vcpu_real_mode(vcpu, VM_CODE_GPA);
}

/* The vector that the guest takes next, -1 when it takes none in @tries of its loop. */
static int next_vector(struct vcpu *vcpu, int tries)
{
	while (tries--) {
		if (vcpu_run(vcpu) != KVM_EXIT_IO)
			return -2;
		if (vcpu->run->io.port == PORT_VECTOR)
			return (*(uint16_t *)io_data(vcpu) - HANDLER_GPA) / 8;
	}
	return -1;
}

/* Enables the APIC by software: SVR is all that deliveries want. */
static int enable_apic(struct vcpu *vcpu)
{
	struct kvm_lapic_state s;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &s))
		return -1;
	*(uint32_t *)(s.regs + 0xf0) = 0x1ff;
	/* LINT0 as ExtINT, LINT1 as NMI, as firmware sets them up. */
	*(uint32_t *)(s.regs + 0x350) = 0x700;
	*(uint32_t *)(s.regs + 0x360) = 0x400;
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &s);
}

/* Until a test says otherwise the PICs stay out of it: they share the low lines with the IOAPIC. */
static int mask_pics(struct vm *vm)
{
	for (uint32_t id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_PIC_SLAVE; id++) {
		struct kvm_irqchip chip = { .chip_id = id };

		if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip))
			return -1;
		chip.chip.pic.imr = 0xff;
		if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip))
			return -1;
	}
	return 0;
}

FIXTURE_SETUP(interrupts)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, start(&self->vm));
	ASSERT_EQ(0, enable_apic(self->vcpu));
	ASSERT_EQ(0, mask_pics(&self->vm));
	EXPECT_EQ(-1, next_vector(self->vcpu, 3));
}

FIXTURE_TEARDOWN(interrupts)
{
	vm_close(&self->vm);
}

static int line(struct vm *vm, uint32_t irq, uint32_t level)
{
	struct kvm_irq_level l = { .irq = irq, .level = level };

	return ioctl(vm->fd, KVM_IRQ_LINE, &l);
}

static int msi(struct vm *vm, uint8_t vector, uint8_t dest)
{
	struct kvm_msi m = { .address_lo = 0xfee00000 | dest << 12, .data = vector };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &m);
}

TEST_F(interrupts, line_through_the_ioapic)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[10].bits = 0x45;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	EXPECT_EQ(0, line(&self->vm, 10, 1));
	EXPECT_EQ(0x45, next_vector(self->vcpu, 5));
	/* Edge triggered: once, until it goes down and up. */
	EXPECT_EQ(0, line(&self->vm, 10, 1));
	EXPECT_EQ(-1, next_vector(self->vcpu, 5));
	EXPECT_EQ(0, line(&self->vm, 10, 0));
}

TEST_F(interrupts, line_through_the_pic)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	chip.chip.pic.irq_base = 0x50;
	chip.chip.pic.imr = 0xfe & ~(1 << 4);
	chip.chip.pic.init4 = 1;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	EXPECT_EQ(0, line(&self->vm, 4, 1));
	EXPECT_EQ(0x54, next_vector(self->vcpu, 5));
	EXPECT_EQ(0, line(&self->vm, 4, 0));
	/* In service and not acknowledged: the same line waits. */
	EXPECT_EQ(0, line(&self->vm, 4, 1));
	EXPECT_EQ(-1, next_vector(self->vcpu, 5));
	EXPECT_EQ(0, line(&self->vm, 4, 0));
}

TEST_F(interrupts, line_status_tells_the_fate)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_irq_level l = { .irq = 10, .level = 1 };

	if (!has_cap(&self->vm, KVM_CAP_IRQ_INJECT_STATUS))
		SKIP(return, "no KVM_CAP_IRQ_INJECT_STATUS");
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[10].bits = 0x45;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_IRQ_LINE_STATUS, &l));
	EXPECT_LT(0, (int)l.status);
}

TEST_F(interrupts, line_without_irqchip_is_enxio)
{
	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	EXPECT_EQ(-1, line(&self->vm, 4, 1));
	EXPECT_EQ(ENXIO, errno);
}

/* A line that no route names leads nowhere, and hurts nobody. */
TEST_F(interrupts, line_out_of_range)
{
	static const uint32_t irqs[] = { 24, 255, 4095, 4096, 0x7fffffff, 0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(irqs); i++) {
		int ret = line(&self->vm, irqs[i], 1);

		EXPECT_TRUE(ret == 0 || errno == EINVAL)
			TH_LOG("irq %u: %s", irqs[i], strerror(errno));
	}
	EXPECT_EQ(-1, next_vector(self->vcpu, 3));
}

TEST_F(interrupts, signal_msi)
{
	EXPECT_LT(0, msi(&self->vm, 0x61, 0));
	EXPECT_EQ(0x61, next_vector(self->vcpu, 5));
	/* A higher class goes first (it is not acknowledged: the lower would wait). */
	EXPECT_LT(0, msi(&self->vm, 0x72, 0));
	EXPECT_LT(0, msi(&self->vm, 0x83, 0));
	EXPECT_EQ(0x83, next_vector(self->vcpu, 5));
	EXPECT_EQ(-1, next_vector(self->vcpu, 5));
}

TEST_F(interrupts, msi_to_nobody)
{
	/* 0: blocked, -1: not delivered; only EINVAL would be wrong. */
	int ret = msi(&self->vm, 0x61, 9);

	EXPECT_TRUE(ret <= 0);
	EXPECT_EQ(-1, next_vector(self->vcpu, 3));
}

TEST_F(interrupts, msi_flags_and_missing_irqchip_are_einval)
{
	struct kvm_msi m = { .address_lo = 0xfee00000, .data = 0x61, .flags = 1 << 5 };

	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &m));
	EXPECT_EQ(EINVAL, errno);
	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	EXPECT_EQ(-1, msi(&self->vm, 0x61, 0));
	EXPECT_EQ(EINVAL, errno);
}

struct routes {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[8];
};

TEST_F(interrupts, route_to_an_msi)
{
	struct routes r = { .head.nr = 1 };

	r.entry[0].gsi = 30;
	r.entry[0].type = KVM_IRQ_ROUTING_MSI;
	r.entry[0].u.msi.address_lo = 0xfee00000;
	r.entry[0].u.msi.data = 0x66;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(0, line(&self->vm, 30, 1));
	EXPECT_EQ(0x66, next_vector(self->vcpu, 5));
	/* The default routes are gone with that. */
	EXPECT_EQ(0, line(&self->vm, 10, 1));
	EXPECT_EQ(-1, next_vector(self->vcpu, 5));
	/* And an empty table takes this one away. */
	r.head.nr = 0;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	line(&self->vm, 30, 1);
	EXPECT_EQ(-1, next_vector(self->vcpu, 5));
}

TEST_F(interrupts, route_to_several_chips)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct routes r = { .head.nr = 2 };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[12].bits = 0x4c;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	r.entry[0].gsi = 3;
	r.entry[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	r.entry[0].u.irqchip.irqchip = KVM_IRQCHIP_PIC_MASTER;
	r.entry[0].u.irqchip.pin = 3;
	r.entry[1].gsi = 3;
	r.entry[1].type = KVM_IRQ_ROUTING_IRQCHIP;
	r.entry[1].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	r.entry[1].u.irqchip.pin = 12;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(0, line(&self->vm, 3, 1));
	EXPECT_EQ(0x4c, next_vector(self->vcpu, 5));
	EXPECT_EQ(0, line(&self->vm, 3, 0));
}

TEST_F(interrupts, bad_routes_are_einval)
{
	struct routes r = { .head.nr = 1 };
	const struct kvm_irq_routing_entry good = {
		.gsi = 3, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = 3 },
	};

	r.entry[0] = good;
	r.entry[0].type = 99;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	r.entry[0] = good;
	r.entry[0].u.irqchip.irqchip = 9;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	r.entry[0] = good;
	r.entry[0].u.irqchip.pin = 24;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	r.entry[0] = good;
	r.entry[0].gsi = has_cap(&self->vm, KVM_CAP_IRQ_ROUTING);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	r.entry[0] = good;
	r.entry[0].flags = 1;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	r.entry[0] = good;
	r.head.flags = 1;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	r.head.flags = 0;
	r.head.nr = has_cap(&self->vm, KVM_CAP_IRQ_ROUTING) + 1;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	/* Two routes of one line to one chip contradict each other. */
	r.head.nr = 2;
	r.entry[0] = good;
	r.entry[1] = good;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(interrupts, routing_without_irqchip_is_einval)
{
	struct routes r = { .head.nr = 0 };

	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(interrupts, nmi)
{
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	EXPECT_EQ(2, next_vector(self->vcpu, 5));
	EXPECT_EQ(-1, next_vector(self->vcpu, 5));
	/* The handler's IRET opened it for the next. */
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	EXPECT_EQ(2, next_vector(self->vcpu, 5));
}

TEST_F(interrupts, interrupt_with_irqchip_is_enxio)
{
	struct kvm_interrupt irq = { .irq = 0x40 };

	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_INTERRUPT, &irq));
	EXPECT_EQ(ENXIO, errno);
}

TEST_F(interrupts, interrupt_from_a_userspace_controller)
{
	struct kvm_interrupt irq = { .irq = 0x43 };

	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	ASSERT_EQ(0, start(&self->vm));
	self->vcpu = &self->vm.vcpu[0];
	EXPECT_EQ(-1, next_vector(self->vcpu, 3));
	EXPECT_EQ(1, self->vcpu->run->if_flag);
	EXPECT_EQ(1, self->vcpu->run->ready_for_interrupt_injection);
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_INTERRUPT, &irq));
	EXPECT_EQ(0x43, next_vector(self->vcpu, 5));
	EXPECT_EQ(0, self->vcpu->run->if_flag);

	/* In the handler IF is clear: ask for the window, get it after IRET. */
	self->vcpu->run->request_interrupt_window = 1;
	ASSERT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_run(self->vcpu));
	EXPECT_EQ(1, self->vcpu->run->ready_for_interrupt_injection);
	self->vcpu->run->request_interrupt_window = 0;

	irq.irq = 256;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_INTERRUPT, &irq));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
