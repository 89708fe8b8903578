/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch (SDM vol. 3C, 27 and 28).
 *
 * The CPU swaps RSP, RIP, RFLAGS, segments, CR0, CR3, CR4, DR7, EFER and PAT; here it is the other GPRs
 * and SPEC_CTRL. After the exit no register keeps a value of the guest's, and neither a RET nor an
 * indirect branch is executed before the return stack buffer is filled and the host's SPEC_CTRL is back.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/bitsperlong.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include "../compat_asm.h"
#include "entry.h"

/* Offsets in entry->regs, in the order of enum ost_reg. */
#define G_RAX 0*8
#define G_RCX 1*8
#define G_RDX 2*8
#define G_RBX 3*8
#define G_RBP 5*8
#define G_RSI 6*8
#define G_RDI 7*8
#define G_R8 8*8
#define G_R9 9*8
#define G_R10 10*8
#define G_R11 11*8
#define G_R12 12*8
#define G_R13 13*8
#define G_R14 14*8
#define G_R15 15*8

#define FLAG(name) (1 << OST_ENTRY_##name)

.section .rodata
.balign 2
/* VERW's operand. The kernel's own is reserved for the stock modules in newer kernels. */
SYM_DATA_LOCAL(ost_verw_selector, .word __KERNEL_DS)

.section .noinstr.text, "ax"

SYM_FUNC_START(ost_vmx_enter)
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rdi

	/* The stack is at the same depth nearly always. */
	cmp %rsp, OST_ENTRY_HOST_RSP(%rdi)
	je .Lhost_rsp_known
	mov %rsp, OST_ENTRY_HOST_RSP(%rdi)
	mov $OST_VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
.Lhost_rsp_known:

	testl $FLAG(SPEC_CTRL), OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_of_guest
	mov OST_ENTRY_GUEST_SPEC_CTRL(%rdi), %eax
	cmp OST_ENTRY_HOST_SPEC_CTRL(%rdi), %eax
	je .Lspec_ctrl_of_guest
	mov $MSR_IA32_SPEC_CTRL, %ecx
	xor %edx, %edx
	wrmsr
.Lspec_ctrl_of_guest:

	/* CF says which instruction it will be: neither MOV nor VERW changes it. */
	btl $OST_ENTRY_LAUNCHED, OST_ENTRY_FLAGS(%rdi)

	mov OST_ENTRY_REGS(%rdi), %rdi
	mov G_RAX(%rdi), %rax
	mov G_RCX(%rdi), %rcx
	mov G_RDX(%rdi), %rdx
	mov G_RBX(%rdi), %rbx
	mov G_RBP(%rdi), %rbp
	mov G_RSI(%rdi), %rsi
	mov G_R8(%rdi), %r8
	mov G_R9(%rdi), %r9
	mov G_R10(%rdi), %r10
	mov G_R11(%rdi), %r11
	mov G_R12(%rdi), %r12
	mov G_R13(%rdi), %r13
	mov G_R14(%rdi), %r14
	mov G_R15(%rdi), %r15
	mov G_RDI(%rdi), %rdi

	/* Buffers that the host has filled are cleared of it on CPUs that would leak them. */
	OST_CLEAR_CPU_BUFFERS ost_verw_selector

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
	mov %rcx, G_RCX(%rax)
	mov %rdx, G_RDX(%rax)
	mov %rbx, G_RBX(%rax)
	mov %rbp, G_RBP(%rax)
	mov %rsi, G_RSI(%rax)
	mov %rdi, G_RDI(%rax)
	mov %r8, G_R8(%rax)
	mov %r9, G_R9(%rax)
	mov %r10, G_R10(%rax)
	mov %r11, G_R11(%rax)
	mov %r12, G_R12(%rax)
	mov %r13, G_R13(%rax)
	mov %r14, G_R14(%rax)
	mov %r15, G_R15(%rax)
	mov $1, %ebx
.Lclear:
	xor %ecx, %ecx
	xor %edx, %edx
	xor %ebp, %ebp
	xor %esi, %esi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, X86_FEATURE_RSB_VMEXIT_LITE

	mov (%rsp), %rdi
	testl $FLAG(SPEC_CTRL), OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_of_host
	mov $MSR_IA32_SPEC_CTRL, %ecx
	testl $FLAG(SPEC_CTRL_READ), OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_known
	rdmsr
	mov %eax, OST_ENTRY_GUEST_SPEC_CTRL(%rdi)
.Lspec_ctrl_known:
	mov OST_ENTRY_HOST_SPEC_CTRL(%rdi), %eax
	testl $FLAG(SPEC_CTRL_ALWAYS), OST_ENTRY_FLAGS(%rdi)
	jnz .Lspec_ctrl_write
	cmp OST_ENTRY_GUEST_SPEC_CTRL(%rdi), %eax
	je .Lspec_ctrl_of_host
.Lspec_ctrl_write:
	xor %edx, %edx
	wrmsr
.Lspec_ctrl_of_host:
	/* The branches above may have been trained by the guest. */
	ALTERNATIVE "", "lfence", X86_FEATURE_MSR_SPEC_CTRL

	/* Clobbers RAX and RCX. */
	OST_CLEAR_BRANCH_HISTORY

	mov %ebx, %eax
	pop %rdi
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET

.Lrefused:
	xor %ebx, %ebx
	jmp .Lclear
SYM_FUNC_END(ost_vmx_enter)
