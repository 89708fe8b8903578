// SPDX-License-Identifier: GPL-2.0-only
/* Registers that live in the VMCB: RIP and its like, control registers, segments, tables. */
#include "svm.h"

/* Bits of CR0 that the guest changes without an exit: CR0_SEL_WRITE lets them pass (15.8.1). */
#define CR0_UNSEEN (X86_CR0_TS | X86_CR0_MP)
/*
 * Not given to the CPU: memory is cached whatever the guest's CR0 says, since its devices are
 * emulated and its DMA is coherent.
 */
#define CR0_CACHE (X86_CR0_CD | X86_CR0_NW)

/* What we set in RFLAGS to single-step to an NMI window; the guest does not see them. */
#define STEP_FLAGS (X86_EFLAGS_TF | X86_EFLAGS_RF)

void ost_svm_cache_reg(struct ost_vcpu *vcpu, int reg)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);
	struct ost_vmcb_save *save = &svm->vmcb->save;

	switch (reg) {
	case OST_REG_RAX:
		vcpu->regs[reg] = save->rax;
		break;
	case OST_REG_RSP:
		vcpu->regs[reg] = save->rsp;
		break;
	case OST_REG_RIP:
		vcpu->regs[reg] = save->rip;
		break;
	case OST_REG_RFLAGS:
		vcpu->regs[reg] = save->rflags;
		break;
	case OST_REG_CR0:
		svm->cr0 = (svm->cr0 & ~(u64)CR0_UNSEEN) | (save->cr0 & CR0_UNSEEN);
		vcpu->regs[reg] = svm->cr0;
		break;
	case OST_REG_CR3:
		vcpu->regs[reg] = save->cr3;
		break;
	default:
		/* CR4 and EFER change by exits only, and all other GPRs are stored by every exit. */
		break;
	}
	vcpu->regs_avail |= BIT(reg);
}

void ost_svm_sync_regs(struct ost_svm_vcpu *svm)
{
	struct ost_vmcb_save *save = &svm->vmcb->save;
	struct ost_vcpu *vcpu = &svm->vcpu;
	u32 dirty = vcpu->regs_dirty;

	/* These three are read from the VMCB at every exit, so they are always there to be written. */
	save->rax = vcpu->regs[OST_REG_RAX];
	save->rsp = vcpu->regs[OST_REG_RSP];
	save->rip = vcpu->regs[OST_REG_RIP];
	if (dirty & BIT(OST_REG_RFLAGS))
		save->rflags = vcpu->regs[OST_REG_RFLAGS];
	vcpu->regs_dirty = 0;
	if (unlikely(svm->nmi_step)) {
		svm->step_rip = save->rip;
		svm->step_rflags = save->rflags;
		save->rflags |= STEP_FLAGS;
	}
}

static struct ost_vmcb_seg *vmcb_seg(struct ost_vcpu *vcpu, int seg)
{
	struct ost_vmcb_save *save = &to_svm(vcpu)->vmcb->save;

	switch (seg) {
	case OST_SEG_ES:
		return &save->es;
	case OST_SEG_CS:
		return &save->cs;
	case OST_SEG_SS:
		return &save->ss;
	case OST_SEG_DS:
		return &save->ds;
	case OST_SEG_FS:
		return &save->fs;
	case OST_SEG_GS:
		return &save->gs;
	case OST_SEG_LDTR:
		return &save->ldtr;
	default:
		return &save->tr;
	}
}

/* Bits of the packed attributes (15.5.1, appendix B). */
#define ATTR_TYPE_SHIFT 0
#define ATTR_S_SHIFT 4
#define ATTR_DPL_SHIFT 5
#define ATTR_P_SHIFT 7
#define ATTR_AVL_SHIFT 8
#define ATTR_L_SHIFT 9
#define ATTR_DB_SHIFT 10
#define ATTR_G_SHIFT 11

static __always_inline void get_segment(struct ost_vcpu *vcpu, int seg,
					struct kvm_segment *out)
{
	const struct ost_vmcb_seg *s = vmcb_seg(vcpu, seg);
	u16 attrib = s->attrib;

	*out = (struct kvm_segment) {
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = attrib >> ATTR_TYPE_SHIFT & 15,
		.s = attrib >> ATTR_S_SHIFT & 1,
		.dpl = attrib >> ATTR_DPL_SHIFT & 3,
		.present = attrib >> ATTR_P_SHIFT & 1,
		.avl = attrib >> ATTR_AVL_SHIFT & 1,
		.l = attrib >> ATTR_L_SHIFT & 1,
		.db = attrib >> ATTR_DB_SHIFT & 1,
		/* The VMCB's G is not kept by all CPUs; the limit there is in bytes and tells it. */
		.g = s->limit > 0xfffff,
	};
	out->unusable = !out->present;

	switch (seg) {
	case OST_SEG_TR:
		/* A loaded TR is busy, which CPUs need not say here but VT-x hosts check. */
		out->type |= 2;
		break;
	case OST_SEG_SS:
		/* The privilege level is CPL; SS.DPL may be stale after SYSRET. */
		out->dpl = to_svm(vcpu)->vmcb->save.cpl;
		if (out->unusable)
			out->db = 0;
		break;
	case OST_SEG_CS:
	case OST_SEG_LDTR:
		break;
	default:
		/* A loaded data segment was accessed. */
		if (!out->unusable)
			out->type |= 1;
		break;
	}
}

void ost_svm_get_segment(struct ost_vcpu *vcpu, int seg, struct kvm_segment *out)
{
	get_segment(vcpu, seg, out);
}

static __always_inline void set_segment(struct ost_vcpu *vcpu, int seg,
					const struct kvm_segment *in)
{
	struct ost_vmcb *vmcb = to_svm(vcpu)->vmcb;
	struct ost_vmcb_seg *s = vmcb_seg(vcpu, seg);

	s->base = in->base;
	s->limit = in->limit;
	s->selector = in->selector;
	s->attrib = (in->type & 15) << ATTR_TYPE_SHIFT | (in->s & 1) << ATTR_S_SHIFT |
		    (in->dpl & 3) << ATTR_DPL_SHIFT |
		    (in->present && !in->unusable) << ATTR_P_SHIFT |
		    (in->avl & 1) << ATTR_AVL_SHIFT | (in->l & 1) << ATTR_L_SHIFT |
		    (in->db & 1) << ATTR_DB_SHIFT | (in->g & 1) << ATTR_G_SHIFT;
	if (seg == OST_SEG_SS)
		vmcb->save.cpl = in->dpl & 3;
	ost_vmcb_dirty(vmcb, CLEAN_SEG);
}

void ost_svm_set_segment(struct ost_vcpu *vcpu, int seg, const struct kvm_segment *in)
{
	set_segment(vcpu, seg, in);
}

void ost_svm_get_dt(struct ost_vcpu *vcpu, bool idt, struct kvm_dtable *out)
{
	const struct ost_vmcb_save *save = &to_svm(vcpu)->vmcb->save;
	const struct ost_vmcb_seg *s = idt ? &save->idtr : &save->gdtr;

	*out = (struct kvm_dtable) { .base = s->base, .limit = s->limit };
}

void ost_svm_set_dt(struct ost_vcpu *vcpu, bool idt, const struct kvm_dtable *in)
{
	struct ost_vmcb *vmcb = to_svm(vcpu)->vmcb;
	struct ost_vmcb_seg *s = idt ? &vmcb->save.idtr : &vmcb->save.gdtr;

	s->base = in->base;
	s->limit = in->limit;
	ost_vmcb_dirty(vmcb, CLEAN_DT);
}

void ost_svm_get_segments(struct ost_vcpu *vcpu, struct kvm_sregs *out)
{
	get_segment(vcpu, OST_SEG_CS, &out->cs);
	get_segment(vcpu, OST_SEG_DS, &out->ds);
	get_segment(vcpu, OST_SEG_ES, &out->es);
	get_segment(vcpu, OST_SEG_FS, &out->fs);
	get_segment(vcpu, OST_SEG_GS, &out->gs);
	get_segment(vcpu, OST_SEG_SS, &out->ss);
	get_segment(vcpu, OST_SEG_TR, &out->tr);
	get_segment(vcpu, OST_SEG_LDTR, &out->ldt);
	ost_svm_get_dt(vcpu, false, &out->gdt);
	ost_svm_get_dt(vcpu, true, &out->idt);
}

void ost_svm_set_segments(struct ost_vcpu *vcpu, const struct kvm_sregs *in)
{
	set_segment(vcpu, OST_SEG_CS, &in->cs);
	set_segment(vcpu, OST_SEG_DS, &in->ds);
	set_segment(vcpu, OST_SEG_ES, &in->es);
	set_segment(vcpu, OST_SEG_FS, &in->fs);
	set_segment(vcpu, OST_SEG_GS, &in->gs);
	set_segment(vcpu, OST_SEG_SS, &in->ss);
	set_segment(vcpu, OST_SEG_TR, &in->tr);
	set_segment(vcpu, OST_SEG_LDTR, &in->ldt);
	ost_svm_set_dt(vcpu, false, &in->gdt);
	ost_svm_set_dt(vcpu, true, &in->idt);
}

bool ost_svm_code64(struct ost_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cs.attrib & BIT(ATTR_L_SHIFT);
}

bool ost_svm_code32(struct ost_vcpu *vcpu, u32 *base)
{
	const struct ost_vmcb_seg *cs = &to_svm(vcpu)->vmcb->save.cs;

	*base = cs->base;
	return cs->attrib & BIT(ATTR_DB_SHIFT);
}

int ost_svm_get_cpl(struct ost_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

/*
 * The CPU keeps translations of the guest's over exits and has not seen what is set here (15.16):
 * the flushes that go with a change are asked for by cr.c, for both vendors.
 */
static void set_reg(struct ost_vcpu *vcpu, int reg, u64 val)
{
	vcpu->regs[reg] = val;
	vcpu->regs_avail |= BIT(reg);
	ost_vmcb_dirty(to_svm(vcpu)->vmcb, CLEAN_CRX);
}

void ost_svm_set_cr0(struct ost_vcpu *vcpu, u64 cr0)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	svm->cr0 = cr0;
	svm->vmcb->save.cr0 = cr0 & ~(u64)CR0_CACHE;
	set_reg(vcpu, OST_REG_CR0, cr0);
	ost_svm_update_cr_intercepts(svm);
}

void ost_svm_set_cr3(struct ost_vcpu *vcpu, u64 cr3)
{
	to_svm(vcpu)->vmcb->save.cr3 = cr3;
	set_reg(vcpu, OST_REG_CR3, cr3);
}

void ost_svm_set_cr4(struct ost_vcpu *vcpu, u64 cr4)
{
	struct ost_svm_vcpu *svm = to_svm(vcpu);

	/*
	 * A machine check with CR4.MCE clear shuts the CPU down (APM vol. 2, 9.3.1), also while a guest
	 * runs: the host's setting stays in force.
	 */
	svm->vmcb->save.cr4 = cr4 | ost_svm_host_cr4_mce;
	set_reg(vcpu, OST_REG_CR4, cr4);
	ost_svm_update_cr_intercepts(svm);
}

void ost_svm_set_efer(struct ost_vcpu *vcpu, u64 efer)
{
	/* VMRUN wants SVME set in the guest's EFER too (15.5.1); its reads of EFER exit. */
	to_svm(vcpu)->vmcb->save.efer = efer | EFER_SVME;
	set_reg(vcpu, OST_REG_EFER, efer);
}
