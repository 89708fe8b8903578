/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of irqchip/ call of each other. Outside of it, irqchip.h counts. */
#ifndef OST_IRQCHIP_CHIPS_H
#define OST_IRQCHIP_CHIPS_H

#include <linux/kvm.h>
#include "irqchip.h"
#include "lapic.h"

struct ost_dest_addr;

/*
 * Under KVM_CREATE_IRQCHIP, vm->lock held: 0, -ENOMEM, -ENOSPC. What a failed attempt got done
 * stays, without effect, for the next one or the VM's end: taking a device off a bus could fail,
 * too. destroy copes with any of it.
 */
int ost_pic_create(struct ost_vm *vm);
void ost_pic_destroy(struct ost_vm *vm);
int ost_ioapic_create(struct ost_vm *vm);
/* It sends nothing more of its own accord: before what it has sent is waited for. */
void ost_ioapic_stop(struct ost_vm *vm);
void ost_ioapic_destroy(struct ost_vm *vm);
void ost_pit_destroy(struct ost_vm *vm);
/* The routing that a VM begins with: GSI 0-15 to PIC and IOAPIC, 16-23 to the IOAPIC. */
int ost_routing_create(struct ost_vm *vm);
void ost_routing_destroy(struct ost_vm *vm);
void ost_dest_map_destroy(struct ost_vm *vm);
void ost_irq_later_init(struct ost_vm *vm);
/* When nothing is sent any more. May sleep. */
void ost_irq_later_destroy(struct ost_vm *vm);

/* A source drives a pin; results as ost_set_gsi(). Any context. */
int ost_pic_set(struct ost_vm *vm, u32 pin, u32 source, bool level);
int ost_ioapic_set(struct ost_vm *vm, u32 pin, u32 source, bool level);

/* The PIC's vector for a CPU whose LINT0 lets it in: -1 for none. ack is the INTA cycle. */
int ost_pic_peek(struct ost_vm *vm);
int ost_pic_ack(struct ost_vm *vm);

/* A LAPIC ended one of the chip's vectors: level is its bit in TMR. No chip's lock held. */
void ost_ioapic_eoi(struct ost_vm *vm, u8 vector, bool level);
/* The same where the IOAPIC is userspace's. Own thread. */
void ost_split_eoi(struct ost_vcpu *vcpu, u8 vector, bool level);
/* Routing without any route, vm->lock held: 0 or -ENOMEM. */
int ost_routing_create_empty(struct ost_vm *vm);
/* The IOAPIC's, once it was created. */
const struct ost_eoi_vectors *ost_ioapic_eoi_vectors(struct ost_vm *vm);
/*
 * The interrupt of a chip's pin (KVM_IRQCHIP_*) ended: tells PIT and irqfds of its GSIs. No chip's
 * lock held.
 */
void ost_irq_ended(struct ost_vm *vm, u32 chip, u32 pin);
void ost_pit_ended(struct ost_vm *vm);
void ost_irqfd_ended(struct ost_vm *vm, u32 gsi);

void ost_pic_get(struct ost_vm *vm, u32 chip, struct kvm_pic_state *out);
void ost_pic_restore(struct ost_vm *vm, u32 chip, const struct kvm_pic_state *in);
void ost_ioapic_get(struct ost_vm *vm, struct kvm_ioapic_state *out);
int ost_ioapic_restore(struct ost_vm *vm, const struct kvm_ioapic_state *in);

/* What this vCPU's LAPIC is addressed by now. */
void ost_lapic_address(const struct ost_lapic *apic, struct ost_dest_addr *addr);
/*
 * What a LAPIC is addressed by changed, or there is one more: publishes a new map. May sleep.
 * Without memory for it there is none, and senders search the LAPICs.
 */
void ost_dest_map_update(struct ost_vm *vm);

#endif
