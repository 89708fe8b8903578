/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMM_RTC_H
#define VMM_RTC_H

/* CMOS address of the century, which the FADT names. */
#define RTC_CENTURY	0x32

#endif
