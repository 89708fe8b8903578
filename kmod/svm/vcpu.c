// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU's VMCB: its life, its reset, its TLB tag and its place on a CPU. */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include "svm.h"

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

	ost_svm_msrpm_free(svm);
	free_page((unsigned long)svm->vmcb);
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
	control->n_cr3 = __sme_set(svm->vcpu.space->root_hpa);
	if (ost_svm_has(OST_SVM_PAUSE_FILTER)) {
		control->pause_filter_count = PAUSE_FILTER_COUNT;
		if (ost_svm_has(OST_SVM_PAUSE_FILTER_THRESHOLD))
			control->pause_filter_threshold = PAUSE_FILTER_THRESHOLD;
	}
	control->clean = 0;
	svm->vmcb->save.dbgctl = 0;
}

void ost_svm_vcpu_reset(struct ost_vcpu *vcpu, bool init_event)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	svm->nmi_masked = false;
	svm->nmi_iret = false;
	svm->nmi_step = false;
	svm->event_given = false;
	svm->soft_moved = false;
	svm->next_rip = 0;
	reset_control(svm);
	ost_svm_update_msrpm(svm);
	svm->asid_generation = 0;
}

void ost_svm_vcpu_load(struct ost_vcpu *vcpu, int cpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	svm->host_saved = false;
	if (svm->asid_cpu != cpu)
		svm->vmcb->control.clean = 0;
}

void ost_svm_vcpu_put(struct ost_vcpu *vcpu)
{
}

bool ost_svm_in_memory(struct ost_vcpu *vcpu, enum ost_reads reads)
{
	/* All state is in the VMCB, which is ordinary memory between #VMEXIT and VMRUN (15.5). */
	return true;
}

void ost_svm_flush_tlb(struct ost_vcpu *vcpu)
{
	WRITE_ONCE(to_svm(vcpu)->flush, true);
}

void ost_svm_smm_changed(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	/* Outside of SMM the CPU raises #UD by itself. */
	ost_vmcb_intercept(svm->vmcb, ICPT_RSM, vcpu->smm.active);
	svm->vmcb->control.n_cr3 = __sme_set(vcpu->space->root_hpa);
	ost_vmcb_dirty(svm->vmcb, CLEAN_NP);
	/* What the TLB holds was translated by the other space's table, and has the same tag. */
	ost_svm_flush_tlb(vcpu);
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
