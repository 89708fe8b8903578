// SPDX-License-Identifier: GPL-2.0-only
/*
 * State that the ABI takes and the CPU does not: KVM_RUN ends with KVM_EXIT_FAIL_ENTRY, the host's log
 * names the rule that is broken, and with better state the vCPU runs.
 */
#include <cpuid.h>
#include <fcntl.h>
#include "kselftest_harness.h"
#include "vm.h"

FIXTURE(fail_entry)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sregs good;
	int log;
};

GUEST_CODE(out, 64,
	   "movb $0x5a, %al\n"
	   "outb %al, $0x40\n"
	   "hlt\n");

FIXTURE_SETUP(fail_entry)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, self->vcpu));
	vm_load(&self->vm, VM_CODE_GPA, out);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &self->good));
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
}

FIXTURE_TEARDOWN(fail_entry)
{
	close(self->log);
	vm_close(&self->vm);
}

/* Does one record of the log since the test began say that an entry was refused, and these words? */
static bool logged(int log, const char *words)
{
	char record[1024];
	bool found = false;
	ssize_t len;

	while ((len = read(log, record, sizeof(record) - 1)) >= 0 || errno == EPIPE) {
		record[len < 0 ? 0 : len] = 0;
		if (strstr(record, "entry refused: ") && strstr(record, words))
			found = true;
	}
	return found;
}

/* What the stock kernel's module does is not of our making. */
#define refused(self, words) do {						\
	ASSERT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_run((self)->vcpu));			\
	EXPECT_NE(0ull, (self)->vcpu->run->fail_entry.hardware_entry_failure_reason); \
	if (!dev_is_reference())						\
		EXPECT_TRUE(logged((self)->log, words));			\
} while (0)

/* Nothing of the failed entry is left over. */
#define runs(self) do {								\
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run((self)->vcpu));				\
	EXPECT_EQ(0x40, (self)->vcpu->run->io.port);				\
	EXPECT_EQ(0x5a, *(uint8_t *)io_data((self)->vcpu));			\
} while (0)

static bool host_is_intel(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_INTEL_ebx;
}

static int restore(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct kvm_regs regs = { .rip = VM_CODE_GPA, .rflags = 2 };

	return ioctl(vcpu->fd, KVM_SET_SREGS, sregs) || ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

TEST_F(fail_entry, cs_of_64_and_of_32_bits)
{
	struct kvm_sregs bad = self->good;

	bad.cs.db = 1;
	ASSERT_EQ(1, bad.cs.l);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &bad));
	refused(self, "CS ");
	/* Again, as long as it stays so. */
	refused(self, "CS ");
	ASSERT_EQ(0, restore(self->vcpu, &self->good));
	runs(self);
}

/* The guest was promised more physical address bits than the CPU has. */
TEST_F(fail_entry, cr3_beyond_the_cpu)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm.sys_fd);
	struct kvm_cpuid_entry2 *entry;
	struct kvm_sregs bad = self->good;

	ASSERT_NE(NULL, cpuid);
	entry = cpuid_find(cpuid, 0x80000008, 0);
	ASSERT_NE(NULL, entry);
	if ((entry->eax & 0xff) >= 52)
		SKIP(return, "the CPU has all the address bits there can be");
	entry->eax = (entry->eax & ~0xffu) | 52;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_CPUID2, cpuid));
	free(cpuid);
	bad.cr3 = 1ull << 51;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &bad));
	/* QEMU refuses this one before it has loaded the guest's state, and stores the host's in its place. */
	refused(self, "");
	ASSERT_EQ(0, restore(self->vcpu, &self->good));
	runs(self);
}

/* AMD-V injects only vectors that are exceptions (APM vol. 2, 15.20); VT-x takes any up to 31. */
TEST_F(fail_entry, exception_that_is_none)
{
	struct kvm_vcpu_events events;

	if (host_is_intel())
		SKIP(return, "VT-x takes it");
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	events.exception.injected = 1;
	events.exception.nr = 31;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	refused(self, "EVENTINJ ");
	/* It was not delivered, so it is due again. */
	refused(self, "EVENTINJ ");
	events.exception.injected = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	ASSERT_EQ(0, restore(self->vcpu, &self->good));
	runs(self);
}

/* VT-x refuses an external interrupt with IF clear; taken back, the vCPU runs. */
TEST_F(fail_entry, interrupt_with_if_clear)
{
	struct kvm_vcpu_events events;

	if (!host_is_intel())
		SKIP(return, "AMD-V takes it");
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	events.interrupt.injected = 1;
	events.interrupt.nr = 0x30;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	ASSERT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_run(self->vcpu));
	events.interrupt.injected = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	ASSERT_EQ(0, restore(self->vcpu, &self->good));
	runs(self);
}

/* The same with an NMI in the shadow of MOV SS. */
TEST_F(fail_entry, nmi_in_shadow)
{
	struct kvm_vcpu_events events;

	if (!host_is_intel())
		SKIP(return, "AMD-V takes it");
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	events.nmi.injected = 1;
	events.interrupt.shadow = KVM_X86_SHADOW_INT_MOV_SS;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	ASSERT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_run(self->vcpu));
	events.nmi.injected = 0;
	events.interrupt.shadow = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	ASSERT_EQ(0, restore(self->vcpu, &self->good));
	runs(self);
}

TEST_HARNESS_MAIN
