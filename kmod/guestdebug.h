/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM_SET_GUEST_DEBUG: a debugger on the VMM's side (guestdebug.c).
 *
 * Single-stepping is done with RFLAGS.TF. While it is on, vcpu->regs[OST_REG_RFLAGS] has TF set as the CPU
 * has it, so that whoever passes an instruction finds out by the test for a guest that steps itself; what is
 * shown of RFLAGS goes through ost_guest_rflags(), what is set through ost_set_guest_rflags().
 */
#ifndef OST_GUESTDEBUG_H
#define OST_GUESTDEBUG_H

#include <linux/types.h>
#include <linux/kvm.h>

struct ost_vcpu;

/* KVM_CAP_SET_GUEST_DEBUG2 */
#define OST_GUESTDBG_FLAGS                                                                         \
	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |                  \
	 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |                \
	 KVM_GUESTDBG_BLOCKIRQ)

/* Those with which the CPU delivers no interrupts by itself. */
#define OST_GUESTDBG_NO_DELIVERY (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ)

struct ost_guest_debug {
	u32 control;	/* KVM_GUESTDBG_*, 0 without ENABLE; the backends look at it too */
	bool own_tf;	/* with SINGLESTEP: TF as the guest set it */
	bool step_due;	/* a step was made, and waits for another exit of the instruction to be told */
	bool kick;	/* the next entry delivers an event, and is to end right behind that */
	u64 dr[4], dr7;	/* the debugger's, with USE_HW_BP */
};

/* The ioctl. 0, -EINVAL, or -EBUSY where an exception waits already. [vcpu] */
int ost_set_guest_debug(struct ost_vcpu *vcpu, const struct kvm_guest_debug *in);

/*
 * Whatever is in the debug registers, dr_live or the kick changed: works out what an entry has to load and
 * has the backend do the rest. [vcpu or irqoff]
 */
void ost_debug_update(struct ost_vcpu *vcpu);
/* The CPU has changed the DR7 that it was given. [irqoff] */
void ost_debug_dr7_changed(struct ost_vcpu *vcpu, u64 dr7);

/* All that follow: [vcpu or atomic], and answer OST_RUN, OST_USER or -errno where they answer. */

/* An instruction with RFLAGS.TF set was passed by us. Also [irqoff]. */
int ost_single_step(struct ost_vcpu *vcpu);
/* The emulator has passed one for a debugger, which is told. */
int ost_debug_tell_step(struct ost_vcpu *vcpu);
/* The same for one behind which userspace has something else to do first: to be told after that. */
void ost_debug_step_later(struct ost_vcpu *vcpu);
/* Exits for #DB with these bits of DR6, and for the #BP of INT3, which happens only with USE_SW_BP. */
int ost_exit_db(struct ost_vcpu *vcpu, u64 dr6_bits);
int ost_exit_bp(struct ost_vcpu *vcpu);
/* MOV DR while a debugger is there: the guest's own registers are not in the CPU. [atomic] */
int ost_debug_mov_dr(struct ost_vcpu *vcpu);

/* KVM_RUN goes on with a guest that is debugged, and with nothing outstanding any more. [vcpu] */
int ost_debug_resume(struct ost_vcpu *vcpu);
/* Are interrupts and NMIs to wait? [atomic] */
bool ost_debug_blocks_events(struct ost_vcpu *vcpu);
/*
 * The last before an entry of such a guest, behind ost_events_inject(). The FPU may be unloaded after it.
 * [atomic]
 */
int ost_debug_prepare(struct ost_vcpu *vcpu);

u64 ost_debug_hide_tf(struct ost_vcpu *vcpu, u64 rflags);
u64 ost_debug_take_tf(struct ost_vcpu *vcpu, u64 rflags);

#endif
