// SPDX-License-Identifier: GPL-2.0-only
/*
 * tasks NAME: what a kernel owes to its tasks, asked from inside of one. Prints "NAME: ok" or what was wrong.
 *
 * For kernels that run their tasks in a guest (gVisor): each of these depends on the guest's page tables, exceptions or
 * registers, or on a vCPU that is called out of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define MIB (1UL << 20)

static __attribute__((noreturn, format(printf, 1, 2))) void wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		wrong("mmap: %s", strerror(errno));
	return p;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Signals that an instruction raises */

static __thread sigjmp_buf back;
static __thread volatile siginfo_t seen;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	seen = *info;
	siglongjmp(back, 1);
}

static void catch(int number)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(number, &action, NULL);
}

/* The signal that it ends in, 0 without one. */
#define RAISES(...)						\
	(seen.si_signo = 0, sigsetjmp(back, 1) ? 0 : ({ __VA_ARGS__; 0; }), seen.si_signo)

static void divide_by_zero(void)
{
	int quotient = 1;

	asm volatile("idivl %2" : "+a" (quotient) : "d" (0), "r" (0));
}

static void is_denied(const char *what, volatile char *at, int writes)
{
	int number = RAISES(if (writes) *at = 1; else (void)*at);

	if (number != SIGSEGV || seen.si_addr != at)
		wrong("%s: signal %d at %p, not %p", what, number, seen.si_addr, (void *)at);
}

static void test_signals(void)
{
	char *p = map(2 * PAGE);

	catch(SIGSEGV);
	catch(SIGFPE);
	catch(SIGILL);
	catch(SIGTRAP);
	is_denied("a read at 0", NULL, 0);
	mprotect(p, PAGE, PROT_READ);
	is_denied("a write to what can be read", p + 5, 1);
	mprotect(p, PAGE, PROT_NONE);
	is_denied("a read of what can't", p + 6, 0);
	if (RAISES(((void (*)(void))(p + PAGE))()) != SIGSEGV)
		wrong("data are executed");
	munmap(p, PAGE);
	is_denied("a read of what is unmapped", p + 7, 0);
	if (RAISES(divide_by_zero()) != SIGFPE)
		wrong("a division by 0 raises %d", seen.si_signo);
	if (RAISES(asm volatile("ud2")) != SIGILL)
		wrong("UD2 raises %d", seen.si_signo);
	if (RAISES(asm volatile("int3")) != SIGTRAP)
		wrong("INT3 raises %d", seen.si_signo);
	if (RAISES(asm volatile("cli")) != SIGSEGV)
		wrong("CLI raises %d", seen.si_signo);
}

/* A task that has no handler dies of it, and its parent is told. */
static void test_deaths(void)
{
	static const int numbers[] = { SIGSEGV, SIGFPE, SIGILL };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			if (numbers[i] == SIGSEGV)
				*(volatile char *)PAGE = 1;
			else if (numbers[i] == SIGFPE)
				divide_by_zero();
			else
				asm volatile("ud2");
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != numbers[i])
			wrong("status %#x where signal %d was due", status, numbers[i]);
	}
}

/* Memory */

static void fill(uint64_t *p, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size / 8; i++)
		p[i] = seed + i * 0x9e3779b97f4a7c15;
}

static int holds(const uint64_t *p, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size / 8; i++)
		if (p[i] != seed + i * 0x9e3779b97f4a7c15)
			return 0;
	return 1;
}

static void test_memory(void)
{
	enum { PIECES = 64 };
	char *base = map(PIECES * MIB);
	char *heap = sbrk(0);
	uint64_t *moved;
	int i;

	for (i = 0; i < PIECES; i++)
		fill((uint64_t *)(base + i * MIB), MIB, i);
	for (i = 0; i < PIECES; i += 2)
		munmap(base + i * MIB, MIB);
	for (i = 0; i < PIECES; i += 2) {
		char *p = mmap(base + i * MIB, MIB, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

		if (*(uint64_t *)p || *(uint64_t *)(p + MIB - 8))
			wrong("piece %d is not zero when it is mapped anew", i);
		fill((uint64_t *)p, MIB, i + 1000);
	}
	for (i = 0; i < PIECES; i++)
		if (!holds((uint64_t *)(base + i * MIB), MIB, i & 1 ? i : i + 1000))
			wrong("piece %d is not what was written", i);
	moved = mremap(base, MIB, 4 * MIB, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED || !holds(moved, MIB, 1000) || moved[4 * MIB / 8 - 1])
		wrong("mremap has lost something");
	if (brk(heap + 8 * MIB))
		wrong("brk: %s", strerror(errno));
	fill((uint64_t *)heap, 8 * MIB, 7);
	brk(heap + 4 * MIB);
	brk(heap + 8 * MIB);
	if (!holds((uint64_t *)heap, 4 * MIB, 7) || *(uint64_t *)(heap + 4 * MIB))
		wrong("the heap is not what it was");
}

/* What a fork shares is each one's own as soon as one writes; what is mapped as shared stays shared. */
static void test_forks(void)
{
	enum { CHILDREN = 40 };
	uint64_t *own = map(MIB);
	_Atomic uint64_t *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, i;

	fill(own, MIB, 1);
	for (i = 0; i < CHILDREN; i++)
		if (!fork()) {
			if (!holds(own, MIB, 1))
				_exit(1);
			fill(own, MIB, 100 + i);
			atomic_fetch_add(shared, i);
			sched_yield();
			_exit(holds(own, MIB, 100 + i) ? 0 : 2);
		}
	for (i = 0; i < CHILDREN; i++)
		if (wait(&status) < 0 || status)
			wrong("a child's memory is not its own: status %#x", status);
	if (!holds(own, MIB, 1))
		wrong("a child wrote into its parent's memory");
	if (*shared != CHILDREN * (CHILDREN - 1) / 2)
		wrong("shared memory has the sum %lu", *shared);
}

/* Threads */

static void both(void *(*one)(void *), void *(*two)(void *))
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, one, (void *)0);
	pthread_create(&threads[1], NULL, two, (void *)1);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}

static _Atomic unsigned long word;

/* On one CPU each of them would wait for the other's time to run out. */
static void *hand_over(void *parity)
{
	while (word < 100000)
		if ((word & 1) == (unsigned long)parity)
			word++;
	return NULL;
}

static void test_spin(void)
{
	double began = now();

	both(hand_over, hand_over);
	printf("# 100000 times in %.1f s\n", now() - began);
	if (now() - began > 60)
		wrong("two threads did not run at the same time");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *sleep_and_wake(void *parity)
{
	pthread_mutex_lock(&mutex);
	while (word < 2000) {
		if ((word & 1) == (unsigned long)parity) {
			word++;
			pthread_cond_signal(&changed);
		} else {
			pthread_cond_wait(&changed, &mutex);
		}
	}
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void test_sleep(void)
{
	both(sleep_and_wake, sleep_and_wake);
}

/* What one thread unmaps, the other one must not reach any more, also where it does nothing but read. */
static char *page;
static _Atomic int at_it;

static void *reader(void *unused)
{
	(void)unused;
	while (word < 200) {
		unsigned long before = word;

		if (RAISES(for (;;) { (void)*(volatile char *)page; at_it = 1; }) != SIGSEGV || seen.si_addr != page)
			wrong("the reader gets signal %d", seen.si_signo);
		at_it = 0;
		while (word == before)
			;
	}
	return NULL;
}

static void *changer(void *unused)
{
	(void)unused;
	while (word < 200) {
		while (!at_it)
			;
		if (word & 1)
			mprotect(page, PAGE, PROT_NONE);
		else
			munmap(page, PAGE);
		while (at_it)
			;
		if (mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			wrong("mmap: %s", strerror(errno));
		word++;
	}
	return NULL;
}

static void test_unmapped(void)
{
	catch(SIGSEGV);
	page = map(PAGE);
	both(reader, changer);
}

/* Each of more threads than there are CPUs has registers of its own, whoever else is let onto its CPU. */
static void *keep(void *number)
{
	uint64_t value = 0x1111111111111111 * (1 + (uint64_t)number), found[5];
	static __thread uint64_t local;
	uint32_t mxcsr = 0x1f80 | ((uint64_t)number & 3) << 13, mxcsr_after;
	uint16_t control = 0x37f & ~((uint64_t)number << 8 & 0x300), control_after;
	double until = now() + 3;

	local = value;
	asm volatile("ldmxcsr %0; fldcw %1" : : "m" (mxcsr), "m" (control));
	while (now() < until) {
		asm volatile("mov %[v], %%r12; mov %[v], %%r15; movq %[v], %%xmm3; movq %[v], %%xmm15; movq %[v], %%mm5\n"
			     "mov $200000, %%ecx; 1: dec %%ecx; jnz 1b\n"
			     "mov %%r12, 0(%[f]); mov %%r15, 8(%[f])\n"
			     "movq %%xmm3, 16(%[f]); movq %%xmm15, 24(%[f]); movq %%mm5, 32(%[f]); emms"
			     : : [v] "D" (value), [f] "S" (found)
			     : "rcx", "r12", "r15", "xmm3", "xmm15", "mm5", "memory", "cc");
		asm volatile("stmxcsr %0; fnstcw %1" : "=m" (mxcsr_after), "=m" (control_after));
		for (int i = 0; i < 5; i++)
			if (found[i] != value)
				wrong("register %d of thread %lu is %#lx", i, (uint64_t)number, found[i]);
		if ((mxcsr_after ^ mxcsr) & 0x6000 || control_after != control)
			wrong("thread %lu has MXCSR %#x, x87 control word %#x", (uint64_t)number, mxcsr_after, control_after);
		if (local != value)
			wrong("thread %lu has another one's FS base", (uint64_t)number);
	}
	return NULL;
}

static void test_registers(void)
{
	pthread_t threads[6];

	for (uint64_t i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, keep, (void *)i);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
}

/* Time */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* A task that makes no system call is called out of the guest for a timer's signal. */
static void test_alarm(void)
{
	struct itimerval each = { { 0, 20000 }, { 0, 20000 } };
	double until = now() + 60;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &each, NULL);
	while (alarms < 50 && now() < until)
		;
	if (alarms < 50)
		wrong("%d signals came where 50 were due", (int)alarms);
}

static _Atomic uint64_t latest;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

static void *look(void *unused)
{
	double until = now() + 2;

	(void)unused;
	while (now() < until) {
		uint64_t before = latest, t = now_ns();

		if (t < before)
			wrong("the clock is %lu ns behind what another thread has seen", before - t);
		while (before < t && !atomic_compare_exchange_weak(&latest, &before, t))
			;
	}
	return NULL;
}

static void test_clock(void)
{
	struct timespec pause = { 0, 300000000 };
	uint64_t t = now_ns();

	nanosleep(&pause, NULL);
	t = now_ns() - t;
	if (t < 300000000)
		wrong("300 ms have taken %lu ns", t);
	both(look, look);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "signals", test_signals },
	{ "deaths", test_deaths },
	{ "memory", test_memory },
	{ "forks", test_forks },
	{ "spin", test_spin },
	{ "sleep", test_sleep },
	{ "unmapped", test_unmapped },
	{ "registers", test_registers },
	{ "alarm", test_alarm },
	{ "clock", test_clock },
};

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc == 2 && i < sizeof(tests) / sizeof(*tests); i++) {
		if (strcmp(argv[1], tests[i].name))
			continue;
		tests[i].run();
		printf("%s: ok\n", argv[1]);
		return 0;
	}
	return 2;
}
