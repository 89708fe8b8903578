// SPDX-License-Identifier: GPL-2.0-only
/* Ports, control and debug registers, MSRs and the other privileged instructions. */
#include "internal.h"

#define DR6_BD BIT_ULL(13)
#define DR7_GD BIT_ULL(13)

/*
 * The TSS's I/O permission bitmap decides when IOPL does not, and always in virtual-8086 mode (APM
 * vol. 2, 12.2.4). The CPU reads two bytes of it always, so the limit has to cover both.
 */
static int check_io_bitmap(struct ost_emul *e, u16 port, unsigned int bytes)
{
	const struct kvm_segment *tr = ost_emul_segment(e, OST_TR);
	u16 base, bits, wanted = ((1 << bytes) - 1) << (port & 7);
	int ret;

	/* Only a TSS of 32 or 64 bits has one. */
	if (tr->unusable || !tr->present || (tr->type & 9) != 9 || tr->limit < 103)
		return ost_emul_gp(e, 0);
	ret = ost_emul_read_linear(e, tr->base + 102, &base, 2, OST_EMUL_ACCESS_SYSTEM);
	if (ret != OST_EMUL_OK)
		return ret;
	if ((u32)base + port / 8 + 1 > tr->limit)
		return ost_emul_gp(e, 0);
	ret = ost_emul_read_linear(e, tr->base + base + port / 8, &bits, 2, OST_EMUL_ACCESS_SYSTEM);
	if (ret != OST_EMUL_OK)
		return ret;
	return bits & wanted ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

int ost_emul_check_io(struct ost_emul *e, u16 port, unsigned int bytes)
{
	if (e->mode != OST_EMUL_VM86 && ost_emul_cpl(e) <= ost_emul_iopl(e))
		return OST_EMUL_OK;
	return check_io_bitmap(e, port, bytes);
}

static int port_access(struct ost_emul *e, bool in)
{
	struct ost_emul_operand *data = &e->op[0];
	u16 port = e->op[1].value;
	int ret;

	if (!e->ops->pio)
		return OST_EMUL_UNHANDLEABLE;
	ret = ost_emul_check_io(e, port, data->bytes);
	if (ret != OST_EMUL_OK)
		return ret;
	if (in)
		data->value = 0;
	return e->ops->pio(e, port, data->bytes, in, &data->value, 1);
}

int ost_exec_in(struct ost_emul *e)
{
	return port_access(e, true);
}

int ost_exec_out(struct ost_emul *e)
{
	return port_access(e, false);
}

int ost_exec_hlt(struct ost_emul *e)
{
	return e->ops->halt ? e->ops->halt(e) : OST_EMUL_UNHANDLEABLE;
}

/* CLI and STI with CR4.VME or PVI go to a virtual interrupt flag, which is not done here. */
static int check_if_access(struct ost_emul *e)
{
	u64 virtual_if = e->mode == OST_EMUL_VM86 ? X86_CR4_VME : X86_CR4_PVI;

	if (ost_emul_cpl(e) <= ost_emul_iopl(e))
		return OST_EMUL_OK;
	if (e->cr4 & virtual_if && ost_emul_cpl(e) == 3)
		return OST_EMUL_UNHANDLEABLE;
	return ost_emul_gp(e, 0);
}

int ost_exec_cli(struct ost_emul *e)
{
	int ret = check_if_access(e);

	if (ret == OST_EMUL_OK)
		e->rflags &= ~X86_EFLAGS_IF;
	return ret;
}

int ost_exec_sti(struct ost_emul *e)
{
	int ret = check_if_access(e);

	if (ret != OST_EMUL_OK)
		return ret;
	if (!(e->rflags & X86_EFLAGS_IF))
		e->shadow = OST_EMUL_SHADOW_STI;
	e->rflags |= X86_EFLAGS_IF;
	return OST_EMUL_OK;
}

int ost_exec_cpuid(struct ost_emul *e)
{
	u32 eax = e->gpr[OST_RAX], ebx, ecx = e->gpr[OST_RCX], edx;
	int ret;

	if (!e->ops->cpuid)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->cpuid(e, &eax, &ebx, &ecx, &edx);
	if (ret != OST_EMUL_OK)
		return ret;
	e->gpr[OST_RAX] = eax;
	e->gpr[OST_RBX] = ebx;
	e->gpr[OST_RCX] = ecx;
	e->gpr[OST_RDX] = edx;
	return OST_EMUL_OK;
}

static u64 edx_eax(const struct ost_emul *e)
{
	return e->gpr[OST_RDX] << 32 | (u32)e->gpr[OST_RAX];
}

static void set_edx_eax(struct ost_emul *e, u64 value)
{
	e->gpr[OST_RAX] = (u32)value;
	e->gpr[OST_RDX] = value >> 32;
}

int ost_exec_rdmsr(struct ost_emul *e)
{
	u64 value;
	int ret;

	if (!e->ops->get_msr)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->get_msr(e, e->gpr[OST_RCX], &value);
	if (ret == OST_EMUL_OK)
		set_edx_eax(e, value);
	return ret;
}

int ost_exec_wrmsr(struct ost_emul *e)
{
	if (!e->ops->set_msr)
		return OST_EMUL_UNHANDLEABLE;
	return e->ops->set_msr(e, e->gpr[OST_RCX], edx_eax(e));
}

static int read_tsc(struct ost_emul *e, u32 *aux)
{
	u64 tsc;
	int ret;

	if (e->cr4 & X86_CR4_TSD && ost_emul_cpl(e))
		return ost_emul_gp(e, 0);
	if (!e->ops->rdtsc)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->rdtsc(e, &tsc, aux);
	if (ret == OST_EMUL_OK)
		set_edx_eax(e, tsc);
	return ret;
}

int ost_exec_rdtsc(struct ost_emul *e)
{
	u32 aux;

	return read_tsc(e, &aux);
}

int ost_exec_rdtscp(struct ost_emul *e)
{
	u32 aux;
	int ret = read_tsc(e, &aux);

	if (ret == OST_EMUL_OK)
		e->gpr[OST_RCX] = aux;
	return ret;
}

int ost_exec_rdpmc(struct ost_emul *e)
{
	u64 value;
	int ret;

	if (!(e->cr4 & X86_CR4_PCE) && ost_emul_cpl(e))
		return ost_emul_gp(e, 0);
	if (!e->ops->rdpmc)
		return OST_EMUL_UNHANDLEABLE;
	ret = (e->ops->rdpmc)(e, e->gpr[OST_RCX], &value);
	if (ret == OST_EMUL_OK)
		set_edx_eax(e, value);
	return ret;
}

int ost_exec_wbinvd(struct ost_emul *e)
{
	return e->ops->wbinvd ? e->ops->wbinvd(e) : OST_EMUL_UNHANDLEABLE;
}

/* Addresses that can't be are ignored, and limits are not checked (APM vol. 3, INVLPG). */
int ost_exec_invlpg(struct ost_emul *e)
{
	u64 linear = e->mem_offset;

	if (!ost_emul_is64(e))
		linear = (u32)(ost_emul_segment(e, e->mem.seg)->base + linear);
	else if (e->mem.seg == OST_FS || e->mem.seg == OST_GS)
		linear += ost_emul_segment(e, e->mem.seg)->base;
	if (!e->ops->invlpg)
		return OST_EMUL_UNHANDLEABLE;
	return ost_emul_canonical(e, linear) ? e->ops->invlpg(e, linear) : OST_EMUL_OK;
}

/* The control register an operand names; LOCK turns CR0 into CR8 (APM vol. 3, MOV CRn). */
static int control_register(struct ost_emul *e, const struct ost_emul_operand *op, unsigned int *nr)
{
	*nr = op->reg;
	if (e->lock) {
		if (*nr != 0)
			return ost_emul_ud(e);
		*nr = 8;
	}
	if (*nr != 0 && *nr != 2 && *nr != 3 && *nr != 4 && *nr != 8)
		return ost_emul_ud(e);
	return ost_emul_cpl(e) ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

int ost_exec_mov_from_cr(struct ost_emul *e)
{
	unsigned int nr;
	int ret = control_register(e, &e->op[1], &nr);

	if (ret != OST_EMUL_OK)
		return ret;
	return e->ops->get_cr ? e->ops->get_cr(e, nr, &e->op[0].value) : OST_EMUL_UNHANDLEABLE;
}

int ost_exec_mov_to_cr(struct ost_emul *e)
{
	unsigned int nr;
	int ret = control_register(e, &e->op[0], &nr);

	if (ret != OST_EMUL_OK)
		return ret;
	return e->ops->set_cr ? e->ops->set_cr(e, nr, e->op[1].value) : OST_EMUL_UNHANDLEABLE;
}

/*
 * DR4 and DR5 are other names of DR6 and DR7 unless CR4.DE; DR7.GD guards all (APM vol. 2, 13.1.1).
 */
static int debug_register(struct ost_emul *e, const struct ost_emul_operand *op, unsigned int *nr)
{
	u64 dr6, dr7;
	int ret;

	*nr = op->reg;
	if (*nr > 7 || ((*nr == 4 || *nr == 5) && e->cr4 & X86_CR4_DE))
		return ost_emul_ud(e);
	if (*nr == 4 || *nr == 5)
		*nr += 2;
	if (ost_emul_cpl(e))
		return ost_emul_gp(e, 0);
	if (!e->ops->get_dr || !e->ops->set_dr)
		return OST_EMUL_UNHANDLEABLE;

	ret = e->ops->get_dr(e, 7, &dr7);
	if (ret != OST_EMUL_OK || !(dr7 & DR7_GD))
		return ret;
	ret = e->ops->get_dr(e, 6, &dr6);
	if (ret == OST_EMUL_OK)
		ret = e->ops->set_dr(e, 6, dr6 | DR6_BD);
	/* The CPU clears it when it enters the handler. */
	if (ret == OST_EMUL_OK)
		ret = e->ops->set_dr(e, 7, dr7 & ~DR7_GD);
	return ret == OST_EMUL_OK ? ost_emul_raise(e, OST_VEC_DB, false, 0) : ret;
}

int ost_exec_mov_from_dr(struct ost_emul *e)
{
	unsigned int nr;
	int ret = debug_register(e, &e->op[1], &nr);

	return ret == OST_EMUL_OK ? e->ops->get_dr(e, nr, &e->op[0].value) : ret;
}

int ost_exec_mov_to_dr(struct ost_emul *e)
{
	unsigned int nr;
	int ret = debug_register(e, &e->op[0], &nr);

	return ret == OST_EMUL_OK ? e->ops->set_dr(e, nr, e->op[1].value) : ret;
}

static int set_cr0(struct ost_emul *e, u64 value)
{
	return e->ops->set_cr ? e->ops->set_cr(e, 0, value) : OST_EMUL_UNHANDLEABLE;
}

int ost_exec_clts(struct ost_emul *e)
{
	return set_cr0(e, e->cr0 & ~X86_CR0_TS);
}

/* PE can be set by it, but not cleared. */
int ost_exec_lmsw(struct ost_emul *e)
{
	u64 changeable = X86_CR0_MP | X86_CR0_EM | X86_CR0_TS;
	u64 value = e->op[0].value;

	return set_cr0(e, (e->cr0 & ~changeable) | (value & (changeable | X86_CR0_PE)));
}

static int check_umip(struct ost_emul *e)
{
	return e->cr4 & X86_CR4_UMIP && ost_emul_cpl(e) ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

int ost_exec_smsw(struct ost_emul *e)
{
	e->op[0].value = e->cr0;
	return check_umip(e);
}

/* All base bytes are stored whatever the operand size. */
int ost_exec_sgdt(struct ost_emul *e)
{
	unsigned int base_bytes = ost_emul_is64(e) ? 8 : 4;
	struct kvm_dtable dt;
	u8 image[10];
	int ret = check_umip(e);

	if (ret != OST_EMUL_OK)
		return ret;
	if (!e->ops->get_dt)
		return OST_EMUL_UNHANDLEABLE;
	e->ops->get_dt(e, e->id == OST_INSN_SIDT, &dt);
	memcpy(image, &dt.limit, 2);
	memcpy(image + 2, &dt.base, base_bytes);
	return ost_emul_write(e, e->mem.seg, e->mem_offset, image, 2 + base_bytes);
}

/* With a 16-bit operand size the base has 24 bits (APM vol. 3, LGDT). */
int ost_exec_lgdt(struct ost_emul *e)
{
	unsigned int base_bytes = ost_emul_is64(e) ? 8 : 4;
	struct kvm_dtable dt = {};
	u64 base = 0;
	u8 image[10];
	int ret;

	ret = ost_emul_read(e, e->mem.seg, e->mem_offset, image, 2 + base_bytes, false);
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(&dt.limit, image, 2);
	memcpy(&base, image + 2, base_bytes);
	if (e->operand_size == 2)
		base &= 0xffffff;
	if (!ost_emul_canonical(e, base))
		return ost_emul_gp(e, 0);
	dt.base = base;
	if (!e->ops->set_dt)
		return OST_EMUL_UNHANDLEABLE;
	return e->ops->set_dt(e, e->id == OST_INSN_LIDT, &dt);
}

int ost_exec_xgetbv(struct ost_emul *e)
{
	u64 value;
	int ret;

	if (!(e->cr4 & X86_CR4_OSXSAVE))
		return ost_emul_ud(e);
	if (!e->ops->get_xcr)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->get_xcr(e, e->gpr[OST_RCX], &value);
	if (ret == OST_EMUL_OK)
		set_edx_eax(e, value);
	return ret;
}

int ost_exec_xsetbv(struct ost_emul *e)
{
	if (!(e->cr4 & X86_CR4_OSXSAVE))
		return ost_emul_ud(e);
	if (ost_emul_cpl(e))
		return ost_emul_gp(e, 0);
	if (!e->ops->set_xcr)
		return OST_EMUL_UNHANDLEABLE;
	return e->ops->set_xcr(e, e->gpr[OST_RCX], edx_eax(e));
}

int ost_exec_rsm(struct ost_emul *e)
{
	int ret;

	if (!e->ops->leave_smm)
		return OST_EMUL_UNHANDLEABLE;
	ret = e->ops->leave_smm(e);
	if (ret == OST_EMUL_OK) {
		e->jumped = true;
		e->sets_rf = true;
	}
	return ret;
}

int ost_exec_hypercall(struct ost_emul *e)
{
	return e->ops->hypercall ? e->ops->hypercall(e) : OST_EMUL_UNHANDLEABLE;
}
