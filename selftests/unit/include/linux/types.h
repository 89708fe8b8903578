/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own integer types, for userspace builds of the module's pure parts. */
#ifndef OST_UNIT_LINUX_TYPES_H
#define OST_UNIT_LINUX_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef unsigned long long u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef long long s64;

typedef unsigned int gfp_t;

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif
#define __must_check __attribute__((__warn_unused_result__))
#define __maybe_unused __attribute__((__unused__))
#define __packed __attribute__((__packed__))
#define __aligned(n) __attribute__((__aligned__(n)))
#define __printf(a, b) __attribute__((__format__(printf, a, b)))
#define __user
#define __rcu
#define __iomem
#define __percpu
#define __acquires(x)
#define __releases(x)
#define __init
#define __exit
#define fallthrough __attribute__((__fallthrough__))

#endif
