// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that a CPU holds stays as it is while its thread moves between host CPUs: every component of
 * XSAVE that it has (x87, SSE, AVX, AVX-512, PKRU), debug registers, CR2, CR8, MSRs, and a TSC that
 * never goes back. Two CPUs with contents of their own pass over the same host CPUs.
 *
 *	make test-guest T=guest/migration	skipped on a host with one CPU
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 2, .timeout_s = 40);

#define ROUNDS		80
#define AREA		8192
#define XSTATE_BV	512
#define LEGACY_X87	32	/* ST0-7, 16 bytes each */
#define LEGACY_XMM	160
#define MXCSR_DEFAULT	0x1f80
#define PKRU_COMPONENT	9

static const uint32_t msrs[] = {
	0x174, 0x175, 0x176,				/* SYSENTER */
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,	/* STAR, LSTAR, CSTAR, FMASK */
	0xc0000100, 0xc0000101, 0xc0000102,		/* bases of FS and GS */
	0x277,						/* PAT */
	0x201, 0x250,					/* MTRRs */
};

struct content {
	uint8_t area[AREA] __attribute__((aligned(64)));
	uint64_t msr[ARRAY_SIZE(msrs)], dr[4], cr2, cr8, xcr0;
	uint32_t tsc_aux;
};

static struct content mine[2], now[2];
static bool has_xsave, has_rdtscp;
static uint64_t components;
static uint64_t seed;
static volatile bool ready, stop;
static volatile uint64_t moves;

static uint64_t random(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 16;
}

static void xsetbv(uint64_t value)
{
	asm volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void xrstor(const uint8_t *area)
{
	if (has_xsave)
		asm volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	else
		asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static void xsave(uint8_t *area)
{
	memset(area, 0, AREA);
	if (has_xsave)
		asm volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	else
		asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

/* An image with random contents in all components. */
static void fill_area(uint8_t *area, unsigned int cpu)
{
	memset(area, 0, AREA);
	*(uint16_t *)area = cpu ? 0x37f : 0x27f;
	area[4] = 0xff;		/* no x87 register is empty */
	*(uint32_t *)(area + 24) = MXCSR_DEFAULT | (cpu ? 0x2000 : 0x8000);
	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 10; j++)
			area[LEGACY_X87 + 16 * i + j] = random();
	}
	for (int i = 0; i < 256; i++)
		area[LEGACY_XMM + i] = random();
	if (!has_xsave)
		return;
	*(uint64_t *)(area + XSTATE_BV) = components;
	for (int c = 2; c < 63; c++) {
		struct cpuid where = cpuid(0xd, c);

		if (!(components & 1ULL << c))
			continue;
		for (uint32_t i = 0; i < (c == PKRU_COMPONENT ? 4 : where.eax); i++)
			area[where.ebx + i] = random();
	}
}

static bool same_area(const uint8_t *a, const uint8_t *b)
{
	/* Control word, MXCSR, registers; what remembers the last x87 instruction is each CPU's own. */
	if (memcmp(a, b, 5) || memcmp(a + 24, b + 24, 4) ||
	    memcmp(a + LEGACY_X87, b + LEGACY_X87, 128 + 256))
		return false;
	for (int c = 2; has_xsave && c < 63; c++) {
		struct cpuid where = cpuid(0xd, c);

		if (components & 1ULL << c && memcmp(a + where.ebx, b + where.ebx, where.eax))
			return false;
	}
	return true;
}

static uint64_t msr_value(uint32_t index, unsigned int cpu)
{
	switch (index) {
	case 0x277:
		return cpu ? 0x0007040600070406 : 0x0007010600070106;
	case 0x250:
		return cpu ? 0x0606060606060606 : 0x0404040404040404;
	case 0x201:
		return cpu ? 0xffff000000 & ~0x800UL : 0x0fff000000;
	case 0xc0000084:
		return cpu ? 0x47700 : 0x3f7fd5;
	case 0xc0000081:
		return 0x0023001000000000 + ((uint64_t)cpu << 52);
	case 0x174:
		return 0x10 + cpu * 0x20;
	default:
		return 0x7f0000000000 + (uint64_t)(index & 0xfff) * PAGE_SIZE + cpu;
	}
}

#define EACH_DR(op) op(0); op(1); op(2); op(3)

static void load(struct content *c, unsigned int cpu)
{
	fill_area(c->area, cpu);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		c->msr[i] = msr_value(msrs[i], cpu);
		wrmsr(msrs[i], c->msr[i]);
		/* What the register is made of decides: not every CPU has all of an MTRR's bits. */
		c->msr[i] = rdmsr(msrs[i]);
	}
	for (int i = 0; i < 4; i++)
		c->dr[i] = 0x1000000 * (cpu + 1) + i * 8;
#define LOAD(n) asm volatile("mov %0, %%dr" #n : : "r"(c->dr[n]))
	EACH_DR(LOAD);
	/* Enabled, on addresses that nobody touches. */
	asm volatile("mov %0, %%dr7" : : "r"(0x4aaUL));
	c->cr2 = 0x123456000 + cpu;
	write_cr2(c->cr2);
	c->cr8 = 3 + cpu;
	write_cr8(c->cr8);
	if (has_rdtscp)
		wrmsr(0xc0000103, c->tsc_aux = 0x77 + cpu);
	xrstor(c->area);
}

static void store(struct content *c)
{
	xsave(c->area);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		c->msr[i] = rdmsr(msrs[i]);
#define STORE(n) asm volatile("mov %%dr" #n ", %0" : "=r"(c->dr[n]))
	EACH_DR(STORE);
	c->cr2 = read_cr2();
	c->cr8 = read_cr8();
	if (has_rdtscp)
		asm volatile("rdtscp" : "=c"(c->tsc_aux) : : "rax", "rdx");
}

static bool compare(unsigned int cpu)
{
	struct content *a = &mine[cpu], *b = &now[cpu];
	bool ok;

	store(b);
	ok = check(same_area(a->area, b->area), "CPU %u: the image of XSAVE changed", cpu);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		ok &= check(a->msr[i] == b->msr[i], "CPU %u: MSR %x is %lx, not %lx", cpu, msrs[i],
			    b->msr[i], a->msr[i]);
	for (int i = 0; i < 4; i++)
		ok &= check(a->dr[i] == b->dr[i], "CPU %u: DR%d is %lx", cpu, i, b->dr[i]);
	ok &= check(a->cr2 == b->cr2 && a->cr8 == b->cr8 && a->tsc_aux == b->tsc_aux,
		    "CPU %u: CR2 %lx CR8 %lx TSC_AUX %x", cpu, b->cr2, b->cr8, b->tsc_aux);
	return ok;
}

/* Moves and compares; with an exit of another kind in between now and then. */
static void wander(unsigned int cpu, int round)
{
	uint64_t before = rdtsc(), after;

	if (host_call(HOST_MIGRATE, 0, 0, 0, 0, 0) >= 0)
		__atomic_add_fetch(&moves, 1, __ATOMIC_SEQ_CST);
	after = rdtsc();
	check(after > before, "CPU %u: the TSC went back by %lu", cpu, before - after);
	if (round % 3 == 1)
		cpuid(0, 0);
	else if (round % 3 == 2)
		*(volatile uint32_t *)(MMIO_GPA + 0x200 + 4 * cpu) = round;
}

static void enable(void)
{
	if (!has_xsave)
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xsetbv(components);
}

static void other(void *arg)
{
	(void)arg;
	enable();
	load(&mine[1], 1);
	ready = true;
	for (int i = 0; !stop; i++) {
		wander(1, i);
		if (!compare(1))
			return;
	}
}

int main(void)
{
	if (host_call(HOST_MIGRATE, 0, 0, 0, 0, 0) < 0)
		skip("the host has one CPU");
	has_rdtscp = cpuid(0x80000001, 0).edx & 1 << 27;
	has_xsave = cpuid(1, 0).ecx & 1 << 26;
	if (has_xsave)
		components = cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32;
	/* Those of MPX and AMX want more than a bit in XCR0. */
	components &= 0x2e7;
	print("XCR0 %lx, RDTSCP %u\n", components, has_rdtscp);
	check(!has_xsave || cpuid(0xd, 0).ecx <= AREA, "an image of %u bytes", cpuid(0xd, 0).ecx);
	enable();
	smp_start(1, other, NULL);
	wait_for(ready, 1000);
	host_call(HOST_STORM, 2000, 0, 0, 0, 0);
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 8 == 0)
			load(&mine[0], 0);
		wander(0, i);
		if (!compare(0))
			break;
	}
	host_call(HOST_STORM, 0, 0, 0, 0, 0);
	stop = true;
	smp_wait(1);
	check(moves >= ROUNDS, "%lu moves", moves);
	asm volatile("mov %0, %%dr7" : : "r"(0x400UL));
	return 0;
}
