// SPDX-License-Identifier: GPL-2.0-only
/* A guest that reads and writes MSRs (msr_guest.h). */
#include <string.h>
#include "msr_guest.h"

/* The handler of #GP is at 2, behind the jump. */
GUEST_CODE(msr_code, 16,
	   "jmp 1f\n"
	   "addw $6, %sp\n"
	   "outl %eax, $0x15\n"
	   "1: inl $0x10, %eax\n"
	   "movl %eax, %ecx\n"
	   "inl $0x11, %eax\n"
	   "testl %eax, %eax\n"
	   "jnz 2f\n"
	   "rdmsr\n"
	   "outl %eax, $0x12\n"
	   "movl %edx, %eax\n"
	   "outl %eax, $0x13\n"
	   "jmp 1b\n"
	   "2: inl $0x14, %eax\n"
	   "movl %eax, %edx\n"
	   "inl $0x14, %eax\n"
	   "wrmsr\n"
	   "outl %eax, $0x12\n"
	   "outl %eax, $0x13\n"
	   "jmp 1b\n");

int msr_guest_load(struct vm *vm, struct vcpu *vcpu)
{
	uint16_t vector[2] = { VM_CODE_GPA + 2, 0 };

	vm_load(vm, VM_CODE_GPA, msr_code);
	vm_copy_in(vm, 13 * 4, vector, sizeof(vector));
	return vcpu_real_mode(vcpu, VM_CODE_GPA);
}

/* Answers an IN. False when there was none. */
static bool answer(struct vcpu *vcpu, uint8_t port, uint32_t value)
{
	struct kvm_run *run = vcpu->run;

	if (vcpu_run(vcpu) != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_IN || run->io.port != port)
		return false;
	*(uint32_t *)io_data(vcpu) = value;
	return true;
}

int msr_guest_go_on(struct vcpu *vcpu, uint64_t *value)
{
	int reason = vcpu_run(vcpu);

	if (reason != KVM_EXIT_IO)
		return reason;
	if (vcpu->run->io.port == GUEST_GP)
		return GUEST_GP;
	if (vcpu->run->io.port != GUEST_DONE)
		return -1;
	*value = *(uint32_t *)io_data(vcpu);
	if (vcpu_run(vcpu) != KVM_EXIT_IO || vcpu->run->io.port != 0x13)
		return -1;
	*value |= (uint64_t)*(uint32_t *)io_data(vcpu) << 32;
	return GUEST_DONE;
}

int msr_guest_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	if (!answer(vcpu, GUEST_NEXT, index) || !answer(vcpu, 0x11, 0))
		return -1;
	return msr_guest_go_on(vcpu, value);
}

int msr_guest_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	uint64_t unused;

	if (!answer(vcpu, GUEST_NEXT, index) || !answer(vcpu, 0x11, 1) ||
	    !answer(vcpu, 0x14, value >> 32) || !answer(vcpu, 0x14, value))
		return -1;
	return msr_guest_go_on(vcpu, &unused);
}

int msr_filter(struct vm *vm, uint32_t flags, const struct msr_range *ranges, int nr)
{
	struct kvm_msr_filter filter = { .flags = flags };

	for (int i = 0; i < nr; i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = ranges[i].flags, .nmsrs = ranges[i].nr, .base = ranges[i].base,
			.bitmap = (uint8_t *)&ranges[i].bits,
		};
	return ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter);
}
