// SPDX-License-Identifier: GPL-2.0-only
/* Which backend drives this CPU, and the static calls bound to it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/printk.h>
#include "backend.h"
#include "stats.h"

struct ost_hw_caps ost_hw_caps __ro_after_init;
const struct ost_backend *ost_backend __ro_after_init;

static const struct ost_backend *const backends[] = {
	&ost_svm_backend,
	&ost_vmx_backend,
};

/* Bound before the device node exists: nobody calls them before. */
DEFINE_STATIC_CALL_NULL(ost_run, *((struct ost_backend *)0)->run);
DEFINE_STATIC_CALL_NULL(ost_handle_exit, *((struct ost_backend *)0)->handle_exit);
DEFINE_STATIC_CALL_NULL(ost_handle_exit_irqoff, *((struct ost_backend *)0)->handle_exit_irqoff);
DEFINE_STATIC_CALL_NULL(ost_cache_reg, *((struct ost_backend *)0)->cache_reg);
DEFINE_STATIC_CALL_NULL(ost_skip_instruction, *((struct ost_backend *)0)->skip_instruction);
DEFINE_STATIC_CALL_NULL(ost_irq_allowed, *((struct ost_backend *)0)->irq_allowed);
DEFINE_STATIC_CALL_NULL(ost_inject_irq, *((struct ost_backend *)0)->inject_irq);
DEFINE_STATIC_CALL_NULL(ost_set_interrupt_shadow,
			*((struct ost_backend *)0)->set_interrupt_shadow);
DEFINE_STATIC_CALL_NULL(ost_get_cpl, *((struct ost_backend *)0)->get_cpl);
DEFINE_STATIC_CALL_NULL(ost_code64, *((struct ost_backend *)0)->code64);
DEFINE_STATIC_CALL_NULL(ost_notify, *((struct ost_backend *)0)->notify);
DEFINE_STATIC_CALL_NULL(ost_vcpu_load_hw, *((struct ost_backend *)0)->vcpu_load);
DEFINE_STATIC_CALL_NULL(ost_vcpu_put_hw, *((struct ost_backend *)0)->vcpu_put);
DEFINE_STATIC_CALL_NULL(ost_in_memory, *((struct ost_backend *)0)->in_memory);

static void __init bind(const struct ost_backend *b)
{
	ost_backend = b;
	static_call_update(ost_run, b->run);
	static_call_update(ost_handle_exit, b->handle_exit);
	static_call_update(ost_handle_exit_irqoff, b->handle_exit_irqoff);
	static_call_update(ost_cache_reg, b->cache_reg);
	static_call_update(ost_skip_instruction, b->skip_instruction);
	static_call_update(ost_irq_allowed, b->irq_allowed);
	static_call_update(ost_inject_irq, b->inject_irq);
	static_call_update(ost_set_interrupt_shadow, b->set_interrupt_shadow);
	static_call_update(ost_get_cpl, b->get_cpl);
	static_call_update(ost_code64, b->code64);
	static_call_update(ost_notify, b->notify);
	static_call_update(ost_vcpu_load_hw, b->vcpu_load);
	static_call_update(ost_vcpu_put_hw, b->vcpu_put);
	static_call_update(ost_in_memory, b->in_memory);
}

int __init ost_backend_select(void)
{
	const char *why = "this CPU has neither AMD-V nor VT-x";
	int i, r = -ENODEV;

	/* The answer of the backend whose vendor this is says more than the others' "not mine". */
	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		const char *this_why = NULL;
		int err = backends[i]->probe(&this_why);

		if (!err) {
			err = backends[i]->setup();
			if (!err)
				bind(backends[i]);
			return err;
		}
		if (err != -ENODEV || r == -ENODEV) {
			r = err;
			why = this_why ?: why;
		}
	}
	pr_err("can't run here: %s\n", why);
	return r;
}

const char *ost_exit_name(u32 index)
{
	const char *name = index < ost_backend->nr_exits ? ost_backend->exit_names[index] : NULL;

	return name ?: "unknown";
}
