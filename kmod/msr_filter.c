// SPDX-License-Identifier: GPL-2.0-only
/* MSR filters, and accesses to MSRs that the VMM answers (msr_filter.h). */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include "backend.h"
#include "exit.h"
#include "msr_filter.h"
#include "vcpu.h"
#include "vm.h"

#define ACCESSES (KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)
#define REASONS (KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER)

struct msr_range {
	u32 base, nr;
	u32 accesses;		/* KVM_MSR_FILTER_READ and _WRITE */
	u32 first;		/* its bitmap begins here in bits[] */
};

/* Immutable; vm->msr_filter points to it, under vm->srcu. */
struct ost_msr_filter {
	struct rcu_head rcu;
	bool default_allow;
	u32 nr;
	struct msr_range ranges[KVM_MSR_FILTER_MAX_RANGES];
	unsigned long bits[];
};

/* How many longs the bitmaps of all ranges have, 0 without a range, or -EINVAL. */
static int count_longs(const struct kvm_msr_filter *arg)
{
	u32 i, longs = 0;

	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		const struct kvm_msr_filter_range *range = &arg->ranges[i];

		if (!range->nmsrs)
			continue;
		if (!range->flags || (range->flags & ~ACCESSES) ||
		    range->nmsrs > KVM_MSR_FILTER_MAX_BITMAP_SIZE * BITS_PER_BYTE)
			return -EINVAL;
		longs += BITS_TO_LONGS(range->nmsrs);
	}
	return longs;
}

static int copy_ranges(struct ost_msr_filter *filter, const struct kvm_msr_filter *arg)
{
	u32 i, first = 0;

	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		const struct kvm_msr_filter_range *from = &arg->ranges[i];
		u32 longs = BITS_TO_LONGS(from->nmsrs);

		if (!from->nmsrs)
			continue;
		if (copy_from_user(&filter->bits[first], (void __user *)from->bitmap,
				   longs * sizeof(long)))
			return -EFAULT;
		filter->ranges[filter->nr++] = (struct msr_range){
			.base = from->base, .nr = from->nmsrs, .accesses = from->flags, .first = first,
		};
		first += longs;
	}
	return 0;
}

/* NULL for a filter that lets everything through. */
static struct ost_msr_filter *new_filter(const struct kvm_msr_filter *arg)
{
	bool deny = arg->flags & KVM_MSR_FILTER_DEFAULT_DENY;
	struct ost_msr_filter *filter;
	int longs, r;

	if (arg->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return ERR_PTR(-EINVAL);
	longs = count_longs(arg);
	if (longs < 0)
		return ERR_PTR(longs);
	if (!longs)
		return deny ? ERR_PTR(-EINVAL) : NULL;
	filter = kvzalloc(struct_size(filter, bits, longs), GFP_KERNEL_ACCOUNT);
	if (!filter)
		return ERR_PTR(-ENOMEM);
	filter->default_allow = !deny;
	r = copy_ranges(filter, arg);
	if (r) {
		kvfree(filter);
		return ERR_PTR(r);
	}
	return filter;
}

static void free_filter(struct rcu_head *rcu)
{
	kvfree(container_of(rcu, struct ost_msr_filter, rcu));
}

int ost_msr_filter_set(struct ost_vm *vm, const struct kvm_msr_filter *arg)
{
	struct ost_msr_filter *filter = new_filter(arg), *old;

	if (IS_ERR(filter))
		return PTR_ERR(filter);
	/* A vCPU that is being created looks under this lock. */
	mutex_lock(&vm->lock);
	old = rcu_replace_pointer(vm->msr_filter, filter, lockdep_is_held(&vm->lock));
	/* MSRs that guests use without an exit: no vCPU goes on with what it was let use before. */
	ost_request_all(vm, OST_REQ_MSR_FILTER);
	mutex_unlock(&vm->lock);
	if (old)
		ost_vm_retire(vm, &old->rcu, free_filter);
	return 0;
}

void ost_msr_filter_destroy(struct ost_vm *vm)
{
	kvfree(rcu_dereference_protected(vm->msr_filter, true));
}

int ost_msr_user_exits_set(struct ost_vm *vm, u64 reasons)
{
	if (reasons & ~(u64)REASONS)
		return -EINVAL;
	WRITE_ONCE(vm->msr_user_exits, reasons);
	return 0;
}

void ost_msr_filter_changed(struct ost_vcpu *vcpu)
{
	vcpu->msr_filtered = rcu_access_pointer(vcpu->vm->msr_filter);
	ost_backend->msr_filter_changed(vcpu);
}

static bool allows(const struct ost_msr_filter *filter, u32 index, u32 access)
{
	u32 i;

	for (i = 0; i < filter->nr; i++) {
		const struct msr_range *range = &filter->ranges[i];
		u32 offset = index - range->base;

		if (offset >= range->nr || !(range->accesses & access))
			continue;
		offset = array_index_nospec(offset, range->nr);
		return test_bit(offset, &filter->bits[range->first]);
	}
	return filter->default_allow;
}

bool ost_msr_filter_allows(struct ost_vcpu *vcpu, u32 index, bool write)
{
	const struct ost_msr_filter *filter;
	struct ost_vm *vm = vcpu->vm;
	bool allowed;
	int srcu;

	/* The ABI leaves the x2APIC's alone: a LAPIC in the kernel is nothing that a VMM could stand in for. */
	if (index - APIC_BASE_MSR < 0x100)
		return true;
	srcu = srcu_read_lock(&vm->srcu);
	filter = srcu_dereference(vm->msr_filter, &vm->srcu);
	allowed = !filter || allows(filter, index, write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ);
	srcu_read_unlock(&vm->srcu, srcu);
	return allowed;
}

/* --- accesses that the VMM answers --- */

static u32 reason_of(enum ost_msr_refusal why)
{
	switch (why) {
	case OST_MSR_UNKNOWN:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	case OST_MSR_DENIED:
		return KVM_MSR_EXIT_REASON_FILTER;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

bool ost_msr_goes_to_user(struct ost_vcpu *vcpu, enum ost_msr_refusal why)
{
	return READ_ONCE(vcpu->vm->msr_user_exits) & reason_of(why);
}

/* As after port I/O: a VMM that has set another RIP meanwhile has decided where the guest goes on. */
static int complete_msr(struct ost_vcpu *vcpu, bool write)
{
	struct kvm_run *run = vcpu->run;

	if (ost_rip(vcpu) != vcpu->io.rip)
		return OST_RUN;
	if (READ_ONCE(run->msr.error)) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	if (!write)
		ost_edx_eax_set(vcpu, READ_ONCE(run->msr.data));
	return ost_exit_skip(vcpu);
}

static int complete_rdmsr(struct ost_vcpu *vcpu)
{
	return complete_msr(vcpu, false);
}

static int complete_wrmsr(struct ost_vcpu *vcpu)
{
	return complete_msr(vcpu, true);
}

int ost_msr_refused(struct ost_vcpu *vcpu, bool write, u32 index, u64 data, enum ost_msr_refusal why)
{
	struct kvm_run *run = vcpu->run;

	if (!ost_msr_goes_to_user(vcpu, why)) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason_of(why);
	run->msr.index = index;
	run->msr.data = write ? data : 0;
	vcpu->io.rip = ost_rip(vcpu);
	vcpu->io.complete = write ? complete_wrmsr : complete_rdmsr;
	return OST_USER;
}
