// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of VCPU_EVENTS, and of DEBUGREGS. */
#include <asm/processor-flags.h>

#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(spin, 16,
	   "1: outb %al, $0x3f\n"
	   "jmp 1b\n");
/* The vector's own handler: tells the vector by its segment. */
GUEST_CODE(handler, 16,
	   "movw %cs, %ax\n"
	   "outw %ax, $0x40\n"
	   "iretw\n");

FIXTURE(events)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_vcpu_events ev;
};

FIXTURE_SETUP(events)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, spin);
	/* Vector n enters at n:(0xa000 - 16 n): the same place with another CS each. */
	vm_load(&self->vm, 0xa000, handler);
	for (uint16_t n = 0; n < 256; n++) {
		uint16_t entry[2] = { 0xa000 - 16 * n, n };

		vm_copy_in(&self->vm, 4 * n, entry, sizeof(entry));
	}
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &self->ev));
}

FIXTURE_TEARDOWN(events)
{
	vm_close(&self->vm);
}

static int get(struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	memset(ev, 0xcc, sizeof(*ev));
	return ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, ev);
}

static int set(struct vcpu *vcpu, const struct kvm_vcpu_events *ev)
{
	return ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, ev);
}

static int next_vector(struct vcpu *vcpu)
{
	for (int i = 0; i < 4; i++) {
		if (vcpu_run(vcpu) != KVM_EXIT_IO)
			return -2;
		if (vcpu->run->io.port == 0x40)
			return *(uint16_t *)io_data(vcpu);
	}
	return -1;
}

TEST_F(events, nothing_at_first)
{
	EXPECT_EQ(0, self->ev.exception.injected);
	EXPECT_EQ(0, self->ev.exception.pending);
	EXPECT_EQ(0, self->ev.interrupt.injected);
	EXPECT_EQ(0, self->ev.nmi.injected);
	EXPECT_EQ(0, self->ev.nmi.pending);
	EXPECT_EQ(0, self->ev.nmi.masked);
	EXPECT_EQ(0, self->ev.interrupt.shadow);
}

/* What is set as injected is delivered before the guest's next instruction. */
TEST_F(events, injected_exception_is_delivered)
{
	self->ev.exception.injected = 1;
	self->ev.exception.nr = 6;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_EQ(1, self->ev.exception.injected);
	EXPECT_EQ(6, self->ev.exception.nr);
	EXPECT_EQ(6, next_vector(self->vcpu));
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_EQ(0, self->ev.exception.injected);
}

TEST_F(events, injected_interrupt_is_delivered)
{
	struct kvm_regs regs;

	/* VT-x refuses to enter a guest with IF clear and an interrupt (SDM vol. 3C, 26.3.1.4). */
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	self->ev.interrupt.injected = 1;
	self->ev.interrupt.nr = 0x77;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	EXPECT_EQ(0x77, next_vector(self->vcpu));
}

TEST_F(events, pending_nmi_is_delivered)
{
	self->ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	self->ev.nmi.pending = 1;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	EXPECT_EQ(2, next_vector(self->vcpu));
	/* Inside the handler, at its OUT: the next one is masked. */
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_EQ(1, self->ev.nmi.masked);
	EXPECT_EQ(-1, next_vector(self->vcpu));
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_EQ(0, self->ev.nmi.masked);
}

/* An NMI that has to wait for another event's delivery comes right behind it, and leaves no trace. */
TEST_F(events, nmi_waits_for_an_exception)
{
	struct kvm_regs regs;

	self->ev.exception.injected = 1;
	self->ev.exception.nr = 6;
	self->ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	self->ev.nmi.pending = 1;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	/* The handler of the NMI interrupts that of the exception before its first instruction. */
	EXPECT_EQ(2, next_vector(self->vcpu));
	EXPECT_EQ(6, next_vector(self->vcpu));
	/* No TF in the exception's frame. */
	EXPECT_EQ(-1, next_vector(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0ull, regs.rflags & 0x100);
}

TEST_F(events, masked_nmi_waits)
{
	self->ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	self->ev.nmi.masked = 1;
	self->ev.nmi.pending = 1;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	EXPECT_EQ(-1, next_vector(self->vcpu));
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_EQ(1, self->ev.nmi.pending);
	EXPECT_EQ(1, self->ev.nmi.masked);
	self->ev.nmi.masked = 0;
	self->ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	EXPECT_EQ(2, next_vector(self->vcpu));
}

/* Without the flag a pending NMI stays as it is. */
TEST_F(events, nmi_pending_only_with_its_flag)
{
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	self->ev.flags = 0;
	self->ev.nmi.pending = 0;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	EXPECT_EQ(2, next_vector(self->vcpu));
}

TEST_F(events, interrupt_shadow)
{
	self->ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	self->ev.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_NE(0, self->ev.interrupt.shadow);
	EXPECT_NE(0U, self->ev.flags & KVM_VCPUEVENT_VALID_SHADOW);
	self->ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	self->ev.interrupt.shadow = 0;
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	ASSERT_EQ(0, get(self->vcpu, &self->ev));
	EXPECT_EQ(0, self->ev.interrupt.shadow);
}

TEST_F(events, bad_values_are_einval)
{
	struct kvm_vcpu_events ev = self->ev;

	ev.flags = 1U << 30;
	EXPECT_EQ(-1, set(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	ev = self->ev;
	ev.exception.injected = 1;
	ev.exception.nr = 32;
	EXPECT_EQ(-1, set(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	/* Vector 2 is no exception. */
	ev.exception.nr = 2;
	EXPECT_EQ(-1, set(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	/* Nothing of it stuck. */
	EXPECT_EQ(-1, next_vector(self->vcpu));
}

TEST_F(events, debugregs_read_back)
{
	struct kvm_debugregs in = { 0 }, out;

	memset(&out, 0xcc, sizeof(out));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &out));
	/* APM vol. 2, 13.1.1: the values at reset. */
	EXPECT_EQ(0xffff0ff0ULL, out.dr6);
	EXPECT_EQ(0x400ULL, out.dr7);
	EXPECT_EQ(0ULL, out.flags);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0ULL, out.db[i]);
		in.db[i] = 0x1000 * (i + 1);
	}
	in.dr6 = 0xffff0ff1;
	in.dr7 = 0x401;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &in));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &out));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(in.db[i], out.db[i]);
	}
	EXPECT_EQ(in.dr6, out.dr6);
	EXPECT_EQ(in.dr7, out.dr7);
}

TEST_F(events, debugregs_bad_values_are_einval)
{
	struct kvm_debugregs regs;

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	regs.flags = 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs));
	EXPECT_EQ(EINVAL, errno);
	regs.flags = 0;
	regs.dr6 |= 1ULL << 32;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs));
	EXPECT_EQ(EINVAL, errno);
	regs.dr6 = 0xffff0ff0;
	regs.dr7 |= 1ULL << 63;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs));
	EXPECT_EQ(EINVAL, errno);
}

GUEST_CODE(trip, 16,
	   "movb (0x7000), %al\n"
	   "1: outb %al, $0x3f\n"
	   "jmp 1b\n");

/* A breakpoint set from outside traps inside. */
TEST_F(events, debugregs_reach_the_guest)
{
	struct kvm_debugregs regs = { .db[0] = 0x7000, .dr6 = 0xffff0ff0, .dr7 = 0x30402 };

	vm_load(&self->vm, VM_CODE_GPA, trip);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &regs));
	EXPECT_EQ(1, next_vector(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	EXPECT_EQ(1ULL, regs.dr6 & 0xf);
}

/* --- KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_TRIPLE_FAULT_EVENT --- */

#ifndef KVM_CAP_X86_TRIPLE_FAULT_EVENT
#define KVM_CAP_X86_TRIPLE_FAULT_EVENT 218
#endif

TEST_F(events, payloads_have_to_be_asked_for)
{
	struct kvm_vcpu_events ev = self->ev;

	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	EXPECT_EQ(0U, ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	EXPECT_EQ(-1, set(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	ASSERT_EQ(0, get(self->vcpu, &ev));
	EXPECT_NE(0U, ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	ev.exception.pending = 1;
	ev.exception.nr = 32;
	EXPECT_EQ(-1, set(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 0));
	ASSERT_EQ(0, get(self->vcpu, &ev));
	EXPECT_EQ(0U, ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
}

/* CR2 changes with the delivery, not before. */
TEST_F(events, payload_of_a_page_fault)
{
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	ASSERT_EQ(0, get(self->vcpu, &ev));
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	ev.exception.pending = 1;
	ev.exception.nr = 14;
	ev.exception_has_payload = 1;
	ev.exception_payload = 0x12345000;
	ASSERT_EQ(0, set(self->vcpu, &ev));
	ASSERT_EQ(0, get(self->vcpu, &ev));
	EXPECT_EQ(1, ev.exception.pending);
	EXPECT_EQ(0, ev.exception.injected);
	EXPECT_EQ(14, ev.exception.nr);
	EXPECT_EQ(1, ev.exception_has_payload);
	EXPECT_EQ(0x12345000ULL, ev.exception_payload);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(0ULL, sregs.cr2);
	EXPECT_EQ(14, next_vector(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(0x12345000ULL, sregs.cr2);
	ASSERT_EQ(0, get(self->vcpu, &ev));
	EXPECT_EQ(0, ev.exception.pending);
}

TEST_F(events, payload_of_a_debug_exception)
{
	struct kvm_debugregs regs;
	struct kvm_vcpu_events ev;

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	ASSERT_EQ(0, get(self->vcpu, &ev));
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	ev.exception.pending = 1;
	ev.exception.nr = 1;
	ev.exception_has_payload = 1;
	ev.exception_payload = 1 << 14 | 2;
	ASSERT_EQ(0, set(self->vcpu, &ev));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	EXPECT_EQ(0xffff0ff0ULL, regs.dr6);
	EXPECT_EQ(1, next_vector(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	EXPECT_EQ(0xffff4ff2ULL, regs.dr6);
	if (dev_is_reference())
		return;
	/* Bits that DR6 has not would make an entry fail, or fault on the host. */
	ASSERT_EQ(0, get(self->vcpu, &ev));
	ev.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
	ev.exception.pending = 1;
	ev.exception.nr = 1;
	ev.exception_has_payload = 1;
	ev.exception_payload = ~0ULL;
	ASSERT_EQ(0, set(self->vcpu, &ev));
	EXPECT_EQ(1, next_vector(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	EXPECT_EQ(0xffffeffFULL, regs.dr6);
}

TEST_F(events, triple_fault)
{
	struct kvm_vcpu_events ev = self->ev;

	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT));
	ev.flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	ev.triple_fault.pending = 1;
	EXPECT_EQ(-1, set(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1));
	ASSERT_EQ(0, set(self->vcpu, &ev));
	ASSERT_EQ(0, get(self->vcpu, &ev));
	EXPECT_NE(0U, ev.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	EXPECT_EQ(1, ev.triple_fault.pending);
	ev.flags = KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	ev.triple_fault.pending = 0;
	ASSERT_EQ(0, set(self->vcpu, &ev));
	EXPECT_EQ(-1, next_vector(self->vcpu));
	ev.triple_fault.pending = 1;
	ASSERT_EQ(0, set(self->vcpu, &ev));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
}

TEST_HARNESS_MAIN
