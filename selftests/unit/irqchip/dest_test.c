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

#define MAX OST_DEST_MAX

enum state { OFF, XAPIC, X2APIC };

struct regs {
	enum state state;
	u32 initial_id;
	u32 id_reg, ldr_reg, dfr_reg;	/* as in the page, xAPIC */
};

static bool oracle(const struct regs *r, u32 dest, bool logical, enum ost_dest_width width)
{
	u32 mda, model;

	if (r->state == OFF)
		return false;
	if (dest == 0xffffffff || (dest == 0xff && width == OST_DEST_8))
		return true;
	if (dest == 0xff && width == OST_DEST_EITHER && r->state == XAPIC)
		return true;
	if (!logical)
		return r->state == X2APIC || r->initial_id > 0xff ? dest == r->initial_id :
								    dest == r->id_reg >> 24;
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
	a->id = r->initial_id > 0xff ? r->initial_id : r->id_reg >> 24;
	a->ldr = r->ldr_reg >> 24;
	a->mode = r->dfr_reg >> 28 == 15 ? OST_DEST_FLAT :
		  r->dfr_reg >> 28 == 0 ? OST_DEST_CLUSTER : OST_DEST_PHYSICAL;
}

static struct regs regs[MAX];
static struct ost_dest_addr addrs[MAX];
static struct ost_dest_map map;
static void *memory;

static void build(u32 nr)
{
	u32 i;

	free(memory);
	for (i = 0; i < nr; i++)
		to_addr(&regs[i], &addrs[i]);
	/* Exactly as much as is asked for: the sanitizer sees what is beyond. */
	memory = malloc(ost_dest_map_size(addrs, nr));
	ost_dest_map_build(&map, addrs, nr, memory);
}

static void check(u32 nr, u32 dest, bool logical, enum ost_dest_width width)
{
	struct ost_dest_set set;
	u32 i, count = 0;
	int one;

	memset(&set, 0xff, sizeof(set));
	ost_dest_map_find(&map, dest, logical, width, &set);
	for (i = 0; i < BITS_TO_LONGS(nr) * BITS_PER_LONG; i++) {
		bool expect = i < nr && oracle(&regs[i], dest, logical, width);

		CHECK_MSG(test_bit(i, set.bits) == expect,
			  "index %u of %u, dest %#x%s%s: %s", i, nr, dest,
			  logical ? " logical" : "",
			  width == OST_DEST_8 ? "" : width == OST_DEST_32 ? " of 32" : " of either",
			  expect ? "missed" : "not meant");
		if (i < nr)
			CHECK_EQ(ost_dest_match(&addrs[i], dest, logical, width), expect);
		count += expect;
	}
	one = ost_dest_map_one(&map, dest, logical, width);
	if (one >= 0)
		CHECK_MSG(count == 1 && test_bit(one, set.bits), "dest %#x is not only %d", dest,
			  one);
	/* The way that IPIs take mostly is one where it can be. */
	if (!logical && count == 1 && !map.shared_ids && nr > 1 && dest != ~0u && dest != 0xff)
		CHECK(one >= 0);
}

static void fill(u32 i, enum state state, u32 id, u32 ldr, u32 dfr)
{
	regs[i] = (struct regs){ .state = state, .initial_id = id, .id_reg = id << 24,
				 .ldr_reg = ldr << 24, .dfr_reg = dfr };
}

static void all_widths(u32 nr, u32 dest)
{
	static const enum ost_dest_width widths[] = { OST_DEST_8, OST_DEST_32, OST_DEST_EITHER };
	u32 i;

	for (i = 0; i < 3; i++) {
		check(nr, dest, false, widths[i]);
		check(nr, dest, true, widths[i]);
	}
}

static void all_dests(u32 nr)
{
	u32 dest;

	for (dest = 0; dest < 256 && !tap_failed(); dest++)
		all_widths(nr, dest);
	all_widths(nr, ~0u);
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

	for (i = 0; i < 240; i++)
		fill(i, X2APIC, i, 0, 0);
	build(240);
	all_dests(240);
	for (i = 0; i < 18 && !tap_failed(); i++)
		for (dest = 1; dest < 0x10000; dest = dest * 2 + 1)
			check(240, i << 16 | dest, true, OST_DEST_32);
	all_widths(240, 0xffff0001);
	all_widths(240, 0x10000);
	all_widths(240, 0x105);
}

/* Ids up to the highest, with holes, as VMMs make them of topologies; ones in xAPIC mode among them. */
static void large_ids(void)
{
	u32 i, dest;

	for (i = 0; i < MAX; i++)
		fill(i, i % 9 == 8 ? XAPIC : X2APIC, OST_DEST_MAX_ID - 1 - 4 * i, 1 << (i & 7), ~0u);
	build(MAX);
	for (dest = 0; dest < OST_DEST_MAX_ID + 20 && !tap_failed(); dest += 1 + dest % 13)
		all_widths(MAX, dest);
	for (i = 0; i < 258 && !tap_failed(); i += 3)
		for (dest = 1; dest < 0x10000; dest = dest * 4 + 1)
			check(MAX, i << 16 | dest, true, OST_DEST_32);
	all_widths(MAX, 0xff);
	all_widths(MAX, ~0u);
	all_widths(MAX, 0xfffffffe);
	all_widths(MAX, 0x80000000);
}

/* A map is as large as it has to be. */
static void sizes(void)
{
	u32 i;

	for (i = 0; i < MAX; i++)
		fill(i, X2APIC, i, 0, 0);
	build(8);
	CHECK(ost_dest_map_size(addrs, 8) < 1024);
	build(MAX);
	CHECK(ost_dest_map_size(addrs, MAX) < 16384);
}

/* Every mixture that guests and VMMs can bring about, also ids that several have. */
static void random_mixtures(void)
{
	u32 round, i, nr;

	srandom(3);
	for (round = 0; round < 2000 && !tap_failed(); round++) {
		bool unique = random() & 1;

		nr = 1 + random() % (round % 10 ? 12 : round % 100 ? 240 : MAX);
		for (i = 0; i < nr; i++) {
			static const u32 dfrs[] = { ~0u, 0x0fffffff, 0x7fffffff };
			u32 id = nr <= 240 ? i * 7 % 251 : i * 7 % 4093;

			fill(i, random() % 3, id, random() & 0xff, dfrs[random() % 3]);
			if (!unique)
				regs[i].id_reg = (u32)(random() % 16) << 24;
		}
		build(nr);
		for (i = 0; i < 60; i++) {
			u32 dest = random() & 0xff;

			if (random() % 4 == 0)
				dest = random() % (nr <= 240 ? 20 : 260) << 16 | (random() & 0xffff);
			else if (random() % 8 == 0)
				dest = random() % OST_DEST_MAX_ID;
			else if (random() % 16 == 0)
				dest = ~0u;
			check(nr, dest, random() & 1, random() % 3);
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
	tap_run("ids of up to 12 bits", large_ids);
	tap_run("sizes of maps", sizes);
	tap_run("random mixtures", random_mixtures);
	tap_run("no LAPIC, and one that is off", none);
	return tap_done();
}
