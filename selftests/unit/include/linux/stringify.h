/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OST_UNIT_LINUX_STRINGIFY_H
#define OST_UNIT_LINUX_STRINGIFY_H

#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)

#endif
