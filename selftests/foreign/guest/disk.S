/* SPDX-License-Identifier: GPL-2.0-only */
/* A boot sector: prints on COM1, reads the sector behind it by the BIOS, prints what is in it, and ends QEMU. */
	.code16
	.globl start
start:
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	cld
	movb %dl, drive
	movw $hello, %si
	call print
	movw $packet, %si
	movb drive, %dl
	movb $0x42, %ah
	int $0x13
	movb $17, %bl
	jc end
	movw $0x7e00, %si
	call print
	movb $16, %bl
end:	movw $0x3fd, %dx
1:	inb %dx, %al
	testb $0x40, %al
	jz 1b
	movb %bl, %al
	movw $0x501, %dx
	outb %al, %dx
2:	hlt
	jmp 2b

print:	lodsb
	testb %al, %al
	jz 2f
	movb %al, %bl
	movw $0x3fd, %dx
1:	inb %dx, %al
	testb $0x20, %al
	jz 1b
	movb %bl, %al
	movw $0x3f8, %dx
	outb %al, %dx
	jmp print
2:	ret

hello:	.asciz "the first sector runs\n"
drive:	.byte 0
	.align 4
packet:	.byte 16, 0
	.word 1, 0x7e00, 0
	.quad 1

	.org 510
	.word 0xaa55
	.asciz "the second is read\n"
	.org 1048576
	.section .note.GNU-stack, "", @progbits
