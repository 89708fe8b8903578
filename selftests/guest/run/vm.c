// SPDX-License-Identifier: GPL-2.0-only
/* A test machine: memory, irqchip, vCPUs, and the loop around KVM_RUN. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestrun.h"

void vm_end(struct vm *vm, int status)
{
	(void)vm;
	fflush(stdout);
	_exit(status);
}

static void dump(struct vm *vm)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	/* A vCPU that is in the guest is brought out: its registers cannot be had before. */
	for (uint32_t i = 0; i < vm->needs.cpus; i++) {
		if (!vm->vcpu[i].run)
			continue;
		vm->vcpu[i].run->immediate_exit = 1;
		if (vm->vcpu[i].running && !pthread_equal(vm->vcpu[i].thread, pthread_self()))
			pthread_kill(vm->vcpu[i].thread, SIGUSR1);
	}
	usleep(10000);
	for (uint32_t i = 0; i < vm->needs.cpus; i++) {
		struct kvm_mp_state mp = { ~0U };

		if (!vm->vcpu[i].run || ioctl(vm->vcpu[i].fd, KVM_GET_REGS, &r) ||
		    ioctl(vm->vcpu[i].fd, KVM_GET_SREGS, &s))
			continue;
		ioctl(vm->vcpu[i].fd, KVM_GET_MP_STATE, &mp);
		printf("cpu %u: mp_state %u exit %u rip %llx cs %x rflags %llx rsp %llx\n", i,
		       mp.mp_state, vm->vcpu[i].run->exit_reason, r.rip, s.cs.selector, r.rflags,
		       r.rsp);
		printf("  rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx rbp %llx\n", r.rax,
		       r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp);
		printf("  cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx apic_base %llx\n", s.cr0,
		       s.cr2, s.cr3, s.cr4, s.efer, s.apic_base);
	}
}

void vm_fail(struct vm *vm, const char *format, ...)
{
	static int failing;
	va_list args;

	/* The first one tells; the others wait for the end that it brings. */
	if (__atomic_exchange_n(&failing, 1, __ATOMIC_SEQ_CST)) {
		for (;;)
			pause();
	}
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	dump(vm);
	vm_end(vm, GUEST_FAIL);
}

void *guest_memory(struct vm *vm, uint64_t gpa, uint64_t size_bytes)
{
	uint64_t size = (uint64_t)vm->needs.memory_mib << 20;

	return gpa <= size && size_bytes <= size - gpa ? vm->memory + gpa : NULL;
}

int vm_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size_bytes,
	    void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size_bytes,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static void *anonymous(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Slots 0 to 3; those from FIRST_FREE_SLOT on are the tests'. */
static int memory_setup(struct vm *vm)
{
	size_t size = (size_t)vm->needs.memory_mib << 20;
	void *edge = anonymous(EDGE_SIZE);

	vm->memory = anonymous(size);
	vm->mmio = anonymous(MMIO_SIZE);
	vm->readonly = anonymous(READONLY_SIZE);
	vm->arena = anonymous(ARENA_SIZE);
	if (!vm->memory || !vm->mmio || !vm->readonly || !vm->arena || !edge)
		return -1;
	for (size_t i = 0; i < READONLY_SIZE; i++)
		vm->readonly[i] = i ^ i >> 8;
	if (vm_slot(vm, 0, 0, 0, size, vm->memory) ||
	    vm_slot(vm, 1, 0, EDGE_GPA, EDGE_SIZE, edge) ||
	    vm_slot(vm, 2, 0, MMIO_ALIAS_GPA, MMIO_SIZE, vm->mmio) ||
	    vm_slot(vm, 3, KVM_MEM_READONLY, READONLY_GPA, READONLY_SIZE, vm->readonly))
		return -1;
	return 0;
}

static int cpuid_setup(struct vcpu *vcpu)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[256];
	} cpuid = { .head.nent = 256 };
	int deadline = ioctl(vcpu->vm->sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER);

	if (ioctl(vcpu->vm->sys_fd, KVM_GET_SUPPORTED_CPUID, &cpuid))
		return -1;
	for (uint32_t i = 0; i < cpuid.head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid.entry[i];

		if (e->function == 1) {
			e->ebx = (e->ebx & 0xffff) | vcpu->vm->needs.cpus << 16 | vcpu->id << 24;
			if (deadline > 0)
				e->ecx |= 1 << 24;
		} else if (e->function == 0xb || e->function == 0x1f) {
			e->edx = vcpu->id;
		} else if ((e->function & 0x7fffffff) == 0 && vcpu->vm->needs.amd) {
			memcpy(&e->ebx, "Auth", 4);
			memcpy(&e->edx, "enti", 4);
			memcpy(&e->ecx, "cAMD", 4);
		}
	}
	return ioctl(vcpu->fd, KVM_SET_CPUID2, &cpuid);
}

/* Flat 32-bit protected mode without paging, at the ELF entry. */
static int boot_cpu_setup(struct vcpu *vcpu)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1,
		.g = 1,
	};
	struct kvm_regs regs = { .rip = vcpu->vm->entry, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &s))
		return -1;
	s.ds = data;
	s.es = data;
	s.fs = data;
	s.gs = data;
	s.ss = data;
	s.cs = data;
	s.cs.type = 11;
	s.cs.selector = 0x18;
	s.cr0 = 0x11;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &s))
		return -1;
	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

static int vcpu_setup(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = &vm->vcpu[id];
	void *run;

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu->fd < 0)
		return -1;
	run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return -1;
	vcpu->run = run;
	if (cpuid_setup(vcpu))
		return -1;
	return id ? 0 : boot_cpu_setup(vcpu);
}

static void internal_error(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	char bytes[64] = "";

	if (run->emulation_failure.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.ndata >= 4 && run->emulation_failure.insn_size <= 15) {
		for (int i = 0; i < run->emulation_failure.insn_size; i++)
			snprintf(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x",
				 run->emulation_failure.insn_bytes[i]);
	}
	vm_fail(vcpu->vm, "cpu %u: KVM_EXIT_INTERNAL_ERROR %u:%s", vcpu->id,
		run->internal.suberror, bytes);
}

void vcpu_nmi(struct vcpu *vcpu)
{
	/* A vCPU's ioctls wait while it runs: it has to come out, and not go in again before. */
	__atomic_store_n(&vcpu->want_nmi, true, __ATOMIC_SEQ_CST);
	vcpu->run->immediate_exit = 1;
	pthread_kill(vcpu->thread, SIGUSR1);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct kvm_run *run = vcpu->run;

	for (;;) {
		if (__atomic_load_n(&vcpu->want_nmi, __ATOMIC_SEQ_CST)) {
			run->immediate_exit = 0;
			__atomic_store_n(&vcpu->want_nmi, false, __ATOMIC_SEQ_CST);
			if (ioctl(vcpu->fd, KVM_NMI, 0))
				vm_fail(vcpu->vm, "KVM_NMI: %s", strerror(errno));
		}
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (run->immediate_exit && !vcpu->want_nmi)
				pause();
			if (errno != EINTR && errno != EAGAIN)
				vm_fail(vcpu->vm, "cpu %u: KVM_RUN: %s", vcpu->id,
					strerror(errno));
			continue;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			devices_io(vcpu);
			break;
		case KVM_EXIT_MMIO:
			devices_mmio(vcpu);
			break;
		case KVM_EXIT_SHUTDOWN:
			if (vcpu->vm->expect_shutdown)
				vm_end(vcpu->vm, GUEST_PASS);
			vm_fail(vcpu->vm, "cpu %u: KVM_EXIT_SHUTDOWN (triple fault)", vcpu->id);
		case KVM_EXIT_INTERNAL_ERROR:
			internal_error(vcpu);
			break;
		case KVM_EXIT_INTR:
			break;
		default:
			vm_fail(vcpu->vm, "cpu %u: exit reason %u, hardware reason %#llx", vcpu->id,
				run->exit_reason, run->hw.hardware_exit_reason);
		}
	}
}

static int setup(struct vm *vm, const char *path)
{
	const char *device = getenv("OST_DEVICE");
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct boot_info *info;

	device = device && *device ? device : "/dev/ostler";
	vm->sys_fd = open(device, O_RDWR | O_CLOEXEC);
	if (vm->sys_fd < 0) {
		printf("cannot open %s: %s\n", device, strerror(errno));
		return -1;
	}
	vm->run_size = ioctl(vm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->fd = ioctl(vm->sys_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0 || elf_needs(vm, path))
		return -1;
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL) || memory_setup(vm) ||
	    ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) || ioctl(vm->fd, KVM_CREATE_PIT2, &pit)) {
		printf("cannot set up the machine: %s\n", strerror(errno));
		return -1;
	}
	if (elf_load(vm, path))
		return -1;
	for (uint32_t i = 0; i < vm->needs.cpus; i++) {
		if (vcpu_setup(vm, i)) {
			printf("cannot set up vCPU %u: %s\n", i, strerror(errno));
			return -1;
		}
	}
	info = guest_memory(vm, BOOT_INFO_GPA, sizeof(*info));
	info->cpus = vm->needs.cpus;
	info->memory_bytes = (uint64_t)vm->needs.memory_mib << 20;
	info->reference = !strcmp(device, "/dev/kvm") && !access("/sys/module/kvm", F_OK);
	info->tsc_khz = ioctl(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);
	return 0;
}

static void nothing(int sig)
{
	(void)sig;
}

int vm_run(const char *path)
{
	/* Where the host's kernel is slower, everything may take longer. */
	const char *slower = getenv("OST_SLOWER");
	struct sigaction action = { .sa_handler = nothing };
	static struct vm vm;

	pthread_mutex_init(&vm.lock, NULL);
	if (setup(&vm, path))
		return GUEST_FAIL;
	sigaction(SIGUSR1, &action, NULL);
	for (uint32_t i = 0; i < vm.needs.cpus; i++) {
		if (pthread_create(&vm.vcpu[i].thread, NULL, vcpu_thread, &vm.vcpu[i])) {
			printf("cannot make a thread for vCPU %u\n", i);
			return GUEST_FAIL;
		}
		vm.vcpu[i].running = true;
	}
	vm.needs.timeout_s *= slower ? atoi(slower) : 1;
	sleep(vm.needs.timeout_s);
	vm_fail(&vm, "no verdict after %u s", vm.needs.timeout_s);
}
