// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every path on which a CPU takes virtualization on, or could leave with it on (design D7).
 *
 * ost_hw_on is changed only on its own CPU with interrupts off, and the run loop looks at it with
 * interrupts off right before it enters a guest. So a CPU never enters a guest after its
 * virtualization was turned off, whatever turned it off.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/mutex.h>
#include <linux/panic_notifier.h>
#include <linux/preempt.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include "backend.h"
#include "clock.h"
#include "compat.h"
#include "hw.h"
#include "msr.h"

DEFINE_PER_CPU(bool, ost_hw_on);
bool ost_hw_dead;

static DEFINE_MUTEX(hw_lock);	/* guards users; taken before cpus_read_lock() */
static unsigned int users;
/*
 * The scheduler's hook is patched into its code, on all CPUs: once, at the first VM, and out at unload, not for
 * each VM that comes and goes alone.
 */
static bool sched_hooked;
static enum cpuhp_state hp_state;

/* On this CPU, interrupts off. */
static int enable_here(void)
{
	int r;

	/* Here, so that it is either seen or was said before reboot_cb()'s turning off. */
	if (READ_ONCE(ost_hw_dead))
		return -EIO;
	if (this_cpu_read(ost_hw_on))
		return 0;
	r = ost_backend->cpu_enable();
	if (!r)
		this_cpu_write(ost_hw_on, true);
	return r;
}

static void disable_here(void)
{
	if (!this_cpu_read(ost_hw_on))
		return;
	this_cpu_write(ost_hw_on, false);
	ost_user_msrs_put_back();
	ost_backend->cpu_disable();
}

static void enable_ipi(void *failed)
{
	int r = enable_here();

	if (r)
		cmpxchg((int *)failed, 0, r);
}

static void disable_ipi(void *unused)
{
	disable_here();
}

int ost_hw_get(void)
{
	int failed = 0;

	mutex_lock(&hw_lock);
	if (!sched_hooked)
		preempt_notifier_inc();
	sched_hooked = true;
	/* A CPU that comes online between the two would otherwise miss being enabled. */
	cpus_read_lock();
	if (READ_ONCE(ost_hw_dead)) {
		failed = -EIO;
	} else if (users++ == 0) {
		on_each_cpu(enable_ipi, &failed, 1);
		if (failed) {
			on_each_cpu(disable_ipi, NULL, 1);
			users = 0;
		}
	}
	cpus_read_unlock();
	mutex_unlock(&hw_lock);
	if (failed == -EBUSY)
		pr_err_ratelimited("%s is in use by another hypervisor: end its guests or unload it (kvm_amd, kvm_intel, vboxdrv), then try again\n",
				   ost_backend->name);
	return failed;
}

void ost_hw_put(void)
{
	mutex_lock(&hw_lock);
	cpus_read_lock();
	if (--users == 0)
		on_each_cpu(disable_ipi, NULL, 1);
	cpus_read_unlock();
	mutex_unlock(&hw_lock);
}

/*
 * Hotplug callbacks run on the CPU concerned, with the hotplug lock held for writing: nobody is
 * inside ost_hw_get() or ost_hw_put() between its two locks then, so users is stable.
 */
static int cpu_online_cb(unsigned int cpu)
{
	int r = 0;

	local_irq_disable();
	if (READ_ONCE(users) && !READ_ONCE(ost_hw_dead))
		r = enable_here();
	local_irq_enable();
	if (r)
		pr_err("CPU %u can't come online while guests run: its %s is in use or missing\n",
		       cpu, ost_backend->name);
	return r;
}

static int cpu_offline_cb(unsigned int cpu)
{
	local_irq_disable();
	disable_here();
	local_irq_enable();
	return 0;
}

/* Suspend: the last CPU, interrupts off. The others went through hotplug. */
static int suspend_cb(OST_SYSCORE_ARG)
{
	disable_here();
	return 0;
}

static void resume_cb(OST_SYSCORE_ARG)
{
	ost_clock_host_resumed();
	if (READ_ONCE(users) && enable_here())
		pr_err("the boot CPU lost %s during suspend: guests can't go on\n",
		       ost_backend->name);
}

static int reboot_cb(struct notifier_block *nb, unsigned long action, void *data)
{
	/*
	 * Firmware and a kexec'd kernel expect CPUs without virtualization. vCPU threads that still
	 * run find ost_hw_on clear and leave.
	 */
	WRITE_ONCE(ost_hw_dead, true);
	on_each_cpu(disable_ipi, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block reboot_nb = {
	.notifier_call = reboot_cb,
};

/*
 * The panicking CPU. The others are stopped by NMI: 6.1 turns SVM off there by itself; kernels since 6.6
 * leave it to a callback, of which there is one, the stock module's. What stays on then is harmless with
 * SVM: GIF is set, so INIT gets through and clears EFER (APM vol. 2, table 14-1).
 */
static int panic_cb(struct notifier_block *nb, unsigned long action, void *data)
{
	WRITE_ONCE(ost_hw_dead, true);
	if (this_cpu_read(ost_hw_on)) {
		this_cpu_write(ost_hw_on, false);
		ost_backend->cpu_emergency_disable();
	}
	return NOTIFY_OK;
}

static struct notifier_block panic_nb = {
	.notifier_call = panic_cb,
};

int ost_hw_init(void)
{
	int r;

	r = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, OST_NAME ":online", cpu_online_cb,
			      cpu_offline_cb);
	if (r < 0)
		return r;
	hp_state = r;
	ost_register_syscore(suspend_cb, resume_cb);
	register_reboot_notifier(&reboot_nb);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_nb);
	return 0;
}

void ost_hw_exit(void)
{
	if (sched_hooked)
		preempt_notifier_dec();
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_nb);
	unregister_reboot_notifier(&reboot_nb);
	ost_unregister_syscore();
	cpuhp_remove_state(hp_state);
}
