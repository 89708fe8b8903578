// SPDX-License-Identifier: GPL-2.0-only
/* As many vCPUs as KVM_CAP_MAX_VCPUS says, and interrupts to those that 8 bits can't address. */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define VECTOR		0x66
/* So many go to all at once no more, and 8 bits don't name the last. */
#define NR		262
#define LAST		(NR - 1)
/* A slow host makes as many as it can in this time. */
#define ENOUGH_S	30
#define LAPIC_GPA	0xfee00000UL

static int fds[1024];

FIXTURE(many)
{
	struct vm vm;
	int nr;
};

static int add(struct vm *vm, int index, uint32_t id)
{
	fds[index] = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	return fds[index] < 0 ? -1 : 0;
}

/* A LAPIC that takes messages, in x2APIC mode. */
static int prepare(struct vm *vm, int fd, bool x2apic)
{
	struct vcpu vcpu = { .fd = fd };
	struct kvm_lapic_state s;
	uint64_t base;

	if (x2apic && (vcpu_cpuid_all(vm, &vcpu) || vcpu_get_msr(&vcpu, 0x1b, &base) != 1 ||
		       vcpu_set_msr(&vcpu, 0x1b, base | 1 << 10) != 1))
		return -1;
	if (ioctl(fd, KVM_GET_LAPIC, &s))
		return -1;
	*(uint32_t *)(s.regs + 0xf0) = 0x1ff;
	return ioctl(fd, KVM_SET_LAPIC, &s);
}

/* Does VECTOR wait at its LAPIC? */
static bool took(int fd)
{
	struct kvm_lapic_state s;

	return !ioctl(fd, KVM_GET_LAPIC, &s) &&
	       *(uint32_t *)(s.regs + 0x200 + 16 * (VECTOR / 32)) & 1U << VECTOR % 32;
}

FIXTURE_SETUP(many)
{
	struct rlimit limit = { 4096, 4096 };
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	};

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->nr = has_cap(&self->vm, KVM_CAP_MAX_VCPUS);
	if (has_cap(&self->vm, KVM_CAP_MAX_VCPU_ID) < 1024 || self->nr < 300)
		SKIP(return, "%d vCPUs at most", self->nr);
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_ENABLE_CAP, &cap));
}

FIXTURE_TEARDOWN(many)
{
	for (int i = 0; i < 1024; i++) {
		if (fds[i] > 0)
			close(fds[i]);
		fds[i] = 0;
	}
	vm_close(&self->vm);
}

TEST_F_TIMEOUT(many, up_to_the_limit, 120)
{
	int i, max_id = has_cap(&self->vm, KVM_CAP_MAX_VCPU_ID);
	time_t end = time(NULL) + ENOUGH_S;

	if (self->nr > 1024)
		SKIP(return, "more than are tried here");
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, max_id));
	EXPECT_EQ(EINVAL, errno);
	/* From the highest id on, with holes. */
	for (i = 0; i < self->nr && time(NULL) < end; i++)
		if (add(&self->vm, i, max_id - 1 - i * (max_id / self->nr)))
			break;
	if (time(NULL) >= end)
		SKIP(return, "%d in %d s, which is enough", i, ENOUGH_S);
	EXPECT_EQ(self->nr, i)
		TH_LOG("%s", strerror(errno));
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* Messages to and from the last of somewhat more than 8 bits address. */
TEST_F_TIMEOUT(many, messages_to_all, 120)
{
	struct kvm_msi m = { .address_lo = 0xfee00000, .data = VECTOR };
	const int nr = NR;
	int i, took_it = 0;

	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, add(&self->vm, i, i) || prepare(&self->vm, fds[i], true));
	m.address_lo |= (LAST & 0xff) << 12;
	m.address_hi = LAST & ~0xff;
	EXPECT_EQ(1, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &m));
	EXPECT_TRUE(took(fds[LAST]));
	EXPECT_FALSE(took(fds[LAST & 0xff]));
	m.address_lo = 0xfee00000 | 0xff << 12;
	m.address_hi = 0xffffff00;
	EXPECT_LT(0, ioctl(self->vm.fd, KVM_SIGNAL_MSI, &m));
	for (i = 0; i < nr; i++)
		took_it += took(fds[i]);
	EXPECT_EQ(nr, took_it);
}

/* The same through an irqfd's wait queue, where interrupts are off. */
TEST_F_TIMEOUT(many, irqfd_to_all, 120)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} r = { .head.nr = 1 };
	struct kvm_irqfd irqfd = { .gsi = 30, .fd = eventfd(0, 0) };
	const int nr = NR;
	int i, took_it = 0;

	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, add(&self->vm, i, i) || prepare(&self->vm, fds[i], true));
	r.entry[0].gsi = 30;
	r.entry[0].type = KVM_IRQ_ROUTING_MSI;
	r.entry[0].u.msi.address_lo = 0xfee00000 | 0xff << 12;
	r.entry[0].u.msi.address_hi = 0xffffff00;
	r.entry[0].u.msi.data = VECTOR;
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_SET_GSI_ROUTING, &r));
	ASSERT_EQ(0, ioctl(self->vm.fd, KVM_IRQFD, &irqfd));
	ASSERT_EQ(0, eventfd_write(irqfd.fd, 1));
	for (int tries = 0; tries < 50 && !took(fds[nr - 1]); tries++)
		usleep(100000);
	for (i = 0; i < nr; i++)
		took_it += took(fds[i]);
	EXPECT_EQ(nr, took_it);
	close(irqfd.fd);
}

/* From a guest: INIT and SIPI by shorthand in xAPIC mode, as firmware does it, to ids that it can't name. */
TEST_F_TIMEOUT(many, guest_wakes_a_large_id, 120)
{
	GUEST_CODE(wake, 16,
		   "movl $0x1ff, %gs:0xf0\n"
		   "movl $0xc4500, %gs:0x300\n"		/* INIT to all but self */
		   "movl $0xc4609, %gs:0x300\n"		/* SIPI to 0x9000 */
		   "outb %al, $0x10\n");
	GUEST_CODE(woken, 16, "outb %al, $0x11\n");
	struct kvm_sregs sregs;
	struct vcpu last;
	struct vcpu *boot;

	boot = vm_add_vcpu(&self->vm);
	ASSERT_NE(NULL, boot);
	last.fd = ioctl(self->vm.fd, KVM_CREATE_VCPU, 700);
	ASSERT_LE(0, last.fd);
	last.run = mmap(NULL, self->vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, last.fd, 0);
	ASSERT_NE(MAP_FAILED, last.run);
	vm_load(&self->vm, VM_CODE_GPA, wake);
	vm_load(&self->vm, 0x9000, woken);
	ASSERT_EQ(0, vcpu_real_mode(boot, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(boot->fd, KVM_GET_SREGS, &sregs));
	sregs.gs.base = LAPIC_GPA;
	ASSERT_EQ(0, ioctl(boot->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(boot));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(&last));
	EXPECT_EQ(0x11, last.run->io.port);
	munmap(last.run, self->vm.run_size);
	close(last.fd);
}

TEST_HARNESS_MAIN
