/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine of vmm's devices without a hypervisor: the test is the guest, and sees the interrupts. */
#ifndef OST_UNIT_VMM_MACHINE_H
#define OST_UNIT_VMM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

#define MACHINE_MEMORY	(64ULL << 20)
#define MACHINE_MESSAGES	64

struct machine_message {
	uint64_t addr;
	uint32_t data;
	int fd;			/* bound eventfd, or -1 */
};

/* What the fake interrupt controllers were told. Lines may be read from any thread. */
struct machine_irqs {
	bool line[24];
	struct machine_message message[MACHINE_MESSAGES];
};

extern struct machine_irqs machine_irqs;

/* What vmm_fail() or vmm_warn() last had to say. */
extern char machine_said[256];

/* Create and destroy one machine, of the configuration @config. NULL when it can't be created. */
struct vm *machine_create(const struct config *config);
void machine_destroy(struct vm *vm);

/* A configuration with MACHINE_MEMORY and two CPUs, without files. */
struct config machine_config(void);

/* An unnamed temporary file of @size bytes. */
int machine_file(uint64_t size);

/* Port I/O. */
uint32_t in(struct vm *vm, uint16_t port, unsigned int size);
void out(struct vm *vm, uint16_t port, unsigned int size, uint32_t value);

/* PCI configuration space of slot @slot, by 0xcf8/0xcfc. */
uint32_t config_in(struct vm *vm, unsigned int slot, unsigned int offset, unsigned int size);
void config_out(struct vm *vm, unsigned int slot, unsigned int offset, unsigned int size,
		uint32_t value);

/* How often the eventfd of message @index was written to since this was last asked, in up to a second. */
uint64_t machine_message_count(unsigned int index);

#endif
