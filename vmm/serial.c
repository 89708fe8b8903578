// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's console: a 16550A serial port whose line is this process's standard input and output.
 * The transmitter is always empty, because a character is on its way before the guest runs on.
 */
#include <errno.h>
#include <linux/serial_reg.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "aml.h"
#include "device.h"
#include "layout.h"
#include "status.h"
#include "vm.h"

#define NR_REGISTERS	8
/*
 * The line is faster than the guest, so what was typed waits here. The guest sees a 16-byte FIFO
 * only in that it may clear it.
 */
#define RX_SIZE		256

struct serial {
	struct device device;
	struct io_region region;
	pthread_mutex_t lock;		/* guards all below */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool overrun;			/* LSR's OE, until read */
	bool thr_empty_pending;		/* the THRE interrupt, until read or written */
	bool line;			/* level of the interrupt line */
	uint8_t rx[RX_SIZE];
	unsigned int rx_head, rx_count;
};

/* Highest priority first (the order of the data sheet's interrupt table). */
static uint8_t interrupt_id(const struct serial *serial)
{
	if (serial->ier & UART_IER_RLSI && serial->overrun)
		return UART_IIR_RLSI;
	if (serial->ier & UART_IER_RDI && serial->rx_count)
		return UART_IIR_RDI;
	if (serial->ier & UART_IER_THRI && serial->thr_empty_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* On a PC, OUT2 connects the chip's interrupt output to the line. */
static void update_line(struct serial *serial)
{
	bool level = interrupt_id(serial) != UART_IIR_NO_INT && serial->mcr & UART_MCR_OUT2;

	if (level == serial->line)
		return;
	serial->line = level;
	irq_set_line(&serial->device.vm->irq, LAYOUT_GSI_SERIAL, level);
}

static void receive(struct serial *serial, uint8_t byte)
{
	if (serial->rx_count == RX_SIZE) {
		serial->overrun = true;
		return;
	}
	serial->rx[(serial->rx_head + serial->rx_count++) % RX_SIZE] = byte;
}

static uint8_t take_received(struct serial *serial)
{
	uint8_t byte = 0;

	if (serial->rx_count) {
		byte = serial->rx[serial->rx_head];
		serial->rx_head = (serial->rx_head + 1) % RX_SIZE;
		/* More may wait in the main loop, which fills all the room there is. */
		if (serial->rx_count-- == RX_SIZE / 2)
			vm_wake(serial->device.vm);
	}
	return byte;
}

static uint8_t modem_status(const struct serial *serial)
{
	uint8_t status = 0;

	if (!(serial->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	/* Loopback: the outputs are the inputs. */
	if (serial->mcr & UART_MCR_DTR)
		status |= UART_MSR_DSR;
	if (serial->mcr & UART_MCR_RTS)
		status |= UART_MSR_CTS;
	if (serial->mcr & UART_MCR_OUT1)
		status |= UART_MSR_RI;
	if (serial->mcr & UART_MCR_OUT2)
		status |= UART_MSR_DCD;
	return status;
}

static uint8_t read_iir(struct serial *serial)
{
	uint8_t id = interrupt_id(serial);

	if (id == UART_IIR_THRI)
		serial->thr_empty_pending = false;
	return id | (serial->fcr & UART_FCR_ENABLE_FIFO ? 0xc0 : 0);
}

static uint8_t read_lsr(struct serial *serial)
{
	uint8_t lsr = UART_LSR_TEMT | UART_LSR_THRE;

	if (serial->rx_count)
		lsr |= UART_LSR_DR;
	if (serial->overrun)
		lsr |= UART_LSR_OE;
	serial->overrun = false;
	return lsr;
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	switch (offset) {
	case UART_RX:
		return dlab ? serial->dll : take_received(serial);
	case UART_IER:
		return dlab ? serial->dlm : serial->ier;
	case UART_IIR:
		return read_iir(serial);
	case UART_LCR:
		return serial->lcr;
	case UART_MCR:
		return serial->mcr;
	case UART_LSR:
		return read_lsr(serial);
	case UART_MSR:
		return modem_status(serial);
	default:
		return serial->scr;
	}
}

static uint64_t serial_read(void *dev, uint64_t offset, unsigned int size)
{
	struct serial *serial = dev;
	uint8_t value;

	/* Byte registers; of a wider access only the first byte reaches the chip. */
	(void)size;
	pthread_mutex_lock(&serial->lock);
	value = read_register(serial, offset);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	/* Turning the FIFO on or off empties it, too. */
	if (value & UART_FCR_CLEAR_RCVR || (value ^ serial->fcr) & UART_FCR_ENABLE_FIFO)
		serial->rx_count = 0;
	serial->fcr = value & UART_FCR_ENABLE_FIFO ? value : 0;
}

static void write_ier(struct serial *serial, uint8_t value)
{
	/* Enabling the interrupt of an empty transmitter raises it. */
	if (value & ~serial->ier & UART_IER_THRI)
		serial->thr_empty_pending = true;
	serial->ier = value & 0xf;
}

/* Returns true when @value is to be sent. */
static bool write_thr(struct serial *serial, uint8_t value)
{
	serial->thr_empty_pending = true;
	if (!(serial->mcr & UART_MCR_LOOP))
		return true;
	receive(serial, value);
	return false;
}

/* Returns true when @value is to be sent. */
static bool write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	switch (offset) {
	case UART_TX:
		if (!dlab)
			return write_thr(serial, value);
		serial->dll = value;
		break;
	case UART_IER:
		if (dlab)
			serial->dlm = value;
		else
			write_ier(serial, value);
		break;
	case UART_FCR:
		write_fcr(serial, value);
		break;
	case UART_LCR:
		serial->lcr = value;
		break;
	case UART_MCR:
		serial->mcr = value & 0x1f;
		break;
	case UART_SCR:
		serial->scr = value;
		break;
	}
	return false;
}

/*
 * Out to the terminal, waiting while it takes nothing, unless the machine is to stop: the kick of
 * vcpu_kick() then interrupts the wait. Output that nobody can take any more is dropped.
 */
static void send(struct vm *vm, uint8_t byte)
{
	struct pollfd wait = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (!atomic_load(&vm->stopping)) {
		if (write(STDOUT_FILENO, &byte, 1) == 1)
			return;
		if (errno == EAGAIN)
			poll(&wait, 1, 100);
		else if (errno != EINTR)
			return;
	}
}

static void serial_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct serial *serial = dev;
	bool to_send;

	(void)size;
	pthread_mutex_lock(&serial->lock);
	to_send = write_register(serial, offset, value);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	/* Without the lock, so that a stuck terminal holds up this vCPU only. */
	if (to_send)
		send(serial->device.vm, value);
}

static size_t serial_room(void *dev)
{
	struct serial *serial = dev;
	size_t room;

	pthread_mutex_lock(&serial->lock);
	room = RX_SIZE - serial->rx_count;
	pthread_mutex_unlock(&serial->lock);
	return room;
}

static void serial_input(void *dev, const char *buf, size_t len)
{
	struct serial *serial = dev;

	pthread_mutex_lock(&serial->lock);
	for (size_t i = 0; i < len; i++)
		receive(serial, buf[i]);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

static void serial_describe(const struct device *dev, struct aml *aml)
{
	size_t device = aml_device(aml, "COM1"), resources;

	(void)dev;
	aml_name_eisa_id(aml, "_HID", "PNP0501");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_resources(aml, "_CRS");
	aml_resource_io(aml, LAYOUT_PORT_SERIAL, NR_REGISTERS);
	aml_resource_isa_irq(aml, LAYOUT_GSI_SERIAL);
	aml_resources_end(aml, resources);
	aml_close(aml, device);
}

static void serial_destroy(struct device *dev)
{
	struct serial *serial = (struct serial *)dev;

	dev->vm->console.dev = NULL;
	bus_remove(&dev->vm->pio, &serial->region);
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}

static const struct device_ops serial_ops = {
	.destroy = serial_destroy,
	.describe = serial_describe,
};

static int serial_create(struct vm *vm)
{
	struct serial *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return vmm_fail(VMM_MEMORY, "not enough memory for the serial port");
	pthread_mutex_init(&serial->lock, NULL);
	serial->dll = 1;	/* 115200 baud */
	serial->region = (struct io_region){
		.base = LAYOUT_PORT_SERIAL, .len = NR_REGISTERS,
		.dev = serial, .read = serial_read, .write = serial_write,
	};
	device_add(vm, &serial->device, &serial_ops);
	bus_add(&vm->pio, &serial->region);
	vm->console.dev = serial;
	vm->console.room = serial_room;
	vm->console.input = serial_input;
	return VMM_OK;
}

static const struct device_type serial_type = {
	.name = "serial port",
	.stage = DEVICE_ON_BOARD,
	.create = serial_create,
};
VMM_DEVICE(serial_type);
