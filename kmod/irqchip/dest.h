/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which LAPICs an interrupt message addresses (SDM 11.6.2, 11.12.9). Pure: dest.c works on what it
 * is given.
 *
 * A map is built from the addresses of all LAPICs and then is immutable: a lookup costs the same
 * for 1 and 240 of them. Sets are over vCPU indexes.
 */
#ifndef OST_IRQCHIP_DEST_H
#define OST_IRQCHIP_DEST_H

#include <linux/bitops.h>
#include <linux/types.h>

#define OST_DEST_MAX 256	/* vCPU indexes stay below this */

/* How a LAPIC looks at destinations. */
enum ost_dest_mode {
	OST_DEST_OFF,		/* disabled in IA32_APIC_BASE: nothing reaches it */
	OST_DEST_PHYSICAL,	/* xAPIC with a reserved model in DFR: physical mode only */
	OST_DEST_FLAT,
	OST_DEST_CLUSTER,
	OST_DEST_X2APIC,
};

/* What a LAPIC is addressed by. */
struct ost_dest_addr {
	u32 id;
	u32 ldr;		/* logical id: 8 bits, in x2APIC mode 32 */
	u32 mode;		/* enum ost_dest_mode */
};

struct ost_dest_set {
	DECLARE_BITMAP(bits, OST_DEST_MAX);
};

struct ost_dest_map {
	u32 nr;
	bool shared_ids;	/* several have the same id in xAPIC mode: ids are searched */
	s16 by_id[256];		/* index of the one with this id, -1 for none */
	struct ost_dest_set all;
	struct ost_dest_set flat[8];		/* those with this bit in LDR */
	struct ost_dest_set cluster[16][4];	/* those of this cluster with this bit */
	struct ost_dest_addr addr[];
};

/*
 * Is a LAPIC with this address among those that (dest, logical) means? wide: dest has 32 bits, from
 * a sender in x2APIC mode; else it has 8. This is the rule itself; the map is a faster way to the
 * same answers.
 */
bool ost_dest_match(const struct ost_dest_addr *addr, u32 dest, bool logical, bool wide);

/* Fills a map whose addr[] has room for nr and is set already. */
void ost_dest_map_build(struct ost_dest_map *map, u32 nr);

/* The one that is addressed, when it is easily seen that it is one; -1 otherwise. */
int ost_dest_map_one(const struct ost_dest_map *map, u32 dest, bool logical, bool wide);

/* All that are addressed. */
void ost_dest_map_find(const struct ost_dest_map *map, u32 dest, bool logical, bool wide,
		       struct ost_dest_set *set);

#endif
