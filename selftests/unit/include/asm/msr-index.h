/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MSR numbers come from the kernel's own header, which linux-libc-dev does not ship: the Makefile
 * finds it in the installed kernel headers and names it here.
 */
#include <linux/bits.h>
#include OST_UNIT_MSR_INDEX_H
