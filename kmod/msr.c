// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs (msr.h): one table, sorted by index. An MSR that is in no row gets #GP. MTRRs and machine
 * check banks, which are tables of their own, are in mtrr.c and mce.c.
 */
#include <linux/kvm_para.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include "backend.h"
#include "compat.h"
#include "cpuid.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "msr_table.h"
#include "pv.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

#define MAX_MSRS 256		/* one KVM_GET_MSRS or KVM_SET_MSRS takes fewer */

/* Who may see a row. The VMM may read and write all that the host has. */
#define SAVED BIT(0)		/* KVM_GET_MSR_INDEX_LIST: part of what a VMM saves and restores */
#define FEATURE BIT(1)		/* KVM_GET_MSR_FEATURE_INDEX_LIST: also readable on the system's fd */
#define AMD BIT(2)		/* guests only with AMD's CPUID */
#define INTEL BIT(3)		/* guests only with another vendor's */

#define NO_FEATURE OST_NR_FEATURES

/* Hyper-V's (TLFS 12.7.1 and 10.3.5). */
#define MSR_HV_REFERENCE_TSC 0x40000021
#define MSR_HV_VP_ASSIST_PAGE 0x40000073

struct row {
	u32 first, last;
	u32 flags;
	int feature;		/* what the guest's CPUID must have */
	/* host: for the VMM. 0, or 1 for #GP. */
	int (*read)(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host);
	int (*write)(struct ost_vcpu *vcpu, u32 index, u64 data, bool host);
};

/* --- the rows' functions --- */

static int read_zero(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = 0;
	return 0;
}

static int write_zero(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return data != 0;
}

static int write_ignored(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return 0;
}

static int read_tsc(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = ost_guest_tsc(vcpu);
	return 0;
}

static int write_tsc(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	ost_tsc_write(vcpu, data, host);
	return 0;
}

static int read_tsc_adjust(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->clock.tsc_adjust;
	return 0;
}

static int write_tsc_adjust(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	ost_tsc_adjust_write(vcpu, data, host);
	return 0;
}

static int read_apic_base(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->apic_base;
	return 0;
}

static int write_apic_base(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return ost_apic_base_write(vcpu, data, host);
}

static int read_x2apic(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	return vcpu->apic ? ost_x2apic_read(vcpu, index, data) : 1;
}

static int write_x2apic(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return vcpu->apic ? ost_x2apic_write(vcpu, index, data) : 1;
}

static int read_tsc_deadline(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->apic ? ost_lapic_tsc_deadline(vcpu) : 0;
	return 0;
}

static int write_tsc_deadline(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (vcpu->apic)
		ost_lapic_set_tsc_deadline(vcpu, data);
	return 0;
}

/* What SPEC_CTRL takes; with the VMM's writes, what the CPU has. Others would fault on the host. */
static u64 spec_ctrl_bits(struct ost_vcpu *vcpu, bool host)
{
	const unsigned long *f = host ? ost_supported_features : vcpu->cpuid.features;
	u64 bits = 0;

	if (test_bit(OST_F_SPEC_CTRL, f))
		bits |= SPEC_CTRL_IBRS;
	if (test_bit(OST_F_STIBP, f))
		bits |= SPEC_CTRL_STIBP;
	if (test_bit(OST_F_SSBD, f))
		bits |= SPEC_CTRL_SSBD;
	return bits;
}

/* Bits of SPEC_CTRL that all CPUs let be set. */
static atomic64_t spec_ctrl_settable;

/* On each CPU, interrupts off. */
static void probe_spec_ctrl(void *unused)
{
	u64 host, bits = 0;
	int bit;

	if (!rdmsrq_safe(MSR_IA32_SPEC_CTRL, &host)) {
		for (bit = 0; bit < 64; bit++) {
			if (!wrmsrq_safe(MSR_IA32_SPEC_CTRL, host | BIT_ULL(bit)))
				bits |= BIT_ULL(bit);
		}
		wrmsrq(MSR_IA32_SPEC_CTRL, host);
	}
	atomic64_and(bits, &spec_ctrl_settable);
}

static int read_spec_ctrl(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (!spec_ctrl_bits(vcpu, host))
		return 1;
	if (ost_backend->get_msr(vcpu, index, data))
		*data = vcpu->spec_ctrl;
	return 0;
}

static int write_spec_ctrl(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	u64 bits = spec_ctrl_bits(vcpu, host);

	if (!bits)
		return 1;
	/* A guest that has it to itself may have set whatever this CPU takes, and comes back with that. */
	if (host)
		bits |= atomic64_read(&spec_ctrl_settable);
	if (data & ~bits)
		return 1;
	vcpu->spec_ctrl = data;
	ost_backend->set_msr(vcpu, index, data);
	return 0;
}

/* A command, which leaves nothing to read. */
static int write_pred_cmd(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (data & ~(u64)PRED_CMD_IBPB)
		return 1;
	if (!host && (data & PRED_CMD_IBPB))
		wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	return 0;
}

static int read_microcode(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->microcode;
	return 0;
}

static int write_microcode(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (host) {
		vcpu->microcode = data;
		return 0;
	}
	/* Intel's guests clear it before CPUID reports the revision (SDM vol. 3A, 10.11.7.1). */
	return ost_has(vcpu, AMD) ? 1 : 0;
}

/* MSRs of the VMCB or VMCS. */
static int read_backend(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	return ost_backend->get_msr(vcpu, index, data) ? 1 : 0;
}

static bool is_amd(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
	       boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;
}

static int write_backend(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return ost_backend->set_msr(vcpu, index, data) ? 1 : 0;
}

/* AMD's CPUs ignore the upper half, others refuse it. */
static int write_fmask(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if ((data >> 32) && !is_amd())
		return 1;
	return write_backend(vcpu, index, data, host);
}

/* The same for those that hold a linear address. */
static int write_address(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	/* By what the CPU could do, not by CR4.LA57 (SDM vol. 1, 3.3.7.1). */
	int unused_bits = ost_has(vcpu, LA57) ? 64 - 57 : 64 - 48;

	if (((s64)(data << unused_bits) >> unused_bits) != (s64)data)
		return 1;
	return write_backend(vcpu, index, data, host);
}

static int read_efer(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = ost_efer(vcpu);
	return 0;
}

static int write_efer(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return ost_set_efer(vcpu, data, host);
}

static int read_tsc_aux(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (!host && !ost_has(vcpu, RDTSCP) && !ost_has(vcpu, RDPID))
		return 1;
	*data = vcpu->tsc_aux;
	return 0;
}

static int write_tsc_aux(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!host && !ost_has(vcpu, RDTSCP) && !ost_has(vcpu, RDPID))
		return 1;
	/* Bits 63:32: #GP (SDM vol. 4), ignored (APM vol. 2, 3.2.10: reserved, and not kept). */
	if ((data >> 32) && !ost_has(vcpu, AMD))
		return 1;
	vcpu->tsc_aux = (u32)data;
	ost_backend->set_msr(vcpu, index, (u32)data);
	return 0;
}

static int read_pat(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->pat;
	return 0;
}

static int write_pat(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	int i;

	/* UC, WC, WT, WP, WB, UC-. */
	for (i = 0; i < 64; i += 8) {
		u8 type = data >> i;

		if (type > 7 || type == 2 || type == 3)
			return 1;
	}
	vcpu->pat = data;
	ost_backend->set_msr(vcpu, index, data);
	return 0;
}

/* Fast strings may be switched; BTS and PEBS are not there; the others have no effect to switch. */
#define MISC_ENABLE_FIXED (MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)

static int read_misc_enable(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->misc_enable;
	return 0;
}

/*
 * A place to keep what is written. What says that there are no performance counters a guest can't
 * change.
 */
static int write_misc_enable(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	u64 old = vcpu->misc_enable, changed;

	if (!host) {
		if ((old ^ data) & MISC_ENABLE_FIXED)
			return 1;
		data = (data & ~(u64)MSR_IA32_MISC_ENABLE_EMON) | (old & MSR_IA32_MISC_ENABLE_EMON);
	}
	changed = old ^ data;
	vcpu->misc_enable = data;
	if ((changed & MSR_IA32_MISC_ENABLE_MWAIT) &&
	    !ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT))
		ost_cpuid_refresh(vcpu);
	return 0;
}

/*
 * What there is not, but VMMs carry to and fro as 0 without asking: capabilities of performance counters; QEMU's
 * hv_vapic and hv_time, of which guests are told nothing without KVM_CAP_HYPERV.
 */
static int read_hosts_zero(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = 0;
	return !host;
}

static int write_hosts_zero(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return !host || data;
}

/* C1E and the like are the host's: kept for who looks at what it wrote. */
static int read_power_ctl(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->msr.power_ctl;
	return 0;
}

static int write_power_ctl(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	vcpu->msr.power_ctl = data;
	return 0;
}

/* That CPUID can be made to fault is all it says by itself; the VMM may add ratios and the like. */
static int read_platform_info(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (!host && READ_ONCE(vcpu->vm->hides_platform_info))
		return 1;
	*data = vcpu->msr.platform_info;
	return 0;
}

static int write_platform_info(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!host || (vcpu->cpuid.faults && !(data & MSR_PLATFORM_INFO_CPUID_FAULT)))
		return 1;
	vcpu->msr.platform_info = data;
	return 0;
}

static int read_misc_features(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->msr.misc_features;
	return 0;
}

static int write_misc_features(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	bool faults = data & MSR_MISC_FEATURES_ENABLES_CPUID_FAULT;

	if ((data & ~(u64)MSR_MISC_FEATURES_ENABLES_CPUID_FAULT) ||
	    (faults && !(vcpu->msr.platform_info & MSR_PLATFORM_INFO_CPUID_FAULT)))
		return 1;
	vcpu->msr.misc_features = data;
	vcpu->cpuid.faults = faults;
	return 0;
}

/*
 * IA32_ARCH_CAPABILITIES: only bits that say "not vulnerable", none that promises another MSR. The kernel knows of
 * CPUs without the register, too.
 */
static u64 arch_capabilities(void)
{
	static const struct {
		u16 bug;
		u64 bit;
	} unaffected[] = {
		{ X86_BUG_CPU_MELTDOWN, ARCH_CAP_RDCL_NO },
		{ X86_BUG_SPEC_STORE_BYPASS, ARCH_CAP_SSB_NO },
		{ X86_BUG_MDS, ARCH_CAP_MDS_NO },
		{ X86_BUG_GDS, ARCH_CAP_GDS_NO },
#ifdef ARCH_CAP_RFDS_NO
		{ X86_BUG_RFDS, ARCH_CAP_RFDS_NO },
#endif
#ifdef ARCH_CAP_ITS_NO
		{ X86_BUG_ITS, ARCH_CAP_ITS_NO },
#endif
	};
	const u64 pass = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA |
			 ARCH_CAP_SKIP_VMENTRY_L1DFLUSH | ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO |
			 ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO |
			 ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR |
			 ARCH_CAP_RRSBA | ARCH_CAP_PBRSB_NO;
	u64 val = 0;
	int i;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrq(MSR_IA32_ARCH_CAPABILITIES, val);
	val &= pass;
	for (i = 0; i < ARRAY_SIZE(unaffected); i++)
		if (!boot_cpu_has_bug(unaffected[i].bug))
			val |= unaffected[i].bit;
	return val;
}

static int read_arch_capabilities(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu ? vcpu->msr.arch_capabilities : arch_capabilities();
	return 0;
}

/* Bits that only tell of the CPU; others promise MSRs, and there are none of these. */
#define ARCH_CAPS_STATEMENTS                                                                                 \
	(GENMASK_ULL(6, 0) | BIT_ULL(8) | GENMASK_ULL(15, 13) | BIT_ULL(17) | BIT_ULL(19) | BIT_ULL(20) |       \
	 BIT_ULL(24) | GENMASK_ULL(28, 26) | BIT_ULL(62))

static int write_arch_capabilities(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	/* What a VMM or a guest's former host says of the CPU is theirs. */
	if (!host || (data & ~ARCH_CAPS_STATEMENTS))
		return 1;
	vcpu->msr.arch_capabilities = data;
	return 0;
}

/* No supervisor XSAVE component is offered. */
static int read_xss(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->fpu.xss;
	return 0;
}

static int read_debugctl(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (ost_backend->get_msr(vcpu, index, data))
		*data = 0;
	return 0;
}

static int write_debugctl(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!ost_backend->set_msr(vcpu, index, data))
		return 0;
	/* Neither BTF nor LBR without the backend's help. */
	return data != 0;
}

static bool kvmclock_allowed(struct ost_vcpu *vcpu, u32 index)
{
	return ost_pv_has(vcpu, index < MSR_KVM_WALL_CLOCK_NEW ? KVM_FEATURE_CLOCKSOURCE :
								 KVM_FEATURE_CLOCKSOURCE2);
}

static int read_kvmclock(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	return kvmclock_allowed(vcpu, index) ? ost_clock_msr_read(vcpu, index, data) : 1;
}

static int write_kvmclock(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	return kvmclock_allowed(vcpu, index) ? ost_clock_msr_write(vcpu, index, data) : 1;
}

/*
 * HWCR: that the TSC counts at P0's rate is so whatever the bit says, which is firmware's to set; McStatusWrEn is
 * kept, it lets a guest write its machine check banks; TLBCACHEDIS, FFDIS and MONMWAITUSEREN-like switches that old
 * firmware sets are taken and forgotten.
 */
#define HWCR_TSC_FREQ_SEL BIT_ULL(24)
#define HWCR_IGNORED (BIT_ULL(3) | BIT_ULL(6) | BIT_ULL(8))

static int read_hwcr(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu->msr.hwcr;
	return 0;
}

static int write_hwcr(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	data &= ~HWCR_IGNORED;
	if (data & ~(OST_HWCR_MC_STATUS_WR_EN | HWCR_TSC_FREQ_SEL))
		return 1;
	vcpu->msr.hwcr = data;
	return 0;
}

/* SVM is not there, and can't be switched on (APM vol. 2, 15.30.1). */
#define VM_CR_LOCK BIT(3)
#define VM_CR_SVMDIS BIT(4)

static int read_vm_cr(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = VM_CR_LOCK | VM_CR_SVMDIS;
	return 0;
}

/*
 * That LFENCE serializes is the only bit: what a guest or the VMM may set, and is so anyway. As the ABI has it, it
 * reads as 0 until then.
 */
static u64 de_cfg(void)
{
	return boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ? BIT_ULL(1) : 0;
}

static int read_de_cfg(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	*data = vcpu ? vcpu->msr.de_cfg : de_cfg();
	return 0;
}

static int write_de_cfg(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (data & ~de_cfg())
		return 1;
	vcpu->msr.de_cfg = data;
	return 0;
}

/* --- the table --- */

static const struct row table[] = {
	{ MSR_IA32_TSC, MSR_IA32_TSC, SAVED, NO_FEATURE, read_tsc, write_tsc },
	{ MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, SAVED, NO_FEATURE, read_kvmclock,
	  write_kvmclock },
	{ MSR_IA32_PLATFORM_ID, MSR_IA32_PLATFORM_ID, INTEL, NO_FEATURE, read_zero, NULL },
	{ MSR_IA32_APICBASE, MSR_IA32_APICBASE, 0, NO_FEATURE, read_apic_base, write_apic_base },
	{ MSR_SMI_COUNT, MSR_SMI_COUNT, SAVED, NO_FEATURE, ost_smm_msr_read, ost_smm_msr_write },
	{ MSR_IA32_TSC_ADJUST, MSR_IA32_TSC_ADJUST, SAVED, OST_F_TSC_ADJUST, read_tsc_adjust,
	  write_tsc_adjust },
	{ MSR_IA32_SPEC_CTRL, MSR_IA32_SPEC_CTRL, SAVED, NO_FEATURE, read_spec_ctrl,
	  write_spec_ctrl },
	{ MSR_IA32_PRED_CMD, MSR_IA32_PRED_CMD, 0, OST_F_IBPB, NULL, write_pred_cmd },
	/* Microcode is the host's: updates are taken and do nothing. */
	{ MSR_IA32_UCODE_WRITE, MSR_IA32_UCODE_WRITE, INTEL, NO_FEATURE, NULL, write_ignored },
	{ MSR_IA32_UCODE_REV, MSR_IA32_UCODE_REV, SAVED | FEATURE, NO_FEATURE, read_microcode,
	  write_microcode },
	{ MSR_IA32_SMBASE, MSR_IA32_SMBASE, SAVED, NO_FEATURE, ost_smm_msr_read, ost_smm_msr_write },
	{ MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, SAVED, NO_FEATURE, read_platform_info,
	  write_platform_info },
	{ MSR_MTRRcap, MSR_MTRRcap, 0, OST_F_MTRR, ost_mtrr_read, NULL },
	{ MSR_IA32_ARCH_CAPABILITIES, MSR_IA32_ARCH_CAPABILITIES, SAVED | FEATURE | INTEL,
	  OST_F_ARCH_CAPS, read_arch_capabilities, write_arch_capabilities },
	{ MSR_MISC_FEATURES_ENABLES, MSR_MISC_FEATURES_ENABLES, SAVED, NO_FEATURE, read_misc_features,
	  write_misc_features },
	{ MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_CS, SAVED, NO_FEATURE, read_backend,
	  write_backend },
	{ MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, SAVED, NO_FEATURE, read_backend,
	  write_address },
	{ MSR_IA32_MCG_CAP, MSR_IA32_MCG_CAP, 0, NO_FEATURE, ost_mce_read, ost_mce_write },
	{ MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL, SAVED, NO_FEATURE, ost_mce_read, ost_mce_write },
	{ MSR_IA32_MISC_ENABLE, MSR_IA32_MISC_ENABLE, SAVED, NO_FEATURE, read_misc_enable,
	  write_misc_enable },
	{ MSR_IA32_DEBUGCTLMSR, MSR_IA32_DEBUGCTLMSR, SAVED, NO_FEATURE, read_debugctl,
	  write_debugctl },
	{ MSR_IA32_POWER_CTL, MSR_IA32_POWER_CTL, SAVED, NO_FEATURE, read_power_ctl, write_power_ctl },
	{ MTRRphysBase_MSR(0), MTRRphysMask_MSR(OST_NR_MTRR_VAR - 1), SAVED, OST_F_MTRR,
	  ost_mtrr_read, ost_mtrr_write },
	{ MSR_MTRRfix64K_00000, MSR_MTRRfix64K_00000, SAVED, OST_F_MTRR, ost_mtrr_read,
	  ost_mtrr_write },
	{ MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000, SAVED, OST_F_MTRR, ost_mtrr_read,
	  ost_mtrr_write },
	{ MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_F8000, SAVED, OST_F_MTRR, ost_mtrr_read,
	  ost_mtrr_write },
	{ MSR_IA32_CR_PAT, MSR_IA32_CR_PAT, SAVED, NO_FEATURE, read_pat, write_pat },
	{ MSR_MTRRdefType, MSR_MTRRdefType, SAVED, OST_F_MTRR, ost_mtrr_read, ost_mtrr_write },
	{ MSR_IA32_PERF_CAPABILITIES, MSR_IA32_PERF_CAPABILITIES, FEATURE, NO_FEATURE,
	  read_hosts_zero, write_hosts_zero },
	{ MSR_IA32_MC0_CTL, MSR_IA32_MCx_MISC(OST_MAX_MCE_BANKS - 1), 0, NO_FEATURE, ost_mce_read,
	  ost_mce_write },
	{ MSR_IA32_TSC_DEADLINE, MSR_IA32_TSC_DEADLINE, SAVED, OST_F_TSC_DEADLINE,
	  read_tsc_deadline, write_tsc_deadline },
	{ APIC_BASE_MSR, APIC_BASE_MSR + 0xff, 0, OST_F_X2APIC, read_x2apic, write_x2apic },
	{ MSR_IA32_XSS, MSR_IA32_XSS, SAVED, OST_F_XSAVES, read_xss, write_zero },
	{ MSR_HV_REFERENCE_TSC, MSR_HV_REFERENCE_TSC, 0, NO_FEATURE, read_hosts_zero, write_hosts_zero },
	{ MSR_HV_VP_ASSIST_PAGE, MSR_HV_VP_ASSIST_PAGE, 0, NO_FEATURE, read_hosts_zero, write_hosts_zero },
	{ MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW, SAVED, NO_FEATURE, read_kvmclock,
	  write_kvmclock },
	{ MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_EN, SAVED, NO_FEATURE, ost_apf_msr_read,
	  ost_apf_msr_write },
	{ MSR_KVM_STEAL_TIME, MSR_KVM_POLL_CONTROL, SAVED, NO_FEATURE, ost_pv_msr_read,
	  ost_pv_msr_write },
	{ MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_ACK, SAVED, NO_FEATURE, ost_apf_msr_read,
	  ost_apf_msr_write },
	{ MSR_EFER, MSR_EFER, 0, NO_FEATURE, read_efer, write_efer },
	/* Whatever CPUID says: small VMMs enter long mode without setting it. */
	{ MSR_STAR, MSR_STAR, SAVED, NO_FEATURE, read_backend, write_backend },
	{ MSR_LSTAR, MSR_CSTAR, SAVED, NO_FEATURE, read_backend, write_address },
	{ MSR_SYSCALL_MASK, MSR_SYSCALL_MASK, SAVED, NO_FEATURE, read_backend, write_fmask },
	/* The first two are in the segment registers for those who save. */
	{ MSR_FS_BASE, MSR_GS_BASE, 0, NO_FEATURE, read_backend, write_address },
	{ MSR_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, SAVED, NO_FEATURE, read_backend, write_address },
	{ MSR_TSC_AUX, MSR_TSC_AUX, SAVED, NO_FEATURE, read_tsc_aux, write_tsc_aux },
	/* No bit of CPUID tells of these counters, which every AMD CPU has: they stand still (APM vol. 2, 13.2.1). */
	{ MSR_K7_EVNTSEL0, MSR_K7_PERFCTR3, AMD, NO_FEATURE, read_zero, write_ignored },
	/* Memory map of AMD's firmware; Linux reads it without asking whether it is there. */
	{ MSR_AMD64_SYSCFG, MSR_AMD64_SYSCFG, AMD, NO_FEATURE, read_zero, write_zero },
	{ MSR_K7_HWCR, MSR_K7_HWCR, SAVED | AMD, NO_FEATURE, read_hwcr, write_hwcr },
	{ MSR_K8_TOP_MEM1, MSR_K8_TOP_MEM1, AMD, NO_FEATURE, read_zero, write_zero },
	{ MSR_K8_TOP_MEM2, MSR_K8_TOP_MEM2, AMD, NO_FEATURE, read_zero, write_zero },
	/* Linux sets EnableCf8ExtCfg (bit 46) on every family since 10h, and takes no answer. */
	{ MSR_AMD64_NB_CFG, MSR_AMD64_NB_CFG, AMD, NO_FEATURE, read_zero, write_ignored },
	{ MSR_AMD64_PATCH_LOADER, MSR_AMD64_PATCH_LOADER, AMD, NO_FEATURE, NULL, write_ignored },
	{ MSR_K8_INT_PENDING_MSG, MSR_K8_INT_PENDING_MSG, AMD, NO_FEATURE, read_zero, write_zero },
	/* No MMCONFIG of the CPU's: the guest is to use ACPI's MCFG. */
	{ MSR_FAM10H_MMIO_CONF_BASE, MSR_FAM10H_MMIO_CONF_BASE, AMD, NO_FEATURE, read_zero,
	  write_zero },
	{ MSR_VM_CR, MSR_VM_CR, AMD, NO_FEATURE, read_vm_cr, NULL },
	{ MSR_AMD64_DE_CFG, MSR_AMD64_DE_CFG, FEATURE | AMD, NO_FEATURE, read_de_cfg,
	  write_de_cfg },
};

/* Rows that this host and backend have, by index in the table. */
static bool present[ARRAY_SIZE(table)] __ro_after_init;

static bool host_has(const struct row *row)
{
	switch (row->first) {
	case MSR_IA32_SPEC_CTRL:
		return spec_ctrl_bits(NULL, true);
	case MSR_IA32_PRED_CMD:
		return ost_supported(IBPB);
	case MSR_IA32_XSS:
		return ost_supported(XSAVES);
	case MSR_TSC_AUX:
		return ost_supported(RDTSCP) || ost_supported(RDPID);
	case MSR_AMD64_DE_CFG:
		return is_amd();
	}
	return true;
}

void __init ost_msr_setup(void)
{
	u32 i;

	if (boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL)) {
		atomic64_set(&spec_ctrl_settable, ~0ll);
		on_each_cpu(probe_spec_ctrl, NULL, 1);
	}
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		/* The search wants the order that a reader wants too. */
		WARN_ON(table[i].last < table[i].first);
		WARN_ON(i && table[i].first <= table[i - 1].last);
		present[i] = host_has(&table[i]);
	}
	ost_user_msr_setup();
}

static const struct row *find(u32 index)
{
	u32 low = 0, high = ARRAY_SIZE(table);

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (index < table[mid].first)
			high = mid;
		else if (index > table[mid].last)
			low = mid + 1;
		else
			return present[mid] ? &table[mid] : NULL;
	}
	return NULL;
}

static bool guest_has(struct ost_vcpu *vcpu, const struct row *row)
{
	if ((row->flags & AMD) && !ost_has(vcpu, AMD))
		return false;
	if ((row->flags & INTEL) && !ost_has(vcpu, INTEL))
		return false;
	return row->feature == NO_FEATURE || test_bit(row->feature, vcpu->cpuid.features);
}

static enum ost_msr_refusal refused(struct ost_vcpu *vcpu, const struct row *row, bool write, u32 index,
				    u64 data)
{
	pr_debug_ratelimited("vcpu %u: %s of MSR 0x%x refused (0x%llx)\n", vcpu->id,
			     write ? "write" : "read", index, data);
	return row ? OST_MSR_INVALID : OST_MSR_UNKNOWN;
}

enum ost_msr_refusal ost_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	const struct row *row = find(index);

	if (!row || !row->read || (!host && !guest_has(vcpu, row)) ||
	    row->read(vcpu, index, data, host))
		return refused(vcpu, row, false, index, 0);
	return OST_MSR_FINE;
}

enum ost_msr_refusal ost_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	const struct row *row = find(index);

	if (!row || !row->write || (!host && !guest_has(vcpu, row)) ||
	    row->write(vcpu, index, data, host))
		return refused(vcpu, row, true, index, data);
	return OST_MSR_FINE;
}

enum ost_msr_refusal ost_msr_guest_read(struct ost_vcpu *vcpu, u32 index, u64 *data)
{
	if (unlikely(vcpu->msr_filtered) && !ost_msr_filter_allows(vcpu, index, false))
		return OST_MSR_DENIED;
	return ost_msr_read(vcpu, index, data, false);
}

enum ost_msr_refusal ost_msr_guest_write(struct ost_vcpu *vcpu, u32 index, u64 data)
{
	if (unlikely(vcpu->msr_filtered) && !ost_msr_filter_allows(vcpu, index, true))
		return OST_MSR_DENIED;
	/* Of all the most frequent: the timer, and EOI and ICR. The table would say the same, after a search. */
	if (index == MSR_IA32_TSC_DEADLINE && ost_has(vcpu, TSC_DEADLINE)) {
		write_tsc_deadline(vcpu, index, data, false);
		return OST_MSR_FINE;
	}
	if (index - APIC_BASE_MSR <= 0xff && ost_has(vcpu, X2APIC)) {
		if (write_x2apic(vcpu, index, data, false))
			return refused(vcpu, find(index), true, index, data);
		return OST_MSR_FINE;
	}
	return ost_msr_write(vcpu, index, data, false);
}

/* --- life --- */

int ost_msr_create(struct ost_vcpu *vcpu)
{
	vcpu->msr.arch_capabilities = arch_capabilities();
	vcpu->msr.platform_info = MSR_PLATFORM_INFO_CPUID_FAULT;
	vcpu->msr_filtered = rcu_access_pointer(vcpu->vm->msr_filter);
	ost_mce_create(vcpu);
	return 0;
}

void ost_msr_destroy(struct ost_vcpu *vcpu)
{
}

void ost_msr_reset(struct ost_vcpu *vcpu, bool init_event)
{
	static const u32 zeroed[] = {
		MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
		MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
		MSR_IA32_SPEC_CTRL,
	};
	int i;

	/* Without a LAPIC in the kernel the VMM has it, and nobody changes its base here. */
	if (!vcpu->apic && !init_event)
		vcpu->apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
				  (vcpu->id == vcpu->vm->irqs.boot_vcpu_id ?
					   MSR_IA32_APICBASE_BSP : 0);
	/* INIT leaves all of these alone (SDM vol. 3A, table 9-1). */
	if (!init_event) {
		/* WB, WT, UC-, UC, and again. */
		write_pat(vcpu, MSR_IA32_CR_PAT, 0x0007040600070406ull, true);
		vcpu->misc_enable = MISC_ENABLE_FIXED;
		vcpu->microcode = boot_cpu_data.x86_vendor == X86_VENDOR_INTEL ? 1ull << 32 :
										 0x01000065;
		vcpu->msr.power_ctl = 0;
		vcpu->msr.hwcr = 0;
		vcpu->msr.de_cfg = 0;
		write_misc_features(vcpu, MSR_MISC_FEATURES_ENABLES, 0, true);
		write_tsc_aux(vcpu, MSR_TSC_AUX, 0, true);
		ost_mtrr_reset(vcpu);
		ost_mce_reset(vcpu);
		for (i = 0; i < ARRAY_SIZE(zeroed); i++)
			ost_backend->set_msr(vcpu, zeroed[i], 0);
	}
	ost_cpuid_refresh(vcpu);
}

/* --- exits --- */

int ost_exit_rdmsr(struct ost_vcpu *vcpu)
{
	u32 index = ost_reg(vcpu, OST_REG_RCX);
	u64 data = 0;
	enum ost_msr_refusal r = ost_msr_guest_read(vcpu, index, &data);

	trace_ost_msr(vcpu, false, index, data, r);
	if (unlikely(r))
		return ost_msr_refused(vcpu, false, index, data, r);
	ost_edx_eax_set(vcpu, data);
	return static_call(ost_skip_instruction)(vcpu);
}

bool ost_msr_write_is_fast(struct ost_vcpu *vcpu)
{
	return (u32)ost_reg(vcpu, OST_REG_RCX) == MSR_IA32_TSC_DEADLINE;
}

int ost_exit_wrmsr(struct ost_vcpu *vcpu)
{
	u32 index = ost_reg(vcpu, OST_REG_RCX);
	u64 data = ost_edx_eax(vcpu);
	enum ost_msr_refusal r = ost_msr_guest_write(vcpu, index, data);

	trace_ost_msr(vcpu, true, index, data, r);
	if (unlikely(r))
		return ost_msr_refused(vcpu, true, index, data, r);
	return static_call(ost_skip_instruction)(vcpu);
}

/* --- the ABI --- */

/* The node tells of IA32_ARCH_CAPABILITIES on every host; guests have it where CPUID may say so. */
static bool guests_may_have(const struct row *row)
{
	return row->first != MSR_IA32_ARCH_CAPABILITIES || ost_supported(ARCH_CAPS);
}

/* Writes the indexes of all rows with `flag` to `to` (NULL: only counts), up to `room` of them. */
static int list_rows(u32 flag, u32 __user *to, u32 *count)
{
	u32 i, index, n = 0;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (!present[i] || !(table[i].flags & flag) || (flag == SAVED && !guests_may_have(&table[i])))
			continue;
		for (index = table[i].first; index <= table[i].last; index++, n++) {
			if (to && put_user(index, to + n))
				return -EFAULT;
		}
	}
	*count = n;
	return 0;
}

int ost_msr_index_list(struct kvm_msr_list __user *user, bool features)
{
	u32 flag = features ? FEATURE : SAVED, room, n;

	if (get_user(room, &user->nmsrs))
		return -EFAULT;
	list_rows(flag, NULL, &n);
	/* How many there are is told also when there is no room for them. */
	if (put_user(n, &user->nmsrs))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	return list_rows(flag, user->indices, &n);
}

/* Runs fn over the VMM's entries until one is refused. How many were done, or -errno. */
static int do_entries(struct ost_vcpu *vcpu, struct kvm_msrs __user *user, bool copy_back,
		      int (*fn)(struct ost_vcpu *vcpu, struct kvm_msr_entry *e))
{
	struct kvm_msr_entry *entries;
	struct kvm_msrs head;
	size_t size;
	u32 i;
	int r;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= MAX_MSRS)
		return -E2BIG;
	size = array_size(head.nmsrs, sizeof(*entries));
	entries = memdup_user(user->entries, size);
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	for (i = 0; i < head.nmsrs; i++) {
		if (fn(vcpu, &entries[i]))
			break;
	}
	r = i;
	if (copy_back && copy_to_user(user->entries, entries, size))
		r = -EFAULT;
	kfree(entries);
	return r;
}

static int get_feature(struct ost_vcpu *unused, struct kvm_msr_entry *e)
{
	const struct row *row = find(e->index);

	if (!row || !(row->flags & FEATURE))
		return 1;
	/* Those flagged so can be read without a vCPU, but for the one that is only a number. */
	if (e->index == MSR_IA32_UCODE_REV) {
		e->data = 0;
		return rdmsrq_safe(MSR_IA32_UCODE_REV, &e->data) ? 1 : 0;
	}
	return row->read(NULL, e->index, &e->data, true);
}

static int get_entry(struct ost_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return ost_msr_read(vcpu, e->index, &e->data, true);
}

static int set_entry(struct ost_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return ost_msr_write(vcpu, e->index, e->data, true);
}

int ost_msr_get_features(struct kvm_msrs __user *user)
{
	return do_entries(NULL, user, true, get_feature);
}

int ost_msrs_get(struct ost_vcpu *vcpu, struct kvm_msrs __user *user)
{
	return do_entries(vcpu, user, true, get_entry);
}

int ost_msrs_set(struct ost_vcpu *vcpu, struct kvm_msrs __user *user)
{
	return do_entries(vcpu, user, false, set_entry);
}
