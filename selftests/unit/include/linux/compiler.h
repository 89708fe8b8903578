/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_COMPILER_H
#define OST_UNIT_LINUX_COMPILER_H

#include <linux/types.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" ::: "memory")
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val) (*(volatile typeof(x) *)&(x) = (val))
#define noinline __attribute__((__noinline__))

#endif
