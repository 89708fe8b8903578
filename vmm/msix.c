// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "irq.h"
#include "msix.h"
#include "pci.h"
#include "status.h"
#include "vm.h"

int msix_create(struct msix *msix, struct pci_device *pci, unsigned int bar,
		unsigned int nr_vectors)
{
	int status;

	pthread_mutex_init(&msix->lock, NULL);
	msix->vm = pci->vm;
	for (unsigned int i = 0; i < nr_vectors; i++) {
		struct msix_vector *vector = &msix->vector[i];

		vector->masked = true;
		vector->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vector->event_fd < 0)
			return vmm_fail(VMM_FAILED, "cannot create an eventfd: %s",
					strerror(errno));
		msix->nr_vectors++;
		status = irq_alloc_message(&msix->vm->irq, &vector->gsi);
		if (status)
			return status;
	}
	pci_add_bar(pci, bar, MSIX_BAR_SIZE);
	msix->cap = pci_add_capability(pci, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	pci_set_config16(pci, msix->cap + PCI_MSIX_FLAGS, nr_vectors - 1);
	pci_set_config32(pci, msix->cap + PCI_MSIX_TABLE, bar);
	pci_set_config32(pci, msix->cap + PCI_MSIX_PBA, MSIX_PBA_OFFSET | bar);
	pci->writable[msix->cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	return VMM_OK;
}

void msix_destroy(struct msix *msix)
{
	for (unsigned int i = 0; i < msix->nr_vectors; i++) {
		struct msix_vector *vector = &msix->vector[i];

		if (vector->bound)
			irq_bind_eventfd(&msix->vm->irq, vector->gsi, vector->event_fd, false);
		close(vector->event_fd);
	}
	msix->nr_vectors = 0;
	pthread_mutex_destroy(&msix->lock);
}

/*
 * Have the kernel deliver @vector as the guest programmed it, and deliver what is pending. Lock
 * held.
 */
static void update_vector(struct msix *msix, struct msix_vector *vector)
{
	int error = 0;

	if (!msix->enabled || msix->function_masked || vector->masked)
		return;
	if (!vector->routed) {
		error = irq_route_message(&msix->vm->irq, vector->gsi, vector->addr, vector->data);
		vector->routed = !error;
	}
	if (!error && !vector->bound) {
		error = irq_bind_eventfd(&msix->vm->irq, vector->gsi, vector->event_fd, true);
		vector->bound = !error;
	}
	if (error) {
		vmm_warn("cannot route interrupt %u: %s", vector->gsi, strerror(-error));
	} else if (vector->pending) {
		vector->pending = false;
		eventfd_write(vector->event_fd, 1);
	}
}

void msix_config_written(struct msix *msix, struct pci_device *pci)
{
	uint16_t flags = pci_config16(pci, msix->cap + PCI_MSIX_FLAGS);

	pthread_mutex_lock(&msix->lock);
	msix->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	msix->function_masked = flags & PCI_MSIX_FLAGS_MASKALL;
	for (unsigned int i = 0; i < msix->nr_vectors; i++)
		update_vector(msix, &msix->vector[i]);
	pthread_mutex_unlock(&msix->lock);
}

static uint32_t read32(const struct msix *msix, uint64_t offset)
{
	const struct msix_vector *vector;
	uint32_t pending = 0;

	if (offset == MSIX_PBA_OFFSET) {
		for (unsigned int i = 0; i < msix->nr_vectors; i++)
			pending |= (uint32_t)msix->vector[i].pending << i;
		return pending;
	}
	if (offset / PCI_MSIX_ENTRY_SIZE >= msix->nr_vectors)
		return 0;
	vector = &msix->vector[offset / PCI_MSIX_ENTRY_SIZE];
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return vector->addr;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return vector->addr >> 32;
	case PCI_MSIX_ENTRY_DATA:
		return vector->data;
	default:
		return vector->masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
	}
}

static void write32(struct msix *msix, uint64_t offset, uint32_t value)
{
	struct msix_vector *vector;

	if (offset / PCI_MSIX_ENTRY_SIZE >= msix->nr_vectors)
		return;
	vector = &msix->vector[offset / PCI_MSIX_ENTRY_SIZE];
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		vector->addr = (vector->addr & ~0xffffffffULL) | (value & ~3u);
		vector->routed = false;
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		vector->addr = (vector->addr & 0xffffffff) | (uint64_t)value << 32;
		vector->routed = false;
		break;
	case PCI_MSIX_ENTRY_DATA:
		vector->data = value;
		vector->routed = false;
		break;
	default:
		vector->masked = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
	update_vector(msix, vector);
}

/* Only aligned accesses of four or eight bytes are defined (6.8.2). */
static bool valid(uint64_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && !(offset & (size - 1));
}

uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned int size)
{
	uint64_t value;

	if (!valid(offset, size))
		return 0;
	pthread_mutex_lock(&msix->lock);
	value = read32(msix, offset);
	if (size == 8)
		value |= (uint64_t)read32(msix, offset + 4) << 32;
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_write(struct msix *msix, uint64_t offset, unsigned int size, uint64_t value)
{
	if (!valid(offset, size))
		return;
	pthread_mutex_lock(&msix->lock);
	write32(msix, offset, value);
	if (size == 8)
		write32(msix, offset + 4, value >> 32);
	pthread_mutex_unlock(&msix->lock);
}

bool msix_signal(struct msix *msix, unsigned int number)
{
	struct msix_vector *vector;
	bool enabled;

	pthread_mutex_lock(&msix->lock);
	enabled = msix->enabled;
	if (enabled && number < msix->nr_vectors) {
		vector = &msix->vector[number];
		if (vector->bound && vector->routed && !vector->masked && !msix->function_masked)
			eventfd_write(vector->event_fd, 1);
		else
			vector->pending = true;
	}
	pthread_mutex_unlock(&msix->lock);
	return enabled;
}
