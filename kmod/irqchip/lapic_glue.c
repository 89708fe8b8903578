// SPDX-License-Identifier: GPL-2.0-only
/* The LAPIC model in its vCPU: timer, requests, IA32_APIC_BASE, INIT and SIPI. */
#include <linux/hrtimer.h>
#include <linux/slab.h>
#include <asm/tsc.h>
#include "chips.h"
#include "../backend.h"
#include "../compat.h"
#include "../trace.h"
#include "../vcpu.h"
#include "../vm.h"

struct lapic_glue {
	struct ost_lapic model;
	struct ost_vcpu *vcpu;
	struct hrtimer timer;
	u64 interval_ns;	/* 0: the timer fires once */
};

static struct lapic_glue *glue_of(struct ost_lapic *apic)
{
	return container_of(apic, struct lapic_glue, model);
}

/* --- what the model asks for --- */

static void on_event(struct ost_lapic *apic)
{
	struct ost_vcpu *vcpu = glue_of(apic)->vcpu;

	ost_request(vcpu, OST_REQ_EVENT);
	ost_vcpu_kick(vcpu);
}

/*
 * Ends of the IOAPIC's vectors are to exit. A CPU that runs a guest knows which they were at its last entry, so
 * what has such a vector by now waits for the next one. The IOAPIC sends under its lock, which guards them.
 */
static bool may_post(struct ost_lapic *apic, u8 vector)
{
	return ost_hw_caps.posts_interrupts && !ost_eoi_exit(glue_of(apic)->vcpu->vm, vector);
}

static void on_posted(struct ost_lapic *apic)
{
	struct ost_vcpu *vcpu = glue_of(apic)->vcpu;

	/* Who finds the mark made relies on us to tell: that must not wait for the scheduler. */
	preempt_disable();
	/* A CPU that does not deliver, as for a debugger, would leave it at the notification. */
	if (ost_lapic_mark_posted(apic) &&
	    (!ost_vcpu_notify(vcpu) || !READ_ONCE(apic->cpu_delivers)))
		on_event(apic);
	preempt_enable();
}

static int on_special(struct ost_lapic *apic, enum ost_delivery delivery, u8 vector)
{
	struct ost_vcpu *vcpu = glue_of(apic)->vcpu;

	switch (delivery) {
	case OST_DELIVER_NMI:
		ost_nmi(vcpu);
		return 1;
	case OST_DELIVER_SMI:
		ost_smi(vcpu);
		return 1;
	case OST_DELIVER_INIT:
		/* A SIPI from before it is void. */
		clear_bit(OST_SIPI_PENDING, &vcpu->pending_init_sipi);
		set_bit(OST_INIT_PENDING, &vcpu->pending_init_sipi);
		break;
	case OST_DELIVER_SIPI:
		WRITE_ONCE(vcpu->pending_ipi_vector, vector);
		/* Who sees the bit sees the vector. */
		smp_wmb();
		set_bit(OST_SIPI_PENDING, &vcpu->pending_init_sipi);
		break;
	default:
		return -1;
	}
	/* A vCPU that runs, or is about to, acts on it before it runs guest code again. */
	ost_request(vcpu, OST_REQ_INIT_SIPI);
	ost_vcpu_kick(vcpu);
	return 1;
}

static void on_send(struct ost_lapic *apic, const struct ost_irq_message *msg)
{
	struct ost_vcpu *vcpu = glue_of(apic)->vcpu;

	trace_ost_apic_ipi(vcpu, msg->dest, msg->vector, msg->delivery, msg->shorthand);
	/* To very many it takes a while. */
	if (unlikely(ost_nr_vcpus(vcpu->vm) > OST_IRQ_AT_ONCE) && !irqs_disabled())
		ost_vcpu_preemptible(vcpu);
	ost_irq_deliver(vcpu->vm, vcpu, msg);
}

static void on_eoi(struct ost_lapic *apic, u8 vector, bool level)
{
	struct ost_vcpu *vcpu = glue_of(apic)->vcpu;

	if (unlikely(vcpu->pv.eoi_offered))
		ost_pv_eoi_withdraw(vcpu);
	/* MSIs and IPIs end here, without a lock. A set that changes meanwhile raced with the EOI. */
	if (likely(!ost_eoi_exit(vcpu->vm, vector)))
		return;
	if (vcpu->user_pic)
		ost_split_eoi(vcpu, vector, level);
	else
		ost_ioapic_eoi(vcpu->vm, vector, level);
}

static u64 now_ns(struct ost_lapic *apic)
{
	return ktime_get_ns();
}

static u64 tsc_left_ns(struct ost_lapic *apic, u64 deadline)
{
	return ost_guest_tsc_to_ns(glue_of(apic)->vcpu, deadline);
}

static enum hrtimer_restart timer_fn(struct hrtimer *timer)
{
	struct lapic_glue *glue = container_of(timer, struct lapic_glue, timer);
	/* From the next line on the vCPU may take a single shot as over and start the timer anew. */
	u64 interval_ns = READ_ONCE(glue->interval_ns);

	ost_lapic_timer_fired(&glue->model);
	ost_request(glue->vcpu, OST_REQ_APIC_TIMER);
	ost_vcpu_kick(glue->vcpu);
	if (!interval_ns)
		return HRTIMER_NORESTART;
	/* Periods that were missed are: an interrupt that is pending can't become two. */
	hrtimer_forward_now(timer, ns_to_ktime(interval_ns));
	return HRTIMER_RESTART;
}

static void start_hrtimer(struct lapic_glue *glue, u64 expires_ns)
{
	glue->vcpu->stats.host_timers++;
	/*
	 * On this CPU, where the vCPU most likely will be: its interrupt ends the guest's run by
	 * itself.
	 */
	hrtimer_start(&glue->timer, ns_to_ktime(expires_ns), HRTIMER_MODE_ABS_PINNED_HARD);
}

/*
 * A TSC deadline matters while the guest runs, and when it has nothing to run: for the first the CPU may
 * have a timer of its own, which costs next to nothing to set; for the second there is
 * ost_lapic_timer_to_host(). Wherever the thread comes to, the host's TSC is the same, or this is not done.
 */
static bool end_run_instead(struct lapic_glue *glue, u64 deadline)
{
	u64 end, now;

	if (!ost_hw_caps.run_end_cycles || check_tsc_unstable())
		return false;
	/* It may stand still in C-states that MWAIT can choose (SDM vol. 3C, 26.5.1). */
	if (glue->vcpu->vm->disabled_exits & KVM_X86_DISABLE_EXITS_MWAIT)
		return false;
	end = ost_guest_tsc_to_host(glue->vcpu, deadline);
	now = rdtsc();
	if (end == OST_NO_RUN_END || (end > now && end - now > ost_hw_caps.run_end_cycles))
		return false;
	glue->vcpu->run_end_tsc = end;
	return true;
}

static void timer_arm(struct ost_lapic *apic, u64 expires_ns, u64 interval_ns)
{
	struct lapic_glue *glue = glue_of(apic);

	WRITE_ONCE(glue->interval_ns, interval_ns);
	start_hrtimer(glue, expires_ns);
}

static void deadline_arm(struct ost_lapic *apic, u64 deadline, u64 left_ns)
{
	struct lapic_glue *glue = glue_of(apic);
	u64 now;

	if (end_run_instead(glue, deadline))
		return;
	WRITE_ONCE(glue->interval_ns, 0);
	now = now_ns(apic);
	start_hrtimer(glue, now + min_t(u64, left_ns, S64_MAX - now));
}

static bool deadline_move(struct ost_lapic *apic, u64 deadline)
{
	struct lapic_glue *glue = glue_of(apic);
	u64 end, now;

	/* That needs no timer of the host's stopped. */
	if (glue->vcpu->run_end_tsc == OST_NO_RUN_END || check_tsc_unstable())
		return false;
	end = ost_guest_tsc_to_host(glue->vcpu, deadline);
	now = rdtsc();
	if (glue->vcpu->run_end_tsc <= now || end <= now || end == OST_NO_RUN_END ||
	    end - now > ost_hw_caps.run_end_cycles)
		return false;
	glue->vcpu->run_end_tsc = end;
	return true;
}

static u64 timer_cancel(struct ost_lapic *apic)
{
	struct lapic_glue *glue = glue_of(apic);
	struct hrtimer *timer = &glue->timer;

	if (glue->vcpu->run_end_tsc != OST_NO_RUN_END) {
		glue->vcpu->run_end_tsc = OST_NO_RUN_END;
		/* There was no time of the host's clock. */
		return 0;
	}
	/* Waits for the callback, which takes no lock that we could hold, and no time. */
	return hrtimer_cancel(timer) ? ktime_to_ns(hrtimer_get_expires(timer)) : 0;
}

static const struct ost_lapic_ops ops = {
	.event = on_event,
	.may_post = may_post,
	.posted = on_posted,
	.special = on_special,
	.send = on_send,
	.eoi = on_eoi,
	.now_ns = now_ns,
	.tsc_left_ns = tsc_left_ns,
	.timer_arm = timer_arm,
	.deadline_arm = deadline_arm,
	.deadline_move = deadline_move,
	.timer_cancel = timer_cancel,
};

/* After anything that may have changed by what others address this LAPIC. */
static void publish_changes(struct ost_vcpu *vcpu)
{
	if (likely(!vcpu->apic->dest_changed))
		return;
	vcpu->apic->dest_changed = false;
	ost_vcpu_preemptible(vcpu);
	ost_dest_map_update(vcpu->vm);
	/* A LAPIC that was off may have kept it from being told of a page. */
	if (ost_apf_on(vcpu))
		ost_request(vcpu, OST_REQ_APF);
}

/* --- life --- */

int ost_lapic_create(struct ost_vcpu *vcpu)
{
	struct lapic_glue *glue = kzalloc(sizeof(*glue), GFP_KERNEL_ACCOUNT);

	if (!glue)
		return -ENOMEM;
	glue->model.regs = (u8 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!glue->model.regs) {
		kfree(glue);
		return -ENOMEM;
	}
	glue->model.ops = &ops;
	glue->model.deferred = ost_hw_caps.delivers_interrupts;
	glue->model.id = vcpu->id;
	glue->model.tick_ns = vcpu->vm->irqs.tick_ns;
	glue->model.bsp = vcpu->id == vcpu->vm->irqs.boot_vcpu_id;
	glue->vcpu = vcpu;
	ost_hrtimer_setup(&glue->timer, timer_fn, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
	vcpu->apic = &glue->model;
	return 0;
}

void ost_lapic_publish(struct ost_vcpu *vcpu)
{
	vcpu->apic->dest_changed = false;
	ost_dest_map_update(vcpu->vm);
}

void ost_lapic_destroy(struct ost_vcpu *vcpu)
{
	struct lapic_glue *glue = glue_of(vcpu->apic);

	hrtimer_cancel(&glue->timer);
	free_page((unsigned long)glue->model.regs);
	kfree(glue);
	vcpu->apic = NULL;
}

void ost_lapic_reset(struct ost_vcpu *vcpu, bool init_event)
{
	/* INIT leaves IA32_APIC_BASE alone (SDM 11.4.7.3). */
	if (!init_event) {
		vcpu->apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE;
		if (vcpu->apic->bsp)
			vcpu->apic_base |= MSR_IA32_APICBASE_BSP;
	}
	ost_lapic_model_reset(vcpu->apic, init_event);
	if (!ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_LINT0_REENABLED))
		ost_lapic_reg_set(vcpu->apic, APIC_LVT0, APIC_LVT_MASKED);
	publish_changes(vcpu);
	ost_cpuid_refresh(vcpu);
}

/* --- registers --- */

/*
 * The VMM may give a vCPU its CPUID at any time before it runs, so it is looked at when it counts.
 */
static struct ost_lapic *apic_for_write(struct ost_vcpu *vcpu)
{
	vcpu->apic->tsc_deadline_allowed = ost_has(vcpu, TSC_DEADLINE);
	return vcpu->apic;
}

/* The id's register is the full id in x2APIC mode (KVM_X2APIC_API_USE_32BIT_IDS), else 8 bits at the top. */
static bool in_32bit_format(struct ost_vcpu *vcpu)
{
	return READ_ONCE(vcpu->vm->irqs.ids_32bit) && vcpu->apic->mode == OST_APIC_X2APIC;
}

static u32 *id_in(struct kvm_lapic_state *state)
{
	return (u32 *)(state->regs + APIC_ID);
}

void ost_lapic_get(struct ost_vcpu *vcpu, struct kvm_lapic_state *out)
{
	ost_lapic_run_ended(vcpu);
	if (vcpu->pv.eoi_offered)
		ost_pv_eoi_slow(vcpu);
	ost_lapic_model_get(vcpu->apic, out);
	if (in_32bit_format(vcpu))
		*id_in(out) = vcpu->apic->id;
}

int ost_lapic_set(struct ost_vcpu *vcpu, const struct kvm_lapic_state *in)
{
	if (in_32bit_format(vcpu) && *id_in((void *)in) != vcpu->apic->id)
		return -EINVAL;
	if (vcpu->pv.eoi_offered)
		ost_pv_eoi_slow(vcpu);
	ost_lapic_model_set(apic_for_write(vcpu), in);
	publish_changes(vcpu);
	return 0;
}

/* Before the guest looks at its registers: what has arrived, and what it has ended by its memory. */
static void collect(struct ost_vcpu *vcpu)
{
	if (unlikely(vcpu->pv.eoi_offered))
		ost_pv_eoi_sync(vcpu);
	ost_lapic_collect(vcpu->apic);
}

bool ost_lapic_covers(struct ost_vcpu *vcpu, gpa_t gpa)
{
	return gpa >> PAGE_SHIFT == vcpu->apic_base >> PAGE_SHIFT &&
	       (vcpu->apic->mode == OST_APIC_XAPIC ||
		ost_has_quirk(vcpu->vm, KVM_X86_QUIRK_LAPIC_MMIO_HOLE));
}

int ost_lapic_mmio_read(struct ost_vcpu *vcpu, u32 offset, u32 len, void *val)
{
	if (unlikely(vcpu->apic->mode != OST_APIC_XAPIC)) {
		memset(val, 0xff, len);
		return 0;
	}
	collect(vcpu);
	ost_lapic_page_read(vcpu->apic, offset, len, val);
	return 0;
}

int ost_lapic_mmio_write(struct ost_vcpu *vcpu, u32 offset, u32 len, const void *val)
{
	if (unlikely(vcpu->apic->mode != OST_APIC_XAPIC))
		return 0;
	ost_lapic_page_write(apic_for_write(vcpu), offset, len, val);
	publish_changes(vcpu);
	return 0;
}

int ost_x2apic_read(struct ost_vcpu *vcpu, u32 msr, u64 *data)
{
	if (!vcpu->apic)
		return 1;
	collect(vcpu);
	return ost_lapic_msr_read(vcpu->apic, msr, data);
}

int ost_x2apic_write(struct ost_vcpu *vcpu, u32 msr, u64 data)
{
	/* Nothing of what others address it by can be written in x2APIC mode. */
	return vcpu->apic ? ost_lapic_msr_write(apic_for_write(vcpu), msr, data) : 1;
}

/* --- IA32_APIC_BASE (SDM 11.4.4, 11.12.1) --- */

static enum ost_apic_mode mode_of(u64 apic_base)
{
	if (!(apic_base & MSR_IA32_APICBASE_ENABLE))
		return OST_APIC_DISABLED;
	return apic_base & X2APIC_ENABLE ? OST_APIC_X2APIC : OST_APIC_XAPIC;
}

static bool apic_base_valid(struct ost_vcpu *vcpu, u64 data, bool host)
{
	u64 reserved = vcpu->cpuid.gpa_reserved | GENMASK_ULL(63, 52) | 0x2ff;
	enum ost_apic_mode old = mode_of(vcpu->apic_base), new = mode_of(data);

	if (!ost_has(vcpu, X2APIC))
		reserved |= X2APIC_ENABLE;
	if (data & reserved)
		return false;
	if (new == OST_APIC_DISABLED && data & X2APIC_ENABLE)
		return false;
	/* SDM figure 11-27: x2APIC mode is entered from xAPIC mode, and left by disabling only. */
	if (!host && ((old == OST_APIC_X2APIC && new == OST_APIC_XAPIC) ||
		      (old == OST_APIC_DISABLED && new == OST_APIC_X2APIC)))
		return false;
	return true;
}

int ost_apic_base_write(struct ost_vcpu *vcpu, u64 data, bool host)
{
	if (!apic_base_valid(vcpu, data, host))
		return 1;
	vcpu->apic_base = data;
	if (vcpu->apic) {
		ost_lapic_set_mode(vcpu->apic, mode_of(data));
		/* From a WRMSR's exit; what follows takes locks that are slept for. */
		ost_vcpu_preemptible(vcpu);
		if (ost_backend->apic_changed)
			ost_backend->apic_changed(vcpu);
		publish_changes(vcpu);
	}
	ost_cpuid_refresh(vcpu);
	return 0;
}

/* --- timer --- */

u64 ost_lapic_tsc_deadline(struct ost_vcpu *vcpu)
{
	if (!vcpu->apic)
		return 0;
	ost_lapic_run_ended(vcpu);
	return ost_lapic_timer_deadline(vcpu->apic);
}

void ost_lapic_set_tsc_deadline(struct ost_vcpu *vcpu, u64 data)
{
	if (vcpu->apic)
		ost_lapic_timer_set_deadline(vcpu->apic, data);
}

void ost_lapic_timer_inject(struct ost_vcpu *vcpu)
{
	ost_lapic_timer_expire(vcpu->apic);
}

void ost_lapic_run_ended(struct ost_vcpu *vcpu)
{
	if (vcpu->run_end_tsc == OST_NO_RUN_END || vcpu->run_end_tsc > rdtsc())
		return;
	vcpu->run_end_tsc = OST_NO_RUN_END;
	ost_lapic_timer_fired(vcpu->apic);
	ost_lapic_timer_expire(vcpu->apic);
}

void ost_lapic_timer_to_host(struct ost_vcpu *vcpu)
{
	struct ost_lapic *apic = vcpu->apic;
	u64 now, left;

	if (vcpu->run_end_tsc == OST_NO_RUN_END)
		return;
	vcpu->run_end_tsc = OST_NO_RUN_END;
	now = now_ns(apic);
	left = tsc_left_ns(apic, apic->timer.tsc_deadline);
	start_hrtimer(glue_of(apic), now + min_t(u64, left, S64_MAX - now));
}

void ost_lapic_timer_rearm(struct ost_vcpu *vcpu)
{
	if (vcpu->apic)
		ost_lapic_timer_rearm_model(vcpu->apic);
}

bool ost_lapic_timer_pending(struct ost_vcpu *vcpu)
{
	return READ_ONCE(vcpu->apic->timer.pending);
}

/* --- priorities and delivery to the CPU --- */

u64 ost_lapic_cr8(struct ost_vcpu *vcpu)
{
	return ost_lapic_reg(vcpu->apic, APIC_TASKPRI) >> 4;
}

void ost_lapic_set_cr8(struct ost_vcpu *vcpu, u64 cr8)
{
	/* SDM 11.8.6: MOV to CR8 clears TPR's lower half. */
	ost_lapic_set_tpr(vcpu->apic, cr8 << 4 & 0xf0);
}

bool ost_lapic_lint0_open(struct ost_vcpu *vcpu)
{
	return ost_lapic_takes_extint(vcpu->apic);
}

/* What KVM_INTERRUPT has brought is what the INTA cycle of userspace's PIC has answered. */
static int user_pic_vector(struct ost_vcpu *vcpu, bool ack)
{
	if (!vcpu->event.interrupt.user_pending)
		return -1;
	if (ack)
		vcpu->event.interrupt.user_pending = false;
	return vcpu->event.interrupt.user_vector;
}

static int pic_vector(struct ost_vcpu *vcpu, bool ack)
{
	if (!ost_lapic_takes_extint(vcpu->apic))
		return -1;
	if (unlikely(vcpu->user_pic))
		return user_pic_vector(vcpu, ack);
	return ack ? ost_pic_ack(vcpu->vm) : ost_pic_peek(vcpu->vm);
}

int ost_irq_peek(struct ost_vcpu *vcpu)
{
	/* ExtINT does not pass through the LAPIC's priorities (SDM 11.8). */
	int vector = pic_vector(vcpu, false);

	ost_lapic_collect(vcpu->apic);
	if (vector >= 0 || vcpu->apic->cpu_delivers)
		return vector;
	return ost_lapic_deliverable(vcpu->apic);
}

bool ost_irq_pending(struct ost_vcpu *vcpu)
{
	return ost_irq_peek(vcpu) >= 0 || ost_lapic_deliverable(vcpu->apic) >= 0;
}

int ost_irq_ack(struct ost_vcpu *vcpu)
{
	int vector = pic_vector(vcpu, true);

	if (vector >= 0 || vcpu->apic->cpu_delivers)
		return vector;
	vector = ost_lapic_take(vcpu->apic);
	if (vector >= 0 && (vcpu->pv.eoi_msr & KVM_MSR_ENABLED))
		ost_pv_eoi_offer(vcpu, vector);
	return vector;
}

/* --- what the CPU has done on the register page --- */

int ost_lapic_written(struct ost_vcpu *vcpu, u32 offset)
{
	ost_lapic_page_written(apic_for_write(vcpu), offset);
	publish_changes(vcpu);
	return OST_RUN;
}

int ost_lapic_max_irr(struct ost_vcpu *vcpu)
{
	const struct ost_lapic *apic = vcpu->apic;
	int irr = ost_lapic_find_irr(apic), isr = ost_lapic_find_isr(apic);

	if (irr < 0 || !ost_lapic_sw_enabled(apic))
		return -1;
	/*
	 * Where an interrupt in service holds it off, its EOI comes before a change of TPR could
	 * matter.
	 */
	if (isr >= 0 && (irr & 0xf0) <= (isr & 0xf0))
		return -1;
	return (irr & 0xf0) <= (ost_lapic_reg(apic, APIC_TASKPRI) & 0xf0) ? irr : -1;
}

bool ost_lapic_enabled(struct ost_vcpu *vcpu)
{
	return vcpu->apic->mode != OST_APIC_DISABLED;
}

/* --- INIT and SIPI (SDM 9.4.3 "MP Initialization", 11.6.1) --- */

static void start_at(struct ost_vcpu *vcpu, u8 vector)
{
	struct kvm_segment cs;

	ost_backend->get_segment(vcpu, OST_SEG_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	ost_backend->set_segment(vcpu, OST_SEG_CS, &cs);
	ost_reg_set(vcpu, OST_REG_RIP, 0);
}

void ost_lapic_accept_init_sipi(struct ost_vcpu *vcpu)
{
	/* In SMM an INIT waits for RSM, and a SIPI is nothing (SDM vol. 3C, 32.3.1: it is for those behind an INIT). */
	if (unlikely(vcpu->smm.active)) {
		clear_bit(OST_SIPI_PENDING, &vcpu->pending_init_sipi);
		return;
	}
	/* An SMI goes before an INIT (SDM vol. 3A, table 6-2), also one that has yet to wait; RSM asks for this again. */
	if (unlikely(ost_smi_behind_event(vcpu)) && READ_ONCE(vcpu->mp_state) == KVM_MP_STATE_RUNNABLE)
		return;
	if (test_and_clear_bit(OST_INIT_PENDING, &vcpu->pending_init_sipi)) {
		ost_vcpu_reset(vcpu, true);
		/* The boot CPU goes on at the reset vector, the others wait for a SIPI. */
		WRITE_ONCE(vcpu->mp_state, vcpu->apic_base & MSR_IA32_APICBASE_BSP ?
			   KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED);
	}
	if (test_and_clear_bit(OST_SIPI_PENDING, &vcpu->pending_init_sipi)) {
		/* Pairs with the barrier in on_special(). */
		smp_rmb();
		/* Only the first one after INIT counts. */
		if (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
			start_at(vcpu, READ_ONCE(vcpu->pending_ipi_vector));
			WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
		}
	}
}
