/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of concurrency (race_*.c) share: threads that go on until told to stop, and random
 * numbers that a seed repeats ($OST_RACE_SEED, else 1; each thread has its own).
 */
#ifndef OST_ABI_RACE_H
#define OST_ABI_RACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define RACE_MAX_THREADS	8
/* How long a race is run, where nothing else says when it has gone on for long enough. */
#define RACE_MS			2000

struct race;

struct racer {
	struct race *race;
	void *arg;
	void (*fn)(struct racer *racer);
	uint64_t rng;
	unsigned long rounds;	/* of its loop: for the racer to count, read by any thread */
	pthread_t thread;
};

struct race {
	bool stop;
	const char *trouble;	/* the first that a thread found */
	int nr;
	struct racer racer[RACE_MAX_THREADS];
};

/* race_add() - Adds a thread that runs @fn. It starts at once. Returns it. */
struct racer *race_add(struct race *race, void (*fn)(struct racer *racer), void *arg);

/* race_goes_on() - For the loop of a thread: false once it is to end. */
bool race_goes_on(struct racer *racer);

/* race_trouble() - Says what is wrong, which also ends the race. Any thread. */
void race_trouble(struct race *race, const char *what);

/* race_wait() - Sleeps until @ms are over or there is trouble. */
void race_wait(struct race *race, unsigned int ms);

/*
 * race_end() - Stops and joins all threads; those in KVM_RUN get signals. Returns what was wrong,
 * or "".
 */
const char *race_end(struct race *race);

/* race_random() - The next random number below @n. */
uint64_t race_random(struct racer *racer, uint64_t n);

/* race_tick() - Sends a signal that does nothing to @racer's thread, which ends its KVM_RUN. */
void race_tick(struct racer *racer);

#endif
