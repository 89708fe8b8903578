/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seam between the neutral core and the two vendors' backends, kmod/svm and kmod/vmx.
 *
 * Each backend defines one const table. The core never includes a vendor's header, and the vendors
 * never include each other's. The table of the running CPU's vendor is chosen once, at load
 * (ost_backend_select); the calls of the hot path are static calls bound to it then.
 *
 * Contexts, named below:
 *   [load]     process context at module load or unload
 *   [cpu]      on the CPU concerned, interrupts off
 *   [vcpu]     process context, vcpu->mutex held, vCPU loaded on this CPU (ost_vcpu_load), preemptible
 *   [atomic]   as [vcpu], preemption disabled
 *   [irqoff]   as [atomic], interrupts off
 */
#ifndef OST_BACKEND_H
#define OST_BACKEND_H

#include <linux/kvm.h>
#include <linux/static_call.h>
#include "ost.h"

struct ost_pte_format;

/* What the CPU offers, found by probe(), read-only after load. */
struct ost_hw_caps {
	u32 nr_tags;		/* TLB tags (ASIDs, VPIDs) that exist, tag 0 is the host's */
	u8 root_levels;		/* levels of the nested page table, 4 or 5 */
	bool page_1g;		/* 1 GiB entries in the nested page table */
	bool tsc_scaling;	/* the CPU can scale the guest's TSC */
	u8 tsc_frac_bits;	/* fraction bits of the scaling ratio */
	u64 tsc_max_ratio;	/* the largest ratio it takes */
	/*
	 * Another hypervisor, a second instance of us for one, may run guests on a CPU between two entries of
	 * ours: what they leave there is not ours to know.
	 */
	bool shares_cpus;
	/* run() ends by itself at vcpu->run_end_tsc if that is no farther away; 0 if it can't. */
	u64 run_end_cycles;
	bool delivers_interrupts; /* the CPU can take interrupts out of a LAPIC's register page */
	bool posts_interrupts;	/* and what was posted to the LAPIC, when it is notified in the guest */
	bool halts_in_guest;	/* a guest may be let halt without an exit */
	/* Instructions that the CPU has and guests can't be given. */
	bool no_rdtscp, no_invpcid, no_xsaves;
};
extern struct ost_hw_caps ost_hw_caps;

/* What an exit turned out to be, for ost_ops.run(). */
enum ost_exit_fast {
	OST_EXIT_SLOW,		/* handle_exit() has to look at it */
	OST_EXIT_DONE,		/* dealt with, interrupts still off: enter again */
	OST_EXIT_USER,		/* dealt with, it is userspace's turn: kvm_run says why */
};

/* What an ioctl of a vCPU wants to know of its state; what it changes is in memory until the next entry. */
enum ost_reads {
	OST_READS_ANY,		/* it may be anything: the vCPU has to be loaded */
	OST_READS_NOTHING,
	OST_READS_REGS,		/* what is in struct kvm_regs */
	OST_READS_SREGS,	/* in struct kvm_sregs */
	OST_READS_RUN,		/* what KVM_RUN leaves in struct kvm_run besides the exit's own part */
};

struct ost_backend {
	const char *name;	/* "SVM" or "VMX" */
	u32 vendor;		/* OST_VENDOR_* (uapi/ostler.h) */
	size_t vcpu_size;	/* of the structure whose first member is struct ost_vcpu */
	size_t vm_size;		/* of the structure whose first member is struct ost_vm */
	const char *const *exit_names; /* by exit index (ost_vcpu.exit_index), NULL for holes */
	u32 nr_exits;		/* number of exit indexes */
	/* The CPU's own words about the last exit, for the VMM: the reason, and what qualifies it. [vcpu] */
	void (*describe_exit)(struct ost_vcpu *vcpu, u64 *words);

	/*
	 * Does this CPU have what the backend needs, and may it be used? 0, or -ENODEV/-EOPNOTSUPP/
	 * -EBUSY with *why set to a full sentence for the kernel log. Touches nothing. [load]
	 */
	int (*probe)(const char **why);
	/* Allocates what the backend shares among guests and fills ost_hw_caps. [load] */
	int (*setup)(void);
	void (*teardown)(void);

	/* Takes and gives back the CPU's virtualization. enable() answers -EBUSY to another owner. [cpu] */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);
	/* As cpu_disable, from an NMI or a dying kernel: no locks, no prints, any state. [cpu] */
	void (*cpu_emergency_disable)(void);

	int (*vm_init)(struct ost_vm *vm);
	void (*vm_destroy)(struct ost_vm *vm);

	/* Allocates the vendor's part of a zeroed vCPU; destroy undoes a successful create. */
	int (*vcpu_create)(struct ost_vcpu *vcpu);
	void (*vcpu_destroy)(struct ost_vcpu *vcpu);
	/*
	 * Puts what only the vendor knows of to what follows RESET or (init_event) INIT; registers, segments
	 * and MSRs are set by the core behind it. [vcpu]
	 */
	void (*vcpu_reset)(struct ost_vcpu *vcpu, bool init_event);
	/* The vCPU comes to / leaves this CPU (ioctl start and end, preemption). [atomic] */
	void (*vcpu_load)(struct ost_vcpu *vcpu, int cpu);
	void (*vcpu_put)(struct ost_vcpu *vcpu);
	/*
	 * Is all of that in memory, so that the ioctl may be done while the vCPU is on no CPU? Not asked for
	 * OST_READS_ANY. The vCPU's mutex held, preemptible.
	 */
	bool (*in_memory)(struct ost_vcpu *vcpu, enum ost_reads reads);
	/*
	 * Is it halted without an exit (KVM_X86_DISABLE_EXITS_HLT)? Then it goes on behind the HLT from now on.
	 * NULL where a CPU forgets at an exit that the guest was halted. [vcpu]
	 */
	bool (*unhalt)(struct ost_vcpu *vcpu);
	/* CPUID changed: recompute intercepts that depend on guest features. [vcpu] */
	void (*cpuid_changed)(struct ost_vcpu *vcpu);

	/*
	 * Entries and the exits that end them, including guest MSRs, debug registers, TLB tag, cr2,
	 * mitigations, until an exit is not dealt with at once or somebody wants the vCPU (run.h). On return all of the host's own state is back except what ost_fpu holds, host
	 * NMIs have been let in, GPRs are in vcpu->regs, vcpu->exit_index is set, and the last exit
	 * was handled if the answer says so. [irqoff]
	 */
	enum ost_exit_fast (*run)(struct ost_vcpu *vcpu);
	/* Machine checks and acknowledged interrupts that the exit stands for, given to the host. [irqoff] */
	void (*handle_exit_irqoff)(struct ost_vcpu *vcpu);
	/*
	 * Handles the last exit. OST_RUN, OST_USER or -errno. Entered [atomic] with the guest's FPU
	 * loaded; a handler that may sleep calls ost_vcpu_preemptible() first.
	 */
	int (*handle_exit)(struct ost_vcpu *vcpu);

	/* Fills vcpu->regs[reg] and sets its bit in regs_avail. reg is an enum ost_reg. [vcpu] */
	void (*cache_reg)(struct ost_vcpu *vcpu, int reg);
	/* Segment OST_SEG_* in the ABI's form. [vcpu] */
	void (*get_segment)(struct ost_vcpu *vcpu, int seg, struct kvm_segment *out);
	void (*set_segment)(struct ost_vcpu *vcpu, int seg, const struct kvm_segment *in);
	/* All eight, cs to ldt, and gdt and idt. [vcpu] */
	void (*get_segments)(struct ost_vcpu *vcpu, struct kvm_sregs *out);
	void (*set_segments)(struct ost_vcpu *vcpu, const struct kvm_sregs *in);
	void (*get_dt)(struct ost_vcpu *vcpu, bool idt, struct kvm_dtable *out);
	void (*set_dt)(struct ost_vcpu *vcpu, bool idt, const struct kvm_dtable *in);
	int (*get_cpl)(struct ost_vcpu *vcpu);
	/* CS.L: in long mode, does it run 64-bit code? [vcpu] */
	bool (*code64)(struct ost_vcpu *vcpu);
	/* CS.D, and CS' base, for other code. [vcpu] */
	bool (*code32)(struct ost_vcpu *vcpu, u32 *base);
	/*
	 * Values were checked by the core; the vendor stores them, updates dependent intercepts and
	 * vcpu->regs[]. set_efer also switches what follows from EFER.LMA. [vcpu]
	 */
	void (*set_cr0)(struct ost_vcpu *vcpu, u64 cr0);
	void (*set_cr3)(struct ost_vcpu *vcpu, u64 cr3);
	void (*set_cr4)(struct ost_vcpu *vcpu, u64 cr4);
	void (*set_efer)(struct ost_vcpu *vcpu, u64 efer);
	/*
	 * The PDPTEs of PAE paging, where the CPU holds them since CR3 was loaded; NULL where it reads them from
	 * memory. get answers false if they are not loaded yet. [vcpu]
	 */
	bool (*get_pdptes)(struct ost_vcpu *vcpu, u64 *pdptes);
	void (*set_pdptes)(struct ost_vcpu *vcpu, const u64 *pdptes);
	/* vcpu->dr[], dr6, dr7 or guest debugging changed: recompute what is loaded and intercepted. */
	void (*update_debug)(struct ost_vcpu *vcpu);

	/* MSRs that live in the VMCB or VMCS. 0, or -ENOENT when it is not one of the backend's. [vcpu] */
	int (*get_msr)(struct ost_vcpu *vcpu, u32 index, u64 *data);
	int (*set_msr)(struct ost_vcpu *vcpu, u32 index, u64 data);

	/* The filter of MSRs changed: recompute which of them the guest reaches without an exit. [vcpu or atomic] */
	void (*msr_filter_changed)(struct ost_vcpu *vcpu);

	/* STI and MOV SS shadow as KVM_X86_SHADOW_INT_* bits. [vcpu] */
	u32 (*get_interrupt_shadow)(struct ost_vcpu *vcpu);
	void (*set_interrupt_shadow)(struct ost_vcpu *vcpu, u32 mask);
	bool (*get_nmi_mask)(struct ost_vcpu *vcpu);
	void (*set_nmi_mask)(struct ost_vcpu *vcpu, bool masked);
	/* Could an interrupt / NMI be delivered at the next entry? (IF, shadow, blocking) [vcpu] */
	bool (*irq_allowed)(struct ost_vcpu *vcpu);
	bool (*nmi_allowed)(struct ost_vcpu *vcpu);
	/* Ask for an exit as soon as it could. [vcpu] */
	void (*open_irq_window)(struct ost_vcpu *vcpu);
	void (*open_nmi_window)(struct ost_vcpu *vcpu);
	/*
	 * Put the event in vcpu->event (exception / interrupt / nmi) into the next entry. They stay
	 * marked injected there until run() saw them delivered; an exit during delivery leaves them so
	 * for another try. A software interrupt or exception (event.soft) needs the RIP games of CPUs
	 * without NRIPS. [atomic]
	 */
	int (*inject_exception)(struct ost_vcpu *vcpu);
	void (*inject_irq)(struct ost_vcpu *vcpu);
	void (*inject_nmi)(struct ost_vcpu *vcpu);
	/* Takes back what was put into the next entry, leaving vcpu->event to say it again. [atomic] */
	void (*cancel_injection)(struct ost_vcpu *vcpu);
	/* The priority of the highest pending interrupt or the TPR changed (CR8 intercepts). [vcpu] */
	void (*update_tpr)(struct ost_vcpu *vcpu, int tpr, int max_irr);
	/* IA32_APIC_BASE changed, and with it the LAPIC's mode or place; NULL for no matter. [vcpu] */
	void (*apic_changed)(struct ost_vcpu *vcpu);

	/*
	 * Makes the vCPU that runs on that CPU take what was posted to its LAPIC without an exit. Only where
	 * ost_hw_caps.posts_interrupts. Any context, preemption disabled.
	 */
	void (*notify)(int cpu);

	/*
	 * Gives ost_mmu_mark_written() what the CPU has noted of the vCPU's writes, all of it from
	 * before its last exit. Only where pte_format->logs_writes. Any thread; does not sleep.
	 */
	void (*drain_dirty)(struct ost_vcpu *vcpu);

	/* Forget the vCPU's TLB entries before the next entry. Any context. */
	void (*flush_tlb)(struct ost_vcpu *vcpu);
	/* vcpu->smm.active and ->space changed: another nested page table, and RSM exits or not. [vcpu] */
	void (*smm_changed)(struct ost_vcpu *vcpu);
	/*
	 * ost_advance_rip() past the instruction that exited; ost_skip_by_decoding() where the CPU does not
	 * tell how long it is. [vcpu]
	 */
	int (*skip_instruction)(struct ost_vcpu *vcpu);
	/* Entry failed or an exit made no sense: says all that is known, rate-limited. [vcpu] */
	void (*dump)(struct ost_vcpu *vcpu);

	/* How nested page table entries look. Valid after setup(). */
	const struct ost_pte_format *pte_format;
};

extern const struct ost_backend ost_svm_backend;
extern const struct ost_backend ost_vmx_backend;

/* The chosen backend, read-only after load. */
extern const struct ost_backend *ost_backend __ro_after_init;

/*
 * Picks the backend that fits this CPU and binds the static calls. 0, or the probe's error after
 * its sentence has been printed. [load]
 */
int ost_backend_select(void);

DECLARE_STATIC_CALL(ost_run, *((struct ost_backend *)0)->run);
DECLARE_STATIC_CALL(ost_handle_exit, *((struct ost_backend *)0)->handle_exit);
DECLARE_STATIC_CALL(ost_handle_exit_irqoff, *((struct ost_backend *)0)->handle_exit_irqoff);
DECLARE_STATIC_CALL(ost_cache_reg, *((struct ost_backend *)0)->cache_reg);
DECLARE_STATIC_CALL(ost_skip_instruction, *((struct ost_backend *)0)->skip_instruction);
DECLARE_STATIC_CALL(ost_irq_allowed, *((struct ost_backend *)0)->irq_allowed);
DECLARE_STATIC_CALL(ost_inject_irq, *((struct ost_backend *)0)->inject_irq);
DECLARE_STATIC_CALL(ost_set_interrupt_shadow, *((struct ost_backend *)0)->set_interrupt_shadow);
DECLARE_STATIC_CALL(ost_get_cpl, *((struct ost_backend *)0)->get_cpl);
DECLARE_STATIC_CALL(ost_code64, *((struct ost_backend *)0)->code64);
DECLARE_STATIC_CALL(ost_notify, *((struct ost_backend *)0)->notify);
DECLARE_STATIC_CALL(ost_vcpu_load_hw, *((struct ost_backend *)0)->vcpu_load);
DECLARE_STATIC_CALL(ost_vcpu_put_hw, *((struct ost_backend *)0)->vcpu_put);
DECLARE_STATIC_CALL(ost_in_memory, *((struct ost_backend *)0)->in_memory);

#endif
