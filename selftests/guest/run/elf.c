// SPDX-License-Identifier: GPL-2.0-only
/* Reading a guest's ELF file. */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guestrun.h"

struct image {
	uint8_t *data;
	size_t size;
	const Elf64_Ehdr *header;
	const Elf64_Phdr *segments;
};

static int image_open(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		printf("no guest %s\n", path);
		return -1;
	}
	image->size = st.st_size;
	image->data = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (image->data == MAP_FAILED || image->size < sizeof(*image->header)) {
		printf("cannot read %s\n", path);
		return -1;
	}
	image->header = (const Elf64_Ehdr *)image->data;
	if (memcmp(image->header->e_ident, ELFMAG, SELFMAG) ||
	    image->header->e_machine != EM_X86_64 ||
	    image->header->e_phoff + image->header->e_phnum * sizeof(Elf64_Phdr) > image->size) {
		printf("%s is not a guest\n", path);
		return -1;
	}
	image->segments = (const Elf64_Phdr *)(image->data + image->header->e_phoff);
	return 0;
}

int elf_needs(struct vm *vm, const char *path)
{
	struct image image;

	vm->needs = (struct guest_needs){ 0 };
	if (image_open(&image, path))
		return -1;
	for (int i = 0; i < image.header->e_phnum; i++) {
		const Elf64_Phdr *p = &image.segments[i];
		const Elf64_Nhdr *note = (const Elf64_Nhdr *)(image.data + p->p_offset);
		size_t name_size = (sizeof(GUEST_NOTE_NAME) + 3) & ~3UL;

		if (p->p_type != PT_NOTE || p->p_offset + p->p_filesz > image.size ||
		    p->p_filesz < sizeof(*note) + name_size + sizeof(vm->needs))
			continue;
		if (note->n_type == GUEST_NOTE_TYPE && note->n_descsz == sizeof(vm->needs) &&
		    !memcmp(note + 1, GUEST_NOTE_NAME, sizeof(GUEST_NOTE_NAME)))
			memcpy(&vm->needs, (uint8_t *)(note + 1) + name_size, sizeof(vm->needs));
	}
	munmap(image.data, image.size);
	vm->needs.cpus = vm->needs.cpus ?: 1;
	vm->needs.memory_mib = vm->needs.memory_mib ?: 32;
	vm->needs.timeout_s = vm->needs.timeout_s ?: 20;
	if (vm->needs.cpus > MAX_VCPUS) {
		printf("%s wants %u CPUs\n", path, vm->needs.cpus);
		return -1;
	}
	return 0;
}

int elf_load(struct vm *vm, const char *path)
{
	struct image image;

	if (image_open(&image, path))
		return -1;
	for (int i = 0; i < image.header->e_phnum; i++) {
		const Elf64_Phdr *p = &image.segments[i];
		void *to;

		if (p->p_type != PT_LOAD)
			continue;
		to = guest_memory(vm, p->p_paddr, p->p_memsz);
		if (!to || p->p_offset + p->p_filesz > image.size) {
			printf("%s does not fit\n", path);
			return -1;
		}
		memcpy(to, image.data + p->p_offset, p->p_filesz);
	}
	vm->entry = image.header->e_entry;
	munmap(image.data, image.size);
	return 0;
}
