/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The unit tests' harness: a program is a main() that calls tap_run() for each test and ends with
 * tap_done(). Output is KTAP (Documentation/dev-tools/ktap.rst). A failed CHECK ends its test (the
 * function returns) and the program goes on with the next one.
 */
#ifndef OST_UNIT_TAP_H
#define OST_UNIT_TAP_H

#include <stdbool.h>
#include <stdio.h>

/* Runs one test and prints its line. When the program got arguments, only tests whose name contains
 * one of them run (tap_init() keeps them).
 */
void tap_run(const char *name, void (*test)(void));

/* Must come first in main(). */
void tap_init(int argc, char **argv);

/* Prints the plan and returns main()'s status: 0 when at least one test ran and none failed. */
int tap_done(void);

/* Marks the running test failed and prints why; used by the macros below. */
void tap_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((__format__(printf, 3, 4)));

/* Marks the running test skipped, with the reason; the test returns after it. */
void tap_skip(const char *reason);

/* Whether the running test has failed, for helpers that a test calls. */
bool tap_failed(void);

#define CHECK(cond)                                                \
	do {                                                       \
		if (!(cond)) {                                     \
			tap_fail(__FILE__, __LINE__, "%s", #cond); \
			return;                                    \
		}                                                  \
	} while (0)

#define CHECK_MSG(cond, ...)                                       \
	do {                                                       \
		if (!(cond)) {                                     \
			tap_fail(__FILE__, __LINE__, __VA_ARGS__); \
			return;                                    \
		}                                                  \
	} while (0)

/* Compares integers, and shows both when they differ. */
#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		unsigned long long tap_a = (unsigned long long)(a);                                \
		unsigned long long tap_b = (unsigned long long)(b);                                \
                                                                                                   \
		if (tap_a != tap_b) {                                                              \
			tap_fail(__FILE__, __LINE__, "%s is %#llx, not %s (%#llx)", #a, tap_a, #b, \
				 tap_b);                                                           \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#endif
