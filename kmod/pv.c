// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steal time, preempted vCPUs, and ends of interrupts by memory (pv.h): KVM's paravirtual MSRs of the public
 * Documentation/virt/kvm/x86/msr.rst.
 */
#include <linux/bitops.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <linux/uaccess.h>
#include "backend.h"
#include "cpuid.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic.h"
#include "pv.h"
#include "vcpu.h"
#include "vm.h"

/* How often a byte that other vCPUs change is tried to be taken. */
#define MAX_TRIES 16

/* Hypervisors' leaves begin at multiples of this; several may be shown side by side. */
#define BASE_STEP 0x100
#define NR_BASES 256

u32 ost_pv_features(void)
{
	u32 features = BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_UNHALT) |
		       BIT(KVM_FEATURE_PV_TLB_FLUSH) | BIT(KVM_FEATURE_PV_SEND_IPI) |
		       BIT(KVM_FEATURE_POLL_CONTROL) | BIT(KVM_FEATURE_PV_SCHED_YIELD) |
		       BIT(KVM_FEATURE_ASYNC_PF) | BIT(KVM_FEATURE_ASYNC_PF_INT);

	if (sched_info_on())
		features |= BIT(KVM_FEATURE_STEAL_TIME);
	return features;
}

static const struct kvm_cpuid_entry2 *features_leaf(struct ost_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e;
	u32 base, i;

	for (i = 0; i < NR_BASES; i++) {
		base = KVM_CPUID_SIGNATURE + i * BASE_STEP;
		e = ost_cpuid_find(vcpu, base, 0);
		if (e && !memcmp(&e->ebx, KVM_SIGNATURE, 12))
			return ost_cpuid_find(vcpu, base | KVM_CPUID_FEATURES, 0);
	}
	return NULL;
}

bool ost_pv_has(struct ost_vcpu *vcpu, u32 feature)
{
	const struct kvm_cpuid_entry2 *e;

	if (!vcpu->pv.enforce)
		return true;
	e = features_leaf(vcpu);
	return e && (e->eax & BIT(feature));
}

void ost_pv_reset(struct ost_vcpu *vcpu)
{
	struct ost_pv *pv = &vcpu->pv;

	pv->steal_msr = 0;
	pv->eoi_msr = 0;
	pv->eoi_offered = false;
	pv->preempted = false;
	pv->poll_control = 1;
	WRITE_ONCE(pv->unhalted, false);
	ost_apf_reset(vcpu);
}

/* --- steal time (msr.rst, MSR_KVM_STEAL_TIME) --- */

/* How long the calling thread has been ready to run and did not, in nanoseconds. */
static u64 run_delay(void)
{
#ifdef CONFIG_SCHED_INFO
	return current->sched_info.run_delay;
#else
	return 0;
#endif
}

static bool steal_enabled(const struct ost_vcpu *vcpu)
{
	return vcpu->pv.steal_msr & KVM_MSR_ENABLED;
}

static gpa_t steal_gpa(const struct ost_vcpu *vcpu)
{
	return vcpu->pv.steal_msr & KVM_STEAL_VALID_BITS;
}

/* Takes what `preempted` says, and clears it: other vCPUs may be setting KVM_VCPU_FLUSH_TLB there. */
static u8 take_preempted(struct ost_vcpu *vcpu)
{
	gpa_t gpa = steal_gpa(vcpu) + offsetof(struct kvm_steal_time, preempted);
	u8 was = KVM_VCPU_PREEMPTED, running = 0;
	int tries, r = 1;

	for (tries = 0; tries < MAX_TRIES && r > 0; tries++)
		r = ost_gpa_cmpxchg(vcpu->vm, gpa, &was, &running, sizeof(was));
	/* Whoever fights for the byte gets the most that can have been asked. */
	return r > 0 ? KVM_VCPU_FLUSH_TLB : was;
}

void ost_pv_account(struct ost_vcpu *vcpu)
{
	struct ost_pv *pv = &vcpu->pv;
	gpa_t gpa = steal_gpa(vcpu);
	struct kvm_steal_time st;
	u64 waited = run_delay();

	if (!steal_enabled(vcpu))
		return;
	if (ost_gpa_read(vcpu->vm, gpa, &st, sizeof(st)))
		return;
	pv->preempted = false;
	if (take_preempted(vcpu) & KVM_VCPU_FLUSH_TLB) {
		vcpu->stats.tlb_flushes++;
		ost_backend->flush_tlb(vcpu);
	}

	/* Another thread's waiting before it had the vCPU is not the guest's. */
	if (pv->thread == current && waited > pv->run_delay)
		st.steal += waited - pv->run_delay;
	pv->thread = current;
	pv->run_delay = waited;

	/* Odd while it is written; what stood there before the guest's first may be anything. */
	st.version = (st.version & ~1u) + 1;
	if (ost_gpa_write(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), &st.version,
			  sizeof(st.version)))
		return;
	smp_wmb();
	ost_gpa_write(vcpu->vm, gpa + offsetof(struct kvm_steal_time, steal), &st.steal,
		      sizeof(st.steal));
	smp_wmb();
	st.version++;
	ost_gpa_write(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), &st.version,
		      sizeof(st.version));
}

void ost_pv_loaded(struct ost_vcpu *vcpu)
{
	const struct ost_pv *pv = &vcpu->pv;

	if (pv->preempted || pv->thread != current || pv->run_delay != run_delay())
		ost_request(vcpu, OST_REQ_STEAL);
}

void ost_pv_preempted(struct ost_vcpu *vcpu)
{
	gpa_t gpa = steal_gpa(vcpu) + offsetof(struct kvm_steal_time, preempted);
	u8 preempted = KVM_VCPU_PREEMPTED;

	/*
	 * Others then leave TLB flushes to the next entry. That is too late for an address that was translated
	 * in the middle of an instruction and is about to be used.
	 */
	if (vcpu->pv.preempted || !vcpu->pv.between)
		return;
	/* A ring without any room ends the VM, which takes wake-ups: not here (docs/locking.md). */
	if (vcpu->dirty_ring.entries && ost_dirty_ring_full(vcpu))
		return;
	pagefault_disable();
	vcpu->pv.preempted = !ost_gpa_write(vcpu->vm, gpa, &preempted, sizeof(preempted));
	pagefault_enable();
}

static int write_steal(struct ost_vcpu *vcpu, u64 data)
{
	if ((data & KVM_STEAL_RESERVED_MASK) || !sched_info_on())
		return 1;
	vcpu->pv.steal_msr = data;
	vcpu->pv.preempted = false;
	vcpu->pv.thread = NULL;
	if (data & KVM_MSR_ENABLED)
		ost_request(vcpu, OST_REQ_STEAL);
	return 0;
}

/* --- end of interrupt (msr.rst, MSR_KVM_PV_EOI_EN) --- */

/* The bit says that the interrupt in service may be ended by clearing it. Its vCPU alone uses it. */
#define EOI_BY_MEMORY BIT(0)

static gpa_t eoi_gpa(const struct ost_vcpu *vcpu)
{
	return vcpu->pv.eoi_msr & ~(u64)KVM_MSR_ENABLED;
}

static bool eoi_write(struct ost_vcpu *vcpu, u8 value)
{
	int r;

	pagefault_disable();
	r = ost_gpa_write(vcpu->vm, eoi_gpa(vcpu), &value, sizeof(value));
	pagefault_enable();
	return !r;
}

/* Is it the only one in service, with none waiting behind it whose turn its end would be? */
static bool is_alone(const struct ost_lapic *apic, u8 vector)
{
	u32 word = vector / 32;

	return apic->isr_words == BIT(word) &&
	       ost_lapic_reg(apic, APIC_ISR + 0x10 * word) == BIT(vector % 32) &&
	       ost_lapic_find_irr(apic) < 0;
}

void ost_pv_eoi_offer(struct ost_vcpu *vcpu, u8 vector)
{
	if (vcpu->apic->cpu_delivers || !is_alone(vcpu->apic, vector) ||
	    ost_eoi_exit(vcpu->vm, vector))
		return;
	vcpu->pv.eoi_offered = eoi_write(vcpu, EOI_BY_MEMORY);
}

/* What the guest has made of the offer, whose byte is `value`. */
static void end_offer(struct ost_vcpu *vcpu, u8 value)
{
	vcpu->pv.eoi_offered = false;
	if (!(value & EOI_BY_MEMORY))
		ost_lapic_eoi(vcpu->apic);
	else if (!eoi_write(vcpu, 0))
		ost_request(vcpu, OST_REQ_PV_EOI);
}

bool ost_pv_eoi_sync(struct ost_vcpu *vcpu)
{
	u8 value;
	int r;

	pagefault_disable();
	r = ost_gpa_read(vcpu->vm, eoi_gpa(vcpu), &value, sizeof(value));
	pagefault_enable();
	if (r) {
		ost_request(vcpu, OST_REQ_PV_EOI);
		return false;
	}
	end_offer(vcpu, value);
	return true;
}

void ost_pv_eoi_withdraw(struct ost_vcpu *vcpu)
{
	vcpu->pv.eoi_offered = false;
	if (!eoi_write(vcpu, 0))
		ost_request(vcpu, OST_REQ_PV_EOI);
}

void ost_pv_eoi_slow(struct ost_vcpu *vcpu)
{
	u8 value = EOI_BY_MEMORY, none = 0;

	if (!(vcpu->pv.eoi_msr & KVM_MSR_ENABLED))
		return;
	/* Where the memory has gone the guest can't have ended anything by it. */
	if (vcpu->pv.eoi_offered) {
		vcpu->pv.eoi_offered = false;
		if (!ost_gpa_read(vcpu->vm, eoi_gpa(vcpu), &value, sizeof(value)) &&
		    !(value & EOI_BY_MEMORY)) {
			ost_lapic_eoi(vcpu->apic);
			return;
		}
	}
	ost_gpa_write(vcpu->vm, eoi_gpa(vcpu), &none, sizeof(none));
}

static int write_eoi(struct ost_vcpu *vcpu, u64 data)
{
	gpa_t gpa = data & ~(u64)KVM_MSR_ENABLED;

	if (!vcpu->apic || !IS_ALIGNED(gpa, 4))
		return 1;
	if ((data & KVM_MSR_ENABLED) && !ost_gpa_has_slot(vcpu->vm, gpa, true))
		return 1;
	/* By the old address, before it is forgotten. */
	if (vcpu->pv.eoi_offered) {
		ost_vcpu_preemptible(vcpu);
		ost_pv_eoi_slow(vcpu);
	}
	vcpu->pv.eoi_msr = data;
	/* Nothing is offered yet, whatever stands there. */
	ost_request(vcpu, OST_REQ_PV_EOI);
	return 0;
}

/* --- MSRs --- */

static bool msr_allowed(struct ost_vcpu *vcpu, u32 index)
{
	switch (index) {
	case MSR_KVM_STEAL_TIME:
		return ost_pv_has(vcpu, KVM_FEATURE_STEAL_TIME);
	case MSR_KVM_PV_EOI_EN:
		return ost_pv_has(vcpu, KVM_FEATURE_PV_EOI);
	case MSR_KVM_POLL_CONTROL:
		return ost_pv_has(vcpu, KVM_FEATURE_POLL_CONTROL);
	}
	return false;
}

int ost_pv_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (!msr_allowed(vcpu, index))
		return 1;
	switch (index) {
	case MSR_KVM_STEAL_TIME:
		*data = vcpu->pv.steal_msr;
		return 0;
	case MSR_KVM_PV_EOI_EN:
		*data = vcpu->pv.eoi_msr;
		return 0;
	case MSR_KVM_POLL_CONTROL:
		*data = vcpu->pv.poll_control;
		return 0;
	}
	return 1;
}

int ost_pv_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!msr_allowed(vcpu, index))
		return 1;
	switch (index) {
	case MSR_KVM_STEAL_TIME:
		return write_steal(vcpu, data);
	case MSR_KVM_PV_EOI_EN:
		/* A saved state may say 0 where there is no LAPIC of ours to end anything in. */
		if (!vcpu->apic && host && !data)
			return 0;
		return write_eoi(vcpu, data);
	case MSR_KVM_POLL_CONTROL:
		if (data & ~1ull)
			return 1;
		vcpu->pv.poll_control = data;
		return 0;
	}
	return 1;
}
