/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest that writes to the pages it is told, and the log of that. */
#ifndef OST_ABI_DIRTIER_H
#define OST_ABI_DIRTIER_H

#include "vm.h"

/* The page that it counts from. */
#define DIRTIER_GPA	0x40000000UL

/* 64-bit code for vm_load(): writes a byte to each page whose number comes in by a port. */
extern const uint8_t dirtier_start[], dirtier_end[];

/*
 * dirty() - Has the guest write to the pages of @list, which ends with 0xffff. 0, or -1 for another exit.
 */
int dirty(struct vcpu *vcpu, const uint16_t *list);

/*
 * get_log() - KVM_GET_DIRTY_LOG. Returns what ioctl() returns.
 */
int get_log(struct vm *vm, uint32_t slot, uint64_t *bitmap);

#endif
