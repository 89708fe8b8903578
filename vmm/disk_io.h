/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading and writing one file, many requests at a time: by io_uring, or one after the other where
 * there is none.
 */
#ifndef VMM_DISK_IO_H
#define VMM_DISK_IO_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	DISK_DISCARD,		/* deallocate; reads as zeroes from then on */
	DISK_ZERO,		/* zeroes that stay allocated */
};

struct disk_request {
	enum disk_op op;
	uint64_t offset;	/* bytes */
	uint64_t len;		/* bytes; the sum of iov's lengths */
	struct iovec *iov;	/* changed on the way */
	unsigned int nr_iov;
	int error;		/* when done: 0 or a negative errno */
	struct disk_request *next;
};

/* All its functions are for one thread. */
struct disk_io {
	int fd;
	int wake_fd;
	bool has_ring;
	bool wake_armed;
	struct io_uring ring;
	struct disk_request *done;
};

/*
 * Prepare for up to @depth requests in flight on @fd. @wake_fd is a nonblocking eventfd that
 * interrupts disk_io_wait(). Cannot fail: without io_uring requests are carried out where they are
 * submitted.
 */
void disk_io_init(struct disk_io *io, int fd, int wake_fd, unsigned int depth);

/* Nothing may be in flight. */
void disk_io_destroy(struct disk_io *io);

/* Begin @request, which stays the disk_io's until disk_io_next_done() returns it. */
void disk_io_submit(struct disk_io *io, struct disk_request *request);

/* Wait until a request is done or the wake eventfd is written to (which is then reset). */
void disk_io_wait(struct disk_io *io);

/* A request that is done, or NULL. */
struct disk_request *disk_io_next_done(struct disk_io *io);

/* Whether @fd, a file of @size bytes, can do DISK_DISCARD, and DISK_ZERO. Changes nothing in it. */
bool disk_can_discard(int fd, uint64_t size);
bool disk_can_zero(int fd, uint64_t size);

#endif
