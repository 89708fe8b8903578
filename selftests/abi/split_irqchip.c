// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_SPLIT_IRQCHIP: LAPICs in the kernel, everything that sends to them in userspace. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define HANDLER_GPA	0x9000UL
#define PORT_LOOP	0x3f
#define PORT_IRQ	0x40
#define PINS		24
#define VECTOR		0x66
#define EXTINT_VECTOR	0x31
#define LEVEL		0x8000

GUEST_CODE(wait, 16,
	   "sti\n"
	   "1: outb %al, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(off_then_on, 16,
	   "cli\n"
	   "outb %al, $0x3f\n"
	   "sti\n"
	   "nop\n"
	   "1: outb %al, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(halt, 16,
	   "sti\n"
	   "1: hlt\n"
	   "jmp 1b\n");
GUEST_CODE(spin, 16,
	   "sti\n"
	   "1: incl 0\n"
	   "jmp 1b\n");
/* GS is based at the local APIC's page. */
GUEST_CODE(handler_eoi, 16,
	   "outb %al, $0x40\n"
	   "movl $0, %gs:0xb0\n"
	   "iretw\n");
GUEST_CODE(handler_x2apic_eoi, 16,
	   "outb %al, $0x40\n"
	   "movl $0x80b, %ecx\n"
	   "xorl %eax, %eax\n"
	   "xorl %edx, %edx\n"
	   "wrmsr\n"
	   "iretw\n");
GUEST_CODE(handler_extint, 16,
	   "outb %al, $0x41\n"
	   "iretw\n");
/* Ends two vectors without a look outside: nested, in one go. */
GUEST_CODE(handler_nested, 16,
	   "sti\n"
	   "nop\n"
	   "movl $0, %gs:0xb0\n"
	   "iretw\n");

static int set_vector(struct vm *vm, uint8_t vector, uint64_t gpa)
{
	uint16_t entry[2] = { gpa, 0 };

	vm_copy_in(vm, 4 * vector, entry, sizeof(entry));
	return 0;
}

static uint32_t get_lapic(struct vcpu *vcpu, uint32_t offset)
{
	struct kvm_lapic_state s;

	return ioctl(vcpu->fd, KVM_GET_LAPIC, &s) ? ~0u : *(uint32_t *)(s.regs + offset);
}

static int set_lapic(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	struct kvm_lapic_state s;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &s))
		return -1;
	*(uint32_t *)(s.regs + offset) = value;
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &s);
}

struct routes {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[4];
};

static int route(struct vm *vm, const uint32_t (*gsi_data)[2], uint32_t nr)
{
	struct routes r = { .head.nr = nr };

	for (uint32_t i = 0; i < nr; i++) {
		r.entry[i].gsi = gsi_data[i][0];
		r.entry[i].type = KVM_IRQ_ROUTING_MSI;
		r.entry[i].u.msi.address_lo = 0xfee00000;
		r.entry[i].u.msi.data = gsi_data[i][1];
	}
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &r);
}

static int line(struct vm *vm, uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	return ioctl(vm->fd, KVM_IRQ_LINE, &l);
}

static int interrupt(struct vcpu *vcpu, uint32_t vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	return ioctl(vcpu->fd, KVM_INTERRUPT, &irq);
}

FIXTURE(split)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(split)
{
	struct kvm_sregs sregs;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	if (!has_cap(&self->vm, KVM_CAP_SPLIT_IRQCHIP))
		SKIP(return, "no KVM_CAP_SPLIT_IRQCHIP");
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS));
	self->vcpu = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, self->vcpu);
	vm_load(&self->vm, VM_CODE_GPA, wait);
	vm_load(&self->vm, HANDLER_GPA, handler_eoi);
	vm_load(&self->vm, HANDLER_GPA + 0x100, handler_extint);
	set_vector(&self->vm, VECTOR, HANDLER_GPA);
	set_vector(&self->vm, VECTOR + 1, HANDLER_GPA);
	set_vector(&self->vm, EXTINT_VECTOR, HANDLER_GPA + 0x100);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.gs.base = 0xfee00000;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, set_lapic(self->vcpu, 0xf0, 0x1ff));
}

FIXTURE_TEARDOWN(split)
{
	vm_close(&self->vm);
}

/* Runs to the handler's OUT, past loops, at most so many of them: whether it came. */
static bool interrupted(struct vcpu *vcpu, uint16_t port)
{
	for (int i = 0; i < 5; i++) {
		if (vcpu_run(vcpu) != KVM_EXIT_IO)
			return false;
		if (vcpu->run->io.port == port)
			return true;
	}
	return false;
}

TEST_F(split, only_once_and_first)
{
	struct vm vm;

	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_IRQCHIP, 0));
	EXPECT_EQ(EEXIST, errno);

	ASSERT_EQ(0, vm_open(&vm, VM_IRQCHIP));
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS));
	EXPECT_EQ(EEXIST, errno);
	vm_close(&vm);

	ASSERT_EQ(0, vm_open(&vm, VM_VCPU));
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS));
	EXPECT_EQ(EEXIST, errno);
	vm_close(&vm);
}

TEST_F(split, bad_arguments)
{
	struct kvm_enable_cap c = { .cap = KVM_CAP_SPLIT_IRQCHIP, .flags = 1 };
	struct vm vm;

	ASSERT_EQ(0, vm_open(&vm, 0));
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, 4097));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, 1ULL << 32 | 24));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(vm.fd, KVM_ENABLE_CAP, &c));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(vm.fd, KVM_ENABLE_CAP, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, 4096));
	vm_close(&vm);
}

TEST_F(split, chips_are_userspaces)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_config pit = { 0 };
	struct routes r = { .head.nr = 1 };

	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_IRQCHIP, &chip));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_IRQCHIP, &chip));
	EXPECT_EQ(ENXIO, errno);
	r.entry[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	EXPECT_EQ(EINVAL, errno);
	if (dev_is_reference())
		return;		/* whether a PIT may be alone differs between versions */
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
	EXPECT_EQ(ENOENT, errno);
}

/* The chips' addresses are device memory and ports of the VMM's. */
TEST_F(split, ports_and_pages_of_chips_exit)
{
	GUEST_CODE(touch, 16, "inb $0x20, %al\n inb $0x40, %al\n movl %fs:0x10, %eax\n outb %al, $0x3f\n");
	struct kvm_sregs sregs;

	vm_load(&self->vm, VM_CODE_GPA, touch);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.fs.base = 0xfec00000;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x20, self->vcpu->run->io.port);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x40, self->vcpu->run->io.port);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	EXPECT_EQ(0xfec00010ULL, self->vcpu->run->mmio.phys_addr);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

TEST_F(split, resample_is_einval)
{
	struct kvm_irqfd i = { .gsi = 5, .flags = KVM_IRQFD_FLAG_RESAMPLE };

	i.fd = eventfd(0, 0);
	i.resamplefd = eventfd(0, 0);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_IRQFD, &i));
	EXPECT_EQ(EINVAL, errno);
	i.flags = 0;
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_IRQFD, &i));
	close(i.fd);
	close(i.resamplefd);
}

TEST_F(split, signal_msi)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };

	EXPECT_EQ(1, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &msi));
	EXPECT_TRUE(interrupted(self->vcpu, PORT_IRQ));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

/* The end of a level-triggered message of a pin goes out, with its vector, and before the guest goes on. */
TEST_F(split, eoi_of_a_pin_exits)
{
	const uint32_t pin[][2] = { { 5, LEVEL | VECTOR } };

	ASSERT_EQ(0, route(&self->vm, pin, 1));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, line(&self->vm, 5, 1));
		ASSERT_TRUE(interrupted(self->vcpu, PORT_IRQ));
		ASSERT_EQ(KVM_EXIT_IOAPIC_EOI, vcpu_run(self->vcpu));
		EXPECT_EQ(VECTOR, self->vcpu->run->eoi.vector);
		EXPECT_EQ(0U, get_lapic(self->vcpu, 0x100 + 16 * (VECTOR / 32)));
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(PORT_LOOP, self->vcpu->run->io.port);
		ASSERT_EQ(0, line(&self->vm, 5, 0));
	}
}

TEST_F(split, eoi_in_x2apic_mode_exits)
{
	const uint32_t pin[][2] = { { 5, LEVEL | VECTOR } };
	uint64_t base;

	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, 0x1b, &base));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, 0x1b, base | 1 << 10));
	ASSERT_EQ(0, set_lapic(self->vcpu, 0xf0, 0x1ff));
	vm_load(&self->vm, HANDLER_GPA, handler_x2apic_eoi);
	ASSERT_EQ(0, route(&self->vm, pin, 1));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, line(&self->vm, 5, 1));
		ASSERT_TRUE(interrupted(self->vcpu, PORT_IRQ));
		ASSERT_EQ(KVM_EXIT_IOAPIC_EOI, vcpu_run(self->vcpu));
		EXPECT_EQ(VECTOR, self->vcpu->run->eoi.vector);
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(PORT_LOOP, self->vcpu->run->io.port);
	}
}

TEST_F(split, other_eois_do_not_exit)
{
	const uint32_t routes[][2] = { { 5, VECTOR }, { PINS, LEVEL | (VECTOR + 1) } };
	const uint32_t gsis[] = { 5, PINS };

	ASSERT_EQ(0, route(&self->vm, routes, 2));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, line(&self->vm, gsis[i], 1));
		ASSERT_TRUE(interrupted(self->vcpu, PORT_IRQ));
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(PORT_LOOP, self->vcpu->run->io.port);
	}
}

TEST_F(split, eois_follow_the_routes)
{
	const uint32_t level[][2] = { { 5, LEVEL | VECTOR } }, edge[][2] = { { 5, VECTOR } };
	const uint32_t other[][2] = { { 7, LEVEL | (VECTOR + 1) } };

	ASSERT_EQ(0, route(&self->vm, edge, 1));
	ASSERT_EQ(0, line(&self->vm, 5, 1));
	ASSERT_TRUE(interrupted(self->vcpu, PORT_IRQ));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, route(&self->vm, level, 1));
	ASSERT_EQ(0, line(&self->vm, 5, 1));
	ASSERT_TRUE(interrupted(self->vcpu, PORT_IRQ));
	ASSERT_EQ(KVM_EXIT_IOAPIC_EOI, vcpu_run(self->vcpu));
	ASSERT_EQ(0, route(&self->vm, other, 1));
	ASSERT_EQ(0, line(&self->vm, 5, 1));
	EXPECT_FALSE(interrupted(self->vcpu, PORT_IRQ));
	ASSERT_EQ(0, line(&self->vm, 7, 1));
	ASSERT_TRUE(interrupted(self->vcpu, PORT_IRQ));
	ASSERT_EQ(KVM_EXIT_IOAPIC_EOI, vcpu_run(self->vcpu));
	EXPECT_EQ(VECTOR + 1, self->vcpu->run->eoi.vector);
}

/* Two pins at once: each end goes out by itself. */
TEST_F(split, every_end_goes_out)
{
	const uint32_t pins[][2] = { { 5, LEVEL | VECTOR }, { 6, LEVEL | (VECTOR + 0x10) } };
	uint32_t seen = 0;

	vm_load(&self->vm, HANDLER_GPA, handler_nested);
	set_vector(&self->vm, VECTOR + 0x10, HANDLER_GPA);
	ASSERT_EQ(0, route(&self->vm, pins, 2));
	ASSERT_EQ(0, line(&self->vm, 5, 1));
	ASSERT_EQ(0, line(&self->vm, 6, 1));
	for (int i = 0; i < 4 && seen != 3; i++) {
		int reason = vcpu_run(self->vcpu);

		if (reason == KVM_EXIT_IO)
			continue;
		ASSERT_EQ(KVM_EXIT_IOAPIC_EOI, reason);
		seen |= self->vcpu->run->eoi.vector == VECTOR ? 1 : 2;
	}
	EXPECT_EQ(3U, seen);
}

struct runner {
	struct vcpu *vcpu;
	int reasons[2];
};

static void *run_twice(void *arg)
{
	struct runner *r = arg;

	for (int i = 0; i < 2; i++)
		r->reasons[i] = vcpu_run(r->vcpu);
	return NULL;
}

/* The guest does not leave by itself: interrupts are posted to it where the CPU can, but not this one. */
TEST_F(split, eoi_of_a_running_vcpu)
{
	const uint32_t pin[][2] = { { 5, LEVEL | VECTOR } };
	struct runner r = { .vcpu = self->vcpu };
	volatile uint32_t *count = (void *)(self->vm.mem + VM_DATA_GPA);
	struct kvm_sregs sregs;
	pthread_t thread;

	vm_load(&self->vm, VM_CODE_GPA, spin);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.ds.base = VM_DATA_GPA;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, route(&self->vm, pin, 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_twice, &r));
	while (!*count)
		usleep(1000);
	EXPECT_EQ(0, line(&self->vm, 5, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(KVM_EXIT_IO, r.reasons[0]);
	EXPECT_EQ(KVM_EXIT_IOAPIC_EOI, r.reasons[1]);
}

/* --- what the PIC has to say --- */

TEST_F(split, extint)
{
	ASSERT_EQ(0, set_lapic(self->vcpu, 0x350, 0x700));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(1, self->vcpu->run->ready_for_interrupt_injection);
	EXPECT_EQ(1, self->vcpu->run->if_flag);
	ASSERT_EQ(0, interrupt(self->vcpu, EXTINT_VECTOR));
	EXPECT_EQ(-1, interrupt(self->vcpu, EXTINT_VECTOR));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_TRUE(interrupted(self->vcpu, 0x41));
	/* No LAPIC has seen it. */
	EXPECT_EQ(0U, get_lapic(self->vcpu, 0x100 + 16 * (EXTINT_VECTOR / 32)));
	EXPECT_FALSE(interrupted(self->vcpu, 0x41));
	EXPECT_EQ(-1, interrupt(self->vcpu, 256));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(split, extint_waits_for_lint0)
{
	ASSERT_EQ(0, set_lapic(self->vcpu, 0x350, 0x10700));
	self->vcpu->run->request_interrupt_window = 1;
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(0, self->vcpu->run->ready_for_interrupt_injection);
	}
	self->vcpu->run->request_interrupt_window = 0;
	ASSERT_EQ(0, interrupt(self->vcpu, EXTINT_VECTOR));
	EXPECT_FALSE(interrupted(self->vcpu, 0x41));
	ASSERT_EQ(0, set_lapic(self->vcpu, 0x350, 0x700));
	EXPECT_TRUE(interrupted(self->vcpu, 0x41));
}

/* One that can't be delivered yet is not part of the events, and setting those does not lose it. */
TEST_F(split, extint_waits_over_set_events)
{
	struct kvm_interrupt irq = { .irq = EXTINT_VECTOR };
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	/* Interrupts are off. */
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags = 2;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_INTERRUPT, &irq));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	EXPECT_EQ(0, events.interrupt.injected);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_INTERRUPT, &irq));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(split, window_opens)
{
	vm_load(&self->vm, VM_CODE_GPA, off_then_on);
	ASSERT_EQ(0, set_lapic(self->vcpu, 0x350, 0x700));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0, self->vcpu->run->ready_for_interrupt_injection);
	self->vcpu->run->request_interrupt_window = 1;
	ASSERT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_run(self->vcpu));
	EXPECT_EQ(1, self->vcpu->run->ready_for_interrupt_injection);
	self->vcpu->run->request_interrupt_window = 0;
	ASSERT_EQ(0, interrupt(self->vcpu, EXTINT_VECTOR));
	EXPECT_TRUE(interrupted(self->vcpu, 0x41));
}

/* A window that is asked for while the guest runs opens as well, when LINT0 does. */
TEST_F(split, window_opens_with_lint0)
{
	GUEST_CODE(open_lint0, 16,
		   "sti\n outb %al, $0x3f\n movl $0x700, %gs:0x350\n 1: nop\n jmp 1b\n");

	vm_load(&self->vm, VM_CODE_GPA, open_lint0);
	ASSERT_EQ(0, set_lapic(self->vcpu, 0x350, 0x10700));
	self->vcpu->run->request_interrupt_window = 1;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_run(self->vcpu));
	EXPECT_EQ(0x700U, get_lapic(self->vcpu, 0x350));
}

/* HLT is the kernel's, and an ExtINT ends it. */
TEST_F(split, extint_ends_hlt)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_regs regs;

	vm_load(&self->vm, VM_CODE_GPA, halt);
	ASSERT_EQ(0, set_lapic(self->vcpu, 0x350, 0x700));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= 1 << 9;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	ASSERT_EQ(0, interrupt(self->vcpu, EXTINT_VECTOR));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x41, self->vcpu->run->io.port);
}

TEST_F(split, full_irqchip_takes_no_interrupt)
{
	struct vm vm;

	ASSERT_EQ(0, vm_open(&vm, VM_IRQCHIP | VM_VCPU));
	EXPECT_EQ(-1, interrupt(&vm.vcpu[0], EXTINT_VECTOR));
	EXPECT_EQ(ENXIO, errno);
	vm_close(&vm);
}

TEST_HARNESS_MAIN
