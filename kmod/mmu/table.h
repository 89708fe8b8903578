/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The nested page table (table.c; pure: unit tests and fuzzers build it too). It knows the format
 * of entries only by struct ost_pte_format, and of memory only that entries hold physical addresses
 * of further tables.
 *
 * Level 1 maps 4 KiB, 2 maps 2 MiB, 3 maps 1 GiB. The CPU sets accessed and dirty bits in the table
 * at any time, so entries are changed by atomic operations alone. ost_table_map() and
 * ost_table_age() may run in parallel with themselves and each other ("shared"); everything else
 * runs alone ("alone"). That is mmu->lock, held for reading and for writing.
 *
 * Tables that are unlinked go to the caller: the CPU may still walk them until a TLB flush.
 */
#ifndef OST_MMU_TABLE_H
#define OST_MMU_TABLE_H

#include <linux/types.h>
#include "../ost.h"

#define OST_TABLE_ENTRIES 512
#define OST_TABLE_MAX_LEVELS 5

/* Format of the nested page table's entries, given by the backend (one per format). */
struct ost_pte_format {
	u64 present;		/* set in every present entry (NPT: P and SME's C bit; EPT: R) */
	u64 writable;
	u64 exec;		/* set to allow (EPT: X) */
	u64 no_exec;		/* set to forbid (NPT: NX) */
	u64 user;		/* set in every present entry (NPT: U; EPT: 0) */
	u64 leaf;		/* large page (PS) at levels above 1 */
	u64 accessed, dirty;	/* 0 without A/D bits */
	u64 memtype_wb;		/* memory type of RAM (EPT: 6<<3; NPT: 0, guest PAT decides) */
	u64 memtype_ignore_guest; /* EPT: IPAT */
	u64 encrypted;		/* set for RAM and tables, not for devices' memory (NPT: SME's C bit) */
	/*
	 * A 4 KiB entry, not `present` and known to be no memory, with which every access exits in a way of
	 * its own; 0 if there is none. Never in a TLB, and its address leads nowhere.
	 */
	u64 mmio;
	u64 addr_mask;		/* bits of an entry that hold the address */
	u8 root_levels;
	bool page_1g;
	/*
	 * Large pages do not allow execution: a guest that executes there gets small ones. For CPUs that die
	 * of two instruction TLB entries of different size for one page (iTLB multihit).
	 */
	bool large_no_exec;
	/*
	 * The CPU notes pages whose dirty bit it sets (PML), and the backend hands them over
	 * (drain_dirty): pages of 4 KiB need not be write-protected for their writes to be seen.
	 */
	bool logs_writes;
};

struct ost_table {
	const struct ost_pte_format *format;
	u64 *root;
};

/*
 * Zeroed pages that ost_table_map() takes new tables from; the caller fills it and frees what is
 * left.
 */
struct ost_table_cache {
	u32 nr;
	u64 *pages[OST_TABLE_MAX_LEVELS];
};

/* Takes an unlinked table of this level, which may hold further ones below it. */
typedef void (*ost_table_free_fn)(void *ctx, u64 *table, int level);

static inline u64 ost_level_pages(int level)
{
	return 1ULL << (9 * (level - 1));
}

/* The first gfn that the table can't map. */
static inline gfn_t ost_table_end(const struct ost_table *table)
{
	return 1ULL << (9 * table->format->root_levels);
}

/* Does the table allow the access as it stands? Shared. */
bool ost_table_allows(const struct ost_table *table, gfn_t gfn, bool write);

/* How ost_table_map() maps. */
#define OST_MAP_WRITABLE 1u
#define OST_MAP_GUEST_TYPES 2u	/* RAM whose memory types the guest chooses */
#define OST_MAP_DEVICE 4u	/* memory of a device: not cached, or as the guest has it; by 4 KiB only */

/*
 * Maps gfn to pfn, both exact, by an entry of `level` (which holds the whole aligned block around
 * them). Where smaller pages are mapped already, only the 4 KiB page is changed or the largest
 * block that fits; where a larger one is, it is split, or left alone if it allows the access. An
 * entry that maps the page already only gains permissions. *flush is set when one that mapped
 * something else was replaced. 0, or -ENOMEM when the cache ran out: with more in it the call can
 * be made again. Shared.
 */
int ost_table_map(struct ost_table *table, struct ost_table_cache *cache, gfn_t gfn, u64 pfn,
		  int level, u32 how, bool *flush);

/*
 * Gives write permission back to the 4 KiB page at gfn from which ost_table_protect() has taken it; what it has
 * in the host was writable when it was mapped, and is as long as the entry is there. False, and nothing done,
 * when it can't be told from the entry that it was so. Shared.
 */
bool ost_table_unprotect(struct ost_table *table, gfn_t gfn);

/*
 * Puts format->mmio in the place of gfn, if nothing is mapped there. 0, or -ENOMEM as above, or when the
 * cache was empty. Shared.
 */
int ost_table_map_mmio(struct ost_table *table, struct ost_table_cache *cache, gfn_t gfn);

/*
 * Unmaps [gfn, end), and the whole of large pages that reach into it. Tables that lie in the range
 * with all they map are unlinked, so that it looks at a few thousand entries at most, however long
 * the range; with `prune` those tables too that it leaves with nothing mapped. Entries for MMIO go as
 * well. True when anything else was removed: TLBs have to be flushed before the memory or the tables
 * are used for something else. Alone.
 */
bool ost_table_zap(struct ost_table *table, gfn_t gfn, gfn_t end, bool prune,
		   ost_table_free_fn free, void *ctx);

/*
 * Has the next write to each page in [*gfn, end) seen: takes write permission, or, where the CPU
 * logs writes, the dirty bit of 4 KiB pages. Looks at up to `budget` entries and moves *gfn to where
 * it stopped, to `end` when it is through. True when a TLB flush is due. Alone.
 */
bool ost_table_protect(struct ost_table *table, gfn_t *gfn, gfn_t end, u32 budget);

/*
 * Was anything in [gfn, end) accessed, and with `clear` forget it. Only for formats with accessed
 * bits. Shared.
 */
bool ost_table_age(struct ost_table *table, gfn_t gfn, gfn_t end, bool clear);

/* Is anything mapped in [gfn, end)? Shared. */
bool ost_table_any(struct ost_table *table, gfn_t gfn, gfn_t end);

/* Gives `tables` of `level` and all below it to `free`, which frees one page each time. */
void ost_table_free(const struct ost_pte_format *format, u64 *table, int level,
		    ost_table_free_fn free, void *ctx);

#endif
