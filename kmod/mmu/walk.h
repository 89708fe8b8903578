/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk of the guest's own page tables (walk.c; pure: unit tests and fuzzers build it too), by
 * SDM vol. 3A chapter 4 and APM vol. 2 chapter 5.
 */
#ifndef OST_MMU_WALK_H
#define OST_MMU_WALK_H

#include <linux/bits.h>
#include <linux/types.h>
#include "../ost.h"

#define OST_ACCESS_WRITE BIT(0)
#define OST_ACCESS_USER BIT(1)		/* by CPL 3 */
#define OST_ACCESS_FETCH BIT(2)
#define OST_ACCESS_IMPLICIT BIT(3)	/* supervisor access whatever the CPL (descriptor tables) */
#define OST_ACCESS_NO_AD BIT(4)		/* do not set A/D bits (KVM_TRANSLATE, debugging) */

/* Paging state a walk depends on: collected by ost_walk_state(). CR0.PG is set. */
struct ost_walk_state {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;			/* AC, for SMAP */
	u32 pkru;
	u64 gpa_reserved;		/* bits above the guest's MAXPHYADDR */
	bool gbpages;
	bool pse36;
	bool amd;			/* bit 8 of PML4 and PML5 entries is reserved (APM 5.3) */
	u64 pdptes[4];			/* in PAE mode without long mode, as the CPU holds them */
	bool pdptes_valid;		/* otherwise they are read from CR3's page */
};

/* How walk.c reaches guest memory; the same in the kernel and in unit tests. */
struct ost_walk_ops {
	int (*read)(void *ctx, gpa_t gpa, u64 *pte, u32 size);	/* 0 or -EFAULT */
	/*
	 * 0, 1 when the entry changed (walk again), -EFAULT (read-only: the walk goes on without).
	 */
	int (*cmpxchg)(void *ctx, gpa_t gpa, u64 old, u64 new, u32 size);
};

struct ost_walk_fault {
	u64 address;		/* CR2 */
	u32 error_code;		/* PFERR_* of a #PF */
	bool not_memory;	/* a paging structure lies outside of memory: no #PF, -EFAULT */
};

/*
 * gva to gpa by all the rules (32-bit, PSE-36, PAE, 4 and 5 levels; NX, WP, SMEP, SMAP, PKU,
 * reserved bits; sets A and D). The caller has seen to it that gva is canonical; outside of long
 * mode its upper half is ignored. 0, or 1 with *fault filled.
 */
int ost_walk(const struct ost_walk_state *state, const struct ost_walk_ops *ops, void *ctx,
	     gva_t gva, u32 access, gpa_t *gpa, struct ost_walk_fault *fault);

/* May the CPU load this PDPTE (of PAE mode)? Absent ones always. SDM table 4-8, APM 5.2.3. */
bool ost_pdpte_loadable(u64 pdpte, u64 gpa_reserved);

#endif
