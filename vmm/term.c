// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "term.h"

#define ESCAPE_KEY	0x01	/* Ctrl-a */
#define QUIT_KEY	'x'

static struct termios saved;
static atomic_bool raw;
static bool escape_seen;

/* What kills by default and main() does not take otherwise. */
static const int fatal_signals[] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGQUIT,
	SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGPOLL, SIGPWR,
};

/* Runs in signal context: tcsetattr(), like all here, is async-signal-safe. */
static void restore_and_die(int signal)
{
	term_restore();
	raise(signal);	/* SA_RESETHAND: the default action, a core dump, follows */
}

static void catch_fatal_signals(void)
{
	struct sigaction action = { .sa_handler = restore_and_die, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++)
		sigaction(fatal_signals[i], &action, NULL);
}

bool term_raw(void)
{
	struct termios attributes;

	if (raw)
		return true;
	/* Touching the terminal from the background would stop this process (SIGTTOU). */
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return false;
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return false;
	catch_fatal_signals();
	attributes = saved;
	cfmakeraw(&attributes);
	attributes.c_cc[VMIN] = 1;
	attributes.c_cc[VTIME] = 0;
	raw = true;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &attributes) < 0)
		raw = false;
	return raw;
}

void term_restore(void)
{
	if (atomic_exchange(&raw, false))
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

bool term_is_raw(void)
{
	return raw;
}

/* Take the escape key's sequences out of @in; returns how many bytes of @out are for the guest. */
static size_t filter_escape(const char *in, size_t len, char *out, bool *quit)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!escape_seen) {
			if (in[i] == ESCAPE_KEY)
				escape_seen = true;
			else
				out[n++] = in[i];
			continue;
		}
		escape_seen = false;
		if (in[i] == QUIT_KEY) {
			*quit = true;
			break;
		}
		out[n++] = ESCAPE_KEY;
		if (in[i] != ESCAPE_KEY)
			out[n++] = in[i];
	}
	return n;
}

ssize_t term_read(char *buf, size_t size, bool *quit)
{
	char in[64];
	ssize_t len;
	size_t n;

	*quit = false;
	size -= TERM_READ_SLACK;
	do {
		len = read(STDIN_FILENO, in, size < sizeof(in) ? size : sizeof(in));
	} while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len;
	if (!raw) {
		memcpy(buf, in, len);
		return len;
	}
	n = filter_escape(in, len, buf, quit);
	if (!n) {
		errno = EAGAIN;
		return -1;
	}
	return n;
}
