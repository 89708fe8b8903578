// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that the kernel handles by itself: the guest goes on without userspace.
 */
#include "bench.h"

#include <stdbool.h>
#include <sys/eventfd.h>

#define LAPIC_GPA	0xfee00000UL
#define LAPIC_LINT0	0x350
#define LAPIC_TMCCT	0x390
#define IOAPIC_GPA	0xfec00000UL
#define IOAPIC_WINDOW	0x10
#define EVENT_PORT	0x20

/* Leaf 0; what userspace set is as long as on a real machine. */
GUEST_CODE(cpuid, 64, LOOP("xorl %eax, %eax\n xorl %ecx, %ecx\n cpuid"));
GUEST_CODE(rdmsr, 64, LOOP("movl $0x1b, %ecx\n rdmsr"));
/* RDI cycles from now: the timer is set anew each time, and never fires. */
GUEST_CODE(deadline, 64,
	   "movl $0x1b, %ecx\n rdmsr\n orl $0xc00, %eax\n wrmsr\n"
	   "movl $0x80f, %ecx\n movl $0x1ff, %eax\n xorl %edx, %edx\n wrmsr\n"
	   "movl $0x832, %ecx\n movl $0x40065, %eax\n wrmsr\n"
	   LOOP("rdtsc\n shlq $32, %rdx\n orq %rdx, %rax\n addq %rdi, %rax\n movq %rax, %rdx\n"
		"shrq $32, %rdx\n movl $0x6e0, %ecx\n wrmsr"));
GUEST_CODE(read, 64, LOOP("movl (%rsi), %eax"));
/* The same bytes, counted down in 32-bit code. */
GUEST_CODE(cpuid32, 32, LOOP("xorl %eax, %eax\n xorl %ecx, %ecx\n cpuid"));
GUEST_CODE(read32, 32, LOOP("movl (%esi), %eax"));
GUEST_CODE(hypercall, 64, LOOP("movl $-1, %eax\n vmcall"));
GUEST_CODE(write, 64, LOOP("movl %edi, (%rsi)"));
GUEST_CODE(out, 64, LOOP("outw %ax, $0x20"));

#define CODE(name)	.start = name##_start, .end = name##_end

struct exit {
	const uint8_t *start, *end;
	unsigned int flags;		/* of vm_open() */
	uint64_t rsi, rdi;
	unsigned int event;		/* flags of an ioeventfd at rsi */
	unsigned int event_size;
	bool code32;			/* without paging */
};

#define CR0_PE 1
#define CR0_ET 0x10

static int leave_long_mode(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cr4 = 0;
	sregs.efer = 0;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

static int add_ioeventfd(struct bench *b, const struct exit *e)
{
	struct kvm_ioeventfd event = {
		.addr = e->rsi, .len = e->event_size, .fd = eventfd(0, EFD_NONBLOCK),
		.flags = e->event & KVM_IOEVENTFD_FLAG_PIO,
	};

	return event.fd < 0 ? -1 : ioctl(b->vm.fd, KVM_IOEVENTFD, &event);
}

static int setup(struct bench *b)
{
	const struct exit *e = b->row->arg;

	if (bench_open(b, e->flags))
		return -1;
	vm_copy_in(&b->vm, VM_CODE_GPA, e->start, e->end - e->start);
	if (e->code32 && leave_long_mode(b->vcpu))
		return -1;
	return e->event_size ? add_ioeventfd(b, e) : 0;
}

static int prepare(struct bench *b, unsigned int n)
{
	const struct exit *e = b->row->arg;

	return bench_start(b->vcpu, n, e->rsi, e->rdi);
}

/* A deadline a tenth of a second away. */
static int prepare_deadline(struct bench *b, unsigned int n)
{
	int khz = ioctl(b->vcpu->fd, KVM_GET_TSC_KHZ);

	return khz <= 0 ? -1 : bench_start(b->vcpu, n, 0, khz * 100UL);
}

static int run(struct bench *b, unsigned int n)
{
	return bench_until_done(b);
}

#define EXIT(NAME, PREPARE, ...)							\
	{ .name = NAME, SMALL_BATCHES, .setup = setup, .prepare = PREPARE, .run = run,	\
	  .arg = &(const struct exit) { __VA_ARGS__ } }

const struct row exit_rows[] = {
	EXIT("cpuid", prepare, CODE(cpuid)),
	EXIT("cpuid_32", prepare, CODE(cpuid32), .code32 = true),
	EXIT("hypercall", prepare, CODE(hypercall)),
	EXIT("rdmsr", prepare, CODE(rdmsr)),
	EXIT("wrmsr_deadline", prepare_deadline, CODE(deadline), .flags = VM_IRQCHIP),
	EXIT("lapic_read", prepare, CODE(read), .flags = VM_IRQCHIP, .rsi = LAPIC_GPA + LAPIC_TMCCT),
	EXIT("lapic_read_32", prepare, CODE(read32), .flags = VM_IRQCHIP, .rsi = LAPIC_GPA + LAPIC_TMCCT,
	     .code32 = true),
	EXIT("lapic_write", prepare, CODE(write), .flags = VM_IRQCHIP, .rsi = LAPIC_GPA + LAPIC_LINT0,
	     .rdi = 0x10700),
	EXIT("ioapic_read", prepare, CODE(read), .flags = VM_IRQCHIP, .rsi = IOAPIC_GPA + IOAPIC_WINDOW),
	EXIT("ioapic_write", prepare, CODE(write), .flags = VM_IRQCHIP, .rsi = IOAPIC_GPA, .rdi = 1),
	EXIT("ioeventfd_pio", prepare, CODE(out), .rsi = EVENT_PORT, .event = KVM_IOEVENTFD_FLAG_PIO,
	     .event_size = 2),
	EXIT("ioeventfd_mmio", prepare, CODE(write), .rsi = VM_MMIO_GPA, .event_size = 4),
	{ }
};
