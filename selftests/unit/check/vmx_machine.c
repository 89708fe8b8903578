// SPDX-License-Identifier: GPL-2.0-only
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <string.h>
#include "vmx_machine.h"

const char *const state_names[NR_STATES] = {
	"full", "plain", "compatibility", "real", "pae", "flat32", "v8086",
};

/* Bits that a CPU demands; the TRUE MSRs (SDM vol. 3D, appendix A.3 to A.5). */
#define PIN_ONES 0x16u
#define PROC_ONES 0x04006172u
#define EXIT_ONES 0x00036dfbu
#define ENTRY_ONES 0x000011fbu

#define PIN_ALL 0xffu
#define PROC_ALL 0xfffbfffeu
/* Without bits 27 and 29, so that there are some to be refused. */
#define PROC2_ALL 0xd7ffffffu
#define EXIT_ALL 0xfbffffffu
#define ENTRY_ALL 0x007fffffu

#define EXIT_FULL                                                                                  \
	(VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_ACK_INTR_ON_EXIT | VM_EXIT_LOAD_IA32_PAT |         \
	 VM_EXIT_LOAD_IA32_EFER | VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL |                             \
	 VM_EXIT_SAVE_VMX_PREEMPTION_TIMER | VM_EXIT_CLEAR_IA32_RTIT_CTL |                         \
	 OST_VMX_EXIT_LOAD_CET | OST_VMX_EXIT_LOAD_PKRS | OST_VMX_EXIT_SECONDARY)
#define ENTRY_FULL                                                                                 \
	(VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_DEBUG_CONTROLS |                                      \
	 VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL | VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER |  \
	 VM_ENTRY_LOAD_BNDCFGS | VM_ENTRY_LOAD_IA32_RTIT_CTL | OST_VMX_ENTRY_LOAD_UINV |           \
	 OST_VMX_ENTRY_LOAD_CET | OST_VMX_ENTRY_LOAD_LBR_CTL | OST_VMX_ENTRY_LOAD_PKRS)

enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

static const struct ost_vmx_capabilities all_cpu = {
	.basic = REVISION | BIT_ULL(55),
	.pin = PIN_ONES | (u64)PIN_ALL << 32,
	.proc = PROC_ONES | (u64)PROC_ALL << 32,
	.proc2 = (u64)PROC2_ALL << 32,
	.proc3 = 0x1f,
	.exit = EXIT_ONES | (u64)EXIT_ALL << 32,
	.exit2 = BIT_ULL(3),
	.entry = ENTRY_ONES | (u64)ENTRY_ALL << 32,
	.misc = 4 << 16 | BIT(8) | BIT(7) | BIT(6),
	.ept_vpid = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_AD_BIT,
	.vmfunc = VMX_VMFUNC_EPTP_SWITCHING,
	.cr0_fixed0 = X86_CR0_PG | X86_CR0_NE | X86_CR0_PE,
	.cr0_fixed1 = 0xffffffff,
	.cr4_fixed0 = X86_CR4_VMXE,
	.cr4_fixed1 = 0x00ff27ff,
	.phys_bits = 46,
	.linear_bits = 48,
	.features = OST_VMX_CPU_SGX | OST_VMX_CPU_RTM | OST_VMX_CPU_CET,
	.efer_reserved = ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX),
	.debugctl_reserved = ~0xdfc3ull,
	.perf_global_reserved = ~0x70000000full,
	.rtit_ctl_reserved = ~0xfull,
};

/* Fields that exist only where the 1-setting of a control does. */
static bool exists(const struct machine *m, u32 field)
{
	u32 proc = m->cpu.proc >> 32, proc2 = m->cpu.proc2 >> 32;
	u32 entry = m->cpu.entry >> 32, exit = m->cpu.exit >> 32;

	switch (field) {
	case SECONDARY_VM_EXEC_CONTROL:
		return proc & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	case TERTIARY_VM_EXEC_CONTROL:
		return proc & CPU_BASED_ACTIVATE_TERTIARY_CONTROLS;
	case VIRTUAL_APIC_PAGE_ADDR:
	case TPR_THRESHOLD:
		return proc & CPU_BASED_TPR_SHADOW;
	case EPT_POINTER:
	case GUEST_PDPTR0 ... GUEST_PDPTR3:
		return proc2 & SECONDARY_EXEC_ENABLE_EPT;
	case PML_ADDRESS:
		return proc2 & SECONDARY_EXEC_ENABLE_PML;
	case GUEST_IA32_EFER:
		return entry & VM_ENTRY_LOAD_IA32_EFER;
	case HOST_IA32_EFER:
		return exit & VM_EXIT_LOAD_IA32_EFER;
	case OST_VMCS_SECONDARY_EXIT_CONTROLS:
		return exit & OST_VMX_EXIT_SECONDARY;
	case OST_VMCS_GUEST_S_CET:
	case OST_VMCS_GUEST_SSP:
	case OST_VMCS_GUEST_SSP_TABLE:
		return entry & OST_VMX_ENTRY_LOAD_CET;
	case OST_VMCS_GUEST_PKRS:
		return entry & OST_VMX_ENTRY_LOAD_PKRS;
	default:
		return true;
	}
}

static u64 vmread(void *ctx, u32 field)
{
	struct machine *m = ctx;

	m->nr_reads++;
	if (field >= NR_FIELDS || !exists(m, field)) {
		m->missing = true;
		return 0;
	}
	return m->vmcs[field];
}

static void seg(struct machine *m, int n, u16 selector, u64 base, u32 limit, u32 ar)
{
	m->vmcs[GUEST_ES_SELECTOR + 2 * n] = selector;
	m->vmcs[GUEST_ES_BASE + 2 * n] = base;
	m->vmcs[GUEST_ES_LIMIT + 2 * n] = limit;
	m->vmcs[GUEST_ES_AR_BYTES + 2 * n] = ar;
}

static void init_host(u64 *v)
{
	int i;

	for (i = HOST_ES_SELECTOR; i <= HOST_GS_SELECTOR; i += 2)
		v[i] = 0;
	v[HOST_CS_SELECTOR] = 0x10;
	v[HOST_SS_SELECTOR] = 0x18;
	v[HOST_TR_SELECTOR] = 0x40;
	v[HOST_CR0] = 0x80050033;
	v[HOST_CR3] = 0x1234000;
	v[HOST_CR4] = 0x3626f0 & 0x00ff27ff;
	v[HOST_IA32_PAT] = 0x0407050600070106;
	v[HOST_IA32_EFER] = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	v[HOST_IA32_PERF_GLOBAL_CTRL] = 0x70000000f;
	v[HOST_FS_BASE] = 0x7f0012345000;
	v[HOST_GS_BASE] = 0xffff888012340000;
	v[HOST_TR_BASE] = 0xfffffe0000003000;
	v[HOST_GDTR_BASE] = 0xfffffe0000001000;
	v[HOST_IDTR_BASE] = 0xfffffe0000000000;
	v[HOST_IA32_SYSENTER_ESP] = 0xfffffe0000002200;
	v[HOST_IA32_SYSENTER_EIP] = 0xffffffff81a01510;
	v[HOST_RIP] = 0xffffffffc0123456;
	v[OST_VMCS_HOST_S_CET] = BIT_ULL(2);
	v[OST_VMCS_HOST_SSP] = 0xffffc90000000ff8;
	v[OST_VMCS_HOST_SSP_TABLE] = 0xfffffe0000004000;
	v[OST_VMCS_HOST_PKRS] = 0x55555554;
}

static void init_guest64(struct machine *m)
{
	u64 *v = m->vmcs;

	v[GUEST_CR0] = 0x80050033;
	v[GUEST_CR3] = 0x6789000;
	v[GUEST_CR4] = X86_CR4_VMXE | X86_CR4_PAE | X86_CR4_PGE;
	v[GUEST_DR7] = 0x400;
	v[GUEST_IA32_EFER] = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	v[GUEST_IA32_PAT] = 0x0007040600070406;
	v[GUEST_IA32_DEBUGCTL] = 0;
	v[GUEST_IA32_PERF_GLOBAL_CTRL] = 3;
	v[GUEST_SYSENTER_ESP] = 0xfffffe0000002200;
	v[GUEST_SYSENTER_EIP] = 0xffffffff81a01510;
	v[GUEST_RIP] = 0xffffffff81000000;
	v[GUEST_RFLAGS] = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	v[GUEST_GDTR_BASE] = 0xfffffe0000001000;
	v[GUEST_GDTR_LIMIT] = 0x7f;
	v[GUEST_IDTR_BASE] = 0xfffffe0000000000;
	v[GUEST_IDTR_LIMIT] = 0xfff;
	v[VMCS_LINK_POINTER] = ~0ull;
	seg(m, CS, 0x10, 0, 0xffffffff, 0xa09b);
	seg(m, SS, 0x18, 0, 0xffffffff, 0xc093);
	seg(m, DS, 0, 0, 0, BIT(16));
	seg(m, ES, 0, 0, 0, BIT(16));
	seg(m, FS, 0, 0x7f0012345000, 0, BIT(16));
	seg(m, GS, 0, 0xffff888012340000, 0, BIT(16));
	seg(m, LDTR, 0x50, 0xffff888000001000, 0xfff, 0x82);
	seg(m, TR, 0x40, 0xfffffe0000003000, 0x206f, 0x8b);
}

static void init_controls(u64 *v)
{
	v[PIN_BASED_VM_EXEC_CONTROL] = PIN_ONES | PIN_BASED_EXT_INTR_MASK |
				       PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS;
	v[CPU_BASED_VM_EXEC_CONTROL] = PROC_ONES | CPU_BASED_TPR_SHADOW | CPU_BASED_USE_IO_BITMAPS |
				       CPU_BASED_USE_MSR_BITMAPS |
				       CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	v[SECONDARY_VM_EXEC_CONTROL] = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID |
				       SECONDARY_EXEC_UNRESTRICTED_GUEST |
				       SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	v[VM_EXIT_CONTROLS] = EXIT_ONES | VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_EFER;
	v[VM_ENTRY_CONTROLS] = ENTRY_ONES | VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_IA32_EFER;
	v[VIRTUAL_PROCESSOR_ID] = 1;
	v[IO_BITMAP_A] = 0x10000;
	v[IO_BITMAP_B] = 0x11000;
	v[MSR_BITMAP] = 0x12000;
	v[VIRTUAL_APIC_PAGE_ADDR] = 0x13000;
	v[APIC_ACCESS_ADDR] = 0xfee00000;
	v[EPT_POINTER] = 0x14000 | VMX_EPTP_PWL_4 | VMX_EPTP_MT_WB | VMX_EPTP_AD_ENABLE_BIT;
	v[VM_EXIT_MSR_STORE_ADDR] = 0x15000;
	v[VM_EXIT_MSR_STORE_COUNT] = 2;
	v[VM_EXIT_MSR_LOAD_ADDR] = 0x15100;
	v[VM_EXIT_MSR_LOAD_COUNT] = 2;
	v[VM_ENTRY_MSR_LOAD_ADDR] = 0x15200;
	v[VM_ENTRY_MSR_LOAD_COUNT] = 2;
}

static void make_full(u64 *v)
{
	v[PIN_BASED_VM_EXEC_CONTROL] |= PIN_BASED_VMX_PREEMPTION_TIMER | PIN_BASED_POSTED_INTR;
	v[CPU_BASED_VM_EXEC_CONTROL] |= CPU_BASED_NMI_WINDOW_EXITING |
					CPU_BASED_ACTIVATE_TERTIARY_CONTROLS;
	v[SECONDARY_VM_EXEC_CONTROL] = PROC2_ALL & ~SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	v[TERTIARY_VM_EXEC_CONTROL] = 0x1f;
	v[VM_EXIT_CONTROLS] |= EXIT_FULL;
	v[VM_ENTRY_CONTROLS] |= ENTRY_FULL;
	v[OST_VMCS_SECONDARY_EXIT_CONTROLS] = BIT_ULL(3);
	v[POSTED_INTR_NV] = 0xf2;
	v[POSTED_INTR_DESC_ADDR] = 0x16040;
	v[PML_ADDRESS] = 0x17000;
	v[VM_FUNCTION_CONTROL] = VMX_VMFUNC_EPTP_SWITCHING;
	v[EPTP_LIST_ADDRESS] = 0x18000;
	v[VMREAD_BITMAP] = 0x19000;
	v[VMWRITE_BITMAP] = 0x1a000;
	v[OST_VMCS_VE_INFORMATION] = 0x1b000;
	v[OST_VMCS_SPPTP] = 0x1c000;
	v[OST_VMCS_LOW_PASID_DIRECTORY] = 0x1d000;
	v[OST_VMCS_HIGH_PASID_DIRECTORY] = 0x1e000;
	v[OST_VMCS_HLATP] = 0x1f018;
	v[PID_POINTER_TABLE] = 0x20008;
	v[LAST_PID_POINTER_INDEX] = 255;
	v[GUEST_BNDCFGS] = 0x7f0000000003;
	v[GUEST_IA32_RTIT_CTL] = 5;
	v[OST_VMCS_GUEST_UINV] = 0xec;
	v[OST_VMCS_GUEST_LBR_CTL] = 0x7f000f;
	v[OST_VMCS_GUEST_PKRS] = 0xfffffff0;
	v[OST_VMCS_GUEST_S_CET] = 0xffff800000000405;
	v[OST_VMCS_GUEST_SSP] = 0xffffc90000001ff8;
	v[OST_VMCS_GUEST_SSP_TABLE] = 0xfffffe0000004000;
	v[VMCS_LINK_POINTER] = 0x21000;
}

static void make_compat(struct machine *m)
{
	m->vmcs[GUEST_RIP] = 0x8049000;
	seg(m, CS, 0x23, 0, 0xffffffff, 0xc0fb);
	seg(m, SS, 0x2b, 0, 0xffffffff, 0xc0f3);
	seg(m, DS, 0x2b, 0, 0xffffffff, 0xc0f3);
}

static void leave_ia32e(u64 *v)
{
	v[VM_ENTRY_CONTROLS] &= ~VM_ENTRY_IA32E_MODE;
	v[GUEST_IA32_EFER] &= ~(u64)(EFER_LME | EFER_LMA);
}

static void make_real(struct machine *m)
{
	u64 *v = m->vmcs;
	int i;

	leave_ia32e(v);
	v[GUEST_CR0] = X86_CR0_NE | X86_CR0_ET | X86_CR0_CD | X86_CR0_NW;
	v[GUEST_CR4] = X86_CR4_VMXE;
	v[GUEST_RIP] = 0xfff0;
	v[GUEST_RFLAGS] = X86_EFLAGS_FIXED;
	for (i = ES; i <= GS; i++)
		seg(m, i, 0, 0, 0xffff, 0x93);
	seg(m, CS, 0xf000, 0xffff0000, 0xffff, 0x9b);
	seg(m, LDTR, 0, 0, 0xffff, 0x82);
	seg(m, TR, 0, 0, 0xffff, 0x83);
}

static void make_pae(struct machine *m)
{
	u64 *v = m->vmcs;
	int i;

	leave_ia32e(v);
	v[GUEST_RIP] = 0xc0100000;
	for (i = ES; i <= GS; i++)
		seg(m, i, 0x18, 0, 0xffffffff, 0xc093);
	seg(m, CS, 0x10, 0, 0xffffffff, 0xc09b);
	for (i = 0; i < 4; i++)
		v[GUEST_PDPTR0 + 2 * i] = 0x30001 + 0x1000 * i;
}

static void make_flat32(struct machine *m)
{
	make_pae(m);
	m->vmcs[SECONDARY_VM_EXEC_CONTROL] &= ~SECONDARY_EXEC_UNRESTRICTED_GUEST;
	m->vmcs[GUEST_PDPTR3] = 0x7ffffffffffffff0;	/* not present */
	seg(m, LDTR, 0, 0, 0, BIT(16));
}

static void make_v8086(struct machine *m)
{
	int i;

	make_flat32(m);
	m->vmcs[GUEST_RFLAGS] = X86_EFLAGS_FIXED | X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	m->vmcs[GUEST_RIP] = 0x100;
	for (i = ES; i <= GS; i++)
		seg(m, i, 0x1000 + i, 0x10000 + 16 * i, 0xffff, 0xf3);
}

void machine_init(struct machine *m, enum state state)
{
	memset(m, 0, sizeof(*m));
	m->cpu = all_cpu;
	m->link_id = REVISION | (state == FULL ? BIT(31) : 0);
	m->check = (struct ost_vmx_check) {
		.read = vmread,
		.ctx = m,
		.cpu = &m->cpu,
		.vmcs_pa = VMCS_PA,
		.link_id = &m->link_id,
		.vtpr = &m->vtpr,
	};
	init_controls(m->vmcs);
	init_host(m->vmcs);
	init_guest64(m);
	switch (state) {
	case FULL:
		make_full(m->vmcs);
		break;
	case COMPAT:
		make_compat(m);
		break;
	case REAL:
		make_real(m);
		break;
	case PAE:
		make_pae(m);
		break;
	case FLAT32:
		make_flat32(m);
		break;
	case V8086:
		make_v8086(m);
		break;
	default:
		break;
	}
}
