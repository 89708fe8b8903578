// SPDX-License-Identifier: GPL-2.0-only
/* System-management mode: SMIs, the save area, RSM, other events. (Its memory: smm_memory.c) */
#include <asm/processor-flags.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "smm_guest.h"

#define MSR_SMI_COUNT	0x34

GUEST_CODE(spin64, 64,
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(rsm16, 16,
	   "rsm\n");
GUEST_CODE(halts, 16,
	   "hlt\n"
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
/* A handler that halts in between. */
GUEST_CODE(halting_handler, 16,
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "hlt\n"
	   "outw %ax, $0x81\n"
	   "rsm\n");
/* KVM_HC_KICK_CPU of the vCPU with id 0. */
GUEST_CODE(kicks, 16,
	   "movl $5, %eax\n"
	   "xorl %ebx, %ebx\n"
	   "xorl %ecx, %ecx\n"
	   "vmmcall\n"
	   "outw %ax, $0x3f\n");
GUEST_CODE(nmi_handler, 16,
	   "movw %cs, %ax\n"
	   "outw %ax, $0x40\n"
	   "outw %ax, $0x41\n"
	   "iretw\n");
/* At the reset vector. */
GUEST_CODE(reset, 16,
	   "movw $0x99, %ax\n"
	   "outw %ax, $0x3f\n");
/* An SMI to itself, by the LAPIC's register page. */
GUEST_CODE(self_smi, 64,
	   "movl $0xfee00300, %ebx\n"
	   "movl $0x44200, (%rbx)\n"
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(relocating, 16,
	   "movl $0x20000, %cs:0xff00\n"
	   "movl $0x20000, %cs:0xfef8\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");
/* To long mode, by tables that are in the second space as in the first; see long_handler(). */
GUEST_CODE(to_long_mode, 16,
	   "lgdtl %cs:0x8080\n"
	   "movl %cr4, %eax\n"
	   "orl $0x20, %eax\n"
	   "movl %eax, %cr4\n"
	   "movl $0x100000, %eax\n"
	   "movl %eax, %cr3\n"
	   "movl $0xc0000080, %ecx\n"
	   "rdmsr\n"
	   "orl $0x100, %eax\n"
	   "wrmsr\n"
	   "movl %cr0, %eax\n"
	   "orl $0x80000001, %eax\n"
	   "movl %eax, %cr0\n"
	   "ljmpl $8, $0x38100\n");
GUEST_CODE(in_long_mode, 64,
	   "movq $0x123456789abcdef0, %r15\n"
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "ud2\n");
GUEST_CODE(leaves_long_mode, 64,
	   "movq $0x123456789abcdef0, %r15\n"
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");

#define start_64(self, code, smi_handler)						\
	do {										\
		vm_load(&(self)->vm, VM_CODE_GPA, code);				\
		smm_load(self, HANDLER, smi_handler);					\
		ASSERT_EQ(0, vcpu_cpuid_all(&(self)->vm, (self)->vcpu));		\
		ASSERT_EQ(0, vcpu_long_mode(&(self)->vm, (self)->vcpu, VM_CODE_GPA));	\
	} while (0)

static struct kvm_vcpu_events events_of(struct vcpu *vcpu)
{
	struct kvm_vcpu_events ev = {};

	ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &ev);
	return ev;
}

static int set_events(struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	return ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, ev);
}

/* Stock KVM wants the LAPIC enabled by software, too. */
static int send_msi(struct vm *vm, uint32_t delivery)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = delivery << 8 };
	struct kvm_lapic_state lapic;

	if (ioctl(vm->vcpu[0].fd, KVM_GET_LAPIC, &lapic))
		return -1;
	*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
	if (ioctl(vm->vcpu[0].fd, KVM_SET_LAPIC, &lapic))
		return -1;
	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

TEST_F(smm, capabilities)
{
	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_SMM));
	EXPECT_EQ(2, has_cap(&self->vm, KVM_CAP_MULTI_ADDRESS_SPACE));
}

/* --- in and out --- */

TEST_F(smm, state_inside)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_debugregs dr;

	start_64(self, spin64, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_TRUE(in_smm(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(SMBASE, sregs.cs.base);
	EXPECT_EQ(SMBASE >> 4, sregs.cs.selector);
	EXPECT_EQ(0xffffffffU, sregs.cs.limit);
	EXPECT_EQ(0ULL, sregs.ds.base);
	EXPECT_EQ(0, sregs.ds.selector);
	EXPECT_EQ(0xffffffffU, sregs.ds.limit);
	EXPECT_EQ(0, sregs.ss.dpl);
	EXPECT_EQ(0ULL, sregs.cr0 & (X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG));
	EXPECT_EQ(0ULL, sregs.cr4);
	EXPECT_EQ(0ULL, sregs.efer);
	EXPECT_EQ(0, sregs.idt.limit);
	EXPECT_EQ(2ULL, regs.rflags);
	EXPECT_EQ(0x8000ULL, regs.rip & ~0xfULL);
	EXPECT_EQ(0x400ULL, dr.dr7);
}

TEST_F(smm, everything_comes_back)
{
	struct kvm_sregs sregs, sregs_after;
	struct kvm_regs regs, after;
	struct kvm_debugregs dr, dr_after;

	start_64(self, spin64, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	/* The OUT is behind it when the SMI comes. */
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, vcpu_run(self->vcpu));
	self->vcpu->run->immediate_exit = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rbx = 0x0123456789abcdef;
	regs.r8 = 0xfedcba9876543210;
	regs.r15 = 0x5555aaaa5555aaaa;
	regs.rbp = 0x8877665544332211;
	regs.rdi = ~0ULL;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	dr.db[0] = 0x123456;
	dr.dr7 = 0x402;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &dr));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.cr8 = 3;
	sregs.fs.base = 0x1122334455667788 & 0x7fffffffffff;
	sregs.gs.base = 0xffff800000001000;
	sregs.gdt.base = 0xffff888000000000;
	sregs.gdt.limit = 0x77;
	sregs.idt.base = 0x12345000;
	sregs.idt.limit = 0xfff;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));

	/* The save area, as the manual has it. */
	EXPECT_EQ(0x64ULL, area(self->smram, 0xfefc, 2));
	EXPECT_EQ(SMBASE, area(self->smram, 0xff00, 4));
	EXPECT_EQ(regs.rip, area(self->smram, 0xff78, 8));
	EXPECT_EQ(regs.rflags, area(self->smram, 0xff70, 8));
	EXPECT_EQ(regs.rax, area(self->smram, 0xfff8, 8));
	EXPECT_EQ(regs.rsp, area(self->smram, 0xffd8, 8));
	EXPECT_EQ(regs.r8, area(self->smram, 0xffb8, 8));
	EXPECT_EQ(regs.r15, area(self->smram, 0xff80, 8));
	EXPECT_EQ(regs.rbp, area(self->smram, 0xffd0, 8));
	EXPECT_EQ(regs.rdi, area(self->smram, 0xffc0, 8));
	EXPECT_EQ(sregs.cr0, area(self->smram, 0xff58, 8));
	EXPECT_EQ(sregs.cr3, area(self->smram, 0xff50, 8));
	EXPECT_EQ(sregs.cr4, area(self->smram, 0xff48, 8));
	EXPECT_EQ(sregs.efer, area(self->smram, 0xfed0, 8));
	EXPECT_EQ(sregs.fs.base, area(self->smram, 0xfe48, 8));
	EXPECT_EQ(sregs.cs.selector, area(self->smram, 0xfe10, 2));
	EXPECT_EQ(sregs.gdt.base, area(self->smram, 0xfe68, 8));
	EXPECT_EQ(sregs.idt.limit, area(self->smram, 0xfe84, 2));
	EXPECT_EQ(0x402ULL, area(self->smram, 0xff60, 8));

	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs_after));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &after));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr_after));
	EXPECT_EQ(0, memcmp(&sregs, &sregs_after, sizeof(sregs)));
	EXPECT_EQ(regs.rbx, after.rbx);
	EXPECT_EQ(regs.r8, after.r8);
	EXPECT_EQ(regs.r15, after.r15);
	EXPECT_EQ(regs.rsp, after.rsp);
	EXPECT_EQ(regs.rflags, after.rflags);
	EXPECT_EQ(0x402ULL, dr_after.dr7);
	EXPECT_EQ(0x123456ULL, dr_after.db[0]);
}

/* Without long mode in CPUID the area is the old one. */
TEST_F(smm, old_layout)
{
	struct kvm_regs regs, after;
	struct kvm_sregs sregs;

	vm_load(&self->vm, VM_CODE_GPA, spin16);
	smm_load(self, HANDLER, handler);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rbx = 0x12345678;
	regs.rdi = 0xabcdef01;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0ULL, area(self->smram, 0xfefc, 2));
	EXPECT_EQ(SMBASE, area(self->smram, 0xfef8, 4));
	EXPECT_EQ(VM_CODE_GPA, area(self->smram, 0xfff0, 4));
	EXPECT_EQ(2ULL, area(self->smram, 0xfff4, 4));
	EXPECT_EQ(0x12345678ULL, area(self->smram, 0xffdc, 4));
	EXPECT_EQ(0xabcdef01ULL, area(self->smram, 0xffec, 4));
	EXPECT_EQ(sregs.cr0, area(self->smram, 0xfffc, 4));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &after));
	EXPECT_EQ(regs.rbx, after.rbx);
	EXPECT_EQ(regs.rdi, after.rdi);
	EXPECT_EQ(regs.rsp, after.rsp);
}

static void long_handler(uint8_t *smram, const uint8_t *code, size_t len)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) gdtr = { sizeof(gdt) - 1, HANDLER + 0x90 };
	uint64_t *tables = (uint64_t *)(smram + VM_TABLES_GPA);

	memcpy(smram + HANDLER + 0x80, &gdtr, sizeof(gdtr));
	memcpy(smram + HANDLER + 0x90, gdt, sizeof(gdt));
	memcpy(smram + HANDLER + 0x100, code, len);
	tables[0] = (VM_TABLES_GPA + 4096) | 3;
	tables[512] = (VM_TABLES_GPA + 8192) | 3;
	tables[1024] = 0x83;
}

TEST_F(smm, long_mode_inside)
{
	struct kvm_sregs sregs, sregs_after;
	struct kvm_regs regs;

	start_64(self, spin64, to_long_mode);
	long_handler(self->smram, leaves_long_mode_start, leaves_long_mode_end - leaves_long_mode_start);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, smi(self->vcpu));
		ASSERT_EQ(INSIDE, next_out(self->vcpu));
		EXPECT_TRUE(in_smm(self->vcpu));
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
		EXPECT_EQ(0x123456789abcdef0ULL, regs.r15);
		ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
		EXPECT_FALSE(in_smm(self->vcpu));
	}
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs_after));
	EXPECT_EQ(0, memcmp(&sregs, &sregs_after, sizeof(sregs)));
}

/* What is no RSM is #UD as ever: without an IDT that is a shutdown. */
TEST_F(smm, ud_inside)
{
	start_64(self, spin64, to_long_mode);
	long_handler(self->smram, in_long_mode_start, in_long_mode_end - in_long_mode_start);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
}

TEST_F(smm, rsm_outside_is_ud)
{
	start_16(self, rsm16, handler);
	EXPECT_EQ(OUT(PORT_VECTOR, 6), next_out(self->vcpu));
	/* Nor is it one again, behind SMM. */
	ASSERT_EQ(0, smi(self->vcpu));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUT(PORT_VECTOR, 6), next_out(self->vcpu));
}

TEST_F(smm, relocation)
{
	uint64_t val;

	start_16(self, spin16, relocating);
	smm_load(self, 0x28000, handler);
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMBASE, &val));
	EXPECT_EQ(SMBASE, val);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(PORT_SMM, next_out(self->vcpu) >> 16);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMBASE, &val));
	EXPECT_EQ(0x20000ULL, val);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(0x20000U, *(uint32_t *)(self->smram + 0x2ff00));
	/* The VMM moves it, too. */
	smm_load(self, 0x58000, handler);
	memset(self->smram + 0x28000, 0xf4, 16);
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_SMBASE, 0x50000));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMI_COUNT, &val));
	EXPECT_EQ(3ULL, val);
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_SMI_COUNT, 77));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMI_COUNT, &val));
	EXPECT_EQ(77ULL, val);
}

/* What RSM would load and a CPU can't: shutdown. */
TEST_F(smm, broken_save_areas)
{
	static const struct {
		uint32_t offset;
		uint64_t value;
	} broken[] = {
		{ 0xff48, 1ULL << 31 },		/* CR4: reserved */
		{ 0xff58, 0x80000000 },		/* CR0: PG without PE */
		{ 0xff58, 0x20000000 },		/* NW without CD */
		{ 0xfed0, 1ULL << 40 },		/* EFER: reserved */
	};
	struct kvm_vcpu_events ev;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		start_16(self, spin16, handler);
		ASSERT_EQ(0, smi(self->vcpu));
		ASSERT_EQ(INSIDE, next_out(self->vcpu));
		memcpy(self->smram + SMBASE + broken[i].offset, &broken[i].value, 8);
		EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu)) TH_LOG("case %zu", i);
		ev = events_of(self->vcpu);
		ev.flags = KVM_VCPUEVENT_VALID_SMM;
		ev.smi.smm = 0;
		ev.smi.pending = 0;
		ASSERT_EQ(0, set_events(self->vcpu, &ev));
	}
}

/* --- other events --- */

TEST_F(smm, another_smi_waits)
{
	struct kvm_vcpu_events ev;
	uint64_t val;

	start_16(self, spin16, handler);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ev = events_of(self->vcpu);
	EXPECT_EQ(KVM_VCPUEVENT_VALID_SMM, ev.flags & KVM_VCPUEVENT_VALID_SMM);
	EXPECT_EQ(1, ev.smi.smm);
	EXPECT_EQ(1, ev.smi.pending);
	EXPECT_EQ(0, ev.smi.smm_inside_nmi);
	/* Behind RSM it comes at once, and is one, however many were sent. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).smi.pending);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).smi.smm);
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMI_COUNT, &val));
	EXPECT_EQ(2ULL, val);
}

TEST_F(smm, nmis_wait)
{
	static const uint16_t vector[2] = { 0x9000, 0 };

	start_16(self, spin16, handler);
	vm_load(&self->vm, 0x9000, nmi_handler);
	vm_copy_in(&self->vm, 4 * 2, vector, sizeof(vector));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, events_of(self->vcpu).nmi.masked);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	EXPECT_EQ(OUT(PORT_VECTOR, 0), next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	/* And in its handler, where they are blocked anyway, they stay so behind SMM: it goes on to its end first. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, events_of(self->vcpu).smi.smm_inside_nmi);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	EXPECT_EQ(OUT(PORT_VECTOR + 1, 0), next_out(self->vcpu));
	EXPECT_EQ(1, events_of(self->vcpu).nmi.masked);
	EXPECT_EQ(OUT(PORT_VECTOR, 0), next_out(self->vcpu));
	EXPECT_EQ(OUT(PORT_VECTOR + 1, 0), next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).nmi.masked);
}

/* INTR in flight goes first: the SMI finds its handler's first instruction. */
TEST_F(smm, behind_an_event_that_is_delivered)
{
	struct kvm_vcpu_events ev;
	struct kvm_regs regs;

	start_16(self, spin16, handler);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ev = events_of(self->vcpu);
	ev.flags = 0;
	ev.interrupt.injected = 1;
	ev.interrupt.nr = 0x31;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0xa000ULL - 16 * 0x31, area(self->smram, 0xff78, 8));
	EXPECT_EQ(0x31ULL, area(self->smram, 0xfe10, 2));
	EXPECT_EQ(OUT(PORT_VECTOR, 0x31), next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

TEST_F(smm, by_message)
{
	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, send_msi(&self->vm, 2));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

TEST_F(smm, by_the_guests_own_lapic)
{
	start_64(self, self_smi, handler);
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_TRUE(in_smm(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

TEST_F(smm, init_waits)
{
	uint8_t *rom = page_alloc(VM_PAGE_SIZE);
	struct kvm_vcpu_events ev;

	ASSERT_NE(NULL, rom);
	memcpy(rom + 0xff0, reset_start, reset_end - reset_start);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0xfffff000, VM_PAGE_SIZE, rom));
	start_16(self, spin16, handler);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(1, send_msi(&self->vm, 5));
	ev = events_of(self->vcpu);
	EXPECT_EQ(1, ev.smi.smm);
	EXPECT_EQ(1, ev.smi.latched_init);
	/* RSM, and the boot CPU goes on at its reset vector. */
	EXPECT_EQ(OUT(PORT_GUEST, 0x99), next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	ev = events_of(self->vcpu);
	EXPECT_EQ(0, ev.smi.latched_init);
	EXPECT_EQ(0, ev.smi.smm);
	munmap(rom, VM_PAGE_SIZE);
}

/* An SMI goes before an INIT, also when it waits for an event's delivery. */
TEST_F(smm, init_beside_an_smi_that_waits)
{
	uint8_t *rom = page_alloc(VM_PAGE_SIZE);
	struct kvm_vcpu_events ev;
	struct kvm_regs regs;

	if (dev_is_reference())
		SKIP(return, "its INIT drops the SMI");
	ASSERT_NE(NULL, rom);
	memcpy(rom + 0xff0, reset_start, reset_end - reset_start);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0xfffff000, VM_PAGE_SIZE, rom));
	start_16(self, spin16, handler);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ev = events_of(self->vcpu);
	ev.flags = 0;
	ev.interrupt.injected = 1;
	ev.interrupt.nr = 0x31;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(1, send_msi(&self->vm, 5));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0xa000ULL - 16 * 0x31, area(self->smram, 0xff78, 8));
	EXPECT_EQ(1, events_of(self->vcpu).smi.latched_init);
	EXPECT_EQ(OUT(PORT_GUEST, 0x99), next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	munmap(rom, VM_PAGE_SIZE);
}

static void nothing(int sig)
{
	(void)sig;
}

/* Runs for so long; true when the vCPU has run into its KVM_RUN's end by then without having left it. */
static bool stays_inside(struct vcpu *vcpu, unsigned int ms)
{
	struct sigaction action = { .sa_handler = nothing }, old;
	struct itimerval timer = { .it_value.tv_usec = ms * 1000 }, off = {};
	bool stays;

	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &timer, NULL);
	stays = ioctl(vcpu->fd, KVM_RUN, 0) == -1 && errno == EINTR;
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old, NULL);
	return stays;
}

static uint32_t mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { ~0U };

	ioctl(vcpu->fd, KVM_GET_MP_STATE, &state);
	return state.mp_state;
}

TEST_F(smm, halted)
{
	start_16(self, halts, handler);
	ASSERT_TRUE(stays_inside(self->vcpu, 200));
	ASSERT_EQ(KVM_MP_STATE_HALTED, mp_state(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 1, area(self->smram, 0xff78, 8));
	if (dev_is_reference())
		SKIP(return, "it knows no auto-halt restart");
	EXPECT_EQ(1ULL, area(self->smram, 0xfec9, 1));
	EXPECT_TRUE(stays_inside(self->vcpu, 200));
	EXPECT_EQ(KVM_MP_STATE_HALTED, mp_state(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	/* The handler may end the HLT. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	self->smram[SMBASE + 0xfec9] = 0;
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	/* One that finds no HLT says so. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0ULL, area(self->smram, 0xfec9, 1));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* A kick is for the HLT that is outside, and waits until that goes on; the handler's is none of its business. */
TEST_F(smm, kicked_inside)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct vcpu *other = vm_add_vcpu(&self->vm);

	if (dev_is_reference())
		SKIP(return, "it knows no auto-halt restart");
	ASSERT_NE(NULL, other);
	start_16(self, halts, halting_handler);
	ASSERT_TRUE(stays_inside(self->vcpu, 200));
	ASSERT_EQ(KVM_MP_STATE_HALTED, mp_state(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	vm_load(&self->vm, 0x9800, kicks);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, other));
	ASSERT_EQ(0, ioctl(other->fd, KVM_SET_MP_STATE, &runnable));
	ASSERT_EQ(0, vcpu_real_mode(other, 0x9800));
	ASSERT_EQ(OUT(PORT_GUEST, 0), next_out(other));
	EXPECT_TRUE(stays_inside(self->vcpu, 200));
	EXPECT_TRUE(in_smm(self->vcpu));
	ASSERT_EQ(KVM_MP_STATE_HALTED, mp_state(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &runnable));
	EXPECT_EQ(PORT_SMM + 1, next_out(self->vcpu) >> 16);
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* A shadow of STI's is the same behind SMM: an interrupt that waits lets one instruction go before. */
TEST_F(smm, interrupt_shadow)
{
	struct kvm_msi irq = { .address_lo = 0xfee00000, .data = 0x31 };
	struct kvm_vcpu_events ev;
	struct kvm_regs regs;

	if (dev_is_reference())
		SKIP(return, "older versions forget it");
	start_16(self, spin16, handler);
	/* Turns the LAPIC on: no one takes this one. */
	ASSERT_LE(0, send_msi(&self->vm, 6));
	ASSERT_EQ(1, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &irq));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ev = events_of(self->vcpu);
	ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	ev.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).interrupt.shadow);
	EXPECT_NE(0ULL, area(self->smram, 0xfecb, 1) & KVM_X86_SHADOW_INT_STI);
	EXPECT_EQ(OUT(PORT_VECTOR, 0x31), next_out(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	/* The guest's first instruction is three bytes long; what it has read the handler has written over. */
	EXPECT_EQ(VM_CODE_GPA + 3, *(uint16_t *)(self->vm.mem + (uint16_t)regs.rsp));
	EXPECT_EQ(OUT(PORT_GUEST, 0x31), next_out(self->vcpu));
}

/* --- the VMM's hand --- */

TEST_F(smm, entered_by_events)
{
	struct kvm_vcpu_events ev;

	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	/* The code has to be there as well. */
	smm_load(self, VM_CODE_GPA, spin16);
	ev = events_of(self->vcpu);
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 1;
	ev.smi.smm_inside_nmi = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ev = events_of(self->vcpu);
	EXPECT_EQ(1, ev.smi.smm);
	EXPECT_EQ(1, ev.smi.smm_inside_nmi);
	EXPECT_EQ(OUT(PORT_GUEST, 'M' << 8 | 'M'), next_out(self->vcpu));
	EXPECT_TRUE(in_smm(self->vcpu));
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).smi.smm_inside_nmi);
}

TEST_F(smm, pending_by_events)
{
	struct kvm_vcpu_events ev;

	start_16(self, spin16, handler);
	ev = events_of(self->vcpu);
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.pending = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(1, events_of(self->vcpu).smi.pending);
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	ev.smi.pending = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ev.smi.pending = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* What comes between GET and SET of the events is none of what was told, and stays. */
TEST_F(smm, smi_between_get_and_set)
{
	struct kvm_vcpu_events ev;

	start_16(self, spin16, handler);
	ev = events_of(self->vcpu);
	ASSERT_EQ(0, smi(self->vcpu));
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	/* What was told is taken back. */
	ASSERT_EQ(0, smi(self->vcpu));
	ev = events_of(self->vcpu);
	EXPECT_EQ(1, ev.smi.pending);
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.pending = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* A vCPU that is moved to another VM in its handler goes on there. */
TEST_F(smm, migrated_inside)
{
	uint64_t smbase = 0x30000;
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm to;

	start_64(self, spin64, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	ev = events_of(self->vcpu);

	ASSERT_EQ(0, vm_open(&to, VM_IRQCHIP | VM_VCPU));
	ASSERT_EQ(0, vm_set_slot(&to, 0, 0, 0, VM_MEM_SIZE, self->vm.mem));
	ASSERT_EQ(0, vm_set_slot(&to, SMM_SLOT, 0, 0, VM_MEM_SIZE, self->smram));
	ASSERT_EQ(0, vcpu_cpuid_all(&to, &to.vcpu[0]));
	ASSERT_EQ(1, vcpu_set_msr(&to.vcpu[0], MSR_SMBASE, smbase));
	ASSERT_EQ(0, ioctl(to.vcpu[0].fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(to.vcpu[0].fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, set_events(&to.vcpu[0], &ev));
	EXPECT_EQ(OUTSIDE, next_out(&to.vcpu[0]));
	ASSERT_EQ(0, smi(&to.vcpu[0]));
	EXPECT_EQ(INSIDE, next_out(&to.vcpu[0]));
	vm_close(&to);
}

TEST_F(smm, waiting_for_sipi_excludes_it)
{
	struct kvm_mp_state state = { KVM_MP_STATE_INIT_RECEIVED };
	struct kvm_vcpu_events ev = events_of(self->vcpu);

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 1;
	EXPECT_EQ(-1, set_events(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	ev.smi.smm = 0;
	ev.smi.pending = 1;
	EXPECT_EQ(-1, set_events(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	ev.smi.pending = 0;
	ev.smi.smm = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	state.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	EXPECT_EQ(EINVAL, errno);
	state.mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	EXPECT_EQ(EINVAL, errno);
}

/* A debugger steps from one into the other. */
TEST_F(smm, single_steps)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	struct kvm_regs regs;
	int steps = 0;

	if (dev_is_reference())
		SKIP(return, "its handler would see TF");
	start_16(self, spin16, handler);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_GUEST_DEBUG, &debug));
	ASSERT_EQ(0, smi(self->vcpu));
	for (; steps < 8; steps++) {
		int reason = vcpu_run(self->vcpu);

		if (reason == KVM_EXIT_IO)
			continue;
		ASSERT_EQ(KVM_EXIT_DEBUG, reason);
		if (!in_smm(self->vcpu))
			break;
	}
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(VM_CODE_GPA, regs.rip);
	EXPECT_EQ(2ULL, regs.rflags);
	EXPECT_EQ(0ULL, area(self->smram, 0xff70, 8) & X86_EFLAGS_TF);
}

TEST_HARNESS_MAIN
