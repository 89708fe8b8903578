// SPDX-License-Identifier: GPL-2.0-only
/* The IOAPIC's registers, pins and redirection entries. Pure; see ioapic.h. */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "ioapic.h"

#define REG_ID 0
#define REG_VERSION 1
#define REG_ARBITRATION 2
#define REG_TABLE 0x10

#define WINDOW_SELECT 0x00
#define WINDOW_DATA 0x10

#define VERSION (0x11 | (KVM_IOAPIC_NUM_PINS - 1) << 16)

/* Redirection entry (82093AA, 3.2.4). */
#define ENTRY_MASKED BIT_ULL(16)
#define ENTRY_LEVEL BIT_ULL(15)
#define ENTRY_REMOTE_IRR BIT_ULL(14)
#define ENTRY_STATUS BIT_ULL(12)
#define ENTRY_LOGICAL BIT_ULL(11)
#define ENTRY_READ_ONLY (ENTRY_REMOTE_IRR | ENTRY_STATUS)
/* vector … mask, and the destination */
#define ENTRY_BITS (0x1ffffull | 0xffull << 56)

static u64 *entry_of(struct ost_ioapic_model *ioapic, u32 pin)
{
	return (u64 *)&ioapic->state.redirtbl[array_index_nospec(pin, KVM_IOAPIC_NUM_PINS)].bits;
}

static void note_vectors(struct ost_ioapic_model *ioapic)
{
	unsigned long vectors[4] = { 0 };
	u32 pin;

	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		__set_bit(*entry_of(ioapic, pin) & 0xff, vectors);
	ost_eoi_vectors_set(&ioapic->eois, vectors);
}

void ost_ioapic_model_reset(struct ost_ioapic_model *ioapic)
{
	u32 pin;

	memset(&ioapic->state, 0, sizeof(ioapic->state));
	ioapic->state.base_address = OST_IOAPIC_BASE;
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		*entry_of(ioapic, pin) = ENTRY_MASKED;
	memset(ioapic->sources, 0, sizeof(ioapic->sources));
	memset(ioapic->streak, 0, sizeof(ioapic->streak));
	ioapic->paused = 0;
	note_vectors(ioapic);
}

/* SMI, NMI, INIT and ExtINT are edge-triggered whatever bit 15 says (3.2.4, bits 10:8). */
static bool is_level(u64 entry)
{
	return entry & ENTRY_LEVEL && (entry >> 8 & 7) <= OST_DELIVER_LOWEST;
}

/* Sends the interrupt of a pin that asks for it. As ost_ioapic_model_set(). */
static int service(struct ost_ioapic_model *ioapic, u32 pin)
{
	u64 *entry = entry_of(ioapic, pin);
	struct ost_irq_message msg = {
		.vector = *entry,
		.delivery = (*entry >> 8) & 7,
		.logical = *entry & ENTRY_LOGICAL,
		.trig_level = is_level(*entry),
		.level = true,
		.dest = *entry >> 56,
	};
	int taken;

	if (*entry & ENTRY_MASKED)
		return -1;
	if (is_level(*entry) && (*entry & ENTRY_REMOTE_IRR || ioapic->paused & BIT(pin)))
		return 0;
	taken = ioapic->deliver(ioapic, &msg);
	/* Set by "a LAPIC's acceptance" (3.2.4); it has it also when it had it before. */
	if (taken >= 0 && is_level(*entry))
		*entry |= ENTRY_REMOTE_IRR;
	return taken;
}

int ost_ioapic_model_set(struct ost_ioapic_model *ioapic, u32 pin, u32 source, bool level)
{
	bool was_high = ioapic->state.irr & BIT(pin);

	if (level)
		ioapic->sources[pin] |= BIT(source);
	else
		ioapic->sources[pin] &= ~BIT(source);
	if (!ioapic->sources[pin]) {
		ioapic->state.irr &= ~BIT(pin);
		ioapic->paused &= ~BIT(pin);
		ioapic->streak[pin] = 0;
		return 1;
	}
	/* Someone else keeps it high. */
	if (!level)
		return 1;
	ioapic->state.irr |= BIT(pin);
	/* An edge that comes while the entry is masked is lost (3.2.4, bit 16). */
	if (was_high && !is_level(*entry_of(ioapic, pin)))
		return 0;
	return service(ioapic, pin);
}

/* --- registers (82093AA, 3.1 and 3.2) --- */

static u32 read_reg(struct ost_ioapic_model *ioapic, u32 reg)
{
	u32 pin = (reg - REG_TABLE) / 2;
	u64 entry;

	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION: /* takes the id's value whenever that is written */
		return ioapic->state.id << 24;
	case REG_VERSION:
		return VERSION;
	}
	if (reg < REG_TABLE || pin >= KVM_IOAPIC_NUM_PINS)
		return 0;
	entry = *entry_of(ioapic, pin);
	return reg & 1 ? entry >> 32 : entry;
}

static void write_entry(struct ost_ioapic_model *ioapic, u32 pin, bool high, u32 val)
{
	u64 *entry = entry_of(ioapic, pin);
	u64 old = *entry, new;

	if (high)
		new = (u32)old | (u64)val << 32;
	else
		new = (old >> 32) << 32 | val;
	new = (new & ENTRY_BITS & ~ENTRY_READ_ONLY) | (old & ENTRY_READ_ONLY);
	/* Remote IRR has no meaning for edge; Linux ends level interrupts by hand through this. */
	if (!is_level(new))
		new &= ~ENTRY_REMOTE_IRR;
	*entry = new;
	note_vectors(ioapic);
	/* A level that waited for this; edges were lost. */
	if (is_level(new) && ioapic->state.irr & BIT(pin))
		service(ioapic, pin);
}

static void write_reg(struct ost_ioapic_model *ioapic, u32 reg, u32 val)
{
	u32 pin = (reg - REG_TABLE) / 2;

	if (reg == REG_ID)
		ioapic->state.id = val >> 24 & 0xf;
	if (reg >= REG_TABLE && pin < KVM_IOAPIC_NUM_PINS)
		write_entry(ioapic, pin, reg & 1, val);
}

u32 ost_ioapic_model_read(struct ost_ioapic_model *ioapic, u32 offset)
{
	switch (offset) {
	case WINDOW_SELECT:
		return ioapic->state.ioregsel;
	case WINDOW_DATA:
		return read_reg(ioapic, ioapic->state.ioregsel);
	}
	return 0;
}

void ost_ioapic_model_write(struct ost_ioapic_model *ioapic, u32 offset, u32 val)
{
	switch (offset) {
	case WINDOW_SELECT:
		ioapic->state.ioregsel = val & 0xff;
		break;
	case WINDOW_DATA:
		write_reg(ioapic, ioapic->state.ioregsel, val);
		break;
	}
}

/* --- EOI --- */

u32 ost_ioapic_model_pins(const struct ost_ioapic_model *ioapic, u8 vector)
{
	u32 pin, pins = 0;

	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		if (ioapic->state.redirtbl[pin].fields.vector == vector)
			pins |= BIT(pin);
	return pins;
}

static void end_of_level(struct ost_ioapic_model *ioapic, u32 pin)
{
	*entry_of(ioapic, pin) &= ~ENTRY_REMOTE_IRR;
	if (!(ioapic->state.irr & BIT(pin))) {
		ioapic->streak[pin] = 0;
		return;
	}
	if (++ioapic->streak[pin] < OST_IOAPIC_STORM) {
		service(ioapic, pin);
		return;
	}
	ioapic->streak[pin] = 0;
	ioapic->paused |= BIT(pin);
	ioapic->pause(ioapic);
}

void ost_ioapic_model_eoi(struct ost_ioapic_model *ioapic, u8 vector)
{
	u32 pins = ost_ioapic_model_pins(ioapic, vector), pin;

	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		if (pins & BIT(pin) && *entry_of(ioapic, pin) & ENTRY_REMOTE_IRR)
			end_of_level(ioapic, pin);
}

void ost_ioapic_model_resume(struct ost_ioapic_model *ioapic)
{
	u32 pins = ioapic->paused, pin;

	ioapic->paused = 0;
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		if (pins & ioapic->state.irr & BIT(pin) && is_level(*entry_of(ioapic, pin)))
			service(ioapic, pin);
}

/* --- state --- */

void ost_ioapic_model_get(const struct ost_ioapic_model *ioapic, struct kvm_ioapic_state *out)
{
	*out = ioapic->state;
}

int ost_ioapic_model_restore(struct ost_ioapic_model *ioapic, const struct kvm_ioapic_state *in)
{
	u32 pin;

	/* The base is fixed: moving it took chipset registers that no VMM of the ABI has. */
	if (in->base_address != OST_IOAPIC_BASE)
		return -EINVAL;
	ost_ioapic_model_reset(ioapic);
	ioapic->state.ioregsel = in->ioregsel & 0xff;
	ioapic->state.id = in->id & 0xf;
	ioapic->state.irr = in->irr & (BIT(KVM_IOAPIC_NUM_PINS) - 1);
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		u64 entry = in->redirtbl[pin].bits & ENTRY_BITS & ~ENTRY_STATUS;

		if (!is_level(entry))
			entry &= ~ENTRY_REMOTE_IRR;
		*entry_of(ioapic, pin) = entry;
		/*
		 * Who held the line high is not in the state: userspace, as far as that can be
		 * told.
		 */
		if (ioapic->state.irr & BIT(pin))
			ioapic->sources[pin] = BIT(0);
	}
	note_vectors(ioapic);
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		if (ioapic->state.irr & BIT(pin) && is_level(*entry_of(ioapic, pin)))
			service(ioapic, pin);
	return 0;
}
