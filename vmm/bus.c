// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>

#include "bus.h"

void bus_init(struct bus *bus)
{
	pthread_rwlock_init(&bus->lock, NULL);
	bus->regions = NULL;
}

void bus_destroy(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

void bus_add(struct bus *bus, struct io_region *region)
{
	pthread_rwlock_wrlock(&bus->lock);
	region->next = bus->regions;
	bus->regions = region;
	pthread_rwlock_unlock(&bus->lock);
}

void bus_remove(struct bus *bus, struct io_region *region)
{
	struct io_region **link;

	pthread_rwlock_wrlock(&bus->lock);
	for (link = &bus->regions; *link; link = &(*link)->next) {
		if (*link == region) {
			*link = region->next;
			break;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
}

static bool holds(const struct io_region *region, uint64_t addr, unsigned int size)
{
	return addr >= region->base && addr - region->base < region->len &&
	       size <= region->len - (addr - region->base);
}

/* A copy, because the region may be moved once the lock is dropped. */
static bool find(struct bus *bus, uint64_t addr, unsigned int size, struct io_region *found)
{
	struct io_region *region, *best = NULL;

	pthread_rwlock_rdlock(&bus->lock);
	for (region = bus->regions; region; region = region->next)
		if (holds(region, addr, size) && (!best || region->len < best->len))
			best = region;
	if (best)
		*found = *best;
	pthread_rwlock_unlock(&bus->lock);
	return best;
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int size)
{
	struct io_region region;

	if (!find(bus, addr, size, &region) || !region.read)
		return ~0ULL;
	return region.read(region.dev, addr - region.base, size);
}

void bus_write(struct bus *bus, uint64_t addr, unsigned int size, uint64_t value)
{
	struct io_region region;

	if (size < 8)
		value &= (1ULL << (8 * size)) - 1;
	if (find(bus, addr, size, &region) && region.write)
		region.write(region.dev, addr - region.base, size, value);
}
