/* SPDX-License-Identifier: GPL-2.0-only */
/* Between a virtio device (a disk) and the transport by which the guest reaches it (PCI). */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtq.h"

struct virtio_device;
struct vm;

#define VIRTIO_MAX_QUEUES	2

struct virtio_device_ops {
	/* Device-specific configuration: byte @offset. Any vCPU thread. */
	uint8_t (*config_read)(struct virtio_device *dev, unsigned int offset);
	/*
	 * The driver is ready: begin to serve the queues that are started. From now on, until
	 * stop(), they belong to the device. Returns 0 or a negative errno.
	 */
	int (*start)(struct virtio_device *dev);
	/*
	 * The driver resets the device, or the machine ends: return once nothing touches guest
	 * memory any more.
	 */
	void (*stop)(struct virtio_device *dev);
};

/* Embedded in a device's own state. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct vm *vm;
	uint16_t id;			/* VIRTIO_ID_* */
	uint32_t pci_class;
	uint64_t features;		/* offered */
	uint64_t negotiated;		/* valid while started */
	unsigned int config_len;
	unsigned int nr_queues;
	struct virtq queue[VIRTIO_MAX_QUEUES];
	int notify_fd[VIRTIO_MAX_QUEUES];	/* eventfds: the driver notified the queue */
	void *transport;
};

/* Features that every device here has, by virtq.c and the transport. */
#define VIRTIO_COMMON_FEATURES \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX)

static inline bool virtio_has_feature(const struct virtio_device *dev, unsigned int bit)
{
	return dev->negotiated >> bit & 1;
}

/*
 * Put @dev, all but transport filled in, on the PCI bus. The transport fills in notify_fd. Returns
 * 0 or a status, explained; *@dev is the caller's again when it failed.
 */
int virtio_pci_create(struct virtio_device *dev);

/* Stop @dev and take it off the bus. vCPUs no longer run. */
void virtio_pci_destroy(struct virtio_device *dev);

/* Tell the driver that @queue has buffers for it. Any thread. */
void virtio_notify_driver(struct virtio_device *dev, unsigned int queue);

/* Tell the driver that the device can't go on without a reset. Any thread. */
void virtio_set_broken(struct virtio_device *dev);

#endif
