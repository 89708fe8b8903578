// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control registers, EFER, XCR0 and debug registers as the guest's instructions set them (regs.h):
 * the manuals' rules for what gets #GP, and what a change brings with it.
 *
 * With nested paging the CPU tags the guest's translations and keeps them over an exit. An
 * instruction that exits did none of its own flushing, so a handler that carries one out has to ask
 * for the flush that the instruction implies (SDM vol. 3A, 4.10.4.1; APM vol. 2, 5.5.3).
 */
#include <linux/nospec.h>
#include <linux/types.h>
#include <asm/fpu/xcr.h>
#include "fpu.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "vcpu.h"
#include "vm.h"

#define PCID_BITS GENMASK_ULL(11, 0)
#define NO_FLUSH BIT_ULL(63)

/* Bits whose change makes the CPU forget translations, or use them differently. */
#define CR0_FLUSH (X86_CR0_PG | X86_CR0_WP | X86_CR0_CD | X86_CR0_NW)
#define CR4_FLUSH                                                                                  \
	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP |   \
	 X86_CR4_LA57 | X86_CR4_PKE)
/* Bits whose change makes the CPU load the PDPTEs anew in PAE mode (SDM vol. 3A, 4.4.1). */
#define CR0_PDPTE (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)
#define CR4_PDPTE (X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)

/* The PDPTEs at cr3 are looked at in guest memory, which may sleep. */
static bool pdptes_valid(struct ost_vcpu *vcpu, u64 cr3)
{
	ost_vcpu_preemptible(vcpu);
	return ost_pdptes_valid(vcpu, cr3);
}

/* EFER.LMA follows LME and PG. */
static void set_long_mode(struct ost_vcpu *vcpu, bool active)
{
	u64 efer = ost_efer(vcpu);

	ost_backend->set_efer(vcpu, active ? efer | EFER_LMA : efer & ~(u64)EFER_LMA);
}

/* Does turning paging on with this CR0 break a rule? */
static bool paging_on_refused(struct ost_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (!(ost_efer(vcpu) & EFER_LME))
		return false;
	if (!(ost_cr4(vcpu) & X86_CR4_PAE))
		return true;
	ost_backend->get_segment(vcpu, OST_SEG_CS, &cs);
	return cs.l;
}

int ost_set_cr0(struct ost_vcpu *vcpu, u64 cr0)
{
	u64 old = ost_cr0(vcpu), changed;
	bool lme = ost_efer(vcpu) & EFER_LME;

	if (cr0 >> 32)
		return 1;
	cr0 = (cr0 & OST_CR0_BITS) | X86_CR0_ET;
	changed = cr0 ^ old;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return 1;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return 1;
	if ((changed & cr0 & X86_CR0_PG) && paging_on_refused(vcpu))
		return 1;
	if (!lme && (cr0 & X86_CR0_PG) && (changed & CR0_PDPTE) &&
	    (ost_cr4(vcpu) & X86_CR4_PAE) && !pdptes_valid(vcpu, ost_cr3(vcpu)))
		return 1;
	/* Paging can't be left from 64-bit mode, nor with PCIDs on (SDM vol. 3A, 2.5). */
	if ((changed & old & X86_CR0_PG) &&
	    (ost_mode64(vcpu) || (ost_cr4(vcpu) & X86_CR4_PCIDE)))
		return 1;

	if (lme && (changed & X86_CR0_PG))
		set_long_mode(vcpu, cr0 & X86_CR0_PG);
	ost_backend->set_cr0(vcpu, cr0);
	if (changed & CR0_FLUSH)
		ost_backend->flush_tlb(vcpu);
	return 0;
}

int ost_set_cr3(struct ost_vcpu *vcpu, u64 cr3)
{
	bool keep = false;

	if (ost_cr4(vcpu) & X86_CR4_PCIDE) {
		keep = cr3 & NO_FLUSH;
		cr3 &= ~NO_FLUSH;
	}
	if (cr3 & (vcpu->cpuid.gpa_reserved | GENMASK_ULL(63, 52)))
		return 1;
	if (!ost_long_mode(vcpu) && ost_paging(vcpu) && (ost_cr4(vcpu) & X86_CR4_PAE) &&
	    !pdptes_valid(vcpu, cr3))
		return 1;
	ost_backend->set_cr3(vcpu, cr3);
	if (!keep)
		ost_backend->flush_tlb(vcpu);
	return 0;
}

int ost_set_cr4(struct ost_vcpu *vcpu, u64 cr4)
{
	u64 old = ost_cr4(vcpu), changed = cr4 ^ old;

	if (cr4 & vcpu->cpuid.cr4_reserved)
		return 1;
	if (ost_long_mode(vcpu)) {
		if (!(cr4 & X86_CR4_PAE) || (changed & X86_CR4_LA57))
			return 1;
	} else if (ost_paging(vcpu) && (cr4 & X86_CR4_PAE) && (changed & CR4_PDPTE) &&
		   !pdptes_valid(vcpu, ost_cr3(vcpu))) {
		return 1;
	}
	if ((changed & cr4 & X86_CR4_PCIDE) &&
	    (!ost_long_mode(vcpu) || (ost_cr3(vcpu) & PCID_BITS)))
		return 1;

	ost_backend->set_cr4(vcpu, cr4);
	if (changed & CR4_FLUSH)
		ost_backend->flush_tlb(vcpu);
	if (changed & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		ost_cpuid_refresh(vcpu);
	return 0;
}

int ost_set_cr8(struct ost_vcpu *vcpu, u64 cr8)
{
	if (cr8 & ~0xfull)
		return 1;
	if (vcpu->apic)
		ost_lapic_set_cr8(vcpu, cr8);
	else
		vcpu->cr8 = cr8;
	return 0;
}

u64 ost_get_cr8(struct ost_vcpu *vcpu)
{
	return vcpu->apic ? ost_lapic_cr8(vcpu) : vcpu->cr8;
}

int ost_set_efer(struct ost_vcpu *vcpu, u64 efer, bool host_initiated)
{
	u64 old = ost_efer(vcpu);

	if (efer & ~(ost_efer_supported | EFER_LMA))
		return 1;
	if (!host_initiated) {
		if (efer & vcpu->cpuid.efer_reserved)
			return 1;
		if (ost_paging(vcpu) && ((old ^ efer) & EFER_LME))
			return 1;
	}
	/* LMA is the CPU's own: what is written there is ignored (SDM vol. 3A, 2.2.1). */
	efer = (efer & ~(u64)EFER_LMA) | (old & EFER_LMA);
	ost_backend->set_efer(vcpu, efer);
	if ((old ^ efer) & EFER_NX)
		ost_backend->flush_tlb(vcpu);
	return 0;
}

int ost_set_xcr(struct ost_vcpu *vcpu, u32 index, u64 xcr)
{
	if (index != XCR_XFEATURE_ENABLED_MASK || static_call(ost_get_cpl)(vcpu))
		return 1;
	if ((xcr & ~vcpu->cpuid.xcr0_allowed) || !ost_fpu_xcr0_valid(xcr))
		return 1;
	ost_fpu_set_xcr0(vcpu, xcr);
	ost_cpuid_refresh(vcpu);
	return 0;
}

/*
 * DR6: bits 4-11 and 16-31 read as 1 without RTM and bus-lock detection, which guests do not have
 * (SDM vol. 3B, 17.2.3). DR7: bit 10 reads as 1, the others that are reserved as 0 (17.2.4).
 */
#define DR6_WRITABLE 0xe00full
#define DR7_WRITABLE 0xffff23ffull

u64 ost_dr6_fixed(u64 dr6)
{
	return (dr6 & DR6_WRITABLE) | OST_DR6_FIXED_1;
}

u64 ost_dr7_fixed(u64 dr7)
{
	return (dr7 & DR7_WRITABLE) | OST_DR7_FIXED_1;
}

int ost_set_dr(struct ost_vcpu *vcpu, int dr, u64 val)
{
	switch (dr) {
	case 0 ... 3:
		vcpu->dr[array_index_nospec(dr, 4)] = val;
		break;
	case 4:
	case 6:
		if (val >> 32)
			return 1;
		vcpu->dr6 = ost_dr6_fixed(val);
		break;
	default:
		if (val >> 32)
			return 1;
		vcpu->dr7 = ost_dr7_fixed(val);
		break;
	}
	ost_debug_update(vcpu);
	return 0;
}

u64 ost_get_dr(struct ost_vcpu *vcpu, int dr)
{
	switch (dr) {
	case 0 ... 3:
		return vcpu->dr[array_index_nospec(dr, 4)];
	case 4:
	case 6:
		return vcpu->dr6;
	default:
		return vcpu->dr7;
	}
}
