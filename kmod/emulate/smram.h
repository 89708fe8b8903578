/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state save area of system-management mode, in its two layouts: that of CPUs with long mode (APM vol. 2, table
 * 10-1), and the older one (SDM vol. 3C, table 32-1). Segments' bases, limits and attributes, the tables and CR4 have
 * no documented place in the older; firmware need not know it, only RSM.
 */
#ifndef OST_EMULATE_SMRAM_H
#define OST_EMULATE_SMRAM_H

#include "emulate.h"

/* From here to SMBASE + 64 KiB. */
#define OST_SMRAM_OFFSET 0xfe00
#define OST_SMRAM_BYTES 0x200
/* The handler begins there. */
#define OST_SMRAM_HANDLER 0x8000

struct ost_smram {
	u64 gpr[OST_NR_GPRS];
	u64 rip, rflags, cr0, cr3;
	u64 cr4;
	u64 efer;		/* only with the long layout */
	u64 dr6, dr7;
	struct kvm_segment seg[OST_NR_SEGS];
	struct kvm_dtable gdt, idt;
	u32 smbase;
	u8 shadow;		/* STI's is bit 1, MOV SS' bit 0; in bytes that the manuals reserve */
	bool auto_halt;		/* HLT was being executed, and is to be gone on with */
};

/* Fills the area; what the layout has no place for is lost. */
void ost_smram_pack(const struct ost_smram *s, bool long_layout, u8 area[OST_SMRAM_BYTES]);
/* The reverse. The area is the guest's: nothing of it was checked. */
void ost_smram_unpack(const u8 area[OST_SMRAM_BYTES], bool long_layout, struct ost_smram *s);

#endif
