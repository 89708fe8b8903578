// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tour of the CPU's modes and back: long, compatibility, protected (32 and 16 bits, without
 * paging, with PAE's and with legacy page tables), virtual-8086, real, real with large segments.
 *
 * In each it proves the mode by an instruction that means different things in different modes, and
 * makes exits: CPUID, port output, device memory.
 */
#include "guest.h"
#include "internal.h"

GUEST_NEEDS(.cpus = 1);

/* Where the tour's results and parameters lie, below 64 KiB. */
struct tour {
	uint32_t saved_rsp, pae_cr3, legacy_cr3, esp;
	uint32_t proof[10];
	uint32_t mmio[10];
	uint32_t efer, word_pae, word_legacy, interrupt, segment, unreal, reserved, vm86_flags;
	uint32_t fault_error[2], fault_cr2[2], eip;
	uint16_t idt_limit;
	uint32_t idt_base;
} __attribute__((packed));

enum { COMPAT, PROTECTED, PAE, LEGACY, PROTECTED16, VM86, REAL, MODES };

#define TOUR	0xe000
#define SEL_TSS32	SEL_SPARE
#define STR_(x)	#x
#define STR(x)	STR_(x)
#define L(symbol)	"(" #symbol " - modes_start + " STR(LOW_CODE) ")"
#define OFFSET(symbol)	"(" #symbol " - modes_start)"

extern char modes_start[], modes_end[], modes_gp[], modes_pf[], modes_int21[];

/* b8 01 00 90 90 is mov $0x90900001, %eax with 32-bit operands, mov $1, %ax; nop; nop with 16. */
#define PROOF(mode)								\
	"xorl %eax, %eax\n.byte 0xb8, 1, 0, 0x90, 0x90\n"			\
	"movl %eax, %ds:" STR(TOUR) " + 16 + 4 * " #mode "\n"
#define MMIO_EXIT(mode)								\
	"movl $0x1000 + " #mode ", %eax\nmovl %eax, 0xd0000000 + 4 * " #mode "\n" \
	"movl 0xd0000000 + 4 * " #mode ", %ecx\nmovl %ecx, " STR(TOUR) " + 56 + 4 * " #mode "\n"
#define EXITS									\
	"pushl %ebx\nxorl %eax, %eax\nxorl %ecx, %ecx\ncpuid\npopl %ebx\n"	\
	"movw $0x610, %dx\nmovb $0x5a, %al\noutb %al, %dx\ninb %dx, %al\n"
#define PAGING_OFF	"movl %cr0, %eax\nandl $0x7fffffff, %eax\nmovl %eax, %cr0\n"
#define PAGING_ON	"movl %cr0, %eax\norl $0x80000000, %eax\nmovl %eax, %cr0\n"

asm(".text\n.code64\nmodes_start:\n"
    "pushq %rbx\npushq %rbp\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movl %esp, " STR(TOUR) "\n"
    "pushq $0x18\npushq $" L(compat) "\nlretq\n"

    ".code32\ncompat:\n"
    PROOF(0) MMIO_EXIT(0) EXITS
    "lidtl " STR(TOUR) " + 148\n"
    PAGING_OFF
    "movl $0xc0000080, %ecx\nrdmsr\nmovl %eax, " STR(TOUR) " + 96\n"
    "andl $~0x100, %eax\nwrmsr\n"

    "protected:\n"
    PROOF(1) MMIO_EXIT(1) EXITS

    /* PAE: 0xc0000000 leads to 16 MiB, 0xc0200000 to nothing. */
    "movl $0xae0, 0x1000100\n"
    "movl " STR(TOUR) " + 4, %eax\nmovl %eax, %cr3\n"
    PAGING_ON
    PROOF(2) MMIO_EXIT(2) EXITS
    "movl 0xc0000100, %eax\nmovl %eax, " STR(TOUR) " + 100\n"
    "xorl %edi, %edi\nmovl $" L(pae_fault) ", %esi\nmovl %eax, 0xc0200abc\npae_fault:\n"
    PAGING_OFF

    /* Legacy tables with 4 MiB pages: 0xc0000000 leads to 20 MiB, 0xc0400000 to nothing. */
    "movl $0x1e9, 0x1400100\n"
    "movl %cr4, %eax\nandl $~0x20, %eax\norl $0x10, %eax\nmovl %eax, %cr4\n"
    "movl " STR(TOUR) " + 8, %eax\nmovl %eax, %cr3\n"
    PAGING_ON
    PROOF(3) MMIO_EXIT(3) EXITS
    "movl 0xc0000100, %eax\nmovl %eax, " STR(TOUR) " + 104\n"
    "movl $4, %edi\nmovl $" L(legacy_fault) ", %esi\nmovl 0xc0400abc, %eax\nlegacy_fault:\n"
    PAGING_OFF

    /* Virtual-8086, left by the #GP of its HLT. */
    "movl %esp, " STR(TOUR) " + 12\n"
    "movl $0x50, %eax\nltr %ax\n"
    "movl $" L(after_vm86) ", %esi\n"
    "pushl $0\npushl $0\npushl $0\npushl $0\npushl $0\npushl $0x7000\n"
    "pushl $0x20002\npushl $" STR(LOW_CODE) " >> 4\npushl $" OFFSET(vm86) "\niretl\n"

    ".code16\nvm86:\n"
    PROOF(5)
    "xorl %eax, %eax\nxorl %ecx, %ecx\ncpuid\n"
    "movw $0x1000, %ax\nmovw %ax, %ds\nmovw $0x4321, %ds:0x20\n"
    "hlt\n"

    ".code32\nafter_vm86:\n"
    "movl $0x10, %eax\nmovl %eax, %ds\nmovl %eax, %es\nmovl %eax, %ss\nmovl %eax, %fs\n"
    "movl %eax, %gs\nmovl " STR(TOUR) " + 12, %esp\n"

    /* 16-bit protected, then real. */
    "ljmp $0x20, $" L(protected16) "\n"
    ".code16\nprotected16:\n"
    PROOF(4)
    "addr32 movl $0x1004, 0xd0000010\naddr32 movl 0xd0000010, %ecx\n"
    "movl %ecx, " STR(TOUR) " + 72\n"
    EXITS
    "movw $0x28, %ax\nmovw %ax, %es\nmovw %ax, %ss\nmovw %ax, %gs\n"
    "movl %cr0, %eax\nandb $0xfe, %al\nmovl %eax, %cr0\n"
    "ljmp $" STR(LOW_CODE) " >> 4, $" OFFSET(real) "\n"

    "real:\n"
    /* DS and FS still have their limits of 4 GiB. */
    "movl $0xd0000018, %ebx\nmovl $0x1006, (%ebx)\nmovl (%ebx), %ecx\n"
    "movl %ecx, " STR(TOUR) " + 80\n"
    "movl $0x1800000, %ebx\nmovl $0xb16, %fs:(%ebx)\nmovl %fs:(%ebx), %ecx\n"
    "movl %ecx, " STR(TOUR) " + 116\n"
    "xorw %ax, %ax\nmovw %ax, %ds\nmovw %ax, %es\nmovw %ax, %ss\nmovw %ax, %fs\nmovw %ax, %gs\n"
    "movw $0x7000, %sp\n"
    PROOF(6) EXITS
    "lidt %cs:" OFFSET(real_idt) "\n"
    "int $0x21\nmovl %eax, " STR(TOUR) " + 108\n"
    "movw $0x1000, %ax\nmovw %ax, %es\nmovw $0x1234, %es:0x40\n"
    "movzwl %es:0x40, %eax\nmovl %eax, " STR(TOUR) " + 112\n"
    /* String output from a segment, backwards and forwards. */
    "movw %ax, %ax\npushw %ds\npushw %es\npopw %ds\nmovw $0x40, %si\nmovw $2, %cx\n"
    "movw $0x600, %dx\nrep outsb\npopw %ds\n"

    /* And back. */
    "movl %cr0, %eax\norb $1, %al\nmovl %eax, %cr0\n"
    "ljmpl $0x18, $" L(again32) "\n"
    ".code32\nagain32:\n"
    "movl $0x10, %eax\nmovl %eax, %ds\nmovl %eax, %es\nmovl %eax, %ss\nmovl %eax, %fs\n"
    "movl %eax, %gs\n"
    "movl %cr4, %eax\norl $0x20, %eax\nandl $~0x10, %eax\nmovl %eax, %cr4\n"
    "movl $0xc0000080, %ecx\nrdmsr\norl $0x100, %eax\nwrmsr\n"
    "movl $boot_pml4, %eax\nmovl %eax, %cr3\n"
    PAGING_ON
    "ljmp $0x08, $" L(again64) "\n"
    ".code64\nagain64:\n"
    "movl " STR(TOUR) ", %esp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbp\npopq %rbx\nret\n"

    ".code32\nmodes_pf:\n"
    "popl %eax\nmovl %eax, " STR(TOUR) " + 128(%edi)\n"
    "movl %cr2, %eax\nmovl %eax, " STR(TOUR) " + 136(%edi)\n"
    "movl %esi, (%esp)\niretl\n"
    "modes_gp:\n"
    "movl $0x10, %eax\nmovl %eax, %ds\n"
    "movl 12(%esp), %eax\nmovl %eax, " STR(TOUR) " + 124\n"
    "jmp *%esi\n"
    ".code16\nmodes_int21:\n"
    "movl $0x21212121, %eax\niretw\n"
    "real_idt:\n.word 0x3ff\n.long 0\n"
    "modes_end:\n.code64\n");

static void prepare(volatile struct tour *t)
{
	static uint64_t gates[32] __attribute__((aligned(16)));
	static uint32_t tss[26] __attribute__((aligned(128)));
	uint32_t *legacy = page_alloc();
	uint64_t *pdpt = page_alloc(), *pd = page_alloc();
	extern uint64_t gdt[], boot_pd[];
	uint32_t gp = LOW_CODE + (modes_gp - modes_start), pf = LOW_CODE + (modes_pf - modes_start);

	memset((void *)t, 0, sizeof(*t));
	for (int i = 0; i < 4; i++)
		pdpt[i] = ((uintptr_t)boot_pd + 4096 * i) | PTE_P;
	pdpt[3] = (uintptr_t)pd | PTE_P;
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = (0xc0000000 + (i << 21)) | PTE_P | PTE_W | PTE_PS;
	pd[0] = 0x1000000 | PTE_P | PTE_W | PTE_PS;
	pd[1] = 0;
	for (uint64_t i = 0; i < 1024; i++)
		legacy[i] = i << 22 | PTE_P | PTE_W | PTE_PS;
	legacy[768] = 0x1400000 | PTE_P | PTE_W | PTE_PS;
	legacy[769] = 0;
	t->pae_cr3 = (uintptr_t)pdpt;
	t->legacy_cr3 = (uintptr_t)legacy;

	gates[GP] = (gp & 0xffff) | SEL_CODE32 << 16 | 0x8eULL << 40 | (uint64_t)(gp >> 16) << 48;
	gates[PF] = (pf & 0xffff) | SEL_CODE32 << 16 | 0x8eULL << 40 | (uint64_t)(pf >> 16) << 48;
	t->idt_limit = sizeof(gates) - 1;
	t->idt_base = (uintptr_t)gates;
	tss[1] = 0x6800;	/* esp0: below the real-mode stack */
	tss[2] = SEL_DATA;
	tss[25] = 104 << 16;	/* no I/O permission map */
	gdt[SEL_TSS32 / 8] = 103 | ((uintptr_t)tss & 0xffffff) << 16 | 0x89ULL << 40 |
			     ((uintptr_t)tss >> 24 & 0xff) << 56;
	/* INT 0x21 of real mode */
	*(volatile uint32_t *)(4 * 0x21) = (LOW_CODE >> 4) << 16 | (modes_int21 - modes_start);
	memcpy((void *)LOW_CODE, modes_start, modes_end - modes_start);
}

static void tour(void)
{
	static const uint32_t proof[MODES] = {
		0x90900001, 0x90900001, 0x90900001, 0x90900001, 1, 1, 1,
	};
	volatile struct tour *t = (volatile struct tour *)TOUR;

	prepare(t);
	((void (*)(void))(uintptr_t)LOW_CODE)();
	cpu_load_tables(0);
	for (int i = 0; i < MODES; i++) {
		check(t->proof[i] == proof[i], "mode %d: %x", i, t->proof[i]);
		if (i == VM86)
			continue;
		check(t->mmio[i] == 0x1000U + i, "mode %d: device memory %x", i, t->mmio[i]);
	}
	check_eq(EFER_LME, t->efer & (EFER_LME | EFER_LMA), "EFER once paging was off");
	check_eq(0xae0, t->word_pae, "PAE mapping");
	check_eq(0x1e9, t->word_legacy, "4 MiB mapping");
	check_eq(2, t->fault_error[0], "PAE fault: error code");
	check_eq(0xc0200abc, t->fault_cr2[0], "PAE fault: CR2");
	check_eq(0, t->fault_error[1], "legacy fault: error code");
	check_eq(0xc0400abc, t->fault_cr2[1], "legacy fault: CR2");
	check_eq(0x21212121, t->interrupt, "real-mode interrupt");
	check_eq(0x1234, t->segment, "real-mode segment");
	check_eq(0x1234, *(volatile uint16_t *)0x10040, "its linear address");
	check_eq(0xb16, t->unreal, "real mode with a large segment");
	check_eq(0x4321, *(volatile uint16_t *)0x10020, "virtual-8086 segment");
	check_eq(1 << 17, t->vm86_flags & 1 << 17, "RFLAGS.VM of the #GP");
	check_eq(0x34, inb(PORT_FIFO), "real-mode string output");
	check_eq(0x12, inb(PORT_FIFO), "real-mode string output");
}

int main(void)
{
	/* Twice: nothing of the first may stick. */
	tour();
	tour();
	check_eq(EFER_LME | EFER_LMA | EFER_NXE, rdmsr(MSR_EFER), "EFER at the end");
	return 0;
}
