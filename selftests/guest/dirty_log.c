// SPDX-License-Identifier: GPL-2.0-only
/* No write of the guest escapes the dirty log, while other CPUs write and the log is read. */
#include "guest.h"

GUEST_NEEDS(.cpus = 3, .timeout_s = 40);

#define SLOT		FIRST_FREE_SLOT
/* More than a CPU can note on its own (PML: 512), also for each of two writers. */
#define PAGES		2048
#define LOG_DIRTY	1

static uint8_t *area = (uint8_t *)ARENA_GPA;
static uint64_t bitmap[PAGES / 64] __attribute__((aligned(64)));
static volatile bool stop;
static volatile bool pause, paused[3];

static bool dirty(unsigned int page)
{
	return bitmap[page / 64] >> (page % 64) & 1;
}

static void get_log(void)
{
	check_eq(0, host_call(HOST_DIRTY_LOG, SLOT, (uintptr_t)bitmap, 0, 0, 0), "GET_DIRTY_LOG");
}

static void every_kind_of_write(void)
{
	get_log();
	area[0 * PAGE_SIZE] = 1;
	__atomic_add_fetch((uint32_t *)(area + 2 * PAGE_SIZE), 1, __ATOMIC_SEQ_CST);
	memset(area + 4 * PAGE_SIZE + 100, 1, 5000);
	*(volatile uint64_t *)(area + 7 * PAGE_SIZE - 4) = 1;
	outl(PORT_FIFO, 0x1234);
	asm volatile("insl" : : "D"(area + 9 * PAGE_SIZE), "d"((uint16_t)PORT_FIFO) : "memory");
	asm volatile("movsl" : : "S"(MMIO_GPA), "D"(area + 11 * PAGE_SIZE) : "memory");
	(void)*(volatile uint8_t *)(area + 13 * PAGE_SIZE);
	get_log();
	for (unsigned int i = 0; i < PAGES; i++) {
		bool expected = i == 0 || i == 2 || (i >= 4 && i <= 7) || i == 9 || i == 11;

		/* Stock KVM counts a read as a write where the host's page is writable (THP). */
		if (i == 13 && boot_info()->reference)
			continue;
		check(dirty(i) == expected, "page %u: dirty %d", i, dirty(i));
	}
	get_log();
	for (unsigned int i = 0; i < PAGES; i++)
		check(!dirty(i), "page %u is dirty again", i);
}

/* Page-table pages and their accessed and dirty bits are the CPU's writes, and count too. */
static void page_table_writes(void)
{
	uint64_t gva = 0x20000000000;
	volatile uint64_t *entry = map_page(gva, (uintptr_t)page_alloc(), PTE_W, 1);
	uint64_t *table = (uint64_t *)(area + 20 * PAGE_SIZE);

	memset(table, 0, PAGE_SIZE);
	table[0] = *entry & ~(PTE_A | PTE_D);
	*page_entry(gva, 2) = (uintptr_t)table | PTE_P | PTE_W | PTE_U;
	write_cr3(read_cr3());
	get_log();
	*(volatile uint8_t *)gva = 1;
	check_eq(PTE_A | PTE_D, table[0] & (PTE_A | PTE_D), "A and D bits");
	get_log();
	check(dirty(20), "the CPU's own write to the page table was not logged");
}

/* Again and again all pages, then none: each round's first writes go through clean translations. */
static void all_pages(void)
{
	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < PAGES; i++)
			area[i * PAGE_SIZE + 16] = round;
		get_log();
		for (unsigned int i = 0; i < PAGES; i++)
			check(dirty(i), "page %u of all was not logged in round %d", i, round);
		get_log();
		for (unsigned int i = 0; i < PAGES; i++)
			check(!dirty(i), "page %u is dirty though nobody wrote it", i);
	}
}

/* Writes until told to pause; says that it does, and goes on when the word is taken back. */
static void writer(void *arg)
{
	unsigned int me = (uintptr_t)arg;
	uint64_t seed = me * 77 + 1;

	while (!stop) {
		unsigned int page;

		if (pause) {
			paused[me] = true;
			while (pause)
				cpu_relax();
			paused[me] = false;
		}
		seed = seed * 6364136223846793005 + 1442695040888963407;
		page = (seed >> 33) % PAGES;
		if (page % 2 != me % 2)
			page ^= 1;
		(*(volatile uint64_t *)(area + page * PAGE_SIZE + 8))++;
	}
}

static uint64_t copy[PAGES];

static void copy_dirty(bool all)
{
	get_log();
	for (unsigned int i = 0; i < PAGES; i++) {
		if (dirty(i) || all)
			copy[i] = *(volatile uint64_t *)(area + i * PAGE_SIZE + 8);
	}
}

/*
 * Keeps a copy as live migration does: what is dirty is copied again. Each time, right after a log
 * was taken from under them, the writers stop and the copy has to become the original: a write
 * through a translation from before the log would be missed.
 */
static void under_load(void)
{
	for (uintptr_t i = 1; i < 3; i++)
		smp_start(i, writer, (void *)i);
	copy_dirty(true);
	for (int round = 0; round < 60; round++) {
		delay_us(300);
		copy_dirty(false);
		delay_us(50);
		pause = true;
		if (!check(wait_for(paused[1] && paused[2], 5000), "the writers do not pause"))
			break;
		copy_dirty(false);
		for (unsigned int i = 0; i < PAGES; i++) {
			uint64_t now = *(volatile uint64_t *)(area + i * PAGE_SIZE + 8);

			check(copy[i] == now, "page %u: a write was lost, %lu instead of %lu", i,
			      copy[i], now);
		}
		pause = false;
		wait_for(!paused[1] && !paused[2], 5000);
	}
	stop = true;
	smp_wait(1);
	smp_wait(2);
}

int main(void)
{
	check_eq(0, host_call(HOST_SLOT, SLOT, LOG_DIRTY, ARENA_GPA, PAGES * PAGE_SIZE, 0), "slot");
	every_kind_of_write();
	page_table_writes();
	all_pages();
	memset(area, 0, PAGES * PAGE_SIZE);
	under_load();
	return 0;
}
