// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_IOEVENTFD: a guest's write to a port or an address signals an eventfd and the guest goes on,
 * without a way through userspace.
 */
#include <linux/eventfd.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include "compat.h"
#include "io.h"
#include "vcpu.h"
#include "vm.h"

struct ioeventfd {
	struct ost_iodev dev;
	struct list_head link;	/* in vm->ioeventfds, guarded by vm->lock */
	struct rcu_head rcu;
	struct eventfd_ctx *eventfd;
	struct ost_bus *bus;
	u64 addr;
	u32 len;		/* 0: any length */
	u64 datamatch;
	bool has_datamatch;
};

static int ioeventfd_read(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
			  void *val)
{
	return -EOPNOTSUPP;
}

static u64 value_of(const void *val, u32 len)
{
	switch (len) {
	case 1:
		return *(const u8 *)val;
	case 2:
		return *(const u16 *)val;
	case 4:
		return *(const u32 *)val;
	case 8:
		return *(const u64 *)val;
	}
	return 0;
}

static int ioeventfd_write(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len,
			   const void *val)
{
	struct ioeventfd *p = container_of(dev, struct ioeventfd, dev);

	if (addr != p->addr)
		return -EOPNOTSUPP;
	if (p->len && (len != p->len || (p->has_datamatch && value_of(val, len) != p->datamatch)))
		return -EOPNOTSUPP;
	ost_eventfd_signal(p->eventfd);
	return 0;
}

static const struct ost_iodev_ops ioeventfd_ops = {
	.read = ioeventfd_read,
	.write = ioeventfd_write,
};

static void free_ioeventfd(struct rcu_head *rcu)
{
	struct ioeventfd *p = container_of(rcu, struct ioeventfd, rcu);

	eventfd_ctx_put(p->eventfd);
	kfree(p);
}

/* Would the two be signalled by one and the same write? */
static bool collides(const struct ioeventfd *a, const struct ioeventfd *b)
{
	if (a->bus != b->bus || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	return a->len == b->len &&
	       (!a->has_datamatch || !b->has_datamatch || a->datamatch == b->datamatch);
}

static bool same(const struct ioeventfd *a, const struct ioeventfd *b)
{
	return a->bus == b->bus && a->eventfd == b->eventfd && a->addr == b->addr &&
	       a->len == b->len && a->has_datamatch == b->has_datamatch &&
	       (!a->has_datamatch || a->datamatch == b->datamatch);
}

static int assign(struct ost_vm *vm, struct ioeventfd *p)
{
	struct ioeventfd *other;
	int r;

	list_for_each_entry(other, &vm->ioeventfds, link)
		if (collides(p, other))
			return -EEXIST;
	r = ost_bus_register(vm, p->bus, p->addr, p->len, &p->dev);
	if (!r)
		list_add_tail(&p->link, &vm->ioeventfds);
	return r;
}

static int deassign(struct ost_vm *vm, const struct ioeventfd *what)
{
	struct ioeventfd *p;
	int r;

	list_for_each_entry(p, &vm->ioeventfds, link) {
		if (!same(p, what))
			continue;
		r = ost_bus_unregister(vm, p->bus, &p->dev);
		if (r)
			return r;
		list_del(&p->link);
		ost_vm_retire(vm, &p->rcu, free_ioeventfd);
		return 0;
	}
	return -ENOENT;
}

static int check(const struct kvm_ioeventfd *args)
{
	if (args->flags & ~(u32)(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
				 KVM_IOEVENTFD_FLAG_DEASSIGN))
		return -EINVAL;
	switch (args->len) {
	case 0:
		/* There is no value to compare when the length is not known. */
		if (args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
			return -EINVAL;
		break;
	case 1:
	case 2:
	case 4:
	case 8:
		break;
	default:
		return -EINVAL;
	}
	if (args->addr + args->len < args->addr)
		return -EINVAL;
	return 0;
}

int ost_ioeventfd(struct ost_vm *vm, const struct kvm_ioeventfd *args)
{
	struct eventfd_ctx *eventfd;
	struct ioeventfd *p;
	int r = check(args);

	if (r)
		return r;
	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	r = -ENOMEM;
	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		goto err_eventfd;
	p->dev.ops = &ioeventfd_ops;
	p->eventfd = eventfd;
	p->bus = args->flags & KVM_IOEVENTFD_FLAG_PIO ? &vm->pio_bus : &vm->mmio_bus;
	p->addr = args->addr;
	p->len = args->len;
	p->has_datamatch = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;
	p->datamatch = args->datamatch;

	mutex_lock(&vm->lock);
	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		r = deassign(vm, p);
	else
		r = assign(vm, p);
	mutex_unlock(&vm->lock);
	if (!r && !(args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN))
		return 0;
	kfree(p);
err_eventfd:
	eventfd_ctx_put(eventfd);
	return r;
}

void ost_ioeventfd_release(struct ost_vm *vm)
{
	struct ioeventfd *p, *next;

	list_for_each_entry_safe(p, next, &vm->ioeventfds, link) {
		list_del(&p->link);
		free_ioeventfd(&p->rcu);
	}
}
