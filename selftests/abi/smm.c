// SPDX-License-Identifier: GPL-2.0-only
/* System-management mode: SMIs, the save area, RSM, and the address space that is seen in it. */
#include <asm/processor-flags.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vm.h"

#define MSR_SMI_COUNT	0x34
#define MSR_SMBASE	0x9e

#define SMBASE		0x30000UL
#define HANDLER		(SMBASE + 0x8000)
#define AREA		(SMBASE + 0xfe00)
/* The slot of the second address space, with memory of its own at the same place as the first's. */
#define SMM_SLOT	0x10000U

#define PORT_GUEST	0x3f
#define PORT_SMM	0x80
#define PORT_VECTOR	0x40

/* Outside: one OUT after the other of a word in memory that both spaces have. */
GUEST_CODE(spin16, 16,
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(spin64, 64,
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
GUEST_CODE(vector_handler, 16,
	   "movw %cs, %ax\n"
	   "outw %ax, $0x40\n"
	   "iretw\n");
GUEST_CODE(rsm16, 16,
	   "rsm\n");
GUEST_CODE(halts, 16,
	   "hlt\n"
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");
/* At the reset vector. */
GUEST_CODE(reset, 16,
	   "movw $0x99, %ax\n"
	   "outw %ax, $0x3f\n");
/* An SMI to itself, by the LAPIC's register page. */
GUEST_CODE(self_smi, 64,
	   "movl $0xfee00300, %ebx\n"
	   "movl $0x44200, (%rbx)\n"
	   "1: movw 0x5000, %ax\n"
	   "outw %ax, $0x3f\n"
	   "jmp 1b\n");

/* Inside. */
GUEST_CODE(handler, 16,
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");
GUEST_CODE(relocating, 16,
	   "movl $0x20000, %cs:0xff00\n"
	   "movl $0x20000, %cs:0xfef8\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");
GUEST_CODE(writing, 16,
	   "movw $0x1234, 0x7000\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");
/* To long mode, by tables that are in the second space as in the first; see long_handler(). */
GUEST_CODE(to_long_mode, 16,
	   "lgdtl %cs:0x8080\n"
	   "movl %cr4, %eax\n"
	   "orl $0x20, %eax\n"
	   "movl %eax, %cr4\n"
	   "movl $0x100000, %eax\n"
	   "movl %eax, %cr3\n"
	   "movl $0xc0000080, %ecx\n"
	   "rdmsr\n"
	   "orl $0x100, %eax\n"
	   "wrmsr\n"
	   "movl %cr0, %eax\n"
	   "orl $0x80000001, %eax\n"
	   "movl %eax, %cr0\n"
	   "ljmpl $8, $0x38100\n");
GUEST_CODE(in_long_mode, 64,
	   "movq $0x123456789abcdef0, %r15\n"
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "ud2\n");
GUEST_CODE(leaves_long_mode, 64,
	   "movq $0x123456789abcdef0, %r15\n"
	   "movw 0x5000, %ax\n"
	   "outw %ax, $0x80\n"
	   "rsm\n");

FIXTURE(smm)
{
	struct vm vm;
	struct vcpu *vcpu;
	uint8_t *smram;
};

FIXTURE_SETUP(smm)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	if (!has_cap(&self->vm, KVM_CAP_X86_SMM))
		SKIP(return, "no KVM_CAP_X86_SMM");
	self->vcpu = &self->vm.vcpu[0];
	self->smram = page_alloc(VM_MEM_SIZE);
	ASSERT_NE(NULL, self->smram);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, VM_MEM_SIZE, self->smram));
	memcpy(self->smram + 0x5000, "MM", 2);
	vm_copy_in(&self->vm, 0x5000, "OO", 2);
	vm_load(&self->vm, 0xa000, vector_handler);
	for (uint16_t n = 0; n < 256; n++) {
		uint16_t entry[2] = { 0xa000 - 16 * n, n };

		vm_copy_in(&self->vm, 4 * n, entry, sizeof(entry));
	}
}

FIXTURE_TEARDOWN(smm)
{
	vm_close(&self->vm);
	if (self->smram)
		munmap(self->smram, VM_MEM_SIZE);
}

#define smm_load(self, gpa, name) memcpy((self)->smram + (gpa), name##_start, name##_end - name##_start)

#define start_16(self, code, smi_handler)						\
	do {										\
		vm_load(&(self)->vm, VM_CODE_GPA, code);				\
		smm_load(self, HANDLER, smi_handler);					\
		ASSERT_EQ(0, vcpu_cpuid_all(&(self)->vm, (self)->vcpu));		\
		ASSERT_EQ(0, vcpu_real_mode((self)->vcpu, VM_CODE_GPA));		\
	} while (0)

#define start_64(self, code, smi_handler)						\
	do {										\
		vm_load(&(self)->vm, VM_CODE_GPA, code);				\
		smm_load(self, HANDLER, smi_handler);					\
		ASSERT_EQ(0, vcpu_cpuid_all(&(self)->vm, (self)->vcpu));		\
		ASSERT_EQ(0, vcpu_long_mode(&(self)->vm, (self)->vcpu, VM_CODE_GPA));	\
	} while (0)

/* Runs to the next OUT: its port above its value, or a negative number. */
static long next_out(struct vcpu *vcpu)
{
	int reason = vcpu_run(vcpu);

	if (reason != KVM_EXIT_IO)
		return reason < 0 ? reason : -1000 - reason;
	return (long)vcpu->run->io.port << 16 | *(uint16_t *)io_data(vcpu);
}

#define OUT(port, value) ((long)(port) << 16 | (value))
#define OUTSIDE	OUT(PORT_GUEST, 'O' << 8 | 'O')
#define INSIDE	OUT(PORT_SMM, 'M' << 8 | 'M')

static int smi(struct vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_SMI, 0);
}

static bool in_smm(struct vcpu *vcpu)
{
	return vcpu->run->flags & KVM_RUN_X86_SMM;
}

static struct kvm_vcpu_events events_of(struct vcpu *vcpu)
{
	struct kvm_vcpu_events ev = {};

	ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &ev);
	return ev;
}

static int set_events(struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	return ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, ev);
}

static uint64_t area(const uint8_t *smram, uint32_t offset, size_t len)
{
	uint64_t val = 0;

	memcpy(&val, smram + SMBASE + offset, len);
	return val;
}

/* Stock KVM wants the LAPIC enabled by software, too. */
static int send_msi(struct vm *vm, uint32_t delivery)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = delivery << 8 };
	struct kvm_lapic_state lapic;

	if (ioctl(vm->vcpu[0].fd, KVM_GET_LAPIC, &lapic))
		return -1;
	*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
	if (ioctl(vm->vcpu[0].fd, KVM_SET_LAPIC, &lapic))
		return -1;
	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

TEST_F(smm, capabilities)
{
	EXPECT_EQ(1, has_cap(&self->vm, KVM_CAP_X86_SMM));
	EXPECT_EQ(2, has_cap(&self->vm, KVM_CAP_MULTI_ADDRESS_SPACE));
}

/* --- slots --- */

TEST_F(smm, slots_of_two_spaces)
{
	uint32_t slots = has_cap(&self->vm, KVM_CAP_NR_MEMSLOTS);
	uint8_t *mem = page_alloc(VM_PAGE_SIZE);

	ASSERT_NE(NULL, mem);
	/* They overlap among those of their own space only. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0x10000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 0x10001, 0, 0x10000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0x10002, 0, 0x10000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0x20000, 0, 0x20000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0xffff0000, 0, 0x20000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 0x10000 + slots, 0, 0x20000000, VM_PAGE_SIZE, mem));
	EXPECT_EQ(EINVAL, errno);
	/* The same number is another slot there. */
	EXPECT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0x10000000, 0, mem));
	EXPECT_EQ(-1, vm_set_slot(&self->vm, 1, 0, 0x10000000, 0, mem));
	EXPECT_EQ(0, vm_set_slot(&self->vm, 0x10001, 0, 0x10000000, 0, mem));
	munmap(mem, VM_PAGE_SIZE);
}

TEST_F(smm, dirty_logs_of_two_spaces)
{
	uint64_t bits[VM_MEM_SIZE / VM_PAGE_SIZE / 64] = {};
	struct kvm_dirty_log log = { .slot = SMM_SLOT, .dirty_bitmap = bits };

	start_16(self, spin16, writing);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, self->smram));
	ASSERT_EQ(0, vm_set_slot(&self->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, self->vm.mem));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, smi(self->vcpu));
		ASSERT_EQ(PORT_SMM, next_out(self->vcpu) >> 16);
		ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
		log.slot = SMM_SLOT;
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
		EXPECT_EQ(1ULL << 7, bits[0] & 1ULL << 7);
		/* The save area was written by the kernel. */
		EXPECT_EQ(1ULL << 63, bits[0] & 1ULL << 63);
		log.slot = 0;
		ASSERT_EQ(0, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
		EXPECT_EQ(0ULL, bits[0] & (1ULL << 7 | 1ULL << 63));
	}
	EXPECT_EQ(0x1234, *(uint16_t *)(self->smram + 0x7000));
	EXPECT_EQ(0, *(uint16_t *)(self->vm.mem + 0x7000));
	log.slot = 0x20000;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(EINVAL, errno);
	log.slot = 0x10005;
	EXPECT_EQ(-1, ioctl(self->vm.fd, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(ENOENT, errno);
}

/* Entries of dirty rings name the space. */
TEST(dirty_ring_names_the_space)
{
	struct kvm_dirty_gfn *ring;
	struct vcpu *vcpu;
	struct vm vm;
	uint8_t *smram;
	bool found = false;
	struct { struct vm vm; struct vcpu *vcpu; uint8_t *smram; } *self;

	ASSERT_EQ(0, vm_open(&vm, VM_IRQCHIP | VM_MEMORY));
	if (!has_cap(&vm, KVM_CAP_X86_SMM) || !has_cap(&vm, KVM_CAP_DIRTY_LOG_RING))
		SKIP(return, "no KVM_CAP_X86_SMM or dirty rings");
	ASSERT_EQ(0, enable_cap(vm.fd, KVM_CAP_DIRTY_LOG_RING, 65536));
	vcpu = vm_add_vcpu(&vm);
	ASSERT_NE(NULL, vcpu);
	ring = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
		    KVM_DIRTY_LOG_PAGE_OFFSET * VM_PAGE_SIZE);
	ASSERT_NE(MAP_FAILED, ring);
	smram = page_alloc(VM_MEM_SIZE);
	ASSERT_EQ(0, vm_set_slot(&vm, SMM_SLOT + 3, KVM_MEM_LOG_DIRTY_PAGES, 0, VM_MEM_SIZE, smram));
	self = (void *)calloc(1, sizeof(*self));
	self->vm = vm;
	self->vcpu = vcpu;
	self->smram = smram;
	start_16(self, spin16, writing);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, smi(vcpu));
		ASSERT_EQ(PORT_SMM, next_out(vcpu) >> 16);
		ASSERT_EQ(PORT_GUEST, next_out(vcpu) >> 16);
	}
	found = false;
	for (int i = 0; i < 4096 && ring[i].flags & KVM_DIRTY_GFN_F_DIRTY; i++) {
		EXPECT_EQ(SMM_SLOT + 3, ring[i].slot);
		found |= ring[i].offset == 7;
		ring[i].flags = KVM_DIRTY_GFN_F_RESET;
	}
	EXPECT_TRUE(found);
	EXPECT_LT(0, ioctl(vm.fd, KVM_RESET_DIRTY_RINGS, 0));
	/* It was armed by that. */
	for (int i = 0; i < 4096; i++)
		found &= !(ring[i].flags & KVM_DIRTY_GFN_F_DIRTY);
	EXPECT_TRUE(found);
	ASSERT_EQ(0, smi(vcpu));
	ASSERT_EQ(PORT_SMM, next_out(vcpu) >> 16);
	found = false;
	for (int i = 0; i < 4096; i++)
		found |= (ring[i].flags & KVM_DIRTY_GFN_F_DIRTY) && ring[i].offset == 7;
	EXPECT_TRUE(found);
	munmap(ring, 65536);
	free(self);
	vm_close(&vm);
	munmap(smram, VM_MEM_SIZE);
}

/* --- in and out --- */

TEST_F(smm, state_inside)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_debugregs dr;

	start_64(self, spin64, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_TRUE(in_smm(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	EXPECT_EQ(SMBASE, sregs.cs.base);
	EXPECT_EQ(SMBASE >> 4, sregs.cs.selector);
	EXPECT_EQ(0xffffffffU, sregs.cs.limit);
	EXPECT_EQ(0ULL, sregs.ds.base);
	EXPECT_EQ(0, sregs.ds.selector);
	EXPECT_EQ(0xffffffffU, sregs.ds.limit);
	EXPECT_EQ(0, sregs.ss.dpl);
	EXPECT_EQ(0ULL, sregs.cr0 & (X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG));
	EXPECT_EQ(0ULL, sregs.cr4);
	EXPECT_EQ(0ULL, sregs.efer);
	EXPECT_EQ(0, sregs.idt.limit);
	EXPECT_EQ(2ULL, regs.rflags);
	EXPECT_EQ(0x8000ULL, regs.rip & ~0xfULL);
	EXPECT_EQ(0x400ULL, dr.dr7);
}

TEST_F(smm, everything_comes_back)
{
	struct kvm_sregs sregs, sregs_after;
	struct kvm_regs regs, after;
	struct kvm_debugregs dr, dr_after;

	start_64(self, spin64, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	/* The OUT is behind it when the SMI comes. */
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, vcpu_run(self->vcpu));
	self->vcpu->run->immediate_exit = 0;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rbx = 0x0123456789abcdef;
	regs.r8 = 0xfedcba9876543210;
	regs.r15 = 0x5555aaaa5555aaaa;
	regs.rbp = 0x8877665544332211;
	regs.rdi = ~0ULL;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr));
	dr.db[0] = 0x123456;
	dr.dr7 = 0x402;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_DEBUGREGS, &dr));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	sregs.cr8 = 3;
	sregs.fs.base = 0x1122334455667788 & 0x7fffffffffff;
	sregs.gs.base = 0xffff800000001000;
	sregs.gdt.base = 0xffff888000000000;
	sregs.gdt.limit = 0x77;
	sregs.idt.base = 0x12345000;
	sregs.idt.limit = 0xfff;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));

	/* The save area, as the manual has it. */
	EXPECT_EQ(0x64ULL, area(self->smram, 0xfefc, 2));
	EXPECT_EQ(SMBASE, area(self->smram, 0xff00, 4));
	EXPECT_EQ(regs.rip, area(self->smram, 0xff78, 8));
	EXPECT_EQ(regs.rflags, area(self->smram, 0xff70, 8));
	EXPECT_EQ(regs.rax, area(self->smram, 0xfff8, 8));
	EXPECT_EQ(regs.rsp, area(self->smram, 0xffd8, 8));
	EXPECT_EQ(regs.r8, area(self->smram, 0xffb8, 8));
	EXPECT_EQ(regs.r15, area(self->smram, 0xff80, 8));
	EXPECT_EQ(regs.rbp, area(self->smram, 0xffd0, 8));
	EXPECT_EQ(regs.rdi, area(self->smram, 0xffc0, 8));
	EXPECT_EQ(sregs.cr0, area(self->smram, 0xff58, 8));
	EXPECT_EQ(sregs.cr3, area(self->smram, 0xff50, 8));
	EXPECT_EQ(sregs.cr4, area(self->smram, 0xff48, 8));
	EXPECT_EQ(sregs.efer, area(self->smram, 0xfed0, 8));
	EXPECT_EQ(sregs.fs.base, area(self->smram, 0xfe48, 8));
	EXPECT_EQ(sregs.cs.selector, area(self->smram, 0xfe10, 2));
	EXPECT_EQ(sregs.gdt.base, area(self->smram, 0xfe68, 8));
	EXPECT_EQ(sregs.idt.limit, area(self->smram, 0xfe84, 2));
	EXPECT_EQ(0x402ULL, area(self->smram, 0xff60, 8));

	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs_after));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &after));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_DEBUGREGS, &dr_after));
	EXPECT_EQ(0, memcmp(&sregs, &sregs_after, sizeof(sregs)));
	EXPECT_EQ(regs.rbx, after.rbx);
	EXPECT_EQ(regs.r8, after.r8);
	EXPECT_EQ(regs.r15, after.r15);
	EXPECT_EQ(regs.rsp, after.rsp);
	EXPECT_EQ(regs.rflags, after.rflags);
	EXPECT_EQ(0x402ULL, dr_after.dr7);
	EXPECT_EQ(0x123456ULL, dr_after.db[0]);
}

/* Without long mode in CPUID the area is the old one. */
TEST_F(smm, old_layout)
{
	struct kvm_regs regs, after;
	struct kvm_sregs sregs;

	vm_load(&self->vm, VM_CODE_GPA, spin16);
	smm_load(self, HANDLER, handler);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rbx = 0x12345678;
	regs.rdi = 0xabcdef01;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0ULL, area(self->smram, 0xfefc, 2));
	EXPECT_EQ(SMBASE, area(self->smram, 0xfef8, 4));
	EXPECT_EQ(VM_CODE_GPA, area(self->smram, 0xfff0, 4));
	EXPECT_EQ(2ULL, area(self->smram, 0xfff4, 4));
	EXPECT_EQ(0x12345678ULL, area(self->smram, 0xffdc, 4));
	EXPECT_EQ(0xabcdef01ULL, area(self->smram, 0xffec, 4));
	EXPECT_EQ(sregs.cr0, area(self->smram, 0xfffc, 4));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &after));
	EXPECT_EQ(regs.rbx, after.rbx);
	EXPECT_EQ(regs.rdi, after.rdi);
	EXPECT_EQ(regs.rsp, after.rsp);
}

static void long_handler(uint8_t *smram, const uint8_t *code, size_t len)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) gdtr = { sizeof(gdt) - 1, HANDLER + 0x90 };
	uint64_t *tables = (uint64_t *)(smram + VM_TABLES_GPA);

	memcpy(smram + HANDLER + 0x80, &gdtr, sizeof(gdtr));
	memcpy(smram + HANDLER + 0x90, gdt, sizeof(gdt));
	memcpy(smram + HANDLER + 0x100, code, len);
	tables[0] = (VM_TABLES_GPA + 4096) | 3;
	tables[512] = (VM_TABLES_GPA + 8192) | 3;
	tables[1024] = 0x83;
}

TEST_F(smm, long_mode_inside)
{
	struct kvm_sregs sregs, sregs_after;
	struct kvm_regs regs;

	start_64(self, spin64, to_long_mode);
	long_handler(self->smram, leaves_long_mode_start, leaves_long_mode_end - leaves_long_mode_start);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, smi(self->vcpu));
		ASSERT_EQ(INSIDE, next_out(self->vcpu));
		EXPECT_TRUE(in_smm(self->vcpu));
		ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
		EXPECT_EQ(0x123456789abcdef0ULL, regs.r15);
		ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
		EXPECT_FALSE(in_smm(self->vcpu));
	}
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs_after));
	EXPECT_EQ(0, memcmp(&sregs, &sregs_after, sizeof(sregs)));
}

/* What is no RSM is #UD as ever: without an IDT that is a shutdown. */
TEST_F(smm, ud_inside)
{
	start_64(self, spin64, to_long_mode);
	long_handler(self->smram, in_long_mode_start, in_long_mode_end - in_long_mode_start);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu));
}

TEST_F(smm, rsm_outside_is_ud)
{
	start_16(self, rsm16, handler);
	EXPECT_EQ(OUT(PORT_VECTOR, 6), next_out(self->vcpu));
	/* Nor is it one again, behind SMM. */
	ASSERT_EQ(0, smi(self->vcpu));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUT(PORT_VECTOR, 6), next_out(self->vcpu));
}

TEST_F(smm, relocation)
{
	uint64_t val;

	start_16(self, spin16, relocating);
	smm_load(self, 0x28000, handler);
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMBASE, &val));
	EXPECT_EQ(SMBASE, val);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(PORT_SMM, next_out(self->vcpu) >> 16);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMBASE, &val));
	EXPECT_EQ(0x20000ULL, val);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(0x20000U, *(uint32_t *)(self->smram + 0x2ff00));
	/* The VMM moves it, too. */
	smm_load(self, 0x58000, handler);
	memset(self->smram + 0x28000, 0xf4, 16);
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_SMBASE, 0x50000));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMI_COUNT, &val));
	EXPECT_EQ(3ULL, val);
	EXPECT_EQ(1, vcpu_set_msr(self->vcpu, MSR_SMI_COUNT, 77));
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMI_COUNT, &val));
	EXPECT_EQ(77ULL, val);
}

/* What RSM would load and a CPU can't: shutdown. */
TEST_F(smm, broken_save_areas)
{
	static const struct {
		uint32_t offset;
		uint64_t value;
	} broken[] = {
		{ 0xff48, 1ULL << 31 },		/* CR4: reserved */
		{ 0xff58, 0x80000000 },		/* CR0: PG without PE */
		{ 0xff58, 0x20000000 },		/* NW without CD */
		{ 0xfed0, 1ULL << 40 },		/* EFER: reserved */
	};
	struct kvm_vcpu_events ev;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		start_16(self, spin16, handler);
		ASSERT_EQ(0, smi(self->vcpu));
		ASSERT_EQ(INSIDE, next_out(self->vcpu));
		memcpy(self->smram + SMBASE + broken[i].offset, &broken[i].value, 8);
		EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_run(self->vcpu)) TH_LOG("case %zu", i);
		ev = events_of(self->vcpu);
		ev.flags = KVM_VCPUEVENT_VALID_SMM;
		ev.smi.smm = 0;
		ev.smi.pending = 0;
		ASSERT_EQ(0, set_events(self->vcpu, &ev));
	}
}

/* --- other events --- */

TEST_F(smm, another_smi_waits)
{
	struct kvm_vcpu_events ev;
	uint64_t val;

	start_16(self, spin16, handler);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ev = events_of(self->vcpu);
	EXPECT_EQ(KVM_VCPUEVENT_VALID_SMM, ev.flags & KVM_VCPUEVENT_VALID_SMM);
	EXPECT_EQ(1, ev.smi.smm);
	EXPECT_EQ(1, ev.smi.pending);
	EXPECT_EQ(0, ev.smi.smm_inside_nmi);
	/* Behind RSM it comes at once, and is one, however many were sent. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).smi.pending);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).smi.smm);
	EXPECT_EQ(1, vcpu_get_msr(self->vcpu, MSR_SMI_COUNT, &val));
	EXPECT_EQ(2ULL, val);
}

TEST_F(smm, nmis_wait)
{
	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, events_of(self->vcpu).nmi.masked);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	EXPECT_EQ(OUT(PORT_VECTOR, 2), next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	/* And in its handler, where they are blocked anyway, they stay so behind SMM. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, events_of(self->vcpu).smi.smm_inside_nmi);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_NMI, 0));
	self->vcpu->run->immediate_exit = 0;
	EXPECT_EQ(OUT(PORT_VECTOR, 2), next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).nmi.masked);
}

/* INTR in flight goes first: the SMI finds its handler's first instruction. */
TEST_F(smm, behind_an_event_that_is_delivered)
{
	struct kvm_vcpu_events ev;
	struct kvm_regs regs;

	start_16(self, spin16, handler);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ev = events_of(self->vcpu);
	ev.flags = 0;
	ev.interrupt.injected = 1;
	ev.interrupt.nr = 0x31;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0xa000ULL - 16 * 0x31, area(self->smram, 0xff78, 8));
	EXPECT_EQ(0x31ULL, area(self->smram, 0xfe10, 2));
	EXPECT_EQ(OUT(PORT_VECTOR, 0x31), next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

TEST_F(smm, by_message)
{
	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_EQ(1, send_msi(&self->vm, 2));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

TEST_F(smm, by_the_guests_own_lapic)
{
	start_64(self, self_smi, handler);
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_TRUE(in_smm(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

TEST_F(smm, init_waits)
{
	uint8_t *rom = page_alloc(VM_PAGE_SIZE);
	struct kvm_vcpu_events ev;

	ASSERT_NE(NULL, rom);
	memcpy(rom + 0xff0, reset_start, reset_end - reset_start);
	ASSERT_EQ(0, vm_set_slot(&self->vm, 1, 0, 0xfffff000, VM_PAGE_SIZE, rom));
	start_16(self, spin16, handler);
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(1, send_msi(&self->vm, 5));
	ev = events_of(self->vcpu);
	EXPECT_EQ(1, ev.smi.smm);
	EXPECT_EQ(1, ev.smi.latched_init);
	/* RSM, and the boot CPU goes on at its reset vector. */
	EXPECT_EQ(OUT(PORT_GUEST, 0x99), next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	ev = events_of(self->vcpu);
	EXPECT_EQ(0, ev.smi.latched_init);
	EXPECT_EQ(0, ev.smi.smm);
	munmap(rom, VM_PAGE_SIZE);
}

static void nothing(int sig)
{
	(void)sig;
}

/* Runs for so long; true when the vCPU has run into its KVM_RUN's end by then without having left it. */
static bool stays_inside(struct vcpu *vcpu, unsigned int ms)
{
	struct sigaction action = { .sa_handler = nothing }, old;
	struct itimerval timer = { .it_value.tv_usec = ms * 1000 }, off = {};
	bool stays;

	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &timer, NULL);
	stays = ioctl(vcpu->fd, KVM_RUN, 0) == -1 && errno == EINTR;
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old, NULL);
	return stays;
}

static uint32_t mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { ~0U };

	ioctl(vcpu->fd, KVM_GET_MP_STATE, &state);
	return state.mp_state;
}

TEST_F(smm, halted)
{
	start_16(self, halts, handler);
	ASSERT_TRUE(stays_inside(self->vcpu, 200));
	ASSERT_EQ(KVM_MP_STATE_HALTED, mp_state(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(VM_CODE_GPA + 1, area(self->smram, 0xff78, 8));
	if (dev_is_reference())
		SKIP(return, "it knows no auto-halt restart");
	EXPECT_EQ(1ULL, area(self->smram, 0xfec9, 1));
	EXPECT_TRUE(stays_inside(self->vcpu, 200));
	EXPECT_EQ(KVM_MP_STATE_HALTED, mp_state(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	/* The handler may end the HLT. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	self->smram[SMBASE + 0xfec9] = 0;
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	/* One that finds no HLT says so. */
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0ULL, area(self->smram, 0xfec9, 1));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* A shadow of STI's is the same behind SMM. */
TEST_F(smm, interrupt_shadow)
{
	struct kvm_vcpu_events ev;
	struct kvm_regs regs;

	if (dev_is_reference())
		SKIP(return, "older versions forget it");
	start_16(self, spin16, handler);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	regs.rflags |= X86_EFLAGS_IF;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_REGS, &regs));
	ev = events_of(self->vcpu);
	ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	ev.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).interrupt.shadow);
	EXPECT_NE(0ULL, area(self->smram, 0xfecb, 1) & KVM_X86_SHADOW_INT_STI);
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* --- the VMM's hand --- */

TEST_F(smm, entered_by_events)
{
	struct kvm_vcpu_events ev;

	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	/* The code has to be there as well. */
	smm_load(self, VM_CODE_GPA, spin16);
	ev = events_of(self->vcpu);
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 1;
	ev.smi.smm_inside_nmi = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ev = events_of(self->vcpu);
	EXPECT_EQ(1, ev.smi.smm);
	EXPECT_EQ(1, ev.smi.smm_inside_nmi);
	EXPECT_EQ(OUT(PORT_GUEST, 'M' << 8 | 'M'), next_out(self->vcpu));
	EXPECT_TRUE(in_smm(self->vcpu));
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	EXPECT_FALSE(in_smm(self->vcpu));
	EXPECT_EQ(0, events_of(self->vcpu).smi.smm_inside_nmi);
}

TEST_F(smm, pending_by_events)
{
	struct kvm_vcpu_events ev;

	start_16(self, spin16, handler);
	ev = events_of(self->vcpu);
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.pending = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(1, events_of(self->vcpu).smi.pending);
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	ev.smi.pending = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	ev.smi.pending = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* What comes between GET and SET of the events is none of what was told, and stays. */
TEST_F(smm, smi_between_get_and_set)
{
	struct kvm_vcpu_events ev;

	start_16(self, spin16, handler);
	ev = events_of(self->vcpu);
	ASSERT_EQ(0, smi(self->vcpu));
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
	/* What was told is taken back. */
	ASSERT_EQ(0, smi(self->vcpu));
	ev = events_of(self->vcpu);
	EXPECT_EQ(1, ev.smi.pending);
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.pending = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	EXPECT_EQ(OUTSIDE, next_out(self->vcpu));
}

/* A vCPU that is moved to another VM in its handler goes on there. */
TEST_F(smm, migrated_inside)
{
	uint64_t smbase = 0x30000;
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm to;

	start_64(self, spin64, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, vcpu_run(self->vcpu));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	ev = events_of(self->vcpu);

	ASSERT_EQ(0, vm_open(&to, VM_IRQCHIP | VM_VCPU));
	ASSERT_EQ(0, vm_set_slot(&to, 0, 0, 0, VM_MEM_SIZE, self->vm.mem));
	ASSERT_EQ(0, vm_set_slot(&to, SMM_SLOT, 0, 0, VM_MEM_SIZE, self->smram));
	ASSERT_EQ(0, vcpu_cpuid_all(&to, &to.vcpu[0]));
	ASSERT_EQ(1, vcpu_set_msr(&to.vcpu[0], MSR_SMBASE, smbase));
	ASSERT_EQ(0, ioctl(to.vcpu[0].fd, KVM_SET_SREGS, &sregs));
	ASSERT_EQ(0, ioctl(to.vcpu[0].fd, KVM_SET_REGS, &regs));
	ASSERT_EQ(0, set_events(&to.vcpu[0], &ev));
	EXPECT_EQ(OUTSIDE, next_out(&to.vcpu[0]));
	ASSERT_EQ(0, smi(&to.vcpu[0]));
	EXPECT_EQ(INSIDE, next_out(&to.vcpu[0]));
	vm_close(&to);
}

TEST_F(smm, waiting_for_sipi_excludes_it)
{
	struct kvm_mp_state state = { KVM_MP_STATE_INIT_RECEIVED };
	struct kvm_vcpu_events ev = events_of(self->vcpu);

	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	ev.flags = KVM_VCPUEVENT_VALID_SMM;
	ev.smi.smm = 1;
	EXPECT_EQ(-1, set_events(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	ev.smi.smm = 0;
	ev.smi.pending = 1;
	EXPECT_EQ(-1, set_events(self->vcpu, &ev));
	EXPECT_EQ(EINVAL, errno);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	ev.smi.pending = 0;
	ev.smi.smm = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &ev));
	state.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	EXPECT_EQ(EINVAL, errno);
	state.mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	EXPECT_EQ(-1, ioctl(self->vcpu->fd, KVM_SET_MP_STATE, &state));
	EXPECT_EQ(EINVAL, errno);
}

/* --- memory that changes under it --- */

TEST_F(smm, memory_goes)
{
	start_16(self, spin16, handler);
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	ASSERT_EQ(INSIDE, next_out(self->vcpu));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	/* The page of the word, in both spaces' memory; the vCPU is in the first. */
	ASSERT_EQ(0, madvise(self->smram + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED));
	ASSERT_EQ(OUTSIDE, next_out(self->vcpu));
	ASSERT_EQ(0, smi(self->vcpu));
	EXPECT_EQ(OUT(PORT_SMM, 0), next_out(self->vcpu));
	/* And the first's, while it is in the second. */
	ASSERT_EQ(0, madvise(self->vm.mem + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(OUT(PORT_GUEST, 0), next_out(self->vcpu));
	/* A slot of the second that moves does not move the first's. */
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, 0, self->smram));
	EXPECT_EQ(OUT(PORT_GUEST, 0), next_out(self->vcpu));
	memcpy(self->smram + 0x5000, "MM", 2);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, VM_MEM_SIZE, self->smram));
	ASSERT_EQ(0, smi(self->vcpu));
	EXPECT_EQ(INSIDE, next_out(self->vcpu));
	EXPECT_EQ(OUT(PORT_GUEST, 0), next_out(self->vcpu));
}

struct sender {
	struct vm *vm;
	uint8_t *smram;
	volatile bool stop;
};

/* SMIs, and memory of both spaces that goes and comes back. */
static void *send_smis(void *arg)
{
	struct sender *s = arg;
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 2 << 8 };

	while (!s->stop) {
		msi.address_lo = 0xfee00000 | (rand() & 1) << 12;
		ioctl(s->vm->fd, KVM_SIGNAL_MSI, &msi);
		usleep(rand() % 200);
		madvise(s->smram + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED);
		memcpy(s->smram + 0x5000, "MM", 2);
		madvise(s->vm->mem + 0x5000, VM_PAGE_SIZE, MADV_DONTNEED);
		memcpy(s->vm->mem + 0x5000, "OO", 2);
	}
	return NULL;
}

struct runner {
	struct vcpu *vcpu;
	volatile bool stop;
	int inside, outside, wrong;
};

static void *run_until(void *arg)
{
	struct runner *r = arg;

	while (!r->stop) {
		long out = next_out(r->vcpu);

		/* The word may be away for a moment. */
		if (out == OUTSIDE || out == OUT(PORT_GUEST, 0))
			r->outside++;
		else if (out == INSIDE || out == OUT(PORT_SMM, 0))
			r->inside++;
		else
			r->wrong++;
		if (in_smm(r->vcpu) != (out >> 16 == PORT_SMM))
			r->wrong++;
	}
	return NULL;
}

/* Each vCPU sees the space that it is in, whatever the other does and wherever the memory goes. */
TEST_F(smm, two_vcpus_under_load)
{
	struct sender sender = { .vm = &self->vm, .smram = self->smram };
	struct runner runner[2] = {};
	pthread_t thread[3];

	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	vm_load(&self->vm, VM_CODE_GPA, spin16);
	smm_load(self, HANDLER, handler);
	for (int i = 0; i < 2; i++) {
		struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
		struct kvm_lapic_state lapic;
		struct vcpu *vcpu = &self->vm.vcpu[i];

		ASSERT_EQ(0, vcpu_cpuid_all(&self->vm, vcpu));
		ASSERT_EQ(0, vcpu_real_mode(vcpu, VM_CODE_GPA));
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable));
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic));
		*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
		ASSERT_EQ(0, ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic));
		/* Save areas of their own; what they have as CS:8000 is the same code. */
		ASSERT_EQ(1, vcpu_set_msr(vcpu, MSR_SMBASE, SMBASE + 0x10000 * i));
		runner[i].vcpu = vcpu;
	}
	smm_load(self, HANDLER + 0x10000, handler);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, run_until, &runner[i]));
	ASSERT_EQ(0, pthread_create(&thread[2], NULL, send_smis, &sender));
	usleep(1500000);
	sender.stop = true;
	pthread_join(thread[2], NULL);
	for (int i = 0; i < 2; i++) {
		runner[i].stop = true;
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, runner[i].wrong);
		EXPECT_LT(0, runner[i].inside);
		EXPECT_LT(0, runner[i].outside);
	}
}

/* Without memory for the second space there is nothing to run, and nobody is harmed. */
TEST_F(smm, no_memory_there)
{
	int reason;

	start_16(self, spin16, handler);
	ASSERT_EQ(0, vm_set_slot(&self->vm, SMM_SLOT, 0, 0, 0, self->smram));
	ASSERT_EQ(0, smi(self->vcpu));
	reason = vcpu_run(self->vcpu);
	EXPECT_TRUE(reason == KVM_EXIT_INTERNAL_ERROR || reason == -EIO) TH_LOG("%d", reason);
}

/* A debugger steps from one into the other. */
TEST_F(smm, single_steps)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	struct kvm_regs regs;
	int steps = 0;

	if (dev_is_reference())
		SKIP(return, "its handler would see TF");
	start_16(self, spin16, handler);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_GUEST_DEBUG, &debug));
	ASSERT_EQ(0, smi(self->vcpu));
	for (; steps < 8; steps++) {
		int reason = vcpu_run(self->vcpu);

		if (reason == KVM_EXIT_IO)
			continue;
		ASSERT_EQ(KVM_EXIT_DEBUG, reason);
		if (!in_smm(self->vcpu))
			break;
	}
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_REGS, &regs));
	EXPECT_EQ(VM_CODE_GPA, regs.rip);
	EXPECT_EQ(2ULL, regs.rflags);
	EXPECT_EQ(0ULL, area(self->smram, 0xff70, 8) & X86_EFLAGS_TF);
}

TEST_HARNESS_MAIN
