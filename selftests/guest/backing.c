// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is backed by anonymous, huge, memfd and file pages behaves the same. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 40);

#define SIZE	(4UL << 20)

static void pattern(int kind)
{
	for (uint64_t at = 0; at < SIZE; at += PAGE_SIZE)
		*(volatile uint64_t *)(ARENA_GPA + at + 8) = at ^ kind;
	for (uint64_t at = 0; at < SIZE; at += PAGE_SIZE) {
		uint64_t value = *(volatile uint64_t *)(ARENA_GPA + at + 8);

		if (value != (at ^ kind) && !check(false, "kind %d at %lx: %lx", kind, at, value))
			return;
	}
	check(true, "kind %d", kind);
}

int main(void)
{
	static const char *const names[] = { "anonymous", "THP", "hugetlb", "memfd", "file" };

	for (int kind = BACKING_ANON; kind <= BACKING_FILE; kind++) {
		int ret = host_call(HOST_BACKING, FIRST_FREE_SLOT, 0, ARENA_GPA, SIZE, kind);

		if (ret == -12 && kind == BACKING_HUGETLB) {
			print("no huge pages reserved on the host\n");
			continue;
		}
		if (!check(ret == 0, "%s: %d", names[kind], ret))
			continue;
		pattern(kind);

		check_eq(0, host_call(HOST_BACKING, FIRST_FREE_SLOT, 0, 0, 0, kind), "delete");
	}
	return 0;
}
