// SPDX-License-Identifier: GPL-2.0-only
/* KVM_ENABLE_CAP by table: a row a capability (enable_cap.h). */
#include <linux/kernel.h>
#include "compat_kvm.h"
#include "disable_exits.h"
#include "enable_cap.h"
#include "mmu/dirty_ring.h"
#include "msr_filter.h"
#include "vcpu.h"
#include "vm.h"

struct vm_cap {
	u32 cap;
	/* Called without vm->lock. `args` are the four of the ABI. */
	int (*enable)(struct ost_vm *vm, const u64 *args);
};

struct vcpu_cap {
	u32 cap;
	int (*enable)(struct ost_vcpu *vcpu, const u64 *args);
};

static int exception_payload(struct ost_vm *vm, const u64 *args)
{
	WRITE_ONCE(vm->exception_payload, args[0]);
	return 0;
}

static int triple_fault_event(struct ost_vm *vm, const u64 *args)
{
	WRITE_ONCE(vm->triple_fault_event, args[0]);
	return 0;
}

static int exit_hypercall(struct ost_vm *vm, const u64 *args)
{
	if (args[0] & ~(u64)OST_HYPERCALL_EXITS)
		return -EINVAL;
	WRITE_ONCE(vm->hypercall_exits, args[0]);
	return 0;
}

static int enforce_pv(struct ost_vcpu *vcpu, const u64 *args)
{
	vcpu->pv.enforce = args[0];
	return 0;
}

static int user_space_msr(struct ost_vm *vm, const u64 *args)
{
	return ost_msr_user_exits_set(vm, args[0]);
}

static int msr_platform_info(struct ost_vm *vm, const u64 *args)
{
	WRITE_ONCE(vm->hides_platform_info, !args[0]);
	return 0;
}

static int exit_on_emulation_failure(struct ost_vm *vm, const u64 *args)
{
	if (args[0] > 1)
		return -EINVAL;
	WRITE_ONCE(vm->exits_on_emulation_failure, args[0]);
	return 0;
}

/* The older one knows no list of quirks to be asked about; those that are not here are off already. */
static int disable_quirks(struct ost_vm *vm, const u64 *args)
{
	WRITE_ONCE(vm->disabled_quirks, args[0] & OST_QUIRKS);
	return 0;
}

static int disable_quirks2(struct ost_vm *vm, const u64 *args)
{
	return args[0] & ~(u64)OST_QUIRKS ? -EINVAL : disable_quirks(vm, args);
}

static const struct vm_cap vm_caps[] = {
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, ost_mmu_set_manual_log },
	{ KVM_CAP_DIRTY_LOG_RING, ost_dirty_rings_enable },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL, ost_dirty_rings_enable },
	{ KVM_CAP_EXCEPTION_PAYLOAD, exception_payload },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, triple_fault_event },
	{ KVM_CAP_SPLIT_IRQCHIP, ost_irqchip_cap_split },
	{ KVM_CAP_X2APIC_API, ost_irqchip_cap_x2apic },
	{ KVM_CAP_X86_DISABLE_EXITS, ost_vm_cap_disable_exits },
	{ KVM_CAP_X86_APIC_BUS_CYCLES_NS, ost_irqchip_cap_bus_cycles },
	{ KVM_CAP_MAX_VCPU_ID, ost_vm_cap_max_vcpu_id },
	{ KVM_CAP_EXIT_HYPERCALL, exit_hypercall },
	{ KVM_CAP_X86_USER_SPACE_MSR, user_space_msr },
	{ KVM_CAP_MSR_PLATFORM_INFO, msr_platform_info },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, exit_on_emulation_failure },
	{ KVM_CAP_DISABLE_QUIRKS, disable_quirks },
	{ KVM_CAP_DISABLE_QUIRKS2, disable_quirks2 },
};

static const struct vcpu_cap vcpu_caps[] = {
	{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID, enforce_pv },
};

int ost_vm_enable_cap(struct ost_vm *vm, const struct kvm_enable_cap *cap)
{
	u32 i;

	if (cap->flags)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(vm_caps); i++)
		if (vm_caps[i].cap == cap->cap)
			return vm_caps[i].enable(vm, cap->args);
	return -EINVAL;
}

int ost_vcpu_enable_cap(struct ost_vcpu *vcpu, const struct kvm_enable_cap *cap)
{
	u32 i;

	if (cap->flags)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(vcpu_caps); i++)
		if (vcpu_caps[i].cap == cap->cap)
			return vcpu_caps[i].enable(vcpu, cap->args);
	return -EINVAL;
}
