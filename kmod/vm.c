// SPDX-License-Identifier: GPL-2.0-only
/* The VM object: its life and the ioctls of its file descriptor. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "backend.h"
#include "compat_kvm.h"
#include "enable_cap.h"
#include "hw.h"
#include "ioctl.h"
#include "mmu/dirty_ring.h"
#include "msr_filter.h"
#include "system.h"
#include "vcpu.h"
#include "vm.h"

/* This many of ost_vm_retire()'s objects of a VM wait for a grace period at once. */
#define MAX_RETIRED 64

static atomic64_t next_id = ATOMIC64_INIT(0);

static void free_arrays(struct ost_vm *vm)
{
	struct ost_vcpu_array *array, *older;

	for (array = vm->arrays; array; array = older) {
		older = array->older;
		kvfree(array);
	}
}

int ost_vm_reserve_vcpu(struct ost_vm *vm)
{
	struct ost_vcpu_array *array;
	u32 max;

	lockdep_assert_held(&vm->lock);
	if (vm->nr_vcpus < vm->max_vcpus)
		return 0;
	/* Eight times as many each time: what stays behind is small beside the newest. */
	max = min(vm->max_vcpus * 8, OST_MAX_VCPUS);
	array = kvzalloc(struct_size(array, vcpus, max), GFP_KERNEL_ACCOUNT);
	if (!array)
		return -ENOMEM;
	memcpy(array->vcpus, vm->vcpus, vm->nr_vcpus * sizeof(array->vcpus[0]));
	array->older = vm->arrays;
	vm->arrays = array;
	vm->max_vcpus = max;
	/* Pairs with the dependency in ost_vcpu_at(): who finds the array finds the vCPUs in it. */
	smp_store_release(&vm->vcpus, array->vcpus);
	return 0;
}

u32 ost_vm_max_vcpu_ids(struct ost_vm *vm)
{
	lockdep_assert_held(&vm->lock);
	return vm->max_vcpu_ids ?: OST_MAX_VCPU_IDS;
}

int ost_vm_cap_max_vcpu_id(struct ost_vm *vm, const u64 *args)
{
	int r = -EINVAL;

	if (args[0] > OST_MAX_VCPU_IDS)
		return -EINVAL;
	mutex_lock(&vm->lock);
	/* The first vCPU settles it, and there has to be one to boot. */
	if (args[0] && vm->irqs.boot_vcpu_id > args[0])
		r = -EINVAL;
	else if (vm->nr_creating ? args[0] == ost_vm_max_vcpu_ids(vm) :
			      !vm->max_vcpu_ids || args[0] == vm->max_vcpu_ids) {
		if (!vm->nr_creating)
			vm->max_vcpu_ids = args[0];
		r = 0;
	}
	mutex_unlock(&vm->lock);
	return r;
}

static void vm_free(struct ost_vm *vm)
{
	u32 i;

	ost_stats_remove_vm(vm);
	ost_clock_vm_destroy(vm);
	/* What reaches vCPUs from outside ends before they do. */
	ost_irqs_release_irqfds(vm);
	ost_mmu_destroy(vm);
	ost_irqs_destroy(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		ost_vcpu_destroy(vm->vcpus[i]);
	free_arrays(vm);
	ost_ioeventfd_release(vm);
	ost_coalesced_destroy(vm);
	ost_bus_destroy(&vm->pio_bus);
	ost_bus_destroy(&vm->mmio_bus);
	ost_msr_filter_destroy(vm);
	ost_vfio_destroy(vm);
	ost_backend->vm_destroy(vm);
	srcu_barrier(&vm->srcu);
	cleanup_srcu_struct(&vm->srcu);
	mmdrop(vm->mm);
	kvfree(vm);
	ost_hw_put();
}

void ost_vm_get(struct ost_vm *vm)
{
	refcount_inc(&vm->refs);
}

void ost_vm_put(struct ost_vm *vm)
{
	if (refcount_dec_and_test(&vm->refs))
		vm_free(vm);
}

void ost_vm_retire(struct ost_vm *vm, struct rcu_head *head, rcu_callback_t func)
{
	call_srcu(&vm->srcu, head, func);
	if (!(atomic_inc_return(&vm->nr_retired) % MAX_RETIRED))
		synchronize_srcu_expedited(&vm->srcu);
}

void ost_vm_kill(struct ost_vm *vm)
{
	struct ost_vcpu *vcpu;
	u32 i;

	WRITE_ONCE(vm->dead, true);
	ost_for_each_vcpu(i, vcpu, vm) {
		ost_request(vcpu, OST_REQ_VM_DEAD);
		ost_vcpu_kick(vcpu);
	}
}

struct ost_vcpu *ost_vcpu_by_id(struct ost_vm *vm, u32 id)
{
	struct ost_vcpu *vcpu;
	u32 i, nr;

	/* VMMs number vCPUs from 0 on, so the index is nearly always the id. */
	nr = ost_nr_vcpus(vm);
	if (id < nr) {
		vcpu = ost_vcpu_at(vm, array_index_nospec(id, nr));
		if (vcpu->id == id)
			return vcpu;
	}
	ost_for_each_vcpu(i, vcpu, vm)
		if (vcpu->id == id)
			return vcpu;
	return NULL;
}

static int vm_release(struct inode *inode, struct file *file)
{
	struct ost_vm *vm = file->private_data;

	/* An irqfd holds an eventfd, not the VM: nobody could take it off any more. */
	ost_irqs_release_irqfds(vm);
	ost_vm_put(vm);
	return 0;
}

static long vm_check_extension(void *vm, unsigned long arg)
{
	return ost_check_extension(vm, arg);
}

static long vm_create_vcpu(void *vm, unsigned long arg)
{
	return arg < OST_MAX_VCPU_IDS ? ost_vcpu_create(vm, arg) : -EINVAL;
}

static int vm_set_region(void *vm, void *arg)
{
	return ost_mmu_set_region(vm, arg);
}

static int vm_set_region2(void *vm, void *arg)
{
	const struct kvm_userspace_memory_region2 *from = arg;
	/*
	 * What follows these belongs to a flag that there is not, and is not looked at: VMMs leave it as it was on
	 * their stack.
	 */
	struct kvm_userspace_memory_region region = {
		.slot = from->slot,
		.flags = from->flags,
		.guest_phys_addr = from->guest_phys_addr,
		.memory_size = from->memory_size,
		.userspace_addr = from->userspace_addr,
	};

	return ost_mmu_set_region(vm, &region);
}

static long vm_set_nr_mmu_pages(void *vm, unsigned long arg)
{
	return ost_mmu_set_nr_pages(vm, arg);
}

static long vm_get_nr_mmu_pages(void *obj, unsigned long arg)
{
	struct ost_vm *vm = obj;

	/* The ABI's answer is an int. */
	return min_t(unsigned long, READ_ONCE(vm->mmu.max_tables), INT_MAX);
}

static int vm_get_dirty_log(void *vm, void *arg)
{
	return ost_mmu_get_dirty_log(vm, arg);
}

static int vm_clear_dirty_log(void *vm, void *arg)
{
	return ost_mmu_clear_dirty_log(vm, arg);
}

static long vm_reset_dirty_rings(void *vm, unsigned long arg)
{
	return ost_dirty_rings_reset(vm);
}

static long vm_set_tss_addr(void *obj, unsigned long arg)
{
	struct ost_vm *vm = obj;

	/* Three pages, below 4 GiB. Only VT-x without unrestricted guest would use them. */
	if (arg > (u32)(-3 * PAGE_SIZE))
		return -EINVAL;
	mutex_lock(&vm->lock);
	vm->tss_addr = arg;
	mutex_unlock(&vm->lock);
	return 0;
}

static int vm_set_identity_map_addr(void *obj, void *arg)
{
	struct ost_vm *vm = obj;
	int r = -EINVAL;

	mutex_lock(&vm->lock);
	if (!vm->nr_creating) {
		/* 0 asks for the default address. */
		vm->identity_map_addr = *(u64 *)arg ?: 0xfffbc000;
		r = 0;
	}
	mutex_unlock(&vm->lock);
	return r;
}

static long vm_set_boot_cpu_id(void *obj, unsigned long arg)
{
	struct ost_vm *vm = obj;
	int r = -EBUSY;

	mutex_lock(&vm->lock);
	if (!vm->nr_creating) {
		r = arg < ost_vm_max_vcpu_ids(vm) ? 0 : -EINVAL;
		if (!r)
			vm->irqs.boot_vcpu_id = arg;
	}
	mutex_unlock(&vm->lock);
	return r;
}

static long vm_create_irqchip(void *obj, unsigned long arg)
{
	struct ost_vm *vm = obj;
	int r;

	mutex_lock(&vm->lock);
	r = ost_irqchip_create(vm);
	mutex_unlock(&vm->lock);
	return r;
}

static int vm_create_pit2(void *obj, void *arg)
{
	struct ost_vm *vm = obj;
	int r;

	mutex_lock(&vm->lock);
	r = ost_pit_create(vm, arg);
	mutex_unlock(&vm->lock);
	return r;
}

static int vm_irq_line(void *obj, void *arg)
{
	struct kvm_irq_level *irq = arg;
	struct ost_vm *vm = obj;

	if (!ost_irqchip_in_kernel(vm))
		return -ENXIO;
	irq->status = ost_set_gsi(vm, OST_IRQ_SOURCE_USER, irq->irq, irq->level);
	return 0;
}

static int vm_get_irqchip(void *obj, void *arg)
{
	return ost_chips_in_kernel((struct ost_vm *)obj) ? ost_irqchip_get(obj, arg) : -ENXIO;
}

static int vm_set_irqchip(void *obj, void *arg)
{
	return ost_chips_in_kernel((struct ost_vm *)obj) ? ost_irqchip_set(obj, arg) : -ENXIO;
}

static int vm_get_pit2(void *obj, void *arg)
{
	return ost_pit_get(obj, arg);
}

static int vm_set_pit2(void *obj, void *arg)
{
	return ost_pit_set(obj, arg);
}

/* Its number does not say how large the argument is. */
static long vm_reinject(void *obj, unsigned long arg)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, (void __user *)arg, sizeof(control)))
		return -EFAULT;
	return ost_pit_reinject(obj, &control);
}

static long vm_set_gsi_routing(void *obj, unsigned long arg)
{
	struct kvm_irq_routing __user *user = (void __user *)arg;
	struct kvm_irq_routing_entry *entries = NULL;
	struct kvm_irq_routing head;
	struct ost_vm *vm = obj;
	int r;

	if (!ost_irqchip_in_kernel(vm))
		return -EINVAL;
	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nr > OST_MAX_GSI_ROUTES || head.flags)
		return -EINVAL;
	if (head.nr) {
		entries = vmemdup_user(user->entries, array_size(sizeof(*entries), head.nr));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	mutex_lock(&vm->lock);
	r = ost_set_gsi_routing(vm, entries, head.nr, head.flags);
	mutex_unlock(&vm->lock);
	kvfree(entries);
	return r;
}

static int vm_signal_msi(void *obj, void *arg)
{
	return ost_irqchip_in_kernel((struct ost_vm *)obj) ? ost_signal_msi(obj, arg) : -EINVAL;
}

static int vm_irqfd(void *vm, void *arg)
{
	return ost_irqfd(vm, arg);
}

static int vm_ioeventfd(void *vm, void *arg)
{
	return ost_ioeventfd(vm, arg);
}

static int vm_register_coalesced(void *vm, void *arg)
{
	return ost_coalesced_register(vm, arg);
}

static int vm_unregister_coalesced(void *vm, void *arg)
{
	return ost_coalesced_unregister(vm, arg);
}

static int vm_get_clock(void *vm, void *arg)
{
	ost_clock_get(vm, arg);
	return 0;
}

static int vm_set_clock(void *vm, void *arg)
{
	return ost_clock_set(vm, arg);
}

static int vm_set_msr_filter(void *vm, void *arg)
{
	return ost_msr_filter_set(vm, arg);
}

static long vm_set_tsc_khz(void *vm, unsigned long arg)
{
	return arg > U32_MAX ? -EINVAL : ost_clock_set_default_khz(vm, arg);
}

static long vm_get_tsc_khz(void *obj, unsigned long arg)
{
	struct ost_vm *vm = obj;

	return READ_ONCE(vm->clock.default_tsc_khz);
}

static int vm_create_device(void *vm, void *arg)
{
	return ost_create_device(vm, arg);
}

static long vm_get_stats_fd(void *vm, unsigned long arg)
{
	return ost_stats_fd(vm, NULL);
}

static int vm_enable_cap(void *vm, void *arg)
{
	return ost_vm_enable_cap(vm, arg);
}

static const struct ost_ioctl vm_ioctls[] = {
	{ .cmd = KVM_CHECK_EXTENSION, .raw = vm_check_extension },
	{ .cmd = KVM_CREATE_VCPU, .raw = vm_create_vcpu },
	{ .cmd = KVM_GET_DIRTY_LOG, .copy = OST_IN, .fn = vm_get_dirty_log },
	{ .cmd = KVM_SET_NR_MMU_PAGES, .raw = vm_set_nr_mmu_pages },
	{ .cmd = KVM_GET_NR_MMU_PAGES, .raw = vm_get_nr_mmu_pages },
	{ .cmd = KVM_SET_USER_MEMORY_REGION, .copy = OST_IN, .fn = vm_set_region },
	{ .cmd = KVM_SET_USER_MEMORY_REGION2, .copy = OST_IN, .fn = vm_set_region2 },
	{ .cmd = KVM_SET_TSS_ADDR, .raw = vm_set_tss_addr },
	{ .cmd = KVM_SET_IDENTITY_MAP_ADDR, .copy = OST_IN, .fn = vm_set_identity_map_addr },
	{ .cmd = KVM_CREATE_IRQCHIP, .raw = vm_create_irqchip },
	{ .cmd = KVM_IRQ_LINE, .copy = OST_IN, .fn = vm_irq_line },
	{ .cmd = KVM_GET_IRQCHIP, .copy = OST_IN | OST_OUT, .fn = vm_get_irqchip },
	{ .cmd = KVM_SET_IRQCHIP, .copy = OST_IN, .fn = vm_set_irqchip },
	{ .cmd = KVM_IRQ_LINE_STATUS, .copy = OST_IN | OST_OUT, .fn = vm_irq_line },
	{ .cmd = KVM_REGISTER_COALESCED_MMIO, .copy = OST_IN, .fn = vm_register_coalesced },
	{ .cmd = KVM_UNREGISTER_COALESCED_MMIO, .copy = OST_IN, .fn = vm_unregister_coalesced },
	{ .cmd = KVM_SET_GSI_ROUTING, .raw = vm_set_gsi_routing },
	{ .cmd = KVM_REINJECT_CONTROL, .raw = vm_reinject },
	{ .cmd = KVM_IRQFD, .copy = OST_IN, .fn = vm_irqfd },
	{ .cmd = KVM_CREATE_PIT2, .copy = OST_IN, .fn = vm_create_pit2 },
	{ .cmd = KVM_IOEVENTFD, .copy = OST_IN, .fn = vm_ioeventfd },
	{ .cmd = KVM_SET_CLOCK, .copy = OST_IN, .fn = vm_set_clock },
	{ .cmd = KVM_GET_CLOCK, .copy = OST_OUT, .fn = vm_get_clock },
	{ .cmd = KVM_GET_PIT2, .copy = OST_OUT, .fn = vm_get_pit2 },
	{ .cmd = KVM_SET_PIT2, .copy = OST_IN, .fn = vm_set_pit2 },
	{ .cmd = KVM_SET_TSC_KHZ, .raw = vm_set_tsc_khz },
	{ .cmd = KVM_GET_TSC_KHZ, .raw = vm_get_tsc_khz },
	{ .cmd = KVM_ENABLE_CAP, .copy = OST_IN, .fn = vm_enable_cap },
	{ .cmd = KVM_CLEAR_DIRTY_LOG, .copy = OST_IN, .fn = vm_clear_dirty_log },
	{ .cmd = KVM_RESET_DIRTY_RINGS, .raw = vm_reset_dirty_rings },
	{ .cmd = KVM_SET_BOOT_CPU_ID, .raw = vm_set_boot_cpu_id },
	{ .cmd = KVM_SIGNAL_MSI, .copy = OST_IN, .fn = vm_signal_msi },
	{ .cmd = KVM_X86_SET_MSR_FILTER, .copy = OST_IN, .fn = vm_set_msr_filter },
	{ .cmd = KVM_GET_STATS_FD, .raw = vm_get_stats_fd },
	{ .cmd = KVM_CREATE_DEVICE, .copy = OST_IN | OST_OUT, .fn = vm_create_device },
};

static struct ost_ioctl_table vm_table = {
	.rows = vm_ioctls,
	.nr = ARRAY_SIZE(vm_ioctls),
};

void __init ost_vm_init_ioctls(void)
{
	ost_ioctl_table_init(&vm_table);
	ost_vfio_init_ioctls();
}

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ost_vm *vm = file->private_data;

	/* Guest memory is this mm's; another process would set up slots of its own addresses. */
	if (vm->mm != current->mm || READ_ONCE(vm->dead))
		return -EIO;
	return ost_ioctl(&vm_table, vm, cmd, arg);
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

/* A VM with one reference, or an error. */
static struct ost_vm *vm_new(void)
{
	struct ost_vm *vm = kvzalloc(ost_backend->vm_size, GFP_KERNEL_ACCOUNT);
	int r = -ENOMEM;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	refcount_set(&vm->refs, 1);
	mutex_init(&vm->lock);
	vm->vcpus = vm->few_vcpus;
	vm->max_vcpus = OST_FEW_VCPUS;
	INIT_LIST_HEAD(&vm->ioeventfds);
	INIT_LIST_HEAD(&vm->link);
	vm->id = atomic64_inc_return(&next_id);
	vm->identity_map_addr = 0xfffbc000;
	ost_irqs_init(vm);
	ost_clock_vm_init(vm);
	ost_vfio_init(vm);
	if (ost_coalesced_create(vm))
		goto err_free;
	if (init_srcu_struct(&vm->srcu))
		goto err_coalesced;
	r = ost_hw_get();
	if (r)
		goto err_srcu;
	r = ost_backend->vm_init(vm);
	if (r)
		goto err_hw;
	vm->mm = current->mm;
	mmgrab(vm->mm);
	r = ost_mmu_init(vm);
	if (r)
		goto err_mm;
	ost_stats_add_vm(vm);
	return vm;

err_mm:
	mmdrop(vm->mm);
	ost_backend->vm_destroy(vm);
err_hw:
	ost_hw_put();
err_srcu:
	cleanup_srcu_struct(&vm->srcu);
err_coalesced:
	ost_coalesced_destroy(vm);
err_free:
	ost_clock_vm_destroy(vm);
	kvfree(vm);
	return ERR_PTR(r);
}

int ost_vm_create(unsigned long type)
{
	struct ost_vm *vm;
	struct file *file;
	int fd;

	if (type)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vm = vm_new();
	if (IS_ERR(vm)) {
		put_unused_fd(fd);
		return PTR_ERR(vm);
	}
	file = anon_inode_getfile(OST_NAME "-vm", &vm_fops, vm, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		ost_vm_put(vm);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
