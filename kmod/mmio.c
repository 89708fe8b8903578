// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses to device memory: to the kernel's own devices, or by userspace piece by piece; and the short
 * way for the plain MOVs that most of them are, past the emulator (emulation.c).
 */
#include <linux/mm.h>
#include <linux/string.h>
#include "backend.h"
#include "emulate/mov.h"
#include "exit.h"
#include "io.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

int ost_mmio_kernel(struct ost_vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write)
{
	u32 done, n;
	int r = 0;

	for (done = 0; done < len && !r; done += n, gpa += n, data += n) {
		n = min_t(u32, len - done, 8);
		if (vcpu->apic && ost_lapic_covers(vcpu, gpa))
			r = write ? ost_lapic_mmio_write(vcpu, offset_in_page(gpa), n, data)
				  : ost_lapic_mmio_read(vcpu, offset_in_page(gpa), n, data);
		else
			r = write ? ost_bus_write(vcpu, &vcpu->vm->mmio_bus, gpa, n, data)
				  : ost_bus_read(vcpu, &vcpu->vm->mmio_bus, gpa, n, data);
		if (!r || !done)
			continue;
		/* Not all pieces of a write are the kernel's: its ring for them may have become full. */
		if (write)
			return done;
		/* A device that took the first piece has the rest, or it is lost as on a bus. */
		memset(data, 0xff, n);
		r = 0;
	}
	return r;
}

u64 ost_mmio_value(const void *data, u32 len)
{
	u64 val = 0;

	memcpy(&val, data, min_t(u32, len, 8));
	return val;
}

void ost_mmio_add(struct ost_vcpu *vcpu, gpa_t gpa, u32 len, const void *data)
{
	struct ost_mmio_part *part = &vcpu->io.part[vcpu->io.nr_parts++];

	part->gpa = gpa;
	part->len = len;
	if (data)
		memcpy(part->data, data, len);
}

void ost_mmio_start(struct ost_vcpu *vcpu, bool write)
{
	vcpu->io.nr_parts = 0;
	vcpu->io.cur_part = 0;
	vcpu->io.done = 0;
	vcpu->io.mmio_write = write;
	vcpu->io.read_ready = false;
}

int ost_mmio_to_user(struct ost_vcpu *vcpu)
{
	struct ost_mmio_part *part = &vcpu->io.part[vcpu->io.cur_part];
	struct kvm_run *run = vcpu->run;
	u32 n = min_t(u32, part->len - vcpu->io.done, 8);

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = part->gpa + vcpu->io.done;
	run->mmio.len = n;
	run->mmio.is_write = vcpu->io.mmio_write;
	if (vcpu->io.mmio_write)
		memcpy(run->mmio.data, part->data + vcpu->io.done, n);
	vcpu->stats.mmio_user++;
	return OST_USER;
}

bool ost_mmio_piece_done(struct ost_vcpu *vcpu)
{
	struct ost_mmio_part *part = &vcpu->io.part[vcpu->io.cur_part];
	u32 n = min_t(u32, part->len - vcpu->io.done, 8);

	if (!vcpu->io.mmio_write)
		memcpy(part->data + vcpu->io.done, vcpu->run->mmio.data, n);
	vcpu->io.done += n;
	if (vcpu->io.done < part->len)
		return false;
	vcpu->io.done = 0;
	return ++vcpu->io.cur_part == vcpu->io.nr_parts;
}

/* --- MOV at once --- */

/* An instruction that userspace is told of is passed when userspace has done its part. */
static int complete_write(struct ost_vcpu *vcpu)
{
	if (!ost_mmio_piece_done(vcpu)) {
		vcpu->io.complete = complete_write;
		return ost_mmio_to_user(vcpu);
	}
	return OST_RUN;
}

/* What was read goes to its register, as a MOV of that size makes it. */
static void load_register(struct ost_vcpu *vcpu, int reg, u8 size, bool zero_extend, u64 val)
{
	u64 old;

	if (size < 4 && !zero_extend) {
		old = ost_reg(vcpu, reg);
		val |= old & ~GENMASK_ULL(8 * size - 1, 0);
	}
	ost_reg_set(vcpu, reg, val);
}

static int complete_read(struct ost_vcpu *vcpu)
{
	struct ost_io_state *io = &vcpu->io;
	u64 val = 0;

	/* A VMM that has set another RIP meanwhile has decided where the guest goes on. */
	if (ost_rip(vcpu) != io->rip)
		return OST_RUN;
	memcpy(&val, vcpu->run->mmio.data, io->mov_size);
	trace_ost_mmio(vcpu, false, io->part[0].gpa, io->mov_size, val);
	load_register(vcpu, io->mov_reg, io->mov_size, io->mov_zero_extend, val);
	return ost_advance_rip(vcpu, io->rip + io->mov_len);
}

static int mov_store(struct ost_vcpu *vcpu, gpa_t gpa, const struct ost_mov *mov)
{
	u64 val = mov->immediate ? mov->imm : ost_reg(vcpu, mov->reg);
	int r;

	trace_ost_mmio(vcpu, true, gpa, mov->size, ost_mmio_value(&val, mov->size));
	r = ost_mmio_kernel(vcpu, gpa, mov->size, &val, true);
	ost_advance_rip(vcpu, ost_rip(vcpu) + mov->len);
	if (!r)
		return OST_RUN;
	ost_mmio_start(vcpu, true);
	ost_mmio_add(vcpu, gpa, mov->size, &val);
	vcpu->io.complete = complete_write;
	return ost_mmio_to_user(vcpu);
}

static int mov_load(struct ost_vcpu *vcpu, gpa_t gpa, const struct ost_mov *mov)
{
	struct ost_io_state *io = &vcpu->io;
	u64 val = 0;

	if (!ost_mmio_kernel(vcpu, gpa, mov->size, &val, false)) {
		trace_ost_mmio(vcpu, false, gpa, mov->size, val);
		load_register(vcpu, mov->reg, mov->size, mov->zero_extend, val);
		return ost_advance_rip(vcpu, ost_rip(vcpu) + mov->len);
	}
	io->rip = ost_rip(vcpu);
	io->mov_len = mov->len;
	io->mov_reg = mov->reg;
	io->mov_size = mov->size;
	io->mov_zero_extend = mov->zero_extend;
	ost_mmio_start(vcpu, false);
	ost_mmio_add(vcpu, gpa, mov->size, NULL);
	io->complete = complete_read;
	return ost_mmio_to_user(vcpu);
}

/*
 * The CPU has translated the operand's address and found that the instruction may access it so; all that
 * is asked here is whether the instruction that stands there now does access that place, and in that way.
 */
static bool is_this_access(struct ost_vcpu *vcpu, gpa_t gpa, enum ost_mmio_way way,
			   const struct ost_mov *mov)
{
	u64 linear;

	if (way == OST_MMIO_EITHER ? static_call(ost_get_cpl)(vcpu) > 0
				   : mov->store != (way == OST_MMIO_WRITE))
		return false;
	if (offset_in_page(gpa) + mov->size > PAGE_SIZE)
		return false;
	/* RSP is the one GPR that not every exit stores. */
	ost_reg(vcpu, OST_REG_RSP);
	linear = ost_mov_address(mov, vcpu->regs, ost_rip(vcpu));
	return offset_in_page(linear) == offset_in_page(gpa);
}

/*
 * Where the code at RIP is. Of other code than 64-bit code only 32-bit code will do; where its segments begin does
 * not matter for is_this_access(), as long as that is at a page.
 */
static bool find_code(struct ost_vcpu *vcpu, bool mode64, u64 *linear)
{
	u64 rip = ost_rip(vcpu);
	u32 base;

	*linear = rip;
	if (likely(mode64))
		return true;
	if (!ost_protected_mode(vcpu) || (ost_rflags(vcpu) & X86_EFLAGS_VM) ||
	    !ost_backend->code32(vcpu, &base) || rip > U32_MAX - OST_MOV_BYTES)
		return false;
	*linear = (u32)(base + rip);
	return true;
}

int ost_mmio_mov(struct ost_vcpu *vcpu, gpa_t gpa, enum ost_mmio_way way)
{
	const struct ost_events *e = &vcpu->event;
	bool mode64 = ost_mode64(vcpu);
	u8 code[OST_PEEK_BYTES];
	struct ost_mov mov;
	u64 linear;

	/* Delivery of an event has met device memory, or the instruction traps behind. */
	if (e->exception.injected || e->interrupt.injected || e->nmi.injected ||
	    (ost_rflags(vcpu) & X86_EFLAGS_TF))
		return -EOPNOTSUPP;
	BUILD_BUG_ON(OST_MOV_BYTES > OST_PEEK_BYTES);
	if (!find_code(vcpu, mode64, &linear) || !ost_peek_code(vcpu, linear, code) ||
	    !ost_mov_decode(code, mode64, &mov) || !is_this_access(vcpu, gpa, way, &mov))
		return -EOPNOTSUPP;
	vcpu->stats.mmio_movs++;
	return mov.store ? mov_store(vcpu, gpa, &mov) : mov_load(vcpu, gpa, &mov);
}
