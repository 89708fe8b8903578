// SPDX-License-Identifier: GPL-2.0-only
/*
 * The nested page tables of a VM in the kernel: their pages, and the removal and write protection of
 * ranges with the TLB flushes that belong to them.
 *
 * Rule: whoever removes an entry flushes TLBs before letting go of mmu->lock. Another invalidation
 * that finds no entry there, and so flushes nothing, may then rely on that no TLB has it either.
 * Write protection has no such rule: the entry is still there for others to find.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "../backend.h"
#include "../vcpu.h"
#include "internal.h"

/* Entries to be write-protected between two chances for others to take the lock. */
#define BATCH 2048
/* The lowest limit that can be set, as the ABI has it. */
#define MIN_TABLES 64

/* The table of a space that nobody has been in: all that looks at it finds nothing, and nothing writes to it. */
static const u64 empty_table[OST_TABLE_ENTRIES] __aligned(PAGE_SIZE);

u64 *ost_table_page_alloc(struct ost_mmu *mmu, gfp_t gfp)
{
	u64 *table = (u64 *)__get_free_page(gfp | __GFP_ACCOUNT | __GFP_ZERO);

	if (table)
		atomic_long_inc(&mmu->nr_tables);
	return table;
}

void ost_table_page_free(struct ost_mmu *mmu, u64 *table)
{
	free_page((unsigned long)table);
	atomic_long_dec(&mmu->nr_tables);
}

static void collect_table(void *ctx, u64 *table, int level)
{
	struct ost_freed_tables *freed = ctx;

	set_page_private(virt_to_page(table), (unsigned long)freed->head[level]);
	freed->head[level] = table;
}

struct free_context {
	struct ost_mmu *mmu;
	bool may_sleep;
};

static void free_table(void *ctx, u64 *table, int level)
{
	const struct free_context *free = ctx;

	set_page_private(virt_to_page(table), 0);
	ost_table_page_free(free->mmu, table);
	if (free->may_sleep)
		cond_resched();
}

void ost_mmu_free_tables(struct ost_vm *vm, struct ost_freed_tables *freed, bool may_sleep)
{
	struct free_context free = { .mmu = &vm->mmu, .may_sleep = may_sleep };
	int level;

	for (level = 1; level <= OST_TABLE_MAX_LEVELS; level++) {
		while (freed->head[level]) {
			u64 *table = freed->head[level];

			freed->head[level] = (u64 *)page_private(virt_to_page(table));
			ost_table_free(ost_mmu_format(&vm->mmu), table, level, free_table, &free);
		}
	}
}

bool ost_mmu_zap(struct ost_vm *vm, struct ost_space *space, gfn_t start, gfn_t end, bool prune,
		 struct ost_freed_tables *freed)
{
	lockdep_assert_held_write(&vm->mmu.lock);
	return ost_table_zap(&space->table, start, end, prune, collect_table, freed);
}

void ost_mmu_flush(struct ost_vm *vm)
{
	ost_request_all(vm, OST_REQ_TLB_FLUSH);
}

void ost_mmu_zap_all(struct ost_vm *vm)
{
	struct ost_freed_tables freed = {};
	struct ost_mmu *mmu = &vm->mmu;
	struct ost_space *space;
	bool flush = false;

	write_lock(&mmu->lock);
	ost_for_each_space(space, mmu)
		flush |= ost_mmu_zap(vm, space, 0, ost_table_end(&space->table), false, &freed);
	if (flush)
		ost_mmu_flush(vm);
	write_unlock(&mmu->lock);
	ost_mmu_free_tables(vm, &freed, true);
}

void ost_mmu_set_guest_types(struct ost_vm *vm, bool on)
{
	write_lock(&vm->mmu.lock);
	vm->mmu.guest_types = on;
	write_unlock(&vm->mmu.lock);
	ost_mmu_zap_all(vm);
}

int ost_mmu_set_nr_pages(struct ost_vm *vm, unsigned long nr)
{
	struct ost_mmu *mmu = &vm->mmu;

	if (nr < MIN_TABLES)
		return -EINVAL;
	mutex_lock(&mmu->slots_lock);
	WRITE_ONCE(mmu->max_tables, nr);
	if (atomic_long_read(&mmu->nr_tables) > nr)
		ost_mmu_zap_all(vm);
	mutex_unlock(&mmu->slots_lock);
	return 0;
}

void ost_mmu_protect(struct ost_vm *vm, struct ost_space *space, gfn_t start, gfn_t end)
{
	struct ost_mmu *mmu = &vm->mmu;
	bool flush = false;

	lockdep_assert_held_write(&mmu->lock);
	while (start < end) {
		flush |= ost_table_protect(&space->table, &start, end, BATCH);
		if (start < end)
			cond_resched_rwlock_write(&mmu->lock);
	}
	if (flush)
		ost_mmu_flush(vm);
}

void ost_mmu_set_overlay(struct ost_vm *vm, gfn_t gfn, u64 pfn)
{
	struct ost_freed_tables freed = {};
	struct ost_mmu *mmu = &vm->mmu;
	struct ost_space *space;
	bool flush = false;

	write_lock(&mmu->lock);
	if (pfn == mmu->overlay_pfn)
		goto out;
	WRITE_ONCE(mmu->overlay_gfn, gfn);
	WRITE_ONCE(mmu->overlay_pfn, pfn);
	ost_for_each_space(space, mmu)
		if (!ost_slots_find(ost_slots(vm, space), gfn))
			flush |= ost_mmu_zap(vm, space, gfn, gfn + 1, false, &freed);
	if (flush)
		ost_mmu_flush(vm);
out:
	write_unlock(&mmu->lock);
	ost_mmu_free_tables(vm, &freed, true);
}

static bool has_own_table(const struct ost_space *space)
{
	return space->table.root != empty_table;
}

int ost_mmu_make_space(struct ost_vm *vm, enum ost_space_id id)
{
	struct ost_space *space = &vm->mmu.space[id];
	struct ost_mmu *mmu = &vm->mmu;
	u64 *root;

	/* Once it is there it stays. */
	if (smp_load_acquire(&space->table.root) != empty_table)
		return 0;
	root = ost_table_page_alloc(mmu, GFP_KERNEL);
	if (!root)
		return -ENOMEM;
	write_lock(&mmu->lock);
	if (!has_own_table(space)) {
		WRITE_ONCE(space->root_hpa, virt_to_phys(root));
		/* Whoever finds it finds its address, too. */
		smp_store_release(&space->table.root, root);
		root = NULL;
	}
	write_unlock(&mmu->lock);
	/* Another vCPU was faster. */
	if (root)
		ost_table_page_free(mmu, root);
	return 0;
}

void ost_mmu_set_space(struct ost_vcpu *vcpu, enum ost_space_id id)
{
	struct ost_mmu *mmu = &vcpu->vm->mmu;

	/*
	 * What is noted up to now was written in the other space. Who takes notes finds out under the same lock whose
	 * they are, and there are none from here to the next entry.
	 */
	if (ost_mmu_format(mmu)->logs_writes)
		ost_backend->drain_dirty(vcpu);
	WRITE_ONCE(vcpu->space, &mmu->space[id]);
	vcpu->mmio_gen = 0;
}

static int init_space(struct ost_space *space)
{
	struct ost_memslots *slots = ost_slots_new();

	if (!slots)
		return -ENOMEM;
	space->table.format = ost_backend->pte_format;
	space->table.root = (u64 *)empty_table;
	space->generation = slots->generation;
	rcu_assign_pointer(space->slots, slots);
	return 0;
}

static void destroy_spaces(struct ost_mmu *mmu)
{
	struct ost_memslots *slots;
	struct ost_space *space;
	u32 i;

	/* Nobody is left who could look at them. */
	ost_for_each_space(space, mmu) {
		slots = rcu_dereference_protected(space->slots, true);
		if (!slots)
			continue;
		for (i = 0; i < slots->nr; i++)
			ost_dirty_log_free(slots->slots[i].log);
		kvfree(slots);
		if (has_own_table(space))
			ost_table_page_free(mmu, space->table.root);
	}
}

int ost_mmu_init(struct ost_vm *vm)
{
	struct ost_mmu *mmu = &vm->mmu;
	struct ost_space *space;
	int err;

	mutex_init(&mmu->slots_lock);
	rwlock_init(&mmu->lock);
	mmu->max_tables = ULONG_MAX;
	ost_for_each_space(space, mmu) {
		err = init_space(space);
		if (err)
			goto destroy;
	}
	err = ost_mmu_make_space(vm, OST_SPACE_NORMAL);
	if (err)
		goto destroy;

	mmu->notifier.ops = &ost_mmu_notifier_ops;
	err = mmu_notifier_register(&mmu->notifier, vm->mm);
	if (err)
		goto destroy;
	return 0;

destroy:
	destroy_spaces(mmu);
	return err;
}

void ost_mmu_destroy(struct ost_vm *vm)
{
	struct ost_mmu *mmu = &vm->mmu;

	/*
	 * Zaps everything unless the address space went before, and waits for notifiers that run.
	 */
	mmu_notifier_unregister(&mmu->notifier, vm->mm);
	ost_mmu_zap_all(vm);
	destroy_spaces(mmu);
	WARN_ON_ONCE(atomic_long_read(&mmu->nr_tables));
}
