// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core's side of the instruction emulator (emulate/emulate.h): what its callbacks do to this vCPU,
 * device memory included, and how an instruction that needs userspace is finished later.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/svm.h>
#include <asm/trapnr.h>
#include "backend.h"
#include "clock.h"
#include "cpuid.h"
#include "exit.h"
#include "io.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"

/* One access, cut where it crosses a page. */
struct span {
	gpa_t gpa;
	u32 len;
	u32 offset;	/* in the access */
	bool ram;
};

struct access {
	struct span span[2];
	u32 nr;
};

static struct ost_vcpu *vcpu_of(struct ost_emul *e)
{
	return e->vcpu;
}

static u32 walk_access(struct ost_emul *e, u32 access, bool write)
{
	u32 a = write ? OST_ACCESS_WRITE : 0;

	if (access & OST_EMUL_ACCESS_SYSTEM)
		return a | OST_ACCESS_IMPLICIT;
	return a | (e->cpl == 3 ? OST_ACCESS_USER : 0);
}

static int translate(struct ost_emul *e, u64 linear, u32 access, gpa_t *gpa)
{
	struct ost_walk_fault fault;

	if (!ost_gva_to_gpa(vcpu_of(e), linear, access, gpa, &fault))
		return OST_EMUL_OK;
	if (fault.not_memory)
		return OST_EMUL_UNHANDLEABLE;
	return ost_emul_raise_pf(e, fault.address, fault.error_code);
}

/* Translates all of an access before any of it is made. */
static int resolve(struct ost_emul *e, u64 linear, u32 len, u32 access, bool write,
		   struct access *a)
{
	u32 first = min_t(u32, len, PAGE_SIZE - offset_in_page(linear));
	int r, i;

	a->nr = first < len ? 2 : 1;
	a->span[0].len = first;
	a->span[0].offset = 0;
	a->span[1].len = len - first;
	a->span[1].offset = first;
	for (i = 0; i < a->nr; i++) {
		struct span *s = &a->span[i];

		r = translate(e, linear + s->offset, access, &s->gpa);
		if (r != OST_EMUL_OK)
			return r;
		s->ram = ost_vcpu_has_slot(vcpu_of(e), s->gpa, write);
	}
	return OST_EMUL_OK;
}

/*
 * An access to RAM has failed. If that is because the slot was taken away since resolve() saw it, what is there
 * now is device memory, and the access goes on as one to that. False where the VMM has nothing behind its slot.
 */
static bool slot_has_gone(struct ost_vcpu *vcpu, struct span *s, bool write)
{
	s->ram = ost_vcpu_has_slot(vcpu, s->gpa, write);
	return !s->ram;
}

static int run_emulator(struct ost_vcpu *vcpu);

static int complete_mmio(struct ost_vcpu *vcpu)
{
	if (!ost_mmio_piece_done(vcpu)) {
		vcpu->io.complete = complete_mmio;
		return ost_mmio_to_user(vcpu);
	}
	if (vcpu->io.mmio_write)
		return OST_RUN;
	vcpu->io.read_ready = true;
	return run_emulator(vcpu);
}

/* --- memory callbacks --- */

static int emul_fetch(struct ost_emul *e, u64 linear, void *buf, unsigned int len)
{
	struct ost_vcpu *vcpu = vcpu_of(e);
	gpa_t gpa;
	int r;

	r = translate(e, linear, OST_ACCESS_FETCH | (e->cpl == 3 ? OST_ACCESS_USER : 0), &gpa);
	if (r != OST_EMUL_OK)
		return r;
	return ost_vcpu_read(vcpu, gpa, buf, len) ? OST_EMUL_UNHANDLEABLE : OST_EMUL_OK;
}

/* The data userspace has read for this access, if it is for this one. */
static bool take_completed(struct ost_vcpu *vcpu, const struct access *a, u8 *buf)
{
	u32 i, n = 0;

	if (!vcpu->io.read_ready)
		return false;
	for (i = 0; i < a->nr; i++) {
		const struct span *s = &a->span[i];

		if (s->ram || n >= vcpu->io.nr_parts || vcpu->io.part[n].gpa != s->gpa ||
		    vcpu->io.part[n].len != s->len)
			continue;
		memcpy(buf + s->offset, vcpu->io.part[n].data, s->len);
		trace_ost_mmio(vcpu, false, s->gpa, s->len, ost_mmio_value(buf + s->offset, s->len));
		n++;
	}
	if (n != vcpu->io.nr_parts)
		return false;
	vcpu->io.read_ready = false;
	return true;
}

static int emul_read(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 access)
{
	struct ost_vcpu *vcpu = vcpu_of(e);
	bool completed;
	struct access a;
	u32 i;
	int r;

	r = resolve(e, linear, len, walk_access(e, access, access & OST_EMUL_ACCESS_RMW), false, &a);
	if (r != OST_EMUL_OK)
		return r;
	completed = take_completed(vcpu, &a, buf);
	if (!completed)
		ost_mmio_start(vcpu, false);
	for (i = 0; i < a.nr; i++) {
		struct span *s = &a.span[i];

		if (s->ram) {
			if (!ost_vcpu_read(vcpu, s->gpa, buf + s->offset, s->len))
				continue;
			if (!slot_has_gone(vcpu, s, false))
				return OST_EMUL_UNHANDLEABLE;
		} else if (completed) {
			continue;
		}
		/* String I/O was promised RAM (probe): it has to ask again. */
		if (s->len > OST_EMUL_MAX_ACCESS || completed)
			return OST_EMUL_RETRY;
		if (ost_mmio_kernel(vcpu, s->gpa, s->len, buf + s->offset, false))
			ost_mmio_add(vcpu, s->gpa, s->len, NULL);
		else
			trace_ost_mmio(vcpu, false, s->gpa, s->len,
				       ost_mmio_value(buf + s->offset, s->len));
	}
	return !completed && vcpu->io.nr_parts ? OST_EMUL_IO : OST_EMUL_OK;
}

static int write_access(struct ost_emul *e, struct access *a, const void *buf)
{
	struct ost_vcpu *vcpu = vcpu_of(e);
	int done;
	u32 i;

	ost_mmio_start(vcpu, true);
	for (i = 0; i < a->nr; i++) {
		struct span *s = &a->span[i];
		const void *data = buf + s->offset;

		if (s->ram) {
			if (!ost_vcpu_write(vcpu, s->gpa, data, s->len))
				continue;
			if (!slot_has_gone(vcpu, s, true))
				return OST_EMUL_UNHANDLEABLE;
		}
		/* What a string brought in for RAM that is gone now goes where it would have gone with that. */
		if (s->len > OST_EMUL_MAX_ACCESS)
			continue;
		trace_ost_mmio(vcpu, true, s->gpa, s->len, ost_mmio_value(data, s->len));
		done = ost_mmio_kernel(vcpu, s->gpa, s->len, (void *)data, true);
		if (done < 0)
			done = 0;
		else if (!done)
			continue;
		ost_mmio_add(vcpu, s->gpa + done, s->len - done, data + done);
	}
	if (vcpu->io.nr_parts) {
		vcpu->io.posted = true;
		e->yield = true;
	}
	return OST_EMUL_OK;
}

static int emul_write(struct ost_emul *e, u64 linear, const void *buf, unsigned int len, u32 access)
{
	struct access a;
	int r;

	r = resolve(e, linear, len, walk_access(e, access, true), true, &a);
	return r == OST_EMUL_OK ? write_access(e, &a, buf) : r;
}

static int emul_cmpxchg(struct ost_emul *e, u64 linear, const void *old, const void *new,
			unsigned int len, u32 access)
{
	struct ost_vcpu *vcpu = vcpu_of(e);
	struct access a;
	u8 expected[16];
	int r;

	r = resolve(e, linear, len, walk_access(e, access, true), true, &a);
	if (r != OST_EMUL_OK)
		return r;
	/*
	 * A LOCKed update that crosses pages is not atomic here: such split locks are the one thing left
	 * out, as on a bus that ignores LOCK. Device memory knows no atomicity either.
	 */
	if (a.nr > 1 || !a.span[0].ram || len > sizeof(expected) || !IS_ALIGNED(a.span[0].gpa, len))
		return write_access(e, &a, new);
	memcpy(expected, old, len);
	r = ost_vcpu_cmpxchg(vcpu, a.span[0].gpa, expected, new, len);
	if (r < 0 && slot_has_gone(vcpu, &a.span[0], true))
		return write_access(e, &a, new);
	if (r < 0)
		return OST_EMUL_UNHANDLEABLE;
	return r ? OST_EMUL_RETRY : OST_EMUL_OK;
}

static int emul_probe(struct ost_emul *e, u64 linear, unsigned int len, u32 access)
{
	bool write = access & OST_EMUL_ACCESS_WRITE;
	struct access a;
	int r;

	r = resolve(e, linear, len, walk_access(e, access, write), write, &a);
	if (r != OST_EMUL_OK)
		return r;
	return a.span[0].ram && (a.nr == 1 || a.span[1].ram) ? OST_EMUL_OK : OST_EMUL_UNHANDLEABLE;
}

/* --- port I/O of string instructions --- */

static int complete_pio_in(struct ost_vcpu *vcpu)
{
	vcpu->io.pio_ready = true;
	return run_emulator(vcpu);
}

static int complete_posted_pio(struct ost_vcpu *vcpu)
{
	return OST_RUN;
}

static int emul_pio(struct ost_emul *e, u16 port, unsigned int size, bool in, void *buf,
		    unsigned int count)
{
	struct ost_vcpu *vcpu = vcpu_of(e);
	struct ost_bus *bus = &vcpu->vm->pio_bus;
	void *data = page_address(vcpu->pio_page);
	u32 i;

	if (in && vcpu->io.pio_ready && vcpu->io.pio_port == port && vcpu->io.pio_size == size &&
	    vcpu->io.pio_count == count) {
		vcpu->io.pio_ready = false;
		memcpy(buf, data, size * count);
		return OST_EMUL_OK;
	}
	trace_ost_pio(vcpu, in, port, size, count);
	for (i = 0; i < count; i++) {
		int r = in ? ost_bus_read(vcpu, bus, port, size, buf + i * size)
			   : ost_bus_write(vcpu, bus, port, size, buf + i * size);

		/* What the kernel did not take of an OUTS is userspace's: a ring has become full. */
		if (r && (i == 0 || !in))
			break;
		/* The port was in the kernel a moment ago: it is being taken away. */
		if (r)
			memset(buf + i * size, 0xff, size);
	}
	if (i == count)
		return OST_EMUL_OK;
	buf += i * size;
	count -= i;

	vcpu->io.pio_port = port;
	vcpu->io.pio_size = size;
	vcpu->io.pio_count = count;
	vcpu->io.pio_in = in;
	ost_pio_to_user(vcpu, port, size, count, in);
	if (in)
		return OST_EMUL_IO;
	memcpy(data, buf, size * count);
	vcpu->io.posted = true;
	e->yield = true;
	return OST_EMUL_OK;
}

/* --- system state --- */

static void emul_get_segment(struct ost_emul *e, enum ost_emul_seg seg, struct kvm_segment *var)
{
	static const u8 map[OST_NR_SEGS] = {
		[OST_ES] = OST_SEG_ES, [OST_CS] = OST_SEG_CS, [OST_SS] = OST_SEG_SS,
		[OST_DS] = OST_SEG_DS, [OST_FS] = OST_SEG_FS, [OST_GS] = OST_SEG_GS,
		[OST_TR] = OST_SEG_TR, [OST_LDTR] = OST_SEG_LDTR,
	};

	ost_backend->get_segment(vcpu_of(e), map[seg], var);
}

static int emul_set_segment(struct ost_emul *e, enum ost_emul_seg seg,
			    const struct kvm_segment *var)
{
	static const u8 map[OST_NR_SEGS] = {
		[OST_ES] = OST_SEG_ES, [OST_CS] = OST_SEG_CS, [OST_SS] = OST_SEG_SS,
		[OST_DS] = OST_SEG_DS, [OST_FS] = OST_SEG_FS, [OST_GS] = OST_SEG_GS,
		[OST_TR] = OST_SEG_TR, [OST_LDTR] = OST_SEG_LDTR,
	};

	ost_backend->set_segment(vcpu_of(e), map[seg], var);
	return OST_EMUL_OK;
}

static void emul_get_dt(struct ost_emul *e, bool idt, struct kvm_dtable *dt)
{
	ost_backend->get_dt(vcpu_of(e), idt, dt);
}

static int emul_set_dt(struct ost_emul *e, bool idt, const struct kvm_dtable *dt)
{
	ost_backend->set_dt(vcpu_of(e), idt, dt);
	return OST_EMUL_OK;
}

/* What a checked register write came to, as the emulator's result. */
static int gp_if(struct ost_emul *e, int failed)
{
	return failed ? ost_emul_raise(e, 13, true, 0) : OST_EMUL_OK;
}

static int emul_get_cr(struct ost_emul *e, unsigned int nr, u64 *val)
{
	struct ost_vcpu *vcpu = vcpu_of(e);

	switch (nr) {
	case 0:
		*val = ost_cr0(vcpu);
		break;
	case 2:
		*val = vcpu->cr2;
		break;
	case 3:
		*val = ost_cr3(vcpu);
		break;
	case 4:
		*val = ost_cr4(vcpu);
		break;
	case 8:
		*val = ost_get_cr8(vcpu);
		break;
	default:
		return ost_emul_raise(e, 6, false, 0);
	}
	return OST_EMUL_OK;
}

static int emul_set_cr(struct ost_emul *e, unsigned int nr, u64 val)
{
	struct ost_vcpu *vcpu = vcpu_of(e);

	switch (nr) {
	case 0:
		return gp_if(e, ost_set_cr0(vcpu, val));
	case 2:
		vcpu->cr2 = val;
		return OST_EMUL_OK;
	case 3:
		return gp_if(e, ost_set_cr3(vcpu, val));
	case 4:
		return gp_if(e, ost_set_cr4(vcpu, val));
	case 8:
		return gp_if(e, ost_set_cr8(vcpu, val));
	}
	return ost_emul_raise(e, 6, false, 0);
}

static int emul_get_dr(struct ost_emul *e, unsigned int nr, u64 *val)
{
	*val = ost_get_dr(vcpu_of(e), nr);
	return OST_EMUL_OK;
}

static int emul_set_dr(struct ost_emul *e, unsigned int nr, u64 val)
{
	return gp_if(e, ost_set_dr(vcpu_of(e), nr, val));
}

/*
 * RDMSR and WRMSR always exit as such, or not at all, so it takes another CPU's change of the code to find
 * one here. What the VMM is to answer is left to the exit that executing it again ends in.
 */
static int refused_msr(struct ost_emul *e, enum ost_msr_refusal why)
{
	if (why != OST_MSR_FINE && ost_msr_goes_to_user(vcpu_of(e), why))
		return OST_EMUL_RETRY;
	return gp_if(e, why);
}

static int emul_get_msr(struct ost_emul *e, u32 msr, u64 *val)
{
	return refused_msr(e, ost_msr_guest_read(vcpu_of(e), msr, val));
}

static int emul_set_msr(struct ost_emul *e, u32 msr, u64 val)
{
	return refused_msr(e, ost_msr_guest_write(vcpu_of(e), msr, val));
}

static int emul_get_xcr(struct ost_emul *e, u32 nr, u64 *val)
{
	*val = vcpu_of(e)->fpu.xcr0;
	return gp_if(e, nr != 0);
}

static int emul_set_xcr(struct ost_emul *e, u32 nr, u64 val)
{
	return gp_if(e, ost_set_xcr(vcpu_of(e), nr, val));
}

static int emul_cpuid(struct ost_emul *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	if (vcpu_of(e)->cpuid.faults && e->cpl)
		return gp_if(e, true);
	ost_cpuid(vcpu_of(e), eax, ebx, ecx, edx);
	return OST_EMUL_OK;
}

static int emul_rdtsc(struct ost_emul *e, u64 *tsc, u32 *tsc_aux)
{
	*tsc = ost_guest_tsc(vcpu_of(e));
	*tsc_aux = vcpu_of(e)->tsc_aux;
	return OST_EMUL_OK;
}

/* There are no performance counters. */
static int emul_rdpmc(struct ost_emul *e, u32 counter, u64 *val)
{
	return ost_emul_raise(e, 13, true, 0);
}

static int emul_halt(struct ost_emul *e)
{
	struct ost_vcpu *vcpu = vcpu_of(e);

	if (vcpu->apic) {
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_HALTED);
	} else {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		vcpu->io.complete = complete_posted_pio;
		vcpu->io.posted = true;
	}
	return OST_EMUL_OK;
}

static int emul_wbinvd(struct ost_emul *e)
{
	ost_vfio_wbinvd(vcpu_of(e));
	return OST_EMUL_OK;
}

static int emul_invlpg(struct ost_emul *e, u64 linear)
{
	ost_backend->flush_tlb(vcpu_of(e));
	return OST_EMUL_OK;
}

static int emul_leave_smm(struct ost_emul *e)
{
	return ost_smm_leave(vcpu_of(e), e);
}

static int emul_get_vec(struct ost_emul *e, unsigned int nr, void *buf, unsigned int len)
{
	ost_fpu_get_vec(vcpu_of(e), nr, buf, len);
	return OST_EMUL_OK;
}

static int emul_set_vec(struct ost_emul *e, unsigned int nr, const void *buf, unsigned int len)
{
	ost_fpu_set_vec(vcpu_of(e), nr, buf, len, len > 16);
	return OST_EMUL_OK;
}

static int emul_get_mmx(struct ost_emul *e, unsigned int nr, u64 *val, bool *exception)
{
	*exception = ost_fpu_get_mmx(vcpu_of(e), nr, val);
	return OST_EMUL_OK;
}

static int emul_set_mmx(struct ost_emul *e, unsigned int nr, const u64 *val)
{
	ost_fpu_set_mmx(vcpu_of(e), nr, val);
	return OST_EMUL_OK;
}

static const struct ost_emul_ops emul_ops = {
	.fetch = emul_fetch,
	.read = emul_read,
	.write = emul_write,
	.cmpxchg = emul_cmpxchg,
	.probe = emul_probe,
	.pio = emul_pio,
	.get_segment = emul_get_segment,
	.set_segment = emul_set_segment,
	.get_dt = emul_get_dt,
	.set_dt = emul_set_dt,
	.get_cr = emul_get_cr,
	.set_cr = emul_set_cr,
	.get_dr = emul_get_dr,
	.set_dr = emul_set_dr,
	.get_msr = emul_get_msr,
	.set_msr = emul_set_msr,
	.get_xcr = emul_get_xcr,
	.set_xcr = emul_set_xcr,
	.cpuid = emul_cpuid,
	.rdtsc = emul_rdtsc,
	.rdpmc = emul_rdpmc,
	.halt = emul_halt,
	.wbinvd = emul_wbinvd,
	.invlpg = emul_invlpg,
	.leave_smm = emul_leave_smm,
	.get_vec = emul_get_vec,
	.set_vec = emul_set_vec,
	.get_mmx = emul_get_mmx,
	.set_mmx = emul_set_mmx,
};

void ost_emulation_init(struct ost_vcpu *vcpu)
{
	ost_emul_init(&vcpu->emul, &emul_ops, vcpu);
	vcpu->emul.amd = boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
			 boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;
	vcpu->emul.has_tzcnt = boot_cpu_has(X86_FEATURE_BMI1);
	vcpu->emul.has_lzcnt = boot_cpu_has(X86_FEATURE_ABM);
}

/* --- driving it --- */

/* What decoding depends on. */
static void load_mode(struct ost_vcpu *vcpu)
{
	struct ost_emul *e = &vcpu->emul;

	e->rip = ost_rip(vcpu);
	e->rflags = ost_guest_rflags(vcpu);
	e->one_iteration = vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP;
	e->cr0 = ost_cr0(vcpu);
	e->cr4 = ost_cr4(vcpu);
	e->efer = ost_efer(vcpu);
	e->cpl = static_call(ost_get_cpl)(vcpu);
}

static void load_state(struct ost_vcpu *vcpu)
{
	int i;

	for (i = 0; i < OST_NR_GPRS; i++)
		vcpu->emul.gpr[i] = ost_reg(vcpu, i);
	load_mode(vcpu);
}

static void store_state(struct ost_vcpu *vcpu)
{
	struct ost_emul *e = &vcpu->emul;
	u64 rflags = e->rflags;
	int i;

	if (unlikely(vcpu->debug.control))
		rflags = ost_debug_take_tf(vcpu, rflags);
	for (i = 0; i < OST_NR_GPRS; i++)
		if (vcpu->regs[i] != e->gpr[i])
			ost_reg_set(vcpu, i, e->gpr[i]);
	if (vcpu->regs[OST_REG_RIP] != e->rip)
		ost_reg_set(vcpu, OST_REG_RIP, e->rip);
	if (vcpu->regs[OST_REG_RFLAGS] != rflags)
		ost_reg_set(vcpu, OST_REG_RFLAGS, rflags);
}

static int emulation_failure(struct ost_vcpu *vcpu)
{
	struct ost_emul *e = &vcpu->emul;
	struct kvm_run *run = vcpu->run;

	ost_backend->dump(vcpu);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	memset(&run->emulation_failure, 0, sizeof(run->emulation_failure));
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	if (e->fetched) {
		run->emulation_failure.ndata = 3;
		run->emulation_failure.flags =
			KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = e->fetched;
		memset(run->emulation_failure.insn_bytes, 0x90,
		       sizeof(run->emulation_failure.insn_bytes));
		memcpy(run->emulation_failure.insn_bytes, e->bytes, e->fetched);
	}
	return OST_USER;
}

static int internal_error(struct ost_vcpu *vcpu)
{
	struct ost_emul *e = &vcpu->emul;

	/* A program in the guest must not be able to end its VM: it is told that the opcode is bad. */
	if (e->cpl && !READ_ONCE(vcpu->vm->exits_on_emulation_failure)) {
		ost_ud(vcpu);
		return OST_RUN;
	}
	pr_warn_ratelimited("VM %llu vCPU %u: can't emulate the instruction at 0x%llx: %*ph\n",
			    vcpu->vm->id, vcpu->id, e->rip, (int)e->fetched, e->bytes);
	return emulation_failure(vcpu);
}

static void raise(struct ost_vcpu *vcpu)
{
	struct ost_emul_exception *x = &vcpu->emul.exception;

	if (x->vector == 14)
		ost_page_fault(vcpu, x->address, x->error_code);
	else
		ost_exception(vcpu, x->vector,
			      x->has_error_code ? (int)x->error_code : OST_NO_ERROR_CODE);
}

static int posted_to_user(struct ost_vcpu *vcpu)
{
	vcpu->io.posted = false;
	/* Only HLT has set it already (emul_halt); what stands in kvm_run may have been written over. */
	if (vcpu->io.complete)
		return OST_USER;
	if (vcpu->io.mmio_write && vcpu->io.nr_parts) {
		vcpu->io.complete = complete_mmio;
		return ost_mmio_to_user(vcpu);
	}
	vcpu->io.complete = complete_posted_pio;
	return OST_USER;
}

/* An instruction, or an iteration of one, is over. */
static int finish(struct ost_vcpu *vcpu)
{
	struct ost_emul *e = &vcpu->emul;

	if (e->completed) {
		u32 shadow = 0;

		if (e->shadow == OST_EMUL_SHADOW_STI)
			shadow = KVM_X86_SHADOW_INT_STI;
		else if (e->shadow == OST_EMUL_SHADOW_MOV_SS)
			shadow = KVM_X86_SHADOW_INT_MOV_SS;
		ost_backend->set_interrupt_shadow(vcpu, shadow);
	}
	/* A repeated instruction traps after each iteration. */
	if (e->single_step)
		ost_debug_exception(vcpu, DR_STEP);
	/* IF may have been set. */
	ost_request(vcpu, OST_REQ_EVENT);
	if (unlikely(vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP)) {
		if (!vcpu->io.posted)
			return ost_debug_tell_step(vcpu);
		ost_debug_step_later(vcpu);
	}
	return vcpu->io.posted ? posted_to_user(vcpu) : OST_RUN;
}

/* Executes what is decoded, from the start or again after userspace has answered. */
static int run_emulator(struct ost_vcpu *vcpu)
{
	int r;

	load_state(vcpu);
	vcpu->io.posted = false;
	vcpu->io.nr_parts = vcpu->io.read_ready ? vcpu->io.nr_parts : 0;
	r = ost_emul_execute(&vcpu->emul);
	store_state(vcpu);
	switch (r) {
	case OST_EMUL_OK:
		return finish(vcpu);
	case OST_EMUL_FAULT:
		raise(vcpu);
		return OST_RUN;
	case OST_EMUL_IO:
		if (vcpu->io.nr_parts) {
			vcpu->io.complete = complete_mmio;
			return ost_mmio_to_user(vcpu);
		}
		vcpu->io.complete = complete_pio_in;
		return OST_USER;
	case OST_EMUL_RETRY:
		return OST_RUN;
	}
	return internal_error(vcpu);
}

/* Emulation in the middle of delivering an event would lose it. */
static bool event_in_flight(struct ost_vcpu *vcpu)
{
	struct ost_events *e = &vcpu->event;

	return e->exception.injected || e->interrupt.injected || e->nmi.injected;
}

/* SDM vol. 3C, 25.9.3 */
#define VECTORING_SOFT_EXCEPTION (6u << 8)

/* EXITINTINFO, or IDT-vectoring information: alike but for INT3 and INTO. */
static u32 vectoring_info(const struct ost_events *e, bool amd)
{
	if (e->exception.injected)
		return SVM_EXITINTINFO_VALID | e->exception.vector |
		       (e->exception.soft && !amd ? VECTORING_SOFT_EXCEPTION : SVM_EXITINTINFO_TYPE_EXEPT) |
		       (e->exception.has_error_code ? SVM_EXITINTINFO_VALID_ERR : 0);
	if (e->nmi.injected)
		return SVM_EXITINTINFO_VALID | SVM_EXITINTINFO_TYPE_NMI | X86_TRAP_NMI;
	return SVM_EXITINTINFO_VALID | e->interrupt.vector |
	       (e->interrupt.soft ? SVM_EXITINTINFO_TYPE_SOFT : SVM_EXITINTINFO_TYPE_INTR);
}

static int delivery_error(struct ost_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run->internal.ndata = 5;
	run->internal.data[0] = vectoring_info(&vcpu->event, vcpu->emul.amd);
	ost_backend->describe_exit(vcpu, &run->internal.data[1]);
	run->internal.data[3] = gpa;
	run->internal.data[4] = vcpu->cpu;
	return OST_USER;
}

/*
 * Decodes the instruction at RIP, no more: its registers are not needed. Without sleeping first, since the
 * code was executed a moment ago and is hardly ever swapped out: so a CPU that does not tell where the
 * next instruction begins costs common exits a decoding, but no FPU switch.
 */
static int decode_only(struct ost_vcpu *vcpu)
{
	struct ost_emul *e = &vcpu->emul;
	int r;

	ost_emul_begin(e, NULL, 0);
	load_mode(vcpu);
	pagefault_disable();
	r = ost_emul_decode(e);
	pagefault_enable();
	if (r == OST_EMUL_OK)
		return r;
	ost_vcpu_preemptible(vcpu);
	ost_emul_begin(e, NULL, 0);
	return ost_emul_decode(e);
}

int ost_skip_by_decoding(struct ost_vcpu *vcpu)
{
	vcpu->stats.emulations++;
	switch (decode_only(vcpu)) {
	case OST_EMUL_OK:
		break;
	case OST_EMUL_FAULT:
		raise(vcpu);
		return OST_RUN;
	default:
		return internal_error(vcpu);
	}
	return ost_advance_rip(vcpu, ost_emul_next_rip(&vcpu->emul));
}

int ost_mmio(struct ost_vcpu *vcpu, gpa_t gpa, const u8 *insn, u32 len)
{
	struct ost_emul *e = &vcpu->emul;
	int r;

	vcpu->stats.emulations++;
	ost_vcpu_preemptible(vcpu);
	if (event_in_flight(vcpu))
		return delivery_error(vcpu, gpa);
	ost_emul_begin(e, insn, len);
	load_state(vcpu);
	r = ost_emul_decode(e);
	if (r == OST_EMUL_FAULT) {
		raise(vcpu);
		return OST_RUN;
	}
	if (r != OST_EMUL_OK)
		return internal_error(vcpu);
	vcpu->io.read_ready = false;
	vcpu->io.pio_ready = false;
	return run_emulator(vcpu);
}

int ost_emulate_instruction(struct ost_vcpu *vcpu)
{
	return ost_mmio(vcpu, ~0ull, NULL, 0);
}

int ost_emulate_flags_access(struct ost_vcpu *vcpu)
{
	const struct ost_emul *e = &vcpu->emul;

	/* Virtual-8086 mode has rules for them that the emulator does not know. */
	if ((ost_rflags(vcpu) & X86_EFLAGS_VM) || decode_only(vcpu) != OST_EMUL_OK ||
	    (e->id != OST_INSN_PUSHF && e->id != OST_INSN_POPF))
		return -EOPNOTSUPP;
	return ost_emulate_instruction(vcpu);
}

bool ost_rewrite_code(struct ost_vcpu *vcpu, const u8 *from, u8 last, u32 len)
{
	struct ost_emul *e = &vcpu->emul;
	struct kvm_segment cs = {};
	u8 found = from[len - 1];
	struct access a;
	u64 linear;

	if (decode_only(vcpu) != OST_EMUL_OK || e->fetched < len || memcmp(e->bytes, from, len - 1))
		return false;
	/* Another vCPU was here first. */
	if (e->bytes[len - 1] == last)
		return true;
	if (e->bytes[len - 1] != found)
		return false;
	ost_vcpu_preemptible(vcpu);
	linear = e->rip + len - 1;
	if (!ost_mode64(vcpu)) {
		emul_get_segment(e, OST_CS, &cs);
		linear = (u32)(linear + cs.base);
	}
	if (resolve(e, linear, 1, walk_access(e, 0, true), true, &a) != OST_EMUL_OK || !a.span[0].ram)
		return false;
	/* What somebody else wrote there meanwhile stays, and is executed. */
	return ost_vcpu_cmpxchg(vcpu, a.span[0].gpa, &found, &last, 1) >= 0;
}

u8 ost_insn_len(struct ost_vcpu *vcpu, enum ost_emul_id id)
{
	if (decode_only(vcpu) != OST_EMUL_OK || vcpu->emul.id != id)
		return 0;
	return vcpu->emul.len;
}

/* --- task switches --- */

/* The event whose delivery came to a task gate; the backend has queued it for another try. */
static void describe_event(struct ost_vcpu *vcpu, struct ost_emul_task *task)
{
	struct ost_events *e = &vcpu->event;

	task->external = true;
	if (e->exception.injected) {
		task->has_error_code = e->exception.has_error_code;
		task->error_code = e->exception.error_code;
		if (e->exception.soft) {
			/* INT1 is none of those without EXT (SDM vol. 3A, 6.13). */
			task->external = e->exception.vector == 1;
			task->return_rip = ost_rip(vcpu) + e->exception.soft_len;
		}
	} else if (!e->nmi.injected && e->interrupt.soft) {
		task->external = false;
		task->return_rip = ost_rip(vcpu) + e->interrupt.soft_len;
	}
}

int ost_exit_task_switch(struct ost_vcpu *vcpu, u16 selector, enum ost_task_source source, u32 insn_len)
{
	struct ost_emul *e = &vcpu->emul;
	struct ost_emul_task task = {
		.selector = selector, .source = source, .return_rip = ost_rip(vcpu) + insn_len,
	};
	int r;

	vcpu->stats.emulations++;
	ost_vcpu_preemptible(vcpu);
	if (source == OST_TASK_GATE)
		describe_event(vcpu, &task);
	ost_emul_begin(e, NULL, 0);
	load_state(vcpu);
	ost_mmio_start(vcpu, false);
	vcpu->io.pio_ready = false;
	vcpu->io.posted = false;
	r = ost_emul_task_switch(e, &task);
	store_state(vcpu);
	if (r == OST_EMUL_RETRY)
		return OST_RUN;
	if (r != OST_EMUL_OK && r != OST_EMUL_FAULT) {
		pr_warn_ratelimited("VM %llu vCPU %u: can't switch to the task of TSS 0x%x\n",
				    vcpu->vm->id, vcpu->id, selector);
		return emulation_failure(vcpu);
	}

	/* NMIs are blocked from the delivery of one to the next IRET, faulting ones included. */
	if (source == OST_TASK_GATE && vcpu->event.nmi.injected)
		ost_backend->set_nmi_mask(vcpu, true);
	else if (source == OST_TASK_IRET)
		ost_backend->set_nmi_mask(vcpu, false);
	/* One in the middle of an exception's delivery may make a double fault of both. */
	if (r == OST_EMUL_FAULT) {
		raise(vcpu);
		return OST_RUN;
	}
	ost_events_delivered(vcpu);
	ost_backend->set_interrupt_shadow(vcpu, 0);
	if (task.debug_trap)
		ost_debug_exception(vcpu, DR_SWITCH);
	ost_request(vcpu, OST_REQ_EVENT);
	if (unlikely(vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP)) {
		if (!vcpu->io.posted)
			return ost_debug_tell_step(vcpu);
		ost_debug_step_later(vcpu);
	}
	return vcpu->io.posted ? posted_to_user(vcpu) : OST_RUN;
}
