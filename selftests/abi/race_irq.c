// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfds, routes and ioeventfds change while events go through them. No event is lost: an
 * interrupt arrives by one way or another, and what the guest writes is either an event or an
 * exit.
 */
#include <sys/eventfd.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "race.h"
#include "vm.h"

#define GSI		30
#define VECTOR		0x66
#define PORT		0x50
#define COUNT_GPA	VM_DATA_GPA
#define SLOW_S		120
/* Longer than any event takes on a slow and busy host. */
#define LOST_MS		20000

GUEST_CODE(wait, 16,
	   "sti\n"
	   "1: hlt\n"
	   "jmp 1b\n");
/* DS is based at the counter, GS at the local APIC's page. */
GUEST_CODE(handler, 16,
	   "lock incl 0\n"
	   "movl $0, %gs:0xb0\n"
	   "iretw\n");
/* Writes what it has counted to a port; the count is what it wrote so far. */
GUEST_CODE(write_port, 16,
	   "1: incl %ecx\n"
	   "outl %eax, $0x50\n"
	   "jmp 1b\n");

FIXTURE(race_irq)
{
	struct vm vm;
	struct race race;
	int efd;
	unsigned long by_exit;
};

static int set_routes(struct vm *vm, uint8_t vector)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[2];
	} r = { .head.nr = 2 };

	for (int i = 0; i < 2; i++) {
		r.entry[i].gsi = GSI + i;
		r.entry[i].type = KVM_IRQ_ROUTING_MSI;
		r.entry[i].u.msi.address_lo = 0xfee00000;
		r.entry[i].u.msi.data = vector + i;
	}
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &r);
}

static int irqfd(struct vm *vm, int fd, uint32_t flags)
{
	struct kvm_irqfd i = { .fd = fd, .gsi = GSI, .flags = flags };

	return ioctl(vm->fd, KVM_IRQFD, &i);
}

static volatile uint32_t *count(struct vm *vm)
{
	return (volatile uint32_t *)(vm->mem + COUNT_GPA);
}

FIXTURE_SETUP(race_irq)
{
	uint16_t entry[2] = { VM_DATA_GPA - 0x1000, 0 };
	struct kvm_sregs sregs;
	struct kvm_lapic_state s;
	struct vcpu *vcpu;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, wait);
	vm_load(&self->vm, VM_DATA_GPA - 0x1000, handler);
	for (int i = 0; i < 8; i++)
		vm_copy_in(&self->vm, (VECTOR + i) * 4, entry, sizeof(entry));
	ASSERT_EQ(0, vcpu_real_mode(vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.ds.base = COUNT_GPA;
	sregs.gs.base = 0xfee00000;
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_LAPIC, &s));
	*(uint32_t *)(s.regs + 0xf0) = 0x1ff;
	ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_LAPIC, &s));
	ASSERT_EQ(0, set_routes(&self->vm, VECTOR));
	self->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->efd);
}

FIXTURE_TEARDOWN(race_irq)
{
	race_end(&self->race);
	vm_close(&self->vm);
	close(self->efd);
}

typedef FIXTURE_DATA(race_irq) data;

static void run(struct racer *racer)
{
	data *self = racer->arg;

	while (race_goes_on(racer)) {
		if (!ioctl(self->vm.vcpu[0].fd, KVM_RUN, 0))
			race_trouble(racer->race, "a run ended with a reason that nobody expects");
		else if (errno != EINTR && errno != EAGAIN)
			race_trouble(racer->race, "a run failed");
	}
}

/* Signals the thread that runs the guest, and has its registers read in between. */
static void disturb(struct racer *racer)
{
	data *self = racer->arg;
	struct kvm_lapic_state s;
	struct kvm_regs regs;

	while (race_goes_on(racer)) {
		race_tick(&self->race.racer[0]);
		if (race_random(racer, 2))
			ioctl(self->vm.vcpu[0].fd, KVM_GET_LAPIC, &s);
		else
			ioctl(self->vm.vcpu[0].fd, KVM_GET_REGS, &regs);
		usleep(race_random(racer, 2000));
	}
}

static void toggle_irqfd(struct racer *racer)
{
	data *self = racer->arg;

	while (race_goes_on(racer)) {
		irqfd(&self->vm, self->efd, 0);
		usleep(race_random(racer, 400));
		irqfd(&self->vm, self->efd, KVM_IRQFD_FLAG_DEASSIGN);
		racer->rounds++;
	}
	irqfd(&self->vm, self->efd, 0);
}

static void toggle_routes(struct racer *racer)
{
	data *self = racer->arg;

	while (race_goes_on(racer)) {
		if (set_routes(&self->vm, VECTOR + race_random(racer, 4)))
			race_trouble(racer->race, "the routes could not be set");
		racer->rounds++;
		usleep(race_random(racer, 200));
	}
}

/* The guest's handler has run since it had run @before times. */
static bool arrives(data *self, uint32_t before)
{
	for (int ms = 0; ms < LOST_MS; ms++) {
		for (int i = 0; i < 10; i++) {
			if (*count(&self->vm) != before)
				return true;
			usleep(100);
		}
		if (self->race.stop)
			break;
	}
	return false;
}

/* One event after the other, each of which has to arrive before the next is sent. */
static unsigned long ping(data *self, int how, int nr)
{
	unsigned long lost = 0;

	while (nr-- && !lost && !self->race.stop) {
		struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };
		struct kvm_irq_level irq = { .irq = GSI + 1, .level = 1 };
		uint32_t before = *count(&self->vm);

		if (how == 0)
			eventfd_write(self->efd, 1);
		else if (how == 1)
			ioctl(self->vm.fd, KVM_SIGNAL_MSI, &msi);
		else
			ioctl(self->vm.fd, KVM_IRQ_LINE, &irq);
		lost += !arrives(self, before);
	}
	return lost;
}

TEST_F_TIMEOUT(race_irq, an_irqfd_that_comes_and_goes_loses_nothing, SLOW_S)
{
	race_add(&self->race, run, self);
	race_add(&self->race, toggle_irqfd, self);
	race_add(&self->race, toggle_routes, self);
	race_add(&self->race, disturb, self);
	EXPECT_EQ(0UL, ping(self, 0, 300));
	EXPECT_STREQ("", race_end(&self->race));
	EXPECT_LT(10UL, self->race.racer[1].rounds);
}

TEST_F_TIMEOUT(race_irq, changed_routes_lose_nothing, SLOW_S)
{
	ASSERT_EQ(0, irqfd(&self->vm, self->efd, 0));
	race_add(&self->race, run, self);
	race_add(&self->race, toggle_routes, self);
	race_add(&self->race, disturb, self);
	for (int how = 0; how < 3; how++) {
		EXPECT_EQ(0UL, ping(self, how, 100))
			TH_LOG("way %d", how);
	}
	EXPECT_STREQ("", race_end(&self->race));
	EXPECT_LT(10UL, self->race.racer[1].rounds);
}

static void run_writer(struct racer *racer)
{
	data *self = racer->arg;
	struct vcpu *vcpu = &self->vm.vcpu[0];

	while (race_goes_on(racer)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			if (errno != EINTR && errno != EAGAIN)
				race_trouble(racer->race, "a run failed");
		} else if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == PORT) {
			self->by_exit++;
		} else {
			race_trouble(racer->race, "a run ended with a reason that nobody expects");
		}
	}
	/* An exit that userspace has not answered yet is not done: its count has been made. */
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, 0);
}

static void toggle_ioeventfd(struct racer *racer)
{
	data *self = racer->arg;
	struct kvm_ioeventfd io = {
		.addr = PORT, .len = 4, .fd = self->efd, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};

	while (race_goes_on(racer)) {
		io.flags ^= KVM_IOEVENTFD_FLAG_DEASSIGN & io.flags;
		if (ioctl(self->vm.fd, KVM_IOEVENTFD, &io))
			race_trouble(racer->race, "an ioeventfd could not be assigned");
		usleep(race_random(racer, 300));
		io.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
		if (ioctl(self->vm.fd, KVM_IOEVENTFD, &io))
			race_trouble(racer->race, "an ioeventfd could not be taken off");
		usleep(race_random(racer, 300));
		racer->rounds++;
	}
}

/* Each write of the guest is one event or one exit, and never both. */
TEST_F_TIMEOUT(race_irq, every_write_is_an_event_or_an_exit, SLOW_S)
{
	struct kvm_regs regs;
	eventfd_t events = 0;

	vm_load(&self->vm, VM_CODE_GPA, write_port);
	race_add(&self->race, run_writer, self);
	race_add(&self->race, toggle_ioeventfd, self);
	race_add(&self->race, disturb, self);
	race_wait(&self->race, RACE_MS);
	EXPECT_STREQ("", race_end(&self->race));
	eventfd_read(self->efd, &events);
	ASSERT_EQ(0, ioctl(self->vm.vcpu[0].fd, KVM_GET_REGS, &regs));
	/* It may stand between counting and writing. */
	if (regs.rip == VM_CODE_GPA + 2)
		regs.rcx--;
	EXPECT_EQ(regs.rcx, self->by_exit + events);
	EXPECT_LT(0UL, events);
	EXPECT_LT(0UL, self->by_exit);
	EXPECT_LT(10UL, self->race.racer[1].rounds);
}

TEST_HARNESS_MAIN
