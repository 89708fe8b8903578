/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMCS: the instructions that reach it, and a cache of its fields. References are to the Intel SDM,
 * volume 3C, chapters 25 to 30 as numbered in the editions of 2023 and 2024.
 *
 * A field in the cache is read from the VMCS when somebody first asks for it after an exit, and written
 * before the next entry if it changed. So no code but run.c needs the VMCS to be current for writing,
 * and reading it outside of a run happens in one place (ost_vmcs_fetch). RIP, RSP and RFLAGS are cached
 * in vcpu->regs; fields that never change, and the host's state, are written by host.c and vcpu.c.
 */
#ifndef OST_VMX_VMCS_H
#define OST_VMX_VMCS_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

/* What the CPU changes while the guest runs; 64 at most. */
#define OST_VMCS_STATE(X)                                                                          \
	X(GUEST_ES_SELECTOR) X(GUEST_CS_SELECTOR) X(GUEST_SS_SELECTOR) X(GUEST_DS_SELECTOR)        \
	X(GUEST_FS_SELECTOR) X(GUEST_GS_SELECTOR) X(GUEST_LDTR_SELECTOR) X(GUEST_TR_SELECTOR)      \
	X(GUEST_ES_LIMIT) X(GUEST_CS_LIMIT) X(GUEST_SS_LIMIT) X(GUEST_DS_LIMIT)                    \
	X(GUEST_FS_LIMIT) X(GUEST_GS_LIMIT) X(GUEST_LDTR_LIMIT) X(GUEST_TR_LIMIT)                  \
	X(GUEST_ES_AR_BYTES) X(GUEST_CS_AR_BYTES) X(GUEST_SS_AR_BYTES) X(GUEST_DS_AR_BYTES)        \
	X(GUEST_FS_AR_BYTES) X(GUEST_GS_AR_BYTES) X(GUEST_LDTR_AR_BYTES) X(GUEST_TR_AR_BYTES)      \
	X(GUEST_ES_BASE) X(GUEST_CS_BASE) X(GUEST_SS_BASE) X(GUEST_DS_BASE)                        \
	X(GUEST_FS_BASE) X(GUEST_GS_BASE) X(GUEST_LDTR_BASE) X(GUEST_TR_BASE)                      \
	X(GUEST_GDTR_LIMIT) X(GUEST_IDTR_LIMIT) X(GUEST_GDTR_BASE) X(GUEST_IDTR_BASE)              \
	X(GUEST_CR0) X(GUEST_CR3) X(GUEST_CR4) X(GUEST_PENDING_DBG_EXCEPTIONS)                     \
	X(GUEST_INTERRUPTIBILITY_INFO)                                                             \
	X(GUEST_SYSENTER_CS) X(GUEST_SYSENTER_ESP) X(GUEST_SYSENTER_EIP)                           \
	X(GUEST_PDPTR0) X(GUEST_PDPTR1) X(GUEST_PDPTR2) X(GUEST_PDPTR3)        \
	X(GUEST_ACTIVITY_STATE)
/* What an exit writes. The first of the second 64. */
#define OST_VMCS_EXIT(X)                                                                           \
	X(EXIT_QUALIFICATION) X(GUEST_PHYSICAL_ADDRESS)                                            \
	X(VM_EXIT_INTR_INFO) X(VM_EXIT_INTR_ERROR_CODE) X(IDT_VECTORING_INFO_FIELD)                \
	X(IDT_VECTORING_ERROR_CODE) X(VM_EXIT_INSTRUCTION_LEN)
/* What only we change, or the CPU in no way that matters: MOV DR exits unless run.c looks at DR7. */
#define OST_VMCS_CONTROL(X)                                                                        \
	X(PIN_BASED_VM_EXEC_CONTROL) X(CPU_BASED_VM_EXEC_CONTROL) X(SECONDARY_VM_EXEC_CONTROL)     \
	X(VM_EXIT_CONTROLS) X(VM_ENTRY_CONTROLS) X(EXCEPTION_BITMAP)                               \
	X(VM_ENTRY_INTR_INFO_FIELD) X(VM_ENTRY_EXCEPTION_ERROR_CODE) X(VM_ENTRY_INSTRUCTION_LEN)   \
	X(TPR_THRESHOLD) X(CR0_READ_SHADOW) X(CR4_READ_SHADOW) X(CR0_GUEST_HOST_MASK)              \
	X(CR4_GUEST_HOST_MASK) X(GUEST_IA32_EFER) X(GUEST_IA32_PAT) X(GUEST_DR7)                   \
	X(GUEST_IA32_DEBUGCTL)

#define OST_VMCS_ENUM(field) OST_V_##field,
enum ost_vmcs_slot {
	OST_VMCS_STATE(OST_VMCS_ENUM)
	OST_V_LAST_STATE,
	OST_V_FIRST_EXIT = 63,
	OST_VMCS_EXIT(OST_VMCS_ENUM)
	OST_V_FIRST_CONTROL,
	OST_V_BEFORE_CONTROL = OST_V_FIRST_CONTROL - 1,
	OST_VMCS_CONTROL(OST_VMCS_ENUM)
	OST_NR_VMCS_SLOTS
};

struct ost_vmcs_cache {
	u64 val[OST_NR_VMCS_SLOTS];
	u64 avail[2], dirty[2];		/* bits by slot */
};

/* Encodings by slot. */
extern const u16 ost_vmcs_fields[OST_NR_VMCS_SLOTS];

/* --- instructions (30.3); those that can meet a CPU whose VMX was just turned off survive it --- */

/* 0 for what can't be read. */
static __always_inline u64 ost_vmread(unsigned long field)
{
	u64 val = 0;

	asm volatile("1: vmread %1, %0\n2:\n" _ASM_EXTABLE(1b, 2b) : "+r"(val) : "r"(field) : "cc");
	return val;
}

/* The same, where VMX may be off: false then. */
static __always_inline bool ost_vmread_try(unsigned long field, u64 *val)
{
	bool done;

	asm volatile("xor %k1, %k1\n1: vmread %2, %0\nmov $1, %k1\n2:\n" _ASM_EXTABLE(1b, 2b)
		     : "+r"(*val), "=&r"(done) : "r"(field) : "cc");
	return done;
}

/* False when the CPU refused, or VMX is off. */
static __always_inline bool ost_vmwrite(unsigned long field, u64 val)
{
	bool failed;

	/* CF from STC stays set if the instruction faults. */
	asm volatile("stc\n1: vmwrite %2, %1\n2: setbe %0\n" _ASM_EXTABLE(1b, 2b)
		     : "=qm"(failed) : "r"(field), "r"(val) : "cc");
	return !failed;
}

static inline bool ost_vmclear(u64 pa)
{
	bool failed;

	asm volatile("stc\n1: vmclear %1\n2: setbe %0\n" _ASM_EXTABLE(1b, 2b)
		     : "=qm"(failed) : "m"(pa) : "cc", "memory");
	return !failed;
}

static inline bool ost_vmptrld(u64 pa)
{
	bool failed;

	asm volatile("stc\n1: vmptrld %1\n2: setbe %0\n" _ASM_EXTABLE(1b, 2b)
		     : "=qm"(failed) : "m"(pa) : "cc", "memory");
	return !failed;
}

static inline bool ost_vmxon(u64 pa)
{
	bool failed;

	asm volatile("stc\n1: vmxon %1\n2: setbe %0\n" _ASM_EXTABLE(1b, 2b)
		     : "=qm"(failed) : "m"(pa) : "cc", "memory");
	return !failed;
}

static inline void ost_vmxoff(void)
{
	asm volatile("1: vmxoff\n2:\n" _ASM_EXTABLE(1b, 2b) : : : "cc", "memory");
}

static inline bool ost_invept(unsigned long type, u64 eptp)
{
	struct {
		u64 eptp, zero;
	} operand = { eptp, 0 };
	bool failed;

	asm volatile("invept %1, %2\nsetbe %0\n"
		     : "=qm"(failed) : "m"(operand), "r"(type) : "cc", "memory");
	return !failed;
}

static inline bool ost_invvpid(unsigned long type, u16 vpid)
{
	struct {
		u64 vpid, address;
	} operand = { vpid, 0 };
	bool failed;

	asm volatile("invvpid %1, %2\nsetbe %0\n"
		     : "=qm"(failed) : "m"(operand), "r"(type) : "cc", "memory");
	return !failed;
}

#endif
