// SPDX-License-Identifier: GPL-2.0-only
/* A fault while #DF is delivered shuts the CPU down: KVM_EXIT_SHUTDOWN. */
#include "guest.h"

GUEST_NEEDS(.cpus = 1);

int main(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	host_call(HOST_EXPECT_SHUTDOWN, 0, 0, 0, 0, 0);
	asm volatile("lidt %0\nud2" : : "m"(none));
	check(false, "still here");
	return 0;
}
