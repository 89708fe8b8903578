// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may stand behind a slot: shared memory with holes, huge pages, files, userfaultfd, broken
 * pages.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "vm.h"

#define SLOT_GPA	0x40000000UL
#define LARGE_PAGE	(2UL << 20)
#define SLOT_SIZE	(2 * LARGE_PAGE)

/*
 * Reads the byte whose offset in the slot comes in by port 0x10 (bit 31: writes 0x77 there first),
 * and puts it out by port 0x11.
 */
GUEST_CODE(access_byte, 64,
	   "1: inl $0x10, %eax\n"
	   "movl %eax, %ebx\n"
	   "andl $0x7fffffff, %ebx\n"
	   "testl %eax, %eax\n"
	   "jns 2f\n"
	   "movb $0x77, 0x40000000(%rbx)\n"
	   "2: movb 0x40000000(%rbx), %al\n"
	   "outb %al, $0x11\n"
	   "jmp 1b\n");

#define WRITE		(1U << 31)

FIXTURE(backing)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(backing)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, access_byte);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(backing)
{
	vm_close(&self->vm);
}

/* The guest's access: the byte, or -errno of KVM_RUN, or -1 for another exit. */
static int guest_byte(struct vcpu *vcpu, uint32_t what)
{
	int reason = vcpu_run(vcpu);

	if (reason != KVM_EXIT_IO || vcpu->run->io.port != 0x10)
		return reason < 0 ? reason : -1;
	*(uint32_t *)io_data(vcpu) = what;
	reason = vcpu_run(vcpu);
	if (reason != KVM_EXIT_IO || vcpu->run->io.port != 0x11)
		return reason < 0 ? reason : -1;
	return *(uint8_t *)io_data(vcpu);
}

TEST_F(backing, shared_memory_with_holes)
{
	int fd = memfd_create("slot", MFD_CLOEXEC);
	uint8_t *hva;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SLOT_SIZE));
	hva = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, hva);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	EXPECT_EQ(0, guest_byte(self->vcpu, 0x3000));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x3000 | WRITE));
	EXPECT_EQ(0x77, hva[0x3000]);
	/* Punched out, it reads as zeros, and the guest's next write makes a new page. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0x3000, 0x1000));
	EXPECT_EQ(0, guest_byte(self->vcpu, 0x3000));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x3001 | WRITE));
	EXPECT_EQ(0x77, hva[0x3001]);
	/* Beyond the file's end there is nothing to be had. */
	ASSERT_EQ(0, ftruncate(fd, 0x3000));
	EXPECT_EQ(-EFAULT, guest_byte(self->vcpu, 0x3000));
	ASSERT_EQ(0, ftruncate(fd, SLOT_SIZE));
	munmap(hva, SLOT_SIZE);
	close(fd);
}

TEST_F(backing, huge_pages)
{
	int nr = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
	uint8_t *hva;

	if (nr < 0 || write(nr, "2", 1) != 1)
		SKIP(return, "no huge pages can be reserved");
	hva = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (hva == MAP_FAILED)
		SKIP(return, "there are no two huge pages");
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x1234 | WRITE));
	hva[LARGE_PAGE - 1] = 0x12;
	EXPECT_EQ(0x12, guest_byte(self->vcpu, LARGE_PAGE - 1));
	EXPECT_EQ(0, guest_byte(self->vcpu, LARGE_PAGE));
	/* Given back and taken anew while the guest has it mapped. */
	ASSERT_EQ(0, madvise(hva, LARGE_PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, guest_byte(self->vcpu, 0x1234));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x1235 | WRITE));
	EXPECT_EQ(0x77, hva[0x1235]);
	munmap(hva, SLOT_SIZE);
	EXPECT_EQ(1, write(nr, "0", 1));
	close(nr);
}

TEST_F(backing, private_file_is_copied_by_the_first_write)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint8_t *hva, byte = 0x44;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SLOT_SIZE));
	ASSERT_EQ(1, pwrite(fd, &byte, 1, 0x5000));
	hva = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, hva);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	EXPECT_EQ(0x44, guest_byte(self->vcpu, 0x5000));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x5000 | WRITE));
	EXPECT_EQ(0x77, hva[0x5000]);
	ASSERT_EQ(1, pread(fd, &byte, 1, 0x5000));
	EXPECT_EQ(0x44, byte);
	munmap(hva, SLOT_SIZE);
	close(fd);
}

/* A page of zeros that is shared by all: reading it maps it, writing it must not reach it. */
TEST_F(backing, zero_page)
{
	uint8_t *hva = page_alloc(SLOT_SIZE);
	uint8_t *other = page_alloc(VM_PAGE_SIZE);

	ASSERT_NE(NULL, hva);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	EXPECT_EQ(0, guest_byte(self->vcpu, 0x8000));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x8000 | WRITE));
	EXPECT_EQ(0x77, hva[0x8000]);
	EXPECT_EQ(0, *(volatile uint8_t *)other);
	munmap(other, VM_PAGE_SIZE);
	munmap(hva, SLOT_SIZE);
}

TEST_F(backing, protection_of_the_vmm_holds)
{
	uint8_t *hva = page_alloc(SLOT_SIZE);

	ASSERT_NE(NULL, hva);
	hva[0x6000] = 0x21;
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	EXPECT_EQ(0x77, guest_byte(self->vcpu, 0x6001 | WRITE));
	ASSERT_EQ(0, mprotect(hva + 0x6000, VM_PAGE_SIZE, PROT_READ));
	EXPECT_EQ(0x21, guest_byte(self->vcpu, 0x6000));
	EXPECT_EQ(-EFAULT, guest_byte(self->vcpu, 0x6000 | WRITE));
	EXPECT_EQ(0x21, hva[0x6000]);
	/* The write is tried again, and done where it is allowed now. */
	ASSERT_EQ(0, mprotect(hva + 0x6000, VM_PAGE_SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(0x77, hva[0x6000]);
	munmap(hva, SLOT_SIZE);
}

struct userfault {
	int fd;
	uint8_t *hva;
	uint8_t fill;
};

static int userfault_open(struct userfault *uf, uint8_t *hva, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)hva, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	uf->hva = hva;
	uf->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uf->fd < 0)
		return -1;
	return ioctl(uf->fd, UFFDIO_API, &api) || ioctl(uf->fd, UFFDIO_REGISTER, &reg) ? -1 : 0;
}

/* Waits for a fault; then fills the page. */
static void *userfault_fill(void *arg)
{
	static uint8_t page[4096];
	struct userfault *uf = arg;
	struct uffdio_copy copy = { .src = (uintptr_t)page, .len = VM_PAGE_SIZE };
	struct uffd_msg msg;

	if (read(uf->fd, &msg, sizeof(msg)) != sizeof(msg))
		return NULL;
	memset(page, uf->fill, sizeof(page));
	copy.dst = msg.arg.pagefault.address & ~(VM_PAGE_SIZE - 1);
	ioctl(uf->fd, UFFDIO_COPY, &copy);
	return NULL;
}

TEST_F(backing, userfaultfd_brings_the_page)
{
	struct userfault uf = { .fill = 0x39 };
	uint8_t *hva = page_alloc(SLOT_SIZE);
	pthread_t thread;

	ASSERT_NE(NULL, hva);
	if (userfault_open(&uf, hva, SLOT_SIZE))
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	ASSERT_EQ(0, pthread_create(&thread, NULL, userfault_fill, &uf));
	EXPECT_EQ(0x39, guest_byte(self->vcpu, 0x7000));
	pthread_join(thread, NULL);
	EXPECT_EQ(0x39, hva[0x7fff]);
	close(uf.fd);
	munmap(hva, SLOT_SIZE);
}

static void *run_one_access(void *arg)
{
	return (void *)(long)guest_byte(arg, 0x9000);
}

/* A vCPU that waits for its page holds up no change of slots, even of that one. */
TEST_F(backing, slots_change_while_a_fault_waits)
{
	static uint8_t old[4096] = { 0x99 };
	struct uffdio_copy copy = { .len = VM_PAGE_SIZE };
	struct userfault uf = { .fill = 0x41 };
	uint8_t *hva = page_alloc(SLOT_SIZE);
	pthread_t thread, filler;
	struct uffd_msg msg;
	void *byte;

	if (dev_is_reference())
		SKIP(return, "stock KVM waits for the fault");
	ASSERT_NE(NULL, hva);
	if (userfault_open(&uf, hva, SLOT_SIZE))
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_one_access, self->vcpu));
	ASSERT_EQ(sizeof(msg), read(uf.fd, &msg, sizeof(msg)));
	/* The fault waits; nobody fills the page. Its slot goes, and another comes in its place. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, 0, NULL));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, LARGE_PAGE, hva + LARGE_PAGE));
	/* When the wait ends, what was waited for must not be mapped: the new slot's page comes. */
	ASSERT_EQ(0, pthread_create(&filler, NULL, userfault_fill, &uf));
	copy.src = (uintptr_t)old;
	copy.dst = (uintptr_t)hva + 0x9000;
	ASSERT_EQ(0, ioctl(uf.fd, UFFDIO_COPY, &copy));
	pthread_join(thread, &byte);
	pthread_join(filler, NULL);
	EXPECT_EQ(0x41, (long)byte);
	close(uf.fd);
	munmap(hva, SLOT_SIZE);
}

static volatile sig_atomic_t sigbus_code;
static void *volatile sigbus_address;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	sigbus_code = info->si_code;
	sigbus_address = info->si_addr;
}

/* Memory the host found broken: the VMM is told where by a signal, and can act on it. */
TEST_F(backing, broken_page_is_a_signal)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	uint8_t *hva = page_alloc(SLOT_SIZE);

	ASSERT_NE(NULL, hva);
	sigaction(SIGBUS, &action, NULL);
	madvise(hva, SLOT_SIZE, MADV_NOHUGEPAGE);
	hva[0xa000] = 1;
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_SIZE, hva));
	EXPECT_EQ(1, guest_byte(self->vcpu, 0xa000));
	if (madvise(hva + 0xa000, VM_PAGE_SIZE, MADV_HWPOISON))
		SKIP(return, "pages cannot be broken here: %s", strerror(errno));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	*(uint32_t *)io_data(self->vcpu) = 0xa000;
	ASSERT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(BUS_MCEERR_AR, sigbus_code);
	EXPECT_EQ(hva + 0xa000, sigbus_address);
	/* A sound page in its place, and the guest goes on. */
	ASSERT_EQ(hva + 0xa000, mmap(hva + 0xa000, VM_PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	hva[0xa000] = 2;
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_EQ(2, *(uint8_t *)io_data(self->vcpu));
	munmap(hva, SLOT_SIZE);
}

TEST_HARNESS_MAIN
