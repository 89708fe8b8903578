// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single ioctls, and the life of a VM.
 */
#include "bench.h"

#include <sys/mman.h>

GUEST_CODE(hlt, 64, "1: hlt\n jmp 1b\n");

static int setup_vcpu(struct bench *b)
{
	if (bench_open(b, 0))
		return -1;
	vm_load(&b->vm, VM_CODE_GPA, hlt);
	return vcpu_run(b->vcpu) == KVM_EXIT_HLT ? 0 : -1;
}

static int run_immediate_exit(struct bench *b, unsigned int n)
{
	b->vcpu->run->immediate_exit = 1;
	while (n--)
		if (!ioctl(b->vcpu->fd, KVM_RUN, 0) || errno != EINTR)
			return -1;
	return 0;
}

struct vcpu_state {
	unsigned long get, set;
	bool sets;
};

static union {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
} state;

static int prepare_state(struct bench *b, unsigned int n)
{
	const struct vcpu_state *s = b->row->arg;

	return ioctl(b->vcpu->fd, s->get, &state);
}

static int run_state(struct bench *b, unsigned int n)
{
	const struct vcpu_state *s = b->row->arg;
	unsigned long request = s->sets ? s->set : s->get;

	while (n--)
		if (ioctl(b->vcpu->fd, request, &state))
			return -1;
	return 0;
}

static int setup_life(struct bench *b)
{
	b->vm.sys_fd = dev_open();
	b->vm.fd = -1;
	return b->vm.sys_fd < 0 ? -1 : 0;
}

/* The VM of the batch before. */
static int prepare_create_vm(struct bench *b, unsigned int n)
{
	if (b->vm.fd >= 0)
		close(b->vm.fd);
	b->vm.fd = -1;
	return 0;
}

static int run_create_vm(struct bench *b, unsigned int n)
{
	if (!n)
		return 0;
	b->vm.fd = ioctl(b->vm.sys_fd, KVM_CREATE_VM, 0);
	return b->vm.fd < 0 ? -1 : 0;
}

static int prepare_create_vcpu(struct bench *b, unsigned int n)
{
	vm_close(&b->vm);
	return vm_open(&b->vm, VM_MEMORY | VM_IRQCHIP);
}

static int run_create_vcpu(struct bench *b, unsigned int n)
{
	struct vcpu *vcpu = &b->vm.vcpu[0];

	if (!n)
		return 0;
	vcpu->fd = ioctl(b->vm.fd, KVM_CREATE_VCPU, 0);
	b->vm.nr_vcpus = 1;
	return vcpu->fd < 0 ? -1 : 0;
}

/* A VM whose vCPU has run. */
static int prepare_close(struct bench *b, unsigned int n)
{
	vm_close(&b->vm);
	return setup_vcpu(b);
}

static int run_close(struct bench *b, unsigned int n)
{
	struct vm *vm = &b->vm;
	struct vcpu *vcpu = &vm->vcpu[0];

	if (!n)
		return 0;
	if (munmap(vcpu->run, vm->run_size) || close(vcpu->fd) || close(vm->fd))
		return -1;
	vcpu->run = NULL;
	vcpu->fd = -1;
	vm->fd = -1;
	return 0;
}

#define STATE(NAME, GET, SET, SETS)							\
	{ .name = NAME, SMALL_BATCHES, .setup = setup_vcpu, .prepare = prepare_state,	\
	  .run = run_state, .arg = &(const struct vcpu_state) { GET, SET, SETS } }

const struct row ioctl_rows[] = {
	{ .name = "immediate_exit", SMALL_BATCHES, .setup = setup_vcpu, .run = run_immediate_exit },
	STATE("get_regs", KVM_GET_REGS, KVM_SET_REGS, false),
	STATE("set_regs", KVM_GET_REGS, KVM_SET_REGS, true),
	STATE("get_sregs", KVM_GET_SREGS, KVM_SET_SREGS, false),
	STATE("set_sregs", KVM_GET_SREGS, KVM_SET_SREGS, true),
	{ .name = "create_vm", ONE_BY_ONE, .setup = setup_life, .prepare = prepare_create_vm,
	  .run = run_create_vm },
	{ .name = "create_vcpu", ONE_BY_ONE, .setup = setup_life, .prepare = prepare_create_vcpu,
	  .run = run_create_vcpu },
	{ .name = "close", ONE_BY_ONE, .setup = setup_life, .prepare = prepare_close, .run = run_close },
	{ }
};
