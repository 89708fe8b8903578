/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOAPIC as a model (82093AA): one of 24 pins at 0xfec00000. ioapic.c is pure; the caller
 * serialises the calls, in the kernel by a lock (ioapic_glue.c).
 *
 * Its version is 0x11, without an EOI register: the version that goes with LAPICs which can't
 * suppress EOI broadcasts. Software that must end a level interrupt by hand switches the entry to
 * edge and back, which clears Remote IRR.
 */
#ifndef OST_IRQCHIP_IOAPIC_H
#define OST_IRQCHIP_IOAPIC_H

#include <linux/bitops.h>
#include <linux/kvm.h>
#include <linux/types.h>
#include "message.h"

#define OST_IOAPIC_BASE 0xfec00000ull
#define OST_IOAPIC_LEN 0x100

/*
 * So many interrupts of one pin in a row, each ended while the line is still high, and the next one
 * waits a while: whoever has to lower the line may need the CPU for it.
 */
#define OST_IOAPIC_STORM 2000

struct ost_ioapic_model {
	/*
	 * Sends the message: how many took it, 0 coalesced, -1 nobody. Must not call back into the
	 * model.
	 */
	int (*deliver)(struct ost_ioapic_model *ioapic, const struct ost_irq_message *msg);
	/* ost_ioapic_model_resume() shall be called in a while. */
	void (*pause)(struct ost_ioapic_model *ioapic);

	struct kvm_ioapic_state state;	/* irr: the level of each pin */
	u8 sources[KVM_IOAPIC_NUM_PINS]; /* who drives the pin high: it is high while anyone does */
	u16 streak[KVM_IOAPIC_NUM_PINS]; /* interrupts in a row whose end found it high */
	u32 paused;			/* pins that wait for resume */
	/* Those of all entries: the end of another is none of ours [any: read]. */
	struct ost_eoi_vectors eois;
};

void ost_ioapic_model_reset(struct ost_ioapic_model *ioapic);

/* Register window: offset 0..0xff. What isn't there reads as 0. */
u32 ost_ioapic_model_read(struct ost_ioapic_model *ioapic, u32 offset);
void ost_ioapic_model_write(struct ost_ioapic_model *ioapic, u32 offset, u32 val);

/*
 * Source `source` (0..7) drives `pin` (0..23). For a rising line: how many took the interrupt, 0
 * when it is coalesced with one that is on its way, -1 when it is masked or nobody took it. 1 for a
 * falling one.
 */
int ost_ioapic_model_set(struct ost_ioapic_model *ioapic, u32 pin, u32 source, bool level);

/* Pins whose entry has this vector: whom to tell before ost_ioapic_model_eoi(). */
u32 ost_ioapic_model_pins(const struct ost_ioapic_model *ioapic, u8 vector);
/* The end of vector `vector`, broadcast by a LAPIC. */
void ost_ioapic_model_eoi(struct ost_ioapic_model *ioapic, u8 vector);
void ost_ioapic_model_resume(struct ost_ioapic_model *ioapic);

/* KVM_GET/SET_IRQCHIP. set: 0, or -EINVAL for another base address than the only one. */
void ost_ioapic_model_get(const struct ost_ioapic_model *ioapic, struct kvm_ioapic_state *out);
int ost_ioapic_model_restore(struct ost_ioapic_model *ioapic, const struct kvm_ioapic_state *in);

#endif
