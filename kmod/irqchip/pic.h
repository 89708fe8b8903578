/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The PC's pair of 8259A interrupt controllers with the ELCR beside them, as a model. pic.c is
 * pure; the caller serialises the calls, in the kernel by a lock (pic_glue.c), and looks at
 * `output` and `ended` after each.
 */
#ifndef OST_IRQCHIP_PIC_H
#define OST_IRQCHIP_PIC_H

#include <linux/bitops.h>
#include <linux/kvm.h>
#include <linux/types.h>

#define OST_PIC_PINS 16

struct ost_pic_model {
	struct kvm_pic_state chip[2];	/* master, slave; last_irr: the level of each pin */
	u8 sources[OST_PIC_PINS];	/* who drives the pin high: it is high while anyone does */
	bool output;			/* INT of the master */
	u16 ended;			/* pins whose interrupt ended; the caller takes the bits */
};

void ost_pic_model_reset(struct ost_pic_model *pic);
/* Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1. Reading can acknowledge (poll mode). */
u8 ost_pic_model_read(struct ost_pic_model *pic, u16 port);
void ost_pic_model_write(struct ost_pic_model *pic, u16 port, u8 val);
/*
 * Source `source` (0..7) drives `pin` (0..15; 2 is the cascade and stays out of reach). For a
 * rising line: 1 when it is requested now, 0 when it was already, -1 when it is masked. 1 for a
 * falling one.
 */
int ost_pic_model_set(struct ost_pic_model *pic, u32 pin, u32 source, bool level);
/* The vector that ost_pic_model_ack() would return, -1 while the output is low. */
int ost_pic_model_peek(const struct ost_pic_model *pic);
/* The CPU's two INTA cycles: the vector; a spurious one when nothing asks any more. */
u8 ost_pic_model_ack(struct ost_pic_model *pic);

/* KVM_GET/SET_IRQCHIP of chip 0 or 1. */
void ost_pic_model_get(const struct ost_pic_model *pic, u32 chip, struct kvm_pic_state *out);
void ost_pic_model_restore(struct ost_pic_model *pic, u32 chip, const struct kvm_pic_state *in);

#endif
