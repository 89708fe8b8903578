/* SPDX-License-Identifier: GPL-2.0-only */
/* What C and entry.S share: the argument of ost_vmx_enter(). */
#ifndef OST_VMX_ENTRY_H
#define OST_VMX_ENTRY_H

#include "../entry.h"

/* Offsets in struct ost_vmx_entry. */
#define OST_ENTRY_HOST_RSP (OST_ENTRY_SIZE)

/* Bit number in flags: the VMCS was launched, VMRESUME. */
#define OST_ENTRY_LAUNCHED (OST_ENTRY_VENDOR)

/* Encodings of VMCS fields, which the kernel has in an enum. */
#define OST_VMCS_HOST_RSP 0x6c14

#ifndef __ASSEMBLER__
#include <asm/vmx.h>

struct ost_vmx_entry {
	struct ost_entry common;
	u64 host_rsp;		/* what the VMCS has as HOST_RSP */
};

static_assert(offsetof(struct ost_vmx_entry, host_rsp) == OST_ENTRY_HOST_RSP);
static_assert(OST_VMCS_HOST_RSP == HOST_RSP);

/*
 * One trip into the guest with the current VMCS, by VMLAUNCH or VMRESUME (entry.S). RSP, RIP and RFLAGS
 * of the guest travel in the VMCS, its other GPRs in entry->common.regs. False when the CPU refused
 * before it loaded anything of the guest's (VMfail). Interrupts off on entry and return. Must not be
 * instrumented.
 */
bool ost_vmx_enter(struct ost_vmx_entry *entry);
/* Where exits arrive: HOST_RIP. */
extern const char ost_vmx_exit[];
#endif
#endif
