/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of kmod/mmu share among themselves. */
#ifndef OST_MMU_INTERNAL_H
#define OST_MMU_INTERNAL_H

#include <linux/nospec.h>
#include <linux/srcu.h>
#include "../vm.h"
#include "dirty_ring.h"
#include "mmu.h"

/* The slots, for whoever holds vm->srcu, slots_lock or mmu->lock. */
static inline struct ost_memslots *ost_slots(struct ost_vm *vm, struct ost_space *space)
{
	return srcu_dereference_check(space->slots, &vm->srcu,
				      lockdep_is_held(&vm->mmu.slots_lock) ||
				      lockdep_is_held(&vm->mmu.lock));
}

#define ost_for_each_space(space, mmu)                                                             \
	for ((space) = (mmu)->space; (space) < (mmu)->space + OST_NR_SPACES; (space)++)

/* The parts of a slot's number in the ABI. */
#define OST_SLOT_SPACE(id) ((id) >> 16)
#define OST_SLOT_NUMBER(id) ((id) & 0xffff)

/* Where slots of this number lie; NULL where there can be none. */
static inline struct ost_space *ost_space_of(struct ost_vm *vm, u32 slot_id)
{
	u32 id = OST_SLOT_SPACE(slot_id);

	if (id >= OST_NR_SPACES || OST_SLOT_NUMBER(slot_id) >= OST_MAX_SLOTS)
		return NULL;
	return &vm->mmu.space[array_index_nospec(id, OST_NR_SPACES)];
}

/* Tables that a VM gets to map device memory by; four for each of some hundred devices. */
#define OST_MAX_MMIO_TABLES 1024

/* --- Table pages, zapping and write protection (tdp.c) --- */

/* Unlinked tables that wait for the TLB flush, by level; chained through page->private. */
struct ost_freed_tables {
	u64 *head[OST_TABLE_MAX_LEVELS + 1];
};

/* A zeroed page for the nested page table, charged to the caller's memory cgroup, or NULL. */
u64 *ost_table_page_alloc(struct ost_mmu *mmu, gfp_t gfp);
void ost_table_page_free(struct ost_mmu *mmu, u64 *table);

/*
 * Unmaps [start, end); prune also unlinks tables that are empty now. True when the caller, who
 * holds mmu->lock for writing, has to ost_mmu_flush() before letting go of it. What it unlinked is
 * added to `freed`, for ost_mmu_free_tables() after the flush. Takes tens of microseconds at most.
 */
bool ost_mmu_zap(struct ost_vm *vm, struct ost_space *space, gfn_t start, gfn_t end, bool prune,
		 struct ost_freed_tables *freed);
/* No vCPU runs on translations that are no longer in the table when it returns. Does not sleep. */
void ost_mmu_flush(struct ost_vm *vm);
/* Frees what ost_mmu_zap() unlinked. mmu->lock not held. */
void ost_mmu_free_tables(struct ost_vm *vm, struct ost_freed_tables *freed, bool may_sleep);
/* Everything: the address space is going. May sleep. */
void ost_mmu_zap_all(struct ost_vm *vm);
/*
 * Takes write permission from [start, end) and flushes TLBs. The caller holds mmu->lock for
 * writing, and it is given up for moments. May sleep.
 */
void ost_mmu_protect(struct ost_vm *vm, struct ost_space *space, gfn_t start, gfn_t end);

/* --- MMU notifier (notifier.c) --- */

extern const struct mmu_notifier_ops ost_mmu_notifier_ops;

/*
 * Was the page at hva looked up in vain, because [start, end), which holds it, is being
 * invalidated, or something was since invalidate_seq read `seq`? Caller holds mmu->lock.
 */
bool ost_mmu_invalidated(const struct ost_mmu *mmu, unsigned long seq, unsigned long start,
			 unsigned long end);

/* --- Dirty log (dirty.c) --- */

struct ost_dirty_log *ost_dirty_log_new(u64 npages, bool dirty); /* all clean or all dirty, or NULL */
void ost_dirty_log_free(struct ost_dirty_log *log);	/* NULL is nothing */
/* Nothing is dirty. Only while there are no vCPUs. */
void ost_dirty_log_clear(struct ost_dirty_log *log);
/*
 * The page was written by this vCPU, or, with NULL, by that whose ioctl the thread is in. After the write, or, for
 * a page that the guest may write from now on, under mmu->lock after its entry was made writable. A slot without a
 * log is nothing. Any context but interrupts.
 */
void ost_mark_dirty(struct ost_vm *vm, struct ost_vcpu *vcpu, const struct ost_memslot *slot, gfn_t gfn);
/*
 * The next write to the page, which lies in the slot and the slot has a log, is seen again. True when a TLB flush is
 * due for that. mmu->lock held for writing.
 */
bool ost_dirty_log_rearm(struct ost_vm *vm, const struct ost_memslot *slot, u64 page);
/*
 * Where the CPU notes writes: all that it has noted for the VM's vCPUs up to now is in the logs.
 * May sleep; mmu->lock not held.
 */
void ost_dirty_log_collect(struct ost_vm *vm);

#endif
