// SPDX-License-Identifier: GPL-2.0-only
/*
 * Privilege, modes, control state, segment registers, real mode, and the names of what can be
 * intercepted.
 */
#include "machine.h"
#include "tap.h"

static struct machine m;

#define CHECK_FAULT(result, vec, code)                    \
	do {                                              \
		CHECK_EQ(result, OST_EMUL_FAULT);         \
		CHECK_EQ(m.e.exception.vector, vec);      \
		CHECK_EQ(m.e.exception.error_code, code); \
	} while (0)

struct named {
	u8 bytes[8];
	u8 len;
	u8 id;
};

/* clang-format off */
/* Everything that SVM and VMX intercept by instruction, as 64-bit code. */
static const struct named interceptable[] = {
	{ { 0x0f, 0xa2 }, 2, OST_INSN_CPUID },
	{ { 0x0f, 0x32 }, 2, OST_INSN_RDMSR },
	{ { 0x0f, 0x30 }, 2, OST_INSN_WRMSR },
	{ { 0xf4 }, 1, OST_INSN_HLT },
	{ { 0xe4, 0x60 }, 2, OST_INSN_IN },
	{ { 0x66, 0xe5, 0x60 }, 3, OST_INSN_IN },
	{ { 0xec }, 1, OST_INSN_IN },
	{ { 0xe6, 0x80 }, 2, OST_INSN_OUT },
	{ { 0x66, 0xef }, 2, OST_INSN_OUT },
	{ { 0xf3, 0x66, 0x6d }, 3, OST_INSN_INS },
	{ { 0x67, 0xf3, 0x64, 0x6e }, 4, OST_INSN_OUTS },
	{ { 0x0f, 0x01, 0x3c, 0x24 }, 4, OST_INSN_INVLPG },
	{ { 0x0f, 0x01, 0xdf }, 3, OST_INSN_INVLPGA },
	{ { 0x44, 0x0f, 0x20, 0xc0 }, 4, OST_INSN_MOV_FROM_CR },
	{ { 0x0f, 0x22, 0xd8 }, 3, OST_INSN_MOV_TO_CR },
	{ { 0x0f, 0x22, 0x18 }, 3, OST_INSN_MOV_TO_CR }, /* ModRM.mod is ignored */
	{ { 0x0f, 0x21, 0xf8 }, 3, OST_INSN_MOV_FROM_DR },
	{ { 0x0f, 0x23, 0xf8 }, 3, OST_INSN_MOV_TO_DR },
	{ { 0x0f, 0x06 }, 2, OST_INSN_CLTS },
	{ { 0x0f, 0x01, 0xf0 }, 3, OST_INSN_LMSW },
	{ { 0x0f, 0x01, 0xe0 }, 3, OST_INSN_SMSW },
	{ { 0x0f, 0x01, 0x03 }, 3, OST_INSN_SGDT },
	{ { 0x0f, 0x01, 0x0b }, 3, OST_INSN_SIDT },
	{ { 0x0f, 0x01, 0x13 }, 3, OST_INSN_LGDT },
	{ { 0x0f, 0x01, 0x1b }, 3, OST_INSN_LIDT },
	{ { 0x0f, 0x00, 0xc0 }, 3, OST_INSN_SLDT },
	{ { 0x0f, 0x00, 0xc8 }, 3, OST_INSN_STR },
	{ { 0x0f, 0x00, 0xd0 }, 3, OST_INSN_LLDT },
	{ { 0x0f, 0x00, 0xd8 }, 3, OST_INSN_LTR },
	{ { 0x0f, 0x31 }, 2, OST_INSN_RDTSC },
	{ { 0x0f, 0x01, 0xf9 }, 3, OST_INSN_RDTSCP },
	{ { 0x0f, 0x33 }, 2, OST_INSN_RDPMC },
	{ { 0xf3, 0x90 }, 2, OST_INSN_PAUSE },
	{ { 0x0f, 0x01, 0xc8 }, 3, OST_INSN_MONITOR },
	{ { 0x0f, 0x01, 0xc9 }, 3, OST_INSN_MWAIT },
	{ { 0x0f, 0x01, 0xfa }, 3, OST_INSN_MONITORX },
	{ { 0x0f, 0x01, 0xfb }, 3, OST_INSN_MWAITX },
	{ { 0xf3, 0x0f, 0x01, 0xfa }, 4, OST_INSN_MCOMMIT },
	{ { 0x0f, 0x09 }, 2, OST_INSN_WBINVD },
	{ { 0xf3, 0x0f, 0x09 }, 3, OST_INSN_WBNOINVD },
	{ { 0x0f, 0x08 }, 2, OST_INSN_INVD },
	{ { 0x0f, 0x01, 0xd0 }, 3, OST_INSN_XGETBV },
	{ { 0x0f, 0x01, 0xd1 }, 3, OST_INSN_XSETBV },
	{ { 0x0f, 0x01, 0xc1 }, 3, OST_INSN_VMCALL },
	{ { 0x0f, 0x01, 0xd9 }, 3, OST_INSN_VMMCALL },
	{ { 0x0f, 0x01, 0xd8 }, 3, OST_INSN_VMRUN },
	{ { 0x0f, 0x01, 0xda }, 3, OST_INSN_VMLOAD },
	{ { 0x0f, 0x01, 0xdb }, 3, OST_INSN_VMSAVE },
	{ { 0x0f, 0x01, 0xdc }, 3, OST_INSN_STGI },
	{ { 0x0f, 0x01, 0xdd }, 3, OST_INSN_CLGI },
	{ { 0x0f, 0x01, 0xde }, 3, OST_INSN_SKINIT },
	{ { 0x0f, 0xaa }, 2, OST_INSN_RSM },
	{ { 0xcd, 0x80 }, 2, OST_INSN_INT },
	{ { 0xcc }, 1, OST_INSN_INT3 },
	{ { 0xce }, 1, OST_INSN_INTO },
	{ { 0xf1 }, 1, OST_INSN_ICEBP },
	{ { 0x9c }, 1, OST_INSN_PUSHF },
	{ { 0x9d }, 1, OST_INSN_POPF },
	{ { 0x48, 0xcf }, 2, OST_INSN_IRET },
	{ { 0x66, 0x0f, 0x38, 0x82, 0x03 }, 5, OST_INSN_INVPCID },
	{ { 0x0f, 0x01, 0xfd }, 3, OST_INSN_RDPRU },
	{ { 0x0f, 0x01, 0xfe }, 3, OST_INSN_INVLPGB },
	{ { 0x0f, 0x01, 0xff }, 3, OST_INSN_TLBSYNC },
	{ { 0xfa }, 1, OST_INSN_CLI },
	{ { 0xfb }, 1, OST_INSN_STI },
};
/* clang-format on */

static void test_names(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(interceptable); i++) {
		const struct named *n = &interceptable[i];

		machine_init(&m, OST_EMUL_LONG64);
		memcpy(m.ram + MACHINE_CODE, n->bytes, n->len);
		ost_emul_begin(&m.e, NULL, 0);
		CHECK_EQ(ost_emul_decode(&m.e), OST_EMUL_OK);
		CHECK_MSG(m.e.id == n->id && m.e.len == n->len, "%02x %02x %02x: id %u, length %u",
			  n->bytes[0], n->bytes[1], n->bytes[2], m.e.id, m.e.len);
	}
}

/* At CPL 3 (and IOPL 0, without a bitmap that allows) each of these is #GP(0), and does nothing. */
static void test_privilege(void)
{
	static const struct named insns[] = {
		{{0xf4}, 1, 0},
		{{0x0f, 0x06}, 2, 0},
		{{0x0f, 0x08}, 2, 0},
		{{0x0f, 0x09}, 2, 0},
		{{0x0f, 0x30}, 2, 0},
		{{0x0f, 0x32}, 2, 0},
		{{0x0f, 0x33}, 2, 0},
		{{0x0f, 0x20, 0xc0}, 3, 0},
		{{0x0f, 0x22, 0xc0}, 3, 0},
		{{0x0f, 0x21, 0xc0}, 3, 0},
		{{0x0f, 0x23, 0xc0}, 3, 0},
		{{0x0f, 0x01, 0x13}, 3, 0},
		{{0x0f, 0x01, 0x1b}, 3, 0},
		{{0x0f, 0x01, 0xf0}, 3, 0},
		{{0x0f, 0x01, 0x3b}, 3, 0},
		{{0x0f, 0x00, 0xd0}, 3, 0},
		{{0x0f, 0x00, 0xd8}, 3, 0},
		{{0x0f, 0x01, 0xd1}, 3, 0},
		{{0xfa}, 1, 0},
		{{0xfb}, 1, 0},
		{{0xec}, 1, 0},
		{{0xe6, 0x80}, 2, 0},
		{{0x6c}, 1, 0},
		{{0xf3, 0x6e}, 2, 0},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		machine_init(&m, OST_EMUL_LONG64);
		m.e.cpl = 3;
		m.e.gpr[OST_RCX] = 0x10;
		m.e.gpr[OST_RBX] = m.e.gpr[OST_RSI] = m.e.gpr[OST_RDI] = 0x4000;
		CHECK_FAULT(machine_do(&m, insns[i].bytes, insns[i].len), OST_VEC_GP, 0);
		CHECK(m.logged == 0 && !m.is_pending && m.halts == 0 && m.wbinvds == 0);
	}

	/* CR4 opens or closes some */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.cpl = 3;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x31)), OST_EMUL_OK);
	m.e.cr4 |= X86_CR4_TSD | X86_CR4_PCE | X86_CR4_UMIP;
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x31)), OST_VEC_GP, 0);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x01, 0xf9)), OST_VEC_GP, 0);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x33)), OST_EMUL_OK);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x01, 0xe0)), OST_VEC_GP, 0);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xc0)), OST_VEC_GP, 0);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x01, 0x04, 0x24)), OST_VEC_GP, 0);
}

static void test_undefined(void)
{
	static const struct named always[] = {
		{{0x0f, 0x0b}, 2, 0},			/* UD2 */
		{{0x0f, 0xff, 0xc0}, 3, 0},		/* UD0 */
		{{0xf0, 0x90}, 2, 0},			/* LOCK NOP */
		{{0xf0, 0x01, 0xc0}, 3, 0},		/* LOCK ADD with a register */
		{{0xf0, 0x03, 0x03}, 3, 0},		/* LOCK ADD from memory */
		{{0xf0, 0x39, 0x03}, 3, 0},		/* LOCK CMP */
		{{0xf0, 0x89, 0x03}, 3, 0},		/* LOCK MOV */
		{{0x8d, 0xc0}, 2, 0},			/* LEA of a register */
		{{0x8e, 0xc8}, 2, 0},			/* MOV CS */
		{{0x8e, 0xf0}, 2, 0},			/* no such segment */
		{{0x0f, 0x20, 0xc8}, 3, 0},		/* CR1 */
		{{0x44, 0x0f, 0x21, 0xc0}, 4, 0},	/* DR8 */
		{{0x66, 0xc5, 0xf8, 0x10, 0x03}, 5, 0}, /* 66 before VEX */
		{{0xc5, 0xf0, 0x10, 0x03}, 4, 0},	/* VMOVUPS with VEX.vvvv */
		{{0xc5, 0xfe, 0x7e, 0x03}, 4, 0},	/* VMOVQ of 256 bits */
	};
	static const struct named no_long_mode[] = {
		{{0x06}, 1, 0},
		{{0x60}, 1, 0},
		{{0xce}, 1, 0},
		{{0x82, 0xc0, 0}, 3, 0},
		{{0x9a, 0, 0, 0, 0, 0, 0}, 7, 0},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(always); i++) {
		machine_init(&m, OST_EMUL_LONG64);
		CHECK_FAULT(machine_do(&m, always[i].bytes, always[i].len), OST_VEC_UD, 0);
	}
	for (i = 0; i < ARRAY_SIZE(no_long_mode); i++) {
		machine_init(&m, OST_EMUL_LONG64);
		CHECK_FAULT(machine_do(&m, no_long_mode[i].bytes, no_long_mode[i].len), OST_VEC_UD,
			    0);
	}
	/* Real mode has no LLDT, STR, VEX. */
	machine_init(&m, OST_EMUL_REAL);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xd0)), OST_VEC_UD, 0);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xc8)), OST_VEC_UD, 0);
	CHECK_FAULT(machine_do(&m, INSN(0xc5, 0xf8, 0x10, 0xc0)), OST_VEC_UD, 0);
}

static void test_io_bitmap(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.cpl = 3;
	m.seg[OST_TR].limit = 0x67 + 0x2001;
	machine_put(&m, MACHINE_TSS + 102, 0x68, 2);
	m.e.gpr[OST_RDX] = 0x3ff;
	CHECK_EQ(machine_do(&m, INSN(0xee)), OST_EMUL_OK);
	/* a word at 3FF needs 400, which is another byte of the map */
	m.ram[MACHINE_TSS + 0x68 + 0x400 / 8] = 1;
	CHECK_EQ(machine_do(&m, INSN(0xee)), OST_EMUL_OK);
	CHECK_FAULT(machine_do(&m, INSN(0x66, 0xef)), OST_VEC_GP, 0);
	/* both bytes that are read have to be within the limit */
	m.seg[OST_TR].limit = 0x68 + 0x3ff / 8;
	CHECK_FAULT(machine_do(&m, INSN(0xee)), OST_VEC_GP, 0);
	m.seg[OST_TR].limit++;
	CHECK_EQ(machine_do(&m, INSN(0xee)), OST_EMUL_OK);
	/* IOPL does without it, but not in virtual-8086 mode */
	m.seg[OST_TR].limit = 0x67;
	m.e.rflags |= X86_EFLAGS_IOPL;
	CHECK_EQ(machine_do(&m, INSN(0xee)), OST_EMUL_OK);
	machine_init(&m, OST_EMUL_VM86);
	m.e.rflags |= X86_EFLAGS_IOPL;
	CHECK_FAULT(machine_do(&m, INSN(0xee)), OST_VEC_GP, 0);
	/* one too short to say where its bitmap is has none */
	machine_init(&m, OST_EMUL_PROT32);
	m.e.cpl = 3;
	m.seg[OST_TR].limit = 0x60;
	machine_put(&m, MACHINE_TSS + 102, 0, 2);
	CHECK_FAULT(machine_do(&m, INSN(0xec)), OST_VEC_GP, 0);
	/* a 16-bit TSS has no bitmap */
	machine_init(&m, OST_EMUL_PROT32);
	m.e.cpl = 3;
	m.seg[OST_TR].type = 3;
	m.seg[OST_TR].limit = 0x3000;
	CHECK_FAULT(machine_do(&m, INSN(0xec)), OST_VEC_GP, 0);
}

static void test_ports(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RAX] = ~0ULL;
	CHECK_EQ(machine_run(&m, INSN(0xe4, 0x71)), OST_EMUL_IO);
	CHECK_EQ(m.e.gpr[OST_RAX], ~0ULL);
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], ~0xffULL | 0x11);
	CHECK(m.log[0].kind == 'i' && m.log[0].where == 0x71 && m.log[0].len == 1 && !m.broken);
	/* 32 bits clear the upper half; REX.W makes it no wider */
	m.e.gpr[OST_RAX] = ~0ULL;
	m.e.gpr[OST_RDX] = 0xffff0cf8;
	CHECK_EQ(machine_do(&m, INSN(0x48, 0xed)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x12);
	CHECK(m.log[1].where == 0x0cf8 && m.log[1].len == 4);
	m.e.gpr[OST_RAX] = 0x80001234;
	CHECK_EQ(machine_do(&m, INSN(0x66, 0xef)), OST_EMUL_OK);
	CHECK(m.log[2].kind == 'o' && m.log[2].value == 0x1234 && m.log[2].len == 2);
}

static void test_control_registers(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.cr[3] = 0x123456789000;
	CHECK_EQ(machine_do(&m, INSN(0x41, 0x0f, 0x20, 0xd9)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_R9], 0x123456789000);
	m.e.gpr[OST_RAX] = 0xfedcba9876543210;
	CHECK_EQ(machine_do(&m, INSN(0x44, 0x0f, 0x22, 0xc0)), OST_EMUL_OK);
	CHECK_EQ(m.cr[8], 0xfedcba9876543210);

	/* AMD: LOCK and CR0 is CR8; Intel: #UD */
	machine_init(&m, OST_EMUL_PROT32);
	m.e.gpr[OST_RAX] = 7;
	CHECK_EQ(machine_do(&m, INSN(0xf0, 0x0f, 0x22, 0xc0)), OST_EMUL_OK);
	CHECK_EQ(m.cr[8], 7);
	m.e.amd = false;
	CHECK_FAULT(machine_do(&m, INSN(0xf0, 0x0f, 0x22, 0xc0)), OST_VEC_UD, 0);

	/* outside 64-bit mode 66 and the rest change no size */
	machine_init(&m, OST_EMUL_REAL);
	m.e.gpr[OST_RAX] = 0x80000011;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x22, 0xc0)), OST_EMUL_OK);
	CHECK_EQ(m.cr[0], 0x80000011);

	/* CLTS; LMSW sets PE but does not clear it; SMSW to a register gives all */
	machine_init(&m, OST_EMUL_PROT32);
	m.e.cr0 = X86_CR0_PE | X86_CR0_TS | X86_CR0_NE;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x06)), OST_EMUL_OK);
	CHECK_EQ(m.cr[0], X86_CR0_PE | X86_CR0_NE);
	m.e.gpr[OST_RAX] = X86_CR0_MP | X86_CR0_WP;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0xf0)), OST_EMUL_OK);
	CHECK_EQ(m.cr[0], X86_CR0_PE | X86_CR0_MP | X86_CR0_NE);
	m.e.cr0 = 0;
	m.e.gpr[OST_RAX] = X86_CR0_PE;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0xf0)), OST_EMUL_OK);
	CHECK_EQ(m.cr[0], X86_CR0_PE);
	m.e.cr0 = 0x80000031;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0xe0)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x80000031);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, ~0ULL, 8);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0x23)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4000, 4), 0xffff0031);
}

static void test_debug_registers(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RAX] = 0x1000;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x23, 0xd0)), OST_EMUL_OK);
	CHECK_EQ(m.dr[2], 0x1000);
	/* DR5 is DR7, or #UD with CR4.DE */
	m.dr[7] = 0x400;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x21, 0xe8)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x400);
	m.e.cr4 |= X86_CR4_DE;
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x21, 0xe8)), OST_VEC_UD, 0);
	/* DR7.GD: #DB with BD, which clears GD */
	m.dr[7] = 0x2400;
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x21, 0xc0)), OST_VEC_DB, 0);
	CHECK(!m.e.exception.has_error_code);
	CHECK_EQ(m.dr[6], 1 << 13);
	CHECK_EQ(m.dr[7], 0x400);
}

static void test_msrs_and_more(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.msr = 0x1122334455667788;
	m.e.gpr[OST_RCX] = 0xffffffff00000010;
	m.e.gpr[OST_RAX] = m.e.gpr[OST_RDX] = ~0ULL;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x32)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RAX] == 0x55667788 && m.e.gpr[OST_RDX] == 0x11223344);
	m.e.gpr[OST_RAX] = 0xfffffffff0000001;
	m.e.gpr[OST_RDX] = 0xffffffff00000002;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x30)), OST_EMUL_OK);
	CHECK_EQ(m.msr, 0x2f0000001);
	m.e.gpr[OST_RCX] = 0x11;
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x32)), OST_VEC_GP, 0);
	CHECK_EQ(m.e.gpr[OST_RDX], 0xffffffff00000002);

	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0xf9)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RAX] == 0x55667788 && m.e.gpr[OST_RDX] == 0x11223344 &&
	      m.e.gpr[OST_RCX] == 7);
	m.e.gpr[OST_RAX] = 0x100;
	m.e.gpr[OST_RCX] = 0x200;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0xa2)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RBX] == 0x101 && m.e.gpr[OST_RDX] == 0x201);

	/* XSETBV: #UD without CR4.OSXSAVE, before #GP */
	m.e.gpr[OST_RCX] = 0;
	m.e.gpr[OST_RAX] = 3;
	m.e.gpr[OST_RDX] = 0;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0xd1)), OST_EMUL_OK);
	CHECK_EQ(m.xcr0, 3);
	m.e.cr4 &= ~X86_CR4_OSXSAVE;
	m.e.cpl = 3;
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x01, 0xd1)), OST_VEC_UD, 0);
	m.e.cpl = 0;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0xd9)), OST_EMUL_OK);
	CHECK_EQ(machine_do(&m, INSN(0xf4)), OST_EMUL_OK);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x09)), OST_EMUL_OK);
	CHECK(m.hypercalls == 1 && m.halts == 1 && m.wbinvds == 1);

	/* INVLPG adds the segment's base, and ignores what is not canonical */
	m.seg[OST_GS].base = 0x10000;
	m.e.gpr[OST_RBX] = 0x4000;
	CHECK_EQ(machine_do(&m, INSN(0x65, 0x0f, 0x01, 0x3b)), OST_EMUL_OK);
	CHECK_EQ(m.invlpg, 0x14000);
	m.e.gpr[OST_RBX] = 1ULL << 63;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0x3b)), OST_EMUL_OK);
	CHECK_EQ(m.invlpg, 0x14000);
}

static void test_descriptor_tables(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x1ff, 2);
	machine_put(&m, 0x4002, 0xffff800012345678, 8);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0x1b)), OST_EMUL_OK);
	CHECK(m.idt.limit == 0x1ff && m.idt.base == 0xffff800012345678);
	m.e.gpr[OST_RBX] = 0x4100;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0x0b)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4100, 2), 0x1ff);
	CHECK_EQ(machine_get(&m, 0x4102, 8), 0xffff800012345678);
	machine_put(&m, 0x4102, 0x800000000000, 8);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x01, 0x13)), OST_VEC_GP, 0);
	CHECK_EQ(m.gdt.base, MACHINE_GDT);

	/* with 16-bit operands the base has 24 bits, with 32 all; real mode included */
	machine_init(&m, OST_EMUL_REAL);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x123456780027, 6);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x01, 0x17)), OST_EMUL_OK);
	CHECK(m.gdt.limit == 0x27 && m.gdt.base == 0x345678);
	CHECK_EQ(machine_do(&m, INSN(0x66, 0x0f, 0x01, 0x17)), OST_EMUL_OK);
	CHECK_EQ(m.gdt.base, 0x12345678);
}

/* MOV DS, AX in protected mode, over what a descriptor can have wrong. */
static void test_segment_loads(void)
{
	const u8 mov_ds[] = {0x8e, 0xd8}, mov_ss[] = {0x8e, 0xd0};

	machine_init(&m, OST_EMUL_PROT32);
	machine_descriptor(&m, 0x20, 0x12345678, 0x54321, 0x92, 0xc);
	m.e.gpr[OST_RAX] = 0x20;
	CHECK_EQ(machine_do(&m, mov_ds, 2), OST_EMUL_OK);
	CHECK(m.seg[OST_DS].base == 0x12345678 && m.seg[OST_DS].limit == 0x54321fff);
	CHECK(m.seg[OST_DS].selector == 0x20 && m.seg[OST_DS].type == 3 && m.seg[OST_DS].db &&
	      m.seg[OST_DS].g && m.seg[OST_DS].present && !m.seg[OST_DS].unusable);
	/* the accessed bit is set in memory, by a locked update and once */
	CHECK_EQ(m.ram[MACHINE_GDT + 0x25], 0x93);
	CHECK_EQ(m.logged, 1);
	CHECK_EQ(machine_do(&m, mov_ds, 2), OST_EMUL_OK);
	CHECK_EQ(m.logged, 1);
	CHECK_EQ(m.e.shadow, OST_EMUL_SHADOW_NONE);

	/*
	 * not present; a system descriptor; beyond the table; execute-only; from an LDT that is not
	 * there
	 */
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x12, 4);
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_NP, 0x20);
	CHECK_FAULT(machine_do(&m, mov_ss, 2), OST_VEC_SS, 0x20);
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x82, 4);
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x20);
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x98, 4);
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x20);
	m.e.gpr[OST_RAX] = 0x103;
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x100);
	m.e.gpr[OST_RAX] = 0x24;
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x24);

	/* null: fine for DS, which is then unusable; not for SS */
	m.e.gpr[OST_RAX] = 3;
	CHECK_EQ(machine_do(&m, mov_ds, 2), OST_EMUL_OK);
	CHECK(m.seg[OST_DS].unusable && m.seg[OST_DS].selector == 3);
	CHECK_FAULT(machine_do(&m, mov_ss, 2), OST_VEC_GP, 0);

	/*
	 * SS: writable data of CPL's privilege; it holds interrupts off, and no trap comes between
	 */
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x93, 4);
	m.e.gpr[OST_RAX] = 0x20;
	m.e.rflags |= X86_EFLAGS_TF;
	CHECK_EQ(machine_do(&m, mov_ss, 2), OST_EMUL_OK);
	CHECK(m.e.shadow == OST_EMUL_SHADOW_MOV_SS && !m.e.single_step);
	m.e.gpr[OST_RAX] = 0x23;
	CHECK_FAULT(machine_do(&m, mov_ss, 2), OST_VEC_GP, 0x20);
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x91, 4);
	m.e.gpr[OST_RAX] = 0x20;
	CHECK_FAULT(machine_do(&m, mov_ss, 2), OST_VEC_GP, 0x20);

	/* data of CPL 0 is not for RPL 3, nor for CPL 3; conforming code is */
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x93, 4);
	m.e.gpr[OST_RAX] = 0x23;
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x20);
	m.e.gpr[OST_RAX] = 0x20;
	CHECK_EQ(machine_do(&m, mov_ds, 2), OST_EMUL_OK);
	/* the table ends within it */
	m.gdt.limit = 0x26;
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x20);
	m.gdt.limit = 0x27;
	m.e.cpl = 3;
	CHECK_FAULT(machine_do(&m, mov_ds, 2), OST_VEC_GP, 0x20);
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x9e, 4);
	CHECK_EQ(machine_do(&m, mov_ds, 2), OST_EMUL_OK);

	/* 64-bit mode takes a null SS below CPL 3 */
	machine_init(&m, OST_EMUL_LONG64);
	CHECK_EQ(machine_do(&m, mov_ss, 2), OST_EMUL_OK);
	m.e.cpl = 3;
	m.e.gpr[OST_RAX] = 3;
	CHECK_FAULT(machine_do(&m, mov_ss, 2), OST_VEC_GP, 0);

	/* Intel has LSS with offsets of 64 bits, AMD has not */
	machine_init(&m, OST_EMUL_LONG64);
	machine_descriptor(&m, 0x20, 0, 0xffff, 0x93, 4);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x1122334455667788, 8);
	machine_put(&m, 0x4008, 0x20, 2);
	CHECK_EQ(machine_do(&m, INSN(0x48, 0x0f, 0xb2, 0x0b)), OST_EMUL_UNHANDLEABLE);
	m.e.amd = false;
	CHECK_EQ(machine_do(&m, INSN(0x48, 0x0f, 0xb2, 0x0b)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RCX] == 0x1122334455667788 && m.seg[OST_SS].selector == 0x20);

	/* LDS: register and segment, or neither */
	machine_init(&m, OST_EMUL_PROT32);
	machine_descriptor(&m, 0x20, 0x100, 0xffff, 0x93, 4);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x2011223344, 6);
	CHECK_EQ(machine_do(&m, INSN(0xc5, 0x0b)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RCX] == 0x11223344 && m.seg[OST_DS].base == 0x100);
	machine_init(&m, OST_EMUL_PROT32);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x2011223344, 6);
	CHECK_FAULT(machine_do(&m, INSN(0xc5, 0x0b)), OST_VEC_GP, 0x20);
	CHECK_EQ(m.e.gpr[OST_RCX], 0);

	/* virtual-8086 mode has limits of 64K, real mode keeps those that were */
	machine_init(&m, OST_EMUL_VM86);
	m.seg[OST_ES].limit = ~0u;
	m.e.gpr[OST_RAX] = 0xb800;
	CHECK_EQ(machine_do(&m, INSN(0x8e, 0xc0)), OST_EMUL_OK);
	CHECK(m.seg[OST_ES].base == 0xb8000 && m.seg[OST_ES].limit == 0xffff);
	machine_init(&m, OST_EMUL_REAL);
	m.seg[OST_ES].limit = ~0u;
	m.e.gpr[OST_RAX] = 0xb800;
	CHECK_EQ(machine_do(&m, INSN(0x8e, 0xc0)), OST_EMUL_OK);
	CHECK(m.seg[OST_ES].base == 0xb8000 && m.seg[OST_ES].limit == ~0u);
}

static void test_system_segments(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	machine_descriptor(&m, 0x20, 0x9000, 0x67, 0x89, 0);
	machine_put(&m, MACHINE_GDT + 0x28, 0xffff8000, 8);
	m.e.gpr[OST_RAX] = 0x20;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x00, 0xd8)), OST_EMUL_OK);
	CHECK(m.seg[OST_TR].base == 0xffff800000009000 && m.seg[OST_TR].type == 11);
	CHECK_EQ(m.ram[MACHINE_GDT + 0x25], 0x8b);
	/* busy now */
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xd8)), OST_VEC_GP, 0x20);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xd0)), OST_VEC_GP, 0x20);
	machine_descriptor(&m, 0x20, 0x9000, 0x67, 0x82, 0);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x00, 0xd0)), OST_EMUL_OK);
	CHECK(m.seg[OST_LDTR].selector == 0x20 && m.seg[OST_LDTR].type == 2);
	/* long mode has no TSS of 16 bits */
	machine_descriptor(&m, 0x20, 0x9000, 0x67, 0x81, 0);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xd8)), OST_VEC_GP, 0x20);
	machine_descriptor(&m, 0x20, 0x9000, 0x67, 0x82, 0);
	/* the upper half must not look like a descriptor */
	machine_put(&m, MACHINE_GDT + 0x28, 0x10000000000, 8);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xd0)), OST_VEC_GP, 0x20);
	m.e.gpr[OST_RAX] = 0;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x00, 0xd0)), OST_EMUL_OK);
	CHECK(m.seg[OST_LDTR].unusable);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0x00, 0xd8)), OST_VEC_GP, 0);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x00, 0xc9)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RCX], 0x20);
}

static void test_interrupt_flag(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	CHECK_EQ(machine_do(&m, INSN(0xfb)), OST_EMUL_OK);
	CHECK(m.e.rflags & X86_EFLAGS_IF && m.e.shadow == OST_EMUL_SHADOW_STI);
	CHECK_EQ(machine_do(&m, INSN(0xfb)), OST_EMUL_OK);
	CHECK_EQ(m.e.shadow, OST_EMUL_SHADOW_NONE);
	CHECK_EQ(machine_do(&m, INSN(0xfa)), OST_EMUL_OK);
	CHECK(!(m.e.rflags & X86_EFLAGS_IF));

	/* POPF: IF by IOPL, IOPL by CPL 0 only, 16 bits keep the upper half */
	machine_init(&m, OST_EMUL_PROT32);
	machine_put(&m, 0x7000, X86_EFLAGS_IF | X86_EFLAGS_IOPL | X86_EFLAGS_ID, 4);
	CHECK_EQ(machine_do(&m, INSN(0x66, 0x9d)), OST_EMUL_OK);
	CHECK_EQ(m.e.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_IF | X86_EFLAGS_IOPL);
	m.e.rflags |= X86_EFLAGS_AC;
	CHECK_EQ(machine_do(&m, INSN(0x66, 0x9d)), OST_EMUL_OK);
	CHECK(m.e.rflags & X86_EFLAGS_AC);
	machine_init(&m, OST_EMUL_PROT32);
	m.e.cpl = 3;
	machine_put(&m, 0x7000, X86_EFLAGS_IF | X86_EFLAGS_IOPL | X86_EFLAGS_ID, 4);
	CHECK_EQ(machine_do(&m, INSN(0x9d)), OST_EMUL_OK);
	CHECK_EQ(m.e.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_ID);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x7004);

	machine_init(&m, OST_EMUL_VM86);
	CHECK_FAULT(machine_do(&m, INSN(0x9c)), OST_VEC_GP, 0);
	CHECK_FAULT(machine_do(&m, INSN(0xfa)), OST_VEC_GP, 0);
	m.e.cr4 |= X86_CR4_VME;
	CHECK_EQ(machine_do(&m, INSN(0xfa)), OST_EMUL_UNHANDLEABLE);
	m.e.rflags |= X86_EFLAGS_IOPL;
	CHECK_EQ(machine_do(&m, INSN(0x9c)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x6ffe, 2), 0x3002);
}

static void test_real_mode_far(void)
{
	/* int 0x21 and iret */
	machine_init(&m, OST_EMUL_REAL);
	m.seg[OST_CS].base = 0x400;
	m.seg[OST_CS].selector = 0x40;
	m.idt = (struct kvm_dtable){.base = 0x500, .limit = 0x87};
	machine_put(&m, 0x500 + 4 * 0x21, 0x10002345, 4);
	m.e.rflags |= X86_EFLAGS_IF | X86_EFLAGS_CF;
	CHECK_EQ(machine_do(&m, INSN(0xcd, 0x21)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x2345 && m.seg[OST_CS].base == 0x10000 &&
	      m.seg[OST_CS].selector == 0x1000);
	CHECK(!(m.e.rflags & X86_EFLAGS_IF));
	CHECK_EQ(m.e.gpr[OST_RSP], 0x6ffa);
	CHECK_EQ(machine_get(&m, 0x6ffa, 6), 0x020300401002);
	CHECK_EQ(machine_do(&m, INSN(0xcf)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x1002 && m.seg[OST_CS].base == 0x400 && m.e.gpr[OST_RSP] == 0x7000);
	CHECK(m.e.rflags & X86_EFLAGS_IF && m.e.rflags & X86_EFLAGS_CF);
	/* vector 22 is beyond the table */
	CHECK_FAULT(machine_do(&m, INSN(0xcd, 0x22)), OST_VEC_GP, 0);
	m.idt.limit = 0x86;
	CHECK_FAULT(machine_do(&m, INSN(0xcd, 0x21)), OST_VEC_GP, 0);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x7000);

	/* far call through memory, far return that drops two bytes more */
	machine_init(&m, OST_EMUL_REAL);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x10000200, 4);
	CHECK_EQ(machine_do(&m, INSN(0xff, 0x1f)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x200 && m.seg[OST_CS].base == 0x10000);
	CHECK_EQ(machine_get(&m, 0x6ffc, 4), 0x00001002);
	CHECK_EQ(machine_do(&m, INSN(0xca, 2, 0)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x1002 && m.seg[OST_CS].base == 0 && m.e.gpr[OST_RSP] == 0x7002);

	CHECK_EQ(machine_do(&m, INSN(0xea, 0x10, 0, 0x34, 0x12)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x10 && m.seg[OST_CS].base == 0x12340);
	CHECK_FAULT(machine_do(&m, INSN(0x66, 0xea, 0, 0, 1, 0, 0x34, 0x12)), OST_VEC_GP, 0);
	CHECK(m.e.rip == 0x10 && m.seg[OST_CS].base == 0x12340);
	/* what protected mode does with this is left to the CPU */
	machine_init(&m, OST_EMUL_PROT32);
	CHECK_EQ(machine_do(&m, INSN(0xcd, 0x80)), OST_EMUL_UNHANDLEABLE);
}

/* JMP, CALL and RET between code segments of one privilege level, and what refuses or is not theirs. */
static void test_protected_far(void)
{
	static const struct {
		u8 access, flags, rpl;
		u16 error;
		int vector;
	} refused[] = {
		{0x92, 0xc, 0, 0x20, OST_VEC_GP}, /* data */
		{0xfa, 0xc, 0, 0x20, OST_VEC_GP}, /* DPL 3 */
		{0xfe, 0xc, 0, 0x20, OST_VEC_GP}, /* conforming, of DPL 3 */
		{0x9a, 0xc, 3, 0x20, OST_VEC_GP}, /* RPL above CPL */
		{0x1a, 0xc, 0, 0x20, OST_VEC_NP}, /* absent */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(refused); i++) {
		machine_init(&m, OST_EMUL_PROT32);
		machine_descriptor(&m, 0x20, 0, 0xfffff, refused[i].access, refused[i].flags);
		CHECK_FAULT(machine_do(&m, INSN(0xea, 0, 2, 0, 0, 0x20 | refused[i].rpl, 0)),
			    refused[i].vector, refused[i].error);
		CHECK_FAULT(machine_do(&m, INSN(0x9a, 0, 2, 0, 0, 0x20 | refused[i].rpl, 0)),
			    refused[i].vector, refused[i].error);
		CHECK_EQ(m.e.gpr[OST_RSP], 0x7000);
	}
	/* A null selector, one beyond the table, an offset beyond the limit. */
	machine_init(&m, OST_EMUL_PROT32);
	machine_descriptor(&m, 0x20, 0, 0x1ff, 0x9a, 4);
	CHECK_FAULT(machine_do(&m, INSN(0xea, 0, 1, 0, 0, 3, 0)), OST_VEC_GP, 0);
	CHECK_FAULT(machine_do(&m, INSN(0xea, 0, 1, 0, 0, 0, 1)), OST_VEC_GP, 0x100);
	CHECK_FAULT(machine_do(&m, INSN(0xea, 0, 2, 0, 0, 0x20, 0)), OST_VEC_GP, 0);
	/* Gates and TSSs are the CPU's. */
	machine_descriptor(&m, 0x28, 0, 0x67, 0x89, 0);
	CHECK_EQ(machine_do(&m, INSN(0xea, 0, 2, 0, 0, 0x28, 0)), OST_EMUL_UNHANDLEABLE);

	/* There and back: the descriptor is marked, CS has CPL for its RPL. */
	machine_descriptor(&m, 0x20, 0x100, 0x1ff, 0x9e, 4);
	CHECK_EQ(machine_do(&m, INSN(0x9a, 0x80, 0, 0, 0, 0x23, 0)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x80 && m.seg[OST_CS].selector == 0x20 && m.seg[OST_CS].base == 0x100);
	CHECK_EQ(m.seg[OST_CS].type, 0xf);
	CHECK_EQ(machine_get(&m, MACHINE_GDT + 0x25, 1), 0x9f);
	CHECK(m.e.gpr[OST_RSP] == 0x6ff8 && machine_get(&m, 0x6ff8, 4) == 0x1007);
	machine_descriptor(&m, 0x08, 0, 0xfffff, 0x9a, 0xc);
	machine_put(&m, 0x6ffc, 0x08, 4);
	CHECK_EQ(machine_do(&m, INSN(0xca, 8, 0)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x1007 && m.seg[OST_CS].selector == 8 && m.e.gpr[OST_RSP] == 0x7008);
	/* A return to an outer level is the CPU's. */
	m.e.gpr[OST_RSP] = 0x6ff8;
	machine_put(&m, 0x6ffc, 0x0b, 4);
	CHECK_EQ(machine_do(&m, INSN(0xcb)), OST_EMUL_UNHANDLEABLE);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x6ff8);

	/* Of 64-bit code: REX.W has an offset of 8 bytes, which has to be canonical; not both L and D. */
	machine_init(&m, OST_EMUL_LONG64);
	machine_descriptor(&m, 0x20, 0, 0, 0x9a, 0xa);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x123456789abc, 8);
	machine_put(&m, 0x4008, 0x20, 2);
	CHECK_EQ(machine_do(&m, INSN(0x48, 0xff, 0x2b)), OST_EMUL_OK);
	CHECK(m.e.rip == 0x123456789abc && m.seg[OST_CS].selector == 0x20);
	machine_init(&m, OST_EMUL_LONG64);
	machine_descriptor(&m, 0x20, 0, 0, 0x9a, 0xa);
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x1111111111111111, 8);
	machine_put(&m, 0x4008, 0x20, 2);
	CHECK_FAULT(machine_do(&m, INSN(0x48, 0xff, 0x1b)), OST_VEC_GP, 0);
	machine_descriptor(&m, 0x20, 0, 0, 0x9a, 0xe);
	CHECK_FAULT(machine_do(&m, INSN(0x48, 0xff, 0x1b)), OST_VEC_GP, 0x20);
}

static void test_stack_sizes(void)
{
	/* a 16-bit stack wraps and keeps the upper half of ESP; operands are of 32 bits */
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_SS].db = 0;
	m.e.gpr[OST_RSP] = 0xabcd0000;
	m.e.gpr[OST_RAX] = 0x12345678;
	CHECK_EQ(machine_do(&m, INSN(0x50)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RSP], 0xabcdfffc);
	CHECK_EQ(machine_get(&m, 0xfffc, 4), 0x12345678);

	/* of a selector pushed as a dword AMD writes all, Intel a word */
	machine_init(&m, OST_EMUL_PROT32);
	machine_put(&m, 0x6ffc, ~0u, 4);
	CHECK_EQ(machine_do(&m, INSN(0x1e)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RSP] == 0x6ffc && machine_get(&m, 0x6ffc, 4) == 0x10);
	machine_put(&m, 0x6ff8, ~0u, 4);
	m.e.amd = false;
	CHECK_EQ(machine_do(&m, INSN(0x1e)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RSP] == 0x6ff8 && machine_get(&m, 0x6ff8, 4) == 0xffff0010);

	/* pusha and popa give everything back, but for SP's image */
	machine_init(&m, OST_EMUL_PROT32);
	m.e.gpr[OST_RAX] = 1;
	m.e.gpr[OST_RDI] = 8;
	CHECK_EQ(machine_do(&m, INSN(0x60)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x7000 - 32);
	CHECK_EQ(machine_get(&m, 0x7000 - 4, 4), 1);
	CHECK_EQ(machine_get(&m, 0x7000 - 20, 4), 0x7000);
	CHECK_EQ(machine_get(&m, 0x7000 - 32, 4), 8);
	machine_put(&m, 0x7000 - 4, 0x99, 4);
	machine_put(&m, 0x7000 - 20, 0x4444, 4);
	CHECK_EQ(machine_do(&m, INSN(0x61)), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RAX] == 0x99 && m.e.gpr[OST_RSP] == 0x7000 && m.e.gpr[OST_RDI] == 8);

	/* bound: both ends belong */
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, (u32)-5, 4);
	machine_put(&m, 0x4004, 5, 4);
	m.e.gpr[OST_RAX] = (u32)-5;
	CHECK_EQ(machine_do(&m, INSN(0x62, 0x03)), OST_EMUL_OK);
	m.e.gpr[OST_RAX] = 6;
	CHECK_FAULT(machine_do(&m, INSN(0x62, 0x03)), OST_VEC_BR, 0);

	/* a jump beyond the code segment's limit */
	m.seg[OST_CS].limit = 0x1fff;
	CHECK_EQ(machine_do(&m, INSN(0xeb, 0x10)), OST_EMUL_OK);
	CHECK_FAULT(machine_do(&m, INSN(0xe9, 0, 0x10, 0, 0)), OST_VEC_GP, 0);
}

static void test_mmx(void)
{
	const u8 load[] = {0x0f, 0x6f, 0x1b}, store[] = {0x0f, 0x7f, 0x1b}, movd[] = {0x0f, 0x6e, 0x1b};
	const u8 movntq[] = {0x0f, 0xe7, 0x1b}, with_rex[] = {0x4c, 0x0f, 0x6e, 0xdb};
	const u8 vex[] = {0xc5, 0xf8, 0x6f, 0x1b};

	machine_init(&m, OST_EMUL_LONG64);
	m.e.cr0 |= X86_CR0_NE;
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x0102030405060708, 8);
	CHECK_EQ(machine_do(&m, load, 3), OST_EMUL_OK);
	CHECK_EQ(m.mmx[3], 0x0102030405060708);
	CHECK(m.x87_is_mmx);
	CHECK_EQ(machine_do(&m, movd, 3), OST_EMUL_OK);
	CHECK_EQ(m.mmx[3], 0x05060708);
	/* MOVQ between registers; REX.R is ignored. */
	CHECK_EQ(machine_do(&m, with_rex, 4), OST_EMUL_OK);
	CHECK_EQ(m.mmx[3], 0x4000);
	m.mmx[3] = 0x1111111122222222;
	m.x87_is_mmx = false;
	CHECK_EQ(machine_do(&m, store, 3), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4000, 8), 0x1111111122222222);
	CHECK(m.x87_is_mmx);
	m.mmx[3] = 0x33;
	CHECK_EQ(machine_do(&m, movntq, 3), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4000, 8), 0x33);

	CHECK_FAULT(machine_do(&m, vex, 4), OST_VEC_UD, 0);
	m.mmx[3] = 0x44;
	m.x87_exception = true;
	CHECK_FAULT(machine_do(&m, store, 3), OST_VEC_MF, 0);
	CHECK_EQ(machine_get(&m, 0x4000, 8), 0x33);
	m.e.cr0 |= X86_CR0_TS;
	CHECK_FAULT(machine_do(&m, load, 3), OST_VEC_NM, 0);
	m.e.cr0 |= X86_CR0_EM;
	CHECK_FAULT(machine_do(&m, load, 3), OST_VEC_UD, 0);
}

static void test_vector_state(void)
{
	const u8 movups[] = {0x0f, 0x10, 0x03}, vmovups[] = {0xc5, 0xfc, 0x10, 0x03};

	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RBX] = 0x4000;
	memset(m.vec[0], 0xee, 32);
	machine_put(&m, 0x4000, 0x0102030405060708, 8);
	CHECK_EQ(machine_do(&m, movups, 3), OST_EMUL_OK);
	CHECK(m.vec[0][0] == 8 && m.vec[0][15] == 0 && m.vec[0][16] == 0xee);
	m.e.cr0 |= X86_CR0_TS;
	CHECK_FAULT(machine_do(&m, movups, 3), OST_VEC_NM, 0);
	CHECK_FAULT(machine_do(&m, vmovups, 4), OST_VEC_NM, 0);
	m.e.cr0 |= X86_CR0_EM;
	CHECK_FAULT(machine_do(&m, movups, 3), OST_VEC_UD, 0);
	m.e.cr0 &= ~(X86_CR0_EM | X86_CR0_TS);
	m.xcr0 = 3;
	CHECK_FAULT(machine_do(&m, vmovups, 4), OST_VEC_UD, 0);
	m.e.cr4 &= ~X86_CR4_OSFXSR;
	CHECK_FAULT(machine_do(&m, movups, 3), OST_VEC_UD, 0);
}

#define NEW_TSS 0xb000u

/* Two tasks of 32 bits: 0x40 is the one that runs, 0x48 the one to come. */
static int switch_task(struct ost_emul_task *t)
{
	ost_emul_begin(&m.e, NULL, 0);
	return ost_emul_task_switch(&m.e, t);
}

static void two_tasks(void)
{
	unsigned int i;

	machine_init(&m, OST_EMUL_PROT32);
	machine_descriptor(&m, 0x08, 0, 0xfffff, 0x9a, 0xc);
	machine_descriptor(&m, 0x10, 0, 0xfffff, 0x92, 0xc);
	machine_descriptor(&m, 0x40, MACHINE_TSS, 0x67, 0x8b, 0);
	machine_descriptor(&m, 0x48, NEW_TSS, 0x67, 0x89, 0);
	m.seg[OST_TR] = (struct kvm_segment){
		.selector = 0x40, .base = MACHINE_TSS, .limit = 0x67, .type = 11, .present = 1};
	machine_put(&m, NEW_TSS + 0x20, 0x1234, 4);
	machine_put(&m, NEW_TSS + 0x38, 0x5000, 4);
	for (i = 0; i < 6; i++)
		machine_put(&m, NEW_TSS + 0x48 + 4 * i, i == OST_CS ? 0x08 : 0x10, 4);
}

static void test_task_gate(void)
{
	struct ost_emul_task t = {.selector = 0x48, .source = OST_TASK_GATE, .external = true,
				  .has_error_code = true, .error_code = 0x77, .return_rip = 0x4321};

	two_tasks();
	machine_put(&m, NEW_TSS + 0x64, 1, 2);
	m.dr[7] = 0x7ff;
	m.e.gpr[OST_RBX] = 0xbbbb;
	CHECK_EQ(switch_task(&t), OST_EMUL_OK);
	CHECK(t.debug_trap);
	CHECK_EQ(m.e.rip, 0x1234);
	CHECK_EQ(m.e.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_NT);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x4ffc);
	CHECK_EQ(machine_get(&m, 0x4ffc, 4), 0x77);
	CHECK_EQ(m.dr[7], 0x7ff & ~0x155);
	CHECK_EQ(m.cr[0] & X86_CR0_TS, X86_CR0_TS);
	CHECK_EQ(m.seg[OST_TR].selector, 0x48);
	CHECK_EQ(machine_get(&m, NEW_TSS, 2), 0x40);
	CHECK_EQ(machine_get(&m, MACHINE_TSS + 0x20, 4), 0x4321);
	CHECK_EQ(machine_get(&m, MACHINE_TSS + 0x34, 4), 0xbbbb);
	CHECK_EQ(machine_get(&m, MACHINE_GDT + 0x45, 1), 0x8b);
	CHECK_EQ(machine_get(&m, MACHINE_GDT + 0x4d, 1), 0x8b);
}

static void test_task_faults(void)
{
	struct ost_emul_task t = {.selector = 0x48, .source = OST_TASK_GATE, .external = true};

	/* In the old task, without a trace; an external event shows in the error code. */
	two_tasks();
	machine_put(&m, MACHINE_GDT + 0x4d, 0x8b, 1);
	CHECK_FAULT(switch_task(&t), OST_VEC_GP, 0x49);
	machine_put(&m, MACHINE_GDT + 0x4d, 0x09, 1);
	CHECK_FAULT(switch_task(&t), OST_VEC_NP, 0x49);
	t.source = OST_TASK_IRET;
	t.external = false;
	CHECK_FAULT(switch_task(&t), OST_VEC_TS, 0x48);
	t.selector = 0x4c;
	CHECK_FAULT(switch_task(&t), OST_VEC_TS, 0x4c);
	t.selector = 0x100;
	t.source = OST_TASK_JMP;
	CHECK_FAULT(switch_task(&t), OST_VEC_GP, 0x100);
	CHECK_EQ(m.e.rip, MACHINE_CODE);
	CHECK_EQ(m.seg[OST_TR].selector, 0x40);
	CHECK_EQ(machine_get(&m, MACHINE_GDT + 0x45, 1), 0x8b);

	/* A lost race leaves all to be tried again; memory that is a device's is not for tasks. */
	two_tasks();
	t.selector = 0x48;
	m.race = true;
	CHECK_EQ(switch_task(&t), OST_EMUL_RETRY);
	CHECK_EQ(m.e.rip, MACHINE_CODE);
	m.page[MACHINE_TSS / 0x1000] = PAGE_DEVICE;
	CHECK_EQ(switch_task(&t), OST_EMUL_UNHANDLEABLE);
	m.page[MACHINE_TSS / 0x1000] = PAGE_RAM;
	CHECK_EQ(switch_task(&t), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, MACHINE_GDT + 0x45, 1), 0x89);

	/* In the new one, with segments that a CPU can be entered with. */
	two_tasks();
	machine_put(&m, NEW_TSS + 0x4c, 0x0b, 4);
	CHECK_FAULT(switch_task(&t), OST_VEC_TS, 0x08);
	CHECK_EQ(m.e.rip, 0x1234);
	CHECK_EQ(m.seg[OST_TR].selector, 0x48);
	CHECK(m.seg[OST_CS].present && m.seg[OST_CS].dpl == 3 && m.seg[OST_SS].dpl == 3);
	CHECK(m.seg[OST_SS].unusable);
}

/* Fills all of the struct with values of their own. */
static void fill_smram(struct ost_smram *s)
{
	u64 val = 0x1122334455667700;
	unsigned int i;

	*s = (struct ost_smram){
		.rip = val + 1, .rflags = val + 2, .cr0 = val + 3, .cr3 = val + 4, .cr4 = val + 5,
		.efer = val + 6, .dr6 = val + 7, .dr7 = val + 8, .gdt = { val + 9, 0x1234 },
		.idt = { val + 10, 0x5678 }, .smbase = 0xa0000, .shadow = 2, .auto_halt = true,
	};
	for (i = 0; i < OST_NR_GPRS; i++)
		s->gpr[i] = val + 0x10 + i;
	for (i = 0; i < OST_NR_SEGS; i++)
		s->seg[i] = (struct kvm_segment){
			.base = val + 0x20 + i, .limit = 0x80000000 + i, .selector = 0xff00 + i,
			.type = i + 1, .s = i & 1, .dpl = i & 3, .present = i != 3, .unusable = i == 3,
			.avl = i >> 1 & 1, .l = i == 1, .db = i == 2, .g = i > 4,
		};
}

static void cut_to_32_bits(struct ost_smram *s)
{
	unsigned int i;

	for (i = 0; i < OST_NR_GPRS; i++)
		s->gpr[i] = i < 8 ? (u32)s->gpr[i] : 0;
	for (i = 0; i < OST_NR_SEGS; i++)
		s->seg[i].base = (u32)s->seg[i].base;
	s->rip = (u32)s->rip;
	s->rflags = (u32)s->rflags;
	s->cr0 = (u32)s->cr0;
	s->cr3 = (u32)s->cr3;
	s->cr4 = (u32)s->cr4;
	s->dr6 = (u32)s->dr6;
	s->dr7 = (u32)s->dr7;
	s->gdt.base = (u32)s->gdt.base;
	s->idt.base = (u32)s->idt.base;
	s->efer = 0;
}

static u64 area(const u8 *bytes, unsigned int offset, unsigned int len)
{
	u64 val = 0;

	memcpy(&val, bytes + offset - OST_SMRAM_OFFSET, len);
	return val;
}

/* What is packed comes back, and stands where the manuals have it. */
static void test_smram(void)
{
	u8 bytes[OST_SMRAM_BYTES];
	struct ost_smram s, back;

	fill_smram(&s);
	ost_smram_pack(&s, true, bytes);
	ost_smram_unpack(bytes, true, &back);
	CHECK(!memcmp(&s, &back, sizeof(s)));
	/* APM vol. 2, table 10-1 */
	CHECK_EQ(area(bytes, 0xfff8, 8), s.gpr[OST_RAX]);
	CHECK_EQ(area(bytes, 0xffe0, 8), s.gpr[OST_RBX]);
	CHECK_EQ(area(bytes, 0xff80, 8), s.gpr[OST_R15]);
	CHECK_EQ(area(bytes, 0xff78, 8), s.rip);
	CHECK_EQ(area(bytes, 0xff00, 4), s.smbase);
	CHECK_EQ(area(bytes, 0xfefc, 4), 0x20064);
	CHECK_EQ(area(bytes, 0xfed0, 8), s.efer);
	CHECK_EQ(area(bytes, 0xfec9, 1), 1);
	CHECK_EQ(area(bytes, 0xfe90, 2), s.seg[OST_TR].selector);
	CHECK_EQ(area(bytes, 0xfe28, 8), s.seg[OST_SS].base);

	fill_smram(&s);
	cut_to_32_bits(&s);
	ost_smram_pack(&s, false, bytes);
	ost_smram_unpack(bytes, false, &back);
	CHECK(!memcmp(&s, &back, sizeof(s)));
	/* SDM vol. 3C, table 32-1 */
	CHECK_EQ(area(bytes, 0xfffc, 4), s.cr0);
	CHECK_EQ(area(bytes, 0xfff8, 4), s.cr3);
	CHECK_EQ(area(bytes, 0xfff4, 4), s.rflags);
	CHECK_EQ(area(bytes, 0xfff0, 4), s.rip);
	CHECK_EQ(area(bytes, 0xffec, 4), s.gpr[OST_RDI]);
	CHECK_EQ(area(bytes, 0xffd0, 4), s.gpr[OST_RAX]);
	CHECK_EQ(area(bytes, 0xffcc, 4), s.dr6);
	CHECK_EQ(area(bytes, 0xffc8, 4), s.dr7);
	CHECK_EQ(area(bytes, 0xffc4, 2), s.seg[OST_TR].selector);
	CHECK_EQ(area(bytes, 0xffa8, 2), s.seg[OST_ES].selector);
	CHECK_EQ(area(bytes, 0xff02, 2), 1);
	CHECK_EQ(area(bytes, 0xfefc, 4), 0x20000);
	CHECK_EQ(area(bytes, 0xfef8, 4), s.smbase);
}

static void test_rsm(void)
{
	struct ost_smram s;

	machine_init(&m, OST_EMUL_REAL);
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0xaa)), OST_VEC_UD, 0);
	fill_smram(&s);
	s.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_RF | X86_EFLAGS_IF;
	ost_smram_pack(&s, true, m.smram);
	m.smm = true;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0xaa)), OST_EMUL_OK);
	/* RIP, RF and the shadow are what was loaded, not what an instruction leaves behind. */
	CHECK(m.e.completed && !m.smm);
	CHECK_EQ(m.e.rip, s.rip);
	CHECK_EQ(m.e.rflags, s.rflags);
	CHECK_EQ(m.e.shadow, OST_EMUL_SHADOW_STI);
	CHECK(!memcmp(m.e.gpr, s.gpr, sizeof(s.gpr)));
	/* From user mode as well, which SMM may have left for. */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.cpl = 3;
	m.smm = true;
	ost_smram_pack(&s, true, m.smram);
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0xaa)), OST_EMUL_OK);
	CHECK_EQ(m.e.rip, s.rip);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("system: names and lengths of what can be intercepted", test_names);
	tap_run("system: privilege", test_privilege);
	tap_run("system: undefined", test_undefined);
	tap_run("system: I/O permission bitmap", test_io_bitmap);
	tap_run("system: ports", test_ports);
	tap_run("system: control registers", test_control_registers);
	tap_run("system: debug registers", test_debug_registers);
	tap_run("system: MSRs and the rest", test_msrs_and_more);
	tap_run("system: descriptor tables", test_descriptor_tables);
	tap_run("system: segment loads", test_segment_loads);
	tap_run("system: LDT and task register", test_system_segments);
	tap_run("system: interrupt flag", test_interrupt_flag);
	tap_run("system: real mode's far transfers", test_real_mode_far);
	tap_run("system: protected mode's far transfers", test_protected_far);
	tap_run("system: stack sizes", test_stack_sizes);
	tap_run("system: vector state", test_vector_state);
	tap_run("system: MMX moves", test_mmx);
	tap_run("system: SMM's save area", test_smram);
	tap_run("system: RSM", test_rsm);
	tap_run("system: a task gate", test_task_gate);
	tap_run("system: task switches that fault", test_task_faults);
	return tap_done();
}
