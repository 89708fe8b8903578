/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that a seed repeats: splitmix64. Each user has one of its own; none is shared. */
#ifndef OST_FUZZ_RNG_H
#define OST_FUZZ_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* rng64() - The next 64 bits. */
static inline uint64_t rng64(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* rng_below() - One of 0 to @n - 1; @n is not 0. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng64(r) % n;
}

/* rng_one_in() - True once in @n times. */
static inline bool rng_one_in(struct rng *r, uint64_t n)
{
	return !rng_below(r, n);
}

/* rng_split() - A generator that shares nothing with @r but its seed and @stream. */
static inline struct rng rng_split(uint64_t seed, uint64_t stream)
{
	struct rng r = { seed ^ (stream + 1) * 0xd1342543de82ef95ULL };

	r.state = rng64(&r);
	return r;
}

/* rng_fill() - @len random bytes. */
static inline void rng_fill(struct rng *r, void *data, size_t len)
{
	uint8_t *p = data;

	while (len--)
		*p++ = rng64(r);
}

#define rng_pick(r, array)	((array)[rng_below(r, sizeof(array) / sizeof((array)[0]))])

#endif
