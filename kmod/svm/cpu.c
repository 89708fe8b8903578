// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who holds SVM on a CPU. EFER.SVME is turned on and off here and nowhere else, and never touched
 * where somebody else has it on (design D9).
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/asm.h>
#include <asm/msr.h>
#include "svm.h"

/* MSR_AMD64_TSC_RATIO for an unscaled TSC */
#define TSC_RATIO_ONE BIT_ULL(32)

DEFINE_PER_CPU(struct ost_svm_cpu, ost_svm_cpus);

void *ost_svm_alloc_page(gfp_t gfp)
{
	struct page *pages = alloc_pages(gfp | __GFP_ZERO, 1);

	if (!pages)
		return NULL;
	split_page(pages, 1);
	__free_page(pages);
	return page_address(pages + 1);
}

void ost_svm_cpus_free(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ost_svm_cpu *c = &per_cpu(ost_svm_cpus, cpu);

		free_page((unsigned long)c->save_area);
		free_page((unsigned long)c->host_vmcb);
		c->save_area = NULL;
		c->host_vmcb = NULL;
	}
}

int ost_svm_cpus_alloc(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ost_svm_cpu *c = &per_cpu(ost_svm_cpus, cpu);

		c->save_area = ost_svm_alloc_page(GFP_KERNEL);
		c->host_vmcb = ost_svm_alloc_page(GFP_KERNEL);
		if (!c->save_area || !c->host_vmcb) {
			ost_svm_cpus_free();
			return -ENOMEM;
		}
		c->host_vmcb_pa = __sme_pa(c->host_vmcb);
	}
	return 0;
}

void ost_svm_load_tsc_ratio(u64 ratio)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);

	/* Only guests' reads of the TSC are scaled by it, so it may stay when a vCPU goes. */
	if (!ost_svm_has(OST_SVM_TSC_RATE_MSR) || c->tsc_ratio == ratio)
		return;
	c->tsc_ratio = ratio;
	wrmsrq(MSR_AMD64_TSC_RATIO, ratio);
}

static void set_bp_spec_reduce(struct ost_svm_cpu *c, bool on)
{
	u64 bit = ost_bp_spec_reduce(), bp_cfg;

	if (!bit || c->bp_spec_reduce == on)
		return;
	rdmsrq(MSR_ZEN4_BP_CFG, bp_cfg);
	/* Whoever else has set it clears it, too. */
	if (on && (bp_cfg & bit))
		return;
	wrmsrq(MSR_ZEN4_BP_CFG, on ? bp_cfg | bit : bp_cfg & ~bit);
	c->bp_spec_reduce = on;
}

/*
 * Family 10h, erratum 383: a large and a small TLB entry for one address, which a guest can bring about, may end
 * in a machine check. With this bit of DC_CFG the CPU looks twice.
 */
static void avoid_tlb_mismatch(void)
{
	u64 dc_cfg;

	if (boot_cpu_has_bug(X86_BUG_AMD_TLB_MMATCH) && !rdmsrq_safe(MSR_AMD64_DC_CFG, &dc_cfg))
		wrmsrq_safe(MSR_AMD64_DC_CFG, dc_cfg | BIT_ULL(47));
}

int ost_svm_cpu_enable(void)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);
	u64 efer;

	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;
	/* An offline CPU comes back from INIT with a TLB that may hold anything: start by flushing. */
	c->asid_generation++;
	c->asid_next = ost_svm_asid_last + 1;
	/* First, so that an emergency in between finds something to turn off. */
	WRITE_ONCE(c->enabled, true);
	barrier();
	/* Firmware may have disabled SVM on this CPU alone, or on the way back from suspend (VM_CR.SVMDIS). */
	if (wrmsrq_safe(MSR_EFER, efer | EFER_SVME) ||
	    wrmsrq_safe(MSR_VM_HSAVE_PA, __sme_pa(c->save_area))) {
		ost_svm_cpu_emergency_disable();
		WRITE_ONCE(c->enabled, false);
		return -EIO;
	}
	avoid_tlb_mismatch();
	c->tsc_ratio = 0;
	ost_svm_load_tsc_ratio(TSC_RATIO_ONE);
	set_bp_spec_reduce(c, true);
	return 0;
}

/*
 * Sets GIF, so that what INIT or NMI waits behind it gets through once SVM is off: an emergency may
 * have hit between CLGI and STGI. Without SVME it is #UD, and GIF is set then anyway (15.17).
 */
static void stgi_safe(void)
{
	asm volatile("1: stgi\n2:\n" _ASM_EXTABLE(1b, 2b) : : : "memory");
}

void ost_svm_cpu_disable(void)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);
	u64 efer;

	if (!READ_ONCE(c->enabled))
		return;
	ost_svm_load_tsc_ratio(TSC_RATIO_ONE);
	set_bp_spec_reduce(c, false);
	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_SVME) {
		stgi_safe();
		wrmsrq(MSR_VM_HSAVE_PA, 0);
		wrmsrq(MSR_EFER, efer & ~EFER_SVME);
	}
	WRITE_ONCE(c->enabled, false);
}

void ost_svm_cpu_emergency_disable(void)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);
	u64 efer;

	if (!READ_ONCE(c->enabled))
		return;
	if (rdmsrq_safe(MSR_EFER, &efer) || !(efer & EFER_SVME))
		return;
	stgi_safe();
	wrmsrq_safe(MSR_VM_HSAVE_PA, 0);
	wrmsrq_safe(MSR_EFER, efer & ~EFER_SVME);
}
