// SPDX-License-Identifier: GPL-2.0-only
/*
 * String instructions. Registers change with each iteration that is done, so that whatever ends the
 * loop (a fault, a wait for userspace, the bound on iterations) leaves them as the CPU would
 * between iterations.
 */
#include "internal.h"

struct string {
	unsigned int bytes; /* of an element */
	bool repeated;
	u64 mask; /* of addresses and the counter */
	u64 left; /* iterations, of a repeated one */
};

static struct string begin(const struct ost_emul *e)
{
	struct string s = {
		.bytes = e->opcode & 1 ? e->operand_size : 1,
		.repeated = e->rep,
		.mask = ost_mask(e->address_size),
	};

	s.left = s.repeated ? e->gpr[OST_RCX] & s.mask : 1;
	return s;
}

static enum ost_emul_seg source_segment(const struct ost_emul *e)
{
	return e->seg_override >= 0 ? e->seg_override : OST_DS;
}

static u64 source_offset(const struct ost_emul *e, const struct string *s)
{
	return e->gpr[OST_RSI] & s->mask;
}

static u64 destination_offset(const struct ost_emul *e, const struct string *s)
{
	return e->gpr[OST_RDI] & s->mask;
}

/* Moves RSI or RDI over 'elements'. */
static void advance(struct ost_emul *e, const struct string *s, enum ost_emul_gpr reg,
		    unsigned int elements)
{
	u64 distance = (u64)elements * s->bytes;

	if (e->rflags & X86_EFLAGS_DF)
		distance = -distance;
	ost_set_gpr(e, reg, e->address_size, e->gpr[reg] + distance);
}

/* Counts 'elements' off, and forgets what was read for them. */
static void count_down(struct ost_emul *e, struct string *s, unsigned int elements)
{
	s->left -= elements;
	if (s->repeated)
		ost_set_gpr(e, OST_RCX, e->address_size, s->left);
	ost_emul_log_reset(e);
}

/*
 * A fault in the middle of comparisons gives the flags back as they were before the instruction
 * (SDM vol. 2B, REP); counter and addresses stay where it happened.
 */
static int repeat(struct ost_emul *e, int (*iteration)(struct ost_emul *e, struct string *s),
		  bool compares)
{
	struct string s = begin(e);
	u64 rflags = e->rflags;
	unsigned int i;
	int ret;

	for (i = 0; s.left && i < OST_EMUL_REP_BATCH; i++) {
		ret = iteration(e, &s);
		if (ret == OST_EMUL_FAULT)
			e->rflags = rflags;
		if (ret != OST_EMUL_OK)
			return ret;
		count_down(e, &s, 1);
		if (compares && s.repeated && !(e->rflags & X86_EFLAGS_ZF) == (e->rep == 0xf3))
			return OST_EMUL_OK;
		if (e->yield || e->one_iteration || e->rflags & X86_EFLAGS_TF)
			break;
	}
	e->completed = !s.left;
	return OST_EMUL_OK;
}

static int movs_one(struct ost_emul *e, struct string *s)
{
	u64 value;
	int ret;

	ret = ost_emul_read(e, source_segment(e), source_offset(e, s), &value, s->bytes, false);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_write(e, OST_ES, destination_offset(e, s), &value, s->bytes);
	if (ret != OST_EMUL_OK)
		return ret;
	advance(e, s, OST_RSI, 1);
	advance(e, s, OST_RDI, 1);
	return OST_EMUL_OK;
}

int ost_exec_movs(struct ost_emul *e)
{
	return repeat(e, movs_one, false);
}

static int stos_one(struct ost_emul *e, struct string *s)
{
	int ret = ost_emul_write(e, OST_ES, destination_offset(e, s), &e->gpr[OST_RAX], s->bytes);

	if (ret == OST_EMUL_OK)
		advance(e, s, OST_RDI, 1);
	return ret;
}

int ost_exec_stos(struct ost_emul *e)
{
	return repeat(e, stos_one, false);
}

static int lods_one(struct ost_emul *e, struct string *s)
{
	u64 value = 0;
	int ret;

	ret = ost_emul_read(e, source_segment(e), source_offset(e, s), &value, s->bytes, false);
	if (ret != OST_EMUL_OK)
		return ret;
	ost_set_gpr(e, OST_RAX, s->bytes, value);
	advance(e, s, OST_RSI, 1);
	return OST_EMUL_OK;
}

int ost_exec_lods(struct ost_emul *e)
{
	return repeat(e, lods_one, false);
}

static int cmps_one(struct ost_emul *e, struct string *s)
{
	u64 source = 0, destination = 0;
	int ret;

	ret = ost_emul_read(e, source_segment(e), source_offset(e, s), &source, s->bytes, false);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_read(e, OST_ES, destination_offset(e, s), &destination, s->bytes,
				    false);
	if (ret != OST_EMUL_OK)
		return ret;
	ost_emul_flags_sub(e, source, destination, s->bytes);
	advance(e, s, OST_RSI, 1);
	advance(e, s, OST_RDI, 1);
	return OST_EMUL_OK;
}

int ost_exec_cmps(struct ost_emul *e)
{
	return repeat(e, cmps_one, true);
}

static int scas_one(struct ost_emul *e, struct string *s)
{
	u64 value = 0;
	int ret;

	ret = ost_emul_read(e, OST_ES, destination_offset(e, s), &value, s->bytes, false);
	if (ret != OST_EMUL_OK)
		return ret;
	ost_emul_flags_sub(e, e->gpr[OST_RAX] & ost_mask(s->bytes), value, s->bytes);
	advance(e, s, OST_RDI, 1);
	return OST_EMUL_OK;
}

int ost_exec_scas(struct ost_emul *e)
{
	return repeat(e, scas_one, true);
}

/*
 * How many elements from 'linear' on go in one batch: those that a page, the buffer, the address
 * size and the segment hold, if they are RAM. One at least: that may cross pages, or be a device's.
 */
static int batch_size(struct ost_emul *e, const struct string *s, enum ost_emul_seg seg, u64 offset,
		      bool write, u64 linear, unsigned int *elements)
{
	unsigned int in_page = (0x1000 - (linear & 0xfff)) / s->bytes;
	u64 n = min_t(u64, s->left, min_t(u64, in_page, OST_EMUL_PIO_BATCH / s->bytes));
	u64 ignored;
	int ret;

	/* A single element may cross into the next page. */
	if (n < 2 || e->one_iteration || e->rflags & (X86_EFLAGS_DF | X86_EFLAGS_TF) ||
	    offset + n * s->bytes - 1 > s->mask ||
	    ost_emul_linear(e, seg, offset, n * s->bytes, write, &ignored) != OST_EMUL_OK)
		n = 1;
	ret = ost_emul_probe(e, linear, n * s->bytes, write);
	*elements = ret == OST_EMUL_OK ? n : 1;
	return ret == OST_EMUL_FAULT ? ret : OST_EMUL_OK;
}

static int input(struct ost_emul *e, struct string *s)
{
	u64 offset = destination_offset(e, s), linear;
	unsigned int possible, elements, taken;
	int ret;

	ret = ost_emul_check_io(e, e->gpr[OST_RDX], s->bytes);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_linear(e, OST_ES, offset, s->bytes, true, &linear);
	if (ret == OST_EMUL_OK)
		ret = batch_size(e, s, OST_ES, offset, true, linear, &possible);
	if (ret != OST_EMUL_OK)
		return ret;

	if (!e->ops->write)
		return OST_EMUL_UNHANDLEABLE;
	/*
	 * After an IO userspace has answered for the count that was asked. Fewer are taken where it has
	 * lowered RCX meanwhile, or has taken away the memory; the rest has no way to go.
	 */
	elements = e->pio_count ? e->pio_count : possible;
	taken = min(elements, possible);
	ret = e->ops->pio(e, e->gpr[OST_RDX], s->bytes, true, e->pio_buf, elements);
	e->pio_count = ret == OST_EMUL_IO ? elements : 0;
	if (ret == OST_EMUL_OK)
		ret = e->ops->write(e, linear, e->pio_buf, taken * s->bytes, 0);
	if (ret != OST_EMUL_OK)
		return ret;
	advance(e, s, OST_RDI, taken);
	count_down(e, s, taken);
	return OST_EMUL_OK;
}

static int output(struct ost_emul *e, struct string *s)
{
	enum ost_emul_seg seg = source_segment(e);
	u64 offset = source_offset(e, s), linear;
	unsigned int elements;
	int ret;

	ret = ost_emul_check_io(e, e->gpr[OST_RDX], s->bytes);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_linear(e, seg, offset, s->bytes, false, &linear);
	if (ret == OST_EMUL_OK)
		ret = batch_size(e, s, seg, offset, false, linear, &elements);
	if (ret != OST_EMUL_OK)
		return ret;

	/*
	 * A batch is RAM, which can be read again; a single element may have to wait for userspace.
	 */
	if (elements > 1)
		ret = e->ops->read ? e->ops->read(e, linear, e->pio_buf, elements * s->bytes, 0)
				   : OST_EMUL_UNHANDLEABLE;
	else
		ret = ost_emul_read_linear(e, linear, e->pio_buf, s->bytes, 0);
	if (ret == OST_EMUL_OK)
		ret = e->ops->pio(e, e->gpr[OST_RDX], s->bytes, false, e->pio_buf, elements);
	if (ret != OST_EMUL_OK)
		return ret;
	advance(e, s, OST_RSI, elements);
	count_down(e, s, elements);
	return OST_EMUL_OK;
}

/* One batch a call: the core looks at interrupts, and sends what was posted, in between. */
static int port_string(struct ost_emul *e, int (*batch)(struct ost_emul *e, struct string *s))
{
	struct string s = begin(e);
	int ret;

	if (!e->ops->pio)
		return OST_EMUL_UNHANDLEABLE;
	/* Ports have no eight bytes (APM vol. 3, INS). */
	s.bytes = min_t(unsigned int, s.bytes, 4);
	if (!s.left)
		return OST_EMUL_OK;
	ret = batch(e, &s);
	if (ret == OST_EMUL_OK)
		e->completed = !s.left;
	return ret;
}

int ost_exec_ins(struct ost_emul *e)
{
	return port_string(e, input);
}

int ost_exec_outs(struct ost_emul *e)
{
	return port_string(e, output);
}
