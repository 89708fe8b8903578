// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest shares with its hypervisor: hypercalls (IPIs, kicks, a pair of clocks), stolen time, TLB flushes of CPUs
 * that do not run, ends of interrupts by memory.
 *
 *	make test-guest T=guest/pv
 */
#include "guest.h"

GUEST_NEEDS(.cpus = 2);

#define VENDOR_INTEL	0x756e6547	/* EBX of CPUID leaf 0: "Genu" */
#define LEAF_FEATURES	0x40000001
#define STEAL_TIME	(1 << 5)
#define PV_EOI		(1 << 6)
#define PV_UNHALT	(1 << 7)
#define PV_TLB_FLUSH	(1 << 9)
#define PV_SEND_IPI	(1 << 11)
#define POLL_CONTROL	(1 << 12)

#define MSR_STEAL_TIME	0x4b564d03
#define MSR_PV_EOI	0x4b564d04
#define MSR_POLL	0x4b564d05

#define HC_KICK_CPU	5
#define HC_CLOCK	9
#define HC_SEND_IPI	10
#define HC_YIELD	11
#define ENOSYS		1000
#define EPERM		1
#define EINVAL		22

#define VECTOR		0x51
#define HIGHER		0x91
#define GVA		0x10000000000UL

struct steal_time {
	uint64_t steal;
	uint32_t version, flags;
	uint8_t preempted, pad[47];
};

struct pairing {
	int64_t sec, nsec;
	uint64_t tsc;
	uint32_t flags, pad[9];
};

static volatile struct steal_time steal[2] __attribute__((aligned(64)));
static volatile uint8_t eoi_bit __attribute__((aligned(64)));
static struct pairing pairing;
static bool intel;
static volatile int taken, higher, bit_seen, bit_higher, by_memory;
static volatile int other_does, other_did;
static volatile uint32_t other_sees;

static long hypercall(uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	long r;

	if (intel)
		asm volatile("vmcall" : "=a"(r) : "a"(nr), "b"(a0), "c"(a1), "d"(a2), "S"(a3)
			     : "memory");
	else
		asm volatile("vmmcall" : "=a"(r) : "a"(nr), "b"(a0), "c"(a1), "d"(a2), "S"(a3)
			     : "memory");
	return r;
}

static long user_call(void)
{
	return hypercall(HC_YIELD, 0, 0, 0, 0);
}

static int try_wrmsr(uint32_t index, uint64_t value)
{
	return TRY("mov %k[i], %%ecx\nmov %k[v], %%eax\nmov %[v], %%rdx\nshr $32, %%rdx\nwrmsr",
		   [i] "r"((uint64_t)index), [v] "r"(value));
}

/* Ends it as Linux does: by memory if the bit is there, and else by the LAPIC. */
static void end(volatile int *seen)
{
	*seen = eoi_bit & 1;
	if (*seen && by_memory)
		eoi_bit = 0;
	else
		lapic_eoi();
}

static void handler(struct frame *frame)
{
	(void)frame;
	taken++;
	end((int *)&bit_seen);
}

static void higher_handler(struct frame *frame)
{
	(void)frame;
	higher++;
	end((int *)&bit_higher);
}

enum { HALT = 1, HALT_AND_READ, STOP };

/* CPU 1: halts without interrupts, so that nothing but a kick takes it on. */
static void other(void *arg)
{
	(void)arg;
	wrmsr(MSR_STEAL_TIME, (uintptr_t)&steal[1] | 1);
	other_sees = *(volatile uint32_t *)GVA;
	for (;;) {
		int what = other_does;

		if (what == STOP)
			break;
		if (what == other_did) {
			cpu_relax();
			continue;
		}
		cli();
		asm volatile("hlt");
		if (what == HALT_AND_READ)
			other_sees = *(volatile uint32_t *)GVA;
		other_did = what;
	}
	wrmsr(MSR_STEAL_TIME, 0);
}

static void calls(void)
{
	check_eq(-ENOSYS, hypercall(4711, 0, 0, 0, 0), "a hypercall that does not exist");
	check_eq(-EPERM, run_user(user_call), "one from CPL 3");
	check_eq(0, hypercall(HC_YIELD, 1, 0, 0, 0), "yield");
	if (hypercall(HC_CLOCK, (uintptr_t)&pairing, 0, 0, 0) == 0) {
		uint64_t now = rdtsc();

		check(pairing.sec > 1000000000, "the time of day is %lx", pairing.sec);
		check(pairing.nsec >= 0 && pairing.nsec < 1000000000, "nanoseconds %lx", pairing.nsec);
		check(pairing.tsc < now && now - pairing.tsc < 1000 * boot_info()->tsc_khz,
		      "its TSC %lx, now %lx", pairing.tsc, now);
	}
	check(hypercall(HC_CLOCK, (uintptr_t)&pairing, 7, 0, 0) < 0, "a clock of no kind");
}

static void ipis(void)
{
	uint64_t ipi = VECTOR;

	taken = 0;
	check_eq(1, hypercall(HC_SEND_IPI, 1, 0, 0, ipi), "an IPI to CPU 0");
	sti_nop();
	cli();
	check_eq(1, taken, "taken");
	/* The second word's first bit is id 64 on from the first's. */
	check_eq(0, hypercall(HC_SEND_IPI, 0, 1, 0, ipi), "an IPI to nobody");
	check_eq(-EINVAL, hypercall(HC_SEND_IPI, 1, 0, 0, ipi | 0x800), "a logical destination");
	check_eq(1, taken, "taken behind those");
}

static void stealing(void)
{
	uint32_t *page = page_alloc(), *second = page_alloc();
	volatile uint64_t *pte;
	uint32_t version;

	check_eq(GP, try_wrmsr(MSR_STEAL_TIME, (uintptr_t)&steal[0] | 3), "reserved bits");
	wrmsr(MSR_STEAL_TIME, (uintptr_t)&steal[0] | 1);
	check_eq((uintptr_t)&steal[0] | 1, rdmsr(MSR_STEAL_TIME), "the MSR");
	check(steal[0].version && !(steal[0].version & 1), "version %u", steal[0].version);
	check_eq(0, steal[0].preempted, "CPU 0 runs");

	*page = 1;
	*second = 2;
	pte = map_page(GVA, (uintptr_t)page, PTE_P | PTE_W, 1);
	smp_start(1, other, NULL);
	other_does = HALT;
	check(wait_for(steal[1].preempted & 1, 2000), "a CPU in HLT does not run");
	check_eq(1, other_sees, "what CPU 1 saw of the page");
	version = steal[1].version;
	hypercall(HC_KICK_CPU, 0, 1, 0, 0);
	check(wait_for(other_did == HALT, 2000), "the kick did not take it out of HLT");
	check_eq(0, steal[1].preempted, "it runs");
	check(steal[1].version != version && !(steal[1].version & 1), "version %u behind %u",
	      steal[1].version, version);

	other_does = HALT_AND_READ;
	check(wait_for(steal[1].preempted & 1, 2000), "it halts again");
	*pte = (uintptr_t)second | PTE_P | PTE_W;
	steal[1].preempted |= 2;	/* flush when it goes on */
	hypercall(HC_KICK_CPU, 0, 1, 0, 0);
	check(wait_for(other_did == HALT_AND_READ, 2000), "the second kick");
	check_eq(2, other_sees, "what it sees behind the flush");
	other_does = STOP;
	smp_wait(1);
	wrmsr(MSR_STEAL_TIME, 0);
}

static void eoi(void)
{
	by_memory = true;
	check_eq(GP, try_wrmsr(MSR_PV_EOI, (uintptr_t)&eoi_bit | 2 | 1), "not aligned");
	eoi_bit = 1;
	wrmsr(MSR_PV_EOI, (uintptr_t)&eoi_bit | 1);
	check_eq((uintptr_t)&eoi_bit | 1, rdmsr(MSR_PV_EOI), "the MSR");
	/* Each is delivered only if the one before has ended. */
	for (int i = 1; i <= 20; i++) {
		taken = 0;
		lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | VECTOR);
		sti_nop();
		cli();
		check_eq(1, taken, "interrupts");
		check_eq(0, eoi_bit, "the bit behind it");
		if (i % 5 == 0)
			check_eq(0, lapic_read(APIC_ISR + 0x10 * (VECTOR / 32)), "in service");
	}
	print("ends by memory: %d\n", bit_seen);

	/* With another one waiting, the end has to be told. */
	taken = higher = 0;
	lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | VECTOR);
	lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | HIGHER);
	sti_nop();
	sti_nop();
	cli();
	check_eq(1, higher, "the higher one");
	check_eq(1, taken, "the lower one");
	check_eq(0, bit_higher, "the bit while another waited");

	/* One that is ended by the LAPIC in spite of the bit is not ended again by memory. */
	by_memory = false;
	for (int i = 0; i < 3; i++) {
		taken = 0;
		lapic_ipi(0, ICR_FIXED | ICR_ASSERT | ICR_SELF | VECTOR);
		sti_nop();
		cli();
		check_eq(1, taken, "interrupts that the LAPIC ended");
		check_eq(0, eoi_bit, "the bit behind the LAPIC's end");
	}
	wrmsr(MSR_PV_EOI, 0);
}

int main(void)
{
	uint32_t features = cpuid(LEAF_FEATURES, 0).eax;
	const uint32_t wanted = STEAL_TIME | PV_EOI | PV_UNHALT | PV_TLB_FLUSH | PV_SEND_IPI |
				POLL_CONTROL;

	intel = cpuid(0, 0).ebx == VENDOR_INTEL;
	check_eq(wanted, features & wanted, "features");
	set_handler(VECTOR, handler);
	set_handler(HIGHER, higher_handler);
	calls();
	ipis();
	stealing();
	eoi();
	check_eq(1, rdmsr(MSR_POLL), "halt polling");
	wrmsr(MSR_POLL, 0);
	check_eq(0, rdmsr(MSR_POLL), "no halt polling");
	check_eq(GP, try_wrmsr(MSR_POLL, 2), "reserved bit of it");
	return 0;
}
