// SPDX-License-Identifier: GPL-2.0-only
/* From bytes to a decoded instruction (APM vol. 3, chapter 1; SDM vol. 2, chapter 2). */
#include "internal.h"

void ost_emul_init(struct ost_emul *e, const struct ost_emul_ops *ops, void *vcpu)
{
	memset(e, 0, sizeof(*e));
	e->ops = ops;
	e->vcpu = vcpu;
}

void ost_emul_begin(struct ost_emul *e, const u8 *bytes, unsigned int count)
{
	e->fetched = min_t(unsigned int, count, OST_EMUL_MAX_LEN);
	if (e->fetched)
		memcpy(e->bytes, bytes, e->fetched);
	e->segs_cached = 0;
	e->opc = NULL;
	e->id = OST_INSN_OTHER;
	e->len = 0;
	e->pio_count = 0;
	ost_emul_log_reset(e);
}

u64 ost_emul_next_rip(const struct ost_emul *e)
{
	u64 rip = e->rip + e->len;

	/* IP wraps at 64K only where the code segment makes addresses of 16 bits. */
	switch (e->mode) {
	case OST_EMUL_LONG64:
		return rip;
	case OST_EMUL_PROT32:
		return (u32)rip;
	default:
		return e->rip > 0xffff ? (u32)rip : (u16)rip;
	}
}

/* Bytes of one page, from e->fetched on; the instruction is known to reach the first of them. */
static int fetch_chunk(struct ost_emul *e)
{
	unsigned int len = OST_EMUL_MAX_LEN - e->fetched;
	u64 linear = e->rip + e->fetched;
	int ret;

	if (ost_emul_is64(e)) {
		if (!ost_emul_canonical(e, linear))
			return ost_emul_gp(e, 0);
	} else {
		const struct kvm_segment *cs = ost_emul_segment(e, OST_CS);
		u64 offset = (u32)e->rip + (u64)e->fetched;

		if (offset > cs->limit)
			return ost_emul_gp(e, 0);
		len = min_t(u64, len, cs->limit - offset + 1);
		linear = (u32)(cs->base + offset);
	}
	len = min_t(u64, len, 0x1000 - (linear & 0xfff));

	ret = e->ops->fetch(e, linear, e->bytes + e->fetched, len);
	if (ret == OST_EMUL_OK)
		e->fetched += len;
	return ret;
}

/* The next 'count' (up to 8) bytes, as a little-endian number. */
static int next_bytes(struct ost_emul *e, unsigned int count, u64 *value)
{
	unsigned int need = e->pos + count;
	unsigned int i;
	int ret;

	while (e->fetched < min_t(unsigned int, need, OST_EMUL_MAX_LEN)) {
		ret = fetch_chunk(e);
		if (ret != OST_EMUL_OK)
			return ret;
	}
	if (need > OST_EMUL_MAX_LEN)
		return ost_emul_gp(e, 0);

	*value = 0;
	for (i = 0; i < count; i++)
		*value |= (u64)e->bytes[e->pos++] << (8 * i);
	return OST_EMUL_OK;
}

static int next_u8(struct ost_emul *e, u8 *byte)
{
	u64 value;
	int ret = next_bytes(e, 1, &value);

	if (ret == OST_EMUL_OK)
		*byte = value;
	return ret;
}

static int next_signed(struct ost_emul *e, unsigned int count, u64 *value)
{
	int ret = next_bytes(e, count, value);

	if (ret == OST_EMUL_OK)
		*value = ost_sign_extend(*value, count);
	return ret;
}

static void find_mode(struct ost_emul *e)
{
	const struct kvm_segment *cs;

	if (!(e->cr0 & X86_CR0_PE)) {
		e->mode = OST_EMUL_REAL;
		return;
	}
	if (e->rflags & X86_EFLAGS_VM && !(e->efer & EFER_LMA)) {
		e->mode = OST_EMUL_VM86;
		return;
	}
	cs = ost_emul_segment(e, OST_CS);
	if (e->efer & EFER_LMA && cs->l)
		e->mode = OST_EMUL_LONG64;
	else
		e->mode = cs->db ? OST_EMUL_PROT32 : OST_EMUL_PROT16;
}

/* Takes a legacy prefix into account; false when the byte is none. */
static bool legacy_prefix(struct ost_emul *e, u8 byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		/* ES, CS, SS, DS; ignored in 64-bit mode (APM vol. 3, 1.2.4) */
		if (!ost_emul_is64(e))
			e->seg_override = byte >> 3 & 3;
		return true;
	case 0x64:
	case 0x65:
		e->seg_override = byte == 0x64 ? OST_FS : OST_GS;
		return true;
	case 0x66:
		e->operand_prefix = true;
		return true;
	case 0x67:
		e->address_prefix = true;
		return true;
	case 0xf0:
		e->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		e->rep = byte;
		return true;
	}
	return false;
}

/* Ends with the first byte of the opcode in e->opcode. */
static int decode_prefixes(struct ost_emul *e)
{
	int ret;

	for (;;) {
		ret = next_u8(e, &e->opcode);
		if (ret != OST_EMUL_OK)
			return ret;
		if (ost_emul_is64(e) && (e->opcode & 0xf0) == 0x40) {
			e->rex = e->opcode;
		} else if (legacy_prefix(e, e->opcode)) {
			/* REX counts only right before the opcode (APM vol. 3, 1.2.7). */
			e->rex = 0;
		} else {
			break;
		}
	}

	if (e->rep)
		e->pp = e->rep == 0xf3 ? 2 : 3;
	else
		e->pp = e->operand_prefix ? 1 : 0;
	return OST_EMUL_OK;
}

/*
 * R, X and B come inverted, in the top three bits. Outside 64-bit mode there are no upper
 * registers.
 */
static void take_inverted_rxb(struct ost_emul *e, u8 byte)
{
	e->rex = ost_emul_is64(e) ? 0x40 | (~byte >> 5 & 7) : 0x40;
}

static void take_vex_last(struct ost_emul *e, u8 byte)
{
	e->pp = byte & 3;
	e->vector_bytes = byte & 4 ? 32 : 16;
	e->vvvv = ~byte >> 3 & (ost_emul_is64(e) ? 15 : 7);
}

/* VEX, XOP and EVEX; e->opcode is the escape byte, and becomes the opcode. */
static int decode_vex(struct ost_emul *e)
{
	u8 byte[3] = {};
	unsigned int count = e->vex == 0xc5 ? 1 : e->vex == 0x62 ? 3 : 2;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = next_u8(e, &byte[i]);
		if (ret != OST_EMUL_OK)
			return ret;
	}
	ret = next_u8(e, &e->opcode);
	if (ret != OST_EMUL_OK)
		return ret;
	/* None of these may stand before it (APM vol. 3, 1.9; SDM vol. 2A, 2.3.2-2.3.3). */
	if (e->lock || e->rep || e->operand_prefix || e->rex)
		return ost_emul_ud(e);

	take_inverted_rxb(e, byte[0]);
	e->map = OST_MAP_0F;
	take_vex_last(e, byte[count == 1 ? 0 : 1]);
	if (count == 1) {
		/* the two-byte form has only R, and vvvv where the other has X and B */
		e->rex &= 0x44;
		return OST_EMUL_OK;
	}

	e->vex_w = byte[1] & 0x80;
	if (e->vex_w)
		e->rex |= 8;
	if (e->vex == 0x62) {
		e->map = (byte[0] & 7) + 1;
		e->vector_bytes = 16 << (byte[2] >> 5 & 3);
		/*
		 * Reserved bits; without them it is an encoding of another age (SDM vol. 2A, 2.7).
		 */
		if (byte[0] & 8 || !(byte[1] & 4))
			return OST_EMUL_UNHANDLEABLE;
	} else {
		e->map = (byte[0] & 0x1f) + (e->vex == 0x8f ? 0 : 1);
	}
	return OST_EMUL_OK;
}

/*
 * Whether an escape byte starts VEX, EVEX or XOP, or is the old instruction of that number: outside
 * 64-bit mode what follows tells, by forms that LES, LDS, BOUND and POP do not have.
 */
static int find_vex(struct ost_emul *e, bool *is_vex)
{
	u64 next;
	int ret;

	*is_vex = false;
	if (e->opcode != 0xc4 && e->opcode != 0xc5 && e->opcode != 0x62 && e->opcode != 0x8f)
		return OST_EMUL_OK;
	ret = next_bytes(e, 1, &next);
	if (ret != OST_EMUL_OK)
		return ret;
	e->pos--;

	if (e->opcode == 0x8f)
		*is_vex = (next & 0x1f) >= 8;
	else
		*is_vex = ost_emul_is64(e) || (next & 0xc0) == 0xc0;
	/* There they are #UD, as LDS and the others with a register are (SDM vol. 2A, 2.3). */
	if (*is_vex && !ost_emul_is_prot(e))
		return ost_emul_ud(e);
	return OST_EMUL_OK;
}

static const struct ost_opcode *vex_opcode(struct ost_emul *e)
{
	unsigned int index = array_index_nospec(e->opcode, 256);
	const struct ost_opcode *op = NULL;

	if (e->vex == 0x8f) {
		switch (e->map) {
		case 8:
			return &ost_opcode_modrm_imm8;
		case 9:
			return &ost_opcode_modrm;
		case 10:
			return &ost_opcode_modrm_imm32;
		}
		return NULL;
	}

	switch (e->map) {
	case OST_MAP_0F:
		if (e->vex != 0x62)
			op = &ost_opcodes_vex_0f[index];
		if (op && op->flags)
			return op;
		if (e->opcode == 0x77)
			return &ost_opcode_bare;
		/* Immediates stand where the instructions without VEX have them. */
		if ((e->opcode >= 0x70 && e->opcode <= 0x73) || e->opcode == 0xc2 ||
		    (e->opcode >= 0xc4 && e->opcode <= 0xc6))
			return &ost_opcode_modrm_imm8;
		return &ost_opcode_modrm;
	case OST_MAP_0F38:
		if (e->vex != 0x62)
			op = &ost_opcodes_vex_0f38[index];
		return op && op->flags ? op : &ost_opcode_modrm;
	case OST_MAP_0F3A:
		return &ost_opcode_modrm_imm8;
	case 6:
	case 7:
		/* MAP5 and MAP6, of AVX512-FP16 */
		return e->vex == 0x62 ? &ost_opcode_modrm : NULL;
	}
	return NULL;
}

static int find_opcode(struct ost_emul *e, const struct ost_opcode **op)
{
	bool is_vex;
	int ret;

	ret = find_vex(e, &is_vex);
	if (ret != OST_EMUL_OK)
		return ret;
	if (is_vex) {
		e->vex = e->opcode;
		ret = decode_vex(e);
		if (ret == OST_EMUL_OK)
			*op = vex_opcode(e);
		return ret;
	}

	e->map = OST_MAP_1B;
	if (e->opcode == 0x0f) {
		e->map = OST_MAP_0F;
		ret = next_u8(e, &e->opcode);
		if (ret == OST_EMUL_OK && (e->opcode == 0x38 || e->opcode == 0x3a)) {
			e->map = e->opcode == 0x38 ? OST_MAP_0F38 : OST_MAP_0F3A;
			ret = next_u8(e, &e->opcode);
		}
		if (ret != OST_EMUL_OK)
			return ret;
	}

	switch (e->map) {
	case OST_MAP_1B:
		*op = &ost_opcodes_1b[array_index_nospec(e->opcode, 256)];
		break;
	case OST_MAP_0F:
		*op = &ost_opcodes_0f[array_index_nospec(e->opcode, 256)];
		break;
	case OST_MAP_0F38:
		*op = &ost_opcodes_0f38[array_index_nospec(e->opcode, 256)];
		if (!(*op)->flags)
			*op = &ost_opcode_modrm;
		break;
	default:
		*op = &ost_opcode_modrm_imm8;
	}
	return OST_EMUL_OK;
}

static int fetch_modrm(struct ost_emul *e)
{
	int ret;

	if (e->has_modrm)
		return OST_EMUL_OK;
	ret = next_u8(e, &e->modrm);
	if (ret != OST_EMUL_OK)
		return ret;
	e->has_modrm = true;
	e->modrm_reg = (e->modrm >> 3 & 7) | (e->rex & 4) << 1;
	e->modrm_rm = (e->modrm & 7) | (e->rex & 1) << 3;
	return OST_EMUL_OK;
}

/* Follows the sub-tables of groups, down to the instruction itself. */
static int resolve(struct ost_emul *e, const struct ost_opcode **op)
{
	while ((*op)->flags & F_BY_ANY) {
		unsigned int index = e->pp;
		int ret;

		if (!((*op)->flags & F_BY_PP)) {
			ret = fetch_modrm(e);
			if (ret != OST_EMUL_OK)
				return ret;
			if ((*op)->flags & F_BY_REG)
				index = e->modrm >> 3 & 7;
			else if ((*op)->flags & F_BY_RM)
				index = e->modrm & 7;
			else
				index = e->modrm >= 0xc0;
		}
		*op = &(*op)->sub[array_index_nospec(index, 8)];
	}
	return OST_EMUL_OK;
}

static void find_sizes(struct ost_emul *e, u32 flags)
{
	bool wide = e->mode == OST_EMUL_PROT32;

	if (ost_emul_is64(e)) {
		e->address_size = e->address_prefix ? 4 : 8;
		if (flags & F_F64 || (flags & F_NEAR && !e->amd))
			e->operand_size = 8;
		else if (e->rex & 8)
			e->operand_size = 8;
		else if (e->operand_prefix)
			e->operand_size = 2;
		else
			e->operand_size = flags & (F_D64 | F_NEAR) ? 8 : 4;
		return;
	}
	e->address_size = wide != e->address_prefix ? 4 : 2;
	e->operand_size = wide != e->operand_prefix ? 4 : 2;
}

/* 16-bit addressing (APM vol. 3, 1.4): -1 where there is no register. */
static const struct {
	s8 base, index;
} rm16[8] = {
	{OST_RBX, OST_RSI}, {OST_RBX, OST_RDI}, {OST_RBP, OST_RSI}, {OST_RBP, OST_RDI},
	{OST_RSI, -1},	    {OST_RDI, -1},	{OST_RBP, -1},	    {OST_RBX, -1},
};

static int decode_mem16(struct ost_emul *e)
{
	unsigned int mod = e->modrm >> 6, rm = e->modrm & 7;
	unsigned int disp_bytes = mod;
	u64 disp;
	int ret;

	if (mod == 0 && rm == 6) {
		disp_bytes = 2;
	} else {
		e->mem.base = rm16[array_index_nospec(rm, 8)].base;
		e->mem.index = rm16[array_index_nospec(rm, 8)].index;
	}
	if (!disp_bytes)
		return OST_EMUL_OK;
	ret = next_signed(e, disp_bytes, &disp);
	if (ret == OST_EMUL_OK)
		e->mem.disp = disp;
	return ret;
}

static int decode_mem32(struct ost_emul *e)
{
	unsigned int mod = e->modrm >> 6, base = e->modrm & 7;
	unsigned int disp_bytes = mod == 2 ? 4 : mod;
	u64 disp;
	u8 sib;
	int ret;

	if (base == 4) {
		ret = next_u8(e, &sib);
		if (ret != OST_EMUL_OK)
			return ret;
		e->mem.index = (sib >> 3 & 7) | (e->rex & 2) << 2;
		e->mem.scale = 1 << (sib >> 6);
		/* RSP can't be an index */
		if (e->mem.index == OST_RSP)
			e->mem.index = -1;
		base = sib & 7;
		if (base == 5 && mod == 0)
			disp_bytes = 4;
		else
			e->mem.base = base | (e->rex & 1) << 3;
	} else if (base == 5 && mod == 0) {
		disp_bytes = 4;
		e->mem.rip_relative = ost_emul_is64(e);
	} else {
		e->mem.base = base | (e->rex & 1) << 3;
	}
	if (!disp_bytes)
		return OST_EMUL_OK;
	ret = next_signed(e, disp_bytes, &disp);
	if (ret == OST_EMUL_OK)
		e->mem.disp = disp;
	return ret;
}

static int decode_mem(struct ost_emul *e)
{
	int ret;

	e->mem.valid = true;
	ret = e->address_size == 2 ? decode_mem16(e) : decode_mem32(e);
	if (e->seg_override >= 0)
		e->mem.seg = e->seg_override;
	else if (e->mem.base == OST_RSP || e->mem.base == OST_RBP)
		e->mem.seg = OST_SS;
	return ret;
}

static unsigned int arg_bytes(const struct ost_emul *e, u8 size)
{
	switch (size) {
	case OST_SZ_V:
		return e->operand_size;
	case OST_SZ_Z:
		return min_t(unsigned int, e->operand_size, 4);
	case OST_SZ_Y:
		return e->rex & 8 && ost_emul_is64(e) ? 8 : 4;
	case OST_SZ_N:
		return ost_emul_is64(e) ? 8 : 4;
	case OST_SZ_X:
		return e->vector_bytes;
	case OST_SZ_P:
		return 2 + e->operand_size;
	case OST_SZ_WV:
		return e->modrm >= 0xc0 ? e->operand_size : 2;
	default:
		return size;
	}
}

static void take_gpr(const struct ost_emul *e, struct ost_emul_operand *op, unsigned int reg)
{
	op->kind = OST_OPND_REG;
	op->reg = reg;
	/* Without REX numbers 4-7 of byte registers are AH, CH, DH, BH. */
	if (op->bytes == 1 && reg >= 4 && reg < 8 && !e->rex && !e->vex) {
		op->reg = reg - 4;
		op->high = true;
	}
}

static int take_immediate(struct ost_emul *e, struct ost_emul_operand *op, unsigned int at, u8 size)
{
	int ret;

	op->kind = OST_OPND_IMM;
	if (at == OST_AT_SIMM) {
		op->bytes = e->operand_size;
		return next_signed(e, 1, &op->value);
	}
	if (at == OST_AT_REL)
		return next_signed(e, op->bytes, &op->value);
	/* A 32-bit immediate of a 64-bit operation is sign-extended (APM vol. 3, 1.6). */
	if (size == OST_SZ_Z) {
		ret = next_signed(e, op->bytes, &op->value);
		op->bytes = e->operand_size;
		return ret;
	}
	return next_bytes(e, op->bytes, &op->value);
}

static int take_moffs(struct ost_emul *e, struct ost_emul_operand *op)
{
	u64 offset;
	int ret = next_bytes(e, e->address_size, &offset);

	op->kind = OST_OPND_MEM;
	e->mem.valid = true;
	e->mem.disp = offset;
	if (e->seg_override >= 0)
		e->mem.seg = e->seg_override;
	return ret;
}

static int take_far(struct ost_emul *e, struct ost_emul_operand *op)
{
	u64 selector = 0;
	int ret;

	op->kind = OST_OPND_FAR;
	ret = next_bytes(e, e->operand_size, &op->value);
	if (ret == OST_EMUL_OK)
		ret = next_bytes(e, 2, &selector);
	op->reg = selector;
	return ret;
}

static int take_arg(struct ost_emul *e, struct ost_emul_operand *op, u16 arg)
{
	unsigned int at = arg >> 8;
	u8 size = arg;

	op->bytes = arg_bytes(e, size);
	switch (at) {
	case OST_AT_MEM:
		if (e->modrm >= 0xc0)
			return ost_emul_ud(e);
		op->kind = OST_OPND_MEM;
		break;
	case OST_AT_RM:
		op->kind = OST_OPND_MEM;
		if (e->modrm >= 0xc0)
			take_gpr(e, op, e->modrm_rm);
		break;
	case OST_AT_RMREG:
		take_gpr(e, op, e->modrm_rm);
		break;
	case OST_AT_REG:
		take_gpr(e, op, e->modrm_reg);
		break;
	case OST_AT_OPREG:
		take_gpr(e, op, (e->opcode & 7) | (e->rex & 1) << 3);
		break;
	case OST_AT_ACC:
		op->kind = OST_OPND_REG;
		op->reg = OST_RAX;
		break;
	case OST_AT_CL:
		op->kind = OST_OPND_REG;
		op->reg = OST_RCX;
		break;
	case OST_AT_DX:
		op->kind = OST_OPND_REG;
		op->reg = OST_RDX;
		break;
	case OST_AT_ONE:
		op->kind = OST_OPND_IMM;
		op->value = 1;
		break;
	case OST_AT_IMM:
	case OST_AT_SIMM:
	case OST_AT_REL:
		return take_immediate(e, op, at, size);
	case OST_AT_MOFFS:
		return take_moffs(e, op);
	case OST_AT_FAR:
		return take_far(e, op);
	case OST_AT_SEG:
		op->kind = OST_OPND_SEG;
		op->reg = e->modrm >> 3 & 7;
		if (op->reg > OST_GS)
			return ost_emul_ud(e);
		break;
	case OST_AT_CR:
		op->kind = OST_OPND_CR;
		op->reg = e->modrm_reg;
		break;
	case OST_AT_DR:
		op->kind = OST_OPND_DR;
		op->reg = e->modrm_reg;
		break;
	case OST_AT_VREG:
		op->kind = OST_OPND_VEC;
		op->reg = e->modrm_reg;
		break;
	case OST_AT_VRM:
		op->kind = e->modrm >= 0xc0 ? OST_OPND_VEC : OST_OPND_MEM;
		op->reg = e->modrm_rm;
		break;
	}
	return OST_EMUL_OK;
}

/* Immediates of instructions whose operands don't matter. */
static int skip_immediates(struct ost_emul *e, u32 flags)
{
	unsigned int bytes = 0;
	u64 value;
	int ret;

	if (flags & F_IMM8)
		bytes = 1;
	else if (flags & F_IMMZ)
		bytes = e->vex ? 4 : arg_bytes(e, OST_SZ_Z);
	if (bytes) {
		ret = next_bytes(e, bytes, &value);
		if (ret != OST_EMUL_OK)
			return ret;
	}
	return flags & F_IMM8_2 ? next_bytes(e, 1, &e->imm2) : OST_EMUL_OK;
}

static void reset_decoded(struct ost_emul *e)
{
	e->pos = 0;
	e->rex = 0;
	e->rep = 0;
	e->pp = 0;
	e->seg_override = -1;
	e->lock = false;
	e->operand_prefix = false;
	e->address_prefix = false;
	e->vex = 0;
	e->vvvv = 0;
	e->vex_w = false;
	e->vector_bytes = 16;
	e->has_modrm = false;
	e->modrm = 0;
	e->modrm_reg = 0;
	e->modrm_rm = 0;
	e->imm2 = 0;
	memset(e->op, 0, sizeof(e->op));
	e->mem = (struct ost_emul_mem){.seg = OST_DS, .base = -1, .index = -1, .scale = 1};
}

int ost_emul_decode(struct ost_emul *e)
{
	const struct ost_opcode *op = NULL;
	unsigned int i;
	int ret;

	e->insn_rip = e->rip;
	reset_decoded(e);
	find_mode(e);
	ret = decode_prefixes(e);
	if (ret == OST_EMUL_OK)
		ret = find_opcode(e, &op);
	if (ret != OST_EMUL_OK)
		return ret;
	if (!op)
		return OST_EMUL_UNHANDLEABLE;
	ret = resolve(e, &op);
	if (ret != OST_EMUL_OK)
		return ret;
	if (!op->flags)
		return OST_EMUL_UNHANDLEABLE;

	find_sizes(e, op->flags);
	if (op->flags & F_MODRM || e->has_modrm) {
		ret = fetch_modrm(e);
		if (ret == OST_EMUL_OK && e->modrm < 0xc0 && !(op->flags & F_REGONLY))
			ret = decode_mem(e);
		if (ret != OST_EMUL_OK)
			return ret;
	}
	for (i = 0; i < ARRAY_SIZE(e->op); i++) {
		ret = take_arg(e, &e->op[i], op->arg[i]);
		if (ret != OST_EMUL_OK)
			return ret;
	}
	ret = skip_immediates(e, op->flags);
	if (ret != OST_EMUL_OK)
		return ret;

	e->opc = op;
	e->id = op->id;
	e->len = e->pos;
	return OST_EMUL_OK;
}
