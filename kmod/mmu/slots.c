// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "slots.h"

static struct ost_memslots *slots_alloc(u32 nr)
{
	struct ost_memslots *slots;
	size_t size = sizeof(*slots) + nr * (sizeof(slots->slots[0]) + sizeof(slots->by_hva[0]) +
					     sizeof(slots->by_id[0]));

	slots = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!slots)
		return NULL;
	slots->nr = nr;
	slots->by_hva = (struct ost_slot_hva *)&slots->slots[nr];
	slots->by_id = (u32 *)&slots->by_hva[nr];
	return slots;
}

struct ost_memslots *ost_slots_new(void)
{
	struct ost_memslots *slots = slots_alloc(0);

	if (slots)
		slots->generation = 1;
	return slots;
}

const struct ost_memslot *ost_slots_by_id(const struct ost_memslots *slots, u32 id)
{
	u32 low = 0, high = slots->nr;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		const struct ost_memslot *slot = &slots->slots[slots->by_id[mid]];

		if (slot->id == id)
			return slot;
		if (slot->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* How many slots begin at or below gfn. */
static u32 slots_up_to(const struct ost_memslots *slots, gfn_t gfn)
{
	u32 low = 0, high = slots->nr;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (slots->slots[mid].base_gfn <= gfn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool slot_holds(const struct ost_memslot *slot, gfn_t gfn)
{
	return gfn >= slot->base_gfn && gfn < ost_slot_end(slot);
}

const struct ost_memslot *ost_slots_search(struct ost_memslots *slots, gfn_t gfn)
{
	u32 i = slots_up_to(slots, gfn);

	if (!i || !slot_holds(&slots->slots[i - 1], gfn))
		return NULL;
	WRITE_ONCE(slots->hint, i - 1);
	return &slots->slots[i - 1];
}

bool ost_slots_overlap(const struct ost_memslots *slots, u32 id, gfn_t base_gfn, u64 npages)
{
	/*
	 * The last that begins before the range's end; without overlaps among them, and but for
	 * `id`, only it can reach into the range, or those that begin in the range.
	 */
	u32 i = slots_up_to(slots, base_gfn + npages - 1);

	while (i--) {
		const struct ost_memslot *slot = &slots->slots[i];

		if (ost_slot_end(slot) <= base_gfn)
			return false;
		if (slot->id != id)
			return true;
	}
	return false;
}

static void sort_by_hva(struct ost_memslots *slots, const struct ost_memslots *old,
			const u32 *moved_to, u32 added)
{
	unsigned long max_end = 0;
	u32 i, n = 0;

	/* The old order holds for those that stay; the new one is put in its place. */
	for (i = 0; i < old->nr; i++) {
		u32 to = moved_to[old->by_hva[i].slot];

		if (to == U32_MAX)
			continue;
		if (added != U32_MAX && slots->slots[added].hva < slots->slots[to].hva) {
			slots->by_hva[n++].slot = added;
			added = U32_MAX;
		}
		slots->by_hva[n++].slot = to;
	}
	if (added != U32_MAX)
		slots->by_hva[n++].slot = added;

	for (i = 0; i < n; i++) {
		const struct ost_memslot *slot = &slots->slots[slots->by_hva[i].slot];

		max_end = max(max_end, slot->hva + ost_slot_bytes(slot));
		slots->by_hva[i].max_end = max_end;
	}
}

static void sort_by_id(struct ost_memslots *slots, const struct ost_memslots *old,
		       const u32 *moved_to, u32 added)
{
	u32 i, n = 0;

	for (i = 0; i < old->nr; i++) {
		u32 to = moved_to[old->by_id[i]];

		if (to == U32_MAX)
			continue;
		if (added != U32_MAX && slots->slots[added].id < slots->slots[to].id) {
			slots->by_id[n++] = added;
			added = U32_MAX;
		}
		slots->by_id[n++] = to;
	}
	if (added != U32_MAX)
		slots->by_id[n++] = added;
}

struct ost_memslots *ost_slots_replace(const struct ost_memslots *old, u32 id,
				       const struct ost_memslot *add)
{
	u32 nr = old->nr - !!ost_slots_by_id(old, id) + !!add;
	struct ost_memslots *slots = slots_alloc(nr);
	u32 *moved_to = kvcalloc(max(old->nr, 1u), sizeof(*moved_to), GFP_KERNEL_ACCOUNT);
	u32 added = U32_MAX;
	u32 i, n = 0;

	if (!slots || !moved_to) {
		kvfree(slots);
		kvfree(moved_to);
		return NULL;
	}
	slots->generation = old->generation + 1;
	for (i = 0; i < old->nr; i++) {
		const struct ost_memslot *slot = &old->slots[i];

		if (slot->id == id) {
			moved_to[i] = U32_MAX;
			continue;
		}
		if (add && added == U32_MAX && add->base_gfn < slot->base_gfn) {
			added = n;
			slots->slots[n++] = *add;
		}
		moved_to[i] = n;
		slots->slots[n++] = *slot;
	}
	if (add && added == U32_MAX) {
		added = n;
		slots->slots[n++] = *add;
	}
	sort_by_hva(slots, old, moved_to, added);
	sort_by_id(slots, old, moved_to, added);
	kvfree(moved_to);
	return slots;
}

u32 ost_slots_below_hva(const struct ost_memslots *slots, unsigned long end)
{
	u32 low = 0, high = slots->nr;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (slots->slots[slots->by_hva[mid].slot].hva < end)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct ost_memslot *ost_slots_next_hva(const struct ost_memslots *slots, u32 *pos,
					     unsigned long start)
{
	while (*pos) {
		const struct ost_slot_hva *at = &slots->by_hva[--*pos];
		const struct ost_memslot *slot = &slots->slots[at->slot];

		if (at->max_end <= start)
			return NULL;
		if (slot->hva + ost_slot_bytes(slot) > start)
			return slot;
	}
	return NULL;
}
