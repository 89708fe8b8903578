// SPDX-License-Identifier: GPL-2.0-only
/* x87, SSE and AVX registers keep their contents over exits, signals, moves between host CPUs. */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define ROUNDS	60

struct vectors {
	uint8_t ymm[16][32];
	uint32_t mxcsr;
} __attribute__((aligned(64)));

static bool avx;
static volatile bool ready, stop;

static void load(const struct vectors *v)
{
	asm volatile("ldmxcsr %0" : : "m"(v->mxcsr));
#define LOAD(n) do { if (avx)							\
		asm volatile("vmovdqu %0, %%ymm" #n : : "m"(v->ymm[n]));	\
	else									\
		asm volatile("movdqu %0, %%xmm" #n : : "m"(v->ymm[n])); } while (0)
	LOAD(0); LOAD(1); LOAD(2); LOAD(3); LOAD(4); LOAD(5); LOAD(6); LOAD(7);
	LOAD(8); LOAD(9); LOAD(10); LOAD(11); LOAD(12); LOAD(13); LOAD(14); LOAD(15);
}

static void store(struct vectors *v)
{
	asm volatile("stmxcsr %0" : "=m"(v->mxcsr));
#define STORE(n) do { if (avx)							\
		asm volatile("vmovdqu %%ymm" #n ", %0" : "=m"(v->ymm[n]));	\
	else									\
		asm volatile("movdqu %%xmm" #n ", %0" : "=m"(v->ymm[n])); } while (0)
	STORE(0); STORE(1); STORE(2); STORE(3); STORE(4); STORE(5); STORE(6); STORE(7);
	STORE(8); STORE(9); STORE(10); STORE(11); STORE(12); STORE(13); STORE(14); STORE(15);
}

static bool same(const struct vectors *a, const struct vectors *b)
{
	for (int i = 0; i < 16; i++) {
		if (memcmp(a->ymm[i], b->ymm[i], avx ? 32 : 16))
			return false;
	}
	return a->mxcsr == b->mxcsr;
}

static void enable_avx(void)
{
	if (!(cpuid(1, 0).ecx & 1 << 28))
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	asm volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
	avx = true;
}

static void fill(struct vectors *v, uint8_t seed)
{
	for (int i = 0; i < 16; i++) {
		for (int j = 0; j < 32; j++)
			v->ymm[i][j] = seed + i * 32 + j * 3;
	}
	v->mxcsr = seed & 1 ? 0x1f80 : 0x1fa0;
}

/* Another guest CPU with contents of its own, on the same host CPUs. */
static void other(void *arg)
{
	static struct vectors mine, now;

	(void)arg;
	enable_avx();
	fill(&mine, 0x91);
	load(&mine);
	ready = true;
	while (!stop) {
		outb(PORT_LATCH, 1);
		store(&now);
		if (!check(same(&mine, &now), "CPU 1's registers changed"))
			return;
	}
}

static void exits(void)
{
	static struct vectors mine, now;

	for (int i = 0; i < ROUNDS; i++) {
		int ret = 0;

		fill(&mine, i);
		load(&mine);
		switch (i % 4) {
		case 0:
			outb(PORT_LATCH, i);
			break;
		case 1:
			cpuid(0, 0);
			break;
		case 2:
			*(volatile uint32_t *)MMIO_GPA = i;
			break;
		case 3:
			ret = host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
			break;
		}
		store(&now);
		check(same(&mine, &now), "after exit of kind %d, round %d", i % 4, i);
		if (i == 3)
			print("host CPU after migration: %d\n", ret);
	}
}

static void x87(void)
{
	static const uint64_t numbers[8] = { 3, 1, 4, 1, 5, 9, 2, 6 };
	uint16_t fcw = 0x27f, fcw_now, fsw;

	asm volatile("fninit\nfldcw %0" : : "m"(fcw));
	for (int i = 0; i < 8; i++)
		asm volatile("fildq %0" : : "m"(numbers[i]));
	outb(PORT_LATCH, 1);
	host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
	asm volatile("fnstcw %0\nfnstsw %1" : "=m"(fcw_now), "=m"(fsw));
	check_eq(fcw, fcw_now, "x87 control word");
	check_eq(0, fsw >> 11 & 7, "x87 top of stack");
	for (int i = 7; i >= 0; i--) {
		uint64_t value;

		asm volatile("fistpq %0" : "=m"(value));
		check_eq(numbers[i], value, "x87 register");
	}
}

/* XCR0 as the guest set it, not as the host has it, after every exit. */
static void xcr0(void)
{
	uint32_t lo, hi;

	if (!avx)
		return;
	asm volatile("xsetbv" : : "c"(0), "a"(3), "d"(0));
	outb(PORT_LATCH, 1);
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	check_eq(3, lo, "XCR0 after an exit");
	check_eq(UD, TRY("vpxor %%ymm0, %%ymm0, %%ymm0"), "AVX switched off in XCR0");
	asm volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
}

int main(void)
{
	enable_avx();
	print("AVX: %d\n", avx);
	x87();
	exits();
	smp_start(1, other, NULL);
	wait_for(ready, 1000);
	host_call(HOST_STORM, 1000, 0, 0, 0, 0);
	exits();
	host_call(HOST_STORM, 0, 0, 0, 0, 0);
	stop = true;
	smp_wait(1);
	xcr0();
	return 0;
}
