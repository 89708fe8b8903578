// SPDX-License-Identifier: GPL-2.0-only
/*
 * A quick look at code that the CPU has just executed. The CPU has walked the guest's tables to it a moment
 * ago and found all rights in order, so what is left to do is to follow them; where anything is out of
 * the ordinary by now, the whole walk (walk.c) has to say what that means.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sizes.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <asm/pgtable_types.h>
#include "../backend.h"
#include "../vcpu.h"
#include "internal.h"

#define TABLE_ADDR GENMASK_ULL(51, 12)

/* The VMM's address of gpa, or NULL. vm->srcu held. */
static __always_inline const void __user *find(struct ost_memslots *slots, gpa_t gpa)
{
	const struct ost_memslot *slot = ost_slots_find(slots, gpa >> PAGE_SHIFT);
	u64 page;

	if (!slot)
		return NULL;
	/* The guest chooses it. */
	page = array_index_nospec((gpa >> PAGE_SHIFT) - slot->base_gfn, slot->npages);
	return (const void __user *)(slot->hva + (page << PAGE_SHIFT) + offset_in_page(gpa));
}

static __always_inline bool read(const u64 __user *from, u64 *to, int n)
{
	int i;

	if (unlikely(!from || !user_access_begin(from, n * sizeof(*to))))
		return false;
	for (i = 0; i < n; i++)
		unsafe_get_user(to[i], from + i, fault);
	user_access_end();
	return true;
fault:
	user_access_end();
	return false;
}

/* Long mode only. */
static __always_inline bool translate_long(struct ost_vcpu *vcpu, struct ost_memslots *slots, u64 linear,
				      gpa_t *gpa)
{
	const u64 wanted = _PAGE_PRESENT | _PAGE_ACCESSED;
	int shift = ost_cr4(vcpu) & X86_CR4_LA57 ? 48 : 39;
	u64 entry = ost_cr3(vcpu);
	u64 page_mask;

	for (;; shift -= 9) {
		gpa_t at = (entry & TABLE_ADDR) + (linear >> shift & 511) * sizeof(entry);

		if (!read(find(slots, at), &entry, 1))
			return false;
		if (unlikely((entry & wanted) != wanted))
			return false;
		if (shift == 12 || (shift <= 30 && (entry & _PAGE_PSE)))
			break;
	}
	page_mask = BIT_ULL(shift) - 1;
	*gpa = (entry & TABLE_ADDR & ~page_mask) | (linear & page_mask);
	return true;
}

#define PAE_TABLE(cr3) ((cr3) & GENMASK_ULL(31, 5))

static bool read32(const void __user *from, u64 *to)
{
	u32 val;

	if (!from || !user_access_begin(from, sizeof(val)))
		return false;
	unsafe_get_user(val, (const u32 __user *)from, fault);
	user_access_end();
	*to = val;
	return true;
fault:
	user_access_end();
	return false;
}

/* The PDPTE of a linear address: the CPU's, if it keeps them (vol. 3A, 4.4.1), which may be others than memory's. */
static bool pdpte(struct ost_vcpu *vcpu, struct ost_memslots *slots, u32 linear, u64 *entry)
{
	u32 i = linear >> 30;
	u64 pdptes[4];

	if (!ost_backend->get_pdptes)
		return read(find(slots, PAE_TABLE(ost_cr3(vcpu)) + i * 8), entry, 1);
	if (!ost_backend->get_pdptes(vcpu, pdptes))
		return false;
	*entry = pdptes[array_index_nospec(i, ARRAY_SIZE(pdptes))];
	return true;
}

#define PAGE_TABLE32(entry) ((entry) & GENMASK_ULL(31, 12))
/* Bits 39:32 of a 4-MiB page's address (vol. 3A, table 4-4). */
#define PSE36(entry) (((entry) >> 13 & 0xff) << 32)

/* Without long mode. */
static bool translate_legacy(struct ost_vcpu *vcpu, struct ost_memslots *slots, u32 linear, gpa_t *gpa)
{
	const u64 wanted = _PAGE_PRESENT | _PAGE_ACCESSED;
	u64 cr4 = ost_cr4(vcpu), entry;

	if (!ost_paging(vcpu)) {
		*gpa = linear;
		return true;
	}
	if (cr4 & X86_CR4_PAE) {
		if (!pdpte(vcpu, slots, linear, &entry) || !(entry & _PAGE_PRESENT) ||
		    !read(find(slots, (entry & TABLE_ADDR) + (linear >> 21 & 511) * 8), &entry, 1) ||
		    (entry & wanted) != wanted)
			return false;
		if (entry & _PAGE_PSE) {
			*gpa = (entry & TABLE_ADDR & ~(u64)(SZ_2M - 1)) | (linear & (SZ_2M - 1));
			return true;
		}
		if (!read(find(slots, (entry & TABLE_ADDR) + (linear >> 12 & 511) * 8), &entry, 1))
			return false;
	} else {
		if (!read32(find(slots, PAGE_TABLE32(ost_cr3(vcpu)) + (linear >> 22) * 4), &entry) ||
		    (entry & wanted) != wanted)
			return false;
		if ((entry & _PAGE_PSE) && (cr4 & X86_CR4_PSE)) {
			*gpa = PSE36(entry) | (entry & GENMASK(31, 22)) | (linear & (SZ_4M - 1));
			return true;
		}
		if (!read32(find(slots, PAGE_TABLE32(entry) + (linear >> 12 & 1023) * 4), &entry))
			return false;
	}
	if ((entry & wanted) != wanted)
		return false;
	*gpa = (entry & TABLE_ADDR) | offset_in_page(linear);
	return true;
}

static __always_inline bool translate(struct ost_vcpu *vcpu, struct ost_memslots *slots, u64 linear,
				      gpa_t *gpa)
{
	return likely(ost_long_mode(vcpu)) ? translate_long(vcpu, slots, linear, gpa)
					   : translate_legacy(vcpu, slots, linear, gpa);
}

bool ost_peek_code(struct ost_vcpu *vcpu, u64 linear, u8 *bytes)
{
	const u32 words = OST_PEEK_BYTES / sizeof(u64);
	struct ost_memslots *slots;
	u64 code[OST_PEEK_BYTES / sizeof(u64)];
	bool done;
	gpa_t gpa;
	int srcu;

	if (unlikely(offset_in_page(linear) > PAGE_SIZE - sizeof(code)))
		return false;
	srcu = srcu_read_lock(&vcpu->vm->srcu);
	slots = ost_slots(vcpu->vm, vcpu->space);
	pagefault_disable();
	done = translate(vcpu, slots, linear, &gpa) && read(find(slots, gpa), code, words);
	pagefault_enable();
	srcu_read_unlock(&vcpu->vm->srcu, srcu);
	if (likely(done))
		memcpy(bytes, code, sizeof(code));
	return done;
}
