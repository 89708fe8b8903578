// SPDX-License-Identifier: GPL-2.0-only
/* KVM_SET_GUEST_DEBUG: single steps and breakpoints of a debugger of whom the guest knows nothing. */
#include <asm/processor-flags.h>
#include <cpuid.h>

#include "kselftest_harness.h"
#include "vm.h"

#define DB	1
#define BP	3
#define DR6_FIXED	0xffff0ff0ULL
#define DR6_BD		(1ULL << 13)
#define DR6_BS		(1ULL << 14)
#define DR7_FIXED	0x400ULL
#define DR7_GD		(1ULL << 13)
/* Breakpoint 0 globally on: for execution, for writes of 4 bytes. */
#define DR7_EXEC0	(DR7_FIXED | 2)
#define DR7_WRITE0	(DR7_FIXED | 2 | 0xd0000)

#ifndef KVM_CAP_SET_GUEST_DEBUG2
#define KVM_CAP_SET_GUEST_DEBUG2 195
#endif
#ifndef KVM_CAP_X86_ROBUST_SINGLESTEP
#define KVM_CAP_X86_ROBUST_SINGLESTEP 51
#endif

#define STEP	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)
#define SW_BP	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP)
#define HW_BP	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP)

static int debug_regs(struct vcpu *vcpu, uint32_t control, uint64_t dr0, uint64_t dr7)
{
	struct kvm_guest_debug dbg = { .control = control };

	dbg.arch.debugreg[0] = dr0;
	dbg.arch.debugreg[7] = dr7;
	return ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &dbg);
}

static int debug(struct vcpu *vcpu, uint32_t control)
{
	return debug_regs(vcpu, control, 0, DR7_FIXED);
}

/* QEMU's TCG knows no intercept of the #BP that INT3 raises, and finds in a step of its own that RCX is 0. */
static bool is_tcg(void)
{
	uint32_t eax, name[3] = { 0 };

	__cpuid(0x40000000, eax, name[0], name[1], name[2]);
	return !memcmp(name, "TCGTCGTCGTCG", sizeof(name));
}

static struct kvm_regs regs_of(struct vcpu *vcpu)
{
	struct kvm_regs regs = { .rip = ~0ULL };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	return regs;
}

/* --- 64-bit code --- */

FIXTURE(long_mode)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(long_mode)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(long_mode)
{
	vm_close(&self->vm);
}

/* KVM_RUN ends by a step to `rip`. */
#define EXPECT_STEP(to) do {							\
	uint64_t to_ = (to);							\
	struct kvm_debug_exit_arch *arch_ = &self->vcpu->run->debug.arch;	\
	struct kvm_regs regs_;							\
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu)) TH_LOG("to 0x%lx", to_);	\
	EXPECT_EQ(DB, arch_->exception);					\
	EXPECT_EQ(DR6_FIXED | DR6_BS, arch_->dr6);				\
	ASSERT_EQ(to_, arch_->pc);						\
	regs_ = regs_of(self->vcpu);						\
	EXPECT_EQ(to_, regs_.rip);						\
	EXPECT_EQ(0, regs_.rflags & X86_EFLAGS_TF);				\
} while (0)

TEST_F(long_mode, capabilities)
{
	int all = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
		  KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
		  KVM_GUESTDBG_BLOCKIRQ;

	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_SET_GUEST_DEBUG));
	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_ROBUST_SINGLESTEP));
	EXPECT_EQ(all, has_cap(&self->vm, KVM_CAP_SET_GUEST_DEBUG2));
}

TEST_F(long_mode, bad_arguments)
{
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_GUEST_DEBUG, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
	/* The stock module looks at neither. */
	if (dev_is_reference())
		return;
	EXPECT_EQ(-1, debug(self->vcpu, KVM_GUESTDBG_ENABLE | 1 << 30));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, debug_regs(self->vcpu, HW_BP, 0, 1ULL << 32));
	EXPECT_EQ(EINVAL, errno);
}

GUEST_CODE(int3, 64, "nop\nint3\noutb %al, $0x40\n");

TEST_F(long_mode, int3_exits_at_itself)
{
	if (is_tcg())
		SKIP(return, "the emulator does not intercept INT3");
	vm_load(&self->vm, VM_CODE_GPA, int3);
	ASSERT_EQ(0, debug(self->vcpu, SW_BP));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
		EXPECT_EQ(BP, self->vcpu->run->debug.arch.exception);
		EXPECT_EQ(VM_CODE_GPA + 1, self->vcpu->run->debug.arch.pc);
		EXPECT_EQ(VM_CODE_GPA + 1, regs_of(self->vcpu).rip);
	}
	/* What the breakpoint was put over. */
	self->vm.mem[VM_CODE_GPA + 1] = 0x90;
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	/* Without a debugger it is the guest's, who has nothing for it. */
	self->vm.mem[VM_CODE_GPA + 4] = 0xcc;
	ASSERT_EQ(0, debug(self->vcpu, 0));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
}

GUEST_CODE(exits, 64,
	   "xorl %eax, %eax\n"		/* 0 */
	   "cpuid\n"			/* 2 */
	   "movl $0x10, %ecx\n"		/* 4 */
	   "rdmsr\n"			/* 9 */
	   "nop\n"			/* 11 */
	   "movq %cr0, %rax\n"		/* 12 */
	   "movq %rax, %cr0\n"		/* 15 */
	   "wbinvd\n"			/* 18 */
	   "inb $0x40, %al\n"		/* 20 */
	   "outb %al, $0x41\n"		/* 22 */
	   "movl (%rbx), %eax\n"	/* 24 */
	   "jmp 1f\n"			/* 26 */
	   "nop\n"
	   "1: nop\n");			/* 29 */

TEST_F(long_mode, steps_over_what_exits)
{
	struct kvm_regs regs;

	vm_load(&self->vm, VM_CODE_GPA, exits);
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 2);
	EXPECT_STEP(VM_CODE_GPA + 4);
	EXPECT_STEP(VM_CODE_GPA + 9);
	EXPECT_STEP(VM_CODE_GPA + 11);
	EXPECT_STEP(VM_CODE_GPA + 12);
	EXPECT_STEP(VM_CODE_GPA + 15);
	EXPECT_STEP(VM_CODE_GPA + 18);
	EXPECT_STEP(VM_CODE_GPA + 20);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	*(uint8_t *)io_data(self->vcpu) = 0x5a;
	EXPECT_STEP(VM_CODE_GPA + 22);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x41, self->vcpu->run->io.port);
	EXPECT_EQ(0x5a, *(uint8_t *)io_data(self->vcpu));
	EXPECT_STEP(VM_CODE_GPA + 24);
	/* Registers that are set do not end the stepping. */
	regs = regs_of(self->vcpu);
	regs.rbx = VM_MMIO_GPA;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	*(uint32_t *)self->vcpu->run->mmio.data = 0x12345678;
	EXPECT_STEP(VM_CODE_GPA + 26);
	EXPECT_EQ(0x12345678, regs_of(self->vcpu).rax);
	/* The stock module asks for the read once more. */
	if (!dev_is_reference())
		EXPECT_STEP(VM_CODE_GPA + 29);
}

TEST_F(long_mode, set_regs_keeps_stepping)
{
	struct kvm_regs regs;

	vm_load(&self->vm, VM_CODE_GPA, exits);
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 2);
	regs = regs_of(self->vcpu);
	regs.rip = VM_CODE_GPA + 11;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	/* The stock module goes by the place for which the step was asked. */
	if (dev_is_reference())
		ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 12);
	ASSERT_EQ(0, debug(self->vcpu, 0));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0, regs_of(self->vcpu).rflags & X86_EFLAGS_TF);
}

GUEST_CODE(stores, 64,
	   "movl %eax, (%rbx)\n"	/* 0: in device memory */
	   "outsb\n"			/* 2 */
	   "hlt\n"			/* 3 */
	   "nop\n");			/* 4 */

/* Where userspace is asked for something behind the instruction, that comes first. */
TEST_F(long_mode, steps_are_told_behind_other_exits)
{
	struct kvm_regs regs = regs_of(self->vcpu);

	if (dev_is_reference())
		SKIP(return, "the stock module drops these steps");
	vm_load(&self->vm, VM_CODE_GPA, stores);
	regs.rbx = VM_MMIO_GPA;
	regs.rsi = VM_DATA_GPA;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	EXPECT_STEP(VM_CODE_GPA + 2);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_STEP(VM_CODE_GPA + 3);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_run(self->vcpu));
	EXPECT_STEP(VM_CODE_GPA + 4);
	/* One that waits is forgotten with the debugger. */
	regs.rip = VM_CODE_GPA;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, debug(self->vcpu, 0));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

GUEST_CODE(repeated, 64,
	   "rep outsb\n"		/* 0 */
	   "rep insb\n"			/* 2 */
	   "rep stosb\n"		/* 4 */
	   "nop\n");

/* A step is one iteration, as the CPU does it. */
TEST_F(long_mode, steps_through_repeated_instructions)
{
	struct kvm_regs regs = regs_of(self->vcpu);

	if (dev_is_reference())
		SKIP(return, "the stock module does many iterations in a step");
	vm_load(&self->vm, VM_CODE_GPA, repeated);
	regs.rcx = 2;
	regs.rdx = 0x40;
	regs.rsi = VM_DATA_GPA;
	regs.rdi = VM_DATA_GPA;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(1, self->vcpu->run->io.count);
		EXPECT_STEP(VM_CODE_GPA + 2 * i);
	}
	regs = regs_of(self->vcpu);
	EXPECT_EQ(0, regs.rcx);
	regs.rcx = 2;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(1, self->vcpu->run->io.count);
		EXPECT_STEP(VM_CODE_GPA + 2 + 2 * i);
	}
	regs = regs_of(self->vcpu);
	regs.rcx = 2;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	EXPECT_STEP(VM_CODE_GPA + 4);
	if (is_tcg())
		EXPECT_STEP(VM_CODE_GPA + 4);
	EXPECT_STEP(VM_CODE_GPA + 6);
}

GUEST_CODE(shadows, 64,
	   "sti\n"			/* 0 */
	   "nop\n"			/* 1 */
	   "cli\n"			/* 2 */
	   "movl %ss, %eax\n"		/* 3 */
	   "nop\n");			/* 5 */

TEST_F(long_mode, steps_over_sti)
{
	vm_load(&self->vm, VM_CODE_GPA, shadows);
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 1);
	EXPECT_STEP(VM_CODE_GPA + 2);
	EXPECT_STEP(VM_CODE_GPA + 3);
	EXPECT_STEP(VM_CODE_GPA + 5);
}

GUEST_CODE(flags, 64,
	   "pushfq\n"			/* 0 */
	   "popq %rax\n"		/* 1 */
	   "pushq %rax\n"		/* 2 */
	   "popfq\n"			/* 3 */
	   "nop\n"			/* 4 */
	   "orl $0x100, %eax\n"		/* 5 */
	   "pushq %rax\n"		/* 10 */
	   "popfq\n"			/* 11 */
	   "nop\n");			/* 12 */

TEST_F(long_mode, the_guest_does_not_see_tf)
{
	vm_load(&self->vm, VM_CODE_GPA, flags);
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 1);
	EXPECT_STEP(VM_CODE_GPA + 2);
	if (!dev_is_reference())
		EXPECT_EQ(0, regs_of(self->vcpu).rax & X86_EFLAGS_TF);
	EXPECT_STEP(VM_CODE_GPA + 3);
	EXPECT_STEP(VM_CODE_GPA + 4);
	EXPECT_STEP(VM_CODE_GPA + 5);
	EXPECT_STEP(VM_CODE_GPA + 10);
	if (dev_is_reference())
		return;
	EXPECT_STEP(VM_CODE_GPA + 11);
	/* Its own is kept. */
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 12, self->vcpu->run->debug.arch.pc);
	EXPECT_EQ(X86_EFLAGS_TF, regs_of(self->vcpu).rflags & X86_EFLAGS_TF);
	ASSERT_EQ(0, debug(self->vcpu, 0));
	EXPECT_EQ(X86_EFLAGS_TF, regs_of(self->vcpu).rflags & X86_EFLAGS_TF);
}

GUEST_CODE(breakpoints, 64,
	   "nop\n"			/* 0 */
	   "nop\n"			/* 1 */
	   "movl %eax, (%rbx)\n"	/* 2 */
	   "nop\n"			/* 4 */
	   "outb %al, $0x40\n");	/* 5 */

TEST_F(long_mode, breakpoints_of_the_cpu)
{
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;
	struct kvm_regs regs = regs_of(self->vcpu);
	struct kvm_debugregs dr;

	vm_load(&self->vm, VM_CODE_GPA, breakpoints);
	regs.rbx = VM_DATA_GPA;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, debug_regs(self->vcpu, HW_BP, VM_CODE_GPA + 1, DR7_EXEC0));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(DB, arch->exception);
	EXPECT_EQ(VM_CODE_GPA + 1, arch->pc);
	EXPECT_EQ(DR6_FIXED | 1, arch->dr6);
	EXPECT_EQ(DR7_EXEC0, arch->dr7);
	/* The guest's registers are not touched. */
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(0, dr.db[0]);
	EXPECT_EQ(DR7_FIXED, dr.dr7);
	EXPECT_EQ(DR6_FIXED, dr.dr6);

	ASSERT_EQ(0, debug_regs(self->vcpu, HW_BP, VM_DATA_GPA, DR7_WRITE0));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(DB, arch->exception);
	EXPECT_EQ(VM_CODE_GPA + 4, arch->pc);
	EXPECT_EQ(DR6_FIXED | 1, arch->dr6);
	EXPECT_EQ(DR7_WRITE0, arch->dr7);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
}

GUEST_CODE(own_registers, 64,
	   "movl $0x1234, %eax\n"	/* 0 */
	   "movq %rax, %dr0\n"		/* 5 */
	   "movl $0x400, %eax\n"	/* 8 */
	   "movq %rax, %dr7\n"		/* 13 */
	   "movq %dr0, %rcx\n"		/* 16 */
	   "movq %dr7, %rdx\n"		/* 19 */
	   "nop\n"			/* 22 */
	   "nop\n");			/* 23 */

TEST_F(long_mode, the_guest_has_its_own_registers)
{
	struct kvm_debugregs dr;
	struct kvm_regs regs;

	vm_load(&self->vm, VM_CODE_GPA, own_registers);
	ASSERT_EQ(0, debug_regs(self->vcpu, HW_BP, VM_CODE_GPA + 23, DR7_EXEC0));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 23, self->vcpu->run->debug.arch.pc);
	regs = regs_of(self->vcpu);
	EXPECT_EQ(0x1234, regs.rcx);
	EXPECT_EQ(DR7_FIXED, regs.rdx);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(0x1234, dr.db[0]);
}

TEST_F(long_mode, general_detection)
{
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;

	if (dev_is_reference() && is_tcg())
		SKIP(return, "the stock module needs a CPU that looks at GD before its intercepts");
	vm_load(&self->vm, VM_CODE_GPA, own_registers);
	ASSERT_EQ(0, debug_regs(self->vcpu, HW_BP, 0, DR7_FIXED | DR7_GD));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(DB, arch->exception);
	EXPECT_EQ(VM_CODE_GPA + 5, arch->pc);
	EXPECT_EQ(DR6_FIXED | DR6_BD, arch->dr6);
	EXPECT_EQ(DR7_FIXED | DR7_GD, arch->dr7 | DR7_GD);
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 8);
}

/* --- events, in real mode --- */

GUEST_CODE(nops, 16, "nop\nnop\nnop\nnop\nint3\nnop\nnop\n");
/* The vector's own handler: tells the vector by its segment. */
GUEST_CODE(handler, 16,
	   "movw %cs, %ax\n"
	   "outw %ax, $0x40\n"
	   "iretw\n");

FIXTURE(real_mode)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_VARIANT(real_mode)
{
	unsigned int irqchip;
};

FIXTURE_VARIANT_ADD(real_mode, lapic) { .irqchip = VM_IRQCHIP };
FIXTURE_VARIANT_ADD(real_mode, no_lapic) { .irqchip = 0 };

FIXTURE_SETUP(real_mode)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU | variant->irqchip))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, nops);
	/* Vector n enters at n:(0xa000 - 16 n): the same place with another CS each. */
	vm_load(&self->vm, 0xa000, handler);
	for (uint16_t n = 0; n < 256; n++) {
		uint16_t entry[2] = { 0xa000 - 16 * n, n };

		vm_copy_in(&self->vm, 4 * n, entry, sizeof(entry));
	}
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(real_mode)
{
	vm_close(&self->vm);
}

/* The frame of the event that is being handled: IP, CS, FLAGS. */
static const uint16_t *frame(struct vm *vm)
{
	return (const uint16_t *)(vm->mem + (uint16_t)regs_of(&vm->vcpu[0]).rsp);
}

TEST_F(real_mode, blocked_events_wait)
{
	ASSERT_EQ(0, debug(self->vcpu, STEP | KVM_GUESTDBG_BLOCKIRQ));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI));
	EXPECT_STEP(VM_CODE_GPA + 1);
	EXPECT_STEP(VM_CODE_GPA + 2);
	ASSERT_EQ(0, debug(self->vcpu, 0));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(2, *(uint16_t *)io_data(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 2, frame(&self->vm)[0]);
	EXPECT_EQ(0, frame(&self->vm)[2] & X86_EFLAGS_TF);
}

TEST_F(real_mode, an_interrupt_that_is_blocked_waits)
{
	struct kvm_interrupt irq = { .irq = 0x55 };
	struct kvm_regs regs = regs_of(self->vcpu);
	struct kvm_lapic_state lapic;

	if (!variant->irqchip && dev_is_reference())
		SKIP(return, "the stock module takes KVM_INTERRUPT's for one that is being delivered");
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	if (variant->irqchip) {
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_LAPIC, &lapic));
		*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
		*(uint32_t *)(lapic.regs + 0x200 + 0x10 * (0x55 / 32)) = 1 << 0x55 % 32;
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_LAPIC, &lapic));
	} else {
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_INTERRUPT, &irq));
	}
	ASSERT_EQ(0, debug(self->vcpu, STEP | KVM_GUESTDBG_BLOCKIRQ));
	EXPECT_STEP(VM_CODE_GPA + 1);
	EXPECT_STEP(VM_CODE_GPA + 2);
	ASSERT_EQ(0, debug(self->vcpu, 0));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x55, *(uint16_t *)io_data(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 2, frame(&self->vm)[0]);
}

/* An event on the way is delivered, and the step is the handler's first instruction. */
TEST_F(real_mode, steps_into_an_event)
{
	if (dev_is_reference())
		SKIP(return, "the stock module loses the step, and lets TF into the frame");
	ASSERT_EQ(0, debug(self->vcpu, STEP));
	EXPECT_STEP(VM_CODE_GPA + 1);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(0xa002, self->vcpu->run->debug.arch.pc);
	EXPECT_EQ(VM_CODE_GPA + 1, frame(&self->vm)[0]);
	EXPECT_EQ(0, frame(&self->vm)[2] & X86_EFLAGS_TF);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(KVM_EXIT_DEBUG, vcpu_run(self->vcpu));
	EXPECT_EQ(0xa004, self->vcpu->run->debug.arch.pc);
	EXPECT_STEP(VM_CODE_GPA + 1);
	EXPECT_STEP(VM_CODE_GPA + 2);
}

TEST_F(real_mode, injects_db)
{
	ASSERT_EQ(0, debug(self->vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB));
	EXPECT_EQ(-1, debug(self->vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(DB, *(uint16_t *)io_data(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA, frame(&self->vm)[0]);
}

/*
 * The frame's IP is that behind INT3. Bochs' AMD CPUs do not take it from nRIP, where the CPU has to (APM vol. 2,
 * 15.20), which the stock module finds as well.
 */
static bool is_behind_int3(uint16_t ip)
{
	uint32_t eax, name[3] = { 0 };

	__cpuid(0, eax, name[0], name[2], name[1]);
	if (!is_tcg() && !memcmp(name, "AuthenticAMD", sizeof(name)) && ip == VM_CODE_GPA + 4)
		return true;
	return ip == VM_CODE_GPA + 5;
}

/* RIP to INT3, as when it exits to a debugger to whom it turns out to be the guest's own. */
static int go_to_int3(struct vcpu *vcpu)
{
	struct kvm_regs regs = regs_of(vcpu);

	if (!is_tcg() && vcpu_run(vcpu) != KVM_EXIT_DEBUG)
		return -1;
	regs.rip = VM_CODE_GPA + 4;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

/* INT3 is given back to the guest, as if the CPU had executed it. */
TEST_F(real_mode, injects_bp)
{
	ASSERT_EQ(0, debug(self->vcpu, SW_BP));
	ASSERT_EQ(0, go_to_int3(self->vcpu));
	ASSERT_EQ(0, debug(self->vcpu, SW_BP | KVM_GUESTDBG_INJECT_BP));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(BP, *(uint16_t *)io_data(self->vcpu));
	EXPECT_TRUE(is_behind_int3(frame(&self->vm)[0]));
}

/* The same by KVM_SET_VCPU_EVENTS. */
TEST_F(real_mode, events_give_bp_back)
{
	struct kvm_vcpu_events ev;

	ASSERT_EQ(0, debug(self->vcpu, SW_BP));
	ASSERT_EQ(0, go_to_int3(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &ev));
	EXPECT_EQ(0, ev.exception.injected);
	ev.exception.injected = 1;
	ev.exception.nr = BP;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &ev));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(BP, *(uint16_t *)io_data(self->vcpu));
	EXPECT_TRUE(is_behind_int3(frame(&self->vm)[0]));
}

TEST_HARNESS_MAIN
