/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of a vCPU, written by its own thread only, readable by anyone. */
#ifndef OST_STATS_H
#define OST_STATS_H

#include <linux/types.h>

#define OST_MAX_EXITS 192	/* backends map their reasons into fewer indexes than this */

struct ost_vcpu_stats {
	u64 exits;
	u64 by_reason[OST_MAX_EXITS];
	u64 user_exits;
	u64 mmio_user, mmio_movs, pio_user;
	u64 fast_exits;
	u64 halts, halt_polls_hit, halt_polls_missed;
	u64 irq_injections, nmi_injections, exceptions, reinjections;
	u64 irq_windows, nmi_windows;
	u64 page_faults, page_faults_atomic, page_faults_retried, emulations;
	u64 tlb_flushes, requests, host_irqs, host_nmis;
	u64 fpu_loads;
	u64 host_timers;	/* times that a timer of the host was set for the LAPIC's */
	u64 migrations;
	u64 async_faults, async_waits, async_ready; /* pages that guests went on without, that the vCPU slept for, told of */
};

/* Name of an exit by its index (ost_vcpu.exit_index), for traces and statistics. */
const char *ost_exit_name(u32 index);

/* /sys/kernel/debug/<instance>/stats: every VM's counters that are not zero. */
void ost_stats_init(void);
void ost_stats_exit(void);
struct ost_vm;
struct ost_vcpu;
void ost_stats_add_vm(struct ost_vm *vm);
void ost_stats_remove_vm(struct ost_vm *vm);

/* The counters by number, without those of exits by reason; a number is below ost_nr_counters. */
extern const u32 ost_nr_counters;
const char *ost_counter_name(u32 i);
u64 ost_counter_value(const struct ost_vcpu_stats *stats, u32 i);

/* KVM_GET_STATS_FD (stats_fd.c) of the VM, or of one of its vCPUs: the new fd, or -errno. */
int ost_stats_fd(struct ost_vm *vm, struct ost_vcpu *vcpu);
void ost_stats_fd_setup(void);	/* at load, with the backend chosen */

#endif
