// SPDX-License-Identifier: GPL-2.0-only
/* Linux bzImage by the 64-bit boot protocol (Documentation/x86/boot.rst of the kernel). */
#include <asm/bootparam.h>
#include <string.h>

#include "boot.h"
#include "config.h"
#include "layout.h"
#include "status.h"
#include "vm.h"

#define SETUP_HEADER_OFFSET	offsetof(struct boot_params, hdr)
#define BOOT_FLAG		0xaa55
#define HEADER_MAGIC		0x53726448	/* "HdrS" */
#define VERSION_64BIT		0x020c		/* the first with xloadflags */
#define SECTOR_SIZE		512
#define DEFAULT_SETUP_SECTS	4
#define ENTRY_64_OFFSET		0x200
#define LOADER_UNDEFINED	0xff

bool boot_is_bzimage(const struct boot_header *header)
{
	const struct setup_header *hdr = (const void *)(header->data + SETUP_HEADER_OFFSET);

	return header->len >= sizeof(struct boot_params) && hdr->boot_flag == BOOT_FLAG &&
	       hdr->header == HEADER_MAGIC;
}

static int check_protocol(const struct config_file *file, const struct setup_header *hdr)
{
	if (hdr->version < VERSION_64BIT || !(hdr->xloadflags & XLF_KERNEL_64))
		return vmm_fail(VMM_FILE,
				"kernel %s has no 64-bit entry point: vmm boots 64-bit Linux from "
				"version 3.8 on",
				file->path);
	if (!(hdr->loadflags & LOADED_HIGH))
		return vmm_fail(VMM_FILE,
				"kernel %s is a zImage, which vmm does not boot; use a bzImage",
				file->path);
	return VMM_OK;
}

/* From its load address on: to unpack itself, or, were the header wrong, to be there at all. */
static uint64_t needed_size(const struct setup_header *hdr, uint64_t image_size)
{
	return hdr->init_size > image_size ? hdr->init_size : image_size;
}

/*
 * Where the kernel goes. It needs init_size bytes there to unpack itself, many more than the file
 * has.
 */
static int choose_address(struct vm *vm, const struct setup_header *hdr, uint64_t *load)
{
	uint64_t align = hdr->kernel_alignment ? hdr->kernel_alignment : 2 * MIB;
	uint64_t end = guest_mem_low_end(&vm->mem);
	uint64_t lowest;

	*load = hdr->pref_address;
	if (*load >= LAYOUT_HIGH_MEMORY && *load < end && hdr->init_size <= end - *load)
		return VMM_OK;
	/* Not at its preferred place: as low as its alignment allows. */
	lowest = (LAYOUT_HIGH_MEMORY + align - 1) & ~(align - 1);
	*load = lowest;
	if (hdr->relocatable_kernel && !(align & (align - 1)) && lowest < end &&
	    hdr->init_size <= end - lowest)
		return VMM_OK;
	return vmm_fail(VMM_MEMORY,
			"kernel %s needs %llu MiB to unpack itself and the guest has %llu MiB; "
			"give it more with --memory",
			vm->config->kernel.path,
			(unsigned long long)((hdr->pref_address + hdr->init_size) / MIB + 1),
			(unsigned long long)(vm->config->memory / MIB));
}

static void fill_memory_map(struct vm *vm, struct boot_params *params)
{
	struct memory_range ranges[BOOT_MAX_RANGES];

	params->e820_entries = boot_memory_map(&vm->mem, ranges);
	for (unsigned int i = 0; i < params->e820_entries; i++) {
		params->e820_table[i].addr = ranges[i].addr;
		params->e820_table[i].size = ranges[i].size;
		params->e820_table[i].type = ranges[i].type;
	}
}

/*
 * The zero page: all zero but for the header copied from the file and what a loader has to fill in.
 */
static void fill_boot_params(struct vm *vm, const struct boot_header *header, uint64_t load,
			     uint64_t initrd, uint64_t initrd_size)
{
	struct boot_params *params = guest_mem_ptr(&vm->mem, LAYOUT_BOOT_PARAMS, sizeof(*params));
	/* The header's length is in the offset of the jump over it (boot.rst, "jump"). */
	size_t hdr_end = 0x202 + header->data[0x201];
	size_t hdr_size = hdr_end - SETUP_HEADER_OFFSET;

	memset(params, 0, sizeof(*params));
	if (hdr_size > sizeof(params->hdr))
		hdr_size = sizeof(params->hdr);
	memcpy(&params->hdr, header->data + SETUP_HEADER_OFFSET, hdr_size);
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.code32_start = load;
	params->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	params->hdr.ramdisk_image = initrd;
	params->hdr.ramdisk_size = initrd_size;
	params->acpi_rsdp_addr = LAYOUT_ACPI;
	fill_memory_map(vm, params);
}

int boot_load_bzimage(struct vm *vm, const struct boot_header *header, struct boot_entry *entry)
{
	const struct setup_header *hdr = (const void *)(header->data + SETUP_HEADER_OFFSET);
	const struct config_file *file = &vm->config->kernel;
	unsigned int sects = hdr->setup_sects ? hdr->setup_sects : DEFAULT_SETUP_SECTS;
	uint64_t setup_size = (sects + 1) * SECTOR_SIZE;
	uint64_t load, limit, initrd, initrd_size;
	int status = check_protocol(file, hdr);

	if (status)
		return status;
	/* syssize counts 16 bytes, rounded up. */
	if (file->size <= setup_size || file->size - setup_size + 15 < hdr->syssize * 16ULL)
		return vmm_fail(VMM_FILE, "kernel %s ends too early; is it whole?", file->path);
	status = choose_address(vm, hdr, &load);
	if (!status)
		status = boot_read_file(vm, file, "kernel", setup_size, file->size - setup_size,
					load);
	if (status)
		return status;
	limit = hdr->initrd_addr_max ? hdr->initrd_addr_max + 1ULL : LAYOUT_HOLE;
	status = boot_load_initrd(vm, load + needed_size(hdr, file->size - setup_size), limit,
				  &initrd, &initrd_size);
	if (!status)
		status = boot_load_cmdline(vm, hdr->cmdline_size);
	if (status)
		return status;
	fill_boot_params(vm, header, load, initrd, initrd_size);
	*entry = (struct boot_entry){
		.long_mode = true,
		.rip = load + ENTRY_64_OFFSET,
		.argument = LAYOUT_BOOT_PARAMS,
	};
	return VMM_OK;
}
