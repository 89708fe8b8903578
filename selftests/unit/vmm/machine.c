// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "irq.h"
#include "machine.h"
#include "status.h"

struct machine_irqs machine_irqs;
char machine_said[256];

int vmm_fail(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(machine_said, sizeof(machine_said), fmt, args);
	va_end(args);
	return status;
}

void vmm_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(machine_said, sizeof(machine_said), fmt, args);
	va_end(args);
}

void irq_set_line(struct irq_router *irq, uint32_t gsi, bool level)
{
	(void)irq;
	__atomic_store_n(&machine_irqs.line[gsi], level, __ATOMIC_SEQ_CST);
}

int irq_alloc_message(struct irq_router *irq, uint32_t *gsi)
{
	*gsi = irq->next_gsi++;
	machine_irqs.message[*gsi].fd = -1;
	return 0;
}

int irq_route_message(struct irq_router *irq, uint32_t gsi, uint64_t addr, uint32_t data)
{
	(void)irq;
	machine_irqs.message[gsi].addr = addr;
	machine_irqs.message[gsi].data = data;
	return 0;
}

int irq_bind_eventfd(struct irq_router *irq, uint32_t gsi, int fd, bool bind)
{
	(void)irq;
	machine_irqs.message[gsi].fd = bind ? fd : -1;
	return 0;
}

void vm_stop(struct vm *vm, enum vm_end_kind kind, int value, struct vcpu *vcpu)
{
	vm->end = (struct vm_end){ .kind = kind, .value = value, .vcpu = vcpu };
	vm->stopping = true;
}

void vm_wake(struct vm *vm)
{
	(void)vm;
}

void vm_add_watch(struct vm *vm, struct vm_watch *watch)
{
	watch->next = vm->watches;
	vm->watches = watch;
}

struct config machine_config(void)
{
	return (struct config){
		.kernel = { .path = "kernel", .fd = -1 },
		.initrd = { .path = "initrd", .fd = -1 },
		.cmdline = "console=ttyS0",
		.nr_vcpus = 2,
		.memory = MACHINE_MEMORY,
	};
}

int machine_file(uint64_t size)
{
	int fd = memfd_create("vmm-unit", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, size) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

struct vm *machine_create(const struct config *config)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	memset(&machine_irqs, 0, sizeof(machine_irqs));
	vm->config = config;
	vm->fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	if (guest_mem_alloc(&vm->mem, config->memory) || devices_create(vm)) {
		machine_destroy(vm);
		return NULL;
	}
	return vm;
}

void machine_destroy(struct vm *vm)
{
	devices_destroy(vm);
	guest_mem_free(&vm->mem);
	bus_destroy(&vm->mmio);
	bus_destroy(&vm->pio);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

uint32_t in(struct vm *vm, uint16_t port, unsigned int size)
{
	return bus_read(&vm->pio, port, size) & (~0ULL >> (64 - 8 * size));
}

void out(struct vm *vm, uint16_t port, unsigned int size, uint32_t value)
{
	bus_write(&vm->pio, port, size, value);
}

uint32_t config_in(struct vm *vm, unsigned int slot, unsigned int offset, unsigned int size)
{
	out(vm, 0xcf8, 4, 1u << 31 | slot << 11 | (offset & 0xfc));
	return in(vm, 0xcfc + (offset & 3), size);
}

void config_out(struct vm *vm, unsigned int slot, unsigned int offset, unsigned int size,
		uint32_t value)
{
	out(vm, 0xcf8, 4, 1u << 31 | slot << 11 | (offset & 0xfc));
	out(vm, 0xcfc + (offset & 3), size, value);
}

uint64_t machine_message_count(unsigned int index)
{
	struct pollfd wait = { .fd = machine_irqs.message[index].fd, .events = POLLIN };
	eventfd_t count;

	if (wait.fd < 0 || poll(&wait, 1, 1000) != 1 || eventfd_read(wait.fd, &count) < 0)
		return 0;
	return count;
}
