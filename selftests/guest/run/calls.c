// SPDX-License-Identifier: GPL-2.0-only
/* What guests have done for them outside: struct host_call of lib/host.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestrun.h"

#define MAX_BACKING	(64UL << 20)

static int answer(int ret)
{
	return ret < 0 ? -errno : ret;
}

static int log_read(struct vm *vm, uint64_t gpa, uint64_t max)
{
	struct mmio_access *to;
	int nr;

	pthread_mutex_lock(&vm->lock);
	nr = vm->nr_log;
	if (max > vm->nr_log)
		max = vm->nr_log;
	to = guest_memory(vm, gpa, max * sizeof(*to));
	if (to)
		memcpy(to, vm->log, max * sizeof(*to));
	pthread_mutex_unlock(&vm->lock);
	return to || !max ? nr : -EFAULT;
}

/* What the process was started with; its threads may change their own. */
static cpu_set_t allowed;

__attribute__((constructor)) static void get_allowed(void)
{
	sched_getaffinity(0, sizeof(allowed), &allowed);
}

/* Every call moves on by one of the CPUs that this process may use. */
static int migrate(void)
{
	int next = sched_getcpu();
	cpu_set_t set;

	if (CPU_COUNT(&allowed) < 2)
		return -ENODEV;
	do
		next = (next + 1) % CPU_SETSIZE;
	while (!CPU_ISSET(next, &allowed));
	CPU_ZERO(&set);
	CPU_SET(next, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return -errno;
	return next;
}

struct later {
	struct vm *vm;
	uint64_t delay_ms;
	enum host_op op;
	uint64_t arg[2];
};

static int interrupt(struct vm *vm, enum host_op op, const uint64_t *arg)
{
	struct kvm_msi msi = { .address_lo = arg[0], .address_hi = arg[0] >> 32, .data = arg[1] };
	struct kvm_irq_level line = { .irq = arg[0], .level = arg[1] };

	switch (op) {
	case HOST_MSI:
		return answer(ioctl(vm->fd, KVM_SIGNAL_MSI, &msi));
	case HOST_IRQ_LINE:
		return answer(ioctl(vm->fd, KVM_IRQ_LINE, &line));
	case HOST_NMI:
		if (arg[0] >= vm->needs.cpus)
			return -EINVAL;
		vcpu_nmi(&vm->vcpu[arg[0]]);
		return 0;
	default:
		return -ENOSYS;
	}
}

static void *interrupt_later(void *arg)
{
	struct later *later = arg;

	usleep(later->delay_ms * 1000);
	interrupt(later->vm, later->op, later->arg);
	free(later);
	return NULL;
}

static int interrupt_soon(struct vm *vm, enum host_op op, const uint64_t *arg, uint64_t delay_ms)
{
	struct later *later;
	pthread_t thread;

	if (!delay_ms)
		return interrupt(vm, op, arg);
	later = malloc(sizeof(*later));
	*later = (struct later){ vm, delay_ms, op, { arg[0], arg[1] } };
	if (pthread_create(&thread, NULL, interrupt_later, later)) {
		free(later);
		return -EAGAIN;
	}
	pthread_detach(thread);
	return 0;
}

/* With huge pages that are made for this mapping, and vanish with it: the host's number stays. */
static void *back_huge(size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE;
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "r+");
	unsigned long nr = 0;
	void *p;

	if (f && fscanf(f, "%lu", &nr) == 1) {
		rewind(f);
		fprintf(f, "%lu\n", nr + (size >> 21));
		fflush(f);
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (f) {
		rewind(f);
		fprintf(f, "%lu\n", nr);
		fclose(f);
	}
	return p;
}

static void *back(enum backing kind, size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd = -1;
	size_t align = 2UL << 20;
	uint8_t *p;

	switch (kind) {
	case BACKING_HUGETLB:
		return back_huge(size);
	case BACKING_MEMFD:
		fd = memfd_create("guest", MFD_CLOEXEC);
		break;
	case BACKING_FILE:
		fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		break;
	case BACKING_THP:
		p = mmap(NULL, size + align, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (p == MAP_FAILED)
			return p;
		p = (uint8_t *)(((uintptr_t)p + align - 1) & ~(align - 1));
		madvise(p, size, MADV_HUGEPAGE);
		return p;
	default:
		break;
	}
	if (kind == BACKING_MEMFD || kind == BACKING_FILE) {
		if (fd < 0 || ftruncate(fd, size))
			return MAP_FAILED;
		flags = MAP_SHARED;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	return p;
}

static int backing(struct vm *vm, const uint64_t *arg)
{
	void *p;

	if (arg[3] > MAX_BACKING)
		return -EINVAL;
	if (!arg[3])
		return vm_slot(vm, arg[0], 0, 0, 0, NULL);
	p = back(arg[4], arg[3]);
	if (p == MAP_FAILED)
		return -errno;
	return vm_slot(vm, arg[0], arg[1], arg[2], arg[3], p);
}

static int dirty_log(struct vm *vm, uint64_t slot, uint64_t gpa)
{
	struct kvm_dirty_log log = { .slot = slot };

	log.dirty_bitmap = guest_memory(vm, gpa, 8);
	if (!log.dirty_bitmap)
		return -EFAULT;
	return answer(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
}

static int msr_list(struct vm *vm, uint64_t gpa, uint64_t room)
{
	struct {
		struct kvm_msr_list head;
		uint32_t index[1024];
	} list = { .head.nmsrs = 1024 };
	uint32_t *to = room <= 1024 ? guest_memory(vm, gpa, room * sizeof(*to)) : NULL;

	if (!to)
		return -EFAULT;
	if (ioctl(vm->sys_fd, KVM_GET_MSR_INDEX_LIST, &list))
		return -errno;
	if (list.head.nmsrs > room)
		return -E2BIG;
	memcpy(to, list.index, list.head.nmsrs * sizeof(*to));
	return list.head.nmsrs;
}

static int msr_read(struct vcpu *vcpu, uint32_t index, uint64_t gpa)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry.index = index };
	uint64_t *to = guest_memory(vcpu->vm, gpa, sizeof(*to));
	int ret = to ? ioctl(vcpu->fd, KVM_GET_MSRS, &msr) : -1;

	if (ret == 1)
		*to = msr.entry.data;
	return answer(ret);
}

static void *storm(void *arg)
{
	struct vm *vm = arg;
	uint64_t us;

	while ((us = __atomic_load_n(&vm->storm_us, __ATOMIC_SEQ_CST))) {
		for (uint32_t i = 0; i < vm->needs.cpus; i++) {
			if (vm->vcpu[i].running)
				pthread_kill(vm->vcpu[i].thread, SIGUSR1);
		}
		usleep(us);
	}
	return NULL;
}

static int storm_set(struct vm *vm, uint64_t us)
{
	bool was = vm->storm_us;

	__atomic_store_n(&vm->storm_us, us, __ATOMIC_SEQ_CST);
	if (!us && was)
		pthread_join(vm->storm_thread, NULL);
	if (us && !was)
		return -pthread_create(&vm->storm_thread, NULL, storm, vm);
	return 0;
}

static int carry_out(struct vcpu *vcpu, uint32_t op, const uint64_t *arg)
{
	struct vm *vm = vcpu->vm;

	switch (op) {
	case HOST_LOG_CLEAR:
		pthread_mutex_lock(&vm->lock);
		vm->nr_log = 0;
		pthread_mutex_unlock(&vm->lock);
		return 0;
	case HOST_LOG_READ:
		return log_read(vm, arg[0], arg[1]);
	case HOST_MIGRATE:
		return migrate();
	case HOST_MSI:
	case HOST_IRQ_LINE:
		return interrupt_soon(vm, op, arg, arg[2]);
	case HOST_NMI:
		return interrupt_soon(vm, op, arg, arg[1]);
	case HOST_SLOT:
		if (arg[4] + arg[3] > ARENA_SIZE)
			return -EINVAL;
		return vm_slot(vm, arg[0], arg[1], arg[2], arg[3], vm->arena + arg[4]);
	case HOST_BACKING:
		return backing(vm, arg);
	case HOST_DIRTY_LOG:
		return dirty_log(vm, arg[0], arg[1]);
	case HOST_DISCARD:
		if (arg[0] + arg[1] > ARENA_SIZE)
			return -EINVAL;
		return answer(madvise(vm->arena + arg[0], arg[1], MADV_DONTNEED));
	case HOST_STORM:
		return storm_set(vm, arg[0]);
	case HOST_MSR_LIST:
		return msr_list(vm, arg[0], arg[1]);
	case HOST_MSR_READ:
		return msr_read(vcpu, arg[0], arg[1]);
	case HOST_EXPECT_SHUTDOWN:
		vm->expect_shutdown = true;
		return 0;
	default:
		return -ENOSYS;
	}
}

void calls_handle(struct vcpu *vcpu, uint64_t gpa)
{
	struct host_call *call = guest_memory(vcpu->vm, gpa, sizeof(*call));

	if (!call)
		vm_fail(vcpu->vm, "host call at %#lx", gpa);
	call->ret = carry_out(vcpu, call->op, call->arg);
}
