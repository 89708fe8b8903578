// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty logging: a bit for every page of a slot, set when the page is written, and
 * KVM_GET_DIRTY_LOG, which takes the bits and has the next write to the pages seen again.
 *
 * A summary has a bit for every group of 4096 pages that may hold dirty ones, so that the call
 * takes time in proportion to what is dirty; only clearing the VMM's bitmap takes as long as it is.
 * A page's own bit is set before its group's, and taken after it, so a group that holds a dirty
 * page is never overlooked for longer than its writer is between the two.
 *
 * Where the CPU itself notes the pages whose dirty bit it sets, a page's first write still faults;
 * later ones are seen by the dirty bit, which is set from that fault on and cleared with the page's
 * bit in the log. So a page of a logged slot that is writable and marked dirty in the table is in
 * the log, or in the notes of some vCPU, which are collected before the log is taken.
 *
 * With KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 the VMM takes bits by KVM_CLEAR_DIRTY_LOG, and KVM_GET_DIRTY_LOG
 * only looks at them.
 *
 * In a VM with dirty rings (dirty_ring.c) a page whose bit becomes set is put into a ring instead, and the bit
 * says that it is in one: it is cleared when the VMM gives the ring's entry back.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "../backend.h"
#include "../vcpu.h"
#include "internal.h"

#define GROUP_WORDS 64
#define GROUP_PAGES (GROUP_WORDS * BITS_PER_LONG)

struct ost_dirty_log {
	u64 nr_words;		/* of bitmap */
	u64 nr_groups;		/* bits of summary */
	unsigned long *summary;
	unsigned long bitmap[];
};

static void set_all(struct ost_dirty_log *log, u64 npages)
{
	u64 i;

	for (i = 0; i < npages / BITS_PER_LONG; i++)
		log->bitmap[i] = ~0UL;
	if (npages % BITS_PER_LONG)
		log->bitmap[i] = ~0UL >> (BITS_PER_LONG - npages % BITS_PER_LONG);
	bitmap_set(log->summary, 0, log->nr_groups);
}

struct ost_dirty_log *ost_dirty_log_new(u64 npages, bool dirty)
{
	u64 nr_words = BITS_TO_LONGS(npages);
	u64 nr_groups = DIV_ROUND_UP(npages, GROUP_PAGES);
	struct ost_dirty_log *log;

	/* Hundreds of megabytes for a big slot: a refusal is the VMM's affair, not the log's. */
	log = kvzalloc(struct_size(log, bitmap, nr_words + BITS_TO_LONGS(nr_groups)),
		       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!log)
		return NULL;
	log->nr_words = nr_words;
	log->nr_groups = nr_groups;
	log->summary = &log->bitmap[nr_words];
	if (dirty)
		set_all(log, npages);
	return log;
}

void ost_dirty_log_free(struct ost_dirty_log *log)
{
	kvfree(log);
}

void ost_dirty_log_clear(struct ost_dirty_log *log)
{
	memset(log->bitmap, 0, (log->nr_words + BITS_TO_LONGS(log->nr_groups)) * sizeof(long));
}

/* `rings` are there: mmu.ring_entries, which no VM with vCPUs changes. */
static __always_inline void mark(struct ost_vm *vm, struct ost_vcpu *vcpu, const struct ost_memslot *slot,
				 gfn_t gfn, bool rings)
{
	struct ost_dirty_log *log = slot->log;
	u64 page = gfn - slot->base_gfn;

	if (!log)
		return;
	/* A full barrier even if the bit was set: the write comes before this look at it. */
	if (test_and_set_bit(page, log->bitmap))
		return;
	if (unlikely(rings))
		ost_dirty_ring_push(vm, vcpu, slot->id, page);
	else if (!test_bit(page / GROUP_PAGES, log->summary))
		set_bit(page / GROUP_PAGES, log->summary);
}

void ost_mark_dirty(struct ost_vm *vm, struct ost_vcpu *vcpu, const struct ost_memslot *slot, gfn_t gfn)
{
	mark(vm, vcpu, slot, gfn, vm->mmu.ring_entries);
}

void ost_mmu_mark_written(struct ost_vcpu *vcpu, const u64 *gpas, u32 nr)
{
	struct ost_vm *vm = vcpu->vm;
	int srcu = srcu_read_lock(&vm->srcu);
	struct ost_memslots *slots = ost_slots(vm, READ_ONCE(vcpu->space));
	bool rings = vm->mmu.ring_entries;
	u32 i;

	for (i = 0; i < nr; i++) {
		gfn_t gfn = gpas[i] >> PAGE_SHIFT;
		const struct ost_memslot *slot = ost_slots_find(slots, gfn);

		if (slot)
			mark(vm, vcpu, slot, gfn, rings);
	}
	srcu_read_unlock(&vm->srcu, srcu);
}

void ost_dirty_log_collect(struct ost_vm *vm)
{
	struct ost_vcpu *vcpu;
	u32 i;

	if (!ost_mmu_format(&vm->mmu)->logs_writes)
		return;
	/* Who was in the guest has left it since: what was written before this call is noted. */
	ost_request_all(vm, OST_REQ_LEAVE);
	ost_for_each_vcpu(i, vcpu, vm)
		ost_backend->drain_dirty(vcpu);
}

/* Arms the pages whose bits are set; the first is gfn's. mmu->lock held for writing. */
static bool protect_word(struct ost_space *space, gfn_t gfn, unsigned long bits)
{
	bool flush = false;

	while (bits) {
		unsigned int first = __ffs(bits);
		/* The run of ones from there, which ends with the word if all above are ones. */
		unsigned long above = ~(bits >> first);
		unsigned int run = above ? __ffs(above) : BITS_PER_LONG;
		gfn_t start = gfn + first;

		flush |= ost_table_protect(&space->table, &start, start + run, U32_MAX);
		bits &= first + run < BITS_PER_LONG ? ~0UL << (first + run) : 0;
	}
	return flush;
}

bool ost_dirty_log_rearm(struct ost_vm *vm, const struct ost_memslot *slot, u64 page)
{
	gfn_t gfn = slot->base_gfn + page;

	lockdep_assert_held_write(&vm->mmu.lock);
	clear_bit(page, slot->log->bitmap);
	return ost_table_protect(&ost_space_of(vm, slot->id)->table, &gfn, gfn + 1, U32_MAX);
}

static void give_back(struct ost_dirty_log *log, u64 first_word, const unsigned long *words, u32 nr)
{
	u32 i, bit;

	for (i = 0; i < nr; i++)
		for_each_set_bit(bit, &words[i], BITS_PER_LONG)
			set_bit(bit, &log->bitmap[first_word + i]);
}

static u32 group_words(const struct ost_dirty_log *log, u64 first_word)
{
	return min_t(u64, log->nr_words - first_word, GROUP_WORDS);
}

/*
 * Takes a group's bits to the VMM's bitmap, which holds zeros. 0, or -EFAULT, and then the bits are
 * as before. *flush when the TLBs have to be flushed before the VMM may rely on them.
 */
static int take_group(struct ost_vm *vm, const struct ost_memslot *slot, u64 group,
		      unsigned long __user *bitmap, bool *flush)
{
	struct ost_space *space = ost_space_of(vm, slot->id);
	struct ost_dirty_log *log = slot->log;
	u64 first_word = group * GROUP_WORDS;
	u32 nr = group_words(log, first_word);
	unsigned long words[GROUP_WORDS];
	u32 i;

	write_lock(&vm->mmu.lock);
	for (i = 0; i < nr; i++) {
		words[i] = 0;
		if (!READ_ONCE(log->bitmap[first_word + i]))
			continue;
		words[i] = xchg(&log->bitmap[first_word + i], 0);
		*flush |= protect_word(space, slot->base_gfn + (first_word + i) * BITS_PER_LONG,
				       words[i]);
	}
	write_unlock(&vm->mmu.lock);

	if (!copy_to_user(bitmap + first_word, words, nr * sizeof(words[0])))
		return 0;
	give_back(log, first_word, words, nr);
	return -EFAULT;
}

/*
 * Shows a group's bits. Its bit in the summary was taken before they are read, with a full barrier: a page that
 * is marked later than that puts it back.
 */
static int show_group(struct ost_dirty_log *log, u64 group, unsigned long __user *bitmap)
{
	u64 first_word = group * GROUP_WORDS;
	u32 nr = group_words(log, first_word);
	unsigned long words[GROUP_WORDS], any = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		words[i] = READ_ONCE(log->bitmap[first_word + i]);
		any |= words[i];
	}
	if (any)
		set_bit(group, log->summary);
	return copy_to_user(bitmap + first_word, words, nr * sizeof(words[0])) ? -EFAULT : 0;
}

static int take_log(struct ost_vm *vm, const struct ost_memslot *slot, unsigned long __user *bitmap)
{
	struct ost_dirty_log *log = slot->log;
	bool flush = false;
	int err = 0;
	u64 word;

	for (word = 0; word < BITS_TO_LONGS(log->nr_groups) && !err; word++) {
		unsigned long groups = 0;

		if (READ_ONCE(log->summary[word]))
			groups = xchg(&log->summary[word], 0);
		while (groups) {
			u64 group = word * BITS_PER_LONG + __ffs(groups);

			err = vm->mmu.manual_log ? show_group(log, group, bitmap)
						 : take_group(vm, slot, group, bitmap, &flush);
			if (err)
				break;
			groups &= groups - 1;
			cond_resched();
		}
		for (; groups; groups &= groups - 1)
			set_bit(word * BITS_PER_LONG + __ffs(groups), log->summary);
	}
	if (flush)
		ost_mmu_flush(vm);
	return err;
}

/* The slot of a call, which is logged; or an error. */
static const struct ost_memslot *logged_slot(struct ost_vm *vm, u32 id)
{
	struct ost_space *space = ost_space_of(vm, id);
	const struct ost_memslot *slot;

	/* A log that the rings have taken the place of. */
	if (vm->mmu.ring_entries)
		return ERR_PTR(-ENXIO);
	if (!space)
		return ERR_PTR(-EINVAL);
	slot = ost_slots_by_id(ost_slots(vm, space), id);
	return slot && slot->log ? slot : ERR_PTR(-ENOENT);
}

static int get_dirty_log(struct ost_vm *vm, const struct kvm_dirty_log *args)
{
	const struct ost_memslot *slot = logged_slot(vm, args->slot);
	unsigned long __user *bitmap = args->dirty_bitmap;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	/* Also finds out that it can be written before any bit is taken. */
	if (clear_user(bitmap, slot->log->nr_words * sizeof(*bitmap)))
		return -EFAULT;
	ost_dirty_log_collect(vm);
	return take_log(vm, slot, bitmap);
}

int ost_mmu_get_dirty_log(struct ost_vm *vm, const struct kvm_dirty_log *args)
{
	int err;

	mutex_lock(&vm->mmu.slots_lock);
	err = get_dirty_log(vm, args);
	mutex_unlock(&vm->mmu.slots_lock);
	return err;
}

/* Takes those of the bits in `words` that are set in the log, from its word `first` on. True for a flush. */
static bool clear_words(struct ost_vm *vm, const struct ost_memslot *slot, u64 first,
			const unsigned long *words, u32 nr)
{
	struct ost_space *space = ost_space_of(vm, slot->id);
	struct ost_dirty_log *log = slot->log;
	bool flush = false;
	u32 i;

	write_lock(&vm->mmu.lock);
	for (i = 0; i < nr; i++) {
		u64 word = array_index_nospec(first + i, log->nr_words);
		unsigned long taken;

		if (!words[i])
			continue;
		taken = atomic_long_fetch_andnot(words[i], (atomic_long_t *)&log->bitmap[word]) & words[i];
		flush |= protect_word(space, slot->base_gfn + word * BITS_PER_LONG, taken);
	}
	write_unlock(&vm->mmu.lock);
	return flush;
}

static int clear_dirty_log(struct ost_vm *vm, const struct kvm_clear_dirty_log *args)
{
	const struct ost_memslot *slot = logged_slot(vm, args->slot);
	const unsigned long __user *bitmap = args->dirty_bitmap;
	unsigned long words[GROUP_WORDS];
	u64 word, end;
	bool flush = false;
	int err = 0;
	u32 nr;

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	/* Whole words, but where the slot ends. */
	if (args->first_page % BITS_PER_LONG || args->first_page > slot->npages ||
	    args->num_pages > slot->npages - args->first_page)
		return -EINVAL;
	if (args->num_pages % BITS_PER_LONG && args->num_pages != slot->npages - args->first_page)
		return -EINVAL;

	word = args->first_page / BITS_PER_LONG;
	for (end = word + BITS_TO_LONGS((u64)args->num_pages); word < end; word += nr, bitmap += nr) {
		nr = min_t(u64, end - word, GROUP_WORDS);
		if (copy_from_user(words, bitmap, nr * sizeof(words[0]))) {
			err = -EFAULT;
			break;
		}
		flush |= clear_words(vm, slot, word, words, nr);
		cond_resched();
	}
	if (flush)
		ost_mmu_flush(vm);
	return err;
}

int ost_mmu_clear_dirty_log(struct ost_vm *vm, const struct kvm_clear_dirty_log *args)
{
	int err;

	mutex_lock(&vm->mmu.slots_lock);
	err = clear_dirty_log(vm, args);
	mutex_unlock(&vm->mmu.slots_lock);
	return err;
}

int ost_mmu_set_manual_log(struct ost_vm *vm, const u64 *args)
{
	u64 known = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;

	if (args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		known |= KVM_DIRTY_LOG_INITIALLY_SET;
	if (args[0] & ~known)
		return -EINVAL;
	mutex_lock(&vm->mmu.slots_lock);
	vm->mmu.manual_log = args[0];
	mutex_unlock(&vm->mmu.slots_lock);
	return 0;
}
