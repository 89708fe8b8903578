/* SPDX-License-Identifier: GPL-2.0-only */
/* A virtual CPU and the thread that runs it. */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct boot_entry;
struct kvm_cpuid2;
struct kvm_run;
struct vm;

struct vcpu {
	struct vm *vm;
	unsigned int id;	/* also its APIC ID */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool started;		/* thread is valid; under vm->lock */
};

/*
 * Create vCPU @id with the CPUID table @cpuid. Returns 0 or a status, explained; *@vcpu is then to
 * be destroyed by vcpu_destroy().
 */
int vcpu_create(struct vm *vm, unsigned int id, const struct kvm_cpuid2 *cpuid, struct vcpu **vcpu);

/* Have the boot processor begin where @entry says. Returns 0 or a status, explained. */
int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry);

/*
 * Leave behind what firmware does on every CPU: RAM is cacheable by default, fast string instructions
 * are on. What the CPU does not have is left out.
 */
void vcpu_set_firmware_msrs(struct vcpu *vcpu);

/* Start its thread. The caller holds vm->lock. Returns 0 or a status, explained. */
int vcpu_start(struct vcpu *vcpu);

/* Have it leave the guest and look at vm->stopping. The caller holds vm->lock. Any thread. */
void vcpu_kick(struct vcpu *vcpu);

/* Wait for its thread, if there is one. vm->stopping is set. */
void vcpu_join(struct vcpu *vcpu);

void vcpu_destroy(struct vcpu *vcpu);

/*
 * Print on standard error why @vcpu cannot go on, its registers and the code at its instruction
 * pointer. Its thread has ended, the machine still exists.
 */
void vcpu_dump(const struct vcpu *vcpu);

#endif
