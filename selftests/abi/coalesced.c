// SPDX-License-Identifier: GPL-2.0-only
/* Coalesced I/O: writes to zones go to the ring of the vCPU's mapping, and to the VMM when there is no room. */
#include "kselftest_harness.h"
#include "vm.h"

#define PAGE_SIZE VM_PAGE_SIZE		/* KVM_COALESCED_MMIO_MAX wants it */
#define RING_MAX KVM_COALESCED_MMIO_MAX
#define ZONE	VM_MMIO_GPA
#define PORT	0x510

/*
 * What comes in by port 0x10 says what to do: 0 to 3 store rsi to rbx by size, 4 reads from there, 5 and 6 put out
 * rsi's low byte and word to PORT, 7 is OUTSB of rcx bytes at rsi, 8 stores xmm0; 9 stores cl to rbx ecx times, counting down.
 */
GUEST_CODE(worker, 64,
	   "1: inb $0x10, %al\n"
	   "movl $0x510, %edx\n"
	   "cmpb $0, %al\n"
	   "jne 2f\n"
	   "movb %sil, (%rbx)\n"
	   "jmp 1b\n"
	   "2: cmpb $1, %al\n"
	   "jne 2f\n"
	   "movw %si, (%rbx)\n"
	   "jmp 1b\n"
	   "2: cmpb $2, %al\n"
	   "jne 2f\n"
	   "movl %esi, (%rbx)\n"
	   "jmp 1b\n"
	   "2: cmpb $3, %al\n"
	   "jne 2f\n"
	   "movq %rsi, (%rbx)\n"
	   "jmp 1b\n"
	   "2: cmpb $4, %al\n"
	   "jne 2f\n"
	   "movl (%rbx), %eax\n"
	   "jmp 1b\n"
	   "2: cmpb $5, %al\n"
	   "jne 2f\n"
	   "movl %esi, %eax\n"
	   "outb %al, %dx\n"
	   "jmp 1b\n"
	   "2: cmpb $6, %al\n"
	   "jne 2f\n"
	   "movl %esi, %eax\n"
	   "outw %ax, %dx\n"
	   "jmp 1b\n"
	   "2: cmpb $7, %al\n"
	   "jne 2f\n"
	   "rep outsb\n"
	   "jmp 1b\n"
	   "2: cmpb $8, %al\n"
	   "jne 2f\n"
	   "movups %xmm0, (%rbx)\n"
	   "jmp 1b\n"
	   "2: movb %cl, (%rbx)\n"
	   "decl %ecx\n"
	   "jnz 2b\n"
	   "jmp 1b\n");

enum { STORE_1, STORE_2, STORE_4, STORE_8, LOAD, OUT_1, OUT_2, OUTS, STORE_16, STORE_MANY };

FIXTURE(coalesced)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_coalesced_mmio_ring *ring;
};

FIXTURE_SETUP(coalesced)
{
	struct kvm_sregs sregs;
	int page;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	page = has_cap(&self->vm, KVM_CAP_COALESCED_MMIO);
	ASSERT_LT(0, page);
	ASSERT_LT(page * VM_PAGE_SIZE, self->vm.run_size);
	self->ring = (void *)((char *)self->vcpu->run + page * VM_PAGE_SIZE);
	vm_load(&self->vm, VM_CODE_GPA, worker);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	/* For movups. */
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 |= 1 << 9;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

FIXTURE_TEARDOWN(coalesced)
{
	vm_close(&self->vm);
}

static int zone(struct vm *vm, unsigned long cmd, uint64_t addr, uint32_t size, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size, .pio = pio };

	return ioctl(vm->fd, cmd, &zone);
}

/* The guest does @what with these registers; 0 when it came back without another exit, else the exit's reason. */
static int guest_does(struct vcpu *vcpu, uint8_t what, uint64_t rbx, uint64_t rsi, uint64_t rcx)
{
	struct kvm_regs regs;
	int reason;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rbx = rbx;
	regs.rsi = rsi;
	regs.rcx = rcx;
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return -1;
	*(uint8_t *)io_data(vcpu) = what;
	reason = vcpu_run(vcpu);
	return reason == KVM_EXIT_IO && vcpu->run->io.port == 0x10 ? 0 : reason;
}

/* Ends an exit that guest_does() has told of, and brings the guest to its next question. */
static int to_next(struct vcpu *vcpu)
{
	int reason = vcpu_run(vcpu);

	return reason == KVM_EXIT_IO && vcpu->run->io.port == 0x10 ? 0 : reason;
}

static uint32_t nr_in(const struct kvm_coalesced_mmio_ring *ring)
{
	return (ring->last + RING_MAX - ring->first) % RING_MAX;
}

TEST_F(coalesced, ring_lies_in_the_mapping)
{
	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_COALESCED_PIO));
	EXPECT_EQ(2, has_cap(&self->vm, KVM_CAP_COALESCED_MMIO));
	EXPECT_LE(3 * VM_PAGE_SIZE, self->vm.run_size);
	EXPECT_EQ(0U, self->ring->first);
	EXPECT_EQ(0U, self->ring->last);
}

TEST_F(coalesced, bad_arguments)
{
	EXPECT_EQ(-1, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 4096, 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, zone(&self->vm, KVM_UNREGISTER_COALESCED_MMIO, ZONE, 4096, 1U << 31));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_REGISTER_COALESCED_MMIO, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_UNREGISTER_COALESCED_MMIO, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	/* Taking away what is not there is no error, as ever. */
	EXPECT_EQ(0, zone(&self->vm, KVM_UNREGISTER_COALESCED_MMIO, ZONE, 4096, 0));
}

TEST_F(coalesced, writes_of_every_size)
{
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 4096, 0));
	for (int what = STORE_1; what <= STORE_8; what++) {
		ASSERT_EQ(0, guest_does(self->vcpu, what, ZONE + 16 * what, 0x8877665544332211, 0));
	}
	ASSERT_EQ(4U, nr_in(self->ring));
	for (int what = STORE_1; what <= STORE_8; what++) {
		struct kvm_coalesced_mmio *entry = &self->ring->coalesced_mmio[what];
		uint64_t data = 0;

		EXPECT_EQ(ZONE + 16 * what, entry->phys_addr);
		EXPECT_EQ(1U << what, entry->len);
		EXPECT_EQ(0U, entry->pio);
		memcpy(&data, entry->data, entry->len);
		EXPECT_EQ(0x8877665544332211 & (~0UL >> (64 - 8 * entry->len)), data);
	}
}

TEST_F(coalesced, reads_and_neighbours_exit)
{
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE + 16, 16, 0));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, LOAD, ZONE + 16, 0, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_1, ZONE + 15, 0, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_1, ZONE + 32, 0, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	/* Half in, half out. */
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_8, ZONE + 28, 0, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_8, ZONE + 12, 0, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(0U, nr_in(self->ring));
	EXPECT_EQ(0, guest_does(self->vcpu, STORE_8, ZONE + 24, 0, 0));
	EXPECT_EQ(1U, nr_in(self->ring));
	/* A zone of MMIO is none of ports. */
	EXPECT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, PORT, 16, 0));
	EXPECT_EQ(KVM_EXIT_IO, guest_does(self->vcpu, OUT_1, 0, 0, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
}

TEST_F(coalesced, ports)
{
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, PORT, 2, 1));
	EXPECT_EQ(0, guest_does(self->vcpu, OUT_1, 0, 0x4321, 0));
	EXPECT_EQ(0, guest_does(self->vcpu, OUT_2, 0, 0x4321, 0));
	ASSERT_EQ(2U, nr_in(self->ring));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(PORT, self->ring->coalesced_mmio[i].phys_addr);
		EXPECT_EQ(1U + i, self->ring->coalesced_mmio[i].len);
		EXPECT_EQ(1U, self->ring->coalesced_mmio[i].pio);
		EXPECT_EQ(0x21, self->ring->coalesced_mmio[i].data[0]);
	}
	EXPECT_EQ(0x43, self->ring->coalesced_mmio[1].data[1]);
}

TEST_F(coalesced, unregistered_zones_exit)
{
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 64, 0));
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE + 64, 64, 0));
	/* More than a zone is not in it; less is. */
	ASSERT_EQ(0, zone(&self->vm, KVM_UNREGISTER_COALESCED_MMIO, ZONE, 128, 0));
	EXPECT_EQ(0, guest_does(self->vcpu, STORE_4, ZONE, 1, 0));
	ASSERT_EQ(0, zone(&self->vm, KVM_UNREGISTER_COALESCED_MMIO, ZONE + 8, 8, 0));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_4, ZONE, 2, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(0, guest_does(self->vcpu, STORE_4, ZONE + 64, 3, 0));
	EXPECT_EQ(2U, nr_in(self->ring));
}

/* One entry of the ring is always free, as first and last are the same in an empty one. */
TEST_F(coalesced, full_ring_exits)
{
	uint32_t n = RING_MAX - 1;

	/* Its arithmetic wraps at 2^32, which is no multiple of the ring's size: exits come too early, or not. */
	if (dev_is_reference())
		SKIP(return, "the stock module takes another ring for full");
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 64, 0));
	ASSERT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_MANY, ZONE, 0, n + 1));
	EXPECT_EQ(n, nr_in(self->ring));
	EXPECT_EQ(1, self->vcpu->run->mmio.len);
	EXPECT_EQ(1, self->vcpu->run->mmio.data[0]);
	EXPECT_TRUE(self->vcpu->run->mmio.is_write);
	EXPECT_EQ(0, to_next(self->vcpu));
	for (uint32_t i = 0; i < n; i++) {
		EXPECT_EQ((uint8_t)(n + 1 - i), self->ring->coalesced_mmio[i].data[0]);
	}
	/* Room again, around the end. */
	self->ring->first = 3;
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_MANY, ZONE, 0, 4));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(2U, self->ring->last);
	EXPECT_EQ(4, self->ring->coalesced_mmio[n].data[0]);
	EXPECT_EQ(2, self->ring->coalesced_mmio[1].data[0]);
}

/* What one instruction does in pieces may be the ring's at first and the VMM's in the rest: nothing is lost. */
TEST_F(coalesced, full_ring_in_the_middle_of_a_string)
{
	char text[16] = "0123456789abcdef";
	int reason, n = 0;

	vm_copy_in(&self->vm, VM_DATA_GPA, text, sizeof(text));
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, PORT, 1, 1));
	self->ring->first = 10;
	self->ring->last = 5;
	reason = guest_does(self->vcpu, OUTS, 0, VM_DATA_GPA, sizeof(text));
	EXPECT_EQ(9U, self->ring->last);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(text[i], self->ring->coalesced_mmio[5 + i].data[0]);
	}
	while (reason == KVM_EXIT_IO) {
		ASSERT_EQ(PORT, self->vcpu->run->io.port);
		ASSERT_EQ(1, self->vcpu->run->io.size);
		for (uint32_t i = 0; i < self->vcpu->run->io.count && n < 12; i++, n++) {
			EXPECT_EQ(text[4 + n], ((char *)io_data(self->vcpu))[i]);
		}
		reason = to_next(self->vcpu);
	}
	EXPECT_EQ(0, reason);
	EXPECT_EQ(12, n);
}

TEST_F(coalesced, full_ring_in_the_middle_of_a_vector)
{
	struct kvm_fpu fpu;

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_FPU, &fpu));
	for (int i = 0; i < 16; i++)
		fpu.xmm[0][i] = i;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_FPU, &fpu));
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 64, 0));
	self->ring->first = 7;
	self->ring->last = 5;
	ASSERT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_16, ZONE, 0, 0));
	EXPECT_EQ(6U, self->ring->last);
	EXPECT_EQ(8U, self->ring->coalesced_mmio[5].len);
	EXPECT_EQ(7, self->ring->coalesced_mmio[5].data[7]);
	EXPECT_EQ(ZONE + 8, self->vcpu->run->mmio.phys_addr);
	EXPECT_EQ(8U, self->vcpu->run->mmio.len);
	EXPECT_EQ(8, self->vcpu->run->mmio.data[0]);
	EXPECT_EQ(0, to_next(self->vcpu));
}

/* The ring's indexes are whatever the VMM writes there. */
TEST_F(coalesced, indexes_that_are_none)
{
	static const uint32_t bad[] = { RING_MAX, RING_MAX + 1, 4096, 0x7fffffff, 0x80000000, 0xffffffff };

	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 64, 0));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		self->ring->last = bad[i];
		self->ring->first = 0;
		EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_4, ZONE, 1, 0));
		EXPECT_EQ(0, to_next(self->vcpu));
		EXPECT_EQ(bad[i], self->ring->last);
		self->ring->last = 1;
		self->ring->first = bad[i];
		(void)guest_does(self->vcpu, STORE_4, ZONE, 1, 0);
		if (self->vcpu->run->exit_reason == KVM_EXIT_MMIO)
			(void)to_next(self->vcpu);
	}
	self->ring->first = 0;
	self->ring->last = 0;
	EXPECT_EQ(0, guest_does(self->vcpu, STORE_4, ZONE, 1, 0));
	EXPECT_EQ(1U, self->ring->last);
}

/* Each is a device on the bus, of which there are only so many; and all go with the VM. */
TEST_F(coalesced, zones_are_limited)
{
	int r = 0, n;

	for (n = 0; n < 5000 && !r; n++)
		r = zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE + n * 4096UL, 4096, 0);
	EXPECT_EQ(-1, r);
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_LE(100, n);
	EXPECT_EQ(0, zone(&self->vm, KVM_UNREGISTER_COALESCED_MMIO, ZONE, 4096, 0));
	EXPECT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 4096, 0));
	EXPECT_EQ(0, guest_does(self->vcpu, STORE_4, ZONE, 1, 0));
}

/* Zones at the ends of what an address can be, and of no size. */
TEST_F(coalesced, odd_zones)
{
	EXPECT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 0, 0));
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_4, ZONE, 1, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	(void)zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ~0UL - 4095, 0xffffffff, 0);
	EXPECT_EQ(KVM_EXIT_MMIO, guest_does(self->vcpu, STORE_4, ZONE, 1, 0));
	EXPECT_EQ(0, to_next(self->vcpu));
	EXPECT_EQ(0U, nr_in(self->ring));
}

/* The ring is the VM's: all vCPUs' mappings show the same. */
TEST_F(coalesced, one_ring_for_all)
{
	struct vcpu *other = vm_add_vcpu(&self->vm);
	struct kvm_coalesced_mmio_ring *ring;

	ASSERT_NE(NULL, other);
	ring = (void *)((char *)other->run + 2 * VM_PAGE_SIZE);
	ASSERT_EQ(0, zone(&self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 64, 0));
	ASSERT_EQ(0, guest_does(self->vcpu, STORE_4, ZONE, 77, 0));
	EXPECT_EQ(1U, ring->last);
	EXPECT_EQ(77, ring->coalesced_mmio[0].data[0]);
}

TEST_HARNESS_MAIN
