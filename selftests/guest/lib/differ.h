/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One instruction twice: on ordinary memory, where the CPU executes it, and on device memory, where
 * the hypervisor has to. Registers, flags and memory have to come out the same.
 */
#ifndef OST_GUEST_DIFFER_H
#define OST_GUEST_DIFFER_H

#include "guest.h"

#define FLAGS_ALL	0x8c5	/* OF SF ZF PF CF; AF is left out, logic leaves it undefined */
#define FLAGS_CF	0x001
#define FLAGS_ZF	0x040
#define FLAGS_NONE	0

enum where {
	INSIDE,		/* rdi points into the device */
	ACROSS,		/* three bytes before it */
	SOURCE,		/* rsi points into the device, rdi to ordinary memory */
	BOTH,		/* both do */
};

/*
 * differ() - Runs @code (ending in ret) both ways, from several starting states.
 *
 * It finds rdi and rsi as @where says, rcx = @count, random rax, rbx, rdx and r8, and DF as
 * @backward says. @flags are the flags that the instruction defines.
 */
void differ(const char *text, void *code, enum where where, uint64_t count, bool backward,
	    uint64_t flags);

#define DIFFER(text, where, count, backward, flags) do {			\
	void *code_;								\
	asm volatile("jmp 2f\n1: " text "\nret\n2: lea 1b(%%rip), %0" : "=r"(code_)); \
	differ(text, code_, where, count, backward, flags);			\
} while (0)

#endif
