/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_KERNEL_H
#define OST_UNIT_LINUX_KERNEL_H

#include_next <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <stdio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define min(a, b)                                                                                  \
	({                                                                                         \
		typeof(a) min_a = (a);                                                             \
		typeof(b) min_b = (b);                                                             \
		(void)(&min_a == &min_b);                                                          \
		min_a < min_b ? min_a : min_b;                                                     \
	})
#define max(a, b)                                                                                  \
	({                                                                                         \
		typeof(a) max_a = (a);                                                             \
		typeof(b) max_b = (b);                                                             \
		(void)(&max_a == &max_b);                                                          \
		max_a > max_b ? max_a : max_b;                                                     \
	})
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define ALIGN(x, a) (((x) + (a)-1) & ~((typeof(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((typeof(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a)-1)) == 0)
#define upper_32_bits(n) ((u32)((n) >> 32))
#define lower_32_bits(n) ((u32)(n))
#define pr_debug(...) do { } while (0)
#define pr_info(...) printf("# " __VA_ARGS__)
#define pr_warn(...) printf("# " __VA_ARGS__)
#define pr_err(...) printf("# " __VA_ARGS__)

#endif
