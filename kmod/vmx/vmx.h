/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the VT-x backend share. References are to the Intel SDM, volume 3C, chapters 25 to
 * 30 as numbered in the editions of 2023 and 2024, unless another volume is named.
 */
#ifndef OST_VMX_VMX_H
#define OST_VMX_VMX_H

#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <asm/trapnr.h>
#include "../backend.h"
#include "../compat.h"
#include "../vcpu.h"
#include "../vm.h"
#include "entry.h"
#include "vmcs.h"

/* --- the CPU's features (cap.c) --- */

/* What this CPU has, less what module parameters switch off. Read-only after setup. */
struct ost_vmx_config {
	u32 revision;			/* of the VMCS, IA32_VMX_BASIC 30:0 */
	u32 pin, cpu, secondary, exit, entry; /* controls as a new vCPU gets them */
	u32 apic;			/* secondary controls of APIC virtualization, as a mode allows */
	u64 cr0_fixed, cr4_fixed;	/* bits that have to be set in VMX non-root operation */
	bool vpid;
	bool ept_ad;
	bool invept_context;		/* INVEPT of one EPTP; else of all */
	bool tpr_shadow;
	bool posted;			/* interrupts are posted, host interrupts acknowledged by exits */
	bool preemption_timer;
	u8 timer_shift;			/* it counts changes of this bit of the TSC (MISC bits 4:0) */
	bool error_code_any;		/* any exception can be injected with or without one (BASIC bit 56) */
	bool flush_l1d;			/* before entries, against L1TF */
	bool flush_each;		/* before each, also where nothing came between that calls for it */
	bool pebs;			/* IA32_PEBS_ENABLE exists */
};
extern struct ost_vmx_config ost_vmx_config;

extern u32 ost_vmx_vpid_first, ost_vmx_vpid_last; /* the range of TLB tags that are ours */
extern struct ost_pte_format ost_vmx_pte_format;

static inline bool ost_vmx_has2(u32 control)
{
	return ost_vmx_config.secondary & control;
}

int ost_vmx_probe(const char **why);
int ost_vmx_setup(void);
void ost_vmx_teardown(void);
struct ost_vmx_capabilities;
/* What this CPU offers, for checks. Any context. */
void ost_vmx_read_capabilities(struct ost_vmx_capabilities *c);
/* Does this CPU offer just what the one did that loaded the module? Any context. */
bool ost_vmx_cpu_is_like_others(void);

/* Slots of MSRs that only userspace looks at (msr.h), -1 for none. */
enum { OST_VMX_STAR, OST_VMX_LSTAR, OST_VMX_FMASK, OST_VMX_NR_USER_MSRS };
extern int ost_vmx_user_slots[OST_VMX_NR_USER_MSRS];

/* --- the L1 data cache (l1d.c) --- */

/* Sets ost_vmx_config.flush_l1d; 0 or -ENOMEM. [load] */
int ost_vmx_l1d_setup(void);
void ost_vmx_l1d_teardown(void);
/* [irqoff] */
void ost_vmx_flush_l1d(void);

/* --- a CPU (cpu.c) --- */

struct ost_vmx_cpu {
	bool enabled;			/* the CPU's VMX is ours to use */
	bool on;			/* it is in VMX operation, by us */
	void *vmxon;			/* page for VMXON */
	u64 vmxon_pa;
	struct ost_vmx_vcpu *current_vcpu; /* whose VMCS is current */
	struct list_head active;	/* vCPUs whose VMCS is active here */
};
DECLARE_PER_CPU(struct ost_vmx_cpu, ost_vmx_cpus);

/*
 * Does a CPU stay in VMX operation from the first VM to the last? Else it is only in sections: see
 * docs/decisions.md, "VMX operation in sections".
 */
DECLARE_STATIC_KEY_TRUE(ost_vmx_stays_on);
/* May guests that have a device's memory read stale data by it (MMIO stale data)? */
DECLARE_STATIC_KEY_FALSE(ost_vmx_clears_for_devices);
static __always_inline bool ost_vmx_kept(void)
{
	return OST_CR4_SHADOW && static_branch_likely(&ost_vmx_stays_on);
}

int ost_vmx_cpus_alloc(void);
void ost_vmx_cpus_free(void);
int ost_vmx_cpu_enable(void);
void ost_vmx_cpu_disable(void);
void ost_vmx_cpu_emergency_disable(void);

/*
 * Between the two the vCPU's VMCS is current on this CPU. false when VMX can't be had: another owner has
 * taken it. Sections do not nest. [irqoff]
 */
static inline bool ost_vmx_section_begin(struct ost_vmx_vcpu *vmx);
bool ost_vmx_section_begin_slow(struct ost_vmx_vcpu *vmx);
void ost_vmx_section_end(struct ost_vmx_vcpu *vmx);
/* Takes the VMCS off the CPU on which it is active, so that another may load it. May wait for an IPI. */
void ost_vmx_clear(struct ost_vmx_vcpu *vmx);

/* --- a vCPU --- */

/* What the VMCS has as the host's state, and what the CPU loses of it while a vCPU is loaded (host.c). */
struct ost_vmx_host {
	int cpu;			/* whose tables the VMCS has, -1 none */
	bool loaded;			/* the registers below are saved, the guest's are in */
	u16 ds, es, fs, gs;
	u64 fs_base, kernel_gs_base;
	u64 vmcs_cr3, vmcs_cr4, vmcs_fs_base; /* in the VMCS */
};

/* MSR-load areas of entries and exits with one MSR each (25.7.2, 25.8.2), a page's part for the CPU to read. */
struct ost_vmx_pebs {
	struct vmx_msr_entry entry, exit;
};

#define OST_VMX_PML_ENTRIES 512

/* The CPU's notes of pages that the guest wrote (pml.c). */
struct ost_vmx_pml {
	u64 *log;			/* page of addresses, filled from its end; NULL without */
	raw_spinlock_t lock;		/* [any] guards `end` */
	u16 end;			/* entries from there on were handed over */
	bool restart;			/* the CPU is to begin at the page's end again */
};

struct ost_vmx_vcpu {
	struct ost_vcpu vcpu;
	struct ost_vmcs_cache cache;
	struct ost_vmx_entry entry;
	struct ost_vmx_host host;
	struct ost_vmx_pml pml;
	void *vmcs;
	u64 vmcs_pa;
	void *msr_bitmap;
	void *virtual_apic;		/* the virtual-APIC page: the LAPIC's registers; NULL without */
	void *own_virtual_apic;		/* the same where there is no LAPIC */
	u8 vtpr;			/* TPR as the guest was entered with it */
	u32 apic_controls;		/* of ost_vmx_config.apic, those in use */
	u32 eoi_exits_version;		/* of what the EOI-exit bitmaps hold, 0 for nothing yet */
	bool apic_elsewhere;		/* counted in the VM's nr_apic_elsewhere */
	u64 eptp;			/* of the vCPU's address space */
	u64 vmcs_eptp;			/* in the VMCS; written with the flush that goes with a change */
	u16 vpid;			/* 0 without */

	int active_cpu;			/* where the VMCS is active, -1 nowhere [its CPU, interrupts off] */
	struct list_head active_link;	/* in that CPU's list */
	bool in_section;		/* the VMCS is current and stays so */
	bool constants_written;
	int tlb_cpu;			/* the CPU that ran it last */
	bool flush;			/* [any] forget TLB entries before the next entry */
	bool pdptes_stale;		/* PDPTEs have to be read from guest memory */
	bool user_msrs_stale;		/* STAR and its like have to be loaded */
	bool event_given;		/* an event was injected by the last entry */

	u32 reason;			/* of the last exit, as the VMCS has it */
	u64 star, lstar, cstar, fmask, kernel_gs_base; /* the last is in the register while host.loaded */
	u64 tsc_offset, tsc_multiplier;	/* in the VMCS */
	struct ost_vmx_pebs *pebs;	/* NULL without */
	u32 pebs_count;			/* entries of its areas that the VMCS names, 0 or 1 */
	u32 timer;			/* in the VMCS, if there is a preemption timer */
	bool timer_set;			/* and it is not the longest time */
};

struct ost_vmx_vm {
	struct ost_vm vm;
	void *apic_access;		/* the APIC-access page, NULL without */
	struct mutex apic_lock;
	u32 nr_apic_elsewhere;		/* vCPUs with no xAPIC at the usual address; guarded by apic_lock */
};

static inline struct ost_vmx_vm *to_vmx_vm(struct ost_vm *vm)
{
	return container_of(vm, struct ost_vmx_vm, vm);
}

static inline struct ost_vmx_vcpu *to_vmx(struct ost_vcpu *vcpu)
{
	return container_of(vcpu, struct ost_vmx_vcpu, vcpu);
}

static inline bool ost_vmx_section_begin(struct ost_vmx_vcpu *vmx)
{
	if (!ost_vmx_kept() || !raw_cpu_read(ost_vmx_cpus.on) ||
	    raw_cpu_read(ost_vmx_cpus.current_vcpu) != vmx)
		return ost_vmx_section_begin_slow(vmx);
	vmx->in_section = true;
	return true;
}

/* --- the cache of VMCS fields (vmcs.c) --- */

/* A field outside of a section. */
u64 ost_vmcs_read_outside(struct ost_vmx_vcpu *vmx, unsigned long field);

/* A field that is in no slot. [vcpu] */
static __always_inline u64 ost_vmcs_read(struct ost_vmx_vcpu *vmx, unsigned long field)
{
	return likely(vmx->in_section) ? ost_vmread(field) : ost_vmcs_read_outside(vmx, field);
}

/* Reads the slot's field from the VMCS. [vcpu] */
static inline void ost_vmcs_fetch(struct ost_vmx_vcpu *vmx, enum ost_vmcs_slot slot)
{
	vmx->cache.val[slot] = ost_vmcs_read(vmx, ost_vmcs_fields[slot]);
	vmx->cache.avail[slot / 64] |= BIT_ULL(slot % 64);
}

/* Writes what changed. In a section. */
void ost_vmcs_flush(struct ost_vmx_vcpu *vmx);

static inline u64 ost_vmcs_slot_get(struct ost_vmx_vcpu *vmx, enum ost_vmcs_slot slot)
{
	if (!(vmx->cache.avail[slot / 64] & BIT_ULL(slot % 64)))
		ost_vmcs_fetch(vmx, slot);
	return vmx->cache.val[slot];
}

static inline void ost_vmcs_slot_set(struct ost_vmx_vcpu *vmx, enum ost_vmcs_slot slot, u64 val)
{
	u64 bit = BIT_ULL(slot % 64);

	if ((vmx->cache.avail[slot / 64] & bit) && vmx->cache.val[slot] == val)
		return;
	vmx->cache.val[slot] = val;
	vmx->cache.avail[slot / 64] |= bit;
	vmx->cache.dirty[slot / 64] |= bit;
}

#define ost_vmcs_get(vmx, field) ost_vmcs_slot_get(vmx, OST_V_##field)
#define ost_vmcs_set(vmx, field, val) ost_vmcs_slot_set(vmx, OST_V_##field, val)
#define ost_vmcs_set_bits(vmx, field, bits)                                                        \
	ost_vmcs_set(vmx, field, ost_vmcs_get(vmx, field) | (bits))
#define ost_vmcs_clear_bits(vmx, field, bits)                                                      \
	ost_vmcs_set(vmx, field, ost_vmcs_get(vmx, field) & ~(u64)(bits))

/* vcpu.c */
int ost_vmx_vm_init(struct ost_vm *vm);
void ost_vmx_vm_destroy(struct ost_vm *vm);
int ost_vmx_vcpu_create(struct ost_vcpu *vcpu);
void ost_vmx_vcpu_destroy(struct ost_vcpu *vcpu);
void ost_vmx_vcpu_reset(struct ost_vcpu *vcpu, bool init_event);
void ost_vmx_vcpu_load(struct ost_vcpu *vcpu, int cpu);
void ost_vmx_vcpu_put(struct ost_vcpu *vcpu);
bool ost_vmx_in_memory(struct ost_vcpu *vcpu, enum ost_reads reads);
void ost_vmx_flush_tlb(struct ost_vcpu *vcpu);
void ost_vmx_smm_changed(struct ost_vcpu *vcpu);
/* Obeys ->flush. In a section. */
void ost_vmx_sync_tlb(struct ost_vmx_vcpu *vmx);
/* Fields that stay as they are for the vCPU's life. In a section, before the first entry. */
void ost_vmx_write_constants(struct ost_vmx_vcpu *vmx);

/* host.c */
void ost_vmx_host_setup(void);		/* at load */
/* Host state that is the same on every CPU. In a section. */
void ost_vmx_host_write_constants(void);
/* The host's state into the VMCS as it is now, guest MSRs into the registers. In a section. */
void ost_vmx_host_save(struct ost_vmx_vcpu *vmx);
/* All of the host's registers are as it left them. [atomic] */
void ost_vmx_host_restore(struct ost_vmx_vcpu *vmx);
static inline unsigned long ost_read_cr4_raw(void)
{
	unsigned long cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4) : : "memory");
	return cr4;
}

/* run.c */
enum ost_exit_fast ost_vmx_run(struct ost_vcpu *vcpu);
void ost_vmx_handle_exit_irqoff(struct ost_vcpu *vcpu);

/* exit.c */
#define OST_VMX_NR_REASONS 80
#define OST_VMX_EXIT_INDEX_REFUSED 80	/* VMLAUNCH or VMRESUME failed (30.4) */
#define OST_VMX_EXIT_INDEX_PDPTES 81	/* no entry: PDPTEs have to be read first */
#define OST_VMX_EXIT_INDEX_NO_VMX 82	/* no entry: another hypervisor has the CPU's VMX */
#define OST_VMX_EXIT_INDEX_BROKEN 83	/* no entry: it breaks a rule (vmx_check_entries) */
#define OST_VMX_EXIT_INDEX_OTHER 84
#define OST_VMX_NR_EXIT_INDEXES 85
void ost_vmx_describe_exit(struct ost_vcpu *vcpu, u64 *words);
extern const char *const ost_vmx_exit_names[OST_VMX_NR_EXIT_INDEXES];
int ost_vmx_handle_exit(struct ost_vcpu *vcpu);
int ost_vmx_skip_instruction(struct ost_vcpu *vcpu);
/* IN or OUT, unless it is a string instruction. [irqoff] */
enum ost_exit_fast ost_vmx_exit_io_fast(struct ost_vcpu *vcpu);

/* intercept.c */
void ost_vmx_init_intercepts(struct ost_vmx_vcpu *vmx);
void ost_vmx_cpuid_changed(struct ost_vcpu *vcpu);
void ost_vmx_update_debug(struct ost_vcpu *vcpu);
void ost_vmx_update_tpr(struct ost_vcpu *vcpu, int tpr, int max_irr);

/* msr.c */
int ost_vmx_msr_bitmap_alloc(struct ost_vmx_vcpu *vmx);
void ost_vmx_msr_bitmap_free(struct ost_vmx_vcpu *vmx);
/* Which MSRs the guest reaches without an exit, as its CPUID and its use of SPEC_CTRL stand. */
void ost_vmx_update_msr_bitmap(struct ost_vmx_vcpu *vmx);
void ost_vmx_msr_filter_changed(struct ost_vcpu *vcpu);
int ost_vmx_get_msr(struct ost_vcpu *vcpu, u32 index, u64 *data);
int ost_vmx_set_msr(struct ost_vcpu *vcpu, u32 index, u64 data);

/* regs.c */

/* Bits of CR0 and CR4 that the guest changes without an exit; all others are what the read shadow says. */
#define OST_VMX_CR0_GUEST_OWNED (X86_CR0_TS | X86_CR0_MP | X86_CR0_EM | X86_CR0_WP | X86_CR0_AM)
#define OST_VMX_CR4_GUEST_OWNED                                                                    \
	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PGE |        \
	 X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)
/* The latter less what its CPUID does not allow. */
u64 ost_vmx_cr4_guest_owned(struct ost_vcpu *vcpu);
void ost_vmx_cache_reg(struct ost_vcpu *vcpu, int reg);
/* Writes RSP, RIP and RFLAGS back if they changed, and makes the rest fit them. In a section. */
void ost_vmx_sync_regs(struct ost_vmx_vcpu *vmx);
/* The pending single step as an entry in the shadow of STI or MOV SS wants it. [vcpu] */
void ost_vmx_fix_pending_step(struct ost_vmx_vcpu *vmx);
void ost_vmx_get_segment(struct ost_vcpu *vcpu, int seg, struct kvm_segment *out);
void ost_vmx_set_segment(struct ost_vcpu *vcpu, int seg, const struct kvm_segment *in);
void ost_vmx_get_segments(struct ost_vcpu *vcpu, struct kvm_sregs *out);
void ost_vmx_set_segments(struct ost_vcpu *vcpu, const struct kvm_sregs *in);
void ost_vmx_get_dt(struct ost_vcpu *vcpu, bool idt, struct kvm_dtable *out);
void ost_vmx_set_dt(struct ost_vcpu *vcpu, bool idt, const struct kvm_dtable *in);
int ost_vmx_get_cpl(struct ost_vcpu *vcpu);
bool ost_vmx_code64(struct ost_vcpu *vcpu);
bool ost_vmx_code32(struct ost_vcpu *vcpu, u32 *base);
void ost_vmx_set_cr0(struct ost_vcpu *vcpu, u64 cr0);
void ost_vmx_set_cr3(struct ost_vcpu *vcpu, u64 cr3);
void ost_vmx_set_cr4(struct ost_vcpu *vcpu, u64 cr4);
void ost_vmx_set_efer(struct ost_vcpu *vcpu, u64 efer);
/* Is the guest in PAE paging, where the CPU works with four PDPTEs that the VMCS holds (4.4.1)? */
bool ost_vmx_pae_paging(struct ost_vcpu *vcpu);
/* Reads the PDPTEs from guest memory. [vcpu] */
bool ost_vmx_get_pdptes(struct ost_vcpu *vcpu, u64 *pdptes);
void ost_vmx_set_pdptes(struct ost_vcpu *vcpu, const u64 *pdptes);
void ost_vmx_load_pdptes(struct ost_vcpu *vcpu);

/* event.c */
u32 ost_vmx_get_interrupt_shadow(struct ost_vcpu *vcpu);
void ost_vmx_set_interrupt_shadow(struct ost_vcpu *vcpu, u32 mask);
bool ost_vmx_get_nmi_mask(struct ost_vcpu *vcpu);
void ost_vmx_set_nmi_mask(struct ost_vcpu *vcpu, bool masked);
bool ost_vmx_irq_allowed(struct ost_vcpu *vcpu);
bool ost_vmx_nmi_allowed(struct ost_vcpu *vcpu);
void ost_vmx_open_irq_window(struct ost_vcpu *vcpu);
void ost_vmx_open_nmi_window(struct ost_vcpu *vcpu);
/* Windows that an exit has opened, closed again. */
void ost_vmx_close_window(struct ost_vmx_vcpu *vmx, u32 control);
bool ost_vmx_unhalt(struct ost_vcpu *vcpu);
int ost_vmx_inject_exception(struct ost_vcpu *vcpu);
void ost_vmx_inject_irq(struct ost_vcpu *vcpu);
void ost_vmx_inject_nmi(struct ost_vcpu *vcpu);
void ost_vmx_cancel_injection(struct ost_vcpu *vcpu);
/* After an exit: what was delivered, what was not, and NMI blocking that an IRET ended too early. */
void ost_vmx_complete_events(struct ost_vmx_vcpu *vmx);

/* timer.c */
/* The preemption timer as it is for a new vCPU. In a section. */
void ost_vmx_timer_init(struct ost_vmx_vcpu *vmx);
/* The preemption timer for the run that is about to begin. In a section, as late as can be. */
void ost_vmx_sync_timer(struct ost_vmx_vcpu *vmx);

/* apicv.c */
int ost_vmx_apic_vm_init(struct ost_vm *vm);
void ost_vmx_apic_vm_destroy(struct ost_vm *vm);
int ost_vmx_apic_alloc(struct ost_vmx_vcpu *vmx);
void ost_vmx_apic_free(struct ost_vmx_vcpu *vmx);
/* At reset, and whenever IA32_APIC_BASE changes: which of APIC virtualization is in use. [vcpu] */
void ost_vmx_apic_changed(struct ost_vcpu *vcpu);
/* Does the CPU deliver the LAPIC's interrupts? */
static inline bool ost_vmx_delivers(struct ost_vmx_vcpu *vmx)
{
	return vmx->apic_controls & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
}
/* Fields that stay as they are; before each entry; after each exit. In a section. */
void ost_vmx_apic_write_constants(struct ost_vmx_vcpu *vmx);
void ost_vmx_apic_enter(struct ost_vmx_vcpu *vmx);
void ost_vmx_apic_leave(struct ost_vmx_vcpu *vmx);
int ost_vmx_exit_apic_access(struct ost_vcpu *vcpu);
int ost_vmx_exit_apic_write(struct ost_vcpu *vcpu);
/* Does it change what others address this LAPIC by, or may it take long? */
bool ost_vmx_apic_write_may_sleep(struct ost_vcpu *vcpu);
int ost_vmx_exit_eoi(struct ost_vcpu *vcpu);

/* posted.c */
/*
 * Are interrupts posted? From the controls that there are, of which it leaves what will be in use. [load]
 */
bool ost_vmx_posted_setup(struct ost_vmx_config *cfg, bool wanted);
/* Fields that stay as they are. In a section. */
void ost_vmx_posted_write_constants(struct ost_vmx_vcpu *vmx);
/* After apic_controls changed. [vcpu] */
void ost_vmx_posted_apic_changed(struct ost_vmx_vcpu *vmx);
void ost_vmx_notify(int cpu);
/* Gives the interrupt that ended the run to the host's handler, if the exit has acknowledged it. [irqoff] */
void ost_vmx_take_host_irq(struct ost_vmx_vcpu *vmx);

/*
 * irq.S: runs the handler of a gate of the IDT at this address, for an interrupt that was acknowledged.
 * [irqoff], in no section; it returns with interrupts on.
 */
void ost_vmx_call_gate(unsigned long offset);

/* pml.c */
int ost_vmx_pml_alloc(struct ost_vmx_vcpu *vmx);
void ost_vmx_pml_free(struct ost_vmx_vcpu *vmx);
void ost_vmx_pml_drain(struct ost_vcpu *vcpu);
int ost_vmx_exit_pml_full(struct ost_vcpu *vcpu);
/* Tells the CPU where to note the next page, if that is not where it left off. In a section. */
static inline void ost_vmx_pml_sync(struct ost_vmx_vcpu *vmx)
{
	if (likely(!vmx->pml.restart))
		return;
	vmx->pml.restart = false;
	ost_vmwrite(GUEST_PML_INDEX, OST_VMX_PML_ENTRIES - 1);
}

/* dump.c */
void ost_vmx_dump(struct ost_vcpu *vcpu);
extern bool ost_vmx_check_entries;	/* the module parameter */
/* False, and said in the log, when the VMCS as it stands breaks a rule of VM entries. In a section. */
bool ost_vmx_check_entry(struct ost_vmx_vcpu *vmx);

#endif
