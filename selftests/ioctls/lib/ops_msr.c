// SPDX-License-Identifier: GPL-2.0-only
/* MSR filters, KVM_ENABLE_CAP, statistics files, attributes, memory that is faulted in early. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "../../../kmod/compat_kvm.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Bitmaps are read from the buffer, or from anywhere. */
static long set_msr_filter(struct actor *a)
{
	static const uint32_t bases[] = { 0, 0x170, 0x270, 0x800, 0xc0000080, 0xc0000100, 0xc0010000 };
	struct kvm_msr_filter filter = { .flags = rng_one_in(a->r, 8) ? any_u64(a->r) : rng_below(a->r, 2) };
	int nr = rng_below(a->r, 5);

	rng_fill(a->r, a->buffer, 0x700);
	for (int i = 0; i < nr; i++) {
		struct kvm_msr_filter_range *range = &filter.ranges[rng_below(a->r, 16)];

		range->flags = rng_one_in(a->r, 16) ? any_u64(a->r) : 1 + rng_below(a->r, 3);
		range->base = rng_pick(a->r, bases);
		range->nmsrs = rng_one_in(a->r, 8) ? any_u64(a->r) : rng_below(a->r, 300);
		range->bitmap = rng_one_in(a->r, 8) ? any_address(a) : a->buffer;
	}
	return ioctl(any_vm(a), KVM_X86_SET_MSR_FILTER, &filter);
}

static long enable_cap(struct actor *a)
{
	static const uint32_t caps[] = {
		KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_MSR_PLATFORM_INFO, KVM_CAP_EXIT_ON_EMULATION_FAILURE,
		KVM_CAP_DISABLE_QUIRKS, KVM_CAP_DISABLE_QUIRKS2,
	};
	struct kvm_enable_cap cap = {
		.cap = rng_one_in(a->r, 8) ? rng_below(a->r, 260) : rng_pick(a->r, caps),
		.flags = rng_one_in(a->r, 16) ? any_u64(a->r) : 0,
		.args[0] = rng_one_in(a->r, 4) ? any_u64(a->r) : rng_below(a->r, 8),
	};

	return ioctl(rng_one_in(a->r, 4) ? any_vcpu(a) : any_vm(a), KVM_ENABLE_CAP, &cap);
}

static long stats_file(struct actor *a)
{
	int fd = ioctl(rng_one_in(a->r, 2) ? any_vm(a) : any_vcpu(a), KVM_GET_STATS_FD, 0);
	long r = -1;

	if (fd < 0)
		return -1;
	for (int i = rng_below(a->r, 4); i >= 0; i--)
		r = pread(fd, rng_one_in(a->r, 8) ? any_address(a) : a->buffer, rng_below(a->r, 20000),
			  rng_one_in(a->r, 4) ? any_u64(a->r) : rng_below(a->r, 10000));
	close(fd);
	return r;
}

static long attribute(struct actor *a)
{
	static const unsigned long cmds[] = {
		KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR,
	};
	struct kvm_device_attr attr = {
		.flags = rng_one_in(a->r, 16) ? any_u64(a->r) : 0,
		.group = rng_one_in(a->r, 8) ? any_u64(a->r) : 0,
		.attr = rng_one_in(a->r, 8) ? any_u64(a->r) : 0,
		.addr = (uintptr_t)(rng_one_in(a->r, 4) ? any_address(a) : a->buffer),
	};
	uint64_t offset = any_u64(a->r);

	memcpy(a->buffer, &offset, 8);
	return ioctl(rng_one_in(a->r, 4) ? any_sys(a) : any_vcpu(a), rng_pick(a->r, cmds), &attr);
}

static long pre_fault(struct actor *a)
{
	struct kvm_pre_fault_memory range = {
		.gpa = any_gpa(a->r) & (rng_one_in(a->r, 8) ? ~0ULL : ~0xfffULL),
		.size = rng_one_in(a->r, 4) ? any_size(a->r) : (1 + rng_below(a->r, 600)) * PAGE_SIZE,
		.flags = rng_one_in(a->r, 16),
	};

	return ioctl(any_vcpu(a), KVM_PRE_FAULT_MEMORY, &range);
}

static long vm_tsc_khz(struct actor *a)
{
	return ioctl(any_vm(a), KVM_SET_TSC_KHZ, any_u64(a->r));
}

const struct op msr_ops[] = {
	{ "set_msr_filter", 6, set_msr_filter },
	{ "enable_cap", 3, enable_cap },
	{ "stats_file", 2, stats_file },
	{ "attribute", 3, attribute },
	{ "pre_fault", 4, pre_fault },
	{ "vm_tsc_khz", 1, vm_tsc_khz },
	{ 0 },
};
