/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctl fuzzer's parts.
 *
 * A sequence is a process whose threads share a struct world: tables of descriptors and memory. A
 * thread is an actor; its n-th operation and that operation's random numbers follow from the
 * seed, the sequence's and the thread's number and n, from nothing that happened before. Where a
 * table has nothing, the operation gets -1 and the kernel says EBADF.
 */
#ifndef OST_FUZZ_H
#define OST_FUZZ_H

#include <linux/kvm.h>
#include <sched.h>
#include <stdint.h>
#include "rng.h"

#define NR_SYS		2
#define NR_VMS		3
#define NR_VCPUS	8
#define NR_EVENTFDS	8
#define NR_AREAS	8
#define MAX_ACTORS	8
#define PAGE_SIZE	4096UL
#define AREA_SIZE	(4UL << 20)
/* Where what an ioctl reads and writes lies; behind it nothing is mapped for very long. */
#define BUFFER_SIZE	(256UL << 10)
#define BEHIND_SIZE	(1UL << 30)

/* What the supervisor sees of a sequence: memory shared with it. */
struct progress {
	uint64_t ops[MAX_ACTORS];		/* begun */
	uint64_t running[MAX_ACTORS];		/* the operation's index, while one runs */
	uint64_t done[64][2];			/* by operation: failed, succeeded */
	uint64_t exits[64];			/* KVM_RUN's, by exit reason; the last: errors */
};

struct world {
	int sys[NR_SYS];
	int vm[NR_VMS];
	int vcpu[NR_VCPUS];
	struct kvm_run *run[NR_VCPUS];		/* the mappings stay when the descriptor goes */
	int eventfd[NR_EVENTFDS];
	uint8_t *area[NR_AREAS]; /* addresses are fixed; what is mapped there changes */
	int memfd;
	long run_size;
	cpu_set_t cpus;				/* where we may run */
	const char *node;
	struct progress *progress;
};

struct actor {
	struct world *w;
	struct rng *r;		/* of the current operation */
	uint8_t *buffer;	/* BUFFER_SIZE */
	int index;
};

/* An operation. Returns a negative number when what it tried was refused. */
struct op {
	const char *name;
	unsigned int weight;
	long (*fn)(struct actor *a);
};

/* Each of these files has a list, which ends with a row without a name. */
extern const struct op vm_ops[], vcpu_ops[], memory_ops[], msr_ops[], other_ops[];

/*
 * world_setup() - A VM with memory, a vCPU or more and guest code in tables' first places, as the
 * random numbers say; whatever is refused is left out.
 */
void world_setup(struct actor *a);

/*
 * guest_code() - Writes @len bytes of guest code to @code: pieces that do something to a
 * hypervisor, and some that are just bytes; at the end a jump back to the start.
 */
void guest_code(struct rng *r, uint8_t *code, size_t len);

/*
 * poke() - Copies to memory that may be unmapped or read-only by now. Returns 0, or -1.
 */
int poke(void *to, const void *from, size_t len);

/*
 * replace_fd() - Puts @fd into a table's place and closes what was there. Returns @fd.
 */
int replace_fd(int *place, int fd);

/*
 * any_address() / any_gpa() / any_size() - Interesting ones: sensible mostly, and some that are
 * not.
 */
void *any_address(struct actor *a);
uint64_t any_gpa(struct rng *r);
uint64_t any_size(struct rng *r);

/* any_u64() - Small numbers, powers of two and their neighbours, all ones, and any others. */
uint64_t any_u64(struct rng *r);

/* mutate() - Changes some bits or words of @len bytes. */
void mutate(struct rng *r, void *data, size_t len);

/*
 * place() - Where in a table of @nr to put something, or what to take out: seldom the first,
 * which is what world_setup() made and most operations use.
 */
int place(struct actor *a, int nr);

/* What tables hold, chosen by the operation's random numbers. */
int any_sys(struct actor *a);
int any_vm(struct actor *a);
int any_vcpu(struct actor *a);
int any_eventfd(struct actor *a);

#endif
