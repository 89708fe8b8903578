// SPDX-License-Identifier: GPL-2.0-only
/* Exits and their handlers, an array by basic exit reason (appendix C). */
#include <linux/nospec.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include "../cpuid.h"
#include "../exit.h"
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
/* A linear address was translated, and the access is to what came of it. */
#define EPT_TRANSLATED (BIT(7) | BIT(8))

/* Of debug exceptions (table 28-1) */
#define DB_BITS (DR_TRAP_BITS | BIT(13) | DR_STEP)

static u64 qualification(struct ost_vcpu *vcpu)
{
	return ost_vmcs_get(to_vmx(vcpu), EXIT_QUALIFICATION);
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

/* What ost_advance_rip() works with, without a call for each. */
static __always_inline void fetch_rip_rflags(struct ost_vmx_vcpu *vmx)
{
	struct ost_vcpu *vcpu = &vmx->vcpu;

	if (!(vcpu->regs_avail & BIT(OST_REG_RIP)))
		vcpu->regs[OST_REG_RIP] = ost_vmcs_read(vmx, GUEST_RIP);
	if (!(vcpu->regs_avail & BIT(OST_REG_RFLAGS)))
		vcpu->regs[OST_REG_RFLAGS] = ost_vmcs_read(vmx, GUEST_RFLAGS);
	vcpu->regs_avail |= BIT(OST_REG_RIP) | BIT(OST_REG_RFLAGS);
}

int ost_vmx_skip_instruction(struct ost_vcpu *vcpu)
{
	u64 rip, next;

	/* The length is that of the instruction that exited, so RIP must still be at it. */
	if (!has_length(vcpu->exit_index) || (vcpu->regs_dirty & BIT(OST_REG_RIP)))
		return ost_skip_by_decoding(vcpu);
	fetch_rip_rflags(to_vmx(vcpu));
	rip = ost_rip(vcpu);
	next = rip + ost_vmcs_get(to_vmx(vcpu), VM_EXIT_INSTRUCTION_LEN);
	if (unlikely((rip ^ next) >> 32) && !ost_mode64(vcpu))
		next = (u32)next;
	return ost_advance_rip(vcpu, next);
}

static int exit_io(struct ost_vcpu *vcpu)
{
	u64 qual = qualification(vcpu);

	if (qual & IO_STRING)
		return ost_exit_emulate(vcpu);
	return ost_exit_pio(vcpu, IO_PORT(qual), IO_SIZE(qual), qual & IO_IN);
}

enum ost_exit_fast ost_vmx_exit_io_fast(struct ost_vcpu *vcpu)
{
	return qualification(vcpu) & IO_STRING ? OST_EXIT_SLOW : ost_exit_fast(exit_io(vcpu));
}

/* --- control and debug registers --- */

static int exit_cr(struct ost_vcpu *vcpu)
{
	u64 qual = qualification(vcpu), cr0;
	int cr = CR_NUMBER(qual);

	switch (CR_ACCESS(qual)) {
	case CR_MOV_TO:
		return ost_exit_mov_to_cr(vcpu, cr, CR_GPR(qual));
	case CR_MOV_FROM:
		return ost_exit_mov_from_cr(vcpu, cr == 8 ? ost_get_cr8(vcpu) : ost_cr3(vcpu),
					    CR_GPR(qual));
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
	return ost_exit_skip(vcpu);
}

static int unexpected(struct ost_vcpu *vcpu)
{
	return ost_exit_unexpected(vcpu, to_vmx(vcpu)->reason);
}

/* --- memory --- */

static int exit_ept_violation(struct ost_vcpu *vcpu)
{
	gpa_t gpa = ost_vmcs_get(to_vmx(vcpu), GUEST_PHYSICAL_ADDRESS);
	u64 qual = qualification(vcpu);
	u32 flags = 0;

	if (qual & EPT_WRITE)
		flags |= OST_FAULT_WRITE;
	if (qual & EPT_FETCH)
		flags |= OST_FAULT_EXEC;
	else if ((qual & EPT_TRANSLATED) == EPT_TRANSLATED)
		flags |= OST_FAULT_TRANSLATED;
	return ost_exit_nested_fault(vcpu, gpa, flags, NULL, 0);
}

/*
 * Only entries for MMIO are so (29.3.3.1). If a slot has come meanwhile, the emulator finds memory there and
 * is right as well.
 */
static int exit_ept_misconfig(struct ost_vcpu *vcpu)
{
	gpa_t gpa = ost_vmcs_get(to_vmx(vcpu), GUEST_PHYSICAL_ADDRESS);
	int r;

	if (!ost_vmx_pte_format.mmio)
		return unexpected(vcpu);
	if (ost_mmio_page_known(vcpu, gpa) || !ost_vcpu_has_slot(vcpu, gpa, false)) {
		r = ost_mmio_mov(vcpu, gpa, OST_MMIO_EITHER);
		if (r != -EOPNOTSUPP)
			return r;
	}
	return ost_mmio(vcpu, gpa, NULL, 0);
}

/* The PDPTEs are in guest memory, which may be swapped out: now they can be waited for. */
static int exit_pdptes(struct ost_vcpu *vcpu)
{
	ost_vcpu_preemptible(vcpu);
	ost_vmx_load_pdptes(vcpu);
	return OST_RUN;
}

static int exit_no_vmx(struct ost_vcpu *vcpu)
{
	return -EBUSY;
}

/* --- events --- */

static int exit_irq_window(struct ost_vcpu *vcpu)
{
	vcpu->stats.irq_windows++;
	ost_vmx_close_window(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING);
	return OST_RUN;
}

static int exit_nmi_window(struct ost_vcpu *vcpu)
{
	vcpu->stats.nmi_windows++;
	ost_vmx_close_window(to_vmx(vcpu), CPU_BASED_NMI_WINDOW_EXITING);
	return OST_RUN;
}

static int exit_tpr(struct ost_vcpu *vcpu)
{
	ost_request(vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

/* Did the guest ask for alignment checks (vol. 3A, 6.15)? */
static bool guest_checks_alignment(struct ost_vcpu *vcpu)
{
	return (ost_cr0(vcpu) & X86_CR0_AM) && (ost_rflags(vcpu) & X86_EFLAGS_AC) &&
	       ost_vmx_get_cpl(vcpu) == 3;
}

static int exit_ac(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
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

static int exit_exception(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	u32 info = ost_vmcs_get(vmx, VM_EXIT_INTR_INFO);

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
		return ost_exit_db(vcpu, qualification(vcpu) & DB_BITS);
	case X86_TRAP_UD:
		return ost_exit_undefined(vcpu);
	case X86_TRAP_BP:
		return ost_exit_bp(vcpu);
	case X86_TRAP_AC:
		return exit_ac(vcpu);
	default:
		return unexpected(vcpu);
	}
}

/* Exit qualification: table 28-2. IRET's length is told as well (28.2.5). */
static int exit_task_switch(struct ost_vcpu *vcpu)
{
	u64 qual = qualification(vcpu);
	enum ost_task_source source = qual >> 30 & 3;
	u32 len = source == OST_TASK_GATE ? 0 : ost_vmcs_get(to_vmx(vcpu), VM_EXIT_INSTRUCTION_LEN);

	return ost_exit_task_switch(vcpu, qual, source, len);
}

static int exit_triple_fault(struct ost_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return OST_USER;
}

static int exit_refused(struct ost_vcpu *vcpu)
{
	return ost_exit_fail_entry(vcpu, ost_vmcs_read(to_vmx(vcpu), VM_INSTRUCTION_ERROR));
}

/* As the CPU would have said it. */
static int exit_broken(struct ost_vcpu *vcpu)
{
	return ost_exit_fail_entry(vcpu, VMX_EXIT_REASONS_FAILED_VMENTRY | EXIT_REASON_INVALID_STATE);
}

static int exit_invalid_state(struct ost_vcpu *vcpu)
{
	return ost_exit_fail_entry(vcpu, to_vmx(vcpu)->reason);
}

static int (*const handlers[OST_VMX_NR_EXIT_INDEXES])(struct ost_vcpu *vcpu) = {
	[EXIT_REASON_EXCEPTION_NMI] = exit_exception,
	[EXIT_REASON_EXTERNAL_INTERRUPT] = ost_exit_nothing,
	[EXIT_REASON_TRIPLE_FAULT] = exit_triple_fault,
	[EXIT_REASON_INTERRUPT_WINDOW] = exit_irq_window,
	[EXIT_REASON_NMI_WINDOW] = exit_nmi_window,
	[EXIT_REASON_TASK_SWITCH] = exit_task_switch,
	[EXIT_REASON_CPUID] = ost_exit_cpuid,
	[REASON_GETSEC] = ost_exit_ud,
	[EXIT_REASON_HLT] = ost_exit_hlt,
	[EXIT_REASON_INVD] = ost_exit_skip,		/* what it would lose is the host's too */
	[EXIT_REASON_RDPMC] = ost_exit_rdpmc,
	[REASON_RSM] = ost_exit_ud,
	[EXIT_REASON_VMCALL] = ost_exit_hypercall,
	[EXIT_REASON_VMCLEAR ... EXIT_REASON_VMON] = ost_exit_ud,
	[EXIT_REASON_CR_ACCESS] = exit_cr,
	[EXIT_REASON_DR_ACCESS] = ost_exit_mov_dr,
	[EXIT_REASON_IO_INSTRUCTION] = exit_io,
	[EXIT_REASON_MSR_READ] = ost_exit_rdmsr,
	[EXIT_REASON_MSR_WRITE] = ost_exit_wrmsr,
	[EXIT_REASON_INVALID_STATE] = exit_invalid_state,
	[EXIT_REASON_MSR_LOAD_FAIL] = exit_invalid_state,
	[EXIT_REASON_MWAIT_INSTRUCTION] = ost_exit_monitor,
	[EXIT_REASON_MONITOR_INSTRUCTION] = ost_exit_monitor,
	[EXIT_REASON_PAUSE_INSTRUCTION] = ost_exit_pause,
	[EXIT_REASON_MCE_DURING_VMENTRY] = ost_exit_nothing, /* the host had it; the entry is tried again */
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = exit_tpr,
	[EXIT_REASON_EPT_VIOLATION] = exit_ept_violation,
	[EXIT_REASON_EPT_MISCONFIG] = exit_ept_misconfig,
	[EXIT_REASON_INVEPT] = ost_exit_ud,
	[EXIT_REASON_INVVPID] = ost_exit_ud,
	[EXIT_REASON_WBINVD] = ost_exit_wbinvd,
	[EXIT_REASON_XSETBV] = ost_exit_xsetbv,
	[EXIT_REASON_ENCLS] = ost_exit_ud,
	[EXIT_REASON_APIC_ACCESS] = ost_vmx_exit_apic_access,
	[EXIT_REASON_EOI_INDUCED] = ost_vmx_exit_eoi,
	[EXIT_REASON_APIC_WRITE] = ost_vmx_exit_apic_write,
	[EXIT_REASON_PML_FULL] = ost_vmx_exit_pml_full,
	[OST_VMX_EXIT_INDEX_REFUSED] = exit_refused,
	[OST_VMX_EXIT_INDEX_PDPTES] = exit_pdptes,
	[OST_VMX_EXIT_INDEX_NO_VMX] = exit_no_vmx,
	[OST_VMX_EXIT_INDEX_BROKEN] = exit_broken,
};

int ost_vmx_handle_exit(struct ost_vcpu *vcpu)
{
	u32 index = array_index_nospec(vcpu->exit_index, OST_VMX_NR_EXIT_INDEXES);

	if (unlikely(!handlers[index]))
		return unexpected(vcpu);
	return handlers[index](vcpu);
}

/* The manual's names. */
void ost_vmx_describe_exit(struct ost_vcpu *vcpu, u64 *words)
{
	words[0] = to_vmx(vcpu)->reason;
	words[1] = qualification(vcpu);
}

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
	[OST_VMX_EXIT_INDEX_BROKEN] = "ENTRY_BROKEN",
	[OST_VMX_EXIT_INDEX_OTHER] = "OTHER",
};
