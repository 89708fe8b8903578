// SPDX-License-Identifier: GPL-2.0-only
/* SET_CPUID2 and GET_CPUID2. */
#include "kselftest_harness.h"
#include "vm.h"

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[300];
};

GUEST_CODE(ask, 16,
	   "1: inl $0x10, %eax\n"
	   "movl %eax, %ecx\n"
	   "shrl $24, %ecx\n"		/* bits 31:24 but the uppermost: the index */
	   "andl $0x7f, %ecx\n"
	   "andl $0x80ffffff, %eax\n"
	   "cpuid\n"
	   "outl %eax, $0x11\n"
	   "movl %ebx, %eax\n"
	   "outl %eax, $0x12\n"
	   "movl %ecx, %eax\n"
	   "outl %eax, $0x13\n"
	   "movl %edx, %eax\n"
	   "outl %eax, $0x14\n"
	   "jmp 1b\n");

FIXTURE(cpuid2)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct table t;
};

FIXTURE_SETUP(cpuid2)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, ask);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	self->t.head.nent = 256;
	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_GET_SUPPORTED_CPUID, &self->t));
}

FIXTURE_TEARDOWN(cpuid2)
{
	vm_close(&self->vm);
}

static int guest_cpuid(struct vcpu *vcpu, uint32_t function, uint32_t index, uint32_t regs[4])
{
	if (vcpu_run(vcpu) != KVM_EXIT_IO || vcpu->run->io.port != 0x10)
		return -1;
	*(uint32_t *)io_data(vcpu) = function | index << 24;
	for (int i = 0; i < 4; i++) {
		if (vcpu_run(vcpu) != KVM_EXIT_IO || vcpu->run->io.port != 0x11 + i)
			return -1;
		regs[i] = *(uint32_t *)io_data(vcpu);
	}
	return 0;
}

TEST_F(cpuid2, read_back)
{
	struct table out = { .head.nent = 256 };

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_CPUID2, &out));
	/* Stock 6.1 leaves the number alone. */
	if (dev_is_reference())
		out.head.nent = self->t.head.nent;
	ASSERT_EQ(self->t.head.nent, out.head.nent);
	for (uint32_t i = 0; i < out.head.nent; i++) {
		EXPECT_EQ(self->t.entry[i].function, out.entry[i].function);
		EXPECT_EQ(self->t.entry[i].index, out.entry[i].index);
		/* EBX of leaf 0xd and OSXSAVE follow the registers of the moment. */
		if (self->t.entry[i].function == 1 || self->t.entry[i].function == 7 ||
		    self->t.entry[i].function == 0xd)
			continue;
		EXPECT_EQ(self->t.entry[i].eax, out.entry[i].eax);
		EXPECT_EQ(self->t.entry[i].ebx, out.entry[i].ebx);
		EXPECT_EQ(self->t.entry[i].ecx, out.entry[i].ecx);
		EXPECT_EQ(self->t.entry[i].edx, out.entry[i].edx);
	}
}

TEST_F(cpuid2, get_without_room_is_e2big)
{
	struct table out = { .head.nent = 0 };

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_CPUID2, &out));
	EXPECT_EQ(E2BIG, errno);
	out.head.nent = self->t.head.nent - 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_GET_CPUID2, &out));
	EXPECT_EQ(E2BIG, errno);
	out.head.nent = self->t.head.nent;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_CPUID2, &out));
}

TEST_F(cpuid2, too_many_is_e2big)
{
	self->t.head.nent = 257;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	EXPECT_EQ(E2BIG, errno);
	self->t.head.nent = 0xffffffff;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	EXPECT_EQ(E2BIG, errno);
}

TEST_F(cpuid2, none_is_allowed)
{
	uint32_t regs[4];

	self->t.head.nent = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 0, 0, regs));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0U, regs[i]);
	}
}

TEST_F(cpuid2, guest_sees_what_was_set)
{
	uint32_t regs[4];

	self->t.head.nent = 5;
	memset(self->t.entry, 0, sizeof(self->t.entry));
	self->t.entry[0] = (struct kvm_cpuid_entry2){
		.function = 0, .eax = 4, .ebx = 0x11, .ecx = 0x22, .edx = 0x33,
	};
	self->t.entry[1] = (struct kvm_cpuid_entry2){
		.function = 4, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x41,
	};
	self->t.entry[2] = (struct kvm_cpuid_entry2){
		.function = 4, .index = 2, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x42,
	};
	self->t.entry[3] = (struct kvm_cpuid_entry2){ .function = 0x80000000, .eax = 0x80000002 };
	self->t.entry[4] = (struct kvm_cpuid_entry2){ .function = 0x80000002, .eax = 0x6c74734f };
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 0, 0, regs));
	EXPECT_EQ(4U, regs[0]);
	EXPECT_EQ(0x11U, regs[1]);
	EXPECT_EQ(0x22U, regs[2]);
	EXPECT_EQ(0x33U, regs[3]);
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 4, 2, regs));
	EXPECT_EQ(0x42U, regs[0]);
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 4, 1, regs));
	EXPECT_EQ(0x41U, regs[0]);
	/* An index that is not there reads as zeros. */
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 4, 7, regs));
	EXPECT_EQ(0U, regs[0]);
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 0x80000002, 0, regs));
	EXPECT_EQ(0x6c74734fU, regs[0]);
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 2, 0, regs));
	EXPECT_EQ(0U, regs[0]);
}

TEST_F(cpuid2, may_be_set_again_before_the_first_run)
{
	uint32_t regs[4];

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	self->t.head.nent = 1;
	self->t.entry[0] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 0, .ebx = 0x77 };
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 0, 0, regs));
	EXPECT_EQ(0x77U, regs[1]);
}

/* A CPU does not change under a running guest; the same table again is no change. */
TEST_F(cpuid2, no_other_after_the_first_run)
{
	uint32_t regs[4];

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	ASSERT_EQ(0, guest_cpuid(self->vcpu, 0, 0, regs));
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	self->t.entry[0].ebx ^= 0xff;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	EXPECT_EQ(EINVAL, errno);
	self->t.head.nent--;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_CPUID2, &self->t));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
