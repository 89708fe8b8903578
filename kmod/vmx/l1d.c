// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emptying the L1 data cache of the host's data before a guest runs, on CPUs where a guest's page tables
 * can reach it (L1TF).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/moduleparam.h>
#include <linux/sched/smt.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include "vmx.h"

static unsigned int flush_l1d = 1;
module_param_named(vmx_flush_l1d, flush_l1d, uint, 0444);
MODULE_PARM_DESC(vmx_flush_l1d, "flush the L1 data cache before a guest runs: 0 never, 1 on CPUs with L1TF unless the host was told not to (default), 2 always and by reading, for testing");

/*
 * Where the microcode has no command for it, reading takes its place. Twice the size of the cache of all
 * CPUs concerned (32 KiB), since what a read pushes out is not always the oldest.
 */
#define FILL_ORDER 4
#define FILL_SIZE (PAGE_SIZE << FILL_ORDER)
#define LINE_SIZE 64
static u8 *fill __read_mostly;

static bool cpu_leaks(void)
{
	u64 caps = 0;

	if (flush_l1d == 2)
		return true;
	if (!flush_l1d || !boot_cpu_has_bug(X86_BUG_L1TF) || ost_l1tf_off())
		return false;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrq(MSR_IA32_ARCH_CAPABILITIES, caps);
	return !(caps & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH);
}

static int alloc_fill(void)
{
	int i;

	fill = (u8 *)__get_free_pages(GFP_KERNEL, FILL_ORDER);
	if (!fill)
		return -ENOMEM;
	/* A hypervisor below that merges equal pages would leave one to read. */
	for (i = 0; i < 1 << FILL_ORDER; i++)
		memset(fill + i * PAGE_SIZE, i + 1, PAGE_SIZE);
	return 0;
}

int ost_vmx_l1d_setup(void)
{
	ost_vmx_config.flush_l1d = cpu_leaks();
	ost_vmx_config.flush_each = flush_l1d == 2;
	if (!ost_vmx_config.flush_l1d)
		return 0;
	if (sched_smt_active())
		pr_warn("this CPU has L1TF and runs two threads a core: a guest may read what the other thread does\n");
	return boot_cpu_has(X86_FEATURE_FLUSH_L1D) && flush_l1d != 2 ? 0 : alloc_fill();
}

void ost_vmx_l1d_teardown(void)
{
	free_pages((unsigned long)fill, FILL_ORDER);
	fill = NULL;
}

void ost_vmx_flush_l1d(void)
{
	unsigned int i;

	if (likely(!fill)) {
		wrmsrq(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
		return;
	}
	/* The translations first: page walks would bring tables into the cache again. */
	for (i = 0; i < FILL_SIZE; i += PAGE_SIZE)
		READ_ONCE(fill[i]);
	rmb();
	for (i = 0; i < FILL_SIZE; i += LINE_SIZE)
		READ_ONCE(fill[i]);
	rmb();
}
