/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test guest and guestrun agree on: ports, addresses, and the calls that a guest makes to
 * have something done outside. Included by both.
 */
#ifndef OST_GUEST_HOST_H
#define OST_GUEST_HOST_H

#include <stdint.h>

/* Ports */
#define PORT_CONSOLE	0xe9	/* out, 8 bits: a character of the guest's output */
#define PORT_EXIT	0xf4	/* out, 32 bits: enum guest_exit */
#define PORT_CALL	0xf8	/* out, 32 bits: guest physical address of a struct host_call */
#define PORT_FIFO	0x600	/* out appends, in takes out again; any size */
#define PORT_LATCH	0x610	/* 16 ports that read back the byte last written to each */

enum guest_exit { GUEST_PASS, GUEST_FAIL, GUEST_SKIP };

/* Guest physical addresses */
#define BOOT_INFO_GPA	0x500UL
#define MMIO_GPA	0xd0000000UL	/* scratch memory behind KVM_EXIT_MMIO */
#define MMIO_SIZE	0x10000UL
#define MMIO_ALIAS_GPA	0xd8000000UL	/* the same bytes as memory, for setting up and checking */
#define EDGE_GPA	(MMIO_GPA - EDGE_SIZE)	/* memory that ends where the device begins */
#define EDGE_SIZE	0x1000UL
#define READONLY_GPA	0xd4000000UL	/* KVM_MEM_READONLY; writes go to the log only */
#define READONLY_SIZE	0x10000UL
#define ARENA_GPA	0xe0000000UL	/* where tests place slots of their own */
#define ARENA_SIZE	0x4000000UL
#define FIRST_FREE_SLOT	8

struct boot_info {
	uint32_t cpus;
	uint32_t tsc_khz;
	uint64_t memory_bytes;
	uint32_t reference;	/* it is stock KVM, which is knowingly lax here and there */
};

/* The ELF note by which a test says what it needs. */
#define GUEST_NOTE_NAME	"Ostler"
#define GUEST_NOTE_TYPE	1
struct guest_needs {
	uint32_t cpus;
	uint32_t memory_mib;
	uint32_t timeout_s;
	uint32_t amd;		/* AMD's CPUID on whatever host */
};

/* An access to the MMIO window or a write to the read-only slot, as KVM_RUN reported it. */
struct mmio_access {
	uint64_t gpa;
	uint32_t len;
	uint32_t is_write;
	uint64_t data;
};

enum host_op {
	HOST_LOG_CLEAR,		/* forget the logged accesses */
	HOST_LOG_READ,		/* arg: gpa of an array, its length -> accesses since the clear */
	HOST_MIGRATE,		/* move this vCPU's thread to another CPU -> its number */
	HOST_MSI,		/* arg: address, data, delay in ms -> KVM_SIGNAL_MSI's answer */
	HOST_IRQ_LINE,		/* arg: gsi, level, delay in ms */
	HOST_NMI,		/* arg: vCPU, delay in ms */
	HOST_SLOT,		/* arg: slot, flags, gpa, size, offset into the arena */
	HOST_BACKING,		/* arg: slot, flags, gpa, size, enum backing */
	HOST_DIRTY_LOG,		/* arg: slot, gpa of the bitmap */
	HOST_DISCARD,		/* arg: offset into the arena, size: MADV_DONTNEED */
	HOST_STORM,		/* arg: microseconds between signals to all vCPUs; 0 ends it */
	HOST_MSR_LIST,		/* arg: gpa of 32-bit numbers, room -> what KVM_GET_MSR_INDEX_LIST lists */
	HOST_MSR_READ,		/* arg: index, gpa of 64 bits: what KVM_GET_MSRS reads -> 1 or 0 */
	HOST_EXPECT_SHUTDOWN,	/* the next KVM_EXIT_SHUTDOWN is what the test wants */
};

enum backing { BACKING_ANON, BACKING_THP, BACKING_HUGETLB, BACKING_MEMFD, BACKING_FILE };

struct host_call {
	uint32_t op;
	int32_t ret;
	uint64_t arg[6];
};

#endif
