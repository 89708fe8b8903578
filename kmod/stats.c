// SPDX-License-Identifier: GPL-2.0-only
/* The counters of vCPUs by name, and /sys/kernel/debug/<instance>/stats, which shows them a line each. */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>
#include "backend.h"
#include "stats.h"
#include "vcpu.h"
#include "vm.h"

static DEFINE_MUTEX(lock);	/* guards vms */
static LIST_HEAD(vms);
static struct dentry *dir;

void ost_stats_add_vm(struct ost_vm *vm)
{
	mutex_lock(&lock);
	list_add_tail(&vm->link, &vms);
	mutex_unlock(&lock);
}

void ost_stats_remove_vm(struct ost_vm *vm)
{
	mutex_lock(&lock);
	list_del(&vm->link);
	mutex_unlock(&lock);
}

#define COUNTER(name) { #name, offsetof(struct ost_vcpu_stats, name) }
static const struct {
	const char *name;
	size_t offset;
} counters[] = {
	COUNTER(exits), COUNTER(user_exits), COUNTER(fast_exits), COUNTER(mmio_user), COUNTER(mmio_movs),
	COUNTER(pio_user), COUNTER(halts), COUNTER(halt_polls_hit), COUNTER(halt_polls_missed),
	COUNTER(irq_injections), COUNTER(nmi_injections), COUNTER(exceptions),
	COUNTER(reinjections), COUNTER(irq_windows), COUNTER(nmi_windows), COUNTER(page_faults),
	COUNTER(page_faults_atomic), COUNTER(page_faults_retried), COUNTER(emulations),
	COUNTER(tlb_flushes), COUNTER(requests), COUNTER(host_irqs), COUNTER(host_nmis),
	COUNTER(fpu_loads), COUNTER(host_timers), COUNTER(migrations),
	COUNTER(async_faults), COUNTER(async_waits), COUNTER(async_ready),
};
const u32 ost_nr_counters = ARRAY_SIZE(counters);

const char *ost_counter_name(u32 i)
{
	return counters[array_index_nospec(i, ARRAY_SIZE(counters))].name;
}

u64 ost_counter_value(const struct ost_vcpu_stats *stats, u32 i)
{
	size_t offset = counters[array_index_nospec(i, ARRAY_SIZE(counters))].offset;

	return READ_ONCE(*(const u64 *)((const char *)stats + offset));
}

static void show_vcpu(struct seq_file *m, struct ost_vm *vm, struct ost_vcpu *vcpu)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		u64 val = ost_counter_value(&vcpu->stats, i);

		if (val)
			seq_printf(m, "vm %llu vcpu %u %s %llu\n", vm->id, vcpu->id,
				   counters[i].name, val);
	}
	for (i = 0; i < OST_MAX_EXITS; i++) {
		u64 val = READ_ONCE(vcpu->stats.by_reason[i]);

		if (val)
			seq_printf(m, "vm %llu vcpu %u exit:%s %llu\n", vm->id, vcpu->id,
				   ost_exit_name(i), val);
	}
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct ost_vcpu *vcpu;
	struct ost_vm *vm;
	u32 i;

	mutex_lock(&lock);
	list_for_each_entry(vm, &vms, link) {
		seq_printf(m, "vm %llu vcpus %u tables %ld devices %u noncoherent %u\n", vm->id, ost_nr_vcpus(vm),
			   atomic_long_read(&vm->mmu.nr_tables), READ_ONCE(vm->mmu.maps_devices),
			   READ_ONCE(vm->vfio.noncoherent));
		ost_for_each_vcpu(i, vcpu, vm)
			show_vcpu(m, vm, vcpu);
	}
	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

void __init ost_stats_init(void)
{
	ost_stats_fd_setup();
	/* Without debugfs the counters are not shown; nothing depends on them. */
	dir = debugfs_create_dir(OST_NAME, NULL);
	debugfs_create_file("stats", 0400, dir, NULL, &stats_fops);
}

void ost_stats_exit(void)
{
	debugfs_remove(dir);
}
