// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder against Zydis: lengths of everything that Zydis knows, and operands of what the
 * emulator executes, over all opcodes and over random bytes, in all modes.
 */
#include <Zydis/Zydis.h>

#include "emulate/internal.h"
#include "tap.h"

struct mode {
	const char *name;
	ZydisMachineMode machine;
	ZydisStackWidth stack;
	u64 cr0, efer;
	bool db, l;
	bool amd;
};

static const struct mode modes[] = {
	{"real", ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16, 0, 0, false, false, false},
	{"prot16", ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16, X86_CR0_PE, 0, false, false,
	 false},
	{"prot32", ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32, X86_CR0_PE, 0, true, false,
	 false},
	{"compat32", ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32, X86_CR0_PE, EFER_LMA,
	 true, false, false},
	{"long64", ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, X86_CR0_PE, EFER_LMA, false,
	 true, false},
	{"long64-amd", ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, X86_CR0_PE, EFER_LMA,
	 false, true, true},
};

#define MAX_COMPLAINTS 5

static struct {
	const struct mode *mode;
	ZydisDecoder zydis;
	struct ost_emul emul;
	unsigned int complaints;
	unsigned long compared;
	unsigned long executable;
} t;

static void get_segment(struct ost_emul *e, enum ost_emul_seg seg, struct kvm_segment *var)
{
	memset(var, 0, sizeof(*var));
	var->limit = ~0u;
	var->present = 1;
	var->db = t.mode->db;
	var->l = t.mode->l;
}

static int no_fetch(struct ost_emul *e, u64 linear, void *buf, unsigned int len)
{
	return OST_EMUL_UNHANDLEABLE;
}

static const struct ost_emul_ops ops = {
	.get_segment = get_segment,
	.fetch = no_fetch,
};

static void set_mode(const struct mode *mode)
{
	t.mode = mode;
	t.complaints = 0;
	ZydisDecoderInit(&t.zydis, mode->machine, mode->stack);
	/* Its LZCNT and TZCNT are those of a CPU that has them, as most do. */
	ZydisDecoderEnableMode(&t.zydis, ZYDIS_DECODER_MODE_AMD_BRANCHES, mode->amd);
	ZydisDecoderEnableMode(&t.zydis, ZYDIS_DECODER_MODE_KNC, false);
	ost_emul_init(&t.emul, &ops, NULL);
	t.emul.amd = mode->amd;
	t.emul.cr0 = mode->cr0;
	t.emul.efer = mode->efer;
	t.emul.rip = 0x1000;
}

static void complain(const u8 *bytes, const char *what, long long ours, long long zydis)
{
	char hex[3 * OST_EMUL_MAX_LEN + 1];
	unsigned int i;

	if (t.complaints++ >= MAX_COMPLAINTS)
		return;
	for (i = 0; i < OST_EMUL_MAX_LEN; i++)
		sprintf(hex + 3 * i, "%02x ", bytes[i]);
	tap_fail(__FILE__, __LINE__, "%s: %s: %s is %#llx, Zydis has %#llx", t.mode->name, hex,
		 what, ours, zydis);
}

/* Number of a general register in the encoding, or -1. */
static int gpr_number(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
		if (reg >= ZYDIS_REGISTER_SPL)
			return reg - ZYDIS_REGISTER_SPL + 4;
		return reg - ZYDIS_REGISTER_AL;
	case ZYDIS_REGCLASS_GPR16:
		return reg - ZYDIS_REGISTER_AX;
	case ZYDIS_REGCLASS_GPR32:
		return reg - ZYDIS_REGISTER_EAX;
	case ZYDIS_REGCLASS_GPR64:
		return reg - ZYDIS_REGISTER_RAX;
	default:
		return -1;
	}
}

static int segment_number(ZydisRegister reg)
{
	return reg - ZYDIS_REGISTER_ES;
}

static void compare_mem(const u8 *bytes, const ZydisDecodedOperand *zop)
{
	const struct ost_emul_mem *mem = &t.emul.mem;
	bool rip = zop->mem.base == ZYDIS_REGISTER_RIP || zop->mem.base == ZYDIS_REGISTER_EIP;
	int base = rip || !zop->mem.base ? -1 : gpr_number(zop->mem.base);
	int index = zop->mem.index ? gpr_number(zop->mem.index) : -1;
	s64 disp = zop->mem.disp.has_displacement ? zop->mem.disp.value : 0;

	/*
	 * Zydis 4.0 takes R13 for the base where SIB.base is 5, ModRM.mod 0, REX.B 1 and the
	 * address size 32; LEA on a CPU has no base there, as the manuals say. (native_test.c runs
	 * LEA in all its forms.)
	 */
	if (mem->base == -1 && zop->mem.base == ZYDIS_REGISTER_R13D && t.emul.modrm < 0x40)
		return;
	/* An offset without ModRM is unsigned, which shows where it is as wide as addresses. */
	if (!t.emul.has_modrm)
		disp &= ost_mask(t.emul.address_size);

	if (mem->rip_relative != rip)
		complain(bytes, "rip_relative", mem->rip_relative, rip);
	if (mem->base != base)
		complain(bytes, "base", mem->base, base);
	if (mem->index != index)
		complain(bytes, "index", mem->index, index);
	if (index >= 0 && mem->scale != zop->mem.scale)
		complain(bytes, "scale", mem->scale, zop->mem.scale);
	if (mem->disp != disp)
		complain(bytes, "disp", mem->disp, disp);
	if (mem->seg != segment_number(zop->mem.segment) && zop->mem.type != ZYDIS_MEMOP_TYPE_AGEN)
		complain(bytes, "segment", mem->seg, segment_number(zop->mem.segment));
}

static void compare_operand(const u8 *bytes, const struct ost_emul_operand *op,
			    const ZydisDecodedOperand *zop)
{
	switch (zop->type) {
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (op->kind != OST_OPND_MEM)
			complain(bytes, "kind (for memory)", op->kind, OST_OPND_MEM);
		else
			compare_mem(bytes, zop);
		if (op->bytes && op->bytes * 8 != zop->size)
			complain(bytes, "memory bits", op->bytes * 8, zop->size);
		break;
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (gpr_number(zop->reg.value) < 0)
			break;
		if (op->kind != OST_OPND_REG)
			complain(bytes, "kind (for a register)", op->kind, OST_OPND_REG);
		else if (op->reg + 4 * op->high != gpr_number(zop->reg.value))
			complain(bytes, "register", op->reg + 4 * op->high,
				 gpr_number(zop->reg.value));
		if (op->bytes * 8 != zop->size)
			complain(bytes, "register bits", op->bytes * 8, zop->size);
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE: {
		u64 mask = op->bytes ? ost_mask(op->bytes) : ~0ULL;

		if (op->kind != OST_OPND_IMM)
			complain(bytes, "kind (for an immediate)", op->kind, OST_OPND_IMM);
		else if (zop->imm.is_relative && op->value != (u64)zop->imm.value.s)
			complain(bytes, "branch", op->value, zop->imm.value.s);
		else if ((op->value & mask) != (zop->imm.value.u & mask))
			complain(bytes, "immediate", op->value, zop->imm.value.u);
		break;
	}
	default:
		break;
	}
}

/*
 * Instructions whose operands the tables leave to the execution function, or write in another way.
 */
static bool operands_differ(const ZydisDecodedInstruction *insn)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_XCHG:  /* Zydis swaps the operands of one form */
	case ZYDIS_MNEMONIC_ARPL:  /* shares the table entry of MOVSXD, and is not executed */
	case ZYDIS_MNEMONIC_BOUND: /* a pair of operands in memory */
		return true;
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_JMP:
		/* its AMD mode leaves the operand of indirect branches at 64 bits */
		return t.emul.amd && t.emul.operand_prefix;
	case ZYDIS_MNEMONIC_MOVSXD:
		/* the CPU reads 16 bits for a 16-bit destination; Zydis says 32 */
		return t.emul.operand_size == 2;
	default:
		/* Segment registers that the opcode names, hints, strings */
		return t.emul.op[0].kind == OST_OPND_NONE;
	}
}

static void compare_operands(const u8 *bytes, const ZydisDecodedInstruction *insn,
			     const ZydisDecodedOperand *zops)
{
	ZydisDecodedOperand swapped[2];
	unsigned int i;

	if (!t.emul.opc->exec || operands_differ(insn))
		return;
	t.executable++;
	/* The data of IN and OUT is the first operand in the emulator. */
	if (insn->mnemonic == ZYDIS_MNEMONIC_OUT) {
		swapped[0] = zops[1];
		swapped[1] = zops[0];
		zops = swapped;
	}
	/* A source in VEX.vvvv has no operand of its own. */
	if (insn->mnemonic == ZYDIS_MNEMONIC_ANDN) {
		if (t.emul.vvvv != gpr_number(zops[1].reg.value))
			complain(bytes, "vvvv", t.emul.vvvv, gpr_number(zops[1].reg.value));
		compare_operand(bytes, &t.emul.op[0], &zops[0]);
		compare_operand(bytes, &t.emul.op[1], &zops[2]);
		return;
	}
	if (insn->mnemonic == ZYDIS_MNEMONIC_ENTER) {
		if (t.emul.imm2 != zops[1].imm.value.u)
			complain(bytes, "second immediate", t.emul.imm2, zops[1].imm.value.u);
		compare_operand(bytes, &t.emul.op[0], &zops[0]);
		return;
	}
	for (i = 0; i < insn->operand_count_visible && i < ARRAY_SIZE(t.emul.op); i++)
		compare_operand(bytes, &t.emul.op[i], &zops[i]);
}

/*
 * What Zydis rejects, though the length is right: legality that the emulator checks at execution.
 */
static bool rejected_later(const u8 *bytes, ZyanStatus status)
{
	const struct ost_emul *e = &t.emul;

	if (!e->opc->exec || e->opc->flags & F_UD)
		return true;
	if (status == ZYDIS_STATUS_ILLEGAL_LOCK || status == ZYDIS_STATUS_BAD_REGISTER)
		return true;
	/*
	 * VEX.L and VEX.vvvv; ARPL in real mode; mandatory prefixes of what has no operands (0F 01)
	 */
	if (e->vex || (e->map == OST_MAP_1B && e->opcode == 0x63) ||
	    (e->map == OST_MAP_0F && e->opcode == 0x01))
		return true;
	if (e->opc->flags & F_NO64 && ost_emul_is64(e))
		return true;
	if (e->opc->flags & F_PROT && !ost_emul_is_prot(e))
		return true;
	return false;
}

/* Compares one instruction; all of OST_EMUL_MAX_LEN bytes are there. */
static void compare(const u8 *bytes)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand zops[ZYDIS_MAX_OPERAND_COUNT];
	struct ost_emul *e = &t.emul;
	ZyanStatus status;
	int ret;

	ost_emul_begin(e, bytes, OST_EMUL_MAX_LEN);
	ret = ost_emul_decode(e);
	status = ZydisDecoderDecodeFull(&t.zydis, bytes, OST_EMUL_MAX_LEN, &insn, zops);
	if (!ZYAN_SUCCESS(status)) {
		if (ret == OST_EMUL_OK && !rejected_later(bytes, status))
			complain(bytes, "accepted length", e->len, 0);
		return;
	}
	/* Xeon Phi's encodings, which no CPU with SVM or VMX executes. */
	if (insn.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
	    insn.mnemonic == ZYDIS_MNEMONIC_JKZD || insn.mnemonic == ZYDIS_MNEMONIC_JKNZD)
		return;
	t.compared++;
	if (ret != OST_EMUL_OK)
		complain(bytes, "result", ret, insn.mnemonic);
	else if (e->len != insn.length)
		complain(bytes, "length", e->len, insn.length);
	else
		compare_operands(bytes, &insn, zops);
}

static u64 random_state = 0x9e3779b97f4a7c15ULL;

static u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void fill_random(u8 *bytes, unsigned int count)
{
	while (count--)
		*bytes++ = next_random() >> 24;
}

static const u8 prefix_sets[][3] = {
	{},	      {0x66},	    {0x67},	  {0xf2},	{0xf3},	      {0x66, 0x67},
	{0x66, 0xf3}, {0x66, 0xf2}, {0xf0},	  {0x2e},	{0x36, 0x67}, {0x64},
	{0x65, 0x66}, {0xf3, 0xf2}, {0x40},	  {0x48},	{0x4f},	      {0x66, 0x48},
	{0xf3, 0x48}, {0xf2, 0x44}, {0x48, 0x66}, {0x67, 0x41}, {0xf0, 0x42}, {0x66, 0xf3, 0x4d},
};

static const u8 escapes[][2] = {{}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};

/*
 * Each opcode of the old maps, with each set of prefixes and all ModRM bytes, SIB and what follows
 * random.
 */
static void compare_legacy_maps(unsigned int modrm_step)
{
	unsigned int p, m, op, modrm, i;

	for (p = 0; p < ARRAY_SIZE(prefix_sets); p++)
		for (m = 0; m < ARRAY_SIZE(escapes); m++)
			for (op = 0; op < 256; op++)
				for (modrm = next_random() % modrm_step; modrm < 256;
				     modrm += modrm_step) {
					u8 bytes[OST_EMUL_MAX_LEN + 8];
					unsigned int n = 0;

					fill_random(bytes, sizeof(bytes));
					for (i = 0; i < 3 && prefix_sets[p][i]; i++)
						bytes[n++] = prefix_sets[p][i];
					for (i = 0; i < 2 && escapes[m][i]; i++)
						bytes[n++] = escapes[m][i];
					bytes[n++] = op;
					bytes[n++] = modrm;
					compare(bytes);
				}
}

static void compare_vex(unsigned int rounds)
{
	static const u8 vex[] = {0xc4, 0xc5, 0x62, 0x8f};
	unsigned int v, op, i;

	for (v = 0; v < ARRAY_SIZE(vex); v++)
		for (op = 0; op < 256; op++)
			for (i = 0; i < rounds; i++) {
				u8 bytes[OST_EMUL_MAX_LEN];
				unsigned int n = vex[v] == 0xc5 ? 2 : vex[v] == 0x62 ? 4 : 3;

				fill_random(bytes, sizeof(bytes));
				bytes[0] = vex[v];
				/* Few maps exist: without this most are not known to anyone. */
				if (vex[v] == 0xc4)
					bytes[1] = (bytes[1] & 0xe0) | (1 + next_random() % 3);
				else if (vex[v] == 0x8f)
					bytes[1] = (bytes[1] & 0xe0) | (8 + next_random() % 3);
				else if (vex[v] == 0x62)
					bytes[1] = (bytes[1] & 0xf7);
				if (i & 1 && n > 2)
					bytes[2] |= 0x78; /* most have no second source */
				bytes[n] = op;
				compare(bytes);
			}
}

static void compare_random(unsigned int rounds)
{
	u8 bytes[OST_EMUL_MAX_LEN];

	while (rounds--) {
		fill_random(bytes, sizeof(bytes));
		compare(bytes);
	}
}

static void test_opcodes(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		set_mode(&modes[i]);
		compare_legacy_maps(5);
	}
	printf("# %lu instructions, operands of %lu\n", t.compared, t.executable);
}

static void test_vex(void)
{
	unsigned int i;

	t.compared = 0;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		set_mode(&modes[i]);
		compare_vex(200);
	}
	printf("# %lu instructions\n", t.compared);
	CHECK(t.compared > 50000);
}

static void test_random(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		set_mode(&modes[i]);
		compare_random(300000);
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("decode: all opcodes against Zydis", test_opcodes);
	tap_run("decode: VEX, EVEX and XOP against Zydis", test_vex);
	tap_run("decode: random bytes against Zydis", test_random);
	return tap_done();
}
