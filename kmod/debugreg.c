// SPDX-License-Identifier: GPL-2.0-only
/* DR0 to DR3 around an entry, where guest or host use them. */
#include <linux/smp.h>
#include "backend.h"
#include "compat.h"
#include "debugreg.h"

/*
 * See ost_debug_prepare() and ost_smi_take(): the entry delivers an event, and an interrupt of the host's that waits ends
 * it then.
 */
static void kick_self(struct ost_vcpu *vcpu)
{
	vcpu->debug.kick = false;
	ost_debug_update(vcpu);
	ost_request(vcpu, OST_REQ_EVENT);
	if (ost_smi_behind_event(vcpu))
		ost_request(vcpu, OST_REQ_SMI);
	smp_send_reschedule(smp_processor_id());
}

void ost_debug_load(struct ost_vcpu *vcpu, struct ost_host_debug *host)
{
	const u64 *dr = vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug.dr : vcpu->dr;

	if (unlikely(vcpu->debug.kick)) {
		kick_self(vcpu);
		host->loaded = vcpu->dr_load;
		if (!host->loaded)
			return;
	}
	if (host->active) {
		/* The host's breakpoints must not match at the guest's addresses. */
		set_debugreg(0UL, 7);
		get_debugreg(host->dr[0], 0);
		get_debugreg(host->dr[1], 1);
		get_debugreg(host->dr[2], 2);
		get_debugreg(host->dr[3], 3);
	}
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
}

void ost_debug_save(struct ost_vcpu *vcpu)
{
	get_debugreg(vcpu->dr[0], 0);
	get_debugreg(vcpu->dr[1], 1);
	get_debugreg(vcpu->dr[2], 2);
	get_debugreg(vcpu->dr[3], 3);
	vcpu->dr_live = false;
	ost_debug_update(vcpu);
}

void ost_debug_restore(const struct ost_host_debug *host)
{
	if (host->loaded) {
		set_debugreg(host->dr[0], 0);
		set_debugreg(host->dr[1], 1);
		set_debugreg(host->dr[2], 2);
		set_debugreg(host->dr[3], 3);
	}
	set_debugreg(this_cpu_read(cpu_dr7), 7);
}
