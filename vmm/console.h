/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Typed characters on their way from standard input to the guest's console.
 *
 * A guest that reads nothing for a while must not keep the escape key from being seen, so a
 * terminal is always read, into a buffer here. Other input waits where it comes from.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#define CONSOLE_PENDING	4096

/* All of it is the main thread's. */
struct console {
	/* The device that is the guest's console sets these, when it is created. */
	void *dev;
	size_t (*room)(void *dev);	/* how many bytes input() takes now */
	void (*input)(void *dev, const char *buf, size_t len);
	bool at_end;			/* of standard input */
	size_t nr_pending;
	char pending[CONSOLE_PENDING];
};

/* Whether standard input is to be waited for. */
bool console_wants_input(const struct console *console);

/* Read what there is. Returns true when the person asked to quit. */
bool console_read(struct console *console);

/* Hand over to the guest as much as it has room for. */
void console_feed(struct console *console);

#endif
