/* SPDX-License-Identifier: GPL-2.0-only */
/* Values on the command line. */
#ifndef VMM_PARSE_H
#define VMM_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A size: a decimal number of bytes, or of KiB, MiB, GiB or TiB with K, M, G or T (in either case,
 * "iB" or "B" may follow). Returns false, with *@size untouched, for anything else and for what
 * does not fit 64 bits.
 */
bool parse_size(const char *text, uint64_t *size);

/* A decimal number from @min to @max. Returns false, with *@number untouched, for anything else. */
bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *number);

#endif
