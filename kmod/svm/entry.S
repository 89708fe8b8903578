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
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/bitsperlong.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include "../compat_asm.h"
#include "entry.h"

/* Offsets in entry->regs, in the order of enum ost_reg. */
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

.section .rodata
.balign 2
/* VERW's operand. The kernel's own is reserved for the stock modules in newer kernels. */
SYM_DATA_LOCAL(ost_verw_selector, .word __KERNEL_DS)

.section .noinstr.text, "ax"

SYM_FUNC_START(ost_svm_enter)
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rdi

	clgi

	testl $OST_ENTRY_SPEC_CTRL, OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_of_guest
	mov OST_ENTRY_GUEST_SPEC_CTRL(%rdi), %eax
	cmp OST_ENTRY_HOST_SPEC_CTRL(%rdi), %eax
	je .Lspec_ctrl_of_guest
	mov $MSR_IA32_SPEC_CTRL, %ecx
	xor %edx, %edx
	wrmsr
.Lspec_ctrl_of_guest:

	mov OST_ENTRY_VMCB_PA(%rdi), %rax
	vmload %rax

	mov OST_ENTRY_REGS(%rdi), %rdi
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

	sti
	vmrun %rax
	cli

	vmsave %rax
	mov (%rsp), %rax
	mov OST_ENTRY_REGS(%rax), %rax
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

	xor %ecx, %ecx
	xor %edx, %edx
	xor %ebx, %ebx
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
	mov (%rsp), %rdi

	mov OST_ENTRY_HOST_VMCB_PA(%rdi), %rax
	vmload %rax

	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT

	testl $OST_ENTRY_SPEC_CTRL, OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_of_host
	mov $MSR_IA32_SPEC_CTRL, %ecx
	testl $OST_ENTRY_SPEC_CTRL_READ, OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_known
	rdmsr
	mov %eax, OST_ENTRY_GUEST_SPEC_CTRL(%rdi)
.Lspec_ctrl_known:
	mov OST_ENTRY_HOST_SPEC_CTRL(%rdi), %eax
	cmp OST_ENTRY_GUEST_SPEC_CTRL(%rdi), %eax
	je .Lspec_ctrl_of_host
	xor %edx, %edx
	wrmsr
.Lspec_ctrl_of_host:

	/* Clobbers RAX, RCX and RDX. */
	OST_UNTRAIN_RET

	stgi

	pop %rdi
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
	RET
SYM_FUNC_END(ost_svm_enter)
