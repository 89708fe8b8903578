// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk of the guest's page tables: each rule by itself with the outcome written out, and random
 * tables of all modes against the oracle.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/kernel.h>
#include <stdlib.h>
#include <string.h>
#include "tap.h"
#include "walk_oracle.h"

#define P 0x001ULL
#define W 0x002ULL
#define U 0x004ULL
#define A 0x020ULL
#define D 0x040ULL
#define PS 0x080ULL
#define NX (1ULL << 63)
#define ALL (P | W | U)

#define READ 0
#define WRITE OST_ACCESS_WRITE
#define USER OST_ACCESS_USER
#define FETCH OST_ACCESS_FETCH
#define IMPLICIT OST_ACCESS_IMPLICIT

static struct ost_walk_state state;
static struct ost_walk_fault fault;
static gpa_t gpa;

static void put(u64 at, u64 entry, u32 size)
{
	memcpy(&walk_memory[0][0] + at, &entry, size);
}

static u64 get(u64 at, u32 size)
{
	u64 entry = 0;

	memcpy(&entry, &walk_memory[0][0] + at, size);
	return entry;
}

static int walk(u64 gva, u32 access)
{
	memset(&fault, 0, sizeof(fault));
	gpa = ~0ULL;
	return ost_walk(&state, &walk_memory_ops, NULL, gva, access, &gpa, &fault);
}

#define CHECK_MAPS(gva, access, want)                                                              \
	do {                                                                                       \
		CHECK_EQ(walk(gva, access), 0);                                                    \
		CHECK_EQ(gpa, want);                                                               \
	} while (0)

#define CHECK_FAULTS(gva, access, want)                                                            \
	do {                                                                                       \
		CHECK_EQ(walk(gva, access), 1);                                                    \
		CHECK(!fault.not_memory);                                                          \
		CHECK_EQ(fault.error_code, want);                                                  \
		CHECK_EQ(fault.address, gva);                                                      \
	} while (0)

/* Tables at 0x1000 (PML4, PD of 32-bit mode), 0x2000, 0x3000, 0x4000; address 0 maps to 0x9000. */
static void setup(u64 cr4, u64 efer)
{
	memset(walk_memory, 0, sizeof(walk_memory));
	memset(&state, 0, sizeof(state));
	state.cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP;
	state.cr3 = 0x1000;
	state.cr4 = cr4;
	state.efer = efer;
	state.gpa_reserved = ~((1ULL << 40) - 1);
	state.gbpages = true;
	state.pse36 = true;
}

static void setup_32(void)
{
	setup(X86_CR4_PSE, 0);
	put(0x1000, 0x2000 | ALL, 4);
	put(0x2000, 0x9000 | ALL, 4);
}

static void setup_pae(void)
{
	setup(X86_CR4_PAE, EFER_NX);
	put(0x1000, 0x2000 | P, 8);
	put(0x2000, 0x3000 | ALL, 8);
	put(0x3000, 0x9000 | ALL, 8);
}

static void setup_long(void)
{
	setup(X86_CR4_PAE, EFER_NX | EFER_LME | EFER_LMA);
	put(0x1000, 0x2000 | ALL, 8);
	put(0x2000, 0x3000 | ALL, 8);
	put(0x3000, 0x4000 | ALL, 8);
	put(0x4000, 0x9000 | ALL, 8);
}

static void test_32(void)
{
	setup_32();
	CHECK_MAPS(0x123, READ, 0x9123);
	CHECK_EQ(get(0x1000, 4), 0x2000 | ALL | A);
	CHECK_EQ(get(0x2000, 4), 0x9000 | ALL | A);
	CHECK_MAPS(0x123, WRITE, 0x9123);
	CHECK_EQ(get(0x1000, 4), 0x2000 | ALL | A);
	CHECK_EQ(get(0x2000, 4), 0x9000 | ALL | A | D);
	CHECK_FAULTS(0x1000, USER | WRITE, 6);
	CHECK_FAULTS(0x400000, READ, 0);
	/* The upper half of an address does not count outside of long mode. */
	CHECK_EQ(walk(0x500000123, READ), 0);
	CHECK_EQ(gpa, 0x9123);
	/* Index bits: 31:22 and 21:12. */
	put(0x1ffc, 0x2000 | ALL, 4);
	put(0x2ffc, 0xa000 | ALL, 4);
	CHECK_MAPS(0xffffffff, READ, 0xafff);
}

static void test_32_large(void)
{
	setup_32();
	put(0x1004, 0x00800000 | PS | ALL | (0x12ULL << 13), 4);
	CHECK_MAPS(0x412345, READ, 0x1200812345);
	put(0x1004, 0x00800000 | PS | ALL | 1 << 21, 4);
	CHECK_FAULTS(0x412345, READ, 9);
	/* Bit 40 of the address would be beyond MAXPHYADDR 36's. */
	state.gpa_reserved = ~((1ULL << 36) - 1);
	put(0x1004, 0x00800000 | PS | ALL | (0x10ULL << 13), 4);
	CHECK_FAULTS(0x412345, READ, 9);
	state.pse36 = false;
	put(0x1004, 0x00800000 | PS | ALL | 1 << 13, 4);
	CHECK_FAULTS(0x412345, READ, 9);
	/* Without CR4.PSE the bit means nothing. */
	state.cr4 = 0;
	put(0x1004, 0x2000 | PS | ALL, 4);
	CHECK_MAPS(0x400123, READ, 0x9123);
}

static void test_pae(void)
{
	setup_pae();
	CHECK_MAPS(0x123, WRITE, 0x9123);
	CHECK_EQ(get(0x1000, 8), 0x2000 | P);
	CHECK_EQ(get(0x2000, 8), 0x3000 | ALL | A);
	CHECK_EQ(get(0x3000, 8), 0x9000 | ALL | A | D);
	CHECK_FAULTS(0x40000000, READ, 0);
	/* Large page, and its reserved bits. */
	put(0x2008, 0x12200000 | PS | ALL, 8);
	CHECK_MAPS(0x212345, READ, 0x12212345);
	put(0x2008, 0x12200000 | PS | ALL | 1 << 13, 8);
	CHECK_FAULTS(0x212345, READ, 9);
	/* Bits 62:52 are reserved, in contrast to long mode. */
	put(0x3000, 0x9000 | ALL | 1ULL << 52, 8);
	CHECK_FAULTS(0x123, READ, 9);
	/* CR3 aligned to 32 bytes; PDPTEs as the CPU holds them. */
	setup_pae();
	put(0x1fe0, 0x2000 | P, 8);
	put(0x1000, 0, 8);
	state.cr3 = 0x1fe0;
	CHECK_MAPS(0x123, READ, 0x9123);
	state.pdptes_valid = true;
	CHECK_FAULTS(0x123, READ, 0);
	state.pdptes[0] = 0x2000 | P;
	CHECK_MAPS(0x123, READ, 0x9123);
	/* From memory a bad one faults, for NPT walks it without loading it first. */
	state.pdptes_valid = false;
	put(0x1fe0, 0x2000 | P | W, 8);
	CHECK_FAULTS(0x123, READ, 9);
}

static void test_long(void)
{
	setup_long();
	CHECK_MAPS(0x123, WRITE, 0x9123);
	for (u64 at = 0x1000; at < 0x4000; at += 0x1000)
		CHECK_EQ(get(at, 8) & 0xfff, ALL | A);
	CHECK_EQ(get(0x4000, 8), 0x9000 | ALL | A | D);
	/* Bits 58:52 are the system's. */
	put(0x4000, 0x9000 | ALL | 0x7fULL << 52, 8);
	CHECK_MAPS(0x123, READ, 0x9123);
	put(0x4000, 0x9000 | ALL | 1ULL << 40, 8);
	CHECK_FAULTS(0x123, READ, 9);
	/* 2 MiB and 1 GiB */
	put(0x3008, 0x12200000 | PS | ALL, 8);
	CHECK_MAPS(0x212345, READ, 0x12212345);
	put(0x3008, 0x12200000 | PS | ALL | 1 << 20, 8);
	CHECK_FAULTS(0x212345, READ, 9);
	put(0x2008, 0x80000000 | PS | ALL, 8);
	CHECK_MAPS(0x52345678, READ, 0x92345678);
	put(0x2008, 0x80000000 | PS | ALL | 1 << 29, 8);
	CHECK_FAULTS(0x52345678, READ, 9);
	put(0x2008, 0x80000000 | PS | ALL, 8);
	state.gbpages = false;
	CHECK_FAULTS(0x52345678, READ, 9);
	put(0x1000, 0x2000 | PS | ALL, 8);
	CHECK_FAULTS(0x123, READ, 9);
	/* Index bits of the highest level. */
	setup_long();
	put(0x1ff8, 0x2000 | ALL, 8);
	CHECK_MAPS(0xffffff8000000123, READ, 0x9123);
}

static void test_la57(void)
{
	setup_long();
	state.cr4 |= X86_CR4_LA57;
	state.cr3 = 0x5000;
	put(0x5008, 0x1000 | ALL, 8);
	CHECK_MAPS(1ULL << 48 | 0x123, READ, 0x9123);
	CHECK_EQ(get(0x5008, 8), 0x1000 | ALL | A);
	CHECK_FAULTS(0x123, READ, 0);
	put(0x5008, 0x1000 | ALL | PS, 8);
	CHECK_FAULTS(1ULL << 48 | 0x123, READ, 9);
}

static void test_amd_global_bit(void)
{
	setup_long();
	put(0x1000, 0x2000 | ALL | 1 << 8, 8);
	CHECK_MAPS(0, READ, 0x9000);
	state.amd = true;
	CHECK_FAULTS(0, READ, 9);
}

static void test_user_supervisor(void)
{
	setup_long();
	CHECK_MAPS(0, USER | WRITE, 0x9000);
	put(0x3000, 0x4000 | P | W, 8);
	CHECK_FAULTS(0, USER, 5);
	CHECK_FAULTS(0, USER | WRITE, 7);
	CHECK_FAULTS(0, USER | FETCH, 0x15);
	CHECK_MAPS(0, WRITE, 0x9000);
	/* Descriptor tables are read with supervisor rights at any CPL. */
	CHECK_MAPS(0, USER | IMPLICIT, 0x9000);
}

static void test_write_protect(void)
{
	setup_long();
	put(0x2000, 0x3000 | P | U, 8);
	CHECK_FAULTS(0, WRITE, 3);
	CHECK_FAULTS(0, USER | WRITE, 7);
	CHECK_MAPS(0, USER, 0x9000);
	state.cr0 &= ~X86_CR0_WP;
	CHECK_MAPS(0, WRITE, 0x9000);
	CHECK_FAULTS(0, USER | WRITE, 7);
}

static void test_nx(void)
{
	setup_long();
	put(0x1000, 0x2000 | ALL | NX, 8);
	CHECK_MAPS(0, READ, 0x9000);
	CHECK_FAULTS(0, FETCH, 0x11);
	CHECK_FAULTS(0, USER | FETCH, 0x15);
	/* Without NXE the bit is reserved, and a fetch is not told apart. */
	state.efer &= ~EFER_NX;
	CHECK_FAULTS(0, READ, 9);
	CHECK_FAULTS(0, FETCH, 9);
	state.cr4 |= X86_CR4_SMEP;
	CHECK_FAULTS(0, FETCH, 0x19);
}

static void test_smep(void)
{
	setup_long();
	CHECK_MAPS(0, FETCH, 0x9000);
	state.cr4 |= X86_CR4_SMEP;
	CHECK_FAULTS(0, FETCH, 0x11);
	CHECK_MAPS(0, USER | FETCH, 0x9000);
	put(0x4000, 0x9000 | P | W, 8);
	CHECK_MAPS(0, FETCH, 0x9000);
	/* In 32-bit mode too. */
	setup_32();
	CHECK_MAPS(0, FETCH, 0x9000);
	state.cr4 |= X86_CR4_SMEP;
	CHECK_FAULTS(0, FETCH, 0x11);
}

static void test_smap(void)
{
	setup_long();
	state.cr4 |= X86_CR4_SMAP;
	CHECK_FAULTS(0, READ, 1);
	CHECK_FAULTS(0, WRITE, 3);
	CHECK_MAPS(0, FETCH, 0x9000);
	CHECK_MAPS(0, USER, 0x9000);
	CHECK_FAULTS(0, USER | IMPLICIT, 1);
	state.rflags = X86_EFLAGS_AC;
	CHECK_MAPS(0, WRITE, 0x9000);
	CHECK_FAULTS(0, IMPLICIT, 1);
	put(0x4000, 0x9000 | P | W, 8);
	state.rflags = 0;
	CHECK_MAPS(0, WRITE, 0x9000);
}

static void test_protection_keys(void)
{
	setup_long();
	state.cr4 |= X86_CR4_PKE;
	put(0x4000, 0x9000 | ALL | 5ULL << 59, 8);
	state.pkru = 1 << 10;
	CHECK_FAULTS(0, READ, 0x21);
	CHECK_FAULTS(0, USER | WRITE, 0x27);
	CHECK_MAPS(0, FETCH, 0x9000);
	state.pkru = 2 << 10;
	CHECK_MAPS(0, USER, 0x9000);
	CHECK_FAULTS(0, WRITE, 0x23);
	state.cr0 &= ~X86_CR0_WP;
	CHECK_MAPS(0, WRITE, 0x9000);
	CHECK_FAULTS(0, USER | WRITE, 0x27);
	/* Both reasons at once are both reported. */
	state.cr0 |= X86_CR0_WP;
	put(0x4000, 0x9000 | P | U | 5ULL << 59, 8);
	CHECK_FAULTS(0, WRITE, 0x23);
	/* Supervisor pages have no keys for PKRU; other keys' bits do not matter. */
	put(0x4000, 0x9000 | P | W | 5ULL << 59, 8);
	CHECK_MAPS(0, WRITE, 0x9000);
	state.pkru = ~(3 << 10);
	put(0x4000, 0x9000 | ALL | 5ULL << 59, 8);
	CHECK_MAPS(0, WRITE, 0x9000);
}

static void test_no_ad(void)
{
	setup_long();
	CHECK_MAPS(0x123, WRITE | OST_ACCESS_NO_AD, 0x9123);
	CHECK_EQ(get(0x4000, 8), 0x9000 | ALL);
	/* A fault leaves them alone as well. */
	CHECK_FAULTS(0x1000, WRITE, 2);
	CHECK_EQ(get(0x1000, 8), 0x2000 | ALL);
}

static void test_not_memory(void)
{
	setup_long();
	put(0x2000, 0x100000 | ALL, 8);
	CHECK_EQ(walk(0, READ), 1);
	CHECK(fault.not_memory);
	/* Tables in ROM are walked, but not marked. */
	setup_long();
	put(0x3000, (MEMORY_PAGES - 1) << 12 | ALL, 8);
	put((MEMORY_PAGES - 1) << 12, 0x9000 | ALL, 8);
	CHECK_MAPS(0x123, WRITE, 0x9123);
	CHECK_EQ(get((MEMORY_PAGES - 1) << 12, 8), 0x9000 | ALL);
}

/* Another vCPU changes the entry between its being read and being marked. */
static int changes;

static int changing_cmpxchg(void *ctx, gpa_t at, u64 old, u64 new, u32 size)
{
	if (at == 0x4000 && changes) {
		changes--;
		put(0x4000, old ^ 0x3000, 8);
	}
	return walk_memory_ops.cmpxchg(ctx, at, old, new, size);
}

static void test_changing(void)
{
	const struct ost_walk_ops ops = { walk_memory_ops.read, changing_cmpxchg };

	setup_long();
	changes = 1;
	CHECK_EQ(ost_walk(&state, &ops, NULL, 0x123, WRITE, &gpa, &fault), 0);
	CHECK_EQ(gpa, 0xa123);
	CHECK_EQ(get(0x4000, 8), 0xa000 | ALL | A | D);
	/* For ever is not waited. */
	setup_long();
	changes = 1 << 30;
	CHECK_EQ(ost_walk(&state, &ops, NULL, 0x123, WRITE, &gpa, &fault), 1);
	CHECK(fault.not_memory);
}

static void test_pdpte_loadable(void)
{
	u64 reserved = ~((1ULL << 40) - 1);

	CHECK(ost_pdpte_loadable(0, reserved));
	CHECK(ost_pdpte_loadable(~P, reserved));
	CHECK(ost_pdpte_loadable(0x12345000 | P | 0xe18, reserved));
	for (int bit = 1; bit < 64; bit++) {
		bool ok = (bit >= 3 && bit <= 5) || (bit >= 9 && bit < 40);

		CHECK_EQ(ost_pdpte_loadable(P | 1ULL << bit, reserved), ok);
	}
}

static u32 random_bits(void *ctx)
{
	return (u32)random() ^ (u32)random() << 16;
}

static void test_random(void)
{
	srandom(1);
	for (int i = 0; i < 20000; i++)
		CHECK_MSG(walk_compare(random_bits, NULL), "round %d", i);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("32-bit", test_32);
	tap_run("32-bit large pages, PSE-36", test_32_large);
	tap_run("PAE", test_pae);
	tap_run("4 levels", test_long);
	tap_run("5 levels", test_la57);
	tap_run("bit 8 of AMD's upper levels", test_amd_global_bit);
	tap_run("user and supervisor", test_user_supervisor);
	tap_run("write protection", test_write_protect);
	tap_run("no-execute", test_nx);
	tap_run("SMEP", test_smep);
	tap_run("SMAP", test_smap);
	tap_run("protection keys", test_protection_keys);
	tap_run("without accessed and dirty", test_no_ad);
	tap_run("tables outside of memory and in ROM", test_not_memory);
	tap_run("entries that change", test_changing);
	tap_run("PDPTEs that can be loaded", test_pdpte_loadable);
	tap_run("random tables against the oracle", test_random);
	return tap_done();
}
