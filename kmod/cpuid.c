// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID (cpuid.h): what guests can have, what one was given, and what its instruction answers.
 *
 * A feature is offered when the CPU has it, the host's kernel has not switched it off, and the module
 * virtualizes all of it: the tables below name those. Topology (APIC ids, cores, threads) is the
 * VMM's to fill in and is reported as one CPU.
 */
#include <linux/errno.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/processor.h>
#include "backend.h"
#include "compat.h"
#include "cpuid.h"
#include "fpu.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

enum cpuid_reg { EAX, EBX, ECX, EDX };

/* A bit of a kernel feature word; does not compile when the feature is in another word. */
#define F(word, f) (BIT((f) & 31) + BUILD_BUG_ON_ZERO(((f) >> 5) != (word)))
#define F1D(f) F(CPUID_1_EDX, X86_FEATURE_##f)
#define F1C(f) F(CPUID_1_ECX, X86_FEATURE_##f)
#define F6A(f) F(CPUID_6_EAX, X86_FEATURE_##f)
#define F7B(f) F(CPUID_7_0_EBX, X86_FEATURE_##f)
#define F7C(f) F(CPUID_7_ECX, X86_FEATURE_##f)
#define F7D(f) F(CPUID_7_EDX, X86_FEATURE_##f)
#define F71A(f) F(CPUID_7_1_EAX, X86_FEATURE_##f)
#define FD1A(f) F(CPUID_D_1_EAX, X86_FEATURE_##f)
#define FE1D(f) F(CPUID_8000_0001_EDX, X86_FEATURE_##f)
#define FE1C(f) F(CPUID_8000_0001_ECX, X86_FEATURE_##f)
#define FE8B(f) F(CPUID_8000_0008_EBX, X86_FEATURE_##f)

/* Leaf 1 EDX. Not there: PN, DTS, ACPI, HT (topology), TM, PBE. */
#define LEAF1_EDX                                                                                  \
	(F1D(FPU) | F1D(VME) | F1D(DE) | F1D(PSE) | F1D(TSC) | F1D(MSR) | F1D(PAE) | F1D(MCE) |    \
	 F1D(CX8) | F1D(APIC) | F1D(SEP) | F1D(MTRR) | F1D(PGE) | F1D(MCA) | F1D(CMOV) |           \
	 F1D(PAT) | F1D(PSE36) | F1D(CLFLUSH) | F1D(MMX) | F1D(FXSR) | F1D(XMM) | F1D(XMM2) |      \
	 F1D(SELFSNOOP))
/* What AMD repeats of leaf 1 in leaf 0x80000001 EDX. */
#define AMD_REPEATED 0x0183f3ffu

/*
 * The feature words. `pass` is offered where the CPU and the host's kernel have it (no kernel word:
 * where the CPU has it); `soft` always, because it is done in software.
 */
#define NO_WORD (-1)
static const struct word {
	u32 function, index;
	enum cpuid_reg reg;
	int kernel_word;
	u32 pass, soft;
} words[] = {
	{ 1, 0, EDX, CPUID_1_EDX, LEAF1_EDX, F1D(APIC) | F1D(MTRR) | F1D(MCE) | F1D(MCA) },
	/* Not there: MONITOR, DTES64, VMX, SMX, EST, TM2, PDCM. */
	{ 1, 0, ECX, CPUID_1_ECX,
	  F1C(XMM3) | F1C(PCLMULQDQ) | F1C(SSSE3) | F1C(FMA) | F1C(CX16) | F1C(PCID) |
		  F1C(XMM4_1) | F1C(XMM4_2) | F1C(MOVBE) | F1C(POPCNT) | F1C(AES) | F1C(XSAVE) |
		  F1C(AVX) | F1C(F16C) | F1C(RDRAND),
	  F1C(X2APIC) | F1C(TSC_DEADLINE_TIMER) | F1C(HYPERVISOR) },
	{ 6, 0, EAX, CPUID_6_EAX, 0, F6A(ARAT) },
	/* Not there: SGX, HLE and RTM (TSX_CTRL), PQM, MPX, PQE, PT. */
	{ 7, 0, EBX, CPUID_7_0_EBX,
	  F7B(FSGSBASE) | F7B(BMI1) | F7B(AVX2) | F7B(FDP_EXCPTN_ONLY) | F7B(SMEP) | F7B(BMI2) |
		  F7B(ERMS) | F7B(INVPCID) | F7B(ZERO_FCS_FDS) | F7B(AVX512F) | F7B(AVX512DQ) |
		  F7B(RDSEED) | F7B(ADX) | F7B(SMAP) | F7B(AVX512IFMA) | F7B(CLFLUSHOPT) |
		  F7B(CLWB) | F7B(AVX512CD) | F7B(SHA_NI) | F7B(AVX512BW) | F7B(AVX512VL),
	  F7B(TSC_ADJUST) },
	/* Not there: WAITPKG, SHSTK, TME, BUS_LOCK_DETECT, KL, ENQCMD, SGX_LC, PKS. */
	{ 7, 0, ECX, CPUID_7_ECX,
	  F7C(AVX512VBMI) | F7C(UMIP) | F7C(PKU) | F7C(AVX512_VBMI2) | F7C(GFNI) | F7C(VAES) |
		  F7C(VPCLMULQDQ) | F7C(AVX512_VNNI) | F7C(AVX512_BITALG) |
		  F7C(AVX512_VPOPCNTDQ) | F7C(LA57) | F7C(RDPID) | F7C(CLDEMOTE) | F7C(MOVDIRI) |
		  F7C(MOVDIR64B),
	  0 },
	/* Not there: UINTR, HYBRID, PCONFIG, ARCH_LBR, IBT, AMX, FLUSH_L1D, CORE_CAPABILITIES. */
	{ 7, 0, EDX, CPUID_7_EDX,
	  F7D(AVX512_4VNNIW) | F7D(AVX512_4FMAPS) | F7D(FSRM) | F7D(AVX512_VP2INTERSECT) |
		  F7D(MD_CLEAR) | F7D(SERIALIZE) | F7D(AVX512_FP16) | F7D(SPEC_CTRL) |
		  F7D(INTEL_STIBP) | F7D(ARCH_CAPABILITIES) | F7D(SPEC_CTRL_SSBD),
	  0 },
	/* And, which no kernel word of ours names: FZRM, FSRS, FSRC, AVX_IFMA. */
	{ 7, 1, EAX, CPUID_7_1_EAX,
	  F71A(AVX_VNNI) | F71A(AVX512_BF16) | BIT(10) | BIT(11) | BIT(12) | BIT(23), 0 },
	{ 0xd, 1, EAX, CPUID_D_1_EAX, FD1A(XSAVEOPT) | FD1A(XSAVEC) | FD1A(XGETBV1) | FD1A(XSAVES),
	  0 },
	{ 0x80000001, 0, EDX, CPUID_8000_0001_EDX,
	  (LEAF1_EDX & AMD_REPEATED) | FE1D(SYSCALL) | FE1D(NX) | FE1D(MMXEXT) | FE1D(FXSR_OPT) |
		  FE1D(GBPAGES) | FE1D(RDTSCP) | FE1D(LM) | FE1D(3DNOWEXT) | FE1D(3DNOW),
	  0 },
	/* Not there: CMP_LEGACY (topology), SVM, EXTAPIC, CR8_LEGACY, OSVW, IBS, SKINIT, WDT, LWP,
	 * TCE, NODEID_MSR, PERFCTR_*, MWAITX. */
	{ 0x80000001, 0, ECX, CPUID_8000_0001_ECX,
	  FE1C(LAHF_LM) | FE1C(ABM) | FE1C(SSE4A) | FE1C(MISALIGNSSE) | FE1C(3DNOWPREFETCH) |
		  FE1C(XOP) | FE1C(FMA4) | FE1C(TBM) | FE1C(TOPOEXT),
	  0 },
	/* Not there: IRPERF, RDPRU, PPIN, VIRT_SSBD, CPPC, BRS. */
	{ 0x80000008, 0, EBX, CPUID_8000_0008_EBX,
	  FE8B(CLZERO) | FE8B(XSAVEERPTR) | FE8B(WBNOINVD) | FE8B(AMD_IBPB) | FE8B(AMD_IBRS) |
		  FE8B(AMD_STIBP) | FE8B(AMD_STIBP_ALWAYS_ON) | FE8B(AMD_SSBD) |
		  FE8B(AMD_SSB_NO) | FE8B(BTC_NO) | FE8B(AMD_IBPB_RET),
	  0 },
	/* NO_NESTED_DATA_BP, LFENCE_ALWAYS_SERIALIZING, NULL_SELECTOR_CLEARS_BASE, FSRS, FSRC, SRSO_NO. */
	{ 0x80000021, 0, EAX, NO_WORD, BIT(0) | BIT(2) | BIT(6) | BIT(10) | BIT(11) | BIT(29), 0 },
};

/* Where a guest's CPUID tells of the features that the module asks for. */
static const struct {
	enum ost_feature feature;
	u32 function, index;
	enum cpuid_reg reg;
	u8 bit;
} feature_bits[] = {
	{ OST_F_MONITOR, 1, 0, ECX, 3 },
	{ OST_F_PCID, 1, 0, ECX, 17 },
	{ OST_F_X2APIC, 1, 0, ECX, 21 },
	{ OST_F_TSC_DEADLINE, 1, 0, ECX, 24 },
	{ OST_F_XSAVE, 1, 0, ECX, 26 },
	{ OST_F_RDRAND, 1, 0, ECX, 30 },
	{ OST_F_MTRR, 1, 0, EDX, 12 },
	{ OST_F_PSE36, 1, 0, EDX, 17 },
	{ OST_F_ARAT, 6, 0, EAX, 2 },
	{ OST_F_FSGSBASE, 7, 0, EBX, 0 },
	{ OST_F_TSC_ADJUST, 7, 0, EBX, 1 },
	{ OST_F_SMEP, 7, 0, EBX, 7 },
	{ OST_F_INVPCID, 7, 0, EBX, 10 },
	{ OST_F_RDSEED, 7, 0, EBX, 18 },
	{ OST_F_SMAP, 7, 0, EBX, 20 },
	{ OST_F_UMIP, 7, 0, ECX, 2 },
	{ OST_F_PKU, 7, 0, ECX, 3 },
	{ OST_F_LA57, 7, 0, ECX, 16 },
	{ OST_F_RDPID, 7, 0, ECX, 22 },
	{ OST_F_SPEC_CTRL, 7, 0, EDX, 26 },
	{ OST_F_IBPB, 7, 0, EDX, 26 },
	{ OST_F_STIBP, 7, 0, EDX, 27 },
	{ OST_F_ARCH_CAPS, 7, 0, EDX, 29 },
	{ OST_F_SSBD, 7, 0, EDX, 31 },
	{ OST_F_XSAVES, 0xd, 1, EAX, 3 },
	{ OST_F_SYSCALL, 0x80000001, 0, EDX, 11 },
	{ OST_F_NX, 0x80000001, 0, EDX, 20 },
	{ OST_F_FXSR_OPT, 0x80000001, 0, EDX, 25 },
	{ OST_F_GBPAGES, 0x80000001, 0, EDX, 26 },
	{ OST_F_RDTSCP, 0x80000001, 0, EDX, 27 },
	{ OST_F_LM, 0x80000001, 0, EDX, 29 },
	{ OST_F_CLZERO, 0x80000008, 0, EBX, 0 },
	{ OST_F_IBPB, 0x80000008, 0, EBX, 12 },
	{ OST_F_SPEC_CTRL, 0x80000008, 0, EBX, 14 },
	{ OST_F_STIBP, 0x80000008, 0, EBX, 15 },
	{ OST_F_SSBD, 0x80000008, 0, EBX, 24 },
	{ OST_F_VIRT_SSBD, 0x80000008, 0, EBX, 25 },
	{ OST_F_AUTOIBRS, 0x80000021, 0, EAX, 8 },
};

/* CR4 bits that exist with a feature only, and those that every guest has. */
#define CR4_ALWAYS                                                                                 \
	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |        \
	 X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)
static const struct {
	enum ost_feature feature;
	u64 bit;
} cr4_bits[] = {
	{ OST_F_UMIP, X86_CR4_UMIP },
	{ OST_F_LA57, X86_CR4_LA57 },
	{ OST_F_FSGSBASE, X86_CR4_FSGSBASE },
	{ OST_F_PCID, X86_CR4_PCIDE },
	{ OST_F_XSAVE, X86_CR4_OSXSAVE },
	{ OST_F_SMEP, X86_CR4_SMEP },
	{ OST_F_SMAP, X86_CR4_SMAP },
	{ OST_F_PKU, X86_CR4_PKE },
};

static const struct {
	enum ost_feature feature;
	u64 bit;
} efer_bits[] = {
	{ OST_F_SYSCALL, EFER_SCE },
	{ OST_F_LM, EFER_LME | EFER_LMA },
	{ OST_F_NX, EFER_NX },
	{ OST_F_FXSR_OPT, EFER_FFXSR },
};

static u64 cr4_reserved(const unsigned long *features)
{
	u64 reserved = ~(u64)CR4_ALWAYS;
	int i;

	for (i = 0; i < ARRAY_SIZE(cr4_bits); i++)
		if (test_bit(cr4_bits[i].feature, features))
			reserved &= ~cr4_bits[i].bit;
	return reserved;
}

u64 ost_efer_supported __ro_after_init;
u64 ost_cr4_reserved __ro_after_init;
DECLARE_BITMAP(ost_supported_features, OST_NR_FEATURES) __ro_after_init;

#define MAX_SUPPORTED 64
static struct kvm_cpuid_entry2 supported[MAX_SUPPORTED] __ro_after_init;
static u32 nr_supported __ro_after_init;

static u32 *entry_reg(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	switch (reg) {
	case EAX:
		return &e->eax;
	case EBX:
		return &e->ebx;
	case ECX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

/* --- looking up --- */

/* Order of entries: by function, then index. An entry that ignores the index answers for all. */
static int order(const struct kvm_cpuid_entry2 *e, u32 function, u32 index)
{
	if (e->function != function)
		return e->function < function ? -1 : 1;
	if (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index)
		return 0;
	return e->index < index ? -1 : 1;
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid_entry2 *entries, u32 nr,
					   u32 function, u32 index)
{
	u32 low = 0, high = nr;

	while (low < high) {
		u32 mid = (low + high) / 2;
		int c = order(&entries[mid], function, index);

		if (!c)
			return &entries[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct kvm_cpuid_entry2 *ost_cpuid_find(struct ost_vcpu *vcpu, u32 function, u32 index)
{
	struct ost_cpuid *c = &vcpu->cpuid;
	const struct kvm_cpuid_entry2 *e;

	/* Guests that ask often ask for the same. */
	if (likely(c->hint < c->nr) && !order(&c->entries[c->hint], function, index))
		return &c->entries[c->hint];
	e = find(c->entries, c->nr, function, index);
	if (e)
		c->hint = e - c->entries;
	return e;
}

u32 ost_cpuid_signature(struct ost_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = ost_cpuid_find(vcpu, 1, 0);

	return e ? e->eax : 0x600;
}

static void find_features(const struct kvm_cpuid_entry2 *entries, u32 nr, unsigned long *features)
{
	const struct kvm_cpuid_entry2 *e;
	u32 i;

	bitmap_zero(features, OST_NR_FEATURES);
	for (i = 0; i < ARRAY_SIZE(feature_bits); i++) {
		e = find(entries, nr, feature_bits[i].function, feature_bits[i].index);
		if (e && (*entry_reg((struct kvm_cpuid_entry2 *)e, feature_bits[i].reg) &
			  BIT(feature_bits[i].bit)))
			__set_bit(feature_bits[i].feature, features);
	}
	e = find(entries, nr, 0, 0);
	if (!e)
		return;
	/* "Auth", "Hygo"; all others, "Genu" among them, behave like Intel where it matters. */
	if (e->ebx == 0x68747541 || e->ebx == 0x6f677948)
		__set_bit(OST_F_AMD, features);
	else
		__set_bit(OST_F_INTEL, features);
}

/* --- what is supported --- */

static struct kvm_cpuid_entry2 *__init add(u32 function, u32 index, bool indexed)
{
	struct kvm_cpuid_entry2 *e;

	if (WARN_ON(nr_supported == MAX_SUPPORTED))
		return &supported[MAX_SUPPORTED - 1];
	e = &supported[nr_supported++];
	e->function = function;
	e->index = index;
	e->flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
	return e;
}

/* As add(), with the host's values in all four registers. */
static struct kvm_cpuid_entry2 *__init add_host(u32 function, u32 index, bool indexed)
{
	struct kvm_cpuid_entry2 *e = add(function, index, indexed);

	cpuid_count(function, index, &e->eax, &e->ebx, &e->ecx, &e->edx);
	return e;
}

/* Bits of a feature word for instructions that the backend can't give to guests. */
static u32 __init denied(const struct word *w)
{
	if (w->function == 7 && !w->index && w->reg == EBX && ost_hw_caps.no_invpcid)
		return F7B(INVPCID);
	/* RDPID goes with RDTSCP (SDM vol. 3C, 25.6.2). */
	if (w->function == 7 && !w->index && w->reg == ECX && ost_hw_caps.no_rdtscp)
		return F7C(RDPID);
	if (w->function == 0xd && w->reg == EAX && ost_hw_caps.no_xsaves)
		return FD1A(XSAVES);
	if (w->function == 0x80000001 && w->reg == EDX && ost_hw_caps.no_rdtscp)
		return FE1D(RDTSCP);
	return 0;
}

/* As add(), with the feature words above and 0 in the other registers. */
static struct kvm_cpuid_entry2 *__init add_words(u32 function, u32 index, bool indexed)
{
	struct kvm_cpuid_entry2 *e = add_host(function, index, indexed);
	struct kvm_cpuid_entry2 host = *e;
	u32 i;

	e->eax = e->ebx = e->ecx = e->edx = 0;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *w = &words[i];
		u32 val;

		if (w->function != function || w->index != index)
			continue;
		val = *entry_reg(&host, w->reg) & w->pass & ~denied(w);
		if (w->kernel_word != NO_WORD)
			val &= boot_cpu_data.x86_capability[w->kernel_word];
		*entry_reg(e, w->reg) = val | w->soft;
	}
	return e;
}

/* XSAVE: components by what fpu.c offers, sizes as the CPU tells them. */
static void __init add_xsave(void)
{
	struct kvm_cpuid_entry2 *e;
	int i;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return;
	e = add(0xd, 0, true);
	e->eax = ost_fpu_xcr0_mask;
	e->edx = ost_fpu_xcr0_mask >> 32;
	e->ebx = e->ecx = ost_fpu_size_of(ost_fpu_xcr0_mask);
	e = add_words(0xd, 1, true);
	/* No supervisor component is offered, so IA32_XSS takes 0 only and ECX and EDX stay 0. */
	if (e->eax & (FD1A(XSAVEC) | FD1A(XSAVES)))
		e->ebx = ost_fpu_compact_size_of(ost_fpu_xcr0_mask);
	for (i = 2; i < 63; i++) {
		if (ost_fpu_xcr0_mask & BIT_ULL(i))
			add_host(0xd, i, true)->edx = 0;
	}
}

/* Deterministic cache parameters: the sharing of caches is topology, so it is dropped. */
static void __init add_caches(u32 function, u32 sharing)
{
	struct kvm_cpuid_entry2 *e;
	int i;

	for (i = 0; i < 8; i++) {
		e = add_host(function, i, true);
		if (!(e->eax & 0x1f))
			break;
		e->eax &= ~sharing;
	}
}

static void __init add_basic(bool intel)
{
	u32 max = min(cpuid_eax(0), 0x1fu);
	struct kvm_cpuid_entry2 *e;

	add_host(0, 0, false)->eax = max;
	e = add_words(1, 0, false);
	e->eax = cpuid_eax(1);
	/* Brand index and CLFLUSH size; number of CPUs and APIC id are topology. */
	e->ebx = cpuid_ebx(1) & 0xffff;
	if (intel && max >= 2)
		add_host(2, 0, false);
	if (intel && max >= 4)
		add_caches(4, GENMASK(31, 14));
	if (max >= 6)
		add_words(6, 0, false);
	if (max >= 7) {
		e = add_words(7, 0, true);
		/* Under "nopku" the kernel leaves CR4.PKE off, and nobody could switch PKRU. */
		if (!boot_cpu_has(X86_FEATURE_OSPKE))
			e->ecx &= ~F7C(PKU);
		e->eax = min(cpuid_eax(7), 1u);
		if (e->eax)
			add_words(7, 1, true);
	}
	/* That there is such a leaf; topology is the VMM's. */
	if (max >= 0xb)
		add(0xb, 0, true);
	if (max >= 0xd)
		add_xsave();
	/* 0x15 and 0x16 would fix the TSC's and the LAPIC's frequencies to the host's. */
	if (max >= 0x1f)
		add(0x1f, 0, true);
}

static void __init add_kvm(void)
{
	struct kvm_cpuid_entry2 *e = add(KVM_CPUID_SIGNATURE, 0, false);

	e->eax = KVM_CPUID_FEATURES;
	memcpy(&e->ebx, "KVMK", 4);
	memcpy(&e->ecx, "VMKV", 4);
	memcpy(&e->edx, "M\0\0\0", 4);
	e = add(KVM_CPUID_FEATURES, 0, false);
	e->eax = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
		 BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) |
		 ost_pv_features();
}

static void __init add_addresses(bool la57)
{
	struct kvm_cpuid_entry2 *e = add_words(0x80000008, 0, false);
	/* A 4-level nested page table reaches 48 bits. */
	u32 phys = min(cpuid_eax(0x80000008) & 0xff, ost_hw_caps.root_levels >= 5 ? 52u : 48u);

	e->eax = phys | (la57 ? 57 : 48) << 8;
}

static void __init add_extended(bool intel, bool la57)
{
	u32 max = min(cpuid_eax(0x80000000), intel ? 0x80000008u : 0x80000021u);
	struct kvm_cpuid_entry2 *e;
	u32 i;

	if (max < 0x80000001)
		return;
	add_host(0x80000000, 0, false)->eax = max;
	e = add_words(0x80000001, 0, false);
	if (!intel) {
		/* Signature and brand again. */
		e->eax = cpuid_eax(0x80000001);
		e->ebx = cpuid_ebx(0x80000001);
	}
	for (i = 0x80000002; i <= min(max, 0x80000006u); i++)
		add_host(i, 0, false);
	if (max >= 0x80000007 && boot_cpu_has(X86_FEATURE_CONSTANT_TSC) &&
	    boot_cpu_has(X86_FEATURE_NONSTOP_TSC))
		add(0x80000007, 0, false)->edx = BIT(8);
	if (max >= 0x80000008)
		add_addresses(la57);
	if (max >= 0x80000019)
		add_host(0x80000019, 0, false);
	if (max >= 0x8000001a)
		add_host(0x8000001a, 0, false);
	if (max >= 0x8000001e && boot_cpu_has(X86_FEATURE_TOPOEXT)) {
		add_caches(0x8000001d, GENMASK(25, 14));
		add(0x8000001e, 0, false);
	}
	if (max >= 0x80000021) {
		e = add_words(0x80000021, 0, false);
		/* True also where the host made it so through DE_CFG, which guests share. */
		if (boot_cpu_has(X86_FEATURE_LFENCE_RDTSC))
			e->eax |= BIT(2);
		if (boot_cpu_has(X86_FEATURE_AUTOIBRS))
			e->eax |= BIT(8);
	}
}

int __init ost_cpuid_setup(void)
{
	bool intel = boot_cpu_data.x86_vendor != X86_VENDOR_AMD &&
		     boot_cpu_data.x86_vendor != X86_VENDOR_HYGON;
	const struct kvm_cpuid_entry2 *leaf7;
	u32 i;

	add_basic(intel);
	add_kvm();
	leaf7 = find(supported, nr_supported, 7, 0);
	add_extended(intel, leaf7 && (leaf7->ecx & F7C(LA57)));
	find_features(supported, nr_supported, ost_supported_features);
	ost_cr4_reserved = cr4_reserved(ost_supported_features);
	for (i = 0; i < ARRAY_SIZE(efer_bits); i++) {
		if (test_bit(efer_bits[i].feature, ost_supported_features))
			ost_efer_supported |= efer_bits[i].bit;
	}
	if (ost_supported(AUTOIBRS))
		ost_efer_supported |= EFER_AUTOIBRS;
	return 0;
}

static int copy_out(struct kvm_cpuid2 __user *user, const struct kvm_cpuid_entry2 *entries, u32 nr)
{
	u32 room;

	if (get_user(room, &user->nent))
		return -EFAULT;
	if (room < nr)
		return -E2BIG;
	if (copy_to_user(user->entries, entries, nr * sizeof(*entries)) ||
	    put_user(nr, &user->nent))
		return -EFAULT;
	return 0;
}

int ost_cpuid_get_supported(struct kvm_cpuid2 __user *user)
{
	return copy_out(user, supported, nr_supported);
}

int ost_cpuid_get_emulated(struct kvm_cpuid2 __user *user)
{
	/*
	 * The leaves that such features would be in. There are none: the emulator is for what exits, and an
	 * instruction that the CPU does not know is #UD without an exit.
	 */
	static const struct kvm_cpuid_entry2 emulated[] = {
		{ .function = 0, .eax = 7 },
		{ .function = 1 },
		{ .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
	};

	return copy_out(user, emulated, ARRAY_SIZE(emulated));
}

/* --- what a vCPU was given --- */

static u8 find_maxphyaddr(const struct ost_cpuid *c)
{
	const struct kvm_cpuid_entry2 *e = find(c->entries, c->nr, 0x80000008, 0);

	/* Without the leaf a CPU has 36 (SDM vol. 3A, 4.1.4). */
	return e ? clamp(e->eax & 0xff, 32u, 52u) : 36;
}

/* Computes all that follows from the entries. */
static void derive(struct ost_cpuid *c)
{
	u32 i;

	c->leaf1 = (struct kvm_cpuid_entry2 *)find(c->entries, c->nr, 1, 0);
	c->leaf7 = (struct kvm_cpuid_entry2 *)find(c->entries, c->nr, 7, 0);
	c->leafd_0 = (struct kvm_cpuid_entry2 *)find(c->entries, c->nr, 0xd, 0);
	c->leafd_1 = (struct kvm_cpuid_entry2 *)find(c->entries, c->nr, 0xd, 1);

	find_features(c->entries, c->nr, c->features);
	/* What the CPU has not, the module must not rely on; the vendor may be any, and MWAIT is emulated. */
	for (i = 0; i < OST_NR_FEATURES; i++) {
		if (i != OST_F_INTEL && i != OST_F_AMD && i != OST_F_MONITOR && !test_bit(i, ost_supported_features))
			__clear_bit(i, c->features);
	}

	c->cr4_reserved = cr4_reserved(c->features);
	c->efer_reserved = ~0ull;
	for (i = 0; i < ARRAY_SIZE(efer_bits); i++) {
		if (test_bit(efer_bits[i].feature, c->features))
			c->efer_reserved &= ~efer_bits[i].bit;
	}
	if (test_bit(OST_F_AUTOIBRS, c->features))
		c->efer_reserved &= ~(u64)EFER_AUTOIBRS;

	c->xcr0_allowed = XFEATURE_MASK_FP;
	if (c->leafd_0 && test_bit(OST_F_XSAVE, c->features))
		c->xcr0_allowed |= (c->leafd_0->eax | (u64)c->leafd_0->edx << 32) & ost_fpu_xcr0_mask;
	if (!test_bit(OST_F_PKU, c->features))
		c->xcr0_allowed &= ~(u64)XFEATURE_MASK_PKRU;

	c->maxphyaddr = find_maxphyaddr(c);
	c->gpa_reserved = GENMASK_ULL(51, 0) & ~(BIT_ULL(c->maxphyaddr) - 1);
}

static void refresh(struct ost_vcpu *vcpu, struct ost_cpuid *c)
{
	u64 cr4 = ost_cr4(vcpu);

	if (c->leaf1) {
		if (!ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)) {
			bool on = vcpu->misc_enable & MSR_IA32_MISC_ENABLE_MWAIT;

			c->leaf1->ecx &= ~F1C(MWAIT);
			if (on)
				c->leaf1->ecx |= F1C(MWAIT);
			__assign_bit(OST_F_MONITOR, c->features, on);
		}
		c->leaf1->ecx &= ~F1C(OSXSAVE);
		if (cr4 & X86_CR4_OSXSAVE)
			c->leaf1->ecx |= F1C(OSXSAVE);
		c->leaf1->edx &= ~F1D(APIC);
		if (vcpu->apic_base & MSR_IA32_APICBASE_ENABLE)
			c->leaf1->edx |= F1D(APIC);
	}
	if (c->leaf7) {
		c->leaf7->ecx &= ~F7C(OSPKE);
		if (cr4 & X86_CR4_PKE)
			c->leaf7->ecx |= F7C(OSPKE);
	}
	if (c->leafd_0)
		c->leafd_0->ebx = ost_fpu_size_of(vcpu->fpu.xcr0);
	if (c->leafd_1 && (c->leafd_1->eax & (FD1A(XSAVEC) | FD1A(XSAVES))))
		c->leafd_1->ebx = ost_fpu_compact_size_of(vcpu->fpu.xcr0 | vcpu->fpu.xss);
}

void ost_cpuid_refresh(struct ost_vcpu *vcpu)
{
	refresh(vcpu, &vcpu->cpuid);
	ost_fpu_refresh(vcpu);
}

static int compare(const void *a, const void *b)
{
	const struct kvm_cpuid_entry2 *x = a, *y = b;

	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	/* Where they came in the VMM's list: the first of several wins. */
	return x->padding[0] < y->padding[0] ? -1 : 1;
}

/* Sorts the VMM's list and drops what a search would never find. How many are left. */
static u32 normalise(struct kvm_cpuid_entry2 *entries, u32 nr)
{
	u32 i, to = 0;

	for (i = 0; i < nr; i++) {
		entries[i].flags &= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		if (!entries[i].flags)
			entries[i].index = 0;
		memset(entries[i].padding, 0, sizeof(entries[i].padding));
		entries[i].padding[0] = i;
	}
	sort(entries, nr, sizeof(*entries), compare, NULL);
	for (i = 0; i < nr; i++) {
		entries[i].padding[0] = 0;
		if (to && !order(&entries[to - 1], entries[i].function, entries[i].index))
			continue;
		entries[to++] = entries[i];
	}
	return to;
}

static bool linear_width_valid(const struct ost_cpuid *c)
{
	const struct kvm_cpuid_entry2 *e = find(c->entries, c->nr, 0x80000008, 0);
	u32 width = e ? (e->eax >> 8) & 0xff : 0;

	return width == 0 || width == 48 || width == 57;
}

/* A kick of another vCPU's (PV_UNHALT) would not wake one whose HLT does not exit. */
static void hide_unhalt(struct ost_vcpu *vcpu, struct ost_cpuid *c)
{
	const struct kvm_cpuid_entry2 *signature;
	u32 i;

	if (!(vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT))
		return;
	for (i = 0; i < c->nr; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if ((e->function & 0xffff00ff) != KVM_CPUID_FEATURES)
			continue;
		signature = find(c->entries, c->nr, e->function - 1, 0);
		if (signature && !memcmp(&signature->ebx, KVM_SIGNATURE, 12))
			e->eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
	}
}

int ost_cpuid_set(struct ost_vcpu *vcpu, struct kvm_cpuid2 __user *user)
{
	struct ost_cpuid c = { .faults = vcpu->cpuid.faults };
	u32 nr;
	int r;

	if (get_user(nr, &user->nent))
		return -EFAULT;
	if (nr > OST_MAX_CPUID_ENTRIES)
		return -E2BIG;
	if (nr) {
		c.entries = vmemdup_user(user->entries, array_size(nr, sizeof(*c.entries)));
		if (IS_ERR(c.entries))
			return PTR_ERR(c.entries);
		c.nr = normalise(c.entries, nr);
		hide_unhalt(vcpu, &c);
	}
	r = -EINVAL;
	if (!linear_width_valid(&c))
		goto err;
	derive(&c);
	refresh(vcpu, &c);
	/* A guest that has run keeps its CPU; saying the same again is allowed. */
	if (vcpu->stats.exits) {
		if (c.nr != vcpu->cpuid.nr ||
		    memcmp(c.entries, vcpu->cpuid.entries, c.nr * sizeof(*c.entries)))
			goto err;
		kvfree(c.entries);
		return 0;
	}
	kvfree(vcpu->cpuid.entries);
	vcpu->cpuid = c;
	ost_backend->cpuid_changed(vcpu);
	return 0;
err:
	kvfree(c.entries);
	return r;
}

int ost_cpuid_get(struct ost_vcpu *vcpu, struct kvm_cpuid2 __user *user)
{
	return copy_out(user, vcpu->cpuid.entries, vcpu->cpuid.nr);
}

void ost_cpuid_create(struct ost_vcpu *vcpu)
{
	derive(&vcpu->cpuid);
	/* Until there is a CPUID, KVM_SET_SREGS takes what the CPU has: VMMs restore in any order. */
	vcpu->cpuid.cr4_reserved = ost_cr4_reserved;
}

void ost_cpuid_destroy(struct ost_vcpu *vcpu)
{
	kvfree(vcpu->cpuid.entries);
	vcpu->cpuid.entries = NULL;
	vcpu->cpuid.nr = 0;
}

/* --- the instruction --- */

/* Is the function beyond the last one of its range, or in a range that does not exist? */
static bool out_of_range(struct ost_vcpu *vcpu, u32 function)
{
	const struct kvm_cpuid_entry2 *first;
	u32 range;

	if (function >= 0x40000000 && function <= 0x4fffffff)
		range = function & ~0xffu;	/* each hypervisor interface has its own */
	else
		range = function & 0xc0000000;
	first = ost_cpuid_find(vcpu, range, 0);
	return !first || function > first->eax;
}

static const struct kvm_cpuid_entry2 *lookup(struct ost_vcpu *vcpu, u32 function, u32 index)
{
	const struct kvm_cpuid_entry2 *e = ost_cpuid_find(vcpu, function, index), *basic;

	/*
	 * Beyond the last leaf Intel's CPUs answer as for the last basic one (SDM vol. 2A, CPUID), AMD's
	 * with zeros (APM vol. 3, CPUID).
	 */
	if (e || ost_has(vcpu, AMD) || !out_of_range(vcpu, function))
		return e;
	basic = ost_cpuid_find(vcpu, 0, 0);
	return basic ? ost_cpuid_find(vcpu, basic->eax, index) : NULL;
}

void ost_cpuid(struct ost_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	u32 function = *eax, index = *ecx;
	const struct kvm_cpuid_entry2 *e = lookup(vcpu, function, index);

	if (e) {
		*eax = e->eax;
		*ebx = e->ebx;
		*ecx = e->ecx;
		*edx = e->edx;
		return;
	}
	*eax = *ebx = *ecx = *edx = 0;
	/* Levels beyond the last still tell the level and the x2APIC id (SDM vol. 2A, CPUID). */
	if (function == 0xb || function == 0x1f) {
		e = ost_cpuid_find(vcpu, function, 0);
		if (e) {
			*ecx = index & 0xff;
			*edx = e->edx;
		}
	}
}

int ost_exit_cpuid(struct ost_vcpu *vcpu)
{
	u32 function = ost_reg(vcpu, OST_REG_RAX), index = ost_reg(vcpu, OST_REG_RCX);
	u32 eax = function, ebx, ecx = index, edx;

	if (unlikely(vcpu->cpuid.faults) && static_call(ost_get_cpl)(vcpu)) {
		ost_gp(vcpu, 0);
		return OST_RUN;
	}
	ost_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	trace_ost_cpuid(vcpu, function, index, eax, ebx, ecx, edx);
	ost_reg_set(vcpu, OST_REG_RAX, eax);
	ost_reg_set(vcpu, OST_REG_RBX, ebx);
	ost_reg_set(vcpu, OST_REG_RCX, ecx);
	ost_reg_set(vcpu, OST_REG_RDX, edx);
	return static_call(ost_skip_instruction)(vcpu);
}
