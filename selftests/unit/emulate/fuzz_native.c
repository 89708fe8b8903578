// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the bytes choose an instruction that the emulator executes, its form and operands;
 * it runs on the real CPU as well, and both have to agree on registers, flags, memory and exceptions.
 *
 *	make test-fuzz T=fuzz/emulate/fuzz_native
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "native_compare.h"

static const u8 *bytes;
static size_t left;
static u64 more;

/* A fixed sequence, into which the input is mixed while there is some. */
static u64 from_input(void)
{
	unsigned int i;

	more = more * 6364136223846793005ULL + 1442695040888963407ULL;
	for (i = 0; i < 2 && left; i++, left--)
		more ^= (u64)*bytes++ << (20 + 8 * i);
	return more;
}

void native_report(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	enum native_group group;
	static bool ready;
	sigset_t timer;
	bool compat;

	if (!ready)
		native_compare_init();
	ready = true;
	if (size < 2)
		return 0;
	group = data[0] % GROUP_COUNT;
	compat = group == GROUP_LEGACY || (group != GROUP_CONDITIONS && data[0] & 0x80);
	bytes = data + 2;
	left = size - 2;
	more = 0;
	/* The fuzzer's clock must not tick on the stack of the instruction that is tried. */
	sigemptyset(&timer);
	sigaddset(&timer, SIGALRM);
	sigprocmask(SIG_BLOCK, &timer, NULL);
	native_compare(group, data[1] % native_compare_count(group), compat, 1, from_input);
	sigprocmask(SIG_UNBLOCK, &timer, NULL);
	return 0;
}
