// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_IRQFD: an eventfd drives a GSI. The interrupt is sent straight from the eventfd's wait queue,
 * in the context of whoever signals it.
 *
 * With a resamplefd the GSI is level-triggered: a signal raises it, the end of the interrupt lowers
 * it and signals the resamplefd, upon which its owner raises it again if the device still asks.
 *
 * Life: an irqfd is on vm->irqs.irqfds from its creation until it is taken down, once, under
 * irqfd_lock: by deassigning, by the VM's release, or by a work item after its eventfd was closed.
 * Being taken down begins with leaving the wait queue, whose lock the callback runs under:
 * afterwards it neither runs nor queues the work. An irqfd whose work was queued before is left to
 * the work, and the VM's release waits for that. So the work needs no reference to the VM.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "chips.h"
#include "../compat.h"
#include "../vm.h"

/*
 * Per VM. An end of an interrupt walks the second kind with preemption off, and every new one walks all
 * of the first.
 */
#define MAX_IRQFDS 4096
#define MAX_RESAMPLERS 256

static struct workqueue_struct *cleanup_wq;

struct irqfd {
	struct list_head link;
	struct list_head resampler;	/* in vm->irqs.resamplers, if resample is set */
	struct ost_vm *vm;
	u32 gsi;
	struct eventfd_ctx *eventfd;
	struct eventfd_ctx *resample;
	wait_queue_entry_t wait;
	poll_table poll;
	bool connected;			/* on the wait queue; guarded by irqfd_lock */
	unsigned long closing;		/* bit 0: the work was queued */
	struct work_struct work;
};

int ost_irqfd_module_init(void)
{
	cleanup_wq = alloc_workqueue(OST_NAME "-irqfd", WQ_UNBOUND, 0);
	return cleanup_wq ? 0 : -ENOMEM;
}

void ost_irqfd_module_exit(void)
{
	destroy_workqueue(cleanup_wq);
}

/* --- signals --- */

static void inject(struct irqfd *irqfd)
{
	if (irqfd->resample) {
		ost_set_gsi(irqfd->vm, OST_IRQ_SOURCE_RESAMPLE, irqfd->gsi, true);
		return;
	}
	ost_set_gsi(irqfd->vm, OST_IRQ_SOURCE_IRQFD, irqfd->gsi, true);
	ost_set_gsi(irqfd->vm, OST_IRQ_SOURCE_IRQFD, irqfd->gsi, false);
}

/* Under the lock of the eventfd's wait queue, interrupts off. */
static int wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		/* The interrupt is what the count was for. */
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		inject(irqfd);
	}
	if (events & EPOLLHUP && !test_and_set_bit(0, &irqfd->closing))
		queue_work(cleanup_wq, &irqfd->work);
	return 0;
}

void ost_irqfd_ended(struct ost_vm *vm, u32 gsi)
{
	struct irqfd *irqfd;
	bool any = false;

	if (list_empty(&vm->irqs.resamplers))
		return;
	rcu_read_lock();
	list_for_each_entry_rcu(irqfd, &vm->irqs.resamplers, resampler)
		any |= irqfd->gsi == gsi;
	if (!any)
		goto out;
	/* Lowered once, before the first owner can raise it again. */
	ost_set_gsi(vm, OST_IRQ_SOURCE_RESAMPLE, gsi, false);
	list_for_each_entry_rcu(irqfd, &vm->irqs.resamplers, resampler)
		if (irqfd->gsi == gsi)
			ost_eventfd_signal(irqfd->resample);
out:
	rcu_read_unlock();
}

/* --- taking down --- */

/*
 * Off the wait queue: true when the caller has to go on with destroy(), false when the work will.
 */
static bool disconnect(struct irqfd *irqfd)
{
	u64 count;

	if (irqfd->connected)
		eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	irqfd->connected = false;
	return !test_bit(0, &irqfd->closing);
}

/* Off the VM's lists and onto `gone`. irqfd_lock held. */
static void unlink(struct irqfd *irqfd, struct list_head *gone)
{
	struct ost_irqs *irqs = &irqfd->vm->irqs;
	struct irqfd *other;
	bool last = true;

	lockdep_assert_held(&irqs->irqfd_lock);
	list_move(&irqfd->link, gone);
	irqs->nr_irqfds--;
	if (!irqfd->resample)
		return;
	irqs->nr_resamplers--;
	list_del_rcu(&irqfd->resampler);
	list_for_each_entry(other, &irqs->resamplers, resampler)
		last &= other->gsi != irqfd->gsi;
	/* Nobody is left who would lower it. */
	if (last)
		ost_set_gsi(irqfd->vm, OST_IRQ_SOURCE_RESAMPLE, irqfd->gsi, false);
}

/* Frees what was unlinked. May sleep. */
static void free_gone(struct list_head *gone)
{
	struct irqfd *irqfd, *next;
	bool resamplers = false;

	list_for_each_entry(irqfd, gone, link)
		resamplers |= irqfd->resample != NULL;
	/* One wait for all of them: closing a VM does not take longer the more it had. */
	if (resamplers)
		synchronize_rcu();
	list_for_each_entry_safe(irqfd, next, gone, link) {
		if (irqfd->resample)
			eventfd_ctx_put(irqfd->resample);
		eventfd_ctx_put(irqfd->eventfd);
		kfree(irqfd);
	}
}

static void cleanup(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, work);
	struct ost_vm *vm = irqfd->vm;
	LIST_HEAD(gone);

	mutex_lock(&vm->irqs.irqfd_lock);
	disconnect(irqfd);
	unlink(irqfd, &gone);
	mutex_unlock(&vm->irqs.irqfd_lock);
	free_gone(&gone);
}

void ost_irqs_release_irqfds(struct ost_vm *vm)
{
	struct irqfd *irqfd, *next;
	LIST_HEAD(gone);

	mutex_lock(&vm->irqs.irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &vm->irqs.irqfds, link)
		if (disconnect(irqfd))
			unlink(irqfd, &gone);
	mutex_unlock(&vm->irqs.irqfd_lock);
	free_gone(&gone);
	flush_workqueue(cleanup_wq);
}

/* --- KVM_IRQFD --- */

static int deassign(struct ost_vm *vm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(args->fd);
	struct irqfd *irqfd, *next;
	LIST_HEAD(gone);

	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	mutex_lock(&vm->irqs.irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &vm->irqs.irqfds, link)
		if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi && disconnect(irqfd))
			unlink(irqfd, &gone);
	mutex_unlock(&vm->irqs.irqfd_lock);
	free_gone(&gone);
	eventfd_ctx_put(eventfd);
	return 0;
}

/* vfs_poll() hands over the eventfd's wait queue. */
static void join_queue(struct file *file, wait_queue_head_t *queue, poll_table *poll)
{
	add_wait_queue(queue, &container_of(poll, struct irqfd, poll)->wait);
}

/* Is there room for one more? 0 or -ENOSPC. irqfd_lock held. */
static int check_limits(const struct ost_irqs *irqs, const struct irqfd *irqfd)
{
	if (irqs->nr_irqfds >= MAX_IRQFDS)
		return -ENOSPC;
	return irqfd->resample && irqs->nr_resamplers >= MAX_RESAMPLERS ? -ENOSPC : 0;
}

static bool in_use(struct ost_vm *vm, struct eventfd_ctx *eventfd)
{
	struct irqfd *irqfd;

	list_for_each_entry(irqfd, &vm->irqs.irqfds, link)
		if (irqfd->eventfd == eventfd)
			return true;
	return false;
}

/*
 * Takes over the references to the eventfds. irqfd_lock held: a cleanup that starts at once waits
 * for it.
 */
static void connect(struct ost_vm *vm, struct irqfd *irqfd, struct file *file)
{
	list_add_tail(&irqfd->link, &vm->irqs.irqfds);
	vm->irqs.nr_irqfds++;
	vm->irqs.nr_resamplers += irqfd->resample != NULL;
	if (irqfd->resample)
		list_add_tail_rcu(&irqfd->resampler, &vm->irqs.resamplers);
	init_waitqueue_func_entry(&irqfd->wait, wakeup);
	init_poll_funcptr(&irqfd->poll, join_queue);
	irqfd->connected = true;
	/* It was signalled before there was anyone to hear it. */
	if (vfs_poll(file, &irqfd->poll) & EPOLLIN)
		inject(irqfd);
}

static int assign(struct ost_vm *vm, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd;
	struct file *file;
	int r = 0;

	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	irqfd->vm = vm;
	irqfd->gsi = args->gsi;
	INIT_WORK(&irqfd->work, cleanup);
	file = fget(args->fd);
	if (!file) {
		r = -EBADF;
		goto err_free;
	}
	irqfd->eventfd = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->eventfd)) {
		r = PTR_ERR(irqfd->eventfd);
		goto err_file;
	}
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		irqfd->resample = eventfd_ctx_fdget(args->resamplefd);
		if (IS_ERR(irqfd->resample)) {
			r = PTR_ERR(irqfd->resample);
			goto err_eventfd;
		}
	}
	mutex_lock(&vm->irqs.irqfd_lock);
	/* One reader empties the eventfd: two would take each other's signals. */
	r = in_use(vm, irqfd->eventfd) ? -EBUSY : check_limits(&vm->irqs, irqfd);
	if (!r)
		connect(vm, irqfd, file);
	mutex_unlock(&vm->irqs.irqfd_lock);
	if (r)
		goto err_resample;
	fput(file);
	return 0;

err_resample:
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
err_eventfd:
	eventfd_ctx_put(irqfd->eventfd);
err_file:
	fput(file);
err_free:
	kfree(irqfd);
	return r;
}

int ost_irqfd(struct ost_vm *vm, const struct kvm_irqfd *args)
{
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	/* Its end is heard of by chips that are in the kernel. */
	if ((args->flags & KVM_IRQFD_FLAG_RESAMPLE) && !ost_chips_in_kernel(vm))
		return -EINVAL;
	if (!ost_irqchip_in_kernel(vm) || args->gsi >= OST_MAX_GSI_ROUTES)
		return -EINVAL;
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return deassign(vm, args);
	return assign(vm, args);
}
