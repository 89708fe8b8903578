// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine check registers (SDM vol. 3B, 15.3; APM vol. 2, 9.3). Banks exist so that a guest finds the
 * architecture that its CPUID promises; nothing is reported through them but what the VMM writes.
 */
#include <linux/nospec.h>
#include <linux/types.h>
#include <asm/mce.h>
#include "msr.h"
#include "msr_table.h"
#include "vcpu.h"

/* IA32_MCG_CAP's count, and MCG_CTL_P: IA32_MCG_CTL is there. */
#define DEFAULT_BANKS 10
#define COUNT_MASK MCG_BANKCNT_MASK

static u32 nr_banks(const struct ost_vcpu *vcpu)
{
	return vcpu->msr.mcg_cap & COUNT_MASK;
}

int ost_mce_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	const struct ost_msrs *m = &vcpu->msr;
	u32 i;

	switch (index) {
	case MSR_IA32_MCG_CAP:
		*data = m->mcg_cap;
		return 0;
	case MSR_IA32_MCG_STATUS:
		*data = m->mcg_status;
		return 0;
	case MSR_IA32_MCG_CTL:
		*data = m->mcg_ctl;
		return !(m->mcg_cap & MCG_CTL_P);
	}
	i = index - MSR_IA32_MC0_CTL;
	if (i >= 4 * nr_banks(vcpu))
		return 1;
	*data = m->mce_banks[array_index_nospec(i, ARRAY_SIZE(m->mce_banks))];
	return 0;
}

static int write_bank(struct ost_vcpu *vcpu, u32 i, u64 data, bool host)
{
	bool writable = host || (vcpu->msr.hwcr & OST_HWCR_MC_STATUS_WR_EN);

	if (i >= 4 * nr_banks(vcpu))
		return 1;
	i = array_index_nospec(i, ARRAY_SIZE(vcpu->msr.mce_banks));
	/* CTL takes any bits; STATUS, ADDR and MISC are cleared by writing 0 (SDM vol. 3B, 15.3.2). */
	if (i % 4 && data && !writable)
		return 1;
	vcpu->msr.mce_banks[i] = data;
	return 0;
}

int ost_mce_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	switch (index) {
	case MSR_IA32_MCG_CAP:
		return 1;
	case MSR_IA32_MCG_STATUS:
		if (data && !host)
			return 1;
		vcpu->msr.mcg_status = data;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!(vcpu->msr.mcg_cap & MCG_CTL_P))
			return 1;
		vcpu->msr.mcg_ctl = data;
		return 0;
	}
	return write_bank(vcpu, index - MSR_IA32_MC0_CTL, data, host);
}

void ost_mce_create(struct ost_vcpu *vcpu)
{
	vcpu->msr.mcg_cap = MCG_CTL_P | DEFAULT_BANKS;
}

void ost_mce_reset(struct ost_vcpu *vcpu)
{
	u32 i;

	vcpu->msr.mcg_status = 0;
	vcpu->msr.mcg_ctl = vcpu->msr.mcg_cap & MCG_CTL_P ? ~0ull : 0;
	memset(vcpu->msr.mce_banks, 0, sizeof(vcpu->msr.mce_banks));
	for (i = 0; i < nr_banks(vcpu); i++)
		vcpu->msr.mce_banks[4 * i] = ~0ull;
}
