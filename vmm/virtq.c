// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#include "mem.h"
#include "virtq.h"

/* x86 is little-endian, as virtio is: fields are used as they are. */

static uint16_t load16(const void *base, size_t offset)
{
	return __atomic_load_n((const uint16_t *)((const char *)base + offset), __ATOMIC_RELAXED);
}

static void store16(void *base, size_t offset, uint16_t value)
{
	__atomic_store_n((uint16_t *)((char *)base + offset), value, __ATOMIC_RELAXED);
}

static size_t avail_entry(uint16_t slot)
{
	return offsetof(struct vring_avail, ring) + slot * sizeof(uint16_t);
}

static size_t used_entry(uint16_t slot)
{
	return offsetof(struct vring_used, ring) + slot * sizeof(struct vring_used_elem);
}

/* The event fields follow the rings, one entry after the last. */
static uint16_t load_used_event(const struct virtq *queue)
{
	return load16(queue->avail, avail_entry(queue->size));
}

static void store_avail_event(struct virtq *queue, uint16_t value)
{
	store16(queue->used, used_entry(queue->size), value);
}

int virtq_start(struct virtq *queue)
{
	if (!queue->size || queue->size > VIRTQ_MAX_SIZE || queue->size & (queue->size - 1))
		return -EINVAL;
	if (queue->desc_gpa % VRING_DESC_ALIGN_SIZE || queue->avail_gpa % VRING_AVAIL_ALIGN_SIZE ||
	    queue->used_gpa % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	queue->desc = guest_mem_ptr(queue->mem, queue->desc_gpa,
				    queue->size * sizeof(struct vring_desc));
	queue->avail = guest_mem_ptr(queue->mem, queue->avail_gpa,
				     avail_entry(queue->size) + sizeof(uint16_t));
	queue->used = guest_mem_ptr(queue->mem, queue->used_gpa,
				    used_entry(queue->size) + sizeof(uint16_t));
	if (!queue->desc || !queue->avail || !queue->used)
		return -EINVAL;
	queue->next_avail = 0;
	queue->next_used = 0;
	queue->signalled = 0;
	queue->started = true;
	return 0;
}

void virtq_stop(struct virtq *queue)
{
	queue->started = false;
}

/* The driver may put an indirect table anywhere. */
typedef struct vring_desc unaligned_desc __attribute__((aligned(1)));

/* A copy, so that what is checked is what is used. */
static struct vring_desc read_desc(const void *table, unsigned int index)
{
	const volatile unaligned_desc *desc = (const volatile unaligned_desc *)table + index;
	struct vring_desc copy;

	copy.addr = desc->addr;
	copy.len = desc->len;
	copy.flags = desc->flags;
	copy.next = desc->next;
	return copy;
}

static int add_buffer(const struct virtq *queue, struct virtq_chain *chain,
		      const struct vring_desc *desc)
{
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	unsigned int n = chain->nr_out + chain->nr_in;
	void *hva;

	/* 2.7.4.2: the driver puts what the device writes after what it reads. */
	if (!writable && chain->nr_in)
		return -EINVAL;
	if (!desc->len)
		return 0;
	hva = guest_mem_ptr(queue->mem, desc->addr, desc->len);
	if (!hva || n == VIRTQ_MAX_BUFFERS)
		return -EINVAL;
	chain->iov[n] = (struct iovec){ .iov_base = hva, .iov_len = desc->len };
	if (writable) {
		chain->nr_in++;
		chain->in_len += desc->len;
	} else {
		chain->nr_out++;
		chain->out_len += desc->len;
	}
	return 0;
}

/*
 * Follow a chain through @table of @size descriptors. A chain longer than its table is a loop.
 * *@desc is the first descriptor that this table does not deal with: an indirect one, where
 * *@indirect is set.
 */
static int walk(const struct virtq *queue, struct virtq_chain *chain, const void *table,
		unsigned int size, unsigned int index, struct vring_desc *indirect)
{
	struct vring_desc desc;
	int error;

	for (unsigned int steps = 0; steps < size; steps++) {
		if (index >= size)
			return -EINVAL;
		desc = read_desc(table, index);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* 2.7.5.3.1: not within an indirect table, and not together with NEXT. */
			if (!indirect || desc.flags & VRING_DESC_F_NEXT)
				return -EINVAL;
			*indirect = desc;
			return 1;
		}
		error = add_buffer(queue, chain, &desc);
		if (error)
			return error;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
	return -EINVAL;
}

static int walk_indirect(const struct virtq *queue, struct virtq_chain *chain,
			 const struct vring_desc *indirect)
{
	unsigned int size = indirect->len / sizeof(struct vring_desc);
	const void *table = guest_mem_ptr(queue->mem, indirect->addr, indirect->len);

	if (!table || !size || indirect->len % sizeof(struct vring_desc) ||
	    size > VIRTQ_MAX_BUFFERS)
		return -EINVAL;
	return walk(queue, chain, table, size, 0, NULL);
}

int virtq_take(struct virtq *queue, struct virtq_chain *chain)
{
	uint16_t avail = __atomic_load_n((const uint16_t *)((const char *)queue->avail +
							    offsetof(struct vring_avail, idx)),
					 __ATOMIC_ACQUIRE);
	struct vring_desc indirect;
	int result;

	if (avail == queue->next_avail)
		return 0;
	if ((uint16_t)(avail - queue->next_avail) > queue->size)
		return -EINVAL;
	chain->head = load16(queue->avail, avail_entry(queue->next_avail % queue->size));
	chain->nr_out = 0;
	chain->nr_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	queue->next_avail++;
	result = walk(queue, chain, queue->desc, queue->size, chain->head, &indirect);
	if (result > 0)
		result = walk_indirect(queue, chain, &indirect);
	return result < 0 ? result : 1;
}

void virtq_give(struct virtq *queue, uint16_t head, uint32_t len)
{
	volatile struct vring_used_elem *elem =
		(void *)((char *)queue->used + used_entry(queue->next_used % queue->size));

	elem->id = head;
	elem->len = len;
	queue->next_used++;
	/* The entry and the data before the index that makes them the driver's. */
	__atomic_store_n((uint16_t *)((char *)queue->used + offsetof(struct vring_used, idx)),
			 queue->next_used, __ATOMIC_RELEASE);
}

bool virtq_wants_interrupt(struct virtq *queue)
{
	uint16_t old = queue->signalled;

	if (old == queue->next_used)
		return false;
	/* The used index has to be out before the driver's wish is read (2.7.10). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	queue->signalled = queue->next_used;
	if (queue->event_idx)
		return vring_need_event(load_used_event(queue), queue->next_used, old);
	return !(load16(queue->avail, offsetof(struct vring_avail, flags)) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtq_want_notification(struct virtq *queue)
{
	if (queue->event_idx)
		store_avail_event(queue, queue->next_avail);
	/* Without event indices notifications are never turned off: nothing to ask for. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(queue->avail, offsetof(struct vring_avail, idx)) != queue->next_avail;
}
