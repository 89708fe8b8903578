/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM: what its vCPUs share. Reference counting: the VM's fd and every vCPU fd hold a reference; the
 * last one frees everything. The owner's mm is held by mmgrab for the VM's life; its
 * address space may go earlier, which the MMU notifier sees.
 */
#ifndef OST_VM_H
#define OST_VM_H

#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/srcu.h>
#include <linux/xarray.h>
#include "ost.h"
#include "clock.h"
#include "coalesced.h"
#include "io.h"
#include "mmu/mmu.h"
#include "irqchip/irqchip.h"
#include "vfio.h"

/* Most vCPUs a VM may have, and their APIC ids' limit; those from 255 on want x2APIC mode. */
#define OST_MAX_VCPUS 1024
#define OST_MAX_VCPU_IDS 4096
/* So many have room in the VM itself. */
#define OST_FEW_VCPUS 8

struct ost_vcpu_array {
	struct ost_vcpu_array *older;
	struct ost_vcpu *vcpus[];
};

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
	 * vCPUs by index (ost_vcpu_at()); appended under lock, published by smp_store_release of nr_vcpus,
	 * removed only when the VM is freed. The array grows by being replaced; old ones stay for whoever
	 * still reads them.
	 */
	struct ost_vcpu **vcpus;
	struct ost_vcpu *few_vcpus[OST_FEW_VCPUS];
	struct ost_vcpu_array *arrays;	/* those that were allocated, newest first; guarded by lock */
	u32 max_vcpus;		/* that `vcpus` has room for; guarded by lock */
	u32 max_vcpu_ids;	/* KVM_CAP_MAX_VCPU_ID, 0 for not set; guarded by lock */
	u32 nr_vcpus;
	u32 nr_creating;	/* includes those being created; guarded by lock */

	u32 disabled_exits;	/* KVM_X86_DISABLE_EXITS_*, fixed when the first vCPU is made */

	struct ost_mmu mmu;
	struct ost_bus pio_bus, mmio_bus;
	struct list_head ioeventfds; /* guarded by lock */
	struct ost_coalesced coalesced;
	struct ost_irqs irqs;	/* irqchips, routing, irqfds */
	struct ost_vm_clock clock;
	struct ost_vm_vfio vfio;

	/* KVM_ENABLE_CAP's: what KVM_GET_VCPU_EVENTS tells besides [READ_ONCE] */
	bool exception_payload, triple_fault_event;

	u64 hypercall_exits;	/* KVM_CAP_EXIT_HYPERCALL: bits of KVM_HC_* [READ_ONCE] */
	gpa_t tss_addr;		/* KVM_SET_TSS_ADDR */
	gpa_t identity_map_addr;

	struct ost_msr_filter __rcu *msr_filter; /* NULL without; vm->srcu, written under lock */
	u32 msr_user_exits;	/* KVM_MSR_EXIT_REASON_* [READ_ONCE] */
	u64 disabled_quirks;	/* KVM_X86_QUIRK_* that there are here [READ_ONCE] */
	bool hides_platform_info; /* MSR_PLATFORM_INFO, from guests [READ_ONCE] */
	bool exits_on_emulation_failure; /* also for user mode's instructions [READ_ONCE] */
};

/* Hypercalls that a VMM may have for itself (KVM_CAP_EXIT_HYPERCALL). */
#define OST_HYPERCALL_EXITS BIT(KVM_HC_MAP_GPA_RANGE)

/* KVM_CREATE_VM: the new fd, or -errno. */
int ost_vm_create(unsigned long type);
void ost_vm_get(struct ost_vm *vm);
/* Drops a reference; the last frees. May sleep. */
void ost_vm_put(struct ost_vm *vm);

/* Has the VMM left that quirk of the ABI on? */
static inline bool ost_has_quirk(const struct ost_vm *vm, u64 quirk)
{
	return !(READ_ONCE(vm->disabled_quirks) & quirk);
}

static inline u32 ost_nr_vcpus(const struct ost_vm *vm)
{
	/* Pairs with the release in ost_vcpu_create(): a counted vCPU is a complete one. */
	return smp_load_acquire(&vm->nr_vcpus);
}

/* The vCPU with an index below a number that ost_nr_vcpus() has given. Any context. */
static inline struct ost_vcpu *ost_vcpu_at(const struct ost_vm *vm, u32 index)
{
	/* An array is in place before a vCPU in it is counted, and a newer one has the same vCPUs. */
	return READ_ONCE(vm->vcpus)[index];
}

#define ost_for_each_vcpu(i, vcpu, vm)                                                             \
	for ((i) = 0; (i) < ost_nr_vcpus(vm) && ((vcpu) = ost_vcpu_at(vm, i), true); (i)++)

/* Room for one more vCPU: 0 or -ENOMEM. Caller holds vm->lock. */
int ost_vm_reserve_vcpu(struct ost_vm *vm);
/* APIC ids stay below this; from the first vCPU on it stays as it is. Caller holds vm->lock. */
u32 ost_vm_max_vcpu_ids(struct ost_vm *vm);

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

/* KVM_CAP_MAX_VCPU_ID by KVM_ENABLE_CAP: 0, or -EINVAL beyond the limit or if it is set already. */
int ost_vm_cap_max_vcpu_id(struct ost_vm *vm, const u64 *args);

/* Fills the ioctl tables, at load. */
void ost_vm_init_ioctls(void);

#endif
