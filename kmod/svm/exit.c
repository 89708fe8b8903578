// SPDX-License-Identifier: GPL-2.0-only
/* Exits and their handlers, an array by exit code (APM vol. 2, appendix C). */
#include <linux/nospec.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include "../cpuid.h"
#include "../exit.h"
#include "../io.h"
#include "../msr.h"
#include "../mmu/mmu.h"
#include "svm.h"

/* EXITINFO1 of IOIO (15.10.2) */
#define IOIO_IN BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_SIZE(info) ((info) >> 4 & 7)	/* one bit each for 1, 2 and 4 bytes */
#define IOIO_PORT(info) ((u16)((info) >> 16))

/* EXITINFO1 of NPF: a page fault's error code (15.25.6) */
#define NPF_WRITE BIT(1)
#define NPF_FETCH BIT(4)
#define NPF_TRANSLATED BIT_ULL(32)	/* the access itself, not one of the walk of the guest's tables */

/* EXITINFO1 of MOV CR and MOV DR with decode assists (15.33.1) */
#define CR_IS_MOV BIT_ULL(63)
#define CR_GPR(info) ((info) & 15)

/* --- instructions --- */

/*
 * What exits stand for, for CPUs without NRIPS: where the code has that instruction behind nothing but
 * prefixes, and the code can be had at once, its length is known without decoding.
 */
static const struct {
	u8 len;
	u8 opcode[3];
} opcodes[] = {
	[SVM_EXIT_RDPMC] = { 2, { 0x0f, 0x33 } },
	[SVM_EXIT_CPUID] = { 2, { 0x0f, 0xa2 } },
	[SVM_EXIT_INVD] = { 2, { 0x0f, 0x08 } },
	[SVM_EXIT_PAUSE] = { 1, { 0x90 } },
	[SVM_EXIT_HLT] = { 1, { 0xf4 } },
	[SVM_EXIT_MSR] = { 2, { 0x0f } },
	[SVM_EXIT_VMMCALL] = { 3, { 0x0f, 0x01, 0xd9 } },
	[SVM_EXIT_WBINVD] = { 2, { 0x0f, 0x09 } },
	[SVM_EXIT_MONITOR] = { 3, { 0x0f, 0x01, 0xc8 } },
	[SVM_EXIT_MWAIT] = { 3, { 0x0f, 0x01, 0xc9 } },
	[SVM_EXIT_XSETBV] = { 3, { 0x0f, 0x01, 0xd1 } },
};

/* REX is one in 64-bit code only. */
static bool is_prefix(u8 byte, bool mode64)
{
	switch (byte) {
	case 0x40 ... 0x4f:
		return mode64;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64 ... 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

u64 ost_svm_peek_next_rip(struct ost_svm_vcpu *svm)
{
	struct ost_vcpu *vcpu = &svm->vcpu;
	u64 linear = svm->exit_rip, next;
	u32 code = vcpu->exit_index, i;
	bool mode64 = ost_mode64(vcpu);
	u8 bytes[OST_PEEK_BYTES];
	u8 second;

	if (!mode64)
		linear = (u32)(linear + svm->vmcb->save.cs.base);
	if (code >= ARRAY_SIZE(opcodes) || !opcodes[code].len || !ost_peek_code(vcpu, linear, bytes))
		return 0;
	for (i = 0; unlikely(is_prefix(bytes[i], mode64)); i++)
		if (i == OST_PEEK_BYTES - sizeof(opcodes[code].opcode))
			return 0;
	second = opcodes[code].opcode[1];
	if (code == SVM_EXIT_MSR)
		second = svm->vmcb->control.exitinfo1 & 1 ? 0x30 : 0x32;
	if (bytes[i] != opcodes[code].opcode[0] ||
	    (opcodes[code].len > 1 && bytes[i + 1] != second) ||
	    (opcodes[code].len > 2 && bytes[i + 2] != opcodes[code].opcode[2]))
		return 0;
	next = svm->exit_rip + i + opcodes[code].len;
	if (mode64)
		return next;
	/* Whether that wraps depends on the mode. */
	return (next ^ svm->exit_rip) >> 16 ? 0 : next;
}

int ost_svm_skip_instruction(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	if (unlikely(ost_rip(vcpu) != svm->exit_rip))
		return ost_skip_by_decoding(vcpu);
	if (!svm->next_rip) {
		svm->next_rip = ost_svm_peek_next_rip(svm);
		if (!svm->next_rip)
			return ost_skip_by_decoding(vcpu);
	}
	return ost_advance_rip(vcpu, svm->next_rip);
}

static int exit_msr(struct ost_vcpu *vcpu)
{
	bool write = to_svm(vcpu)->vmcb->control.exitinfo1 & 1;

	return write ? ost_exit_wrmsr(vcpu) : ost_exit_rdmsr(vcpu);
}

static int exit_ioio(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	const struct ost_vmcb_control *control = &svm->vmcb->control;
	u64 info = control->exitinfo1;

	if (info & IOIO_STRING)
		return ost_exit_emulate(vcpu);
	/* This exit tells the next RIP on all CPUs. */
	svm->next_rip = control->exitinfo2;
	return ost_exit_pio(vcpu, IOIO_PORT(info), IOIO_SIZE(info), info & IOIO_IN);
}

/* --- control and debug registers --- */

/* MOV to or from a CR whose operand the CPU has decoded. */
static int exit_mov_cr(struct ost_vcpu *vcpu, int cr, bool write, int gpr)
{
	if (write)
		return ost_exit_mov_to_cr(vcpu, cr, gpr);
	return ost_exit_mov_from_cr(vcpu, cr == 0 ? ost_cr0(vcpu) : ost_cr4(vcpu), gpr);
}

static int exit_cr(struct ost_vcpu *vcpu)
{
	u64 info = to_svm(vcpu)->vmcb->control.exitinfo1;
	u32 code = vcpu->exit_index;
	u64 old_cr8;
	int cr;

	cr = code == SVM_EXIT_CR0_SEL_WRITE ? 0 : code & 15;
	if (ost_svm_has(OST_SVM_DECODE_ASSISTS) && (info & CR_IS_MOV))
		return exit_mov_cr(vcpu, cr, code >= SVM_EXIT_WRITE_CR0, CR_GPR(info));
	old_cr8 = ost_get_cr8(vcpu);
	return ost_exit_cr8_written(vcpu, old_cr8, ost_exit_emulate(vcpu));
}

/* --- memory --- */

static int exit_npf(struct ost_vcpu *vcpu)
{
	const struct ost_vmcb_control *control = &to_svm(vcpu)->vmcb->control;
	u64 info = control->exitinfo1;
	u32 flags = 0, nr_bytes = 0;

	if (info & NPF_WRITE)
		flags |= OST_FAULT_WRITE;
	if (info & NPF_FETCH)
		flags |= OST_FAULT_EXEC;
	else if (info & NPF_TRANSLATED)
		flags |= OST_FAULT_TRANSLATED;
	/* Delivered with data faults only (15.33.5). */
	if (!(info & NPF_FETCH) && ost_svm_has(OST_SVM_DECODE_ASSISTS))
		nr_bytes = control->bytes_fetched & 15;
	return ost_exit_nested_fault(vcpu, control->exitinfo2, flags,
				     control->guest_instruction_bytes, nr_bytes);
}

/* --- events --- */

static int exit_vintr(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	vcpu->stats.irq_windows++;
	ost_svm_close_irq_window(svm);
	ost_request(vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

static int exit_iret(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	svm->nmi_iret = true;
	svm->nmi_iret_rip = svm->vmcb->save.rip;
	ost_vmcb_intercept(svm->vmcb, ICPT_IRET, false);
	/* An NMI that waits wants a window right behind it. */
	ost_request(vcpu, OST_REQ_EVENT);
	return OST_RUN;
}

static int exit_excp_db(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	u64 bits = svm->vmcb->save.dr6 ^ DR6_RESERVED;

	vcpu->stats.nmi_windows += svm->stepped;
	/* Of our own single step, unless the guest is stepping too. */
	if (svm->stepped && !(svm->step_rflags & X86_EFLAGS_TF)) {
		bits &= ~(u64)DR_STEP;
		if (!bits)
			return OST_RUN;
	}
	return ost_exit_db(vcpu, bits);
}

static int exit_excp_ac(struct ost_vcpu *vcpu)
{
	ost_exception(vcpu, X86_TRAP_AC, to_svm(vcpu)->vmcb->control.exitinfo1);
	return OST_RUN;
}

static int exit_shutdown(struct ost_vcpu *vcpu)
{
	/* The VMCB is undefined behind it (15.14.3): the VMM finds the state of an INIT. */
	ost_vcpu_preemptible(vcpu);
	ost_vcpu_reset(vcpu, true);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return OST_USER;
}

static int exit_invalid(struct ost_vcpu *vcpu)
{
	return ost_exit_fail_entry(vcpu, to_svm(vcpu)->vmcb->control.exitcode);
}

#define EXCP(vector) (SVM_EXIT_EXCP_BASE + (vector))

static int (*const handlers[OST_SVM_NR_EXIT_INDEXES])(struct ost_vcpu *vcpu) = {
	[SVM_EXIT_READ_CR0] = exit_cr,
	[SVM_EXIT_READ_CR4] = exit_cr,
	[SVM_EXIT_WRITE_CR0] = exit_cr,
	[SVM_EXIT_WRITE_CR4] = exit_cr,
	[SVM_EXIT_WRITE_CR8] = exit_cr,
	[SVM_EXIT_CR0_SEL_WRITE] = exit_cr,
	[SVM_EXIT_READ_DR0 ... SVM_EXIT_READ_DR0 + 15] = ost_exit_mov_dr,
	[SVM_EXIT_WRITE_DR0 ... SVM_EXIT_WRITE_DR0 + 15] = ost_exit_mov_dr,
	[EXCP(X86_TRAP_DB)] = exit_excp_db,
	[EXCP(X86_TRAP_BP)] = ost_exit_bp,
	[EXCP(X86_TRAP_UD)] = ost_exit_undefined,
	[EXCP(X86_TRAP_AC)] = exit_excp_ac,
	[EXCP(X86_TRAP_MC)] = ost_exit_nothing,	/* the host had it */
	[SVM_EXIT_INTR] = ost_exit_nothing,
	[SVM_EXIT_NMI] = ost_exit_nothing,
	[SVM_EXIT_SMI] = ost_exit_nothing,
	[SVM_EXIT_INIT] = ost_exit_nothing,
	[SVM_EXIT_VINTR] = exit_vintr,
	[SVM_EXIT_RDPMC] = ost_exit_rdpmc,
	[SVM_EXIT_CPUID] = ost_exit_cpuid,
	[SVM_EXIT_IRET] = exit_iret,
	[SVM_EXIT_RSM] = ost_exit_rsm,
	[SVM_EXIT_INVD] = ost_exit_skip,		/* what it would lose is the host's too */
	[SVM_EXIT_PAUSE] = ost_exit_pause,
	[SVM_EXIT_HLT] = ost_exit_hlt,
	[SVM_EXIT_INVLPGA] = ost_exit_ud,
	[SVM_EXIT_IOIO] = exit_ioio,
	[SVM_EXIT_MSR] = exit_msr,
	[SVM_EXIT_SHUTDOWN] = exit_shutdown,
	[SVM_EXIT_VMRUN] = ost_exit_ud,
	[SVM_EXIT_VMMCALL] = ost_exit_hypercall,
	[SVM_EXIT_VMLOAD] = ost_exit_ud,
	[SVM_EXIT_VMSAVE] = ost_exit_ud,
	[SVM_EXIT_STGI] = ost_exit_ud,
	[SVM_EXIT_CLGI] = ost_exit_ud,
	[SVM_EXIT_SKINIT] = ost_exit_ud,
	[SVM_EXIT_RDTSCP] = ost_exit_ud,
	[SVM_EXIT_WBINVD] = ost_exit_wbinvd,
	[SVM_EXIT_MONITOR] = ost_exit_monitor,
	[SVM_EXIT_MWAIT] = ost_exit_monitor,
	[SVM_EXIT_XSETBV] = ost_exit_xsetbv,
	[SVM_EXIT_RDPRU] = ost_exit_ud,
	[SVM_EXIT_INVPCID] = ost_exit_ud,
	[OST_SVM_EXIT_INDEX_NPF] = exit_npf,
	[OST_SVM_EXIT_INDEX_INVALID] = exit_invalid,
};

enum ost_exit_fast ost_svm_handle_exit_fast(struct ost_vcpu *vcpu)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	switch (vcpu->exit_index) {
	case SVM_EXIT_IOIO:
		/* A next RIP of 0 would be taken for one that is not known, and decoding may have to sleep. */
		if ((svm->vmcb->control.exitinfo1 & IOIO_STRING) || !svm->vmcb->control.exitinfo2)
			return OST_EXIT_SLOW;
		return ost_exit_fast(exit_ioio(vcpu));
	case SVM_EXIT_MSR:
		if ((svm->vmcb->control.exitinfo1 & 1) && !ost_msr_write_is_fast(vcpu))
			return OST_EXIT_SLOW;
		break;
	case SVM_EXIT_VMMCALL:
		if (!ost_hypercall_is_fast(vcpu))
			return OST_EXIT_SLOW;
		break;
	case SVM_EXIT_CPUID:
		break;
	default:
		return OST_EXIT_SLOW;
	}
	/* Decoding may have to sleep. */
	if (!svm->next_rip) {
		svm->next_rip = ost_svm_peek_next_rip(svm);
		if (unlikely(!svm->next_rip))
			return OST_EXIT_SLOW;
	}
	switch (vcpu->exit_index) {
	case SVM_EXIT_CPUID:
		return ost_exit_fast(ost_exit_cpuid(vcpu));
	case SVM_EXIT_VMMCALL:
		return ost_exit_fast(ost_exit_hypercall(vcpu));
	default:
		return ost_exit_fast(exit_msr(vcpu));
	}
}

int ost_svm_handle_exit(struct ost_vcpu *vcpu)
{
	u32 index = array_index_nospec(vcpu->exit_index, OST_SVM_NR_EXIT_INDEXES);

	if (unlikely(!handlers[index]))
		return ost_exit_unexpected(vcpu, to_svm(vcpu)->vmcb->control.exitcode);
	return handlers[index](vcpu);
}

/* The manual's names, without VMEXIT_. */
void ost_svm_describe_exit(struct ost_vcpu *vcpu, u64 *words)
{
	const struct ost_vmcb_control *control = &to_svm(vcpu)->vmcb->control;

	words[0] = control->exitcode;
	words[1] = control->exitinfo1;
}

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
	[EXCP(X86_TRAP_UD)] = "EXCP_UD",
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
	[SVM_EXIT_RSM] = "RSM",
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
