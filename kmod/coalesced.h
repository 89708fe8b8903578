/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Coalesced I/O: a guest's writes to zones that the VMM names are put into a ring instead of leaving KVM_RUN
 * one by one; the VMM looks through the ring before it acts on any other exit.
 *
 * The ring is a page of the VM's, the third of each vCPU's mapping. It is hostile: the VMM may write anything
 * there at any time.
 */
#ifndef OST_COALESCED_H
#define OST_COALESCED_H

#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>

struct ost_vm;

struct ost_coalesced {
	struct page *page;
	raw_spinlock_t lock;		/* who adds to the ring */
	struct list_head zones;		/* guarded by vm->lock */
};

/* At a VM's creation and end. create: 0 or -ENOMEM. */
int ost_coalesced_create(struct ost_vm *vm);
void ost_coalesced_destroy(struct ost_vm *vm);

/* KVM_REGISTER_COALESCED_MMIO and its counterpart: 0, -EINVAL, -ENOMEM, -ENOSPC. May sleep. */
int ost_coalesced_register(struct ost_vm *vm, const struct kvm_coalesced_mmio_zone *zone);
/* Takes away every zone that holds all of this one; none is as good. */
int ost_coalesced_unregister(struct ost_vm *vm, const struct kvm_coalesced_mmio_zone *zone);

#endif
