// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fetching, segmentation, faults in the middle, waits for userspace, and string instructions that
 * stop on the way: what the comparison with the CPU (native_test.c) can't reach.
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

/*
 * An instruction that ends right before an absent page runs; one byte further on it faults at the
 * page.
 */
static void test_fetch_page_end(void)
{
	static const struct {
		u8 bytes[12];
		u8 len;
	} insns[] = {
		{{0x90}, 1},
		{{0x0f, 0xa2}, 2},
		{{0x66, 0x90}, 2},
		{{0x8b, 0x04, 0x25, 0, 0x20, 0, 0}, 7},
		{{0xb8, 1, 2, 3, 4}, 5},
		{{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}, 10},
		{{0x67, 0x8b, 0x44, 0x24, 8}, 5},
		{{0xc5, 0xf8, 0x10, 0x00}, 4},
		{{0x66, 0x0f, 0x38, 0x2a, 0x00}, 5},
		{{0xf6, 0xc0, 0x01}, 3},
		{{0xf6, 0xd0}, 2},
	};
	unsigned int i, cut;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		for (cut = 0; cut < insns[i].len; cut++) {
			machine_init(&m, OST_EMUL_LONG64);
			m.page[3] = PAGE_ABSENT;
			m.e.rip = 0x3000 - insns[i].len + cut;
			memcpy(m.ram + m.e.rip, insns[i].bytes, insns[i].len);
			ost_emul_begin(&m.e, NULL, 0);
			if (!cut) {
				CHECK_EQ(ost_emul_decode(&m.e), OST_EMUL_OK);
				CHECK_EQ(m.e.len, insns[i].len);
				CHECK_EQ(m.last_fetch, 0x3000);
				CHECK_EQ(ost_emul_next_rip(&m.e), 0x3000);
			} else {
				CHECK_FAULT(ost_emul_decode(&m.e), 14, 0);
				CHECK_EQ(m.e.exception.address, 0x3000);
			}
		}
	}
}

/* Bytes that the CPU delivered are not fetched again; what they lack is. */
static void test_fetch_prefilled(void)
{
	const u8 mov[] = {0xb8, 1, 2, 3, 4};

	machine_init(&m, OST_EMUL_LONG64);
	memcpy(m.ram + MACHINE_CODE, mov, sizeof(mov));
	ost_emul_begin(&m.e, mov, sizeof(mov));
	CHECK_EQ(ost_emul_decode(&m.e), OST_EMUL_OK);
	CHECK_EQ(m.fetches, 0);
	ost_emul_begin(&m.e, mov, 3);
	CHECK_EQ(ost_emul_decode(&m.e), OST_EMUL_OK);
	CHECK_EQ(m.fetches, 1);
	CHECK_EQ(m.e.op[1].value, 0x04030201);
}

static void test_fetch_limits(void)
{
	u8 prefixes[16];

	/* 15 bytes are an instruction, 16 are #GP. */
	memset(prefixes, 0x66, sizeof(prefixes));
	prefixes[14] = 0x90;
	machine_init(&m, OST_EMUL_LONG64);
	CHECK_EQ(machine_do(&m, prefixes, 15), OST_EMUL_OK);
	CHECK_EQ(m.e.rip, MACHINE_CODE + 15);
	prefixes[14] = 0x66;
	prefixes[15] = 0x90;
	machine_init(&m, OST_EMUL_LONG64);
	CHECK_FAULT(machine_do(&m, prefixes, 16), OST_VEC_GP, 0);

	/* so it is when the sixteenth is an immediate */
	prefixes[14] = 0xb0;
	prefixes[15] = 1;
	machine_init(&m, OST_EMUL_LONG64);
	CHECK_FAULT(machine_do(&m, prefixes, 16), OST_VEC_GP, 0);

	/* The code segment's limit counts by bytes that the instruction has. */
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_CS].limit = MACHINE_CODE + 1;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0xa2)), OST_EMUL_OK);
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_CS].limit = MACHINE_CODE;
	CHECK_FAULT(machine_do(&m, INSN(0x0f, 0xa2)), OST_VEC_GP, 0);

	machine_init(&m, OST_EMUL_LONG64);
	m.e.rip = 0x800000000000ULL;
	CHECK_FAULT(machine_do(&m, INSN(0x90)), OST_VEC_GP, 0);
	/* IP wraps where the code is of 16 bits. */
	machine_init(&m, OST_EMUL_REAL);
	m.e.rip = 0xffff;
	CHECK_EQ(machine_do(&m, INSN(0x90)), OST_EMUL_OK);
	CHECK_EQ(m.e.rip, 0);
}

static void test_16bit_addresses(void)
{
	/* mov al, [bx+si]: the sum wraps at 64K */
	machine_init(&m, OST_EMUL_REAL);
	m.e.gpr[OST_RBX] = 0xdeadf000;
	m.e.gpr[OST_RSI] = 0x3010;
	m.ram[0x2010] = 0x5a;
	CHECK_EQ(machine_do(&m, INSN(0x8a, 0x00)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX] & 0xff, 0x5a);

	/* mov ax, [bp+2] goes through SS; with DS named it does not */
	machine_init(&m, OST_EMUL_REAL);
	m.seg[OST_SS].base = 0x10000;
	m.e.gpr[OST_RBP] = 0x100;
	machine_put(&m, 0x10102, 0x1234, 2);
	machine_put(&m, 0x102, 0x5678, 2);
	CHECK_EQ(machine_do(&m, INSN(0x8b, 0x46, 0x02)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x1234);
	CHECK_EQ(machine_do(&m, INSN(0x3e, 0x8b, 0x46, 0x02)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x5678);

	/* A word at FFFF: #GP, and #SS through SS; real mode has no error code. */
	machine_init(&m, OST_EMUL_REAL);
	m.e.gpr[OST_RBX] = 0xffff;
	CHECK_FAULT(machine_do(&m, INSN(0x8b, 0x07)), OST_VEC_GP, 0);
	CHECK(!m.e.exception.has_error_code);
	CHECK_FAULT(machine_do(&m, INSN(0x36, 0x8b, 0x07)), OST_VEC_SS, 0);

	/* 67 makes it 32 bits: mov eax, [ebx+ecx*4] in unreal mode */
	machine_init(&m, OST_EMUL_REAL);
	m.seg[OST_DS].limit = ~0u;
	m.e.gpr[OST_RBX] = 0x10000;
	m.e.gpr[OST_RCX] = 0x10;
	machine_put(&m, 0x10040, 0xcafef00d, 4);
	CHECK_EQ(machine_do(&m, INSN(0x67, 0x66, 0x8b, 0x04, 0x8b)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0xcafef00d);
}

static void test_segment_checks(void)
{
	const u8 load[] = {0x8b, 0x03}, store[] = {0x89, 0x03}, add[] = {0x01, 0x03};

	/* the last dword within the limit, and one byte further */
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_DS].limit = 0x4fff;
	m.e.gpr[OST_RBX] = 0x4ffc;
	CHECK_EQ(machine_do(&m, load, 2), OST_EMUL_OK);
	m.e.gpr[OST_RBX] = 0x4ffd;
	CHECK_FAULT(machine_do(&m, load, 2), OST_VEC_GP, 0);
	CHECK(m.e.exception.has_error_code);

	/* expand-down: from above the limit to 4G, or 64K */
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_DS].limit = 0x4fff;
	m.seg[OST_DS].type = 7;
	m.e.gpr[OST_RBX] = 0x5000;
	CHECK_EQ(machine_do(&m, load, 2), OST_EMUL_OK);
	m.e.gpr[OST_RBX] = 0x4fff;
	CHECK_FAULT(machine_do(&m, load, 2), OST_VEC_GP, 0);
	m.seg[OST_DS].db = 0;
	m.e.gpr[OST_RBX] = 0xfffd;
	CHECK_FAULT(machine_do(&m, load, 2), OST_VEC_GP, 0);

	/* read-only data is not written, also not by what reads it first */
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_DS].type = 1;
	m.e.gpr[OST_RBX] = 0x4000;
	CHECK_EQ(machine_do(&m, load, 2), OST_EMUL_OK);
	CHECK_FAULT(machine_do(&m, store, 2), OST_VEC_GP, 0);
	CHECK_FAULT(machine_do(&m, add, 2), OST_VEC_GP, 0);

	/* code is not written, and read only if it is readable */
	m.seg[OST_DS].type = 0xb;
	CHECK_EQ(machine_do(&m, load, 2), OST_EMUL_OK);
	CHECK_FAULT(machine_do(&m, store, 2), OST_VEC_GP, 0);
	m.seg[OST_DS].type = 9;
	CHECK_FAULT(machine_do(&m, load, 2), OST_VEC_GP, 0);

	m.seg[OST_DS] = (struct kvm_segment){.unusable = 1, .limit = ~0u, .type = 3};
	CHECK_FAULT(machine_do(&m, load, 2), OST_VEC_GP, 0);

	/* 64-bit mode has bases in FS and GS only, and no limits */
	machine_init(&m, OST_EMUL_LONG64);
	m.seg[OST_DS].base = 0x9999;
	m.seg[OST_DS].unusable = 1;
	m.seg[OST_FS].base = 0x2000;
	m.e.gpr[OST_RBX] = 0x4000;
	machine_put(&m, 0x4000, 0x11, 4);
	machine_put(&m, 0x6000, 0x22, 4);
	CHECK_EQ(machine_do(&m, load, 2), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x11);
	CHECK_EQ(machine_do(&m, INSN(0x64, 0x8b, 0x03)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x22);
}

/* A write that faults leaves nothing behind: registers, flags and memory are as before. */
static void test_failed_writes(void)
{
	static const struct {
		u8 bytes[8];
		u8 len;
	} insns[] = {
		{{0x0f, 0xc1, 0x03}, 3},       /* xadd */
		{{0x87, 0x03}, 2},	       /* xchg */
		{{0xf0, 0x0f, 0xb1, 0x0b}, 4}, /* lock cmpxchg */
		{{0xf0, 0x0f, 0xc7, 0x0b}, 4}, /* lock cmpxchg8b */
		{{0x8f, 0x03}, 2},	       /* pop */
		{{0x01, 0x03}, 2},	       /* add */
		{{0xd1, 0x23}, 2},	       /* shl */
		{{0xff, 0x03}, 2},	       /* inc */
		{{0x0f, 0xab, 0x03}, 3},       /* bts */
		{{0x66, 0x0f, 0x7f, 0x03}, 4}, /* movdqa */
	};
	struct machine before;
	unsigned int i, page;

	for (i = 0; i < ARRAY_SIZE(insns); i++)
		for (page = PAGE_READONLY; page <= PAGE_ABSENT; page++) {
			if (page == PAGE_DEVICE)
				continue;
			machine_init(&m, OST_EMUL_LONG64);
			m.page[5] = page;
			m.e.gpr[OST_RBX] = 0x5000;
			m.e.gpr[OST_RAX] = 0x17;
			m.e.rflags |= X86_EFLAGS_CF;
			machine_put(&m, 0x5000, 0x123456789abcdef0, 8);
			before = m;
			memcpy(before.ram + MACHINE_CODE, insns[i].bytes, insns[i].len);
			CHECK_FAULT(machine_do(&m, insns[i].bytes, insns[i].len), 14,
				    page == PAGE_READONLY ? 3 : 2);
			CHECK_EQ(m.e.exception.address, 0x5000);
			CHECK(!memcmp(m.e.gpr, before.e.gpr, sizeof(m.e.gpr)));
			CHECK_EQ(m.e.rflags, before.e.rflags);
			CHECK_EQ(m.e.rip, before.e.rip);
			CHECK(!memcmp(m.ram, before.ram, sizeof(m.ram)));
		}
}

/* A write over the end of a page touches neither page when the second can't be written. */
static void test_split_write(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.page[6] = PAGE_READONLY;
	m.e.gpr[OST_RBX] = 0x5ffe;
	m.e.gpr[OST_RAX] = 0x44332211;
	CHECK_FAULT(machine_do(&m, INSN(0x89, 0x03)), 14, 3);
	CHECK_EQ(m.e.exception.address, 0x6000);
	CHECK_EQ(machine_get(&m, 0x5ffe, 4), 0);
}

static bool logged(unsigned int n, char kind, u64 where, unsigned int len, u64 value)
{
	const struct machine_access *a = &m.log[n];

	return n < m.logged && a->kind == kind && a->where == where && a->len == len &&
	       a->value == value;
}

/*
 * Each device access happens once, in order, with the instruction's registers as if nothing had
 * been.
 */
static void test_device_reads(void)
{
	/* mov eax, [rbx] */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RBX] = 0x5010;
	m.e.gpr[OST_RAX] = ~0ULL;
	CHECK_EQ(machine_run(&m, INSN(0x8b, 0x03)), OST_EMUL_IO);
	CHECK_EQ(m.e.gpr[OST_RAX], ~0ULL);
	CHECK_EQ(m.e.rip, MACHINE_CODE);
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RAX], 0x11);
	CHECK_EQ(m.e.rip, MACHINE_CODE + 2);
	CHECK(!m.broken && m.logged == 1 && logged(0, 'r', 0x5010, 4, 0x11));

	/* cmpsd between two device addresses: two reads, then flags */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RSI] = 0x5000;
	m.e.gpr[OST_RDI] = 0x5100;
	CHECK_EQ(machine_do(&m, INSN(0xa7)), OST_EMUL_OK);
	CHECK(!m.broken && m.logged == 2);
	CHECK(logged(0, 'r', 0x5000, 4, 0x11) && logged(1, 'r', 0x5100, 4, 0x12));
	CHECK(m.e.rflags & X86_EFLAGS_CF);

	/* add [rbx], eax: a read, then the write */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RBX] = 0x5000;
	m.e.gpr[OST_RAX] = 0x100;
	CHECK_EQ(machine_do(&m, INSN(0xf0, 0x01, 0x03)), OST_EMUL_OK);
	CHECK(!m.broken && m.logged == 2);
	CHECK(logged(0, 'r', 0x5000, 4, 0x11) && logged(1, 'w', 0x5000, 4, 0x111));

	/* push [rbx]: RSP moves once */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RBX] = 0x5000;
	CHECK_EQ(machine_do(&m, INSN(0xff, 0x33)), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x6ff8);
	CHECK_EQ(machine_get(&m, 0x6ff8, 8), 0x11);
	CHECK(!m.broken && m.logged == 1);
}

/* Eight waits in one instruction: each read is asked for once, whatever was answered before. */
static void test_many_device_reads(void)
{
	machine_init(&m, OST_EMUL_PROT32);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RSP] = 0x5000;
	CHECK_EQ(machine_do(&m, INSN(0x61)), OST_EMUL_OK);
	CHECK(!m.broken && m.logged == 8);
	CHECK(m.e.gpr[OST_RDI] == 0x11 && m.e.gpr[OST_RAX] == 0x18);
	CHECK_EQ(m.e.gpr[OST_RSP], 0x5020);
}

/*
 * When registers change during the wait the instruction is another one: nothing of the old is
 * replayed.
 */
static void test_device_read_changed(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RSI] = 0x4000;
	m.e.gpr[OST_RDI] = 0x5000;
	machine_put(&m, 0x4000, 0x55, 4);
	machine_put(&m, 0x4100, 5, 4);
	/* cmpsd: RAM was read, the device is pending */
	CHECK_EQ(machine_run(&m, INSN(0xa7)), OST_EMUL_IO);
	m.e.gpr[OST_RSI] = 0x4100;
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_OK);
	/* 5 less than the device's 11 */
	CHECK(m.e.rflags & X86_EFLAGS_CF && !(m.e.rflags & X86_EFLAGS_ZF));
	CHECK(!m.broken && m.logged == 1);
}

static void test_device_strings(void)
{
	/* rep movsb from a device to RAM, across iterations */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RSI] = 0x5000;
	m.e.gpr[OST_RDI] = 0x4000;
	m.e.gpr[OST_RCX] = 3;
	CHECK_EQ(machine_do(&m, INSN(0xf3, 0xa4)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4000, 4), 0x131211);
	CHECK_EQ(m.e.gpr[OST_RCX], 0);
	CHECK(!m.broken && m.logged == 3 && logged(2, 'r', 0x5002, 1, 0x13));

	/* rep stosd to a device that asks for a stop after each write */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.yield = true;
	m.e.gpr[OST_RAX] = 0xabcd;
	m.e.gpr[OST_RDI] = 0x5000;
	m.e.gpr[OST_RCX] = 3;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0xab)), OST_EMUL_OK);
	CHECK(!m.e.completed && m.logged == 1 && m.e.gpr[OST_RCX] == 2);
	CHECK_EQ(m.e.rip, MACHINE_CODE);
	CHECK(m.e.rflags & X86_EFLAGS_RF);
	CHECK_EQ(machine_finish(&m, OST_EMUL_OK), OST_EMUL_OK);
	CHECK(m.logged == 3 && logged(2, 'w', 0x5008, 4, 0xabcd));
	CHECK(!(m.e.rflags & X86_EFLAGS_RF));
	CHECK_EQ(m.e.rip, MACHINE_CODE + 2);
}

/* A lost race enters the guest again, with nothing done. */
static void test_locked_race(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RBX] = 0x4000;
	m.e.gpr[OST_RAX] = 5;
	m.e.rflags |= X86_EFLAGS_CF | X86_EFLAGS_ZF;
	m.race = true;
	CHECK_EQ(machine_do(&m, INSN(0xf0, 0x0f, 0xc1, 0x03)), OST_EMUL_RETRY);
	CHECK_EQ(m.e.gpr[OST_RAX], 5);
	CHECK_EQ(m.e.rflags, X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_ZF);
	CHECK_EQ(m.e.rip, MACHINE_CODE);
	CHECK_EQ(machine_do(&m, INSN(0xf0, 0x0f, 0xc1, 0x03)), OST_EMUL_OK);
	CHECK(m.logged == 1 && logged(0, 'c', 0x4000, 4, 0));
	CHECK_EQ(machine_get(&m, 0x4000, 4), 5);

	/* XCHG locks without being told, ADD does not */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RBX] = 0x4000;
	CHECK_EQ(machine_do(&m, INSN(0x87, 0x03)), OST_EMUL_OK);
	CHECK_EQ(m.logged, 1);
	CHECK_EQ(machine_do(&m, INSN(0x01, 0x03)), OST_EMUL_OK);
	CHECK_EQ(m.logged, 1);
}

static void test_repeat_bounds(void)
{
	/* rep stosb of 1000: 256 at a time */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RDI] = 0x4000;
	m.e.gpr[OST_RCX] = 1000;
	m.e.gpr[OST_RAX] = 0x5a;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0xaa)), OST_EMUL_OK);
	CHECK(!m.e.completed);
	CHECK_EQ(m.e.gpr[OST_RCX], 1000 - OST_EMUL_REP_BATCH);
	CHECK_EQ(m.e.gpr[OST_RDI], 0x4000 + OST_EMUL_REP_BATCH);
	CHECK_EQ(machine_finish(&m, OST_EMUL_OK), OST_EMUL_OK);
	CHECK_EQ(m.e.gpr[OST_RCX], 0);
	CHECK_EQ(m.ram[0x43e7], 0x5a);
	CHECK_EQ(m.ram[0x43e8], 0);

	/* under TF one iteration, and its trap */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.rflags |= X86_EFLAGS_TF;
	m.e.gpr[OST_RDI] = 0x4000;
	m.e.gpr[OST_RCX] = 4;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0xaa)), OST_EMUL_OK);
	CHECK(m.e.single_step && !m.e.completed);
	CHECK_EQ(m.e.gpr[OST_RCX], 3);

	/* nothing to do */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RDI] = 0xdead0000dead0000;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0xaa)), OST_EMUL_OK);
	CHECK(m.e.completed && m.e.rip == MACHINE_CODE + 2);

	/* repe cmpsb stops behind the difference; a fault later keeps what was done */
	machine_init(&m, OST_EMUL_LONG64);
	memcpy(m.ram + 0x4000, "abcd", 4);
	memcpy(m.ram + 0x4100, "abxd", 4);
	m.e.gpr[OST_RSI] = 0x4000;
	m.e.gpr[OST_RDI] = 0x4100;
	m.e.gpr[OST_RCX] = 10;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0xa6)), OST_EMUL_OK);
	CHECK(m.e.completed && !(m.e.rflags & X86_EFLAGS_ZF));
	CHECK_EQ(m.e.gpr[OST_RCX], 7);
	CHECK_EQ(m.e.gpr[OST_RSI], 0x4003);
}

/* 16-bit strings wrap at 64K, and read through the override but write through ES. */
static void test_string_segments(void)
{
	machine_init(&m, OST_EMUL_REAL);
	m.seg[OST_FS].base = 0x10000;
	m.seg[OST_ES].base = 0x4000;
	m.e.gpr[OST_RSI] = 0xabcdffff;
	m.e.gpr[OST_RDI] = 0x12340010;
	m.e.gpr[OST_RCX] = 0x77770002;
	m.ram[0x1ffff] = 0x21;
	m.ram[0x10000] = 0x22;
	CHECK_EQ(machine_do(&m, INSN(0x64, 0xf3, 0xa4)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4010, 2), 0x2221);
	CHECK_EQ(m.e.gpr[OST_RSI], 0xabcd0001);
	CHECK_EQ(m.e.gpr[OST_RDI], 0x12340012);
	CHECK_EQ(m.e.gpr[OST_RCX], 0x77770000);
}

static void test_port_strings(void)
{
	/*
	 * rep insw of 600 to 4F00: 128 to the end of the page, then the next page's; userspace
	 * answers each
	 */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RDX] = 0x1f0;
	m.e.gpr[OST_RDI] = 0x4f00;
	m.e.gpr[OST_RCX] = 600;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0x66, 0x6d)), OST_EMUL_IO);
	CHECK_EQ(m.e.gpr[OST_RCX], 600);
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_OK);
	CHECK(!m.broken && m.logged == 2);
	CHECK(m.log[0].count == 128 && m.log[1].count == 472 && m.log[1].len == 2);
	CHECK_EQ(machine_get(&m, 0x4f00, 4), 0x120011);
	CHECK_EQ(machine_get(&m, 0x4f00 + 1198, 2), 0x11 + 599);
	CHECK_EQ(m.e.gpr[OST_RDI], 0x4f00 + 1200);

	/* the destination's fault comes before the port is touched */
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_READONLY;
	m.e.gpr[OST_RDI] = 0x5000;
	m.e.gpr[OST_RCX] = 4;
	CHECK_FAULT(machine_do(&m, INSN(0xf3, 0x6c)), 14, 3);
	CHECK(m.logged == 0 && !m.is_pending);

	/* a dword over the end of a page, its second page read-only: likewise */
	m.e.gpr[OST_RDI] = 0x4ffe;
	CHECK_FAULT(machine_do(&m, INSN(0xf3, 0x6d)), 14, 3);
	CHECK(m.logged == 0 && !m.is_pending);
	m.page[5] = PAGE_RAM;
	CHECK_EQ(machine_do(&m, INSN(0x6d)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x4ffe, 4), 0x11);

	/* downwards, and into a device: one at a time */
	machine_init(&m, OST_EMUL_LONG64);
	m.e.rflags |= X86_EFLAGS_DF;
	m.e.gpr[OST_RDI] = 0x4010;
	m.e.gpr[OST_RCX] = 2;
	CHECK_EQ(machine_do(&m, INSN(0xf3, 0x6c)), OST_EMUL_OK);
	CHECK_EQ(m.logged, 2);
	CHECK_EQ(machine_get(&m, 0x400f, 2), 0x1112);
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RDI] = 0x5000;
	m.e.gpr[OST_RCX] = 2;
	CHECK_EQ(machine_do(&m, INSN(0xf3, 0x6c)), OST_EMUL_OK);
	CHECK(m.logged == 4 && logged(3, 'w', 0x5001, 1, 0x12));

	/* rep outsb: one batch, packed; limited to the segment */
	machine_init(&m, OST_EMUL_PROT32);
	m.seg[OST_DS].limit = 0x4003;
	memcpy(m.ram + 0x4000, "wxyz!", 5);
	m.e.gpr[OST_RDX] = 0x3f8;
	m.e.gpr[OST_RSI] = 0x4000;
	m.e.gpr[OST_RCX] = 4;
	CHECK_EQ(machine_do(&m, INSN(0xf3, 0x6e)), OST_EMUL_OK);
	CHECK(m.logged == 1 && m.log[0].count == 4 && m.log[0].kind == 'o');
	m.e.gpr[OST_RSI] = 0x4000;
	m.e.gpr[OST_RCX] = 5;
	m.logged = 0;
	CHECK_FAULT(machine_do(&m, INSN(0xf3, 0x6e)), OST_VEC_GP, 0);
	CHECK_EQ(m.logged, 4);
	CHECK_EQ(m.e.gpr[OST_RCX], 1);
}

/*
 * A batch was read for what was RAM: when it has become a device's meanwhile it goes there by single elements,
 * as one that is single does.
 */
static void test_port_string_remapped(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RDI] = 0x5000;
	m.e.gpr[OST_RCX] = 3;
	CHECK_EQ(machine_run(&m, INSN(0xf3, 0x6c)), OST_EMUL_IO);
	CHECK_EQ(m.pending.count, 3);
	m.page[5] = PAGE_DEVICE;
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_OK);
	CHECK(m.e.gpr[OST_RCX] == 0 && m.e.gpr[OST_RDI] == 0x5003);

	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RDI] = 0x5000;
	CHECK_EQ(machine_run(&m, INSN(0x6c)), OST_EMUL_IO);
	m.page[5] = PAGE_DEVICE;
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_OK);
	CHECK(!m.broken && m.logged == 2 && logged(1, 'w', 0x5000, 1, 0x11));
}

/* The machine was reset during a wait: the instruction is not there any more. */
static void test_moved_rip(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.page[5] = PAGE_DEVICE;
	m.e.gpr[OST_RBX] = 0x5000;
	CHECK_EQ(machine_run(&m, INSN(0x8b, 0x03)), OST_EMUL_IO);
	m.e.rip = 0xfff0;
	CHECK_EQ(machine_finish(&m, OST_EMUL_IO), OST_EMUL_RETRY);
	CHECK(m.e.rip == 0xfff0 && m.e.gpr[OST_RAX] == 0 && m.logged == 0);
}

/* DI wraps in the middle of what would be a batch. */
static void test_port_string_wrap(void)
{
	machine_init(&m, OST_EMUL_REAL);
	m.seg[OST_ES].base = 0x100;
	m.seg[OST_ES].limit = ~0u;
	m.e.gpr[OST_RDI] = 0xfffe;
	m.e.gpr[OST_RCX] = 4;
	CHECK_EQ(machine_do(&m, INSN(0xf3, 0x6c)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x100fe, 4), 0x1211);
	CHECK_EQ(machine_get(&m, 0x100, 2), 0x1413);
	CHECK_EQ(m.e.gpr[OST_RDI], 2);
}

/* CR0.AM and RFLAGS.AC at CPL 3; a page fault goes before. */
static void test_alignment_check(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.cr0 |= X86_CR0_AM;
	m.e.rflags |= X86_EFLAGS_AC;
	m.e.gpr[OST_RBX] = 0x4001;
	CHECK_EQ(machine_do(&m, INSN(0x8b, 0x03)), OST_EMUL_OK);
	m.e.cpl = 3;
	CHECK_FAULT(machine_do(&m, INSN(0x8b, 0x03)), OST_VEC_AC, 0);
	CHECK_FAULT(machine_do(&m, INSN(0x89, 0x03)), OST_VEC_AC, 0);
	CHECK_EQ(machine_do(&m, INSN(0x8a, 0x03)), OST_EMUL_OK);
	/* MOVUPS is there to be unaligned */
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0x10, 0x03)), OST_EMUL_OK);
	m.page[4] = PAGE_ABSENT;
	CHECK_FAULT(machine_do(&m, INSN(0x8b, 0x03)), 14, 4);
}

/*
 * BT with a register reaches memory beyond the operand, in both directions and in 16-bit steps too.
 */
static void test_bit_offsets(void)
{
	machine_init(&m, OST_EMUL_LONG64);
	m.e.gpr[OST_RBX] = 0x4000;
	m.e.gpr[OST_RAX] = (u64)-1;
	CHECK_EQ(machine_do(&m, INSN(0x48, 0x0f, 0xab, 0x03)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x3ff8, 8), 1ULL << 63);
	m.e.gpr[OST_RAX] = 0x1000 * 8 + 3;
	CHECK_EQ(machine_do(&m, INSN(0x0f, 0xab, 0x03)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x5000, 4), 8);
	m.e.gpr[OST_RAX] = 0xfff0; /* -16, as a word */
	CHECK_EQ(machine_do(&m, INSN(0x66, 0x0f, 0xab, 0x03)), OST_EMUL_OK);
	CHECK_EQ(machine_get(&m, 0x3ffe, 2), 0x8001);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("memory: fetch at the end of a page", test_fetch_page_end);
	tap_run("memory: fetch with bytes given", test_fetch_prefilled);
	tap_run("memory: fetch limits", test_fetch_limits);
	tap_run("memory: 16-bit addresses", test_16bit_addresses);
	tap_run("memory: segment checks", test_segment_checks);
	tap_run("memory: failed writes", test_failed_writes);
	tap_run("memory: split write", test_split_write);
	tap_run("memory: device reads", test_device_reads);
	tap_run("memory: many device reads", test_many_device_reads);
	tap_run("memory: registers changed during a device read", test_device_read_changed);
	tap_run("memory: device strings", test_device_strings);
	tap_run("memory: locked updates and races", test_locked_race);
	tap_run("memory: repeat bounds", test_repeat_bounds);
	tap_run("memory: string segments", test_string_segments);
	tap_run("memory: port strings", test_port_strings);
	tap_run("memory: port string to what became a device", test_port_string_remapped);
	tap_run("memory: RIP moved during a device read", test_moved_rip);
	tap_run("memory: port string over the end of 64K", test_port_string_wrap);
	tap_run("memory: alignment check", test_alignment_check);
	tap_run("memory: bit offsets", test_bit_offsets);
	return tap_done();
}
