// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process-context identifiers: what CR3, CR4.PCIDE and INVPCID refuse, and that every address space
 * sees its own pages whatever is left in the TLB (SDM vol. 3A, 4.10; vol. 2A, INVPCID).
 *
 *	make test-guest T=guest/pcid		skipped where the CPU has no PCID
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define CR4_PCIDE	(1 << 17)
#define CR3_KEEP	(1ULL << 63)
#define GVA		0x58000000000UL
#define SPACES		4

static bool has_invpcid;

static int try_cr3(uint64_t value)
{
	return TRY("mov %[v], %%cr3", [v] "r"(value));
}

static int try_cr4(uint64_t value)
{
	return TRY("mov %[v], %%cr4", [v] "r"(value));
}

static int try_invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
	uint64_t descriptor[2] = { pcid, address };

	return TRY("invpcid (%[d]), %[t]", [d] "r"(descriptor), [t] "r"(type));
}

static uint64_t root[SPACES];
static volatile uint64_t *entry[SPACES];
static uint64_t *page[2 * SPACES];
static volatile uint64_t *const p = (volatile uint64_t *)GVA;

static void make_spaces(void)
{
	uint64_t old = read_cr3();

	for (uint64_t i = 0; i < 2 * SPACES; i++) {
		page[i] = page_alloc();
		page[i][0] = 100 + i;
	}
	for (int i = 0; i < SPACES; i++) {
		root[i] = (uintptr_t)page_alloc();
		memcpy((void *)root[i], (void *)old, PAGE_SIZE);
		((uint64_t *)root[i])[GVA >> 39 & 511] = 0;
		write_cr3(root[i]);
		entry[i] = map_page(GVA, (uintptr_t)page[i], PTE_W, 1);
	}
	write_cr3(old);
}

static void refused(void)
{
	uint64_t cr3 = read_cr3(), cr4 = read_cr4();

	check_eq(GP, try_cr3(cr3 | CR3_KEEP), "bit 63 of CR3 without PCIDE");
	check_eq(NONE, try_cr3(cr3 | 0x18), "PCD and PWT");
	check_eq(cr3 | 0x18, read_cr3(), "CR3");
	check_eq(GP, try_cr4(cr4 | CR4_PCIDE), "PCIDE while CR3 has low bits");
	check_eq(cr4, read_cr4(), "CR4 afterwards");
	write_cr3(cr3);
	check_eq(NONE, try_cr4(cr4 | CR4_PCIDE), "PCIDE");
	check_eq(NONE, try_cr3(cr3 | CR3_KEEP | 5), "bit 63 of CR3 with PCIDE");
	check_eq(cr3 | 5, read_cr3(), "CR3 reads without it");
	check_eq(GP, try_cr3(cr3 | 1ULL << 62), "bit 62 of CR3");
	check_eq(GP, try_cr3(cr3 | 1ULL << 52), "bit 52 of CR3");
	check_eq(cr3 | 5, read_cr3(), "CR3 afterwards");
	/* Leaving is possible with any PCID. */
	check_eq(NONE, try_cr4(cr4), "PCIDE cleared");
	check_eq(cr3 | 5, read_cr3(), "CR3 keeps its low bits");
	write_cr3(cr3);
}

static long user_invpcid(void)
{
	uint64_t descriptor[2] = { 0, 0 };

	asm volatile("invpcid (%0), %1" : : "r"(descriptor), "r"(2UL) : "memory");
	return 0;
}

static void refused_invpcid(void)
{
	if (!has_invpcid) {
		check_eq(UD, try_invpcid(2, 0, 0), "INVPCID");
		return;
	}
	check_eq(GP, try_invpcid(4, 0, 0), "type 4");
	/* Not the upper half of the type, at which Bochs does not look. */
	check_eq(GP, try_invpcid(0, 1 << 12, 0), "reserved bits of the descriptor");
	check_eq(GP, try_invpcid(1, 1ULL << 63, 0), "reserved bits of the descriptor");
	check_eq(GP, try_invpcid(0, 0, 0x8000000000000000), "address that is not canonical");
	check_eq(NONE, try_invpcid(2, 0, 0x8000000000000000), "which type 2 does not look at");
	check_eq(GP, try_invpcid(0, 1, 0), "a PCID without PCIDE");
	check_eq(GP, try_invpcid(1, 1, 0), "a PCID without PCIDE");
	check_eq(NONE, try_invpcid(0, 0, GVA), "PCID 0 without PCIDE");
	check_eq(PF, TRY("invpcid (%[d]), %[t]", [d] "r"(0x70000000000), [t] "r"(2UL)),
		 "descriptor that is not there");
	check_eq(0, fault.error, "its error code");
	check_eq(-GP - 1, run_user(user_invpcid), "at CPL 3");
}

/* With entries kept over the switches, and under exits in between. */
static void switching(void)
{
	uint64_t old = read_cr3();

	write_cr4(read_cr4() | CR4_PCIDE);
	for (int round = 0; round < 40; round++) {
		int i = round % SPACES;

		write_cr3(root[i] | (i + 1) | (round >= SPACES ? CR3_KEEP : 0));
		check_eq(100 + i, *p, "contents of the space");
		if (round % 5 == 0)
			cpuid(0, 0);
		if (round % 7 == 0)
			host_call(HOST_MIGRATE, 0, 0, 0, 0, 0);
		check_eq(100 + i, *p, "after exits");
	}
	/* A PCID that is given to another space is flushed as it is loaded without bit 63. */
	write_cr3(root[1] | 1);
	check_eq(101, *p, "PCID 1 with other tables");
	write_cr3(root[0] | 1);
	check_eq(100, *p, "and back");
	write_cr3(old);
	write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
}

/* Maps the space's other page, and makes that known by one of the types. */
static void invalidation(void)
{
	uint64_t old = read_cr3();

	if (!has_invpcid)
		return;
	write_cr4(read_cr4() | CR4_PCIDE);
	for (uint64_t type = 0; type < 4; type++) {
		for (int i = 0; i < SPACES; i++) {
			int other = type & 1 ? i : SPACES + i;

			write_cr3(root[i] | (i + 1) | CR3_KEEP);
			(void)*p;
			/* From another space, where the type can reach it; type 0 of the own too. */
			if (type && i)
				write_cr3(root[0] | 1 | CR3_KEEP);
			*entry[i] = (uintptr_t)page[other] | PTE_P | PTE_W;
			check_eq(NONE, try_invpcid(type, i + 1, GVA), "INVPCID");
			write_cr3(root[i] | (i + 1) | CR3_KEEP);
			check(*p == 100U + other, "type %lu in space %d: %lu", type, i, *p);
		}
	}
	/* What CR4.PGE and clearing PCIDE do reaches all of them. */
	for (int way = 0; way < 2; way++) {
		for (int i = 0; i < SPACES; i++) {
			write_cr3(root[i] | (i + 1) | CR3_KEEP);
			(void)*p;
			*entry[i] = (uintptr_t)page[way ? i : SPACES + i] | PTE_P | PTE_W;
		}
		if (way) {
			write_cr3(old);
			write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
			write_cr4(read_cr4() | CR4_PCIDE);
		} else {
			write_cr4(read_cr4() ^ CR4_PGE);
			write_cr4(read_cr4() ^ CR4_PGE);
		}
		for (int i = 0; i < SPACES; i++) {
			write_cr3(root[i] | (i + 1) | CR3_KEEP);
			check_eq(100 + (way ? i : SPACES + i), *p, way ? "PCIDE cleared" : "PGE");
		}
	}
	write_cr3(old);
	write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
}

int main(void)
{
	has_invpcid = cpuid(7, 0).ebx & 1 << 10;
	refused_invpcid();
	if (!(cpuid(1, 0).ecx & 1 << 17)) {
		check_eq(GP, try_cr4(read_cr4() | CR4_PCIDE), "PCIDE on a CPU without it");
		print("no PCID\n");
		return 0;
	}
	print("PCID, INVPCID %u\n", has_invpcid);
	make_spaces();
	refused();
	switching();
	invalidation();
	return 0;
}
