// SPDX-License-Identifier: GPL-2.0-only
/* Exits and their handlers, an array by basic exit reason (appendix C). */
#include <linux/nospec.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include "../cpuid.h"
#include "../io.h"
#include "../msr.h"
#include "vmx.h"

/* Reasons that older kernels' headers do not name. */
#define REASON_GETSEC 11
#define REASON_RSM 17

/* Exit qualification of I/O instructions (table 28-5) */
#define IO_SIZE(qual) (((qual) & 7) + 1)
#define IO_IN BIT(3)
#define IO_STRING BIT(4)
#define IO_PORT(qual) ((u16)((qual) >> 16))

/* Of control-register accesses (table 28-3) */
#define CR_NUMBER(qual) ((qual) & 15)
#define CR_GPR(qual) ((qual) >> 8 & 15)
#define CR_LMSW_SOURCE(qual) ((u16)((qual) >> 16))
enum cr_access { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW };
#define CR_ACCESS(qual) ((enum cr_access)((qual) >> 4 & 3))

/* Of EPT violations (table 28-7) */
#define EPT_WRITE BIT(1)
#define EPT_FETCH BIT(2)

/* Of debug exceptions (table 28-1) */
#define DB_BITS (DR_TRAP_BITS | BIT(13) | DR_STEP)

static u64 qualification(struct ost_vmx_vcpu *vmx)
{
	return ost_vmcs_get(vmx, EXIT_QUALIFICATION);
}

/* --- instructions --- */

/* Exits whose instruction length is defined (28.2.5), all but those that faults and events cause. */
static bool has_length(u32 reason)
{
	switch (reason) {
	case EXIT_REASON_TASK_SWITCH ... EXIT_REASON_IO_INSTRUCTION:
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
	case EXIT_REASON_MWAIT_INSTRUCTION:
	case EXIT_REASON_MONITOR_INSTRUCTION:
	case EXIT_REASON_PAUSE_INSTRUCTION:
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_RDTSCP:
	case EXIT_REASON_INVVPID ... EXIT_REASON_XSETBV:
	case EXIT_REASON_RDRAND ... EXIT_REASON_RDSEED:
		return true;
	default:
		return false;
	}
}

int ost_vmx_skip_instruction(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u64 rflags, rip, next;

	/* The length is that of the instruction that exited, so RIP must still be at it. */
	if (!has_length(vcpu->exit_index) || (vcpu->regs_dirty & BIT(OST_REG_RIP)))
		return ost_emulate_instruction(vcpu, ~0ull, OST_EMUL_SKIP);
	rip = ost_rip(vcpu);
	next = rip + ost_vmcs_get(vmx, VM_EXIT_INSTRUCTION_LEN);
	if (unlikely((rip ^ next) >> 32) && !ost_mode64(vcpu))
		next = (u32)next;
	ost_reg_set(vcpu, OST_REG_RIP, next);
	ost_vmx_set_interrupt_shadow(vcpu, 0);
	rflags = ost_rflags(vcpu);
	if (unlikely(rflags & X86_EFLAGS_RF))
		ost_reg_set(vcpu, OST_REG_RFLAGS, rflags & ~(u64)X86_EFLAGS_RF);
	if (unlikely(rflags & X86_EFLAGS_TF))
		return ost_debug_exception(vcpu, DR_STEP);
	return OST_RUN;
}

int ost_vmx_insn_bytes(struct ost_vcpu *vcpu, u8 *buf)
{
	return 0;
}

static int emulate(struct ost_vmx_vcpu *vmx)
{
	return ost_emulate_instruction(&vmx->vcpu, ~0ull, 0);
}

static int skip(struct ost_vmx_vcpu *vmx)
{
	return ost_vmx_skip_instruction(&vmx->vcpu);
}

static int exit_ud(struct ost_vmx_vcpu *vmx)
{
	ost_ud(&vmx->vcpu);
	return OST_RUN;
}

static int exit_cpuid(struct ost_vmx_vcpu *vmx)
{
	return ost_exit_cpuid(&vmx->vcpu);
}

static int exit_rdmsr(struct ost_vmx_vcpu *vmx)
{
	return ost_exit_rdmsr(&vmx->vcpu);
}

static int exit_wrmsr(struct ost_vmx_vcpu *vmx)
{
	return ost_exit_wrmsr(&vmx->vcpu);
}

static int exit_io(struct ost_vmx_vcpu *vmx)
{
	u64 qual = qualification(vmx);

	if (qual & IO_STRING)
		return emulate(vmx);
	return ost_exit_pio(&vmx->vcpu, IO_PORT(qual), IO_SIZE(qual), qual & IO_IN);
}

static int exit_hlt(struct ost_vmx_vcpu *vmx)
{
	return ost_exit_hlt(&vmx->vcpu);
}

static int exit_vmcall(struct ost_vmx_vcpu *vmx)
{
	return ost_exit_hypercall(&vmx->vcpu);
}

static int exit_xsetbv(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;

	if (ost_set_xcr(vcpu, ost_reg(vcpu, OST_REG_RCX), ost_edx_eax(vcpu))) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	return skip(vmx);
}

static int exit_rdpmc(struct ost_vmx_vcpu *vmx)
{
	/* There are no performance counters. */
	ost_gp(&vmx->vcpu, 0);
	return OST_RUN;
}

/* A MONITOR that never arms and an MWAIT that wakes at once are allowed ones. */
static int exit_monitor(struct ost_vmx_vcpu *vmx)
{
	return ost_has(&vmx->vcpu, MONITOR) ? skip(vmx) : exit_ud(vmx);
}

static int exit_pause(struct ost_vmx_vcpu *vmx)
{
	/* It spins, perhaps for a lock whose holder waits for this CPU. */
	ost_vcpu_preemptible(&vmx->vcpu);
	yield();
	return skip(vmx);
}

/* --- control and debug registers --- */

static int cr_write(struct ost_vcpu *vcpu, int cr, u64 val)
{
	switch (cr) {
	case 0:
		return ost_set_cr0(vcpu, val);
	case 3:
		return ost_set_cr3(vcpu, val);
	case 4:
		return ost_set_cr4(vcpu, val);
	case 8:
		return ost_set_cr8(vcpu, val);
	default:
		return -EINVAL;
	}
}

static int exit_mov_to_cr(struct ost_vmx_vcpu *vmx, u64 qual)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u64 val = ost_reg(vcpu, CR_GPR(qual)), old_cr8 = ost_get_cr8(vcpu);
	int r;

	/* CR0 and CR4 may have the guest's PDPTEs read, in memory that may be swapped out. */
	if (CR_NUMBER(qual) != 8)
		ost_vcpu_preemptible(vcpu);
	if (cr_write(vcpu, CR_NUMBER(qual), ost_mode64(vcpu) ? val : (u32)val)) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	r = skip(vmx);
	if (r == OST_RUN && CR_NUMBER(qual) == 8 && !vcpu->apic && ost_get_cr8(vcpu) < old_cr8) {
		vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
		return OST_USER;
	}
	return r;
}

static int exit_mov_from_cr(struct ost_vmx_vcpu *vmx, u64 qual)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u64 val = CR_NUMBER(qual) == 8 ? ost_get_cr8(vcpu) : ost_cr3(vcpu);

	ost_reg_set(vcpu, CR_GPR(qual), ost_mode64(vcpu) ? val : (u32)val);
	return skip(vmx);
}

static int exit_cr(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u64 qual = qualification(vmx), cr0;

	switch (CR_ACCESS(qual)) {
	case CR_MOV_TO:
		return exit_mov_to_cr(vmx, qual);
	case CR_MOV_FROM:
		return exit_mov_from_cr(vmx, qual);
	case CR_CLTS:
		cr0 = ost_cr0(vcpu) & ~(u64)X86_CR0_TS;
		break;
	default:
		/* LMSW loads PE, MP, EM and TS, and can't clear PE (vol. 2A). */
		cr0 = ost_cr0(vcpu);
		cr0 = (cr0 & ~(u64)(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS)) |
		      (CR_LMSW_SOURCE(qual) &
		       (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS));
		break;
	}
	ost_vcpu_preemptible(vcpu);
	if (ost_set_cr0(vcpu, cr0)) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	return skip(vmx);
}

static int exit_dr(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;

	/* The instruction is executed again, by the CPU, with the guest's registers loaded. */
	vmx->dr_live = true;
	ost_vmx_update_debug(vcpu);
	return OST_RUN;
}

/* --- memory --- */

static int exit_ept_violation(struct ost_vmx_vcpu *vmx)
{
	gpa_t gpa = ost_vmcs_get(vmx, GUEST_PHYSICAL_ADDRESS);
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u64 qual = qualification(vmx);
	enum ost_fault_result result;
	u32 flags = 0;

	if (qual & EPT_WRITE)
		flags |= OST_FAULT_WRITE;
	if (qual & EPT_FETCH)
		flags |= OST_FAULT_EXEC;

	result = ost_mmu_fault(vcpu, gpa, flags | OST_FAULT_ATOMIC);
	if (result == OST_FAULT_AGAIN) {
		ost_vcpu_preemptible(vcpu);
		result = ost_mmu_fault(vcpu, gpa, flags);
	}
	switch (result) {
	case OST_FAULT_FIXED:
	case OST_FAULT_AGAIN:
		return OST_RUN;
	case OST_FAULT_MMIO:
		return ost_mmio(vcpu, gpa);
	case OST_FAULT_SIGNAL:
		return -EINTR;
	case OST_FAULT_NOMEM:
		return -ENOMEM;
	case OST_FAULT_BAD:
		break;
	}
	return -EFAULT;
}

/* The PDPTEs are in guest memory, which may be swapped out: now they can be waited for. */
static int exit_pdptes(struct ost_vmx_vcpu *vmx)
{
	ost_vcpu_preemptible(&vmx->vcpu);
	ost_vmx_load_pdptes(&vmx->vcpu);
	return OST_RUN;
}

static int exit_no_vmx(struct ost_vmx_vcpu *vmx)
{
	return -EBUSY;
}

/* --- events --- */

static int exit_nothing(struct ost_vmx_vcpu *vmx)
{
	return OST_RUN;
}

static int exit_irq_window(struct ost_vmx_vcpu *vmx)
{
	vmx->vcpu.stats.irq_windows++;
	ost_vmx_close_window(vmx, CPU_BASED_INTR_WINDOW_EXITING);
	return OST_RUN;
}

static int exit_nmi_window(struct ost_vmx_vcpu *vmx)
{
	vmx->vcpu.stats.nmi_windows++;
	ost_vmx_close_window(vmx, CPU_BASED_NMI_WINDOW_EXITING);
	return OST_RUN;
}

static int exit_tpr(struct ost_vmx_vcpu *vmx)
{
	ost_request(&vmx->vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

static int unexpected(struct ost_vmx_vcpu *vmx)
{
	ost_vcpu_preemptible(&vmx->vcpu);
	return ost_exit_unexpected(&vmx->vcpu, vmx->reason);
}

/* Did the guest ask for alignment checks (vol. 3A, 6.15)? */
static bool guest_checks_alignment(struct ost_vcpu *vcpu)
{
	return (ost_cr0(vcpu) & X86_CR0_AM) && (ost_rflags(vcpu) & X86_EFLAGS_AC) &&
	       ost_vmx_get_cpl(vcpu) == 3;
}

static int exit_ac(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u32 error_code = ost_vmcs_get(vmx, VM_EXIT_INTR_ERROR_CODE);
	struct kvm_run *run = vcpu->run;

	if (!boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) || guest_checks_alignment(vcpu)) {
		ost_exception(vcpu, X86_TRAP_AC, error_code);
		return OST_RUN;
	}
	/* The host's own detection of split locks, of which the guest knows nothing. */
	ost_vcpu_preemptible(vcpu);
	if (ost_split_lock_allowed(ost_rip(vcpu)))
		return OST_RUN;
	run->exit_reason = KVM_EXIT_EXCEPTION;
	run->ex.exception = X86_TRAP_AC;
	run->ex.error_code = error_code;
	return OST_USER;
}

static int exit_exception(struct ost_vmx_vcpu *vmx)
{
	u32 info = ost_vmcs_get(vmx, VM_EXIT_INTR_INFO);
	struct ost_vcpu *vcpu = &vmx->vcpu;

	/* The host had its NMI. */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		return OST_RUN;
	switch (info & INTR_INFO_VECTOR_MASK) {
	case X86_TRAP_MC:
		/* And this. */
		return OST_RUN;
	case X86_TRAP_DB:
		/* INT1 pushes the RIP behind it, and is none of DR6's reasons (28.2.2). */
		if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION) {
			ost_requeue_exception(vcpu, X86_TRAP_DB, false, 0, true,
					      ost_vmcs_get(vmx, VM_EXIT_INSTRUCTION_LEN));
			return OST_RUN;
		}
		return ost_debug_exception(vcpu, qualification(vmx) & DB_BITS);
	case X86_TRAP_AC:
		return exit_ac(vmx);
	default:
		return unexpected(vmx);
	}
}

static int exit_triple_fault(struct ost_vmx_vcpu *vmx)
{
	vmx->vcpu.run->exit_reason = KVM_EXIT_SHUTDOWN;
	return OST_USER;
}

static int fail_entry(struct ost_vmx_vcpu *vmx, u64 reason)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;

	ost_vmx_dump(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = reason;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return OST_USER;
}

static int exit_refused(struct ost_vmx_vcpu *vmx)
{
	return fail_entry(vmx, ost_vmcs_read(vmx, VM_INSTRUCTION_ERROR));
}

static int exit_invalid_state(struct ost_vmx_vcpu *vmx)
{
	return fail_entry(vmx, vmx->reason);
}

static int (*const handlers[OST_VMX_NR_EXIT_INDEXES])(struct ost_vmx_vcpu *vmx) = {
	[EXIT_REASON_EXCEPTION_NMI] = exit_exception,
	[EXIT_REASON_EXTERNAL_INTERRUPT] = exit_nothing,
	[EXIT_REASON_TRIPLE_FAULT] = exit_triple_fault,
	[EXIT_REASON_INTERRUPT_WINDOW] = exit_irq_window,
	[EXIT_REASON_NMI_WINDOW] = exit_nmi_window,
	[EXIT_REASON_CPUID] = exit_cpuid,
	[REASON_GETSEC] = exit_ud,
	[EXIT_REASON_HLT] = exit_hlt,
	[EXIT_REASON_INVD] = skip,		/* what it would lose is the host's too */
	[EXIT_REASON_RDPMC] = exit_rdpmc,
	[REASON_RSM] = exit_ud,
	[EXIT_REASON_VMCALL] = exit_vmcall,
	[EXIT_REASON_VMCLEAR ... EXIT_REASON_VMON] = exit_ud,
	[EXIT_REASON_CR_ACCESS] = exit_cr,
	[EXIT_REASON_DR_ACCESS] = exit_dr,
	[EXIT_REASON_IO_INSTRUCTION] = exit_io,
	[EXIT_REASON_MSR_READ] = exit_rdmsr,
	[EXIT_REASON_MSR_WRITE] = exit_wrmsr,
	[EXIT_REASON_INVALID_STATE] = exit_invalid_state,
	[EXIT_REASON_MSR_LOAD_FAIL] = exit_invalid_state,
	[EXIT_REASON_MWAIT_INSTRUCTION] = exit_monitor,
	[EXIT_REASON_MONITOR_TRAP_FLAG] = exit_nothing, /* taken back after every exit */
	[EXIT_REASON_MONITOR_INSTRUCTION] = exit_monitor,
	[EXIT_REASON_PAUSE_INSTRUCTION] = exit_pause,
	[EXIT_REASON_MCE_DURING_VMENTRY] = exit_nothing, /* the host had it; the entry is tried again */
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = exit_tpr,
	[EXIT_REASON_EPT_VIOLATION] = exit_ept_violation,
	[EXIT_REASON_INVEPT] = exit_ud,
	[EXIT_REASON_INVVPID] = exit_ud,
	[EXIT_REASON_WBINVD] = skip,		/* caches are coherent with all devices there are */
	[EXIT_REASON_XSETBV] = exit_xsetbv,
	[EXIT_REASON_ENCLS] = exit_ud,
	[EXIT_REASON_APIC_ACCESS] = ost_vmx_exit_apic_access,
	[EXIT_REASON_EOI_INDUCED] = ost_vmx_exit_eoi,
	[EXIT_REASON_APIC_WRITE] = ost_vmx_exit_apic_write,
	[EXIT_REASON_PML_FULL] = ost_vmx_exit_pml_full,
	[OST_VMX_EXIT_INDEX_REFUSED] = exit_refused,
	[OST_VMX_EXIT_INDEX_PDPTES] = exit_pdptes,
	[OST_VMX_EXIT_INDEX_NO_VMX] = exit_no_vmx,
};

int ost_vmx_handle_exit(struct ost_vcpu *vcpu)
{
	u32 index = array_index_nospec(vcpu->exit_index, OST_VMX_NR_EXIT_INDEXES);
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (unlikely(!handlers[index]))
		return unexpected(vmx);
	return handlers[index](vmx);
}

/* The manual's names. */
const char *const ost_vmx_exit_names[OST_VMX_NR_EXIT_INDEXES] = {
	[EXIT_REASON_EXCEPTION_NMI] = "EXCEPTION_NMI",
	[EXIT_REASON_EXTERNAL_INTERRUPT] = "EXTERNAL_INTERRUPT",
	[EXIT_REASON_TRIPLE_FAULT] = "TRIPLE_FAULT",
	[EXIT_REASON_INIT_SIGNAL] = "INIT",
	[EXIT_REASON_SIPI_SIGNAL] = "SIPI",
	[EXIT_REASON_INTERRUPT_WINDOW] = "INTERRUPT_WINDOW",
	[EXIT_REASON_NMI_WINDOW] = "NMI_WINDOW",
	[EXIT_REASON_TASK_SWITCH] = "TASK_SWITCH",
	[EXIT_REASON_CPUID] = "CPUID",
	[REASON_GETSEC] = "GETSEC",
	[EXIT_REASON_HLT] = "HLT",
	[EXIT_REASON_INVD] = "INVD",
	[EXIT_REASON_RDPMC] = "RDPMC",
	[REASON_RSM] = "RSM",
	[EXIT_REASON_VMCALL] = "VMCALL",
	[EXIT_REASON_VMCLEAR] = "VMCLEAR",
	[EXIT_REASON_VMLAUNCH] = "VMLAUNCH",
	[EXIT_REASON_VMPTRLD] = "VMPTRLD",
	[EXIT_REASON_VMPTRST] = "VMPTRST",
	[EXIT_REASON_VMREAD] = "VMREAD",
	[EXIT_REASON_VMRESUME] = "VMRESUME",
	[EXIT_REASON_VMWRITE] = "VMWRITE",
	[EXIT_REASON_VMOFF] = "VMXOFF",
	[EXIT_REASON_VMON] = "VMXON",
	[EXIT_REASON_CR_ACCESS] = "CR_ACCESS",
	[EXIT_REASON_DR_ACCESS] = "DR_ACCESS",
	[EXIT_REASON_IO_INSTRUCTION] = "IO",
	[EXIT_REASON_MSR_READ] = "RDMSR",
	[EXIT_REASON_MSR_WRITE] = "WRMSR",
	[EXIT_REASON_INVALID_STATE] = "INVALID_GUEST_STATE",
	[EXIT_REASON_MSR_LOAD_FAIL] = "MSR_LOADING",
	[EXIT_REASON_MWAIT_INSTRUCTION] = "MWAIT",
	[EXIT_REASON_MONITOR_TRAP_FLAG] = "MONITOR_TRAP_FLAG",
	[EXIT_REASON_MONITOR_INSTRUCTION] = "MONITOR",
	[EXIT_REASON_PAUSE_INSTRUCTION] = "PAUSE",
	[EXIT_REASON_MCE_DURING_VMENTRY] = "MCE_DURING_ENTRY",
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = "TPR_BELOW_THRESHOLD",
	[EXIT_REASON_APIC_ACCESS] = "APIC_ACCESS",
	[EXIT_REASON_EOI_INDUCED] = "EOI_INDUCED",
	[EXIT_REASON_APIC_WRITE] = "APIC_WRITE",
	[EXIT_REASON_EPT_VIOLATION] = "EPT_VIOLATION",
	[EXIT_REASON_EPT_MISCONFIG] = "EPT_MISCONFIG",
	[EXIT_REASON_INVEPT] = "INVEPT",
	[EXIT_REASON_PREEMPTION_TIMER] = "PREEMPTION_TIMER",
	[EXIT_REASON_INVVPID] = "INVVPID",
	[EXIT_REASON_WBINVD] = "WBINVD",
	[EXIT_REASON_XSETBV] = "XSETBV",
	[EXIT_REASON_ENCLS] = "ENCLS",
	[EXIT_REASON_PML_FULL] = "PML_FULL",
	[OST_VMX_EXIT_INDEX_REFUSED] = "ENTRY_REFUSED",
	[OST_VMX_EXIT_INDEX_PDPTES] = "LOAD_PDPTES",
	[OST_VMX_EXIT_INDEX_NO_VMX] = "NO_VMX",
	[OST_VMX_EXIT_INDEX_OTHER] = "OTHER",
};
