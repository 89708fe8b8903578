// SPDX-License-Identifier: GPL-2.0-only
/* The checker of VM entry's rules, against states that it has to accept and against each rule broken. */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <string.h>
#include "tap.h"
#include "vmx_machine.h"

static struct machine m;

static void accepts(enum state state)
{
	struct ost_broken_rule broken;
	char text[OST_BROKEN_RULE_LEN];

	machine_init(&m, state);
	if (ost_vmx_check(&m.check, &broken)) {
		ost_broken_rule_format(text, sizeof(text), &broken);
		tap_fail(__FILE__, __LINE__, "%s: %s", state_names[state], text);
	}
	CHECK(!m.missing);
}

static void valid_states(void)
{
	enum state state;

	for (state = 0; state < NR_STATES; state++)
		accepts(state);
}

/* --- each rule broken --- */

enum op { END, SET, ON, OFF };

struct change {
	enum op op;
	u32 field;
	u64 val;
};

struct row {
	enum state state;
	struct change change[5];
	u32 field;		/* which is named */
	const char *rule;
	void (*cpu)(struct ost_vmx_capabilities *cpu);
};

/* Rows leave out what they have no use for. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PIN PIN_BASED_VM_EXEC_CONTROL
#define PROC CPU_BASED_VM_EXEC_CONTROL
#define PROC2 SECONDARY_VM_EXEC_CONTROL
#define PROC3 TERTIARY_VM_EXEC_CONTROL
#define EXIT VM_EXIT_CONTROLS
#define ENTRY VM_ENTRY_CONTROLS
#define INFO VM_ENTRY_INTR_INFO_FIELD
#define BLOCK GUEST_INTERRUPTIBILITY_INFO
#define ACTIVITY GUEST_ACTIVITY_STATE
#define PENDING GUEST_PENDING_DBG_EXCEPTIONS
#define NON_CANONICAL 0x0000800000000000ull
#define BEYOND BIT_ULL(46)

#define VALID INTR_INFO_VALID_MASK
#define ERROR_CODE INTR_INFO_DELIVER_CODE_MASK
#define EXTERNAL (VALID | INTR_TYPE_EXT_INTR | 0x20)
#define NMI (VALID | INTR_TYPE_NMI_INTR | 2)
#define EXCEPTION (VALID | INTR_TYPE_HARD_EXCEPTION)
#define SOFT (VALID | INTR_TYPE_SOFT_INTR | 0x80)
#define MTF (VALID | INTR_TYPE_OTHER_EVENT)

static void no_ad(struct ost_vmx_capabilities *cpu)
{
	cpu->ept_vpid &= ~VMX_EPT_AD_BIT;
}

static void other_ept(struct ost_vmx_capabilities *cpu)
{
	cpu->ept_vpid |= VMX_EPTP_UC_BIT | VMX_EPT_PAGE_WALK_5_BIT;
}

static void tracing(struct ost_vmx_capabilities *cpu)
{
	cpu->tracing = true;
}

static void addresses_32bit(struct ost_vmx_capabilities *cpu)
{
	cpu->basic |= BIT_ULL(48);
}

static void no_mtf(struct ost_vmx_capabilities *cpu)
{
	cpu->proc &= ~((u64)CPU_BASED_MONITOR_TRAP_FLAG << 32);
}

static void no_cet(struct ost_vmx_capabilities *cpu)
{
	cpu->features &= ~OST_VMX_CPU_CET;
}

static void any_error_code(struct ost_vmx_capabilities *cpu)
{
	cpu->basic |= BIT_ULL(56);
}

static void no_features(struct ost_vmx_capabilities *cpu)
{
	cpu->features = 0;
}

static void only_active(struct ost_vmx_capabilities *cpu)
{
	cpu->misc &= ~(BIT(8) | BIT(7) | BIT(6));
}

static void other_revision(struct ost_vmx_capabilities *cpu)
{
	cpu->basic ^= 1;
}

static void no_secondary(struct ost_vmx_capabilities *cpu)
{
	cpu->proc &= ~((u64)CPU_BASED_ACTIVATE_SECONDARY_CONTROLS << 32);
	cpu->proc2 = 0;
}

static void no_ept(struct ost_vmx_capabilities *cpu)
{
	cpu->proc2 &= ~((u64)(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST) << 32);
}

static void no_efer_cet_loads(struct ost_vmx_capabilities *cpu)
{
	cpu->exit &= ~((u64)(VM_EXIT_LOAD_IA32_EFER | OST_VMX_EXIT_LOAD_CET) << 32);
	cpu->entry &= ~((u64)(VM_ENTRY_LOAD_IA32_EFER | OST_VMX_ENTRY_LOAD_CET) << 32);
}

#define UNSUPPORTED "must not set bits that this CPU does not support"
#define DEMANDED "must set the bits that this CPU demands"
#define ALIGNED "must be aligned"
#define WIDTH "must be within the physical-address width"
#define CANONICAL "must be a canonical address"
#define RESERVED "must have its reserved bits clear"
#define HIGH_CLEAR "must have bits 63:32 clear"
#define AR_RESERVED "must have bits 31:17 and 11:8 clear"
#define G_CLEAR "must have G clear when a bit of limit[11:0] is 0"
#define G_SET "must have G set when a bit of limit[31:20] is 1"
#define FORBIDDEN "must not set bits that VMX operation forbids (IA32_VMX_CRn_FIXED1)"
#define MISSING "must set the bits that VMX operation demands (IA32_VMX_CRn_FIXED0)"
#define CR3_WIDTH "must not set bits 63:52, nor bits beyond the physical-address width"
#define PAT_TYPES "must hold types 0, 1, 4, 5, 6 or 7 only"
#define TRACKER "must not set both SUPPRESS (bit 10) and TRACKER (bit 11)"
#define AREA "must leave the area within the physical-address width"

static const struct row controls[] = {
	{ PLAIN, { { ON, PIN, BIT(8) } }, PIN, UNSUPPORTED },
	{ PLAIN, { { OFF, PIN, BIT(4) } }, PIN, DEMANDED },
	{ PLAIN, { { ON, PROC, BIT(18) } }, PROC, UNSUPPORTED },
	{ PLAIN, { { OFF, PROC, BIT(26) } }, PROC, DEMANDED },
	{ PLAIN, { { ON, PROC2, BIT(27) } }, PROC2, UNSUPPORTED },
	{ FULL, { { ON, PROC3, BIT_ULL(33) } }, PROC3, UNSUPPORTED },
	{ PLAIN, { { ON, EXIT, BIT(26) } }, EXIT, UNSUPPORTED },
	{ PLAIN, { { OFF, EXIT, BIT(0) } }, EXIT, DEMANDED },
	{ FULL, { { ON, OST_VMCS_SECONDARY_EXIT_CONTROLS, BIT_ULL(60) } },
	  OST_VMCS_SECONDARY_EXIT_CONTROLS, UNSUPPORTED },
	{ PLAIN, { { ON, ENTRY, BIT(23) } }, ENTRY, UNSUPPORTED },
	{ PLAIN, { { OFF, ENTRY, BIT(12) } }, ENTRY, DEMANDED },
	/* A CPU without the fields that the controls in force would want. */
	{ PLAIN, {}, PROC, UNSUPPORTED, no_secondary },
	{ PLAIN, {}, PROC2, UNSUPPORTED, no_ept },
	{ PLAIN, {}, EXIT, UNSUPPORTED, no_efer_cet_loads },

	{ PLAIN, { { SET, CR3_TARGET_COUNT, 5 } }, CR3_TARGET_COUNT,
	  "must not exceed the number of CR3-target values" },
	{ PLAIN, { { ON, IO_BITMAP_A, 0x800 } }, IO_BITMAP_A, ALIGNED },
	{ PLAIN, { { ON, IO_BITMAP_B, 1 } }, IO_BITMAP_B, ALIGNED },
	{ PLAIN, { { ON, IO_BITMAP_B, BEYOND } }, IO_BITMAP_B, WIDTH },
	{ PLAIN, { { ON, IO_BITMAP_A, BIT_ULL(32) } }, IO_BITMAP_A, WIDTH, addresses_32bit },
	{ PLAIN, { { ON, MSR_BITMAP, 0x10 } }, MSR_BITMAP, ALIGNED },
	{ PLAIN, { { ON, MSR_BITMAP, BIT_ULL(63) } }, MSR_BITMAP, WIDTH },
	{ PLAIN, { { OFF, PIN, PIN_BASED_NMI_EXITING } }, PIN,
	  "must not set \"virtual NMIs\" without \"NMI exiting\"" },
	{ PLAIN, { { OFF, PIN, PIN_BASED_VIRTUAL_NMIS }, { ON, PROC, CPU_BASED_NMI_WINDOW_EXITING } },
	  PROC, "must not set \"NMI-window exiting\" without \"virtual NMIs\"" },

	{ PLAIN, { { OFF, PROC, CPU_BASED_TPR_SHADOW },
		   { ON, PROC2, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE } }, PROC2,
	  "must not set \"virtualize x2APIC mode\" without \"use TPR shadow\"" },
	{ PLAIN, { { OFF, PROC, CPU_BASED_TPR_SHADOW },
		   { ON, PROC2, SECONDARY_EXEC_APIC_REGISTER_VIRT } }, PROC2,
	  "must not set \"APIC-register virtualization\" without \"use TPR shadow\"" },
	{ PLAIN, { { OFF, PROC, CPU_BASED_TPR_SHADOW },
		   { ON, PROC2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY } }, PROC2,
	  "must not set \"virtual-interrupt delivery\" without \"use TPR shadow\"" },
	{ PLAIN, { { OFF, PROC, CPU_BASED_TPR_SHADOW },
		   { ON, PROC, CPU_BASED_ACTIVATE_TERTIARY_CONTROLS },
		   { ON, PROC3, TERTIARY_EXEC_IPI_VIRT } }, PROC3,
	  "must not set \"IPI virtualization\" without \"use TPR shadow\"" },
	{ PLAIN, { { ON, VIRTUAL_APIC_PAGE_ADDR, 8 } }, VIRTUAL_APIC_PAGE_ADDR, ALIGNED },
	{ PLAIN, { { ON, VIRTUAL_APIC_PAGE_ADDR, BEYOND } }, VIRTUAL_APIC_PAGE_ADDR, WIDTH },
	{ PLAIN, { { SET, TPR_THRESHOLD, 0x10 } }, TPR_THRESHOLD,
	  "must have bits 31:4 clear without \"virtual-interrupt delivery\"" },
	{ PLAIN, { { SET, TPR_THRESHOLD, 1 }, { OFF, PROC2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES } },
	  TPR_THRESHOLD, "must not be above VTPR[7:4] on the virtual-APIC page" },
	{ PLAIN, { { ON, APIC_ACCESS_ADDR, 0x10 } }, APIC_ACCESS_ADDR, ALIGNED },
	{ PLAIN, { { ON, APIC_ACCESS_ADDR, BEYOND } }, APIC_ACCESS_ADDR, WIDTH },
	{ PLAIN, { { ON, PROC2, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE } }, PROC2,
	  "must not set both \"virtualize APIC accesses\" and \"virtualize x2APIC mode\"" },
	{ FULL, { { OFF, PIN, PIN_BASED_EXT_INTR_MASK } }, PROC2,
	  "must not set \"virtual-interrupt delivery\" without \"external-interrupt exiting\"" },
	{ FULL, { { OFF, PROC2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY } }, PIN,
	  "must not set \"process posted interrupts\" without \"virtual-interrupt delivery\"" },
	{ FULL, { { OFF, EXIT, VM_EXIT_ACK_INTR_ON_EXIT } }, EXIT,
	  "must set \"acknowledge interrupt on exit\" with \"process posted interrupts\"" },
	{ FULL, { { SET, POSTED_INTR_NV, 0x100 } }, POSTED_INTR_NV,
	  "must be a vector: bits 15:8 clear" },
	{ FULL, { { ON, POSTED_INTR_DESC_ADDR, 0x20 } }, POSTED_INTR_DESC_ADDR, ALIGNED },
	{ FULL, { { ON, POSTED_INTR_DESC_ADDR, BEYOND } }, POSTED_INTR_DESC_ADDR, WIDTH },
	{ FULL, { { ON, PID_POINTER_TABLE, 4 } }, PID_POINTER_TABLE, ALIGNED },
	{ FULL, { { ON, PID_POINTER_TABLE, BEYOND } }, PID_POINTER_TABLE, WIDTH },
	{ FULL, { { SET, PID_POINTER_TABLE, BEYOND - 8 } }, LAST_PID_POINTER_INDEX,
	  "must leave the PID-pointer table within the physical-address width" },

	{ PLAIN, { { SET, VIRTUAL_PROCESSOR_ID, 0 } }, VIRTUAL_PROCESSOR_ID,
	  "must not be 0 with \"enable VPID\"" },
	{ PLAIN, { { OFF, EPT_POINTER, 7 } }, EPT_POINTER,
	  "must have a memory type (bits 2:0) that this CPU supports" },
	{ PLAIN, { { ON, EPT_POINTER, 1 } }, EPT_POINTER,
	  "must have a memory type (bits 2:0) that this CPU supports" },
	{ PLAIN, { { OFF, EPT_POINTER, 0x38 }, { ON, EPT_POINTER, 0x20 } }, EPT_POINTER,
	  "must have a page-walk length (bits 5:3) that this CPU supports" },
	{ PLAIN, { { OFF, EPT_POINTER, 0x38 }, { ON, EPT_POINTER, 0x10 } }, EPT_POINTER,
	  "must have a page-walk length (bits 5:3) that this CPU supports" },
	{ PLAIN, {}, EPT_POINTER,
	  "must not enable accessed and dirty flags, which this CPU has not", no_ad },
	{ PLAIN, { { ON, EPT_POINTER, BIT(7) } }, EPT_POINTER,
	  "must not enable supervisor shadow-stack control, which this CPU has not" },
	{ PLAIN, { { ON, EPT_POINTER, BIT(8) } }, EPT_POINTER, RESERVED },
	{ PLAIN, { { ON, EPT_POINTER, BEYOND } }, EPT_POINTER, RESERVED },
	{ PLAIN, { { OFF, PROC2, SECONDARY_EXEC_ENABLE_EPT } }, PROC2,
	  "must not set \"unrestricted guest\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, SECONDARY_EXEC_MODE_BASED_EPT_EXEC } }, PROC2,
	  "must not set \"mode-based execute control for EPT\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, OST_VMX_PROC2_SUB_PAGE_WRITE } }, PROC2,
	  "must not set \"sub-page write permissions for EPT\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, SECONDARY_EXEC_ENABLE_PML } }, PROC2,
	  "must not set \"enable PML\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, SECONDARY_EXEC_PT_USE_GPA } }, PROC2,
	  "must not set \"Intel PT uses guest physical addresses\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, 0 }, { ON, PROC, CPU_BASED_ACTIVATE_TERTIARY_CONTROLS },
		    { SET, PROC3, OST_VMX_PROC3_HLAT } }, PROC3,
	  "must not set \"enable HLAT\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, 0 }, { ON, PROC, CPU_BASED_ACTIVATE_TERTIARY_CONTROLS },
		    { SET, PROC3, OST_VMX_PROC3_PAGING_WRITE } }, PROC3,
	  "must not set \"EPT paging-write control\" without \"enable EPT\"" },
	{ FLAT32, { { SET, PROC2, 0 }, { ON, PROC, CPU_BASED_ACTIVATE_TERTIARY_CONTROLS },
		    { SET, PROC3, OST_VMX_PROC3_GUEST_PAGING_VERIFY } }, PROC3,
	  "must not set \"guest-paging verification\" without \"enable EPT\"" },
	{ FULL, { { ON, PML_ADDRESS, 0x200 } }, PML_ADDRESS, ALIGNED },
	{ FULL, { { ON, PML_ADDRESS, BEYOND } }, PML_ADDRESS, WIDTH },
	{ FULL, { { ON, OST_VMCS_SPPTP, 0x200 } }, OST_VMCS_SPPTP, ALIGNED },
	{ FULL, { { ON, OST_VMCS_SPPTP, BEYOND } }, OST_VMCS_SPPTP, WIDTH },
	{ FULL, { { ON, OST_VMCS_HLATP, BIT(5) } }, OST_VMCS_HLATP, RESERVED },
	{ FULL, { { ON, VM_FUNCTION_CONTROL, 2 } }, VM_FUNCTION_CONTROL, UNSUPPORTED },
	{ PLAIN, { { SET, PROC2, SECONDARY_EXEC_ENABLE_VMFUNC }, { SET, VM_FUNCTION_CONTROL, 1 } },
	  VM_FUNCTION_CONTROL, "must not set \"EPTP switching\" without \"enable EPT\"" },
	{ FULL, { { ON, EPTP_LIST_ADDRESS, 8 } }, EPTP_LIST_ADDRESS, ALIGNED },
	{ FULL, { { ON, EPTP_LIST_ADDRESS, BEYOND } }, EPTP_LIST_ADDRESS, WIDTH },
	{ FULL, { { ON, VMREAD_BITMAP, 8 } }, VMREAD_BITMAP, ALIGNED },
	{ FULL, { { ON, VMREAD_BITMAP, BEYOND } }, VMREAD_BITMAP, WIDTH },
	{ FULL, { { ON, VMWRITE_BITMAP, 8 } }, VMWRITE_BITMAP, ALIGNED },
	{ FULL, { { ON, VMWRITE_BITMAP, BEYOND } }, VMWRITE_BITMAP, WIDTH },
	{ FULL, { { ON, OST_VMCS_VE_INFORMATION, 8 } }, OST_VMCS_VE_INFORMATION, ALIGNED },
	{ FULL, { { ON, OST_VMCS_VE_INFORMATION, BEYOND } }, OST_VMCS_VE_INFORMATION, WIDTH },
	{ FULL, { { ON, OST_VMCS_LOW_PASID_DIRECTORY, 8 } }, OST_VMCS_LOW_PASID_DIRECTORY, ALIGNED },
	{ FULL, { { ON, OST_VMCS_HIGH_PASID_DIRECTORY, BEYOND } }, OST_VMCS_HIGH_PASID_DIRECTORY, WIDTH },
	{ FULL, { { OFF, ENTRY, VM_ENTRY_LOAD_IA32_RTIT_CTL } }, ENTRY,
	  "must set \"load IA32_RTIT_CTL\" with \"Intel PT uses guest physical addresses\"" },
	{ FULL, { { OFF, EXIT, VM_EXIT_CLEAR_IA32_RTIT_CTL } }, EXIT,
	  "must set \"clear IA32_RTIT_CTL\" with \"Intel PT uses guest physical addresses\"" },
	{ FULL, {}, ENTRY,
	  "must not set \"load IA32_RTIT_CTL\" while the host traces (IA32_RTIT_CTL.TraceEn)", tracing },

	{ PLAIN, { { ON, EXIT, VM_EXIT_SAVE_VMX_PREEMPTION_TIMER } }, EXIT,
	  "must not set \"save VMX-preemption timer value\" without \"activate VMX-preemption timer\"" },
	{ PLAIN, { { ON, VM_EXIT_MSR_STORE_ADDR, 8 } }, VM_EXIT_MSR_STORE_ADDR, ALIGNED },
	{ PLAIN, { { ON, VM_EXIT_MSR_STORE_ADDR, BEYOND } }, VM_EXIT_MSR_STORE_ADDR, WIDTH },
	{ PLAIN, { { SET, VM_EXIT_MSR_STORE_ADDR, BEYOND - 16 } }, VM_EXIT_MSR_STORE_COUNT, AREA },
	{ PLAIN, { { ON, VM_EXIT_MSR_LOAD_ADDR, 8 } }, VM_EXIT_MSR_LOAD_ADDR, ALIGNED },
	{ PLAIN, { { SET, VM_EXIT_MSR_LOAD_ADDR, BEYOND - 16 } }, VM_EXIT_MSR_LOAD_COUNT, AREA },
	{ PLAIN, { { ON, VM_ENTRY_MSR_LOAD_ADDR, 8 } }, VM_ENTRY_MSR_LOAD_ADDR, ALIGNED },
	{ PLAIN, { { SET, VM_ENTRY_MSR_LOAD_ADDR, BEYOND - 16 } }, VM_ENTRY_MSR_LOAD_COUNT, AREA },
	{ PLAIN, { { ON, ENTRY, VM_ENTRY_SMM } }, ENTRY,
	  "must not set \"entry to SMM\" or \"deactivate dual-monitor treatment\" outside SMM" },
	{ PLAIN, { { ON, ENTRY, VM_ENTRY_DEACT_DUAL_MONITOR } }, ENTRY,
	  "must not set \"entry to SMM\" or \"deactivate dual-monitor treatment\" outside SMM" },
};

static const struct row injection[] = {
	{ PLAIN, { { SET, INFO, VALID | INTR_TYPE_RESERVED } }, INFO, "must not have the reserved type 1" },
	{ PLAIN, { { SET, INFO, MTF } }, INFO,
	  "must not have type 7 where the CPU has no \"monitor trap flag\"", no_mtf },
	{ PLAIN, { { SET, INFO, MTF | 1 } }, INFO, "of type 7 must have vector 0" },
	{ PLAIN, { { SET, INFO, NMI ^ 1 } }, INFO, "of type NMI must have vector 2" },
	{ PLAIN, { { SET, INFO, EXCEPTION | 32 } }, INFO,
	  "of type hardware exception must have a vector up to 31" },
	{ PLAIN, { { SET, INFO, EXTERNAL | ERROR_CODE } }, INFO,
	  "must not deliver an error code but for hardware exceptions in protected mode" },
	{ REAL, { { SET, INFO, EXCEPTION | ERROR_CODE | 13 } }, INFO,
	  "must not deliver an error code but for hardware exceptions in protected mode" },
	{ PLAIN, { { SET, INFO, EXCEPTION | 13 } }, INFO,
	  "must deliver an error code if, and only if, the exception has one" },
	{ PLAIN, { { SET, INFO, EXCEPTION | ERROR_CODE | 6 } }, INFO,
	  "must deliver an error code if, and only if, the exception has one" },
	{ PLAIN, { { SET, INFO, EXCEPTION | 21 } }, INFO,
	  "must deliver an error code if, and only if, the exception has one" },
	{ PLAIN, { { SET, INFO, EXCEPTION | ERROR_CODE | 21 } }, INFO,
	  "must deliver an error code if, and only if, the exception has one", no_cet },
	{ PLAIN, { { SET, INFO, EXCEPTION | ERROR_CODE | 13 },
		   { SET, VM_ENTRY_EXCEPTION_ERROR_CODE, 0x10000 } },
	  VM_ENTRY_EXCEPTION_ERROR_CODE, "must have bits 31:16 clear" },
	{ PLAIN, { { SET, INFO, EXTERNAL | BIT(12) } }, INFO, "must have bits 30:12 clear" },
	{ PLAIN, { { SET, INFO, SOFT }, { SET, VM_ENTRY_INSTRUCTION_LEN, 16 } },
	  VM_ENTRY_INSTRUCTION_LEN, "must not be above 15 for a software event" },
	{ PLAIN, { { SET, INFO, SOFT } }, VM_ENTRY_INSTRUCTION_LEN,
	  "must not be 0 for a software event on this CPU" },
	{ PLAIN, { { SET, INFO, VALID | INTR_TYPE_SOFT_EXCEPTION | 3 } }, VM_ENTRY_INSTRUCTION_LEN,
	  "must not be 0 for a software event on this CPU" },
	{ PLAIN, { { SET, INFO, VALID | INTR_TYPE_PRIV_SW_EXCEPTION | 1 } }, VM_ENTRY_INSTRUCTION_LEN,
	  "must not be 0 for a software event on this CPU" },
};

static const struct row host[] = {
	{ PLAIN, { { OFF, EXIT, VM_EXIT_HOST_ADDR_SPACE_SIZE } }, EXIT,
	  "must set \"host address-space size\" in a 64-bit host" },
	{ PLAIN, { { OFF, HOST_CR4, X86_CR4_PAE } }, HOST_CR4,
	  "must set PAE with \"host address-space size\"" },
	{ PLAIN, { { SET, HOST_RIP, NON_CANONICAL } }, HOST_RIP, CANONICAL },
	{ PLAIN, { { ON, HOST_CR0, BIT_ULL(32) } }, HOST_CR0, FORBIDDEN },
	{ PLAIN, { { OFF, HOST_CR0, X86_CR0_NE } }, HOST_CR0, MISSING },
	{ PLAIN, { { OFF, HOST_CR0, X86_CR0_PE } }, HOST_CR0, MISSING },
	{ PLAIN, { { ON, HOST_CR4, BIT_ULL(11) } }, HOST_CR4, FORBIDDEN },
	{ PLAIN, { { OFF, HOST_CR4, X86_CR4_VMXE } }, HOST_CR4, MISSING },
	{ PLAIN, { { ON, HOST_CR4, BIT_ULL(23) }, { OFF, HOST_CR0, X86_CR0_WP } }, HOST_CR4,
	  "must not set CET without CR0.WP" },
	{ PLAIN, { { ON, HOST_CR3, BEYOND } }, HOST_CR3, CR3_WIDTH },
	{ PLAIN, { { ON, HOST_CR3, BIT_ULL(61) } }, HOST_CR3, CR3_WIDTH },
	{ PLAIN, { { SET, HOST_IA32_SYSENTER_ESP, NON_CANONICAL } }, HOST_IA32_SYSENTER_ESP, CANONICAL },
	{ PLAIN, { { SET, HOST_IA32_SYSENTER_EIP, NON_CANONICAL } }, HOST_IA32_SYSENTER_EIP, CANONICAL },
	{ FULL, { { ON, HOST_IA32_PERF_GLOBAL_CTRL, BIT_ULL(40) } }, HOST_IA32_PERF_GLOBAL_CTRL, RESERVED },
	{ FULL, { { SET, HOST_IA32_PAT, 0x0407050600070102 } }, HOST_IA32_PAT, PAT_TYPES },
	{ FULL, { { SET, HOST_IA32_PAT, 0x8407050600070106 } }, HOST_IA32_PAT, PAT_TYPES },
	{ PLAIN, { { ON, HOST_IA32_EFER, BIT_ULL(1) } }, HOST_IA32_EFER, RESERVED },
	{ PLAIN, { { OFF, HOST_IA32_EFER, EFER_LMA } }, HOST_IA32_EFER,
	  "must have LMA and LME as \"host address-space size\" says" },
	{ FULL, { { ON, OST_VMCS_HOST_S_CET, BIT_ULL(6) } }, OST_VMCS_HOST_S_CET,
	  "must have its reserved bits 9:6 clear" },
	{ FULL, { { ON, OST_VMCS_HOST_S_CET, 0xc00 } }, OST_VMCS_HOST_S_CET, TRACKER },
	{ FULL, { { ON, OST_VMCS_HOST_S_CET, NON_CANONICAL } }, OST_VMCS_HOST_S_CET, CANONICAL },
	{ FULL, { { ON, OST_VMCS_HOST_SSP, 2 } }, OST_VMCS_HOST_SSP, "must have bits 1:0 clear" },
	{ FULL, { { SET, OST_VMCS_HOST_SSP, NON_CANONICAL } }, OST_VMCS_HOST_SSP, CANONICAL },
	{ FULL, { { SET, OST_VMCS_HOST_SSP_TABLE, NON_CANONICAL } }, OST_VMCS_HOST_SSP_TABLE, CANONICAL },
	{ FULL, { { ON, OST_VMCS_HOST_PKRS, BIT_ULL(32) } }, OST_VMCS_HOST_PKRS, HIGH_CLEAR },
	{ PLAIN, { { SET, HOST_ES_SELECTOR, 3 } }, HOST_ES_SELECTOR, "must have RPL and TI clear" },
	{ PLAIN, { { SET, HOST_GS_SELECTOR, 4 } }, HOST_GS_SELECTOR, "must have RPL and TI clear" },
	{ PLAIN, { { ON, HOST_TR_SELECTOR, 4 } }, HOST_TR_SELECTOR, "must have RPL and TI clear" },
	{ PLAIN, { { SET, HOST_CS_SELECTOR, 0 } }, HOST_CS_SELECTOR, "must not be null" },
	{ PLAIN, { { SET, HOST_TR_SELECTOR, 0 } }, HOST_TR_SELECTOR, "must not be null" },
	{ PLAIN, { { SET, HOST_FS_BASE, NON_CANONICAL } }, HOST_FS_BASE, CANONICAL },
	{ PLAIN, { { SET, HOST_GS_BASE, NON_CANONICAL } }, HOST_GS_BASE, CANONICAL },
	{ PLAIN, { { SET, HOST_GDTR_BASE, NON_CANONICAL } }, HOST_GDTR_BASE, CANONICAL },
	{ PLAIN, { { SET, HOST_IDTR_BASE, NON_CANONICAL } }, HOST_IDTR_BASE, CANONICAL },
	{ PLAIN, { { SET, HOST_TR_BASE, NON_CANONICAL } }, HOST_TR_BASE, CANONICAL },
};

static const struct row guest_regs[] = {
	{ PLAIN, { { ON, GUEST_CR0, BIT_ULL(32) } }, GUEST_CR0, FORBIDDEN },
	{ PLAIN, { { OFF, GUEST_CR0, X86_CR0_NE } }, GUEST_CR0, MISSING },
	{ FLAT32, { { OFF, GUEST_CR0, X86_CR0_PE | X86_CR0_PG } }, GUEST_CR0, MISSING },
	{ PLAIN, { { OFF, GUEST_CR0, X86_CR0_PE } }, GUEST_CR0, "must not set PG without PE" },
	{ PLAIN, { { ON, GUEST_CR4, BIT_ULL(12) } }, GUEST_CR4, FORBIDDEN },
	{ PLAIN, { { OFF, GUEST_CR4, X86_CR4_VMXE } }, GUEST_CR4, MISSING },
	{ PLAIN, { { ON, GUEST_CR4, BIT_ULL(23) }, { OFF, GUEST_CR0, X86_CR0_WP } }, GUEST_CR4,
	  "must not set CET without CR0.WP" },
	{ PLAIN, { { OFF, GUEST_CR0, X86_CR0_PG } }, GUEST_CR0, "must set PG with \"IA-32e mode guest\"" },
	{ PLAIN, { { OFF, GUEST_CR4, X86_CR4_PAE } }, GUEST_CR4, "must set PAE with \"IA-32e mode guest\"" },
	{ PAE, { { ON, GUEST_CR4, X86_CR4_PCIDE } }, GUEST_CR4,
	  "must not set PCIDE without \"IA-32e mode guest\"" },
	{ PLAIN, { { ON, GUEST_CR3, BEYOND } }, GUEST_CR3, CR3_WIDTH },
	{ FULL, { { ON, GUEST_DR7, BIT_ULL(32) } }, GUEST_DR7, HIGH_CLEAR },
	{ PLAIN, { { SET, GUEST_SYSENTER_ESP, NON_CANONICAL } }, GUEST_SYSENTER_ESP, CANONICAL },
	{ REAL, { { SET, GUEST_SYSENTER_EIP, NON_CANONICAL } }, GUEST_SYSENTER_EIP, CANONICAL },
	{ FULL, { { ON, GUEST_IA32_DEBUGCTL, BIT_ULL(2) } }, GUEST_IA32_DEBUGCTL, RESERVED },
	{ FULL, { { ON, GUEST_IA32_PERF_GLOBAL_CTRL, BIT_ULL(4) } }, GUEST_IA32_PERF_GLOBAL_CTRL, RESERVED },
	{ FULL, { { SET, GUEST_IA32_PAT, 0x0303030303030303 } }, GUEST_IA32_PAT, PAT_TYPES },
	{ PLAIN, { { ON, GUEST_IA32_EFER, BIT_ULL(63) } }, GUEST_IA32_EFER, RESERVED },
	{ PLAIN, { { OFF, GUEST_IA32_EFER, EFER_LMA } }, GUEST_IA32_EFER,
	  "must have LMA as \"IA-32e mode guest\" says" },
	{ PAE, { { ON, GUEST_IA32_EFER, EFER_LMA } }, GUEST_IA32_EFER,
	  "must have LMA as \"IA-32e mode guest\" says" },
	{ PAE, { { ON, GUEST_IA32_EFER, EFER_LME } }, GUEST_IA32_EFER,
	  "must have LMA equal to LME with CR0.PG" },
	{ FULL, { { ON, GUEST_BNDCFGS, BIT_ULL(2) } }, GUEST_BNDCFGS, "must have bits 11:2 clear" },
	{ FULL, { { ON, GUEST_BNDCFGS, NON_CANONICAL } }, GUEST_BNDCFGS, CANONICAL },
	{ FULL, { { ON, GUEST_IA32_RTIT_CTL, BIT_ULL(4) } }, GUEST_IA32_RTIT_CTL, RESERVED },
	{ FULL, { { ON, OST_VMCS_GUEST_S_CET, BIT_ULL(9) } }, OST_VMCS_GUEST_S_CET,
	  "must have its reserved bits 9:6 clear" },
	{ FULL, { { ON, OST_VMCS_GUEST_S_CET, 0xc00 } }, OST_VMCS_GUEST_S_CET, TRACKER },
	{ FULL, { { OFF, OST_VMCS_GUEST_S_CET, BIT_ULL(63) } }, OST_VMCS_GUEST_S_CET, CANONICAL },
	{ FULL, { { SET, OST_VMCS_GUEST_SSP_TABLE, NON_CANONICAL } }, OST_VMCS_GUEST_SSP_TABLE, CANONICAL },
	{ FULL, { { ON, OST_VMCS_GUEST_LBR_CTL, BIT_ULL(4) } }, OST_VMCS_GUEST_LBR_CTL,
	  "must have bits 63:23 and 15:4 clear" },
	{ FULL, { { ON, OST_VMCS_GUEST_PKRS, BIT_ULL(32) } }, OST_VMCS_GUEST_PKRS, HIGH_CLEAR },
	{ FULL, { { ON, OST_VMCS_GUEST_UINV, BIT_ULL(8) } }, OST_VMCS_GUEST_UINV,
	  "must have bits 15:8 clear" },

	{ PLAIN, { { ON, GUEST_RFLAGS, BIT_ULL(22) } }, GUEST_RFLAGS, RESERVED },
	{ REAL, { { ON, GUEST_RFLAGS, BIT_ULL(3) } }, GUEST_RFLAGS, RESERVED },
	{ PLAIN, { { OFF, GUEST_RFLAGS, X86_EFLAGS_FIXED } }, GUEST_RFLAGS, "must set bit 1" },
	{ PLAIN, { { ON, GUEST_RFLAGS, X86_EFLAGS_VM } }, GUEST_RFLAGS,
	  "must not set VM with \"IA-32e mode guest\"" },
	{ REAL, { { ON, GUEST_RFLAGS, X86_EFLAGS_VM } }, GUEST_RFLAGS, "must not set VM without CR0.PE" },
	{ PLAIN, { { SET, INFO, EXTERNAL }, { OFF, GUEST_RFLAGS, X86_EFLAGS_IF } }, GUEST_RFLAGS,
	  "must set IF when an external interrupt is injected" },
	{ PLAIN, { { SET, GUEST_RIP, 0x0001000000000000 } }, GUEST_RIP,
	  "must have the bits above the linear-address width all equal" },
	{ COMPAT, { { ON, GUEST_RIP, BIT_ULL(32) } }, GUEST_RIP,
	  "must have bits 63:32 clear outside 64-bit mode" },
	{ REAL, { { ON, GUEST_RIP, BIT_ULL(63) } }, GUEST_RIP,
	  "must have bits 63:32 clear outside 64-bit mode" },
	{ FULL, { { ON, OST_VMCS_GUEST_SSP, 1 } }, OST_VMCS_GUEST_SSP, "must have bits 1:0 clear" },
	{ FULL, { { SET, OST_VMCS_GUEST_SSP, NON_CANONICAL } }, OST_VMCS_GUEST_SSP, CANONICAL },
	{ COMPAT, { { ON, ENTRY, OST_VMX_ENTRY_LOAD_CET }, { SET, OST_VMCS_GUEST_SSP, BIT_ULL(32) } },
	  OST_VMCS_GUEST_SSP, "must have bits 63:32 clear outside 64-bit mode" },

	{ PLAIN, { { SET, GUEST_GDTR_BASE, NON_CANONICAL } }, GUEST_GDTR_BASE, CANONICAL },
	{ REAL, { { SET, GUEST_IDTR_BASE, NON_CANONICAL } }, GUEST_IDTR_BASE, CANONICAL },
	{ PLAIN, { { ON, GUEST_GDTR_LIMIT, 0x10000 } }, GUEST_GDTR_LIMIT, "must have bits 31:16 clear" },
	{ PLAIN, { { ON, GUEST_IDTR_LIMIT, 0x10000 } }, GUEST_IDTR_LIMIT, "must have bits 31:16 clear" },
	{ PAE, { { ON, GUEST_PDPTR0, BIT_ULL(5) } }, GUEST_PDPTR0,
	  "that is present must have its reserved bits clear" },
	{ FLAT32, { { ON, GUEST_PDPTR3, 1 } }, GUEST_PDPTR3,
	  "that is present must have its reserved bits clear" },
	{ PAE, { { ON, GUEST_PDPTR2, BEYOND } }, GUEST_PDPTR2,
	  "that is present must have its reserved bits clear" },
};

static const struct row guest_segments[] = {
	{ V8086, { { SET, GUEST_ES_BASE, 0 } }, GUEST_ES_BASE,
	  "must be 16 times the selector in virtual-8086 mode" },
	{ V8086, { { SET, GUEST_GS_LIMIT, 0x1ffff } }, GUEST_GS_LIMIT, "must be FFFFH in virtual-8086 mode" },
	{ V8086, { { SET, GUEST_CS_AR_BYTES, 0xfb } }, GUEST_CS_AR_BYTES,
	  "must be F3H in virtual-8086 mode" },
	{ V8086, { { ON, GUEST_TR_SELECTOR, 4 } }, GUEST_TR_SELECTOR, "must have TI clear" },

	{ PLAIN, { { SET, GUEST_CS_AR_BYTES, 0xa093 ^ 1 } }, GUEST_CS_AR_BYTES,
	  "must have type 9, 11, 13 or 15, or 3 with \"unrestricted guest\"" },
	{ FLAT32, { { SET, GUEST_CS_AR_BYTES, 0xc093 } }, GUEST_CS_AR_BYTES,
	  "must have type 9, 11, 13 or 15, or 3 with \"unrestricted guest\"" },
	{ PLAIN, { { OFF, GUEST_CS_AR_BYTES, BIT(4) } }, GUEST_CS_AR_BYTES, "must have S set" },
	{ PLAIN, { { OFF, GUEST_CS_AR_BYTES, BIT(7) } }, GUEST_CS_AR_BYTES, "must have P set" },
	{ PLAIN, { { ON, GUEST_CS_AR_BYTES, BIT(8) } }, GUEST_CS_AR_BYTES, AR_RESERVED },
	{ PLAIN, { { ON, GUEST_CS_AR_BYTES, BIT(17) } }, GUEST_CS_AR_BYTES, AR_RESERVED },
	{ PLAIN, { { SET, GUEST_CS_LIMIT, 0xfffff } , { OFF, GUEST_CS_AR_BYTES, BIT(15) },
		   { ON, GUEST_CS_LIMIT, BIT(20) } }, GUEST_CS_AR_BYTES, G_SET },
	{ PLAIN, { { OFF, GUEST_CS_LIMIT, 1 } }, GUEST_CS_AR_BYTES, G_CLEAR },
	{ REAL, { { SET, GUEST_CS_AR_BYTES, 0xf3 } }, GUEST_CS_AR_BYTES, "of type 3 must have DPL 0" },
	{ PLAIN, { { SET, GUEST_CS_AR_BYTES, 0xa0ff } }, GUEST_CS_AR_BYTES,
	  "of a conforming segment must not have a DPL above SS.DPL" },
	{ PLAIN, { { SET, GUEST_CS_AR_BYTES, 0xa0fb } }, GUEST_CS_AR_BYTES,
	  "of a non-conforming segment must have the DPL of SS" },
	{ PLAIN, { { ON, GUEST_CS_AR_BYTES, BIT(14) } }, GUEST_CS_AR_BYTES,
	  "must not have D set with L and \"IA-32e mode guest\"" },
	{ PLAIN, { { ON, GUEST_CS_BASE, BIT_ULL(32) } }, GUEST_CS_BASE, HIGH_CLEAR },

	{ FLAT32, { { ON, GUEST_SS_SELECTOR, 3 } }, GUEST_SS_SELECTOR,
	  "must have the RPL of CS without \"unrestricted guest\"" },
	{ FLAT32, { { ON, GUEST_SS_AR_BYTES, 0x60 } }, GUEST_SS_AR_BYTES,
	  "must have the selector's RPL as DPL without \"unrestricted guest\"" },
	{ REAL, { { ON, GUEST_SS_AR_BYTES, 0x60 } }, GUEST_SS_AR_BYTES,
	  "must have DPL 0 when CS has type 3 or CR0.PE is 0" },
	/* Also of an unusable one. */
	{ REAL, { { SET, GUEST_SS_AR_BYTES, 0x10060 } }, GUEST_SS_AR_BYTES,
	  "must have DPL 0 when CS has type 3 or CR0.PE is 0" },
	{ PAE, { { SET, GUEST_CS_AR_BYTES, 0xc093 }, { ON, GUEST_SS_AR_BYTES, 0x60 } }, GUEST_SS_AR_BYTES,
	  "must have DPL 0 when CS has type 3 or CR0.PE is 0" },
	{ PLAIN, { { SET, GUEST_SS_AR_BYTES, 0xc091 } }, GUEST_SS_AR_BYTES, "must have type 3 or 7" },
	{ PLAIN, { { OFF, GUEST_SS_AR_BYTES, BIT(4) } }, GUEST_SS_AR_BYTES, "must have S set" },
	{ PLAIN, { { OFF, GUEST_SS_AR_BYTES, BIT(7) } }, GUEST_SS_AR_BYTES, "must have P set" },
	{ PLAIN, { { ON, GUEST_SS_BASE, BIT_ULL(32) } }, GUEST_SS_BASE, HIGH_CLEAR },

	{ FLAT32, { { SET, GUEST_DS_AR_BYTES, 0xc092 } }, GUEST_DS_AR_BYTES,
	  "must be accessed: type bit 0 set" },
	{ FLAT32, { { SET, GUEST_ES_AR_BYTES, 0xc099 } }, GUEST_ES_AR_BYTES,
	  "of a code segment must be readable" },
	{ FLAT32, { { OFF, GUEST_FS_AR_BYTES, BIT(4) } }, GUEST_FS_AR_BYTES, "must have S set" },
	{ FLAT32, { { OFF, GUEST_GS_AR_BYTES, BIT(7) } }, GUEST_GS_AR_BYTES, "must have P set" },
	{ FLAT32, { { ON, GUEST_DS_AR_BYTES, BIT(11) } }, GUEST_DS_AR_BYTES, AR_RESERVED },
	{ FLAT32, { { OFF, GUEST_DS_LIMIT, 0x800 } }, GUEST_DS_AR_BYTES, G_CLEAR },
	{ FLAT32, { { OFF, GUEST_ES_AR_BYTES, BIT(15) } }, GUEST_ES_AR_BYTES, G_SET },
	{ FLAT32, { { ON, GUEST_DS_SELECTOR, 3 } }, GUEST_DS_AR_BYTES,
	  "must have a DPL not below the selector's RPL without \"unrestricted guest\"" },
	{ FLAT32, { { ON, GUEST_DS_SELECTOR, 3 }, { SET, GUEST_DS_AR_BYTES, 0xc09b } }, GUEST_DS_AR_BYTES,
	  "must have a DPL not below the selector's RPL without \"unrestricted guest\"" },
	{ FLAT32, { { ON, GUEST_DS_BASE, BIT_ULL(32) } }, GUEST_DS_BASE, HIGH_CLEAR },
	{ FLAT32, { { ON, GUEST_ES_BASE, BIT_ULL(32) } }, GUEST_ES_BASE, HIGH_CLEAR },
	{ PLAIN, { { SET, GUEST_FS_BASE, NON_CANONICAL } }, GUEST_FS_BASE, CANONICAL },
	{ PLAIN, { { SET, GUEST_GS_BASE, NON_CANONICAL } }, GUEST_GS_BASE, CANONICAL },

	{ PLAIN, { { ON, GUEST_TR_SELECTOR, 4 } }, GUEST_TR_SELECTOR, "must have TI clear" },
	{ PLAIN, { { SET, GUEST_TR_BASE, NON_CANONICAL } }, GUEST_TR_BASE, CANONICAL },
	{ PLAIN, { { ON, GUEST_TR_AR_BYTES, BIT(16) } }, GUEST_TR_AR_BYTES, "must not be unusable" },
	{ PLAIN, { { SET, GUEST_TR_AR_BYTES, 0x83 } }, GUEST_TR_AR_BYTES,
	  "must have type 11 with \"IA-32e mode guest\"" },
	{ REAL, { { SET, GUEST_TR_AR_BYTES, 0x81 } }, GUEST_TR_AR_BYTES, "must have type 3 or 11" },
	{ PLAIN, { { ON, GUEST_TR_AR_BYTES, BIT(4) } }, GUEST_TR_AR_BYTES, "must have S clear" },
	{ PLAIN, { { OFF, GUEST_TR_AR_BYTES, BIT(7) } }, GUEST_TR_AR_BYTES, "must have P set" },
	{ PLAIN, { { ON, GUEST_TR_AR_BYTES, BIT(31) } }, GUEST_TR_AR_BYTES, AR_RESERVED },
	{ PLAIN, { { ON, GUEST_TR_AR_BYTES, BIT(15) } }, GUEST_TR_AR_BYTES, G_CLEAR },
	{ PLAIN, { { SET, GUEST_TR_LIMIT, 0x100fff } }, GUEST_TR_AR_BYTES, G_SET },

	{ PLAIN, { { ON, GUEST_LDTR_SELECTOR, 4 } }, GUEST_LDTR_SELECTOR, "must have TI clear" },
	{ PLAIN, { { SET, GUEST_LDTR_BASE, NON_CANONICAL } }, GUEST_LDTR_BASE, CANONICAL },
	{ PLAIN, { { ON, GUEST_LDTR_AR_BYTES, 1 } }, GUEST_LDTR_AR_BYTES, "must have type 2" },
	{ PLAIN, { { ON, GUEST_LDTR_AR_BYTES, BIT(4) } }, GUEST_LDTR_AR_BYTES, "must have S clear" },
	{ PLAIN, { { OFF, GUEST_LDTR_AR_BYTES, BIT(7) } }, GUEST_LDTR_AR_BYTES, "must have P set" },
	{ PLAIN, { { ON, GUEST_LDTR_AR_BYTES, BIT(10) } }, GUEST_LDTR_AR_BYTES, AR_RESERVED },
	{ REAL, { { SET, GUEST_LDTR_LIMIT, 0 }, { ON, GUEST_LDTR_AR_BYTES, BIT(15) } },
	  GUEST_LDTR_AR_BYTES, G_CLEAR },
};

static const struct row guest_other[] = {
	{ PLAIN, { { SET, ACTIVITY, 4 } }, ACTIVITY, "must be one that this CPU supports" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_HLT } }, ACTIVITY,
	  "must be one that this CPU supports", only_active },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_SHUTDOWN } }, ACTIVITY,
	  "must be one that this CPU supports", only_active },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_WAIT_SIPI } }, ACTIVITY,
	  "must be one that this CPU supports", only_active },
	{ COMPAT, { { SET, ACTIVITY, GUEST_ACTIVITY_HLT } }, ACTIVITY,
	  "must not be HLT unless SS.DPL is 0" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_HLT }, { SET, BLOCK, GUEST_INTR_STATE_STI } },
	  ACTIVITY, "must be active under blocking by STI or by MOV SS" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_HLT }, { SET, INFO, EXCEPTION | 6 } }, ACTIVITY,
	  "must not be one that blocks the injected event" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_HLT }, { SET, INFO, EXCEPTION | 0 } }, ACTIVITY,
	  "must not be one that blocks the injected event" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_SHUTDOWN }, { SET, INFO, EXTERNAL } }, ACTIVITY,
	  "must not be one that blocks the injected event" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_SHUTDOWN }, { SET, INFO, VALID | 18 } }, ACTIVITY,
	  "must not be one that blocks the injected event" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_WAIT_SIPI }, { SET, INFO, NMI } }, ACTIVITY,
	  "must not be one that blocks the injected event" },

	{ PLAIN, { { SET, BLOCK, BIT(5) } }, BLOCK, "must have bits 31:5 clear" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS } }, BLOCK,
	  "must not have blocking by both STI and MOV SS" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_STI }, { OFF, GUEST_RFLAGS, X86_EFLAGS_IF } }, BLOCK,
	  "must not have blocking by STI with RFLAGS.IF clear" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_STI }, { SET, INFO, EXTERNAL } }, BLOCK,
	  "must not have blocking by STI or MOV SS when an external interrupt is injected" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_MOV_SS }, { SET, INFO, EXTERNAL } }, BLOCK,
	  "must not have blocking by STI or MOV SS when an external interrupt is injected" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_MOV_SS }, { SET, INFO, NMI } }, BLOCK,
	  "must not have blocking by MOV SS when an NMI is injected" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_NMI }, { SET, INFO, NMI } }, BLOCK,
	  "must not have blocking by NMI when an NMI is injected with \"virtual NMIs\"" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_STI }, { SET, INFO, NMI } }, BLOCK,
	  "must not have blocking by STI when an NMI is injected, on some CPUs" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_SMI } }, BLOCK,
	  "must not have blocking by SMI outside SMM" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_ENCLAVE_INTR } }, BLOCK,
	  "must not have enclave interruption on a CPU without SGX", no_features },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_ENCLAVE_INTR | GUEST_INTR_STATE_MOV_SS } }, BLOCK,
	  "must not have both enclave interruption and blocking by MOV SS" },

	{ PLAIN, { { SET, PENDING, BIT(4) } }, PENDING, RESERVED },
	{ PLAIN, { { SET, PENDING, BIT(11) } }, PENDING, RESERVED },
	{ PLAIN, { { SET, PENDING, BIT_ULL(17) } }, PENDING, RESERVED },
	{ PLAIN, { { SET, PENDING, BIT(16) | BIT(12) } }, PENDING,
	  "must not set RTM (bit 16) on a CPU without RTM", no_features },
	{ PLAIN, { { SET, PENDING, BIT(16) | BIT(12) | BIT(14) } }, PENDING,
	  "with RTM (bit 16) must have all others but bit 12 clear" },
	{ PLAIN, { { SET, PENDING, BIT(16) } }, PENDING, "with RTM (bit 16) must set bit 12" },
	{ PLAIN, { { SET, PENDING, BIT(16) | BIT(12) }, { SET, BLOCK, GUEST_INTR_STATE_MOV_SS } },
	  BLOCK, "must not have blocking by MOV SS with RTM (bit 16) in pending debug exceptions" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_MOV_SS }, { ON, GUEST_RFLAGS, X86_EFLAGS_TF } },
	  PENDING, "must set BS (bit 14) when the guest single-steps under blocking or in HLT" },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_HLT }, { SET, PENDING, BIT(14) } }, PENDING,
	  "must not set BS (bit 14) under blocking or in HLT unless the guest single-steps" },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_STI }, { ON, GUEST_RFLAGS, X86_EFLAGS_TF },
		   { SET, PENDING, BIT(14) }, { SET, GUEST_IA32_DEBUGCTL, DEBUGCTLMSR_BTF } }, PENDING,
	  "must not set BS (bit 14) under blocking or in HLT unless the guest single-steps" },

	{ FULL, { { ON, VMCS_LINK_POINTER, 0x80 } }, VMCS_LINK_POINTER, "must be aligned to 4 KBytes" },
	{ FULL, { { ON, VMCS_LINK_POINTER, BEYOND } }, VMCS_LINK_POINTER, WIDTH },
	{ FULL, { { SET, VMCS_LINK_POINTER, VMCS_PA } }, VMCS_LINK_POINTER,
	  "must not name the current VMCS" },
	{ FULL, {}, VMCS_LINK_POINTER,
	  "must name a VMCS with this CPU's revision identifier", other_revision },
	{ PLAIN, { { SET, VMCS_LINK_POINTER, 0x21000 }, { ON, PROC2, SECONDARY_EXEC_SHADOW_VMCS } },
	  VMCS_LINK_POINTER,
	  "must name a shadow VMCS if, and only if, \"VMCS shadowing\" is 1" },
	{ FULL, { { OFF, PROC2, SECONDARY_EXEC_SHADOW_VMCS } }, VMCS_LINK_POINTER,
	  "must name a shadow VMCS if, and only if, \"VMCS shadowing\" is 1" },
};

static void apply(const struct row *row)
{
	const struct change *c;

	machine_init(&m, row->state);
	if (row->cpu)
		row->cpu(&m.cpu);
	for (c = row->change; c->op != END; c++) {
		switch (c->op) {
		case SET:
			m.vmcs[c->field] = c->val;
			break;
		case ON:
			m.vmcs[c->field] |= c->val;
			break;
		default:
			m.vmcs[c->field] &= ~c->val;
			break;
		}
	}
}

static void break_one(const struct row *row, int n, enum ost_vmx_stage stage)
{
	struct ost_broken_rule broken = {}, staged = {};
	enum ost_vmx_stage other;
	char text[OST_BROKEN_RULE_LEN];
	int len;

	apply(row);
	CHECK_MSG(ost_vmx_check(&m.check, &broken), "row %d: nothing found where \"%s %s\" is broken", n,
		  ost_vmx_field_name(row->field), row->rule);
	CHECK_MSG(broken.field == row->field && !strcmp(broken.rule, row->rule),
		  "row %d: found \"%s %s\" where \"%s %s\" is broken", n, broken.name, broken.rule,
		  ost_vmx_field_name(row->field), row->rule);
	CHECK_EQ(broken.value, m.vmcs[row->field]);
	CHECK_EQ(broken.bits & ~broken.value & -(u64)!strcmp(row->rule, UNSUPPORTED), 0);
	CHECK(strcmp(broken.name, "VMCS field"));
	CHECK(strstr(broken.section, "SDM vol. 3C"));
	CHECK_MSG(!m.missing, "row %d: reads a field that the CPU does not have", n);
	len = ost_broken_rule_format(text, sizeof(text), &broken);
	CHECK(len > 0 && len < sizeof(text));
	/* It is found in its own stage, and where that is not the first, none before it is broken. */
	CHECK(ost_vmx_check_stage(&m.check, stage, &staged));
	CHECK(staged.rule == broken.rule && staged.field == broken.field);
	for (other = 0; other < stage; other++)
		CHECK_MSG(!ost_vmx_check_stage(&m.check, other, &staged), "row %d: earlier, %s %s", n,
			  staged.name, staged.rule);
}

static void break_all(const struct row *rows, int count, enum ost_vmx_stage stage)
{
	int i;

	for (i = 0; i < count; i++)
		break_one(&rows[i], i, stage);
}

static void broken_controls(void)
{
	break_all(controls, ARRAY_SIZE(controls), OST_VMX_STAGE_CONTROLS);
}

static void broken_injection(void)
{
	break_all(injection, ARRAY_SIZE(injection), OST_VMX_STAGE_CONTROLS);
}

static void broken_host(void)
{
	break_all(host, ARRAY_SIZE(host), OST_VMX_STAGE_HOST);
}

static void broken_guest_regs(void)
{
	break_all(guest_regs, ARRAY_SIZE(guest_regs), OST_VMX_STAGE_GUEST);
}

static void broken_guest_segments(void)
{
	break_all(guest_segments, ARRAY_SIZE(guest_segments), OST_VMX_STAGE_GUEST);
}

static void broken_guest_other(void)
{
	break_all(guest_other, ARRAY_SIZE(guest_other), OST_VMX_STAGE_GUEST);
}

/* --- what looks broken and is not --- */

static const struct row allowed[] = {
	/* Never looked at. */
	{ PLAIN, { { ON, GUEST_CR0, X86_CR0_CD | X86_CR0_NW }, { ON, HOST_CR0, X86_CR0_CD | X86_CR0_NW } } },
	{ PLAIN, { { SET, GUEST_IA32_PAT, 2 }, { SET, HOST_IA32_PAT, 2 }, { SET, GUEST_DR7, ~0ull } } },
	{ PLAIN, { { SET, PROC3, ~0ull }, { SET, PML_ADDRESS, 1 }, { SET, POSTED_INTR_NV, 0xffff } } },
	{ PLAIN, { { SET, VM_EXIT_MSR_STORE_COUNT, 0 }, { SET, VM_EXIT_MSR_STORE_ADDR, 1 } } },
	{ PLAIN, { { SET, GUEST_DS_BASE, ~0ull }, { SET, GUEST_DS_LIMIT, 1 }, { ON, GUEST_DS_AR_BYTES, 0xf00 } } },
	{ FLAT32, { { SET, GUEST_LDTR_BASE, NON_CANONICAL }, { SET, GUEST_LDTR_SELECTOR, 7 } } },
	{ PLAIN, { { SET, INFO, 0x7ffff7ff }, { SET, VM_ENTRY_EXCEPTION_ERROR_CODE, ~0u } } },
	{ PLAIN, { { SET, GUEST_PDPTR0, ~0ull } } },
	{ PLAIN, { { SET, VMCS_LINK_POINTER, 0x21000 } } },
	{ REAL, { { SET, GUEST_PDPTR0, ~0ull } } },
	{ PAE, { { SET, GUEST_PDPTR0, ~0ull }, { OFF, GUEST_CR4, X86_CR4_PAE } } },
	{ PLAIN, { { OFF, PROC, CPU_BASED_TPR_SHADOW }, { SET, VIRTUAL_APIC_PAGE_ADDR, 1 },
		   { SET, TPR_THRESHOLD, ~0u } } },
	/* Only so with the feature. */
	{ PLAIN, { { OFF, EPT_POINTER, 7 } }, .cpu = other_ept },
	{ PLAIN, { { OFF, EPT_POINTER, 0x38 }, { ON, EPT_POINTER, 0x20 } }, .cpu = other_ept },
	{ PLAIN, { { SET, INFO, EXCEPTION | 13 } }, .cpu = any_error_code },
	{ PLAIN, { { SET, INFO, EXCEPTION | 21 } }, .cpu = no_cet },
	{ PLAIN, { { SET, INFO, EXCEPTION | ERROR_CODE | 21 } } },
	{ REAL, { { SET, INFO, EXCEPTION | 13 } } },
	{ PLAIN, { { SET, INFO, EXCEPTION | ERROR_CODE | 14 }, { SET, VM_ENTRY_EXCEPTION_ERROR_CODE, 0x8003 } } },
	{ PLAIN, { { SET, INFO, SOFT }, { SET, VM_ENTRY_INSTRUCTION_LEN, 15 } } },
	/* The edges of what is allowed. */
	{ PLAIN, { { SET, GUEST_RIP, NON_CANONICAL } } },
	{ PLAIN, { { SET, TPR_THRESHOLD, 15 } } },
	{ PLAIN, { { SET, CR3_TARGET_COUNT, 4 } } },
	{ PLAIN, { { SET, VM_ENTRY_MSR_LOAD_ADDR, BIT_ULL(46) - 32 } } },
	{ PLAIN, { { SET, INFO, EXCEPTION | 31 } } },
	{ PLAIN, { { SET, INFO, EXCEPTION | 18 }, { SET, ACTIVITY, GUEST_ACTIVITY_SHUTDOWN } } },
	{ PLAIN, { { SET, INFO, EXTERNAL } } },
	{ PLAIN, { { SET, INFO, NMI }, { SET, ACTIVITY, GUEST_ACTIVITY_SHUTDOWN } } },
	{ PLAIN, { { SET, INFO, EXTERNAL }, { SET, ACTIVITY, GUEST_ACTIVITY_HLT } } },
	{ PLAIN, { { SET, INFO, EXCEPTION | 1 }, { SET, ACTIVITY, GUEST_ACTIVITY_HLT } } },
	{ PLAIN, { { SET, INFO, MTF }, { SET, ACTIVITY, GUEST_ACTIVITY_HLT } } },
	{ PLAIN, { { SET, ACTIVITY, GUEST_ACTIVITY_WAIT_SIPI } } },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_NMI }, { SET, INFO, EXTERNAL } } },
	{ PLAIN, { { SET, PENDING, BIT(16) | BIT(12) } } },
	{ PLAIN, { { SET, PENDING, BIT(14) | BIT(12) | 15 } } },
	{ PLAIN, { { SET, BLOCK, GUEST_INTR_STATE_STI }, { ON, GUEST_RFLAGS, X86_EFLAGS_TF },
		   { SET, PENDING, BIT(14) } } },
	{ REAL, { { SET, GUEST_CS_AR_BYTES, 0x93 } } },
	{ PLAIN, { { SET, GUEST_CS_AR_BYTES, 0xa09f } } },
	{ COMPAT, { { SET, GUEST_CS_AR_BYTES, 0xc09f } } },
	{ FLAT32, { { SET, GUEST_DS_AR_BYTES, 0xc09f }, { ON, GUEST_DS_SELECTOR, 3 } } },
	{ PLAIN, { { ON, GUEST_DS_SELECTOR, 3 } } },
};

static void allowed_states(void)
{
	struct ost_broken_rule broken;
	int i;

	for (i = 0; i < ARRAY_SIZE(allowed); i++) {
		apply(&allowed[i]);
		CHECK_MSG(!ost_vmx_check(&m.check, &broken), "row %d: %s %s", i, broken.name, broken.rule);
		CHECK(!m.missing);
	}
}

/* What is not known of memory is not held against the VMCS. */
static void unknown_memory(void)
{
	struct ost_broken_rule broken;

	machine_init(&m, FULL);
	m.link_id = 0;
	CHECK(ost_vmx_check(&m.check, &broken));
	CHECK_EQ(broken.field, VMCS_LINK_POINTER);
	m.check.link_id = NULL;
	CHECK(!ost_vmx_check(&m.check, &broken));

	machine_init(&m, PLAIN);
	m.vmcs[PROC2] &= ~SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	m.vmcs[TPR_THRESHOLD] = 5;
	m.vtpr = 0x4f;
	CHECK(ost_vmx_check(&m.check, &broken));
	m.vtpr = 0x50;
	CHECK(!ost_vmx_check(&m.check, &broken));
	m.vtpr = 0;
	m.check.vtpr = NULL;
	CHECK(!ost_vmx_check(&m.check, &broken));
}

static void words(void)
{
	struct vmx_msr_entry entry = { .index = MSR_FS_BASE };
	u32 i;

	CHECK(!strcmp(ost_vmx_instruction_error(7), "VM entry with invalid control fields"));
	CHECK(!strcmp(ost_vmx_instruction_error(8), "VM entry with invalid host-state fields"));
	for (i = 0; i < 64; i++)
		CHECK(ost_vmx_instruction_error(i));
	CHECK(ost_vmx_instruction_error(14) == ost_vmx_instruction_error(~0u));
	CHECK(strstr(ost_vmx_entry_failure(BIT(31) | 33, 0), "invalid guest state"));
	CHECK(strstr(ost_vmx_entry_failure(BIT(31) | 33, 2), "PDPTEs"));
	CHECK(strstr(ost_vmx_entry_failure(BIT(31) | 33, 4), "link pointer"));
	CHECK(strstr(ost_vmx_entry_failure(BIT(31) | 34, 1), "MSR"));
	CHECK(strstr(ost_vmx_entry_failure(BIT(31) | 41, 0), "machine check"));
	CHECK(strstr(ost_vmx_entry_failure(48, 0), "unknown"));

	CHECK(strstr(ost_vmx_check_msr(&entry), "FS.base"));
	entry.index = 0x8ff;
	CHECK(strstr(ost_vmx_check_msr(&entry), "x2APIC"));
	entry.index = MSR_IA32_SMM_MONITOR_CTL;
	CHECK(strstr(ost_vmx_check_msr(&entry), "SMM"));
	entry.index = MSR_EFER;
	CHECK(strstr(ost_vmx_check_msr(&entry), "WRMSR"));
	entry.reserved = 1;
	CHECK(strstr(ost_vmx_check_msr(&entry), "63:32"));
}

/* --- fuzz --- */

static u64 seed;

/* xorshift64*, so that a failure repeats. */
static u64 rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dull;
}

static bool in_rows(const struct row *rows, int count, const struct ost_broken_rule *broken)
{
	int i;

	for (i = 0; i < count; i++) {
		if (!strcmp(rows[i].rule, broken->rule))
			return true;
	}
	return false;
}

static bool has_test(const struct ost_broken_rule *broken)
{
	return in_rows(controls, ARRAY_SIZE(controls), broken) ||
	       in_rows(injection, ARRAY_SIZE(injection), broken) ||
	       in_rows(host, ARRAY_SIZE(host), broken) ||
	       in_rows(guest_regs, ARRAY_SIZE(guest_regs), broken) ||
	       in_rows(guest_segments, ARRAY_SIZE(guest_segments), broken) ||
	       in_rows(guest_other, ARRAY_SIZE(guest_other), broken);
}

/* The fields that a state uses, which are those that it does not leave 0, and a few more. */
static u32 random_field(void)
{
	static const u32 more[] = { INFO, BLOCK, ACTIVITY, PENDING, PROC3, VM_ENTRY_INSTRUCTION_LEN,
				    VM_ENTRY_EXCEPTION_ERROR_CODE, TPR_THRESHOLD };
	u32 field;

	if (rnd() % 8 == 0)
		return more[rnd() % ARRAY_SIZE(more)];
	do
		field = rnd() % NR_FIELDS;
	while (!m.vmcs[field]);
	return field;
}

static void flip(void)
{
	u32 field = random_field();
	/* Widths are in bits 14:13 of the encoding; a VMREAD never shows more than the field has. */
	static const int width[] = { 16, 64, 32, 64 };

	m.vmcs[field] ^= 1ull << rnd() % width[field >> 13 & 3];
}

static void fuzz_round(void)
{
	struct ost_broken_rule first = {}, again = {};
	char text[OST_BROKEN_RULE_LEN];
	int flips = rnd() % 4 + 1;
	bool broken;

	machine_init(&m, rnd() % NR_STATES);
	if (rnd() % 4 == 0)
		m.cpu.features = rnd();
	while (flips--)
		flip();
	broken = ost_vmx_check(&m.check, &first);
	CHECK(broken == ost_vmx_check(&m.check, &again));
	CHECK(first.rule == again.rule && first.field == again.field && first.bits == again.bits);
	CHECK(!m.missing);
	if (!broken)
		return;
	CHECK_EQ(first.value, m.vmcs[first.field]);
	CHECK_MSG(has_test(&first), "no test breaks \"%s %s\"", first.name, first.rule);
	CHECK(strcmp(first.name, "VMCS field"));
	ost_broken_rule_format(text, sizeof(text), &first);
}

static void fuzz(void)
{
	int i;

	for (i = 0; i < 50000 && !tap_failed(); i++) {
		seed = 0x9e3779b97f4a7c15ull * (i + 1);
		fuzz_round();
		if (tap_failed())
			printf("# in round %d\n", i);
	}
}

/* Wholly random VMCSes on wholly random CPUs. */
static void fuzz_wild(void)
{
	struct ost_broken_rule first = {}, again = {};
	int i, j;

	for (i = 0; i < 300; i++) {
		seed = 0xda942042e4dd58b5ull * (i + 1);
		machine_init(&m, rnd() % NR_STATES);
		for (j = 0; j < sizeof(m.cpu); j++)
			((u8 *)&m.cpu)[j] = rnd();
		m.cpu.tracing = rnd() & 1;
		m.cpu.phys_bits = 32 + rnd() % 21;
		m.cpu.linear_bits = rnd() & 1 ? 48 : 57;
		for (j = 0; j < NR_FIELDS; j++)
			m.vmcs[j] = rnd();
		CHECK(ost_vmx_check(&m.check, &first));
		CHECK(ost_vmx_check(&m.check, &again));
		CHECK(first.rule == again.rule && first.field == again.field);
		CHECK(!m.missing);
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("valid_states", valid_states);
	tap_run("allowed_states", allowed_states);
	tap_run("broken_controls", broken_controls);
	tap_run("broken_injection", broken_injection);
	tap_run("broken_host", broken_host);
	tap_run("broken_guest_regs", broken_guest_regs);
	tap_run("broken_guest_segments", broken_guest_segments);
	tap_run("broken_guest_other", broken_guest_other);
	tap_run("unknown_memory", unknown_memory);
	tap_run("words", words);
	tap_run("fuzz", fuzz);
	tap_run("fuzz_wild", fuzz_wild);
	return tap_done();
}
