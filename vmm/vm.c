// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "boot.h"
#include "cpuid.h"
#include "device.h"
#include "layout.h"
#include "status.h"
#include "term.h"
#include "vcpu.h"
#include "vm.h"

static int call(struct vm *vm, unsigned long request, void *arg, const char *what)
{
	if (ioctl(vm->fd, request, arg) < 0)
		return vmm_fail(VMM_FAILED, "cannot %s: %s", what, strerror(errno));
	return VMM_OK;
}

static int add_memory(struct vm *vm)
{
	int status;

	for (unsigned int i = 0; i < vm->mem.nr_regions; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = vm->mem.region[i].gpa,
			.memory_size = vm->mem.region[i].size,
			.userspace_addr = (uintptr_t)vm->mem.region[i].hva,
		};

		status = call(vm, KVM_SET_USER_MEMORY_REGION, &slot, "give the guest its memory");
		if (status)
			return status;
	}
	return VMM_OK;
}

static int create_irqchip(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity_map = LAYOUT_IDENTITY_MAP;
	int status;

	status = call(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map, "place the identity map page");
	if (!status)
		status = call(vm, KVM_SET_TSS_ADDR, (void *)LAYOUT_TSS,
			      "place the task state pages");
	if (!status)
		status = call(vm, KVM_CREATE_IRQCHIP, NULL, "create the interrupt controllers");
	if (!status)
		status = call(vm, KVM_CREATE_PIT2, &pit, "create the timer");
	if (!status)
		status = irq_init(&vm->irq, vm->fd, vm->node);
	return status;
}

static int check_address_width(const struct vm *vm, const struct kvm_cpuid2 *cpuid)
{
	unsigned int bits = cpuid_phys_bits(cpuid);
	const struct guest_region *last = &vm->mem.region[vm->mem.nr_regions - 1];

	if (bits >= 64 || last->gpa + last->size <= 1ULL << bits)
		return VMM_OK;
	return vmm_fail(VMM_USAGE, "--memory is more than this CPU's %u address bits reach", bits);
}

static int create_vcpus(struct vm *vm)
{
	bool tsc_deadline = node_capability(vm->node, KVM_CAP_TSC_DEADLINE_TIMER);
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->node);
	int status;

	if (!cpuid)
		return VMM_FAILED;
	status = check_address_width(vm, cpuid);
	vm->vcpus = calloc(vm->config->nr_vcpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		status = vmm_fail(VMM_MEMORY, "not enough memory for %u CPUs",
				  vm->config->nr_vcpus);
	while (!status && vm->nr_vcpus < vm->config->nr_vcpus) {
		unsigned int id = vm->nr_vcpus++;

		cpuid_place(cpuid, id, vm->config->nr_vcpus, tsc_deadline);
		status = vcpu_create(vm, id, cpuid, &vm->vcpus[id]);
		if (!status)
			vcpu_set_firmware_msrs(vm->vcpus[id]);
	}
	free(cpuid);
	return status;
}

static int load(struct vm *vm)
{
	struct boot_entry entry;
	int status = boot_load(vm, &entry);

	return status ? status : vcpu_set_entry(vm->vcpus[0], &entry);
}

static int create_fds(struct vm *vm)
{
	vm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->wake_fd < 0)
		return vmm_fail(VMM_FAILED, "cannot create an eventfd: %s", strerror(errno));
	do {
		vm->fd = ioctl(vm->node->fd, KVM_CREATE_VM, 0UL);
	} while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0)
		return vmm_fail(VMM_DEVICE, "%s cannot create a guest: %s", vm->node->path,
				strerror(errno));
	return VMM_OK;
}

int vm_create(struct vm **out, const struct node *node, const struct config *config)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int status;

	if (!vm)
		return vmm_fail(VMM_MEMORY, "not enough memory for the machine");
	vm->node = node;
	vm->config = config;
	vm->fd = -1;
	vm->wake_fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	status = create_fds(vm);
	if (!status)
		status = guest_mem_alloc(&vm->mem, config->memory);
	if (!status)
		status = add_memory(vm);
	if (!status)
		status = create_irqchip(vm);
	if (!status)
		status = create_vcpus(vm);
	if (!status)
		status = devices_create(vm);
	if (!status)
		status = load(vm);
	if (status)
		vm_destroy(vm);
	else
		*out = vm;
	return status;
}

void vm_destroy(struct vm *vm)
{
	devices_destroy(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	free(vm->vcpus);
	if (vm->irq.table)
		irq_destroy(&vm->irq);
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->wake_fd >= 0)
		close(vm->wake_fd);
	/* After the hypervisor has let go of it. */
	guest_mem_free(&vm->mem);
	bus_destroy(&vm->mmio);
	bus_destroy(&vm->pio);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void vm_wake(struct vm *vm)
{
	eventfd_write(vm->wake_fd, 1);
}

void vm_stop(struct vm *vm, enum vm_end_kind kind, int value, struct vcpu *vcpu)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->end.kind == VM_RUNNING) {
		vm->end = (struct vm_end){ .kind = kind, .value = value, .vcpu = vcpu };
		atomic_store_explicit(&vm->stopping, true, memory_order_release);
		for (unsigned int i = 0; i < vm->nr_vcpus; i++)
			vcpu_kick(vm->vcpus[i]);
	}
	pthread_mutex_unlock(&vm->lock);
	vm_wake(vm);
}

void vm_add_watch(struct vm *vm, struct vm_watch *watch)
{
	watch->next = vm->watches;
	vm->watches = watch;
}

static int start_vcpus(struct vm *vm)
{
	int status = VMM_OK;

	pthread_mutex_lock(&vm->lock);
	for (unsigned int i = 0; i < vm->nr_vcpus && !status; i++)
		status = vcpu_start(vm->vcpus[i]);
	pthread_mutex_unlock(&vm->lock);
	return status;
}

/*
 * SIGTSTP and SIGCONT: the shell gets its terminal in order, and the guest's comes back with the
 * guest.
 */
static void handle_signal(struct vm *vm, int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGTSTP:
		term_restore();
		raise(SIGSTOP);
		term_raw();
		break;
	case SIGCONT:
		term_restore();
		term_raw();
		break;
	default:
		vm_stop(vm, VM_SIGNALLED, info.ssi_signo, NULL);
		break;
	}
}

/* What the main loop waits for: the fixed ones first, then the devices'. */
enum {
	WAKE,
	SIGNALS,
	INPUT,
	WATCHES,
};

static unsigned int add_watches(struct vm *vm, struct pollfd *fds)
{
	unsigned int n = 0;

	for (struct vm_watch *watch = vm->watches; watch && n < VM_MAX_WATCHES; watch = watch->next)
		fds[n++] = (struct pollfd){ .fd = watch->fd, .events = POLLIN };
	return n;
}

static void call_watches(struct vm *vm, const struct pollfd *fds, unsigned int n)
{
	struct vm_watch *watch = vm->watches;

	for (unsigned int i = 0; i < n; i++, watch = watch->next)
		if (fds[i].revents)
			watch->readable(watch->dev);
}

static void main_loop(struct vm *vm, int signal_fd)
{
	struct pollfd fds[WATCHES + VM_MAX_WATCHES] = {
		[WAKE] = { .fd = vm->wake_fd, .events = POLLIN },
		[SIGNALS] = { .fd = signal_fd, .events = POLLIN },
		[INPUT] = { .events = POLLIN },
	};
	unsigned int nr_watches = add_watches(vm, fds + WATCHES);
	eventfd_t count;

	while (!atomic_load(&vm->stopping)) {
		/* Negative: poll() looks away. */
		fds[INPUT].fd = console_wants_input(&vm->console) ? STDIN_FILENO : -1;
		if (poll(fds, WATCHES + nr_watches, -1) < 0) {
			if (errno != EINTR)
				vm_stop(vm, VM_CRASH_RUN, errno, NULL);
			continue;
		}
		if (fds[WAKE].revents)
			eventfd_read(vm->wake_fd, &count);
		if (fds[SIGNALS].revents)
			handle_signal(vm, signal_fd);
		if (fds[INPUT].fd >= 0 && fds[INPUT].revents && console_read(&vm->console))
			vm_stop(vm, VM_QUIT, 0, NULL);
		console_feed(&vm->console);
		call_watches(vm, fds + WATCHES, nr_watches);
	}
}

int vm_run(struct vm *vm, int signal_fd)
{
	int status = start_vcpus(vm);

	if (status)
		vm_stop(vm, VM_SIGNALLED, 0, NULL);
	else
		main_loop(vm, signal_fd);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_join(vm->vcpus[i]);
	return status;
}
