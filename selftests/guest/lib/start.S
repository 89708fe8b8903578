/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From where guestrun or a SIPI leaves a CPU to C in long mode, and from an interrupt to C.
 *
 * guestrun starts the boot CPU in flat 32-bit protected mode without paging; the others come from
 * real mode through the trampoline at TRAMPOLINE.
 */
#include "asm.h"

	.section .text.start, "ax"
	.code32
	.globl start
start:
	cld
	/* One to one, 4 GiB in 2 MiB pages, for everyone, writable. */
	movl $(boot_pdpt + 7), boot_pml4
	movl $(boot_pd + 7), %eax
	movl $boot_pdpt, %edi
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	loop 1b
	movl $0x87, %eax
	movl $boot_pd, %edi
	movl $2048, %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	xorl %ebp, %ebp
	jmp enter_long

	.globl ap_start32
ap_start32:
	movw $SEL_DATA, %ax
	movw %ax, %ds
	movl $1, %eax
	cpuid
	shrl $24, %ebx
	movl %ebx, %ebp

/* ebp: the CPU's number */
enter_long:
	lgdt gdt_pointer
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	movl %eax, %cr0
	ljmp $SEL_CODE64, $1f

	.code64
1:	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	movl %ebp, %edi
	leal 1(%edi), %eax
	shll $STACK_SHIFT, %eax
	addl $stacks, %eax
	movq %rax, %rsp
	xorl %ebp, %ebp
	call runtime_enter
	ud2

	.code16
	.globl trampoline_start, trampoline_end
trampoline_start:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl TRAMPOLINE + trampoline_gdt - trampoline_start
	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $ap_start32
trampoline_gdt:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.code64
	.text
/* A stub a vector, STUB_SIZE bytes each: error code (or 0), vector, then the common path. */
	.balign STUB_SIZE
	.globl vector_stubs
vector_stubs:
vector = 0
	.rept 256
	.balign STUB_SIZE
	.if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
	pushq $0
	.endif
	pushq $vector
	jmp vector_common
vector = vector + 1
	.endr

	.balign 16
vector_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call vector_dispatch
	movq %rbp, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

/*
 * long user_call(long (*fn)(void), void *stack): runs fn at CPL 3; it comes back by int $0x80,
 * or by a fault, both of which land in user_return with the answer in rax.
 */
	.globl user_call, user_return
user_call:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, user_saved_rsp(%rip)
	pushq $(SEL_USER_DATA | 3)
	pushq %rsi
	pushq $0x202
	pushq $(SEL_USER_CODE64 | 3)
	leaq 1f(%rip), %rax
	pushq %rax
	movq %rdi, %rbx
	iretq
1:	call *%rbx
	int $0x80
user_return:
	movq user_saved_rsp(%rip), %rsp
	movl $SEL_DATA, %ecx
	movl %ecx, %ss
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.data
	.balign 16
	.globl gdt, gdt_end, gdt_pointer
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* SEL_CODE64 */
	.quad 0x00cf93000000ffff	/* SEL_DATA */
	.quad 0x00cf9b000000ffff	/* SEL_CODE32 */
	.quad 0x00009b000000ffff	/* SEL_CODE16 */
	.quad 0x000093000000ffff	/* SEL_DATA16 */
	.quad 0x00cffb000000ffff	/* SEL_USER_CODE32 */
	.quad 0x00cff3000000ffff	/* SEL_USER_DATA */
	.quad 0x00affb000000ffff	/* SEL_USER_CODE64 */
	.quad 0x00cf13000000ffff	/* SEL_ABSENT: data, not present */
	.quad 0				/* SEL_SPARE */
	.quad 0
	.fill 2 * MAX_CPUS, 8, 0	/* SEL_TSS */
gdt_end:
	.word 0, 0, 0
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.balign 4096
	.globl boot_pml4, boot_pdpt, boot_pd, stacks
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 4096
boot_pd:
	.skip 4 * 4096
stacks:
	.skip MAX_CPUS << STACK_SHIFT
user_saved_rsp:
	.skip 8

	.section .note.GNU-stack, "", @progbits
