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

static struct kvm_translation translation(struct vcpu *vcpu, uint64_t address)
{
	struct kvm_translation tr = { .linear_address = address };

	if (ioctl(vcpu->fd, KVM_TRANSLATE, &tr))
		tr.valid = 0xee;
	return tr;
}

TEST_F(sregs, addresses_are_translated)
{
	struct kvm_translation tr = translation(self->vcpu, VM_DATA_GPA + 5);

	EXPECT_EQ(1, tr.valid);
	EXPECT_EQ(VM_DATA_GPA + 5, tr.physical_address);
	EXPECT_EQ(VM_DATA_GPA + 5, tr.linear_address);
	/* The tables map 4 GiB. */
	EXPECT_EQ(0, translation(self->vcpu, 1ULL << 32).valid);
	EXPECT_EQ(0, translation(self->vcpu, ~0ULL).valid);

	ASSERT_EQ(0, set(self->vcpu, &self->real));
	tr = translation(self->vcpu, VM_DATA_GPA);
	EXPECT_EQ(1, tr.valid);
	EXPECT_EQ(VM_DATA_GPA, tr.physical_address);
	EXPECT_EQ(0, translation(self->vcpu, ~0ULL).valid);
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

/* --- SREGS2 --- */

static int set2(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	return ioctl(vcpu->fd, KVM_SET_SREGS2, sregs);
}

static bool refused2(struct vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	struct kvm_sregs2 before, after;

	if (ioctl(vcpu->fd, KVM_GET_SREGS2, &before))
		return false;
	if (set2(vcpu, sregs) != -1 || errno != EINVAL)
		return false;
	if (ioctl(vcpu->fd, KVM_GET_SREGS2, &after))
		return false;
	return !memcmp(&before, &after, sizeof(before));
}

TEST_F(sregs, sregs2_is_sregs)
{
	struct kvm_sregs2 s;
	struct kvm_sregs out;

	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_SREGS2));
	memset(&s, 0xcc, sizeof(s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS2, &s));
	EXPECT_EQ(0, memcmp(&s, &self->lm, offsetof(struct kvm_sregs, interrupt_bitmap)));
	EXPECT_EQ(0ULL, s.flags);
	s.cr2 = 0x7000;
	s.fs.base = 0x1234000;
	ASSERT_EQ(0, set2(self->vcpu, &s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &out));
	EXPECT_EQ(0, memcmp(&s, &out, offsetof(struct kvm_sregs, interrupt_bitmap)));
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_SREGS2, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_SREGS2, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(sregs, sregs2_bad_values)
{
	struct kvm_sregs2 s, good;

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS2, &good));
	s = good;
	s.flags = 2;
	EXPECT_TRUE(refused2(self->vcpu, &s));
	/* 64-bit paging has none. */
	s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	EXPECT_TRUE(refused2(self->vcpu, &s));
	s = good;
	s.cr4 &= ~CR4_PAE;
	EXPECT_TRUE(refused2(self->vcpu, &s));
	s = good;
	s.cr0 |= 1ULL << 32;
	EXPECT_TRUE(refused2(self->vcpu, &s));
}

/* 32-bit code that tells a byte of a page which the PDPTEs that are set map, and those in memory do not. */
GUEST_CODE(tell, 32, "movb 0x40000000, %al\noutb %al, $0x40\n");

TEST_F(sregs, pdptes)
{
	uint64_t *pdpt = (uint64_t *)(self->vm.mem + 0x50000);
	uint64_t *pd = (uint64_t *)(self->vm.mem + 0x51000);
	struct kvm_regs regs = { .rip = VM_CODE_GPA, .rflags = 2 };
	struct kvm_sregs2 s;

	vm_load(&self->vm, VM_CODE_GPA, tell);
	self->vm.mem[0] = 0x77;
	pd[0] = 0x83;
	pdpt[0] = 0x51001;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS2, &s));
	s.cs.l = 0;
	s.cs.db = 1;
	s.efer = 0;
	s.cr3 = 0x50000;
	s.flags = 0;
	ASSERT_EQ(0, set2(self->vcpu, &s));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS2, &s));
	EXPECT_EQ((uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID, s.flags);
	EXPECT_EQ(0x51001ULL, s.pdptrs[0]);
	EXPECT_EQ(0ULL, s.pdptrs[1]);
	s.pdptrs[1] = 0x51001;
	ASSERT_EQ(0, set2(self->vcpu, &s));
	/* AMD's CPUs read them from memory with nested paging (APM vol. 2, 15.25.10); the stock module does not say so. */
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS2, &s));
	if (s.pdptrs[1] == 0x51001) {
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
		if (dev_is_reference())
			pdpt[1] = 0x51001;
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(0x77, *(uint8_t *)io_data(self->vcpu));
	}
	if (dev_is_reference())
		return;
	s.pdptrs[2] = 0x51001 | 1 << 6;
	EXPECT_TRUE(refused2(self->vcpu, &s));
}

/* Before KVM_SET_CPUID2 all that the CPU has is taken: VMMs restore in any order. */
TEST_F(sregs, cr4_before_cpuid)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm.sys_fd);
	struct kvm_cpuid_entry2 *leaf7 = cpuid_find(cpuid, 7, 0), *leaf1 = cpuid_find(cpuid, 1, 0);
	uint64_t want = 0, supported;
	struct kvm_sregs s, out;
	struct vm vm;

	ASSERT_NE(NULL, leaf1);
	want |= leaf1->ecx & 1 << 26 ? 1 << 18 : 0;		/* XSAVE: OSXSAVE */
	want |= leaf1->ecx & 1 << 17 ? 1 << 17 : 0;		/* PCID: PCIDE */
	if (leaf7) {
		want |= leaf7->ebx & 1 << 0 ? 1 << 16 : 0;	/* FSGSBASE */
		want |= leaf7->ebx & 1 << 7 ? 1 << 20 : 0;	/* SMEP */
		want |= leaf7->ebx & 1 << 20 ? 1 << 21 : 0;	/* SMAP */
		want |= leaf7->ecx & 1 << 3 ? 1 << 22 : 0;	/* PKU: PKE */
		want |= leaf7->ecx & 1 << 2 ? 1 << 11 : 0;	/* UMIP */
	}
	supported = want;
	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_VCPU));
	ASSERT_EQ(0, ioctl(vm.vcpu[0].fd, KVM_GET_SREGS, &s));
	s.cr0 = 0;
	s.cr4 |= want;
	EXPECT_EQ(0, set(&vm.vcpu[0], &s));
	ASSERT_EQ(0, ioctl(vm.vcpu[0].fd, KVM_GET_SREGS, &out));
	EXPECT_EQ(s.cr4, out.cr4);
	/* But no more than that. */
	for (int bit = 11; bit <= 22; bit++) {
		static const uint32_t features = 1 << 11 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 20 |
						 1 << 21 | 1 << 22;

		if (!(features & ~supported & 1U << bit))
			continue;
		s = out;
		s.cr4 |= 1 << bit;
		EXPECT_TRUE(refused(&vm.vcpu[0], &s))
			TH_LOG("CR4 bit %d", bit);
	}
	vm_close(&vm);
	free(cpuid);
}

TEST_HARNESS_MAIN
