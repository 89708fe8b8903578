/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the AMD-V backend share. References are to the AMD64 Architecture Programmer's
 * Manual, volume 2 (APM), chapter 15 unless another is named.
 */
#ifndef OST_SVM_SVM_H
#define OST_SVM_SVM_H

#include <linux/percpu.h>
#include <asm/trapnr.h>
#include "../backend.h"
#include "../compat.h"
#include "../vcpu.h"
#include "../vm.h"
#include "vmcb.h"

/* --- the CPU's features (cap.c) --- */

/* Bits of CPUID Fn8000_000A EDX (APM vol. 3, E.4.9). */
enum ost_svm_feature {
	OST_SVM_NP = 0,
	OST_SVM_NRIPS = 3,
	OST_SVM_TSC_RATE_MSR = 4,
	OST_SVM_VMCB_CLEAN = 5,
	OST_SVM_FLUSH_BY_ASID = 6,
	OST_SVM_DECODE_ASSISTS = 7,
	OST_SVM_PAUSE_FILTER = 10,
	OST_SVM_PAUSE_FILTER_THRESHOLD = 12,
	OST_SVM_SPEC_CTRL = 20,
};

/* Those that the CPU has and the parameter svm_mask leaves; read-only after probe. */
extern u32 ost_svm_features;

static inline bool ost_svm_has(enum ost_svm_feature feature)
{
	return ost_svm_features & BIT(feature);
}

extern u32 ost_svm_asid_first, ost_svm_asid_last; /* the range of TLB tags that are ours */
extern u64 ost_svm_iopm_pa;			/* the I/O permission map of all guests */
extern u64 ost_svm_host_cr4_mce;		/* the host's CR4.MCE */
extern struct ost_pte_format ost_svm_pte_format;

int ost_svm_probe(const char **why);
int ost_svm_setup(void);
void ost_svm_teardown(void);

/* --- a CPU (cpu.c) --- */

struct ost_svm_cpu {
	bool enabled;			/* SVM is on, and it was us who turned it on */
	void *save_area;		/* page for VM_HSAVE_PA */
	struct ost_vmcb *host_vmcb;	/* page into which the host's own state is VMSAVEd */
	u64 host_vmcb_pa;
	u64 asid_generation;
	u32 asid_next;
	u64 tsc_ratio;			/* what MSR_AMD64_TSC_RATIO holds */
	bool bp_spec_reduce;		/* we have set BpSpecReduce */
};
DECLARE_PER_CPU(struct ost_svm_cpu, ost_svm_cpus);

/*
 * A zeroed page for the CPU to keep state in, never the first of 2 MiB: on a host with SNP on, the CPU takes
 * writes to any of those 2 MiB for writes to a VMCB that begins them, which is in use (erratum). NULL
 * without memory; free_page() frees it. May sleep.
 */
void *ost_svm_alloc_page(gfp_t gfp);
int ost_svm_cpus_alloc(void);
void ost_svm_cpus_free(void);
int ost_svm_cpu_enable(void);
void ost_svm_cpu_disable(void);
void ost_svm_cpu_emergency_disable(void);
/* What this CPU scales its guests' TSC by; nothing without TscRateMsr. [atomic] */
void ost_svm_load_tsc_ratio(u64 ratio);

/* --- a vCPU --- */

struct ost_svm_vcpu {
	struct ost_vcpu vcpu;
	struct ost_vmcb *vmcb;
	u64 vmcb_pa;
	void *msrpm;			/* MSR permission map, two pages */

	u64 asid_generation;		/* of the ASID in the VMCB; 0 wants a new one */
	int asid_cpu;			/* the CPU that gave it out */
	bool flush;			/* [any] forget TLB entries before the next entry */
	bool host_saved;		/* the host's state was VMSAVEd since the vCPU came to this CPU */
	bool nmi_masked;		/* an NMI was delivered and its IRET not seen yet */
	bool nmi_iret;			/* the IRET at nmi_iret_rip was let through */
	bool nmi_step;			/* the next entry single-steps, to look for an NMI window behind */
	bool event_given;		/* EVENTINJ was valid at the last entry */
	bool soft_moved;		/* RIP was moved from soft_rip for a software event in EVENTINJ */
	bool stepped;			/* the last entry had nmi_step set */
	u32 sysenter_high[2];		/* of SYSENTER_ESP and SYSENTER_EIP: msr.c */
	u64 soft_rip;
	u64 nmi_iret_rip;
	u64 step_rip, step_rflags;	/* at the entry that had nmi_step set */
	u64 cr0;			/* the guest's CR0 as it set it; hardware's may differ in CD, NW, TS, MP */
	u64 exit_rip;			/* RIP of the last exit */
	u64 next_rip;			/* RIP behind the instruction that exited; 0 when not known */
};

static inline struct ost_svm_vcpu *to_svm(struct ost_vcpu *vcpu)
{
	return container_of(vcpu, struct ost_svm_vcpu, vcpu);
}

/* vcpu.c */
int ost_svm_vm_init(struct ost_vm *vm);
void ost_svm_vm_destroy(struct ost_vm *vm);
int ost_svm_vcpu_create(struct ost_vcpu *vcpu);
void ost_svm_vcpu_destroy(struct ost_vcpu *vcpu);
void ost_svm_vcpu_reset(struct ost_vcpu *vcpu, bool init_event);
void ost_svm_vcpu_load(struct ost_vcpu *vcpu, int cpu);
void ost_svm_vcpu_put(struct ost_vcpu *vcpu);
bool ost_svm_in_memory(struct ost_vcpu *vcpu, enum ost_reads reads);
/* Does the vCPU's TLB tag fit this CPU? Gives a new one where not, and obeys ->flush. [irqoff] */
void ost_svm_assign_asid(struct ost_svm_vcpu *svm);
/*
 * VMRUN refused the VMCB before it came to the TLB (APM vol. 3, VMRUN): what it was asked to flush is
 * flushed by the entries that follow, the vCPU's own and, after FLUSH_ALL, whoever's is next here. [irqoff]
 */
void ost_svm_redo_flush(struct ost_svm_vcpu *svm, u8 tlb_control);
void ost_svm_flush_tlb(struct ost_vcpu *vcpu);
void ost_svm_smm_changed(struct ost_vcpu *vcpu);

/* run.c */
enum ost_exit_fast ost_svm_run(struct ost_vcpu *vcpu);
void ost_svm_handle_exit_irqoff(struct ost_vcpu *vcpu);

/* exit.c */
#define OST_SVM_EXIT_INDEX_NPF 0xa3
#define OST_SVM_EXIT_INDEX_INVALID 0xa4
#define OST_SVM_EXIT_INDEX_OTHER 0xa5
#define OST_SVM_NR_EXIT_INDEXES 0xa6
void ost_svm_describe_exit(struct ost_vcpu *vcpu, u64 *words);
extern const char *const ost_svm_exit_names[OST_SVM_NR_EXIT_INDEXES];
int ost_svm_handle_exit(struct ost_vcpu *vcpu);
/* The dense index of an exit code: the codes up to 0a2h stand for themselves. */
static inline u32 ost_svm_exit_index(u64 exitcode)
{
	if (likely(exitcode < OST_SVM_EXIT_INDEX_NPF))
		return exitcode;
	if (exitcode == SVM_EXIT_NPF)
		return OST_SVM_EXIT_INDEX_NPF;
	/* VMEXIT_INVALID is -1; older CPUs write 32 bits of it. */
	if ((u32)exitcode == ~0u)
		return OST_SVM_EXIT_INDEX_INVALID;
	return OST_SVM_EXIT_INDEX_OTHER;
}

int ost_svm_skip_instruction(struct ost_vcpu *vcpu);
/* RIP behind the instruction that exited, from its bytes; 0 where they do not tell it at once. Any context. */
u64 ost_svm_peek_next_rip(struct ost_svm_vcpu *svm);
/* Exits that need nothing but this vCPU's state, of which there are many a second. [irqoff] */
enum ost_exit_fast ost_svm_handle_exit_fast(struct ost_vcpu *vcpu);

/* intercept.c */
void ost_svm_init_intercepts(struct ost_svm_vcpu *svm);
void ost_svm_cpuid_changed(struct ost_vcpu *vcpu);
void ost_svm_update_debug(struct ost_vcpu *vcpu);
void ost_svm_update_tpr(struct ost_vcpu *vcpu, int tpr, int max_irr);
/* CR0 and CR4 as the guest sees them against those in the VMCB: reads exit where they differ. */
void ost_svm_update_cr_intercepts(struct ost_svm_vcpu *svm);

/* msr.c */
int ost_svm_msrpm_alloc(struct ost_svm_vcpu *svm);
void ost_svm_msrpm_free(struct ost_svm_vcpu *svm);
/* Which MSRs the guest reaches without an exit, as its CPUID and its use of SPEC_CTRL stand. */
void ost_svm_update_msrpm(struct ost_svm_vcpu *svm);
void ost_svm_msr_filter_changed(struct ost_vcpu *vcpu);
int ost_svm_get_msr(struct ost_vcpu *vcpu, u32 index, u64 *data);
int ost_svm_set_msr(struct ost_vcpu *vcpu, u32 index, u64 data);

/* regs.c */
void ost_svm_cache_reg(struct ost_vcpu *vcpu, int reg);
/* Writes dirty GPRs that live in the VMCB, RIP and RFLAGS back to it. */
void ost_svm_sync_regs(struct ost_svm_vcpu *svm);
void ost_svm_get_segment(struct ost_vcpu *vcpu, int seg, struct kvm_segment *out);
void ost_svm_set_segment(struct ost_vcpu *vcpu, int seg, const struct kvm_segment *in);
void ost_svm_get_segments(struct ost_vcpu *vcpu, struct kvm_sregs *out);
void ost_svm_set_segments(struct ost_vcpu *vcpu, const struct kvm_sregs *in);
void ost_svm_get_dt(struct ost_vcpu *vcpu, bool idt, struct kvm_dtable *out);
void ost_svm_set_dt(struct ost_vcpu *vcpu, bool idt, const struct kvm_dtable *in);
int ost_svm_get_cpl(struct ost_vcpu *vcpu);
bool ost_svm_code64(struct ost_vcpu *vcpu);
bool ost_svm_code32(struct ost_vcpu *vcpu, u32 *base);
void ost_svm_set_cr0(struct ost_vcpu *vcpu, u64 cr0);
void ost_svm_set_cr3(struct ost_vcpu *vcpu, u64 cr3);
void ost_svm_set_cr4(struct ost_vcpu *vcpu, u64 cr4);
void ost_svm_set_efer(struct ost_vcpu *vcpu, u64 efer);

/* event.c */
u32 ost_svm_get_interrupt_shadow(struct ost_vcpu *vcpu);
void ost_svm_set_interrupt_shadow(struct ost_vcpu *vcpu, u32 mask);
bool ost_svm_get_nmi_mask(struct ost_vcpu *vcpu);
void ost_svm_set_nmi_mask(struct ost_vcpu *vcpu, bool masked);
bool ost_svm_irq_allowed(struct ost_vcpu *vcpu);
bool ost_svm_nmi_allowed(struct ost_vcpu *vcpu);
void ost_svm_open_irq_window(struct ost_vcpu *vcpu);
void ost_svm_close_irq_window(struct ost_svm_vcpu *svm);
void ost_svm_open_nmi_window(struct ost_vcpu *vcpu);
int ost_svm_inject_exception(struct ost_vcpu *vcpu);
void ost_svm_inject_irq(struct ost_vcpu *vcpu);
void ost_svm_inject_nmi(struct ost_vcpu *vcpu);
void ost_svm_cancel_injection(struct ost_vcpu *vcpu);
/* After an entry that was refused: nothing was delivered, no step made; the next entry tries again. [irqoff] */
void ost_svm_redo_events(struct ost_svm_vcpu *svm);
/* After an exit: what was delivered, what was not, and whether an IRET ended NMI blocking. */
void ost_svm_complete_events(struct ost_svm_vcpu *svm);

/* dump.c */
void ost_svm_dump(struct ost_vcpu *vcpu);

#endif
