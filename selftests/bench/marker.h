/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marker instructions: what an emulator with a counter in it counts between. NOPs of a length and with a
 * displacement that no compiler makes: nopl disp32(%rax).
 */
#ifndef BENCH_MARKER_H
#define BENCH_MARKER_H

#define MARKER_BEGIN 0x4f535401	/* set all counters to 0 */
#define MARKER_END 0x4f535402	/* write them down */

/* The same bytes in 32-bit code. */
#ifdef __x86_64__
#define MARKER_BASE "%%rax"
#else
#define MARKER_BASE "%%eax"
#endif
#define MARKER(which) asm volatile("nopl %c0(" MARKER_BASE ")" : : "i" (which) : "memory")

#if __STDC_HOSTED__		/* a bare guest has no <string.h>, and only executes markers */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool marker_is(const uint8_t *bytes, size_t len, uint32_t which)
{
	static const uint8_t opcode[] = { 0x0f, 0x1f, 0x80 };

	return len == sizeof(opcode) + sizeof(which) && !memcmp(bytes, opcode, sizeof(opcode)) &&
	       !memcmp(bytes + sizeof(opcode), &which, sizeof(which));
}
#endif

#endif
