// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_SET_USER_MEMORY_REGION: creates, moves, deletes slots and changes their flags.
 *
 * The new array of slots, its generation and what has to be unmapped change together under
 * mmu->lock, so that neither a fault nor a notifier ever sees one without the other. What the
 * kernel writes into guest memory through the slots holds only vm->srcu: such a writer may still
 * use an old slot, and the ioctl returns only when there is none, because the VMM may use the
 * memory for something else from then on, or rely on its dirty log. A new slot changes nothing for
 * those writers and waits for nobody.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "../vcpu.h"
#include "internal.h"

#define REGION_FLAGS (KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)

static int check_region(struct ost_vm *vm, const struct kvm_userspace_memory_region *region)
{
	u64 pages = region->memory_size >> PAGE_SHIFT;
	u64 end = region->guest_phys_addr + region->memory_size;

	if (region->flags & ~REGION_FLAGS)
		return -EINVAL;
	if (!ost_space_of(vm, region->slot))
		return -EINVAL;
	if (!PAGE_ALIGNED(region->guest_phys_addr) || !PAGE_ALIGNED(region->memory_size) ||
	    !PAGE_ALIGNED(region->userspace_addr))
		return -EINVAL;
	if (pages > OST_SLOT_MAX_PAGES || end < region->guest_phys_addr ||
	    end >> PAGE_SHIFT > ost_table_end(&vm->mmu.space[OST_SPACE_NORMAL].table))
		return -EINVAL;
	if (region->userspace_addr != untagged_addr(region->userspace_addr) ||
	    !access_ok((void __user *)region->userspace_addr, region->memory_size))
		return -EINVAL;
	return 0;
}

static void free_slots(struct ost_memslots *slots)
{
	ost_dirty_log_free(slots->doomed);
	kvfree(slots);
}

static void free_slots_srcu(struct rcu_head *rcu)
{
	free_slots(container_of(rcu, struct ost_memslots, rcu));
}

/*
 * The old array goes when its last reader is done. `wait` when the ioctl may not return before;
 * without vCPUs there is nobody who writes guest memory, and one that is created now sees the new
 * slots.
 */
static void retire_slots(struct ost_vm *vm, struct ost_memslots *slots, bool wait)
{
	/* The new slots are published before the vCPUs are counted; see ost_nr_vcpus(). */
	smp_mb();
	if (!wait || !ost_nr_vcpus(vm)) {
		ost_vm_retire(vm, &slots->rcu, free_slots_srcu);
		return;
	}
	synchronize_srcu_expedited(&vm->srcu);
	free_slots(slots);
}

/*
 * With KVM_DIRTY_LOG_INITIALLY_SET the VMM copies everything first anyway, and has write permission taken bit by bit
 * as it clears the log. Entries of rings there are none for pages that were written before.
 */
static bool logs_start_dirty(const struct ost_vm *vm)
{
	return (vm->mmu.manual_log & KVM_DIRTY_LOG_INITIALLY_SET) && !vm->mmu.ring_entries;
}

/* What becomes of the nested page table when slot `old` turns into `new` (either may be NULL). */
static void update_table(struct ost_vm *vm, struct ost_space *space, const struct ost_memslot *old,
			 const struct ost_memslot *new, struct ost_freed_tables *freed)
{
	/* What was device memory, or the kernel's own page, is not any more. */
	if (new && (!old || new->base_gfn != old->base_gfn) &&
	    (space->table.format->mmio || vm->mmu.overlay_pfn) &&
	    ost_mmu_zap(vm, space, new->base_gfn, ost_slot_end(new), true, freed))
		ost_mmu_flush(vm);
	if (!old)
		return;
	if (new && new->base_gfn == old->base_gfn && new->log) {
		/* From now on every first write to a page has to fault, unless all count as written. */
		if (!old->log && !logs_start_dirty(vm))
			ost_mmu_protect(vm, space, old->base_gfn, ost_slot_end(old));
		return;
	}
	/* Gone, moved, or no longer logged: then large pages may come back as faults do. */
	if (ost_mmu_zap(vm, space, old->base_gfn, ost_slot_end(old), true, freed))
		ost_mmu_flush(vm);
}

static void unmap_slot(struct ost_vm *vm, struct ost_space *space, const struct ost_memslot *slot)
{
	struct ost_freed_tables freed = {};

	write_lock(&vm->mmu.lock);
	if (ost_mmu_zap(vm, space, slot->base_gfn, ost_slot_end(slot), true, &freed))
		ost_mmu_flush(vm);
	write_unlock(&vm->mmu.lock);
	ost_mmu_free_tables(vm, &freed, true);
}

/* Adds a slot without making a new array, where that can be. slots_lock held. */
static bool append_slot(struct ost_vm *vm, struct ost_space *space, const struct ost_memslot *new)
{
	struct ost_memslots *slots = ost_slots(vm, space);
	struct ost_freed_tables freed = {};
	bool done;

	write_lock(&vm->mmu.lock);
	done = ost_slots_append(slots, new);
	if (done) {
		WRITE_ONCE(space->generation, slots->generation);
		update_table(vm, space, NULL, new, &freed);
	}
	write_unlock(&vm->mmu.lock);
	ost_mmu_free_tables(vm, &freed, true);
	return done;
}

/* Puts `new` in the place of `old`; either may be NULL. slots_lock held. */
static int change_slot(struct ost_vm *vm, struct ost_space *space, const struct ost_memslot *old,
		       const struct ost_memslot *new)
{
	struct ost_memslots *slots = ost_slots(vm, space);
	struct ost_freed_tables freed = {};
	struct ost_mmu *mmu = &vm->mmu;
	struct ost_memslots *next;

	/*
	 * Notes of writes to what was there are none of the new slot's. Those to a slot that moves are, and are
	 * found by its old place only: with nothing mapped there any more, writes fault, and are marked by that.
	 */
	if (new && new->log) {
		if (old && old->log && old->base_gfn != new->base_gfn)
			unmap_slot(vm, space, old);
		ost_dirty_log_collect(vm);
	}
	if (!old && append_slot(vm, space, new))
		return 0;
	next = ost_slots_replace(slots, old ? old->id : new->id, new);
	if (!next)
		return -ENOMEM;
	if (old && old->log && !(new && new->log))
		slots->doomed = old->log;

	write_lock(&mmu->lock);
	rcu_assign_pointer(space->slots, next);
	WRITE_ONCE(space->generation, next->generation);
	update_table(vm, space, old, new, &freed);
	write_unlock(&mmu->lock);

	ost_mmu_free_tables(vm, &freed, true);
	retire_slots(vm, slots, old);
	return 0;
}

static int set_slot(struct ost_vm *vm, struct ost_space *space, const struct ost_memslot *old,
		    struct ost_memslot *new)
{
	struct ost_dirty_log *log = NULL;
	int err;

	if (ost_slots_overlap(ost_slots(vm, space), new->id, new->base_gfn, new->npages))
		return -EEXIST;
	if (new->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		if (old)
			new->log = old->log;
		if (!new->log) {
			log = ost_dirty_log_new(new->npages, logs_start_dirty(vm));
			if (!log)
				return -ENOMEM;
			new->log = log;
		}
	}
	err = change_slot(vm, space, old, new);
	if (err)
		ost_dirty_log_free(log);
	return err;
}

static int set_region(struct ost_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct ost_space *space = ost_space_of(vm, region->slot);
	const struct ost_memslot *old = ost_slots_by_id(ost_slots(vm, space), region->slot);
	struct ost_memslot new = {
		.base_gfn = region->guest_phys_addr >> PAGE_SHIFT,
		.npages = region->memory_size >> PAGE_SHIFT,
		.hva = region->userspace_addr,
		.id = region->slot,
		.flags = region->flags,
	};

	if (!new.npages)
		return old ? change_slot(vm, space, old, NULL) : -EINVAL;
	if (old) {
		/*
		 * Size, memory and READONLY of a slot stay; it is deleted and made anew for that.
		 */
		if (new.npages != old->npages || new.hva != old->hva ||
		    ((new.flags ^ old->flags) & KVM_MEM_READONLY))
			return -EINVAL;
		if (new.base_gfn == old->base_gfn && new.flags == old->flags)
			return 0;
	}
	return set_slot(vm, space, old, &new);
}

int ost_mmu_set_region(struct ost_vm *vm, const struct kvm_userspace_memory_region *region)
{
	int err = check_region(vm, region);

	if (err)
		return err;
	mutex_lock(&vm->mmu.slots_lock);
	err = set_region(vm, region);
	mutex_unlock(&vm->mmu.slots_lock);
	return err;
}
