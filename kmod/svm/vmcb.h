/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual machine control block (APM vol. 2, appendix B) and accessors that keep its clean bits
 * right. Field names are the manual's. The kernel's own <asm/svm.h> renames fields between versions,
 * so the layout stands here; exit codes come from <uapi/asm/svm.h>.
 */
#ifndef OST_SVM_VMCB_H
#define OST_SVM_VMCB_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>
#include <uapi/asm/svm.h>

/* The six words of intercept bits, offsets 000h to 014h. */
enum ost_svm_intercept_word {
	OST_SVM_CR,		/* 0-15 reads, 16-31 writes */
	OST_SVM_DR,
	OST_SVM_EXCEPTION,	/* by vector */
	OST_SVM_MISC1,
	OST_SVM_MISC2,
	OST_SVM_MISC3,
	OST_SVM_INTERCEPT_WORDS,
};

/* An intercept is named by its bit number in the array of words. */
#define ICPT(word, bit) ((word) * 32 + (bit))
#define ICPT_CR_READ(n) ICPT(OST_SVM_CR, n)
#define ICPT_CR_WRITE(n) ICPT(OST_SVM_CR, 16 + (n))
#define ICPT_EXCEPTION(vector) ICPT(OST_SVM_EXCEPTION, vector)
enum ost_svm_intercept {
	ICPT_INTR = ICPT(OST_SVM_MISC1, 0),
	ICPT_NMI = ICPT(OST_SVM_MISC1, 1),
	ICPT_SMI = ICPT(OST_SVM_MISC1, 2),
	ICPT_INIT = ICPT(OST_SVM_MISC1, 3),
	ICPT_VINTR = ICPT(OST_SVM_MISC1, 4),
	ICPT_CR0_SEL_WRITE = ICPT(OST_SVM_MISC1, 5),
	ICPT_RDPMC = ICPT(OST_SVM_MISC1, 15),
	ICPT_CPUID = ICPT(OST_SVM_MISC1, 18),
	ICPT_RSM = ICPT(OST_SVM_MISC1, 19),
	ICPT_IRET = ICPT(OST_SVM_MISC1, 20),
	ICPT_INVD = ICPT(OST_SVM_MISC1, 22),
	ICPT_PAUSE = ICPT(OST_SVM_MISC1, 23),
	ICPT_HLT = ICPT(OST_SVM_MISC1, 24),
	ICPT_INVLPGA = ICPT(OST_SVM_MISC1, 26),
	ICPT_IOIO = ICPT(OST_SVM_MISC1, 27),
	ICPT_MSR = ICPT(OST_SVM_MISC1, 28),
	ICPT_SHUTDOWN = ICPT(OST_SVM_MISC1, 31),
	ICPT_VMRUN = ICPT(OST_SVM_MISC2, 0),
	ICPT_VMMCALL = ICPT(OST_SVM_MISC2, 1),
	ICPT_VMLOAD = ICPT(OST_SVM_MISC2, 2),
	ICPT_VMSAVE = ICPT(OST_SVM_MISC2, 3),
	ICPT_STGI = ICPT(OST_SVM_MISC2, 4),
	ICPT_CLGI = ICPT(OST_SVM_MISC2, 5),
	ICPT_SKINIT = ICPT(OST_SVM_MISC2, 6),
	ICPT_RDTSCP = ICPT(OST_SVM_MISC2, 7),
	ICPT_WBINVD = ICPT(OST_SVM_MISC2, 9),
	ICPT_MONITOR = ICPT(OST_SVM_MISC2, 10),
	ICPT_MWAIT = ICPT(OST_SVM_MISC2, 11),
	ICPT_XSETBV = ICPT(OST_SVM_MISC2, 13),
	ICPT_RDPRU = ICPT(OST_SVM_MISC2, 14),
	ICPT_INVPCID = ICPT(OST_SVM_MISC3, 2),
};

/* Offset 058h */
#define OST_SVM_TLB_NOTHING 0
#define OST_SVM_TLB_FLUSH_ALL 1
#define OST_SVM_TLB_FLUSH_ASID 3

/* Offset 060h */
#define OST_SVM_V_TPR_MASK 0xfu
#define OST_SVM_V_IRQ BIT(8)
#define OST_SVM_V_INTR_PRIO_MASK GENMASK(19, 16)
#define OST_SVM_V_IGN_TPR BIT(20)
#define OST_SVM_V_INTR_MASKING BIT(24)

/* Offset 068h */
#define OST_SVM_INTERRUPT_SHADOW BIT_ULL(0)

/* Offset 090h */
#define OST_SVM_NP_ENABLE BIT_ULL(0)

/* EXITINTINFO and EVENTINJ (15.20, 15.7.2) */
#define OST_SVM_EVENT_VECTOR 0xffu
#define OST_SVM_EVENT_TYPE GENMASK(10, 8)
#define OST_SVM_EVENT_INTR (0u << 8)
#define OST_SVM_EVENT_NMI (2u << 8)
#define OST_SVM_EVENT_EXCEPTION (3u << 8)
#define OST_SVM_EVENT_SOFT (4u << 8)
#define OST_SVM_EVENT_ERROR_VALID BIT(11)
#define OST_SVM_EVENT_VALID BIT(31)

/* Clean bits, offset 0C0h (15.15.3): set when the CPU may use what it cached of the group. */
enum ost_svm_clean {
	CLEAN_INTERCEPTS,	/* all intercepts, TSC offset, pause filter */
	CLEAN_PERMISSIONS,	/* IOPM_BASE, MSRPM_BASE */
	CLEAN_ASID,
	CLEAN_TPR,		/* V_TPR, V_IRQ, V_INTR_PRIO, V_IGN_TPR, V_INTR_MASKING, V_INTR_VECTOR */
	CLEAN_NP,		/* NP_ENABLE, nCR3, G_PAT */
	CLEAN_CRX,		/* CR0, CR3, CR4, EFER */
	CLEAN_DRX,		/* DR6, DR7 */
	CLEAN_DT,		/* GDTR, IDTR */
	CLEAN_SEG,		/* CS, DS, SS, ES, CPL */
	CLEAN_CR2,
	CLEAN_LBR,		/* DBGCTL and the branch records */
	CLEAN_AVIC,
	CLEAN_CET,
	OST_SVM_NR_CLEAN,
};
#define OST_SVM_ALL_CLEAN GENMASK(OST_SVM_NR_CLEAN - 1, 0)

struct ost_vmcb_control {
	u32 intercepts[OST_SVM_INTERCEPT_WORDS];	/* 000 */
	u8 reserved_018[0x03c - 0x018];
	u16 pause_filter_threshold;			/* 03c */
	u16 pause_filter_count;
	u64 iopm_base_pa;				/* 040 */
	u64 msrpm_base_pa;
	u64 tsc_offset;					/* 050 */
	u32 guest_asid;					/* 058 */
	u8 tlb_control;
	u8 reserved_05d[3];
	u32 v_intr;					/* 060 */
	u32 v_intr_vector;
	u64 interrupt_shadow;				/* 068 */
	u64 exitcode;					/* 070 */
	u64 exitinfo1;
	u64 exitinfo2;					/* 080 */
	u32 exitintinfo;				/* 088 */
	u32 exitintinfo_error;
	u64 np_control;					/* 090 */
	u64 avic_apic_bar;
	u64 ghcb_pa;					/* 0a0 */
	u32 eventinj;					/* 0a8 */
	u32 eventinj_error;
	u64 n_cr3;					/* 0b0 */
	u64 lbr_virtualization;
	u32 clean;					/* 0c0 */
	u32 reserved_0c4;
	u64 nrip;					/* 0c8 */
	u8 bytes_fetched;				/* 0d0 */
	u8 guest_instruction_bytes[15];
	u8 reserved_0e0[0x400 - 0x0e0];
} __packed;

struct ost_vmcb_seg {
	u16 selector;
	u16 attrib;	/* bits 55:52 and 47:40 of the descriptor, packed into 12 */
	u32 limit;
	u64 base;
} __packed;

struct ost_vmcb_save {
	struct ost_vmcb_seg es, cs, ss, ds, fs, gs;	/* 400 */
	struct ost_vmcb_seg gdtr, ldtr, idtr, tr;
	u8 reserved_0a0[0x0cb - 0x0a0];
	u8 cpl;						/* 4cb */
	u32 reserved_0cc;
	u64 efer;					/* 4d0 */
	u8 reserved_0d8[0x148 - 0x0d8];
	u64 cr4, cr3, cr0;				/* 548 */
	u64 dr7, dr6;
	u64 rflags, rip;
	u8 reserved_180[0x1d8 - 0x180];
	u64 rsp;					/* 5d8 */
	u64 s_cet, ssp, isst_addr;
	u64 rax;					/* 5f8 */
	u64 star, lstar, cstar, sfmask;
	u64 kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;					/* 640 */
	u8 reserved_248[0x268 - 0x248];
	u64 g_pat;					/* 668 */
	u64 dbgctl, br_from, br_to, lastexcpfrom, lastexcpto;
	u8 reserved_298[0x2e0 - 0x298];
	u64 spec_ctrl;					/* 6e0 */
	u8 reserved_2e8[0xc00 - 0x2e8];
} __packed;

struct ost_vmcb {
	struct ost_vmcb_control control;
	struct ost_vmcb_save save;
} __packed;

static_assert(sizeof(struct ost_vmcb) == 0x1000);
static_assert(offsetof(struct ost_vmcb, control.guest_asid) == 0x058);
static_assert(offsetof(struct ost_vmcb, control.exitcode) == 0x070);
static_assert(offsetof(struct ost_vmcb, control.eventinj) == 0x0a8);
static_assert(offsetof(struct ost_vmcb, control.guest_instruction_bytes) == 0x0d1);
static_assert(offsetof(struct ost_vmcb, save) == 0x400);
static_assert(offsetof(struct ost_vmcb, save.efer) == 0x4d0);
static_assert(offsetof(struct ost_vmcb, save.cr4) == 0x548);
static_assert(offsetof(struct ost_vmcb, save.rip) == 0x578);
static_assert(offsetof(struct ost_vmcb, save.rsp) == 0x5d8);
static_assert(offsetof(struct ost_vmcb, save.rax) == 0x5f8);
static_assert(offsetof(struct ost_vmcb, save.cr2) == 0x640);
static_assert(offsetof(struct ost_vmcb, save.g_pat) == 0x668);
static_assert(offsetof(struct ost_vmcb, save.spec_ctrl) == 0x6e0);

/* The CPU has to load this group from memory at the next entry. */
static inline void ost_vmcb_dirty(struct ost_vmcb *vmcb, enum ost_svm_clean group)
{
	vmcb->control.clean &= ~BIT(group);
}

static inline bool ost_vmcb_intercepted(const struct ost_vmcb *vmcb, u32 intercept)
{
	return vmcb->control.intercepts[intercept / 32] & BIT(intercept % 32);
}

static inline void ost_vmcb_intercept(struct ost_vmcb *vmcb, u32 intercept, bool on)
{
	if (ost_vmcb_intercepted(vmcb, intercept) == on)
		return;
	vmcb->control.intercepts[intercept / 32] ^= BIT(intercept % 32);
	ost_vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
}

#endif
