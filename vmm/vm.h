/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine: what lives from one power-on of the guest to its reset or power-off.
 *
 * A guest's reboot is the end of one machine and the making of the next from the same
 * configuration, so every boot starts from the same state and no device has a reset of its own to
 * get wrong.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bus.h"
#include "config.h"
#include "console.h"
#include "irq.h"
#include "mem.h"
#include "node.h"

struct device;
struct pci_host;
struct vcpu;

enum vm_end_kind {
	VM_RUNNING = 0,
	VM_POWER_OFF,		/* guest: ACPI S5, or a system event */
	VM_RESET,		/* guest: reset register, keyboard controller */
	VM_DEBUG_EXIT,		/* guest: value is the byte it wrote */
	VM_QUIT,		/* person: escape key */
	VM_SIGNALLED,		/* value is the signal */
	VM_CRASH_SHUTDOWN,	/* triple fault on @vcpu */
	VM_CRASH_EVENT,		/* the guest told the hypervisor that it crashed */
	VM_CRASH_INTERNAL,	/* KVM_EXIT_INTERNAL_ERROR on @vcpu */
	VM_CRASH_ENTRY,		/* KVM_EXIT_FAIL_ENTRY on @vcpu */
	VM_CRASH_EXIT,		/* an exit that vmm does not know, value is its reason */
	VM_CRASH_RUN,		/* KVM_RUN failed, value is errno */
};

/* Why the machine stopped. The first reason given is the one that counts. */
struct vm_end {
	enum vm_end_kind kind;
	int value;
	struct vcpu *vcpu;
};

/* A file descriptor that the main loop watches for a device. */
struct vm_watch {
	int fd;
	void *dev;
	void (*readable)(
		void *dev); /* on the main thread, without locks; has to read what is there */
	struct vm_watch *next;
};

#define VM_MAX_WATCHES	16

struct vm {
	const struct config *config;
	const struct node *node;
	int fd;
	struct guest_mem mem;
	struct bus pio;
	struct bus mmio;
	struct irq_router irq;
	struct pci_host *pci;		/* made by the host bridge's device */
	struct device *devices;		/* in reverse order of creation */
	struct console console;
	struct vm_watch *watches;
	struct vcpu **vcpus;
	unsigned int nr_vcpus;		/* created so far */
	pthread_mutex_t lock;		/* guards end, and vCPU threads' start against their kick */
	struct vm_end end;
	atomic_bool stopping;		/* end.kind is set; read without the lock by vCPUs */
	int wake_fd;			/* eventfd: the main loop has to look again */
};

/*
 * Make the machine that @config describes, loaded and ready to run. Returns 0 or a status,
 * explained.
 */
int vm_create(struct vm **vm, const struct node *node, const struct config *config);

/*
 * Run the machine until it ends; the reason is in @vm->end. @signal_fd is a signalfd whose signals
 * end the machine (job control signals are followed). Main thread. Returns 0 or a status,
 * explained.
 */
int vm_run(struct vm *vm, int signal_fd);

/* Stop all its threads and give everything back. */
void vm_destroy(struct vm *vm);

/*
 * End the machine, from any thread. vCPUs are out of the guest soon after, not when this returns.
 */
void vm_stop(struct vm *vm, enum vm_end_kind kind, int value, struct vcpu *vcpu);

/*
 * Have the main loop call @watch->readable() whenever there is something to read, until the machine
 * is destroyed. At most VM_MAX_WATCHES in all. The guest does not run yet.
 */
void vm_add_watch(struct vm *vm, struct vm_watch *watch);

/* Have the main loop look again, whether the console has room too. Any thread. */
void vm_wake(struct vm *vm);

#endif
