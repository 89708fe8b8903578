// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asynchronous page faults (apf.h). A work item fetches the page into the VMM's address space; the guest has been told by
 * a #PF with a token in CR2 that it is not there, and is told by an interrupt and the same token that it is. A guest that
 * can't be told just then has its vCPU wait as in HLT, so that interrupts come through.
 *
 * A work item may take as long as userspace likes (userfaultfd, FUSE). So nobody waits for one: it has references to all
 * that it uses, and finds out under the queue's lock whether a vCPU still wants to know.
 */
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "apf.h"
#include "backend.h"
#include "compat.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic.h"
#include "pv.h"
#include "vcpu.h"
#include "vm.h"

/* Pages that may be on their way for one vCPU; beyond that it waits for each. */
#define MAX_PER_VCPU 64
/*
 * And for all: the workqueue runs that many at once on each CPU, so that nobody's wait for those of another VM. (An
 * unbound one would divide them among NUMA nodes.)
 */
#define MAX_AT_ONCE 512

/* MSR_KVM_ASYNC_PF_EN: the shared struct's address is that of a cache line. */
#define EN_GPA GENMASK_ULL(63, 6)
#define EN_RESERVED GENMASK_ULL(5, 4)
#define FLAGS_NOT_PRESENT BIT(0)

#define ACK_DONE BIT(0)

/* Tokens are a count from 1 to this above the vCPU's id, so none is 0 or this one, which is for all. */
#define TOKEN_ID_BITS 12
#define MAX_SEQ 0xffffeu
#define TOKEN_ALL (~0u)
static_assert(OST_MAX_VCPU_IDS <= BIT(TOKEN_ID_BITS));

struct ost_apf_queue {
	refcount_t refs;
	spinlock_t lock;
	struct ost_vcpu *vcpu;		/* who is there as long as anything is in a list */
	u32 nr;				/* of items that were not freed yet; guarded by lock */
	struct list_head fetching, done;	/* guarded by lock */
};

struct item {
	struct work_struct work;
	struct list_head link;		/* in the queue's lists; guarded by its lock */
	struct ost_apf_queue *queue;
	struct mm_struct *mm;
	unsigned long hva;
	gfn_t gfn;
	u32 token;			/* 0: the guest knows nothing of it */
	bool write;
	bool failed;
	bool forgotten;			/* in no list, nobody wants to know; guarded by the queue's lock */
};

static struct workqueue_struct *fetch_wq;
static atomic_t nr_at_once = ATOMIC_INIT(0);

int ost_apf_setup(void)
{
	fetch_wq = alloc_workqueue(OST_NAME "-apf", OST_WQ_PERCPU, MAX_AT_ONCE);
	return fetch_wq ? 0 : -ENOMEM;
}

void ost_apf_teardown(void)
{
	/* Each item has held the module, so what is left of any is its last instructions. */
	destroy_workqueue(fetch_wq);
}

/* --- what is being fetched --- */

static void put_queue(struct ost_apf_queue *queue)
{
	if (refcount_dec_and_test(&queue->refs))
		kfree(queue);
}

/* Makes the page present in its address space, unless that is gone. */
static bool fetch(struct item *item)
{
	unsigned int flags = item->write ? FOLL_WRITE : 0;
	struct page *page;
	int locked = 1;
	long n;

	if (!mmget_not_zero(item->mm))
		return false;
	mmap_read_lock(item->mm);
	n = ost_get_page_remote(item->mm, item->hva, flags | OST_FOLL_INTERRUPTIBLE, &page, &locked);
	if (locked)
		mmap_read_unlock(item->mm);
	if (n == 1)
		put_page(page);
	mmput(item->mm);
	return n == 1;
}

static void fetch_work(struct work_struct *work)
{
	struct item *item = container_of(work, struct item, work);
	struct ost_apf_queue *queue = item->queue;

	item->failed = !fetch(item);
	mmdrop(item->mm);
	spin_lock(&queue->lock);
	if (item->forgotten) {
		queue->nr--;
		kfree(item);
	} else {
		/* The lock keeps the vCPU. From here on the item is its thread's. */
		list_move_tail(&item->link, &queue->done);
		ost_request(queue->vcpu, OST_REQ_APF);
		ost_vcpu_kick(queue->vcpu);
	}
	spin_unlock(&queue->lock);
	put_queue(queue);
	atomic_dec(&nr_at_once);
	module_put(THIS_MODULE);
}

static struct ost_apf_queue *new_queue(struct ost_vcpu *vcpu)
{
	struct ost_apf_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);

	if (!queue)
		return NULL;
	refcount_set(&queue->refs, 1);
	spin_lock_init(&queue->lock);
	queue->vcpu = vcpu;
	INIT_LIST_HEAD(&queue->fetching);
	INIT_LIST_HEAD(&queue->done);
	return queue;
}

/* By its address, too: the slot may have been another when it was asked for. */
static bool is_fetched(struct ost_apf_queue *queue, gfn_t gfn, unsigned long hva)
{
	struct item *item;
	bool found = false;

	if (!queue)
		return false;
	spin_lock(&queue->lock);
	list_for_each_entry(item, &queue->fetching, link) {
		found = item->gfn == gfn && item->hva == hva;
		if (found)
			break;
	}
	spin_unlock(&queue->lock);
	return found;
}

/* An item for the page at vcpu->apf.hva that is counted but not queued yet; NULL where there are too many. */
static struct item *new_item(struct ost_vcpu *vcpu, gfn_t gfn, bool write)
{
	struct ost_apf *apf = &vcpu->apf;
	struct item *item;

	if (!apf->queue)
		apf->queue = new_queue(vcpu);
	/* Only the vCPU's thread adds. */
	if (!apf->queue || READ_ONCE(apf->queue->nr) >= MAX_PER_VCPU)
		return NULL;
	if (!atomic_add_unless(&nr_at_once, 1, MAX_AT_ONCE))
		return NULL;
	item = kzalloc(sizeof(*item), GFP_KERNEL_ACCOUNT);
	if (!item) {
		atomic_dec(&nr_at_once);
		return NULL;
	}
	INIT_WORK(&item->work, fetch_work);
	item->queue = apf->queue;
	item->mm = vcpu->vm->mm;
	item->hva = apf->hva;
	item->gfn = gfn;
	item->write = write;
	return item;
}

static void start(struct item *item)
{
	struct ost_apf_queue *queue = item->queue;

	/* The vCPU's file holds the module now. */
	__module_get(THIS_MODULE);
	mmgrab(item->mm);
	refcount_inc(&queue->refs);
	spin_lock(&queue->lock);
	queue->nr++;
	list_add_tail(&item->link, &queue->fetching);
	spin_unlock(&queue->lock);
	queue_work(fetch_wq, &item->work);
}

/* Nobody is told of anything that has been asked for up to now. */
static void forget_all(struct ost_vcpu *vcpu)
{
	struct ost_apf_queue *queue = vcpu->apf.queue;
	struct item *item, *next;

	vcpu->apf.failed = 0;
	if (!queue)
		return;
	spin_lock(&queue->lock);
	list_for_each_entry_safe(item, next, &queue->fetching, link) {
		list_del(&item->link);
		item->forgotten = true;
	}
	list_for_each_entry_safe(item, next, &queue->done, link) {
		list_del(&item->link);
		queue->nr--;
		kfree(item);
	}
	spin_unlock(&queue->lock);
}

void ost_apf_destroy(struct ost_vcpu *vcpu)
{
	struct ost_apf_queue *queue = vcpu->apf.queue;

	if (!queue)
		return;
	forget_all(vcpu);
	vcpu->apf.queue = NULL;
	put_queue(queue);
}

/* --- the guest's side --- */

static gpa_t shared_gpa(const struct ost_vcpu *vcpu, u32 offset)
{
	return (vcpu->apf.msr & EN_GPA) + offset;
}

/* A word of the shared struct, which has to be 0 for that, becomes `value`. */
static bool give(struct ost_vcpu *vcpu, u32 offset, u32 value)
{
	gpa_t gpa = shared_gpa(vcpu, offset);
	u32 now;

	return !ost_gpa_read(vcpu->vm, gpa, &now, sizeof(now)) && !now &&
	       !ost_gpa_write(vcpu->vm, gpa, &value, sizeof(value));
}

/*
 * Could the vCPU wait as in HLT? Not where no interrupt would wake it, nor in the middle of an event's delivery, nor under
 * a debugger, who may be holding back interrupts, nor in SMM, whose memory is another.
 */
static bool may_wait(struct ost_vcpu *vcpu)
{
	const struct ost_events *e = &vcpu->event;

	return vcpu->apic && !vcpu->debug.control && !vcpu->smm.active && !e->exception.pending && !e->exception.injected &&
	       !e->nmi.injected && !e->interrupt.injected && static_call(ost_irq_allowed)(vcpu);
}

static u32 next_token(struct ost_vcpu *vcpu)
{
	vcpu->apf.seq = vcpu->apf.seq % MAX_SEQ + 1;
	return vcpu->apf.seq << TOKEN_ID_BITS | vcpu->id;
}

/* "Page not present": true when the guest will be told. */
static bool tell_not_present(struct ost_vcpu *vcpu, u32 token)
{
	if (!(vcpu->apf.msr & KVM_ASYNC_PF_SEND_ALWAYS) && !static_call(ost_get_cpl)(vcpu))
		return false;
	if (!give(vcpu, offsetof(struct kvm_vcpu_pv_apf_data, flags), FLAGS_NOT_PRESENT))
		return false;
	ost_page_fault(vcpu, token, 0);
	vcpu->stats.async_faults++;
	return true;
}

static void wait_here(struct ost_vcpu *vcpu)
{
	vcpu->stats.async_waits++;
	ost_vcpu_wait_page(vcpu);
}

enum ost_fault_result ost_apf_fault(struct ost_vcpu *vcpu, gpa_t gpa, u32 flags)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	enum ost_fault_result result;
	struct item *item;
	bool told;
	u32 token;

	if (vcpu->apf.failed == gfn + 1) {
		vcpu->apf.failed = 0;
		return ost_mmu_fault(vcpu, gpa, flags);
	}
	if (!may_wait(vcpu))
		return ost_mmu_fault(vcpu, gpa, flags);
	result = ost_mmu_fault(vcpu, gpa, flags | OST_FAULT_NOWAIT);
	if (result != OST_FAULT_AGAIN)
		return result;
	/* It may be what the guest's handler needs itself: being told once more would not help it. */
	if (is_fetched(vcpu->apf.queue, gfn, vcpu->apf.hva)) {
		wait_here(vcpu);
		return OST_FAULT_FIXED;
	}
	item = new_item(vcpu, gfn, flags & OST_FAULT_WRITE);
	if (!item)
		return ost_mmu_fault(vcpu, gpa, flags);
	token = next_token(vcpu);
	told = tell_not_present(vcpu, token);
	item->token = told ? token : 0;
	/* Behind that it may be gone at any time. */
	start(item);
	if (!told)
		wait_here(vcpu);
	return OST_FAULT_FIXED;
}

/* The first that is there and that the guest was told is not; frees those before it, of which it knows nothing. */
static struct item *first_told(struct ost_vcpu *vcpu)
{
	struct ost_apf_queue *queue = vcpu->apf.queue;
	struct item *item, *next, *told = NULL;

	if (!queue)
		return NULL;
	spin_lock(&queue->lock);
	list_for_each_entry_safe(item, next, &queue->done, link) {
		if (item->failed)
			vcpu->apf.failed = item->gfn + 1;
		if (item->token) {
			told = item;
			break;
		}
		list_del(&item->link);
		queue->nr--;
		kfree(item);
	}
	spin_unlock(&queue->lock);
	return told;
}

static void free_told(struct item *item)
{
	struct ost_apf_queue *queue = item->queue;

	spin_lock(&queue->lock);
	list_del(&item->link);
	queue->nr--;
	spin_unlock(&queue->lock);
	kfree(item);
}

void ost_apf_ready(struct ost_vcpu *vcpu)
{
	struct ost_apf *apf = &vcpu->apf;
	struct item *item = first_told(vcpu);

	if (!ost_apf_on(vcpu) || (!item && !apf->wake_all) || !ost_lapic_enabled(vcpu) ||
	    !ost_lapic_sw_enabled(vcpu->apic))
		return;
	/* If the guest has not dealt with the one before, its MSR_KVM_ASYNC_PF_ACK brings us back. */
	if (!give(vcpu, offsetof(struct kvm_vcpu_pv_apf_data, token),
		  apf->wake_all ? TOKEN_ALL : item->token))
		return;
	if (apf->wake_all)
		apf->wake_all = false;
	else
		free_told(item);
	vcpu->stats.async_ready++;
	ost_lapic_accept(vcpu->apic, OST_DELIVER_FIXED, apf->vector, false);
}

/* --- MSRs --- */

void ost_apf_reset(struct ost_vcpu *vcpu)
{
	forget_all(vcpu);
	vcpu->apf.msr = 0;
	vcpu->apf.vector = 0;
	vcpu->apf.wake_all = false;
}

static int write_en(struct ost_vcpu *vcpu, u64 data)
{
	struct ost_apf *apf = &vcpu->apf;

	if (data & EN_RESERVED)
		return 1;
	if ((data & KVM_ASYNC_PF_DELIVERY_AS_INT) && !ost_pv_has(vcpu, KVM_FEATURE_ASYNC_PF_INT))
		return 1;
	/* This one is about guests of guests, of which there are none. */
	if ((data & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT) &&
	    !ost_pv_has(vcpu, KVM_FEATURE_ASYNC_PF_VMEXIT))
		return 1;
	if (!vcpu->apic)
		return data ? 1 : 0;
	if ((data & OST_APF_ON) == OST_APF_ON && !ost_gpa_has_slot(vcpu->vm, data & EN_GPA, true))
		return 1;
	/*
	 * On the way from another host the guest may have tokens that nobody here knows of: whoever waits is to look
	 * anew. That takes the place of all that has been asked for here, too.
	 */
	forget_all(vcpu);
	apf->msr = data;
	apf->wake_all = (data & OST_APF_ON) == OST_APF_ON;
	if (apf->wake_all)
		ost_request(vcpu, OST_REQ_APF);
	return 0;
}

static bool msr_allowed(struct ost_vcpu *vcpu, u32 index)
{
	return ost_pv_has(vcpu, index == MSR_KVM_ASYNC_PF_EN ? KVM_FEATURE_ASYNC_PF :
							       KVM_FEATURE_ASYNC_PF_INT);
}

int ost_apf_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (!msr_allowed(vcpu, index))
		return 1;
	switch (index) {
	case MSR_KVM_ASYNC_PF_EN:
		*data = vcpu->apf.msr;
		return 0;
	case MSR_KVM_ASYNC_PF_INT:
		*data = vcpu->apf.vector;
		return 0;
	case MSR_KVM_ASYNC_PF_ACK:
		*data = 0;
		return 0;
	}
	return 1;
}

int ost_apf_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!msr_allowed(vcpu, index))
		return 1;
	switch (index) {
	case MSR_KVM_ASYNC_PF_EN:
		return write_en(vcpu, data);
	case MSR_KVM_ASYNC_PF_INT:
		if (data & ~KVM_ASYNC_PF_VEC_MASK)
			return 1;
		/* A saved state may say 0 where there is no LAPIC of ours to deliver anything. */
		if (!vcpu->apic)
			return !host || data;
		vcpu->apf.vector = data;
		return 0;
	case MSR_KVM_ASYNC_PF_ACK:
		if ((data & ACK_DONE) && ost_apf_on(vcpu))
			ost_request(vcpu, OST_REQ_APF);
		return 0;
	}
	return 1;
}
