// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU's VMCB: its life, its reset, its TLB tag and its place on a CPU. */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include "svm.h"

/* Types of segments (APM vol. 2, 4.8) with S and P, in the VMCB's packed form. */
#define ATTR_DATA_RW 0x93
#define ATTR_CODE_RX 0x9b
#define ATTR_LDT 0x82
#define ATTR_TSS16_BUSY 0x83

/* PAT after RESET (APM vol. 2, 7.8.2) */
#define PAT_RESET 0x0007040600070406ULL

/* PAUSE instructions in a row, closer than this many cycles, that count as spinning. */
#define PAUSE_FILTER_COUNT 3000
#define PAUSE_FILTER_THRESHOLD 128

int ost_svm_vm_init(struct ost_vm *vm)
{
	return 0;
}

void ost_svm_vm_destroy(struct ost_vm *vm)
{
}

int ost_svm_vcpu_create(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	int r;

	svm->vmcb = ost_svm_alloc_page(GFP_KERNEL_ACCOUNT);
	if (!svm->vmcb)
		return -ENOMEM;
	svm->vmcb_pa = __sme_pa(svm->vmcb);
	r = ost_svm_msrpm_alloc(svm);
	if (r) {
		free_page((unsigned long)svm->vmcb);
		return r;
	}
	svm->asid_cpu = -1;
	return 0;
}

void ost_svm_vcpu_destroy(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	int cpu;

	/* Another vCPU may get this memory and must not be taken for this one. */
	for_each_possible_cpu(cpu)
		cmpxchg(&per_cpu(ost_svm_cpus, cpu).last, svm, NULL);
	ost_svm_msrpm_free(svm);
	free_page((unsigned long)svm->vmcb);
}

static void reset_seg(struct ost_vmcb_seg *seg, u16 attrib)
{
	seg->selector = 0;
	seg->attrib = attrib;
	seg->limit = 0xffff;
	seg->base = 0;
}

/* APM vol. 2, table 14-1 */
static void reset_save_area(struct ost_vmcb_save *save)
{
	reset_seg(&save->es, ATTR_DATA_RW);
	reset_seg(&save->ss, ATTR_DATA_RW);
	reset_seg(&save->ds, ATTR_DATA_RW);
	reset_seg(&save->fs, ATTR_DATA_RW);
	reset_seg(&save->gs, ATTR_DATA_RW);
	reset_seg(&save->cs, ATTR_CODE_RX);
	save->cs.selector = 0xf000;
	save->cs.base = 0xffff0000;
	reset_seg(&save->gdtr, 0);
	reset_seg(&save->idtr, 0);
	reset_seg(&save->ldtr, ATTR_LDT);
	reset_seg(&save->tr, ATTR_TSS16_BUSY);
	save->cpl = 0;
	save->rflags = X86_EFLAGS_FIXED;
	save->rip = 0xfff0;
	save->rsp = 0;
	save->rax = 0;
}

/* INIT leaves these alone. */
static void reset_msrs(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_save *save = &svm->vmcb->save;

	save->star = 0;
	save->lstar = 0;
	save->cstar = 0;
	save->sfmask = 0;
	save->kernel_gs_base = 0;
	save->sysenter_cs = 0;
	save->sysenter_esp = 0;
	save->sysenter_eip = 0;
	save->g_pat = PAT_RESET;
	save->dbgctl = 0;
	save->spec_ctrl = 0;
	svm->vcpu.spec_ctrl = 0;
	svm->spec_ctrl_direct = false;
}

static void reset_control(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_control *control = &svm->vmcb->control;

	ost_svm_init_intercepts(svm);
	control->iopm_base_pa = ost_svm_iopm_pa;
	control->msrpm_base_pa = __sme_pa(svm->msrpm);
	control->v_intr = OST_SVM_V_INTR_MASKING;
	control->interrupt_shadow = 0;
	control->eventinj = 0;
	control->np_control = OST_SVM_NP_ENABLE;
	control->n_cr3 = __sme_set(svm->vcpu.vm->mmu.root_hpa);
	if (ost_svm_has(OST_SVM_PAUSE_FILTER)) {
		control->pause_filter_count = PAUSE_FILTER_COUNT;
		if (ost_svm_has(OST_SVM_PAUSE_FILTER_THRESHOLD))
			control->pause_filter_threshold = PAUSE_FILTER_THRESHOLD;
	}
	control->clean = 0;
}

void ost_svm_vcpu_reset(struct ost_vcpu *vcpu, bool init_event)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	reset_save_area(&svm->vmcb->save);
	if (!init_event)
		reset_msrs(svm);
	svm->nmi_masked = false;
	svm->nmi_iret = false;
	svm->nmi_step = false;
	svm->event_given = false;
	svm->soft_moved = false;
	svm->next_rip = 0;
	svm->dr_live = false;
	reset_control(svm);
	ost_svm_update_msrpm(svm);
	svm->asid_generation = 0;
}

void ost_svm_update_tsc(struct ost_vcpu *vcpu)
{
	struct ost_vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->control.tsc_offset = vcpu->clock.tsc_offset;
	ost_vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
	preempt_disable();
	if (vcpu->loaded && vcpu->clock.tsc_ratio)
		ost_svm_load_tsc_ratio(vcpu->clock.tsc_ratio);
	preempt_enable();
}

void ost_svm_vcpu_load(struct ost_vcpu *vcpu, int cpu)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	svm->host_saved = false;
	if (svm->asid_cpu != cpu)
		svm->vmcb->control.clean = 0;
	if (vcpu->clock.tsc_ratio)
		ost_svm_load_tsc_ratio(vcpu->clock.tsc_ratio);
	/* What one vCPU has trained the branch predictor to must not steer the next. */
	if (READ_ONCE(c->last) != svm) {
		WRITE_ONCE(c->last, svm);
		ost_ibpb();
	}
}

void ost_svm_vcpu_put(struct ost_vcpu *vcpu)
{
}

void ost_svm_flush_tlb(struct ost_vcpu *vcpu)
{
	WRITE_ONCE(to_svm(vcpu)->flush, true);
}

static void new_asid(struct ost_svm_vcpu *svm, struct ost_svm_cpu *c)
{
	struct ost_vmcb_control *control = &svm->vmcb->control;

	if (c->asid_next > ost_svm_asid_last) {
		/*
		 * All are used up: the next entry drops everything that any tag ever had in this CPU's
		 * TLB, and vCPUs with a tag of the old generation get a new one (15.16).
		 */
		c->asid_generation++;
		c->asid_next = ost_svm_asid_first;
		control->tlb_control = OST_SVM_TLB_FLUSH_ALL;
	}
	control->guest_asid = c->asid_next++;
	ost_vmcb_dirty(svm->vmcb, CLEAN_ASID);
	svm->asid_generation = c->asid_generation;
	svm->asid_cpu = smp_processor_id();
}

void ost_svm_redo_flush(struct ost_svm_vcpu *svm, u8 tlb_control)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);

	svm->vmcb->control.clean = 0;
	svm->asid_generation = 0;
	if (tlb_control == OST_SVM_TLB_FLUSH_ALL)
		c->asid_next = ost_svm_asid_last + 1;
}

void ost_svm_assign_asid(struct ost_svm_vcpu *svm)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);
	bool flush = READ_ONCE(svm->flush);

	if (flush)
		WRITE_ONCE(svm->flush, false);
	/*
	 * A tag is good on the CPU that gave it out, in its generation. On coming back to a CPU the old
	 * tag may have entries from before flushes that happened elsewhere, so it is not used again.
	 */
	if (svm->asid_cpu != smp_processor_id() || svm->asid_generation != c->asid_generation) {
		new_asid(svm, c);
	} else if (flush) {
		if (ost_svm_has(OST_SVM_FLUSH_BY_ASID))
			svm->vmcb->control.tlb_control = OST_SVM_TLB_FLUSH_ASID;
		else
			new_asid(svm, c);
	}
}
