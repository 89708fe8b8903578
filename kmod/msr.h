/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MSRs, by one table (msr.c): each with how it is read, written, and whether it is part of the list
 * that a VMM saves (KVM_GET_MSR_INDEX_LIST). Host registers that are put back only on the way to
 * userspace are in usermsr.c.
 */
#ifndef OST_MSR_H
#define OST_MSR_H

#include <linux/types.h>
#include <linux/kvm.h>
#include "msr_filter.h"

struct ost_vcpu;

#define OST_NR_MTRR_VAR 8
#define OST_NR_MTRR_FIXED 11
#define OST_MAX_MCE_BANKS 32

/* What msr.c keeps of a vCPU besides the fields of struct ost_vcpu. */
struct ost_msrs {
	u64 mtrr_var[2 * OST_NR_MTRR_VAR];	/* base, mask, base, … */
	u64 mtrr_fixed[OST_NR_MTRR_FIXED];
	u64 mtrr_def_type;
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 mce_banks[4 * OST_MAX_MCE_BANKS];	/* CTL, STATUS, ADDR, MISC, CTL, … */
	u64 arch_capabilities;
	u64 power_ctl;
	u64 de_cfg;
	u64 hwcr;
	u64 platform_info, misc_features;
};

void ost_msr_setup(void);	/* at load: which of the table this host and backend have */
int ost_msr_create(struct ost_vcpu *vcpu);	/* 0 */
void ost_msr_destroy(struct ost_vcpu *vcpu);
/* KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST: -E2BIG, -EFAULT or 0. */
int ost_msr_index_list(struct kvm_msr_list __user *user, bool features);
/* KVM_GET_MSRS on the system fd (feature MSRs): count done or -errno. */
int ost_msr_get_features(struct kvm_msrs __user *user);
/* KVM_GET_MSRS / KVM_SET_MSRS on a vCPU: how many were done, or -errno. [vcpu] */
int ost_msrs_get(struct ost_vcpu *vcpu, struct kvm_msrs __user *user);
int ost_msrs_set(struct ost_vcpu *vcpu, struct kvm_msrs __user *user);

/*
 * One MSR. OST_MSR_FINE, or why the guest's instruction gets #GP(0) (the VMM's ioctl stops there).
 * host: for the VMM, which may read and write what the guest may not. [vcpu or atomic]
 */
enum ost_msr_refusal ost_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
enum ost_msr_refusal ost_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);
/* The same for the guest, which the filter may keep from it. [vcpu, atomic; irqoff as the exits below] */
enum ost_msr_refusal ost_msr_guest_read(struct ost_vcpu *vcpu, u32 index, u64 *data);
enum ost_msr_refusal ost_msr_guest_write(struct ost_vcpu *vcpu, u32 index, u64 data);
/* State after RESET or INIT of what msr.c keeps. */
void ost_msr_reset(struct ost_vcpu *vcpu, bool init_event);

/* Exit handlers: index in ECX. [atomic or irqoff]; WRMSR in the latter only if it is a fast one. */
int ost_exit_rdmsr(struct ost_vcpu *vcpu);
int ost_exit_wrmsr(struct ost_vcpu *vcpu);
/* May the WRMSR that has exited be done with interrupts off? */
bool ost_msr_write_is_fast(struct ost_vcpu *vcpu);

/*
 * Host MSRs restored lazily, on return to userspace (user_return_notifier). A slot is registered at
 * load; ost_user_msr_set loads the guest's value on this CPU and arms the notifier. [irqoff]
 */
int ost_user_msr_register(u32 index);	/* slot number, -ENODEV, -ENOSPC; at load */
void ost_user_msr_set(int slot, u64 value);
/* The guest's TSC_AUX, if its CPUID has RDTSCP or RDPID. Before every entry. [irqoff] */
void ost_user_msrs_load(struct ost_vcpu *vcpu);
void ost_user_msrs_put_back(void);	/* now, rather than on the way to userspace. [atomic] */

#endif
