// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_CAP_SPLIT_IRQCHIP: LAPICs in the kernel, PICs, IOAPIC and PIT in userspace.
 *
 * The IOAPIC's pins are the first GSIs, as many as it was created with, each routed to the message that its
 * entry makes. The ends of those that are level-triggered go out as KVM_EXIT_IOAPIC_EOI. What the PIC has to
 * say comes by KVM_INTERRUPT, as long as LINT0 lets it in (lapic_glue.c).
 */
#include <linux/bitmap.h>
#include "chips.h"
#include "../vcpu.h"
#include "../vm.h"

static int split_create(struct ost_vm *vm, u64 nr_pins)
{
	int r;

	lockdep_assert_held(&vm->lock);
	if (nr_pins > OST_MAX_GSI_ROUTES)
		return -EINVAL;
	/* All vCPUs have a LAPIC or none has; the ABI's answer is the same to both. */
	if (ost_irqchip_in_kernel(vm) || vm->nr_creating)
		return -EEXIST;
	r = ost_routing_create_empty(vm);
	if (r)
		return r;
	vm->irqs.nr_user_pins = nr_pins;
	vm->irqs.eois = &vm->irqs.user_eois;
	/* Pairs with the acquire in ost_irqchip_in_kernel(). */
	smp_store_release(&vm->irqs.mode, OST_IRQCHIP_SPLIT);
	return 0;
}

void ost_split_eoi(struct ost_vcpu *vcpu, u8 vector, bool level)
{
	if (!level)
		return;
	/* One instruction may end more than one: they go out one after the other. */
	__set_bit(vector, vcpu->user_eois);
	ost_request(vcpu, OST_REQ_IOAPIC_EOI);
}

bool ost_split_eoi_exit(struct ost_vcpu *vcpu)
{
	u32 vector = find_first_bit(vcpu->user_eois, 256);

	if (vector == 256)
		return false;
	__clear_bit(vector, vcpu->user_eois);
	if (!bitmap_empty(vcpu->user_eois, 256))
		ost_request(vcpu, OST_REQ_IOAPIC_EOI);
	vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
	vcpu->run->eoi.vector = vector;
	return true;
}

/* --- KVM_ENABLE_CAP --- */

int ost_irqchip_cap_split(struct ost_vm *vm, const u64 *args)
{
	int r;

	mutex_lock(&vm->lock);
	r = split_create(vm, args[0]);
	mutex_unlock(&vm->lock);
	return r;
}

int ost_irqchip_cap_x2apic(struct ost_vm *vm, const u64 *args)
{
	if (args[0] & ~(u64)(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK))
		return -EINVAL;
	/* They are never taken back. */
	if (args[0] & KVM_X2APIC_API_USE_32BIT_IDS)
		WRITE_ONCE(vm->irqs.ids_32bit, true);
	if (args[0] & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)
		WRITE_ONCE(vm->irqs.no_broadcast_quirk, true);
	return 0;
}
