// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG that counts what an emulated host executes between two markers: all
 * instructions, and those that are dear on silicon, by kind.
 *
 *   -plugin libcount.so,out=FILE[,profile=FILE]
 *
 * The program to be measured executes the markers (marker.h). Every end marker appends a line to out:
 * total=N and then name=N of each kind, of all CPUs, the guests' own instructions among them. With
 * profile, it appends "address count" of each instruction there, and an empty line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dear.h"
#include "marker.h"
#include "plugin_api.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API_VERSION;

struct counts {
	uint64_t total;
	uint64_t kind[NR_DEAR];
};

static struct qemu_plugin_scoreboard *counts;
static FILE *out;

static qemu_plugin_u64 counter(size_t offset)
{
	return (qemu_plugin_u64) { .score = counts, .offset = offset };
}

static size_t offset_of_kind(int kind)
{
	return offsetof(struct counts, kind) + kind * sizeof(uint64_t);
}

/* --- the profile: a hash table of addresses, which only grows --- */

#define BUCKETS 65536

struct place {
	struct place *next;
	uint64_t address;
	uint64_t count;
};

static struct place *places[BUCKETS];
static FILE *profile;
static bool active;

static struct place *find_place(uint64_t address)
{
	struct place **head = &places[(address ^ address >> 16) % BUCKETS];
	struct place *place;

	for (place = *head; place; place = place->next)
		if (place->address == address)
			return place;
	place = calloc(1, sizeof(*place));
	if (!place)
		abort();
	place->address = address;
	place->next = *head;
	return *head = place;
}

static void executed(unsigned int cpu, void *data)
{
	struct place *place = data;

	if (active)
		place->count++;
}

static void write_profile(void)
{
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (struct place *place = places[i]; place; place = place->next) {
			if (place->count)
				fprintf(profile, "%llx %llu\n", (unsigned long long)place->address,
					(unsigned long long)place->count);
			place->count = 0;
		}
	fputc('\n', profile);
	fflush(profile);
}

/* --- the markers --- */

static void begin(unsigned int cpu, void *data)
{
	/* Each CPU has counters of its own. */
	for (int i = 0; i < qemu_plugin_num_vcpus(); i++) {
		qemu_plugin_u64_set(counter(offsetof(struct counts, total)), i, 0);
		for (int kind = 0; kind < NR_DEAR; kind++)
			qemu_plugin_u64_set(counter(offset_of_kind(kind)), i, 0);
	}
	active = true;
}

static void end(unsigned int cpu, void *data)
{
	active = false;
	fprintf(out, "total=%llu",
		(unsigned long long)qemu_plugin_u64_sum(counter(offsetof(struct counts, total))));
	for (int kind = 0; kind < NR_DEAR; kind++)
		fprintf(out, " %s=%llu", dear_names[kind],
			(unsigned long long)qemu_plugin_u64_sum(counter(offset_of_kind(kind))));
	fputc('\n', out);
	fflush(out);
	if (profile)
		write_profile();
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[15];
		size_t len = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));
		int kind = dear_kind(bytes, len);

		if (marker_is(bytes, len, MARKER_BEGIN))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS,
							       NULL);
		if (marker_is(bytes, len, MARKER_END))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS,
							       NULL);
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, counter(offsetof(struct counts, total)), 1);
		if (kind >= 0)
			qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
				insn, QEMU_PLUGIN_INLINE_ADD_U64, counter(offset_of_kind(kind)), 1);
		if (profile)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, executed, QEMU_PLUGIN_CB_NO_REGS,
				find_place(qemu_plugin_insn_vaddr(insn)));
	}
}

static FILE *create(const char *name)
{
	FILE *file = fopen(name, "w");

	if (!file)
		fprintf(stderr, "count: cannot write %s\n", name);
	return file;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info,
					   int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		FILE **file = NULL;
		char *name = NULL;

		if (!strncmp(argv[i], "out=", 4)) {
			file = &out;
			name = argv[i] + 4;
		} else if (!strncmp(argv[i], "profile=", 8)) {
			file = &profile;
			name = argv[i] + 8;
		}
		if (!file || !(*file = create(name))) {
			fprintf(stderr, "count: bad argument %s\n", argv[i]);
			return -1;
		}
	}
	if (!out) {
		fprintf(stderr, "count: out=FILE is missing\n");
		return -1;
	}
	counts = qemu_plugin_scoreboard_new(sizeof(struct counts));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
