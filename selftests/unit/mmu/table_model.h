/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flat model of the nested page table: for every page of a small window of guest frames, what it
 * is mapped to, and which tables exist. Each operation is done on the table and on the model, and
 * what they say is compared; table_check() compares all of both, walking the table as the CPU
 * would.
 *
 * The window lies across a 512 GiB boundary, so that tables of all levels have neighbours.
 */
#ifndef TABLE_MODEL_H
#define TABLE_MODEL_H

#include <mmu/table.h>

#define WINDOW_PAGES (1ULL << 20)
#define WINDOW_BASE ((1ULL << 27) - WINDOW_PAGES / 2)

/* Sets up an empty table of this format. */
void table_setup(const struct ost_pte_format *format);
/* Frees all and checks that no page of the table is left. False with a message when it fails. */
bool table_teardown(void);

/*
 * The operations; pages count from the window's start. `version` chooses one of four pfns for the
 * page. `pages` in the cache before a map: fewer than needed make it fail and be made again. False
 * with a message when table and model disagree.
 */
bool table_map(u64 page, int version, int level, bool writable, u32 pages);
/*
 * The same, and another vCPU maps the same page by other_level and other_writable between the first
 * look at an entry that is to change and its change.
 */
bool table_map_raced(u64 page, int version, int level, bool writable, int other_level,
		     bool other_writable);
/* The page becomes MMIO, if nothing is mapped there; `pages` as for table_map(). */
bool table_map_mmio(u64 page, u32 pages);
bool table_zap(u64 first, u64 end, bool prune);
bool table_protect(u64 first, u64 end, u32 budget);
bool table_age(u64 first, u64 end, bool clear);
bool table_any(u64 first, u64 end);
bool table_allows(u64 page, bool write);
/*
 * What the CPU does when the guest accesses the page: sets accessed and dirty where it is mapped.
 */
void table_cpu_access(u64 page, bool write);
bool table_check(void);

extern const struct ost_pte_format format_npt, format_npt5, format_ept, format_ept_plain;

#endif
