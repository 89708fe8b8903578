// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory through segments, the log of reads that makes instructions restartable, operands and the
 * stack.
 */
#include "internal.h"

const struct kvm_segment *ost_emul_segment(struct ost_emul *e, enum ost_emul_seg seg)
{
	unsigned int index = array_index_nospec(seg, OST_NR_SEGS);

	if (!(e->segs_cached & BIT(index))) {
		e->ops->get_segment(e, index, &e->segs[index]);
		e->segs_cached |= BIT(index);
	}
	return &e->segs[index];
}

bool ost_emul_canonical(const struct ost_emul *e, u64 address)
{
	unsigned int unused_bits = e->cr4 & X86_CR4_LA57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(address << unused_bits) >> unused_bits) == address;
}

static int segment_fault(struct ost_emul *e, enum ost_emul_seg seg)
{
	return ost_emul_raise(e, seg == OST_SS ? OST_VEC_SS : OST_VEC_GP, true, 0);
}

/*
 * Type of access against type of segment (APM vol. 2, 4.13); not checked in real and virtual-8086
 * mode.
 */
static bool segment_allows(struct ost_emul *e, const struct kvm_segment *s, bool write)
{
	bool code = s->type & 8, readable_or_writable = s->type & 2;

	if (!ost_emul_is_prot(e))
		return true;
	if (s->unusable || !s->present)
		return false;
	if (write)
		return !code && readable_or_writable;
	return !code || readable_or_writable;
}

/*
 * Offsets first to last against the limit; expand-down segments have it below (APM vol. 2, 4.7.3).
 */
static bool within_limit(const struct kvm_segment *s, u64 first, u64 last)
{
	bool expand_down = (s->type & 0xc) == 4;

	if (expand_down)
		return first > s->limit && last <= (s->db ? 0xffffffffULL : 0xffffULL);
	return last <= s->limit;
}

int ost_emul_linear(struct ost_emul *e, enum ost_emul_seg seg, u64 offset, unsigned int len,
		    bool write, u64 *linear)
{
	const struct kvm_segment *s;
	u64 first, last;

	if (ost_emul_is64(e)) {
		first = offset;
		/* The other bases count as zero (APM vol. 2, 4.5.3). */
		if (seg == OST_FS || seg == OST_GS)
			first += ost_emul_segment(e, seg)->base;
		last = first + len - 1;
		if (!ost_emul_canonical(e, first) || !ost_emul_canonical(e, last) || last < first)
			return segment_fault(e, seg);
		*linear = first;
		return OST_EMUL_OK;
	}

	s = ost_emul_segment(e, seg);
	first = (u32)offset;
	last = first + len - 1;
	if (!segment_allows(e, s, write) || !within_limit(s, first, last))
		return segment_fault(e, seg);
	*linear = (u32)(s->base + first);
	/* What wraps around 4G would be two accesses. */
	if (*linear + len - 1 > 0xffffffffULL)
		return OST_EMUL_UNHANDLEABLE;
	return OST_EMUL_OK;
}

void ost_emul_log_reset(struct ost_emul *e)
{
	e->log.entries = 0;
	e->log.next = 0;
	e->log.used = 0;
}

/* Answers a read from the log; the position of its data is the sum of the entries before. */
static bool replay(struct ost_emul *e, u64 linear, void *buf, unsigned int len)
{
	struct ost_emul_log *log = &e->log;
	unsigned int i, start = 0;

	if (log->next >= log->entries)
		return false;
	for (i = 0; i < log->next; i++)
		start += log->entry[i].len;
	if (log->entry[log->next].where != linear || log->entry[log->next].len != len) {
		/*
		 * Registers were changed meanwhile: what was read belongs to another instruction
		 * now.
		 */
		log->entries = log->next;
		log->used = start;
		return false;
	}
	memcpy(buf, log->data + start, len);
	log->next++;
	return true;
}

static int record(struct ost_emul *e, u64 linear, const void *buf, unsigned int len)
{
	struct ost_emul_log *log = &e->log;

	if (log->entries == OST_EMUL_LOG_ENTRIES || log->used + len > OST_EMUL_LOG_BYTES)
		return OST_EMUL_UNHANDLEABLE;
	log->entry[log->entries].where = linear;
	log->entry[log->entries].len = len;
	memcpy(log->data + log->used, buf, len);
	log->used += len;
	log->entries++;
	log->next = log->entries;
	return OST_EMUL_OK;
}

int ost_emul_read_linear(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 access)
{
	int ret;

	if (replay(e, linear, buf, len))
		return OST_EMUL_OK;
	if (!e->ops->read)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->read(e, linear, buf, len, access);
	return ret == OST_EMUL_OK ? record(e, linear, buf, len) : ret;
}

int ost_emul_probe(struct ost_emul *e, u64 linear, unsigned int len, bool write)
{
	unsigned int first = min_t(u64, len, 0x1000 - (linear & 0xfff));
	u32 access = write ? OST_EMUL_ACCESS_WRITE : 0;
	int ret, second;

	if (!e->ops->probe)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->probe(e, linear, first, access);
	if (ret == OST_EMUL_FAULT || first == len)
		return ret;
	second = e->ops->probe(e, linear + first, len - first, access);
	return second == OST_EMUL_OK ? ret : second;
}

/*
 * CPL 3 with CR0.AM and RFLAGS.AC: a page fault comes first, so the page is asked before #AC is
 * raised (APM vol. 2, 8.5). Only sizes that instructions align to are checked.
 */
static int check_alignment(struct ost_emul *e, u64 linear, unsigned int len, bool write)
{
	if (likely(!(e->cr0 & X86_CR0_AM) || !(e->rflags & X86_EFLAGS_AC)) ||
	    ost_emul_cpl(e) != 3 || (len != 2 && len != 4 && len != 8) || !(linear & (len - 1)))
		return OST_EMUL_OK;
	if (ost_emul_probe(e, linear, len, write) == OST_EMUL_FAULT)
		return OST_EMUL_FAULT;
	return ost_emul_raise(e, OST_VEC_AC, true, 0);
}

int ost_emul_want_aligned(struct ost_emul *e, unsigned int len, bool write)
{
	u64 linear = e->mem_offset;
	int ret = OST_EMUL_OK;

	/* In 64-bit mode CPUs look at this before canonical form, which shows with addresses relative to SS. */
	if (!ost_emul_is64(e))
		ret = ost_emul_linear(e, e->mem.seg, e->mem_offset, len, write, &linear);
	else if (e->mem.seg == OST_FS || e->mem.seg == OST_GS)
		linear += ost_emul_segment(e, e->mem.seg)->base;
	if (ret != OST_EMUL_OK)
		return ret;
	return linear & (len - 1) ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

int ost_emul_read(struct ost_emul *e, enum ost_emul_seg seg, u64 offset, void *buf,
		  unsigned int len, bool rmw)
{
	u64 linear;
	int ret;

	ret = ost_emul_linear(e, seg, offset, len, rmw, &linear);
	/* A destination has to be readable as well as writable; writable segments are. */
	if (ret == OST_EMUL_OK)
		ret = check_alignment(e, linear, len, rmw);
	if (ret != OST_EMUL_OK)
		return ret;
	return ost_emul_read_linear(e, linear, buf, len, rmw ? OST_EMUL_ACCESS_RMW : 0);
}

int ost_emul_write(struct ost_emul *e, enum ost_emul_seg seg, u64 offset, const void *buf,
		   unsigned int len)
{
	u64 linear;
	int ret;

	ret = ost_emul_linear(e, seg, offset, len, true, &linear);
	if (ret == OST_EMUL_OK)
		ret = check_alignment(e, linear, len, true);
	if (ret != OST_EMUL_OK)
		return ret;
	return e->ops->write ? e->ops->write(e, linear, buf, len, 0) : OST_EMUL_UNHANDLEABLE;
}

u64 ost_emul_effective_address(struct ost_emul *e)
{
	u64 address = e->mem.disp;

	if (e->mem.rip_relative)
		address += e->rip + e->len;
	if (e->mem.base >= 0)
		address += ost_gpr(e, e->mem.base);
	if (e->mem.index >= 0)
		address += ost_gpr(e, e->mem.index) * e->mem.scale;
	return address & ost_mask(e->address_size);
}

static u64 read_gpr_operand(const struct ost_emul *e, const struct ost_emul_operand *op)
{
	return ost_gpr(e, op->reg) >> (op->high ? 8 : 0) & ost_mask(op->bytes);
}

int ost_emul_load(struct ost_emul *e, struct ost_emul_operand *op, bool rmw)
{
	int ret;

	switch (op->kind) {
	case OST_OPND_REG:
		op->value = read_gpr_operand(e, op);
		return OST_EMUL_OK;
	case OST_OPND_MEM:
		if (!op->bytes)
			return OST_EMUL_OK;
		op->value = 0;
		ret = ost_emul_read(e, e->mem.seg, e->mem_offset, &op->value, op->bytes, rmw);
		op->old = op->value;
		return ret;
	default:
		/* immediates have their value; the rest is the instruction's own */
		return OST_EMUL_OK;
	}
}

/* The second half of a locked update; segment and alignment were checked by its read. */
static int store_locked(struct ost_emul *e, struct ost_emul_operand *op)
{
	u64 linear;
	int ret;

	if (!e->ops->cmpxchg)
		return OST_EMUL_UNHANDLEABLE;
	ret = ost_emul_linear(e, e->mem.seg, e->mem_offset, op->bytes, true, &linear);
	if (ret != OST_EMUL_OK)
		return ret;
	return (e->ops->cmpxchg)(e, linear, &op->old, &op->value, op->bytes, 0);
}

int ost_emul_store(struct ost_emul *e, struct ost_emul_operand *op, bool rmw)
{
	switch (op->kind) {
	case OST_OPND_REG:
		if (op->high)
			ost_set_gpr(e, op->reg, 2,
				    (ost_gpr(e, op->reg) & 0xff) | (op->value & 0xff) << 8);
		else
			ost_set_gpr(e, op->reg, op->bytes, op->value);
		return OST_EMUL_OK;
	case OST_OPND_MEM:
		if (rmw && e->lock)
			return store_locked(e, op);
		return ost_emul_write(e, e->mem.seg, e->mem_offset, &op->value, op->bytes);
	default:
		return OST_EMUL_UNHANDLEABLE;
	}
}

unsigned int ost_emul_stack_bytes(struct ost_emul *e)
{
	if (ost_emul_is64(e))
		return 8;
	return ost_emul_segment(e, OST_SS)->db ? 4 : 2;
}

void ost_emul_set_rsp(struct ost_emul *e, u64 rsp)
{
	ost_set_gpr(e, OST_RSP, ost_emul_stack_bytes(e), rsp);
}

int ost_emul_push_block(struct ost_emul *e, const void *block, unsigned int len)
{
	u64 mask = ost_mask(ost_emul_stack_bytes(e));
	u64 rsp = (e->gpr[OST_RSP] - len) & mask;
	int ret;

	/* A stack that wraps in the middle would be several writes. */
	if (len > 8 && rsp + len - 1 > mask)
		return OST_EMUL_UNHANDLEABLE;
	ret = ost_emul_write(e, OST_SS, rsp, block, len);
	if (ret == OST_EMUL_OK)
		ost_emul_set_rsp(e, rsp);
	return ret;
}

int ost_emul_push(struct ost_emul *e, u64 value, unsigned int bytes)
{
	return ost_emul_push_block(e, &value, bytes);
}

int ost_emul_pop(struct ost_emul *e, u64 *value, unsigned int bytes)
{
	u64 rsp = e->gpr[OST_RSP] & ost_mask(ost_emul_stack_bytes(e));
	int ret;

	*value = 0;
	ret = ost_emul_read(e, OST_SS, rsp, value, bytes, false);
	if (ret == OST_EMUL_OK)
		ost_emul_set_rsp(e, rsp + bytes);
	return ret;
}

int ost_emul_jump(struct ost_emul *e, u64 target)
{
	target &= ost_mask(e->operand_size);
	if (ost_emul_is64(e)) {
		if (!ost_emul_canonical(e, target))
			return ost_emul_gp(e, 0);
	} else if (target > ost_emul_segment(e, OST_CS)->limit) {
		return ost_emul_gp(e, 0);
	}
	e->rip = target;
	e->jumped = true;
	return OST_EMUL_OK;
}
