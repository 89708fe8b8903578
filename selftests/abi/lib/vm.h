/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the ABI tests share: opening the device node, small VMs, and guest code of a few bytes.
 *
 * Nothing here hides the ABI: each call makes the ioctls its comment names. All of it runs in
 * ordinary process context and may be used from any thread that does not share its struct vm.
 */
#ifndef OST_ABI_VM_H
#define OST_ABI_VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define VM_MAX_VCPUS	4
#define VM_MEM_SIZE	(2UL << 20)
/* Guest physical addresses inside the memory that vm_open() gives. */
#define VM_CODE_GPA	0x8000UL
#define VM_DATA_GPA	0x10000UL
#define VM_STACK_GPA	0x20000UL
#define VM_TABLES_GPA	0x100000UL
/* Nothing is ever mapped there: device memory for the tests. */
#define VM_MMIO_GPA	0xd0000000UL
#define VM_PAGE_SIZE	4096UL

/* vm_open() flags */
#define VM_MEMORY	1U	/* VM_MEM_SIZE at guest physical 0, slot 0 */
#define VM_IRQCHIP	2U	/* in-kernel PIC, IOAPIC and LAPICs */
#define VM_VCPU		4U	/* one vCPU */

struct vcpu {
	int fd;
	struct kvm_run *run;
};

struct vm {
	int sys_fd;
	int fd;
	size_t run_size;
	uint8_t *mem;
	int nr_vcpus;
	struct vcpu vcpu[VM_MAX_VCPUS];
};

/*
 * GUEST_CODE(name, bits, text) - @text assembled for a 16, 32 or 64-bit guest, as bytes from
 * name_start to name_end. It has to be position independent.
 */
#define GUEST_CODE(name, bits, text)						\
	extern const uint8_t name##_start[], name##_end[];			\
	asm(".pushsection .rodata\n" #name "_start:\n.code" #bits "\n" text	\
	    "\n" #name "_end:\n.code64\n.popsection\n")

#define vm_load(vm, gpa, name)	vm_copy_in(vm, gpa, name##_start, name##_end - name##_start)

/*
 * dev_path() - The device node under test: $OST_DEVICE, else /dev/ostler.
 */
const char *dev_path(void);

/*
 * dev_open() - Opens the node. Returns a descriptor or -1 with errno.
 */
int dev_open(void);

/*
 * dev_is_reference() - Whether the node is the stock kernel's own (/dev/kvm with module kvm).
 *
 * It knowingly differs from what is asked of us in a few places; a test that uses this says where.
 */
bool dev_is_reference(void);

/*
 * vm_open() - CREATE_VM and what @flags ask for, into *@vm.
 *
 * Returns 0, or -1 with errno; what was made by then is left for vm_close().
 */
int vm_open(struct vm *vm, unsigned int flags);

/*
 * vm_close() - Closes and unmaps everything, in an order that tests nothing.
 */
void vm_close(struct vm *vm);

/*
 * vm_add_vcpu() - CREATE_VCPU with the next free id, and maps its kvm_run.
 *
 * Returns the vCPU, or NULL with errno.
 */
struct vcpu *vm_add_vcpu(struct vm *vm);

/*
 * vm_set_slot() - SET_USER_MEMORY_REGION. Returns what ioctl() returns.
 */
int vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size_bytes,
		void *hva);

/*
 * vm_copy_in() - Puts @len bytes at guest physical @gpa, which has to lie in the VM_MEMORY slot.
 */
void vm_copy_in(struct vm *vm, uint64_t gpa, const void *data, size_t len);

/*
 * vcpu_real_mode() - SET_SREGS and SET_REGS for 16-bit code at @ip, segments based at 0.
 *
 * Returns 0 or -1 with errno.
 */
int vcpu_real_mode(struct vcpu *vcpu, uint16_t ip);

/*
 * vcpu_long_mode() - The same for 64-bit code at @rip, the first 4 GiB mapped one to one.
 *
 * Writes page tables at VM_TABLES_GPA. Returns 0 or -1 with errno.
 */
int vcpu_long_mode(struct vm *vm, struct vcpu *vcpu, uint64_t rip);

/*
 * vcpu_run() - KVM_RUN once, again when a stray signal ended it without immediate_exit.
 *
 * Returns the exit reason, or -errno.
 */
int vcpu_run(struct vcpu *vcpu);

/*
 * io_data() - Where the bytes of the KVM_EXIT_IO that @vcpu has just made are.
 */
void *io_data(struct vcpu *vcpu);

/*
 * page_alloc() - @size_bytes of fresh anonymous memory, page aligned; NULL when there is none.
 */
void *page_alloc(size_t size_bytes);

/*
 * bad_pointer() - An address that faults on any access: a pointer to 16 pages of PROT_NONE.
 */
void *bad_pointer(void);

/*
 * cpuid_supported() - GET_SUPPORTED_CPUID with room enough. To be freed; NULL with errno.
 */
struct kvm_cpuid2 *cpuid_supported(int sys_fd);

/*
 * cpuid_find() - The entry of @function and @index, or NULL.
 */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index);

/*
 * vcpu_cpuid_all() - SET_CPUID2 with everything GET_SUPPORTED_CPUID reports.
 *
 * Returns 0 or -1 with errno.
 */
int vcpu_cpuid_all(struct vm *vm, struct vcpu *vcpu);

/*
 * vcpu_cpuid_with() - The same, and these bits of leaf 1's ECX, whether they are reported or not.
 */
int vcpu_cpuid_with(struct vm *vm, struct vcpu *vcpu, uint32_t leaf1_ecx);

/*
 * enable_cap() - KVM_ENABLE_CAP of @cap with one argument, on a VM's or vCPU's descriptor. Returns what ioctl() returns.
 */
int enable_cap(int fd, uint32_t cap, uint64_t arg);

/*
 * vcpu_get_msr() / vcpu_set_msr() - GET_MSRS and SET_MSRS of a single register.
 *
 * Return what ioctl() returns: 1 done, 0 refused, -1 with errno.
 */
int vcpu_get_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
int vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value);

/*
 * vm_counter() - The sum of a counter (kmod/stats.h, or "exit:REASON") over all VMs and vCPUs that there
 * are; "tables" is a VM's. -1 when the module under test shows none.
 */
long vm_counter(const char *name);

/*
 * vendor_param() - Whether the module under test has Intel's CPU and this bool parameter of VT-x on.
 */
bool vendor_param(const char *name);

/*
 * vm_slower() - How many times as slow as usual the host's kernel may be: 1, or $OST_SLOWER.
 */
unsigned int vm_slower(void);

/*
 * vm_alarm() - alarm(), with a multiple of the time where the host's kernel is slower ($OST_SLOWER).
 */
unsigned int vm_alarm(unsigned int seconds);

/*
 * has_cap() - CHECK_EXTENSION on the VM: the capability's number, 0 when absent.
 */
int has_cap(struct vm *vm, int cap);

#endif
