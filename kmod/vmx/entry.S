/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch (SDM vol. 3C, 27 and 28).
 *
 * The CPU swaps RSP, RIP, RFLAGS, segments, CR0, CR3, CR4, DR7, EFER and PAT; here it is the other GPRs
 * and SPEC_CTRL. After the exit no register keeps a value of the guest's, and neither a RET nor an
 * indirect branch is executed before the return stack buffer is filled and the host's SPEC_CTRL is back.
 */
#include "../entry_asm.h"
#include "entry.h"

.section .noinstr.text, "ax"

SYM_FUNC_START(ost_vmx_enter)
	OST_PUSH_HOST_GPRS

	/* The stack is at the same depth nearly always. */
	cmp %rsp, OST_ENTRY_HOST_RSP(%rdi)
	je .Lhost_rsp_known
	mov %rsp, OST_ENTRY_HOST_RSP(%rdi)
	mov $OST_VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
.Lhost_rsp_known:

	OST_LOAD_GUEST_SPEC_CTRL

	/* CF says which instruction it will be: neither MOV nor VERW changes it. */
	btl $OST_ENTRY_LAUNCHED, OST_ENTRY_FLAGS(%rdi)

	mov OST_ENTRY_REGS(%rdi), %rdi
	mov G_RAX(%rdi), %rax
	OST_LOAD_GUEST_GPRS

	/* Buffers that the host has filled are cleared of it on CPUs that would leak them. */
	OST_CLEAR_CPU_BUFFERS OST_VMX_CLEAR_CPU_BUF

	jnc .Llaunch
	vmresume
	jbe .Lrefused
	jmp ost_vmx_exit
.Llaunch:
	vmlaunch
	/* Nothing falls through: behind these instructions CF or ZF is set (30.2). */
	jbe .Lrefused

SYM_INNER_LABEL(ost_vmx_exit, SYM_L_GLOBAL)
	ENDBR
	push %rax
	mov 8(%rsp), %rax
	mov OST_ENTRY_REGS(%rax), %rax
	pop G_RAX(%rax)
	OST_STORE_GUEST_GPRS
	mov $1, %ebx
.Lclear:
	OST_CLEAR_GUEST_GPRS

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, X86_FEATURE_RSB_VMEXIT_LITE
	OST_LOAD_HOST_SPEC_CTRL
	/* The branches above may have been trained by the guest. */
	ALTERNATIVE "", "lfence", X86_FEATURE_MSR_SPEC_CTRL

	/* Clobbers RAX and RCX. */
	OST_CLEAR_BRANCH_HISTORY

	mov %ebx, %eax
	OST_POP_HOST_GPRS
	RET

.Lrefused:
	xor %ebx, %ebx
	jmp .Lclear
SYM_FUNC_END(ost_vmx_enter)
