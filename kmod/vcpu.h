/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vCPU: its fields and who owns them, its requests, and the accessors of its registers.
 *
 * Ownership: unless a field says otherwise it belongs to whoever holds vcpu->mutex, which every
 * vCPU ioctl does for its whole length. Fields marked [any] are touched from other threads and
 * interrupts, with the ordering that docs/locking.md gives.
 */
#ifndef OST_VCPU_H
#define OST_VCPU_H

#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/mm_types.h>
#include <asm/kvm_para.h>
#include "ost.h"
#include "apf.h"
#include "event.h"
#include "fpu.h"
#include "guestdebug.h"
#include "cpuid.h"
#include "clock.h"
#include "msr.h"
#include "stats.h"
#include "pv.h"
#include "emulate/emulate.h"
#include "mmu/dirty_ring.h"
#include "smm.h"

/* Order of the GPRs is the hardware's encoding (ModRM). */
enum ost_reg {
	OST_REG_RAX, OST_REG_RCX, OST_REG_RDX, OST_REG_RBX,
	OST_REG_RSP, OST_REG_RBP, OST_REG_RSI, OST_REG_RDI,
	OST_REG_R8, OST_REG_R9, OST_REG_R10, OST_REG_R11,
	OST_REG_R12, OST_REG_R13, OST_REG_R14, OST_REG_R15,
	OST_REG_RIP, OST_REG_RFLAGS,
	OST_REG_CR0, OST_REG_CR3, OST_REG_CR4, OST_REG_EFER,
	OST_NR_REGS,
};

/* Order of the segments is the hardware's encoding (Sreg). */
enum ost_seg {
	OST_SEG_ES, OST_SEG_CS, OST_SEG_SS, OST_SEG_DS, OST_SEG_FS, OST_SEG_GS,
	OST_SEG_LDTR, OST_SEG_TR,
};

/* vcpu->requests, each a bit. docs/locking.md has the ordering argument. */
enum ost_req {
	OST_REQ_EVENT,		/* look for interrupts, NMIs and exceptions to inject */
	OST_REQ_TLB_FLUSH,	/* forget nested translations before the next entry */
	OST_REQ_CLOCK,		/* write the kvmclock page anew */
	OST_REQ_TRIPLE_FAULT,	/* answer KVM_EXIT_SHUTDOWN */
	OST_REQ_VM_DEAD,	/* KVM_RUN answers -EIO from now on; never cleared */
	OST_REQ_LEAVE,		/* nothing but to have left the guest (ost_request_all) */
	OST_REQ_DIRTY_RING,	/* its dirty ring is nearly full: KVM_EXIT_DIRTY_RING_FULL */
	OST_REQ_APIC_TIMER,	/* an expired LAPIC timer waits to be put into the IRR */
	OST_REQ_IOAPIC_EOI,	/* userspace's IOAPIC is to hear of an end (user_eois) */
	OST_REQ_SMI,		/* an SMI has come (smm.h) */
	OST_REQ_SMI_TOLD,	/* one that KVM_GET_VCPU_EVENTS has told of is still to be taken */
	OST_REQ_INIT_SIPI,	/* an INIT or SIPI has come (pending_init_sipi) */
	OST_REQ_STEAL,		/* account to the guest what time it did not get (pv.c) */
	OST_REQ_PV_EOI,		/* see to the guest's bit for ends of interrupts, by sleeping (pv.c) */
	OST_REQ_MSR_FILTER,	/* the VM's filter of MSRs changed */
	OST_REQ_APF,		/* pages that the guest or the vCPU has waited for are there (apf.c) */
	OST_NR_REQS,
};

enum ost_vcpu_mode {
	OST_MODE_OUTSIDE,	/* not in the guest: a request is seen before the next entry */
	OST_MODE_IN_GUEST,	/* between the last look at requests and the exit: kick by IPI */
	OST_MODE_LEAVING,	/* in the guest, and an IPI is on its way */
};

/*
 * What userspace has to finish before the guest can go on (pio.c, emulation.c). An access that crosses
 * a page can have two parts in device memory; each is handed out 8 bytes at a time.
 */
#define OST_MMIO_PARTS 2
struct ost_mmio_part {
	gpa_t gpa;
	u32 len;
	u8 data[OST_EMUL_MAX_ACCESS];
};

struct ost_io_state {
	/* What to call when KVM_RUN is entered again; NULL when nothing is outstanding. */
	int (*complete)(struct ost_vcpu *vcpu);
	struct ost_mmio_part part[OST_MMIO_PARTS];
	u8 nr_parts, cur_part;
	u32 done;		/* bytes of the current part that userspace has dealt with */
	bool mmio_write;
	bool posted;		/* a write or OUT was posted by the instruction being emulated */
	bool read_ready;	/* part[] holds what userspace read */
	bool pio_in;
	bool pio_ready;		/* pio_page holds what userspace's IN brought */
	u16 pio_port;
	u8 pio_size;
	u32 pio_count;
	u64 rip;		/* of the IN, OUT or MOV that is outstanding */
	u8 mov_len, mov_reg, mov_size; /* of a MOV from device memory (mmio.c) */
	bool mov_zero_extend;
};

#define OST_NO_RUN_END U64_MAX

struct ost_vcpu {
	struct ost_vm *vm;
	u32 id;			/* APIC id, from KVM_CREATE_VCPU */
	u32 index;		/* in vm->vcpus */
	struct mutex mutex;
	struct ost_space *space; /* the memory that it sees; changed by its thread [any: READ_ONCE] */
	struct kvm_run *run;	/* shared with the VMM: hostile, may change under us */
	struct page *run_page;
	struct page *pio_page;	/* second page of the mapping, string I/O data */
	struct preempt_notifier preempt;
	int cpu;		/* where it is loaded or was last, -1 never [any: READ_ONCE] */
	bool loaded;
	/* The thread that took it off its CPU (only compared), and how often that had been switched. */
	const struct task_struct *put_by;
	u64 switches_at_put;
	/*
	 * The host's TSC at which a run is to end for the LAPIC's timer, OST_NO_RUN_END for none. Past ends
	 * make run() answer at once. Set only where ost_hw_caps.run_end_cycles allows it.
	 */
	u64 run_end_tsc;

	unsigned long requests;	/* [any] bits of enum ost_req */
	int mode;		/* [any] enum ost_vcpu_mode */
	struct rcuwait wait;	/* [any] a halted vCPU sleeps here */

	/* Registers; a value is right only when its bit in regs_avail is set: use the accessors. */
	u64 regs[OST_NR_REGS];
	u32 regs_avail;
	u32 regs_dirty;
	u64 cr2;		/* right outside of ost_run only */
	u64 dr[4], dr6, dr7;
	u64 hw_dr7;		/* what an entry loads: dr7, or a debugger's */
	bool dr_live;		/* the guest may use MOV DR during the next entry */
	bool dr_load;		/* ost_debug_load() has something to do before it (ost_debug_update()) */
	struct ost_guest_debug debug;
	bool msr_filtered;	/* there is a filter of MSRs, which has to be asked (msr_filter.h) */
	u64 apic_base;		/* IA32_APIC_BASE */
	u64 cr8;		/* without an in-kernel irqchip; see ost_get_cr8() */
	u64 pat;
	u64 misc_enable;
	u64 spec_ctrl;
	bool spec_ctrl_direct;	/* the guest writes SPEC_CTRL without an exit */
	u64 microcode;
	u64 tsc_aux;
	u32 mp_state;		/* [any: READ_ONCE] KVM_MP_STATE_* */

	u32 exit_index;		/* of the last exit, into backend->exit_names */
	u64 exit_qual[2];	/* vendor's two words about it, for traces and statistics */

	struct ost_events event;
	struct ost_fpu fpu;
	struct ost_cpuid cpuid;
	struct ost_clock clock;
	struct ost_msrs msr;
	struct ost_dirty_ring dirty_ring;
	struct ost_pv pv;
	struct ost_smm smm;
	struct ost_apf apf;
	struct ost_lapic *apic;	/* NULL without an in-kernel irqchip */
	u32 pending_ipi_vector;	/* SIPI vector [any] */
	unsigned long pending_init_sipi; /* [any] bits: 0 INIT, 1 SIPI */
	bool user_pic;		/* the PIC is userspace's: KVM_INTERRUPT, with or without a LAPIC */
	DECLARE_BITMAP(user_eois, 256);	/* vectors that userspace's IOAPIC is to hear the end of */

	struct ost_io_state io;
	struct ost_emul emul;
	u64 mmio_gen;		/* generation of the space's slots that the MMIO cache below is for */
	gfn_t mmio_gfn;		/* a page known to have no slot */

	sigset_t sigmask;
	bool sigmask_set;
	u64 halt_poll_ns;
	struct ost_vcpu_stats stats;
};

static inline void ost_request(struct ost_vcpu *vcpu, enum ost_req req)
{
	/* Pairs with the barrier after mode = IN_GUEST: what made the request is seen before it. */
	smp_wmb();
	set_bit(req, &vcpu->requests);
}

static inline bool ost_request_pending(struct ost_vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests);
}

static inline bool ost_request_take(struct ost_vcpu *vcpu, enum ost_req req)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	/* Pairs with the barrier in ost_request(). */
	smp_mb__after_atomic();
	return true;
}

/* A vCPU that is in the guest leaves it; one that sleeps wakes. Any context. */
void ost_vcpu_kick(struct ost_vcpu *vcpu);
/*
 * Something was posted to the LAPIC: if the vCPU is in the guest and the CPU can take them there, makes it do so.
 * False when it is to be told by a request. Any context, preemption disabled.
 */
bool ost_vcpu_notify(struct ost_vcpu *vcpu);
/* Wakes it if it sleeps; true if it did. Any context. */
bool ost_vcpu_wake(struct ost_vcpu *vcpu);

/* Makes request `req` of every vCPU and returns when none is in the guest without having seen it. */
void ost_request_all(struct ost_vm *vm, enum ost_req req);

/* vCPU onto this CPU and off it again: every vCPU ioctl, around its work. Preemptible between. */
void ost_vcpu_load(struct ost_vcpu *vcpu);
void ost_vcpu_put(struct ost_vcpu *vcpu);

/*
 * From a handler on the exit path that may sleep: saves the guest's FPU and enables preemption, so
 * that it returns in context [vcpu]. Nothing when that was done already.
 */
void ost_vcpu_preemptible(struct ost_vcpu *vcpu);

/* The VM's vCPU whose ioctl this thread is in, if it is loaded; or NULL. Any context but interrupts. */
struct ost_vcpu *ost_vcpu_here(struct ost_vm *vm);

/* KVM_CREATE_VCPU: the new fd, or -errno. */
int ost_vcpu_create(struct ost_vm *vm, u32 id);
/* Frees a vCPU that nobody can reach any more (last reference of the VM). */
void ost_vcpu_destroy(struct ost_vcpu *vcpu);
/* Fills the ioctl table, at load. */
void ost_vcpu_init_ioctls(void);
/* State after RESET, or after INIT. [vcpu] */
void ost_vcpu_reset(struct ost_vcpu *vcpu, bool init_event);

/* At load and unload: what ost_request_all() needs (request.c). */
int ost_request_setup(void);
void ost_request_teardown(void);
/* Acts on the vCPU's requests before an entry: OST_RUN, OST_USER or -errno. [vcpu or atomic] */
int ost_handle_requests(struct ost_vcpu *vcpu);

/* KVM_RUN (run.c). */
int ost_vcpu_run(struct ost_vcpu *vcpu);
/* Was that all of a KVM_RUN that is to end with -EINTR at once? The vCPU need not be loaded. [vcpu->mutex] */
bool ost_vcpu_run_over(struct ost_vcpu *vcpu);
/*
 * Sleeps as in HLT: until OST_REQ_APF, an interrupt or something else that the vCPU has to see to, or a signal. It has to
 * stand between two instructions. [vcpu]
 */
void ost_vcpu_wait_page(struct ost_vcpu *vcpu);
/* Could it leave HLT now? Also used before it sleeps. */
bool ost_vcpu_runnable(struct ost_vcpu *vcpu);

#include "regs.h"

#endif
