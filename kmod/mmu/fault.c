// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page faults: from the guest frame to the slot, from the slot to the page in the VMM's
 * address space, and into the nested page table, by the largest page that host, slot and alignment
 * allow. The page is looked up without a lock; notifier.c says what makes that right, also where a driver
 * has mapped a device's memory, which has no page (VM_PFNMAP: VFIO's BARs).
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include "../compat.h"
#include "../vcpu.h"
#include "../trace.h"
#include "internal.h"

struct fault {
	struct ost_vcpu *vcpu;
	struct ost_vm *vm;
	struct ost_space *space;	/* the vCPU's */
	gfn_t gfn;
	bool write, exec, atomic, nowait;
	bool overlay;			/* no slot, but a page of the kernel's */
	/* What it was resolved to so far: */
	bool no_slot;
	bool has_to_wait;		/* the page is not there, and nowait */
	struct ost_memslot slot;	/* a copy, right as long as generation is the VM's */
	u64 generation;
	unsigned long hva;
	unsigned long seq;		/* invalidate_seq from before the page was looked up */
	u64 pfn;
	struct page *page;		/* NULL for a device's memory */
	bool writable;			/* it may be mapped so */
	struct ost_table_cache cache;
};

static bool is_overlay(const struct ost_mmu *mmu, gfn_t gfn)
{
	return READ_ONCE(mmu->overlay_pfn) && gfn == READ_ONCE(mmu->overlay_gfn);
}

/* Finds the slot. OST_FAULT_FIXED is to go on. */
static enum ost_fault_result find_slot(struct ost_vcpu *vcpu, struct fault *fault)
{
	struct ost_vm *vm = fault->vm;
	const struct ost_memslot *slot;
	struct ost_memslots *slots;
	bool found;
	int srcu;

	srcu = srcu_read_lock(&vm->srcu);
	slots = ost_slots(vm, fault->space);
	/* Before the lookup: see ost_slots_append(). */
	fault->generation = smp_load_acquire(&slots->generation);
	slot = ost_slots_find(slots, fault->gfn);
	found = slot;
	if (found)
		fault->slot = *slot;
	srcu_read_unlock(&vm->srcu, srcu);

	fault->overlay = !found && is_overlay(&vm->mmu, fault->gfn);
	if (fault->overlay)
		return OST_FAULT_FIXED;
	if (!found) {
		fault->no_slot = true;
		vcpu->mmio_gfn = fault->gfn;
		vcpu->mmio_gen = fault->generation;
		return OST_FAULT_MMIO;
	}
	if (fault->write && (fault->slot.flags & KVM_MEM_READONLY))
		return OST_FAULT_MMIO;
	fault->hva = ost_slot_hva(&fault->slot, fault->gfn);
	return OST_FAULT_FIXED;
}

/*
 * May it be mapped writable, if the host has it so? A logged page as well, which is then noted as written when
 * it is only read: the ABI's users count on that for the first access, and many that are read are written next.
 */
static bool may_write(const struct fault *fault)
{
	return !(fault->slot.flags & KVM_MEM_READONLY);
}

static bool get_page_fast(struct fault *fault)
{
	/*
	 * Succeeds only where writing would neither break COW nor touch a page that is not there.
	 */
	fault->writable = may_write(fault) &&
			  get_user_page_fast_only(fault->hva, FOLL_WRITE, &fault->page);
	if (!fault->writable && (fault->write || !get_user_page_fast_only(fault->hva, 0, &fault->page)))
		return false;
	fault->pfn = page_to_pfn(fault->page);
	return true;
}

static enum ost_fault_result get_page_failed(const struct fault *fault, long err)
{
	switch (err) {
	case -EHWPOISON:
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)fault->hva, PAGE_SHIFT, current);
		return OST_FAULT_SIGNAL;
	case -EINTR:
	case -EAGAIN:
	case -ERESTARTSYS:
		return signal_pending(current) ? OST_FAULT_SIGNAL : OST_FAULT_AGAIN;
	case -ENOMEM:
		return OST_FAULT_NOMEM;
	default:
		return fatal_signal_pending(current) ? OST_FAULT_SIGNAL : OST_FAULT_BAD;
	}
}

/* RAM of any kind, the kernel's own image among it: uncached in a guest it would be so beside the kernel's mapping. */
static bool is_ram(u64 pfn)
{
	return page_is_ram(pfn) || (pfn_valid(pfn) && !PageReserved(pfn_to_page(pfn)));
}

/* vCPUs that are in the guest already have entered it as one without devices. May sleep. */
static void note_device(struct ost_vm *vm)
{
	if (READ_ONCE(vm->mmu.maps_devices))
		return;
	WRITE_ONCE(vm->mmu.maps_devices, true);
	ost_request_all(vm, OST_REQ_LEAVE);
}

/* What a driver has mapped as a device's memory; RAM that is mapped so is not for guests. OST_FAULT_FIXED is to go on. */
static enum ost_fault_result get_device_pfn(struct fault *fault)
{
	enum ost_fault_result result = OST_FAULT_BAD;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool unlocked = false;
	int r;

	if (mmap_read_lock_killable(mm))
		return OST_FAULT_SIGNAL;
	vma = vma_lookup(mm, fault->hva);
	if (!vma || !(vma->vm_flags & VM_PFNMAP) || (fault->write && !(vma->vm_flags & VM_WRITE)))
		goto out;
	r = ost_follow_device(vma, fault->hva, &fault->pfn, &fault->writable);
	if (r || (fault->write && !fault->writable)) {
		/* The driver may map it only now. */
		r = fixup_user_fault(mm, fault->hva, fault->write ? FAULT_FLAG_WRITE : 0, &unlocked);
		if (r) {
			result = get_page_failed(fault, r);
			goto out;
		}
		if (unlocked)
			result = OST_FAULT_AGAIN;
		else
			r = ost_follow_device(vma, fault->hva, &fault->pfn, &fault->writable);
		if (r || unlocked || (fault->write && !fault->writable))
			goto out;
	}
	if (is_ram(fault->pfn))
		goto out;
	fault->writable = fault->writable && may_write(fault);
	fault->page = NULL;
	result = OST_FAULT_FIXED;
out:
	mmap_read_unlock(mm);
	if (result == OST_FAULT_FIXED)
		note_device(fault->vm);
	return result;
}

/* Looks the page up and takes a reference to it. OST_FAULT_FIXED is to go on. */
static enum ost_fault_result get_page_slow(struct fault *fault)
{
	unsigned int flags = FOLL_HWPOISON | (fault->nowait ? FOLL_NOWAIT : OST_FOLL_INTERRUPTIBLE);
	struct page *page;
	long n;

	if (fault->write)
		flags |= FOLL_WRITE;
	n = get_user_pages_unlocked(fault->hva, 1, &fault->page, flags);
	if (fault->nowait && (!n || n == -EBUSY || n == -EAGAIN)) {
		fault->has_to_wait = true;
		fault->vcpu->apf.hva = fault->hva;
		return OST_FAULT_AGAIN;
	}
	if (n == -EFAULT)
		return get_device_pfn(fault);
	if (n != 1)
		return get_page_failed(fault, n);
	fault->writable = fault->write;
	/*
	 * It is there now, and often writable though only a read was asked for: saves the next
	 * fault.
	 */
	if (!fault->write && may_write(fault) &&
	    get_user_page_fast_only(fault->hva, FOLL_WRITE, &page)) {
		put_page(fault->page);
		fault->page = page;
		fault->writable = true;
	}
	fault->pfn = page_to_pfn(fault->page);
	return OST_FAULT_FIXED;
}

/*
 * The level at which the host maps the page at hva. Its page tables are not freed while interrupts
 * are off, as for get_user_pages_fast(). Right as long as no invalidation of the page's
 * surroundings begins, that is under mmu->lock after ost_mmu_invalidated() was asked.
 */
static int host_level(unsigned long hva)
{
	unsigned long flags;
	int level = 1;
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	local_irq_save(flags);
	pgd = READ_ONCE(*pgd_offset(current->mm, hva));
	if (pgd_none(pgd))
		goto out;
	p4d = READ_ONCE(*p4d_offset_lockless(NULL, pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		goto out;
	pud = READ_ONCE(*pud_offset_lockless(NULL, p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		goto out;
	if (pud_leaf(pud)) {
		level = 3;
		goto out;
	}
	pmd = READ_ONCE(*pmd_offset_lockless(NULL, pud, hva));
	if (!pmd_none(pmd) && pmd_present(pmd) && pmd_leaf(pmd))
		level = 2;
out:
	local_irq_restore(flags);
	return level;
}

/* The largest level whose block around gfn lies in the slot, with gfn and hva aligned alike. */
static int slot_level(const struct ost_memslot *slot, gfn_t gfn, int max)
{
	int level = 1;

	while (level < max) {
		u64 pages = ost_level_pages(level + 1);
		gfn_t first = gfn & ~(pages - 1);

		if (first < slot->base_gfn || first + pages > ost_slot_end(slot) ||
		    ((slot->base_gfn ^ (slot->hva >> PAGE_SHIFT)) & (pages - 1)))
			break;
		level++;
	}
	return level;
}

/* Only small pages allow what the guest wants. */
static bool needs_small(const struct fault *fault)
{
	return fault->exec && fault->space->table.format->large_no_exec;
}

static int map_level(const struct fault *fault)
{
	const struct ost_mmu *mmu = &fault->vm->mmu;
	int level;

	/*
	 * The log knows 4 KiB pages. And memory that the host maps by large pages is in compound
	 * ones.
	 */
	if (fault->slot.log || !fault->page || !PageCompound(fault->page) || needs_small(fault))
		return 1;
	level = slot_level(&fault->slot, fault->gfn, fault->space->table.format->page_1g ? 3 : 2);
	if (level > 1)
		level = min(level, host_level(fault->hva));
	for (; level > 1; level--) {
		unsigned long size = ost_level_pages(level) << PAGE_SHIFT;
		unsigned long start = fault->hva & ~(size - 1);

		if (!((fault->gfn ^ fault->pfn) & (ost_level_pages(level) - 1)) &&
		    !ost_mmu_invalidated(mmu, fault->seq, start, start + size))
			break;
	}
	return level;
}

/* Has what was looked up become wrong? mmu->lock held. */
static bool is_stale(const struct fault *fault)
{
	const struct ost_mmu *mmu = &fault->vm->mmu;

	return fault->generation != fault->space->generation ||
	       ost_mmu_invalidated(mmu, fault->seq, fault->hva, fault->hva + PAGE_SIZE);
}

static bool at_limit(const struct ost_mmu *mmu)
{
	return atomic_long_read(&mmu->nr_tables) >= READ_ONCE(mmu->max_tables);
}

static bool add_table_page(struct fault *fault, gfp_t gfp)
{
	u64 *page = ost_table_page_alloc(&fault->vm->mmu, gfp);

	if (!page)
		return false;
	fault->cache.pages[fault->cache.nr++] = page;
	return true;
}

static void free_table_pages(struct fault *fault)
{
	while (fault->cache.nr)
		ost_table_page_free(&fault->vm->mmu, fault->cache.pages[--fault->cache.nr]);
}

/*
 * 0, -EAGAIN when what was looked up is wrong now, -ENOMEM when tables have to be allocated by
 * sleeping.
 */
static int try_map_overlay(struct fault *fault)
{
	struct ost_mmu *mmu = &fault->vm->mmu;
	bool flush = false;
	int err = -EAGAIN;

	read_lock(&mmu->lock);
	if (fault->generation == fault->space->generation && is_overlay(mmu, fault->gfn))
		err = ost_table_map(&fault->space->table, &fault->cache, fault->gfn, mmu->overlay_pfn, 1,
				    OST_MAP_WRITABLE, &flush);
	if (flush)
		ost_mmu_flush(fault->vm);
	read_unlock(&mmu->lock);
	return err;
}

static u32 map_how(const struct fault *fault)
{
	u32 how = fault->writable * OST_MAP_WRITABLE;

	if (unlikely(!fault->page))
		return how | OST_MAP_DEVICE;
	return unlikely(fault->vm->mmu.guest_types) ? how | OST_MAP_GUEST_TYPES : how;
}

/* Likewise. */
static int try_map(struct fault *fault)
{
	struct ost_vm *vm = fault->vm;
	struct ost_mmu *mmu = &vm->mmu;
	bool flush = false;
	int err = -EAGAIN;
	int level;

	read_lock(&mmu->lock);
	if (is_stale(fault))
		goto out;
	level = map_level(fault);
	do {
		err = ost_table_map(&fault->space->table, &fault->cache, fault->gfn,
				    fault->pfn, level, map_how(fault), &flush);
	} while (err == -ENOMEM && !at_limit(mmu) && add_table_page(fault, GFP_NOWAIT | __GFP_NOWARN));
	if (!err && fault->writable) {
		/*
		 * The host learns of the guest's writes only here. Under the lock, so that whoever
		 * cleans the page, and unmaps it for that, comes before or after both steps.
		 */
		if (fault->page && !PageDirty(compound_head(fault->page)))
			set_page_dirty(fault->page);
		ost_mark_dirty(vm, fault->vcpu, &fault->slot, fault->gfn);
	}
	if (flush)
		ost_mmu_flush(vm);
out:
	read_unlock(&mmu->lock);
	return err;
}

static enum ost_fault_result map_page(struct fault *fault, int (*try)(struct fault *fault))
{
	u32 tables = fault->space->table.format->root_levels - 1;
	int err;

	while ((err = try(fault)) == -ENOMEM) {
		if (fault->atomic)
			return OST_FAULT_AGAIN;
		if (unlikely(at_limit(&fault->vm->mmu)))
			ost_mmu_zap_all(fault->vm);
		while (fault->cache.nr < tables)
			if (!add_table_page(fault, GFP_KERNEL))
				return OST_FAULT_NOMEM;
	}
	return err ? OST_FAULT_AGAIN : OST_FAULT_FIXED;
}

/*
 * Is the page in the table already? Another vCPU may have mapped it since, as when all touch the same large
 * page at once; or it is there but for the permission to write, which the dirty log has taken.
 */
static bool already_mapped(const struct fault *fault)
{
	bool logged = fault->write && fault->slot.log, others = ost_nr_vcpus(fault->vm) > 1;
	struct ost_mmu *mmu = &fault->vm->mmu;
	bool mapped = false;

	/* The table's answer is about reading and writing. */
	if ((!logged && !others) || needs_small(fault))
		return false;
	read_lock(&mmu->lock);
	if (fault->generation != fault->space->generation)
		goto out;
	if (logged && ost_table_unprotect(&fault->space->table, fault->gfn)) {
		ost_mark_dirty(fault->vm, fault->vcpu, &fault->slot, fault->gfn);
		mapped = true;
	} else if (others) {
		mapped = ost_table_allows(&fault->space->table, fault->gfn, fault->write);
	}
out:
	read_unlock(&mmu->lock);
	return mapped;
}

/*
 * The page has no slot: where there is an entry that says so, the next access need not come here. What a
 * guest can make us spend on tables for it is limited; beyond that it goes as without. A slot that comes
 * here later has these entries removed, under the lock (region.c).
 */
static void map_mmio(struct fault *fault)
{
	struct ost_mmu *mmu = &fault->vm->mmu;
	int err = 0;

	if (!fault->space->table.format->mmio || fault->gfn >= ost_table_end(&fault->space->table))
		return;
	read_lock(&mmu->lock);
	if (fault->generation == fault->space->generation && !is_overlay(mmu, fault->gfn)) {
		do {
			err = ost_table_map_mmio(&fault->space->table, &fault->cache, fault->gfn);
		} while (err == -ENOMEM &&
			 atomic_long_inc_return(&mmu->nr_mmio_tables) <= OST_MAX_MMIO_TABLES &&
			 add_table_page(fault, GFP_NOWAIT | __GFP_NOWARN));
	}
	read_unlock(&mmu->lock);
	free_table_pages(fault);
}

static enum ost_fault_result resolve(struct ost_vcpu *vcpu, struct fault *fault)
{
	struct ost_mmu *mmu = &fault->vm->mmu;
	enum ost_fault_result result;

	result = find_slot(vcpu, fault);
	if (fault->no_slot)
		map_mmio(fault);
	if (result != OST_FAULT_FIXED)
		return result;
	if (fault->overlay) {
		result = map_page(fault, try_map_overlay);
		goto free_cache;
	}
	if (fault->atomic && already_mapped(fault))
		return OST_FAULT_FIXED;

	fault->seq = READ_ONCE(mmu->invalidate_seq);
	/* The page is looked up after that; pairs with mmu->lock in the notifier. */
	smp_rmb();
	if (fault->atomic) {
		if (!get_page_fast(fault))
			return OST_FAULT_AGAIN;
	} else {
		/* An atomic attempt has failed a moment ago, or nobody has a reason to expect one to succeed. */
		result = get_page_slow(fault);
		if (result != OST_FAULT_FIXED)
			return result;
	}
	result = map_page(fault, try_map);
	if (fault->page)
		put_page(fault->page);
free_cache:
	free_table_pages(fault);
	return result;
}

bool ost_mmio_page_known(struct ost_vcpu *vcpu, gpa_t gpa)
{
	const struct ost_mmu *mmu = &vcpu->vm->mmu;

	return gpa >> PAGE_SHIFT == vcpu->mmio_gfn && vcpu->mmio_gen == READ_ONCE(vcpu->space->generation) &&
	       !is_overlay(mmu, gpa >> PAGE_SHIFT);
}

enum ost_fault_result ost_mmu_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags)
{
	/* The rest is set by find_slot() and what comes behind it, before it is looked at. */
	struct fault fault __uninitialized;
	enum ost_fault_result result;

	fault.vcpu = vcpu;
	fault.vm = vcpu->vm;
	fault.space = vcpu->space;
	fault.gfn = gpa >> PAGE_SHIFT;
	fault.write = flags & OST_FAULT_WRITE;
	fault.exec = flags & OST_FAULT_EXEC;
	fault.atomic = flags & OST_FAULT_ATOMIC;
	fault.nowait = flags & OST_FAULT_NOWAIT;
	fault.no_slot = false;
	fault.has_to_wait = false;
	fault.cache.nr = 0;
	vcpu->stats.page_faults++;
	if (ost_mmio_page_known(vcpu, gpa))
		result = OST_FAULT_MMIO;
	else if (WARN_ON_ONCE(current->mm != fault.vm->mm))
		result = OST_FAULT_BAD;
	else
		result = resolve(vcpu, &fault);

	if (result == OST_FAULT_AGAIN) {
		vcpu->stats.page_faults_retried++;
		/*
		 * Lost a race: the guest tries again, and between comes what else the vCPU has to
		 * do.
		 */
		if (!fault.atomic && !fault.has_to_wait)
			result = OST_FAULT_FIXED;
	} else if (fault.atomic) {
		vcpu->stats.page_faults_atomic++;
	}
	trace_ost_page_fault(vcpu, gpa, flags, result);
	return result;
}

enum ost_fault_result ost_mmu_pre_fault(struct ost_vcpu *vcpu, gfn_t gfn)
{
	struct ost_mmu *mmu = &vcpu->vm->mmu;
	gpa_t gpa = gfn << PAGE_SHIFT;
	enum ost_fault_result result;
	bool mapped;

	if (!ost_vcpu_has_slot(vcpu, gpa, false))
		return OST_FAULT_MMIO;
	read_lock(&mmu->lock);
	mapped = ost_table_allows(&vcpu->space->table, gfn, false);
	read_unlock(&mmu->lock);
	if (mapped)
		return OST_FAULT_FIXED;
	result = ost_mmu_fault(vcpu, gpa, 0);
	/* That is also what comes of a lost race, which a guest finds out by faulting again. */
	return result == OST_FAULT_FIXED ? OST_FAULT_AGAIN : result;
}
