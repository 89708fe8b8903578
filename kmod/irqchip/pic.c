// SPDX-License-Identifier: GPL-2.0-only
/*
 * The 8259A pair (Intel 231468-003, "8259A" below) and the ELCR of the PIIX, which chooses edge or
 * level for each pin in place of ICW1's LTIM. Pure; see pic.h.
 *
 * An edge stays requested until it is acknowledged even if its line falls before; on the chip that
 * gives a spurious IRQ 7. VMMs pulse their lines and count on it.
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include "pic.h"

#define CASCADE 2
#define SPURIOUS 7

#define ICW1 0x10
#define ICW1_ICW4 0x01
#define ICW4_AUTO_EOI 0x02
#define ICW4_SPECIAL_NESTED 0x10
#define OCW3 0x08
#define OCW3_READ 0x02
#define OCW3_POLL 0x04
#define OCW3_SET_SPECIAL_MASK 0x40
#define OCW3_SPECIAL_MASK 0x20

/* kvm_pic_state.init_state */
enum { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };

/* OCW2's commands: its bits 7:5. */
enum {
	OCW2_ROTATE_AUTO_OFF, OCW2_EOI, OCW2_NOP, OCW2_SPECIFIC_EOI,
	OCW2_ROTATE_AUTO_ON, OCW2_ROTATE_EOI, OCW2_SET_PRIORITY, OCW2_ROTATE_SPECIFIC_EOI,
};

static const u8 elcr_masks[2] = { 0xf8, 0xde };

/* How far down the order of priorities the first pin in `pins` stands: 0 to 7, 8 for none. */
static u32 rank(const struct kvm_pic_state *chip, u8 pins)
{
	u32 r;

	for (r = 0; r < 8; r++)
		if (pins & BIT((r + chip->priority_add) & 7))
			break;
	return r;
}

static u32 pin_of_rank(const struct kvm_pic_state *chip, u32 r)
{
	return (r + chip->priority_add) & 7;
}

/* The pin that drives this chip's INT, or -1. */
static int requested(const struct ost_pic_model *pic, u32 index)
{
	const struct kvm_pic_state *chip = &pic->chip[index];
	u32 ask = rank(chip, chip->irr & ~chip->imr);
	u8 in_service = chip->isr;

	/*
	 * Special mask mode: what is masked does not hold off others (8259A, "Special Mask Mode").
	 */
	if (chip->special_mask)
		in_service &= ~chip->imr;
	/* Special fully nested mode: the slave may interrupt itself with a higher pin. */
	if (chip->special_fully_nested_mode && index == 0)
		in_service &= ~BIT(CASCADE);
	return ask < rank(chip, in_service) ? (int)pin_of_rank(chip, ask) : -1;
}

/* The slave's INT is the master's pin 2. */
static void update(struct ost_pic_model *pic)
{
	struct kvm_pic_state *master = &pic->chip[0];

	if (requested(pic, 1) >= 0) {
		master->irr |= BIT(CASCADE);
		master->last_irr |= BIT(CASCADE);
	} else {
		master->irr &= ~BIT(CASCADE);
		master->last_irr &= ~BIT(CASCADE);
	}
	pic->output = requested(pic, 0) >= 0;
}

static void ended(struct ost_pic_model *pic, u32 index, u8 pins)
{
	pic->ended |= (u16)pins << (8 * index);
}

void ost_pic_model_reset(struct ost_pic_model *pic)
{
	u32 i;

	memset(pic, 0, sizeof(*pic));
	for (i = 0; i < 2; i++)
		pic->chip[i].elcr_mask = elcr_masks[i];
}

int ost_pic_model_set(struct ost_pic_model *pic, u32 pin, u32 source, bool level)
{
	struct kvm_pic_state *chip = &pic->chip[pin / 8];
	u8 bit = BIT(pin & 7);
	int r = 1;

	if (pin == CASCADE)
		return -1;
	if (level)
		pic->sources[pin] |= BIT(source);
	else
		pic->sources[pin] &= ~BIT(source);
	if (!pic->sources[pin]) {
		chip->last_irr &= ~bit;
		if (chip->elcr & bit)
			chip->irr &= ~bit;
	} else if (level) {
		r = !(chip->irr & bit);
		if (chip->elcr & bit || !(chip->last_irr & bit))
			chip->irr |= bit;
		else
			r = 0;
		chip->last_irr |= bit;
		if (chip->imr & bit)
			r = -1;
	}
	update(pic);
	return r;
}

/* --- acknowledging and ending --- */

static void acknowledge(struct ost_pic_model *pic, u32 index, u32 pin)
{
	struct kvm_pic_state *chip = &pic->chip[index];

	/* A level stays requested as long as its line is high. */
	if (!(chip->elcr & BIT(pin)))
		chip->irr &= ~BIT(pin);
	if (!chip->auto_eoi) {
		chip->isr |= BIT(pin);
		return;
	}
	if (chip->rotate_on_auto_eoi)
		chip->priority_add = (pin + 1) & 7;
	ended(pic, index, BIT(pin));
}

int ost_pic_model_peek(const struct ost_pic_model *pic)
{
	int pin = requested(pic, 0);

	if (pin < 0)
		return -1;
	if (pin != CASCADE)
		return (u8)(pic->chip[0].irq_base + pin);
	pin = requested(pic, 1);
	return (u8)(pic->chip[1].irq_base + (pin < 0 ? SPURIOUS : pin));
}

u8 ost_pic_model_ack(struct ost_pic_model *pic)
{
	int pin = requested(pic, 0);
	u8 vector;

	if (pin < 0)
		return pic->chip[0].irq_base + SPURIOUS;
	vector = pic->chip[0].irq_base + pin;
	acknowledge(pic, 0, pin);
	if (pin == CASCADE) {
		pin = requested(pic, 1);
		vector = pic->chip[1].irq_base + (pin < 0 ? SPURIOUS : pin);
		if (pin >= 0)
			acknowledge(pic, 1, pin);
	}
	update(pic);
	return vector;
}

static void end(struct ost_pic_model *pic, u32 index, u32 pin, bool rotate)
{
	struct kvm_pic_state *chip = &pic->chip[index];

	if (chip->isr & BIT(pin))
		ended(pic, index, BIT(pin));
	chip->isr &= ~BIT(pin);
	if (rotate)
		chip->priority_add = (pin + 1) & 7;
}

static void end_highest(struct ost_pic_model *pic, u32 index, bool rotate)
{
	struct kvm_pic_state *chip = &pic->chip[index];
	u8 in_service = chip->isr;
	u32 r;

	/* In special mask mode it passes over what is masked (8259A, "End of Interrupt"). */
	if (chip->special_mask)
		in_service &= ~chip->imr;
	r = rank(chip, in_service);
	if (r < 8)
		end(pic, index, pin_of_rank(chip, r), rotate);
}

/* --- registers --- */

static void write_icw1(struct ost_pic_model *pic, u32 index, u8 val)
{
	struct kvm_pic_state *chip = &pic->chip[index];

	/* 8259A, "Initialization Command Words 1 and 2", a to f; edges have to come anew. */
	ended(pic, index, chip->isr | (chip->irr & ~chip->elcr));
	chip->irr &= chip->elcr;
	chip->imr = 0;
	chip->isr = 0;
	chip->priority_add = 0;
	chip->read_reg_select = 0;
	chip->special_mask = 0;
	chip->poll = 0;
	chip->init4 = val & ICW1_ICW4;
	if (!chip->init4) {
		chip->auto_eoi = 0;
		chip->special_fully_nested_mode = 0;
	}
	chip->init_state = WANT_ICW2;
}

static void write_ocw2(struct ost_pic_model *pic, u32 index, u8 val)
{
	struct kvm_pic_state *chip = &pic->chip[index];
	u32 pin = val & 7;

	switch (val >> 5) {
	case OCW2_ROTATE_AUTO_OFF:
		chip->rotate_on_auto_eoi = 0;
		break;
	case OCW2_ROTATE_AUTO_ON:
		chip->rotate_on_auto_eoi = 1;
		break;
	case OCW2_EOI:
	case OCW2_ROTATE_EOI:
		end_highest(pic, index, val >> 5 == OCW2_ROTATE_EOI);
		break;
	case OCW2_SPECIFIC_EOI:
	case OCW2_ROTATE_SPECIFIC_EOI:
		end(pic, index, pin, val >> 5 == OCW2_ROTATE_SPECIFIC_EOI);
		break;
	case OCW2_SET_PRIORITY:
		chip->priority_add = (pin + 1) & 7;
		break;
	case OCW2_NOP:
		break;
	}
}

static void write_ocw3(struct kvm_pic_state *chip, u8 val)
{
	if (val & OCW3_POLL)
		chip->poll = 1;
	if (val & OCW3_READ)
		chip->read_reg_select = val & 1;
	if (val & OCW3_SET_SPECIAL_MASK)
		chip->special_mask = !!(val & OCW3_SPECIAL_MASK);
}

static void write_command(struct ost_pic_model *pic, u32 index, u8 val)
{
	if (val & ICW1)
		write_icw1(pic, index, val);
	else if (val & OCW3)
		write_ocw3(&pic->chip[index], val);
	else
		write_ocw2(pic, index, val);
}

static void write_data(struct kvm_pic_state *chip, u8 val)
{
	switch (chip->init_state) {
	case READY:
		chip->imr = val;
		break;
	case WANT_ICW2:
		chip->irq_base = val & 0xf8;
		chip->init_state = WANT_ICW3;
		break;
	case WANT_ICW3:
		/* How the two are wired is fixed. */
		chip->init_state = chip->init4 ? WANT_ICW4 : READY;
		break;
	case WANT_ICW4:
		chip->special_fully_nested_mode = !!(val & ICW4_SPECIAL_NESTED);
		chip->auto_eoi = !!(val & ICW4_AUTO_EOI);
		chip->init_state = READY;
		break;
	}
}

static void write_elcr(struct ost_pic_model *pic, u32 index, u8 val)
{
	struct kvm_pic_state *chip = &pic->chip[index];
	u8 changed;

	val &= chip->elcr_mask & elcr_masks[index];
	changed = chip->elcr ^ val;
	chip->elcr = val;
	/* A pin that becomes level asks as its line is; one that becomes edge waits for an edge. */
	chip->irr = (chip->irr & ~changed) | (changed & val & chip->last_irr);
}

void ost_pic_model_write(struct ost_pic_model *pic, u16 port, u8 val)
{
	switch (port) {
	case 0x20:
		write_command(pic, 0, val);
		break;
	case 0xa0:
		write_command(pic, 1, val);
		break;
	case 0x21:
		write_data(&pic->chip[0], val);
		break;
	case 0xa1:
		write_data(&pic->chip[1], val);
		break;
	case 0x4d0:
		write_elcr(pic, 0, val);
		break;
	case 0x4d1:
		write_elcr(pic, 1, val);
		break;
	}
	update(pic);
}

/* The read after a poll command is an acknowledge to this chip (8259A, "Poll Command"). */
static u8 poll(struct ost_pic_model *pic, u32 index)
{
	int pin = requested(pic, index);

	pic->chip[index].poll = 0;
	if (pin < 0)
		return 0;
	acknowledge(pic, index, pin);
	update(pic);
	return 0x80 | pin;
}

u8 ost_pic_model_read(struct ost_pic_model *pic, u16 port)
{
	u32 index = port == 0xa0 || port == 0xa1 || port == 0x4d1;
	struct kvm_pic_state *chip = &pic->chip[index];

	if (port == 0x4d0 || port == 0x4d1)
		return chip->elcr;
	if (chip->poll)
		return poll(pic, index);
	if (port & 1)
		return chip->imr;
	return chip->read_reg_select ? chip->isr : chip->irr;
}

/* --- state --- */

void ost_pic_model_get(const struct ost_pic_model *pic, u32 chip, struct kvm_pic_state *out)
{
	*out = pic->chip[chip];
}

void ost_pic_model_restore(struct ost_pic_model *pic, u32 chip, const struct kvm_pic_state *in)
{
	struct kvm_pic_state *to = &pic->chip[chip];
	u32 pin;

	*to = *in;
	to->priority_add &= 7;
	to->read_reg_select = !!in->read_reg_select;
	to->poll = !!in->poll;
	to->special_mask = !!in->special_mask;
	to->init_state &= 3;
	to->auto_eoi = !!in->auto_eoi;
	to->rotate_on_auto_eoi = !!in->rotate_on_auto_eoi;
	to->special_fully_nested_mode = !!in->special_fully_nested_mode;
	to->init4 = !!in->init4;
	/* The mask reads back as it was set; no mask makes other pins level. */
	to->elcr &= to->elcr_mask & elcr_masks[chip];
	/* A level asks as its line is. */
	to->irr = (in->irr & ~to->elcr) | (in->last_irr & to->elcr);
	/* Who held a line high is not in the state: userspace, as far as that can be told. */
	for (pin = 0; pin < 8; pin++)
		pic->sources[8 * chip + pin] = to->last_irr & BIT(pin) ? BIT(0) : 0;
	update(pic);
}
