/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Register accessors. A register is fetched from the VMCB or VMCS when it is first asked for after
 * an exit, and written back before the next entry only if it changed. Included by vcpu.h alone.
 */
#ifndef OST_REGS_H
#define OST_REGS_H

#include <asm/processor-flags.h>
#include <asm/msr-index.h>
#include "backend.h"

static inline u64 ost_reg(struct ost_vcpu *vcpu, int reg)
{
	if (!(vcpu->regs_avail & BIT(reg)))
		static_call(ost_cache_reg)(vcpu, reg);
	return vcpu->regs[reg];
}

/* GPRs, RIP and RFLAGS only: CRs and EFER go through ost_set_cr*() and ost_set_efer(). */
static inline void ost_reg_set(struct ost_vcpu *vcpu, int reg, u64 val)
{
	vcpu->regs[reg] = val;
	vcpu->regs_avail |= BIT(reg);
	vcpu->regs_dirty |= BIT(reg);
}

/* RFLAGS without what a debugger of the VMM's has set there (guestdebug.h). */
static inline u64 ost_guest_rflags(struct ost_vcpu *vcpu)
{
	u64 rflags = ost_reg(vcpu, OST_REG_RFLAGS);

	if (unlikely(rflags & X86_EFLAGS_TF))
		rflags = ost_debug_hide_tf(vcpu, rflags);
	return rflags;
}

#define ost_rip(vcpu) ost_reg(vcpu, OST_REG_RIP)
#define ost_rflags(vcpu) ost_reg(vcpu, OST_REG_RFLAGS)
#define ost_cr0(vcpu) ost_reg(vcpu, OST_REG_CR0)
#define ost_cr3(vcpu) ost_reg(vcpu, OST_REG_CR3)
#define ost_cr4(vcpu) ost_reg(vcpu, OST_REG_CR4)
#define ost_efer(vcpu) ost_reg(vcpu, OST_REG_EFER)

static inline bool ost_protected_mode(struct ost_vcpu *vcpu)
{
	return ost_cr0(vcpu) & X86_CR0_PE;
}

static inline bool ost_paging(struct ost_vcpu *vcpu)
{
	return ost_cr0(vcpu) & X86_CR0_PG;
}

static inline bool ost_long_mode(struct ost_vcpu *vcpu)
{
	return ost_efer(vcpu) & EFER_LMA;
}

/* In 64-bit mode, that is long mode with CS.L. */
static inline bool ost_mode64(struct ost_vcpu *vcpu)
{
	return ost_long_mode(vcpu) && static_call(ost_code64)(vcpu);
}

/* EDX:EAX as RDMSR, XGETBV and friends make it of a 64-bit value. */
static inline u64 ost_edx_eax(struct ost_vcpu *vcpu)
{
	return (u32)ost_reg(vcpu, OST_REG_RAX) | (ost_reg(vcpu, OST_REG_RDX) << 32);
}

static inline void ost_edx_eax_set(struct ost_vcpu *vcpu, u64 val)
{
	ost_reg_set(vcpu, OST_REG_RAX, (u32)val);
	ost_reg_set(vcpu, OST_REG_RDX, val >> 32);
}

/*
 * Control registers as the guest's own instructions set them (cr.c): checked by the manuals' rules;
 * 0, or nonzero when the instruction gets #GP(0). Side effects (TLB, paging mode, EFER.LMA, PDPTEs)
 * included. [vcpu]
 */
/* Bits of CR0 that exist; the others below 32 are ignored when written, those above get #GP. */
#define OST_CR0_BITS                                                                                   \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE |             \
	 X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
int ost_set_cr0(struct ost_vcpu *vcpu, u64 cr0);
int ost_set_cr3(struct ost_vcpu *vcpu, u64 cr3);
int ost_set_cr4(struct ost_vcpu *vcpu, u64 cr4);
int ost_set_cr8(struct ost_vcpu *vcpu, u64 cr8);
u64 ost_get_cr8(struct ost_vcpu *vcpu);
/* WRMSR(EFER); host_initiated is KVM_SET_MSRS, which may change LME under paging. */
int ost_set_efer(struct ost_vcpu *vcpu, u64 efer, bool host_initiated);
int ost_set_xcr(struct ost_vcpu *vcpu, u32 index, u64 xcr);
/* Bits of DR6 and DR7 that always read as one (SDM vol. 3B, figure 17-1). */
#define OST_DR6_FIXED_1 0xffff0ff0ull
#define OST_DR7_FIXED_1 0x400ull
/* The next MOV DR raises #DB, and this says so in DR6 (SDM vol. 3B, 17.2.4). */
#define OST_DR7_GD BIT(13)
#define OST_DR6_BD BIT(13)

/* DR0-3, 6, 7 by MOV DR: 0 or nonzero for #GP(0). The caller has seen to CR4.DE, CPL and DR7.GD. */
int ost_set_dr(struct ost_vcpu *vcpu, int dr, u64 val);
u64 ost_get_dr(struct ost_vcpu *vcpu, int dr);
/* DR6 and DR7 with the bits that are fixed on this CPU. */
u64 ost_dr6_fixed(u64 dr6);
u64 ost_dr7_fixed(u64 dr7);

#endif
