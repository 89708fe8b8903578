// SPDX-License-Identifier: GPL-2.0-only
/* Registers that live in the VMCS: RIP and its like, control registers, segments, tables. */
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include <asm/msr-index.h>
#include "../mmu/mmu.h"
#include "vmx.h"

/*
 * Not given to the CPU: memory is cached whatever the guest's CR0 says, since its devices are
 * emulated and its DMA is coherent.
 */
#define CR0_CACHE (X86_CR0_CD | X86_CR0_NW)

u64 ost_vmx_cr4_guest_owned(struct ost_vcpu *vcpu)
{
	return OST_VMX_CR4_GUEST_OWNED & ~vcpu->cpuid.cr4_reserved;
}

static u64 mix(u64 val, u64 shadow, u64 owned)
{
	return (val & owned) | (shadow & ~owned);
}

void ost_vmx_cache_reg(struct ost_vcpu *vcpu, int reg)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	switch (reg) {
	case OST_REG_RSP:
		vcpu->regs[reg] = ost_vmcs_read(vmx, GUEST_RSP);
		break;
	case OST_REG_RIP:
		vcpu->regs[reg] = ost_vmcs_read(vmx, GUEST_RIP);
		break;
	case OST_REG_RFLAGS:
		vcpu->regs[reg] = ost_vmcs_read(vmx, GUEST_RFLAGS);
		break;
	case OST_REG_CR0:
		vcpu->regs[reg] = mix(ost_vmcs_get(vmx, GUEST_CR0),
				      ost_vmcs_get(vmx, CR0_READ_SHADOW), OST_VMX_CR0_GUEST_OWNED);
		break;
	case OST_REG_CR3:
		vcpu->regs[reg] = ost_vmcs_get(vmx, GUEST_CR3);
		break;
	case OST_REG_CR4:
		vcpu->regs[reg] = mix(ost_vmcs_get(vmx, GUEST_CR4),
				      ost_vmcs_get(vmx, CR4_READ_SHADOW),
				      ~ost_vmcs_get(vmx, CR4_GUEST_HOST_MASK));
		break;
	default:
		/* EFER changes by exits only, and all other GPRs are stored by every exit. */
		break;
	}
	vcpu->regs_avail |= BIT(reg);
}

/*
 * With TF set, a shadow of STI or MOV SS goes with a single step that is pending behind it: an entry
 * is refused where the two do not fit (27.3.1.5), which they may not after RFLAGS or the shadow changed.
 */
void ost_vmx_fix_pending_step(struct ost_vmx_vcpu *vmx)
{
	if (!(ost_vmcs_get(vmx, GUEST_INTERRUPTIBILITY_INFO) &
	      (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		return;
	if (ost_rflags(&vmx->vcpu) & X86_EFLAGS_TF)
		ost_vmcs_set_bits(vmx, GUEST_PENDING_DBG_EXCEPTIONS, DR_STEP);
	else
		ost_vmcs_clear_bits(vmx, GUEST_PENDING_DBG_EXCEPTIONS, DR_STEP);
}

void ost_vmx_sync_regs(struct ost_vmx_vcpu *vmx)
{
	const u64 shadow_bit = BIT_ULL(OST_V_GUEST_INTERRUPTIBILITY_INFO);
	struct ost_vcpu *vcpu = &vmx->vcpu;
	u32 dirty = vcpu->regs_dirty;

	if (dirty & BIT(OST_REG_RIP))
		ost_vmwrite(GUEST_RIP, vcpu->regs[OST_REG_RIP]);
	if (dirty & BIT(OST_REG_RSP))
		ost_vmwrite(GUEST_RSP, vcpu->regs[OST_REG_RSP]);
	if (dirty & BIT(OST_REG_RFLAGS))
		ost_vmwrite(GUEST_RFLAGS, vcpu->regs[OST_REG_RFLAGS]);
	if ((dirty & BIT(OST_REG_RFLAGS)) || (vmx->cache.dirty[0] & shadow_bit))
		ost_vmx_fix_pending_step(vmx);
	vcpu->regs_dirty = 0;
}

/* --- segments --- */

/* The four fields of the segments, in the order of enum ost_seg. */
static const struct seg_slots {
	u8 selector, base, limit, ar;
} seg_slots[] = {
#define SEG_SLOTS(seg)                                                                             \
	[OST_SEG_##seg] = { OST_V_GUEST_##seg##_SELECTOR, OST_V_GUEST_##seg##_BASE,                \
			    OST_V_GUEST_##seg##_LIMIT, OST_V_GUEST_##seg##_AR_BYTES }
	SEG_SLOTS(ES), SEG_SLOTS(CS), SEG_SLOTS(SS),   SEG_SLOTS(DS),
	SEG_SLOTS(FS), SEG_SLOTS(GS), SEG_SLOTS(LDTR), SEG_SLOTS(TR),
};

/* Access rights (25.4.1); names for the others are in asm/vmx.h. */
#define AR_S_SHIFT 4
#define AR_DPL_SHIFT 5
#define AR_P_SHIFT 7
#define AR_AVL_SHIFT 12
#define AR_L_SHIFT 13
#define AR_DB_SHIFT 14
#define AR_G_SHIFT 15
#define AR_UNUSABLE_SHIFT 16

static __always_inline void get_segment(struct ost_vcpu *vcpu, int seg,
					struct kvm_segment *out)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	const struct seg_slots *s = &seg_slots[seg];
	u32 ar = ost_vmcs_slot_get(vmx, s->ar);

	*out = (struct kvm_segment) {
		.base = ost_vmcs_slot_get(vmx, s->base),
		.limit = ost_vmcs_slot_get(vmx, s->limit),
		.selector = ost_vmcs_slot_get(vmx, s->selector),
		.type = ar & VMX_AR_TYPE_MASK,
		.s = ar >> AR_S_SHIFT & 1,
		.dpl = ar >> AR_DPL_SHIFT & 3,
		.avl = ar >> AR_AVL_SHIFT & 1,
		.l = ar >> AR_L_SHIFT & 1,
		.db = ar >> AR_DB_SHIFT & 1,
		.g = ar >> AR_G_SHIFT & 1,
		.unusable = ar >> AR_UNUSABLE_SHIFT & 1,
	};
	/* A usable segment is a present one; VMMs that know no "unusable" keep it in "present". */
	out->present = !out->unusable;
}

void ost_vmx_get_segment(struct ost_vcpu *vcpu, int seg, struct kvm_segment *out)
{
	get_segment(vcpu, seg, out);
}

/* TR is a busy TSS whatever was loaded, and one of 64 bits in long mode, where no LTR need have been. */
static u32 fix_tr(struct ost_vcpu *vcpu, u32 ar)
{
	ar |= VMX_AR_TYPE_BUSY_16_TSS & 2;
	if (ost_long_mode(vcpu))
		ar = (ar & ~VMX_AR_TYPE_MASK) | VMX_AR_TYPE_BUSY_64_TSS;
	return ar;
}

static __always_inline void set_segment(struct ost_vcpu *vcpu, int seg,
					const struct kvm_segment *in)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);
	const struct seg_slots *s = &seg_slots[seg];
	bool unusable = in->unusable || !in->present;
	u32 ar;

	/* DPL also where it is unusable: that of SS is the privilege level. */
	ar = (in->type & 15) | (in->s & 1) << AR_S_SHIFT | (in->dpl & 3) << AR_DPL_SHIFT |
	     (!unusable) << AR_P_SHIFT | (in->avl & 1) << AR_AVL_SHIFT | (in->l & 1) << AR_L_SHIFT |
	     (in->db & 1) << AR_DB_SHIFT | (in->g & 1) << AR_G_SHIFT |
	     (u32)unusable << AR_UNUSABLE_SHIFT;
	if (seg == OST_SEG_TR)
		ar = fix_tr(vcpu, ar);
	else if (seg != OST_SEG_LDTR && !unusable)
		/* A loaded segment was accessed. */
		ar |= VMX_AR_TYPE_ACCESSES_MASK;
	ost_vmcs_slot_set(vmx, s->selector, in->selector);
	ost_vmcs_slot_set(vmx, s->base, in->base);
	ost_vmcs_slot_set(vmx, s->limit, in->limit);
	ost_vmcs_slot_set(vmx, s->ar, ar);
}

void ost_vmx_set_segment(struct ost_vcpu *vcpu, int seg, const struct kvm_segment *in)
{
	set_segment(vcpu, seg, in);
}

void ost_vmx_get_dt(struct ost_vcpu *vcpu, bool idt, struct kvm_dtable *out)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	*out = (struct kvm_dtable) {};
	if (idt) {
		out->base = ost_vmcs_get(vmx, GUEST_IDTR_BASE);
		out->limit = ost_vmcs_get(vmx, GUEST_IDTR_LIMIT);
	} else {
		out->base = ost_vmcs_get(vmx, GUEST_GDTR_BASE);
		out->limit = ost_vmcs_get(vmx, GUEST_GDTR_LIMIT);
	}
}

void ost_vmx_set_dt(struct ost_vcpu *vcpu, bool idt, const struct kvm_dtable *in)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (idt) {
		ost_vmcs_set(vmx, GUEST_IDTR_BASE, in->base);
		ost_vmcs_set(vmx, GUEST_IDTR_LIMIT, in->limit);
	} else {
		ost_vmcs_set(vmx, GUEST_GDTR_BASE, in->base);
		ost_vmcs_set(vmx, GUEST_GDTR_LIMIT, in->limit);
	}
}

void ost_vmx_get_segments(struct ost_vcpu *vcpu, struct kvm_sregs *out)
{
	get_segment(vcpu, OST_SEG_CS, &out->cs);
	get_segment(vcpu, OST_SEG_DS, &out->ds);
	get_segment(vcpu, OST_SEG_ES, &out->es);
	get_segment(vcpu, OST_SEG_FS, &out->fs);
	get_segment(vcpu, OST_SEG_GS, &out->gs);
	get_segment(vcpu, OST_SEG_SS, &out->ss);
	get_segment(vcpu, OST_SEG_TR, &out->tr);
	get_segment(vcpu, OST_SEG_LDTR, &out->ldt);
	ost_vmx_get_dt(vcpu, false, &out->gdt);
	ost_vmx_get_dt(vcpu, true, &out->idt);
}

void ost_vmx_set_segments(struct ost_vcpu *vcpu, const struct kvm_sregs *in)
{
	set_segment(vcpu, OST_SEG_CS, &in->cs);
	set_segment(vcpu, OST_SEG_DS, &in->ds);
	set_segment(vcpu, OST_SEG_ES, &in->es);
	set_segment(vcpu, OST_SEG_FS, &in->fs);
	set_segment(vcpu, OST_SEG_GS, &in->gs);
	set_segment(vcpu, OST_SEG_SS, &in->ss);
	set_segment(vcpu, OST_SEG_TR, &in->tr);
	set_segment(vcpu, OST_SEG_LDTR, &in->ldt);
	ost_vmx_set_dt(vcpu, false, &in->gdt);
	ost_vmx_set_dt(vcpu, true, &in->idt);
}

int ost_vmx_get_cpl(struct ost_vcpu *vcpu)
{
	/* In all modes (28.3.2). */
	return ost_vmcs_get(to_vmx(vcpu), GUEST_SS_AR_BYTES) >> AR_DPL_SHIFT & 3;
}

bool ost_vmx_code64(struct ost_vcpu *vcpu)
{
	return ost_vmcs_get(to_vmx(vcpu), GUEST_CS_AR_BYTES) & VMX_AR_L_MASK;
}

bool ost_vmx_code32(struct ost_vcpu *vcpu, u32 *base)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	*base = ost_vmcs_get(vmx, GUEST_CS_BASE);
	return ost_vmcs_get(vmx, GUEST_CS_AR_BYTES) & VMX_AR_DB_MASK;
}

/* --- control registers --- */

static void set_reg(struct ost_vcpu *vcpu, int reg, u64 val)
{
	vcpu->regs[reg] = val;
	vcpu->regs_avail |= BIT(reg);
}

bool ost_vmx_pae_paging(struct ost_vcpu *vcpu)
{
	return ost_paging(vcpu) && (ost_cr4(vcpu) & X86_CR4_PAE) && !ost_long_mode(vcpu);
}

void ost_vmx_set_cr0(struct ost_vcpu *vcpu, u64 cr0)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	ost_vmcs_set(vmx, GUEST_CR0, (cr0 & ~(u64)CR0_CACHE) | ost_vmx_config.cr0_fixed);
	ost_vmcs_set(vmx, CR0_READ_SHADOW, cr0);
	set_reg(vcpu, OST_REG_CR0, cr0);
	vmx->pdptes_stale = true;
}

void ost_vmx_set_cr3(struct ost_vcpu *vcpu, u64 cr3)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	ost_vmcs_set(vmx, GUEST_CR3, cr3);
	set_reg(vcpu, OST_REG_CR3, cr3);
	vmx->pdptes_stale = true;
}

void ost_vmx_set_cr4(struct ost_vcpu *vcpu, u64 cr4)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	ost_vmcs_set(vmx, GUEST_CR4, cr4 | ost_vmx_config.cr4_fixed);
	ost_vmcs_set(vmx, CR4_READ_SHADOW, cr4);
	set_reg(vcpu, OST_REG_CR4, cr4);
	vmx->pdptes_stale = true;
}

void ost_vmx_set_efer(struct ost_vcpu *vcpu, u64 efer)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	ost_vmcs_set(vmx, GUEST_IA32_EFER, efer);
	set_reg(vcpu, OST_REG_EFER, efer);
	if (efer & EFER_LMA) {
		ost_vmcs_set_bits(vmx, VM_ENTRY_CONTROLS, VM_ENTRY_IA32E_MODE);
		ost_vmcs_set(vmx, GUEST_TR_AR_BYTES,
			     fix_tr(vcpu, ost_vmcs_get(vmx, GUEST_TR_AR_BYTES)));
	} else {
		ost_vmcs_clear_bits(vmx, VM_ENTRY_CONTROLS, VM_ENTRY_IA32E_MODE);
	}
	vmx->user_msrs_stale = true;
	vmx->pdptes_stale = true;
}

bool ost_vmx_get_pdptes(struct ost_vcpu *vcpu, u64 *pdptes)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx->pdptes_stale)
		return false;
	pdptes[0] = ost_vmcs_get(vmx, GUEST_PDPTR0);
	pdptes[1] = ost_vmcs_get(vmx, GUEST_PDPTR1);
	pdptes[2] = ost_vmcs_get(vmx, GUEST_PDPTR2);
	pdptes[3] = ost_vmcs_get(vmx, GUEST_PDPTR3);
	return true;
}

void ost_vmx_set_pdptes(struct ost_vcpu *vcpu, const u64 *pdptes)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->pdptes_stale = false;
	ost_vmcs_set(vmx, GUEST_PDPTR0, pdptes[0]);
	ost_vmcs_set(vmx, GUEST_PDPTR1, pdptes[1]);
	ost_vmcs_set(vmx, GUEST_PDPTR2, pdptes[2]);
	ost_vmcs_set(vmx, GUEST_PDPTR3, pdptes[3]);
}

void ost_vmx_load_pdptes(struct ost_vcpu *vcpu)
{
	u64 pdptes[4] = {};

	to_vmx(vcpu)->pdptes_stale = false;
	if (!ost_vmx_pae_paging(vcpu))
		return;
	/*
	 * The instructions that change them have checked them (cr.c); a VMM that has not gets a guest with
	 * nothing mapped rather than an entry that fails.
	 */
	if (!ost_pdptes_valid(vcpu, ost_cr3(vcpu)) ||
	    ost_vcpu_read(vcpu, ost_cr3(vcpu) & GENMASK_ULL(31, 5), pdptes, sizeof(pdptes)))
		memset(pdptes, 0, sizeof(pdptes));
	ost_vmx_set_pdptes(vcpu, pdptes);
}
