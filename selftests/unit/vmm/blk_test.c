// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio disk with this test as its driver, from configuration space to the file, and with drivers
 * that are wrong on purpose.
 */
#include <errno.h>
#include <liburing.h>
#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout.h"
#include "machine.h"
#include "tap.h"

#define SLOT		1
#define CAPACITY	2048ULL		/* sectors */
#define QUEUE		16
#define DESC		0x100000
#define AVAIL		0x101000
#define USED		0x102000
#define HEADER		0x103000
#define STATUS		0x103800
#define DATA		0x104000
#define SECTOR		512

#define S_DRIVER	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define S_FEATURES	(S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define S_READY		(S_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK)

static struct config config;
static struct vm *vm;
static uint64_t bar0, bar1;
static uint64_t common, isr, notify, device;
static unsigned int msix_cap, cfg_cap;
static unsigned int free_desc;
static uint16_t seen_used;

static uint64_t reg_in(uint64_t addr, unsigned int size)
{
	return bus_read(&vm->mmio, addr, size) & (~0ULL >> (64 - 8 * size));
}

static void reg_out(uint64_t addr, unsigned int size, uint64_t value)
{
	bus_write(&vm->mmio, addr, size, value);
}

static void *guest(uint64_t gpa)
{
	return guest_mem_ptr(&vm->mem, gpa, 1);
}

static void note_capability(unsigned int cap)
{
	uint64_t where = bar0 + config_in(vm, SLOT, cap + 8, 4);

	if (config_in(vm, SLOT, cap, 1) == PCI_CAP_ID_MSIX)
		msix_cap = cap;
	if (config_in(vm, SLOT, cap, 1) != PCI_CAP_ID_VNDR)
		return;
	switch (config_in(vm, SLOT, cap + 3, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		common = where;
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		isr = where;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		notify = where;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		device = where;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		cfg_cap = cap;
		break;
	}
}

static void find_device(void)
{
	bar0 = config_in(vm, SLOT, PCI_BASE_ADDRESS_0, 4) & ~0xf;
	bar1 = config_in(vm, SLOT, PCI_BASE_ADDRESS_1, 4) & ~0xf;
	config_out(vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned int cap = config_in(vm, SLOT, PCI_CAPABILITY_LIST, 1); cap;
	     cap = config_in(vm, SLOT, cap + 1, 1))
		note_capability(cap);
}

static void status_out(uint8_t value)
{
	reg_out(common + VIRTIO_PCI_COMMON_STATUS, 1, value);
}

static uint8_t status_in(void)
{
	return reg_in(common + VIRTIO_PCI_COMMON_STATUS, 1);
}

static void features_out(uint64_t features)
{
	for (unsigned int i = 0; i < 2; i++) {
		reg_out(common + VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		reg_out(common + VIRTIO_PCI_COMMON_GF, 4, features >> 32 * i);
	}
}

static uint64_t features_in(void)
{
	uint64_t features = 0;

	for (unsigned int i = 0; i < 2; i++) {
		reg_out(common + VIRTIO_PCI_COMMON_DFSELECT, 4, i);
		features |= reg_in(common + VIRTIO_PCI_COMMON_DF, 4) << 32 * i;
	}
	return features;
}

static void queue_out(uint64_t desc, uint64_t avail, uint64_t used)
{
	reg_out(common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	reg_out(common + VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE);
	reg_out(common + VIRTIO_PCI_COMMON_Q_DESCLO, 4, desc);
	reg_out(common + VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc >> 32);
	reg_out(common + VIRTIO_PCI_COMMON_Q_AVAILLO, 4, avail);
	reg_out(common + VIRTIO_PCI_COMMON_Q_AVAILHI, 4, avail >> 32);
	reg_out(common + VIRTIO_PCI_COMMON_Q_USEDLO, 4, used);
	reg_out(common + VIRTIO_PCI_COMMON_Q_USEDHI, 4, used >> 32);
	reg_out(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* To DRIVER_OK, with the queue's rings empty. */
static void start_driver(void)
{
	status_out(0);
	memset(guest(DESC), 0, DATA - DESC);
	free_desc = 0;
	seen_used = 0;
	status_out(S_DRIVER);
	features_out(features_in() & ~(1ULL << VIRTIO_RING_F_EVENT_IDX));
	status_out(S_FEATURES);
	queue_out(DESC, AVAIL, USED);
	status_out(S_READY);
}

static void add_desc(uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vring_desc *desc = (struct vring_desc *)guest(DESC) + free_desc;

	*desc = (struct vring_desc){ .addr = addr, .len = len, .flags = flags,
				     .next = ++free_desc };
}

static struct vring_used *used(void)
{
	return guest(USED);
}

/* Up to a second. */
static bool answered(void)
{
	for (unsigned int i = 0; i < 10000; i++, usleep(100)) {
		if (__atomic_load_n(&used()->idx, __ATOMIC_ACQUIRE) != seen_used) {
			seen_used++;
			return true;
		}
		if (status_in() & VIRTIO_CONFIG_S_NEEDS_RESET)
			return false;
	}
	return false;
}

static bool offer(uint16_t head)
{
	struct vring_avail *avail = guest(AVAIL);

	avail->ring[avail->idx % QUEUE] = head;
	__atomic_store_n(&avail->idx, avail->idx + 1, __ATOMIC_RELEASE);
	reg_out(notify, 2, 0);
	return answered();
}

/* One request; returns the status the disk gave, or -1 when it gave none. */
static int request(uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
	struct virtio_blk_outhdr *header = guest(HEADER);
	uint8_t *status = guest(STATUS);

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status = 0x5a;
	free_desc = 0;
	add_desc(HEADER, sizeof(*header), VRING_DESC_F_NEXT);
	if (len)
		add_desc(DATA, len, VRING_DESC_F_NEXT | (device_writes ? VRING_DESC_F_WRITE : 0));
	add_desc(STATUS, 1, VRING_DESC_F_WRITE);
	return offer(0) ? *status : -1;
}

static void negotiates(void)
{
	CHECK(features_in() >> VIRTIO_F_VERSION_1 & 1);
	status_out(S_DRIVER);
	features_out(features_in() & ~(1ULL << VIRTIO_F_VERSION_1));
	status_out(S_FEATURES);
	CHECK(!(status_in() & VIRTIO_CONFIG_S_FEATURES_OK));
	status_out(0);
	CHECK_EQ(status_in(), 0);
	status_out(S_DRIVER);
	features_out(features_in() | 1ULL << 27);
	status_out(S_FEATURES);
	CHECK(!(status_in() & VIRTIO_CONFIG_S_FEATURES_OK));
	status_out(0);
	start_driver();
	CHECK_EQ(status_in(), S_READY);
	CHECK_EQ(reg_in(device, 4), CAPACITY);
	/* A queue that does not exist. */
	reg_out(common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	CHECK_EQ(reg_in(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	reg_out(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	CHECK_EQ(status_in(), S_READY);
}

static void reads_and_writes(void)
{
	uint8_t *data = guest(DATA), block[2 * SECTOR];
	int fd = config.disk[0].file.fd;

	start_driver();
	memset(data, 'w', sizeof(block));
	CHECK_EQ(request(VIRTIO_BLK_T_OUT, 7, sizeof(block), false), VIRTIO_BLK_S_OK);
	CHECK_EQ(used()->ring[0].len, 1);
	CHECK_EQ(pread(fd, block, sizeof(block), 7 * SECTOR), sizeof(block));
	CHECK(!memcmp(block, data, sizeof(block)));
	memset(block, 'r', sizeof(block));
	CHECK_EQ(pwrite(fd, block, sizeof(block), (CAPACITY - 2) * SECTOR), sizeof(block));
	CHECK_EQ(request(VIRTIO_BLK_T_IN, CAPACITY - 2, sizeof(block), true), VIRTIO_BLK_S_OK);
	CHECK_EQ(used()->ring[1].len, sizeof(block) + 1);
	CHECK(!memcmp(block, data, sizeof(block)));
	CHECK_EQ(request(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	CHECK_EQ(request(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true), VIRTIO_BLK_S_OK);
	CHECK(!strcmp((char *)data, "ostler-disk0"));
	for (unsigned int i = 0; i < 3 * QUEUE; i++)
		CHECK_EQ(request(VIRTIO_BLK_T_IN, i, SECTOR, true), VIRTIO_BLK_S_OK);
}

static void refuses(void)
{
	start_driver();
	CHECK_EQ(request(VIRTIO_BLK_T_IN, CAPACITY, SECTOR, true), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, CAPACITY - 1, 2 * SECTOR, true), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, ~0ULL, SECTOR, true), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_OUT, 1ULL << 55, SECTOR, false), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR - 1, true), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(0x7777, 0, SECTOR, true), VIRTIO_BLK_S_UNSUPP);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
}

static void discards(void)
{
	struct virtio_blk_discard_write_zeroes *segment = guest(DATA);
	uint8_t block[SECTOR];
	int fd = config.disk[0].file.fd;

	start_driver();
	if (!(features_in() >> VIRTIO_BLK_F_DISCARD & 1)) {
		tap_skip("/tmp can't punch holes");
		return;
	}
	memset(block, 'd', sizeof(block));
	CHECK_EQ(pwrite(fd, block, SECTOR, 8 * SECTOR), SECTOR);
	*segment = (struct virtio_blk_discard_write_zeroes){ .sector = 8, .num_sectors = 1 };
	CHECK_EQ(request(VIRTIO_BLK_T_DISCARD, 0, sizeof(*segment), false), VIRTIO_BLK_S_OK);
	CHECK_EQ(pread(fd, block, SECTOR, 8 * SECTOR), SECTOR);
	CHECK(!block[0] && !block[SECTOR - 1]);
	segment->sector = CAPACITY;
	CHECK_EQ(request(VIRTIO_BLK_T_DISCARD, 0, sizeof(*segment), false), VIRTIO_BLK_S_IOERR);
	*segment = (struct virtio_blk_discard_write_zeroes){ .num_sectors = 1, .flags = 2 };
	CHECK_EQ(request(VIRTIO_BLK_T_DISCARD, 0, sizeof(*segment), false), VIRTIO_BLK_S_UNSUPP);
	CHECK_EQ(request(VIRTIO_BLK_T_DISCARD, 0, sizeof(*segment) - 1, false), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(lseek(fd, 0, SEEK_END), CAPACITY * SECTOR);
}

static void readonly_disk(void)
{
	config.disk[0].readonly = true;
	machine_destroy(vm);
	vm = machine_create(&config);
	CHECK(vm);
	find_device();
	CHECK(features_in() >> VIRTIO_BLK_F_RO & 1);
	start_driver();
	CHECK_EQ(request(VIRTIO_BLK_T_OUT, 0, SECTOR, false), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
}

static void shortened_file(void)
{
	start_driver();
	CHECK_EQ(ftruncate(config.disk[0].file.fd, SECTOR), 0);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, 2 * SECTOR, true), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
}

/* Drivers that break the ring are told so, and a reset mends it. */
static void broken_rings(void)
{
	for (unsigned int i = 0; i < 4; i++) {
		start_driver();
		switch (i) {
		case 0:			/* nothing to answer to */
			add_desc(HEADER, 16, 0);
			break;
		case 1:			/* no header */
			add_desc(STATUS, 1, VRING_DESC_F_WRITE);
			break;
		case 2:			/* not in memory */
			add_desc(MACHINE_MEMORY - 8, 16, VRING_DESC_F_NEXT);
			add_desc(STATUS, 1, VRING_DESC_F_WRITE);
			break;
		case 3:			/* a loop */
			add_desc(HEADER, 16, VRING_DESC_F_NEXT);
			add_desc(HEADER, 16, VRING_DESC_F_NEXT);
			((struct vring_desc *)guest(DESC))[1].next = 0;
			break;
		}
		CHECK(!offer(0));
		CHECK(status_in() & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	status_out(0);
	status_out(S_DRIVER);
	features_out(features_in());
	status_out(S_FEATURES);
	queue_out(DESC, MACHINE_MEMORY, USED);
	CHECK(status_in() & VIRTIO_CONFIG_S_NEEDS_RESET);
	start_driver();
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
}

static void intx(void)
{
	bool *line = &machine_irqs.line[LAYOUT_GSI_PCI + SLOT % 4];

	start_driver();
	CHECK(!*line);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < 1000 && !__atomic_load_n(line, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	CHECK(*line);
	CHECK(config_in(vm, SLOT, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	config_out(vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	CHECK(!*line);
	config_out(vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK(*line);
	CHECK_EQ(reg_in(isr, 1), 1);
	CHECK(!*line);
	CHECK_EQ(reg_in(isr, 1), 0);
}

static void vector_out(unsigned int vector, uint32_t data, bool masked)
{
	uint64_t entry = bar1 + vector * PCI_MSIX_ENTRY_SIZE;

	reg_out(entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, 0xfee01000);
	reg_out(entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
	reg_out(entry + PCI_MSIX_ENTRY_DATA, 4, data);
	reg_out(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked);
}

static void message_interrupts(void)
{
	CHECK_EQ(config_in(vm, SLOT, msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE, 1);
	CHECK_EQ(reg_in(bar1 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	config_out(vm, SLOT, msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	vector_out(1, 0x41, false);
	start_driver();
	reg_out(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 5);
	CHECK_EQ(reg_in(common + VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	reg_out(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	CHECK_EQ(reg_in(common + VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
	CHECK_EQ(machine_message_count(1), 1);
	CHECK_EQ(machine_irqs.message[1].data, 0x41);
	CHECK_EQ(machine_irqs.message[1].addr, 0xfee01000);
	CHECK_EQ(reg_in(isr, 1), 0);
	/* Masked: it waits in the pending bits, and comes when unmasked, where it then goes. */
	reg_out(bar1 + 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 1);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < 1000 && !reg_in(bar1 + 2048, 4); i++)
		usleep(1000);
	CHECK_EQ(reg_in(bar1 + 2048, 4), 2);
	vector_out(1, 0x42, false);
	CHECK_EQ(reg_in(bar1 + 2048, 8), 0);
	CHECK_EQ(machine_message_count(1), 1);
	CHECK_EQ(machine_irqs.message[1].data, 0x42);
}

static void bars_move(void)
{
	config_out(vm, SLOT, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	CHECK_EQ(config_in(vm, SLOT, PCI_BASE_ADDRESS_0, 4), 0xffffc000);
	config_out(vm, SLOT, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	CHECK_EQ(config_in(vm, SLOT, PCI_BASE_ADDRESS_1, 4), 0xfffff000);
	CHECK_EQ(config_in(vm, SLOT, PCI_BASE_ADDRESS_2, 4), 0);
	config_out(vm, SLOT, PCI_BASE_ADDRESS_1, 4, bar1);
	config_out(vm, SLOT, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	CHECK_EQ(reg_in(common + VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
	common += 0xd0000000 - bar0;
	CHECK_EQ(reg_in(common + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	config_out(vm, SLOT, PCI_COMMAND, 2, 0);
	CHECK_EQ(reg_in(common + VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
}

/* The same registers, through configuration space alone. */
static void window(void)
{
	unsigned int data = cfg_cap + 16;

	config_out(vm, SLOT, cfg_cap + 8, 4, VIRTIO_PCI_COMMON_NUMQ);
	config_out(vm, SLOT, cfg_cap + 12, 4, 2);
	CHECK_EQ(config_in(vm, SLOT, data, 2), 1);
	start_driver();
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
	/* A reset by it waits for the disk's thread, and reads the interrupt line. */
	config_out(vm, SLOT, cfg_cap + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	config_out(vm, SLOT, cfg_cap + 12, 4, 1);
	CHECK_EQ(config_in(vm, SLOT, data, 1), S_READY);
	config_out(vm, SLOT, data, 1, 0);
	CHECK_EQ(status_in(), 0);
	/* Beyond the BAR, unaligned, of a length that is none. */
	for (unsigned int i = 0; i < 4; i++) {
		static const uint32_t bad[4][2] = {
			{ 0x4000, 4 }, { 0xfffffffc, 4 }, { 1, 2 }, { 0, 3 },
		};

		config_out(vm, SLOT, cfg_cap + 8, 4, bad[i][0]);
		config_out(vm, SLOT, cfg_cap + 12, 4, bad[i][1]);
		config_out(vm, SLOT, data, 4, 0);
		config_in(vm, SLOT, data, 4);
	}
}

static uint64_t noisy_offset(void)
{
	static const uint64_t structures[] = { 0x0000, 0x1000, 0x2000, 0x3000, 0x4000, 0x4800 };

	return bar0 + structures[random() % 6] + random() % 0x40;
}

/* Any register, any size, any value, and rings of noise, while the disk's thread comes and goes. */
static void survives_noise(void)
{
	srandom(3);
	for (unsigned int i = 0; i < 30000; i++) {
		uint64_t at = noisy_offset();
		unsigned int size = 1u << random() % 4;

		if (i % 100 == 0)
			start_driver();
		switch (random() % 8) {
		case 0:
			config_out(vm, SLOT, 0x40 + random() % 0xc0, 1u << random() % 3, random());
			break;
		case 1:
			((uint32_t *)guest(DESC))[random() % (0x3000 / 4)] = random();
			reg_out(notify, 2, 0);
			break;
		case 2:
			request(random() % 16, random() % CAPACITY, random() % 2048, random() & 1);
			break;
		case 3:
		case 4:
			reg_in(at, size);
			break;
		default:
			reg_out(at, size, random());
			break;
		}
	}
	config_out(vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	start_driver();
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
}

/* The linker puts this in the place of liburing's: a host without io_uring, when a test wants one. */
int __real_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);

static bool no_ring;
static unsigned int nr_rings;

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	int error = no_ring ? -ENOSYS : __real_io_uring_queue_init(entries, ring, flags);

	if (!error)
		nr_rings++;
	return error;
}

/* Else the tests above and below are the same. */
static void ring_is_used(void)
{
	nr_rings = 0;
	start_driver();
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, SECTOR, true), VIRTIO_BLK_S_OK);
	if (!nr_rings)
		tap_skip("this host has no io_uring");
}

static void run(const char *name, void (*test)(void))
{
	int fd = machine_file(CAPACITY * SECTOR);

	config = machine_config();
	config.disk[0].file = (struct config_file){ .path = "disk", .fd = fd,
						    .size = CAPACITY * SECTOR };
	config.nr_disks = 1;
	vm = fd < 0 ? NULL : machine_create(&config);
	if (!vm) {
		fprintf(stderr, "no machine\n");
		exit(1);
	}
	find_device();
	tap_run(name, test);
	machine_destroy(vm);
	close(fd);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	run("negotiates", negotiates);
	run("reads and writes", reads_and_writes);
	run("refuses", refuses);
	run("discards", discards);
	run("read-only disk", readonly_disk);
	run("shortened file", shortened_file);
	run("broken rings", broken_rings);
	run("INTx", intx);
	run("message interrupts", message_interrupts);
	run("BARs move", bars_move);
	run("window", window);
	run("survives noise", survives_noise);
	run("a ring is used", ring_is_used);
	no_ring = true;
	run("without a ring: reads and writes", reads_and_writes);
	run("without a ring: refuses", refuses);
	run("without a ring: discards", discards);
	run("without a ring: shortened file", shortened_file);
	run("without a ring: broken rings", broken_rings);
	run("without a ring: survives noise", survives_noise);
	return tap_done();
}
