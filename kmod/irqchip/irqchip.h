/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The in-kernel interrupt controllers of a VM: LAPIC, IOAPIC, PIC, PIT, GSI routing and MSI, irqfd.
 *
 * The models (lapic*.c but lapic_glue.c, dest.c, ioapic.c, pic.c, pit.c) are plain C over plain
 * structures with callbacks for time and delivery, so that the same files run under unit tests in
 * userspace. The *_glue.c beside them bring locks, timers and buses.
 *
 * Locks: ost_ioapic.lock, ost_pic.lock and ost_pit.lock are raw spinlocks taken with interrupts
 * off, none inside another. The IOAPIC's is held over deliveries to LAPICs, which take no lock but
 * what waking a thread takes. Nothing is called under any of them that could come back: ends of
 * interrupts are passed on, eventfds signalled and vCPUs kicked by the PIC after the lock is
 * dropped. LAPIC: see lapic.h and the ordering argument in lapic.c.
 */
#ifndef OST_IRQCHIP_H
#define OST_IRQCHIP_H

#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "../ost.h"
#include "message.h"

struct ost_vm;
struct ost_vcpu;
struct ost_pic;
struct ost_ioapic;
struct ost_pit;
struct ost_routing;
struct ost_apic_map;

/*
 * One tick of a LAPIC timer's input clock, unless KVM_CAP_X86_APIC_BUS_CYCLES_NS says otherwise: VMMs and saved
 * states of the ABI expect it.
 */
#define OST_LAPIC_TICK_NS 1

enum ost_irqchip_mode {
	OST_IRQCHIP_NONE,	/* all of it is userspace's */
	OST_IRQCHIP_SPLIT,	/* KVM_CAP_SPLIT_IRQCHIP: LAPICs are in the kernel */
	OST_IRQCHIP_FULL,	/* KVM_CREATE_IRQCHIP: IOAPIC and PICs, too */
};

/*
 * What IOAPIC, MSIs and irqfds send to more vCPUs than this while interrupts are off goes out by a work item:
 * waking that many takes long. One message that waits already is not sent twice.
 */
#define OST_IRQ_AT_ONCE 256
struct ost_irq_later {
	raw_spinlock_t lock;		/* a leaf but for the workqueue's */
	struct work_struct work;
	u32 nr;
	struct ost_irq_message msg[16];
};

/* Part of the VM. */
struct ost_irqs {
	enum ost_irqchip_mode mode;	/* set once, last, with release; under vm->lock */
	struct ost_pic *pic;
	struct ost_ioapic *ioapic;
	struct ost_pit *pit;		/* from KVM_CREATE_PIT2 on */
	struct ost_routing __rcu *routing; /* readers: RCU; writers: vm->lock */
	struct ost_apic_map __rcu *map;	/* readers: RCU; writers: map_lock */
	struct mutex map_lock;
	struct ost_irq_later later;
	struct list_head irqfds;	/* guarded by irqfd_lock */
	u32 nr_irqfds, nr_resamplers;	/* guarded by irqfd_lock */
	struct list_head resamplers;	/* those that want ends of interrupts; readers: RCU */
	struct mutex irqfd_lock;	/* inside vm->lock, if both */
	u32 boot_vcpu_id;

	/* From the time that LAPICs are in the kernel: the IOAPIC's, or user_eois. */
	const struct ost_eoi_vectors *eois;
	struct ost_eoi_vectors user_eois; /* of userspace's IOAPIC; writers: vm->lock */
	bool ids_32bit;			/* KVM_X2APIC_API_USE_32BIT_IDS [READ_ONCE] */
	bool no_broadcast_quirk;	/* KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK [READ_ONCE] */
	u32 tick_ns;			/* of LAPIC timers; fixed when the first vCPU is made */
	u32 nr_user_pins;		/* GSIs below are userspace's IOAPIC's */
};

/* LAPICs are in the kernel. Any context. */
#define ost_irqchip_in_kernel(vm) (smp_load_acquire(&(vm)->irqs.mode) != OST_IRQCHIP_NONE)
/* And the chips that send to them. Any context. */
#define ost_chips_in_kernel(vm) (smp_load_acquire(&(vm)->irqs.mode) == OST_IRQCHIP_FULL)

/* VM creation and end. */
void ost_irqs_init(struct ost_vm *vm);
/* The VM's fd was closed: no irqfd is left, or comes any more. May sleep; may be called again. */
void ost_irqs_release_irqfds(struct ost_vm *vm);
/*
 * After irqfds were released and before the vCPUs go: nothing is sent to them any more. May sleep.
 */
void ost_irqs_destroy(struct ost_vm *vm);

/* KVM_CREATE_IRQCHIP: 0, -EEXIST, -EINVAL (there are vCPUs), -ENOMEM. Caller holds vm->lock. */
int ost_irqchip_create(struct ost_vm *vm);
/*
 * KVM_CAP_SPLIT_IRQCHIP with the number of userspace's IOAPIC's pins: 0, -EEXIST (an irqchip, or vCPUs),
 * -EINVAL (too many pins), -ENOMEM.
 */
int ost_irqchip_cap_split(struct ost_vm *vm, const u64 *args);
/* KVM_CAP_X2APIC_API: 0 or -EINVAL. */
int ost_irqchip_cap_x2apic(struct ost_vm *vm, const u64 *args);
/* KVM_CAP_X86_APIC_BUS_CYCLES_NS: 0, -ENXIO without LAPICs, -EINVAL for 0, too many, or with vCPUs. */
int ost_irqchip_cap_bus_cycles(struct ost_vm *vm, const u64 *args);
/* KVM_CREATE_PIT2: 0, -EEXIST, -ENOENT (no irqchip), -EINVAL, -ENOMEM. Caller holds vm->lock. */
int ost_pit_create(struct ost_vm *vm, const struct kvm_pit_config *config);

/* KVM_GET/SET_IRQCHIP, KVM_GET/SET_PIT2, KVM_REINJECT_CONTROL: 0 or -EINVAL/-ENXIO. */
int ost_irqchip_get(struct ost_vm *vm, struct kvm_irqchip *chip);
int ost_irqchip_set(struct ost_vm *vm, const struct kvm_irqchip *chip);
int ost_pit_get(struct ost_vm *vm, struct kvm_pit_state2 *out);
int ost_pit_set(struct ost_vm *vm, const struct kvm_pit_state2 *in);
int ost_pit_reinject(struct ost_vm *vm, const struct kvm_reinject_control *control);

/*
 * Drives GSI `gsi` from source `source` (0 is userspace's KVM_IRQ_LINE) through the routing table.
 * >0 delivered to that many, 0 coalesced, <0 masked or nobody; -EINVAL for a GSI beyond the table.
 * Any context.
 */
int ost_set_gsi(struct ost_vm *vm, int source, u32 gsi, bool level);
#define OST_IRQ_SOURCE_USER 0
#define OST_IRQ_SOURCE_IRQFD 1
#define OST_IRQ_SOURCE_PIT 2
#define OST_IRQ_SOURCE_RESAMPLE 3
/*
 * KVM_SET_GSI_ROUTING: entries copied from userspace already. 0, -EINVAL, -ENOMEM. Caller holds
 * vm->lock.
 */
int ost_set_gsi_routing(struct ost_vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr,
			u32 flags);
#define OST_MAX_GSI_ROUTES 4096
/* KVM_SIGNAL_MSI: >0 delivered, 0 blocked by the guest, -errno. Any context. */
int ost_signal_msi(struct ost_vm *vm, const struct kvm_msi *msi);
/* KVM_IRQFD. */
int ost_irqfd(struct ost_vm *vm, const struct kvm_irqfd *args);
int ost_irqfd_module_init(void);
void ost_irqfd_module_exit(void);

/* --- LAPIC of a vCPU (vcpu->apic) --- */

/* In ost_vcpu_create(), when the irqchip is in the kernel: 0 or -ENOMEM. */
int ost_lapic_create(struct ost_vcpu *vcpu);
/* The vCPU can be found from now on: makes it a destination. Caller holds vm->lock. */
void ost_lapic_publish(struct ost_vcpu *vcpu);
void ost_lapic_destroy(struct ost_vcpu *vcpu);
void ost_lapic_reset(struct ost_vcpu *vcpu, bool init_event);

/* KVM_GET/SET_LAPIC. The register page in the ABI's layout; id format by x2APIC mode. [vcpu] */
void ost_lapic_get(struct ost_vcpu *vcpu, struct kvm_lapic_state *out);
int ost_lapic_set(struct ost_vcpu *vcpu, const struct kvm_lapic_state *in);

/*
 * Is gpa in this vCPU's page? Also where the LAPIC does not listen there, as it is off or in x2APIC mode: then
 * it is a hole that reads as all ones, and not the VMM's (who takes writes to it for MSIs), unless the VMM has
 * disabled KVM_X86_QUIRK_LAPIC_MMIO_HOLE.
 */
bool ost_lapic_covers(struct ost_vcpu *vcpu, gpa_t gpa);
/*
 * Register access through the page (offset 0..0xfff; 0 always) and x2APIC MSRs (0x800..0x8ff).
 * [vcpu or atomic]; a change of what the LAPIC is addressed by leaves in [vcpu], so not with
 * interrupts off but for ICR, EOI, TPR, SELF IPI.
 */
int ost_lapic_mmio_read(struct ost_vcpu *vcpu, u32 offset, u32 len, void *val);
int ost_lapic_mmio_write(struct ost_vcpu *vcpu, u32 offset, u32 len, const void *val);
int ost_x2apic_read(struct ost_vcpu *vcpu, u32 msr, u64 *data);	/* 0 or nonzero: #GP */
int ost_x2apic_write(struct ost_vcpu *vcpu, u32 msr, u64 data);
/* IA32_APIC_BASE: 0 or nonzero for #GP (invalid transition). [vcpu] */
int ost_apic_base_write(struct ost_vcpu *vcpu, u64 data, bool host);
/* IA32_TSC_DEADLINE. [vcpu, atomic or irqoff] */
u64 ost_lapic_tsc_deadline(struct ost_vcpu *vcpu);
void ost_lapic_set_tsc_deadline(struct ost_vcpu *vcpu, u64 data);

/* Task priority: CR8 and TPR. */
u64 ost_lapic_cr8(struct ost_vcpu *vcpu);
void ost_lapic_set_cr8(struct ost_vcpu *vcpu, u64 cr8);

/*
 * Highest vector that LAPIC or PIC (through LVT0 / virtual wire) would deliver now, or -1; without
 * the LAPIC's where the CPU delivers those. [vcpu or atomic]
 */
int ost_irq_peek(struct ost_vcpu *vcpu);
/* Would one of them deliver anything now, be it through the CPU? [vcpu or atomic] */
bool ost_irq_pending(struct ost_vcpu *vcpu);
/* As ost_irq_peek(), acknowledged: IRR to ISR (or the PIC's INTA cycle). -1 when gone. */
int ost_irq_ack(struct ost_vcpu *vcpu);
/* For update_tpr: highest pending IRR vector that TPR alone masks, or -1. */
int ost_lapic_max_irr(struct ost_vcpu *vcpu);
/*
 * The CPU let the guest write the register at `offset` of its page (APIC virtualization): what
 * follows from that. OST_RUN. [vcpu or atomic], and it may leave in [vcpu].
 */
int ost_lapic_written(struct ost_vcpu *vcpu, u32 offset);
/*
 * OST_REQ_IOAPIC_EOI: puts an end that userspace's IOAPIC is to hear of into kvm_run; false if there is none
 * any more. [vcpu or atomic]
 */
bool ost_split_eoi_exit(struct ost_vcpu *vcpu);
/* Would LINT0 let userspace's PIC interrupt the vCPU? [vcpu or atomic] */
bool ost_lapic_lint0_open(struct ost_vcpu *vcpu);
/*
 * Vectors whose end some chip may want to hear of; they are others whenever the number is. Set bits
 * first, then a new number, then interrupts by it are sent. Any context.
 */
u32 ost_eoi_exits_version(struct ost_vm *vm);
void ost_eoi_exits(struct ost_vm *vm, u64 vectors[4]);
/* Is it one of them now? Any context. */
bool ost_eoi_exit(struct ost_vm *vm, u8 vector);
bool ost_lapic_enabled(struct ost_vcpu *vcpu);
/* Moves an expired timer's interrupt into the IRR (OST_REQ_APIC_TIMER). [vcpu] */
void ost_lapic_timer_inject(struct ost_vcpu *vcpu);
/*
 * The timer's interrupt into the IRR if vcpu->run_end_tsc has come: after an exit for it, and before
 * anybody looks at the timer. [vcpu or atomic]
 */
void ost_lapic_run_ended(struct ost_vcpu *vcpu);
/* What vcpu->run_end_tsc stood for is a timer of the host's now: the vCPU is going to wait. [vcpu] */
void ost_lapic_timer_to_host(struct ost_vcpu *vcpu);
/* Guest TSC's rate or offset changed: set the timer anew. */
void ost_lapic_timer_rearm(struct ost_vcpu *vcpu);
bool ost_lapic_timer_pending(struct ost_vcpu *vcpu);

/* Bits of vcpu->pending_init_sipi. */
#define OST_INIT_PENDING 0
#define OST_SIPI_PENDING 1
/* INIT and SIPI waiting (vcpu->pending_init_sipi): acts on them (OST_REQ_INIT_SIPI, HLT loop). [vcpu] */
void ost_lapic_accept_init_sipi(struct ost_vcpu *vcpu);

/*
 * To all LAPICs it addresses; source is the sender of an IPI, NULL for IOAPIC and MSI. How many
 * took it, 0 all coalesced, -1 nobody. Any context.
 */
int ost_irq_deliver(struct ost_vm *vm, struct ost_vcpu *source, const struct ost_irq_message *msg);
/* To this one, whatever the message is addressed to: 1 taken, 0 coalesced, -1 not taken. Any context. */
int ost_irq_send(struct ost_vcpu *target, const struct ost_irq_message *msg);

#endif
