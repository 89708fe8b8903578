// SPDX-License-Identifier: GPL-2.0-only
/* VMRUN's rules. Section numbers are the APM's, volume 2. */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include "check.h"

#define CR4_CET BIT_ULL(23)

/* Sizes of the permission maps (15.10.1, 15.11), which have to lie below the end of memory. */
#define IOPM_SIZE (3 * 4096)
#define MSRPM_SIZE (2 * 4096)

/* Bits of a segment's packed attributes (15.5.1, appendix B). */
#define ATTR_L BIT(9)
#define ATTR_D BIT(10)

struct walk {
	const struct ost_svm_check *in;
	const struct ost_vmcb_control *control;
	const struct ost_vmcb_save *save;
	struct ost_broken_rule *out;
	const char *section;
	bool broken;
};

/* A field by its name in struct ost_vmcb and in the manual: its offset and value. */
struct field {
	const char *name;
	u32 offset;
	u64 value;
};

#define FIELD(w, member, what)                                                                     \
	((struct field){ (what), offsetof(struct ost_vmcb, member), (w)->in->vmcb->member })

static void broken(struct walk *w, struct field f, u64 bits, const char *rule)
{
	if (w->broken)
		return;
	*w->out = (struct ost_broken_rule) {
		.name = f.name,
		.rule = rule,
		.section = w->section,
		.field = f.offset,
		.value = f.value,
		.bits = bits,
	};
	w->broken = true;
}

static void rule(struct walk *w, bool holds, struct field f, const char *rule)
{
	if (!holds)
		broken(w, f, 0, rule);
}

static void zero(struct walk *w, struct field f, u64 mask, const char *rule)
{
	if (f.value & mask)
		broken(w, f, f.value & mask, rule);
}

/* Does the guest have long mode active, or would its next step activate it? */
static bool long_mode(const struct walk *w)
{
	return (w->save->efer & EFER_LME) && (w->save->cr0 & X86_CR0_PG);
}

static void efer(struct walk *w)
{
	struct field f = FIELD(w, save.efer, "EFER");

	rule(w, f.value & EFER_SVME, f, "must set SVME");
	if (!w->in->long_mode)
		zero(w, f, EFER_LME | EFER_LMA,
		     "must not set LME or LMA on a CPU without long mode");
	zero(w, f, w->in->efer_reserved, "must have its reserved bits clear");
}

static void control_registers(struct walk *w)
{
	struct field cr0 = FIELD(w, save.cr0, "CR0");
	struct field cr3 = FIELD(w, save.cr3, "CR3");
	struct field cr4 = FIELD(w, save.cr4, "CR4");

	rule(w, (cr0.value & X86_CR0_CD) || !(cr0.value & X86_CR0_NW), cr0,
	     "must not set NW without CD");
	zero(w, cr0, GENMASK_ULL(63, 32), "must have bits 63:32 clear");
	if (long_mode(w))
		zero(w, cr3, w->in->pa_reserved | GENMASK_ULL(63, 52),
		     "must have bits 63:52 and those beyond the physical-address width clear in long mode");
	zero(w, cr4, w->in->cr4_reserved, "must have its reserved bits clear");
	rule(w, !(cr4.value & CR4_CET) || (cr0.value & X86_CR0_WP), cr4,
	     "must not set CET without CR0.WP");
}

static void long_mode_state(struct walk *w)
{
	u16 attrib = w->save->cs.attrib;

	if (!long_mode(w))
		return;
	rule(w, w->save->cr4 & X86_CR4_PAE, FIELD(w, save.cr4, "CR4"),
	     "must set PAE with EFER.LME and CR0.PG");
	rule(w, w->save->cr0 & X86_CR0_PE, FIELD(w, save.cr0, "CR0"),
	     "must set PE with EFER.LME and CR0.PG");
	rule(w, !(attrib & ATTR_L) || !(attrib & ATTR_D), FIELD(w, save.cs.attrib, "CS attributes"),
	     "must not set both L and D with EFER.LME, CR0.PG and CR4.PAE");
}

static void debug_registers(struct walk *w)
{
	zero(w, FIELD(w, save.dr6, "DR6"), GENMASK_ULL(63, 32), "must have bits 63:32 clear");
	zero(w, FIELD(w, save.dr7, "DR7"), GENMASK_ULL(63, 32), "must have bits 63:32 clear");
}

static void shadow_stacks(struct walk *w)
{
	if (w->in->shadow_stacks)
		zero(w, FIELD(w, save.s_cet, "S_CET"), GENMASK_ULL(9, 6),
		     "must have its reserved bits clear");
}

/* The CPU ignores bits 11:0. */
static void permission_map(struct walk *w, struct field f, u64 size)
{
	u64 last = ALIGN_DOWN(f.value, 4096ULL) + size - 1;

	rule(w, !((f.value | last) & w->in->pa_reserved), f,
	     "must leave the map within the physical-address width");
}

static void controls(struct walk *w)
{
	rule(w, ost_vmcb_intercepted(w->in->vmcb, ICPT_VMRUN),
	     FIELD(w, control.intercepts[OST_SVM_MISC2], "intercepts"),
	     "must include VMRUN (bit 0)");
	permission_map(w, FIELD(w, control.iopm_base_pa, "IOPM_BASE_PA"), IOPM_SIZE);
	permission_map(w, FIELD(w, control.msrpm_base_pa, "MSRPM_BASE_PA"), MSRPM_SIZE);
	rule(w, w->control->guest_asid, FIELD(w, control.guest_asid, "guest ASID"),
	     "must not be 0");
}

static void nested_paging(struct walk *w)
{
	struct field pat = FIELD(w, save.g_pat, "G_PAT");
	u64 bad = 0;
	int i;

	if (!(w->control->np_control & OST_SVM_NP_ENABLE))
		return;
	zero(w, FIELD(w, control.n_cr3, "nCR3"), w->in->pa_reserved | GENMASK_ULL(63, 52),
	     "must have bits 63:52 and those beyond the physical-address width clear");
	for (i = 0; i < 64; i += 8) {
		u8 type = pat.value >> i;

		if (type > 7 || type == 2 || type == 3)
			bad |= 0xffULL << i;
	}
	if (bad)
		broken(w, pat, pat.value & bad, "must hold types 0, 1, 4, 5, 6 or 7 only");
}

/* Vectors of exceptions (APM vol. 2, table 8-1). */
static bool is_exception(u8 vector)
{
	const u32 exceptions = GENMASK(1, 0) | GENMASK(8, 3) | GENMASK(14, 10) | GENMASK(19, 16) |
			       BIT(21) | GENMASK(30, 28);

	return vector < 32 && (exceptions & BIT(vector));
}

static void injection(struct walk *w)
{
	struct field f = FIELD(w, control.eventinj, "EVENTINJ");
	u32 event = w->in->eventinj, type = event & OST_SVM_EVENT_TYPE;

	f.value = event;
	if (!(event & OST_SVM_EVENT_VALID))
		return;
	rule(w, type == OST_SVM_EVENT_INTR || type == OST_SVM_EVENT_NMI ||
	     type == OST_SVM_EVENT_EXCEPTION || type == OST_SVM_EVENT_SOFT, f,
	     "must have type 0, 2, 3 or 4");
	if (type == OST_SVM_EVENT_EXCEPTION)
		rule(w, is_exception(event & OST_SVM_EVENT_VECTOR), f,
		     "of type 3 must have the vector of an exception");
}

#define APM(section) "APM vol. 2, " section
#define CONSISTENCY APM("15.5.1, Canonicalization and Consistency Checks")

bool ost_svm_check(const struct ost_svm_check *in, struct ost_broken_rule *out)
{
	static const struct {
		const char *section;
		void (*check)(struct walk *w);
	} parts[] = {
		{ CONSISTENCY, controls },
		{ CONSISTENCY, efer },
		{ CONSISTENCY, control_registers },
		{ CONSISTENCY, long_mode_state },
		{ CONSISTENCY, debug_registers },
		{ CONSISTENCY, shadow_stacks },
		{ APM("15.25.4, Nested Paging and VMRUN/#VMEXIT"), nested_paging },
		{ APM("15.20, Event Injection"), injection },
	};
	struct walk w = {
		.in = in,
		.control = &in->vmcb->control,
		.save = &in->vmcb->save,
		.out = out,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(parts) && !w.broken; i++) {
		w.section = parts[i].section;
		parts[i].check(&w);
	}
	return w.broken;
}
