// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest changes of the CPU and the host's thread must not notice: FPU and vector registers, FS and
 * GS, the LDT, the SYSCALL MSRs, and CR4.TSD, which the kernel switches between threads.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "vm.h"

#define PORT	0x10
#define ROUNDS	300
#define TSC_S	3

/*
 * Changes whatever it can reach, by another value each time round, then says so by a port. MSRs, from
 * STAR on: STAR, LSTAR, CSTAR, SFMASK, and the bases of FS, GS and KERNEL_GS.
 */
GUEST_CODE(change_all, 64,
	   "movq %cr4, %rax\n"
	   "orl $0x604, %eax\n"			/* OSXMMEXCPT, OSFXSR, TSD */
	   "movq %rax, %cr4\n"
	   "movq $0x1000, %rdi\n"
	   "1: incq %rdi\n"
	   "pushq $0x027f\n fninit\n fldcw (%rsp)\n fld1\n fldpi\n popq %rax\n"
	   "pushq $0x7f80\n ldmxcsr (%rsp)\n popq %rax\n"
	   "movq %rdi, %xmm0\n movq %rdi, %xmm7\n movq %rdi, %xmm15\n"
	   "movl $0xc0000081, %ecx\n"
	   "2: movl %edi, %eax\n xorl %edx, %edx\n wrmsr\n"
	   "incl %ecx\n cmpl $0xc0000085, %ecx\n jb 2b\n"
	   "movl $0xc0000100, %ecx\n"
	   "3: movl %edi, %eax\n xorl %edx, %edx\n wrmsr\n"
	   "incl %ecx\n cmpl $0xc0000103, %ecx\n jb 3b\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

/* Takes no exit of its own until the host wants the CPU: half a million times round, then the port. */
GUEST_CODE(spin, 64,
	   "movq %cr4, %rax\n"
	   "xorl $4, %eax\n"			/* TSD */
	   "movq %rax, %cr4\n"
	   "1: movl $500000, %ecx\n"
	   "2: loop 2b\n"
	   "outb %al, $0x10\n"
	   "jmp 1b\n");

FIXTURE(host)
{
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(host)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, change_all);
	ASSERT_EQ(0, vcpu_long_mode(&self->vm, self->vcpu, VM_CODE_GPA));
}

FIXTURE_TEARDOWN(host)
{
	vm_close(&self->vm);
}

struct fpu {
	uint32_t mxcsr;
	uint16_t fcw, fsw;
	uint64_t xmm[16][2];
};

/* Registers from *@in, one KVM_RUN with no code between, registers to *@out. The ioctl's answer. */
static long run_with_fpu(int fd, const struct fpu *in, struct fpu *out)
{
	register long nr asm("rax") = SYS_ioctl;
	register const struct fpu *from asm("r12") = in;
	register struct fpu *to asm("r13") = out;

#define LOAD(n)	"movups 8+16*" #n "(%%r12), %%xmm" #n "\n"
#define STORE(n) "movups %%xmm" #n ", 8+16*" #n "(%%r13)\n"
#define EACH(x)	x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
	asm volatile("fninit\n fldcw 4(%%r12)\n fldz\n ldmxcsr (%%r12)\n" EACH(LOAD)
		     "xorl %%edx, %%edx\n syscall\n"
		     EACH(STORE) "stmxcsr (%%r13)\n fnstcw 4(%%r13)\n fnstsw 6(%%r13)\n fninit\n"
		     : "+a" (nr)
		     : "D" ((long)fd), "S" ((long)KVM_RUN), "r" (from), "r" (to)
		     : "rcx", "rdx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	return nr;
}

TEST_F(host, fpu_registers_are_the_threads_own)
{
	struct fpu in = { .fcw = 0x0f7f, .fsw = 7 << 11 }, out;
	uint32_t mxcsr = 0;
	int i, j;

	asm volatile("stmxcsr %0" : "=m" (mxcsr));
	for (i = 0; i < ROUNDS; i++) {
		in.mxcsr = 0x1f80 | (i % 4) << 13;	/* another rounding each time */
		for (j = 0; j < 16; j++) {
			in.xmm[j][0] = random();
			in.xmm[j][1] = random() * 3;
		}
		memset(&out, 0, sizeof(out));
		ASSERT_EQ(0, run_with_fpu(self->vcpu->fd, &in, &out));
		asm volatile("ldmxcsr %0" : : "m" (mxcsr));
		ASSERT_EQ((unsigned int)KVM_EXIT_IO, self->vcpu->run->exit_reason);
		ASSERT_EQ(in.mxcsr, out.mxcsr);
		ASSERT_EQ(in.fcw, out.fcw);
		ASSERT_EQ(in.fsw, out.fsw);
		ASSERT_EQ(0, memcmp(in.xmm, out.xmm, sizeof(in.xmm)));
	}
}

static uint64_t read_gs(void)
{
	uint64_t value;

	asm volatile("movq %%gs:0, %0" : "=r" (value));
	return value;
}

TEST_F(host, segment_bases_are_the_threads_own)
{
	uint64_t mark[2] = { 0x1122334455667788, 0x8877665544332211 }, base;
	static __thread int in_fs;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_SET_GS, &mark[i % 2]));
		in_fs = i;
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
		ASSERT_EQ(mark[i % 2], read_gs());
		ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
		ASSERT_EQ((uintptr_t)&mark[i % 2], base);
		ASSERT_EQ(i, in_fs);
	}
}

static bool set_ldt(void *base)
{
	struct user_desc desc = {
		.entry_number = 0, .base_addr = (uintptr_t)base, .limit = 0xfff, .seg_32bit = 1,
	};

	return !syscall(SYS_modify_ldt, 1, &desc, sizeof(desc));
}

static void *change_ldt(void *arg)
{
	bool *stop = arg;

	/* Every change makes the kernel load the new table on the CPUs of all of the process's threads. */
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		syscall(SYS_modify_ldt, 1, &(struct user_desc){ .entry_number = 1, .limit = 1 },
			sizeof(struct user_desc));
	return NULL;
}

TEST_F(host, ldt_is_the_process_own)
{
	uint64_t *low = mmap(NULL, VM_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	bool stop = false;
	pthread_t thread;
	uint16_t gs;
	int i;

	ASSERT_NE(MAP_FAILED, (void *)low);
	*low = 0x0123456789abcdef;
	if (!set_ldt(low))
		SKIP(return, "the kernel has no LDTs");
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_ldt, &stop));
	for (i = 0; i < ROUNDS; i++) {
		asm volatile("mov %0, %%gs" : : "r" ((uint16_t)7));	/* LDT entry 0, RPL 3 */
		if (vcpu_run(self->vcpu) != KVM_EXIT_IO)
			break;
		asm volatile("mov %%gs, %0" : "=r" (gs));
		if (gs != 7 || read_gs() != *low)
			break;
		/* By the table, not by what the CPU remembers of it. */
		asm volatile("mov %0, %%gs" : : "r" ((uint16_t)7));
		if (read_gs() != *low)
			break;
	}
	asm volatile("mov %0, %%gs" : : "r" ((uint16_t)0));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(ROUNDS, i);
	munmap(low, VM_PAGE_SIZE);
}

static __thread sigjmp_buf no_tsc;

static void on_segv(int signal)
{
	(void)signal;
	siglongjmp(no_tsc, 1);
}

static bool tsc_faults(void)
{
	if (sigsetjmp(no_tsc, 1))
		return true;
	asm volatile("rdtsc" : : : "rax", "rdx");
	return false;
}

struct without_tsc {
	bool stop;
	unsigned long looks, wrong;
};

/* A thread for which the kernel sets CR4.TSD whenever it runs. */
static void *run_without_tsc(void *arg)
{
	struct without_tsc *self = arg;

	prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		self->looks++;
		self->wrong += !tsc_faults();
		usleep(200);
	}
	return NULL;
}

static int first_cpu(void)
{
	cpu_set_t set;
	int cpu = 0;

	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

TEST_F(host, cr4_follows_the_host_threads)
{
	struct without_tsc other = { .stop = false };
	unsigned long runs = 0, wrong = 0;
	struct timespec now, end;
	pthread_t thread;

	/* All on one CPU, so that the kernel changes CR4 between two runs and in the middle of one. */
	ASSERT_EQ(0, first_cpu());
	signal(SIGSEGV, on_segv);
	vm_load(&self->vm, VM_CODE_GPA, spin);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_without_tsc, &other));
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += TSC_S;
	do {
		if (vcpu_run(self->vcpu) != KVM_EXIT_IO)
			break;
		wrong += tsc_faults();
		runs++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	__atomic_store_n(&other.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	signal(SIGSEGV, SIG_DFL);
	EXPECT_GE(now.tv_sec, end.tv_sec);
	EXPECT_GT(runs, 10UL);
	EXPECT_GT(other.looks, 10UL);
	EXPECT_EQ(0UL, other.wrong);
	EXPECT_EQ(0UL, wrong);
}

TEST_HARNESS_MAIN
