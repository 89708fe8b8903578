/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation with a switch to make it fail: the N-th allocation from now returns NULL while
 * ost_unit_fail_alloc is N > 0, as the kernel's fault injection does.
 */
#ifndef OST_UNIT_LINUX_SLAB_H
#define OST_UNIT_LINUX_SLAB_H

#include <linux/types.h>
#include <stdlib.h>

#define GFP_KERNEL 0u
#define GFP_KERNEL_ACCOUNT 0u
#define GFP_ATOMIC 0u
#define __GFP_ZERO 1u

extern unsigned int ost_unit_fail_alloc;

static inline void *kzalloc(size_t size, gfp_t gfp)
{
	(void)gfp;
	if (ost_unit_fail_alloc && --ost_unit_fail_alloc == 0)
		return NULL;
	return calloc(1, size);
}

static inline void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return kzalloc(bytes, gfp);
}

#define kmalloc(size, gfp) kzalloc(size, gfp)
#define kvmalloc(size, gfp) kzalloc(size, gfp)
#define kvzalloc(size, gfp) kzalloc(size, gfp)
#define kfree(p) free((void *)(p))
#define kvcalloc(n, size, gfp) kcalloc(n, size, gfp)
#define kvfree(p) free((void *)(p))

#endif
