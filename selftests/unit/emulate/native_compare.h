/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Executed instructions against the real CPU: random forms of each instruction with random operands
 * run in this process and in the emulator; registers, flags, memory and exceptions have to agree.
 * Only what the manuals leave undefined is not compared.
 */
#ifndef OST_UNIT_NATIVE_COMPARE_H
#define OST_UNIT_NATIVE_COMPARE_H

#include <linux/types.h>

/* Kinds of instructions; the last exists in 32-bit code alone, conditions are for 64-bit code. */
enum native_group {
	GROUP_INTEGER,
	GROUP_MOVES,
	GROUP_STACK,
	GROUP_CONDITIONS,
	GROUP_STRINGS,
	GROUP_VECTORS,
	GROUP_LEGACY,
	GROUP_COUNT,
};

struct native_counts {
	unsigned long runs, faults;
};

/* To be called once, before the others. Ends the program when it fails. */
void native_compare_init(void);

/* How many instructions the group has. */
unsigned int native_compare_count(enum native_group group);

/*
 * Runs up to 'rounds' forms of the group's nth instruction, as 64-bit code or ('compat') as 32-bit
 * code, made from the numbers that 'random' gives. How many it came to, and how many faulted.
 */
struct native_counts native_compare(enum native_group group, unsigned int nth, bool compat,
				    unsigned int rounds, u64 (*random)(void));

/* The program's own: what to do with a difference. */
void native_report(const char *format, ...) __attribute__((__format__(printf, 1, 2)));

#endif
