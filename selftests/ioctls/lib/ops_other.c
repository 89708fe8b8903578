// SPDX-License-Identifier: GPL-2.0-only
/* Operations on memory, on descriptors as such, and ioctls that nobody has heard of. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* --- memory --- */

/* What lies in an area changes; its address stays the area's. */
static long remap_area(struct actor *a)
{
	uint8_t *area = a->w->area[rng_below(a->r, NR_AREAS)];
	size_t len = rng_one_in(a->r, 2) ? AREA_SIZE : (1 + rng_below(a->r, 64)) * PAGE_SIZE;
	size_t at = rng_below(a->r, (AREA_SIZE - len) / PAGE_SIZE + 1) * PAGE_SIZE;
	int prot = rng_one_in(a->r, 8) ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = MAP_FIXED | MAP_NORESERVE;
	void *p;

	switch (rng_below(a->r, 4)) {
	case 0:
		p = mmap(area + at, len, prot, flags | MAP_SHARED, a->w->memfd, at);
		break;
	case 1:
		p = mmap(area + at, len, prot, flags | MAP_PRIVATE, a->w->memfd, at);
		break;
	case 2:
		p = mmap(area + at, len, PROT_NONE, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	default:
		p = mmap(area + at, len, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	}
	return p == MAP_FAILED ? -1 : 0;
}

static long advise(struct actor *a)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED,	MADV_PAGEOUT,  MADV_COLD,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_MERGEABLE,
		MADV_FREE,     MADV_REMOVE,	MADV_WILLNEED, MADV_POPULATE_WRITE,
	};
	uint8_t *area = a->w->area[rng_one_in(a->r, 2) ? 0 : rng_below(a->r, NR_AREAS)];
	size_t at = rng_below(a->r, AREA_SIZE / PAGE_SIZE) * PAGE_SIZE;
	size_t len = rng_one_in(a->r, 4) ? AREA_SIZE - at : PAGE_SIZE;
	int what = rng_pick(a->r, advice);

	/* The first area has the guest's code. */
	if (area == a->w->area[0] && len > PAGE_SIZE &&
	    (what == MADV_DONTNEED || what == MADV_REMOVE))
		len = PAGE_SIZE;
	return madvise(area + at, len, what);
}

static long protect(struct actor *a)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE };
	uint8_t *area = a->w->area[rng_below(a->r, NR_AREAS)];
	size_t at = rng_below(a->r, AREA_SIZE / PAGE_SIZE) * PAGE_SIZE;
	size_t len = rng_one_in(a->r, 4) ? AREA_SIZE - at : PAGE_SIZE;

	return mprotect(area + at, len, rng_pick(a->r, prots));
}

static long write_memory(struct actor *a)
{
	uint8_t *area = a->w->area[rng_one_in(a->r, 2) ? 0 : rng_below(a->r, NR_AREAS)];
	size_t at = rng_below(a->r, AREA_SIZE - 64);
	uint8_t bytes[64];

	rng_fill(a->r, bytes, sizeof(bytes));
	return poke(area + at, bytes, rng_one_in(a->r, 2) ? 8 : 64);
}

/* A process with a copy of everything; what it tries ends with EIO, what it writes is its own. */
static long fork_once(struct actor *a)
{
	uint64_t pages = rng_below(a->r, 16);
	uint8_t byte = 0x5a;
	pid_t pid = fork();

	if (!pid) {
		for (uint64_t i = 0; i < pages; i++)
			poke(a->w->area[0] + 0x200000 + i * PAGE_SIZE, &byte, 1);
		ioctl(a->w->vcpu[0], KVM_RUN, 0);
		ioctl(a->w->vm[0], KVM_CREATE_VCPU, 7UL);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0)
		;
	return pid;
}

static long truncate_file(struct actor *a)
{
	size_t size = rng_below(a->r, AREA_SIZE / PAGE_SIZE + 1) * PAGE_SIZE;
	long r = ftruncate(a->w->memfd, size);

	return r ? r : ftruncate(a->w->memfd, AREA_SIZE);
}

const struct op memory_ops[] = {
	{ "remap_area", 4, remap_area },
	{ "advise", 10, advise },
	{ "protect", 4, protect },
	{ "write_memory", 8, write_memory },
	{ "fork_once", 1, fork_once },
	{ "truncate_file", 1, truncate_file },
	{ 0 },
};

/* --- anything else --- */

static int any_fd(struct actor *a)
{
	switch (rng_below(a->r, 4)) {
	case 0:
		return any_sys(a);
	case 1:
		return any_vm(a);
	case 2:
		return any_vcpu(a);
	default:
		return any_eventfd(a);
	}
}

static long any_ioctl(struct actor *a)
{
	unsigned int nr = rng_below(a->r, 256),
		     size = rng_one_in(a->r, 2) ? 8 : rng_below(a->r, 1 << 14);
	unsigned int dir = rng_below(a->r, 4),
		     type = rng_one_in(a->r, 32) ? rng_below(a->r, 256) : KVMIO;
	unsigned long arg;
	int fd = any_fd(a);

	rng_fill(a->r, a->buffer, 256);
	arg = rng_one_in(a->r, 3)   ? any_u64(a->r)
	      : rng_one_in(a->r, 8) ? (unsigned long)any_address(a)
				    : (unsigned long)a->buffer;
	/* Signals have to go on ending runs. */
	if (nr == _IOC_NR(KVM_SET_SIGNAL_MASK))
		return -1;
	return ioctl(fd, _IOC(dir, type, nr, size), arg);
}

/* A known command with a wrong size, direction or pointer. */
static long nearly_known(struct actor *a)
{
	static const unsigned long cmds[] = {
		KVM_SET_REGS,
		KVM_GET_SREGS,
		KVM_SET_LAPIC,
		KVM_SET_IRQCHIP,
		KVM_IRQFD,
		KVM_IOEVENTFD,
		KVM_SET_MSRS,
		KVM_SET_CPUID2,
		KVM_GET_CPUID2,
		KVM_SET_XSAVE,
		KVM_SET_USER_MEMORY_REGION,
		KVM_SET_GSI_ROUTING,
		KVM_GET_DIRTY_LOG,
		KVM_SET_VCPU_EVENTS,
		KVM_SET_PIT2,
		KVM_ENABLE_CAP,
		KVM_TRANSLATE,
		KVM_SET_GUEST_DEBUG,
		KVM_SMI,
		KVM_GET_XSAVE2,
	};
	unsigned long cmd = rng_pick(a->r, cmds);
	int fd = rng_one_in(a->r, 2) ? any_vm(a) : any_vcpu(a);

	if (rng_one_in(a->r, 4))
		cmd ^= 1UL << rng_below(a->r, 32);
	rng_fill(a->r, a->buffer, 1024);
	if (_IOC_NR(cmd) == _IOC_NR(KVM_SET_SIGNAL_MASK))
		return -1;
	return ioctl(fd, cmd, rng_one_in(a->r, 3) ? any_address(a) : a->buffer);
}

/* What other system calls make of these descriptors. */
static long other_calls(struct actor *a)
{
	struct pollfd p = { .fd = any_fd(a), .events = POLLIN | POLLOUT };
	uint64_t offset = rng_below(a->r, 6) * PAGE_SIZE,
		 len = (1 + rng_below(a->r, 4)) * PAGE_SIZE;
	void *m;

	switch (rng_below(a->r, 6)) {
	case 0:
		return read(p.fd, a->buffer, 8);
	case 1:
		return write(p.fd, a->buffer, 8);
	case 2:
		return poll(&p, 1, 0);
	case 3:
		return lseek(p.fd, offset, SEEK_SET);
	case 4:
		return fcntl(p.fd, F_GETFL);
	default:
		m = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 rng_one_in(a->r, 4) ? MAP_PRIVATE : MAP_SHARED, p.fd, offset);
		if (m == MAP_FAILED)
			return -1;
		poke(a->buffer, m, 8);
		return munmap(m, len);
	}
}

static long duplicate(struct actor *a)
{
	switch (rng_below(a->r, 3)) {
	case 0:
		return replace_fd(&a->w->vm[place(a, NR_VMS)], dup(any_vm(a)));
	case 1:
		return replace_fd(&a->w->eventfd[place(a, NR_EVENTFDS)], dup(any_eventfd(a)));
	default:
		return replace_fd(&a->w->sys[place(a, NR_SYS)], dup(any_sys(a)));
	}
}

static long close_eventfd(struct actor *a)
{
	return replace_fd(&a->w->eventfd[place(a, NR_EVENTFDS)], -1);
}

/* To another CPU, or to all. */
static long migrate(struct actor *a)
{
	int wanted = rng_below(a->r, 8), seen = 0, nr = CPU_COUNT(&a->w->cpus);
	cpu_set_t one;

	if (wanted >= nr)
		return sched_setaffinity(0, sizeof(a->w->cpus), &a->w->cpus);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &a->w->cpus) && seen++ == wanted)
			CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

const struct op other_ops[] = {
	{ "any_ioctl", 8, any_ioctl },
	{ "nearly_known", 8, nearly_known },
	{ "other_calls", 4, other_calls },
	{ "duplicate", 1, duplicate },
	{ "close_eventfd", 3, close_eventfd },
	{ "migrate", 4, migrate },
	{ 0 },
};
