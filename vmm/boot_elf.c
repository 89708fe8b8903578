// SPDX-License-Identifier: GPL-2.0-only
/*
 * ELF vmlinux by PVH: an entry point in 32-bit protected mode that a note in the file names, and a
 * start info structure whose address is in EBX (Xen's docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "boot.h"
#include "config.h"
#include "layout.h"
#include "status.h"
#include "vm.h"

#define NOTE_NAME		"Xen"
#define NOTE_PHYS32_ENTRY	18
#define START_INFO_MAGIC	0x336ec578
#define START_INFO_VERSION	1
#define MAX_PHDRS		32
#define MAX_CMDLINE		2047	/* COMMAND_LINE_SIZE of x86 Linux, less the final NUL */

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_entries;
	uint32_t reserved;
};

struct start_info_module {
	uint64_t addr;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct start_info_range {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/* All that PVH hands over, as one block in guest memory. */
struct start_block {
	struct start_info info;
	struct start_info_module module;
	struct start_info_range range[BOOT_MAX_RANGES];
};

bool boot_is_elf(const struct boot_header *header)
{
	return header->len >= sizeof(Elf64_Ehdr) && !memcmp(header->data, ELFMAG, SELFMAG);
}

static int check_header(const struct config_file *file, const Elf64_Ehdr *ehdr)
{
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_machine != EM_X86_64 ||
	    ehdr->e_type != ET_EXEC)
		return vmm_fail(
			VMM_FILE,
			"%s is an ELF file but not a kernel: vmm boots a 64-bit x86 vmlinux",
			file->path);
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr) || !ehdr->e_phnum || ehdr->e_phnum > MAX_PHDRS)
		return vmm_fail(VMM_FILE,
				"%s is an ELF file with a program header table that vmm cannot use",
				file->path);
	return VMM_OK;
}

static bool read_exactly(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	do {
		n = pread(fd, buf, len, offset);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

/* Look through the notes of one segment. @entry is left alone when the note is not there. */
static void search_notes(const struct config_file *file, const Elf64_Phdr *phdr, uint64_t *entry)
{
	uint64_t offset = phdr->p_offset;
	uint64_t left = phdr->p_filesz;
	Elf64_Nhdr note;

	while (left >= sizeof(note) && read_exactly(file->fd, &note, sizeof(note), offset)) {
		uint64_t name_len = (note.n_namesz + 3ULL) & ~3ULL;
		uint64_t len = sizeof(note) + name_len + ((note.n_descsz + 3ULL) & ~3ULL);
		char name[sizeof(NOTE_NAME)];

		if (len > left)
			return;
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_NAME) &&
		    note.n_descsz >= sizeof(uint32_t) &&
		    read_exactly(file->fd, name, sizeof(name), offset + sizeof(note)) &&
		    !memcmp(name, NOTE_NAME, sizeof(NOTE_NAME))) {
			uint32_t value;

			if (read_exactly(file->fd, &value, sizeof(value),
					 offset + sizeof(note) + name_len))
				*entry = value;
			return;
		}
		offset += len;
		left -= len;
	}
}

/*
 * Load one segment; *@end grows to the first address after it. The rest beyond the file is zero
 * already.
 */
static int load_segment(struct vm *vm, const Elf64_Phdr *phdr, uint64_t *end)
{
	const struct config_file *file = &vm->config->kernel;

	if (!phdr->p_memsz)
		return VMM_OK;
	if (phdr->p_filesz > phdr->p_memsz || phdr->p_paddr < LAYOUT_HIGH_MEMORY)
		return vmm_fail(VMM_FILE,
				"%s is an ELF file that does not load where a kernel does",
				file->path);
	if (!guest_mem_ptr(&vm->mem, phdr->p_paddr, phdr->p_memsz) ||
	    phdr->p_paddr >= LAYOUT_HOLE)
		return vmm_fail(VMM_MEMORY,
				"kernel %s needs memory up to %llu MiB and the guest has %llu MiB; "
				"give it more with --memory",
				file->path,
				(unsigned long long)((phdr->p_paddr + phdr->p_memsz) / MIB + 1),
				(unsigned long long)(vm->config->memory / MIB));
	if (phdr->p_paddr + phdr->p_memsz > *end)
		*end = phdr->p_paddr + phdr->p_memsz;
	return boot_read_file(vm, file, "kernel", phdr->p_offset, phdr->p_filesz, phdr->p_paddr);
}

static int load_segments(struct vm *vm, const Elf64_Ehdr *ehdr, uint64_t *end, uint64_t *entry)
{
	const struct config_file *file = &vm->config->kernel;
	Elf64_Phdr phdr[MAX_PHDRS];
	int status;

	if (!read_exactly(file->fd, phdr, ehdr->e_phnum * sizeof(phdr[0]), ehdr->e_phoff))
		return vmm_fail(VMM_FILE, "kernel %s ends too early; is it whole?", file->path);
	for (unsigned int i = 0; i < ehdr->e_phnum; i++) {
		if (phdr[i].p_type == PT_NOTE)
			search_notes(file, &phdr[i], entry);
		if (phdr[i].p_type != PT_LOAD)
			continue;
		status = load_segment(vm, &phdr[i], end);
		if (status)
			return status;
	}
	if (!*entry)
		return vmm_fail(
			VMM_FILE,
			"%s has no PVH entry point: use a kernel built with CONFIG_PVH, or its "
			"bzImage (vmlinuz)",
			file->path);
	return VMM_OK;
}

static void fill_start_info(struct vm *vm, uint64_t initrd, uint64_t initrd_size)
{
	struct start_block *block = guest_mem_ptr(&vm->mem, LAYOUT_PVH_INFO, sizeof(*block));
	struct memory_range ranges[BOOT_MAX_RANGES];
	unsigned int n = boot_memory_map(&vm->mem, ranges);

	memset(block, 0, sizeof(*block));
	block->info = (struct start_info){
		.magic = START_INFO_MAGIC,
		.version = START_INFO_VERSION,
		.nr_modules = initrd_size ? 1 : 0,
		.modules = LAYOUT_PVH_INFO + offsetof(struct start_block, module),
		.cmdline = LAYOUT_CMDLINE,
		.rsdp = LAYOUT_ACPI,
		.memory_map = LAYOUT_PVH_INFO + offsetof(struct start_block, range),
		.memory_map_entries = n,
	};
	block->module.addr = initrd;
	block->module.size = initrd_size;
	for (unsigned int i = 0; i < n; i++) {
		block->range[i].addr = ranges[i].addr;
		block->range[i].size = ranges[i].size;
		block->range[i].type = ranges[i].type;
	}
}

int boot_load_elf(struct vm *vm, const struct boot_header *header, struct boot_entry *entry)
{
	const Elf64_Ehdr *ehdr = (const void *)header->data;
	uint64_t end = 0, start = 0, initrd, initrd_size;
	int status = check_header(&vm->config->kernel, ehdr);

	if (!status)
		status = load_segments(vm, ehdr, &end, &start);
	if (!status)
		status = boot_load_initrd(vm, end, LAYOUT_HOLE, &initrd, &initrd_size);
	if (!status)
		status = boot_load_cmdline(vm, MAX_CMDLINE);
	if (status)
		return status;
	fill_start_info(vm, initrd, initrd_size);
	*entry = (struct boot_entry){
		.long_mode = false,
		.rip = start,
		.argument = LAYOUT_PVH_INFO,
	};
	return VMM_OK;
}
