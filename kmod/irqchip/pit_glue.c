// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PIT model in its VM: lock, buses, the timer of channel 0 and its interrupts on GSI 0.
 *
 * A guest that counts PIT interrupts to keep time loses time when one is still pending while the
 * next comes. With reinjection (the ABI's default) a tick is sent only after the end of the one
 * before it, and those that are due meanwhile wait.
 */
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "chips.h"
#include "pit.h"
#include "../compat.h"
#include "../io.h"
#include "../vm.h"

/* As for the LAPIC's timer: no guest keeps the host in its timer interrupt. */
#define MIN_PERIOD_NS 200000
/* More ticks than this are not made up for: about ten seconds at 100 Hz. */
#define MAX_WAITING 1000
/* A tick whose end did not come in so long has been lost with a reset of what it went to. */
#define LOST_NS NSEC_PER_SEC

struct ost_pit {
	raw_spinlock_t lock;
	struct ost_pit_model model;
	struct ost_iodev dev, speaker_dev;
	struct ost_vm *vm;
	struct hrtimer timer;
	u64 expires_ns;		/* when the timer is to fire; 0: it is not */
	u32 flags;		/* KVM_PIT_FLAGS_HPET_LEGACY */
	bool ready;		/* KVM_CREATE_PIT2 was done [smp_load_acquire] */
	bool on_bus;
	bool reinject;
	bool sent;		/* a tick was sent whose end has not come */
	u64 sent_ns;
	u32 waiting;		/* ticks that are due */
};

/* NULL until KVM_CREATE_PIT2 was done. */
static struct ost_pit *pit_of(struct ost_vm *vm)
{
	struct ost_pit *pit = READ_ONCE(vm->irqs.pit);

	/* Pairs with the release in ost_pit_create(): who sees it finds it whole. */
	return pit && smp_load_acquire(&pit->ready) ? pit : NULL;
}

/* Under the lock: may a tick go out now? Then the caller sends it without the lock. */
static bool take_tick(struct ost_pit *pit, u64 now_ns)
{
	if (!pit->waiting || (pit->sent && now_ns - pit->sent_ns < LOST_NS))
		return false;
	pit->waiting--;
	pit->sent = true;
	pit->sent_ns = now_ns;
	return true;
}

static void send_tick(struct ost_pit *pit)
{
	unsigned long flags;
	int r;

	r = ost_set_gsi(pit->vm, OST_IRQ_SOURCE_PIT, 0, true);
	ost_set_gsi(pit->vm, OST_IRQ_SOURCE_PIT, 0, false);
	if (r > 0)
		return;
	/*
	 * Masked or merged with another: its end won't come. What falls while it is masked is not
	 * made up for; what merged waits for the next tick to try.
	 */
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->sent = false;
	if (r < 0)
		pit->waiting = 0;
	else if (pit->reinject)
		pit->waiting = min_t(u32, MAX_WAITING, pit->waiting + 1);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

void ost_pit_ended(struct ost_vm *vm)
{
	struct ost_pit *pit = pit_of(vm);
	unsigned long flags;
	bool send = false;

	if (!pit || !READ_ONCE(pit->sent))
		return;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->sent = false;
	if (pit->reinject)
		send = take_tick(pit, ktime_get_ns());
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (send)
		send_tick(pit);
}

/* Ticks that were due from expires_ns until now, when the host was late. */
static u32 ticks_due(struct ost_pit *pit, u64 now_ns)
{
	const struct ost_pit_channel *ch = &pit->model.channel[0];
	u64 period_ns;

	if (ch->state.mode != 2 && ch->state.mode != 3)
		return 1;
	period_ns = max_t(u64, (u64)ch->state.count * NSEC_PER_SEC / OST_PIT_HZ, MIN_PERIOD_NS);
	return min_t(u64, MAX_WAITING, 1 + (now_ns - pit->expires_ns) / period_ns);
}

static enum hrtimer_restart timer_fn(struct hrtimer *timer)
{
	struct ost_pit *pit = container_of(timer, struct ost_pit, timer);
	u64 now_ns = ktime_get_ns(), next_ns = 0;
	unsigned long flags;
	bool send = false;

	raw_spin_lock_irqsave(&pit->lock, flags);
	/*
	 * Between its firing and here it may have been stopped, or set anew: then it fires again.
	 */
	if (!pit->expires_ns || now_ns < pit->expires_ns || hrtimer_is_queued(timer))
		goto out;
	if (pit->reinject) {
		pit->waiting = min_t(u32, MAX_WAITING, pit->waiting + ticks_due(pit, now_ns));
		send = take_tick(pit, now_ns);
	} else {
		send = true;
	}
	next_ns = ost_pit_model_next_irq_ns(&pit->model, now_ns);
	if (next_ns)
		next_ns = max(next_ns, pit->expires_ns + MIN_PERIOD_NS);
	pit->expires_ns = next_ns;
	if (next_ns)
		hrtimer_set_expires(timer, ns_to_ktime(next_ns));
out:
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (send)
		send_tick(pit);
	return next_ns ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

/* Under the lock: channel 0 was programmed. */
static void restart_timer(struct ost_pit *pit, u64 now_ns)
{
	pit->model.irq_changed = false;
	pit->waiting = 0;
	pit->sent = false;
	pit->expires_ns = 0;
	if (!(pit->flags & KVM_PIT_FLAGS_HPET_LEGACY))
		pit->expires_ns = ost_pit_model_next_irq_ns(&pit->model, now_ns);
	if (pit->expires_ns)
		hrtimer_start(&pit->timer, ns_to_ktime(pit->expires_ns), HRTIMER_MODE_ABS_HARD);
	else
		/* One whose function is about to run finds expires_ns 0. */
		hrtimer_try_to_cancel(&pit->timer);
}

static int pit_read(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, void *val)
{
	struct ost_pit *pit = container_of(dev, struct ost_pit, dev);
	u64 now_ns = ktime_get_ns();
	unsigned long flags;
	u8 *bytes = val;
	u32 i;

	if (!pit_of(pit->vm))
		return -EOPNOTSUPP;
	raw_spin_lock_irqsave(&pit->lock, flags);
	for (i = 0; i < len; i++)
		bytes[i] = ost_pit_model_read(&pit->model, addr + i, now_ns);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static int pit_write(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
		     const void *val)
{
	struct ost_pit *pit = container_of(dev, struct ost_pit, dev);
	u64 now_ns = ktime_get_ns();
	const u8 *bytes = val;
	unsigned long flags;
	u32 i;

	if (!pit_of(pit->vm))
		return -EOPNOTSUPP;
	raw_spin_lock_irqsave(&pit->lock, flags);
	for (i = 0; i < len; i++)
		ost_pit_model_write(&pit->model, addr + i, bytes[i], now_ns);
	if (pit->model.irq_changed)
		restart_timer(pit, now_ns);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static const struct ost_iodev_ops pit_ops = {
	.read = pit_read,
	.write = pit_write,
};

static int speaker_read(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, void *val)
{
	struct ost_pit *pit = container_of(dev, struct ost_pit, speaker_dev);
	unsigned long flags;

	raw_spin_lock_irqsave(&pit->lock, flags);
	*(u8 *)val = ost_pit_model_read_speaker(&pit->model, ktime_get_ns());
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static int speaker_write(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
			 const void *val)
{
	struct ost_pit *pit = container_of(dev, struct ost_pit, speaker_dev);
	unsigned long flags;

	raw_spin_lock_irqsave(&pit->lock, flags);
	ost_pit_model_write_speaker(&pit->model, *(const u8 *)val, ktime_get_ns());
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static const struct ost_iodev_ops speaker_ops = {
	.read = speaker_read,
	.write = speaker_write,
};

static struct ost_pit *pit_alloc(struct ost_vm *vm)
{
	struct ost_pit *pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);

	if (!pit)
		return NULL;
	raw_spin_lock_init(&pit->lock);
	pit->vm = vm;
	pit->reinject = true;
	pit->dev.ops = &pit_ops;
	pit->speaker_dev.ops = &speaker_ops;
	ost_pit_model_reset(&pit->model);
	ost_hrtimer_setup(&pit->timer, timer_fn, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	return pit;
}

int ost_pit_create(struct ost_vm *vm, const struct kvm_pit_config *config)
{
	struct ost_pit *pit;
	int r;

	lockdep_assert_held(&vm->lock);
	if (config->flags & ~KVM_PIT_SPEAKER_DUMMY)
		return -EINVAL;
	if (!ost_chips_in_kernel(vm))
		return -ENOENT;
	if (pit_of(vm))
		return -EEXIST;
	/*
	 * What a failed attempt got done stays, without effect: taking it off the bus could fail,
	 * too.
	 */
	pit = vm->irqs.pit ?: pit_alloc(vm);
	if (!pit)
		return -ENOMEM;
	WRITE_ONCE(vm->irqs.pit, pit);
	if (!pit->on_bus) {
		r = ost_bus_register(vm, &vm->pio_bus, 0x40, 4, &pit->dev);
		if (r)
			return r;
		pit->on_bus = true;
	}
	if (config->flags & KVM_PIT_SPEAKER_DUMMY) {
		r = ost_bus_register(vm, &vm->pio_bus, 0x61, 1, &pit->speaker_dev);
		if (r)
			return r;
	}
	smp_store_release(&pit->ready, true);
	return 0;
}

void ost_pit_destroy(struct ost_vm *vm)
{
	struct ost_pit *pit = vm->irqs.pit;

	if (!pit)
		return;
	/* No vCPU runs any more, so nobody starts it again. */
	hrtimer_cancel(&pit->timer);
	vm->irqs.pit = NULL;
	kfree(pit);
}

int ost_pit_get(struct ost_vm *vm, struct kvm_pit_state2 *out)
{
	struct ost_pit *pit = pit_of(vm);
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	raw_spin_lock_irqsave(&pit->lock, flags);
	ost_pit_model_get(&pit->model, out);
	out->flags |= pit->flags;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

int ost_pit_set(struct ost_vm *vm, const struct kvm_pit_state2 *in)
{
	u64 now_ns = ktime_get_ns();
	struct ost_pit *pit = pit_of(vm);
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	if (in->flags & ~(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON))
		return -EINVAL;
	raw_spin_lock_irqsave(&pit->lock, flags);
	ost_pit_model_restore(&pit->model, in, now_ns);
	pit->flags = in->flags & KVM_PIT_FLAGS_HPET_LEGACY;
	restart_timer(pit, now_ns);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

int ost_pit_reinject(struct ost_vm *vm, const struct kvm_reinject_control *control)
{
	struct ost_pit *pit = pit_of(vm);
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	raw_spin_lock_irqsave(&pit->lock, flags);
	pit->reinject = control->pit_reinject;
	pit->waiting = 0;
	pit->sent = false;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}
