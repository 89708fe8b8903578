// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another owner of the CPU's virtualization: the stock module, in the same host. Whoever comes second is told
 * so and harms nobody.
 *
 * hostrun: --with-kvm --kernel-args kvm.enable_virt_at_load=0
 */
#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

GUEST_CODE(ports, 16, "1: outb %al, $0x10\n jmp 1b\n");

#define ROUNDS	5

FIXTURE(beside)
{
	int stock;
	int ours;
};

FIXTURE_SETUP(beside)
{
	self->ours = dev_open();
	ASSERT_LE(0, self->ours);
	self->stock = open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

/* The harness goes on behind a SKIP in the setup. */
#define NEEDS_BOTH()									\
	do {										\
		if (self->stock < 0 || dev_is_reference())				\
			SKIP(return, "the stock module is not loaded beside ours");	\
	} while (0)

FIXTURE_TEARDOWN(beside)
{
	close(self->ours);
	close(self->stock);
}

TEST_F(beside, ours_waits_for_the_stock_module)
{
	int i, fd, vm;

	NEEDS_BOTH();
	for (i = 0; i < ROUNDS; i++) {
		vm = ioctl(self->stock, KVM_CREATE_VM, 0);
		ASSERT_LE(0, vm);
		EXPECT_EQ(-1, ioctl(self->ours, KVM_CREATE_VM, 0));
		EXPECT_EQ(EBUSY, errno);
		/* What needs no CPU is still there. */
		EXPECT_EQ(12, ioctl(self->ours, KVM_GET_API_VERSION, 0));
		EXPECT_LE(0, ioctl(vm, KVM_CREATE_VCPU, 0));
		close(vm);
		/* The vCPU's descriptor holds the VM. */
		EXPECT_EQ(-1, ioctl(self->ours, KVM_CREATE_VM, 0));
		for (fd = 3; fd < 64; fd++)
			if (fd != self->ours && fd != self->stock)
				close(fd);
		vm = ioctl(self->ours, KVM_CREATE_VM, 0);
		ASSERT_LE(0, vm);
		close(vm);
	}
}

/* docs/decisions.md, "VMX operation in sections" */
static bool vmx_in_sections(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_INTEL_ebx &&
	       !vendor_param("vmx_stay_on");
}

static int open_guest(struct vm *vm)
{
	if (vm_open(vm, VM_MEMORY | VM_VCPU))
		return -1;
	vm_load(vm, VM_CODE_GPA, ports);
	return vcpu_real_mode(&vm->vcpu[0], VM_CODE_GPA);
}

/* There the stock module comes in between two runs of ours, and ours waits until it has gone. */
TEST_F(beside, the_stock_module_may_come_between_runs)
{
	struct vm vm;
	int i, fd;

	NEEDS_BOTH();
	if (!vmx_in_sections())
		SKIP(return, "ours keeps the CPU's virtualization");
	ASSERT_EQ(0, open_guest(&vm));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(&vm.vcpu[0]));
		fd = ioctl(self->stock, KVM_CREATE_VM, 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EBUSY, vcpu_run(&vm.vcpu[0]));
		close(fd);
	}
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(&vm.vcpu[0]));
	vm_close(&vm);
}

TEST_F(beside, the_stock_module_does_not_harm_ours)
{
	struct vm vm;
	int i, fd;

	NEEDS_BOTH();
	if (vmx_in_sections())
		SKIP(return, "ours does not keep the CPU's virtualization");
	ASSERT_EQ(0, open_guest(&vm));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(&vm.vcpu[0]));
		fd = ioctl(self->stock, KVM_CREATE_VM, 0);
		EXPECT_EQ(-1, fd);
		EXPECT_TRUE(errno == EBUSY || errno == EIO) {	/* 6.1; later kernels */
			TH_LOG("%s", strerror(errno));
		}
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(&vm.vcpu[0]));
	}
	vm_close(&vm);
	fd = ioctl(self->stock, KVM_CREATE_VM, 0);
	EXPECT_LE(0, fd);
	close(fd);
}

#define MSRS 512
#define MCG_CTL_P (1u << 8)

struct msr_state {
	struct {
		struct kvm_msr_list head;
		uint32_t indices[MSRS];
	} list;
	uint64_t value[MSRS];
	bool known[MSRS];
};

/* A vCPU as VMMs make them. What it has of machine checks by itself is each module's own choice. */
static int open_one(struct vm *vm, const char *path)
{
	uint64_t mcg_cap = MCG_CTL_P | 10;

	setenv("OST_DEVICE", path, 1);
	if (vm_open(vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		return -1;
	return vcpu_cpuid_all(vm, &vm->vcpu[0]) ?: ioctl(vm->vcpu[0].fd, KVM_X86_SETUP_MCE, &mcg_cap);
}

/* What a vCPU's MSRs begin with, of those that the module lists for saving and can read. */
static int first_state(const char *path, struct msr_state *state)
{
	struct vm vm;
	uint32_t i;
	int error = open_one(&vm, path);

	state->list.head.nmsrs = MSRS;
	error = error ?: ioctl(vm.sys_fd, KVM_GET_MSR_INDEX_LIST, &state->list);
	for (i = 0; !error && i < state->list.head.nmsrs; i++)
		state->known[i] = vcpu_get_msr(&vm.vcpu[0], state->list.indices[i], &state->value[i]) == 1;
	vm_close(&vm);
	return error;
}

static bool lists(const struct msr_state *state, uint32_t index)
{
	for (uint32_t i = 0; i < state->list.head.nmsrs; i++)
		if (state->list.indices[i] == index)
			return state->known[i];
	return false;
}

/* So that a VMM may carry a guest from one to the other. */
TEST_F(beside, msrs_of_one_are_taken_by_the_other)
{
	static struct msr_state state[2];
	static const char *const stock = "/dev/kvm";
	const char *paths[2] = { dev_path(), stock };
	struct vm vm;
	int from, to;

	NEEDS_BOTH();
	for (from = 0; from < 2; from++)
		ASSERT_EQ(0, first_state(paths[from], &state[from]));
	for (from = 0; from < 2; from++) {
		to = !from;
		ASSERT_EQ(0, open_one(&vm, paths[to]));
		for (uint32_t i = 0; i < state[from].list.head.nmsrs; i++) {
			uint32_t index = state[from].list.indices[i];

			if (!state[from].known[i] || !lists(&state[to], index))
				continue;
			EXPECT_EQ(1, vcpu_set_msr(&vm.vcpu[0], index, state[from].value[i])) {
				TH_LOG("%s refuses MSR %#x with %#llx of %s", paths[to], index,
				       (unsigned long long)state[from].value[i], paths[from]);
			}
		}
		vm_close(&vm);
	}
}

TEST_HARNESS_MAIN
