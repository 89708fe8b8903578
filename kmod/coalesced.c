// SPDX-License-Identifier: GPL-2.0-only
/* Coalesced I/O: zones on the buses, and the ring that writes to them go to (coalesced.h). */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "coalesced.h"
#include "io.h"
#include "vcpu.h"
#include "vm.h"

struct coalesced_zone {
	struct ost_iodev dev;
	struct list_head link;	/* in coalesced.zones */
	struct rcu_head rcu;
	u64 addr;
	u32 size;
	bool pio;
};

static struct ost_bus *zone_bus(struct ost_vm *vm, const struct coalesced_zone *zone)
{
	return zone->pio ? &vm->pio_bus : &vm->mmio_bus;
}

static bool zone_holds(const struct coalesced_zone *zone, u64 addr, u32 len)
{
	return addr >= zone->addr && addr - zone->addr <= zone->size &&
	       len <= zone->size - (addr - zone->addr);
}

/* False where there is no room, or the VMM has left an index there that is none. Any context but interrupts. */
static bool ring_add(struct ost_coalesced *coalesced, const struct coalesced_zone *zone, u64 addr, u32 len,
		     const void *val)
{
	struct kvm_coalesced_mmio_ring *ring = page_address(coalesced->page);
	struct kvm_coalesced_mmio *entry;
	bool added = false;
	u32 at, next;

	raw_spin_lock(&coalesced->lock);
	at = READ_ONCE(ring->last);
	if (at >= KVM_COALESCED_MMIO_MAX)
		goto out;
	at = array_index_nospec(at, KVM_COALESCED_MMIO_MAX);
	next = (at + 1) % KVM_COALESCED_MMIO_MAX;
	/* The entry is written only where this says so: no barrier is needed between. */
	if (next == READ_ONCE(ring->first))
		goto out;
	entry = &ring->coalesced_mmio[at];
	entry->phys_addr = addr;
	entry->len = len;
	entry->pio = zone->pio;
	memcpy(entry->data, val, len);
	/* Who sees the index sees the entry. */
	smp_store_release(&ring->last, next);
	added = true;
out:
	raw_spin_unlock(&coalesced->lock);
	return added;
}

static int zone_read(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, void *val)
{
	return -EOPNOTSUPP;
}

static int zone_write(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
		      const void *val)
{
	const struct coalesced_zone *zone = container_of(dev, struct coalesced_zone, dev);

	if (len > sizeof_field(struct kvm_coalesced_mmio, data) || !zone_holds(zone, addr, len) ||
	    !ring_add(&vcpu->vm->coalesced, zone, addr, len, val))
		return -EOPNOTSUPP;
	return 0;
}

static const struct ost_iodev_ops zone_ops = {
	.read = zone_read,
	.write = zone_write,
};

static void free_zone(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct coalesced_zone, rcu));
}

int ost_coalesced_register(struct ost_vm *vm, const struct kvm_coalesced_mmio_zone *args)
{
	struct coalesced_zone *zone;
	int r;

	if (args->pio > 1)
		return -EINVAL;
	zone = kzalloc(sizeof(*zone), GFP_KERNEL_ACCOUNT);
	if (!zone)
		return -ENOMEM;
	zone->dev.ops = &zone_ops;
	zone->addr = args->addr;
	zone->size = args->size;
	zone->pio = args->pio;

	mutex_lock(&vm->lock);
	r = ost_bus_register(vm, zone_bus(vm, zone), zone->addr, zone->size, &zone->dev);
	if (!r)
		list_add_tail(&zone->link, &vm->coalesced.zones);
	mutex_unlock(&vm->lock);
	if (r)
		kfree(zone);
	return r;
}

int ost_coalesced_unregister(struct ost_vm *vm, const struct kvm_coalesced_mmio_zone *args)
{
	struct coalesced_zone *zone, *next;
	int r = 0;

	if (args->pio > 1)
		return -EINVAL;
	mutex_lock(&vm->lock);
	list_for_each_entry_safe(zone, next, &vm->coalesced.zones, link) {
		if (zone->pio != args->pio || !zone_holds(zone, args->addr, args->size))
			continue;
		r = ost_bus_unregister(vm, zone_bus(vm, zone), &zone->dev);
		if (r)
			break;
		list_del(&zone->link);
		ost_vm_retire(vm, &zone->rcu, free_zone);
	}
	mutex_unlock(&vm->lock);
	return r;
}

int ost_coalesced_create(struct ost_vm *vm)
{
	raw_spin_lock_init(&vm->coalesced.lock);
	INIT_LIST_HEAD(&vm->coalesced.zones);
	vm->coalesced.page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return vm->coalesced.page ? 0 : -ENOMEM;
}

void ost_coalesced_destroy(struct ost_vm *vm)
{
	struct coalesced_zone *zone, *next;

	list_for_each_entry_safe(zone, next, &vm->coalesced.zones, link)
		kfree(zone);
	/* Mappings of it hold a vCPU's file, and so the VM. */
	__free_page(vm->coalesced.page);
}
