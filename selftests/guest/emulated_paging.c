// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest paging as the hypervisor's emulator sees it: one instruction, whose other operand is memory
 * (the CPU executes it) or a device (the hypervisor does), meets a page with every combination of
 * W, U, NX and protection key under WP, SMAP, AC, SMEP, PKE and PKRU, at CPL 0 and 3. Vector, error
 * code, CR2 and the accessed and dirty bits at all levels have to be the same.
 *
 *	make test-guest T=guest/emulated_paging
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 60);

#define TARGET		0x30000000000UL	/* the page with the combinations, in tables of its own */
#define OTHER_PLAIN	0x38000000000UL
#define OTHER_DEVICE	0x40000000000UL
#define CODE		0x48000000000UL
#define PTE_PKEY1	(1ULL << 59)
#define CR4_PKE		(1 << 22)
#define PKRU_AD1	(1 << 2)
#define PKRU_WD1	(1 << 3)

/* Of CPUID leaf 7 */
#define HAS_SMEP	(1 << 7)	/* EBX */
#define HAS_SMAP	(1 << 20)	/* EBX */
#define HAS_PKU		(1 << 3)	/* ECX */

static volatile uint64_t *target_pte, *other_pte[2];
static uint64_t target_gpa;
static uint64_t other[2] = { OTHER_PLAIN, OTHER_DEVICE };
static bool has_smep, has_smap, has_pku;
static uint64_t combinations, faults;

struct outcome {
	int64_t vector;
	uint64_t error, cr2;
	uint64_t target, other;	/* A and D of three levels, the lowest in the highest byte */
};

/* What CPL 3 runs with: source and target of the string instruction. */
static uint64_t user_rsi, user_rdi;
static bool user_compares;

static long user_string(void)
{
	uint64_t rsi = user_rsi, rdi = user_rdi;

	if (user_compares)
		asm volatile("cmpsl" : "+S"(rsi), "+D"(rdi) : : "memory", "cc");
	else
		asm volatile("movsl" : "+S"(rsi), "+D"(rdi) : : "memory");
	return 0;
}

static void string(bool compares, uint64_t rsi, uint64_t rdi, bool ac)
{
	/* The image is the supervisor's while SMAP is on: AC is for the one instruction. */
	uint64_t flags = 2 | (ac ? RFLAGS_AC : 0);

	if (compares)
		TRY("push %[f]\npopf\ncmpsl\npush $2\npopf",
		    [f] "r"(flags), "S"(rsi), "D"(rdi));
	else
		TRY("push %[f]\npopf\nmovsl\npush $2\npopf",
		    [f] "r"(flags), "S"(rsi), "D"(rdi));
}

static uint64_t accessed_dirty(uint64_t gva, bool clear)
{
	uint64_t bits = 0;

	for (int level = 1; level <= 3; level++) {
		volatile uint64_t *entry = page_entry(gva, level);

		bits = bits << 8 | (*entry & (PTE_A | PTE_D));
		if (clear)
			*entry &= ~(PTE_A | PTE_D);
	}
	return bits;
}

static struct outcome attempt(int device, uint64_t pte, int way, bool user, bool ac)
{
	uint64_t t = TARGET + 8, o = other[device] + 16;
	struct outcome out;

	*target_pte = target_gpa | pte;
	accessed_dirty(TARGET, true);
	accessed_dirty(other[0], true);
	accessed_dirty(other[1], true);
	write_cr3(read_cr3());
	user_rsi = way ? t : o;
	user_rdi = way ? o : t;
	user_compares = way == 2;
	fault.error = 0;
	fault.cr2 = 0;
	if (user)
		run_user(user_string);
	else
		string(user_compares, user_rsi, user_rdi, ac);
	out = (struct outcome){ .vector = fault.vector };
	if (fault.vector != NONE) {
		out.error = fault.error;
		out.cr2 = fault.cr2;
	}
	out.target = accessed_dirty(TARGET, false);
	out.other = accessed_dirty(other[device], false);
	return out;
}

/*
 * Write to the page, read of it with a write elsewhere, comparison. An instruction that faults may
 * have looked at its other operand or not, and a walk that ends in a fault may have set accessed bits
 * on its way or not (SDM vol. 3A, 4.8); the page must not be dirty.
 */
static void compare(uint64_t pte, bool user, bool ac, const char *where)
{
	static const char *const ways[] = { "write", "read", "comparison" };

	for (int way = 0; way < 3; way++) {
		struct outcome cpu = attempt(0, pte, way, user, ac);
		struct outcome emulated = attempt(1, pte, way, user, ac);
		bool same = cpu.vector == emulated.vector && cpu.error == emulated.error &&
			    cpu.cr2 == emulated.cr2;

		combinations++;
		faults += cpu.vector == PF;
		if (cpu.vector == NONE)
			same = same && cpu.target == emulated.target && cpu.other == emulated.other;
		else
			same = same && !(emulated.target & PTE_D << 16);
		check(same, "%s, %s of PTE %lx, AC %u: vector %ld error %lx cr2 %lx A/D %lx %lx "
		      "instead of %ld %lx %lx %lx %lx", where, ways[way], pte, ac, emulated.vector,
		      emulated.error, emulated.cr2, emulated.target, emulated.other, cpu.vector,
		      cpu.error, cpu.cr2, cpu.target, cpu.other);
	}
}

static void all_pages(bool user, bool ac, const char *where)
{
	for (unsigned int i = 0; i < 32; i++) {
		uint64_t pte = (i & 1 ? PTE_P : 0) | (i & 2 ? PTE_W : 0) | (i & 4 ? PTE_U : 0) |
			       (i & 8 ? PTE_NX : 0) | (i & 16 ? PTE_PKEY1 : 0);

		compare(pte, user, ac, where);
	}
}

static void write_pkru(uint32_t value)
{
	asm volatile(".byte 0x0f, 0x01, 0xef" : : "a"(value), "c"(0), "d"(0) : "memory");
}

static void all_keys(bool user, bool ac, const char *where)
{
	static const uint32_t rights[] = { 0, PKRU_AD1, PKRU_WD1 };

	all_pages(user, ac, where);
	if (!has_pku)
		return;
	write_cr4(read_cr4() | CR4_PKE);
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
		write_pkru(rights[i]);
		all_pages(user, ac, where);
	}
	write_pkru(0);
	write_cr4(read_cr4() & ~(uint64_t)CR4_PKE);
}

/* The instruction itself lies where data may not be read: fetching is no data access. */
static void code_that_is_no_data(void)
{
	static const uint8_t text[] = { 0x89, 0x07, 0xc3 };	/* mov %eax, (%rdi); ret */
	volatile uint32_t *seen = (volatile uint32_t *)(MMIO_ALIAS_GPA + 0x3020);
	uint8_t *page = page_alloc();

	memcpy(page, text, sizeof(text));
	map_page(CODE, (uintptr_t)page, PTE_U | PTE_PKEY1, 1);
	if (has_smap) {
		*seen = 0;
		write_cr4(read_cr4() | CR4_SMAP);
		asm volatile("call *%0" : : "r"(CODE), "D"(other[1] + 0x20), "a"(0x51) : "memory");
		write_cr4(read_cr4() & ~CR4_SMAP);
		check_eq(0x51, *seen, "device access by code in a user's page under SMAP");
	}
	if (has_pku) {
		*seen = 0;
		write_cr4(read_cr4() | CR4_PKE);
		write_pkru(PKRU_AD1);
		asm volatile("call *%0" : : "r"(CODE), "D"(other[1] + 0x20), "a"(0x52) : "memory");
		write_pkru(0);
		write_cr4(read_cr4() & ~(uint64_t)CR4_PKE);
		check_eq(0x52, *seen, "device access by code whose key forbids data accesses");
	}
}

static void supervisor(void)
{
	all_keys(false, false, "CPL 0");
	write_cr0(read_cr0() & ~CR0_WP);
	all_keys(false, false, "CPL 0 without WP");
	write_cr0(read_cr0() | CR0_WP);
	if (has_smep) {
		write_cr4(read_cr4() | CR4_SMEP);
		all_pages(false, false, "CPL 0 with SMEP");
		write_cr4(read_cr4() & ~CR4_SMEP);
	}
	if (!has_smap)
		return;
	for (int ac = 0; ac < 2; ac++) {
		write_cr4(read_cr4() | CR4_SMAP);
		all_keys(false, ac, "CPL 0 with SMAP");
		write_cr0(read_cr0() & ~CR0_WP);
		all_keys(false, ac, "CPL 0 with SMAP without WP");
		write_cr0(read_cr0() | CR0_WP);
		write_cr4(read_cr4() & ~CR4_SMAP);
	}
}

int main(void)
{
	struct cpuid c = cpuid(7, 0);

	/* The image becomes the supervisor's, so that SMEP and SMAP can be on. */
	volatile uint64_t *image = page_entry(0x100000, 2);

	has_smep = c.ebx & HAS_SMEP;
	has_smap = c.ebx & HAS_SMAP;
	has_pku = c.ecx & HAS_PKU;
	print("SMEP %u, SMAP %u, PKU %u\n", has_smep, has_smap, has_pku);
	target_gpa = (uintptr_t)page_alloc();
	target_pte = map_page(TARGET, target_gpa, PTE_W | PTE_U, 1);
	other_pte[0] = map_page(OTHER_PLAIN, (uintptr_t)page_alloc(), PTE_W, 1);
	other_pte[1] = map_page(OTHER_DEVICE, MMIO_GPA + 0x3000, PTE_W, 1);

	*image &= ~PTE_U;
	write_cr3(read_cr3());
	supervisor();
	code_that_is_no_data();

	*image |= PTE_U;
	for (int i = 0; i < 2; i++)
		*other_pte[i] |= PTE_U;
	write_cr3(read_cr3());
	all_keys(true, false, "CPL 3");
	check(faults > 100 && faults < combinations - 100, "%lu of %lu faulted", faults,
	      combinations);
	return 0;
}
