/* SPDX-License-Identifier: GPL-2.0-only */
/* The device node and the ioctls of its file descriptor (system.c). */
#ifndef OST_SYSTEM_H
#define OST_SYSTEM_H

struct ost_vm;

/* Makes /dev/<instance> (and /dev/kvm with kvm_node=1), last at load. 0 or -errno. */
int ost_system_register(void);
void ost_system_unregister(void);

/* KVM_CHECK_EXTENSION on the system fd (vm NULL) or a VM fd. */
long ost_check_extension(struct ost_vm *vm, unsigned long cap);

#endif
