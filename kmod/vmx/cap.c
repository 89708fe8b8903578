// SPDX-License-Identifier: GPL-2.0-only
/* What this CPU's VMX offers, whether it may be used, and what all guests share. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include "../msr.h"
#include "check.h"
#include "vmx.h"

#define CPUID_ECX_VMX BIT(5)

/* IA32_VMX_BASIC (A.1) */
#define BASIC_REVISION GENMASK_ULL(30, 0)
#define BASIC_SIZE(basic) ((basic) >> 32 & 0x1fff)
#define BASIC_MEMTYPE(basic) ((basic) >> 50 & 15)
#define BASIC_TRUE_CONTROLS BIT_ULL(55)
#define BASIC_ERROR_CODE_ANY BIT_ULL(56)

/* Capability MSRs that the kernel's headers do not all have (SDM vol. 3D, A.3 and A.4). */
#define VMX_PROCBASED_CTLS3 0x492
#define VMX_EXIT_CTLS2 0x493
/* IA32_VMX_MISC (A.6): the bit of the TSC whose changes the preemption timer counts */
#define MISC_TIMER_BIT(misc) ((misc) & 31)
/* The activity state HLT is supported: a halted guest stays so over an exit. */
#define MISC_ACTIVITY_HLT BIT(6)

/* Controls whose names differ between kernel versions, or that they do not have. */
#define CONTROL_XSAVES VMCS_CONTROL_BIT(XSAVES)

#define APIC_CONTROLS                                                                              \
	(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_APIC_REGISTER_VIRT |             \
	 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY | SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE)

static unsigned int mask;
module_param_named(vmx_mask, mask, uint, 0444);
MODULE_PARM_DESC(vmx_mask, "secondary processor-based controls not to use (for testing)");

static bool vpid = true;
module_param_named(vmx_vpid, vpid, bool, 0444);
MODULE_PARM_DESC(vmx_vpid, "tag TLB entries of guests, VPID (default on)");

static bool ept_ad = true;
module_param_named(vmx_ept_ad, ept_ad, bool, 0444);
MODULE_PARM_DESC(vmx_ept_ad, "accessed and dirty bits in the nested page table (default on)");

static bool pml = true;
module_param_named(vmx_pml, pml, bool, 0444);
MODULE_PARM_DESC(vmx_pml, "let the CPU note pages that guests write for the dirty log, PML (default on; needs vmx_ept_ad)");

static bool apic_access = true;
module_param_named(vmx_apic_access, apic_access, bool, 0444);
MODULE_PARM_DESC(vmx_apic_access, "virtualize accesses to the LAPIC's page (default on; needs vmx_tpr_shadow)");

static bool apic_registers = true;
module_param_named(vmx_apic_registers, apic_registers, bool, 0444);
MODULE_PARM_DESC(vmx_apic_registers, "let guests read LAPIC registers without an exit (default on; needs vmx_interrupt_delivery)");

static bool interrupt_delivery = true;
module_param_named(vmx_interrupt_delivery, interrupt_delivery, bool, 0444);
MODULE_PARM_DESC(vmx_interrupt_delivery, "let the CPU deliver and end the LAPIC's interrupts (default on; needs vmx_tpr_shadow)");

static bool posted_interrupts = true;
module_param_named(vmx_posted_interrupts, posted_interrupts, bool, 0444);
MODULE_PARM_DESC(vmx_posted_interrupts, "let interrupts reach a running guest without an exit (default on; needs vmx_interrupt_delivery)");

static bool x2apic = true;
module_param_named(vmx_x2apic, x2apic, bool, 0444);
MODULE_PARM_DESC(vmx_x2apic, "virtualize x2APIC mode (default on; needs vmx_tpr_shadow)");

static bool ept_1g = true;
module_param_named(vmx_ept_1g, ept_1g, bool, 0444);
MODULE_PARM_DESC(vmx_ept_1g, "1 GiB pages in the nested page table (default on)");

static bool tpr_shadow = true;
module_param_named(vmx_tpr_shadow, tpr_shadow, bool, 0444);
MODULE_PARM_DESC(vmx_tpr_shadow, "let guests change CR8 without an exit (default on)");

static bool ple = true;
module_param_named(vmx_ple, ple, bool, 0444);
MODULE_PARM_DESC(vmx_ple, "exit when a guest spins, PAUSE-loop exiting (default on)");

static bool tsc_scaling = true;
module_param_named(vmx_tsc_scaling, tsc_scaling, bool, 0444);
MODULE_PARM_DESC(vmx_tsc_scaling, "guests' TSC at a rate of their own (default on)");

static bool preemption_timer = true;
module_param_named(vmx_preemption_timer, preemption_timer, bool, 0444);
MODULE_PARM_DESC(vmx_preemption_timer, "end runs for the guest's TSC deadline by the CPU's own timer (default on)");

static bool mmio_misconfig = true;
module_param_named(vmx_mmio_misconfig, mmio_misconfig, bool, 0444);
MODULE_PARM_DESC(vmx_mmio_misconfig, "know accesses to device memory by EPT misconfiguration (default on)");

static unsigned int vpid_first = 1;
module_param_named(vmx_vpid_first, vpid_first, uint, 0444);
MODULE_PARM_DESC(vmx_vpid_first, "lowest VPID for guests (default 1)");

static unsigned int vpid_last = VMX_NR_VPIDS - 1;
module_param_named(vmx_vpid_last, vpid_last, uint, 0444);
MODULE_PARM_DESC(vmx_vpid_last, "highest VPID for guests (default 65535)");

static bool large_no_exec = true;
module_param_named(vmx_large_no_exec, large_no_exec, bool, 0444);
MODULE_PARM_DESC(vmx_large_no_exec, "no execution from large pages on CPUs that a guest could crash by it, iTLB multihit (default on)");

static bool stay_on = true;
module_param_named(vmx_stay_on, stay_on, bool, 0444);
MODULE_PARM_DESC(vmx_stay_on, "stay in VMX operation between runs, on kernels that allow it (default on)");

struct ost_vmx_config ost_vmx_config __read_mostly;
/* Of the CPU that loaded the module: the others have to be like it. */
static struct ost_vmx_capabilities capabilities __ro_after_init;
u32 ost_vmx_vpid_first __read_mostly, ost_vmx_vpid_last __read_mostly;
int ost_vmx_user_slots[OST_VMX_NR_USER_MSRS] __read_mostly;
DEFINE_STATIC_KEY_TRUE(ost_vmx_stays_on);
DEFINE_STATIC_KEY_FALSE(ost_vmx_clears_for_devices);

/* 29.3.2. Memory is cached whatever the guest says (IPAT): its devices are emulated. */
struct ost_pte_format ost_vmx_pte_format __read_mostly = {
	.present = VMX_EPT_READABLE_MASK,
	.writable = VMX_EPT_WRITABLE_MASK,
	.exec = VMX_EPT_EXECUTABLE_MASK,
	.leaf = BIT_ULL(7),
	.memtype_wb = VMX_EPTP_MT_WB << VMX_EPT_MT_EPTE_SHIFT,
	.memtype_ignore_guest = VMX_EPT_IPAT_BIT,
	.addr_mask = GENMASK_ULL(51, PAGE_SHIFT),
	.root_levels = 4,
};

static u32 read_features(void)
{
	u32 eax, ebx, ecx, edx, features = 0;

	cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	features |= ebx & BIT(2) ? OST_VMX_CPU_SGX : 0;
	features |= ebx & BIT(11) ? OST_VMX_CPU_RTM : 0;
	features |= ecx & BIT(24) ? OST_VMX_CPU_BUS_LOCK_DETECT : 0;
	features |= ecx & BIT(7) || edx & BIT(20) ? OST_VMX_CPU_CET : 0;
	if (eax) {
		cpuid_count(7, 1, &eax, &ebx, &ecx, &edx);
		features |= eax & BIT(26) ? OST_VMX_CPU_LAM : 0;
	}
	return features;
}

static u64 read_capability(u32 msr)
{
	u64 val;

	return rdmsrq_safe(msr, &val) ? 0 : val;
}

void ost_vmx_read_capabilities(struct ost_vmx_capabilities *c)
{
	bool exact;

	memset(c, 0, sizeof(*c));
	c->basic = read_capability(MSR_IA32_VMX_BASIC);
	exact = c->basic & BASIC_TRUE_CONTROLS;
	c->pin = read_capability(exact ? MSR_IA32_VMX_TRUE_PINBASED_CTLS : MSR_IA32_VMX_PINBASED_CTLS);
	c->proc = read_capability(exact ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS : MSR_IA32_VMX_PROCBASED_CTLS);
	c->exit = read_capability(exact ? MSR_IA32_VMX_TRUE_EXIT_CTLS : MSR_IA32_VMX_EXIT_CTLS);
	c->entry = read_capability(exact ? MSR_IA32_VMX_TRUE_ENTRY_CTLS : MSR_IA32_VMX_ENTRY_CTLS);
	c->proc2 = read_capability(MSR_IA32_VMX_PROCBASED_CTLS2);
	c->proc3 = read_capability(VMX_PROCBASED_CTLS3);
	c->exit2 = read_capability(VMX_EXIT_CTLS2);
	c->misc = read_capability(MSR_IA32_VMX_MISC);
	c->ept_vpid = read_capability(MSR_IA32_VMX_EPT_VPID_CAP);
	c->vmfunc = read_capability(MSR_IA32_VMX_VMFUNC);
	c->cr0_fixed0 = read_capability(MSR_IA32_VMX_CR0_FIXED0);
	c->cr0_fixed1 = read_capability(MSR_IA32_VMX_CR0_FIXED1);
	c->cr4_fixed0 = read_capability(MSR_IA32_VMX_CR4_FIXED0);
	c->cr4_fixed1 = read_capability(MSR_IA32_VMX_CR4_FIXED1);
	c->phys_bits = cpuid_eax(0x80000008);
	c->linear_bits = cpuid_eax(0x80000008) >> 8;
	c->features = read_features();
}

bool ost_vmx_cpu_is_like_others(void)
{
	struct ost_vmx_capabilities here;

	ost_vmx_read_capabilities(&here);
	return !memcmp(&here, &capabilities, sizeof(here));
}

/* A set of controls: what we can't do without, what we take if it is there (A.2 to A.5). */
struct controls {
	u32 msr, true_msr;
	u32 required, optional;
	u32 *result;
	const char *name;
};

/* 0 or the required bits that are missing. */
static u32 adjust(const struct controls *c, u64 basic)
{
	u32 msr = c->true_msr && (basic & BASIC_TRUE_CONTROLS) ? c->true_msr : c->msr;
	u32 must, may;

	if (rdmsr_safe(msr, &must, &may))
		must = may = 0;
	*c->result = ((c->required | c->optional) & may) | must;
	return c->required & ~may;
}

static bool find_controls(struct ost_vmx_config *cfg, u64 basic, bool complain)
{
	const struct controls sets[] = {
		{ MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS,
		  PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS,
		  PIN_BASED_VMX_PREEMPTION_TIMER | PIN_BASED_POSTED_INTR,
		  &cfg->pin, "pin-based" },
		{ MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
		  CPU_BASED_USE_TSC_OFFSETTING | CPU_BASED_HLT_EXITING | CPU_BASED_MWAIT_EXITING |
			  CPU_BASED_RDPMC_EXITING | CPU_BASED_CR8_LOAD_EXITING |
			  CPU_BASED_CR8_STORE_EXITING | CPU_BASED_MOV_DR_EXITING |
			  CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS |
			  CPU_BASED_MONITOR_EXITING | CPU_BASED_INTR_WINDOW_EXITING |
			  CPU_BASED_NMI_WINDOW_EXITING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS,
		  CPU_BASED_TPR_SHADOW,
		  &cfg->cpu, "processor-based" },
		{ MSR_IA32_VMX_PROCBASED_CTLS2, 0,
		  SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST,
		  SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_VPID |
			  SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_PAUSE_LOOP_EXITING |
			  SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_ENCLS_EXITING |
			  CONTROL_XSAVES | SECONDARY_EXEC_TSC_SCALING | SECONDARY_EXEC_ENABLE_PML |
			  APIC_CONTROLS,
		  &cfg->secondary, "secondary processor-based" },
		{ MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS,
		  VM_EXIT_SAVE_DEBUG_CONTROLS | VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_PAT |
			  VM_EXIT_LOAD_IA32_EFER,
		  VM_EXIT_ACK_INTR_ON_EXIT,
		  &cfg->exit, "exit" },
		{ MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS,
		  VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER, 0,
		  &cfg->entry, "entry" },
	};
	bool all = true;
	int i;

	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		u32 missing = adjust(&sets[i], basic);

		if (missing && complain)
			pr_err("missing %s controls: 0x%08x\n", sets[i].name, missing);
		if (missing)
			all = false;
	}
	return all;
}

static const char *why_no_ept(u64 ept)
{
	if (!(ept & VMX_EPT_PAGE_WALK_4_BIT) || !(ept & VMX_EPTP_WB_BIT))
		return "this CPU's EPT has no cached page walk of four levels, which is required";
	if (!(ept & VMX_EPT_INVEPT_BIT) ||
	    !(ept & (VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT)))
		return "this CPU's EPT has no INVEPT, which is required";
	return NULL;
}

static const char *why_not_enabled(void)
{
	u64 feat_ctl;

	if (rdmsrq_safe(MSR_IA32_FEAT_CTL, &feat_ctl))
		return "IA32_FEATURE_CONTROL can't be read: the hypervisor below does not offer VT-x";
	if (!(feat_ctl & FEAT_CTL_LOCKED))
		return "VT-x was neither enabled nor locked by firmware (IA32_FEATURE_CONTROL): enable \"Intel Virtualization Technology\" in firmware setup, or boot a kernel with CONFIG_X86_FEAT_CTL";
	if (!(feat_ctl & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX))
		return "VT-x is disabled and locked by firmware (IA32_FEATURE_CONTROL): enable \"Intel Virtualization Technology\" or \"VT-x\" in firmware setup and switch the machine off and on";
	return NULL;
}

int ost_vmx_probe(const char **why)
{
	struct ost_vmx_config cfg = {};
	u64 basic, ept;

	if (!(cpuid_ecx(1) & CPUID_ECX_VMX)) {
		*why = "this CPU has no VMX (VT-x)";
		return -ENODEV;
	}
	*why = why_not_enabled();
	if (*why)
		return -EOPNOTSUPP;
	if (ost_read_cr4_raw() & X86_CR4_VMXE) {
		*why = "another hypervisor (kvm_intel or VirtualBox?) uses VMX on this CPU right now: end its guests or unload it";
		return -EBUSY;
	}
	if (ost_host_uses_fred()) {
		*why = "the host's kernel uses FRED, which is not supported yet: boot it with fred=off";
		return -EOPNOTSUPP;
	}
	rdmsrq(MSR_IA32_VMX_BASIC, basic);
	if (BASIC_SIZE(basic) > PAGE_SIZE || BASIC_MEMTYPE(basic) != VMX_EPTP_MT_WB) {
		*why = "this CPU wants a VMCS that is larger than a page or not cached";
		return -EOPNOTSUPP;
	}
	if (!find_controls(&cfg, basic, true)) {
		*why = cfg.secondary & SECONDARY_EXEC_ENABLE_EPT ?
		       "this CPU's VMX is too old: it has EPT, but lacks controls that are required (unrestricted guest?)" :
		       "this CPU has no extended page tables (EPT), which are required";
		return -EOPNOTSUPP;
	}
	rdmsrq(MSR_IA32_VMX_EPT_VPID_CAP, ept);
	*why = why_no_ept(ept);
	return *why ? -EOPNOTSUPP : 0;
}

/*
 * CPUs whose VMX-preemption timer does not count at the rate that IA32_VMX_MISC gives, by Intel's
 * specification updates; of those that have unrestricted guests.
 */
static bool preemption_timer_broken(void)
{
	u32 signature = cpuid_eax(1) & 0x0fff3fff;

	return signature == 0x20652 || signature == 0x20655 || signature == 0x306a8;
}

/* Which are in use depends on each LAPIC's mode (apicv.c): they are set aside. */
static void choose_apic(struct ost_vmx_config *cfg)
{
	u32 on = cfg->secondary & APIC_CONTROLS;

	cfg->secondary &= ~APIC_CONTROLS;
	if (!apic_access)
		on &= ~SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (!interrupt_delivery)
		on &= ~SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	if (!x2apic)
		on &= ~SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	/* PPR, IRR and ISR on the page are right only where the CPU itself keeps them so. */
	if (!apic_registers || !(on & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY))
		on &= ~SECONDARY_EXEC_APIC_REGISTER_VIRT;
	/* 27.2.1.1 */
	cfg->apic = cfg->tpr_shadow ? on : 0;
}

/* Optional features that are in, or parameters have put out of, the controls. */
static void choose_features(struct ost_vmx_config *cfg, u64 ept, u64 misc)
{
	const u64 invvpid = VMX_VPID_INVVPID_BIT | VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT;

	if (!vpid || (ept >> 32 & invvpid) != invvpid)
		cfg->secondary &= ~SECONDARY_EXEC_ENABLE_VPID;
	cfg->secondary &= ~(mask & ~(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST));
	if (!ple)
		cfg->secondary &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	if (!tsc_scaling)
		cfg->secondary &= ~SECONDARY_EXEC_TSC_SCALING;
	if (!tpr_shadow)
		cfg->cpu &= ~CPU_BASED_TPR_SHADOW;
	if (!preemption_timer || preemption_timer_broken())
		cfg->pin &= ~PIN_BASED_VMX_PREEMPTION_TIMER;
	cfg->preemption_timer = cfg->pin & PIN_BASED_VMX_PREEMPTION_TIMER;
	cfg->timer_shift = MISC_TIMER_BIT(misc);
	ost_hw_caps.halts_in_guest = misc & MISC_ACTIVITY_HLT;
	cfg->vpid = cfg->secondary & SECONDARY_EXEC_ENABLE_VPID;
	cfg->tpr_shadow = cfg->cpu & CPU_BASED_TPR_SHADOW;
	choose_apic(cfg);
	cfg->posted = ost_vmx_posted_setup(cfg, posted_interrupts);
	cfg->ept_ad = ept_ad && (ept & VMX_EPT_AD_BIT);
	/* Dirty flags are what it follows (29.3.6). */
	if (!pml || !cfg->ept_ad)
		cfg->secondary &= ~SECONDARY_EXEC_ENABLE_PML;
	cfg->invept_context = ept & VMX_EPT_EXTENT_CONTEXT_BIT;

	/* With the shadow, CR8 is in the virtual APIC's page. */
	if (cfg->tpr_shadow)
		cfg->cpu &= ~(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING);
	/* Windows are opened when they are wanted. */
	cfg->cpu &= ~(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING);
}

static void fill_caps(const struct ost_vmx_config *cfg, u64 ept)
{
	/*
	 * Writable and not readable is a misconfiguration on every CPU (29.3.3.1). Of those with L1TF some
	 * look in the cache for what the address says all the same, so it is the highest there is.
	 */
	if (mmio_misconfig)
		ost_vmx_pte_format.mmio = VMX_EPT_WRITABLE_MASK | VMX_EPT_EXECUTABLE_MASK |
					  ost_vmx_pte_format.addr_mask;
	ost_vmx_pte_format.page_1g = ept_1g && (ept & VMX_EPT_1GB_PAGE_BIT);
	if (cfg->ept_ad) {
		ost_vmx_pte_format.accessed = VMX_EPT_ACCESS_BIT;
		ost_vmx_pte_format.dirty = VMX_EPT_DIRTY_BIT;
	}
	ost_vmx_pte_format.logs_writes = cfg->secondary & SECONDARY_EXEC_ENABLE_PML;
	ost_vmx_pte_format.large_no_exec = large_no_exec &&
					   boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) &&
					   !cpu_mitigations_off();
	ost_hw_caps.shares_cpus = !ost_vmx_kept();
	ost_hw_caps.delivers_interrupts = cfg->apic & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	ost_hw_caps.posts_interrupts = cfg->posted;
	ost_hw_caps.nr_tags = cfg->vpid ? ost_vmx_vpid_last - ost_vmx_vpid_first + 1 : 0;
	ost_hw_caps.no_rdtscp = !(cfg->secondary & SECONDARY_EXEC_ENABLE_RDTSCP);
	ost_hw_caps.no_invpcid = !(cfg->secondary & SECONDARY_EXEC_ENABLE_INVPCID);
	ost_hw_caps.no_xsaves = !(cfg->secondary & CONTROL_XSAVES);
	ost_hw_caps.root_levels = ost_vmx_pte_format.root_levels;
	ost_hw_caps.page_1g = ost_vmx_pte_format.page_1g;
	ost_hw_caps.tsc_scaling = cfg->secondary & SECONDARY_EXEC_TSC_SCALING;
	/* One less than the field holds: both ends are rounded. */
	ost_hw_caps.run_end_cycles = cfg->preemption_timer ? (U32_MAX - 1ull) << cfg->timer_shift : 0;
	/* 16.48 fixed point (26.3) */
	ost_hw_caps.tsc_frac_bits = 48;
	ost_hw_caps.tsc_max_ratio = ~0ull;
}

/* The parameters say what is in use. */
static void show_features(const struct ost_vmx_config *cfg)
{
	vpid = cfg->vpid;
	ept_ad = cfg->ept_ad;
	ept_1g = ost_vmx_pte_format.page_1g;
	tpr_shadow = cfg->tpr_shadow;
	ple = cfg->secondary & SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	tsc_scaling = cfg->secondary & SECONDARY_EXEC_TSC_SCALING;
	preemption_timer = cfg->preemption_timer;
	pml = cfg->secondary & SECONDARY_EXEC_ENABLE_PML;
	apic_access = cfg->apic & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	apic_registers = cfg->apic & SECONDARY_EXEC_APIC_REGISTER_VIRT;
	interrupt_delivery = cfg->apic & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	x2apic = cfg->apic & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	posted_interrupts = cfg->posted;
	large_no_exec = ost_vmx_pte_format.large_no_exec;
	stay_on = ost_vmx_kept();
}

/* It runs at load only, as what it calls. */
static void __ref register_user_msrs(void)
{
	static const u32 msrs[OST_VMX_NR_USER_MSRS] = {
		[OST_VMX_STAR] = MSR_STAR,
		[OST_VMX_LSTAR] = MSR_LSTAR,
		[OST_VMX_FMASK] = MSR_SYSCALL_MASK,
	};
	int i;

	for (i = 0; i < OST_VMX_NR_USER_MSRS; i++)
		ost_vmx_user_slots[i] = ost_user_msr_register(msrs[i]);
}

int ost_vmx_setup(void)
{
	struct ost_vmx_config *cfg = &ost_vmx_config;
	u64 basic, ept, misc;
	int r;

	rdmsrq(MSR_IA32_VMX_BASIC, basic);
	rdmsrq(MSR_IA32_VMX_EPT_VPID_CAP, ept);
	rdmsrq(MSR_IA32_VMX_MISC, misc);
	find_controls(cfg, basic, false);
	ost_vmx_read_capabilities(&capabilities);
	cfg->revision = basic & BASIC_REVISION;
	cfg->error_code_any = basic & BASIC_ERROR_CODE_ANY;
	/*
	 * A crash kernel is entered by writing CR4 without VMXE, which faults in VMX operation, and nobody turns
	 * that off for us on the way: better not to be in it.
	 */
	if (!stay_on || kexec_crash_loaded())
		static_branch_disable(&ost_vmx_stays_on);
	if (ost_clears_for_devices())
		static_branch_enable(&ost_vmx_clears_for_devices);
	choose_features(cfg, ept, misc);
	rdmsrq(MSR_IA32_VMX_CR0_FIXED0, cfg->cr0_fixed);
	rdmsrq(MSR_IA32_VMX_CR4_FIXED0, cfg->cr4_fixed);
	/* An unrestricted guest may be without (A.7). */
	cfg->cr0_fixed &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	/* A machine check with CR4.MCE clear shuts the CPU down, also while a guest runs (vol. 3A, 6.15). */
	cfg->cr4_fixed |= ost_read_cr4_raw() & X86_CR4_MCE;
	/* Below another hypervisor the CPU may claim PEBS and have no counters that it could come from. */
	cfg->pebs = boot_cpu_has(X86_FEATURE_DS) && boot_cpu_has(X86_FEATURE_PEBS) &&
		    boot_cpu_has(X86_FEATURE_ARCH_PERFMON);

	ost_vmx_vpid_first = max(vpid_first, 1u);
	ost_vmx_vpid_last = min(vpid_last, VMX_NR_VPIDS - 1u);
	if (ost_vmx_vpid_first > ost_vmx_vpid_last) {
		pr_err("no VPIDs from %u to %u\n", vpid_first, vpid_last);
		return -EINVAL;
	}
	register_user_msrs();
	ost_vmx_host_setup();
	fill_caps(cfg, ept);
	show_features(cfg);
	r = ost_vmx_l1d_setup();
	if (r)
		return r;
	r = ost_vmx_cpus_alloc();
	if (r)
		ost_vmx_l1d_teardown();
	return r;
}

void ost_vmx_teardown(void)
{
	ost_vmx_cpus_free();
	ost_vmx_l1d_teardown();
}
