// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exceptions that instructions raise, with their error codes and return addresses.
 *
 * QEMU's TCG has neither #AC nor #XF, which is why they are not here.
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

extern char here[];

static void undefined(void)
{
	check_eq(UD, TRY(".globl here\nhere: ud2"), "ud2");
	check_eq((uintptr_t)here, fault.rip, "a fault's return address is the instruction");
	check_eq(UD, TRY(".byte 0x0f, 0xff, 0xc0"), "ud0");
	check_eq(UD, TRY(".byte 0xf0, 0x90"), "lock nop");
	check_eq(UD, TRY(".byte 0x06"), "push es in 64-bit mode");
	check_eq(UD, TRY("lock; .byte 0x89, 0xc0"), "lock mov");
}

static void divide(void)
{
	check_eq(DE, TRY("xor %%edx, %%edx\nmov $1, %%eax\nxor %%ecx, %%ecx\ndiv %%ecx"),
		 "division by zero");
	check_eq(DE, TRY("mov $2, %%edx\nmov $1, %%eax\nmov $2, %%ecx\ndiv %%ecx"),
		 "quotient too large");
	check_eq(DE, TRY("mov $0x8000, %%eax\nmov $-1, %%ecx\nmovsx %%ax, %%eax\ncwd\n"
			 "idiv %%cx"), "-32768 / -1");
}

extern char after_int3[], after_icebp[];

static void traps(void)
{
	check_eq(BP, TRY("int3\n.globl after_int3\nafter_int3: nop"), "int3");
	check_eq((uintptr_t)after_int3, fault.rip, "a trap's return address is the next");
	check_eq(DB, TRY(".byte 0xf1\n.globl after_icebp\nafter_icebp: nop"), "icebp");
	check_eq((uintptr_t)after_icebp, fault.rip, "its return address");
}

static void protection(void)
{
	check_eq(GP, TRY("mov $0x8000000000000000, %%rax\nmov (%%rax), %%rax"),
		 "non-canonical address");
	check_eq(0, fault.error, "its error code");
	check_eq(GP, TRY("mov $0x1003, %%eax\nmov %%eax, %%ds"), "selector outside the GDT");
	check_eq(0x1000, fault.error, "its error code");
	check_eq(GP, TRY("mov $0x1004, %%eax\nmov %%eax, %%es"), "selector of a missing LDT");
	check_eq(0x1004, fault.error, "its error code");
	check_eq(GP, TRY("mov %[sel], %%eax\nltr %%ax", [sel] "i"(SEL_CODE32)),
		 "LTR of a code segment");
	check_eq(SEL_CODE32, fault.error, "its error code");
	check_eq(GP, TRY("mov %[sel], %%eax\nmov %%eax, %%ss", [sel] "i"(SEL_CODE64)),
		 "code segment in SS");
	check_eq(SEL_CODE64, fault.error, "its error code");
	check_eq(GP, TRY("mov $0x11111111, %%ecx\nrdmsr"), "RDMSR of no register");
	/* A fault: its instruction is not to meet an instruction breakpoint twice (SDM vol. 3B, 17.3.1.1). */
	check(fault.rflags & RFLAGS_RF, "RF in the flags of #GP: %lx", fault.rflags);
}

static void not_present(void)
{
	check_eq(NP, TRY("mov %[sel], %%eax\nmov %%eax, %%ds", [sel] "i"(SEL_ABSENT)),
		 "segment not present");
	check_eq(SEL_ABSENT, fault.error, "its error code");
	check_eq(SS, TRY("mov %[sel], %%eax\nmov %%eax, %%ss", [sel] "i"(SEL_ABSENT)),
		 "stack segment not present");
	check_eq(SEL_ABSENT, fault.error, "its error code");
}

static void fpu(void)
{
	uint16_t fcw = 0x37f & ~(1 << 2);

	write_cr0(read_cr0() | CR0_TS);
	check_eq(NM, TRY("fninit"), "x87 with CR0.TS");
	check_eq(NM, TRY("xorps %%xmm0, %%xmm0"), "SSE with CR0.TS");
	write_cr0(read_cr0() & ~CR0_TS);
	write_cr0(read_cr0() | CR0_EM);
	check_eq(NM, TRY("fninit"), "x87 with CR0.EM");
	check_eq(UD, TRY("xorps %%xmm0, %%xmm0"), "SSE with CR0.EM");
	write_cr0(read_cr0() & ~CR0_EM);

	/* Division by zero unmasked: the fault comes with the next waiting instruction. */
	asm volatile("fninit\nfldcw %0\nfld1\nfldz\nfdivrp" : : "m"(fcw));
	check_eq(MF, TRY("fwait"), "x87 division by zero");
	asm volatile("fninit");

	write_cr4(read_cr4() & ~CR4_OSFXSR);
	check_eq(UD, TRY("xorps %%xmm0, %%xmm0"), "SSE without OSFXSR");
	write_cr4(read_cr4() | CR4_OSFXSR);
}

static long user_cli(void)
{
	asm volatile("cli");
	return 0;
}

static long user_hlt(void)
{
	asm volatile("hlt");
	return 0;
}

static long user_cr(void)
{
	return read_cr3();
}

static long user_int(void)
{
	asm volatile("int $0x70");
	return 0;
}

static long user_out(void)
{
	outb(0x80, 0);
	return 0;
}

static long user_returns(void)
{
	return 42;
}

static void privilege(void)
{
	check_eq(42, run_user(user_returns), "CPL 3 works at all");
	check_eq(-GP - 1, run_user(user_cli), "CLI at CPL 3");
	check_eq(-GP - 1, run_user(user_hlt), "HLT at CPL 3");
	check_eq(-GP - 1, run_user(user_cr), "MOV from CR3 at CPL 3");
	check_eq(-GP - 1, run_user(user_out), "OUT at CPL 3");
	check_eq(-GP - 1, run_user(user_int), "INT n through a gate of CPL 0");
	check_eq(0x70 << 3 | 2, fault.error, "its error code");
}

int main(void)
{
	undefined();
	divide();
	traps();
	protection();
	not_present();
	fpu();
	privilege();
	return 0;
}
