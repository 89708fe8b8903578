/* SPDX-License-Identifier: GPL-2.0-only */
/* What the bare guest knows of a PC: 32-bit code without paging, ports, COM1, interrupts (pc.c), other CPUs (smp.c). */
#ifndef FOREIGN_PC_H
#define FOREIGN_PC_H

#include <stdbool.h>
#include <stdint.h>

/* QEMU ends with status 2 * value + 1: -device isa-debug-exit,iobase=0x501. */
#define EXIT_PORT 0x501
#define EXIT_OK 16		/* 33 */
#define EXIT_FAILED 17		/* 35 */

enum { VECTOR_PIC = 0x20, VECTOR_LAPIC = 0x40, VECTOR_IOAPIC, VECTOR_IPI, VECTOR_SPURIOUS = 0xff };

#define LAPIC_EOI 0xb0
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outw(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index));
}

static inline volatile uint32_t *lapic(uint32_t offset)
{
	return (volatile uint32_t *)(0xfee00000 + offset);
}

void costs(void) __attribute__((noreturn));

void print(const char *text);
void print_decimal(uint32_t value);
void print_number(const char *text, uint32_t value);	/* "text value\n" */
bool typed(void);		/* has something arrived at COM1? It is left there. */
char wait_key(void);
void finish(bool good) __attribute__((noreturn));	/* "ok" or "failed", and the end */

/* Interrupts so far of each source. */
extern volatile uint32_t pic_ticks, lapic_ticks, ioapic_ticks, ipis;
extern volatile bool tsc_went_back;	/* the LAPIC's timer looks at each tick */

void interrupts_init(void);
void pit_start(void);			/* 100 Hz */
void pic_open(bool open);		/* the PIT's interrupt by the PIC and LINT0 */
void ioapic_open(bool open);		/* the same by the IOAPIC */
void lapic_timer_start(bool start);	/* periodic, each 10 million cycles of its clock */
/* Sleeps until *@counter is @wanted, or for a long time. Returns whether it is. */
bool wait_for(volatile uint32_t *counter, uint32_t wanted);

/* Starts the others by INIT and SIPI; each sends an IPI back. Returns how many CPUs there are. */
uint32_t smp_start(uint32_t wanted);

#endif
