// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bus without bridges: configuration space of each slot's function 0 through the ports
 * 0xcf8/0xcfc and through ECAM, BARs as regions of the MMIO bus, INTA# of each slot on one of four
 * level-triggered lines.
 */
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aml.h"
#include "layout.h"
#include "pci.h"
#include "status.h"
#include "vm.h"

#define NR_SLOTS		32
#define NR_LINES		4
#define ADDR_ENABLE		(1u << 31)
#define ADDR_BITS		0x8ffffffcu
#define ECAM_FUNCTION_SIZE	4096
#define FIRST_CAPABILITY	0x40

/* "PCIe host bridge" of the vendor that numbers virtual hardware. */
#define BRIDGE_VENDOR		0x1b36
#define BRIDGE_DEVICE		0x0008
#define BRIDGE_CLASS		0x060000

struct pci_host {
	struct device device;
	struct pci_device bridge;
	struct io_region address;	/* 0xcf8 */
	struct io_region data;		/* 0xcfc */
	struct io_region ecam;
	pthread_mutex_t lock; /* guards the address register and all configuration spaces */
	uint32_t address_register;
	pthread_mutex_t line_lock;	/* guards the devices' intx and intx_disabled; innermost */
	struct pci_device *slot[NR_SLOTS];	/* constant while the guest runs */
	uint32_t next_bar;		/* where pci_plug() places the next BAR */
};

uint16_t pci_config16(const struct pci_device *pci, unsigned int offset)
{
	return pci->config[offset] | pci->config[offset + 1] << 8;
}

uint32_t pci_config32(const struct pci_device *pci, unsigned int offset)
{
	return pci_config16(pci, offset) | (uint32_t)pci_config16(pci, offset + 2) << 16;
}

void pci_set_config16(struct pci_device *pci, unsigned int offset, uint16_t value)
{
	pci->config[offset] = value;
	pci->config[offset + 1] = value >> 8;
}

void pci_set_config32(struct pci_device *pci, unsigned int offset, uint32_t value)
{
	pci_set_config16(pci, offset, value);
	pci_set_config16(pci, offset + 2, value >> 16);
}

/* The usual swizzle: neighbouring slots use different lines. The DSDT's _PRT says the same. */
static unsigned int slot_line(unsigned int slot)
{
	return slot % NR_LINES;
}

/* A line is high as long as any device on it wants it so. line_lock held. */
static void update_line(struct pci_host *host, unsigned int line)
{
	bool level = false;

	for (unsigned int slot = line; slot < NR_SLOTS; slot += NR_LINES) {
		struct pci_device *pci = host->slot[slot];

		if (pci && pci->intx && !pci->intx_disabled)
			level = true;
	}
	irq_set_line(&host->device.vm->irq, LAYOUT_GSI_PCI + line, level);
}

void pci_set_intx(struct pci_device *pci, bool level)
{
	struct pci_host *host = pci->vm->pci;

	pthread_mutex_lock(&host->line_lock);
	if (pci->intx != level) {
		pci->intx = level;
		update_line(host, slot_line(pci->slot));
	}
	pthread_mutex_unlock(&host->line_lock);
}

/* Follow the command register. Lock held. */
static void update_intx_disabled(struct pci_host *host, struct pci_device *pci)
{
	bool disabled = pci_config16(pci, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;

	pthread_mutex_lock(&host->line_lock);
	if (pci->intx_disabled != disabled) {
		pci->intx_disabled = disabled;
		update_line(host, slot_line(pci->slot));
	}
	pthread_mutex_unlock(&host->line_lock);
}

/* The status register's bit is the line as the device drives it. Lock held. */
static void update_status(struct pci_host *host, struct pci_device *pci)
{
	pthread_mutex_lock(&host->line_lock);
	pci->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
	if (pci->intx)
		pci->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	pthread_mutex_unlock(&host->line_lock);
}

static uint64_t bar_read(void *dev, uint64_t offset, unsigned int size)
{
	struct pci_bar *bar = dev;

	return bar->pci->ops->bar_read(bar->pci, bar - bar->pci->bar, offset, size);
}

static void bar_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_bar *bar = dev;

	bar->pci->ops->bar_write(bar->pci, bar - bar->pci->bar, offset, size, value);
}

/* Have BAR @i answer where the guest's settings say. Lock held. */
static void update_bar(struct pci_device *pci, unsigned int i)
{
	struct pci_bar *bar = &pci->bar[i];
	uint64_t gpa = pci_config32(pci, PCI_BASE_ADDRESS_0 + 4 * i) & PCI_BASE_ADDRESS_MEM_MASK;
	bool enabled = pci_config16(pci, PCI_COMMAND) & PCI_COMMAND_MEMORY;

	if (!bar->size || (bar->mapped == enabled && (!enabled || bar->region.base == gpa)))
		return;
	if (bar->mapped) {
		bus_remove(&pci->vm->mmio, &bar->region);
		if (pci->ops->bar_moved)
			pci->ops->bar_moved(pci, i, bar->region.base, false);
	}
	bar->mapped = enabled;
	if (enabled) {
		bar->region.base = gpa;
		bus_add(&pci->vm->mmio, &bar->region);
		if (pci->ops->bar_moved)
			pci->ops->bar_moved(pci, i, gpa, true);
	}
}

static uint32_t config_read(struct pci_host *host, unsigned int devfn, unsigned int offset,
			    unsigned int size)
{
	struct pci_device *pci = devfn & 7 ? NULL : host->slot[devfn >> 3];
	uint32_t value = 0;

	if (!pci)
		return ~0u;
	/* Beyond lies the extended space, which holds no capability: zero. */
	if (offset + size > PCI_CONFIG_SIZE)
		return 0;
	if (offset <= PCI_STATUS && offset + size > PCI_STATUS)
		update_status(host, pci);
	if (pci->ops->config_read)
		pci->ops->config_read(pci, offset, size);
	for (unsigned int i = 0; i < size; i++)
		value |= (uint32_t)pci->config[offset + i] << (8 * i);
	return value;
}

static void config_write(struct pci_host *host, unsigned int devfn, unsigned int offset,
			 unsigned int size, uint32_t value)
{
	struct pci_device *pci = devfn & 7 ? NULL : host->slot[devfn >> 3];

	if (!pci || offset + size > PCI_CONFIG_SIZE)
		return;
	for (unsigned int i = 0; i < size; i++, value >>= 8) {
		uint8_t mask = pci->writable[offset + i];

		pci->config[offset + i] = (pci->config[offset + i] & ~mask) | (value & mask);
	}
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		update_bar(pci, i);
	update_intx_disabled(host, pci);
	if (pci->ops->config_written)
		pci->ops->config_written(pci, offset, size);
}

static uint64_t address_read(void *dev, uint64_t offset, unsigned int size)
{
	struct pci_host *host = dev;
	uint32_t value;

	(void)offset;
	/* Only a whole doubleword is the address register (PCI 3.0, 3.2.2.3.2). */
	if (size != 4)
		return ~0ULL;
	pthread_mutex_lock(&host->lock);
	value = host->address_register;
	pthread_mutex_unlock(&host->lock);
	return value;
}

static void address_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_host *host = dev;

	(void)offset;
	if (size != 4)
		return;
	pthread_mutex_lock(&host->lock);
	host->address_register = value & ADDR_BITS;
	pthread_mutex_unlock(&host->lock);
}

/*
 * The register that the address selects. Bits 27:24, reserved otherwise, are bits 11:8 of it on AMD
 * CPUs, where guests use them (BKDG, NB_CFG's EnableCf8ExtCfg).
 */
static unsigned int addressed_offset(uint32_t address)
{
	return (address & 0xfc) | (address >> 16 & 0xf00);
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned int size)
{
	struct pci_host *host = dev;
	uint64_t value = ~0ULL;
	uint32_t address;

	pthread_mutex_lock(&host->lock);
	address = host->address_register;
	if (address & ADDR_ENABLE && !(address >> 16 & 0xff))
		value = config_read(host, address >> 8 & 0xff, addressed_offset(address) + offset,
				    size);
	pthread_mutex_unlock(&host->lock);
	return value;
}

static void data_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_host *host = dev;
	uint32_t address;

	pthread_mutex_lock(&host->lock);
	address = host->address_register;
	if (address & ADDR_ENABLE && !(address >> 16 & 0xff))
		config_write(host, address >> 8 & 0xff, addressed_offset(address) + offset, size,
			     value);
	pthread_mutex_unlock(&host->lock);
}

/* An access that is aligned, as all that PCI Express allows are, stays within its function. */
static bool ecam_valid(uint64_t offset, unsigned int size)
{
	return size <= 4 && !(offset & (size - 1));
}

static uint64_t ecam_read(void *dev, uint64_t offset, unsigned int size)
{
	struct pci_host *host = dev;
	uint64_t value;

	if (!ecam_valid(offset, size))
		return ~0ULL;
	pthread_mutex_lock(&host->lock);
	value = config_read(host, offset / ECAM_FUNCTION_SIZE & 0xff, offset % ECAM_FUNCTION_SIZE,
			    size);
	pthread_mutex_unlock(&host->lock);
	return value;
}

static void ecam_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_host *host = dev;

	if (!ecam_valid(offset, size))
		return;
	pthread_mutex_lock(&host->lock);
	config_write(host, offset / ECAM_FUNCTION_SIZE & 0xff, offset % ECAM_FUNCTION_SIZE, size,
		     value);
	pthread_mutex_unlock(&host->lock);
}

void pci_prepare(struct pci_device *pci, struct vm *vm, const struct pci_device_ops *ops,
		 const struct pci_id *id)
{
	pci->vm = vm;
	pci->ops = ops;
	pci->caps_end = FIRST_CAPABILITY;
	pci_set_config16(pci, PCI_VENDOR_ID, id->vendor);
	pci_set_config16(pci, PCI_DEVICE_ID, id->device);
	pci_set_config32(pci, PCI_CLASS_REVISION, id->class << 8 | id->revision);
	pci_set_config16(pci, PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
	pci_set_config16(pci, PCI_SUBSYSTEM_ID, id->subsystem);
	pci->writable[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	pci->writable[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
	pci->writable[PCI_INTERRUPT_LINE] = 0xff;
	pci->writable[PCI_CACHE_LINE_SIZE] = 0xff;
}

void pci_add_bar(struct pci_device *pci, unsigned int bar, uint32_t size)
{
	unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint32_t mask = ~(size - 1);

	pci->bar[bar].pci = pci;
	pci->bar[bar].size = size;
	pci->bar[bar].region = (struct io_region){
		.len = size, .dev = &pci->bar[bar], .read = bar_read, .write = bar_write,
	};
	pci_set_config32(pci, offset, PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_32);
	for (unsigned int i = 0; i < 4; i++)
		pci->writable[offset + i] = mask >> (8 * i);
}

unsigned int pci_add_capability(struct pci_device *pci, uint8_t id, unsigned int len)
{
	unsigned int offset = pci->caps_end;

	pci->config[offset] = id;
	pci->config[offset + 1] = 0;
	pci->config[pci->last_cap ? pci->last_cap + 1 : PCI_CAPABILITY_LIST] = offset;
	pci->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	pci->last_cap = offset;
	pci->caps_end = (offset + len + 3) & ~3u;
	return offset;
}

/* As firmware does it. The guest's kernel may find better places. */
static void place_bars(struct pci_host *host, struct pci_device *pci)
{
	for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
		uint32_t size = pci->bar[i].size;

		if (!size)
			continue;
		host->next_bar = (host->next_bar + size - 1) & ~(size - 1);
		pci_set_config32(pci, PCI_BASE_ADDRESS_0 + 4 * i, host->next_bar);
		host->next_bar += size;
	}
}

int pci_plug(struct pci_device *pci)
{
	struct pci_host *host = pci->vm->pci;
	unsigned int slot;

	for (slot = 0; slot < NR_SLOTS && host->slot[slot]; slot++)
		;
	if (slot == NR_SLOTS)
		return vmm_fail(VMM_USAGE, "too many devices: the PCI bus has %d slots", NR_SLOTS);
	pci->slot = slot;
	if (slot) {
		pci->config[PCI_INTERRUPT_PIN] = 1;	/* INTA# */
		pci->config[PCI_INTERRUPT_LINE] = LAYOUT_GSI_PCI + slot_line(slot);
	}
	place_bars(host, pci);
	host->slot[slot] = pci;
	return VMM_OK;
}

void pci_unplug(struct pci_device *pci)
{
	struct pci_host *host = pci->vm->pci;

	if (host->slot[pci->slot] != pci)
		return;
	pthread_mutex_lock(&host->lock);
	pci_set_config16(pci, PCI_COMMAND, 0);
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		update_bar(pci, i);
	host->slot[pci->slot] = NULL;
	pthread_mutex_unlock(&host->lock);
}

/*
 * Interrupt links (PNP0C0F) that are wired for good; they exist so that the lines can be called
 * active high.
 */
static void describe_links(struct aml *aml)
{
	for (unsigned int line = 0; line < NR_LINES; line++) {
		char name[] = { 'L', 'N', 'K', 'A' + line, 0 };
		size_t device = aml_device(aml, name), mark;

		aml_name_eisa_id(aml, "_HID", "PNP0C0F");
		aml_name_integer(aml, "_UID", line);
		aml_name_integer(aml, "_STA", 0x0b);
		mark = aml_resources(aml, "_PRS");
		aml_resource_interrupt(aml, LAYOUT_GSI_PCI + line);
		aml_resources_end(aml, mark);
		mark = aml_resources(aml, "_CRS");
		aml_resource_interrupt(aml, LAYOUT_GSI_PCI + line);
		aml_resources_end(aml, mark);
		mark = aml_method(aml, "_SRS", 1);
		aml_close(aml, mark);
		mark = aml_method(aml, "_DIS", 0);
		aml_close(aml, mark);
		aml_close(aml, device);
	}
}

static void describe_routes(struct aml *aml)
{
	size_t table = aml_name_package(aml, "_PRT", NR_SLOTS - 1);

	for (unsigned int slot = 1; slot < NR_SLOTS; slot++) {
		char name[] = { 'L', 'N', 'K', 'A' + slot_line(slot), 0 };
		size_t entry = aml_package(aml, 4);

		aml_integer(aml, slot << 16 | 0xffff);	/* any function of the slot */
		aml_integer(aml, 0);			/* INTA# */
		aml_reference(aml, name);
		aml_integer(aml, 0);
		aml_close(aml, entry);
	}
	aml_close(aml, table);
}

static void describe_windows(struct aml *aml)
{
	size_t resources = aml_resources(aml, "_CRS");

	aml_resource_bus_window(aml, 0, 0);
	aml_resource_io(aml, LAYOUT_PORT_PCI_ADDR, 8);
	aml_resource_io_window(aml, 0, LAYOUT_PORT_PCI_ADDR - 1);
	aml_resource_io_window(aml, LAYOUT_PORT_PCI_ADDR + 8, 0xffff);
	aml_resource_memory_window(aml, LAYOUT_PCI_WINDOW,
				   LAYOUT_PCI_WINDOW + LAYOUT_PCI_WINDOW_SIZE - 1);
	aml_resources_end(aml, resources);
}

static void host_describe(const struct device *dev, struct aml *aml)
{
	size_t device, resources;

	(void)dev;
	describe_links(aml);
	device = aml_device(aml, "PCI0");
	aml_name_eisa_id(aml, "_HID", "PNP0A08");
	aml_name_eisa_id(aml, "_CID", "PNP0A03");
	aml_name_integer(aml, "_UID", 0);
	aml_name_integer(aml, "_SEG", 0);
	aml_name_integer(aml, "_BBN", 0);
	describe_windows(aml);
	describe_routes(aml);
	aml_close(aml, device);
	/* Linux uses ECAM only where motherboard resources cover it (PCI Firmware 3.0, 4.1.2). */
	device = aml_device(aml, "ECAM");
	aml_name_eisa_id(aml, "_HID", "PNP0C02");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_resources(aml, "_CRS");
	aml_resource_memory(aml, LAYOUT_ECAM, LAYOUT_ECAM_SIZE);
	aml_resources_end(aml, resources);
	aml_close(aml, device);
}

static void host_destroy(struct device *dev)
{
	struct pci_host *host = (struct pci_host *)dev;

	bus_remove(&dev->vm->mmio, &host->ecam);
	bus_remove(&dev->vm->pio, &host->data);
	bus_remove(&dev->vm->pio, &host->address);
	dev->vm->pci = NULL;
	pthread_mutex_destroy(&host->line_lock);
	pthread_mutex_destroy(&host->lock);
	free(host);
}

static const struct device_ops host_ops = {
	.destroy = host_destroy,
	.describe = host_describe,
};

static const struct pci_device_ops bridge_ops = { 0 };

static void add_regions(struct pci_host *host, struct vm *vm)
{
	host->address = (struct io_region){
		.base = LAYOUT_PORT_PCI_ADDR, .len = 4,
		.dev = host, .read = address_read, .write = address_write,
	};
	host->data = (struct io_region){
		.base = LAYOUT_PORT_PCI_DATA, .len = 4,
		.dev = host, .read = data_read, .write = data_write,
	};
	host->ecam = (struct io_region){
		.base = LAYOUT_ECAM, .len = LAYOUT_ECAM_SIZE,
		.dev = host, .read = ecam_read, .write = ecam_write,
	};
	bus_add(&vm->pio, &host->address);
	bus_add(&vm->pio, &host->data);
	bus_add(&vm->mmio, &host->ecam);
}

static int host_create(struct vm *vm)
{
	static const struct pci_id id = {
		.vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class = BRIDGE_CLASS,
	};
	struct pci_host *host = calloc(1, sizeof(*host));

	if (!host)
		return vmm_fail(VMM_MEMORY, "not enough memory for the PCI bus");
	pthread_mutex_init(&host->lock, NULL);
	pthread_mutex_init(&host->line_lock, NULL);
	host->next_bar = LAYOUT_PCI_WINDOW;
	device_add(vm, &host->device, &host_ops);
	vm->pci = host;
	add_regions(host, vm);
	pci_prepare(&host->bridge, vm, &bridge_ops, &id);
	return pci_plug(&host->bridge);
}

static const struct device_type host_type = {
	.name = "PCI host bridge",
	.stage = DEVICE_BUS,
	.create = host_create,
};
VMM_DEVICE(host_type);
