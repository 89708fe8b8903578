// SPDX-License-Identifier: GPL-2.0-only
/* One decoded instruction from its checks to the move of RIP. */
#include "internal.h"

/* What an instruction that does not complete gives back. */
struct saved {
	u64 gpr[OST_NR_GPRS];
	u64 rip;
	u64 rflags;
};

/*
 * LOCK is legal before a few instructions, and only when they write memory (APM vol. 3, 1.2.5). AMD
 * reaches CR8 by LOCK and MOV CR0, outside 64-bit mode (APM vol. 3, MOV CRn).
 */
static bool lock_is_legal(struct ost_emul *e)
{
	if (!e->lock)
		return true;
	if (!(e->opc->flags & F_LOCK))
		return false;
	if (e->id == OST_INSN_MOV_FROM_CR || e->id == OST_INSN_MOV_TO_CR)
		return e->amd;
	return e->op[0].kind == OST_OPND_MEM;
}

static int check(struct ost_emul *e)
{
	u32 flags = e->opc->flags;

	if (flags & F_UD || !lock_is_legal(e) || (flags & F_NO64 && ost_emul_is64(e)) ||
	    (flags & F_PROT && !ost_emul_is_prot(e)))
		return ost_emul_ud(e);
	if (!e->opc->exec)
		return OST_EMUL_UNHANDLEABLE;
	if (flags & F_PRIV && ost_emul_cpl(e) != 0)
		return ost_emul_gp(e, 0);
	return OST_EMUL_OK;
}

static int run(struct ost_emul *e)
{
	u32 flags = e->opc->flags;
	bool rmw = (flags & F_RMW) == F_RMW;
	int ret = check(e);

	if (ret != OST_EMUL_OK)
		return ret;
	if (e->mem.valid)
		e->mem_offset = ost_emul_effective_address(e);
	if (flags & F_RAW)
		return e->opc->exec(e);

	/* Sources first: of two operands at most one is memory, so no order shows. */
	ret = ost_emul_load(e, &e->op[1], false);
	if (ret == OST_EMUL_OK)
		ret = ost_emul_load(e, &e->op[2], false);
	if (ret == OST_EMUL_OK && flags & F_RD)
		ret = ost_emul_load(e, &e->op[0], rmw);
	if (ret == OST_EMUL_OK)
		ret = e->opc->exec(e);
	if (ret == OST_EMUL_OK && flags & F_WR)
		ret = ost_emul_store(e, &e->op[0], rmw);
	return ret;
}

/*
 * RF ends with the instruction that ran under it, but stays set between the iterations of a
 * repeated one: an interrupt then saves it, so that a breakpoint on the instruction is not met
 * again (APM vol. 2, 3.1.6).
 */
static void complete(struct ost_emul *e, u64 rip, u64 rflags)
{
	/* A jump has moved RIP already; a repeated instruction cleared e->completed. */
	if (e->completed) {
		if (!e->jumped)
			e->rip = ost_emul_next_rip(e);
		/* POPF and IRET load RF as they are told */
		if (!e->sets_rf)
			e->rflags &= ~X86_EFLAGS_RF;
	} else {
		e->rip = rip;
		e->rflags |= X86_EFLAGS_RF;
	}
	/* No debug trap comes between a load of SS and the next instruction (APM vol. 2, 8.2.2). */
	e->single_step = rflags & X86_EFLAGS_TF && e->shadow != OST_EMUL_SHADOW_MOV_SS;
	ost_emul_log_reset(e);
}

int ost_emul_execute(struct ost_emul *e)
{
	struct saved saved = {.rip = e->rip, .rflags = e->rflags};
	int ret;

	if (!e->opc)
		return OST_EMUL_UNHANDLEABLE;
	if (e->rip != e->insn_rip)
		return OST_EMUL_RETRY;
	memcpy(saved.gpr, e->gpr, sizeof(saved.gpr));
	e->completed = true;
	e->jumped = false;
	e->sets_rf = false;
	e->single_step = false;
	e->yield = false;
	e->shadow = OST_EMUL_SHADOW_NONE;
	e->log.next = 0;

	ret = run(e);
	if (ret == OST_EMUL_OK) {
		complete(e, saved.rip, saved.rflags);
		return ret;
	}

	e->completed = false;
	e->shadow = OST_EMUL_SHADOW_NONE;
	if (!(e->opc->flags & F_KEEP)) {
		memcpy(e->gpr, saved.gpr, sizeof(e->gpr));
		e->rflags = saved.rflags;
	}
	e->rip = saved.rip;
	if (ret != OST_EMUL_IO)
		ost_emul_log_reset(e);
	return ret;
}
