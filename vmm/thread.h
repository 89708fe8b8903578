/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads beside the main one, which takes all signals but the two kinds that concern a thread. */
#ifndef VMM_THREAD_H
#define VMM_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Interrupts a system call of the thread it is sent to, and does nothing else. */
#define THREAD_KICK_SIGNAL	SIGUSR1

/*
 * Start @function(@arg) on a thread with a small stack (64 KiB). It takes THREAD_KICK_SIGNAL and the
 * signals of its own faults. Returns 0 or a positive errno.
 */
int thread_start(pthread_t *thread, void *(*function)(void *arg), void *arg);

/* Make THREAD_KICK_SIGNAL what it is said to be. Once, before any thread. */
void thread_init(void);

#endif
