// SPDX-License-Identifier: GPL-2.0-only
/* The checker of VMRUN's rules, against states that it has to accept and against each rule broken. */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <string.h>
#include "tap.h"
#include "svm/check.h"

static struct ost_vmcb vmcb;
static struct ost_svm_check check;

enum state { LONG, COMPAT, PAE, REAL, V8086, NR_STATES };

static void init_long(struct ost_vmcb *v)
{
	v->control.intercepts[OST_SVM_MISC2] = BIT(0);
	v->control.iopm_base_pa = 0x1000000;
	v->control.msrpm_base_pa = 0x2000000;
	v->control.guest_asid = 1;
	v->control.np_control = OST_SVM_NP_ENABLE;
	v->control.n_cr3 = 0x3000000;
	v->save.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NX | EFER_SCE;
	v->save.cr0 = 0x80050033;
	v->save.cr3 = 0x1234000;
	v->save.cr4 = X86_CR4_PAE | X86_CR4_PGE;
	v->save.cs = (struct ost_vmcb_seg){ 0x10, 0x29b, 0xffffffff, 0 };
	v->save.ss = (struct ost_vmcb_seg){ 0x18, 0xc93, 0xffffffff, 0 };
	v->save.dr6 = 0xffff0ff0;
	v->save.dr7 = 0x400;
	v->save.rflags = X86_EFLAGS_FIXED;
	v->save.rip = 0xffffffff81000000;
	v->save.g_pat = 0x0007040600070406;
	v->save.s_cet = 0x3f;
}

static void init(enum state state)
{
	memset(&vmcb, 0, sizeof(vmcb));
	init_long(&vmcb);
	check = (struct ost_svm_check) {
		.vmcb = &vmcb,
		.pa_reserved = ~GENMASK_ULL(47, 0),
		.cr4_reserved = ~0xff7fffull | BIT_ULL(15),
		.efer_reserved = ~0x1d01ull,
		.long_mode = true,
		.shadow_stacks = true,
	};
	switch (state) {
	case COMPAT:
		vmcb.save.cs.attrib = 0xc9b;
		break;
	case PAE:
	case V8086:
		vmcb.save.efer = EFER_SVME;
		vmcb.save.cs.attrib = 0xc9b;
		vmcb.save.rflags |= state == V8086 ? X86_EFLAGS_VM : 0;
		break;
	case REAL:
		vmcb.save.efer = EFER_SVME;
		vmcb.save.cr0 = X86_CR0_ET | X86_CR0_CD | X86_CR0_NW;
		vmcb.save.cr3 = ~0ull;
		vmcb.save.cr4 = 0;
		vmcb.save.cs = (struct ost_vmcb_seg){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
		break;
	default:
		break;
	}
}

/* Neither is looked at. */
static void odd_but_allowed(void)
{
	vmcb.save.cs.base = 0x0000800000000000;
	vmcb.save.rip = 0x0000800000000000;
	vmcb.save.rflags = ~0ull;
	vmcb.control.iopm_base_pa |= 0xfff;
}

static void valid_states(void)
{
	struct ost_broken_rule broken;
	enum state state;

	for (state = 0; state < NR_STATES; state++) {
		init(state);
		CHECK_MSG(!ost_svm_check(&check, &broken), "state %d: %s %s", state, broken.name,
			  broken.rule);
		odd_but_allowed();
		CHECK_MSG(!ost_svm_check(&check, &broken), "odd state %d: %s %s", state, broken.name,
			  broken.rule);
	}
}

/* --- each rule broken --- */

static void no_svme(void)
{
	vmcb.save.efer &= ~(u64)EFER_SVME;
}

static void no_long_mode(void)
{
	check.long_mode = false;
}

static void efer_reserved(void)
{
	vmcb.save.efer |= BIT_ULL(16);
}

static void nw(void)
{
	vmcb.save.cr0 |= X86_CR0_NW;
}

static void cr0_high(void)
{
	vmcb.save.cr0 |= BIT_ULL(32);
}

static void cr3_beyond(void)
{
	vmcb.save.cr3 |= BIT_ULL(48);
}

static void cr3_nx(void)
{
	check.pa_reserved = 0;
	vmcb.save.cr3 |= BIT_ULL(63);
}

static void cr4_reserved(void)
{
	vmcb.save.cr4 |= BIT_ULL(15);
}

static void cet_without_wp(void)
{
	vmcb.save.cr4 |= BIT_ULL(23);
	vmcb.save.cr0 &= ~(u64)X86_CR0_WP;
}

static void no_pae(void)
{
	vmcb.save.cr4 &= ~(u64)X86_CR4_PAE;
}

static void no_pe(void)
{
	vmcb.save.cr0 &= ~(u64)X86_CR0_PE;
}

static void cs_l_and_d(void)
{
	vmcb.save.cs.attrib |= BIT(10) | BIT(9);
}

static void dr6_high(void)
{
	vmcb.save.dr6 |= BIT_ULL(32);
}

static void dr7_high(void)
{
	vmcb.save.dr7 |= BIT_ULL(63);
}

static void s_cet_reserved(void)
{
	vmcb.save.s_cet |= BIT_ULL(6);
}

static void no_vmrun_intercept(void)
{
	vmcb.control.intercepts[OST_SVM_MISC2] = ~1u;
}

static void iopm_beyond(void)
{
	vmcb.control.iopm_base_pa = BIT_ULL(48);
}

static void iopm_ends_beyond(void)
{
	vmcb.control.iopm_base_pa = BIT_ULL(48) - 0x2000;
}

static void msrpm_ends_beyond(void)
{
	vmcb.control.msrpm_base_pa = BIT_ULL(48) - 0x1000;
}

static void asid_0(void)
{
	vmcb.control.guest_asid = 0;
}

static void ncr3_beyond(void)
{
	vmcb.control.n_cr3 |= BIT_ULL(48);
}

static void pat_type_2(void)
{
	vmcb.save.g_pat = 0x0007040602070406;
}

static void pat_reserved(void)
{
	vmcb.save.g_pat |= BIT_ULL(7);
}

static void event_type_1(void)
{
	check.eventinj = OST_SVM_EVENT_VALID | 1 << 8 | 0x30;
}

static void event_type_7(void)
{
	check.eventinj = OST_SVM_EVENT_VALID | 7 << 8;
}

static void exception_nmi(void)
{
	check.eventinj = OST_SVM_EVENT_VALID | OST_SVM_EVENT_EXCEPTION | 2;
}

static void exception_15(void)
{
	check.eventinj = OST_SVM_EVENT_VALID | OST_SVM_EVENT_EXCEPTION | 15;
}

static void exception_32(void)
{
	check.eventinj = OST_SVM_EVENT_VALID | OST_SVM_EVENT_EXCEPTION | 32;
}

#define WIDTH "must have bits 63:52 and those beyond the physical-address width clear"
#define MAP "must leave the map within the physical-address width"
#define HIGH "must have bits 63:32 clear"
#define RESERVED "must have its reserved bits clear"
#define PAT "must hold types 0, 1, 4, 5, 6 or 7 only"
#define TYPE "must have type 0, 2, 3 or 4"
#define VECTOR "of type 3 must have the vector of an exception"
#define SAVE(member) offsetof(struct ost_vmcb, save.member)
#define CONTROL(member) offsetof(struct ost_vmcb, control.member)

static const struct row {
	void (*change)(void);
	u32 field;
	const char *name, *rule;
	u32 states;		/* in which of them it breaks the rule; in the others none is */
} rows[] = {
	{ no_svme, 0x4d0, "EFER", "must set SVME", ~0u },
	{ no_long_mode, 0x4d0, "EFER", "must not set LME or LMA on a CPU without long mode",
	  BIT(LONG) | BIT(COMPAT) },
	{ efer_reserved, SAVE(efer), "EFER", RESERVED, ~0u },
	{ nw, 0x558, "CR0", "must not set NW without CD", ~(u32)BIT(REAL) },
	{ cr0_high, SAVE(cr0), "CR0", HIGH, ~0u },
	{ cr3_beyond, 0x550, "CR3", WIDTH " in long mode", BIT(LONG) | BIT(COMPAT) },
	{ cr3_nx, SAVE(cr3), "CR3", WIDTH " in long mode", BIT(LONG) | BIT(COMPAT) },
	{ cr4_reserved, 0x548, "CR4", RESERVED, ~0u },
	{ cet_without_wp, SAVE(cr4), "CR4", "must not set CET without CR0.WP", ~0u },
	{ no_pae, SAVE(cr4), "CR4", "must set PAE with EFER.LME and CR0.PG", BIT(LONG) | BIT(COMPAT) },
	{ no_pe, SAVE(cr0), "CR0", "must set PE with EFER.LME and CR0.PG", BIT(LONG) | BIT(COMPAT) },
	{ cs_l_and_d, 0x412, "CS attributes",
	  "must not set both L and D with EFER.LME, CR0.PG and CR4.PAE", BIT(LONG) | BIT(COMPAT) },
	{ dr6_high, 0x568, "DR6", HIGH, ~0u },
	{ dr7_high, 0x560, "DR7", HIGH, ~0u },
	{ s_cet_reserved, SAVE(s_cet), "S_CET", RESERVED, ~0u },
	{ no_vmrun_intercept, 0x010, "intercepts", "must include VMRUN (bit 0)", ~0u },
	{ iopm_beyond, 0x040, "IOPM_BASE_PA", MAP, ~0u },
	{ iopm_ends_beyond, 0x040, "IOPM_BASE_PA", MAP, ~0u },
	{ msrpm_ends_beyond, 0x048, "MSRPM_BASE_PA", MAP, ~0u },
	{ asid_0, 0x058, "guest ASID", "must not be 0", ~0u },
	{ ncr3_beyond, 0x0b0, "nCR3", WIDTH, ~0u },
	{ pat_type_2, 0x668, "G_PAT", PAT, ~0u },
	{ pat_reserved, SAVE(g_pat), "G_PAT", PAT, ~0u },
	{ event_type_1, 0x0a8, "EVENTINJ", TYPE, ~0u },
	{ event_type_7, CONTROL(eventinj), "EVENTINJ", TYPE, ~0u },
	{ exception_nmi, CONTROL(eventinj), "EVENTINJ", VECTOR, ~0u },
	{ exception_15, CONTROL(eventinj), "EVENTINJ", VECTOR, ~0u },
	{ exception_32, CONTROL(eventinj), "EVENTINJ", VECTOR, ~0u },
};

static void break_one(const struct row *row, int n, enum state state)
{
	struct ost_broken_rule broken = {};
	bool found;

	init(state);
	row->change();
	found = ost_svm_check(&check, &broken);
	if (!(row->states & BIT(state))) {
		CHECK_MSG(!found, "row %d, state %d: found %s %s", n, state, broken.name, broken.rule);
		return;
	}
	CHECK_MSG(found, "row %d, state %d: not found: %s %s", n, state, row->name, row->rule);
	CHECK_MSG(broken.field == row->field && !strcmp(broken.name, row->name) &&
		  !strcmp(broken.rule, row->rule), "row %d, state %d: found %s %s, not %s %s", n, state,
		  broken.name, broken.rule, row->name, row->rule);
	CHECK(!(broken.bits & ~broken.value));
	CHECK(strstr(broken.section, "APM vol. 2"));
}

static void broken_rules(void)
{
	enum state state;
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		for (state = 0; state < NR_STATES && !tap_failed(); state++)
			break_one(&rows[i], i, state);
	}
}

static void events(void)
{
	static const u32 good[] = {
		OST_SVM_EVENT_INTR | 0x20, OST_SVM_EVENT_NMI | 2, OST_SVM_EVENT_SOFT | 0x80,
		OST_SVM_EVENT_EXCEPTION | 0, OST_SVM_EVENT_EXCEPTION | 14 | OST_SVM_EVENT_ERROR_VALID,
		OST_SVM_EVENT_EXCEPTION | 3, OST_SVM_EVENT_EXCEPTION | 18,
	};
	struct ost_broken_rule broken;
	int i;

	init(LONG);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		check.eventinj = good[i] | OST_SVM_EVENT_VALID;
		CHECK_MSG(!ost_svm_check(&check, &broken), "event %x: %s", check.eventinj, broken.rule);
	}
	/* Without the valid bit it is no event. */
	check.eventinj = OST_SVM_EVENT_EXCEPTION | 2;
	CHECK(!ost_svm_check(&check, &broken));
}

/* G_PAT and nCR3 count with nested paging only. */
static void without_nested_paging(void)
{
	struct ost_broken_rule broken;

	init(LONG);
	vmcb.control.np_control = 0;
	vmcb.control.n_cr3 = ~0ull;
	vmcb.save.g_pat = ~0ull;
	CHECK(!ost_svm_check(&check, &broken));
	vmcb.save.s_cet = ~0ull;
	check.shadow_stacks = false;
	CHECK(!ost_svm_check(&check, &broken));
}

static void text(void)
{
	char buf[OST_BROKEN_RULE_LEN];
	struct ost_broken_rule broken;

	init(LONG);
	cs_l_and_d();
	CHECK(ost_svm_check(&check, &broken));
	ost_broken_rule_format(buf, sizeof(buf), &broken);
	CHECK(!strcmp(buf, "CS attributes must not set both L and D with EFER.LME, CR0.PG and CR4.PAE: "
		      "field 0x412 is 0x69b (APM vol. 2, 15.5.1, Canonicalization and Consistency Checks)"));
	init(LONG);
	cr0_high();
	CHECK(ost_svm_check(&check, &broken));
	ost_broken_rule_format(buf, sizeof(buf), &broken);
	CHECK(strstr(buf, "field 0x558 is 0x180050033, of which 0x100000000 ("));
}

/* --- fuzz --- */

static u64 seed;

/* xorshift64*, so that a failure repeats. */
static u64 rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dull;
}

static bool has_test(const struct ost_broken_rule *broken)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].field == broken->field && !strcmp(rows[i].rule, broken->rule))
			return true;
	}
	return false;
}

static void fuzz_round(void)
{
	struct ost_broken_rule first = {}, again = {};
	struct ost_vmcb before;
	int flips = rnd() % 8 + 1;
	bool broken;

	init(rnd() % NR_STATES);
	check.eventinj = rnd() % 2 ? rnd() : 0;
	while (flips--) {
		u32 bit = rnd() % (rnd() % 4 ? 0x700 * 8 : sizeof(vmcb) * 8);

		((u8 *)&vmcb)[bit / 8] ^= 1 << bit % 8;
	}
	before = vmcb;
	broken = ost_svm_check(&check, &first);
	CHECK(!memcmp(&before, &vmcb, sizeof(vmcb)));
	CHECK(broken == ost_svm_check(&check, &again));
	CHECK(!memcmp(&first, &again, sizeof(first)));
	if (broken)
		CHECK_MSG(has_test(&first), "no test breaks \"%s %s\"", first.name, first.rule);
}

static void fuzz(void)
{
	int i;

	for (i = 0; i < 100000 && !tap_failed(); i++) {
		seed = 0x9e3779b97f4a7c15ull * (i + 1);
		fuzz_round();
	}
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("valid_states", valid_states);
	tap_run("broken_rules", broken_rules);
	tap_run("events", events);
	tap_run("without_nested_paging", without_nested_paging);
	tap_run("text", text);
	tap_run("fuzz", fuzz);
	return tap_done();
}
