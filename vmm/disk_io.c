// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_io.h"

#define DISCARD_MODE	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_MODE	(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

static void add_done(struct disk_io *io, struct disk_request *request, int error)
{
	request->error = error;
	request->next = io->done;
	io->done = request;
}

/* Leave out the first @len bytes, which have been transferred. */
static void advance(struct disk_request *request, uint64_t len)
{
	request->offset += len;
	request->len -= len;
	while (len && request->nr_iov) {
		size_t step = len < request->iov->iov_len ? len : request->iov->iov_len;

		request->iov->iov_base = (char *)request->iov->iov_base + step;
		request->iov->iov_len -= step;
		len -= step;
		if (!request->iov->iov_len) {
			request->iov++;
			request->nr_iov--;
		}
	}
}

static int transfer(struct disk_io *io, struct disk_request *request)
{
	while (request->len) {
		ssize_t n;

		if (request->op == DISK_READ)
			n = preadv(io->fd, request->iov, request->nr_iov, request->offset);
		else
			n = pwritev(io->fd, request->iov, request->nr_iov, request->offset);
		if (n < 0 && errno != EINTR)
			return -errno;
		/* The file has become shorter than the disk it is. */
		if (n == 0)
			return -EIO;
		if (n > 0)
			advance(request, n);
	}
	return 0;
}

static int carry_out(struct disk_io *io, struct disk_request *request)
{
	int result;

	switch (request->op) {
	case DISK_READ:
	case DISK_WRITE:
		return transfer(io, request);
	case DISK_FLUSH:
		result = fdatasync(io->fd);
		break;
	case DISK_DISCARD:
		result = fallocate(io->fd, DISCARD_MODE, request->offset, request->len);
		break;
	default:
		result = fallocate(io->fd, ZERO_MODE, request->offset, request->len);
		break;
	}
	return result < 0 ? -errno : 0;
}

void disk_io_init(struct disk_io *io, int fd, int wake_fd, unsigned int depth)
{
	memset(io, 0, sizeof(*io));
	io->fd = fd;
	io->wake_fd = wake_fd;
	/* One more, for the wake eventfd's poll. */
	io->has_ring = io_uring_queue_init(depth + 1, &io->ring, 0) == 0;
}

void disk_io_destroy(struct disk_io *io)
{
	if (io->has_ring)
		io_uring_queue_exit(&io->ring);
}

static void prepare(struct disk_io *io, struct io_uring_sqe *sqe, struct disk_request *request)
{
	switch (request->op) {
	case DISK_READ:
		io_uring_prep_readv(sqe, io->fd, request->iov, request->nr_iov, request->offset);
		break;
	case DISK_WRITE:
		io_uring_prep_writev(sqe, io->fd, request->iov, request->nr_iov, request->offset);
		break;
	case DISK_FLUSH:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case DISK_DISCARD:
		io_uring_prep_fallocate(sqe, io->fd, DISCARD_MODE, request->offset, request->len);
		break;
	case DISK_ZERO:
		io_uring_prep_fallocate(sqe, io->fd, ZERO_MODE, request->offset, request->len);
		break;
	}
	io_uring_sqe_set_data(sqe, request);
}

void disk_io_submit(struct disk_io *io, struct disk_request *request)
{
	struct io_uring_sqe *sqe = io->has_ring ? io_uring_get_sqe(&io->ring) : NULL;

	if (sqe)
		prepare(io, sqe, request);
	else
		add_done(io, request, carry_out(io, request));
}

static void complete(struct disk_io *io, struct disk_request *request, int result)
{
	/*
	 * A kernel whose io_uring lacks the operation, or a transfer cut short: do the rest here.
	 */
	if (result == -EINVAL || result == -EOPNOTSUPP || result == -EAGAIN || result == -EINTR) {
		add_done(io, request, carry_out(io, request));
	} else if (result >= 0 && (request->op == DISK_READ || request->op == DISK_WRITE)) {
		advance(request, result);
		add_done(io, request, transfer(io, request));
	} else {
		add_done(io, request, result < 0 ? result : 0);
	}
}

static void reset_wake(struct disk_io *io)
{
	eventfd_t count;

	eventfd_read(io->wake_fd, &count);
}

static void arm_wake(struct disk_io *io)
{
	struct io_uring_sqe *sqe;

	if (io->wake_armed)
		return;
	sqe = io_uring_get_sqe(&io->ring);
	if (!sqe)
		return;
	io_uring_prep_poll_add(sqe, io->wake_fd, POLLIN);
	io_uring_sqe_set_data(sqe, NULL);
	io->wake_armed = true;
}

static void wait_ring(struct disk_io *io)
{
	struct io_uring_cqe *cqe;

	arm_wake(io);
	io_uring_submit_and_wait(&io->ring, io->done ? 0 : 1);
	while (io_uring_peek_cqe(&io->ring, &cqe) == 0) {
		struct disk_request *request = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&io->ring, cqe);
		if (request) {
			complete(io, request, result);
		} else {
			io->wake_armed = false;
			reset_wake(io);
		}
	}
}

void disk_io_wait(struct disk_io *io)
{
	struct pollfd wake = { .fd = io->wake_fd, .events = POLLIN };

	if (io->has_ring) {
		wait_ring(io);
	} else if (!io->done) {
		poll(&wake, 1, -1);
		reset_wake(io);
	}
}

struct disk_request *disk_io_next_done(struct disk_io *io)
{
	struct disk_request *request = io->done;

	if (request)
		io->done = request->next;
	return request;
}

/* Beyond the end of the file there is nothing to change, but whether it would work shows. */
static bool can_fallocate(int fd, uint64_t size, int mode)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fallocate(fd, mode, size, 4096) == 0;
}

bool disk_can_discard(int fd, uint64_t size)
{
	return can_fallocate(fd, size, DISCARD_MODE);
}

bool disk_can_zero(int fd, uint64_t size)
{
	return can_fallocate(fd, size, ZERO_MODE);
}
