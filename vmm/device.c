// SPDX-License-Identifier: GPL-2.0-only
#include "device.h"
#include "status.h"
#include "vm.h"

/* The linker's names for the ends of the section that VMM_DEVICE() fills. */
extern const struct device_type *const __start_vmm_devices[];
extern const struct device_type *const __stop_vmm_devices[];

int devices_create(struct vm *vm)
{
	const struct device_type *const *type;
	int stage, status;

	for (stage = 0; stage < DEVICE_NR_STAGES; stage++) {
		for (type = __start_vmm_devices; type < __stop_vmm_devices; type++) {
			if ((int)(*type)->stage != stage)
				continue;
			status = (*type)->create(vm);
			if (status)
				return status;
		}
	}
	return VMM_OK;
}

void device_add(struct vm *vm, struct device *dev, const struct device_ops *ops)
{
	dev->ops = ops;
	dev->vm = vm;
	dev->next = vm->devices;
	vm->devices = dev;
}

void devices_destroy(struct vm *vm)
{
	while (vm->devices) {
		struct device *dev = vm->devices;

		vm->devices = dev->next;
		dev->ops->destroy(dev);
	}
}

void devices_describe(const struct vm *vm, struct aml *aml)
{
	const struct device *dev;

	for (dev = vm->devices; dev; dev = dev->next)
		if (dev->ops->describe)
			dev->ops->describe(dev, aml);
}
