// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "aml.h"

/* ACPI 6.4, section 20.3: opcodes. */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_EXTENDED = 0x5b,
	OP_EXT_DEVICE = 0x82,
	OP_RETURN = 0xa4,
};

/* ACPI 6.4, section 6.4: resource descriptors. */
enum {
	RES_IRQ_NO_FLAGS = 0x22,
	RES_IO = 0x47,
	RES_END = 0x79,
	RES_MEMORY32_FIXED = 0x86,
	RES_DWORD = 0x87,
	RES_WORD = 0x88,
	RES_INTERRUPT = 0x89,
};

#define PKG_LENGTH_BYTES 3 /* always this form, so that it can be filled in afterwards */

void aml_init(struct aml *aml, void *buf, size_t capacity)
{
	aml->buf = buf;
	aml->len = 0;
	aml->capacity = capacity;
}

bool aml_overflowed(const struct aml *aml)
{
	return aml->len > aml->capacity;
}

static void put(struct aml *aml, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++, value >>= 8) {
		if (aml->len < aml->capacity)
			aml->buf[aml->len] = (uint8_t)value;
		aml->len++;
	}
}

static void put_name(struct aml *aml, const char *name)
{
	size_t len;

	if (*name == '\\')
		put(aml, *name++, 1);
	len = strlen(name);
	for (size_t i = 0; i < 4; i++)
		put(aml, i < len ? name[i] : '_', 1);
}

static size_t open_package(struct aml *aml)
{
	size_t mark = aml->len;

	put(aml, 0, PKG_LENGTH_BYTES);
	return mark;
}

/*
 * PkgLength counts itself. Three bytes: 4 bits of the length in the first, then two times 8
 * (20.2.4).
 */
void aml_close(struct aml *aml, size_t mark)
{
	size_t len = aml->len - mark;

	if (aml_overflowed(aml))
		return;
	aml->buf[mark] = (PKG_LENGTH_BYTES - 1) << 6 | (len & 0xf);
	aml->buf[mark + 1] = len >> 4;
	aml->buf[mark + 2] = len >> 12;
}

size_t aml_scope(struct aml *aml, const char *name)
{
	size_t mark;

	put(aml, OP_SCOPE, 1);
	mark = open_package(aml);
	put_name(aml, name);
	return mark;
}

size_t aml_device(struct aml *aml, const char *name)
{
	size_t mark;

	put(aml, OP_EXTENDED, 1);
	put(aml, OP_EXT_DEVICE, 1);
	mark = open_package(aml);
	put_name(aml, name);
	return mark;
}

size_t aml_method(struct aml *aml, const char *name, unsigned int nr_args)
{
	size_t mark;

	put(aml, OP_METHOD, 1);
	mark = open_package(aml);
	put_name(aml, name);
	put(aml, nr_args, 1);
	return mark;
}

size_t aml_package(struct aml *aml, unsigned int nr_elements)
{
	size_t mark;

	put(aml, OP_PACKAGE, 1);
	mark = open_package(aml);
	put(aml, nr_elements, 1);
	return mark;
}

size_t aml_name_package(struct aml *aml, const char *name, unsigned int nr_elements)
{
	put(aml, OP_NAME, 1);
	put_name(aml, name);
	return aml_package(aml, nr_elements);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	if (value == 0) {
		put(aml, OP_ZERO, 1);
	} else if (value == 1) {
		put(aml, OP_ONE, 1);
	} else if (value <= 0xff) {
		put(aml, OP_BYTE, 1);
		put(aml, value, 1);
	} else if (value <= 0xffff) {
		put(aml, OP_WORD, 1);
		put(aml, value, 2);
	} else if (value <= 0xffffffff) {
		put(aml, OP_DWORD, 1);
		put(aml, value, 4);
	} else {
		put(aml, OP_QWORD, 1);
		put(aml, value, 8);
	}
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
	put(aml, OP_NAME, 1);
	put_name(aml, name);
	aml_integer(aml, value);
}

static unsigned int hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Compressed EISA ID: three letters of five bits each and four hex digits, big-endian (19.3.4). */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
	uint32_t letters = (id[0] - '@') << 10 | (id[1] - '@') << 5 | (id[2] - '@');
	uint32_t digits = hex_digit(id[3]) << 12 | hex_digit(id[4]) << 8 | hex_digit(id[5]) << 4 |
			  hex_digit(id[6]);

	put(aml, OP_NAME, 1);
	put_name(aml, name);
	put(aml, OP_DWORD, 1);
	put(aml, __builtin_bswap32(letters << 16 | digits), 4);
}

void aml_reference(struct aml *aml, const char *name)
{
	put_name(aml, name);
}

void aml_return_integer(struct aml *aml, uint64_t value)
{
	put(aml, OP_RETURN, 1);
	aml_integer(aml, value);
}

/* A buffer whose size, a word here, is filled in at the end. */
size_t aml_resources(struct aml *aml, const char *name)
{
	size_t mark;

	put(aml, OP_NAME, 1);
	put_name(aml, name);
	put(aml, OP_BUFFER, 1);
	mark = open_package(aml);
	put(aml, OP_WORD, 1);
	put(aml, 0, 2);
	return mark;
}

void aml_resources_end(struct aml *aml, size_t mark)
{
	size_t size_at = mark + PKG_LENGTH_BYTES + 1;
	size_t size;

	put(aml, RES_END, 1);
	put(aml, 0, 1);		/* checksum: 0 stands for "correct" (6.4.2.9) */
	size = aml->len - (size_at + 2);
	if (!aml_overflowed(aml)) {
		aml->buf[size_at] = size;
		aml->buf[size_at + 1] = size >> 8;
	}
	aml_close(aml, mark);
}

void aml_resource_io(struct aml *aml, uint16_t base, uint8_t len)
{
	put(aml, RES_IO, 1);
	put(aml, 1, 1);		/* decodes 16 bits */
	put(aml, base, 2);
	put(aml, base, 2);
	put(aml, 1, 1);		/* alignment */
	put(aml, len, 1);
}

void aml_resource_isa_irq(struct aml *aml, unsigned int irq)
{
	put(aml, RES_IRQ_NO_FLAGS, 1);
	put(aml, 1u << irq, 2);
}

void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t len)
{
	put(aml, RES_MEMORY32_FIXED, 1);
	put(aml, 9, 2);
	put(aml, 1, 1);		/* writable */
	put(aml, base, 4);
	put(aml, len, 4);
}

void aml_resource_interrupt(struct aml *aml, uint32_t gsi)
{
	put(aml, RES_INTERRUPT, 1);
	put(aml, 6, 2);
	put(aml, 0x09, 1);	/* consumer, level, active high, shared */
	put(aml, 1, 1);
	put(aml, gsi, 4);
}

/*
 * Address space descriptors (6.4.3.5): types 0 memory, 1 I/O, 2 bus; minimum and maximum are fixed.
 */
static void put_window(struct aml *aml, unsigned int size, uint8_t type, uint8_t type_flags,
		       uint32_t first, uint32_t last)
{
	put(aml, size == 2 ? RES_WORD : RES_DWORD, 1);
	put(aml, 3 + 5 * size, 2);
	put(aml, type, 1);
	put(aml, 0x0c, 1);
	put(aml, type_flags, 1);
	put(aml, 0, size);	/* granularity */
	put(aml, first, size);
	put(aml, last, size);
	put(aml, 0, size);	/* translation */
	put(aml, last - first + 1, size);
}

void aml_resource_bus_window(struct aml *aml, uint16_t first, uint16_t last)
{
	put_window(aml, 2, 2, 0, first, last);
}

void aml_resource_io_window(struct aml *aml, uint16_t first, uint16_t last)
{
	put_window(aml, 2, 1, 0x03, first, last);	/* entire range */
}

void aml_resource_memory_window(struct aml *aml, uint32_t first, uint32_t last)
{
	put_window(aml, 4, 0, 0x01, first, last);	/* read-write, not cacheable */
}
