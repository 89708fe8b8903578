// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delivering interrupt messages: who is addressed (dest.c), which one takes a lowest-priority
 * interrupt.
 *
 * The map is replaced whole when a LAPIC's mode, id, LDR or DFR changes: the thread that changed it
 * builds the new one after its change, under map_lock, so the last map built has seen all. Senders
 * read it under RCU.
 */
#include <linux/bitmap.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "chips.h"
#include "dest.h"
#include "../vcpu.h"
#include "../vm.h"

static_assert(OST_MAX_VCPUS <= OST_DEST_MAX && OST_MAX_VCPU_IDS <= OST_DEST_MAX_ID);

/* In one piece of memory: this, the LAPICs' addresses, what the map points to. */
struct ost_apic_map {
	struct rcu_head rcu;
	struct ost_dest_map map;
	struct ost_dest_addr addr[];
};

/* Lowest-priority interrupts go to one of so many at most that are asked for their priority. */
#define MAX_ARBITRATED 64

void ost_lapic_address(const struct ost_lapic *apic, struct ost_dest_addr *addr)
{
	switch (READ_ONCE(apic->mode)) {
	case OST_APIC_DISABLED:
		*addr = (struct ost_dest_addr){ .mode = OST_DEST_OFF };
		return;
	case OST_APIC_X2APIC:
		addr->mode = OST_DEST_X2APIC;
		addr->id = apic->id;
		addr->ldr = ost_lapic_reg(apic, APIC_LDR);
		return;
	case OST_APIC_XAPIC:
		break;
	}
	/* One with an id that the register does not hold listens to it in 32-bit destinations all the same. */
	addr->id = apic->id <= 0xff ? ost_lapic_reg(apic, APIC_ID) >> 24 : apic->id;
	addr->ldr = GET_APIC_LOGICAL_ID(ost_lapic_reg(apic, APIC_LDR));
	/* SDM 11.6.2.2: the models in DFR's upper bits */
	switch (ost_lapic_reg(apic, APIC_DFR) >> 28) {
	case 0xf:
		addr->mode = OST_DEST_FLAT;
		break;
	case 0:
		addr->mode = OST_DEST_CLUSTER;
		break;
	default:
		addr->mode = OST_DEST_PHYSICAL;
		break;
	}
}

static size_t addrs_size(u32 nr)
{
	/* What follows them is aligned for a long. */
	return ALIGN(nr * sizeof(struct ost_dest_addr), sizeof(long));
}

static void read_addresses(struct ost_vm *vm, struct ost_dest_addr *addr, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		ost_lapic_address(ost_vcpu_at(vm, i)->apic, &addr[i]);
}

/* NULL when there is no memory for it. */
static struct ost_apic_map *build_map(struct ost_vm *vm)
{
	u32 nr = ost_nr_vcpus(vm);
	struct ost_dest_addr *addr;
	struct ost_apic_map *map;

	/* Read once: what the map's size was computed of must not change. */
	addr = kvmalloc_array(max(nr, 1u), sizeof(*addr), GFP_KERNEL_ACCOUNT);
	if (!addr)
		return NULL;
	read_addresses(vm, addr, nr);
	map = kvmalloc(sizeof(*map) + addrs_size(nr) + ost_dest_map_size(addr, nr), GFP_KERNEL_ACCOUNT);
	if (map) {
		memcpy(map->addr, addr, nr * sizeof(*addr));
		ost_dest_map_build(&map->map, map->addr, nr, (void *)map->addr + addrs_size(nr));
	}
	kvfree(addr);
	return map;
}

void ost_dest_map_update(struct ost_vm *vm)
{
	struct ost_apic_map *old, *new;

	mutex_lock(&vm->irqs.map_lock);
	new = build_map(vm);
	old = rcu_replace_pointer(vm->irqs.map, new, lockdep_is_held(&vm->irqs.map_lock));
	mutex_unlock(&vm->irqs.map_lock);
	if (old)
		kvfree_rcu(old, rcu);
}

void ost_dest_map_destroy(struct ost_vm *vm)
{
	kvfree(rcu_replace_pointer(vm->irqs.map, NULL, true));
}

/* Without memory for a map: all LAPICs are asked. How many bits of the set are valid. */
static u32 find_without_map(struct ost_vm *vm, u32 dest, bool logical, enum ost_dest_width width,
			    struct ost_dest_set *set)
{
	struct ost_dest_addr addr;
	u32 i, nr = ost_nr_vcpus(vm);

	memset(set->bits, 0, BITS_TO_LONGS(nr) * sizeof(long));
	for (i = 0; i < nr; i++) {
		ost_lapic_address(ost_vcpu_at(vm, i)->apic, &addr);
		if (ost_dest_match(&addr, dest, logical, width))
			__set_bit(i, set->bits);
	}
	return nr;
}

/*
 * Lowest priority (SDM 11.6.2.4): the one with the lowest task priority class; of several, the one
 * that was chosen least often. -1 when nobody can take it. Of very many only some are asked, which are
 * others for each vector; software can't rely on more (SDM 11.6.2.4: it is model-specific).
 */
static int arbitrate(struct ost_vm *vm, const struct ost_dest_set *set, u32 nr, u8 vector)
{
	u32 i, start = 0, asked = 0;
	u64 best = U64_MAX, rank;
	int winner = -1;

	if (unlikely(nr > MAX_ARBITRATED))
		start = vector * MAX_ARBITRATED % nr;
	for_each_set_bit_wrap(i, set->bits, nr, start) {
		struct ost_lapic *apic = ost_vcpu_at(vm, i)->apic;

		if (!ost_lapic_sw_enabled(apic))
			continue;
		if (asked++ == MAX_ARBITRATED)
			break;
		rank = (u64)(ost_lapic_reg(apic, APIC_TASKPRI) >> 4) << 32 |
		       READ_ONCE(apic->arbitrations);
		if (rank < best) {
			best = rank;
			winner = i;
		}
	}
	if (winner >= 0) {
		struct ost_lapic *apic = ost_vcpu_at(vm, winner)->apic;

		/* Two senders may count one time only; it is about fairness, nothing else. */
		WRITE_ONCE(apic->arbitrations, READ_ONCE(apic->arbitrations) + 1);
	}
	return winner;
}

static int accept(struct ost_vm *vm, u32 index, const struct ost_irq_message *msg)
{
	return ost_lapic_accept(ost_vcpu_at(vm, index)->apic, msg->delivery, msg->vector,
				msg->trig_level);
}

int ost_irq_send(struct ost_vcpu *target, const struct ost_irq_message *msg)
{
	return accept(target->vm, target->index, msg);
}

static int accept_all(struct ost_vm *vm, const struct ost_dest_set *set, u32 nr,
		      const struct ost_irq_message *msg)
{
	int total = -1, r;
	u32 i;

	for_each_set_bit(i, set->bits, nr) {
		r = accept(vm, i, msg);
		if (r >= 0)
			total = max(total, 0) + r;
	}
	return total;
}

/* --- for more than may be told of it with interrupts off --- */

static bool same_message(const struct ost_irq_message *a, const struct ost_irq_message *b)
{
	return a->dest == b->dest && a->vector == b->vector && a->delivery == b->delivery &&
	       a->logical == b->logical && a->trig_level == b->trig_level;
}

/* Is anybody there who takes it? A level that nobody has taken must not count as delivered. */
static bool any_takes(struct ost_vm *vm, const struct ost_dest_set *set, u32 nr)
{
	u32 i;

	for_each_set_bit(i, set->bits, nr)
		if (ost_lapic_sw_enabled(ost_vcpu_at(vm, i)->apic))
			return true;
	return false;
}

/* False when it is to be delivered here and now, also because too many wait already. */
static bool defer(struct ost_vm *vm, const struct ost_dest_set *set, u32 nr,
		  const struct ost_irq_message *msg, int *r)
{
	struct ost_irq_later *later = &vm->irqs.later;
	unsigned long flags;
	bool waits = true;
	u32 i;

	if (!irqs_disabled() || msg->delivery == OST_DELIVER_LOWEST ||
	    bitmap_weight(set->bits, nr) <= OST_IRQ_AT_ONCE ||
	    (msg->delivery == OST_DELIVER_FIXED && !any_takes(vm, set, nr)))
		return false;
	raw_spin_lock_irqsave(&later->lock, flags);
	for (i = 0; i < later->nr; i++)
		if (same_message(&later->msg[i], msg))
			break;
	*r = i == later->nr;
	if (i == ARRAY_SIZE(later->msg))
		waits = false;
	else if (i == later->nr)
		later->msg[later->nr++] = *msg;
	raw_spin_unlock_irqrestore(&later->lock, flags);
	if (waits)
		queue_work(system_unbound_wq, &later->work);
	return waits;
}

static void deliver_later(struct work_struct *work)
{
	struct ost_vm *vm = container_of(work, struct ost_vm, irqs.later.work);
	struct ost_irq_later *later = &vm->irqs.later;
	struct ost_irq_message msg;
	bool any;

	do {
		raw_spin_lock_irq(&later->lock);
		any = later->nr;
		if (any) {
			msg = later->msg[0];
			later->nr--;
			memmove(&later->msg[0], &later->msg[1], later->nr * sizeof(msg));
		}
		raw_spin_unlock_irq(&later->lock);
		if (any)
			ost_irq_deliver(vm, NULL, &msg);
		cond_resched();
	} while (any);
}

void ost_irq_later_init(struct ost_vm *vm)
{
	raw_spin_lock_init(&vm->irqs.later.lock);
	INIT_WORK(&vm->irqs.later.work, deliver_later);
}

void ost_irq_later_destroy(struct ost_vm *vm)
{
	cancel_work_sync(&vm->irqs.later.work);
}

static enum ost_dest_width width_of(struct ost_vm *vm, struct ost_vcpu *source)
{
	if (source)
		return READ_ONCE(source->apic->mode) == OST_APIC_X2APIC ? OST_DEST_32 : OST_DEST_8;
	return READ_ONCE(vm->irqs.no_broadcast_quirk) ? OST_DEST_EITHER : OST_DEST_8;
}

int ost_irq_deliver(struct ost_vm *vm, struct ost_vcpu *source, const struct ost_irq_message *msg)
{
	enum ost_dest_width width = width_of(vm, source);
	const struct ost_apic_map *map;
	struct ost_dest_set set;
	u32 dest = msg->dest, nr;
	int r;

	if (msg->shorthand == OST_SHORTHAND_SELF)
		return source ? accept(vm, source->index, msg) : -1;
	if (msg->shorthand != OST_SHORTHAND_NONE)
		dest = U32_MAX;

	rcu_read_lock();
	/* A vCPU that is being created may not be in it yet, and then takes nothing yet. */
	map = rcu_dereference(vm->irqs.map);
	r = map ? ost_dest_map_one(&map->map, dest, msg->logical, width) : -1;
	if (r >= 0) {
		r = accept(vm, r, msg);
		goto out;
	}
	if (likely(map)) {
		nr = map->map.nr;
		ost_dest_map_find(&map->map, dest, msg->logical, width, &set);
	} else {
		nr = find_without_map(vm, dest, msg->logical, width, &set);
	}
	if (unlikely(nr > OST_IRQ_AT_ONCE) && !source && defer(vm, &set, nr, msg, &r))
		goto out;
	if (msg->shorthand == OST_SHORTHAND_OTHERS && source)
		__clear_bit(source->index, set.bits);
	if (msg->delivery == OST_DELIVER_LOWEST) {
		r = arbitrate(vm, &set, nr, msg->vector);
		if (r >= 0)
			r = accept(vm, r, msg);
	} else {
		r = accept_all(vm, &set, nr, msg);
	}
out:
	rcu_read_unlock();
	return r;
}
