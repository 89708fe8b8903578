// SPDX-License-Identifier: GPL-2.0-only
#include "dirtier.h"

asm(".globl dirtier_start, dirtier_end");
/* Until told 0xffff. */
GUEST_CODE(dirtier, 64,
	   "1: inw $0x10, %ax\n"
	   "cmpw $0xffff, %ax\n"
	   "je 2f\n"
	   "movzwl %ax, %eax\n"
	   "shll $12, %eax\n"
	   "incb 0x40000000(%rax)\n"
	   "jmp 1b\n"
	   "2: outb %al, $0x11\n"
	   "jmp 1b\n");

int dirty(struct vcpu *vcpu, const uint16_t *list)
{
	for (;;) {
		if (vcpu_run(vcpu) != KVM_EXIT_IO)
			return -1;
		if (vcpu->run->io.direction == KVM_EXIT_IO_OUT)
			return 0;
		*(uint16_t *)io_data(vcpu) = *list++;
	}
}

int get_log(struct vm *vm, uint32_t slot, uint64_t *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);
}
