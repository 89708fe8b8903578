/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What Ostler has besides the KVM userspace ABI: one ioctl, which tells an Ostler from a stock KVM and one Ostler from
 * the next. Everything else is in <linux/kvm.h>; abi.md says which of it.
 */
#ifndef _UAPI_OSTLER_H
#define _UAPI_OSTLER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Which of these calls and fields there are; grows by one whenever some are added, and none ever goes. */
#define OST_INTERFACE_VERSION	1

#define OST_VENDOR_SVM		1	/* AMD-V */
#define OST_VENDOR_VMX		2	/* VT-x */

struct ost_info {
	/*
	 * In: the bytes of the caller's struct, 8 at least. Out: the bytes of the module's. Fields beyond the smaller of
	 * both are left as they are.
	 */
	__u32 size;
	__u32 version;		/* OST_INTERFACE_VERSION of the module */
	__u32 vendor;		/* OST_VENDOR_* in use */
	__u32 flags;		/* 0; bits for what a later version adds */
	__u32 kernel;		/* the host kernel that it was built for, as LINUX_VERSION_CODE */
	__u32 pad;		/* 0 */
	char name[32];		/* the instance: its module's and its node's name, ending in a 0 */
};

/*
 * On the descriptor of the node. 0, or -1 and errno: EINVAL for a size below 8, EFAULT for a bad pointer. A stock KVM
 * answers EINVAL or ENOTTY.
 */
#define OST_GET_INFO _IO('O', 0xf0)

#endif
