/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the runtime's own files; and the TSS, for tests that change it. */
#ifndef OST_GUEST_INTERNAL_H
#define OST_GUEST_INTERNAL_H

#include <stdint.h>

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

/* cpu_tss() - The TSS of @cpu. */
struct tss *cpu_tss(unsigned int cpu);

/* cpu_load_tables() - IDT and TSS of the CPU it runs on, whose number is @cpu. */
void cpu_load_tables(unsigned int cpu);

/* smp_enter() - What a started CPU does: the function asked for, then HLT for good. */
void smp_enter(unsigned int cpu) __attribute__((noreturn));

#endif
