/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a walk of the guest's page tables has to come to, worked out a second time and in another
 * way: from the format tables of the manuals as data, mode by mode, with no code in common with
 * kmod/mmu/walk.c.
 */
#ifndef WALK_ORACLE_H
#define WALK_ORACLE_H

#include <mmu/walk.h>

#define MEMORY_PAGES 12		/* guest memory: gpa 0 on; nothing above */
#define ROM_PAGES 2		/* the last of them can't be written */
extern u8 walk_memory[MEMORY_PAGES][4096];

struct walk_result {
	bool fault, not_memory;
	/* One entry was met at two levels, so that marking it changes the walk: anything goes. */
	bool open;
	u32 error_code;
	gpa_t gpa;
};

/* Does to walk_memory what the walk does (A and D bits), and says what it comes to. */
struct walk_result oracle_walk(const struct ost_walk_state *state, u64 gva, u32 access);

/* Access to walk_memory for ost_walk(). */
extern const struct ost_walk_ops walk_memory_ops;

/*
 * Fills *state and walk_memory from a source of random bits: paging modes, and tables that are
 * mostly in order. Compares ost_walk() with the oracle for some addresses; false with a message
 * when they differ.
 */
bool walk_compare(u32 (*random)(void *ctx), void *ctx);

#endif
