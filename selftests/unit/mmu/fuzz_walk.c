// SPDX-License-Identifier: GPL-2.0-only
/* Paging state and tables as the fuzzer's bytes choose them: the walk against the oracle. */
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
