// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots, the dirty log and the VMM's own memory change while vCPUs fault in them. Each store of
 * the guest has one place to be in; memory that was taken away stays as it was; a copy made by
 * the dirty log is whole.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "race.h"
#include "vm.h"

#define SLOT_GPA	0x40000000UL
#define OTHER_GPA	0x50000000UL
#define NR_PAGES	256UL
#define SLOT_SIZE	(NR_PAGES * VM_PAGE_SIZE)
#define SLOW_S		120

/*
 * Stores rcx, which counts up, to a page of SLOT_GPA that a generator in rdi chooses, at r8 in
 * it; then a port says so. ebx: where.
 */
GUEST_CODE(store, 64,
	   "1: imulq $1664525, %rdi, %rdi\n"
	   "addq $1013904223, %rdi\n"
	   "movl %edi, %ebx\n"
	   "shrl $8, %ebx\n"
	   "andl $0xff000, %ebx\n"
	   "addl $0x40000000, %ebx\n"
	   "addl %r8d, %ebx\n"
	   "incq %rcx\n"
	   "movq %rcx, (%rbx)\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

/* The same without a port: 64 stores for each that says so. */
GUEST_CODE(store_many, 64,
	   "1: movl $64, %edx\n"
	   "2: imulq $1664525, %rdi, %rdi\n"
	   "addq $1013904223, %rdi\n"
	   "movl %edi, %ebx\n"
	   "shrl $8, %ebx\n"
	   "andl $0xff000, %ebx\n"
	   "incq %rcx\n"
	   "movq %rcx, 0x40000000(%rbx, %r8)\n"
	   "decl %edx\n"
	   "jnz 2b\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

FIXTURE(race_memory)
{
	struct vm vm;
	struct race race;
	int fd[2];
	uint8_t *hva, *alias[2];
	/* the thread that changes things wants the vCPUs to stand still; how many do */
	bool freeze;
	int frozen;
};

FIXTURE_SETUP(race_memory)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	for (int i = 0; i < 2; i++) {
		self->fd[i] = memfd_create("slot", MFD_CLOEXEC);
		ASSERT_EQ(0, ftruncate(self->fd[i], SLOT_SIZE));
		self->alias[i] =
			mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd[i], 0);
		ASSERT_NE(MAP_FAILED, (void *)self->alias[i]);
	}
	self->hva = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd[0], 0);
	ASSERT_NE(MAP_FAILED, (void *)self->hva);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
}

FIXTURE_TEARDOWN(race_memory)
{
	race_end(&self->race);
	vm_close(&self->vm);
	munmap(self->hva, SLOT_SIZE);
	for (int i = 0; i < 2; i++) {
		munmap(self->alias[i], SLOT_SIZE);
		close(self->fd[i]);
	}
}

typedef FIXTURE_DATA(race_memory) data;

static struct vcpu *add_vcpu(data *self, const uint8_t *code, size_t len)
{
	struct vcpu *vcpu = vm_add_vcpu(&self->vm);
	struct kvm_regs regs;

	vm_copy_in(&self->vm, VM_CODE_GPA, code, len);
	if (!vcpu || vcpu_long_mode(&self->vm, vcpu, VM_CODE_GPA) ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return NULL;
	regs.rdi = self->vm.nr_vcpus;
	regs.rcx = 0;
	regs.r8 = 64 * self->vm.nr_vcpus;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs) ? NULL : vcpu;
}
#define add(self, name) add_vcpu(self, name##_start, name##_end - name##_start)

static void stand_still(data *self, struct racer *racer)
{
	if (!__atomic_load_n(&self->freeze, __ATOMIC_SEQ_CST))
		return;
	__atomic_fetch_add(&self->frozen, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&self->freeze, __ATOMIC_SEQ_CST) && race_goes_on(racer))
		usleep(100);
	__atomic_fetch_sub(&self->frozen, 1, __ATOMIC_SEQ_CST);
}

static void freeze(data *self, struct racer *racer)
{
	__atomic_store_n(&self->freeze, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&self->frozen, __ATOMIC_SEQ_CST) < self->vm.nr_vcpus &&
	       race_goes_on(racer))
		usleep(100);
}

static void thaw(data *self)
{
	__atomic_store_n(&self->freeze, false, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&self->frozen, __ATOMIC_SEQ_CST))
		usleep(100);
}

/* Which vCPU a thread runs is its place among the threads, which are added first. */
static struct vcpu *vcpu_of(data *self, struct racer *racer)
{
	return &self->vm.vcpu[racer - self->race.racer];
}

static void run(struct racer *racer)
{
	data *self = racer->arg;
	struct vcpu *vcpu = vcpu_of(self, racer);

	while (race_goes_on(racer)) {
		int reason;

		if (!ioctl(vcpu->fd, KVM_RUN, 0)) {
			reason = vcpu->run->exit_reason;
			if (reason == KVM_EXIT_IO)
				__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_SEQ_CST);
			else if (reason != KVM_EXIT_MMIO)
				race_trouble(racer->race,
					     "a run ended with a reason that nobody expects");
		} else if (errno == EFAULT) {
			usleep(100);	/* read-only just now */
		} else if (errno != EINTR && errno != EAGAIN) {
			race_trouble(racer->race, "a run failed");
		}
		stand_still(self, racer);
	}
}

static unsigned long rounds(struct racer *racer)
{
	return __atomic_load_n(&racer->rounds, __ATOMIC_SEQ_CST);
}

/* Until each vCPU has run to its port again, or for as long as it is of use to wait. */
static void wait_for_runs(data *self)
{
	unsigned long before[VM_MAX_VCPUS];

	for (int i = 0; i < self->vm.nr_vcpus; i++)
		before[i] = rounds(&self->race.racer[i]);
	for (int tries = 0; tries < 50 && !self->race.stop; tries++) {
		int moved = 0;

		for (int i = 0; i < self->vm.nr_vcpus; i++)
			moved += rounds(&self->race.racer[i]) != before[i];
		if (moved == self->vm.nr_vcpus)
			return;
		usleep(500);
	}
}

/* One of two files is mapped where the slot is; the other is nobody's. */
TEST_F_TIMEOUT(race_memory, nothing_is_written_to_what_was_unmapped, SLOW_S)
{
	uint8_t *was = malloc(SLOT_SIZE);
	unsigned long stale = 0;
	int flips;

	ASSERT_NE(NULL, was);
	for (int i = 0; i < 2; i++)
		ASSERT_NE(NULL, add(self, store_many));
	for (int i = 0; i < 2; i++)
		race_add(&self->race, run, self);
	for (flips = 0; flips < 30 && !self->race.stop; flips++) {
		int now = (flips + 1) % 2;

		wait_for_runs(self);
		switch (flips % 3) {
		case 0:
			ASSERT_EQ((void *)self->hva,
				  mmap(self->hva, SLOT_SIZE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_FIXED, self->fd[now], 0));
			break;
		case 1:
			/* With a while of nothing in between; a run then ends with EFAULT. */
			munmap(self->hva, SLOT_SIZE);
			memcpy(was, self->alias[!now], SLOT_SIZE);
			usleep(500);
			stale += !!memcmp(was, self->alias[!now], SLOT_SIZE);
			ASSERT_EQ((void *)self->hva,
				  mmap(self->hva, SLOT_SIZE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_FIXED, self->fd[now], 0));
			break;
		case 2:
			mprotect(self->hva, SLOT_SIZE, PROT_READ);
			memcpy(was, self->alias[!now], SLOT_SIZE);
			usleep(500);
			stale += !!memcmp(was, self->alias[!now], SLOT_SIZE);
			ASSERT_EQ((void *)self->hva,
				  mmap(self->hva, SLOT_SIZE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_FIXED, self->fd[now], 0));
			break;
		}
		memcpy(was, self->alias[!now], SLOT_SIZE);
		wait_for_runs(self);
		stale += !!memcmp(was, self->alias[!now], SLOT_SIZE);
	}
	EXPECT_EQ(30, flips);
	EXPECT_LT(10UL, self->race.racer[0].rounds);
	EXPECT_STREQ("", race_end(&self->race));
	EXPECT_EQ(0UL, stale);
	free(was);
}


/* What a vCPU stored last is in the slot's memory, or came as a device's store. */
static void check_store(struct racer *racer)
{
	data *self = racer->arg;
	struct vcpu *vcpu = vcpu_of(self, racer);
	uint64_t gpa = 0, value = 0;
	struct kvm_regs regs;

	while (race_goes_on(racer)) {
		int reason = vcpu_run(vcpu);

		if (reason == KVM_EXIT_MMIO && vcpu->run->mmio.is_write) {
			gpa = vcpu->run->mmio.phys_addr;
			memcpy(&value, vcpu->run->mmio.data, 8);
		} else if (reason == KVM_EXIT_IO) {
			if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
				race_trouble(racer->race, "GET_REGS failed");
			racer->rounds++;
			if (gpa == regs.rbx && value == regs.rcx)
				continue;
			if (*(volatile uint64_t *)(self->hva + (regs.rbx - SLOT_GPA)) != regs.rcx)
				race_trouble(racer->race, "a store went nowhere");
		} else if (reason != -EINTR && reason != -EAGAIN) {
			race_trouble(racer->race, "a run ended with a reason that nobody expects");
		}
	}
}

/* Deletes, makes and moves the slot, in whole and in halves; other slots come and go beside it. */
static void change_slots(struct racer *racer)
{
	data *self = racer->arg;
	size_t half = SLOT_SIZE / 2;

	while (race_goes_on(racer)) {
		int bad = 0;

		switch (race_random(racer, 4)) {
		case 0:
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL);
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva);
			break;
		case 1:
			bad |= vm_set_slot(&self->vm, 1, 0, OTHER_GPA, SLOT_SIZE, self->hva);
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva);
			break;
		case 2:
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL);
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, half, self->hva);
			bad |= vm_set_slot(&self->vm, 2, 0, SLOT_GPA + half, half,
					   self->hva + half);
			bad |= vm_set_slot(&self->vm, 2, 0, 0, 0, NULL);
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL);
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva);
			break;
		case 3:
			bad |= vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA,
					   SLOT_SIZE, self->hva);
			bad |= vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva);
			break;
		}
		if (bad)
			race_trouble(racer->race, "a slot could not be changed");
		racer->rounds++;
	}
}

static void disturb(struct racer *racer)
{
	data *self = racer->arg;

	while (race_goes_on(racer)) {
		size_t at = race_random(racer, NR_PAGES) * VM_PAGE_SIZE;

		/* A shared file's pages: unmapped here, they keep what is in them. */
		madvise(self->hva + at, SLOT_SIZE - at,
			race_random(racer, 2) ? MADV_DONTNEED : MADV_PAGEOUT);
		usleep(200);
	}
}

TEST_F_TIMEOUT(race_memory, every_store_is_somewhere_while_slots_change, SLOW_S)
{
	for (int i = 0; i < 2; i++)
		ASSERT_NE(NULL, add(self, store));
	for (int i = 0; i < 2; i++)
		race_add(&self->race, check_store, self);
	race_add(&self->race, change_slots, self);
	race_add(&self->race, disturb, self);
	race_wait(&self->race, RACE_MS);
	EXPECT_STREQ("", race_end(&self->race));
	for (int i = 0; i < 3; i++)
		EXPECT_LT(5UL, self->race.racer[i].rounds);
}

static int copy_dirty(data *self, uint8_t *copy)
{
	uint64_t bitmap[NR_PAGES / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

	if (ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log))
		return -1;
	for (unsigned long page = 0; page < NR_PAGES; page++)
		if (bitmap[page / 64] >> (page % 64) & 1)
			memcpy(copy + page * VM_PAGE_SIZE, self->hva + page * VM_PAGE_SIZE,
			       VM_PAGE_SIZE);
	return 0;
}

/*
 * Other slots with a log of their own, so that what they unmap and protect meets the first
 * slot's.
 */
static void change_others(struct racer *racer)
{
	data *self = racer->arg;
	uint64_t bitmap[NR_PAGES / 64];
	struct kvm_dirty_log log = { .slot = 2, .dirty_bitmap = bitmap };

	while (race_goes_on(racer)) {
		vm_set_slot(&self->vm, 2, KVM_MEM_LOG_DIRTY_PAGES, OTHER_GPA, SLOT_SIZE,
			    self->alias[1]);
		ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log);
		vm_set_slot(&self->vm, 2, 0, OTHER_GPA, SLOT_SIZE, self->alias[1]);
		vm_set_slot(&self->vm, 2, 0, OTHER_GPA, 0, NULL);
		racer->rounds++;
	}
}

/* Migrations that begin and end again and again. */
TEST_F_TIMEOUT(race_memory, each_log_makes_a_true_copy, SLOW_S)
{
	uint8_t *copy = malloc(SLOT_SIZE);
	struct racer main = { .race = &self->race };
	unsigned long wrong = 0;
	int logs;

	ASSERT_NE(NULL, copy);
	for (int i = 0; i < 3; i++)
		ASSERT_NE(NULL, add(self, store_many));
	for (int i = 0; i < 3; i++)
		race_add(&self->race, run, self);
	race_add(&self->race, change_others, self);
	race_add(&self->race, disturb, self);
	for (logs = 0; logs < 12 && !self->race.stop; logs++) {
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, SLOT_GPA, SLOT_SIZE,
					 self->hva));
		memcpy(copy, self->hva, SLOT_SIZE);
		for (int i = 0; i < 4; i++) {
			ASSERT_EQ(0, copy_dirty(self, copy));
			wait_for_runs(self);
		}
		freeze(self, &main);
		ASSERT_EQ(0, copy_dirty(self, copy));
		wrong += !!memcmp(copy, self->hva, SLOT_SIZE);
		if (logs % 2)
			ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
		thaw(self);
		wait_for_runs(self);
	}
	EXPECT_EQ(12, logs);
	EXPECT_STREQ("", race_end(&self->race));
	EXPECT_LT(10UL, self->race.racer[0].rounds);
	EXPECT_EQ(0UL, wrong);
	free(copy);
}

TEST_HARNESS_MAIN
