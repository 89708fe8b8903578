// SPDX-License-Identifier: GPL-2.0-only
/* What starts when the module is loaded, in order, and ends in reverse when it goes. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/srcu.h>
#include "apf.h"
#include "backend.h"
#include "clock.h"
#include "compat_init.h"
#include "cpuid.h"
#include "fpu.h"
#include "hw.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "msr.h"
#include "stats.h"
#include "system.h"
#include "vcpu.h"

static int __init ost_init(void)
{
	int r;

	r = ost_compat_init();
	if (r)
		return r;
	r = ost_backend_select();
	if (r)
		goto err_compat;
	r = ost_fpu_setup();
	if (r)
		goto err_backend;
	r = ost_cpuid_setup();
	if (r)
		goto err_backend;
	ost_msr_setup();
	r = ost_clock_setup();
	if (r)
		goto err_backend;
	r = ost_irqfd_module_init();
	if (r)
		goto err_clock;
	r = ost_apf_setup();
	if (r)
		goto err_irqfd;
	r = ost_request_setup();
	if (r)
		goto err_apf;
	r = ost_hw_init();
	if (r)
		goto err_request;
	ost_stats_init();
	r = ost_system_register();
	if (r)
		goto err_stats;
	pr_info("%s with %s ready on /dev/%s\n", ost_backend->name,
		ost_backend->pte_format->page_1g ? "4K, 2M and 1G pages" : "4K and 2M pages",
		OST_NAME);
	return 0;

err_stats:
	ost_stats_exit();
	ost_hw_exit();
err_request:
	ost_request_teardown();
err_apf:
	ost_apf_teardown();
err_irqfd:
	ost_irqfd_module_exit();
err_clock:
	ost_clock_teardown();
err_backend:
	ost_backend->teardown();
err_compat:
	ost_compat_exit();
	return r;
}

static void __exit ost_exit(void)
{
	ost_system_unregister();
	ost_stats_exit();
	ost_hw_exit();
	ost_request_teardown();
	ost_apf_teardown();
	ost_irqfd_module_exit();
	ost_clock_teardown();
	ost_backend->teardown();
	ost_compat_exit();
	/* Objects freed by RCU callbacks of ours must be gone before the code is. */
	rcu_barrier();
}

module_init(ost_init);
module_exit(ost_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Ostler, a hypervisor for stock Linux hosts");
