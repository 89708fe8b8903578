/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM: what its vCPUs share. Reference counting: the VM's fd and every vCPU fd hold a reference; the
 * last one frees everything. The owner's mm is held by mmgrab for the VM's life; its
 * address space may go earlier, which the MMU notifier sees.
 */
#ifndef OST_VM_H
#define OST_VM_H

#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/srcu.h>
#include <linux/xarray.h>
#include "ost.h"
#include "clock.h"
#include "io.h"
#include "mmu/mmu.h"
#include "irqchip/irqchip.h"

/* Most vCPUs a VM may have; APIC ids stay below 255 for xAPIC mode. */
#define OST_MAX_VCPUS 240
#define OST_MAX_VCPU_ID 254

struct ost_vm {
	struct mm_struct *mm;
	refcount_t refs;
	struct mutex lock;	/* VM-wide configuration: vCPU creation, irqchip creation, buses */
	bool dead;		/* by ost_vm_kill() [READ_ONCE] */
	atomic_t nr_retired;	/* by ost_vm_retire() so far */
	struct srcu_struct srcu; /* guards slots, buses and routing for readers that may sleep */
	u64 id;			/* for traces and messages */
	struct list_head link;	/* in the list that stats.c shows */

	/*
	 * vCPUs by index; appended under lock, published by smp_store_release of nr_vcpus,
	 * removed only when the VM is freed.
	 */
	struct ost_vcpu *vcpus[OST_MAX_VCPUS];
	u32 nr_vcpus;
	u32 nr_creating;	/* includes those being created; guarded by lock */

	struct ost_mmu mmu;
	struct ost_bus pio_bus, mmio_bus;
	struct list_head ioeventfds; /* guarded by lock */
	struct ost_irqs irqs;	/* irqchips, routing, irqfds */
	struct ost_vm_clock clock;

	gpa_t tss_addr;		/* KVM_SET_TSS_ADDR */
	gpa_t identity_map_addr;

	struct ost_msr_filter __rcu *msr_filter; /* NULL without; vm->srcu, written under lock */
	u32 msr_user_exits;	/* KVM_MSR_EXIT_REASON_* [READ_ONCE] */
	u64 disabled_quirks;	/* KVM_X86_QUIRK_* that there are here [READ_ONCE] */
	bool hides_platform_info; /* MSR_PLATFORM_INFO, from guests [READ_ONCE] */
	bool exits_on_emulation_failure; /* also for user mode's instructions [READ_ONCE] */
};

/* KVM_CREATE_VM: the new fd, or -errno. */
int ost_vm_create(unsigned long type);
void ost_vm_get(struct ost_vm *vm);
/* Drops a reference; the last frees. May sleep. */
void ost_vm_put(struct ost_vm *vm);

static inline u32 ost_nr_vcpus(const struct ost_vm *vm)
{
	/* Pairs with the release in ost_vcpu_create(): a counted vCPU is a complete one. */
	return smp_load_acquire(&vm->nr_vcpus);
}

#define ost_for_each_vcpu(i, vcpu, vm)                                                             \
	for ((i) = 0; (i) < ost_nr_vcpus(vm) && ((vcpu) = (vm)->vcpus[i], true); (i)++)

/*
 * Calls `func` when no reader of vm->srcu can see the object any more. Mostly returns at once; but readers
 * may be kept waiting by userspace for as long as it likes (a page fault that userfaultfd serves), and
 * so that what waits for them does not grow without end, now and then this waits, too. May sleep.
 */
void ost_vm_retire(struct ost_vm *vm, struct rcu_head *head, rcu_callback_t func);

/* The vCPU with this APIC id (KVM_CREATE_VCPU's argument), or NULL. Any context. */
struct ost_vcpu *ost_vcpu_by_id(struct ost_vm *vm, u32 id);

/*
 * The VM can't go on: KVM_RUN answers -EIO from now on, and vCPUs that run are made to leave the guest
 * soon. Any context.
 */
void ost_vm_kill(struct ost_vm *vm);

/* Fills the ioctl tables, at load. */
void ost_vm_init_ioctls(void);

#endif
