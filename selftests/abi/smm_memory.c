// SPDX-License-Identifier: GPL-2.0-only
/* The second address space, which is seen in system-management mode: its slots, dirty logs, and what changes under it. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "smm_guest.h"

GUEST_CODE(writing, 16,
	   "movw $0x1234, 0x7000\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");

/* --- slots --- */

TEST_F(smm, slots_of_two_spaces)
{
	uint32_t slots = has_cap(&self->vm, KVM_CAP_NR_MEMSLOTS);
	uint8_t *mem = page_alloc(VM_PAGE_SIZE);

	ASSERT_NE(NULL, mem);
	/* They overlap among those of their own space only. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0x10000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 0x10001, 0, 0x10000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0x10002, 0, 0x10000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0x20000, 0, 0x20000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0xffff0000, 0, 0x20000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0x10000 + slots, 0, 0x20000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EINVAL, errno);
	/* The same number is another slot there. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0x10000000, 0, mem));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, 0x10000000, 0, mem));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 0x10001, 0, 0x10000000, 0, mem));
	munmap(mem, VM_PAGE_SIZE);
}

TEST_F(smm, dirty_logs_of_two_spaces)
{
	uint64_t bits[VM_MEM_SIZE / VM_PAGE_SIZE / 64] = {};
	struct kvm_dirty_log log = { .slot = SMM_SLOT, .dirty_bitmap = bits };

	start_16(self, spin16, writing);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, self->smram));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, self->vm.mem));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, smi(self->vcpu));
		ASSERT_EQ(PORT_SMM, next_out(self->vcpu) >> 16);
		ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
		log.slot = SMM_SLOT;
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
		EXPECT_EQ(1ULL << 7, bits[0] & 1ULL << 7);
		/* The save area was written by the kernel. */
		EXPECT_EQ(1ULL << 63, bits[0] & 1ULL << 63);
		log.slot = 0;
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
		EXPECT_EQ(0ULL, bits[0] & (1ULL << 7 | 1ULL << 63));
	}
	EXPECT_EQ(0x1234, *(uint16_t *)(self->smram + 0x7000));
	EXPECT_EQ(0, *(uint16_t *)(self->vm.mem + 0x7000));
	log.slot = 0x20000;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(EINVAL, errno);
	log.slot = 0x10005;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(ENOENT, errno);
}

/* Entries of dirty rings name the space. */
TEST(dirty_ring_names_the_space)
{
	struct kvm_dirty_gfn *ring;
	struct vcpu *vcpu;
	struct vm vm;
	uint8_t *smram;
	bool found = false;
	struct { struct vm vm; struct vcpu *vcpu; uint8_t *smram; } *self;

	ASSERT_EQ(0, vm_open(&vm, VM_IRQCHIP | VM_MEMORY));
	if (!has_cap(&vm, KVM_CAP_X86_SMM) || !has_cap(&vm, KVM_CAP_DIRTY_LOG_RING))
		SKIP(return, "no KVM_CAP_X86_SMM or dirty rings");
	ASSERT_EQ(0, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, 65536));
	vcpu = vm_add_vcpu(&vm);
	ASSERT_NE(NULL, vcpu);
	ring = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
		    KVM_DIRTY_LOG_PAGE_OFFSET * VM_PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, ring);
	smram = page_alloc(VM_MEM_SIZE);
	ASSERT_EQ(0, vm_set_slot(&vm, SMM_SLOT + 3, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, smram));
	self = (void *)calloc(1, sizeof(*self));
	self->vm = vm;
	self->vcpu = vcpu;
	self->smram = smram;
	start_16(self, spin16, writing);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, smi(vcpu));
		ASSERT_EQ(PORT_SMM, next_out(vcpu) >> 16);
		ASSERT_EQ(PORT_GUEST, next_out(vcpu) >> 16);
	}
	found = false;
	for (int i = 0; i < 4096 && ring[i].flags & KVM_DIRTY_GFN_F_DIRTY; i++) {
		EXPECT_EQ(SMM_SLOT + 3, ring[i].slot);
		found |= ring[i].offset == 7;
		ring[i].flags = KVM_DIRTY_GFN_F_RESET;
	}
	EXPECT_TRUE(found);
	EXPECT_LT(0, ioctl(vm.fd, KVM_RESET_DIRTY_RINGS, 0));
	/* It was armed by that. */
	for (int i = 0; i < 4096; i++)
		found &= !(ring[i].flags & KVM_DIRTY_GFN_F_DIRTY);
	EXPECT_TRUE(found);
	ASSERT_EQ(0, smi(vcpu));
	ASSERT_EQ(PORT_SMM, next_out(vcpu) >> 16);
	found = false;
	for (int i = 0; i < 4096; i++)
		found |= (ring[i].flags & KVM_DIRTY_GFN_F_DIRTY) && ring[i].offset == 7;
	EXPECT_TRUE(found);
	munmap(ring, 65536);
	free(self);
	vm_close(&vm);
	munmap(smram, VM_MEM_SIZE);
}

/* --- memory that changes under it --- */

TEST_F(smm, memory_goes)
{
	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	/* The page of the word, in both spaces' memory; the vCPU is in the first. */
	ASSERT_EQ(0, madvise(self->smram + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	EXPECT_EQ(OUT(PORT_SMM, 0), next_out(self->vcpu));
	/* And the first's, while it is in the second. */
	ASSERT_EQ(0, madvise(self->vm.mem + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(OUT(PORT_GUEST, 0), next_out(self->vcpu));
	/* A slot of the second that moves does not move the first's. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, 0, self->smram));
	EXPECT_EQ(OUT(PORT_GUEST, 0), next_out(self->vcpu));
	memcpy(self->smram + 0x5000, "MM", 2);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, VM_MEM_SIZE, self->smram));
	ASSERT_EQ(0, smi(self->vcpu));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUT(PORT_GUEST, 0), next_out(self->vcpu));
}

struct sender {
	struct vm *vm;
	uint8_t *smram;
	volatile bool stop;
};

/* SMIs, and memory of both spaces that goes and comes back. */
static void *send_smis(void *arg)
{
	struct sender *s = arg;
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 2 << 8 };

	while (!s->stop) {
		msi.address_lo = 0xfee00000 | (rand() & 1) << 12;
		ioctl(s->vm->fd, KVM_SIGNAL_MSI, &msi);
		usleep(rand() % 200);
		madvise(s->smram + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED);
		memcpy(s->smram + 0x5000, "MM", 2);
		madvise(s->vm->mem + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED);
		memcpy(s->vm->mem + 0x5000, "OO", 2);
	}
	return NULL;
}

struct runner {
	struct vcpu *vcpu;
	volatile bool stop;
	int inside, outside, wrong;
};

static void *run_until(void *arg)
{
	struct runner *r = arg;

	while (!r->stop) {
		long out = next_out(r->vcpu);

		/* The word may be away for a moment. */
		if (out == OUTSIDE || out == OUT(PORT_GUEST, 0))
			r->outside++;
		else if (out == INSIDE || out == OUT(PORT_SMM, 0))
			r->inside++;
		else
			r->wrong++;
		if (in_smm(r->vcpu) != (out >> 16 == PORT_SMM))
			r->wrong++;
	}
	return NULL;
}

/* Each vCPU sees the space that it is in, whatever the other does and wherever the memory goes. */
TEST_F(smm, two_vcpus_under_load)
{
	struct sender sender = { .vm = &self->vm, .smram = self->smram };
	struct runner runner[2] = {};
	pthread_t thread[3];

	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	vm_load(&self->vm, VM_CODE_GPA, spin16);
	smm_load(self, HANDLER, handler);
	for (int i = 0; i < 2; i++) {
		struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
		struct kvm_lapic_state lapic;
		struct vcpu *vcpu = &self->vm.vcpu[i];

		ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, vcpu));
		ASSERT_EQ(0, vcpu_real_mode(vcpu, VM_CODE_GPA));
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable));
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic));
		*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic));
		/* Save areas of their own; what they have as CS:8000 is the same code. */
		ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_SMBASE, SMBASE + 0x10000 * i));
		runner[i].vcpu = vcpu;
	}
	smm_load(self, HANDLER + 0x10000, handler);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, run_until, &runner[i]));
	ASSERT_EQ(0, pthread_create(&thread[2], NULL, send_smis, &sender));
	usleep(1500000);
	sender.stop = true;
	pthread_join(thread[2], NULL);
	for (int i = 0; i < 2; i++) {
		runner[i].stop = true;
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, runner[i].wrong);
		EXPECT_LT(0, runner[i].inside);
		EXPECT_LT(0, runner[i].outside);
	}
}

/* Without memory for the second space there is nothing to run, and nobody is harmed. */
TEST_F(smm, no_memory_there)
{
	int reason;

	start_16(self, spin16, handler);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, 0, self->smram));
	ASSERT_EQ(0, smi(self->vcpu));
	reason = vcpu_run(self->vcpu);
	EXPECT_TRUE(reason == KVM_EXIT_INTERNAL_ERROR || reason == -EIO) TH_LOG("%d", reason);
}

TEST_HARNESS_MAIN
