// SPDX-License-Identifier: GPL-2.0-only
/*
 * What makes a guest exit (26.1).
 *
 * Not intercepted, and why:
 *   CR3, INVLPG, INVPCID: EPT translates and the VPID keeps the guest's TLB entries apart, so its own TLB
 *	maintenance is its own affair.
 *   Bits of CR0 and CR4 that have no meaning for us: guest/host masks, see regs.c.
 *   The LAPIC's registers, as far as the CPU virtualizes them: apicv.c.
 *   CR8: with the TPR shadow only where a lowered TPR would let a waiting interrupt through.
 *   RDTSC, RDTSCP: offset and multiplier are applied by the CPU.
 *   Descriptor table instructions, RDRAND, RDSEED, #PF and most exceptions: native.
 *   RDTSCP, INVPCID, XSAVES without the guest's CPUID, TPAUSE, UMWAIT, ENQCMD, PCONFIG, VMFUNC: #UD by
 *	themselves as long as their controls are clear.
 */
#include <asm/cpufeature.h>
#include "../vm.h"
#include "vmx.h"

static const u32 exceptions =
	BIT(X86_TRAP_MC) |
	/*
	 * A guest can make their delivery raise them anew for ever, within one instruction, where no
	 * interrupt gets through (CVE-2015-5307, CVE-2015-8104): they are always delivered by us.
	 */
	BIT(X86_TRAP_AC) | BIT(X86_TRAP_DB);

/* All CR0 and CR4 bits but these exit when they change, and read as the shadow says. */
static void init_masks(struct ost_vmx_vcpu *vmx)
{
	u64 cr4_guest = ost_vmx_cr4_guest_owned(&vmx->vcpu);
	u64 cr4 = ost_cr4(&vmx->vcpu);

	ost_vmcs_set(vmx, CR0_GUEST_HOST_MASK, ~(u64)OST_VMX_CR0_GUEST_OWNED);
	ost_vmcs_set(vmx, CR4_GUEST_HOST_MASK, ~cr4_guest);
	/* What was the guest's own so far is in no shadow. */
	ost_vmx_set_cr4(&vmx->vcpu, cr4);
}

void ost_vmx_init_intercepts(struct ost_vmx_vcpu *vmx)
{
	const struct ost_vmx_config *cfg = &ost_vmx_config;
	u32 cpu = cfg->cpu, disabled = vmx->vcpu.vm->disabled_exits;

	/* Without an in-kernel LAPIC nobody calls update_tpr, and userspace wants to know of writes. */
	if (!vmx->vcpu.apic)
		cpu |= CPU_BASED_CR8_LOAD_EXITING;
	if (disabled & KVM_X86_DISABLE_EXITS_HLT)
		cpu &= ~CPU_BASED_HLT_EXITING;
	if (disabled & KVM_X86_DISABLE_EXITS_MWAIT)
		cpu &= ~(CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING);
	ost_vmcs_set(vmx, EXCEPTION_BITMAP, exceptions);
	ost_vmcs_set(vmx, PIN_BASED_VM_EXEC_CONTROL, cfg->pin);
	ost_vmcs_set(vmx, CPU_BASED_VM_EXEC_CONTROL, cpu);
	ost_vmcs_set(vmx, VM_EXIT_CONTROLS, cfg->exit);
	ost_vmcs_set(vmx, VM_ENTRY_CONTROLS, cfg->entry);
	ost_vmx_cpuid_changed(&vmx->vcpu);
}

void ost_vmx_cpuid_changed(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 secondary = ost_vmx_config.secondary;

	/* Instructions that the CPU has and the guest was not given are #UD. */
	if (!ost_has(vcpu, RDTSCP) && !ost_has(vcpu, RDPID))
		secondary &= ~SECONDARY_EXEC_ENABLE_RDTSCP;
	if (!ost_has(vcpu, INVPCID))
		secondary &= ~SECONDARY_EXEC_ENABLE_INVPCID;
	if (!ost_has(vcpu, XSAVES))
		secondary &= ~VMCS_CONTROL_BIT(XSAVES);
	if (vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_PAUSE)
		secondary &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	if (!vmx->vpid)
		secondary &= ~SECONDARY_EXEC_ENABLE_VPID;
	secondary |= vmx->apic_controls;
	ost_vmcs_set(vmx, SECONDARY_VM_EXEC_CONTROL, secondary);
	init_masks(vmx);
	ost_vmx_update_msr_bitmap(vmx);
	ost_vmx_update_debug(vcpu);
}

void ost_vmx_update_debug(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 bitmap = exceptions;

	/* The guest's MOV DR exits once, gets the registers, and has them until the next exit. */
	if (vcpu->dr_live)
		ost_vmcs_clear_bits(vmx, CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_MOV_DR_EXITING);
	else
		ost_vmcs_set_bits(vmx, CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_MOV_DR_EXITING);
	if (vcpu->debug.control & KVM_GUESTDBG_USE_SW_BP)
		bitmap |= BIT(X86_TRAP_BP);
	/*
	 * The other vendor's hypercall and SYSCALL; and RSM, which is #UD in VMX non-root operation (vol. 3D,
	 * RSM)
	 */
	if (ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN) || ost_has(vcpu, AMD) || vcpu->smm.active)
		bitmap |= BIT(X86_TRAP_UD);
	ost_vmcs_set(vmx, EXCEPTION_BITMAP, bitmap);
}

void ost_vmx_update_tpr(struct ost_vcpu *vcpu, int tpr, int max_irr)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	/* Only an interrupt that waits for a lower TPR makes its lowering interesting. */
	bool wanted = max_irr >= 0 && (u64)(max_irr >> 4) <= ost_get_cr8(vcpu);

	if (vmx->virtual_apic && !ost_vmx_delivers(vmx))
		ost_vmcs_set(vmx, TPR_THRESHOLD, wanted ? max_irr >> 4 : 0);
}
