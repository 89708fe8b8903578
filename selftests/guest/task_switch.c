// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware task switches (SDM vol. 3A, chapter 8): by JMP, CALL and IRET, through task gates for
 * an exception, a software interrupt, an external one and NMIs; the refused ones, and those that
 * fault in the new task.
 *
 * All in 32-bit protected mode with legacy paging. The tasks' code leaves what it sees in seen[].
 */
#include "guest.h"
#include "internal.h"

GUEST_NEEDS(.cpus = 1);

/* Of CPUs that are not there. */
#define T_MAIN	0x70
#define T_A	0x78
#define T_FAULT	0x80
#define T_EVENT	0x88
#define T_NP	0x90
#define T_SS	0x98
#define T_CS	0xa0
#define T_TS	0xa8
#define T_16	0xb0
#define T_VM86	0xb8
#define T_SHORT	0xc0
#define T_NONE	0xc8
#define GATE	0xd0
#define SOFT	0x40
#define EXTERNAL 0x50

#define NT		(1U << 14)

#define MARK		0xc0000000
#define MARK_MAIN	0x1000000
#define MARK_A		0x1400000

struct tss32 {
	uint32_t link, stacks[6], cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt, io_map;
};

/* The order of seen[]: an error code is followed by its EIP. P_NAME is the number in assembler. */
#define PLACES(X)										\
	X(A_TR) X(A_TS) X(A_MARK) X(A_EBX) X(A_DR7) X(BACK_EBX) X(BACK_MARK) X(BACK_TR)        \
	X(BACK_TYPE_A) X(BACK_TYPE_MAIN) X(CALL_EBX) X(CALL_FLAGS) X(CALL_LINK)                \
	X(CALL_TYPE_MAIN) X(IRET_FLAGS) X(IRET_TYPE_A) X(GATE_EBX) X(BUSY_ERROR)               \
	X(BUSY_EIP) X(SHORT_ERROR) X(SHORT_EIP) X(NONE_ERROR) X(NONE_EIP) X(IRET_ERROR)        \
	X(IRET_EIP) X(GP_ERROR) X(GP_EIP) X(GP_LINK) X(GP_FLAGS) X(SOFT_EIP) X(EVENTS)         \
	X(NP_ERROR) X(NP_EIP) X(NP_TR) X(SS_ERROR) X(SS_LINK) X(SS_EIP) X(CS_ERROR)            \
	X(CS_LINK) X(CS_EIP) X(VM86_FLAGS) X(T16_BX) X(T16_FS)
#define ENUM(place)	place,
#define SET(place)	"P_" #place " = place\nplace = place + 1\n"
enum { PLACES(ENUM) SEEN };
asm("place = 0\n" PLACES(SET));

uint32_t seen[SEEN];
struct tss32 tss_main, tss_a, tss_fault, tss_event, tss_np, tss_ss, tss_cs, tss_ts, tss_vm86;
uint16_t tss_16[22];
uint32_t tour_esp, tour_cr3;
uint64_t gates[EXTERNAL + 1] __attribute__((aligned(16)));
struct {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed)) tour_idt;

extern uint64_t gdt[];
extern char start_a[], start_fault[], start_event[], start_np[], np_resume[], start_ss[],
	start_cs[], start_ts[], jump_np[], jump_ss[], jump_cs[], fault32[], gp_here[], after_soft[],
	busy_here[], short_here[], none_here[], iret_here[], low_start[], low_end[], low_16[],
	low_vm86[];
void tour(void);

#define STR_(x)	#x
#define STR(x)	STR_(x)
#define TO(task)	"ljmpl $" STR(task) ", $0\n"
#define SEE(reg, place)	"movl " #reg ", seen + 4 * P_" #place "\n"
#define SEE_TR(place)	"xorl %eax, %eax\nstr %ax\n" SEE(%eax, place)
#define SEE_FLAGS(place) "pushfl\npopl seen + 4 * P_" #place "\n"
#define SEE_MEM(mem, place) "movl " mem ", %eax\n" SEE(%eax, place)
#define SEE_HALF(mem, place) "movzwl " mem ", %eax\n" SEE(%eax, place)
#define SEE_TYPE(task, place) "movzbl gdt + 5 + " STR(task) ", %eax\n" SEE(%eax, place)
/* An instruction that faults: handled by fault32. */
#define FAULTS(label, text, place)						\
	"movl $P_" #place ", %edi\nmovl $1f, %esi\n" #label ":\n" text "\n1:\n"

asm(".text\n.code64\ntour:\n"
	"pushq %rbx\npushq %rbp\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
	"movl %esp, tour_esp\n"
	"pushq $" STR(SEL_CODE32) "\npushq $1f\nlretq\n.code32\n1:"
	"movl %cr0, %eax\nandl $0x7fffffff, %eax\nmovl %eax, %cr0\n"
	"movl $" STR(MSR_EFER) ", %ecx\nrdmsr\nandl $~0x100, %eax\nwrmsr\n"
	"movl %cr4, %eax\nandl $~0x20, %eax\norl $0x10, %eax\nmovl %eax, %cr4\n"
	"movl tour_cr3, %eax\nmovl %eax, %cr3\n"
	"movl %cr0, %eax\norl $0x80000000, %eax\nmovl %eax, %cr0\n"
	"lidtl tour_idt\nxorl %eax, %eax\nlldt %ax\n"
	"movl $" STR(SEL_DATA) ", %eax\n"
	"movl %eax, %ds\nmovl %eax, %es\nmovl %eax, %ss\nmovl %eax, %fs\nmovl %eax, %gs\n"
	"movl $" STR(T_MAIN) ", %eax\nltr %ax\n"

	/* JMP there and back. */
	"movl $0xffff0000, %eax\nmovl %eax, %dr0\nmovl $0x401, %eax\nmovl %eax, %dr7\n"
	"clts\nmovl $0x1111, %ebx\n" TO(T_A)
	SEE(%ebx, BACK_EBX) SEE_MEM(STR(MARK), BACK_MARK) SEE_TR(BACK_TR)
	SEE_TYPE(T_A, BACK_TYPE_A) SEE_TYPE(T_MAIN, BACK_TYPE_MAIN)
	/* CALL and IRET, the second time by a task gate. */
	"lcall $" STR(T_A) ", $0\n"
	SEE_FLAGS(IRET_FLAGS) SEE_TYPE(T_A, IRET_TYPE_A)
	"lcall $" STR(GATE) ", $0\n"

	/* What is refused. */
	FAULTS(busy_here, TO(T_MAIN), BUSY_ERROR)
	FAULTS(short_here, TO(T_SHORT), SHORT_ERROR)
	FAULTS(none_here, TO(T_NONE), NONE_ERROR)
	/* IRET to a task that is not busy. */
	"movw $" STR(T_A) ", tss_main\npushfl\norl $0x4000, (%esp)\npopfl\n"
	FAULTS(iret_here, "iretl", IRET_ERROR)
	"pushfl\nandl $~0x4000, (%esp)\npopfl\n"

	/* Task gates of the IDT. */
	"movl $" STR(T_FAULT) " << 16, gates + 8 * 13\nmovl $0x8500, gates + 8 * 13 + 4\n"
	"movl $0x1003, %eax\nmovl $1f, %esi\ngp_here: movl %eax, %ds\n1:\n"
	"int $" STR(SOFT) "\nafter_soft:\n"
	SEE_MEM("tss_main + 32", SOFT_EIP)
	"movl $0xfee00300, %ebx\nmovl $0x40000 + " STR(EXTERNAL) ", (%ebx)\nsti\nnop\nnop\ncli\n"
	"movl $0x44400, (%ebx)\nnop\nnop\nmovl $0x44400, (%ebx)\nnop\nnop\n"

	/* Faults in the new task; from here on #TS has a task, too. */
	"movl $" STR(T_TS) " << 16, gates + 8 * 10\nmovl $0x8500, gates + 8 * 10 + 4\n"
	"jump_np:" TO(T_NP)
	"jump_ss:" TO(T_SS)
	"jump_cs:" TO(T_CS)
	/* Other kinds of tasks. */
	TO(T_16)
	TO(T_VM86)

	"movl %cr0, %eax\nandl $0x7ffffff7, %eax\nmovl %eax, %cr0\n"
	"movl %cr4, %eax\norl $0x20, %eax\nandl $~0x10, %eax\nmovl %eax, %cr4\n"
	"movl $" STR(MSR_EFER) ", %ecx\nrdmsr\norl $0x100, %eax\nwrmsr\n"
	"movl $boot_pml4, %eax\nmovl %eax, %cr3\n"
	"movl %cr0, %eax\norl $0x80000000, %eax\nmovl %eax, %cr0\n"
	"ljmp $" STR(SEL_CODE64) ", $1f\n.code64\n1:"
	"movl tour_esp, %esp\n"
	"popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbp\npopq %rbx\nret\n"

	".code32\nstart_a:"
	SEE_TR(A_TR)
	"movl %cr0, %eax\n" SEE(%eax, A_TS)
	SEE_MEM(STR(MARK), A_MARK) SEE(%ebx, A_EBX)
	"movl %dr7, %eax\n" SEE(%eax, A_DR7)
	"movl $0xa1a1, %ebx\n" TO(T_MAIN)
	SEE(%ebx, CALL_EBX) SEE_FLAGS(CALL_FLAGS) SEE_HALF("tss_a", CALL_LINK)
	SEE_TYPE(T_MAIN, CALL_TYPE_MAIN)
	"movl $0xa2a2, %ebx\niretl\n"
	SEE(%ebx, GATE_EBX)
	"iretl\n"

	/* The task of #GP: its error code is on the stack. */
	"start_fault:"
	"popl %edx\n"
	"cmpw $" STR(T_VM86) ", tss_fault\nje 1f\n"
	"movl %edx, seen + 4 * P_GP_ERROR\n"
	SEE_MEM("tss_main + 32", GP_EIP) SEE_HALF("tss_fault", GP_LINK) SEE_FLAGS(GP_FLAGS)
	"movl tss_main + 64, %eax\nmovl %eax, tss_main + 32\n"
	"iretl\njmp start_fault\n"
	"1:" SEE_MEM("tss_vm86 + 36", VM86_FLAGS) TO(T_MAIN) "jmp start_fault\n"

	/* The task of other events. */
	"start_event:"
	"incl seen + 4 * P_EVENTS\nmovl $0, 0xfee000b0\niretl\njmp start_event\n"

	"np_resume:" SEE_TR(NP_TR) TO(T_MAIN)
	"start_np: ud2\n"

	/* The task of #TS. */
	"start_ts:"
	"popl seen + 4 * P_SS_ERROR\n"
	SEE_HALF("tss_ts", SS_LINK) SEE_MEM("tss_ss + 32", SS_EIP)
	TO(T_MAIN)
	"popl seen + 4 * P_CS_ERROR\n"
	SEE_HALF("tss_ts", CS_LINK) SEE_MEM("tss_cs + 32", CS_EIP)
	TO(T_MAIN)
	"start_ss: ud2\nstart_cs: ud2\n"

	"fault32:"
	"popl %edx\nmovl $" STR(SEL_DATA) ", %eax\nmovl %eax, %ds\n"
	"movl %edx, seen(, %edi, 4)\nmovl (%esp), %eax\nmovl %eax, seen + 4(, %edi, 4)\n"
	/* NT of an IRET that has faulted is still set, and would make this one switch as well. */
	"movl %esi, (%esp)\npushfl\nandl $~0x4000, (%esp)\npopfl\niretl\n"

	"low_start:\n"
	".code16\nlow_16:"
	"xorl %eax, %eax\nmovw %fs, %ax\naddr32 movl %eax, seen + 4 * P_T16_FS\n"
	"movw %bx, %ax\naddr32 movl %eax, seen + 4 * P_T16_BX\n"
	"ljmp $" STR(T_MAIN) ", $0\n"
	/* Leaves AX in its TSS, by a #GP. */
	"low_vm86: movw %ds:0x20, %ax\nhlt\n"
	"low_end:\n.code64\n");

static void set_tss(unsigned int selector, const void *tss, unsigned int limit, unsigned int type)
{
	uint64_t base = (uintptr_t)tss;

	gdt[selector / 8] = limit | (base & 0xffffff) << 16 | (uint64_t)type << 40 |
			    (base >> 24 & 0xff) << 56;
}

static void set_task(unsigned int selector, struct tss32 *tss, const void *start)
{
	static uint8_t stacks[16][256] __attribute__((aligned(16)));

	*tss = (struct tss32) {
		.cr3 = tour_cr3, .eip = (uintptr_t)start, .eflags = 2,
		.esp = (uintptr_t)stacks[(selector >> 3) % 16 + 1],
		.es = SEL_DATA, .cs = SEL_CODE32, .ss = SEL_DATA, .ds = SEL_DATA, .fs = SEL_DATA,
		.gs = SEL_DATA, .io_map = sizeof(*tss) << 16,
	};
	set_tss(selector, tss, sizeof(*tss) - 1, 0x89);
}

static void set_interrupt(unsigned int vector)
{
	uint64_t offset = (uintptr_t)fault32;

	gates[vector] = (offset & 0xffff) | SEL_CODE32 << 16 | 0x8eULL << 40 | offset >> 16 << 48;
}

static void set_gate(uint64_t *gate, unsigned int task)
{
	*gate = task << 16 | 0x85ULL << 40;
}

static uint32_t page_directory(uint32_t mark)
{
	uint32_t *directory = page_alloc();

	for (uint32_t i = 0; i < 1024; i++)
		directory[i] = i << 22 | PTE_P | PTE_W | PTE_U | PTE_PS;
	directory[MARK >> 22] = mark | PTE_P | PTE_W | PTE_U | PTE_PS;
	*(volatile uint32_t *)(uintptr_t)mark = mark + 1;
	return (uintptr_t)directory;
}

static void prepare(void)
{
	memset(seen, 0xee, sizeof(seen));
	seen[EVENTS] = 0;
	tour_cr3 = page_directory(MARK_MAIN);
	memcpy((void *)LOW_CODE, low_start, low_end - low_start);
	*(volatile uint16_t *)0x10020 = 0x4321;

	set_task(T_MAIN, &tss_main, NULL);
	set_task(T_A, &tss_a, start_a);
	tss_a.cr3 = page_directory(MARK_A);
	tss_a.ebx = 0xa0a0;
	set_task(T_FAULT, &tss_fault, start_fault);
	set_task(T_EVENT, &tss_event, start_event);
	set_task(T_NP, &tss_np, start_np);
	tss_np.ds = SEL_ABSENT;
	tss_np.edi = NP_ERROR;
	tss_np.esi = (uintptr_t)np_resume;
	set_task(T_SS, &tss_ss, start_ss);
	tss_ss.ss = SEL_CODE32;
	set_task(T_CS, &tss_cs, start_cs);
	tss_cs.cs = SEL_DATA;
	set_task(T_TS, &tss_ts, start_ts);
	set_task(T_VM86, &tss_vm86, NULL);
	tss_vm86.eflags = 1 << 17 | 2;
	tss_vm86.cs = LOW_CODE >> 4;
	tss_vm86.eip = low_vm86 - low_start;
	tss_vm86.ds = 0x1000;
	tss_vm86.ss = 0;
	tss_vm86.esp = 0x7000;
	/* IP, FLAGS, BX, SP; ES, CS, SS, DS */
	memset(tss_16, 0, sizeof(tss_16));
	tss_16[7] = LOW_CODE + (low_16 - low_start);
	tss_16[8] = 2;
	tss_16[12] = 0x1616;
	tss_16[13] = 0x7000;
	tss_16[17] = tss_16[19] = tss_16[20] = SEL_DATA;
	tss_16[18] = SEL_CODE16;
	set_tss(T_16, tss_16, sizeof(tss_16) - 1, 0x81);
	set_tss(T_SHORT, &tss_a, sizeof(tss_a) - 2, 0x89);
	set_tss(T_NONE, &tss_a, sizeof(tss_a) - 1, 0x09);
	set_gate(&gdt[GATE / 8], T_A);

	set_interrupt(TS);
	set_interrupt(NP);
	set_interrupt(GP);
	set_gate(&gates[NMI], T_EVENT);
	set_gate(&gates[SOFT], T_EVENT);
	set_gate(&gates[EXTERNAL], T_EVENT);
	tour_idt.limit = sizeof(gates) - 1;
	tour_idt.base = (uintptr_t)gates;
}

static void see(unsigned int place, uint32_t expected, const char *what)
{
	check_eq(expected, seen[place], what);
}

static void see_switches(void)
{
	see(A_TR, T_A, "JMP: TR");
	see(A_MARK, MARK_A + 1, "JMP: CR3");
	see(A_EBX, 0xa0a0, "JMP: EBX");
	check_eq(CR0_TS, seen[A_TS] & CR0_TS, "JMP: CR0.TS");
	check_eq(0, seen[A_DR7] & 0x55, "JMP: local breakpoints");
	see(BACK_EBX, 0x1111, "JMP back: EBX");
	see(BACK_MARK, MARK_MAIN + 1, "JMP back: CR3");
	see(BACK_TR, T_MAIN, "JMP back: TR");
	see(BACK_TYPE_A, 0x89, "JMP back: the task that was left");
	see(BACK_TYPE_MAIN, 0x8b, "JMP back: the task that runs");
	see(CALL_EBX, 0xa1a1, "CALL: EBX");
	check_eq(NT, seen[CALL_FLAGS] & NT, "CALL: NT");
	see(CALL_LINK, T_MAIN, "CALL: link");
	see(CALL_TYPE_MAIN, 0x8b, "CALL: the task that waits");
	check_eq(0, seen[IRET_FLAGS] & NT, "IRET: NT");
	see(IRET_TYPE_A, 0x89, "IRET: the task that was left");
	check_eq(0, tss_a.eflags & NT, "IRET: NT of the task that was left");
	see(GATE_EBX, 0xa2a2, "CALL of a task gate: EBX");
}

static void see_refused(void)
{
	see(BUSY_ERROR, T_MAIN, "a busy task");
	see(BUSY_EIP, (uintptr_t)busy_here, "a busy task: EIP");
	see(SHORT_ERROR, T_SHORT, "a TSS too short");
	see(SHORT_EIP, (uintptr_t)short_here, "a TSS too short: EIP");
	see(NONE_ERROR, T_NONE, "a TSS not present");
	see(NONE_EIP, (uintptr_t)none_here, "a TSS not present: EIP");
	see(IRET_ERROR, T_A, "IRET to a task that is not busy");
	see(IRET_EIP, (uintptr_t)iret_here, "IRET to a task that is not busy: EIP");
}

static void see_gates(void)
{
	see(GP_ERROR, 0x1000, "#GP's task: error code");
	see(GP_EIP, (uintptr_t)gp_here, "#GP's task: EIP of the other");
	see(GP_LINK, T_MAIN, "#GP's task: link");
	check_eq(NT, seen[GP_FLAGS] & NT, "#GP's task: NT");
	see(SOFT_EIP, (uintptr_t)after_soft, "INT n: EIP of the other");
	see(EVENTS, 4, "INT n, an interrupt and two NMIs");
}

/*
 * Where the new task faulted before its first instruction. On an AMD host it may be TCG that switches: there
 * EIP is that of the jump to it.
 */
static void see_start(unsigned int place, const char *start, const char *jump, const char *what)
{
	bool amd = cpuid(0, 0).ecx == 0x444d4163;	/* "cAMD" */

	check(seen[place] == (uintptr_t)start || (amd && seen[place] == (uintptr_t)jump),
	      "%s: EIP %x", what, seen[place]);
}

static void see_faults(void)
{
	see(NP_ERROR, SEL_ABSENT, "DS not present");
	see_start(NP_EIP, start_np, jump_np, "DS not present");
	see(NP_TR, T_NP, "DS not present: TR");
	check_eq(SEL_CODE32, seen[SS_ERROR] & ~1U, "bad SS");
	see(SS_LINK, T_SS, "bad SS: link");
	see_start(SS_EIP, start_ss, jump_ss, "bad SS");
	check_eq(SEL_DATA, seen[CS_ERROR] & ~1U, "bad CS");
	see(CS_LINK, T_CS, "bad CS: link");
	see_start(CS_EIP, start_cs, jump_cs, "bad CS");
}

static void see_other_kinds(void)
{
	check_eq(1 << 17, seen[VM86_FLAGS] & 1 << 17, "virtual-8086 task: VM");
	check_eq(0x4321, tss_vm86.eax & 0xffff, "virtual-8086 task: AX");
	check_eq(0x1616, seen[T16_BX] & 0xffff, "16-bit TSS: BX");
	see(T16_FS, 0, "16-bit TSS: FS");
	check_eq(0x1616, tss_16[9], "16-bit TSS: AX, saved");
}

int main(void)
{
	/* Twice: nothing of the first may stick. */
	for (int i = 0; i < 2; i++) {
		prepare();
		tour();
		cpu_load_tables(0);
		see_switches();
		see_refused();
		see_gates();
		see_faults();
		see_other_kinds();
	}
	return 0;
}
