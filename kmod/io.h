/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The in-kernel device buses: port I/O and MMIO. Readers hold vm->srcu and find a device by binary
 * search in an immutable sorted array; a change publishes a new array and frees the old one behind
 * an SRCU callback, so that registering a device waits for nobody (io.c).
 */
#ifndef OST_IO_H
#define OST_IO_H

#include <linux/types.h>
#include <linux/rcupdate.h>
#include "emulate/emulate.h"
#include "ost.h"

struct ost_vm;
struct ost_vcpu;
struct ost_iodev;

struct ost_iodev_ops {
	/*
	 * len is 1, 2, 4 or 8 and [addr, addr+len) begins inside the device's range. 0 when it was
	 * handled, -EOPNOTSUPP when the next device or userspace shall have it. Context: [vcpu or
	 * atomic]; must not sleep.
	 */
	int (*read)(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, void *val);
	int (*write)(struct ost_vcpu *vcpu, struct ost_iodev *dev, u64 addr, u32 len, const void *val);
};

struct ost_iodev {
	const struct ost_iodev_ops *ops;
};

struct ost_bus_range {
	u64 addr;
	u64 len;		/* 0: an ioeventfd that takes any length at addr */
	struct ost_iodev *dev;
};

struct ost_bus_array {
	struct rcu_head rcu;
	u32 nr;
	struct ost_bus_range ranges[];
};

struct ost_bus {
	struct ost_bus_array __rcu *array;	/* NULL when empty; writers hold vm->lock */
	/*
	 * A bit for each block of addresses, by its hash, in which a device has begun or may lie: with the bit of
	 * an access clear there is none for it, as for most that userspace's devices get.
	 */
	u64 filter;
};

/*
 * Adds / removes a device. Caller holds vm->lock. Ranges may overlap: all that match are asked in
 * address order until one handles it. 0, -ENOMEM, -ENOSPC (over 1000). After unregister returns the
 * device may still be in use until an SRCU grace period has passed (synchronize_srcu or call_srcu
 * on vm->srcu).
 */
int ost_bus_register(struct ost_vm *vm, struct ost_bus *bus, u64 addr, u64 len,
		     struct ost_iodev *dev);
int ost_bus_unregister(struct ost_vm *vm, struct ost_bus *bus, struct ost_iodev *dev);
void ost_bus_destroy(struct ost_bus *bus);	/* nobody can use it any more */

/* 0 when a device took it, -EOPNOTSUPP when none did. Takes vm->srcu itself. [vcpu or atomic] */
int ost_bus_read(struct ost_vcpu *vcpu, struct ost_bus *bus, u64 addr, u32 len, void *val);
int ost_bus_write(struct ost_vcpu *vcpu, struct ost_bus *bus, u64 addr, u32 len, const void *val);

/* KVM_IOEVENTFD (ioeventfd.c). */
struct kvm_ioeventfd;
int ost_ioeventfd(struct ost_vm *vm, const struct kvm_ioeventfd *args);
/* Releases all of a VM's ioeventfds when it is freed. */
void ost_ioeventfd_release(struct ost_vm *vm);

/*
 * Port I/O exits and instructions that touch device memory (pio.c, emulate.c). in: read by the
 * guest into AL/AX/EAX. Skips the instruction by itself. OST_RUN / OST_USER / -errno. [atomic]
 */
int ost_exit_pio(struct ost_vcpu *vcpu, u16 port, u32 size, bool in);

/*
 * Device memory (mmio.c). Accesses the kernel's own devices, up to 8 bytes at a time: 0, or -EOPNOTSUPP
 * where there is none, or how many bytes of a write they took if that is not all. [vcpu or atomic]
 */
int ost_mmio_kernel(struct ost_vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write);
/* An access of userspace's begins, and has this part (of which there are at most two). */
void ost_mmio_start(struct ost_vcpu *vcpu, bool write);
void ost_mmio_add(struct ost_vcpu *vcpu, gpa_t gpa, u32 len, const void *data);
/* Shows userspace the next piece of what is outstanding: OST_USER. */
int ost_mmio_to_user(struct ost_vcpu *vcpu);
/* Userspace came back with a piece. True when it was the last one. */
bool ost_mmio_piece_done(struct ost_vcpu *vcpu);
/* The first 8 bytes of an access, for traces. */
u64 ost_mmio_value(const void *data, u32 len);
/*
 * The instruction at RIP has exited for its access to device memory at gpa, whose linear address the CPU
 * had translated. Does it if it is a plain MOV of 64-bit code: OST_RUN or OST_USER; -EOPNOTSUPP if it is
 * for the emulator, nothing done. Where the CPU does not tell reads from writes, nor the access itself from those
 * of the walk to it, only the guest's kernel is trusted not to have put another instruction there meanwhile, and
 * to have its page tables in memory. [vcpu or atomic]
 */
enum ost_mmio_way { OST_MMIO_READ, OST_MMIO_WRITE, OST_MMIO_EITHER };
int ost_mmio_mov(struct ost_vcpu *vcpu, gpa_t gpa, enum ost_mmio_way way);

/* Fills kvm_run for a KVM_EXIT_IO; the data of an OUT is in the pio page already (pio.c). */
void ost_pio_to_user(struct ost_vcpu *vcpu, u16 port, u32 size, u32 count, bool in);

/* At vCPU creation. */
void ost_emulation_init(struct ost_vcpu *vcpu);

/*
 * Emulates the instruction at RIP, which exited. May end in a userspace exit that completes it later.
 * OST_RUN / OST_USER / -errno. [vcpu]
 */
int ost_emulate_instruction(struct ost_vcpu *vcpu);
/*
 * The same if it is PUSHF or POPF, else -EOPNOTSUPP with nothing done: for a step on which the guest is not to see
 * that it is one. [vcpu or atomic]
 */
int ost_emulate_flags_access(struct ost_vcpu *vcpu);
/* The length of the instruction at RIP if it is `id`, else 0. [vcpu or atomic] */
u8 ost_insn_len(struct ost_vcpu *vcpu, enum ost_emul_id id);
/*
 * Where the instruction at RIP is `from`, its last byte becomes `last`, in the guest's memory and with the guest's right
 * to. True when what is there now is to be executed, whoever wrote it. [vcpu]
 */
bool ost_rewrite_code(struct ost_vcpu *vcpu, const u8 *from, u8 last, u32 len);
/*
 * The same for one that exited on an access to device memory at gpa. `insn` holds its first `len` bytes,
 * where the CPU has left them; else len is 0. [vcpu]
 */
int ost_mmio(struct ost_vcpu *vcpu, gpa_t gpa, const u8 *insn, u32 len);
/*
 * Advances RIP over the instruction there, whose length the CPU did not tell. What ost_advance_rip()
 * says, or what came of fetching it. [vcpu or atomic]
 */
int ost_skip_by_decoding(struct ost_vcpu *vcpu);

#endif
