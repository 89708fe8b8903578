/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the kernels this module is built for: 6.1, 6.12 and 7.3 of Debian.
 * The rest of the module reads as if written for one kernel; a version test stands nowhere else.
 */
#ifndef OST_COMPAT_H
#define OST_COMPAT_H

#include <linux/version.h>
#include <linux/cpu.h>
#include <linux/kvm_host.h>
#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/syscore_ops.h>
#include <asm/msr.h>
#include <asm/cpu.h>
#include <asm/cpufeature.h>
#include <asm/mmu_context.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>
#include <asm/smp.h>
#include <asm/tlbflush.h>

/* smp_send_reschedule() has a tracepoint in it since 6.4. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <trace/events/ipi.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#include <linux/entry-virt.h>
#include <asm/cpuid/api.h>
#else
#include <linux/entry-kvm.h>
#include <asm/cpuid.h>
#endif

/* The kernel that this module is built for, as OST_GET_INFO tells it. */
#define OST_BUILT_FOR LINUX_VERSION_CODE

/*
 * Work that has to be done before a guest is entered: rescheduling, task work, signals.
 * 0, or -EINTR. Before 6.16 the kernel's function writes an exit reason into a struct kvm_vcpu of
 * the stock module when it meets a signal; it gets one to scribble on (compat.c).
 */
#define OST_XFER_WRITES_VCPU (LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0))
static inline int ost_xfer_work(void)
{
#if OST_XFER_WRITES_VCPU
	extern struct kvm_vcpu *ost_scratch_kvm_vcpu;

	return xfer_to_guest_mode_handle_work(ost_scratch_kvm_vcpu);
#else
	return xfer_to_guest_mode_handle_work();
#endif
}

/*
 * Since 6.16 a section with the FPU in kernel hands keeps softirqs disabled, so the run loop has to
 * end it when one is due. Before, preemption was all that it disabled.
 */
static inline bool ost_softirqs_held_up(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	return local_softirq_pending();
#else
	return false;
#endif
}

/* The trace macros lost __assign_str()'s second argument in 6.10. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define ost_assign_str(dst, src) __assign_str(dst)
#else
#define ost_assign_str(dst, src) __assign_str(dst, src)
#endif

/*
 * Suspend and resume of the last CPU. The callbacks take an argument since 6.19, which also renamed
 * what is registered (compat.c).
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define OST_SYSCORE_ARG void *data
#define OST_DEFINE_SYSCORE(name, callbacks) static struct syscore name = { .ops = callbacks }
#define ost_syscore_register(name) register_syscore(&(name))
#define ost_syscore_unregister(name) unregister_syscore(&(name))
#else
#define OST_SYSCORE_ARG void
#define OST_DEFINE_SYSCORE(name, callbacks) static struct syscore_ops *const name = callbacks
#define ost_syscore_register(name) register_syscore_ops(name)
#define ost_syscore_unregister(name) unregister_syscore_ops(name)
#endif
void ost_register_syscore(int (*suspend)(OST_SYSCORE_ARG), void (*resume)(OST_SYSCORE_ARG));
void ost_unregister_syscore(void);

/* eventfd_signal() lost its count, which was 1 everywhere, in 6.8. Any context. */
static inline void ost_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/* hrtimer_init() and the assignment of the function became one in 6.13. */
static inline void ost_hrtimer_setup(struct hrtimer *timer,
				     enum hrtimer_restart (*function)(struct hrtimer *),
				     clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, function, clock, mode);
#else
	hrtimer_init(timer, clock, mode);
	timer->function = function;
#endif
}

/* The 64-bit MSR accessors were renamed in 6.16. */
#ifndef rdmsrq
#define rdmsrq(msr, val) rdmsrl(msr, val)
#define wrmsrq(msr, val) wrmsrl(msr, val)
#define rdmsrq_safe(msr, val) rdmsrl_safe(msr, val)
#define wrmsrq_safe(msr, val) wrmsrl_safe(msr, val)
#endif

/* Page lookups that end when any signal comes, not only a fatal one: since 6.2. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define OST_FOLL_INTERRUPTIBLE FOLL_INTERRUPTIBLE
#else
#define OST_FOLL_INTERRUPTIBLE 0
#endif

/* One page of any address space; no list of VMAs since 6.5. mmap_lock held, *locked: whether it still is. */
static inline long ost_get_page_remote(struct mm_struct *mm, unsigned long hva, unsigned int flags,
				       struct page **page, int *locked)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	return get_user_pages_remote(mm, hva, 1, flags, page, locked);
#else
	return get_user_pages_remote(mm, hva, 1, flags, page, NULL, locked);
#endif
}

/*
 * Flushes the indirect branch predictor between two vCPUs, unless the host does without: kernels
 * before 6.15 say so by a feature bit of its own. Spelt out since newer kernels reserve their helper.
 */
static inline void ost_ibpb(void)
{
#ifdef X86_FEATURE_USE_IBPB
	if (!cpu_feature_enabled(X86_FEATURE_USE_IBPB))
		return;
#else
	if (!cpu_feature_enabled(X86_FEATURE_IBPB))
		return;
#endif
	wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

static inline bool ost_has_smt_rsb_bug(void)
{
#ifdef X86_BUG_SMT_RSB
	return boot_cpu_has_bug(X86_BUG_SMT_RSB);
#else
	return false;
#endif
}

/* KVM_EXIT_HYPERCALL: `longmode` until 6.5, flags since. */
static inline void ost_hypercall_set_mode64(struct kvm_run *run, bool mode64)
{
#ifdef KVM_EXIT_HYPERCALL_LONG_MODE
	run->hypercall.flags = mode64 ? KVM_EXIT_HYPERCALL_LONG_MODE : 0;
#else
	run->hypercall.longmode = mode64;
#endif
}

/* A guest ran: where VMSCAPE is mitigated, the VMM gets clean branch predictors. [irqoff] */
static inline void ost_ibpb_before_user(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/*
 * The host's machine check handler, for a machine check whose delivery a guest's exit took the place of.
 * It met nothing of the kernel's, so the handler gets registers that look like user space's. [irqoff]
 */
static inline void ost_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}

/* How many NMIs this CPU has taken, as far as can be told: changes by each. [irqoff] */
static inline unsigned int ost_nmi_count(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 1, 0)
	return this_cpu_read(irq_stat.__nmi_count);
#else
	return this_cpu_read(irq_stat.counts[IRQ_COUNT_NMI]);
#endif
}

/* The operand of OST_CLEAR_CPU_BUFFERS. */
extern const u16 ost_verw_selector;

/* Kernels from 6.10 give the field another name, to warn of reading it twice. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define ost_immediate_exit(run) READ_ONCE((run)->immediate_exit__unsafe)
#else
#define ost_immediate_exit(run) READ_ONCE((run)->immediate_exit)
#endif

/*
 * The bit of MSR_ZEN4_BP_CFG that keeps guests from steering the host's returns (SRSO), on CPUs where
 * the host has chosen that; else 0.
 */
static inline u64 ost_bp_spec_reduce(void)
{
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
	if (cpu_feature_enabled(X86_FEATURE_SRSO_BP_SPEC_REDUCE))
		return BIT_ULL(MSR_ZEN4_BP_CFG_BP_SPEC_REDUCE_BIT);
#endif
	return 0;
}

/*
 * CR4.VMXE through the kernel's shadow of CR4, with interrupts off. Kernels from 6.18 reserve that for the
 * stock modules: there VMX is on only while nobody else can write CR4 (vmx/cpu.c).
 */
/* A workqueue without that flag was one, before it had to be said. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define OST_WQ_PERCPU WQ_PERCPU
#else
#define OST_WQ_PERCPU 0
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define OST_CR4_SHADOW 1
static inline void ost_cr4_update(unsigned long set, unsigned long clear)
{
	cr4_update_irqsoff(set, clear);
}

/* CR3 and CR4 as the kernel has noted them. [irqoff] */
static inline unsigned long ost_cr3_noted(void)
{
	return __get_current_cr3_fast();
}

static inline unsigned long ost_cr4_noted(void)
{
	return cr4_read_shadow();
}

/* VMX operation begins or has ended: CPUs that can't trace in it (Intel PT) stop tracing in between. [irqoff] */
static inline void ost_pt_handle_vmx(bool on)
{
	intel_pt_handle_vmx(on);
}
#else
#define OST_CR4_SHADOW 0
static inline void ost_cr4_update(unsigned long set, unsigned long clear)
{
}

static inline unsigned long ost_cr3_noted(void)
{
	return 0;
}

static inline unsigned long ost_cr4_noted(void)
{
	return 0;
}

static inline void ost_pt_handle_vmx(bool on)
{
}
#endif

/* Does the kernel take events by FRED rather than through the IDT? */
static inline bool ost_host_uses_fred(void)
{
#ifdef X86_FEATURE_FRED
	return cpu_feature_enabled(X86_FEATURE_FRED);
#else
	return false;
#endif
}

/*
 * The frame and the permission that a driver has mapped at an address of a VM_PFNMAP area; -errno when nothing is.
 * mmap_lock held.
 */
static inline int ost_follow_device(struct vm_area_struct *vma, unsigned long address, u64 *pfn, bool *writable)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	struct follow_pfnmap_args args = { .vma = vma, .address = address };
	int r = follow_pfnmap_start(&args);

	if (r)
		return r;
	*pfn = args.pfn;
	*writable = args.writable;
	follow_pfnmap_end(&args);
#else
	spinlock_t *lock;
	pte_t *ptep, pte;
	int r = follow_pte(vma->vm_mm, address, &ptep, &lock);

	if (r)
		return r;
	pte = *ptep;
	pte_unmap_unlock(ptep, lock);
	*pfn = pte_pfn(pte);
	*writable = pte_write(pte);
#endif
	return 0;
}

/* Is the file of VFIO's, a group's or a device's? */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define OST_VFIO_IS_VALID vfio_file_is_valid
#else
#define OST_VFIO_IS_VALID vfio_file_is_group
#endif

/*
 * Does the kernel want CPU buffers cleared before guests that have a device's memory (MMIO stale data)? Not where it
 * wants that before all.
 */
static inline bool ost_clears_for_devices(void)
{
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM_MMIO
	return boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF_VM_MMIO) && !boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF_VM);
#else
	return static_branch_unlikely(&mmio_stale_data_clear);
#endif
}

/* Was the kernel told to do nothing against L1TF? Newer kernels let others see less of that. */
static inline bool ost_l1tf_off(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	return l1tf_mitigation == L1TF_MITIGATION_OFF;
#else
	return cpu_mitigations_off();
#endif
}

/*
 * A guest's locked access across cache lines raised #AC because the host watches for them: true when the
 * host's policy lets the thread go on without. Kernels from 6.18 reserve the question. May sleep.
 */
static inline bool ost_split_lock_allowed(unsigned long rip)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	return handle_guest_split_lock(rip);
#else
	return false;
#endif
}

#endif
