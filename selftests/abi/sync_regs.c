// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_SYNC_REGS: registers in kvm_run. */
#include <pthread.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(count, 64, "1: incq %rbx\noutb %al, $0x40\njmp 1b\n");

FIXTURE(sync_regs)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sync_regs *s;
};

FIXTURE_SETUP(sync_regs)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	self->s = &self->vcpu->run->s.regs;
	vm_load(&self->vm, VM_CODE_GPA, count);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	/* So that all of it can be compared. */
	memset(self->s, 0, sizeof(*self->s));
}

FIXTURE_TEARDOWN(sync_regs)
{
	vm_close(&self->vm);
}

static int run(struct vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_RUN, 0);
}

TEST_F(sync_regs, the_capability_is_the_mask)
{
	EXPECT_EQ(KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS,
		  has_cap(&self->vm, KVM_CAP_SYNC_REGS));
}

TEST_F(sync_regs, unknown_bits_are_einval)
{
	static const uint64_t bad[] = { 1ULL << 3, 1ULL << 31, 1ULL << 63, ~0ULL };

	for (int i = 0; i < 4; i++) {
		self->vcpu->run->kvm_valid_regs = bad[i];
		EXPECT_EQ(-1, run(self->vcpu));
		EXPECT_EQ(EINVAL, errno);
		self->vcpu->run->kvm_valid_regs = 0;
		self->vcpu->run->kvm_dirty_regs = bad[i];
		EXPECT_EQ(-1, run(self->vcpu));
		EXPECT_EQ(EINVAL, errno);
		self->vcpu->run->kvm_dirty_regs = 0;
	}
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

TEST_F(sync_regs, what_is_left_is_what_the_ioctls_say)
{
	struct kvm_vcpu_events events = { 0 };
	struct kvm_sregs sregs = { 0 };
	struct kvm_regs regs = { 0 };

	self->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	EXPECT_EQ(0, memcmp(&regs, &self->s->regs, sizeof(regs)));
	EXPECT_EQ(0, memcmp(&sregs, &self->s->sregs, sizeof(sregs)));
	EXPECT_EQ(0, memcmp(&events, &self->s->events, sizeof(events)));
	/* Nothing of what is not asked for. */
	memset(self->s, 0xa5, sizeof(*self->s));
	self->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0xa5a5a5a5a5a5a5a5, self->s->regs.rbx);
	EXPECT_EQ(sregs.cr3, self->s->sregs.cr3);
}

TEST_F(sync_regs, what_is_dirty_is_taken_once)
{
	struct kvm_regs regs;

	self->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	self->s->regs.rbx = 0x1000;
	self->s->sregs.cr2 = 0x5000;
	self->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0, self->vcpu->run->kvm_dirty_regs);
	EXPECT_EQ(0x1001, self->s->regs.rbx);
	EXPECT_EQ(0x5000, self->s->sregs.cr2);
	/* Neither dirty nor valid: left alone. */
	self->vcpu->run->kvm_valid_regs = 0;
	self->s->regs.rbx = 0xbad;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0xbad, self->s->regs.rbx);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0x1002, regs.rbx);
}

TEST_F(sync_regs, bad_values_are_einval)
{
	self->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	self->s->sregs.cr4 |= 1ULL << 63;
	self->vcpu->run->kvm_valid_regs = 0;
	self->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	EXPECT_EQ(-1, run(self->vcpu));
	EXPECT_EQ(EINVAL, errno);
	self->s->sregs.cr4 &= ~(1ULL << 63);
	self->s->events.flags = 1U << 30;
	self->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	EXPECT_EQ(-1, run(self->vcpu));
	EXPECT_EQ(EINVAL, errno);
	self->vcpu->run->kvm_dirty_regs = 0;
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

/* Also where nothing is run. */
TEST_F(sync_regs, with_immediate_exit)
{
	self->vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	self->s->regs.rbx = 7;
	self->vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-1, run(self->vcpu));
	EXPECT_EQ(EINTR, errno);
	self->vcpu->run->immediate_exit = 0;
	EXPECT_EQ(0, self->vcpu->run->kvm_dirty_regs);
	EXPECT_EQ(7, self->s->regs.rbx);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(8, self->s->regs.rbx);
}

struct scribbler {
	struct kvm_run *run;
	atomic_bool stop;
};

/* CR4 to what no guest may have, vectors that are none, unknown bits; and back to what is right. */
static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	volatile struct kvm_run *run = s->run;

	for (uint32_t i = 0; !atomic_load(&s->stop); i++) {
		run->s.regs.sregs.cr4 ^= 1ULL << 63;
		run->s.regs.events.exception.nr = i;
		run->s.regs.events.exception.injected = i >> 3;
		run->s.regs.events.flags ^= 1U << 30;
		run->kvm_valid_regs = i & 1 ? 7 : 1ULL << (i % 64);
		run->kvm_dirty_regs = i & 2 ? 7 : 1ULL << (i % 64);
	}
	return NULL;
}

/* Whatever is in the page, nothing refused gets through, and the host lives. */
TEST_F(sync_regs, it_changes_under_the_kernel)
{
	struct scribbler s = { .run = self->vcpu->run };
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	pthread_t thread;

	self->vcpu->run->kvm_valid_regs = 7;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &s));
	for (int i = 0; i < 300; i++) {
		self->vcpu->run->immediate_exit = 1;
		run(self->vcpu);
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
		ASSERT_EQ(0, sregs.cr4 >> 63);
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
		ASSERT_TRUE(!events.exception.injected || events.exception.nr < 32);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
