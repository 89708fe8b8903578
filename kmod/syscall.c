// SPDX-License-Identifier: GPL-2.0-only
/*
 * SYSCALL outside of 64-bit code. AMD's CPUs have it (APM vol. 3, SYSCALL), on Intel's it is #UD: a guest with AMD's CPUID
 * that has come to an Intel host finds it here.
 */
#include <linux/kvm.h>
#include <asm/msr-index.h>
#include "backend.h"
#include "exit.h"
#include "io.h"
#include "vcpu.h"

static u64 msr(struct ost_vcpu *vcpu, u32 index)
{
	u64 data = 0;

	ost_backend->get_msr(vcpu, index, &data);
	return data;
}

/* Flat segments of CPL 0, whatever the GDT says. */
static void load_segments(struct ost_vcpu *vcpu, u16 selector)
{
	bool long_mode = ost_long_mode(vcpu);
	struct kvm_segment cs = {
		.selector = selector & 0xfffc, .limit = 0xffffffff, .type = 0xb, .s = 1, .present = 1, .g = 1,
		.l = long_mode, .db = !long_mode,
	};
	struct kvm_segment ss = {
		.selector = cs.selector + 8, .limit = 0xffffffff, .type = 3, .s = 1, .present = 1, .g = 1, .db = 1,
	};

	ost_backend->set_segment(vcpu, OST_SEG_CS, &cs);
	ost_backend->set_segment(vcpu, OST_SEG_SS, &ss);
}

static int enter_kernel(struct ost_vcpu *vcpu, u8 len)
{
	u64 rflags = ost_guest_rflags(vcpu) & ~(u64)X86_EFLAGS_RF, star = msr(vcpu, MSR_STAR);

	ost_reg_set(vcpu, OST_REG_RCX, (u32)(ost_rip(vcpu) + len));
	if (ost_long_mode(vcpu)) {
		ost_reg_set(vcpu, OST_REG_R11, rflags);
		ost_reg_set(vcpu, OST_REG_RIP, msr(vcpu, MSR_CSTAR));
		rflags &= ~msr(vcpu, MSR_SYSCALL_MASK);
	} else {
		ost_reg_set(vcpu, OST_REG_RIP, (u32)star);
		rflags &= ~(u64)X86_EFLAGS_IF;
	}
	load_segments(vcpu, star >> 32);
	static_call(ost_set_interrupt_shadow)(vcpu, 0);
	/* TF counts as it is now. */
	rflags = ost_debug_take_tf(vcpu, rflags | X86_EFLAGS_FIXED);
	ost_reg_set(vcpu, OST_REG_RFLAGS, rflags);
	return rflags & X86_EFLAGS_TF ? ost_single_step(vcpu) : OST_RUN;
}

bool ost_foreign_syscall(struct ost_vcpu *vcpu, int *r)
{
	u8 len;

	if (vcpu->emul.amd || !ost_has(vcpu, AMD) || ost_mode64(vcpu) || !ost_protected_mode(vcpu) ||
	    (ost_rflags(vcpu) & X86_EFLAGS_VM) || !(ost_efer(vcpu) & EFER_SCE))
		return false;
	len = ost_insn_len(vcpu, OST_INSN_SYSCALL);
	if (!len)
		return false;
	ost_vcpu_preemptible(vcpu);
	*r = enter_kernel(vcpu, len);
	return true;
}
