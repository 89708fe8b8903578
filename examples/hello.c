// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest VMM: 16-bit code that prints a line by a port and halts.
 *
 *	cc -I../uapi -o hello hello.c && ./hello [/dev/ostler]
 *
 * All but OST_GET_INFO is the KVM userspace ABI, so that it runs on /dev/kvm as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "ostler.h"

#define CODE_GPA	0x1000
#define MEMORY_SIZE	0x4000
#define PORT		0xe9

/* mov $PORT, %dx; 1: lodsb; test %al, %al; jz 2f; outb %al, %dx; jmp 1b; 2: hlt */
static const unsigned char code[] = {
	0xba, PORT, 0x00, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0xf4,
};
static const char text[] = "Hello from a guest.\n";

static int call(int fd, unsigned long request, void *arg, const char *what)
{
	int r = ioctl(fd, request, arg);

	if (r < 0) {
		fprintf(stderr, "hello: %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return r;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/ostler";
	struct ost_info info = { .size = sizeof(info) };
	int node = open(path, O_RDWR | O_CLOEXEC), vm, vcpu;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	unsigned char *memory;
	size_t run_size;

	if (node < 0) {
		fprintf(stderr, "hello: %s: %s; is the module loaded?\n", path, strerror(errno));
		return 1;
	}
	if (call(node, KVM_GET_API_VERSION, NULL, "KVM_GET_API_VERSION") != KVM_API_VERSION) {
		fprintf(stderr, "hello: %s has another API than this program's\n", path);
		return 1;
	}
	if (!ioctl(node, OST_GET_INFO, &info))
		printf("%s is Ostler's \"%s\", interface %u, on %s.\n", path, info.name, info.version,
		       info.vendor == OST_VENDOR_SVM ? "AMD-V" : "VT-x");
	else
		printf("%s is a stock KVM.\n", path);

	vm = call(node, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("hello: mmap");
		return 1;
	}
	memcpy(memory, code, sizeof(code));
	memcpy(memory + sizeof(code), text, sizeof(text));
	call(vm, KVM_SET_USER_MEMORY_REGION,
	     &(struct kvm_userspace_memory_region){ .guest_phys_addr = CODE_GPA, .memory_size = MEMORY_SIZE,
						    .userspace_addr = (unsigned long)memory },
	     "KVM_SET_USER_MEMORY_REGION");

	vcpu = call(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	run_size = call(node, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED) {
		perror("hello: mmap of the vCPU");
		return 1;
	}
	call(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	call(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	call(vcpu, KVM_SET_REGS,
	     &(struct kvm_regs){ .rip = CODE_GPA, .rsi = CODE_GPA + sizeof(code), .rflags = 2 },
	     "KVM_SET_REGS");

	for (;;) {
		call(vcpu, KVM_RUN, NULL, "KVM_RUN");
		if (run->exit_reason == KVM_EXIT_HLT)
			return 0;
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT) {
			fprintf(stderr, "hello: an exit for reason %u\n", run->exit_reason);
			return 1;
		}
		fwrite((char *)run + run->io.data_offset, run->io.size, run->io.count, stdout);
	}
}
