/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MSI-X of a PCI device (PCI 3.0, 6.8.2): the table and pending bits in a BAR of their own. A
 * vector's interrupt goes from an eventfd straight to the guest's LAPIC in the kernel.
 */
#ifndef VMM_MSIX_H
#define VMM_MSIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pci_device;
struct vm;

#define MSIX_MAX_VECTORS	8
#define MSIX_BAR_SIZE		4096
#define MSIX_PBA_OFFSET		2048
#define MSIX_NO_VECTOR		0xffff

struct msix_vector {
	uint64_t addr;
	uint32_t data;
	bool masked;
	bool pending;
	bool routed;		/* the kernel has addr and data */
	bool bound;		/* the eventfd is bound to the interrupt */
	uint32_t gsi;
	int event_fd;
};

struct msix {
	struct vm *vm;
	pthread_mutex_t lock;		/* guards all below; nests in the PCI bus's lock */
	bool enabled;
	bool function_masked;
	unsigned int cap;		/* offset in configuration space */
	unsigned int nr_vectors;
	struct msix_vector vector[MSIX_MAX_VECTORS];
};

/*
 * Give @pci the capability and BAR @bar with @nr_vectors vectors; @msix is all zero. Returns 0 or a
 * status, explained; msix_destroy() is right in either case, and for one that is all zero.
 */
int msix_create(struct msix *msix, struct pci_device *pci, unsigned int bar,
		unsigned int nr_vectors);
void msix_destroy(struct msix *msix);

/* To be called by the device's config_written(): follow the capability's control bits. */
void msix_config_written(struct msix *msix, struct pci_device *pci);

/* Accesses of the BAR. */
uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned int size);
void msix_write(struct msix *msix, uint64_t offset, unsigned int size, uint64_t value);

/*
 * Interrupt the guest by @vector, which may be any number: one that does not exist interrupts
 * nobody. Returns false when MSI-X is off, so that the device has to use its line. Any thread.
 */
bool msix_signal(struct msix *msix, unsigned int vector);

#endif
