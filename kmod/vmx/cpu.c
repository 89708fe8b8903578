// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who holds VMX on a CPU. CR4.VMXE is turned on and off here and nowhere else, and never touched where
 * somebody else has it on (design D9).
 *
 * Where the kernel lets us tell its shadow of CR4 of VMXE, a CPU is in VMX operation from the first VM to
 * the last. Elsewhere the kernel would clear VMXE by its next write to CR4, which faults in VMX operation;
 * so there the CPU is in VMX operation only in sections with interrupts off, in which nobody writes CR4
 * (docs/decisions.md).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <asm/msr.h>
#include "../hw.h"
#include "vmx.h"

DEFINE_PER_CPU(struct ost_vmx_cpu, ost_vmx_cpus);

void ost_vmx_cpus_free(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ost_vmx_cpu *c = &per_cpu(ost_vmx_cpus, cpu);

		free_page((unsigned long)c->vmxon);
		c->vmxon = NULL;
	}
}

int ost_vmx_cpus_alloc(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ost_vmx_cpu *c = &per_cpu(ost_vmx_cpus, cpu);

		INIT_LIST_HEAD(&c->active);
		c->vmxon = (void *)get_zeroed_page(GFP_KERNEL);
		if (!c->vmxon) {
			ost_vmx_cpus_free();
			return -ENOMEM;
		}
		*(u32 *)c->vmxon = ost_vmx_config.revision;
		c->vmxon_pa = virt_to_phys(c->vmxon);
	}
	return 0;
}

static inline void write_cr4(unsigned long cr4)
{
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

/* --- VMX operation --- */

static void set_vmxe(bool on)
{
	unsigned long cr4 = ost_read_cr4_raw();

	if (ost_vmx_kept())
		ost_cr4_update(on ? X86_CR4_VMXE : 0, on ? 0 : X86_CR4_VMXE);
	else
		write_cr4(on ? cr4 | X86_CR4_VMXE : cr4 & ~X86_CR4_VMXE);
}

/* 0, -EBUSY when it is somebody else's, -EIO when the CPU refuses. [cpu] */
static int vmx_on(struct ost_vmx_cpu *c)
{
	if (ost_read_cr4_raw() & X86_CR4_VMXE)
		return -EBUSY;
	/* First, so that an emergency in between finds something to turn off. */
	WRITE_ONCE(c->on, true);
	barrier();
	set_vmxe(true);
	if (likely(ost_vmxon(c->vmxon_pa)))
		return 0;
	/* Locked off on this CPU alone, or Intel PT traces and the CPU can't have both (vol. 3C, 32.5). */
	set_vmxe(false);
	WRITE_ONCE(c->on, false);
	return -EIO;
}

static void vmx_off(struct ost_vmx_cpu *c)
{
	ost_vmxoff();
	set_vmxe(false);
	WRITE_ONCE(c->on, false);
}

/* --- the VMCSs of this CPU --- */

/* On the CPU where it is active, interrupts off. */
static void clear_here(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_cpu *c = this_cpu_ptr(&ost_vmx_cpus);

	ost_vmclear(vmx->vmcs_pa);
	vmx->entry.common.flags &= ~BIT(OST_ENTRY_LAUNCHED);
	if (c->current_vcpu == vmx)
		c->current_vcpu = NULL;
	list_del(&vmx->active_link);
	/* Whoever sees -1 may load it elsewhere. */
	smp_store_release(&vmx->active_cpu, -1);
}

static void clear_ipi(void *arg)
{
	struct ost_vmx_vcpu *vmx = arg;

	/* The CPU may have gone offline, and given its VMCSs up, while the IPI was on its way. */
	if (vmx->active_cpu == smp_processor_id())
		clear_here(vmx);
}

void ost_vmx_clear(struct ost_vmx_vcpu *vmx)
{
	/* Pairs with the release in clear_here(). */
	int cpu = smp_load_acquire(&vmx->active_cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, clear_ipi, vmx, 1);
}

static bool make_current(struct ost_vmx_cpu *c, struct ost_vmx_vcpu *vmx)
{
	/* VMCLEAR first, which also initialises a new one (25.11.3). */
	if (vmx->active_cpu < 0) {
		if (!ost_vmclear(vmx->vmcs_pa))
			return false;
		vmx->entry.common.flags &= ~BIT(OST_ENTRY_LAUNCHED);
		list_add(&vmx->active_link, &c->active);
		vmx->active_cpu = smp_processor_id();
	}
	c->current_vcpu = NULL;
	if (!ost_vmptrld(vmx->vmcs_pa))
		return false;
	c->current_vcpu = vmx;
	return true;
}

/*
 * Was VMX on before the section, and does it stay on behind it? A CPU that goes offline has given it up, while
 * threads that are still to leave the CPU have something to read. They get a section; entries there are none
 * (hw.c). [irqoff]
 */
static __always_inline bool stays_on(struct ost_vmx_cpu *c)
{
	return ost_vmx_kept() && likely(c->enabled);
}

bool ost_vmx_section_begin_slow(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_cpu *c = this_cpu_ptr(&ost_vmx_cpus);

	lockdep_assert_irqs_disabled();
	if (!stays_on(c) && (READ_ONCE(ost_hw_dead) || vmx_on(c)))
		return false;
	if (c->current_vcpu != vmx && unlikely(!make_current(c, vmx))) {
		if (!stays_on(c))
			vmx_off(c);
		return false;
	}
	vmx->in_section = true;
	return true;
}

void ost_vmx_section_end(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_cpu *c = this_cpu_ptr(&ost_vmx_cpus);

	vmx->in_section = false;
	if (stays_on(c))
		return;
	clear_here(vmx);
	vmx_off(c);
}

/* --- taking and giving back --- */

static void flush_all(void)
{
	/*
	 * What another hypervisor has left there, whose tables may have been where ours are (29.4.3.2). A CPU
	 * that lacks these types refuses them; vCPUs flush for themselves what they come to anew.
	 */
	ost_invept(VMX_EPT_EXTENT_GLOBAL, 0);
	if (ost_vmx_config.vpid)
		ost_invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0);
}

int ost_vmx_cpu_enable(void)
{
	struct ost_vmx_cpu *c = this_cpu_ptr(&ost_vmx_cpus);
	int r;

	if (!ost_vmx_cpu_is_like_others()) {
		pr_err("CPU %d's VMX is not that of the CPU that loaded the module: another stepping, or switched off there by firmware\n",
		       smp_processor_id());
		return -EIO;
	}
	if (ost_vmx_kept())
		ost_pt_handle_vmx(true);
	r = vmx_on(c);
	if (r == -EIO)
		pr_err("CPU %d refuses VMXON: VT-x is switched off there by firmware, or Intel PT traces (perf record -e intel_pt)\n",
		       smp_processor_id());
	if (r) {
		if (ost_vmx_kept())
			ost_pt_handle_vmx(false);
		return r;
	}
	c->current_vcpu = NULL;
	flush_all();
	/* In sections from now on; that it works is known. */
	if (!ost_vmx_kept())
		vmx_off(c);
	WRITE_ONCE(c->enabled, true);
	return 0;
}

void ost_vmx_cpu_disable(void)
{
	struct ost_vmx_cpu *c = this_cpu_ptr(&ost_vmx_cpus);
	struct ost_vmx_vcpu *vmx, *next;

	if (!c->enabled)
		return;
	list_for_each_entry_safe(vmx, next, &c->active, active_link)
		clear_here(vmx);
	if (c->on)
		vmx_off(c);
	if (ost_vmx_kept())
		ost_pt_handle_vmx(false);
	WRITE_ONCE(c->enabled, false);
}

void ost_vmx_cpu_emergency_disable(void)
{
	struct ost_vmx_cpu *c = this_cpu_ptr(&ost_vmx_cpus);
	struct ost_vmx_vcpu *vmx;

	if (!READ_ONCE(c->on) || !(ost_read_cr4_raw() & X86_CR4_VMXE))
		return;
	/*
	 * Or the CPU may write them to memory that is used for something else by then (25.11.1). Whoever was
	 * interrupted in changing the list leaves its forward links whole.
	 */
	list_for_each_entry(vmx, &c->active, active_link)
		ost_vmclear(vmx->vmcs_pa);
	ost_vmxoff();
	write_cr4(ost_read_cr4_raw() & ~X86_CR4_VMXE);
}
