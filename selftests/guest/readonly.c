// SPDX-License-Identifier: GPL-2.0-only
/* A read-only slot reads and executes like memory; writes go to userspace and change nothing. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

static struct mmio_access log[16];

static int writes(void)
{
	int nr = host_call(HOST_LOG_READ, (uintptr_t)log, ARRAY_SIZE(log), 0, 0, 0);

	host_call(HOST_LOG_CLEAR, 0, 0, 0, 0, 0);
	return nr;
}

int main(void)
{
	volatile uint8_t *bytes = (volatile uint8_t *)READONLY_GPA;
	uint8_t before[64];

	writes();
	for (size_t i = 0; i < READONLY_SIZE; i += 97)
		check(bytes[i] == (uint8_t)(i ^ i >> 8), "byte %lu reads %x", i, bytes[i]);
	check_eq(0, writes(), "reads went to userspace");

	*(volatile uint32_t *)(READONLY_GPA + 0x20) = 0x12345678;
	check_eq(1, writes(), "one write");
	check_eq(READONLY_GPA + 0x20, log[0].gpa, "its address");
	check_eq(4, log[0].len, "its length");
	check_eq(0x12345678, log[0].data, "its value");
	check_eq(1, log[0].is_write, "its direction");
	check_eq(0x20, bytes[0x20], "unchanged");

	/* Read and write in one: the read is memory's. */
	memcpy(before, (void *)READONLY_GPA, sizeof(before));
	__atomic_or_fetch((uint8_t *)READONLY_GPA + 1, 0x80, __ATOMIC_SEQ_CST);
	check_eq(1, writes(), "locked OR");
	check_eq(0x81, log[0].data, "what it would have written");
	memcpy((void *)READONLY_GPA, before + 1, 8);
	check_eq(8, writes(), "REP MOVSB");
	check(!memcmp(before, (void *)READONLY_GPA, sizeof(before)), "changed after all");
	asm volatile("push %1\npop %0" : "=m"(*(volatile uint64_t *)(READONLY_GPA + 0x100))
		     : "r"(0x1234UL));
	check_eq(1, writes(), "POP");
	check_eq(0x1234, log[0].data, "what it would have written");
	check_eq(1, bytes[0x100], "unchanged");
	return 0;
}
