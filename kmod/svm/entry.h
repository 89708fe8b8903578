/* SPDX-License-Identifier: GPL-2.0-only */
/* What C and entry.S share: the argument of ost_svm_enter(). */
#ifndef OST_SVM_ENTRY_H
#define OST_SVM_ENTRY_H

/* Offsets in struct ost_svm_entry. */
#define OST_ENTRY_REGS 0
#define OST_ENTRY_VMCB_PA 8
#define OST_ENTRY_HOST_VMCB_PA 16
#define OST_ENTRY_GUEST_SPEC_CTRL 24
#define OST_ENTRY_HOST_SPEC_CTRL 32
#define OST_ENTRY_FLAGS 40

/* The guest's SPEC_CTRL has to be loaded by hand, because the CPU does not virtualize it. */
#define OST_ENTRY_SPEC_CTRL 1
/* The guest can write SPEC_CTRL without an exit: read back what it has left there. */
#define OST_ENTRY_SPEC_CTRL_READ 2

#ifndef __ASSEMBLER__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

struct ost_svm_entry {
	u64 *regs;		/* the sixteen GPRs in the order of enum ost_reg */
	u64 vmcb_pa;
	u64 host_vmcb_pa;	/* where VMSAVE left this CPU's own state */
	u64 guest_spec_ctrl;	/* in and out */
	u64 host_spec_ctrl;
	u64 flags;
};

static_assert(offsetof(struct ost_svm_entry, regs) == OST_ENTRY_REGS);
static_assert(offsetof(struct ost_svm_entry, vmcb_pa) == OST_ENTRY_VMCB_PA);
static_assert(offsetof(struct ost_svm_entry, host_vmcb_pa) == OST_ENTRY_HOST_VMCB_PA);
static_assert(offsetof(struct ost_svm_entry, guest_spec_ctrl) == OST_ENTRY_GUEST_SPEC_CTRL);
static_assert(offsetof(struct ost_svm_entry, host_spec_ctrl) == OST_ENTRY_HOST_SPEC_CTRL);
static_assert(offsetof(struct ost_svm_entry, flags) == OST_ENTRY_FLAGS);

/*
 * One trip into the guest: from CLGI to STGI (entry.S). RAX, RSP and RIP of the guest travel in the
 * VMCB, its other GPRs in entry->regs. Interrupts off on entry and return. Must not be instrumented.
 */
void ost_svm_enter(struct ost_svm_entry *entry);
#endif
#endif
