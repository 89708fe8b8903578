// SPDX-License-Identifier: GPL-2.0-only
/* Each instruction that the emulator executes, some hundred forms of it, against the real CPU. */
#include <stdarg.h>

#include "native_compare.h"
#include "tap.h"

#define ROUNDS 400

void native_report(const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tap_fail(__FILE__, __LINE__, "%s", text);
}

static u64 next_random(void)
{
	static u64 state = 0x2545f4914f6cdd1dULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void run_group(enum native_group group, bool compat)
{
	unsigned int i, count = native_compare_count(group);
	struct native_counts all = {0, 0};

	for (i = 0; i < count; i++) {
		struct native_counts c = native_compare(group, i, compat, ROUNDS, next_random);

		all.runs += c.runs;
		all.faults += c.faults;
	}
	printf("# %lu runs, %lu of them faults\n", all.runs, all.faults);
	CHECK(all.runs > count * ROUNDS / 2 && all.faults > count);
}

static void test_integer(void)
{
	run_group(GROUP_INTEGER, false);
}

static void test_moves(void)
{
	run_group(GROUP_MOVES, false);
}

static void test_stack(void)
{
	run_group(GROUP_STACK, false);
}

static void test_strings(void)
{
	run_group(GROUP_STRINGS, false);
}

static void test_conditions(void)
{
	run_group(GROUP_CONDITIONS, false);
}

static void test_vectors(void)
{
	run_group(GROUP_VECTORS, false);
}

/* The same as 32-bit code; instructions without their REX forms, and some that only it has. */
static void test_compat(void)
{
	static const enum native_group groups[] = {GROUP_INTEGER, GROUP_MOVES, GROUP_STACK,
						   GROUP_STRINGS, GROUP_VECTORS, GROUP_LEGACY};
	unsigned int i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]) && !tap_failed(); i++)
		run_group(groups[i], true);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	native_compare_init();
	tap_run("native: integer instructions", test_integer);
	tap_run("native: moves", test_moves);
	tap_run("native: stack and branches", test_stack);
	tap_run("native: conditions", test_conditions);
	tap_run("native: strings", test_strings);
	tap_run("native: vector moves", test_vectors);
	tap_run("native: 32-bit code", test_compat);
	return tap_done();
}
