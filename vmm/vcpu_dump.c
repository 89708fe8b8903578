// SPDX-License-Identifier: GPL-2.0-only
/* What a person needs to see when a vCPU cannot go on. */
#include <asm/processor-flags.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "mem.h"
#include "vcpu.h"
#include "vm.h"

#define EFER_LMA		(1ULL << 10)
#define PTE_PRESENT		(1ULL << 0)
#define PTE_LARGE		(1ULL << 7)
#define PTE_ADDRESS		0x000ffffffffff000ULL
#define CODE_BYTES		16

/* Entry @index of the page table at @table; 0, which is not present, where there is no RAM. */
static uint64_t read_entry(const struct vm *vm, uint64_t table, unsigned int index,
			   unsigned int size)
{
	const void *entry = guest_mem_ptr(&vm->mem, table + (uint64_t)index * size, size);

	if (!entry)
		return 0;
	return size == 8 ? *(const volatile uint64_t *)entry : *(const volatile uint32_t *)entry;
}

/* Guest physical address of linear address @gva (SDM vol. 3A, 4.3 to 4.5), or ~0. */
static uint64_t translate(const struct vm *vm, const struct kvm_sregs *sregs, uint64_t gva)
{
	bool wide = sregs->cr4 & X86_CR4_PAE;
	unsigned int bits = wide ? 9 : 10, size = wide ? 8 : 4;
	uint64_t table = sregs->cr3 & PTE_ADDRESS;
	int level;

	if (!(sregs->cr0 & X86_CR0_PG))
		return gva;
	if (sregs->efer & EFER_LMA)
		level = sregs->cr4 & X86_CR4_LA57 ? 5 : 4;
	else
		level = wide ? 3 : 2;
	if (level == 3)
		table = sregs->cr3 & 0xffffffe0;
	if (level < 4)
		gva = (uint32_t)gva;
	for (; level; level--) {
		unsigned int shift = 12 + bits * (level - 1);
		uint64_t offset_mask = (1ULL << shift) - 1;
		uint64_t entry = read_entry(vm, table, gva >> shift & ((1u << bits) - 1), size);

		if (!(entry & PTE_PRESENT))
			return ~0ULL;
		table = entry & PTE_ADDRESS;
		if (level == 1 || (level <= 3 && entry & PTE_LARGE))
			return (table & ~offset_mask) | (gva & offset_mask);
	}
	return ~0ULL;
}

static void print_reason(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		fprintf(stderr, "internal error %u", run->internal.suberror);
		for (uint32_t i = 0; i < run->internal.ndata && i < 16; i++)
			fprintf(stderr, "%s%llx", i ? " " : ", data ",
				(unsigned long long)run->internal.data[i]);
		fprintf(stderr, "\n");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fprintf(stderr, "entry failed: hardware reason 0x%llx on host CPU %u\n",
			(unsigned long long)run->fail_entry.hardware_entry_failure_reason,
			run->fail_entry.cpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		/*
		 * AMD-V leaves the state undefined then (APM vol. 2, 15.14.3): stock KVM resets the
		 * CPU.
		 */
		fprintf(stderr, "triple fault; its state may have been reset since\n");
		break;
	default:
		fprintf(stderr, "exit reason %u\n", run->exit_reason);
		break;
	}
}

static void print_registers(const struct kvm_regs *r)
{
	fprintf(stderr,
		"rax %016llx rbx %016llx rcx %016llx rdx %016llx\n"
		"rsi %016llx rdi %016llx rbp %016llx rsp %016llx\n"
		"r8  %016llx r9  %016llx r10 %016llx r11 %016llx\n"
		"r12 %016llx r13 %016llx r14 %016llx r15 %016llx\n"
		"rip %016llx rflags %08llx\n",
		r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8, r->r9,
		r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip, r->rflags);
}

static void print_segment(const char *name, const struct kvm_segment *s)
{
	fprintf(stderr,
		"%s  %04x base %016llx limit %08x type %x s %u dpl %u p %u l %u db %u g %u\n", name,
		s->selector, s->base, s->limit, s->type, s->s, s->dpl, s->present, s->l, s->db,
		s->g);
}

static void print_system_registers(const struct kvm_sregs *s)
{
	print_segment("cs", &s->cs);
	print_segment("ss", &s->ss);
	print_segment("ds", &s->ds);
	print_segment("es", &s->es);
	print_segment("fs", &s->fs);
	print_segment("gs", &s->gs);
	print_segment("tr", &s->tr);
	fprintf(stderr,
		"gdt base %016llx limit %04x  idt base %016llx limit %04x\n"
		"cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %04llx\n",
		s->gdt.base, s->gdt.limit, s->idt.base, s->idt.limit, s->cr0, s->cr2, s->cr3,
		s->cr4, s->efer);
}

static void print_code(const struct vm *vm, const struct kvm_sregs *sregs, uint64_t rip)
{
	uint64_t gva = sregs->cs.l ? rip : sregs->cs.base + rip;

	fprintf(stderr, "code");
	for (unsigned int i = 0; i < CODE_BYTES; i++) {
		uint64_t gpa = translate(vm, sregs, gva + i);
		const volatile uint8_t *byte = gpa == ~0ULL ? NULL
							    : guest_mem_ptr(&vm->mem, gpa, 1);

		if (!byte) {
			fprintf(stderr, " (not in memory)");
			break;
		}
		fprintf(stderr, " %02x", *byte);
	}
	fprintf(stderr, "\n");
}

void vcpu_dump(const struct vcpu *vcpu)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	fprintf(stderr, "CPU %u: ", vcpu->id);
	print_reason(vcpu->run);
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return;
	print_registers(&regs);
	print_system_registers(&sregs);
	print_code(vcpu->vm, &sregs, regs.rip);
}
