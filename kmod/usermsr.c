// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host MSRs that only userspace looks at, put back on the way there (msr.h): a guest's value may stay
 * loaded over many exits, and over other threads' time in the kernel.
 */
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/topology.h>
#include <linux/user-return-notifier.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include "compat.h"
#include "cpuid.h"
#include "msr.h"
#include "msr_table.h"
#include "vcpu.h"

#define MAX_SLOTS 8

static u32 slots[MAX_SLOTS] __ro_after_init;
static int nr_slots __ro_after_init;
static int tsc_aux_slot __ro_after_init = -1;

/* Touched by its own CPU alone, with interrupts off. */
struct user_msrs {
	struct user_return_notifier notifier;
	bool armed;
	u32 valid;		/* bit per slot: host[] was read */
	u64 host[MAX_SLOTS];
	u64 loaded[MAX_SLOTS];	/* what the register holds */
};
static DEFINE_PER_CPU(struct user_msrs, user_msrs);

int __init ost_user_msr_register(u32 index)
{
	u64 val;
	int i;

	for (i = 0; i < nr_slots; i++) {
		if (slots[i] == index)
			return i;
	}
	if (rdmsrq_safe(index, &val) || wrmsrq_safe(index, val))
		return -ENODEV;
	if (nr_slots == MAX_SLOTS)
		return -ENOSPC;
	slots[nr_slots] = index;
	return nr_slots++;
}

void __init ost_user_msr_setup(void)
{
	if (ost_supported(RDTSCP) || ost_supported(RDPID))
		tsc_aux_slot = ost_user_msr_register(MSR_TSC_AUX);
}

/*
 * What the host's userspace is to find. TSC_AUX is what the kernel writes there for the vDSO's getcpu;
 * reading it could find what another hypervisor has left to be put back in the same way.
 */
static u64 host_value(u32 index)
{
	u64 val;
	int cpu = smp_processor_id();

	if (index == MSR_TSC_AUX)
		return vdso_encode_cpunode(cpu, cpu_to_node(cpu));
	rdmsrq(index, val);
	return val;
}

static void put_back(struct user_msrs *m)
{
	int i;

	if (!m->armed)
		return;
	for (i = 0; i < nr_slots; i++) {
		if (!(m->valid & BIT(i)) || m->loaded[i] == m->host[i])
			continue;
		wrmsrq(slots[i], m->host[i]);
		m->loaded[i] = m->host[i];
	}
	user_return_notifier_unregister(&m->notifier);
	m->armed = false;
}

static void on_user_return(struct user_return_notifier *notifier)
{
	unsigned long flags;

	/* Not to be met by ost_user_msrs_put_back() in the middle. */
	local_irq_save(flags);
	put_back(container_of(notifier, struct user_msrs, notifier));
	local_irq_restore(flags);
}

static __always_inline bool is_loaded(const struct user_msrs *m, int slot, u64 value)
{
	return (m->valid & BIT(slot)) && m->loaded[slot] == value;
}

void ost_user_msr_set(int slot, u64 value)
{
	struct user_msrs *m = this_cpu_ptr(&user_msrs);

	if (!(m->valid & BIT(slot))) {
		m->host[slot] = host_value(slots[slot]);
		m->loaded[slot] = m->host[slot];
		m->valid |= BIT(slot);
	}
	if (is_loaded(m, slot, value))
		return;
	/* One that the CPU refuses gets the guest 0, never what was there before. */
	if (WARN_ON_ONCE(wrmsrq_safe(slots[slot], value))) {
		value = 0;
		wrmsrq(slots[slot], value);
	}
	m->loaded[slot] = value;
	if (!m->armed) {
		m->notifier.on_user_return = on_user_return;
		user_return_notifier_register(&m->notifier);
		m->armed = true;
	}
}

void ost_user_msrs_load(struct ost_vcpu *vcpu)
{
	int slot = tsc_aux_slot;

	if (slot >= 0 && !is_loaded(this_cpu_ptr(&user_msrs), slot, vcpu->tsc_aux) &&
	    (ost_has(vcpu, RDTSCP) || ost_has(vcpu, RDPID)))
		ost_user_msr_set(slot, vcpu->tsc_aux);
}

void ost_user_msrs_put_back(void)
{
	unsigned long flags;

	local_irq_save(flags);
	put_back(this_cpu_ptr(&user_msrs));
	local_irq_restore(flags);
}
