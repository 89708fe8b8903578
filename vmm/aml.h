/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing AML, ACPI's byte code (ACPI specification 6.4, chapter 20).
 *
 * An aml is a buffer that is appended to. What contains other things is opened by a function that
 * returns a mark and closed by aml_close(); what lies between is inside. Writing beyond the end of
 * the buffer is counted but not done: check aml_overflowed() once at the end.
 */
#ifndef VMM_AML_H
#define VMM_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t len;
	size_t capacity;
};

void aml_init(struct aml *aml, void *buf, size_t capacity);
bool aml_overflowed(const struct aml *aml);

/*
 * Names are one segment of up to four characters, with a leading '\' where they begin at the root.
 */
size_t aml_scope(struct aml *aml, const char *name);
size_t aml_device(struct aml *aml, const char *name);
size_t aml_method(struct aml *aml, const char *name, unsigned int nr_args);
size_t aml_package(struct aml *aml, unsigned int nr_elements);
size_t aml_name_package(struct aml *aml, const char *name, unsigned int nr_elements);
void aml_close(struct aml *aml, size_t mark);

/* Name (@name, value). @id is like "PNP0501". */
void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id);

/* Elements of packages and arguments. */
void aml_integer(struct aml *aml, uint64_t value);
void aml_reference(struct aml *aml, const char *name);
void aml_return_integer(struct aml *aml, uint64_t value);

/* Name (@name, ResourceTemplate () { what is added until aml_resources_end() }). */
size_t aml_resources(struct aml *aml, const char *name);
void aml_resources_end(struct aml *aml, size_t mark);

void aml_resource_io(struct aml *aml, uint16_t base, uint8_t len);
void aml_resource_isa_irq(struct aml *aml, unsigned int irq);
void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t len);
/* A level-triggered, active-high, shared interrupt that the device consumes. */
void aml_resource_interrupt(struct aml *aml, uint32_t gsi);
/* Ranges that a bridge passes on. */
void aml_resource_bus_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_resource_io_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_resource_memory_window(struct aml *aml, uint32_t first, uint32_t last);

#endif
