/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time: the guest's TSC (offset and scale), kvmclock pages, KVM_GET/SET_CLOCK (clock.c).
 *
 * kvmclock is stable across vCPUs: all of a VM's pages are computed from one master pair
 * (host TSC, nanoseconds) held in the VM, as long as the host's clocksource is the TSC.
 */
#ifndef OST_CLOCK_H
#define OST_CLOCK_H

#include <linux/types.h>
#include <linux/seqlock.h>
#include <linux/kvm.h>

struct ost_vcpu;
struct ost_vm;

/* per vCPU */
struct ost_clock {
	u64 tsc_offset;		/* guest TSC = scaled host TSC + this */
	u64 tsc_ratio;		/* fixed point with ost_hw_caps.tsc_frac_bits; 1.0 without scaling */
	u32 tsc_khz;		/* the guest's TSC frequency */
	u64 tsc_adjust;		/* IA32_TSC_ADJUST */
	u64 system_time_msr;	/* MSR_KVM_SYSTEM_TIME(_NEW): gpa | enable */
	u32 version;		/* of the page, last written */
	bool new_msr;
};

/* per VM; guarded by lock */
struct ost_vm_clock {
	raw_spinlock_t lock;
	s64 offset_ns;		/* guest's kvmclock = host's boottime-like clock + this */
	u64 master_tsc;		/* host TSC … */
	u64 master_ns;		/* … at this CLOCK_MONOTONIC_RAW-like nanosecond */
	bool master_valid;
	u64 last_tsc_write, last_tsc_ns, last_tsc_offset; /* TSC writes that are meant as synchronisation */
	u32 last_tsc_khz;
	u64 wall_clock_msr;
	u32 default_tsc_khz;	/* KVM_SET_TSC_KHZ on the VM or the host's */
};

int ost_clock_setup(void);	/* at load; registers the timekeeping and cpufreq hooks it needs */
void ost_clock_teardown(void);
void ost_clock_vm_init(struct ost_vm *vm);
void ost_clock_reset(struct ost_vcpu *vcpu, bool init_event);
/* The vCPU came to another CPU or the module asked for it (OST_REQ_CLOCK): rewrite its page. [vcpu] */
void ost_clock_update(struct ost_vcpu *vcpu);

/* The guest's TSC now, and at a host TSC value. Any context. */
u64 ost_guest_tsc(struct ost_vcpu *vcpu);
u64 ost_guest_tsc_at(struct ost_vcpu *vcpu, u64 host_tsc);
/* Nanoseconds from now until the guest's TSC reaches `guest_tsc`; 0 when past. */
u64 ost_guest_tsc_to_ns(struct ost_vcpu *vcpu, u64 guest_tsc);

/* IA32_TSC and IA32_TSC_ADJUST writes by guest and VMM (synchronisation heuristics in clock.c). */
void ost_tsc_write(struct ost_vcpu *vcpu, u64 value, bool host);
void ost_tsc_adjust_write(struct ost_vcpu *vcpu, u64 value, bool host);
/* KVM_SET_TSC_KHZ / KVM_GET_TSC_KHZ. */
int ost_tsc_set_khz(struct ost_vcpu *vcpu, u32 khz);
/* kvmclock MSRs: 0 or nonzero for #GP. */
int ost_clock_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data);
int ost_clock_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data);
/* KVM_GET_CLOCK / KVM_SET_CLOCK. */
void ost_clock_get(struct ost_vm *vm, struct kvm_clock_data *out);
int ost_clock_set(struct ost_vm *vm, const struct kvm_clock_data *in);

#endif
