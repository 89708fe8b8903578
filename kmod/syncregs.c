// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers in kvm_run (syncregs.h). The page is the VMM's too and may change at any time: what is taken is
 * copied first, and the copy goes the way of the ioctl's argument.
 */
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/string.h>
#include "event.h"
#include "state.h"
#include "syncregs.h"

#define KNOWN KVM_SYNC_X86_VALID_FIELDS

/* The compiler must not look at the page in place of the copy. */
#define COPY(to, from)                                                                             \
	do {                                                                                       \
		memcpy(to, from, sizeof(*(to)));                                                   \
		barrier_data(to);                                                                  \
	} while (0)

static int take_regs(struct ost_vcpu *vcpu)
{
	struct kvm_regs regs;

	COPY(&regs, &vcpu->run->s.regs.regs);
	return ost_set_regs(vcpu, &regs);
}

static int take_sregs(struct ost_vcpu *vcpu)
{
	struct kvm_sregs sregs;

	COPY(&sregs, &vcpu->run->s.regs.sregs);
	return ost_set_sregs(vcpu, &sregs);
}

static int take_events(struct ost_vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	COPY(&events, &vcpu->run->s.regs.events);
	return ost_set_events(vcpu, &events);
}

int ost_sync_regs_in(struct ost_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 dirty = READ_ONCE(run->kvm_dirty_regs);
	int r = 0;

	BUILD_BUG_ON(sizeof(run->s.regs) > sizeof(run->s.padding));
	if ((READ_ONCE(run->kvm_valid_regs) | dirty) & ~(u64)KNOWN)
		return -EINVAL;
	if (dirty & KVM_SYNC_X86_REGS)
		r = take_regs(vcpu);
	if (!r && (dirty & KVM_SYNC_X86_SREGS))
		r = take_sregs(vcpu);
	if (!r && (dirty & KVM_SYNC_X86_EVENTS))
		r = take_events(vcpu);
	/* Those are taken, so that the next KVM_RUN does not do it again. */
	if (!r && dirty)
		WRITE_ONCE(run->kvm_dirty_regs, 0);
	return r;
}

void ost_sync_regs_out(struct ost_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 valid = READ_ONCE(run->kvm_valid_regs);

	if (valid & KVM_SYNC_X86_REGS)
		ost_get_regs(vcpu, &run->s.regs.regs);
	if (valid & KVM_SYNC_X86_SREGS)
		ost_get_sregs(vcpu, &run->s.regs.sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		ost_get_events(vcpu, &run->s.regs.events);
}
