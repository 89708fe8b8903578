/* SPDX-License-Identifier: GPL-2.0-only */
/* What C and entry.S share: the argument of ost_svm_enter(). */
#ifndef OST_SVM_ENTRY_H
#define OST_SVM_ENTRY_H

#include "../entry.h"

/* Offsets in struct ost_svm_entry. */
#define OST_ENTRY_VMCB_PA (OST_ENTRY_SIZE)
#define OST_ENTRY_HOST_VMCB_PA (OST_ENTRY_SIZE + 8)

#ifndef __ASSEMBLER__
struct ost_svm_entry {
	struct ost_entry common;
	u64 vmcb_pa;
	u64 host_vmcb_pa;	/* where VMSAVE left this CPU's own state */
};

static_assert(offsetof(struct ost_svm_entry, vmcb_pa) == OST_ENTRY_VMCB_PA);
static_assert(offsetof(struct ost_svm_entry, host_vmcb_pa) == OST_ENTRY_HOST_VMCB_PA);

/*
 * One trip into the guest: from CLGI to STGI (entry.S). RAX, RSP and RIP of the guest travel in the
 * VMCB, its other GPRs in entry->common.regs. Interrupts off on entry and return. Must not be
 * instrumented.
 */
void ost_svm_enter(struct ost_svm_entry *entry);
#endif
#endif
