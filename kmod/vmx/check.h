/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why did a VM entry fail? Walks the rules of SDM vol. 3C, chapter "VM Entries", over a VMCS, and
 * names the first that is broken. It is meant for after a failure: nothing here is fast.
 *
 * Pure: the VMCS is behind a callback, the CPU is a struct, and it compiles in userspace.
 */
#ifndef OST_VMX_CHECK_H
#define OST_VMX_CHECK_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/vmx.h>
#include "../check.h"

/* Fields that <asm/vmx.h> of some kernel lacks (SDM vol. 3D, appendix "Field Encoding in VMCS"). */
enum ost_vmx_field {
	OST_VMCS_GUEST_UINV = 0x0814,
	OST_VMCS_VE_INFORMATION = 0x202a,
	OST_VMCS_SPPTP = 0x2030,
	OST_VMCS_LOW_PASID_DIRECTORY = 0x2038,
	OST_VMCS_HIGH_PASID_DIRECTORY = 0x203a,
	OST_VMCS_HLATP = 0x2040,
	OST_VMCS_SECONDARY_EXIT_CONTROLS = 0x2044,
	OST_VMCS_GUEST_LBR_CTL = 0x2816,
	OST_VMCS_GUEST_PKRS = 0x2818,
	OST_VMCS_HOST_PKRS = 0x2c06,
	OST_VMCS_GUEST_S_CET = 0x6828,
	OST_VMCS_GUEST_SSP = 0x682a,
	OST_VMCS_GUEST_SSP_TABLE = 0x682c,
	OST_VMCS_HOST_S_CET = 0x6c18,
	OST_VMCS_HOST_SSP = 0x6c1a,
	OST_VMCS_HOST_SSP_TABLE = 0x6c1c,
};

/* Likewise controls. */
#define OST_VMX_PROC2_PASID_TRANSLATION BIT(21)
#define OST_VMX_PROC2_EPT_VIOLATION_VE BIT(18)
#define OST_VMX_PROC2_SUB_PAGE_WRITE BIT(23)
#define OST_VMX_PROC3_HLAT BIT_ULL(1)
#define OST_VMX_PROC3_PAGING_WRITE BIT_ULL(2)
#define OST_VMX_PROC3_GUEST_PAGING_VERIFY BIT_ULL(3)
#define OST_VMX_EXIT_LOAD_CET BIT(28)
#define OST_VMX_EXIT_LOAD_PKRS BIT(29)
#define OST_VMX_EXIT_SECONDARY BIT(31)
#define OST_VMX_ENTRY_LOAD_UINV BIT(19)
#define OST_VMX_ENTRY_LOAD_CET BIT(20)
#define OST_VMX_ENTRY_LOAD_LBR_CTL BIT(21)
#define OST_VMX_ENTRY_LOAD_PKRS BIT(22)

/* What of CPUID decides about rules. */
#define OST_VMX_CPU_SGX BIT(0)
#define OST_VMX_CPU_RTM BIT(1)
#define OST_VMX_CPU_BUS_LOCK_DETECT BIT(2)
#define OST_VMX_CPU_CET BIT(3)
#define OST_VMX_CPU_LAM BIT(4)

/* What the CPU offers, and what of its state at the entry counts besides the VMCS. */
struct ost_vmx_capabilities {
	/*
	 * The capability MSRs, as read; of PIN, PROC, EXIT and ENTRY the TRUE ones where
	 * IA32_VMX_BASIC[55] says that they exist. 0 for what the CPU has not.
	 */
	u64 basic, pin, proc, proc2, proc3, exit, exit2, entry;
	u64 misc, ept_vpid, vmfunc;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u8 phys_bits, linear_bits;		/* CPUID 80000008H EAX */
	u32 features;				/* OST_VMX_CPU_* */
	/* Bits of these MSRs that a WRMSR would not take. */
	u64 efer_reserved, debugctl_reserved, perf_global_reserved, rtit_ctl_reserved;
	bool tracing;				/* IA32_RTIT_CTL.TraceEn is 1 */
};

struct ost_vmx_check {
	/* VMREAD of the current VMCS. Only fields that this CPU has are asked for. */
	u64 (*read)(void *ctx, u32 field);
	void *ctx;
	const struct ost_vmx_capabilities *cpu;
	u64 vmcs_pa;		/* of the current VMCS */
	/* What of memory counts; NULL where it is not known. */
	const u32 *link_id;	/* first word of the VMCS that the link pointer names */
	const u8 *vtpr;		/* byte 80H of the virtual-APIC page */
};

/* VM entry checks these one after the other (SDM vol. 3C, "VM Entries", introduction). */
enum ost_vmx_stage {
	OST_VMX_STAGE_CONTROLS,	/* VM-instruction error 7 */
	OST_VMX_STAGE_HOST,	/* VM-instruction error 8 */
	OST_VMX_STAGE_GUEST,	/* exit reason 33 */
	OST_VMX_NR_STAGES,
};

/*
 * True, and *out says which, when a rule is broken; false when none is known to be. Not looked at:
 * PDPTEs in memory (entries without EPT), and what belongs to FRED, to SEAM and to hypervisors in
 * SMM. Any context that read() can be called in.
 */
bool ost_vmx_check(const struct ost_vmx_check *in, struct ost_broken_rule *out);

/* The same for one stage only: the one that the CPU's own report names. */
bool ost_vmx_check_stage(const struct ost_vmx_check *in, enum ost_vmx_stage stage,
			 struct ost_broken_rule *out);

/*
 * Exit reason 34: why the CPU can't load this entry of the VM-entry MSR-load area. The exit
 * qualification gives its number, from 1. Any context.
 */
const char *ost_vmx_check_msr(const struct vmx_msr_entry *entry);

/* A VM-instruction error number (30.4, "VM Instruction Error Numbers") in words. Any context. */
const char *ost_vmx_instruction_error(u32 error);

/* An exit reason with bit 31 set (33, 34, 41) and its qualification in words. Any context. */
const char *ost_vmx_entry_failure(u32 exit_reason, u64 qualification);

/* What the manual calls a field that a rule is about; "VMCS field" for others. Any context. */
const char *ost_vmx_field_name(u32 field);

#endif
