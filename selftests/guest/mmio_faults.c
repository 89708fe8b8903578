// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every memory form that the hypervisor executes, at the boundary of two pages of which one is a
 * device's and the other memory, read-only, another device's or absent: what comes out (registers,
 * memory, vector, error code, CR2) is what the CPU makes of the same pages as plain memory, and an
 * instruction that faults has written nothing.
 *
 *	make test-guest T=guest/mmio_faults
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 60);

#define WINDOW_PLAIN	0x20000000000UL
#define WINDOW_DEVICE	0x28000000000UL
#define WINDOW_SIZE	(4 * PAGE_SIZE)
#define BOUNDARY	(2 * PAGE_SIZE)		/* in a window: absent, first, second, absent */
#define SPAN		64UL			/* bytes on each side of it that are compared */
#define STACK_IST	1
#define FLAGS		0x8d5
#define ERROR_WRITE	2

enum kind { DEVICE, OTHER_DEVICE, DEVICE_READONLY, MEMORY, READONLY, ABSENT };

static const struct layout {
	const char *name;
	enum kind first, second;
} layouts[] = {
	{ "device, device", DEVICE, OTHER_DEVICE },
	{ "device, memory", DEVICE, MEMORY },
	{ "memory, device", MEMORY, DEVICE },
	{ "device, absent", DEVICE, ABSENT },
	{ "absent, device", ABSENT, DEVICE },
	{ "device, read-only", DEVICE, READONLY },
	{ "read-only, device", READONLY, DEVICE },
	{ "device, read-only device", DEVICE, DEVICE_READONLY },
	{ "memory, read-only device", MEMORY, DEVICE_READONLY },
};

/* What an instruction starts from and what it leaves. */
struct state {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, r8, rflags;
	uint64_t rsp, rip, cr2, error;
	int64_t vector;
};

struct form {
	const char *text;
	void *code;
	unsigned int size;	/* of its access, or of an element */
	unsigned int what;
};

#define READS	0
#define RMW	1	/* real CPUs say "write" of the read already; TCG does not */
#define STRING	2	/* repeated: 5 elements */
#define SOURCE	4	/* a string whose source is in the window; its target is plain memory */
#define POINTER	8	/* memory holds the address of a RET */
#define REP_CMP	16	/* flags of an iteration before the fault may show or not */

static uint8_t *pages[2][2];	/* window, page: where its bytes can be had without a fault */
static uint8_t scratch[2][PAGE_SIZE] __attribute__((aligned(4096)));
static struct state *running;
uint64_t resume_rsp;

void execute(struct state *state, void *code);
extern char execute_exit[], a_ret[];
asm(".text\n.globl execute, execute_exit, a_ret\nexecute:\n"
    "pushq %rbx\npushq %rbp\npushq %r12\npushq %rdi\nmovq %rsp, resume_rsp(%rip)\n"
    "movq %rsi, %r12\nmovq %rdi, %rbp\npushq 56(%rbp)\npopfq\n"
    "movq 0(%rbp), %rax\nmovq 8(%rbp), %rbx\nmovq 16(%rbp), %rcx\nmovq 24(%rbp), %rdx\n"
    "movq 32(%rbp), %rsi\nmovq 40(%rbp), %rdi\nmovq 48(%rbp), %r8\n"
    "call *%r12\n"
    "pushfq\ncld\nmovq 8(%rsp), %rbp\n"
    "movq %rax, 0(%rbp)\nmovq %rbx, 8(%rbp)\nmovq %rcx, 16(%rbp)\nmovq %rdx, 24(%rbp)\n"
    "movq %rsi, 32(%rbp)\nmovq %rdi, 40(%rbp)\nmovq %r8, 48(%rbp)\npopq 56(%rbp)\n"
    "execute_exit: popq %rdi\npopq %r12\npopq %rbp\npopq %rbx\na_ret: ret\n");

static void on_fault(struct frame *f)
{
	*running = (struct state){
		.rax = f->rax, .rbx = f->rbx, .rcx = f->rcx, .rdx = f->rdx, .rsi = f->rsi,
		.rdi = f->rdi, .r8 = f->r8, .rflags = f->rflags, .rsp = f->rsp, .rip = f->rip,
		.cr2 = read_cr2(), .error = f->error, .vector = f->vector,
	};
	f->rsp = resume_rsp;
	f->rip = (uintptr_t)execute_exit;
	f->rflags = 2;
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void map_kind(int window, int page, enum kind kind)
{
	uint64_t gva = (window ? WINDOW_DEVICE : WINDOW_PLAIN) + (1 + page) * PAGE_SIZE;
	bool device = kind <= DEVICE_READONLY && window;
	/* Two pages of the device's that are not neighbours. */
	uint64_t where = (kind == OTHER_DEVICE ? 5 : 2 + page) * PAGE_SIZE;
	uint64_t gpa = device ? MMIO_GPA + where : MMIO_ALIAS_GPA + where;

	if (!device) {
		static uint8_t *memory[2][2];

		if (!memory[window][page])
			memory[window][page] = page_alloc();
		pages[window][page] = memory[window][page];
		gpa = (uintptr_t)memory[window][page];
	} else {
		pages[window][page] = (uint8_t *)(MMIO_ALIAS_GPA + where);
	}
	map_page(gva, gpa, kind == READONLY || kind == DEVICE_READONLY ? 0 : PTE_W, 1);
	if (kind == ABSENT)
		*page_entry(gva, 1) = 0;
	invlpg(gva);
}

static void fill(int window, const uint8_t *pattern)
{
	memcpy(pages[window][0] + PAGE_SIZE - SPAN, pattern, SPAN);
	memcpy(pages[window][1], pattern + SPAN, SPAN);
}

static bool same_memory(void)
{
	return !memcmp(pages[0][0] + PAGE_SIZE - SPAN, pages[1][0] + PAGE_SIZE - SPAN, SPAN) &&
	       !memcmp(pages[0][1], pages[1][1], SPAN) &&
	       !memcmp(scratch[0], scratch[1], 2 * SPAN);
}

static uint32_t device_writes(void)
{
	static struct mmio_access log[64];
	uint32_t writes = 0;
	int nr = host_call(HOST_LOG_READ, (uintptr_t)log, ARRAY_SIZE(log), 0, 0, 0);

	for (int i = 0; i < nr && i < (int)ARRAY_SIZE(log); i++)
		writes += log[i].is_write;
	return writes;
}

static struct state run(int window, const struct layout *layout, const struct form *form,
			const struct state *start, unsigned int before)
{
	uint64_t base = window ? WINDOW_DEVICE : WINDOW_PLAIN;
	struct state s = *start;

	s.rdi = base + BOUNDARY - before;
	s.rsi = (uintptr_t)scratch[window] + SPAN;
	if (form->what & SOURCE) {
		s.rsi = s.rdi;
		s.rdi = (uintptr_t)scratch[window] + SPAN;
	}
	s.vector = NONE;
	running = &s;
	execute(&s, form->code);
	/* As offsets, in which the two runs are alike. */
	for (uint64_t *reg = &s.rax; reg <= &s.cr2; reg++) {
		if (*reg - base < WINDOW_SIZE)
			*reg -= base;
		else if (*reg - (uintptr_t)scratch[window] < PAGE_SIZE)
			*reg -= (uintptr_t)scratch[window];
	}
	/* Where the CPU meets the fault before the hypervisor is asked, its word is not ours. */
	if (form->what & RMW && s.vector == PF &&
	    (!window || !before || layout->first > DEVICE_READONLY))
		s.error |= ERROR_WRITE;
	return s;
}

static void compare(const struct layout *layout, const struct form *form, unsigned int before)
{
	struct state start = {
		.rax = random(), .rbx = random() & 0x3f, .rcx = 5, .rdx = random(), .r8 = random(),
		.rflags = 2 | (random() & FLAGS),
	};
	uint64_t flags = FLAGS & ~(1 << 4);	/* logic leaves AF undefined */
	uint8_t pattern[2 * SPAN];
	struct state cpu, emulated;
	bool ok;

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = random();
	/* Half of the comparisons succeed. */
	if (random() & 1)
		memcpy(pattern + SPAN - before, &start.rax, 8);
	if (form->what & POINTER)
		memcpy(pattern + SPAN - before, &(uint64_t){ (uintptr_t)a_ret }, 8);
	for (int w = 0; w < 2; w++) {
		fill(w, pattern);
		memcpy(scratch[w], pattern, sizeof(pattern));
	}
	cpu = run(0, layout, form, &start, before);
	host_call(HOST_LOG_CLEAR, 0, 0, 0, 0, 0);
	emulated = run(1, layout, form, &start, before);

	check(cpu.vector == emulated.vector && cpu.error == emulated.error &&
	      cpu.cr2 == emulated.cr2 && cpu.rip == emulated.rip && cpu.rsp == emulated.rsp,
	      "%s, %s, %u before: vector %ld error %lx cr2 %lx rsp %lx instead of %ld %lx %lx %lx",
	      form->text, layout->name, before, emulated.vector, emulated.error, emulated.cr2,
	      emulated.rsp, cpu.vector, cpu.error, cpu.cr2, cpu.rsp);
	ok = cpu.rax == emulated.rax && cpu.rbx == emulated.rbx && cpu.rcx == emulated.rcx &&
	     cpu.rdx == emulated.rdx && cpu.rsi == emulated.rsi && cpu.rdi == emulated.rdi &&
	     cpu.r8 == emulated.r8;
	check(ok, "%s, %s, %u before: rax %lx/%lx rcx %lx/%lx rsi %lx/%lx rdi %lx/%lx", form->text,
	      layout->name, before, cpu.rax, emulated.rax, cpu.rcx, emulated.rcx, cpu.rsi,
	      emulated.rsi, cpu.rdi, emulated.rdi);
	if (form->what & REP_CMP && cpu.vector == PF)
		flags = 0;
	check(!((cpu.rflags ^ emulated.rflags) & flags), "%s, %s, %u before: flags %lx, not %lx",
	      form->text, layout->name, before, emulated.rflags & flags, cpu.rflags & flags);
	check(same_memory(), "%s, %s, %u before: memory differs", form->text, layout->name, before);
	if (emulated.vector != NONE && !(form->what & STRING))
		check_eq(0, device_writes(), form->text);
}

#define FORM(text, size, what) ({						\
	void *code_;								\
	asm volatile("jmp 2f\n1: " text "\nret\n2: lea 1b(%%rip), %0" : "=r"(code_)); \
	forms[nr++] = (struct form){ text, code_, size, what }; })

static struct form forms[96];

static size_t moves(size_t nr)
{
	FORM("movw %%ax, (%%rdi)", 2, READS);
	FORM("movl %%eax, (%%rdi)", 4, READS);
	FORM("movq %%rax, (%%rdi)", 8, READS);
	FORM("movb %%al, (%%rdi)", 1, READS);
	FORM("movw (%%rdi), %%bx", 2, READS);
	FORM("movl (%%rdi), %%ebx", 4, READS);
	FORM("movq (%%rdi), %%rbx", 8, READS);
	FORM("movb (%%rdi), %%bh", 1, READS);
	FORM("movw $0x1234, (%%rdi)", 2, READS);
	FORM("movl $0x12345678, (%%rdi)", 4, READS);
	FORM("movq $-2, (%%rdi)", 8, READS);
	FORM("movzwl (%%rdi), %%eax", 2, READS);
	FORM("movswq (%%rdi), %%rax", 2, READS);
	FORM("movslq (%%rdi), %%rax", 4, READS);
	FORM("movntiq %%rax, (%%rdi)", 8, READS);
	FORM("cmovzl (%%rdi), %%eax", 4, READS);
	FORM("cmovnzq (%%rdi), %%rax", 8, READS);
	FORM("setc (%%rdi)", 1, READS);
	FORM("xchgb %%al, (%%rdi)", 1, RMW);
	FORM("movups %%xmm0, (%%rdi)", 16, READS);
	FORM("movups (%%rdi), %%xmm0\nmovq %%xmm0, %%rax", 16, READS);
	FORM("movdqu (%%rdi), %%xmm0\npsrldq $8, %%xmm0\nmovq %%xmm0, %%rax", 16, READS);
	/* Not known to stock KVM's emulator. */
	if (!boot_info()->reference) {
		FORM("movq (%%rdi), %%xmm0\nmovq %%xmm0, %%rax", 8, READS);
		FORM("movd %%xmm0, (%%rdi)", 4, READS);
		FORM("movss (%%rdi), %%xmm0\nmovq %%xmm0, %%rax", 4, READS);
	}
	return nr;
}

static size_t arithmetic(size_t nr)
{
	FORM("addw %%ax, (%%rdi)", 2, RMW);
	FORM("addl %%eax, (%%rdi)", 4, RMW);
	FORM("subq %%rax, (%%rdi)", 8, RMW);
	FORM("adcl $7, (%%rdi)", 4, RMW);
	FORM("sbbl (%%rdi), %%eax", 4, READS);
	FORM("addq (%%rdi), %%rax", 8, READS);
	FORM("orl $0x10, (%%rdi)", 4, RMW);
	FORM("andq %%rax, (%%rdi)", 8, RMW);
	FORM("xorw (%%rdi), %%ax", 2, READS);
	FORM("cmpl (%%rdi), %%eax", 4, READS);
	FORM("cmpq $-1, (%%rdi)", 8, READS);
	FORM("testl %%eax, (%%rdi)", 4, READS);
	FORM("testl $0x8001, (%%rdi)", 4, READS);
	FORM("incl (%%rdi)", 4, RMW);
	FORM("decq (%%rdi)", 8, RMW);
	FORM("negl (%%rdi)", 4, RMW);
	FORM("notq (%%rdi)", 8, RMW);
	FORM("shll $1, (%%rdi)", 4, RMW);
	FORM("rolq $1, (%%rdi)", 8, RMW);
	FORM("sarw $1, (%%rdi)", 2, RMW);
	FORM("imull (%%rdi), %%eax\nlahf\nand $0x100, %%eax\nmov $0, %%edx\ntest %%edx, %%edx", 4,
	     READS);
	FORM("xaddl %%eax, (%%rdi)", 4, RMW);
	FORM("cmpxchgl %%ebx, (%%rdi)", 4, RMW);
	FORM("cmpxchgq %%rbx, (%%rdi)", 8, RMW);
	FORM("btl %%ebx, (%%rdi)\nsetc %%al\ntest %%ebx, %%ebx", 4, READS);
	FORM("btsl $9, (%%rdi)\nsetc %%al\ntest %%ebx, %%ebx", 4, RMW);
	FORM("btcq %%rbx, (%%rdi)\nsetc %%al\ntest %%ebx, %%ebx", 8, RMW);
	FORM("movbel (%%rdi), %%eax", 4, READS);
	return nr;
}

static size_t stack(size_t nr)
{
	FORM("pushq (%%rdi)\npopq %%rax", 8, READS);
	FORM("pushq %%rax\npopq (%%rdi)", 8, READS);
	/* The stack itself is there: POP's and PUSH's pointers stay where they were on a fault. */
	FORM("mov %%rsp, %%r8\nmov %%rdi, %%rsp\npopq %%rax\nmov %%rsp, %%rdi\nmov %%r8, %%rsp", 8,
	     READS);
	FORM("mov %%rsp, %%r8\nlea 8(%%rdi), %%rsp\npushq %%rax\nmov %%rsp, %%rdi\nmov %%r8, %%rsp",
	     8, READS);
	FORM("mov %%rsp, %%r8\nlea 8(%%rdi), %%rsp\npushq $0x77\nmov %%rsp, %%rdi\nmov %%r8, %%rsp",
	     8, READS);
	FORM("mov %%rsp, %%r8\nmov %%rdi, %%rsp\npopw %%ax\nmov %%rsp, %%rdi\nmov %%r8, %%rsp", 2,
	     READS);
	FORM("mov %%rsp, %%r8\nlea 8(%%rdi), %%rsp\npushfq\nmov %%rsp, %%rdi\nmov %%r8, %%rsp\n"
	     "movq $0, (%%rdi)", 8, READS);
	FORM("call *(%%rdi)", 8, POINTER);
	FORM("lea 1f(%%rip), %%rax\njmp *(%%rdi)\n1:", 8, POINTER);
	return nr;
}

static size_t strings(size_t nr)
{
	FORM("movsl", 4, STRING);
	FORM("rep movsb", 1, STRING);
	FORM("rep movsl", 4, STRING);
	FORM("rep movsq", 8, STRING);
	FORM("rep movsw", 2, STRING | SOURCE);
	FORM("rep movsq", 8, STRING | SOURCE);
	FORM("rep stosb", 1, STRING);
	FORM("rep stosl", 4, STRING);
	FORM("rep stosq", 8, STRING);
	FORM("lodsq", 8, STRING | SOURCE);
	FORM("rep lodsl", 4, STRING | SOURCE);
	FORM("repne scasl", 4, STRING | REP_CMP);
	FORM("scasq", 8, STRING);
	FORM("repe cmpsb", 1, STRING | REP_CMP);
	FORM("repne cmpsw", 2, STRING | REP_CMP);
	FORM("repne cmpsl", 4, STRING | SOURCE | REP_CMP);
	return nr;
}

/* Where the access ends in relation to the boundary: in the first page, across it, in the second. */
static void all_places(const struct layout *layout, const struct form *form)
{
	unsigned int size = form->size;

	for (unsigned int before = 0; before <= size; before++) {
		/* The ends and the middle. */
		if (before > 1 && before < size - 1 && before != size / 2)
			continue;
		compare(layout, form, before);
	}
	/* Repeated: the fault comes after some elements, aligned to it and not. */
	for (unsigned int last = 1; form->what & STRING && last < 5; last++) {
		compare(layout, form, size * last);
		compare(layout, form, size * last + size / 2);
	}
}

int main(void)
{
	bool has_movbe = cpuid(1, 0).ecx & 1 << 22;
	size_t nr = strings(stack(arithmetic(moves(0))));

	set_handler(PF, on_fault);
	set_gate_ist(PF, STACK_IST);
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		/* Stock KVM writes the first page's part before it looks at the second page. */
		if (boot_info()->reference && l >= 3)
			break;
		for (int w = 0; w < 2; w++) {
			map_kind(w, 0, layouts[l].first);
			map_kind(w, 1, layouts[l].second);
		}
		for (size_t i = 0; i < nr; i++) {
			if (!has_movbe && !memcmp(forms[i].text, "movbe", 5))
				continue;
			all_places(&layouts[l], &forms[i]);
		}
	}
	return 0;
}
