// SPDX-License-Identifier: GPL-2.0-only
#include "walk_oracle.h"
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/kernel.h>
#include <stdio.h>
#include <string.h>

u8 walk_memory[MEMORY_PAGES][4096];

enum format_kind { TABLE, PAGE };

/*
 * One row of the manuals: an entry of this mode and level, when PS (or its absence) makes it of
 * that kind.
 */
struct format {
	const char *name;
	int index_low, index_high;	/* bits of the linear address that choose the entry */
	u64 must_be_zero;		/* without MAXPHYADDR, XD and what the state decides */
	u64 address;			/* bits of the entry that are an address */
	u64 offset;			/* bits of the linear address below the page; 0: a table */
};

#define BITS(high, low) (((2ULL << ((high) - (low))) - 1) << (low))

/* SDM vol. 3A, tables 4-3 to 4-6 (32-bit), 4-8 to 4-11 (PAE), 4-14 to 4-20 (4 and 5 levels) */
static const struct format pde32_table = { "PDE", 22, 31, 0, BITS(31, 12), 0 };
static const struct format pde32_page = { "PDE 4M", 22, 31, 0, BITS(31, 22), BITS(21, 0) };
static const struct format pte32 = { "PTE", 12, 21, 0, BITS(31, 12), BITS(11, 0) };
static const struct format pae_pdpte = { "PDPTE", 30, 31, BITS(2, 1) | BITS(8, 6) | BITS(63, 52),
					 BITS(51, 12), 0 };
static const struct format pae_pde_table = { "PDE", 21, 29, BITS(62, 52), BITS(51, 12), 0 };
static const struct format pae_pde_page = { "PDE 2M", 21, 29, BITS(62, 52) | BITS(20, 13),
					    BITS(51, 21), BITS(20, 0) };
static const struct format pae_pte = { "PTE", 12, 20, BITS(62, 52), BITS(51, 12), BITS(11, 0) };
static const struct format pml5e = { "PML5E", 48, 56, BITS(7, 7), BITS(51, 12), 0 };
static const struct format pml4e = { "PML4E", 39, 47, BITS(7, 7), BITS(51, 12), 0 };
static const struct format pdpte_table = { "PDPTE", 30, 38, 0, BITS(51, 12), 0 };
static const struct format pdpte_page = { "PDPTE 1G", 30, 38, BITS(29, 13), BITS(51, 30),
					  BITS(29, 0) };
static const struct format pde_table = { "PDE", 21, 29, 0, BITS(51, 12), 0 };
static const struct format pde_page = { "PDE 2M", 21, 29, BITS(20, 13), BITS(51, 21),
					BITS(20, 0) };
static const struct format pte = { "PTE", 12, 20, 0, BITS(51, 12), BITS(11, 0) };

struct mode {
	int nr;
	u32 entry_bytes;
	u64 cr3_address;
	const struct format *steps[5][2];	/* [TABLE], [PAGE] or NULL */
};

static const struct mode mode_32 = { 2, 4, BITS(31, 12), { { &pde32_table, &pde32_page },
							    { NULL, &pte32 } } };
static const struct mode mode_pae = { 3, 8, BITS(31, 5), { { &pae_pdpte, NULL },
							    { &pae_pde_table, &pae_pde_page },
							    { NULL, &pae_pte } } };
static const struct mode mode_4 = { 4, 8, BITS(51, 12), { { &pml4e, NULL },
							   { &pdpte_table, &pdpte_page },
							   { &pde_table, &pde_page },
							   { NULL, &pte } } };
static const struct mode mode_5 = { 5, 8, BITS(51, 12), { { &pml5e, NULL },
							   { &pml4e, NULL },
							   { &pdpte_table, &pdpte_page },
							   { &pde_table, &pde_page },
							   { NULL, &pte } } };

static u8 *memory_at(u64 gpa, u32 bytes)
{
	if (gpa + bytes > sizeof(walk_memory) || gpa + bytes < gpa)
		return NULL;
	return &walk_memory[0][0] + gpa;
}

static bool is_rom(u64 gpa)
{
	return gpa >> 12 >= MEMORY_PAGES - ROM_PAGES;
}

static const struct mode *mode_of(const struct ost_walk_state *s)
{
	if (s->efer & EFER_LMA)
		return s->cr4 & X86_CR4_LA57 ? &mode_5 : &mode_4;
	return s->cr4 & X86_CR4_PAE ? &mode_pae : &mode_32;
}

static const struct format *format_of(const struct ost_walk_state *s, const struct mode *mode,
				      int step, u64 entry)
{
	const struct format *page = mode->steps[step][PAGE];

	if (!mode->steps[step][TABLE])
		return page;
	if (page == &pde32_page && !(s->cr4 & X86_CR4_PSE))
		page = NULL;
	if (page == &pdpte_page && !s->gbpages)
		page = NULL;
	return page && (entry >> 7 & 1) ? page : mode->steps[step][TABLE];
}

static u64 must_be_zero(const struct ost_walk_state *s, const struct mode *mode,
			const struct format *f)
{
	u64 zero = f->must_be_zero;

	if (mode == &mode_32) {
		if (f != &pde32_page)
			return 0;
		if (!s->pse36)
			return BITS(21, 13);
		/* Bits 39:32 of the address are in 20:13. */
		return BITS(21, 21) | (s->gpa_reserved >> 32 & 0xff) << 13;
	}
	zero |= s->gpa_reserved & BITS(51, 12);
	if (f != &pae_pdpte && !(s->efer & EFER_NX))
		zero |= BITS(63, 63);
	if (f == &pdpte_table && !s->gbpages)
		zero |= BITS(7, 7);
	if (s->amd && (f == &pml4e || f == &pml5e))
		zero |= BITS(8, 8);
	return zero;
}

struct path {
	int nr;
	u64 entry[5], gpa[5];
	const struct format *format[5];
	bool from_register[5];
};

/* 0, 1 with the fault in *r. */
static int follow(const struct ost_walk_state *s, const struct mode *mode, u64 gva,
		  struct path *path, struct walk_result *r)
{
	u64 table = s->cr3 & mode->cr3_address;

	for (int step = 0; step < mode->nr; step++) {
		const struct format *f = mode->steps[step][mode->steps[step][TABLE] ? TABLE : PAGE];
		u64 index = (gva & BITS(f->index_high, f->index_low)) >> f->index_low;
		u64 gpa = table + index * mode->entry_bytes;
		u8 *at = memory_at(gpa, mode->entry_bytes);
		u64 entry = 0;

		if (f == &pae_pdpte && s->pdptes_valid) {
			entry = s->pdptes[index];
		} else if (!at) {
			*r = (struct walk_result){ true, true, r->open, 0, 0 };
			return 1;
		} else {
			memcpy(&entry, at, mode->entry_bytes);
		}
		r->fault = true;
		r->error_code = 0;
		if (!(entry & 1))
			return 1;
		f = format_of(s, mode, step, entry);
		r->error_code = 1 | 8;
		if ((entry & must_be_zero(s, mode, f)) && !(f == &pae_pdpte && s->pdptes_valid))
			return 1;
		for (int i = 0; i < path->nr; i++)
			r->open |= path->gpa[i] == gpa;
		path->entry[path->nr] = entry;
		path->gpa[path->nr] = gpa;
		path->format[path->nr++] = f;
		r->fault = false;
		if (f->offset)
			break;
		table = entry & f->address;
	}
	return 0;
}

/* SDM 4.6.1 as the sentences stand there. */
static bool access_allowed(const struct ost_walk_state *s, const struct path *path, u32 access)
{
	bool supervisor = !(access & OST_ACCESS_USER) || (access & OST_ACCESS_IMPLICIT);
	bool implicit = access & OST_ACCESS_IMPLICIT;
	bool xd_on = (s->cr4 & X86_CR4_PAE) && (s->efer & EFER_NX);
	bool user_address = true, rw = true, xd = false;

	for (int i = 0; i < path->nr; i++) {
		if (path->format[i] == &pae_pdpte)
			continue;
		user_address = user_address && (path->entry[i] & 4);
		rw = rw && (path->entry[i] & 2);
		xd = xd || (xd_on && path->entry[i] >> 63);
	}
	if (access & OST_ACCESS_FETCH) {
		/* A fetch that is also a write does not exist; the sum of both rules then. */
		if ((access & OST_ACCESS_WRITE) && !rw && (!supervisor || (s->cr0 & X86_CR0_WP)))
			return false;
		if (supervisor && user_address && (s->cr4 & X86_CR4_SMEP))
			return false;
		if (!supervisor && !user_address)
			return false;
		return !xd;
	}
	if (!supervisor)
		return user_address && (rw || !(access & OST_ACCESS_WRITE));
	if (user_address && (s->cr4 & X86_CR4_SMAP)) {
		if (implicit)
			return false;
		if (!(s->rflags & X86_EFLAGS_AC))
			return false;
	}
	return rw || !(access & OST_ACCESS_WRITE) || !(s->cr0 & X86_CR0_WP);
}

static bool key_denies(const struct ost_walk_state *s, const struct path *path, u32 access)
{
	bool user_mode = (access & OST_ACCESS_USER) && !(access & OST_ACCESS_IMPLICIT);
	u32 key = path->entry[path->nr - 1] >> 59 & 15;

	if (!(s->efer & EFER_LMA) || !(s->cr4 & X86_CR4_PKE) || (access & OST_ACCESS_FETCH))
		return false;
	for (int i = 0; i < path->nr; i++)
		if (!(path->entry[i] & 4))
			return false;
	if (s->pkru & 1U << (key * 2))
		return true;
	if (!(s->pkru & 2U << (key * 2)) || !(access & OST_ACCESS_WRITE))
		return false;
	return user_mode || (s->cr0 & X86_CR0_WP);
}

static u32 error_bits(const struct ost_walk_state *s, u32 access)
{
	bool fetch_bit = (s->cr4 & X86_CR4_SMEP) ||
			 ((s->cr4 & X86_CR4_PAE) && (s->efer & EFER_NX));

	return (access & OST_ACCESS_WRITE ? 2 : 0) |
	       ((access & OST_ACCESS_USER) && !(access & OST_ACCESS_IMPLICIT) ? 4 : 0) |
	       ((access & OST_ACCESS_FETCH) && fetch_bit ? 16 : 0);
}

static void set_bits(const struct mode *mode, const struct path *path, u32 access)
{
	for (int i = 0; i < path->nr; i++) {
		u64 entry = path->entry[i] | 0x20;

		if (path->format[i] == &pae_pdpte || is_rom(path->gpa[i]))
			continue;
		if (path->format[i]->offset && (access & OST_ACCESS_WRITE))
			entry |= 0x40;
		memcpy(memory_at(path->gpa[i], mode->entry_bytes), &entry, mode->entry_bytes);
	}
}

struct walk_result oracle_walk(const struct ost_walk_state *s, u64 gva, u32 access)
{
	const struct mode *mode = mode_of(s);
	const struct format *leaf;
	struct walk_result r = {};
	struct path path = {};
	u64 entry;

	if (follow(s, mode, gva, &path, &r)) {
		if (!r.not_memory)
			r.error_code |= error_bits(s, access);
		return r;
	}
	r.error_code = 1 | error_bits(s, access);
	if (key_denies(s, &path, access)) {
		r.error_code |= 32;
		r.fault = true;
	}
	if (!access_allowed(s, &path, access))
		r.fault = true;
	if (r.fault)
		return r;
	r.error_code = 0;
	if (!(access & OST_ACCESS_NO_AD))
		set_bits(mode, &path, access);
	leaf = path.format[path.nr - 1];
	entry = path.entry[path.nr - 1];
	r.gpa = (entry & leaf->address) | (gva & leaf->offset);
	if (leaf == &pde32_page && s->pse36)
		r.gpa |= (entry & BITS(20, 13)) << 19;
	return r;
}

/* --- Random states and tables --- */

static int ops_read(void *ctx, gpa_t gpa, u64 *entry, u32 size)
{
	u8 *at = memory_at(gpa, size);

	if (!at)
		return -1;
	memcpy(entry, at, size);
	return 0;
}

static int ops_cmpxchg(void *ctx, gpa_t gpa, u64 old, u64 new, u32 size)
{
	u8 *at = memory_at(gpa, size);

	if (!at || is_rom(gpa))
		return -1;
	if (memcmp(at, &old, size))
		return 1;
	memcpy(at, &new, size);
	return 0;
}

const struct ost_walk_ops walk_memory_ops = { .read = ops_read, .cmpxchg = ops_cmpxchg };

struct source {
	u32 (*random)(void *ctx);
	void *ctx;
};

static u32 pick(struct source *src, u32 below)
{
	return src->random(src->ctx) % below;
}

static u64 pick64(struct source *src)
{
	u64 high = src->random(src->ctx);

	return high << 32 | src->random(src->ctx);
}

static u64 random_entry(struct source *src, u32 size)
{
	/* Present, with rights, pointing at another page of memory: most walks get to the end. */
	u64 entry = (u64)pick(src, MEMORY_PAGES + 1) << 12 | 7;
	u32 i;

	if (pick(src, 16) == 0)
		entry = pick64(src);
	if (pick(src, 6) == 0)
		entry |= 0x80;
	if (pick(src, 4) == 0)
		entry |= 0x60;
	for (i = pick(src, 3); i; i--)
		entry ^= 1ULL << pick(src, pick(src, 2) ? 12 : 64);
	/* Protection keys, which reserved bits of PAE mode would hide otherwise. */
	if (pick(src, 2))
		entry |= (u64)pick(src, 16) << 59;
	/* A large page's low address bits would mostly be reserved. */
	if ((entry & 0x80) && pick(src, 3))
		entry &= ~(BITS(29, 13));
	if (pick(src, 2))
		entry &= size == 8 ? ~BITS(62, 40) : ~BITS(20, 13);
	return entry;
}

static void random_state(struct source *src, struct ost_walk_state *s)
{
	static const u64 cr4_bits[] = { X86_CR4_PSE, X86_CR4_SMEP, X86_CR4_SMAP, X86_CR4_PKE };

	memset(s, 0, sizeof(*s));
	s->cr0 = X86_CR0_PG | X86_CR0_PE | (pick(src, 2) ? X86_CR0_WP : 0);
	for (u32 i = 0; i < ARRAY_SIZE(cr4_bits); i++)
		if (pick(src, 2))
			s->cr4 |= cr4_bits[i];
	switch (pick(src, 4)) {
	case 0:
		break;
	case 1:
		s->cr4 |= X86_CR4_PAE;
		break;
	case 2:
		s->cr4 |= X86_CR4_LA57;
		/* fall through */
	default:
		s->cr4 |= X86_CR4_PAE;
		s->efer |= EFER_LME | EFER_LMA;
	}
	if (pick(src, 4))
		s->efer |= EFER_NX;
	s->rflags = pick(src, 2) ? X86_EFLAGS_AC : 0;
	s->pkru = pick64(src);
	s->gpa_reserved = ~(BIT_ULL(36 + pick(src, 17)) - 1);
	s->gbpages = pick(src, 2);
	s->pse36 = pick(src, 2);
	s->amd = pick(src, 2);
	s->cr3 = (u64)pick(src, MEMORY_PAGES + (pick(src, 20) ? 0 : 2)) << 12 | pick(src, 4096);
	s->pdptes_valid = pick(src, 2);
	for (int i = 0; i < 4; i++)
		s->pdptes[i] = random_entry(src, 8) & ~(BITS(2, 1) | BITS(8, 5) | BITS(63, 40));
}

/* Few different indexes, so that few entries have to be made. */
static u64 random_gva(struct source *src, const struct mode *mode)
{
	u64 gva = pick(src, 4096);

	for (int step = 0; step < mode->nr; step++) {
		const struct format *f = mode->steps[step][mode->steps[step][TABLE] ? TABLE : PAGE];

		gva |= (u64)pick(src, 4) << f->index_low;
	}
	return gva;
}

static void random_memory(struct source *src, const struct mode *mode, u64 cr3)
{
	u32 per_page = mode == &mode_pae ? 5 : 4;

	memset(walk_memory, 0, sizeof(walk_memory));
	for (u32 page = 0; page < MEMORY_PAGES; page++)
		for (u32 i = 0; i < per_page; i++) {
			u64 entry = random_entry(src, mode->entry_bytes);

			memcpy(&walk_memory[page][i * mode->entry_bytes], &entry,
			       mode->entry_bytes);
		}
	/* PAE mode's four may begin anywhere in the page. */
	for (u32 i = 0; mode == &mode_pae && i < 4; i++) {
		u64 entry = random_entry(src, 8);
		u8 *at = memory_at((cr3 & mode->cr3_address) + 8 * i, 8);

		if (pick(src, 4))
			entry &= ~(BITS(2, 1) | BITS(8, 5) | BITS(63, 40));
		if (at)
			memcpy(at, &entry, 8);
	}
}

static bool same_result(const struct walk_result *a, const struct walk_result *b)
{
	return a->fault == b->fault && a->not_memory == b->not_memory && a->gpa == b->gpa &&
	       a->error_code == b->error_code;
}

static bool compare_one(const struct ost_walk_state *s, u64 gva, u32 access)
{
	static u8 before[MEMORY_PAGES][4096], after[MEMORY_PAGES][4096];
	struct walk_result got = {}, want;
	struct ost_walk_fault fault = {};

	memcpy(before, walk_memory, sizeof(before));
	want = oracle_walk(s, gva, access);
	memcpy(after, walk_memory, sizeof(after));
	memcpy(walk_memory, before, sizeof(before));

	got.fault = ost_walk(s, &walk_memory_ops, NULL, gva, access, &got.gpa, &fault);
	got.not_memory = fault.not_memory;
	got.error_code = fault.error_code;
	if (want.open)
		return true;
	if (same_result(&got, &want) && !memcmp(walk_memory, after, sizeof(after)) &&
	    (!got.fault || fault.address == gva))
		return true;
	printf("# gva %#llx access %#x cr0 %#llx cr4 %#llx efer %#llx:\n", gva, access, s->cr0,
	       s->cr4, s->efer);
	printf("# walk: fault %d not_memory %d error %#x gpa %#llx address %#llx\n", got.fault,
	       got.not_memory, got.error_code, got.gpa, fault.address);
	printf("# oracle: fault %d not_memory %d error %#x gpa %#llx, same memory: %d\n",
	       want.fault, want.not_memory, want.error_code, want.gpa,
	       !memcmp(walk_memory, after, sizeof(after)));
	fflush(stdout);
	return false;
}

bool walk_compare(u32 (*random)(void *ctx), void *ctx)
{
	struct source src = { random, ctx };
	struct ost_walk_state state;

	random_state(&src, &state);
	random_memory(&src, mode_of(&state), state.cr3);
	for (int i = 0; i < 20; i++)
		if (!compare_one(&state, random_gva(&src, mode_of(&state)), pick(&src, 32)))
			return false;
	return true;
}
