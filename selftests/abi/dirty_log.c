// SPDX-License-Identifier: GPL-2.0-only
/* GET_DIRTY_LOG: which pages the guest wrote since the last call, no more and no fewer. */
#include "dirtier.h"
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	DIRTIER_GPA
#define NR_PAGES	200UL
#define SLOT_SIZE	(NR_PAGES * VM_PAGE_SIZE)

FIXTURE(dirty_log)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *hva;
};

FIXTURE_SETUP(dirty_log)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	self->hva = page_alloc(SLOT_SIZE);
	ASSERT_NE(NULL, self->hva);
	vm_load(&self->vm, VM_CODE_GPA, dirtier);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(dirty_log)
{
	vm_close(&self->vm);
	munmap(self->hva, SLOT_SIZE);
}

static bool bit(const uint64_t *bitmap, unsigned int nr)
{
	return bitmap[nr / 64] >> (nr % 64) & 1;
}

TEST_F(dirty_log, exactly_what_was_written)
{
	static const uint16_t first[] = { 0, 1, 63, 64, 65, 127, 199, 0xffff };
	static const uint16_t second[] = { 64, 2, 64, 0xffff };
	uint64_t bitmap[(NR_PAGES + 63) / 64];

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE,
				 self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, first));
	memset(bitmap, 0xff, sizeof(bitmap));
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	for (unsigned int i = 0, j = 0; i < NR_PAGES; i++) {
		EXPECT_EQ(i == first[j], bit(bitmap, i))
			TH_LOG("page %u", i);
		j += i == first[j];
	}
	/* Reading cleared it. */
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	for (size_t i = 0; i < ARRAY_SIZE(bitmap); i++) {
		EXPECT_EQ(0UL, bitmap[i]);
	}
	/* Pages that are mapped for writing already, and one that is not. */
	ASSERT_EQ(0, dirty(self->vcpu, second));
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(1UL << 2, bitmap[0]);
	EXPECT_EQ(1UL << 0, bitmap[1]);
	EXPECT_EQ(0UL, bitmap[2]);
	EXPECT_EQ(0UL, bitmap[3]);
	EXPECT_EQ(1, self->hva[0]);
	EXPECT_EQ(3, self->hva[64 * VM_PAGE_SIZE]);
}

/* A page that the guest is the first to read counts, too, where the host has it writable: as on the stock module. */
TEST_F(dirty_log, the_first_access_counts)
{
	static const uint16_t none[] = { 0xffff };
	uint64_t bitmap[VM_MEM_SIZE / VM_PAGE_SIZE / 64] = { 0 };

	ASSERT_EQ(0, vm_set_slot(&self->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, self->vm.mem));
	ASSERT_EQ(0, dirty(self->vcpu, none));
	ASSERT_EQ(0, get_log(&self->vm, 0, bitmap));
	EXPECT_TRUE(bit(bitmap, VM_CODE_GPA / VM_PAGE_SIZE));
	/* Once. */
	ASSERT_EQ(0, dirty(self->vcpu, none));
	ASSERT_EQ(0, get_log(&self->vm, 0, bitmap));
	EXPECT_FALSE(bit(bitmap, VM_CODE_GPA / VM_PAGE_SIZE));
}

/* What was mapped while nobody logged has to be caught as well. */
TEST_F(dirty_log, can_be_switched_on_and_off)
{
	static const uint16_t pages[] = { 3, 70, 0xffff };
	uint64_t bitmap[(NR_PAGES + 63) / 64];

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	EXPECT_EQ(-1, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(ENOENT, errno);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE,
				 self->hva));
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(0UL, bitmap[0]);
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(1UL << 3, bitmap[0]);
	EXPECT_EQ(1UL << 6, bitmap[1]);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	EXPECT_EQ(-1, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(3, self->hva[3 * VM_PAGE_SIZE]);
}

TEST_F(dirty_log, huge_pages_are_logged_by_the_small_page)
{
	static const uint16_t pages[] = { 5, 0xffff };
	size_t size = 4UL << 20;
	uint64_t *bitmap = calloc(size / VM_PAGE_SIZE / 64, 8);
	uint8_t *area = page_alloc(size * 2);
	uint8_t *hva = (uint8_t *)(((uintptr_t)area + (2UL << 20) - 1) & ~((2UL << 20) - 1));

	ASSERT_NE(NULL, bitmap);
	ASSERT_NE(NULL, area);
	madvise(hva, size, MADV_HUGEPAGE);
	memset(hva, 0, size);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, size, hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, size, hva));
	ASSERT_EQ(0, dirty(self->vcpu, pages));
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(1UL << 5, bitmap[0]);
	for (size_t i = 1; i < size / VM_PAGE_SIZE / 64; i++) {
		EXPECT_EQ(0UL, bitmap[i]);
	}
	free(bitmap);
}

TEST_F(dirty_log, bad_slots)
{
	uint64_t bitmap[(NR_PAGES + 63) / 64];
	uint32_t nr = has_cap(&self->vm, KVM_CAP_NR_MEMSLOTS);

	EXPECT_EQ(-1, get_log(&self->vm, 5, bitmap));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, get_log(&self->vm, nr, bitmap));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, get_log(&self->vm, 0xffff0000, bitmap));
	EXPECT_EQ(EINVAL, errno);
	/* Slot 0 is there and not logged. */
	EXPECT_EQ(-1, get_log(&self->vm, 0, bitmap));
	EXPECT_EQ(ENOENT, errno);
}

TEST_F(dirty_log, bad_bitmap_pointer_is_efault)
{
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE,
				 self->hva));
	EXPECT_EQ(-1, get_log(&self->vm, 1, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

/* The bitmap is rounded up to 64 pages, and nothing is written behind that. */
TEST_F(dirty_log, bitmap_size)
{
	uint64_t bitmap[3] = { ~0UL, ~0UL, 0xa5a5a5a5a5a5a5a5 };

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA,
				 65 * VM_PAGE_SIZE, self->hva));
	ASSERT_EQ(0, get_log(&self->vm, 1, bitmap));
	EXPECT_EQ(0UL, bitmap[0]);
	EXPECT_EQ(0UL, bitmap[1]);
	EXPECT_EQ(0xa5a5a5a5a5a5a5a5, bitmap[2]);
}

TEST_HARNESS_MAIN
