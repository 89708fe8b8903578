// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delivering interrupt messages: who is addressed (dest.c), which one takes a lowest-priority
 * interrupt.
 *
 * The map is replaced whole when a LAPIC's mode, id, LDR or DFR changes: the thread that changed it
 * builds the new one after its change, under map_lock, so the last map built has seen all. Senders
 * read it under RCU.
 */
#include <linux/limits.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "chips.h"
#include "dest.h"
#include "../vcpu.h"
#include "../vm.h"

static_assert(OST_MAX_VCPUS <= OST_DEST_MAX && OST_MAX_VCPU_ID < 0xff);

struct ost_apic_map {
	struct rcu_head rcu;
	struct ost_dest_map map;
};

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
	addr->id = ost_lapic_reg(apic, APIC_ID) >> 24;
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

void ost_dest_map_update(struct ost_vm *vm)
{
	struct ost_apic_map *old, *new;
	u32 nr, i;

	mutex_lock(&vm->irqs.map_lock);
	nr = ost_nr_vcpus(vm);
	new = kvmalloc(struct_size(new, map.addr, nr), GFP_KERNEL_ACCOUNT);
	if (new) {
		for (i = 0; i < nr; i++)
			ost_lapic_address(vm->vcpus[i]->apic, &new->map.addr[i]);
		ost_dest_map_build(&new->map, nr);
	}
	old = rcu_replace_pointer(vm->irqs.map, new, lockdep_is_held(&vm->irqs.map_lock));
	mutex_unlock(&vm->irqs.map_lock);
	if (old)
		kvfree_rcu(old, rcu);
}

void ost_dest_map_destroy(struct ost_vm *vm)
{
	kvfree(rcu_replace_pointer(vm->irqs.map, NULL, true));
}

static const struct ost_dest_map *current_map(struct ost_vm *vm, u32 nr)
{
	const struct ost_apic_map *map = rcu_dereference(vm->irqs.map);

	/* A vCPU that was just created is not in it yet. */
	return map && map->map.nr == nr ? &map->map : NULL;
}

static void find(struct ost_vm *vm, const struct ost_dest_map *map, u32 nr, u32 dest, bool logical,
		 bool wide, struct ost_dest_set *set)
{
	struct ost_dest_addr addr;
	u32 i;

	if (map) {
		ost_dest_map_find(map, dest, logical, wide, set);
		return;
	}
	memset(set, 0, sizeof(*set));
	for (i = 0; i < nr; i++) {
		ost_lapic_address(vm->vcpus[i]->apic, &addr);
		if (ost_dest_match(&addr, dest, logical, wide))
			__set_bit(i, set->bits);
	}
}

/*
 * Lowest priority (SDM 11.6.2.4): the one with the lowest task priority class; of several, the one
 * that was chosen least often. -1 when nobody can take it.
 */
static int arbitrate(struct ost_vm *vm, const struct ost_dest_set *set)
{
	u64 best = U64_MAX, rank;
	int winner = -1;
	u32 i;

	for_each_set_bit(i, set->bits, OST_DEST_MAX) {
		struct ost_lapic *apic = vm->vcpus[i]->apic;

		if (!ost_lapic_sw_enabled(apic))
			continue;
		rank = (u64)(ost_lapic_reg(apic, APIC_TASKPRI) >> 4) << 32 |
		       READ_ONCE(apic->arbitrations);
		if (rank < best) {
			best = rank;
			winner = i;
		}
	}
	if (winner >= 0) {
		struct ost_lapic *apic = vm->vcpus[winner]->apic;

		/* Two senders may count one time only; it is about fairness, nothing else. */
		WRITE_ONCE(apic->arbitrations, READ_ONCE(apic->arbitrations) + 1);
	}
	return winner;
}

static int accept(struct ost_vm *vm, u32 index, const struct ost_irq_message *msg)
{
	return ost_lapic_accept(vm->vcpus[index]->apic, msg->delivery, msg->vector,
				msg->trig_level);
}

int ost_irq_send(struct ost_vcpu *target, const struct ost_irq_message *msg)
{
	return accept(target->vm, target->index, msg);
}

static int accept_all(struct ost_vm *vm, const struct ost_dest_set *set,
		      const struct ost_irq_message *msg)
{
	int total = -1, r;
	u32 i;

	for_each_set_bit(i, set->bits, OST_DEST_MAX) {
		r = accept(vm, i, msg);
		if (r >= 0)
			total = max(total, 0) + r;
	}
	return total;
}

int ost_irq_deliver(struct ost_vm *vm, struct ost_vcpu *source, const struct ost_irq_message *msg)
{
	bool wide = source && READ_ONCE(source->apic->mode) == OST_APIC_X2APIC;
	const struct ost_dest_map *map;
	struct ost_dest_set set;
	u32 dest = msg->dest, nr;
	int r;

	if (msg->shorthand == OST_SHORTHAND_SELF)
		return source ? accept(vm, source->index, msg) : -1;
	if (msg->shorthand != OST_SHORTHAND_NONE)
		dest = wide ? U32_MAX : 0xff;

	rcu_read_lock();
	nr = ost_nr_vcpus(vm);
	map = current_map(vm, nr);
	r = map ? ost_dest_map_one(map, dest, msg->logical, wide) : -1;
	if (r >= 0) {
		r = accept(vm, r, msg);
		goto out;
	}
	find(vm, map, nr, dest, msg->logical, wide, &set);
	if (msg->shorthand == OST_SHORTHAND_OTHERS && source)
		__clear_bit(source->index, set.bits);
	if (msg->delivery == OST_DELIVER_LOWEST) {
		r = arbitrate(vm, &set);
		if (r >= 0)
			r = accept(vm, r, msg);
	} else {
		r = accept_all(vm, &set, msg);
	}
out:
	rcu_read_unlock();
	return r;
}
