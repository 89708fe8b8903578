/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_ATOMIC_H
#define OST_UNIT_LINUX_ATOMIC_H

#include <linux/types.h>

/*
 * A test program may define this to do what another CPU does just before a compare-and-exchange:
 * that makes lost races happen when they are wanted.
 */
void ost_unit_race(void) __attribute__((__weak__));

#define try_cmpxchg(ptr, old, new)                                                                 \
	({                                                                                         \
		if (ost_unit_race)                                                                 \
			ost_unit_race();                                                           \
		__atomic_compare_exchange_n(ptr, old, new, false, __ATOMIC_SEQ_CST,                \
					    __ATOMIC_SEQ_CST);                                     \
	})
#define xchg(ptr, new) __atomic_exchange_n(ptr, new, __ATOMIC_SEQ_CST)

typedef struct {
	int counter;
} atomic_t;

#define atomic_read(v) __atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic_set(v, i) __atomic_store_n(&(v)->counter, i, __ATOMIC_RELAXED)
#define atomic_xchg(v, i) __atomic_exchange_n(&(v)->counter, i, __ATOMIC_SEQ_CST)
#define atomic_or(i, v) ((void)__atomic_fetch_or(&(v)->counter, i, __ATOMIC_SEQ_CST))
#define atomic_fetch_or(i, v) __atomic_fetch_or(&(v)->counter, i, __ATOMIC_SEQ_CST)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb__after_atomic() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
