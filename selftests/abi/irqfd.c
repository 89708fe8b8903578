// SPDX-License-Identifier: GPL-2.0-only
/* IRQFD: an eventfd that raises an interrupt line. */
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(wait, 16,
	   "sti\n"
	   "1: outb %al, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(handler, 16,
	   "outb %al, $0x40\n"
	   "movw $0xffff, %ax\n"
	   "iretw\n");

/* GS is based at the local APIC's page. */
GUEST_CODE(handler_eoi, 16,
	   "outb %al, $0x40\n"
	   "movl $0, %gs:0xb0\n"
	   "iretw\n");

#define GSI	30
#define VECTOR	0x66

FIXTURE(irqfd)
{
	struct vm vm;
	struct vcpu *vcpu;
	int efd;
};

FIXTURE_SETUP(irqfd)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[2];
	} r = { .head.nr = 2 };
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	uint16_t entry[2] = { VM_DATA_GPA - 0x1000, 0 };
	struct kvm_lapic_state s;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, wait);
	vm_load(&self->vm, VM_DATA_GPA - 0x1000, handler);
	vm_copy_in(&self->vm, VECTOR * 4, entry, sizeof(entry));
	vm_copy_in(&self->vm, (VECTOR + 1) * 4, entry, sizeof(entry));
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &s));
	*(uint32_t *)(s.regs + 0xf0) = 0x1ff;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &s));
	r.entry[0].gsi = GSI;
	r.entry[0].type = KVM_IRQ_ROUTING_MSI;
	r.entry[0].u.msi.address_lo = 0xfee00000;
	r.entry[0].u.msi.data = VECTOR;
	r.entry[1].gsi = 5;
	r.entry[1].type = KVM_IRQ_ROUTING_IRQCHIP;
	r.entry[1].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	r.entry[1].u.irqchip.pin = 5;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	/* Pin 5: level triggered, vector above the other's. */
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[5].bits = 0x8000 | (VECTOR + 1);
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	self->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->efd);
}

FIXTURE_TEARDOWN(irqfd)
{
	vm_close(&self->vm);
	close(self->efd);
}

static int irqfd(struct vm *vm, int fd, uint32_t gsi, uint32_t flags, int resample_fd)
{
	struct kvm_irqfd i = { .fd = fd, .gsi = gsi, .flags = flags, .resamplefd = resample_fd };

	return ioctl(vm->fd, KVM_IRQFD, &i);
}

/* Whether the guest is interrupted within some of its rounds. */
static bool interrupted(struct vcpu *vcpu)
{
	for (int i = 0; i < 5; i++) {
		if (vcpu_run(vcpu) != KVM_EXIT_IO)
			return false;
		if (vcpu->run->io.port == 0x40)
			return true;
	}
	return false;
}

/* Acknowledges what is in service, as the guest's EOI would. */
static int clear_isr(struct vcpu *vcpu)
{
	struct kvm_lapic_state s;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &s))
		return -1;
	for (int i = 0; i < 8; i++)
		*(uint32_t *)(s.regs + 0x100 + 16 * i) = 0;
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &s);
}

TEST_F(irqfd, write_raises_the_line)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	EXPECT_FALSE(interrupted(self->vcpu));
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	EXPECT_TRUE(interrupted(self->vcpu));
	ASSERT_EQ(0, clear_isr(self->vcpu));
	EXPECT_FALSE(interrupted(self->vcpu));
	ASSERT_EQ(0, eventfd_write(self->efd, 5));
	EXPECT_TRUE(interrupted(self->vcpu));
}

/* An event from before the assignment is not lost. */
TEST_F(irqfd, already_signalled_counts)
{
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	EXPECT_TRUE(interrupted(self->vcpu));
}

TEST_F(irqfd, deassign_stops_it)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN, 0));
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	EXPECT_FALSE(interrupted(self->vcpu));
	/* And it can be assigned again. */
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	EXPECT_TRUE(interrupted(self->vcpu));
}

TEST_F(irqfd, follows_a_changed_route)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} r = { .head.nr = 0 };

	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	EXPECT_FALSE(interrupted(self->vcpu));
	r.head.nr = 1;
	r.entry[0].gsi = GSI;
	r.entry[0].type = KVM_IRQ_ROUTING_MSI;
	r.entry[0].u.msi.address_lo = 0xfee00000;
	r.entry[0].u.msi.data = VECTOR;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	EXPECT_TRUE(interrupted(self->vcpu));
}

TEST_F(irqfd, closing_the_eventfd_ends_it)
{
	int fd = eventfd(0, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, irqfd(&self->vm, fd, GSI, 0, 0));
	ASSERT_EQ(0, eventfd_write(fd, 1));
	close(fd);
	EXPECT_TRUE(interrupted(self->vcpu));
	/* What is left can be used by another. */
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
}

TEST_F(irqfd, eventfd_outlives_the_vm)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	vm_close(&self->vm);
	EXPECT_EQ(0, eventfd_write(self->efd, 1));
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY));
}

TEST_F(irqfd, same_eventfd_twice_is_ebusy)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	EXPECT_EQ(-1, irqfd(&self->vm, self->efd, GSI + 1, 0, 0));
	EXPECT_EQ(EBUSY, errno);
}

TEST_F(irqfd, two_eventfds_may_share_a_line)
{
	int fd = eventfd(0, 0);

	ASSERT_EQ(0, irqfd(&self->vm, self->efd, GSI, 0, 0));
	ASSERT_EQ(0, irqfd(&self->vm, fd, GSI, 0, 0));
	ASSERT_EQ(0, eventfd_write(fd, 1));
	EXPECT_TRUE(interrupted(self->vcpu));
	close(fd);
}

TEST_F(irqfd, bad_arguments)
{
	EXPECT_EQ(-1, irqfd(&self->vm, -1, GSI, 0, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, irqfd(&self->vm, self->vm.fd, GSI, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, irqfd(&self->vm, self->efd, GSI, 1 << 7, 0));
	EXPECT_EQ(EINVAL, errno);
	/* DEASSIGN of what was never assigned does nothing. */
	EXPECT_EQ(0, irqfd(&self->vm, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN, 0));
}

TEST_F(irqfd, needs_an_irqchip)
{
	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY));
	EXPECT_EQ(-1, irqfd(&self->vm, self->efd, GSI, 0, 0));
	EXPECT_TRUE(errno == EINVAL || errno == EAGAIN)
		TH_LOG("%s", strerror(errno));
}

/* Level: asserted until the guest's EOI, which tells the owner to look again. */
TEST_F(irqfd, resample)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	int resample = eventfd(0, EFD_NONBLOCK);
	struct kvm_sregs sregs;
	eventfd_t value;

	if (!has_cap(&self->vm, KVM_CAP_IRQFD_RESAMPLE))
		SKIP(return, "no KVM_CAP_IRQFD_RESAMPLE");
	vm_load(&self->vm, VM_DATA_GPA - 0x1000, handler_eoi);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.gs.base = 0xfee00000;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, 5, KVM_IRQFD_FLAG_RESAMPLE, resample));
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	EXPECT_TRUE(interrupted(self->vcpu));
	EXPECT_EQ(-1, eventfd_read(resample, &value));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(1ULL << 14, chip.chip.ioapic.redirtbl[5].bits & 1ULL << 14);
	/* Past the EOI: the line is down, and the owner may raise it again. */
	EXPECT_FALSE(interrupted(self->vcpu));
	EXPECT_EQ(0, eventfd_read(resample, &value));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(0ULL, chip.chip.ioapic.redirtbl[5].bits & 1ULL << 14);
	ASSERT_EQ(0, eventfd_write(self->efd, 1));
	EXPECT_TRUE(interrupted(self->vcpu));
	EXPECT_EQ(0, irqfd(&self->vm, self->efd, 5, KVM_IRQFD_FLAG_DEASSIGN, 0));
	close(resample);
}

/* An end of an interrupt walks them with preemption off, so there is a limit; the stock module has none. */
TEST_F(irqfd, resampling_ones_are_limited)
{
	int i, err = 0;

	if (dev_is_reference())
		SKIP(return, "no limit there");
	for (i = 0; i < 300; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		ASSERT_LE(0, fd);
		if (!irqfd(&self->vm, fd, 5, KVM_IRQFD_FLAG_RESAMPLE, self->efd))
			continue;	/* closed with the process */
		err = errno;
		close(fd);
		break;
	}
	EXPECT_EQ(256, i);
	EXPECT_EQ(ENOSPC, err);
	/* Others are not concerned. */
	i = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	EXPECT_EQ(0, irqfd(&self->vm, i, 5, 0, 0));
	close(i);
}

TEST_HARNESS_MAIN
