/* SPDX-License-Identifier: GPL-2.0-only */
/* From a multiboot loader, or a SIPI, to C in flat 32-bit code without paging. */
#define MAGIC 0x1badb002
#define FLAGS 3

	.section .text.start, "ax"
	.align 4
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.globl start
start:
	cli
	cld
	movl $boot_stack_end, %esp
	lgdt gdt_pointer
	ljmp $8, $1f
1:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	pushl %ebx
	call guest_main
2:	hlt
	jmp 2b

	/* A vCPU that runs it again and again, at an address that the script knows: it is where gdb stops. */
	.section .text.target, "ax"
	.globl target
target:
	incl counter
	ret

	.text
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl 0x8000 + (trampoline_gdt - trampoline)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $8, $1f
trampoline_gdt:
	.word 23
	.long gdt
trampoline_end:
	.code32
1:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $4096, %esp
	lock xaddl %esp, next_stack
	call other_cpu

	.data
	.align 8
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word 23
	.long gdt
	.globl next_stack
next_stack:
	.long other_stacks + 4096

	.section .counter, "aw"
	.globl counter
counter:
	.long 0

	.bss
	.align 16
	.skip 16384
boot_stack_end:
other_stacks:
	.skip 8 * 4096
	.section .note.GNU-stack, "", @progbits
