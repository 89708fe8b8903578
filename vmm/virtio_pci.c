// SPDX-License-Identifier: GPL-2.0-only
/* virtio over PCI (virtio 1.2, 4.1), without the legacy interface. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/kvm.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "msix.h"
#include "pci.h"
#include "status.h"
#include "virtio.h"
#include "vm.h"

#define VENDOR_ID		0x1af4
#define DEVICE_ID_BASE		0x1040
#define SUBSYSTEM_ID		0x1100

/* BAR 0 holds the four structures, a page each; BAR 1 is MSI-X's. */
#define REGISTERS_BAR		0
#define MSIX_BAR		1
#define REGISTERS_SIZE		0x4000
#define COMMON_OFFSET		0x0000
#define ISR_OFFSET		0x1000
#define DEVICE_OFFSET		0x2000
#define NOTIFY_OFFSET		0x3000
#define STRUCTURE_SIZE		0x1000
#define NOTIFY_MULTIPLIER	4

#define ISR_QUEUE		1
#define ISR_CONFIG		2

struct virtio_pci {
	struct pci_device pci;
	struct virtio_device *dev;
	struct msix msix;
	pthread_mutex_t lock;		/* guards what the common configuration changes */
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint64_t driver_features;
	uint16_t queue_select;
	uint8_t status;			/* atomic: virtio_set_broken() comes from any thread */
	bool running;			/* ops->start() was called */
	uint16_t config_vector;		/* atomic, as the next */
	uint16_t queue_vector[VIRTIO_MAX_QUEUES];
	pthread_mutex_t isr_lock;	/* guards isr together with the interrupt line */
	uint8_t isr;
	unsigned int cfg_cap;		/* offset of the configuration access capability */
	uint64_t notify_gpa;		/* where ioeventfds are bound, while the BAR is mapped */
};

static void interrupt(struct virtio_pci *vp, uint8_t cause, uint16_t vector)
{
	if (msix_signal(&vp->msix, vector))
		return;
	pthread_mutex_lock(&vp->isr_lock);
	vp->isr |= cause;
	pci_set_intx(&vp->pci, true);
	pthread_mutex_unlock(&vp->isr_lock);
}

void virtio_notify_driver(struct virtio_device *dev, unsigned int queue)
{
	struct virtio_pci *vp = dev->transport;

	interrupt(vp, ISR_QUEUE, __atomic_load_n(&vp->queue_vector[queue], __ATOMIC_RELAXED));
}

void virtio_set_broken(struct virtio_device *dev)
{
	struct virtio_pci *vp = dev->transport;
	uint8_t old = __atomic_fetch_or(&vp->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_RELAXED);

	if (old & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(vp, ISR_CONFIG, __atomic_load_n(&vp->config_vector, __ATOMIC_RELAXED));
}

/* Reading acknowledges (4.1.4.5). */
static uint8_t read_isr(struct virtio_pci *vp)
{
	uint8_t isr;

	pthread_mutex_lock(&vp->isr_lock);
	isr = vp->isr;
	vp->isr = 0;
	pci_set_intx(&vp->pci, false);
	pthread_mutex_unlock(&vp->isr_lock);
	return isr;
}

/* To the state after power-on. vp->lock held, or the guest does not run. */
static void reset(struct virtio_pci *vp)
{
	struct virtio_device *dev = vp->dev;

	if (vp->running)
		dev->ops->stop(dev);
	vp->running = false;
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		virtq_stop(&dev->queue[i]);
		dev->queue[i] = (struct virtq){ .mem = &dev->vm->mem, .size = VIRTQ_MAX_SIZE };
		__atomic_store_n(&vp->queue_vector[i], VIRTIO_MSI_NO_VECTOR, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&vp->config_vector, VIRTIO_MSI_NO_VECTOR, __ATOMIC_RELAXED);
	dev->negotiated = 0;
	vp->driver_features = 0;
	vp->device_feature_select = 0;
	vp->driver_feature_select = 0;
	vp->queue_select = 0;
	__atomic_store_n(&vp->status, 0, __ATOMIC_RELAXED);
	read_isr(vp);
}

/* 3.1.1: the driver may use only what was offered, and this device only speaks version 1. */
static bool features_acceptable(const struct virtio_pci *vp)
{
	return !(vp->driver_features & ~vp->dev->features) &&
	       vp->driver_features >> VIRTIO_F_VERSION_1 & 1;
}

static void start(struct virtio_pci *vp)
{
	struct virtio_device *dev = vp->dev;

	for (unsigned int i = 0; i < dev->nr_queues; i++)
		dev->queue[i].event_idx = virtio_has_feature(dev, VIRTIO_RING_F_EVENT_IDX);
	vp->running = !dev->ops->start(dev);
	if (!vp->running)
		virtio_set_broken(dev);
}

static void write_status(struct virtio_pci *vp, uint8_t value)
{
	uint8_t status = __atomic_load_n(&vp->status, __ATOMIC_RELAXED);

	if (!value) {
		reset(vp);
		return;
	}
	if (value & VIRTIO_CONFIG_S_FEATURES_OK && !(status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		if (features_acceptable(vp))
			vp->dev->negotiated = vp->driver_features;
		else
			value &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	/* Bits are only ever added; NEEDS_RESET is the device's own. */
	value |= __atomic_or_fetch(&vp->status, value & ~VIRTIO_CONFIG_S_NEEDS_RESET,
				   __ATOMIC_RELAXED);
	if (value & VIRTIO_CONFIG_S_DRIVER_OK && value & VIRTIO_CONFIG_S_FEATURES_OK &&
	    !(value & VIRTIO_CONFIG_S_NEEDS_RESET) && !vp->running)
		start(vp);
}

static uint16_t checked_vector(const struct virtio_pci *vp, uint16_t vector)
{
	return vector < vp->msix.nr_vectors ? vector : VIRTIO_MSI_NO_VECTOR;
}

static struct virtq *selected_queue(struct virtio_pci *vp)
{
	return vp->queue_select < vp->dev->nr_queues ? &vp->dev->queue[vp->queue_select] : NULL;
}

static uint32_t read_queue_field(struct virtio_pci *vp, unsigned int offset)
{
	struct virtq *queue = selected_queue(vp);

	/* 4.1.4.3.1: a queue that does not exist has size 0. */
	if (!queue)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return vp->queue_vector[vp->queue_select];
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->started;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return vp->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return queue->desc_gpa;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return queue->desc_gpa >> 32;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return queue->avail_gpa;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return queue->avail_gpa >> 32;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return queue->used_gpa;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return queue->used_gpa >> 32;
	default:
		return 0;
	}
}

static uint32_t read_common(struct virtio_pci *vp, unsigned int offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return vp->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return vp->device_feature_select < 2 ?
		       vp->dev->features >> 32 * vp->device_feature_select : 0;
	case VIRTIO_PCI_COMMON_GFSELECT:
		return vp->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return vp->driver_feature_select < 2 ?
		       vp->driver_features >> 32 * vp->driver_feature_select : 0;
	case VIRTIO_PCI_COMMON_MSIX:
		return vp->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return vp->dev->nr_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return __atomic_load_n(&vp->status, __ATOMIC_RELAXED);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 0;	/* configurations never change */
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return vp->queue_select;
	default:
		return read_queue_field(vp, offset);
	}
}

static void set_low(uint64_t *field, uint32_t value)
{
	*field = (*field & ~0xffffffffULL) | value;
}

static void set_high(uint64_t *field, uint32_t value)
{
	*field = (*field & 0xffffffff) | (uint64_t)value << 32;
}

static void enable_queue(struct virtio_pci *vp, struct virtq *queue)
{
	if (virtq_start(queue))
		virtio_set_broken(vp->dev);
}

static void write_queue_field(struct virtio_pci *vp, unsigned int offset, uint32_t value)
{
	struct virtq *queue = selected_queue(vp);

	if (!queue)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		__atomic_store_n(&vp->queue_vector[vp->queue_select], checked_vector(vp, value),
				 __ATOMIC_RELAXED);
		return;
	}
	/* 4.1.4.3.2: the rest is fixed once the queue is enabled, until the device is reset. */
	if (queue->started || vp->running)
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (value && value <= VIRTQ_MAX_SIZE && !(value & (value - 1)))
			queue->size = value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			enable_queue(vp, queue);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&queue->desc_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&queue->desc_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&queue->avail_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&queue->avail_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&queue->used_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&queue->used_gpa, value);
		break;
	}
}

static void write_driver_features(struct virtio_pci *vp, uint32_t value)
{
	/* 3.1.1: settled by FEATURES_OK. */
	if (__atomic_load_n(&vp->status, __ATOMIC_RELAXED) & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (vp->driver_feature_select == 0)
		set_low(&vp->driver_features, value);
	else if (vp->driver_feature_select == 1)
		set_high(&vp->driver_features, value);
}

static void write_common(struct virtio_pci *vp, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		write_driver_features(vp, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		__atomic_store_n(&vp->config_vector, checked_vector(vp, value), __ATOMIC_RELAXED);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(vp, value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->queue_select = value;
		break;
	default:
		write_queue_field(vp, offset, value);
		break;
	}
}

static uint64_t read_config(struct virtio_pci *vp, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		if (offset + i < vp->dev->config_len)
			value |= (uint64_t)vp->dev->ops->config_read(vp->dev, offset + i)
				 << (8 * i);
	return value;
}

static uint64_t registers_read(struct virtio_pci *vp, uint64_t offset, unsigned int size)
{
	uint64_t within = offset % STRUCTURE_SIZE, value = 0;

	switch (offset - within) {
	case COMMON_OFFSET:
		pthread_mutex_lock(&vp->lock);
		value = read_common(vp, within);
		pthread_mutex_unlock(&vp->lock);
		return value;
	case ISR_OFFSET:
		return within ? 0 : read_isr(vp);
	case DEVICE_OFFSET:
		return read_config(vp, within, size);
	default:
		return 0;
	}
}

static void registers_write(struct virtio_pci *vp, uint64_t offset, uint64_t value)
{
	uint64_t within = offset % STRUCTURE_SIZE;

	switch (offset - within) {
	case COMMON_OFFSET:
		pthread_mutex_lock(&vp->lock);
		write_common(vp, within, value);
		pthread_mutex_unlock(&vp->lock);
		break;
	case NOTIFY_OFFSET:
		/* What the ioeventfd did not catch: an access of an unusual size. */
		if (within / NOTIFY_MULTIPLIER < vp->dev->nr_queues)
			eventfd_write(vp->dev->notify_fd[within / NOTIFY_MULTIPLIER], 1);
		break;
	}
}

static uint64_t vp_bar_read(struct pci_device *pci, unsigned int bar, uint64_t offset,
			    unsigned int size)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;

	if (bar == MSIX_BAR)
		return msix_read(&vp->msix, offset, size);
	return registers_read(vp, offset, size);
}

static void vp_bar_write(struct pci_device *pci, unsigned int bar, uint64_t offset,
			 unsigned int size, uint64_t value)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;

	if (bar == MSIX_BAR)
		msix_write(&vp->msix, offset, size, value);
	else
		registers_write(vp, offset, value);
}

/*
 * Let writes of the notification registers reach the device's thread without this process's vCPU.
 */
static void bind_notify(struct virtio_pci *vp, bool bind)
{
	for (unsigned int i = 0; i < vp->dev->nr_queues; i++) {
		struct kvm_ioeventfd ioeventfd = {
			.addr = vp->notify_gpa + i * NOTIFY_MULTIPLIER,
			.len = 2,
			.fd = vp->dev->notify_fd[i],
			.flags = bind ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
		};

		/* Without it the access ends in registers_write(): slower, but right. */
		ioctl(vp->dev->vm->fd, KVM_IOEVENTFD, &ioeventfd);
	}
}

static void vp_bar_moved(struct pci_device *pci, unsigned int bar, uint64_t gpa, bool mapped)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;

	if (bar != REGISTERS_BAR)
		return;
	if (mapped)
		vp->notify_gpa = gpa + NOTIFY_OFFSET;
	bind_notify(vp, mapped);
}

/*
 * The capability by which a driver that can't map the BAR reaches it through configuration space
 * (4.1.4.9). Its length has to be 1, 2 or 4, its offset a multiple of that, and both within the
 * BAR.
 */
static bool cfg_window(struct virtio_pci *vp, unsigned int *offset, unsigned int *len)
{
	*offset = pci_config32(&vp->pci, vp->cfg_cap + offsetof(struct virtio_pci_cap, offset));
	*len = pci_config32(&vp->pci, vp->cfg_cap + offsetof(struct virtio_pci_cap, length));
	return vp->pci.config[vp->cfg_cap + offsetof(struct virtio_pci_cap, bar)] ==
		       REGISTERS_BAR &&
	       (*len == 1 || *len == 2 || *len == 4) && *offset % *len == 0 &&
	       *offset <= REGISTERS_SIZE - *len;
}

static void vp_config_read(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;
	unsigned int data = vp->cfg_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	unsigned int at, len;
	uint64_t value;

	if (offset + size <= data || offset >= data + 4 || !cfg_window(vp, &at, &len))
		return;
	value = registers_read(vp, at, len);
	memcpy(&pci->config[data], &value, len);
}

static void vp_config_written(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	struct virtio_pci *vp = (struct virtio_pci *)pci;
	unsigned int data = vp->cfg_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	unsigned int at, len;
	uint64_t value = 0;

	if (offset < vp->msix.cap + PCI_CAP_MSIX_SIZEOF && offset + size > vp->msix.cap)
		msix_config_written(&vp->msix, pci);
	if (offset + size <= data || offset >= data + 4 || !cfg_window(vp, &at, &len))
		return;
	memcpy(&value, &pci->config[data], len);
	registers_write(vp, at, value);
}

static const struct pci_device_ops vp_ops = {
	.config_read = vp_config_read,
	.config_written = vp_config_written,
	.bar_read = vp_bar_read,
	.bar_write = vp_bar_write,
	.bar_moved = vp_bar_moved,
};

/* One of virtio's vendor capabilities: where in BAR 0 a structure is. Returns its offset. */
static unsigned int add_structure(struct pci_device *pci, uint8_t type, unsigned int len,
				  uint32_t offset, uint32_t length)
{
	unsigned int cap = pci_add_capability(pci, PCI_CAP_ID_VNDR, len);

	pci->config[cap + offsetof(struct virtio_pci_cap, cap_len)] = len;
	pci->config[cap + offsetof(struct virtio_pci_cap, cfg_type)] = type;
	pci->config[cap + offsetof(struct virtio_pci_cap, bar)] = REGISTERS_BAR;
	pci_set_config32(pci, cap + offsetof(struct virtio_pci_cap, offset), offset);
	pci_set_config32(pci, cap + offsetof(struct virtio_pci_cap, length), length);
	return cap;
}

static void add_structures(struct virtio_pci *vp)
{
	struct pci_device *pci = &vp->pci;
	unsigned int cap;

	add_structure(pci, VIRTIO_PCI_CAP_COMMON_CFG, sizeof(struct virtio_pci_cap), COMMON_OFFSET,
		      sizeof(struct virtio_pci_common_cfg));
	add_structure(pci, VIRTIO_PCI_CAP_ISR_CFG, sizeof(struct virtio_pci_cap), ISR_OFFSET, 1);
	add_structure(pci, VIRTIO_PCI_CAP_DEVICE_CFG, sizeof(struct virtio_pci_cap), DEVICE_OFFSET,
		      vp->dev->config_len);
	cap = add_structure(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(struct virtio_pci_notify_cap),
			    NOTIFY_OFFSET, vp->dev->nr_queues * NOTIFY_MULTIPLIER);
	pci_set_config32(pci, cap + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier),
			 NOTIFY_MULTIPLIER);
	vp->cfg_cap = add_structure(pci, VIRTIO_PCI_CAP_PCI_CFG, sizeof(struct virtio_pci_cfg_cap),
				    0, 0);
	pci->writable[vp->cfg_cap + offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(&pci->writable[vp->cfg_cap + offsetof(struct virtio_pci_cap, offset)], 0xff,
	       sizeof(struct virtio_pci_cfg_cap) - offsetof(struct virtio_pci_cap, offset));
}

static int create_notify_fds(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < dev->nr_queues; i++)
		dev->notify_fd[i] = -1;
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		dev->notify_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (dev->notify_fd[i] < 0)
			return vmm_fail(VMM_FAILED, "cannot create an eventfd: %s",
					strerror(errno));
	}
	return VMM_OK;
}

/* Free the transport itself. It is not on the bus, or the bus is still there. */
static void release(struct virtio_pci *vp)
{
	struct virtio_device *dev = vp->dev;

	for (unsigned int i = 0; i < dev->nr_queues; i++)
		if (dev->notify_fd[i] >= 0)
			close(dev->notify_fd[i]);
	msix_destroy(&vp->msix);
	pthread_mutex_destroy(&vp->isr_lock);
	pthread_mutex_destroy(&vp->lock);
	dev->transport = NULL;
	free(vp);
}

int virtio_pci_create(struct virtio_device *dev)
{
	struct pci_id id = {
		.vendor = VENDOR_ID, .device = DEVICE_ID_BASE + dev->id,
		.subsystem_vendor = VENDOR_ID, .subsystem = SUBSYSTEM_ID,
		.class = dev->pci_class, .revision = 1,
	};
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int status;

	if (!vp)
		return vmm_fail(VMM_MEMORY, "not enough memory for a device");
	vp->dev = dev;
	dev->transport = vp;
	pthread_mutex_init(&vp->lock, NULL);
	pthread_mutex_init(&vp->isr_lock, NULL);
	pci_prepare(&vp->pci, dev->vm, &vp_ops, &id);
	pci_add_bar(&vp->pci, REGISTERS_BAR, REGISTERS_SIZE);
	add_structures(vp);
	status = create_notify_fds(dev);
	if (!status)
		status = msix_create(&vp->msix, &vp->pci, MSIX_BAR, dev->nr_queues + 1);
	if (!status)
		status = pci_plug(&vp->pci);
	if (status)
		release(vp);
	else
		reset(vp);
	return status;
}

void virtio_pci_destroy(struct virtio_device *dev)
{
	struct virtio_pci *vp = dev->transport;

	reset(vp);
	pci_unplug(&vp->pci);
	release(vp);
}
