// SPDX-License-Identifier: GPL-2.0-only
/* The tables that actors work on, and how values are chosen. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int poke(void *to, const void *from, size_t len)
{
	struct iovec local = { (void *)from, len }, remote = { to, len };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len ? 0 : -1;
}

int replace_fd(int *place, int fd)
{
	int old = __atomic_exchange_n(place, fd, __ATOMIC_SEQ_CST);

	if (old >= 0)
		close(old);
	return fd;
}

int place(struct actor *a, int nr)
{
	return rng_one_in(a->r, 12) ? 0 : 1 + rng_below(a->r, nr - 1);
}

static int from(struct actor *a, const int *table, int nr)
{
	/* Mostly the first, so that things are seen together. */
	int i = rng_one_in(a->r, 3) ? rng_below(a->r, nr) : 0;

	return __atomic_load_n(&table[i], __ATOMIC_SEQ_CST);
}

int any_sys(struct actor *a)
{
	return from(a, a->w->sys, NR_SYS);
}

int any_vm(struct actor *a)
{
	return from(a, a->w->vm, NR_VMS);
}

int any_vcpu(struct actor *a)
{
	return from(a, a->w->vcpu, NR_VCPUS);
}

int any_eventfd(struct actor *a)
{
	return from(a, a->w->eventfd, NR_EVENTFDS);
}

void *any_address(struct actor *a)
{
	static const uint64_t wild[] = {
		0, 0x1000, 0x7ffffffff000, 0x800000000000, 0xffff800000000000, 0xffffffff81000000,
		0xfffffffffffff000,
	};
	uint8_t *area = a->w->area[rng_below(a->r, NR_AREAS)];
	uint64_t in = rng_below(a->r, AREA_SIZE / PAGE_SIZE) * PAGE_SIZE;

	switch (rng_below(a->r, 16)) {
	case 0:
		return (void *)rng_pick(a->r, wild);
	case 1:
		return a->w->run[rng_below(a->r, NR_VCPUS)];
	case 2:
		return area + in + rng_below(a->r, PAGE_SIZE);
	case 3:
	case 4:
	case 5:
		return area + in;
	default:
		return area;
	}
}

uint64_t any_gpa(struct rng *r)
{
	static const uint64_t known[] = {
		0,
		0,
		0,
		0x1000,
		0x8000,
		0xa0000,
		0x100000,
		0x200000,
		0x3ff000,
		0x400000,
		0xfec00000,
		0xfee00000,
		0xfffbc000,
		0xfffff000,
		0x100000000,
		0x7ffffff000,
		0xfffffff000,
		0xffffffff000,
		0xffffffffff000,
		0xfffffffffffff000,
	};
	uint64_t gpa = rng_pick(r, known);

	if (rng_one_in(r, 4))
		gpa += rng_below(r, 1024) * PAGE_SIZE;
	if (rng_one_in(r, 32))
		gpa += rng_below(r, PAGE_SIZE);
	return gpa;
}

uint64_t any_size(struct rng *r)
{
	static const uint64_t known[] = {
		0,	   PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE, 65 * PAGE_SIZE,
		1UL << 20, 2UL << 20, AREA_SIZE, AREA_SIZE,	1UL << 30,
	};
	uint64_t size = rng_pick(r, known);

	if (rng_one_in(r, 32))
		size += rng_below(r, 2 * PAGE_SIZE);
	if (rng_one_in(r, 64))
		size = -PAGE_SIZE;
	return size;
}

uint64_t any_u64(struct rng *r)
{
	uint64_t v = rng64(r);

	switch (rng_below(r, 8)) {
	case 0:
		return v % 4;
	case 1:
		return v % 256;
	case 2:
		return 1ULL << v % 64;
	case 3:
		return (1ULL << v % 64) - 1;
	case 4:
		return -1ULL << v % 64;
	case 5:
		return v % 0x100000000;
	case 6:
		return 0xfee00000 | v % 0x1000;
	default:
		return v;
	}
}

void mutate(struct rng *r, void *data, size_t len)
{
	uint64_t nr = rng_below(r, 6);
	uint8_t *p = data;

	while (nr-- && len >= 8) {
		uint64_t v = any_u64(r);
		size_t at = rng_below(r, len - 7);

		switch (rng_below(r, 4)) {
		case 0:
			memcpy(p + at, &v, 1ULL << v % 4);
			break;
		case 1:
			at &= ~7UL;
			memcpy(p + at, &v, 8);
			break;
		default:
			p[at] ^= 1 << v % 8;
			break;
		}
	}
	if (rng_one_in(r, 64))
		rng_fill(r, data, len < 4096 ? len : 4096);
}
