// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpuid.h"
#include "node.h"
#include "status.h"

#define MAX_ENTRIES		1024

/* Leaf 1 (SDM vol. 2A, CPUID; APM vol. 3, appendix E). */
#define LEAF1_ECX_TSC_DEADLINE	(1u << 24)
#define LEAF1_ECX_HYPERVISOR	(1u << 31)
#define LEAF1_EDX_HTT		(1u << 28)
/* Leaf 80000001. */
#define LEAF8_1_ECX_CMP_LEGACY	(1u << 1)
/* Levels of leaves B and 1F. */
#define LEVEL_SMT		1
#define LEVEL_CORE		2

struct kvm_cpuid2 *cpuid_supported(const struct node *node)
{
	struct kvm_cpuid2 *cpuid;
	unsigned int nent;

	for (nent = 128; nent <= MAX_ENTRIES; nent *= 2) {
		cpuid = calloc(1,
			       sizeof(*cpuid) + (nent + CPUID_SPARE) * sizeof(cpuid->entries[0]));
		if (!cpuid) {
			vmm_fail(VMM_MEMORY, "not enough memory for the CPUID table");
			return NULL;
		}
		cpuid->nent = nent;
		if (ioctl(node->fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0)
			return cpuid;
		free(cpuid);
		if (errno != E2BIG)
			break;
	}
	vmm_fail(VMM_FAILED, "cannot read which CPUID leaves %s supports: %s", node->path,
		 strerror(errno));
	return NULL;
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

static void remove_leaf(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != function)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
}

static void add(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_entry2 *entry)
{
	cpuid->entries[cpuid->nent++] = *entry;
}

/* Bits of the APIC ID that tell the cores of a package apart. */
static unsigned int core_bits(unsigned int nr)
{
	unsigned int bits = 0;

	while ((1u << bits) < nr)
		bits++;
	return bits;
}

/* Extended topology: level 0 is one thread, level 1 all cores, level 2 ends the list. */
static void place_topology_leaf(struct kvm_cpuid2 *cpuid, uint32_t function, unsigned int id,
				unsigned int nr)
{
	struct kvm_cpuid_entry2 entry = {
		.function = function,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.edx = id,
	};

	remove_leaf(cpuid, function);
	entry.eax = 0;
	entry.ebx = 1;
	entry.ecx = LEVEL_SMT << 8;
	add(cpuid, &entry);
	entry.index = 1;
	entry.eax = core_bits(nr);
	entry.ebx = nr;
	entry.ecx = LEVEL_CORE << 8 | 1;
	add(cpuid, &entry);
	entry.index = 2;
	entry.eax = 0;
	entry.ebx = 0;
	entry.ecx = 2;
	add(cpuid, &entry);
}

/*
 * Deterministic cache parameters, leaf 4 (Intel) and 8000001D (AMD) alike: bits 4:0 type, 7:5
 * level, 25:14 how many share it, less one. Level 3 is the package's, the others a core's. Leaf 4
 * also has the cores in bits 31:26.
 */
static void place_cache_leaf(struct kvm_cpuid2 *cpuid, uint32_t function, unsigned int nr)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
		uint32_t sharing;

		if (entry->function != function || !(entry->eax & 0x1f))
			continue;
		sharing = (entry->eax >> 5 & 7) >= 3 ? nr - 1 : 0;
		entry->eax &= ~(0xfffu << 14);
		entry->eax |= sharing << 14;
		if (function == 4) {
			entry->eax &= ~(0x3fu << 26);
			entry->eax |= ((nr < 64 ? nr : 64) - 1) << 26;
		}
	}
}

static void place_amd(struct kvm_cpuid2 *cpuid, unsigned int id, unsigned int nr)
{
	struct kvm_cpuid_entry2 *entry;

	entry = find(cpuid, 0x80000001, 0);
	if (entry) {
		entry->ecx &= ~LEAF8_1_ECX_CMP_LEGACY;
		if (nr > 1)
			entry->ecx |= LEAF8_1_ECX_CMP_LEGACY;
	}
	/* ApicIdSize in 15:12, NC in 7:0. */
	entry = find(cpuid, 0x80000008, 0);
	if (entry)
		entry->ecx = (entry->ecx & ~0xf0ffu) | core_bits(nr) << 12 | (nr - 1);
	/*
	 * EAX extended APIC ID; EBX core ID, threads per core less one; ECX node ID, nodes less
	 * one.
	 */
	entry = find(cpuid, 0x8000001e, 0);
	if (entry) {
		entry->eax = id;
		entry->ebx = id & 0xff;
		entry->ecx = 0;
	}
}

void cpuid_place(struct kvm_cpuid2 *cpuid, unsigned int id, unsigned int nr, bool tsc_deadline)
{
	struct kvm_cpuid_entry2 *entry = find(cpuid, 1, 0);
	struct kvm_cpuid_entry2 *basic = find(cpuid, 0, 0);

	if (entry) {
		entry->ebx = (entry->ebx & 0xffff) | id << 24 | nr << 16;
		entry->ecx |= LEAF1_ECX_HYPERVISOR;
		if (tsc_deadline)
			entry->ecx |= LEAF1_ECX_TSC_DEADLINE;
		entry->edx &= ~LEAF1_EDX_HTT;
		if (nr > 1)
			entry->edx |= LEAF1_EDX_HTT;
	}
	place_cache_leaf(cpuid, 4, nr);
	place_cache_leaf(cpuid, 0x8000001d, nr);
	if (basic && basic->eax >= 0xb)
		place_topology_leaf(cpuid, 0xb, id, nr);
	if (basic && basic->eax >= 0x1f)
		place_topology_leaf(cpuid, 0x1f, id, nr);
	place_amd(cpuid, id, nr);
}

unsigned int cpuid_phys_bits(const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *entry = find((struct kvm_cpuid2 *)cpuid, 0x80000008, 0);
	unsigned int bits = entry ? entry->eax & 0xff : 0;

	/* A CPU without the leaf has 36 (SDM vol. 3A, 4.1.4). */
	return bits ? bits : 36;
}
