/* SPDX-License-Identifier: GPL-2.0-only */
/* The ACPI tables that describe the machine to the guest. */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

struct vm;

/* Write the tables to LAYOUT_ACPI, where the RSDP is first. Returns 0 or a status, explained. */
int acpi_load(struct vm *vm);

#endif
