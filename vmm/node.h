/* SPDX-License-Identifier: GPL-2.0-only */
/* The hypervisor's device node: any that speaks the KVM ABI (<linux/kvm.h>). */
#ifndef VMM_NODE_H
#define VMM_NODE_H

#include <stddef.h>

struct node {
	const char *path;
	int fd;
	size_t run_size;	/* of the mapping that vCPUs share with the hypervisor */
	int max_vcpus;
	int max_routes;
};

/*
 * Open @path, or where it is NULL the first of /dev/ostler and /dev/kvm that exists, and see that
 * it can do what vmm needs. Returns 0 or a status, explained. The caller closes @node.
 */
int node_open(struct node *node, const char *path);
void node_close(struct node *node);

/* Value of KVM_CHECK_EXTENSION for @capability; 0 when the hypervisor does not know it. */
int node_capability(const struct node *node, int capability);

#endif
