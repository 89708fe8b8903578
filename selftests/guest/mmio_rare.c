// SPDX-License-Identifier: GPL-2.0-only
/*
 * What nobody does to a device and the hypervisor executes all the same: a stack in it, far pointers, selectors, bit
 * strings, multiplication and division, MMX registers.
 *
 *	make test-guest T=guest/mmio_rare
 */
#include "differ.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 40);

#define FORM(text)	DIFFER(text, INSIDE, 3, false, FLAGS_ALL)
#define FORM_CF(text)	DIFFER(text, INSIDE, 3, false, FLAGS_CF)
#define FORM_ZF(text)	DIFFER(text, INSIDE, 3, false, FLAGS_ZF)
#define FORM_NONE(text)	DIFFER(text, INSIDE, 3, false, FLAGS_NONE)

/* The stack's pointer is kept in R8, and left in RDI. */
#define ON_DEVICE(text)	"mov %%rsp, %%r8\nlea 0x40(%%rdi), %%rsp\n" text "\nmov %%rsp, %%rdi\nmov %%r8, %%rsp"

static void stack(void)
{
	FORM(ON_DEVICE("pushq $-7\npushq %%rax\npushq $-7070707\npushw $0x1234\npopw %%bx"));
	FORM(ON_DEVICE("pushq (%%rdi)\npushq 8(%%rdi)\npopq (%%rdi)\npopq %%rbx"));
	FORM(ON_DEVICE("mov %%rbp, %%rcx\nmov %%rax, %%rbp\nenter $0x28, $0\nmov %%rbp, %%rax\nmov %%rsp, %%rbx\n"
		       "leave\nmov %%rbp, %%rdx\nmov %%rcx, %%rbp\nsub %%rdi, %%rax\nsub %%rdi, %%rbx\n"
		       "xor %%ecx, %%ecx"));
	FORM(ON_DEVICE("call 91f\n91: popq %%rax\nlea 91b(%%rip), %%rbx\nsub %%rbx, %%rax"));
	FORM(ON_DEVICE("lea 91f(%%rip), %%rax\npush %%rax\nret\nud2\n91:"));
	FORM(ON_DEVICE("lea 91f(%%rip), %%rax\npush %%rax\npush %%rax\nret $8\nud2\n91:"));
	FORM(ON_DEVICE("pushfq\npopq %%rax\npushq $0x8d7\npopfq"));
	FORM(ON_DEVICE("push %%fs\npop %%fs\nmov %%fs, %%eax"));
}

static void far_pointers(void)
{
	/* Selector and 4 bytes of offset. */
#define POINTER	"lea 91f(%%rip), %%rax\nmov %%eax, (%%rdi)\nmovw %%cs, 4(%%rdi)\n"
	FORM(POINTER "ljmpl *(%%rdi)\nud2\n91: mov %%cs, %%eax");
	FORM(POINTER "push %%rbx\nlcalll *(%%rdi)\njmp 92f\n91: mov (%%rsp), %%ebx\nlea 93f(%%rip), %%rax\n"
	     "mov %%eax, (%%rsp)\nlretl\n92: ud2\n93: pop %%rbx");
	FORM(POINTER "lfsl (%%rdi), %%ebx\nmov %%fs, %%eax\nmov $0, %%ecx\nmov %%ecx, %%fs\n91: mov $3, %%ecx");
	/* A far return from the device, of which stock KVM pops too much. */
	if (!boot_info()->reference)
		FORM("mov %%rsp, %%r8\n" POINTER "mov $0, %%eax\nmov %%ax, 6(%%rdi)\nmov %%rdi, %%rsp\nlretl\nud2\n"
		     "91: mov %%rsp, %%rdi\nmov %%r8, %%rsp");
	/* With REX.W 8 bytes of offset, on AMD's host as on Intel's where it is the hypervisor's. */
	asm volatile("lea 91f(%%rip), %%rax\nmov %%rax, (%0)\nmovw %%cs, 8(%0)\nmovl $0, %1\n"
		     "rex64 ljmp *(%0)\nud2\n91: incl %1"
		     : : "r"(MMIO_GPA + 0x40), "m"(fault.vector) : "rax", "memory", "cc");
}

static void selectors(void)
{
	volatile uint16_t *device = (volatile uint16_t *)(MMIO_GPA + 0x40);
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr;
	uint16_t tr, ss = 0xffff;
	uint8_t *type;

	*device = 0;
	asm volatile("mov %%ss, %%ecx\nmov %[d], %%ss\nmov %%ss, %[ss]\nmov %%ecx, %%ss"
		     : [ss] "=m"(ss) : [d] "m"(*device) : "ecx", "memory");
	check_eq(0, ss, "a null SS");
	*device = 3;
	check_eq(GP, TRY("mov %[d], %%ss", [d] "m"(*device)), "a null SS with another RPL");
	check_eq(0, fault.error, "its error code");
	*device = SEL_ABSENT;
	check_eq(NP, TRY("mov %[d], %%es", [d] "m"(*device)), "an absent segment");
	check_eq(SEL_ABSENT, fault.error, "its error code");

	asm volatile("sgdt %0\nstr %1" : "=m"(gdtr), "=m"(tr));
	type = (uint8_t *)gdtr.base + tr + 5;
	*type &= ~2;
	*device = tr;
	asm volatile("ltr %0" : : "m"(*device) : "memory");
	check_eq(0x8b, *type, "type of the TSS behind LTR");
	check_eq(GP, TRY("ltr %[d]", [d] "m"(*device)), "LTR of a busy TSS");
	FORM("str (%%rdi)\nsldt 2(%%rdi)\nsmsw 4(%%rdi)");
	FORM("mov %%cr0, %%rax\nmov %%rax, (%%rdi)\nxorl $2, (%%rdi)\nlmsw (%%rdi)\nmov %%cr0, %%rbx\n"
	     "mov %%rax, %%cr0\ntest %%eax, %%eax");
	FORM("mov %%ds, (%%rdi)\nmov %%cs, 2(%%rdi)");
	/* Stock KVM repeats it for ever. */
	if (!boot_info()->reference)
		FORM("sgdt (%%rdi)\nsidt 16(%%rdi)");
}

static void bits(void)
{
	FORM_CF("mov $-1, %%eax\nbtcl %%eax, 8(%%rdi)");
	FORM_CF("mov $-33, %%rax\nbtcq %%rax, 8(%%rdi)");
	FORM_CF("mov $66, %%eax\nbtcl %%eax, (%%rdi)");
	FORM_ZF("bsrl (%%rdi), %%ebx\ncmovz %%eax, %%ebx");
	FORM_ZF("orq $0x40, (%%rdi)\nbsfq (%%rdi), %%rbx");
	FORM_ZF("orw $0x400, (%%rdi)\nbsrw (%%rdi), %%bx");
	FORM_NONE("shldl $3, %%eax, (%%rdi)\nshrdl %%cl, %%eax, 4(%%rdi)");
	FORM_NONE("shldq %%cl, %%rax, (%%rdi)\nshrdw $5, %%ax, 8(%%rdi)");
	FORM("cmpl %%eax, %%eax\ncmovnel (%%rdi), %%eax");
}

static void multiplication(void)
{
	FORM_CF("mulb (%%rdi)");
	FORM_CF("mulw (%%rdi)");
	FORM_CF("mulq (%%rdi)");
	FORM_CF("imulb (%%rdi)");
	FORM_CF("imulq (%%rdi)");
	FORM_CF("imulw (%%rdi), %%ax");
	FORM_CF("imulq (%%rdi), %%rax");
	FORM_CF("imulw $311, (%%rdi), %%ax");
	FORM_CF("imulq $-51, (%%rdi), %%rax");
	FORM_NONE("orq $1, (%%rdi)\nxor %%edx, %%edx\ndivq (%%rdi)");
	FORM_NONE("orl $0x40000000, (%%rdi)\nmov $1, %%edx\ndivl (%%rdi)");
	FORM_NONE("movw $-7, (%%rdi)\nmov $0, %%edx\nidivw (%%rdi)");
	*(volatile uint64_t *)(MMIO_GPA + 0x40) = 0;
	check_eq(DE, TRY("mov $1, %%eax\nmov $2, %%edx\ndivq (%[d])", [d] "r"(MMIO_GPA + 0x40)), "DIV by 0");
}

/* FSW's TOP in RAX. */
#define TOP	"fnstsw %%ax\nand $0x3800, %%eax\nemms\ntest %%eax, %%eax"

static void mmx(void)
{
	struct {
		uint32_t control, status, tags, pointers[4];
		struct {
			uint64_t mantissa;
			uint16_t exponent;
		} __attribute__((packed)) st[8];
	} __attribute__((packed)) x87;

	if (!(cpuid(1, 0).edx & 1 << 23))
		return;
	FORM("movq %%rax, %%mm0\nmovq %%mm0, (%%rdi)\nemms");
	FORM("movq (%%rdi), %%mm7\nmovq %%mm7, %%rbx\nemms");
	/* They are the x87's registers, in whose stack the MMX instruction makes order. */
	FORM("fninit\nfldpi\nfld1\nmovq (%%rdi), %%mm3\nmovq %%mm6, %%rbx\nmovq %%mm7, %%rcx\n"
	     "movq %%mm3, %%r8\n" TOP);
	FORM("fninit\nfldpi\nfld1\nmovq %%mm6, (%%rdi)\n" TOP);
	/* Stock KVM leaves the rest to its CPU: TCG's executes neither these nor marks what was written. */
	if (boot_info()->reference)
		return;
	FORM("movd %%eax, %%mm1\nmovd %%mm1, (%%rdi)\nmovd 4(%%rdi), %%mm2\nmovq %%mm2, %%rbx\nemms");
	FORM("movq %%rax, %%mm1\nmovntq %%mm1, (%%rdi)\nemms");
	*(volatile uint64_t *)(MMIO_GPA + 0x40) = 0x1234;
	asm volatile("fninit\nfld1\nmovq (%1), %%mm2\nfnsave %0" : "=m"(x87) : "r"(MMIO_GPA + 0x40) : "memory");
	check(x87.st[2].mantissa == 0x1234 && x87.st[2].exponent == 0xffff, "MM2: %x %lx", x87.st[2].exponent,
	      x87.st[2].mantissa);
	check(x87.st[7].mantissa == 1ULL << 63 && x87.st[7].exponent == 0x3fff, "MM7: %x %lx",
	      x87.st[7].exponent, x87.st[7].mantissa);
	/* None is empty, whatever is in it. */
	for (int i = 0; i < 16; i += 2)
		check((x87.tags >> i & 3) != 3, "tags %x", x87.tags & 0xffff);
}

static void mmx_faults(void)
{
	uint16_t control = 0;
	uint64_t cr0;

	if (!(cpuid(1, 0).edx & 1 << 23))
		return;
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" : : "r"((cr0 | CR0_NE) & ~(uint64_t)(CR0_EM | CR0_TS)));
	/* An exception that waits is told first. */
	asm volatile("fninit\nfldcw %0\nfldz\nfldz\nfdivp" : : "m"(control));
	check_eq(MF, TRY("movq %%mm0, (%[d])", [d] "r"(MMIO_GPA + 0x40)), "an x87 exception");
	asm volatile("fnclex\nemms");
	asm volatile("mov %0, %%cr0" : : "r"(cr0));
}

static void strings(void)
{
	/* As long as a page, and on both sides of an edge of the device's pages. */
	DIFFER("mov $30, %%ecx\nrepe cmpsb", BOTH, 30, false, FLAGS_ALL);
	DIFFER("mov $15, %%ecx\nrepe cmpsw", SOURCE, 15, false, FLAGS_ALL);
	DIFFER("repe cmpsq", BOTH, 4, false, FLAGS_ALL);
	outw(PORT_LATCH, 0x9999);
	asm volatile("rep insb" : : "d"(PORT_LATCH), "D"(MMIO_GPA + 0xfc0), "c"(1024) : "memory");
	check_eq(0x99, *(volatile uint8_t *)(MMIO_ALIAS_GPA + 0xfc0 + 1023), "REP INS: the last byte");
	check_eq(0x99, *(volatile uint8_t *)(MMIO_ALIAS_GPA + 0x1000), "REP INS: the second page");
}

static void jump_to_nowhere(void)
{
	*(volatile uint64_t *)(MMIO_GPA + 0x40) = 0x1111111111111111;
	check_eq(GP, TRY("98: jmp *(%[d])", [d] "r"(MMIO_GPA + 0x40)), "JMP to what is not canonical");
	check_eq(0, fault.error, "its error code");
}

int main(void)
{
	stack();
	far_pointers();
	selectors();
	bits();
	multiplication();
	mmx();
	mmx_faults();
	strings();
	jump_to_nowhere();
	return 0;
}
