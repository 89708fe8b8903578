// SPDX-License-Identifier: GPL-2.0-only
/* The device node's own ioctls. */
#include <fcntl.h>
#include "kselftest_harness.h"
#include "vm.h"

FIXTURE(system)
{
	int fd;
};

FIXTURE_SETUP(system)
{
	self->fd = dev_open();
	ASSERT_LE(0, self->fd)
		TH_LOG("cannot open %s: %s", dev_path(), strerror(errno));
}

FIXTURE_TEARDOWN(system)
{
	close(self->fd);
}

TEST_F(system, api_version_is_12)
{
	EXPECT_EQ(12, ioctl(self->fd, KVM_GET_API_VERSION, 0));
}

TEST_F(system, api_version_takes_no_argument)
{
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_API_VERSION, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(system, vcpu_mmap_size_holds_kvm_run)
{
	int size = ioctl(self->fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	EXPECT_LE((int)sizeof(struct kvm_run), size);
	EXPECT_EQ(0, size % (int)VM_PAGE_SIZE);
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_VCPU_MMAP_SIZE, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(system, create_vm_rejects_unknown_type)
{
	EXPECT_EQ(-1, ioctl(self->fd, KVM_CREATE_VM, 0x7fffUL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, KVM_CREATE_VM, ~0UL));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(system, create_vm_gives_a_descriptor_that_closes_on_exec)
{
	int vm = ioctl(self->fd, KVM_CREATE_VM, 0);

	ASSERT_LE(0, vm);
	EXPECT_EQ(FD_CLOEXEC, fcntl(vm, F_GETFD) & FD_CLOEXEC);
	close(vm);
}

/* Every VMM that issue 2 is about refuses to start without these. */
TEST_F(system, required_capabilities_are_there)
{
	static const int caps[] = {
		KVM_CAP_IRQCHIP, KVM_CAP_HLT, KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR,
		KVM_CAP_EXT_CPUID, KVM_CAP_NR_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_MP_STATE,
		KVM_CAP_DESTROY_MEMORY_REGION_WORKS, KVM_CAP_USER_NMI, KVM_CAP_IRQ_ROUTING,
		KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_IRQFD, KVM_CAP_PIT2,
		KVM_CAP_IOEVENTFD, KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_ADJUST_CLOCK,
		KVM_CAP_INTERNAL_ERROR_DATA, KVM_CAP_VCPU_EVENTS, KVM_CAP_PIT_STATE2,
		KVM_CAP_DEBUGREGS, KVM_CAP_XSAVE, KVM_CAP_XCRS, KVM_CAP_GET_TSC_KHZ,
		KVM_CAP_MAX_VCPUS, KVM_CAP_READONLY_MEM, KVM_CAP_SIGNAL_MSI,
		KVM_CAP_IOEVENTFD_ANY_LENGTH, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_MAX_VCPU_ID,
	};

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		EXPECT_LT(0, ioctl(self->fd, KVM_CHECK_EXTENSION, caps[i]))
			TH_LOG("capability %d", caps[i]);
	}
}

TEST_F(system, unknown_capabilities_read_zero)
{
	EXPECT_EQ(0, ioctl(self->fd, KVM_CHECK_EXTENSION, 0x7ffffffeUL));
	EXPECT_EQ(0, ioctl(self->fd, KVM_CHECK_EXTENSION, ~0UL));
	/* Another architecture's. */
	EXPECT_EQ(0, ioctl(self->fd, KVM_CHECK_EXTENSION, KVM_CAP_S390_PSW));
}

TEST_F(system, capability_counts_are_sensible)
{
	int nr = ioctl(self->fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
	int max = ioctl(self->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	int max_id = ioctl(self->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	EXPECT_LE(1, nr);
	EXPECT_LE(nr, max);
	EXPECT_LE(max, max_id);
	EXPECT_LE(32, ioctl(self->fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS));
}

/* A capability that names an ioctl of the list which is not there would be a lie. */
TEST_F(system, capabilities_and_ioctls_agree)
{
	static const struct {
		int cap;
		unsigned long nr;
	} vm_ioctls[] = {
		{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CLEAR_DIRTY_LOG },
		{ KVM_CAP_COALESCED_MMIO, KVM_REGISTER_COALESCED_MMIO },
		{ KVM_CAP_DEVICE_CTRL, KVM_CREATE_DEVICE },
		{ KVM_CAP_X86_MSR_FILTER, KVM_X86_SET_MSR_FILTER },
		{ KVM_CAP_BINARY_STATS_FD, KVM_GET_STATS_FD },
		{ KVM_CAP_ENABLE_CAP_VM, KVM_ENABLE_CAP },
	};
	int vm = ioctl(self->fd, KVM_CREATE_VM, 0);

	ASSERT_LE(0, vm);
	for (size_t i = 0; i < ARRAY_SIZE(vm_ioctls); i++) {
		int ret;

		if (ioctl(self->fd, KVM_CHECK_EXTENSION, vm_ioctls[i].cap) <= 0)
			continue;
		ret = ioctl(vm, vm_ioctls[i].nr, bad_pointer());
		EXPECT_TRUE(ret >= 0 || errno != ENOTTY)
			TH_LOG("capability %d promises an ioctl that is not there",
			       vm_ioctls[i].cap);
		if (ret >= 0)
			close(ret);
	}
	close(vm);
}

/* The stock module answers EINVAL for unknown ioctls of the system and the vCPU. */
TEST_F(system, unknown_ioctls_are_enotty)
{
	int expected = dev_is_reference() ? EINVAL : ENOTTY;

	EXPECT_EQ(-1, ioctl(self->fd, _IO(KVMIO, 0xfe), 0));
	EXPECT_EQ(expected, errno);
	/* An ioctl of another object, and of another type. */
	EXPECT_EQ(-1, ioctl(self->fd, KVM_RUN, 0));
	EXPECT_EQ(expected, errno);
	EXPECT_EQ(-1, ioctl(self->fd, _IO('z', 0), 0));
	EXPECT_EQ(expected, errno);
}

TEST_F(system, supported_cpuid_is_bounded)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->fd);
	uint32_t total;
	char *room;

	ASSERT_NE(NULL, cpuid);
	total = cpuid->nent;
	EXPECT_LT(4, total);

	/* Exactly enough room is enough; nothing is written behind it. */
	room = calloc(1, sizeof(*cpuid) + (total + 1) * sizeof(cpuid->entries[0]));
	ASSERT_NE(NULL, room);
	free(cpuid);
	cpuid = (struct kvm_cpuid2 *)room;
	memset(&cpuid->entries[total], 0xa5, sizeof(cpuid->entries[0]));
	cpuid->nent = total;
	EXPECT_EQ(0, ioctl(self->fd, KVM_GET_SUPPORTED_CPUID, cpuid));
	EXPECT_EQ(total, cpuid->nent);
	EXPECT_EQ(0xa5a5a5a5, cpuid->entries[total].function);

	cpuid->nent = total - 1;
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_SUPPORTED_CPUID, cpuid));
	EXPECT_EQ(E2BIG, errno);
	cpuid->nent = 1;
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_SUPPORTED_CPUID, cpuid));
	EXPECT_EQ(E2BIG, errno);
	cpuid->nent = 0;
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_SUPPORTED_CPUID, cpuid));
	EXPECT_EQ(E2BIG, errno);
	free(cpuid);
}

TEST_F(system, supported_cpuid_is_a_cpu)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->fd);
	struct kvm_cpuid_entry2 *e;

	ASSERT_NE(NULL, cpuid);
	e = cpuid_find(cpuid, 0, 0);
	ASSERT_NE(NULL, e);
	EXPECT_LE(1U, e->eax);
	e = cpuid_find(cpuid, 1, 0);
	ASSERT_NE(NULL, e);
	/* FPU, TSC, MSR, PAE, CX8, APIC, FXSR, SSE, SSE2: a 64-bit CPU without them is none. */
	EXPECT_EQ(0x07000371U, e->edx & 0x07000371U);
	e = cpuid_find(cpuid, 0x80000001, 0);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(1U << 29, e->edx & (1U << 29));
	/* The hypervisor's own leaf, by which guests find kvmclock. */
	e = cpuid_find(cpuid, 0x40000000, 0);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(0, memcmp(&e->ebx, "KVMKVMKVM\0\0\0", 12));
	free(cpuid);
}

TEST_F(system, msr_index_list_tells_its_length)
{
	struct kvm_msr_list *list;
	struct kvm_msr_list none = { .nmsrs = 0 };
	uint32_t total;
	bool efer = false;

	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_MSR_INDEX_LIST, &none));
	EXPECT_EQ(E2BIG, errno);
	total = none.nmsrs;
	ASSERT_LT(0U, total);

	list = calloc(1, sizeof(*list) + (total + 1) * sizeof(uint32_t));
	ASSERT_NE(NULL, list);
	list->nmsrs = total - 1;
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_MSR_INDEX_LIST, list));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(total, list->nmsrs);

	list->indices[total] = 0xa5a5a5a5;
	EXPECT_EQ(0, ioctl(self->fd, KVM_GET_MSR_INDEX_LIST, list));
	EXPECT_EQ(total, list->nmsrs);
	EXPECT_EQ(0xa5a5a5a5, list->indices[total]);
	for (uint32_t i = 0; i < total; i++) {
		efer |= list->indices[i] == 0xc0000081;
		for (uint32_t j = 0; j < i; j++) {
			EXPECT_NE(list->indices[i], list->indices[j]);
		}
	}
	EXPECT_TRUE(efer)
		TH_LOG("MSR_STAR is not listed");
	free(list);
}

TEST_HARNESS_MAIN
