/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The terminal vmm was started on: raw while a guest runs, as it was before in every other moment.
 *
 * There is one terminal per process, so there is no object. All functions are for the main thread,
 * except term_is_raw() (any thread).
 */
#ifndef VMM_TERM_H
#define VMM_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * term_read() may hand out one byte more than it reads: a Ctrl-a that turned out to be the guest's.
 */
#define TERM_READ_SLACK	1

/*
 * Make the terminal raw, if standard input is one and vmm is in its foreground, and have it put
 * back by term_restore() and by any signal that kills vmm and can be caught. Returns true if it is
 * raw now.
 */
bool term_raw(void);

/* Put the terminal back as term_raw() found it. Does nothing when it is not raw. */
void term_restore(void);

bool term_is_raw(void);

/*
 * Read what was typed, at most @size - TERM_READ_SLACK bytes, and follow the escape key (on a raw
 * terminal only: a pipe is passed on as it is). Sets *@quit when the person asked to quit. Returns
 * the number of bytes for the guest, 0 at the end of input, -1 with EAGAIN when nothing is for the
 * guest yet.
 */
ssize_t term_read(char *buf, size_t size, bool *quit);

#endif
