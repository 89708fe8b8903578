// SPDX-License-Identifier: GPL-2.0-only
/*
 * LAPIC registers as the guest sees them, through the page in xAPIC mode and as MSRs in x2APIC
 * mode, and as the VMM saves and restores them. Pure.
 */
#include <linux/nospec.h>
#include <linux/string.h>
#include "lapic.h"

/* Who may do what: through the page (xAPIC) and as an MSR (x2APIC); SDM tables 11-1 and 11-6. */
#define PAGE_R BIT(0)
#define PAGE_W BIT(1)
#define MSR_R BIT(2)
#define MSR_W BIT(3)
#define ALL_R (PAGE_R | MSR_R)
#define ALL_W (PAGE_W | MSR_W)

#define LVT_COMMON (APIC_VECTOR_MASK | APIC_LVT_MASKED)
#define LVT_MODE (LVT_COMMON | APIC_MODE_MASK)
#define LVT_LINT (LVT_MODE | APIC_INPUT_POLARITY | APIC_LVT_LEVEL_TRIGGER)

struct reg {
	u8 access;
	u32 writable;		/* bits that a write changes; the page ignores others */
	u32 read_only;		/* bits that an MSR write may have set without effect */
};

#define R(access_) { .access = access_ }
#define RW(access_, writable_) { .access = access_, .writable = writable_ }
#define RWS(access_, writable_, read_only_)                                                        \
	{ .access = access_, .writable = writable_, .read_only = read_only_ }

static const struct reg regs[KVM_APIC_REG_SIZE / 0x10] = {
	[APIC_ID >> 4] = RW(ALL_R | PAGE_W, 0xff000000),
	[APIC_LVR >> 4] = R(ALL_R),
	[APIC_TASKPRI >> 4] = RW(ALL_R | ALL_W, APIC_TPRI_MASK),
	[APIC_ARBPRI >> 4] = R(PAGE_R),
	[APIC_PROCPRI >> 4] = R(ALL_R),
	/* Through the page any value does; the MSR wants 0. */
	[APIC_EOI >> 4] = RW(ALL_W, 0),
	[APIC_RRR >> 4] = R(PAGE_R),
	[APIC_LDR >> 4] = RW(ALL_R | PAGE_W, APIC_LDR_MASK),
	[APIC_DFR >> 4] = RW(PAGE_R | PAGE_W, 0xf0000000),
	[APIC_SPIV >> 4] = RW(ALL_R | ALL_W, APIC_VECTOR_MASK | APIC_SPIV_APIC_ENABLED |
					     APIC_SPIV_FOCUS_DISABLED),
	[APIC_ISR >> 4 ... (APIC_ISR >> 4) + 7] = R(ALL_R),
	[APIC_TMR >> 4 ... (APIC_TMR >> 4) + 7] = R(ALL_R),
	[APIC_IRR >> 4 ... (APIC_IRR >> 4) + 7] = R(ALL_R),
	[APIC_ESR >> 4] = RW(ALL_R | ALL_W, 0),
	[APIC_ICR >> 4] = RWS(ALL_R | ALL_W,
			      APIC_VECTOR_MASK | APIC_DM_FIXED_MASK | APIC_DEST_LOGICAL |
			      APIC_INT_ASSERT | APIC_INT_LEVELTRIG | APIC_DEST_ALLBUT,
			      APIC_ICR_BUSY),
	[APIC_ICR2 >> 4] = RW(PAGE_R | PAGE_W, 0xff000000),
	[APIC_LVTT >> 4] = RWS(ALL_R | ALL_W, LVT_COMMON | APIC_LVT_TIMER_PERIODIC,
			       APIC_SEND_PENDING),
	[APIC_LVTTHMR >> 4] = RWS(ALL_R | ALL_W, LVT_MODE, APIC_SEND_PENDING),
	[APIC_LVTPC >> 4] = RWS(ALL_R | ALL_W, LVT_MODE, APIC_SEND_PENDING),
	[APIC_LVT0 >> 4] = RWS(ALL_R | ALL_W, LVT_LINT, APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR),
	[APIC_LVT1 >> 4] = RWS(ALL_R | ALL_W, LVT_LINT, APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR),
	[APIC_LVTERR >> 4] = RWS(ALL_R | ALL_W, LVT_COMMON, APIC_SEND_PENDING),
	[APIC_TMICT >> 4] = RW(ALL_R | ALL_W, ~0u),
	[APIC_TMCCT >> 4] = R(ALL_R),
	[APIC_TDCR >> 4] = RW(ALL_R | ALL_W, 0xb),
	[APIC_SELF_IPI >> 4] = RW(MSR_W, APIC_VECTOR_MASK),
};

static u32 writable(const struct ost_lapic *apic, u32 offset)
{
	u32 bits = regs[array_index_nospec(offset >> 4, ARRAY_SIZE(regs))].writable;

	if (offset == APIC_LVTT && apic->tsc_deadline_allowed)
		bits |= APIC_LVT_TIMER_TSCDEADLINE;
	return bits;
}

static u32 read_reg(struct ost_lapic *apic, u32 offset)
{
	switch (offset) {
	case APIC_TMCCT:
		return ost_lapic_timer_count(apic);
	case APIC_ARBPRI: /* neither exists since the Pentium 4 */
	case APIC_RRR:
		return 0;
	}
	return ost_lapic_reg(apic, offset);
}

static void write_svr(struct ost_lapic *apic, u32 val)
{
	bool was_enabled = ost_lapic_sw_enabled(apic);
	u32 lvt;

	ost_lapic_reg_set(apic, APIC_SPIV, val);
	apic->vectors_changed = true;
	if (was_enabled == ost_lapic_sw_enabled(apic))
		return;
	if (!was_enabled) {
		apic->dest_changed = true;
		apic->ops->event(apic);
		return;
	}
	/* SDM 11.4.7.2: disabling masks all LVT entries. */
	ost_lapic_timer_set_lvtt(apic, ost_lapic_reg(apic, APIC_LVTT) | APIC_LVT_MASKED);
	for (lvt = APIC_LVTTHMR; lvt <= APIC_LVTERR; lvt += 0x10)
		ost_lapic_reg_set(apic, lvt, ost_lapic_reg(apic, lvt) | APIC_LVT_MASKED);
}

static void write_lvt(struct ost_lapic *apic, u32 offset, u32 val)
{
	bool changed;

	/* SDM 11.4.7.2: as long as it is disabled, the mask bits stay. */
	if (!ost_lapic_sw_enabled(apic))
		val |= APIC_LVT_MASKED;
	if (offset == APIC_LVTT) {
		ost_lapic_timer_set_lvtt(apic, val);
		return;
	}
	changed = ost_lapic_reg(apic, offset) != val;
	ost_lapic_reg_set(apic, offset, val);
	/* The PIC may have waited for LINT0 to open. */
	if (offset == APIC_LVT0 && changed)
		apic->ops->event(apic);
}

static void write_dest(struct ost_lapic *apic, u32 offset, u32 val)
{
	if (ost_lapic_reg(apic, offset) == val)
		return;
	ost_lapic_reg_set(apic, offset, val);
	apic->dest_changed = true;
}

/*
 * What a write through the page leaves in a register. Reserved bits of ICR are kept, to be read back as they were
 * written: that is what VMMs and guests find on other hypervisors. They have no effect.
 */
static u32 kept(const struct ost_lapic *apic, u32 offset)
{
	if (offset == APIC_ICR && apic->mode != OST_APIC_X2APIC)
		return ~(u32)APIC_ICR_BUSY;
	return writable(apic, offset);
}

/* val holds bits that are kept only. */
static void write_reg(struct ost_lapic *apic, u32 offset, u32 val)
{
	switch (offset) {
	case APIC_ID:
	case APIC_LDR:
		write_dest(apic, offset, val);
		break;
	case APIC_DFR:
		write_dest(apic, offset, val | 0x0fffffff);
		break;
	case APIC_TASKPRI:
		ost_lapic_set_tpr(apic, val);
		break;
	case APIC_EOI:
		ost_lapic_eoi(apic);
		break;
	case APIC_SPIV:
		write_svr(apic, val);
		break;
	case APIC_ESR:
		ost_lapic_reg_set(apic, APIC_ESR, atomic_xchg(&apic->errors, 0));
		break;
	case APIC_ICR:
		ost_lapic_reg_set(apic, APIC_ICR, val);
		ost_lapic_send(apic, val,
			       apic->mode == OST_APIC_X2APIC ?
			       ost_lapic_reg(apic, APIC_ICR2) :
			       GET_XAPIC_DEST_FIELD(ost_lapic_reg(apic, APIC_ICR2)));
		break;
	case APIC_ICR2:
		ost_lapic_reg_set(apic, APIC_ICR2, val);
		break;
	case APIC_LVTT:
	case APIC_LVTTHMR:
	case APIC_LVTPC:
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTERR:
		write_lvt(apic, offset, val);
		break;
	case APIC_TMICT:
		/* SDM 11.5.4.1: ignored in TSC-deadline mode. */
		if (ost_lapic_timer_in_deadline_mode(apic))
			break;
		ost_lapic_reg_set(apic, APIC_TMICT, val);
		ost_lapic_timer_start(apic, val);
		break;
	case APIC_TDCR:
		ost_lapic_timer_set_divide(apic, val);
		break;
	case APIC_SELF_IPI:
		/* SDM 11.12.11: fixed, edge; an illegal vector counts as received (11.5.3). */
		ost_lapic_accept(apic, OST_DELIVER_FIXED, val, false);
		break;
	}
}

/* --- xAPIC page (SDM 11.4.1) --- */

static const struct reg *page_reg(u32 offset)
{
	if (offset >= KVM_APIC_REG_SIZE)
		return NULL;
	return &regs[array_index_nospec(offset >> 4, ARRAY_SIZE(regs))];
}

void ost_lapic_page_read(struct ost_lapic *apic, u32 offset, u32 len, void *val)
{
	const struct reg *reg = page_reg(offset);
	u32 within = offset & 0xf, data;

	memset(val, 0, len);
	/* Bytes 4 to 15 of a register are undefined to touch: nothing there. */
	if (within >= sizeof(data))
		return;
	if (!reg || !(reg->access & (PAGE_R | PAGE_W))) {
		ost_lapic_error(apic, APIC_ESR_ILLREGA);
		return;
	}
	if (!(reg->access & PAGE_R))
		return;
	data = read_reg(apic, offset & ~0xfu);
	memcpy(val, (char *)&data + within, min_t(u32, len, sizeof(data) - within));
}

void ost_lapic_page_write(struct ost_lapic *apic, u32 offset, u32 len, const void *val)
{
	const struct reg *reg = page_reg(offset);
	u32 data;

	/* Anything but an aligned store of 32 bits is undefined: it does nothing. */
	if (offset & 0xf || len != sizeof(data))
		return;
	if (!reg || !(reg->access & (PAGE_R | PAGE_W))) {
		ost_lapic_error(apic, APIC_ESR_ILLREGA);
		return;
	}
	if (!(reg->access & PAGE_W))
		return;
	memcpy(&data, val, sizeof(data));
	write_reg(apic, offset, data & kept(apic, offset));
}

void ost_lapic_page_written(struct ost_lapic *apic, u32 offset)
{
	const struct reg *reg = page_reg(offset);
	u32 data;

	offset &= ~0xfu;
	/* TPR is the CPU's own affair, with what follows from it. */
	if (!reg || !(reg->access & ALL_W) || offset == APIC_TASKPRI)
		return;
	data = ost_lapic_reg(apic, offset);
	ost_lapic_reg_set(apic, offset, apic->last[offset >> 4]);
	write_reg(apic, offset, data & kept(apic, offset));
}

/* --- x2APIC MSRs (SDM 11.12.1) --- */

static const struct reg *msr_reg(u32 msr)
{
	u32 index = msr - APIC_BASE_MSR;

	if (index >= ARRAY_SIZE(regs))
		return NULL;
	return &regs[array_index_nospec(index, ARRAY_SIZE(regs))];
}

bool ost_lapic_msr_plain(u32 msr)
{
	const struct reg *reg = msr_reg(msr);
	u32 offset = (msr - APIC_BASE_MSR) << 4;

	/* ICR has two halves, and the timer's count is computed. */
	return reg && (reg->access & MSR_R) && offset != APIC_ICR && offset != APIC_TMCCT;
}

int ost_lapic_msr_read(struct ost_lapic *apic, u32 msr, u64 *data)
{
	const struct reg *reg = msr_reg(msr);
	u32 offset = (msr - APIC_BASE_MSR) << 4;

	if (apic->mode != OST_APIC_X2APIC || !reg || !(reg->access & MSR_R))
		return 1;
	*data = read_reg(apic, offset);
	if (offset == APIC_ICR)
		*data |= (u64)ost_lapic_reg(apic, APIC_ICR2) << 32;
	return 0;
}

int ost_lapic_msr_write(struct ost_lapic *apic, u32 msr, u64 data)
{
	const struct reg *reg = msr_reg(msr);
	u32 offset = (msr - APIC_BASE_MSR) << 4;

	if (apic->mode != OST_APIC_X2APIC || !reg || !(reg->access & MSR_W))
		return 1;
	if ((u32)data & ~(writable(apic, offset) | reg->read_only))
		return 1;
	if (offset == APIC_ICR)
		ost_lapic_reg_set(apic, APIC_ICR2, data >> 32);
	else if (data >> 32)
		return 1;
	write_reg(apic, offset, data & writable(apic, offset));
	return 0;
}

/* --- state --- */

static u32 *state_reg(void *state, u32 offset)
{
	return (u32 *)((char *)state + offset);
}

void ost_lapic_model_get(struct ost_lapic *apic, struct kvm_lapic_state *out)
{
	u32 count;

	/*
	 * An expiry is either in IRR or still to come by the count: only this thread moves it into
	 * IRR, so the count is taken first.
	 */
	ost_lapic_timer_expire(apic);
	count = ost_lapic_timer_count(apic);
	if (!count && apic->timer.running)
		ost_lapic_timer_rearm_model(apic);
	ost_lapic_collect(apic);
	memcpy(out->regs, apic->regs, sizeof(out->regs));
	*state_reg(out, APIC_TMCCT) = count;
	/* The ABI keeps xAPIC's form of the id unless told otherwise by KVM_CAP_X2APIC_API. */
	if (apic->mode == OST_APIC_X2APIC)
		*state_reg(out, APIC_ID) = apic->id << 24;
}

/* Vectors below 16 exist in neither ISR nor TMR. In IRR they stay for ever: their class is above no PPR. */
static u32 state_vectors(const struct kvm_lapic_state *in, u32 base, u32 word)
{
	u32 val = *state_reg((void *)in, base + 0x10 * word);

	return word ? val : val & 0xffff0000;
}

void ost_lapic_model_set(struct ost_lapic *apic, const struct kvm_lapic_state *in)
{
	static const u16 plain[] = { APIC_TASKPRI, APIC_SPIV, APIC_ICR, APIC_LVTT, APIC_LVTTHMR,
		APIC_LVTPC, APIC_LVT0, APIC_LVT1, APIC_LVTERR, APIC_TMICT, APIC_TDCR };
	u64 deadline = ost_lapic_timer_deadline(apic);
	bool x2apic = apic->mode == OST_APIC_X2APIC;
	u32 i, count;

	ost_lapic_timer_stop(apic);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		ost_lapic_reg_set(apic, plain[i],
				  *state_reg((void *)in, plain[i]) & kept(apic, plain[i]));
	ost_lapic_reg_set(apic, APIC_ESR, *state_reg((void *)in, APIC_ESR) & 0xef);
	ost_lapic_reg_set(apic, APIC_ICR2, *state_reg((void *)in, APIC_ICR2) &
			  (x2apic ? ~0u : writable(apic, APIC_ICR2)));
	/* In x2APIC mode id and LDR are the CPU's own, and there is no DFR. */
	if (!x2apic) {
		ost_lapic_reg_set(apic, APIC_ID,
				  *state_reg((void *)in, APIC_ID) & writable(apic, APIC_ID));
		ost_lapic_reg_set(apic, APIC_LDR,
				  *state_reg((void *)in, APIC_LDR) & writable(apic, APIC_LDR));
		ost_lapic_reg_set(apic, APIC_DFR,
				  *state_reg((void *)in, APIC_DFR) | 0x0fffffff);
	}
	for (i = 0; i < 8; i++) {
		ost_lapic_reg_set(apic, APIC_ISR + 0x10 * i, state_vectors(in, APIC_ISR, i));
		ost_lapic_reg_set(apic, APIC_TMR + 0x10 * i, state_vectors(in, APIC_TMR, i));
		ost_lapic_replace_irr(apic, i, *state_reg((void *)in, APIC_IRR + 0x10 * i));
	}
	ost_lapic_rescan_isr(apic);
	ost_lapic_update_ppr(apic);
	apic->dest_changed = true;

	count = *state_reg((void *)in, APIC_TMCCT);
	/* A periodic counter is never 0. */
	if (!count && ost_lapic_reg(apic, APIC_LVTT) & APIC_LVT_TIMER_PERIODIC)
		count = ost_lapic_reg(apic, APIC_TMICT);
	ost_lapic_timer_start(apic, count);
	ost_lapic_timer_set_deadline(apic, deadline);
	apic->ops->event(apic);
}
