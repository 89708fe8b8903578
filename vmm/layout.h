/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where things are in the guest's physical address space, I/O space and interrupt lines.
 *
 * Boot structures lie in the first 640 KiB, which the guest may reuse once it has read them. ACPI
 * tables lie in the BIOS area, reserved in the memory map. RAM goes up to the hole below 4 GiB and
 * continues at 4 GiB.
 */
#ifndef VMM_LAYOUT_H
#define VMM_LAYOUT_H

#define KIB			(1ULL << 10)
#define MIB			(1ULL << 20)
#define GIB			(1ULL << 30)

/* Boot structures. */
#define LAYOUT_GDT		0x00000500ULL
#define LAYOUT_PVH_INFO		0x00006000ULL
#define LAYOUT_BOOT_PARAMS	0x00007000ULL
#define LAYOUT_STACK_TOP	0x00009000ULL
#define LAYOUT_PAGE_TABLES	0x00009000ULL	/* PML4, PDPT, four page directories */
#define LAYOUT_CMDLINE		0x00020000ULL
#define LAYOUT_CMDLINE_SIZE	0x00010000ULL
#define LAYOUT_EBDA		0x0009fc00ULL	/* end of conventional memory */

/* ACPI tables: found by pointer, and by guests that search the BIOS area for the RSDP. */
#define LAYOUT_ACPI		0x000e0000ULL
#define LAYOUT_ACPI_SIZE	0x00020000ULL

#define LAYOUT_HIGH_MEMORY	0x00100000ULL

/* The hole: RAM ends here at the latest, and what does not fit continues at 4 GiB. */
#define LAYOUT_HOLE		0xc0000000ULL
#define LAYOUT_PCI_WINDOW	0xc0000000ULL
#define LAYOUT_PCI_WINDOW_SIZE	0x20000000ULL
#define LAYOUT_ECAM		0xe0000000ULL
#define LAYOUT_ECAM_SIZE	0x00100000ULL	/* one bus */
#define LAYOUT_IOAPIC		0xfec00000ULL
#define LAYOUT_LAPIC		0xfee00000ULL
/* Pages that the hypervisor uses on CPUs without unrestricted guest (KVM ABI, SET_TSS_ADDR). */
#define LAYOUT_IDENTITY_MAP	0xfeffc000ULL
#define LAYOUT_TSS		0xfeffd000ULL
#define LAYOUT_TSS_SIZE		0x00003000ULL
#define LAYOUT_RAM_ABOVE_4G	0x100000000ULL

/* I/O ports. */
#define LAYOUT_PORT_RTC		0x0070
#define LAYOUT_PORT_I8042	0x0064
#define LAYOUT_PORT_SERIAL	0x03f8
#define LAYOUT_PORT_DEBUG_EXIT	0x0501
#define LAYOUT_PORT_PM1_EVT	0x0600
#define LAYOUT_PORT_PM1_CNT	0x0604
#define LAYOUT_PORT_PM_TMR	0x0608
#define LAYOUT_PORT_PM_END	0x060c
#define LAYOUT_PORT_PCI_ADDR	0x0cf8
#define LAYOUT_PORT_RESET	0x0cf9
#define LAYOUT_PORT_PCI_DATA	0x0cfc

/* Interrupt lines: ACPI global system interrupts, which are IOAPIC pins. */
#define LAYOUT_GSI_SERIAL	4
#define LAYOUT_GSI_RTC		8
#define LAYOUT_GSI_SCI		9
#define LAYOUT_GSI_PCI		16	/* INTA#..INTD# of the PCI bus: 16..19 */
#define LAYOUT_GSI_COUNT	24
#define LAYOUT_TIMER_PIN	2	/* ISA IRQ 0 is wired to this IOAPIC pin */

#endif
