// SPDX-License-Identifier: GPL-2.0-only
/* The VMM's side of what guests share with their hypervisor: hypercalls that exit, features enforced, state saved. */
#include <asm/kvm_para.h>
#include <pthread.h>
#include <signal.h>
#include "kselftest_harness.h"
#include "vm.h"

#define HC_MAP_GPA_RANGE	12
#define GPA			0x200000UL
#define NR_PAGES		16UL
#define ATTRIBUTES		0x10UL
#define STEAL_TIME		0x4b564d03
#define PV_EOI			0x4b564d04
#define POLL_CONTROL		0x4b564d05
#define KVM_ENOSYS		1000

/* A hypercall with the registers as they are, by either vendor's instruction; then says so by a port; again. */
GUEST_CODE(vmmcall, 64, "1: vmmcall\n outb %al, $0x10\n jmp 1b\n");
GUEST_CODE(vmcall, 64, "1: vmcall\n outb %al, $0x10\n jmp 1b\n");
/* RDMSR of ecx, then the same. */
GUEST_CODE(read_msr, 64, "1: rdmsr\n outb %al, $0x10\n jmp 1b\n");

FIXTURE(pv)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(pv)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
}

FIXTURE_TEARDOWN(pv)
{
	vm_close(&self->vm);
}

static bool is_intel(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->sys_fd);
	struct kvm_cpuid_entry2 *e = cpuid ? cpuid_find(cpuid, 0, 0) : NULL;
	bool intel = e && e->ebx == 0x756e6547;

	free(cpuid);
	return intel;
}

/* Long mode at the hypercall, with these registers. */
static int call(struct vm *vm, struct vcpu *vcpu, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct kvm_regs regs;

	if (is_intel(vm))
		vm_load(vm, VM_CODE_GPA, vmcall);
	else
		vm_load(vm, VM_CODE_GPA, vmmcall);
	if (vcpu_long_mode(vm, vcpu, VM_CODE_GPA) || ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	regs.rax = nr;
	regs.rbx = a0;
	regs.rcx = a1;
	regs.rdx = a2;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

static int64_t rax(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	return regs.rax;
}

TEST_F(pv, map_gpa_range_exits)
{
	struct kvm_run *run = self->vcpu->run;

	ASSERT_EQ(1 << HC_MAP_GPA_RANGE, has_cap(&self->vm, KVM_CAP_EXIT_HYPERCALL));
	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_EXIT_HYPERCALL, 1 << HC_MAP_GPA_RANGE));
	ASSERT_EQ(0, call(&self->vm, self->vcpu, HC_MAP_GPA_RANGE, GPA, NR_PAGES, ATTRIBUTES));
	ASSERT_EQ(KVM_EXIT_HYPERCALL, vcpu_run(self->vcpu));
	EXPECT_EQ(HC_MAP_GPA_RANGE, run->hypercall.nr);
	EXPECT_EQ(GPA, run->hypercall.args[0]);
	EXPECT_EQ(NR_PAGES, run->hypercall.args[1]);
	EXPECT_EQ(ATTRIBUTES, run->hypercall.args[2]);
	EXPECT_EQ(1, run->hypercall.longmode & 1);
	run->hypercall.ret = (uint64_t)-95;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(-95, rax(self->vcpu));
}

/* The other vendor's instruction: rewritten in memory, or undefined. */
TEST_F(pv, the_other_hypercall_is_fixed)
{
	uint8_t *code = self->vm.mem + VM_CODE_GPA;
	uint8_t right = is_intel(&self->vm) ? 0xc1 : 0xd9;

	ASSERT_EQ(0, call(&self->vm, self->vcpu, 99, 0, 0, 0));
	ASSERT_EQ(right, code[2]);
	code[2] ^= 0xc1 ^ 0xd9;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(-KVM_ENOSYS, rax(self->vcpu));
	EXPECT_EQ(right, code[2]);
}

TEST_F(pv, the_other_hypercall_is_undefined)
{
	uint8_t *code = self->vm.mem + VM_CODE_GPA;
	uint8_t wrong = is_intel(&self->vm) ? 0xd9 : 0xc1;

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_FIX_HYPERCALL_INSN));
	ASSERT_EQ(0, call(&self->vm, self->vcpu, 99, 0, 0, 0));
	code[2] = wrong;
	/* #UD without an IDT */
	ASSERT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
	EXPECT_EQ(wrong, code[2]);
}

TEST_F(pv, map_gpa_range_of_nothing_is_einval)
{
	static const uint64_t bad[][2] = { { GPA + 1, 1 }, { GPA, 0 }, { GPA, ~0UL } };

	ASSERT_EQ(0, enable_cap(self->vm.fd, KVM_CAP_EXIT_HYPERCALL, 1 << HC_MAP_GPA_RANGE));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, call(&self->vm, self->vcpu, HC_MAP_GPA_RANGE, bad[i][0], bad[i][1], 0));
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		EXPECT_EQ(-EINVAL, rax(self->vcpu));
	}
}

TEST_F(pv, nobody_asked_for_it)
{
	ASSERT_EQ(0, call(&self->vm, self->vcpu, HC_MAP_GPA_RANGE, GPA, NR_PAGES, ATTRIBUTES));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(-KVM_ENOSYS, rax(self->vcpu));
	EXPECT_EQ(-1, enable_cap(self->vm.fd, KVM_CAP_EXIT_HYPERCALL, 1 << 11));
	EXPECT_EQ(EINVAL, errno);
}

/* Without the CPUID leaf there is nothing left, once that is enforced. */
TEST_F(pv, features_are_enforced)
{
	static const uint32_t msrs[] = { STEAL_TIME,	      PV_EOI,
					 POLL_CONTROL,	      MSR_KVM_SYSTEM_TIME,
					 MSR_KVM_WALL_CLOCK,  MSR_KVM_SYSTEM_TIME_NEW,
					 MSR_KVM_WALL_CLOCK_NEW };
	struct kvm_regs regs;
	uint64_t value;

	vm_load(&self->vm, VM_CODE_GPA, read_msr);
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_ENFORCE_PV_FEATURE_CPUID));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 7; i++) {
			EXPECT_EQ(!round, vcpu_get_msr(self->vcpu, msrs[i], &value));
			ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
			ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
			regs.rcx = msrs[i];
			ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
			/* #GP without an IDT */
			EXPECT_EQ(round ? KVM_EXIT_SHUTDOWN : KVM_EXIT_IO, vcpu_run(self->vcpu));
		}
		ASSERT_EQ(0, enable_cap(self->vcpu->fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1))
			TH_LOG("%s", strerror(errno));
	}
}

TEST_F(pv, state_is_saved_and_checked)
{
	uint64_t value;

	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, STEAL_TIME, VM_DATA_GPA | 1));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, STEAL_TIME, &value));
	EXPECT_EQ(VM_DATA_GPA | 1, value);
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, STEAL_TIME, VM_DATA_GPA | 3));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, PV_EOI, (VM_DATA_GPA + 64) | 1));
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, PV_EOI, (VM_DATA_GPA + 2) | 1));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, POLL_CONTROL, &value));
	EXPECT_EQ(1U, value);
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, POLL_CONTROL, 2));
}

/* Where the page has no memory, nothing happens but that. */
TEST_F(pv, pages_without_memory)
{
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, PV_EOI, VM_MMIO_GPA | 1));
	vcpu_set_msr(self->vcpu, STEAL_TIME, VM_MMIO_GPA | 1);
	ASSERT_EQ(0, call(&self->vm, self->vcpu, 4711, 0, 0, 0));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(-KVM_ENOSYS, rax(self->vcpu));
}

#define WALL_CLOCK	0x4b564d00
#define LOGGED_GPA	0x40000000UL
#define LOGGED_PAGES	1100UL
#define RING_ENTRIES	1024UL	/* more than the smallest there may be */

static void *run_halted(void *arg)
{
	struct vcpu *vcpu = arg;
	int r = ioctl(vcpu->fd, KVM_RUN, 0);

	return (void *)(intptr_t)(r ? errno : 0);
}

static void ignore(int sig)
{
	(void)sig;
}

/*
 * The scheduler, which takes a halted vCPU off its CPU, must not be the one who finds a dirty ring without any room: there
 * nobody can be woken.
 */
TEST_F(pv, halts_with_a_full_dirty_ring)
{
	struct sigaction action = { .sa_handler = ignore };
	struct kvm_mp_state halted = { .mp_state = KVM_MP_STATE_HALTED };
	uint8_t *memory = page_alloc(LOGGED_PAGES * VM_PAGE_SIZE);
	void *result = NULL;
	pthread_t thread;
	struct vcpu *vcpu;
	struct vm vm;

	if (dev_is_reference())
		SKIP(return, "what the stock module writes by itself goes elsewhere");
	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_IRQCHIP));
	ASSERT_EQ(0, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_ENTRIES * sizeof(struct kvm_dirty_gfn)));
	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, vm_set_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, LOGGED_GPA, LOGGED_PAGES * VM_PAGE_SIZE, memory));
	vcpu = vm_add_vcpu(&vm);
	ASSERT_NE(NULL, vcpu);
	/* Each writes a page. */
	for (unsigned long i = 0; i < RING_ENTRIES; i++)
		ASSERT_EQ(1, vcpu_set_msr(vcpu, WALL_CLOCK, LOGGED_GPA + i * VM_PAGE_SIZE));
	ASSERT_EQ(1, vcpu_set_msr(vcpu, STEAL_TIME, (LOGGED_GPA + (LOGGED_PAGES - 1) * VM_PAGE_SIZE) | 1));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_MP_STATE, &halted));

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_halted, vcpu));
	usleep(200000);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &result);
	EXPECT_EQ(EINTR, (intptr_t)result);
	vm_close(&vm);
}

TEST_HARNESS_MAIN
