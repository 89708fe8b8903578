// SPDX-License-Identifier: GPL-2.0-only
/* Operations on the node and on VMs. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static long create_vm(struct actor *a)
{
	int *vm = &a->w->vm[place(a, NR_VMS)];
	unsigned long type = rng_one_in(a->r, 32) ? any_u64(a->r) : 0;
	struct kvm_enable_cap ring = {
		.cap = KVM_CAP_DIRTY_LOG_RING,
		.args = { rng_one_in(a->r, 8) ? any_u64(a->r) : 4 * PAGE_SIZE },
	};
	int fd = ioctl(any_sys(a), KVM_CREATE_VM, type);

	/* Later it is too late: there are vCPUs. */
	if (fd >= 0 && rng_one_in(a->r, 3))
		ioctl(fd, KVM_ENABLE_CAP, &ring);
	return replace_fd(vm, fd);
}

static long create_vcpu(struct actor *a)
{
	int i = place(a, NR_VCPUS);
	unsigned long id = rng_one_in(a->r, 16) ? any_u64(a->r) : rng_below(a->r, NR_VCPUS);
	int fd = ioctl(any_vm(a), KVM_CREATE_VCPU, id);

	if (replace_fd(&a->w->vcpu[i], fd) < 0)
		return -1;
	mmap(a->w->run[i], a->w->run_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	return fd;
}

static long open_node(struct actor *a)
{
	return replace_fd(&a->w->sys[place(a, NR_SYS)], open(a->w->node, O_RDWR | O_CLOEXEC));
}

static long query(struct actor *a)
{
	static const unsigned long cmds[] = {
		KVM_GET_API_VERSION, KVM_GET_VCPU_MMAP_SIZE, KVM_CHECK_EXTENSION,
	};
	int fd = rng_one_in(a->r, 2) ? any_sys(a) : any_vm(a);

	return ioctl(fd, rng_pick(a->r, cmds),
		     rng_one_in(a->r, 4) ? any_u64(a->r) : rng_below(a->r, 256));
}

/* Those that fill a list whose length is said before it. */
static long list(struct actor *a)
{
	static const unsigned long cmds[] = {
		KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID, KVM_GET_MSR_INDEX_LIST,
		KVM_GET_MSR_FEATURE_INDEX_LIST,
	};

	*(uint32_t *)a->buffer = rng_one_in(a->r, 2) ? 256 : any_u64(a->r);
	return ioctl(any_sys(a), rng_pick(a->r, cmds), a->buffer);
}

static long set_region(struct actor *a)
{
	static const uint32_t flags[] = {
		0, 0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY,
		KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES,
	};
	struct kvm_userspace_memory_region region = {
		.slot = rng_one_in(a->r, 24) ? any_u64(a->r) : (uint32_t)place(a, 6),
		.flags = rng_one_in(a->r, 32) ? any_u64(a->r) : rng_pick(a->r, flags),
		.guest_phys_addr = any_gpa(a->r),
		.memory_size = any_size(a->r),
		.userspace_addr = (uintptr_t)any_address(a),
	};

	return ioctl(any_vm(a), KVM_SET_USER_MEMORY_REGION, &region);
}

/* The same slot with and without the log: the VM's first one, as world_setup() makes it. */
static long toggle_log(struct actor *a)
{
	struct kvm_userspace_memory_region region = {
		.flags = rng_one_in(a->r, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.memory_size = AREA_SIZE,
		.userspace_addr = (uintptr_t)a->w->area[0],
	};

	return ioctl(any_vm(a), KVM_SET_USER_MEMORY_REGION, &region);
}

static long get_dirty_log(struct actor *a)
{
	struct kvm_dirty_log log = {
		.slot = rng_one_in(a->r, 24) ? any_u64(a->r) : rng_below(a->r, 6),
		.dirty_bitmap = rng_one_in(a->r, 8) ? any_address(a) : a->buffer,
	};

	return ioctl(any_vm(a), KVM_GET_DIRTY_LOG, &log);
}

static long clear_dirty_log(struct actor *a)
{
	struct kvm_clear_dirty_log log = {
		.slot = rng_one_in(a->r, 24) ? any_u64(a->r) : rng_below(a->r, 6),
		.first_page = rng_one_in(a->r, 8) ? any_u64(a->r) : 64 * rng_below(a->r, 16),
		.num_pages = rng_one_in(a->r, 8) ? any_u64(a->r) : 64 * rng_below(a->r, 16),
		.dirty_bitmap = rng_one_in(a->r, 8) ? any_address(a) : a->buffer,
	};

	return ioctl(any_vm(a), KVM_CLEAR_DIRTY_LOG, &log);
}

static long manual_dirty_log(struct actor *a)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { rng_one_in(a->r, 8) ? any_u64(a->r) : rng_below(a->r, 4) },
	};

	return ioctl(any_vm(a), KVM_ENABLE_CAP, &cap);
}

/* A vCPU's ring, if it has one: entries are written over, and given back. */
static long dirty_ring(struct actor *a)
{
	size_t size = 4 * PAGE_SIZE, nr = size / sizeof(struct kvm_dirty_gfn);
	struct kvm_dirty_gfn *ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, any_vcpu(a),
					  KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);

	/* Where there is no ring, touching it is SIGBUS; the kernel finds out without. */
	if (ring != MAP_FAILED && !madvise(ring, size, MADV_POPULATE_WRITE)) {
		for (size_t i = 0; i < nr; i++) {
			if (rng_one_in(a->r, 8))
				rng_fill(a->r, &ring[i], sizeof(ring[i]));
			if (!rng_one_in(a->r, 64))
				ring[i].flags = KVM_DIRTY_GFN_F_RESET;
		}
	}
	if (ring != MAP_FAILED)
		munmap(ring, size);
	return ioctl(any_vm(a), KVM_RESET_DIRTY_RINGS, 0);
}

static long coalesced(struct actor *a)
{
	struct kvm_coalesced_mmio_zone zone = {
		.addr = rng_one_in(a->r, 2) ? rng_below(a->r, 256) : 0xd0000000 + rng_below(a->r, 64),
		.size = rng_one_in(a->r, 8) ? any_u64(a->r) : rng_below(a->r, 64),
		.pio = rng_one_in(a->r, 16) ? any_u64(a->r) : rng_below(a->r, 2),
	};

	return ioctl(any_vm(a), rng_one_in(a->r, 2) ? KVM_REGISTER_COALESCED_MMIO
						    : KVM_UNREGISTER_COALESCED_MMIO, &zone);
}

static long create_irqchip(struct actor *a)
{
	return ioctl(any_vm(a), KVM_CREATE_IRQCHIP, 0);
}

static long create_pit(struct actor *a)
{
	struct kvm_pit_config config = { .flags = rng_one_in(a->r, 4) ? any_u64(a->r) : 0 };

	return ioctl(any_vm(a), KVM_CREATE_PIT2, &config);
}

static long irq_line(struct actor *a)
{
	struct kvm_irq_level irq = {
		.irq = rng_one_in(a->r, 16) ? any_u64(a->r) : rng_below(a->r, 26),
		.level = rng_below(a->r, 2),
	};

	return ioctl(any_vm(a), rng_one_in(a->r, 2) ? KVM_IRQ_LINE : KVM_IRQ_LINE_STATUS, &irq);
}

static uint32_t any_msi_address(struct rng *r)
{
	return rng_one_in(r, 16) ? any_u64(r) : 0xfee00000 | rng_below(r, 1 << 20) << 2;
}

static long signal_msi(struct actor *a)
{
	struct kvm_msi msi = {
		.address_lo = any_msi_address(a->r),
		.address_hi = rng_one_in(a->r, 16) ? any_u64(a->r) : 0,
		.data = any_u64(a->r) & 0xcfff,
		.flags = rng_one_in(a->r, 32) ? any_u64(a->r) : 0,
	};

	return ioctl(any_vm(a), KVM_SIGNAL_MSI, &msi);
}

static long set_routing(struct actor *a)
{
	struct kvm_irq_routing *routing = (void *)a->buffer;

	memset(routing, 0, sizeof(*routing));
	routing->nr = rng_below(a->r, 30);
	for (uint32_t i = 0; i < routing->nr; i++) {
		struct kvm_irq_routing_entry *e = &routing->entries[i];

		memset(e, 0, sizeof(*e));
		e->gsi = rng_one_in(a->r, 32) ? any_u64(a->r) : rng_below(a->r, 32);
		if (rng_one_in(a->r, 2)) {
			e->type = KVM_IRQ_ROUTING_MSI;
			e->u.msi.address_lo = any_msi_address(a->r);
			e->u.msi.data = any_u64(a->r) & 0xcfff;
		} else {
			e->type = KVM_IRQ_ROUTING_IRQCHIP;
			e->u.irqchip.irqchip = rng_below(a->r, 3);
			e->u.irqchip.pin = rng_below(a->r, 24);
		}
		if (rng_one_in(a->r, 32))
			mutate(a->r, e, sizeof(*e));
	}
	if (rng_one_in(a->r, 32))
		routing->nr = any_u64(a->r);
	return ioctl(any_vm(a), KVM_SET_GSI_ROUTING, routing);
}

static long irqfd(struct actor *a)
{
	struct kvm_irqfd irqfd = {
		.fd = any_eventfd(a),
		.gsi = rng_one_in(a->r, 16) ? any_u64(a->r) : rng_below(a->r, 32),
		.flags = rng_below(a->r, 4),
		.resamplefd = any_eventfd(a),
	};

	if (rng_one_in(a->r, 24))
		mutate(a->r, &irqfd, sizeof(irqfd));
	return ioctl(any_vm(a), KVM_IRQFD, &irqfd);
}

static long ioeventfd(struct actor *a)
{
	static const uint32_t sizes[] = { 0, 1, 2, 4, 8, 3 };
	struct kvm_ioeventfd io = {
		.datamatch = rng_below(a->r, 4),
		.addr = rng_one_in(a->r, 2) ? rng_below(a->r, 256)
					    : 0xd0000000 + rng_below(a->r, 64),
		.len = rng_pick(a->r, sizes),
		.fd = any_eventfd(a),
		.flags = rng_below(a->r, 8),
	};

	if (rng_one_in(a->r, 24))
		mutate(a->r, &io, sizeof(io));
	return ioctl(any_vm(a), KVM_IOEVENTFD, &io);
}

static long new_eventfd(struct actor *a)
{
	return replace_fd(&a->w->eventfd[place(a, NR_EVENTFDS)],
			  eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static long signal_eventfd(struct actor *a)
{
	return eventfd_write(any_eventfd(a), rng_one_in(a->r, 8) ? any_u64(a->r) : 1);
}

/* What a VM's ioctl gave, changed, and set again. */
static long vm_state(struct actor *a)
{
	struct kvm_irqchip chip = { .chip_id = rng_below(a->r, 4) };
	struct kvm_clock_data clock = { 0 };
	struct kvm_pit_state2 pit = { 0 };
	int fd = any_vm(a);

	switch (rng_below(a->r, 4)) {
	case 0:
	case 1:
		ioctl(fd, KVM_GET_IRQCHIP, &chip);
		mutate(a->r, &chip.chip, sizeof(chip.chip));
		return ioctl(fd, KVM_SET_IRQCHIP, &chip);
	case 2:
		ioctl(fd, KVM_GET_PIT2, &pit);
		mutate(a->r, &pit, sizeof(pit));
		return ioctl(fd, KVM_SET_PIT2, &pit);
	default:
		ioctl(fd, KVM_GET_CLOCK, &clock);
		clock.flags = rng_one_in(a->r, 4) ? any_u64(a->r) : 0;
		clock.clock ^= rng_one_in(a->r, 2) ? any_u64(a->r) : 0;
		return ioctl(fd, KVM_SET_CLOCK, &clock);
	}
}

static long vm_settings(struct actor *a)
{
	struct kvm_reinject_control control = { .pit_reinject = rng_below(a->r, 3) };
	uint64_t gpa = any_gpa(a->r);
	int fd = any_vm(a);

	switch (rng_below(a->r, 3)) {
	case 0:
		return ioctl(fd, KVM_SET_TSS_ADDR, gpa);
	case 1:
		return ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &gpa);
	default:
		return ioctl(fd, KVM_REINJECT_CONTROL, &control);
	}
}

static long close_vm(struct actor *a)
{
	return replace_fd(&a->w->vm[place(a, NR_VMS)], -1);
}

const struct op vm_ops[] = {
	{ "create_vm", 3, create_vm },
	{ "create_vcpu", 8, create_vcpu },
	{ "open_node", 1, open_node },
	{ "query", 2, query },
	{ "list", 1, list },
	{ "set_region", 24, set_region },
	{ "toggle_log", 8, toggle_log },
	{ "get_dirty_log", 10, get_dirty_log },
	{ "clear_dirty_log", 6, clear_dirty_log },
	{ "manual_dirty_log", 3, manual_dirty_log },
	{ "dirty_ring", 6, dirty_ring },
	{ "coalesced", 4, coalesced },
	{ "create_irqchip", 2, create_irqchip },
	{ "create_pit", 2, create_pit },
	{ "irq_line", 10, irq_line },
	{ "signal_msi", 10, signal_msi },
	{ "set_routing", 6, set_routing },
	{ "irqfd", 12, irqfd },
	{ "ioeventfd", 8, ioeventfd },
	{ "new_eventfd", 4, new_eventfd },
	{ "signal_eventfd", 12, signal_eventfd },
	{ "vm_state", 8, vm_state },
	{ "vm_settings", 2, vm_settings },
	{ "close_vm", 1, close_vm },
	{ 0 },
};
