// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals and every other vCPU ioctl against KVM_RUN on the same vCPU; descriptors that are
 * closed under all of it. What is read is a state that the guest was in, what is set back changes
 * nothing.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "race.h"
#include "vm.h"

#define SLOW_S	120

/* rbx follows rax, xmm0 counts with them; at any instruction they are equal or one apart. */
GUEST_CODE(count, 64,
	   "1: incq %rax\n"
	   "movq %rax, %xmm0\n"
	   "incq %rbx\n"
	   "jmp 1b\n");
#define COUNT_LEN	((uint64_t)(count_end - count_start))

GUEST_CODE(busy, 16,
	   "sti\n"
	   "1: outb %al, $0x10\n"
	   "incw %bx\n"
	   "movb %bl, 0x1000\n"
	   "jmp 1b\n");

FIXTURE(race_run)
{
	struct vm vm;
	struct race race;
	struct kvm_regs last;
	/* for a moment, what is set must be what was read */
	pthread_mutex_t lock;
};

FIXTURE_SETUP(race_run)
{
	struct kvm_sregs sregs;

	memset(self, 0, sizeof(*self));
	pthread_mutex_init(&self->lock, NULL);
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU | VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	vm_load(&self->vm, VM_CODE_GPA, count);
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, &self->vm.vcpu[0]));
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, &self->vm.vcpu[0], VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vm.vcpu[0].fd, KVM_GET_SREGS, &sregs));
	sregs.cr4 |= 1 << 9;	/* OSFXSR, for xmm0 */
	ASSERT_EQ(0, ioctl(self->vm.vcpu[0].fd, KVM_SET_SREGS, &sregs));
}

FIXTURE_TEARDOWN(race_run)
{
	race_end(&self->race);
	vm_close(&self->vm);
}

typedef FIXTURE_DATA(race_run) data;

static void run(struct racer *racer)
{
	data *self = racer->arg;
	struct vcpu *vcpu = &self->vm.vcpu[0];

	while (race_goes_on(racer)) {
		vcpu->run->immediate_exit = race_random(racer, 4) == 0;
		if (!ioctl(vcpu->fd, KVM_RUN, 0))
			race_trouble(racer->race, "a run ended with a reason that nobody expects");
		else if (errno != EINTR && errno != EAGAIN)
			race_trouble(racer->race, "a run failed");
		racer->rounds++;
		/* The mutex of the vCPU is not fair. */
		usleep(100);
	}
}

static void tick(struct racer *racer)
{
	data *self = racer->arg;

	while (race_goes_on(racer)) {
		race_tick(&self->race.racer[0]);
		usleep(race_random(racer, 1500));
	}
}

/* One state that the guest was in: no register is of another time than the rest. */
static bool plausible(const data *self, const struct kvm_regs *r)
{
	return (r->rax == r->rbx || r->rax == r->rbx + 1) && r->rip >= VM_CODE_GPA &&
	       r->rip < VM_CODE_GPA + COUNT_LEN && r->rax >= self->last.rax;
}

static void read_registers(struct racer *racer)
{
	data *self = racer->arg;
	struct kvm_regs regs;

	while (race_goes_on(racer)) {
		pthread_mutex_lock(&self->lock);
		if (ioctl(self->vm.vcpu[0].fd, KVM_GET_REGS, &regs))
			race_trouble(racer->race, "GET_REGS failed");
		else if (!plausible(self, &regs))
			race_trouble(racer->race, "registers that the guest never had");
		self->last = regs;
		pthread_mutex_unlock(&self->lock);
		racer->rounds++;
	}
}

static const unsigned long states[][2] = {
	{ KVM_GET_SREGS, KVM_SET_SREGS }, { KVM_GET_LAPIC, KVM_SET_LAPIC },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE }, { KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS }, { KVM_GET_XCRS, KVM_SET_XCRS },
};

/* All of these stay the same while the guest counts, so they can be set to what they were. */
static void set_again(struct racer *racer)
{
	data *self = racer->arg;
	int fd = self->vm.vcpu[0].fd;
	uint8_t buffer[4096];
	uint64_t value;

	while (race_goes_on(racer)) {
		const unsigned long *state = states[race_random(racer, ARRAY_SIZE(states))];

		if (ioctl(fd, state[0], buffer) || ioctl(fd, state[1], buffer))
			race_trouble(racer->race, "a state could not be read and set");
		if (vcpu_get_msr(&self->vm.vcpu[0], 0x174, &value) != 1 ||
		    vcpu_set_msr(&self->vm.vcpu[0], 0x174, value) != 1)
			race_trouble(racer->race, "an MSR could not be read and set");
		racer->rounds++;
	}
}

TEST_F_TIMEOUT(race_run, registers_are_those_of_one_moment, SLOW_S)
{
	race_add(&self->race, run, self);
	race_add(&self->race, tick, self);
	race_add(&self->race, read_registers, self);
	race_add(&self->race, set_again, self);
	race_wait(&self->race, 2 * RACE_MS);
	EXPECT_STREQ("", race_end(&self->race));
	EXPECT_LT(5UL, self->race.racer[0].rounds);
	EXPECT_LT(5UL, self->race.racer[2].rounds);
	EXPECT_LT(5UL, self->race.racer[3].rounds);
	EXPECT_LT(0ULL, self->last.rax);
}

/* --- everything is closed while it is used --- */

struct shared {
	struct vm vm;
	int efd;
};

static void use_vcpu(struct racer *racer)
{
	struct shared *s = racer->arg;
	struct vcpu *vcpu = &s->vm.vcpu[race_random(racer, 2)];
	struct kvm_regs regs;

	while (race_goes_on(racer)) {
		if (race_random(racer, 4))
			ioctl(vcpu->fd, KVM_RUN, 0);
		else
			ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	}
}

static void use_vm(struct racer *racer)
{
	struct shared *s = racer->arg;
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x66 };
	struct kvm_irqfd irqfd = { .fd = s->efd, .gsi = 5 };
	struct kvm_ioeventfd io = { .addr = 0x10,
				    .len = 1,
				    .fd = s->efd,
				    .flags = KVM_IOEVENTFD_FLAG_PIO };

	while (race_goes_on(racer)) {
		switch (race_random(racer, 6)) {
		case 0:
			ioctl(s->vm.fd, KVM_SIGNAL_MSI, &msi);
			break;
		case 1:
			irqfd.flags ^= KVM_IRQFD_FLAG_DEASSIGN;
			ioctl(s->vm.fd, KVM_IRQFD, &irqfd);
			break;
		case 2:
			io.flags ^= KVM_IOEVENTFD_FLAG_DEASSIGN;
			ioctl(s->vm.fd, KVM_IOEVENTFD, &io);
			break;
		case 3:
			eventfd_write(s->efd, 1);
			break;
		case 4:
			vm_set_slot(&s->vm, 1, 0, 0x40000000, race_random(racer, 2) * VM_PAGE_SIZE,
				    s->vm.mem);
			break;
		case 5:
			madvise(s->vm.mem + 0x11000, VM_PAGE_SIZE, MADV_DONTNEED);
			break;
		}
	}
}

/*
 * A process closes its descriptors one by one, in any order, while its threads use them, and then
 * ends.
 */
static void close_under_fire(unsigned int seed)
{
	static struct race race;
	static struct shared s;
	int *fds[5], nr = 0;

	if (vm_open(&s.vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU) || !vm_add_vcpu(&s.vm))
		_exit(1);
	s.efd = eventfd(0, EFD_NONBLOCK);
	vm_load(&s.vm, VM_CODE_GPA, busy);
	for (int i = 0; i < 2; i++)
		if (vcpu_real_mode(&s.vm.vcpu[i], VM_CODE_GPA))
			_exit(1);
	for (int i = 0; i < 3; i++)
		race_add(&race, use_vcpu, &s)->rng += seed;
	for (int i = 0; i < 3; i++)
		race_add(&race, use_vm, &s)->rng += seed;
	fds[nr++] = &s.vm.sys_fd;
	fds[nr++] = &s.vm.fd;
	fds[nr++] = &s.vm.vcpu[0].fd;
	fds[nr++] = &s.vm.vcpu[1].fd;
	fds[nr++] = &s.efd;
	usleep(seed % 5 * 3000);
	while (nr) {
		int pick = race_random(&race.racer[0], nr);

		close(*fds[pick]);
		fds[pick] = fds[--nr];
		usleep(race_random(&race.racer[0], 3000));
	}
	if (seed % 2)
		munmap(s.vm.vcpu[0].run, s.vm.run_size);
	munmap(s.vm.mem, VM_MEM_SIZE);
	/* Half of them end with threads in a system call. */
	if (seed % 4 < 2)
		race_end(&race);
	_exit(0);
}

TEST_F_TIMEOUT(race_run, closed_in_any_order_while_in_use, SLOW_S)
{
	for (unsigned int seed = 0; seed < 24; seed++) {
		int status;
		pid_t pid = fork();

		if (!pid)
			close_under_fire(seed);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status)
			TH_LOG("seed %u", seed);
	}
}

TEST_HARNESS_MAIN
