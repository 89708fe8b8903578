/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h for assembly: the kernel's mitigations around a guest's run, said so that they assemble
 * for every kernel and use no symbol that newer kernels reserve (design D2).
 */
#ifndef OST_COMPAT_ASM_H
#define OST_COMPAT_ASM_H

#include <asm/alternative.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>

/*
 * Which bit asks for VERW before a guest runs. Kernels had one for user space and guests alike; with the
 * mitigation of TSA came one for guests, on AMD's CPUs; later it came to stand for Intel's too, together
 * with one for guests that have devices' memory, which ours have not.
 */
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM
#define OST_SVM_CLEAR_CPU_BUF X86_FEATURE_CLEAR_CPU_BUF_VM
#else
#define OST_SVM_CLEAR_CPU_BUF X86_FEATURE_CLEAR_CPU_BUF
#endif
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM_MMIO
#define OST_VMX_CLEAR_CPU_BUF X86_FEATURE_CLEAR_CPU_BUF_VM
#else
#define OST_VMX_CLEAR_CPU_BUF X86_FEATURE_CLEAR_CPU_BUF
#endif

/*
 * VERW with a memory operand, where the host asks for it by `feature` (MDS, TAA, RFDS, TSA). The operand is
 * compat.c's; the kernel's own is reserved for the stock modules in newer kernels. Clobbers RFLAGS.ZF only.
 */
.macro OST_CLEAR_CPU_BUFFERS feature:req
	ALTERNATIVE "jmp .Lskip_verw_\@", "", \feature
	verw ost_verw_selector(%rip)
.Lskip_verw_\@:
.endm

/*
 * After a guest's run and before the first RET: untrains the return predictor (Retbleed, SRSO), or
 * issues an IBPB where the host chose that. Not every CPU's IBPB clears the return predictor, so the
 * RSB is filled anew behind it. Clobbers RAX, RCX, RDX and flags.
 */
.macro OST_UNTRAIN_RET
	CALL_UNTRAIN_RET
	ALTERNATIVE_2 "jmp .Lskip_ibpb_\@", "", X86_FEATURE_ENTRY_IBPB, "", X86_FEATURE_IBPB_ON_VMEXIT
	movl $MSR_IA32_PRED_CMD, %ecx
	movl $PRED_CMD_IBPB, %eax
	xorl %edx, %edx
	wrmsr
	__FILL_RETURN_BUFFER(%rax, RSB_CLEAR_LOOPS)
.Lskip_ibpb_\@:
.endm

/* The bit that asks for the branch history to be cleared after a guest's run was renamed in 6.18. */
#if defined(X86_FEATURE_CLEAR_BHB_VMEXIT)
#define OST_FEATURE_CLEAR_BHB X86_FEATURE_CLEAR_BHB_VMEXIT
#elif defined(X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT)
#define OST_FEATURE_CLEAR_BHB X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT
#else
#define OST_FEATURE_CLEAR_BHB X86_FEATURE_CLEAR_BHB_LOOP
#endif

/*
 * Branch history injection: 199 taken branches, more than the history of any affected CPU holds (194),
 * push out what the guest has left in it. The kernel's own function is reserved in newer kernels.
 * Clobbers RCX and flags.
 */
.macro OST_CLEAR_BRANCH_HISTORY
	ALTERNATIVE "jmp .Lskip_bhb_\@", "", OST_FEATURE_CLEAR_BHB
	movl $100, %ecx
.Lbhb_\@:
	jmp .Lbhb_taken_\@
	int3
.Lbhb_taken_\@:
	subl $1, %ecx
	jnz .Lbhb_\@
	lfence
.Lskip_bhb_\@:
.endm

#endif
