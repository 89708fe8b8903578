// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device node /dev/<instance>, the ioctls of its file descriptor, and the capabilities that
 * KVM_CHECK_EXTENSION reports: each only when all of it works.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include "attr.h"
#include "backend.h"
#include "compat.h"
#include "compat_kvm.h"
#include "cpuid.h"
#include "disable_exits.h"
#include "enable_cap.h"
#include "fpu.h"
#include "ioctl.h"
#include "irqchip/irqchip.h"
#include "mmu/dirty_ring.h"
#include "msr.h"
#include "msr_table.h"
#include "system.h"
#include "vcpu.h"
#include "vm.h"
#include "../uapi/ostler.h"

static bool kvm_node;
module_param(kvm_node, bool, 0444);
MODULE_PARM_DESC(kvm_node, "also register /dev/kvm, for programs that hard-wire it (default: no)");

long ost_check_extension(struct ost_vm *vm, unsigned long cap)
{
	switch (cap) {
	case KVM_CAP_IRQCHIP:
	case KVM_CAP_HLT:
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_SET_TSS_ADDR:
	case KVM_CAP_EXT_CPUID:
	case KVM_CAP_NOP_IO_DELAY:
	case KVM_CAP_MP_STATE:
	case KVM_CAP_USER_NMI:
	case KVM_CAP_IRQ_INJECT_STATUS:
	case KVM_CAP_PIT2:
	case KVM_CAP_PIT_STATE2:
	case KVM_CAP_REINJECT_CONTROL:
	case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
	case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
	case KVM_CAP_READONLY_MEM:
	case KVM_CAP_IRQFD:
	case KVM_CAP_IRQFD_RESAMPLE:
	case KVM_CAP_IOEVENTFD:
	case KVM_CAP_IOEVENTFD_ANY_LENGTH:
	case KVM_CAP_COALESCED_PIO:
	case KVM_CAP_USER_MEMORY2:
	case KVM_CAP_MMU_SHADOW_CACHE_CONTROL:
	case KVM_CAP_SIGNAL_MSI:
	case KVM_CAP_SET_IDENTITY_MAP_ADDR:
	case KVM_CAP_VCPU_EVENTS:
	case KVM_CAP_DEBUGREGS:
	case KVM_CAP_XSAVE:
	case KVM_CAP_XCRS:
	case KVM_CAP_GET_TSC_KHZ:
	case KVM_CAP_KVMCLOCK_CTRL:
	case KVM_CAP_TSC_DEADLINE_TIMER:
	case KVM_CAP_INTERNAL_ERROR_DATA:
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_CHECK_EXTENSION_VM:
	case KVM_CAP_ENABLE_CAP:
	case KVM_CAP_ENFORCE_PV_FEATURE_CPUID:
	case KVM_CAP_ENABLE_CAP_VM:
	case KVM_CAP_SET_GUEST_DEBUG:
	case KVM_CAP_X86_ROBUST_SINGLESTEP:
	case KVM_CAP_SREGS2:
	case KVM_CAP_EXCEPTION_PAYLOAD:
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
	case KVM_CAP_SET_BOOT_CPU_ID:
	case KVM_CAP_SPLIT_IRQCHIP:
	case KVM_CAP_X86_MSR_FILTER:
	case KVM_CAP_X86_USER_SPACE_MSR:
	case KVM_CAP_BINARY_STATS_FD:
	case KVM_CAP_DEVICE_CTRL:
	case KVM_CAP_SYS_ATTRIBUTES:
	case KVM_CAP_VCPU_ATTRIBUTES:
	case KVM_CAP_EXT_EMUL_CPUID:
	case KVM_CAP_GET_MSR_FEATURES:
	case KVM_CAP_MSR_PLATFORM_INFO:
	case KVM_CAP_DISABLE_QUIRKS:
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
	case KVM_CAP_PRE_FAULT_MEMORY:
	case KVM_CAP_MEMORY_FAULT_INFO:
	case KVM_CAP_CLOCKSOURCE:
	case KVM_CAP_VM_TYPES:		/* bit 0: KVM_CREATE_VM's type 0 */
	case KVM_CAP_IOEVENTFD_NO_LENGTH:
	case KVM_CAP_LAST_CPU:
	case KVM_CAP_IOAPIC_POLARITY_IGNORED:
	case KVM_CAP_X86_SMM:
	case KVM_CAP_ASYNC_PF:
	case KVM_CAP_ASYNC_PF_INT:
		return 1;
	case KVM_CAP_MCE:
		return OST_MAX_MCE_BANKS;
	case KVM_CAP_SYNC_REGS:
		return KVM_SYNC_X86_VALID_FIELDS;
	case KVM_CAP_SET_GUEST_DEBUG2:
		return OST_GUESTDBG_FLAGS;
	case KVM_CAP_DISABLE_QUIRKS2:
		return OST_QUIRKS;
	case KVM_CAP_XSAVE2: {
		u32 size = ost_fpu_xsave2_size();

		return max_t(u32, size, sizeof(struct kvm_xsave));
	}
	case KVM_CAP_ADJUST_CLOCK:
		return ost_clock_cap_flags();
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return ost_hw_caps.tsc_scaling;
	case KVM_CAP_NR_VCPUS:
		return min_t(u32, num_online_cpus(), OST_MAX_VCPUS);
	case KVM_CAP_MAX_VCPUS:
		return OST_MAX_VCPUS;
	case KVM_CAP_MAX_VCPU_ID:
		return OST_MAX_VCPU_IDS;
	case KVM_CAP_X2APIC_API:
		return KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	case KVM_CAP_X86_DISABLE_EXITS:
		return ost_disable_exits_supported();
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return vm ? READ_ONCE(vm->irqs.tick_ns) : OST_LAPIC_TICK_NS;
	case KVM_CAP_IRQ_ROUTING:
		return OST_MAX_GSI_ROUTES;	/* the ABI's clients take it for the number */
	case KVM_CAP_COALESCED_MMIO:
		return KVM_COALESCED_MMIO_PAGE_OFFSET;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return OST_DIRTY_RING_MAX * sizeof(struct kvm_dirty_gfn);
	case KVM_CAP_MULTI_ADDRESS_SPACE:
		return OST_NR_SPACES;
	case KVM_CAP_NR_MEMSLOTS:
		return OST_MAX_SLOTS;
	case KVM_CAP_EXIT_HYPERCALL:
		return OST_HYPERCALL_EXITS;
	case KVM_CAP_SYNC_MMU:
		return 1;
	}
	return 0;
}

static long get_api_version(void *obj, unsigned long arg)
{
	return arg ? -EINVAL : KVM_API_VERSION;
}

static long create_vm(void *obj, unsigned long arg)
{
	return ost_vm_create(arg);
}

static long check_extension(void *obj, unsigned long arg)
{
	return ost_check_extension(NULL, arg);
}

static long get_vcpu_mmap_size(void *obj, unsigned long arg)
{
	/* struct kvm_run's page, one for the data of port I/O, and the ring of coalesced writes */
	return arg ? -EINVAL : 3 * PAGE_SIZE;
}

static long get_supported_cpuid(void *obj, unsigned long arg)
{
	return ost_cpuid_get_supported((struct kvm_cpuid2 __user *)arg);
}

static long get_msr_index_list(void *obj, unsigned long arg)
{
	return ost_msr_index_list((struct kvm_msr_list __user *)arg, false);
}

static long get_msr_feature_index_list(void *obj, unsigned long arg)
{
	return ost_msr_index_list((struct kvm_msr_list __user *)arg, true);
}

static long get_msrs(void *obj, unsigned long arg)
{
	return ost_msr_get_features((struct kvm_msrs __user *)arg);
}

static int get_mce_cap_supported(void *obj, void *arg)
{
	*(u64 *)arg = ost_mce_cap_supported();
	return 0;
}

/* The caller's struct may be shorter or longer than ours: each has its size in front. */
static long get_info(void *obj, unsigned long arg)
{
	struct ost_info __user *user = (void __user *)arg;
	struct ost_info info = {
		.size = sizeof(info),
		.version = OST_INTERFACE_VERSION,
		.vendor = ost_backend->vendor,
		.kernel = OST_BUILT_FOR,
		.name = OST_NAME,
	};
	u32 size;

	BUILD_BUG_ON(sizeof(OST_NAME) > sizeof(info.name));
	if (get_user(size, &user->size))
		return -EFAULT;
	if (size < offsetofend(struct ost_info, version))
		return -EINVAL;
	return copy_to_user(user, &info, min_t(u32, size, sizeof(info))) ? -EFAULT : 0;
}

static long get_emulated_cpuid(void *obj, unsigned long arg)
{
	return ost_cpuid_get_emulated((struct kvm_cpuid2 __user *)arg);
}

static int has_attr(void *obj, void *arg)
{
	return ost_system_has_attr(arg);
}

static int get_attr(void *obj, void *arg)
{
	return ost_system_get_attr(arg);
}

static const struct ost_ioctl system_ioctls[] = {
	{ .cmd = KVM_GET_API_VERSION, .raw = get_api_version },
	{ .cmd = KVM_CREATE_VM, .raw = create_vm },
	{ .cmd = KVM_GET_MSR_INDEX_LIST, .raw = get_msr_index_list },
	{ .cmd = KVM_CHECK_EXTENSION, .raw = check_extension },
	{ .cmd = KVM_GET_VCPU_MMAP_SIZE, .raw = get_vcpu_mmap_size },
	{ .cmd = KVM_GET_SUPPORTED_CPUID, .raw = get_supported_cpuid },
	{ .cmd = KVM_GET_MSR_FEATURE_INDEX_LIST, .raw = get_msr_feature_index_list },
	{ .cmd = KVM_GET_EMULATED_CPUID, .raw = get_emulated_cpuid },
	{ .cmd = KVM_GET_MSRS, .raw = get_msrs },
	{ .cmd = OST_GET_INFO, .raw = get_info },
	{ .cmd = KVM_X86_GET_MCE_CAP_SUPPORTED, .copy = OST_OUT, .fn = get_mce_cap_supported },
	{ .cmd = KVM_GET_DEVICE_ATTR, .copy = OST_IN, .fn = get_attr },
	{ .cmd = KVM_HAS_DEVICE_ATTR, .copy = OST_IN, .fn = has_attr },
};

static struct ost_ioctl_table system_table = {
	.rows = system_ioctls,
	.nr = ARRAY_SIZE(system_ioctls),
};

static long system_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ost_ioctl(&system_table, NULL, cmd, arg);
}

static const struct file_operations system_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = system_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice node = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = OST_NAME,
	.mode = 0660,
	.fops = &system_fops,
};

static struct miscdevice kvm_misc = {
	.minor = KVM_MINOR,
	.name = "kvm",
	.mode = 0660,
	.fops = &system_fops,
};

int __init ost_system_register(void)
{
	int r;

	ost_ioctl_table_init(&system_table);
	ost_vm_init_ioctls();
	ost_vcpu_init_ioctls();
	r = misc_register(&node);
	if (r) {
		pr_err("can't make /dev/%s: error %d%s\n", OST_NAME, r,
		       r == -EEXIST ? ": another driver has a node of this name" : "");
		return r;
	}
	if (!kvm_node)
		return 0;
	r = misc_register(&kvm_misc);
	if (r) {
		pr_err("can't make /dev/kvm: error %d%s\n", r,
		       r == -EBUSY || r == -EEXIST ?
			       ": the stock module has it: unload kvm_amd or kvm_intel and kvm, or leave kvm_node out" :
			       "");
		misc_deregister(&node);
	}
	return r;
}

void ost_system_unregister(void)
{
	if (kvm_node)
		misc_deregister(&kvm_misc);
	misc_deregister(&node);
}
