// SPDX-License-Identifier: GPL-2.0-only
/* Matching interrupt destinations; see dest.h. */
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "dest.h"

#define BROADCAST_8 0xff
#define BROADCAST_32 0xffffffff

/* The sets of a map. */
#define SET_ALL 0
#define SET_XAPIC 1
#define SET_FLAT 2		/* and one for each further bit of LDR */
#define SET_CLUSTER (SET_FLAT + 8) /* four, one for each bit, of each of 16 clusters */
#define NR_SETS (SET_CLUSTER + 16 * 4)

/*
 * 8-bit all ones comes from IOAPIC, MSI, or a LAPIC in xAPIC mode, and means everyone, also in
 * logical mode (SDM 11.6.2.2). LAPICs in x2APIC mode listen to it like the others, unless the VMM has said
 * that to them it is an id (KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK): OST_DEST_EITHER.
 */
static bool is_broadcast(u32 dest, enum ost_dest_width width)
{
	return dest == BROADCAST_32 || (dest == BROADCAST_8 && width == OST_DEST_8);
}

static bool is_xapic_broadcast(u32 dest, enum ost_dest_width width)
{
	return dest == BROADCAST_8 && width == OST_DEST_EITHER;
}

bool ost_dest_match(const struct ost_dest_addr *addr, u32 dest, bool logical, enum ost_dest_width width)
{
	if (addr->mode == OST_DEST_OFF)
		return false;
	if (is_broadcast(dest, width) ||
	    (addr->mode != OST_DEST_X2APIC && is_xapic_broadcast(dest, width)))
		return true;
	if (!logical)
		return dest == addr->id;
	switch (addr->mode) {
	case OST_DEST_FLAT:
		return dest <= 0xff && dest & addr->ldr;
	case OST_DEST_CLUSTER:
		return dest <= 0xff && dest >> 4 == addr->ldr >> 4 && dest & addr->ldr & 0xf;
	case OST_DEST_X2APIC:
		return dest >> 16 == addr->ldr >> 16 && dest & addr->ldr & 0xffff;
	}
	return false;
}

/* --- building --- */

static u32 count_ids(const struct ost_dest_addr *addr, u32 nr)
{
	u32 i, nr_ids = 1;

	for (i = 0; i < nr; i++)
		if (addr[i].mode != OST_DEST_OFF && addr[i].id >= nr_ids && addr[i].id < OST_DEST_MAX_ID)
			nr_ids = addr[i].id + 1;
	return nr_ids;
}

static u32 set_words(const struct ost_dest_map *map)
{
	return BITS_TO_LONGS(map->nr);
}

static unsigned long *set_of(const struct ost_dest_map *map, u32 set)
{
	return map->sets + set * set_words(map);
}

static void set_add(unsigned long *set, u32 index)
{
	set[index / BITS_PER_LONG] |= BIT(index % BITS_PER_LONG);
}

size_t ost_dest_map_size(const struct ost_dest_addr *addr, u32 nr)
{
	return NR_SETS * BITS_TO_LONGS(nr) * sizeof(long) + count_ids(addr, nr) * sizeof(s16);
}

static void add_xapic(struct ost_dest_map *map, u32 index)
{
	const struct ost_dest_addr *addr = &map->addr[index];
	u32 bit;

	set_add(set_of(map, SET_XAPIC), index);
	for (bit = 0; bit < 8; bit++)
		if (addr->mode == OST_DEST_FLAT && addr->ldr & BIT(bit))
			set_add(set_of(map, SET_FLAT + bit), index);
	for (bit = 0; bit < 4; bit++)
		if (addr->mode == OST_DEST_CLUSTER && addr->ldr & BIT(bit))
			set_add(set_of(map, SET_CLUSTER + (addr->ldr >> 4 & 0xf) * 4 + bit), index);
}

void ost_dest_map_build(struct ost_dest_map *map, const struct ost_dest_addr *addr, u32 nr, void *memory)
{
	u32 i;

	map->nr = nr;
	map->nr_ids = count_ids(addr, nr);
	map->shared_ids = false;
	map->addr = addr;
	map->sets = memory;
	map->by_id = (s16 *)(map->sets + NR_SETS * set_words(map));
	memset(map->sets, 0, NR_SETS * set_words(map) * sizeof(long));
	memset(map->by_id, 0xff, map->nr_ids * sizeof(*map->by_id));
	for (i = 0; i < nr; i++) {
		if (addr[i].mode == OST_DEST_OFF || addr[i].id >= map->nr_ids)
			continue;
		set_add(set_of(map, SET_ALL), i);
		if (map->by_id[addr[i].id] >= 0)
			map->shared_ids = true;
		map->by_id[addr[i].id] = i;
		if (addr[i].mode != OST_DEST_X2APIC)
			add_xapic(map, i);
	}
}

/* --- looking up --- */

static int index_of(const struct ost_dest_map *map, u32 id)
{
	return id < map->nr_ids ? map->by_id[array_index_nospec(id, map->nr_ids)] : -1;
}

int ost_dest_map_one(const struct ost_dest_map *map, u32 dest, bool logical, enum ost_dest_width width)
{
	if (logical || map->shared_ids || is_broadcast(dest, width) || is_xapic_broadcast(dest, width))
		return -1;
	return index_of(map, dest);
}

static void join(const struct ost_dest_map *map, struct ost_dest_set *set, u32 more)
{
	const unsigned long *from = set_of(map, more);
	u32 i;

	for (i = 0; i < set_words(map); i++)
		set->bits[i] |= from[i];
}

static void search(const struct ost_dest_map *map, u32 dest, bool logical, enum ost_dest_width width,
		   struct ost_dest_set *set)
{
	u32 i;

	for (i = 0; i < map->nr; i++)
		if (ost_dest_match(&map->addr[i], dest, logical, width))
			set_add(set->bits, i);
}

/*
 * Logical ids in x2APIC mode are made of the ids: cluster = id[31:4], bit = id[3:0] (SDM
 * 11.12.10.2).
 */
static void find_x2apic(const struct ost_dest_map *map, u32 dest, struct ost_dest_set *set)
{
	u32 cluster = dest >> 16, bit;
	int i;

	for (bit = 0; bit < 16; bit++) {
		if (!(dest & BIT(bit)))
			continue;
		i = index_of(map, cluster << 4 | bit);
		if (i >= 0 && map->addr[i].mode == OST_DEST_X2APIC)
			set_add(set->bits, i);
	}
}

static void find_logical(const struct ost_dest_map *map, u32 dest, struct ost_dest_set *set)
{
	u32 bit;

	find_x2apic(map, dest, set);
	if (dest > 0xff)
		return;
	dest = array_index_nospec(dest, 0x100);
	for (bit = 0; bit < 8; bit++)
		if (dest & BIT(bit))
			join(map, set, SET_FLAT + bit);
	for (bit = 0; bit < 4; bit++)
		if (dest & BIT(bit))
			join(map, set, SET_CLUSTER + (dest >> 4) * 4 + bit);
}

void ost_dest_map_find(const struct ost_dest_map *map, u32 dest, bool logical, enum ost_dest_width width,
		       struct ost_dest_set *set)
{
	int i;

	memset(set->bits, 0, set_words(map) * sizeof(long));
	if (is_broadcast(dest, width)) {
		join(map, set, SET_ALL);
		return;
	}
	/* Where ids are not unique, by_id[] does not know all. */
	if (map->shared_ids) {
		search(map, dest, logical, width, set);
		return;
	}
	if (is_xapic_broadcast(dest, width))
		join(map, set, SET_XAPIC);
	if (logical) {
		find_logical(map, dest, set);
		return;
	}
	i = index_of(map, dest);
	if (i >= 0)
		set_add(set->bits, i);
}
