// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: a log that is only looked at, and cleared where the VMM says. */
#include "dirtier.h"
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	DIRTIER_GPA
#define NR_PAGES	200UL
#define SLOT_SIZE	(NR_PAGES * VM_PAGE_SIZE)
#define NR_WORDS	((NR_PAGES + 63) / 64)
#define BOTH		(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)

FIXTURE(clear_dirty_log)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *hva;
	uint64_t log[NR_WORDS];
};

static int enable(struct vm *vm, uint64_t flags)
{
	return enable_cap(vm->fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, flags);
}

FIXTURE_SETUP(clear_dirty_log)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	self->hva = page_alloc(SLOT_SIZE);
	ASSERT_NE(NULL, self->hva);
	vm_load(&self->vm, VM_CODE_GPA, dirtier);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(clear_dirty_log)
{
	vm_close(&self->vm);
	munmap(self->hva, SLOT_SIZE);
}

static int clear(struct vm *vm, uint32_t slot, uint64_t first, uint32_t pages, const void *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot, .first_page = first, .num_pages = pages, .dirty_bitmap = (void *)bitmap,
	};

	return ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log);
}

static int log_slot(struct vm *vm, uint8_t *hva)
{
	return vm_set_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE, hva);
}

TEST_F(clear_dirty_log, capability)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .flags = 1,
	};

	EXPECT_EQ(BOTH, has_cap(&self->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
	EXPECT_EQ(-1, enable(&self->vm, KVM_DIRTY_LOG_INITIALLY_SET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable(&self->vm, BOTH | 4));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable(&self->vm, 1UL << 32));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_ENABLE_CAP, &cap));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, enable(&self->vm, BOTH));
	EXPECT_EQ(0, enable(&self->vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	EXPECT_EQ(0, enable(&self->vm, 0));
}

TEST_F(clear_dirty_log, get_only_looks)
{
	static const uint16_t pages[] = { 0, 63, 64, 199, 0xffff }, again[] = { 0, 64, 0xffff };
	static const uint16_t one[] = { 64, 0xffff };
	const uint64_t bits[NR_WORDS] = { 1, 1 };

	ASSERT_EQ(0, enable(&self->vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	ASSERT_EQ(0, log_slot(&self->vm, self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	for (int i = 0; i < 3; i++) {
		memset(self->log, 0xff, sizeof(self->log));
		ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
		EXPECT_EQ(1 | 1UL << 63, self->log[0]);
		EXPECT_EQ(1UL, self->log[1]);
		EXPECT_EQ(0UL, self->log[2]);
		EXPECT_EQ(1UL << 7, self->log[3]);
	}
	/* Two of them go, and come back when they are written again. */
	ASSERT_EQ(0, clear(&self->vm, 1, 0, NR_PAGES, bits));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(1UL << 63, self->log[0]);
	EXPECT_EQ(0UL, self->log[1]);
	EXPECT_EQ(1UL << 7, self->log[3]);
	ASSERT_EQ(0, dirty(self->vcpu, again));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(1 | 1UL << 63, self->log[0]);
	EXPECT_EQ(1UL, self->log[1]);
	/* All go, and nothing but what is written comes back. */
	memset(self->log, 0xff, sizeof(self->log));
	ASSERT_EQ(0, clear(&self->vm, 1, 0, NR_PAGES, self->log));
	ASSERT_EQ(0, dirty(self->vcpu, one));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(0UL, self->log[0]);
	EXPECT_EQ(1UL, self->log[1]);
	EXPECT_EQ(0UL, self->log[2]);
	EXPECT_EQ(0UL, self->log[3]);
	EXPECT_EQ(3, self->hva[64 * VM_PAGE_SIZE]);
}

TEST_F(clear_dirty_log, a_part_of_the_slot)
{
	static const uint16_t pages[] = { 0, 1, 64, 65, 128, 192, 199, 0xffff };
	const uint64_t bits[2] = { ~0UL, ~0UL };

	ASSERT_EQ(0, enable(&self->vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	ASSERT_EQ(0, log_slot(&self->vm, self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, clear(&self->vm, 1, 64, 64, bits));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(3UL, self->log[0]);
	EXPECT_EQ(0UL, self->log[1]);
	EXPECT_EQ(1UL, self->log[2]);
	EXPECT_EQ(0x81UL, self->log[3]);
	/* To the slot's end it need not be whole words. */
	ASSERT_EQ(0, clear(&self->vm, 1, 128, NR_PAGES - 128, bits));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(3UL, self->log[0]);
	EXPECT_EQ(0UL, self->log[2]);
	EXPECT_EQ(0UL, self->log[3]);
	/* Nothing at all. */
	EXPECT_EQ(0, clear(&self->vm, 1, 0, 0, bits));
	EXPECT_EQ(0, clear(&self->vm, 1, 192, 0, bits));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(3UL, self->log[0]);
}

/* Also without the capability in force. */
TEST_F(clear_dirty_log, without_enabling)
{
	static const uint16_t pages[] = { 3, 70, 0xffff };
	const uint64_t bits[NR_WORDS] = { ~0UL };

	ASSERT_EQ(0, log_slot(&self->vm, self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, clear(&self->vm, 1, 0, NR_PAGES, bits));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(0UL, self->log[0]);
	EXPECT_EQ(1UL << 6, self->log[1]);
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(0UL, self->log[1]);
}

TEST_F(clear_dirty_log, initially_set)
{
	static const uint16_t pages[] = { 5, 63, 199, 0xffff };
	uint64_t bits[NR_WORDS] = { 1UL << 5 | 1UL << 6, 0, 0, 0xff };

	/* Mapped and written before there is a log, which changes nothing. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, enable(&self->vm, BOTH));
	ASSERT_EQ(0, log_slot(&self->vm, self->hva));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(~0UL, self->log[0]);
	EXPECT_EQ(~0UL, self->log[1]);
	EXPECT_EQ(~0UL, self->log[2]);
	EXPECT_EQ(0xffUL, self->log[3]);
	ASSERT_EQ(0, clear(&self->vm, 1, 0, NR_PAGES, bits));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(~bits[0], self->log[0]);
	EXPECT_EQ(0UL, self->log[3]);
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, get_log(&self->vm, 1, self->log));
	EXPECT_EQ(~(1UL << 6), self->log[0]);
	EXPECT_EQ(~0UL, self->log[1]);
	EXPECT_EQ(1UL << 7, self->log[3]);
	EXPECT_EQ(2, self->hva[199 * VM_PAGE_SIZE]);
}

/* A slot whose pages are large ones when the log begins. */
TEST_F(clear_dirty_log, initially_set_on_large_pages)
{
	static const uint16_t pages[] = { 5, 600, 0xffff };
	size_t size = 4UL << 20, words = size / VM_PAGE_SIZE / 64;
	uint64_t *bits = calloc(words, 8);
	uint8_t *area = page_alloc(size * 2);
	uint8_t *hva = (uint8_t *)(((uintptr_t)area + (2UL << 20) - 1) & ~((2UL << 20) - 1));

	ASSERT_NE(NULL, bits);
	ASSERT_NE(NULL, area);
	madvise(hva, size, MADV_HUGEPAGE);
	memset(hva, 0, size);
	ASSERT_EQ(0, enable(&self->vm, BOTH));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, size, hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, size, hva));
	memset(bits, 0xff, words * 8);
	ASSERT_EQ(0, clear(&self->vm, 1, 0, size / VM_PAGE_SIZE, bits));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, get_log(&self->vm, 1, bits));
	for (size_t i = 0; i < words; i++) {
		EXPECT_EQ(i == 0 ? 1UL << 5 : i == 9 ? 1UL << 24 : 0, bits[i])
			TH_LOG("word %zu", i);
	}
	EXPECT_EQ(2, hva[600 * VM_PAGE_SIZE]);
	free(bits);
	munmap(area, size * 2);
}

TEST_F(clear_dirty_log, bad_ranges_are_einval)
{
	static const struct { uint64_t first; uint32_t pages; } bad[] = {
		{ 1, 64 }, { 63, 64 }, { 32, 0 },		/* not at a word */
		{ 0, 1 }, { 64, 65 }, { 0, 199 },		/* not to a word's end, nor the slot's */
		{ 0, 201 }, { 0, 256 }, { 64, 192 }, { 192, 64 }, /* behind the slot's end */
		{ 256, 0 }, { 256, 64 }, { 1UL << 40, 64 },
		{ 0, 0xffffffff }, { 0, 0xffffffc0 }, { 64, 0xffffffc0 },
		{ ~63UL, 64 }, { ~63UL, 128 }, { -64UL, 0xffffffc0 }, { 1UL << 63, 0 },
	};
	uint64_t *bits = page_alloc(1UL << 20);

	ASSERT_NE(NULL, bits);
	ASSERT_EQ(0, log_slot(&self->vm, self->hva));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, clear(&self->vm, 1, bad[i].first, bad[i].pages, bits))
			TH_LOG("%#lx, %#x", bad[i].first, bad[i].pages);
		EXPECT_EQ(EINVAL, errno);
	}
	munmap(bits, 1UL << 20);
}

TEST_F(clear_dirty_log, bad_slots_and_pointers)
{
	uint32_t nr = has_cap(&self->vm, KVM_CAP_NR_MEMSLOTS);

	EXPECT_EQ(-1, clear(&self->vm, 5, 0, 64, self->log));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, clear(&self->vm, nr, 0, 64, self->log));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, clear(&self->vm, 0xffff0000, 0, 64, self->log));
	EXPECT_EQ(EINVAL, errno);
	/* Slot 0 is there and not logged. */
	EXPECT_EQ(-1, clear(&self->vm, 0, 0, 64, self->log));
	EXPECT_EQ(ENOENT, errno);
	ASSERT_EQ(0, log_slot(&self->vm, self->hva));
	EXPECT_EQ(-1, clear(&self->vm, 1, 0, 64, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CLEAR_DIRTY_LOG, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, enable(&self->vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	EXPECT_EQ(-1, get_log(&self->vm, 1, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

TEST_HARNESS_MAIN
