// SPDX-License-Identifier: GPL-2.0-only
/* MSRs that live in the VMCB, and the map that says which of them the guest reaches directly. */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include "svm.h"

/* Two pages: three ranges of 2000h MSRs, two bits each, read and write (15.11). */
#define MSRPM_ORDER 1

int ost_svm_msrpm_alloc(struct ost_svm_vcpu *svm)
{
	svm->msrpm = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT, MSRPM_ORDER);
	if (!svm->msrpm)
		return -ENOMEM;
	memset(svm->msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
	return 0;
}

void ost_svm_msrpm_free(struct ost_svm_vcpu *svm)
{
	free_pages((unsigned long)svm->msrpm, MSRPM_ORDER);
}

/* Number of the MSR's read bit in the map; the write bit follows. -1 for one beyond the map. */
static int msrpm_bit(u32 index)
{
	static const u32 bases[] = { 0, 0xc0000000, 0xc0010000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		if (index - bases[i] < 0x2000)
			return (i * 0x2000 + (index - bases[i])) * 2;
	return -1;
}

static void intercept_access(struct ost_svm_vcpu *svm, u32 index, bool write, bool on)
{
	int bit = msrpm_bit(index);

	if (WARN_ON_ONCE(bit < 0))
		return;
	/* What the VMM has denied has to exit. */
	if (svm->vcpu.msr_filtered && !ost_msr_filter_allows(&svm->vcpu, index, write))
		on = true;
	if (on)
		__set_bit(bit + write, svm->msrpm);
	else
		__clear_bit(bit + write, svm->msrpm);
}

static void intercept_msr(struct ost_svm_vcpu *svm, u32 index, bool on)
{
	intercept_access(svm, index, false, on);
	intercept_access(svm, index, true, on);
}

/*
 * Swapped by VMLOAD and VMSAVE (15.5.2), and of no interest to anyone but the guest. PAT exits,
 * which is rare, so that the core sees its changes; so do all MSRs that are not named here.
 */
static const u32 direct_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* The CPU keeps 32 bits of these; a guest that was told of another vendor's, which keeps 64, has them by exits. */
static bool is_wide(struct ost_svm_vcpu *svm, u32 index)
{
	return (index == MSR_IA32_SYSENTER_ESP || index == MSR_IA32_SYSENTER_EIP) &&
	       !ost_has(&svm->vcpu, AMD);
}

void ost_svm_update_msrpm(struct ost_svm_vcpu *svm)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(direct_msrs); i++)
		intercept_msr(svm, direct_msrs[i], false);
	for (i = MSR_IA32_SYSENTER_ESP; i <= MSR_IA32_SYSENTER_EIP; i++)
		intercept_msr(svm, i, is_wide(svm, i));
	intercept_msr(svm, MSR_IA32_SPEC_CTRL, !svm->vcpu.spec_ctrl_direct);
	ost_vmcb_dirty(svm->vmcb, CLEAN_PERMISSIONS);
}

void ost_svm_msr_filter_changed(struct ost_vcpu *vcpu)
{
	ost_svm_update_msrpm(to_svm(vcpu));
}

/* NULL when it is not one of the VMCB's plain 64-bit fields. */
static u64 *vmcb_field(struct ost_vmcb_save *save, u32 index)
{
	switch (index) {
	case MSR_STAR:
		return &save->star;
	case MSR_LSTAR:
		return &save->lstar;
	case MSR_CSTAR:
		return &save->cstar;
	case MSR_SYSCALL_MASK:
		return &save->sfmask;
	case MSR_KERNEL_GS_BASE:
		return &save->kernel_gs_base;
	case MSR_FS_BASE:
		return &save->fs.base;
	case MSR_GS_BASE:
		return &save->gs.base;
	case MSR_IA32_SYSENTER_CS:
		return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP:
		return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:
		return &save->sysenter_eip;
	case MSR_IA32_CR_PAT:
		return &save->g_pat;
	default:
		return NULL;
	}
}

int ost_svm_get_msr(struct ost_vcpu *vcpu, u32 index, u64 *data)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	u64 *field = vmcb_field(&svm->vmcb->save, index);

	if (field) {
		*data = *field;
		if (is_wide(svm, index))
			*data = (u32)*data | (u64)svm->sysenter_high[index == MSR_IA32_SYSENTER_EIP] << 32;
		return 0;
	}
	switch (index) {
	case MSR_IA32_SPEC_CTRL:
		*data = ost_svm_has(OST_SVM_SPEC_CTRL) ? svm->vmcb->save.spec_ctrl : vcpu->spec_ctrl;
		return 0;
	default:
		return -ENOENT;
	}
}

static void set_spec_ctrl(struct ost_svm_vcpu *svm, u64 data)
{
	svm->vcpu.spec_ctrl = data;
	if (ost_svm_has(OST_SVM_SPEC_CTRL))
		svm->vmcb->save.spec_ctrl = data;
	/*
	 * A guest that uses it writes it at each of its own kernel entries, so it gets it for itself. One
	 * that never does keeps the exit, and the exits of everything else stay free of reading it.
	 */
	if (data && !svm->vcpu.spec_ctrl_direct && cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL)) {
		svm->vcpu.spec_ctrl_direct = true;
		ost_svm_update_msrpm(svm);
	}
}

int ost_svm_set_msr(struct ost_vcpu *vcpu, u32 index, u64 data)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	u64 *field = vmcb_field(&svm->vmcb->save, index);

	if (field) {
		*field = data;
		if (index == MSR_IA32_SYSENTER_ESP || index == MSR_IA32_SYSENTER_EIP)
			svm->sysenter_high[index == MSR_IA32_SYSENTER_EIP] = data >> 32;
		if (index == MSR_IA32_CR_PAT) {
			vcpu->pat = data;
			ost_vmcb_dirty(svm->vmcb, CLEAN_NP);
		}
		return 0;
	}
	switch (index) {
	case MSR_IA32_SPEC_CTRL:
		set_spec_ctrl(svm, data);
		return 0;
	default:
		return -ENOENT;
	}
}
