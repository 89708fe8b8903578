// SPDX-License-Identifier: GPL-2.0-only
/* IN and OUT: sizes, both forms of the port, the registers' other bits, ports without a device. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

int main(void)
{
	uint64_t rax;

	outb(PORT_LATCH, 0x11);
	outb(PORT_LATCH + 1, 0x22);
	outw(PORT_LATCH + 2, 0x4433);
	check_eq(0x44332211, inl(PORT_LATCH), "four bytes of three writes");
	outl(PORT_LATCH + 4, 0x88776655);
	check_eq(0x55, inb(PORT_LATCH + 4), "first byte");
	check_eq(0x88, inb(PORT_LATCH + 7), "last byte");
	check_eq(0x7766, inw(PORT_LATCH + 5), "odd port");
	/* IN of 8 and 16 bits keeps the rest of rax, of 32 bits clears the upper half. */
	asm volatile("mov $-1, %%rax\nmov %1, %%edx\ninb %%dx, %%al" : "=&a"(rax) : "i"(PORT_LATCH)
		     : "rdx");
	check_eq(0xffffffffffffff11, rax, "inb");
	asm volatile("mov $-1, %%rax\nmov %1, %%edx\ninw %%dx, %%ax" : "=&a"(rax) : "i"(PORT_LATCH)
		     : "rdx");
	check_eq(0xffffffffffff2211, rax, "inw");
	asm volatile("mov $-1, %%rax\nmov %1, %%edx\ninl %%dx, %%eax" : "=&a"(rax) : "i"(PORT_LATCH)
		     : "rdx");
	check_eq(0x44332211, rax, "inl");
	/* The same where the kernel has the device: the PIC's mask. */
	outb(0x21, 0xa5);
	asm volatile("mov $-1, %%rax\ninb $0x21, %%al" : "=&a"(rax));
	check_eq(0xffffffffffffffa5, rax, "inb from the PIC");
	asm volatile("inb $0x99, %%al" : "=a"(rax));
	check_eq(0xff, rax & 0xff, "a port without a device");
	/* Prefixes that mean nothing here. */
	asm volatile("mov %1, %%edx\nrex.W inl %%dx, %%eax" : "=&a"(rax) : "i"(PORT_LATCH) : "rdx");
	check_eq(0x44332211, rax, "REX.W inl");
	asm volatile("mov %0, %%edx\nmov $0x5a, %%eax\n.byte 0x3e\noutb %%al, %%dx"
		     : : "i"(PORT_LATCH) : "rax", "rdx");
	check_eq(0x5a, inb(PORT_LATCH), "outb with a segment prefix");
	/* A long run: nothing may depend on how many came before. */
	for (int i = 0; i < 500; i++) {
		outb(PORT_LATCH + i % 16, i);
		if (inb(PORT_LATCH + i % 16) != (i & 0xff))
			check(false, "round %d", i);
	}
	return 0;
}
