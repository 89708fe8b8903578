/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that watches over its memory: its vCPUs fill it with a pattern that changes with each round, look
 * whether it is there, and look at their time stamp counter and an SSE register on the way. What takes the
 * memory, the CPUs or the time away in between is the test's business.
 */
#ifndef OST_HOST_CHECKER_H
#define OST_HOST_CHECKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

struct checker;

struct checker_vcpu {
	struct checker *checker;
	struct vcpu *vcpu;
	pthread_t thread;
	atomic_ulong rounds;
	int wrong;		/* 0, an enum checker_wrong, or what KVM_RUN ended with */
	char text[128];
};

struct checker {
	struct vm vm;
	uint8_t *hva;
	uint64_t size_bytes;
	int nr_vcpus;
	atomic_bool stop;
	atomic_bool hold;
	atomic_int nr_held;
	struct checker_vcpu vcpu[VM_MAX_VCPUS];
};

enum checker_wrong { CHECKER_CONTENT = 1, CHECKER_TSC, CHECKER_SSE };

/*
 * checker_start() - Runs a guest with @nr_vcpus vCPUs, which share the memory at @hva among them.
 *
 * @reads: how often it is read between two writes, at least 1. @same: all pages have the same content.
 * Returns 0, or -1 with errno.
 */
int checker_start(struct checker *c, int nr_vcpus, void *hva, uint64_t size_bytes,
		  unsigned int reads, bool same);

/*
 * checker_rounds() - How many rounds the slowest vCPU has made. Any thread.
 */
unsigned long checker_rounds(struct checker *c);

/*
 * checker_wait() - Waits until every vCPU has made @more rounds from now on.
 *
 * Returns false when one has met something wrong, or when it takes minutes.
 */
bool checker_wait(struct checker *c, unsigned long more);

/*
 * checker_hold() - Has every vCPU wait outside the guest. Returns false when one does not come out in a minute.
 *
 * checker_release() lets them go on.
 */
bool checker_hold(struct checker *c);
void checker_release(struct checker *c);

/*
 * checker_wrong() - What a vCPU has seen that is wrong, as a sentence; NULL when nothing was. Any thread.
 */
const char *checker_wrong(struct checker *c);

/*
 * checker_end() - Ends the guest. Returns what checker_wrong() does. The memory is left alone.
 */
const char *checker_end(struct checker *c);

#endif
