// SPDX-License-Identifier: GPL-2.0-only
/* SET_USER_MEMORY_REGION: what is refused, and what the guest sees of what is not. */
#include <fcntl.h>
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	0x400000UL
#define SLOT_SIZE	(16 * VM_PAGE_SIZE)

/* Reads a byte at ebx and puts it out; writes what it gets in from the port there; again. */
GUEST_CODE(peek_poke, 64,
	   "1: movb (%rbx), %al\n"
	   "outb %al, $0x10\n"
	   "inb $0x10, %al\n"
	   "movb %al, (%rbx)\n"
	   "outb %al, $0x11\n"
	   "jmp 1b\n");

FIXTURE(memory)
{
	struct vm vm;
	uint8_t *hva;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->hva = page_alloc(SLOT_SIZE * 4);
	ASSERT_NE(NULL, self->hva);
}

FIXTURE_TEARDOWN(memory)
{
	vm_close(&self->vm);
	munmap(self->hva, SLOT_SIZE * 4);
}

static struct vcpu *start_at(struct vm *vm, uint64_t gpa)
{
	struct vcpu *vcpu = vm_add_vcpu(vm);
	struct kvm_regs regs;

	if (!vcpu)
		return NULL;
	vm_load(vm, VM_CODE_GPA, peek_poke);
	if (vcpu_long_mode(vm, vcpu, VM_CODE_GPA))
		return NULL;
	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	regs.rbx = gpa;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs) ? NULL : vcpu;
}

/* Runs up to the next exit, which has to be the port's; the byte, or -1. */
static int next_byte(struct vcpu *vcpu, uint16_t port)
{
	if (vcpu_run(vcpu) != KVM_EXIT_IO || vcpu->run->io.port != port)
		return -1;
	return *(uint8_t *)io_data(vcpu);
}

TEST_F(memory, create_and_delete)
{
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, self->hva));
	/* The number and the addresses are free again. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE * 2, self->hva));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0, 0, NULL));
}

TEST_F(memory, deleting_what_is_not_there_is_einval)
{
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, self->hva));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, same_again_changes_nothing)
{
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
}

#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_CAP_USER_MEMORY2 231
struct kvm_userspace_memory_region2 {
	uint32_t slot;
	uint32_t flags;
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#endif
#ifndef KVM_CAP_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234
#endif
#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#endif

TEST_F(memory, region2_is_region)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = 1, .guest_phys_addr = SLOT_GPA, .memory_size = SLOT_SIZE,
		.userspace_addr = (uintptr_t)self->hva,
		/* What belongs to a flag that is not set is not looked at. */
		.guest_memfd = -1, .guest_memfd_offset = 1, .pad1 = 3, .pad2 = { 5, [13] = 7 },
	};
	struct vcpu *vcpu;

	if (!has_cap(&self->vm, KVM_CAP_USER_MEMORY2))
		SKIP(return, "no KVM_CAP_USER_MEMORY2");
	self->hva[0] = 42;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_USER_MEMORY_REGION2, &region));
	vcpu = start_at(&self->vm, SLOT_GPA);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(42, next_byte(vcpu, 0x10));

	/* The slots of one are those of the other. */
	region.guest_phys_addr += SLOT_SIZE * 4;
	region.slot = 2;
	region.flags = KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES;
	EXPECT_EQ(0, ioctl(self->vm.fd, KVM_SET_USER_MEMORY_REGION2, &region));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 3, 0, region.guest_phys_addr, SLOT_SIZE, self->hva));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(0, vm_set_slot(&self->vm, 2, 0, 0, 0, NULL));
	region.memory_size = 0;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_USER_MEMORY_REGION2, &region));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, region2_bad_arguments)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = 1, .guest_phys_addr = SLOT_GPA, .memory_size = SLOT_SIZE,
		.userspace_addr = (uintptr_t)self->hva, .guest_memfd = -1,
	};

	if (!has_cap(&self->vm, KVM_CAP_USER_MEMORY2))
		SKIP(return, "no KVM_CAP_USER_MEMORY2");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_USER_MEMORY_REGION2, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	for (int bit = 3; bit < 32; bit++) {
		region.flags = 1U << bit;
		EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_USER_MEMORY_REGION2, &region))
			TH_LOG("flag bit %d", bit);
		EXPECT_EQ(EINVAL, errno);
	}
	/* Memory by a file of the kernel's own there is none. */
	if (has_cap(&self->vm, KVM_CAP_GUEST_MEMFD))
		return;
	region.flags = KVM_MEM_GUEST_MEMFD;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_USER_MEMORY_REGION2, &region));
	EXPECT_EQ(EINVAL, errno);
}

/* How many pages the nested page table may have: here a table for each 2 MiB that is touched. */
TEST_F(memory, nr_mmu_pages)
{
	const size_t step = 2UL << 20, nr = 200;
	uint8_t *area;
	struct vcpu *vcpu;

	if (!has_cap(&self->vm, KVM_CAP_MMU_SHADOW_CACHE_CONTROL))
		SKIP(return, "no KVM_CAP_MMU_SHADOW_CACHE_CONTROL");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_NR_MMU_PAGES, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_SET_NR_MMU_PAGES, 63));
	EXPECT_EQ(EINVAL, errno);
	area = mmap(NULL, nr * step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	madvise(area, nr * step, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0x40000000, nr * step, area));
	vcpu = start_at(&self->vm, 0x40000000);
	ASSERT_NE(NULL, vcpu);
	for (int round = 0; round < 3; round++) {
		long tables;

		/* The first round without a limit, which ends as it sets one. */
		if (round == 1)
			ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_NR_MMU_PAGES, 64));
		for (size_t i = 0; i < nr; i++) {
			struct kvm_regs regs;

			ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_REGS, &regs));
			regs.rbx = 0x40000000 + i * step;
			ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_REGS, &regs));
			ASSERT_EQ(round ? (uint8_t)(i + round - 1) : 0, next_byte(vcpu, 0x10));
			ASSERT_EQ(KVM_EXIT_IO, vcpu_run(vcpu));
			*(uint8_t *)io_data(vcpu) = i + round;
			ASSERT_LE(0, next_byte(vcpu, 0x11));
		}
		tables = vm_counter("tables");
		/* The stock module's own tables know no limit. */
		if (dev_is_reference() || tables < 0)
			continue;
		if (round) {
			EXPECT_GE(64 + 8, tables);
		} else {
			EXPECT_LE(200, tables);
		}
	}
	munmap(area, nr * step);
}

TEST_F(memory, misaligned_is_einval)
{
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA + 1, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE + 512, self->hva));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva + 16));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, unknown_flags_are_einval)
{
	for (int bit = 2; bit < 32; bit++) {
		EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 1U << bit, SLOT_GPA, SLOT_SIZE, self->hva))
			TH_LOG("flag bit %d", bit);
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(memory, wrapping_guest_range_is_einval)
{
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, ~0UL << 12, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
	/* The last page may not be one either: its end is 0. */
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, -SLOT_SIZE, SLOT_SIZE * 2, self->hva));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, huge_sizes_are_einval)
{
	static const uint64_t sizes[] = { 1UL << 63, 1UL << 52, ~0UL << 12, 1UL << 44 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, 1UL << 30, sizes[i], self->hva))
			TH_LOG("size %#lx", sizes[i]);
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(memory, user_range_outside_user_space_is_einval)
{
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE,
				  (void *)0xffff888000000000UL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, (void *)(~0UL << 12)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, (void *)(1UL << 60)));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, slot_number_is_bounded)
{
	uint32_t nr = has_cap(&self->vm, KVM_CAP_NR_MEMSLOTS);

	EXPECT_EQ(0, vm_set_slot(&self->vm, nr - 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, nr, 0, SLOT_GPA * 2, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0xffff, 0, SLOT_GPA * 2, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
}

/* Bits 16 and up name an address space: those that KVM_CAP_MULTI_ADDRESS_SPACE counts. */
TEST_F(memory, address_space_is_bounded)
{
	uint32_t nr = has_cap(&self->vm, KVM_CAP_MULTI_ADDRESS_SPACE);

	if (!nr)
		nr = 1;
	EXPECT_EQ(-1, vm_set_slot(&self->vm, nr << 16 | 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0xffff0001, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, overlap_is_eexist)
{
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 2, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(EEXIST, errno);
	/* One page at either end, and all around. */
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 2, 0, SLOT_GPA + SLOT_SIZE - VM_PAGE_SIZE, SLOT_SIZE,
				  self->hva));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 2, 0, SLOT_GPA - SLOT_SIZE + VM_PAGE_SIZE, SLOT_SIZE,
				  self->hva));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 2, 0, SLOT_GPA - VM_PAGE_SIZE, SLOT_SIZE * 2,
				  self->hva));
	EXPECT_EQ(EEXIST, errno);
	/* Side by side is none. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 2, 0, SLOT_GPA + SLOT_SIZE, SLOT_SIZE, self->hva));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 3, 0, SLOT_GPA - SLOT_SIZE, SLOT_SIZE, self->hva));
}

TEST_F(memory, moving_onto_another_slot_is_eexist)
{
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 2, 0, SLOT_GPA + 2 * SLOT_SIZE, SLOT_SIZE,
				 self->hva + SLOT_SIZE));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA + SLOT_SIZE + VM_PAGE_SIZE, SLOT_SIZE,
				  self->hva));
	EXPECT_EQ(EEXIST, errno);
	/* Its own old place is no obstacle. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA + VM_PAGE_SIZE, SLOT_SIZE, self->hva));
}

TEST_F(memory, size_backing_and_readonly_cannot_change)
{
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE * 2, self->hva));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva + SLOT_SIZE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, KVM_MEM_READONLY, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(memory, two_slots_may_share_their_backing)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 2, 0, SLOT_GPA + SLOT_SIZE, SLOT_SIZE, self->hva));
	self->hva[0] = 0x5a;
	vcpu = start_at(&self->vm, SLOT_GPA + SLOT_SIZE);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x5a, next_byte(vcpu, 0x10));
}

TEST_F(memory, every_slot_can_be_used)
{
	int nr = has_cap(&self->vm, KVM_CAP_NR_MEMSLOTS);

	if (nr > 100)
		nr = 100;
	for (int i = 1; i < nr; i++) {
		ASSERT_EQ(0, vm_set_slot(&self->vm, i, 0, SLOT_GPA + i * VM_PAGE_SIZE,
					 VM_PAGE_SIZE, self->hva))
			TH_LOG("slot %d", i);
	}
}

TEST_F(memory, guest_and_host_share_it_both_ways)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	self->hva[5] = 0x42;
	vcpu = start_at(&self->vm, SLOT_GPA + 5);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x42, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	*(uint8_t *)io_data(vcpu) = 0x24;
	EXPECT_EQ(0x24, next_byte(vcpu, 0x11));
	EXPECT_EQ(0x24, self->hva[5]);
}

TEST_F(memory, access_after_delete_is_mmio)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	self->hva[5] = 0x42;
	vcpu = start_at(&self->vm, SLOT_GPA + 5);
	ASSERT_NE(NULL, vcpu);
	/* Mapped by now, for writing too. */
	EXPECT_EQ(0x42, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x11));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL));

	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(vcpu));
	EXPECT_EQ(SLOT_GPA + 5, vcpu->run->mmio.phys_addr);
	EXPECT_EQ(1U, vcpu->run->mmio.len);
	EXPECT_EQ(0, vcpu->run->mmio.is_write);
	vcpu->run->mmio.data[0] = 0x77;
	EXPECT_EQ(0x77, next_byte(vcpu, 0x10));

	/* Memory again where the device was: nothing stale may be left of that. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	*(uint8_t *)io_data(vcpu) = 0x99;
	EXPECT_EQ(0x99, next_byte(vcpu, 0x11));
	EXPECT_EQ(0x99, self->hva[5]);
}

TEST_F(memory, move_takes_the_contents_along)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	self->hva[0] = 0x11;
	self->hva[SLOT_SIZE / 2] = 0x22;
	vcpu = start_at(&self->vm, SLOT_GPA + SLOT_SIZE / 2);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x22, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	*(uint8_t *)io_data(vcpu) = 0x23;
	EXPECT_EQ(0x23, next_byte(vcpu, 0x11));
	/* The address that was in the middle is the start now. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA + SLOT_SIZE / 2, SLOT_SIZE, self->hva));
	EXPECT_EQ(0x11, next_byte(vcpu, 0x10));
	EXPECT_EQ(0x23, self->hva[SLOT_SIZE / 2]);
}

TEST_F(memory, write_to_readonly_is_mmio)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_READONLY, SLOT_GPA, SLOT_SIZE, self->hva));
	self->hva[9] = 0x31;
	vcpu = start_at(&self->vm, SLOT_GPA + 9);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x31, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	*(uint8_t *)io_data(vcpu) = 0x32;
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(vcpu));
	EXPECT_EQ(SLOT_GPA + 9, vcpu->run->mmio.phys_addr);
	EXPECT_EQ(1, vcpu->run->mmio.is_write);
	EXPECT_EQ(1U, vcpu->run->mmio.len);
	EXPECT_EQ(0x32, vcpu->run->mmio.data[0]);
	EXPECT_EQ(0x32, next_byte(vcpu, 0x11));
	EXPECT_EQ(0x31, self->hva[9]);
}

/* Memory that only the host may not write serves a read-only slot. */
TEST_F(memory, readonly_slot_on_readonly_mapping)
{
	struct vcpu *vcpu;

	self->hva[0] = 0x63;
	ASSERT_EQ(0, mprotect(self->hva, SLOT_SIZE, PROT_READ));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, KVM_MEM_READONLY, SLOT_GPA, SLOT_SIZE, self->hva));
	vcpu = start_at(&self->vm, SLOT_GPA);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x63, next_byte(vcpu, 0x10));
}

/* The host changes what is behind an address: the guest has to see the new page. */
TEST_F(memory, guest_follows_the_hosts_mapping)
{
	struct vcpu *vcpu;
	uint8_t *page;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	self->hva[0] = 0x42;
	vcpu = start_at(&self->vm, SLOT_GPA);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(0x42, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x11));
	page = mmap(self->hva, VM_PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(self->hva, page);
	page[0] = 0x43;
	EXPECT_EQ(0x43, next_byte(vcpu, 0x10));

	EXPECT_LE(0, next_byte(vcpu, 0x10));
	EXPECT_LE(0, next_byte(vcpu, 0x11));
	ASSERT_EQ(0, madvise(self->hva, VM_PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(0, next_byte(vcpu, 0x10));
}

/* No mapping behind the slot: the VMM is told, and the host lives. */
TEST_F(memory, unmapped_backing_is_efault)
{
	struct vcpu *vcpu;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	/* The vCPU first: its kvm_run would be mapped into the hole. */
	vcpu = start_at(&self->vm, SLOT_GPA);
	ASSERT_NE(NULL, vcpu);
	ASSERT_EQ(0, munmap(self->hva, SLOT_SIZE));
	EXPECT_EQ(-EFAULT, vcpu_run(vcpu));
	/* Put right, the guest goes on. */
	ASSERT_EQ(self->hva, mmap(self->hva, SLOT_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	self->hva[0] = 0x18;
	EXPECT_EQ(0x18, next_byte(vcpu, 0x10))
		TH_LOG("exit reason %u", vcpu->run->exit_reason);
}

TEST_F(memory, copy_on_write_after_fork_is_followed)
{
	struct vcpu *vcpu;
	int status;
	pid_t pid;

	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, self->hva));
	self->hva[0] = 1;
	vcpu = start_at(&self->vm, SLOT_GPA);
	ASSERT_NE(NULL, vcpu);
	EXPECT_EQ(1, next_byte(vcpu, 0x10));
	pid = fork();
	if (!pid) {
		/* The child has the page as it was, whatever the guest writes meanwhile. */
		usleep(300000);
		_exit(self->hva[0]);
	}
	EXPECT_LE(0, next_byte(vcpu, 0x10));
	*(uint8_t *)io_data(vcpu) = 2;
	EXPECT_EQ(2, next_byte(vcpu, 0x11));
	EXPECT_EQ(2, self->hva[0]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(1, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
