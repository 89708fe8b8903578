// SPDX-License-Identifier: GPL-2.0-only
/* IN and OUT: to a device in the kernel, or out to userspace. String forms go through emulation.c. */
#include <linux/mm.h>
#include <linux/string.h>
#include "backend.h"
#include "io.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

/* Puts the result of IN where the instruction wants it: AL and AX keep the rest, EAX clears it. */
static void set_rax(struct ost_vcpu *vcpu, u32 val, u32 size)
{
	u64 rax = ost_reg(vcpu, OST_REG_RAX);

	switch (size) {
	case 1:
		rax = (rax & ~0xffull) | (u8)val;
		break;
	case 2:
		rax = (rax & ~0xffffull) | (u16)val;
		break;
	default:
		rax = val;
		break;
	}
	ost_reg_set(vcpu, OST_REG_RAX, rax);
}

/*
 * Userspace is done with it. The instruction is passed now, not before: until then RIP is at it, as the
 * ABI says, and a VMM that has set another RIP meanwhile has decided where the guest goes on.
 */
static int complete_pio(struct ost_vcpu *vcpu)
{
	u32 val = 0;

	if (ost_rip(vcpu) != vcpu->io.rip)
		return OST_RUN;
	if (vcpu->io.pio_in) {
		val = READ_ONCE(*(u32 *)page_address(vcpu->pio_page));
		set_rax(vcpu, val, vcpu->io.pio_size);
	}
	return static_call(ost_skip_instruction)(vcpu);
}

void ost_pio_to_user(struct ost_vcpu *vcpu, u16 port, u32 size, u32 count, bool in)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = size;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = PAGE_SIZE;
	vcpu->stats.pio_user++;
}

int ost_exit_pio(struct ost_vcpu *vcpu, u16 port, u32 size, bool in)
{
	u32 val = 0;
	int r;

	trace_ost_pio(vcpu, in, port, size, 1);
	if (in) {
		r = ost_bus_read(vcpu, &vcpu->vm->pio_bus, port, size, &val);
	} else {
		val = ost_reg(vcpu, OST_REG_RAX);
		r = ost_bus_write(vcpu, &vcpu->vm->pio_bus, port, size, &val);
	}
	if (!r) {
		if (in)
			set_rax(vcpu, val, size);
		return static_call(ost_skip_instruction)(vcpu);
	}
	/* All four bytes, of which userspace is told to look at `size`. */
	if (!in)
		*(u32 *)page_address(vcpu->pio_page) = val;
	vcpu->io.pio_size = size;
	vcpu->io.pio_in = in;
	vcpu->io.rip = ost_rip(vcpu);
	vcpu->io.complete = complete_pio;
	ost_pio_to_user(vcpu, port, size, 1, in);
	return OST_USER;
}
