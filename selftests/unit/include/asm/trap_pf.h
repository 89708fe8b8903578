/* SPDX-License-Identifier: GPL-2.0-only */
/* Error code of #PF: SDM vol. 3A, figure 4-12. */
#ifndef OST_UNIT_ASM_TRAP_PF_H
#define OST_UNIT_ASM_TRAP_PF_H

enum x86_pf_error_code {
	X86_PF_PROT = 1 << 0,
	X86_PF_WRITE = 1 << 1,
	X86_PF_USER = 1 << 2,
	X86_PF_RSVD = 1 << 3,
	X86_PF_INSTR = 1 << 4,
	X86_PF_PK = 1 << 5,
};

#endif
