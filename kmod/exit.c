// SPDX-License-Identifier: GPL-2.0-only
/* Exit handlers that both vendors share. */
#include <linux/kvm_para.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include "backend.h"
#include "compat_kvm.h"
#include "cpuid.h"
#include "exit.h"
#include "io.h"
#include "mmu/mmu.h"
#include "vcpu.h"
#include "vm.h"

int ost_advance_rip(struct ost_vcpu *vcpu, u64 rip)
{
	u64 rflags;

	ost_reg_set(vcpu, OST_REG_RIP, rip);
	static_call(ost_set_interrupt_shadow)(vcpu, 0);
	rflags = ost_rflags(vcpu);
	if (unlikely(rflags & X86_EFLAGS_RF))
		ost_reg_set(vcpu, OST_REG_RFLAGS, rflags & ~(u64)X86_EFLAGS_RF);
	if (unlikely(rflags & X86_EFLAGS_TF))
		return ost_single_step(vcpu);
	return OST_RUN;
}

int ost_exit_nothing(struct ost_vcpu *vcpu)
{
	return OST_RUN;
}

int ost_exit_skip(struct ost_vcpu *vcpu)
{
	return static_call(ost_skip_instruction)(vcpu);
}

int ost_exit_ud(struct ost_vcpu *vcpu)
{
	ost_ud(vcpu);
	return OST_RUN;
}

static int fault_gp(struct ost_vcpu *vcpu)
{
	ost_gp(vcpu, 0);
	return OST_RUN;
}

int ost_exit_emulate(struct ost_vcpu *vcpu)
{
	return ost_emulate_instruction(vcpu);
}

/* --- instructions --- */

/* Does a skip's OST_USER tell of a debugger's step, rather than that nobody knows where the instruction ends? */
static bool has_stepped(const struct ost_vcpu *vcpu)
{
	return (vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP) &&
	       READ_ONCE(vcpu->run->exit_reason) == KVM_EXIT_DEBUG;
}

/* The exit to userspace that comes of an instruction; where it was a debugger's step, that is told next. */
static int user_exit_behind(struct ost_vcpu *vcpu, u32 reason, int r)
{
	if (unlikely(r == OST_USER)) {
		if (!has_stepped(vcpu))
			return r;
		ost_debug_step_later(vcpu);
	}
	vcpu->run->exit_reason = reason;
	return OST_USER;
}

int ost_exit_hlt(struct ost_vcpu *vcpu)
{
	int r = ost_exit_skip(vcpu);

	if (r < 0 || (unlikely(r == OST_USER) && !has_stepped(vcpu)))
		return r;
	if (!vcpu->apic)
		return user_exit_behind(vcpu, KVM_EXIT_HLT, r);
	WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_HALTED);
	return r;
}

int ost_exit_xsetbv(struct ost_vcpu *vcpu)
{
	/* Looked at before the exit by CPUs, and not by QEMU's. */
	if (unlikely(!(ost_cr4(vcpu) & X86_CR4_OSXSAVE)))
		return ost_exit_ud(vcpu);
	/* AMD's exit comes before the check of the privilege level (APM vol. 2, table 15-7). */
	if (static_call(ost_get_cpl)(vcpu) ||
	    ost_set_xcr(vcpu, ost_reg(vcpu, OST_REG_RCX), ost_edx_eax(vcpu)))
		return fault_gp(vcpu);
	return ost_exit_skip(vcpu);
}

int ost_exit_rdpmc(struct ost_vcpu *vcpu)
{
	/* There are no performance counters. */
	return fault_gp(vcpu);
}

int ost_exit_wbinvd(struct ost_vcpu *vcpu)
{
	ost_vfio_wbinvd(vcpu);
	return ost_exit_skip(vcpu);
}

int ost_exit_monitor(struct ost_vcpu *vcpu)
{
	/* A MONITOR that never arms and an MWAIT that wakes at once are allowed ones. */
	return ost_has(vcpu, MONITOR) || ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS) ?
		       ost_exit_skip(vcpu) : ost_exit_ud(vcpu);
}

int ost_exit_pause(struct ost_vcpu *vcpu)
{
	/* It spins, perhaps for a lock whose holder waits for this CPU. */
	ost_vcpu_preemptible(vcpu);
	yield();
	return ost_exit_skip(vcpu);
}

/* --- control and debug registers --- */

int ost_exit_cr8_written(struct ost_vcpu *vcpu, u64 old_cr8, int r)
{
	if (r < 0 || vcpu->apic || ost_get_cr8(vcpu) >= old_cr8)
		return r;
	return user_exit_behind(vcpu, KVM_EXIT_SET_TPR, r);
}

static int write_cr(struct ost_vcpu *vcpu, int cr, u64 val)
{
	switch (cr) {
	case 0:
		return ost_set_cr0(vcpu, val);
	case 3:
		return ost_set_cr3(vcpu, val);
	case 4:
		return ost_set_cr4(vcpu, val);
	case 8:
		return ost_set_cr8(vcpu, val);
	default:
		return -EINVAL;
	}
}

int ost_exit_mov_to_cr(struct ost_vcpu *vcpu, int cr, int gpr)
{
	u64 val = ost_reg(vcpu, gpr), old_cr8 = 0;

	/* The others may have the guest's PDPTEs read, in memory that may be swapped out. */
	if (cr == 8)
		old_cr8 = ost_get_cr8(vcpu);
	else
		ost_vcpu_preemptible(vcpu);
	if (write_cr(vcpu, cr, ost_mode64(vcpu) ? val : (u32)val))
		return fault_gp(vcpu);
	return ost_exit_cr8_written(vcpu, old_cr8, ost_exit_skip(vcpu));
}

int ost_exit_mov_from_cr(struct ost_vcpu *vcpu, u64 val, int gpr)
{
	ost_reg_set(vcpu, gpr, ost_mode64(vcpu) ? val : (u32)val);
	return ost_exit_skip(vcpu);
}

int ost_exit_mov_dr(struct ost_vcpu *vcpu)
{
	if (unlikely(vcpu->debug.control))
		return ost_debug_mov_dr(vcpu);
	vcpu->dr_live = true;
	ost_debug_update(vcpu);
	return OST_RUN;
}

/* --- memory --- */

/* There is a slot, and nothing behind it. KVM_RUN fails, and says where all the same. */
static int memory_fault(struct ost_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_run *run = vcpu->run;
	struct ost_memory_fault *info = (void *)run->padding;

	run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	*info = (struct ost_memory_fault){ .gpa = gpa & PAGE_MASK, .size = PAGE_SIZE };
	return -EFAULT;
}

int ost_exit_nested_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags, const u8 *insn, u32 len)
{
	enum ost_fault_result result = ost_mmu_fault(vcpu, gpa, flags | OST_FAULT_ATOMIC);
	int r;

	if (result == OST_FAULT_AGAIN) {
		ost_vcpu_preemptible(vcpu);
		result = ost_apf_on(vcpu) ? ost_apf_fault(vcpu, gpa, flags) :
					    ost_mmu_fault(vcpu, gpa, flags);
	}
	switch (result) {
	case OST_FAULT_FIXED:
	case OST_FAULT_AGAIN:
		return OST_RUN;
	case OST_FAULT_MMIO:
		if (flags & OST_FAULT_TRANSLATED) {
			r = ost_mmio_mov(vcpu, gpa, flags & OST_FAULT_WRITE ? OST_MMIO_WRITE
									    : OST_MMIO_READ);
			if (r != -EOPNOTSUPP)
				return r;
		}
		return ost_mmio(vcpu, gpa, insn, len);
	case OST_FAULT_SIGNAL:
		return -EINTR;
	case OST_FAULT_NOMEM:
		return -ENOMEM;
	case OST_FAULT_BAD:
		break;
	}
	return memory_fault(vcpu, gpa);
}

/* --- what went wrong --- */

int ost_exit_fail_entry(struct ost_vcpu *vcpu, u64 reason)
{
	ost_backend->dump(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = reason;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return OST_USER;
}

int ost_exit_unexpected(struct ost_vcpu *vcpu, u64 reason)
{
	ost_vcpu_preemptible(vcpu);
	ost_backend->dump(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	vcpu->run->internal.ndata = 2;
	vcpu->run->internal.data[0] = reason;
	vcpu->run->internal.data[1] = vcpu->cpu;
	return OST_USER;
}
