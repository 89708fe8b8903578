/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty rings: each vCPU's ring says which pages of logged slots it has written, in memory that it shares with the
 * VMM, which marks entries that it has seen, and gives them back by KVM_RESET_DIRTY_RINGS (dirty_ring.c).
 */
#ifndef OST_MMU_DIRTY_RING_H
#define OST_MMU_DIRTY_RING_H

#include <linux/kvm.h>
#include <linux/mm_types.h>
#include <linux/spinlock_types.h>
#include "../ost.h"

struct ost_vm;
struct ost_vcpu;

/* Most entries of a ring, and what the capability says of it. */
#define OST_DIRTY_RING_MAX 65536u

struct ost_dirty_ring {
	struct kvm_dirty_gfn *entries;	/* NULL for none. Hostile: mapped by the VMM */
	raw_spinlock_t lock;		/* who adds */
	u32 added;			/* entries up to now, modulo 2^32; changed under lock [any: READ_ONCE] */
	u32 reset;			/* of them given back; changed under slots_lock [any: acquire] */
};

/* KVM_CAP_DIRTY_LOG_RING and _ACQ_REL: 0, -EINVAL, -E2BIG. May sleep. */
int ost_dirty_rings_enable(struct ost_vm *vm, const u64 *args);
/* KVM_RESET_DIRTY_RINGS: how many entries the VMM has given back; -EINVAL, -EINTR. May sleep. */
long ost_dirty_rings_reset(struct ost_vm *vm);

/* A vCPU's ring, if its VM has them. create: 0 or -ENOMEM. */
int ost_dirty_ring_create(struct ost_vcpu *vcpu);
void ost_dirty_ring_destroy(struct ost_vcpu *vcpu);

/* The page of the ring at this page of the vCPU's mapping, or NULL. */
struct page *ost_dirty_ring_page(struct ost_vcpu *vcpu, unsigned long pgoff);
/* Do these pages of the mapping hold a part of the ring? */
bool ost_dirty_ring_overlaps(const struct ost_vcpu *vcpu, unsigned long pgoff, unsigned long nr);

/*
 * A page of a slot was written: into the ring of this vCPU, or, with NULL, into one that is found. Makes
 * OST_REQ_DIRTY_RING when it gets full. Any context but interrupts.
 */
void ost_dirty_ring_push(struct ost_vm *vm, struct ost_vcpu *vcpu, u32 slot_id, u64 page);
/* Has the ring so little room that the guest may not go on? [vcpu or atomic] */
bool ost_dirty_ring_full(const struct ost_vcpu *vcpu);
/* KVM_RUN ends: what the CPU has noted of the vCPU's writes goes into the ring. [vcpu] */
void ost_dirty_ring_sync(struct ost_vcpu *vcpu);

#endif
