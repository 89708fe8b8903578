// SPDX-License-Identifier: GPL-2.0-only
/* The devices of a test machine: console, exit, FIFO, latches, and scratch memory behind MMIO. */
#include <stdio.h>
#include <string.h>

#include "guestrun.h"

static void fifo_put(struct vm *vm, const uint8_t *data, uint32_t size)
{
	while (size--)
		vm->fifo[vm->fifo_in++ % sizeof(vm->fifo)] = *data++;
}

static void fifo_get(struct vm *vm, uint8_t *data, uint32_t size)
{
	while (size--) {
		*data++ = vm->fifo_out == vm->fifo_in ? 0xff :
			  vm->fifo[vm->fifo_out++ % sizeof(vm->fifo)];
	}
}

static void io_element(struct vcpu *vcpu, uint8_t *data)
{
	struct kvm_run *run = vcpu->run;
	bool out = run->io.direction == KVM_EXIT_IO_OUT;
	struct vm *vm = vcpu->vm;
	uint32_t value = 0;

	if (out)
		memcpy(&value, data, run->io.size);
	if (run->io.port == PORT_CONSOLE && out) {
		putchar(value & 0xff);
	} else if (run->io.port == PORT_EXIT && out) {
		vm_end(vm, value);
	} else if (run->io.port == PORT_CALL && out) {
		calls_handle(vcpu, value);
	} else if (run->io.port == PORT_FIFO) {
		pthread_mutex_lock(&vm->lock);
		if (out)
			fifo_put(vm, data, run->io.size);
		else
			fifo_get(vm, data, run->io.size);
		pthread_mutex_unlock(&vm->lock);
	} else if (run->io.port >= PORT_LATCH &&
		   run->io.port + run->io.size <= PORT_LATCH + (int)sizeof(vm->latch)) {
		uint8_t *latch = vm->latch + run->io.port - PORT_LATCH;

		memcpy(out ? latch : data, out ? data : latch, run->io.size);
	} else if (!out) {
		memset(data, 0xff, run->io.size);
	}
}

void devices_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->io.data_offset + (uint64_t)run->io.size * run->io.count > vcpu->vm->run_size)
		vm_fail(vcpu->vm, "port data of %u * %u bytes lies outside kvm_run",
			run->io.count, run->io.size);
	for (uint32_t i = 0; i < run->io.count; i++)
		io_element(vcpu, data + i * run->io.size);
}

void devices_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t gpa = run->mmio.phys_addr;
	uint32_t len = run->mmio.len;
	struct vm *vm = vcpu->vm;

	if (!len || len > sizeof(run->mmio.data))
		vm_fail(vm, "MMIO of %u bytes", len);
	pthread_mutex_lock(&vm->lock);
	if (gpa >= MMIO_GPA && gpa + len <= MMIO_GPA + MMIO_SIZE) {
		uint8_t *at = vm->mmio + gpa - MMIO_GPA;

		memcpy(run->mmio.is_write ? at : run->mmio.data,
		       run->mmio.is_write ? run->mmio.data : at, len);
	} else if (!run->mmio.is_write) {
		memset(run->mmio.data, 0xff, len);
	}
	if (vm->nr_log < MAX_LOG) {
		struct mmio_access *log = &vm->log[vm->nr_log++];

		*log = (struct mmio_access){
			.gpa = gpa, .len = len, .is_write = run->mmio.is_write,
		};
		memcpy(&log->data, run->mmio.data, len);
	}
	pthread_mutex_unlock(&vm->lock);
}
