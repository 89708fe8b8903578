/* SPDX-License-Identifier: GPL-2.0-only */
/* Start and end of what compat.c keeps; in a header without kernel version differences. */
#ifndef OST_COMPAT_INIT_H
#define OST_COMPAT_INIT_H

int ost_compat_init(void);	/* 0 or -ENOMEM, at load */
void ost_compat_exit(void);

#endif
