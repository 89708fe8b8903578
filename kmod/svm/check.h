/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why did VMRUN end with VMEXIT_INVALID? Walks the rules of APM vol. 2, 15.5.1, "Canonicalization
 * and Consistency Checks", over a VMCB, and names the first that is broken. For after a failure.
 *
 * Pure: what of the CPU counts is in a struct, and it compiles in userspace.
 */
#ifndef OST_SVM_CHECK_H
#define OST_SVM_CHECK_H

#include <linux/types.h>
#include "../check.h"
#include "vmcb.h"

struct ost_svm_check {
	const struct ost_vmcb *vmcb;
	/* What EVENTINJ held at the entry: the CPU or we may have cleared it since. */
	u32 eventinj;
	/* Bits that this CPU has not: of physical addresses, CR4 and EFER. */
	u64 pa_reserved, cr4_reserved, efer_reserved;
	bool long_mode;		/* the CPU has it */
	bool shadow_stacks;	/* the CPU has CET's */
};

/*
 * True, and *out says which, when a rule is broken; false when none is known to be. Not looked at:
 * what belongs to SEV, AVIC and virtual NMIs, which we do not use, and CR3 of guests outside long
 * mode, of which the manual does not say what is reserved. Any context.
 */
bool ost_svm_check(const struct ost_svm_check *in, struct ost_broken_rule *out);

#endif
