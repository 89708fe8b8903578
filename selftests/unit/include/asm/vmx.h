/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own: linux-libc-dev's header of this name has the exit reasons only. What it includes in
 * turn is found in the kernel's folder, which comes last in the search.
 */
#include <linux/bug.h>
#include <linux/bitops.h>
#include OST_UNIT_VMX_H
