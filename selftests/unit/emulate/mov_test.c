// SPDX-License-Identifier: GPL-2.0-only
/*
 * MOV to and from device memory, decoded at once (emulate/mov.c), against the whole decoder: whatever it
 * takes is that instruction, and it takes all the forms that it says it does.
 */
#include <stdlib.h>
#include "emulate/internal.h"
#include "emulate/mov.h"
#include "tap.h"

static bool mode64;

static u64 rip(void)
{
	return mode64 ? 0x7fff12345000ull : 0x12345000;
}

static void get_segment(struct ost_emul *e, enum ost_emul_seg seg, struct kvm_segment *var)
{
	*var = (struct kvm_segment){ .limit = ~0u, .present = 1, .s = 1, .l = mode64, .db = !mode64 };
}

static int no_fetch(struct ost_emul *e, u64 linear, void *buf, unsigned int len)
{
	return OST_EMUL_UNHANDLEABLE;
}

static const struct ost_emul_ops ops = {
	.get_segment = get_segment,
	.fetch = no_fetch,
};

static struct ost_emul e;

static int decode(const u8 *bytes)
{
	int i;

	ost_emul_init(&e, &ops, NULL);
	e.cr0 = X86_CR0_PE;
	e.efer = mode64 ? EFER_LMA : 0;
	e.rip = rip();
	for (i = 0; i < OST_NR_GPRS; i++)
		e.gpr[i] = (u64)random() << 33 ^ (u64)random() << 11 ^ random();
	ost_emul_begin(&e, bytes, OST_EMUL_MAX_LEN);
	return ost_emul_decode(&e);
}

static bool is_mov(void)
{
	if (e.map == OST_MAP_0F)
		return e.opcode == 0xb6 || e.opcode == 0xb7;
	if (!mode64 && e.map == OST_MAP_1B && e.opcode >= 0xa0 && e.opcode <= 0xa3)
		return true;
	return e.map == OST_MAP_1B && ((e.opcode >= 0x88 && e.opcode <= 0x8b) ||
				       ((e.opcode & ~1) == 0xc6 && !(e.modrm >> 3 & 7)));
}

/* What the decoder has made of it is what ost_mov_decode() has. */
static void compare(const struct ost_mov *mov)
{
	const struct ost_emul_operand *memory = &e.op[mov->store ? 0 : 1];
	const struct ost_emul_operand *other = &e.op[mov->store ? 1 : 0];

	CHECK(is_mov());
	CHECK(e.mem.valid && !e.lock && e.seg_override < 0 && !e.address_prefix);
	CHECK_EQ(mov->len, e.len);
	CHECK_EQ(memory->kind, OST_OPND_MEM);
	CHECK_EQ(mov->size, memory->bytes);
	CHECK_EQ(ost_mov_address(mov, e.gpr, rip()), ost_emul_effective_address(&e));
	CHECK_EQ(mov->zero_extend, e.map == OST_MAP_0F);
	if (mov->immediate) {
		CHECK_EQ(mov->imm & ost_mask(mov->size), other->value & ost_mask(mov->size));
	} else {
		CHECK_EQ(mov->reg, other->reg);
		CHECK(!other->high);
	}
}

/* Bytes that are often such an instruction. */
static void make_bytes(u8 *bytes)
{
	static const u8 opcodes[] = { 0x88, 0x89, 0x8a, 0x8b, 0xc6, 0xc7, 0x0f, 0xa1, 0xa2, 0x03 };
	static const u8 prefixes[] = { 0x66, 0x67, 0x64, 0xf0, 0xf3, 0x2e };
	int i, n = 0;

	for (i = 0; i < OST_MOV_BYTES; i++)
		bytes[i] = random();
	if (!(random() % 4))
		bytes[n++] = prefixes[random() % ARRAY_SIZE(prefixes)];
	if (random() % 2)
		bytes[n++] = 0x40 | random() % 16;
	bytes[n++] = opcodes[random() % ARRAY_SIZE(opcodes)];
	if (bytes[n - 1] == 0x0f)
		bytes[n++] = 0xb4 | random() % 4;
	if (random() % 2)
		bytes[n] &= 0xc7;
}

static void test_takes_nothing_else(void)
{
	u8 bytes[OST_MOV_BYTES];
	struct ost_mov mov;
	int i, taken = 0;

	for (i = 0; i < 1000000 && !tap_failed(); i++) {
		make_bytes(bytes);
		if (!ost_mov_decode(bytes, mode64, &mov))
			continue;
		taken++;
		CHECK_EQ(decode(bytes), OST_EMUL_OK);
		compare(&mov);
	}
	CHECK(taken > 100000);
}

static void test_takes_all_forms(void)
{
	u8 bytes[OST_MOV_BYTES];
	struct ost_mov mov;
	int i, seen = 0;

	for (i = 0; i < 1000000; i++) {
		bool high;

		make_bytes(bytes);
		if (decode(bytes) != OST_EMUL_OK || !is_mov() || !e.mem.valid)
			continue;
		/* What mov.h says it leaves. */
		high = e.op[0].high || e.op[1].high;
		if (high || e.seg_override >= 0 || e.address_prefix || e.rep || e.lock ||
		    (e.operand_prefix && e.map == OST_MAP_0F) || bytes[0] == 0x2e)
			continue;
		seen++;
		CHECK_MSG(ost_mov_decode(bytes, mode64, &mov), "left out: %02x %02x %02x %02x", bytes[0],
			  bytes[1], bytes[2], bytes[3]);
	}
	CHECK(seen > 100000);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	srandom(1);
	mode64 = true;
	tap_run("mov: what it takes is what the decoder says", test_takes_nothing_else);
	tap_run("mov: it takes all of its forms", test_takes_all_forms);
	mode64 = false;
	tap_run("mov: in 32-bit code, what it takes is what the decoder says", test_takes_nothing_else);
	tap_run("mov: in 32-bit code, it takes all of its forms", test_takes_all_forms);
	return tap_done();
}
