// SPDX-License-Identifier: GPL-2.0-only
/* Guest virtual addresses of a vCPU, by the walk of walk.c over its memory. */
#include <linux/mm.h>
#include "../vcpu.h"
#include "../vm.h"

static int read_entry(void *ctx, gpa_t gpa, u64 *pte, u32 size)
{
	/* x86 is little-endian: a short entry comes to lie in the low half. */
	*pte = 0;
	return ost_vcpu_read(ctx, gpa, pte, size);
}

static int cmpxchg_entry(void *ctx, gpa_t gpa, u64 old, u64 new, u32 size)
{
	return ost_vcpu_cmpxchg(ctx, gpa, &old, &new, size);
}

static const struct ost_walk_ops walk_ops = {
	.read = read_entry,
	.cmpxchg = cmpxchg_entry,
};

static void get_walk_state(struct ost_vcpu *vcpu, struct ost_walk_state *state)
{
	*state = (struct ost_walk_state){
		.cr0 = ost_cr0(vcpu),
		.cr3 = ost_cr3(vcpu),
		.cr4 = ost_cr4(vcpu),
		.efer = ost_efer(vcpu),
		.rflags = ost_rflags(vcpu),
		.pkru = vcpu->fpu.pkru,
		.gpa_reserved = vcpu->cpuid.gpa_reserved,
		.gbpages = ost_has(vcpu, GBPAGES),
		.pse36 = ost_has(vcpu, PSE36),
		.amd = ost_has(vcpu, AMD),
	};
}

int ost_gva_to_gpa(struct ost_vcpu *vcpu, gva_t gva, u32 access, gpa_t *gpa,
		   struct ost_walk_fault *fault)
{
	struct ost_walk_state state;

	if (!ost_paging(vcpu)) {
		*gpa = gva;
		return 0;
	}
	get_walk_state(vcpu, &state);
	return ost_walk(&state, &walk_ops, vcpu, gva, access, gpa, fault);
}

bool ost_pdptes_valid(struct ost_vcpu *vcpu, u64 cr3)
{
	u64 pdptes[4];
	int i;

	if (ost_vcpu_read(vcpu, cr3 & GENMASK_ULL(31, 5), pdptes, sizeof(pdptes)))
		return false;
	for (i = 0; i < ARRAY_SIZE(pdptes); i++)
		if (!ost_pdpte_loadable(pdptes[i], vcpu->cpuid.gpa_reserved))
			return false;
	return true;
}
