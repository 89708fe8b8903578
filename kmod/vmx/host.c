// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's state: what the VMCS has to say of it (27.2.2, 27.2.3, 28.5), what VMX does not switch, and
 * what an exit loses.
 *
 * An exit loads fixed selectors, the bases that the VMCS has, a null LDTR, and limits of 67h and FFFFh
 * for TR and the descriptor tables. While the vCPU's thread is in the kernel on this CPU that is as good
 * as what it had; the rest is put back when the vCPU leaves the CPU.
 */
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include "../msr.h"
#include "vmx.h"

static struct {
	u64 cr0, efer, pat;
	u64 sysenter_cs, sysenter_eip;
} host __read_mostly;

void ost_vmx_host_setup(void)
{
	host.cr0 = read_cr0() & ~(u64)X86_CR0_TS;
	rdmsrq(MSR_EFER, host.efer);
	rdmsrq(MSR_IA32_CR_PAT, host.pat);
	rdmsrq(MSR_IA32_SYSENTER_CS, host.sysenter_cs);
	rdmsrq(MSR_IA32_SYSENTER_EIP, host.sysenter_eip);
}

void ost_vmx_host_write_constants(void)
{
	ost_vmwrite(HOST_CR0, host.cr0);
	ost_vmwrite(HOST_CS_SELECTOR, __KERNEL_CS);
	ost_vmwrite(HOST_SS_SELECTOR, __KERNEL_DS);
	/* These must have neither RPL nor TI, so what a process has there is loaded by hand. */
	ost_vmwrite(HOST_DS_SELECTOR, 0);
	ost_vmwrite(HOST_ES_SELECTOR, 0);
	ost_vmwrite(HOST_FS_SELECTOR, 0);
	ost_vmwrite(HOST_GS_SELECTOR, 0);
	ost_vmwrite(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	ost_vmwrite(HOST_IA32_SYSENTER_CS, host.sysenter_cs);
	ost_vmwrite(HOST_IA32_SYSENTER_EIP, host.sysenter_eip);
	ost_vmwrite(HOST_IA32_EFER, host.efer);
	ost_vmwrite(HOST_IA32_PAT, host.pat);
	ost_vmwrite(HOST_RIP, (unsigned long)ost_vmx_exit);
}

/* What is each CPU's own. */
static void write_cpu(void)
{
	int cpu = smp_processor_id();
	struct desc_ptr idt;
	u64 val;

	store_idt(&idt);
	ost_vmwrite(HOST_IDTR_BASE, idt.address);
	ost_vmwrite(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	ost_vmwrite(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	rdmsrq(MSR_GS_BASE, val);
	ost_vmwrite(HOST_GS_BASE, val);
	rdmsrq(MSR_IA32_SYSENTER_ESP, val);
	ost_vmwrite(HOST_IA32_SYSENTER_ESP, val);
}

/*
 * MSR_KERNEL_GS_BASE without an access to an MSR: returns its value and gives it another. Between the two
 * SWAPGS no exception may come but an NMI or #MC, whose entries work with any base where there is FSGSBASE.
 * [irqoff]
 */
static noinstr u64 swap_inactive_gs_base(u64 base)
{
	u64 old;

	asm volatile("swapgs\n\trdgsbase %0\n\twrgsbase %1\n\tswapgs" : "=&r"(old) : "r"(base) : "memory");
	return old;
}

/*
 * The host's registers of this task, and the guest's that VMX does not switch. Neither changes until the
 * vCPU leaves this CPU: nothing between uses SYSCALL, and nobody else loads KERNEL_GS_BASE.
 */
static void switch_to_guest(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_host *h = &vmx->host;

	savesegment(ds, h->ds);
	savesegment(es, h->es);
	savesegment(fs, h->fs);
	savesegment(gs, h->gs);
	if (cpu_feature_enabled(X86_FEATURE_FSGSBASE)) {
		h->fs_base = rdfsbase();
		h->kernel_gs_base = swap_inactive_gs_base(vmx->kernel_gs_base);
	} else {
		h->fs_base = __rdmsr(MSR_FS_BASE);
		h->kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
		wrmsrq(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	}
	vmx->user_msrs_stale = true;
	h->loaded = true;
}

static void load_user_msr(int slot, u64 val)
{
	if (slot >= 0)
		ost_user_msr_set(slot, val);
}

static void load_user_msrs(struct ost_vmx_vcpu *vmx)
{
	vmx->user_msrs_stale = false;
	/* Without SCE the guest's SYSCALL is #UD. */
	if (!(vmx->vcpu.regs[OST_REG_EFER] & EFER_SCE))
		return;
	load_user_msr(ost_vmx_user_slots[OST_VMX_STAR], vmx->star);
	load_user_msr(ost_vmx_user_slots[OST_VMX_LSTAR], vmx->lstar);
	load_user_msr(ost_vmx_user_slots[OST_VMX_FMASK], vmx->fmask);
}

/* The kernel's own notes of both are cheaper than the registers. */
static unsigned long host_cr3(void)
{
	return OST_CR4_SHADOW ? ost_cr3_noted() : __native_read_cr3();
}

static unsigned long host_cr4(void)
{
	/* In sections nobody notes CR4.VMXE. */
	return ost_vmx_kept() ? ost_cr4_noted() : ost_read_cr4_raw();
}

void ost_vmx_host_save(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_host *h = &vmx->host;
	unsigned long cr3 = host_cr3(), cr4 = host_cr4();

	if (unlikely(h->cpu != smp_processor_id())) {
		write_cpu();
		h->cpu = smp_processor_id();
	}
	if (unlikely(!h->loaded))
		switch_to_guest(vmx);
	if (unlikely(vmx->user_msrs_stale))
		load_user_msrs(vmx);
	/* PCIDs move as the process' address space comes and goes on this CPU. */
	if (unlikely(h->vmcs_cr3 != cr3)) {
		h->vmcs_cr3 = cr3;
		ost_vmwrite(HOST_CR3, cr3);
	}
	if (unlikely(h->vmcs_cr4 != cr4)) {
		h->vmcs_cr4 = cr4;
		ost_vmwrite(HOST_CR4, cr4);
	}
	if (unlikely(h->vmcs_fs_base != h->fs_base)) {
		h->vmcs_fs_base = h->fs_base;
		ost_vmwrite(HOST_FS_BASE, h->fs_base);
	}
}

static void restore_ldt(void)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	/* Another thread may have given the process one while the guest ran; it is in the GDT then. */
	if (unlikely(current->mm && READ_ONCE(current->mm->context.ldt)))
		asm volatile("lldt %w0" : : "r"(GDT_ENTRY_LDT * 8) : "memory");
#endif
}

void ost_vmx_host_restore(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_host *h = &vmx->host;
	unsigned long flags;

	if (!h->loaded)
		return;
	local_irq_save(flags);
	h->loaded = false;
	restore_ldt();
	if (cpu_feature_enabled(X86_FEATURE_FSGSBASE) && likely(!h->gs)) {
		vmx->kernel_gs_base = swap_inactive_gs_base(h->kernel_gs_base);
	} else {
		vmx->kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
		if (h->gs)
			load_gs_index(h->gs);
		wrmsrq(MSR_KERNEL_GS_BASE, h->kernel_gs_base);
	}
	/* Loading a selector changes the base. */
	if (unlikely(h->fs)) {
		loadsegment(fs, h->fs);
		wrmsrq(MSR_FS_BASE, h->fs_base);
	}
	if (unlikely(h->ds | h->es)) {
		loadsegment(ds, h->ds);
		loadsegment(es, h->es);
	}
	/* I/O bitmaps of processes lie behind the limit of TR; a GDT of 64 KiB would show what follows it. */
	invalidate_tss_limit();
	load_fixmap_gdt(smp_processor_id());
	local_irq_restore(flags);
}
