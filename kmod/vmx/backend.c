// SPDX-License-Identifier: GPL-2.0-only
/* The table through which the core reaches VT-x. */
#include "../../uapi/ostler.h"
#include "vmx.h"

const struct ost_backend ost_vmx_backend = {
	.name = "VMX",
	.vendor = OST_VENDOR_VMX,
	.vcpu_size = sizeof(struct ost_vmx_vcpu),
	.vm_size = sizeof(struct ost_vmx_vm),
	.exit_names = ost_vmx_exit_names,
	.describe_exit = ost_vmx_describe_exit,
	.nr_exits = OST_VMX_NR_EXIT_INDEXES,

	.probe = ost_vmx_probe,
	.setup = ost_vmx_setup,
	.teardown = ost_vmx_teardown,

	.cpu_enable = ost_vmx_cpu_enable,
	.cpu_disable = ost_vmx_cpu_disable,
	.cpu_emergency_disable = ost_vmx_cpu_emergency_disable,

	.vm_init = ost_vmx_vm_init,
	.vm_destroy = ost_vmx_vm_destroy,

	.vcpu_create = ost_vmx_vcpu_create,
	.vcpu_destroy = ost_vmx_vcpu_destroy,
	.vcpu_reset = ost_vmx_vcpu_reset,
	.vcpu_load = ost_vmx_vcpu_load,
	.vcpu_put = ost_vmx_vcpu_put,
	.in_memory = ost_vmx_in_memory,
	.unhalt = ost_vmx_unhalt,
	.cpuid_changed = ost_vmx_cpuid_changed,

	.run = ost_vmx_run,
	.handle_exit_irqoff = ost_vmx_handle_exit_irqoff,
	.handle_exit = ost_vmx_handle_exit,

	.cache_reg = ost_vmx_cache_reg,
	.get_segment = ost_vmx_get_segment,
	.set_segment = ost_vmx_set_segment,
	.get_segments = ost_vmx_get_segments,
	.set_segments = ost_vmx_set_segments,
	.get_dt = ost_vmx_get_dt,
	.set_dt = ost_vmx_set_dt,
	.get_cpl = ost_vmx_get_cpl,
	.code64 = ost_vmx_code64,
	.code32 = ost_vmx_code32,
	.set_cr0 = ost_vmx_set_cr0,
	.set_cr3 = ost_vmx_set_cr3,
	.set_cr4 = ost_vmx_set_cr4,
	.set_efer = ost_vmx_set_efer,
	.get_pdptes = ost_vmx_get_pdptes,
	.set_pdptes = ost_vmx_set_pdptes,
	.update_debug = ost_vmx_update_debug,

	.get_msr = ost_vmx_get_msr,
	.set_msr = ost_vmx_set_msr,
	.msr_filter_changed = ost_vmx_msr_filter_changed,

	.get_interrupt_shadow = ost_vmx_get_interrupt_shadow,
	.set_interrupt_shadow = ost_vmx_set_interrupt_shadow,
	.get_nmi_mask = ost_vmx_get_nmi_mask,
	.set_nmi_mask = ost_vmx_set_nmi_mask,
	.irq_allowed = ost_vmx_irq_allowed,
	.nmi_allowed = ost_vmx_nmi_allowed,
	.open_irq_window = ost_vmx_open_irq_window,
	.open_nmi_window = ost_vmx_open_nmi_window,
	.inject_exception = ost_vmx_inject_exception,
	.inject_irq = ost_vmx_inject_irq,
	.inject_nmi = ost_vmx_inject_nmi,
	.cancel_injection = ost_vmx_cancel_injection,
	.update_tpr = ost_vmx_update_tpr,
	.apic_changed = ost_vmx_apic_changed,

	.notify = ost_vmx_notify,
	.drain_dirty = ost_vmx_pml_drain,
	.flush_tlb = ost_vmx_flush_tlb,
	.smm_changed = ost_vmx_smm_changed,
	.skip_instruction = ost_vmx_skip_instruction,
	.dump = ost_vmx_dump,

	.pte_format = &ost_vmx_pte_format,
};
