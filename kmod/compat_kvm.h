/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers and structs of the ABI that <linux/kvm.h> of the oldest kernel, 6.1, lacks; each under its name there, from
 * the public API document. Include this instead of <linux/kvm.h> where one of them is wanted.
 */
#ifndef OST_COMPAT_KVM_H
#define OST_COMPAT_KVM_H

#include <linux/kvm.h>

#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
/* kvm_run.memory_fault, where the other exits' parts are too. */
struct ost_memory_fault {
	__u64 flags;
	__u64 gpa;
	__u64 size;
};

#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#endif

#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
#endif
#ifndef KVM_PRE_FAULT_MEMORY
struct kvm_pre_fault_memory {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};
#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

#endif
