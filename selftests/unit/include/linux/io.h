/* SPDX-License-Identifier: GPL-2.0-only */
/* Physical addresses of a unit test are its own. */
#ifndef OST_UNIT_LINUX_IO_H
#define OST_UNIT_LINUX_IO_H

#include <stdint.h>

#define phys_to_virt(phys) ((void *)(uintptr_t)(phys))
#define virt_to_phys(virt) ((u64)(uintptr_t)(virt))

#endif
