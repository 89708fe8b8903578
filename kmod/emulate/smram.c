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

/* Each field of a layout is named once, for both ways. */
struct move {
	u8 *area;
	bool pack;		/* into the area, which is zero; or out of it */
};

static void move_field(const struct move *m, unsigned int at, unsigned int bytes, void *field, size_t size)
{
	u64 val = 0;

	if (m->pack) {
		memcpy(&val, field, size);
		memcpy(m->area + at, &val, bytes);
	} else {
		memcpy(&val, m->area + at, bytes);
		memcpy(field, &val, size);
	}
}

#define move(m, at, bytes, field) move_field(m, at, bytes, &(field), sizeof(field))

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

static void move_attributes(const struct move *m, unsigned int at, struct kvm_segment *s)
{
	u16 attributes = pack_attributes(s);

	move(m, at, 2, attributes);
	if (!m->pack)
		unpack_attributes(attributes, s);
}

/* The area's may be any number. */
static void move_halt_and_shadow(const struct move *m, unsigned int halt_at, unsigned int shadow_at, struct ost_smram *s)
{
	u8 halt = s->auto_halt;

	move(m, halt_at, 1, halt);
	move(m, shadow_at, 1, s->shadow);
	s->auto_halt = halt & 1;
	s->shadow &= 3;
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

static void move_long(const struct move *m, struct ost_smram *s)
{
	unsigned int i;

	for (i = 0; i < OST_NR_GPRS; i++)
		move(m, L_GPR(i), 8, s->gpr[i]);
	for (i = 0; i < OST_NR_SEGS; i++) {
		unsigned int at = long_seg(i);

		move(m, at, 2, s->seg[i].selector);
		move_attributes(m, at + 2, &s->seg[i]);
		move(m, at + 4, 4, s->seg[i].limit);
		move(m, at + 8, 8, s->seg[i].base);
	}
	move(m, L_GDT + 4, 2, s->gdt.limit);
	move(m, L_GDT + 8, 8, s->gdt.base);
	move(m, L_IDT + 4, 2, s->idt.limit);
	move(m, L_IDT + 8, 8, s->idt.base);
	move_halt_and_shadow(m, L_AUTO_HALT, L_SHADOW, s);
	move(m, L_EFER, 8, s->efer);
	move(m, L_SMBASE, 4, s->smbase);
	move(m, L_CR4, 8, s->cr4);
	move(m, L_CR3, 8, s->cr3);
	move(m, L_CR0, 8, s->cr0);
	move(m, L_DR7, 8, s->dr7);
	move(m, L_DR6, 8, s->dr6);
	move(m, L_RFLAGS, 8, s->rflags);
	move(m, L_RIP, 8, s->rip);
}

/* --- without --- */

static void move_old(const struct move *m, struct ost_smram *s)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		move(m, O_GPR(i), 4, s->gpr[i]);
	for (i = 0; i < OST_NR_SEGS; i++) {
		unsigned int at = old_segs[i].descriptor;

		move(m, old_segs[i].selector, 2, s->seg[i].selector);
		/* They are those of the descriptor's second half, in their places there. */
		move_attributes(m, at + 1, &s->seg[i]);
		move(m, at + 4, 4, s->seg[i].limit);
		move(m, at + 8, 4, s->seg[i].base);
	}
	move(m, O_GDT, 2, s->gdt.limit);
	move(m, O_GDT + 4, 4, s->gdt.base);
	move(m, O_IDT, 2, s->idt.limit);
	move(m, O_IDT + 4, 4, s->idt.base);
	move_halt_and_shadow(m, O_AUTO_HALT, O_SHADOW, s);
	move(m, O_SMBASE, 4, s->smbase);
	move(m, O_CR4, 4, s->cr4);
	move(m, O_DR7, 4, s->dr7);
	move(m, O_DR6, 4, s->dr6);
	move(m, O_EIP, 4, s->rip);
	move(m, O_EFLAGS, 4, s->rflags);
	move(m, O_CR3, 4, s->cr3);
	move(m, O_CR0, 4, s->cr0);
}

static void move_all(bool long_layout, const struct move *m, struct ost_smram *s)
{
	if (long_layout)
		move_long(m, s);
	else
		move_old(m, s);
}

void ost_smram_pack(const struct ost_smram *s, bool long_layout, u8 area[OST_SMRAM_BYTES])
{
	const struct move m = { .area = area, .pack = true };
	u32 revision = long_layout ? REVISION_LONG : REVISION_LEGACY;
	struct ost_smram copy = *s;

	memset(area, 0, OST_SMRAM_BYTES);
	move_all(long_layout, &m, &copy);
	move(&m, REVISION, 4, revision);
}

void ost_smram_unpack(const u8 area[OST_SMRAM_BYTES], bool long_layout, struct ost_smram *s)
{
	/* Nothing is written there on this way. */
	const struct move m = { .area = (u8 *)area, .pack = false };

	memset(s, 0, sizeof(*s));
	move_all(long_layout, &m, s);
}
