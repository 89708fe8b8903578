/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An option ROM that starts a Linux kernel which is in memory already, by PVH, so that an emulated host
 * need not read it from a disk. scripts/harness/bochs.py places everything: a struct hvm_start_info
 * (include/xen/interface/hvm/start_info.h) is at INFO, the kernel's entry point in the word at ENTRY,
 * and this ROM at ROM. What is left to do here is to ask the BIOS for the memory map.
 */
#define SMAP		0x534d4150	/* "SMAP" */
#define MAP		0x8000		/* where the BIOS writes the map, in the first 64K */
#define MAP_ENTRY	24		/* sizeof(struct hvm_memmap_table_entry) */
#define MEMMAP_PADDR	0x28		/* offsets in struct hvm_start_info */
#define MEMMAP_ENTRIES	0x30

	.code16
	.text
	.globl	_start
_start:
	.byte	0x55, 0xaa, 1		/* an option ROM of one sector, entered behind this */
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	inb	$0x92, %al		/* address line 20 on */
	orb	$2, %al
	outb	%al, $0x92

	xorl	%edi, %edi
	movw	$MAP, %di
	xorl	%ebx, %ebx
1:	movl	$0xe820, %eax		/* one entry of the map to es:di, which PVH wants as it is */
	movl	$20, %ecx
	movl	$SMAP, %edx
	int	$0x15
	jc	2f
	movl	$0, 20(%di)
	addw	$MAP_ENTRY, %di
	testl	%ebx, %ebx
	jnz	1b

2:	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x8, $ROM + 3f

	.code32
3:	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movzwl	%di, %ecx
	movl	$MAP, %esi
	subl	%esi, %ecx
	movl	%ecx, %eax
	movl	INFO + MEMMAP_PADDR, %edi
	rep movsb
	xorl	%edx, %edx
	movl	$MAP_ENTRY, %ecx
	divl	%ecx
	movl	%eax, INFO + MEMMAP_ENTRIES
	movl	$INFO, %ebx
	jmp	*ENTRY

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* flat code and data, 32 bits; accessed already: this is a ROM */
	.quad	0x00cf93000000ffff
gdtr:	.word	. - gdt - 1
	.long	ROM + gdt
