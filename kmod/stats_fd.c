// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET_STATS_FD: a VM's or vCPU's counters as a file of four parts: header, id, descriptors, data. All but
 * the data is the same for as long as the module is loaded.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "backend.h"
#include "stats.h"
#include "vcpu.h"
#include "vm.h"

#define NAME_SIZE 48

/* A descriptor as it is in the file. To newer kernels' own code the struct ends with a name of that size, to others without. */
#define NAME_AT offsetof(struct kvm_stats_desc, name)
union desc {
	struct kvm_stats_desc head;
	char bytes[NAME_AT + NAME_SIZE];
};

#define ID_AT sizeof(struct kvm_stats_header)
#define DESCS_AT (ID_AT + NAME_SIZE)

struct stats_file {
	struct ost_vm *vm;	/* holds a reference */
	struct ost_vcpu *vcpu;	/* NULL: the counters are the VM's own */
	char id[NAME_SIZE];
};

/* Names are the ABI's word: they stay, new ones come at the end. */
enum vm_counter { VM_VCPUS, VM_TABLES, VM_MMIO_TABLES, VM_NR_COUNTERS };
static const char *const vm_counters[VM_NR_COUNTERS] = {
	[VM_VCPUS] = "vcpus", [VM_TABLES] = "tables", [VM_MMIO_TABLES] = "mmio_tables",
};

/* What the stock module counts, too, by the name that tools know it by; behind the exits. */
#define ALIAS(name, counter) { #name, offsetof(struct ost_vcpu_stats, counter) }
static const struct {
	const char *name;
	size_t offset;
} aliases[] = {
	ALIAS(pf_taken, page_faults),
	ALIAS(halt_exits, halts),
	ALIAS(irq_exits, host_irqs),
	ALIAS(irq_window_exits, irq_windows),
	ALIAS(nmi_window_exits, nmi_windows),
	ALIAS(mmio_exits, mmio_user),
	ALIAS(io_exits, pio_user),
	ALIAS(tlb_flush, tlb_flushes),
	ALIAS(insn_emulation, emulations),
	ALIAS(fpu_reload, fpu_loads),
	ALIAS(halt_successful_poll, halt_polls_hit),
};

/* The exits that this CPU has, each a counter behind those of stats.c. */
static u8 exits[OST_MAX_EXITS] __ro_after_init;
static u32 nr_exits __ro_after_init;

static u32 nr_values(const struct stats_file *f)
{
	return f->vcpu ? ost_nr_counters + nr_exits + ARRAY_SIZE(aliases) : VM_NR_COUNTERS;
}

static u32 data_at(const struct stats_file *f)
{
	return DESCS_AT + nr_values(f) * sizeof(union desc);
}

static u64 vm_value(struct ost_vm *vm, u32 i)
{
	switch (i) {
	case VM_VCPUS:
		return ost_nr_vcpus(vm);
	case VM_TABLES:
		return atomic_long_read(&vm->mmu.nr_tables);
	default:
		return atomic_long_read(&vm->mmu.nr_mmio_tables);
	}
}

static u64 value(const struct stats_file *f, u32 i)
{
	if (!f->vcpu)
		return vm_value(f->vm, i);
	if (i < ost_nr_counters)
		return ost_counter_value(&f->vcpu->stats, i);
	i -= ost_nr_counters;
	if (i >= nr_exits) {
		i = array_index_nospec(i - nr_exits, ARRAY_SIZE(aliases));
		return READ_ONCE(*(const u64 *)((const char *)&f->vcpu->stats + aliases[i].offset));
	}
	i = array_index_nospec(i, nr_exits);
	return READ_ONCE(f->vcpu->stats.by_reason[exits[i]]);
}

static void describe(const struct stats_file *f, u32 i, union desc *desc)
{
	char *name = desc->bytes + NAME_AT;

	memset(desc, 0, sizeof(*desc));
	desc->head.flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10;
	desc->head.size = 1;
	desc->head.offset = i * sizeof(u64);
	if (!f->vcpu) {
		i = array_index_nospec(i, VM_NR_COUNTERS);
		if (i != VM_MMIO_TABLES)
			desc->head.flags |= KVM_STATS_TYPE_INSTANT;
		strscpy(name, vm_counters[i], NAME_SIZE);
	} else if (i < ost_nr_counters) {
		strscpy(name, ost_counter_name(i), NAME_SIZE);
	} else if (i >= ost_nr_counters + nr_exits) {
		i = array_index_nospec(i - ost_nr_counters - nr_exits, ARRAY_SIZE(aliases));
		strscpy(name, aliases[i].name, NAME_SIZE);
	} else {
		i = array_index_nospec(i - ost_nr_counters, nr_exits);
		snprintf(name, NAME_SIZE, "exit:%s", ost_exit_name(exits[i]));
	}
}

/* What the file holds around one place of it. */
struct piece {
	u32 start, len;
	union {
		struct kvm_stats_header header;
		char id[NAME_SIZE];
		union desc desc;
		u64 values[8];
	};
};

/* The piece that `pos` is in. pos is in the file. */
static void piece_at(const struct stats_file *f, u32 pos, struct piece *p)
{
	u32 n = nr_values(f), i;

	if (pos < ID_AT) {
		p->start = 0;
		p->len = sizeof(p->header);
		p->header = (struct kvm_stats_header){
			.name_size = NAME_SIZE, .num_desc = n, .id_offset = ID_AT,
			.desc_offset = DESCS_AT, .data_offset = data_at(f),
		};
	} else if (pos < DESCS_AT) {
		p->start = ID_AT;
		p->len = NAME_SIZE;
		memcpy(p->id, f->id, NAME_SIZE);
	} else if (pos < data_at(f)) {
		i = (pos - DESCS_AT) / sizeof(union desc);
		p->start = DESCS_AT + i * sizeof(union desc);
		p->len = sizeof(p->desc);
		describe(f, i, &p->desc);
	} else {
		i = (pos - data_at(f)) / sizeof(u64);
		p->start = data_at(f) + i * sizeof(u64);
		for (p->len = 0; p->len < sizeof(p->values) && i < n; p->len += sizeof(u64), i++)
			p->values[p->len / sizeof(u64)] = value(f, i);
	}
}

static ssize_t stats_read(struct file *file, char __user *user, size_t count, loff_t *ppos)
{
	const struct stats_file *f = file->private_data;
	u32 end = data_at(f) + nr_values(f) * sizeof(u64), pos;
	ssize_t done = 0;

	if (*ppos < 0)
		return -EINVAL;
	if (*ppos >= end)
		return 0;
	pos = *ppos;
	count = min_t(size_t, count, end - pos);
	while ((size_t)done < count) {
		struct piece p;
		u32 skip, len;

		piece_at(f, pos, &p);
		skip = pos - p.start;
		len = min_t(size_t, p.len - skip, count - done);
		if (copy_to_user(user + done, (char *)&p.values + skip, len))
			return done ?: -EFAULT;
		done += len;
		pos += len;
		*ppos = pos;
	}
	return done;
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *f = file->private_data;

	ost_vm_put(f->vm);
	kfree(f);
	return 0;
}

static const struct file_operations stats_file_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.release = stats_release,
	.llseek = no_seek_end_llseek,
};

int ost_stats_fd(struct ost_vm *vm, struct ost_vcpu *vcpu)
{
	struct stats_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	struct file *file;
	int fd, r;

	if (!f)
		return -ENOMEM;
	f->vm = vm;
	f->vcpu = vcpu;
	if (vcpu)
		snprintf(f->id, NAME_SIZE, "kvm-%d/vcpu-%u", task_pid_nr(current), vcpu->id);
	else
		snprintf(f->id, NAME_SIZE, "kvm-%d", task_pid_nr(current));
	r = get_unused_fd_flags(O_CLOEXEC);
	if (r < 0)
		goto err_free;
	fd = r;
	file = anon_inode_getfile(OST_NAME "-stats", &stats_file_fops, f, O_RDONLY);
	if (IS_ERR(file)) {
		r = PTR_ERR(file);
		goto err_fd;
	}
	/* It has places, unlike other anonymous files. */
	file->f_mode |= FMODE_PREAD | FMODE_LSEEK;
	ost_vm_get(vm);
	fd_install(fd, file);
	return fd;

err_fd:
	put_unused_fd(fd);
err_free:
	kfree(f);
	return r;
}

void __init ost_stats_fd_setup(void)
{
	u32 i;

	BUILD_BUG_ON(OST_MAX_EXITS > 256);
	BUILD_BUG_ON(sizeof(union desc) != NAME_AT + NAME_SIZE);
	BUILD_BUG_ON(ID_AT % 8 || DESCS_AT % 8 || sizeof(union desc) % 8);
	for (i = 0; i < min_t(u32, ost_backend->nr_exits, OST_MAX_EXITS); i++)
		if (ost_backend->exit_names[i])
			exits[nr_exits++] = i;
}
