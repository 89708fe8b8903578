// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bug.h>

#include "machine.h"

static struct machine *machine_of(struct ost_emul *e)
{
	return container_of(e, struct machine, e);
}

/* Under fuzzing any callback may answer anything that it is allowed to. */
static int chance(struct machine *m)
{
	if (!m->hostile)
		return OST_EMUL_OK;
	m->chance = m->chance * 6364136223846793005ULL + 1442695040888963407ULL;
	switch (m->chance >> 40 & 0x3f) {
	case 0:
		return ost_emul_raise_pf(&m->e, m->chance, 2);
	case 1:
		return ost_emul_gp(&m->e, 0);
	case 2:
		return OST_EMUL_RETRY;
	case 3:
		return OST_EMUL_UNHANDLEABLE;
	case 4:
		m->e.yield = true;
		return OST_EMUL_OK;
	default:
		return OST_EMUL_OK;
	}
}

static void note(struct machine *m, const struct machine_access *a)
{
	if (m->logged < MACHINE_LOG)
		m->log[m->logged++] = *a;
}

/* First IO, then the data; in between nothing else may be asked. */
static int deliver(struct machine *m, const struct machine_access *want, void *buf)
{
	struct machine_access a = *want;
	unsigned int i;

	if (!m->is_pending) {
		m->pending = a;
		m->is_pending = true;
		return OST_EMUL_IO;
	}
	m->is_pending = false;
	if (a.kind != m->pending.kind || a.where != m->pending.where || a.len != m->pending.len ||
	    a.count != m->pending.count)
		m->broken = true;
	a.value = m->next_input;
	for (i = 0; i < a.count; i++) {
		u64 value[8] = {m->next_input++};

		memcpy((u8 *)buf + i * a.len, value, a.len);
	}
	note(m, &a);
	return OST_EMUL_OK;
}

/* The kind of pages a range lies in; a fault if one is absent or must not be written. */
static int access(struct machine *m, u64 linear, unsigned int len, bool write, bool *device)
{
	u64 page;

	*device = false;
	for (page = linear / 0x1000; page <= (linear + len - 1) / 0x1000; page++) {
		u64 fault = max_t(u64, linear, page * 0x1000);
		bool user = ost_emul_cpl(&m->e) == 3;

		if (page >= MACHINE_PAGES || m->page[page] == PAGE_ABSENT)
			return ost_emul_raise_pf(&m->e, fault, (write ? 2 : 0) | (user ? 4 : 0));
		if (write && m->page[page] == PAGE_READONLY)
			return ost_emul_raise_pf(&m->e, fault, 3 | (user ? 4 : 0));
		*device |= m->page[page] == PAGE_DEVICE;
	}
	return OST_EMUL_OK;
}

static int op_fetch(struct ost_emul *e, u64 linear, void *buf, unsigned int len)
{
	struct machine *m = machine_of(e);
	bool device;
	int ret = chance(m);

	if (ret == OST_EMUL_OK)
		ret = access(m, linear, len, false, &device);
	if (ret != OST_EMUL_OK)
		return ret;
	memcpy(buf, m->ram + linear, len);
	m->fetches++;
	m->last_fetch = linear + len;
	return ret;
}

static int op_read(struct ost_emul *e, u64 linear, void *buf, unsigned int len, u32 how)
{
	struct machine *m = machine_of(e);
	struct machine_access a = {.kind = 'r', .where = linear, .len = len, .count = 1};
	bool device;
	int ret = chance(m);

	if (ret == OST_EMUL_OK)
		ret = access(m, linear, len, how & OST_EMUL_ACCESS_RMW, &device);
	if (ret != OST_EMUL_OK)
		return ret;
	if (device)
		return deliver(m, &a, buf);
	memcpy(buf, m->ram + linear, len);
	return OST_EMUL_OK;
}

static int op_write(struct ost_emul *e, u64 linear, const void *buf, unsigned int len, u32 how)
{
	struct machine *m = machine_of(e);
	struct machine_access a = {.kind = 'w', .where = linear, .len = len, .count = 1};
	bool device;
	int ret = chance(m);

	if (ret == OST_EMUL_OK)
		ret = access(m, linear, len, true, &device);
	if (ret != OST_EMUL_OK)
		return ret;
	if (device) {
		memcpy(&a.value, buf, min_t(unsigned int, len, 8));
		note(m, &a);
		e->yield |= m->yield;
		return OST_EMUL_OK;
	}
	memcpy(m->ram + linear, buf, len);
	return OST_EMUL_OK;
}

static int op_cmpxchg(struct ost_emul *e, u64 linear, const void *old, const void *new,
		      unsigned int len, u32 how)
{
	struct machine *m = machine_of(e);
	struct machine_access a = {.kind = 'c', .where = linear, .len = len, .count = 1};
	bool device;
	int ret = access(m, linear, len, true, &device);

	if (ret != OST_EMUL_OK)
		return ret;
	if (device)
		return op_write(e, linear, new, len, how);
	if (m->race || memcmp(m->ram + linear, old, len)) {
		m->race = false;
		return OST_EMUL_RETRY;
	}
	note(m, &a);
	memcpy(m->ram + linear, new, len);
	return chance(m);
}

static int op_probe(struct ost_emul *e, u64 linear, unsigned int len, u32 how)
{
	struct machine *m = machine_of(e);
	bool device;
	int ret = access(m, linear, len, how & OST_EMUL_ACCESS_WRITE, &device);

	BUG_ON(!len || (linear & 0xfff) + len > 0x1000);
	return ret == OST_EMUL_OK && device ? OST_EMUL_UNHANDLEABLE : ret;
}

static int op_pio(struct ost_emul *e, u16 port, unsigned int size, bool in, void *buf,
		  unsigned int count)
{
	struct machine *m = machine_of(e);
	struct machine_access a = {in ? 'i' : 'o', port, size, count, 0};
	int ret = chance(m);

	BUG_ON(!count || size * count > OST_EMUL_PIO_BATCH);
	if (ret != OST_EMUL_OK)
		return ret;
	if (in)
		return deliver(m, &a, buf);
	memcpy(&a.value, buf, size);
	note(m, &a);
	return OST_EMUL_OK;
}

static void op_get_segment(struct ost_emul *e, enum ost_emul_seg seg, struct kvm_segment *var)
{
	*var = machine_of(e)->seg[seg];
}

static int op_set_segment(struct ost_emul *e, enum ost_emul_seg seg, const struct kvm_segment *var)
{
	int ret = chance(machine_of(e));

	if (ret == OST_EMUL_OK)
		machine_of(e)->seg[seg] = *var;
	return ret;
}

static void op_get_dt(struct ost_emul *e, bool idt, struct kvm_dtable *dt)
{
	*dt = idt ? machine_of(e)->idt : machine_of(e)->gdt;
}

static int op_set_dt(struct ost_emul *e, bool idt, const struct kvm_dtable *dt)
{
	*(idt ? &machine_of(e)->idt : &machine_of(e)->gdt) = *dt;
	return OST_EMUL_OK;
}

static int op_get_cr(struct ost_emul *e, unsigned int nr, u64 *val)
{
	BUG_ON(nr != 0 && nr != 2 && nr != 3 && nr != 4 && nr != 8);
	*val = machine_of(e)->cr[nr];
	return chance(machine_of(e));
}

static int op_set_cr(struct ost_emul *e, unsigned int nr, u64 val)
{
	u64 ignored;

	machine_of(e)->cr[nr] = val;
	return op_get_cr(e, nr, &ignored);
}

static int op_get_dr(struct ost_emul *e, unsigned int nr, u64 *val)
{
	BUG_ON(nr > 7 || nr == 4 || nr == 5);
	*val = machine_of(e)->dr[nr];
	return OST_EMUL_OK;
}

static int op_set_dr(struct ost_emul *e, unsigned int nr, u64 val)
{
	BUG_ON(nr > 7 || nr == 4 || nr == 5);
	machine_of(e)->dr[nr] = val;
	return OST_EMUL_OK;
}

/* One MSR, number 0x10. */
static int op_get_msr(struct ost_emul *e, u32 msr, u64 *val)
{
	*val = machine_of(e)->msr;
	return msr == 0x10 ? OST_EMUL_OK : ost_emul_gp(e, 0);
}

static int op_set_msr(struct ost_emul *e, u32 msr, u64 val)
{
	machine_of(e)->msr = val;
	return msr == 0x10 ? OST_EMUL_OK : ost_emul_gp(e, 0);
}

static int op_get_xcr(struct ost_emul *e, u32 nr, u64 *val)
{
	*val = machine_of(e)->xcr0;
	return nr ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

static int op_set_xcr(struct ost_emul *e, u32 nr, u64 val)
{
	machine_of(e)->xcr0 = val;
	return nr ? ost_emul_gp(e, 0) : OST_EMUL_OK;
}

/* Leaf and subleaf come back, so that their way shows. */
static int op_cpuid(struct ost_emul *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	*ebx = *eax + 1;
	*edx = *ecx + 1;
	return OST_EMUL_OK;
}

static int op_rdtsc(struct ost_emul *e, u64 *tsc, u32 *tsc_aux)
{
	*tsc = 0x1122334455667788ULL;
	*tsc_aux = 7;
	return OST_EMUL_OK;
}

static int op_rdpmc(struct ost_emul *e, u32 counter, u64 *val)
{
	*val = counter;
	return OST_EMUL_OK;
}

static int op_halt(struct ost_emul *e)
{
	machine_of(e)->halts++;
	return OST_EMUL_OK;
}

static int op_wbinvd(struct ost_emul *e)
{
	machine_of(e)->wbinvds++;
	return OST_EMUL_OK;
}

static int op_invlpg(struct ost_emul *e, u64 linear)
{
	machine_of(e)->invlpg = linear;
	return OST_EMUL_OK;
}

static int op_hypercall(struct ost_emul *e)
{
	machine_of(e)->hypercalls++;
	return OST_EMUL_OK;
}

static int op_leave_smm(struct ost_emul *e)
{
	struct machine *m = machine_of(e);
	struct ost_smram s;

	if (!m->smm)
		return ost_emul_raise(e, OST_VEC_UD, false, 0);
	ost_smram_unpack(m->smram, true, &s);
	m->smm = false;
	memcpy(e->gpr, s.gpr, sizeof(e->gpr));
	e->rip = s.rip;
	e->rflags = s.rflags;
	e->shadow = OST_EMUL_SHADOW_STI;
	return OST_EMUL_OK;
}

static int op_get_vec(struct ost_emul *e, unsigned int nr, void *buf, unsigned int len)
{
	BUG_ON(nr > 15 || (len != 16 && len != 32));
	memcpy(buf, machine_of(e)->vec[nr], len);
	return OST_EMUL_OK;
}

static int op_set_vec(struct ost_emul *e, unsigned int nr, const void *buf, unsigned int len)
{
	BUG_ON(nr > 15 || (len != 16 && len != 32));
	memcpy(machine_of(e)->vec[nr], buf, len);
	return OST_EMUL_OK;
}

static int op_get_mmx(struct ost_emul *e, unsigned int nr, u64 *val, bool *exception)
{
	BUG_ON(nr > 7);
	*val = machine_of(e)->mmx[nr];
	*exception = machine_of(e)->x87_exception;
	return OST_EMUL_OK;
}

static int op_set_mmx(struct ost_emul *e, unsigned int nr, const u64 *val)
{
	BUG_ON(nr > 7);
	if (val)
		machine_of(e)->mmx[nr] = *val;
	machine_of(e)->x87_is_mmx = true;
	return OST_EMUL_OK;
}

static const struct ost_emul_ops ops = {
	.fetch = op_fetch,
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.probe = op_probe,
	.pio = op_pio,
	.get_segment = op_get_segment,
	.set_segment = op_set_segment,
	.get_dt = op_get_dt,
	.set_dt = op_set_dt,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_msr = op_get_msr,
	.set_msr = op_set_msr,
	.get_xcr = op_get_xcr,
	.set_xcr = op_set_xcr,
	.cpuid = op_cpuid,
	.rdtsc = op_rdtsc,
	.rdpmc = op_rdpmc,
	.halt = op_halt,
	.wbinvd = op_wbinvd,
	.invlpg = op_invlpg,
	.hypercall = op_hypercall,
	.leave_smm = op_leave_smm,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
	.get_mmx = op_get_mmx,
	.set_mmx = op_set_mmx,
};

static void init_segments(struct machine *m, enum ost_emul_mode mode)
{
	bool flat = mode >= OST_EMUL_PROT32;
	unsigned int i;

	for (i = 0; i <= OST_GS; i++) {
		m->seg[i] = (struct kvm_segment){
			.limit = flat ? ~0u : 0xffff,
			.selector = mode >= OST_EMUL_PROT16 ? 0x10 : 0,
			.type = i == OST_CS ? 0xb : 0x3,
			.present = 1,
			.s = 1,
			.db = mode == OST_EMUL_PROT32,
			.g = flat,
		};
	}
	m->seg[OST_CS].l = mode == OST_EMUL_LONG64;
	m->seg[OST_TR] = (struct kvm_segment){.base = MACHINE_TSS,
					      .limit = 0x67,
					      .type = 11,
					      .present = 1,
					      .selector = 0x18};
	m->seg[OST_LDTR] = (struct kvm_segment){.unusable = 1};
}

void machine_init(struct machine *m, enum ost_emul_mode mode)
{
	memset(m, 0, sizeof(*m));
	ost_emul_init(&m->e, &ops, m);
	m->e.amd = true;
	m->e.has_tzcnt = true;
	m->e.has_lzcnt = true;
	m->e.cr0 = mode == OST_EMUL_REAL ? 0 : X86_CR0_PE;
	m->e.cr4 = X86_CR4_OSFXSR | X86_CR4_OSXSAVE;
	m->e.efer = mode == OST_EMUL_LONG64 ? EFER_LMA | EFER_LME : 0;
	m->e.cpl = mode == OST_EMUL_VM86 ? 3 : 0;
	m->e.rip = MACHINE_CODE;
	m->e.rflags = X86_EFLAGS_FIXED | (mode == OST_EMUL_VM86 ? X86_EFLAGS_VM : 0);
	m->e.gpr[OST_RSP] = 0x7000;
	m->cr[0] = m->e.cr0;
	m->xcr0 = 7;
	m->gdt = (struct kvm_dtable){.base = MACHINE_GDT, .limit = 0xff};
	m->idt = (struct kvm_dtable){.base = MACHINE_IDT, .limit = 0x3ff};
	m->next_input = 0x11;
	/* no I/O bitmap: it would begin beyond the limit */
	machine_put(m, MACHINE_TSS + 102, 0x68, 2);
	init_segments(m, mode);
}

int machine_run(struct machine *m, const void *insn, unsigned int len)
{
	u64 code = m->seg[OST_CS].base + m->e.rip;
	int ret;

	if (code + len <= MACHINE_RAM)
		memcpy(m->ram + code, insn, len);
	ost_emul_begin(&m->e, NULL, 0);
	ret = ost_emul_decode(&m->e);
	return ret == OST_EMUL_OK ? ost_emul_execute(&m->e) : ret;
}

int machine_finish(struct machine *m, int result)
{
	unsigned int i;

	for (i = 0; i < 100000; i++) {
		if (result != OST_EMUL_IO && (result != OST_EMUL_OK || m->e.completed))
			break;
		result = ost_emul_execute(&m->e);
	}
	return result;
}

int machine_do(struct machine *m, const void *insn, unsigned int len)
{
	return machine_finish(m, machine_run(m, insn, len));
}

u64 machine_get(struct machine *m, u64 linear, unsigned int len)
{
	u64 value = 0;

	memcpy(&value, m->ram + linear, len);
	return value;
}

void machine_put(struct machine *m, u64 linear, u64 value, unsigned int len)
{
	memcpy(m->ram + linear, &value, len);
}

void machine_descriptor(struct machine *m, u16 selector, u64 base, u32 limit, u8 access_byte,
			u8 flags)
{
	u64 desc = (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)access_byte << 40 |
		   (u64)(limit >> 16 & 0xf) << 48 | (u64)(flags & 0xf) << 52 |
		   (base >> 24 & 0xff) << 56;

	machine_put(m, MACHINE_GDT + (selector & ~7u), desc, 8);
}
