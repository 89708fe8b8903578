// SPDX-License-Identifier: GPL-2.0-only
/* KVM_PRE_FAULT_MEMORY, and what KVM_RUN says of memory that can't be had (KVM_EXIT_MEMORY_FAULT). */
#include <sys/mman.h>
#include "../../kmod/compat_kvm.h"
#include "kselftest_harness.h"
#include "vm.h"

#define FAR_GPA		0x40000000UL
#define FAR_SIZE	(4UL << 20)

FIXTURE(pre_fault)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *mem;
};

FIXTURE_SETUP(pre_fault)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	self->mem = page_alloc(FAR_SIZE);
	ASSERT_NE(NULL, self->mem);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, FAR_GPA, FAR_SIZE, self->mem));
}

FIXTURE_TEARDOWN(pre_fault)
{
	vm_close(&self->vm);
	munmap(self->mem, FAR_SIZE);
}

/* How many pages of the range are in the VMM's memory. */
static unsigned int resident(const uint8_t *mem, size_t size)
{
	unsigned char pages[FAR_SIZE / VM_PAGE_SIZE];
	unsigned int n = 0;

	if (mincore((void *)mem, size, pages))
		return ~0U;
	for (size_t i = 0; i < size / VM_PAGE_SIZE; i++)
		n += pages[i] & 1;
	return n;
}

GUEST_CODE(touch, 64,
	   "movl $0x40000000, %ebx\n"
	   "1: movb (%rbx), %al\n"
	   "outb %al, $0x30\n"
	   "addl $0x1000, %ebx\n"
	   "jmp 1b\n");

TEST_F(pre_fault, maps_what_is_asked_for)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR_GPA, .size = 64 * VM_PAGE_SIZE };
	long faults;

	if (!has_cap(&self->vm, KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_CAP_PRE_FAULT_MEMORY");
	vm_load(&self->vm, VM_CODE_GPA, touch);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	madvise(self->mem, FAR_SIZE, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
	EXPECT_EQ(FAR_GPA + 64 * VM_PAGE_SIZE, range.gpa);
	EXPECT_EQ(0ULL, range.size);
	/* Again: nothing to do. */
	range = (struct kvm_pre_fault_memory){ .gpa = FAR_GPA, .size = 64 * VM_PAGE_SIZE };
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
	EXPECT_EQ(0ULL, range.size);

	/* The guest's reads find them there. */
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	faults = vm_counter("page_faults");
	for (int i = 1; i < 64; i++)
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	if (faults >= 0) {
		EXPECT_EQ(faults, vm_counter("page_faults"));
	}
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	if (faults >= 0) {
		EXPECT_LT(faults, vm_counter("page_faults"));
	}
}

TEST_F(pre_fault, large_pages_and_swapped_out_ones)
{
	struct kvm_pre_fault_memory range = { .gpa = FAR_GPA, .size = FAR_SIZE };

	if (!has_cap(&self->vm, KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_CAP_PRE_FAULT_MEMORY");
	madvise(self->mem, FAR_SIZE, MADV_HUGEPAGE);
	memset(self->mem, 0x5a, FAR_SIZE);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
	EXPECT_EQ(0ULL, range.size);
	/* What the VMM gives away is gone, and can be asked for again. */
	ASSERT_EQ(0, madvise(self->mem, FAR_SIZE, MADV_DONTNEED));
	range = (struct kvm_pre_fault_memory){ .gpa = FAR_GPA, .size = FAR_SIZE };
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
	EXPECT_EQ(FAR_SIZE / VM_PAGE_SIZE, resident(self->mem, FAR_SIZE));
}

TEST_F(pre_fault, ends_where_the_slot_does)
{
	struct kvm_pre_fault_memory range = {
		.gpa = FAR_GPA + FAR_SIZE - 4 * VM_PAGE_SIZE, .size = 8 * VM_PAGE_SIZE,
	};

	if (!has_cap(&self->vm, KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_CAP_PRE_FAULT_MEMORY");
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
	EXPECT_EQ(FAR_GPA + FAR_SIZE, range.gpa);
	EXPECT_EQ(4 * VM_PAGE_SIZE, range.size);
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
	EXPECT_EQ(ENOENT, errno);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 2, KVM_MEM_READONLY, FAR_GPA + FAR_SIZE, VM_PAGE_SIZE,
				 self->mem));
	range.size = VM_PAGE_SIZE;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range));
}

TEST_F(pre_fault, bad_arguments)
{
	static const struct kvm_pre_fault_memory bad[] = {
		{ .gpa = FAR_GPA, .size = 0 },
		{ .gpa = FAR_GPA, .size = 1 },
		{ .gpa = FAR_GPA + 8, .size = VM_PAGE_SIZE },
		{ .gpa = -VM_PAGE_SIZE, .size = VM_PAGE_SIZE },
		{ .gpa = FAR_GPA, .size = -VM_PAGE_SIZE },
		{ .gpa = FAR_GPA, .size = VM_PAGE_SIZE, .flags = 1 },
	};

	if (!has_cap(&self->vm, KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_CAP_PRE_FAULT_MEMORY");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kvm_pre_fault_memory range = bad[i];

		EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range))
			TH_LOG("case %zu", i);
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	/* A slot with nothing behind it. */
	ASSERT_EQ(0, mprotect(self->mem, FAR_SIZE, PROT_NONE));
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_PRE_FAULT_MEMORY,
			    &(struct kvm_pre_fault_memory){ .gpa = FAR_GPA, .size = VM_PAGE_SIZE }));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(pre_fault, a_fault_that_fails_says_where)
{
	struct ost_memory_fault *info = (void *)self->vcpu->run->padding;

	if (!has_cap(&self->vm, KVM_CAP_MEMORY_FAULT_INFO))
		SKIP(return, "no KVM_CAP_MEMORY_FAULT_INFO");
	vm_load(&self->vm, VM_CODE_GPA, touch);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, mprotect(self->mem + VM_PAGE_SIZE, VM_PAGE_SIZE, PROT_NONE));
	memset(info, 0xff, sizeof(*info));
	ASSERT_EQ(-EFAULT, vcpu_run(self->vcpu));
	EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, self->vcpu->run->exit_reason);
	EXPECT_EQ(0ULL, info->flags);
	EXPECT_EQ(FAR_GPA + VM_PAGE_SIZE, info->gpa);
	EXPECT_EQ(VM_PAGE_SIZE, info->size);
	/* With memory behind it the guest goes on. */
	ASSERT_EQ(0, mprotect(self->mem + VM_PAGE_SIZE, VM_PAGE_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

TEST_HARNESS_MAIN
