// SPDX-License-Identifier: GPL-2.0-only
/*
 * checked [-c CPUS] [-m MIB] [-s FILE] [-t SECONDS]: a guest that watches over its memory (checker.h), for scripts.
 *
 * Ends by SIGTERM or after SECONDS with status 0; or with 1 as soon as the guest has seen something wrong, and
 * says what. FILE has the number of rounds so far, renewed ten times a second.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checker.h"

static volatile sig_atomic_t ended;

static void on_term(int signal)
{
	(void)signal;
	ended = 1;
}

static void tell(const char *path, unsigned long rounds)
{
	char temporary[256];
	FILE *file;

	if (!path)
		return;
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	file = fopen(temporary, "w");
	if (!file)
		return;
	fprintf(file, "%lu\n", rounds);
	fclose(file);
	rename(temporary, path);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_term };
	unsigned long cpus = 2, mib = 16, seconds = 0;
	const char *status = NULL, *wrong;
	static struct checker checker;
	void *memory;
	int option;

	while ((option = getopt(argc, argv, "c:m:s:t:")) != -1) {
		switch (option) {
		case 'c':
			cpus = strtoul(optarg, NULL, 0);
			break;
		case 'm':
			mib = strtoul(optarg, NULL, 0);
			break;
		case 's':
			status = optarg;
			break;
		case 't':
			seconds = strtoul(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	if (!cpus || cpus > VM_MAX_VCPUS || !mib)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || checker_start(&checker, cpus, memory, mib << 20, 1, false)) {
		fprintf(stderr, "checked: %s: %s\n", dev_path(), strerror(errno));
		return 2;
	}
	for (unsigned long tenths = 0; !ended && !checker_wrong(&checker); tenths++) {
		if (seconds && tenths >= seconds * 10)
			break;
		tell(status, checker_rounds(&checker));
		usleep(100000);
	}
	tell(status, checker_rounds(&checker));
	wrong = checker_end(&checker);
	if (wrong)
		fprintf(stderr, "checked: %s\n", wrong);
	return wrong ? 1 : 0;
}
