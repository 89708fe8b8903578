/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's FPU, SSE, AVX… state (fpu.c).
 *
 * It lives in a buffer of ours in the standard (not compacted) XSAVE layout, which is also the
 * ABI's. It is in the CPU's registers only between ost_fpu_load() and ost_fpu_unload(): a section
 * with preemption disabled, inside kernel_fpu_begin_mask()/kernel_fpu_end(), so that neither a
 * context switch nor a user of the kernel's FPU in an interrupt touches it. The section spans many
 * exits; guest XCR0 and XSS stay loaded throughout it. PKRU is not part of it: the backends switch
 * it around each entry, because get_user_pages() looks at it.
 */
#ifndef OST_FPU_H
#define OST_FPU_H

#include <linux/types.h>
#include <linux/kvm.h>

struct ost_vcpu;

struct ost_fpu {
	void *image;		/* 64-byte aligned XSAVE image of ost_fpu_size bytes */
	u64 xcr0;		/* the guest's XCR0 */
	u64 xss;		/* the guest's IA32_XSS */
	u64 wanted_xcr0;	/* in the register while loaded */
	u32 pkru;		/* the guest's PKRU */
	u32 host_pkru;		/* of this thread, while loaded */
	bool uses_pkru;		/* the guest can change PKRU: it has to be switched */
	bool loaded;
};

/* XCR0 bits a guest may have: what the host has on, less what needs XFD. Read-only after load. */
extern u64 ost_fpu_xcr0_mask;
/* Bits of MXCSR that this CPU has. Read-only after load. */
extern u32 ost_fpu_mxcsr_mask;

/* Bytes of a standard XSAVE image with these components (XCR0 bits), header included. */
u32 ost_fpu_size_of(u64 components);
/* The same for the compacted layout of XSAVEC and XSAVES. */
u32 ost_fpu_compact_size_of(u64 components);
/* KVM_CAP_XSAVE2: bytes of KVM_GET_XSAVE2 and KVM_SET_XSAVE, at least sizeof(struct kvm_xsave). */
u32 ost_fpu_xsave2_size(void);
/* The XCR0 a guest may load by the rules of the components among themselves (SDM vol. 1, 13.3). */
bool ost_fpu_xcr0_valid(u64 xcr0);

int ost_fpu_setup(void);	/* at load */
int ost_fpu_create(struct ost_vcpu *vcpu);
void ost_fpu_destroy(struct ost_vcpu *vcpu);
/* State after RESET; INIT leaves all of it alone (SDM vol. 3A, table 9-1). */
void ost_fpu_reset(struct ost_vcpu *vcpu, bool init_event);

/* Guest's state into the registers unless it is there; disables preemption. Interrupts must be on. */
void ost_fpu_load(struct ost_vcpu *vcpu);
/* Guest's state back into the image, the host's XCR0 back, preemption enabled. */
void ost_fpu_unload(struct ost_vcpu *vcpu);

/* PKRU to the guest's value and back to the host's, where the guest can change it (run.h). [irqoff] */
void ost_fpu_load_pkru(struct ost_vcpu *vcpu);
void ost_fpu_save_pkru(struct ost_vcpu *vcpu);
/* CR4.PKE or XCR0 changed (ost_cpuid_refresh() calls it). [vcpu or atomic] */
void ost_fpu_refresh(struct ost_vcpu *vcpu);

/* The guest executed XSETBV with a value that was checked, or KVM_SET_XCRS did. [vcpu or atomic] */
void ost_fpu_set_xcr0(struct ost_vcpu *vcpu, u64 xcr0);

/*
 * ABI: KVM_GET/SET_FPU, KVM_GET/SET_XSAVE, KVM_GET_XSAVE2. FPU not loaded. Of `size` bytes those
 * behind the image are zeroed / ignored. The setters answer -EINVAL for reserved bits of MXCSR and
 * headers that XRSTOR would refuse, or 0.
 */
void ost_fpu_get_fpu(struct ost_vcpu *vcpu, struct kvm_fpu *out);
int ost_fpu_set_fpu(struct ost_vcpu *vcpu, const struct kvm_fpu *in);
void ost_fpu_get_xsave(struct ost_vcpu *vcpu, void *out, u32 size);
int ost_fpu_set_xsave(struct ost_vcpu *vcpu, const void *in, u32 size);

/* For the emulator: XMM/YMM register access, whether loaded or not. [vcpu or atomic] */
void ost_fpu_get_vec(struct ost_vcpu *vcpu, int reg, void *out, u32 size);
void ost_fpu_set_vec(struct ost_vcpu *vcpu, int reg, const void *in, u32 size, bool zero_upper);

/* And MMX registers, as in emulate.h: answers whether an x87 exception waits. [vcpu or atomic] */
bool ost_fpu_get_mmx(struct ost_vcpu *vcpu, int reg, u64 *val);
void ost_fpu_set_mmx(struct ost_vcpu *vcpu, int reg, const u64 *val);

#endif
