/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making the kernel fail this thread's n-th allocation or copy from or to userspace, by fault
 * injection (Documentation/fault-injection: /proc/self/fail-nth). Only kernels with
 * CONFIG_FAULT_INJECTION have it: make KERNEL=debug.
 */
#ifndef OST_ABI_FAIL_H
#define OST_ABI_FAIL_H

#include <stdbool.h>

/*
 * fail_setup() - Allocations that may sleep fail as well, and quietly. False where nothing can be
 * made to fail.
 */
bool fail_setup(void);

/* fail_nth() - From here on the thread's @n-th such call fails, counted from 1. */
void fail_nth(int n);

/*
 * fail_off() - No more. True when the call that was to fail was reached. *@left: how many were
 * missing.
 */
bool fail_off(int *left);

#endif
