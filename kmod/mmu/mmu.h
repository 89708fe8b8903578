/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest physical memory: slots (slots.c), the nested page table (table.c: pure; tdp.c: glue and
 * faults), MMU notifier (notifier.c), dirty logging (dirty.c), access from the kernel (access.c), and
 * the walk of the guest's own page tables (walk.c: pure).
 *
 * A VM has one nested page table, shared by its vCPUs. Faults change it in parallel under RCU with
 * atomic updates of single entries and hold mmu->lock for reading; what removes or write-protects
 * ranges (notifier, slot changes, dirty log) holds it for writing. Pages of the table are freed only
 * after a TLB flush of all vCPUs and an RCU grace period.
 */
#ifndef OST_MMU_H
#define OST_MMU_H

#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/rwlock.h>
#include "../ost.h"

struct ost_vm;
struct ost_vcpu;

#define OST_MAX_SLOTS 32764	/* KVM_CAP_NR_MEMSLOTS */

struct ost_memslot {
	gfn_t base_gfn;
	u64 npages;
	unsigned long hva;	/* userspace_addr */
	u32 id;			/* slot number of the ABI */
	u32 flags;		/* KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY */
	unsigned long *dirty_bitmap; /* bits set atomically by faults and kernel writes */
};

/* Immutable once published; sorted by base_gfn for lookup. Replaced whole under slots_lock. */
struct ost_memslots {
	struct rcu_head rcu;
	u64 generation;
	u32 nr;
	struct ost_memslot slots[];
};

struct ost_mmu {
	struct mutex slots_lock;		/* changes of slots and dirty log calls */
	struct ost_memslots __rcu *slots;	/* readers: vm->srcu or slots_lock */
	rwlock_t lock;				/* the table: see above */
	u64 root_hpa;				/* what the backend loads: nCR3, EPTP's address part */
	u64 *root;
	struct mmu_notifier notifier;
	unsigned long invalidate_seq;		/* guarded by lock; see tdp.c */
	long invalidate_in_progress;
	unsigned long invalidate_start, invalidate_end; /* hva range in progress */
	atomic_long_t nr_tables;		/* pages of the nested page table */
	u64 nr_pages;				/* sum of all slots; guarded by slots_lock */
};

/* Format of the nested page table's entries, given by the backend (const, one per format). */
struct ost_pte_format {
	u64 present;		/* set in every present entry (NPT: P; EPT: R) */
	u64 writable;
	u64 exec;		/* set to allow (EPT: X) */
	u64 no_exec;		/* set to forbid (NPT: NX) */
	u64 user;		/* set in every present entry (NPT: U; EPT: 0) */
	u64 leaf;		/* large page (PS) at levels above 1 */
	u64 accessed, dirty;	/* 0 without A/D bits */
	u64 memtype_wb;		/* memory type of RAM (EPT: 6<<3; NPT: 0, the guest's PAT decides) */
	u64 memtype_ignore_guest; /* EPT: IPAT */
	u64 mmio;		/* a value that makes every access exit as misconfigured, 0 if none */
	u64 addr_mask;		/* bits of an entry that hold the address */
	u8 root_levels;
	bool page_1g;
};

/* VM creation and end. mm is current->mm. init: 0 or -ENOMEM. */
int ost_mmu_init(struct ost_vm *vm);
/* Before the VM's objects go: no notifier runs after it. May sleep. */
void ost_mmu_destroy(struct ost_vm *vm);

/* KVM_SET_USER_MEMORY_REGION: 0, -EINVAL, -EEXIST, -ENOMEM, -EBUSY. May sleep. */
int ost_mmu_set_region(struct ost_vm *vm, const struct kvm_userspace_memory_region *region);
/* KVM_GET_DIRTY_LOG: 0, -EINVAL, -ENOENT, -EFAULT. */
int ost_mmu_get_dirty_log(struct ost_vm *vm, const struct kvm_dirty_log *log);

/* Why a nested fault happened; also the ABI of ost_mmu_fault(). */
#define OST_FAULT_WRITE BIT(0)
#define OST_FAULT_EXEC BIT(1)
#define OST_FAULT_PRESENT BIT(2)	/* the entry was present: a protection fault */
#define OST_FAULT_ATOMIC BIT(3)		/* do not sleep: OST_FAULT_AGAIN where one would have to */

enum ost_fault_result {
	OST_FAULT_FIXED,	/* mapped (or someone else did): enter again */
	OST_FAULT_AGAIN,	/* atomic attempt failed: call again from [vcpu] without ATOMIC */
	OST_FAULT_MMIO,		/* no slot there, or a write to a read-only slot: emulate */
	OST_FAULT_SIGNAL,	/* a signal is pending: -EINTR to userspace */
	OST_FAULT_BAD,		/* the slot's memory can't be had (unmapped hva: -EFAULT) */
	OST_FAULT_HWPOISON,	/* the page is poisoned: SIGBUS was sent; -EHWPOISON */
};

/*
 * Resolves a nested page fault at gpa. flags are OST_FAULT_*. [vcpu], or [atomic] with
 * OST_FAULT_ATOMIC. Traces it, and counts it in vcpu->stats.
 */
enum ost_fault_result ost_mmu_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags);

/*
 * Access to guest physical memory from the kernel, through the slots and the owner's address space
 * (dirty-marked). 0, or -EFAULT when a part has no slot (or is read-only, for writes) or its memory can't be had.
 * [vcpu] (may sleep) by a thread of the owner's mm. Takes vm->srcu itself.
 */
int ost_gpa_read(struct ost_vm *vm, gpa_t gpa, void *buf, u32 len);
int ost_gpa_write(struct ost_vm *vm, gpa_t gpa, const void *buf, u32 len);
/*
 * Compare and exchange of 1, 2, 4, 8 (or 16) naturally aligned bytes in guest memory: 0 when done, 1 when *old
 * differed (it then holds what was found), -EFAULT.
 */
int ost_gpa_cmpxchg(struct ost_vm *vm, gpa_t gpa, void *old, const void *new, u32 len);
/* Is there a slot at gpa (and may it be written)? Takes vm->srcu. */
bool ost_gpa_has_slot(struct ost_vm *vm, gpa_t gpa, bool write);

/* The guest's own paging (walk.c). */
#define OST_ACCESS_WRITE BIT(0)
#define OST_ACCESS_USER BIT(1)
#define OST_ACCESS_FETCH BIT(2)
#define OST_ACCESS_IMPLICIT BIT(3)	/* supervisor access whatever the CPL (descriptor tables) */
#define OST_ACCESS_NO_AD BIT(4)		/* do not set A/D bits (KVM_TRANSLATE, debugging) */

/* Paging state a walk depends on: collected by ost_walk_state(). */
struct ost_walk_state {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;			/* AC, for SMAP */
	u32 pkru;
	u64 gpa_reserved;		/* bits above the guest's MAXPHYADDR */
	bool gbpages;
	bool pse36;
	u64 pdptes[4];			/* in PAE mode without long mode, as the CPU holds them */
	bool pdptes_valid;		/* otherwise they are read from CR3's page */
};

/* How walk.c reaches guest memory; the same in the kernel and in unit tests. */
struct ost_walk_ops {
	int (*read)(void *ctx, gpa_t gpa, u64 *pte, u32 size);	/* 0 or -EFAULT */
	/* 0, 1 when the entry changed (walk again), -EFAULT (read-only). */
	int (*cmpxchg)(void *ctx, gpa_t gpa, u64 old, u64 new, u32 size);
};

struct ost_walk_fault {
	u64 address;		/* CR2 */
	u32 error_code;		/* PFERR_* of a #PF */
	bool not_memory;	/* a paging structure lies where there is no memory: no #PF, -EFAULT */
};

/*
 * gva to gpa by all the rules (32-bit, PSE-36, PAE, 4 and 5 levels; NX, WP, SMEP, SMAP, PKU, reserved
 * bits; sets A and D). 0, or 1 with *fault filled.
 */
int ost_walk(const struct ost_walk_state *state, const struct ost_walk_ops *ops, void *ctx, gva_t gva,
	     u32 access, gpa_t *gpa, struct ost_walk_fault *fault);

/* The same for a vCPU as it stands; without paging gpa is gva. [vcpu] */
int ost_gva_to_gpa(struct ost_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		   struct ost_walk_fault *fault);

/* Whether the four PDPTEs at the guest's CR3 are loadable (no reserved bits); PAE mode's MOV CR3. [vcpu] */
bool ost_pdptes_valid(struct ost_vcpu *vcpu, u64 cr3);

#endif
