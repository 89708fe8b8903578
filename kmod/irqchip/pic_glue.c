// SPDX-License-Identifier: GPL-2.0-only
/* The PIC model in its VM: lock, buses, and its output to the LINT0 pins of the LAPICs. */
#include <linux/slab.h>
#include "chips.h"
#include "pic.h"
#include "../io.h"
#include "../vcpu.h"
#include "../vm.h"

struct ost_pic {
	raw_spinlock_t lock;
	struct ost_pic_model model;
	struct ost_iodev dev;
	u32 nr_ports;		/* ranges of ports[] that are on the bus */
	struct ost_vm *vm;
};

static const u16 ports[] = { 0x20, 0xa0, 0x4d0 };

/* What an operation left to do after the lock is dropped. */
struct aftermath {
	unsigned long flags;
	unsigned long ended;
	bool was_high, high;
};

static void begin(struct ost_pic *pic, struct aftermath *after) __acquires(&pic->lock)
{
	raw_spin_lock_irqsave(&pic->lock, after->flags);
	after->was_high = pic->model.output;
}

/* This many CPUs at most hear of it: one takes it, and whoever has it in LINT0 of more has time to wait. */
#define MOST_TOLD 64

/* INT is wired to LINT0 of every CPU: what that makes of it is the LVT entry's business. */
static void output_is_high(struct ost_vm *vm, bool rose)
{
	struct ost_vcpu *vcpu;
	u32 told = 0;
	u32 i;

	ost_for_each_vcpu(i, vcpu, vm) {
		if (ost_lapic_takes_extint(vcpu->apic)) {
			ost_request(vcpu, OST_REQ_EVENT);
			ost_vcpu_kick(vcpu);
			told++;
		} else if (rose) {
			told += ost_lapic_local(vcpu->apic, APIC_LVT0) >= 0;
		}
		if (unlikely(told == MOST_TOLD))
			break;
	}
}

static void finish(struct ost_pic *pic, struct aftermath *after) __releases(&pic->lock)
{
	u32 pin;

	after->high = pic->model.output;
	after->ended = pic->model.ended;
	pic->model.ended = 0;
	raw_spin_unlock_irqrestore(&pic->lock, after->flags);

	for_each_set_bit(pin, &after->ended, OST_PIC_PINS)
		ost_irq_ended(pic->vm, pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			      pin & 7);
	/*
	 * Also when it stays high: there may be another one behind what was acknowledged or ended.
	 */
	if (after->high)
		output_is_high(pic->vm, !after->was_high);
}

/* The chips are 8 bits wide: the chipset makes single bytes of wider accesses. */
static int pic_read(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, void *val)
{
	struct ost_pic *pic = container_of(dev, struct ost_pic, dev);
	struct aftermath after;
	u8 *bytes = val;
	u32 i;

	if (!ost_chips_in_kernel(pic->vm))
		return -EOPNOTSUPP;
	begin(pic, &after);
	for (i = 0; i < len; i++)
		bytes[i] = ost_pic_model_read(&pic->model, addr + i);
	finish(pic, &after);
	return 0;
}

static int pic_write(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
		     const void *val)
{
	struct ost_pic *pic = container_of(dev, struct ost_pic, dev);
	struct aftermath after;
	const u8 *bytes = val;
	u32 i;

	if (!ost_chips_in_kernel(pic->vm))
		return -EOPNOTSUPP;
	begin(pic, &after);
	for (i = 0; i < len; i++)
		ost_pic_model_write(&pic->model, addr + i, bytes[i]);
	finish(pic, &after);
	return 0;
}

static const struct ost_iodev_ops pic_ops = {
	.read = pic_read,
	.write = pic_write,
};

int ost_pic_create(struct ost_vm *vm)
{
	struct ost_pic *pic = vm->irqs.pic;
	int r;

	if (!pic) {
		pic = kzalloc(sizeof(*pic), GFP_KERNEL_ACCOUNT);
		if (!pic)
			return -ENOMEM;
		raw_spin_lock_init(&pic->lock);
		pic->vm = vm;
		pic->dev.ops = &pic_ops;
		ost_pic_model_reset(&pic->model);
		vm->irqs.pic = pic;
	}
	for (; pic->nr_ports < ARRAY_SIZE(ports); pic->nr_ports++) {
		r = ost_bus_register(vm, &vm->pio_bus, ports[pic->nr_ports], 2, &pic->dev);
		if (r)
			return r;
	}
	return 0;
}

void ost_pic_destroy(struct ost_vm *vm)
{
	kfree(vm->irqs.pic);
	vm->irqs.pic = NULL;
}

int ost_pic_set(struct ost_vm *vm, u32 pin, u32 source, bool level)
{
	struct ost_pic *pic = vm->irqs.pic;
	struct aftermath after;
	int r;

	raw_spin_lock_irqsave(&pic->lock, after.flags);
	after.was_high = pic->model.output;
	r = ost_pic_model_set(&pic->model, pin, source, level);
	after.high = pic->model.output;
	raw_spin_unlock_irqrestore(&pic->lock, after.flags);
	if (after.high && !after.was_high)
		output_is_high(vm, true);
	return r;
}

int ost_pic_peek(struct ost_vm *vm)
{
	struct ost_pic *pic = vm->irqs.pic;
	unsigned long flags;
	int vector;

	/* Nearly always low, and whoever raises it makes a request. */
	if (!READ_ONCE(pic->model.output))
		return -1;
	raw_spin_lock_irqsave(&pic->lock, flags);
	vector = ost_pic_model_peek(&pic->model);
	raw_spin_unlock_irqrestore(&pic->lock, flags);
	return vector;
}

int ost_pic_ack(struct ost_vm *vm)
{
	struct ost_pic *pic = vm->irqs.pic;
	struct aftermath after;
	int vector = -1;

	if (!READ_ONCE(pic->model.output))
		return -1;
	begin(pic, &after);
	/* Lowered meanwhile: then no INTA cycle begins. */
	if (pic->model.output)
		vector = ost_pic_model_ack(&pic->model);
	finish(pic, &after);
	return vector;
}

void ost_pic_get(struct ost_vm *vm, u32 chip, struct kvm_pic_state *out)
{
	struct ost_pic *pic = vm->irqs.pic;
	unsigned long flags;

	raw_spin_lock_irqsave(&pic->lock, flags);
	ost_pic_model_get(&pic->model, chip, out);
	raw_spin_unlock_irqrestore(&pic->lock, flags);
}

void ost_pic_restore(struct ost_vm *vm, u32 chip, const struct kvm_pic_state *in)
{
	struct ost_pic *pic = vm->irqs.pic;
	struct aftermath after;

	begin(pic, &after);
	ost_pic_model_restore(&pic->model, chip, in);
	finish(pic, &after);
}
