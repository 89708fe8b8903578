// SPDX-License-Identifier: GPL-2.0-only
/* The in-kernel buses: sorted arrays of devices, replaced whole when one is added or removed. */
#include <linux/hash.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include "io.h"
#include "vcpu.h"
#include "vm.h"

#define MAX_DEVICES 1000

static void free_array(struct rcu_head *rcu)
{
	kvfree(container_of(rcu, struct ost_bus_array, rcu));
}

/* Writers' view: vm->lock is held. */
static struct ost_bus_array *current_array(struct ost_vm *vm, struct ost_bus *bus)
{
	return rcu_dereference_protected(bus->array, lockdep_is_held(&vm->lock));
}

/* Blocks of 8 addresses: a range that spans more than some of them sets all bits. */
#define FILTER_SHIFT 3
#define FILTER_MAX_BLOCKS 32

static u64 filter_bit(u64 block)
{
	return BIT_ULL(hash_64(block, 6));
}

static u64 filter_of(u64 addr, u64 len)
{
	u64 block = addr >> FILTER_SHIFT, last = (addr + max(len, 1ull) - 1) >> FILTER_SHIFT;
	u64 filter = 0;

	if (last < block || last - block >= FILTER_MAX_BLOCKS)
		return ~0ull;
	for (; block <= last; block++)
		filter |= filter_bit(block);
	return filter;
}

static void publish(struct ost_vm *vm, struct ost_bus *bus, struct ost_bus_array *old,
		    struct ost_bus_array *new)
{
	rcu_assign_pointer(bus->array, new);
	if (old)
		ost_vm_retire(vm, &old->rcu, free_array);
}

int ost_bus_register(struct ost_vm *vm, struct ost_bus *bus, u64 addr, u64 len,
		     struct ost_iodev *dev)
{
	struct ost_bus_array *old, *new;
	u32 nr, at;

	lockdep_assert_held(&vm->lock);
	old = current_array(vm, bus);
	nr = old ? old->nr : 0;
	if (nr >= MAX_DEVICES)
		return -ENOSPC;
	new = kvmalloc(struct_size(new, ranges, nr + 1), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->nr = nr + 1;
	for (at = 0; at < nr && old->ranges[at].addr <= addr; at++)
		;
	if (nr) {
		memcpy(new->ranges, old->ranges, at * sizeof(*new->ranges));
		memcpy(new->ranges + at + 1, old->ranges + at, (nr - at) * sizeof(*new->ranges));
	}
	new->ranges[at] = (struct ost_bus_range){ .addr = addr, .len = len, .dev = dev };
	/* First the way to it: a reader that finds the old array does no harm. Bits of devices that go stay. */
	WRITE_ONCE(bus->filter, bus->filter | filter_of(addr, len));
	publish(vm, bus, old, new);
	return 0;
}

int ost_bus_unregister(struct ost_vm *vm, struct ost_bus *bus, struct ost_iodev *dev)
{
	struct ost_bus_array *old, *new = NULL;
	u32 i, n = 0;

	lockdep_assert_held(&vm->lock);
	old = current_array(vm, bus);
	if (!old)
		return -ENOENT;
	for (i = 0; i < old->nr; i++)
		n += old->ranges[i].dev != dev;
	if (n == old->nr)
		return -ENOENT;
	if (n) {
		new = kvmalloc(struct_size(new, ranges, n), GFP_KERNEL_ACCOUNT);
		if (!new)
			return -ENOMEM;
		new->nr = 0;
		for (i = 0; i < old->nr; i++)
			if (old->ranges[i].dev != dev)
				new->ranges[new->nr++] = old->ranges[i];
	}
	publish(vm, bus, old, new);
	return 0;
}

void ost_bus_destroy(struct ost_bus *bus)
{
	kvfree(rcu_dereference_protected(bus->array, true));
}

/* The first range that begins above addr: those that can contain addr lie before it. */
static u32 upper_bound(const struct ost_bus_array *array, u64 addr)
{
	u32 lo = 0, hi = array->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (array->ranges[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool covers(const struct ost_bus_range *range, u64 addr, u32 len)
{
	if (!range->len)
		return range->addr == addr;
	return addr - range->addr < range->len && len <= range->len - (addr - range->addr);
}

static int bus_access(struct ost_vcpu *vcpu, struct ost_bus *bus, u64 addr, u32 len, void *rd,
		      const void *wr)
{
	struct ost_bus_array *array;
	int idx, r = -EOPNOTSUPP;
	u32 i;

	/* Most guests' common exits find none of the bus' devices: keep that short. */
	if (!(READ_ONCE(bus->filter) & filter_bit(addr >> FILTER_SHIFT)))
		return -EOPNOTSUPP;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	array = srcu_dereference(bus->array, &vcpu->vm->srcu);
	if (!array)
		goto out;
	/*
	 * Devices hardly overlap, but an ioeventfd may lie in another device's range, and begin at its
	 * start; so walk down over all that could contain addr.
	 */
	for (i = upper_bound(array, addr); i-- > 0 && r;) {
		struct ost_iodev *dev = array->ranges[i].dev;

		if (!covers(&array->ranges[i], addr, len))
			continue;
		r = rd ? dev->ops->read(vcpu, dev, addr, len, rd)
		       : dev->ops->write(vcpu, dev, addr, len, wr);
	}
out:
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	return r;
}

int ost_bus_read(struct ost_vcpu *vcpu, struct ost_bus *bus, u64 addr, u32 len, void *val)
{
	return bus_access(vcpu, bus, addr, len, val, NULL);
}

int ost_bus_write(struct ost_vcpu *vcpu, struct ost_bus *bus, u64 addr, u32 len, const void *val)
{
	return bus_access(vcpu, bus, addr, len, NULL, val);
}
