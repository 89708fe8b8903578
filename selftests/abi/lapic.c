// SPDX-License-Identifier: GPL-2.0-only
/* GET_LAPIC and SET_LAPIC: the register page of the in-kernel local APIC. */
#include "kselftest_harness.h"
#include "vm.h"

/* APM vol. 2, table 16-2 */
#define APIC_ID		0x20
#define APIC_VERSION	0x30
#define APIC_TPR	0x80
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ICR_LOW	0x300
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_ERROR	0x370
#define APIC_TIMER_ICR	0x380
#define APIC_TIMER_CCR	0x390
#define APIC_TIMER_DCR	0x3e0
#define LVT_MASKED	0x10000

FIXTURE(lapic)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_lapic_state s;
};

FIXTURE_SETUP(lapic)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &self->s));
}

FIXTURE_TEARDOWN(lapic)
{
	vm_close(&self->vm);
}

static uint32_t *reg(struct kvm_lapic_state *s, unsigned int offset)
{
	return (uint32_t *)(s->regs + offset);
}

/* APM vol. 2, 16.3.3 and table 16-2: the state after reset. */
TEST_F(lapic, reset_state)
{
	EXPECT_EQ(0U, *reg(&self->s, APIC_ID));
	EXPECT_LE(0x10U, *reg(&self->s, APIC_VERSION) & 0xff);
	EXPECT_EQ(0U, *reg(&self->s, APIC_TPR));
	EXPECT_EQ(0U, *reg(&self->s, APIC_LDR));
	EXPECT_EQ(0xffffffffU, *reg(&self->s, APIC_DFR));
	EXPECT_EQ(0xffU, *reg(&self->s, APIC_SVR));
	EXPECT_EQ((uint32_t)LVT_MASKED, *reg(&self->s, APIC_LVT_TIMER));
	EXPECT_EQ((uint32_t)LVT_MASKED, *reg(&self->s, APIC_LVT_ERROR));
	EXPECT_EQ(0U, *reg(&self->s, APIC_TIMER_ICR));
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(0U, *reg(&self->s, APIC_ISR + 16 * i));
		EXPECT_EQ(0U, *reg(&self->s, APIC_TMR + 16 * i));
		EXPECT_EQ(0U, *reg(&self->s, APIC_IRR + 16 * i));
	}
}

TEST_F(lapic, ids_follow_the_vcpus)
{
	struct vcpu *second = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, ioctl(second->fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(1U << 24, *reg(&self->s, APIC_ID));
}

TEST_F(lapic, read_back)
{
	struct kvm_lapic_state out;

	*reg(&self->s, APIC_SVR) = 0x1ff;
	*reg(&self->s, APIC_TPR) = 0x30;
	*reg(&self->s, APIC_LDR) = 0x02000000;
	*reg(&self->s, APIC_LVT_LINT0) = 0x700;
	*reg(&self->s, APIC_LVT_ERROR) = 0xfe;
	*reg(&self->s, APIC_ISR + 16 * 2) = 1 << 3;
	*reg(&self->s, APIC_IRR + 16 * 7) = 1 << 9;
	*reg(&self->s, APIC_TMR + 16 * 7) = 1 << 9;
	*reg(&self->s, APIC_TIMER_DCR) = 0xb;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &self->s));
	memset(&out, 0xcc, sizeof(out));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &out));
	EXPECT_EQ(0x1ffU, *reg(&out, APIC_SVR));
	EXPECT_EQ(0x30U, *reg(&out, APIC_TPR));
	EXPECT_EQ(0x02000000U, *reg(&out, APIC_LDR));
	EXPECT_EQ(0x700U, *reg(&out, APIC_LVT_LINT0));
	EXPECT_EQ(0xfeU, *reg(&out, APIC_LVT_ERROR));
	EXPECT_EQ(1U << 3, *reg(&out, APIC_ISR + 16 * 2));
	EXPECT_EQ(1U << 9, *reg(&out, APIC_IRR + 16 * 7));
	EXPECT_EQ(1U << 9, *reg(&out, APIC_TMR + 16 * 7));
	EXPECT_EQ(0xbU, *reg(&out, APIC_TIMER_DCR));
}

/* CR8 is bits 7:4 of the task priority (APM vol. 2, 16.6.4). */
TEST_F(lapic, task_priority_is_cr8)
{
	struct kvm_sregs sregs;

	*reg(&self->s, APIC_TPR) = 0x90;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &self->s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	EXPECT_EQ(9ULL, sregs.cr8);
}

/* A timer whose count was set by the ioctl runs. */
TEST_F(lapic, timer_counts_down)
{
	struct kvm_lapic_state out;

	*reg(&self->s, APIC_SVR) = 0x1ff;
	*reg(&self->s, APIC_LVT_TIMER) = 0x40;
	*reg(&self->s, APIC_TIMER_DCR) = 0xb;
	*reg(&self->s, APIC_TIMER_ICR) = 0xfffffff0;
	*reg(&self->s, APIC_TIMER_CCR) = 0xfffffff0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &self->s));
	usleep(20000);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &out));
	EXPECT_EQ(0xfffffff0U, *reg(&out, APIC_TIMER_ICR));
	EXPECT_GT(0xfffffff0U, *reg(&out, APIC_TIMER_CCR));
	EXPECT_LT(0U, *reg(&out, APIC_TIMER_CCR));
}

GUEST_CODE(open_window, 16,
	   "sti\n"
	   "1: hlt\n"
	   "jmp 1b\n");
GUEST_CODE(tell_vector, 16,
	   "outb %al, $0x40\n"
	   "hlt\n");

/* An interrupt that is pending in the page handed in is delivered to the guest. */
TEST_F(lapic, pending_vector_is_delivered)
{
	uint16_t vector[2] = { VM_DATA_GPA - 0x1000, 0 };

	vm_load(&self->vm, VM_CODE_GPA, open_window);
	vm_load(&self->vm, VM_DATA_GPA - 0x1000, tell_vector);
	vm_copy_in(&self->vm, 0x41 * 4, vector, sizeof(vector));
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	*reg(&self->s, APIC_SVR) = 0x1ff;
	*reg(&self->s, APIC_IRR + 16 * 2) = 1 << 1;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &self->s));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x40, self->vcpu->run->io.port);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(0U, *reg(&self->s, APIC_IRR + 16 * 2));
	EXPECT_EQ(1U << 1, *reg(&self->s, APIC_ISR + 16 * 2));
}

TEST_F(lapic, without_irqchip_is_einval)
{
	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	EXPECT_EQ(-1, ioctl(self->vm.vcpu[0].fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.vcpu[0].fd, KVM_SET_LAPIC, &self->s));
	EXPECT_EQ(EINVAL, errno);
}

GUEST_CODE(write_icr, 64,
	   "movl $0xfee00310, %ebx\n"
	   "movl $0x5affffff, (%rbx)\n"
	   "movl $0xfee00300, %ebx\n"
	   "movl $0xfff350fe, (%rbx)\n"
	   "movl (%rbx), %eax\n"
	   "outl %eax, $0x40\n");

/* Reserved bits of ICR are read as they were written; the delivery status is not among them. */
TEST_F(lapic, reserved_bits_of_icr)
{
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	vm_load(&self->vm, VM_CODE_GPA, write_icr);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0xfff340feU, *(uint32_t *)io_data(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(0xfff340feU, *reg(&self->s, APIC_ICR_LOW));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &self->s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(0xfff340feU, *reg(&self->s, APIC_ICR_LOW));
}

GUEST_CODE(idle, 64, "sti\n1: outb %al, $0x40\njmp 1b\n");

/* Vectors that are none are kept in IRR, and never delivered. */
TEST_F(lapic, low_vectors_in_irr)
{
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	vm_load(&self->vm, VM_CODE_GPA, idle);
	*reg(&self->s, APIC_SVR) = 0x1ff;
	*reg(&self->s, APIC_IRR) = 0x8001;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &self->s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(0x8001U, *reg(&self->s, APIC_IRR));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &self->s));
	EXPECT_EQ(0x8001U, *reg(&self->s, APIC_IRR));
}

/* "None" is taken at any time, as QEMU says so at each reset. */
TEST_F(lapic, vapic_address)
{
	struct kvm_vapic_addr vapic = { .vapic_addr = 0 };

	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VAPIC_ADDR, &vapic));
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_VAPIC_ADDR, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	vapic.vapic_addr = ~0ull - 4095;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_VAPIC_ADDR, &vapic));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
