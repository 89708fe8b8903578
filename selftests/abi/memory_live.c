// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory while vCPUs use it and the host changes what is behind it: copy-on-write, large
 * pages made and split, page-out, migration, merging; the dirty log as a live migration uses it;
 * slots that go and come. No write may get lost, and none may reach memory that was taken away.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	0x40000000UL
#define NR_PAGES	1024UL
#define SLOT_SIZE	(NR_PAGES * VM_PAGE_SIZE)
#define LARGE_PAGE	(2UL << 20)
#define NR_VCPUS	2
#define ROUNDS		40
/* An emulated host has other things to do as well. */
#define SLOW_S		120
#define FEW_S		5

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/*
 * Counts up at rdi, and at r8 for all, in each of the slot's pages; then says so by a port; again.
 */
GUEST_CODE(count_pages, 64,
	   "1: movl $0x40000000, %ebx\n"
	   "movl $1024, %ecx\n"
	   "2: lock incq (%rbx, %rdi)\n"
	   "lock incq (%rbx, %r8)\n"
	   "addq $4096, %rbx\n"
	   "loop 2b\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

/* Counts up at r8 in 500 pages, chosen by a generator in rdi; then says so by a port; again. */
GUEST_CODE(count_random, 64,
	   "1: movl $500, %ecx\n"
	   "2: imulq $1664525, %rdi, %rdi\n"
	   "addq $1013904223, %rdi\n"
	   "movl %edi, %ebx\n"
	   "shrl $10, %ebx\n"
	   "andl $0x3ff000, %ebx\n"
	   "lock incq 0x40000000(%rbx, %r8)\n"
	   "loop 2b\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

/* Where in a page each counter is. */
enum { OF_ALL, OF_HOST, OF_VCPU };
#define OFFSET(counter)	((counter) * 64UL)

struct runner {
	struct vcpu *vcpu;
	pthread_t thread;
	bool *stop;
	unsigned long passes;
	int failed;		/* KVM_RUN's answer that was not the port's */
};

FIXTURE(live)
{
	struct vm vm;
	uint8_t *hva;
	struct runner runner[NR_VCPUS];
	bool stop;
};

static uint8_t *alloc_aligned(void)
{
	uint8_t *area = page_alloc(SLOT_SIZE + LARGE_PAGE);

	if (!area)
		return NULL;
	return (uint8_t *)(((uintptr_t)area + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1));
}

FIXTURE_SETUP(live)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->hva = alloc_aligned();
	ASSERT_NE(NULL, self->hva);
	memset(self->runner, 0, sizeof(self->runner));
	self->stop = false;
}

FIXTURE_TEARDOWN(live)
{
	vm_close(&self->vm);
}

/* Counts up, in one page and LOCKed, without end. */
GUEST_CODE(count_one_page, 64,
	   "1: lock incq 0x40000000(%rdi)\n"
	   "incq 0x40000000(%rdi)\n"
	   "jmp 1b\n");

/* Passes until told to stop; accesses without memory behind them are done as nothing. */
static void *run_vcpu(void *arg)
{
	struct runner *runner = arg;

	while (!__atomic_load_n(runner->stop, __ATOMIC_SEQ_CST)) {
		int reason = vcpu_run(runner->vcpu);

		if (reason == KVM_EXIT_IO) {
			__atomic_fetch_add(&runner->passes, 1, __ATOMIC_SEQ_CST);
		} else if (reason != KVM_EXIT_MMIO) {
			runner->failed = reason ? reason : -1;
			break;
		}
	}
	return NULL;
}

static unsigned long passes(const struct runner *runner)
{
	return __atomic_load_n(&runner->passes, __ATOMIC_SEQ_CST);
}

static int start_vcpu(struct vm *vm, struct runner *runner, bool *stop, uint64_t rdi)
{
	struct kvm_regs regs;

	runner->vcpu = vm_add_vcpu(vm);
	runner->stop = stop;
	if (!runner->vcpu || vcpu_long_mode(vm, runner->vcpu, VM_CODE_GPA) ||
	    ioctl(runner->vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rdi = rdi;
	regs.r8 = OFFSET(OF_ALL);
	if (ioctl(runner->vcpu->fd, KVM_SET_REGS, &regs))
		return -1;
	return pthread_create(&runner->thread, NULL, run_vcpu, runner);
}

static int stop_vcpus(struct runner *runner, bool *stop)
{
	int failed = 0;

	__atomic_store_n(stop, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < NR_VCPUS; i++) {
		pthread_join(runner[i].thread, NULL);
		if (runner[i].failed)
			failed = runner[i].failed;
	}
	return failed;
}

static volatile uint64_t *counter(uint8_t *hva, unsigned long page, int which)
{
	return (volatile uint64_t *)(hva + page * VM_PAGE_SIZE + OFFSET(which));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	/* Not every kernel has each of these. */
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

/* One of the things that hosts do to their processes' memory. */
static void disturb(int how, uint8_t *hva)
{
	pid_t pid;

	switch (how) {
	case 0:
		/* Every page becomes copy-on-write, and is single again. */
		pid = fork();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
		break;
	case 1:
		madvise(hva, SLOT_SIZE, MADV_HUGEPAGE);
		madvise(hva, SLOT_SIZE, MADV_COLLAPSE);
		break;
	case 2:
		/* One small page out of a large one: it is split. */
		mprotect(hva + 5 * VM_PAGE_SIZE, VM_PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
		mprotect(hva + 5 * VM_PAGE_SIZE, VM_PAGE_SIZE, PROT_READ | PROT_WRITE);
		break;
	case 3:
		madvise(hva, SLOT_SIZE, MADV_PAGEOUT);
		break;
	case 4:
		write_file("/proc/sys/vm/compact_memory", "1");
		break;
	case 5:
		madvise(hva, SLOT_SIZE, MADV_COLD);
		break;
	}
}

/* All pages' counters of guest and host against how often each counted. */
static unsigned long count_wrong(uint8_t *hva, const struct runner *runner, uint64_t host)
{
	unsigned long wrong = 0;
	uint64_t all = 0;

	for (int i = 0; i < NR_VCPUS; i++)
		all += runner[i].passes;
	for (unsigned long page = 0; page < NR_PAGES; page++) {
		wrong += *counter(hva, page, OF_ALL) != all;
		wrong += *counter(hva, page, OF_HOST) != host;
		for (int i = 0; i < NR_VCPUS; i++)
			wrong += *counter(hva, page, OF_VCPU + i) != runner[i].passes;
	}
	return wrong;
}

TEST_F_TIMEOUT(live, no_write_is_lost_while_the_host_moves_pages, SLOW_S)
{
	uint64_t host = 0;

	write_file("/sys/kernel/mm/ksm/run", "1");
	madvise(self->hva, SLOT_SIZE, MADV_MERGEABLE);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	vm_load(&self->vm, VM_CODE_GPA, count_pages);
	for (int i = 0; i < NR_VCPUS; i++)
		ASSERT_EQ(0, start_vcpu(&self->vm, &self->runner[i], &self->stop,
					OFFSET(OF_VCPU + i)));
	for (int round = 0; round < ROUNDS; round++) {
		disturb(round % 6, self->hva);
		/* The host's own writes have to be in the same pages as the guest's. */
		for (unsigned long page = 0; page < NR_PAGES; page++)
			__atomic_fetch_add(counter(self->hva, page, OF_HOST), 1, __ATOMIC_SEQ_CST);
		host++;
	}
	EXPECT_EQ(0, stop_vcpus(self->runner, &self->stop));
	write_file("/sys/kernel/mm/ksm/run", "0");
	EXPECT_LT(0UL, self->runner[0].passes);
	EXPECT_LT(0UL, self->runner[1].passes);
	EXPECT_EQ(0UL, count_wrong(self->hva, self->runner, host));
}

/* Copies the pages that the log names. How many, or -1. */
static long copy_dirty(struct vm *vm, const uint8_t *hva, uint8_t *copy)
{
	uint64_t bitmap[NR_PAGES / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	long nr = 0;

	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
		return -1;
	for (unsigned long page = 0; page < NR_PAGES; page++) {
		if (!(bitmap[page / 64] >> (page % 64) & 1))
			continue;
		memcpy(copy + page * VM_PAGE_SIZE, hva + page * VM_PAGE_SIZE, VM_PAGE_SIZE);
		nr++;
	}
	return nr;
}

/* As a live migration: a first copy, then what the log names, until the vCPUs stand still. */
TEST_F_TIMEOUT(live, the_dirty_log_makes_a_true_copy, SLOW_S)
{
	uint8_t *copy = page_alloc(SLOT_SIZE);
	long last;

	ASSERT_NE(NULL, copy);
	madvise(self->hva, SLOT_SIZE, MADV_HUGEPAGE);
	memset(self->hva, 0, SLOT_SIZE);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	vm_load(&self->vm, VM_CODE_GPA, count_random);
	for (int i = 0; i < NR_VCPUS; i++)
		ASSERT_EQ(0, start_vcpu(&self->vm, &self->runner[i], &self->stop, i + 1));
	/* Everything is mapped, by large pages where there are any, before the log begins. */
	while (passes(&self->runner[0]) < 20 || passes(&self->runner[1]) < 20)
		usleep(1000);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE,
				 self->hva));
	memcpy(copy, self->hva, SLOT_SIZE);
	for (int round = 0; round < ROUNDS; round++) {
		ASSERT_LE(0, copy_dirty(&self->vm, self->hva, copy));
		if (round % 8 == 0)
			disturb(round / 8 % 6, self->hva);
	}
	EXPECT_EQ(0, stop_vcpus(self->runner, &self->stop));
	last = copy_dirty(&self->vm, self->hva, copy);
	EXPECT_LT(0, last);
	EXPECT_EQ(0, memcmp(copy, self->hva, SLOT_SIZE));
	/* And nothing is dirty any more. */
	EXPECT_EQ(0, copy_dirty(&self->vm, self->hva, copy));
}

/* Once the ioctl has returned, the memory of a deleted slot is the VMM's alone. */
TEST_F_TIMEOUT(live, nothing_is_written_to_a_deleted_slot, SLOW_S)
{
	unsigned long wrong = 0;

	vm_load(&self->vm, VM_CODE_GPA, count_pages);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	for (int i = 0; i < NR_VCPUS; i++)
		ASSERT_EQ(0, start_vcpu(&self->vm, &self->runner[i], &self->stop,
					OFFSET(OF_VCPU + i)));
	for (int round = 0; round < ROUNDS; round++) {
		unsigned long before = passes(&self->runner[0]);

		while (passes(&self->runner[0]) == before && !self->runner[0].failed)
			usleep(100);
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL));
		memset(self->hva, 0x5a, SLOT_SIZE);
		usleep(2000);
		for (unsigned long i = 0; i < SLOT_SIZE; i += 64)
			wrong += self->hva[i] != 0x5a;
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	}
	EXPECT_EQ(0, stop_vcpus(self->runner, &self->stop));
	EXPECT_EQ(0UL, wrong);
}

/* The memory of an instruction that is being emulated may go, and come, between any two of its accesses. */
TEST_F_TIMEOUT(live, slots_go_and_come_under_emulated_instructions, SLOW_S)
{
	struct timespec now;
	time_t end;

	vm_load(&self->vm, VM_CODE_GPA, count_one_page);
	for (int i = 0; i < NR_VCPUS; i++)
		ASSERT_EQ(0, start_vcpu(&self->vm, &self->runner[i], &self->stop,
					OFFSET(OF_VCPU + i)));
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + FEW_S;
	/* Without the mend of what this is about a hundred or so were enough. */
	for (int round = 0; round < 20 * ROUNDS && now.tv_sec < end; round++) {
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
		if (round % 2)
			usleep(10 * (round % 20));
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL));
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	EXPECT_EQ(0, stop_vcpus(self->runner, &self->stop));
}

TEST_HARNESS_MAIN
