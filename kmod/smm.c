// SPDX-License-Identifier: GPL-2.0-only
/* System-management mode (smm.h): APM vol. 2, chapter 10; SDM vol. 3C, chapter 32. */
#include <linux/string.h>
#include <asm/msr-index.h>
#include <asm/trapnr.h>
#include "backend.h"
#include "cpuid.h"
#include "emulate/smram.h"
#include "event.h"
#include "exit.h"
#include "io.h"
#include "irqchip/irqchip.h"
#include "mmu/mmu.h"
#include "smm.h"
#include "state.h"
#include "vcpu.h"
#include "vm.h"

#define DEFAULT_SMBASE 0x30000

void ost_smi(struct ost_vcpu *vcpu)
{
	ost_request(vcpu, OST_REQ_SMI);
	ost_vcpu_kick(vcpu);
}

bool ost_smi_wakes(struct ost_vcpu *vcpu)
{
	return (READ_ONCE(vcpu->requests) & (BIT(OST_REQ_SMI) | BIT(OST_REQ_SMI_TOLD))) && !vcpu->smm.active;
}

bool ost_smi_behind_event(const struct ost_vcpu *vcpu)
{
	return vcpu->smm.pending && !vcpu->smm.active;
}

static void set_active(struct ost_vcpu *vcpu, bool active)
{
	vcpu->smm.active = active;
	ost_mmu_set_space(vcpu, active ? OST_SPACE_SMM : OST_SPACE_NORMAL);
	ost_backend->smm_changed(vcpu);
}

/* What SMM has held back, when it was left. */
static void request_held_back(struct ost_vcpu *vcpu)
{
	if (vcpu->smm.pending)
		ost_request(vcpu, OST_REQ_SMI_TOLD);
	vcpu->smm.pending = false;
	if (READ_ONCE(vcpu->pending_init_sipi))
		ost_request(vcpu, OST_REQ_INIT_SIPI);
}

void ost_smm_reset(struct ost_vcpu *vcpu, bool init_event)
{
	if (vcpu->smm.active)
		set_active(vcpu, false);
	vcpu->smm.pending = false;
	vcpu->smm.from_halt = false;
	if (init_event)
		return;
	vcpu->smm.smbase = DEFAULT_SMBASE;
	vcpu->smm.count = 0;
}

/* --- in --- */

static bool long_layout(struct ost_vcpu *vcpu)
{
	return ost_has(vcpu, LM);
}

static void save_state(struct ost_vcpu *vcpu, struct ost_smram *s, bool halted)
{
	struct kvm_sregs sregs;
	int i;

	ost_get_sregs(vcpu, &sregs);
	*s = (struct ost_smram){
		.rip = ost_rip(vcpu),
		.rflags = ost_guest_rflags(vcpu),
		.cr0 = sregs.cr0,
		.cr3 = sregs.cr3,
		.cr4 = sregs.cr4,
		.efer = sregs.efer,
		.dr6 = vcpu->dr6,
		.dr7 = vcpu->dr7,
		.seg = {
			[OST_ES] = sregs.es, [OST_CS] = sregs.cs, [OST_SS] = sregs.ss, [OST_DS] = sregs.ds,
			[OST_FS] = sregs.fs, [OST_GS] = sregs.gs, [OST_TR] = sregs.tr, [OST_LDTR] = sregs.ldt,
		},
		.gdt = sregs.gdt,
		.idt = sregs.idt,
		.smbase = vcpu->smm.smbase,
		.shadow = ost_backend->get_interrupt_shadow(vcpu),
		.auto_halt = halted,
	};
	BUILD_BUG_ON(KVM_X86_SHADOW_INT_MOV_SS != 1 || KVM_X86_SHADOW_INT_STI != 2);
	for (i = 0; i < OST_NR_GPRS; i++)
		s->gpr[i] = ost_reg(vcpu, i);
}

/* APM vol. 2, 10.3.2; SDM vol. 3C, table 32-4. */
static void load_smm_state(struct ost_vcpu *vcpu)
{
	const struct kvm_segment data = { .limit = 0xffffffff, .type = 3, .s = 1, .g = 1, .present = 1 };
	u32 smbase = vcpu->smm.smbase;
	struct kvm_sregs sregs;
	u64 rflags = X86_EFLAGS_FIXED;

	ost_get_sregs(vcpu, &sregs);
	sregs.cr0 &= ~(u64)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
	sregs.cr4 = 0;
	sregs.efer = long_layout(vcpu) ? 0 : sregs.efer & ~(u64)EFER_LMA;
	sregs.es = sregs.ss = sregs.ds = sregs.fs = sregs.gs = sregs.cs = data;
	sregs.cs.base = smbase;
	sregs.cs.selector = smbase >> 4;
	sregs.idt = (struct kvm_dtable){};
	ost_sregs_load(vcpu, &sregs);

	if (unlikely(vcpu->debug.control))
		rflags = ost_debug_take_tf(vcpu, rflags);
	ost_reg_set(vcpu, OST_REG_RFLAGS, rflags);
	ost_reg_set(vcpu, OST_REG_RIP, OST_SMRAM_HANDLER);
	ost_backend->set_interrupt_shadow(vcpu, 0);
	vcpu->dr7 = OST_DR7_FIXED_1;
	vcpu->dr_live = false;
	ost_debug_update(vcpu);
}

static int enter(struct ost_vcpu *vcpu, bool halted)
{
	u8 area[OST_SMRAM_BYTES];
	struct ost_smram s;

	ost_vcpu_preemptible(vcpu);
	if (ost_mmu_make_space(vcpu->vm, OST_SPACE_SMM)) {
		vcpu->smm.from_halt = halted;
		ost_request(vcpu, OST_REQ_SMI);
		return -ENOMEM;
	}
	if (ost_backend->unhalt && ost_backend->unhalt(vcpu))
		halted = true;
	save_state(vcpu, &s, halted);
	ost_smram_pack(&s, long_layout(vcpu), area);

	vcpu->smm.count++;
	vcpu->smm.inside_nmi = ost_backend->get_nmi_mask(vcpu);
	set_active(vcpu, true);
	/* Where there is no memory it is lost, as on a bus. */
	ost_vcpu_write(vcpu, (u64)vcpu->smm.smbase + OST_SMRAM_OFFSET, area, sizeof(area));
	ost_backend->set_nmi_mask(vcpu, true);
	load_smm_state(vcpu);
	return OST_RUN;
}

static bool event_under_way(const struct ost_vcpu *vcpu)
{
	const struct ost_events *e = &vcpu->event;

	return e->exception.pending || e->exception.injected || e->nmi.injected || e->interrupt.injected;
}

int ost_smi_take(struct ost_vcpu *vcpu)
{
	bool halted = vcpu->smm.from_halt;

	vcpu->smm.from_halt = false;
	vcpu->smm.pending = vcpu->smm.active || event_under_way(vcpu);
	if (!vcpu->smm.pending)
		return enter(vcpu, halted);
	/* Between the event's delivery and the first instruction of its handler there is a boundary for the SMI. */
	if (!vcpu->smm.active) {
		vcpu->debug.kick = true;
		ost_debug_update(vcpu);
	}
	return OST_RUN;
}

/* --- out --- */

int ost_exit_rsm(struct ost_vcpu *vcpu)
{
	if (vcpu->smm.active && ost_insn_len(vcpu, OST_INSN_RSM))
		return ost_emulate_instruction(vcpu);
	return ost_exit_ud(vcpu);
}

static bool canonical(u64 address, u64 cr4)
{
	int unused = 64 - (cr4 & X86_CR4_LA57 ? 57 : 48);

	return (u64)((s64)(address << unused) >> unused) == address;
}

/* What no instruction could have loaded, and an entry would be refused for. */
static bool segments_valid(const struct kvm_sregs *sregs)
{
	const u64 bases[] = { sregs->fs.base, sregs->gs.base, sregs->tr.base, sregs->ldt.base, sregs->gdt.base,
			      sregs->idt.base };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		if (!canonical(bases[i], sregs->cr4))
			return false;
	return !((sregs->es.base | sregs->cs.base | sregs->ss.base | sregs->ds.base) >> 32) &&
	       !(sregs->cs.l && sregs->cs.db);
}

/* What RSM loads, or false where that is a shutdown (APM vol. 2, 10.4; SDM vol. 3C, 32.3.2). */
static bool make_sregs(struct ost_vcpu *vcpu, const struct ost_smram *s, struct kvm_sregs *sregs)
{
	u64 efer;

	ost_get_sregs(vcpu, sregs);
	/* LMA is the CPU's own. */
	efer = (long_layout(vcpu) ? s->efer : sregs->efer) & ~(u64)EFER_LMA;
	if (long_layout(vcpu) && (efer & vcpu->cpuid.efer_reserved))
		return false;
	if ((efer & EFER_LME) && (s->cr0 & X86_CR0_PG))
		efer |= EFER_LMA;
	sregs->efer = efer;
	sregs->cr0 = (s->cr0 & (OST_CR0_BITS | GENMASK_ULL(63, 32))) | X86_CR0_ET;
	sregs->cr3 = s->cr3;
	sregs->cr4 = s->cr4;
	sregs->es = s->seg[OST_ES];
	sregs->cs = s->seg[OST_CS];
	sregs->ss = s->seg[OST_SS];
	sregs->ds = s->seg[OST_DS];
	sregs->fs = s->seg[OST_FS];
	sregs->gs = s->seg[OST_GS];
	sregs->tr = s->seg[OST_TR];
	sregs->ldt = s->seg[OST_LDTR];
	sregs->gdt = s->gdt;
	sregs->idt = s->idt;
	if (!(efer & EFER_LMA)) {
		sregs->cs.l = 0;
		if (s->cr4 & X86_CR4_PCIDE)
			return false;
	}
	if (s->cr3 & (vcpu->cpuid.gpa_reserved | GENMASK_ULL(63, 52)))
		return false;
	if ((efer & EFER_LMA) && (s->rflags & X86_EFLAGS_VM))
		return false;
	if (sregs->cs.l && !canonical(s->rip, s->cr4))
		return false;
	return segments_valid(sregs) && ost_sregs_valid(vcpu, sregs);
}

static void load_registers(struct ost_vcpu *vcpu, struct ost_emul *e, const struct ost_smram *s, bool mode64)
{
	memcpy(e->gpr, s->gpr, sizeof(e->gpr));
	e->rip = mode64 ? s->rip : (u32)s->rip;
	e->rflags = ost_rflags_valid(s->rflags);
	if (s->shadow & KVM_X86_SHADOW_INT_MOV_SS)
		e->shadow = OST_EMUL_SHADOW_MOV_SS;
	else if ((s->shadow & KVM_X86_SHADOW_INT_STI) && (e->rflags & X86_EFLAGS_IF))
		e->shadow = OST_EMUL_SHADOW_STI;
	vcpu->dr6 = ost_dr6_fixed(s->dr6);
	vcpu->dr7 = ost_dr7_fixed(s->dr7);
	vcpu->dr_live = false;
	ost_debug_update(vcpu);
}

int ost_smm_leave(struct ost_vcpu *vcpu, struct ost_emul *e)
{
	u8 area[OST_SMRAM_BYTES];
	struct kvm_sregs sregs;
	struct ost_smram s;

	if (!vcpu->smm.active)
		return ost_emul_raise(e, X86_TRAP_UD, false, 0);
	if (ost_vcpu_read(vcpu, (u64)vcpu->smm.smbase + OST_SMRAM_OFFSET, area, sizeof(area)))
		goto shutdown;
	ost_smram_unpack(area, long_layout(vcpu), &s);
	if (!make_sregs(vcpu, &s, &sregs))
		goto shutdown;

	set_active(vcpu, false);
	ost_sregs_load(vcpu, &sregs);
	load_registers(vcpu, e, &s, sregs.cs.l);
	vcpu->smm.smbase = s.smbase;
	ost_backend->set_nmi_mask(vcpu, vcpu->smm.inside_nmi);
	if (s.auto_halt && vcpu->apic)
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_HALTED);
	request_held_back(vcpu);
	return OST_EMUL_OK;

shutdown:
	ost_request(vcpu, OST_REQ_TRIPLE_FAULT);
	return OST_EMUL_RETRY;
}

/* --- the VMM's view --- */

void ost_smm_get_events(struct ost_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	if (ost_request_take(vcpu, OST_REQ_SMI))
		ost_request(vcpu, OST_REQ_SMI_TOLD);
	vcpu->smm.init_told = vcpu->apic && test_bit(OST_INIT_PENDING, &vcpu->pending_init_sipi);
	out->smi.smm = vcpu->smm.active;
	out->smi.pending = vcpu->smm.pending || test_bit(OST_REQ_SMI_TOLD, &vcpu->requests);
	out->smi.smm_inside_nmi = vcpu->smm.active && vcpu->smm.inside_nmi;
	out->smi.latched_init = vcpu->smm.init_told;
	out->flags |= KVM_VCPUEVENT_VALID_SMM;
}

bool ost_smm_events_valid(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	/* One that waits for a SIPI is not in SMM, and takes no SMI. */
	return !(in->flags & KVM_VCPUEVENT_VALID_SMM) || !(in->smi.smm || in->smi.pending) ||
	       READ_ONCE(vcpu->mp_state) != KVM_MP_STATE_INIT_RECEIVED;
}

int ost_smm_set_events(struct ost_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	bool active = in->smi.smm;

	if (!(in->flags & KVM_VCPUEVENT_VALID_SMM))
		return 0;
	if (active && ost_mmu_make_space(vcpu->vm, OST_SPACE_SMM))
		return -ENOMEM;
	if (active != vcpu->smm.active)
		set_active(vcpu, active);
	vcpu->smm.inside_nmi = active && in->smi.smm_inside_nmi;
	vcpu->smm.from_halt = false;
	clear_bit(OST_REQ_SMI_TOLD, &vcpu->requests);
	vcpu->smm.pending = in->smi.pending;
	/* VMMs set what they got a while ago: what came meanwhile, from other vCPUs, is not to be lost. */
	if (vcpu->apic && in->smi.latched_init)
		set_bit(OST_INIT_PENDING, &vcpu->pending_init_sipi);
	else if (vcpu->smm.init_told)
		clear_bit(OST_INIT_PENDING, &vcpu->pending_init_sipi);
	vcpu->smm.init_told = in->smi.latched_init;
	if (!active)
		request_held_back(vcpu);
	return 0;
}

int ost_smm_msr_read(struct ost_vcpu *vcpu, u32 index, u64 *data, bool host)
{
	if (index == MSR_SMI_COUNT) {
		*data = vcpu->smm.count;
		return 0;
	}
	/* It is for software in SMM only on CPUs that say so in IA32_VMX_MISC; others have it in the save area. */
	*data = vcpu->smm.smbase;
	return !host;
}

int ost_smm_msr_write(struct ost_vcpu *vcpu, u32 index, u64 data, bool host)
{
	if (!host)
		return 1;
	if (index == MSR_SMI_COUNT) {
		vcpu->smm.count = data;
		return 0;
	}
	if (data >> 32)
		return 1;
	vcpu->smm.smbase = data;
	return 0;
}
