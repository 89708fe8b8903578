/* SPDX-License-Identifier: GPL-2.0-only */
/* A firmware image of 64 KiB that is nothing but a greeting, from the reset vector on. */
	.code16
	.globl start
start:
	/* CS's base is 4 GiB - 64 KiB still; nothing but this ROM is known to be there. */
	movw $0x3f8, %dx
	movw $hello, %si
1:	movb %cs:(%si), %al
	incw %si
	testb %al, %al
	jz 2f
	outb %al, %dx
	jmp 1b
	/* The ROM's writes go nowhere, or to the device that it is. */
2:	movw $0xf000, %ax
	movw %ax, %ds
	movb hello, %bl
	movb $'X', hello
	movb $16, %al
	cmpb %bl, hello
	je 3f
	movb $17, %al
3:	movw $0x501, %dx
	outb %al, %dx
4:	hlt
	jmp 4b
hello:	.asciz "the reset vector is reached\n"

	.org 0xfff0
	jmp start
	.org 65536
	.section .note.GNU-stack, "", @progbits
