// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts between LAPICs in x2APIC mode: each operation includes the handler and its EOI.
 */
#include "bench.h"

#include <pthread.h>

#define VECTOR		0x65
#define PEER_VECTOR	0x66
#define HANDLER_GPA	(VM_CODE_GPA + 0x400)
#define PEER_GPA	(VM_CODE_GPA + 0x800)
#define PEER_HANDLER_GPA (VM_CODE_GPA + 0xc00)

/* x2APIC mode, software enable. */
#define ENABLE_APIC								\
	"movl $0x1b, %ecx\n rdmsr\n orl $0xc00, %eax\n wrmsr\n"			\
	"movl $0x80f, %ecx\n movl $0x1ff, %eax\n xorl %edx, %edx\n wrmsr\n"
#define EOI		"movl $0x80b, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr\n"
#define IPI(vector, to)	"movl $0x830, %ecx\n movl $0x40" vector ", %eax\n movl $" to ", %edx\n wrmsr\n"

GUEST_CODE(self, 64, ENABLE_APIC "sti\n"
	   LOOP("movl $0x83f, %ecx\n movl $0x65, %eax\n xorl %edx, %edx\n wrmsr"));
GUEST_CODE(handler, 64, EOI "incl %ebx\n iretq\n");
/* To the other and, halted, back: the other answers in its handler. */
GUEST_CODE(ping, 64, ENABLE_APIC "xorl %ebx, %ebx\n"
	   LOOP("movl %ebx, %edi\n" IPI("66", "1") "3: sti\n hlt\n cli\n cmpl %ebx, %edi\n je 3b\n"));
GUEST_CODE(peer, 64, ENABLE_APIC "1: sti\n hlt\n cli\n jmp 1b\n");
GUEST_CODE(answer, 64, IPI("65", "0") EOI "iretq\n");

static int setup_self(struct bench *b)
{
	if (bench_open(b, VM_IRQCHIP))
		return -1;
	vm_load(&b->vm, VM_CODE_GPA, self);
	vm_load(&b->vm, HANDLER_GPA, handler);
	return bench_interrupts(b, b->vcpu, VECTOR, HANDLER_GPA);
}

static void *run_peer(void *arg)
{
	struct vcpu *peer = arg;

	while (!ioctl(peer->fd, KVM_RUN, 0) || errno == EINTR || errno == EAGAIN)
		;
	return NULL;
}

/* The peer is in its HLT, x2APIC enabled, before the first batch. */
static int start_peer(struct bench *b, struct vcpu *peer)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	pthread_t thread;

	if (ioctl(peer->fd, KVM_SET_MP_STATE, &state))
		return -1;
	errno = pthread_create(&thread, NULL, run_peer, peer);
	if (errno)
		return -1;
	return usleep(20000);
}

static int setup_pair(struct bench *b)
{
	struct vcpu *peer;

	if (bench_open(b, VM_IRQCHIP))
		return -1;
	peer = bench_vcpu(b, PEER_GPA);
	if (!peer)
		return -1;
	vm_load(&b->vm, VM_CODE_GPA, ping);
	vm_load(&b->vm, HANDLER_GPA, handler);
	vm_load(&b->vm, PEER_GPA, peer);
	vm_load(&b->vm, PEER_HANDLER_GPA, answer);
	if (bench_interrupts(b, b->vcpu, VECTOR, HANDLER_GPA) ||
	    bench_interrupts(b, peer, PEER_VECTOR, PEER_HANDLER_GPA))
		return -1;
	return start_peer(b, peer);
}

static int prepare(struct bench *b, unsigned int n)
{
	return bench_start(b->vcpu, n, 0, 0);
}

static int run(struct bench *b, unsigned int n)
{
	return bench_until_done(b);
}

const struct row interrupt_rows[] = {
	{ .name = "self_ipi", SMALL_BATCHES, .setup = setup_self, .prepare = prepare, .run = run },
	{ .name = "ipi_round_trip", SMALL_BATCHES, .setup = setup_pair, .prepare = prepare, .run = run },
	{ }
};
