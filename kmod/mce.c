// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine check registers (SDM vol. 3B, 15.3; APM vol. 2, 9.3). Banks exist so that a guest finds the
 * architecture that its CPUID promises; nothing is reported through them but what the VMM writes, or has
 * reported by KVM_X86_SET_MCE.
 */
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/mce.h>
#include <asm/processor.h>
#include <asm/trapnr.h>
#include "event.h"
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

/* Offsets in a bank. */
enum { CTL, STATUS, ADDR, MISC };

/* Linux leaves one error out of all: bit 0 of Intel's bank 0, bit 10 of AMD's bank 4. */
static bool ctl_valid(u64 data)
{
	return !data || !~(data | BIT_ULL(0) | BIT_ULL(10));
}

/*
 * By the manual (SDM vol. 3B, 15.3.2) the guest clears STATUS, ADDR and MISC by 0 and gets #GP for all else, while
 * CTL takes any bits, but on the P6 family all or none (15.3.2.1). AMD's CPUs let ADDR and MISC be written (APM vol. 2,
 * 9.3.2). The stock module has AMD's ADDR and MISC and P6's CTL for all guests, and tests of the ABI ask for that.
 */
static bool bank_takes(const struct ost_vcpu *vcpu, u32 i, u64 data)
{
	switch (i % 4) {
	case CTL:
		return ctl_valid(data);
	case STATUS:
		return !data || (vcpu->msr.hwcr & OST_HWCR_MC_STATUS_WR_EN);
	default:
		return true;
	}
}

static int write_bank(struct ost_vcpu *vcpu, u32 i, u64 data, bool host)
{
	if (i >= 4 * nr_banks(vcpu))
		return 1;
	i = array_index_nospec(i, ARRAY_SIZE(vcpu->msr.mce_banks));
	if (!host && !bank_takes(vcpu, i, data))
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
		/* All ones, or none (SDM vol. 3B, 15.3.1.3). */
		if (!(vcpu->msr.mcg_cap & MCG_CTL_P) || (data && data != ~0ull))
			return 1;
		vcpu->msr.mcg_ctl = data;
		return 0;
	}
	return write_bank(vcpu, index - MSR_IA32_MC0_CTL, data, host);
}

/* --- errors that the VMM reports --- */

/*
 * IA32_MCG_CAP's bits that a VMM may choose: its count besides, and where its extended registers would be told
 * of (bits 23:16), of which there are none to be read. There is no CMCI, nor local delivery.
 */
#define SUPPORTED (MCG_CTL_P | MCG_SER_P)
#define EXT_COUNT_MASK GENMASK_ULL(23, 16)

u64 ost_mce_cap_supported(void)
{
	return SUPPORTED;
}

int ost_mce_setup(struct ost_vcpu *vcpu, u64 mcg_cap)
{
	u32 banks = mcg_cap & COUNT_MASK, i;

	if (!banks || banks > OST_MAX_MCE_BANKS ||
	    (mcg_cap & ~(SUPPORTED | COUNT_MASK | EXT_COUNT_MASK)))
		return -EINVAL;
	/* AMD's has nothing else (APM vol. 2, 9.3.2.1): what a VMM asks for besides is not shown. */
	if (boot_cpu_data.x86_vendor == X86_VENDOR_AMD || boot_cpu_data.x86_vendor == X86_VENDOR_HYGON)
		mcg_cap &= COUNT_MASK | MCG_CTL_P;
	vcpu->msr.mcg_cap = mcg_cap;
	if (mcg_cap & MCG_CTL_P)
		vcpu->msr.mcg_ctl = ~0ull;
	for (i = 0; i < banks; i++)
		vcpu->msr.mce_banks[4 * i + CTL] = ~0ull;
	return 0;
}

/* Uncorrected, and no action asked for: it is logged, and CMCI would tell of it (SDM vol. 3B, 15.6.3). */
static bool is_ucna(const struct kvm_x86_mce *mce)
{
	return (mce->status & MCI_STATUS_UC) && !(mce->status & (MCI_STATUS_S | MCI_STATUS_AR)) &&
	       !mce->mcg_status;
}

static void log_error(u64 *bank, const struct kvm_x86_mce *mce, u64 overflow)
{
	bank[STATUS] = mce->status | overflow;
	bank[ADDR] = mce->addr;
	bank[MISC] = mce->misc;
}

/* Is the reporting of uncorrected errors on: all bits of IA32_MCG_CTL and of the bank's CTL? */
static bool reports_uncorrected(const struct ost_vcpu *vcpu, const u64 *bank)
{
	if ((vcpu->msr.mcg_cap & MCG_CTL_P) && vcpu->msr.mcg_ctl != ~0ull)
		return false;
	return bank[CTL] == ~0ull;
}

static void machine_check(struct ost_vcpu *vcpu, u64 *bank, const struct kvm_x86_mce *mce, u64 overflow)
{
	/* One while another is handled, or where none can be, shuts the CPU down (SDM vol. 3B, 15.3.1.2). */
	if ((vcpu->msr.mcg_status & MCG_STATUS_MCIP) || !(ost_cr4(vcpu) & X86_CR4_MCE)) {
		ost_request(vcpu, OST_REQ_TRIPLE_FAULT);
		return;
	}
	log_error(bank, mce, overflow);
	vcpu->msr.mcg_status = mce->mcg_status;
	ost_exception(vcpu, X86_TRAP_MC, OST_NO_ERROR_CODE);
}

int ost_mce_report(struct ost_vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	u64 *bank, old, overflow;
	u32 i;

	if (mce->bank >= nr_banks(vcpu) || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	i = array_index_nospec(mce->bank, OST_MAX_MCE_BANKS);
	bank = &vcpu->msr.mce_banks[4 * i];
	old = bank[STATUS];
	overflow = old & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0;
	if (is_ucna(mce)) {
		log_error(bank, mce, overflow);
	} else if (mce->status & MCI_STATUS_UC) {
		if (reports_uncorrected(vcpu, bank))
			machine_check(vcpu, bank, mce, overflow);
	} else if ((old & MCI_STATUS_VAL) && (old & MCI_STATUS_UC)) {
		/* A corrected error does not take the place of one that was not (15.3.2.2.1). */
		bank[STATUS] |= MCI_STATUS_OVER;
	} else {
		log_error(bank, mce, overflow);
	}
	return 0;
}

/* --- life --- */

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
