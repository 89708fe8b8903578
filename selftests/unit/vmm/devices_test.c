// SPDX-License-Identifier: GPL-2.0-only
/* vmm's board: ACPI tables, PCI, serial port, clock, power management, as a guest sees them. */
#include <linux/pci_regs.h>
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "acpi.h"
#include "acpi_tables.h"
#include "layout.h"
#include "machine.h"
#include "tap.h"

#define COM1	LAYOUT_PORT_SERIAL

static struct config config;
static struct vm *vm;

static uint8_t sum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t total = 0;

	while (len--)
		total += *bytes++;
	return total;
}

static const struct acpi_header *table_at(uint64_t gpa)
{
	const struct acpi_header *header = guest_mem_ptr(&vm->mem, gpa, sizeof(*header));

	if (!header || !guest_mem_ptr(&vm->mem, gpa, header->length) || sum(header, header->length))
		return NULL;
	return header;
}

static const struct acpi_header *find_table(const char *signature)
{
	const struct acpi_rsdp *rsdp = guest_mem_ptr(&vm->mem, LAYOUT_ACPI, sizeof(*rsdp));
	const struct acpi_header *xsdt = table_at(rsdp->xsdt), *table;

	if (!xsdt)
		return NULL;
	for (size_t at = sizeof(*xsdt); at < xsdt->length; at += 8) {
		uint64_t gpa;

		memcpy(&gpa, (const char *)xsdt + at, sizeof(gpa));
		table = table_at(gpa);
		if (table && !memcmp(table->signature, signature, 4))
			return table;
	}
	return NULL;
}

static void acpi_tables(void)
{
	const struct acpi_rsdp *rsdp = guest_mem_ptr(&vm->mem, LAYOUT_ACPI, sizeof(*rsdp));
	const struct acpi_header *madt;
	const struct acpi_fadt *fadt;
	const struct acpi_mcfg *mcfg;
	unsigned int nr_lapics = 0;

	CHECK_EQ(acpi_load(vm), 0);
	CHECK(!memcmp(rsdp->signature, "RSD PTR ", 8));
	CHECK_EQ(sum(rsdp, 20), 0);
	CHECK_EQ(sum(rsdp, sizeof(*rsdp)), 0);
	fadt = (const void *)find_table("FACP");
	CHECK(fadt);
	CHECK_EQ(fadt->header.length, 276);	/* ACPI 6.4, table 5.9 */
	CHECK(table_at(fadt->x_dsdt));
	CHECK_EQ(fadt->reset_reg.address, LAYOUT_PORT_RESET);
	CHECK(!memcmp(guest_mem_ptr(&vm->mem, fadt->firmware_ctrl, 64), "FACS", 4));
	CHECK_EQ(fadt->firmware_ctrl % 64, 0);
	mcfg = (const void *)find_table("MCFG");
	CHECK(mcfg);
	CHECK_EQ(mcfg->base, LAYOUT_ECAM);
	madt = find_table("APIC");
	CHECK(madt);
	for (size_t at = sizeof(struct acpi_madt); at < madt->length;) {
		const uint8_t *entry = (const uint8_t *)madt + at;

		CHECK(entry[1]);
		nr_lapics += entry[0] == ACPI_MADT_LAPIC;
		at += entry[1];
	}
	CHECK_EQ(nr_lapics, config.nr_vcpus);
}

/* ACPICA's compiler reads the DSDT back and finds nothing to say about it. */
static void dsdt_compiles(void)
{
	const struct acpi_fadt *fadt;
	const struct acpi_header *dsdt;
	char folder[64], command[512];
	FILE *file;
	int status;

	if (system("command -v iasl >/dev/null 2>&1")) {
		tap_skip("iasl (acpica-tools) is not installed");
		return;
	}
	CHECK_EQ(acpi_load(vm), 0);
	fadt = (const void *)find_table("FACP");
	CHECK(fadt);
	dsdt = table_at(fadt->x_dsdt);
	CHECK(dsdt);
	snprintf(folder, sizeof(folder), "/tmp/vmm-dsdt-%d", getpid());
	CHECK_EQ(mkdir(folder, 0700), 0);
	snprintf(command, sizeof(command), "%s/dsdt.aml", folder);
	file = fopen(command, "w");
	CHECK(file);
	fwrite(dsdt, dsdt->length, 1, file);
	fclose(file);
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d dsdt.aml >log 2>&1 && iasl dsdt.dsl >log 2>&1 && "
		 "grep -q ' 0 Errors, 0 Warnings, 0 Remarks' log", folder);
	status = system(command);
	if (status) {
		snprintf(command, sizeof(command), "sed 's/^/# /' %s/log", folder);
		status |= system(command);
	}
	snprintf(command, sizeof(command), "rm -r %s", folder);
	CHECK_EQ(system(command), 0);
	CHECK_EQ(status, 0);
}

static void pci_without_device(void)
{
	CHECK_EQ(config_in(vm, 31, PCI_VENDOR_ID, 4), 0xffffffff);
	CHECK_EQ(config_in(vm, 31, PCI_VENDOR_ID, 2), 0xffff);
	config_out(vm, 31, PCI_COMMAND, 2, 0xffff);
	/* Other functions of a slot, and the type bit 0xcf8 does not have. */
	out(vm, 0xcf8, 4, 1u << 31 | 1 << 8);
	CHECK_EQ(in(vm, 0xcfc, 4), 0xffffffff);
	out(vm, 0xcf8, 4, 1u << 31 | 1 << 16);
	CHECK_EQ(in(vm, 0xcfc, 4), 0xffffffff);
	out(vm, 0xcf8, 4, 0);
	CHECK_EQ(in(vm, 0xcfc, 4), 0xffffffff);
}

static void pci_ways_agree(void)
{
	for (unsigned int offset = 0; offset < 256; offset += 4) {
		uint32_t ports = config_in(vm, 0, offset, 4);

		CHECK_EQ(bus_read(&vm->mmio, LAYOUT_ECAM + offset, 4), ports);
		for (unsigned int i = 0; i < 4; i++)
			CHECK_EQ(bus_read(&vm->mmio, LAYOUT_ECAM + offset + i, 1),
				 ports >> (8 * i) & 0xff);
	}
	/* The extended space is there and empty, by AMD's bits of 0xcf8 too. */
	out(vm, 0xcf8, 4, 1u << 31 | 1 << 24);
	CHECK_EQ(in(vm, 0xcfc, 4), 0);
	CHECK_EQ(bus_read(&vm->mmio, LAYOUT_ECAM + 256, 4), 0);
	CHECK_EQ(bus_read(&vm->mmio, LAYOUT_ECAM + 4092, 4), 0);
	/* What PCI Express does not allow harms nobody. */
	bus_read(&vm->mmio, LAYOUT_ECAM + 4095, 4);
	bus_write(&vm->mmio, LAYOUT_ECAM + 255, 8, ~0ULL);
	bus_read(&vm->mmio, LAYOUT_ECAM + LAYOUT_ECAM_SIZE - 4, 8);
}

static void reset_register_within_pci_address(void)
{
	out(vm, 0xcf8, 4, 0x80000000);
	CHECK_EQ(in(vm, 0xcf8, 4), 0x80000000);
	out(vm, 0xcf9, 1, 0x02);
	CHECK_EQ(vm->end.kind, VM_RUNNING);
	CHECK_EQ(in(vm, 0xcf8, 4), 0x80000000);
	out(vm, 0xcf9, 1, 0x06);
	CHECK_EQ(vm->end.kind, VM_RESET);
}

static void keyboard_controller_resets(void)
{
	out(vm, 0x64, 1, 0xd1);
	CHECK_EQ(vm->end.kind, VM_RUNNING);
	CHECK_EQ(in(vm, 0x64, 1) & 2, 0);
	out(vm, 0x64, 1, 0xfe);
	CHECK_EQ(vm->end.kind, VM_RESET);
}

static void powers_off(void)
{
	CHECK_EQ(in(vm, LAYOUT_PORT_PM1_CNT, 2), 1);
	out(vm, LAYOUT_PORT_PM1_CNT, 2, 5 << 10);
	CHECK_EQ(vm->end.kind, VM_RUNNING);
	out(vm, LAYOUT_PORT_PM1_CNT, 2, 5 << 10 | 1 << 13);
	CHECK_EQ(vm->end.kind, VM_POWER_OFF);
}

static void pm_timer_runs(void)
{
	uint32_t first = in(vm, LAYOUT_PORT_PM_TMR, 4), second;

	usleep(20000);
	second = in(vm, LAYOUT_PORT_PM_TMR, 4);
	/* 3.58 MHz: 20 ms are 71590 ticks, and a busy machine may take longer. */
	CHECK(second - first >= 71590);
	CHECK(second - first < 71590 * 100);
}

static void debug_exit_only_when_asked(void)
{
	out(vm, LAYOUT_PORT_DEBUG_EXIT, 1, 7);
	CHECK_EQ(vm->end.kind, VM_RUNNING);
}

static void serial_receives(void)
{
	bool *line = &machine_irqs.line[LAYOUT_GSI_SERIAL];

	out(vm, COM1 + UART_MCR, 1, UART_MCR_OUT2);
	out(vm, COM1 + UART_IER, 1, UART_IER_RDI);
	CHECK(!*line);
	vm->console.input(vm->console.dev, "ab", 2);
	CHECK(*line);
	CHECK_EQ(in(vm, COM1 + UART_IIR, 1) & 0xf, UART_IIR_RDI);
	CHECK_EQ(in(vm, COM1 + UART_RX, 1), 'a');
	CHECK(*line);
	CHECK_EQ(in(vm, COM1 + UART_RX, 1), 'b');
	CHECK(!*line);
	CHECK(!(in(vm, COM1 + UART_LSR, 1) & UART_LSR_DR));
}

static void serial_is_bounded(void)
{
	char text[1000];
	size_t room = vm->console.room(vm->console.dev);
	unsigned int n = 0;

	memset(text, 'x', sizeof(text));
	vm->console.input(vm->console.dev, text, sizeof(text));
	CHECK_EQ(vm->console.room(vm->console.dev), 0);
	CHECK(in(vm, COM1 + UART_LSR, 1) & UART_LSR_OE);
	while (in(vm, COM1 + UART_LSR, 1) & UART_LSR_DR) {
		in(vm, COM1 + UART_RX, 1);
		n++;
	}
	CHECK_EQ(n, room);
}

static void serial_transmit_interrupt(void)
{
	bool *line = &machine_irqs.line[LAYOUT_GSI_SERIAL];

	out(vm, COM1 + UART_IER, 1, UART_IER_THRI);
	CHECK(!*line);				/* OUT2 is off */
	out(vm, COM1 + UART_MCR, 1, UART_MCR_OUT2);
	CHECK(*line);
	CHECK_EQ(in(vm, COM1 + UART_IIR, 1) & 0xf, UART_IIR_THRI);
	CHECK(!*line);
	CHECK_EQ(in(vm, COM1 + UART_IIR, 1) & 0xf, UART_IIR_NO_INT);
}

static void serial_loops_back(void)
{
	out(vm, COM1 + UART_MCR, 1, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	CHECK_EQ(in(vm, COM1 + UART_MSR, 1), UART_MSR_CTS | UART_MSR_DCD);
	out(vm, COM1 + UART_TX, 1, 'z');
	CHECK_EQ(in(vm, COM1 + UART_RX, 1), 'z');
}

static void serial_divisor(void)
{
	out(vm, COM1 + UART_LCR, 1, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(vm, COM1 + UART_DLL, 1, 0x34);
	out(vm, COM1 + UART_DLM, 1, 0x12);
	CHECK_EQ(in(vm, COM1 + UART_DLL, 1), 0x34);
	CHECK_EQ(in(vm, COM1 + UART_DLM, 1), 0x12);
	out(vm, COM1 + UART_LCR, 1, UART_LCR_WLEN8);
	CHECK_EQ(in(vm, COM1 + UART_IER, 1), 0);
}

static uint8_t cmos(uint8_t index)
{
	out(vm, 0x70, 1, index);
	return in(vm, 0x71, 1);
}

static void set_cmos(uint8_t index, uint8_t value)
{
	out(vm, 0x70, 1, index);
	out(vm, 0x71, 1, value);
}

static unsigned int bcd(uint8_t value)
{
	return (value >> 4) * 10 + (value & 0xf);
}

static void clock_shows_utc(void)
{
	struct tm tm = { 0 };
	time_t now = time(NULL), shown;

	tm.tm_sec = bcd(cmos(0));
	tm.tm_min = bcd(cmos(2));
	tm.tm_hour = bcd(cmos(4));
	tm.tm_mday = bcd(cmos(7));
	tm.tm_mon = bcd(cmos(8)) - 1;
	tm.tm_year = bcd(cmos(9)) + 100 * bcd(cmos(0x32)) - 1900;
	shown = timegm(&tm);
	CHECK(cmos(0x0d) & 0x80);
	CHECK_MSG(shown >= now && shown <= now + 2, "it is off by %lld s", (long long)(shown - now));
}

/* Binary, twelve hours, the last second before a leap day in the next century's first years. */
static void clock_is_set(void)
{
	set_cmos(0x0b, 0x84);
	set_cmos(0, 58);
	set_cmos(2, 59);
	set_cmos(4, 11 | 0x80);
	set_cmos(7, 28);
	set_cmos(8, 2);
	set_cmos(9, 4);
	set_cmos(0x32, 21);
	set_cmos(0x0b, 0x04);
	CHECK_EQ(cmos(8), 2);
	CHECK_EQ(cmos(7), 28);
	CHECK_EQ(cmos(2), 59);
	CHECK_EQ(cmos(4), 11 | 0x80);
	CHECK_EQ(cmos(9), 4);
	CHECK_EQ(cmos(0x32), 21);
	sleep(2);
	CHECK_EQ(cmos(7), 29);
	CHECK_EQ(cmos(4), 12);
	set_cmos(0x0b, 0x02);
	CHECK_EQ(cmos(7), 0x29);
	CHECK_EQ(cmos(4), 0x00);
}

static void watch_for(unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i++, usleep(1000))
		for (struct vm_watch *watch = vm->watches; watch; watch = watch->next)
			watch->readable(watch->dev);
}

static void clock_interrupts(void)
{
	bool *line = &machine_irqs.line[LAYOUT_GSI_RTC];

	set_cmos(0x0b, 0x02);
	watch_for(5);
	CHECK(!*line);
	set_cmos(0x0b, 0x12);			/* update-ended */
	watch_for(1200);
	CHECK(*line);
	CHECK_EQ(cmos(0x0c) & 0x90, 0x90);
	CHECK(!*line);
	CHECK_EQ(cmos(0x0c) & 0x80, 0);
	set_cmos(0x0b, 0x42);			/* periodic, 1024 Hz */
	watch_for(20);
	CHECK(*line);
	CHECK_EQ(cmos(0x0c) & 0xc0, 0xc0);
	set_cmos(1, 0xff);			/* alarm at any time */
	set_cmos(3, 0xff);
	set_cmos(5, 0xff);
	set_cmos(0x0b, 0x22);
	watch_for(1200);
	CHECK_EQ(cmos(0x0c) & 0xa0, 0xa0);
	CHECK(!*line);
}

static void cmos_memory_size(void)
{
	CHECK_EQ(cmos(0x34) | cmos(0x35) << 8, (MACHINE_MEMORY - 16 * MIB) / (64 * KIB));
	CHECK_EQ(cmos(0x15) | cmos(0x16) << 8, 640);
}

/* Every port and register, any size, any value: the sanitizer is the judge. */
static void survives_noise(void)
{
	srandom(2);
	for (unsigned int i = 0; i < 100000; i++) {
		static const uint16_t ports[] = { 0x60, 0x70, 0x3f8, 0x501, 0x600, 0xcf8 };
		uint16_t port = ports[random() % 6] + random() % 16;
		unsigned int size = 1u << random() % 3;

		/* Not the transmitter, which would fill this test's output. */
		if (port >= COM1 && port + size > COM1 && port <= COM1 + 1)
			continue;
		if (random() & 1)
			out(vm, port, size, random());
		else
			in(vm, port, size);
	}
}

static void run(const char *name, void (*test)(void))
{
	config = machine_config();
	vm = machine_create(&config);
	if (!vm) {
		fprintf(stderr, "no machine\n");
		exit(1);
	}
	tap_run(name, test);
	machine_destroy(vm);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	run("ACPI tables", acpi_tables);
	run("DSDT compiles", dsdt_compiles);
	run("PCI without device", pci_without_device);
	run("PCI: both ways agree", pci_ways_agree);
	run("reset register", reset_register_within_pci_address);
	run("keyboard controller resets", keyboard_controller_resets);
	run("powers off", powers_off);
	run("PM timer runs", pm_timer_runs);
	run("debug exit only when asked", debug_exit_only_when_asked);
	run("serial receives", serial_receives);
	run("serial is bounded", serial_is_bounded);
	run("serial transmit interrupt", serial_transmit_interrupt);
	run("serial loops back", serial_loops_back);
	run("serial divisor", serial_divisor);
	run("clock shows UTC", clock_shows_utc);
	run("clock is set", clock_is_set);
	run("clock interrupts", clock_interrupts);
	run("CMOS memory size", cmos_memory_size);
	run("survives noise", survives_noise);
	return tap_done();
}
