// SPDX-License-Identifier: GPL-2.0-only
/* Page tables, and the pages they are made of. */
#include "guest.h"

#define PTE_ADDRESS	0x000ffffffffff000ULL

extern char image_end[];

void *page_alloc(void)
{
	static uintptr_t next;

	if (!next)
		next = (uintptr_t)image_end;
	next += PAGE_SIZE;
	return memset((void *)(next - PAGE_SIZE), 0, PAGE_SIZE);
}

static volatile uint64_t *walk(uint64_t gva, int level, bool make)
{
	uint64_t *table = (uint64_t *)(read_cr3() & PTE_ADDRESS);

	for (int l = 4;; l--) {
		uint64_t *entry = &table[gva >> (12 + 9 * (l - 1)) & 511];

		if (l == level)
			return entry;
		if (!(*entry & PTE_P)) {
			if (!make)
				return NULL;
			*entry = (uintptr_t)page_alloc() | PTE_P | PTE_W | PTE_U;
		} else if (*entry & PTE_PS) {
			return NULL;
		}
		table = (uint64_t *)(*entry & PTE_ADDRESS);
	}
}

volatile uint64_t *page_entry(uint64_t gva, int level)
{
	return walk(gva, level, false);
}

volatile uint64_t *map_page(uint64_t gva, uint64_t gpa, uint64_t flags, int level)
{
	volatile uint64_t *entry = walk(gva, level, true);

	if (!entry) {
		check(false, "%lx lies in a larger page", gva);
		verdict();
	}
	*entry = gpa | flags | PTE_P | (level > 1 ? PTE_PS : 0);
	invlpg(gva);
	return entry;
}
