// SPDX-License-Identifier: GPL-2.0-only
/* INS and OUTS: all sizes, repeated, backwards, across pages, into pages that are not there. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define BYTES	64

static uint8_t from[3 * PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t to[3 * PAGE_SIZE] __attribute__((aligned(4096)));

static void prepare(void)
{
	static uint8_t seed;

	seed += 7;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = i * 13 + seed;
	memset(to, 0, sizeof(to));
}

#define STRING_IO(suffix, size, backward)					\
static void out_in_##suffix##_##backward(size_t offset, size_t count)		\
{										\
	const void *source = from + offset + (backward ? (count - 1) * size : 0); \
	void *target = to + offset + (backward ? (count - 1) * size : 0);	\
	const void *s = source;							\
	void *t = target;							\
	size_t n = count;							\
										\
	prepare();								\
	if (backward)								\
		asm volatile("std");						\
	asm volatile("rep outs" #suffix : "+S"(s), "+c"(n)			\
		     : "d"((uint16_t)PORT_FIFO) : "memory");			\
	asm volatile("cld");							\
	check(!n, "outs" #suffix ": rcx %lu", n);				\
	check((const uint8_t *)s - (const uint8_t *)source ==			\
	      (backward ? -1 : 1) * (int64_t)(count * size),			\
	      "outs" #suffix ": rsi moved by %ld", (const uint8_t *)s - (const uint8_t *)source); \
	n = count;								\
	if (backward)								\
		asm volatile("std");						\
	asm volatile("rep ins" #suffix : "+D"(t), "+c"(n)			\
		     : "d"((uint16_t)PORT_FIFO) : "memory");			\
	asm volatile("cld");							\
	check(!n, "ins" #suffix ": rcx %lu", n);				\
	check((uint8_t *)t - (uint8_t *)target == (backward ? -1 : 1) * (int64_t)(count * size), \
	      "ins" #suffix ": rdi moved by %ld", (uint8_t *)t - (uint8_t *)target); \
	check(!memcmp(from + offset, to + offset, count * size),		\
	      #suffix ": wrong bytes, offset %lu, %lu times, backward %d", offset, count, \
	      backward);							\
	check(!to[offset + count * size], #suffix ": a byte too many");	\
}
STRING_IO(b, 1, 0)
STRING_IO(w, 2, 0)
STRING_IO(l, 4, 0)
STRING_IO(b, 1, 1)
STRING_IO(w, 2, 1)
STRING_IO(l, 4, 1)

static void single(void)
{
	const void *s = from;
	void *t = to;

	prepare();
	asm volatile("outsl" : "+S"(s) : "d"((uint16_t)PORT_FIFO) : "memory");
	check((const uint8_t *)s == from + 4, "outsl without rep");
	check_eq(*(uint32_t *)from, inl(PORT_FIFO), "outsl");
	outw(PORT_FIFO, 0x1234);
	asm volatile("insw" : "+D"(t) : "d"((uint16_t)PORT_FIFO) : "memory");
	check((uint8_t *)t == to + 2, "insw without rep");
	check_eq(0x1234, *(uint16_t *)to, "insw");
}

/* A page fault in the middle leaves the registers where it happened, and none is done twice. */
static void faulting(void)
{
	uint64_t gva = 0x10000000000;
	uint64_t page = (uintptr_t)page_alloc();
	uint64_t rsi = gva + PAGE_SIZE - 6, rcx = 20;
	uint32_t byte;

	prepare();
	map_page(gva, page, PTE_W, 1);
	memcpy((void *)(gva + PAGE_SIZE - 6), from, 6);
	fault.vector = NONE;
	asm volatile("lea 1f(%%rip), %%rax\nmov %%rax, %[resume]\nrep outsb\n1:"
		     : "+S"(rsi), "+c"(rcx), [resume] "=m"(fault.resume)
		     : "d"((uint16_t)PORT_FIFO) : "rax", "memory");
	check_eq(PF, fault.vector, "outs across the edge");
	check_eq(gva + PAGE_SIZE, fault.cr2, "CR2");
	check_eq(gva + PAGE_SIZE, rsi, "rsi at the fault");
	check_eq(14, rcx, "rcx at the fault");
	for (int i = 0; i < 6; i++) {
		byte = inb(PORT_FIFO);
		check(byte == from[i], "byte %d: %x instead of %x", i, byte, from[i]);
	}
	check_eq(0xff, inb(PORT_FIFO), "more bytes than were written");
	/* INS into what cannot be written: before anything is taken from the device. */
	map_page(gva, page, 0, 1);
	outb(PORT_FIFO, 0x77);
	check_eq(PF, TRY("mov %[p], %%edx\ninsb", "D"(gva), [p] "i"(PORT_FIFO)),
		 "ins into read-only");
	/* Stock KVM takes it and loses it. */
	if (!boot_info()->reference)
		check_eq(0x77, inb(PORT_FIFO), "the byte is still there");
}

int main(void)
{
	static const size_t offsets[] = { 0, 1, PAGE_SIZE - 10, PAGE_SIZE - 3 };

	single();
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		out_in_b_0(offsets[i], BYTES);
		out_in_w_0(offsets[i], BYTES / 2);
		out_in_l_0(offsets[i], BYTES / 4);
		out_in_b_1(offsets[i], BYTES);
		out_in_w_1(offsets[i], BYTES / 2);
		out_in_l_1(offsets[i], BYTES / 4);
		out_in_b_0(offsets[i], 1);
		out_in_l_0(offsets[i], 0);
	}
	/* More than a page at once. */
	out_in_b_0(5, 5000);
	out_in_l_0(5, 1500);
	faulting();
	return 0;
}
