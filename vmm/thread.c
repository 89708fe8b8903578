// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

#include "thread.h"

/* Many times what any thread needs; the default of 8 MiB would only be address space. */
#define STACK_SIZE	(64 * 1024)

/* A fault whose signal is blocked kills without the handler that puts the terminal in order. */
static const int own_signals[] = {
	THREAD_KICK_SIGNAL, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS,
};

static void on_kick(int signal)
{
	(void)signal;
}

void thread_init(void)
{
	/* No SA_RESTART: a vCPU that waits in write() to a stuck terminal has to come back, too. */
	struct sigaction action = { .sa_handler = on_kick };

	sigaction(THREAD_KICK_SIGNAL, &action, NULL);
}

int thread_start(pthread_t *thread, void *(*function)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t blocked, old;
	int error;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(own_signals) / sizeof(own_signals[0]); i++)
		sigdelset(&blocked, own_signals[i]);
	error = pthread_attr_init(&attr);
	if (error)
		return error;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	/* A thread begins with its creator's mask. */
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	error = pthread_create(thread, &attr, function, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return error;
}
