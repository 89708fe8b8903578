/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The LAPIC as a model: registers, priorities, errors, timer. "SDM 11.x" is a section of the APIC's
 * chapter in vol. 3A, which is number 11 in the editions of 2022 (10 before, 12 later; the sections
 * keep their numbers).
 *
 * lapic.c has acceptance, priorities and EOI; lapic_regs.c the registers as the guest and the VMM
 * see them; lapic_timer.c the timer's arithmetic. What needs the kernel goes through struct
 * ost_lapic_ops.
 *
 * Who touches what: IRR, TMR and irr_words are changed by atomic bit operations from any context,
 * the error bits likewise; everything else belongs to the vCPU's own thread. Others read SVR, TPR,
 * LVTs, LDR, DFR and the mode with READ_ONCE, where either the old or the new value is right.
 *
 * CPUs that virtualize the APIC work on the register page while the guest runs. Where they deliver
 * interrupts themselves ("deferred"), IRR and irr_words are the own thread's and the CPU's alone:
 * what arrives waits in `arrived` until the own thread collects it, outside of the guest, or in `posted`,
 * where also the CPU takes it in the guest.
 */
#ifndef OST_IRQCHIP_LAPIC_H
#define OST_IRQCHIP_LAPIC_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/limits.h>
#include <linux/types.h>
#include <asm/apicdef.h>
#include "message.h"

struct ost_lapic;

/* Version 0x14 with six LVT entries, the last being number 5; no suppression of EOI broadcasts. */
#define OST_LAPIC_VERSION 0x00050014

/*
 * A periodic timer interrupts no oftener than this, whatever the guest asks for: it would keep the
 * host's CPU in its timer interrupt. The counter still shows the true period.
 */
#define OST_LAPIC_MIN_PERIOD_NS 200000

enum ost_apic_mode {
	OST_APIC_DISABLED,	/* IA32_APIC_BASE.EN is 0 */
	OST_APIC_XAPIC,
	OST_APIC_X2APIC,
};

struct ost_lapic_ops {
	/* An interrupt was posted, or a lower priority may let one through. Any context. */
	void (*event)(struct ost_lapic *apic);
	/*
	 * May the CPU take a vector that arrives while the guest runs? Asked where arrivals are deferred.
	 * Any context.
	 */
	bool (*may_post)(struct ost_lapic *apic, u8 vector);
	/*
	 * A bit of `posted` was set: calls ost_lapic_mark_posted() and, if that is true, sees to it that the
	 * CPU or the own thread takes what is there. Any context.
	 */
	void (*posted)(struct ost_lapic *apic);
	/* SMI, NMI, INIT, SIPI arrive: 1 taken, -1 not. Any context. */
	int (*special)(struct ost_lapic *apic, enum ost_delivery delivery, u8 vector);
	/* The guest sends an IPI. Own thread. */
	void (*send)(struct ost_lapic *apic, const struct ost_irq_message *msg);
	/* End of a vector that the IOAPIC may want to hear of; level: TMR has it. Own thread. */
	void (*eoi)(struct ost_lapic *apic, u8 vector, bool level);

	/* Time, for the timer; own thread. */
	u64 (*now_ns)(struct ost_lapic *apic);
	/* Nanoseconds until the guest's TSC reaches deadline, 0 when it has. */
	u64 (*tsc_left_ns)(struct ost_lapic *apic, u64 deadline);
	/* ost_lapic_timer_fired() at expires_ns, then every interval_ns unless that is 0. */
	void (*timer_arm)(struct ost_lapic *apic, u64 expires_ns, u64 interval_ns);
	/* The same once, when the guest's TSC comes to `deadline`, in left_ns from now. */
	void (*deadline_arm)(struct ost_lapic *apic, u64 deadline, u64 left_ns);
	/*
	 * Another deadline, which is not 0, in the place of the one that was armed, if both are ahead and that
	 * costs nothing: true. Else nothing has changed.
	 */
	bool (*deadline_move)(struct ost_lapic *apic, u64 deadline);
	/*
	 * After it returned, ost_lapic_timer_fired() is not running and will not. When it would
	 * have run next, 0 for not at all.
	 */
	u64 (*timer_cancel)(struct ost_lapic *apic);
};

struct ost_lapic_timer {
	u64 base_ns;		/* when the count reaches 0 (for the first time, if periodic) */
	u64 period_ns;		/* initial count in nanoseconds */
	u64 tsc_deadline;	/* IA32_TSC_DEADLINE, 0 disarmed */
	bool running;		/* counting; not in TSC-deadline mode */
	bool armed;		/* timer_arm was called after the last timer_cancel */
	unsigned long pending;	/* bit 0: expired, not yet acted on [any] */
};

/*
 * What has arrived and the CPU may take while the guest runs: a posted-interrupt descriptor (SDM vol. 3C,
 * 30.6). The rest of that is software's; only an IOMMU that posts would look at it.
 */
struct ost_lapic_posted {
	unsigned long vectors[4];	/* PIR: by vector, 64 each [any] */
	unsigned long outstanding;	/* bit 0, ON: there may be bits in PIR [any] */
	unsigned long unused[3];
} __aligned(64);

struct ost_lapic {
	const struct ost_lapic_ops *ops;
	u8 *regs;		/* a page: the register page in the ABI's layout */
	u32 id;			/* initial and x2APIC id */
	u32 tick_ns;		/* of the timer's input clock, before it is divided */
	enum ost_apic_mode mode;	/* [any: READ_ONCE] */
	bool bsp;
	bool tsc_deadline_allowed;	/* CPUID says so: LVTT's mode bit 18 is not reserved */
	bool dest_changed;	/* what others address it by changed; the glue clears it */
	u32 isr_words;		/* bit i: ISR word i is not 0 */
	unsigned long irr_words; /* bit i: IRR word i may be not 0 [any] */
	bool deferred;		/* arrivals wait in `arrived` or `posted`; set before the first and for good */
	bool cpu_delivers;	/* the CPU moves vectors from IRR to ISR, ends them, sends SELF IPIs */
	bool vectors_changed;	/* we changed IRR, ISR or what of them counts; the backend clears it */
	bool any_arrived;	/* there may be bits in `arrived` [any] */
	unsigned long arrived[4];	/* by vector, 64 each [any] */
	struct ost_lapic_posted posted;
	/* Registers as last written through the model: what a write by the CPU has replaced. */
	u32 last[KVM_APIC_REG_SIZE / 0x10];
	atomic_t errors;	/* ESR bits since the last write to ESR [any] */
	u32 arbitrations;	/* lowest-priority interrupts taken, to be fair [any, racy] */
	struct ost_lapic_timer timer;
};

static inline u32 *ost_lapic_regp(const struct ost_lapic *apic, u32 offset)
{
	return (u32 *)(apic->regs + offset);
}

static inline u32 ost_lapic_reg(const struct ost_lapic *apic, u32 offset)
{
	return READ_ONCE(*ost_lapic_regp(apic, offset));
}

static inline void ost_lapic_reg_set(struct ost_lapic *apic, u32 offset, u32 val)
{
	apic->last[offset >> 4] = val;
	WRITE_ONCE(*ost_lapic_regp(apic, offset), val);
}

static inline bool ost_lapic_sw_enabled(const struct ost_lapic *apic)
{
	return ost_lapic_reg(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

static inline bool ost_lapic_masked(const struct ost_lapic *apic, u32 lvt)
{
	return ost_lapic_reg(apic, lvt) & APIC_LVT_MASKED;
}

/* Does LINT0 let the PIC's interrupt through as ExtINT? Any context. */
static inline bool ost_lapic_takes_extint(const struct ost_lapic *apic)
{
	u32 lvt0;

	/* With the LAPIC off, LINT0 is the CPU's INTR pin (SDM 11.4.3). */
	if (READ_ONCE(apic->mode) == OST_APIC_DISABLED)
		return apic->bsp;
	lvt0 = ost_lapic_reg(apic, APIC_LVT0);
	return !(lvt0 & APIC_LVT_MASKED) && GET_APIC_DELIVERY_MODE(lvt0) == OST_DELIVER_EXTINT;
}

/* --- lapic.c --- */

/*
 * State after RESET, or after INIT, which leaves mode and id alone (SDM 11.4.7.1, 11.4.7.3). Own
 * thread.
 */
void ost_lapic_model_reset(struct ost_lapic *apic, bool init_event);
/* Enters another mode, already checked, with the state it begins with (SDM 11.12.5). Own thread. */
void ost_lapic_set_mode(struct ost_lapic *apic, enum ost_apic_mode mode);

/*
 * An interrupt message that is addressed to it arrives. 1 taken, 0 coalesced with one that is
 * pending already, -1 not taken. Any context.
 */
int ost_lapic_accept(struct ost_lapic *apic, enum ost_delivery delivery, u8 vector,
		     bool trig_level);
/*
 * A local interrupt: the LVT entry at offset `lvt` says what happens. As ost_lapic_accept(). Any
 * context.
 */
int ost_lapic_local(struct ost_lapic *apic, u32 lvt);
/* Logs an error in ESR's hidden half and raises the error interrupt for the first. Any context. */
void ost_lapic_error(struct ost_lapic *apic, u32 esr_bit);

/*
 * Highest vector in IRR and in ISR, or -1. Own thread; find_irr is right for others at some moment.
 */
int ost_lapic_find_irr(const struct ost_lapic *apic);
int ost_lapic_find_isr(const struct ost_lapic *apic);
/* The vector that would be delivered now, or -1. Own thread. */
int ost_lapic_deliverable(const struct ost_lapic *apic);
/* Moves it from IRR to ISR and returns it; -1 when there is none. Own thread. */
int ost_lapic_take(struct ost_lapic *apic);
/* Recomputes PPR after TPR or ISR changed. Own thread. */
void ost_lapic_update_ppr(struct ost_lapic *apic);
void ost_lapic_set_tpr(struct ost_lapic *apic, u8 tpr);
/* True for the first that is posted since `posted` was looked at: it has to be told of. Full barrier. Any context. */
static inline bool ost_lapic_mark_posted(struct ost_lapic *apic)
{
	return !test_and_set_bit(0, &apic->posted.outstanding);
}

/* Takes what has arrived into IRR. Nothing where arrivals are not deferred. Own thread. */
void ost_lapic_collect(struct ost_lapic *apic);
/* Is there anything to be collected, or to be told to the CPU (vectors_changed)? Own thread. */
static inline bool ost_lapic_has_news(const struct ost_lapic *apic)
{
	return apic->vectors_changed || READ_ONCE(apic->any_arrived) ||
	       READ_ONCE(apic->posted.outstanding);
}
/*
 * From now on the CPU delivers what is in IRR while the guest runs, or does so no more. Only where
 * arrivals are deferred. Own thread.
 */
void ost_lapic_set_cpu_delivers(struct ost_lapic *apic, bool on);
/*
 * The vectors that the CPU has to know when it delivers: requesting in bits 7:0 (highest of IRR, 0
 * while software has the LAPIC disabled), servicing in 15:8. Clears vectors_changed. Own thread.
 */
u16 ost_lapic_cpu_status(struct ost_lapic *apic);
/* The CPU has ended this vector (cleared it in ISR). Own thread. */
void ost_lapic_ended(struct ost_lapic *apic, u8 vector);
void ost_lapic_eoi(struct ost_lapic *apic);
/* A write to ICR. Own thread. */
void ost_lapic_send(struct ost_lapic *apic, u32 icr, u32 dest);
/*
 * IRR word `word` becomes val; what arrives meanwhile may be lost, but irr_words stays right. Own
 * thread.
 */
void ost_lapic_replace_irr(struct ost_lapic *apic, u32 word, u32 val);
/* Recomputes isr_words from ISR. Own thread. */
void ost_lapic_rescan_isr(struct ost_lapic *apic);

/* --- lapic_regs.c: all by the own thread --- */

/*
 * Register at byte offset 0..0xfff of the page: len bytes; whatever makes no sense reads as 0 and
 * is not written.
 */
void ost_lapic_page_read(struct ost_lapic *apic, u32 offset, u32 len, void *val);
void ost_lapic_page_write(struct ost_lapic *apic, u32 offset, u32 len, const void *val);
/* x2APIC MSRs 0x800..0x8ff: 0, or 1 for #GP(0). */
int ost_lapic_msr_read(struct ost_lapic *apic, u32 msr, u64 *data);
int ost_lapic_msr_write(struct ost_lapic *apic, u32 msr, u64 data);
/*
 * The CPU has let the guest write the register at `offset` of the page: gives the write its meaning.
 */
void ost_lapic_page_written(struct ost_lapic *apic, u32 offset);
/* Does reading this x2APIC MSR give what is in the register's 32 bits of the page, and no more? */
bool ost_lapic_msr_plain(u32 msr);
/*
 * KVM_GET/SET_LAPIC. Nothing that the VMM can pass is refused: registers keep only what can be in
 * them.
 */
void ost_lapic_model_get(struct ost_lapic *apic, struct kvm_lapic_state *out);
void ost_lapic_model_set(struct ost_lapic *apic, const struct kvm_lapic_state *in);

/* --- lapic_timer.c: by the own thread, except for fired --- */

/*
 * The host's timer fired. Any context; the caller wakes the own thread for
 * ost_lapic_timer_expire().
 */
static inline void ost_lapic_timer_fired(struct ost_lapic *apic)
{
	set_bit(0, &apic->timer.pending);
}

/* APIC_LVT_TIMER_*; both bits set is reserved, and counts as one-shot. */
static inline u32 ost_lapic_timer_mode(const struct ost_lapic *apic)
{
	return ost_lapic_reg(apic, APIC_LVTT) &
	       (APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE);
}

static inline bool ost_lapic_timer_in_deadline_mode(const struct ost_lapic *apic)
{
	return ost_lapic_timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE;
}

/* Acts on an expiry that is pending. */
void ost_lapic_timer_expire(struct ost_lapic *apic);
/* Starts counting from `count`, which is TMICT, or what was left of it in a saved state. */
void ost_lapic_timer_start(struct ost_lapic *apic, u32 count);
void ost_lapic_timer_stop(struct ost_lapic *apic);
/* TMCCT. */
u32 ost_lapic_timer_count(struct ost_lapic *apic);
/* LVTT becomes val (already masked to what it can hold); TDCR becomes val. */
void ost_lapic_timer_set_lvtt(struct ost_lapic *apic, u32 val);
void ost_lapic_timer_set_divide(struct ost_lapic *apic, u32 val);
/* IA32_TSC_DEADLINE. */
u64 ost_lapic_timer_deadline(struct ost_lapic *apic);
void ost_lapic_timer_set_deadline(struct ost_lapic *apic, u64 deadline);
/* Programs the host's timer anew from the state: the guest's TSC or the CPU changed. */
void ost_lapic_timer_rearm_model(struct ost_lapic *apic);

#endif
