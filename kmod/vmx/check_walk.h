/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the VM-entry checker share. */
#ifndef OST_VMX_CHECK_WALK_H
#define OST_VMX_CHECK_WALK_H

#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include "check.h"

struct ost_vmx_walk {
	const struct ost_vmx_check *in;
	const struct ost_vmx_capabilities *cpu;
	struct ost_broken_rule *out;
	const char *section;
	bool broken;
	/* The controls in force: those of a group that is not activated count as 0. */
	u32 pin, proc, proc2, exit, entry;
	u64 proc3;
	u64 beyond;		/* address bits above the physical width */
	u64 beyond_data;	/* the same for structures that BASIC[48] may keep below 4 GBytes */
	u64 cr0, cr4, rflags;	/* the guest's */
	u32 intr_info;
};

/* Once a rule is broken nothing is read any more: fields that a wrong control wants may not exist. */
static inline u64 ost_vmx_get(const struct ost_vmx_walk *w, u32 field)
{
	return w->broken ? 0 : w->in->read(w->in->ctx, field);
}

void ost_vmx_broken(struct ost_vmx_walk *w, u32 field, u64 bits, const char *rule);

static inline void ost_vmx_rule(struct ost_vmx_walk *w, bool holds, u32 field, const char *rule)
{
	if (!holds)
		ost_vmx_broken(w, field, 0, rule);
}

static inline void ost_vmx_zero(struct ost_vmx_walk *w, u32 field, u64 mask, const char *rule)
{
	u64 bits = ost_vmx_get(w, field) & mask;

	if (bits)
		ost_vmx_broken(w, field, bits, rule);
}

/* SDM vol. 1, "Canonical Addressing" */
static inline bool ost_vmx_canonical(const struct ost_vmx_walk *w, u64 addr)
{
	int shift = 64 - w->cpu->linear_bits;

	return (u64)((s64)(addr << shift) >> shift) == addr;
}

void ost_vmx_is_canonical(struct ost_vmx_walk *w, u32 field);
/* Each of the eight types has to be one of the six that exist (SDM vol. 3A, "IA32_PAT MSR"). */
void ost_vmx_pat(struct ost_vmx_walk *w, u32 field);
/* CR0 or CR4 against the MSRs of fixed bits, but for those in `free`. */
void ost_vmx_fixed_bits(struct ost_vmx_walk *w, u32 field, u64 fixed0, u64 fixed1, u64 free);
void ost_vmx_cr3(struct ost_vmx_walk *w, u32 field);
void ost_vmx_s_cet(struct ost_vmx_walk *w, u32 field);

/* --- the guest-state area (check_guest.c) --- */
void ost_vmx_guest_control_regs(struct ost_vmx_walk *w);
void ost_vmx_guest_msrs(struct ost_vmx_walk *w);
void ost_vmx_guest_segments(struct ost_vmx_walk *w);
void ost_vmx_guest_tables(struct ost_vmx_walk *w);
void ost_vmx_guest_rip(struct ost_vmx_walk *w);
void ost_vmx_guest_activity(struct ost_vmx_walk *w);
void ost_vmx_guest_interruptibility(struct ost_vmx_walk *w);
void ost_vmx_guest_pending_debug(struct ost_vmx_walk *w);
void ost_vmx_guest_link(struct ost_vmx_walk *w);
void ost_vmx_guest_pdptes(struct ost_vmx_walk *w);

#endif
