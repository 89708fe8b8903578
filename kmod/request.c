// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: how other threads and interrupts make a vCPU do something before it next enters the
 * guest, and how they get it out of the guest for that. The ordering argument is in docs/locking.md.
 */
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include "backend.h"
#include "compat.h"
#include "hw.h"
#include "irqchip/irqchip.h"
#include "vcpu.h"
#include "vm.h"

/* The CPUs an ost_request_all() interrupts. Preemption off while it is used. */
static DEFINE_PER_CPU(cpumask_var_t, kick_mask);

int ost_request_setup(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (!zalloc_cpumask_var_node(per_cpu_ptr(&kick_mask, cpu), GFP_KERNEL,
					     cpu_to_node(cpu))) {
			ost_request_teardown();
			return -ENOMEM;
		}
	}
	return 0;
}

void ost_request_teardown(void)
{
	int cpu;

	/* Freeing one that was never allocated is harmless: the static storage is NULL. */
	for_each_possible_cpu(cpu)
		free_cpumask_var(per_cpu(kick_mask, cpu));
}

bool ost_vcpu_wake(struct ost_vcpu *vcpu)
{
	return rcuwait_wake_up(&vcpu->wait);
}

void ost_vcpu_kick(struct ost_vcpu *vcpu)
{
	int me, cpu;

	if (ost_vcpu_wake(vcpu))
		return;
	/*
	 * Pairs with the barrier after mode = IN_GUEST in run.c: either we see IN_GUEST here, or the
	 * vCPU sees our request there. rcuwait_wake_up() begins with a full barrier.
	 */
	me = get_cpu();
	if (READ_ONCE(vcpu->mode) == OST_MODE_IN_GUEST &&
	    cmpxchg(&vcpu->mode, OST_MODE_IN_GUEST, OST_MODE_LEAVING) == OST_MODE_IN_GUEST) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu != me && cpu_online(cpu))
			smp_send_reschedule(cpu);
	}
	put_cpu();
}

bool ost_vcpu_notify(struct ost_vcpu *vcpu)
{
	int cpu;

	if (!ost_hw_caps.posts_interrupts || READ_ONCE(vcpu->mode) != OST_MODE_IN_GUEST)
		return false;
	/* The CPU of that run or of a later one, which looks at what was posted before it enters. */
	smp_rmb();
	cpu = READ_ONCE(vcpu->cpu);
	/* On this CPU it is the vCPU's own thread, between two entries. */
	if (cpu != smp_processor_id() && cpu_online(cpu))
		static_call(ost_notify)(cpu);
	return true;
}

static void leave_guest_ipi(void *unused)
{
	/* The interrupt itself made the vCPU exit. */
}

void ost_request_all(struct ost_vm *vm, enum ost_req req)
{
	struct ost_vcpu *vcpu;
	struct cpumask *mask;
	bool any = false;
	int me, cpu;
	u32 i;

	me = get_cpu();
	mask = this_cpu_cpumask_var_ptr(kick_mask);
	cpumask_clear(mask);
	ost_for_each_vcpu(i, vcpu, vm) {
		ost_request(vcpu, req);
		/* As in ost_vcpu_kick(). */
		smp_mb__after_atomic();
		if (READ_ONCE(vcpu->mode) == OST_MODE_OUTSIDE)
			continue;
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu >= 0 && cpu != me) {
			__cpumask_set_cpu(cpu, mask);
			any = true;
		}
	}
	/*
	 * Waits for the function to have run, so that every vCPU that was in the guest has left it. One
	 * that has moved to another CPU meanwhile was outside in between, and saw the request.
	 */
	if (any)
		smp_call_function_many(mask, leave_guest_ipi, NULL, true);
	put_cpu();
}

int ost_handle_requests(struct ost_vcpu *vcpu)
{
	vcpu->stats.requests++;

	if (unlikely(test_bit(OST_REQ_VM_DEAD, &vcpu->requests)))
		return -EIO;
	if (unlikely(ost_request_take(vcpu, OST_REQ_DIRTY_RING)) && ost_dirty_ring_full(vcpu)) {
		/* Until there is room again. */
		ost_request(vcpu, OST_REQ_DIRTY_RING);
		vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
		return OST_USER;
	}
	if (ost_request_take(vcpu, OST_REQ_TRIPLE_FAULT)) {
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		return OST_USER;
	}
	if (ost_request_take(vcpu, OST_REQ_TLB_FLUSH)) {
		vcpu->stats.tlb_flushes++;
		ost_backend->flush_tlb(vcpu);
	}
	ost_request_take(vcpu, OST_REQ_LEAVE);
	if (ost_request_take(vcpu, OST_REQ_MSR_FILTER))
		ost_msr_filter_changed(vcpu);
	if (ost_request_take(vcpu, OST_REQ_CLOCK)) {
		ost_vcpu_preemptible(vcpu);
		ost_clock_update(vcpu);
	}
	if (ost_request_take(vcpu, OST_REQ_STEAL)) {
		ost_vcpu_preemptible(vcpu);
		ost_pv_account(vcpu);
	}
	if (ost_request_take(vcpu, OST_REQ_PV_EOI)) {
		ost_vcpu_preemptible(vcpu);
		ost_pv_eoi_slow(vcpu);
	}
	if (unlikely(ost_request_take(vcpu, OST_REQ_APF))) {
		ost_vcpu_preemptible(vcpu);
		ost_apf_ready(vcpu);
	}
	if (ost_request_take(vcpu, OST_REQ_APIC_TIMER) && vcpu->apic)
		ost_lapic_timer_inject(vcpu);
	if (unlikely(ost_request_take(vcpu, OST_REQ_IOAPIC_EOI)) && ost_split_eoi_exit(vcpu))
		return OST_USER;
	if (unlikely(ost_request_take(vcpu, OST_REQ_SMI) | ost_request_take(vcpu, OST_REQ_SMI_TOLD))) {
		int r = ost_smi_take(vcpu);

		if (r != OST_RUN)
			return r;
	}
	/* Last: what comes of it may be a vCPU that waits. */
	if (unlikely(ost_request_take(vcpu, OST_REQ_INIT_SIPI))) {
		ost_vcpu_preemptible(vcpu);
		ost_lapic_accept_init_sipi(vcpu);
	}
	return OST_RUN;
}
