// SPDX-License-Identifier: GPL-2.0-only
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/string.h>
#include "table.h"

static unsigned int table_index(gfn_t gfn, int level)
{
	return (gfn >> (9 * (level - 1))) % OST_TABLE_ENTRIES;
}

static bool is_present(const struct ost_pte_format *format, u64 entry)
{
	return entry & format->present;
}

static bool is_leaf(const struct ost_pte_format *format, u64 entry, int level)
{
	return level == 1 || (entry & format->leaf);
}

static u64 *child_table(const struct ost_pte_format *format, u64 entry)
{
	return phys_to_virt(entry & format->addr_mask);
}

/* A table grants everything; leaves decide. */
static u64 table_entry(const struct ost_pte_format *format, u64 *child)
{
	return virt_to_phys(child) | format->present | format->encrypted | format->writable | format->exec |
	       format->user | format->accessed;
}

/*
 * Accessed is set from the start, and dirty with write permission: the page is being accessed, and
 * the CPU need not come back for them. Guests may execute everything but large pages where the format
 * says so.
 */
static __always_inline u64 leaf_entry(const struct ost_pte_format *format, u64 pfn, int level, u32 how)
{
	u64 entry = (pfn & ~(ost_level_pages(level) - 1)) << 12;

	entry |= format->present | format->user | format->accessed | format->encrypted | format->memtype_wb |
		 format->memtype_ignore_guest;
	if (unlikely(how & (OST_MAP_DEVICE | OST_MAP_GUEST_TYPES)))
		entry &= ~format->memtype_ignore_guest;
	if (unlikely(how & OST_MAP_DEVICE))
		entry &= ~(format->encrypted | format->memtype_wb);
	if (level == 1 || !format->large_no_exec)
		entry |= format->exec;
	if (how & OST_MAP_WRITABLE)
		entry |= format->writable | format->dirty;
	if (level > 1)
		entry |= format->leaf;
	return entry;
}

bool ost_table_allows(const struct ost_table *table, gfn_t gfn, bool write)
{
	const struct ost_pte_format *format = table->format;
	u64 *entries = table->root;
	int level;

	for (level = format->root_levels;; level--) {
		u64 entry = READ_ONCE(entries[table_index(gfn, level)]);

		if (!is_present(format, entry))
			return false;
		if (is_leaf(format, entry, level))
			return !write || (entry & format->writable);
		entries = child_table(format, entry);
	}
}

bool ost_table_unprotect(struct ost_table *table, gfn_t gfn)
{
	const struct ost_pte_format *format = table->format;
	u64 *entries = table->root;
	u64 old;
	int level;

	for (level = format->root_levels; level > 1; level--) {
		old = READ_ONCE(entries[table_index(gfn, level)]);
		if (!is_present(format, old) || is_leaf(format, old, level))
			return false;
		entries = child_table(format, old);
	}
	old = READ_ONCE(entries[table_index(gfn, 1)]);
	/* Entries get the dirty bit with the permission to write, and lose it with the page alone. */
	if (!is_present(format, old) || (old & format->writable) || !(old & format->dirty))
		return false;
	return try_cmpxchg(&entries[table_index(gfn, 1)], &old, old | format->writable);
}

static u64 *cache_take(struct ost_table_cache *cache)
{
	return cache->nr ? cache->pages[--cache->nr] : NULL;
}

/* A new table below *entry, unless *old is no longer what it holds; then *old is what it does. */
static int link_table(const struct ost_pte_format *format, struct ost_table_cache *cache,
		      u64 *entry, u64 *old)
{
	u64 *child = cache_take(cache);
	u64 new;

	if (!child)
		return -ENOMEM;
	new = table_entry(format, child);
	if (try_cmpxchg(entry, old, new))
		*old = new;
	else
		cache->pages[cache->nr++] = child;
	return 0;
}

/*
 * Replaces a large page by a table of smaller ones that map the same with the same rights. No flush
 * is due: what a TLB holds stays true until one of them changes, and that has its own flush.
 */
static int split_leaf(const struct ost_pte_format *format, struct ost_table_cache *cache,
		      u64 *entry, u64 *old, int level)
{
	u64 *child = cache_take(cache);
	u64 pfn = (*old & format->addr_mask) >> 12;
	u64 drop = format->accessed | format->dirty | format->memtype_ignore_guest;
	u64 kept = *old & drop;
	u64 new;
	int i;

	if (!child)
		return -ENOMEM;
	for (i = 0; i < OST_TABLE_ENTRIES; i++)
		child[i] = (leaf_entry(format, pfn + i * ost_level_pages(level - 1), level - 1,
				       *old & format->writable ? OST_MAP_WRITABLE : 0) & ~drop) | kept;
	new = table_entry(format, child);
	/* A full barrier: the table's entries are there before the CPU finds it. */
	if (try_cmpxchg(entry, old, new)) {
		*old = new;
		return 0;
	}
	memset(child, 0, OST_TABLE_ENTRIES * sizeof(*child));
	cache->pages[cache->nr++] = child;
	return 0;
}

/* Puts the leaf into *entry, unless a table stands there (false; then one level down). */
static bool set_leaf(const struct ost_pte_format *format, u64 *entry, u64 pfn, int level,
		     u32 how, bool *flush)
{
	const u64 gains = format->writable | format->accessed | format->dirty;
	u64 leaf = leaf_entry(format, pfn, level, how);
	u64 old = READ_ONCE(*entry);
	u64 new;
	bool replaces;

	do {
		new = leaf;
		replaces = false;
		if (is_present(format, old)) {
			if (!is_leaf(format, old, level))
				return false;
			replaces = (old ^ leaf) & ~gains;
			if (!replaces)
				new |= old;
			if (new == old)
				return true;
		}
	} while (!try_cmpxchg(entry, &old, new));

	if (replaces)
		*flush = true;
	return true;
}

int ost_table_map(struct ost_table *table, struct ost_table_cache *cache, gfn_t gfn, u64 pfn,
		  int level, u32 how, bool *flush)
{
	const struct ost_pte_format *format = table->format;
	u64 *entries = table->root;
	int at = format->root_levels;
	u32 shift = 9 * (at - 1);

	/* Mostly all tables are there. */
	for (; at > level; at--, shift -= 9) {
		u64 old = READ_ONCE(entries[(gfn >> shift) % OST_TABLE_ENTRIES]);

		if ((old & (format->present | format->leaf)) != format->present)
			break;
		entries = child_table(format, old);
	}
	for (; at > 1; at--) {
		u64 *entry = &entries[table_index(gfn, at)];
		u64 old;

		if (at <= level && set_leaf(format, entry, pfn, at, how, flush))
			return 0;
		old = READ_ONCE(*entry);
		while (!is_present(format, old) || is_leaf(format, old, at)) {
			u64 offset = gfn & (ost_level_pages(at) - 1);
			int err;

			if (!is_present(format, old)) {
				err = link_table(format, cache, entry, &old);
			} else if (((old & format->addr_mask) >> 12) + offset == pfn &&
				   (!(how & OST_MAP_WRITABLE) || (old & format->writable)) &&
				   !format->large_no_exec) {
				return 0;
			} else {
				err = split_leaf(format, cache, entry, &old, at);
			}
			if (err)
				return err;
		}
		entries = child_table(format, old);
	}
	set_leaf(format, &entries[table_index(gfn, 1)], pfn, 1, how, flush);
	return 0;
}

int ost_table_map_mmio(struct ost_table *table, struct ost_table_cache *cache, gfn_t gfn)
{
	const struct ost_pte_format *format = table->format;
	u64 *entries = table->root;
	u64 old = 0;
	int at;

	for (at = format->root_levels; at > 1; at--) {
		u64 *entry = &entries[table_index(gfn, at)];

		old = READ_ONCE(*entry);
		while (!is_present(format, old)) {
			int err = link_table(format, cache, entry, &old);

			if (err)
				return err;
		}
		if (is_leaf(format, old, at))
			return 0;
		entries = child_table(format, old);
	}
	old = 0;
	try_cmpxchg(&entries[table_index(gfn, 1)], &old, format->mmio);
	return 0;
}

/* A pass over the entries of a range. */
struct table_pass {
	const struct ost_pte_format *format;
	gfn_t end;
	u32 budget;
	bool hit;		/* leaf() said yes, or a table was unlinked */
	bool (*leaf)(const struct table_pass *pass, u64 *entry, u64 old);
	/* Zapping alone: */
	bool unlink, prune;
	ost_table_free_fn free;
	void *ctx;
};

static bool is_empty(const struct ost_pte_format *format, const u64 *table)
{
	int i;

	for (i = 0; i < OST_TABLE_ENTRIES; i++)
		if (is_present(format, table[i]))
			return false;
	return true;
}

static void unlink_table(struct table_pass *pass, u64 *entry, u64 *child, int level)
{
	xchg(entry, 0);
	pass->hit = true;
	pass->free(pass->ctx, child, level);
}

/*
 * From gfn on in this table, to its end at most. Where it stopped. Recurses OST_TABLE_MAX_LEVELS
 * deep at most.
 */
static gfn_t pass_table(struct table_pass *pass, u64 *entries, int level, gfn_t gfn)
{
	const struct ost_pte_format *format = pass->format;
	u64 span = ost_level_pages(level);

	while (gfn < pass->end && pass->budget) {
		u64 *entry = &entries[table_index(gfn, level)];
		gfn_t next = (gfn | (span - 1)) + 1;
		u64 old = READ_ONCE(*entry);
		u64 *child;

		pass->budget--;
		if (!is_present(format, old)) {
			/* For MMIO, which no TLB has. */
			if (unlikely(old) && pass->unlink)
				WRITE_ONCE(*entry, 0);
			gfn = next;
		} else if (is_leaf(format, old, level)) {
			if (pass->leaf(pass, entry, old))
				pass->hit = true;
			gfn = next;
		} else if (pass->unlink && !(gfn & (span - 1)) && next <= pass->end) {
			unlink_table(pass, entry, child_table(format, old), level - 1);
			gfn = next;
		} else {
			child = child_table(format, old);
			gfn = pass_table(pass, child, level - 1, gfn);
			if (pass->prune && is_empty(format, child))
				unlink_table(pass, entry, child, level - 1);
		}
		if (!table_index(gfn, level) && gfn == next)
			break;
	}
	return gfn;
}

static bool pass_range(struct table_pass *pass, const struct ost_table *table, gfn_t *gfn)
{
	gfn_t end = pass->end;

	pass->format = table->format;
	pass->end = min_t(u64, end, ost_table_end(table));
	if (*gfn < pass->end)
		*gfn = pass_table(pass, table->root, table->format->root_levels, *gfn);
	/* Nothing can be mapped beyond the table's end, and large pages end behind the range's. */
	if (*gfn >= pass->end)
		*gfn = end;
	return pass->hit;
}

static bool zap_leaf(const struct table_pass *pass, u64 *entry, u64 old)
{
	xchg(entry, 0);
	return true;
}

bool ost_table_zap(struct ost_table *table, gfn_t gfn, gfn_t end, bool prune,
		   ost_table_free_fn free, void *ctx)
{
	struct table_pass pass = {
		.end = end, .budget = U32_MAX, .leaf = zap_leaf,
		.unlink = true, .prune = prune, .free = free, .ctx = ctx,
	};

	return pass_range(&pass, table, &gfn);
}

static bool protect_leaf(const struct table_pass *pass, u64 *entry, u64 old)
{
	const struct ost_pte_format *format = pass->format;
	u64 clear = format->writable;

	/* A large page has to fault, to be split: the CPU would note one of its small ones, or all. */
	if (format->logs_writes && (old & format->writable) && !(old & format->leaf))
		clear = format->dirty;
	do {
		if (!(old & clear))
			return false;
	} while (!try_cmpxchg(entry, &old, old & ~clear));
	return true;
}

bool ost_table_protect(struct ost_table *table, gfn_t *gfn, gfn_t end, u32 budget)
{
	struct table_pass pass = { .end = end, .budget = budget, .leaf = protect_leaf };

	return pass_range(&pass, table, gfn);
}

static bool test_leaf(const struct table_pass *pass, u64 *entry, u64 old)
{
	return old & pass->format->accessed;
}

/* In parallel with ost_table_map(), which may replace the entry: then it is young anyway. */
static bool clear_leaf(const struct table_pass *pass, u64 *entry, u64 old)
{
	if (!(old & pass->format->accessed))
		return false;
	try_cmpxchg(entry, &old, old & ~pass->format->accessed);
	return true;
}

bool ost_table_age(struct ost_table *table, gfn_t gfn, gfn_t end, bool clear)
{
	struct table_pass pass = {
		.end = end, .budget = U32_MAX, .leaf = clear ? clear_leaf : test_leaf,
	};

	return pass_range(&pass, table, &gfn);
}

static bool any_leaf(const struct table_pass *pass, u64 *entry, u64 old)
{
	return true;
}

bool ost_table_any(struct ost_table *table, gfn_t gfn, gfn_t end)
{
	struct table_pass pass = { .end = end, .budget = U32_MAX, .leaf = any_leaf };

	return pass_range(&pass, table, &gfn);
}

void ost_table_free(const struct ost_pte_format *format, u64 *table, int level,
		    ost_table_free_fn free, void *ctx)
{
	int i;

	for (i = 0; level > 1 && i < OST_TABLE_ENTRIES; i++)
		if (is_present(format, table[i]) && !is_leaf(format, table[i], level))
			ost_table_free(format, child_table(format, table[i]), level - 1, free, ctx);
	free(ctx, table, level);
}
