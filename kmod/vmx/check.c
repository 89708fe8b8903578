// SPDX-License-Identifier: GPL-2.0-only
/* The walk over VM entry's rules, and those for controls and host state. */
#include "check_walk.h"

#define BASIC_32BIT_ADDRESSES BIT_ULL(48)
#define BASIC_ANY_ERROR_CODE BIT_ULL(56)
#define MISC_ZERO_LENGTH BIT_ULL(30)

/* IA32_VMX_EPT_VPID_CAP (SDM vol. 3D, "VPID and EPT Capabilities") */
#define EPT_CAP_SUPERVISOR_SHADOW_STACK BIT_ULL(23)

void ost_vmx_broken(struct ost_vmx_walk *w, u32 field, u64 bits, const char *rule)
{
	if (w->broken)
		return;
	*w->out = (struct ost_broken_rule) {
		.name = ost_vmx_field_name(field),
		.rule = rule,
		.section = w->section,
		.field = field,
		.value = ost_vmx_get(w, field),
		.bits = bits,
	};
	w->broken = true;
}

void ost_vmx_is_canonical(struct ost_vmx_walk *w, u32 field)
{
	ost_vmx_rule(w, ost_vmx_canonical(w, ost_vmx_get(w, field)), field,
		     "must be a canonical address");
}

void ost_vmx_pat(struct ost_vmx_walk *w, u32 field)
{
	u64 pat = ost_vmx_get(w, field);
	u64 bad = 0;
	int i;

	for (i = 0; i < 64; i += 8) {
		u8 type = pat >> i;

		if (type > 7 || type == 2 || type == 3)
			bad |= 0xffULL << i;
	}
	if (bad)
		ost_vmx_broken(w, field, pat & bad, "must hold types 0, 1, 4, 5, 6 or 7 only");
}

void ost_vmx_fixed_bits(struct ost_vmx_walk *w, u32 field, u64 fixed0, u64 fixed1, u64 free)
{
	u64 val = ost_vmx_get(w, field);
	u64 missing = fixed0 & ~val & ~free;

	ost_vmx_zero(w, field, ~fixed1 & ~free,
		     "must not set bits that VMX operation forbids (IA32_VMX_CRn_FIXED1)");
	if (missing)
		ost_vmx_broken(w, field, missing,
			       "must set the bits that VMX operation demands (IA32_VMX_CRn_FIXED0)");
}

void ost_vmx_cr3(struct ost_vmx_walk *w, u32 field)
{
	/* CR3.LAM_U57 and LAM_U48 */
	u64 lam = w->cpu->features & OST_VMX_CPU_LAM ? GENMASK_ULL(62, 61) : 0;

	ost_vmx_zero(w, field, (w->beyond | GENMASK_ULL(63, 52)) & ~lam,
		     "must not set bits 63:52, nor bits beyond the physical-address width");
}

void ost_vmx_s_cet(struct ost_vmx_walk *w, u32 field)
{
	u64 val = ost_vmx_get(w, field);

	ost_vmx_zero(w, field, GENMASK_ULL(9, 6), "must have its reserved bits 9:6 clear");
	ost_vmx_rule(w, (val & GENMASK_ULL(11, 10)) != GENMASK_ULL(11, 10), field,
		     "must not set both SUPPRESS (bit 10) and TRACKER (bit 11)");
	ost_vmx_is_canonical(w, field);
}

/* --- controls --- */

static void allowed(struct ost_vmx_walk *w, u32 field, u64 cap)
{
	u32 missing = (u32)cap & ~(u32)ost_vmx_get(w, field);

	ost_vmx_zero(w, field, (u32)~(cap >> 32),
		     "must not set bits that this CPU does not support");
	if (missing)
		ost_vmx_broken(w, field, missing, "must set the bits that this CPU demands");
}

static void reserved_controls(struct ost_vmx_walk *w)
{
	const struct ost_vmx_capabilities *cpu = w->cpu;

	allowed(w, PIN_BASED_VM_EXEC_CONTROL, cpu->pin);
	allowed(w, CPU_BASED_VM_EXEC_CONTROL, cpu->proc);
	/* Its own MSR's low half is 0: nothing is demanded. */
	if (w->proc & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		allowed(w, SECONDARY_VM_EXEC_CONTROL, cpu->proc2);
	if (w->proc & CPU_BASED_ACTIVATE_TERTIARY_CONTROLS)
		ost_vmx_zero(w, TERTIARY_VM_EXEC_CONTROL, ~cpu->proc3,
			     "must not set bits that this CPU does not support");
}

static void reserved_exit_controls(struct ost_vmx_walk *w)
{
	allowed(w, VM_EXIT_CONTROLS, w->cpu->exit);
	if (w->exit & OST_VMX_EXIT_SECONDARY)
		ost_vmx_zero(w, OST_VMCS_SECONDARY_EXIT_CONTROLS, ~w->cpu->exit2,
			     "must not set bits that this CPU does not support");
}

static void reserved_entry_controls(struct ost_vmx_walk *w)
{
	allowed(w, VM_ENTRY_CONTROLS, w->cpu->entry);
}

/* The address of a structure in memory. */
static void address(struct ost_vmx_walk *w, u32 field, u64 align)
{
	ost_vmx_zero(w, field, align - 1, "must be aligned");
	ost_vmx_zero(w, field, w->beyond_data, "must be within the physical-address width");
}

static void page(struct ost_vmx_walk *w, u32 field)
{
	address(w, field, 4096);
}

/* Control `on` is 1 only if `needed` is. */
static void needs(struct ost_vmx_walk *w, bool on, bool needed, u32 field, const char *rule)
{
	ost_vmx_rule(w, !on || needed, field, rule);
}

static void basic_controls(struct ost_vmx_walk *w)
{
	ost_vmx_rule(w, ost_vmx_get(w, CR3_TARGET_COUNT) <= (w->cpu->misc >> 16 & 0x1ff),
		     CR3_TARGET_COUNT, "must not exceed the number of CR3-target values");
	if (w->proc & CPU_BASED_USE_IO_BITMAPS) {
		page(w, IO_BITMAP_A);
		page(w, IO_BITMAP_B);
	}
	if (w->proc & CPU_BASED_USE_MSR_BITMAPS)
		page(w, MSR_BITMAP);
	needs(w, w->pin & PIN_BASED_VIRTUAL_NMIS, w->pin & PIN_BASED_NMI_EXITING,
	      PIN_BASED_VM_EXEC_CONTROL, "must not set \"virtual NMIs\" without \"NMI exiting\"");
	needs(w, w->proc & CPU_BASED_NMI_WINDOW_EXITING, w->pin & PIN_BASED_VIRTUAL_NMIS,
	      CPU_BASED_VM_EXEC_CONTROL,
	      "must not set \"NMI-window exiting\" without \"virtual NMIs\"");
}

static void tpr_controls(struct ost_vmx_walk *w)
{
	u64 threshold;

	if (!(w->proc & CPU_BASED_TPR_SHADOW)) {
		ost_vmx_rule(w, !(w->proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE),
			     SECONDARY_VM_EXEC_CONTROL,
			     "must not set \"virtualize x2APIC mode\" without \"use TPR shadow\"");
		ost_vmx_rule(w, !(w->proc2 & SECONDARY_EXEC_APIC_REGISTER_VIRT),
			     SECONDARY_VM_EXEC_CONTROL,
			     "must not set \"APIC-register virtualization\" without \"use TPR shadow\"");
		ost_vmx_rule(w, !(w->proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY),
			     SECONDARY_VM_EXEC_CONTROL,
			     "must not set \"virtual-interrupt delivery\" without \"use TPR shadow\"");
		ost_vmx_rule(w, !(w->proc3 & TERTIARY_EXEC_IPI_VIRT), TERTIARY_VM_EXEC_CONTROL,
			     "must not set \"IPI virtualization\" without \"use TPR shadow\"");
		return;
	}
	page(w, VIRTUAL_APIC_PAGE_ADDR);
	if (w->proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)
		return;
	threshold = ost_vmx_get(w, TPR_THRESHOLD);
	ost_vmx_zero(w, TPR_THRESHOLD, ~0xfull,
		     "must have bits 31:4 clear without \"virtual-interrupt delivery\"");
	if (!(w->proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) && w->in->vtpr)
		ost_vmx_rule(w, (threshold & 0xf) <= *w->in->vtpr >> 4, TPR_THRESHOLD,
			     "must not be above VTPR[7:4] on the virtual-APIC page");
}

static void apic_controls(struct ost_vmx_walk *w)
{
	bool delivery = w->proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;

	if (w->proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) {
		page(w, APIC_ACCESS_ADDR);
		ost_vmx_rule(w, !(w->proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE),
			     SECONDARY_VM_EXEC_CONTROL,
			     "must not set both \"virtualize APIC accesses\" and \"virtualize x2APIC mode\"");
	}
	needs(w, delivery, w->pin & PIN_BASED_EXT_INTR_MASK, SECONDARY_VM_EXEC_CONTROL,
	      "must not set \"virtual-interrupt delivery\" without \"external-interrupt exiting\"");
	if (!(w->pin & PIN_BASED_POSTED_INTR))
		return;
	needs(w, true, delivery, PIN_BASED_VM_EXEC_CONTROL,
	      "must not set \"process posted interrupts\" without \"virtual-interrupt delivery\"");
	needs(w, true, w->exit & VM_EXIT_ACK_INTR_ON_EXIT, VM_EXIT_CONTROLS,
	      "must set \"acknowledge interrupt on exit\" with \"process posted interrupts\"");
	ost_vmx_zero(w, POSTED_INTR_NV, ~0xffull, "must be a vector: bits 15:8 clear");
	address(w, POSTED_INTR_DESC_ADDR, 64);
}

static void ipi_controls(struct ost_vmx_walk *w)
{
	u64 last;

	if (!(w->proc3 & TERTIARY_EXEC_IPI_VIRT))
		return;
	address(w, PID_POINTER_TABLE, 8);
	last = ost_vmx_get(w, PID_POINTER_TABLE) + 8 * ost_vmx_get(w, LAST_PID_POINTER_INDEX) + 7;
	ost_vmx_rule(w, !(last & w->beyond_data), LAST_PID_POINTER_INDEX,
		     "must leave the PID-pointer table within the physical-address width");
}

static void eptp(struct ost_vmx_walk *w)
{
	u64 val = ost_vmx_get(w, EPT_POINTER), cap = w->cpu->ept_vpid;
	u64 type = val & VMX_EPTP_MT_MASK, walk = val & VMX_EPTP_PWL_MASK;

	ost_vmx_rule(w, (type == 0 && (cap & VMX_EPTP_UC_BIT)) ||
		     (type == 6 && (cap & VMX_EPTP_WB_BIT)), EPT_POINTER,
		     "must have a memory type (bits 2:0) that this CPU supports");
	ost_vmx_rule(w, (walk == VMX_EPTP_PWL_4 && (cap & VMX_EPT_PAGE_WALK_4_BIT)) ||
		     (walk == VMX_EPTP_PWL_5 && (cap & VMX_EPT_PAGE_WALK_5_BIT)), EPT_POINTER,
		     "must have a page-walk length (bits 5:3) that this CPU supports");
	if (!(cap & VMX_EPT_AD_BIT))
		ost_vmx_zero(w, EPT_POINTER, VMX_EPTP_AD_ENABLE_BIT,
			     "must not enable accessed and dirty flags, which this CPU has not");
	if (!(cap & EPT_CAP_SUPERVISOR_SHADOW_STACK))
		ost_vmx_zero(w, EPT_POINTER, BIT_ULL(7),
			     "must not enable supervisor shadow-stack control, which this CPU has not");
	ost_vmx_zero(w, EPT_POINTER, GENMASK_ULL(11, 8) | w->beyond,
		     "must have its reserved bits clear");
}

/* Controls that count on EPT. */
static void ept_dependents(struct ost_vmx_walk *w)
{
	bool ept = w->proc2 & SECONDARY_EXEC_ENABLE_EPT;

	needs(w, w->proc2 & SECONDARY_EXEC_UNRESTRICTED_GUEST, ept, SECONDARY_VM_EXEC_CONTROL,
	      "must not set \"unrestricted guest\" without \"enable EPT\"");
	needs(w, w->proc2 & SECONDARY_EXEC_MODE_BASED_EPT_EXEC, ept, SECONDARY_VM_EXEC_CONTROL,
	      "must not set \"mode-based execute control for EPT\" without \"enable EPT\"");
	needs(w, w->proc2 & OST_VMX_PROC2_SUB_PAGE_WRITE, ept, SECONDARY_VM_EXEC_CONTROL,
	      "must not set \"sub-page write permissions for EPT\" without \"enable EPT\"");
	needs(w, w->proc2 & SECONDARY_EXEC_ENABLE_PML, ept, SECONDARY_VM_EXEC_CONTROL,
	      "must not set \"enable PML\" without \"enable EPT\"");
	needs(w, w->proc2 & SECONDARY_EXEC_PT_USE_GPA, ept, SECONDARY_VM_EXEC_CONTROL,
	      "must not set \"Intel PT uses guest physical addresses\" without \"enable EPT\"");
	needs(w, w->proc3 & OST_VMX_PROC3_HLAT, ept, TERTIARY_VM_EXEC_CONTROL,
	      "must not set \"enable HLAT\" without \"enable EPT\"");
	needs(w, w->proc3 & OST_VMX_PROC3_PAGING_WRITE, ept, TERTIARY_VM_EXEC_CONTROL,
	      "must not set \"EPT paging-write control\" without \"enable EPT\"");
	needs(w, w->proc3 & OST_VMX_PROC3_GUEST_PAGING_VERIFY, ept, TERTIARY_VM_EXEC_CONTROL,
	      "must not set \"guest-paging verification\" without \"enable EPT\"");
}

static void ept_controls(struct ost_vmx_walk *w)
{
	if (w->proc2 & SECONDARY_EXEC_ENABLE_VPID)
		ost_vmx_rule(w, ost_vmx_get(w, VIRTUAL_PROCESSOR_ID), VIRTUAL_PROCESSOR_ID,
			     "must not be 0 with \"enable VPID\"");
	if (w->proc2 & SECONDARY_EXEC_ENABLE_EPT)
		eptp(w);
	ept_dependents(w);
	if (w->proc2 & SECONDARY_EXEC_ENABLE_PML)
		page(w, PML_ADDRESS);
	if (w->proc2 & OST_VMX_PROC2_SUB_PAGE_WRITE)
		page(w, OST_VMCS_SPPTP);
	if (w->proc3 & OST_VMX_PROC3_HLAT)
		ost_vmx_zero(w, OST_VMCS_HLATP, GENMASK_ULL(2, 0) | GENMASK_ULL(11, 5) | w->beyond,
			     "must have its reserved bits clear");
}

static void vmfunc_controls(struct ost_vmx_walk *w)
{
	if (!(w->proc2 & SECONDARY_EXEC_ENABLE_VMFUNC))
		return;
	ost_vmx_zero(w, VM_FUNCTION_CONTROL, ~w->cpu->vmfunc,
		     "must not set bits that this CPU does not support");
	if (!(ost_vmx_get(w, VM_FUNCTION_CONTROL) & VMX_VMFUNC_EPTP_SWITCHING))
		return;
	needs(w, true, w->proc2 & SECONDARY_EXEC_ENABLE_EPT, VM_FUNCTION_CONTROL,
	      "must not set \"EPTP switching\" without \"enable EPT\"");
	page(w, EPTP_LIST_ADDRESS);
}

static void other_controls(struct ost_vmx_walk *w)
{
	if (w->proc2 & SECONDARY_EXEC_SHADOW_VMCS) {
		page(w, VMREAD_BITMAP);
		page(w, VMWRITE_BITMAP);
	}
	if (w->proc2 & OST_VMX_PROC2_EPT_VIOLATION_VE)
		page(w, OST_VMCS_VE_INFORMATION);
	if (w->proc2 & OST_VMX_PROC2_PASID_TRANSLATION) {
		page(w, OST_VMCS_LOW_PASID_DIRECTORY);
		page(w, OST_VMCS_HIGH_PASID_DIRECTORY);
	}
	if (w->proc2 & SECONDARY_EXEC_PT_USE_GPA) {
		needs(w, true, w->entry & VM_ENTRY_LOAD_IA32_RTIT_CTL, VM_ENTRY_CONTROLS,
		      "must set \"load IA32_RTIT_CTL\" with \"Intel PT uses guest physical addresses\"");
		needs(w, true, w->exit & VM_EXIT_CLEAR_IA32_RTIT_CTL, VM_EXIT_CONTROLS,
		      "must set \"clear IA32_RTIT_CTL\" with \"Intel PT uses guest physical addresses\"");
	}
	needs(w, w->cpu->tracing, !(w->entry & VM_ENTRY_LOAD_IA32_RTIT_CTL), VM_ENTRY_CONTROLS,
	      "must not set \"load IA32_RTIT_CTL\" while the host traces (IA32_RTIT_CTL.TraceEn)");
}

/* An area of MSRs: nothing is asked of the address when it is empty. */
static void msr_area(struct ost_vmx_walk *w, u32 addr_field, u32 count_field)
{
	u64 count = (u32)ost_vmx_get(w, count_field);
	u64 addr;

	if (!count)
		return;
	address(w, addr_field, 16);
	addr = ost_vmx_get(w, addr_field);
	ost_vmx_rule(w, !((addr + count * 16 - 1) & w->beyond_data), count_field,
		     "must leave the area within the physical-address width");
}

static void exit_controls(struct ost_vmx_walk *w)
{
	needs(w, w->exit & VM_EXIT_SAVE_VMX_PREEMPTION_TIMER,
	      w->pin & PIN_BASED_VMX_PREEMPTION_TIMER, VM_EXIT_CONTROLS,
	      "must not set \"save VMX-preemption timer value\" without \"activate VMX-preemption timer\"");
	msr_area(w, VM_EXIT_MSR_STORE_ADDR, VM_EXIT_MSR_STORE_COUNT);
	msr_area(w, VM_EXIT_MSR_LOAD_ADDR, VM_EXIT_MSR_LOAD_COUNT);
}

static void entry_controls(struct ost_vmx_walk *w)
{
	msr_area(w, VM_ENTRY_MSR_LOAD_ADDR, VM_ENTRY_MSR_LOAD_COUNT);
	/* We are never in SMM, where a hypervisor of SMM's own would use these. */
	ost_vmx_zero(w, VM_ENTRY_CONTROLS, VM_ENTRY_SMM | VM_ENTRY_DEACT_DUAL_MONITOR,
		     "must not set \"entry to SMM\" or \"deactivate dual-monitor treatment\" outside SMM");
}

/* Exceptions that push an error code (SDM vol. 3A, "Error Code"). */
static bool has_error_code(const struct ost_vmx_walk *w, u8 vector)
{
	switch (vector) {
	case 8:			/* #DF */
	case 10 ... 14:		/* #TS, #NP, #SS, #GP, #PF */
	case 17:		/* #AC */
		return true;
	case 21:		/* #CP */
		return w->cpu->features & OST_VMX_CPU_CET;
	default:
		return false;
	}
}

static void injected_error_code(struct ost_vmx_walk *w, u32 type, u8 vector)
{
	const u32 field = VM_ENTRY_INTR_INFO_FIELD;
	bool real_mode = (w->proc2 & SECONDARY_EXEC_UNRESTRICTED_GUEST) &&
			 !(w->cr0 & X86_CR0_PE);
	bool deliver = w->intr_info & INTR_INFO_DELIVER_CODE_MASK;

	if (real_mode || type != INTR_TYPE_HARD_EXCEPTION)
		ost_vmx_rule(w, !deliver, field,
			     "must not deliver an error code but for hardware exceptions in protected mode");
	else if (!(w->cpu->basic & BASIC_ANY_ERROR_CODE))
		ost_vmx_rule(w, deliver == has_error_code(w, vector), field,
			     "must deliver an error code if, and only if, the exception has one");
	if (deliver)
		ost_vmx_zero(w, VM_ENTRY_EXCEPTION_ERROR_CODE, GENMASK_ULL(63, 16),
			     "must have bits 31:16 clear");
}

static void injection(struct ost_vmx_walk *w)
{
	const u32 field = VM_ENTRY_INTR_INFO_FIELD;
	u32 info = w->intr_info, type = info & INTR_INFO_INTR_TYPE_MASK;
	u8 vector = info & INTR_INFO_VECTOR_MASK;
	u64 len;

	if (!(info & INTR_INFO_VALID_MASK))
		return;
	ost_vmx_rule(w, type != INTR_TYPE_RESERVED, field, "must not have the reserved type 1");
	if (type == INTR_TYPE_OTHER_EVENT) {
		ost_vmx_rule(w, w->cpu->proc >> 32 & CPU_BASED_MONITOR_TRAP_FLAG, field,
			     "must not have type 7 where the CPU has no \"monitor trap flag\"");
		ost_vmx_rule(w, vector == 0, field, "of type 7 must have vector 0");
	}
	if (type == INTR_TYPE_NMI_INTR)
		ost_vmx_rule(w, vector == 2, field, "of type NMI must have vector 2");
	if (type == INTR_TYPE_HARD_EXCEPTION)
		ost_vmx_rule(w, vector <= 31, field,
			     "of type hardware exception must have a vector up to 31");
	injected_error_code(w, type, vector);
	ost_vmx_zero(w, field, INTR_INFO_RESVD_BITS_MASK, "must have bits 30:12 clear");

	if (type != INTR_TYPE_SOFT_INTR && type != INTR_TYPE_SOFT_EXCEPTION &&
	    type != INTR_TYPE_PRIV_SW_EXCEPTION)
		return;
	len = ost_vmx_get(w, VM_ENTRY_INSTRUCTION_LEN);
	ost_vmx_rule(w, len <= 15, VM_ENTRY_INSTRUCTION_LEN,
		     "must not be above 15 for a software event");
	ost_vmx_rule(w, len || (w->cpu->misc & MISC_ZERO_LENGTH), VM_ENTRY_INSTRUCTION_LEN,
		     "must not be 0 for a software event on this CPU");
}

/* --- the host-state area --- */

static void host_control_regs(struct ost_vmx_walk *w)
{
	const struct ost_vmx_capabilities *cpu = w->cpu;

	/* VM exits leave CD and NW as they are, so they are not checked. */
	ost_vmx_fixed_bits(w, HOST_CR0, cpu->cr0_fixed0, cpu->cr0_fixed1, X86_CR0_CD | X86_CR0_NW);
	ost_vmx_fixed_bits(w, HOST_CR4, cpu->cr4_fixed0, cpu->cr4_fixed1, 0);
	needs(w, ost_vmx_get(w, HOST_CR4) & BIT_ULL(23), ost_vmx_get(w, HOST_CR0) & X86_CR0_WP,
	      HOST_CR4, "must not set CET without CR0.WP");
	ost_vmx_cr3(w, HOST_CR3);
}

static void host_msrs(struct ost_vmx_walk *w)
{
	ost_vmx_is_canonical(w, HOST_IA32_SYSENTER_ESP);
	ost_vmx_is_canonical(w, HOST_IA32_SYSENTER_EIP);
	if (w->exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)
		ost_vmx_zero(w, HOST_IA32_PERF_GLOBAL_CTRL, w->cpu->perf_global_reserved,
			     "must have its reserved bits clear");
	if (w->exit & VM_EXIT_LOAD_IA32_PAT)
		ost_vmx_pat(w, HOST_IA32_PAT);
	if (w->exit & VM_EXIT_LOAD_IA32_EFER) {
		u64 mode = w->exit & VM_EXIT_HOST_ADDR_SPACE_SIZE ? EFER_LMA | EFER_LME : 0;

		ost_vmx_zero(w, HOST_IA32_EFER, w->cpu->efer_reserved,
			     "must have its reserved bits clear");
		ost_vmx_rule(w, (ost_vmx_get(w, HOST_IA32_EFER) & (EFER_LMA | EFER_LME)) == mode,
			     HOST_IA32_EFER,
			     "must have LMA and LME as \"host address-space size\" says");
	}
	if (w->exit & OST_VMX_EXIT_LOAD_CET) {
		ost_vmx_s_cet(w, OST_VMCS_HOST_S_CET);
		ost_vmx_zero(w, OST_VMCS_HOST_SSP, 3, "must have bits 1:0 clear");
		ost_vmx_is_canonical(w, OST_VMCS_HOST_SSP);
		ost_vmx_is_canonical(w, OST_VMCS_HOST_SSP_TABLE);
	}
	if (w->exit & OST_VMX_EXIT_LOAD_PKRS)
		ost_vmx_zero(w, OST_VMCS_HOST_PKRS, GENMASK_ULL(63, 32),
			     "must have bits 63:32 clear");
}

static void host_segments(struct ost_vmx_walk *w)
{
	static const u32 bases[] = {
		HOST_FS_BASE, HOST_GS_BASE, HOST_GDTR_BASE, HOST_IDTR_BASE, HOST_TR_BASE,
	};
	u32 field;
	int i;

	for (field = HOST_ES_SELECTOR; field <= HOST_TR_SELECTOR; field += 2)
		ost_vmx_zero(w, field, 7, "must have RPL and TI clear");
	ost_vmx_rule(w, ost_vmx_get(w, HOST_CS_SELECTOR), HOST_CS_SELECTOR, "must not be null");
	ost_vmx_rule(w, ost_vmx_get(w, HOST_TR_SELECTOR), HOST_TR_SELECTOR, "must not be null");
	for (i = 0; i < ARRAY_SIZE(bases); i++)
		ost_vmx_is_canonical(w, bases[i]);
}

/* Ours is a 64-bit host: IA32_EFER.LMA is 1 at VM entry. */
static void host_address_space(struct ost_vmx_walk *w)
{
	ost_vmx_rule(w, w->exit & VM_EXIT_HOST_ADDR_SPACE_SIZE, VM_EXIT_CONTROLS,
		     "must set \"host address-space size\" in a 64-bit host");
	ost_vmx_rule(w, ost_vmx_get(w, HOST_CR4) & X86_CR4_PAE, HOST_CR4,
		     "must set PAE with \"host address-space size\"");
	ost_vmx_is_canonical(w, HOST_RIP);
}

/* --- the walk --- */

#define SDM(title) "SDM vol. 3C, VM Entries, \"" title "\""
#define EXECUTION SDM("VM-Execution Control Fields")
#define EXIT SDM("VM-Exit Control Fields")
#define ENTRY SDM("VM-Entry Control Fields")
#define HOST_REGS SDM("Checks on Host Control Registers, MSRs, and SSP")
#define GUEST_REGS SDM("Checks on Guest Control Registers, Debug Registers, and MSRs")
#define NON_REGISTER SDM("Checks on Guest Non-Register State")

/*
 * A CPU may check in any order within a stage. Ours puts causes before what follows from them:
 * which controls are in force, then what they ask for; the guest's mode, then its segments.
 */
static const struct {
	enum ost_vmx_stage stage;
	const char *section;
	void (*check)(struct ost_vmx_walk *w);
} parts[] = {
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, reserved_controls },
	{ OST_VMX_STAGE_CONTROLS, EXIT, reserved_exit_controls },
	{ OST_VMX_STAGE_CONTROLS, ENTRY, reserved_entry_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, basic_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, tpr_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, apic_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, ipi_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, ept_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, vmfunc_controls },
	{ OST_VMX_STAGE_CONTROLS, EXECUTION, other_controls },
	{ OST_VMX_STAGE_CONTROLS, EXIT, exit_controls },
	{ OST_VMX_STAGE_CONTROLS, ENTRY, entry_controls },
	{ OST_VMX_STAGE_CONTROLS, ENTRY, injection },
	{ OST_VMX_STAGE_HOST, SDM("Checks Related to Address-Space Size"), host_address_space },
	{ OST_VMX_STAGE_HOST, HOST_REGS, host_control_regs },
	{ OST_VMX_STAGE_HOST, HOST_REGS, host_msrs },
	{ OST_VMX_STAGE_HOST, SDM("Checks on Host Segment and Descriptor-Table Registers"),
	  host_segments },
	{ OST_VMX_STAGE_GUEST, GUEST_REGS, ost_vmx_guest_control_regs },
	{ OST_VMX_STAGE_GUEST, GUEST_REGS, ost_vmx_guest_msrs },
	{ OST_VMX_STAGE_GUEST, SDM("Checks on Guest RIP, RFLAGS, and SSP"), ost_vmx_guest_rip },
	{ OST_VMX_STAGE_GUEST, SDM("Checks on Guest Segment Registers"), ost_vmx_guest_segments },
	{ OST_VMX_STAGE_GUEST, SDM("Checks on Guest Descriptor-Table Registers"),
	  ost_vmx_guest_tables },
	{ OST_VMX_STAGE_GUEST, NON_REGISTER, ost_vmx_guest_activity },
	{ OST_VMX_STAGE_GUEST, NON_REGISTER, ost_vmx_guest_interruptibility },
	{ OST_VMX_STAGE_GUEST, NON_REGISTER, ost_vmx_guest_pending_debug },
	{ OST_VMX_STAGE_GUEST, NON_REGISTER, ost_vmx_guest_link },
	{ OST_VMX_STAGE_GUEST, SDM("Checks on Guest Page-Directory-Pointer-Table Entries"),
	  ost_vmx_guest_pdptes },
};

static void start(struct ost_vmx_walk *w, const struct ost_vmx_check *in,
		  struct ost_broken_rule *out)
{
	const struct ost_vmx_capabilities *cpu = in->cpu;

	*w = (struct ost_vmx_walk) {
		.in = in,
		.cpu = cpu,
		.out = out,
		.beyond = ~GENMASK_ULL(cpu->phys_bits - 1, 0),
	};
	w->beyond_data = w->beyond;
	if (cpu->basic & BASIC_32BIT_ADDRESSES)
		w->beyond_data |= GENMASK_ULL(63, 32);
	/* What the CPU has not is a broken rule of its own, and may have no fields to read. */
	w->pin = ost_vmx_get(w, PIN_BASED_VM_EXEC_CONTROL) & cpu->pin >> 32;
	w->proc = ost_vmx_get(w, CPU_BASED_VM_EXEC_CONTROL) & cpu->proc >> 32;
	w->exit = ost_vmx_get(w, VM_EXIT_CONTROLS) & cpu->exit >> 32;
	w->entry = ost_vmx_get(w, VM_ENTRY_CONTROLS) & cpu->entry >> 32;
	if (w->proc & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		w->proc2 = ost_vmx_get(w, SECONDARY_VM_EXEC_CONTROL) & cpu->proc2 >> 32;
	if (w->proc & CPU_BASED_ACTIVATE_TERTIARY_CONTROLS)
		w->proc3 = ost_vmx_get(w, TERTIARY_VM_EXEC_CONTROL) & cpu->proc3;
	w->intr_info = ost_vmx_get(w, VM_ENTRY_INTR_INFO_FIELD);
	w->cr0 = ost_vmx_get(w, GUEST_CR0);
	w->cr4 = ost_vmx_get(w, GUEST_CR4);
	w->rflags = ost_vmx_get(w, GUEST_RFLAGS);
}

bool ost_vmx_check_stage(const struct ost_vmx_check *in, enum ost_vmx_stage stage,
			 struct ost_broken_rule *out)
{
	struct ost_vmx_walk w;
	int i;

	start(&w, in, out);
	for (i = 0; i < ARRAY_SIZE(parts) && !w.broken; i++) {
		if (parts[i].stage != stage)
			continue;
		w.section = parts[i].section;
		parts[i].check(&w);
	}
	return w.broken;
}

bool ost_vmx_check(const struct ost_vmx_check *in, struct ost_broken_rule *out)
{
	enum ost_vmx_stage stage;

	for (stage = 0; stage < OST_VMX_NR_STAGES; stage++) {
		if (ost_vmx_check_stage(in, stage, out))
			return true;
	}
	return false;
}
