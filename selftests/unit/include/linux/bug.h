/* SPDX-License-Identifier: GPL-2.0-only */
/* In a unit test a WARN is as deadly as a BUG: it is what the test is there to find. */
#ifndef OST_UNIT_LINUX_BUG_H
#define OST_UNIT_LINUX_BUG_H

#include <linux/compiler.h>
#include <stdio.h>
#include <stdlib.h>

#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(cond)) {                                                              \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
#define BUG() BUG_ON(1)
#define WARN_ON(cond)                                                                              \
	({                                                                                         \
		bool warn_cond = (cond);                                                           \
		BUG_ON(warn_cond);                                                                 \
		warn_cond;                                                                         \
	})
#define WARN_ON_ONCE(cond) WARN_ON(cond)
#define BUILD_BUG_ON(cond) _Static_assert(!(cond), #cond)
#ifndef static_assert
#define static_assert(expr, ...) _Static_assert(expr, #expr)
#endif

#endif
