/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest physical memory: slots (slots.c: pure; region.c), the nested page table (table.c: pure;
 * tdp.c), nested page faults (fault.c), MMU notifier (notifier.c), dirty logging (dirty.c), access
 * from the kernel (access.c), and the walk of the guest's own page tables (walk.c: pure;
 * translate.c).
 *
 * A VM has a nested page table for each address space (struct ost_space), shared by the vCPUs that are in it. Faults
 * change it in parallel with atomic
 * updates of single entries and hold mmu->lock for reading; what removes or write-protects ranges
 * (notifier, slot changes, dirty log) holds it for writing, and flushes TLBs before it lets go of
 * it wherever entries went away. Pages of the table are freed only after a TLB flush of all vCPUs.
 *
 * Faults look a page up without holding any lock and have to notice when that became wrong
 * meanwhile: under mmu->lock they compare the slots' generation, and invalidate_seq and the range
 * being invalidated, with what they saw before they looked. So a slot change waits for no fault,
 * even one that userfaultfd holds up.
 *
 * Lock order: slots_lock, mm->mmap_lock and the locks of reverse maps, mmu->lock. vm->srcu is
 * read-locked outside of mmu->lock; slots_lock is never taken under vm->srcu.
 */
#ifndef OST_MMU_H
#define OST_MMU_H

#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rwlock.h>
#include "../ost.h"
#include "slots.h"
#include "table.h"
#include "walk.h"

struct ost_vm;
struct ost_vcpu;

/* Address spaces (KVM_CAP_MULTI_ADDRESS_SPACE): what a vCPU sees outside of SMM, and in it. */
enum ost_space_id { OST_SPACE_NORMAL, OST_SPACE_SMM, OST_NR_SPACES };

/*
 * Slots, and the nested page table that comes of them. Where no vCPU has been in SMM yet, the second's table is an empty
 * one that all VMs share and nothing writes to; see ost_mmu_make_space().
 */
struct ost_space {
	/* Readers: vm->srcu, slots_lock or lock. Changed under both locks. */
	struct ost_memslots __rcu *slots;
	u64 generation;				/* of slots [any: READ_ONCE]; changed as they are */
	struct ost_table table;
	u64 root_hpa;				/* of table.root; nCR3 and EPTP are made of it */
};

struct ost_mmu {
	struct mutex slots_lock;		/* changes of slots and dirty log calls */
	rwlock_t lock;				/* the tables: see above */
	struct ost_space space[OST_NR_SPACES];
	struct mmu_notifier notifier;
	unsigned long invalidate_seq;		/* written under lock: invalidations that ended */
	long invalidate_in_progress;		/* guarded by lock */
	unsigned long invalidate_start, invalidate_end; /* hva range in progress; guarded by lock */
	gfn_t overlay_gfn;			/* see ost_mmu_set_overlay() [any: READ_ONCE] */
	u64 overlay_pfn;			/* 0 for none; both guarded by lock */
	bool maps_devices;			/* a device's memory is or was mapped [any: READ_ONCE] */
	bool guest_types;			/* see ost_mmu_set_guest_types(); guarded by lock */
	u32 manual_log;				/* KVM_DIRTY_LOG_MANUAL_* in force; guarded by slots_lock */
	u32 ring_entries;			/* of every dirty ring, 0 for none; set before the first vCPU */
	unsigned long max_tables;		/* KVM_SET_NR_MMU_PAGES [any: READ_ONCE], ULONG_MAX for none */
	atomic_long_t nr_tables;		/* pages of the nested page tables */
	atomic_long_t nr_mmio_tables;		/* those that were wanted for MMIO alone, in the VM's life */
};

/* How nested page table entries look; the same for all spaces. */
static inline const struct ost_pte_format *ost_mmu_format(const struct ost_mmu *mmu)
{
	return mmu->space[OST_SPACE_NORMAL].table.format;
}

/* VM creation and end. mm is current->mm. init: 0, -ENOMEM, or -EINTR with a signal pending. */
int ost_mmu_init(struct ost_vm *vm);
/*
 * Before the VM's objects go: no notifier runs after it. Old arrays of slots may still wait for
 * vm->srcu, so an srcu_barrier() has to follow. May sleep.
 */
void ost_mmu_destroy(struct ost_vm *vm);

/*
 * Has the space a table of its own from now on? -ENOMEM if there is no memory for one. Before a vCPU comes into it.
 * May sleep.
 */
int ost_mmu_make_space(struct ost_vm *vm, enum ost_space_id id);
/*
 * The vCPU is in that space from now on; the backend still has to hear of it (smm_changed). What the CPU has noted of
 * writes to the other is in the log. [vcpu]
 */
void ost_mmu_set_space(struct ost_vcpu *vcpu, enum ost_space_id id);

/* KVM_SET_USER_MEMORY_REGION: 0, -EINVAL, -EEXIST, -ENOMEM, -EBUSY. May sleep. */
int ost_mmu_set_region(struct ost_vm *vm, const struct kvm_userspace_memory_region *region);
/*
 * KVM_SET_NR_MMU_PAGES: about so many pages the nested page table may have; when it wants more it is dropped, and
 * faults make it anew. 0 or -EINVAL. May sleep.
 */
int ost_mmu_set_nr_pages(struct ost_vm *vm, unsigned long nr);
/* KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG: 0, -EINVAL, -ENOENT, -EFAULT, -ENXIO with dirty rings. May sleep. */
int ost_mmu_get_dirty_log(struct ost_vm *vm, const struct kvm_dirty_log *log);
int ost_mmu_clear_dirty_log(struct ost_vm *vm, const struct kvm_clear_dirty_log *log);
/* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: 0 or -EINVAL. May sleep. */
int ost_mmu_set_manual_log(struct ost_vm *vm, const u64 *args);

/*
 * For backends whose CPU notes writes (ost_pte_format.logs_writes): pages that the vCPU wrote, by any
 * address in them. Those in no slot, or one without a log, are nothing. Any context but interrupts.
 */
void ost_mmu_mark_written(struct ost_vcpu *vcpu, const u64 *gpas, u32 nr);

/*
 * Where no slot is, gfn maps page pfn of the kernel's, which it must not mind guests to write; pfn 0
 * takes that back. One at a time, always the same gfn. When it returns no vCPU has the page before.
 * May sleep.
 */
void ost_mmu_set_overlay(struct ost_vm *vm, gfn_t gfn, u64 pfn);

/*
 * Are the guest's memory types (its PAT's) to count for RAM? Where they do not, all of it is cached; where the
 * hardware has no way to overrule them, they always do. May sleep.
 */
void ost_mmu_set_guest_types(struct ost_vm *vm, bool on);

/* Why a nested fault happened; also the ABI of ost_mmu_fault(). */
#define OST_FAULT_WRITE BIT(0)
#define OST_FAULT_EXEC BIT(1)
#define OST_FAULT_TRANSLATED BIT(3)	/* the access of the instruction itself, its linear address translated */
#define OST_FAULT_ATOMIC BIT(2)		/* do not sleep: OST_FAULT_AGAIN where one would have to */
#define OST_FAULT_NOWAIT BIT(4)		/* do not wait for a page that the host has to fetch: likewise */

enum ost_fault_result {
	OST_FAULT_FIXED,	/* mapped (or someone else did): enter again */
	OST_FAULT_AGAIN,	/* such an attempt failed: call again from [vcpu] without ATOMIC or NOWAIT */
	OST_FAULT_MMIO,		/* no slot there, or a write to a read-only slot: emulate */
	OST_FAULT_SIGNAL,	/* a signal is pending (SIGBUS for a broken page): -EINTR */
	OST_FAULT_BAD,		/* the slot's memory can't be had (unmapped hva: -EFAULT) */
	OST_FAULT_NOMEM,	/* no memory for the nested page table: -ENOMEM */
};

/*
 * Is it known of this page, without a look at the slots, that it has none, so that it is device memory?
 * Pages get known by ost_mmu_fault(). Any context.
 */
bool ost_mmio_page_known(struct ost_vcpu *vcpu, gpa_t gpa);

/*
 * Resolves a nested page fault at gpa. flags are OST_FAULT_*. [vcpu], or [atomic] with
 * OST_FAULT_ATOMIC. Traces it, and counts it in vcpu->stats. Where OST_FAULT_NOWAIT has come to OST_FAULT_AGAIN,
 * vcpu->apf.hva is the VMM's address of the page.
 */
enum ost_fault_result ost_mmu_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags);

/*
 * Maps the page as a read of the guest's would, and counts as such, where it is not mapped yet. OST_FAULT_AGAIN: to be
 * called again, to see that it is; OST_FAULT_MMIO where no slot is. May sleep. [vcpu]
 */
enum ost_fault_result ost_mmu_pre_fault(struct ost_vcpu *vcpu, gfn_t gfn);

/*
 * Access to guest physical memory from the kernel, through the slots and the owner's address space
 * (dirty-marked); to the memory outside of SMM, and, with a vCPU, to what that one sees. 0, or -EFAULT when a part has no slot (or is read-only, for writes) or its memory
 * can't be had. [vcpu] (may sleep) by a thread of the owner's mm. Takes vm->srcu itself.
 */
int ost_gpa_read(struct ost_vm *vm, gpa_t gpa, void *buf, u32 len);
int ost_gpa_write(struct ost_vm *vm, gpa_t gpa, const void *buf, u32 len);
int ost_vcpu_read(struct ost_vcpu *vcpu, gpa_t gpa, void *buf, u32 len);
int ost_vcpu_write(struct ost_vcpu *vcpu, gpa_t gpa, const void *buf, u32 len);
/*
 * Compare and exchange of 1, 2, 4, 8 (or 16) naturally aligned bytes in guest memory: 0 when done,
 * 1 when *old differed (it then holds what was found), -EFAULT.
 */
int ost_gpa_cmpxchg(struct ost_vm *vm, gpa_t gpa, void *old, const void *new, u32 len);
int ost_vcpu_cmpxchg(struct ost_vcpu *vcpu, gpa_t gpa, void *old, const void *new, u32 len);
/* What ost_peek_code() reads. */
#define OST_PEEK_BYTES 16
/*
 * The OST_PEEK_BYTES that begin at the linear address of code which this vCPU has just executed.
 * False where they can't be had at once: where they cross a page, are swapped out, or their translation has
 * changed; then a walk has to be made. Any context; by a thread of the owner's mm.
 */
bool ost_peek_code(struct ost_vcpu *vcpu, u64 linear, u8 *bytes);
/* Is there a slot at gpa (and may it be written)? Takes vm->srcu. */
bool ost_gpa_has_slot(struct ost_vm *vm, gpa_t gpa, bool write);
bool ost_vcpu_has_slot(struct ost_vcpu *vcpu, gpa_t gpa, bool write);

/*
 * ost_walk() (walk.h) for a vCPU as it stands; without paging gpa is gva. 0, or 1 with *fault
 * filled. [vcpu]
 */
int ost_gva_to_gpa(struct ost_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		   struct ost_walk_fault *fault);

/*
 * Whether the four PDPTEs at the guest's CR3 are loadable (no reserved bits); PAE mode's MOV CR3.
 * [vcpu]
 */
bool ost_pdptes_valid(struct ost_vcpu *vcpu, u64 cr3);

#endif
