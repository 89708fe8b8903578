// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of CLOCK and TSC_KHZ. */
#include <asm/kvm_para.h>
#include <time.h>
#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(ports, 16, "1: outb %al, $0x10\n jmp 1b\n");

#define GUEST_STOPPED	2	/* PVCLOCK_GUEST_STOPPED */

FIXTURE(clock)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(clock)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
}

FIXTURE_TEARDOWN(clock)
{
	vm_close(&self->vm);
}

static int64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

TEST_F(clock, moves_as_the_hosts_does)
{
	struct kvm_clock_data first, second;
	int64_t before, after_first, before_second, after, guest;

	before = host_ns();
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &first));
	after_first = host_ns();
	usleep(50000);
	before_second = host_ns();
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &second));
	after = host_ns();
	guest = second.clock - first.clock;
	/* Within what the host saw, give or take a millisecond: the two are read differently. */
	EXPECT_LT(before_second - after_first - 1000000, guest);
	EXPECT_GT(after - before + 1000000, guest);
}

TEST_F(clock, set_is_where_it_goes_on)
{
	struct kvm_clock_data clock = { .clock = 1000000000000ULL };

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_CLOCK, &clock));
	memset(&clock, 0xcc, sizeof(clock));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &clock));
	EXPECT_LE(1000000000000ULL, clock.clock);
	EXPECT_GT(1000500000000ULL, clock.clock);
	/* Backwards as well. */
	clock.clock = 5;
	clock.flags = 0;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_CLOCK, &clock));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &clock));
	EXPECT_GT(500000000ULL, clock.clock);
}

TEST_F(clock, unknown_flags_are_einval)
{
	struct kvm_clock_data clock = { .clock = 1, .flags = 1U << 20 };

	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_CLOCK, &clock));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(clock, reported_flags_are_those_promised)
{
	int cap = has_cap(&self->vm, KVM_CAP_ADJUST_CLOCK);
	struct kvm_clock_data clock;

	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &clock));
	/* Bit 0 of the capability says only that it is there. */
	EXPECT_EQ(0U, clock.flags & ~(uint32_t)cap);
}

TEST_F(clock, set_clock_with_realtime)
{
	struct kvm_clock_data clock = { 0 };
	uint32_t realtime = KVM_CLOCK_REALTIME;

	if (!(has_cap(&self->vm, KVM_CAP_ADJUST_CLOCK) & realtime))
		SKIP(return, "no KVM_CLOCK_REALTIME");
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &clock));
	if (!(clock.flags & realtime))
		SKIP(return, "the host's clock source is not the TSC");
	/* Saved ten seconds ago: the clock has to have gone on meanwhile. */
	clock.realtime -= 10000000000ULL;
	clock.clock = 7000000000ULL;
	clock.flags = realtime;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_CLOCK, &clock));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_CLOCK, &clock));
	EXPECT_LE(17000000000ULL, clock.clock);
	EXPECT_GT(18000000000ULL, clock.clock);
}

TEST_F(clock, tsc_khz)
{
	int khz = ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0);

	ASSERT_LT(0, khz);
	/* Its own frequency can always be set. */
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_TSC_KHZ, (unsigned long)khz));
	EXPECT_EQ(khz, ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0));
	/* 0 is the host's. */
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_TSC_KHZ, 0UL));
	EXPECT_EQ(khz, ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0));
}

/* Slower than the host's is beyond a CPU without TSC scaling: refused, not pretended. */
TEST_F(clock, tsc_khz_out_of_reach_is_einval)
{
	int khz = ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0);

	if (has_cap(&self->vm, KVM_CAP_TSC_CONTROL))
		SKIP(return, "the CPU scales the TSC");
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_TSC_KHZ, (unsigned long)khz / 2));
	EXPECT_EQ(EINVAL, errno);
	/* Stock 6.1 reports what it refused. */
	if (!dev_is_reference()) {
		EXPECT_EQ(khz, ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0));
	}
}

TEST_F(clock, ctrl_tells_the_guest_that_it_was_stopped)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {
		.head.nmsrs = 1,
		.entry = { .index = MSR_KVM_SYSTEM_TIME_NEW, .data = VM_DATA_GPA | 1 },
	};
	/* struct pvclock_vcpu_time_info's last but two bytes */
	uint8_t *flags = self->vm.mem + VM_DATA_GPA + 29;

	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_KVMCLOCK_CTRL));
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_KVMCLOCK_CTRL, 0));
	EXPECT_EQ(EINVAL, errno);

	vm_load(&self->vm, VM_CODE_GPA, ports);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(1, ioctl(self->vcpu->fd, KVM_SET_MSRS, &msrs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0, *flags & GUEST_STOPPED);

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_KVMCLOCK_CTRL, 0));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(GUEST_STOPPED, *flags & GUEST_STOPPED);

	/* Said once: it is the guest's to clear, and stays clear. */
	*flags &= ~GUEST_STOPPED;
	ASSERT_EQ(1, ioctl(self->vcpu->fd, KVM_SET_MSRS, &msrs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0, *flags & GUEST_STOPPED);
}

TEST_HARNESS_MAIN
