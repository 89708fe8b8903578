/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest is to be: read from the command line, constant while the guest runs, through its
 * reboots too.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_MAX_DISKS	24
#define CONFIG_MAX_VCPUS	254	/* xAPIC IDs, less broadcast, with the IOAPIC's apart */

/* A file that stays open, so that a reboot finds what the first boot found. */
struct config_file {
	const char *path;
	int fd;			/* -1: none */
	uint64_t size;
};

struct config_disk {
	struct config_file file;
	bool readonly;
};

struct config {
	struct config_file kernel;
	struct config_file initrd;
	const char *cmdline;
	unsigned int nr_vcpus;
	uint64_t memory;	/* bytes */
	struct config_disk disk[CONFIG_MAX_DISKS];
	unsigned int nr_disks;
	const char *node_path;	/* NULL: the default ones */
	bool debug_exit;
	bool no_reboot;
};

#endif
