/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A 16-bit guest that reads and writes MSRs as it is told through its ports, and says when one was refused.
 */
#ifndef OST_ABI_MSR_GUEST_H
#define OST_ABI_MSR_GUEST_H

#include "vm.h"

enum {
	GUEST_NEXT = 0x10,	/* it wants an index: IN of 4 bytes */
	GUEST_DONE = 0x12,	/* OUT of EAX behind the instruction */
	GUEST_GP = 0x15,	/* it raised #GP */
};

/* msr_guest_load() - The code, its vector of #GP, and the registers. Returns 0 or -1 with errno. */
int msr_guest_load(struct vm *vm, struct vcpu *vcpu);

/*
 * msr_guest_read() / msr_guest_write() - Runs the guest until RDMSR or WRMSR of @index has come to something:
 * GUEST_DONE, GUEST_GP, or the exit's reason where the guest has left the kernel in it. -1 when it went
 * astray. *@value is EDX:EAX; only where it is done.
 */
int msr_guest_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);
int msr_guest_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* msr_guest_go_on() - Runs on from such an exit. As above. */
int msr_guest_go_on(struct vcpu *vcpu, uint64_t *value);

/*
 * struct msr_range - A range of a filter: @bits says of MSR @base + i in bit i whether it is allowed.
 */
struct msr_range {
	uint32_t flags, base, nr;
	uint64_t bits;
};

/* msr_filter() - KVM_X86_SET_MSR_FILTER with @nr ranges. Returns what ioctl() returns. */
int msr_filter(struct vm *vm, uint32_t flags, const struct msr_range *ranges, int nr);

#endif
