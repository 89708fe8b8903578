// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

static bool parse_digits(const char *text, unsigned long long *value, const char **end)
{
	char *stop;

	/* strtoull() would take a sign and blanks. */
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &stop, 10);
	*end = stop;
	return !errno;
}

bool parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	unsigned int shift = 0;
	const char *end, *unit;

	if (!parse_digits(text, &value, &end))
		return false;
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (*end && strcasecmp(end, "B") && !(shift && !strcasecmp(end, "iB")))
		return false;
	if (value > UINT64_MAX >> shift)
		return false;
	*size = (uint64_t)value << shift;
	return true;
}

bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *number)
{
	unsigned long long value;
	const char *end;

	if (!parse_digits(text, &value, &end) || *end || value < min || value > max)
		return false;
	*number = value;
	return true;
}
