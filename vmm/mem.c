// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "layout.h"
#include "mem.h"
#include "status.h"

#define HUGE_PAGE	(2 * MIB)

/*
 * The host must at least be able to hold the guest; whether it is a good idea is the person's to
 * say.
 */
static int check_host_memory(uint64_t size)
{
	struct sysinfo info;
	uint64_t have;

	if (sysinfo(&info) < 0)
		return VMM_OK;
	have = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
	if (size <= have)
		return VMM_OK;
	return vmm_fail(
		VMM_MEMORY,
		"not enough memory: the guest is to have %llu MiB and this host has %llu MiB; "
		"ask for less with --memory",
		(unsigned long long)(size / MIB), (unsigned long long)(have / MIB));
}

static void add_region(struct guest_mem *mem, uint64_t gpa, uint64_t size, uint8_t *hva)
{
	mem->region[mem->nr_regions++] = (struct guest_region){
		.gpa = gpa,
		.size = size,
		.hva = hva,
	};
}

int guest_mem_alloc(struct guest_mem *mem, uint64_t size)
{
	uint64_t low = size < LAYOUT_HOLE ? size : LAYOUT_HOLE;
	uint8_t *base;
	int status;

	memset(mem, 0, sizeof(*mem));
	status = check_host_memory(size);
	if (status)
		return status;

	/*
	 * One huge page more than asked, so that guest and host addresses can agree modulo 2 MiB.
	 */
	mem->map_size = size + HUGE_PAGE;
	mem->map = mmap(NULL, mem->map_size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->map == MAP_FAILED) {
		mem->map = NULL;
		return vmm_fail(
			VMM_MEMORY,
			"not enough memory for a guest of %llu MiB (%s); ask for less with --memory",
			(unsigned long long)(size / MIB), strerror(errno));
	}
	base = (uint8_t *)(((uintptr_t)mem->map + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	/* Both are wishes: a host without transparent huge pages runs the guest all the same. */
	madvise(base, size, MADV_HUGEPAGE);
	madvise(base, size, MADV_DONTDUMP);
	add_region(mem, 0, low, base);
	if (size > low)
		add_region(mem, LAYOUT_RAM_ABOVE_4G, size - low, base + low);
	return VMM_OK;
}

void guest_mem_free(struct guest_mem *mem)
{
	if (mem->map)
		munmap(mem->map, mem->map_size);
	memset(mem, 0, sizeof(*mem));
}

void *guest_mem_ptr(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < mem->nr_regions; i++) {
		const struct guest_region *region = &mem->region[i];
		uint64_t offset = gpa - region->gpa;

		/* Written so that nothing can wrap: offset is checked before it is subtracted. */
		if (gpa >= region->gpa && offset < region->size && len <= region->size - offset)
			return region->hva + offset;
	}
	return NULL;
}

uint64_t guest_mem_low_end(const struct guest_mem *mem)
{
	return mem->region[0].gpa + mem->region[0].size;
}
