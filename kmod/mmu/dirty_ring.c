// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty rings (dirty_ring.h).
 *
 * A page's bit in its slot's log (dirty.c) says that it is in some ring, so that a page that is written again and
 * again by the kernel takes one entry. The VMM marks entries that it has seen; the reset clears their pages' bits and
 * arms them. After that, not before, the VMM may copy the pages.
 *
 * When a ring has no more room than what may come before the next look at requests, the guest may not go on
 * (KVM_EXIT_DIRTY_RING_FULL) until entries were given back. What may come are the notes of a CPU that makes
 * them, and what one exit's handling writes. A VMM that by other calls makes the kernel write so many pages
 * that there is no room at all loses its VM, rather than writes.
 *
 * What the VMM writes into entries is its own affair: at worst another page of its slots than that which was
 * written is armed. All that the kernel counts by is in its own memory.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>
#include "../backend.h"
#include "../vcpu.h"
#include "internal.h"

/* Entries left when a vCPU has to leave: for one exit's handling, and for all that a CPU notes at a time. */
#define ROOM_FOR_EXIT 64
#define ROOM_FOR_NOTES 512
/* Entries given back between two chances for others to take mmu->lock. */
#define BATCH 64

static u32 ring_room(const struct ost_vm *vm)
{
	return ROOM_FOR_EXIT + (ost_mmu_format(&vm->mmu)->logs_writes ? ROOM_FOR_NOTES : 0);
}

int ost_dirty_rings_enable(struct ost_vm *vm, const u64 *args)
{
	u64 bytes = args[0];
	struct ost_memslots *slots;
	struct ost_space *space;
	int err = -EINVAL;
	u32 i;

	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE ||
	    bytes <= ring_room(vm) * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > OST_DIRTY_RING_MAX * sizeof(struct kvm_dirty_gfn))
		return -E2BIG;
	mutex_lock(&vm->lock);
	mutex_lock(&vm->mmu.slots_lock);
	if (vm->nr_creating || vm->mmu.ring_entries)
		goto out;
	/* Bits of logs that are there already (KVM_DIRTY_LOG_INITIALLY_SET) stand for no entry. */
	ost_for_each_space(space, &vm->mmu) {
		slots = ost_slots(vm, space);
		for (i = 0; i < slots->nr; i++)
			if (slots->slots[i].log)
				ost_dirty_log_clear(slots->slots[i].log);
	}
	vm->mmu.ring_entries = bytes / sizeof(struct kvm_dirty_gfn);
	err = 0;
out:
	mutex_unlock(&vm->mmu.slots_lock);
	mutex_unlock(&vm->lock);
	return err;
}

static unsigned long ring_bytes(const struct ost_vcpu *vcpu)
{
	return vcpu->vm->mmu.ring_entries * sizeof(struct kvm_dirty_gfn);
}

int ost_dirty_ring_create(struct ost_vcpu *vcpu)
{
	struct ost_dirty_ring *ring = &vcpu->dirty_ring;

	raw_spin_lock_init(&ring->lock);
	if (!vcpu->vm->mmu.ring_entries)
		return 0;
	ring->entries = __vmalloc(ring_bytes(vcpu), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return ring->entries ? 0 : -ENOMEM;
}

void ost_dirty_ring_destroy(struct ost_vcpu *vcpu)
{
	vfree(vcpu->dirty_ring.entries);
}

static unsigned long ring_pages(const struct ost_vcpu *vcpu)
{
	return vcpu->dirty_ring.entries ? ring_bytes(vcpu) >> PAGE_SHIFT : 0;
}

struct page *ost_dirty_ring_page(struct ost_vcpu *vcpu, unsigned long pgoff)
{
	unsigned long nr = ring_pages(vcpu);

	if (pgoff < KVM_DIRTY_LOG_PAGE_OFFSET || pgoff - KVM_DIRTY_LOG_PAGE_OFFSET >= nr)
		return NULL;
	pgoff = array_index_nospec(pgoff - KVM_DIRTY_LOG_PAGE_OFFSET, nr);
	return vmalloc_to_page((void *)vcpu->dirty_ring.entries + (pgoff << PAGE_SHIFT));
}

bool ost_dirty_ring_overlaps(const struct ost_vcpu *vcpu, unsigned long pgoff, unsigned long nr)
{
	unsigned long pages = ring_pages(vcpu);

	return pages && pgoff < KVM_DIRTY_LOG_PAGE_OFFSET + pages &&
	       pgoff + nr > KVM_DIRTY_LOG_PAGE_OFFSET;
}

static u32 ring_used(const struct ost_dirty_ring *ring)
{
	/* Entries that were given back have been read: pairs with the release in reset_ring(). */
	u32 reset = smp_load_acquire(&ring->reset);

	return READ_ONCE(ring->added) - reset;
}

bool ost_dirty_ring_full(const struct ost_vcpu *vcpu)
{
	const struct ost_vm *vm = vcpu->vm;

	return ring_used(&vcpu->dirty_ring) >= vm->mmu.ring_entries - ring_room(vm);
}

static bool ring_add(struct ost_vm *vm, struct ost_dirty_ring *ring, u32 slot_id, u64 page)
{
	struct kvm_dirty_gfn *entry;
	unsigned long flags;
	bool room;

	/* Also from the scheduler (pv.c), so that no interrupt may come to one who holds it. */
	raw_spin_lock_irqsave(&ring->lock, flags);
	room = ring_used(ring) < vm->mmu.ring_entries;
	if (room) {
		entry = &ring->entries[ring->added & (vm->mmu.ring_entries - 1)];
		entry->slot = slot_id;
		entry->offset = page;
		/*
		 * Who sees the flag sees the rest, and that the entry is in the ring: the VMM may give it back at once, and
		 * counts on every one that it has found being taken.
		 */
		WRITE_ONCE(ring->added, ring->added + 1);
		smp_store_release(&entry->flags, KVM_DIRTY_GFN_F_DIRTY);
	}
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	return room;
}

void ost_dirty_ring_push(struct ost_vm *vm, struct ost_vcpu *vcpu, u32 slot_id, u64 page)
{
	if (!vcpu)
		vcpu = ost_vcpu_here(vm);
	/* There is a first one: without vCPUs nothing writes guest memory. */
	if (!vcpu)
		vcpu = vm->vcpus[0];
	if (WARN_ON_ONCE(!vcpu))
		return;
	if (unlikely(!ring_add(vm, &vcpu->dirty_ring, slot_id, page))) {
		pr_warn_ratelimited("VM %llu vCPU %u: its dirty ring is full\n", vm->id, vcpu->id);
		ost_vm_kill(vm);
		return;
	}
	if (ost_dirty_ring_full(vcpu))
		ost_request(vcpu, OST_REQ_DIRTY_RING);
}

void ost_dirty_ring_sync(struct ost_vcpu *vcpu)
{
	if (ost_mmu_format(&vcpu->vm->mmu)->logs_writes)
		ost_backend->drain_dirty(vcpu);
}

/* --- giving back --- */

struct reset {
	struct ost_vm *vm;
	const struct ost_memslot *slot;	/* of the last entry */
	bool flush;
	u32 nr;				/* entries of all rings */
};

/* mmu->lock held for writing. */
static void reset_page(struct reset *reset, u32 slot_id, u64 page)
{
	const struct ost_memslot *slot = reset->slot;

	if (!slot || slot->id != slot_id) {
		struct ost_space *space = ost_space_of(reset->vm, slot_id);

		slot = space ? ost_slots_by_id(ost_slots(reset->vm, space), slot_id) : NULL;
		reset->slot = slot;
	}
	if (!slot || !slot->log || page >= slot->npages)
		return;
	page = array_index_nospec(page, slot->npages);
	reset->flush |= ost_dirty_log_rearm(reset->vm, slot, page);
}

/* False when the next entry is none that the VMM gives back. mmu->lock held for writing. */
static bool reset_entry(struct reset *reset, struct kvm_dirty_gfn *entry)
{
	u64 page;
	u32 slot;

	/* The VMM sets the flag when it is done with the entry. */
	if (!(smp_load_acquire(&entry->flags) & KVM_DIRTY_GFN_F_RESET))
		return false;
	slot = READ_ONCE(entry->slot);
	page = READ_ONCE(entry->offset);
	WRITE_ONCE(entry->flags, 0);
	reset_page(reset, slot, page);
	return true;
}

/*
 * One ring: at most what is in it now, however fast the VMM marks what comes after it. 0 or -EINTR.
 * slots_lock held.
 */
static int reset_ring(struct reset *reset, struct ost_dirty_ring *ring)
{
	struct ost_vm *vm = reset->vm;
	u32 end = READ_ONCE(ring->added), at = ring->reset;
	bool more = at != end;

	while (more) {
		u32 stop = at + min_t(u32, end - at, BATCH);

		write_lock(&vm->mmu.lock);
		for (; more && at != stop; at += more, reset->nr += more)
			more = reset_entry(reset, &ring->entries[at & (vm->mmu.ring_entries - 1)]);
		write_unlock(&vm->mmu.lock);
		/* From here on they may be written anew. */
		smp_store_release(&ring->reset, at);
		more = more && at != end;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

long ost_dirty_rings_reset(struct ost_vm *vm)
{
	struct reset reset = { .vm = vm };
	struct ost_vcpu *vcpu;
	long err = 0;
	u32 i;

	if (!vm->mmu.ring_entries)
		return -EINVAL;
	mutex_lock(&vm->mmu.slots_lock);
	ost_for_each_vcpu(i, vcpu, vm) {
		err = reset_ring(&reset, &vcpu->dirty_ring);
		if (err)
			break;
	}
	/* Writes from now on are seen: the VMM may copy what it has found. */
	if (reset.flush)
		ost_mmu_flush(vm);
	mutex_unlock(&vm->mmu.slots_lock);
	return err ?: reset.nr;
}
