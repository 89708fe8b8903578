// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asynchronous page faults: a page that userfaultfd keeps back, and what the guest is told meanwhile. Whatever it is told comes
 * out of ports: the guest's handlers say what they have found, and where it goes on is for the test to say.
 */
#include <asm/kvm_para.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "msr_guest.h"
#include "vm.h"

#define EN		0x4b564d02
#define INT		0x4b564d06
#define ACK		0x4b564d07
#define ON		(1U | 8)	/* enabled, told by an interrupt */
#define ALWAYS		2U

#define SLOT_GPA	0x40000000UL
#define SLOT_PAGES	128UL
#define SHARED_GPA	0x11000UL
#define IDT_GPA		0x12000UL
#define GDT_GPA		0x13000UL
#define TSS_GPA		0x14000UL
#define HANDLER_GPA	0x9000UL
#define READY_GPA	0x9800UL
#define MSI_GPA		0x9c00UL
#define STACK0_GPA	0x1f000UL

#define READY_VECTOR	0xe0
#define MSI_VECTOR	0x50
#define MAX_PER_VCPU	64
#define FILL		0x39
#define ALL		0xffffffffU

#define RFLAGS_IF	0x200U
#define RFLAGS_IOPL3	0x3000U

enum port {
	NEXT = 0x10,	/* IN: the address to read from */
	BYTE = 0x11,	/* OUT: what was there */
	FLAGS = 0x20,	/* OUT: of the shared struct, in the handler of #PF */
	MISSING = 0x21,	/* OUT: the token, by CR2 */
	READY = 0x22,	/* OUT: the token, by the shared struct */
	TICK = 0x23,	/* OUT: an interrupt that has nothing to do with pages */
};

GUEST_CODE(access_pages, 64,
	   "1: inl $0x10, %eax\n"
	   "movb (%rax), %al\n"
	   "outb %al, $0x11\n"
	   "jmp 1b\n");
GUEST_CODE(missing, 64,
	   "movl 0x11000, %eax\n"
	   "outl %eax, $0x20\n"
	   "movl $0, 0x11000\n"
	   "movq %cr2, %rax\n"
	   "outl %eax, $0x21\n"
	   "1: sti\n"
	   "hlt\n"
	   "jmp 1b\n");
/* The next may come as soon as this has returned. */
GUEST_CODE(ready, 64,
	   "pushq %rax\n pushq %rcx\n pushq %rdx\n"
	   "movl 0x11004, %eax\n"
	   "pushq %rax\n"
	   "movl $0, 0x11004\n"
	   "movl $0xfee000b0, %ecx\n"
	   "movl $0, (%rcx)\n"
	   "movl $0x4b564d07, %ecx\n"
	   "movl $1, %eax\n"
	   "xorl %edx, %edx\n"
	   "wrmsr\n"
	   "popq %rax\n"
	   "outl %eax, $0x22\n"
	   "popq %rdx\n popq %rcx\n popq %rax\n"
	   "iretq\n");
GUEST_CODE(msi, 64,
	   "pushq %rcx\n"
	   "movl $0xfee000b0, %ecx\n"
	   "movl $0, (%rcx)\n"
	   "outb %al, $0x23\n"
	   "popq %rcx\n"
	   "iretq\n");

FIXTURE(apf)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *hva;
	int uffd;
};

static void set_gate(struct vm *vm, int vector, uint64_t handler)
{
	uint64_t *gate = (uint64_t *)(vm->mem + IDT_GPA) + 2 * vector;

	gate[0] = (handler & 0xffff) | 8 << 16 | 0x8eULL << 40 | (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
}

/* Code and tables of the guest, and a LAPIC that is on. */
static int load_guest(struct vm *vm, struct vcpu *vcpu)
{
	static const uint64_t gdt[] = {
		0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
	};
	struct kvm_lapic_state lapic;

	vm_load(vm, VM_CODE_GPA, access_pages);
	vm_load(vm, HANDLER_GPA, missing);
	vm_load(vm, READY_GPA, ready);
	vm_load(vm, MSI_GPA, msi);
	memcpy(vm->mem + GDT_GPA, gdt, sizeof(gdt));
	*(uint64_t *)(vm->mem + TSS_GPA + 4) = STACK0_GPA;
	set_gate(vm, 14, HANDLER_GPA);
	set_gate(vm, READY_VECTOR, READY_GPA);
	set_gate(vm, MSI_VECTOR, MSI_GPA);
	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic))
		return -1;
	*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic);
}

/* The guest goes on, or begins, at its first instruction. */
static int restart(struct vm *vm, struct vcpu *vcpu, int cpl, uint64_t rflags)
{
	struct kvm_segment *seg, *data[5];
	uint64_t *entry = (uint64_t *)(vm->mem + VM_TABLES_GPA);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (vcpu_long_mode(vm, vcpu, VM_CODE_GPA) || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs))
		return -1;
	/* For CPL 3, too. */
	for (int i = 0; i < 6 * 512; i++)
		entry[i] |= entry[i] & 1 ? 4 : 0;
	sregs.idt.base = IDT_GPA;
	sregs.idt.limit = 0xfff;
	sregs.gdt.base = GDT_GPA;
	sregs.gdt.limit = 5 * 8 - 1;
	sregs.tr = (struct kvm_segment){
		.base = TSS_GPA, .limit = 0x67, .selector = 0x28, .type = 11, .present = 1,
	};
	if (cpl) {
		data[0] = &sregs.ds;
		data[1] = &sregs.es;
		data[2] = &sregs.fs;
		data[3] = &sregs.gs;
		data[4] = &sregs.ss;
		for (int i = 0; i < 5; i++) {
			seg = data[i];
			seg->selector = 0x1b;
			seg->dpl = 3;
		}
		sregs.cs.selector = 0x23;
		sregs.cs.dpl = 3;
	}
	regs.rflags = 2 | RFLAGS_IOPL3 | rflags;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) || ioctl(vcpu->fd, KVM_SET_REGS, &regs) ? -1 : 0;
}

static int uffd_open(void *hva, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)hva, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	return -1;
}

static int fill(int uffd, uint8_t *hva, uint32_t page)
{
	static uint8_t from[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.src = (uintptr_t)from, .dst = (uintptr_t)hva + page * VM_PAGE_SIZE, .len = VM_PAGE_SIZE,
	};

	memset(from, FILL + page, sizeof(from));
	return ioctl(uffd, UFFDIO_COPY, &copy);
}

/* The VM with its slow memory. */
static int open_all(FIXTURE_DATA(apf) *self)
{
	self->uffd = -1;
	if (vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		return -1;
	self->vcpu = &self->vm.vcpu[0];
	self->hva = page_alloc(SLOT_PAGES * VM_PAGE_SIZE);
	self->uffd = uffd_open(self->hva, SLOT_PAGES * VM_PAGE_SIZE);
	if (self->uffd < 0 || load_guest(&self->vm, self->vcpu))
		return -1;
	return vm_set_slot(&self->vm, 1, 0, SLOT_GPA, SLOT_PAGES * VM_PAGE_SIZE, self->hva);
}

FIXTURE_SETUP(apf)
{
	ASSERT_EQ(0, open_all(self)) TH_LOG("%s: %s", dev_path(), strerror(errno));
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_ASYNC_PF));
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_ASYNC_PF_INT));
}

FIXTURE_TEARDOWN(apf)
{
	/* Whoever still waits for a page gets one. */
	close(self->uffd);
	munmap(self->hva, SLOT_PAGES * VM_PAGE_SIZE);
	vm_close(&self->vm);
}

/* The next port that the guest comes to, and what it puts there; a negative number for another exit. */
static int next_port(struct vcpu *vcpu, uint32_t *value)
{
	int reason = vcpu_run(vcpu);

	*value = 0;
	if (reason != KVM_EXIT_IO)
		return reason < 0 ? reason : -1000 - reason;
	memcpy(value, io_data(vcpu), vcpu->run->io.size);
	return vcpu->run->io.port;
}

/* Off to a page: true when the guest is about to read from it. */
static bool send_to(struct vcpu *vcpu, uint32_t page)
{
	uint32_t value;

	if (next_port(vcpu, &value) != NEXT)
		return false;
	*(uint32_t *)io_data(vcpu) = SLOT_GPA + page * VM_PAGE_SIZE;
	return true;
}

static int send_msi(struct vm *vm)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = MSI_VECTOR };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

/* Switches it on, and takes the first event, which is for all that may be waiting. Ends with the guest restarted. */
static int switch_on(struct vm *vm, struct vcpu *vcpu, uint32_t bits, int cpl)
{
	uint32_t value;

	if (restart(vm, vcpu, cpl, RFLAGS_IF) || vcpu_set_msr(vcpu, INT, READY_VECTOR) != 1 ||
	    vcpu_set_msr(vcpu, EN, SHARED_GPA | bits) != 1)
		return -1;
	if (next_port(vcpu, &value) != READY || value != ALL)
		return -1;
	return restart(vm, vcpu, cpl, RFLAGS_IF);
}

/* The guest is told that the page it goes to is missing: the token, or 0. */
static uint32_t told_missing(struct vcpu *vcpu, uint32_t page)
{
	uint32_t value;

	if (!send_to(vcpu, page) || next_port(vcpu, &value) != FLAGS || value != 1 ||
	    next_port(vcpu, &value) != MISSING)
		return 0;
	return value;
}

TEST_F(apf, the_guest_goes_on_until_the_page_is_there)
{
	uint32_t token, value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	token = told_missing(self->vcpu, 3);
	ASSERT_NE(0, token);
	/* It waits in HLT, with nothing to do; other interrupts go on. */
	ASSERT_LE(0, send_msi(&self->vm));
	EXPECT_EQ(TICK, next_port(self->vcpu, &value));
	ASSERT_EQ(0, fill(self->uffd, self->hva, 3));
	ASSERT_EQ(READY, next_port(self->vcpu, &value));
	EXPECT_EQ(token, value);
	ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, RFLAGS_IF));
	ASSERT_TRUE(send_to(self->vcpu, 3));
	ASSERT_EQ(BYTE, next_port(self->vcpu, &value));
	EXPECT_EQ(FILL + 3, value);
	if (!dev_is_reference()) {
		EXPECT_EQ(1, vm_counter("async_faults"));
		EXPECT_EQ(2, vm_counter("async_ready"));
	}
}

TEST_F(apf, user_mode_is_told)
{
	uint32_t token, value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON, 3));
	token = told_missing(self->vcpu, 5);
	ASSERT_NE(0, token);
	ASSERT_EQ(0, fill(self->uffd, self->hva, 5));
	ASSERT_EQ(READY, next_port(self->vcpu, &value));
	EXPECT_EQ(token, value);
}

static int set_svr(struct vcpu *vcpu, uint32_t svr)
{
	struct kvm_lapic_state lapic;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic))
		return -1;
	*(uint32_t *)(lapic.regs + 0xf0) = svr;
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic);
}

/* The page comes while nothing can be delivered: that is made good. */
TEST_F(apf, a_lapic_that_was_off)
{
	uint32_t token, value;
	int port = NEXT;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	token = told_missing(self->vcpu, 3);
	ASSERT_NE(0, token);
	ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, RFLAGS_IF));
	ASSERT_EQ(0, set_svr(self->vcpu, 0xff));
	ASSERT_EQ(0, fill(self->uffd, self->hva, 3));
	usleep(100000);
	for (int i = 0; i < 3; i++) {
		ASSERT_TRUE(send_to(self->vcpu, 3));
		ASSERT_EQ(BYTE, next_port(self->vcpu, &value));
	}
	ASSERT_EQ(0, set_svr(self->vcpu, 0x1ff));
	for (int i = 0; i < 10 && (port == NEXT || port == BYTE); i++) {
		port = next_port(self->vcpu, &value);
		if (port == NEXT)
			*(uint32_t *)io_data(self->vcpu) = SLOT_GPA + 3 * VM_PAGE_SIZE;
	}
	EXPECT_EQ(READY, port);
	EXPECT_EQ(token, value);
}

/* As many as there may be, all at once. */
TEST_F(apf, every_page_has_its_token)
{
	uint32_t tokens[MAX_PER_VCPU], value;
	bool seen[MAX_PER_VCPU] = { false };

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	for (uint32_t i = 0; i < MAX_PER_VCPU; i++) {
		tokens[i] = told_missing(self->vcpu, i);
		ASSERT_NE(0, tokens[i]) TH_LOG("page %u", i);
		for (uint32_t j = 0; j < i; j++)
			ASSERT_NE(tokens[j], tokens[i]);
		ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, RFLAGS_IF));
	}
	for (uint32_t i = 0; i < MAX_PER_VCPU; i++)
		ASSERT_EQ(0, fill(self->uffd, self->hva, i));
	/* IN waits for the test: it is interrupted between two events only. */
	for (uint32_t i = 0, j; i < MAX_PER_VCPU; i++) {
		int port;

		while ((port = next_port(self->vcpu, &value)) == NEXT)
			*(uint32_t *)io_data(self->vcpu) = SLOT_GPA;
		if (port == BYTE) {
			i--;
			continue;
		}
		ASSERT_EQ(READY, port);
		for (j = 0; j < MAX_PER_VCPU; j++)
			if (tokens[j] == value)
				break;
		ASSERT_GT(MAX_PER_VCPU, j) TH_LOG("token 0x%x", value);
		ASSERT_FALSE(seen[j]);
		seen[j] = true;
	}
}

struct helper {
	struct vm *vm;
	int uffd;
	uint8_t *hva;
	uint32_t page;
	bool fills;
	pthread_t thread;
};

/* When somebody waits for a page: an interrupt, and, if asked for, after a while the page. */
static void *help(void *arg)
{
	struct helper *helper = arg;
	struct uffd_msg msg;

	if (read(helper->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return NULL;
	send_msi(helper->vm);
	if (helper->fills) {
		usleep(100000);
		fill(helper->uffd, helper->hva, helper->page);
	}
	return NULL;
}

/* No more than so many: the guest has its answer, without a word about the page, when that is there. */
TEST_F(apf, the_one_too_many_is_waited_for)
{
	struct helper helper = {
		.vm = &self->vm, .uffd = self->uffd, .hva = self->hva, .page = MAX_PER_VCPU, .fills = true,
	};
	uint32_t value;
	int port;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	for (uint32_t i = 0; i < MAX_PER_VCPU; i++) {
		ASSERT_NE(0, told_missing(self->vcpu, i)) TH_LOG("page %u", i);
		ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, RFLAGS_IF));
	}
	ASSERT_TRUE(send_to(self->vcpu, MAX_PER_VCPU));
	ASSERT_EQ(0, pthread_create(&helper.thread, NULL, help, &helper));
	do {
		port = next_port(self->vcpu, &value);
	} while (port == TICK);
	pthread_join(helper.thread, NULL);
	EXPECT_EQ(BYTE, port);
	EXPECT_EQ(FILL + MAX_PER_VCPU, value);
}

/* CPL 0 is not told, where it has not asked to be: the vCPU sleeps, and interrupts wake it. */
TEST_F(apf, the_vcpu_waits_where_the_guest_cannot)
{
	struct helper helper = { .vm = &self->vm, .uffd = self->uffd };
	uint32_t value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON, 0));
	ASSERT_TRUE(send_to(self->vcpu, 7));
	ASSERT_EQ(0, pthread_create(&helper.thread, NULL, help, &helper));
	EXPECT_EQ(TICK, next_port(self->vcpu, &value));
	pthread_join(helper.thread, NULL);
	ASSERT_EQ(0, fill(self->uffd, self->hva, 7));
	ASSERT_EQ(BYTE, next_port(self->vcpu, &value));
	EXPECT_EQ(FILL + 7, value);
	if (!dev_is_reference())
		EXPECT_LE(1, vm_counter("async_waits"));
}

static void nothing(int signal)
{
	(void)signal;
}

/* So do signals; and KVM_RUN goes on waiting. */
TEST_F(apf, a_signal_ends_the_wait)
{
	struct sigaction action = { .sa_handler = nothing };
	uint32_t value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON, 0));
	ASSERT_TRUE(send_to(self->vcpu, 8));
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 2; i++) {
		timer_t timer;
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
		struct itimerspec when = { .it_value.tv_nsec = 200000000 };

		ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
		ASSERT_EQ(0, timer_settime(timer, 0, &when, NULL));
		EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_RUN, 0));
		EXPECT_EQ(EINTR, errno);
		timer_delete(timer);
	}
	ASSERT_EQ(0, fill(self->uffd, self->hva, 8));
	ASSERT_EQ(BYTE, next_port(self->vcpu, &value));
	EXPECT_EQ(FILL + 8, value);
}

/* Nobody could wake it then: it is as without all this. */
TEST_F(apf, interrupts_are_off)
{
	struct helper helper = {
		.vm = &self->vm, .uffd = self->uffd, .hva = self->hva, .page = 9, .fills = true,
	};
	uint32_t value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, 0));
	ASSERT_TRUE(send_to(self->vcpu, 9));
	ASSERT_EQ(0, pthread_create(&helper.thread, NULL, help, &helper));
	ASSERT_EQ(BYTE, next_port(self->vcpu, &value));
	EXPECT_EQ(FILL + 9, value);
	pthread_join(helper.thread, NULL);
}

/* The handler has not cleared the flags of the page before. */
TEST_F(apf, one_not_present_at_a_time)
{
	struct helper helper = {
		.vm = &self->vm, .uffd = self->uffd, .hva = self->hva, .page = 11, .fills = true,
	};
	uint32_t value;

	if (dev_is_reference())
		SKIP(return, "stock KVM does not look");
	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	*(uint32_t *)(self->vm.mem + SHARED_GPA) = 1;
	ASSERT_TRUE(send_to(self->vcpu, 11));
	ASSERT_EQ(0, pthread_create(&helper.thread, NULL, help, &helper));
	EXPECT_EQ(TICK, next_port(self->vcpu, &value));
	EXPECT_EQ(BYTE, next_port(self->vcpu, &value));
	EXPECT_EQ(FILL + 11, value);
	pthread_join(helper.thread, NULL);
}

/* The handler of the one before has not cleared its token: the next is told of behind the write to ACK. */
TEST_F(apf, one_ready_at_a_time)
{
	uint32_t token, value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	token = told_missing(self->vcpu, 12);
	ASSERT_NE(0, token);
	*(uint32_t *)(self->vm.mem + SHARED_GPA + 4) = 0x4711;
	ASSERT_EQ(0, fill(self->uffd, self->hva, 12));
	usleep(200000);
	ASSERT_LE(0, send_msi(&self->vm));
	EXPECT_EQ(TICK, next_port(self->vcpu, &value));
	EXPECT_EQ(0x4711U, *(uint32_t *)(self->vm.mem + SHARED_GPA + 4));
	*(uint32_t *)(self->vm.mem + SHARED_GPA + 4) = 0;
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, ACK, 1));
	ASSERT_EQ(READY, next_port(self->vcpu, &value));
	EXPECT_EQ(token, value);
}

/* Switched off with the page on its way; stock KVM waits there until it has come. */
static bool switch_off(FIXTURE_DATA(apf) *self, uint32_t page)
{
	bool early = dev_is_reference();

	if (early && (fill(self->uffd, self->hva, page) || usleep(200000)))
		return false;
	if (vcpu_set_msr(self->vcpu, EN, 0) != 1)
		return false;
	return early || (!fill(self->uffd, self->hva, page) && !usleep(200000));
}

TEST_F(apf, nobody_is_told_once_it_is_off)
{
	uint32_t value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	ASSERT_NE(0, told_missing(self->vcpu, 13));
	ASSERT_TRUE(switch_off(self, 13));
	ASSERT_LE(0, send_msi(&self->vm));
	EXPECT_EQ(TICK, next_port(self->vcpu, &value));
	EXPECT_EQ(0U, *(uint32_t *)(self->vm.mem + SHARED_GPA + 4));
}

/* Whoever has come from another host looks again at all that it waits for. */
TEST_F(apf, a_state_that_is_restored_wakes_all)
{
	uint64_t en, vector;
	uint32_t value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	ASSERT_NE(0, told_missing(self->vcpu, 14));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, EN, &en));
	ASSERT_EQ(1, vcpu_get_msr(self->vcpu, INT, &vector));
	EXPECT_EQ(SHARED_GPA | ON | ALWAYS, en);
	EXPECT_EQ(READY_VECTOR, vector);
	ASSERT_TRUE(switch_off(self, 14));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, EN, en));
	ASSERT_EQ(1, vcpu_set_msr(self->vcpu, INT, vector));
	ASSERT_EQ(READY, next_port(self->vcpu, &value));
	EXPECT_EQ(ALL, value);
	/* There is nothing else to be told of; other pages are missing as ever. */
	ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, RFLAGS_IF));
	EXPECT_NE(0, told_missing(self->vcpu, 17));
}

/* What was not to be had is an error for whoever goes there, as without all this. */
TEST_F(apf, memory_that_goes_while_it_is_fetched)
{
	struct uffdio_range range = {
		.start = (uintptr_t)self->hva + 15 * VM_PAGE_SIZE, .len = VM_PAGE_SIZE,
	};
	uint32_t token, value;

	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	token = told_missing(self->vcpu, 15);
	ASSERT_NE(0, token);
	ASSERT_EQ(0, munmap(self->hva + 15 * VM_PAGE_SIZE, VM_PAGE_SIZE));
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_WAKE, &range));
	ASSERT_EQ(READY, next_port(self->vcpu, &value));
	EXPECT_EQ(token, value);
	ASSERT_EQ(0, restart(&self->vm, self->vcpu, 0, RFLAGS_IF));
	ASSERT_TRUE(send_to(self->vcpu, 15));
	EXPECT_EQ(-EFAULT, next_port(self->vcpu, &value));
}

TEST_F(apf, a_vcpu_goes_while_a_page_is_fetched)
{
	ASSERT_EQ(0, switch_on(&self->vm, self->vcpu, ON | ALWAYS, 0));
	ASSERT_NE(0, told_missing(self->vcpu, 16));
	if (dev_is_reference())
		SKIP(return, "stock KVM waits for the page");
	vm_close(&self->vm);
	ASSERT_EQ(0, fill(self->uffd, self->hva, 16));
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY));
}

static pid_t start_victim(int *theirs)
{
	FIXTURE_DATA(apf) self;
	int pipes[2];
	pid_t pid;

	if (pipe(pipes))
		return -1;
	pid = fork();
	if (pid) {
		close(pipes[1]);
		if (read(pipes[0], theirs, sizeof(*theirs)) != sizeof(*theirs))
			*theirs = -1;
		close(pipes[0]);
		return pid;
	}
	if (open_all(&self) || switch_on(&self.vm, self.vcpu, ON | ALWAYS, 0) ||
	    !told_missing(self.vcpu, 1) || restart(&self.vm, self.vcpu, 0, RFLAGS_IF) ||
	    !told_missing(self.vcpu, 2))
		_exit(1);
	if (write(pipes[1], &self.uffd, sizeof(self.uffd)) != sizeof(self.uffd))
		_exit(1);
	for (;;)
		pause();
}

/* kill -9 of a VMM whose pages are on their way; @keep: another process has its userfaultfd and lets it wait. */
static void killed(struct __test_metadata *_metadata, bool keep)
{
	int theirs, ours = -1, pidfd, status;
	pid_t pid = start_victim(&theirs);

	ASSERT_LT(0, pid);
	ASSERT_LE(0, theirs);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	ASSERT_LE(0, pidfd);
	if (keep) {
		ours = syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
		ASSERT_LE(0, ours);
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	if (keep)
		close(ours);
	close(pidfd);
}

TEST_F(apf, the_vmm_is_killed)
{
	killed(_metadata, false);
}

TEST_F(apf, the_vmm_is_killed_and_somebody_keeps_its_userfaultfd)
{
	killed(_metadata, true);
}

TEST_F(apf, msrs_are_checked)
{
	uint64_t value;

	for (uint64_t bit = 4; bit < 6; bit++)
		EXPECT_EQ(0, vcpu_set_msr(self->vcpu, EN, SHARED_GPA | ON | 1ULL << bit));
	/* Where there is no memory. */
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, EN, VM_MMIO_GPA | ON));
	/* Not on, so nobody looks. */
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, EN, 0));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, EN, SHARED_GPA | 1));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, EN, &value));
	EXPECT_EQ(SHARED_GPA | 1, value);
	EXPECT_EQ(0, vcpu_set_msr(self->vcpu, INT, 0x100));
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, INT, 0xff));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, INT, &value));
	EXPECT_EQ(0xffU, value);
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, ACK, 1));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, ACK, &value));
	EXPECT_EQ(0U, value);
}

TEST_F(apf, the_guest_gets_gp)
{
	uint64_t value;

	ASSERT_EQ(0, msr_guest_load(&self->vm, self->vcpu));
	EXPECT_EQ(GUEST_GP, msr_guest_write(self->vcpu, EN, SHARED_GPA | ON | 0x10));
	EXPECT_EQ(GUEST_GP, msr_guest_write(self->vcpu, EN, VM_MMIO_GPA | ON));
	EXPECT_EQ(GUEST_GP, msr_guest_write(self->vcpu, INT, 0x100));
	EXPECT_EQ(GUEST_DONE, msr_guest_write(self->vcpu, INT, READY_VECTOR));
	EXPECT_EQ(GUEST_DONE, msr_guest_write(self->vcpu, EN, SHARED_GPA | ON));
	EXPECT_EQ(GUEST_DONE, msr_guest_read(self->vcpu, EN, &value));
	EXPECT_EQ(SHARED_GPA | ON, value);
	EXPECT_EQ(GUEST_DONE, msr_guest_write(self->vcpu, ACK, 1));
}

TEST_F(apf, the_msrs_are_listed)
{
	struct {
		struct kvm_msr_list list;
		uint32_t index[1024];
	} all = { .list.nmsrs = 1024 };
	int found = 0;

	ASSERT_EQ(0, ioctl(self->vm.sys_fd, KVM_GET_MSR_INDEX_LIST, &all));
	for (uint32_t i = 0; i < all.list.nmsrs; i++)
		found += all.list.indices[i] == EN || all.list.indices[i] == INT ||
			 all.list.indices[i] == ACK;
	EXPECT_EQ(3, found);
}

TEST_F(apf, features_are_enforced)
{
	static const uint32_t msrs[] = { EN, INT, ACK };
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm.sys_fd);
	struct kvm_cpuid_entry2 *e;
	uint64_t value;

	ASSERT_NE(NULL, cpuid);
	e = cpuid_find(cpuid, 0x40000001, 0);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(1U << KVM_FEATURE_ASYNC_PF | 1U << KVM_FEATURE_ASYNC_PF_INT,
		  e->eax & (1U << KVM_FEATURE_ASYNC_PF | 1U << KVM_FEATURE_ASYNC_PF_INT));
	free(cpuid);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(!round, vcpu_get_msr(self->vcpu, msrs[i], &value));
		ASSERT_EQ(0, enable_cap(self->vcpu->fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1));
	}
}

TEST(without_a_lapic_there_is_none)
{
	struct vm vm;

	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_VCPU));
	EXPECT_EQ(0, vcpu_set_msr(&vm.vcpu[0], EN, SHARED_GPA | ON));
	EXPECT_EQ(1, vcpu_set_msr(&vm.vcpu[0], EN, 0));
	EXPECT_EQ(0, vcpu_set_msr(&vm.vcpu[0], INT, READY_VECTOR));
	vm_close(&vm);
}

TEST_HARNESS_MAIN
