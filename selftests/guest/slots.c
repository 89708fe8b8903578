// SPDX-License-Identifier: GPL-2.0-only
/* Memory slots that are made, moved, deleted and discarded under CPUs which use them. */
#include "guest.h"

GUEST_NEEDS(.cpus = 3, .timeout_s = 60);

#define SLOT	FIRST_FREE_SLOT
#define SIZE	(64 * PAGE_SIZE)

static volatile bool stop, ready[3];

static int slot(uint64_t gpa, uint64_t size, uint64_t offset)
{
	return host_call(HOST_SLOT, SLOT, 0, gpa, size, offset);
}

static volatile uint64_t *word(uint64_t gpa)
{
	return (volatile uint64_t *)gpa;
}

static void one_cpu(void)
{
	check_eq(0, slot(ARENA_GPA, SIZE, 0), "create");
	for (int i = 0; i < 64; i++)
		*word(ARENA_GPA + i * PAGE_SIZE) = 1000 + i;
	check_eq(0, slot(ARENA_GPA + SIZE, SIZE, 0), "move");
	for (int i = 0; i < 64; i++)
		check_eq(1000 + i, *word(ARENA_GPA + SIZE + i * PAGE_SIZE), "after moving");
	check_eq(-1, *word(ARENA_GPA), "where it was");
	check_eq(0, slot(0, 0, 0), "delete");
	check_eq(-1, *word(ARENA_GPA + SIZE), "deleted");
	/* A write to nothing is a write to a device: nobody keeps it. */
	*word(ARENA_GPA + SIZE) = 5;
	check_eq(0, slot(ARENA_GPA, SIZE, 2 * SIZE), "another part");
	check_eq(0, *word(ARENA_GPA), "fresh memory");
	check_eq(0, slot(0, 0, 0), "delete");
	check_eq(0, slot(ARENA_GPA, SIZE, 0), "the first part again");
	check_eq(1000, *word(ARENA_GPA), "its contents");
	host_call(HOST_DISCARD, 0, SIZE, 0, 0, 0);
	check_eq(0, *word(ARENA_GPA), "discarded");
	check_eq(0, slot(0, 0, 0), "delete");
}

/* Either there and with the right contents, or not there. */
static void user(void *arg)
{
	unsigned int me = (uintptr_t)arg;

	ready[me] = true;
	while (!stop) {
		for (int i = 0; i < 64 && !stop; i++) {
			uint64_t value = *word(ARENA_GPA + i * PAGE_SIZE + 64 * me);

			if (value != ~0UL && value != 0x55aa0000UL + i &&
			    !check(false, "CPU %u page %d: %lx", me, i, value))
				return;
		}
	}
}

static void under_load(void)
{
	check_eq(0, slot(ARENA_GPA, SIZE, 0), "create");
	for (int i = 0; i < 64; i++) {
		for (int cpu = 1; cpu < 3; cpu++)
			*word(ARENA_GPA + i * PAGE_SIZE + 64 * cpu) = 0x55aa0000UL + i;
	}
	for (uintptr_t i = 1; i < 3; i++) {
		smp_start(i, user, (void *)i);
		wait_for(ready[i], 1000);
	}
	for (int round = 0; round < 25; round++) {
		check_eq(0, slot(ARENA_GPA + 2 * SIZE, SIZE, 0), "move away");
		check_eq(0, slot(ARENA_GPA, SIZE, 0), "move back");
		delay_us(200);
		check_eq(0, slot(0, 0, 0), "delete");
		check_eq(0, slot(ARENA_GPA, SIZE, 0), "create");
		delay_us(200);
	}
	stop = true;
	smp_wait(1);
	smp_wait(2);
	for (int i = 0; i < 64; i++)
		check_eq(0x55aa0000UL + i, *word(ARENA_GPA + i * PAGE_SIZE + 64), "at the end");
}

int main(void)
{
	one_cpu();
	under_load();
	return 0;
}
