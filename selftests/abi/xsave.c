// SPDX-License-Identifier: GPL-2.0-only
/* GET and SET of XSAVE and XCRS. */
#include <cpuid.h>
#include "kselftest_harness.h"
#include "vm.h"

/* Offsets in the XSAVE image (APM vol. 2, 11.5.2; SDM vol. 1, 13.4). */
#define XSAVE_FCW		0
#define XSAVE_MXCSR		24
#define XSAVE_XMM0		160
#define XSAVE_XSTATE_BV		512
#define XSAVE_XCOMP_BV		520
#define XSAVE_RESERVED		528

#define XFEATURE_X87		(1ULL << 0)
#define XFEATURE_SSE		(1ULL << 1)
#define XFEATURE_AVX		(1ULL << 2)

FIXTURE(xsave)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint64_t xcr0;		/* all that the guest may have */
	union {
		struct kvm_xsave image;
		uint8_t bytes[4096];
	};
};

static uint64_t *word(void *image, size_t offset)
{
	return (uint64_t *)((uint8_t *)image + offset);
}

FIXTURE_SETUP(xsave)
{
	struct kvm_cpuid2 *cpuid;
	struct kvm_cpuid_entry2 *e;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	cpuid = cpuid_supported(self->vm.sys_fd);
	ASSERT_NE(NULL, cpuid);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, cpuid));
	e = cpuid_find(cpuid, 0xd, 0);
	if (e)
		self->xcr0 = e->eax | (uint64_t)e->edx << 32;
	free(cpuid);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(xsave)
{
	vm_close(&self->vm);
}

TEST_F(xsave, read_back)
{
	uint8_t before[4096];

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	EXPECT_EQ(0x1f80U, *(uint32_t *)(self->bytes + XSAVE_MXCSR));
	*word(self->bytes, XSAVE_XSTATE_BV) = XFEATURE_X87 | XFEATURE_SSE;
	*(uint16_t *)(self->bytes + XSAVE_FCW) = 0x27f;
	*(uint32_t *)(self->bytes + XSAVE_MXCSR) = 0x1fa0;
	for (int i = 0; i < 256; i++)
		self->bytes[XSAVE_XMM0 + i] = i ^ 0x5a;
	memcpy(before, self->bytes, sizeof(before));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	memset(self->bytes, 0xcc, sizeof(self->bytes));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	EXPECT_EQ(0x27f, *(uint16_t *)(self->bytes + XSAVE_FCW));
	EXPECT_EQ(0x1fa0U, *(uint32_t *)(self->bytes + XSAVE_MXCSR));
	EXPECT_EQ(0, memcmp(before + XSAVE_XMM0, self->bytes + XSAVE_XMM0, 256));
	EXPECT_EQ(XFEATURE_SSE, *word(self->bytes, XSAVE_XSTATE_BV) & XFEATURE_SSE);
}

TEST_F(xsave, unsupported_components_are_einval)
{
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	*word(self->bytes, XSAVE_XSTATE_BV) |= 1ULL << 62;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	EXPECT_EQ(EINVAL, errno);
}

/* The header's other fields have to be 0: loading the image would fault on the host. */
TEST_F(xsave, bad_headers_are_einval)
{
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	*word(self->bytes, XSAVE_XCOMP_BV) = 1ULL << 63;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	EXPECT_EQ(EINVAL, errno);
	*word(self->bytes, XSAVE_XCOMP_BV) = 0;
	*word(self->bytes, XSAVE_RESERVED) = 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	EXPECT_EQ(EINVAL, errno);
	*word(self->bytes, XSAVE_RESERVED) = 0;
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
}

TEST_F(xsave, reserved_mxcsr_bits_are_einval)
{
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	*word(self->bytes, XSAVE_XSTATE_BV) |= XFEATURE_SSE;
	*(uint32_t *)(self->bytes + XSAVE_MXCSR) = 0x80001f80;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(xsave, xcrs_read_back)
{
	struct kvm_xcrs xcrs;

	if (!self->xcr0)
		SKIP(return, "no XSAVE");
	memset(&xcrs, 0xcc, sizeof(xcrs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XCRS, &xcrs));
	EXPECT_EQ(1U, xcrs.nr_xcrs);
	EXPECT_EQ(0U, xcrs.flags);
	EXPECT_EQ(0U, xcrs.xcrs[0].xcr);
	EXPECT_EQ(XFEATURE_X87, xcrs.xcrs[0].value);
	xcrs.xcrs[0].value = self->xcr0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_XCRS, &xcrs));
	memset(&xcrs, 0, sizeof(xcrs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XCRS, &xcrs));
	EXPECT_EQ(self->xcr0, xcrs.xcrs[0].value);
}

static int set_xcr0(struct vcpu *vcpu, uint64_t value)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = value };

	return ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs);
}

TEST_F(xsave, impossible_xcr0_is_einval)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = XFEATURE_X87 };

	if (!self->xcr0)
		SKIP(return, "no XSAVE");
	EXPECT_EQ(-1, set_xcr0(self->vcpu, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_xcr0(self->vcpu, XFEATURE_SSE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_xcr0(self->vcpu, XFEATURE_X87 | XFEATURE_AVX));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, set_xcr0(self->vcpu, self->xcr0 | 1ULL << 62));
	EXPECT_EQ(EINVAL, errno);
	xcrs.flags = 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XCRS, &xcrs));
	EXPECT_EQ(EINVAL, errno);
	xcrs.flags = 0;
	xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XCRS, &xcrs));
	EXPECT_EQ(EINVAL, errno);
	xcrs.nr_xcrs = 0xffffffff;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_XCRS, &xcrs));
	EXPECT_EQ(EINVAL, errno);
}

GUEST_CODE(avx_swap, 64,
	   "mov %cr4, %rax\n"
	   "or $0x40200, %rax\n"		/* OSFXSR, OSXSAVE */
	   "mov %rax, %cr4\n"
	   "vperm2f128 $1, %ymm3, %ymm3, %ymm4\n"
	   "hlt\n");

/* The upper halves of the vector registers go in and come out. */
TEST_F(xsave, avx_state_reaches_the_guest)
{
	uint32_t size, offset, ecx, edx;
	uint64_t *low, *high;

	if (!(self->xcr0 & XFEATURE_AVX))
		SKIP(return, "no AVX");
	__cpuid_count(0xd, 2, size, offset, ecx, edx);
	ASSERT_EQ(256U, size);
	vm_load(&self->vm, VM_CODE_GPA, avx_swap);
	ASSERT_EQ(0, set_xcr0(self->vcpu, XFEATURE_X87 | XFEATURE_SSE | XFEATURE_AVX));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	*word(self->bytes, XSAVE_XSTATE_BV) |= XFEATURE_SSE | XFEATURE_AVX;
	low = word(self->bytes, XSAVE_XMM0 + 3 * 16);
	high = word(self->bytes, offset + 3 * 16);
	low[0] = 0x1111;
	low[1] = 0x2222;
	high[0] = 0x3333;
	high[1] = 0x4444;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	low = word(self->bytes, XSAVE_XMM0 + 4 * 16);
	high = word(self->bytes, offset + 4 * 16);
	EXPECT_EQ(0x3333UL, low[0]);
	EXPECT_EQ(0x4444UL, low[1]);
	EXPECT_EQ(0x1111UL, high[0]);
	EXPECT_EQ(0x2222UL, high[1]);
	EXPECT_NE(0UL, *word(self->bytes, XSAVE_XSTATE_BV) & XFEATURE_AVX);
}

/* One vCPU's registers must never show in another's, nor the host's in either. */
TEST_F(xsave, nothing_leaks_from_one_vcpu_to_another)
{
	struct vcpu *other = vm_add_vcpu(&self->vm);

	ASSERT_NE(NULL, other);
	memset(self->bytes, 0, sizeof(self->bytes));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_XSAVE, &self->image));
	*word(self->bytes, XSAVE_XSTATE_BV) = XFEATURE_X87 | XFEATURE_SSE;
	memset(self->bytes + XSAVE_XMM0, 0x77, 256);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_XSAVE, &self->image));
	ASSERT_EQ(0, ioctl(other->fd, KVM_GET_XSAVE, &self->image));
	for (int i = 0; i < 256; i++) {
		ASSERT_EQ(0, self->bytes[XSAVE_XMM0 + i]);
	}
}

TEST_HARNESS_MAIN
