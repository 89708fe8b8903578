// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves between vector or MMX registers and memory, as compilers use them on device memory. The
 * registers are the core's; nothing here touches the FPU.
 */
#include "internal.h"

#define VEC_BYTES    32
#define XCR0_SSE_AVX 6

/* State that makes vector instructions #UD or #NM (SDM vol. 2A, 2.4). */
static int check_vec(struct ost_emul *e)
{
	u64 xcr0;
	int ret;

	if (!e->ops->get_vec || !e->ops->set_vec)
		return OST_EMUL_UNHANDLEABLE;
	if (e->vex) {
		if (!(e->cr4 & X86_CR4_OSXSAVE) || e->vvvv)
			return ost_emul_ud(e);
		if (!e->ops->get_xcr)
			return OST_EMUL_UNHANDLEABLE;
		ret = e->ops->get_xcr(e, 0, &xcr0);
		if (ret != OST_EMUL_OK)
			return ret;
		if ((xcr0 & XCR0_SSE_AVX) != XCR0_SSE_AVX)
			return ost_emul_ud(e);
	} else if (e->cr0 & X86_CR0_EM || !(e->cr4 & X86_CR4_OSFXSR)) {
		return ost_emul_ud(e);
	}
	return e->cr0 & X86_CR0_TS ? ost_emul_raise(e, OST_VEC_NM, false, 0) : OST_EMUL_OK;
}

/* MOVD and MOVQ (6E, 7E, D6) have no 256-bit form. */
static int check_vec_length(struct ost_emul *e)
{
	bool only_128 = e->opcode == 0x6e || e->opcode == 0x7e || e->opcode == 0xd6;

	return only_128 && e->vector_bytes != 16 ? ost_emul_ud(e) : OST_EMUL_OK;
}

static int check(struct ost_emul *e)
{
	int ret = check_vec_length(e);

	return ret == OST_EMUL_OK ? check_vec(e) : ret;
}

/* Without VEX the upper half stays, with it what lies above the result is zero. */
static int set_register(struct ost_emul *e, unsigned int reg, const u8 *image)
{
	return e->ops->set_vec(e, reg, image, e->vex ? 32 : 16);
}

static int check_vec_alignment(struct ost_emul *e, const struct ost_emul_operand *op, bool write)
{
	return op->kind == OST_OPND_MEM ? ost_emul_want_aligned(e, op->bytes, write) : OST_EMUL_OK;
}

/* The destination register gets the source's bytes, and zeroes behind them. */
static int vec_load(struct ost_emul *e, bool aligned)
{
	const struct ost_emul_operand *src = &e->op[1];
	u8 image[VEC_BYTES] = {}, whole[VEC_BYTES];
	int ret = check(e);

	if (ret == OST_EMUL_OK && aligned)
		ret = check_vec_alignment(e, src, false);
	if (ret != OST_EMUL_OK)
		return ret;
	if (src->kind == OST_OPND_MEM) {
		ret = ost_emul_read(e, e->mem.seg, e->mem_offset, image, src->bytes, false);
	} else {
		ret = e->ops->get_vec(e, src->reg, whole, e->vector_bytes);
		memcpy(image, whole, src->bytes);
	}
	return ret == OST_EMUL_OK ? set_register(e, e->op[0].reg, image) : ret;
}

int ost_exec_vec_load(struct ost_emul *e)
{
	return vec_load(e, false);
}

int ost_exec_vec_load_aligned(struct ost_emul *e)
{
	return vec_load(e, true);
}

static int vec_store(struct ost_emul *e, bool aligned)
{
	const struct ost_emul_operand *dst = &e->op[0];
	u8 image[VEC_BYTES] = {}, whole[VEC_BYTES];
	int ret = check(e);

	if (ret == OST_EMUL_OK && aligned)
		ret = check_vec_alignment(e, dst, true);
	if (ret == OST_EMUL_OK)
		ret = e->ops->get_vec(e, e->op[1].reg, whole, e->vector_bytes);
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(image, whole, dst->bytes);
	if (dst->kind == OST_OPND_MEM)
		return ost_emul_write(e, e->mem.seg, e->mem_offset, image, dst->bytes);
	return set_register(e, dst->reg, image);
}

int ost_exec_vec_store(struct ost_emul *e)
{
	return vec_store(e, false);
}

int ost_exec_vec_store_aligned(struct ost_emul *e)
{
	return vec_store(e, true);
}

/* MOVLPS and MOVLPD (12, 13) move the lower half, MOVHPS and MOVHPD (16, 17) the upper one. */
static unsigned int half_start(const struct ost_emul *e)
{
	return e->opcode & 4 ? 8 : 0;
}

int ost_exec_vec_half_load(struct ost_emul *e)
{
	u8 image[16];
	int ret = check(e);

	if (ret == OST_EMUL_OK)
		ret = e->ops->get_vec(e, e->op[0].reg, image, sizeof(image));
	if (ret == OST_EMUL_OK)
		ret = ost_emul_read(e, e->mem.seg, e->mem_offset, image + half_start(e), 8, false);
	return ret == OST_EMUL_OK ? e->ops->set_vec(e, e->op[0].reg, image, sizeof(image)) : ret;
}

int ost_exec_vec_half_store(struct ost_emul *e)
{
	u8 image[16];
	int ret = check(e);

	if (ret == OST_EMUL_OK)
		ret = e->ops->get_vec(e, e->op[1].reg, image, sizeof(image));
	if (ret != OST_EMUL_OK)
		return ret;
	return ost_emul_write(e, e->mem.seg, e->mem_offset, image + half_start(e), 8);
}

int ost_exec_movd_to_vec(struct ost_emul *e)
{
	u8 image[VEC_BYTES] = {};
	int ret = check(e);

	if (ret == OST_EMUL_OK)
		ret = ost_emul_load(e, &e->op[1], false);
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(image, &e->op[1].value, e->op[1].bytes);
	return set_register(e, e->op[0].reg, image);
}

int ost_exec_movd_from_vec(struct ost_emul *e)
{
	u8 image[16];
	int ret = check(e);

	if (ret == OST_EMUL_OK)
		ret = e->ops->get_vec(e, e->op[1].reg, image, sizeof(image));
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(&e->op[0].value, image, e->op[0].bytes);
	return ost_emul_store(e, &e->op[0], false);
}

/* --- MMX --- */

/* The register's value, behind what an MMX instruction faults for (SDM vol. 3A, table 12-1; APM vol. 1, 5.7). */
static int get_mmx(struct ost_emul *e, unsigned int reg, u64 *val)
{
	bool exception = false;
	int ret;

	if (e->vex || e->cr0 & X86_CR0_EM)
		return ost_emul_ud(e);
	if (e->cr0 & X86_CR0_TS)
		return ost_emul_raise(e, OST_VEC_NM, false, 0);
	if (!e->ops->get_mmx || !e->ops->set_mmx)
		return OST_EMUL_UNHANDLEABLE;
	/* Neither REX.R nor REX.B names more of them. */
	ret = e->ops->get_mmx(e, reg & 7, val, &exception);
	if (ret == OST_EMUL_OK && exception && e->cr0 & X86_CR0_NE)
		return ost_emul_raise(e, OST_VEC_MF, false, 0);
	return ret;
}

/* MOVD and MOVQ. What the source, memory or a register of either kind, does not fill becomes 0. */
int ost_exec_mmx_load(struct ost_emul *e)
{
	struct ost_emul_operand *src = &e->op[1];
	u64 val;
	int ret = get_mmx(e, e->op[0].reg, &val);

	if (ret != OST_EMUL_OK)
		return ret;
	if (src->kind == OST_OPND_VEC)
		ret = get_mmx(e, src->reg, &src->value);
	else
		ret = ost_emul_load(e, src, false);
	if (ret != OST_EMUL_OK)
		return ret;
	val = src->value & ost_mask(src->bytes);
	return e->ops->set_mmx(e, e->op[0].reg & 7, &val);
}

/* MOVD, MOVQ and MOVNTQ. */
int ost_exec_mmx_store(struct ost_emul *e)
{
	struct ost_emul_operand *dst = &e->op[0];
	u64 val;
	int ret = get_mmx(e, e->op[1].reg, &val);

	if (ret != OST_EMUL_OK)
		return ret;
	if (dst->kind == OST_OPND_VEC)
		return e->ops->set_mmx(e, dst->reg & 7, &val);
	dst->value = val;
	ret = ost_emul_store(e, dst, false);
	return ret == OST_EMUL_OK ? e->ops->set_mmx(e, 0, NULL) : ret;
}

