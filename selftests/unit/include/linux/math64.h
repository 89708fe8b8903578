/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_MATH64_H
#define OST_UNIT_LINUX_MATH64_H

#include <linux/bug.h>
#include <linux/types.h>

/* As on x86-64, where a quotient that does not fit is a division error. */
static inline u64 mul_u64_u32_div(u64 a, u32 mul, u32 div)
{
	unsigned __int128 q = (unsigned __int128)a * mul / div;

	BUG_ON(q >> 64);
	return q;
}

#endif
