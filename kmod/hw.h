/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When the CPUs' virtualization is on (hw.c): from the first VM to the end of the last, on every
 * online CPU, through hotplug, suspend, reboot and crash. Which register that means, and who may
 * hold it, is the backend's cpu.c.
 */
#ifndef OST_HW_H
#define OST_HW_H

#include <linux/percpu.h>
#include <linux/types.h>

int ost_hw_init(void);
void ost_hw_exit(void);

/* A VM begins: 0, or -EBUSY when a CPU is held by another hypervisor. Pairs with ost_hw_put(). May sleep. */
int ost_hw_get(void);
void ost_hw_put(void);

/* Whether this CPU may enter a guest right now. Interrupts off. */
DECLARE_PER_CPU(bool, ost_hw_on);
static inline bool ost_hw_usable(void)
{
	return this_cpu_read(ost_hw_on);
}

/* The host is going down: KVM_RUN shall end with -EIO. */
extern bool ost_hw_dead;

#endif
