// SPDX-License-Identifier: GPL-2.0-only
/* The nested page table against a flat model, and by several threads at once. */
#include <linux/kernel.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "table_model.h"
#include "tap.h"

static u32 rnd(u32 below)
{
	return (u32)random() % below;
}

/* Mostly in a few places, so that operations meet; with ends that are aligned often enough. */
static u64 random_page(void)
{
	u64 page;

	switch (rnd(4)) {
	case 0:
		page = rnd(WINDOW_PAGES);
		break;
	case 1:
		page = WINDOW_PAGES / 2 - 1024 + rnd(2048);
		break;
	default:
		page = 0x40000 + rnd(0x800);
	}
	if (rnd(4) == 0)
		page &= ~511ULL;
	if (rnd(16) == 0)
		page &= ~0x3ffffULL;
	return page;
}

static void random_range(u64 *first, u64 *end)
{
	static const u32 lengths[] = { 1, 3, 64, 511, 512, 513, 5000, 0x40000, 0x60000 };

	*first = random_page();
	*end = min(*first + lengths[rnd(ARRAY_SIZE(lengths))], WINDOW_PAGES);
	if (rnd(3) == 0)
		*end = max(*end & ~511ULL, *first + 1);
}

static bool with_mmio;

static bool random_step(void)
{
	u64 first, end;

	random_range(&first, &end);
	switch (rnd(with_mmio ? 18 : 16)) {
	case 16:
	case 17:
		return table_map_mmio(first, 1 + rnd(4));
	case 0:
		return table_zap(first, end, rnd(2));
	case 1:
		return table_protect(first, end, rnd(2) ? ~0U : 6 + rnd(1000));
	case 2:
		return table_age(first, end, rnd(2));
	case 3:
		return table_any(first, end);
	case 4:
	case 5:
		return table_allows(first, rnd(2));
	case 6:
	case 7:
		table_cpu_access(first, rnd(2));
		return true;
	case 8:
	case 9:
		return table_map_raced(first, rnd(20) ? 0 : rnd(4), 1 + rnd(8) % 3, rnd(2),
				       1 + rnd(3), rnd(2));
	default:
		return table_map(first, rnd(20) ? 0 : rnd(4), 1 + rnd(8) % 3, rnd(2), rnd(5));
	}
}

static void run_random(const struct ost_pte_format *format, int steps)
{
	table_setup(format);
	with_mmio = format->mmio;
	for (int step = 0; step < steps; step++) {
		CHECK(random_step());
		if (step % 400 == 0)
			CHECK(table_check());
	}
	CHECK(table_check());
	CHECK(table_zap(0, WINDOW_PAGES, true));
	CHECK(table_check());
	CHECK(table_teardown());
}

static void test_npt(void)
{
	srandom(1);
	run_random(&format_npt, 8000);
}

static void test_npt5(void)
{
	srandom(2);
	run_random(&format_npt5, 5000);
}

static void test_ept(void)
{
	srandom(3);
	run_random(&format_ept, 5000);
}

static void test_ept_plain(void)
{
	srandom(4);
	run_random(&format_ept_plain, 5000);
}

/* The end of the VM with everything mapped: the tables go without being zapped first. */
static void test_free_mapped(void)
{
	table_setup(&format_npt);
	for (u64 page = 0; page < WINDOW_PAGES; page += 0x333)
		CHECK(table_map(page, 0, 1, true, 4));
	CHECK(table_teardown());
}

/* An entry for MMIO is nothing that is mapped, gives way to what is, and is forgotten without a flush. */
static void test_mmio(void)
{
	table_setup(&format_ept);
	CHECK(table_map_mmio(5, 0));
	CHECK(table_map_mmio(5, 4));
	CHECK(table_check());
	CHECK(table_allows(5, false) && table_any(0, 512) && table_age(0, 512, true));
	CHECK(table_protect(0, 512, ~0U));
	CHECK(table_check());
	CHECK(table_zap(5, 6, false));
	CHECK(table_check());
	CHECK(table_map_mmio(6, 4));
	CHECK(table_map(6, 0, 1, true, 4));
	CHECK(table_map_mmio(6, 4));
	CHECK(table_check());
	/* Among small pages, and where a large one is. */
	CHECK(table_map_mmio(7, 4));
	CHECK(table_map(1024, 0, 2, true, 4));
	CHECK(table_map_mmio(1030, 4));
	CHECK(table_check());
	/* A table that has nothing else goes with its last page. */
	CHECK(table_zap(6, 7, true));
	CHECK(table_check());
	CHECK(table_zap(0, WINDOW_PAGES, true));
	CHECK(table_teardown());
}

/* Beyond what four levels reach nothing is mapped, and passes end. */
static void test_beyond_end(void)
{
	struct ost_table table = { .format = &format_npt, .root = calloc(512, sizeof(u64)) };
	gfn_t gfn = ost_table_end(&table) - 1;

	CHECK(!ost_table_protect(&table, &gfn, ost_table_end(&table) + 5000, ~0U));
	CHECK_EQ(gfn, ost_table_end(&table) + 5000);
	gfn = ost_table_end(&table) + 100;
	CHECK(!ost_table_protect(&table, &gfn, ost_table_end(&table) + 5000, ~0U));
	CHECK_EQ(gfn, ost_table_end(&table) + 5000);
	free(table.root);
}

/*
 * Faults of several vCPUs on the same pages, and the host's look at what they use, at the same
 * time.
 */

#define NR_THREADS 4
#define PARALLEL_GFNS 0x1400ULL

static struct ost_table shared;
static long shared_pages;

static u64 *shared_alloc(void)
{
	u64 *page = aligned_alloc(4096, 4096);

	memset(page, 0, 4096);
	__atomic_fetch_add(&shared_pages, 1, __ATOMIC_RELAXED);
	return page;
}

static void shared_free(void *ctx, u64 *page, int level)
{
	free(page);
	__atomic_fetch_sub(&shared_pages, 1, __ATOMIC_RELAXED);
}

static void *fault_thread(void *arg)
{
	struct ost_table_cache cache = {};
	unsigned int seed = (unsigned long)arg;
	bool flush = false;

	for (int i = 0; i < 20000; i++) {
		gfn_t gfn = rand_r(&seed) % PARALLEL_GFNS;
		/*
		 * Large pages in the lower half, and among small ones, which split them by writing.
		 */
		int level = gfn < PARALLEL_GFNS / 2 ? 1 + rand_r(&seed) % 2 : 1;

		while (cache.nr < 4)
			cache.pages[cache.nr++] = shared_alloc();
		if (i % 16 == 0)
			ost_table_age(&shared, gfn, gfn + 600, true);
		else if (ost_table_map(&shared, &cache, gfn, gfn + 0x100000, level,
				       rand_r(&seed) % 2, &flush))
			return "no memory";
		else if (!ost_table_allows(&shared, gfn, false))
			return "not mapped afterwards";
	}
	while (cache.nr)
		shared_free(NULL, cache.pages[--cache.nr], 1);
	return flush ? "a flush, though each page has one place" : NULL;
}

static void check_shared(u64 *entries, int level, gfn_t gfn)
{
	for (int i = 0; i < 512; i++, gfn += ost_level_pages(level)) {
		u64 entry = entries[i];

		if (!(entry & shared.format->present))
			continue;
		if (level > 1 && !(entry & shared.format->leaf))
			check_shared((u64 *)(entry & shared.format->addr_mask), level - 1, gfn);
		else
			CHECK_EQ((entry & shared.format->addr_mask) >> 12, gfn + 0x100000);
	}
}

static void test_parallel(void)
{
	for (int round = 0; round < 5; round++) {
		pthread_t threads[NR_THREADS];

		shared.format = &format_npt;
		shared.root = shared_alloc();
		for (unsigned long i = 0; i < NR_THREADS; i++)
			pthread_create(&threads[i], NULL, fault_thread,
				       (void *)(round * 100 + i + 1));
		for (int i = 0; i < NR_THREADS; i++) {
			void *why;

			pthread_join(threads[i], &why);
			CHECK_MSG(!why, "%s", (char *)why);
		}
		check_shared(shared.root, 4, 0);
		ost_table_free(shared.format, shared.root, 4, shared_free, NULL);
		CHECK_EQ(shared_pages, 0);
	}
}

static u64 *entry_at(const struct ost_table *table, gfn_t gfn, int level)
{
	u64 *entries = table->root;

	for (int at = 4; at > level; at--)
		entries = (u64 *)(entries[gfn >> (9 * (at - 1)) & 511] & table->format->addr_mask);
	return &entries[gfn >> (9 * (level - 1)) & 511];
}

static bool protect_all(struct ost_table *table)
{
	gfn_t gfn = 0;

	return ost_table_protect(table, &gfn, 4096, ~0U);
}

/* Where the CPU notes writes, small pages stay writable and large ones do not. */
static void test_logged_writes(void)
{
	struct ost_pte_format format = format_ept;
	struct ost_table table = { .format = &format, .root = shared_alloc() };
	struct ost_table_cache cache = {};
	bool flush = false;

	format.logs_writes = true;
	while (cache.nr < 4)
		cache.pages[cache.nr++] = shared_alloc();
	CHECK_EQ(ost_table_map(&table, &cache, 5, 5, 1, true, &flush), 0);
	CHECK_EQ(ost_table_map(&table, &cache, 6, 6, 1, false, &flush), 0);
	CHECK_EQ(ost_table_map(&table, &cache, 1024, 1024, 2, true, &flush), 0);
	CHECK(protect_all(&table));
	CHECK(ost_table_allows(&table, 5, true));
	CHECK(!(*entry_at(&table, 5, 1) & format.dirty));
	CHECK(!ost_table_allows(&table, 6, true));
	CHECK(!ost_table_allows(&table, 1024, true));
	CHECK(ost_table_allows(&table, 1024, false));
	/* All is armed: nothing to do, until the CPU marks one. */
	CHECK(!protect_all(&table));
	*entry_at(&table, 5, 1) |= format.dirty;
	CHECK(protect_all(&table));
	CHECK(!protect_all(&table));
	/* A fault marks it as well. */
	CHECK_EQ(ost_table_map(&table, &cache, 5, 5, 1, true, &flush), 0);
	CHECK(*entry_at(&table, 5, 1) & format.dirty);
	CHECK(!flush);
	while (cache.nr)
		shared_free(NULL, cache.pages[--cache.nr], 1);
	ost_table_free(&format, table.root, 4, shared_free, NULL);
	CHECK_EQ(shared_pages, 0);
}

/* What is uncached, what the guest may make so, what is encrypted; and that splitting changes none of it. */
static void test_memory_types(void)
{
	struct ost_pte_format format = format_ept;
	struct ost_table table = { .format = &format, .root = shared_alloc() };
	struct ost_table_cache cache = {};
	const u64 types = format.memtype_wb | format.memtype_ignore_guest | 1ULL << 51;
	bool flush = false;

	format.encrypted = 1ULL << 51;
	format.addr_mask &= ~format.encrypted;
	while (cache.nr < 5)
		cache.pages[cache.nr++] = shared_alloc();
	CHECK_EQ(ost_table_map(&table, &cache, 5, 5, 1, OST_MAP_WRITABLE, &flush), 0);
	CHECK_EQ(*entry_at(&table, 5, 1) & types, types);
	CHECK(*entry_at(&table, 5, 2) & format.encrypted);
	CHECK_EQ(ost_table_map(&table, &cache, 6, 6, 1, OST_MAP_WRITABLE | OST_MAP_DEVICE, &flush), 0);
	CHECK_EQ(*entry_at(&table, 6, 1) & types, 0);
	CHECK(ost_table_allows(&table, 6, true));
	CHECK_EQ(ost_table_map(&table, &cache, 1024, 1024, 2, OST_MAP_GUEST_TYPES, &flush), 0);
	CHECK_EQ(*entry_at(&table, 1024, 2) & types, types & ~format.memtype_ignore_guest);
	CHECK_EQ(ost_table_map(&table, &cache, 1024, 9, 1, OST_MAP_WRITABLE, &flush), 0);
	CHECK(flush);
	CHECK_EQ(*entry_at(&table, 1024, 1) & types, types);
	CHECK_EQ(*entry_at(&table, 1025, 1) & types, types & ~format.memtype_ignore_guest);
	/* The same page by other types replaces what was there. */
	flush = false;
	CHECK_EQ(ost_table_map(&table, &cache, 5, 5, 1, OST_MAP_WRITABLE | OST_MAP_GUEST_TYPES, &flush), 0);
	CHECK(flush);
	CHECK_EQ(*entry_at(&table, 5, 1) & types, types & ~format.memtype_ignore_guest);
	while (cache.nr)
		shared_free(NULL, cache.pages[--cache.nr], 1);
	ost_table_free(&format, table.root, 4, shared_free, NULL);
	CHECK_EQ(shared_pages, 0);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("NPT, 4 levels", test_npt);
	tap_run("NPT, 5 levels", test_npt5);
	tap_run("EPT with accessed and dirty flags", test_ept);
	tap_run("EPT without", test_ept_plain);
	tap_run("freed while mapped", test_free_mapped);
	tap_run("MMIO", test_mmio);
	tap_run("beyond the end", test_beyond_end);
	tap_run("faults in parallel", test_parallel);
	tap_run("writes that the CPU notes", test_logged_writes);
	tap_run("memory types", test_memory_types);
	return tap_done();
}
