/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading a kernel into the guest's memory. */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_file;
struct guest_mem;
struct vm;

/* How the boot processor begins. */
struct boot_entry {
	bool long_mode;		/* else 32-bit protected mode without paging */
	uint64_t rip;
	uint64_t argument; /* address of boot_params (in RSI) or of the PVH start info (in EBX) */
};

/* The first bytes of a kernel file, enough to tell its format and find its way in. */
struct boot_header {
	uint8_t data[4096];
	size_t len;
};

/* A piece of the guest's memory map; types are e820's, which PVH shares. */
#define MEMORY_RAM		1
#define MEMORY_RESERVED		2

struct memory_range {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
};

#define BOOT_MAX_RANGES		8

/* Load kernel, initrd, command line and ACPI tables. Returns 0 or a status, explained. */
int boot_load(struct vm *vm, struct boot_entry *entry);

/* The formats: whether @header begins one, and how to load it. */
bool boot_is_bzimage(const struct boot_header *header);
int boot_load_bzimage(struct vm *vm, const struct boot_header *header, struct boot_entry *entry);
bool boot_is_elf(const struct boot_header *header);
int boot_load_elf(struct vm *vm, const struct boot_header *header, struct boot_entry *entry);

/* For the formats. */

/* Fill @ranges with the guest's memory map; returns their number. */
unsigned int boot_memory_map(const struct guest_mem *mem,
			     struct memory_range ranges[BOOT_MAX_RANGES]);

/*
 * Read @len bytes at @offset of @file to guest address @gpa. @what names the file in messages.
 * Returns 0 or a status, explained.
 */
int boot_read_file(struct vm *vm, const struct config_file *file, const char *what, uint64_t offset,
		   uint64_t len, uint64_t gpa);

/*
 * Load the initrd as high as it goes below @limit and the hole, above @floor where the kernel ends.
 * *@gpa and *@size are 0 without one. Returns 0 or a status, explained.
 */
int boot_load_initrd(struct vm *vm, uint64_t floor, uint64_t limit, uint64_t *gpa, uint64_t *size);

/*
 * Put the command line where LAYOUT_CMDLINE is; at most @max bytes. Returns 0 or a status,
 * explained.
 */
int boot_load_cmdline(struct vm *vm, uint64_t max);

#endif
