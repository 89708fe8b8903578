// SPDX-License-Identifier: GPL-2.0-only
/* Page faults: error codes, CR2, and what each control bit changes (APM vol. 2, 8.4.2). */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

#define GVA	0x10000000000UL	/* tables of its own */
#define P	1
#define W	2
#define U	4
#define RSVD	8
#define I	16

#define CPUID_7_SMEP	(1 << 7)
#define CPUID_7_SMAP	(1 << 20)

static volatile uint64_t *pte;
static uint64_t gpa;

static void expect(int vector, uint64_t error, uint64_t cr2, int seen, const char *what)
{
	if (!check(seen == vector, "%s: vector %d instead of %d", what, seen, vector))
		return;
	if (vector != PF)
		return;
	/* TCG reports reserved bits without the present bit. */
	if (error & RSVD)
		error |= fault.error & P;
	check(fault.error == error, "%s: error code %lx instead of %lx", what, fault.error, error);
	check(fault.cr2 == cr2, "%s: CR2 %lx instead of %lx", what, fault.cr2, cr2);
}

static void set_pte(uint64_t flags)
{
	*pte = gpa | flags;
	invlpg(GVA);
}

#define READ(at)	TRY("mov (%[p]), %%eax", [p] "r"(at))
#define WRITE(at)	TRY("movl $1, (%[p])", [p] "r"(at))
#define EXECUTE(at)	TRY("jmp *%[p]", [p] "r"(at))

static long user_read(void)
{
	return *(volatile uint8_t *)GVA;
}

static long user_write(void)
{
	*(volatile uint8_t *)GVA = 1;
	return 0;
}

static void supervisor(void)
{
	set_pte(0);
	expect(PF, 0, GVA + 8, READ(GVA + 8), "read of nothing");
	expect(PF, W, GVA, WRITE(GVA), "write to nothing");
	expect(PF, 0, GVA + 0xffe, READ(GVA + 0xffe), "read from the end of nothing");
	set_pte(PTE_P);
	expect(NONE, 0, 0, READ(GVA), "read of read-only");
	expect(PF, P | W, GVA + 4, WRITE(GVA + 4), "write to read-only");
	write_cr0(read_cr0() & ~CR0_WP);
	expect(NONE, 0, 0, WRITE(GVA), "write to read-only without CR0.WP");
	write_cr0(read_cr0() | CR0_WP);
	expect(PF, P | W, GVA, WRITE(GVA), "write to read-only with it again");
	set_pte(PTE_P | PTE_W);
	expect(NONE, 0, 0, WRITE(GVA), "write to writable");
	set_pte(PTE_P | PTE_W | PTE_NX);
	expect(PF, P | I, GVA, EXECUTE(GVA), "execution of NX");
	expect(NONE, 0, 0, READ(GVA), "read of NX");
	set_pte(0);
	expect(PF, I, GVA, EXECUTE(GVA), "execution of nothing");
}

static void user(void)
{
	set_pte(PTE_P | PTE_W);
	expect(PF, P | U, GVA, -1 - run_user(user_read), "user read of supervisor's");
	expect(PF, P | U | W, GVA, -1 - run_user(user_write), "user write to supervisor's");
	set_pte(PTE_P | PTE_U);
	expect(PF, P | U | W, GVA, -1 - run_user(user_write), "user write to read-only");
	write_cr0(read_cr0() & ~CR0_WP);
	expect(PF, P | U | W, GVA, -1 - run_user(user_write), "the same without CR0.WP");
	write_cr0(read_cr0() | CR0_WP);
	set_pte(0);
	expect(PF, U, GVA, -1 - run_user(user_read), "user read of nothing");
	set_pte(PTE_P | PTE_W | PTE_U);
	check(run_user(user_write) == 0, "user write to its own");
}

static void upper_levels(void)
{
	volatile uint64_t *pde = page_entry(GVA, 2), *pml4e = page_entry(GVA, 4);

	set_pte(PTE_P | PTE_W | PTE_U);
	*pde &= ~PTE_W;
	invlpg(GVA);
	expect(PF, P | W, GVA, WRITE(GVA), "read-only in the directory");
	*pde |= PTE_W;
	*pde &= ~PTE_U;
	invlpg(GVA);
	expect(PF, P | U, GVA, -1 - run_user(user_read), "supervisor's in the directory");
	*pde |= PTE_U;
	*pde |= PTE_NX;
	invlpg(GVA);
	expect(PF, P | I, GVA, EXECUTE(GVA), "NX in the directory");
	*pde &= ~PTE_NX;
	*pml4e &= ~PTE_P;
	write_cr3(read_cr3());
	expect(PF, 0, GVA, READ(GVA), "nothing at the top");
	*pml4e |= PTE_P;
	write_cr3(read_cr3());
	expect(NONE, 0, 0, READ(GVA), "everything again");
}

static void reserved(void)
{
	set_pte(PTE_P | PTE_W | 1ULL << 51);
	expect(PF, RSVD, GVA, READ(GVA), "address beyond the physical");
	expect(PF, RSVD | W, GVA, WRITE(GVA), "write there");
	/* NX is a reserved bit while EFER.NXE is clear. */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
	set_pte(PTE_P | PTE_W | PTE_NX);
	expect(PF, RSVD, GVA, READ(GVA), "NX without EFER.NXE");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	set_pte(PTE_P | PTE_W);
}

static void smep_smap(void)
{
	struct cpuid c = cpuid(7, 0);

	set_pte(PTE_P | PTE_W | PTE_U);
	*(volatile uint8_t *)GVA = 0xc3;
	/* The runtime's own code is the user's as well, by entry 0 of the directory. */
	if (c.ebx & CPUID_7_SMEP) {
		volatile uint64_t *own = page_entry(0x100000, 2);

		*own &= ~PTE_U;
		write_cr3(read_cr3());
		write_cr4(read_cr4() | CR4_SMEP);
		expect(PF, P | I, GVA, EXECUTE(GVA), "SMEP");
		write_cr4(read_cr4() & ~CR4_SMEP);
		if (c.ebx & CPUID_7_SMAP) {
			write_cr4(read_cr4() | CR4_SMAP);
			expect(PF, P, GVA, READ(GVA), "SMAP");
			expect(NONE, 0, 0, TRY("stac\nmov (%[p]), %%eax\nclac", [p] "r"(GVA)),
			       "SMAP with AC");
			write_cr4(read_cr4() & ~CR4_SMAP);
		}
		*own |= PTE_U;
		write_cr3(read_cr3());
	}
}

/* A write that crosses into a page which is not there: CR2 is the first byte that is not. */
static void across_pages(void)
{
	map_page(GVA + PAGE_SIZE, gpa, 0, 1);
	*page_entry(GVA + PAGE_SIZE, 1) = 0;
	invlpg(GVA + PAGE_SIZE);
	expect(PF, W, GVA + PAGE_SIZE, WRITE(GVA + PAGE_SIZE - 2), "across the boundary");
}

int main(void)
{
	gpa = (uintptr_t)page_alloc();
	pte = map_page(GVA, gpa, PTE_W, 1);
	supervisor();
	user();
	upper_levels();
	reserved();
	smep_smap();
	across_pages();
	return 0;
}
