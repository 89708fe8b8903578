// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's FPU state: its buffer, its time in the registers, and the ABI's views of it (fpu.h).
 *
 * The image always holds a valid MXCSR, and a component whose bit in XSTATE_BV is clear is in its
 * initial configuration whatever its bytes are. The host's XCR0 covers all components of
 * ost_fpu_xcr0_mask, so saving and restoring under it keeps also those that the guest has switched
 * off for the moment.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/fpu/xstate.h>
#include <asm/special_insns.h>
#include "compat.h"
#include "fpu.h"
#include "vcpu.h"

#define FCW_INIT 0x37f
#define MXCSR_INIT 0x1f80
#define LAST_COMPONENT XFEATURE_PKRU

/*
 * Components that the module knows how to give to a guest. Those that need IA32_XFD (AMX) are not
 * among them, nor supervisor components: those would need IA32_XSS bits.
 */
#define KNOWN_COMPONENTS                                                                           \
	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_OPMASK |                         \
	 XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM | XFEATURE_MASK_PKRU)
#define AVX512_COMPONENTS                                                                          \
	(XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM)

u64 ost_fpu_xcr0_mask __ro_after_init = XFEATURE_MASK_FPSSE;
u32 ost_fpu_mxcsr_mask __ro_after_init;

static bool have_xsave __ro_after_init;
static bool have_xsaveopt __ro_after_init;
static bool have_pkru __ro_after_init;
static bool leaks_pointers __ro_after_init;
static u64 host_xcr0 __ro_after_init;
static u64 host_xss __ro_after_init;
/* What XSAVE and XRSTOR move: all but PKRU, which is switched around each entry. */
static u64 image_mask __ro_after_init;
static u32 image_size __ro_after_init;
/* Place in the standard layout, CPUID leaf 0xd. */
static struct {
	u32 offset, size;
	bool aligned;	/* to 64 bytes in the compacted layout */
} components[LAST_COMPONENT + 1] __ro_after_init;

/* What a CPU holds that was initialised; for images that XRSTOR refuses. */
static struct xregs_state init_image __aligned(64) = {
	.i387 = { .cwd = FCW_INIT, .mxcsr = MXCSR_INIT },
};

u32 ost_fpu_size_of(u64 mask)
{
	u32 size = FXSAVE_SIZE + XSAVE_HDR_SIZE;
	int i;

	for (i = XFEATURE_YMM; i <= LAST_COMPONENT; i++) {
		if (mask & BIT_ULL(i))
			size = max(size, components[i].offset + components[i].size);
	}
	return size;
}

u32 ost_fpu_compact_size_of(u64 mask)
{
	u32 size = FXSAVE_SIZE + XSAVE_HDR_SIZE;
	int i;

	for (i = XFEATURE_YMM; i <= LAST_COMPONENT; i++) {
		if (!(mask & BIT_ULL(i)))
			continue;
		if (components[i].aligned)
			size = ALIGN(size, 64);
		size += components[i].size;
	}
	return size;
}

u32 ost_fpu_xsave2_size(void)
{
	return max_t(u32, ost_fpu_size_of(ost_fpu_xcr0_mask), sizeof(struct kvm_xsave));
}

bool ost_fpu_xcr0_valid(u64 xcr0)
{
	u64 avx512 = xcr0 & AVX512_COMPONENTS;

	if (!(xcr0 & XFEATURE_MASK_FP) || (xcr0 & ~ost_fpu_xcr0_mask))
		return false;
	if ((xcr0 & XFEATURE_MASK_YMM) && !(xcr0 & XFEATURE_MASK_SSE))
		return false;
	if (avx512 && (avx512 != AVX512_COMPONENTS || !(xcr0 & XFEATURE_MASK_YMM)))
		return false;
	return true;
}

static void __init find_components(void)
{
	u32 eax, ebx, ecx, edx;
	int i;

	host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	ost_fpu_xcr0_mask = host_xcr0 & KNOWN_COMPONENTS;
	have_pkru = boot_cpu_has(X86_FEATURE_OSPKE);
	if (!have_pkru)
		ost_fpu_xcr0_mask &= ~XFEATURE_MASK_PKRU;
	if (!(ost_fpu_xcr0_mask & XFEATURE_MASK_YMM))
		ost_fpu_xcr0_mask &= ~AVX512_COMPONENTS;
	if ((ost_fpu_xcr0_mask & AVX512_COMPONENTS) != AVX512_COMPONENTS)
		ost_fpu_xcr0_mask &= ~AVX512_COMPONENTS;

	for (i = XFEATURE_YMM; i <= LAST_COMPONENT; i++) {
		if (!(ost_fpu_xcr0_mask & BIT_ULL(i)))
			continue;
		cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx);
		components[i].offset = ebx;
		components[i].size = eax;
		components[i].aligned = ecx & BIT(1);
	}
	have_xsaveopt = boot_cpu_has(X86_FEATURE_XSAVEOPT);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrq(MSR_IA32_XSS, host_xss);
}

int __init ost_fpu_setup(void)
{
	have_xsave = boot_cpu_has(X86_FEATURE_XSAVE);
	leaks_pointers = boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK);
	if (have_xsave)
		find_components();
	image_mask = ost_fpu_xcr0_mask & ~(u64)XFEATURE_MASK_PKRU;
	image_size = ost_fpu_size_of(ost_fpu_xcr0_mask);

	/* MXCSR_MASK is told by FXSAVE alone; 0 stands for all but DAZ (SDM vol. 1, 11.6.6). */
	kernel_fpu_begin();
	asm volatile("fxsave64 %0" : "=m"(init_image.i387));
	kernel_fpu_end();
	ost_fpu_mxcsr_mask = init_image.i387.mxcsr_mask ?: 0xffbf;
	memset(&init_image, 0, sizeof(init_image));
	init_image.i387.cwd = FCW_INIT;
	init_image.i387.mxcsr = MXCSR_INIT;
	return 0;
}

int ost_fpu_create(struct ost_vcpu *vcpu)
{
	/* Whole pages for XSAVE's alignment of 64 bytes. */
	vcpu->fpu.image = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO,
						   get_order(image_size));
	return vcpu->fpu.image ? 0 : -ENOMEM;
}

void ost_fpu_destroy(struct ost_vcpu *vcpu)
{
	free_pages((unsigned long)vcpu->fpu.image, get_order(image_size));
	vcpu->fpu.image = NULL;
}

/* Without CR4.OSXSAVE the guest can neither read XCR0 nor use what it turns on: it may be the host's. */
static void want_xcr0(struct ost_vcpu *vcpu)
{
	struct ost_fpu *fpu = &vcpu->fpu;
	u64 want = ost_cr4(vcpu) & X86_CR4_OSXSAVE ? fpu->xcr0 : host_xcr0;

	if (fpu->wanted_xcr0 == want)
		return;
	fpu->wanted_xcr0 = want;
	if (have_xsave && fpu->loaded)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, want);
}

void ost_fpu_reset(struct ost_vcpu *vcpu, bool init_event)
{
	struct xregs_state *image = vcpu->fpu.image;

	/* CR4 was reset, and with it OSXSAVE. */
	want_xcr0(vcpu);
	if (init_event)
		return;
	/*
	 * As FNINIT leaves it, like other implementations of this ABI: VMMs that enter a guest with its
	 * kernel loaded rely on it. (RESET by itself leaves FCW at 0x40.)
	 */
	memset(image, 0, image_size);
	image->i387.cwd = FCW_INIT;
	image->i387.mxcsr = MXCSR_INIT;
	vcpu->fpu.xcr0 = XFEATURE_MASK_FP;
	vcpu->fpu.xss = 0;
	vcpu->fpu.pkru = 0;
}

/* --- into the registers and back --- */

static void save(struct xregs_state *image)
{
	u32 lo = image_mask, hi = image_mask >> 32;

	if (have_xsaveopt)
		asm volatile("xsaveopt64 %0" : "+m"(*image) : "a"(lo), "d"(hi) : "memory");
	else if (have_xsave)
		asm volatile("xsave64 %0" : "+m"(*image) : "a"(lo), "d"(hi) : "memory");
	else
		asm volatile("fxsave64 %0" : "=m"(image->i387));
}

/* False when the CPU refuses the image with #GP; the registers are then as they were. */
static bool restore(struct xregs_state *image)
{
	u32 lo = image_mask, hi = image_mask >> 32;

	if (have_xsave)
		asm goto("1: xrstor64 %0\n"
			 _ASM_EXTABLE(1b, %l[refused])
			 : : "m"(*image), "a"(lo), "d"(hi) : "memory" : refused);
	else
		asm goto("1: fxrstor64 %0\n"
			 _ASM_EXTABLE(1b, %l[refused])
			 : : "m"(image->i387) : "memory" : refused);
	return true;
refused:
	return false;
}

void ost_fpu_load(struct ost_vcpu *vcpu)
{
	struct ost_fpu *fpu = &vcpu->fpu;

	if (likely(fpu->loaded))
		return;
	kernel_fpu_begin_mask(0);
	/*
	 * These CPUs neither save nor restore the last instruction's pointers while no exception is
	 * pending, so that the host process' would show: overwrite them (APM vol. 2, 11.4.4).
	 */
	if (leaks_pointers)
		asm volatile("fnclex; emms; fildl %0" : : "m"(init_image.i387.cwd));
	if (unlikely(!restore(fpu->image))) {
		WARN_ON_ONCE(1);
		restore(&init_image);
	}
	if (have_xsave && fpu->wanted_xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, fpu->wanted_xcr0);
	/* The guest can execute XSAVES whether CPUID tells so or not. */
	if (fpu->xss != host_xss)
		wrmsrq(MSR_IA32_XSS, fpu->xss);
	if (have_pkru)
		fpu->host_pkru = rdpkru();
	fpu->loaded = true;
	vcpu->stats.fpu_loads++;
}

void ost_fpu_unload(struct ost_vcpu *vcpu)
{
	struct ost_fpu *fpu = &vcpu->fpu;

	if (fpu->xss != host_xss)
		wrmsrq(MSR_IA32_XSS, host_xss);
	if (have_xsave && fpu->wanted_xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, host_xcr0);
	save(fpu->image);
	fpu->loaded = false;
	kernel_fpu_end();
}

void ost_fpu_load_pkru(struct ost_vcpu *vcpu)
{
	if (vcpu->fpu.pkru != vcpu->fpu.host_pkru)
		wrpkru(vcpu->fpu.pkru);
}

void ost_fpu_save_pkru(struct ost_vcpu *vcpu)
{
	vcpu->fpu.pkru = rdpkru();
	if (vcpu->fpu.pkru != vcpu->fpu.host_pkru)
		wrpkru(vcpu->fpu.host_pkru);
}

void ost_fpu_refresh(struct ost_vcpu *vcpu)
{
	want_xcr0(vcpu);
	vcpu->fpu.uses_pkru = have_pkru && ((ost_cr4(vcpu) & X86_CR4_PKE) ||
					    (vcpu->fpu.xcr0 & XFEATURE_MASK_PKRU));
}

void ost_fpu_set_xcr0(struct ost_vcpu *vcpu, u64 xcr0)
{
	struct ost_fpu *fpu = &vcpu->fpu;

	fpu->xcr0 = xcr0;
	want_xcr0(vcpu);
}

/* --- the image --- */

static void *component(struct xregs_state *image, int i)
{
	return (u8 *)image + components[i].offset;
}

/* Gives component i the bytes of its initial configuration. */
static void write_init(struct xregs_state *image, int i)
{
	struct fxregs_state *fx = &image->i387;

	switch (i) {
	case XFEATURE_FP:
		fx->cwd = FCW_INIT;
		fx->swd = fx->twd = fx->fop = 0;
		fx->rip = fx->rdp = 0;
		memset(fx->st_space, 0, sizeof(fx->st_space));
		break;
	case XFEATURE_SSE:
		memset(fx->xmm_space, 0, sizeof(fx->xmm_space));
		break;
	default:
		memset(component(image, i), 0, components[i].size);
	}
}

/* Makes the bytes of all components in `mask` say what the guest has, and the header with them. */
static void materialise(struct xregs_state *image, u64 mask)
{
	int i;

	mask &= image_mask;
	if (!have_xsave)
		return;
	for (i = XFEATURE_FP; i <= LAST_COMPONENT; i++) {
		if (!(mask & BIT_ULL(i)) || (image->header.xfeatures & BIT_ULL(i)))
			continue;
		write_init(image, i);
		image->header.xfeatures |= BIT_ULL(i);
	}
}

void ost_fpu_get_fpu(struct ost_vcpu *vcpu, struct kvm_fpu *out)
{
	struct xregs_state *image = vcpu->fpu.image;
	const struct fxregs_state *fx = &image->i387;

	materialise(image, XFEATURE_MASK_FPSSE);
	memset(out, 0, sizeof(*out));
	memcpy(out->fpr, fx->st_space, sizeof(out->fpr));
	out->fcw = fx->cwd;
	out->fsw = fx->swd;
	out->ftwx = fx->twd;
	out->last_opcode = fx->fop;
	out->last_ip = fx->rip;
	out->last_dp = fx->rdp;
	memcpy(out->xmm, fx->xmm_space, sizeof(out->xmm));
	out->mxcsr = fx->mxcsr;
}

int ost_fpu_set_fpu(struct ost_vcpu *vcpu, const struct kvm_fpu *in)
{
	struct xregs_state *image = vcpu->fpu.image;
	struct fxregs_state *fx = &image->i387;

	if (in->mxcsr & ~ost_fpu_mxcsr_mask)
		return -EINVAL;
	materialise(image, XFEATURE_MASK_FPSSE);
	memcpy(fx->st_space, in->fpr, sizeof(in->fpr));
	fx->cwd = in->fcw;
	fx->swd = in->fsw;
	fx->twd = in->ftwx;
	fx->fop = in->last_opcode;
	fx->rip = in->last_ip;
	fx->rdp = in->last_dp;
	memcpy(fx->xmm_space, in->xmm, sizeof(in->xmm));
	fx->mxcsr = in->mxcsr;
	return 0;
}

void ost_fpu_get_xsave(struct ost_vcpu *vcpu, void *out, u32 size)
{
	const struct xregs_state *image = vcpu->fpu.image;
	struct xregs_state *to = out;
	u64 present = have_xsave ? image->header.xfeatures : XFEATURE_MASK_FPSSE;
	u32 len = min(size, image_size);
	int i;

	memset(out, 0, size);
	memcpy(out, image, len);
	memset(to->i387.padding, 0, sizeof(to->i387.padding));
	memset(to->i387.sw_reserved, 0, sizeof(to->i387.sw_reserved));
	memset(&to->header, 0, sizeof(to->header));
	to->i387.mxcsr_mask = ost_fpu_mxcsr_mask;
	for (i = XFEATURE_FP; i <= LAST_COMPONENT; i++) {
		if (!(image_mask & BIT_ULL(i)) || (present & BIT_ULL(i)))
			continue;
		if (i < XFEATURE_YMM || components[i].offset + components[i].size <= size)
			write_init(to, i);
	}
	/* SSE's bit says nothing about MXCSR; without it a reader may take MXCSR for initial too. */
	if (image->i387.mxcsr != MXCSR_INIT)
		present |= XFEATURE_MASK_SSE;
	if ((ost_fpu_xcr0_mask & XFEATURE_MASK_PKRU) && vcpu->fpu.pkru &&
	    components[XFEATURE_PKRU].offset + sizeof(u32) <= size) {
		memcpy(component(to, XFEATURE_PKRU), &vcpu->fpu.pkru, sizeof(u32));
		present |= XFEATURE_MASK_PKRU;
	}
	to->header.xfeatures = present;
}

int ost_fpu_set_xsave(struct ost_vcpu *vcpu, const void *in, u32 size)
{
	const struct xregs_state *from = in;
	struct xregs_state *image = vcpu->fpu.image;
	u64 present = from->header.xfeatures;
	u32 pkru = 0;

	if (size < sizeof(*from))
		return -EINVAL;
	if (!have_xsave)
		present = XFEATURE_MASK_FPSSE;
	if ((present & ~ost_fpu_xcr0_mask) || ost_fpu_size_of(present) > size)
		return -EINVAL;
	if (have_xsave && (from->header.xcomp_bv ||
			   memchr_inv(from->header.reserved, 0, sizeof(from->header.reserved))))
		return -EINVAL;
	if ((present & (XFEATURE_MASK_SSE | XFEATURE_MASK_YMM)) &&
	    (from->i387.mxcsr & ~ost_fpu_mxcsr_mask))
		return -EINVAL;

	if (present & XFEATURE_MASK_PKRU)
		memcpy(&pkru, in + components[XFEATURE_PKRU].offset, sizeof(pkru));
	vcpu->fpu.pkru = pkru;
	memcpy(image, from, min(size, image_size));
	memset(image->i387.padding, 0, sizeof(image->i387.padding));
	if (!(present & (XFEATURE_MASK_SSE | XFEATURE_MASK_YMM)))
		image->i387.mxcsr = MXCSR_INIT;
	image->header.xfeatures = present & image_mask;
	return 0;
}

/* The three parts of a vector register: XMM, upper half of YMM, upper half of ZMM. */
#define NR_VEC_PARTS 3
static const struct {
	u8 component, from, len;
} vec_parts[NR_VEC_PARTS] = {
	{ XFEATURE_SSE, 0, 16 },
	{ XFEATURE_YMM, 16, 16 },
	{ XFEATURE_ZMM_Hi256, 32, 32 },
};

static u8 *vec_part(struct xregs_state *image, int part, int reg)
{
	if (!part)
		return (u8 *)image->i387.xmm_space + 16 * reg;
	return component(image, vec_parts[part].component) + vec_parts[part].len * reg;
}

/* Brings the image up to date for a look or change from outside of the registers; true if it was loaded. */
static bool vec_begin(struct ost_vcpu *vcpu)
{
	if (!vcpu->fpu.loaded)
		return false;
	preempt_disable();
	ost_fpu_unload(vcpu);
	return true;
}

static void vec_end(struct ost_vcpu *vcpu, bool loaded)
{
	if (!loaded)
		return;
	ost_fpu_load(vcpu);
	preempt_enable();
}

void ost_fpu_get_vec(struct ost_vcpu *vcpu, int reg, void *out, u32 size)
{
	struct xregs_state *image = vcpu->fpu.image;
	bool loaded = vec_begin(vcpu);
	int i;

	reg &= 15;
	memset(out, 0, size);
	for (i = 0; i < NR_VEC_PARTS && vec_parts[i].from < size; i++) {
		if (!(image_mask & BIT_ULL(vec_parts[i].component)))
			continue;
		materialise(image, BIT_ULL(vec_parts[i].component));
		memcpy(out + vec_parts[i].from, vec_part(image, i, reg),
		       min_t(u32, vec_parts[i].len, size - vec_parts[i].from));
	}
	vec_end(vcpu, loaded);
}

void ost_fpu_set_vec(struct ost_vcpu *vcpu, int reg, const void *in, u32 size, bool zero_upper)
{
	struct xregs_state *image = vcpu->fpu.image;
	bool loaded = vec_begin(vcpu);
	int i;

	reg &= 15;
	for (i = 0; i < NR_VEC_PARTS; i++) {
		if (!(image_mask & BIT_ULL(vec_parts[i].component)))
			continue;
		if (vec_parts[i].from >= size && !zero_upper)
			break;
		materialise(image, BIT_ULL(vec_parts[i].component));
		if (vec_parts[i].from < size)
			memcpy(vec_part(image, i, reg), in + vec_parts[i].from,
			       min_t(u32, vec_parts[i].len, size - vec_parts[i].from));
		else
			memset(vec_part(image, i, reg), 0, vec_parts[i].len);
	}
	vec_end(vcpu, loaded);
}

/* --- MMX --- */

#define FSW_ES BIT(7)		/* an unmasked exception waits */
#define FSW_TOP_SHIFT 11
#define FSW_TOP (7 << FSW_TOP_SHIFT)
#define ST_BYTES 16		/* of a register in the image */

/* MMn is register n, and the image has them in the stack's order (SDM vol. 1, 10.5.1.1). */
static u8 *mmx_register(struct fxregs_state *fx, int reg)
{
	int top = (fx->swd & FSW_TOP) >> FSW_TOP_SHIFT;

	return (u8 *)fx->st_space + ST_BYTES * ((reg - top) & 7);
}

bool ost_fpu_get_mmx(struct ost_vcpu *vcpu, int reg, u64 *val)
{
	struct xregs_state *image = vcpu->fpu.image;
	bool loaded = vec_begin(vcpu), exception;

	materialise(image, XFEATURE_MASK_FP);
	memcpy(val, mmx_register(&image->i387, reg), sizeof(*val));
	exception = image->i387.swd & FSW_ES;
	vec_end(vcpu, loaded);
	return exception;
}

void ost_fpu_set_mmx(struct ost_vcpu *vcpu, int reg, const u64 *val)
{
	struct xregs_state *image = vcpu->fpu.image;
	struct fxregs_state *fx = &image->i387;
	bool loaded = vec_begin(vcpu);
	u8 regs[8][ST_BYTES];
	int i;

	materialise(image, XFEATURE_MASK_FP);
	/* Behind an MMX instruction the stack's top is 0 and all registers are valid (SDM vol. 1, 9.6.2). */
	for (i = 0; i < 8; i++)
		memcpy(regs[i], mmx_register(fx, i), ST_BYTES);
	memcpy(fx->st_space, regs, sizeof(regs));
	fx->swd &= ~FSW_TOP;
	fx->twd = 0xff;
	if (val) {
		memcpy(mmx_register(fx, reg), val, sizeof(*val));
		/* Sign and exponent */
		memset(mmx_register(fx, reg) + sizeof(*val), 0xff, 2);
	}
	vec_end(vcpu, loaded);
}
