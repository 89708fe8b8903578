/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small machine around the emulator, for tests that name each access: 128K of linear memory in
 * pages that can be absent, read-only or a device's; ports; and all the registers that the
 * callbacks reach. Devices answer OST_EMUL_IO first and deliver when asked again, as userspace
 * does; being asked for something else then is recorded as a broken promise.
 */
#ifndef OST_UNIT_MACHINE_H
#define OST_UNIT_MACHINE_H

#include "emulate/internal.h"
#include "emulate/smram.h"

#define MACHINE_RAM   0x20000u
#define MACHINE_PAGES (MACHINE_RAM / 0x1000)
#define MACHINE_CODE  0x1000u
#define MACHINE_GDT   0x8000u
#define MACHINE_IDT   0x9000u
#define MACHINE_TSS   0xa000u
#define MACHINE_LOG   64

enum machine_page { PAGE_RAM, PAGE_READONLY, PAGE_DEVICE, PAGE_ABSENT };

/* What reached devices and ports, in order. */
struct machine_access {
	char kind; /* 'r', 'w' device memory; 'i', 'o' ports; 'c' a locked update of RAM */
	u64 where;
	unsigned int len;   /* of an element */
	unsigned int count; /* of elements */
	u64 value;	    /* of the first element */
};

struct machine {
	struct ost_emul e;
	u8 ram[MACHINE_RAM];
	u8 page[MACHINE_PAGES];
	struct kvm_segment seg[OST_NR_SEGS];
	struct kvm_dtable gdt, idt;
	u64 cr[16], dr[8], xcr0, msr;
	u8 vec[16][32];
	u64 mmx[8];
	bool x87_exception, x87_is_mmx;

	struct machine_access log[MACHINE_LOG];
	unsigned int logged;
	struct machine_access pending;
	bool is_pending;
	bool broken;	/* asked for something else than what was pending */
	u64 next_input; /* what the next device or port read delivers; counts up */
	bool race;	/* the next locked update is lost */
	bool yield;	/* device writes ask for a stop */
	unsigned int fetches;
	u64 last_fetch; /* linear address behind the last fetched byte */
	unsigned int halts, wbinvds, hypercalls;
	bool smm; /* RSM loads what `smram` holds */
	u8 smram[OST_SMRAM_BYTES];
	u64 invlpg;
	bool hostile; /* fuzzing: callbacks fail by chance */
	u64 chance;
};

/* Resets all. Segments are flat (real mode: base 0, 64K), CPL 0, RSP 0x7000, devices none. */
void machine_init(struct machine *m, enum ost_emul_mode mode);

/* Puts the instruction at MACHINE_CODE (plus CS base), decodes and executes it once. */
int machine_run(struct machine *m, const void *insn, unsigned int len);

/* Executes again until the instruction is over: over IO and between iterations. */
int machine_finish(struct machine *m, int result);

/* Both: from the start to the end. */
int machine_do(struct machine *m, const void *insn, unsigned int len);

/* Values in RAM. */
u64 machine_get(struct machine *m, u64 linear, unsigned int len);
void machine_put(struct machine *m, u64 linear, u64 value, unsigned int len);

/* A GDT entry (and the upper half for 16-byte ones), from the parts. */
void machine_descriptor(struct machine *m, u16 selector, u64 base, u32 limit, u8 access, u8 flags);

/* The bytes of an instruction and their number, as two arguments. */
#define INSN(...) (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__})

#endif
