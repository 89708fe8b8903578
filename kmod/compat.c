// SPDX-License-Identifier: GPL-2.0-only
/* Objects that kmod/compat.h needs on some kernels. */
#include <linux/slab.h>
#include <asm/segment.h>
#include "compat.h"
#include "compat_init.h"

const u16 ost_verw_selector = __KERNEL_DS;

#if OST_XFER_WRITES_VCPU
/* See ost_xfer_work(): written to by any thread that meets a signal, read by nobody. */
struct kvm_vcpu *ost_scratch_kvm_vcpu;

int ost_compat_init(void)
{
	ost_scratch_kvm_vcpu = kvzalloc(sizeof(*ost_scratch_kvm_vcpu), GFP_KERNEL);
	if (!ost_scratch_kvm_vcpu)
		return -ENOMEM;
	ost_scratch_kvm_vcpu->run = kzalloc(sizeof(*ost_scratch_kvm_vcpu->run), GFP_KERNEL);
	if (!ost_scratch_kvm_vcpu->run) {
		kvfree(ost_scratch_kvm_vcpu);
		return -ENOMEM;
	}
	return 0;
}

void ost_compat_exit(void)
{
	kfree(ost_scratch_kvm_vcpu->run);
	kvfree(ost_scratch_kvm_vcpu);
}
#else
int ost_compat_init(void)
{
	return 0;
}

void ost_compat_exit(void)
{
}
#endif

static struct syscore_ops syscore_ops;
OST_DEFINE_SYSCORE(syscore, &syscore_ops);

void ost_register_syscore(int (*suspend)(OST_SYSCORE_ARG), void (*resume)(OST_SYSCORE_ARG))
{
	syscore_ops.suspend = suspend;
	syscore_ops.resume = resume;
	ost_syscore_register(syscore);
}

void ost_unregister_syscore(void)
{
	ost_syscore_unregister(syscore);
}
