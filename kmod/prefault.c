// SPDX-License-Identifier: GPL-2.0-only
/* KVM_PRE_FAULT_MEMORY (prefault.h). */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include "mmu/mmu.h"
#include "prefault.h"
#include "vcpu.h"

static int fault_page(struct ost_vcpu *vcpu, gfn_t gfn)
{
	for (;;) {
		cond_resched();
		if (signal_pending(current))
			return -EINTR;
		switch (ost_mmu_pre_fault(vcpu, gfn)) {
		case OST_FAULT_FIXED:
			return 0;
		case OST_FAULT_AGAIN:
			continue;
		case OST_FAULT_MMIO:
			return -ENOENT;
		case OST_FAULT_SIGNAL:
			return -EINTR;
		case OST_FAULT_NOMEM:
			return -ENOMEM;
		case OST_FAULT_BAD:
			return -EFAULT;
		}
	}
}

int ost_pre_fault_memory(struct ost_vcpu *vcpu, struct kvm_pre_fault_memory *arg)
{
	u64 size = arg->size;
	int r = 0;

	if (arg->flags || memchr_inv(arg->padding, 0, sizeof(arg->padding)) ||
	    !PAGE_ALIGNED(arg->gpa) || !PAGE_ALIGNED(arg->size) || arg->gpa + arg->size <= arg->gpa)
		return -EINVAL;
	while (arg->size) {
		r = fault_page(vcpu, arg->gpa >> PAGE_SHIFT);
		if (r)
			break;
		arg->gpa += PAGE_SIZE;
		arg->size -= PAGE_SIZE;
	}
	return arg->size < size ? 0 : r;
}
