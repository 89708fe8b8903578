// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of the hypervisor's at the end of the lower half of the address space: RIP behind them is not canonical, and
 * what comes of that is a #GP there (SDM vol. 3C, 26.3.1.4: VM entry takes such a RIP).
 *
 *	make test-guest T=guest/hypercall_edge
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define EDGE	0x800000000000UL

static uint8_t *page;

/* Executes what is there; the vector that ends it. */
static int try_at_edge(const uint8_t *code, unsigned int len)
{
	memset(page, 0xcc, PAGE_SIZE);
	memcpy(page + PAGE_SIZE - len, code, len);
	return TRY("mov $-1, %%eax\nxor %%ecx, %%ecx\njmp *%[to]", [to] "b"(EDGE - len));
}

#define AT_EDGE(what, ...) do {							\
	static const uint8_t code_[] = { __VA_ARGS__ };				\
	check_eq(GP, try_at_edge(code_, sizeof(code_)), what);			\
	check_eq(EDGE, fault.rip, what);					\
} while (0)

int main(void)
{
	bool intel = cpuid(0, 0).ebx == 0x756e6547;	/* "Genu" */

	page = page_alloc();
	map_page(EDGE - PAGE_SIZE, (uintptr_t)page, PTE_W, 1);
	AT_EDGE("NOP", 0x90);
	if (intel)
		AT_EDGE("VMCALL", 0x0f, 0x01, 0xc1);
	else
		AT_EDGE("VMMCALL", 0x0f, 0x01, 0xd9);
	AT_EDGE("CPUID", 0x0f, 0xa2);
	AT_EDGE("MOV to a device", 0xa3, 0x40, 0, 0, 0xd0, 0, 0, 0, 0);
	return 0;
}
