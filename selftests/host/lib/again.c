// SPDX-License-Identifier: GPL-2.0-only
/*
 * again [-p] [WORD...]: starts the host's kernel once more by kexec, from what `hostrun --kexec` has put into
 * /host/again, with WORDs added to its command line. With -p it only loads it, as the crash kernel.
 *
 * The ELF kernel is entered where the decompressor of a bzImage would enter it, in 64-bit mode with RSI at struct
 * boot_params (Documentation/arch/x86/boot.rst), and without the digests that kexec_file_load() makes: they
 * would take Bochs minutes.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB		(1UL << 20)
#define PAGE		4096UL
#define LOW_END		0x9f000UL	/* of the memory below 640K that a crash kernel starts its CPUs in */
/* Where things lie from the beginning of the room; the kernel's own place is a multiple of 2 MiB. */
#define ROOM_BOOT	0UL
#define ROOM_CODE	PAGE
#define ROOM_LINE	(2 * PAGE)
#define ROOM_KERNEL	(16 * MIB)
#define USUAL_ROOM	0x10000000UL	/* without a reserved one */
#define INIT_MIB	96		/* what the kernel needs from its beginning, BSS and all */

static struct boot_params boot;
static struct kexec_segment segments[16];
static int nr_segments;

static void die(const char *what)
{
	fprintf(stderr, "again: ");
	perror(what);
	exit(1);
}

static void *map_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	*size = st.st_size;
	at = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		die(path);
	return at;
}

static void add_segment(const void *data, size_t size, uint64_t paddr, size_t room)
{
	segments[nr_segments++] = (struct kexec_segment){
		.buf = (void *)data,
		.bufsz = size,
		.mem = (void *)paddr,
		.memsz = (room + PAGE - 1) & ~(PAGE - 1),
	};
}

static void add_e820(uint64_t start, uint64_t end, int type)
{
	boot.e820_table[boot.e820_entries++] = (struct boot_e820_entry){
		.addr = start, .size = end - start, .type = type,
	};
}

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "r");
	bool done = file && fgets(line, size, file);

	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = 0;
	return done;
}

/* The firmware's map of memory; of the RAM in it a crash kernel may have only what was reserved for it. */
static void add_memory(bool crash, uint64_t room, uint64_t room_end)
{
	char path[96], start[32], end[32], type[64];

	for (int i = 0; i < 64; i++) {
		bool ram;

		snprintf(path, sizeof(path), "/sys/firmware/memmap/%d/start", i);
		if (!read_line(path, start, sizeof(start)))
			break;
		snprintf(path, sizeof(path), "/sys/firmware/memmap/%d/end", i);
		read_line(path, end, sizeof(end));
		snprintf(path, sizeof(path), "/sys/firmware/memmap/%d/type", i);
		read_line(path, type, sizeof(type));
		ram = !strcmp(type, "System RAM");
		if (!ram || !crash)
			add_e820(strtoull(start, NULL, 0), strtoull(end, NULL, 0) + 1,
				 ram ? 1 : !strncmp(type, "ACPI Tables", 11) ? 3 : 2);
	}
	if (crash) {
		add_e820(PAGE, LOW_END, 1);
		add_e820(room, room_end, 1);
	}
}

static bool find_reserved(uint64_t *start, uint64_t *end)
{
	FILE *file = fopen("/proc/iomem", "r");
	bool found = false;
	char line[128];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, "Crash kernel") && sscanf(line, " %lx-%lx", start, end) == 2;
	if (file)
		fclose(file);
	(*end)++;
	return found;
}

/* The kernel's segments, moved to @paddr as a whole; returns where it is entered. */
static uint64_t add_kernel(const uint8_t *elf, uint64_t paddr)
{
	const Elf64_Ehdr *head = (const void *)elf;
	const Elf64_Phdr *ph = (const void *)(elf + head->e_phoff);
	uint64_t base = -1;

	for (int i = 0; i < head->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_paddr < base)
			base = ph[i].p_paddr;
	}
	for (int i = 0; i < head->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			add_segment(elf + ph[i].p_offset, ph[i].p_filesz, ph[i].p_paddr - base + paddr,
				    ph[i].p_memsz);
	}
	return head->e_entry - base + paddr;
}

/* mov $boot, %rsi; mov $entry, %rax; jmp *%rax */
static size_t make_code(uint8_t *code, uint64_t boot_paddr, uint64_t entry)
{
	memcpy(code, "\x48\xbe", 2);
	memcpy(code + 2, &boot_paddr, 8);
	memcpy(code + 10, "\x48\xb8", 2);
	memcpy(code + 12, &entry, 8);
	memcpy(code + 20, "\xff\xe0", 2);
	return 22;
}

static void make_line(int argc, char **argv, char *line, size_t size)
{
	if (!read_line("/proc/cmdline", line, size))
		die("/proc/cmdline");
	for (int i = 0; i < argc; i++) {
		size_t used = strlen(line);

		snprintf(line + used, size - used, " %s", argv[i]);
	}
}

int main(int argc, char **argv)
{
	bool crash = argc > 1 && !strcmp(argv[1], "-p");
	uint64_t room = USUAL_ROOM, room_end = 0, initrd_paddr, entry;
	size_t kernel_size, initrd_size;
	static char line[2048];
	static uint8_t code[64];
	uint8_t *kernel = map_file("/host/again/vmlinux", &kernel_size);
	uint8_t *initrd = map_file("/host/again/initrd", &initrd_size);

	if (crash && !find_reserved(&room, &room_end)) {
		fprintf(stderr, "again: nothing is reserved for a crash kernel\n");
		return 1;
	}
	make_line(argc - 1 - crash, argv + 1 + crash, line, sizeof(line));
	initrd_paddr = room + ROOM_KERNEL + INIT_MIB * MIB;
	entry = add_kernel(kernel, room + ROOM_KERNEL);
	add_memory(crash, room, room_end);
	boot.hdr.boot_flag = 0xaa55;
	boot.hdr.header = 0x53726448;		/* "HdrS" */
	boot.hdr.version = 0x20f;
	boot.hdr.type_of_loader = 0xff;
	boot.hdr.loadflags = LOADED_HIGH;
	boot.hdr.cmd_line_ptr = room + ROOM_LINE;
	boot.hdr.cmdline_size = sizeof(line) - 1;
	boot.hdr.ramdisk_image = initrd_paddr;
	boot.hdr.ramdisk_size = initrd_size;
	add_segment(&boot, sizeof(boot), room + ROOM_BOOT, PAGE);
	add_segment(code, make_code(code, room + ROOM_BOOT, entry), room + ROOM_CODE, PAGE);
	add_segment(line, sizeof(line), room + ROOM_LINE, PAGE);
	add_segment(initrd, initrd_size, initrd_paddr, initrd_size);
	if (syscall(SYS_kexec_load, room + ROOM_CODE, (unsigned long)nr_segments, segments,
		    KEXEC_ARCH_X86_64 | (crash ? KEXEC_ON_CRASH : 0)))
		die("kexec_load");
	if (crash)
		return 0;
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	die("reboot");
}
