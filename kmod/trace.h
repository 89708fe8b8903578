/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: /sys/kernel/tracing/events/ostler/. They name the VM and vCPU, so that many guests
 * can be told apart.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM OST_INSTANCE

#if !defined(OST_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OST_TRACE_H

#include <linux/tracepoint.h>
#include "vm.h"
#include "vcpu.h"

#define OST_TRACE_WHO_FIELDS __field(u32, vm) __field(u32, vcpu)
#define OST_TRACE_WHO(v)                                                                           \
	do {                                                                                       \
		__entry->vm = (v)->vm->id;                                                         \
		__entry->vcpu = (v)->id;                                                           \
	} while (0)

TRACE_EVENT(ost_entry,
	TP_PROTO(struct ost_vcpu *v),
	TP_ARGS(v),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS __field(u64, rip)),
	TP_fast_assign(OST_TRACE_WHO(v); __entry->rip = v->regs[OST_REG_RIP];),
	TP_printk("vm %u vcpu %u rip 0x%llx", __entry->vm, __entry->vcpu, __entry->rip)
);

TRACE_EVENT(ost_exit,
	TP_PROTO(struct ost_vcpu *v),
	TP_ARGS(v),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(u64, rip) __field(u32, index) __field(u64, qual0) __field(u64, qual1)
		__field(const char *, name)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->rip = ost_rip(v);
		__entry->index = v->exit_index;
		__entry->qual0 = v->exit_qual[0];
		__entry->qual1 = v->exit_qual[1];
		__entry->name = ost_exit_name(v->exit_index);),
	TP_printk("vm %u vcpu %u %s rip 0x%llx info 0x%llx 0x%llx", __entry->vm, __entry->vcpu,
		  __entry->name, __entry->rip, __entry->qual0, __entry->qual1)
);

TRACE_EVENT(ost_page_fault,
	TP_PROTO(struct ost_vcpu *v, u64 gpa, u32 flags, int result),
	TP_ARGS(v, gpa, flags, result),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(u64, gpa) __field(u32, flags) __field(int, result)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->gpa = gpa; __entry->flags = flags; __entry->result = result;),
	TP_printk("vm %u vcpu %u gpa 0x%llx flags 0x%x result %d", __entry->vm, __entry->vcpu,
		  __entry->gpa, __entry->flags, __entry->result)
);

TRACE_EVENT(ost_inj_irq,
	TP_PROTO(struct ost_vcpu *v, u8 vector, bool soft),
	TP_ARGS(v, vector, soft),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS __field(u8, vector) __field(bool, soft)),
	TP_fast_assign(OST_TRACE_WHO(v); __entry->vector = vector; __entry->soft = soft;),
	TP_printk("vm %u vcpu %u vector 0x%x%s", __entry->vm, __entry->vcpu, __entry->vector,
		  __entry->soft ? " (software)" : "")
);

TRACE_EVENT(ost_inj_exception,
	TP_PROTO(struct ost_vcpu *v, u8 vector, bool has_error, u32 error_code),
	TP_ARGS(v, vector, has_error, error_code),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(u8, vector) __field(bool, has_error) __field(u32, error_code)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->vector = vector; __entry->has_error = has_error;
		__entry->error_code = error_code;),
	TP_printk("vm %u vcpu %u vector %u error %d 0x%x", __entry->vm, __entry->vcpu,
		  __entry->vector, __entry->has_error, __entry->error_code)
);

TRACE_EVENT(ost_mmio,
	TP_PROTO(struct ost_vcpu *v, bool write, u64 gpa, u32 len, u64 val),
	TP_ARGS(v, write, gpa, len, val),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(bool, write) __field(u64, gpa) __field(u32, len) __field(u64, val)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->write = write; __entry->gpa = gpa; __entry->len = len;
		__entry->val = val;),
	TP_printk("vm %u vcpu %u %s gpa 0x%llx len %u val 0x%llx", __entry->vm, __entry->vcpu,
		  __entry->write ? "write" : "read", __entry->gpa, __entry->len, __entry->val)
);

TRACE_EVENT(ost_pio,
	TP_PROTO(struct ost_vcpu *v, bool in, u16 port, u32 size, u32 count),
	TP_ARGS(v, in, port, size, count),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(bool, in) __field(u16, port) __field(u32, size) __field(u32, count)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->in = in; __entry->port = port; __entry->size = size;
		__entry->count = count;),
	TP_printk("vm %u vcpu %u %s port 0x%x size %u count %u", __entry->vm, __entry->vcpu,
		  __entry->in ? "in" : "out", __entry->port, __entry->size, __entry->count)
);

TRACE_EVENT(ost_msr,
	TP_PROTO(struct ost_vcpu *v, bool write, u32 index, u64 data, bool fault),
	TP_ARGS(v, write, index, data, fault),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(bool, write) __field(u32, index) __field(u64, data) __field(bool, fault)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->write = write; __entry->index = index; __entry->data = data;
		__entry->fault = fault;),
	TP_printk("vm %u vcpu %u %s 0x%x = 0x%llx%s", __entry->vm, __entry->vcpu,
		  __entry->write ? "write" : "read", __entry->index, __entry->data,
		  __entry->fault ? " (#GP)" : "")
);

TRACE_EVENT(ost_cpuid,
	TP_PROTO(struct ost_vcpu *v, u32 leaf, u32 subleaf, u32 eax, u32 ebx, u32 ecx, u32 edx),
	TP_ARGS(v, leaf, subleaf, eax, ebx, ecx, edx),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(u32, leaf) __field(u32, subleaf)
		__field(u32, eax) __field(u32, ebx) __field(u32, ecx) __field(u32, edx)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->leaf = leaf; __entry->subleaf = subleaf;
		__entry->eax = eax; __entry->ebx = ebx; __entry->ecx = ecx; __entry->edx = edx;),
	TP_printk("vm %u vcpu %u leaf 0x%x/0x%x: %08x %08x %08x %08x", __entry->vm, __entry->vcpu,
		  __entry->leaf, __entry->subleaf, __entry->eax, __entry->ebx, __entry->ecx,
		  __entry->edx)
);

TRACE_EVENT(ost_apic_ipi,
	TP_PROTO(struct ost_vcpu *v, u32 dest, u8 vector, u8 delivery, u8 shorthand),
	TP_ARGS(v, dest, vector, delivery, shorthand),
	TP_STRUCT__entry(OST_TRACE_WHO_FIELDS
		__field(u32, dest) __field(u8, vector) __field(u8, delivery) __field(u8, shorthand)),
	TP_fast_assign(OST_TRACE_WHO(v);
		__entry->dest = dest; __entry->vector = vector; __entry->delivery = delivery;
		__entry->shorthand = shorthand;),
	TP_printk("vm %u vcpu %u dest 0x%x vector 0x%x delivery %u shorthand %u", __entry->vm,
		  __entry->vcpu, __entry->dest, __entry->vector, __entry->delivery,
		  __entry->shorthand)
);

TRACE_EVENT(ost_set_irq,
	TP_PROTO(struct ost_vm *vm, u32 gsi, int level, int source),
	TP_ARGS(vm, gsi, level, source),
	TP_STRUCT__entry(__field(u32, vm) __field(u32, gsi) __field(int, level)
		__field(int, source)),
	TP_fast_assign(__entry->vm = vm->id; __entry->gsi = gsi; __entry->level = level;
		__entry->source = source;),
	TP_printk("vm %u gsi %u level %d source %d", __entry->vm, __entry->gsi, __entry->level,
		  __entry->source)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
