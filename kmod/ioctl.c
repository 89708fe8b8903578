// SPDX-License-Identifier: GPL-2.0-only
/* Looking up an ioctl in a table and moving its argument (ioctl.h). */
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioctl.h"
#include "ost.h"

/* Arguments up to this size are held on the stack. */
#define ON_STACK 320

void ost_ioctl_table_init(struct ost_ioctl_table *table)
{
	u32 i, nr;

	for (i = table->nr; i-- > 0;) {
		nr = _IOC_NR(table->rows[i].cmd);
		/* Rows of a number that others stand between would not be found. */
		WARN_ON(table->first[nr] && _IOC_NR(table->rows[i + 1].cmd) != nr);
		/* Nothing would be copied, and the function would find what was on the stack. */
		WARN_ON(table->rows[i].copy && !_IOC_SIZE(table->rows[i].cmd));
		table->first[nr] = i + 1;
	}
}

long ost_ioctl_call(const struct ost_ioctl *row, void *obj, unsigned int cmd, unsigned long arg)
{
	/* Filled below as far as it is used, which the compiler does not see: it would clear all of it first. */
	u8 stack[ON_STACK] __aligned(8) __uninitialized;
	void *buf = stack;
	u32 size;
	long r;

	if (row->raw)
		return row->raw(obj, arg);

	size = _IOC_SIZE(cmd);
	if (size > sizeof(stack)) {
		buf = kzalloc(size, GFP_KERNEL_ACCOUNT);
		if (!buf)
			return -ENOMEM;
	} else if (!(row->copy & (OST_IN | OST_WHOLE))) {
		/* Padding that the function does not fill must not carry the kernel's stack out. */
		memset(buf, 0, size);
	}
	r = -EFAULT;
	/* The buffer is this function's own and as large as this: nothing to be found out by what copies check. */
	if ((row->copy & OST_IN) && _copy_from_user(buf, (void __user *)arg, size))
		goto out;
	r = row->fn(obj, buf);
	if (r >= 0 && (row->copy & OST_OUT) && _copy_to_user((void __user *)arg, buf, size))
		r = -EFAULT;
out:
	if (buf != stack)
		kfree(buf);
	return r;
}

long ost_ioctl(const struct ost_ioctl_table *table, void *obj, unsigned int cmd, unsigned long arg)
{
	const struct ost_ioctl *row = ost_ioctl_find(table, cmd);

	return row ? ost_ioctl_call(row, obj, cmd, arg) : -ENOTTY;
}
