// SPDX-License-Identifier: GPL-2.0-only
/* KVM_GET_EMULATED_CPUID, and CPUID that faults outside of the guest's kernel. */
#include "kselftest_harness.h"
#include "vm.h"

#define MSR_PLATFORM_INFO		0xce
#define MSR_MISC_FEATURES_ENABLES	0x140
#define CPUID_FAULT			(1ULL << 31)

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[300];
};

FIXTURE(emulated_cpuid)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct table t;
};

FIXTURE_SETUP(emulated_cpuid)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
}

FIXTURE_TEARDOWN(emulated_cpuid)
{
	vm_close(&self->vm);
}

TEST_F(emulated_cpuid, is_a_table)
{
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_EXT_EMUL_CPUID));
	self->t.head.nent = 256;
	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_GET_EMULATED_CPUID, &self->t));
	ASSERT_LE(1, self->t.head.nent);
	ASSERT_GT(20, self->t.head.nent);
	EXPECT_EQ(0, self->t.entry[0].function);
	EXPECT_EQ(7, self->t.entry[0].eax);
	/* The very number fits too, where stock KVM wants room for more. */
	if (!dev_is_reference()) {
		EXPECT_EQ(0, ioctl(self->vm.sys_fd, KVM_GET_EMULATED_CPUID, &self->t));
	}
}

TEST_F(emulated_cpuid, bad_arguments)
{
	self->t.head.nent = 0;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_EMULATED_CPUID, &self->t));
	EXPECT_EQ(E2BIG, errno);
	self->t.head.nent = 1;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_EMULATED_CPUID, &self->t));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_EMULATED_CPUID, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

GUEST_CODE(cpuid_loop, 32,
	   "1: xorl %eax, %eax\n"
	   "cpuid\n"
	   "outl %eax, $0x30\n"
	   "jmp 1b\n");

/* Protected mode without paging; an exception ends in a shutdown. At CPL 3 ports are there by IOPL. */
static int enter(struct vcpu *vcpu, int cpl)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10 | cpl, .type = 3, .present = 1, .dpl = cpl,
		.db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = { .rip = VM_CODE_GPA, .rsp = VM_STACK_GPA, .rflags = 0x3002 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cr0 |= 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = data;
	sregs.cs.selector = 8 | cpl;
	sregs.cs.type = 11;
	sregs.idt.limit = 0;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) || ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

TEST_F(emulated_cpuid, cpuid_can_be_made_to_fault)
{
	uint64_t info;

	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, MSR_PLATFORM_INFO, &info));
	ASSERT_EQ(CPUID_FAULT, info & CPUID_FAULT);
	vm_load(&self->vm, VM_CODE_GPA, cpuid_loop);
	ASSERT_EQ(0, enter(self->vcpu, 3));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, MSR_MISC_FEATURES_ENABLES, 1));
	ASSERT_EQ(0, enter(self->vcpu, 0));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, enter(self->vcpu, 3));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
}

TEST_F(emulated_cpuid, faulting_goes_with_the_msr_that_tells_of_it)
{
	uint64_t value;

	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_MISC_FEATURES_ENABLES, 2));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_PLATFORM_INFO, 0x1200));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_MISC_FEATURES_ENABLES, 1));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_PLATFORM_INFO, 0x1200 | CPUID_FAULT));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_MISC_FEATURES_ENABLES, 1));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, MSR_PLATFORM_INFO, 0));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_PLATFORM_INFO, &value));
	EXPECT_EQ(0x1200 | CPUID_FAULT, value);
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_MISC_FEATURES_ENABLES, &value));
	EXPECT_EQ(1ULL, value);
}

/* An instruction that no emulator does, on device memory. */
GUEST_CODE(no_way, 32, "fbld 0xd0000000\n");

TEST_F(emulated_cpuid, emulation_that_fails)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 2,
	};

	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE));
	vm_load(&self->vm, VM_CODE_GPA, no_way);
	/* A program's is its own trouble. */
	ASSERT_EQ(0, enter(self->vcpu, 3));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_ENABLE_CAP, &cap));
	EXPECT_EQ(EINVAL, errno);
	cap.args[0] = 1;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_ENABLE_CAP, &cap));
	ASSERT_EQ(0, enter(self->vcpu, 3));
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_run(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, self->vcpu->run->emulation_failure.suberror);
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
		  self->vcpu->run->emulation_failure.flags);
	EXPECT_EQ(0xdf, self->vcpu->run->emulation_failure.insn_bytes[0]);
}

TEST_HARNESS_MAIN
