/* SPDX-License-Identifier: GPL-2.0-only */
/* What C and entry.S share: the argument of ost_vmx_enter(). */
#ifndef OST_VMX_ENTRY_H
#define OST_VMX_ENTRY_H

/* Offsets in struct ost_vmx_entry. */
#define OST_ENTRY_REGS 0
#define OST_ENTRY_HOST_RSP 8
#define OST_ENTRY_GUEST_SPEC_CTRL 16
#define OST_ENTRY_HOST_SPEC_CTRL 24
#define OST_ENTRY_FLAGS 32

/* Bit numbers in flags. */
/* The VMCS was launched: VMRESUME. */
#define OST_ENTRY_LAUNCHED 0
/* SPEC_CTRL has to be switched. */
#define OST_ENTRY_SPEC_CTRL 1
/* The guest can write SPEC_CTRL without an exit: read back what it has left there. */
#define OST_ENTRY_SPEC_CTRL_READ 2
/* IBRS works by being written after the exit, also with the value that it has. */
#define OST_ENTRY_SPEC_CTRL_ALWAYS 3

/* Encodings of VMCS fields, which the kernel has in an enum. */
#define OST_VMCS_HOST_RSP 0x6c14

#ifndef __ASSEMBLER__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <asm/vmx.h>

struct ost_vmx_entry {
	u64 *regs;		/* the sixteen GPRs in the order of enum ost_reg */
	u64 host_rsp;		/* what the VMCS has as HOST_RSP */
	u64 guest_spec_ctrl;	/* in and out */
	u64 host_spec_ctrl;
	u64 flags;
};

static_assert(offsetof(struct ost_vmx_entry, regs) == OST_ENTRY_REGS);
static_assert(offsetof(struct ost_vmx_entry, host_rsp) == OST_ENTRY_HOST_RSP);
static_assert(offsetof(struct ost_vmx_entry, guest_spec_ctrl) == OST_ENTRY_GUEST_SPEC_CTRL);
static_assert(offsetof(struct ost_vmx_entry, host_spec_ctrl) == OST_ENTRY_HOST_SPEC_CTRL);
static_assert(offsetof(struct ost_vmx_entry, flags) == OST_ENTRY_FLAGS);
static_assert(OST_VMCS_HOST_RSP == HOST_RSP);

/*
 * One trip into the guest with the current VMCS, by VMLAUNCH or VMRESUME (entry.S). RSP, RIP and RFLAGS
 * of the guest travel in the VMCS, its other GPRs in entry->regs. False when the CPU refused before it
 * loaded anything of the guest's (VMfail). Interrupts off on entry and return. Must not be instrumented.
 */
bool ost_vmx_enter(struct ost_vmx_entry *entry);
/* Where exits arrive: HOST_RIP. */
extern const char ost_vmx_exit[];
#endif
#endif
