// SPDX-License-Identifier: GPL-2.0-only
/* The vCPU object: its life, its place on a CPU, and the ioctls of its file descriptor. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>
#include <asm/tsc.h>
#include "attr.h"
#include "backend.h"
#include "compat.h"
#include "enable_cap.h"
#include "ioctl.h"
#include "msr.h"
#include "msr_table.h"
#include "prefault.h"
#include "state.h"
#include "vcpu.h"
#include "vm.h"

/* --- on and off a CPU --- */

static struct ost_vcpu *from_notifier(struct preempt_notifier *pn)
{
	return container_of(pn, struct ost_vcpu, preempt);
}

/* The vCPU that each CPU ran last, only compared, never followed. */
static DEFINE_PER_CPU(struct ost_vcpu *, last_vcpu);

/* How often this thread has given up a CPU. */
static u64 nr_switches(void)
{
	return (u64)current->nvcsw + current->nivcsw;
}

/*
 * What one vCPU has trained the branch predictor to must not steer the next. Guests of another hypervisor
 * can have been here only if the thread has let other threads run.
 */
static void separate_from_last(struct ost_vcpu *vcpu)
{
	if (this_cpu_read(last_vcpu) == vcpu &&
	    (!ost_hw_caps.shares_cpus ||
	     (vcpu->put_by == current && vcpu->switches_at_put == nr_switches())))
		return;
	this_cpu_write(last_vcpu, vcpu);
	ost_ibpb();
}

/* Its memory may become another vCPU's, which must not be taken for this one. */
static void forget_last(struct ost_vcpu *vcpu)
{
	int cpu;

	for_each_possible_cpu(cpu)
		cmpxchg(per_cpu_ptr(&last_vcpu, cpu), vcpu, NULL);
}

static void load_here(struct ost_vcpu *vcpu)
{
	int cpu = smp_processor_id();
	int last = vcpu->cpu;

	/* ost_vcpu_kick() may read it while we still are outside: no order is needed. */
	WRITE_ONCE(vcpu->cpu, cpu);
	static_call(ost_vcpu_load_hw)(vcpu, cpu);
	separate_from_last(vcpu);
	WRITE_ONCE(vcpu->loaded, true);
	ost_vfio_ran_on(&vcpu->vm->vfio, cpu);
	if (unlikely(last != cpu || check_tsc_unstable()))
		ost_clock_vcpu_load(vcpu, last != cpu);
	if (last != cpu && last >= 0)
		vcpu->stats.migrations++;
	if (vcpu->pv.steal_msr & KVM_MSR_ENABLED)
		ost_pv_loaded(vcpu);
}

static void put_here(struct ost_vcpu *vcpu)
{
	vcpu->put_by = current;
	vcpu->switches_at_put = nr_switches();
	WRITE_ONCE(vcpu->loaded, false);
	if (unlikely(check_tsc_unstable()))
		ost_clock_vcpu_put(vcpu);
	static_call(ost_vcpu_put_hw)(vcpu);
}

static void sched_in_cb(struct preempt_notifier *pn, int cpu)
{
	load_here(from_notifier(pn));
}

static void sched_out_cb(struct preempt_notifier *pn, struct task_struct *next)
{
	struct ost_vcpu *vcpu = from_notifier(pn);

	/* While it still is this thread's to write guest memory for. */
	if (vcpu->pv.steal_msr & KVM_MSR_ENABLED)
		ost_pv_preempted(vcpu);
	put_here(vcpu);
	/* This switch has been counted already. */
	vcpu->put_by = NULL;
}

static struct preempt_ops preempt_ops = {
	.sched_in = sched_in_cb,
	.sched_out = sched_out_cb,
};

void ost_vcpu_load(struct ost_vcpu *vcpu)
{
	preempt_disable();
	preempt_notifier_register(&vcpu->preempt);
	load_here(vcpu);
	preempt_enable();
}

void ost_vcpu_put(struct ost_vcpu *vcpu)
{
	preempt_disable();
	put_here(vcpu);
	preempt_notifier_unregister(&vcpu->preempt);
	preempt_enable();
}

struct ost_vcpu *ost_vcpu_here(struct ost_vm *vm)
{
	struct ost_vcpu *vcpu, *here = NULL;
	u32 i;

	/* One that is loaded on this CPU is so by this thread: others' are put as they are scheduled out. */
	preempt_disable();
	ost_for_each_vcpu(i, vcpu, vm) {
		if (vcpu == this_cpu_read(last_vcpu)) {
			if (vcpu->loaded && vcpu->cpu == smp_processor_id())
				here = vcpu;
			break;
		}
	}
	preempt_enable();
	return here;
}

void ost_vcpu_preemptible(struct ost_vcpu *vcpu)
{
	if (!vcpu->fpu.loaded)
		return;
	lockdep_assert_irqs_enabled();
	ost_fpu_unload(vcpu);
}

/* --- life --- */

/* SDM vol. 3A, table 9-1; APM vol. 2, table 14-1 */
static void reset_segments(struct ost_vcpu *vcpu)
{
	static const struct kvm_segment data = { .limit = 0xffff, .type = 3, .s = 1, .present = 1 };
	static const struct kvm_segment code = {
		.base = 0xffff0000, .selector = 0xf000, .limit = 0xffff, .type = 11, .s = 1, .present = 1,
	};
	static const struct kvm_segment ldt = { .limit = 0xffff, .type = 2, .present = 1 };
	static const struct kvm_segment tss = { .limit = 0xffff, .type = 3, .present = 1 };
	static const struct kvm_dtable table = { .limit = 0xffff };
	int seg;

	for (seg = OST_SEG_ES; seg <= OST_SEG_GS; seg++)
		ost_backend->set_segment(vcpu, seg, seg == OST_SEG_CS ? &code : &data);
	ost_backend->set_segment(vcpu, OST_SEG_LDTR, &ldt);
	ost_backend->set_segment(vcpu, OST_SEG_TR, &tss);
	ost_backend->set_dt(vcpu, false, &table);
	ost_backend->set_dt(vcpu, true, &table);
}

void ost_vcpu_reset(struct ost_vcpu *vcpu, bool init_event)
{
	/* INIT keeps CD and NW (SDM vol. 3A, table 9-1, note 2). */
	u64 cache_bits = X86_CR0_CD | X86_CR0_NW;

	if (init_event)
		cache_bits &= ost_cr0(vcpu);

	memset(&vcpu->event.exception, 0, sizeof(vcpu->event.exception));
	memset(&vcpu->event.interrupt, 0, sizeof(vcpu->event.interrupt));
	vcpu->event.nmi.injected = false;
	vcpu->event.nmi.pending = 0;
	atomic_set(&vcpu->event.nmi_queued, 0);
	vcpu->io.complete = NULL;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = OST_DR6_FIXED_1;
	vcpu->dr7 = OST_DR7_FIXED_1;
	vcpu->dr_live = false;
	if (!init_event)
		vcpu->spec_ctrl_direct = false;
	vcpu->cr2 = 0;
	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs_avail = ~0u;
	vcpu->regs_dirty = ~0u;
	/* SDM vol. 3A, table 9-1: RDX tells family, model and stepping */
	vcpu->regs[OST_REG_RDX] = ost_cpuid_signature(vcpu);
	vcpu->regs[OST_REG_RFLAGS] = X86_EFLAGS_FIXED;
	vcpu->regs[OST_REG_RIP] = 0xfff0;
	if (vcpu->apic)
		ost_lapic_reset(vcpu, init_event);
	ost_smm_reset(vcpu, init_event);
	ost_backend->vcpu_reset(vcpu, init_event);
	ost_backend->set_efer(vcpu, 0);
	ost_backend->set_cr4(vcpu, 0);
	ost_backend->set_cr3(vcpu, 0);
	ost_backend->set_cr0(vcpu, X86_CR0_ET | cache_bits);
	reset_segments(vcpu);
	ost_msr_reset(vcpu, init_event);
	ost_fpu_reset(vcpu, init_event);
	ost_clock_reset(vcpu, init_event);
	ost_pv_reset(vcpu);
	ost_debug_update(vcpu);
	ost_backend->flush_tlb(vcpu);
	ost_request(vcpu, OST_REQ_EVENT);
}

static struct ost_vcpu *vcpu_new(struct ost_vm *vm, u32 id)
{
	struct ost_vcpu *vcpu = kvzalloc(ost_backend->vcpu_size, GFP_KERNEL_ACCOUNT);
	int r = -ENOMEM;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->space = &vm->mmu.space[OST_SPACE_NORMAL];
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->run_end_tsc = OST_NO_RUN_END;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->preempt, &preempt_ops);
	vcpu->run_page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	vcpu->pio_page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!vcpu->run_page || !vcpu->pio_page)
		goto err_pages;
	vcpu->run = page_address(vcpu->run_page);
	ost_cpuid_create(vcpu);
	r = ost_dirty_ring_create(vcpu);
	if (r)
		goto err_pages;
	r = ost_fpu_create(vcpu);
	if (r)
		goto err_ring;
	r = ost_msr_create(vcpu);
	if (r)
		goto err_fpu;
	r = ost_backend->vcpu_create(vcpu);
	if (r)
		goto err_msr;
	WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
	vcpu->user_pic = !ost_chips_in_kernel(vm);
	if (ost_irqchip_in_kernel(vm)) {
		r = ost_lapic_create(vcpu);
		if (r)
			goto err_backend;
		if (id != vm->irqs.boot_vcpu_id)
			WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_UNINITIALIZED);
	}
	ost_emulation_init(vcpu);
	ost_vcpu_load(vcpu);
	ost_vcpu_reset(vcpu, false);
	ost_vcpu_put(vcpu);
	return vcpu;

err_backend:
	forget_last(vcpu);
	ost_backend->vcpu_destroy(vcpu);
err_msr:
	ost_msr_destroy(vcpu);
err_fpu:
	ost_fpu_destroy(vcpu);
err_ring:
	ost_dirty_ring_destroy(vcpu);
err_pages:
	if (vcpu->pio_page)
		__free_page(vcpu->pio_page);
	if (vcpu->run_page)
		__free_page(vcpu->run_page);
	kvfree(vcpu);
	return ERR_PTR(r);
}

void ost_vcpu_destroy(struct ost_vcpu *vcpu)
{
	forget_last(vcpu);
	ost_apf_destroy(vcpu);
	/* The CPU forgets the LAPIC's page before that is freed. */
	ost_backend->vcpu_destroy(vcpu);
	if (vcpu->apic)
		ost_lapic_destroy(vcpu);
	ost_cpuid_destroy(vcpu);
	ost_msr_destroy(vcpu);
	ost_fpu_destroy(vcpu);
	/* The mapping of these holds the file, so nobody maps them any more. */
	ost_dirty_ring_destroy(vcpu);
	__free_page(vcpu->pio_page);
	__free_page(vcpu->run_page);
	kvfree(vcpu);
}

static const struct file_operations vcpu_fops;

int ost_vcpu_create(struct ost_vm *vm, u32 id)
{
	struct ost_vcpu *vcpu;
	struct file *file;
	int fd, r;

	mutex_lock(&vm->lock);
	r = -EINVAL;
	if (vm->nr_creating >= OST_MAX_VCPUS || id >= ost_vm_max_vcpu_ids(vm))
		goto out_unlock;
	r = -EEXIST;
	if (ost_vcpu_by_id(vm, id))
		goto out_unlock;
	/* From here on CREATE_IRQCHIP is refused, so that all vCPUs have a LAPIC or none has. */
	vm->nr_creating++;
	r = ost_vm_reserve_vcpu(vm);
	if (r)
		goto err_count;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		r = fd;
		goto err_count;
	}
	vcpu = vcpu_new(vm, id);
	if (IS_ERR(vcpu)) {
		r = PTR_ERR(vcpu);
		goto err_fd;
	}
	file = anon_inode_getfile(OST_NAME "-vcpu", &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		r = PTR_ERR(file);
		goto err_vcpu;
	}
	ost_vm_get(vm);
	vcpu->index = vm->nr_vcpus;
	vm->vcpus[vcpu->index] = vcpu;
	/* Pairs with the acquire in ost_nr_vcpus(). */
	smp_store_release(&vm->nr_vcpus, vcpu->index + 1);
	if (vcpu->apic)
		ost_lapic_publish(vcpu);
	mutex_unlock(&vm->lock);
	fd_install(fd, file);
	return fd;

err_vcpu:
	ost_vcpu_destroy(vcpu);
err_fd:
	put_unused_fd(fd);
err_count:
	vm->nr_creating--;
out_unlock:
	mutex_unlock(&vm->lock);
	return r;
}

/* --- file descriptor --- */

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct ost_vcpu *vcpu = file->private_data;

	ost_vm_put(vcpu->vm);
	return 0;
}

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct ost_vcpu *vcpu = vmf->vma->vm_file->private_data;

	switch (vmf->pgoff) {
	case 0:
		vmf->page = vcpu->run_page;
		break;
	case 1:
		vmf->page = vcpu->pio_page;
		break;
	case KVM_COALESCED_MMIO_PAGE_OFFSET:
		vmf->page = vcpu->vm->coalesced.page;
		break;
	default:
		vmf->page = ost_dirty_ring_page(vcpu, vmf->pgoff);
		if (!vmf->page)
			return VM_FAULT_SIGBUS;
	}
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_fault,
};

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct ost_vcpu *vcpu = file->private_data;

	/* A private copy of a ring would be one that never changes again. */
	if (ost_dirty_ring_overlaps(vcpu, vma->vm_pgoff, vma_pages(vma)) &&
	    ((vma->vm_flags & VM_EXEC) || !(vma->vm_flags & VM_SHARED)))
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int get_regs(void *vcpu, void *arg)
{
	return ost_get_regs(vcpu, arg);
}

static int set_regs(void *vcpu, void *arg)
{
	return ost_set_regs(vcpu, arg);
}

static int get_sregs(void *vcpu, void *arg)
{
	return ost_get_sregs(vcpu, arg);
}

static int set_sregs(void *vcpu, void *arg)
{
	return ost_set_sregs(vcpu, arg);
}

static int get_sregs2(void *vcpu, void *arg)
{
	return ost_get_sregs2(vcpu, arg);
}

static int set_sregs2(void *vcpu, void *arg)
{
	return ost_set_sregs2(vcpu, arg);
}

static int get_fpu(void *vcpu, void *arg)
{
	ost_fpu_get_fpu(vcpu, arg);
	return 0;
}

static int set_fpu(void *vcpu, void *arg)
{
	return ost_fpu_set_fpu(vcpu, arg);
}

static int get_xsave(void *vcpu, void *arg)
{
	if (ost_fpu_xsave2_size() > sizeof(struct kvm_xsave))
		return -EINVAL;
	ost_fpu_get_xsave(vcpu, arg, sizeof(struct kvm_xsave));
	return 0;
}

static int set_xsave(void *vcpu, void *arg)
{
	if (ost_fpu_xsave2_size() > sizeof(struct kvm_xsave))
		return -EINVAL;
	return ost_fpu_set_xsave(vcpu, arg, sizeof(struct kvm_xsave));
}

static long get_xsave2(void *vcpu, unsigned long arg)
{
	u32 size = max_t(u32, ost_fpu_xsave2_size(), sizeof(struct kvm_xsave));
	void *buf = kzalloc(size, GFP_KERNEL_ACCOUNT);
	int r = 0;

	if (!buf)
		return -ENOMEM;
	ost_fpu_get_xsave(vcpu, buf, size);
	if (copy_to_user((void __user *)arg, buf, size))
		r = -EFAULT;
	kfree(buf);
	return r;
}

static int get_xcrs(void *vcpu, void *arg)
{
	return ost_get_xcrs(vcpu, arg);
}

static int set_xcrs(void *vcpu, void *arg)
{
	return ost_set_xcrs(vcpu, arg);
}

static int get_lapic(void *obj, void *arg)
{
	struct ost_vcpu *vcpu = obj;

	if (!vcpu->apic)
		return -EINVAL;
	ost_lapic_get(vcpu, arg);
	return 0;
}

static int set_lapic(void *obj, void *arg)
{
	struct ost_vcpu *vcpu = obj;

	return vcpu->apic ? ost_lapic_set(vcpu, arg) : -EINVAL;
}

/* QEMU says "none" at each reset. Another needs TPR accesses that are reported, which there are not. */
static int set_vapic_addr(void *obj, void *arg)
{
	const struct kvm_vapic_addr *vapic = arg;
	struct ost_vcpu *vcpu = obj;

	return vcpu->apic && !vapic->vapic_addr ? 0 : -EINVAL;
}

static int get_mp_state(void *vcpu, void *arg)
{
	return ost_get_mp_state(vcpu, arg);
}

static int set_mp_state(void *vcpu, void *arg)
{
	return ost_set_mp_state(vcpu, arg);
}

static int get_events(void *vcpu, void *arg)
{
	ost_get_events(vcpu, arg);
	return 0;
}

static int set_events(void *vcpu, void *arg)
{
	return ost_set_events(vcpu, arg);
}

static int get_debugregs(void *vcpu, void *arg)
{
	return ost_get_debugregs(vcpu, arg);
}

static int set_debugregs(void *vcpu, void *arg)
{
	return ost_set_debugregs(vcpu, arg);
}

static int set_guest_debug(void *vcpu, void *arg)
{
	return ost_set_guest_debug(vcpu, arg);
}

static int setup_mce(void *vcpu, void *arg)
{
	return ost_mce_setup(vcpu, *(u64 *)arg);
}

static int set_mce(void *vcpu, void *arg)
{
	return ost_mce_report(vcpu, arg);
}

static int translate(void *vcpu, void *arg)
{
	return ost_translate(vcpu, arg);
}

static int interrupt(void *obj, void *arg)
{
	struct kvm_interrupt *irq = arg;
	struct ost_vcpu *vcpu = obj;

	if (irq->irq >= 256)
		return -EINVAL;
	if (!vcpu->user_pic)
		return -ENXIO;
	return ost_interrupt_from_user(vcpu, irq->irq);
}

static long nmi(void *vcpu, unsigned long arg)
{
	ost_nmi(vcpu);
	return 0;
}

static long smi(void *vcpu, unsigned long arg)
{
	ost_smi(vcpu);
	return 0;
}

static long get_msrs(void *vcpu, unsigned long arg)
{
	return ost_msrs_get(vcpu, (struct kvm_msrs __user *)arg);
}

static long set_msrs(void *vcpu, unsigned long arg)
{
	return ost_msrs_set(vcpu, (struct kvm_msrs __user *)arg);
}

static long set_cpuid2(void *vcpu, unsigned long arg)
{
	return ost_cpuid_set(vcpu, (struct kvm_cpuid2 __user *)arg);
}

static long get_cpuid2(void *vcpu, unsigned long arg)
{
	return ost_cpuid_get(vcpu, (struct kvm_cpuid2 __user *)arg);
}

static long set_tsc_khz(void *vcpu, unsigned long arg)
{
	return arg > U32_MAX ? -EINVAL : ost_tsc_set_khz(vcpu, arg);
}

static long get_tsc_khz(void *obj, unsigned long arg)
{
	struct ost_vcpu *vcpu = obj;

	return vcpu->clock.tsc_khz;
}

static long kvmclock_ctrl(void *obj, unsigned long arg)
{
	return ost_clock_guest_stopped(obj);
}

static long set_signal_mask(void *obj, unsigned long arg)
{
	struct kvm_signal_mask __user *user = (void __user *)arg;
	struct ost_vcpu *vcpu = obj;
	sigset_t set;
	u32 len;

	if (!user) {
		vcpu->sigmask_set = false;
		return 0;
	}
	if (get_user(len, &user->len))
		return -EFAULT;
	if (len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigmask = set;
	vcpu->sigmask_set = true;
	return 0;
}

static long get_stats_fd(void *obj, unsigned long arg)
{
	struct ost_vcpu *vcpu = obj;

	return ost_stats_fd(vcpu->vm, vcpu);
}

static int has_attr(void *vcpu, void *arg)
{
	return ost_vcpu_has_attr(vcpu, arg);
}

static int get_attr(void *vcpu, void *arg)
{
	return ost_vcpu_get_attr(vcpu, arg);
}

static int set_attr(void *vcpu, void *arg)
{
	return ost_vcpu_set_attr(vcpu, arg);
}

static int pre_fault_memory(void *vcpu, void *arg)
{
	return ost_pre_fault_memory(vcpu, arg);
}

static int enable_cap(void *vcpu, void *arg)
{
	return ost_vcpu_enable_cap(vcpu, arg);
}

static const struct ost_ioctl vcpu_ioctls[] = {
	{ .cmd = KVM_GET_REGS, .copy = OST_OUT | OST_WHOLE, .fn = get_regs, .reads = OST_READS_REGS },
	{ .cmd = KVM_SET_REGS, .copy = OST_IN, .fn = set_regs, .reads = OST_READS_NOTHING },
	{ .cmd = KVM_GET_SREGS, .copy = OST_OUT | OST_WHOLE, .fn = get_sregs, .reads = OST_READS_SREGS },
	{ .cmd = KVM_SET_SREGS, .copy = OST_IN, .fn = set_sregs, .reads = OST_READS_SREGS },
	{ .cmd = KVM_TRANSLATE, .copy = OST_IN | OST_OUT, .fn = translate },
	{ .cmd = KVM_INTERRUPT, .copy = OST_IN, .fn = interrupt },
	{ .cmd = KVM_GET_MSRS, .raw = get_msrs },
	{ .cmd = KVM_SET_MSRS, .raw = set_msrs },
	{ .cmd = KVM_SET_SIGNAL_MASK, .raw = set_signal_mask },
	{ .cmd = KVM_GET_FPU, .copy = OST_OUT, .fn = get_fpu },
	{ .cmd = KVM_SET_FPU, .copy = OST_IN, .fn = set_fpu },
	{ .cmd = KVM_GET_LAPIC, .copy = OST_OUT, .fn = get_lapic },
	{ .cmd = KVM_SET_LAPIC, .copy = OST_IN, .fn = set_lapic },
	{ .cmd = KVM_SET_CPUID2, .raw = set_cpuid2 },
	{ .cmd = KVM_GET_CPUID2, .raw = get_cpuid2 },
	{ .cmd = KVM_X86_SETUP_MCE, .copy = OST_IN, .fn = setup_mce },
	{ .cmd = KVM_X86_SET_MCE, .copy = OST_IN, .fn = set_mce },
	{ .cmd = KVM_SET_GUEST_DEBUG, .copy = OST_IN, .fn = set_guest_debug },
	{ .cmd = KVM_SET_VAPIC_ADDR, .copy = OST_IN, .fn = set_vapic_addr },
	{ .cmd = KVM_GET_MP_STATE, .copy = OST_OUT, .fn = get_mp_state },
	{ .cmd = KVM_SET_MP_STATE, .copy = OST_IN, .fn = set_mp_state },
	{ .cmd = KVM_NMI, .raw = nmi },
	{ .cmd = KVM_SMI, .raw = smi },
	{ .cmd = KVM_GET_VCPU_EVENTS, .copy = OST_OUT, .fn = get_events },
	{ .cmd = KVM_SET_VCPU_EVENTS, .copy = OST_IN, .fn = set_events },
	{ .cmd = KVM_GET_DEBUGREGS, .copy = OST_OUT, .fn = get_debugregs },
	{ .cmd = KVM_SET_DEBUGREGS, .copy = OST_IN, .fn = set_debugregs },
	{ .cmd = KVM_SET_TSC_KHZ, .raw = set_tsc_khz },
	{ .cmd = KVM_GET_TSC_KHZ, .raw = get_tsc_khz },
	{ .cmd = KVM_ENABLE_CAP, .copy = OST_IN, .fn = enable_cap },
	{ .cmd = KVM_KVMCLOCK_CTRL, .raw = kvmclock_ctrl },
	{ .cmd = KVM_GET_XSAVE, .copy = OST_OUT, .fn = get_xsave },
	{ .cmd = KVM_SET_XSAVE, .copy = OST_IN, .fn = set_xsave },
	{ .cmd = KVM_GET_XCRS, .copy = OST_OUT, .fn = get_xcrs },
	{ .cmd = KVM_SET_XCRS, .copy = OST_IN, .fn = set_xcrs },
	{ .cmd = KVM_GET_XSAVE2, .raw = get_xsave2 },
	{ .cmd = KVM_GET_SREGS2, .copy = OST_OUT, .fn = get_sregs2 },
	{ .cmd = KVM_SET_SREGS2, .copy = OST_IN, .fn = set_sregs2 },
	{ .cmd = KVM_GET_STATS_FD, .raw = get_stats_fd },
	{ .cmd = KVM_PRE_FAULT_MEMORY, .copy = OST_IN | OST_OUT, .fn = pre_fault_memory },
	{ .cmd = KVM_SET_DEVICE_ATTR, .copy = OST_IN, .fn = set_attr },
	{ .cmd = KVM_GET_DEVICE_ATTR, .copy = OST_IN, .fn = get_attr },
	{ .cmd = KVM_HAS_DEVICE_ATTR, .copy = OST_IN, .fn = has_attr },
};

static struct ost_ioctl_table vcpu_table = {
	.rows = vcpu_ioctls,
	.nr = ARRAY_SIZE(vcpu_ioctls),
};

void __init ost_vcpu_init_ioctls(void)
{
	ost_ioctl_table_init(&vcpu_table);
}

static __always_inline long run(struct ost_vcpu *vcpu, unsigned long arg)
{
	long r;

	if (unlikely(arg))
		return -EINVAL;
	if (unlikely(ost_immediate_exit(vcpu->run)) && ost_vcpu_run_over(vcpu))
		return -EINTR;
	ost_vcpu_load(vcpu);
	r = ost_vcpu_run(vcpu);
	ost_vcpu_put(vcpu);
	return r;
}

static long other_ioctl(struct ost_vcpu *vcpu, unsigned int cmd, unsigned long arg)
{
	const struct ost_ioctl *row = ost_ioctl_find(&vcpu_table, cmd);
	long r;

	if (!row)
		return -ENOTTY;
	if (row->reads != OST_READS_ANY && static_call(ost_in_memory)(vcpu, row->reads))
		return ost_ioctl_call(row, vcpu, cmd, arg);
	ost_vcpu_load(vcpu);
	r = ost_ioctl_call(row, vcpu, cmd, arg);
	ost_vcpu_put(vcpu);
	return r;
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ost_vcpu *vcpu = file->private_data;
	long r;

	/* Only in the address space that is the guest's memory; EIO after a fork or in another process. */
	if (vcpu->vm->mm != current->mm || READ_ONCE(vcpu->vm->dead))
		return -EIO;
	if (unlikely(_IOC_TYPE(cmd) != KVMIO))
		return -ENOTTY;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = cmd == KVM_RUN ? run(vcpu, arg) : other_ioctl(vcpu, cmd, arg);
	mutex_unlock(&vcpu->mutex);
	return r;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.unlocked_ioctl = vcpu_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};
