/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Power management: ACPI's PM1 registers and timer, power-off, and the ways to reset the machine.
 */
#ifndef VMM_PM_H
#define VMM_PM_H

struct aml;

#define PM1_EVT_LEN	4
#define PM1_CNT_LEN	2
#define PM_TMR_LEN	4
#define RESET_VALUE	0x06	/* to LAYOUT_PORT_RESET: hard reset */

/* Add the sleep state S5, whose value is this machine's power-off, to the DSDT's root. */
void pm_describe_power_off(struct aml *aml);

#endif
