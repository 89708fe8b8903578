// SPDX-License-Identifier: GPL-2.0-only
/* Every form of instruction that compilers use on device memory, against the CPU itself. */
#include "differ.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 40);

#define MOVE(text)	do { DIFFER(text, INSIDE, 3, false, FLAGS_ALL);		\
			     DIFFER(text, ACROSS, 3, false, FLAGS_ALL); } while (0)
#define FORM(text)	DIFFER(text, INSIDE, 3, false, FLAGS_ALL)
#define FORM_CF(text)	DIFFER(text, INSIDE, 3, false, FLAGS_CF)
#define FORM_ZF(text)	DIFFER(text, INSIDE, 3, false, FLAGS_ZF)

static void moves(void)
{
	MOVE("movb %%al, (%%rdi)");
	MOVE("movw %%ax, (%%rdi)");
	MOVE("movl %%eax, (%%rdi)");
	MOVE("movq %%rax, (%%rdi)");
	MOVE("movb (%%rdi), %%bl");
	MOVE("movw (%%rdi), %%bx");
	MOVE("movl (%%rdi), %%ebx");
	MOVE("movq (%%rdi), %%rbx");
	FORM("movb %%ah, (%%rdi)");
	FORM("movb (%%rdi), %%ch");
	FORM("movb $0x5a, (%%rdi)");
	FORM("movw $0x5aa5, (%%rdi)");
	FORM("movl $0x5aa51234, (%%rdi)");
	FORM("movq $-2, (%%rdi)");
	FORM("movl %%r8d, 4(%%rdi, %%rcx, 8)");
	FORM("movq %%r8, -8(%%rdi)");
	FORM("movzbl (%%rdi), %%eax");
	FORM("movzbw (%%rdi), %%ax");
	FORM("movzwl (%%rdi), %%eax");
	FORM("movzwq (%%rdi), %%rax");
	FORM("movsbl (%%rdi), %%eax");
	FORM("movsbq (%%rdi), %%rax");
	FORM("movswl (%%rdi), %%eax");
	FORM("movslq (%%rdi), %%rax");
	FORM("movnti %%eax, (%%rdi)");
	FORM("xchgb %%al, (%%rdi)");
	FORM("xchgl %%eax, (%%rdi)");
	/* Not across the edge: TCG loses the flags of atomic operations that span pages. */
	FORM("xchgq %%rax, (%%rdi)");
	FORM("pushq (%%rdi)\npopq %%rax");
	FORM("pushq %%rax\npopq (%%rdi)");
	FORM("cmovzl (%%rdi), %%eax");
	FORM("cmovncq (%%rdi), %%rax");
	FORM("setz (%%rdi)");
}

static void arithmetic(void)
{
	FORM("addl %%eax, (%%rdi)");
	FORM("addq (%%rdi), %%rax");
	FORM("addb $0x12, (%%rdi)");
	FORM("addw $0x1234, (%%rdi)");
	FORM("addl $-3, (%%rdi)");
	FORM("adcl %%eax, (%%rdi)");
	FORM("sbbq %%rax, (%%rdi)");
	FORM("subw %%ax, (%%rdi)");
	FORM("subl (%%rdi), %%eax");
	FORM("cmpb %%al, (%%rdi)");
	FORM("cmpl (%%rdi), %%eax");
	FORM("cmpl $0x100, (%%rdi)");
	FORM("cmpq $-1, (%%rdi)");
	FORM("incl (%%rdi)");
	FORM("decb (%%rdi)");
	FORM("negl (%%rdi)");
	FORM("andl %%eax, (%%rdi)");
	FORM("andl $0xfffffffe, (%%rdi)");
	FORM("orl %%eax, (%%rdi)");
	FORM("orb $1, (%%rdi)");
	FORM("orl (%%rdi), %%eax");
	FORM("xorl %%eax, (%%rdi)");
	FORM("testl %%eax, (%%rdi)");
	FORM("testb $0x20, (%%rdi)");
	FORM("testl $0x80000000, (%%rdi)");
	FORM("notl (%%rdi)");
	FORM("shll $1, (%%rdi)");
	FORM("sarl $1, (%%rdi)");
	FORM_CF("shrl $5, (%%rdi)");
	FORM_CF("rolw %%cl, (%%rdi)");
	FORM_CF("mull (%%rdi)");
	FORM_CF("imull (%%rdi), %%eax");
	FORM_CF("imull $7, (%%rdi), %%eax");
}

static void locked(void)
{
	FORM("lock addl %%eax, (%%rdi)");
	FORM("lock orl $4, (%%rdi)");
	FORM("lock incq (%%rdi)");
	FORM("xaddl %%eax, (%%rdi)");
	FORM("lock xaddq %%rax, (%%rdi)");
	FORM("cmpxchgl %%ebx, (%%rdi)");
	FORM("lock cmpxchgq %%rbx, (%%rdi)");
	FORM("lock cmpxchgb %%bl, (%%rdi)");
	FORM_ZF("cmpxchg8b (%%rdi)");
	FORM_CF("btl $5, (%%rdi)");
	FORM_CF("btsl $17, (%%rdi)");
	FORM_CF("btrl $0, (%%rdi)");
	FORM_CF("btcq $63, (%%rdi)");
	FORM_CF("and $0x3ff, %%eax\nbtsl %%eax, (%%rdi)");
	FORM_CF("lock btsl $3, (%%rdi)");
	FORM_ZF("bsfl (%%rdi), %%ebx\ncmovz %%eax, %%ebx");
}

static void vectors(void)
{
	FORM("movq %%rax, %%xmm0\nmovdqu %%xmm0, (%%rdi)");
	FORM("movdqu (%%rdi), %%xmm0\nmovq %%xmm0, %%rax");
	FORM("movaps (%%rdi), %%xmm1\nmovups %%xmm1, 16(%%rdi)");
	FORM("movdqa %%xmm1, (%%rdi)");
}

/* How often and how wide the device is accessed is the guest's word, not the emulator's choice. */
static void once(const char *what, uint32_t reads, uint32_t writes, uint32_t len)
{
	static struct mmio_access log[8];
	uint32_t seen[2] = { 0, 0 };
	int nr = host_call(HOST_LOG_READ, (uintptr_t)log, ARRAY_SIZE(log), 0, 0, 0);

	for (int i = 0; i < nr && i < (int)ARRAY_SIZE(log); i++) {
		seen[log[i].is_write]++;
		check(log[i].len == len, "%s: access of %u bytes", what, log[i].len);
		check_eq(MMIO_GPA + 0x40, log[i].gpa, what);
	}
	check(seen[0] == reads && seen[1] == writes, "%s: %u reads, %u writes", what, seen[0],
	      seen[1]);
	host_call(HOST_LOG_CLEAR, 0, 0, 0, 0, 0);
}

#define ONCE(text, reads, writes, len) do {					\
	asm volatile(text : : "D"(MMIO_GPA + 0x40), "a"(1) : "memory", "cc", "rbx"); \
	once(text, reads, writes, len);						\
} while (0)

static void access_counts(void)
{
	host_call(HOST_LOG_CLEAR, 0, 0, 0, 0, 0);
	ONCE("movb %%al, (%%rdi)", 0, 1, 1);
	ONCE("movl %%eax, (%%rdi)", 0, 1, 4);
	ONCE("movq %%rax, (%%rdi)", 0, 1, 8);
	ONCE("movzwl (%%rdi), %%ebx", 1, 0, 2);
	ONCE("movl (%%rdi), %%ebx", 1, 0, 4);
	ONCE("addl %%eax, (%%rdi)", 1, 1, 4);
	ONCE("xchgl %%eax, (%%rdi)", 1, 1, 4);
	ONCE("testb $1, (%%rdi)", 1, 0, 1);
	ONCE("cmpl $1, (%%rdi)", 1, 0, 4);
	ONCE("orb $1, (%%rdi)", 1, 1, 1);
}

int main(void)
{
	moves();
	arithmetic();
	locked();
	vectors();
	access_counts();
	return 0;
}
