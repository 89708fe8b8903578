// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's state as the VMM reads and writes it (state.h). What is set is checked for what the CPU
 * could never be in, so that the backends meet combinations only that an entry accepts or refuses
 * cleanly.
 */
#include <linux/bitops.h>
#include <linux/string.h>
#include "backend.h"
#include "fpu.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "mmu/walk.h"
#include "state.h"
#include "vcpu.h"
#include "vm.h"

/* Bits of RFLAGS that exist. */
#define RFLAGS_BITS                                                                                \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF |           \
	 X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_IOPL |         \
	 X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM | X86_EFLAGS_AC | X86_EFLAGS_VIF |          \
	 X86_EFLAGS_VIP | X86_EFLAGS_ID)

#define REGS_ALL (GENMASK(OST_REG_R15, OST_REG_RAX) | BIT(OST_REG_RIP) | BIT(OST_REG_RFLAGS))

int ost_get_regs(struct ost_vcpu *vcpu, struct kvm_regs *out)
{
	/* Every exit stores all of them but RSP. */
	const u64 *regs = vcpu->regs;

	out->rax = regs[OST_REG_RAX];
	out->rbx = regs[OST_REG_RBX];
	out->rcx = regs[OST_REG_RCX];
	out->rdx = regs[OST_REG_RDX];
	out->rsi = regs[OST_REG_RSI];
	out->rdi = regs[OST_REG_RDI];
	out->rsp = ost_reg(vcpu, OST_REG_RSP);
	out->rbp = regs[OST_REG_RBP];
	out->r8 = regs[OST_REG_R8];
	out->r9 = regs[OST_REG_R9];
	out->r10 = regs[OST_REG_R10];
	out->r11 = regs[OST_REG_R11];
	out->r12 = regs[OST_REG_R12];
	out->r13 = regs[OST_REG_R13];
	out->r14 = regs[OST_REG_R14];
	out->r15 = regs[OST_REG_R15];
	out->rip = ost_rip(vcpu);
	out->rflags = ost_guest_rflags(vcpu);
	return 0;
}

u64 ost_rflags_valid(u64 rflags)
{
	return (rflags & RFLAGS_BITS) | X86_EFLAGS_FIXED;
}

int ost_set_regs(struct ost_vcpu *vcpu, const struct kvm_regs *in)
{
	u64 *regs = vcpu->regs;

	regs[OST_REG_RAX] = in->rax;
	regs[OST_REG_RBX] = in->rbx;
	regs[OST_REG_RCX] = in->rcx;
	regs[OST_REG_RDX] = in->rdx;
	regs[OST_REG_RSI] = in->rsi;
	regs[OST_REG_RDI] = in->rdi;
	regs[OST_REG_RSP] = in->rsp;
	regs[OST_REG_RBP] = in->rbp;
	regs[OST_REG_R8] = in->r8;
	regs[OST_REG_R9] = in->r9;
	regs[OST_REG_R10] = in->r10;
	regs[OST_REG_R11] = in->r11;
	regs[OST_REG_R12] = in->r12;
	regs[OST_REG_R13] = in->r13;
	regs[OST_REG_R14] = in->r14;
	regs[OST_REG_R15] = in->r15;
	regs[OST_REG_RIP] = in->rip;
	regs[OST_REG_RFLAGS] = ost_rflags_valid(in->rflags);
	if (unlikely(vcpu->debug.control))
		regs[OST_REG_RFLAGS] = ost_debug_take_tf(vcpu, regs[OST_REG_RFLAGS]);
	vcpu->regs_avail |= REGS_ALL;
	vcpu->regs_dirty |= REGS_ALL;
	vcpu->event.exception.pending = false;
	ost_request(vcpu, OST_REQ_EVENT);
	return 0;
}

/* --- special registers --- */

int ost_get_sregs(struct ost_vcpu *vcpu, struct kvm_sregs *out)
{
	ost_backend->get_segments(vcpu, out);
	out->cr0 = ost_cr0(vcpu);
	out->cr2 = vcpu->cr2;
	out->cr3 = ost_cr3(vcpu);
	out->cr4 = ost_cr4(vcpu);
	out->cr8 = ost_get_cr8(vcpu);
	out->efer = ost_efer(vcpu);
	out->apic_base = vcpu->apic_base;
	memset(out->interrupt_bitmap, 0, sizeof(out->interrupt_bitmap));
	/* An interrupt whose delivery has begun is in no LAPIC any more. */
	if (vcpu->event.interrupt.injected && !vcpu->event.interrupt.soft)
		__set_bit(vcpu->event.interrupt.vector, (unsigned long *)out->interrupt_bitmap);
	return 0;
}

bool ost_sregs_valid(struct ost_vcpu *vcpu, const struct kvm_sregs *in)
{
	if ((in->cr0 >> 32) || (in->cr8 & ~0xfull))
		return false;
	if ((in->cr0 & X86_CR0_PG) && !(in->cr0 & X86_CR0_PE))
		return false;
	if ((in->cr0 & X86_CR0_NW) && !(in->cr0 & X86_CR0_CD))
		return false;
	if (in->cr4 & vcpu->cpuid.cr4_reserved)
		return false;
	/* Not by the guest's CPUID: it may come later, or not at all. */
	if (in->efer & ~ost_efer_supported)
		return false;
	if ((in->efer & EFER_LME) && (in->cr0 & X86_CR0_PG)) {
		/* Long mode: PAE, LMA, and a CR3 that its MOV would take. */
		if (!(in->cr4 & X86_CR4_PAE) || !(in->efer & EFER_LMA))
			return false;
		if (in->cr3 & (vcpu->cpuid.gpa_reserved | GENMASK_ULL(63, 52)))
			return false;
	} else if ((in->efer & EFER_LMA) || in->cs.l) {
		return false;
	}
	return true;
}

/* The base register goes first: the LAPIC refuses what it can't be switched to. */
static int set_apic_base(struct ost_vcpu *vcpu, u64 base)
{
	if (base == vcpu->apic_base)
		return 0;
	return ost_apic_base_write(vcpu, base, true) ? -EINVAL : 0;
}

static void set_interrupt(struct ost_vcpu *vcpu, const struct kvm_sregs *in)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(in->interrupt_bitmap); i++) {
		if (likely(!in->interrupt_bitmap[i]))
			continue;
		vcpu->event.interrupt.injected = true;
		vcpu->event.interrupt.soft = false;
		vcpu->event.interrupt.vector = 64 * i + __ffs64(in->interrupt_bitmap[i]);
		return;
	}
}

void ost_sregs_load(struct ost_vcpu *vcpu, const struct kvm_sregs *in)
{
	u64 cr4 = ost_cr4(vcpu);

	ost_backend->set_efer(vcpu, in->efer);
	ost_backend->set_cr0(vcpu, in->cr0 | X86_CR0_ET);
	ost_backend->set_cr4(vcpu, in->cr4);
	ost_backend->set_cr3(vcpu, in->cr3);
	ost_backend->set_segments(vcpu, in);
	if (in->cr4 != cr4)
		ost_cpuid_refresh(vcpu);
	ost_backend->flush_tlb(vcpu);
	ost_request(vcpu, OST_REQ_EVENT);
}

int ost_set_sregs(struct ost_vcpu *vcpu, const struct kvm_sregs *in)
{
	if (!ost_sregs_valid(vcpu, in) || set_apic_base(vcpu, in->apic_base))
		return -EINVAL;

	vcpu->cr2 = in->cr2;
	ost_sregs_load(vcpu, in);
	ost_set_cr8(vcpu, in->cr8);
	set_interrupt(vcpu, in);
	return 0;
}

/*
 * What both structs have is at the same place in them. An interrupt that is on its way has none in the second, it is
 * with the events.
 */
#define SREGS_COMMON offsetofend(struct kvm_sregs, apic_base)

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & EFER_LMA);
}

int ost_get_sregs2(struct ost_vcpu *vcpu, struct kvm_sregs2 *out)
{
	struct kvm_sregs sregs;

	BUILD_BUG_ON(offsetof(struct kvm_sregs2, cs) != offsetof(struct kvm_sregs, cs) ||
		     offsetof(struct kvm_sregs2, idt) != offsetof(struct kvm_sregs, idt) ||
		     offsetofend(struct kvm_sregs2, apic_base) != SREGS_COMMON);
	ost_get_sregs(vcpu, &sregs);
	memset(out, 0, sizeof(*out));
	memcpy(out, &sregs, SREGS_COMMON);
	if (!pae_paging(out->cr0, out->cr4, out->efer))
		return 0;
	out->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	/* A CPU that has none of its own reads them from memory when it needs them. */
	if (ost_backend->get_pdptes && ost_backend->get_pdptes(vcpu, out->pdptrs))
		return 0;
	if (ost_vcpu_read(vcpu, out->cr3 & GENMASK_ULL(31, 5), out->pdptrs, sizeof(out->pdptrs)))
		memset(out->pdptrs, 0, sizeof(out->pdptrs));
	return 0;
}

int ost_set_sregs2(struct ost_vcpu *vcpu, const struct kvm_sregs2 *in)
{
	bool pdptes = in->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	struct kvm_sregs sregs = {};
	int i, r;

	if (in->flags & ~(u64)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (pdptes && !pae_paging(in->cr0, in->cr4, in->efer))
		return -EINVAL;
	for (i = 0; pdptes && i < ARRAY_SIZE(in->pdptrs); i++)
		if (!ost_pdpte_loadable(in->pdptrs[i], vcpu->cpuid.gpa_reserved))
			return -EINVAL;
	memcpy(&sregs, in, SREGS_COMMON);
	r = ost_set_sregs(vcpu, &sregs);
	if (!r && pdptes && ost_backend->set_pdptes)
		ost_backend->set_pdptes(vcpu, in->pdptrs);
	return r;
}

/* --- XCRs --- */

int ost_get_xcrs(struct ost_vcpu *vcpu, struct kvm_xcrs *out)
{
	if (!ost_supported(XSAVE))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->nr_xcrs = 1;
	out->xcrs[0].xcr = 0;
	out->xcrs[0].value = vcpu->fpu.xcr0;
	return 0;
}

int ost_set_xcrs(struct ost_vcpu *vcpu, const struct kvm_xcrs *in)
{
	u32 i;

	if (!ost_supported(XSAVE) || in->nr_xcrs > KVM_MAX_XCRS || in->flags)
		return -EINVAL;
	for (i = 0; i < in->nr_xcrs; i++) {
		u64 xcr0 = in->xcrs[i].value;

		/* There is no other yet. */
		if (in->xcrs[i].xcr != 0)
			continue;
		if ((xcr0 & ~vcpu->cpuid.xcr0_allowed) || !ost_fpu_xcr0_valid(xcr0))
			return -EINVAL;
		ost_fpu_set_xcr0(vcpu, xcr0);
		ost_cpuid_refresh(vcpu);
		break;
	}
	return 0;
}

/* --- MP state --- */

int ost_get_mp_state(struct ost_vcpu *vcpu, struct kvm_mp_state *out)
{
	/* INIT and SIPI that wait are part of the state. */
	if (vcpu->apic)
		ost_lapic_accept_init_sipi(vcpu);
	out->mp_state = READ_ONCE(vcpu->mp_state);
	/* So is a kick that has not taken it out of HLT yet. */
	if (out->mp_state == KVM_MP_STATE_HALTED && READ_ONCE(vcpu->pv.unhalted) && !vcpu->smm.active)
		out->mp_state = KVM_MP_STATE_RUNNABLE;
	return 0;
}

int ost_set_mp_state(struct ost_vcpu *vcpu, const struct kvm_mp_state *in)
{
	u32 state = in->mp_state;

	switch (state) {
	case KVM_MP_STATE_RUNNABLE:
		break;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_HALTED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		if (!vcpu->apic)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	/* INIT does not get through in SMM, so one that is there can't have it behind it. */
	if ((state == KVM_MP_STATE_INIT_RECEIVED || state == KVM_MP_STATE_SIPI_RECEIVED) &&
	    (vcpu->smm.active || vcpu->smm.pending || test_bit(OST_REQ_SMI_TOLD, &vcpu->requests)))
		return -EINVAL;
	if (state == KVM_MP_STATE_SIPI_RECEIVED) {
		/* The vector came with KVM_SET_VCPU_EVENTS. */
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_INIT_RECEIVED);
		set_bit(OST_SIPI_PENDING, &vcpu->pending_init_sipi);
	} else {
		WRITE_ONCE(vcpu->mp_state, state);
	}
	ost_request(vcpu, OST_REQ_EVENT);
	return 0;
}

/* --- debug registers --- */

int ost_get_debugregs(struct ost_vcpu *vcpu, struct kvm_debugregs *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->db, vcpu->dr, sizeof(out->db));
	out->dr6 = vcpu->dr6;
	out->dr7 = vcpu->dr7;
	return 0;
}

int ost_set_debugregs(struct ost_vcpu *vcpu, const struct kvm_debugregs *in)
{
	if (in->flags || (in->dr6 >> 32) || (in->dr7 >> 32) ||
	    memchr_inv(in->reserved, 0, sizeof(in->reserved)))
		return -EINVAL;
	memcpy(vcpu->dr, in->db, sizeof(vcpu->dr));
	vcpu->dr6 = ost_dr6_fixed(in->dr6);
	vcpu->dr7 = ost_dr7_fixed(in->dr7);
	ost_debug_update(vcpu);
	return 0;
}

/* --- translation --- */

int ost_translate(struct ost_vcpu *vcpu, struct kvm_translation *tr)
{
	struct ost_walk_fault fault;
	u64 gva = tr->linear_address;
	gpa_t gpa, unused;

	memset(tr, 0, sizeof(*tr));
	tr->linear_address = gva;
	tr->physical_address = ~0ull;
	/* Without paging each address is its own, also one of more bits than any memory has. */
	if (ost_gva_to_gpa(vcpu, gva, OST_ACCESS_NO_AD, &gpa, &fault) || gpa >> 52)
		return 0;
	tr->physical_address = gpa;
	tr->valid = 1;
	tr->writeable = !ost_gva_to_gpa(vcpu, gva, OST_ACCESS_NO_AD | OST_ACCESS_WRITE, &unused,
					&fault);
	tr->usermode = !ost_gva_to_gpa(vcpu, gva, OST_ACCESS_NO_AD | OST_ACCESS_USER, &unused,
				       &fault);
	return 0;
}
