/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of system-management mode share: a VM with memory of its own in the second address space, at the same
 * place as the first's; guests that tell by their ports where they are.
 */
#ifndef OST_SELFTESTS_SMM_GUEST_H
#define OST_SELFTESTS_SMM_GUEST_H

#include <sys/mman.h>

#include "kselftest_harness.h"
#include "vm.h"

#define MSR_SMBASE	0x9e

#define SMBASE		0x30000UL
#define HANDLER		(SMBASE + 0x8000)
#define AREA		(SMBASE + 0xfe00)
/* The slot of the second address space, with memory of its own at the same place as the first's. */
#define SMM_SLOT	0x10000U

#define PORT_GUEST	0x3f
#define PORT_SMM	0x80
#define PORT_VECTOR	0x40

/* Outside: one OUT after the other of a word in memory that both spaces have. */
GUEST_CODE(spin16, 16,
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(vector_handler, 16,
	   "movw %cs, %ax\n"
	   "outw %ax, $0x40\n"
	   "iretw\n");
/* Inside. */
GUEST_CODE(handler, 16,
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");

FIXTURE(smm)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *smram;
};

FIXTURE_SETUP(smm)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	if (!has_cap(&self->vm, KVM_CAP_X86_SMM))
		SKIP(return, "no KVM_CAP_X86_SMM");
	self->vcpu = &self->vm.vcpu[0];
	self->smram = page_alloc(VM_MEM_SIZE);
	ASSERT_NE(NULL, self->smram);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, VM_MEM_SIZE, self->smram));
	memcpy(self->smram + 0x5000, "MM", 2);
	vm_copy_in(&self->vm, 0x5000, "OO", 2);
	vm_load(&self->vm, 0xa000, vector_handler);
	for (uint16_t n = 0; n < 256; n++) {
		uint16_t entry[2] = { 0xa000 - 16 * n, n };

		vm_copy_in(&self->vm, 4 * n, entry, sizeof(entry));
	}
}

FIXTURE_TEARDOWN(smm)
{
	vm_close(&self->vm);
	if (self->smram)
		munmap(self->smram, VM_MEM_SIZE);
}

#define smm_load(self, gpa, name) memcpy((self)->smram + (gpa), name##_start, name##_end - name##_start)

#define start_16(self, code, smi_handler)						\
	do {										\
		vm_load(&(self)->vm, VM_CODE_GPA, code);				\
		smm_load(self, HANDLER, smi_handler);					\
		ASSERT_EQ(0, vcpu_cpuid_all(&(self)->vm, (self)->vcpu));		\
		ASSERT_EQ(0, vcpu_real_mode((self)->vcpu, VM_CODE_GPA));		\
	} while (0)

/* Runs to the next OUT: its port above its value, or a negative number. */
static inline long next_out(struct vcpu *vcpu)
{
	int reason = vcpu_run(vcpu);

	if (reason != KVM_EXIT_IO)
		return reason < 0 ? reason : -1000 - reason;
	return (long)vcpu->run->io.port << 16 | *(uint16_t *)io_data(vcpu);
}

#define OUT(port, value) ((long)(port) << 16 | (value))
#define OUTSIDE	OUT(PORT_GUEST, 'O' << 8 | 'O')
#define INSIDE	OUT(PORT_SMM, 'M' << 8 | 'M')

static inline int smi(struct vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_SMI, 0);
}

static inline bool in_smm(struct vcpu *vcpu)
{
	return vcpu->run->flags & KVM_RUN_X86_SMM;
}

static inline uint64_t area(const uint8_t *smram, uint32_t offset, size_t len)
{
	uint64_t val = 0;

	memcpy(&val, smram + SMBASE + offset, len);
	return val;
}

#endif
