/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exit statuses, and how errors travel.
 *
 * A function that can fail returns 0 or one of these statuses. Whoever finds the cause explains it
 * once, by vmm_fail(), and everyone above only unwinds and passes the status on, up to main().
 */
#ifndef VMM_STATUS_H
#define VMM_STATUS_H

enum vmm_status {
	VMM_OK = 0,		/* the guest powered itself off */
	VMM_FAILED = 1,		/* a system call failed that should not */
	VMM_USAGE = 2,		/* unknown command or option, bad value */
	VMM_FILE = 3,		/* a kernel, initrd or disk cannot be used */
	VMM_DEVICE = 4,		/* no usable hypervisor device node */
	VMM_MEMORY = 5,		/* not enough memory, in the host or for the kernel */
	VMM_SHUTDOWN = 6,	/* guest crashed: triple fault */
	VMM_INTERNAL = 7,	/* guest crashed: the hypervisor could not go on with it */
	VMM_ENTRY = 8,		/* guest crashed: the CPU refused to enter it */
	VMM_REBOOT = 9,		/* the guest asked for a reboot under --no-reboot */
	VMM_QUIT = 10,		/* quit by the escape key */
	VMM_SIGNAL = 128,	/* plus the number of the signal that ended vmm */
};

/* Print "vmm: <message>" on standard error. Returns @status. Any thread. */
int vmm_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print "vmm: warning: <message>" on standard error. Any thread. */
void vmm_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
