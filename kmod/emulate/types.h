/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that the emulator takes from its surroundings: integer types, register bits, and the ABI's
 * segment and descriptor-table structs. In userspace builds (selftests/unit) small shims stand
 * behind the same header names.
 */
#ifndef OST_EMULATE_TYPES_H
#define OST_EMULATE_TYPES_H

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#endif
