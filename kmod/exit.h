/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exit handlers that both vendors share: the vendor decodes what the CPU says of the exit, these act on
 * it. Those of the form (vcpu) go straight into the vendors' arrays. All are [atomic] and answer
 * OST_RUN, OST_USER or -errno.
 */
#ifndef OST_EXIT_H
#define OST_EXIT_H

#include <linux/bug.h>
#include <linux/types.h>
#include "emulate/emulate.h"
#include "backend.h"
#include "ost.h"

struct ost_vcpu;

/* What run() answers for a handler that has answered r; none of those that it calls can fail. */
static inline enum ost_exit_fast ost_exit_fast(int r)
{
	WARN_ON_ONCE(r < 0);
	return r == OST_RUN ? OST_EXIT_DONE : OST_EXIT_USER;
}

/* Dealt with before: in again. */
int ost_exit_nothing(struct ost_vcpu *vcpu);
/* An instruction that does nothing here, or that a guest does not have. */
int ost_exit_skip(struct ost_vcpu *vcpu);
int ost_exit_ud(struct ost_vcpu *vcpu);

int ost_exit_hlt(struct ost_vcpu *vcpu);
int ost_exit_hypercall(struct ost_vcpu *vcpu);
/* May the hypercall that has exited be answered with interrupts off? Any but those that sleep or may take long. */
bool ost_hypercall_is_fast(struct ost_vcpu *vcpu);
/* #UD of the guest's own */
int ost_exit_undefined(struct ost_vcpu *vcpu);

/* A #UD of an AMD guest's on another's CPU: true if it was a SYSCALL, with what came of it in *r (syscall.c). */
bool ost_foreign_syscall(struct ost_vcpu *vcpu, int *r);
int ost_exit_xsetbv(struct ost_vcpu *vcpu);
int ost_exit_rdpmc(struct ost_vcpu *vcpu);
int ost_exit_wbinvd(struct ost_vcpu *vcpu);
/* MONITOR or MWAIT. */
int ost_exit_monitor(struct ost_vcpu *vcpu);
/* PAUSE, in a loop. */
int ost_exit_pause(struct ost_vcpu *vcpu);
/* MOV DR: it is executed again, by the CPU, with the guest's registers loaded. */
int ost_exit_mov_dr(struct ost_vcpu *vcpu);
/* The instruction that exited has to be emulated. */
int ost_exit_emulate(struct ost_vcpu *vcpu);

/* MOV from `gpr` to CR0, CR3, CR4 or CR8. */
int ost_exit_mov_to_cr(struct ost_vcpu *vcpu, int cr, int gpr);
/* The value of a control register that was read by MOV goes to `gpr`. */
int ost_exit_mov_from_cr(struct ost_vcpu *vcpu, u64 val, int gpr);
/*
 * What a write of CR8 that came to `r` comes to in the end: a VMM that has the LAPIC wants to know of a
 * TPR lower than `old_cr8`.
 */
int ost_exit_cr8_written(struct ost_vcpu *vcpu, u64 old_cr8, int r);

/*
 * The nested page table has no translation for an access to `gpa`; flags are OST_FAULT_WRITE and _EXEC.
 * `insn` holds the first `len` bytes of the instruction, where the CPU has left them; else len is 0.
 */
int ost_exit_nested_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags, const u8 *insn, u32 len);

/*
 * A task switch to the TSS of `selector`. The old task goes on behind the instruction of `insn_len` bytes;
 * for a gate in the IDT that is 0, and the event is the one that the backend has queued again.
 */
int ost_exit_task_switch(struct ost_vcpu *vcpu, u16 selector, enum ost_task_source source,
			 u32 insn_len);

/* The CPU refused to enter: dumps the state, KVM_EXIT_FAIL_ENTRY with the vendor's reason. */
int ost_exit_fail_entry(struct ost_vcpu *vcpu, u64 reason);
/* An exit nobody knows: dumps the state, KVM_EXIT_INTERNAL_ERROR. */
int ost_exit_unexpected(struct ost_vcpu *vcpu, u64 reason);

/*
 * For the backends' skip_instruction(): RIP to `rip`, the interrupt shadow ends, and a single step
 * raises its #DB.
 */
int ost_advance_rip(struct ost_vcpu *vcpu, u64 rip);

#endif
