// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of MP_STATE. */
#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(one_out, 16,
	   "1: outb %al, $0x10\n"
	   "jmp 1b\n");

FIXTURE(mp_state)
{
	struct vm vm;
};

FIXTURE_SETUP(mp_state)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	vm_load(&self->vm, VM_CODE_GPA, one_out);
	ASSERT_EQ(0, vcpu_real_mode(&self->vm.vcpu[0], VM_CODE_GPA));
	ASSERT_EQ(0, vcpu_real_mode(&self->vm.vcpu[1], VM_CODE_GPA));
}

FIXTURE_TEARDOWN(mp_state)
{
	vm_close(&self->vm);
}

static int set(struct vcpu *vcpu, uint32_t state)
{
	struct kvm_mp_state s = { .mp_state = state };

	return ioctl(vcpu->fd, KVM_SET_MP_STATE, &s);
}

static int get(struct vcpu *vcpu)
{
	struct kvm_mp_state s = { .mp_state = 99 };

	return ioctl(vcpu->fd, KVM_GET_MP_STATE, &s) ? -1 : (int)s.mp_state;
}

TEST_F(mp_state, first_runs_others_wait_for_init)
{
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, get(&self->vm.vcpu[0]));
	EXPECT_EQ(KVM_MP_STATE_UNINITIALIZED, get(&self->vm.vcpu[1]));
}

TEST_F(mp_state, read_back)
{
	static const uint32_t states[] = {
		KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED,
		KVM_MP_STATE_RUNNABLE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		EXPECT_EQ(0, set(&self->vm.vcpu[1], states[i]))
			TH_LOG("state %u", states[i]);
		EXPECT_EQ((int)states[i], get(&self->vm.vcpu[1]));
	}
}

TEST_F(mp_state, runnable_runs_at_once)
{
	ASSERT_EQ(0, set(&self->vm.vcpu[1], KVM_MP_STATE_RUNNABLE));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(&self->vm.vcpu[1]));
}

/* SIPI_RECEIVED takes the vector that VCPU_EVENTS carries; here 0, so that it starts at 0. */
TEST_F(mp_state, sipi_received_starts_the_cpu)
{
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	vm_load(&self->vm, 0x9000, one_out);
	ASSERT_EQ(0, ioctl(self->vm.vcpu[1].fd, KVM_GET_VCPU_EVENTS, &events));
	events.sipi_vector = 9;
	events.flags = KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	ASSERT_EQ(0, ioctl(self->vm.vcpu[1].fd, KVM_SET_VCPU_EVENTS, &events));
	if (set(&self->vm.vcpu[1], KVM_MP_STATE_SIPI_RECEIVED))
		SKIP(return, "SIPI_RECEIVED is not taken");
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(&self->vm.vcpu[1]));
	ASSERT_EQ(0, ioctl(self->vm.vcpu[1].fd, KVM_GET_REGS, &regs));
	EXPECT_GT(0x10ULL, regs.rip);
}

TEST_F(mp_state, unknown_states_are_einval)
{
	EXPECT_EQ(-1, set(&self->vm.vcpu[1], 77));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set(&self->vm.vcpu[1], ~0U));
	EXPECT_EQ(EINVAL, errno);
	/* Other architectures' states. */
	EXPECT_EQ(-1, set(&self->vm.vcpu[1], KVM_MP_STATE_CHECK_STOP));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(mp_state, without_irqchip_all_run)
{
	struct vcpu *second;

	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	second = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, second);
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, get(second));
	EXPECT_EQ(0, set(second, KVM_MP_STATE_RUNNABLE));
	EXPECT_EQ(-1, set(second, KVM_MP_STATE_HALTED));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
