// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the checker of VM entry's rules on any CPU and any VMCS: what it reads exists, it
 * says the same twice, and what it says fits its text.
 *
 *	make test-fuzz T=fuzz/check/fuzz_vmx
 */
#include <linux/bug.h>
#include <linux/string.h>
#include "vmx_machine.h"

static struct machine m;

/* Records of ten bytes change a field, or a word of what the CPU offers. */
#define RECORD 10
#define IN_CPU 0x8000

static void change(const u8 *record)
{
	u64 val;
	u16 where;

	memcpy(&where, record, sizeof(where));
	memcpy(&val, record + 2, sizeof(val));
	if (where & IN_CPU)
		((u64 *)&m.cpu)[where % (offsetof(struct ost_vmx_capabilities, phys_bits) / 8)] = val;
	else
		m.vmcs[where % NR_FIELDS] ^= val;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct ost_broken_rule first = {}, again = {};
	char text[OST_BROKEN_RULE_LEN];
	bool broken;

	if (size < 2)
		return 0;
	machine_init(&m, data[0] % NR_STATES);
	m.cpu.features = data[1];
	for (data += 2, size -= 2; size >= RECORD; data += RECORD, size -= RECORD)
		change(data);
	broken = ost_vmx_check(&m.check, &first);
	BUG_ON(broken != ost_vmx_check(&m.check, &again));
	BUG_ON(first.rule != again.rule || first.field != again.field || first.bits != again.bits);
	BUG_ON(m.missing);
	if (!broken)
		return 0;
	BUG_ON(first.value != m.vmcs[first.field]);
	BUG_ON(ost_broken_rule_format(text, sizeof(text), &first) >= sizeof(text));
	return 0;
}
