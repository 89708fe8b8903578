// SPDX-License-Identifier: GPL-2.0-only
/* A VMCB on the kernel log, for entries that failed and exits that made no sense. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mem_encrypt.h>
#include <linux/ratelimit.h>
#include <asm/processor.h>
#include "check.h"
#include "svm.h"

static void dump_control(const struct ost_vmcb_control *c)
{
	pr_err("exitcode %llx info %llx %llx intinfo %x:%x nrip %llx\n", c->exitcode, c->exitinfo1,
	       c->exitinfo2, c->exitintinfo, c->exitintinfo_error, c->nrip);
	pr_err("intercepts cr %08x dr %08x exc %08x misc %08x %08x %08x\n", c->intercepts[0],
	       c->intercepts[1], c->intercepts[2], c->intercepts[3], c->intercepts[4],
	       c->intercepts[5]);
	pr_err("asid %u tlb %u v_intr %x vector %x shadow %llx eventinj %x:%x np %llx ncr3 %llx\n",
	       c->guest_asid, c->tlb_control, c->v_intr, c->v_intr_vector, c->interrupt_shadow,
	       c->eventinj, c->eventinj_error, c->np_control, c->n_cr3);
	pr_err("tsc offset %llx iopm %llx msrpm %llx clean %x bytes %u: %*ph\n", c->tsc_offset,
	       c->iopm_base_pa, c->msrpm_base_pa, c->clean, c->bytes_fetched, 15,
	       c->guest_instruction_bytes);
}

static void dump_seg(const char *name, const struct ost_vmcb_seg *s)
{
	pr_err("%-4s %04x attrib %03x limit %08x base %016llx\n", name, s->selector, s->attrib,
	       s->limit, s->base);
}

static void dump_save(const struct ost_vmcb_save *s)
{
	pr_err("rip %016llx rsp %016llx rflags %08llx cpl %u rax %016llx\n", s->rip, s->rsp,
	       s->rflags, s->cpl, s->rax);
	pr_err("cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx dr6 %llx dr7 %llx pat %llx\n", s->cr0,
	       s->cr2, s->cr3, s->cr4, s->efer, s->dr6, s->dr7, s->g_pat);
	dump_seg("es", &s->es);
	dump_seg("cs", &s->cs);
	dump_seg("ss", &s->ss);
	dump_seg("ds", &s->ds);
	dump_seg("fs", &s->fs);
	dump_seg("gs", &s->gs);
	dump_seg("gdtr", &s->gdtr);
	dump_seg("ldtr", &s->ldtr);
	dump_seg("idtr", &s->idtr);
	dump_seg("tr", &s->tr);
	pr_err("star %llx lstar %llx cstar %llx sfmask %llx kernel gs %llx sysenter %llx %llx %llx\n",
	       s->star, s->lstar, s->cstar, s->sfmask, s->kernel_gs_base, s->sysenter_cs,
	       s->sysenter_esp, s->sysenter_eip);
}

/* EVENTINJ as the failed entry had it: it is cleared behind an exit, what it was made from is not. */
static u32 event_of_entry(struct ost_svm_vcpu *svm)
{
	const struct ost_events *e = &svm->vcpu.event;

	if (!svm->event_given || !e->exception.injected)
		return svm->vmcb->control.eventinj;
	return e->exception.vector | OST_SVM_EVENT_EXCEPTION | OST_SVM_EVENT_VALID;
}

/* One line, for which there is room where there is none for more dumps. */
static void explain(struct ost_svm_vcpu *svm)
{
	static DEFINE_RATELIMIT_STATE(limit, 60 * HZ, 60);
	const struct ost_svm_check check = {
		.vmcb = svm->vmcb,
		.eventinj = event_of_entry(svm),
		.pa_reserved = ~(GENMASK_ULL(boot_cpu_data.x86_phys_bits - 1, 0) | sme_me_mask),
		/* What this guest may set the CPU has, and what the host has set. */
		.cr4_reserved = ost_cr4_reserved & ~(u64)__read_cr4(),
		.efer_reserved = ~(ost_efer_supported | EFER_LMA | EFER_SVME),
		.long_mode = true,
	};
	struct ost_broken_rule broken;
	char text[OST_BROKEN_RULE_LEN];

	if (!__ratelimit(&limit))
		return;
	if (ost_svm_check(&check, &broken))
		ost_broken_rule_format(text, sizeof(text), &broken);
	else
		strscpy(text, "no rule is known to be broken", sizeof(text));
	pr_err("vcpu %u: entry refused: %s\n", svm->vcpu.id, text);
}

void ost_svm_dump(struct ost_vcpu *vcpu)
{
	static DEFINE_RATELIMIT_STATE(limit, 60 * HZ, 3);
	const struct ost_vmcb *vmcb = to_svm(vcpu)->vmcb;

	if (vcpu->exit_index == OST_SVM_EXIT_INDEX_INVALID)
		explain(to_svm(vcpu));
	if (!__ratelimit(&limit))
		return;
	pr_err("vcpu %u on CPU %d\n", vcpu->id, vcpu->cpu);
	dump_control(&vmcb->control);
	dump_save(&vmcb->save);
}
