// SPDX-License-Identifier: GPL-2.0-only
/*
 * What count.c is for QEMU, as instrumentation of Bochs (scripts/harness/bochs_build.py puts it there):
 * counts what an emulated host executes between two markers.
 *
 * Environment: OSTLER_COUNT=FILE gets a line at each end marker, total=N and then name=N of each kind of dear
 * instruction, of all CPUs; OSTLER_PROFILE=FILE gets "address count" of each instruction, and an empty line.
 * total is Bochs' own count, by which its time goes: a string instruction that it does in one step is one.
 */
#include "bochs.h"
#include "cpu/cpu.h"

#include <stdlib.h>
#include <unordered_map>

#include "dear.h"
#include "marker.h"

static FILE *out, *profile;
static bool active;
static Bit64u begun_at;
static Bit64u kinds[NR_DEAR];
static std::unordered_map<Bit64u, Bit64u> places;

static FILE *create(const char *variable)
{
	const char *name = getenv(variable);
	FILE *file = name ? fopen(name, "w") : NULL;

	if (name && !file) {
		perror(name);
		exit(1);
	}
	return file;
}

void bx_instr_init_env(void)
{
	out = create("OSTLER_COUNT");
	profile = create("OSTLER_PROFILE");
}

static Bit64u executed(void)
{
	Bit64u sum = 0;

	for (unsigned cpu = 0; cpu < BX_SMP_PROCESSORS; cpu++)
		sum += BX_CPU(cpu)->get_icount();
	return sum;
}

static void begin(void)
{
	memset(kinds, 0, sizeof(kinds));
	begun_at = executed();
	active = true;
}

static void end(void)
{
	active = false;
	if (out) {
		fprintf(out, "total=%llu", (unsigned long long)(executed() - begun_at));
		for (int kind = 0; kind < NR_DEAR; kind++)
			fprintf(out, " %s=%llu", dear_names[kind], (unsigned long long)kinds[kind]);
		fputc('\n', out);
		fflush(out);
	}
	if (profile) {
		for (const auto &place : places)
			fprintf(profile, "%llx %llu\n", (unsigned long long)place.first,
				(unsigned long long)place.second);
		fputc('\n', profile);
		fflush(profile);
		places.clear();
	}
}

void bx_instr_before_execution(unsigned cpu, bxInstruction_c *i)
{
	const Bit8u *bytes = i->get_opcode_bytes();
	int kind = dear_kind(bytes, i->ilen());

	if (kind >= 0)
		kinds[kind]++;
	else if (marker_is(bytes, i->ilen(), MARKER_BEGIN))
		begin();
	else if (marker_is(bytes, i->ilen(), MARKER_END))
		end();
	if (profile && active)
		places[BX_CPU(cpu)->prev_rip]++;
}
