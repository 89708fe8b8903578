/* SPDX-License-Identifier: GPL-2.0-only */
/* Between guestrun's own files. */
#ifndef OST_GUESTRUN_H
#define OST_GUESTRUN_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/host.h"

#define MAX_VCPUS	8
#define MAX_LOG		4096

struct vm {
	int sys_fd, fd;
	size_t run_size;
	struct guest_needs needs;
	uint64_t entry;
	uint8_t *memory;		/* guest physical 0 */
	uint8_t *mmio, *readonly, *arena;
	bool expect_shutdown;
	struct vcpu {
		struct vm *vm;
		unsigned int id;
		int fd;
		struct kvm_run *run;
		pthread_t thread;
		bool running;
		bool want_nmi;		/* for its own thread to carry out */
	} vcpu[MAX_VCPUS];

	pthread_mutex_t lock;		/* the rest */
	struct mmio_access log[MAX_LOG];
	uint32_t nr_log;
	uint8_t fifo[65536];
	uint32_t fifo_in, fifo_out;
	uint8_t latch[16];
	uint64_t storm_us;
	pthread_t storm_thread;
};

/*
 * vm_run() - Loads the guest at @path, runs it to its end, tells why when it fails.
 *
 * Returns an enum guest_exit, for the process to exit with.
 */
int vm_run(const char *path);

/* vm_end() - Ends the process with @status, from any thread. */
void vm_end(struct vm *vm, int status) __attribute__((noreturn));

/* vm_fail() - The same with a message and the registers of all vCPUs. Any thread. */
void vm_fail(struct vm *vm, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/*
 * vm_slot() - SET_USER_MEMORY_REGION. Returns 0 or -errno.
 */
int vm_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size_bytes,
	    void *hva);

/* vcpu_nmi() - Has @vcpu's thread come out of the guest and make a KVM_NMI. Any thread. */
void vcpu_nmi(struct vcpu *vcpu);

/*
 * guest_memory() - Where @size_bytes at guest physical @gpa of the main memory are; NULL when not
 * all of them are there.
 */
void *guest_memory(struct vm *vm, uint64_t gpa, uint64_t size_bytes);

/*
 * calls_handle() - Carries out the struct host_call at guest physical @gpa for @vcpu.
 */
void calls_handle(struct vcpu *vcpu, uint64_t gpa);

/*
 * devices_io() / devices_mmio() - Answer the exit that @vcpu has just made.
 */
void devices_io(struct vcpu *vcpu);
void devices_mmio(struct vcpu *vcpu);

/*
 * elf_load() - Puts the guest of @path into memory. Sets vm->needs and vm->entry.
 *
 * elf_needs() does only the first of that, before there is memory. Both return 0 or -1 with a
 * message on stdout.
 */
int elf_needs(struct vm *vm, const char *path);
int elf_load(struct vm *vm, const char *path);

#endif
