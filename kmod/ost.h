/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every file of the module includes: the instance's names, the return convention of the exit
 * path, and the forward declarations of the objects.
 *
 * Address kinds are kept apart by name: gva (guest virtual), gpa (guest physical), gfn (gpa >> 12),
 * hva (address in the VMM's process), pfn and hpa (host physical). Units stand in names.
 */
#ifndef OST_OST_H
#define OST_OST_H

#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/stringify.h>

/*
 * Two builds of Ostler live in one kernel side by side when their instance names differ: module,
 * device node, trace system and CPU hotplug states all take this name (design D9).
 * Kbuild passes OST_INSTANCE as a bare word.
 */
#ifndef OST_INSTANCE
#define OST_INSTANCE ostler
#endif
#define OST_NAME __stringify(OST_INSTANCE)

struct ost_vm;
struct ost_vcpu;
struct ost_lapic;

typedef u64 gpa_t;
typedef unsigned long gva_t; /* 64 bits; spelt as linux/kvm_types.h does */
typedef u64 gfn_t;

/*
 * What a handler on the exit path answers:
 *   OST_RUN   (1) the guest goes on
 *   OST_USER  (0) KVM_RUN returns 0 to the VMM; vcpu->run->exit_reason and its union are filled
 *   negative      KVM_RUN fails with this errno
 */
#define OST_RUN 1
#define OST_USER 0

#endif
