/* SPDX-License-Identifier: GPL-2.0-only */
/* An address space of device registers: the I/O ports, or memory-mapped I/O. */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <pthread.h>
#include <stdint.h>

/*
 * What a device answers to. Offsets are from the region's base; the access lies within the region
 * and @size is 1, 2, 4 or 8. Called on a vCPU's thread without any lock held, on several at once.
 */
struct io_region {
	uint64_t base;
	uint64_t len;
	void *dev;
	uint64_t (*read)(void *dev, uint64_t offset, unsigned int size);
	void (*write)(void *dev, uint64_t offset, unsigned int size, uint64_t value);
	struct io_region *next;
};

struct bus {
	pthread_rwlock_t lock;
	struct io_region *regions;
};

void bus_init(struct bus *bus);
void bus_destroy(struct bus *bus);

/*
 * Let @region answer from now on, until bus_remove(). Regions may overlap: the smallest that holds
 * all of an access gets it. A call into the device may still be under way when bus_remove()
 * returns.
 */
void bus_add(struct bus *bus, struct io_region *region);
void bus_remove(struct bus *bus, struct io_region *region);

/* An access by the guest. Nobody there: reads give all ones, writes go nowhere, as on a PC. */
uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int size);
void bus_write(struct bus *bus, uint64_t addr, unsigned int size, uint64_t value);

#endif
