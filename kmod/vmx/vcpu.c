// SPDX-License-Identifier: GPL-2.0-only
/* A vCPU's VMCS: its life, its reset, its TLB tag and its place on a CPU. */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <asm/msr.h>
#include "../msr.h"
#include "vmx.h"

/* PAUSE instructions no farther apart than this many cycles, for so many cycles, are spinning (25.6.13). */
#define PLE_GAP_CYCLES 128
#define PLE_WINDOW_CYCLES 4096

static DEFINE_MUTEX(vpid_lock);
static DECLARE_BITMAP(vpids_used, VMX_NR_VPIDS);

/* One for each vCPU as long as they last; the others' translations go with every entry and exit. */
static u16 vpid_alloc(void)
{
	unsigned long vpid;

	if (!ost_vmx_config.vpid)
		return 0;
	mutex_lock(&vpid_lock);
	vpid = find_next_zero_bit(vpids_used, ost_vmx_vpid_last + 1, ost_vmx_vpid_first);
	if (vpid <= ost_vmx_vpid_last)
		__set_bit(vpid, vpids_used);
	else
		vpid = 0;
	mutex_unlock(&vpid_lock);
	return vpid;
}

static void vpid_free(u16 vpid)
{
	if (!vpid)
		return;
	mutex_lock(&vpid_lock);
	__clear_bit(vpid, vpids_used);
	mutex_unlock(&vpid_lock);
}

int ost_vmx_vm_init(struct ost_vm *vm)
{
	return ost_vmx_apic_vm_init(vm);
}

void ost_vmx_vm_destroy(struct ost_vm *vm)
{
	ost_vmx_apic_vm_destroy(vm);
}

static void free_pages_of(struct ost_vmx_vcpu *vmx)
{
	kfree(vmx->pebs);
	ost_vmx_pml_free(vmx);
	ost_vmx_apic_free(vmx);
	ost_vmx_msr_bitmap_free(vmx);
	free_page((unsigned long)vmx->vmcs);
}

static u64 make_eptp(const struct ost_space *space)
{
	u64 eptp = space->root_hpa | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;

	return ost_vmx_config.ept_ad ? eptp | VMX_EPTP_AD_ENABLE_BIT : eptp;
}

int ost_vmx_vcpu_create(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->vmcs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->vmcs || ost_vmx_msr_bitmap_alloc(vmx) || ost_vmx_pml_alloc(vmx) ||
	    ost_vmx_apic_alloc(vmx))
		goto no_memory;
	if (ost_vmx_config.pebs) {
		vmx->pebs = kzalloc(sizeof(*vmx->pebs), GFP_KERNEL_ACCOUNT);
		if (!vmx->pebs)
			goto no_memory;
		vmx->pebs->entry.index = MSR_IA32_PEBS_ENABLE;
		vmx->pebs->exit.index = MSR_IA32_PEBS_ENABLE;
	}
	*(u32 *)vmx->vmcs = ost_vmx_config.revision;
	vmx->vmcs_pa = virt_to_phys(vmx->vmcs);
	vmx->vpid = vpid_alloc();
	vmx->eptp = make_eptp(vcpu->space);
	vmx->entry.common.regs = vcpu->regs;
	INIT_LIST_HEAD(&vmx->active_link);
	vmx->active_cpu = -1;
	vmx->tlb_cpu = -1;
	vmx->host.cpu = -1;
	return 0;

no_memory:
	free_pages_of(vmx);
	return -ENOMEM;
}

void ost_vmx_vcpu_destroy(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	/* The CPU must not write to its pages any more. */
	ost_vmx_clear(vmx);
	vpid_free(vmx->vpid);
	free_pages_of(vmx);
}

void ost_vmx_write_constants(struct ost_vmx_vcpu *vmx)
{
	ost_vmx_host_write_constants();
	ost_vmwrite(MSR_BITMAP, virt_to_phys(vmx->msr_bitmap));
	ost_vmwrite(EPT_POINTER, vmx->eptp);
	vmx->vmcs_eptp = vmx->eptp;
	ost_vmwrite(VMCS_LINK_POINTER, ~0ull);
	if (vmx->vpid)
		ost_vmwrite(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	ost_vmx_apic_write_constants(vmx);
	if (vmx->pml.log)
		ost_vmwrite(PML_ADDRESS, virt_to_phys(vmx->pml.log));
	if (ost_vmx_has2(SECONDARY_EXEC_PAUSE_LOOP_EXITING)) {
		ost_vmwrite(PLE_GAP, PLE_GAP_CYCLES);
		ost_vmwrite(PLE_WINDOW, PLE_WINDOW_CYCLES);
	}
	if (ost_vmx_has2(SECONDARY_EXEC_ENCLS_EXITING))
		ost_vmwrite(ENCLS_EXITING_BITMAP, ~0ull);
	if (ost_vmx_has2(VMCS_CONTROL_BIT(XSAVES)))
		ost_vmwrite(XSS_EXIT_BITMAP, 0);
	ost_vmx_timer_init(vmx);
	/* As what was compared with them has them: 0. */
	ost_vmwrite(TSC_OFFSET, 0);
	ost_vmwrite(HOST_FS_BASE, 0);
	ost_vmwrite(PAGE_FAULT_ERROR_CODE_MASK, 0);
	ost_vmwrite(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	ost_vmwrite(CR3_TARGET_COUNT, 0);
	ost_vmwrite(VM_EXIT_MSR_STORE_COUNT, 0);
	ost_vmwrite(VM_EXIT_MSR_LOAD_COUNT, 0);
	ost_vmwrite(VM_ENTRY_MSR_LOAD_COUNT, 0);
	if (vmx->pebs) {
		ost_vmwrite(VM_ENTRY_MSR_LOAD_ADDR, virt_to_phys(&vmx->pebs->entry));
		ost_vmwrite(VM_EXIT_MSR_LOAD_ADDR, virt_to_phys(&vmx->pebs->exit));
	}
	vmx->constants_written = true;
}

static void reset_state(struct ost_vmx_vcpu *vmx)
{
	ost_vmcs_set(vmx, GUEST_INTERRUPTIBILITY_INFO, 0);
	ost_vmcs_set(vmx, GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	ost_vmcs_set(vmx, GUEST_PENDING_DBG_EXCEPTIONS, 0);
	ost_vmcs_set(vmx, GUEST_IA32_DEBUGCTL, 0);
	ost_vmcs_set(vmx, VM_ENTRY_INTR_INFO_FIELD, 0);
	ost_vmcs_set(vmx, VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
	ost_vmcs_set(vmx, VM_ENTRY_INSTRUCTION_LEN, 0);
	ost_vmcs_set(vmx, TPR_THRESHOLD, 0);
}

void ost_vmx_vcpu_reset(struct ost_vcpu *vcpu, bool init_event)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	reset_state(vmx);
	vmx->event_given = false;
	vmx->user_msrs_stale = true;
	ost_vmx_init_intercepts(vmx);
	ost_vmx_apic_changed(vcpu);
	ost_vmx_flush_tlb(vcpu);
}

void ost_vmx_vcpu_load(struct ost_vcpu *vcpu, int cpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	unsigned long flags;

	if (!ost_vmx_kept())
		return;
	if (likely(vmx->active_cpu == cpu && raw_cpu_read(ost_vmx_cpus.on) &&
		   raw_cpu_read(ost_vmx_cpus.current_vcpu) == vmx))
		return;
	if (vmx->active_cpu != cpu)
		ost_vmx_clear(vmx);
	/* So that fields can be read while it is loaded. */
	local_irq_save(flags);
	if (ost_vmx_section_begin(vmx))
		ost_vmx_section_end(vmx);
	local_irq_restore(flags);
}

void ost_vmx_vcpu_put(struct ost_vcpu *vcpu)
{
	ost_vmx_host_restore(to_vmx(vcpu));
	/* Another hypervisor may have the CPU next, and takes what it finds in them for the host's. */
	if (!ost_vmx_kept())
		ost_user_msrs_put_back();
}

/* Fields of segments and tables, CR0, CR3 and CR4: the first of the cache. */
#define SREGS_FIELDS (BIT_ULL(OST_V_GUEST_PENDING_DBG_EXCEPTIONS) - 1)
#define SREGS_REGS (BIT(OST_REG_CR0) | BIT(OST_REG_CR3) | BIT(OST_REG_CR4))
#define REGS_REGS (BIT(OST_REG_RSP) | BIT(OST_REG_RIP) | BIT(OST_REG_RFLAGS))

bool ost_vmx_in_memory(struct ost_vcpu *vcpu, enum ost_reads reads)
{
	u64 fields = to_vmx(vcpu)->cache.avail[0];
	u32 regs = vcpu->regs_avail;

	switch (reads) {
	case OST_READS_NOTHING:
		return true;
	case OST_READS_REGS:
		return (regs & REGS_REGS) == REGS_REGS;
	case OST_READS_SREGS:
		return (regs & SREGS_REGS) == SREGS_REGS &&
		       (fields & SREGS_FIELDS) == SREGS_FIELDS;
	case OST_READS_RUN:
		/* With interrupts off, whether there is a shadow says nothing. */
		return (regs & BIT(OST_REG_RFLAGS)) &&
		       (!(vcpu->regs[OST_REG_RFLAGS] & X86_EFLAGS_IF) ||
			(fields & BIT_ULL(OST_V_GUEST_INTERRUPTIBILITY_INFO)));
	default:
		return false;
	}
}

void ost_vmx_flush_tlb(struct ost_vcpu *vcpu)
{
	WRITE_ONCE(to_vmx(vcpu)->flush, true);
}

void ost_vmx_smm_changed(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	/* RSM has to exit in SMM. */
	ost_vmx_update_debug(vcpu);
	/* A single step that was due behind a shadow is due again when RSM brings back both. */
	ost_vmcs_set(vmx, GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmx->eptp = make_eptp(vcpu->space);
	/* Flushes that others asked for in the meantime were for the other space's table. */
	ost_vmx_flush_tlb(vcpu);
}

void ost_vmx_sync_tlb(struct ost_vmx_vcpu *vmx)
{
	int cpu = smp_processor_id();

	/*
	 * On coming back to a CPU there may be translations from before flushes that happened elsewhere, and
	 * on a CPU that is new to the VM those of somebody whose table was where the VM's is now.
	 */
	if (likely(vmx->tlb_cpu == cpu && !READ_ONCE(vmx->flush)))
		return;
	WRITE_ONCE(vmx->flush, false);
	vmx->tlb_cpu = cpu;
	if (unlikely(vmx->vmcs_eptp != vmx->eptp)) {
		ost_vmwrite(EPT_POINTER, vmx->eptp);
		vmx->vmcs_eptp = vmx->eptp;
	}
	/* All that is derived from this table, the guest's own translations among it (29.4.3.1). */
	if (ost_vmx_config.invept_context)
		ost_invept(VMX_EPT_EXTENT_CONTEXT, vmx->eptp);
	else
		ost_invept(VMX_EPT_EXTENT_GLOBAL, 0);
}
