/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test guest is written against.
 *
 * A guest is one file with a GUEST_NEEDS() and a main(). main() runs on CPU 0 in long mode with the
 * first 4 GiB mapped one to one (writable, for every privilege level), interrupts off, the LAPIC
 * enabled in xAPIC mode. It makes checks and returns; the runtime gives the verdict.
 */
#ifndef OST_GUEST_GUEST_H
#define OST_GUEST_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asm.h"
#include "host.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE_SIZE	4096UL
#define RFLAGS_CF	(1UL << 0)
#define RFLAGS_ZF	(1UL << 6)
#define RFLAGS_TF	(1UL << 8)
#define RFLAGS_IF	(1UL << 9)
#define RFLAGS_DF	(1UL << 10)
#define RFLAGS_RF	(1UL << 16)
#define RFLAGS_AC	(1UL << 18)

enum {
	DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11,
	SS = 12, GP = 13, PF = 14, MF = 16, AC = 17, XF = 19,
	NONE = -1,
};

struct guest_note {
	uint32_t name_size, desc_size, type;
	char name[8];
	struct guest_needs needs;
};

/*
 * GUEST_NEEDS(...) - The CPUs (default 1), memory in MiB (32) and seconds (20) a test asks for; and whether it wants AMD's CPUID.
 */
#define GUEST_NEEDS(...)							\
	__attribute__((section(".note.ostler"), used, aligned(4)))		\
	static const struct guest_note guest_note = {				\
		.name_size = sizeof(GUEST_NOTE_NAME),				\
		.desc_size = sizeof(struct guest_needs),			\
		.type = GUEST_NOTE_TYPE,					\
		.name = GUEST_NOTE_NAME,					\
		.needs = { __VA_ARGS__ },					\
	}

int main(void);

/* ---- output and verdict (runtime.c) ---- */

/*
 * check() - Records one check; a failed one is printed with its text. Returns @ok.
 */
bool check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* check_eq() - check() that two numbers are the same, printing both when not. */
#define check_eq(expected, seen, what) ({					\
	uint64_t e_ = (uint64_t)(expected), s_ = (uint64_t)(seen);		\
	check(e_ == s_, "%s: expected %lx, saw %lx", what, e_, s_); })

/* print() - printf with %c %s %d %u %x %lx %lu %ld %%. Any context. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* skip() - Ends the test as skipped, with why. */
void skip(const char *why) __attribute__((noreturn));

/* verdict() - Ends the test by its checks; main() returning does the same. */
void verdict(void) __attribute__((noreturn));

/* boot_info() - What guestrun says about the machine. */
static inline volatile struct boot_info *boot_info(void)
{
	return (volatile struct boot_info *)BOOT_INFO_GPA;
}

/*
 * host_call() - Has guestrun carry out @op (host.h), with up to six arguments. Its answer.
 */
int host_call(enum host_op op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4);

/* ---- interrupts and exceptions (runtime.c) ---- */

struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

typedef void (*handler_fn)(struct frame *frame);

/* set_handler() - What vector @vector calls, on every CPU. NULL: none again. */
void set_handler(uint8_t vector, handler_fn handler);

/* set_gate_ist() - Which stack of the TSS (1 to 7, 0: none) the vector's gate switches to. */
void set_gate_ist(uint8_t vector, uint8_t ist);

/* set_gate_user() - Lets CPL 3 use the vector by INT n. */
void set_gate_user(uint8_t vector);

struct fault {
	int64_t vector;		/* NONE: there was none */
	uint64_t error, cr2, rip, rflags, resume;
};

/* The last exception that a TRY() met. Of CPU 0 only. */
extern struct fault fault;

/*
 * TRY(text, inputs...) - Executes assembler that may fault; the vector, or NONE.
 *
 * The rest is in fault. The text may use rax; it must leave rsp as it is where it faults.
 */
#define TRY(text, ...) ({							\
	fault.vector = NONE;							\
	asm volatile("lea 99f(%%rip), %%rax\n"					\
		     "mov %%rax, %c[resume](%[fault])\n"			\
		     text "\n99:"						\
		     : : [fault] "r"(&fault), [resume] "i"(offsetof(struct fault, resume)), \
			 ##__VA_ARGS__						\
		     : "rax", "rcx", "rdx", "memory", "cc");			\
	fault.resume = 0;							\
	(int)fault.vector; })

/*
 * run_user() - Runs @fn at CPL 3 on a stack of its own.
 *
 * Returns what it returned; when it faulted, minus the vector minus 1, and fault has the rest.
 */
long run_user(long (*fn)(void));

/* ---- CPUs (smp.c) ---- */

/* cpu_id() - The number of the CPU this runs on. */
unsigned int cpu_id(void);

/* smp_start() - INIT and SIPI to @cpu, which then runs fn(arg). Waits until it does. */
void smp_start(unsigned int cpu, void (*fn)(void *), void *arg);

/* smp_wait() - Waits until what smp_start() started on @cpu has returned. */
void smp_wait(unsigned int cpu);

/* smp_init() - INIT alone: @cpu waits for a SIPI again, whatever it did. */
void smp_init(unsigned int cpu);

/* delay_us() - Spins, by the TSC. */
void delay_us(uint64_t us);

/* wait_for(condition, ms) - Spins until it holds or the time is over; whether it does. */
#define wait_for(condition, ms) ({						\
	uint64_t end_ = rdtsc() + (uint64_t)(ms) * boot_info()->tsc_khz;	\
	while (!(condition) && rdtsc() < end_)					\
		cpu_relax();							\
	(condition); })

/* ---- local APIC (lapic.c) ---- */

#define APIC_ID		0x20
#define APIC_VERSION	0x30
#define APIC_TPR	0x80
#define APIC_PPR	0xa0
#define APIC_EOI	0xb0
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR_LOW	0x300
#define APIC_ICR_HIGH	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_LVT_ERROR	0x370
#define APIC_TIMER_ICR	0x380
#define APIC_TIMER_CCR	0x390
#define APIC_TIMER_DCR	0x3e0
#define APIC_SELF_IPI	0x3f0

#define ICR_FIXED	0x000
#define ICR_LOWEST	0x100
#define ICR_NMI		0x400
#define ICR_INIT	0x500
#define ICR_STARTUP	0x600
#define ICR_LOGICAL	0x800
#define ICR_ASSERT	0x4000
#define ICR_SELF	0x40000
#define ICR_ALL		0x80000
#define ICR_OTHERS	0xc0000

uint32_t lapic_read(unsigned int reg);
void lapic_write(unsigned int reg, uint32_t value);
void lapic_eoi(void);

/* lapic_enable() - Enables the LAPIC by software, with spurious vector 0xff. */
void lapic_enable(void);

/* lapic_enable_x2apic() - Switches to x2APIC mode; the functions here then use its MSRs. */
void lapic_enable_x2apic(void);

/* lapic_ipi() - Sends @icr to @dest: an APIC id, or logical with ICR_LOGICAL. */
void lapic_ipi(uint32_t dest, uint32_t icr);

/* ---- page tables (paging.c) ---- */

#define PTE_P		(1ULL << 0)
#define PTE_W		(1ULL << 1)
#define PTE_U		(1ULL << 2)
#define PTE_A		(1ULL << 5)
#define PTE_D		(1ULL << 6)
#define PTE_PS		(1ULL << 7)
#define PTE_G		(1ULL << 8)
#define PTE_NX		(1ULL << 63)

/*
 * map_page() - Maps @gva to @gpa in the current tables at @level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB).
 *
 * Tables in between are made as needed. Returns the entry.
 */
volatile uint64_t *map_page(uint64_t gva, uint64_t gpa, uint64_t flags, int level);

/* page_entry() - The entry that maps @gva at @level, or NULL. */
volatile uint64_t *page_entry(uint64_t gva, int level);

/* page_alloc() - A zeroed page of guest memory; never given back. */
void *page_alloc(void);

/* ---- instructions ---- */

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void cli(void)
{
	asm volatile("cli" : : : "memory");
}

static inline void sti(void)
{
	asm volatile("sti" : : : "memory");
}

/* sti; nop: by its end everything pending has been taken. */
static inline void sti_nop(void)
{
	asm volatile("sti\nnop\nnop" : : : "memory");
}

static inline void sti_hlt(void)
{
	asm volatile("sti\nhlt" : : : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("lfence\nrdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return lo | (uint64_t)hi << 32;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t function, uint32_t index)
{
	struct cpuid c;

	asm volatile("cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx)
		     : "a"(function), "c"(index));
	return c;
}

#define DEFINE_IO(size, type, suffix)						\
static inline void out##suffix(uint16_t port, type value)			\
{										\
	asm volatile("out" #suffix " %0, %1" : : "a"(value), "Nd"(port) : "memory"); \
}										\
static inline type in##suffix(uint16_t port)					\
{										\
	type value;								\
										\
	asm volatile("in" #suffix " %1, %0" : "=a"(value) : "Nd"(port) : "memory"); \
	return value;								\
}
DEFINE_IO(8, uint8_t, b)
DEFINE_IO(16, uint16_t, w)
DEFINE_IO(32, uint32_t, l)

#define DEFINE_CR(nr)								\
static inline uint64_t read_cr##nr(void)					\
{										\
	uint64_t value;								\
										\
	asm volatile("mov %%cr" #nr ", %0" : "=r"(value) : : "memory");		\
	return value;								\
}										\
static inline void write_cr##nr(uint64_t value)					\
{										\
	asm volatile("mov %0, %%cr" #nr : : "r"(value) : "memory");		\
}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
DEFINE_CR(8)

static inline void invlpg(uint64_t gva)
{
	asm volatile("invlpg (%0)" : : "r"(gva) : "memory");
}

static inline uint64_t read_rflags(void)
{
	uint64_t value;

	asm volatile("pushfq\npopq %0" : "=r"(value) : : "memory");
	return value;
}

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
