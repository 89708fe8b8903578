/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one device that KVM_CREATE_DEVICE knows here (KVM_DEV_TYPE_VFIO): the VMM tells which files of VFIO its guest's
 * devices come from. What has to be known of them is whether their accesses to memory see the caches; where one's do
 * not, the guest's memory types count, and its WBINVD is one.
 */
#ifndef OST_VFIO_H
#define OST_VFIO_H

#include <linux/cpumask.h>
#include <linux/kvm.h>
#include <linux/mutex.h>

struct ost_vcpu;
struct ost_vm;

struct ost_vm_vfio {
	bool created;		/* there is a device; guarded by vm->lock */
	/* Some of its files' devices do not see the caches [READ_ONCE] */
	bool noncoherent;
	/* CPUs whose caches may hold what the guest has written since its last WBINVD. Both are allocated with the device. */
	cpumask_var_t cpus;
	cpumask_var_t flushing;	/* guarded by lock */
	struct mutex lock;	/* one WBINVD at a time; the last one taken */
};

/*
 * KVM_CREATE_DEVICE: 0 and the new fd in @cd, which KVM_CREATE_DEVICE_TEST leaves alone. -ENODEV for another type,
 * -EINVAL for flags that there are not, -EBUSY while the VM has such a device. May sleep.
 */
int ost_create_device(struct ost_vm *vm, struct kvm_create_device *cd);

/* At the VM's begin and end. */
void ost_vfio_init(struct ost_vm *vm);
void ost_vfio_destroy(struct ost_vm *vm);

/* Fills the ioctl table, at load. */
void ost_vfio_init_ioctls(void);

/*
 * The guest executes WBINVD or WBNOINVD: writes back what its vCPUs may have left in caches, if any device needs that.
 * May sleep.
 */
void ost_vfio_wbinvd(struct ost_vcpu *vcpu);

/* A vCPU has come to this CPU, and has noted that. Any context. */
static inline void ost_vfio_ran_on(struct ost_vm_vfio *vfio, int cpu)
{
	/* Pairs with the release in update_coherence(): there is a mask. */
	if (unlikely(smp_load_acquire(&vfio->noncoherent)))
		cpumask_set_cpu(cpu, vfio->cpus);
}

#endif
