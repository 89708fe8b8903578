// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "node.h"
#include "status.h"

static const char *const default_paths[] = { "/dev/ostler", "/dev/kvm" };

#define NR_DEFAULT_PATHS	(sizeof(default_paths) / sizeof(default_paths[0]))

static const struct {
	int capability;
	const char *name;
} required[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_PIT2, "KVM_CAP_PIT2" },
	{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

int node_capability(const struct node *node, int capability)
{
	int value = ioctl(node->fd, KVM_CHECK_EXTENSION, capability);

	return value < 0 ? 0 : value;
}

static const char *how_to_load(const char *path)
{
	if (!strcmp(path, "/dev/ostler"))
		return "load the module with 'insmod ostler.ko' (see 'make help' in its source)";
	if (!strcmp(path, "/dev/kvm"))
		return "load the module with 'modprobe kvm-amd' or 'modprobe kvm-intel'";
	return "load the module that makes it";
}

static int explain_open_failure(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return vmm_fail(VMM_DEVICE, "no device node %s: %s", path, how_to_load(path));
	case ENODEV:
	case ENXIO:
		return vmm_fail(VMM_DEVICE, "%s has no driver behind it: %s", path,
				how_to_load(path));
	case EACCES:
	case EPERM:
		return vmm_fail(VMM_DEVICE,
				"no permission to open %s: run vmm as root or as a member "
				"of the group that owns the node",
				path);
	default:
		return vmm_fail(VMM_DEVICE, "cannot open %s: %s", path, strerror(error));
	}
}

static int open_default(struct node *node)
{
	size_t i;

	for (i = 0; i < NR_DEFAULT_PATHS; i++) {
		node->path = default_paths[i];
		node->fd = open(node->path, O_RDWR | O_CLOEXEC);
		if (node->fd >= 0)
			return VMM_OK;
		if (errno != ENOENT && errno != ENODEV && errno != ENXIO)
			return explain_open_failure(node->path, errno);
	}
	return vmm_fail(VMM_DEVICE, "no device node: neither /dev/ostler nor /dev/kvm is there; %s",
			how_to_load("/dev/ostler"));
}

static int check_abi(const struct node *node)
{
	int version = ioctl(node->fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return vmm_fail(VMM_DEVICE, "%s is not a hypervisor's device node (%s)", node->path,
				strerror(errno));
	if (version != KVM_API_VERSION)
		return vmm_fail(VMM_DEVICE, "%s speaks version %d of the KVM ABI, vmm needs %d",
				node->path, version, KVM_API_VERSION);
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (!node_capability(node, required[i].capability))
			return vmm_fail(VMM_DEVICE,
					"the hypervisor behind %s lacks %s, which vmm needs",
					node->path, required[i].name);
	return VMM_OK;
}

static int read_limits(struct node *node)
{
	int size = ioctl(node->fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < (int)sizeof(struct kvm_run))
		return vmm_fail(VMM_DEVICE, "%s gives an unusable vCPU mapping size (%d)",
				node->path, size);
	node->run_size = size;
	/* KVM ABI: no KVM_CAP_MAX_VCPUS means the recommended number, and not even that means 4. */
	node->max_vcpus = node_capability(node, KVM_CAP_MAX_VCPUS);
	if (!node->max_vcpus)
		node->max_vcpus = node_capability(node, KVM_CAP_NR_VCPUS);
	if (!node->max_vcpus)
		node->max_vcpus = 4;
	node->max_routes = node_capability(node, KVM_CAP_IRQ_ROUTING);
	return VMM_OK;
}

int node_open(struct node *node, const char *path)
{
	int status = VMM_OK;

	node->path = path;
	if (!path) {
		status = open_default(node);
	} else {
		node->fd = open(path, O_RDWR | O_CLOEXEC);
		if (node->fd < 0)
			status = explain_open_failure(path, errno);
	}
	if (status)
		return status;
	status = check_abi(node);
	if (!status)
		status = read_limits(node);
	if (status)
		node_close(node);
	return status;
}

void node_close(struct node *node)
{
	close(node->fd);
	node->fd = -1;
}
