// SPDX-License-Identifier: GPL-2.0-only
/* The array of memory slots against a plain list: random creation, moving and deletion. */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <mmu/slots.h>
#include <stdlib.h>
#include "tap.h"

#define NR_IDS 40
#define GFN_SPACE 4096
#define HVA_BASE 0x7f0000000000UL
#define HVA_PAGES 4096

static struct ost_memslot list[NR_IDS]; /* npages is 0 where there is none */

static u32 rnd(u32 below)
{
	return (u32)random() % below;
}

static bool list_overlaps(u32 id, gfn_t gfn, u64 npages)
{
	for (u32 i = 0; i < NR_IDS; i++)
		if (i != id && list[i].npages && gfn < list[i].base_gfn + list[i].npages &&
		    list[i].base_gfn < gfn + npages)
			return true;
	return false;
}

static const struct ost_memslot *list_find(gfn_t gfn)
{
	for (u32 i = 0; i < NR_IDS; i++)
		if (list[i].npages && gfn >= list[i].base_gfn &&
		    gfn - list[i].base_gfn < list[i].npages)
			return &list[i];
	return NULL;
}

static void check_by_gfn(struct ost_memslots *slots)
{
	for (int i = 0; i < 50; i++) {
		gfn_t gfn = rnd(GFN_SPACE + 10);
		const struct ost_memslot *want = list_find(gfn);
		const struct ost_memslot *got = ost_slots_find(slots, gfn);

		CHECK_EQ(!got, !want);
		if (got)
			CHECK_EQ(got->id, want->id);
	}
}

static void check_by_hva(struct ost_memslots *slots)
{
	const struct ost_memslot *slot;

	for (int i = 0; i < 20; i++) {
		unsigned long start = HVA_BASE + rnd(HVA_PAGES * 4096);
		unsigned long end = start + 1 + rnd(i % 2 ? 10000 : 3000000);
		bool seen[NR_IDS] = {};
		u32 pos;

		ost_for_each_slot_hva(slot, pos, slots, start, end) {
			CHECK(!seen[slot->id]);
			seen[slot->id] = true;
		}
		for (u32 id = 0; id < NR_IDS; id++) {
			bool want = list[id].npages && list[id].hva < end &&
				    list[id].hva + list[id].npages * 4096 > start;

			CHECK_EQ(seen[id], want);
		}
	}
}

static void check_all(struct ost_memslots *slots, u64 generation)
{
	u32 nr = 0;

	for (u32 id = 0; id < NR_IDS; id++) {
		const struct ost_memslot *slot = ost_slots_by_id(slots, id);

		CHECK_EQ(!slot, !list[id].npages);
		if (!slot)
			continue;
		nr++;
		CHECK_EQ(slot->base_gfn, list[id].base_gfn);
		CHECK_EQ(slot->npages, list[id].npages);
		CHECK_EQ(slot->hva, list[id].hva);
		CHECK_EQ(slot->flags, list[id].flags);
	}
	CHECK_EQ(slots->nr, nr);
	CHECK_EQ(slots->generation, generation);
	check_by_gfn(slots);
	check_by_hva(slots);
}

static struct ost_memslot random_slot(u32 id)
{
	struct ost_memslot slot = {
		.id = id,
		.npages = 1 + rnd(rnd(4) ? 20 : 400),
		.base_gfn = rnd(GFN_SPACE),
		.flags = rnd(4),
	};

	/* A few places only, so that slots share memory and beginnings. */
	slot.hva = HVA_BASE + rnd(rnd(2) ? 8 : HVA_PAGES) * 4096UL;
	return slot;
}

static void test_random(void)
{
	struct ost_memslots *slots = ost_slots_new();
	u64 generation = 1;

	srandom(1);
	for (int step = 0; step < 20000 && !tap_failed(); step++) {
		struct ost_memslot slot = random_slot(rnd(NR_IDS));
		bool remove = rnd(3) == 0;
		struct ost_memslots *next;

		if (!remove) {
			bool overlaps = list_overlaps(slot.id, slot.base_gfn, slot.npages);

			CHECK_EQ(ost_slots_overlap(slots, slot.id, slot.base_gfn, slot.npages),
				 overlaps);
			if (overlaps)
				continue;
		}
		if (remove || list[slot.id].npages || !ost_slots_append(slots, &slot)) {
			next = ost_slots_replace(slots, slot.id, remove ? NULL : &slot);
			CHECK(next);
			kvfree(slots);
			slots = next;
		}
		generation++;
		if (remove)
			list[slot.id].npages = 0;
		else
			list[slot.id] = slot;
		check_all(slots, generation);
	}
	kvfree(slots);
}

/* As those who add tens of thousands do: most of them without a copy. */
static void test_ascending(void)
{
	struct ost_memslots *slots = ost_slots_new();
	u32 copies = 0;

	for (u32 i = 0; i < 1000; i++) {
		struct ost_memslot slot = {
			.id = i, .npages = 2, .base_gfn = 4 * i, .hva = HVA_BASE + 8192UL * i,
		};
		struct ost_memslots *next;

		if (ost_slots_append(slots, &slot))
			continue;
		next = ost_slots_replace(slots, i, &slot);
		CHECK(next);
		kvfree(slots);
		slots = next;
		copies++;
	}
	CHECK(copies < 50);
	for (u32 i = 0; i < 1000; i++) {
		CHECK_EQ(ost_slots_find(slots, 4 * i + 1)->id, i);
		CHECK(!ost_slots_find(slots, 4 * i + 2));
		CHECK_EQ(ost_slots_by_id(slots, i)->base_gfn, 4 * i);
	}
	kvfree(slots);
}

static void test_no_memory(void)
{
	struct ost_memslots *slots = ost_slots_new();
	struct ost_memslot slot = { .npages = 1 };
	u32 fail;

	for (fail = 1; fail < 10; fail++) {
		struct ost_memslots *next;

		ost_unit_fail_alloc = fail;
		next = ost_slots_replace(slots, 0, &slot);
		if (!ost_unit_fail_alloc)
			CHECK(!next);
		else
			CHECK(next);
		kvfree(next);
		if (next)
			break;
	}
	ost_unit_fail_alloc = 0;
	CHECK(fail > 1 && fail < 10);
	kvfree(slots);
}

static void test_bounds(void)
{
	struct ost_memslots *slots = ost_slots_new();
	struct ost_memslot slot = { .base_gfn = 16, .npages = 16, .id = 3, .hva = HVA_BASE };
	struct ost_memslots *next = ost_slots_replace(slots, 3, &slot);
	u32 pos;

	kvfree(slots);
	CHECK(!ost_slots_find(next, 15));
	CHECK(ost_slots_find(next, 16));
	CHECK(ost_slots_find(next, 31));
	CHECK(!ost_slots_find(next, 32));
	CHECK(!ost_slots_overlap(next, 4, 0, 16));
	CHECK(ost_slots_overlap(next, 4, 0, 17));
	CHECK(ost_slots_overlap(next, 4, 31, 1));
	CHECK(!ost_slots_overlap(next, 4, 32, 1));
	CHECK(!ost_slots_overlap(next, 3, 0, 100));
	pos = ost_slots_below_hva(next, HVA_BASE);
	CHECK_EQ(pos, 0);
	pos = ost_slots_below_hva(next, HVA_BASE + 1);
	CHECK_EQ(pos, 1);
	CHECK(!ost_slots_next_hva(next, &pos, HVA_BASE + 16 * 4096));
	kvfree(next);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("bounds", test_bounds);
	tap_run("random changes against a list", test_random);
	tap_run("one behind the other", test_ascending);
	tap_run("no memory", test_no_memory);
	return tap_done();
}
