/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device is to the machine.
 *
 * A device's file declares its type with VMM_DEVICE() and nothing else needs to know it: the linker
 * gathers the types into one table, and each machine asks every type to create its devices.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

struct aml;
struct device;
struct vm;

/* Order of creation. Devices that sit on a bus come after the bus. */
enum device_stage {
	DEVICE_BUS,
	DEVICE_ON_BOARD,
	DEVICE_ON_BUS,
	DEVICE_NR_STAGES,
};

struct device_type {
	const char *name;
	enum device_stage stage;
	/*
	 * Create what @vm's configuration asks of this type: none, one or several devices, each
	 * handed over by device_add(). Returns 0 or a status, explained; what was handed over
	 * stays.
	 */
	int (*create)(struct vm *vm);
};

#define VMM_DEVICE(type) \
	static const struct device_type *const type##_entry \
		__attribute__((used, section("vmm_devices"))) = &(type)

struct device_ops {
	/* Stop what the device does on its own and free it. vCPUs no longer run. */
	void (*destroy)(struct device *dev);
	/* Add the device to the DSDT. May be NULL. Runs before the guest does. */
	void (*describe)(const struct device *dev, struct aml *aml);
};

/* Embedded first in a device's own state. */
struct device {
	const struct device_ops *ops;
	struct vm *vm;
	struct device *next;
};

/* Create all devices, stage by stage. Returns 0 or a status, explained. */
int devices_create(struct vm *vm);

/* Hand @dev over to @vm, which destroys it when its time comes. */
void device_add(struct vm *vm, struct device *dev, const struct device_ops *ops);

/* Destroy all devices, last created first. */
void devices_destroy(struct vm *vm);

/* Have every device add itself to the DSDT. */
void devices_describe(const struct vm *vm, struct aml *aml);

#endif
