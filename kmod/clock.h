/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time: the guest's TSC (offset and scale), kvmclock pages, KVM_GET/SET_CLOCK (clock.c).
 *
 * kvmclock is stable across vCPUs: all of a VM's pages are computed from one master pair
 * (host TSC, nanoseconds) held in the VM, as long as the host's clocksource is the TSC.
 */
#ifndef OST_CLOCK_H
#define OST_CLOCK_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/kvm.h>
#include "ost.h"

struct ost_vcpu;
struct ost_vm;

/* per vCPU */
struct ost_clock {
	u64 tsc_offset;		/* guest TSC = scaled host TSC + this */
	u64 tsc_ratio;		/* fixed point with ost_hw_caps.tsc_frac_bits; 1.0 without scaling */
	u32 tsc_khz;		/* the guest's TSC frequency */
	u64 tsc_adjust;		/* IA32_TSC_ADJUST */
	u64 tsc_generation;	/* that of the VM's at the last write; guarded by the VM's lock */
	u64 system_time_msr;	/* MSR_KVM_SYSTEM_TIME(_NEW): gpa | enable */
	u32 version;		/* of the page, last written */
	bool new_msr;
	bool guest_stopped;	/* KVM_KVMCLOCK_CTRL: tell the guest at the next update */
	bool rearm_timer;	/* the LAPIC's timer follows a new offset at the next update */
	u64 last_guest_tsc;	/* when it left its last CPU; only with an unstable host TSC */
};

/* per VM; guarded by lock */
struct ost_vm_clock {
	raw_spinlock_t lock;
	struct ost_vm *vm;
	struct list_head link;	/* in the list of all, guarded by a lock of clock.c */
	s64 offset_ns;		/* guest's kvmclock = host's boottime-like raw clock + this */
	u64 master_tsc;		/* host TSC … */
	u64 master_ns;		/* … at this nanosecond of CLOCK_MONOTONIC_RAW, suspend time added */
	bool master_valid;
	bool tsc_matched;	/* all vCPUs have the same TSC offset and rate */
	u64 last_tsc_offset;	/* of the TSC write that others are taken to be synchronised with … */
	u32 last_tsc_khz;	/* … at this rate; 0: there was none yet */
	u64 tsc_generation;	/* counts the writes that others were not synchronised with before */
	u64 wall_clock_msr;
	u32 default_tsc_khz;	/* KVM_SET_TSC_KHZ on the VM or the host's */
};

int ost_clock_setup(void);	/* at load; 0 */
void ost_clock_teardown(void);
void ost_clock_vm_init(struct ost_vm *vm);
void ost_clock_vm_destroy(struct ost_vm *vm);
/* Every host CPU's TSC may have restarted (resume from suspend). Any context but NMI. */
void ost_clock_host_resumed(void);
void ost_clock_reset(struct ost_vcpu *vcpu, bool init_event);
/* OST_REQ_CLOCK: rewrite the vCPU's page. Writes guest memory, so it may sleep. [vcpu] */
void ost_clock_update(struct ost_vcpu *vcpu);
/*
 * The vCPU came to a CPU (moved: not the one it was on last) or leaves it: to be called where it moved or the
 * host's TSC is unstable. Keeps the guest's TSC from
 * running backwards where the CPUs' TSCs differ, and asks for a new page where it depends on the CPU.
 * After / before the backend's vcpu_load / vcpu_put. [atomic]
 */
void ost_clock_vcpu_load(struct ost_vcpu *vcpu, bool moved);
void ost_clock_vcpu_put(struct ost_vcpu *vcpu);

/* The guest's TSC now, and at a host TSC value. Any context. */
u64 ost_guest_tsc(struct ost_vcpu *vcpu);
u64 ost_guest_tsc_at(struct ost_vcpu *vcpu, u64 host_tsc);
/* Nanoseconds from now until the guest's TSC reaches `guest_tsc`; 0 when past. */
u64 ost_guest_tsc_to_ns(struct ost_vcpu *vcpu, u64 guest_tsc);
/* The host's TSC when the guest's reaches `guest_tsc`: now when past, U64_MAX when farther than that. */
u64 ost_guest_tsc_to_host(struct ost_vcpu *vcpu, u64 guest_tsc);

/* IA32_TSC and IA32_TSC_ADJUST writes by guest and VMM (synchronisation heuristics in clock.c). */
void ost_tsc_write(struct ost_vcpu *vcpu, u64 value, bool host);
void ost_tsc_adjust_write(struct ost_vcpu *vcpu, u64 value, bool host);
/*
 * KVM_SET_TSC_KHZ: 0 means the VM's default. -EINVAL for what the CPU cannot give. KVM_GET_TSC_KHZ is
 * vcpu->clock.tsc_khz.
 */
int ost_tsc_set_khz(struct ost_vcpu *vcpu, u32 khz);
/* KVM_SET_TSC_KHZ on the VM: what vCPUs begin with. -EINVAL also when there are vCPUs. */
int ost_clock_set_default_khz(struct ost_vm *vm, u32 khz);
/* KVM_VCPU_TSC_OFFSET. [vcpu] */
void ost_tsc_set_offset(struct ost_vcpu *vcpu, u64 offset);
/* kvmclock MSRs: 0 or nonzero for #GP. */
int ost_clock_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data);
int ost_clock_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data);
/* KVM_KVMCLOCK_CTRL: the guest was stopped by its VMM. -EINVAL when it has no kvmclock on. [vcpu] */
int ost_clock_guest_stopped(struct ost_vcpu *vcpu);
/* KVM_HC_CLOCK_PAIRING: 0 or -KVM_E*. [vcpu] */
long ost_clock_pairing(struct ost_vcpu *vcpu, gpa_t gpa, u64 type);
/* KVM_GET_CLOCK / KVM_SET_CLOCK, and the flags that KVM_CAP_ADJUST_CLOCK reports. */
u32 ost_clock_cap_flags(void);
void ost_clock_get(struct ost_vm *vm, struct kvm_clock_data *out);
int ost_clock_set(struct ost_vm *vm, const struct kvm_clock_data *in);

#endif
