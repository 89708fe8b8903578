// SPDX-License-Identifier: GPL-2.0-only
/*
 * What makes a guest exit (15.7 to 15.14).
 *
 * Not intercepted, and why:
 *   CR3, CLTS, LMSW of TS and MP, INVLPG, INVPCID: nested paging translates, the ASID keeps the
 *	guest's TLB entries apart, so its own TLB maintenance is its own affair.
 *   CR8: V_INTR_MASKING makes it V_TPR (15.21.2); only where a lowered TPR would let a waiting
 *	interrupt through does a write exit, see ost_svm_update_tpr().
 *   RDTSC, RDTSCP: offset and ratio are applied by the CPU.
 *   Descriptor table instructions, PUSHF, POPF, INTn, #PF and most exceptions: native.
 *   TASK_SWITCH: under nested paging the CPU does it by itself in guest memory; nothing of the host's
 *	is involved, since CR3 is the guest's and LDTR, TR, FS and GS are swapped by VMLOAD and VMSAVE.
 *   MCOMMIT, INVLPGB, TLBSYNC: #UD without what would enable them for a guest; so is RSM outside of SMM.
 *   FERR_FREEZE: the CPU waits for an interrupt, and physical ones end the run.
 */
#include <asm/cpufeature.h>
#include "../vm.h"
#include "svm.h"

static const u32 always[] = {
	/* The host's own events: they end the run and are taken after STGI. */
	ICPT_INTR, ICPT_NMI, ICPT_SMI, ICPT_INIT,
	/* CR0 changes that matter to us, and CR4, whose bits CPUID may forbid to the guest */
	ICPT_CR0_SEL_WRITE, ICPT_CR_WRITE(4),
	ICPT_CPUID, ICPT_HLT, ICPT_IOIO, ICPT_MSR, ICPT_XSETBV, ICPT_VMMCALL,
	/* Caches and counters are the host's. */
	ICPT_INVD, ICPT_WBINVD, ICPT_RDPMC, ICPT_RDPRU,
	/* A guest that waits by itself would keep the CPU. */
	ICPT_MONITOR, ICPT_MWAIT,
	/* EFER.SVME has to be set in the VMCB, so these would work; for the guest they are #UD. */
	ICPT_VMRUN, ICPT_VMLOAD, ICPT_VMSAVE, ICPT_STGI, ICPT_CLGI, ICPT_SKINIT, ICPT_INVLPGA,
	/* A triple fault would reset the machine. */
	ICPT_SHUTDOWN,
	ICPT_EXCEPTION(X86_TRAP_MC),
	/*
	 * A guest can make their delivery raise them anew for ever, within one instruction, where no
	 * interrupt gets through (CVE-2015-5307, CVE-2015-8104): they are always delivered by us.
	 */
	ICPT_EXCEPTION(X86_TRAP_AC),
	ICPT_EXCEPTION(X86_TRAP_DB),
};

static void intercept_dr(struct ost_vmcb *vmcb, bool on)
{
	u32 bits = on ? ~0u : 0;

	if (vmcb->control.intercepts[OST_SVM_DR] == bits)
		return;
	vmcb->control.intercepts[OST_SVM_DR] = bits;
	ost_vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
}

/* What the VMM does not want to exit. */
static void leave_out(struct ost_svm_vcpu *svm)
{
	u32 exits = svm->vcpu.vm->disabled_exits;

	if (exits & KVM_X86_DISABLE_EXITS_HLT)
		ost_vmcb_intercept(svm->vmcb, ICPT_HLT, false);
	if (exits & KVM_X86_DISABLE_EXITS_PAUSE)
		ost_vmcb_intercept(svm->vmcb, ICPT_PAUSE, false);
	if (exits & KVM_X86_DISABLE_EXITS_MWAIT) {
		ost_vmcb_intercept(svm->vmcb, ICPT_MONITOR, false);
		ost_vmcb_intercept(svm->vmcb, ICPT_MWAIT, false);
	}
}

void ost_svm_init_intercepts(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb *vmcb = svm->vmcb;
	int i;

	memset(vmcb->control.intercepts, 0, sizeof(vmcb->control.intercepts));
	for (i = 0; i < ARRAY_SIZE(always); i++)
		ost_vmcb_intercept(vmcb, always[i], true);
	ost_vmcb_intercept(vmcb, ICPT_PAUSE, ost_svm_has(OST_SVM_PAUSE_FILTER));
	leave_out(svm);
	/* The other vendor's hypercall. A quirk that is disabled later has its exits go on, and does nothing by them. */
	ost_vmcb_intercept(vmcb, ICPT_EXCEPTION(X86_TRAP_UD),
			   ost_has_quirk(svm->vcpu.vm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN));
	/* Without an in-kernel LAPIC nobody calls update_tpr, and userspace wants to know. */
	ost_vmcb_intercept(vmcb, ICPT_CR_WRITE(8), true);
	ost_svm_cpuid_changed(&svm->vcpu);
	ost_svm_update_debug(&svm->vcpu);
	ost_svm_update_cr_intercepts(svm);
	ost_vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
}

void ost_svm_cpuid_changed(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	/* Instructions that the CPU has and the guest was not given are #UD by an exit. */
	ost_vmcb_intercept(svm->vmcb, ICPT_RDTSCP, !ost_has(vcpu, RDTSCP));
	if (boot_cpu_has(X86_FEATURE_INVPCID))
		ost_vmcb_intercept(svm->vmcb, ICPT_INVPCID, !ost_has(vcpu, INVPCID));
	ost_svm_update_msrpm(svm);
}

void ost_svm_update_debug(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	/* The guest's MOV DR exits once, gets the registers, and has them until the next exit. */
	intercept_dr(svm->vmcb, !vcpu->dr_live);
	ost_vmcb_intercept(svm->vmcb, ICPT_EXCEPTION(X86_TRAP_BP),
			   vcpu->debug.control & KVM_GUESTDBG_USE_SW_BP);
	ost_vmcb_dirty(svm->vmcb, CLEAN_DRX);
}

void ost_svm_update_tpr(struct ost_vcpu *vcpu, int tpr, int max_irr)
{
	/* Only an interrupt that waits for a lower TPR makes its lowering interesting. */
	bool wanted = max_irr >= 0 && (u64)(max_irr >> 4) <= ost_get_cr8(vcpu);

	ost_vmcb_intercept(to_svm(vcpu)->vmcb, ICPT_CR_WRITE(8), wanted);
}

void ost_svm_update_cr_intercepts(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb *vmcb = svm->vmcb;
	bool cr0_differs = (vmcb->save.cr0 ^ svm->cr0) & (X86_CR0_CD | X86_CR0_NW);
	bool cr4_differs = vmcb->save.cr4 != svm->vcpu.regs[OST_REG_CR4];

	ost_vmcb_intercept(vmcb, ICPT_CR_READ(0), cr0_differs);
	ost_vmcb_intercept(vmcb, ICPT_CR_WRITE(0), cr0_differs);
	ost_vmcb_intercept(vmcb, ICPT_CR_READ(4), cr4_differs);
}
