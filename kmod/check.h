/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why an entry into the guest was refused: what vmx/check.c and svm/check.c answer when they walk
 * the manuals' rules. Like those it compiles in userspace.
 */
#ifndef OST_CHECK_H
#define OST_CHECK_H

#include <linux/kernel.h>
#include <linux/types.h>

/* Long enough for any rule. */
#define OST_BROKEN_RULE_LEN 320

struct ost_broken_rule {
	const char *name;	/* of the field, as the manual calls it */
	const char *rule;	/* what has to hold of it: "must not be 0 …" */
	const char *section;	/* the manual's, by its title, as numbers differ between editions */
	u32 field;		/* VMX: the field's encoding. SVM: its offset in the VMCB */
	u64 value;		/* what stands in the field */
	u64 bits;		/* those of it that break the rule; 0: it is not about bits */
};

/* The rule as a sentence, in buf; what snprintf() returns. Any context. */
static inline int ost_broken_rule_format(char *buf, size_t size, const struct ost_broken_rule *r)
{
	if (r->bits)
		return snprintf(buf, size, "%s %s: field %#x is %#llx, of which %#llx (%s)",
				r->name, r->rule, r->field, r->value, r->bits, r->section);
	return snprintf(buf, size, "%s %s: field %#x is %#llx (%s)", r->name, r->rule, r->field,
			r->value, r->section);
}

#endif
