// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "slots.h"

static struct ost_memslots *slots_alloc(u32 nr)
{
	struct ost_memslots *slots;
	u32 room = nr + nr / 4;
	size_t size = sizeof(*slots) + room * (sizeof(slots->slots[0]) + sizeof(slots->by_hva[0]) +
					       sizeof(slots->by_id[0]));

	slots = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!slots)
		return NULL;
	slots->nr = nr;
	slots->room = room;
	slots->by_hva = (struct ost_slot_hva *)&slots->slots[room];
	slots->by_id = (u32 *)&slots->by_hva[room];
	return slots;
}

struct ost_memslots *ost_slots_new(void)
{
	struct ost_memslots *slots = slots_alloc(0);

	if (slots)
		slots->generation = 1;
	return slots;
}

/* How many slots have a lower number than id. */
static u32 ids_below(const struct ost_memslots *slots, u32 id)
{
	u32 low = 0, high = slots->nr;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (slots->slots[slots->by_id[mid]].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct ost_memslot *ost_slots_by_id(const struct ost_memslots *slots, u32 id)
{
	u32 at = ids_below(slots, id);

	if (at == slots->nr)
		return NULL;
	/* The VMM chooses the id. */
	at = array_index_nospec(at, slots->nr);
	if (slots->slots[slots->by_id[at]].id != id)
		return NULL;
	return &slots->slots[slots->by_id[at]];
}

/* How many slots begin at or below gfn. */
static u32 slots_up_to(const struct ost_memslots *slots, gfn_t gfn)
{
	u32 low = 0, high = smp_load_acquire(&slots->nr);

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

/* What a change does to an array: the old index of what goes and the new one of what comes, NOWHERE for nothing. */
#define NOWHERE U32_MAX
struct change {
	u32 goes, comes;
};

/* Copies what stays, with room for what comes. Runs of memory: there may be tens of thousands. */
static void copy_rest(void *to, const void *from, size_t size, u32 nr, struct change c)
{
	u32 i = 0, n = 0, run;

	while (i < nr) {
		if (i == c.goes) {
			i++;
			continue;
		}
		if (n == c.comes)
			n++;
		run = nr - i;
		if (c.goes > i)
			run = min(run, c.goes - i);
		if (c.comes > n)
			run = min(run, c.comes - n);
		memcpy(to + n * size, from + i * size, run * size);
		i += run;
		n += run;
	}
}

/* Where an entry that stays is behind a change. */
static u32 moved(u32 i, struct change c)
{
	i -= i > c.goes;
	return i + (i >= c.comes);
}

/* `above` entries lie before what comes, without a look at what goes. */
static u32 place(u32 above, u32 goes)
{
	return above - (goes < above);
}

static void sort_by_hva(struct ost_memslots *slots, const struct ost_memslots *old, struct change c)
{
	struct change h = { NOWHERE, NOWHERE };
	unsigned long max_end = 0;
	u32 i;

	if (c.goes != NOWHERE) {
		for (i = 0; old->by_hva[i].slot != c.goes; i++)
			;
		h.goes = i;
	}
	if (c.comes != NOWHERE)
		h.comes = place(ost_slots_below_hva(old, slots->slots[c.comes].hva), h.goes);
	copy_rest(slots->by_hva, old->by_hva, sizeof(old->by_hva[0]), old->nr, h);
	if (min(c.goes, c.comes) < slots->nr) {
		for (i = 0; i < slots->nr; i++)
			slots->by_hva[i].slot = moved(slots->by_hva[i].slot, c);
	}
	if (c.comes != NOWHERE)
		slots->by_hva[h.comes].slot = c.comes;

	i = min(min(h.goes, h.comes), slots->nr);
	if (i)
		max_end = slots->by_hva[i - 1].max_end;
	for (; i < slots->nr; i++) {
		const struct ost_memslot *slot = &slots->slots[slots->by_hva[i].slot];

		max_end = max(max_end, slot->hva + ost_slot_bytes(slot));
		slots->by_hva[i].max_end = max_end;
	}
}

static void sort_by_id(struct ost_memslots *slots, const struct ost_memslots *old, u32 id, struct change c)
{
	struct change n = { NOWHERE, NOWHERE };
	u32 i, below = ids_below(old, id);

	if (c.goes != NOWHERE)
		n.goes = below;
	if (c.comes != NOWHERE)
		n.comes = below;
	copy_rest(slots->by_id, old->by_id, sizeof(old->by_id[0]), old->nr, n);
	if (min(c.goes, c.comes) < slots->nr) {
		for (i = 0; i < slots->nr; i++)
			slots->by_id[i] = moved(slots->by_id[i], c);
	}
	if (c.comes != NOWHERE)
		slots->by_id[n.comes] = c.comes;
}

struct ost_memslots *ost_slots_replace(const struct ost_memslots *old, u32 id,
				       const struct ost_memslot *add)
{
	const struct ost_memslot *gone = ost_slots_by_id(old, id);
	struct change c = { NOWHERE, NOWHERE };
	struct ost_memslots *slots = slots_alloc(old->nr - !!gone + !!add);

	if (!slots)
		return NULL;
	slots->generation = old->generation + 1;
	if (gone)
		c.goes = gone - old->slots;
	if (add)
		c.comes = place(slots_up_to(old, add->base_gfn), c.goes);
	copy_rest(slots->slots, old->slots, sizeof(old->slots[0]), old->nr, c);
	if (add)
		slots->slots[c.comes] = *add;
	sort_by_hva(slots, old, c);
	sort_by_id(slots, old, id, c);
	return slots;
}

bool ost_slots_append(struct ost_memslots *slots, const struct ost_memslot *add)
{
	u32 nr = slots->nr;
	unsigned long end = add->hva + ost_slot_bytes(add);

	if (nr == slots->room)
		return false;
	if (nr) {
		const struct ost_slot_hva *last = &slots->by_hva[nr - 1];

		if (add->base_gfn < slots->slots[nr - 1].base_gfn ||
		    add->hva < slots->slots[last->slot].hva ||
		    add->id < slots->slots[slots->by_id[nr - 1]].id)
			return false;
		end = max(end, last->max_end);
	}
	slots->slots[nr] = *add;
	slots->by_hva[nr] = (struct ost_slot_hva){ .max_end = end, .slot = nr };
	slots->by_id[nr] = nr;
	/* Pairs with the acquires of lookups: who counts it sees it whole. */
	smp_store_release(&slots->nr, nr + 1);
	/* Who reads the new generation, before a lookup, finds it. */
	smp_store_release(&slots->generation, slots->generation + 1);
	return true;
}

u32 ost_slots_below_hva(const struct ost_memslots *slots, unsigned long end)
{
	u32 low = 0, high = smp_load_acquire(&slots->nr);

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
