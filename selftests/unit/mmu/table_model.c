// SPDX-License-Identifier: GPL-2.0-only
#include "table_model.h"
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>

#define ADDR (((1ULL << 52) - 1) & ~0xfffULL)

/* APM vol. 2, 15.25 and 5.3 */
const struct ost_pte_format format_npt = {
	.present = 1 << 0, .writable = 1 << 1, .user = 1 << 2, .accessed = 1 << 5, .dirty = 1 << 6,
	.leaf = 1 << 7, .no_exec = 1ULL << 63, .addr_mask = ADDR, .root_levels = 4, .page_1g = true,
};
const struct ost_pte_format format_npt5 = {
	.present = 1 << 0, .writable = 1 << 1, .user = 1 << 2, .accessed = 1 << 5, .dirty = 1 << 6,
	.leaf = 1 << 7, .no_exec = 1ULL << 63, .addr_mask = ADDR, .root_levels = 5, .page_1g = true,
};
/* SDM vol. 3C, 29.3.2; write-back memory, with and without accessed and dirty flags */
const struct ost_pte_format format_ept = {
	.present = 1 << 0, .writable = 1 << 1, .exec = 1 << 2, .memtype_wb = 6 << 3,
	.memtype_ignore_guest = 1 << 6, .leaf = 1 << 7, .accessed = 1 << 8, .dirty = 1 << 9,
	.addr_mask = ADDR, .root_levels = 4, .page_1g = true, .mmio = ADDR | 1 << 1 | 1 << 2,
};
const struct ost_pte_format format_ept_plain = {
	.present = 1 << 0, .writable = 1 << 1, .exec = 1 << 2, .memtype_wb = 6 << 3,
	.memtype_ignore_guest = 1 << 6, .leaf = 1 << 7,
	.addr_mask = ADDR, .root_levels = 4, .page_1g = true, .mmio = ADDR | 1 << 1 | 1 << 2,
};

/* In 8 bytes: a page of 1 GiB is 262144 of these. */
struct model_page {
	u64 pfn : 48;
	u64 level : 4;		/* 0 when it is not mapped */
	u64 writable : 1, accessed : 1, dirty : 1;
	u64 mmio : 1;		/* then level is 0 */
};

static struct model_page pages[WINDOW_PAGES];
/* has_table[l][i]: there is a table of level l for the i-th block of its size. */
static bool has_table[OST_TABLE_MAX_LEVELS + 1][WINDOW_PAGES / 512 + 1];
/* Blocks of 512 pages where something was mapped since the table was set up; the others are skipped. */
static bool touched[WINDOW_PAGES / 512];
static struct ost_table table;
static long live_pages;

#define SAY_FALSE(...)                                                                             \
	({                                                                                         \
		printf("# %s: ", __func__);                                                        \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		fflush(stdout);                                                                    \
		false;                                                                             \
	})

static u64 *page_alloc(void)
{
	u64 *page = aligned_alloc(4096, 4096);

	memset(page, 0, 4096);
	live_pages++;
	return page;
}

static void page_free(void *ctx, u64 *page, int level)
{
	/* Whoever still reads it finds nonsense, and ASan. */
	memset(page, 0xa5, 4096);
	free(page);
	live_pages--;
}

/* Unlinked tables are freed only after the operation, as in the kernel. */
static struct {
	u64 *table;
	int level;
} freed[1 << 15];
static u32 nr_freed;

static void collect(void *ctx, u64 *page, int level)
{
	if (nr_freed == ARRAY_SIZE(freed))
		abort();
	freed[nr_freed].table = page;
	freed[nr_freed++].level = level;
}

static void free_collected(void)
{
	for (u32 i = 0; i < nr_freed; i++)
		ost_table_free(table.format, freed[i].table, freed[i].level, page_free, NULL);
	nr_freed = 0;
}

void table_setup(const struct ost_pte_format *format)
{
	for (u64 i = 0; i < ARRAY_SIZE(touched); i++) {
		if (touched[i])
			memset(&pages[i * 512], 0, 512 * sizeof(pages[0]));
		touched[i] = false;
	}
	memset(has_table, 0, sizeof(has_table));
	table.format = format;
	table.root = page_alloc();
}

bool table_teardown(void)
{
	ost_table_free(table.format, table.root, table.format->root_levels, page_free, NULL);
	if (live_pages)
		return SAY_FALSE("%ld pages are left", live_pages);
	return true;
}

/* Blocks of the window that the table of `level` for this page covers, counted in such blocks. */
static u64 block(u64 page, int level)
{
	return ((WINDOW_BASE + page) >> (9 * level)) - (WINDOW_BASE >> (9 * level));
}

static bool *table_below(u64 page, int level)
{
	return &has_table[level][block(page, level)];
}

static u64 span(int level)
{
	return 1ULL << (9 * (level - 1));
}

/* Pages [*first, *end) of the block of `level` around a page. */
static void block_pages(u64 page, int level, u64 *first, u64 *end)
{
	*first = page & ~(span(level) - 1);
	*end = *first + span(level);
}

/* Congruent to the page in the lower 18 bits, so that pages of every size fit. */
static u64 pfn_of(u64 page, int version)
{
	return page + ((u64)(version + 1) << 24);
}

static void model_set(u64 page, u64 pfn, int level, bool writable, bool *flush)
{
	struct model_page old = pages[page];
	bool same = old.level == level && old.pfn == pfn;
	u64 first, end;

	if (old.level && !same)
		*flush = true;
	block_pages(page, level, &first, &end);
	for (u64 i = first; i < end; i++)
		pages[i] = (struct model_page){
			.pfn = pfn - page + i,
			.level = level,
			.writable = writable || (same && old.writable),
			.accessed = true,
			.dirty = writable || (same && old.dirty),
		};
	memset(&touched[first / 512], true, (end - first + 511) / 512);
}

static void model_split(u64 page, int to_level)
{
	int level = pages[page].level;

	for (; level > to_level; level--) {
		u64 first, end;

		*table_below(page, level - 1) = true;
		block_pages(page, level, &first, &end);
		for (u64 i = first; i < end; i++)
			pages[i].level = level - 1;
	}
}

static void model_map(u64 page, u64 pfn, int level, bool writable, bool *flush)
{
	while (level > 1 && *table_below(page, level - 1))
		level--;
	if (pages[page].level > level) {
		if (pages[page].pfn == pfn && (pages[page].writable || !writable))
			return;
		model_split(page, level);
	}
	for (int l = level; l < table.format->root_levels; l++)
		*table_below(page, l) = true;
	model_set(page, pfn, level, writable, flush);
}

/* What the other vCPU does in table_map_raced(). */
static struct {
	bool armed;
	u64 page, pfn;
	int level;
	bool writable, flush;
} race;

void ost_unit_race(void)
{
	struct ost_table_cache cache = {};

	if (!race.armed)
		return;
	race.armed = false;
	while (cache.nr < 4)
		cache.pages[cache.nr++] = page_alloc();
	if (ost_table_map(&table, &cache, WINDOW_BASE + race.page, race.pfn, race.level,
			  race.writable, &race.flush))
		abort();
	while (cache.nr)
		page_free(NULL, cache.pages[--cache.nr], 1);
}

bool table_map_raced(u64 page, int version, int level, bool writable, int other_level,
		     bool other_writable)
{
	race.armed = true;
	race.page = page;
	race.pfn = pfn_of(page, version);
	race.level = other_level;
	race.writable = other_writable;
	race.flush = false;
	return table_map(page, version, level, writable, 4);
}

bool table_map(u64 page, int version, int level, bool writable, u32 nr)
{
	struct ost_table_cache cache = {};
	bool flush = false, want_flush = false;
	u64 pfn = pfn_of(page, version);
	bool raced = race.armed;
	int tries = 0;
	int err;

	while (cache.nr < nr)
		cache.pages[cache.nr++] = page_alloc();
	while ((err = ost_table_map(&table, &cache, WINDOW_BASE + page, pfn, level, writable,
				    &flush)) == -ENOMEM) {
		if (cache.nr)
			return SAY_FALSE("-ENOMEM with %u pages in the cache", cache.nr);
		if (++tries > 4)
			return SAY_FALSE("-ENOMEM after four more pages");
		cache.pages[cache.nr++] = page_alloc();
	}
	while (cache.nr) {
		u64 *left = cache.pages[--cache.nr];

		for (int i = 0; i < 512; i++)
			if (left[i])
				return SAY_FALSE("a page came back to the cache with contents");
		page_free(NULL, left, 1);
	}
	if (err)
		return SAY_FALSE("error %d", err);
	/* As if the other had come first. It does not come when nothing was to change. */
	raced = raced && !race.armed;
	race.armed = false;
	if (raced)
		model_map(page, pfn, race.level, race.writable, &want_flush);
	model_map(page, pfn, level, writable, &want_flush);
	if ((flush || (raced && race.flush)) != want_flush)
		return SAY_FALSE("page %#llx level %d: flush is %d", page, level, flush);
	return true;
}

bool table_map_mmio(u64 page, u32 nr)
{
	struct ost_table_cache cache = {};
	int tries = 0;

	while (cache.nr < nr)
		cache.pages[cache.nr++] = page_alloc();
	while (ost_table_map_mmio(&table, &cache, WINDOW_BASE + page) == -ENOMEM) {
		if (cache.nr || ++tries > 4)
			return SAY_FALSE("-ENOMEM with %u pages in the cache", cache.nr);
		cache.pages[cache.nr++] = page_alloc();
	}
	while (cache.nr)
		page_free(NULL, cache.pages[--cache.nr], 1);
	if (pages[page].level)
		return true;
	for (int l = 1; l < table.format->root_levels; l++)
		*table_below(page, l) = true;
	pages[page].mmio = true;
	touched[page / 512] = true;
	return true;
}

static void model_forget_mmio(u64 first, u64 end)
{
	for (u64 i = first; i < end; i++) {
		if (!touched[i / 512])
			i |= 511;
		else
			pages[i].mmio = false;
	}
}

/*
 * Takes away the tables that the range covers wholly, or with prune those it touches and leaves
 * empty.
 */
static bool model_unlink(u64 first, u64 end, bool prune)
{
	bool any = false;

	for (int level = 1; level < table.format->root_levels; level++) {
		u64 size = 1ULL << (9 * level);
		u64 gfn = (WINDOW_BASE + first) & ~(size - 1);

		for (; gfn < WINDOW_BASE + end; gfn += size) {
			bool whole = gfn >= WINDOW_BASE + first && gfn + size <= WINDOW_BASE + end;
			u64 from = max(gfn, (u64)WINDOW_BASE) - WINDOW_BASE;
			u64 to = min(gfn + size, WINDOW_BASE + WINDOW_PAGES) - WINDOW_BASE;
			bool empty = true;

			if (!*table_below(from, level))
				continue;
			for (u64 i = from; i < to && empty && !whole;) {
				if (pages[i].level || (level > 1 && *table_below(i, level - 1)))
					empty = false;
				/* The window's start is not aligned to the largest blocks. */
				i = ALIGN(WINDOW_BASE + i + 1, span(level)) - WINDOW_BASE;
			}
			if (whole || (prune && empty)) {
				*table_below(from, level) = false;
				any = true;
				model_forget_mmio(from, to);
			}
		}
	}
	return any;
}

/* Calls back for every page of the range, widened by the large pages that reach into it. */
static bool for_each_reached(u64 first, u64 end, bool (*fn)(struct model_page *page))
{
	bool any = false;

	if (first >= end)
		return false;
	if (pages[first].level)
		first &= ~(span(pages[first].level) - 1);
	if (pages[end - 1].level)
		end = ALIGN(end, span(pages[end - 1].level));
	for (u64 i = first; i < end; i++) {
		if (!touched[i / 512])
			i |= 511;
		else if (pages[i].level)
			any |= fn(&pages[i]);
	}
	return any;
}

static bool model_clear(struct model_page *page)
{
	memset(page, 0, sizeof(*page));
	return true;
}

bool table_zap(u64 first, u64 end, bool prune)
{
	bool flush = ost_table_zap(&table, WINDOW_BASE + first, WINDOW_BASE + end, prune, collect,
				   NULL);
	bool want = for_each_reached(first, end, model_clear);

	model_forget_mmio(first, end);
	want |= model_unlink(first, end, prune);
	free_collected();
	if (flush != want)
		return SAY_FALSE("[%#llx, %#llx): flush is %d", first, end, flush);
	return true;
}

static bool model_protect(struct model_page *page)
{
	bool was = page->writable;

	page->writable = false;
	return was;
}

bool table_protect(u64 first, u64 end, u32 budget)
{
	gfn_t gfn = WINDOW_BASE + first;
	bool flush = false;

	while (gfn < WINDOW_BASE + end) {
		gfn_t before = gfn;

		flush |= ost_table_protect(&table, &gfn, WINDOW_BASE + end, budget);
		if (gfn == before && budget > 5)
			return SAY_FALSE("no progress at %#llx", gfn);
	}
	if (gfn > WINDOW_BASE + end && first < end)
		return SAY_FALSE("it went beyond the end");
	if (flush != for_each_reached(first, end, model_protect))
		return SAY_FALSE("[%#llx, %#llx): flush is %d", first, end, flush);
	return true;
}

static bool model_test(struct model_page *page)
{
	return page->accessed;
}

static bool model_age(struct model_page *page)
{
	bool was = page->accessed;

	page->accessed = false;
	return was;
}

bool table_age(u64 first, u64 end, bool clear)
{
	bool young = ost_table_age(&table, WINDOW_BASE + first, WINDOW_BASE + end, clear);
	bool want = for_each_reached(first, end, clear ? model_age : model_test);

	if (!table.format->accessed)
		want = false;
	if (young != want)
		return SAY_FALSE("[%#llx, %#llx): young is %d", first, end, young);
	return true;
}

static bool model_any(struct model_page *page)
{
	return true;
}

bool table_any(u64 first, u64 end)
{
	bool any = ost_table_any(&table, WINDOW_BASE + first, WINDOW_BASE + end);

	if (any != for_each_reached(first, end, model_any))
		return SAY_FALSE("[%#llx, %#llx): %d", first, end, any);
	return true;
}

bool table_allows(u64 page, bool write)
{
	bool allows = ost_table_allows(&table, WINDOW_BASE + page, write);

	if (allows != (pages[page].level && (pages[page].writable || !write)))
		return SAY_FALSE("page %#llx write %d: %d", page, write, allows);
	return true;
}

/* The CPU's own walk. The entry at which it ends, with its level. */
static u64 *cpu_walk_any(u64 page, int *level)
{
	const struct ost_pte_format *f = table.format;
	u64 *entries = table.root;

	for (*level = f->root_levels;; (*level)--) {
		u64 *entry = &entries[((WINDOW_BASE + page) >> (9 * (*level - 1))) & 511];

		if (!(*entry & f->present) || *level == 1 || (*entry & f->leaf))
			return entry;
		entries = (u64 *)(*entry & ADDR);
	}
}

/* That which maps the page, or NULL. */
static u64 *cpu_walk(u64 page, int *level)
{
	u64 *entry = cpu_walk_any(page, level);

	return *entry & table.format->present ? entry : NULL;
}

void table_cpu_access(u64 page, bool write)
{
	int level;
	u64 *entry = cpu_walk(page, &level);
	u64 first, end;

	if (!entry)
		return;
	write = write && pages[page].writable;
	*entry |= table.format->accessed | (write ? table.format->dirty : 0);
	block_pages(page, level, &first, &end);
	for (u64 i = first; i < end; i++) {
		pages[i].accessed = true;
		pages[i].dirty |= write;
	}
}

/* Every bit of a leaf, from what the format's manual wants. */
static u64 expected_leaf(const struct model_page *page, u64 pfn)
{
	const struct ost_pte_format *f = table.format;

	return (pfn & ~(span(page->level) - 1)) << 12 | f->present | f->exec | f->user |
	       f->memtype_wb | f->memtype_ignore_guest | (page->level > 1 ? f->leaf : 0) |
	       (page->writable ? f->writable : 0) | (page->accessed ? f->accessed : 0) |
	       (page->dirty ? f->dirty : 0);
}

/* Pages below this table, itself included, and that what lies outside of the window is empty. */
static long count_tables(u64 *entries, int level, gfn_t gfn)
{
	long n = 1;

	for (int i = 0; i < 512; i++, gfn += span(level)) {
		if (!(entries[i] & table.format->present))
			continue;
		if (gfn + span(level) <= WINDOW_BASE || gfn >= WINDOW_BASE + WINDOW_PAGES)
			return -1000000;
		if (level > 1 && !(entries[i] & table.format->leaf))
			n += count_tables((u64 *)(entries[i] & ADDR), level - 1, gfn);
	}
	return n;
}

bool table_check(void)
{
	long tables = 1, linked;
	u64 step;

	for (u64 i = 0; i < WINDOW_PAGES; i += step) {
		struct model_page *page = &pages[i];
		int level = 0;
		u64 *entry = cpu_walk(i, &level);

		/* Model and table agree on a large page's size, so one look at it does. */
		step = entry && page->level ? span(level) : 1;
		if (!touched[i / 512])
			step = 512;
		if (!entry != !page->level)
			return SAY_FALSE("page %#llx: mapped %d", i, !!entry);
		if (!entry && *cpu_walk_any(i, &level) != (page->mmio ? table.format->mmio : 0))
			return SAY_FALSE("page %#llx: mmio is %d", i, !page->mmio);
		if (entry && level != page->level)
			return SAY_FALSE("page %#llx: level %d", i, level);
		if (entry && *entry != expected_leaf(page, page->pfn))
			return SAY_FALSE("page %#llx: entry %#llx, not %#llx", i, *entry,
					 expected_leaf(page, page->pfn));
	}
	for (int level = 1; level < table.format->root_levels; level++)
		for (u64 i = 0; i <= block(WINDOW_PAGES - 1, level); i++)
			tables += has_table[level][i];
	linked = count_tables(table.root, table.format->root_levels, 0);
	if (linked != tables || live_pages != tables)
		return SAY_FALSE("%ld tables linked and %ld allocated, not %ld", linked, live_pages,
				 tables);
	return true;
}
