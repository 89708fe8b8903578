// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random and structured ioctls at the device node, from several threads, around guests that run
 * random code: `make test-ioctls`, by the hour `make soak HOURS=8`, each on one kind of host with
 * VENDOR=.
 *
 * One sequence is one process: some hundred operations of each of its threads on the VMs, vCPUs,
 * eventfds and memory that they share; some are killed in the middle. What each thread tries
 * follows from the seed (printed first) alone. To see a sequence again, in an emulated host of
 * `make shell`:
 *
 *   ioctls --seed S --sequence N [--trace]		its threads as they were
 *   ioctls --seed S --sequence N --single --trace	the same operations, one after the other
 *
 * It has failed when a thread makes no progress, when a process cannot be killed, when the module
 * is still in use after a process has ended, or when the host's memory dwindles. What the host's
 * kernel has to say is for whoever reads its console: selftests/run.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NR_ACTORS	4
#define OPS_PER_ACTOR	150
#define STUCK_S		30
#define IDLE_S		10
/* What a kernel with many processes behind it may have taken for its caches. */
#define LEAK_KB		16384
#define SETTLED		20	/* sequences until memory is looked at */
#define TICK_NS		4000000L
#define MEMINFO_LINES	80

struct meminfo {
	char name[MEMINFO_LINES][32];
	long kb[MEMINFO_LINES];
	unsigned int lines;
};

static struct {
	uint64_t seed;
	long seconds, sequence;
	bool single, trace;
	int slower;			/* this much more time for everything */
	const char *node, *module;
} options = { .seconds = 120, .sequence = -1, .slower = 1 };

static const struct op *ops[64];
static unsigned int nr_ops, all_weights;
static struct progress *progress;
static cpu_set_t cpus;

static void add_ops(const struct op *list)
{
	for (; list->name; list++) {
		ops[nr_ops++] = list;
		all_weights += list->weight;
	}
}

static unsigned int choose_op(struct rng *r)
{
	unsigned int at = rng_below(r, all_weights), i = 0;

	while (at >= ops[i]->weight)
		at -= ops[i++]->weight;
	return i;
}

/* --- inside a sequence --- */

struct thread {
	struct world *w;
	pthread_t thread;
	uint64_t seed;
	struct actor actor;
};

static void one_op(struct thread *t, unsigned int n)
{
	struct rng r = rng_split(t->seed, n);
	struct actor *a = &t->actor;
	unsigned int op = choose_op(&r);
	long ret;

	a->r = &r;
	__atomic_store_n(&progress->running[a->index], op, __ATOMIC_RELAXED);
	__atomic_fetch_add(&progress->ops[a->index], 1, __ATOMIC_RELAXED);
	if (options.trace)
		fprintf(stderr, "# %d %u %s\n", a->index, n, ops[op]->name);
	errno = 0;
	ret = ops[op]->fn(a);
	__atomic_fetch_add(&progress->done[op][ret >= 0], 1, __ATOMIC_RELAXED);
	if (options.trace)
		fprintf(stderr, "# %d %u = %ld %s\n", a->index, n, ret,
			ret < 0 ? strerror(errno) : "");
}

/* What ends the thread's runs: its own timer's signal, which does nothing but arrive. */
static void start_ticking(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	long ns = TICK_NS * options.slower;
	struct itimerspec every = { .it_interval.tv_nsec = ns, .it_value.tv_nsec = ns };
	timer_t timer;

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL))
		_exit(3);
}

static void *act(void *arg)
{
	struct thread *t = arg;

	start_ticking();
	for (unsigned int n = 0; n < OPS_PER_ACTOR; n++)
		one_op(t, n);
	return NULL;
}

static void tick(int signal)
{
	(void)signal;
}

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	return p;
}

static struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		_exit(3);
	memset(w->sys, -1, sizeof(w->sys));
	memset(w->vm, -1, sizeof(w->vm));
	memset(w->vcpu, -1, sizeof(w->vcpu));
	memset(w->eventfd, -1, sizeof(w->eventfd));
	w->node = options.node;
	w->progress = progress;
	w->cpus = cpus;
	w->sys[0] = open(w->node, O_RDWR | O_CLOEXEC);
	w->run_size = ioctl(w->sys[0], KVM_GET_VCPU_MMAP_SIZE, 0);
	if (w->run_size < (long)(2 * PAGE_SIZE))
		_exit(3);
	w->memfd = memfd_create("area", MFD_CLOEXEC);
	if (ftruncate(w->memfd, AREA_SIZE))
		_exit(3);
	for (int i = 0; i < NR_VCPUS; i++)
		w->run[i] = reserve(w->run_size);
	for (int i = 0; i < NR_AREAS; i++) {
		/* Aligned, for large pages. */
		w->area[i] = reserve(2 * AREA_SIZE);
		w->area[i] += -(uintptr_t)w->area[i] & (AREA_SIZE - 1);
		mprotect(w->area[i], AREA_SIZE, PROT_READ | PROT_WRITE);
	}
	return w;
}

static void sequence(uint64_t seed)
{
	struct sigaction action = { .sa_handler = tick };
	struct world *w = new_world();
	struct thread threads[NR_ACTORS];
	struct rng r = rng_split(seed, 1000);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < NR_ACTORS; i++) {
		struct actor *a = &threads[i].actor;

		threads[i].w = w;
		threads[i].seed = rng64(&r);
		*a = (struct actor) { .w = w, .index = i };
		a->buffer = reserve(BUFFER_SIZE + BEHIND_SIZE);
		mprotect(a->buffer, BUFFER_SIZE, PROT_READ | PROT_WRITE);
	}
	threads[0].actor.r = &r;
	world_setup(&threads[0].actor);
	if (options.single) {
		start_ticking();
		for (unsigned int n = 0; n < OPS_PER_ACTOR * NR_ACTORS; n++)
			one_op(&threads[n % NR_ACTORS], n / NR_ACTORS);
		_exit(0);
	}
	for (int i = 0; i < NR_ACTORS; i++)
		if (pthread_create(&threads[i].thread, NULL, act, &threads[i]))
			_exit(3);
	for (int i = 0; i < NR_ACTORS; i++)
		pthread_join(threads[i].thread, NULL);
	_exit(0);
}

/* --- the supervisor --- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void show_file(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		printf("#   %s", line);
	if (f)
		fclose(f);
}

/* Which operations a process is in, and where in the kernel. */
static void show_stuck(pid_t pid)
{
	char path[64];

	for (int i = 0; i < NR_ACTORS; i++)
		printf("# thread %d: %lu operations, in %s\n", i, progress->ops[i],
		       ops[progress->running[i]]->name);
	for (int i = 0; i < 3 * NR_ACTORS; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stack", pid, pid + i);
		show_file(path);
	}
}

/*
 * Waits for a process. True when it ended; false when none of its threads has moved for too long.
 */
static bool wait_for(pid_t pid, double kill_at)
{
	uint64_t seen = 0, sum;
	double moved = now_s();
	int status;

	for (;;) {
		pid_t done = waitpid(pid, &status, WNOHANG);

		if (done == pid)
			return !WIFEXITED(status) || WEXITSTATUS(status) == 0;
		if (now_s() > kill_at) {
			kill(pid, SIGKILL);
			kill_at = 1e18;
		}
		sum = 0;
		for (int i = 0; i < NR_ACTORS; i++)
			sum += __atomic_load_n(&progress->ops[i], __ATOMIC_RELAXED);
		if (sum != seen)
			moved = now_s();
		seen = sum;
		if (now_s() > moved + STUCK_S * options.slower)
			return false;
		usleep(2000);
	}
}

/* The module's users; -1 when it cannot be asked. */
static long users(void)
{
	char path[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", options.module);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

/* What a process had is given back when it ends, some of it a little later. */
static bool module_is_idle(void)
{
	double begun = now_s();

	while (users() > 0) {
		if (now_s() > begun + IDLE_S * options.slower)
			return false;
		usleep(2000);
	}
	return true;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return;
	fputs(text, f);
	fclose(f);
}

/* /proc/meminfo, in kB; what the kernel keeps only for speed is given back before. */
static void read_meminfo(struct meminfo *m)
{
	FILE *f;

	write_text("/proc/sys/vm/drop_caches", "3");
	write_text("/proc/sys/vm/compact_memory", "1");	/* and CPUs' own lists of free pages */
	memset(m, 0, sizeof(*m));
	f = fopen("/proc/meminfo", "r");
	while (f && m->lines < MEMINFO_LINES &&
	       fscanf(f, "%31[^:]: %ld%*[^\n]\n", m->name[m->lines], &m->kb[m->lines]) == 2)
		m->lines++;
	if (f)
		fclose(f);
}

/* Memory that is free or could be made so. */
static long available_kb(const struct meminfo *m)
{
	static const char *const names[] = { "MemFree", "Buffers", "Cached", "SReclaimable" };
	long kb = 0;

	for (unsigned int i = 0; i < m->lines; i++)
		for (unsigned int n = 0; n < sizeof(names) / sizeof(*names); n++)
			if (!strcmp(m->name[i], names[n]))
				kb += m->kb[i];
	return kb;
}

/*
 * Does the host come to have as much as it had? What is freed after a grace period or by a worker
 * may take a while.
 */
static bool memory_is_back(const struct meminfo *before)
{
	double begun = now_s();
	struct meminfo after;
	long gone_kb;

	for (;;) {
		read_meminfo(&after);
		gone_kb = available_kb(before) - available_kb(&after);
		if (gone_kb <= LEAK_KB || now_s() > begun + IDLE_S * options.slower)
			break;
		sleep(1);
	}
	printf("# available: %ld kB after %d sequences, %ld kB at the end\n", available_kb(before),
	       SETTLED, available_kb(&after));
	for (unsigned int i = 0; i < after.lines; i++)
		if (labs(after.kb[i] - before->kb[i]) > LEAK_KB / 16)
			printf("# %s: %ld kB, then %ld kB\n", after.name[i], before->kb[i],
			       after.kb[i]);
	return gone_kb <= LEAK_KB;
}

/* One sequence in a process of its own. NULL, or what went wrong. */
static const char *run_sequence(uint64_t number)
{
	struct rng r = rng_split(options.seed, number);
	uint64_t seed = rng64(&r);
	double kill_at =
		rng_one_in(&r, 4) ? now_s() + rng_below(&r, 300) * options.slower / 1e3 : 1e18;
	pid_t pid;

	memset(progress->ops, 0, sizeof(progress->ops));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return "no process can be made";
	if (!pid)
		sequence(seed);
	if (!wait_for(pid, options.single ? 1e18 : kill_at)) {
		show_stuck(pid);
		kill(pid, SIGKILL);
		return "it hangs";
	}
	if (!module_is_idle())
		return "the module is in use after it";
	return NULL;
}

static void report(uint64_t sequences)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nr_ops; i++)
		sum += progress->done[i][0] + progress->done[i][1];
	printf("# %lu sequences, %lu operations; refused/done:", sequences, sum);
	for (unsigned int i = 0; i < nr_ops; i++)
		printf(" %s %lu/%lu", ops[i]->name, progress->done[i][0], progress->done[i][1]);
	printf("\n# runs by exit reason:");
	for (int i = 0; i < 64; i++)
		if (progress->exits[i])
			printf(" %d:%lu", i, progress->exits[i]);
	printf(" (63: errors)\n");
}

static int fuzz(void)
{
	double end = now_s() + options.seconds, said = now_s();
	const char *trouble = NULL;
	struct meminfo before = { 0 };
	bool back;
	uint64_t n;

	printf("TAP version 13\n1..2\n# seed %lu\n", options.seed);
	for (n = 0; now_s() < end && !trouble; n++) {
		if (n == SETTLED)
			read_meminfo(&before);
		if (now_s() > said + 30) {
			said = now_s();
			printf("# sequence %lu\n", n);
		}
		trouble = run_sequence(n);
		if (trouble)
			printf("# sequence %lu of seed %lu: %s\n", n, options.seed, trouble);
	}
	report(n);
	printf("%sok 1 every sequence ends, and leaves nothing in use\n", trouble ? "not " : "");
	if (!before.lines || trouble) {
		printf("ok 2 the host has its memory back # SKIP too few sequences\n");
		return !!trouble;
	}
	back = memory_is_back(&before);
	printf("%sok 2 the host has its memory back\n", back ? "" : "not ");
	return !back;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && strtoull(text, NULL, 0) ? strtoull(text, NULL, 0) : otherwise;
}

static void read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", 1, NULL, 's' }, { "seconds", 1, NULL, 't' }, { "sequence", 1, NULL, 'n' },
		{ "single", 0, NULL, '1' }, { "trace", 0, NULL, 'v' }, { 0 },
	};
	int c;

	if (getrandom(&options.seed, sizeof(options.seed), 0) < 0)
		options.seed = time(NULL);
	options.seed = number_from("OST_FUZZ_SEED", options.seed >> 32);
	options.seconds = number_from("OST_FUZZ_SECONDS", options.seconds);
	options.slower = number_from("OST_SLOWER", 1);
	options.node = getenv("OST_DEVICE") ?: "/dev/ostler";
	options.module = strrchr(options.node, '/') ? strrchr(options.node, '/') + 1 : options.node;
	if (!strcmp(options.module, "kvm"))
		options.module = access("/sys/module/kvm_intel", F_OK) ? "kvm_amd" : "kvm_intel";
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 's')
			options.seed = strtoull(optarg, NULL, 0);
		else if (c == 't')
			options.seconds = atol(optarg);
		else if (c == 'n')
			options.sequence = atol(optarg);
		else if (c == '1')
			options.single = true;
		else if (c == 'v')
			options.trace = true;
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *trouble;

	read_options(argc, argv);
	add_ops(vm_ops);
	add_ops(vcpu_ops);
	add_ops(memory_ops);
	add_ops(msr_ops);
	add_ops(other_ops);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (progress == MAP_FAILED)
		return 3;
	if (options.sequence < 0)
		return fuzz();
	trouble = run_sequence(options.sequence);
	report(1);
	printf("%s\n", trouble ?: "done");
	return !!trouble;
}
