// SPDX-License-Identifier: GPL-2.0-only
/* VM entry's rules for the guest-state area (SDM vol. 3C, "Checks on the Guest State Area"). */
#include "check_walk.h"

#define MISC_ACTIVITY_HLT BIT_ULL(6)
#define MISC_ACTIVITY_SHUTDOWN BIT_ULL(7)
#define MISC_ACTIVITY_WAIT_SIPI BIT_ULL(8)

#define CR4_CET BIT_ULL(23)

static bool unrestricted(const struct ost_vmx_walk *w)
{
	return w->proc2 & SECONDARY_EXEC_UNRESTRICTED_GUEST;
}

static bool ia32e(const struct ost_vmx_walk *w)
{
	return w->entry & VM_ENTRY_IA32E_MODE;
}

static bool v8086(const struct ost_vmx_walk *w)
{
	return w->rflags & X86_EFLAGS_VM;
}

static bool injects(const struct ost_vmx_walk *w, u32 type)
{
	return (w->intr_info & (INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK)) ==
	       (INTR_INFO_VALID_MASK | type);
}

/* --- control registers and MSRs --- */

void ost_vmx_guest_control_regs(struct ost_vmx_walk *w)
{
	const struct ost_vmx_capabilities *cpu = w->cpu;
	u64 free = X86_CR0_CD | X86_CR0_NW;

	if (unrestricted(w))
		free |= X86_CR0_PE | X86_CR0_PG;
	ost_vmx_fixed_bits(w, GUEST_CR0, cpu->cr0_fixed0, cpu->cr0_fixed1, free);
	ost_vmx_rule(w, !(w->cr0 & X86_CR0_PG) || (w->cr0 & X86_CR0_PE), GUEST_CR0,
		     "must not set PG without PE");
	ost_vmx_fixed_bits(w, GUEST_CR4, cpu->cr4_fixed0, cpu->cr4_fixed1, 0);
	ost_vmx_rule(w, !(w->cr4 & CR4_CET) || (w->cr0 & X86_CR0_WP), GUEST_CR4,
		     "must not set CET without CR0.WP");
	if (ia32e(w)) {
		ost_vmx_rule(w, w->cr0 & X86_CR0_PG, GUEST_CR0,
			     "must set PG with \"IA-32e mode guest\"");
		ost_vmx_rule(w, w->cr4 & X86_CR4_PAE, GUEST_CR4,
			     "must set PAE with \"IA-32e mode guest\"");
	} else {
		ost_vmx_rule(w, !(w->cr4 & X86_CR4_PCIDE), GUEST_CR4,
			     "must not set PCIDE without \"IA-32e mode guest\"");
	}
	ost_vmx_cr3(w, GUEST_CR3);
	if (w->entry & VM_ENTRY_LOAD_DEBUG_CONTROLS)
		ost_vmx_zero(w, GUEST_DR7, GENMASK_ULL(63, 32), "must have bits 63:32 clear");
}

static void guest_efer(struct ost_vmx_walk *w)
{
	u64 efer = ost_vmx_get(w, GUEST_IA32_EFER);

	ost_vmx_zero(w, GUEST_IA32_EFER, w->cpu->efer_reserved,
		     "must have its reserved bits clear");
	ost_vmx_rule(w, !!(efer & EFER_LMA) == ia32e(w), GUEST_IA32_EFER,
		     "must have LMA as \"IA-32e mode guest\" says");
	if (w->cr0 & X86_CR0_PG)
		ost_vmx_rule(w, !!(efer & EFER_LMA) == !!(efer & EFER_LME), GUEST_IA32_EFER,
			     "must have LMA equal to LME with CR0.PG");
}

static void guest_cet(struct ost_vmx_walk *w)
{
	ost_vmx_s_cet(w, OST_VMCS_GUEST_S_CET);
	ost_vmx_is_canonical(w, OST_VMCS_GUEST_SSP_TABLE);
}

void ost_vmx_guest_msrs(struct ost_vmx_walk *w)
{
	ost_vmx_is_canonical(w, GUEST_SYSENTER_ESP);
	ost_vmx_is_canonical(w, GUEST_SYSENTER_EIP);
	if (w->entry & VM_ENTRY_LOAD_DEBUG_CONTROLS)
		ost_vmx_zero(w, GUEST_IA32_DEBUGCTL, w->cpu->debugctl_reserved,
			     "must have its reserved bits clear");
	if (w->entry & VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)
		ost_vmx_zero(w, GUEST_IA32_PERF_GLOBAL_CTRL, w->cpu->perf_global_reserved,
			     "must have its reserved bits clear");
	if (w->entry & VM_ENTRY_LOAD_IA32_PAT)
		ost_vmx_pat(w, GUEST_IA32_PAT);
	if (w->entry & VM_ENTRY_LOAD_IA32_EFER)
		guest_efer(w);
	if (w->entry & VM_ENTRY_LOAD_BNDCFGS) {
		ost_vmx_zero(w, GUEST_BNDCFGS, GENMASK_ULL(11, 2), "must have bits 11:2 clear");
		ost_vmx_is_canonical(w, GUEST_BNDCFGS);
	}
	if (w->entry & VM_ENTRY_LOAD_IA32_RTIT_CTL)
		ost_vmx_zero(w, GUEST_IA32_RTIT_CTL, w->cpu->rtit_ctl_reserved,
			     "must have its reserved bits clear");
	if (w->entry & OST_VMX_ENTRY_LOAD_CET)
		guest_cet(w);
	if (w->entry & OST_VMX_ENTRY_LOAD_LBR_CTL)
		ost_vmx_zero(w, OST_VMCS_GUEST_LBR_CTL, ~(GENMASK_ULL(22, 16) | GENMASK_ULL(3, 0)),
			     "must have bits 63:23 and 15:4 clear");
	if (w->entry & OST_VMX_ENTRY_LOAD_PKRS)
		ost_vmx_zero(w, OST_VMCS_GUEST_PKRS, GENMASK_ULL(63, 32),
			     "must have bits 63:32 clear");
	if (w->entry & OST_VMX_ENTRY_LOAD_UINV)
		ost_vmx_zero(w, OST_VMCS_GUEST_UINV, GENMASK_ULL(63, 8),
			     "must have bits 15:8 clear");
}

/* --- RIP, RFLAGS, SSP --- */

/* 64-bit mode, as opposed to compatibility mode. */
static bool mode64(const struct ost_vmx_walk *w)
{
	return ia32e(w) && (ost_vmx_get(w, GUEST_CS_AR_BYTES) & VMX_AR_L_MASK);
}

static void guest_rflags(struct ost_vmx_walk *w)
{
	const u64 reserved = GENMASK_ULL(63, 22) | BIT_ULL(15) | BIT_ULL(5) | BIT_ULL(3);

	ost_vmx_zero(w, GUEST_RFLAGS, reserved, "must have its reserved bits clear");
	ost_vmx_rule(w, w->rflags & X86_EFLAGS_FIXED, GUEST_RFLAGS, "must set bit 1");
	if (v8086(w)) {
		ost_vmx_rule(w, !ia32e(w), GUEST_RFLAGS,
			     "must not set VM with \"IA-32e mode guest\"");
		ost_vmx_rule(w, w->cr0 & X86_CR0_PE, GUEST_RFLAGS,
			     "must not set VM without CR0.PE");
	}
	if (injects(w, INTR_TYPE_EXT_INTR))
		ost_vmx_rule(w, w->rflags & X86_EFLAGS_IF, GUEST_RFLAGS,
			     "must set IF when an external interrupt is injected");
}

void ost_vmx_guest_rip(struct ost_vmx_walk *w)
{
	u64 rip = ost_vmx_get(w, GUEST_RIP);
	int linear_bits = w->cpu->linear_bits;

	guest_rflags(w);
	if (mode64(w))
		/* Not quite canonical: the highest implemented bit may differ from the rest. */
		ost_vmx_rule(w, (u64)((s64)rip >> linear_bits) + 1 <= 1, GUEST_RIP,
			     "must have the bits above the linear-address width all equal");
	else
		ost_vmx_zero(w, GUEST_RIP, GENMASK_ULL(63, 32),
			     "must have bits 63:32 clear outside 64-bit mode");
	if (!(w->entry & OST_VMX_ENTRY_LOAD_CET))
		return;
	ost_vmx_zero(w, OST_VMCS_GUEST_SSP, 3, "must have bits 1:0 clear");
	if (mode64(w))
		ost_vmx_is_canonical(w, OST_VMCS_GUEST_SSP);
	else
		ost_vmx_zero(w, OST_VMCS_GUEST_SSP, GENMASK_ULL(63, 32),
			     "must have bits 63:32 clear outside 64-bit mode");
}

/* --- segments --- */

/* The order of the fields of each kind. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

#define SELECTOR(seg) (GUEST_ES_SELECTOR + 2 * (seg))
#define BASE(seg) (GUEST_ES_BASE + 2 * (seg))
#define LIMIT(seg) (GUEST_ES_LIMIT + 2 * (seg))
#define AR(seg) (GUEST_ES_AR_BYTES + 2 * (seg))

#define TI 4u
#define RPL 3u
#define AR_RESERVED (GENMASK(31, 17) | GENMASK(11, 8))

static u32 access_rights(const struct ost_vmx_walk *w, int seg)
{
	return ost_vmx_get(w, AR(seg));
}

static bool usable(const struct ost_vmx_walk *w, int seg)
{
	return !(access_rights(w, seg) & VMX_AR_UNUSABLE_MASK);
}

static void segments_v8086(struct ost_vmx_walk *w)
{
	int seg;

	for (seg = ES; seg <= GS; seg++) {
		ost_vmx_rule(w, ost_vmx_get(w, BASE(seg)) == ost_vmx_get(w, SELECTOR(seg)) << 4,
			     BASE(seg), "must be 16 times the selector in virtual-8086 mode");
		ost_vmx_rule(w, ost_vmx_get(w, LIMIT(seg)) == 0xffff, LIMIT(seg),
			     "must be FFFFH in virtual-8086 mode");
		ost_vmx_rule(w, access_rights(w, seg) == 0xf3, AR(seg),
			     "must be F3H in virtual-8086 mode");
	}
}

/* G says in what the limit is counted, and the limit in bytes has to be possible with it. */
static void granularity(struct ost_vmx_walk *w, int seg)
{
	u32 limit = ost_vmx_get(w, LIMIT(seg)), ar = access_rights(w, seg);

	ost_vmx_rule(w, (limit & 0xfff) == 0xfff || !(ar & VMX_AR_G_MASK), AR(seg),
		     "must have G clear when a bit of limit[11:0] is 0");
	ost_vmx_rule(w, !(limit >> 20) || (ar & VMX_AR_G_MASK), AR(seg),
		     "must have G set when a bit of limit[31:20] is 1");
}

/* What CS, SS, DS, ES, FS and GS have in common. */
static void segment(struct ost_vmx_walk *w, int seg)
{
	u32 ar = access_rights(w, seg);

	ost_vmx_rule(w, ar & VMX_AR_S_MASK, AR(seg), "must have S set");
	ost_vmx_rule(w, ar & VMX_AR_P_MASK, AR(seg), "must have P set");
	ost_vmx_zero(w, AR(seg), AR_RESERVED, "must have bits 31:17 and 11:8 clear");
	granularity(w, seg);
}

static void code_segment(struct ost_vmx_walk *w)
{
	u32 ar = access_rights(w, CS), ss = access_rights(w, SS);
	u32 type = ar & VMX_AR_TYPE_MASK;

	ost_vmx_rule(w, (type & 9) == 9 || (type == 3 && unrestricted(w)), AR(CS),
		     "must have type 9, 11, 13 or 15, or 3 with \"unrestricted guest\"");
	segment(w, CS);
	if (type == 3)
		ost_vmx_rule(w, VMX_AR_DPL(ar) == 0, AR(CS), "of type 3 must have DPL 0");
	else if (type & 4)
		ost_vmx_rule(w, VMX_AR_DPL(ar) <= VMX_AR_DPL(ss), AR(CS),
			     "of a conforming segment must not have a DPL above SS.DPL");
	else
		ost_vmx_rule(w, VMX_AR_DPL(ar) == VMX_AR_DPL(ss), AR(CS),
			     "of a non-conforming segment must have the DPL of SS");
	ost_vmx_rule(w, !ia32e(w) || !(ar & VMX_AR_L_MASK) || !(ar & VMX_AR_DB_MASK), AR(CS),
		     "must not have D set with L and \"IA-32e mode guest\"");
	ost_vmx_zero(w, BASE(CS), GENMASK_ULL(63, 32), "must have bits 63:32 clear");
}

static void stack_segment(struct ost_vmx_walk *w)
{
	u32 ar = access_rights(w, SS), type = ar & VMX_AR_TYPE_MASK;
	u32 cs_type = access_rights(w, CS) & VMX_AR_TYPE_MASK;
	u64 selector = ost_vmx_get(w, SELECTOR(SS));

	if (!unrestricted(w)) {
		ost_vmx_rule(w, (selector & RPL) == (ost_vmx_get(w, SELECTOR(CS)) & RPL),
			     SELECTOR(SS), "must have the RPL of CS without \"unrestricted guest\"");
		ost_vmx_rule(w, VMX_AR_DPL(ar) == (selector & RPL), AR(SS),
			     "must have the selector's RPL as DPL without \"unrestricted guest\"");
	}
	if (cs_type == 3 || !(w->cr0 & X86_CR0_PE))
		ost_vmx_rule(w, VMX_AR_DPL(ar) == 0, AR(SS),
			     "must have DPL 0 when CS has type 3 or CR0.PE is 0");
	if (!usable(w, SS))
		return;
	ost_vmx_rule(w, type == 3 || type == 7, AR(SS), "must have type 3 or 7");
	segment(w, SS);
	ost_vmx_zero(w, BASE(SS), GENMASK_ULL(63, 32), "must have bits 63:32 clear");
}

static void data_segment(struct ost_vmx_walk *w, int seg)
{
	u32 ar = access_rights(w, seg), type = ar & VMX_AR_TYPE_MASK;

	if (!usable(w, seg))
		return;
	ost_vmx_rule(w, type & 1, AR(seg), "must be accessed: type bit 0 set");
	ost_vmx_rule(w, !(type & 8) || (type & 2), AR(seg), "of a code segment must be readable");
	segment(w, seg);
	if (!unrestricted(w) && type <= 11)
		ost_vmx_rule(w, VMX_AR_DPL(ar) >= (ost_vmx_get(w, SELECTOR(seg)) & RPL), AR(seg),
			     "must have a DPL not below the selector's RPL without \"unrestricted guest\"");
	if (seg == DS || seg == ES)
		ost_vmx_zero(w, BASE(seg), GENMASK_ULL(63, 32), "must have bits 63:32 clear");
}

static void task_register(struct ost_vmx_walk *w)
{
	u32 ar = access_rights(w, TR), type = ar & VMX_AR_TYPE_MASK;

	ost_vmx_zero(w, SELECTOR(TR), TI, "must have TI clear");
	ost_vmx_is_canonical(w, BASE(TR));
	ost_vmx_rule(w, usable(w, TR), AR(TR), "must not be unusable");
	if (ia32e(w))
		ost_vmx_rule(w, type == 11, AR(TR), "must have type 11 with \"IA-32e mode guest\"");
	else
		ost_vmx_rule(w, type == 3 || type == 11, AR(TR), "must have type 3 or 11");
	ost_vmx_rule(w, !(ar & VMX_AR_S_MASK), AR(TR), "must have S clear");
	ost_vmx_rule(w, ar & VMX_AR_P_MASK, AR(TR), "must have P set");
	ost_vmx_zero(w, AR(TR), AR_RESERVED, "must have bits 31:17 and 11:8 clear");
	granularity(w, TR);
}

static void local_table(struct ost_vmx_walk *w)
{
	u32 ar = access_rights(w, LDTR);

	if (!usable(w, LDTR))
		return;
	ost_vmx_zero(w, SELECTOR(LDTR), TI, "must have TI clear");
	ost_vmx_is_canonical(w, BASE(LDTR));
	ost_vmx_rule(w, (ar & VMX_AR_TYPE_MASK) == 2, AR(LDTR), "must have type 2");
	ost_vmx_rule(w, !(ar & VMX_AR_S_MASK), AR(LDTR), "must have S clear");
	ost_vmx_rule(w, ar & VMX_AR_P_MASK, AR(LDTR), "must have P set");
	ost_vmx_zero(w, AR(LDTR), AR_RESERVED, "must have bits 31:17 and 11:8 clear");
	granularity(w, LDTR);
}

void ost_vmx_guest_segments(struct ost_vmx_walk *w)
{
	if (v8086(w)) {
		segments_v8086(w);
	} else {
		stack_segment(w);
		code_segment(w);
		data_segment(w, DS);
		data_segment(w, ES);
		data_segment(w, FS);
		data_segment(w, GS);
	}
	ost_vmx_is_canonical(w, BASE(FS));
	ost_vmx_is_canonical(w, BASE(GS));
	task_register(w);
	local_table(w);
}

void ost_vmx_guest_tables(struct ost_vmx_walk *w)
{
	ost_vmx_is_canonical(w, GUEST_GDTR_BASE);
	ost_vmx_is_canonical(w, GUEST_IDTR_BASE);
	ost_vmx_zero(w, GUEST_GDTR_LIMIT, GENMASK_ULL(31, 16), "must have bits 31:16 clear");
	ost_vmx_zero(w, GUEST_IDTR_LIMIT, GENMASK_ULL(31, 16), "must have bits 31:16 clear");
}

/* --- what is not in registers --- */

static bool activity_supported(const struct ost_vmx_walk *w, u64 state)
{
	switch (state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return w->cpu->misc & MISC_ACTIVITY_HLT;
	case GUEST_ACTIVITY_SHUTDOWN:
		return w->cpu->misc & MISC_ACTIVITY_SHUTDOWN;
	case GUEST_ACTIVITY_WAIT_SIPI:
		return w->cpu->misc & MISC_ACTIVITY_WAIT_SIPI;
	default:
		return false;
	}
}

/* May the injected event end this state? */
static bool wakes(const struct ost_vmx_walk *w, u64 state)
{
	u32 vector = w->intr_info & INTR_INFO_VECTOR_MASK;
	bool nmi = injects(w, INTR_TYPE_NMI_INTR);
	bool exception = injects(w, INTR_TYPE_HARD_EXCEPTION);

	switch (state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return nmi || injects(w, INTR_TYPE_EXT_INTR) ||
		       (exception && (vector == 1 || vector == 18)) ||
		       (injects(w, INTR_TYPE_OTHER_EVENT) && vector == 0);
	case GUEST_ACTIVITY_SHUTDOWN:
		return nmi || (exception && vector == 18);
	default:
		return false;
	}
}

void ost_vmx_guest_activity(struct ost_vmx_walk *w)
{
	const u64 blocked = GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS;
	u64 state = ost_vmx_get(w, GUEST_ACTIVITY_STATE);

	ost_vmx_rule(w, activity_supported(w, state), GUEST_ACTIVITY_STATE,
		     "must be one that this CPU supports");
	ost_vmx_rule(w, state != GUEST_ACTIVITY_HLT || VMX_AR_DPL(access_rights(w, SS)) == 0,
		     GUEST_ACTIVITY_STATE, "must not be HLT unless SS.DPL is 0");
	ost_vmx_rule(w, state == GUEST_ACTIVITY_ACTIVE ||
		     !(ost_vmx_get(w, GUEST_INTERRUPTIBILITY_INFO) & blocked), GUEST_ACTIVITY_STATE,
		     "must be active under blocking by STI or by MOV SS");
	ost_vmx_rule(w, !(w->intr_info & INTR_INFO_VALID_MASK) || wakes(w, state),
		     GUEST_ACTIVITY_STATE, "must not be one that blocks the injected event");
}

void ost_vmx_guest_interruptibility(struct ost_vmx_walk *w)
{
	const u32 field = GUEST_INTERRUPTIBILITY_INFO;
	u64 state = ost_vmx_get(w, field);
	bool sti = state & GUEST_INTR_STATE_STI, mov_ss = state & GUEST_INTR_STATE_MOV_SS;

	ost_vmx_zero(w, field, GENMASK_ULL(63, 5), "must have bits 31:5 clear");
	ost_vmx_rule(w, !sti || !mov_ss, field, "must not have blocking by both STI and MOV SS");
	ost_vmx_rule(w, !sti || (w->rflags & X86_EFLAGS_IF), field,
		     "must not have blocking by STI with RFLAGS.IF clear");
	if (injects(w, INTR_TYPE_EXT_INTR))
		ost_vmx_rule(w, !sti && !mov_ss, field,
			     "must not have blocking by STI or MOV SS when an external interrupt is injected");
	if (injects(w, INTR_TYPE_NMI_INTR)) {
		ost_vmx_rule(w, !mov_ss, field,
			     "must not have blocking by MOV SS when an NMI is injected");
		if (w->pin & PIN_BASED_VIRTUAL_NMIS)
			ost_vmx_rule(w, !(state & GUEST_INTR_STATE_NMI), field,
				     "must not have blocking by NMI when an NMI is injected with \"virtual NMIs\"");
		/* Only some CPUs insist on it (exit qualification 3). */
		ost_vmx_rule(w, !sti, field,
			     "must not have blocking by STI when an NMI is injected, on some CPUs");
	}
	/* We are never in SMM. */
	ost_vmx_rule(w, !(state & GUEST_INTR_STATE_SMI), field,
		     "must not have blocking by SMI outside SMM");
	if (state & GUEST_INTR_STATE_ENCLAVE_INTR) {
		ost_vmx_rule(w, w->cpu->features & OST_VMX_CPU_SGX, field,
			     "must not have enclave interruption on a CPU without SGX");
		ost_vmx_rule(w, !mov_ss, field,
			     "must not have both enclave interruption and blocking by MOV SS");
	}
}

/* Bits of the field (SDM vol. 3C, "Format of Pending-Debug-Exceptions") */
#define PENDING_BUS_LOCK BIT_ULL(11)
#define PENDING_ENABLED BIT_ULL(12)
#define PENDING_BS BIT_ULL(14)
#define PENDING_RTM BIT_ULL(16)

static void pending_rtm(struct ost_vmx_walk *w)
{
	const u32 field = GUEST_PENDING_DBG_EXCEPTIONS;
	u64 state = ost_vmx_get(w, GUEST_INTERRUPTIBILITY_INFO);

	ost_vmx_rule(w, w->cpu->features & OST_VMX_CPU_RTM, field,
		     "must not set RTM (bit 16) on a CPU without RTM");
	ost_vmx_zero(w, field, ~(PENDING_RTM | PENDING_ENABLED),
		     "with RTM (bit 16) must have all others but bit 12 clear");
	ost_vmx_rule(w, ost_vmx_get(w, field) & PENDING_ENABLED, field,
		     "with RTM (bit 16) must set bit 12");
	ost_vmx_rule(w, !(state & GUEST_INTR_STATE_MOV_SS), GUEST_INTERRUPTIBILITY_INFO,
		     "must not have blocking by MOV SS with RTM (bit 16) in pending debug exceptions");
}

void ost_vmx_guest_pending_debug(struct ost_vmx_walk *w)
{
	const u64 blocked = GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS;
	const u32 field = GUEST_PENDING_DBG_EXCEPTIONS;
	u64 reserved = GENMASK_ULL(63, 17) | BIT_ULL(15) | BIT_ULL(13) | GENMASK_ULL(10, 4);
	u64 pending = ost_vmx_get(w, field);
	bool steps;

	if (!(w->cpu->features & OST_VMX_CPU_BUS_LOCK_DETECT))
		reserved |= PENDING_BUS_LOCK;
	ost_vmx_zero(w, field, reserved, "must have its reserved bits clear");
	if (pending & PENDING_RTM)
		pending_rtm(w);
	if (!(ost_vmx_get(w, GUEST_INTERRUPTIBILITY_INFO) & blocked) &&
	    ost_vmx_get(w, GUEST_ACTIVITY_STATE) != GUEST_ACTIVITY_HLT)
		return;
	steps = (w->rflags & X86_EFLAGS_TF) &&
		!(ost_vmx_get(w, GUEST_IA32_DEBUGCTL) & DEBUGCTLMSR_BTF);
	ost_vmx_rule(w, !steps || (pending & PENDING_BS), field,
		     "must set BS (bit 14) when the guest single-steps under blocking or in HLT");
	ost_vmx_rule(w, steps || !(pending & PENDING_BS), field,
		     "must not set BS (bit 14) under blocking or in HLT unless the guest single-steps");
}

void ost_vmx_guest_link(struct ost_vmx_walk *w)
{
	const u32 field = VMCS_LINK_POINTER;
	u64 link = ost_vmx_get(w, field);
	const u32 *id = w->in->link_id;

	if (link == ~0ULL)
		return;
	ost_vmx_zero(w, field, GENMASK_ULL(11, 0), "must be aligned to 4 KBytes");
	ost_vmx_zero(w, field, w->beyond_data, "must be within the physical-address width");
	ost_vmx_rule(w, link != w->in->vmcs_pa, field, "must not name the current VMCS");
	if (!id)
		return;
	ost_vmx_rule(w, (*id & ~BIT(31)) == (w->cpu->basic & GENMASK_ULL(30, 0)), field,
		     "must name a VMCS with this CPU's revision identifier");
	ost_vmx_rule(w, !!(*id & BIT(31)) == !!(w->proc2 & SECONDARY_EXEC_SHADOW_VMCS), field,
		     "must name a shadow VMCS if, and only if, \"VMCS shadowing\" is 1");
}

/* With PAE paging. Without EPT they are in memory, and not looked at here. */
void ost_vmx_guest_pdptes(struct ost_vmx_walk *w)
{
	const u64 reserved = w->beyond | GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1);
	u32 field;

	if (!(w->cr0 & X86_CR0_PG) || !(w->cr4 & X86_CR4_PAE) || ia32e(w) ||
	    !(w->proc2 & SECONDARY_EXEC_ENABLE_EPT))
		return;
	for (field = GUEST_PDPTR0; field <= GUEST_PDPTR3; field += 2) {
		if (ost_vmx_get(w, field) & 1)
			ost_vmx_zero(w, field, reserved,
				     "that is present must have its reserved bits clear");
	}
}
