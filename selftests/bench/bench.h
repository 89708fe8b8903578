/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the benchmark's files share: a row of the table, and what its functions work on.
 *
 * A row is measured in batches of two sizes. What an operation costs is the difference of a smaller and a
 * larger batch, per operation: all that a batch costs besides (entering the guest, leaving it) drops out.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vm.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* A row's VM lives in a process of its own, which ends with the row: nothing is torn down by hand. */
struct bench {
	const struct row *row;
	struct vm vm;
	struct vcpu *vcpu;
	void *region;		/* more guest memory than vm_open() gives, where the row wants some */
};

/*
 * struct row - one operation
 * @name: one word
 * @few, @more: the sizes of its batches, in operations
 * @batches: how many of each size
 * @setup: makes what all batches share. All functions return 0 or -1 with errno
 * @prepare: what has to happen before a batch of @n operations, not measured; may be absent
 * @run: a batch of @n operations, measured
 * @arg: for the functions
 * @limit_s: when the row is given up, if not by default
 */
struct row {
	const char *name;
	unsigned int few;
	unsigned int more;
	unsigned int batches;
	int (*setup)(struct bench *b);
	int (*prepare)(struct bench *b, unsigned int n);
	int (*run)(struct bench *b, unsigned int n);
	const void *arg;
	unsigned int limit_s;
};

/* Batches this small mostly fall between two ticks of the host. */
#define FEW		16
#define MORE		64
#define BATCHES		9
#define SMALL_BATCHES	.few = FEW, .more = MORE, .batches = BATCHES
/* What can be done once only, before it has to be prepared again. */
#define ONE_BY_ONE	.few = 0, .more = 1, .batches = BATCHES

/* The port by which a guest says that its batch is done. */
#define DONE_PORT	0x10

/*
 * A guest's batch: EBP times @op, then it says that it is done, for ever. @op may use all other registers but
 * RSI, RDI and R8.
 */
#define LOOP(op)	"1: " op "\n decl %ebp\n jnz 1b\n 2: outb %al, $0x10\n jmp 2b\n"

/*
 * bench_open() - A VM with vm_open()'s @flags and a vCPU that has what the CPU can, x2APIC and TSC deadlines,
 * in 64-bit mode, at VM_CODE_GPA.
 */
int bench_open(struct bench *b, unsigned int flags);

/*
 * bench_vcpu() - The same for a further vCPU of b->vm, which starts at @rip.
 */
struct vcpu *bench_vcpu(struct bench *b, uint64_t rip);

/*
 * bench_interrupts() - The VM's GDT and IDT for @vcpu, and in it a gate from @vector to @handler_gpa.
 */
int bench_interrupts(struct bench *b, struct vcpu *vcpu, uint8_t vector, uint64_t handler_gpa);

/*
 * bench_start() - SET_REGS: @vcpu's next KVM_RUN begins at VM_CODE_GPA with @n in RBP and these in RSI and RDI.
 */
int bench_start(struct vcpu *vcpu, unsigned int n, uint64_t rsi, uint64_t rdi);

/*
 * bench_until_done() - KVM_RUN until the guest says that it is done; any other exit is EPROTO.
 */
int bench_until_done(struct bench *b);

/* The rows of each file, closed by one without a name. */
extern const struct row exit_rows[], user_rows[], interrupt_rows[], memory_rows[], ioctl_rows[];

#endif
