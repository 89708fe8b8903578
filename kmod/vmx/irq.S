/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host interrupts that an exit has acknowledged (SDM vol. 3C, 28.2.2): the LAPIC holds them as in service
 * and does not raise them again, so their gate is called by hand.
 */
#include <linux/linkage.h>
#include <asm/nospec-branch.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>

.text

/*
 * RDI: the gate's address. The stack is as the CPU would have it: aligned, then SS, RSP, RFLAGS, CS and RIP
 * (vol. 3A, 6.14).
 */
SYM_FUNC_START(ost_vmx_call_gate)
	push %rbp
	mov %rsp, %rbp
	and $-16, %rsp
	push $__KERNEL_DS
	push %rbp
	pushf
	/* As if it had come with interrupts on: the kernel leaves work for the end of such interrupts only. */
	orl $X86_EFLAGS_IF, (%rsp)
	push $__KERNEL_CS
	/* The return address is the frame's RIP. IRET comes back to it with RSP as it is in RBP. */
	CALL_NOSPEC rdi
	leave
	RET
SYM_FUNC_END(ost_vmx_call_gate)
