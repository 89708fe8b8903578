// SPDX-License-Identifier: GPL-2.0-only
/* Loading and storing segment registers (APM vol. 2, 4.5-4.9). */
#include "internal.h"

#define DESC_TYPE(desc) ((unsigned int)((desc) >> 40) & 15)

void ost_emul_unpack(u64 desc, u16 selector, struct kvm_segment *s)
{
	memset(s, 0, sizeof(*s));
	s->selector = selector;
	s->base = (desc >> 16 & 0xffffff) | (desc >> 56 & 0xff) << 24;
	s->limit = (desc & 0xffff) | (desc >> 48 & 0xf) << 16;
	s->type = DESC_TYPE(desc);
	s->s = desc >> 44 & 1;
	s->dpl = desc >> 45 & 3;
	s->present = desc >> 47 & 1;
	s->avl = desc >> 52 & 1;
	s->l = desc >> 53 & 1;
	s->db = desc >> 54 & 1;
	s->g = desc >> 55 & 1;
	if (s->g)
		s->limit = s->limit << 12 | 0xfff;
}

int ost_emul_find_descriptor(struct ost_emul *e, u16 selector, unsigned int len, u64 *linear)
{
	u32 offset = selector & ~7u;
	u64 base;
	u32 limit;

	if (selector & OST_SELECTOR_TI) {
		const struct kvm_segment *ldt = ost_emul_segment(e, OST_LDTR);

		if (ldt->unusable || !ldt->present)
			return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
		base = ldt->base;
		limit = ldt->limit;
	} else {
		struct kvm_dtable gdt;

		if (!e->ops->get_dt)
			return OST_EMUL_UNHANDLEABLE;
		e->ops->get_dt(e, false, &gdt);
		base = gdt.base;
		limit = gdt.limit;
	}
	if (offset + len - 1 > limit)
		return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
	*linear = e->efer & EFER_LMA ? base + offset : (u32)(base + offset);
	return OST_EMUL_OK;
}

int ost_emul_update_descriptor(struct ost_emul *e, u64 linear, u64 old, u64 new)
{
	if (new == old)
		return OST_EMUL_OK;
	if (!e->ops->cmpxchg)
		return OST_EMUL_UNHANDLEABLE;
	return (e->ops->cmpxchg)(e, linear, &old, &new, sizeof(old), OST_EMUL_ACCESS_SYSTEM);
}

int ost_emul_set_segment(struct ost_emul *e, enum ost_emul_seg seg, const struct kvm_segment *s)
{
	int ret;

	if (!e->ops->set_segment)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->set_segment(e, seg, s);
	if (ret == OST_EMUL_OK) {
		unsigned int index = array_index_nospec(seg, OST_NR_SEGS);

		e->segs[index] = *s;
		e->segs_cached |= BIT(index);
	}
	return ret;
}

/* Real mode changes selector and base only, and so leaves "unreal" limits. */
static int load_real(struct ost_emul *e, enum ost_emul_seg seg, u16 selector)
{
	struct kvm_segment s = *ost_emul_segment(e, seg);

	s.selector = selector;
	s.base = (u32)selector << 4;
	if (e->mode == OST_EMUL_VM86)
		s.limit = 0xffff;
	return ost_emul_set_segment(e, seg, &s);
}

static int load_null(struct ost_emul *e, enum ost_emul_seg seg, u16 selector)
{
	struct kvm_segment s = {.selector = selector, .unusable = 1};

	/* A null SS is for 64-bit mode below CPL 3 (APM vol. 2, 4.5.1). */
	if (seg == OST_SS) {
		if (!ost_emul_is64(e) || ost_emul_cpl(e) == 3 ||
		    OST_SELECTOR_RPL(selector) != ost_emul_cpl(e))
			return ost_emul_gp(e, 0);
		s.dpl = ost_emul_cpl(e);
	}
	return ost_emul_set_segment(e, seg, &s);
}

/* Type and privilege of a data segment register's descriptor, then presence. */
static int check_data_segment(struct ost_emul *e, enum ost_emul_seg seg,
			      const struct kvm_segment *s)
{
	unsigned int cpl = ost_emul_cpl(e), rpl = OST_SELECTOR_RPL(s->selector);
	bool code = s->type & 8, conforming = code && s->type & 4;
	bool readable_or_writable = s->type & 2;
	bool allowed;

	if (seg == OST_SS)
		allowed = s->s && !code && readable_or_writable && rpl == cpl && s->dpl == cpl;
	else
		allowed = s->s && (!code || readable_or_writable) &&
			  (conforming || (rpl <= s->dpl && cpl <= s->dpl));
	if (!allowed)
		return ost_emul_gp(e, OST_SELECTOR_ERROR(s->selector));
	if (!s->present)
		return ost_emul_raise(e, seg == OST_SS ? OST_VEC_SS : OST_VEC_NP, true,
				      OST_SELECTOR_ERROR(s->selector));
	return OST_EMUL_OK;
}

int ost_emul_load_segment(struct ost_emul *e, enum ost_emul_seg seg, u16 selector)
{
	struct kvm_segment s;
	u64 linear, desc;
	int ret;

	if (!ost_emul_is_prot(e))
		return load_real(e, seg, selector);
	if (!OST_SELECTOR_ERROR(selector))
		return load_null(e, seg, selector);

	ret = ost_emul_find_descriptor(e, selector, 8, &linear);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_read_linear(e, linear, &desc, 8, OST_EMUL_ACCESS_SYSTEM);
	if (ret != OST_EMUL_OK)
		return ret;
	ost_emul_unpack(desc, selector, &s);
	ret = check_data_segment(e, seg, &s);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_update_descriptor(e, linear, desc, desc | OST_DESC_ACCESSED);
	if (ret != OST_EMUL_OK)
		return ret;
	s.type |= 1;
	return ost_emul_set_segment(e, seg, &s);
}

int ost_exec_mov_from_seg(struct ost_emul *e)
{
	e->op[0].value = ost_emul_segment(e, e->op[1].reg)->selector;
	return OST_EMUL_OK;
}

int ost_exec_mov_to_seg(struct ost_emul *e)
{
	enum ost_emul_seg seg = e->op[0].reg;

	if (seg == OST_CS)
		return ost_emul_ud(e);
	if (seg == OST_SS)
		e->shadow = OST_EMUL_SHADOW_MOV_SS;
	return ost_emul_load_segment(e, seg, e->op[1].value);
}

/* The segment register of PUSH and POP: bits of the opcode, in both maps. */
static enum ost_emul_seg stack_opcode_segment(const struct ost_emul *e)
{
	return e->opcode >> 3 & (e->map == OST_MAP_0F ? 7 : 3);
}

/*
 * Of four bytes Intel's CPUs write two, and leave the others as they are (SDM vol. 2B, PUSH); AMD's
 * write zeroes.
 */
int ost_exec_push_seg(struct ost_emul *e)
{
	u16 selector = ost_emul_segment(e, stack_opcode_segment(e))->selector;
	u64 rsp;
	int ret;

	if (e->amd || e->operand_size != 4)
		return ost_emul_push(e, selector, e->operand_size);
	rsp = (e->gpr[OST_RSP] - 4) & ost_mask(ost_emul_stack_bytes(e));
	ret = ost_emul_write(e, OST_SS, rsp, &selector, sizeof(selector));
	if (ret == OST_EMUL_OK)
		ost_emul_set_rsp(e, rsp);
	return ret;
}

int ost_exec_pop_seg(struct ost_emul *e)
{
	enum ost_emul_seg seg = stack_opcode_segment(e);
	u64 selector;
	int ret = ost_emul_pop(e, &selector, e->operand_size);

	if (ret != OST_EMUL_OK)
		return ret;
	if (seg == OST_SS)
		e->shadow = OST_EMUL_SHADOW_MOV_SS;
	return ost_emul_load_segment(e, seg, selector);
}

/* LES, LDS, LSS, LFS, LGS: the selector lies behind the offset. */
int ost_exec_load_far(struct ost_emul *e)
{
	unsigned int bytes = e->operand_size;
	enum ost_emul_seg seg;
	u64 offset = 0;
	u8 pointer[10];
	u16 selector;
	int ret;

	if (e->map == OST_MAP_1B)
		seg = e->opcode == 0xc4 ? OST_ES : OST_DS;
	else
		seg = e->opcode == 0xb2 ? OST_SS : e->opcode == 0xb4 ? OST_FS : OST_GS;
	/* Intel has 64-bit offsets, AMD has not (APM vol. 3, LSS). */
	if (bytes == 8 && e->amd)
		return OST_EMUL_UNHANDLEABLE;

	ret = ost_emul_read(e, e->mem.seg, e->mem_offset, pointer, bytes + 2, false);
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(&offset, pointer, bytes);
	memcpy(&selector, pointer + bytes, 2);
	ret = ost_emul_load_segment(e, seg, selector);
	if (ret == OST_EMUL_OK)
		ost_set_gpr(e, e->op[0].reg, bytes, offset);
	return ret;
}

/* CR4.UMIP keeps these stores from CPL 3 (APM vol. 2, 3.1.3). */
static int check_umip(struct ost_emul *e)
{
	return e->cr4 & X86_CR4_UMIP && ost_emul_cpl(e) ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

int ost_exec_sldt(struct ost_emul *e)
{
	e->op[0].value = ost_emul_segment(e, OST_LDTR)->selector;
	return check_umip(e);
}

int ost_exec_str(struct ost_emul *e)
{
	e->op[0].value = ost_emul_segment(e, OST_TR)->selector;
	return check_umip(e);
}

/*
 * A system descriptor from the GDT: 16 bytes in long mode, whose upper half extends the base (APM
 * vol. 2, 4.8).
 */
static int read_system_descriptor(struct ost_emul *e, u16 selector, u64 *linear, u64 desc[2])
{
	unsigned int len = e->efer & EFER_LMA ? 16 : 8;
	int ret;

	if (selector & OST_SELECTOR_TI)
		return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
	ret = ost_emul_find_descriptor(e, selector, len, linear);
	if (ret != OST_EMUL_OK)
		return ret;
	desc[1] = 0;
	return ost_emul_read_linear(e, *linear, desc, len, OST_EMUL_ACCESS_SYSTEM);
}

static int unpack_system(struct ost_emul *e, const u64 desc[2], u16 selector, struct kvm_segment *s)
{
	ost_emul_unpack(desc[0], selector, s);
	s->base |= desc[1] << 32;
	/* The upper half's type must be 0, so that it is no descriptor of its own. */
	if (desc[1] >> 40 & 0x1f || !ost_emul_canonical(e, s->base))
		return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
	return OST_EMUL_OK;
}

int ost_exec_lldt(struct ost_emul *e)
{
	u16 selector = e->op[0].value;
	struct kvm_segment s = {.selector = selector, .unusable = 1};
	u64 linear, desc[2];
	int ret;

	if (!OST_SELECTOR_ERROR(selector))
		return ost_emul_set_segment(e, OST_LDTR, &s);
	ret = read_system_descriptor(e, selector, &linear, desc);
	if (ret != OST_EMUL_OK)
		return ret;
	ret = unpack_system(e, desc, selector, &s);
	if (ret != OST_EMUL_OK)
		return ret;
	if (s.s || s.type != 2)
		return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
	if (!s.present)
		return ost_emul_raise(e, OST_VEC_NP, true, OST_SELECTOR_ERROR(selector));
	return ost_emul_set_segment(e, OST_LDTR, &s);
}

int ost_exec_ltr(struct ost_emul *e)
{
	u16 selector = e->op[0].value;
	struct kvm_segment s;
	u64 linear, desc[2];
	int ret;

	if (!OST_SELECTOR_ERROR(selector))
		return ost_emul_gp(e, 0);
	ret = read_system_descriptor(e, selector, &linear, desc);
	if (ret != OST_EMUL_OK)
		return ret;
	ret = unpack_system(e, desc, selector, &s);
	if (ret != OST_EMUL_OK)
		return ret;
	/* An available TSS; long mode knows none of 16 bits. */
	if (s.s || (s.type != 9 && (s.type != 1 || e->efer & EFER_LMA)))
		return ost_emul_gp(e, OST_SELECTOR_ERROR(selector));
	if (!s.present)
		return ost_emul_raise(e, OST_VEC_NP, true, OST_SELECTOR_ERROR(selector));
	ret = ost_emul_update_descriptor(e, linear, desc[0], desc[0] | OST_DESC_TSS_BUSY);
	if (ret != OST_EMUL_OK)
		return ret;
	s.type |= 2;
	return ost_emul_set_segment(e, OST_TR, &s);
}
