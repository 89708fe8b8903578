// SPDX-License-Identifier: GPL-2.0-only
/* The other CPUs. */
#include "pc.h"

#define TRAMPOLINE 0x8000

extern const uint8_t trampoline[], trampoline_end[];	/* start.S */
void other_cpu(void);					/* called by it */

static volatile uint32_t started;

void other_cpu(void)
{
	*lapic(0xf0) = 0x100 | VECTOR_SPURIOUS;
	*lapic(LAPIC_ICR_HIGH) = 0;
	*lapic(LAPIC_ICR_LOW) = VECTOR_IPI;
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	for (;;)
		asm volatile("cli; hlt");
}

uint32_t smp_start(uint32_t wanted)
{
	volatile uint8_t *place = (uint8_t *)TRAMPOLINE;
	uint32_t i, ticks;

	for (i = 0; i < (uint32_t)(trampoline_end - trampoline); i++)
		place[i] = trampoline[i];
	*lapic(LAPIC_ICR_LOW) = 0xc4500;
	ticks = lapic_ticks;
	wait_for(&lapic_ticks, ticks + 2);
	*lapic(LAPIC_ICR_LOW) = 0xc4600 | TRAMPOLINE >> 12;
	wait_for(&started, wanted - 1);
	wait_for(&ipis, wanted - 1);
	return started + 1;
}
