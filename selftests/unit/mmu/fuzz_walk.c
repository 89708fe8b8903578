// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: paging state and tables as the bytes choose them. The walk and an oracle written
 * from the manuals on its own (walk_oracle.c) have to give the same address or the same fault, and
 * to leave the same accessed and dirty bits.
 *
 *	make test-fuzz T=fuzz/mmu/fuzz_walk
 */
#include <stdlib.h>
#include "walk_oracle.h"

struct input {
	const u8 *data;
	size_t left;
	u32 more;
};

static u32 from_input(void *ctx)
{
	struct input *in = ctx;

	/* When the bytes run out, a fixed sequence goes on that depends on them. */
	in->more = in->more * 1664525 + 1013904223;
	if (in->left) {
		in->left--;
		in->more ^= (u32)*in->data++ << 11;
		return in->data[-1];
	}
	return in->more >> 8;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, size, 1 };

	if (!walk_compare(from_input, &in))
		abort();
	return 0;
}
