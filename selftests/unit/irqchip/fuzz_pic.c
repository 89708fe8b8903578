// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the 8259A pair under arbitrary traffic. After each step its output has to be what
 * acknowledging would deliver, levels ask exactly while their lines are high, registers stay in range,
 * and a saved state restores to itself.
 *
 *	make test-fuzz T=fuzz/irqchip/fuzz_pic
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "irqchip/pic.h"

static struct ost_pic_model pic;

static void invariants(void)
{
	u32 i;

	BUG_ON(pic.output != (ost_pic_model_peek(&pic) >= 0));
	for (i = 0; i < 2; i++) {
		const struct kvm_pic_state *c = &pic.chip[i];

		BUG_ON(c->priority_add > 7 || c->init_state > 3);
		BUG_ON(c->elcr & ~c->elcr_mask);
		/* A level asks exactly while its line is high. */
		BUG_ON((c->irr ^ c->last_irr) & c->elcr);
	}
	BUG_ON(pic.sources[2]);
}

static void restore(const u8 *arg)
{
	struct kvm_pic_state s, again;
	u32 chip = arg[0] & 1;
	u8 pins;

	memset(&s, arg[1], sizeof(s));
	s.irr = arg[2];
	s.last_irr = arg[3];
	s.elcr = arg[1] ^ arg[2];
	ost_pic_model_restore(&pic, chip, &s);
	ost_pic_model_get(&pic, chip, &s);
	ost_pic_model_restore(&pic, chip, &s);
	ost_pic_model_get(&pic, chip, &again);
	pins = chip ? 0 : 4;
	s.irr |= pins;
	again.irr |= pins;
	s.last_irr |= pins;
	again.last_irr |= pins;
	BUG_ON(memcmp(&s, &again, sizeof(s)));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u16 ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	int expect;

	ost_pic_model_reset(&pic);
	for (; size >= 4; data += 4, size -= 4) {
		switch (data[0] % 8) {
		case 0 ... 2:
			ost_pic_model_write(&pic, ports[data[1] % 6], data[2]);
			break;
		case 3:
			ost_pic_model_read(&pic, ports[data[1] % 6]);
			break;
		case 4 ... 5:
			ost_pic_model_set(&pic, data[1] % 16, data[2] % 8, data[3] & 1);
			break;
		case 6:
			expect = ost_pic_model_peek(&pic);
			BUG_ON(ost_pic_model_ack(&pic) != expect && expect >= 0);
			break;
		case 7:
			restore(data);
			break;
		}
		invariants();
	}
	return 0;
}
