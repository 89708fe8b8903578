// SPDX-License-Identifier: GPL-2.0-only
/* The table through which the core reaches AMD-V. */
#include "../../uapi/ostler.h"
#include "svm.h"

const struct ost_backend ost_svm_backend = {
	.name = "SVM",
	.vendor = OST_VENDOR_SVM,
	.vcpu_size = sizeof(struct ost_svm_vcpu),
	.vm_size = sizeof(struct ost_vm),
	.exit_names = ost_svm_exit_names,
	.describe_exit = ost_svm_describe_exit,
	.nr_exits = OST_SVM_NR_EXIT_INDEXES,

	.probe = ost_svm_probe,
	.setup = ost_svm_setup,
	.teardown = ost_svm_teardown,

	.cpu_enable = ost_svm_cpu_enable,
	.cpu_disable = ost_svm_cpu_disable,
	.cpu_emergency_disable = ost_svm_cpu_emergency_disable,

	.vm_init = ost_svm_vm_init,
	.vm_destroy = ost_svm_vm_destroy,

	.vcpu_create = ost_svm_vcpu_create,
	.vcpu_destroy = ost_svm_vcpu_destroy,
	.vcpu_reset = ost_svm_vcpu_reset,
	.vcpu_load = ost_svm_vcpu_load,
	.vcpu_put = ost_svm_vcpu_put,
	.in_memory = ost_svm_in_memory,
	.cpuid_changed = ost_svm_cpuid_changed,

	.run = ost_svm_run,
	.handle_exit_irqoff = ost_svm_handle_exit_irqoff,
	.handle_exit = ost_svm_handle_exit,

	.cache_reg = ost_svm_cache_reg,
	.get_segment = ost_svm_get_segment,
	.set_segment = ost_svm_set_segment,
	.get_segments = ost_svm_get_segments,
	.set_segments = ost_svm_set_segments,
	.get_dt = ost_svm_get_dt,
	.set_dt = ost_svm_set_dt,
	.get_cpl = ost_svm_get_cpl,
	.code64 = ost_svm_code64,
	.code32 = ost_svm_code32,
	.set_cr0 = ost_svm_set_cr0,
	.set_cr3 = ost_svm_set_cr3,
	.set_cr4 = ost_svm_set_cr4,
	.set_efer = ost_svm_set_efer,
	.update_debug = ost_svm_update_debug,

	.get_msr = ost_svm_get_msr,
	.set_msr = ost_svm_set_msr,
	.msr_filter_changed = ost_svm_msr_filter_changed,

	.get_interrupt_shadow = ost_svm_get_interrupt_shadow,
	.set_interrupt_shadow = ost_svm_set_interrupt_shadow,
	.get_nmi_mask = ost_svm_get_nmi_mask,
	.set_nmi_mask = ost_svm_set_nmi_mask,
	.irq_allowed = ost_svm_irq_allowed,
	.nmi_allowed = ost_svm_nmi_allowed,
	.open_irq_window = ost_svm_open_irq_window,
	.open_nmi_window = ost_svm_open_nmi_window,
	.inject_exception = ost_svm_inject_exception,
	.inject_irq = ost_svm_inject_irq,
	.inject_nmi = ost_svm_inject_nmi,
	.cancel_injection = ost_svm_cancel_injection,
	.update_tpr = ost_svm_update_tpr,

	.flush_tlb = ost_svm_flush_tlb,
	.smm_changed = ost_svm_smm_changed,
	.skip_instruction = ost_svm_skip_instruction,
	.dump = ost_svm_dump,

	.pte_format = &ost_svm_pte_format,
};
