// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest does with its LAPIC takes no exit where the CPU can do it: VT-x with the parameters below, which
 * say N where the CPU can't.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define ROUNDS		2000
#define LAPIC_GPA	0xfee00000UL
#define MSR_APIC_BASE	0x1b
#define X2APIC		0xd00UL		/* BSP, EN, EXTD */

/* Each ends with an OUT. */
GUEST_CODE(store, 64, "1: movl %eax, (%rdi)\n decl %ebx\n jnz 1b\n outb %al, $0x10\n");
GUEST_CODE(load, 64, "1: movl (%rdi), %eax\n decl %ebx\n jnz 1b\n outb %al, $0x10\n");
GUEST_CODE(write_msr, 64, "1: wrmsr\n decl %ebx\n jnz 1b\n outb %al, $0x10\n");
GUEST_CODE(read_msr, 64, "1: rdmsr\n decl %ebx\n jnz 1b\n outb %al, $0x10\n");

FIXTURE(virtual_apic)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(virtual_apic)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(virtual_apic)
{
	vm_close(&self->vm);
}

static bool parameter(const char *name)
{
	char path[128], value = 'N';
	int fd;

	snprintf(path, sizeof(path), "/sys/module/ostler/parameters/%s", name);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		if (read(fd, &value, 1) != 1)
			value = 'N';
		close(fd);
	}
	return value == 'Y';
}

/* Exits that a LAPIC's registers can be the reason of, of all VMs: only ours is there. */
static long apic_exits(void)
{
	static const char *const reasons[] = { "exit:EPT_VIOLATION", "exit:EPT_MISCONFIG",
		"exit:APIC_ACCESS", "exit:APIC_WRITE", "exit:EOI_INDUCED", "exit:RDMSR",
		"exit:WRMSR", "exit:TPR_BELOW_THRESHOLD" };
	FILE *f = fopen("/sys/kernel/debug/ostler/stats", "r");
	char line[256], name[64];
	long count, sum = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "vm %*u vcpu %*u %63s %ld", name, &count) != 2)
			continue;
		for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
			sum += strcmp(name, reasons[i]) ? 0 : count;
	}
	fclose(f);
	return sum;
}

static int use_x2apic(struct vm *vm, struct vcpu *vcpu)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 }, { .index = MSR_APIC_BASE, .data = LAPIC_GPA | X2APIC } };
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->sys_fd);
	int r;

	if (!cpuid)
		return -1;
	r = ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return r || ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) != 1 ? -1 : 0;
}

/* The code runs with the register in RDI or ECX and the value in EAX. Exits it took, -1 for trouble. */
static long run(struct vcpu *vcpu, uint64_t reg, uint32_t value)
{
	struct kvm_regs regs;
	long before;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rbx = ROUNDS;
	regs.rdi = regs.rcx = reg;
	regs.rax = value;
	regs.rdx = 0;
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return -1;
	before = apic_exits();
	if (before < 0 || vcpu_run(vcpu) != KVM_EXIT_IO)
		return -1;
	return apic_exits() - before;
}

#define NEEDS(name)									\
	do {										\
		if (!parameter(name))							\
			SKIP(return, name " is off");					\
	} while (0)

/* The first access of each page may fault. */
#define EXPECT_FEW(exits)								\
	do {										\
		long few = exits;							\
											\
		EXPECT_LE(0, few);							\
		EXPECT_GE(ROUNDS / 100, few);						\
	} while (0)

TEST_F(virtual_apic, xapic_task_priority)
{
	NEEDS("vmx_apic_access");
	vm_load(&self->vm, VM_CODE_GPA, store);
	EXPECT_FEW(run(self->vcpu, LAPIC_GPA + 0x80, 0x20));
}

TEST_F(virtual_apic, xapic_eoi)
{
	NEEDS("vmx_apic_access");
	NEEDS("vmx_interrupt_delivery");
	vm_load(&self->vm, VM_CODE_GPA, store);
	EXPECT_FEW(run(self->vcpu, LAPIC_GPA + 0xb0, 0));
}

TEST_F(virtual_apic, xapic_read)
{
	struct kvm_regs regs;

	NEEDS("vmx_apic_access");
	NEEDS("vmx_apic_registers");
	vm_load(&self->vm, VM_CODE_GPA, load);
	EXPECT_FEW(run(self->vcpu, LAPIC_GPA + 0x30, 0));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0x50014, regs.rax);
}

TEST_F(virtual_apic, x2apic_task_priority)
{
	struct kvm_lapic_state state;

	NEEDS("vmx_x2apic");
	ASSERT_EQ(0, use_x2apic(&self->vm, self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, write_msr);
	EXPECT_FEW(run(self->vcpu, 0x808, 0x35));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &state));
	EXPECT_EQ(0x35, state.regs[0x80]);
	EXPECT_EQ(0x35, state.regs[0xa0]);
}

TEST_F(virtual_apic, x2apic_eoi)
{
	NEEDS("vmx_x2apic");
	NEEDS("vmx_interrupt_delivery");
	ASSERT_EQ(0, use_x2apic(&self->vm, self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, write_msr);
	EXPECT_FEW(run(self->vcpu, 0x80b, 0));
}

TEST_F(virtual_apic, x2apic_self_ipi)
{
	struct kvm_lapic_state state;

	NEEDS("vmx_x2apic");
	NEEDS("vmx_interrupt_delivery");
	ASSERT_EQ(0, use_x2apic(&self->vm, self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, write_msr);
	EXPECT_FEW(run(self->vcpu, 0x83f, 0x71));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &state));
	/* Bit 0x71 of IRR, 16 bytes apart a word of 32. */
	EXPECT_EQ(1 << 1, state.regs[0x200 + 0x10 * 3 + 2] & (1 << 1));
}

TEST_F(virtual_apic, x2apic_read)
{
	struct kvm_regs regs;

	NEEDS("vmx_x2apic");
	NEEDS("vmx_apic_registers");
	ASSERT_EQ(0, use_x2apic(&self->vm, self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, read_msr);
	EXPECT_FEW(run(self->vcpu, 0x803, 0));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0x50014, regs.rax);
	EXPECT_EQ(0, regs.rdx);
}

TEST_HARNESS_MAIN
