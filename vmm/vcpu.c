// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "status.h"
#include "thread.h"
#include "vcpu.h"
#include "vm.h"

int vcpu_create(struct vm *vm, unsigned int id, const struct kvm_cpuid2 *cpuid, struct vcpu **out)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	if (!vcpu)
		return vmm_fail(VMM_MEMORY, "not enough memory for CPU %u", id);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->run = MAP_FAILED;
	vcpu->run_size = vm->node->run_size;
	*out = vcpu;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu->fd < 0)
		return vmm_fail(VMM_FAILED, "cannot create CPU %u: %s", id, strerror(errno));
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return vmm_fail(VMM_FAILED, "cannot map CPU %u: %s", id, strerror(errno));
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		return vmm_fail(VMM_FAILED, "cannot set the CPUID of CPU %u: %s", id,
				strerror(errno));
	return VMM_OK;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	free(vcpu);
}

static void handle_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	/* String instructions give several at a time, all for the same port. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, run->io.size);
			bus_write(&vcpu->vm->pio, run->io.port, run->io.size, value);
		} else {
			value = bus_read(&vcpu->vm->pio, run->io.port, run->io.size);
			memcpy(data, &value, run->io.size);
		}
	}
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t value = 0;

	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, sizeof(value));
		bus_write(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.len, value);
	} else {
		value = bus_read(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.len);
		memcpy(run->mmio.data, &value, sizeof(value));
	}
}

static void handle_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_stop(vcpu->vm, VM_POWER_OFF, 0, vcpu);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_stop(vcpu->vm, VM_RESET, 0, vcpu);
		break;
	default:
		vm_stop(vcpu->vm, VM_CRASH_EVENT, vcpu->run->system_event.type, vcpu);
		break;
	}
}

static void handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_HLT:
		/*
		 * HLT waits in the kernel when the LAPIC is there; one that comes out has been
		 * woken.
		 */
		break;
	case KVM_EXIT_SHUTDOWN:
		vm_stop(vcpu->vm, VM_CRASH_SHUTDOWN, 0, vcpu);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(vcpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vm_stop(vcpu->vm, VM_CRASH_INTERNAL, 0, vcpu);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vm_stop(vcpu->vm, VM_CRASH_ENTRY, 0, vcpu);
		break;
	default:
		vm_stop(vcpu->vm, VM_CRASH_EXIT, vcpu->run->exit_reason, vcpu);
		break;
	}
}

static void *run_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;

	while (!atomic_load_explicit(&vm->stopping, memory_order_acquire)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0)
			handle_exit(vcpu);
		else if (errno != EINTR && errno != EAGAIN)
			vm_stop(vm, VM_CRASH_RUN, errno, vcpu);
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	int error = thread_start(&vcpu->thread, run_thread, vcpu);

	if (error)
		return vmm_fail(VMM_FAILED, "cannot start the thread of CPU %u: %s", vcpu->id,
				strerror(error));
	vcpu->started = true;
	return VMM_OK;
}

void vcpu_kick(struct vcpu *vcpu)
{
	/*
	 * For a vCPU that is on its way into KVM_RUN; the signal is for one that is already there.
	 */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	if (vcpu->started)
		pthread_kill(vcpu->thread, THREAD_KICK_SIGNAL);
}

/*
 * Kicks once more now and then: a thread that was about to wait in a system call when it was kicked
 * waits there now. (KVM_RUN is not such a call: immediate_exit keeps it from waiting.)
 */
void vcpu_join(struct vcpu *vcpu)
{
	const long again_ns = 20 * 1000 * 1000;
	struct timespec until;

	if (!vcpu->started)
		return;
	do {
		pthread_kill(vcpu->thread, THREAD_KICK_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += again_ns;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(vcpu->thread, NULL, &until) == ETIMEDOUT);
	vcpu->started = false;
}
