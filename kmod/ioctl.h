/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ioctls by table: each object (system, VM, vCPU) has one, with a row an ioctl. The dispatcher copies
 * fixed-size arguments in and out, once, so that the functions see a private copy.
 */
#ifndef OST_IOCTL_H
#define OST_IOCTL_H

#include <linux/ioctl.h>
#include <linux/nospec.h>
#include <linux/types.h>

/* Some numbers of the ABI carry the wrong direction bits, so rows say themselves what is copied. */
#define OST_IN 1	/* the struct is copied from userspace first */
#define OST_OUT 2	/* and copied back when the function succeeded */
#define OST_WHOLE 4	/* which fills all of it that its caller sees */

struct ost_ioctl {
	unsigned int cmd;
	u8 copy;
	/* With copy: arg points to the kernel's copy. */
	int (*fn)(void *obj, void *arg);
	/* Without: the ioctl's own argument, a value or a user pointer. */
	long (*raw)(void *obj, unsigned long arg);
	u8 reads;	/* a vCPU's: enum ost_reads (backend.h) */
};

struct ost_ioctl_table {
	const struct ost_ioctl *rows;
	u32 nr;
	u8 first[256];	/* by _IOC_NR: row + 1 to start looking at, 0 for none; filled at load */
};

/* Rows must be grouped by _IOC_NR. At load. */
void ost_ioctl_table_init(struct ost_ioctl_table *table);

/* What the row's function answers, -ENOTTY without a row, -EFAULT, -ENOMEM. May sleep. */
long ost_ioctl(const struct ost_ioctl_table *table, void *obj, unsigned int cmd, unsigned long arg);
/* Its two halves: the row, or NULL; and what ost_ioctl() does with one. */
static inline const struct ost_ioctl *ost_ioctl_find(const struct ost_ioctl_table *table,
						     unsigned int cmd)
{
	u32 i = table->first[array_index_nospec(_IOC_NR(cmd), 256)];

	if (!i)
		return NULL;
	for (i--; i < table->nr; i++) {
		if (likely(table->rows[i].cmd == cmd))
			return &table->rows[i];
		if (_IOC_NR(table->rows[i].cmd) != _IOC_NR(cmd))
			break;
	}
	return NULL;
}

long ost_ioctl_call(const struct ost_ioctl *row, void *obj, unsigned int cmd, unsigned long arg);

#endif
