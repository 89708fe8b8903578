// SPDX-License-Identifier: GPL-2.0-only
/* Which exits a VMM may have left out (disable_exits.h); the backends' intercept.c leave them out. */
#include <linux/cpu.h>
#include <linux/mutex.h>
#include <asm/cpufeature.h>
#include "backend.h"
#include "compat.h"
#include "disable_exits.h"
#include "vm.h"

/* MWAIT works, and the host's timers go on in the C-states that a guest may choose. */
static bool host_has_mwait(void)
{
	return boot_cpu_has(X86_FEATURE_MWAIT) && !boot_cpu_has_bug(X86_BUG_MONITOR) &&
	       boot_cpu_has(X86_FEATURE_ARAT);
}

u32 ost_disable_exits_supported(void)
{
	u32 exits = KVM_X86_DISABLE_EXITS_PAUSE;

	/*
	 * A thread that idles hands its part of the return predictor to its sibling (CVE-2022-27672). The host
	 * clears it when it idles itself; a guest that does so would not.
	 */
	if (ost_has_smt_rsb_bug() && cpu_smt_possible())
		return exits;
	exits |= KVM_X86_DISABLE_EXITS_CSTATE;
	if (ost_hw_caps.halts_in_guest)
		exits |= KVM_X86_DISABLE_EXITS_HLT;
	if (host_has_mwait())
		exits |= KVM_X86_DISABLE_EXITS_MWAIT;
	return exits;
}

int ost_vm_cap_disable_exits(struct ost_vm *vm, const u64 *args)
{
	int r = -EINVAL;

	if (args[0] & ~(u64)ost_disable_exits_supported())
		return -EINVAL;
	mutex_lock(&vm->lock);
	if (!vm->nr_creating) {
		vm->disabled_exits |= args[0];
		r = 0;
	}
	mutex_unlock(&vm->lock);
	return r;
}
