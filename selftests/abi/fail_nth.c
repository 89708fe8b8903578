// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation, and every copy from or to userspace, that an ioctl makes fails once: `make
 * test-abi T=abi/fail_nth KERNEL=debug`. The call then says ENOMEM or EFAULT, or has managed
 * without; the same call without a failure works afterwards, and so does the guest. What is
 * leaked on the way kmemleak finds at the end.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fail.h"
#include "kselftest_harness.h"
#include "vm.h"

#define SLOW_S		500
#define MAX_CALLS	2000
#define EXTRA_GPA	0x40000000UL
#define EXTRA_SIZE	(16 * VM_PAGE_SIZE)

GUEST_CODE(store, 64,
	   "movl $0x40003000, %ebx\n"
	   "movl $0x1234, (%rbx)\n"
	   "movl (%rbx), %eax\n"
	   "outl %eax, $0x10\n"
	   "1: hlt\n"
	   "jmp 1b\n");

struct stage {
	struct vm vm;
	uint8_t *extra;
	int efd;
	struct kvm_cpuid2 *cpuid;
};

/* A call under test, and what it wants to find. */
struct step {
	const char *name;
	unsigned int flags;		/* vm_open()'s */
	bool (*prepare)(struct stage *s);
	int (*call)(struct stage *s);	/* a negative number with errno when it failed */
	bool (*check)(struct stage *s);	/* after the call has worked */
};

static bool add_extra(struct stage *s)
{
	return !vm_set_slot(&s->vm, 1, 0, EXTRA_GPA, EXTRA_SIZE, s->extra);
}

static bool add_extra_logged(struct stage *s)
{
	return !vm_set_slot(&s->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, EXTRA_GPA, EXTRA_SIZE, s->extra);
}

/* A guest about to store to the slot's third page, which nobody has touched. */
static bool prepare_store(struct stage *s)
{
	vm_load(&s->vm, VM_CODE_GPA, store);
	return add_extra(s) && !vcpu_cpuid_all(&s->vm, &s->vm.vcpu[0]) &&
	       !vcpu_long_mode(&s->vm, &s->vm.vcpu[0], VM_CODE_GPA);
}

static bool prepare_store_logged(struct stage *s)
{
	return prepare_store(s) && add_extra_logged(s);
}

static int run_to_port(struct stage *s)
{
	int reason = vcpu_run(&s->vm.vcpu[0]);

	if (reason < 0) {
		errno = -reason;
		return -1;
	}
	if (reason != KVM_EXIT_IO || *(uint32_t *)io_data(&s->vm.vcpu[0]) != 0x1234) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

static bool was_stored(struct stage *s)
{
	return *(uint32_t *)(s->extra + 3 * VM_PAGE_SIZE) == 0x1234;
}

/* What was made can be used: a vCPU is there or can be made, and a guest runs on it. */
static bool guest_works(struct stage *s)
{
	if (!s->vm.nr_vcpus && !vm_add_vcpu(&s->vm))
		return false;
	return prepare_store(s) && !run_to_port(s) && was_stored(s);
}

static int open_node(struct stage *s)
{
	int fd = dev_open();

	(void)s;
	return fd < 0 ? fd : close(fd);
}

static int create_vm(struct stage *s)
{
	int fd = ioctl(s->vm.sys_fd, KVM_CREATE_VM, 0);

	return fd < 0 ? fd : close(fd);
}

static int create_vcpu(struct stage *s)
{
	int fd = ioctl(s->vm.fd, KVM_CREATE_VCPU, (unsigned long)s->vm.nr_vcpus);

	if (fd < 0)
		return fd;
	s->vm.vcpu[s->vm.nr_vcpus].fd = fd;
	return s->vm.nr_vcpus++;
}

/* The page that userspace shares with it can be had, and it has a working state. */
static bool vcpu_works(struct stage *s)
{
	struct vcpu *vcpu = &s->vm.vcpu[s->vm.nr_vcpus - 1];

	vcpu->run = mmap(NULL, s->vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return false;
	}
	return guest_works(s);
}

static int supported_cpuid(struct stage *s)
{
	s->cpuid->nent = 256;
	return ioctl(s->vm.sys_fd, KVM_GET_SUPPORTED_CPUID, s->cpuid);
}

static int set_cpuid(struct stage *s)
{
	return ioctl(s->vm.vcpu[0].fd, KVM_SET_CPUID2, s->cpuid);
}

static bool get_cpuid(struct stage *s)
{
	return !supported_cpuid(s);
}

static int create_irqchip(struct stage *s)
{
	return ioctl(s->vm.fd, KVM_CREATE_IRQCHIP, 0);
}

static int create_pit(struct stage *s)
{
	struct kvm_pit_config config = { 0 };

	return ioctl(s->vm.fd, KVM_CREATE_PIT2, &config);
}

static int set_slot(struct stage *s)
{
	return vm_set_slot(&s->vm, 1, 0, EXTRA_GPA, EXTRA_SIZE, s->extra);
}

static int log_slot(struct stage *s)
{
	return vm_set_slot(&s->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, EXTRA_GPA, EXTRA_SIZE, s->extra);
}

static int move_slot(struct stage *s)
{
	return vm_set_slot(&s->vm, 1, 0, EXTRA_GPA + EXTRA_SIZE, EXTRA_SIZE, s->extra);
}

static int delete_slot(struct stage *s)
{
	return vm_set_slot(&s->vm, 1, 0, EXTRA_GPA, 0, NULL);
}

static int get_dirty_log(struct stage *s)
{
	uint64_t bitmap;
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = &bitmap };

	return ioctl(s->vm.fd, KVM_GET_DIRTY_LOG, &log);
}

static int set_routing(struct stage *s)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[40];
	} r = { .head.nr = 40 };

	for (int i = 0; i < 40; i++) {
		r.entry[i].gsi = i;
		r.entry[i].type = KVM_IRQ_ROUTING_MSI;
		r.entry[i].u.msi.address_lo = 0xfee00000;
	}
	return ioctl(s->vm.fd, KVM_SET_GSI_ROUTING, &r);
}

static int irqfd(struct stage *s, uint32_t flags)
{
	struct kvm_irqfd i = { .fd = s->efd, .gsi = 5, .flags = flags, .resamplefd = s->efd };

	return ioctl(s->vm.fd, KVM_IRQFD, &i);
}

static int add_irqfd(struct stage *s)
{
	return irqfd(s, 0);
}

static int add_resample_irqfd(struct stage *s)
{
	return irqfd(s, KVM_IRQFD_FLAG_RESAMPLE);
}

static bool irqfd_there(struct stage *s)
{
	return irqfd(s, 0) == -1 && errno == EBUSY && !irqfd(s, KVM_IRQFD_FLAG_DEASSIGN) &&
	       !irqfd(s, 0);
}

static int ioeventfd(struct stage *s, uint32_t flags)
{
	struct kvm_ioeventfd io = { .addr = 0xd0000000, .len = 4, .fd = s->efd, .flags = flags };

	return ioctl(s->vm.fd, KVM_IOEVENTFD, &io);
}

static int add_ioeventfd(struct stage *s)
{
	return ioeventfd(s, 0);
}

static bool ioeventfd_there(struct stage *s)
{
	return ioeventfd(s, 0) == -1 && errno == EEXIST &&
	       !ioeventfd(s, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static bool ioeventfd_added(struct stage *s)
{
	return !ioeventfd(s, 0);
}

static int remove_ioeventfd(struct stage *s)
{
	return ioeventfd(s, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int state_there_and_back(struct stage *s)
{
	static const unsigned long cmds[][2] = {
		{ KVM_GET_REGS, KVM_SET_REGS },
		{ KVM_GET_SREGS, KVM_SET_SREGS },
		{ KVM_GET_FPU, KVM_SET_FPU },
		{ KVM_GET_XSAVE, KVM_SET_XSAVE },
		{ KVM_GET_LAPIC, KVM_SET_LAPIC },
		{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS },
		{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS },
	};
	static uint8_t buffer[4096];

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		if (ioctl(s->vm.vcpu[0].fd, cmds[i][0], buffer) ||
		    ioctl(s->vm.vcpu[0].fd, cmds[i][1], buffer))
			return -1;
	return 0;
}

static int set_msrs(struct stage *s)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[20];
	} m = { .head.nmsrs = 20 };
	int done;

	for (int i = 0; i < 20; i++)
		m.entry[i].index = 0x174;
	done = ioctl(s->vm.vcpu[0].fd, KVM_GET_MSRS, &m);
	if (done < 0)
		return done;
	done = ioctl(s->vm.vcpu[0].fd, KVM_SET_MSRS, &m);
	return done < 0 ? done : 0;
}

#define BASIC	(VM_MEMORY)
#define FULL	(VM_MEMORY | VM_VCPU)
#define CHIPS	(VM_MEMORY | VM_IRQCHIP)

static const struct step steps[] = {
	{ "open", 0, NULL, open_node, NULL },
	{ "CREATE_VM", 0, NULL, create_vm, NULL },
	{ "CREATE_VCPU", BASIC, NULL, create_vcpu, vcpu_works },
	{ "CREATE_VCPU with a LAPIC", CHIPS, NULL, create_vcpu, vcpu_works },
	{ "CREATE_IRQCHIP", BASIC, NULL, create_irqchip, guest_works },
	{ "CREATE_PIT2", CHIPS, NULL, create_pit, guest_works },
	{ "GET_SUPPORTED_CPUID", 0, NULL, supported_cpuid, NULL },
	{ "SET_CPUID2", FULL, get_cpuid, set_cpuid, guest_works },
	{ "a slot made", FULL, NULL, set_slot, guest_works },
	{ "a slot made with a log", FULL, NULL, log_slot, guest_works },
	{ "a slot's log switched on", FULL, prepare_store, log_slot, guest_works },
	{ "a slot moved", FULL, add_extra, move_slot, guest_works },
	{ "a slot deleted", FULL, add_extra, delete_slot, guest_works },
	{ "GET_DIRTY_LOG", FULL, add_extra_logged, get_dirty_log, guest_works },
	{ "SET_GSI_ROUTING", CHIPS, NULL, set_routing, guest_works },
	{ "IRQFD", CHIPS, NULL, add_irqfd, irqfd_there },
	{ "IRQFD with resampling", CHIPS, NULL, add_resample_irqfd, irqfd_there },
	{ "IOEVENTFD", BASIC, NULL, add_ioeventfd, ioeventfd_there },
	{ "IOEVENTFD taken off", BASIC, ioeventfd_added, remove_ioeventfd, ioeventfd_added },
	{ "state read and set", CHIPS | VM_VCPU, NULL, state_there_and_back, guest_works },
	{ "MSRs", FULL, NULL, set_msrs, guest_works },
	{ "first RUN and its faults", FULL, prepare_store, run_to_port, was_stored },
	{ "a fault that is logged", FULL, prepare_store_logged, run_to_port, was_stored },
};

static bool begin(struct stage *s, const struct step *step)
{
	memset(s, 0, sizeof(*s));
	s->extra = page_alloc(EXTRA_SIZE);
	s->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->cpuid = calloc(1, sizeof(*s->cpuid) + 256 * sizeof(s->cpuid->entries[0]));
	return !vm_open(&s->vm, step->flags) && (!step->prepare || step->prepare(s));
}

static void end(struct stage *s)
{
	vm_close(&s->vm);
	munmap(s->extra, EXTRA_SIZE);
	close(s->efd);
	free(s->cpuid);
}

/* One call whose n-th allocation fails. NULL, or what is wrong. *@last: it had no n-th. */
static const char *fail_once(const struct step *step, int n, bool *last)
{
	const char *wrong = NULL;
	struct stage s;
	int ret, err, left;

	if (!begin(&s, step))
		return "nothing could be prepared";
	fail_nth(n);
	ret = step->call(&s);
	err = errno;
	*last = !fail_off(&left);
	if (ret < 0 && *last)
		wrong = "it fails where nothing has failed below it";
	else if (ret < 0 && err != ENOMEM && err != EFAULT)
		wrong = strerrorname_np(err) ?: "a strange error";
	else if (ret < 0 && step->call(&s) < 0)
		wrong = "it fails also when tried again";
	else if (step->check && !step->check(&s))
		wrong = "what it did does not work";
	end(&s);
	return wrong;
}

FIXTURE(fail_nth)
{
};

FIXTURE_SETUP(fail_nth)
{
}

FIXTURE_TEARDOWN(fail_nth)
{
}

TEST_F_TIMEOUT(fail_nth, every_call_in_turn, SLOW_S)
{
	if (!fail_setup())
		SKIP(return, "the host's kernel can't inject failures");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		bool last = false;
		int n;

		for (n = 1; !last && n < MAX_CALLS; n++) {
			const char *wrong = fail_once(&steps[i], n, &last);

			EXPECT_EQ(NULL, wrong)
				TH_LOG("%s, failure %d: %s", steps[i].name, n, wrong);
		}
		EXPECT_TRUE(last);
		TH_LOG("%s: %d calls that can fail", steps[i].name, n - 2);
	}
}

TEST_HARNESS_MAIN
