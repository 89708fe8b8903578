// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMX-preemption timer (26.5.1): it ends a run at vcpu->run_end_tsc, so that a guest's TSC deadline
 * costs no timer of the host's while the guest runs.
 *
 * It counts down from what the VMCS has, anew with each entry, and can't be told to stand still. So for
 * a vCPU without a deadline it has the longest time, which is written once; its end is nothing.
 */
#include <linux/minmax.h>
#include <asm/msr.h>
#include "vmx.h"

#define LONGEST U32_MAX

static u32 ticks_until(u64 end_tsc)
{
	u8 shift = ost_vmx_config.timer_shift;
	u64 now = rdtsc(), ticks;

	/* 0 is an exit before the first instruction. */
	if (end_tsc <= now)
		return 0;
	/* Changes of the bit up to the first that is not before the end. */
	ticks = ((end_tsc - 1) >> shift) + 1 - (now >> shift);
	return min_t(u64, ticks, LONGEST);
}

void ost_vmx_timer_init(struct ost_vmx_vcpu *vmx)
{
	if (!ost_vmx_config.preemption_timer)
		return;
	vmx->timer = LONGEST;
	ost_vmwrite(VMX_PREEMPTION_TIMER_VALUE, LONGEST);
}

void ost_vmx_sync_timer(struct ost_vmx_vcpu *vmx)
{
	u64 end_tsc = vmx->vcpu.run_end_tsc;
	u32 timer = LONGEST;

	if (end_tsc != OST_NO_RUN_END)
		timer = ticks_until(end_tsc);
	else if (likely(!ost_vmx_config.preemption_timer))
		return;
	if (vmx->timer == timer)
		return;
	vmx->timer = timer;
	vmx->timer_set = timer != LONGEST;
	ost_vmwrite(VMX_PREEMPTION_TIMER_VALUE, timer);
}
