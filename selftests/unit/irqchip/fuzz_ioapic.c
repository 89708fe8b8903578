// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the IOAPIC under arbitrary traffic of registers, pins, EOIs and restored states.
 * After each step what is derived has to follow from the registers: pending pins from their sources,
 * Remote IRR only of levels, the set of vectors from the table, no level left unsent that could be.
 *
 *	make test-fuzz T=fuzz/irqchip/fuzz_ioapic
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "irqchip/ioapic.h"

static struct ost_ioapic_model io;
static int answer;
static u32 in_flight;	/* levels sent and not ended, by the messages */

static int deliver(struct ost_ioapic_model *ioapic, const struct ost_irq_message *msg)
{
	BUG_ON(msg->trig_level && msg->delivery > OST_DELIVER_LOWEST);
	return answer;
}

static void pause_pins(struct ost_ioapic_model *ioapic)
{
	BUG_ON(!ioapic->paused);
}

static void invariants(void)
{
	u32 pin;

	in_flight = 0;
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		bool level = io.state.redirtbl[pin].fields.trig_mode &&
			     io.state.redirtbl[pin].fields.delivery_mode <= 1;
		bool flight = io.state.redirtbl[pin].fields.remote_irr;

		BUG_ON(flight && !level);
		BUG_ON(!(io.state.irr & BIT(pin)) != !io.sources[pin]);
		BUG_ON(!test_bit(io.state.redirtbl[pin].fields.vector, io.eois.vectors));
		BUG_ON(io.state.redirtbl[pin].bits & ~(0x1ffffull | 0xffull << 56));
		in_flight += flight;
		/* A level that can be sent was sent, if somebody took it. */
		BUG_ON(answer > 0 && level && io.state.irr & BIT(pin) && !flight &&
		       !io.state.redirtbl[pin].fields.mask && !(io.paused & BIT(pin)));
	}
	BUG_ON((io.state.irr | io.paused) >> KVM_IOAPIC_NUM_PINS);
	BUG_ON(io.paused & ~io.state.irr);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct kvm_ioapic_state s, again;
	u32 val, i;

	io.deliver = deliver;
	io.pause = pause_pins;
	ost_ioapic_model_reset(&io);
	/*
	 * Whether the LAPICs take things is one input's choice: later changes would excuse
	 * anything.
	 */
	answer = size ? data[0] % 3 - 1 : 0;
	for (; size >= 6; data += 6, size -= 6) {
		memcpy(&val, data + 2, sizeof(val));
		switch (data[0] % 8) {
		case 0 ... 1:
			ost_ioapic_model_set(&io, data[1] % KVM_IOAPIC_NUM_PINS, data[2] % 8,
					     data[3] & 1);
			break;
		case 2 ... 3:
			ost_ioapic_model_write(&io, 0, data[1]);
			ost_ioapic_model_write(&io, 0x10, val);
			ost_ioapic_model_read(&io, 0x10);
			break;
		case 4:
			ost_ioapic_model_write(&io, data[1], val);
			ost_ioapic_model_read(&io, data[1]);
			break;
		case 5:
			for (i = 0; i <= val % 3000; i++)
				ost_ioapic_model_eoi(&io, data[1]);
			break;
		case 6:
			ost_ioapic_model_resume(&io);
			break;
		case 7:
			for (i = 0; i < sizeof(s); i++)
				((u8 *)&s)[i] = data[1 + i % 5] ^ i;
			s.base_address = OST_IOAPIC_BASE;
			ost_ioapic_model_restore(&io, &s);
			ost_ioapic_model_get(&io, &s);
			ost_ioapic_model_restore(&io, &s);
			ost_ioapic_model_get(&io, &again);
			BUG_ON(memcmp(&s, &again, sizeof(s)));
			break;
		}
		invariants();
	}
	return 0;
}
