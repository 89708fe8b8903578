/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * The rings lie in guest memory: everything in them may be wrong, and may change between two looks.
 * Each field is read once, every address is checked against the guest's RAM, and every chain is
 * bounded. A ring that makes no sense is broken, which the driver has to mend by a reset of the
 * device.
 */
#ifndef VMM_VIRTQ_H
#define VMM_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct guest_mem;

#define VIRTQ_MAX_SIZE	128
/* Buffers in one chain. A driver is told of it (seg_max and its like) and held to it. */
#define VIRTQ_MAX_BUFFERS	VIRTQ_MAX_SIZE

/* One queue. Between virtq_start() and virtq_stop() it belongs to one thread. */
struct virtq {
	const struct guest_mem *mem;
	uint16_t size;		/* a power of two, set by the driver */
	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
	bool event_idx;		/* VIRTIO_RING_F_EVENT_IDX is negotiated */
	bool started;
	void *desc;
	void *avail;
	void *used;
	uint16_t next_avail;	/* index of the next chain to take */
	uint16_t next_used;	/* index of the next chain to give back */
	uint16_t signalled;	/* next_used when the driver was last interrupted */
};

/* A chain of buffers: first those the device reads, then those it writes. */
struct virtq_chain {
	uint16_t head;
	unsigned int nr_out;
	unsigned int nr_in;
	uint64_t out_len;
	uint64_t in_len;
	struct iovec iov[VIRTQ_MAX_BUFFERS];	/* nr_out, then nr_in */
};

/*
 * Begin with an empty history on the rings whose addresses are set. Returns 0, or -EINVAL for
 * addresses that won't do.
 */
int virtq_start(struct virtq *queue);
void virtq_stop(struct virtq *queue);

/*
 * Take the next chain. Returns 1 with it in @chain, 0 when there is none, -EINVAL when the ring is
 * broken.
 */
int virtq_take(struct virtq *queue, struct virtq_chain *chain);

/* Give the chain back that began at @head, @len bytes of it written. */
void virtq_give(struct virtq *queue, uint16_t head, uint32_t len);

/* Whether the driver wants to be interrupted for what was given back since this was last asked. */
bool virtq_wants_interrupt(struct virtq *queue);

/*
 * Ask the driver for a notification when it adds a chain. Returns true when one is there already,
 * to be taken without waiting.
 */
bool virtq_want_notification(struct virtq *queue);

#endif
