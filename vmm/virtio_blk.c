// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk whose content is a file (virtio 1.2, 5.2). Each disk has one queue and a thread of its own
 * that serves it.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "device.h"
#include "disk_io.h"
#include "status.h"
#include "thread.h"
#include "virtio.h"
#include "vm.h"

#define SECTOR_SIZE		512
#define PCI_CLASS_STORAGE	0x018000
/* A request's header and status take two buffers of the chain. */
#define SEG_MAX			(VIRTQ_MAX_BUFFERS - 2)
/* preadv() and its like transfer at most this many bytes. */
#define MAX_TRANSFER		0x7ffff000ULL
#define MAX_ZERO_SECTORS	(1u << 22)

struct blk_request {
	struct disk_request io;		/* first: a finished one leads to its request */
	struct virtq_chain chain;
	struct virtio_blk_outhdr header;
	uint8_t *status;		/* in guest memory */
	uint32_t written; /* bytes the driver gets when all goes well, but for the status */
	struct blk_request *next_free;
};

struct virtio_blk {
	struct device device;
	struct virtio_device virtio;
	const struct config_disk *disk;
	unsigned int index;
	struct virtio_blk_config config;
	pthread_t thread;
	bool has_thread;
	atomic_bool stopping;
	/* The rest is the thread's. */
	struct disk_io io;
	struct blk_request *requests;
	struct blk_request *free;
	unsigned int in_flight;
	bool broken;
};

/* Copy the first @len bytes the driver sent, and take them off the chain. */
static bool take_out(struct virtq_chain *chain, void *buf, size_t len)
{
	char *to = buf;

	for (unsigned int i = 0; i < chain->nr_out && len; i++) {
		struct iovec *iov = &chain->iov[i];
		size_t step = len < iov->iov_len ? len : iov->iov_len;

		memcpy(to, iov->iov_base, step);
		iov->iov_base = (char *)iov->iov_base + step;
		iov->iov_len -= step;
		chain->out_len -= step;
		to += step;
		len -= step;
	}
	return !len;
}

/* Copy to the driver's buffers; what has no room is left out. Returns the bytes copied. */
static size_t put_in(struct virtq_chain *chain, const void *buf, size_t len)
{
	const char *from = buf;
	size_t done = 0;

	for (unsigned int i = 0; i < chain->nr_in && done < len; i++) {
		struct iovec *iov = &chain->iov[chain->nr_out + i];
		size_t step = len - done < iov->iov_len ? len - done : iov->iov_len;

		memcpy(iov->iov_base, from + done, step);
		done += step;
	}
	return done;
}

/* The status is the last byte the driver lets us write. */
static uint8_t *take_status(struct virtq_chain *chain)
{
	struct iovec *last;

	if (!chain->nr_in)
		return NULL;
	last = &chain->iov[chain->nr_out + chain->nr_in - 1];
	last->iov_len--;
	chain->in_len--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

static void finish(struct virtio_blk *blk, struct blk_request *request, uint8_t status)
{
	uint32_t written = status == VIRTIO_BLK_S_OK ? request->written : 0;

	*(volatile uint8_t *)request->status = status;
	virtq_give(&blk->virtio.queue[0], request->chain.head, written + 1);
	request->next_free = blk->free;
	blk->free = request;
}

static bool in_range(const struct virtio_blk *blk, uint64_t sector, uint64_t sectors)
{
	return sector <= blk->config.capacity && sectors <= blk->config.capacity - sector;
}

/* The begin_ functions return a status when the request ends here, or -1 when it is on its way. */

static int submit(struct virtio_blk *blk, struct blk_request *request, enum disk_op op)
{
	request->io.op = op;
	blk->in_flight++;
	disk_io_submit(&blk->io, &request->io);
	return -1;
}

static int begin_transfer(struct virtio_blk *blk, struct blk_request *request, bool write)
{
	struct virtq_chain *chain = &request->chain;
	uint64_t len = write ? chain->out_len : chain->in_len;

	if (len % SECTOR_SIZE || len > MAX_TRANSFER ||
	    !in_range(blk, request->header.sector, len / SECTOR_SIZE) ||
	    (write && blk->disk->readonly))
		return VIRTIO_BLK_S_IOERR;
	request->io.offset = request->header.sector * SECTOR_SIZE;
	request->io.len = len;
	request->io.iov = write ? chain->iov : chain->iov + chain->nr_out;
	request->io.nr_iov = write ? chain->nr_out : chain->nr_in;
	request->written = write ? 0 : len;
	return submit(blk, request, write ? DISK_WRITE : DISK_READ);
}

static int begin_zero(struct virtio_blk *blk, struct blk_request *request, bool discard)
{
	unsigned int feature = discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES;
	uint32_t allowed = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	struct virtio_blk_discard_write_zeroes segment;

	if (!virtio_has_feature(&blk->virtio, feature))
		return VIRTIO_BLK_S_UNSUPP;
	/* max_discard_seg and max_write_zeroes_seg are 1. */
	if (request->chain.out_len != sizeof(segment) ||
	    !take_out(&request->chain, &segment, sizeof(segment)))
		return VIRTIO_BLK_S_IOERR;
	if (segment.flags & ~allowed)
		return VIRTIO_BLK_S_UNSUPP;
	if (segment.num_sectors > MAX_ZERO_SECTORS ||
	    !in_range(blk, segment.sector, segment.num_sectors))
		return VIRTIO_BLK_S_IOERR;
	if (!segment.num_sectors)
		return VIRTIO_BLK_S_OK;
	request->io.offset = segment.sector * SECTOR_SIZE;
	request->io.len = (uint64_t)segment.num_sectors * SECTOR_SIZE;
	return submit(blk, request, discard || segment.flags ? DISK_DISCARD : DISK_ZERO);
}

static int get_id(struct virtio_blk *blk, struct blk_request *request)
{
	char id[VIRTIO_BLK_ID_BYTES] = "";

	snprintf(id, sizeof(id), "ostler-disk%u", blk->index);
	request->written = put_in(&request->chain, id, sizeof(id));
	return VIRTIO_BLK_S_OK;
}

static int begin(struct virtio_blk *blk, struct blk_request *request)
{
	switch (request->header.type) {
	case VIRTIO_BLK_T_IN:
		return begin_transfer(blk, request, false);
	case VIRTIO_BLK_T_OUT:
		return begin_transfer(blk, request, true);
	case VIRTIO_BLK_T_FLUSH:
		return submit(blk, request, DISK_FLUSH);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(blk, request);
	case VIRTIO_BLK_T_DISCARD:
		return begin_zero(blk, request, true);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return begin_zero(blk, request, false);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/*
 * Take one chain and begin what it asks. Returns false when there is none, or none that can be
 * understood.
 */
static bool take_request(struct virtio_blk *blk)
{
	struct blk_request *request = blk->free;
	int result = virtq_take(&blk->virtio.queue[0], &request->chain);

	if (!result)
		return false;
	if (result > 0) {
		request->written = 0;
		request->status = take_status(&request->chain);
		if (!take_out(&request->chain, &request->header, sizeof(request->header)))
			request->status = NULL;
	}
	/* Without a header or a place for the status there is no way to answer. */
	if (result < 0 || !request->status) {
		blk->broken = true;
		virtio_set_broken(&blk->virtio);
		return false;
	}
	blk->free = request->next_free;
	result = begin(blk, request);
	if (result >= 0)
		finish(blk, request, result);
	return true;
}

static void finish_done(struct virtio_blk *blk)
{
	struct disk_request *done;

	while ((done = disk_io_next_done(&blk->io))) {
		struct blk_request *request =
			(struct blk_request *)((char *)done - offsetof(struct blk_request, io));

		blk->in_flight--;
		finish(blk, request, done->error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	}
}

static void *serve(void *arg)
{
	struct virtio_blk *blk = arg;
	struct virtq *queue = &blk->virtio.queue[0];
	bool stopping;

	do {
		stopping = atomic_load(&blk->stopping);
		while (!stopping && !blk->broken && blk->free && take_request(blk))
			;
		finish_done(blk);
		if (virtq_wants_interrupt(queue))
			virtio_notify_driver(&blk->virtio, 0);
		if (!stopping && !blk->broken && blk->free && virtq_want_notification(queue))
			continue;
		if (!stopping || blk->in_flight)
			disk_io_wait(&blk->io);
	} while (!stopping || blk->in_flight);
	return NULL;
}

static int create_requests(struct virtio_blk *blk)
{
	unsigned int n = blk->virtio.queue[0].size;

	blk->requests = calloc(n, sizeof(*blk->requests));
	if (!blk->requests)
		return -ENOMEM;
	blk->free = NULL;
	while (n--) {
		blk->requests[n].next_free = blk->free;
		blk->free = &blk->requests[n];
	}
	return 0;
}

static int blk_start(struct virtio_device *dev)
{
	struct virtio_blk *blk = (struct virtio_blk *)((char *)dev -
						       offsetof(struct virtio_blk, virtio));
	int error;

	/* A driver that enabled no queue gets no service. */
	if (!dev->queue[0].started)
		return 0;
	error = create_requests(blk);
	if (error)
		return error;
	blk->stopping = false;
	blk->broken = false;
	blk->in_flight = 0;
	disk_io_init(&blk->io, blk->disk->file.fd, dev->notify_fd[0], dev->queue[0].size);
	error = thread_start(&blk->thread, serve, blk);
	blk->has_thread = !error;
	if (error) {
		disk_io_destroy(&blk->io);
		free(blk->requests);
	}
	return -error;
}

static void blk_stop(struct virtio_device *dev)
{
	struct virtio_blk *blk = (struct virtio_blk *)((char *)dev -
						       offsetof(struct virtio_blk, virtio));

	if (!blk->has_thread)
		return;
	atomic_store(&blk->stopping, true);
	eventfd_write(dev->notify_fd[0], 1);
	pthread_join(blk->thread, NULL);
	blk->has_thread = false;
	disk_io_destroy(&blk->io);
	free(blk->requests);
}

static uint8_t blk_config_read(struct virtio_device *dev, unsigned int offset)
{
	struct virtio_blk *blk = (struct virtio_blk *)((char *)dev -
						       offsetof(struct virtio_blk, virtio));

	return ((const uint8_t *)&blk->config)[offset];
}

static const struct virtio_device_ops blk_virtio_ops = {
	.config_read = blk_config_read,
	.start = blk_start,
	.stop = blk_stop,
};

static void fill_config(struct virtio_blk *blk)
{
	const struct config_file *file = &blk->disk->file;
	uint64_t features = VIRTIO_COMMON_FEATURES | 1ULL << VIRTIO_BLK_F_SEG_MAX |
			    1ULL << VIRTIO_BLK_F_BLK_SIZE | 1ULL << VIRTIO_BLK_F_FLUSH;

	blk->config.capacity = file->size / SECTOR_SIZE;
	blk->config.seg_max = SEG_MAX;
	blk->config.blk_size = SECTOR_SIZE;
	if (blk->disk->readonly) {
		features |= 1ULL << VIRTIO_BLK_F_RO;
	} else if (disk_can_discard(file->fd, file->size)) {
		features |= 1ULL << VIRTIO_BLK_F_DISCARD;
		blk->config.max_discard_sectors = MAX_ZERO_SECTORS;
		blk->config.max_discard_seg = 1;
		blk->config.discard_sector_alignment = 1;
		if (disk_can_zero(file->fd, file->size)) {
			features |= 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
			blk->config.max_write_zeroes_sectors = MAX_ZERO_SECTORS;
			blk->config.max_write_zeroes_seg = 1;
			blk->config.write_zeroes_may_unmap = 1;
		}
	}
	blk->virtio.features = features;
}

static void blk_destroy(struct device *dev)
{
	struct virtio_blk *blk = (struct virtio_blk *)dev;

	virtio_pci_destroy(&blk->virtio);
	free(blk);
}

static const struct device_ops blk_ops = {
	.destroy = blk_destroy,
};

static int create_one(struct vm *vm, unsigned int index)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int status;

	if (!blk)
		return vmm_fail(VMM_MEMORY, "not enough memory for a disk");
	blk->disk = &vm->config->disk[index];
	blk->index = index;
	blk->virtio = (struct virtio_device){
		.ops = &blk_virtio_ops,
		.vm = vm,
		.id = VIRTIO_ID_BLOCK,
		.pci_class = PCI_CLASS_STORAGE,
		.config_len = sizeof(blk->config),
		.nr_queues = 1,
	};
	fill_config(blk);
	status = virtio_pci_create(&blk->virtio);
	if (status)
		free(blk);
	else
		device_add(vm, &blk->device, &blk_ops);
	return status;
}

static int blk_create(struct vm *vm)
{
	int status = VMM_OK;

	for (unsigned int i = 0; i < vm->config->nr_disks && !status; i++)
		status = create_one(vm, i);
	return status;
}

static const struct device_type blk_type = {
	.name = "virtio disk",
	.stage = DEVICE_ON_BUS,
	.create = blk_create,
};
VMM_DEVICE(blk_type);
