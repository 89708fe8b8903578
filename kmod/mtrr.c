// SPDX-License-Identifier: GPL-2.0-only
/*
 * MTRRs (SDM vol. 3A, 11.11; APM vol. 2, 7.7). What is written is validated and kept. It has no effect:
 * guest memory is the VMM's ordinary memory, and with nested paging the guest's PAT alone chooses
 * how it is cached.
 */
#include <linux/nospec.h>
#include <linux/types.h>
#include <asm/mtrr.h>
#include "msr.h"
#include "msr_table.h"
#include "vcpu.h"

/* IA32_MTRRCAP: how many variable ranges, fixed ranges, write combining. */
#define MTRRCAP (OST_NR_MTRR_VAR | BIT(8) | BIT(10))

#define DEF_TYPE_BITS (0xffull | BIT_ULL(10) | BIT_ULL(11))

static bool type_valid(u8 type)
{
	return type == MTRR_TYPE_UNCACHABLE || type == MTRR_TYPE_WRCOMB ||
	       type == MTRR_TYPE_WRTHROUGH || type == MTRR_TYPE_WRPROT || type == MTRR_TYPE_WRBACK;
}

/* Where a register is kept; NULL when it is none. */
static u64 *slot(struct ost_vcpu *vcpu, u32 index)
{
	struct ost_msrs *m = &vcpu->msr;
	u32 i;

	switch (index) {
	case MTRRphysBase_MSR(0) ... MTRRphysMask_MSR(OST_NR_MTRR_VAR - 1):
		i = array_index_nospec(index - MTRRphysBase_MSR(0), ARRAY_SIZE(m->mtrr_var));
		return &m->mtrr_var[i];
	case MSR_MTRRfix64K_00000:
		return &m->mtrr_fixed[0];
	case MSR_MTRRfix16K_80000 ... MSR_MTRRfix16K_A0000:
		i = array_index_nospec(index - MSR_MTRRfix16K_80000, 2);
		return &m->mtrr_fixed[1 + i];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		i = array_index_nospec(index - MSR_MTRRfix4K_C0000, 8);
		return &m->mtrr_fixed[3 + i];
	case MSR_MTRRdefType:
		return &m->mtrr_def_type;
	}
	return NULL;
}

int ost_mtrr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	const u64 *at = slot(vcpu, index);

	*data = at ? *at : MTRRCAP;
	return 0;
}

static bool fixed_valid(u64 data)
{
	int i;

	for (i = 0; i < 64; i += 8) {
		if (!type_valid(data >> i))
			return false;
	}
	return true;
}

static bool var_valid(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	/* The VMM may say so before it has set CPUID. */
	u64 reserved = ~GENMASK_ULL(51, 0) | (host ? 0 : vcpu->cpuid.gpa_reserved);

	if ((index - MTRRphysBase_MSR(0)) & 1)
		return !(data & (reserved | GENMASK_ULL(10, 0)));
	return type_valid(data) && !(data & (reserved | GENMASK_ULL(11, 8)));
}

int ost_mtrr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	u64 *at = slot(vcpu, index);
	bool valid;

	if (!at)
		return 1;
	if (index == MSR_MTRRdefType)
		valid = !(data & ~DEF_TYPE_BITS) && type_valid(data);
	else if (index >= MSR_MTRRfix64K_00000)
		valid = fixed_valid(data);
	else
		valid = var_valid(vcpu, index, data, host);
	if (!valid)
		return 1;
	*at = data;
	return 0;
}

void ost_mtrr_reset(struct ost_vcpu *vcpu)
{
	memset(vcpu->msr.mtrr_var, 0, sizeof(vcpu->msr.mtrr_var));
	memset(vcpu->msr.mtrr_fixed, 0, sizeof(vcpu->msr.mtrr_fixed));
	vcpu->msr.mtrr_def_type = 0;
}
