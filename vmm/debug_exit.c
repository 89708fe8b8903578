// SPDX-License-Identifier: GPL-2.0-only
/*
 * A port by which a guest ends vmm with an exit status of its choice: for tests, only with
 * --debug-exit.
 */
#include <stdlib.h>

#include "device.h"
#include "layout.h"
#include "status.h"
#include "vm.h"

struct debug_exit {
	struct device device;
	struct io_region region;
};

static void debug_exit_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct debug_exit *debug_exit = dev;

	(void)offset, (void)size;
	vm_stop(debug_exit->device.vm, VM_DEBUG_EXIT, value & 0xff, NULL);
}

static void debug_exit_destroy(struct device *dev)
{
	struct debug_exit *debug_exit = (struct debug_exit *)dev;

	bus_remove(&dev->vm->pio, &debug_exit->region);
	free(debug_exit);
}

static const struct device_ops debug_exit_ops = {
	.destroy = debug_exit_destroy,
};

static int debug_exit_create(struct vm *vm)
{
	struct debug_exit *debug_exit;

	if (!vm->config->debug_exit)
		return VMM_OK;
	debug_exit = calloc(1, sizeof(*debug_exit));
	if (!debug_exit)
		return vmm_fail(VMM_MEMORY, "not enough memory for the debug exit device");
	debug_exit->region = (struct io_region){
		.base = LAYOUT_PORT_DEBUG_EXIT, .len = 1,
		.dev = debug_exit, .write = debug_exit_write,
	};
	device_add(vm, &debug_exit->device, &debug_exit_ops);
	bus_add(&vm->pio, &debug_exit->region);
	return VMM_OK;
}

static const struct device_type debug_exit_type = {
	.name = "debug exit",
	.stage = DEVICE_ON_BOARD,
	.create = debug_exit_create,
};
VMM_DEVICE(debug_exit_type);
