// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "acpi.h"
#include "boot.h"
#include "config.h"
#include "layout.h"
#include "status.h"
#include "vm.h"

#define PAGE_SIZE	4096ULL

unsigned int boot_memory_map(const struct guest_mem *mem,
			     struct memory_range ranges[BOOT_MAX_RANGES])
{
	unsigned int n = 0;

	ranges[n++] = (struct memory_range){ 0, LAYOUT_EBDA, MEMORY_RAM };
	ranges[n++] = (struct memory_range){ LAYOUT_EBDA, LAYOUT_HIGH_MEMORY - LAYOUT_EBDA,
					     MEMORY_RESERVED };
	ranges[n++] = (struct memory_range){ LAYOUT_HIGH_MEMORY,
					     guest_mem_low_end(mem) - LAYOUT_HIGH_MEMORY,
					     MEMORY_RAM };
	ranges[n++] = (struct memory_range){ LAYOUT_ECAM, LAYOUT_ECAM_SIZE, MEMORY_RESERVED };
	ranges[n++] = (struct memory_range){ LAYOUT_IDENTITY_MAP,
					     LAYOUT_TSS + LAYOUT_TSS_SIZE - LAYOUT_IDENTITY_MAP,
					     MEMORY_RESERVED };
	for (unsigned int i = 1; i < mem->nr_regions; i++)
		ranges[n++] = (struct memory_range){ mem->region[i].gpa, mem->region[i].size,
						     MEMORY_RAM };
	return n;
}

int boot_read_file(struct vm *vm, const struct config_file *file, const char *what, uint64_t offset,
		   uint64_t len, uint64_t gpa)
{
	uint8_t *to = guest_mem_ptr(&vm->mem, gpa, len);

	if (!to)
		return vmm_fail(VMM_MEMORY,
				"%s %s does not fit into the guest's memory; give it more with "
				"--memory",
				what, file->path);
	while (len) {
		ssize_t n = pread(file->fd, to, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmm_fail(VMM_FILE, "cannot read %s %s: %s", what, file->path,
					strerror(errno));
		if (n == 0)
			return vmm_fail(VMM_FILE, "%s %s ends too early; is it whole?", what,
					file->path);
		to += n;
		offset += n;
		len -= n;
	}
	return VMM_OK;
}

int boot_load_initrd(struct vm *vm, uint64_t floor, uint64_t limit, uint64_t *gpa, uint64_t *size)
{
	const struct config_file *file = &vm->config->initrd;
	uint64_t end = guest_mem_low_end(&vm->mem);

	*gpa = 0;
	*size = 0;
	if (file->fd < 0 || !file->size)
		return VMM_OK;
	if (limit < end)
		end = limit;
	end &= ~(PAGE_SIZE - 1);
	if (end < floor || end - floor < file->size + PAGE_SIZE)
		return vmm_fail(VMM_MEMORY,
				"initrd %s (%llu MiB) and the kernel do not fit into the guest's "
				"%llu MiB of memory; give it more with --memory",
				file->path, (unsigned long long)(file->size / MIB),
				(unsigned long long)(vm->config->memory / MIB));
	*size = file->size;
	*gpa = (end - file->size) & ~(PAGE_SIZE - 1);
	return boot_read_file(vm, file, "initrd", 0, file->size, *gpa);
}

int boot_load_cmdline(struct vm *vm, uint64_t max)
{
	size_t len = strlen(vm->config->cmdline);

	if (max > LAYOUT_CMDLINE_SIZE - 1)
		max = LAYOUT_CMDLINE_SIZE - 1;
	if (len > max)
		return vmm_fail(VMM_USAGE,
				"the kernel's command line is %zu bytes long and this kernel takes "
				"%llu; shorten --cmdline",
				len, (unsigned long long)max);
	memcpy(guest_mem_ptr(&vm->mem, LAYOUT_CMDLINE, len + 1), vm->config->cmdline, len + 1);
	return VMM_OK;
}

static int read_header(const struct config_file *file, struct boot_header *header)
{
	ssize_t n;

	memset(header, 0, sizeof(*header));
	do {
		n = pread(file->fd, header->data, sizeof(header->data), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return vmm_fail(VMM_FILE, "cannot read kernel %s: %s", file->path, strerror(errno));
	header->len = n;
	return VMM_OK;
}

int boot_load(struct vm *vm, struct boot_entry *entry)
{
	const struct config_file *file = &vm->config->kernel;
	struct boot_header header;
	int status = read_header(file, &header);

	if (status)
		return status;
	if (boot_is_bzimage(&header))
		status = boot_load_bzimage(vm, &header, entry);
	else if (boot_is_elf(&header))
		status = boot_load_elf(vm, &header, entry);
	else
		status = vmm_fail(VMM_FILE,
				  "%s is not a kernel: vmm boots an x86 Linux bzImage (vmlinuz) or "
				  "an uncompressed ELF vmlinux",
				  file->path);
	if (status)
		return status;
	return acpi_load(vm);
}
