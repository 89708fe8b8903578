// SPDX-License-Identifier: GPL-2.0-only
/* One entry into the guest and the exit that ends it. */
#include <linux/instrumentation.h>
#include <linux/mem_encrypt.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/ptrace.h>
#include <asm/spec-ctrl.h>
#include "../debugreg.h"
#include "../run.h"
#include "entry.h"
#include "svm.h"

/* What stands in vcpu->regs after every exit; RFLAGS, CR0 and CR3 are fetched when asked for. */
#define AVAIL_AFTER_EXIT                                                                           \
	(GENMASK(OST_REG_R15, OST_REG_RAX) | BIT(OST_REG_RIP) | BIT(OST_REG_CR4) | BIT(OST_REG_EFER))

/* Between two of these nothing may be traced or probed: RCU does not watch (entry.S has the rest). */
static noinstr void enter_guest(struct ost_svm_entry *entry, bool again)
{
	ost_guest_state_enter(again);
	ost_svm_enter(entry);
	ost_guest_state_exit(again);
}

/*
 * The host's FS, GS, TR, LDTR and SYSCALL MSRs, for the VMLOAD after the exit. They are this CPU's or this
 * task's own, and the latter's do not change while its vCPU stays loaded, except that another thread
 * may set up or replace the process's LDT, which an IPI then loads here: with an LDT they are saved
 * for every entry. A process never loses its LDT again.
 */
static void save_host(struct ost_svm_vcpu *svm, struct ost_svm_cpu *c)
{
	bool ldt = false;

#ifdef CONFIG_MODIFY_LDT_SYSCALL
	ldt = current->mm && READ_ONCE(current->mm->context.ldt);
#endif
	if (svm->host_saved && likely(!ldt))
		return;
	asm volatile("vmsave %0" : : "a" (c->host_vmcb_pa) : "memory");
	svm->host_saved = true;
}

/*
 * Without LBR virtualization DebugCtl stays as it is: a host that steps its VMM by branches, or wants to
 * know of bus locks, would have the guest's instructions raise #DB.
 */
#define DEBUGCTL_RAISES_DB (DEBUGCTLMSR_BTF | DEBUGCTLMSR_BUS_LOCK_DETECT)

/* The host's value to be put back after the exit, 0 for none. */
static u64 clear_debugctl(void)
{
	u64 debugctl;

	if (likely(!test_thread_flag(TIF_BLOCKSTEP)) &&
	    !cpu_feature_enabled(X86_FEATURE_BUS_LOCK_DETECT))
		return 0;
	rdmsrq(MSR_IA32_DEBUGCTLMSR, debugctl);
	if (!(debugctl & DEBUGCTL_RAISES_DB))
		return 0;
	wrmsrq(MSR_IA32_DEBUGCTLMSR, debugctl & ~DEBUGCTL_RAISES_DB);
	return debugctl;
}

/* VMRUN loads DR6 and DR7, and #VMEXIT turns DR7 off (15.5.1, 15.6). */
static void load_debug(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_save *save = &svm->vmcb->save;
	struct ost_vcpu *vcpu = &svm->vcpu;
	/* With DR6 clear of old bits, those that a #DB exit finds set are its own. */
	u64 dr6 = vcpu->dr_live ? vcpu->dr6 : DR6_RESERVED;

	if (save->dr6 == dr6 && save->dr7 == vcpu->hw_dr7)
		return;
	save->dr6 = dr6;
	save->dr7 = vcpu->hw_dr7;
	ost_vmcb_dirty(svm->vmcb, CLEAN_DRX);
}

static void store_debug(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_save *save = &svm->vmcb->save;
	struct ost_vcpu *vcpu = &svm->vcpu;

	/* The guest may have cleared GD or, by a task switch, the local enables. */
	if (unlikely(save->dr7 != vcpu->hw_dr7))
		ost_debug_dr7_changed(vcpu, save->dr7);
	if (unlikely(vcpu->dr_live))
		vcpu->dr6 = save->dr6;
	/* The host's next #DB is to find its own reasons only. */
	if (unlikely(save->dr6 != DR6_RESERVED))
		set_debugreg((unsigned long)DR6_RESERVED, 6);
}

/* What the guest's reads of the TSC make of it. */
static void sync_tsc(struct ost_svm_vcpu *svm)
{
	const struct ost_clock *clock = &svm->vcpu.clock;
	u64 offset = READ_ONCE(clock->tsc_offset), ratio = READ_ONCE(clock->tsc_ratio);

	if (unlikely(svm->vmcb->control.tsc_offset != offset)) {
		svm->vmcb->control.tsc_offset = offset;
		ost_vmcb_dirty(svm->vmcb, CLEAN_INTERCEPTS);
	}
	if (ratio)
		ost_svm_load_tsc_ratio(ratio);
}

static void prepare_spec_ctrl(struct ost_svm_vcpu *svm, struct ost_svm_entry *entry)
{
	/* With the feature, the CPU swaps the guest's value and keeps the host's in force besides. */
	if (ost_svm_has(OST_SVM_SPEC_CTRL) || !cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		return;
	entry->common.guest_spec_ctrl = svm->vcpu.spec_ctrl;
	entry->common.host_spec_ctrl = this_cpu_read(x86_spec_ctrl_current);
	entry->common.flags = BIT(OST_ENTRY_SPEC_CTRL);
	if (svm->vcpu.spec_ctrl_direct)
		entry->common.flags |= BIT(OST_ENTRY_SPEC_CTRL_READ);
}

/* For the first of some entries: what does not change between them while interrupts are off. */
static void prepare_entries(struct ost_svm_vcpu *svm, struct ost_svm_entry *entry, u8 tpr)
{
	struct ost_vmcb *vmcb = svm->vmcb;

	ost_svm_assign_asid(svm);
	load_debug(svm);
	sync_tsc(svm);
	if (vmcb->save.cr2 != svm->vcpu.cr2) {
		vmcb->save.cr2 = svm->vcpu.cr2;
		ost_vmcb_dirty(vmcb, CLEAN_CR2);
	}
	if ((vmcb->control.v_intr & OST_SVM_V_TPR_MASK) != tpr) {
		vmcb->control.v_intr &= ~OST_SVM_V_TPR_MASK;
		vmcb->control.v_intr |= tpr;
		ost_vmcb_dirty(vmcb, CLEAN_TPR);
	}
	svm->event_given = vmcb->control.eventinj & OST_SVM_EVENT_VALID;
	prepare_spec_ctrl(svm, entry);
}

static __always_inline void sync_from_vmcb(struct ost_svm_vcpu *svm, u8 *tpr)
{
	struct ost_vmcb *vmcb = svm->vmcb;
	struct ost_vcpu *vcpu = &svm->vcpu;

	vcpu->regs[OST_REG_RAX] = vmcb->save.rax;
	vcpu->regs[OST_REG_RSP] = vmcb->save.rsp;
	vcpu->regs[OST_REG_RIP] = vmcb->save.rip;
	vcpu->regs_avail = AVAIL_AFTER_EXIT;
	vcpu->cr2 = vmcb->save.cr2;
	vcpu->exit_index = ost_svm_exit_index(vmcb->control.exitcode);
	vcpu->exit_qual[0] = vmcb->control.exitinfo1;
	vcpu->exit_qual[1] = vmcb->control.exitinfo2;
	svm->exit_rip = vmcb->save.rip;
	svm->next_rip = ost_svm_has(OST_SVM_NRIPS) ? vmcb->control.nrip : 0;

	vmcb->control.tlb_control = OST_SVM_TLB_NOTHING;
	vmcb->control.eventinj = 0;
	/* From here on everything that writes to the VMCB says so. */
	vmcb->control.clean = ost_svm_has(OST_SVM_VMCB_CLEAN) ? OST_SVM_ALL_CLEAN : 0;

	if (unlikely((vmcb->control.v_intr & OST_SVM_V_TPR_MASK) != *tpr)) {
		*tpr = vmcb->control.v_intr & OST_SVM_V_TPR_MASK;
		ost_set_cr8(vcpu, *tpr);
	}
}

enum ost_exit_fast ost_svm_run(struct ost_vcpu *vcpu)
{
	struct ost_svm_cpu *c = this_cpu_ptr(&ost_svm_cpus);
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	struct ost_svm_entry entry = {
		.common.regs = vcpu->regs,
		.vmcb_pa = svm->vmcb_pa,
		.host_vmcb_pa = c->host_vmcb_pa,
	};
	u8 tpr = ost_get_cr8(vcpu) & OST_SVM_V_TPR_MASK;
	enum ost_exit_fast fast = OST_EXIT_SLOW;
	struct ost_host_debug host_debug;
	unsigned int nmis = ost_nmi_count();
	bool at_once = false, again;
	u64 host_debugctl;
	u8 tlb_control;

	/*
	 * TF would get into the frame of an event that this entry delivers, and from there back to the
	 * guest. An interrupt of the host's that waits ends the run right behind the delivery instead.
	 */
	if (unlikely(svm->nmi_step && (svm->vmcb->control.eventinj & OST_SVM_EVENT_VALID))) {
		svm->nmi_step = false;
		at_once = true;
		smp_send_reschedule(smp_processor_id());
	}
	prepare_entries(svm, &entry, tpr);
	save_host(svm, c);
	host_debugctl = clear_debugctl();
	ost_debug_enter(vcpu, &host_debug);
	tlb_control = svm->vmcb->control.tlb_control;

	for (again = false;; again = true) {
		ost_svm_sync_regs(svm);
		ost_fpu_enter_pkru(vcpu);

		enter_guest(&entry, again);

		/* Handlers look at the VMM's memory, with the host's rights. */
		ost_fpu_leave_pkru(vcpu);
		sync_from_vmcb(svm, &tpr);
		ost_exited(vcpu);
		if (unlikely(vcpu->exit_index == OST_SVM_EXIT_INDEX_INVALID)) {
			ost_svm_redo_flush(svm, again ? OST_SVM_TLB_NOTHING : tlb_control);
			ost_svm_redo_events(svm);
			fast = OST_EXIT_SLOW;
			break;
		}
		ost_svm_complete_events(svm);
		/* The host took its NMI right behind STGI, and its handler may have changed anything. */
		if (unlikely(vcpu->exit_index == SVM_EXIT_NMI)) {
			vcpu->stats.host_nmis++;
			fast = OST_EXIT_DONE;
			break;
		}
		fast = ost_svm_handle_exit_fast(vcpu);
		/* MOV DR shows what was loaded for one entry. */
		if (fast != OST_EXIT_DONE || unlikely(vcpu->dr_live || at_once) ||
		    !ost_may_reenter(vcpu))
			break;
		/* perf's may have changed DEBUGCTL. */
		if (unlikely(ost_nmi_count() != nmis))
			break;
	}

	store_debug(svm);
	if (unlikely(host_debugctl))
		wrmsrq(MSR_IA32_DEBUGCTLMSR, host_debugctl);
	ost_debug_leave(vcpu, &host_debug);
	ost_ibpb_before_user();
	if (entry.common.flags & BIT(OST_ENTRY_SPEC_CTRL_READ))
		vcpu->spec_ctrl = entry.common.guest_spec_ctrl;
	if (unlikely(at_once))
		ost_request(vcpu, OST_REQ_EVENT);
	return fast;
}

void ost_svm_handle_exit_irqoff(struct ost_vcpu *vcpu)
{
	switch (vcpu->exit_index) {
	case SVM_EXIT_INTR:
		/* Taken as soon as the core enables interrupts. */
		vcpu->stats.host_irqs++;
		break;
	case SVM_EXIT_EXCP_BASE + X86_TRAP_MC:
		ost_machine_check();
		break;
	default:
		break;
	}
}
