// SPDX-License-Identifier: GPL-2.0-only
/* What this CPU's SVM offers, whether it may be used, and what all guests share. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include "svm.h"

/* CPUID functions and what they answer (APM vol. 3, E.4.1, E.4.9). */
#define CPUID_EXT_FEATURES 0x80000001
#define CPUID_SVM 0x8000000a
#define CPUID_ECX_SVM BIT(2)
#define CPUID_EDX_PAGE_1GB BIT(26)

/* MSR C001_0114h (APM 15.30.1) */
#define VM_CR_LOCK BIT(3)
#define VM_CR_SVMDIS BIT(4)

static unsigned int svm_mask;
module_param(svm_mask, uint, 0444);
MODULE_PARM_DESC(svm_mask, "SVM features not to use, as bits of CPUID 8000000A EDX (for testing)");

static unsigned int svm_asid_first = 1;
module_param(svm_asid_first, uint, 0444);
MODULE_PARM_DESC(svm_asid_first, "lowest ASID for guests (default 1)");

static unsigned int svm_asid_last;
module_param(svm_asid_last, uint, 0444);
MODULE_PARM_DESC(svm_asid_last, "highest ASID for guests (default 0: the CPU's highest)");

u32 ost_svm_features __read_mostly;
u32 ost_svm_asid_first __read_mostly, ost_svm_asid_last __read_mostly;
u64 ost_svm_iopm_pa __read_mostly;
u64 ost_svm_host_cr4_mce __read_mostly;

/* Filled by setup(): the levels, large pages and the memory encryption bit are the host's. */
struct ost_pte_format ost_svm_pte_format __read_mostly = {
	.writable = BIT_ULL(1),
	.no_exec = BIT_ULL(63),
	/* The nested walk checks every access as a user access (15.25.5). */
	.user = BIT_ULL(2),
	.leaf = BIT_ULL(7),
	.accessed = BIT_ULL(5),
	.dirty = BIT_ULL(6),
};

/* Four pages are what alloc_pages() gives for the twelve kilobytes of the map (15.10.1). */
#define IOPM_ORDER 2
static struct page *iopm;

int ost_svm_probe(const char **why)
{
	u64 vm_cr, efer;
	u32 edx;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
	    boot_cpu_data.x86_vendor != X86_VENDOR_HYGON) {
		*why = "this CPU is not one of AMD's or Hygon's";
		return -ENODEV;
	}
	if (cpuid_eax(0x80000000) < CPUID_SVM ||
	    !(cpuid_ecx(CPUID_EXT_FEATURES) & CPUID_ECX_SVM)) {
		*why = "this CPU has no SVM (AMD-V)";
		return -ENODEV;
	}
	/* Where SVM exists VM_CR does, but an outer hypervisor may have forgotten it. */
	if (!rdmsrq_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS)) {
		*why = vm_cr & VM_CR_LOCK ?
		       "SVM is disabled and locked by firmware (VM_CR.SVMDIS): enable it in firmware setup" :
		       "SVM is disabled by firmware (VM_CR.SVMDIS): enable it in firmware setup";
		return -EOPNOTSUPP;
	}
	edx = cpuid_edx(CPUID_SVM) & ~svm_mask;
	if (!(edx & BIT(OST_SVM_NP))) {
		*why = "this CPU has no nested paging (NPT), which is required";
		return -EOPNOTSUPP;
	}
	rdmsrq(MSR_EFER, efer);
	if (efer & EFER_SVME) {
		*why = "another hypervisor (kvm_amd or VirtualBox?) has SVM on: end its guests or unload it, or load kvm with enable_virt_at_load=0";
		return -EBUSY;
	}
	ost_svm_features = edx;
	return 0;
}

static void fill_caps(void)
{
	bool la57 = __read_cr4() & X86_CR4_LA57;

	ost_hw_caps.nr_tags = ost_svm_asid_last - ost_svm_asid_first + 1;
	/* The nested walk runs in the mode that the host's CR4 says at VMRUN (15.25.3). */
	ost_hw_caps.root_levels = la57 ? 5 : 4;
	ost_hw_caps.page_1g = cpuid_edx(CPUID_EXT_FEATURES) & CPUID_EDX_PAGE_1GB;
	ost_hw_caps.tsc_scaling = ost_svm_has(OST_SVM_TSC_RATE_MSR);
	/* MSR C000_0104h holds 8.32 fixed point (15.30.5). */
	ost_hw_caps.tsc_frac_bits = 32;
	ost_hw_caps.halts_in_guest = true;
	ost_hw_caps.tsc_max_ratio = GENMASK_ULL(39, 0);

	/* With memory encryption on, tables and guest memory are read through the C-bit like the host's. */
	ost_svm_pte_format.present = BIT_ULL(0);
	ost_svm_pte_format.encrypted = sme_me_mask;
	ost_svm_pte_format.addr_mask = GENMASK_ULL(51, PAGE_SHIFT) & ~sme_me_mask;
	ost_svm_pte_format.root_levels = ost_hw_caps.root_levels;
	ost_svm_pte_format.page_1g = ost_hw_caps.page_1g;
}

int ost_svm_setup(void)
{
	u32 nr_asids = cpuid_ebx(CPUID_SVM);
	int r;

	/* ASID 0 is the host's own; CPUID answers their number including it (15.16). */
	ost_svm_asid_first = max(svm_asid_first, 1u);
	ost_svm_asid_last = nr_asids - 1;
	if (svm_asid_last)
		ost_svm_asid_last = min(svm_asid_last, ost_svm_asid_last);
	if (nr_asids < 2 || ost_svm_asid_first > ost_svm_asid_last) {
		pr_err("no ASIDs from %u to %u: the CPU has %u\n", svm_asid_first, svm_asid_last,
		       nr_asids);
		return -EINVAL;
	}
	ost_svm_host_cr4_mce = __read_cr4() & X86_CR4_MCE;

	iopm = alloc_pages(GFP_KERNEL, IOPM_ORDER);
	if (!iopm)
		return -ENOMEM;
	memset(page_address(iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
	ost_svm_iopm_pa = __sme_pa(page_address(iopm));
	r = ost_svm_cpus_alloc();
	if (r) {
		__free_pages(iopm, IOPM_ORDER);
		return r;
	}
	fill_caps();
	return 0;
}

void ost_svm_teardown(void)
{
	ost_svm_cpus_free();
	__free_pages(iopm, IOPM_ORDER);
}
