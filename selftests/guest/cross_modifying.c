// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that another CPU changes, by the protocol of SDM vol. 3A, 8.1.3: the other one executes a
 * serializing instruction before the new code. Plain instructions, instructions that the hypervisor
 * executes (whose bytes it may have to fetch itself), and code that the hypervisor's emulator wrote.
 *
 *	make test-guest T=guest/cross_modifying
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 2, .timeout_s = 40);

#define ROUNDS	300
#define ALIAS	0x18000000000UL

static uint8_t *code;
static volatile uint32_t turn, answer;
static volatile bool stop;

/* The device's bytes as memory. */
static volatile uint32_t *const device = (volatile uint32_t *)(MMIO_ALIAS_GPA + 0x100);

static uint32_t run_code(void)
{
	uint32_t value;

	asm volatile("call *%1" : "=a"(value) : "r"(code), "D"(MMIO_GPA + 0x100) : "memory", "cc");
	return value;
}

/* Runs the code whenever it is its turn. */
static void other(void *arg)
{
	uint32_t seen = 0;

	(void)arg;
	while (!stop) {
		if (turn == seen) {
			cpu_relax();
			continue;
		}
		cpuid(0, 0);
		seen = turn;
		answer = run_code();
		__atomic_store_n(&turn, seen + 1, __ATOMIC_SEQ_CST);
		seen++;
	}
}

/* Hands over and waits. What the code returned on the other CPU. */
static uint32_t run_there(void)
{
	uint32_t before = turn;

	__atomic_store_n(&turn, before + 1, __ATOMIC_SEQ_CST);
	if (!wait_for(turn == before + 2, 2000)) {
		check(false, "the other CPU did not run the code");
		verdict();
	}
	return answer;
}

static void put(uint8_t *at, const char *text, size_t size, uint32_t value)
{
	memcpy(at, text, size);
	memcpy(at + size, &value, 4);
	at[size + 4] = 0xc3;
}

/* Instructions of several lengths at one place, by this CPU's own address and by another one. */
static void plain(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint8_t *at = i & 1 ? code : (uint8_t *)ALIAS;

		if (i % 3)
			put(at, "\xb8", 1, i);			/* mov $i, %eax */
		else
			put(at, "\x48\xc7\xc0", 3, i);		/* mov $i, %rax */
		check_eq(i, run_there(), "code that this CPU wrote");
	}
}

/* The new instruction's bytes reach the emulator, not those of the last time. */
static void emulated(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (i % 3)
			put(code, "\xc7\x07", 2, i);		/* movl $i, (%rdi) */
		else
			put(code, "\x81\x07", 2, i);		/* addl $i, (%rdi) */
		*device = 1000;
		run_there();
		check_eq(i % 3 ? i : 1000 + i, *device, "device access that this CPU wrote");
	}
}

/* Written by MOVS and INS: by the emulator, to memory whose code is being executed. */
static void written_by_the_emulator(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint8_t *to = code;
		uint64_t count = 6;

		put((uint8_t *)device, "\xb8", 1, i + 7000);
		if (i & 1) {
			uint64_t from = MMIO_GPA + 0x100;

			asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		} else {
			for (int j = 0; j < 6; j++)
				outb(PORT_FIFO, ((volatile uint8_t *)device)[j]);
			asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"((uint16_t)PORT_FIFO)
				     : "memory");
		}
		check_eq(i + 7000, run_code(), "code that the emulator wrote");
		check_eq(i + 7000, run_there(), "the same on the other CPU");
	}
}

int main(void)
{
	code = page_alloc();
	map_page(ALIAS, (uintptr_t)code, PTE_W, 1);
	put(code, "\xb8", 1, 0);
	smp_start(1, other, NULL);
	plain();
	emulated();
	written_by_the_emulator();
	stop = true;
	smp_wait(1);
	return 0;
}
