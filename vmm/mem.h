/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest RAM: anonymous memory of this process, given to the hypervisor as memory slots. */
#ifndef VMM_MEM_H
#define VMM_MEM_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_MEM_REGIONS	2	/* below the hole, above 4 GiB */

struct guest_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
};

struct guest_mem {
	struct guest_region region[GUEST_MEM_REGIONS];
	unsigned int nr_regions;
	void *map;
	size_t map_size;
};

/*
 * Allocate @size bytes of guest RAM (a multiple of the page size), laid out around the hole below 4
 * GiB. Pages cost nothing until the guest touches them. Returns 0 or a status, explained.
 */
int guest_mem_alloc(struct guest_mem *mem, uint64_t size);

/* Give the memory back. Also right for memory that was never allocated (all zero). */
void guest_mem_free(struct guest_mem *mem);

/*
 * Host address of the guest physical range [@gpa, @gpa + @len), or NULL when not all of it is RAM.
 * Any @gpa and @len are safe. What the pointer leads to may be changed by the guest at any moment.
 * Any thread.
 */
void *guest_mem_ptr(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/* First address after the RAM below the hole. */
uint64_t guest_mem_low_end(const struct guest_mem *mem);

#endif
