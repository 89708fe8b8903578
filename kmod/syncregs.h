/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM_CAP_SYNC_REGS: registers in kvm_run, instead of an ioctl each before and behind KVM_RUN (syncregs.c). */
#ifndef OST_SYNCREGS_H
#define OST_SYNCREGS_H

#include <linux/kvm.h>
#include "vcpu.h"

/* Is there anything to do for KVM_RUN? What the VMM writes there while it runs counts for the next one. */
static inline bool ost_sync_regs_wanted(const struct kvm_run *run)
{
	return READ_ONCE(run->kvm_valid_regs) | READ_ONCE(run->kvm_dirty_regs);
}

/*
 * Takes what is dirty, before anything else is done. 0, or -EINVAL for unknown bits and values refused.
 * [vcpu]
 */
int ost_sync_regs_in(struct ost_vcpu *vcpu);
/* Leaves what is wanted, behind everything else. [vcpu] */
void ost_sync_regs_out(struct ost_vcpu *vcpu);

#endif
