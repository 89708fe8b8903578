/* SPDX-License-Identifier: GPL-2.0-only */
/* The PCI bus: configuration space, BARs, legacy interrupts. Message interrupts are in msix.h. */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "device.h"

#define PCI_NR_BARS	6
#define PCI_CONFIG_SIZE	256

struct pci_device;

struct pci_device_ops {
	/*
	 * Configuration space beyond what pci.c keeps: called before a read and after a write of
	 * the @size bytes at @offset, with the bus's lock held. Either may be NULL.
	 */
	void (*config_read)(struct pci_device *pci, unsigned int offset, unsigned int size);
	void (*config_written)(struct pci_device *pci, unsigned int offset, unsigned int size);
	/* Registers behind a BAR. Called on vCPU threads, without locks. */
	uint64_t (*bar_read)(struct pci_device *pci, unsigned int bar, uint64_t offset,
			     unsigned int size);
	void (*bar_write)(struct pci_device *pci, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value);
	/*
	 * BAR @bar answers at @gpa from now on, or no longer. With the bus's lock held. May be
	 * NULL.
	 */
	void (*bar_moved)(struct pci_device *pci, unsigned int bar, uint64_t gpa, bool mapped);
};

struct pci_bar {
	struct pci_device *pci;
	uint32_t size;			/* a power of two; 0: there is none */
	bool mapped;
	struct io_region region;
};

/* Embedded in a PCI device's own state. */
struct pci_device {
	struct vm *vm;
	const struct pci_device_ops *ops;
	unsigned int slot;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];	/* bits that the guest may change */
	struct pci_bar bar[PCI_NR_BARS];
	unsigned int caps_end;			/* where the next capability goes */
	unsigned int last_cap;
	bool intx;				/* wants its interrupt line high */
	bool intx_disabled;			/* by the command register */
};

/* Identity of a device, for its header. */
struct pci_id {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class;				/* class, subclass, interface: 24 bits */
	uint8_t revision;
};

/*
 * Building a device, before the guest runs: prepare the header, then add BARs and capabilities,
 * then plug it into the next free slot.
 */
void pci_prepare(struct pci_device *pci, struct vm *vm, const struct pci_device_ops *ops,
		 const struct pci_id *id);

/*
 * A memory BAR of @size bytes, at least 4096, a power of two. pci_plug() gives it its first
 * address.
 */
void pci_add_bar(struct pci_device *pci, unsigned int bar, uint32_t size);

/*
 * Append a capability of @len bytes, all told, whose ID is @id. Returns its offset; its body is
 * zero.
 */
unsigned int pci_add_capability(struct pci_device *pci, uint8_t id, unsigned int len);

/* Returns 0 or a status, explained (no free slot). */
int pci_plug(struct pci_device *pci);

/* The guest no longer runs: take it off the bus. */
void pci_unplug(struct pci_device *pci);

/*
 * Little-endian fields of configuration space. The guest does not run, or the bus's lock is held.
 */
uint16_t pci_config16(const struct pci_device *pci, unsigned int offset);
uint32_t pci_config32(const struct pci_device *pci, unsigned int offset);
void pci_set_config16(struct pci_device *pci, unsigned int offset, uint16_t value);
void pci_set_config32(struct pci_device *pci, unsigned int offset, uint32_t value);

/* Raise or lower the device's INTx line. Any thread, any lock of a device held. */
void pci_set_intx(struct pci_device *pci, bool level);

#endif
