/* SPDX-License-Identifier: GPL-2.0-only */
/* Groups of MSRs that msr.c's table sends to files of their own. As its rows: 0, or 1 for #GP. */
#ifndef OST_MSR_TABLE_H
#define OST_MSR_TABLE_H

#include <linux/kvm.h>
#include <linux/types.h>

struct ost_vcpu;

/* HWCR.McStatusWrEn: machine check banks may be written. */
#define OST_HWCR_MC_STATUS_WR_EN BIT_ULL(18)

/* mtrr.c: stored and validated; nested paging takes no memory type from them. */
int ost_mtrr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
int ost_mtrr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);
void ost_mtrr_reset(struct ost_vcpu *vcpu);

/* mce.c: banks in which nothing ever happens but what the VMM puts or reports there. */
int ost_mce_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
int ost_mce_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);
void ost_mce_create(struct ost_vcpu *vcpu);
/* KVM_X86_GET_MCE_CAP_SUPPORTED, KVM_X86_SETUP_MCE and KVM_X86_SET_MCE: 0 or -EINVAL. [vcpu] */
u64 ost_mce_cap_supported(void);
int ost_mce_setup(struct ost_vcpu *vcpu, u64 mcg_cap);
int ost_mce_report(struct ost_vcpu *vcpu, const struct kvm_x86_mce *mce);
void ost_mce_reset(struct ost_vcpu *vcpu);

/* usermsr.c: at load, after ost_cpuid_setup(). */
void ost_user_msr_setup(void);

#endif
