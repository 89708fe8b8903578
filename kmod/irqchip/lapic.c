// SPDX-License-Identifier: GPL-2.0-only
/*
 * LAPIC: accepting interrupts, priorities, EOI, errors, reset. Pure: no kernel call but atomics.
 *
 * Posting an interrupt from any context, and why none is lost:
 *
 *   poster                                    vCPU's thread
 *   1 TMR bit set or cleared                  a request bits taken (full barrier)
 *   2 IRR bit set (locked, full barrier)      b IRR read, an interrupt put into the entry
 *   3 irr_words bit set if clear              c mode = IN_GUEST; full barrier
 *   4 ost_request(EVENT) (wmb, locked)        d requests read again: any set → back to a
 *   5 kick: full barrier, mode read,          e entry
 *     IPI if IN_GUEST, wake if asleep
 *
 * Either d sees the request of 4, or c came before 5 read the mode and the IPI ends the run, after
 * which a takes the request. Taking it orders b after 2 and 3. A second poster of the same vector
 * finds the bit set in 2 and stops there: the first one is between 2 and 5 or the vCPU has not
 * looked yet, so a look is still to come.
 *
 * irr_words says which words of IRR are worth reading. A poster sets IRR's bit first and the word's
 * bit afterwards, only if it reads as clear. The thread that empties a word clears the word's bit,
 * and then (full barrier) reads the word again and sets the bit back if something is there. So a
 * poster that found the word's bit set did so before it was cleared, with its IRR bit visible to
 * that second look.
 *
 * Where arrivals are deferred, 2 and 3 are of `arrived` and any_arrived instead; b takes them into
 * IRR first. The rest is the same. For those that are posted see docs/locking.md.
 */
#include "lapic.h"

#define IRR_WORDS 8

static unsigned long *vector_word(struct ost_lapic *apic, u32 base, u8 vector)
{
	/*
	 * Registers of 32 bits lie 16 bytes apart, so an unsigned long there is aligned, and its
	 * upper half is reserved space that nobody touches.
	 */
	return (unsigned long *)(apic->regs + base + 0x10 * (vector / 32));
}

static bool vector_test(struct ost_lapic *apic, u32 base, u8 vector)
{
	return test_bit(vector % 32, vector_word(apic, base, vector));
}

/* --- IRR and ISR --- */

static int find_highest(const struct ost_lapic *apic, u32 base, u32 words)
{
	/* The CPU keeps no summary. */
	if (apic->cpu_delivers)
		words = GENMASK(IRR_WORDS - 1, 0);
	while (words) {
		u32 i = fls(words) - 1;
		u32 word = ost_lapic_reg(apic, base + 0x10 * i);

		if (word)
			return i * 32 + fls(word) - 1;
		words &= ~BIT(i);
	}
	return -1;
}

int ost_lapic_find_irr(const struct ost_lapic *apic)
{
	return find_highest(apic, APIC_IRR, READ_ONCE(apic->irr_words));
}

int ost_lapic_find_isr(const struct ost_lapic *apic)
{
	return find_highest(apic, APIC_ISR, apic->isr_words);
}

/* true when it was not pending already. Any context. */
static bool irr_set(struct ost_lapic *apic, u8 vector)
{
	if (test_and_set_bit(vector % 32, vector_word(apic, APIC_IRR, vector)))
		return false;
	if (!test_bit(vector / 32, &apic->irr_words))
		set_bit(vector / 32, &apic->irr_words);
	return true;
}

/* The word may have become empty: see the top of the file. */
static void irr_word_emptied(struct ost_lapic *apic, u32 word)
{
	clear_bit(word, &apic->irr_words);
	smp_mb__after_atomic();
	if (ost_lapic_reg(apic, APIC_IRR + 0x10 * word))
		set_bit(word, &apic->irr_words);
}

static void irr_clear(struct ost_lapic *apic, u8 vector)
{
	apic->vectors_changed = true;
	clear_bit(vector % 32, vector_word(apic, APIC_IRR, vector));
	if (!ost_lapic_reg(apic, APIC_IRR + 0x10 * (vector / 32)))
		irr_word_emptied(apic, vector / 32);
}

void ost_lapic_replace_irr(struct ost_lapic *apic, u32 word, u32 val)
{
	apic->vectors_changed = true;
	/* Two words of IRR share one of these. */
	if (!(word % 2)) {
		(void)xchg(&apic->arrived[word / 2], 0);
		(void)xchg(&apic->posted.vectors[word / 2], 0);
	}
	ost_lapic_reg_set(apic, APIC_IRR + 0x10 * word, val);
	irr_word_emptied(apic, word);
}

static void isr_set(struct ost_lapic *apic, u8 vector)
{
	apic->vectors_changed = true;
	__set_bit(vector % 32, vector_word(apic, APIC_ISR, vector));
	apic->isr_words |= BIT(vector / 32);
}

static void isr_clear(struct ost_lapic *apic, u8 vector)
{
	apic->vectors_changed = true;
	__clear_bit(vector % 32, vector_word(apic, APIC_ISR, vector));
	if (!ost_lapic_reg(apic, APIC_ISR + 0x10 * (vector / 32)))
		apic->isr_words &= ~BIT(vector / 32);
}

void ost_lapic_rescan_isr(struct ost_lapic *apic)
{
	u32 i;

	apic->vectors_changed = true;
	apic->isr_words = 0;
	for (i = 0; i < IRR_WORDS; i++)
		if (ost_lapic_reg(apic, APIC_ISR + 0x10 * i))
			apic->isr_words |= BIT(i);
}

/* --- arrivals that wait, and vectors that the CPU delivers --- */

/* 1 taken, 0 coalesced. Any context. */
static int arrive(struct ost_lapic *apic, u8 vector)
{
	/* Whether it still is pending when this one is collected is not known yet: a guess. */
	bool pending = vector_test(apic, APIC_IRR, vector);

	if (apic->ops->may_post(apic, vector)) {
		if (test_and_set_bit(vector, apic->posted.vectors))
			return 0;
		apic->ops->posted(apic);
		return !pending;
	}
	if (test_and_set_bit(vector, apic->arrived))
		return 0;
	WRITE_ONCE(apic->any_arrived, true);
	apic->ops->event(apic);
	return !pending;
}

static void collect_word(struct ost_lapic *apic, u32 word, u32 bits)
{
	u32 offset = APIC_IRR + 0x10 * word;

	if (!bits)
		return;
	ost_lapic_reg_set(apic, offset, ost_lapic_reg(apic, offset) | bits);
	apic->irr_words |= BIT(word);
	apic->vectors_changed = true;
}

static void collect_from(struct ost_lapic *apic, unsigned long *vectors)
{
	u32 i;

	for (i = 0; i < IRR_WORDS / 2; i++) {
		unsigned long bits;

		if (!READ_ONCE(vectors[i]))
			continue;
		bits = xchg(&vectors[i], 0);
		collect_word(apic, 2 * i, bits);
		collect_word(apic, 2 * i + 1, bits >> 32);
	}
}

void ost_lapic_collect(struct ost_lapic *apic)
{
	/* Before the bits are looked at: whoever sets one after that sets this again. */
	if (unlikely(test_bit(0, &apic->posted.outstanding))) {
		clear_bit(0, &apic->posted.outstanding);
		smp_mb__after_atomic();
		collect_from(apic, apic->posted.vectors);
	}
	if (unlikely(READ_ONCE(apic->any_arrived))) {
		(void)xchg(&apic->any_arrived, false);
		collect_from(apic, apic->arrived);
	}
}

void ost_lapic_set_cpu_delivers(struct ost_lapic *apic, bool on)
{
	if (apic->cpu_delivers == on)
		return;
	/* Senders look at it: before the next run is one that they may see (on_posted()). */
	WRITE_ONCE(apic->cpu_delivers, on);
	apic->irr_words = GENMASK(IRR_WORDS - 1, 0);
	ost_lapic_rescan_isr(apic);
}

u16 ost_lapic_cpu_status(struct ost_lapic *apic)
{
	int irr = ost_lapic_find_irr(apic), isr = ost_lapic_find_isr(apic);

	apic->vectors_changed = false;
	/* As in ost_lapic_deliverable(). */
	if (irr < 0 || !ost_lapic_sw_enabled(apic))
		irr = 0;
	return max(isr, 0) << 8 | irr;
}

/* --- priorities (SDM 11.8.3.1) --- */

int ost_lapic_deliverable(const struct ost_lapic *apic)
{
	int irr;

	/* A LAPIC that software disabled keeps what is pending to itself (SDM 11.4.7.2). */
	if (apic->mode == OST_APIC_DISABLED || !ost_lapic_sw_enabled(apic))
		return -1;
	irr = ost_lapic_find_irr(apic);
	if (irr < 0 || (irr & 0xf0) <= (ost_lapic_reg(apic, APIC_PROCPRI) & 0xf0))
		return -1;
	return irr;
}

void ost_lapic_update_ppr(struct ost_lapic *apic)
{
	u32 old = ost_lapic_reg(apic, APIC_PROCPRI);
	u32 tpr = ost_lapic_reg(apic, APIC_TASKPRI);
	int isr = ost_lapic_find_isr(apic);
	u32 isr_class = isr < 0 ? 0 : isr & 0xf0;
	u32 ppr = (tpr & 0xf0) >= isr_class ? tpr : isr_class;

	if (ppr == old)
		return;
	ost_lapic_reg_set(apic, APIC_PROCPRI, ppr);
	/*
	 * Also for a request that the TPR still holds back: while a higher vector was in service nobody
	 * watched the TPR for it (ost_lapic_max_irr()).
	 */
	if (ppr < old && ost_lapic_find_irr(apic) >= 0)
		apic->ops->event(apic);
}

void ost_lapic_set_tpr(struct ost_lapic *apic, u8 tpr)
{
	if (ost_lapic_reg(apic, APIC_TASKPRI) == tpr)
		return;
	ost_lapic_reg_set(apic, APIC_TASKPRI, tpr);
	ost_lapic_update_ppr(apic);
}

int ost_lapic_take(struct ost_lapic *apic)
{
	int vector = ost_lapic_deliverable(apic);

	if (vector < 0)
		return -1;
	/* ISR first: a VMM that looks meanwhile sees the interrupt at least once. */
	isr_set(apic, vector);
	irr_clear(apic, vector);
	ost_lapic_update_ppr(apic);
	return vector;
}

void ost_lapic_eoi(struct ost_lapic *apic)
{
	int vector = ost_lapic_find_isr(apic);

	if (vector < 0)
		return;
	isr_clear(apic, vector);
	ost_lapic_update_ppr(apic);
	ost_lapic_ended(apic, vector);
}

void ost_lapic_ended(struct ost_lapic *apic, u8 vector)
{
	apic->ops->eoi(apic, vector, vector_test(apic, APIC_TMR, vector));
}

/* --- arrival --- */

static int accept_fixed(struct ost_lapic *apic, u8 vector, bool trig_level)
{
	if (READ_ONCE(apic->mode) == OST_APIC_DISABLED || !ost_lapic_sw_enabled(apic))
		return -1;
	if (vector < 16) {
		ost_lapic_error(apic, APIC_ESR_RECVILL);
		return -1;
	}
	/* TMR is written "upon acceptance into IRR" (SDM 11.8.4); mostly it is right already. */
	if (trig_level != vector_test(apic, APIC_TMR, vector)) {
		if (trig_level)
			set_bit(vector % 32, vector_word(apic, APIC_TMR, vector));
		else
			clear_bit(vector % 32, vector_word(apic, APIC_TMR, vector));
	}
	if (apic->deferred)
		return arrive(apic, vector);
	if (!irr_set(apic, vector))
		return 0;
	apic->ops->event(apic);
	return 1;
}

int ost_lapic_accept(struct ost_lapic *apic, enum ost_delivery delivery, u8 vector,
		     bool trig_level)
{
	switch (delivery) {
	case OST_DELIVER_FIXED:
	case OST_DELIVER_LOWEST:
		return accept_fixed(apic, vector, trig_level);
	case OST_DELIVER_SMI:
	case OST_DELIVER_NMI:
	case OST_DELIVER_INIT:
	case OST_DELIVER_SIPI:
		if (READ_ONCE(apic->mode) == OST_APIC_DISABLED)
			return -1;
		return apic->ops->special(apic, delivery, vector);
	case OST_DELIVER_EXTINT: /* only LINT0 has a PIC behind it */
	case OST_DELIVER_RESERVED:
		break;
	}
	return -1;
}

int ost_lapic_local(struct ost_lapic *apic, u32 lvt)
{
	u32 entry = ost_lapic_reg(apic, lvt);
	u32 delivery = GET_APIC_DELIVERY_MODE(entry);
	bool lint = lvt == APIC_LVT0 || lvt == APIC_LVT1;

	if (READ_ONCE(apic->mode) == OST_APIC_DISABLED || entry & APIC_LVT_MASKED)
		return -1;
	/*
	 * Timer and error entries have no delivery mode; SIPI and lowest priority are none of an
	 * LVT's.
	 */
	if (lvt == APIC_LVTT || lvt == APIC_LVTERR)
		delivery = OST_DELIVER_FIXED;
	if (delivery == OST_DELIVER_LOWEST || delivery == OST_DELIVER_SIPI)
		return -1;
	return ost_lapic_accept(apic, delivery, entry & APIC_VECTOR_MASK,
				lint && (entry & APIC_LVT_LEVEL_TRIGGER));
}

/* --- errors (SDM 11.5.3) --- */

void ost_lapic_error(struct ost_lapic *apic, u32 esr_bit)
{
	u32 entry = ost_lapic_reg(apic, APIC_LVTERR);

	/*
	 * Writing ESR takes the bits and rearms the interrupt: only the first error since then
	 * raises it.
	 */
	if (atomic_fetch_or(esr_bit, &apic->errors))
		return;
	/*
	 * An error interrupt with an illegal vector is one more error, and no reason to come back
	 * here.
	 */
	if ((entry & APIC_VECTOR_MASK) < 16) {
		if (!(entry & APIC_LVT_MASKED))
			atomic_or(APIC_ESR_RECVILL, &apic->errors);
		return;
	}
	ost_lapic_local(apic, APIC_LVTERR);
}

/* --- IPIs (SDM 11.6.1) --- */

void ost_lapic_send(struct ost_lapic *apic, u32 icr, u32 dest)
{
	struct ost_irq_message msg = {
		.dest = dest,
		.vector = icr & APIC_VECTOR_MASK,
		.delivery = GET_APIC_DELIVERY_MODE(icr),
		.shorthand = (icr >> 18) & 3,
		.logical = icr & APIC_DEST_LOGICAL,
		.level = icr & APIC_INT_ASSERT,
		.trig_level = icr & APIC_INT_LEVELTRIG,
	};
	bool vectored = msg.delivery == OST_DELIVER_FIXED || msg.delivery == OST_DELIVER_LOWEST;

	if (vectored && msg.vector < 16) {
		ost_lapic_error(apic, APIC_ESR_SENDILL);
		return;
	}
	/* The trigger mode is only looked at for INIT level de-assert (table 11-3, note 1). */
	if (msg.delivery == OST_DELIVER_INIT) {
		/* It sets arbitration ids, which no CPU since the Pentium 4 has. */
		if (msg.trig_level && !msg.level)
			return;
	} else {
		msg.trig_level = false;
	}
	/* Tables 11-3 and 11-4: what may not reach the sender. */
	if ((msg.delivery == OST_DELIVER_INIT || msg.delivery == OST_DELIVER_SIPI) &&
	    (msg.shorthand == OST_SHORTHAND_SELF || msg.shorthand == OST_SHORTHAND_ALL))
		return;
	apic->ops->send(apic, &msg);
}

/* --- reset and modes --- */

static u32 x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 0xf);
}

static const u16 lvts[] = {
	APIC_LVTT, APIC_LVTTHMR, APIC_LVTPC, APIC_LVT0, APIC_LVT1, APIC_LVTERR,
};

static void reset_registers(struct ost_lapic *apic)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lvts); i++)
		ost_lapic_reg_set(apic, lvts[i], APIC_LVT_MASKED);
	for (i = 0; i < IRR_WORDS; i++) {
		ost_lapic_reg_set(apic, APIC_ISR + 0x10 * i, 0);
		ost_lapic_reg_set(apic, APIC_TMR + 0x10 * i, 0);
		ost_lapic_replace_irr(apic, i, 0);
	}
	apic->isr_words = 0;
	atomic_set(&apic->errors, 0);
	ost_lapic_reg_set(apic, APIC_LVR, OST_LAPIC_VERSION);
	ost_lapic_reg_set(apic, APIC_TASKPRI, 0);
	ost_lapic_reg_set(apic, APIC_PROCPRI, 0);
	ost_lapic_reg_set(apic, APIC_ESR, 0);
	ost_lapic_reg_set(apic, APIC_ICR, 0);
	ost_lapic_reg_set(apic, APIC_ICR2, 0);
	ost_lapic_reg_set(apic, APIC_TMICT, 0);
	ost_lapic_reg_set(apic, APIC_TDCR, 0);
	ost_lapic_reg_set(apic, APIC_SPIV, 0xff);
	if (apic->mode == OST_APIC_X2APIC) {
		ost_lapic_reg_set(apic, APIC_LDR, x2apic_ldr(apic->id));
	} else {
		ost_lapic_reg_set(apic, APIC_LDR, 0);
		ost_lapic_reg_set(apic, APIC_DFR, APIC_DFR_FLAT);
	}
}

void ost_lapic_model_reset(struct ost_lapic *apic, bool init_event)
{
	ost_lapic_timer_stop(apic);
	if (!init_event) {
		WRITE_ONCE(apic->mode, OST_APIC_XAPIC);
		ost_lapic_reg_set(apic, APIC_ID, apic->id << 24);
	}
	reset_registers(apic);
	/*
	 * The ABI hands over a machine whose firmware has connected the PIC to the boot CPU;
	 * programs that bring none rely on it.
	 */
	if (apic->bsp && !init_event)
		ost_lapic_reg_set(apic, APIC_LVT0, APIC_DM_EXTINT);
	apic->dest_changed = true;
}

void ost_lapic_set_mode(struct ost_lapic *apic, enum ost_apic_mode mode)
{
	enum ost_apic_mode old = apic->mode;

	if (old == mode)
		return;
	apic->dest_changed = true;
	if (mode == OST_APIC_DISABLED)
		ost_lapic_timer_stop(apic);
	WRITE_ONCE(apic->mode, mode);
	switch (mode) {
	case OST_APIC_DISABLED:
		reset_registers(apic);
		break;
	case OST_APIC_XAPIC:
		/* From x2APIC mode only the VMM can come here directly. */
		ost_lapic_reg_set(apic, APIC_ID, apic->id << 24);
		ost_lapic_reg_set(apic, APIC_LDR, 0);
		ost_lapic_reg_set(apic, APIC_DFR, APIC_DFR_FLAT);
		break;
	case OST_APIC_X2APIC:
		/* SDM 11.12.5.1: id and LDR are the CPU's own, the upper half of ICR is lost. */
		ost_lapic_reg_set(apic, APIC_ID, apic->id);
		ost_lapic_reg_set(apic, APIC_LDR, x2apic_ldr(apic->id));
		ost_lapic_reg_set(apic, APIC_ICR2, 0);
		break;
	}
}
