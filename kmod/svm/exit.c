// SPDX-License-Identifier: GPL-2.0-only
/* Exits and their handlers, an array by exit code (APM vol. 2, appendix C). */
#include <linux/nospec.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include "../cpuid.h"
#include "../io.h"
#include "../msr.h"
#include "svm.h"

/* EXITINFO1 of IOIO (15.10.2) */
#define IOIO_IN BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_SIZE(info) ((info) >> 4 & 7)	/* one bit each for 1, 2 and 4 bytes */
#define IOIO_PORT(info) ((u16)((info) >> 16))

/* EXITINFO1 of NPF: a page fault's error code (15.25.6) */
#define NPF_PRESENT BIT(0)
#define NPF_WRITE BIT(1)
#define NPF_FETCH BIT(4)

/* EXITINFO1 of MOV CR and MOV DR with decode assists (15.33.1) */
#define CR_IS_MOV BIT_ULL(63)
#define CR_GPR(info) ((info) & 15)

u32 ost_svm_exit_index(u64 exitcode)
{
	if (likely(exitcode < OST_SVM_EXIT_INDEX_NPF))
		return exitcode;
	if (exitcode == SVM_EXIT_NPF)
		return OST_SVM_EXIT_INDEX_NPF;
	/* VMEXIT_INVALID is -1; older CPUs write 32 bits of it. */
	if ((u32)exitcode == ~0u)
		return OST_SVM_EXIT_INDEX_INVALID;
	return OST_SVM_EXIT_INDEX_OTHER;
}

/* --- instructions --- */

int ost_svm_skip_instruction(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	u64 rflags = ost_rflags(vcpu);

	if (!svm->next_rip || ost_rip(vcpu) != svm->exit_rip)
		return ost_emulate_instruction(vcpu, ~0ull, OST_EMUL_SKIP);
	ost_reg_set(vcpu, OST_REG_RIP, svm->next_rip);
	ost_svm_set_interrupt_shadow(vcpu, 0);
	if (unlikely(rflags & X86_EFLAGS_RF))
		ost_reg_set(vcpu, OST_REG_RFLAGS, rflags & ~(u64)X86_EFLAGS_RF);
	if (unlikely(rflags & X86_EFLAGS_TF))
		return ost_debug_exception(vcpu, DR_STEP);
	return OST_RUN;
}

int ost_svm_insn_bytes(struct ost_vcpu *vcpu, u8 *buf)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	const struct ost_vmcb_control *control = &svm->vmcb->control;
	u32 count = control->bytes_fetched & 15;

	/* Delivered with data faults only, and only good for the instruction that exited (15.33.5). */
	if (!ost_svm_has(OST_SVM_DECODE_ASSISTS) || vcpu->exit_index != OST_SVM_EXIT_INDEX_NPF ||
	    (control->exitinfo1 & NPF_FETCH) || ost_rip(vcpu) != svm->exit_rip)
		return 0;
	memcpy(buf, control->guest_instruction_bytes, count);
	return count;
}

static int emulate(struct ost_svm_vcpu *svm)
{
	return ost_emulate_instruction(&svm->vcpu, ~0ull, 0);
}

static int skip(struct ost_svm_vcpu *svm)
{
	return ost_svm_skip_instruction(&svm->vcpu);
}

static int exit_ud(struct ost_svm_vcpu *svm)
{
	ost_ud(&svm->vcpu);
	return OST_RUN;
}

static int exit_cpuid(struct ost_svm_vcpu *svm)
{
	return ost_exit_cpuid(&svm->vcpu);
}

static int exit_msr(struct ost_svm_vcpu *svm)
{
	return svm->vmcb->control.exitinfo1 & 1 ? ost_exit_wrmsr(&svm->vcpu) :
						  ost_exit_rdmsr(&svm->vcpu);
}

static int exit_ioio(struct ost_svm_vcpu *svm)
{
	const struct ost_vmcb_control *control = &svm->vmcb->control;
	u64 info = control->exitinfo1;

	if (info & IOIO_STRING)
		return emulate(svm);
	/* This exit tells the next RIP on all CPUs. */
	svm->next_rip = control->exitinfo2;
	return ost_exit_pio(&svm->vcpu, IOIO_PORT(info), IOIO_SIZE(info), info & IOIO_IN);
}

static int exit_hlt(struct ost_svm_vcpu *svm)
{
	return ost_exit_hlt(&svm->vcpu);
}

static int exit_vmmcall(struct ost_svm_vcpu *svm)
{
	return ost_exit_hypercall(&svm->vcpu);
}

static int exit_xsetbv(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;

	if (ost_svm_get_cpl(vcpu) ||
	    ost_set_xcr(vcpu, ost_reg(vcpu, OST_REG_RCX), ost_edx_eax(vcpu))) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	return skip(svm);
}

static int exit_rdpmc(struct ost_svm_vcpu *svm)
{
	/* There are no performance counters. */
	ost_gp(&svm->vcpu, 0);
	return OST_RUN;
}

/* A MONITOR that never arms and an MWAIT that wakes at once are allowed ones. */
static int exit_monitor(struct ost_svm_vcpu *svm)
{
	return ost_has(&svm->vcpu, MONITOR) ? skip(svm) : exit_ud(svm);
}

static int exit_pause(struct ost_svm_vcpu *svm)
{
	/* It spins, perhaps for a lock whose holder waits for this CPU. */
	ost_vcpu_preemptible(&svm->vcpu);
	yield();
	return skip(svm);
}

/* --- control and debug registers --- */

static int cr_read(struct ost_vcpu *vcpu, int cr, u64 *val)
{
	switch (cr) {
	case 0:
		*val = ost_cr0(vcpu);
		return 0;
	case 4:
		*val = ost_cr4(vcpu);
		return 0;
	default:
		return -EINVAL;
	}
}

static int cr_write(struct ost_vcpu *vcpu, int cr, u64 val)
{
	switch (cr) {
	case 0:
		return ost_set_cr0(vcpu, val);
	case 4:
		return ost_set_cr4(vcpu, val);
	case 8:
		return ost_set_cr8(vcpu, val);
	default:
		return -EINVAL;
	}
}

/* MOV to or from a CR whose operand the CPU has decoded. */
static int exit_mov_cr(struct ost_svm_vcpu *svm, int cr, bool write)
{
	struct ost_vcpu *vcpu = &svm->vcpu;
	int gpr = CR_GPR(svm->vmcb->control.exitinfo1);
	bool mode64 = ost_mode64(vcpu);
	u64 val;
	int r;

	if (write) {
		val = ost_reg(vcpu, gpr);
		r = cr_write(vcpu, cr, mode64 ? val : (u32)val);
	} else {
		r = cr_read(vcpu, cr, &val);
		if (!r)
			ost_reg_set(vcpu, gpr, mode64 ? val : (u32)val);
	}
	if (r) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	return skip(svm);
}

static int exit_cr(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;
	u32 code = vcpu->exit_index;
	u64 old_cr8 = ost_get_cr8(vcpu);
	bool write;
	int cr, r;

	cr = code == SVM_EXIT_CR0_SEL_WRITE ? 0 : code & 15;
	write = code >= SVM_EXIT_WRITE_CR0;
	/* CR0 and CR4 may have the guest's PDPTEs read, in memory that may be swapped out. */
	if (cr != 8)
		ost_vcpu_preemptible(vcpu);
	if (ost_svm_has(OST_SVM_DECODE_ASSISTS) && (svm->vmcb->control.exitinfo1 & CR_IS_MOV))
		r = exit_mov_cr(svm, cr, write);
	else
		r = emulate(svm);
	if (r == OST_RUN && cr == 8 && !vcpu->apic && ost_get_cr8(vcpu) < old_cr8) {
		vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
		return OST_USER;
	}
	return r;
}

static int exit_dr(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;

	/* The instruction is executed again, by the CPU, with the guest's registers loaded. */
	svm->dr_live = true;
	ost_svm_update_debug(vcpu);
	return OST_RUN;
}

/* --- memory --- */

static int exit_npf(struct ost_svm_vcpu *svm)
{
	const struct ost_vmcb_control *control = &svm->vmcb->control;
	struct ost_vcpu *vcpu = &svm->vcpu;
	gpa_t gpa = control->exitinfo2;
	enum ost_fault_result result;
	u32 flags = 0;

	if (control->exitinfo1 & NPF_WRITE)
		flags |= OST_FAULT_WRITE;
	if (control->exitinfo1 & NPF_FETCH)
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

/* --- events --- */

static int exit_nothing(struct ost_svm_vcpu *svm)
{
	return OST_RUN;
}

static int exit_vintr(struct ost_svm_vcpu *svm)
{
	svm->vcpu.stats.irq_windows++;
	ost_svm_close_irq_window(svm);
	ost_request(&svm->vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

static int exit_iret(struct ost_svm_vcpu *svm)
{
	svm->nmi_iret = true;
	svm->nmi_iret_rip = svm->vmcb->save.rip;
	ost_vmcb_intercept(svm->vmcb, ICPT_IRET, false);
	/* An NMI that waits wants a window right behind it. */
	ost_request(&svm->vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

static int exit_excp_db(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;
	u64 bits = svm->vmcb->save.dr6 ^ DR6_RESERVED;

	svm->vcpu.stats.nmi_windows += svm->stepped;
	/* Of our own single step, unless the guest is stepping too. */
	if (svm->stepped && !(svm->step_rflags & X86_EFLAGS_TF)) {
		bits &= ~(u64)DR_STEP;
		if (!bits)
			return OST_RUN;
	}
	return ost_debug_exception(vcpu, bits);
}

static int exit_excp_ac(struct ost_svm_vcpu *svm)
{
	ost_exception(&svm->vcpu, X86_TRAP_AC, svm->vmcb->control.exitinfo1);
	return OST_RUN;
}

static int exit_shutdown(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;

	/* The VMCB is undefined behind it (15.14.3): the VMM finds the state of an INIT. */
	ost_vcpu_preemptible(vcpu);
	ost_vcpu_reset(vcpu, true);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return OST_USER;
}

static int exit_invalid(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;

	ost_svm_dump(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = svm->vmcb->control.exitcode;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return OST_USER;
}

#define EXCP(vector) (SVM_EXIT_EXCP_BASE + (vector))

static int (*const handlers[OST_SVM_NR_EXIT_INDEXES])(struct ost_svm_vcpu *svm) = {
	[SVM_EXIT_READ_CR0] = exit_cr,
	[SVM_EXIT_READ_CR4] = exit_cr,
	[SVM_EXIT_WRITE_CR0] = exit_cr,
	[SVM_EXIT_WRITE_CR4] = exit_cr,
	[SVM_EXIT_WRITE_CR8] = exit_cr,
	[SVM_EXIT_CR0_SEL_WRITE] = exit_cr,
	[SVM_EXIT_READ_DR0 ... SVM_EXIT_READ_DR0 + 15] = exit_dr,
	[SVM_EXIT_WRITE_DR0 ... SVM_EXIT_WRITE_DR0 + 15] = exit_dr,
	[EXCP(X86_TRAP_DB)] = exit_excp_db,
	[EXCP(X86_TRAP_AC)] = exit_excp_ac,
	[EXCP(X86_TRAP_MC)] = exit_nothing,	/* the host had it */
	[SVM_EXIT_INTR] = exit_nothing,
	[SVM_EXIT_NMI] = exit_nothing,
	[SVM_EXIT_SMI] = exit_nothing,
	[SVM_EXIT_INIT] = exit_nothing,
	[SVM_EXIT_VINTR] = exit_vintr,
	[SVM_EXIT_RDPMC] = exit_rdpmc,
	[SVM_EXIT_CPUID] = exit_cpuid,
	[SVM_EXIT_IRET] = exit_iret,
	[SVM_EXIT_INVD] = skip,			/* what it would lose is the host's too */
	[SVM_EXIT_PAUSE] = exit_pause,
	[SVM_EXIT_HLT] = exit_hlt,
	[SVM_EXIT_INVLPGA] = exit_ud,
	[SVM_EXIT_IOIO] = exit_ioio,
	[SVM_EXIT_MSR] = exit_msr,
	[SVM_EXIT_SHUTDOWN] = exit_shutdown,
	[SVM_EXIT_VMRUN] = exit_ud,
	[SVM_EXIT_VMMCALL] = exit_vmmcall,
	[SVM_EXIT_VMLOAD] = exit_ud,
	[SVM_EXIT_VMSAVE] = exit_ud,
	[SVM_EXIT_STGI] = exit_ud,
	[SVM_EXIT_CLGI] = exit_ud,
	[SVM_EXIT_SKINIT] = exit_ud,
	[SVM_EXIT_RDTSCP] = exit_ud,
	[SVM_EXIT_WBINVD] = skip,		/* caches are coherent with all devices there are */
	[SVM_EXIT_MONITOR] = exit_monitor,
	[SVM_EXIT_MWAIT] = exit_monitor,
	[SVM_EXIT_XSETBV] = exit_xsetbv,
	[SVM_EXIT_RDPRU] = exit_ud,
	[SVM_EXIT_INVPCID] = exit_ud,
	[OST_SVM_EXIT_INDEX_NPF] = exit_npf,
	[OST_SVM_EXIT_INDEX_INVALID] = exit_invalid,
};

int ost_svm_handle_exit(struct ost_vcpu *vcpu)
{
	u32 index = array_index_nospec(vcpu->exit_index, OST_SVM_NR_EXIT_INDEXES);
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	if (unlikely(!handlers[index])) {
		ost_vcpu_preemptible(vcpu);
		return ost_exit_unexpected(vcpu, svm->vmcb->control.exitcode);
	}
	return handlers[index](svm);
}

/* The manual's names, without VMEXIT_. */
const char *const ost_svm_exit_names[OST_SVM_NR_EXIT_INDEXES] = {
	[SVM_EXIT_READ_CR0] = "CR0_READ",
	[SVM_EXIT_READ_CR4] = "CR4_READ",
	[SVM_EXIT_WRITE_CR0] = "CR0_WRITE",
	[SVM_EXIT_WRITE_CR4] = "CR4_WRITE",
	[SVM_EXIT_WRITE_CR8] = "CR8_WRITE",
	[SVM_EXIT_CR0_SEL_WRITE] = "CR0_SEL_WRITE",
	[SVM_EXIT_READ_DR0] = "DR0_READ",
	[SVM_EXIT_READ_DR1] = "DR1_READ",
	[SVM_EXIT_READ_DR2] = "DR2_READ",
	[SVM_EXIT_READ_DR3] = "DR3_READ",
	[SVM_EXIT_READ_DR4] = "DR4_READ",
	[SVM_EXIT_READ_DR5] = "DR5_READ",
	[SVM_EXIT_READ_DR6] = "DR6_READ",
	[SVM_EXIT_READ_DR7] = "DR7_READ",
	[SVM_EXIT_WRITE_DR0] = "DR0_WRITE",
	[SVM_EXIT_WRITE_DR1] = "DR1_WRITE",
	[SVM_EXIT_WRITE_DR2] = "DR2_WRITE",
	[SVM_EXIT_WRITE_DR3] = "DR3_WRITE",
	[SVM_EXIT_WRITE_DR4] = "DR4_WRITE",
	[SVM_EXIT_WRITE_DR5] = "DR5_WRITE",
	[SVM_EXIT_WRITE_DR6] = "DR6_WRITE",
	[SVM_EXIT_WRITE_DR7] = "DR7_WRITE",
	[EXCP(X86_TRAP_DB)] = "EXCP_DB",
	[EXCP(X86_TRAP_BP)] = "EXCP_BP",
	[EXCP(X86_TRAP_AC)] = "EXCP_AC",
	[EXCP(X86_TRAP_MC)] = "EXCP_MC",
	[SVM_EXIT_INTR] = "INTR",
	[SVM_EXIT_NMI] = "NMI",
	[SVM_EXIT_SMI] = "SMI",
	[SVM_EXIT_INIT] = "INIT",
	[SVM_EXIT_VINTR] = "VINTR",
	[SVM_EXIT_RDPMC] = "RDPMC",
	[SVM_EXIT_CPUID] = "CPUID",
	[SVM_EXIT_IRET] = "IRET",
	[SVM_EXIT_INVD] = "INVD",
	[SVM_EXIT_PAUSE] = "PAUSE",
	[SVM_EXIT_HLT] = "HLT",
	[SVM_EXIT_INVLPGA] = "INVLPGA",
	[SVM_EXIT_IOIO] = "IOIO",
	[SVM_EXIT_MSR] = "MSR",
	[SVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	[SVM_EXIT_VMRUN] = "VMRUN",
	[SVM_EXIT_VMMCALL] = "VMMCALL",
	[SVM_EXIT_VMLOAD] = "VMLOAD",
	[SVM_EXIT_VMSAVE] = "VMSAVE",
	[SVM_EXIT_STGI] = "STGI",
	[SVM_EXIT_CLGI] = "CLGI",
	[SVM_EXIT_SKINIT] = "SKINIT",
	[SVM_EXIT_RDTSCP] = "RDTSCP",
	[SVM_EXIT_WBINVD] = "WBINVD",
	[SVM_EXIT_MONITOR] = "MONITOR",
	[SVM_EXIT_MWAIT] = "MWAIT",
	[SVM_EXIT_XSETBV] = "XSETBV",
	[SVM_EXIT_RDPRU] = "RDPRU",
	[SVM_EXIT_INVPCID] = "INVPCID",
	[OST_SVM_EXIT_INDEX_NPF] = "NPF",
	[OST_SVM_EXIT_INDEX_INVALID] = "INVALID",
	[OST_SVM_EXIT_INDEX_OTHER] = "OTHER",
};
