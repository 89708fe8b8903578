// SPDX-License-Identifier: GPL-2.0-only
#include <linux/errno.h>
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trap_pf.h>
#include "walk.h"

#define PTE_P BIT_ULL(0)
#define PTE_W BIT_ULL(1)
#define PTE_U BIT_ULL(2)
#define PTE_A BIT_ULL(5)
#define PTE_D BIT_ULL(6)
#define PTE_PS BIT_ULL(7)
#define PTE_G BIT_ULL(8)
#define PTE_NX BIT_ULL(63)
#define PTE_ADDR GENMASK_ULL(51, 12)

#define PKRU_AD BIT(0)
#define PKRU_WD BIT(1)

/* Entries that other vCPUs change under a walk make it start again, but not for ever. */
#define MAX_RESTARTS 64

enum { WALK_DONE, WALK_FAULT, WALK_AGAIN };

/* A walk in progress. Levels count from 1, the table of 4 KiB pages. */
struct walk {
	const struct ost_walk_state *state;
	const struct ost_walk_ops *ops;
	void *ctx;
	gva_t gva;
	u32 access;
	bool long_mode, pae;
	u8 index_bits;		/* of gva for one level */
	u8 entry_size;

	int top, leaf;		/* first and last level of this walk */
	u64 entry[6];		/* what was read, by level, and where from */
	gpa_t entry_gpa[6];
	/* What all the levels together allow. */
	bool user, writable, no_exec;
};

static void walk_init(struct walk *w)
{
	const struct ost_walk_state *state = w->state;

	w->long_mode = state->efer & EFER_LMA;
	w->pae = state->cr4 & X86_CR4_PAE;
	if (w->long_mode)
		w->top = state->cr4 & X86_CR4_LA57 ? 5 : 4;
	else
		w->top = w->pae ? 3 : 2;
	w->entry_size = w->pae ? 8 : 4;
	w->index_bits = w->pae ? 9 : 10;
	if (!w->long_mode)
		w->gva = (u32)w->gva;
}

static bool user_access(const struct walk *w)
{
	return (w->access & OST_ACCESS_USER) && !(w->access & OST_ACCESS_IMPLICIT);
}

static bool nx_enabled(const struct walk *w)
{
	/* 32-bit paging has no NX bit, whatever EFER.NXE says. */
	return w->pae && (w->state->efer & EFER_NX);
}

/* I/D is reported where something could forbid fetches (SDM 4.7). */
static u32 error_code(const struct walk *w, u32 error)
{
	if (w->access & OST_ACCESS_WRITE)
		error |= X86_PF_WRITE;
	if (user_access(w))
		error |= X86_PF_USER;
	if ((w->access & OST_ACCESS_FETCH) && (nx_enabled(w) || (w->state->cr4 & X86_CR4_SMEP)))
		error |= X86_PF_INSTR;
	return error;
}

static int page_fault(const struct walk *w, u32 error, struct ost_walk_fault *fault)
{
	fault->address = w->gva;
	fault->error_code = error_code(w, error);
	fault->not_memory = false;
	return WALK_FAULT;
}

static int not_memory(const struct walk *w, struct ost_walk_fault *fault)
{
	*fault = (struct ost_walk_fault){ .address = w->gva, .not_memory = true };
	return WALK_FAULT;
}

static bool is_pdpte(const struct walk *w, int level)
{
	return w->pae && !w->long_mode && level == 3;
}

/* Does an entry with PS set map a page at this level? */
static bool has_large_page(const struct walk *w, int level)
{
	switch (level) {
	case 2:
		return w->pae || (w->state->cr4 & X86_CR4_PSE);
	case 3:
		return w->long_mode && w->state->gbpages;
	default:
		return false;
	}
}

static bool is_leaf(const struct walk *w, int level)
{
	return level == 1 || (has_large_page(w, level) && (w->entry[level] & PTE_PS));
}

static u64 pse36_address(u64 entry)
{
	return (entry >> 13 & 0xff) << 32;
}

/*
 * Bits 8:5 are reserved by the manuals, but a CPU that walks PDPTEs like any other entry (QEMU's
 * TCG) sets bit 5 as the accessed bit: a guest must not fault for what its CPU wrote.
 */
bool ost_pdpte_loadable(u64 pdpte, u64 gpa_reserved)
{
	const u64 reserved = GENMASK_ULL(2, 1) | GENMASK_ULL(8, 6) | GENMASK_ULL(63, 52);

	return !(pdpte & PTE_P) || !(pdpte & (reserved | (gpa_reserved & PTE_ADDR)));
}

static bool reserved_bits_32(const struct walk *w, int level)
{
	u64 entry = w->entry[level];

	if (level == 1 || !is_leaf(w, level))
		return false;
	/* SDM table 4-4 and section 4.3 */
	if (!w->state->pse36)
		return entry & GENMASK_ULL(21, 13);
	return (entry & BIT_ULL(21)) || (pse36_address(entry) & w->state->gpa_reserved);
}

/* SDM tables 4-8 to 4-11 (PAE) and 4-14 to 4-20 (4 and 5 levels); APM figures 5-11 to 5-26. */
static bool reserved_bits(const struct walk *w, int level)
{
	u64 reserved = w->state->gpa_reserved & PTE_ADDR;

	if (!w->pae)
		return reserved_bits_32(w, level);
	if (is_pdpte(w, level))
		return !w->state->pdptes_valid &&
		       !ost_pdpte_loadable(w->entry[level], w->state->gpa_reserved);

	if (!nx_enabled(w))
		reserved |= PTE_NX;
	if (!w->long_mode)
		reserved |= GENMASK_ULL(62, 52);
	if (level >= 4) {
		reserved |= PTE_PS;
		if (w->state->amd)
			reserved |= PTE_G;
	} else if (level > 1 && !has_large_page(w, level)) {
		reserved |= PTE_PS;
	} else if (level > 1 && is_leaf(w, level)) {
		/* Bit 12 is PAT; above it to the page's size. */
		reserved |= GENMASK_ULL(12 + 9 * (level - 1) - 1, 13);
	}
	return w->entry[level] & reserved;
}

static int read_entry(struct walk *w, int level, gpa_t table)
{
	u64 index = w->gva >> (12 + w->index_bits * (level - 1));

	index &= is_pdpte(w, level) ? 3 : BIT(w->index_bits) - 1;
	w->entry_gpa[level] = table + index * w->entry_size;
	if (is_pdpte(w, level) && w->state->pdptes_valid) {
		w->entry[level] = w->state->pdptes[index];
		return 0;
	}
	w->entry[level] = 0;
	return w->ops->read(w->ctx, w->entry_gpa[level], &w->entry[level], w->entry_size);
}

static gpa_t root_table(const struct walk *w)
{
	if (w->long_mode)
		return w->state->cr3 & PTE_ADDR;
	return w->state->cr3 & (w->pae ? GENMASK_ULL(31, 5) : GENMASK_ULL(31, 12));
}

/* From CR3 down to the entry that maps the page. */
static int descend(struct walk *w, struct ost_walk_fault *fault)
{
	gpa_t table = root_table(w);
	int level;

	w->user = true;
	w->writable = true;
	w->no_exec = false;
	for (level = w->top;; level--) {
		if (read_entry(w, level, table))
			return not_memory(w, fault);
		if (!(w->entry[level] & PTE_P))
			return page_fault(w, 0, fault);
		if (reserved_bits(w, level))
			return page_fault(w, X86_PF_PROT | X86_PF_RSVD, fault);
		/* PDPTEs of PAE mode hold no rights; bits 1 and 2 are reserved there. */
		if (!is_pdpte(w, level)) {
			w->user &= !!(w->entry[level] & PTE_U);
			w->writable &= !!(w->entry[level] & PTE_W);
			w->no_exec |= nx_enabled(w) && (w->entry[level] & PTE_NX);
		}
		if (is_leaf(w, level))
			break;
		table = w->entry[level] & (w->pae ? PTE_ADDR : GENMASK_ULL(31, 12));
	}
	w->leaf = level;
	return WALK_DONE;
}

/* Protection keys of user-mode addresses: SDM 4.6.2, APM 5.6.6. Data accesses only. */
static bool pkey_denies(const struct walk *w)
{
	u32 rights;

	if (!w->long_mode || !(w->state->cr4 & X86_CR4_PKE) || !w->user)
		return false;
	rights = w->state->pkru >> (2 * (w->entry[w->leaf] >> 59 & 15));
	if (rights & PKRU_AD)
		return true;
	return (rights & PKRU_WD) && (w->access & OST_ACCESS_WRITE) &&
	       (user_access(w) || (w->state->cr0 & X86_CR0_WP));
}

/* Rights of the translation against the access: SDM 4.6.1, APM 5.6. */
static int check_access(const struct walk *w, struct ost_walk_fault *fault)
{
	bool denied = false;
	u32 error = X86_PF_PROT;

	if (user_access(w)) {
		denied |= !w->user;
		denied |= (w->access & OST_ACCESS_WRITE) && !w->writable;
	} else {
		denied |= (w->access & OST_ACCESS_WRITE) && !w->writable &&
			  (w->state->cr0 & X86_CR0_WP);
	}

	if (w->access & OST_ACCESS_FETCH) {
		denied |= w->no_exec;
		denied |= !user_access(w) && w->user && (w->state->cr4 & X86_CR4_SMEP);
	} else {
		/* EFLAGS.AC lifts SMAP for explicit accesses only. */
		denied |= !user_access(w) && w->user && (w->state->cr4 & X86_CR4_SMAP) &&
			  ((w->access & OST_ACCESS_IMPLICIT) ||
			   !(w->state->rflags & X86_EFLAGS_AC));
		if (pkey_denies(w)) {
			denied = true;
			error |= X86_PF_PK;
		}
	}
	return denied ? page_fault(w, error, fault) : WALK_DONE;
}

/* A in every entry that was used, D in the one that maps the page (SDM 4.8). */
static int set_accessed_dirty(const struct walk *w)
{
	int level;

	for (level = w->top; level >= w->leaf; level--) {
		u64 want = w->entry[level] | PTE_A;

		if (is_pdpte(w, level))
			continue;
		if (level == w->leaf && (w->access & OST_ACCESS_WRITE))
			want |= PTE_D;
		if (want == w->entry[level])
			continue;
		/* Tables in read-only memory stay as they are. */
		if (w->ops->cmpxchg(w->ctx, w->entry_gpa[level], w->entry[level], want,
				    w->entry_size) > 0)
			return WALK_AGAIN;
	}
	return WALK_DONE;
}

static gpa_t translate(const struct walk *w)
{
	u64 offset_mask = (1ULL << (12 + w->index_bits * (w->leaf - 1))) - 1;
	u64 entry = w->entry[w->leaf];
	gpa_t base;

	if (w->pae)
		base = entry & PTE_ADDR & ~offset_mask;
	else
		base = entry & GENMASK_ULL(31, 12) & ~offset_mask;
	if (!w->pae && w->leaf == 2 && w->state->pse36)
		base |= pse36_address(entry);
	return base | (w->gva & offset_mask);
}

int ost_walk(const struct ost_walk_state *state, const struct ost_walk_ops *ops, void *ctx,
	     gva_t gva, u32 access, gpa_t *gpa, struct ost_walk_fault *fault)
{
	struct walk w = { .state = state, .ops = ops, .ctx = ctx, .gva = gva, .access = access };
	int tries;
	int done;

	walk_init(&w);
	for (tries = 0; tries < MAX_RESTARTS; tries++) {
		done = descend(&w, fault);
		if (done == WALK_DONE)
			done = check_access(&w, fault);
		if (done == WALK_DONE && !(access & OST_ACCESS_NO_AD))
			done = set_accessed_dirty(&w);
		if (done == WALK_DONE)
			*gpa = translate(&w);
		if (done != WALK_AGAIN)
			return done;
	}
	return not_memory(&w, fault);
}
