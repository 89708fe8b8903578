// SPDX-License-Identifier: GPL-2.0-only
/* Every ioctl that copies says EFAULT to addresses it cannot use, and nothing breaks. */
#include "kselftest_harness.h"
#include "vm.h"

struct call {
	const char *name;
	unsigned long nr;
};

#define CALL(nr)	{ #nr, nr }

static const struct call sys_calls[] = {
	CALL(KVM_GET_SUPPORTED_CPUID),
	CALL(KVM_GET_MSR_INDEX_LIST),
	CALL(KVM_GET_EMULATED_CPUID),
	CALL(KVM_HAS_DEVICE_ATTR),
	CALL(KVM_GET_DEVICE_ATTR),
};

static const struct call vm_calls[] = {
	CALL(KVM_SET_USER_MEMORY_REGION),
	CALL(KVM_GET_DIRTY_LOG),
	CALL(KVM_CLEAR_DIRTY_LOG),
	CALL(KVM_REGISTER_COALESCED_MMIO),
	CALL(KVM_UNREGISTER_COALESCED_MMIO),
	CALL(KVM_CREATE_PIT2),
	CALL(KVM_IRQ_LINE),
	CALL(KVM_GET_IRQCHIP),
	CALL(KVM_SET_IRQCHIP),
	CALL(KVM_GET_PIT2),
	CALL(KVM_SET_PIT2),
	CALL(KVM_REINJECT_CONTROL),
	CALL(KVM_SET_GSI_ROUTING),
	CALL(KVM_SIGNAL_MSI),
	CALL(KVM_IRQFD),
	CALL(KVM_IOEVENTFD),
	CALL(KVM_GET_CLOCK),
	CALL(KVM_SET_CLOCK),
	CALL(KVM_X86_SET_MSR_FILTER),
};

static const struct call vcpu_calls[] = {
	CALL(KVM_GET_REGS),
	CALL(KVM_SET_REGS),
	CALL(KVM_GET_SREGS),
	CALL(KVM_SET_SREGS),
	CALL(KVM_GET_MSRS),
	CALL(KVM_SET_MSRS),
	CALL(KVM_GET_FPU),
	CALL(KVM_SET_FPU),
	CALL(KVM_GET_XSAVE),
	CALL(KVM_SET_XSAVE),
	CALL(KVM_HAS_DEVICE_ATTR),
	CALL(KVM_GET_DEVICE_ATTR),
	CALL(KVM_SET_DEVICE_ATTR),
	CALL(KVM_GET_XCRS),
	CALL(KVM_SET_XCRS),
	CALL(KVM_GET_LAPIC),
	CALL(KVM_SET_LAPIC),
	CALL(KVM_GET_MP_STATE),
	CALL(KVM_SET_MP_STATE),
	CALL(KVM_GET_VCPU_EVENTS),
	CALL(KVM_SET_VCPU_EVENTS),
	CALL(KVM_GET_DEBUGREGS),
	CALL(KVM_SET_DEBUGREGS),
	CALL(KVM_SET_CPUID2),
	CALL(KVM_GET_CPUID2),
	CALL(KVM_SET_SIGNAL_MASK),
};

FIXTURE(bad_pointers)
{
	struct vm vm;
	void *edge;	/* the last bytes of it can be used, what follows cannot */
};

FIXTURE_SETUP(bad_pointers)
{
	struct kvm_pit_config pit = { 0 };
	uint8_t *pages;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_CREATE_PIT2, &pit));
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, &self->vm.vcpu[0]));
	pages = page_alloc(5 * VM_PAGE_SIZE);
	ASSERT_NE(NULL, pages);
	ASSERT_EQ(0, mprotect(pages + VM_PAGE_SIZE, 4 * VM_PAGE_SIZE, PROT_NONE));
	self->edge = pages + VM_PAGE_SIZE;
}

FIXTURE_TEARDOWN(bad_pointers)
{
	vm_close(&self->vm);
}

static void try_all(struct __test_metadata *_metadata, int fd, const struct call *calls, size_t nr,
		    void *pointer)
{
	for (size_t i = 0; i < nr; i++) {
		EXPECT_EQ(-1, ioctl(fd, calls[i].nr, pointer))
			TH_LOG("%s", calls[i].name);
		EXPECT_EQ(EFAULT, errno)
			TH_LOG("%s: %s", calls[i].name, strerror(errno));
	}
}

TEST_F(bad_pointers, system)
{
	try_all(_metadata, self->vm.sys_fd, sys_calls, ARRAY_SIZE(sys_calls), bad_pointer());
	try_all(_metadata, self->vm.sys_fd, sys_calls, ARRAY_SIZE(sys_calls),
		(void *)0xffff888000000000UL);
}

TEST_F(bad_pointers, vm)
{
	try_all(_metadata, self->vm.fd, vm_calls, ARRAY_SIZE(vm_calls), bad_pointer());
	try_all(_metadata, self->vm.fd, vm_calls, ARRAY_SIZE(vm_calls),
		(void *)0xffff888000000000UL);
}

TEST_F(bad_pointers, vcpu)
{
	try_all(_metadata, self->vm.vcpu[0].fd, vcpu_calls, ARRAY_SIZE(vcpu_calls),
		bad_pointer());
	try_all(_metadata, self->vm.vcpu[0].fd, vcpu_calls, ARRAY_SIZE(vcpu_calls),
		(void *)0xffff888000000000UL);
}

/* Two that this VM would refuse for other reasons. */
TEST_F(bad_pointers, without_irqchip_and_without_vcpu)
{
	static const struct call interrupt[] = { CALL(KVM_INTERRUPT) };
	static const struct call identity[] = { CALL(KVM_SET_IDENTITY_MAP_ADDR) };

	vm_close(&self->vm);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY));
	try_all(_metadata, self->vm.fd, identity, 1, bad_pointer());
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	try_all(_metadata, self->vm.vcpu[0].fd, interrupt, 1, bad_pointer());
}

/* Structures that begin in good memory and end outside it. */
TEST_F(bad_pointers, across_the_edge)
{
	char *almost = (char *)self->edge - 2;

	try_all(_metadata, self->vm.fd, vm_calls, ARRAY_SIZE(vm_calls), almost);
	try_all(_metadata, self->vm.vcpu[0].fd, vcpu_calls, ARRAY_SIZE(vcpu_calls), almost);
}

/* The header can be copied, the array behind it cannot. */
TEST_F(bad_pointers, array_behind_a_good_header)
{
	struct kvm_msrs *msrs = (struct kvm_msrs *)((char *)self->edge - sizeof(*msrs));
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)((char *)self->edge - sizeof(*cpuid));
	struct kvm_irq_routing *routes =
		(struct kvm_irq_routing *)((char *)self->edge - sizeof(*routes));
	struct kvm_msr_list *list = (struct kvm_msr_list *)((char *)self->edge - sizeof(*list));
	int vcpu = self->vm.vcpu[0].fd;

	msrs->nmsrs = 10;
	msrs->pad = 0;
	EXPECT_EQ(-1, ioctl(vcpu, KVM_GET_MSRS, msrs));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(vcpu, KVM_SET_MSRS, msrs));
	EXPECT_EQ(EFAULT, errno);
	cpuid->nent = 100;
	cpuid->padding = 0;
	EXPECT_EQ(-1, ioctl(vcpu, KVM_SET_CPUID2, cpuid));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(vcpu, KVM_GET_CPUID2, cpuid));
	EXPECT_EQ(EFAULT, errno);
	cpuid->nent = 256;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_SUPPORTED_CPUID, cpuid));
	EXPECT_EQ(EFAULT, errno);
	routes->nr = 5;
	routes->flags = 0;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, routes));
	EXPECT_EQ(EFAULT, errno);
	list->nmsrs = 10000;
	EXPECT_EQ(-1, ioctl(self->vm.sys_fd, KVM_GET_MSR_INDEX_LIST, list));
	EXPECT_EQ(EFAULT, errno);
}

/* What cannot be written to is no place for an answer, though it can be read. */
TEST_F(bad_pointers, answers_into_readonly_memory)
{
	static const struct call gets[] = {
		CALL(KVM_GET_REGS), CALL(KVM_GET_SREGS), CALL(KVM_GET_FPU), CALL(KVM_GET_XSAVE),
		CALL(KVM_GET_XCRS), CALL(KVM_GET_LAPIC), CALL(KVM_GET_MP_STATE),
		CALL(KVM_GET_VCPU_EVENTS), CALL(KVM_GET_DEBUGREGS),
	};
	void *page = mmap(NULL, 2 * VM_PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	try_all(_metadata, self->vm.vcpu[0].fd, gets, ARRAY_SIZE(gets), page);
}

TEST_HARNESS_MAIN
