// SPDX-License-Identifier: GPL-2.0-only
/* One entry into the guest and the exit that ends it. */
#include <linux/instrumentation.h>
#include <linux/sched.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/ptrace.h>
#include <asm/spec-ctrl.h>
#include "../debugreg.h"
#include "../exit.h"
#include "../irqchip/irqchip.h"
#include "../irqchip/lapic.h"
#include "../msr.h"
#include "../run.h"
#include "vmx.h"

/* What stands in vcpu->regs after every exit; RSP, RIP, RFLAGS, CR0, CR3 and CR4 are fetched when asked for. */
#define AVAIL_AFTER_EXIT                                                                           \
	((GENMASK(OST_REG_R15, OST_REG_RAX) & ~BIT(OST_REG_RSP)) | BIT(OST_REG_EFER))

static __always_inline bool is_host_nmi(struct ost_vmx_vcpu *vmx)
{
	if (likely((u16)vmx->reason != EXIT_REASON_EXCEPTION_NMI))
		return false;
	return (ost_vmread(VM_EXIT_INTR_INFO) & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR;
}

/*
 * NMIs stay blocked behind an exit that one has caused (28.5.6) until an IRET: the host's own handler takes
 * it, and ends with one.
 */
static __always_inline void call_nmi_handler(void)
{
	asm volatile("int $2" : : : "memory");
}

/*
 * Between the two guest_state calls nothing may be traced or probed: RCU does not watch (entry.S has the
 * rest). CR2 is switched here because no page fault of the host's can come between; NMIs preserve it.
 */
static noinstr bool enter_guest(struct ost_vmx_vcpu *vmx, bool again)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	unsigned long cr2;
	bool entered;

	ost_guest_state_enter(again);
	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	if (cr2 != vcpu->cr2)
		asm volatile("mov %0, %%cr2" : : "r"((unsigned long)vcpu->cr2) : "memory");

	entered = ost_vmx_enter(&vmx->entry);

	asm volatile("mov %%cr2, %0" : "=r"(cr2) : : "memory");
	vcpu->cr2 = cr2;
	vmx->reason = 0;
	if (likely(entered)) {
		vmx->reason = ost_vmread(VM_EXIT_REASON);
		if (ost_vmx_kept() && unlikely(is_host_nmi(vmx)))
			call_nmi_handler();
	}
	ost_guest_state_exit(again);
	return entered;
}

/*
 * PEBS would write its records by the guest's addresses (vol. 3B, 20). The entry itself turns it off and the
 * exit on again, so that no NMI that is about the counters comes between.
 */
static void switch_pebs(struct ost_vmx_vcpu *vmx)
{
	u32 count;

	if (!vmx->pebs)
		return;
	rdmsrq(MSR_IA32_PEBS_ENABLE, vmx->pebs->exit.value);
	count = vmx->pebs->exit.value ? 1 : 0;
	if (likely(vmx->pebs_count == count))
		return;
	vmx->pebs_count = count;
	ost_vmwrite(VM_ENTRY_MSR_LOAD_COUNT, count);
	ost_vmwrite(VM_EXIT_MSR_LOAD_COUNT, count);
}

/* Entry and exit switch DR7. */
static void load_debug(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;

	if (unlikely(vcpu->dr_live))
		set_debugreg((unsigned long)vcpu->dr6, 6);
	ost_vmcs_set(vmx, GUEST_DR7, vcpu->hw_dr7);
}

static void store_debug(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	unsigned long dr6;

	if (likely(!vcpu->dr_live))
		return;
	get_debugreg(dr6, 6);
	vcpu->dr6 = dr6;
	vcpu->dr7 = ost_vmread(GUEST_DR7);
	vmx->cache.val[OST_V_GUEST_DR7] = vcpu->dr7;
	/* The host's next #DB is to find its own reasons only. */
	set_debugreg((unsigned long)DR6_RESERVED, 6);
}

static void prepare_speculation(struct ost_vmx_vcpu *vmx)
{
	struct ost_entry *entry = &vmx->entry.common;

	/*
	 * What ran since the last entries may have left anything in the L1 data cache; sync_again() is about what
	 * an exit that is dealt with at once may have.
	 */
	if (unlikely(ost_vmx_config.flush_l1d))
		ost_vmx_flush_l1d();
	if (!cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		return;
	entry->guest_spec_ctrl = vmx->vcpu.spec_ctrl;
	entry->host_spec_ctrl = this_cpu_read(x86_spec_ctrl_current);
	entry->flags &= BIT(OST_ENTRY_LAUNCHED);
	entry->flags |= BIT(OST_ENTRY_SPEC_CTRL);
	if (vmx->vcpu.spec_ctrl_direct)
		entry->flags |= BIT(OST_ENTRY_SPEC_CTRL_READ);
	if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS))
		entry->flags |= BIT(OST_ENTRY_SPEC_CTRL_ALWAYS);
}

static void sync_tsc(struct ost_vmx_vcpu *vmx)
{
	const struct ost_clock *clock = &vmx->vcpu.clock;
	u64 offset = READ_ONCE(clock->tsc_offset), ratio = READ_ONCE(clock->tsc_ratio);

	if (unlikely(vmx->tsc_offset != offset)) {
		vmx->tsc_offset = offset;
		ost_vmwrite(TSC_OFFSET, offset);
	}
	if (unlikely(vmx->tsc_multiplier != ratio) && ost_vmx_has2(SECONDARY_EXEC_TSC_SCALING) &&
	    ratio) {
		vmx->tsc_multiplier = ratio;
		ost_vmwrite(TSC_MULTIPLIER, ratio);
	}
}

/* For the first of some entries: what does not change between them while interrupts are off. */
static void prepare_entries(struct ost_vmx_vcpu *vmx)
{
	if (unlikely(!vmx->constants_written))
		ost_vmx_write_constants(vmx);
	load_debug(vmx);
	ost_vmx_apic_enter(vmx);
	ost_vmx_pml_sync(vmx);
	sync_tsc(vmx);
	ost_vmx_sync_tlb(vmx);
	ost_vmx_host_save(vmx);
	prepare_speculation(vmx);
}

/* What the CPU's buffers still hold can be had by reading a device's registers. [irqoff] */
static void clear_buffers(void)
{
	static const u16 selector = __KERNEL_DS;

	asm volatile("verw %0" : : "m" (selector) : "cc");
}

/* For each. */
static __always_inline void sync_to_vmcs(struct ost_vmx_vcpu *vmx)
{
	if (vmx->vcpu.regs_dirty | (vmx->cache.dirty[0] & BIT_ULL(OST_V_GUEST_INTERRUPTIBILITY_INFO)))
		ost_vmx_sync_regs(vmx);
	if (vmx->cache.dirty[0] | vmx->cache.dirty[1])
		ost_vmcs_flush(vmx);
	vmx->event_given = ost_vmcs_get(vmx, VM_ENTRY_INTR_INFO_FIELD) & INTR_INFO_VALID_MASK;
}

static u32 exit_index(struct ost_vmx_vcpu *vmx, bool entered)
{
	u32 reason = (u16)vmx->reason;

	if (unlikely(!entered))
		return OST_VMX_EXIT_INDEX_REFUSED;
	return likely(reason < OST_VMX_NR_REASONS) ? reason : OST_VMX_EXIT_INDEX_OTHER;
}

static void sync_from_vmcs(struct ost_vmx_vcpu *vmx, bool entered)
{
	struct ost_vmcs_cache *cache = &vmx->cache;
	struct ost_vcpu *vcpu = &vmx->vcpu;

	vcpu->regs_avail = AVAIL_AFTER_EXIT;
	vcpu->exit_index = exit_index(vmx, entered);
	cache->avail[0] = 0;
	cache->avail[1] &= ~(BIT_ULL(OST_V_FIRST_CONTROL - 64) - 1);
	if (unlikely(trace_ost_exit_enabled())) {
		vcpu->exit_qual[0] = ost_vmcs_get(vmx, EXIT_QUALIFICATION);
		vcpu->exit_qual[1] = ost_vmcs_get(vmx, VM_EXIT_INTR_INFO);
	}
	if (unlikely(!entered))
		return;
	/* An entry that failed in the guest's state leaves the VMCS as it was: not launched (27.8). */
	if (likely(!(vmx->reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
		vmx->entry.common.flags |= BIT(OST_ENTRY_LAUNCHED);
	ost_vmx_apic_leave(vmx);
}

/* Where fields can't be read outside of a section but by one of their own, those that are asked for most. */
static void fetch_common(struct ost_vmx_vcpu *vmx)
{
	static const u8 regs[] = { OST_REG_RIP, OST_REG_RSP, OST_REG_RFLAGS, OST_REG_CR0, OST_REG_CR3,
				   OST_REG_CR4 };
	int i;

	for (i = 0; i < ARRAY_SIZE(regs); i++)
		ost_reg(&vmx->vcpu, regs[i]);
	ost_vmcs_get(vmx, GUEST_INTERRUPTIBILITY_INFO);
	ost_vmcs_get(vmx, EXIT_QUALIFICATION);
	ost_vmcs_get(vmx, VM_EXIT_INTR_INFO);
	ost_vmcs_get(vmx, VM_EXIT_INSTRUCTION_LEN);
	ost_vmcs_get(vmx, GUEST_PHYSICAL_ADDRESS);
	ost_vmcs_get(vmx, GUEST_CS_AR_BYTES);
	ost_vmcs_get(vmx, GUEST_CS_BASE);
	ost_vmcs_get(vmx, GUEST_CS_LIMIT);
	ost_vmcs_get(vmx, GUEST_CS_SELECTOR);
	ost_vmcs_get(vmx, GUEST_SS_AR_BYTES);
}

/* What was to be injected is still in vcpu->event, and goes in by a later entry if it is still there then. */
static enum ost_exit_fast no_entry(struct ost_vcpu *vcpu, u32 index)
{
	ost_vmx_cancel_injection(vcpu);
	ost_request(vcpu, OST_REQ_EVENT);
	vcpu->exit_index = index;
	return OST_EXIT_SLOW;
}

/* Does fast_exit() go to devices, eventfds and those whom they wake, and not to the vCPU and its timer alone? */
static bool touches_others(u32 index)
{
	return index == EXIT_REASON_IO_INSTRUCTION || index == EXIT_REASON_APIC_WRITE ||
	       index == EXIT_REASON_VMCALL;
}

/* Exits that need nothing but this vCPU's state, of which there are many a second. */
static enum ost_exit_fast fast_exit(struct ost_vcpu *vcpu)
{
	switch (vcpu->exit_index) {
	case EXIT_REASON_CPUID:
		return ost_exit_fast(ost_exit_cpuid(vcpu));
	case EXIT_REASON_IO_INSTRUCTION:
		return ost_vmx_exit_io_fast(vcpu);
	case EXIT_REASON_VMCALL:
		return ost_hypercall_is_fast(vcpu) ? ost_exit_fast(ost_exit_hypercall(vcpu)) : OST_EXIT_SLOW;
	case EXIT_REASON_MSR_READ:
		return ost_exit_fast(ost_exit_rdmsr(vcpu));
	case EXIT_REASON_MSR_WRITE:
		if (!ost_msr_write_is_fast(vcpu))
			return OST_EXIT_SLOW;
		return ost_exit_fast(ost_exit_wrmsr(vcpu));
	case EXIT_REASON_APIC_WRITE:
		if (ost_vmx_apic_write_may_sleep(vcpu))
			return OST_EXIT_SLOW;
		return ost_exit_fast(ost_vmx_exit_apic_write(vcpu));
	case EXIT_REASON_PREEMPTION_TIMER:
		ost_lapic_run_ended(vcpu);
		return OST_EXIT_DONE;
	default:
		return OST_EXIT_SLOW;
	}
}

/* For all but the first. */
static __always_inline void sync_again(struct ost_vmx_vcpu *vmx)
{
	/* The exit's handler may have sent the vCPU an interrupt, or have looked at what others have posted. */
	if (ost_vmx_delivers(vmx) && unlikely(ost_lapic_has_news(vmx->vcpu.apic)))
		ost_vmx_apic_enter(vmx);
	if (unlikely(ost_vmx_config.flush_l1d) &&
	    (ost_vmx_config.flush_each || touches_others(vmx->vcpu.exit_index)))
		ost_vmx_flush_l1d();
}

static enum ost_exit_fast end_entries(struct ost_vmx_vcpu *vmx, enum ost_exit_fast fast, bool failed,
				      bool broken)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	bool nmi = !failed && is_host_nmi(vmx);

	if (!ost_vmx_kept() && fast != OST_EXIT_DONE)
		fetch_common(vmx);
	ost_vmx_section_end(vmx);

	if (unlikely(failed))
		return no_entry(vcpu, broken ? OST_VMX_EXIT_INDEX_BROKEN : vcpu->exit_index);
	if (unlikely(nmi)) {
		/* Out of VMX operation: the handler may be the one that stops this CPU for a crash kernel. */
		if (!ost_vmx_kept())
			call_nmi_handler();
		vcpu->stats.host_nmis++;
		return OST_EXIT_DONE;
	}
	return fast;
}

enum ost_exit_fast ost_vmx_run(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	enum ost_exit_fast fast = OST_EXIT_DONE;
	bool broken, entered, failed, again;
	unsigned int nmis = ost_nmi_count();
	struct ost_host_debug host_debug;
	u64 debugctl;

	if (unlikely(vmx->pdptes_stale))
		return no_entry(vcpu, OST_VMX_EXIT_INDEX_PDPTES);
	if (unlikely(!ost_vmx_section_begin(vmx)))
		return no_entry(vcpu, OST_VMX_EXIT_INDEX_NO_VMX);
	/* An exit clears it (28.5.1). */
	debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	switch_pebs(vmx);
	ost_debug_enter(vcpu, &host_debug);
	prepare_entries(vmx);

	for (again = false;; again = true) {
		sync_to_vmcs(vmx);
		if (again)
			sync_again(vmx);
		ost_fpu_enter_pkru(vcpu);
		if (unlikely(vcpu->run_end_tsc != OST_NO_RUN_END || vmx->timer_set))
			ost_vmx_sync_timer(vmx);
		if (static_branch_unlikely(&ost_vmx_clears_for_devices) && READ_ONCE(vcpu->vm->mmu.maps_devices))
			clear_buffers();
		broken = unlikely(ost_vmx_check_entries) && !ost_vmx_check_entry(vmx);
		entered = likely(!broken) && enter_guest(vmx, again);

		ost_fpu_leave_pkru(vcpu);
		sync_from_vmcs(vmx, entered);
		ost_exited(vcpu);
		failed = !entered || (vmx->reason & VMX_EXIT_REASONS_FAILED_VMENTRY);
		if (unlikely(failed))
			break;
		ost_vmx_complete_events(vmx);
		/* The host's handler had it, or will have it in a moment. */
		if (unlikely(is_host_nmi(vmx)))
			break;
		fast = fast_exit(vcpu);
		/* MOV DR shows what was loaded for one entry. */
		if (fast != OST_EXIT_DONE || unlikely(vcpu->dr_live) || !ost_may_reenter(vcpu))
			break;
		/* perf's may have changed DEBUGCTL and PEBS, or have touched anything. */
		if (unlikely(ost_nmi_count() != nmis))
			break;
	}

	ost_ibpb_before_user();
	if (vmx->vcpu.spec_ctrl_direct)
		vcpu->spec_ctrl = vmx->entry.common.guest_spec_ctrl;
	store_debug(vmx);
	if (unlikely(debugctl))
		wrmsrq(MSR_IA32_DEBUGCTLMSR, debugctl);
	ost_debug_leave(vcpu, &host_debug);
	return end_entries(vmx, fast, failed, broken);
}

static bool is_machine_check(struct ost_vmx_vcpu *vmx)
{
	if (vmx->vcpu.exit_index == EXIT_REASON_MCE_DURING_VMENTRY)
		return true;
	return vmx->vcpu.exit_index == EXIT_REASON_EXCEPTION_NMI &&
	       (ost_vmcs_get(vmx, VM_EXIT_INTR_INFO) & INTR_INFO_VECTOR_MASK) == X86_TRAP_MC;
}

void ost_vmx_handle_exit_irqoff(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	switch (vcpu->exit_index) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		vcpu->stats.host_irqs++;
		/* One that was not acknowledged is taken as soon as the core enables interrupts. */
		if (ost_vmx_config.posted)
			ost_vmx_take_host_irq(vmx);
		break;
	case EXIT_REASON_EXCEPTION_NMI:
	case EXIT_REASON_MCE_DURING_VMENTRY:
		if (is_machine_check(vmx))
			ost_machine_check();
		break;
	default:
		break;
	}
}
