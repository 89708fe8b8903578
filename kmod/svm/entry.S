/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch (APM vol. 2, 15.5).
 *
 * GIF is clear from before the guest's FS, GS, TR and LDTR are loaded until the host's are back: an
 * NMI in between would run on the guest's GS base and find its stacks through the guest's TR.
 * RFLAGS.IF is set at VMRUN, so that with V_INTR_MASKING a physical interrupt ends the run whatever
 * the guest's own IF is (15.21.1); GIF keeps it from being taken before STGI.
 *
 * After the exit no register keeps a value of the guest's, and neither a RET nor an indirect branch
 * is executed before the return predictors are cleaned and the host's SPEC_CTRL is back.
 */
#include "../entry_asm.h"
#include "entry.h"

.section .noinstr.text, "ax"

SYM_FUNC_START(ost_svm_enter)
	OST_PUSH_HOST_GPRS
	clgi
	OST_LOAD_GUEST_SPEC_CTRL

	mov OST_ENTRY_VMCB_PA(%rdi), %rax
	vmload %rax

	mov OST_ENTRY_REGS(%rdi), %rdi
	OST_LOAD_GUEST_GPRS

	/* Buffers that the host has filled are cleared of it on CPUs that would leak them. */
	OST_CLEAR_CPU_BUFFERS OST_SVM_CLEAR_CPU_BUF

	sti
	vmrun %rax
	cli

	vmsave %rax
	mov (%rsp), %rax
	mov OST_ENTRY_REGS(%rax), %rax
	OST_STORE_GUEST_GPRS
	OST_CLEAR_GUEST_GPRS
	xor %ebx, %ebx

	mov OST_ENTRY_HOST_VMCB_PA(%rdi), %rax
	vmload %rax

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT
	OST_LOAD_HOST_SPEC_CTRL

	/* Clobbers RAX, RCX and RDX. */
	OST_UNTRAIN_RET

	stgi
	OST_POP_HOST_GPRS
	RET
SYM_FUNC_END(ost_svm_enter)
