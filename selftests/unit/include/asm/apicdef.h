/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own. */
#include OST_UNIT_APICDEF_H
