// SPDX-License-Identifier: GPL-2.0-only
/* Loading kernels: small ones that are right, and files of every wrong kind. */
#include <asm/bootparam.h>
#include <elf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot.h"
#include "layout.h"
#include "machine.h"
#include "status.h"
#include "tap.h"

#define IMAGE_SIZE	0x3000
#define CODE		"kernel code"

static uint8_t image[IMAGE_SIZE];
static struct config config;
static struct vm *vm;
static struct boot_entry entry;

static int load(size_t len)
{
	config.kernel.size = len;
	if (ftruncate(config.kernel.fd, 0) < 0 ||
	    pwrite(config.kernel.fd, image, len, 0) != (ssize_t)len)
		return -1;
	return boot_load(vm, &entry);
}

static void *guest(uint64_t gpa)
{
	return guest_mem_ptr(&vm->mem, gpa, 1);
}

static struct boot_params *params(void)
{
	return guest(LAYOUT_BOOT_PARAMS);
}

/* A bzImage of one setup sector beyond the boot sector, as far as a loader can tell. */
static struct setup_header *make_bzimage(void)
{
	struct setup_header *hdr = (void *)(image + 0x1f1);

	memset(image, 0, sizeof(image));
	hdr->setup_sects = 1;
	hdr->boot_flag = 0xaa55;
	hdr->jump = 0x66eb;
	hdr->header = 0x53726448;
	hdr->version = 0x20f;
	hdr->loadflags = LOADED_HIGH;
	hdr->kernel_alignment = 2 * MIB;
	hdr->relocatable_kernel = 1;
	hdr->xloadflags = XLF_KERNEL_64;
	hdr->cmdline_size = 2047;
	hdr->initrd_addr_max = 0x7fffffff;
	hdr->pref_address = 16 * MIB;
	hdr->init_size = 8 * MIB;
	hdr->syssize = (IMAGE_SIZE - 1024) / 16;
	memcpy(image + 1024 + 0x200, CODE, sizeof(CODE));
	return hdr;
}

static void bzimage(void)
{
	make_bzimage();
	CHECK_EQ(load(IMAGE_SIZE), VMM_OK);
	CHECK(entry.long_mode);
	CHECK_EQ(entry.rip, 16 * MIB + 0x200);
	CHECK_EQ(entry.argument, LAYOUT_BOOT_PARAMS);
	CHECK(!memcmp(guest(entry.rip), CODE, sizeof(CODE)));
	CHECK(!strcmp(guest(params()->hdr.cmd_line_ptr), config.cmdline));
	CHECK_EQ(params()->hdr.type_of_loader, 0xff);
	CHECK_EQ(params()->sentinel, 0);
	CHECK_EQ(params()->hdr.ramdisk_size, 0);
	CHECK(!memcmp(guest(params()->acpi_rsdp_addr), "RSD PTR ", 8));
}

/* Ranges are in order and apart, and the RAM of them is all there is. */
static void memory_map(void)
{
	uint64_t end = 0, ram = 0;

	make_bzimage();
	CHECK_EQ(load(IMAGE_SIZE), VMM_OK);
	for (unsigned int i = 0; i < params()->e820_entries; i++) {
		struct boot_e820_entry *range = &params()->e820_table[i];

		CHECK(range->addr >= end);
		end = range->addr + range->size;
		if (range->type == MEMORY_RAM) {
			CHECK(guest_mem_ptr(&vm->mem, range->addr, range->size));
			ram += range->size;
		}
	}
	CHECK_EQ(ram, MACHINE_MEMORY - (LAYOUT_HIGH_MEMORY - LAYOUT_EBDA));
}

static void initrd(void)
{
	struct setup_header *hdr = make_bzimage();
	static const char text[] = "initrd";
	uint64_t at;

	config.initrd.fd = machine_file(0);
	CHECK(config.initrd.fd >= 0);
	CHECK_EQ(pwrite(config.initrd.fd, text, sizeof(text), 5 * MIB - sizeof(text)), sizeof(text));
	config.initrd.size = 5 * MIB;
	CHECK_EQ(load(IMAGE_SIZE), VMM_OK);
	at = params()->hdr.ramdisk_image;
	CHECK_EQ(params()->hdr.ramdisk_size, 5 * MIB);
	CHECK(at >= 24 * MIB && at + 5 * MIB <= MACHINE_MEMORY);
	CHECK(!memcmp(guest(at + 5 * MIB - sizeof(text)), text, sizeof(text)));
	/* Below the kernel's limit. */
	hdr->initrd_addr_max = 32 * MIB - 1;
	CHECK_EQ(load(IMAGE_SIZE), VMM_OK);
	CHECK_EQ(params()->hdr.ramdisk_image, 27 * MIB);
	hdr->initrd_addr_max = 26 * MIB;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
	close(config.initrd.fd);
}

static void wrong_bzimages(void)
{
	struct setup_header *hdr = make_bzimage();

	CHECK_EQ(load(IMAGE_SIZE - 32), VMM_FILE);	/* cut short */
	CHECK_EQ(load(1024), VMM_FILE);
	CHECK_EQ(load(0), VMM_FILE);
	hdr->xloadflags = 0;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	hdr = make_bzimage();
	hdr->version = 0x20b;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	hdr = make_bzimage();
	hdr->loadflags = 0;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	hdr = make_bzimage();
	hdr->init_size = 64 * MIB;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
	hdr->init_size = ~0u;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
	/* Too large where it prefers to be, but it can be moved. */
	hdr->init_size = 55 * MIB;
	CHECK_EQ(load(IMAGE_SIZE), VMM_OK);
	CHECK_EQ(entry.rip, 2 * MIB + 0x200);
	hdr->relocatable_kernel = 0;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
	hdr = make_bzimage();
	hdr->cmdline_size = 3;
	CHECK_EQ(load(IMAGE_SIZE), VMM_USAGE);
}

struct note {
	Elf64_Nhdr head;
	char name[4];
	uint32_t entry;
};

struct elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[2];
	struct note note;
};

static struct elf *make_elf(void)
{
	struct elf *elf = (struct elf *)image;

	memset(image, 0, sizeof(image));
	memcpy(elf->ehdr.e_ident, ELFMAG, SELFMAG);
	elf->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	elf->ehdr.e_type = ET_EXEC;
	elf->ehdr.e_machine = EM_X86_64;
	elf->ehdr.e_phoff = offsetof(struct elf, phdr);
	elf->ehdr.e_phentsize = sizeof(Elf64_Phdr);
	elf->ehdr.e_phnum = 2;
	elf->phdr[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_paddr = 2 * MIB,
				     .p_filesz = 0x1000, .p_memsz = 0x2000 };
	elf->phdr[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = offsetof(struct elf, note),
				     .p_filesz = sizeof(struct note) };
	elf->note = (struct note){ .head = { 4, 4, 18 }, .name = "Xen", .entry = 2 * MIB + 0x10 };
	memcpy(image + 0x1000, CODE, sizeof(CODE));
	return elf;
}

static void elf(void)
{
	const uint32_t *info = guest(LAYOUT_PVH_INFO);
	uint64_t cmdline;

	make_elf();
	CHECK_EQ(load(IMAGE_SIZE), VMM_OK);
	CHECK(!entry.long_mode);
	CHECK_EQ(entry.rip, 2 * MIB + 0x10);
	CHECK_EQ(entry.argument, LAYOUT_PVH_INFO);
	CHECK(!memcmp(guest(2 * MIB), CODE, sizeof(CODE)));
	CHECK_EQ(info[0], 0x336ec578);
	memcpy(&cmdline, (const char *)info + 24, sizeof(cmdline));
	CHECK(!strcmp(guest(cmdline), config.cmdline));
}

static void wrong_elves(void)
{
	struct elf *e = make_elf();

	CHECK_EQ(load(0x1800), VMM_FILE);
	CHECK_EQ(load(sizeof(Elf64_Ehdr)), VMM_FILE);
	e->ehdr.e_phnum = 0xffff;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->ehdr.e_phoff = ~0ULL;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->ehdr.e_machine = EM_AARCH64;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->note.head.n_type = 17;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->note.head.n_namesz = ~0u;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->phdr[0].p_paddr = 0x7000;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->phdr[0].p_memsz = 0x800;
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	e = make_elf();
	e->phdr[0].p_memsz = 64 * MIB;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
	e = make_elf();
	e->phdr[0].p_paddr = -0x1000ULL;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
	e = make_elf();
	e->phdr[0].p_memsz = ~0ULL;
	CHECK_EQ(load(IMAGE_SIZE), VMM_MEMORY);
}

static void not_kernels(void)
{
	memset(image, 0, sizeof(image));
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	memset(image, 0xff, sizeof(image));
	CHECK_EQ(load(IMAGE_SIZE), VMM_FILE);
	memcpy(image, "#!/bin/sh\n", 10);
	CHECK_EQ(load(10), VMM_FILE);
	CHECK(strstr(machine_said, "is not a kernel"));
}

/* Both formats with bytes changed: every file is loaded or refused. */
static void survives_noise(void)
{
	unsigned int loaded = 0;

	srandom(4);
	for (unsigned int i = 0; i < 3000; i++) {
		bool is_elf = i & 1;
		size_t at = is_elf ? 0 : 0x1f1;
		size_t len = is_elf ? sizeof(struct elf) : sizeof(struct setup_header);

		if (is_elf)
			make_elf();
		else
			make_bzimage();
		for (unsigned int n = random() % 4; n; n--)
			image[at + random() % len] = random();
		loaded += load(IMAGE_SIZE) == VMM_OK;
	}
	CHECK(loaded > 300);
}

static void run(const char *name, void (*test)(void))
{
	config = machine_config();
	config.kernel.fd = machine_file(0);
	vm = config.kernel.fd < 0 ? NULL : machine_create(&config);
	if (!vm) {
		fprintf(stderr, "no machine\n");
		exit(1);
	}
	tap_run(name, test);
	machine_destroy(vm);
	close(config.kernel.fd);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	run("bzImage", bzimage);
	run("memory map", memory_map);
	run("initrd", initrd);
	run("wrong bzImages", wrong_bzimages);
	run("ELF", elf);
	run("wrong ELF files", wrong_elves);
	run("not kernels", not_kernels);
	run("survives noise", survives_noise);
	return tap_done();
}
