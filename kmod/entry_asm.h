/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of a world switch that are the same on both vendors' CPUs. In all of them the argument of
 * the switch lies on top of the stack; between loading and clearing the GPRs, it is all there is of ours.
 */
#ifndef OST_ENTRY_ASM_H
#define OST_ENTRY_ASM_H

#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/bitsperlong.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include "compat_asm.h"
#include "entry.h"

#define OST_ENTRY_FLAG(name) (1 << OST_ENTRY_##name)

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

/* What a C function has to keep, and the argument, which stays in RDI. */
.macro OST_PUSH_HOST_GPRS
	push %rbp
	push %r15
	push %r14
	push %r13
	push %r12
	push %rbx
	push %rdi
.endm

.macro OST_POP_HOST_GPRS
	pop %rdi
	pop %rbx
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	pop %rbp
.endm

/* RDI: the argument. Clobbers RAX, RCX, RDX and flags. */
.macro OST_LOAD_GUEST_SPEC_CTRL
	testl $OST_ENTRY_FLAG(SPEC_CTRL), OST_ENTRY_FLAGS(%rdi)
	jz .Lguest_spec_ctrl_\@
	mov OST_ENTRY_GUEST_SPEC_CTRL(%rdi), %eax
	cmp OST_ENTRY_HOST_SPEC_CTRL(%rdi), %eax
	je .Lguest_spec_ctrl_\@
	mov $MSR_IA32_SPEC_CTRL, %ecx
	xor %edx, %edx
	wrmsr
.Lguest_spec_ctrl_\@:
.endm

/* RDI: the argument, and the host's again from here on. The same clobbers. */
.macro OST_LOAD_HOST_SPEC_CTRL
	testl $OST_ENTRY_FLAG(SPEC_CTRL), OST_ENTRY_FLAGS(%rdi)
	jz .Lhost_spec_ctrl_\@
	mov $MSR_IA32_SPEC_CTRL, %ecx
	testl $OST_ENTRY_FLAG(SPEC_CTRL_READ), OST_ENTRY_FLAGS(%rdi)
	jz .Lspec_ctrl_known_\@
	rdmsr
	mov %eax, OST_ENTRY_GUEST_SPEC_CTRL(%rdi)
.Lspec_ctrl_known_\@:
	mov OST_ENTRY_HOST_SPEC_CTRL(%rdi), %eax
	testl $OST_ENTRY_FLAG(SPEC_CTRL_ALWAYS), OST_ENTRY_FLAGS(%rdi)
	jnz .Lspec_ctrl_write_\@
	cmp OST_ENTRY_GUEST_SPEC_CTRL(%rdi), %eax
	je .Lhost_spec_ctrl_\@
.Lspec_ctrl_write_\@:
	xor %edx, %edx
	wrmsr
.Lhost_spec_ctrl_\@:
.endm

/* All but RAX and RSP. RDI: entry->regs. Changes no flags. */
.macro OST_LOAD_GUEST_GPRS
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
.endm

/* The same ones. RAX: entry->regs. */
.macro OST_STORE_GUEST_GPRS
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
.endm

/* Nothing of the guest's is left in them for the host to speculate with; RBX is the caller's to clear. */
.macro OST_CLEAR_GUEST_GPRS
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
	mov (%rsp), %rdi
.endm

#endif
