/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What CPUID tells the guest: what the hypervisor supports, and where in the machine this vCPU is.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include <stdbool.h>

struct kvm_cpuid2;
struct node;

/*
 * What the hypervisor supports, in memory from malloc() with room for CPUID_SPARE further entries.
 * Returns NULL, explained, on failure.
 */
#define CPUID_SPARE	8
struct kvm_cpuid2 *cpuid_supported(const struct node *node);

/*
 * Make @cpuid that of vCPU @id of @nr: one package, @nr cores of one thread each, APIC ID = @id.
 * May add up to CPUID_SPARE entries. @tsc_deadline: the hypervisor's LAPIC timer has the
 * TSC-deadline mode.
 */
void cpuid_place(struct kvm_cpuid2 *cpuid, unsigned int id, unsigned int nr, bool tsc_deadline);

/* Width of the guest's physical addresses in bits. */
unsigned int cpuid_phys_bits(const struct kvm_cpuid2 *cpuid);

#endif
