// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that userspace handles: each operation is an exit from KVM_RUN and the way back in.
 */
#include "bench.h"

GUEST_CODE(out, 64, "1: outb %al, $0x11\n jmp 1b\n");
GUEST_CODE(in, 64, "1: inb $0x11, %al\n jmp 1b\n");
GUEST_CODE(write, 64, "1: movl %eax, (%rsi)\n jmp 1b\n");
GUEST_CODE(read, 64, "1: movl (%rsi), %eax\n jmp 1b\n");
GUEST_CODE(hlt, 64, "1: hlt\n jmp 1b\n");

struct user_exit {
	const uint8_t *start, *end;
	int reason;
};

static int setup(struct bench *b)
{
	const struct user_exit *e = b->row->arg;

	if (bench_open(b, 0))
		return -1;
	vm_copy_in(&b->vm, VM_CODE_GPA, e->start, e->end - e->start);
	return bench_start(b->vcpu, 0, VM_MMIO_GPA, 0);
}

static int run(struct bench *b, unsigned int n)
{
	const struct user_exit *e = b->row->arg;

	while (n--)
		if (vcpu_run(b->vcpu) != e->reason) {
			errno = EPROTO;
			return -1;
		}
	return 0;
}

#define USER_EXIT(NAME, CODE, REASON)							\
	{ .name = NAME, SMALL_BATCHES, .setup = setup, .run = run,			\
	  .arg = &(const struct user_exit) { CODE##_start, CODE##_end, REASON } }

const struct row user_rows[] = {
	USER_EXIT("out_user", out, KVM_EXIT_IO),
	USER_EXIT("in_user", in, KVM_EXIT_IO),
	USER_EXIT("mmio_write_user", write, KVM_EXIT_MMIO),
	USER_EXIT("mmio_read_user", read, KVM_EXIT_MMIO),
	USER_EXIT("hlt_user", hlt, KVM_EXIT_HLT),
	{ }
};
