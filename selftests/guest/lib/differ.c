// SPDX-License-Identifier: GPL-2.0-only
#include "differ.h"

#define SPAN	256UL	/* bytes around each pointer that are compared */

struct state {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, r8, rflags;
};

void differ_execute(struct state *state, void *code);
/* Loads the state, calls the code, stores the state. */
asm(".text\n.globl differ_execute\ndiffer_execute:\n"
    "pushq %rbx\npushq %rbp\npushq %r12\npushq %rdi\nmovq %rsi, %r12\nmovq %rdi, %rbp\n"
    "pushq 56(%rbp)\npopfq\n"
    "movq 0(%rbp), %rax\nmovq 8(%rbp), %rbx\nmovq 16(%rbp), %rcx\nmovq 24(%rbp), %rdx\n"
    "movq 32(%rbp), %rsi\nmovq 40(%rbp), %rdi\nmovq 48(%rbp), %r8\n"
    "call *%r12\n"
    "pushfq\ncld\nmovq 8(%rsp), %rbp\n"
    "movq %rax, 0(%rbp)\nmovq %rbx, 8(%rbp)\nmovq %rcx, 16(%rbp)\nmovq %rdx, 24(%rbp)\n"
    "movq %rsi, 32(%rbp)\nmovq %rdi, 40(%rbp)\nmovq %r8, 48(%rbp)\npopq 56(%rbp)\n"
    "popq %rdi\npopq %r12\npopq %rbp\npopq %rbx\nret\n");

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Where the bytes from @gpa on are to be set up and checked: devices are only poked by the test. */
static uint8_t *alias(uint64_t gpa)
{
	return (uint8_t *)(gpa >= MMIO_GPA && gpa < MMIO_GPA + MMIO_SIZE ?
			   gpa - MMIO_GPA + MMIO_ALIAS_GPA : gpa);
}

static void fill(uint64_t gpa, const uint8_t *pattern)
{
	for (uint64_t i = 0; i < 2 * SPAN; i++)
		*alias(gpa + i) = pattern[i];
}

static bool same(uint64_t a, uint64_t b)
{
	for (uint64_t i = 0; i < 2 * SPAN; i++) {
		if (*alias(a + i) != *alias(b + i))
			return false;
	}
	return true;
}

void differ(const char *text, void *code, enum where where, uint64_t count, bool backward,
	    uint64_t flags)
{
	static uint8_t memory[2][2 * SPAN] __attribute__((aligned(4096)));
	static uint8_t scratch[2][2 * SPAN] __attribute__((aligned(4096)));
	static const int64_t special[] = { 0, 1, -1, 0x7f, -128, INT64_MIN };
	uint64_t plain[2] = { (uintptr_t)memory[0], (uintptr_t)memory[1] };
	uint64_t device[2] = { MMIO_GPA + 0x400, MMIO_GPA + 0x2400 };

	if (where == ACROSS)
		device[0] = MMIO_GPA - SPAN - 3;
	else if (where == SOURCE)
		device[0] = (uintptr_t)scratch[0];
	if (where == INSIDE || where == ACROSS)
		device[1] = (uintptr_t)scratch[1];

	for (size_t round = 0; round < ARRAY_SIZE(special) + 2; round++) {
		struct state start = {
			.rax = random(), .rbx = random(), .rcx = count, .rdx = random(),
			.r8 = random(),
			.rflags = 2 | (backward ? RFLAGS_DF : 0) | (random() & 0x8d5),
		};
		struct state native = start, emulated = start;
		uint8_t pattern[2][2 * SPAN];

		for (uint64_t i = 0; i < 2 * SPAN; i++) {
			pattern[0][i] = random();
			pattern[1][i] = random();
		}
		if (round < ARRAY_SIZE(special)) {
			native.rax = special[round];
			emulated.rax = special[round];
			memcpy(pattern[0] + SPAN, &special[round], 8);
		}
		/* A comparison that succeeds half of the time. */
		if (round & 1)
			memcpy(pattern[0] + SPAN, &native.rax, 8);
		for (int i = 0; i < 2; i++) {
			fill(plain[i], pattern[i]);
			fill(device[i], pattern[i]);
		}
		native.rdi = plain[0] + SPAN;
		native.rsi = plain[1] + SPAN;
		emulated.rdi = device[0] + SPAN;
		emulated.rsi = device[1] + SPAN;
		differ_execute(&native, code);
		differ_execute(&emulated, code);
		check(same(plain[0], device[0]) && same(plain[1], device[1]),
		      "%s: memory differs, round %lu, where %d", text, round, where);
		check(native.rax == emulated.rax && native.rbx == emulated.rbx &&
		      native.rcx == emulated.rcx && native.rdx == emulated.rdx &&
		      native.r8 == emulated.r8,
		      "%s: rax %lx/%lx rbx %lx/%lx rcx %lx/%lx rdx %lx/%lx, round %lu, where %d",
		      text, native.rax, emulated.rax, native.rbx, emulated.rbx, native.rcx,
		      emulated.rcx, native.rdx, emulated.rdx, round, where);
		check(native.rdi - plain[0] == emulated.rdi - device[0] &&
		      native.rsi - plain[1] == emulated.rsi - device[1],
		      "%s: pointers moved by %ld and %ld instead of %ld and %ld", text,
		      emulated.rdi - device[0] - SPAN, emulated.rsi - device[1] - SPAN,
		      native.rdi - plain[0] - SPAN, native.rsi - plain[1] - SPAN);
		check(!((native.rflags ^ emulated.rflags) & flags),
		      "%s: flags %lx instead of %lx, round %lu", text, emulated.rflags & flags,
		      native.rflags & flags, round);
	}
}
