// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs test guests on $OST_DEVICE and reports on them in KTAP.
 *
 * Each guest gets a process of its own, so that one which hangs or kills its VMM harms no other.
 * The parent keeps the plan and the verdicts; vm.c is what the child does.
 */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guestrun.h"

#define SUFFIX		".guest"
#define MAX_GUESTS	256

static char folder[PATH_MAX];
static bool verbose;

static void usage(FILE *to)
{
	fprintf(to,
		"usage: guestrun [-v] [-l] [NAME...]\n"
		"Runs the test guests NAME, or all that lie beside this program, on $OST_DEVICE\n"
		"(default /dev/ostler). -v shows what a passing guest prints; -l lists them.\n");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_guests(char **names)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)) && nr < MAX_GUESTS) {
		char *dot = strstr(entry->d_name, SUFFIX);

		if (!dot || strcmp(dot, SUFFIX))
			continue;
		names[nr++] = strndup(entry->d_name, dot - entry->d_name);
	}
	closedir(dir);
	qsort(names, nr, sizeof(*names), compare);
	return nr;
}

/* Copies the child's output to ours as KTAP diagnostics; remembers the line of a skip. */
static void relay(int fd, FILE *to, char *why, size_t size)
{
	FILE *in = fdopen(fd, "r");
	char line[512];

	while (in && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "SKIP ", 5))
			snprintf(why, size, "%.200s", line + 5);
		fprintf(to, "# %s\n", line);
	}
	if (in)
		fclose(in);
}

static bool run_guest(int number, const char *name)
{
	char path[PATH_MAX + 64], why[256] = "", *text = NULL;
	size_t text_size = 0;
	int out[2], status;
	FILE *log;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s" SUFFIX, folder, name);
	fflush(stdout);
	if (pipe(out))
		return false;
	pid = fork();
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		setvbuf(stdout, NULL, _IOLBF, 0);
		_exit(vm_run(path));
	}
	close(out[1]);
	log = open_memstream(&text, &text_size);
	relay(out[0], log, why, sizeof(why));
	fclose(log);
	status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = 1 << 8;

	if (WIFEXITED(status) && WEXITSTATUS(status) == GUEST_SKIP) {
		printf("ok %d %s # SKIP %s\n", number, name, why);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == GUEST_PASS) {
		printf("%sok %d %s\n", verbose ? text : "", number, name);
	} else {
		if (WIFSIGNALED(status))
			printf("# the VMM was killed by signal %d\n", WTERMSIG(status));
		printf("%snot ok %d %s\n", text, number, name);
		free(text);
		return false;
	}
	free(text);
	return true;
}

int main(int argc, char **argv)
{
	char *names[MAX_GUESTS], self[PATH_MAX];
	int nr = 0, failed = 0, option;
	bool list = false;
	ssize_t length;

	while ((option = getopt(argc, argv, "vlh")) != -1) {
		switch (option) {
		case 'v':
			verbose = true;
			break;
		case 'l':
			list = true;
			break;
		default:
			usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length < 0) {
		perror("guestrun: /proc/self/exe");
		return 2;
	}
	self[length] = 0;
	snprintf(folder, sizeof(folder), "%s", dirname(self));
	while (optind < argc && nr < MAX_GUESTS)
		names[nr++] = argv[optind++];
	if (!nr)
		nr = find_guests(names);
	if (list) {
		for (int i = 0; i < nr; i++)
			puts(names[i]);
		return 0;
	}
	if (!nr) {
		fprintf(stderr, "guestrun: no guests in %s\n", folder);
		return 2;
	}
	printf("TAP version 13\n1..%d\n", nr);
	for (int i = 0; i < nr; i++)
		failed += !run_guest(i + 1, names[i]);
	printf("# %d of %d guests failed\n", failed, nr);
	return failed ? 1 : 0;
}
