// SPDX-License-Identifier: GPL-2.0-only
/* Guest pages of 4 KiB, 2 MiB and 1 GiB; accessed and dirty bits; INVLPG and CR3. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define GVA	0x5000000000UL

static void sizes(void)
{
	uint64_t *page = page_alloc();
	uint64_t gpa = (uintptr_t)page;

	page[3] = 0x1234567890abcdef;
	for (int level = 1; level <= 3; level++) {
		uint64_t size = 1UL << (12 + 9 * (level - 1));
		uint64_t gva = GVA + ((uint64_t)level << 39);

		if (level == 3 && !(cpuid(0x80000001, 0).edx & 1 << 26)) {
			print("no 1 GiB pages\n");
			continue;
		}
		map_page(gva, gpa & ~(size - 1), PTE_W, level);
		check(*(volatile uint64_t *)(gva + gpa % size + 24) == page[3],
		      "page of level %d: wrong contents", level);
		*(volatile uint64_t *)(gva + gpa % size + 32) = level;
		check(page[4] == (uint64_t)level, "page of level %d: write went elsewhere", level);
	}
}

static void accessed_dirty(int level)
{
	uint64_t gva = GVA + ((uint64_t)level << 41), gpa = 0x200000;
	volatile uint64_t *entry;
	volatile uint64_t *p = (volatile uint64_t *)gva;

	/* Contents do not matter, and are written back: it is this program's own image. */
	entry = map_page(gva, level == 3 ? 0 : gpa, PTE_W, level);
	check(!(*entry & (PTE_A | PTE_D)), "level %d: bits before any access", level);
	(void)*p;
	check((*entry & (PTE_A | PTE_D)) == PTE_A, "level %d: %lx after a read", level, *entry);
	*p = *p;
	check((*entry & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "level %d: %lx after a write", level,
	      *entry);
	check(*page_entry(gva, 4) & PTE_A, "level %d: the top entry is not accessed", level);
	*entry &= ~(PTE_A | PTE_D);
	invlpg(gva);
	*p = *p;
	check((*entry & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "level %d: %lx after clearing", level,
	      *entry);
}

static void invalidation(void)
{
	uint64_t *a = page_alloc(), *b = page_alloc();
	uint64_t gva = GVA + (1UL << 44);
	volatile uint64_t *entry, *p = (volatile uint64_t *)gva;

	a[0] = 0xa;
	b[0] = 0xb;
	entry = map_page(gva, (uintptr_t)a, PTE_W, 1);
	check(*p == 0xa, "first page");
	*entry = (uintptr_t)b | PTE_P | PTE_W;
	invlpg(gva);
	check(*p == 0xb, "INVLPG did not do it");
	*entry = (uintptr_t)a | PTE_P | PTE_W;
	write_cr3(read_cr3());
	check(*p == 0xa, "writing CR3 did not do it");
	*entry = (uintptr_t)b | PTE_P | PTE_W;
	write_cr4(read_cr4() ^ CR4_PGE);
	check(*p == 0xb, "changing CR4.PGE did not do it");
	/* A global page outlives CR3, not INVLPG. */
	write_cr4(read_cr4() | CR4_PGE);
	*entry = (uintptr_t)a | PTE_P | PTE_W | PTE_G;
	invlpg(gva);
	check(*p == 0xa, "global page");
	*entry = (uintptr_t)b | PTE_P | PTE_W | PTE_G;
	invlpg(gva);
	check(*p == 0xb, "INVLPG of a global page");
	write_cr4(read_cr4() & ~CR4_PGE);
}

/* Two address spaces with different contents at one address. */
static void address_spaces(void)
{
	uint64_t *other = page_alloc(), *a = page_alloc(), *b = page_alloc();
	uint64_t gva = GVA + (1UL << 45), old = read_cr3();
	volatile uint64_t *p = (volatile uint64_t *)gva;

	a[0] = 1;
	b[0] = 2;
	memcpy(other, (void *)old, PAGE_SIZE);
	other[gva >> 39 & 511] = 0;
	map_page(gva, (uintptr_t)a, PTE_W, 1);
	write_cr3((uintptr_t)other);
	map_page(gva, (uintptr_t)b, PTE_W, 1);
	for (int i = 0; i < 10; i++) {
		check(*p == 2, "second space");
		write_cr3(old);
		check(*p == 1, "first space");
		write_cr3((uintptr_t)other);
	}
	write_cr3(old);
}

int main(void)
{
	sizes();
	accessed_dirty(1);
	accessed_dirty(2);
	if (cpuid(0x80000001, 0).edx & 1 << 26)
		accessed_dirty(3);
	invalidation();
	address_spaces();
	return 0;
}
