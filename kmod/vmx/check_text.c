// SPDX-License-Identifier: GPL-2.0-only
/* What a failed VM entry reports, in words, and the names of fields. */
#include <asm/msr-index.h>
#include "check.h"

/* SDM vol. 3C, "VM Instruction Error Numbers" */
const char *ost_vmx_instruction_error(u32 error)
{
	static const char *const text[] = {
		[1] = "VMCALL executed in VMX root operation",
		[2] = "VMCLEAR with invalid physical address",
		[3] = "VMCLEAR with VMXON pointer",
		[4] = "VMLAUNCH with non-clear VMCS",
		[5] = "VMRESUME with non-launched VMCS",
		[6] = "VMRESUME after VMXOFF",
		[7] = "VM entry with invalid control fields",
		[8] = "VM entry with invalid host-state fields",
		[9] = "VMPTRLD with invalid physical address",
		[10] = "VMPTRLD with VMXON pointer",
		[11] = "VMPTRLD with incorrect VMCS revision identifier",
		[12] = "VMREAD or VMWRITE of an unsupported VMCS component",
		[13] = "VMWRITE to a read-only VMCS component",
		[15] = "VMXON executed in VMX root operation",
		[16] = "VM entry with invalid executive-VMCS pointer",
		[17] = "VM entry with non-launched executive VMCS",
		[18] = "VM entry with executive-VMCS pointer not VMXON pointer",
		[19] = "VMCALL with non-clear VMCS",
		[20] = "VMCALL with invalid VM-exit control fields",
		[22] = "VMCALL with incorrect MSEG revision identifier",
		[23] = "VMXOFF under dual-monitor treatment of SMIs and SMM",
		[24] = "VMCALL with invalid SMM-monitor features",
		[25] = "VM entry with invalid VM-execution control fields in executive VMCS",
		[26] = "VM entry with events blocked by MOV SS",
		[28] = "invalid operand to INVEPT or INVVPID",
	};

	if (error < ARRAY_SIZE(text) && text[error])
		return text[error];
	return "unknown VM-instruction error";
}

static const char *invalid_guest_state(u64 qualification)
{
	switch (qualification) {
	case ENTRY_FAIL_PDPTE:
		return "invalid guest state: the PDPTEs";
	case ENTRY_FAIL_NMI:
		return "invalid guest state: an NMI injected under blocking by STI";
	case ENTRY_FAIL_VMCS_LINK_PTR:
		return "invalid guest state: the VMCS link pointer";
	default:
		return "invalid guest state";
	}
}

/* SDM vol. 3C, "VM-Entry Failures During or After Loading Guest State" */
const char *ost_vmx_entry_failure(u32 exit_reason, u64 qualification)
{
	switch (exit_reason & 0xffff) {
	case EXIT_REASON_INVALID_STATE:
		return invalid_guest_state(qualification);
	case EXIT_REASON_MSR_LOAD_FAIL:
		return "failure to load an MSR of the VM-entry MSR-load area";
	case EXIT_REASON_MCE_DURING_VMENTRY:
		return "machine check during VM entry";
	default:
		return "unknown VM-entry failure";
	}
}

/* SDM vol. 3C, "Loading MSRs" */
const char *ost_vmx_check_msr(const struct vmx_msr_entry *entry)
{
	if (entry->reserved)
		return "bits 63:32 of the entry must be 0";
	if (entry->index == MSR_FS_BASE || entry->index == MSR_GS_BASE)
		return "FS.base and GS.base come from the guest-state area only";
	if (entry->index >> 8 == 0x8)
		return "x2APIC registers can't be loaded";
	if (entry->index == MSR_IA32_SMM_MONITOR_CTL)
		return "IA32_SMM_MONITOR_CTL can only be written in SMM";
	if (entry->index == MSR_IA32_UCODE_WRITE)
		return "a microcode update can't be loaded";
	return "WRMSR of this value would be refused, or the CPU can't load this MSR here";
}

#define SEGMENT(reg) \
	{ GUEST_##reg##_SELECTOR, "guest " #reg " selector" }, \
	{ GUEST_##reg##_BASE, "guest " #reg " base" }, \
	{ GUEST_##reg##_LIMIT, "guest " #reg " limit" }, \
	{ GUEST_##reg##_AR_BYTES, "guest " #reg " access rights" }

#define TABLE(reg) \
	{ GUEST_##reg##_BASE, "guest " #reg " base" }, \
	{ GUEST_##reg##_LIMIT, "guest " #reg " limit" }

/* SDM vol. 3D, appendix "Field Encoding in VMCS", in the order of the encodings. */
static const struct {
	u32 field;
	const char *name;
} names[] = {
	{ VIRTUAL_PROCESSOR_ID, "VPID" },
	{ POSTED_INTR_NV, "posted-interrupt notification vector" },
	{ LAST_PID_POINTER_INDEX, "last PID-pointer index" },
	{ OST_VMCS_GUEST_UINV, "guest UINV" },
	{ HOST_ES_SELECTOR, "host ES selector" },
	{ HOST_CS_SELECTOR, "host CS selector" },
	{ HOST_SS_SELECTOR, "host SS selector" },
	{ HOST_DS_SELECTOR, "host DS selector" },
	{ HOST_FS_SELECTOR, "host FS selector" },
	{ HOST_GS_SELECTOR, "host GS selector" },
	{ HOST_TR_SELECTOR, "host TR selector" },
	{ IO_BITMAP_A, "address of I/O bitmap A" },
	{ IO_BITMAP_B, "address of I/O bitmap B" },
	{ MSR_BITMAP, "address of MSR bitmaps" },
	{ VM_EXIT_MSR_STORE_ADDR, "VM-exit MSR-store address" },
	{ VM_EXIT_MSR_LOAD_ADDR, "VM-exit MSR-load address" },
	{ VM_ENTRY_MSR_LOAD_ADDR, "VM-entry MSR-load address" },
	{ PML_ADDRESS, "PML address" },
	{ VIRTUAL_APIC_PAGE_ADDR, "virtual-APIC address" },
	{ APIC_ACCESS_ADDR, "APIC-access address" },
	{ POSTED_INTR_DESC_ADDR, "posted-interrupt descriptor address" },
	{ VM_FUNCTION_CONTROL, "VM-function controls" },
	{ EPT_POINTER, "EPT pointer" },
	{ EPTP_LIST_ADDRESS, "EPTP-list address" },
	{ VMREAD_BITMAP, "VMREAD-bitmap address" },
	{ VMWRITE_BITMAP, "VMWRITE-bitmap address" },
	{ OST_VMCS_VE_INFORMATION, "virtualization-exception information address" },
	{ OST_VMCS_SPPTP, "sub-page-permission-table pointer" },
	{ TERTIARY_VM_EXEC_CONTROL, "tertiary processor-based VM-execution controls" },
	{ OST_VMCS_LOW_PASID_DIRECTORY, "low PASID directory address" },
	{ OST_VMCS_HIGH_PASID_DIRECTORY, "high PASID directory address" },
	{ OST_VMCS_HLATP, "hypervisor-managed linear-address translation pointer" },
	{ PID_POINTER_TABLE, "PID-pointer table address" },
	{ OST_VMCS_SECONDARY_EXIT_CONTROLS, "secondary VM-exit controls" },
	{ VMCS_LINK_POINTER, "VMCS link pointer" },
	{ GUEST_IA32_DEBUGCTL, "guest IA32_DEBUGCTL" },
	{ GUEST_IA32_PAT, "guest IA32_PAT" },
	{ GUEST_IA32_EFER, "guest IA32_EFER" },
	{ GUEST_IA32_PERF_GLOBAL_CTRL, "guest IA32_PERF_GLOBAL_CTRL" },
	{ GUEST_PDPTR0, "guest PDPTE0" },
	{ GUEST_PDPTR1, "guest PDPTE1" },
	{ GUEST_PDPTR2, "guest PDPTE2" },
	{ GUEST_PDPTR3, "guest PDPTE3" },
	{ GUEST_BNDCFGS, "guest IA32_BNDCFGS" },
	{ GUEST_IA32_RTIT_CTL, "guest IA32_RTIT_CTL" },
	{ OST_VMCS_GUEST_LBR_CTL, "guest IA32_LBR_CTL" },
	{ OST_VMCS_GUEST_PKRS, "guest IA32_PKRS" },
	{ HOST_IA32_PAT, "host IA32_PAT" },
	{ HOST_IA32_EFER, "host IA32_EFER" },
	{ HOST_IA32_PERF_GLOBAL_CTRL, "host IA32_PERF_GLOBAL_CTRL" },
	{ OST_VMCS_HOST_PKRS, "host IA32_PKRS" },
	{ PIN_BASED_VM_EXEC_CONTROL, "pin-based VM-execution controls" },
	{ CPU_BASED_VM_EXEC_CONTROL, "primary processor-based VM-execution controls" },
	{ CR3_TARGET_COUNT, "CR3-target count" },
	{ VM_EXIT_CONTROLS, "primary VM-exit controls" },
	{ VM_EXIT_MSR_STORE_COUNT, "VM-exit MSR-store count" },
	{ VM_EXIT_MSR_LOAD_COUNT, "VM-exit MSR-load count" },
	{ VM_ENTRY_CONTROLS, "VM-entry controls" },
	{ VM_ENTRY_MSR_LOAD_COUNT, "VM-entry MSR-load count" },
	{ VM_ENTRY_INTR_INFO_FIELD, "VM-entry interruption-information field" },
	{ VM_ENTRY_EXCEPTION_ERROR_CODE, "VM-entry exception error code" },
	{ VM_ENTRY_INSTRUCTION_LEN, "VM-entry instruction length" },
	{ TPR_THRESHOLD, "TPR threshold" },
	{ SECONDARY_VM_EXEC_CONTROL, "secondary processor-based VM-execution controls" },
	SEGMENT(ES),
	SEGMENT(CS),
	SEGMENT(SS),
	SEGMENT(DS),
	SEGMENT(FS),
	SEGMENT(GS),
	SEGMENT(LDTR),
	SEGMENT(TR),
	TABLE(GDTR),
	TABLE(IDTR),
	{ VMX_PREEMPTION_TIMER_VALUE, "VMX-preemption timer value" },
	{ GUEST_INTERRUPTIBILITY_INFO, "guest interruptibility state" },
	{ GUEST_ACTIVITY_STATE, "guest activity state" },
	{ GUEST_CR0, "guest CR0" },
	{ GUEST_CR3, "guest CR3" },
	{ GUEST_CR4, "guest CR4" },
	{ GUEST_DR7, "guest DR7" },
	{ GUEST_RIP, "guest RIP" },
	{ GUEST_RFLAGS, "guest RFLAGS" },
	{ GUEST_PENDING_DBG_EXCEPTIONS, "guest pending debug exceptions" },
	{ GUEST_SYSENTER_ESP, "guest IA32_SYSENTER_ESP" },
	{ GUEST_SYSENTER_EIP, "guest IA32_SYSENTER_EIP" },
	{ OST_VMCS_GUEST_S_CET, "guest IA32_S_CET" },
	{ OST_VMCS_GUEST_SSP, "guest SSP" },
	{ OST_VMCS_GUEST_SSP_TABLE, "guest IA32_INTERRUPT_SSP_TABLE_ADDR" },
	{ HOST_CR0, "host CR0" },
	{ HOST_CR3, "host CR3" },
	{ HOST_CR4, "host CR4" },
	{ HOST_FS_BASE, "host FS base" },
	{ HOST_GS_BASE, "host GS base" },
	{ HOST_TR_BASE, "host TR base" },
	{ HOST_GDTR_BASE, "host GDTR base" },
	{ HOST_IDTR_BASE, "host IDTR base" },
	{ HOST_IA32_SYSENTER_ESP, "host IA32_SYSENTER_ESP" },
	{ HOST_IA32_SYSENTER_EIP, "host IA32_SYSENTER_EIP" },
	{ HOST_RIP, "host RIP" },
	{ OST_VMCS_HOST_S_CET, "host IA32_S_CET" },
	{ OST_VMCS_HOST_SSP, "host SSP" },
	{ OST_VMCS_HOST_SSP_TABLE, "host IA32_INTERRUPT_SSP_TABLE_ADDR" },
};

const char *ost_vmx_field_name(u32 field)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].field == field)
			return names[i].name;
	}
	return "VMCS field";
}
