// SPDX-License-Identifier: GPL-2.0-only
/*
 * Destination matching against an oracle: SDM 11.6.2 read once more, for one LAPIC at a time, from
 * the registers' contents instead of the model's address structure.
 */
#include <stdlib.h>
#include <linux/errno.h>
#include <linux/string.h>
#include "irqchip/dest.h"
#include "tap.h"

#define MAX 240

enum state { OFF, XAPIC, X2APIC };

struct regs {
	enum state state;
	u32 initial_id;
	u32 id_reg, ldr_reg, dfr_reg;	/* as in the page, xAPIC */
};

static bool oracle(const struct regs *r, u32 dest, bool logical, bool wide)
{
	u32 mda, model;

	if (r->state == OFF)
		return false;
	if (wide ? dest == 0xffffffff : dest == 0xff)
		return true;
	if (!logical)
		return r->state == X2APIC ? dest == r->initial_id : dest == r->id_reg >> 24;
	if (r->state == X2APIC) {
		/* 16 bits of cluster, 16 of which member, both made of the id. */
		u32 members = dest & 0xffff;

		return dest >> 16 == r->initial_id / 16 && members >> (r->initial_id % 16) & 1;
	}
	if (dest > 255)
		return false;
	mda = dest;
	model = r->dfr_reg >> 28;
	if (model == 15)
		return mda & (r->ldr_reg >> 24);
	if (model == 0)
		return (mda & 0xf0) == (r->ldr_reg >> 24 & 0xf0) && mda & (r->ldr_reg >> 24) & 0xf;
	return false;
}

static void to_addr(const struct regs *r, struct ost_dest_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (r->state == OFF)
		return;
	if (r->state == X2APIC) {
		a->mode = OST_DEST_X2APIC;
		a->id = r->initial_id;
		a->ldr = (r->initial_id >> 4) << 16 | 1u << (r->initial_id & 15);
		return;
	}
	a->id = r->id_reg >> 24;
	a->ldr = r->ldr_reg >> 24;
	a->mode = r->dfr_reg >> 28 == 15 ? OST_DEST_FLAT :
		  r->dfr_reg >> 28 == 0 ? OST_DEST_CLUSTER : OST_DEST_PHYSICAL;
}

static struct regs regs[MAX];
static struct ost_dest_map *map;

static void build(u32 nr)
{
	u32 i;

	free(map);
	map = malloc(sizeof(*map) + nr * sizeof(map->addr[0]));
	for (i = 0; i < nr; i++)
		to_addr(&regs[i], &map->addr[i]);
	ost_dest_map_build(map, nr);
}

static void check(u32 nr, u32 dest, bool logical, bool wide)
{
	struct ost_dest_set set;
	u32 i, count = 0;
	int one;

	ost_dest_map_find(map, dest, logical, wide, &set);
	for (i = 0; i < OST_DEST_MAX; i++) {
		bool expect = i < nr && oracle(&regs[i], dest, logical, wide);

		CHECK_MSG(test_bit(i, set.bits) == expect,
			  "index %u of %u, dest %#x%s%s: %s", i, nr, dest,
			  logical ? " logical" : "", wide ? " wide" : "",
			  expect ? "missed" : "not meant");
		if (i < nr)
			CHECK_EQ(ost_dest_match(&map->addr[i], dest, logical, wide), expect);
		count += expect;
	}
	one = ost_dest_map_one(map, dest, logical, wide);
	if (one >= 0)
		CHECK_MSG(count == 1 && test_bit(one, set.bits), "dest %#x is not only %d", dest,
			  one);
	/* The way that IPIs take mostly is one where it can be. */
	if (!logical && count == 1 && !map->shared_ids && nr > 1 && dest != (wide ? ~0u : 0xff))
		CHECK(one >= 0);
}

static void fill(u32 i, enum state state, u32 id, u32 ldr, u32 dfr)
{
	regs[i] = (struct regs){ .state = state, .initial_id = id, .id_reg = id << 24,
				 .ldr_reg = ldr << 24, .dfr_reg = dfr };
}

static void all_dests(u32 nr)
{
	u32 dest;

	for (dest = 0; dest < 256 && !tap_failed(); dest++) {
		check(nr, dest, false, false);
		check(nr, dest, true, false);
		check(nr, dest, false, true);
		check(nr, dest, true, true);
	}
	check(nr, ~0u, false, true);
	check(nr, ~0u, true, true);
}

static void flat(void)
{
	u32 i;

	for (i = 0; i < 8; i++)
		fill(i, XAPIC, i, 1 << i, ~0u);
	build(8);
	all_dests(8);
}

static void cluster(void)
{
	u32 i;

	for (i = 0; i < 60; i++)
		fill(i, XAPIC, i, (i / 4) << 4 | 1 << (i & 3), 0x0fffffff);
	build(60);
	all_dests(60);
}

static void x2apic(void)
{
	u32 i, dest;

	for (i = 0; i < MAX; i++)
		fill(i, X2APIC, i, 0, 0);
	build(MAX);
	all_dests(MAX);
	for (i = 0; i < 18 && !tap_failed(); i++)
		for (dest = 1; dest < 0x10000; dest = dest * 2 + 1)
			check(MAX, i << 16 | dest, true, true);
	check(MAX, 0xffff0001, true, true);
	check(MAX, 0x10000, false, true);
	check(MAX, 0x105, false, true);
}

/* Every mixture that guests and VMMs can bring about, also ids that several have. */
static void random_mixtures(void)
{
	u32 round, i, nr;

	srandom(3);
	for (round = 0; round < 2000 && !tap_failed(); round++) {
		bool unique = random() & 1;

		nr = 1 + random() % (round % 10 ? 12 : MAX);
		for (i = 0; i < nr; i++) {
			static const u32 dfrs[] = { ~0u, 0x0fffffff, 0x7fffffff };
			u32 id = i * 7 % 251;

			fill(i, random() % 3, id, random() & 0xff, dfrs[random() % 3]);
			if (!unique)
				regs[i].id_reg = (u32)(random() % 16) << 24;
		}
		build(nr);
		for (i = 0; i < 60; i++) {
			u32 dest = random() & 0xff;

			if (random() % 4 == 0)
				dest = random() % 20 << 16 | (random() & 0xffff);
			else if (random() % 16 == 0)
				dest = ~0u;
			check(nr, dest, random() & 1, random() & 1);
		}
	}
}

static void none(void)
{
	build(0);
	all_dests(0);
	fill(0, OFF, 0, 0, 0);
	build(1);
	all_dests(1);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("flat model", flat);
	tap_run("cluster model", cluster);
	tap_run("x2APIC mode", x2apic);
	tap_run("random mixtures", random_mixtures);
	tap_run("no LAPIC, and one that is off", none);
	return tap_done();
}
