// SPDX-License-Identifier: GPL-2.0-only
/*
 * One FADT with the classic PM1 registers and no SMI command (the machine is always in ACPI mode),
 * a MADT, an MCFG for the one PCI bus, and a DSDT to which every device adds itself.
 */
#include <string.h>

#include "acpi.h"
#include "acpi_tables.h"
#include "aml.h"
#include "device.h"
#include "layout.h"
#include "pm.h"
#include "rtc.h"
#include "status.h"
#include "vm.h"

#define FACS_ALIGN	64
#define TABLE_ALIGN	16

/* The area being filled. Tables point to each other by guest address. */
struct area {
	uint8_t *base;
	size_t used;
};

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (len--)
		sum += *bytes++;
	return -sum;
}

static void *reserve(struct area *area, size_t len, size_t align)
{
	size_t start = (area->used + align - 1) & ~(align - 1);

	if (start + len > LAYOUT_ACPI_SIZE)
		return NULL;
	area->used = start + len;
	return memset(area->base + start, 0, len);
}

static uint64_t guest_address(const struct area *area, const void *table)
{
	return LAYOUT_ACPI + ((const uint8_t *)table - area->base);
}

static void begin_table(struct acpi_header *header, const char *signature, uint8_t revision)
{
	memcpy(header->signature, signature, 4);
	header->revision = revision;
	memcpy(header->oem_id, "OSTLER", 6);
	memcpy(header->oem_table_id, "OSTLERVM", 8);
	header->oem_revision = 1;
	memcpy(header->creator_id, "OSTL", 4);
	header->creator_revision = 1;
}

static void end_table(struct acpi_header *header, size_t len)
{
	header->length = len;
	header->checksum = checksum(header, len);
}

static struct acpi_facs *write_facs(struct area *area)
{
	struct acpi_facs *facs = reserve(area, sizeof(*facs), FACS_ALIGN);

	if (!facs)
		return NULL;
	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
	return facs;
}

/* The DSDT takes what it needs of the space that is left. */
static struct acpi_header *write_dsdt(struct area *area, const struct vm *vm)
{
	struct acpi_header *header = reserve(area, sizeof(*header), TABLE_ALIGN);
	struct aml aml;
	size_t scope;

	if (!header)
		return NULL;
	begin_table(header, "DSDT", 2);
	aml_init(&aml, header + 1, LAYOUT_ACPI_SIZE - area->used);
	scope = aml_scope(&aml, "\\_SB");
	devices_describe(vm, &aml);
	aml_close(&aml, scope);
	pm_describe_power_off(&aml);
	if (aml_overflowed(&aml))
		return NULL;
	area->used += aml.len;
	end_table(header, sizeof(*header) + aml.len);
	return header;
}

static struct acpi_gas io_register(uint16_t port, unsigned int bytes, uint8_t access)
{
	return (struct acpi_gas){
		.space = ACPI_GAS_IO,
		.bit_width = bytes * 8,
		.access_size = access,
		.address = port,
	};
}

static struct acpi_fadt *write_fadt(struct area *area, uint64_t facs, uint64_t dsdt)
{
	struct acpi_fadt *fadt = reserve(area, sizeof(*fadt), TABLE_ALIGN);

	if (!fadt)
		return NULL;
	begin_table(&fadt->header, "FACP", 6);
	fadt->minor_version = 4;
	fadt->firmware_ctrl = facs;
	fadt->dsdt = dsdt;
	fadt->x_dsdt = dsdt;
	fadt->sci_int = LAYOUT_GSI_SCI;
	fadt->pm1a_evt_blk = LAYOUT_PORT_PM1_EVT;
	fadt->pm1a_cnt_blk = LAYOUT_PORT_PM1_CNT;
	fadt->pm_tmr_blk = LAYOUT_PORT_PM_TMR;
	fadt->pm1_evt_len = PM1_EVT_LEN;
	fadt->pm1_cnt_len = PM1_CNT_LEN;
	fadt->pm_tmr_len = PM_TMR_LEN;
	fadt->x_pm1a_evt_blk = io_register(LAYOUT_PORT_PM1_EVT, PM1_EVT_LEN, ACPI_ACCESS_WORD);
	fadt->x_pm1a_cnt_blk = io_register(LAYOUT_PORT_PM1_CNT, PM1_CNT_LEN, ACPI_ACCESS_WORD);
	fadt->x_pm_tmr_blk = io_register(LAYOUT_PORT_PM_TMR, PM_TMR_LEN, ACPI_ACCESS_DWORD);
	/* Latencies beyond these say that there is no C2 and no C3. */
	fadt->p_lvl2_lat = 101;
	fadt->p_lvl3_lat = 1001;
	fadt->century = RTC_CENTURY;
	fadt->iapc_boot_arch = ACPI_BOOT_LEGACY_DEVICES | ACPI_BOOT_NO_VGA;
	fadt->flags = ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 | ACPI_FADT_PWR_BUTTON_NONE |
		      ACPI_FADT_SLP_BUTTON_NONE | ACPI_FADT_TMR_VAL_EXT | ACPI_FADT_RESET_REG_SUP;
	fadt->reset_reg = io_register(LAYOUT_PORT_RESET, 1, ACPI_ACCESS_BYTE);
	fadt->reset_value = RESET_VALUE;
	end_table(&fadt->header, sizeof(*fadt));
	return fadt;
}

/* Lines that differ from "ISA IRQ n is GSI n, edge, active high". */
static const struct acpi_madt_override overrides[] = {
	{ .source = 0, .gsi = LAYOUT_TIMER_PIN },
	{ .source = LAYOUT_GSI_SCI, .gsi = LAYOUT_GSI_SCI,
	  .flags = ACPI_MPS_ACTIVE_HIGH | ACPI_MPS_LEVEL },
};

#define NR_OVERRIDES	(sizeof(overrides) / sizeof(overrides[0]))

static void fill_madt(struct acpi_madt *madt, unsigned int nr_vcpus)
{
	struct acpi_madt_lapic *lapic = (void *)(madt + 1);
	struct acpi_madt_ioapic *ioapic = (void *)(lapic + nr_vcpus);
	struct acpi_madt_override *override = (void *)(ioapic + 1);
	struct acpi_madt_lapic_nmi *nmi = (void *)(override + NR_OVERRIDES);

	for (unsigned int i = 0; i < nr_vcpus; i++)
		lapic[i] = (struct acpi_madt_lapic){
			.type = ACPI_MADT_LAPIC, .length = sizeof(*lapic),
			.processor_uid = i, .apic_id = i, .flags = ACPI_MADT_ENABLED,
		};
	*ioapic = (struct acpi_madt_ioapic){
		.type = ACPI_MADT_IOAPIC, .length = sizeof(*ioapic), .address = LAYOUT_IOAPIC,
	};
	for (unsigned int i = 0; i < NR_OVERRIDES; i++) {
		override[i] = overrides[i];
		override[i].type = ACPI_MADT_OVERRIDE;
		override[i].length = sizeof(*override);
	}
	*nmi = (struct acpi_madt_lapic_nmi){
		.type = ACPI_MADT_LAPIC_NMI,
		.length = sizeof(*nmi),
		.processor_uid = 0xff,
		.lint = 1,
	};
}

static struct acpi_madt *write_madt(struct area *area, unsigned int nr_vcpus)
{
	size_t len = sizeof(struct acpi_madt) + nr_vcpus * sizeof(struct acpi_madt_lapic) +
		     sizeof(struct acpi_madt_ioapic) +
		     NR_OVERRIDES * sizeof(struct acpi_madt_override) +
		     sizeof(struct acpi_madt_lapic_nmi);
	struct acpi_madt *madt = reserve(area, len, TABLE_ALIGN);

	if (!madt)
		return NULL;
	begin_table(&madt->header, "APIC", 5);
	madt->lapic_address = LAYOUT_LAPIC;
	madt->flags = ACPI_MADT_PCAT_COMPAT;
	fill_madt(madt, nr_vcpus);
	end_table(&madt->header, len);
	return madt;
}

static struct acpi_mcfg *write_mcfg(struct area *area)
{
	struct acpi_mcfg *mcfg = reserve(area, sizeof(*mcfg), TABLE_ALIGN);

	if (!mcfg)
		return NULL;
	begin_table(&mcfg->header, "MCFG", 1);
	mcfg->base = LAYOUT_ECAM;
	end_table(&mcfg->header, sizeof(*mcfg));
	return mcfg;
}

static struct acpi_header *write_xsdt(struct area *area, const uint64_t *tables, unsigned int nr)
{
	struct acpi_header *xsdt = reserve(area, sizeof(*xsdt) + nr * sizeof(*tables), TABLE_ALIGN);

	if (!xsdt)
		return NULL;
	begin_table(xsdt, "XSDT", 1);
	memcpy(xsdt + 1, tables, nr * sizeof(*tables));
	end_table(xsdt, sizeof(*xsdt) + nr * sizeof(*tables));
	return xsdt;
}

static void fill_rsdp(struct acpi_rsdp *rsdp, uint64_t xsdt)
{
	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, "OSTLER", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = xsdt;
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

int acpi_load(struct vm *vm)
{
	struct area area = { .base = guest_mem_ptr(&vm->mem, LAYOUT_ACPI, LAYOUT_ACPI_SIZE) };
	struct acpi_rsdp *rsdp = reserve(&area, sizeof(*rsdp), TABLE_ALIGN);
	struct acpi_facs *facs = write_facs(&area);
	struct acpi_madt *madt = write_madt(&area, vm->config->nr_vcpus);
	struct acpi_mcfg *mcfg = write_mcfg(&area);
	struct acpi_header *dsdt = write_dsdt(&area, vm);
	struct acpi_header *xsdt = NULL;
	struct acpi_fadt *fadt = NULL;

	if (facs && dsdt)
		fadt = write_fadt(&area, guest_address(&area, facs), guest_address(&area, dsdt));
	if (fadt && madt && mcfg) {
		uint64_t tables[] = { guest_address(&area, fadt), guest_address(&area, madt),
				      guest_address(&area, mcfg) };

		xsdt = write_xsdt(&area, tables, sizeof(tables) / sizeof(tables[0]));
	}
	if (!xsdt)
		return vmm_fail(VMM_FAILED, "the ACPI tables do not fit into their %llu KiB",
				LAYOUT_ACPI_SIZE / KIB);
	fill_rsdp(rsdp, guest_address(&area, xsdt));
	return VMM_OK;
}
