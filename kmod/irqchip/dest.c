// SPDX-License-Identifier: GPL-2.0-only
/* Matching interrupt destinations; see dest.h. */
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "dest.h"

#define BROADCAST_8 0xff
#define BROADCAST_32 0xffffffff

/*
 * 8-bit all ones comes from IOAPIC, MSI, or a LAPIC in xAPIC mode, and means everyone, also in
 * logical mode (SDM 11.6.2.2); LAPICs in x2APIC mode listen to it like the others, as ids stop at
 * 254.
 */
static bool is_broadcast(u32 dest, bool wide)
{
	return dest == (wide ? BROADCAST_32 : BROADCAST_8);
}

bool ost_dest_match(const struct ost_dest_addr *addr, u32 dest, bool logical, bool wide)
{
	if (addr->mode == OST_DEST_OFF)
		return false;
	if (is_broadcast(dest, wide))
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

static void set_add(struct ost_dest_set *set, u32 index)
{
	__set_bit(index, set->bits);
}

static void set_join(struct ost_dest_set *set, const struct ost_dest_set *more)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(set->bits); i++)
		set->bits[i] |= more->bits[i];
}

void ost_dest_map_build(struct ost_dest_map *map, u32 nr)
{
	const struct ost_dest_addr *addr;
	u32 i, bit;

	map->nr = nr;
	map->shared_ids = false;
	memset(map->by_id, 0xff, sizeof(map->by_id));
	memset(&map->all, 0, sizeof(map->all));
	memset(map->flat, 0, sizeof(map->flat));
	memset(map->cluster, 0, sizeof(map->cluster));
	for (i = 0; i < nr; i++) {
		addr = &map->addr[i];
		if (addr->mode == OST_DEST_OFF)
			continue;
		set_add(&map->all, i);
		if (map->by_id[addr->id & 0xff] >= 0)
			map->shared_ids = true;
		map->by_id[addr->id & 0xff] = i;
		for (bit = 0; bit < 8; bit++)
			if (addr->mode == OST_DEST_FLAT && addr->ldr & BIT(bit))
				set_add(&map->flat[bit], i);
		for (bit = 0; bit < 4; bit++)
			if (addr->mode == OST_DEST_CLUSTER && addr->ldr & BIT(bit))
				set_add(&map->cluster[addr->ldr >> 4 & 0xf][bit], i);
	}
}

int ost_dest_map_one(const struct ost_dest_map *map, u32 dest, bool logical, bool wide)
{
	if (logical || map->shared_ids || dest > 0xff || is_broadcast(dest, wide))
		return -1;
	return map->by_id[array_index_nospec(dest, ARRAY_SIZE(map->by_id))];
}

static void search(const struct ost_dest_map *map, u32 dest, bool logical, bool wide,
		   struct ost_dest_set *set)
{
	u32 i;

	for (i = 0; i < map->nr; i++)
		if (ost_dest_match(&map->addr[i], dest, logical, wide))
			set_add(set, i);
}

/*
 * Logical ids in x2APIC mode are made of the ids: cluster = id[31:4], bit = id[3:0] (SDM
 * 11.12.10.2).
 */
static void find_x2apic(const struct ost_dest_map *map, u32 dest, struct ost_dest_set *set)
{
	u32 cluster = dest >> 16, bit;
	int i;

	if (cluster > 0xf)
		return;
	cluster = array_index_nospec(cluster, 0x10);
	for (bit = 0; bit < 16; bit++) {
		if (!(dest & BIT(bit)))
			continue;
		i = map->by_id[cluster << 4 | bit];
		if (i >= 0 && map->addr[i].mode == OST_DEST_X2APIC)
			set_add(set, i);
	}
}

void ost_dest_map_find(const struct ost_dest_map *map, u32 dest, bool logical, bool wide,
		       struct ost_dest_set *set)
{
	u32 bit;

	memset(set, 0, sizeof(*set));
	if (is_broadcast(dest, wide)) {
		*set = map->all;
		return;
	}
	/* Where ids are not unique, by_id[] does not know all. */
	if (map->shared_ids || !logical) {
		search(map, dest, logical, wide, set);
		return;
	}
	find_x2apic(map, dest, set);
	if (dest > 0xff)
		return;
	dest = array_index_nospec(dest, 0x100);
	for (bit = 0; bit < 8; bit++)
		if (dest & BIT(bit))
			set_join(set, &map->flat[bit]);
	for (bit = 0; bit < 4; bit++)
		if (dest & BIT(bit))
			set_join(set, &map->cluster[dest >> 4][bit]);
}
