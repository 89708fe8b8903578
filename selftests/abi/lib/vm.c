// SPDX-License-Identifier: GPL-2.0-only
#include "vm.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define CR0_PE		(1ULL << 0)
#define CR0_ET		(1ULL << 4)
#define CR0_PG		(1ULL << 31)
#define CR4_PAE		(1ULL << 5)
#define EFER_LME	(1ULL << 8)
#define EFER_LMA	(1ULL << 10)
#define PTE_PRESENT	(1ULL << 0)
#define PTE_WRITE	(1ULL << 1)
#define PTE_HUGE	(1ULL << 7)

const char *dev_path(void)
{
	const char *path = getenv("OST_DEVICE");

	return path && *path ? path : "/dev/ostler";
}

int dev_open(void)
{
	return open(dev_path(), O_RDWR | O_CLOEXEC);
}

bool dev_is_reference(void)
{
	return !strcmp(dev_path(), "/dev/kvm") && !access("/sys/module/kvm", F_OK);
}

void *page_alloc(size_t size_bytes)
{
	void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void *bad_pointer(void)
{
	static void *page;

	if (!page) {
		page = mmap(NULL, 16 * VM_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			abort();
	}
	return page;
}

int vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size_bytes,
		void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size_bytes,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

struct vcpu *vm_add_vcpu(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpu[vm->nr_vcpus];

	if (vm->nr_vcpus == VM_MAX_VCPUS) {
		errno = ENOSPC;
		return NULL;
	}
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vm->nr_vcpus);
	if (vcpu->fd < 0)
		return NULL;
	vm->nr_vcpus++;
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return NULL;
	}
	return vcpu;
}

int vm_open(struct vm *vm, unsigned int flags)
{
	int size;

	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
	vm->sys_fd = dev_open();
	if (vm->sys_fd < 0)
		return -1;
	size = ioctl(vm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < 0)
		return -1;
	vm->run_size = size;
	vm->fd = ioctl(vm->sys_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return -1;
	if (flags & VM_MEMORY) {
		vm->mem = page_alloc(VM_MEM_SIZE);
		if (!vm->mem || vm_set_slot(vm, 0, 0, 0, VM_MEM_SIZE, vm->mem))
			return -1;
	}
	if ((flags & VM_IRQCHIP) && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0))
		return -1;
	if ((flags & VM_VCPU) && !vm_add_vcpu(vm))
		return -1;
	return 0;
}

void vm_close(struct vm *vm)
{
	for (int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpu[i].run)
			munmap(vm->vcpu[i].run, vm->run_size);
		if (vm->vcpu[i].fd >= 0)
			close(vm->vcpu[i].fd);
	}
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->sys_fd >= 0)
		close(vm->sys_fd);
	if (vm->mem)
		munmap(vm->mem, VM_MEM_SIZE);
	vm->nr_vcpus = 0;
	vm->fd = -1;
	vm->sys_fd = -1;
	vm->mem = NULL;
}

void vm_copy_in(struct vm *vm, uint64_t gpa, const void *data, size_t len)
{
	if (gpa > VM_MEM_SIZE || len > VM_MEM_SIZE - gpa)
		abort();
	memcpy(vm->mem + gpa, data, len);
}

int vcpu_real_mode(struct vcpu *vcpu, uint16_t ip)
{
	struct kvm_regs regs = { .rip = ip, .rsp = VM_STACK_GPA / 2, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		return -1;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

static void tables_write(struct vm *vm)
{
	uint64_t *pml4 = (uint64_t *)(vm->mem + VM_TABLES_GPA);
	uint64_t *pdpt = pml4 + 512;
	uint64_t *pd = pdpt + 512;

	pml4[0] = (VM_TABLES_GPA + 4096) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (VM_TABLES_GPA + 4096 * (2 + i)) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = (i << 21) | PTE_PRESENT | PTE_WRITE | PTE_HUGE;
}

int vcpu_long_mode(struct vm *vm, struct vcpu *vcpu, uint64_t rip)
{
	struct kvm_regs regs = { .rip = rip, .rsp = VM_STACK_GPA, .rflags = 2 };
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1,
		.g = 1,
	};
	struct kvm_sregs sregs;

	tables_write(vm);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.cs = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.cs.l = 1;
	sregs.cs.db = 0;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs.cr3 = VM_TABLES_GPA;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		return -1;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

int vcpu_run(struct vcpu *vcpu)
{
	while (ioctl(vcpu->fd, KVM_RUN, 0)) {
		if ((errno != EINTR && errno != EAGAIN) || vcpu->run->immediate_exit)
			return -errno;
	}
	return vcpu->run->exit_reason;
}

void *io_data(struct vcpu *vcpu)
{
	return (uint8_t *)vcpu->run + vcpu->run->io.data_offset;
}

struct kvm_cpuid2 *cpuid_supported(int sys_fd)
{
	uint32_t nent = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + nent * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return NULL;
	cpuid->nent = nent;
	if (ioctl(sys_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
		free(cpuid);
		return NULL;
	}
	return cpuid;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

int vcpu_cpuid_with(struct vm *vm, struct vcpu *vcpu, uint32_t leaf1_ecx)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->sys_fd);
	struct kvm_cpuid_entry2 *leaf;
	int r;

	if (!cpuid)
		return -1;
	leaf = cpuid_find(cpuid, 1, 0);
	if (leaf)
		leaf->ecx |= leaf1_ecx;
	r = ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return r;
}

int vcpu_cpuid_all(struct vm *vm, struct vcpu *vcpu)
{
	return vcpu_cpuid_with(vm, vcpu, 0);
}

int enable_cap(int fd, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return ioctl(fd, KVM_ENABLE_CAP, &enable);
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int vcpu_get_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry.index = index };
	int ret = ioctl(vcpu->fd, KVM_GET_MSRS, &msr);

	*value = msr.entry.data;
	return ret;
}

int vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return ioctl(vcpu->fd, KVM_SET_MSRS, &msr);
}

int has_cap(struct vm *vm, int cap)
{
	int ret = ioctl(vm->fd, KVM_CHECK_EXTENSION, cap);

	return ret < 0 ? 0 : ret;
}

unsigned int vm_slower(void)
{
	const char *slower = getenv("OST_SLOWER");

	return slower ? atoi(slower) : 1;
}

unsigned int vm_alarm(unsigned int seconds)
{
	struct itimerval left, timer = { .it_value.tv_sec = seconds * vm_slower() };

	setitimer(ITIMER_REAL, &timer, &left);
	return left.it_value.tv_sec;
}

/* The instance's name is its node's. */
static const char *instance(void)
{
	const char *slash = strrchr(dev_path(), '/');

	return slash ? slash + 1 : dev_path();
}

long vm_counter(const char *name)
{
	char path[128], line[256], seen[64];
	long value, sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/stats", instance());
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if ((sscanf(line, "vm %*u vcpu %*u %63s %ld", seen, &value) == 2 ||
		     sscanf(line, "vm %*u vcpus %*u %63s %ld", seen, &value) == 2) &&
		    !strcmp(seen, name))
			sum += value;
	fclose(f);
	return sum;
}

bool vendor_param(const char *name)
{
	unsigned int eax, ebx, ecx, edx;
	char path[128];
	int value = 0;
	FILE *f;

	__cpuid(0, eax, ebx, ecx, edx);
	if (ebx != signature_INTEL_ebx || dev_is_reference())
		return false;
	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", instance(), name);
	f = fopen(path, "r");
	if (!f)
		return false;
	value = fgetc(f);
	fclose(f);
	return value == 'Y';
}
