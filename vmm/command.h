/* SPDX-License-Identifier: GPL-2.0-only */
/* vmm's subcommands: a file each, named cmd_<name>.c, and an entry in main.c's table. */
#ifndef VMM_COMMAND_H
#define VMM_COMMAND_H

struct command {
	const char *name;
	const char *summary;		/* one line, for vmm --help */
	/* @argv[0] is the command's name. Returns the process's exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_run;

#endif
