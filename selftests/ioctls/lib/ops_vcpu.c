// SPDX-License-Identifier: GPL-2.0-only
/* Operations on vCPUs: their state, and running them. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CODE_GPA	0x8000UL
#define CODE_SIZE	512
#define TABLES_GPA	0x100000UL
#define STACK_GPA	0x20000UL

/* State that one ioctl gives and another takes. */
static const struct {
	unsigned long get, set;
} states[] = {
	{ KVM_GET_REGS, KVM_SET_REGS },
	{ KVM_GET_SREGS, KVM_SET_SREGS },
	{ KVM_GET_SREGS2, KVM_SET_SREGS2 },
	{ KVM_GET_FPU, KVM_SET_FPU },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE },
	{ KVM_GET_XCRS, KVM_SET_XCRS },
};
#define NR_STATES (sizeof(states) / sizeof(states[0]))

/* What is read of one vCPU, changed a little, is written to it or to another. */
static long set_state(struct actor *a)
{
	size_t i = rng_below(a->r, NR_STATES);
	int from = any_vcpu(a), to = rng_one_in(a->r, 4) ? any_vcpu(a) : from;

	memset(a->buffer, 0, _IOC_SIZE(states[i].set));
	ioctl(from, states[i].get, a->buffer);
	mutate(a->r, a->buffer, _IOC_SIZE(states[i].set));
	return ioctl(to, states[i].set, a->buffer);
}

static long get_state(struct actor *a)
{
	return ioctl(any_vcpu(a), states[rng_below(a->r, NR_STATES)].get,
		     rng_one_in(a->r, 8) ? any_address(a) : a->buffer);
}

static uint32_t any_msr(struct rng *r)
{
	static const uint32_t known[] = {
		0x10,	    0x1b,	0x3a,	    0x3b,	0x48,	    0x49,	0x8b,
		0xfe,	    0x10a,	0x174,	    0x175,	0x176,	    0x179,	0x17a,
		0x1a0,	    0x1d9,	0x200,	    0x201,	0x250,	    0x277,	0x2ff,
		0x345,	    0x480,	0x48b,	    0x491,	0x6e0,	    0x802,	0x808,
		0x80b,	    0x80f,	0x830,	    0x83f,	0xda0,	    0xc0000080, 0xc0000081,
		0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
		0xc0010015, 0xc001001f, 0xc0010114, 0xc0010117, 0xc001011f, 0x11,	0x12,
		0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x4b564d05, 0x400,
		0x401,	    0x40000000, 0x40000001,
	};
	uint32_t msr = rng_pick(r, known);

	return rng_one_in(r, 8) ? msr + rng_below(r, 32) : rng_one_in(r, 16) ? any_u64(r) : msr;
}

static long msrs(struct actor *a)
{
	struct kvm_msrs *m = (void *)a->buffer;
	int fd = any_vcpu(a);

	memset(m, 0, sizeof(*m));
	m->nmsrs = rng_one_in(a->r, 32) ? any_u64(a->r) : 1 + rng_below(a->r, 8);
	for (int i = 0; i < 8; i++) {
		m->entries[i].index = any_msr(a->r);
		m->entries[i].reserved = 0;
		m->entries[i].data = any_u64(a->r);
	}
	if (rng_one_in(a->r, 2)) {
		ioctl(fd, KVM_GET_MSRS, m);
		m->entries[0].data ^= 1ULL << rng_below(a->r, 64);
	}
	return ioctl(fd, KVM_SET_MSRS, m);
}

static long set_cpuid(struct actor *a)
{
	struct kvm_cpuid2 *cpuid = (void *)a->buffer;

	memset(cpuid, 0, sizeof(*cpuid) + 128 * sizeof(cpuid->entries[0]));
	cpuid->nent = 128;
	if (ioctl(any_sys(a), KVM_GET_SUPPORTED_CPUID, cpuid))
		cpuid->nent = rng_below(a->r, 8);
	if (rng_one_in(a->r, 2))
		mutate(a->r, cpuid->entries, 40UL * cpuid->nent);
	if (rng_one_in(a->r, 16))
		cpuid->nent = any_u64(a->r);
	return ioctl(any_vcpu(a), KVM_SET_CPUID2, cpuid);
}

static long inject(struct actor *a)
{
	struct kvm_interrupt irq = { .irq = rng_below(a->r, 300) };
	int fd = any_vcpu(a);

	return rng_one_in(a->r, 3) ? ioctl(fd, KVM_NMI, 0) : ioctl(fd, KVM_INTERRUPT, &irq);
}

/* Mostly flags that there are, and breakpoints where the guest may be. */
static long guest_debug(struct actor *a)
{
	struct kvm_guest_debug dbg = { .control = rng64(a->r) & 0x1f0003 };

	if (rng_one_in(a->r, 16))
		dbg.control = any_u64(a->r);
	for (int i = 0; i < 4; i++)
		dbg.arch.debugreg[i] = rng_one_in(a->r, 2) ? CODE_GPA + rng_below(a->r, CODE_SIZE) : any_u64(a->r);
	dbg.arch.debugreg[7] = rng_one_in(a->r, 16) ? any_u64(a->r) : rng64(a->r) & 0xffffffff;
	return ioctl(any_vcpu(a), KVM_SET_GUEST_DEBUG, &dbg);
}

static long machine_check(struct actor *a)
{
	struct kvm_x86_mce mce = {
		.status = rng64(a->r) | 1ULL << 63, .mcg_status = rng_below(a->r, 8), .bank = rng_below(a->r, 12),
	};

	return ioctl(any_vcpu(a), KVM_X86_SET_MCE, &mce);
}

static long small_things(struct actor *a)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} mask = { .head.len = rng_one_in(a->r, 8) ? any_u64(a->r) : 8, .set = any_u64(a->r) };
	struct kvm_tpr_access_ctl tpr = { .enabled = rng_below(a->r, 2) };
	uint64_t value = any_u64(a->r);
	int fd = any_vcpu(a);

	switch (rng_below(a->r, 6)) {
	case 0:
		/* SIGUSR1 is what ends a run that would last for ever. */
		mask.set &= ~(1ULL << 9);
		return ioctl(fd, KVM_SET_SIGNAL_MASK, rng_one_in(a->r, 2) ? &mask : NULL);
	case 1:
		return ioctl(fd, KVM_SET_TSC_KHZ, value);
	case 2:
		return ioctl(fd, KVM_KVMCLOCK_CTRL, 0);
	case 3:
		return ioctl(fd, KVM_X86_SETUP_MCE, &value);
	case 4:
		return ioctl(fd, KVM_SET_VAPIC_ADDR, &value);
	default:
		return ioctl(fd, KVM_TPR_ACCESS_REPORTING, &tpr);
	}
}

static void count_exit(struct actor *a, const struct kvm_run *run, long r)
{
	uint32_t reason = r ? 63 : run->exit_reason;

	__atomic_fetch_add(&a->w->progress->exits[reason & 63], 1, __ATOMIC_RELAXED);
}

/*
 * Up to some runs, with answers to what the guest asked for; then, once in a while, bytes over
 * the page.
 */
static long run(struct actor *a)
{
	int nr = 1 + rng_below(a->r, 12), i = rng_one_in(a->r, 3) ? rng_below(a->r, NR_VCPUS) : 0;
	struct kvm_run *page = a->w->run[i], copy;
	uint64_t sync[2] = { 0 };
	uint8_t bytes[64];
	long r = -1;

	if (rng_one_in(a->r, 16)) {
		rng_fill(a->r, bytes, sizeof(bytes));
		poke((uint8_t *)page + rng_below(a->r, a->w->run_size - sizeof(bytes)), bytes,
		     sizeof(bytes));
	}
	/* kvm_valid_regs and kvm_dirty_regs: what is not right keeps all from running. */
	for (int n = 0; n < 2; n++)
		if (rng_one_in(a->r, 8))
			sync[n] = rng_below(a->r, 9);
	poke(&page->kvm_valid_regs, sync, sizeof(sync));
	rng_fill(a->r, bytes, sizeof(bytes));
	bytes[0] = rng_one_in(a->r, 2);		/* request_interrupt_window */
	bytes[1] = rng_one_in(a->r, 16);	/* immediate_exit */
	poke(page, bytes, 2);
	while (nr--) {
		r = ioctl(a->w->vcpu[i], KVM_RUN, 0);
		memset(&copy, 0, sizeof(copy));
		poke(&copy, page, sizeof(copy));
		count_exit(a, &copy, r);
		if (r)
			break;
		if (copy.exit_reason == KVM_EXIT_MMIO)
			poke(page->mmio.data, bytes + 8, 8);
		else if (copy.exit_reason == KVM_EXIT_IO)
			poke((uint8_t *)page + PAGE_SIZE, bytes + 8, 56);
		else if (copy.exit_reason != KVM_EXIT_HLT &&
			 copy.exit_reason != KVM_EXIT_IRQ_WINDOW_OPEN)
			break;
	}
	return r;
}

static long any_run_page(struct actor *a)
{
	uint64_t v = any_u64(a->r);

	return poke((uint8_t *)a->w->run[rng_below(a->r, NR_VCPUS)] +
			    rng_below(a->r, a->w->run_size - 8),
		    &v, 8);
}

/* Four GiB, one to one, by 2 MiB pages. */
static void write_tables(uint8_t *mem)
{
	uint64_t *table = malloc(6 * PAGE_SIZE);

	if (!table)
		return;
	memset(table, 0, 6 * PAGE_SIZE);
	table[0] = (TABLES_GPA + PAGE_SIZE) | 7;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (TABLES_GPA + PAGE_SIZE * (2 + i)) | 7;
	for (uint64_t i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | 0x87;
	poke(mem + TABLES_GPA, table, 6 * PAGE_SIZE);
	free(table);
}

/* A mode of the CPU: real, protected with or without paging, long; flat segments. */
static void set_mode(struct actor *a, int fd, unsigned int mode)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 | (rng_one_in(a->r, 2) ? 0x200 : 0) };
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 0x10,
		.type = 3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_sregs s;

	rng_fill(a->r, &regs.rax, sizeof(uint64_t) * 6);
	regs.rbx = any_gpa(a->r);
	regs.rsi = any_gpa(a->r);
	regs.rdi = any_gpa(a->r);
	regs.rcx = any_msr(a->r);
	regs.rsp = STACK_GPA;
	if (ioctl(fd, KVM_GET_SREGS, &s))
		return;
	if (mode) {
		s.ds = s.es = s.fs = s.gs = s.ss = s.cs = data;
		s.cs.selector = 8;
		s.cs.type = 11;
		s.cr0 = 0x11;
		s.cr4 = 0;
		s.efer = 0;
	} else {
		struct kvm_segment real = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };

		s.ds = s.es = s.fs = s.gs = s.ss = s.cs = real;
		s.cs.type = 11;
		s.cr0 = 0x10;
		s.cr4 = 0;
		s.efer = 0;
		regs.rsp &= 0xffff;
	}
	if (mode >= 2) {
		s.cr0 |= 1UL << 31;
		s.cr3 = TABLES_GPA;
		s.cr4 |= 1UL << 5 | rng_below(a->r, 2) << 9 | rng_below(a->r, 2) << 7;
		s.efer |= 0x500;
		s.cs.l = 1;
		s.cs.db = 0;
	}
	s.idt.base = rng_one_in(a->r, 2) ? 0 : any_gpa(a->r);
	ioctl(fd, KVM_SET_SREGS, &s);
	ioctl(fd, KVM_SET_REGS, &regs);
}

/* A fresh start for a vCPU, since random state seldom runs for long. */
static long start_guest(struct actor *a)
{
	static const unsigned int modes[] = { 0, 1, 2, 2, 2 };
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_vcpu_events events = { 0 };
	uint8_t code[CODE_SIZE];
	struct rng r;
	int fd = any_vcpu(a);

	ioctl(fd, KVM_SET_MP_STATE, &runnable);
	ioctl(fd, KVM_SET_VCPU_EVENTS, &events);
	set_mode(a, fd, rng_pick(a->r, modes));
	r = rng_split(rng64(a->r), 0);
	guest_code(&r, code, sizeof(code));
	write_tables(a->w->area[0]);
	return poke(a->w->area[0] + CODE_GPA, code, sizeof(code));
}

static long close_vcpu(struct actor *a)
{
	return replace_fd(&a->w->vcpu[place(a, NR_VCPUS)], -1);
}

void world_setup(struct actor *a)
{
	struct world *w = a->w;
	struct kvm_userspace_memory_region region = {
		.memory_size = AREA_SIZE, .userspace_addr = (uintptr_t)w->area[0],
	};
	struct kvm_pit_config pit = { 0 };
	int nr = 1 + rng_below(a->r, 3);
	uint64_t irqchip = rng_below(a->r, 3);

	w->vm[0] = ioctl(w->sys[0], KVM_CREATE_VM, 0);
	ioctl(w->vm[0], KVM_SET_USER_MEMORY_REGION, &region);
	if (irqchip)
		ioctl(w->vm[0], KVM_CREATE_IRQCHIP, 0);
	if (irqchip == 2)
		ioctl(w->vm[0], KVM_CREATE_PIT2, &pit);
	for (int i = 0; i < nr; i++) {
		struct kvm_cpuid2 *cpuid = (void *)a->buffer;

		w->vcpu[i] = ioctl(w->vm[0], KVM_CREATE_VCPU, (unsigned long)i);
		if (w->vcpu[i] < 0)
			continue;
		mmap(w->run[i], w->run_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     w->vcpu[i], 0);
		cpuid->nent = 256;
		if (!ioctl(w->sys[0], KVM_GET_SUPPORTED_CPUID, cpuid))
			ioctl(w->vcpu[i], KVM_SET_CPUID2, cpuid);
	}
	for (int i = 0; i < nr; i++)
		start_guest(a);
}

const struct op vcpu_ops[] = {
	{ "run", 60, run },
	{ "start_guest", 24, start_guest },
	{ "set_state", 24, set_state },
	{ "get_state", 6, get_state },
	{ "msrs", 14, msrs },
	{ "set_cpuid", 3, set_cpuid },
	{ "inject", 8, inject },
	{ "guest_debug", 4, guest_debug },
	{ "machine_check", 2, machine_check },
	{ "small_things", 3, small_things },
	{ "any_run_page", 4, any_run_page },
	{ "close_vcpu", 1, close_vcpu },
	{ 0 },
};
