// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of REGS and FPU: what is set is read back and is what the guest finds. */
#include "kselftest_harness.h"
#include "vm.h"

/* Swaps each register with its neighbour, adds one to rsp, stops. */
GUEST_CODE(swap_regs, 64,
	   "xchg %rax, %rbx\n"
	   "xchg %rcx, %rdx\n"
	   "xchg %rsi, %rdi\n"
	   "xchg %r8, %r9\n"
	   "xchg %r10, %r11\n"
	   "xchg %r12, %r13\n"
	   "xchg %r14, %r15\n"
	   "incq %rbp\n"
	   "incq %rsp\n"
	   "stc\n"
	   "hlt\n");

FIXTURE(regs)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(regs)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, swap_regs);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(regs)
{
	vm_close(&self->vm);
}

static void pattern(struct kvm_regs *regs)
{
	uint64_t *r = (uint64_t *)regs;

	for (int i = 0; i < 16; i++)
		r[i] = 0x0102030405060708ULL * (i + 1) ^ 0xf0f0f0f000000000ULL;
	regs->rip = VM_CODE_GPA;
	regs->rflags = 2;
}

TEST_F(regs, read_back)
{
	struct kvm_regs in, out;

	pattern(&in);
	in.rflags = 0x3 | 1 << 10 | 1 << 11;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &in));
	memset(&out, 0xcc, sizeof(out));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &out));
	EXPECT_EQ(0, memcmp(&in, &out, sizeof(in)));
}

/* Bit 1 of RFLAGS always reads 1, whatever is written. */
TEST_F(regs, rflags_bit_1_is_fixed)
{
	struct kvm_regs regs;

	pattern(&regs);
	regs.rflags = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(2ULL, regs.rflags);
}

TEST_F(regs, guest_finds_and_leaves_them)
{
	struct kvm_regs in, out;

	pattern(&in);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &in));
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &out));
	EXPECT_EQ(in.rax, out.rbx);
	EXPECT_EQ(in.rbx, out.rax);
	EXPECT_EQ(in.rcx, out.rdx);
	EXPECT_EQ(in.rdx, out.rcx);
	EXPECT_EQ(in.rsi, out.rdi);
	EXPECT_EQ(in.rdi, out.rsi);
	EXPECT_EQ(in.r8, out.r9);
	EXPECT_EQ(in.r9, out.r8);
	EXPECT_EQ(in.r10, out.r11);
	EXPECT_EQ(in.r11, out.r10);
	EXPECT_EQ(in.r12, out.r13);
	EXPECT_EQ(in.r13, out.r12);
	EXPECT_EQ(in.r14, out.r15);
	EXPECT_EQ(in.r15, out.r14);
	EXPECT_EQ(in.rbp + 1, out.rbp);
	EXPECT_EQ(in.rsp + 1, out.rsp);
	EXPECT_EQ(1ULL, out.rflags & 1);
	EXPECT_EQ((uint64_t)(swap_regs_end - swap_regs_start), out.rip - in.rip);
}

/*
 * The stock module's GET_FPU and SET_FPU leave MXCSR out, and SET_FPU forgets to tell XRSTOR that
 * the components are in use: what they set is lost on a CPU with XSAVE. We do better.
 */
TEST_F(regs, fpu_read_back)
{
	struct kvm_fpu in = { .fcw = 0x27f, .fsw = 0, .ftwx = 0xff, .mxcsr = 0x1fa0 };
	struct kvm_fpu out;

	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 10; j++)
			in.fpr[i][j] = i * 16 + j + 1;
	for (int i = 0; i < 16; i++)
		memset(in.xmm[i], 0x40 + i, 16);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_FPU, &in));
	memset(&out, 0xcc, sizeof(out));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_FPU, &out));
	EXPECT_EQ(in.fcw, out.fcw);
	EXPECT_EQ(in.fsw, out.fsw);
	EXPECT_EQ(in.ftwx, out.ftwx);
	if (!dev_is_reference()) {
		EXPECT_EQ(in.mxcsr, out.mxcsr);
	}
	EXPECT_EQ(0, memcmp(in.fpr, out.fpr, sizeof(in.fpr)));
	EXPECT_EQ(0, memcmp(in.xmm, out.xmm, sizeof(in.xmm)));
}

GUEST_CODE(sse_add, 64,
	   "mov %cr4, %rax\n"
	   "or $0x200, %rax\n"
	   "mov %rax, %cr4\n"
	   "paddd %xmm1, %xmm15\n"
	   "hlt\n");

/* The FPU state of the ioctl is the one that the guest computes with. */
TEST_F(regs, fpu_reaches_the_guest)
{
	struct kvm_fpu fpu;
	uint32_t *lane;

	if (dev_is_reference())
		SKIP(return, "stock KVM loses what SET_FPU set");
	vm_load(&self->vm, VM_CODE_GPA, sse_add);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_FPU, &fpu));
	for (int i = 0; i < 4; i++) {
		((uint32_t *)fpu.xmm[1])[i] = 1000 * i + 1;
		((uint32_t *)fpu.xmm[15])[i] = 7;
	}
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_FPU, &fpu));
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_FPU, &fpu));
	lane = (uint32_t *)fpu.xmm[15];
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(1000U * i + 8, lane[i]);
	}
}

/* The APM's state at reset (vol. 2, 14.1.3), for both forms of the FPU. */
TEST_F(regs, fpu_at_reset)
{
	struct kvm_fpu fpu;

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_FPU, &fpu));
	EXPECT_TRUE(fpu.fcw == 0x37f || fpu.fcw == 0x40)
		TH_LOG("fcw %#x", fpu.fcw);
	EXPECT_EQ(0, fpu.fsw);
	if (!dev_is_reference()) {
		EXPECT_EQ(0x1f80U, fpu.mxcsr);
	}
}

TEST_HARNESS_MAIN
