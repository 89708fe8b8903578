// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checker.h"

#define MEMORY_GPA	0x40000000UL
#define MEMORY_SLOT	1
#define PORT_ROUND	0x11
#define PORT_WRONG	0x12
#define CR4_OSFXSR	(1UL << 9)
#define WAIT_S		240

/*
 * rdi to rsi: the vCPU's pages. A page's words are (its address & r10 ^ rbp) + r8, the number of the round. One pass
 * writes them, r9 passes read them. r15 is the TSC as it was last seen; xmm5 holds rbp.
 */
GUEST_CODE(watch, 64,
	   "	movq %rbp, %xmm5\n"
	   "1:	inc %r8\n"
	   "	mov %rdi, %r14\n"
	   "2:	mov %r14, %rax\n"
	   "	and %r10, %rax\n"
	   "	xor %rbp, %rax\n"
	   "	add %r8, %rax\n"
	   "	mov %rax, (%r14)\n"
	   "	mov %rax, 2040(%r14)\n"
	   "	mov %rax, 4088(%r14)\n"
	   "	add $4096, %r14\n"
	   "	cmp %rsi, %r14\n"
	   "	jb 2b\n"
	   "	mov %r9, %r13\n"
	   "3:	mov %rdi, %r14\n"
	   "4:	mov %r14, %rbx\n"
	   "	and %r10, %rbx\n"
	   "	xor %rbp, %rbx\n"
	   "	add %r8, %rbx\n"
	   "	mov $1, %eax\n"
	   "	mov (%r14), %rcx\n"
	   "	cmp %rbx, %rcx\n"
	   "	jne 5f\n"
	   "	mov 2040(%r14), %rcx\n"
	   "	cmp %rbx, %rcx\n"
	   "	jne 5f\n"
	   "	mov 4088(%r14), %rcx\n"
	   "	cmp %rbx, %rcx\n"
	   "	jne 5f\n"
	   "	lfence\n"
	   "	rdtsc\n"
	   "	shl $32, %rdx\n"
	   "	or %rax, %rdx\n"
	   "	mov $2, %eax\n"
	   "	mov %r15, %rbx\n"
	   "	mov %rdx, %rcx\n"
	   "	cmp %rbx, %rcx\n"
	   "	jb 5f\n"
	   "	mov %rcx, %r15\n"
	   "	add $4096, %r14\n"
	   "	cmp %rsi, %r14\n"
	   "	jb 4b\n"
	   "	mov $3, %eax\n"
	   "	mov %rbp, %rbx\n"
	   "	movq %xmm5, %rcx\n"
	   "	cmp %rbx, %rcx\n"
	   "	jne 5f\n"
	   "	dec %r13\n"
	   "	jnz 3b\n"
	   "	out %al, $0x11\n"
	   "	jmp 1b\n"
	   "5:	out %al, $0x12\n"
	   "	jmp 5b\n");

static void on_signal(int signal)
{
	(void)signal;
}

static void report(struct checker_vcpu *v, uint8_t kind)
{
	static const char *const what[] = { "?", "memory", "TSC", "SSE" };
	struct kvm_regs regs;

	if (ioctl(v->vcpu->fd, KVM_GET_REGS, &regs))
		memset(&regs, 0, sizeof(regs));
	snprintf(v->text, sizeof(v->text), "%s at %llx in round %llu: expected %llx, saw %llx",
		 what[kind & 3], regs.r14, regs.r8, regs.rbx, regs.rcx);
	v->wrong = kind;
}

static void wait_held(struct checker *c)
{
	atomic_fetch_add(&c->nr_held, 1);
	while (atomic_load(&c->hold) && !atomic_load(&c->stop))
		usleep(1000);
	atomic_fetch_sub(&c->nr_held, 1);
}

static void *run(void *arg)
{
	struct checker_vcpu *v = arg;

	while (!atomic_load(&v->checker->stop) && !v->wrong) {
		struct kvm_run *state = v->vcpu->run;
		int reason;

		if (atomic_load(&v->checker->hold))
			wait_held(v->checker);
		reason = vcpu_run(v->vcpu);

		if (reason == -EINTR)
			continue;
		if (reason == KVM_EXIT_IO && state->io.port == PORT_ROUND) {
			atomic_fetch_add(&v->rounds, 1);
		} else if (reason == KVM_EXIT_IO && state->io.port == PORT_WRONG) {
			report(v, *(uint8_t *)io_data(v->vcpu));
		} else {
			snprintf(v->text, sizeof(v->text), "KVM_RUN ended with %d", reason);
			v->wrong = reason;
		}
	}
	return NULL;
}

static int set_up(struct checker *c, int i, unsigned int reads, bool same)
{
	uint64_t share = c->size_bytes / c->nr_vcpus & ~(VM_PAGE_SIZE - 1);
	struct checker_vcpu *v = &c->vcpu[i];
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	v->checker = c;
	v->vcpu = i ? vm_add_vcpu(&c->vm) : &c->vm.vcpu[0];
	if (!v->vcpu || vcpu_long_mode(&c->vm, v->vcpu, VM_CODE_GPA) ||
	    ioctl(v->vcpu->fd, KVM_GET_SREGS, &sregs) || ioctl(v->vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	sregs.cr4 |= CR4_OSFXSR;
	regs.rdi = MEMORY_GPA + i * share;
	regs.rsi = regs.rdi + share;
	regs.rbp = same ? 0x1234567800000000 : 0x1234567800000000 + ((uint64_t)i << 56);
	regs.r8 = 0;
	regs.r9 = reads;
	regs.r10 = same ? 0 : -1;
	regs.r15 = 0;
	return ioctl(v->vcpu->fd, KVM_SET_SREGS, &sregs) || ioctl(v->vcpu->fd, KVM_SET_REGS, &regs) ?
		       -1 : 0;
}

int checker_start(struct checker *c, int nr_vcpus, void *hva, uint64_t size_bytes,
		  unsigned int reads, bool same)
{
	struct sigaction action = { .sa_handler = on_signal };

	memset(c, 0, sizeof(*c));
	c->hva = hva;
	c->size_bytes = size_bytes;
	c->nr_vcpus = nr_vcpus;
	sigaction(SIGUSR1, &action, NULL);
	if (vm_open(&c->vm, VM_MEMORY | VM_VCPU) ||
	    vm_set_slot(&c->vm, MEMORY_SLOT, 0, MEMORY_GPA, size_bytes, hva))
		return -1;
	vm_load(&c->vm, VM_CODE_GPA, watch);
	for (int i = 0; i < nr_vcpus; i++) {
		if (set_up(c, i, reads, same))
			return -1;
	}
	for (int i = 0; i < nr_vcpus; i++) {
		errno = pthread_create(&c->vcpu[i].thread, NULL, run, &c->vcpu[i]);
		if (errno)
			return -1;
	}
	return 0;
}

unsigned long checker_rounds(struct checker *c)
{
	unsigned long least = -1UL;

	for (int i = 0; i < c->nr_vcpus; i++) {
		unsigned long rounds = atomic_load(&c->vcpu[i].rounds);

		least = rounds < least ? rounds : least;
	}
	return least;
}

bool checker_wait(struct checker *c, unsigned long more)
{
	unsigned long until = checker_rounds(c) + more;

	for (int tries = 0; tries < WAIT_S * 100; tries++) {
		if (checker_wrong(c))
			return false;
		if (checker_rounds(c) >= until)
			return true;
		usleep(10000);
	}
	return false;
}

bool checker_hold(struct checker *c)
{
	atomic_store(&c->hold, true);
	for (int tries = 0; tries < 6000; tries++) {
		if (atomic_load(&c->nr_held) == c->nr_vcpus)
			return true;
		for (int i = 0; i < c->nr_vcpus; i++) {
			c->vcpu[i].vcpu->run->immediate_exit = 1;
			pthread_kill(c->vcpu[i].thread, SIGUSR1);
		}
		usleep(10000);
	}
	return false;
}

void checker_release(struct checker *c)
{
	for (int i = 0; i < c->nr_vcpus; i++)
		c->vcpu[i].vcpu->run->immediate_exit = 0;
	atomic_store(&c->hold, false);
	while (atomic_load(&c->nr_held))
		usleep(1000);
}

const char *checker_wrong(struct checker *c)
{
	for (int i = 0; i < c->nr_vcpus; i++) {
		if (*(volatile int *)&c->vcpu[i].wrong)
			return c->vcpu[i].text;
	}
	return NULL;
}

const char *checker_end(struct checker *c)
{
	const char *wrong;

	atomic_store(&c->stop, true);
	for (int i = 0; i < c->nr_vcpus; i++) {
		c->vcpu[i].vcpu->run->immediate_exit = 1;
		pthread_kill(c->vcpu[i].thread, SIGUSR1);
		pthread_join(c->vcpu[i].thread, NULL);
	}
	wrong = checker_wrong(c);
	vm_close(&c->vm);
	return wrong;
}
