// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-modification logging (26.6.16, 29.3.6): in a page of the vCPU's the CPU notes the address of
 * every page whose dirty flag in the nested page table it sets, and exits when there is no room.
 *
 * It is always on. Entries have the dirty flag from when they become writable (mmu/table.c), so that
 * nothing is noted but writes to pages whose flag the dirty log has cleared to see the next one.
 *
 * The page is filled from its last entry to its first, and what is not used yet holds no address. So
 * whoever takes the dirty log can read it, the guest running or not, and no exit but the one for want
 * of room has to look at it.
 */
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include "vmx.h"

/* Addresses have bits 11:0 clear. */
#define UNUSED (~0ull)

static void begin(struct ost_vmx_pml *pml)
{
	memset(pml->log, 0xff, PAGE_SIZE);
	pml->end = OST_VMX_PML_ENTRIES;
	pml->restart = true;
}

int ost_vmx_pml_alloc(struct ost_vmx_vcpu *vmx)
{
	raw_spin_lock_init(&vmx->pml.lock);
	if (!ost_vmx_has2(SECONDARY_EXEC_ENABLE_PML))
		return 0;
	vmx->pml.log = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->pml.log)
		return -ENOMEM;
	begin(&vmx->pml);
	return 0;
}

void ost_vmx_pml_free(struct ost_vmx_vcpu *vmx)
{
	free_page((unsigned long)vmx->pml.log);
}

/* Under the lock until all is handed over: another who finds nothing left may rely on that. */
static void drain(struct ost_vmx_vcpu *vmx)
{
	struct ost_vmx_pml *pml = &vmx->pml;
	u16 end = pml->end;

	lockdep_assert_held(&pml->lock);
	while (end && READ_ONCE(pml->log[end - 1]) != UNUSED)
		end--;
	ost_mmu_mark_written(&vmx->vcpu, &pml->log[end], pml->end - end);
	pml->end = end;
}

void ost_vmx_pml_drain(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	raw_spin_lock(&vmx->pml.lock);
	drain(vmx);
	raw_spin_unlock(&vmx->pml.lock);
}

int ost_vmx_exit_pml_full(struct ost_vcpu *vcpu)
{
	struct ost_vmx_vcpu *vmx = to_vmx(vcpu);

	raw_spin_lock(&vmx->pml.lock);
	drain(vmx);
	begin(&vmx->pml);
	raw_spin_unlock(&vmx->pml.lock);
	return OST_RUN;
}
