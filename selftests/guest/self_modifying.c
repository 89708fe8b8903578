// SPDX-License-Identifier: GPL-2.0-only
/* Code that is changed runs as changed: by the CPU itself, by another, by the host's page. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

static uint8_t *code;
static volatile bool changed;

/* mov $value, %eax; ret */
static void write_code(uint8_t *at, uint32_t value)
{
	at[0] = 0xb8;
	memcpy(at + 1, &value, 4);
	at[5] = 0xc3;
}

static uint32_t run_code(uint8_t *at)
{
	uint32_t value;

	asm volatile("call *%1" : "=a"(value) : "r"(at) : "memory");
	return value;
}

static void other(void *arg)
{
	(void)arg;
	write_code(code, 4242);
	changed = true;
}

int main(void)
{
	uint8_t *alias = (uint8_t *)0x10000000000UL;

	code = page_alloc();
	for (uint32_t i = 0; i < 200; i++) {
		write_code(code, i);
		check_eq(i, run_code(code), "rewritten in place");
	}
	map_page((uintptr_t)alias, (uintptr_t)code, PTE_W, 1);
	for (uint32_t i = 0; i < 50; i++) {
		write_code(alias, i + 1000);
		check_eq(i + 1000, run_code(code), "rewritten through another address");
	}
	smp_start(1, other, NULL);
	wait_for(changed, 1000);
	cpuid(0, 0);
	check_eq(4242, run_code(code), "rewritten by another CPU");
	smp_wait(1);
	/* The code lies in a slot whose page is taken away and comes back as zeros. */
	check_eq(0, host_call(HOST_SLOT, FIRST_FREE_SLOT, 0, ARENA_GPA, PAGE_SIZE, 0), "slot");
	code = (uint8_t *)ARENA_GPA;
	write_code(code, 77);
	check_eq(77, run_code(code), "in a slot of its own");
	host_call(HOST_DISCARD, 0, PAGE_SIZE, 0, 0, 0);
	check_eq(0, code[0], "discarded");
	write_code(code, 78);
	check_eq(78, run_code(code), "written again");
	return 0;
}
