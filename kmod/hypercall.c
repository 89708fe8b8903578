// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls: VMCALL and VMMCALL with a number in RAX, arguments in RBX, RCX, RDX and RSI, and an answer in RAX
 * (the public Documentation/virt/kvm/x86/hypercalls.rst).
 */
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <asm/apicdef.h>
#include "backend.h"
#include "compat.h"
#include "exit.h"
#include "irqchip/irqchip.h"
#include "pv.h"
#include "vcpu.h"
#include "vm.h"

struct call {
	u64 nr;
	u64 arg[4];
};

static void read_call(struct ost_vcpu *vcpu, struct call *call)
{
	static const enum ost_reg regs[] = { OST_REG_RBX, OST_REG_RCX, OST_REG_RDX, OST_REG_RSI };
	bool mode64 = ost_mode64(vcpu);
	u32 i;

	call->nr = ost_reg(vcpu, OST_REG_RAX);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		call->arg[i] = ost_reg(vcpu, regs[i]);
	if (mode64)
		return;
	call->nr = (u32)call->nr;
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		call->arg[i] = (u32)call->arg[i];
}

static void answer(struct ost_vcpu *vcpu, long r)
{
	ost_reg_set(vcpu, OST_REG_RAX, ost_mode64(vcpu) ? (u64)r : (u32)r);
}

/* Another vCPU need not stay in HLT, or go into it. */
static long kick_cpu(struct ost_vcpu *vcpu, u64 apic_id)
{
	struct ost_vcpu *target = apic_id <= U32_MAX ? ost_vcpu_by_id(vcpu->vm, apic_id) : NULL;

	if (!target)
		return 0;
	/* Seen by the waiter before it sleeps, or it is woken: rcuwait_wake_up() begins with a full barrier. */
	WRITE_ONCE(target->pv.unhalted, true);
	/* It runs, if it is this one; and between two entries a kick without a request would end its being kicked. */
	if (target != vcpu)
		ost_vcpu_kick(target);
	return 0;
}

/* One IPI to each of the APIC ids whose bit is set, from `first` on. */
static long send_ipi(struct ost_vcpu *vcpu, const struct call *call, u32 first, u32 icr)
{
	const u64 bits[2] = { call->arg[0], call->arg[1] };
	u32 width = ost_mode64(vcpu) ? 64 : 32;
	struct ost_irq_message msg = {
		.vector = icr & APIC_VECTOR_MASK,
		.delivery = GET_APIC_DELIVERY_MODE(icr),
		.trig_level = icr & APIC_INT_LEVELTRIG,
	};
	long sent = 0;
	u32 word, bit;

	if (!vcpu->apic || (icr & (APIC_DEST_LOGICAL | APIC_DEST_ALLBUT)) ||
	    (msg.delivery != OST_DELIVER_FIXED && msg.delivery != OST_DELIVER_NMI))
		return -KVM_EINVAL;
	for (word = 0; word < ARRAY_SIZE(bits); word++) {
		unsigned long mask = bits[word];

		for_each_set_bit(bit, &mask, 64) {
			u64 id = (u64)first + word * width + bit;
			struct ost_vcpu *target = id <= U32_MAX ? ost_vcpu_by_id(vcpu->vm, id) : NULL;

			if (target && ost_irq_send(target, &msg) >= 0)
				sent++;
		}
	}
	return sent;
}

/* --- KVM_HC_MAP_GPA_RANGE: the VMM's to answer --- */

static int complete_exit(struct ost_vcpu *vcpu)
{
	/* A VMM that has set another RIP meanwhile has decided where the guest goes on. */
	if (ost_rip(vcpu) != vcpu->io.rip)
		return OST_RUN;
	answer(vcpu, READ_ONCE(vcpu->run->hypercall.ret));
	return ost_exit_skip(vcpu);
}

static bool range_valid(u64 gpa, u64 npages)
{
	u64 gfn = gpa >> PAGE_SHIFT;

	return PAGE_ALIGNED(gpa) && npages && gfn + npages > gfn;
}

static int exit_to_user(struct ost_vcpu *vcpu, const struct call *call)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_HYPERCALL;
	memset(&run->hypercall, 0, sizeof(run->hypercall));
	run->hypercall.nr = call->nr;
	run->hypercall.args[0] = call->arg[0];
	run->hypercall.args[1] = call->arg[1];
	run->hypercall.args[2] = call->arg[2];
	ost_hypercall_set_mode64(run, ost_mode64(vcpu));
	vcpu->io.rip = ost_rip(vcpu);
	vcpu->io.complete = complete_exit;
	return OST_USER;
}

/*
 * Guests that were moved from a CPU of the other vendor, or that never asked which one they are on, use the other
 * instruction. The ABI has it rewritten in their code; where that can't be written it stays undefined.
 */
static bool fix_instruction(struct ost_vcpu *vcpu)
{
	static const u8 vmcall[] = { 0x0f, 0x01, 0xc1 }, vmmcall[] = { 0x0f, 0x01, 0xd9 };
	const u8 *from = vcpu->emul.amd ? vmcall : vmmcall, *to = vcpu->emul.amd ? vmmcall : vmcall;

	return ost_rewrite_code(vcpu, from, to[2], sizeof(vmcall));
}

int ost_exit_undefined(struct ost_vcpu *vcpu)
{
	int r;

	/* On VT-x this is how RSM exits. */
	if (unlikely(vcpu->smm.active) && ost_insn_len(vcpu, OST_INSN_RSM))
		return ost_emulate_instruction(vcpu);
	if (ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_FIX_HYPERCALL_INSN) && fix_instruction(vcpu))
		return OST_RUN;
	if (ost_foreign_syscall(vcpu, &r))
		return r;
	return ost_exit_ud(vcpu);
}

bool ost_hypercall_is_fast(struct ost_vcpu *vcpu)
{
	/* The upper half counts in 64-bit mode only; a number that is not in use there is answered likewise. */
	switch ((u32)ost_reg(vcpu, OST_REG_RAX)) {
	case KVM_HC_CLOCK_PAIRING:
	case KVM_HC_SEND_IPI:
	case KVM_HC_SCHED_YIELD:
	case KVM_HC_MAP_GPA_RANGE:
		return false;
	case KVM_HC_KICK_CPU:
		/* The id may have to be looked for. */
		return ost_nr_vcpus(vcpu->vm) <= OST_IRQ_AT_ONCE;
	default:
		return true;
	}
}

int ost_exit_hypercall(struct ost_vcpu *vcpu)
{
	struct call call;
	long r = -KVM_ENOSYS;

	read_call(vcpu, &call);
	if (static_call(ost_get_cpl)(vcpu)) {
		r = -KVM_EPERM;
		goto out;
	}
	switch (call.nr) {
	case KVM_HC_VAPIC_POLL_IRQ:
		/* Leaving the guest was all that was wanted. */
		r = 0;
		break;
	case KVM_HC_KICK_CPU:
		if (ost_nr_vcpus(vcpu->vm) > OST_IRQ_AT_ONCE)
			ost_vcpu_preemptible(vcpu);
		if (ost_pv_has(vcpu, KVM_FEATURE_PV_UNHALT))
			r = kick_cpu(vcpu, call.arg[1]);
		break;
	case KVM_HC_CLOCK_PAIRING:
		ost_vcpu_preemptible(vcpu);
		r = ost_clock_pairing(vcpu, call.arg[0], call.arg[1]);
		break;
	case KVM_HC_SEND_IPI:
		/* Ids may have to be looked for. */
		if (ost_nr_vcpus(vcpu->vm) > OST_IRQ_AT_ONCE)
			ost_vcpu_preemptible(vcpu);
		if (ost_pv_has(vcpu, KVM_FEATURE_PV_SEND_IPI))
			r = send_ipi(vcpu, &call, call.arg[2], call.arg[3]);
		break;
	case KVM_HC_SCHED_YIELD:
		if (ost_pv_has(vcpu, KVM_FEATURE_PV_SCHED_YIELD)) {
			ost_vcpu_preemptible(vcpu);
			yield();
			r = 0;
		}
		break;
	case KVM_HC_MAP_GPA_RANGE:
		if (!(READ_ONCE(vcpu->vm->hypercall_exits) & BIT(KVM_HC_MAP_GPA_RANGE)))
			break;
		r = -KVM_EINVAL;
		if (range_valid(call.arg[0], call.arg[1]))
			return exit_to_user(vcpu, &call);
		break;
	}
out:
	answer(vcpu, r);
	return ost_exit_skip(vcpu);
}
