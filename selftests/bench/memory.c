// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page faults and the dirty log. All pages are of 4 KiB, in the host too.
 */
#include "bench.h"

#include <sys/mman.h>

#define REGION_GPA	0x40000000UL
#define REGION_SIZE	(1UL << 30)
#define FAULTS_SIZE	(4UL << 20)
#define SLOT		1
#define DIRTY_PAGES	512
/* A page in each page table. */
#define DIRTY_STRIDE	(REGION_SIZE / DIRTY_PAGES)

/* EBP pages from RSI on, RDI bytes apart. */
GUEST_CODE(touch, 64, LOOP("movl %ebp, (%rsi)\n addq %rdi, %rsi"));

static int setup_region(struct bench *b, size_t size, uint32_t flags)
{
	if (bench_open(b, 0))
		return -1;
	vm_load(&b->vm, VM_CODE_GPA, touch);
	b->region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	if (b->region == MAP_FAILED)
		return -1;
	/* Kernels without huge pages refuse it, and need it not. */
	(void)madvise(b->region, size, MADV_NOHUGEPAGE);
	return vm_set_slot(&b->vm, SLOT, flags, REGION_GPA, size, b->region);
}

static int run(struct bench *b, unsigned int n)
{
	return bench_until_done(b);
}

static int start(struct bench *b, unsigned int n)
{
	return bench_start(b->vcpu, n, REGION_GPA, VM_PAGE_SIZE);
}

static int setup_faults(struct bench *b)
{
	return setup_region(b, FAULTS_SIZE, 0);
}

/* The host has the pages, the nested tables do not: a slot that has just been made. */
static int prepare_present(struct bench *b, unsigned int n)
{
	memset(b->region, 1, FAULTS_SIZE);
	if (vm_set_slot(&b->vm, SLOT, 0, REGION_GPA, 0, b->region) ||
	    vm_set_slot(&b->vm, SLOT, 0, REGION_GPA, FAULTS_SIZE, b->region))
		return -1;
	return start(b, n);
}

/* The tables down to the last level are there, the page in the host is not. */
static int prepare_absent(struct bench *b, unsigned int n)
{
	if (madvise(b->region, FAULTS_SIZE, MADV_DONTNEED))
		return -1;
	return start(b, n);
}

static int get_dirty_log(struct bench *b)
{
	static uint64_t bitmap[REGION_SIZE / VM_PAGE_SIZE / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };

	return ioctl(b->vm.fd, KVM_GET_DIRTY_LOG, &log);
}

/* Mapped, and clean: written to once, then taken from the log. */
static int setup_clean(struct bench *b)
{
	if (setup_region(b, FAULTS_SIZE, KVM_MEM_LOG_DIRTY_PAGES) ||
	    start(b, FAULTS_SIZE / VM_PAGE_SIZE))
		return -1;
	return bench_until_done(b);
}

static int prepare_clean(struct bench *b, unsigned int n)
{
	return get_dirty_log(b) ? -1 : start(b, n);
}

static int setup_dirty_log(struct bench *b)
{
	return setup_region(b, REGION_SIZE, KVM_MEM_LOG_DIRTY_PAGES);
}

static int prepare_dirty_log(struct bench *b, unsigned int n)
{
	if (bench_start(b->vcpu, DIRTY_PAGES, REGION_GPA, DIRTY_STRIDE))
		return -1;
	return bench_until_done(b);
}

static int run_dirty_log(struct bench *b, unsigned int n)
{
	return n ? get_dirty_log(b) : 0;
}

const struct row memory_rows[] = {
	{ .name = "fault_present", SMALL_BATCHES, .setup = setup_faults, .prepare = prepare_present, .run = run },
	{ .name = "fault_absent", SMALL_BATCHES, .setup = setup_faults, .prepare = prepare_absent, .run = run },
	/* As many as the CPU can note without an exit (SDM vol. 3C, 28.3.6), and twice that. */
	{ .name = "dirty_write", .few = 512, .more = 1024, .batches = BATCHES, .setup = setup_clean,
	  .prepare = prepare_clean, .run = run },
	{ .name = "get_dirty_log", ONE_BY_ONE, .setup = setup_dirty_log, .prepare = prepare_dirty_log,
	  .run = run_dirty_log },
	{ }
};
