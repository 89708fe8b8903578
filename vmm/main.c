// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "status.h"

#ifndef VMM_VERSION
#define VMM_VERSION	"0.1"
#endif

static const struct command *const commands[] = {
	&cmd_run,
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	printf("vmm runs a virtual machine on Ostler or any other hypervisor that speaks the KVM ABI.\n"
	       "\n"
	       "Usage: vmm COMMAND [OPTION]...\n"
	       "\n"
	       "Commands:\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("  %-9s  %s\n", commands[i]->name, commands[i]->summary);
	printf("\n"
	       "  vmm COMMAND --help   what a command does, its options and examples\n"
	       "  vmm --version        the version\n"
	       "\n"
	       "First steps: as root, with the module loaded,\n"
	       "  vmm run --kernel /boot/vmlinuz-6.1.0-amd64 --initrd initrd.gz\n"
	       "puts you at the guest's serial console. Ctrl-a x quits. See also vmm(1).\n");
}

/*
 * A program may be started with these closed. The next file opened would take the place of one, and a
 * disk image get the guest's console output or an error message.
 */
static int open_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return vmm_fail(VMM_FAILED, "cannot open /dev/null: %s", strerror(errno));
	return VMM_OK;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	int status = open_standard_files();

	if (status)
		return status;
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_help();
		return argc > 1 ? VMM_OK : VMM_USAGE;
	}
	if (!strcmp(name, "--version")) {
		printf("vmm %s\n", VMM_VERSION);
		return VMM_OK;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(name, commands[i]->name))
			return commands[i]->run(argc - 1, argv + 1);
	return vmm_fail(VMM_USAGE, "there is no command '%s'; see vmm --help", name);
}
