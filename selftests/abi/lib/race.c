// SPDX-License-Identifier: GPL-2.0-only
#include "race.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void tick(int signal)
{
	(void)signal;
}

static void *run(void *arg)
{
	struct racer *racer = arg;

	racer->fn(racer);
	return NULL;
}

struct racer *race_add(struct race *race, void (*fn)(struct racer *racer), void *arg)
{
	struct sigaction action = { .sa_handler = tick };
	const char *seed = getenv("OST_RACE_SEED");
	struct racer *racer = &race->racer[race->nr];

	if (race->nr == RACE_MAX_THREADS)
		abort();
	sigaction(SIGUSR2, &action, NULL);
	racer->race = race;
	racer->arg = arg;
	racer->fn = fn;
	racer->rng = (seed ? strtoull(seed, NULL, 0) : 1) * 1000 + race->nr;
	race->nr++;
	if (pthread_create(&racer->thread, NULL, run, racer))
		abort();
	return racer;
}

bool race_goes_on(struct racer *racer)
{
	return !__atomic_load_n(&racer->race->stop, __ATOMIC_SEQ_CST);
}

void race_trouble(struct race *race, const char *what)
{
	const char *none = NULL;

	__atomic_compare_exchange_n(&race->trouble, &none, what, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	__atomic_store_n(&race->stop, true, __ATOMIC_SEQ_CST);
}

void race_wait(struct race *race, unsigned int ms)
{
	while (ms-- && !__atomic_load_n(&race->stop, __ATOMIC_SEQ_CST))
		usleep(1000);
}

const char *race_end(struct race *race)
{
	struct timespec soon;

	__atomic_store_n(&race->stop, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < race->nr; i++) {
		int r;

		do {
			/* One may wait for a vCPU that another runs. */
			for (int j = i; j < race->nr; j++)
				race_tick(&race->racer[j]);
			clock_gettime(CLOCK_REALTIME, &soon);
			soon.tv_nsec += 10 * 1000 * 1000;
			if (soon.tv_nsec >= 1000000000) {
				soon.tv_nsec -= 1000000000;
				soon.tv_sec++;
			}
			r = pthread_timedjoin_np(race->racer[i].thread, NULL, &soon);
		} while (r == ETIMEDOUT);
	}
	race->nr = 0;
	return race->trouble ?: "";
}

uint64_t race_random(struct racer *racer, uint64_t n)
{
	/* splitmix64 */
	uint64_t z = (racer->rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % n;
}

void race_tick(struct racer *racer)
{
	pthread_kill(racer->thread, SIGUSR2);
}
