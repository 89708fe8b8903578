// SPDX-License-Identifier: GPL-2.0-only
/*
 * GSI routing: which pins or messages a GSI drives. The table is immutable; a new one is published
 * under RCU, and readers in any context go on with the one that they have.
 */
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "chips.h"
#include "../trace.h"
#include "../vm.h"

#define CHIP_PINS KVM_IOAPIC_NUM_PINS	/* the most that one has */
#define PIC_PINS 8
#define NO_GSI (-1)
#define MANY_GSIS (-2)

struct route {
	u32 gsi;
	u32 chip;		/* KVM_IRQCHIP_*, or MSI_ROUTE */
	u32 pin;
	struct ost_irq_message msg;
};
#define MSI_ROUTE KVM_NR_IRQCHIPS

struct ost_routing {
	struct rcu_head rcu;
	u32 nr_gsis;		/* the highest one that is routed + 1 */
	u32 nr;
	s16 gsi_of[KVM_NR_IRQCHIPS][CHIP_PINS]; /* the way back; NO_GSI, MANY_GSIS */
	u16 *first;		/* by gsi: its first route; the next one's is behind its last */
	struct route routes[];
};

/*
 * SDM 11.11.1 and 11.11.2. With KVM_X2APIC_API_USE_32BIT_IDS bits 31:8 of the upper address are those of the
 * destination; else it means nothing. 0 or -EINVAL.
 */
static int msi_message(struct ost_vm *vm, u32 address, u32 address_hi, u32 data,
		       struct ost_irq_message *msg)
{
	if (!READ_ONCE(vm->irqs.ids_32bit))
		address_hi = 0;
	if (address_hi & 0xff)
		return -EINVAL;
	*msg = (struct ost_irq_message){
		.dest = (address >> 12 & 0xff) | address_hi,
		.logical = address & BIT(2),
		.vector = data & 0xff,
		.delivery = data >> 8 & 7,
		.level = data & BIT(14),
		.trig_level = data & BIT(15),
	};
	/*
	 * The redirection hint: one of those that are addressed, the one with the lowest priority.
	 */
	if (address & BIT(3) && msg->logical && msg->delivery == OST_DELIVER_FIXED)
		msg->delivery = OST_DELIVER_LOWEST;
	return 0;
}

static int drive(struct ost_vm *vm, const struct route *route, int source, bool level)
{
	switch (route->chip) {
	case KVM_IRQCHIP_PIC_MASTER:
		return ost_pic_set(vm, route->pin, source, level);
	case KVM_IRQCHIP_PIC_SLAVE:
		return ost_pic_set(vm, route->pin + PIC_PINS, source, level);
	case KVM_IRQCHIP_IOAPIC:
		return ost_ioapic_set(vm, route->pin, source, level);
	}
	/* A message goes out when the line rises. */
	return level ? ost_irq_deliver(vm, NULL, &route->msg) : -1;
}

int ost_set_gsi(struct ost_vm *vm, int source, u32 gsi, bool level)
{
	const struct ost_routing *routing;
	int total = -1, r;
	u32 i;

	trace_ost_set_irq(vm, gsi, level, source);
	rcu_read_lock();
	routing = rcu_dereference(vm->irqs.routing);
	if (gsi >= routing->nr_gsis) {
		rcu_read_unlock();
		return -EINVAL;
	}
	gsi = array_index_nospec(gsi, routing->nr_gsis);
	for (i = routing->first[gsi]; i < routing->first[gsi + 1]; i++) {
		r = drive(vm, &routing->routes[i], source, level);
		if (r >= 0)
			total = max(total, 0) + r;
	}
	rcu_read_unlock();
	return total;
}

int ost_signal_msi(struct ost_vm *vm, const struct kvm_msi *msi)
{
	struct ost_irq_message msg;
	int r;

	if (msi->flags)
		return -EINVAL;
	r = msi_message(vm, msi->address_lo, msi->address_hi, msi->data, &msg);
	if (r)
		return r;
	r = ost_irq_deliver(vm, NULL, &msg);
	/*
	 * The ABI: 0 when the guest blocked it. One that merges with another is delivered with
	 * that.
	 */
	return r < 0 ? 0 : max(r, 1);
}

static void gsi_ended(struct ost_vm *vm, u32 gsi)
{
	if (gsi == 0)
		ost_pit_ended(vm);
	ost_irqfd_ended(vm, gsi);
}

void ost_irq_ended(struct ost_vm *vm, u32 chip, u32 pin)
{
	const struct ost_routing *routing;
	int gsi;
	u32 i;

	rcu_read_lock();
	routing = rcu_dereference(vm->irqs.routing);
	gsi = routing->gsi_of[chip][pin];
	if (gsi >= 0)
		gsi_ended(vm, gsi);
	for (i = 0; gsi == MANY_GSIS && i < routing->nr; i++)
		if (routing->routes[i].chip == chip && routing->routes[i].pin == pin)
			gsi_ended(vm, routing->routes[i].gsi);
	rcu_read_unlock();
}

/* --- building a table --- */

/* 0, or -EINVAL. */
static int parse(struct ost_vm *vm, const struct kvm_irq_routing_entry *entry, bool chips,
		 struct route *route)
{
	u32 pins;

	if (entry->gsi >= OST_MAX_GSI_ROUTES || entry->flags)
		return -EINVAL;
	route->gsi = entry->gsi;
	switch (entry->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (!chips || entry->u.irqchip.irqchip >= KVM_NR_IRQCHIPS)
			return -EINVAL;
		route->chip = entry->u.irqchip.irqchip;
		pins = route->chip == KVM_IRQCHIP_IOAPIC ? CHIP_PINS : PIC_PINS;
		if (entry->u.irqchip.pin >= pins)
			return -EINVAL;
		route->pin = entry->u.irqchip.pin;
		return 0;
	case KVM_IRQ_ROUTING_MSI:
		route->chip = MSI_ROUTE;
		return msi_message(vm, entry->u.msi.address_lo, entry->u.msi.address_hi,
				   entry->u.msi.data, &route->msg);
	}
	return -EINVAL;
}

static int compare_gsi(const void *a, const void *b)
{
	const struct route *x = a, *y = b;

	return x->gsi < y->gsi ? -1 : x->gsi > y->gsi;
}

/* One pin of each chip, or one message, a GSI: the ABI's rule. Sorted by GSI already. */
static bool conflicts(const struct ost_routing *routing)
{
	u32 i, j;

	for (i = 0; i < routing->nr; i++) {
		const struct route *a = &routing->routes[i];

		/* At most three routes of different chips come before the fourth conflicts. */
		for (j = i + 1; j < routing->nr && routing->routes[j].gsi == a->gsi; j++) {
			const struct route *b = &routing->routes[j];

			if (a->chip == b->chip || a->chip == MSI_ROUTE || b->chip == MSI_ROUTE)
				return true;
		}
	}
	return false;
}

static void index_routes(struct ost_routing *routing)
{
	u32 i, gsi = 0;
	s16 *back;

	memset(routing->gsi_of, 0xff, sizeof(routing->gsi_of));
	for (i = 0; i < routing->nr; i++) {
		const struct route *route = &routing->routes[i];

		while (gsi <= route->gsi)
			routing->first[gsi++] = i;
		if (route->chip == MSI_ROUTE)
			continue;
		back = &routing->gsi_of[route->chip][route->pin];
		*back = *back == NO_GSI ? (s16)route->gsi : MANY_GSIS;
	}
	while (gsi <= routing->nr_gsis)
		routing->first[gsi++] = routing->nr;
}

/* chips: there are some in the kernel, or will be. */
static struct ost_routing *build(struct ost_vm *vm, const struct kvm_irq_routing_entry *entries,
				 u32 nr, bool chips)
{
	struct ost_routing *routing;
	u32 i, nr_gsis = 0;
	size_t size;

	for (i = 0; i < nr; i++) {
		if (entries[i].gsi >= OST_MAX_GSI_ROUTES)
			return ERR_PTR(-EINVAL);
		nr_gsis = max(nr_gsis, entries[i].gsi + 1);
	}
	size = struct_size(routing, routes, nr);
	routing = kvzalloc(size + (nr_gsis + 1) * sizeof(*routing->first), GFP_KERNEL_ACCOUNT);
	if (!routing)
		return ERR_PTR(-ENOMEM);
	routing->nr = nr;
	routing->nr_gsis = nr_gsis;
	routing->first = (void *)routing + size;
	for (i = 0; i < nr; i++)
		if (parse(vm, &entries[i], chips, &routing->routes[i]))
			goto invalid;
	sort(routing->routes, nr, sizeof(routing->routes[0]), compare_gsi, NULL);
	if (conflicts(routing))
		goto invalid;
	index_routes(routing);
	return routing;

invalid:
	kvfree(routing);
	return ERR_PTR(-EINVAL);
}

/* The level-triggered messages of userspace's IOAPIC: their ends go out. */
static void note_user_eois(struct ost_vm *vm, const struct ost_routing *routing)
{
	unsigned long vectors[4] = { 0 };
	u32 i;

	/* Sorted by GSI. */
	for (i = 0; i < routing->nr && routing->routes[i].gsi < vm->irqs.nr_user_pins; i++) {
		const struct ost_irq_message *msg = &routing->routes[i].msg;

		if (msg->trig_level && msg->delivery <= OST_DELIVER_LOWEST)
			__set_bit(msg->vector, vectors);
	}
	ost_eoi_vectors_set(&vm->irqs.user_eois, vectors);
}

static int set_routing(struct ost_vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr,
		       bool chips)
{
	struct ost_routing *old, *new;

	lockdep_assert_held(&vm->lock);
	new = build(vm, entries, nr, chips);
	if (IS_ERR(new))
		return PTR_ERR(new);
	/* Before anything is sent by the new ones. */
	if (!chips)
		note_user_eois(vm, new);
	/* An interrupt that is on its way while this returns counts as sent before. */
	old = rcu_replace_pointer(vm->irqs.routing, new, lockdep_is_held(&vm->lock));
	if (old)
		kvfree_rcu(old, rcu);
	return 0;
}

int ost_set_gsi_routing(struct ost_vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr,
			u32 flags)
{
	if (flags || nr > OST_MAX_GSI_ROUTES)
		return -EINVAL;
	return set_routing(vm, entries, nr, ost_chips_in_kernel(vm));
}

int ost_routing_create_empty(struct ost_vm *vm)
{
	return set_routing(vm, NULL, 0, false);
}

int ost_routing_create(struct ost_vm *vm)
{
	struct kvm_irq_routing_entry *entries;
	u32 gsi, nr = 0;
	int r;

	entries = kcalloc(16 + CHIP_PINS, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	for (gsi = 0; gsi < CHIP_PINS; gsi++) {
		entries[nr].gsi = gsi;
		entries[nr].type = KVM_IRQ_ROUTING_IRQCHIP;
		entries[nr].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		entries[nr++].u.irqchip.pin = gsi;
		if (gsi >= 2 * PIC_PINS)
			continue;
		entries[nr].gsi = gsi;
		entries[nr].type = KVM_IRQ_ROUTING_IRQCHIP;
		entries[nr].u.irqchip.irqchip = gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER :
								 KVM_IRQCHIP_PIC_SLAVE;
		entries[nr++].u.irqchip.pin = gsi % PIC_PINS;
	}
	r = set_routing(vm, entries, nr, true);
	kfree(entries);
	return r;
}

void ost_routing_destroy(struct ost_vm *vm)
{
	kvfree(rcu_replace_pointer(vm->irqs.routing, NULL, true));
}
