/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which LAPICs an interrupt message addresses (SDM 11.6.2, 11.12.9). Pure: dest.c works on what it
 * is given.
 *
 * A map is built from the addresses of all LAPICs and then is immutable, as large as their number and
 * their ids want it to be. A lookup costs the same for 1 and 1024 of them, but for xAPIC ids that several
 * have, which are searched. Sets are over vCPU indexes.
 */
#ifndef OST_IRQCHIP_DEST_H
#define OST_IRQCHIP_DEST_H

#include <linux/bitops.h>
#include <linux/types.h>

#define OST_DEST_MAX 1024	/* vCPU indexes stay below this */
#define OST_DEST_MAX_ID 4096	/* and ids below this */

/* How a LAPIC looks at destinations. */
enum ost_dest_mode {
	OST_DEST_OFF,		/* disabled in IA32_APIC_BASE: nothing reaches it */
	OST_DEST_PHYSICAL,	/* xAPIC with a reserved model in DFR: physical mode only */
	OST_DEST_FLAT,
	OST_DEST_CLUSTER,
	OST_DEST_X2APIC,
};

/* What the destination field of a message is. */
enum ost_dest_width {
	OST_DEST_8,		/* 8 bits: all ones mean everyone */
	OST_DEST_32,		/* 32 bits, from a sender in x2APIC mode: all ones mean everyone */
	OST_DEST_EITHER,	/* the sender can't tell: 32 ones mean everyone, 8 all in xAPIC mode */
};

/* What a LAPIC is addressed by. */
struct ost_dest_addr {
	u32 id;
	u32 ldr;		/* logical id: 8 bits, in x2APIC mode 32 */
	u32 mode;		/* enum ost_dest_mode */
};

/* Valid up to the number of LAPICs in the map, rounded up to whole words. */
struct ost_dest_set {
	DECLARE_BITMAP(bits, OST_DEST_MAX);
};

struct ost_dest_map {
	u32 nr;			/* LAPICs */
	u32 nr_ids;		/* the highest id + 1 */
	bool shared_ids;	/* several have the same id in xAPIC mode: ids are searched */
	const struct ost_dest_addr *addr; /* by index */
	s16 *by_id;		/* index of the one with this id, -1 for none */
	/* Sets of nr bits in whole words: all, those in xAPIC mode, by bit in LDR, by cluster and bit. */
	unsigned long *sets;
};

/*
 * Is a LAPIC with this address among those that (dest, logical) means? This is the rule itself; the map
 * is a faster way to the same answers.
 */
bool ost_dest_match(const struct ost_dest_addr *addr, u32 dest, bool logical, enum ost_dest_width width);

/* How many bytes a map of these LAPICs needs for what it points to but for addr. */
size_t ost_dest_map_size(const struct ost_dest_addr *addr, u32 nr);

/* Fills a map with those LAPICs. `addr` stays in use; `memory` has ost_dest_map_size() bytes, aligned as a long. */
void ost_dest_map_build(struct ost_dest_map *map, const struct ost_dest_addr *addr, u32 nr, void *memory);

/* The one that is addressed, when it is easily seen that it is one; -1 otherwise. */
int ost_dest_map_one(const struct ost_dest_map *map, u32 dest, bool logical, enum ost_dest_width width);

/* All that are addressed. */
void ost_dest_map_find(const struct ost_dest_map *map, u32 dest, bool logical, enum ost_dest_width width,
		       struct ost_dest_set *set);

#endif
