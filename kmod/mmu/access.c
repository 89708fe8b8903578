// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory read and written by the kernel: through the slots, by the VMM's own mapping, which
 * its threads (the vCPUs) have at hand. Naturally aligned accesses of up to 8 bytes are single
 * ones, as the CPU's are.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "../vcpu.h"
#include "internal.h"

/* What an access goes to, and the vCPU that makes it, if it is one's. */
struct target {
	struct ost_vm *vm;
	struct ost_space *space;
	struct ost_vcpu *vcpu;
};

static struct target vm_target(struct ost_vm *vm)
{
	return (struct target){ .vm = vm, .space = &vm->mmu.space[OST_SPACE_NORMAL] };
}

static struct target vcpu_target(struct ost_vcpu *vcpu)
{
	return (struct target){ .vm = vcpu->vm, .space = vcpu->space, .vcpu = vcpu };
}

/* The slot at gpa, if the access is allowed there. vm->srcu held. */
static const struct ost_memslot *access_slot(const struct target *t, gpa_t gpa, bool write)
{
	const struct ost_memslot *slot = ost_slots_find(ost_slots(t->vm, t->space), gpa >> PAGE_SHIFT);

	if (slot && write && (slot->flags & KVM_MEM_READONLY))
		return NULL;
	return slot;
}

static void __user *access_address(const struct ost_memslot *slot, gpa_t gpa)
{
	return (void __user *)(ost_slot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa));
}

static bool is_single(unsigned long hva, u32 len)
{
	return is_power_of_2(len) && len <= 8 && IS_ALIGNED(hva, len);
}

#define read_as(type, buf, from)                                                                   \
	({                                                                                         \
		type value;                                                                        \
		int err = get_user(value, (type __user *)(from));                                  \
                                                                                                   \
		if (!err)                                                                          \
			memcpy(buf, &value, sizeof(value));                                        \
		err;                                                                               \
	})

#define write_as(type, to, buf)                                                                    \
	({                                                                                         \
		type value;                                                                        \
                                                                                                   \
		memcpy(&value, buf, sizeof(value));                                                \
		put_user(value, (type __user *)(to));                                              \
	})

static int read_user(void *buf, const void __user *from, u32 len)
{
	if (is_single((unsigned long)from, len)) {
		switch (len) {
		case 1:
			return read_as(u8, buf, from);
		case 2:
			return read_as(u16, buf, from);
		case 4:
			return read_as(u32, buf, from);
		case 8:
			return read_as(u64, buf, from);
		}
	}
	return copy_from_user(buf, from, len) ? -EFAULT : 0;
}

static int write_user(void __user *to, const void *buf, u32 len)
{
	if (is_single((unsigned long)to, len)) {
		switch (len) {
		case 1:
			return write_as(u8, to, buf);
		case 2:
			return write_as(u16, to, buf);
		case 4:
			return write_as(u32, to, buf);
		case 8:
			return write_as(u64, to, buf);
		}
	}
	return copy_to_user(to, buf, len) ? -EFAULT : 0;
}

/* How much of [gpa, gpa + len) lies in the slot that holds gpa. */
static u32 in_slot(const struct ost_memslot *slot, gpa_t gpa, u32 len)
{
	return min_t(u64, len, (ost_slot_end(slot) << PAGE_SHIFT) - gpa);
}

static __always_inline int read_memory(struct target t, gpa_t gpa, void *buf, u32 len)
{
	int srcu = srcu_read_lock(&t.vm->srcu);
	int err = 0;

	while (len && !err) {
		const struct ost_memslot *slot = access_slot(&t, gpa, false);
		u32 part;

		if (!slot) {
			err = -EFAULT;
			break;
		}
		part = in_slot(slot, gpa, len);
		err = read_user(buf, access_address(slot, gpa), part);
		gpa += part;
		buf += part;
		len -= part;
	}
	srcu_read_unlock(&t.vm->srcu, srcu);
	return err;
}

int ost_gpa_read(struct ost_vm *vm, gpa_t gpa, void *buf, u32 len)
{
	return read_memory(vm_target(vm), gpa, buf, len);
}

int ost_vcpu_read(struct ost_vcpu *vcpu, gpa_t gpa, void *buf, u32 len)
{
	return read_memory(vcpu_target(vcpu), gpa, buf, len);
}

static __always_inline int write_memory(struct target t, gpa_t gpa, const void *buf, u32 len)
{
	int srcu = srcu_read_lock(&t.vm->srcu);
	int err = 0;

	while (len && !err) {
		const struct ost_memslot *slot = access_slot(&t, gpa, true);
		u32 part;
		gfn_t gfn;

		if (!slot) {
			err = -EFAULT;
			break;
		}
		part = in_slot(slot, gpa, len);
		err = write_user(access_address(slot, gpa), buf, part);
		/* Also after an error: some of it may have been written. */
		for (gfn = gpa >> PAGE_SHIFT; gfn <= (gpa + part - 1) >> PAGE_SHIFT; gfn++)
			ost_mark_dirty(t.vm, t.vcpu, slot, gfn);
		gpa += part;
		buf += part;
		len -= part;
	}
	srcu_read_unlock(&t.vm->srcu, srcu);
	return err;
}

int ost_gpa_write(struct ost_vm *vm, gpa_t gpa, const void *buf, u32 len)
{
	return write_memory(vm_target(vm), gpa, buf, len);
}

int ost_vcpu_write(struct ost_vcpu *vcpu, gpa_t gpa, const void *buf, u32 len)
{
	return write_memory(vcpu_target(vcpu), gpa, buf, len);
}

#define cmpxchg_as(type, ptr, old, new)                                                            \
	({                                                                                         \
		type wanted;                                                                       \
		type value;                                                                        \
		int err;                                                                           \
                                                                                                   \
		memcpy(&value, new, sizeof(value));                                                \
		memcpy(&wanted, old, sizeof(wanted));                                              \
		err = __try_cmpxchg_user((type __user *)(ptr), &wanted, value, fault_##type);      \
		memcpy(old, &wanted, sizeof(wanted));                                              \
		err;                                                                               \
	})

/* The kernel has no user access of this size: on the page itself. */
static int cmpxchg_user_16(void __user *ptr, u64 *old, const u64 *new)
{
	unsigned long hva = (unsigned long)ptr;
	struct page *page;
	void *mapped;
	bool done;

	if (!boot_cpu_has(X86_FEATURE_CX16) ||
	    pin_user_pages_fast(hva & PAGE_MASK, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	mapped = kmap_local_page(page);
	asm volatile("lock cmpxchg16b %[mem]"
		     : [mem] "+m" (*(u64 (*)[2])(mapped + offset_in_page(hva))),
		       "+a" (old[0]), "+d" (old[1]), "=@ccz" (done)
		     : "b" (new[0]), "c" (new[1])
		     : "memory");
	kunmap_local(mapped);
	unpin_user_pages_dirty_lock(&page, 1, true);
	return !done;
}

static int cmpxchg_user(void __user *ptr, void *old, const void *new, u32 len)
{
	switch (len) {
	case 1:
		return cmpxchg_as(u8, ptr, old, new);
	case 2:
		return cmpxchg_as(u16, ptr, old, new);
	case 4:
		return cmpxchg_as(u32, ptr, old, new);
	case 8:
		return cmpxchg_as(u64, ptr, old, new);
	case 16:
		return cmpxchg_user_16(ptr, old, new);
	default:
		return -EFAULT;
	}
}

static int cmpxchg_memory(struct target t, gpa_t gpa, void *old, const void *new, u32 len)
{
	const struct ost_memslot *slot;
	int err = -EFAULT;
	int srcu;

	if (WARN_ON_ONCE(!len || gpa & (len - 1)))
		return -EFAULT;
	srcu = srcu_read_lock(&t.vm->srcu);
	slot = access_slot(&t, gpa, true);
	if (slot) {
		err = cmpxchg_user(access_address(slot, gpa), old, new, len);
		if (!err)
			ost_mark_dirty(t.vm, t.vcpu, slot, gpa >> PAGE_SHIFT);
	}
	srcu_read_unlock(&t.vm->srcu, srcu);
	return err;
}

int ost_gpa_cmpxchg(struct ost_vm *vm, gpa_t gpa, void *old, const void *new, u32 len)
{
	return cmpxchg_memory(vm_target(vm), gpa, old, new, len);
}

int ost_vcpu_cmpxchg(struct ost_vcpu *vcpu, gpa_t gpa, void *old, const void *new, u32 len)
{
	return cmpxchg_memory(vcpu_target(vcpu), gpa, old, new, len);
}

static bool has_slot(struct target t, gpa_t gpa, bool write)
{
	int srcu = srcu_read_lock(&t.vm->srcu);
	bool has = access_slot(&t, gpa, write);

	srcu_read_unlock(&t.vm->srcu, srcu);
	return has;
}

bool ost_gpa_has_slot(struct ost_vm *vm, gpa_t gpa, bool write)
{
	return has_slot(vm_target(vm), gpa, write);
}

bool ost_vcpu_has_slot(struct ost_vcpu *vcpu, gpa_t gpa, bool write)
{
	return has_slot(vcpu_target(vcpu), gpa, write);
}
