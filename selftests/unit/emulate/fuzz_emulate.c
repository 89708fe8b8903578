// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: any bytes as instruction, any registers, segments and memory, in any mode, with
 * callbacks that fail by chance. Sanitizers watch; beyond them these must hold: an instruction that
 * did not end leaves RIP alone, no index leaves its range (the machine's callbacks check),
 * execution ends.
 */
#include <linux/bug.h>

#include "machine.h"

static struct machine m;

static const struct {
	u8 pages[4];
	u32 limit;
} shapes[] = {
	{{PAGE_RAM, PAGE_RAM, PAGE_RAM, PAGE_RAM}, ~0u},
	{{PAGE_RAM, PAGE_DEVICE, PAGE_RAM, PAGE_READONLY}, ~0u},
	{{PAGE_DEVICE, PAGE_DEVICE, PAGE_ABSENT, PAGE_RAM}, 0xffff},
	{{PAGE_RAM, PAGE_ABSENT, PAGE_RAM, PAGE_DEVICE}, 0x4fff},
};

static u64 take(const u8 **data, size_t *size, unsigned int bytes)
{
	u64 value = 0;

	if (bytes > *size)
		bytes = *size;
	memcpy(&value, *data, bytes);
	*data += bytes;
	*size -= bytes;
	return value;
}

/* Registers are mostly addresses within the machine, so that memory is reached. */
static void fill_registers(const u8 **data, size_t *size)
{
	unsigned int i;

	for (i = 0; i < OST_NR_GPRS; i++) {
		u64 value = take(data, size, 4);

		if (value & 1)
			m.e.gpr[i] = value >> 1 & (MACHINE_RAM - 1);
		else
			m.e.gpr[i] = value & 2 ? value << 32 | value : (u64)(s32)value;
	}
}

static void shape_machine(u64 options)
{
	unsigned int i, shape = options >> 8 & 3;

	for (i = 0; i < MACHINE_PAGES; i++)
		m.page[i] = i == MACHINE_CODE / 0x1000 ? PAGE_RAM : shapes[shape].pages[i & 3];
	if (m.e.mode != OST_EMUL_LONG64 && options & 1)
		m.seg[OST_DS].limit = shapes[shape].limit;
	if (options & 2)
		m.seg[OST_DS].type = options >> 4 & 15;
	if (options & 4)
		m.seg[OST_SS].db ^= 1;
	if (options & 8)
		m.seg[OST_FS].base = options << 20;
	m.hostile = options & 0x400;
	m.yield = options & 0x800;
	m.race = options & 0x1000;
	m.e.amd = options & 0x2000;
	m.chance = options;
	m.e.cr4 |= options >> 16 & (X86_CR4_DE | X86_CR4_TSD | X86_CR4_UMIP | X86_CR4_VME);
	if (options & 0x4000)
		m.e.cr0 |= X86_CR0_AM;
	for (i = 0x10; i < 0x100; i += 8)
		machine_put(&m, MACHINE_GDT + i, options * 0x9e3779b97f4a7c15ULL * i, 8);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 head = take(&data, &size, 8);
	enum ost_emul_mode mode = (head & 0xff) % 5;
	u64 start;
	int ret, i;

	machine_init(&m, mode);
	if (ost_emul_is_prot(&m.e) && head & 0x100 && mode != OST_EMUL_REAL)
		m.e.cpl = 3;
	m.e.rflags |= head >> 16 & 0x247fd5;
	if (mode != OST_EMUL_VM86)
		m.e.rflags &= ~X86_EFLAGS_VM;
	shape_machine(take(&data, &size, 8));
	fill_registers(&data, &size);
	if (head & 0x200)
		m.e.rip = MACHINE_CODE + 0x1000 - (head >> 10 & 15);
	start = m.e.rip;

	ret = machine_run(&m, data, size < 15 ? size : 15);
	for (i = 0; i < 64; i++) {
		BUG_ON(ret < OST_EMUL_OK || ret > OST_EMUL_UNHANDLEABLE);
		if (ret != OST_EMUL_OK || !m.e.completed)
			BUG_ON(m.e.rip != start);
		BUG_ON(ret == OST_EMUL_FAULT && m.e.exception.vector > 17);
		if (ret != OST_EMUL_IO && (ret != OST_EMUL_OK || m.e.completed))
			break;
		ret = ost_emul_execute(&m.e);
	}
	/* Without chance at work, what was pending is what is asked for. */
	BUG_ON(!m.hostile && m.broken);
	return 0;
}
