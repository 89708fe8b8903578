// SPDX-License-Identifier: GPL-2.0-only
/* The IOAPIC model in its VM: lock, bus, delivery, the pause of an interrupt storm. */
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "chips.h"
#include "ioapic.h"
#include "../compat.h"
#include "../io.h"
#include "../vm.h"

/* How long a storming pin is quiet: enough for the thread that can end the storm to run. */
#define PAUSE_NS (10 * NSEC_PER_MSEC)

struct ost_ioapic {
	raw_spinlock_t lock;
	struct ost_ioapic_model model;
	struct ost_iodev dev;
	struct hrtimer pause;
	struct ost_vm *vm;
};

static int deliver(struct ost_ioapic_model *model, const struct ost_irq_message *msg)
{
	struct ost_ioapic *ioapic = container_of(model, struct ost_ioapic, model);

	return ost_irq_deliver(ioapic->vm, NULL, msg);
}

static void pause_storm(struct ost_ioapic_model *model)
{
	struct ost_ioapic *ioapic = container_of(model, struct ost_ioapic, model);

	hrtimer_start(&ioapic->pause, ns_to_ktime(PAUSE_NS), HRTIMER_MODE_REL_HARD);
}

static enum hrtimer_restart pause_over(struct hrtimer *timer)
{
	struct ost_ioapic *ioapic = container_of(timer, struct ost_ioapic, pause);
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ost_ioapic_model_resume(&ioapic->model);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	return HRTIMER_NORESTART;
}

static int ioapic_read(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, void *val)
{
	struct ost_ioapic *ioapic = container_of(dev, struct ost_ioapic, dev);
	unsigned long flags;
	u64 data;

	if (!ost_chips_in_kernel(ioapic->vm))
		return -EOPNOTSUPP;
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	data = ost_ioapic_model_read(&ioapic->model, addr - OST_IOAPIC_BASE);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	memcpy(val, &data, len);
	return 0;
}

static int ioapic_write(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
			const void *val)
{
	struct ost_ioapic *ioapic = container_of(dev, struct ost_ioapic, dev);
	unsigned long flags;
	u32 data = 0;

	if (!ost_chips_in_kernel(ioapic->vm))
		return -EOPNOTSUPP;
	/*
	 * The registers are 32 bits wide; IOREGSEL's one byte may be written alone (82093AA,
	 * 3.1.1).
	 */
	memcpy(&data, val, min_t(u32, len, sizeof(data)));
	if (len < sizeof(data) && addr != OST_IOAPIC_BASE)
		return 0;
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ost_ioapic_model_write(&ioapic->model, addr - OST_IOAPIC_BASE, data);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	return 0;
}

static const struct ost_iodev_ops ioapic_ops = {
	.read = ioapic_read,
	.write = ioapic_write,
};

int ost_ioapic_create(struct ost_vm *vm)
{
	struct ost_ioapic *ioapic;
	int r;

	if (vm->irqs.ioapic)
		return 0;
	ioapic = kzalloc(sizeof(*ioapic), GFP_KERNEL_ACCOUNT);
	if (!ioapic)
		return -ENOMEM;
	raw_spin_lock_init(&ioapic->lock);
	ioapic->vm = vm;
	ioapic->model.deliver = deliver;
	ioapic->model.pause = pause_storm;
	ioapic->dev.ops = &ioapic_ops;
	ost_hrtimer_setup(&ioapic->pause, pause_over, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	ost_ioapic_model_reset(&ioapic->model);
	r = ost_bus_register(vm, &vm->mmio_bus, OST_IOAPIC_BASE, OST_IOAPIC_LEN, &ioapic->dev);
	if (r) {
		kfree(ioapic);
		return r;
	}
	vm->irqs.ioapic = ioapic;
	return 0;
}

void ost_ioapic_stop(struct ost_vm *vm)
{
	if (vm->irqs.ioapic)
		hrtimer_cancel(&vm->irqs.ioapic->pause);
}

void ost_ioapic_destroy(struct ost_vm *vm)
{
	struct ost_ioapic *ioapic = vm->irqs.ioapic;

	if (!ioapic)
		return;
	ost_ioapic_stop(vm);
	vm->irqs.ioapic = NULL;
	kfree(ioapic);
}

int ost_ioapic_set(struct ost_vm *vm, u32 pin, u32 source, bool level)
{
	struct ost_ioapic *ioapic = vm->irqs.ioapic;
	unsigned long flags;
	int r;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	r = ost_ioapic_model_set(&ioapic->model, pin, source, level);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	return r;
}

void ost_ioapic_eoi(struct ost_vm *vm, u8 vector, bool level)
{
	struct ost_ioapic *ioapic = vm->irqs.ioapic;
	unsigned long flags, pins;
	u32 pin;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	pins = ost_ioapic_model_pins(&ioapic->model, vector);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);

	/* Whoever wants to lower the line does so first, so that it is not sent once more. */
	for_each_set_bit(pin, &pins, KVM_IOAPIC_NUM_PINS)
		ost_irq_ended(vm, KVM_IRQCHIP_IOAPIC, pin);
	if (!level)
		return;
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ost_ioapic_model_eoi(&ioapic->model, vector);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

const struct ost_eoi_vectors *ost_ioapic_eoi_vectors(struct ost_vm *vm)
{
	return &vm->irqs.ioapic->model.eois;
}

void ost_ioapic_get(struct ost_vm *vm, struct kvm_ioapic_state *out)
{
	struct ost_ioapic *ioapic = vm->irqs.ioapic;
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ost_ioapic_model_get(&ioapic->model, out);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

int ost_ioapic_restore(struct ost_vm *vm, const struct kvm_ioapic_state *in)
{
	struct ost_ioapic *ioapic = vm->irqs.ioapic;
	unsigned long flags;
	int r;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	r = ost_ioapic_model_restore(&ioapic->model, in);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	return r;
}
