// SPDX-License-Identifier: GPL-2.0-only
/* MSRs that live in the VMCS or are switched by us, and the bitmap of those the guest reaches directly. */
#include <linux/mm.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/msr-index.h>
#include "../irqchip/lapic.h"
#include "../vm.h"
#include "vmx.h"

/* A page: reads of low and high MSRs, then writes; a set bit exits (25.6.9). */
#define HIGH_MSRS 0xc0000000
#define BITMAP_HIGH 1024
#define BITMAP_WRITES 2048

int ost_vmx_msr_bitmap_alloc(struct ost_vmx_vcpu *vmx)
{
	vmx->msr_bitmap = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->msr_bitmap)
		return -ENOMEM;
	memset(vmx->msr_bitmap, 0xff, PAGE_SIZE);
	return 0;
}

void ost_vmx_msr_bitmap_free(struct ost_vmx_vcpu *vmx)
{
	free_page((unsigned long)vmx->msr_bitmap);
}

static void intercept_access(void *bitmap, u32 bit, bool on)
{
	if (on)
		__set_bit(bit, bitmap);
	else
		__clear_bit(bit, bitmap);
}

/* Did the VMM deny it? Then it has to exit. */
static bool denied(struct ost_vmx_vcpu *vmx, u32 index, bool write)
{
	return vmx->vcpu.msr_filtered && !ost_msr_filter_allows(&vmx->vcpu, index, write);
}

static void intercept_msr(struct ost_vmx_vcpu *vmx, u32 index, bool on)
{
	void *reads = vmx->msr_bitmap + (index >= HIGH_MSRS ? BITMAP_HIGH : 0);
	u32 bit = index & 0x1fff;

	intercept_access(reads, bit, on || denied(vmx, index, false));
	intercept_access(reads + BITMAP_WRITES, bit, on || denied(vmx, index, true));
}

/*
 * In virtualized x2APIC mode the CPU reads all of these from the virtual-APIC page, also those that
 * no LAPIC has, and takes few writes in its own way (30.5).
 */
static void update_x2apic_msrs(struct ost_vmx_vcpu *vmx)
{
	bool on = vmx->apic_controls & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	bool page = on && (vmx->apic_controls & SECONDARY_EXEC_APIC_REGISTER_VIRT);
	bool delivers = on && ost_vmx_delivers(vmx);
	void *writes = vmx->msr_bitmap + BITMAP_WRITES;
	u32 msr;

	for (msr = APIC_BASE_MSR; msr <= APIC_BASE_MSR + 0xff; msr++)
		intercept_access(vmx->msr_bitmap, msr, !(page && ost_lapic_msr_plain(msr)));
	intercept_msr(vmx, APIC_BASE_MSR + (APIC_TASKPRI >> 4), !on);
	intercept_access(writes, APIC_BASE_MSR + (APIC_EOI >> 4), !delivers);
	intercept_access(writes, APIC_BASE_MSR + (APIC_SELF_IPI >> 4), !delivers);
}

/* In the VMCS, or loaded while the vCPU is, and of no interest to anyone but the guest. */
static const u32 direct_msrs[] = {
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};
static const u32 direct_long_mode_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

static const u32 cstate_msrs[] = {
	MSR_CORE_C1_RES, MSR_CORE_C3_RESIDENCY, MSR_CORE_C6_RESIDENCY, MSR_CORE_C7_RESIDENCY,
};

void ost_vmx_update_msr_bitmap(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	int i;

	for (i = 0; i < ARRAY_SIZE(direct_msrs); i++)
		intercept_msr(vmx, direct_msrs[i], false);
	for (i = 0; i < ARRAY_SIZE(direct_long_mode_msrs); i++)
		intercept_msr(vmx, direct_long_mode_msrs[i], !ost_has(vcpu, LM));
	intercept_msr(vmx, MSR_IA32_SPEC_CTRL, !vmx->vcpu.spec_ctrl_direct);
	update_x2apic_msrs(vmx);
	/* Where the CPU has them: to guests that choose C-states by themselves, how long they were in them. */
	for (i = 0; i < ARRAY_SIZE(cstate_msrs); i++)
		intercept_access(vmx->msr_bitmap, cstate_msrs[i],
				 !(vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_CSTATE) ||
					 denied(vmx, cstate_msrs[i], false));
}

void ost_vmx_msr_filter_changed(struct ost_vcpu *vcpu)
{
	ost_vmx_update_msr_bitmap(to_vmx(vcpu));
}

/* -1 when it is not in a field of the VMCS. */
static int slot_of(u32 index)
{
	switch (index) {
	case MSR_FS_BASE:
		return OST_V_GUEST_FS_BASE;
	case MSR_GS_BASE:
		return OST_V_GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS:
		return OST_V_GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP:
		return OST_V_GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP:
		return OST_V_GUEST_SYSENTER_EIP;
	case MSR_IA32_CR_PAT:
		return OST_V_GUEST_IA32_PAT;
	default:
		return -1;
	}
}

/* NULL when it is not one that we load. CSTAR is syscall.c's: on these CPUs SYSCALL is 64-bit code's alone. */
static u64 *user_msr(struct ost_vmx_vcpu *vmx, u32 index)
{
	switch (index) {
	case MSR_STAR:
		return &vmx->star;
	case MSR_LSTAR:
		return &vmx->lstar;
	case MSR_CSTAR:
		return &vmx->cstar;
	case MSR_SYSCALL_MASK:
		return &vmx->fmask;
	default:
		return NULL;
	}
}

static u64 get_kernel_gs_base(struct ost_vmx_vcpu *vmx)
{
	u64 val;

	/* Leaving the CPU would put it back into the structure. */
	preempt_disable();
	if (vmx->host.loaded)
		rdmsrq(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	val = vmx->kernel_gs_base;
	preempt_enable();
	return val;
}

static void set_kernel_gs_base(struct ost_vmx_vcpu *vmx, u64 val)
{
	preempt_disable();
	vmx->kernel_gs_base = val;
	if (vmx->host.loaded)
		wrmsrq(MSR_KERNEL_GS_BASE, val);
	preempt_enable();
}

int ost_vmx_get_msr(struct ost_vcpu *vcpu, u32 index, u64 *data)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	int slot = slot_of(index);
	u64 *field = user_msr(vmx, index);

	if (slot >= 0) {
		*data = ost_vmcs_slot_get(vmx, slot);
		return 0;
	}
	if (field) {
		*data = *field;
		return 0;
	}
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		*data = get_kernel_gs_base(vmx);
		return 0;
	case MSR_IA32_SPEC_CTRL:
		*data = vcpu->spec_ctrl;
		return 0;
	default:
		return -ENOENT;
	}
}

static void set_spec_ctrl(struct ost_vmx_vcpu *vmx, u64 data)
{
	vmx->vcpu.spec_ctrl = data;
	/*
	 * A guest that uses it writes it at each of its own kernel entries, so it gets it for itself. One
	 * that never does keeps the exit, and the exits of everything else stay free of reading it.
	 */
	if (data && !vmx->vcpu.spec_ctrl_direct && cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL)) {
		vmx->vcpu.spec_ctrl_direct = true;
		ost_vmx_update_msr_bitmap(vmx);
	}
}

int ost_vmx_set_msr(struct ost_vcpu *vcpu, u32 index, u64 data)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	int slot = slot_of(index);
	u64 *field = user_msr(vmx, index);

	if (slot >= 0) {
		ost_vmcs_slot_set(vmx, slot, data);
		if (index == MSR_IA32_CR_PAT)
			vcpu->pat = data;
		return 0;
	}
	if (field) {
		*field = data;
		vmx->user_msrs_stale = true;
		return 0;
	}
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		set_kernel_gs_base(vmx, data);
		return 0;
	case MSR_IA32_SPEC_CTRL:
		set_spec_ctrl(vmx, data);
		return 0;
	default:
		return -ENOENT;
	}
}
