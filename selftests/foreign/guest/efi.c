// SPDX-License-Identifier: GPL-2.0-only
/*
 * An EFI application: counts its starts in a variable that the firmware keeps, says on COM1 which this is, and ends
 * QEMU. Tables and calls are those of the UEFI specification 2.10, 4.3 and 8.2.
 */
#include <stdint.h>

#define COM1 0x3f8
#define EXIT_PORT 0x501
#define EXIT_OK 16
#define EXIT_FAILED 17

#define NOT_FOUND (1ull << 63 | 14)
#define KEPT 7			/* non-volatile, for boot services and the runtime */

struct guid {
	uint32_t first;
	uint16_t second, third;
	uint8_t rest[8];
};

#define EFIAPI __attribute__((ms_abi))
typedef uint64_t EFIAPI (*get_variable)(const uint16_t *name, const struct guid *vendor, uint32_t *attributes,
					uint64_t *size, void *data);
typedef uint64_t EFIAPI (*set_variable)(const uint16_t *name, const struct guid *vendor, uint32_t attributes,
					uint64_t size, const void *data);

struct runtime_services {
	uint8_t header[24];
	void *time[4], *memory[2];
	get_variable get_variable;
	void *get_next_variable_name;
	set_variable set_variable;
};

struct system_table {
	uint8_t header[24];
	void *vendor;
	uint32_t revision;
	void *consoles[6];
	const struct runtime_services *runtime;
};

uint64_t EFIAPI efi_main(void *image, const struct system_table *system);

static void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void print(const char *text)
{
	for (; *text; text++) {
		while (!(inb(COM1 + 5) & 0x20))
			;
		outb(COM1, *text);
	}
}

static void finish(uint8_t how)
{
	while (!(inb(COM1 + 5) & 0x40))
		;
	outb(EXIT_PORT, how);
	for (;;)
		asm volatile("hlt");
}

uint64_t EFIAPI efi_main(void *image, const struct system_table *system)
{
	static const uint16_t name[] = { 's', 't', 'a', 'r', 't', 's', 0 };
	static const struct guid vendor = { 0x6f73746c, 0x6572, 0x4a2b, { 1, 2, 3, 4, 5, 6, 7, 8 } };
	uint32_t attributes = 0;
	uint64_t status, size = 1;
	char starts = '0';

	(void)image;
	status = system->runtime->get_variable(name, &vendor, &attributes, &size, &starts);
	if (status && status != NOT_FOUND) {
		print("\nthe variable cannot be read\n");
		finish(EXIT_FAILED);
	}
	starts++;
	print((const char[]){ '\n', 's', 't', 'a', 'r', 't', ' ', starts, '\n', 0 });
	if (system->runtime->set_variable(name, &vendor, KEPT, 1, &starts)) {
		print("the variable cannot be written\n");
		finish(EXIT_FAILED);
	}
	finish(EXIT_OK);
	return 0;
}
