// SPDX-License-Identifier: GPL-2.0-only
/* Four CPUs fault in the same 24 MiB at once, while the host takes parts of it away again. */
#include "guest.h"

GUEST_NEEDS(.cpus = 4, .memory_mib = 32, .timeout_s = 60);

#define SLOT	FIRST_FREE_SLOT
#define SIZE	(24UL << 20)
#define PAGES	(SIZE / PAGE_SIZE)

static volatile uint64_t *word(uint64_t page, unsigned int cpu)
{
	return (volatile uint64_t *)(ARENA_GPA + page * PAGE_SIZE + cpu * 64);
}

static volatile bool discarding;

/* Each CPU writes its own word of every page, each in another order. */
static void touch(void *arg)
{
	unsigned int cpu = (uintptr_t)arg;

	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t page = cpu & 1 ? PAGES - 1 - i : i;

		if (cpu & 2)
			page ^= 0x155 % PAGES;
		if (page >= PAGES)
			page = i;
		*word(page, cpu) = page * 4 + cpu;
	}
}

static void read_back(void *arg)
{
	unsigned int cpu = (uintptr_t)arg;

	for (uint64_t page = 0; page < PAGES; page++) {
		uint64_t value = *word(page, cpu);

		if (value != page * 4 + cpu && !(discarding && !value) &&
		    !check(false, "CPU %u page %lu: %lx", cpu, page, value))
			return;
	}
}

static void together(void (*fn)(void *))
{
	for (uintptr_t i = 1; i < 4; i++)
		smp_start(i, fn, (void *)i);
	fn(NULL);
	for (unsigned int i = 1; i < 4; i++)
		smp_wait(i);
}

int main(void)
{
	check_eq(0, host_call(HOST_SLOT, SLOT, 0, ARENA_GPA, SIZE, 0), "slot");
	together(touch);
	together(read_back);
	/* And with pages going away all the time: the value or zero, never another page's. */
	discarding = true;
	for (uintptr_t i = 1; i < 4; i++)
		smp_start(i, read_back, (void *)i);
	for (uint64_t at = 0; at < SIZE; at += SIZE / 16)
		host_call(HOST_DISCARD, at, SIZE / 32, 0, 0, 0);
	for (unsigned int i = 1; i < 4; i++)
		smp_wait(i);
	check(*word(0, 0) == 0, "page 0 was discarded");
	check(*word(PAGES / 32 + 1, 0) == (PAGES / 32 + 1) * 4, "a page that was not is gone");
	return 0;
}
