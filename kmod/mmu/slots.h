/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory slots of a VM as an immutable array (slots.c; pure: unit tests build it too). A change
 * makes a new array, published by region.c; readers find slots in it by guest frame or by the VMM's
 * address, both by bisection.
 */
#ifndef OST_MMU_SLOTS_H
#define OST_MMU_SLOTS_H

#include <linux/compiler.h>
#include <linux/kvm.h>
#include <linux/atomic.h>
#include <linux/types.h>
#include "../ost.h"

#define OST_MAX_SLOTS 32764	/* KVM_CAP_NR_MEMSLOTS */

/* Most pages of one slot, as KVM's ABI has it: page counts fit an int. */
#define OST_SLOT_MAX_PAGES ((1UL << 31) - 1)

struct ost_dirty_log;

struct ost_memslot {
	gfn_t base_gfn;
	u64 npages;
	unsigned long hva;	/* userspace_addr */
	u32 id;			/* slot number of the ABI; its upper half is that of the address space */
	u32 flags;		/* KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY */
	struct ost_dirty_log *log; /* exactly with KVM_MEM_LOG_DIRTY_PAGES (dirty.c) */
};

/*
 * Slots in the order of hva. They may overlap there, so each knows how far it and all before reach.
 */
struct ost_slot_hva {
	unsigned long max_end;
	u32 slot;		/* index into slots[] */
};

struct ost_memslots {
	struct rcu_head rcu;
	struct ost_dirty_log *doomed; /* goes with this array: the log of a slot that ended */
	u64 generation;		/* 1 for the first array of a VM, and one more for each after it */
	u32 nr;			/* grows by ost_slots_append() */
	u32 room;		/* for so many, in each of the three */
	u32 hint;		/* index of the last slot found; a race on it costs a bisection */
	struct ost_slot_hva *by_hva;
	u32 *by_id;		/* indexes into slots[], in the order of id */
	struct ost_memslot slots[]; /* in the order of base_gfn */
};

/* The array of a new VM, or NULL. Free with kvfree(). */
struct ost_memslots *ost_slots_new(void);

/* Slot `id`, or NULL. */
const struct ost_memslot *ost_slots_by_id(const struct ost_memslots *slots, u32 id);

/* As ost_slots_find() below, by bisection. */
const struct ost_memslot *ost_slots_search(struct ost_memslots *slots, gfn_t gfn);

/* The slot that holds gfn, or NULL. */
static inline const struct ost_memslot *ost_slots_find(struct ost_memslots *slots, gfn_t gfn)
{
	u32 i = READ_ONCE(slots->hint);

	if (likely(i < smp_load_acquire(&slots->nr) && gfn - slots->slots[i].base_gfn < slots->slots[i].npages))
		return &slots->slots[i];
	return ost_slots_search(slots, gfn);
}

/* Does a slot other than `id` share a page with [base_gfn, base_gfn + npages)? */
bool ost_slots_overlap(const struct ost_memslots *slots, u32 id, gfn_t base_gfn, u64 npages);

/*
 * A copy without slot `id` (if there is one) and with `add` (if not NULL; its id is `id`), one
 * generation on. NULL without memory. `add` must not overlap any other slot.
 */
struct ost_memslots *ost_slots_replace(const struct ost_memslots *slots, u32 id,
				       const struct ost_memslot *add);

/*
 * Adds a slot in place, one generation on, where it is the last in every order and there is room: so whoever adds slots
 * by the ten thousand, in the order of their addresses, does not have them all copied for each. Else false, and
 * nothing is changed. Readers meanwhile find it or not; other changes are kept out by the caller.
 */
bool ost_slots_append(struct ost_memslots *slots, const struct ost_memslot *add);

/* How many slots begin below hva `end`: where ost_slots_next_hva() starts. */
u32 ost_slots_below_hva(const struct ost_memslots *slots, unsigned long end);
/* The next slot, going down from *pos, that reaches above hva `start`; NULL when there is none. */
const struct ost_memslot *ost_slots_next_hva(const struct ost_memslots *slots, u32 *pos,
					     unsigned long start);

/* Every slot that shares a byte with [start, end) of the VMM's addresses. */
#define ost_for_each_slot_hva(slot, pos, slots, start, end)                                        \
	for ((pos) = ost_slots_below_hva(slots, end);                                              \
	     ((slot) = ost_slots_next_hva(slots, &(pos), start)) != NULL;)

static inline unsigned long ost_slot_bytes(const struct ost_memslot *slot)
{
	return slot->npages << 12;
}

static inline gfn_t ost_slot_end(const struct ost_memslot *slot)
{
	return slot->base_gfn + slot->npages;
}

static inline unsigned long ost_slot_hva(const struct ost_memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base_gfn) << 12);
}

#endif
