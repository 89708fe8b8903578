// SPDX-License-Identifier: GPL-2.0-only
/*
 * APIC virtualization (chapter 30): what the guest does with its LAPIC without an exit.
 *
 * The virtual-APIC page is the register page of the LAPIC's model (irqchip/lapic.h), so both always
 * agree; the model knows that the CPU may have changed TPR, PPR, IRR and ISR while the guest ran, and
 * holds what arrives back until the guest does not run. What is used, by the LAPIC's mode:
 *
 *   off	nothing but the TPR shadow; also while a debugger steps the guest, or blocks its interrupts
 *   xAPIC	accesses to its page (30.4), if it is where it is after RESET
 *   x2APIC	its MSRs (30.5), the rest of the MSR bitmap is in msr.c
 *   either	registers from the page (30.1.1), delivery of interrupts (30.2)
 *
 * The APIC-access page is one for the VM and in its nested page table, which all vCPUs share. So as
 * long as one vCPU has no xAPIC at the usual address it is not there for any of them, and those who
 * have one get exits as without it. Nobody ever reads or writes it: its address alone counts.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include "../io.h"
#include "../irqchip/irqchip.h"
#include "../irqchip/lapic.h"
#include "vmx.h"

/* Exit qualification of APIC accesses and writes (table 28-6) */
#define APIC_OFFSET(qual) ((u32)(qual) & 0xfff)

static gfn_t usual_gfn(void)
{
	return APIC_DEFAULT_PHYS_BASE >> PAGE_SHIFT;
}

/* --- the APIC-access page --- */

int ost_vmx_apic_vm_init(struct ost_vm *vm)
{
	struct ost_vmx_vm *vmx_vm = to_vmx_vm(vm);

	mutex_init(&vmx_vm->apic_lock);
	if (!(ost_vmx_config.apic & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES))
		return 0;
	vmx_vm->apic_access = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vmx_vm->apic_access ? 0 : -ENOMEM;
}

void ost_vmx_apic_vm_destroy(struct ost_vm *vm)
{
	free_page((unsigned long)to_vmx_vm(vm)->apic_access);
}

static void map_access_page(struct ost_vmx_vm *vmx_vm, bool on)
{
	ost_mmu_set_overlay(&vmx_vm->vm, usual_gfn(),
			    on ? virt_to_phys(vmx_vm->apic_access) >> PAGE_SHIFT : 0);
}

/* The page is there while all vCPUs have their xAPIC at its address. */
static void count_elsewhere(struct ost_vmx_vcpu *vmx, bool elsewhere)
{
	struct ost_vmx_vm *vmx_vm = to_vmx_vm(vmx->vcpu.vm);

	if (!vmx_vm->apic_access || vmx->apic_elsewhere == elsewhere)
		return;
	/* It sleeps: a caller that came from an exit has given up the FPU. */
	WARN_ON_ONCE(vmx->vcpu.fpu.loaded);
	mutex_lock(&vmx_vm->apic_lock);
	vmx->apic_elsewhere = elsewhere;
	if (elsewhere && !vmx_vm->nr_apic_elsewhere++)
		map_access_page(vmx_vm, false);
	else if (!elsewhere && !--vmx_vm->nr_apic_elsewhere)
		map_access_page(vmx_vm, true);
	mutex_unlock(&vmx_vm->apic_lock);
}

/* --- a vCPU --- */

int ost_vmx_apic_alloc(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_vm *vmx_vm = to_vmx_vm(vmx->vcpu.vm);

	if (ost_irqchip_in_kernel(vmx->vcpu.vm)) {
		mutex_lock(&vmx_vm->apic_lock);
		if (vmx_vm->apic_access && !vmx_vm->nr_apic_elsewhere)
			map_access_page(vmx_vm, true);
		mutex_unlock(&vmx_vm->apic_lock);
		return 0;
	}
	if (!ost_vmx_config.tpr_shadow)
		return 0;
	vmx->own_virtual_apic = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vmx->virtual_apic = vmx->own_virtual_apic;
	return vmx->virtual_apic ? 0 : -ENOMEM;
}

void ost_vmx_apic_free(struct ost_vmx_vcpu *vmx)
{
	/* Those that are counted go with their VM. */
	free_page((unsigned long)vmx->own_virtual_apic);
}

static u32 controls_for(struct ost_vcpu *vcpu, enum ost_apic_mode mode)
{
	u32 controls = ost_vmx_config.apic;

	if (mode == OST_APIC_DISABLED || (vcpu->debug.control & OST_GUESTDBG_NO_DELIVERY))
		return 0;
	if (mode != OST_APIC_XAPIC || vcpu->apic_base >> PAGE_SHIFT != usual_gfn())
		controls &= ~SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (mode != OST_APIC_X2APIC)
		controls &= ~SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	return controls;
}

void ost_vmx_apic_changed(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (!vcpu->apic)
		return;
	if (ost_vmx_config.tpr_shadow)
		vmx->virtual_apic = vcpu->apic->regs;
	vmx->apic_controls = controls_for(vcpu, vcpu->apic->mode);
	count_elsewhere(vmx, !(vmx->apic_controls & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES));
	if (ost_hw_caps.delivers_interrupts)
		ost_lapic_set_cpu_delivers(vcpu->apic, ost_vmx_delivers(vmx));
	ost_vmx_posted_apic_changed(vmx);
	ost_vmx_cpuid_changed(vcpu);
	/* Translations to the page are cached as what they were under the control (30.4.5). */
	ost_vmx_flush_tlb(vcpu);
	ost_request(vcpu, OST_REQ_EVENT);
}

void ost_vmx_apic_write_constants(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_vm *vmx_vm = to_vmx_vm(vmx->vcpu.vm);

	if (vmx->virtual_apic)
		ost_vmwrite(VIRTUAL_APIC_PAGE_ADDR, virt_to_phys(vmx->virtual_apic));
	if (vmx_vm->apic_access)
		ost_vmwrite(APIC_ACCESS_ADDR, virt_to_phys(vmx_vm->apic_access));
	ost_vmx_posted_write_constants(vmx);
}

/* --- entry and exit --- */

static void load_eoi_exits(struct ost_vmx_vcpu *vmx, u32 version)
{
	u64 vectors[4];

	ost_eoi_exits(vmx->vcpu.vm, vectors);
	ost_vmwrite(EOI_EXIT_BITMAP0, vectors[0]);
	ost_vmwrite(EOI_EXIT_BITMAP1, vectors[1]);
	ost_vmwrite(EOI_EXIT_BITMAP2, vectors[2]);
	ost_vmwrite(EOI_EXIT_BITMAP3, vectors[3]);
	vmx->eoi_exits_version = version;
}

static void enter_delivering(struct ost_vmx_vcpu *vmx)
{
	struct ost_lapic *apic = vmx->vcpu.apic;
	u32 version = ost_eoi_exits_version(vmx->vcpu.vm);

	if (unlikely(vmx->eoi_exits_version != version))
		load_eoi_exits(vmx, version);
	/* What came with a notification that found the CPU outside of the guest, or too late. */
	ost_lapic_collect(apic);
	/* The CPU works PPR out by itself and looks for what can be delivered (27.3.2.5). */
	if (apic->vectors_changed)
		ost_vmwrite(GUEST_INTR_STATUS, ost_lapic_cpu_status(apic));
}

static u8 *vtpr(struct ost_vmx_vcpu *vmx)
{
	return vmx->virtual_apic + APIC_TASKPRI;
}

void ost_vmx_apic_enter(struct ost_vmx_vcpu *vmx)
{
	u8 threshold;

	if (ost_vmx_delivers(vmx)) {
		enter_delivering(vmx);
		return;
	}
	if (!vmx->virtual_apic)
		return;
	if (vmx->own_virtual_apic)
		*vtpr(vmx) = ost_get_cr8(&vmx->vcpu) << 4;
	vmx->vtpr = *vtpr(vmx);
	/* One above it is refused (27.2.1.1); an interrupt that waits for that was let in. */
	threshold = vmx->vtpr >> 4;
	if (unlikely(ost_vmcs_get(vmx, TPR_THRESHOLD) > threshold))
		ost_vmcs_set(vmx, TPR_THRESHOLD, threshold);
}

void ost_vmx_apic_leave(struct ost_vmx_vcpu *vmx)
{
	if (ost_vmx_delivers(vmx) || !vmx->virtual_apic || likely(*vtpr(vmx) == vmx->vtpr))
		return;
	vmx->vtpr = *vtpr(vmx);
	if (vmx->own_virtual_apic)
		ost_set_cr8(&vmx->vcpu, *vtpr(vmx) >> 4);
	else
		ost_lapic_update_ppr(vmx->vcpu.apic);
}

/* --- exits --- */

/* An access that the CPU does not virtualize, before it has any effect (30.4.1). */
int ost_vmx_exit_apic_access(struct ost_vcpu *vcpu)
{
	u64 qual = ost_vmcs_get(to_vmx(vcpu), EXIT_QUALIFICATION);
	gpa_t gpa = (usual_gfn() << PAGE_SHIFT) + APIC_OFFSET(qual);
	int r = -EOPNOTSUPP;

	switch (qual & APIC_ACCESS_TYPE) {
	case TYPE_LINEAR_APIC_INST_READ:
		r = ost_mmio_mov(vcpu, gpa, OST_MMIO_READ);
		break;
	case TYPE_LINEAR_APIC_INST_WRITE:
		r = ost_mmio_mov(vcpu, gpa, OST_MMIO_WRITE);
		break;
	}
	if (r != -EOPNOTSUPP)
		return r;
	return ost_mmio(vcpu, gpa, NULL, 0);
}

/* A write that is on the page, RIP behind its instruction (30.4.3.3). */
int ost_vmx_exit_apic_write(struct ost_vcpu *vcpu)
{
	return ost_lapic_written(vcpu, APIC_OFFSET(ost_vmcs_get(to_vmx(vcpu), EXIT_QUALIFICATION)));
}

bool ost_vmx_apic_write_may_sleep(struct ost_vcpu *vcpu)
{
	switch (APIC_OFFSET(ost_vmcs_get(to_vmx(vcpu), EXIT_QUALIFICATION)) & ~0xfu) {
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTT:
	case APIC_LVTPC:
	case APIC_LVTTHMR:
	case APIC_LVTERR:
	case APIC_TMICT:
	case APIC_TDCR:
	case APIC_ESR:
	case APIC_ICR2:
		return false;
	case APIC_ICR:
		/* Not sleep, but take too long with interrupts off. */
		return unlikely(ost_nr_vcpus(vcpu->vm) > OST_IRQ_AT_ONCE);
	default:
		return true;
	}
}

/* An EOI is done but for what others make of it (30.1.4). */
int ost_vmx_exit_eoi(struct ost_vcpu *vcpu)
{
	ost_lapic_ended(vcpu->apic, ost_vmcs_get(to_vmx(vcpu), EXIT_QUALIFICATION));
	return OST_RUN;
}
