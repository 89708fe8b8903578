/* SPDX-License-Identifier: GPL-2.0-only */
/* An EFI application's header; its code is position-independent, needs no relocation, and follows. */
#define IMAGE_SIZE 0x2000
#define HEADERS 0x200

	.section .text.start, "ax"
	.globl start
start:
	.ascii "MZ"
	.org 0x3c
	.long pe_header - start
	.org 0x40
pe_header:
	.ascii "PE\0\0"
	.word 0x8664, 1			/* x86-64, one section */
	.long 0, 0, 0
	.word section_table - optional_header
	.word 0x206			/* an executable image, of which the relocations are not stripped */
optional_header:
	.word 0x20b			/* PE32+ */
	.byte 0, 0
	.long IMAGE_SIZE - HEADERS, 0, 0
	.long efi_main - start, HEADERS
	.quad 0
	.long HEADERS, HEADERS		/* how sections and the file are aligned */
	.word 0, 0, 0, 0, 0, 0
	.long 0, IMAGE_SIZE, HEADERS, 0
	.word 10, 0			/* an EFI application */
	.quad 0, 0, 0, 0
	.long 0, 6
	.quad 0, 0, 0, 0, 0, 0
section_table:
	.ascii ".text\0\0\0"
	.long IMAGE_SIZE - HEADERS, HEADERS, IMAGE_SIZE - HEADERS, HEADERS
	.long 0, 0
	.word 0, 0
	.long 0xe0000020		/* code that is read, written and executed */
	.org HEADERS
	.section .note.GNU-stack, "", @progbits
