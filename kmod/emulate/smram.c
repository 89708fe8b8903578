// SPDX-License-Identifier: GPL-2.0-only
/* The state save area of system-management mode (smram.h). */
#include "internal.h"
#include "smram.h"

/*
 * SMBASE can be relocated (bit 17); I/O instructions are not restarted (bit 16). The low half tells the layout
 * (APM vol. 2, 10.2.4).
 */
#define REVISION_LONG 0x20064
#define REVISION_LEGACY 0x20000

/* Offsets in the area. */
#define L_SEG(i) ((i) * 0x10)
#define L_GDT 0x60
#define L_LDTR 0x70
#define L_IDT 0x80
#define L_TR 0x90
#define L_AUTO_HALT 0xc9
#define L_SHADOW 0xcb
#define L_EFER 0xd0
#define REVISION 0xfc
#define L_SMBASE 0x100
#define L_CR4 0x148
#define L_CR3 0x150
#define L_CR0 0x158
#define L_DR7 0x160
#define L_DR6 0x168
#define L_RFLAGS 0x170
#define L_RIP 0x178
#define L_GPR(i) (0x1f8 - 8 * (i))

#define O_SMBASE 0xf8
#define O_AUTO_HALT 0x102
#define O_CR4 0x114
#define O_SHADOW 0x11a
#define O_IDT 0x154
#define O_GDT 0x170
#define O_DR7 0x1c8
#define O_DR6 0x1cc
#define O_GPR(i) (0x1d0 + 4 * (i))
#define O_EIP 0x1f0
#define O_EFLAGS 0x1f4
#define O_CR3 0x1f8
#define O_CR0 0x1fc

/* Where a segment's attributes, limit and base stand in the older layout, in this order, and its selector. */
static const struct {
	u16 descriptor, selector;
} old_segs[OST_NR_SEGS] = {
	[OST_ES] = { 0x184, 0x1a8 }, [OST_CS] = { 0x190, 0x1ac }, [OST_SS] = { 0x19c, 0x1b0 },
	[OST_DS] = { 0x12c, 0x1b4 }, [OST_FS] = { 0x138, 0x1b8 }, [OST_GS] = { 0x144, 0x1bc },
	[OST_LDTR] = { 0x178, 0x1c0 }, [OST_TR] = { 0x15c, 0x1c4 },
};

static void put(u8 *area, unsigned int at, u64 val, unsigned int bytes)
{
	memcpy(area + at, &val, bytes);
}

static u64 get(const u8 *area, unsigned int at, unsigned int bytes)
{
	u64 val = 0;

	memcpy(&val, area + at, bytes);
	return val;
}

/* Bits 55:40 of the descriptor, without those of the limit. */
static u16 pack_attributes(const struct kvm_segment *s)
{
	return (s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 |
	       (s->present && !s->unusable) << 7 | (s->avl & 1) << 12 | (s->l & 1) << 13 |
	       (s->db & 1) << 14 | (s->g & 1) << 15;
}

static void unpack_attributes(u16 attributes, struct kvm_segment *s)
{
	s->type = attributes & 15;
	s->s = attributes >> 4 & 1;
	s->dpl = attributes >> 5 & 3;
	s->present = attributes >> 7 & 1;
	s->unusable = !s->present;
	s->avl = attributes >> 12 & 1;
	s->l = attributes >> 13 & 1;
	s->db = attributes >> 14 & 1;
	s->g = attributes >> 15 & 1;
	s->padding = 0;
}

/* --- with long mode --- */

static unsigned int long_seg(unsigned int seg)
{
	switch (seg) {
	case OST_TR:
		return L_TR;
	case OST_LDTR:
		return L_LDTR;
	default:
		return L_SEG(seg);
	}
}

static void pack_long(const struct ost_smram *s, u8 *area)
{
	unsigned int i;

	for (i = 0; i < OST_NR_GPRS; i++)
		put(area, L_GPR(i), s->gpr[i], 8);
	for (i = 0; i < OST_NR_SEGS; i++) {
		unsigned int at = long_seg(i);

		put(area, at, s->seg[i].selector, 2);
		put(area, at + 2, pack_attributes(&s->seg[i]), 2);
		put(area, at + 4, s->seg[i].limit, 4);
		put(area, at + 8, s->seg[i].base, 8);
	}
	put(area, L_GDT + 4, s->gdt.limit, 2);
	put(area, L_GDT + 8, s->gdt.base, 8);
	put(area, L_IDT + 4, s->idt.limit, 2);
	put(area, L_IDT + 8, s->idt.base, 8);
	put(area, L_AUTO_HALT, s->auto_halt, 1);
	put(area, L_SHADOW, s->shadow, 1);
	put(area, L_EFER, s->efer, 8);
	put(area, REVISION, REVISION_LONG, 4);
	put(area, L_SMBASE, s->smbase, 4);
	put(area, L_CR4, s->cr4, 8);
	put(area, L_CR3, s->cr3, 8);
	put(area, L_CR0, s->cr0, 8);
	put(area, L_DR7, s->dr7, 8);
	put(area, L_DR6, s->dr6, 8);
	put(area, L_RFLAGS, s->rflags, 8);
	put(area, L_RIP, s->rip, 8);
}

static void unpack_long(const u8 *area, struct ost_smram *s)
{
	unsigned int i;

	for (i = 0; i < OST_NR_GPRS; i++)
		s->gpr[i] = get(area, L_GPR(i), 8);
	for (i = 0; i < OST_NR_SEGS; i++) {
		unsigned int at = long_seg(i);

		s->seg[i].selector = get(area, at, 2);
		unpack_attributes(get(area, at + 2, 2), &s->seg[i]);
		s->seg[i].limit = get(area, at + 4, 4);
		s->seg[i].base = get(area, at + 8, 8);
	}
	s->gdt.limit = get(area, L_GDT + 4, 2);
	s->gdt.base = get(area, L_GDT + 8, 8);
	s->idt.limit = get(area, L_IDT + 4, 2);
	s->idt.base = get(area, L_IDT + 8, 8);
	s->auto_halt = area[L_AUTO_HALT] & 1;
	s->shadow = area[L_SHADOW] & 3;
	s->efer = get(area, L_EFER, 8);
	s->smbase = get(area, L_SMBASE, 4);
	s->cr4 = get(area, L_CR4, 8);
	s->cr3 = get(area, L_CR3, 8);
	s->cr0 = get(area, L_CR0, 8);
	s->dr7 = get(area, L_DR7, 8);
	s->dr6 = get(area, L_DR6, 8);
	s->rflags = get(area, L_RFLAGS, 8);
	s->rip = get(area, L_RIP, 8);
}

/* --- without --- */

static void pack_old(const struct ost_smram *s, u8 *area)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		put(area, O_GPR(i), s->gpr[i], 4);
	for (i = 0; i < OST_NR_SEGS; i++) {
		put(area, old_segs[i].selector, s->seg[i].selector, 4);
		put(area, old_segs[i].descriptor, (u32)pack_attributes(&s->seg[i]) << 8, 4);
		put(area, old_segs[i].descriptor + 4, s->seg[i].limit, 4);
		put(area, old_segs[i].descriptor + 8, s->seg[i].base, 4);
	}
	put(area, O_GDT, s->gdt.limit, 4);
	put(area, O_GDT + 4, s->gdt.base, 4);
	put(area, O_IDT, s->idt.limit, 4);
	put(area, O_IDT + 4, s->idt.base, 4);
	put(area, O_SMBASE, s->smbase, 4);
	put(area, REVISION, REVISION_LEGACY, 4);
	put(area, O_AUTO_HALT, s->auto_halt, 2);
	put(area, O_SHADOW, s->shadow, 1);
	put(area, O_CR4, s->cr4, 4);
	put(area, O_DR7, s->dr7, 4);
	put(area, O_DR6, s->dr6, 4);
	put(area, O_EIP, s->rip, 4);
	put(area, O_EFLAGS, s->rflags, 4);
	put(area, O_CR3, s->cr3, 4);
	put(area, O_CR0, s->cr0, 4);
}

static void unpack_old(const u8 *area, struct ost_smram *s)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		s->gpr[i] = get(area, O_GPR(i), 4);
	for (i = 0; i < OST_NR_SEGS; i++) {
		s->seg[i].selector = get(area, old_segs[i].selector, 2);
		unpack_attributes(get(area, old_segs[i].descriptor, 4) >> 8, &s->seg[i]);
		s->seg[i].limit = get(area, old_segs[i].descriptor + 4, 4);
		s->seg[i].base = get(area, old_segs[i].descriptor + 8, 4);
	}
	s->gdt.limit = get(area, O_GDT, 2);
	s->gdt.base = get(area, O_GDT + 4, 4);
	s->idt.limit = get(area, O_IDT, 2);
	s->idt.base = get(area, O_IDT + 4, 4);
	s->smbase = get(area, O_SMBASE, 4);
	s->auto_halt = area[O_AUTO_HALT] & 1;
	s->shadow = area[O_SHADOW] & 3;
	s->cr4 = get(area, O_CR4, 4);
	s->dr7 = get(area, O_DR7, 4);
	s->dr6 = get(area, O_DR6, 4);
	s->rip = get(area, O_EIP, 4);
	s->rflags = get(area, O_EFLAGS, 4);
	s->cr3 = get(area, O_CR3, 4);
	s->cr0 = get(area, O_CR0, 4);
}

void ost_smram_pack(const struct ost_smram *s, bool long_layout, u8 area[OST_SMRAM_BYTES])
{
	memset(area, 0, OST_SMRAM_BYTES);
	if (long_layout)
		pack_long(s, area);
	else
		pack_old(s, area);
}

void ost_smram_unpack(const u8 area[OST_SMRAM_BYTES], bool long_layout, struct ost_smram *s)
{
	memset(s, 0, sizeof(*s));
	if (long_layout)
		unpack_long(area, s);
	else
		unpack_old(area, s);
}
