// SPDX-License-Identifier: GPL-2.0-only
/* Puts instructions together from random numbers, runs them both ways, and compares. */
#include <stdlib.h>

#include "emulate/internal.h"
#include "native.h"
#include "native_compare.h"
#include "native_templates.h"

#define MAX_COMPLAINTS 4

/* Conditions: 16 each of CMOVcc, SETcc and Jcc. */
static struct template conditions[64];

static void fill_conditions(void)
{
	unsigned int cc;

	for (cc = 0; cc < 16; cc++) {
		conditions[cc] = (struct template){"cmovcc", 2, 0x40 + cc, 0, -1, U_NONE, 0, NULL};
		conditions[16 + cc] =
			(struct template){"setcc", 2, 0x90 + cc, 0, -1, U_NONE, 0, NULL};
		conditions[32 + cc] = (struct template){
			"jcc Jb", 1, 0x70 + cc, 0, -1, U_NONE, T_PLAIN | T_NO66 | T_JB, NULL};
		conditions[48 + cc] = (struct template){
			"jcc Jz", 2, 0x80 + cc, 0, -1, U_NONE, T_PLAIN | T_NO66 | T_IZ | T_TARGET,
			NULL};
	}
}

/* The emulator's side: the same data page, and nothing else mapped. */
static struct {
	struct ost_emul e;
	u8 mem[NATIVE_DATA_SIZE];
	u8 vec[NATIVE_VECTORS][32];
	u16 selectors[2][6]; /* in 64-bit and in 32-bit mode */
	bool compat;
	unsigned int complaints;
	unsigned long faults, runs;
} t;

static u64 (*next_random)(void);

static bool one_in(unsigned int n)
{
	return (next_random() >> 20) % n == 0;
}

static const u64 notable[] = {
	0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	~0ULL, 1ULL << 63, ~0ULL >> 1,
};

static u64 interesting(void)
{
	if (one_in(2))
		return notable[(next_random() >> 20) % ARRAY_SIZE(notable)];
	return one_in(2) ? next_random() : next_random() >> (next_random() >> 20) % 64;
}

static int access(u64 linear, unsigned int len, bool write)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		if (linear + i - NATIVE_DATA >= NATIVE_DATA_SIZE)
			return ost_emul_raise_pf(&t.e, linear + i, 4 | (write ? 2 : 0));
	return OST_EMUL_OK;
}

static int op_read(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 how)
{
	int ret = access(linear, len, how & OST_EMUL_ACCESS_RMW);

	if (ret == OST_EMUL_OK)
		memcpy(buf, t.mem + (linear - NATIVE_DATA), len);
	return ret;
}

static int op_write(struct ost_emul *e, u64 linear, const void *buf, unsigned int len, u32 how)
{
	int ret = access(linear, len, true);

	if (ret == OST_EMUL_OK)
		memcpy(t.mem + (linear - NATIVE_DATA), buf, len);
	return ret;
}

static int op_cmpxchg(struct ost_emul *e, u64 linear, const void *old, const void *new,
		      unsigned int len, u32 how)
{
	int ret = access(linear, len, true);

	if (ret == OST_EMUL_OK && memcmp(t.mem + (linear - NATIVE_DATA), old, len))
		ret = OST_EMUL_UNHANDLEABLE;
	return ret == OST_EMUL_OK ? op_write(e, linear, new, len, how) : ret;
}

static void op_get_segment(struct ost_emul *e, enum ost_emul_seg seg, struct kvm_segment *var)
{
	*var = (struct kvm_segment){.limit = ~0u, .present = 1, .s = 1, .type = 3, .dpl = 3};
	if (seg <= OST_GS)
		var->selector = t.selectors[t.compat][seg];
	if (seg == OST_CS) {
		var->l = !t.compat;
		var->db = t.compat;
		var->type = 0xb;
	}
	if (seg == OST_SS)
		var->db = t.compat;
}

static int op_get_xcr(struct ost_emul *e, u32 nr, u64 *val)
{
	*val = 7;
	return OST_EMUL_OK;
}

static int op_get_vec(struct ost_emul *e, unsigned int nr, void *buf, unsigned int len)
{
	memcpy(buf, t.vec[nr], len);
	return OST_EMUL_OK;
}

static int op_set_vec(struct ost_emul *e, unsigned int nr, const void *buf, unsigned int len)
{
	memcpy(t.vec[nr], buf, len);
	return OST_EMUL_OK;
}

static const struct ost_emul_ops ops = {
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.get_segment = op_get_segment,
	.get_xcr = op_get_xcr,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
};

/* The compilers do not agree on a name for it. */
static bool has_lzcnt(void)
{
	u32 eax = 0x80000001, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ecx & BIT(5);
}

void native_compare_init(void)
{
	native_init();
	fill_conditions();
	ost_emul_init(&t.e, &ops, NULL);
	t.e.amd = __builtin_cpu_is("amd");
	t.e.has_tzcnt = __builtin_cpu_supports("bmi");
	t.e.has_lzcnt = has_lzcnt();
	native_selectors(t.selectors[0], t.selectors[1]);
}

static bool cpu_has(const char *feature)
{
	if (!feature)
		return true;
	if (!strcmp(feature, "bmi"))
		return __builtin_cpu_supports("bmi");
	if (!strcmp(feature, "lzcnt"))
		return has_lzcnt();
	if (!strcmp(feature, "popcnt"))
		return __builtin_cpu_supports("popcnt");
	if (!strcmp(feature, "sse4.2"))
		return __builtin_cpu_supports("sse4.2");
	/* CPUs with AVX2 have MOVBE; the compiler has no name for it */
	return __builtin_cpu_supports("avx2");
}

/* An instruction being put together, with the registers that its operands need. */
struct candidate {
	const struct template *t;
	u8 bytes[OST_EMUL_MAX_LEN + 8];
	unsigned int len;
	struct native_state in;
	bool address32;
	bool operand16;
	bool locked;
	bool impossible;      /* a register would have to be two things */
	u16 address_regs;     /* bit per register that the address is made of */
	unsigned int disp_at; /* of a RIP-relative displacement, or 0 */
	u64 address;	      /* of the memory operand */
};

/* Mostly inside the data pages, also across their boundary, across both ends, and not canonical. */
static u64 pick_address(const struct candidate *c)
{
	u64 r = next_random() >> 20;
	u64 offset;

	switch (r % 16) {
	case 0:
		return NATIVE_DATA + NATIVE_DATA_SIZE - r / 16 % 40;
	case 1:
		return NATIVE_DATA - r / 16 % 20;
	case 2:
	case 3:
		return NATIVE_DATA + 0x1000 - r / 16 % 40;
	case 4:
		if (!c->address32 && !t.compat && !(c->t->flags & (T_BITREG | T_STRING)) &&
		    one_in(4))
			return 0x8000000000000000ULL | r;
		fallthrough;
	default:
		offset = 64 + r / 16 % (NATIVE_DATA_SIZE - 256);
		return NATIVE_DATA + (one_in(2) ? offset & ~31ULL : offset);
	}
}

static void put(struct candidate *c, u64 value, unsigned int bytes)
{
	memcpy(c->bytes + c->len, &value, bytes);
	c->len += bytes;
}

/* VEX in three bytes; 'rex' has W, R, X, B as REX has them. */
static void put_vex(struct candidate *c, u8 rex, bool wide)
{
	static const u8 pp_of[] = {0, 1, 2, 3};
	unsigned int pp = c->t->pp == 0x66 ? 1 : c->t->pp == 0xf3 ? 2 : c->t->pp == 0xf2 ? 3 : 0;
	u8 vvvv = c->t->flags & T_VEX_ONLY ? next_random() >> 20 & 15 : 15;

	put(c, 0xc4, 1);
	put(c, (~rex & 7) << 5 | (c->t->map - 1), 1);
	put(c, (rex & 8) << 4 | vvvv << 3 | (wide ? 4 : 0) | pp_of[pp], 1);
}

static void put_prefixes_and_opcode(struct candidate *c, u8 rex, bool use_rex)
{
	const struct template *tmpl = c->t;
	bool vex =
		tmpl->flags & T_VEX_ONLY || (tmpl->flags & T_VEX && native_has_avx() && one_in(2));

	c->address32 = one_in(8);
	if (c->address32)
		put(c, 0x67, 1);
	if (vex) {
		/* lengths of 256 bits for those that have them */
		bool only_128 = tmpl->opcode == 0x6e || tmpl->opcode == 0x7e ||
				tmpl->opcode == 0xd6 || tmpl->flags & T_VEX_ONLY;
		bool avx2 = tmpl->map == 3;

		put_vex(c, rex,
			!only_128 && (!avx2 || __builtin_cpu_supports("avx2")) && one_in(2));
	} else {
		c->operand16 = !(tmpl->flags & T_NO66) && one_in(4);
		if (c->operand16)
			put(c, 0x66, 1);
		c->locked = tmpl->flags & T_LOCK ? one_in(3) : one_in(64);
		if (c->locked)
			put(c, 0xf0, 1);
		if (tmpl->flags & T_STRING && !one_in(3))
			put(c, one_in(2) ? 0xf3 : 0xf2, 1);
		if (tmpl->pp)
			put(c, tmpl->pp, 1);
		if (use_rex)
			put(c, rex, 1);
		if (tmpl->map != OST_MAP_1B)
			put(c, 0x0f, 1);
		if (tmpl->map == OST_MAP_0F38)
			put(c, 0x38, 1);
	}
	put(c, tmpl->opcode, 1);
}

/*
 * Locked accesses over two cache lines are trapped and slowed down by Linux, on a busy machine for
 * ever. XCHG with memory is locked by itself.
 */
static bool is_locked(const struct candidate *c)
{
	return c->locked || (c->t->map == OST_MAP_1B && (c->t->opcode & 0xfe) == 0x86);
}

/*
 * 67 in 32-bit mode: addresses of 16 bits, of which none is mapped. What is compared is the address
 * of the page fault, or what LEA makes of it.
 */
static void put_modrm16(struct candidate *c)
{
	unsigned int reg = c->t->reg >= 0 ? c->t->reg : next_random() >> 20 & 7;
	unsigned int mod = next_random() >> 20 & 3, rm = next_random() >> 20 & 7;

	if (c->t->flags & T_MEM && mod == 3)
		mod = 2;
	put(c, mod << 6 | reg << 3 | rm, 1);
	if (mod == 1)
		put(c, next_random() >> 20, 1);
	else if (mod == 2 || (mod == 0 && rm == 6))
		put(c, next_random() >> 20, 2);
	/* not to be pushed to or jumped to, nor to be locked */
	c->impossible = c->t->flags & (T_STACK | T_TARGET) || is_locked(c);
}

/*
 * A register gets the value that makes the address; above the 32 bits that count it holds anything.
 */
static void set_base(struct candidate *c, unsigned int reg, u64 value)
{
	if (t.compat)
		c->in.gpr[reg] = (u32)value;
	else
		c->in.gpr[reg] = c->address32 ? (u32)value | (next_random() << 32) : value;
	c->address_regs |= BIT(reg);
}

static void put_modrm(struct candidate *c, u8 rex)
{
	const struct template *tmpl = c->t;
	unsigned int base = (next_random() >> 20 & 7) | (rex & 1) << 3;
	unsigned int index = (next_random() >> 24 & 7) | (rex & 2) << 2;
	unsigned int reg = tmpl->reg >= 0 ? tmpl->reg : next_random() >> 20 & 7;
	unsigned int scale = next_random() >> 20 & 3, mod = next_random() >> 20 & 3;
	u64 full_reg = reg | (rex & 4) << 1;
	s64 disp = 0;

	if (tmpl->flags & T_MEM && mod == 3)
		mod = 1;
	if (tmpl->flags & T_BITREG) {
		/* the offset must not be part of the address, nor reach far */
		while (base == full_reg || index == full_reg) {
			reg = (reg + 1) & 7;
			full_reg = reg | (rex & 4) << 1;
		}
		c->in.gpr[full_reg] = (s64)(next_random() >> 20 & 0x1fff) - 0x1000;
	}
	if (mod == 3) {
		put(c, 0xc0 | reg << 3 | (base & 7), 1);
		return;
	}
	c->address = pick_address(c);
	if (is_locked(c))
		c->address &= ~15ULL;
	if (mod == 1)
		disp = (s8)(next_random() >> 20);
	else if (mod == 2)
		disp = (s32)(next_random() >> 20);

	if (mod == 0 && (base & 7) == 5) {
		/* RIP-relative */
		put(c, reg << 3 | 5, 1);
		c->disp_at = c->len;
		put(c, 0, 4);
		return;
	}
	if ((base & 7) == 4 || one_in(3)) {
		/* with ModRM.mod 0 this base is a displacement alone */
		if (mod == 0 && (base & 7) == 5)
			mod = 1;
		put(c, mod << 6 | reg << 3 | 4, 1);
		/* 4 is no index; with REX.X it is R12, which is one */
		if (index == base || one_in(4))
			index = OST_RSP | (rex & 2) << 2;
		c->impossible = index == base && index != OST_RSP;
		put(c, scale << 6 | (index & 7) << 3 | (base & 7), 1);
		if (index == OST_RSP)
			set_base(c, base, c->address - disp);
		else
			set_base(c, base, c->address - disp - (c->in.gpr[index] << scale));
		if (index != OST_RSP)
			c->address_regs |= BIT(index);
	} else {
		put(c, mod << 6 | reg << 3 | (base & 7), 1);
		set_base(c, base, c->address - disp);
	}
	if (mod == 1)
		put(c, disp, 1);
	else if (mod == 2)
		put(c, disp, 4);
}

/* The instruction's immediate; its size needs the prefixes that were put. */
static void put_immediate(struct candidate *c, u8 rex)
{
	u32 flags = c->t->flags;
	bool word = c->operand16 && !(rex & 8);

	if (flags & T_IB)
		put(c, interesting(), 1);
	else if (flags & T_JB)
		put(c, NATIVE_NEAR_PAD, 1);
	else if (flags & T_IZ && flags & T_TARGET)
		put(c, native_landing(next_random() >> 20 & 7) - (NATIVE_INSN + c->len + 4), 4);
	else if (flags & T_IZ)
		put(c, interesting(), word ? 2 : 4);
	else if (flags & T_IW)
		put(c, interesting(), 2);
	else if (flags & T_IV)
		put(c, interesting(), rex & 8 ? 8 : word ? 2 : 4);
	else if (flags & T_MOFFS)
		put(c, c->address, (c->address32 ? 4 : 8) / (t.compat ? 2 : 1));
	else if (flags & T_ENTER)
		put(c, next_random() >> 20 & 0xff, 3);
}

/* Whether 16 bytes from there on are in the data pages. */
static bool in_data(u64 address)
{
	return address >= NATIVE_DATA && address < NATIVE_DATA + NATIVE_DATA_SIZE - 16;
}

/* What of registers and memory makes an instruction worth running. */
static void prepare_operands(struct candidate *c)
{
	struct native_state *in = &c->in;
	u64 *where = NULL;

	if (in_data(c->address))
		where = (u64 *)(t.mem + (c->address - NATIVE_DATA));
	if (c->t->flags & (T_CMPXCHG | T_DIV) && c->address_regs & (BIT(OST_RAX) | BIT(OST_RDX)))
		return;
	if (c->t->flags & T_CMPXCHG && where && one_in(2)) {
		memcpy(&in->gpr[OST_RAX], where, 8);
		memcpy(&in->gpr[OST_RDX], (u8 *)where + (c->t->opcode == 0xc7 ? 8 : 0), 8);
	}
	if (c->t->flags & T_DIV && one_in(2))
		in->gpr[OST_RDX] = one_in(2) ? 0 : in->gpr[OST_RAX] >> 63 ? ~0ULL : 0;
	if (c->t->flags & T_TARGET && where) {
		u64 target = native_landing(next_random() >> 20 & 7);

		memcpy(where, &target, 8);
	}
	if (c->t->flags & T_POPF) {
		u64 flags = next_random() & (OST_FLAGS_ARITH | X86_EFLAGS_DF | X86_EFLAGS_ID);

		in->gpr[OST_RSP] = NATIVE_DATA + 0x800;
		memcpy(t.mem + 0x800, &flags, 8);
	}
}

/* Returns false when the combination can't be run (a register would have to be two things). */
static bool build(struct candidate *c, const struct template *tmpl)
{
	u8 rex = 0x40 | (next_random() >> 20 & 15);
	bool use_rex = !t.compat && (one_in(2) || tmpl->flags & T_VEX_ONLY);
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->t = tmpl;
	if (!use_rex)
		rex = 0;
	for (i = 0; i < 16; i++)
		c->in.gpr[i] = t.compat ? (u32)interesting() : interesting();
	for (i = 0; i < sizeof(c->in.vec); i++)
		((u8 *)c->in.vec)[i] = next_random() >> 20;
	c->in.gpr[OST_RSP] = NATIVE_DATA + 0x1000 + (next_random() >> 20 & 0x1f8);
	c->in.rflags = (next_random() & (OST_FLAGS_ARITH | X86_EFLAGS_DF)) | X86_EFLAGS_FIXED |
		       X86_EFLAGS_IF;
	if (!(tmpl->flags & (T_STRING | T_POPF)))
		c->in.rflags &= ~X86_EFLAGS_DF;

	put_prefixes_and_opcode(c, rex, use_rex);
	if (tmpl->flags & T_PLAIN)
		c->address = pick_address(c);
	else if (t.compat && c->address32)
		put_modrm16(c);
	else
		put_modrm(c, rex);
	put_immediate(c, rex);
	if (c->impossible)
		return false;
	if (c->disp_at) {
		u32 disp = c->address - (t.compat ? 0 : NATIVE_INSN + c->len);

		/* Not canonical is out of its reach. */
		if (c->address >> 32)
			return false;
		memcpy(c->bytes + c->disp_at, &disp, 4);
	}
	if (tmpl->flags & T_XLAT)
		set_base(c, OST_RBX, c->address - (c->in.gpr[OST_RAX] & 0xff));
	if (tmpl->flags & T_FRAME)
		c->in.gpr[OST_RBP] = c->address;
	if (tmpl->flags & T_STRING) {
		set_base(c, OST_RSI, pick_address(c));
		set_base(c, OST_RDI, pick_address(c));
		c->in.gpr[OST_RCX] = 1 + (next_random() >> 20) % 40;
	}
	prepare_operands(c);
	/* A jump target in a register is one of the landing pads, too. */
	if (tmpl->flags & T_TARGET && !(tmpl->flags & T_PLAIN) && !c->address) {
		u8 modrm = c->bytes[c->len - 1];

		c->in.gpr[(modrm & 7) | (rex & 1) << 3] = native_landing(modrm & 7);
	}
	/* What is pushed and popped, or jumped to, must not be this program's. */
	if (tmpl->flags & T_STACK &&
	    c->in.gpr[OST_RSP] - (NATIVE_DATA - 64) > NATIVE_DATA_SIZE + 128)
		return false;
	if (tmpl->flags & T_TARGET && c->address && !in_data(c->address))
		return false;
	return true;
}

static u64 undefined_flags(const struct template *tmpl)
{
	const struct ost_emul *e = &t.e;
	unsigned int bits = 8 * e->op[0].bytes;
	u64 count = e->op[tmpl->undefined == U_DSHIFT ? 2 : 1].value & (bits == 64 ? 63 : 31);
	u64 undefined = 0;

	switch (tmpl->undefined) {
	case U_NONE:
		break;
	case U_LOGIC:
		return X86_EFLAGS_AF;
	case U_SHIFT:
		/* SAR's CF is the sign however far it goes */
		if (count > bits && tmpl->reg != 7)
			undefined |= X86_EFLAGS_CF;
		fallthrough;
	case U_DSHIFT:
		undefined |= X86_EFLAGS_AF;
		fallthrough;
	case U_ROTATE:
		if (!count)
			return 0;
		return count == 1 ? undefined : undefined | X86_EFLAGS_OF;
	case U_BIT:
	case U_COUNT:
		return OST_FLAGS_ARITH & ~(X86_EFLAGS_CF | X86_EFLAGS_ZF);
	case U_SCAN:
		return OST_FLAGS_ARITH & ~X86_EFLAGS_ZF;
	case U_MUL:
		return OST_FLAGS_ARITH & ~(X86_EFLAGS_CF | X86_EFLAGS_OF);
	case U_DIV:
		return OST_FLAGS_ARITH;
	case U_ANDN:
		return X86_EFLAGS_AF | X86_EFLAGS_PF;
	}
	return 0;
}

/* Runs it in the emulator, to its end. */
static int emulate(const struct candidate *c, struct native_state *out)
{
	struct ost_emul *e = &t.e;
	int ret;

	ost_emul_begin(e, c->bytes, OST_EMUL_MAX_LEN);
	memcpy(e->gpr, c->in.gpr, sizeof(e->gpr));
	memcpy(t.vec, c->in.vec, sizeof(t.vec));
	e->rip = NATIVE_INSN;
	e->rflags = c->in.rflags;
	e->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP | X86_CR0_AM;
	e->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXSAVE | X86_CR4_PAE;
	e->efer = EFER_LMA | EFER_LME;
	e->cpl = 3;

	*out = c->in;
	out->vector = -1;
	ret = ost_emul_decode(e);
	while (ret == OST_EMUL_OK) {
		ret = ost_emul_execute(e);
		if (ret == OST_EMUL_OK && e->completed)
			break;
	}
	memcpy(out->gpr, e->gpr, sizeof(out->gpr));
	memcpy(out->vec, t.vec, sizeof(out->vec));
	out->rip = e->rip;
	out->rflags = e->rflags;
	if (ret == OST_EMUL_FAULT) {
		out->vector = e->exception.vector;
		out->error_code = e->exception.has_error_code ? e->exception.error_code : 0;
		out->cr2 = e->exception.address;
	}
	return ret;
}

static void complain(const struct candidate *c, const char *what, u64 ours, u64 cpu)
{
	char hex[3 * OST_EMUL_MAX_LEN + 1] = "";
	unsigned int i;

	if (t.complaints++ > MAX_COMPLAINTS)
		return;
	if (t.complaints > MAX_COMPLAINTS) {
		native_report("%s: more", c->t->name);
		return;
	}
	for (i = 0; i < c->len && i < OST_EMUL_MAX_LEN; i++)
		sprintf(hex + 3 * i, "%02x ", c->bytes[i]);
	native_report("%s (%s): %s is %#llx, the CPU has %#llx", c->t->name, hex,
		 what, ours, cpu);
}

static void compare(const struct candidate *c, const struct native_state *ours,
		    const struct native_state *cpu)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	u64 flags = OST_FLAGS_ARITH | X86_EFLAGS_DF | X86_EFLAGS_ID, mask = ~0ULL;
	unsigned int i;

	/* Whether BOUND looks at its lower bound before it has read the upper one is nowhere told. */
	if (c->t->map == OST_MAP_1B && c->t->opcode == 0x62 && ours->vector == 14 &&
	    cpu->vector == 5)
		return;
	if (ours->vector != cpu->vector) {
		complain(c, "vector", ours->vector, cpu->vector);
		return;
	}
	/* The other half of each register has no meaning outside 64-bit mode. */
	if (t.compat)
		mask = ~0u;
	if (cpu->vector == 14 && (ours->error_code & 7) != (cpu->error_code & 7))
		complain(c, "error code", ours->error_code, cpu->error_code);
	/* Which operand of CMPS is read first is nowhere told. */
	if (cpu->vector == 14 && ours->cr2 != cpu->cr2 && (c->t->opcode & 0xfe) != 0xa6)
		complain(c, "cr2", ours->cr2, cpu->cr2);
	if (ours->rip != cpu->rip)
		complain(c, "rip", ours->rip, cpu->rip);
	/*
	 * Some CPUs clear the upper halves of 32-bit string registers before the first element
	 * faults.
	 */
	if (c->t->flags & T_STRING && c->address32 && cpu->vector >= 0)
		mask = ~0u;
	for (i = 0; i < (t.compat ? 8 : 16); i++)
		if ((ours->gpr[i] ^ cpu->gpr[i]) & mask)
			complain(c, names[i], ours->gpr[i], cpu->gpr[i]);
	flags &= ~undefined_flags(c->t);
	if ((ours->rflags ^ cpu->rflags) & flags)
		complain(c, "rflags", ours->rflags & flags, cpu->rflags & flags);
	if (cpu->vector < 0 && native_has_avx() && memcmp(ours->vec, cpu->vec, sizeof(cpu->vec)))
		complain(c, "vector registers", 0, 1);
	for (i = 0; i < NATIVE_DATA_SIZE; i++)
		if (t.mem[i] != ((u8 *)NATIVE_DATA)[i]) {
			complain(c, "memory byte", t.mem[i], ((u8 *)NATIVE_DATA)[i]);
			break;
		}
}

/* Forms whose result the manuals leave open: not done by the emulator, and not compared. */
static bool left_open(const struct candidate *c)
{
	return c->t->undefined == U_DSHIFT && t.e.op[0].bytes == 2 && (t.e.op[2].value & 31) > 16;
}

/* Not of the source of randomness: there are too many bytes. */
static void fill_memory(void)
{
	u64 state = next_random() | 1;
	unsigned int i;

	for (i = 0; i < NATIVE_DATA_SIZE; i += 8) {
		u64 value;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		value = state & 1 ? notable[(state >> 20) % ARRAY_SIZE(notable)] : state;
		memcpy(t.mem + i, &value, 8);
	}
}

static void run_template(const struct template *tmpl, unsigned int rounds)
{
	struct native_state ours, cpu;
	struct candidate c;
	unsigned int round;
	int ret;

	t.complaints = 0;
	if (!cpu_has(tmpl->cpu) || (t.compat && tmpl->flags & T_ONLY64))
		return;
	for (round = 0; round < rounds; round++) {
		if (round % 16 == 0)
			fill_memory();
		if (!build(&c, tmpl))
			continue;
		memcpy((void *)NATIVE_DATA, t.mem, NATIVE_DATA_SIZE);
		ret = emulate(&c, &ours);
		if (ret == OST_EMUL_UNHANDLEABLE && left_open(&c))
			continue;
		if (ret != OST_EMUL_OK && ret != OST_EMUL_FAULT) {
			complain(&c, "result", ret, 0);
			continue;
		}
		native_run(c.bytes, c.len, t.compat, &c.in, &cpu);
		compare(&c, &ours, &cpu);
		t.runs++;
		t.faults += cpu.vector >= 0;
	}
}

static const struct {
	const struct template *templates;
	unsigned int count;
} groups[] = {
	[GROUP_INTEGER] = {integer, ARRAY_SIZE(integer)},
	[GROUP_MOVES] = {moves, ARRAY_SIZE(moves)},
	[GROUP_STACK] = {stack, ARRAY_SIZE(stack)},
	[GROUP_CONDITIONS] = {conditions, ARRAY_SIZE(conditions)},
	[GROUP_STRINGS] = {strings, ARRAY_SIZE(strings)},
	[GROUP_VECTORS] = {vectors, ARRAY_SIZE(vectors)},
	[GROUP_LEGACY] = {legacy, ARRAY_SIZE(legacy)},
};

unsigned int native_compare_count(enum native_group group)
{
	return groups[group].count;
}

struct native_counts native_compare(enum native_group group, unsigned int nth, bool compat,
				    unsigned int rounds, u64 (*random)(void))
{
	struct native_counts counts;

	/* 32-bit code that ran before has left its own. */
	__asm__ volatile("mov %0, %%es\nmov %1, %%ds"
			 : : "r"(t.selectors[0][OST_ES]), "r"(t.selectors[0][OST_DS]));
	next_random = random;
	t.compat = compat;
	t.runs = 0;
	t.faults = 0;
	run_template(&groups[group].templates[nth], rounds);
	counts = (struct native_counts){t.runs, t.faults};
	t.compat = false;
	return counts;
}
