// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MMU notifier: the VMM's address space changes, and the nested page table follows.
 *
 * Pages are not pinned. A fault looks one up, drops its reference and maps it, which is right as
 * long as the host's page tables do not change meanwhile. The protocol for that: an invalidation
 * takes mmu->lock for writing at its start, notes its range as in progress and unmaps it; at its
 * end it counts invalidate_seq up before it stops being in progress. A fault reads invalidate_seq
 * before it looks the page up, and maps it under mmu->lock only if the count is still the same and
 * no range in progress covers it. So whatever it maps is either unmapped by an invalidation that
 * starts later, or was looked up after the last one that mattered had ended.
 */
#include <linux/mm.h>
#include "../vcpu.h"
#include "internal.h"

static struct ost_vm *notifier_vm(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct ost_vm, mmu.notifier);
}

bool ost_mmu_invalidated(const struct ost_mmu *mmu, unsigned long seq, unsigned long start,
			 unsigned long end)
{
	lockdep_assert_held(&mmu->lock);
	if (mmu->invalidate_seq != seq)
		return true;
	return mmu->invalidate_in_progress && start < mmu->invalidate_end &&
	       end > mmu->invalidate_start;
}

/* The guest frames of the slot that lie in [start, end) of the VMM's addresses, whole pages. */
static void slot_range(const struct ost_memslot *slot, unsigned long start, unsigned long end,
		       gfn_t *first, gfn_t *last_end)
{
	unsigned long from = max(start, slot->hva) - slot->hva;
	unsigned long to = min(end, slot->hva + ost_slot_bytes(slot)) - slot->hva;

	*first = slot->base_gfn + (from >> PAGE_SHIFT);
	*last_end = slot->base_gfn + (PAGE_ALIGN(to) >> PAGE_SHIFT);
}

/*
 * mmu->lock held for writing; given up for moments between two slots when may_sleep. vm->srcu keeps
 * the slots; if they change meanwhile, that change unmaps what it has to, and no fault maps
 * anything in a range in progress.
 */
static void zap_hva_range(struct ost_vm *vm, unsigned long start, unsigned long end, bool may_sleep,
			  struct ost_freed_tables *freed)
{
	struct ost_mmu *mmu = &vm->mmu;
	const struct ost_memslot *slot;
	struct ost_space *space;
	bool flush = false;
	u32 pos;

	ost_for_each_space(space, mmu) {
		const struct ost_memslots *slots = ost_slots(vm, space);

		ost_for_each_slot_hva(slot, pos, slots, start, end) {
			gfn_t first, last_end;

			slot_range(slot, start, end, &first, &last_end);
			flush |= ost_mmu_zap(vm, space, first, last_end, false, freed);
			if (may_sleep && (need_resched() || rwlock_needbreak(&mmu->lock))) {
				if (flush)
					ost_mmu_flush(vm);
				flush = false;
				cond_resched_rwlock_write(&mmu->lock);
			}
		}
	}
	if (flush)
		ost_mmu_flush(vm);
}

static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	bool may_sleep = mmu_notifier_range_blockable(range);
	struct ost_vm *vm = notifier_vm(notifier);
	struct ost_freed_tables freed = {};
	struct ost_mmu *mmu = &vm->mmu;
	int srcu;

	srcu = srcu_read_lock(&vm->srcu);
	write_lock(&mmu->lock);
	/* Ranges in progress at the same time are taken for one that holds them all. */
	if (!mmu->invalidate_in_progress++) {
		mmu->invalidate_start = range->start;
		mmu->invalidate_end = range->end;
	} else {
		mmu->invalidate_start = min(mmu->invalidate_start, range->start);
		mmu->invalidate_end = max(mmu->invalidate_end, range->end);
	}
	zap_hva_range(vm, range->start, range->end, may_sleep, &freed);
	write_unlock(&mmu->lock);
	srcu_read_unlock(&vm->srcu, srcu);
	ost_mmu_free_tables(vm, &freed, may_sleep);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct ost_mmu *mmu = &notifier_vm(notifier)->mmu;

	write_lock(&mmu->lock);
	WRITE_ONCE(mmu->invalidate_seq, mmu->invalidate_seq + 1);
	WARN_ON_ONCE(--mmu->invalidate_in_progress < 0);
	write_unlock(&mmu->lock);
}

/*
 * Without accessed bits, what is mapped counts as accessed, and is unmapped to see whether it is
 * again.
 */
static bool age_without_bits(struct ost_vm *vm, struct ost_space *space, gfn_t first, gfn_t end,
			     bool clear)
{
	struct ost_freed_tables freed = {};
	struct ost_mmu *mmu = &vm->mmu;
	bool young;

	write_lock(&mmu->lock);
	young = ost_table_any(&space->table, first, end);
	if (young && clear && ost_mmu_zap(vm, space, first, end, false, &freed))
		ost_mmu_flush(vm);
	write_unlock(&mmu->lock);
	ost_mmu_free_tables(vm, &freed, false);
	return young;
}

/*
 * TLBs are not flushed: an entry that is in use there without being marked again makes the page
 * look idle for a while, which costs no more than a fault if it goes. The host treats its own so.
 */
static bool age_space(struct ost_vm *vm, struct ost_space *space, unsigned long start, unsigned long end,
		      bool clear)
{
	struct ost_mmu *mmu = &vm->mmu;
	const struct ost_memslot *slot;
	bool young = false;
	u32 pos;

	ost_for_each_slot_hva(slot, pos, ost_slots(vm, space), start, end) {
		gfn_t first, last_end;

		slot_range(slot, start, end, &first, &last_end);
		if (!space->table.format->accessed) {
			young |= age_without_bits(vm, space, first, last_end, clear);
			continue;
		}
		read_lock(&mmu->lock);
		young |= ost_table_age(&space->table, first, last_end, clear);
		read_unlock(&mmu->lock);
	}
	return young;
}

static bool age_hva_range(struct ost_vm *vm, unsigned long start, unsigned long end, bool clear)
{
	struct ost_space *space;
	bool young = false;
	int srcu;

	srcu = srcu_read_lock(&vm->srcu);
	ost_for_each_space(space, &vm->mmu)
		young |= age_space(vm, space, start, end, clear);
	srcu_read_unlock(&vm->srcu, srcu);
	return young;
}

/* int, or bool since 7.0: what the kernel at hand has. */
typedef typeof(((struct mmu_notifier_ops *)NULL)->test_young(NULL, NULL, 0)) ost_young_t;

static ost_young_t clear_flush_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				     unsigned long start, unsigned long end)
{
	return age_hva_range(notifier_vm(notifier), start, end, true);
}

static ost_young_t clear_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			       unsigned long start, unsigned long end)
{
	return age_hva_range(notifier_vm(notifier), start, end, true);
}

static ost_young_t test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			      unsigned long address)
{
	return age_hva_range(notifier_vm(notifier), address, address + PAGE_SIZE, false);
}

/* The address space ends, and with it all vCPU ioctls: no fault can come after this. */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	ost_mmu_zap_all(notifier_vm(notifier));
}

const struct mmu_notifier_ops ost_mmu_notifier_ops = {
	.release = release,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
};
