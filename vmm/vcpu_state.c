// SPDX-License-Identifier: GPL-2.0-only
/* The boot processor's state at the kernel's entry point. */
#include <asm/processor-flags.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "boot.h"
#include "layout.h"
#include "status.h"
#include "vcpu.h"
#include "vm.h"

/*
 * Architectural MSR numbers (SDM vol. 4) and bits; the kernel's list of them is not for userspace.
 */
#define MSR_IA32_MISC_ENABLE		0x1a0
#define MISC_ENABLE_FAST_STRING		(1ULL << 0)
#define MSR_K7_HWCR			0xc0010015
#define HWCR_TSC_FREQ_SEL		(1ULL << 24)
#define MSR_MTRR_DEF_TYPE		0x2ff
#define MTRR_DEF_TYPE_ENABLE		(1ULL << 11)
#define MTRR_TYPE_WB			6ULL
#define EFER_LME			(1ULL << 8)
#define EFER_LMA			(1ULL << 10)

#define LAPIC_LVT_LINT0			0x350
#define LAPIC_LVT_LINT1			0x360
#define LVT_EXTINT			(7u << 8)
#define LVT_NMI				(4u << 8)

/* The boot protocol's selectors: __BOOT_CS, __BOOT_DS, and a task for the CPU's own consistency. */
#define SELECTOR_CODE			0x10
#define SELECTOR_DATA			0x18
#define SELECTOR_TASK			0x20

/* Segment types (SDM vol. 3A, 3.4.5.1 and 3.5). */
#define TYPE_DATA_RW_ACCESSED		3
#define TYPE_CODE_RX_ACCESSED		11
#define TYPE_TSS_BUSY			11

static struct kvm_segment flat_code(bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = SELECTOR_CODE, .type = TYPE_CODE_RX_ACCESSED,
		.present = 1, .s = 1, .g = 1, .l = long_mode, .db = !long_mode,
	};
}

static struct kvm_segment flat_data(void)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = SELECTOR_DATA, .type = TYPE_DATA_RW_ACCESSED,
		.present = 1, .s = 1, .g = 1, .db = 1,
	};
}

static struct kvm_segment task(void)
{
	return (struct kvm_segment){
		.limit = 0x67, .selector = SELECTOR_TASK, .type = TYPE_TSS_BUSY, .present = 1,
	};
}

/* The descriptor a guest would read from memory for @segment. */
static uint64_t descriptor(const struct kvm_segment *segment)
{
	uint64_t limit = segment->g ? segment->limit >> 12 : segment->limit;

	return (limit & 0xffff) | (segment->base & 0xffffff) << 16 | (uint64_t)segment->type << 40 |
	       (uint64_t)segment->s << 44 | (uint64_t)segment->dpl << 45 |
	       (uint64_t)segment->present << 47 | (limit >> 16 & 0xf) << 48 |
	       (uint64_t)segment->l << 53 | (uint64_t)segment->db << 54 |
	       (uint64_t)segment->g << 55 | (segment->base >> 24 & 0xff) << 56;
}

static void set_segments(struct vm *vm, struct kvm_sregs *sregs, bool long_mode)
{
	uint64_t *gdt = guest_mem_ptr(&vm->mem, LAYOUT_GDT, 5 * sizeof(uint64_t));

	sregs->cs = flat_code(long_mode);
	sregs->ds = flat_data();
	sregs->es = flat_data();
	sregs->fs = flat_data();
	sregs->gs = flat_data();
	sregs->ss = flat_data();
	sregs->tr = task();
	memset(gdt, 0, 5 * sizeof(uint64_t));
	gdt[SELECTOR_CODE / 8] = descriptor(&sregs->cs);
	gdt[SELECTOR_DATA / 8] = descriptor(&sregs->ds);
	gdt[SELECTOR_TASK / 8] = descriptor(&sregs->tr);
	sregs->gdt.base = LAYOUT_GDT;
	sregs->gdt.limit = 5 * sizeof(uint64_t) - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
}

/* The first 4 GiB, mapped to themselves by 2 MiB pages. */
static void build_page_tables(struct vm *vm)
{
	const uint64_t present_rw = 0x3, large = 0x80;
	uint64_t *pml4 = guest_mem_ptr(&vm->mem, LAYOUT_PAGE_TABLES, 6 * 4096);
	uint64_t *pdpt = pml4 + 512, *pd = pml4 + 1024;

	memset(pml4, 0, 6 * 4096);
	pml4[0] = (LAYOUT_PAGE_TABLES + 4096) | present_rw;
	for (unsigned int i = 0; i < 4; i++)
		pdpt[i] = (LAYOUT_PAGE_TABLES + 4096 * (2 + i)) | present_rw;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = i * (2 * MIB) | present_rw | large;
}

static int set_registers(struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_regs regs = { .rip = entry->rip, .rflags = X86_EFLAGS_FIXED };
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return vmm_fail(VMM_FAILED, "cannot read CPU registers: %s", strerror(errno));
	set_segments(vcpu->vm, &sregs, entry->long_mode);
	sregs.cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
	if (entry->long_mode) {
		build_page_tables(vcpu->vm);
		sregs.cr3 = LAYOUT_PAGE_TABLES;
		sregs.cr4 = X86_CR4_PAE;
		sregs.cr0 |= X86_CR0_PG;
		sregs.efer = EFER_LME | EFER_LMA;
		regs.rsi = entry->argument;
		regs.rsp = LAYOUT_STACK_TOP;
	} else {
		sregs.cr4 = 0;
		sregs.efer = 0;
		regs.rbx = entry->argument;
	}
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return vmm_fail(VMM_FAILED, "cannot set CPU registers: %s", strerror(errno));
	return VMM_OK;
}

void vcpu_set_firmware_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry entries[] = {
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_DEF_TYPE_ENABLE | MTRR_TYPE_WB },
		{ .index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
		{ .index = MSR_K7_HWCR, .data = HWCR_TSC_FREQ_SEL },
	};
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs;

	/*
	 * One at a time: a CPU without one of them has no need of it, and would skip those after
	 * it.
	 */
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		memset(&msrs, 0, sizeof(msrs));
		msrs.header.nmsrs = 1;
		msrs.entry = entries[i];
		ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
	}
}

/*
 * Virtual wire mode, as firmware sets it up: the PIC reaches the boot CPU through LINT0, NMIs come
 * on LINT1.
 */
static int set_lapic(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	uint32_t lint0 = LVT_EXTINT, lint1 = LVT_NMI;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic) < 0)
		return vmm_fail(VMM_FAILED, "cannot read the local APIC: %s", strerror(errno));
	memcpy(&lapic.regs[LAPIC_LVT_LINT0], &lint0, sizeof(lint0));
	memcpy(&lapic.regs[LAPIC_LVT_LINT1], &lint1, sizeof(lint1));
	if (ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic) < 0)
		return vmm_fail(VMM_FAILED, "cannot set the local APIC: %s", strerror(errno));
	return VMM_OK;
}

int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry)
{
	int status = set_registers(vcpu, entry);

	return status ? status : set_lapic(vcpu);
}
