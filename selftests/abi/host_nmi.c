// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that takes no exit of its own keeps nothing of the host's from its CPU: NMIs reach the host's own
 * handler with registers that say where the CPU was, and perf's samples of the thread come as of any other.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define NMIS		20
#define SAMPLE_US	1000
#define SAMPLE_S	2
#define RING_PAGES	64

GUEST_CODE(count, 64, "1: incq 0x10000\n jmp 1b\n");

FIXTURE(busy)
{
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t thread;
	pid_t tid;
	bool stop;
};

static int last_cpu(void)
{
	cpu_set_t set;
	int cpu = CPU_SETSIZE - 1;

	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu--;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -1 : cpu;
}

static void on_signal(int signal)
{
	(void)signal;
}

/* Its affinity is that of the thread that starts it. */
static void *run_guest(void *arg)
{
	FIXTURE_DATA(busy) *self = arg;

	__atomic_store_n(&self->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED))
		ioctl(self->vcpu->fd, KVM_RUN, 0);
	return NULL;
}

static uint64_t guest_count(struct vm *vm)
{
	return __atomic_load_n((uint64_t *)(vm->mem + VM_DATA_GPA), __ATOMIC_RELAXED);
}

/* Has the guest done more than `from` within a few seconds? */
static bool goes_on(struct vm *vm, uint64_t from)
{
	int i;

	for (i = 0; i < 500 && guest_count(vm) <= from; i++)
		usleep(10000);
	return guest_count(vm) > from;
}

FIXTURE_SETUP(busy)
{
	struct sigaction act = { .sa_handler = on_signal };

	self->stop = false;
	self->tid = 0;
	sigaction(SIGUSR1, &act, NULL);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, count);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, run_guest, self));
	ASSERT_TRUE(goes_on(&self->vm, 0));
}

FIXTURE_TEARDOWN(busy)
{
	self->vcpu->run->immediate_exit = 1;
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	pthread_kill(self->thread, SIGUSR1);
	pthread_join(self->thread, NULL);
	vm_close(&self->vm);
}

static int pin_to(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set);
}

/*
 * What the backtrace of `cpu` since `kmsg` was opened says: 1 when its first RIP is in a module that
 * holds the guest, 0 when it is elsewhere, -1 when there is no such backtrace.
 */
static int backtrace_in_module(int kmsg, int cpu)
{
	char record[8192], begin[64];
	bool ours = false;
	int i, tries, in_module = -1;
	const char *text;
	ssize_t n;

	snprintf(begin, sizeof(begin), "NMI backtrace for cpu %d", cpu);
	for (tries = 0; tries < 200 && in_module < 0; tries++) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0) {
			usleep(10000);
			continue;
		}
		record[n] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		i = strlen(begin);
		if (strstr(text, "NMI backtrace for cpu "))
			ours = !strncmp(text + 1, begin, i) && strchr("\n ", text[1 + i]);
		else if (ours && strstr(text, "RIP: 0010:"))
			in_module = !!strchr(text, '[');
	}
	return in_module;
}

TEST_F(busy, nmis_reach_the_host)
{
	int kmsg, sysrq, i, cpu = last_cpu(), there = 0, seen = 0, in_module;
	uint64_t before = guest_count(&self->vm);

	ASSERT_LE(0, cpu);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || cpu == 0)
		SKIP(return, "the CPU that asks for the backtraces gets no NMI");
	ASSERT_EQ(0, pin_to(self->tid, cpu));
	ASSERT_EQ(0, pin_to(0, cpu - 1)) TH_LOG("%s", strerror(errno));
	sysrq = open("/proc/sysrq-trigger", O_WRONLY);
	ASSERT_LE(0, sysrq);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, kmsg);
	for (i = 0; i < NMIS; i++) {
		lseek(kmsg, 0, SEEK_END);
		ASSERT_EQ(1, write(sysrq, "l", 1));
		in_module = backtrace_in_module(kmsg, cpu);
		seen += in_module >= 0;
		there += in_module > 0;
		usleep(20000);
	}
	close(kmsg);
	close(sysrq);
	TH_LOG("%d of %d backtraces, %d from the run of the guest", seen, NMIS, there);
	EXPECT_EQ(NMIS, seen);
	/* The others met the CPU in a timer's interrupt. */
	EXPECT_LE(NMIS / 2, there);
	EXPECT_TRUE(goes_on(&self->vm, guest_count(&self->vm)));
	EXPECT_LT(before, guest_count(&self->vm));
}

struct samples {
	unsigned long nr, lost, in_guest;
};

/* Every sample in the ring: its header, and the IP alone. */
static void take_samples(struct perf_event_mmap_page *page, struct samples *s)
{
	const uint8_t *data = (uint8_t *)page + VM_PAGE_SIZE;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), at = page->data_tail;

	while (at < head) {
		struct {
			struct perf_event_header header;
			uint64_t ip;
		} sample;
		size_t i, size = RING_PAGES * VM_PAGE_SIZE;

		for (i = 0; i < sizeof(sample); i++)
			((uint8_t *)&sample)[i] = data[(at + i) % size];
		at += sample.header.size;
		if (sample.header.type == PERF_RECORD_LOST)
			s->lost++;
		if (sample.header.type != PERF_RECORD_SAMPLE)
			continue;
		s->nr++;
		/* No code of the host's is there. */
		s->in_guest += sample.ip < VM_MEM_SIZE;
	}
	__atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
}

TEST_F(busy, perf_samples_the_thread)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = SAMPLE_US * 1000, .sample_type = PERF_SAMPLE_IP,
	};
	uint64_t count = guest_count(&self->vm);
	struct perf_event_mmap_page *page;
	struct samples s = {};
	struct timespec cpu_time[2];
	clockid_t clock;
	double ran;
	int fd, i;

	fd = syscall(SYS_perf_event_open, &attr, self->tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		SKIP(return, "no perf events");
	page = mmap(NULL, (1 + RING_PAGES) * VM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)page);
	ASSERT_EQ(0, pthread_getcpuclockid(self->thread, &clock));
	clock_gettime(clock, &cpu_time[0]);
	for (i = 0; i < SAMPLE_S * 10; i++) {
		usleep(100000);
		take_samples(page, &s);
	}
	clock_gettime(clock, &cpu_time[1]);
	ran = cpu_time[1].tv_sec - cpu_time[0].tv_sec +
	      (cpu_time[1].tv_nsec - cpu_time[0].tv_nsec) / 1e9;
	TH_LOG("%lu samples in %.2f s of CPU time, %lu lost", s.nr, ran, s.lost);
	/*
	 * One a millisecond that it ran; the host's tick and the emulator's time are coarse, a kernel whose
	 * interrupts take long takes fewer, and so does an emulator that shares its CPU with three others.
	 */
	EXPECT_LE(ran * 1e6 / SAMPLE_US * 0.02 / vm_slower(), s.nr);
	EXPECT_GE(ran * 1e6 / SAMPLE_US * 1.5 + 10, s.nr);
	/* Stock KVM tells perf where the guest was; docs/decisions.md has why we do not. */
	if (!dev_is_reference())
		EXPECT_EQ(0UL, s.in_guest);
	EXPECT_TRUE(goes_on(&self->vm, guest_count(&self->vm)));
	EXPECT_LT(count, guest_count(&self->vm));
	munmap(page, (1 + RING_PAGES) * VM_PAGE_SIZE);
	close(fd);
}

TEST_HARNESS_MAIN
