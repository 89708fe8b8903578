// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI's fixed hardware (ACPI 6.4, 4.8.3) as far as a guest needs it: PM1a event registers in which
 * nothing ever happens, the control register by which it powers off, the timer, and the reset
 * register of PC chipsets.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "aml.h"
#include "device.h"
#include "layout.h"
#include "pm.h"
#include "status.h"
#include "vm.h"

#define PM1_CNT_SCI_EN		(1u << 0)
#define PM1_CNT_BM_RLD		(1u << 1)
#define PM1_CNT_SLP_TYP_SHIFT	10
#define PM1_CNT_SLP_TYP_MASK	7u
#define PM1_CNT_SLP_EN		(1u << 13)
#define SLP_TYP_S5		5

#define PM_TMR_HZ		3579545ULL

#define RESET_CPU		(1u << 2)	/* 0xcf9: reset on the rising edge of this bit */

#define I8042_PULSE_RESET	0xfe

struct pm {
	struct device device;
	struct io_region registers;
	struct io_region reset;
	struct io_region i8042;
	pthread_mutex_t lock;
	uint16_t enable;
	uint16_t control;
	uint8_t reset_control;
};

static uint32_t timer_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * PM_TMR_HZ + now.tv_nsec * PM_TMR_HZ / 1000000000;
}

/* Registers are 16 bits wide and the timer 32; narrower and wider accesses are made of bytes. */
static uint8_t read_byte(struct pm *pm, uint64_t offset, uint32_t timer)
{
	switch (offset + LAYOUT_PORT_PM1_EVT) {
	case LAYOUT_PORT_PM1_EVT + 2:
		return pm->enable;
	case LAYOUT_PORT_PM1_EVT + 3:
		return pm->enable >> 8;
	case LAYOUT_PORT_PM1_CNT:
		return pm->control | PM1_CNT_SCI_EN;
	case LAYOUT_PORT_PM1_CNT + 1:
		return pm->control >> 8;
	case LAYOUT_PORT_PM_TMR ... LAYOUT_PORT_PM_TMR + 3:
		return timer >> 8 * (offset + LAYOUT_PORT_PM1_EVT - LAYOUT_PORT_PM_TMR);
	default:
		return 0;
	}
}

static uint64_t registers_read(void *dev, uint64_t offset, unsigned int size)
{
	struct pm *pm = dev;
	uint32_t timer = timer_now();
	uint64_t value = 0;

	pthread_mutex_lock(&pm->lock);
	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)read_byte(pm, offset + i, timer) << (8 * i);
	pthread_mutex_unlock(&pm->lock);
	return value;
}

static void write_control(struct pm *pm, uint16_t value)
{
	pm->control = value & (PM1_CNT_BM_RLD | PM1_CNT_SLP_TYP_MASK << PM1_CNT_SLP_TYP_SHIFT);
	if (value & PM1_CNT_SLP_EN &&
	    (value >> PM1_CNT_SLP_TYP_SHIFT & PM1_CNT_SLP_TYP_MASK) == SLP_TYP_S5)
		vm_stop(pm->device.vm, VM_POWER_OFF, 0, NULL);
}

static void registers_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = dev;

	pthread_mutex_lock(&pm->lock);
	for (unsigned int i = 0; i < size; i++, value >>= 8) {
		uint8_t byte = value;

		switch (offset + i + LAYOUT_PORT_PM1_EVT) {
		case LAYOUT_PORT_PM1_EVT + 2:
			pm->enable = (pm->enable & 0xff00) | byte;
			break;
		case LAYOUT_PORT_PM1_EVT + 3:
			pm->enable = (pm->enable & 0xff) | byte << 8;
			break;
		case LAYOUT_PORT_PM1_CNT:
			write_control(pm, (pm->control & 0xff00) | byte);
			break;
		case LAYOUT_PORT_PM1_CNT + 1:
			write_control(pm, (pm->control & 0xff) | byte << 8);
			break;
		}
	}
	pthread_mutex_unlock(&pm->lock);
}

static uint64_t reset_read(void *dev, uint64_t offset, unsigned int size)
{
	struct pm *pm = dev;

	(void)offset, (void)size;
	return __atomic_load_n(&pm->reset_control, __ATOMIC_RELAXED);
}

static void reset_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = dev;
	uint8_t old;

	(void)offset, (void)size;
	old = __atomic_exchange_n(&pm->reset_control, (uint8_t)value, __ATOMIC_RELAXED);
	if (value & ~old & RESET_CPU)
		vm_stop(pm->device.vm, VM_RESET, 0, NULL);
}

/*
 * There is no keyboard, only the reset line that PCs have in its controller: a guest's last way to
 * reboot.
 */
static uint64_t i8042_read(void *dev, uint64_t offset, unsigned int size)
{
	(void)dev, (void)offset, (void)size;
	return 0;
}

static void i8042_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = dev;

	(void)offset, (void)size;
	if (value == I8042_PULSE_RESET)
		vm_stop(pm->device.vm, VM_RESET, 0, NULL);
}

static void pm_destroy(struct device *dev)
{
	struct pm *pm = (struct pm *)dev;

	bus_remove(&dev->vm->pio, &pm->i8042);
	bus_remove(&dev->vm->pio, &pm->reset);
	bus_remove(&dev->vm->pio, &pm->registers);
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}

/* The ports belong to no PnP device: motherboard resources (PNP0C02) keep others away. */
static void pm_describe(const struct device *dev, struct aml *aml)
{
	size_t device = aml_device(aml, "PMIO"), resources;

	(void)dev;
	aml_name_eisa_id(aml, "_HID", "PNP0C02");
	aml_name_integer(aml, "_UID", 1);
	resources = aml_resources(aml, "_CRS");
	aml_resource_io(aml, LAYOUT_PORT_PM1_EVT, LAYOUT_PORT_PM_END - LAYOUT_PORT_PM1_EVT);
	aml_resources_end(aml, resources);
	aml_close(aml, device);
}

void pm_describe_power_off(struct aml *aml)
{
	size_t package = aml_name_package(aml, "_S5", 4);

	aml_integer(aml, SLP_TYP_S5);
	aml_integer(aml, SLP_TYP_S5);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_close(aml, package);
}

static const struct device_ops pm_ops = {
	.destroy = pm_destroy,
	.describe = pm_describe,
};

static int pm_create(struct vm *vm)
{
	struct pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return vmm_fail(VMM_MEMORY, "not enough memory for the power management device");
	pthread_mutex_init(&pm->lock, NULL);
	pm->registers = (struct io_region){
		.base = LAYOUT_PORT_PM1_EVT, .len = LAYOUT_PORT_PM_END - LAYOUT_PORT_PM1_EVT,
		.dev = pm, .read = registers_read, .write = registers_write,
	};
	pm->reset = (struct io_region){
		.base = LAYOUT_PORT_RESET, .len = 1,
		.dev = pm, .read = reset_read, .write = reset_write,
	};
	pm->i8042 = (struct io_region){
		.base = LAYOUT_PORT_I8042, .len = 1,
		.dev = pm, .read = i8042_read, .write = i8042_write,
	};
	device_add(vm, &pm->device, &pm_ops);
	bus_add(&vm->pio, &pm->registers);
	bus_add(&vm->pio, &pm->reset);
	bus_add(&vm->pio, &pm->i8042);
	return VMM_OK;
}

static const struct device_type pm_type = {
	.name = "power management",
	.stage = DEVICE_ON_BOARD,
	.create = pm_create,
};
VMM_DEVICE(pm_type);
