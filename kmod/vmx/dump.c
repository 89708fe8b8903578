// SPDX-License-Identifier: GPL-2.0-only
/* A VMCS on the kernel log, for entries that failed and exits that made no sense. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/moduleparam.h>
#include <linux/ratelimit.h>
#include <asm/apicdef.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include "../cpuid.h"
#include "../irqchip/lapic.h"
#include "check.h"
#include "vmx.h"

bool ost_vmx_check_entries __read_mostly;
module_param_named(vmx_check_entries, ost_vmx_check_entries, bool, 0444);
MODULE_PARM_DESC(vmx_check_entries, "hold each entry against the manual's rules before the CPU does, and refuse it where one is broken: slow, for CPUs and emulators that look at less (default off)");

static bool dump_host_state;
module_param_named(vmx_dump_host, dump_host_state, bool, 0444);
MODULE_PARM_DESC(vmx_dump_host, "let dumps of a VMCS show the host's addresses in it (default off)");

static u64 read_field(void *ctx, u32 field)
{
	return ost_vmcs_read(ctx, field);
}

static bool check(struct ost_vmx_vcpu *vmx, enum ost_vmx_stage stage, struct ost_broken_rule *broken)
{
	struct ost_vmx_capabilities cpu;
	const struct ost_vmx_check check = {
		.read = read_field,
		.ctx = vmx,
		.cpu = &cpu,
		.vmcs_pa = vmx->vmcs_pa,
		.vtpr = vmx->virtual_apic ? vmx->virtual_apic + APIC_TASKPRI : NULL,
	};

	ost_vmx_read_capabilities(&cpu);
	cpu.efer_reserved = ~(ost_efer_supported | EFER_LMA);
	return stage < OST_VMX_NR_STAGES ? ost_vmx_check_stage(&check, stage, broken) :
					   ost_vmx_check(&check, broken);
}

/* The rule that the entry broke, of those that the CPU says it looked at; else what the CPU says. */
static void find_rule(struct ost_vmx_vcpu *vmx, char *text)
{
	enum ost_vmx_stage stage = OST_VMX_NR_STAGES;
	struct ost_broken_rule broken;
	const char *says;

	if (vmx->vcpu.exit_index == OST_VMX_EXIT_INDEX_REFUSED) {
		u32 error = ost_vmcs_read(vmx, VM_INSTRUCTION_ERROR);

		says = ost_vmx_instruction_error(error);
		if (error == VMXERR_ENTRY_INVALID_CONTROL_FIELD)
			stage = OST_VMX_STAGE_CONTROLS;
		else if (error == VMXERR_ENTRY_INVALID_HOST_STATE_FIELD)
			stage = OST_VMX_STAGE_HOST;
	} else {
		says = ost_vmx_entry_failure(vmx->reason, ost_vmcs_get(vmx, EXIT_QUALIFICATION));
		if ((u16)vmx->reason == EXIT_REASON_INVALID_STATE)
			stage = OST_VMX_STAGE_GUEST;
	}
	if (stage < OST_VMX_NR_STAGES && check(vmx, stage, &broken))
		ost_broken_rule_format(text, OST_BROKEN_RULE_LEN, &broken);
	else
		snprintf(text, OST_BROKEN_RULE_LEN, "%s; no rule is known to be broken", says);
}

bool ost_vmx_check_entry(struct ost_vmx_vcpu *vmx)
{
	struct ost_broken_rule broken;
	char text[OST_BROKEN_RULE_LEN];

	if (likely(!check(vmx, OST_VMX_NR_STAGES, &broken)))
		return true;
	ost_broken_rule_format(text, OST_BROKEN_RULE_LEN, &broken);
	pr_err_ratelimited("vcpu %u: entry would be refused: %s\n", vmx->vcpu.id, text);
	return false;
}

/* One line, for which there is room where there is none for more dumps. */
static void explain(struct ost_vmx_vcpu *vmx)
{
	static DEFINE_RATELIMIT_STATE(limit, 60 * HZ, 60);
	char text[OST_BROKEN_RULE_LEN];

	if (!__ratelimit(&limit))
		return;
	find_rule(vmx, text);
	pr_err("vcpu %u: entry refused: %s\n", vmx->vcpu.id, text);
}

static void dump_control(struct ost_vmx_vcpu *vmx)
{
	pr_err("reason %x qualification %llx info %llx:%llx vectoring %llx:%llx len %llu gpa %llx error %llu\n",
	       vmx->reason, ost_vmcs_get(vmx, EXIT_QUALIFICATION),
	       ost_vmcs_get(vmx, VM_EXIT_INTR_INFO), ost_vmcs_get(vmx, VM_EXIT_INTR_ERROR_CODE),
	       ost_vmcs_get(vmx, IDT_VECTORING_INFO_FIELD),
	       ost_vmcs_get(vmx, IDT_VECTORING_ERROR_CODE),
	       ost_vmcs_get(vmx, VM_EXIT_INSTRUCTION_LEN),
	       ost_vmcs_get(vmx, GUEST_PHYSICAL_ADDRESS),
	       ost_vmcs_read(vmx, VM_INSTRUCTION_ERROR));
	pr_err("pin %08llx cpu %08llx secondary %08llx exit %08llx entry %08llx exceptions %08llx\n",
	       ost_vmcs_get(vmx, PIN_BASED_VM_EXEC_CONTROL),
	       ost_vmcs_get(vmx, CPU_BASED_VM_EXEC_CONTROL),
	       ost_vmcs_get(vmx, SECONDARY_VM_EXEC_CONTROL), ost_vmcs_get(vmx, VM_EXIT_CONTROLS),
	       ost_vmcs_get(vmx, VM_ENTRY_CONTROLS), ost_vmcs_get(vmx, EXCEPTION_BITMAP));
	pr_err("inject %llx:%llx len %llu interruptibility %llx pending debug %llx tpr threshold %llu\n",
	       /* As the entry had it: by now it has been taken back. */
	       ost_vmcs_read(vmx, VM_ENTRY_INTR_INFO_FIELD),
	       ost_vmcs_get(vmx, VM_ENTRY_EXCEPTION_ERROR_CODE),
	       ost_vmcs_get(vmx, VM_ENTRY_INSTRUCTION_LEN),
	       ost_vmcs_get(vmx, GUEST_INTERRUPTIBILITY_INFO),
	       ost_vmcs_get(vmx, GUEST_PENDING_DBG_EXCEPTIONS), ost_vmcs_get(vmx, TPR_THRESHOLD));
	if (ost_vmx_delivers(vmx))
		pr_err("interrupt status %04llx eoi exits %016llx %016llx %016llx %016llx\n",
		       ost_vmcs_read(vmx, GUEST_INTR_STATUS), ost_vmcs_read(vmx, EOI_EXIT_BITMAP0),
		       ost_vmcs_read(vmx, EOI_EXIT_BITMAP1), ost_vmcs_read(vmx, EOI_EXIT_BITMAP2),
		       ost_vmcs_read(vmx, EOI_EXIT_BITMAP3));
	if (ost_vmx_config.posted && vmx->vcpu.apic)
		pr_err("posted interrupts at %llx outstanding %lu vector %02llx\n",
		       ost_vmcs_read(vmx, POSTED_INTR_DESC_ADDR),
		       READ_ONCE(vmx->vcpu.apic->posted.outstanding),
		       ost_vmcs_read(vmx, POSTED_INTR_NV));
	if (vmx->pml.log)
		pr_err("pml at %llx index %llu, handed over from %u\n",
		       ost_vmcs_read(vmx, PML_ADDRESS), ost_vmcs_read(vmx, GUEST_PML_INDEX),
		       vmx->pml.end);
	pr_err("vpid %u eptp %llx tsc offset %llx cr0 mask %llx shadow %llx cr4 mask %llx shadow %llx\n",
	       vmx->vpid, vmx->eptp, vmx->tsc_offset, ost_vmcs_get(vmx, CR0_GUEST_HOST_MASK),
	       ost_vmcs_get(vmx, CR0_READ_SHADOW), ost_vmcs_get(vmx, CR4_GUEST_HOST_MASK),
	       ost_vmcs_get(vmx, CR4_READ_SHADOW));
}

#define dump_seg(vmx, seg)                                                                         \
	pr_err("%-4s %04llx ar %05llx limit %08llx base %016llx\n", #seg,                          \
	       ost_vmcs_get(vmx, GUEST_##seg##_SELECTOR),                                          \
	       ost_vmcs_get(vmx, GUEST_##seg##_AR_BYTES), ost_vmcs_get(vmx, GUEST_##seg##_LIMIT),  \
	       ost_vmcs_get(vmx, GUEST_##seg##_BASE))

static void dump_guest(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;

	pr_err("rip %016llx rsp %016llx rflags %08llx\n", ost_rip(vcpu), ost_reg(vcpu, OST_REG_RSP),
	       ost_rflags(vcpu));
	pr_err("cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx dr7 %llx pat %llx\n",
	       ost_vmcs_get(vmx, GUEST_CR0), vcpu->cr2, ost_vmcs_get(vmx, GUEST_CR3),
	       ost_vmcs_get(vmx, GUEST_CR4), ost_vmcs_get(vmx, GUEST_IA32_EFER),
	       ost_vmcs_get(vmx, GUEST_DR7), ost_vmcs_get(vmx, GUEST_IA32_PAT));
	pr_err("pdptes %llx %llx %llx %llx sysenter %llx %llx %llx\n",
	       ost_vmcs_get(vmx, GUEST_PDPTR0), ost_vmcs_get(vmx, GUEST_PDPTR1),
	       ost_vmcs_get(vmx, GUEST_PDPTR2), ost_vmcs_get(vmx, GUEST_PDPTR3),
	       ost_vmcs_get(vmx, GUEST_SYSENTER_CS), ost_vmcs_get(vmx, GUEST_SYSENTER_ESP),
	       ost_vmcs_get(vmx, GUEST_SYSENTER_EIP));
	dump_seg(vmx, ES);
	dump_seg(vmx, CS);
	dump_seg(vmx, SS);
	dump_seg(vmx, DS);
	dump_seg(vmx, FS);
	dump_seg(vmx, GS);
	dump_seg(vmx, LDTR);
	dump_seg(vmx, TR);
	pr_err("gdtr limit %04llx base %016llx, idtr limit %04llx base %016llx\n",
	       ost_vmcs_get(vmx, GUEST_GDTR_LIMIT), ost_vmcs_get(vmx, GUEST_GDTR_BASE),
	       ost_vmcs_get(vmx, GUEST_IDTR_LIMIT), ost_vmcs_get(vmx, GUEST_IDTR_BASE));
}

static void dump_host(struct ost_vmx_vcpu *vmx)
{
	pr_err("host cr0 %llx cr3 %llx cr4 %llx fs %llx gs %llx tr %llx gdt %llx idt %llx rsp %llx rip %llx\n",
	       ost_vmcs_read(vmx, HOST_CR0), ost_vmcs_read(vmx, HOST_CR3),
	       ost_vmcs_read(vmx, HOST_CR4), ost_vmcs_read(vmx, HOST_FS_BASE),
	       ost_vmcs_read(vmx, HOST_GS_BASE), ost_vmcs_read(vmx, HOST_TR_BASE),
	       ost_vmcs_read(vmx, HOST_GDTR_BASE), ost_vmcs_read(vmx, HOST_IDTR_BASE),
	       ost_vmcs_read(vmx, HOST_RSP), ost_vmcs_read(vmx, HOST_RIP));
}

void ost_vmx_dump(struct ost_vcpu *vcpu)
{
	static DEFINE_RATELIMIT_STATE(limit, 60 * HZ, 3);
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (vcpu->exit_index == OST_VMX_EXIT_INDEX_REFUSED ||
	    (vmx->reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		explain(vmx);
	if (!__ratelimit(&limit))
		return;
	pr_err("vcpu %u on CPU %d\n", vcpu->id, vcpu->cpu);
	dump_control(vmx);
	dump_guest(vmx);
	if (dump_host_state)
		dump_host(vmx);
}
