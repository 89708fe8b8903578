// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host takes a guest's memory away and gives it back in every way it has, while the guest watches over the
 * content: swap, KSM, huge pages collapsed and split, hugetlbfs, memfd, userfaultfd.
 *
 * hostrun: --modules zram
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "checker.h"

#define MIB		(1UL << 20)
#define LARGE_PAGE	(2 * MIB)
#define SIZE		(8 * MIB)
#define NR_VCPUS	2
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25	/* since 6.1; the libc's header is older */
#endif
/* A test's own limit: Bochs is slow. */
#define TEST_S		400

/* How often each thing is done: COUNT=4 */
static unsigned int count(void)
{
	const char *text = getenv("COUNT");

	return text && atoi(text) > 0 ? atoi(text) : 4;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* The number behind @key in a file of lines "KEY NUMBER"; without a key, the file's only number. */
static unsigned long read_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	unsigned long number = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		size_t length = key ? strlen(key) : 0;

		if (key && strncmp(line, key, length))
			continue;
		number = strtoul(line + length, NULL, 10);
		break;
	}
	if (file)
		fclose(file);
	return number;
}

/* Of the mapping that @hva begins, in kB. */
static unsigned long smaps_kb(const void *hva, const char *key)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long start, end, number = 0;
	bool here = false;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)hva >= start && (uintptr_t)hva < end;
		else if (here && !strncmp(line, key, strlen(key)))
			number += strtoul(line + strlen(key), NULL, 10);
	}
	if (file)
		fclose(file);
	return number;
}

/* @size bytes whose address is a large page's. */
static void *map_aligned(size_t size, int flags, int fd)
{
	uint8_t *at = mmap(NULL, size + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			   -1, 0);

	if (at == MAP_FAILED)
		return MAP_FAILED;
	at = (uint8_t *)(((uintptr_t)at + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1));
	return mmap(at, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

FIXTURE(pressure)
{
	struct checker checker;
	uint8_t *hva;
};

FIXTURE_SETUP(pressure)
{
	self->hva = map_aligned(SIZE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	ASSERT_NE(MAP_FAILED, self->hva);
}

FIXTURE_TEARDOWN(pressure)
{
	/* At 0 there is this program. */
	if (self->hva)
		munmap(self->hva, SIZE);
}

#define START_SIZE(size, reads, same)						\
	ASSERT_EQ(0, checker_start(&self->checker, NR_VCPUS, self->hva, size, reads, same)) \
		TH_LOG("%s: %s", dev_path(), strerror(errno))
#define START(reads, same)	START_SIZE(SIZE, reads, same)

#define END() do {								\
	const char *wrong_ = checker_end(&self->checker);			\
	EXPECT_EQ(NULL, wrong_) TH_LOG("%s", wrong_);				\
} while (0)

#define GOES_ON(rounds)								\
	ASSERT_TRUE(checker_wait(&self->checker, rounds)) {			\
		TH_LOG("%s", checker_wrong(&self->checker) ?: "it hangs");	\
		checker_end(&self->checker);					\
	}

/* Swap on a disk of compressed memory. */
static bool swap_begin(void)
{
	char header[4096] = "";
	uint32_t *info = (uint32_t *)(header + 1024);
	int fd;

	if (!write_file("/sys/block/zram0/disksize", "67108864"))
		return false;
	info[0] = 1;				/* version */
	info[1] = (64 * MIB >> 12) - 1;		/* last page */
	memcpy(header + 4086, "SWAPSPACE2", 10);
	fd = open("/dev/zram0", O_WRONLY);
	if (fd < 0 || write(fd, header, sizeof(header)) != sizeof(header))
		return false;
	close(fd);
	return !swapon("/dev/zram0", 0);
}

static void swap_end(void)
{
	swapoff("/dev/zram0");
	write_file("/sys/block/zram0/reset", "1");
}

/* This process may have so much memory from now on, and the rest is swapped out. */
static bool limit_memory(size_t size)
{
	char text[32];

	mkdir("/tmp/cgroup", 0755);
	if (mount("cgroup2", "/tmp/cgroup", "cgroup2", 0, NULL) && errno != EBUSY)
		return false;
	snprintf(text, sizeof(text), "%zu", size);
	return write_file("/tmp/cgroup/cgroup.subtree_control", "+memory") &&
	       (mkdir("/tmp/cgroup/guest", 0755) || true) &&
	       write_file("/tmp/cgroup/guest/memory.max", text) &&
	       write_file("/tmp/cgroup/guest/cgroup.procs", "0");
}

/* The guest uses all of its memory all the time, and the host has room for three quarters of it. */
TEST_F_TIMEOUT(pressure, swapped_out_and_back, TEST_S)
{
	unsigned long before;

	if (access("/sys/block/zram0", F_OK))
		SKIP(return, "this host has no zram");
	ASSERT_TRUE(swap_begin());
	ASSERT_TRUE(limit_memory(SIZE * 3 / 4)) TH_LOG("%s", strerror(errno));
	before = read_number("/proc/vmstat", "pswpout ");
	START(1, false);
	GOES_ON(count());
	EXPECT_LT(before + SIZE / VM_PAGE_SIZE, read_number("/proc/vmstat", "pswpout "));
	EXPECT_LT(SIZE / VM_PAGE_SIZE, read_number("/proc/vmstat", "pswpin "));
	END();
	write_file("/tmp/cgroup/guest/memory.max", "max");
	swap_end();
}

/* Pages of the same content become one; a write makes two of it again. */
TEST_F_TIMEOUT(pressure, merged_by_ksm, TEST_S)
{
	unsigned int merged = 0;

	ASSERT_EQ(0, madvise(self->hva, SIZE, MADV_NOHUGEPAGE));
	if (madvise(self->hva, SIZE, MADV_MERGEABLE) || !write_file("/sys/kernel/mm/ksm/run", "1"))
		SKIP(return, "this kernel has no KSM");
	ASSERT_TRUE(write_file("/sys/kernel/mm/ksm/pages_to_scan", "4096"));
	ASSERT_TRUE(write_file("/sys/kernel/mm/ksm/sleep_millisecs", "5"));
	/* Long enough between two writes for KSM to have seen a page twice. */
	START_SIZE(SIZE / 4, 2000, true);
	for (unsigned int i = 0; i < 2000 && merged < count(); i++) {
		merged += read_number("/sys/kernel/mm/ksm/pages_sharing", NULL) > 64;
		if (checker_wrong(&self->checker))
			break;
		usleep(20000);
	}
	EXPECT_LE(count(), merged);
	GOES_ON(2);
	EXPECT_TRUE(write_file("/sys/kernel/mm/ksm/run", "2"));
	GOES_ON(1);
	END();
	write_file("/sys/kernel/mm/ksm/run", "0");
}

static void split_huge_pages(void *hva)
{
	char line[96];

	/* By the kernel's own means, and where it has none by a hole in each. */
	snprintf(line, sizeof(line), "%d,0x%lx,0x%lx", getpid(), (unsigned long)hva,
		 (unsigned long)hva + SIZE);
	if (write_file("/sys/kernel/debug/split_huge_pages", line))
		return;
	for (size_t at = 0; at < SIZE; at += LARGE_PAGE)
		mprotect((uint8_t *)hva + at, VM_PAGE_SIZE, PROT_READ);
	for (size_t at = 0; at < SIZE; at += LARGE_PAGE)
		mprotect((uint8_t *)hva + at, VM_PAGE_SIZE, PROT_READ | PROT_WRITE);
}

TEST_F_TIMEOUT(pressure, huge_pages_collapse_and_split, TEST_S)
{
	unsigned int collapsed = 0;

	START(2, false);
	GOES_ON(1);
	for (unsigned int i = 0; i < count(); i++) {
		if (madvise(self->hva, SIZE, MADV_COLLAPSE) == 0 || errno == EAGAIN)
			collapsed += smaps_kb(self->hva, "AnonHugePages:") > 0;
		GOES_ON(1);
		split_huge_pages(self->hva);
		GOES_ON(1);
	}
	EXPECT_LT(0, collapsed);
	END();
}

TEST_F_TIMEOUT(pressure, hugetlbfs, TEST_S)
{
	if (!write_file("/proc/sys/vm/nr_hugepages", "6"))
		SKIP(return, "no huge pages can be reserved");
	munmap(self->hva, SIZE);
	self->hva = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (self->hva == MAP_FAILED)
		SKIP(return, "there are no four huge pages");
	START(2, false);
	for (unsigned int i = 0; i < count(); i++) {
		pid_t pid;

		/* A child shares them, and what is written then is copied: as far as there are pages. */
		GOES_ON(1);
		pid = fork();
		if (!pid) {
			usleep(20000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	GOES_ON(2);
	END();
	munmap(self->hva, SIZE);
	self->hva = NULL;
	EXPECT_TRUE(write_file("/proc/sys/vm/nr_hugepages", "0"));
}

/* Shared memory that the host swaps, and that a second mapping sees. */
TEST_F_TIMEOUT(pressure, memfd, TEST_S)
{
	bool swap = !access("/sys/block/zram0", F_OK) && swap_begin();
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint64_t *other;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	munmap(self->hva, SIZE);
	self->hva = map_aligned(SIZE, MAP_SHARED, fd);
	other = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, self->hva);
	ASSERT_NE(MAP_FAILED, other);
	START(2, false);
	for (unsigned int i = 0; i < count(); i++) {
		GOES_ON(1);
		EXPECT_EQ(0, madvise(self->hva, SIZE, MADV_PAGEOUT));
		EXPECT_EQ(0, madvise(self->hva, SIZE, MADV_DONTNEED));
	}
	GOES_ON(1);
	END();
	/* The content is a pattern of page addresses: the other mapping has it, page for page. */
	for (size_t page = 1; page < SIZE / NR_VCPUS / VM_PAGE_SIZE; page++)
		ASSERT_GE(2, other[page * 512] - other[(page - 1) * 512] - VM_PAGE_SIZE + 1);
	munmap(other, SIZE);
	close(fd);
	if (swap)
		swap_end();
}

struct server {
	int fd;
	uint8_t *hva;
	uint8_t *store;		/* where a page's content is while the guest does not have it */
	atomic_bool stop;
	atomic_ulong served;
};

/* Brings in the page of each fault: what was saved of it, or zeros. */
static void *serve(void *arg)
{
	struct server *s = arg;

	while (!atomic_load(&s->stop)) {
		struct pollfd poll_fd = { .fd = s->fd, .events = POLLIN };
		struct uffdio_copy copy = { .len = VM_PAGE_SIZE };
		struct uffd_msg msg;

		if (poll(&poll_fd, 1, 20) <= 0 || read(s->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		copy.dst = msg.arg.pagefault.address & ~(VM_PAGE_SIZE - 1);
		copy.src = (uintptr_t)s->store + (copy.dst - (uintptr_t)s->hva);
		ioctl(s->fd, UFFDIO_COPY, &copy);
		atomic_fetch_add(&s->served, 1);
	}
	return NULL;
}

static bool server_start(struct server *s, uint8_t *hva, pthread_t *thread)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)hva, .len = SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	s->hva = hva;
	s->store = page_alloc(SIZE);
	s->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return s->store && s->fd >= 0 && !ioctl(s->fd, UFFDIO_API, &api) &&
	       !ioctl(s->fd, UFFDIO_REGISTER, &range) && !pthread_create(thread, NULL, serve, s);
}

/*
 * The memory moves to the store and back: all vCPUs stop, their pages are saved and dropped, and each comes back
 * when it is touched, as in post-copy migration.
 */
TEST_F_TIMEOUT(pressure, served_by_userfaultfd, TEST_S)
{
	struct server server = { .fd = -1 };
	pthread_t thread;

	ASSERT_TRUE(server_start(&server, self->hva, &thread)) TH_LOG("%s", strerror(errno));
	START(1, false);
	GOES_ON(1);
	for (unsigned int i = 0; i < count(); i++) {
		ASSERT_TRUE(checker_hold(&self->checker));
		memcpy(server.store, self->hva, SIZE);
		ASSERT_EQ(0, madvise(self->hva, SIZE, MADV_DONTNEED));
		checker_release(&self->checker);
		GOES_ON(2);
	}
	END();
	EXPECT_LE(count() * SIZE / VM_PAGE_SIZE, atomic_load(&server.served));
	atomic_store(&server.stop, true);
	pthread_join(thread, NULL);
	close(server.fd);
	munmap(server.store, SIZE);
}

/* All at once, and the VMM forks meanwhile: pages are shared with the child until one of the two writes. */
TEST_F_TIMEOUT(pressure, forks_under_load, TEST_S)
{
	bool swap = !access("/sys/block/zram0", F_OK) && swap_begin();

	START(2, false);
	for (unsigned int i = 0; i < 2 * count(); i++) {
		pid_t pid;

		GOES_ON(1);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			madvise(self->hva, SIZE, MADV_PAGEOUT);
			memset(self->hva, 0xaa, SIZE / 2);
			_exit(0);
		}
		madvise(self->hva, SIZE, i & 1 ? MADV_COLLAPSE : MADV_PAGEOUT);
		GOES_ON(1);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	}
	END();
	if (swap)
		swap_end();
}

TEST_HARNESS_MAIN
