/* SPDX-License-Identifier: GPL-2.0-only */
/* A CPU with VMX, a VMCS, and the states that an entry with it has to accept. */
#ifndef OST_UNIT_VMX_MACHINE_H
#define OST_UNIT_VMX_MACHINE_H

#include "vmx/check.h"

/* Encodings end below. */
#define NR_FIELDS 0x7000
#define REVISION 0x11e57ed0u
#define VMCS_PA 0x12345000ull

struct machine {
	struct ost_vmx_capabilities cpu;
	struct ost_vmx_check check;
	u64 vmcs[NR_FIELDS];
	u32 link_id;
	u8 vtpr;
	u32 nr_reads;
	bool missing;	/* a field was read that this CPU, or this VMCS's CPU, does not have */
};

enum state {
	FULL,		/* 64-bit, all controls that there are but "virtualize APIC accesses" */
	PLAIN,		/* 64-bit, EPT, unrestricted guest, TPR shadow, APIC-access page */
	COMPAT,		/* PLAIN in compatibility mode */
	REAL,		/* PLAIN in real mode */
	PAE,		/* PLAIN in protected mode with PAE paging */
	FLAT32,		/* protected mode, no unrestricted guest, every segment in use */
	V8086,		/* virtual-8086 mode, no unrestricted guest */
	NR_STATES,
};

extern const char *const state_names[NR_STATES];

void machine_init(struct machine *m, enum state state);

#endif
