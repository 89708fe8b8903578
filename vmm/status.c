// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "status.h"
#include "term.h"

static void print_line(const char *prefix, const char *fmt, va_list args)
{
	/* A raw terminal moves to the first column only when told to. */
	const char *eol = term_is_raw() ? "\r\n" : "\n";
	char message[512];

	vsnprintf(message, sizeof(message), fmt, args);
	fprintf(stderr, "%s%s%s", prefix, message, eol);
}

int vmm_fail(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("vmm: ", fmt, args);
	va_end(args);
	return status;
}

void vmm_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("vmm: warning: ", fmt, args);
	va_end(args);
}
