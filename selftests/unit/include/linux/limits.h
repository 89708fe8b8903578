/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_LIMITS_H
#define OST_UNIT_LINUX_LIMITS_H

#include_next <linux/limits.h>

#define U32_MAX ((u32)~0U)
#define S64_MAX ((s64)(~0ULL >> 1))
#define U64_MAX ((u64)~0ULL)

#endif
