// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "console.h"
#include "term.h"

#define READ_SIZE	64

bool console_wants_input(const struct console *console)
{
	if (console->at_end || !console->dev)
		return false;
	return term_is_raw() || console->nr_pending + READ_SIZE <= CONSOLE_PENDING;
}

bool console_read(struct console *console)
{
	size_t space = CONSOLE_PENDING - console->nr_pending;
	char buf[READ_SIZE];
	ssize_t len;
	bool quit;

	len = term_read(buf, sizeof(buf), &quit);
	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
		console->at_end = true;
	if (len > 0) {
		/* Typed on, 4096 characters ahead of the guest: as on a real line, the rest is lost. */
		if ((size_t)len > space)
			len = space;
		memcpy(console->pending + console->nr_pending, buf, len);
		console->nr_pending += len;
	}
	return quit;
}

void console_feed(struct console *console)
{
	size_t len;

	if (!console->nr_pending || !console->dev)
		return;
	len = console->room(console->dev);
	if (len > console->nr_pending)
		len = console->nr_pending;
	console->input(console->dev, console->pending, len);
	console->nr_pending -= len;
	memmove(console->pending, console->pending + len, console->nr_pending);
}
