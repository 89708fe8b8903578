/* SPDX-License-Identifier: GPL-2.0-only */
/* What C and the vendors' entry.S share: the head of the argument of a world switch. */
#ifndef OST_ENTRY_H
#define OST_ENTRY_H

/* Offsets in struct ost_entry. */
#define OST_ENTRY_REGS 0
#define OST_ENTRY_GUEST_SPEC_CTRL 8
#define OST_ENTRY_HOST_SPEC_CTRL 16
#define OST_ENTRY_FLAGS 24
#define OST_ENTRY_SIZE 32

/* Bit numbers in flags; those from OST_ENTRY_VENDOR are a vendor's own. */
/* The guest's SPEC_CTRL has to be loaded by hand, because the CPU does not virtualize it. */
#define OST_ENTRY_SPEC_CTRL 0
/* The guest can write SPEC_CTRL without an exit: read back what it has left there. */
#define OST_ENTRY_SPEC_CTRL_READ 1
/* IBRS works by being written after the exit, also with the value that it has. */
#define OST_ENTRY_SPEC_CTRL_ALWAYS 2
#define OST_ENTRY_VENDOR 3

#ifndef __ASSEMBLER__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

struct ost_entry {
	u64 *regs;		/* the sixteen GPRs in the order of enum ost_reg */
	u64 guest_spec_ctrl;	/* in and out */
	u64 host_spec_ctrl;
	u64 flags;
};

static_assert(offsetof(struct ost_entry, regs) == OST_ENTRY_REGS);
static_assert(offsetof(struct ost_entry, guest_spec_ctrl) == OST_ENTRY_GUEST_SPEC_CTRL);
static_assert(offsetof(struct ost_entry, host_spec_ctrl) == OST_ENTRY_HOST_SPEC_CTRL);
static_assert(offsetof(struct ost_entry, flags) == OST_ENTRY_FLAGS);
static_assert(sizeof(struct ost_entry) == OST_ENTRY_SIZE);
#endif
#endif
