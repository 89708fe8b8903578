/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that assembler and C both want. */
#ifndef OST_GUEST_ASM_H
#define OST_GUEST_ASM_H

#define MAX_CPUS	8
#define STACK_SHIFT	14
#define STUB_SIZE	16
#define TRAMPOLINE	0x8000	/* where the code that a SIPI starts is copied to */
#define LOW_CODE	0x9000	/* free for tests that want code below 64 KiB, up to 0x10000 */

#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_CODE16	0x20
#define SEL_DATA16	0x28
#define SEL_USER_CODE32	0x30
#define SEL_USER_DATA	0x38
#define SEL_USER_CODE64	0x40
#define SEL_ABSENT	0x48
#define SEL_SPARE	0x50
#define SEL_TSS		0x60

#define CR0_PE		(1 << 0)
#define CR0_MP		(1 << 1)
#define CR0_EM		(1 << 2)
#define CR0_TS		(1 << 3)
#define CR0_ET		(1 << 4)
#define CR0_NE		(1 << 5)
#define CR0_WP		(1 << 16)
#define CR0_AM		(1 << 18)
#define CR0_NW		(1 << 29)
#define CR0_CD		(1 << 30)
#define CR0_PG		(1 << 31)
#define CR4_VME		(1 << 0)
#define CR4_TSD		(1 << 2)
#define CR4_DE		(1 << 3)
#define CR4_PSE		(1 << 4)
#define CR4_PAE		(1 << 5)
#define CR4_PGE		(1 << 7)
#define CR4_OSFXSR	(1 << 9)
#define CR4_OSXMMEXCPT	(1 << 10)
#define CR4_FSGSBASE	(1 << 16)
#define CR4_OSXSAVE	(1 << 18)
#define CR4_SMEP	(1 << 20)
#define CR4_SMAP	(1 << 21)
#define MSR_EFER	0xc0000080
#define EFER_SCE	(1 << 0)
#define EFER_LME	(1 << 8)
#define EFER_LMA	(1 << 10)
#define EFER_NXE	(1 << 11)

#endif
