// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debug exceptions where shadows, INT1 and general detect meet single steps, at CPL 0 and 3: how many there are, where, and
 * what DR6 says of each (SDM vol. 3B, 17.2.3 and 17.3; vol. 3A, 6.8.3).
 *
 *	make test-guest T=guest/debug_traps
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define MAX_HITS	16
#define VECTOR		0x71
#define IOPL_VECTOR	0x81
#define DR6_START	0xffff0ff0UL
#define DR6_BD		(1UL << 13)
#define DR6_BS		(1UL << 14)
#define DR7_GD		(1UL << 13)

static volatile unsigned int hits, breakpoints;
static uint64_t at[MAX_HITS], dr6[MAX_HITS], bp_at;
static volatile uint64_t value;
static bool intel;

static void write_dr6(uint64_t val)
{
	asm volatile("mov %0, %%dr6" : : "r"(val));
}

static void write_dr7(uint64_t val)
{
	asm volatile("mov %0, %%dr7" : : "r"(val));
}

static void on_debug(struct frame *frame)
{
	uint64_t seen;

	asm volatile("mov %%dr6, %0" : "=r"(seen));
	if (hits < MAX_HITS) {
		at[hits] = frame->rip;
		dr6[hits] = seen;
	}
	hits++;
	/* A fault on the instruction itself must not come again at once. */
	if (seen & 0xf)
		frame->rflags |= RFLAGS_RF;
	if (hits == MAX_HITS) {
		frame->rflags &= ~RFLAGS_TF;
		write_dr7(0x400);
	}
}

static void on_breakpoint(struct frame *frame)
{
	breakpoints++;
	bp_at = frame->rip;
}

static void give_iopl(struct frame *frame)
{
	frame->rflags |= 3 << 12;
}

static void on_interrupt(struct frame *frame)
{
	(void)frame;
	lapic_eoi();
}

/*
 * Steps begin behind the instruction after START, and end with STOP. What is stepped over has labels: NAME0 and so on, where
 * the traps are; those of STOP are STOP_HITS more.
 */
#define START	"pushfq\norq $0x100, (%%rsp)\npopfq\n"
#define STOP	"pushfq\nandq $~0x100, (%%rsp)\npopfq\n"
#define STOP_HITS 3
#define L(label) ".globl " #label "\n" #label ": "
#define USES	: : : "rax", "rbx", "rcx", "rdx", "rsi", "memory", "cc"

extern char plain0[], plain1[], exits0[], exits1[], exits2[], exits3[], sti0[], sti1[], ss0[], ss1[], one0[], one1[],
	one2[];

static long plain(void)
{
	asm volatile(START "nop\n" L(plain0) "nop\n" L(plain1) STOP USES);
	return 0;
}

static long exits(void)
{
	asm volatile(START "xor %%eax, %%eax\n" L(exits0) "cpuid\n" L(exits1) "mov %0, %%edx\n" L(exits2)
		     "inb %%dx, %%al\n" L(exits3) STOP
		     : : "i"(PORT_LATCH) : "rax", "rbx", "rcx", "rdx", "memory", "cc");
	return 0;
}

/* STI's shadow holds no trap up. */
static long behind_sti(void)
{
	asm volatile("cli\n" START "sti\n" L(sti0) "nop\n" L(sti1) STOP "cli" USES);
	return 0;
}

/* That of MOV SS does. */
static long behind_mov_ss(void)
{
	asm volatile("mov %%ss, %%esi\n" START "mov %%esi, %%ss\nnop\n" L(ss0) "nop\n" L(ss1) STOP USES);
	return 0;
}

/* INT1 is a trap of its own, which DR6 says nothing of. */
static long int1(void)
{
	asm volatile("mov %%ss, %%esi\n" START "mov %%esi, %%ss\n.byte 0xf1\n" L(one0) ".byte 0xf1\n" L(one1)
		     "nop\n" L(one2) STOP USES);
	return 0;
}

struct hit {
	const char *at;
	uint64_t dr6;
};

static void expect(const char *what, bool user, const struct hit *wanted, unsigned int nr)
{
	const char *how = user ? " at CPL 3" : "";

	check(hits == nr + STOP_HITS, "%s%s: %u traps, not %u", what, how, hits, nr + STOP_HITS);
	for (unsigned int i = 0; i < nr && i < hits; i++)
		check(at[i] == (uintptr_t)wanted[i].at && dr6[i] == wanted[i].dr6,
		      "%s%s: trap %u at %lx with DR6 %lx, not %lx %lx", what, how, i, at[i], dr6[i],
		      (uintptr_t)wanted[i].at, wanted[i].dr6);
}

static long (*user_text)(void);

static long in_user(void)
{
	asm volatile("int %0" : : "i"(IOPL_VECTOR));
	return user_text();
}

static void both(const char *what, long (*text)(void), const struct hit *wanted, unsigned int nr)
{
	for (int user = 0; user < 2; user++) {
		hits = 0;
		write_dr6(0);
		user_text = text;
		if (user)
			check_eq(0, run_user(in_user), what);
		else
			text();
		expect(what, user, wanted, nr);
	}
}

static void steps(void)
{
	const uint64_t step = DR6_START | DR6_BS;

	both("plain steps", plain, (struct hit[]){ { plain0, step }, { plain1, step } }, 2);
	both("steps over exits", exits,
	     (struct hit[]){ { exits0, step }, { exits1, step }, { exits2, step }, { exits3, step } }, 4);
	both("steps behind STI", behind_sti, (struct hit[]){ { sti0, step }, { sti1, step } }, 2);
	both("steps behind MOV SS", behind_mov_ss, (struct hit[]){ { ss0, step }, { ss1, step } }, 2);
	both("INT1 behind MOV SS", int1,
	     (struct hit[]){ { one0, DR6_START }, { one1, DR6_START }, { one2, step } }, 3);
}

extern char gd0[], gd1[], gd2[], halt0[], halt1[], halt2[];

/* General detect is a fault, which MOV SS does not hold up; its MOV DR then has a step of its own. */
static void general_detect(void)
{
	const uint64_t step = DR6_START | DR6_BS;

	hits = 0;
	write_dr6(0);
	write_dr7(0x400 | DR7_GD);
	asm volatile("xor %%ecx, %%ecx\nmov %%ss, %%esi\n" START "mov %%esi, %%ss\n" L(gd0) "mov %%rcx, %%dr6\n"
		     L(gd1) "nop\n" L(gd2) STOP USES);
	/* Bochs tells of the step that waits along with it. */
	if (intel)
		dr6[0] &= ~DR6_BS;
	expect("general detect behind MOV SS", false,
	       (struct hit[]){ { gd0, DR6_START | DR6_BD }, { gd1, step }, { gd2, step } }, 3);
	write_dr7(0x400);
}

static void halt(void)
{
	const uint64_t step = DR6_START | DR6_BS;

	lapic_write(APIC_TIMER_DCR, 0xb);
	lapic_write(APIC_LVT_TIMER, VECTOR);
	lapic_write(APIC_TIMER_ICR, 1000000);
	hits = 0;
	write_dr6(0);
	asm volatile(START "sti\n" L(halt0) "hlt\n" L(halt1) "nop\n" L(halt2) STOP USES);
	expect("HLT behind STI", false,
	       (struct hit[]){ { halt0, step }, { halt1, step }, { halt2, step } }, 3);
	/* The interrupt may come any time. */
	wait_for(!lapic_read(APIC_TIMER_CCR), 1000);
	sti_nop();
	cli();
}

extern char hw0[], hw1[], wp0[], wp1[], icebp0[];

/* B0 to B3 are those of the last exception; the others are set and never cleared. */
static void breakpoint_bits(void)
{
	hits = 0;
	write_dr6(0);
	asm volatile("mov %0, %%dr2" : : "r"(hw0));
	write_dr7(0x400 | 1 << 5);
	asm volatile(L(hw0) "nop" : : : "memory");
	check(hits == 1 && at[0] == (uintptr_t)hw0 && dr6[0] == (DR6_START | 4),
	      "breakpoint: %u at %lx, DR6 %lx", hits, at[0], dr6[0]);
	hits = 0;
	asm volatile("mov %0, %%dr2" : : "r"(hw1));
	write_dr6(DR6_BS | 2);
	asm volatile(L(hw1) "nop" : : : "memory");
	check(hits == 1 && at[0] == (uintptr_t)hw1 && dr6[0] == (DR6_START | DR6_BS | 4),
	      "breakpoint with BS and B1 set: %u at %lx, DR6 %lx", hits, at[0], dr6[0]);

	hits = 0;
	asm volatile("mov %0, %%dr1" : : "r"(&value));
	write_dr6(DR6_BS);
	write_dr7(0x00d0040a);	/* a write of 4 bytes */
	asm volatile("movl $42, %0\n" L(wp0) "nop" : "=m"(value) : : "memory");
	check(hits == 1 && at[0] == (uintptr_t)wp0 && dr6[0] == (DR6_START | DR6_BS | 2),
	      "watchpoint with BS set: %u at %lx, DR6 %lx", hits, at[0], dr6[0]);
	hits = 0;
	write_dr6(0);
	asm volatile("movl $43, %0\n" L(wp1) "nop" : "=m"(value) : : "memory");
	check(hits == 1 && at[0] == (uintptr_t)wp1 && dr6[0] == (DR6_START | 2),
	      "watchpoint: %u at %lx, DR6 %lx", hits, at[0], dr6[0]);

	hits = 0;
	write_dr6(0);
	asm volatile(".byte 0xf1\n" L(icebp0) "nop" : : : "memory");
	check(hits == 1 && at[0] == (uintptr_t)icebp0 && dr6[0] == DR6_START, "INT1: %u at %lx, DR6 %lx", hits,
	      at[0], dr6[0]);
	write_dr7(0x400);
}

extern char late0[], late1[], late2[];

/*
 * A watchpoint that a load of SS hits waits for the end of the next instruction. INT1 is a #DB by itself, so there is one in
 * all; INT 1 and INT3 are not. (TCG does not let the first wait, and Bochs loses the others.)
 */
static void watched_ss(void)
{
	value = SEL_DATA;
	write_dr6(0);
	write_dr7(0x00f0040a);	/* a read or write of 4 bytes */
	hits = 0;
	asm volatile("mov %0, %%ss\n.byte 0x2e, 0x2e, 0xf1\n" L(late0) "nop" : : "m"(value) : "memory");
	check(hits == (intel ? 1 : 2) && at[hits - 1] == (uintptr_t)late0, "INT1 behind a watched MOV SS: %u at %lx", hits, at[0]);
	hits = 0;
	asm volatile("mov %0, %%ss\nint $1\n" L(late1) "nop" : : "m"(value) : "memory");
	check_eq(intel ? 1 : 2, hits, "INT 1 behind a watched MOV SS");
	hits = 0;
	breakpoints = 0;
	asm volatile("mov %0, %%ss\n.byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xcc\n"
		     L(late2) "nop" : : "m"(value) : "memory");
	check(hits == !intel && breakpoints == 1 && bp_at == (uintptr_t)late2,
	      "INT3 behind a watched MOV SS: %u and %u at %lx", hits, breakpoints, bp_at);
	write_dr7(0x400);
}

int main(void)
{
	intel = cpuid(0, 0).ebx == 0x756e6547;	/* "Genu" */
	set_handler(DB, on_debug);
	set_handler(BP, on_breakpoint);
	set_handler(VECTOR, on_interrupt);
	set_handler(IOPL_VECTOR, give_iopl);
	set_gate_user(IOPL_VECTOR);
	steps();
	general_detect();
	halt();
	breakpoint_bits();
	watched_ss();
	return 0;
}
