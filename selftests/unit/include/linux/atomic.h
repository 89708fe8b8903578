/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_ATOMIC_H
#define OST_UNIT_LINUX_ATOMIC_H

#include <linux/types.h>

#define try_cmpxchg(ptr, old, new)                                                                 \
	__atomic_compare_exchange_n(ptr, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define xchg(ptr, new) __atomic_exchange_n(ptr, new, __ATOMIC_SEQ_CST)

#endif
