// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices of the host's in a guest (vfio.h). VFIO does all of it by its own files: IOMMU, interrupts, which come by
 * irqfds, and the devices' memory, which is mapped like other memory of the VMM's (mmu/fault.c). It may not be loaded,
 * so that its functions are looked for when they are needed. They are not told of the VM: what they would do with that
 * is the stock module's.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <asm/special_insns.h>
#include "compat.h"
#include "ioctl.h"
#include "vcpu.h"
#include "vfio.h"
#include "vm.h"

struct ost_device {
	struct ost_vm *vm;
	struct mutex lock;
	struct list_head files;		/* guarded by lock */
};

struct ost_device_file {
	struct list_head link;
	struct file *file;
};

static bool is_vfio(struct file *file)
{
	bool (*fn)(struct file *file) = symbol_get(OST_VFIO_IS_VALID);
	bool yes;

	if (!fn)
		return false;
	yes = fn(file);
	symbol_put(OST_VFIO_IS_VALID);
	return yes;
}

static bool sees_caches(struct file *file)
{
	bool (*fn)(struct file *file) = symbol_get(vfio_file_enforced_coherent);
	bool yes;

	if (!fn)
		return false;
	yes = fn(file);
	symbol_put(vfio_file_enforced_coherent);
	return yes;
}

/* After a change of the files. device->lock is held, or nobody else has the device. */
static void update_coherence(struct ost_device *device)
{
	struct ost_vm *vm = device->vm;
	struct ost_device_file *f;
	bool noncoherent = false;

	list_for_each_entry(f, &device->files, link)
		noncoherent |= !sees_caches(f->file);
	if (noncoherent == vm->vfio.noncoherent)
		return;
	/* Nobody has noted where vCPUs have been until now. */
	mutex_lock(&vm->vfio.lock);
	cpumask_setall(vm->vfio.cpus);
	mutex_unlock(&vm->vfio.lock);
	/* The mask is there and set by then for those who look at it. */
	smp_store_release(&vm->vfio.noncoherent, noncoherent);
	ost_mmu_set_guest_types(vm, noncoherent);
}

static struct ost_device_file *find(struct ost_device *device, struct file *file)
{
	struct ost_device_file *f;

	list_for_each_entry(f, &device->files, link)
		if (f->file == file)
			return f;
	return NULL;
}

static void drop(struct ost_device_file *f)
{
	list_del(&f->link);
	fput(f->file);
	kfree(f);
}

static int add(struct ost_device *device, struct file *file)
{
	struct ost_device_file *f;

	if (!is_vfio(file))
		return -EINVAL;
	if (find(device, file))
		return -EEXIST;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->file = get_file(file);
	list_add_tail(&f->link, &device->files);
	update_coherence(device);
	return 0;
}

static int del(struct ost_device *device, struct file *file)
{
	struct ost_device_file *f = find(device, file);

	if (!f)
		return -ENOENT;
	drop(f);
	update_coherence(device);
	return 0;
}

static int has_attr(void *obj, void *arg)
{
	const struct kvm_device_attr *attr = arg;

	if (attr->flags)
		return -EINVAL;
	if (attr->group != KVM_DEV_VFIO_GROUP)
		return -ENXIO;
	return attr->attr == KVM_DEV_VFIO_GROUP_ADD || attr->attr == KVM_DEV_VFIO_GROUP_DEL ? 0 : -ENXIO;
}

static int set_attr(void *obj, void *arg)
{
	const struct kvm_device_attr *attr = arg;
	struct ost_device *device = obj;
	struct file *file;
	int r = has_attr(obj, arg);
	s32 fd;

	if (r)
		return r;
	if (get_user(fd, (s32 __user *)attr->addr))
		return -EFAULT;
	file = fget(fd);
	if (!file)
		return -EBADF;
	mutex_lock(&device->lock);
	r = attr->attr == KVM_DEV_VFIO_GROUP_ADD ? add(device, file) : del(device, file);
	mutex_unlock(&device->lock);
	fput(file);
	return r;
}

/* Nothing of it can be read. */
static int get_attr(void *obj, void *arg)
{
	return -EPERM;
}

static const struct ost_ioctl device_ioctls[] = {
	{ .cmd = KVM_SET_DEVICE_ATTR, .copy = OST_IN, .fn = set_attr },
	{ .cmd = KVM_GET_DEVICE_ATTR, .copy = OST_IN, .fn = get_attr },
	{ .cmd = KVM_HAS_DEVICE_ATTR, .copy = OST_IN, .fn = has_attr },
};

static struct ost_ioctl_table device_table = {
	.rows = device_ioctls,
	.nr = ARRAY_SIZE(device_ioctls),
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ost_device *device = file->private_data;

	if (device->vm->mm != current->mm || READ_ONCE(device->vm->dead))
		return -EIO;
	return ost_ioctl(&device_table, device, cmd, arg);
}

static int device_release(struct inode *inode, struct file *file)
{
	struct ost_device *device = file->private_data;
	struct ost_vm *vm = device->vm;
	struct ost_device_file *f, *next;

	list_for_each_entry_safe(f, next, &device->files, link)
		drop(f);
	update_coherence(device);
	mutex_lock(&vm->lock);
	vm->vfio.created = false;
	mutex_unlock(&vm->lock);
	kfree(device);
	ost_vm_put(vm);
	return 0;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.llseek = noop_llseek,
};

/* The new fd. vm->lock held. */
static int make_device(struct ost_vm *vm)
{
	struct ost_vm_vfio *vfio = &vm->vfio;
	struct ost_device *device;
	struct file *file;
	int fd, r;

	lockdep_assert_held(&vm->lock);
	if (vfio->created)
		return -EBUSY;
	/* They stay until the VM ends. */
	if (!cpumask_available(vfio->cpus) && !zalloc_cpumask_var(&vfio->cpus, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	if (!cpumask_available(vfio->flushing) && !zalloc_cpumask_var(&vfio->flushing, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);
	if (!device)
		return -ENOMEM;
	device->vm = vm;
	mutex_init(&device->lock);
	INIT_LIST_HEAD(&device->files);
	fd = r = get_unused_fd_flags(O_CLOEXEC);
	if (r < 0)
		goto err_free;
	file = anon_inode_getfile(OST_NAME "-vfio", &device_fops, device, O_RDWR);
	if (IS_ERR(file)) {
		r = PTR_ERR(file);
		goto err_fd;
	}
	ost_vm_get(vm);
	vfio->created = true;
	fd_install(fd, file);
	return fd;

err_fd:
	put_unused_fd(fd);
err_free:
	kfree(device);
	return r;
}

int ost_create_device(struct ost_vm *vm, struct kvm_create_device *cd)
{
	int r;

	if (cd->type != KVM_DEV_TYPE_VFIO)
		return -ENODEV;
	if (cd->flags & ~KVM_CREATE_DEVICE_TEST)
		return -EINVAL;
	if (cd->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	mutex_lock(&vm->lock);
	r = make_device(vm);
	mutex_unlock(&vm->lock);
	if (r < 0)
		return r;
	cd->fd = r;
	return 0;
}

/* --- caches --- */

static void write_back(void *unused)
{
	wbinvd();
}

void ost_vfio_wbinvd(struct ost_vcpu *vcpu)
{
	struct ost_vm_vfio *vfio = &vcpu->vm->vfio;
	struct ost_vcpu *other;
	int cpu;
	u32 i;

	if (likely(!smp_load_acquire(&vfio->noncoherent)))
		return;
	ost_vcpu_preemptible(vcpu);
	if (mutex_lock_killable(&vfio->lock))
		return;
	cpumask_clear(vfio->flushing);
	for_each_cpu(cpu, vfio->cpus)
		if (cpumask_test_and_clear_cpu(cpu, vfio->cpus))
			cpumask_set_cpu(cpu, vfio->flushing);
	/*
	 * A vCPU notes that it is loaded, and where, before it sets its CPU's bit: whose bit was cleared is seen here, if
	 * it still is there; if it has left, what it wrote is written back below.
	 */
	ost_for_each_vcpu(i, other, vcpu->vm)
		if (READ_ONCE(other->loaded))
			cpumask_set_cpu(READ_ONCE(other->cpu), vfio->cpus);
	on_each_cpu_mask(vfio->flushing, write_back, NULL, true);
	mutex_unlock(&vfio->lock);
}

void ost_vfio_init(struct ost_vm *vm)
{
	mutex_init(&vm->vfio.lock);
}

void ost_vfio_destroy(struct ost_vm *vm)
{
	free_cpumask_var(vm->vfio.cpus);
	free_cpumask_var(vm->vfio.flushing);
}

void __init ost_vfio_init_ioctls(void)
{
	ost_ioctl_table_init(&device_table);
}
