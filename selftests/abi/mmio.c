// SPDX-License-Identifier: GPL-2.0-only
/* Device memory that has been accessed before, and memory slots that come to its place and go again. */
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	0x40000000UL
#define ROUNDS		20
#define FIRST_GPA	0x800000UL
#define STEP		0x200000UL	/* what one table of the lowest level maps */
#define PLACES		1900
/* Tables that a guest gets for MMIO (kmod/mmu/internal.h), and those for its memory. */
#define MOST_TABLES	(1024 + 32)

GUEST_CODE(poke, 64, "1: incb %al\n movb %al, (%rbx)\n outb %al, $0x10\n jmp 1b\n");
GUEST_CODE(wander, 64, "1: movb (%rbx), %al\n addq $0x200000, %rbx\n jmp 1b\n");

FIXTURE(mmio)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(mmio)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(mmio)
{
	vm_close(&self->vm);
}

static int set_rbx(struct vcpu *vcpu, uint64_t rbx)
{
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rbx = rbx;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

/* The guest's next write ends as MMIO of this address, and then it goes on. */
static bool writes_mmio(struct vcpu *vcpu, uint64_t gpa)
{
	return vcpu_run(vcpu) == KVM_EXIT_MMIO && vcpu->run->mmio.is_write &&
	       vcpu->run->mmio.phys_addr == gpa && vcpu_run(vcpu) == KVM_EXIT_IO;
}

static bool writes_memory(struct vcpu *vcpu, uint8_t *byte)
{
	uint8_t before = *(volatile uint8_t *)byte;

	return vcpu_run(vcpu) == KVM_EXIT_IO && *(volatile uint8_t *)byte != before;
}

/* The page at `offset` of a slot of this size is device memory, memory, device memory, … */
static bool takes_turns(struct vm *vm, uint8_t *hva, size_t size, uint64_t offset)
{
	struct vcpu *vcpu = &vm->vcpu[0];
	long before = vm_counter("exit:EPT_MISCONFIG");
	int i;

	if (set_rbx(vcpu, SLOT_GPA + offset))
		return false;
	for (i = 0; i < ROUNDS; i++) {
		if (!writes_mmio(vcpu, SLOT_GPA + offset) || !writes_mmio(vcpu, SLOT_GPA + offset) ||
		    vm_set_slot(vm, 1, 0, SLOT_GPA, size, hva) ||
		    !writes_memory(vcpu, hva + offset) || !writes_memory(vcpu, hva + offset) ||
		    vm_set_slot(vm, 1, 0, SLOT_GPA, 0, hva))
			return false;
	}
	/* The first access to device memory each time is known by nobody, memory is no device's. */
	if (vendor_param("vmx_mmio_misconfig"))
		return vm_counter("exit:EPT_MISCONFIG") - before == ROUNDS;
	return vm_counter("exit:EPT_MISCONFIG") <= 0;
}

TEST_F(mmio, gives_way_to_memory)
{
	const size_t size = 8UL << 20;
	uint8_t *hva = page_alloc(size);

	ASSERT_NE(NULL, hva);
	vm_load(&self->vm, VM_CODE_GPA, poke);
	EXPECT_TRUE(takes_turns(&self->vm, hva, VM_PAGE_SIZE, 0));
	EXPECT_TRUE(takes_turns(&self->vm, hva, 3 * VM_PAGE_SIZE, 2 * VM_PAGE_SIZE));
	EXPECT_TRUE(takes_turns(&self->vm, hva, size, 0));
	EXPECT_TRUE(takes_turns(&self->vm, hva, size, size - VM_PAGE_SIZE));
	munmap(hva, size);
}

/* A slot that moves onto device memory, and back. */
TEST_F(mmio, gives_way_to_memory_that_moves)
{
	uint8_t *hva = page_alloc(VM_PAGE_SIZE);
	int i;

	ASSERT_NE(NULL, hva);
	vm_load(&self->vm, VM_CODE_GPA, poke);
	ASSERT_EQ(0, set_rbx(self->vcpu, SLOT_GPA));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA + VM_PAGE_SIZE, VM_PAGE_SIZE, hva));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(writes_mmio(self->vcpu, SLOT_GPA));
		ASSERT_TRUE(writes_mmio(self->vcpu, SLOT_GPA));
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, VM_PAGE_SIZE, hva));
		ASSERT_TRUE(writes_memory(self->vcpu, hva));
		ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA + VM_PAGE_SIZE, VM_PAGE_SIZE, hva));
	}
	munmap(hva, VM_PAGE_SIZE);
}

/* What a guest can make the host spend by looking at places where nothing is has an end. */
TEST_F(mmio, costs_a_limited_amount_of_memory)
{
	uint64_t gpa = FIRST_GPA;
	int i;

	vm_load(&self->vm, VM_CODE_GPA, wander);
	ASSERT_EQ(0, set_rbx(self->vcpu, gpa));
	for (i = 0; i < PLACES; i++, gpa += STEP) {
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
		ASSERT_EQ(gpa, self->vcpu->run->mmio.phys_addr);
	}
	if (dev_is_reference())
		return;
	TH_LOG("%ld tables", vm_counter("tables"));
	EXPECT_GE(MOST_TABLES, vm_counter("tables"));
	/* Beyond the limit it works as well, only slower, and memory comes there too. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, gpa, VM_PAGE_SIZE, self->vm.mem));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	EXPECT_EQ(gpa + STEP, self->vcpu->run->mmio.phys_addr);
}

TEST_HARNESS_MAIN
