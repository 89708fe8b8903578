// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <string.h>

#include "tap.h"

/* What linux/slab.h's allocators look at. */
unsigned int ost_unit_fail_alloc;

static struct {
	int filter_count;
	char **filters;
	unsigned int count;
	unsigned int failures;
	bool failed;
	const char *skip_reason;
} tap;

void tap_init(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	tap.filter_count = argc - 1;
	tap.filters = argv + 1;
	printf("KTAP version 1\n");
}

static bool tap_selected(const char *name)
{
	int i;

	for (i = 0; i < tap.filter_count; i++)
		if (strstr(name, tap.filters[i]))
			return true;
	return tap.filter_count == 0;
}

void tap_run(const char *name, void (*test)(void))
{
	if (!tap_selected(name))
		return;

	tap.failed = false;
	tap.skip_reason = NULL;
	ost_unit_fail_alloc = 0;
	test();

	tap.count++;
	if (tap.failed)
		tap.failures++;
	printf("%sok %u %s%s%s\n", tap.failed ? "not " : "", tap.count, name,
	       tap.skip_reason ? " # SKIP " : "", tap.skip_reason ? tap.skip_reason : "");
}

int tap_done(void)
{
	printf("1..%u\n", tap.count);
	return tap.count && !tap.failures ? 0 : 1;
}

void tap_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	tap.failed = true;
	printf("# %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void tap_skip(const char *reason)
{
	tap.skip_reason = reason;
}

bool tap_failed(void)
{
	return tap.failed;
}
