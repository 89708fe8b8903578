// SPDX-License-Identifier: GPL-2.0-only
/* The cache of VMCS fields (vmcs.h). */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/irqflags.h>
#include <linux/printk.h>
#include "vmx.h"

#define ENCODING(field) [OST_V_##field] = field,
const u16 ost_vmcs_fields[OST_NR_VMCS_SLOTS] = {
	OST_VMCS_STATE(ENCODING)
	OST_VMCS_EXIT(ENCODING)
	OST_VMCS_CONTROL(ENCODING)
};

/* An exit empties the first word but for what it says about controls. */
static_assert(OST_V_LAST_STATE <= 64);
static_assert(OST_V_EXIT_QUALIFICATION == 64);
static_assert(OST_NR_VMCS_SLOTS <= 128);

/* Some other VMCS may be current, or none. */
static noinline u64 read_in_section(struct ost_vmx_vcpu *vmx, unsigned long field)
{
	unsigned long flags;
	u64 val = 0;

	/* What an ioctl needs and ost_vmx_in_memory() does not know of: some other vCPU's VMCS may be current. */
	if (WARN_ON_ONCE(!vmx->vcpu.loaded)) {
		ost_vm_kill(vmx->vcpu.vm);
		return 0;
	}
	local_irq_save(flags);
	if (ost_vmx_section_begin(vmx)) {
		val = ost_vmread(field);
		ost_vmx_section_end(vmx);
	} else {
		/* Nothing true can be said about the guest any more. */
		pr_err_ratelimited("VMX was turned off or taken by another hypervisor: VM %llu ends\n",
				   vmx->vcpu.vm->id);
		ost_vm_kill(vmx->vcpu.vm);
	}
	local_irq_restore(flags);
	return val;
}

u64 ost_vmcs_read_outside(struct ost_vmx_vcpu *vmx, unsigned long field)
{
	u64 val = 0;

	/*
	 * Current as long as the vCPU is loaded; when it is preempted on the way, sched-in sees to it. That may be
	 * on a CPU which goes offline and is not in VMX operation any more.
	 */
	if (ost_vmx_kept() && likely(vmx->vcpu.loaded) && likely(raw_cpu_read(ost_vmx_cpus.on)) &&
	    likely(ost_vmread_try(field, &val)))
		return val;
	return read_in_section(vmx, field);
}

void ost_vmcs_flush(struct ost_vmx_vcpu *vmx)
{
	int word;

	for (word = 0; word < 2; word++) {
		u64 dirty = vmx->cache.dirty[word];

		vmx->cache.dirty[word] = 0;
		while (dirty) {
			int slot = word * 64 + __ffs64(dirty);

			dirty &= dirty - 1;
			if (unlikely(!ost_vmwrite(ost_vmcs_fields[slot], vmx->cache.val[slot])))
				pr_err_ratelimited("VMCS field 0x%x can't be written\n",
						   ost_vmcs_fields[slot]);
		}
	}
}
