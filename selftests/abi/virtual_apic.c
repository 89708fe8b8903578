// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest does with its LAPIC takes no exit where the CPU can do it: VT-x with the parameters below, which
 * say N where the CPU can't.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
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
	struct kvm_cpuid2 *cpuid;

	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU));
	self->vcpu = &self->vm.vcpu[0];
	cpuid = cpuid_supported(self->vm.sys_fd);
	ASSERT_NE(NULL, cpuid);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, cpuid));
	free(cpuid);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(virtual_apic)
{
	vm_close(&self->vm);
}

/* The module has the parameters on any CPU. */
static bool is_intel(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];
	bool intel = false;

	while (f && !intel && fgets(line, sizeof(line), f))
		intel = strstr(line, "GenuineIntel");
	if (f)
		fclose(f);
	return intel;
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
	return value == 'Y' && is_intel();
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

static int use_x2apic(struct vcpu *vcpu)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 }, { .index = MSR_APIC_BASE, .data = LAPIC_GPA | X2APIC } };

	return ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) == 1 ? 0 : -1;
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
	ASSERT_EQ(0, use_x2apic(self->vcpu));
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
	ASSERT_EQ(0, use_x2apic(self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, write_msr);
	EXPECT_FEW(run(self->vcpu, 0x80b, 0));
}

TEST_F(virtual_apic, x2apic_self_ipi)
{
	struct kvm_lapic_state state;

	NEEDS("vmx_x2apic");
	NEEDS("vmx_interrupt_delivery");
	ASSERT_EQ(0, use_x2apic(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &state));
	state.regs[0xf1] |= 1;		/* SVR: enabled */
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &state));
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
	ASSERT_EQ(0, use_x2apic(self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, read_msr);
	EXPECT_FEW(run(self->vcpu, 0x803, 0));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(0x50014, regs.rax);
	EXPECT_EQ(0, regs.rdx);
}

/* Reads the version at @gpa: its value, or -1 when it was KVM_EXIT_MMIO there. */
static long read_version(struct vm *vm, struct vcpu *vcpu, uint64_t gpa)
{
	struct kvm_regs regs;

	vm_load(vm, VM_CODE_GPA, load);
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -2;
	regs.rip = VM_CODE_GPA;
	regs.rbx = 1;
	regs.rdi = gpa + 0x30;
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		return -2;
	switch (vcpu_run(vcpu)) {
	case KVM_EXIT_MMIO:
		return vcpu->run->mmio.phys_addr == gpa + 0x30 ? -1 : -2;
	case KVM_EXIT_IO:
		break;
	default:
		return -2;
	}
	/* The OUT is done only when KVM_RUN comes back. */
	vcpu->run->immediate_exit = 1;
	if (!ioctl(vcpu->fd, KVM_RUN, 0) || ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -2;
	vcpu->run->immediate_exit = 0;
	return regs.rax;
}

static int set_apic_base(struct vcpu *vcpu, uint64_t base)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.apic_base = base;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

/* With or without what the CPU can do: the page is the LAPIC's for a vCPU in xAPIC mode, there, and no other. */
TEST_F(virtual_apic, no_page_in_x2apic_mode)
{
	EXPECT_EQ(0x50014, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	ASSERT_EQ(0, use_x2apic(self->vcpu));
	/* A hole, until the VMM wants to have it. */
	EXPECT_EQ(0xffffffff, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_LAPIC_MMIO_HOLE));
	EXPECT_EQ(-1, read_version(&self->vm, self->vcpu, LAPIC_GPA));
}

TEST_F(virtual_apic, page_moves)
{
	uint64_t elsewhere = LAPIC_GPA - 0x10000;

	EXPECT_EQ(0x50014, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	ASSERT_EQ(0, set_apic_base(self->vcpu, elsewhere | 0x900));
	EXPECT_EQ(0x50014, read_version(&self->vm, self->vcpu, elsewhere));
	ASSERT_EQ(0, set_apic_base(self->vcpu, LAPIC_GPA | 0x900));
	EXPECT_EQ(0x50014, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	ASSERT_EQ(0, set_apic_base(self->vcpu, elsewhere | 0x900));
	EXPECT_EQ(-1, read_version(&self->vm, self->vcpu, LAPIC_GPA));
}

/* Registers hold no instructions: the guest's run ends, as at any other device, with the reason. */
TEST_F(virtual_apic, no_code_in_page)
{
	struct kvm_regs regs;

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rip = LAPIC_GPA + 0x30;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	EXPECT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_run(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, self->vcpu->run->internal.suberror);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(LAPIC_GPA + 0x30, regs.rip);
}

/* A slot there hides the page, also one that comes after the guest has used it. */
TEST_F(virtual_apic, slot_over_page)
{
	uint32_t *memory = page_alloc(VM_PAGE_SIZE);

	ASSERT_NE(NULL, memory);
	memory[0x30 / 4] = 0x1234567;
	if (dev_is_reference())
		SKIP(return, "stock KVM has slots of its own there");
	EXPECT_EQ(0x50014, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 5, 0, LAPIC_GPA, VM_PAGE_SIZE, memory));
	EXPECT_EQ(0x1234567, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 5, 0, LAPIC_GPA, 0, memory));
	EXPECT_EQ(0x50014, read_version(&self->vm, self->vcpu, LAPIC_GPA));
	munmap(memory, VM_PAGE_SIZE);
}

TEST_HARNESS_MAIN
