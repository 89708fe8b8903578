// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations on a node of the KVM ABI cost.
 *
 *   bench [ROW...]                  on $OST_DEVICE (default /dev/ostler); all rows without names
 *   bench --exec NAME COMMAND...    a command as a row of one operation
 *   bench --list                    the rows' names
 *
 * Meant for an emulated host that counts instructions (selftests/bench/run, `make bench`): each batch stands
 * between two marker instructions, for each of which the emulator writes down its counts, and is a line here, in
 * the same order:
 *
 *   NAME OPERATIONS CYCLES
 *
 * Anywhere else CYCLES alone, of the TSC, says something. "NAME failed WHY" when a row can't be measured.
 */
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <x86intrin.h>
#include "marker.h"

static const struct row *const tables[] = {
	exit_rows, user_rows, interrupt_rows, memory_rows, ioctl_rows,
};

#define CPUID_X2APIC		(1U << 21)
#define CPUID_TSC_DEADLINE	(1U << 24)
#define GDT_GPA			VM_DATA_GPA
#define IDT_GPA			(VM_DATA_GPA + VM_PAGE_SIZE)
#define LIMIT_S			20
#define REPORT_SIZE		65536

static int set_cpuid(struct vm *vm, struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->sys_fd);
	struct kvm_cpuid_entry2 *leaf;
	int r = -1;

	if (!cpuid)
		return -1;
	leaf = cpuid_find(cpuid, 1, 0);
	if (leaf) {
		leaf->ecx |= CPUID_X2APIC | CPUID_TSC_DEADLINE;
		r = ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	}
	free(cpuid);
	return r;
}

struct vcpu *bench_vcpu(struct bench *b, uint64_t rip)
{
	struct vcpu *vcpu = vm_add_vcpu(&b->vm);

	if (!vcpu || set_cpuid(&b->vm, vcpu) || vcpu_long_mode(&b->vm, vcpu, rip))
		return NULL;
	return vcpu;
}

int bench_open(struct bench *b, unsigned int flags)
{
	if (vm_open(&b->vm, VM_MEMORY | flags))
		return -1;
	b->vcpu = bench_vcpu(b, VM_CODE_GPA);
	return b->vcpu ? 0 : -1;
}

int bench_interrupts(struct bench *b, struct vcpu *vcpu, uint8_t vector, uint64_t handler_gpa)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	const uint64_t gate[] = { (handler_gpa & 0xffff) | 8 << 16 | 0x8e00ULL << 32, 0 };
	struct kvm_sregs sregs;

	vm_copy_in(&b->vm, GDT_GPA, gdt, sizeof(gdt));
	vm_copy_in(&b->vm, IDT_GPA + 16 * vector, gate, sizeof(gate));
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.gdt.base = GDT_GPA;
	sregs.gdt.limit = sizeof(gdt) - 1;
	sregs.idt.base = IDT_GPA;
	sregs.idt.limit = VM_PAGE_SIZE - 1;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

int bench_start(struct vcpu *vcpu, unsigned int n, uint64_t rsi, uint64_t rdi)
{
	struct kvm_regs regs = {
		.rip = VM_CODE_GPA, .rsp = VM_STACK_GPA, .rflags = 2, .rbp = n, .rsi = rsi, .rdi = rdi,
	};

	return ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

int bench_until_done(struct bench *b)
{
	struct kvm_run *run = b->vcpu->run;
	int reason = vcpu_run(b->vcpu);

	if (reason == KVM_EXIT_IO && run->io.port == DONE_PORT)
		return 0;
	if (reason >= 0)
		errno = EPROTO;
	return -1;
}

/* The lines of the row that is being measured, which its process hands to ours. */
static char *report;

static int batch(struct bench *b, unsigned int n)
{
	const struct row *row = b->row;
	uint64_t begun, ended;
	int r;

	if (row->prepare && row->prepare(b, n))
		return -1;
	MARKER(MARKER_BEGIN);
	begun = __rdtsc();
	r = row->run(b, n);
	ended = __rdtsc();
	MARKER(MARKER_END);
	snprintf(report + strlen(report), REPORT_SIZE - strlen(report), "%s %u %llu\n", row->name, n,
		 (unsigned long long)(ended - begun));
	return r;
}

static int measure(const struct row *row)
{
	struct bench b = { .row = row };
	unsigned int i;

	if (row->setup && row->setup(&b))
		return -1;
	for (i = 0; i < row->batches; i++)
		if (batch(&b, row->few) || batch(&b, row->more))
			return -1;
	return 0;
}

/*
 * Each row has a process of its own: what it leaves behind ends with it. Its lines are printed when it has ended,
 * and have left the serial port before the next begins, whose batches that port's interrupts would fall into.
 */
static int measure_apart(const struct row *row)
{
	int status = 0;
	pid_t pid;

	report[0] = 0;
	pid = fork();
	if (pid == 0) {
		alarm(row->limit_s ? row->limit_s : LIMIT_S);
		_exit(measure(row) ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	fputs(report, stdout);
	if (WIFSIGNALED(status))
		printf("%s failed %s\n", row->name, strsignal(WTERMSIG(status)));
	else if (status)
		printf("%s failed %s\n", row->name, strerror(WEXITSTATUS(status)));
	fflush(stdout);
	(void)tcdrain(STDOUT_FILENO);
	return status;
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	while (*names)
		if (!strcmp(name, *names++))
			return true;
	return false;
}

static int each_row(char **names, bool list)
{
	int failed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct row *row = tables[i]; row->name; row++) {
			if (list)
				puts(row->name);
			else if (wanted(row->name, names) && measure_apart(row))
				failed = 1;
		}
	return failed;
}

static char **command;

static int run_command(struct bench *b, unsigned int n)
{
	int status = 1;
	pid_t pid = n ? fork() : 0;

	if (!n)
		return 0;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	errno = ECHILD;
	return status ? -1 : 0;
}

int main(int argc, char **argv)
{
	report = mmap(NULL, REPORT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED) {
		perror("bench");
		return 1;
	}
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return each_row(argv + 2, true);
	if (argc > 3 && !strcmp(argv[1], "--exec")) {
		const struct row row = { .name = argv[2], .few = 0, .more = 1, .batches = 1,
					 .run = run_command, .limit_s = 600 };

		command = argv + 3;
		return measure_apart(&row) ? 1 : 0;
	}
	if (argc > 1 && argv[1][0] == '-') {
		fprintf(stderr, "usage: bench [ROW...] | bench --exec NAME COMMAND... | bench --list\n");
		return 2;
	}
	return each_row(argv + 1, false);
}
