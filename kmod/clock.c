// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest time: TSC offset and rate, kvmclock, KVM_GET/SET_CLOCK (clock.h).
 *
 * kvmclock counts like the host's CLOCK_MONOTONIC_RAW with suspend time added, plus a VM's offset.
 * While the host keeps its own time by the TSC, all pages of a VM are lines through one point, the
 * master pair, and so agree to the nanosecond when the vCPUs' TSCs do: the pages then say "stable",
 * and the guest reads time without a lock. The pair is taken anew only when that ends or begins.
 *
 * vm->clock.lock guards the VM's part and the writing of every vCPU's tsc_offset and tsc_ratio; it
 * nests inside vm_list_lock and takes no other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irq_work.h>
#include <linux/kvm_para.h>
#include <linux/math64.h>
#include <linux/pvclock_gtod.h>
#include <linux/timekeeper_internal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>
#include "backend.h"
#include "clock.h"
#include "irqchip/irqchip.h"
#include "vcpu.h"
#include "vm.h"

/* TSC frequencies this close, in parts per million, count as the host's own. */
#define TSC_TOLERANCE_PPM 250

static LIST_HEAD(vm_list);
static DEFINE_RAW_SPINLOCK(vm_list_lock);
static bool tsc_is_clock;	/* the host's clocksource is the TSC */

/* cycles * mul >> 32, after a shift left (or right, when negative), are nanoseconds: pvclock's form. */
struct scale {
	u32 mul;
	s8 shift;
};
static struct scale host_scale __ro_after_init;

/* One moment on the host's clocks. */
struct moment {
	u64 tsc, raw_ns, real_ns;
};

static struct scale scale_of_khz(u32 khz)
{
	u64 num = NSEC_PER_MSEC, den = max(khz, 1u);
	struct scale s = {};

	/* ns per cycle is num / den: bring it into [1/2, 1) for the most precise multiplier. */
	while (num >= den) {
		den <<= 1;
		s.shift++;
	}
	while (num * 2 < den) {
		num <<= 1;
		s.shift--;
	}
	s.mul = div64_u64(num << 32, den);
	return s;
}

static u64 cycles_to_ns(u64 cycles, struct scale s)
{
	if (s.shift >= 0)
		cycles <<= s.shift;
	else
		cycles >>= -s.shift;
	return mul_u64_u32_shr(cycles, s.mul, 32);
}

/* The clocks are read between two looks at the TSC; the closest pair of three counts. */
static struct moment now(void)
{
	u64 best = U64_MAX;
	struct moment m = {};
	unsigned long flags;
	int i;

	local_irq_save(flags);
	for (i = 0; i < 3; i++) {
		u64 before = rdtsc_ordered();
		u64 raw_ns = ktime_get_raw_ns();
		u64 real_ns = ktime_get_real_ns();
		u64 took = rdtsc_ordered() - before;

		if (took >= best)
			continue;
		best = took;
		m = (struct moment){ before + took / 2, raw_ns, real_ns };
	}
	local_irq_restore(flags);
	m.raw_ns += ktime_to_ns(ktime_mono_to_any(0, TK_OFFS_BOOT));
	return m;
}

/* --- the guest's TSC --- */

static u64 one(void)
{
	return 1ull << ost_hw_caps.tsc_frac_bits;
}

static u64 scale_tsc(const struct ost_vcpu *vcpu, u64 tsc)
{
	if (!ost_hw_caps.tsc_scaling || vcpu->clock.tsc_ratio == one())
		return tsc;
	return mul_u64_u64_shr(tsc, vcpu->clock.tsc_ratio, ost_hw_caps.tsc_frac_bits);
}

u64 ost_guest_tsc_at(struct ost_vcpu *vcpu, u64 host_tsc)
{
	return scale_tsc(vcpu, host_tsc) + READ_ONCE(vcpu->clock.tsc_offset);
}

u64 ost_guest_tsc(struct ost_vcpu *vcpu)
{
	return ost_guest_tsc_at(vcpu, rdtsc());
}

u64 ost_guest_tsc_to_ns(struct ost_vcpu *vcpu, u64 guest_tsc)
{
	u64 now = ost_guest_tsc(vcpu), ms;
	u32 khz = max(vcpu->clock.tsc_khz, 1u), rest;

	/* Unsigned, as the CPU compares: a deadline of all ones is far away, not past. */
	if (guest_tsc <= now)
		return 0;
	ms = div_u64_rem(guest_tsc - now, khz, &rest);
	if (ms >= div_u64(KTIME_MAX, NSEC_PER_MSEC))
		return KTIME_MAX;
	/* Rounded up: when this has passed, the TSC is there. */
	return ms * NSEC_PER_MSEC + DIV64_U64_ROUND_UP((u64)rest * NSEC_PER_MSEC, khz);
}

u64 ost_guest_tsc_to_host(struct ost_vcpu *vcpu, u64 guest_tsc)
{
	u64 host = rdtsc(), guest = ost_guest_tsc_at(vcpu, host), ratio = vcpu->clock.tsc_ratio, left;

	if (guest_tsc <= guest)
		return host;
	left = guest_tsc - guest;
	if (ost_hw_caps.tsc_scaling && ratio != one()) {
		/* The division must not overflow. */
		if (left >> (64 - ost_hw_caps.tsc_frac_bits) >= ratio)
			return U64_MAX;
		/* Rounded up, as is what the scaling of `host` has cut off. */
		left = mul_u64_u64_div_u64(left, one(), ratio);
		left = left > U64_MAX - 2 ? U64_MAX : left + 2;
	}
	return left < U64_MAX - host ? host + left : U64_MAX;
}

/* Do all vCPUs count alike? The caller holds the lock; vcpu may not be in the VM's array yet. */
static bool all_matched(const struct ost_vcpu *vcpu)
{
	struct ost_vcpu *other;
	u32 i;

	ost_for_each_vcpu(i, other, vcpu->vm) {
		if (other->clock.tsc_offset != vcpu->clock.tsc_offset ||
		    other->clock.tsc_ratio != vcpu->clock.tsc_ratio)
			return false;
	}
	return true;
}

static void request_all(struct ost_vm *vm)
{
	struct ost_vcpu *vcpu;
	u32 i;

	ost_for_each_vcpu(i, vcpu, vm) {
		ost_request(vcpu, OST_REQ_CLOCK);
		ost_vcpu_kick(vcpu);
	}
}

/* Under the lock. True when the other vCPUs' pages have to change too. */
static bool set_offset_locked(struct ost_vcpu *vcpu, u64 offset)
{
	struct ost_vm_clock *c = &vcpu->vm->clock;
	bool was = c->tsc_matched;

	WRITE_ONCE(vcpu->clock.tsc_offset, offset);
	c->tsc_matched = all_matched(vcpu);
	return c->tsc_matched != was;
}

/* What follows from a new offset or rate. */
static void tsc_changed(struct ost_vcpu *vcpu, bool matched_changed)
{
	if (vcpu->apic)
		ost_lapic_timer_rearm(vcpu);
	ost_request(vcpu, OST_REQ_CLOCK);
	if (matched_changed)
		request_all(vcpu->vm);
}

/* True when the other vCPUs' pages have to change too. */
static bool write_offset(struct ost_vcpu *vcpu, u64 offset)
{
	struct ost_vm_clock *c = &vcpu->vm->clock;
	unsigned long flags;
	bool changed;

	raw_spin_lock_irqsave(&c->lock, flags);
	changed = set_offset_locked(vcpu, offset);
	raw_spin_unlock_irqrestore(&c->lock, flags);
	return changed;
}

static void set_offset(struct ost_vcpu *vcpu, u64 offset)
{
	tsc_changed(vcpu, write_offset(vcpu, offset));
}

/*
 * The same when the thread is scheduled in. It may have been preempted in the middle of a change of its
 * LAPIC's timer, so that waits for OST_REQ_CLOCK.
 */
static void set_offset_sched_in(struct ost_vcpu *vcpu, u64 offset)
{
	bool changed = write_offset(vcpu, offset);

	vcpu->clock.rearm_timer = true;
	ost_request(vcpu, OST_REQ_CLOCK);
	if (changed)
		request_all(vcpu->vm);
}

static s64 second_of_tsc(const struct ost_vcpu *vcpu)
{
	return (s64)vcpu->clock.tsc_khz * MSEC_PER_SEC;
}

/*
 * The VMM writes the TSCs of a VM's vCPUs one after the other and means them to be equal. So a value
 * within a second of where the vCPU written before it stands now gets exactly that one's offset, and
 * so does 0, with which vCPUs start. A vCPU's second such value may be one that was read from it before,
 * and then lies behind; one ahead is another state's (a VM restored right behind its start) and is what
 * the others, that are written next, are to be equal to.
 */
static void tsc_synchronise(struct ost_vcpu *vcpu, u64 value)
{
	struct ost_vm_clock *c = &vcpu->vm->clock;
	u64 scaled, offset;
	unsigned long flags;
	s64 apart, ahead;
	bool changed;

	raw_spin_lock_irqsave(&c->lock, flags);
	scaled = scale_tsc(vcpu, rdtsc());
	offset = value - scaled;
	apart = offset - c->last_tsc_offset;
	ahead = vcpu->clock.tsc_generation == c->tsc_generation ? 1 : second_of_tsc(vcpu);
	if (c->last_tsc_khz == vcpu->clock.tsc_khz && !check_tsc_unstable() &&
	    (!value || (apart > -second_of_tsc(vcpu) && apart < ahead)))
		offset = c->last_tsc_offset;
	else
		c->tsc_generation++;
	vcpu->clock.tsc_generation = c->tsc_generation;
	c->last_tsc_khz = vcpu->clock.tsc_khz;
	c->last_tsc_offset = offset;
	changed = set_offset_locked(vcpu, offset);
	raw_spin_unlock_irqrestore(&c->lock, flags);
	tsc_changed(vcpu, changed);
}

void ost_tsc_write(struct ost_vcpu *vcpu, u64 value, bool host)
{
	u64 offset;

	if (host) {
		tsc_synchronise(vcpu, value);
		return;
	}
	/* A write to the TSC shows in IA32_TSC_ADJUST (SDM vol. 3B, 17.17.3). */
	offset = value - scale_tsc(vcpu, rdtsc());
	vcpu->clock.tsc_adjust += offset - vcpu->clock.tsc_offset;
	set_offset(vcpu, offset);
}

void ost_tsc_adjust_write(struct ost_vcpu *vcpu, u64 value, bool host)
{
	u64 delta = value - vcpu->clock.tsc_adjust;

	vcpu->clock.tsc_adjust = value;
	/* The VMM restores the TSC by itself. */
	if (!host)
		set_offset(vcpu, vcpu->clock.tsc_offset + delta);
}

static int ratio_of_khz(u32 khz, u64 *ratio)
{
	u32 tolerance = mult_frac(tsc_khz, TSC_TOLERANCE_PPM, 1000000);

	*ratio = one();
	if (khz >= tsc_khz - tolerance && khz <= tsc_khz + tolerance)
		return 0;
	if (!ost_hw_caps.tsc_scaling ||
	    khz / tsc_khz >= ost_hw_caps.tsc_max_ratio >> ost_hw_caps.tsc_frac_bits)
		return -EINVAL;
	*ratio = mul_u64_u64_div_u64(khz, one(), tsc_khz);
	return *ratio ? 0 : -EINVAL;
}

int ost_tsc_set_khz(struct ost_vcpu *vcpu, u32 khz)
{
	struct ost_vm_clock *c = &vcpu->vm->clock;
	u64 value = ost_guest_tsc(vcpu), ratio;
	unsigned long flags;
	int r;

	if (!khz)
		khz = READ_ONCE(c->default_tsc_khz);
	r = ratio_of_khz(khz, &ratio);
	if (r)
		return r;
	raw_spin_lock_irqsave(&c->lock, flags);
	vcpu->clock.tsc_ratio = ratio;
	vcpu->clock.tsc_khz = khz;
	raw_spin_unlock_irqrestore(&c->lock, flags);
	/* It goes on from where it stands, and from the same point as the VM's others. */
	tsc_synchronise(vcpu, value);
	return 0;
}

int ost_clock_set_default_khz(struct ost_vm *vm, u32 khz)
{
	u64 ratio;
	int r;

	if (!khz)
		khz = tsc_khz;
	r = ratio_of_khz(khz, &ratio);
	if (r)
		return r;
	mutex_lock(&vm->lock);
	if (vm->nr_creating)
		r = -EINVAL;
	else
		WRITE_ONCE(vm->clock.default_tsc_khz, khz);
	mutex_unlock(&vm->lock);
	return r;
}

/* Exactly that one: a VMM that says it so has synchronised the vCPUs itself. */
void ost_tsc_set_offset(struct ost_vcpu *vcpu, u64 offset)
{
	struct ost_vm_clock *c = &vcpu->vm->clock;
	unsigned long flags;
	bool changed;

	raw_spin_lock_irqsave(&c->lock, flags);
	c->last_tsc_khz = vcpu->clock.tsc_khz;
	c->last_tsc_offset = offset;
	vcpu->clock.tsc_generation = ++c->tsc_generation;
	changed = set_offset_locked(vcpu, offset);
	raw_spin_unlock_irqrestore(&c->lock, flags);
	tsc_changed(vcpu, changed);
}

void ost_clock_vcpu_load(struct ost_vcpu *vcpu, bool moved)
{
	if (unlikely(check_tsc_unstable())) {
		s64 back = vcpu->clock.last_guest_tsc - ost_guest_tsc(vcpu);

		if (vcpu->clock.last_guest_tsc && (moved || back > 0))
			set_offset_sched_in(vcpu, vcpu->clock.tsc_offset + back);
		/* It was set when the CPUs' TSCs were thought to be equal. */
		if (vcpu->run_end_tsc != OST_NO_RUN_END) {
			vcpu->clock.rearm_timer = true;
			ost_request(vcpu, OST_REQ_CLOCK);
		}
	}
	if (moved && !READ_ONCE(vcpu->vm->clock.master_valid))
		ost_request(vcpu, OST_REQ_CLOCK);
}

void ost_clock_vcpu_put(struct ost_vcpu *vcpu)
{
	vcpu->clock.last_guest_tsc = ost_guest_tsc(vcpu);
}

void ost_clock_reset(struct ost_vcpu *vcpu, bool init_event)
{
	struct ost_clock *c = &vcpu->clock;

	if (init_event)
		return;
	c->tsc_adjust = 0;
	c->system_time_msr = 0;
	c->guest_stopped = false;
	if (!c->tsc_khz) {
		c->tsc_khz = READ_ONCE(vcpu->vm->clock.default_tsc_khz);
		/* The VM's default was checked when it was set. */
		ratio_of_khz(c->tsc_khz, &c->tsc_ratio);
	}
	ost_tsc_write(vcpu, 0, true);
}

/* --- kvmclock --- */

static bool master_possible(void)
{
	return READ_ONCE(tsc_is_clock) && !check_tsc_unstable();
}

/* kvmclock at a moment. Under the lock. */
static u64 kvmclock_at(const struct ost_vm_clock *c, const struct moment *m)
{
	u64 ns = m->raw_ns;

	/* CPUs' TSCs are equal to some cycles only: m may have been taken just before. */
	if (c->master_valid)
		ns = c->master_ns + cycles_to_ns(max_t(s64, m->tsc - c->master_tsc, 0), host_scale);
	return ns + c->offset_ns;
}

/* Under the lock: takes the master pair anew, or gives it up, while kvmclock goes on as it was. */
static void new_master(struct ost_vm_clock *c, const struct moment *m)
{
	u64 was = kvmclock_at(c, m);

	c->master_valid = master_possible();
	c->master_tsc = m->tsc;
	c->master_ns = m->raw_ns;
	c->offset_ns = was - m->raw_ns;
}

void ost_clock_vm_init(struct ost_vm *vm)
{
	struct ost_vm_clock *c = &vm->clock;
	struct moment m = now();
	unsigned long flags;

	raw_spin_lock_init(&c->lock);
	c->vm = vm;
	c->default_tsc_khz = tsc_khz;
	c->tsc_matched = true;
	c->master_tsc = m.tsc;
	c->master_ns = m.raw_ns;
	c->offset_ns = -m.raw_ns;
	raw_spin_lock_irqsave(&vm_list_lock, flags);
	/* A change of the host's clock after this look finds the VM in the list. */
	c->master_valid = master_possible();
	list_add(&c->link, &vm_list);
	raw_spin_unlock_irqrestore(&vm_list_lock, flags);
}

void ost_clock_vm_destroy(struct ost_vm *vm)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&vm_list_lock, flags);
	list_del(&vm->clock.link);
	raw_spin_unlock_irqrestore(&vm_list_lock, flags);
}

/* Writes the vCPU's page: an odd version, the values, the next even version. */
static void write_page(struct ost_vcpu *vcpu, struct pvclock_vcpu_time_info *pv)
{
	struct ost_vm *vm = vcpu->vm;
	gpa_t gpa = vcpu->clock.system_time_msr & ~1ull;
	const size_t skip = sizeof(pv->version);
	u8 old_flags;

	/* The guest clears GUEST_STOPPED itself, when it has seen it. */
	if (ost_gpa_read(vm, gpa + offsetof(struct pvclock_vcpu_time_info, flags), &old_flags, 1))
		return;
	pv->flags |= old_flags & PVCLOCK_GUEST_STOPPED;
	if (vcpu->clock.guest_stopped)
		pv->flags |= PVCLOCK_GUEST_STOPPED;
	vcpu->clock.guest_stopped = false;

	pv->version = (vcpu->clock.version & ~1u) + 1;
	if (ost_gpa_write(vm, gpa, &pv->version, sizeof(pv->version)))
		return;
	/* Another vCPU may read this page (vDSO): it must see the odd version before any value. */
	smp_wmb();
	ost_gpa_write(vm, gpa + skip, (u8 *)pv + skip, sizeof(*pv) - skip);
	smp_wmb();
	pv->version++;
	ost_gpa_write(vm, gpa, &pv->version, sizeof(pv->version));
	vcpu->clock.version = pv->version;
}

void ost_clock_update(struct ost_vcpu *vcpu)
{
	struct ost_vm_clock *c = &vcpu->vm->clock;
	struct pvclock_vcpu_time_info pv = {};
	unsigned long flags;
	struct moment m;
	struct scale s;

	if (unlikely(vcpu->clock.rearm_timer)) {
		vcpu->clock.rearm_timer = false;
		if (vcpu->apic)
			ost_lapic_timer_rearm(vcpu);
	}
	if (!(vcpu->clock.system_time_msr & 1))
		return;
	s = scale_of_khz(vcpu->clock.tsc_khz);
	pv.tsc_to_system_mul = s.mul;
	pv.tsc_shift = s.shift;

	m = now();
	raw_spin_lock_irqsave(&c->lock, flags);
	if (c->master_valid) {
		m.tsc = c->master_tsc;
		if (c->tsc_matched && vcpu->clock.new_msr)
			pv.flags = PVCLOCK_TSC_STABLE_BIT;
	}
	pv.tsc_timestamp = ost_guest_tsc_at(vcpu, m.tsc);
	pv.system_time = kvmclock_at(c, &m);
	raw_spin_unlock_irqrestore(&c->lock, flags);
	write_page(vcpu, &pv);
}

/* The time of day when kvmclock was 0, for the guest to add to its own. */
static void write_wall_clock(struct ost_vm *vm, gpa_t gpa)
{
	struct ost_vm_clock *c = &vm->clock;
	struct pvclock_wall_clock wc;
	struct moment m = now();
	unsigned long flags;
	u64 boot_ns;
	u32 version, nsec;

	if (!gpa || ost_gpa_read(vm, gpa, &version, sizeof(version)))
		return;
	version = (version & ~1u) + 1;
	if (ost_gpa_write(vm, gpa, &version, sizeof(version)))
		return;
	raw_spin_lock_irqsave(&c->lock, flags);
	boot_ns = m.real_ns - kvmclock_at(c, &m);
	raw_spin_unlock_irqrestore(&c->lock, flags);
	wc.sec = div_u64_rem(boot_ns, NSEC_PER_SEC, &nsec);
	wc.nsec = nsec;
	wc.version = version;
	smp_wmb();
	ost_gpa_write(vm, gpa, &wc, sizeof(wc));
	smp_wmb();
	version++;
	ost_gpa_write(vm, gpa, &version, sizeof(version));
}

int ost_clock_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		WRITE_ONCE(vcpu->vm->clock.wall_clock_msr, data);
		ost_vcpu_preemptible(vcpu);
		write_wall_clock(vcpu->vm, data);
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		vcpu->clock.system_time_msr = data;
		vcpu->clock.new_msr = index == MSR_KVM_SYSTEM_TIME_NEW;
		ost_request(vcpu, OST_REQ_CLOCK);
		return 0;
	}
	return 1;
}

int ost_clock_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*data = READ_ONCE(vcpu->vm->clock.wall_clock_msr);
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		*data = vcpu->clock.system_time_msr;
		return 0;
	}
	return 1;
}

int ost_clock_guest_stopped(struct ost_vcpu *vcpu)
{
	if (!(vcpu->clock.system_time_msr & 1))
		return -EINVAL;
	vcpu->clock.guest_stopped = true;
	ost_request(vcpu, OST_REQ_CLOCK);
	return 0;
}

/* KVM_HC_CLOCK_PAIRING: the time of day at a value of the guest's TSC. */
long ost_clock_pairing(struct ost_vcpu *vcpu, gpa_t gpa, u64 type)
{
	struct kvm_clock_pairing pairing = {};
	struct moment m;
	u32 nsec;

	if (type != KVM_CLOCK_PAIRING_WALLCLOCK || !master_possible())
		return -KVM_EOPNOTSUPP;
	m = now();
	pairing.sec = div_u64_rem(m.real_ns, NSEC_PER_SEC, &nsec);
	pairing.nsec = nsec;
	pairing.tsc = ost_guest_tsc_at(vcpu, m.tsc);
	return ost_gpa_write(vcpu->vm, gpa, &pairing, sizeof(pairing)) ? -KVM_EFAULT : 0;
}

/* --- KVM_GET_CLOCK, KVM_SET_CLOCK --- */

u32 ost_clock_cap_flags(void)
{
	return KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
}

void ost_clock_get(struct ost_vm *vm, struct kvm_clock_data *out)
{
	struct ost_vm_clock *c = &vm->clock;
	struct moment m = now();
	unsigned long flags;

	memset(out, 0, sizeof(*out));
	raw_spin_lock_irqsave(&c->lock, flags);
	out->clock = kvmclock_at(c, &m);
	if (c->master_valid && c->tsc_matched) {
		out->flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
		out->realtime = m.real_ns;
		out->host_tsc = m.tsc;
	}
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

int ost_clock_set(struct ost_vm *vm, const struct kvm_clock_data *in)
{
	struct ost_vm_clock *c = &vm->clock;
	u64 clock = in->clock;
	unsigned long flags;
	struct moment m;

	if (in->flags & ~ost_clock_cap_flags())
		return -EINVAL;
	m = now();
	/* The guest's time went on while it was carried here. */
	if ((in->flags & KVM_CLOCK_REALTIME) && m.real_ns > in->realtime)
		clock += m.real_ns - in->realtime;
	raw_spin_lock_irqsave(&c->lock, flags);
	new_master(c, &m);
	c->offset_ns = clock - m.raw_ns;
	raw_spin_unlock_irqrestore(&c->lock, flags);
	request_all(vm);
	return 0;
}

/* --- the host's clock --- */

/* Every VM's pair, by what the host's clocksource is now. */
static void renew_masters(struct work_struct *unused)
{
	struct ost_vm_clock *c;
	struct moment m = now();
	unsigned long flags;

	raw_spin_lock_irqsave(&vm_list_lock, flags);
	list_for_each_entry(c, &vm_list, link) {
		raw_spin_lock(&c->lock);
		if (c->master_valid != master_possible())
			new_master(c, &m);
		raw_spin_unlock(&c->lock);
		request_all(c->vm);
	}
	raw_spin_unlock_irqrestore(&vm_list_lock, flags);
}
static DECLARE_WORK(renew_work, renew_masters);

static void queue_renewal(struct irq_work *unused)
{
	schedule_work(&renew_work);
}
static struct irq_work renew_irq_work = IRQ_WORK_INIT(queue_renewal);

/*
 * Called at every tick inside the timekeeper's write section, where waking a worker could end in a
 * look at the clock that waits for this very section.
 */
static int timekeeping_changed(struct notifier_block *nb, unsigned long was_set, void *data)
{
	struct timekeeper *tk = data;
	bool tsc = tk->tkr_mono.clock->vdso_clock_mode == VDSO_CLOCKMODE_TSC;

	if (unlikely(tsc != READ_ONCE(tsc_is_clock))) {
		WRITE_ONCE(tsc_is_clock, tsc);
		irq_work_queue(&renew_irq_work);
	}
	return 0;
}

static struct notifier_block timekeeping_notifier = {
	.notifier_call = timekeeping_changed,
};

/* After a suspend that the TSC did not count through: guests' TSCs go on as if it had. */
static void resume_vm(struct ost_vm_clock *c, const struct moment *m)
{
	u64 cycles = mul_u64_u32_div(m->raw_ns - c->master_ns, tsc_khz, NSEC_PER_MSEC);
	u64 lost = c->master_tsc + cycles - m->tsc;
	struct ost_vcpu *vcpu;
	u32 i;

	/*
	 * Only ever forwards. A second is what the clock that measured the sleep may be wrong by, and
	 * what guests then may miss.
	 */
	if (c->master_valid && (s64)lost > (s64)tsc_khz * MSEC_PER_SEC) {
		ost_for_each_vcpu(i, vcpu, c->vm)
			WRITE_ONCE(vcpu->clock.tsc_offset,
				   vcpu->clock.tsc_offset + scale_tsc(vcpu, lost));
		c->last_tsc_khz = 0;
	}
	/* What was set by the TSC or the clock of before. Threads are frozen: nobody else writes this. */
	ost_for_each_vcpu(i, vcpu, c->vm)
		vcpu->clock.rearm_timer = true;
	/* Not by the old pair: it is from before the suspend. */
	c->master_valid = master_possible();
	c->master_tsc = m->tsc;
	c->master_ns = m->raw_ns;
}

void ost_clock_host_resumed(void)
{
	struct ost_vm_clock *c;
	struct moment m = now();
	unsigned long flags;

	raw_spin_lock_irqsave(&vm_list_lock, flags);
	list_for_each_entry(c, &vm_list, link) {
		raw_spin_lock(&c->lock);
		resume_vm(c, &m);
		raw_spin_unlock(&c->lock);
		request_all(c->vm);
	}
	raw_spin_unlock_irqrestore(&vm_list_lock, flags);
}

int __init ost_clock_setup(void)
{
	if (!tsc_khz) {
		pr_err("the host's kernel does not know the TSC's frequency\n");
		return -ENODEV;
	}
	host_scale = scale_of_khz(tsc_khz);
	/* Calls back at once with the clocksource that is in use. */
	return pvclock_gtod_register_notifier(&timekeeping_notifier);
}

void ost_clock_teardown(void)
{
	pvclock_gtod_unregister_notifier(&timekeeping_notifier);
	irq_work_sync(&renew_irq_work);
	cancel_work_sync(&renew_work);
}
