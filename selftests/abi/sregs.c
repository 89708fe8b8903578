// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of SREGS: combinations that no CPU can be in are refused, whole. */
#include "kselftest_harness.h"
#include "vm.h"

#define CR0_PE		(1ULL << 0)
#define CR0_NW		(1ULL << 29)
#define CR0_CD		(1ULL << 30)
#define CR0_PG		(1ULL << 31)
#define CR4_PAE		(1ULL << 5)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)

FIXTURE(sregs)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sregs real;	/* as after reset */
	struct kvm_sregs lm;	/* 64-bit */
};

FIXTURE_SETUP(sregs)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &self->real));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &self->lm));
}

FIXTURE_TEARDOWN(sregs)
{
	vm_close(&self->vm);
}

static int set(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return ioctl(vcpu->fd, KVM_SET_SREGS, sregs);
}

/* Refused with EINVAL, and the state before is still there. */
static bool refused(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct kvm_sregs before, after;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &before))
		return false;
	if (set(vcpu, sregs) != -1 || errno != EINVAL)
		return false;
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &after))
		return false;
	return !memcmp(&before, &after, sizeof(before));
}

TEST_F(sregs, read_back)
{
	struct kvm_sregs in = self->lm, out;

	in.fs.base = 0x123456789000;
	in.gs.base = 0xffffff8000000000;
	in.ldt.selector = 0x28;
	in.ldt.base = 0x5000;
	in.ldt.limit = 0xfff;
	in.ldt.type = 2;
	in.ldt.present = 1;
	in.ldt.unusable = 0;
	in.tr.selector = 0x30;
	in.tr.base = 0x6000;
	in.tr.limit = 0x67;
	in.tr.type = 11;
	in.tr.present = 1;
	in.tr.unusable = 0;
	in.gdt.base = 0x7000;
	in.gdt.limit = 0x7f;
	in.idt.base = 0xffffffff80001000;
	in.idt.limit = 0xfff;
	in.cr2 = 0xdeadbeef000;
	in.cr8 = 5;
	ASSERT_EQ(0, set(self->vcpu, &in));
	memset(&out, 0xcc, sizeof(out));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &out));
	EXPECT_EQ(in.fs.base, out.fs.base);
	EXPECT_EQ(in.gs.base, out.gs.base);
	EXPECT_EQ(in.ldt.selector, out.ldt.selector);
	EXPECT_EQ(in.ldt.base, out.ldt.base);
	EXPECT_EQ(in.ldt.limit, out.ldt.limit);
	EXPECT_EQ(in.tr.selector, out.tr.selector);
	EXPECT_EQ(in.tr.base, out.tr.base);
	EXPECT_EQ(in.tr.limit, out.tr.limit);
	EXPECT_EQ(in.tr.type, out.tr.type);
	EXPECT_EQ(in.gdt.base, out.gdt.base);
	EXPECT_EQ(in.gdt.limit, out.gdt.limit);
	EXPECT_EQ(in.idt.base, out.idt.base);
	EXPECT_EQ(in.idt.limit, out.idt.limit);
	EXPECT_EQ(in.cr0, out.cr0);
	EXPECT_EQ(in.cr2, out.cr2);
	EXPECT_EQ(in.cr3, out.cr3);
	EXPECT_EQ(in.cr4, out.cr4);
	EXPECT_EQ(in.cr8, out.cr8);
	EXPECT_EQ(in.efer, out.efer);
	EXPECT_EQ(in.apic_base, out.apic_base);
	EXPECT_EQ(in.cs.l, out.cs.l);
	EXPECT_EQ(in.cs.type, out.cs.type);
	EXPECT_EQ(in.ss.dpl, out.ss.dpl);
}

TEST_F(sregs, long_mode_needs_pae)
{
	struct kvm_sregs s = self->lm;

	s.cr4 &= ~CR4_PAE;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, lma_follows_lme_and_pg)
{
	struct kvm_sregs s = self->lm;

	s.efer &= ~EFER_LMA;
	EXPECT_TRUE(refused(self->vcpu, &s));
	s = self->real;
	s.efer = EFER_LMA;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, sixty_four_bit_code_needs_long_mode)
{
	struct kvm_sregs s = self->real;

	s.cs.l = 1;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, paging_needs_protection)
{
	struct kvm_sregs s = self->real;

	s.cr0 |= CR0_PG;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, not_write_through_needs_cache_disable)
{
	struct kvm_sregs s = self->real;

	s.cr0 = (s.cr0 | CR0_NW) & ~CR0_CD;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, upper_half_of_cr0_is_reserved)
{
	struct kvm_sregs s = self->lm;

	s.cr0 |= 1ULL << 32;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, reserved_bits_of_cr4)
{
	static const int bits[] = { 15, 19, 25, 31, 32, 63 };

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		struct kvm_sregs s = self->lm;

		s.cr4 |= 1ULL << bits[i];
		EXPECT_TRUE(refused(self->vcpu, &s))
			TH_LOG("CR4 bit %d", bits[i]);
	}
}

TEST_F(sregs, reserved_bits_of_cr3)
{
	struct kvm_sregs s = self->lm;

	s.cr3 |= 1ULL << 62;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, reserved_bits_of_efer)
{
	struct kvm_sregs s = self->lm;

	s.efer |= 1ULL << 63;
	if (dev_is_reference())
		SKIP(return, "stock KVM takes any EFER from userspace here");
	EXPECT_TRUE(refused(self->vcpu, &s));
}

TEST_F(sregs, reserved_bits_of_apic_base)
{
	struct kvm_sregs s = self->lm;

	s.apic_base |= 1;
	EXPECT_TRUE(refused(self->vcpu, &s));
	s.apic_base = self->lm.apic_base | 1ULL << 62;
	EXPECT_TRUE(refused(self->vcpu, &s));
	/* x2APIC without being enabled at all. */
	s.apic_base = (self->lm.apic_base & ~(1ULL << 11)) | 1ULL << 10;
	EXPECT_TRUE(refused(self->vcpu, &s));
}

/* What the kernel had on its stack is in none of the bytes that say nothing. */
TEST_F(sregs, padding_is_zero)
{
	static const struct kvm_dtable none;
	struct kvm_sregs sregs;

	memset(&sregs, 0xff, sizeof(sregs));
	ASSERT_TRUE(refused(self->vcpu, &sregs));
	ASSERT_EQ(-1, set(self->vcpu, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	for (const struct kvm_segment *s = &sregs.cs; s <= &sregs.ldt; s++)
		EXPECT_EQ(0, s->padding);
	EXPECT_EQ(0, memcmp(sregs.gdt.padding, none.padding, sizeof(none.padding)));
	EXPECT_EQ(0, memcmp(sregs.idt.padding, none.padding, sizeof(none.padding)));
	for (unsigned int i = 0; i < 4; i++)
		EXPECT_EQ(0, sregs.interrupt_bitmap[i]);
}

TEST_F(sregs, interrupt_bitmap_holds_one)
{
	struct kvm_sregs s = self->lm, out;

	ASSERT_EQ(0, set(self->vcpu, &s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &out));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0ULL, out.interrupt_bitmap[i]);
	}
}

GUEST_CODE(cpl_and_selectors, 16,
	   "mov %ds, %ax\n"
	   "out %ax, $0x10\n"
	   "movw %ds:0, %ax\n"
	   "out %ax, $0x11\n"
	   "hlt\n");

/* A base that does not follow from the selector, as real mode has after leaving protected mode. */
TEST_F(sregs, hidden_base_counts)
{
	struct kvm_regs regs = { .rip = VM_CODE_GPA, .rflags = 2 };
	struct kvm_sregs s = self->real;

	vm_load(&self->vm, VM_CODE_GPA, cpl_and_selectors);
	*(uint16_t *)(self->vm.mem + VM_DATA_GPA + 0x340) = 0x4321;
	s.cs.base = 0;
	s.cs.selector = 0;
	s.ds.base = VM_DATA_GPA + 0x340;
	s.ds.selector = 0x99;
	ASSERT_EQ(0, set(self->vcpu, &s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x99, *(uint16_t *)io_data(self->vcpu));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x4321, *(uint16_t *)io_data(self->vcpu));
}

TEST_HARNESS_MAIN
