/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the backends' run() does around its entries. It enters the guest again and again as long as exits are
 * dealt with at once (enum ost_exit_fast) and nobody wants anything else of the vCPU; interrupts stay off
 * for all of it.
 */
#ifndef OST_RUN_H
#define OST_RUN_H

#include <linux/context_tracking.h>
#include <linux/nospec.h>
#include "backend.h"
#include "compat.h"
#include "trace.h"
#include "vcpu.h"

/* Something the kernel wants done before the guest may go on? Cheap; any context. */
static inline bool ost_kernel_wants_us(void)
{
	return __xfer_to_guest_mode_work_pending() || ost_softirqs_held_up();
}

/* Behind every exit, when exit_index is set. [irqoff] */
static inline void ost_exited(struct ost_vcpu *vcpu)
{
	trace_ost_exit(vcpu);
	vcpu->stats.exits++;
	vcpu->stats.by_reason[array_index_nospec(vcpu->exit_index, OST_MAX_EXITS)]++;
}

/* Behind one that was dealt with: may the guest be entered again at once? [irqoff] */
static inline bool ost_may_reenter(struct ost_vcpu *vcpu)
{
	vcpu->stats.fast_exits++;
	if (unlikely(ost_request_pending(vcpu) || ost_kernel_wants_us()))
		return false;
	trace_ost_entry(vcpu);
	return true;
}

/*
 * guest_state_enter_irqoff() and its counterpart, around the entry itself. Between two entries without
 * anything else between them, all that these would do is to tell RCU once more that the CPU has been
 * through a quiescent state; kernels that follow where a CPU is (nohz_full) or whether interrupts are on
 * (lockdep) get to know it all.
 */
static __always_inline void ost_guest_state_enter(bool again)
{
	if (again && !IS_ENABLED(CONFIG_TRACE_IRQFLAGS) && !context_tracking_enabled())
		return;
	guest_state_enter_irqoff();
}

static __always_inline void ost_guest_state_exit(bool again)
{
	if (again && !IS_ENABLED(CONFIG_TRACE_IRQFLAGS) && !context_tracking_enabled())
		return;
	guest_state_exit_irqoff();
}

/* PKRU to the guest's value before an entry, and back after the exit. [irqoff] */
static inline void ost_fpu_enter_pkru(struct ost_vcpu *vcpu)
{
	if (unlikely(vcpu->fpu.uses_pkru))
		ost_fpu_load_pkru(vcpu);
}

static inline void ost_fpu_leave_pkru(struct ost_vcpu *vcpu)
{
	if (unlikely(vcpu->fpu.uses_pkru))
		ost_fpu_save_pkru(vcpu);
}

#endif
