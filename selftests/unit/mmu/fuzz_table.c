// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: operations on the nested page table as the bytes say, in four formats. Table and
 * flat model (table_model.h) have to agree on each answer, at the end on every entry and on which
 * tables exist, and no page of the table is left when all is zapped.
 *
 *	make test-fuzz T=fuzz/mmu/fuzz_table
 */
#include <stdlib.h>
#include "table_model.h"

struct input {
	const u8 *data;
	size_t left;
};

static u32 take(struct input *in, u32 bytes)
{
	u32 value = 0;

	while (bytes-- && in->left) {
		value = value << 8 | *in->data++;
		in->left--;
	}
	return value;
}

static bool with_mmio;

static bool step(struct input *in)
{
	u32 op = take(in, 1);
	u64 first = take(in, 3) % WINDOW_PAGES;
	u64 end, length;

	if (op & 0x80)
		first &= ~511ULL;
	if (!(op & 4))
		return table_map(first, op >> 5 & 3, 1 + (op & 3) % 3, op & 8, op >> 4 & 1);
	length = take(in, 2);
	/* Some of them cover the largest tables. */
	end = first + 1 + (length & 0x8000 ? (length & 0x7fff) << 5 : length);
	if (op & 0x40)
		end = (end + 511) & ~511ULL;
	if (end > WINDOW_PAGES)
		end = WINDOW_PAGES;
	switch (op & 0x1b) {
	case 0:
		return table_zap(first, end, op & 0x20);
	case 1:
		return table_protect(first, end, 16);
	case 2:
		return table_age(first, end, op & 0x20);
	case 3:
		return table_any(first, end);
	case 8:
		return table_allows(first, op & 0x20);
	case 9:
		return !with_mmio || table_map_mmio(first, 4);
	case 10:
		return table_map_raced(first, length & 3, 1 + (length >> 2) % 3, length & 0x10,
				       1 + (length >> 5) % 3, length & 0x80);
	default:
		table_cpu_access(first, op & 0x20);
		return true;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct ost_pte_format *const formats[] = {
		&format_npt, &format_npt5, &format_ept, &format_ept_plain,
	};
	struct input in = { data, size };
	const struct ost_pte_format *format = formats[take(&in, 1) % 4];

	table_setup(format);
	with_mmio = format->mmio;
	for (int n = 0; in.left && n < 40; n++)
		if (!step(&in))
			abort();
	if (!table_check() || !table_zap(0, WINDOW_PAGES, true) || !table_check() ||
	    !table_teardown())
		abort();
	return 0;
}
