/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The debug registers around an entry. The CPU switches DR7, and DR6 on AMD; DR0 to DR3 it leaves to us.
 *
 * They are loaded only where breakpoints are on, the guest's or those of a debugger in their place, or for the
 * entry behind an exit of MOV DR: then the guest has the registers to itself (vcpu->dr_live) until the next exit.
 */
#ifndef OST_DEBUGREG_H
#define OST_DEBUGREG_H

#include <linux/sched.h>
#include <asm/debugreg.h>
#include "vcpu.h"

struct ost_host_debug {
	bool active;		/* the host has breakpoints of its own on this CPU */
	bool loaded;		/* DR0-3 are the guest's */
	unsigned long dr[4];
};

/* The parts that are rare (debugreg.c). [irqoff] */
void ost_debug_load(struct ost_vcpu *vcpu, struct ost_host_debug *host);
void ost_debug_save(struct ost_vcpu *vcpu);
void ost_debug_restore(const struct ost_host_debug *host);

/* Before the entry, with what the CPU loads of DR6 and DR7 still to be set by the vendor. [irqoff] */
static inline void ost_debug_enter(struct ost_vcpu *vcpu, struct ost_host_debug *host)
{
	host->active = hw_breakpoint_active();
	host->loaded = vcpu->dr_load;
	if (unlikely(host->loaded))
		ost_debug_load(vcpu, host);
}

/*
 * After the exit, which has cleared DR7. The vendor has brought vcpu->dr7, and vcpu->dr6 if dr_live, up to
 * date, and DR6 holds nothing of the guest's any more. [irqoff]
 */
static inline void ost_debug_leave(struct ost_vcpu *vcpu, const struct ost_host_debug *host)
{
	if (unlikely(vcpu->dr_live))
		ost_debug_save(vcpu);
	if (unlikely(host->active))
		ost_debug_restore(host);
}

#endif
