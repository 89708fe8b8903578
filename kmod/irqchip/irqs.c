// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's interrupt controllers as a whole: creation, end, and the state of the chips for the VMM.
 */
#include <linux/string.h>
#include "chips.h"
#include "../vm.h"

void ost_irqs_init(struct ost_vm *vm)
{
	mutex_init(&vm->irqs.map_lock);
	mutex_init(&vm->irqs.irqfd_lock);
	ost_irq_later_init(vm);
	vm->irqs.tick_ns = OST_LAPIC_TICK_NS;
	INIT_LIST_HEAD(&vm->irqs.irqfds);
	INIT_LIST_HEAD(&vm->irqs.resamplers);
}

void ost_irqs_destroy(struct ost_vm *vm)
{
	/* Sources first, then what they drive. */
	ost_pit_destroy(vm);
	ost_ioapic_stop(vm);
	/* What waits looks at the IOAPIC's vectors. */
	ost_irq_later_destroy(vm);
	ost_ioapic_destroy(vm);
	ost_pic_destroy(vm);
	ost_routing_destroy(vm);
	ost_dest_map_destroy(vm);
}

int ost_irqchip_create(struct ost_vm *vm)
{
	int r;

	lockdep_assert_held(&vm->lock);
	if (ost_irqchip_in_kernel(vm))
		return -EEXIST;
	/* All vCPUs have a LAPIC or none has. */
	if (vm->nr_creating)
		return -EINVAL;
	r = ost_pic_create(vm);
	if (!r)
		r = ost_ioapic_create(vm);
	if (!r)
		r = ost_routing_create(vm);
	if (r)
		return r;
	vm->irqs.eois = ost_ioapic_eoi_vectors(vm);
	/* Pairs with the acquire in ost_irqchip_in_kernel(): who sees it finds everything. */
	smp_store_release(&vm->irqs.mode, OST_IRQCHIP_FULL);
	return 0;
}

u32 ost_eoi_exits_version(struct ost_vm *vm)
{
	u32 version = READ_ONCE(vm->irqs.eois->version);

	/* Pairs with the barrier where it is written: vectors read next are not older. */
	smp_rmb();
	return version;
}

void ost_eoi_exits(struct ost_vm *vm, u64 vectors[4])
{
	u32 i;

	for (i = 0; i < 4; i++)
		vectors[i] = READ_ONCE(vm->irqs.eois->vectors[i]);
	/* Those below 16 are never in service, but are what an EOI means when nothing is. */
	vectors[0] &= ~0xffffull;
}

bool ost_eoi_exit(struct ost_vm *vm, u8 vector)
{
	return test_bit(vector, vm->irqs.eois->vectors);
}

/* Of the longest time, the largest count by the largest divisor, 64 bits hold the nanoseconds. */
#define MAX_TICK_NS (U64_MAX / (U32_MAX * 128ull))

int ost_irqchip_cap_bus_cycles(struct ost_vm *vm, const u64 *args)
{
	int r = -EINVAL;

	mutex_lock(&vm->lock);
	if (!ost_irqchip_in_kernel(vm)) {
		r = -ENXIO;
	} else if (!vm->nr_creating && args[0] && args[0] <= MAX_TICK_NS) {
		WRITE_ONCE(vm->irqs.tick_ns, args[0]);
		r = 0;
	}
	mutex_unlock(&vm->lock);
	return r;
}

int ost_irqchip_get(struct ost_vm *vm, struct kvm_irqchip *chip)
{
	u32 id = chip->chip_id;

	memset(&chip->chip, 0, sizeof(chip->chip));
	switch (id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		ost_pic_get(vm, id, &chip->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		ost_ioapic_get(vm, &chip->chip.ioapic);
		return 0;
	}
	return -EINVAL;
}

int ost_irqchip_set(struct ost_vm *vm, const struct kvm_irqchip *chip)
{
	switch (chip->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		ost_pic_restore(vm, chip->chip_id, &chip->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		return ost_ioapic_restore(vm, &chip->chip.ioapic);
	}
	return -EINVAL;
}
