// SPDX-License-Identifier: GPL-2.0-only
/* Dirty rings: which pages a vCPU wrote, in memory shared with it. */
#include <pthread.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	0x40000000UL
#define NR_PAGES	4096UL
#define SLOT_SIZE	(NR_PAGES * VM_PAGE_SIZE)
/* Enough for a CPU that notes 512 pages at a time. */
#define RING_BYTES	(4 * 4096UL)
#define RING_ENTRIES	(RING_BYTES / sizeof(struct kvm_dirty_gfn))
#define RING_OFFSET	(KVM_DIRTY_LOG_PAGE_OFFSET * VM_PAGE_SIZE)

#ifndef KVM_DIRTY_LOG_PAGE_OFFSET
#define KVM_DIRTY_LOG_PAGE_OFFSET 64
#endif

/* Writes a byte to each of rcx pages from rbx on; then it says so. */
GUEST_CODE(dirtier, 64,
	   "1: inb $0x10, %al\n"
	   "2: incb (%rbx)\n"
	   "addq $4096, %rbx\n"
	   "decq %rcx\n"
	   "jnz 2b\n"
	   "jmp 1b\n");

/* Stores rcx, which counts up, at r8 in pages that a generator in rdi chooses; a port now and then. */
GUEST_CODE(scatter, 64,
	   "1: movl $64, %edx\n"
	   "2: imulq $1664525, %rdi, %rdi\n"
	   "addq $1013904223, %rdi\n"
	   "movl %edi, %ebx\n"
	   "shrl $8, %ebx\n"
	   "andl $0xfff000, %ebx\n"
	   "incq %rcx\n"
	   "movq %rcx, 0x40000000(%rbx, %r8)\n"
	   "decl %edx\n"
	   "jnz 2b\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

FIXTURE(dirty_ring)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *hva;
	struct kvm_dirty_gfn *ring;
	uint32_t at;
};

static struct kvm_dirty_gfn *map_ring(struct vcpu *vcpu)
{
	return mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, RING_OFFSET);
}

FIXTURE_SETUP(dirty_ring)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	if (!has_cap(&self->vm, KVM_CAP_DIRTY_LOG_RING))
		SKIP(return, "no dirty rings");
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DIRTY_LOG_RING, RING_BYTES));
	self->vcpu = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, self->vcpu);
	self->ring = map_ring(self->vcpu);
	ASSERT_NE(MAP_FAILED, self->ring);
	self->hva = page_alloc(SLOT_SIZE);
	ASSERT_NE(NULL, self->hva);
	vm_load(&self->vm, VM_CODE_GPA, dirtier);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE,
				 self->hva));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

FIXTURE_TEARDOWN(dirty_ring)
{
	if (self->ring && self->ring != MAP_FAILED)
		munmap(self->ring, RING_BYTES);
	vm_close(&self->vm);
	if (self->hva)
		munmap(self->hva, SLOT_SIZE);
}

/* Has the guest write to @nr pages from @first on. The exit's reason. */
static int dirty(struct vcpu *vcpu, uint64_t first, uint64_t nr)
{
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rbx = SLOT_GPA + first * VM_PAGE_SIZE;
	regs.rcx = nr;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs) ? -1 : vcpu_run(vcpu);
}

/* Gives an entry back; false when it holds nothing new. */
static bool take(struct kvm_dirty_gfn *ring, uint32_t at, struct kvm_dirty_gfn *gfn)
{
	struct kvm_dirty_gfn *entry = &ring[at % RING_ENTRIES];

	if (__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
		return false;
	*gfn = *entry;
	__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	return true;
}

/* Takes all of a ring and counts how often each page of the slot is there. */
static int harvest(struct kvm_dirty_gfn *ring, uint32_t *at, uint8_t *seen)
{
	struct kvm_dirty_gfn gfn;
	int n = 0;

	for (; take(ring, *at, &gfn); ++*at, n++) {
		if (gfn.slot != 1 || gfn.offset >= NR_PAGES)
			return -1;
		seen[gfn.offset]++;
	}
	return n;
}

static int reset(struct vm *vm)
{
	return ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, 0);
}

TEST_F(dirty_ring, capabilities)
{
	struct vm vm;
	int max = has_cap(&self->vm, KVM_CAP_DIRTY_LOG_RING);

	EXPECT_EQ(65536 * 16, max);
#ifdef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
	EXPECT_EQ(max, has_cap(&self->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL));
#endif
	/* Once, and before the first vCPU. */
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_DIRTY_LOG_RING, RING_BYTES));
	EXPECT_EQ(EINVAL, errno);

	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY));
	EXPECT_EQ(-1, reset(&vm));
	EXPECT_EQ(EINVAL, errno);
	for (int i = 0; i < 12; i++) {
		EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, 1UL << i));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, 3 * 4096));
	EXPECT_EQ(EINVAL, errno);
	/* The stock module looks at half of it. */
	if (!dev_is_reference()) {
		EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, (1UL << 32) + RING_BYTES));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, max * 2UL));
	EXPECT_EQ(E2BIG, errno);
	ASSERT_NE(NULL, vm_add_vcpu(&vm));
	EXPECT_EQ(-1, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, RING_BYTES));
	EXPECT_EQ(EINVAL, errno);
	vm_close(&vm);

	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY));
	EXPECT_EQ(0, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, max));
	EXPECT_NE(NULL, vm_add_vcpu(&vm));
	EXPECT_EQ(0, reset(&vm));
	vm_close(&vm);
}

TEST_F(dirty_ring, mapping)
{
	int fd = self->vcpu->fd;

	EXPECT_EQ(MAP_FAILED, mmap(NULL, RING_BYTES, PROT_READ, MAP_PRIVATE, fd, RING_OFFSET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, RING_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, RING_OFFSET));
	/* Newer kernels let no such file be executed. */
	EXPECT_TRUE(errno == EINVAL || errno == EPERM);
	for (uint32_t i = 0; i < RING_ENTRIES; i++) {
		ASSERT_EQ(0U, self->ring[i].flags);
	}
}

/* A log there is none beside the rings. */
TEST_F(dirty_ring, bitmaps_are_enxio)
{
	uint64_t bitmap[NR_PAGES / 64] = {};
	struct kvm_dirty_log get = { .slot = 1, .dirty_bitmap = bitmap };
	struct kvm_clear_dirty_log clear = { .slot = 1, .num_pages = NR_PAGES, .dirty_bitmap = bitmap };

	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &get));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CLEAR_DIRTY_LOG, &clear));
	EXPECT_EQ(ENXIO, errno);
}

TEST_F(dirty_ring, what_was_written_is_there)
{
	uint8_t seen[NR_PAGES] = {};

	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 10, 20));
	EXPECT_EQ(20, harvest(self->ring, &self->at, seen));
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		EXPECT_EQ(i >= 10 && i < 30, seen[i])
			TH_LOG("page %u", i);
	}
	EXPECT_EQ(20, reset(&self->vm));
	for (unsigned int i = 0; i < 20; i++) {
		EXPECT_EQ(0U, self->ring[i].flags);
	}
	EXPECT_EQ(0, reset(&self->vm));

	/* Again, among them some that are mapped for writing. */
	memset(seen, 0, sizeof(seen));
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 29, 2));
	EXPECT_EQ(2, harvest(self->ring, &self->at, seen));
	EXPECT_EQ(1, seen[29]);
	EXPECT_EQ(1, seen[30]);
	EXPECT_EQ(2, reset(&self->vm));
	EXPECT_EQ(2, self->hva[29 * VM_PAGE_SIZE]);

	/* Not given back: not seen again. */
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 100, 1));
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 100, 1));
	memset(seen, 0, sizeof(seen));
	EXPECT_EQ(1, harvest(self->ring, &self->at, seen));
	EXPECT_EQ(1, reset(&self->vm));
}

/* Entries are given back in order, up to the first that is not marked. */
TEST_F(dirty_ring, reset_stops_at_what_is_not_marked)
{
	struct kvm_dirty_gfn gfn;

	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 0, 10));
	for (uint32_t i = 0; i < 10; i++) {
		if (i != 4)
			ASSERT_TRUE(take(self->ring, i, &gfn));
	}
	EXPECT_EQ(4, reset(&self->vm));
	EXPECT_EQ(0, reset(&self->vm));
	ASSERT_TRUE(take(self->ring, 4, &gfn));
	EXPECT_EQ(6, reset(&self->vm));
}

TEST_F(dirty_ring, full)
{
	uint8_t *seen = calloc(1, NR_PAGES);
	int reason, exits = 0, total = 0, n;

	ASSERT_NE(NULL, seen);
	for (reason = dirty(self->vcpu, 0, NR_PAGES); reason == KVM_EXIT_DIRTY_RING_FULL;
	     reason = vcpu_run(self->vcpu)) {
		exits++;
		ASSERT_GT(100, exits);
		/* It stays so until something is given back. */
		ASSERT_EQ(KVM_EXIT_DIRTY_RING_FULL, vcpu_run(self->vcpu));
		n = harvest(self->ring, &self->at, seen);
		ASSERT_LT(0, n);
		EXPECT_GT(RING_ENTRIES, n);
		ASSERT_EQ(KVM_EXIT_DIRTY_RING_FULL, vcpu_run(self->vcpu));
		ASSERT_EQ(n, reset(&self->vm));
		total += n;
	}
	ASSERT_EQ(KVM_EXIT_IO, reason);
	total += harvest(self->ring, &self->at, seen);
	EXPECT_LE(4, exits);
	/* The write that filled the ring is made when there is room again, and is seen again. */
	EXPECT_LE(NR_PAGES, total);
	EXPECT_GE(NR_PAGES + exits, total);
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		ASSERT_LE(1, seen[i])
			TH_LOG("page %u", i);
		ASSERT_EQ(1, self->hva[i * VM_PAGE_SIZE]);
	}
	/* Once more over what is mapped: where the CPU notes writes, these are its notes. */
	(void)reset(&self->vm);
	memset(seen, 0, NR_PAGES);
	for (reason = dirty(self->vcpu, 0, NR_PAGES), total = exits = 0; reason == KVM_EXIT_DIRTY_RING_FULL;
	     reason = vcpu_run(self->vcpu)) {
		ASSERT_GT(100, ++exits);
		total += harvest(self->ring, &self->at, seen);
		ASSERT_LT(0, reset(&self->vm));
	}
	ASSERT_EQ(KVM_EXIT_IO, reason);
	total += harvest(self->ring, &self->at, seen);
	EXPECT_LE(NR_PAGES, total);
	EXPECT_GE(NR_PAGES + exits, total);
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		ASSERT_LE(1, seen[i])
			TH_LOG("page %u", i);
	}
	free(seen);
}

/* What the kernel writes for a vCPU is its write: here the page of its clock. */
TEST_F(dirty_ring, writes_of_the_kernel)
{
	struct vcpu *other = vm_add_vcpu(&self->vm);
	uint8_t seen[NR_PAGES] = {};
	struct kvm_dirty_gfn *ring;
	uint32_t at = 0;

	ASSERT_NE(NULL, other);
	ring = map_ring(other);
	ASSERT_NE(MAP_FAILED, ring);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, other));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, other, VM_CODE_GPA));
	ASSERT_EQ(1, vcpu_set_msr(other, 0x4b564d01, (SLOT_GPA + 7 * VM_PAGE_SIZE) | 1));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(other));
	ASSERT_EQ(KVM_EXIT_IO, dirty(other, 9, 1));
	EXPECT_LE(2, harvest(ring, &at, seen));
	EXPECT_LE(1, seen[7]);
	EXPECT_LE(1, seen[9]);
	EXPECT_LE(2, reset(&self->vm));
	EXPECT_EQ(0, harvest(self->ring, &self->at, seen));
	munmap(ring, RING_BYTES);
}

TEST_F(dirty_ring, each_vcpu_has_its_own)
{
	struct vcpu *other = vm_add_vcpu(&self->vm);
	uint8_t seen[NR_PAGES] = {};
	struct kvm_dirty_gfn *ring;
	uint32_t at = 0;

	ASSERT_NE(NULL, other);
	ring = map_ring(other);
	ASSERT_NE(MAP_FAILED, ring);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, other, VM_CODE_GPA));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(other));
	ASSERT_EQ(KVM_EXIT_IO, dirty(other, 50, 3));
	EXPECT_EQ(0, harvest(self->ring, &self->at, seen));
	EXPECT_EQ(3, harvest(ring, &at, seen));
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 60, 2));
	EXPECT_EQ(0, harvest(ring, &at, seen));
	EXPECT_EQ(2, harvest(self->ring, &self->at, seen));
	EXPECT_EQ(5, reset(&self->vm));
	munmap(ring, RING_BYTES);
}

/* Slots come and go; what rings still say of one that has gone is nothing. */
TEST_F(dirty_ring, slots_that_go)
{
	uint8_t seen[NR_PAGES] = {};

	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 0, 5));
	ASSERT_EQ(5, harvest(self->ring, &self->at, seen));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, self->hva));
	EXPECT_EQ(5, reset(&self->vm));
	/* A smaller one in its place, not logged; then logged. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 4 * VM_PAGE_SIZE, self->hva));
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 0, 4));
	EXPECT_EQ(0, harvest(self->ring, &self->at, seen));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, 4 * VM_PAGE_SIZE,
				 self->hva));
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 1, 2));
	EXPECT_EQ(2, harvest(self->ring, &self->at, seen));
	EXPECT_EQ(2, reset(&self->vm));
}

/* Entries are memory of the VMM's, who may write anything there. */
TEST_F(dirty_ring, entries_that_are_nonsense)
{
	static const struct kvm_dirty_gfn bad[] = {
		{ .slot = 0, .offset = 0 }, { .slot = 2, .offset = 0 },
		{ .slot = 1, .offset = NR_PAGES }, { .slot = 1, .offset = ~0UL },
		{ .slot = 1, .offset = 1UL << 63 }, { .slot = 1, .offset = NR_PAGES + 63 },
		{ .slot = 0x10001, .offset = 0 }, { .slot = 0xffff, .offset = 0 },
		{ .slot = 0xffffffff, .offset = ~0UL }, { .slot = 32764, .offset = 1 },
	};
	uint8_t seen[NR_PAGES] = {};

	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 0, ARRAY_SIZE(bad)));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		self->ring[i] = bad[i];
		self->ring[i].flags = i % 2 ? 0xffffffff : KVM_DIRTY_GFN_F_RESET;
	}
	EXPECT_EQ(ARRAY_SIZE(bad), (unsigned int)reset(&self->vm));
	self->at = ARRAY_SIZE(bad);
	/* Those that were never written are given back by nobody; the stock module counts them. */
	if (dev_is_reference())
		return;
	for (size_t i = 0; i < RING_ENTRIES; i++)
		self->ring[i].flags = KVM_DIRTY_GFN_F_RESET;
	EXPECT_EQ(0, reset(&self->vm));
	ASSERT_EQ(KVM_EXIT_IO, dirty(self->vcpu, 100, 3));
	EXPECT_EQ(3, harvest(self->ring, &self->at, seen));
	EXPECT_EQ(3, reset(&self->vm));
}

static void *mark_all(void *arg)
{
	struct kvm_dirty_gfn *ring = arg;

	for (;;) {
		for (size_t i = 0; i < RING_ENTRIES; i++) {
			ring[i].slot = 1;
			ring[i].offset = i;
			__atomic_store_n(&ring[i].flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		}
		pthread_testcancel();
	}
	return NULL;
}

/* A thread that marks entries as fast as they are given back keeps nobody in the kernel. */
TEST_F(dirty_ring, endless_marking)
{
	pthread_t thread;
	int total = 0, n;

	ASSERT_EQ(0, pthread_create(&thread, NULL, mark_all, self->ring));
	for (int i = 0; i < 20; i++) {
		int reason = dirty(self->vcpu, 0, 32);

		ASSERT_TRUE(reason == KVM_EXIT_IO || reason == KVM_EXIT_DIRTY_RING_FULL);
		n = reset(&self->vm);
		ASSERT_LE(0, n);
		ASSERT_GE(RING_ENTRIES, n);
		total += n;
	}
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	/* The stock module takes marks for entries that were never written. */
	if (!dev_is_reference()) {
		EXPECT_GE(20 * 32 + 20, total);
	}
}

struct writer {
	struct vcpu *vcpu;
	struct kvm_dirty_gfn *ring;
	uint32_t at;
	bool *stop;
	int reason;
	pthread_t thread;
};

static void *write_on(void *arg)
{
	struct writer *writer = arg;

	do {
		writer->reason = vcpu_run(writer->vcpu);
		/* Until the other thread has made room. */
		if (writer->reason == KVM_EXIT_DIRTY_RING_FULL)
			usleep(100);
	} while ((writer->reason == KVM_EXIT_IO && !__atomic_load_n(writer->stop, __ATOMIC_ACQUIRE)) ||
		 writer->reason == KVM_EXIT_DIRTY_RING_FULL);
	return NULL;
}

/* What all rings hold is given back, and copied after that. How much that was, or -1. */
static int follow(struct vm *vm, struct writer *writers, int nr, const uint8_t *from, uint8_t *to)
{
	static uint8_t seen[NR_PAGES];
	int n, total = 0;

	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < nr; i++) {
		n = harvest(writers[i].ring, &writers[i].at, seen);
		if (n < 0)
			return -1;
		total += n;
	}
	if (reset(vm) != total)
		return -1;
	for (unsigned int i = 0; i < NR_PAGES; i++)
		if (seen[i])
			memcpy(to + i * VM_PAGE_SIZE, from + i * VM_PAGE_SIZE, VM_PAGE_SIZE);
	return total;
}

/* As a migration does it: guests write on while their memory is copied, and in the end it is all there. */
TEST_F(dirty_ring, a_copy_becomes_whole)
{
	struct writer writers[2] = {};
	uint8_t *copy = page_alloc(SLOT_SIZE);
	bool stop = false;
	int n, total = 0;

	ASSERT_NE(NULL, copy);
	vm_load(&self->vm, VM_CODE_GPA + 0x1000, scatter);
	for (int i = 0; i < 2; i++) {
		struct writer *writer = &writers[i];
		struct kvm_regs regs;

		writer->stop = &stop;
		writer->vcpu = vm_add_vcpu(&self->vm);
		ASSERT_NE(NULL, writer->vcpu);
		writer->ring = map_ring(writer->vcpu);
		ASSERT_NE(MAP_FAILED, writer->ring);
		ASSERT_EQ(0, vcpu_long_mode(&self->vm, writer->vcpu, VM_CODE_GPA + 0x1000));
		ASSERT_EQ(0, ioctl(writer->vcpu->fd, KVM_GET_REGS, &regs));
		regs.rdi = 12345 + i;
		regs.rcx = 0;
		regs.r8 = i * 8;
		ASSERT_EQ(0, ioctl(writer->vcpu->fd, KVM_SET_REGS, &regs));
		ASSERT_EQ(0, pthread_create(&writer->thread, NULL, write_on, writer));
	}
	for (int i = 0; i < 60 || total < 3000; i++) {
		n = follow(&self->vm, writers, 2, self->hva, copy);
		if (n < 0)
			break;
		total += n;
		usleep(500);
	}
	EXPECT_LE(0, n);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	/* A thread whose ring is full ends only when it has room. */
	for (int i = 0; i < 2; i++) {
		while (pthread_tryjoin_np(writers[i].thread, NULL)) {
			ASSERT_LE(0, follow(&self->vm, writers, 2, self->hva, copy));
			usleep(1000);
		}
		EXPECT_EQ(KVM_EXIT_IO, writers[i].reason);
	}
	EXPECT_LE(0, follow(&self->vm, writers, 2, self->hva, copy));
	EXPECT_EQ(0, follow(&self->vm, writers, 2, self->hva, copy));
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		ASSERT_EQ(0, memcmp(self->hva + i * VM_PAGE_SIZE, copy + i * VM_PAGE_SIZE, VM_PAGE_SIZE))
			TH_LOG("page %u differs", i);
	}
	for (int i = 0; i < 2; i++)
		munmap(writers[i].ring, RING_BYTES);
	munmap(copy, SLOT_SIZE);
}

TEST_HARNESS_MAIN
