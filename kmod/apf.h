/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asynchronous page faults (apf.c): a page that the host has to fetch first is fetched by a thread of the module's, and
 * the guest does something else until it is there. KVM's MSRs of the public Documentation/virt/kvm/x86/msr.rst.
 */
#ifndef OST_APF_H
#define OST_APF_H

#include <linux/types.h>
#include <asm/kvm_para.h>
#include "mmu/mmu.h"

struct ost_vcpu;
struct ost_apf_queue;

/* per vCPU */
struct ost_apf {
	u64 msr;		/* MSR_KVM_ASYNC_PF_EN: gpa of struct kvm_vcpu_pv_apf_data | bits */
	u8 vector;		/* MSR_KVM_ASYNC_PF_INT */
	bool wake_all;		/* the guest is to forget that it waits for anything */
	u32 seq;		/* of the token before */
	u64 failed;		/* 1 + gfn of a page that could not be fetched: the next fault says why */
	unsigned long hva;	/* of the last page that OST_FAULT_NOWAIT has not found */
	struct ost_apf_queue *queue;	/* what is being fetched for it; NULL until there is something */
};

/* At load and unload. */
int ost_apf_setup(void);
void ost_apf_teardown(void);

/* Has the guest switched it on? (ost_apf_on() below, for those who have vcpu.h) */
#define OST_APF_ON (KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)
#define ost_apf_on(vcpu) unlikely(((vcpu)->apf.msr & OST_APF_ON) == OST_APF_ON)

/*
 * ost_mmu_fault() for a guest that has: where the page has to be waited for, the guest is told so, or the vCPU waits as in
 * HLT, and OST_FAULT_FIXED answered. [vcpu]
 */
enum ost_fault_result ost_apf_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags);
/* OST_REQ_APF: tells the guest of a page that it waited for, if it can be told now. [vcpu] */
void ost_apf_ready(struct ost_vcpu *vcpu);

/* RESET or INIT: off, and nobody is told of anything any more. [vcpu] */
void ost_apf_reset(struct ost_vcpu *vcpu);
/* Before the vCPU is freed. What is being fetched goes on for itself. */
void ost_apf_destroy(struct ost_vcpu *vcpu);

/* The three MSRs: 0, or 1 for #GP. */
int ost_apf_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
int ost_apf_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);

#endif
