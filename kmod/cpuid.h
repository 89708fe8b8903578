/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID: what is supported (KVM_GET_SUPPORTED_CPUID), what a vCPU was given (KVM_SET_CPUID2), and
 * what the guest's instruction answers (cpuid.c).
 */
#ifndef OST_CPUID_H
#define OST_CPUID_H

#include <linux/bitmap.h>
#include <linux/types.h>
#include <linux/kvm.h>

struct ost_vcpu;

#define OST_MAX_CPUID_ENTRIES 256

/* Guest features that the module itself asks about, derived when CPUID is set. */
enum ost_feature {
	OST_F_XSAVE, OST_F_X2APIC, OST_F_TSC_DEADLINE, OST_F_MTRR, OST_F_NX, OST_F_LM, OST_F_GBPAGES,
	OST_F_PCID, OST_F_SMEP, OST_F_SMAP, OST_F_PKU, OST_F_UMIP, OST_F_FSGSBASE, OST_F_LA57,
	OST_F_RDTSCP, OST_F_RDPID, OST_F_RDRAND, OST_F_RDSEED, OST_F_INVPCID, OST_F_XSAVES,
	OST_F_SPEC_CTRL, OST_F_STIBP, OST_F_SSBD, OST_F_IBPB, OST_F_VIRT_SSBD, OST_F_ARCH_CAPS,
	OST_F_FXSR_OPT, OST_F_SYSCALL, OST_F_MONITOR, OST_F_PSE36, OST_F_ARAT, OST_F_INTEL, OST_F_AMD,
	OST_F_TSC_ADJUST, OST_F_AUTOIBRS, OST_F_CLZERO,
	OST_NR_FEATURES,
};

struct ost_cpuid {
	struct kvm_cpuid_entry2 *entries;	/* sorted by function, index; NULL when none */
	u32 nr;
	bool faults;		/* MISC_FEATURES_ENABLES: outside of CPL 0 the instruction raises #GP */
	u32 hint;		/* index of the entry found last, if it is below nr */
	/* Entries with bits that follow the vCPU's state (ost_cpuid_refresh), NULL without. */
	struct kvm_cpuid_entry2 *leaf1, *leaf7, *leafd_0, *leafd_1;
	DECLARE_BITMAP(features, OST_NR_FEATURES);
	u8 maxphyaddr;
	u64 cr4_reserved;	/* CR4 bits this guest may not set */
	u64 efer_reserved;	/* EFER bits that its WRMSR may not set */
	u64 xcr0_allowed;
	u64 gpa_reserved;	/* address bits from maxphyaddr to 51 */
};

/* EFER bits that the CPU has for guests: all that the VMM may set. Read-only after load. */
extern u64 ost_efer_supported;
extern u64 ost_cr4_reserved;		/* bits that no guest may have */
/* Features that guests can have here. Read-only after load. */
extern DECLARE_BITMAP(ost_supported_features, OST_NR_FEATURES);
#define ost_supported(f) test_bit(OST_F_##f, ost_supported_features)

#define ost_has(vcpu, f) test_bit(OST_F_##f, (vcpu)->cpuid.features)

int ost_cpuid_setup(void);	/* at load: what this host supports */
/* KVM_GET_SUPPORTED_CPUID: -E2BIG, -EFAULT, or 0 with nent updated. */
int ost_cpuid_get_supported(struct kvm_cpuid2 __user *user);
/* KVM_GET_EMULATED_CPUID: what the module would emulate on a CPU without it. Likewise. */
int ost_cpuid_get_emulated(struct kvm_cpuid2 __user *user);
/* KVM_SET_CPUID2, KVM_GET_CPUID2. [vcpu] */
int ost_cpuid_set(struct ost_vcpu *vcpu, struct kvm_cpuid2 __user *user);
int ost_cpuid_get(struct ost_vcpu *vcpu, struct kvm_cpuid2 __user *user);
/* A new vCPU has no CPUID, so none of the optional features; destroy frees what it was given. */
void ost_cpuid_create(struct ost_vcpu *vcpu);
void ost_cpuid_destroy(struct ost_vcpu *vcpu);
/*
 * The instruction: leaf in *eax, subleaf in *ecx; fills all four. Leaves beyond the maximum answer as
 * the CPU's vendor does. Reflects OSXSAVE, OSPKE, APIC on/off, XSAVE size live. No sleeping.
 */
void ost_cpuid(struct ost_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
/* What the guest was given for a leaf: NULL when it has none. */
const struct kvm_cpuid_entry2 *ost_cpuid_find(struct ost_vcpu *vcpu, u32 function, u32 index);
/* CPUID leaf 1 EAX, which RESET leaves in RDX; that of some 64-bit CPU before CPUID is set. */
u32 ost_cpuid_signature(struct ost_vcpu *vcpu);
/* Something that CPUID shows changed (CR4, APIC base, XCR0, IA32_XSS): refresh the live bits. */
void ost_cpuid_refresh(struct ost_vcpu *vcpu);
/* Exit handler: CPUID. [atomic] */
int ost_exit_cpuid(struct ost_vcpu *vcpu);

#endif
