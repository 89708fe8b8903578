// SPDX-License-Identifier: GPL-2.0-only
/*
 * Posted interrupts (SDM vol. 3C, 30.6): what arrives for a vCPU in the guest gets there with no exit.
 *
 * The LAPIC's `posted` is the descriptor. Whoever is the first to set a bit there sends the
 * notification vector to the CPU that runs the vCPU; if it still does, the CPU takes the bits into IRR by
 * itself. The vector and its handler, which does nothing, are those that the kernel has for the stock
 * module. It is no matter who else uses it: a notification too many does nothing in the guest, and one
 * that finds the CPU outside of it leaves the bits to the next entry (apicv.c, docs/locking.md).
 *
 * It takes "acknowledge interrupt on exit" (27.2.1.1), so host interrupts that end a run are given to the
 * host's handlers here.
 */
#include <linux/mm.h>
#include <asm/apic.h>
#include <asm/desc.h>
#include <asm/irq_vectors.h>
#include "../irqchip/lapic.h"
#include "vmx.h"

/* PIR in bits 255:0, ON in bit 256 of 512, at 64 bytes. */
static_assert(sizeof(struct ost_lapic_posted) == 64 && __alignof__(struct ost_lapic_posted) == 64 &&
	      offsetof(struct ost_lapic_posted, vectors) == 0 &&
	      offsetof(struct ost_lapic_posted, outstanding) == 32);

/* One for all CPUs, and for good. */
static const gate_desc *idt __read_mostly;

/* The kernel's handler for the vector is built in where the stock module can be. */
static bool has_handler(void)
{
	return IS_ENABLED(CONFIG_KVM) && idt[POSTED_INTR_VECTOR].bits.p;
}

bool ost_vmx_posted_setup(struct ost_vmx_config *cfg, bool wanted)
{
	bool all = (cfg->pin & PIN_BASED_POSTED_INTR) && (cfg->exit & VM_EXIT_ACK_INTR_ON_EXIT) &&
		   (cfg->apic & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	struct desc_ptr table;

	store_idt(&table);
	idt = (const gate_desc *)table.address;
	/* Each LAPIC's mode says whether it is in use. */
	cfg->pin &= ~PIN_BASED_POSTED_INTR;
	if (wanted && all && has_handler())
		return true;
	cfg->exit &= ~VM_EXIT_ACK_INTR_ON_EXIT;
	return false;
}

void ost_vmx_posted_write_constants(struct ost_vmx_vcpu *vmx)
{
	if (!ost_vmx_config.posted || !vmx->vcpu.apic)
		return;
	ost_vmwrite(POSTED_INTR_NV, POSTED_INTR_VECTOR);
	ost_vmwrite(POSTED_INTR_DESC_ADDR, virt_to_phys(&vmx->vcpu.apic->posted));
}

void ost_vmx_posted_apic_changed(struct ost_vmx_vcpu *vmx)
{
	if (ost_vmx_config.posted && ost_vmx_delivers(vmx))
		ost_vmcs_set_bits(vmx, PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_POSTED_INTR);
	else
		ost_vmcs_clear_bits(vmx, PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_POSTED_INTR);
}

void ost_vmx_notify(int cpu)
{
	apic->send_IPI(cpu, POSTED_INTR_VECTOR);
}

void ost_vmx_take_host_irq(struct ost_vmx_vcpu *vmx)
{
	u32 info = ost_vmcs_get(vmx, VM_EXIT_INTR_INFO);

	if (!(info & INTR_INFO_VALID_MASK))
		return;
	ost_vmx_call_gate(gate_offset(&idt[info & INTR_INFO_VECTOR_MASK]));
	local_irq_disable();
}
